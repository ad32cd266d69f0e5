//! Moving what dockmaster keeps to another directory: the work on files, and the dockmaster that runs making way for it.
//! What counts when is `history::whereabouts`'.

use std::path::Path;
use std::time::Duration;

use rustix::fs::Access;
use tokio_util::sync::CancellationToken;

use super::desk::{Desk, Refusal};
use crate::domain::access::{Actor, Role, allow};
use crate::domain::failure::Failure;
use crate::domain::status::Busy;
use crate::domain::untrusted::UntrustedText;
use crate::files::whole::{self, Copying};
use crate::history::DATABASE;
use crate::history::lock::HelperLock;
use crate::process;

const WHAT: &str = "The data was not moved.";
/// How long a process of an earlier move may take to end.
const PATIENCE: Duration = Duration::from_secs(5);
/// What more than the data there must be room for: directories take more on one file system than on another.
const MORE: u64 = 4 * 1024 * 1024;

/// Copies all that is in one directory to another, where `but` is left out, and compares it.
///
/// # Errors
/// There is no room, it could not be copied, or it is not the same. A part of it may be there.
pub async fn copy(from: &Path, to: &Path, but: &[&str], mark: &str, cancel: &CancellationToken) -> Result<(), Failure> {
    let (source, target) = (from.to_owned(), to.to_owned());
    let measured = tokio::task::spawn_blocking(move || {
        let taken = whole::room(WHAT, &source)?;
        let needed = taken.saturating_add(taken / 20).saturating_add(MORE);
        match rustix::fs::statvfs(&target).map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize)) {
            Ok(free) if free < needed => {
                let why = format!(
                    "It needs {} MB, and {} MB are free in {}.",
                    needed.div_ceil(1_000_000),
                    free / 1_000_000,
                    UntrustedText::path(&target)
                );
                Err(Failure::new(WHAT, why, "Make room there, or name another directory."))
            }
            _ => Ok(()),
        }
    });
    measured.await.map_err(|died| Failure::new(WHAT, format!("The work on its files died: {died}."), "Do it again."))??;
    Copying { what: WHAT, from, to, but, mark, cancel }.run().await
}

/// Ends what an earlier move that was killed has left at work, and takes away what it has copied, but for names in `but`.
///
/// # Errors
/// Something cannot be taken away.
pub async fn clear(to: &Path, but: &[&str], mark: &str) -> Result<(), Failure> {
    process::end_survivors(mark, PATIENCE).await;
    let (to, but) = (to.to_owned(), but.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    on_disk(move || whole::remove(WHAT, &to, &|name| !but.iter().any(|known| known == name))).await
}

/// Takes away what is dockmaster's own from a directory that was moved. What else somebody keeps there stays: registry logins
/// are read from where they are.
///
/// # Errors
/// Something cannot be taken away.
pub async fn leave(from: &Path, sockets: &'static [&'static str]) -> Result<(), Failure> {
    let from = from.to_owned();
    let own = |name: &str| name == "projects" || name.starts_with(DATABASE) || sockets.contains(&name);
    on_disk(move || whole::remove("Not all of the old directory was taken away.", &from, &own)).await
}

async fn on_disk(work: impl FnOnce() -> Result<(), Failure> + Send + 'static) -> Result<(), Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|died| Err(Failure::new(WHAT, format!("The work on its files died: {died}."), "Do it again.")))
}

impl Desk {
    /// Lets go of the data directory, for whoever holds its helper's lock and moves it to `to`, which is the directory with these
    /// numbers. Nothing new is taken from now on; dockmaster goes on, there or here, once that lock is free.
    ///
    /// # Errors
    /// Not allowed, an operation runs, nobody is about to move it, or this dockmaster could not go on there.
    pub fn step_aside(&self, actor: &Actor, to: &Path, device: u64, inode: u64) -> Result<(), Refusal> {
        allow(&self.configuration(), actor, None, Role::Admin).map_err(Refusal::Denied)?;
        if !HelperLock::is_held(&self.tools.data) {
            return Err(Failure::new(WHAT, "Nobody is about to move it.", "Use dockmaster move-data.").into());
        }
        let seen = rustix::fs::stat(to).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == (device, inode));
        if !seen || rustix::fs::access(to, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).is_err() {
            let why = format!("The dockmaster that runs does not see {} as you do, or may not write there.", UntrustedText::path(&to));
            return Err(
                Failure::new(WHAT, why, "Stop it, move the data, and start it with --data, and with the right to write there.").into()
            );
        }
        let busy = Busy { what: "move of the data".to_owned(), who: actor.label(), since: self.now() };
        let closed = self.tools.registry.close(busy);
        if let Some((project, busy)) = self.tools.registry.held() {
            return Err(Refusal::Busy(project, busy));
        }
        tracing::info!(to = %to.display(), "lets go of the data directory, which is moved");
        // A second one has closed it already, and is as good.
        drop(self.aside.set(closed));
        self.tools.stopping.cancel();
        Ok(())
    }

    /// Whether this dockmaster has let go for a move.
    pub fn is_aside(&self) -> bool {
        self.aside.get().is_some()
    }
}
