//! Where the data of a data directory is: there, or where `dockmaster move-data` has moved it.
//!
//! A directory that was moved holds a note of where to ([`MOVED`]), one that is being filled a mark of where from ([`MOVING`]).
//! What decides is the note alone. Until it is written, in one step, the old directory is the one that counts, and the new one is
//! not taken for whole; from then on it is the other way round. So there is one at any moment, whatever ends the move.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::DATABASE;
use super::lock::LockError;

/// The note in a directory that was moved.
pub const MOVED: &str = "moved";
/// The mark in a directory that is being filled.
pub const MOVING: &str = "moving";
/// What both are written as before they count.
pub const UNWRITTEN: [&str; 2] = ["moved.new", "moving.new"];
/// The most that is read of either.
const LENGTH_MAX: u64 = 16 * 1024;
/// How often one directory may have been moved on to another.
const HOPS_MAX: usize = 16;

/// Where to a directory was moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// There.
    pub to: PathBuf,
    /// The move's own name.
    pub mark: String,
}

/// Where from a directory is being filled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moving {
    /// From there.
    pub from: PathBuf,
    /// The move's own name, which its processes carry.
    pub mark: String,
    /// Whether all of it is there and on the disk.
    pub whole: bool,
}

impl Moved {
    /// The note in a directory.
    ///
    /// # Errors
    /// It cannot be read, is none, or is somebody else's.
    pub fn of(dir: &Path) -> io::Result<Option<Self>> {
        read(dir, MOVED)
    }

    /// Writes it down where it does not count yet: there must be room for it before anything else is done.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn prepare(&self, dir: &Path) -> io::Result<()> {
        write(dir, UNWRITTEN[0], self)
    }

    /// Makes what was prepared count.
    ///
    /// # Errors
    /// It cannot be written. It may count all the same: look.
    pub fn settle(dir: &Path) -> io::Result<()> {
        put(dir, UNWRITTEN[0], MOVED)
    }
}

impl Moving {
    /// The mark in a directory.
    ///
    /// # Errors
    /// It cannot be read, is none, or is somebody else's.
    pub fn of(dir: &Path) -> io::Result<Option<Self>> {
        read(dir, MOVING)
    }

    /// Writes it into a directory.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn set(&self, dir: &Path) -> io::Result<()> {
        write(dir, UNWRITTEN[1], self)?;
        put(dir, UNWRITTEN[1], MOVING)
    }

    /// Whether the directory that it comes from was given up for it.
    fn is_settled(&self) -> bool {
        self.whole && Moved::of(&self.from).is_ok_and(|moved| moved.is_some_and(|moved| moved.mark == self.mark))
    }
}

/// Takes one of these files away, where it is there.
///
/// # Errors
/// It cannot be.
pub fn forget(dir: &Path, name: &str) -> io::Result<()> {
    match std::fs::remove_file(dir.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => File::open(dir)?.sync_all(),
    }
}

fn read<T: DeserializeOwned>(dir: &Path, name: &str) -> io::Result<Option<T>> {
    let no_link = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(no_link).open(dir.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    // Root does not go where somebody else sends it.
    if file.metadata()?.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("“{name}” in it belongs to another user")));
    }
    let mut text = String::new();
    file.take(LENGTH_MAX).read_to_string(&mut text)?;
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("“{name}” in it cannot be read: {e}")))
}

fn write(dir: &Path, name: &str, what: &impl Serialize) -> io::Result<()> {
    let no_link = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).custom_flags(no_link);
    let mut file = options.open(dir.join(name))?;
    let text = serde_json::to_string(what).map_err(io::Error::other)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

fn put(dir: &Path, from: &str, to: &str) -> io::Result<()> {
    std::fs::rename(dir.join(from), dir.join(to))?;
    File::open(dir)?.sync_all()
}

/// Where the data of a directory is now.
///
/// # Errors
/// It was moved to where nothing is, or is not whole.
pub fn settled(dir: &Path) -> Result<PathBuf, LockError> {
    let mut at = dir.to_owned();
    for _ in 0..HOPS_MAX {
        match ready(&at) {
            Ok(()) => return Ok(at),
            Err(LockError::Moved { to, .. }) if to.join(DATABASE).exists() => at = to,
            Err(LockError::Moved { dir, to }) => return Err(LockError::Gone { dir, to }),
            Err(other) => return Err(other),
        }
    }
    Err(LockError::Gone { dir: dir.to_owned(), to: at })
}

