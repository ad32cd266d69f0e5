//! Writing a kept version back into the files that it was read from: only where that leaves them what they are.
//!
//! A link, a read-only file or one that an orchestrator puts there is somebody else's to write. Files are replaced as a
//! whole, so that nobody ever reads half of one; what comes out of a file's place is looked at, so that nothing that was saved
//! meanwhile is lost.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, RenameFlags, StatxFlags};
use rustix::io::Errno;

use crate::config::Sources;
use crate::domain::untrusted::{SHOWN, UntrustedText};
use crate::untrusted;

/// The attribute with a file's access list.
const ACCESS_LIST: &[u8] = b"system.posix_acl_access";
/// The attribute with the access list that files get which are made in a directory.
const INHERITED_LIST: &[u8] = b"system.posix_acl_default";
/// How the name of a file ends that is not in its place yet.
const NEW: &str = ".new";
/// How many copies of a file are kept beside it.
const COPIES_MAX: usize = 10;

/// A file that is to hold something else.
#[derive(Debug)]
pub(super) struct Rewrite {
    path: PathBuf,
    /// What it held when it was looked at.
    before: Vec<u8>,
    bytes: Vec<u8>,
    mode: u32,
    owner: (u32, u32),
}

impl Rewrite {
    /// What people read for it.
    pub(super) fn shown(&self) -> UntrustedText {
        UntrustedText::path(&self.path)
    }

    /// What is to take its place, and after that what it held.
    fn other(&self) -> PathBuf {
        beside(&self.path, NEW)
    }
}

/// A hidden name beside a file: editors and patterns leave such alone.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(ending);
    path.with_file_name(name)
}

fn around(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What has to be written so that the files say what the sources hold. Blocks on the disk.
///
/// # Errors
/// They must not be written, or that would not do: why, as the end of a sentence.
pub(super) fn consider(path: &Path, sources: &Sources) -> Result<Vec<Rewrite>, String> {
    let wanted = wanted(path, sources);
    let there: BTreeSet<PathBuf> = sources.places(path).files().into_iter().collect();
    let paths: BTreeSet<PathBuf> = wanted.iter().map(|(path, _)| path.clone()).collect();
    if let Some(more) = there.difference(&paths).next() {
        return Err(format!("it would include {} as well", UntrustedText::path(&more)));
    }
    let mut rewrites = Vec::new();
    for (path, bytes) in wanted {
        let seen = fs::symlink_metadata(&path).map_err(|_| format!("{} is not there", UntrustedText::path(&path)))?;
        if let Some(why) = not_ours(&path, &seen) {
            return Err(format!("{} {why}", UntrustedText::path(&path)));
        }
        let before = content(&path).map_err(|e| format!("{} cannot be read ({e})", UntrustedText::path(&path)))?;
        if before != bytes {
            rewrites.push(Rewrite { path, before, bytes, mode: seen.mode() & 0o7777, owner: (seen.uid(), seen.gid()) });
        }
    }
    Ok(rewrites)
}

/// What each file is to hold.
fn wanted(path: &Path, sources: &Sources) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = path.parent().unwrap_or(Path::new(""));
    let included = sources.included.iter().map(|(name, content)| (directory.join(name), content.clone().unwrap_or_default()));
    std::iter::once((path.to_owned(), sources.main.clone())).chain(included).collect()
}

/// Goes on where writing was cut off. Blocks on the disk.
///
/// # Errors
/// As [`consider`] and [`all`]: why, as the end of a sentence.
pub(super) fn resume(path: &Path, sources: &Sources) -> Result<(), String> {
    for (path, _) in wanted(path, sources) {
        let new = beside(&path, NEW);
        if fs::symlink_metadata(&new).is_ok() {
            // Nobody knows whether it was put there or came out of the file's place.
            fs::rename(&new, copy(&path)).map_err(|e| format!("{} cannot be put aside ({e})", UntrustedText::path(&new)))?;
        }
    }
    all(&consider(path, sources)?, false).map_err(|e| e.to_string())
}

