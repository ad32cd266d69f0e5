//! What a tree of files holds.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::cache::{HashCache, Hashes};
use super::parallel::spread;
use super::rules::Rules;
use super::tree::{self, DEPTH_MAX, Found, ReadError, Tree, file_type, words};
use crate::domain::Millis;
use crate::domain::manifest::{Entry, Manifest, Node, TreePath};
use crate::domain::untrusted::UntrustedText;

/// The most files, links and directories that a tree may hold.
pub const ENTRIES_MAX: usize = 1_000_000;

/// What a tree holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// Its files, links and directories, without the root and what the rules leave alone.
    pub manifest: Manifest,
    /// What is no file, and what it is: sockets, pipes and devices.
    pub skipped: Vec<(TreePath, String)>,
    /// Links that lead out of the tree, as far as their text says.
    pub escaping: Vec<TreePath>,
    /// Files that somebody was writing to: they are as they were at one moment, which may have passed.
    pub changing: Vec<TreePath>,
}

/// Why a tree could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// The root cannot be opened.
    #[error("{} cannot be read: {why}", UntrustedText::path(&root))]
    Root {
        /// The root.
        root: PathBuf,
        /// Why.
        why: String,
    },
    /// Something in it cannot be read.
    #[error("{path} cannot be read: {why}")]
    Unreadable {
        /// What.
        path: TreePath,
        /// Why.
        why: String,
    },
    /// There is too much of it.
    #[error("there are more than {ENTRIES_MAX} files")]
    TooMany,
    /// Directories lie in each other more deeply than anybody means.
    #[error("{path} lies more than {DEPTH_MAX} directories deep")]
    TooDeep {
        /// The directory.
        path: TreePath,
    },
    /// Somebody wants it to end.
    #[error("it was cancelled")]
    Cancelled,
}

/// Reads a tree: what is there, by content. Blocks.
///
/// # Errors
/// Something cannot be read, or there is too much of it. What vanishes meanwhile is no error: it is not there.
pub fn scan(root: &Path, rules: &Rules, cancel: &CancellationToken) -> Result<Scan, ScanError> {
    scan_cached(root, rules, &HashCache::disabled(), 0, cancel)
}

/// Reads a tree as [`scan`] does, and of its files only those that the cache does not know; it knows them then. `now` is
/// no later than the call.
///
/// # Errors
/// As of [`scan`].
pub fn scan_cached(root: &Path, rules: &Rules, cache: &HashCache, now: Millis, cancel: &CancellationToken) -> Result<Scan, ScanError> {
    scan_at_most(root, rules, Hashes { cache, now }, cancel, ENTRIES_MAX)
}

fn scan_at_most(root: &Path, rules: &Rules, hashes: Hashes<'_>, cancel: &CancellationToken, most: usize) -> Result<Scan, ScanError> {
    let unreadable = |errno| ScanError::Root { root: root.to_owned(), why: words(errno) };
    let tree = Tree::open(root).map_err(unreadable)?;
    let mut walk = Walk { rules, hashes, cancel, most, scan: Scan::default() };
    walk.directory(tree.root(), &TreePath::new(""), 0).map_err(|error| match error {
        // Only the root has no name of its own.
        ScanError::Unreadable { path, why } if path.bytes().is_empty() => ScanError::Root { root: root.to_owned(), why },
        other => other,
    })?;
    Ok(walk.scan)
}

struct Walk<'a> {
    rules: &'a Rules,
    hashes: Hashes<'a>,
    cancel: &'a CancellationToken,
    most: usize,
    scan: Scan,
}

