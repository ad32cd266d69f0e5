//! The place of a process: all that its keeper and whoever asks it have in common. For our own user alone, since what is run
//! may have secrets in its environment. All of it is small and local, so it is read and written where it is needed.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use tokio::time::{Instant, sleep};

use super::aside::Before;
use super::report::Report;
use super::spec::ProcessSpec;
use crate::process::{self, Identity};

/// What is run.
const SPEC: &str = "spec.json";
/// The last that the keeper wrote down.
const STATE: &str = "state.json";
/// There as long as it is to run, also after everything that runs was ended.
const WANTED: &str = "wanted";
/// By what its processes are found.
const MARK: &str = "mark";
/// Held by the keeper for as long as it lives.
const LOCK: &str = "lock";
/// Held by whoever starts, stops or forgets it.
const TURN: &str = "turn";
/// Where the keeper answers.
const SOCKET: &str = "socket";
/// The most that is read of any of these.
const READ_MAX: u64 = 4 * 1024 * 1024;
/// How often a lock is tried that somebody else has.
const TRY: Duration = Duration::from_millis(10);
/// How many bytes a mark is made of.
const MARK_BYTES: usize = 16;

/// The place of a process.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// The kernel takes no path of more than 107 bytes for a socket, so that is named from here.
    directory: File,
}

/// A lock that is held. It is the kernel's, and ends with this value or with the process, however that ends.
#[derive(Debug)]
pub(super) struct Held(#[expect(dead_code, reason = "held, not read")] File);

impl Place {
    /// Made where it is not there.
    pub(super) fn make(path: &Path) -> io::Result<Self> {
        DirBuilder::new().mode(0o700).recursive(true).create(path)?;
        Self::open(path)
    }

    /// One that is there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), directory: File::open(path)? })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The socket's path, for as long as this value lives, in this process.
    pub(super) fn socket(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", self.directory.as_raw_fd()))
    }

    /// What is run there; none where nothing was said yet.
    pub(super) fn spec(&self) -> io::Result<Option<ProcessSpec>> {
        let Some(text) = self.read(SPEC)? else { return Ok(None) };
        Ok(Some(serde_json::from_slice(&text)?))
    }

    pub(super) fn set_spec(&self, spec: &ProcessSpec) -> io::Result<()> {
        self.write(SPEC, &serde_json::to_vec(spec)?, true)
    }

    /// What it was before an operation.
    pub(super) fn before(&self, operation: i64) -> io::Result<Option<Before>> {
        let Some(text) = self.read(&before(operation))? else { return Ok(None) };
        Ok(Some(serde_json::from_slice(&text)?))
    }

    pub(super) fn set_before(&self, operation: i64, what: &Before) -> io::Result<()> {
        self.write(&before(operation), &serde_json::to_vec(what)?, true)
    }

    pub(super) fn forget_before(&self, operation: i64) -> io::Result<()> {
        match std::fs::remove_file(self.path.join(before(operation))) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// What the keeper wrote down last. One that cannot be read is none: it tells only of what was.
    pub(super) fn report(&self) -> Option<Report> {
        serde_json::from_slice(&self.read(STATE).ok()??).ok()
    }

    pub(super) fn set_report(&self, report: &Report) -> io::Result<()> {
        self.write(STATE, &serde_json::to_vec(report)?, false)
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.path.join(WANTED).exists()
    }

    pub(super) fn want(&self) -> io::Result<()> {
        if self.is_wanted() { Ok(()) } else { self.write(WANTED, b"", true) }
    }

    /// Needs no room on the disk.
    pub(super) fn unwant(&self) -> io::Result<()> {
        match std::fs::remove_file(self.path.join(WANTED)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// By what the process and all that it starts is found.
    pub(super) fn mark(&self) -> io::Result<Option<String>> {
        Ok(self.read(MARK)?.map(|mark| String::from_utf8_lossy(&mark).into_owned()))
    }

    /// The same, made where there is none. Only in one's turn.
    pub(super) fn make_mark(&self) -> io::Result<String> {
        if let Some(mark) = self.mark()? {
            return Ok(mark);
        }
        let mut bytes = [0; MARK_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
        let mark: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.write(MARK, mark.as_bytes(), true)?;
        Ok(mark)
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(self.path.join(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut text = Vec::new();
        file.take(READ_MAX).read_to_end(&mut text)?;
        Ok(Some(text))
    }

    /// Replaces a file as a whole; on the disk before this returns where it must outlive a power cut.
    fn write(&self, name: &str, text: &[u8], lasting: bool) -> io::Result<()> {
        let new = self.path.join(format!("{name}.new"));
        let written = own().truncate(true).open(&new).and_then(|mut file| {
            file.write_all(text)?;
            if lasting { file.sync_all() } else { Ok(()) }
        });
        let done = written.and_then(|()| std::fs::rename(&new, self.path.join(name)));
        if done.is_err() {
            // It would take room that there may be none of.
            let _ = std::fs::remove_file(&new);
        } else if lasting {
            self.directory.sync_all()?;
        }
        done
    }

    /// Takes the keeper's lock; none where somebody has it for all that time.
    pub(super) async fn lock(&self, patience: Duration) -> io::Result<Option<Held>> {
        self.held(LOCK, patience).await
    }

    /// Waits for one's turn; none where somebody has it for all that time.
    pub(super) async fn turn(&self, patience: Duration) -> io::Result<Option<Held>> {
        self.held(TURN, patience).await
    }

    async fn held(&self, name: &str, patience: Duration) -> io::Result<Option<Held>> {
        let until = Instant::now() + patience;
        loop {
            let file = own().truncate(false).read(true).open(self.path.join(name))?;
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                // It may have been taken away with the place, and made again, since it was opened.
                Ok(()) if self.is_still(name, &file)? => return Ok(Some(Held(file))),
                Ok(()) | Err(Errno::WOULDBLOCK | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            sleep(TRY).await;
        }
    }

    fn is_still(&self, name: &str, file: &File) -> io::Result<bool> {
        match std::fs::metadata(self.path.join(name)) {
            Ok(now) => Ok(now.ino() == file.metadata()?.ino()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Ends what was left of its process by a keeper that was killed. Only with the keeper's lock.
    pub(super) async fn end_left(&self, patience: Duration) -> io::Result<()> {
        if let Some(process) = self.process() {
            process::end_group(&process, patience).await;
        }
        if let Some(mark) = self.mark()? {
            process::end_survivors(&mark, patience).await;
        }
        Ok(())
    }

    /// The process that was started last, as far as that was written down.
    fn process(&self) -> Option<Identity> {
        self.report()?.process
    }
}

fn before(operation: i64) -> String {
    format!("before-{operation}.json")
}

/// By what a keeper itself is found.
pub(super) fn keepers(mark: &str) -> String {
    format!("{mark}-keeper")
}

/// Files for our own user alone.
pub(super) fn own() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}
