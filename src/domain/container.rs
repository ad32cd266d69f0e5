//! Containers as the engine reports them, in our own types.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Millis;
use super::compose_labels;
use super::job::Purpose;
use super::project::ServiceName;
use super::shared::Sharing;
use super::volumes::Attached;

/// How a service stands, as people and programs are told: what its container's state and its health check come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// Made, and never started.
    Creating,
    /// Running; its health check has not decided yet.
    Starting,
    /// Running, and healthy where it has a health check.
    Running,
    /// Running, and its health check says that it is not well.
    Unhealthy,
    /// It died and the engine starts it again, or has just done so.
    Restarting,
    /// Frozen.
    Paused,
    /// Being removed.
    Stopping,
    /// Ended with success, or by a signal as a stop sends it.
    Stopped,
    /// Ended with an error or for want of memory, or the engine cannot remove it.
    Failed,
    /// There is no container.
    Missing,
    /// The engine does not say.
    Unknown,
}

impl Condition {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Unhealthy => "unhealthy",
            Self::Restarting => "restarting",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
        }
    }
}

/// What a container is doing, in the engine's words.
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
    /// It does not say.
    Unknown,
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

/// One run of a container's own health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// When it ended.
    pub at: Millis,
    /// How long it took, in milliseconds.
    pub took: Millis,
    /// Whether it found all well.
    pub good: bool,
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
    /// The last runs of its health check, oldest first, as far as the engine keeps them.
    pub checks: Vec<Check>,
    /// When it started last.
    pub started: Option<Millis>,
    /// When it ended last.
    pub finished: Option<Millis>,
    /// The code of its last end.
    pub exit_code: i64,
    /// What the engine says about why it could not start or ended; often empty.
    pub error: String,
    /// Whether the kernel ended any of its processes for want of memory since it started, not only the one that it stands and falls with.
    pub oom_killed: bool,
    /// How often the engine restarted it.
    pub restarts: i64,
    /// Whether the engine starts it again when it ends as it did last (its restart policy).
    pub restarts_itself: bool,
    /// Whether its restart policy is `on-failure`.
    pub on_failure: bool,
    /// Whether its restart policy is `unless-stopped`.
    pub unless_stopped: bool,
    /// What its service is there for, as far as that is known.
    pub purpose: Purpose,
    /// Its image as named in its configuration.
    pub image: String,
    /// The id of the image it was made from.
    pub image_id: String,
    /// Its ports.
    pub ports: Vec<Port>,
    /// The networks that it is connected to, by their names.
    pub networks: BTreeSet<String>,
    /// What it shares with other containers.
    pub shares: Vec<Sharing>,
    /// What it has mounted, memory included.
    pub attached: Vec<Attached>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether its log is a terminal's (one stream, carriage returns).
    pub tty: bool,
    /// How long it may take to end by itself when it is stopped; none means the engine's default.
    pub stop_timeout: Option<Duration>,
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

/// For how long a service that the engine restarted may just be on its way to the next crash, in milliseconds: as long as the
/// engine itself waits before it forgets one.
const STEADY: Millis = 10_000;
/// The labels of a container that Swarm made: the id of its task, and the name of its service.
const SWARM_TASK: &str = "com.docker.swarm.task.id";
const SWARM_SERVICE: &str = "com.docker.swarm.service.name";
/// The code of what was ended by SIGKILL.
const KILLED: i64 = 137;
/// The codes of what was ended by SIGINT, SIGKILL or SIGTERM, as whoever stops something sends them.
const STOPPED: [i64; 3] = [130, KILLED, 143];

/// What the id of a process of the host begins with, where a container has the engine's.
pub const PROCESS: &str = "process:";

impl Container {
    /// Whether it is a process of the host, and no container.
    pub fn is_process(&self) -> bool {
        self.id.starts_with(PROCESS)
    }

    /// How it stands: the one place where the engine's words become ours.
    pub fn condition(&self, now: Millis) -> Condition {
        let just = self.started.is_some_and(|since| now.saturating_sub(since) < STEADY);
        match (self.state, self.health) {
            _ if self.not_started().is_some() => Condition::Failed,
            (State::Created, _) => Condition::Creating,
            (State::Running, Health::Unhealthy) => Condition::Unhealthy,
            // In a crash loop it runs for a moment again and again.
            (State::Running, Health::None | Health::Starting) if self.restarts > 0 && just => Condition::Restarting,
            (State::Running, Health::Starting) => Condition::Starting,
            (State::Running, _) => Condition::Running,
            (State::Restarting, _) => Condition::Restarting,
            (State::Paused, _) => Condition::Paused,
            (State::Removing, _) => Condition::Stopping,
            (State::Exited, _) if self.died_of_memory() => Condition::Failed,
            (State::Exited, _) if self.exit_code == 0 || STOPPED.contains(&self.exit_code) => Condition::Stopped,
            (State::Exited | State::Dead, _) => Condition::Failed,
            (State::Unknown, _) => Condition::Unknown,
        }
    }

    /// Whether it ended because the kernel killed it for want of memory. A stop that had to kill it looks the same, where a process of
    /// it was ended so before.
    pub fn died_of_memory(&self) -> bool {
        self.oom_killed && !self.runs() && self.exit_code == KILLED
    }

    /// Why the engine could not start it, in the engine's words.
    pub fn not_started(&self) -> Option<&str> {
        (matches!(self.state, State::Created | State::Exited) && !self.error.is_empty()).then_some(self.error.as_str())
    }

