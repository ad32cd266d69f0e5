//! What bringing a staged tree into production takes: looked at whole before anything is touched, refused where something
//! is in the way that is not ours, and then deleted step by step. Blocks.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{Access, AtFlags, FileType, Mode, Stat};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::cache::{HashCache, Hashes};
use super::parallel::spread;
use super::rules::{DELAYED, Rules, SCRATCH};
use super::running::to_disk;
use super::scan::{ScanError, differing, join};
use super::tree::{self, DEPTH_MAX, Tree, file_type, mode, special, words};
use crate::domain::Millis;
use crate::domain::failure::Failure;
use crate::domain::manifest::{Changes, Entry, Manifest, Node, TreePath};
use crate::domain::text::{count, listing};
use crate::domain::untrusted::UntrustedText;

/// How many paths a message names.
const NAMED: usize = 5;

/// What is brought into production: everything that deciding takes, owned, so that it can go to a thread that blocks.
pub(super) struct Job {
    pub(super) what: &'static str,
    pub(super) production: PathBuf,
    pub(super) changes: Changes,
    pub(super) new: Manifest,
    pub(super) owned: Option<Manifest>,
    pub(super) rules: Rules,
    /// The paths that services may write to.
    pub(super) written: Vec<TreePath>,
    /// What production's files are known to hold, and the time when that was found out.
    pub(super) known: Option<Arc<HashCache>>,
    pub(super) now: Millis,
}

/// What is to be done, all of it allowed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    /// Files and links of ours where a directory comes, or below a directory where a file comes.
    clear_files: Vec<TreePath>,
    /// Directories where a file or a link comes, deepest first.
    clear_directories: Vec<TreePath>,
    /// What rsync brings, directories included.
    pub(super) copy: Vec<TreePath>,
    /// How many of those are files and links.
    pub(super) files: usize,
}

/// How an errno of the file system becomes a failure.
fn failed(what: &str, doing: &str, path: &TreePath, errno: Errno) -> Failure {
    let next = match errno {
        Errno::ACCESS | Errno::PERM | Errno::ROFS => "Give dockmaster's user the right to write there, and ask again.",
        Errno::NOSPC | Errno::DQUOT => "Make room and ask again.",
        _ => "Mend that and ask again.",
    };
    Failure::new(what, format!("{path} could not be {doing}: {}.", words(errno)), next)
}

impl Job {
    fn open(&self) -> Result<Tree, Failure> {
        Tree::open(&self.production).map_err(|errno| {
            let why = format!("{} cannot be opened: {}.", UntrustedText::path(&self.production), words(errno));
            Failure::new(self.what, why, "Mend that, or correct \"production\" in projects.json.")
        })
    }

    fn refuse<T>(&self, why: String, next: &str) -> Result<T, Failure> {
        Err(Failure::new(self.what, format!("{why} Nothing was changed."), next))
    }

    fn owns(&self, path: &TreePath) -> Option<&Entry> {
        self.owned.as_ref().and_then(|owned| owned.0.get(path))
    }

    /// Looks at everything first. Changes nothing.
    pub(super) fn prepare(&self) -> Result<Work, Failure> {
        let mut tree = self.open()?;
        let stray = |path: &&TreePath| self.owns(path).is_none() || self.rules.excluded(path, false);
        if let Some(path) = self.changes.deleted.iter().find(stray) {
            return self.refuse(format!("{path} would be deleted, and no release put it there."), "Report this as a bug.");
        }
        let added: BTreeSet<&TreePath> = self.changes.added.iter().collect();
        let changed: BTreeSet<&TreePath> = self.changes.changed.iter().collect();
        let mut work = Work::default();
        for ((path, entry), there) in self.new.0.iter().zip(self.seen()?) {
            let Some(there) = there else {
                work.copy(path, entry);
                continue;
            };
            let kind = file_type(&there);
            if !matches!(kind, FileType::Directory | FileType::RegularFile | FileType::Symlink) {
                let why = format!("Production has {} at {path}, where the workspace has {}.", special(kind), noun(&entry.node));
                return self.refuse(why, "Move it away, or exclude it, and ask again.");
            }
            if added.contains(path) {
                let why = format!("{path} appeared in production since this was planned.");
                return self.refuse(why, "Ask again, and the new plan shows what becomes of it.");
            }
            match (entry.is_directory(), kind == FileType::Directory) {
                (true, true) if mode(&there) != entry.mode => work.copy(path, entry),
                (true, true) => {}
                (true, false) => self.way_for_directory(&mut work, path, kind, changed.contains(path))?,
                (false, true) => {
                    self.way_for_file(&mut tree, &mut work, path, entry)?;
                    work.copy(path, entry);
                }
                (false, false) if changed.contains(path) => work.copy(path, entry),
                (false, false) => {}
            }
            if entry.is_directory() && kind != FileType::Directory {
                work.copy(path, entry);
            }
        }
        self.may_write(&mut tree, &work)?;
        Ok(work)
    }

