//! What must outlive the program: SQLite in the data directory.
//!
//! Every commit is on the disk before it is reported as done (WAL with `synchronous=FULL`), so that a kill or a power cut
//! loses nothing that somebody was told. The one exception is how far the handling of a message came ([`inbox`]). One connection behind a lock: a commit takes under a millisecond, and nothing
//! here is asked often enough to need more.

pub mod content;
mod guard;
pub mod inbox;
pub mod lock;
pub mod logs;
pub mod measures;
mod migrations;
pub mod notices;
pub mod operations;
mod orphans;
mod prune;
pub mod relay;
pub mod releases;
pub mod snapshots;
mod space;
pub mod stops;
pub mod whereabouts;

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

pub use guard::Lost;
use guard::Place;

/// The history's file, below a data directory.
pub const DATABASE: &str = "dockmaster.db";
/// How long is waited while another process (a backup, somebody's `sqlite3`) holds the database.
const BUSY: Duration = Duration::from_secs(5);
/// How many prepared statements are kept: there are about twenty.
const STATEMENTS: usize = 32;

/// A handle on the history; clones share one connection.
#[derive(Debug, Clone)]
pub struct History {
    store: Arc<Mutex<Store>>,
    /// What was lost and restored, and not told yet.
    lost: Arc<Mutex<Vec<Lost>>>,
    /// Wakes whoever tells that, and whoever makes the backup: see [`History::woken`].
    wake: Arc<Notify>,
}

#[derive(Debug)]
struct Store {
    connection: Connection,
    /// Whether a commit waits for the disk.
    durable: bool,
    /// The file; none of a copy in memory.
    place: Option<Place>,
}

/// Locks; a panic under this lock rolled its transaction back on the way out, so that what it guards is as good as before.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    fn transaction(&mut self, durable: bool) -> Result<Transaction<'_>, rusqlite::Error> {
        if self.durable != durable {
            self.connection.pragma_update(None, "synchronous", if durable { "FULL" } else { "NORMAL" })?;
            self.durable = durable;
        }
        self.connection.transaction_with_behavior(TransactionBehavior::Immediate)
    }
}

/// What went wrong with the history.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// SQLite said no.
    #[error("the history could not be read or written: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A row that was kept cannot be understood.
    #[error("a kept record cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// The worker that asked SQLite died.
    #[error("the history's worker died: {0}")]
    Worker(#[from] tokio::task::JoinError),
    /// The file could not be opened as a history.
    #[error("the history {} could not be opened: {why}", crate::domain::untrusted::UntrustedText::path(path))]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A newer dockmaster wrote it.
    #[error(
        "the history {} was written by a newer dockmaster (its format is {found}, this one knows {known}): run that one, or give another \
         data directory",
        crate::domain::untrusted::UntrustedText::path(path)
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that is known here.
        known: usize,
    },
    /// There is no such operation.
    #[error("the history has no operation {0}")]
    NoOperation(i64),
    /// The file was removed or replaced, and nothing could be put in its place.
    #[error("the history {} is gone: {why}", path.display())]
    Gone {
        /// The file.
        path: PathBuf,
        /// Why it could not be restored.
        why: String,
    },
}

/// What is wrong where the history cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// There is no room on its disk.
    Full,
    /// The file is not what was written.
    Damaged,
    /// The file is not there.
    Gone,
    /// The disk, or something else.
    Other,
}

impl HistoryError {
    /// What is wrong, as far as that can be told.
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Gone { .. } => Trouble::Gone,
            Self::Sqlite(error) => trouble(error),
            Self::Json(_) | Self::Worker(_) | Self::Open { .. } | Self::Newer { .. } | Self::NoOperation(_) => Trouble::Other,
        }
    }
}

fn trouble(error: &rusqlite::Error) -> Trouble {
    // A file that is shorter than what it says of itself is read as an error of the disk.
    let short = error.sqlite_error().is_some_and(|e| e.extended_code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ);
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Trouble::Full,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Trouble::Damaged,
        _ if short => Trouble::Damaged,
        _ => Trouble::Other,
    }
}

