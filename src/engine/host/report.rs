//! How a process stands, as its keeper says it and as it is told on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::spec::{ProcessKey, ProcessSpec};
use crate::domain::Millis;
use crate::domain::container::{Check, Container, Health, State};
use crate::domain::job::Purpose;
use crate::domain::managed::{RestartRule, container_name, label};
use crate::domain::measures::CHECKS_KEPT;
use crate::process::Identity;

/// The code that is told where nobody saw how it ended, as the engine tells it.
const UNSEEN: i64 = 255;

/// What a keeper is doing with its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Doing {
    /// It was not started yet.
    Starting,
    /// It runs.
    Running,
    /// It was asked to end, and runs as yet.
    Stopping,
    /// It ended, and is started again in a while.
    Waiting,
    /// It ended, and that is all.
    Ended,
}

/// How a process stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) doing: Doing,
    /// The hash of what it was started from.
    pub(super) definition: String,
    pub(super) program: String,
    pub(super) restart: RestartRule,
    /// Which process it is; none while there is none.
    pub(super) process: Option<Identity>,
    pub(super) started: Option<Millis>,
    pub(super) finished: Option<Millis>,
    pub(super) exit_code: i64,
    /// Why it could not be started.
    pub(super) error: String,
    /// How often it was started again by its keeper.
    pub(super) restarts: i64,
    pub(super) health: Health,
    pub(super) health_output: Option<String>,
    /// The last runs of its health check since it was started, the oldest first: as many as an engine keeps.
    #[serde(default)]
    pub(super) checks: VecDeque<Check>,
}

impl Report {
    /// Before anything was done.
    pub(super) fn new(spec: &ProcessSpec) -> Self {
        Self {
            doing: Doing::Starting,
            definition: spec.hash(),
            program: spec.program().to_owned(),
            restart: spec.restart,
            process: None,
            started: None,
            finished: None,
            exit_code: 0,
            error: String::new(),
            restarts: 0,
            health: Health::None,
            health_output: None,
            checks: VecDeque::new(),
        }
    }

    /// Takes in a run of its health check.
    pub(super) fn checked(&mut self, run: Check) {
        if self.checks.len() == CHECKS_KEPT {
            self.checks.pop_front();
        }
        self.checks.push_back(run);
    }

    /// What it comes to where nobody keeps it any more: the last that its keeper wrote down.
    pub(super) fn left(mut self) -> Self {
        if self.doing == Doing::Ended {
            return self;
        }
        self.doing = Doing::Ended;
        self.health = Health::None;
        self.exit_code = UNSEEN;
        self.error = "it was ended together with what watched it".to_owned();
        self
    }

    /// As a container is told, whose image is the program.
    pub(super) fn container(self, key: &ProcessKey) -> Container {
        let state = match self.doing {
            Doing::Starting => State::Created,
            Doing::Running | Doing::Stopping => State::Running,
            Doing::Waiting => State::Restarting,
            Doing::Ended => State::Exited,
        };
        Container {
            id: key.id(),
            name: container_name(&key.project, &key.service, u16::try_from(key.instance).ok()),
            service: key.service.clone(),
            state,
            health: self.health,
            health_output: self.health_output,
            checks: self.checks.into(),
            started: self.started,
            finished: self.finished,
            exit_code: self.exit_code,
            error: self.error,
            oom_killed: false,
            restarts: self.restarts,
            on_failure: matches!(self.restart, RestartRule::OnFailure(_)),
            unless_stopped: false,
            purpose: Purpose::default(),
            restarts_itself: self.restart.starts_again(self.exit_code, 0),
            image: self.program,
            image_id: String::new(),
            ports: Vec::new(),
            networks: BTreeSet::new(),
            shares: Vec::new(),
            attached: Vec::new(),
            labels: BTreeMap::from([
                (label::DEFINITION.to_owned(), self.definition),
                (label::INSTANCE.to_owned(), key.instance.to_string()),
                (label::PROJECT.to_owned(), key.project.to_string()),
                (label::SERVICE.to_owned(), key.service.to_string()),
            ]),
            tty: false,
            stop_timeout: None,
        }
    }
}
