//! What runs, as people are told.

use serde::{Deserialize, Serialize};

use super::Millis;
use super::container::{Health, Port, State};
use super::project::{ProjectName, ServiceName};

/// A project and its services as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectStatus {
    /// Its name.
    pub project: ProjectName,
    /// A line for people.
    pub description: Option<String>,
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
    pub who: String,
    /// Since when.
    pub since: Millis,
}

/// A service as it is. A service with several containers has one of these for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// The service.
    pub service: ServiceName,
    /// The container's name, where there is one.
    pub container: Option<String>,
    /// What it is doing.
    pub state: State,
    /// What its health check says.
    pub health: Health,
    /// Since when it runs or, where it does not, since when not.
    pub since: Option<Millis>,
    /// The code of its last end, where it does not run.
    pub exit_code: Option<i64>,
    /// Its ports.
    pub ports: Vec<Port>,
    /// Its image.
    pub image: String,
    /// How often the engine restarted it.
    pub restarts: i64,
    /// Whether it is the primary service.
    pub primary: bool,
    /// Whether it keeps data.
    pub stateful: bool,
    /// Whether its configuration in the files differs from what runs.
    pub pending: bool,
    /// Whether it is a job that ended with success.
    pub done: bool,
}

/// How long a service must run since the engine restarted it before it counts as up: as long as the engine itself waits
/// before it forgets a crash.
const STEADY: Millis = 10_000;

impl ServiceStatus {
    /// Whether it serves as it should.
    pub fn is_up(&self, now: Millis) -> bool {
        self.state == State::Running && matches!(self.health, Health::None | Health::Healthy) && !self.is_shaky(now)
    }

    /// Whether it runs because the engine has just restarted it: in a crash loop it does so again and again.
    pub fn is_shaky(&self, now: Millis) -> bool {
        let just = self.since.is_some_and(|since| now.saturating_sub(since) < STEADY);
        self.state == State::Running && self.health != Health::Healthy && self.restarts > 0 && just
    }
}
