//! What chats must be told, kept until it was delivered.

use super::{History, HistoryError};
use crate::domain::Millis;
use crate::domain::notice::{Notice, Origin};

/// A notice that waits to be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its number.
    pub id: i64,
    /// Where it belongs.
    pub origin: Origin,
    /// What it says.
    pub notice: Notice,
    /// Since when it waits.
    pub since: Millis,
}

impl History {
    /// Keeps a notice.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn notice_post(&self, _origin: Origin, _notice: Notice, _now: Millis) -> Result<i64, HistoryError> {
        unimplemented!()
    }

    /// The notices that wait, oldest first, at most 100.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn notices_waiting(&self) -> Result<Vec<Waiting>, HistoryError> {
        unimplemented!()
    }

    /// Notes that a notice was delivered (or, with `why_not`, given up for good).
    ///
    /// # Errors
    /// It could not be written.
    pub async fn notice_settled(&self, _id: i64, _now: Millis, _why_not: Option<String>) -> Result<(), HistoryError> {
        unimplemented!()
    }
}