    /// The Swarm service that it is a task of, by its name or, where Swarm does not tell that, its task's id.
    pub fn swarm_service(&self) -> Option<&str> {
        let task = self.labels.get(SWARM_TASK)?;
        Some(self.labels.get(SWARM_SERVICE).unwrap_or(task))
    }

    /// The hash of the configuration that Compose made it from.
    pub fn config_hash(&self) -> Option<&str> {
        self.labels.get(compose_labels::CONFIG_HASH).map(String::as_str)
    }

    /// Whether it serves as it should: running, and healthy where it has a health check.
    pub fn is_up(&self) -> bool {
        self.state == State::Running && matches!(self.health, Health::None | Health::Healthy)
    }

    /// Whether there is something to stop: it runs, well or not, is frozen, or the engine is about to start it again.
    pub fn runs(&self) -> bool {
        matches!(self.state, State::Running | State::Restarting | State::Paused)
    }

    /// Whether something of it may be alive: it runs, or nobody knows.
    pub fn may_run(&self) -> bool {
        self.runs() || self.state == State::Unknown
    }

    /// Whether it ended with code 0, as a job does or any other service.
    pub fn exited_zero(&self) -> bool {
        self.state == State::Exited && self.exit_code == 0
    }

    /// Whether it is a job that is done, whatever the health check of its image said last.
    pub fn is_done(&self) -> bool {
        self.exited_zero() && self.purpose.job.is_some()
    }

    /// Whether its end is nothing to put right: a job is done, and what serves nobody may end with code 0.
    pub fn ended_well(&self) -> bool {
        self.exited_zero() && (self.purpose.job.is_some() || !self.purpose.serves)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[test]
    fn people_and_programs_read_the_same_word() {
        use Condition::{Creating, Failed, Missing, Paused, Restarting, Running, Starting, Stopped, Stopping, Unhealthy, Unknown};
        for one in [Creating, Starting, Running, Unhealthy, Restarting, Paused, Stopping, Stopped, Failed, Missing, Unknown] {
            assert_eq!(serde_json::to_value(one).unwrap(), one.word());
        }
    }

    /// A container of `shop` that was never restarted.
    pub(crate) fn container(service: &str, state: State, health: Health) -> Container {
        Container {
            id: format!("id-{service}"),
            name: format!("shop-{service}-1"),
            service: ServiceName::new(service).unwrap(),
            state,
            health,
            health_output: None,
            checks: Vec::new(),
            started: Some(0),
            finished: None,
            exit_code: 0,
            error: String::new(),
            oom_killed: false,
            restarts: 0,
            restarts_itself: true,
            on_failure: false,
            unless_stopped: false,
            purpose: Purpose::default(),
            image: format!("shop-{service}"),
            image_id: format!("sha256:{service}"),
            ports: Vec::new(),
            networks: BTreeSet::new(),
            shares: Vec::new(),
            attached: Vec::new(),
            labels: BTreeMap::new(),
            tty: false,
            stop_timeout: None,
        }
    }

    #[test]
    fn what_the_engine_says_becomes_one_word() {
        const NOW: Millis = 1_000_000;
        let of = |state, health, change: fn(&mut Container)| {
            let mut container = container("web", state, health);
            change(&mut container);
            container.condition(NOW)
        };
        let same = |_: &mut Container| {};
        for (state, health, change, condition) in [
            (State::Created, Health::None, same as fn(&mut Container), Condition::Creating),
            (State::Running, Health::None, same, Condition::Running),
            (State::Running, Health::Healthy, same, Condition::Running),
            (State::Running, Health::Starting, same, Condition::Starting),
            (State::Running, Health::Unhealthy, same, Condition::Unhealthy),
            // Restarted by the engine: for a while that may be a crash loop.
            (State::Running, Health::None, |c| (c.restarts, c.started) = (1, Some(NOW - 9_999)), Condition::Restarting),
            (State::Running, Health::None, |c| (c.restarts, c.started) = (1, Some(NOW - 10_000)), Condition::Running),
            (State::Running, Health::Healthy, |c| (c.restarts, c.started) = (1, Some(NOW)), Condition::Running),
            (State::Restarting, Health::None, same, Condition::Restarting),
            (State::Paused, Health::Healthy, same, Condition::Paused),
            (State::Removing, Health::None, same, Condition::Stopping),
            (State::Exited, Health::None, same, Condition::Stopped),
            (State::Exited, Health::None, |c| c.exit_code = 137, Condition::Stopped),
            (State::Exited, Health::None, |c| (c.exit_code, c.oom_killed) = (137, true), Condition::Failed),
            // Another process of it was killed for want of memory.
            (State::Exited, Health::None, |c| (c.exit_code, c.oom_killed) = (0, true), Condition::Stopped),
            (State::Exited, Health::None, |c| (c.exit_code, c.oom_killed) = (143, true), Condition::Stopped),
            // It could not be started.
            (State::Created, Health::None, |c| c.error = "port is already allocated".to_owned(), Condition::Failed),
            (State::Exited, Health::None, |c| c.error = "port is already allocated".to_owned(), Condition::Failed),
            (State::Running, Health::None, |c| c.error = "port is already allocated".to_owned(), Condition::Running),
            (State::Exited, Health::Unhealthy, |c| c.exit_code = 1, Condition::Failed),
            (State::Dead, Health::None, same, Condition::Failed),
            (State::Unknown, Health::None, same, Condition::Unknown),
        ] {
            assert_eq!(of(state, health, change), condition, "{state:?} {health:?}");
        }
    }
}