impl Walk<'_> {
    fn directory(&mut self, directory: BorrowedFd<'_>, path: &TreePath, depth: usize) -> Result<(), ScanError> {
        if depth > DEPTH_MAX {
            return Err(ScanError::TooDeep { path: path.clone() });
        }
        let names = tree::names(directory, self.most).map_err(|errno| unreadable(path, errno))?;
        if names.len() > self.most {
            return Err(ScanError::TooMany);
        }
        for name in names {
            if self.cancel.is_cancelled() {
                return Err(ScanError::Cancelled);
            }
            let below = join(path, &name);
            self.entry(directory, &name, below, depth)?;
        }
        Ok(())
    }

    fn entry(&mut self, parent: BorrowedFd<'_>, name: &[u8], path: TreePath, depth: usize) -> Result<(), ScanError> {
        // Its kind first, which needs no right to read it: what is left alone is not opened.
        let Some(seen) = tree::stat(parent, name).map_err(|errno| unreadable(&path, errno))? else { return Ok(()) };
        if self.rules.excluded_itself(&path, file_type(&seen) == FileType::Directory) {
            return Ok(());
        }
        if self.scan.manifest.0.len() + self.scan.skipped.len() >= self.most {
            return Err(ScanError::TooMany);
        }
        let found = tree::read(parent, name, &seen, self.hashes, self.cancel).map_err(|error| match error {
            ReadError::System(errno) => unreadable(&path, errno),
            ReadError::Cancelled => ScanError::Cancelled,
        })?;
        match found {
            Found::Nothing => {}
            Found::Special(what) => self.scan.skipped.push((path, what.to_owned())),
            Found::Entry(entry, changing) => {
                if changing {
                    self.scan.changing.push(path.clone());
                }
                match &entry.node {
                    Node::Link(target) if escapes(&path, target) => self.scan.escaping.push(path.clone()),
                    Node::Directory => {
                        let opened = tree::open_directory(parent, name).map_err(|errno| unreadable(&path, errno))?;
                        // It went, or became something else, just now.
                        let Some(opened) = opened else { return Ok(()) };
                        self.scan.manifest.to_mut().insert(path.clone(), entry);
                        return self.directory(opened.as_fd(), &path, depth + 1);
                    }
                    _ => {}
                }
                self.scan.manifest.to_mut().insert(path, entry);
            }
        }
        Ok(())
    }
}

/// What is at each of some sorted paths, with a cache where one is given; none where nothing is there, or no file. Blocks.
///
/// # Errors
/// Something cannot be read.
pub fn look(
    root: &Path,
    paths: &[&TreePath],
    hashes: Option<Hashes<'_>>,
    cancel: &CancellationToken,
) -> Result<Vec<Option<Entry>>, ScanError> {
    let disabled = HashCache::disabled();
    let hashes = hashes.unwrap_or(Hashes { cache: &disabled, now: 0 });
    spread(paths, |part| {
        let mut tree = Tree::open(root).map_err(|errno| ScanError::Root { root: root.to_owned(), why: words(errno) })?;
        let mut look = |path: &&TreePath| match tree.read(path, hashes, cancel) {
            Ok(Found::Entry(entry, _)) => Ok(Some(entry)),
            Ok(Found::Nothing | Found::Special(_)) => Ok(None),
            Err(ReadError::System(errno)) => Err(unreadable(path, errno)),
            Err(ReadError::Cancelled) => Err(ScanError::Cancelled),
        };
        part.iter().map(&mut look).collect()
    })
}

/// The paths of a manifest at which something else is than it says. Blocks.
///
/// # Errors
/// Something cannot be read.
pub(super) fn differing<'m>(
    root: &Path,
    part: &'m Manifest,
    hashes: Option<Hashes<'_>>,
    cancel: &CancellationToken,
) -> Result<Vec<&'m TreePath>, ScanError> {
    let paths: Vec<&TreePath> = part.0.keys().collect();
    let seen = look(root, &paths, hashes, cancel)?;
    Ok(part.0.iter().zip(seen).filter(|((_, meant), seen)| seen.as_ref() != Some(*meant)).map(|((path, _), _)| path).collect())
}

/// What is at the paths of a manifest, and nothing else. Blocks. What is not there, or is no file, is left out.
///
/// # Errors
/// Something cannot be read.
pub fn look_at(root: &Path, paths: &Manifest) -> Result<Manifest, ScanError> {
    let listed: Vec<&TreePath> = paths.0.keys().collect();
    let seen = look(root, &listed, None, &CancellationToken::new())?;
    Ok(listed.into_iter().zip(seen).filter_map(|(path, entry)| Some((path.clone(), entry?))).collect())
}

fn unreadable(path: &TreePath, errno: Errno) -> ScanError {
    ScanError::Unreadable { path: path.clone(), why: words(errno) }
}

/// A name below a path.
pub(super) fn join(path: &TreePath, name: &[u8]) -> TreePath {
    if path.bytes().is_empty() { TreePath::new(name) } else { TreePath::new([path.bytes(), name].join(&b'/')) }
}

/// Whether a link leads out of its tree by what it says; links on its way are not looked at.
fn escapes(link: &TreePath, target: &TreePath) -> bool {
    if target.bytes().starts_with(b"/") {
        return true;
    }
    let mut depth = link.bytes().iter().filter(|b| **b == b'/').count();
    for part in target.bytes().split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." if depth == 0 => return true,
            b".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests;
