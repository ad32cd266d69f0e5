//! What a helper sees of the history while another dockmaster works with it, and what it keeps in case that one leaves it
//! in a format of its own.

use std::ffi::OsString;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::{BUSY, HistoryError, fill, from_json, migrations};
use crate::domain::event::Event;
use crate::domain::outcome::Outcome;
use crate::domain::project::ServiceName;

/// How far an operation is that was handed over.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Its number.
    pub operation: i64,
    /// Its project.
    pub project: String,
    /// Whether it ended.
    pub ended: bool,
    /// How often it was handed over.
    pub handed_over: usize,
    /// The service that dockmaster itself is.
    pub service: ServiceName,
    /// Why it is being undone, where it is.
    pub why: Option<Outcome>,
    /// How many events were kept.
    pub events: usize,
    /// How many steps were done since it was handed over last.
    pub steps_since: usize,
}

/// What is asked here of a history must stay true in every later format: a helper of an older dockmaster asks it.
const PROGRESS: &str = "SELECT operation, project, ended NOT NULL,
    (SELECT COUNT(*) FROM events e WHERE e.operation = h.operation AND json_extract(e.event, '$.event') = 'handed_over'),
    h.event,
    (SELECT COUNT(*) FROM events e WHERE e.operation = h.operation),
    (SELECT COUNT(*) FROM events e WHERE e.operation = h.operation AND e.id > h.id AND json_extract(e.event, '$.event') = 'step_done')
 FROM events h JOIN operations ON operations.id = h.operation
 WHERE json_extract(h.event, '$.event') = 'handed_over' AND (?1 IS NULL OR h.operation = ?1) ORDER BY h.id DESC LIMIT 1";

/// How far an operation is that was handed over, in the history of another dockmaster; the last one unless it is named. None
/// where there is none.
///
/// # Errors
/// It cannot be read.
pub async fn progress(path: &Path, operation: Option<i64>) -> Result<Option<Progress>, HistoryError> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || {
        let seen = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        seen.busy_timeout(BUSY)?;
        let mut query = seen.prepare(PROGRESS)?;
        let mut rows = query.query([operation])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let Event::HandedOver { service, why, .. } = from_json(&row.get::<_, String>(4)?)? else { return Ok(None) };
        let count = |column| row.get::<_, i64>(column).map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        Ok(Some(Progress {
            operation: row.get(0)?,
            project: row.get(1)?,
            ended: row.get(2)?,
            handed_over: count(3)?,
            service,
            why: why.map(|why| *why),
            events: count(5)?,
            steps_since: count(6)?,
        }))
    })
    .await?
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// A copy of a history, beside it: for a version of dockmaster that does not know the format of the next one. It stays, also
/// where whoever made it is killed, until it is thrown away.
#[derive(Debug)]
pub struct Spare {
    path: PathBuf,
    copy: PathBuf,
}

impl Spare {
    fn beside(path: &Path, operation: i64) -> Self {
        Self { path: path.to_owned(), copy: beside(path, &format!(".spare-{operation}")) }
    }

    /// The copy that was made for an operation; made now where there is none. Blocks.
    ///
    /// # Errors
    /// It cannot be read, or there is no room for the copy.
    pub fn of(path: &Path, operation: i64) -> Result<Self, HistoryError> {
        let spare = Self::beside(path, operation);
        if spare.copy.is_file() {
            return Ok(spare);
        }
        let new = beside(path, ".spare");
        let failed = |e: std::io::Error| HistoryError::Open { path: spare.copy.clone(), why: e.to_string() };
        std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new).map_err(failed)?;
        fill(&mut Connection::open(&new)?, path)?;
        // Whole, or not there.
        std::fs::rename(&new, &spare.copy).map_err(failed)?;
        Ok(spare)
    }

    /// Throws away the copy that was made for an operation, where there is one. Blocks.
    pub fn discard(path: &Path, operation: i64) {
        // Where it cannot be removed it only takes room.
        let _ = std::fs::remove_file(Self::beside(path, operation).copy);
    }

    /// Puts the copy into the place of a history that was brought into a newer format than is known here: what was kept
    /// since is lost. Any other is left as it is. Whether it did so. Blocks; nobody else may have it open.
    ///
    /// # Errors
    /// It cannot be read or replaced.
    pub fn replace_newer(&self) -> Result<bool, HistoryError> {
        let found: u32 = {
            let seen = Connection::open(&self.path)?;
            seen.busy_timeout(BUSY)?;
            seen.pragma_query_value(None, "user_version", |row| row.get(0))?
        };
        if found as usize <= migrations::STEPS.len() {
            return Ok(false);
        }
        let failed = |e: std::io::Error| HistoryError::Open { path: self.path.clone(), why: e.to_string() };
        for log in ["-wal", "-shm"] {
            match std::fs::remove_file(beside(&self.path, log)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
        }
        std::fs::rename(&self.copy, &self.path).map_err(failed)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::History;

    #[test]
    fn a_newer_format_is_replaced_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dockmaster.db");
        drop(History::open(&path).unwrap());
        drop(Spare::of(&path, 7).unwrap());
        let spare = Spare::of(&path, 7).unwrap();
        assert!(!spare.replace_newer().unwrap());
        let newer = Connection::open(&path).unwrap();
        newer.execute_batch("CREATE TABLE of_the_future (x)").unwrap();
        // Whoever was killed has left the copy, and finds it again as it was.
        drop(Spare::of(&path, 7).unwrap());
        newer.pragma_update(None, "user_version", u32::try_from(migrations::STEPS.len()).unwrap() + 1).unwrap();
        drop(newer);
        assert!(matches!(History::open(&path), Err(HistoryError::Newer { .. })));
        assert!(spare.replace_newer().unwrap());
        drop(History::open(&path).unwrap());
        drop(Spare::of(&path, 8).unwrap());
        Spare::discard(&path, 8);
        let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["dockmaster.db"]);
    }
}