/// Whether the data of a directory is there, and whole.
///
/// # Errors
/// It is elsewhere, or only some of it is there.
pub(super) fn ready(dir: &Path) -> Result<(), LockError> {
    let failed = |source| LockError::Io { dir: dir.to_owned(), source };
    if let Some(moved) = Moved::of(dir).map_err(failed)? {
        return Err(LockError::Moved { dir: dir.to_owned(), to: moved.to });
    }
    match Moving::of(dir).map_err(failed)? {
        Some(moving) if !moving.is_settled() => Err(LockError::Unfinished { dir: dir.to_owned(), from: moving.from, whole: moving.whole }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::lock::tests::take_soon;
    use crate::history::lock::{DataLock, Holder};

    struct Two {
        _root: tempfile::TempDir,
        old: PathBuf,
        new: PathBuf,
    }

    fn two() -> Two {
        let root = tempfile::tempdir().unwrap();
        let (old, new) = (root.path().join("old"), root.path().join("new"));
        for dir in [&old, &new] {
            std::fs::create_dir(dir).unwrap();
            std::fs::write(dir.join(DATABASE), "").unwrap();
        }
        Two { _root: root, old, new }
    }

    impl Two {
        /// Where a start in each of them ends up.
        fn starts(&self) -> [String; 2] {
            [&self.old, &self.new].map(|dir| {
                let said = match settled(dir) {
                    Ok(at) => take_soon(&at, Holder::Bot).map(|_| at.file_name().unwrap().to_string_lossy().into_owned()),
                    Err(error) => Err(error),
                };
                said.unwrap_or_else(|e| e.to_string().replace(&self._root.path().display().to_string(), ""))
            })
        }
    }

    #[test]
    fn at_each_step_of_a_move_one_of_the_two_counts() {
        let two = two();
        let (moved, moving) =
            (Moved { to: two.new.clone(), mark: "m".into() }, Moving { from: two.old.clone(), mark: "m".into(), whole: false });
        moved.prepare(&two.old).unwrap();
        moving.set(&two.new).unwrap();
        assert_eq!(two.starts(), ["old", "/new is being filled from /old (dockmaster move-data), and not whole: move it again"]);
        Moving { whole: true, ..moving.clone() }.set(&two.new).unwrap();
        let copy = "/new is a copy of /old, which was not given up for it: move it again";
        assert_eq!(two.starts(), ["old", copy]);
        // Another move's note settles nothing.
        Moved { mark: "other".into(), ..moved.clone() }.prepare(&two.old).unwrap();
        Moved::settle(&two.old).unwrap();
        assert_eq!(two.starts(), [copy, copy]);
        moved.prepare(&two.old).unwrap();
        Moved::settle(&two.old).unwrap();
        assert!(two.new.join(MOVING).exists());
        assert_eq!(two.starts(), ["new", "new"]);
        assert!(!two.new.join(MOVING).exists(), "whoever takes it tidies up");
        assert_eq!(two.starts(), ["new", "new"]);
    }

    #[test]
    fn what_was_moved_to_where_nothing_is_is_not_begun_anew() {
        let two = two();
        Moved { to: two.new.clone(), mark: "m".into() }.prepare(&two.old).unwrap();
        Moved::settle(&two.old).unwrap();
        std::fs::remove_file(two.new.join(DATABASE)).unwrap();
        assert_eq!(two.starts()[0], "the data of /old was moved to /new, and is not there");
        assert!(matches!(DataLock::take(&two.old, Holder::Bot), Err(LockError::Moved { .. })));
        // Round and round.
        std::fs::write(two.new.join(DATABASE), "").unwrap();
        Moved { to: two.old.clone(), mark: "m".into() }.prepare(&two.new).unwrap();
        Moved::settle(&two.new).unwrap();
        assert!(matches!(settled(&two.old), Err(LockError::Gone { .. })));
    }

    #[test]
    fn a_note_that_is_none_leads_nowhere() {
        let two = two();
        std::fs::write(two.old.join(MOVED), "?").unwrap();
        assert!(two.starts()[0].contains("“moved” in it cannot be read"), "{:?}", two.starts());
        std::fs::remove_file(two.old.join(MOVED)).unwrap();
        std::os::unix::fs::symlink(two.new.join(DATABASE), two.old.join(MOVED)).unwrap();
        assert!(settled(&two.old).is_err());
    }
}
