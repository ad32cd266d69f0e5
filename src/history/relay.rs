//! What a helper sees of the history while another dockmaster works with it, and what it keeps in case that one leaves it
//! in a format of its own.

use std::ffi::OsString;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::{BUSY, HistoryError, fill, migrations};

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Whether it ended.
    pub ended: bool,
    /// How often it was handed over.
    pub handed_over: usize,
}

/// How far an operation is, in the history of another dockmaster.
///
/// # Errors
/// It cannot be read, or has no such operation.
pub async fn progress(path: &Path, operation: i64) -> Result<Progress, HistoryError> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || {
        let seen = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        seen.busy_timeout(BUSY)?;
        let query = "SELECT ended NOT NULL, (SELECT COUNT(*) FROM events
                WHERE operation = operations.id AND json_extract(event, '$.event') = 'handed_over')
             FROM operations WHERE id = ?1";
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Progress { ended: row.get(0)?, handed_over: usize::try_from(row.get::<_, i64>(1)?).unwrap_or(usize::MAX) })
        };
        Ok(seen.query_row(query, [operation], read)?)
    })
    .await?
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// A copy of a history, beside it: for a version of dockmaster that does not know the format of the next one. It goes with
/// this value.
#[derive(Debug)]
pub struct Spare {
    path: PathBuf,
    copy: PathBuf,
}

impl Spare {
    /// Copies a history. Blocks.
    ///
    /// # Errors
    /// It cannot be read, or there is no room for the copy.
    pub fn of(path: &Path) -> Result<Self, HistoryError> {
        let spare = Self { path: path.to_owned(), copy: beside(path, ".spare") };
        let failed = |e: std::io::Error| HistoryError::Open { path: spare.copy.clone(), why: e.to_string() };
        std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&spare.copy).map_err(failed)?;
        fill(&mut Connection::open(&spare.copy)?, path)?;
        Ok(spare)
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

impl Drop for Spare {
    fn drop(&mut self) {
        // Gone already where it took the other's place.
        let _ = std::fs::remove_file(&self.copy);
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
        let spare = Spare::of(&path).unwrap();
        assert!(!spare.replace_newer().unwrap());
        let newer = Connection::open(&path).unwrap();
        newer.execute_batch("CREATE TABLE of_the_future (x)").unwrap();
        newer.pragma_update(None, "user_version", u32::try_from(migrations::STEPS.len()).unwrap() + 1).unwrap();
        drop(newer);
        assert!(matches!(History::open(&path), Err(HistoryError::Newer { .. })));
        assert!(spare.replace_newer().unwrap());
        drop(spare);
        drop(History::open(&path).unwrap());
        let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["dockmaster.db"]);
    }
}
