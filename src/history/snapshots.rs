//! Kept versions of the configuration, and which of them is in force.

use rusqlite::{OptionalExtension, Row, Transaction};

use super::{History, HistoryError, from_json, limit, to_json};
use crate::domain::Millis;
use crate::domain::impact::Impact;
use crate::domain::snapshot::{Cause, Files, InForce, Snapshot, SnapshotLine};

/// How many versions are kept.
pub const KEPT: usize = 200;
/// How many bytes of files are kept with them at most; the one in force always is.
const BYTES_MAX: i64 = 50 << 20;

/// A version that comes into force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSnapshot {
    /// Why.
    pub cause: Cause,
    /// What it changes.
    pub impact: Impact,
    /// The hash of its files.
    pub hash: String,
    /// Its files.
    pub files: Files,
    /// Where the files are others: their hash.
    pub pinned_over: Option<String>,
}

impl History {
    /// Keeps a version, which is in force from now on; forgets the oldest ones.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn snapshot_add(&self, new: NewSnapshot, now: Millis) -> Result<i64, HistoryError> {
        self.with(move |db| {
            db.prepare_cached("INSERT INTO snapshots (at, cause, impact, hash, files) VALUES (?1, ?2, ?3, ?4, ?5)")?.execute((
                now,
                to_json(&new.cause)?,
                to_json(&new.impact)?,
                &new.hash,
                to_json(&new.files)?,
            ))?;
            let id = db.last_insert_rowid();
            put_in_force(db, &InForce { snapshot: id, pinned_over: new.pinned_over, writing: false })?;
            prune(db, id)?;
            Ok(id)
        })
        .await
    }

    /// Notes which version is in force.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn snapshot_in_force(&self, in_force: InForce) -> Result<(), HistoryError> {
        self.with(move |db| put_in_force(db, &in_force)).await
    }

    /// Notes what was rejected and is told; false where that was told before. Nothing is remembered where nothing was in force yet.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn rejection_is_new(&self, what: Option<String>) -> Result<bool, HistoryError> {
        self.with(move |db| Ok(db.prepare_cached("UPDATE in_force SET told = ?1 WHERE told IS NOT ?1")?.execute([what])? > 0)).await
    }

    /// Which version was in force last, with all that it holds.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn snapshot_last(&self) -> Result<Option<(Snapshot, InForce)>, HistoryError> {
        self.with(|db| {
            let state = db
                .prepare_cached("SELECT snapshot, pinned_over, writing FROM in_force")?
                .query_row([], |row| Ok(InForce { snapshot: row.get(0)?, pinned_over: row.get(1)?, writing: row.get(2)? }));
            let Some(state) = state.optional()? else { return Ok(None) };
            Ok(one(db, state.snapshot)?.map(|snapshot| (snapshot, state)))
        })
        .await
    }

    /// The kept versions, newest first.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn snapshots(&self) -> Result<Vec<SnapshotLine>, HistoryError> {
        self.with(|db| {
            let mut query = db.prepare_cached("SELECT id, at, cause, impact FROM snapshots ORDER BY id DESC LIMIT ?1")?;
            let mut rows = query.query([limit(KEPT)])?;
            let mut lines = Vec::new();
            while let Some(row) = rows.next()? {
                lines.push(line(row)?);
            }
            Ok(lines)
        })
        .await
    }

    /// Whether files with this hash are kept in a version.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn snapshot_holds(&self, hash: String) -> Result<bool, HistoryError> {
        self.with(move |db| Ok(db.prepare_cached("SELECT 1 FROM snapshots WHERE hash = ?1")?.exists([hash])?)).await
    }

    /// A version; none where it is not kept.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn snapshot(&self, id: i64) -> Result<Option<Snapshot>, HistoryError> {
        self.with(move |db| one(db, id)).await
    }
}

fn put_in_force(db: &Transaction<'_>, in_force: &InForce) -> Result<(), HistoryError> {
    db.execute("DELETE FROM in_force", [])?;
    db.prepare_cached("INSERT INTO in_force (snapshot, pinned_over, writing) VALUES (?1, ?2, ?3)")?.execute((
        in_force.snapshot,
        in_force.pinned_over.as_deref(),
        in_force.writing,
    ))?;
    Ok(())
}

fn one(db: &Transaction<'_>, id: i64) -> Result<Option<Snapshot>, HistoryError> {
    let mut query = db.prepare_cached("SELECT id, at, cause, impact, hash, files FROM snapshots WHERE id = ?1")?;
    let mut rows = query.query([id])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let files: String = row.get(5)?;
    Ok(Some(Snapshot { line: line(row)?, hash: row.get(4)?, files: from_json(&files)? }))
}

fn line(row: &Row<'_>) -> Result<SnapshotLine, HistoryError> {
    let (cause, impact): (String, String) = (row.get(2)?, row.get(3)?);
    Ok(SnapshotLine { id: row.get(0)?, at: row.get(1)?, cause: from_json(&cause)?, impact: from_json(&impact)? })
}

/// Forgets the oldest versions, as far as there are too many or they take too much room.
fn prune(db: &Transaction<'_>, in_force: i64) -> Result<(), HistoryError> {
    db.execute(
        "DELETE FROM snapshots WHERE id <> ?1 AND id NOT IN (
            SELECT id FROM (SELECT id, SUM(LENGTH(files)) OVER (ORDER BY id DESC) AS bytes, ROW_NUMBER() OVER (ORDER BY id DESC) AS n FROM snapshots)
            WHERE n <= ?2 AND bytes <= ?3
         )",
        (in_force, limit(KEPT), BYTES_MAX),
    )?;
    Ok(())
}
