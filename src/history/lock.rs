//! One dockmaster to a data directory.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::whereabouts::{self, MOVING};

/// The most that is read of a lock file.
const PID_MAX: u64 = 32;

/// Holds a data directory. The lock is the kernel's: it ends with this value or with the process, however it ends. What is
/// written in the file is overwritten by the next holder.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

/// Who takes a data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The bot, which keeps it until it is told to end.
    Bot,
    /// A command on a terminal, which is soon done.
    Command,
    /// The helper of a bot that is being replaced, which is soon done.
    Helper,
}

impl Holder {
    fn word(self) -> &'static str {
        match self {
            Self::Bot => "run",
            Self::Command => "command",
            Self::Helper => "helper",
        }
    }
}

/// Why a data directory could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("another dockmaster{} uses this data directory ({})", pid.map(|p| format!(" (pid {p})")).unwrap_or_default(), dir.display())]
    Taken {
        /// The directory.
        dir: PathBuf,
        /// Their process, where they have written it down yet.
        pid: Option<u32>,
        /// Whether they will be done soon.
        soon_done: bool,
        /// Whether that process has ended: what it was just starting when it was killed has the lock until it is another program.
        ended: bool,
    },
    /// It is somebody else's, and we are root.
    #[error("the data directory {} belongs to another user ({owner}): do it as that user (sudo -u '#{owner}' dockmaster ..)", dir.display())]
    Foreign {
        /// The directory.
        dir: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// What it held is elsewhere.
    #[error("the data of {} was moved to {}", dir.display(), to.display())]
    Moved {
        /// The directory.
        dir: PathBuf,
        /// Where to.
        to: PathBuf,
    },
    /// What it held is not where it was moved to.
    #[error("the data of {} was moved to {}, and is not there", dir.display(), to.display())]
    Gone {
        /// The directory.
        dir: PathBuf,
        /// Where to.
        to: PathBuf,
    },
    /// A move into it was not finished.
    #[error(
        "{} is {}: move it again",
        dir.display(),
        if *whole { format!("a copy of {}, which was not given up for it", from.display()) }
        else { format!("being filled from {} (dockmaster move-data), and not whole", from.display()) }
    )]
    Unfinished {
        /// The directory.
        dir: PathBuf,
        /// Where from.
        from: PathBuf,
        /// Whether all of it is there.
        whole: bool,
    },
    /// It could not be made or locked.
    #[error("the data directory {} cannot be used: {source}", dir.display())]
    Io {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl DataLock {
    /// Its name below the data directory.
    pub const NAME: &str = "lock";

    /// Takes a data directory, and makes it (for our eyes only) where there is none.
    ///
    /// # Errors
    /// Another dockmaster has it, it cannot be made or written, or its data is elsewhere or not whole.
    pub fn take(dir: &Path, holder: Holder) -> Result<Self, LockError> {
        let lock = Self::take_as_it_is(dir, holder)?;
        whereabouts::ready(dir)?;
        // Of a move that was finished, and ended before it had tidied up.
        whereabouts::forget(dir, MOVING).map_err(|source| LockError::Io { dir: dir.to_owned(), source })?;
        Ok(lock)
    }

    /// As [`DataLock::take`], wherever its data is: for whoever moves it.
    ///
    /// # Errors
    /// Another dockmaster has it, or it cannot be made or written.
    pub fn take_as_it_is(dir: &Path, holder: Holder) -> Result<Self, LockError> {
        let failed = |source| LockError::Io { dir: dir.to_owned(), source };
        if let Some(parent) = dir.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        match DirBuilder::new().mode(0o700).create(dir) {
            Err(error) if !dir.is_dir() => return Err(failed(error)),
            _ => {}
        }
        let seen = std::fs::metadata(dir).map_err(failed)?;
        let owner = seen.uid();
        // What root makes there its owner could not use any more; and what its owner put there is not for root to trust.
        if holder == Holder::Command && rustix::process::geteuid().is_root() && owner != 0 {
            return Err(LockError::Foreign { dir: dir.to_owned(), owner });
        }
        // Closed on exec, as all our files are: a process that outlives us does not keep the lock.
        let no_link = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(no_link);
        let mut file = options.open(dir.join(Self::NAME)).map_err(failed)?;
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => {
                    let mut written = String::new();
                    let read = (&file).take(PID_MAX).read_to_string(&mut written);
                    let mut words = read.map_or("", |_| written.as_str()).split_whitespace();
                    let pid: Option<u32> = words.next().and_then(|pid| pid.parse().ok());
                    let process = pid.and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed()));
                    let ended = process.is_some_and(|process| rustix::process::test_kill_process(process) == Err(Errno::SRCH));
                    // Who has not written anything down yet is asked again.
                    let soon_done = words.next().is_none_or(|word| word != Holder::Bot.word());
                    return Err(LockError::Taken { dir: dir.to_owned(), pid, soon_done, ended });
                }
                Err(error) => return Err(failed(error.into())),
            }
        }
        tighten(dir, &seen);
        file.set_len(0).and_then(|()| writeln!(file, "{} {}", std::process::id(), holder.word())).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// Takes the rights of group and others away: the data is for its owner alone.
