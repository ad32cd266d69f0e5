//! Writing a kept version back into the files that it was read from: only where that leaves them what they are.
//!
//! A link, a read-only file or one that an orchestrator puts there is somebody else's to write. Files are replaced as a
//! whole, so that nobody ever reads half of one.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, StatxFlags};

use crate::config::Sources;

/// The attribute that holds a file's access list.
const ACCESS_LIST: &[u8] = b"system.posix_acl_access";

/// A file that is to hold something else.
#[derive(Debug)]
pub(super) struct Rewrite {
    path: PathBuf,
    bytes: Vec<u8>,
    mode: u32,
    owner: (u32, u32),
    /// Whether what it holds now is kept beside it.
    keep: bool,
}

impl Rewrite {
    /// What people read for it.
    pub(super) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// A hidden name beside it: editors and patterns leave such alone.
    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(ending);
        self.path.with_file_name(name)
    }
}

/// What has to be written so that the files say what the sources hold. Blocks on the disk.
///
/// # Errors
/// They must not be written, or that would not do: why, as the end of a sentence.
pub(super) fn consider(path: &Path, sources: &Sources, keep: bool) -> Result<Vec<Rewrite>, String> {
    let directory = path.parent().unwrap_or(Path::new(""));
    let included = sources.included.iter().map(|(name, content)| (directory.join(name), content.clone().unwrap_or_default()));
    let wanted: Vec<(PathBuf, Vec<u8>)> = std::iter::once((path.to_owned(), sources.main.clone())).chain(included).collect();
    let there: BTreeSet<PathBuf> = sources.places(path).files().into_iter().collect();
    let paths: BTreeSet<PathBuf> = wanted.iter().map(|(path, _)| path.clone()).collect();
    if let Some(gone) = paths.iter().find(|path| !there.contains(*path) || fs::symlink_metadata(path).is_err()) {
        return Err(format!("{} is not there", gone.display()));
    }
    if let Some(more) = there.difference(&paths).next() {
        return Err(format!("it would include {} as well", more.display()));
    }
    let mut rewrites = Vec::new();
    for (path, bytes) in wanted {
        if fs::read(&path).is_ok_and(|there| there == bytes) {
            continue;
        }
        let seen = fs::symlink_metadata(&path).map_err(|e| format!("{} cannot be looked at ({e})", path.display()))?;
        if let Some(why) = not_ours(&path, &seen) {
            return Err(format!("{} {why}", path.display()));
        }
        rewrites.push(Rewrite { path, bytes, mode: seen.mode() & 0o7777, owner: (seen.uid(), seen.gid()), keep });
    }
    Ok(rewrites)
}

/// Why a file is not to be replaced.
fn not_ours(path: &Path, seen: &fs::Metadata) -> Option<&'static str> {
    let user = rustix::process::geteuid();
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let real = fs::canonicalize(path).ok();
    if seen.is_symlink() {
        Some("is a link")
    } else if !seen.is_file() {
        Some("is no file")
    } else if real != std::path::absolute(path).ok() {
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
    } else if has_access_list(path) {
        Some("has an access list")
    } else {
        None
    }
}

/// The mount that a path is on, where the kernel says so.
fn mount(path: &Path) -> Option<u64> {
    let seen = rustix::fs::statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).ok()?;
    (seen.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(seen.stx_mnt_id)
}

fn has_access_list(path: &Path) -> bool {
    let mut names = [0_u8; 4_096];
    match rustix::fs::listxattr(path, &mut names) {
        Ok(length) => names[..length].split(|byte| *byte == 0).any(|name| name == ACCESS_LIST),
        // A file system without any has none; more than fit are more than we know of.
        Err(error) => error == rustix::io::Errno::RANGE,
    }
}

/// Writes all of them: each is whole on the disk before the first is put in place. Blocks on the disk.
///
/// # Errors
/// One could not be written: nothing was changed. One could not be put in place: those before it were.
pub(super) fn all(rewrites: &[Rewrite]) -> io::Result<()> {
    let staged = rewrites.iter().try_for_each(stage);
    let placed = staged.and_then(|()| rewrites.iter().try_for_each(place));
    if placed.is_err() {
        for rewrite in rewrites {
            // Those that were never made, or are in place, are not there.
            let _ = fs::remove_file(rewrite.beside(NEW));
        }
    }
    placed
}

/// How the name of a file ends that is not whole yet.
const NEW: &str = ".new";
/// How the name of a file ends that was overwritten.
const OLD: &str = "~";

