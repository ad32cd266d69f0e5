//! A directory of ours as a whole: how much room it takes, copying it elsewhere, comparing the copy, taking it away.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::rsync;
use super::running::{Rsync, blocking, errno, to_disk};
use super::tree::{self, Tree, words};
use crate::domain::failure::Failure;
use crate::domain::manifest::TreePath;
use crate::domain::untrusted::UntrustedText;

/// How long copying or comparing may take.
const LIMIT: Duration = Duration::from_secs(12 * 3_600);
/// How many differences are named.
const NAMED: usize = 5;

/// A directory, and where its copy is. Names at the top that are in `but` belong to the place and not to what is in it.
#[derive(Debug, Clone)]
pub struct Copying<'a> {
    /// What failed, for messages.
    pub what: &'static str,
    /// Absolute.
    pub from: &'a Path,
    /// Absolute, and there.
    pub to: &'a Path,
    /// Left alone on both sides.
    pub but: &'a [&'a str],
    /// What the processes carry that do it.
    pub mark: &'a str,
    /// Cancelled to end it.
    pub cancel: &'a CancellationToken,
}

impl Copying<'_> {
    /// Copies all of it, brings it to the disk, and compares it by content.
    ///
    /// # Errors
    /// It could not be copied, or is not the same. A part of it may be there.
    pub async fn run(&self) -> Result<(), Failure> {
        self.rsync().copy(&rsync::whole(self.from, self.to, self.but), Vec::new(), &mut |_| {}).await?;
        let (what, to) = (self.what, self.to.to_owned());
        blocking(what, move || {
            let opened = Tree::open(&to).map_err(|errno| cannot(what, "opened", &to, errno))?;
            to_disk(what, &opened)
        })
        .await?;
        let differing = self.differing().await?;
        if differing.is_empty() {
            return Ok(());
        }
        let next = "See whether something else writes to either of them, and do it again.";
        Err(Failure::new(what, "The copy is not the same as what was copied.", next).with_lines(differing))
    }

    /// The paths of which the copy is not the same, the first few of them.
    async fn differing(&self) -> Result<Vec<String>, Failure> {
        let mut differing = Vec::new();
        let mut note = |line: &str| differing.extend(rsync::parse_difference(line).filter(|_| differing.len() < NAMED).map(str::to_owned));
        self.rsync().copy(&rsync::differences(self.from, self.to, self.but), Vec::new(), &mut note).await?;
        Ok(differing)
    }

    fn rsync(&self) -> Rsync<'_> {
        Rsync { program: Path::new(rsync::PROGRAM), what: self.what, limit: LIMIT, mark: self.mark, cancel: self.cancel }
    }
}

/// The bytes that a directory takes on its disk; a file of several names once. Blocks.
///
/// # Errors
/// Something in it cannot be looked at.
pub fn room(what: &str, root: &Path) -> Result<u64, Failure> {
    let mut seen: HashSet<(u64, u64)> = HashSet::new();
    let mut bytes: u64 = 0;
    let mut left: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let failed = |error: std::io::Error| cannot(what, "looked at", &path, errno(&error));
        let meta = path.symlink_metadata().map_err(failed)?;
        if meta.nlink() == 1 || meta.is_dir() || seen.insert((meta.dev(), meta.ino())) {
            bytes = bytes.saturating_add(taken(&meta));
        }
        if meta.is_dir() {
            for entry in std::fs::read_dir(&path).map_err(failed)? {
                left.push(entry.map_err(failed)?.path());
            }
        }
    }
    Ok(bytes)
}

/// What a file takes: at least what is in it, since the other disk may not leave out what is empty.
fn taken(meta: &Metadata) -> u64 {
    meta.blocks().saturating_mul(512).max(meta.len())
}

