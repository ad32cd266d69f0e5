//! What is mounted, as the kernel tells a process (`/proc/self/mountinfo`). Pure but for [`now`].

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Where the kernel tells it.
pub const MOUNTINFO: &str = "/proc/self/mountinfo";

/// Something that is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    id: u64,
    /// The mount that this one is mounted in.
    parent: u64,
    /// The numbers of its device.
    pub device: String,
    /// What of its file system is seen there; a file that is gone from it ends in `//deleted`.
    pub root: PathBuf,
    /// Where it is seen.
    pub point: PathBuf,
    /// Whether it may be written to there.
    pub writable: bool,
    /// The kind of file system.
    pub file_system: String,
    /// What it is made from: a device, or any word.
    pub source: String,
    /// The options of the file system itself.
    pub options: String,
}

/// Reads the lines; one that is none is left out.
pub fn parse(mountinfo: &[u8]) -> Vec<Mounted> {
    mountinfo.split(|b| *b == b'\n').filter_map(of_line).collect()
}

/// What is mounted now. Blocks, though not on a disk; nothing where the kernel does not say.
pub fn now() -> Vec<Mounted> {
    std::fs::read(MOUNTINFO).map(|text| parse(&text)).unwrap_or_default()
}

fn of_line(line: &[u8]) -> Option<Mounted> {
    // Fields: id, parent, device, root within its file system, mount point, options, any number of others, a dash, the kind of
    // file system, its source, its options.
    let mut fields = line.split(|b| *b == b' ');
    let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    let number = |field: &[u8]| text(field).parse().ok();
    let (id, parent) = (number(fields.next()?)?, number(fields.next()?)?);
    let device = text(fields.next()?);
    let (root, point) = (path(fields.next()?), path(fields.next()?));
    let there = text(fields.next()?);
    fields.find(|field| *field == b"-")?;
    let (file_system, source) = (text(fields.next()?), text(fields.next()?));
    let options = text(fields.next()?);
    let is_writable = |options: &str| !options.split(',').any(|option| option == "ro");
    let writable = is_writable(&there) && is_writable(&options);
    Some(Mounted { id, parent, device, root, point, writable, file_system, source, options })
}

/// A path as it is written there: spaces, tabs, line ends and backslashes are three octal digits behind a backslash.
fn path(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let octal = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok();
        match after.get(..3).and_then(octal).filter(|_| *first == b'\\') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// The mount that a path without links lies on: from the root down, as the kernel finds it. None where it cannot be told.
pub fn of<'m>(mounts: &'m [Mounted], path: &Path) -> Option<&'m Mounted> {
    let is_known = |id: u64, but: u64| mounts.iter().any(|m| m.id == id && m.id != but);
    let mut at = mounts.iter().find(|m| m.point == Path::new("/") && !is_known(m.parent, m.id))?;
    // Each step leads deeper or to what was mounted over it; never more of them than mounts.
    for _ in 0..mounts.len() {
        let below = mounts.iter().filter(|m| m.parent == at.id && m.id != at.id && path.starts_with(&m.point));
        // The first on the way hides what was mounted below it before.
        match below.min_by_key(|m| m.point.components().count()) {
            Some(next) => at = next,
            None => break,
        }
    }
    Some(at)
}

/// Which place on which device a path without links is: two paths can lead to one place.
pub fn place(mounts: &[Mounted], path: &Path) -> Option<(String, PathBuf)> {
    let mount = of(mounts, path)?;
    let rest = path.strip_prefix(&mount.point).ok()?;
    Some((mount.device.clone(), mount.root.join(rest).components().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 27 8:1 /vol /srv/my\\040own rw master:3 propagate_from:2 - xfs /dev/sda1 rw
31 27 8:2 / /mnt/usb rw - vfat /dev/sdb1 ro
32 27 0:50 / /srv/data/deep rw - tmpfs tmpfs rw
33 27 8:3 /one /srv/data rw - ext4 /dev/sdc rw
34 33 8:4 / /srv/data rw - ext4 /dev/sdd rw
35 27 8:1 /vol/below /elsewhere ro - xfs /dev/sda1 rw
a line that is none
";

    #[test]
    fn lines_are_read_with_all_that_may_stand_between() {
        let mounts = parse(HOST.as_bytes());
        assert_eq!(mounts.len(), 8);
        let own = &mounts[2];
        assert_eq!((own.root.to_str(), own.point.to_str()), (Some("/vol"), Some("/srv/my own")));
        assert_eq!((own.file_system.as_str(), own.source.as_str(), own.writable), ("xfs", "/dev/sda1", true));
        assert!(!mounts[3].writable && !mounts[7].writable, "either the mount or the file system may be read-only");
        assert_eq!(path(b"a\\134040b\\01"), Path::new("a\\040b\\01"));
        assert_eq!(parse(b"1 2 3\n\xff"), []);
    }

    #[test]
    fn a_path_lies_on_what_the_kernel_comes_to() {
        let mounts = parse(HOST.as_bytes());
        let lies = |path: &str| of(&mounts, Path::new(path)).map(|m| m.source.as_str());
        for (path, source) in [
            ("/", "/dev/vda"),
            ("/var/lib", "/dev/vda"),
            ("/srv/my own/x", "/dev/sda1"),
            ("/srv/my owner", "/dev/vda"),
            ("/srv/data", "/dev/sdd"),
            // Mounted over since.
            ("/srv/data/deep/x", "/dev/sdd"),
        ] {
            assert_eq!(lies(path), Some(source), "{path}");
        }
        assert_eq!(of(&[], Path::new("/")), None);
        let at = |path: &str| place(&mounts, Path::new(path)).unwrap();
        assert_eq!(at("/srv/my own/below/x"), at("/elsewhere/x"), "one place by two ways");
        assert_eq!(at("/elsewhere"), ("8:1".to_owned(), PathBuf::from("/vol/below")));
    }

    #[test]
    fn mounts_that_go_round_end() {
        let round = parse(b"1 1 0:1 / / rw - ext4 a rw\n2 3 0:2 / /a rw - ext4 b rw\n3 2 0:3 / /a rw - ext4 c rw\n");
        assert_eq!(of(&round, Path::new("/a/b")).map(|m| m.source.as_str()), Some("a"));
        let round = parse(b"1 9 0:1 / / rw - ext4 a rw\n2 1 0:2 / /a rw - ext4 b rw\n2 2 0:3 / /a rw - ext4 c rw\n");
        assert!(of(&round, Path::new("/a/b")).is_some());
    }
}
