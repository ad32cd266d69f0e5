//! Running rsync, and the work on files that blocks, for staging and for promotion alike.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::rsync;
use super::tree::{Tree, words};
use crate::domain::failure::Failure;
use crate::domain::text::duration;
use crate::domain::untrusted::UntrustedText;
use crate::process::{self, Invocation, MARK, ProcessError, TAIL_LINES};

/// How long one run of rsync may take.
pub(super) const LIMIT: Duration = Duration::from_secs(30 * 60);

/// How rsync is run.
pub(super) struct Rsync<'a> {
    pub(super) program: &'a Path,
    pub(super) what: &'static str,
    pub(super) limit: Duration,
    pub(super) mark: &'a str,
    pub(super) cancel: &'a CancellationToken,
}

/// A run of rsync that failed.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) failure: Failure,
    /// It ran to its end without some of what was listed: that may have gone or become something else.
    pub(super) partial: bool,
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        broken.failure
    }
}

impl Rsync<'_> {
    /// Runs rsync, once more where something vanished on the way.
    pub(super) async fn copy(&self, args: &[OsString], list: Vec<u8>, on_line: &mut (dyn FnMut(&str) + Send)) -> Result<(), Broken> {
        let invocation = Invocation::new(self.program)
            .args(args)
            .stdin(list)
            .limit(self.limit)
            .environment(MARK, self.mark)
            // Its messages are read.
            .environment("LC_ALL", "C")
            .stdout_lines();
        let mut again = true;
        loop {
            let mut said = VecDeque::new();
            let mut hear = |line: &str| {
                if !rsync::is_about_a_file(line) {
                    if said.len() == TAIL_LINES {
                        said.pop_front();
                    }
                    said.push_back(line.to_owned());
                }
                on_line(line);
            };
            let finished = process::run(&invocation, &mut hear, self.cancel).await;
            let said: Vec<String> = said.into();
            match finished {
                Ok(finished) if finished.success() => return Ok(()),
                Ok(finished) if again && rsync::vanished(finished.code, &said) => again = false,
                Ok(finished) => {
                    let partial = rsync::is_partial(finished.code);
                    return Err(Broken { failure: rsync::failure(self.what, finished.code, &said), partial });
                }
                Err(error) => return Err(Broken { failure: self.failure(error, said), partial: false }),
            }
        }
    }

    fn failure(&self, error: ProcessError, said: Vec<String>) -> Failure {
        let what = self.what;
        match error {
            ProcessError::NotFound { .. } => rsync::missing(what),
            ProcessError::TimedOut { limit, .. } => {
                let limit = duration(i64::try_from(limit.as_millis()).unwrap_or(i64::MAX));
                let why = format!("rsync took longer than {limit} and was ended.");
                Failure::new(what, why, "See whether the disk is slow or there is more than is meant, and ask again.").with_lines(said)
            }
            ProcessError::Cancelled { .. } => cancelled(what),
            other => Failure::new(what, format!("{other}."), "Mend that and ask again.").with_lines(said),
        }
    }
}

/// Somebody wanted it to end.
pub(super) fn cancelled(what: &str) -> Failure {
    Failure::new(what, "It was cancelled.", "Ask again when it suits.")
}

/// The errno behind an error of the standard library.
pub(super) fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// Where a path really lies.
pub(super) fn absolute(what: &str, path: &Path) -> Result<PathBuf, Failure> {
    path.canonicalize().map_err(|error| {
        let why = format!("{} cannot be opened: {}.", UntrustedText::path(&path), words(errno(&error)));
        Failure::new(what, why, "Mend that and ask again.")
    })
}

/// Brings everything of a tree's file system to the disk, so that a power cut does not take back what is said next.
pub(super) fn to_disk(what: &str, tree: &Tree) -> Result<(), Failure> {
    rustix::fs::syncfs(tree.root()).map_err(|errno| {
        let why = format!("The files could not be brought to the disk: {}.", words(errno));
        Failure::new(what, why, "Check the disk and ask again.")
    })
}

/// Does what blocks on a thread that may.
pub(super) async fn blocking<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|died| {
        Err(Failure::new(what, format!("The work on its files died: {died}."), "See dockmaster's log, and ask again."))
    })
}