    /// Refuses where something comes to, or goes from, a directory that we may not write to: rather than half way.
    fn may_write(&self, tree: &mut Tree, work: &Work) -> Result<(), Failure> {
        let touched = [&work.copy, &work.clear_files, &work.clear_directories, &self.changes.deleted];
        let mut known: BTreeSet<&[u8]> = BTreeSet::new();
        for path in touched.into_iter().flatten() {
            let mut at = path.bytes();
            // The directory that it is in; where that is yet to be made, the nearest one that is there.
            while let Some(slash) = at.iter().rposition(|b| *b == b'/') {
                let directory = &at[..slash];
                if !known.insert(directory) {
                    break;
                }
                let name = TreePath::new(directory);
                let opened = tree.directory(&name).map_err(|errno| failed(self.what, "looked at", &name, errno))?;
                let Some(opened) = opened else {
                    at = directory;
                    continue;
                };
                let allowed = rustix::fs::accessat(&opened, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::empty());
                allowed.map_err(|errno| failed(self.what, "written to", &name, errno))?;
                break;
            }
        }
        Ok(())
    }

    /// What the system says about every path that comes.
    fn seen(&self) -> Result<Vec<Option<Stat>>, Failure> {
        let paths: Vec<&TreePath> = self.new.0.keys().collect();
        spread(&paths, |part| {
            let mut tree = self.open()?;
            part.iter().map(|path| tree.stat(path).map_err(|errno| failed(self.what, "looked at", path, errno))).collect()
        })
    }

    /// A file or a link stands where a directory comes.
    fn way_for_directory(&self, work: &mut Work, path: &TreePath, kind: FileType, planned: bool) -> Result<(), Failure> {
        let ours = match (kind, self.owns(path)) {
            // A link to a directory is how people move data elsewhere: only one that a release put there is taken away.
            (FileType::Symlink, Some(Entry { node: Node::Link(_), .. })) => planned,
            (FileType::Symlink, _) => {
                let why =
                    format!("Production has a link at {path}, where the workspace has a directory: files would be written through it.");
                return self.refuse(why, "Put a directory there, or exclude it, and ask again.");
            }
            _ => planned,
        };
        if !ours || self.rules.excluded(path, false) {
            let why = format!("Production has a file at {path} that is to be kept, where the workspace has a directory.");
            return self.refuse(why, "Move it away and ask again.");
        }
        work.clear_files.push(path.clone());
        Ok(())
    }

    /// A directory stands where a file or a link comes: everything in it must be on its way out.
    fn way_for_file(&self, tree: &mut Tree, work: &mut Work, path: &TreePath, entry: &Entry) -> Result<(), Failure> {
        let deleted: BTreeSet<&TreePath> = self.changes.deleted.iter().collect();
        let mut kept = Vec::new();
        let mut pending = vec![path.clone()];
        while let Some(directory) = pending.pop() {
            let problem = |errno| failed(self.what, "looked at", &directory, errno);
            if self.rules.excluded(&directory, true) || directory.bytes().iter().filter(|b| **b == b'/').count() > DEPTH_MAX {
                kept.push(directory);
                continue;
            }
            let Some(opened) = tree.directory(&directory).map_err(problem)? else { continue };
            for name in tree::names(opened.as_fd(), usize::MAX - 1).map_err(problem)? {
                let below = join(&directory, &name);
                match tree::stat(opened.as_fd(), &name).map_err(problem)? {
                    None => {}
                    Some(seen) if file_type(&seen) == FileType::Directory => pending.push(below),
                    Some(_) if deleted.contains(&below) => work.clear_files.push(below),
                    Some(_) => kept.push(below),
                }
            }
            work.clear_directories.push(directory);
        }
        if kept.is_empty() {
            // Deepest first: a directory comes after everything that it holds.
            work.clear_directories.sort_unstable_by(|a, b| b.cmp(a));
            return Ok(());
        }
        kept.sort_unstable();
        let why = format!(
            "Production has a directory at {path}, where the workspace has {}, and it holds what is to be kept: {}.",
            noun(&entry.node),
            listing(&kept, NAMED)
        );
        self.refuse(why, "Move it away and ask again.")
    }

    /// Makes way for what rsync brings: what an earlier run left half done, and what is of another kind. Returns the
    /// directory in which rsync may work.
    pub(super) fn clear(&self, work: &Work) -> Result<PathBuf, Failure> {
        self.sweep()?;
        let mut tree = self.open()?;
        for path in &work.clear_files {
            tree.delete_file(path).map_err(|errno| failed(self.what, "deleted", path, errno))?;
        }
        for path in &work.clear_directories {
            let gone = tree.delete_directory(path).map_err(|errno| failed(self.what, "deleted", path, errno))?;
            if !gone && tree.stat(path).is_ok_and(|s| s.is_some()) {
                return Err(failed(self.what, "deleted", path, Errno::NOTEMPTY));
            }
        }
        let scratch = TreePath::from(SCRATCH);
        rustix::fs::mkdirat(tree.root(), SCRATCH, Mode::RWXU).map_err(|errno| failed(self.what, "made", &scratch, errno))?;
        Ok(self.production.join(SCRATCH))
    }

