//! A process with its group, from its start until all of it is gone.

use std::process::ExitStatus;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tokio::process::Child;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::{GONE, POLL, ProcessError, survivors};

/// How far processes stand back where there is not enough processor time for all: at 5 they get a third of what we get, so
/// that questions are answered while deploys run.
pub(super) const NICENESS: i32 = 5;
/// The stack of a thread that waits for a process to end and does nothing else, in bytes. The allocator sets itself up on it, which takes
/// more than 50 KB where it is built without optimisations.
const WATCH_STACK: usize = 256 * 1024;

/// A process and its group. The process is not reaped before its group was ended: until then its number, which is the
/// group's, cannot be given to another.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) child: Child,
    pub(super) pid: Option<Pid>,
    /// Resolves when the process has ended; none once that was seen.
    watch: Option<oneshot::Receiver<()>>,
}

impl Group {
    pub(super) fn new(child: Child, program: &str) -> Result<Self, ProcessError> {
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let mut group = Self { child, pid, watch: None };
        group.watch = Some(watch(pid).map_err(|why| ProcessError::Spawn { program: program.to_owned(), why })?);
        Ok(group)
    }

    /// Lets others come first.
    pub(super) fn stand_back(&self) {
        let ours = rustix::process::getpriority_process(None).unwrap_or_default();
        // One that cannot stand back works all the same.
        let _ = rustix::process::setpriority_pgrp(self.pid, ours.saturating_add(NICENESS));
    }

    /// Waits until the process has ended, and leaves it unreaped.
    pub(super) async fn exited(&mut self) {
        if let Some(watch) = &mut self.watch {
            // An error would mean that the thread died, and it cannot do so before the process does.
            let _ = watch.await;
            self.watch = None;
        }
    }

    pub(super) fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid {
            // It can only fail because nobody is left.
            let _ = rustix::process::kill_process_group(pid, signal);
        }
    }

    /// Ends what is left of the group and reaps the process. After anything but a `clean` end it also waits until the
    /// others are gone: whoever cancelled must be able to rely on it.
    pub(super) async fn end(mut self, clean: bool) -> Option<ExitStatus> {
        self.signal(Signal::KILL);
        let gone = async {
            self.exited().await;
            while let Some(pid) = self.pid
                && !clean
                && survivors::group_is_alive(pid)
            {
                sleep(POLL).await;
            }
        };
        if timeout(GONE, gone).await.is_err() {
            tracing::warn!(group = self.pid.map(Pid::as_raw_nonzero), "a killed process group is still there");
            return None;
        }
        let status = self.child.wait().await;
        // Reaped: from here on the number may belong to somebody else.
        self.pid = None;
        status.ok()
    }
}

/// Tells when a child has ended, without reaping it. On a thread of its own: the runtime's way reaps at once, and a
/// process that the kernel cannot let go must not keep the runtime from stopping.
fn watch(pid: Option<Pid>) -> Result<oneshot::Receiver<()>, String> {
    let pid = pid.ok_or("it has no process number")?;
    let (tell, told) = oneshot::channel();
    let wait = move || {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(rustix::process::waitid(WaitId::Pid(pid), look), Err(Errno::INTR)) {}
        // Nobody listens where the future was dropped.
        let _ = tell.send(());
    };
    let thread = std::thread::Builder::new().name("process".to_owned()).stack_size(WATCH_STACK).spawn(wait);
    thread.map(|_| told).map_err(|error| error.to_string())
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
