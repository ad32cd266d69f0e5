//! What runs, as people are told.

use serde::{Deserialize, Serialize};

use super::Millis;
use super::container::{Condition, Health, Port};
use super::measures::ServiceMeasures;
use super::project::{ProjectName, ServiceName};
use super::untrusted::UntrustedText;

/// A project and its services as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectStatus {
    /// Its name.
    pub project: ProjectName,
    /// A line for people.
    pub description: Option<UntrustedText>,
    /// Its services, the primary first, then by name.
    pub services: Vec<ServiceStatus>,
    /// The workspace's path.
    pub workspace: Option<String>,
    /// Production's path.
    pub production: Option<String>,
    /// The number of the current release and when it was put there.
    pub release: Option<(i64, Millis)>,
    /// How far the workspace is ahead of production, as last measured.
    pub ahead: Option<Ahead>,
    /// What runs on it right now: what, who, since when.
    pub busy: Option<Busy>,
    /// What could not be found out, in a sentence each.
    pub unknown: Vec<String>,
}

/// How far the workspace is ahead of production.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ahead {
    /// Files that a deploy would add, change or delete.
    pub files: usize,
    /// When that was measured.
    pub measured: Millis,
}

/// An operation that holds a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Busy {
    /// What it does: `deploy`.
    pub what: String,
    /// Who asked.
    pub who: UntrustedText,
    /// Since when.
    pub since: Millis,
}

/// A service as it is. A service with several containers has one of these for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// The service.
    pub service: ServiceName,
    /// The container's name, where there is one.
    pub container: Option<UntrustedText>,
    /// How it stands.
    pub condition: Condition,
    /// What its health check says.
    pub health: Health,
    /// Since when it runs or, where it does not, since when not.
    pub since: Option<Millis>,
    /// The code of its last end, where it does not run.
    pub exit_code: Option<i64>,
    /// Whether the kernel ended it for want of memory.
    pub out_of_memory: bool,
    /// Why the engine could not start it, in the engine's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<UntrustedText>,
    /// Whether it ran before the engine restarted, and nobody has stopped it: an engine that was killed starts it never again by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub down_since_engine: bool,
    /// Its ports.
    pub ports: Vec<Port>,
    /// Its image, or the program where it is a process of the host.
    pub image: UntrustedText,
    /// Whether it is a process of the host.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub process: bool,
    /// How often the engine restarted it.
    pub restarts: i64,
    /// Whether it is the primary service.
    pub primary: bool,
    /// Whether it keeps data.
    pub stateful: bool,
    /// Whether its configuration in the files differs from what runs.
    pub pending: bool,
    /// Whether it is a job that is done.
    pub done: bool,
    /// Whether it is a job that never ran here: it has no container.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_run: bool,
    /// Whether it ended with code 0 and is no job: neither good nor bad.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exited: bool,
    /// Whether it is there for others as long as it runs: it publishes ports, or its definition has a health check.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub serves: bool,
    /// Why it takes no part in the project, where it does not: `no longer in the compose file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlisted: Option<String>,
    /// Who stopped it, where a person did: `stopped by Ann`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// That it could not start again and why, where it shares something of a container that is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ownerless: Option<String>,
    /// What was measured of it.
    #[serde(default)]
    pub measures: ServiceMeasures,
}

impl ServiceStatus {
    /// One that has no container, and of which nothing else is known.
    pub fn missing(service: ServiceName) -> Self {
        Self {
            service,
            container: None,
            condition: Condition::Missing,
            health: Health::None,
            since: None,
            exit_code: None,
            out_of_memory: false,
            error: None,
            down_since_engine: false,
            ports: Vec::new(),
            image: UntrustedText::default(),
            process: false,
            restarts: 0,
            primary: false,
            stateful: false,
            pending: false,
            done: false,
            not_run: false,
            exited: false,
            serves: false,
            unlisted: None,
            stopped: None,
            ownerless: None,
            measures: ServiceMeasures::default(),
        }
    }

    /// Whether it should be up: not what takes no part, what is a job that is done or never ran, nor what ended with code 0 and serves
    /// nobody.
    pub fn is_to_be_up(&self) -> bool {
        self.unlisted.is_none() && (self.down_since_engine || !self.done && !self.not_run && (!self.exited || self.serves))
    }

    /// Whether it serves as it should.
    pub fn is_up(&self) -> bool {
        self.condition == Condition::Running
    }
}