    /// Takes away what a promotion that was killed may have left: nothing but scratch directories, and only in directories
    /// that a release put there.
    pub(super) fn sweep(&self) -> Result<(), Failure> {
        let mut tree = self.open()?;
        let root = TreePath::new("");
        self.sweep_one(&mut tree, &root, SCRATCH)?;
        let ours =
            self.new.0.iter().chain(self.owned.iter().flat_map(|o| o.0.iter())).filter(|(_, e)| e.is_directory()).map(|(path, _)| path);
        for directory in std::iter::once(&root).chain(ours) {
            self.sweep_one(&mut tree, directory, DELAYED)?;
        }
        Ok(())
    }

    fn sweep_one(&self, tree: &mut Tree, directory: &TreePath, scratch: &str) -> Result<(), Failure> {
        let path = join(directory, scratch.as_bytes());
        let problem = |errno| failed(self.what, "deleted", &path, errno);
        let Some(opened) = tree.directory(directory).map_err(problem)? else { return Ok(()) };
        match tree::stat(opened.as_fd(), scratch.as_bytes()).map_err(problem)? {
            Some(seen) if file_type(&seen) == FileType::Directory => tree::remove_all(opened.as_fd(), scratch.as_bytes()).map_err(problem),
            _ => Ok(()),
        }
    }

    /// Deletes what an earlier release put there and this one has not, and the directories that became empty by it.
    /// Returns how many files and links went.
    pub(super) fn delete(&self) -> Result<usize, Failure> {
        let mut tree = self.open()?;
        let mut count = self.changes.deleted.len();
        for path in &self.changes.deleted {
            // Not there any more is as good; what is a directory by now is somebody else's.
            let gone = tree.delete_file(path).map_err(|errno| failed(self.what, "deleted", path, errno))?;
            count -= usize::from(!gone && tree.stat(path).is_ok_and(|s| s.is_some()));
        }
        let old = self.owned.iter().flat_map(|o| o.0.iter()).rev().filter(|(_, entry)| entry.is_directory()).map(|(path, _)| path);
        // What a service mounts must not vanish under it.
        let goes = |path: &&TreePath| !self.new.0.contains_key(path) && !self.rules.excluded(path, true) && !self.written.contains(path);
        for path in old.filter(goes) {
            tree.delete_directory(path).map_err(|errno| failed(self.what, "deleted", path, errno))?;
        }
        Ok(count)
    }

    /// Everything on the disk, and then compared with what was to come.
    pub(super) fn verify(&self) -> Result<(), Failure> {
        to_disk(self.what, &self.open()?)?;
        let mut differing = self.differing(&self.new)?;
        differing.retain(|path| !self.written.iter().any(|root| path.is_within(root)));
        if differing.is_empty() {
            return Ok(());
        }
        Err(Failure::new(
            "Production is not what was deployed.",
            format!("These differ right after they were copied: {}.", listing(&differing, NAMED)),
            "See who else writes there (exclude what a service writes), and deploy again.",
        ))
    }

    /// How much of what was to be copied had arrived when it failed: the truth about what is there now.
    pub(super) fn arrived(&self, work: &Work) -> String {
        let wanted = |path: &&TreePath| self.new.0.get(*path).is_some_and(|e| !e.is_directory());
        let wanted: Vec<&TreePath> = work.copy.iter().filter(wanted).collect();
        let part = Manifest::from_iter(wanted.iter().filter_map(|p| Some(((*p).clone(), self.new.0.get(*p)?.clone()))));
        let Ok(differing) = self.differing(&part) else { return "How much had arrived by then cannot be said.".to_owned() };
        let there = part.0.len() - differing.len();
        match there {
            0 if work.clear_files.is_empty() && work.clear_directories.is_empty() => "No file of production was changed.".to_owned(),
            0 => format!(
                "None of {} had arrived; {} had been deleted to make way.",
                count(part.0.len(), "file"),
                count(work.cleared(), "path")
            ),
            _ => format!("{there} of {} had arrived.", count(part.0.len(), "file")),
        }
    }

    fn differing<'m>(&self, part: &'m Manifest) -> Result<Vec<&'m TreePath>, Failure> {
        let hashes = self.known.as_deref().map(|cache| Hashes { cache, now: self.now });
        // Not to be cancelled: it is the last word on what is there.
        differing(&self.production, part, hashes, &CancellationToken::new()).map_err(|error| unreadable(self.what, &error))
    }
}

impl Work {
    fn copy(&mut self, path: &TreePath, entry: &Entry) {
        self.files += usize::from(!entry.is_directory());
        self.copy.push(path.clone());
    }

    fn cleared(&self) -> usize {
        self.clear_files.len() + self.clear_directories.len()
    }
}

fn unreadable(what: &str, error: &ScanError) -> Failure {
    Failure::new(what, format!("What is there cannot be compared: {error}."), "Mend that and deploy again.")
}

fn noun(node: &Node) -> &'static str {
    match node {
        Node::File { .. } => "a file",
        Node::Link(_) => "a link",
        Node::Directory => "a directory",
    }
}
