//! Containers as the engine reports them, in our own types.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Millis;
use super::project::ServiceName;

/// What a container is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Made, never started.
    Created,
    /// Running.
    Running,
    /// Running, but frozen.
    Paused,
    /// Died and waits to be started again by the engine.
    Restarting,
    /// Being removed.
    Removing,
    /// Ended.
    Exited,
    /// The engine could not remove it.
    Dead,
    /// There is no container.
    Missing,
}

/// What the container's own health check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It has no health check.
    None,
    /// Not decided yet.
    Starting,
    /// Healthy.
    Healthy,
    /// Unhealthy.
    Unhealthy,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Port {
    /// The address on the host, empty where the port is not published.
    pub host: String,
    /// The port on the host; none where it is not published.
    pub public: Option<u16>,
    /// The port in the container.
    pub private: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

/// One container, as inspected.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// The engine's id.
    pub id: String,
    /// Its name without the leading slash.
    pub name: String,
    /// The service that it belongs to.
    pub service: ServiceName,
    /// What it is doing.
    pub state: State,
    /// What its health check says.
    pub health: Health,
    /// The last output of its health check, where there is one.
    pub health_output: Option<String>,
    /// When it started last.
    pub started: Option<Millis>,
    /// When it ended last.
    pub finished: Option<Millis>,
    /// The code of its last end.
    pub exit_code: i64,
    /// What the engine says about why it could not start or ended; often empty.
    pub error: String,
    /// Whether the kernel ended it for want of memory.
    pub oom_killed: bool,
    /// How often the engine restarted it.
    pub restarts: i64,
    /// Whether the engine starts it again when it ends as it did last (its restart policy).
    pub restarts_itself: bool,
    /// Its image as named in its configuration.
    pub image: String,
    /// The id of the image it was made from.
    pub image_id: String,
    /// Its ports.
    pub ports: Vec<Port>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether its log is a terminal's (one stream, carriage returns).
    pub tty: bool,
}

/// The hashes that Compose may label a container with that runs with a definition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigHash {
    /// Of the whole definition.
    pub whole: String,
    /// Of the definition without the services that it needs: what Compose (before 2.29.3) labels with `--no-deps`.
    pub alone: String,
}

impl ConfigHash {
    /// Whether a container runs with this definition.
    pub fn is_of(&self, container: &Container) -> bool {
        container.config_hash().is_some_and(|label| label == self.whole || label == self.alone)
    }
}

impl Container {
    /// The hash of the configuration that Compose made it from.
    pub fn config_hash(&self) -> Option<&str> {
        self.labels.get("com.docker.compose.config-hash").map(String::as_str)
    }

    /// Whether it serves as it should: running, and healthy where it has a health check.
    pub fn is_up(&self) -> bool {
        self.state == State::Running && matches!(self.health, Health::None | Health::Healthy)
    }

    /// Whether it ended with success, nobody restarts it and it has no health check: a job that is done. A service that
    /// was stopped and has neither cannot be told from one.
    pub fn is_done(&self) -> bool {
        self.state == State::Exited && self.exit_code == 0 && !self.restarts_itself && self.health == Health::None
    }
}
