//! What chats must be told, kept until it was delivered.

use rusqlite::Transaction;

use super::{History, HistoryError, from_json, limit, to_json};
use crate::domain::Millis;
use crate::domain::notice::{Notice, Origin};

/// How many waiting notices are read at once.
pub const WAITING_MAX: usize = 100;

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
    pub async fn notice_post(&self, origin: Origin, notice: Notice, now: Millis) -> Result<i64, HistoryError> {
        self.with(move |db| post(db, &to_json(&origin)?, &notice, now)).await
    }

    /// Keeps a notice, unless the same is kept for that place already: for as long as that one is, it was told.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn notice_post_once(&self, origin: Origin, notice: Notice, now: Millis) -> Result<(), HistoryError> {
        self.with(move |db| {
            let (place, said) = (to_json(&origin)?, to_json(&notice)?);
            let mut known = db.prepare_cached("SELECT EXISTS (SELECT 1 FROM notices WHERE origin = ?1 AND notice = ?2)")?;
            if !known.query_row((&place, said), |row| row.get(0))? {
                post(db, &place, &notice, now)?;
            }
            Ok(())
        })
        .await
    }

    /// The notices that wait, oldest first, at most 100.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn notices_waiting(&self) -> Result<Vec<Waiting>, HistoryError> {
        self.with(|db| {
            let mut query =
                db.prepare_cached("SELECT id, origin, notice, since FROM notices WHERE settled IS NULL ORDER BY id LIMIT ?1")?;
            let mut rows = query.query([limit(WAITING_MAX)])?;
            let mut waiting = Vec::new();
            while let Some(row) = rows.next()? {
                let (origin, notice): (String, String) = (row.get(1)?, row.get(2)?);
                // One that cannot be read must not hold up the others.
                match (from_json(&origin), from_json(&notice)) {
                    (Ok(origin), Ok(notice)) => waiting.push(Waiting { id: row.get(0)?, origin, notice, since: row.get(3)? }),
                    (Err(error), _) | (_, Err(error)) => tracing::error!(%error, "a kept notice cannot be read and is left out"),
                }
            }
            Ok(waiting)
        })
        .await
    }

    /// Notes that a notice was delivered (or, with `why_not`, given up for good).
    ///
    /// # Errors
    /// It could not be written.
    pub async fn notice_settled(&self, id: i64, now: Millis, why_not: Option<String>) -> Result<(), HistoryError> {
        self.with(move |db| {
            let mut settle = db.prepare_cached("UPDATE notices SET settled = ?2, why_not = ?3 WHERE id = ?1 AND settled IS NULL")?;
            settle.execute((id, now, why_not))?;
            Ok(())
        })
        .await
    }
}

/// Keeps a notice as a part of a transaction.
pub(super) fn post(db: &Transaction<'_>, origin: &str, notice: &Notice, now: Millis) -> Result<i64, HistoryError> {
    db.prepare_cached("INSERT INTO notices (origin, notice, since) VALUES (?1, ?2, ?3)")?.execute((origin, to_json(notice)?, now))?;
    Ok(db.last_insert_rowid())
}
