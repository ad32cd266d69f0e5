//! The desk: authorisation, digest check and the project's lock in one place, never in front ends.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::logs::{LogLine, LogQuery, Logs};
use crate::domain::access::{Actor, Denied};
use crate::domain::failure::Failure;
use crate::domain::notice::Origin;
use crate::domain::plan::Plan;
use crate::domain::project::{Configuration, ProjectName};
use crate::domain::request::Request;
use crate::domain::status::{Busy, ProjectStatus};
use crate::domain::view::OperationView;
use crate::history::operations::OperationRecord;

/// Why the desk did not do what was asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// The person may not.
    Denied(Denied),
    /// There is no such project (it may have gone since it was named), or it is disabled.
    NoProject(ProjectName),
    /// Another operation holds the project.
    Busy(ProjectName, Busy),
    /// The plan is no longer the one that was confirmed: this is what would happen now. Nothing was done.
    Changed(Box<Plan>),
    /// dockmaster is stopping and takes nothing new.
    Stopping,
    /// It failed before anything was done.
    Failed(Failure),
}

/// An operation that was accepted.
#[derive(Debug)]
pub struct Running {
    /// Its number in the history.
    pub id: i64,
    /// How it stands: skips what a slow reader missed, never the outcome.
    pub view: watch::Receiver<OperationView>,
}

/// The desk.
#[derive(Debug)]
pub struct Desk {}

impl Desk {
    /// The configuration in force.
    pub fn configuration(&self) -> Arc<Configuration> {
        unimplemented!()
    }

    /// How a project stands.
    ///
    /// # Errors
    /// Not allowed, no such project, or the engine could not be asked.
    pub async fn status(&self, _actor: &Actor, _project: &ProjectName) -> Result<ProjectStatus, Refusal> {
        unimplemented!()
    }

    /// The last lines of a log.
    ///
    /// # Errors
    /// Not allowed, no such project or service, or the engine could not be asked.
    pub async fn logs(&self, _actor: &Actor, _query: &LogQuery) -> Result<Logs, Refusal> {
        unimplemented!()
    }

    /// A log as it is written, from its last `query.lines` on. Ends when the receiver is dropped or the container ends.
    ///
    /// # Errors
    /// As for [`Desk::logs`].
    pub async fn follow(&self, _actor: &Actor, _query: &LogQuery) -> Result<mpsc::Receiver<LogLine>, Refusal> {
        unimplemented!()
    }

    /// The last operations on a project, newest first.
    ///
    /// # Errors
    /// Not allowed, no such project, or the history could not be read.
    pub async fn history(&self, _actor: &Actor, _project: &ProjectName) -> Result<Vec<OperationRecord>, Refusal> {
        unimplemented!()
    }

    /// What an operation would do. Changes nothing.
    ///
    /// # Errors
    /// Not allowed, or it must not or cannot be done.
    pub async fn plan(&self, _actor: &Actor, _request: &Request) -> Result<Plan, Refusal> {
        unimplemented!()
    }

    /// Runs what was confirmed: takes the project's lock, plans again, compares the digests, and starts.
    /// The outcome is also kept as a notice for `origin` until it was delivered there.
    ///
    /// # Errors
    /// Not allowed, busy, no longer the confirmed plan, or it cannot be done. Nothing was done then.
    pub async fn submit(&self, _actor: &Actor, _request: &Request, _digest: &str, _origin: Option<Origin>) -> Result<Running, Refusal> {
        unimplemented!()
    }
}
