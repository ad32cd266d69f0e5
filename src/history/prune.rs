//! What is forgotten, and when.

use super::inbox::REMEMBERED;
use super::{History, HistoryError};
use crate::domain::Millis;

const DAY: Millis = 24 * 60 * 60 * 1_000;
/// How long operations, and what images were built from, are kept.
const OPERATIONS_AGE: Millis = 400 * DAY;
/// How many operations are kept at most.
const OPERATIONS_MAX: i64 = 10_000;
/// How long notices are kept after they were settled.
const NOTICES_AGE: Millis = 7 * DAY;
/// How long what was measured of a service is kept after it was seen last.
pub const MEASURES_AGE: Millis = 90 * DAY;

impl History {
    /// Forgets what is old: operations that ended 400 days ago or before the last 10,000, notices that were settled a
    /// week ago, updates that were dealt with two days ago, measures of what was not seen for 90 days. What is unfinished
    /// always stays.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn prune(&self, now: Millis) -> Result<(), HistoryError> {
        self.with(move |db| prune(db, now, OPERATIONS_MAX)).await
    }
}

pub(super) fn prune(db: &rusqlite::Transaction<'_>, now: Millis, most: i64) -> Result<(), HistoryError> {
    db.execute("DELETE FROM operations WHERE ended < ?1", [now - OPERATIONS_AGE])?;
    db.execute(
        "DELETE FROM operations WHERE ended NOT NULL AND id <= (SELECT id FROM operations ORDER BY id DESC LIMIT 1 OFFSET ?1)",
        [most],
    )?;
    db.execute("DELETE FROM notices WHERE settled < ?1", [now - NOTICES_AGE])?;
    db.execute("DELETE FROM inbox WHERE done < ?1", [now - REMEMBERED])?;
    db.execute("DELETE FROM measures WHERE seen < ?1", [now - MEASURES_AGE])?;
    db.execute("DELETE FROM builds WHERE at < ?1", [now - OPERATIONS_AGE])?;
    Ok(())
}
