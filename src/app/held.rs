//! Taking a data directory, wherever its data has been moved to.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::AppError;
use super::house::{Given, environment};
use crate::domain::environment::spare;
use crate::domain::words;
use crate::engine::environment;
use crate::history::lock::{DataLock, HelperLock, Holder, LockError};
use crate::history::whereabouts;

/// How often it is looked whether a data directory has become free.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long the lock of a process that was killed may outlive it.
const RELEASED: Duration = Duration::from_secs(3);

/// A data directory that is held.
#[derive(Debug)]
pub struct Held {
    pub(super) lock: DataLock,
    /// The directory.
    pub(super) data: PathBuf,
    /// The one that was named: the data was moved away from there, where it is another one.
    pub(super) told: PathBuf,
}

pub(super) fn taken(error: &LockError) -> AppError {
    let next = match error {
        LockError::Gone { .. } => "mount it there again, or name it with --data".to_owned(),
        LockError::Unfinished { from, .. } => format!("until then {} is the one to name with --data", from.display()),
        _ => "name another with --data, or see to this one".to_owned(),
    };
    AppError::Setting(format!("{error}; {next}."))
}

/// As [`taken`], of one that dockmaster was started with: where it may not write there, it says where else it could.
async fn not_ours(error: &LockError, given: &Given) -> AppError {
    let refused = |kind| matches!(kind, io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem);
    let (AppError::Setting(said), LockError::Io { dir, source }) = (taken(error), error) else { return taken(error) };
    let mut fit = environment::fit(Path::new("/"), &environment(dir, &given.path).mounts);
    if let Ok(configuration) = given.look(dir).await {
        spare(&mut fit, &configuration);
    }
    let more = if fit.is_empty() || !refused(source.kind()) { String::new() } else { format!(" {}", words::serves_instead(&fit)) };
    AppError::Setting(said + &more)
}

/// Where the data of a directory is now.
///
/// # Errors
/// It was moved to where nothing is, or is not whole.
pub fn settled(told: &Path) -> Result<PathBuf, AppError> {
    whereabouts::settled(told).map_err(|e| taken(&e))
}

/// Takes a data directory, so that no other dockmaster works in it.
///
/// # Errors
/// Another one does, or it cannot be made.
pub fn hold(data: &Path) -> Result<DataLock, AppError> {
    DataLock::take(data, Holder::Bot).map_err(|e| taken(&e))
}

/// As [`hold`], and waits for a command on a terminal to be done with it. None where `shutdown` comes first. `waiting` is
/// called again and again meanwhile.
pub(super) async fn hold_patiently(
    told: &Path,
    given: &Given,
    shutdown: &CancellationToken,
    waiting: impl Fn(),
) -> Result<Option<Held>, AppError> {
    let (mut announced, began) = (false, Instant::now());
    loop {
        waiting();
        let data = settled(told)?;
        match DataLock::take(&data, Holder::Bot) {
            Ok(lock) => return Ok(Some(Held { lock, data, told: told.to_owned() })),
            Err(error @ LockError::Taken { soon_done: true, .. }) => {
                if !std::mem::replace(&mut announced, true) {
                    tracing::info!("{error}; waiting until it is done");
                }
            }
            // Where it has not, it is in a container of its own.
            Err(LockError::Taken { ended: true, .. }) if began.elapsed() < RELEASED => {}
            // Just now.
            Err(LockError::Moved { .. }) => {}
            Err(error) => return Err(not_ours(&error, given).await),
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Takes a data directory for a command on a terminal. None where another dockmaster has it.
///
/// # Errors
/// It cannot be made or locked.
pub fn hold_for_command(told: &Path) -> Result<Option<Held>, AppError> {
    let data = settled(told)?;
    // It is about to be another dockmaster's, which is just coming up.
    if HelperLock::is_held(&data) {
        return Ok(None);
    }
    match DataLock::take(&data, Holder::Command) {
        Ok(lock) => Ok(Some(Held { lock, data, told: told.to_owned() })),
        Err(LockError::Taken { .. }) => Ok(None),
        Err(error) => Err(taken(&error)),
    }
}
