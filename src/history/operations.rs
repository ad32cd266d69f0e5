//! Operations, their events and their outcomes; releases.

use super::{History, HistoryError};
use crate::domain::Millis;
use crate::domain::access::Actor;
use crate::domain::event::Event;
use crate::domain::manifest::Manifest;
use crate::domain::notice::Origin;
use crate::domain::outcome::Outcome;
use crate::domain::plan::Plan;
use crate::domain::project::ProjectName;

/// An operation as history keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationRecord {
    /// Its number.
    pub id: i64,
    /// A random name, which its processes carry in their environment (`DOCKMASTER_OPERATION`).
    pub mark: String,
    /// Who asked.
    pub actor: Actor,
    /// Where the outcome belongs.
    pub origin: Option<Origin>,
    /// What was confirmed.
    pub plan: Plan,
    /// When it began.
    pub started: Millis,
    /// How it ended, and when.
    pub ended: Option<(Millis, Outcome)>,
    /// The last step that was begun, by its place in the plan, and whether it was done.
    pub step: Option<(usize, bool)>,
}

/// A release as history keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseRecord {
    /// Its number within the project.
    pub number: i64,
    /// The operation that made it.
    pub operation: i64,
    /// When.
    pub at: Millis,
    /// What it put into production.
    pub manifest: Manifest,
    /// The compose files, as they stood in the workspace, by relative path: never interpolated, so without secrets of `.env`.
    pub compose: Vec<(String, String)>,
}

/// An operation that begins.
#[derive(Debug, Clone, PartialEq)]
pub struct NewOperation {
    /// A random name.
    pub mark: String,
    /// Who asked.
    pub actor: Actor,
    /// Where the outcome belongs.
    pub origin: Option<Origin>,
    /// What was confirmed.
    pub plan: Plan,
}

impl History {
    /// Keeps an operation that begins.
    ///
    /// # Errors
    /// It could not be written: it must not begin then.
    pub async fn operation_begin(&self, _operation: NewOperation, _now: Millis) -> Result<i64, HistoryError> {
        unimplemented!()
    }

    /// Keeps an event; `Line` events are not kept.
    ///
    /// # Errors
    /// It could not be written: a step must not begin then.
    pub async fn operation_event(&self, _operation: i64, _event: Event, _now: Millis) -> Result<(), HistoryError> {
        unimplemented!()
    }

    /// Keeps how an operation ended and, in the same transaction, the notice for where it came from.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn operation_end(&self, _operation: i64, _outcome: Outcome, _now: Millis) -> Result<(), HistoryError> {
        unimplemented!()
    }

    /// One operation.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn operation(&self, _id: i64) -> Result<Option<OperationRecord>, HistoryError> {
        unimplemented!()
    }

    /// The events of one operation, oldest first.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn operation_events(&self, _id: i64) -> Result<Vec<(Millis, Event)>, HistoryError> {
        unimplemented!()
    }

    /// The last operations of a project, newest first.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn operations_of(&self, _project: ProjectName, _most: usize) -> Result<Vec<OperationRecord>, HistoryError> {
        unimplemented!()
    }

    /// Operations that began and did not end, oldest first.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn operations_unfinished(&self) -> Result<Vec<OperationRecord>, HistoryError> {
        unimplemented!()
    }

    /// Keeps a release under the next number of its project, which it returns, and forgets manifests of all but the last ten.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn release_record(&self, _project: ProjectName, _release: ReleaseRecord) -> Result<i64, HistoryError> {
        unimplemented!()
    }

    /// The last release of a project.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn release_last(&self, _project: ProjectName) -> Result<Option<ReleaseRecord>, HistoryError> {
        unimplemented!()
    }

    /// Keeps which inputs an image was built from.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn build_record(&self, _project: ProjectName, _image_id: String, _inputs: String, _now: Millis) -> Result<(), HistoryError> {
        unimplemented!()
    }

    /// The inputs that an image was built from, where they are known.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn build_inputs(&self, _project: ProjectName, _image_id: String) -> Result<Option<String>, HistoryError> {
        unimplemented!()
    }
}
