//! One tree, reached from its root one directory at a time: no link is ever followed below the root.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::cache::Hashes;
use crate::domain::manifest::{Entry, Node, TreePath};

/// How much of a file is read at a time.
const CHUNK: usize = 128 * 1024;
/// How deep directories may lie within each other: each level holds a file descriptor while it is walked.
pub(super) const DEPTH_MAX: usize = 200;

/// Why something could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadError {
    System(Errno),
    Cancelled,
}

impl From<Errno> for ReadError {
    fn from(errno: Errno) -> Self {
        Self::System(errno)
    }
}

/// What was found at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing, or it went while it was looked at.
    Nothing,
    /// Something that a tree is made of; whether it was changed while it was read, twice.
    Entry(Entry, bool),
    /// Something that is no file: what.
    Special(&'static str),
}

/// A tree, with the directory in which something was looked up last.
pub(super) struct Tree {
    root: OwnedFd,
    last: Option<(Vec<u8>, OwnedFd)>,
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Tree {
    /// Opens the root, which itself may be a link.
    pub(super) fn open(root: &Path) -> Result<Self, Errno> {
        let root = rustix::fs::open(root, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { root, last: None })
    }

    /// The root's descriptor.
    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// The directory that holds a path, and the path's own name. None where a directory on the way is not there or is none.
    pub(super) fn parent<'p>(&mut self, path: &'p TreePath) -> Result<Option<(BorrowedFd<'_>, &'p [u8])>, Errno> {
        let bytes = path.bytes();
        let Some(slash) = bytes.iter().rposition(|b| *b == b'/') else { return Ok(Some((self.root.as_fd(), bytes))) };
        let (above, name) = (&bytes[..slash], &bytes[slash + 1..]);
        if self.last.as_ref().is_none_or(|(known, _)| known != above) {
            self.last = None;
            let mut at = None;
            for part in above.split(|b| *b == b'/') {
                let from = at.as_ref().map_or(self.root.as_fd(), OwnedFd::as_fd);
                match open_directory(from, part)? {
                    Some(next) => at = Some(next),
                    None => return Ok(None),
                }
            }
            self.last = at.map(|opened| (above.to_vec(), opened));
        }
        Ok(self.last.as_ref().map(|(_, opened)| (opened.as_fd(), name)))
    }

    /// What the system says about a path; none where nothing is there.
    pub(super) fn stat(&mut self, path: &TreePath) -> Result<Option<Stat>, Errno> {
        match self.parent(path)? {
            Some((parent, name)) => stat(parent, name),
            None => Ok(None),
        }
    }

    /// What is at a path.
    pub(super) fn read(&mut self, path: &TreePath, hashes: Hashes<'_>, cancel: &CancellationToken) -> Result<Found, ReadError> {
        match self.parent(path)? {
            Some((parent, name)) => match stat(parent, name)? {
                Some(seen) => read(parent, name, &seen, hashes, cancel),
                None => Ok(Found::Nothing),
            },
            None => Ok(Found::Nothing),
        }
    }

    /// Opens a directory of the tree; the root for the empty path.
    pub(super) fn directory(&mut self, path: &TreePath) -> Result<Option<OwnedFd>, Errno> {
        if path.bytes().is_empty() {
            return Ok(Some(rustix::io::fcntl_dupfd_cloexec(&self.root, 0)?));
        }
        match self.parent(path)? {
            Some((parent, name)) => open_directory(parent, name),
            None => Ok(None),
        }
    }

    /// Deletes a file or a link; whether there was one. Directories stay.
    pub(super) fn delete_file(&mut self, path: &TreePath) -> Result<bool, Errno> {
        self.delete(path, AtFlags::empty())
    }

    /// Deletes an empty directory; whether it was one.
    pub(super) fn delete_directory(&mut self, path: &TreePath) -> Result<bool, Errno> {
        self.last = None;
        self.delete(path, AtFlags::REMOVEDIR)
    }

