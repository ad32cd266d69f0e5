//! The release store: a copy of each release's tree, in which what two releases share lies on the disk once.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, Stat};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::parallel::spread;
use super::rsync;
use super::running::{LIMIT, Rsync, absolute, blocking, cancelled, errno, to_disk};
use super::scan::{ScanError, differing};
use super::tree::{self, Tree, file_type, mode, words};
use crate::domain::failure::Failure;
use crate::domain::manifest::{Entry, Manifest, Node, TreePath};
use crate::domain::text::listing;
use crate::domain::untrusted::UntrustedText;

const WHAT: &str = "The workspace could not be copied aside.";
/// How many paths a message names.
const NAMED: usize = 5;

/// How a tree was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Staged {
    /// Files that are those of an earlier release.
    pub linked: usize,
    /// Files and links that were copied.
    pub copied: usize,
}

/// Makes `tree`, which is emptied first, hold exactly what the manifest lists, and brings it to the disk. A file that one
/// of the releases in `base` (their trees and what these hold) has at the same path, with the same content and mode, is
/// linked from there; the rest is copied from `source`. No file is ever shared with `source`: somebody writes to those.
///
/// # Errors
/// It could not be copied, or what was copied is not what is listed. `tree` holds a part of it then, and nothing else was
/// touched.
pub async fn stage(
    source: &Path,
    tree: &Path,
    manifest: &Manifest,
    base: &[(PathBuf, Manifest)],
    mark: &str,
    on_line: &mut (dyn FnMut(&str) + Send),
    cancel: &CancellationToken,
) -> Result<Staged, Failure> {
    let rsync = Rsync { program: Path::new(rsync::PROGRAM), what: WHAT, limit: LIMIT, mark, cancel };
    stage_with(&rsync, source, tree, manifest, base, on_line).await
}

async fn stage_with(
    rsync: &Rsync<'_>,
    source: &Path,
    tree: &Path,
    manifest: &Manifest,
    base: &[(PathBuf, Manifest)],
    on_line: &mut (dyn FnMut(&str) + Send),
) -> Result<Staged, Failure> {
    let source = absolute(WHAT, source)?;
    let same: Vec<_> = base.iter().map(|(root, held)| (root.clone(), in_both(manifest, held))).collect();
    // Nobody waits for the thread where this future is dropped: it must not go on linking then.
    let cancel = rsync.cancel.child_token();
    let _ended = cancel.clone().drop_guard();
    let (job, token) = (Job { source: source.clone(), tree: tree.to_owned(), rest: manifest.clone() }, cancel.clone());
    let job = blocking(WHAT, move || job.lay(same, &token)).await?;
    let copied = job.rest.files();
    let staged = Staged { linked: manifest.files() - copied, copied };
    let args = rsync::staging(&source, &job.tree);
    // The directories last: one may be of a mode in which nothing can be put into it. And with nothing but directories of
    // ours there, what became a link in the source meanwhile is not written through.
    for directories in [false, true] {
        let part = job.rest.0.iter().filter(|(_, entry)| entry.is_directory() == directories).map(|(path, _)| path);
        let list = rsync::list(part);
        if list.is_empty() {
            continue;
        }
        if let Err(broken) = rsync.copy(&args, list, on_line).await {
            if !broken.partial {
                return Err(broken.failure);
            }
            // What rsync says of something that went or became something else depends on what it was doing just then.
            let cause = move || match changed(&source, &job.rest, &cancel) {
                Ok(Some(failure)) => failure.with_lines(broken.failure.lines),
                Err(failure) if cancel.is_cancelled() => failure,
                _ => broken.failure,
            };
            return blocking(WHAT, move || Err(cause())).await;
        }
    }
    blocking(WHAT, move || {
        if let Some(failure) = changed(&job.tree, &job.rest, &cancel)? {
            return Err(failure);
        }
        let tree = Tree::open(&job.tree).map_err(|errno| cannot("opened", &job.tree, errno))?;
        to_disk(WHAT, &tree)
    })
    .await?;
    Ok(staged)
}

