//! Updates, kept before they are acknowledged.

use super::{History, HistoryError};
use crate::domain::Millis;

/// An update that was kept and not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Telegram's number.
    pub update_id: i64,
    /// The update as it came.
    pub body: String,
    /// Whether its handling had begun.
    pub begun: bool,
}

impl History {
    /// Keeps updates, all or none; returns the numbers of those that were not here before, in order.
    ///
    /// # Errors
    /// They could not be written: they must not be acknowledged then.
    pub async fn inbox_keep(&self, _updates: Vec<(i64, String)>, _now: Millis) -> Result<Vec<i64>, HistoryError> {
        unimplemented!()
    }

    /// Notes that the handling of an update begins.
    ///
    /// # Errors
    /// It could not be written: it must not be handled then.
    pub async fn inbox_begin(&self, _update_id: i64) -> Result<(), HistoryError> {
        unimplemented!()
    }

    /// Notes that an update was dealt with, and forgets old ones (48 hours; Telegram keeps them for 24).
    ///
    /// # Errors
    /// It could not be written.
    pub async fn inbox_done(&self, _update_id: i64, _now: Millis) -> Result<(), HistoryError> {
        unimplemented!()
    }

    /// Updates that were kept and not finished, oldest first.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn inbox_unfinished(&self) -> Result<Vec<Kept>, HistoryError> {
        unimplemented!()
    }
}
