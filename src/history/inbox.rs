//! Updates, kept before they are acknowledged.
//!
//! That one has begun or is done is written down without waiting for the disk. A kill loses none of that. After a power cut
//! the last of them may be handled once more, which is asking once more: what was planned waits for a new yes, since
//! confirmations end with the program, and nothing runs that a cancel could end.

use super::{History, HistoryError};
use crate::domain::Millis;

/// How long an update that was dealt with is remembered, so that it is recognised when it comes again. Telegram keeps
/// updates for 24 hours.
pub(super) const REMEMBERED: Millis = 48 * 60 * 60 * 1_000;

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
    pub async fn inbox_keep(&self, updates: Vec<(i64, String)>, now: Millis) -> Result<Vec<i64>, HistoryError> {
        self.with(move |db| {
            let mut keep = db.prepare_cached("INSERT INTO inbox (update_id, body, kept) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
            let mut new = Vec::with_capacity(updates.len());
            for (update_id, body) in updates {
                if keep.execute((update_id, body, now))? == 1 {
                    new.push(update_id);
                }
            }
            Ok(new)
        })
        .await
    }

    /// Notes that the handling of an update begins.
    ///
    /// # Errors
    /// It could not be written: it must not be handled then.
    pub async fn inbox_begin(&self, update_id: i64) -> Result<(), HistoryError> {
        self.with_soon(move |db| {
            db.prepare_cached("UPDATE inbox SET begun = 1 WHERE update_id = ?1")?.execute([update_id])?;
            Ok(())
        })
        .await
    }

    /// Notes that an update was dealt with, and forgets old ones (48 hours; Telegram keeps them for 24).
    ///
    /// # Errors
    /// It could not be written.
    pub async fn inbox_done(&self, update_id: i64, now: Millis) -> Result<(), HistoryError> {
        self.with_soon(move |db| {
            // Its number is enough to recognise it; what somebody wrote is not kept for longer than needed.
            db.prepare_cached("UPDATE inbox SET done = ?2, body = '' WHERE update_id = ?1 AND done IS NULL")?.execute((update_id, now))?;
            db.prepare_cached("DELETE FROM inbox WHERE done < ?1")?.execute([now - REMEMBERED])?;
            Ok(())
        })
        .await
    }

    /// Updates that were kept and not finished, oldest first.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn inbox_unfinished(&self) -> Result<Vec<Kept>, HistoryError> {
        self.with(|db| {
            let mut query = db.prepare_cached("SELECT update_id, body, begun FROM inbox WHERE done IS NULL ORDER BY update_id")?;
            let kept = query.query_map([], |row| Ok(Kept { update_id: row.get(0)?, body: row.get(1)?, begun: row.get(2)? }))?;
            Ok(kept.collect::<Result<_, _>>()?)
        })
        .await
    }
}
