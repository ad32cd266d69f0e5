//! The control socket: how the terminal reaches the dockmaster that works in a data directory.

use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::router;
use crate::domain::access::Actor;
use crate::operations::Desk;

/// Its name below the data directory.
pub const NAME: &str = "control.sock";
/// Where it is made: nobody else may get at it before its mode is right.
pub const NEW: &str = "control.new";
/// How long answers that were begun may take at the end.
const END: Duration = Duration::from_secs(5);

/// A socket's place. The kernel takes no path of more than 107 bytes, and a data directory may be deep: so the directory is
/// opened, and the socket is named from there.
#[derive(Debug)]
pub struct Place {
    directory: File,
}

impl Place {
    /// In this directory.
    ///
    /// # Errors
    /// It is not there, or may not be opened.
    pub fn below(directory: &Path) -> io::Result<Self> {
        Ok(Self { directory: File::open(directory)? })
    }

    fn named(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.directory.as_raw_fd()))
    }

    /// The socket's path, for as long as this value lives, in this process.
    pub fn path(&self) -> PathBuf {
        self.named(NAME)
    }

    /// Whether somebody answers there.
    ///
    /// # Errors
    /// It cannot be told: we may not ask, for one.
    pub async fn is_answered(&self) -> io::Result<bool> {
        match UnixStream::connect(self.path()).await {
            Ok(_) => Ok(true),
            // Nobody, or one that was killed.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A control socket that nobody serves yet: whoever asks waits.
#[derive(Debug)]
pub struct Bound {
    place: Place,
    listener: UnixListener,
}

/// Makes the control socket of a directory that is held, for our own user alone. What a dockmaster that was killed has left
/// there is replaced.
///
/// # Errors
/// It cannot be made.
pub fn bind(directory: &Path) -> io::Result<Bound> {
    let place = Place::below(directory)?;
    let (new, socket) = (place.named(NEW), place.named(NEW).join(NAME));
    match std::fs::remove_dir_all(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    DirBuilder::new().mode(0o700).create(&new)?;
    let listener = UnixListener::bind(&socket)?;
    std::fs::set_permissions(&socket, Permissions::from_mode(0o600))?;
    std::fs::rename(&socket, place.path())?;
    std::fs::remove_dir(&new)?;
    Ok(Bound { place, listener })
}

/// A control socket that is served. It is taken away when this is dropped.
#[derive(Debug)]
pub struct Served {
    place: Place,
    closing: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Bound {
    /// Serves it.
    pub fn serve(self, desk: Arc<Desk>) -> Served {
        let closing = CancellationToken::new();
        let (app, closed) = (router(desk, Actor::Console), closing.clone());
        let task = tokio::spawn(async move {
            // Accepting never fails for good, so there is no error to report.
            let _ = axum::serve(self.listener, app).with_graceful_shutdown(closed.cancelled_owned()).await;
        });
        Served { place: self.place, closing, task: Some(task) }
    }
}

impl Served {
    /// Lets nobody in any more, and lets answers that were begun come to their end.
    pub async fn end(mut self) {
        self.closing.cancel();
        if let Some(mut task) = self.task.take()
            && tokio::time::timeout(END, &mut task).await.is_err()
        {
            task.abort();
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.closing.cancel();
        if let Some(task) = &self.task {
            task.abort();
        }
        // Nobody listens any more. Where it cannot be taken away, whoever tries it is refused by the kernel.
        let _ = std::fs::remove_file(self.place.path());
    }
}