fn stage(rewrite: &Rewrite) -> io::Result<()> {
    let new = rewrite.beside(NEW);
    remove(&new)?;
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

fn place(rewrite: &Rewrite) -> io::Result<()> {
    if rewrite.keep {
        let old = rewrite.beside(OLD);
        remove(&old)?;
        fs::hard_link(&rewrite.path, &old)?;
    }
    fs::rename(rewrite.beside(NEW), &rewrite.path)?;
    let directory = rewrite.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

/// Takes away what an earlier try has left.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn sources(main: &str, included: &[(&str, &str)]) -> Sources {
        let included = included.iter().map(|(name, text)| ((*name).to_owned(), Ok(text.as_bytes().to_vec()))).collect();
        Sources { main: main.into(), included }
    }

    #[test]
    fn files_are_replaced_as_a_whole_and_stay_what_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let main = r#"{"include":["d/*.json"]}"#;
        let path = root.join("projects.json");
        fs::create_dir(root.join("d")).unwrap();
        for (name, text) in [("projects.json", "{}"), ("d/a.json", "old"), ("d/b.json", "same")] {
            fs::write(root.join(name), text).unwrap();
            fs::set_permissions(root.join(name), Permissions::from_mode(0o640)).unwrap();
        }
        let version = sources(main, &[("d/a.json", "new"), ("d/b.json", "same")]);
        let rewrites = consider(&path, &version, true).unwrap();
        assert_eq!(
            rewrites.iter().map(Rewrite::shown).collect::<Vec<_>>(),
            [path.display().to_string(), root.join("d/a.json").display().to_string()]
        );
        fs::write(root.join("d/.a.json.new"), "left by one that was killed").unwrap();
        all(&rewrites).unwrap();
        assert_eq!(Sources::read(&path).unwrap(), version);
        assert_eq!(fs::metadata(root.join("d/a.json")).unwrap().mode() & 0o7777, 0o640);
        assert_eq!((fs::read_to_string(root.join("d/.a.json~")).unwrap().as_str(), root.join("d/.a.json.new").exists()), ("old", false));
        assert!(consider(&path, &version, true).unwrap().is_empty());
        // Names that are not those of the version.
        fs::write(root.join("d/c.json"), "").unwrap();
        assert!(consider(&path, &version, true).unwrap_err().ends_with("c.json as well"));
        fs::remove_file(root.join("d/c.json")).unwrap();
        fs::remove_file(root.join("d/b.json")).unwrap();
        assert!(consider(&path, &version, true).unwrap_err().ends_with("b.json is not there"));
    }

    #[test]
    fn what_is_somebody_elses_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let why = |path: &Path| consider(path, &sources("new", &[]), false).map(|rewrites| rewrites.len()).unwrap_err();
        let path = root.join("projects.json");
        fs::write(root.join("real.json"), "old").unwrap();
        symlink("real.json", &path).unwrap();
        assert!(why(&path).ends_with("is a link"));
        fs::create_dir(root.join("..2026")).unwrap();
        fs::write(root.join("..2026/projects.json"), "old").unwrap();
        symlink("..2026", root.join("settings")).unwrap();
        assert!(why(&root.join("settings/projects.json")).ends_with("is reached through a link"));
        let plain = root.join("plain.json");
        fs::write(&plain, "old").unwrap();
        fs::hard_link(&plain, root.join("other")).unwrap();
        assert!(why(&plain).ends_with("has another name"));
        fs::remove_file(root.join("other")).unwrap();
        fs::set_permissions(&plain, Permissions::from_mode(0o444)).unwrap();
        assert!(why(&plain).ends_with("is read-only"));
        fs::set_permissions(&plain, Permissions::from_mode(0o644)).unwrap();
        let list = rustix::fs::setxattr(&plain, "user.note", b"x", rustix::fs::XattrFlags::empty());
        assert!(list.is_err() || consider(&plain, &sources("new", &[]), false).is_ok(), "only an access list counts");
        assert!(why(Path::new("/proc/self/status")).contains("/proc/"));
        assert_eq!(fs::read_to_string(&plain).unwrap(), "old");
    }

    #[test]
    fn where_one_cannot_be_written_none_is() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let path = root.join("projects.json");
        fs::write(&path, r#"{"include":["a.json"]}"#).unwrap();
        fs::write(root.join("a.json"), "old").unwrap();
        let rewrites = consider(&path, &sources(r#"{"include": ["a.json"]}"#, &[("a.json", "new")]), true).unwrap();
        // Something that cannot be removed stands where it would be written.
        fs::create_dir(root.join(".a.json.new")).unwrap();
        all(&rewrites).unwrap_err();
        assert_eq!(
            (fs::read_to_string(&path).unwrap().as_str(), fs::read_to_string(root.join("a.json")).unwrap().as_str()),
            (r#"{"include":["a.json"]}"#, "old")
        );
        assert!(!root.join(".projects.json.new").exists());
    }
}