/// Deletes a release: its directory with all that is in it. What is not there is no error. Blocks.
///
/// # Errors
/// It cannot be deleted; a part of it may be gone.
pub fn remove(tree_parent: &Path) -> Result<(), Failure> {
    let done = match (tree_parent.parent(), tree_parent.file_name()) {
        (Some(above), Some(name)) => match Tree::open(if above.as_os_str().is_empty() { Path::new(".") } else { above }) {
            Ok(above) => tree::remove_all(above.root(), name.as_encoded_bytes()),
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno),
        },
        _ => Err(Errno::INVAL),
    };
    done.map_err(|errno| {
        let why = format!("{} could not be deleted: {}.", UntrustedText::path(&tree_parent), words(errno));
        Failure::new("A release was not deleted.", why, "Mend that, or delete it by hand.")
    })
}

/// The part of production that bringing `new` into it may change or take away, where `owned` is what the last release put
/// there: what has to be kept aside to bring it back.
pub fn at_stake(production: &Manifest, new: &Manifest, owned: Option<&Manifest>) -> Manifest {
    let named = |path: &TreePath| new.0.contains_key(path) || owned.is_some_and(|owned| owned.0.contains_key(path));
    // Empty directories make way for a file, whoever made them.
    let in_the_way = |path: &TreePath| {
        let slashes = path.bytes().iter().enumerate().filter(|(_, b)| **b == b'/');
        let mut above = slashes.filter_map(|(at, _)| new.0.get(&TreePath::new(&path.bytes()[..at])));
        above.any(|entry| !entry.is_directory())
    };
    let part = production.0.iter().filter(|(path, _)| named(path) || in_the_way(path));
    part.map(|(path, entry)| (path.clone(), entry.clone())).collect()
}

/// The files that are the same in both.
fn in_both(manifest: &Manifest, held: &Manifest) -> Vec<TreePath> {
    let is_file = |entry: &Entry| matches!(entry.node, Node::File { .. });
    let same = manifest.0.iter().filter(|(path, entry)| is_file(entry) && held.0.get(*path) == Some(*entry));
    same.map(|(path, _)| path.clone()).collect()
}

/// What making a tree takes, owned, so that it can go to a thread that blocks.
struct Job {
    source: PathBuf,
    tree: PathBuf,
    /// What is listed, without what was linked.
    rest: Manifest,
}

impl Job {
    /// Makes the directories, for nobody but us as yet, and links what can be linked.
    fn lay(mut self, base: Vec<(PathBuf, Vec<TreePath>)>, cancel: &CancellationToken) -> Result<Self, Failure> {
        self.tree = empty_directory(&self.tree, &self.source)?;
        let opened = |path: &Path| Tree::open(path).map_err(|errno| cannot("opened", path, errno));
        let mut tree = opened(&self.tree)?;
        for (path, entry) in &*self.rest.0 {
            let made = match tree.parent(path) {
                Ok(Some((parent, name))) if entry.is_directory() => rustix::fs::mkdirat(parent, name, Mode::RWXU),
                Ok(Some(_)) => Ok(()),
                // Its directory is not listed: rsync would make one that nobody confirmed.
                Ok(None) => Err(Errno::NOENT),
                Err(errno) => Err(errno),
            };
            made.map_err(|errno| cannot("made", &self.tree.join(std::ffi::OsStr::from_bytes(path.bytes())), errno))?;
        }
        for (root, paths) in base {
            // Whatever keeps a file from being linked, it can be copied: a release that is gone, another file system, too
            // many links.
            let wanted: Vec<(&TreePath, &Entry)> = paths.iter().filter_map(|path| self.rest.0.get_key_value(path)).collect();
            let linked = spread(&wanted, |part| {
                let Ok(mut base) = Tree::open(&root) else { return Ok(vec![false; part.len()]) };
                let (mut source, mut tree) = (opened(&self.source)?, opened(&self.tree)?);
                let mut one = |(path, entry): &(&TreePath, &Entry)| match cancel.is_cancelled() {
                    true => Err(cancelled(WHAT)),
                    false => Ok(link(path, entry, &mut base, &mut source, &mut tree)),
                };
                part.iter().map(&mut one).collect()
            })?;
            let gone: HashSet<TreePath> =
                wanted.iter().zip(linked).filter(|(_, linked)| *linked).map(|((path, _), _)| (*path).clone()).collect();
            self.rest.to_mut().retain(|path, _| !gone.contains(path));
        }
        Ok(self)
    }
}