/// Takes away what has one of these names in a directory, with all below. What is not there is no error. Blocks.
///
/// # Errors
/// Something cannot be taken away; the rest is gone.
pub fn remove(what: &str, root: &Path, named: &dyn Fn(&str) -> bool) -> Result<(), Failure> {
    let opened = Tree::open(root).map_err(|errno| cannot(what, "opened", root, errno))?;
    let entries = std::fs::read_dir(root).map_err(|error| cannot(what, "read", root, errno(&error)))?;
    let mut failed = None;
    for name in entries.filter_map(|entry| Some(entry.ok()?.file_name())).filter(|name| named(&name.to_string_lossy())) {
        if let Err(errno) = tree::remove_all(opened.root(), name.as_encoded_bytes()) {
            failed = Some(cannot(what, "taken away", &root.join(name), errno));
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Takes away those of some directories of a tree that are empty, the deepest first. Blocks.
///
/// # Errors
/// One cannot be taken away; the rest is gone.
pub fn remove_empty(what: &str, root: &Path, directories: &[TreePath]) -> Result<(), Failure> {
    let mut opened = Tree::open(root).map_err(|errno| cannot(what, "opened", root, errno))?;
    let mut deepest: Vec<&TreePath> = directories.iter().collect();
    deepest.sort_unstable_by(|a, b| b.cmp(a));
    let mut failed = None;
    for path in deepest {
        if let Err(errno) = opened.delete_directory(path) {
            failed = Some(cannot(what, "taken away", &root.join(OsStr::from_bytes(path.bytes())), errno));
        }
    }
    failed.map_or(Ok(()), Err)
}

fn cannot(what: &str, done: &str, path: &Path, errno: rustix::io::Errno) -> Failure {
    Failure::new(what, format!("{} could not be {done}: {}.", UntrustedText::path(&path), words(errno)), "Mend that, and do it again.")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    const BUT: [&str; 2] = ["lock", "moving"];

    /// A directory with everything that releases may hold.
    fn filled() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("projects/shop/lock")).unwrap();
        fs::write(at("projects/shop/a file"), "x".repeat(10_000)).unwrap();
        fs::hard_link(at("projects/shop/a file"), at("projects/one\nmore")).unwrap();
        symlink("../nowhere", at("projects/link")).unwrap();
        fs::write(at("projects/shop/run.sh"), "#!").unwrap();
        fs::set_permissions(at("projects/shop/run.sh"), fs::Permissions::from_mode(0o4555)).unwrap();
        fs::set_permissions(at("projects/shop"), fs::Permissions::from_mode(0o555)).unwrap();
        fs::write(at("lock"), "1").unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o700)).unwrap();
        root
    }

    async fn copied(from: &Path, to: &Path) -> Result<(), Failure> {
        let cancel = CancellationToken::new();
        Copying { what: "It was not copied.", from, to, but: &BUT, mark: "", cancel: &cancel }.run().await
    }

    async fn differing(from: &Path, to: &Path) -> Vec<String> {
        let cancel = CancellationToken::new();
        Copying { what: "", from, to, but: &BUT, mark: "", cancel: &cancel }.differing().await.unwrap()
    }

    #[tokio::test]
    async fn a_copy_is_the_same_in_everything() {
        let (from, to) = (filled(), tempfile::tempdir().unwrap());
        fs::write(to.path().join("lock"), "2").unwrap();
        fs::write(to.path().join("moving"), "").unwrap();
        copied(from.path(), to.path()).await.unwrap();
        let at = |name: &str| to.path().join(name).symlink_metadata().unwrap();
        assert_eq!(at("projects/shop/a file").ino(), at("projects/one\nmore").ino());
        assert_eq!(at("projects/shop/run.sh").mode() & 0o7777, 0o4555);
        assert_eq!(at("projects/shop").mode() & 0o777, 0o555);
        let times = |root: &Path| {
            let m = root.join("projects/shop/run.sh").metadata().unwrap();
            (m.mtime(), m.mtime_nsec())
        };
        assert_eq!(times(from.path()), times(to.path()));
        assert_eq!(fs::read_to_string(to.path().join("lock")).unwrap(), "2", "belongs to the place");
        assert!(to.path().join("projects/shop/lock").is_dir(), "only at the top");
        assert_eq!(fs::read_link(to.path().join("projects/link")).unwrap(), Path::new("../nowhere"));

        // Each of these would be found.
        let (file, kept) = (to.path().join("projects/shop/a file"), "x".repeat(9_999) + "y");
        let modified = file.metadata().unwrap().modified().unwrap();
        fs::write(&file, kept).unwrap();
        fs::File::options().write(true).open(&file).unwrap().set_modified(modified).unwrap();
        assert_eq!(differing(from.path(), to.path()).await.len(), 1, "content, though size and time are the same");
        fs::write(&file, "x".repeat(10_000)).unwrap();
        fs::File::options().write(true).open(&file).unwrap().set_modified(modified).unwrap();
        assert_eq!(differing(from.path(), to.path()).await, Vec::<String>::new());
        fs::remove_file(to.path().join("projects/one\nmore")).unwrap();
        fs::copy(&file, to.path().join("projects/one\nmore")).unwrap();
        fs::File::options().write(true).open(to.path().join("projects/one\nmore")).unwrap().set_modified(modified).unwrap();
        assert_eq!(differing(from.path(), to.path()).await.len(), 1, "two files that were one");
        copied(from.path(), to.path()).await.unwrap();
        fs::write(to.path().join("more"), "").unwrap();
        assert_eq!(differing(from.path(), to.path()).await, ["more"]);
    }

    #[test]
    fn only_empty_directories_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        ["a/b/c", "full/in", "other"].iter().for_each(|name| fs::create_dir_all(at(name)).unwrap());
        fs::write(at("full/in/data"), "x").unwrap();
        symlink("other", at("link")).unwrap();
        let named = ["a", "a/b", "a/b/c", "full", "full/in", "link", "gone"].map(TreePath::from);
        remove_empty("", root.path(), &named).unwrap();
        let mut left: Vec<_> = fs::read_dir(root.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort_unstable();
        assert_eq!(left, ["full", "link", "other"]);
        assert!(at("full/in/data").is_file());
    }

    #[tokio::test]
    async fn what_cannot_be_copied_is_said() {
        let (from, to) = (filled(), tempfile::tempdir().unwrap());
        let refused = copied(from.path(), &to.path().join("file/below")).await.unwrap_err();
        assert_eq!(refused.what, "It was not copied.");
    }

    #[test]
    fn a_file_of_two_names_takes_its_room_once_and_all_of_it_can_be_taken_away() {
        let from = filled();
        let taken = room("", from.path()).unwrap();
        assert!((10_000..60_000).contains(&taken), "{taken}");
        fs::write(from.path().join("projects/other"), "x".repeat(10_000)).unwrap();
        assert!(room("", from.path()).unwrap() >= taken + 10_000);
        remove("", from.path(), &|name| name != "lock").unwrap();
        let left: Vec<_> = fs::read_dir(from.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["lock"]);
        assert!(room("It failed.", &from.path().join("gone")).is_err());
    }
}