/// What an ordinary file holds, and no more of it than a configuration may.
fn content(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    untrusted::open(path)?.take(Sources::FILE_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Why a file is not to be replaced.
fn not_ours(path: &Path, seen: &fs::Metadata) -> Option<&'static str> {
    let user = rustix::process::geteuid();
    let directory = around(path);
    if seen.is_symlink() {
        Some("is a link")
    } else if !seen.is_file() {
        Some("is no file")
    } else if seen.len() > Sources::FILE_MAX {
        Some("is too large")
    } else if directory.canonicalize().ok() != std::path::absolute(directory).ok().map(|directory| without_dots(&directory)) {
        Some("is reached through a link")
    } else if seen.nlink() > 1 {
        Some("has another name")
    } else if seen.mode() & 0o200 == 0 || rustix::fs::access(path, Access::WRITE_OK).is_err() {
        Some("is read-only")
    } else if mount(path).zip(mount(directory)).is_some_and(|(own, around)| own != around) {
        Some("is mounted by itself")
    } else if rustix::fs::access(directory, Access::WRITE_OK).is_err() {
        Some("is in a directory that is read-only")
    } else if !user.is_root() && user.as_raw() != seen.uid() {
        Some("belongs to another user")
    } else if has_attribute(path, ACCESS_LIST) {
        Some("has an access list")
    } else if has_attribute(directory, INHERITED_LIST) {
        Some("is in a directory that gives new files an access list")
    } else {
        None
    }
}

/// A path with its `..` gone up, as if there were no links on it.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

/// The mount that a path is on, where the kernel says so.
fn mount(path: &Path) -> Option<u64> {
    let seen = rustix::fs::statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).ok()?;
    (seen.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(seen.stx_mnt_id)
}

fn has_attribute(path: &Path, attribute: &[u8]) -> bool {
    let mut names = [0_u8; 4_096];
    match rustix::fs::listxattr(path, &mut names) {
        Ok(length) => names[..length].split(|byte| *byte == 0).any(|name| name == attribute),
        // A file system without any has none; more than fit are more than we know of.
        Err(error) => error == Errno::RANGE,
    }
}

/// Writes all of them: each is whole on the disk before the first is put in place. With `keep`, what they held is kept beside them.
/// Blocks on the disk.
///
/// # Errors
/// One could not be written, or was changed meanwhile: all hold what they held.
pub(super) fn all(rewrites: &[Rewrite], keep: bool) -> io::Result<()> {
    let written = rewrites.iter().try_for_each(stage).and_then(|()| place_all(rewrites));
    for rewrite in rewrites {
        let out = rewrite.other();
        // What came out of its place, or was never put there. Left behind it is in nobody's way.
        let _ = if written.is_ok() && keep { fs::rename(&out, copy(&rewrite.path)) } else { fs::remove_file(&out) };
    }
    let directories: BTreeSet<&Path> = rewrites.iter().map(|rewrite| around(&rewrite.path)).collect();
    for directory in directories {
        // Not every file system can; then it is on the disk a little later.
        let _ = File::open(directory).and_then(|directory| directory.sync_all());
    }
    written
}

/// A name for what a file held: the first that is free, as long as there are not too many.
fn copy(path: &Path) -> PathBuf {
    let mut names = std::iter::once("~".to_owned()).chain((2..COPIES_MAX).map(|n| format!("~{n}"))).map(|ending| beside(path, &ending));
    names.find(|name| fs::symlink_metadata(name).is_err()).unwrap_or_else(|| beside(path, &format!("~{COPIES_MAX}")))
}

fn stage(rewrite: &Rewrite) -> io::Result<()> {
    let new = rewrite.other();
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        // Or one that an earlier try has left.
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(&rewrite.bytes)?;
    let made = file.metadata()?;
    if (made.uid(), made.gid()) != rewrite.owner {
        fchown(&file, Some(rewrite.owner.0), Some(rewrite.owner.1))?;
    }
    // After the owner: a change of that takes some bits away.
    file.set_permissions(Permissions::from_mode(rewrite.mode))?;
    file.sync_all()
}

/// Puts them in place one after another; where one cannot be, takes the others out again.
fn place_all(rewrites: &[Rewrite]) -> io::Result<()> {
    for (at, rewrite) in rewrites.iter().enumerate() {
        let Err(error) = place(rewrite) else { continue };
        for placed in &rewrites[..at] {
            if let Err(error) = exchange(placed) {
                tracing::error!(%error, file = placed.shown().line(SHOWN), "what it held before could not be put back");
            }
        }
        return Err(error);
    }
    Ok(())
}

fn place(rewrite: &Rewrite) -> io::Result<()> {
    exchange(rewrite)?;
    if content(&rewrite.other())? == rewrite.before {
        return Ok(());
    }
    exchange(rewrite)?;
    Err(io::Error::other(format!("{} was changed meanwhile", rewrite.shown())))
}

/// A file and the one beside it take each other's place.
fn exchange(rewrite: &Rewrite) -> io::Result<()> {
    let (path, new) = (&rewrite.path, rewrite.other());
    match rustix::fs::renameat_with(CWD, &new, CWD, path, RenameFlags::EXCHANGE) {
        // File systems of other machines mostly cannot: for a moment there is none in its place, then.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            let aside = beside(path, ".old");
            fs::rename(path, &aside)?;
            fs::rename(&new, path).or_else(|error| fs::rename(&aside, path).and(Err(error)))?;
            fs::rename(aside, new)
        }
        exchanged => Ok(exchanged?),
    }
}

#[cfg(test)]
mod tests;