/// Links a file of a release into the tree, where it still is what that release held; whether it did.
fn link(path: &TreePath, entry: &Entry, base: &mut Tree, source: &mut Tree, tree: &mut Tree) -> bool {
    let (Ok(Some(held)), Ok(Some(meant))) = (base.stat(path), source.stat(path)) else { return false };
    let Node::File { size, .. } = entry.node else { return false };
    let intact = file_type(&held) == FileType::RegularFile && mode(&held) == entry.mode && u64::try_from(held.st_size) == Ok(size);
    let shared = (held.st_dev, held.st_ino) == (meant.st_dev, meant.st_ino);
    if !intact || shared || !same_owner(&held, &meant) {
        return false;
    }
    let (Ok(Some((from, name))), Ok(Some((to, _)))) = (base.parent(path), tree.parent(path)) else { return false };
    rustix::fs::linkat(from, name, to, name, AtFlags::empty()).is_ok()
}

/// Whether copying would give a file the owner that the other has. Only root gives files away.
fn same_owner(held: &Stat, meant: &Stat) -> bool {
    !rustix::process::geteuid().is_root() || (held.st_uid, held.st_gid) == (meant.st_uid, meant.st_gid)
}

/// Says so where a tree does not hold what is listed.
fn changed(root: &Path, part: &Manifest, cancel: &CancellationToken) -> Result<Option<Failure>, Failure> {
    let differing = differing(root, part, None, cancel).map_err(|error| match error {
        ScanError::Cancelled => cancelled(WHAT),
        error => Failure::new(WHAT, format!("The copy cannot be read: {error}."), "Ask again."),
    })?;
    Ok((!differing.is_empty()).then(|| {
        Failure::new(
            "The workspace changed while it was copied.",
            format!("What was copied is not what you confirmed: {}.", listing(differing, NAMED)),
            "Ask for the deploy again when nobody writes to the workspace.",
        )
    }))
}

/// How an errno of the file system becomes a failure.
fn cannot(doing: &str, path: &Path, errno: Errno) -> Failure {
    let next = if matches!(errno, Errno::NOSPC | Errno::DQUOT) { "Make room and ask again." } else { "Mend that and ask again." };
    Failure::new(WHAT, format!("{} cannot be {doing}: {}.", UntrustedText::path(&path), words(errno)), next)
}

/// Makes an empty directory, and the ones above it, in place of whatever is there; only for directories of ours. Returns
/// where it really lies.
fn empty_directory(path: &Path, apart_from: &Path) -> Result<PathBuf, Failure> {
    let cannot = |at: &Path, errno| cannot("emptied or made", at, errno);
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(cannot(path, Errno::INVAL)) };
    std::fs::create_dir_all(parent).map_err(|error| cannot(parent, errno(&error)))?;
    let real = parent.canonicalize().map_err(|error| cannot(parent, errno(&error)))?.join(name);
    if real.starts_with(apart_from) || apart_from.starts_with(&real) {
        let why = format!("{} and {} lie within each other.", UntrustedText::path(&apart_from), UntrustedText::path(&real));
        return Err(Failure::new(WHAT, why, "Move the data directory, so that neither holds the other."));
    }
    let opened = Tree::open(parent).map_err(|errno| cannot(parent, errno))?;
    tree::remove_all(opened.root(), name.as_encoded_bytes()).map_err(|errno| cannot(path, errno))?;
    rustix::fs::mkdirat(opened.root(), name, Mode::RWXU).map_err(|errno| cannot(path, errno))?;
    Ok(real)
}

#[cfg(test)]
mod tests;