    fn delete(&mut self, path: &TreePath, flags: AtFlags) -> Result<bool, Errno> {
        let Some((parent, name)) = self.parent(path)? else { return Ok(false) };
        match rustix::fs::unlinkat(parent, name, flags) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT | Errno::ISDIR | Errno::NOTDIR | Errno::NOTEMPTY | Errno::EXIST | Errno::BUSY) => Ok(false),
            // Linux says so of a directory where a file was to be deleted.
            Err(Errno::PERM) if stat(parent, name)?.is_some_and(|s| file_type(&s) == FileType::Directory) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Opens a directory; none where it is not there, is a link or no directory.
pub(super) fn open_directory(parent: BorrowedFd<'_>, name: &[u8]) -> Result<Option<OwnedFd>, Errno> {
    match rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()) {
        Ok(opened) => Ok(Some(opened)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What the system says about a name, links not followed; none where nothing is there.
pub(super) fn stat(parent: BorrowedFd<'_>, name: &[u8]) -> Result<Option<Stat>, Errno> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What kind of thing it is.
pub(super) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Its permission bits.
pub(super) fn mode(stat: &Stat) -> u32 {
    stat.st_mode & 0o7777
}

/// What is called what, for people.
pub(super) fn special(kind: FileType) -> &'static str {
    match kind {
        FileType::Socket => "a socket",
        FileType::Fifo => "a named pipe",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "no file",
    }
}

/// The names in a directory, sorted, and at most `most` of them and one more.
pub(super) fn names(directory: BorrowedFd<'_>, most: usize) -> Result<Vec<Vec<u8>>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(name.to_vec());
        }
        if names.len() > most {
            break;
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// What is at a name of a directory, where `seen` is what the system just said about it. What changes while it is looked
/// at is looked at once more.
pub(super) fn read(
    parent: BorrowedFd<'_>,
    name: &[u8],
    seen: &Stat,
    hashes: Hashes<'_>,
    cancel: &CancellationToken,
) -> Result<Found, ReadError> {
    match read_once(parent, name, seen, hashes, cancel)? {
        Found::Entry(_, true) => match stat(parent, name)? {
            Some(seen) => read_once(parent, name, &seen, hashes, cancel),
            None => Ok(Found::Nothing),
        },
        found => Ok(found),
    }
}

fn read_once(parent: BorrowedFd<'_>, name: &[u8], seen: &Stat, hashes: Hashes<'_>, cancel: &CancellationToken) -> Result<Found, ReadError> {
    match file_type(seen) {
        FileType::Directory => Ok(Found::Entry(Entry { node: Node::Directory, mode: mode(seen) }, false)),
        FileType::Symlink => match rustix::fs::readlinkat(parent, name, Vec::new()) {
            Ok(target) => Ok(Found::Entry(Entry { node: Node::Link(TreePath::new(target.into_bytes())), mode: 0 }, false)),
            Err(Errno::NOENT) => Ok(Found::Nothing),
            // It is no link any more.
            Err(Errno::INVAL) => Ok(Found::Entry(Entry { node: Node::Link("".into()), mode: 0 }, true)),
            Err(error) => Err(error.into()),
        },
        FileType::RegularFile => match hashes.known(seen) {
            Some(node) => Ok(Found::Entry(Entry { node, mode: mode(seen) }, false)),
            None => read_file(parent, name, hashes, cancel),
        },
        other => Ok(Found::Special(special(other))),
    }
}

fn read_file(parent: BorrowedFd<'_>, name: &[u8], hashes: Hashes<'_>, cancel: &CancellationToken) -> Result<Found, ReadError> {
    // Should it have become a pipe meanwhile, opening it must not wait for a writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let nothing_certain = Found::Entry(Entry { node: Node::File { hash: String::new(), size: 0 }, mode: 0 }, true);
    let opened = match rustix::fs::openat(parent, name, flags, Mode::empty()) {
        Ok(opened) => opened,
        Err(Errno::NOENT) => return Ok(Found::Nothing),
        Err(Errno::LOOP | Errno::NXIO) => return Ok(nothing_certain),
        Err(error) => return Err(error.into()),
    };
    let before = rustix::fs::fstat(&opened)?;
    if file_type(&before) != FileType::RegularFile {
        return Ok(nothing_certain);
    }
    let mut file = File::from(opened);
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; CHUNK];
    let mut size = 0;
    loop {
        if cancel.is_cancelled() {
            return Err(ReadError::Cancelled);
        }
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                hasher.update(&buffer[..read]);
                size += read as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO).into()),
        }
    }
    let after = rustix::fs::fstat(&file)?;
    let state = |s: &Stat| (s.st_size, s.st_mtime, s.st_mtime_nsec, s.st_ctime, s.st_ctime_nsec, s.st_mode);
    let changed = state(&before) != state(&after) || u64::try_from(after.st_size) != Ok(size);
    let hash = hasher.finalize();
    if !changed {
        hashes.learn(&after, hash);
    }
    let node = Node::File { hash: hash.to_hex().to_string(), size };
    Ok(Found::Entry(Entry { node, mode: mode(&after) }, changed))
}

/// Deletes whatever is at a name, with everything below. Only for what is ours alone.
pub(super) fn remove_all(parent: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    // A copy of the deepest tree goes, too, in the directories of ours that hold it.
    remove_below(parent, name, DEPTH_MAX + 4)
}

fn remove_below(parent: BorrowedFd<'_>, name: &[u8], depth: usize) -> Result<(), Errno> {
    match stat(parent, name)? {
        None => return Ok(()),
        Some(seen) if file_type(&seen) != FileType::Directory => return gone(rustix::fs::unlinkat(parent, name, AtFlags::empty())),
        Some(_) if depth == 0 => return Err(Errno::NAMETOOLONG),
        Some(_) => {}
    }
    let Some(directory) = open_directory(parent, name).or_else(|error| unlock(parent, name, error))? else { return Ok(()) };
    // A copied directory may be one that its owner cannot write to.
    rustix::fs::fchmod(&directory, Mode::RWXU)?;
    for below in names(directory.as_fd(), usize::MAX - 1)? {
        remove_below(directory.as_fd(), &below, depth - 1)?;
    }
    gone(rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR))
}

/// Opens a directory of ours that its owner cannot even read.
fn unlock(parent: BorrowedFd<'_>, name: &[u8], error: Errno) -> Result<Option<OwnedFd>, Errno> {
    if error != Errno::ACCESS {
        return Err(error);
    }
    rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
    open_directory(parent, name)
}

fn gone(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// An error of the system in words, without its number.
pub(super) fn words(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