fn tighten(dir: &Path, seen: &Metadata) {
    let (mode, others) = (seen.mode() & 0o7777, seen.mode() & 0o077);
    if others == 0 {
        return;
    }
    // Root may change what is another user's, and does not: who shared it may have meant that.
    let is_ours = seen.uid() == rustix::process::geteuid().as_raw();
    let private = Permissions::from_mode(mode & 0o7700);
    if is_ours && std::fs::set_permissions(dir, private).is_ok() {
        tracing::info!("the data directory {} had mode {mode:o}: nobody but its owner may enter it now", dir.display());
    } else {
        tracing::warn!("other users may look into the data directory {} (mode {mode:o}): chmod go= {}", dir.display(), dir.display());
    }
}

/// Held by a helper for as long as it is there, beside the data directory's own lock: whoever handed over to it sees so that
/// it still is. So does whoever moves the data directory, while the dockmaster that runs waits.
#[derive(Debug)]
pub struct HelperLock {
    _file: File,
}

impl HelperLock {
    /// Its name below the data directory.
    pub const NAME: &str = "helper.lock";

    /// Takes it; none where another helper has it.
    ///
    /// # Errors
    /// The data directory cannot be written.
    pub fn take(dir: &Path) -> std::io::Result<Option<Self>> {
        let no_link = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(no_link);
        let file = options.open(dir.join(Self::NAME))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a helper has it. Where that cannot be seen, none has.
    pub fn is_held(dir: &Path) -> bool {
        // Nothing is made here: whoever only asks may be another user.
        let Ok(file) = File::open(dir.join(Self::NAME)) else { return false };
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Takes a lock that was let go just now: a program that another test starts at this moment has it until it runs.
    pub(in super::super) fn take_soon(dir: &Path, holder: Holder) -> Result<DataLock, LockError> {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
        loop {
            match DataLock::take(dir, holder) {
                Err(LockError::Taken { .. }) if std::time::Instant::now() < until => std::thread::yield_now(),
                taken => return taken,
            }
        }
    }

    #[test]
    fn one_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("deep/data");
        let first = DataLock::take(&dir, Holder::Command).unwrap();
        assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        let refused = DataLock::take(&dir, Holder::Bot).unwrap_err();
        assert!(matches!(refused, LockError::Taken { soon_done: true, .. }), "{refused:?}");
        let refused = refused.to_string();
        let expected = format!("another dockmaster (pid {}) uses this data directory ({})", std::process::id(), dir.display());
        assert_eq!(refused, expected);
        assert!(rustix::io::fcntl_getfd(&first._file).unwrap().contains(rustix::io::FdFlags::CLOEXEC), "no child keeps it");
        drop(first);
        // One that somebody made with the usual rights.
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o2755)).unwrap();
        drop(take_soon(&dir, Holder::Command).unwrap());
        assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o7777, 0o2700);
        // A longer number that somebody left must not shine through.
        std::fs::write(dir.join("lock"), "99999999999999\n").unwrap();
        let _again = take_soon(&dir, Holder::Bot).unwrap();
        assert_eq!(std::fs::read_to_string(dir.join("lock")).unwrap(), format!("{} run\n", std::process::id()));
        let refused = DataLock::take(&dir, Holder::Command).unwrap_err();
        assert!(matches!(refused, LockError::Taken { soon_done: false, ended: false, .. }), "{refused:?}");
        // It was killed, and what it was starting has the lock for a moment. No process has that number.
        std::fs::write(dir.join("lock"), format!("{} run\n", i32::MAX)).unwrap();
        let refused = DataLock::take(&dir, Holder::Bot).unwrap_err();
        assert!(matches!(refused, LockError::Taken { soon_done: false, ended: true, .. }), "{refused:?}");
    }

    #[test]
    fn a_helper_is_seen_for_as_long_as_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!HelperLock::is_held(dir.path()));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "asking makes nothing");
        let helper = HelperLock::take(dir.path()).unwrap();
        assert!(helper.is_some() && HelperLock::is_held(dir.path()) && HelperLock::take(dir.path()).unwrap().is_none());
        drop(helper);
        assert!(!HelperLock::is_held(dir.path()));
        assert!(!HelperLock::is_held(&dir.path().join("nowhere")));
    }

    #[test]
    fn what_is_no_directory_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let refused = DataLock::take(&file, Holder::Bot).unwrap_err().to_string();
        assert!(refused.starts_with(&format!("the data directory {} cannot be used: ", file.display())), "{refused}");
    }
}