impl History {
    /// Opens the history, makes it where there is none, and brings an older one up to date.
    ///
    /// # Errors
    /// It cannot be read or written, is no history, or was written by a newer dockmaster.
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        let failed = |why: String| HistoryError::Open { path: path.to_owned(), why };
        let lost = guard::before_opening(path)?;
        // It holds what people wrote: for our eyes only. The files that SQLite puts beside it take over its mode.
        std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(|e| failed(e.to_string()))?;
        let connection = ready(connect(path).map_err(|e| failed(e.to_string()))?, path)?;
        let place = Some(Place::of(path, &connection)?);
        let history = Self::of(Store { connection, durable: true, place });
        locked(&history.lost).extend(lost);
        Ok(history)
    }

    /// A copy in memory as it stands now, for whoever only reads: the file is left as it is, whatever its format, and
    /// another dockmaster may be at work with it. An empty one where there is no file.
    ///
    /// # Errors
    /// It cannot be read, is no history, or was written by a newer dockmaster.
    pub fn copy(path: &Path) -> Result<Self, HistoryError> {
        let failed = |why: String| HistoryError::Open { path: path.to_owned(), why };
        let mut copy = Connection::open_in_memory()?;
        // Only what is known to be missing counts as missing: what may not be looked at is no empty history.
        if path.try_exists().map_err(|e| failed(e.to_string()))? {
            fill(&mut copy, path).map_err(|e| failed(e.to_string()))?;
        }
        Ok(Self::of(Store { connection: ready(copy, path)?, durable: true, place: None }))
    }

    fn of(store: Store) -> Self {
        Self { store: Arc::new(Mutex::new(store)), lost: Arc::default(), wake: Arc::default() }
    }

    /// Waits until something was lost, or should be in the backup soon.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    /// The way to the connection: on a thread that may block, in one transaction that is rolled back on an error.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, HistoryError> + Send + 'static,
    ) -> Result<T, HistoryError> {
        self.within(true, work).await
    }

    /// As [`History::with`], but nobody waits for the disk: a kill loses nothing of it, a power cut may lose the last of them.
    async fn with_soon<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, HistoryError> + Send + 'static,
    ) -> Result<T, HistoryError> {
        self.within(false, work).await
    }

    async fn within<T: Send + 'static>(
        &self,
        durable: bool,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, HistoryError> + Send + 'static,
    ) -> Result<T, HistoryError> {
        let history = self.clone();
        tokio::task::spawn_blocking(move || {
            let mut store = locked(&history.store);
            if let Some(lost) = store.keep_in_place()? {
                locked(&history.lost).push(lost);
                history.wake.notify_one();
            }
            let done = store.transaction(durable).map_err(HistoryError::from).and_then(|transaction| {
                let done = work(&transaction)?;
                transaction.commit()?;
                Ok(done)
            });
            if done.as_ref().is_err_and(|error| error.trouble() == Trouble::Damaged)
                && let Some(place) = &mut store.place
            {
                // The next one restores it, and that is soon.
                place.suspect = true;
                history.wake.notify_one();
            }
            done
        })
        .await?
    }
}

/// A connection that is set up, with the format that is known here.
fn ready(mut connection: Connection, path: &Path) -> Result<Connection, HistoryError> {
    configure(&connection).map_err(|e| HistoryError::Open { path: path.to_owned(), why: e.to_string() })?;
    migrations::migrate(&mut connection, path)?;
    Ok(connection)
}

fn connect(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    Connection::open_with_flags(path, flags)
}

/// Copies what a file holds. It is opened for writing, though nothing is written: whoever may only read a database leaves
/// the files of its log behind. A log that is there, since a dockmaster was killed, is left to the next one.
fn fill(copy: &mut Connection, path: &Path) -> Result<(), rusqlite::Error> {
    let original = connect(path)?;
    original.busy_timeout(BUSY)?;
    original.pragma_update(None, "query_only", true)?;
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    original.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, Path::new(&log).exists())?;
    match Backup::new(&original, copy)?.step(-1)? {
        StepResult::Done => Ok(()),
        // After having waited for as long as is waited.
        _ => Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None)),
    }
}

fn configure(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(())
}

fn to_json(value: &impl Serialize) -> Result<String, HistoryError> {
    Ok(serde_json::to_string(value)?)
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, HistoryError> {
    Ok(serde_json::from_str(text)?)
}

/// A count as SQLite takes it.
fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
