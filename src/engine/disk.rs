//! What directories hold, and how much room there is where they are. Everything here blocks, on a share of a machine that
//! is away for ever: it is to be called on a thread of its own.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::StatVfsMountFlags;

use super::mountinfo::{self, Mounted};
use crate::domain::space::Space;
use crate::domain::volumes::Why;

/// The kinds of file systems that are memory: tmpfs and ramfs.
const MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
/// What the kernel counts in, in bytes, whatever the blocks of the file system.
const BLOCK: u64 = 512;

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walked {
    /// Bytes on the disk. What has several names counts once.
    pub bytes: u64,
    /// Whether all of it was seen.
    pub whole: bool,
}

/// A file system, as seen from a path on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Its room.
    pub space: Space,
    /// Whether it is memory.
    pub memory: bool,
    /// Whether anybody could write to it, were there room.
    pub writable: bool,
}

/// What is at a path and below it, on the same file system, links not followed. Ends after so many entries, or at a time.
///
/// # Errors
/// Nothing is there, or nothing that can be measured, or it may not be looked at.
pub fn walk(root: &Path, most: usize, until: Instant) -> Result<Walked, Why> {
    // What is mounted is what a link leads to.
    let first = fs::metadata(root).map_err(|e| why(&e))?;
    if !first.is_dir() {
        return if first.is_file() { Ok(Walked { bytes: first.blocks() * BLOCK, whole: true }) } else { Err(Why::Nothing) };
    }
    let mut walk = Walk { device: first.dev(), bytes: first.blocks() * BLOCK, several: HashSet::new(), pending: Vec::new(), seen: 0 };
    walk.directory(root).map_err(|e| why(&e))?;
    let mut whole = true;
    while let Some(directory) = walk.pending.pop() {
        if walk.seen >= most || Instant::now() >= until {
            return Ok(Walked { bytes: walk.bytes, whole: false });
        }
        match walk.directory(&directory) {
            Ok(()) => {}
            // Somebody works there: what is gone holds nothing.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => whole = false,
        }
    }
    Ok(Walked { bytes: walk.bytes, whole })
}

struct Walk {
    device: u64,
    bytes: u64,
    /// Files with several names that were counted.
    several: HashSet<u64>,
    pending: Vec<PathBuf>,
    seen: usize,
}

impl Walk {
    fn directory(&mut self, directory: &Path) -> io::Result<()> {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            self.seen += 1;
            let Ok(meta) = entry.metadata() else { continue };
            if meta.dev() != self.device || !self.counts(&meta) {
                continue;
            }
            self.bytes += meta.blocks() * BLOCK;
            if meta.is_dir() {
                self.pending.push(entry.path());
            }
        }
        Ok(())
    }

    fn counts(&mut self, meta: &Metadata) -> bool {
        meta.is_dir() || meta.nlink() < 2 || self.several.insert(meta.ino())
    }
}

/// How much room there is at a path. Where it may not be looked at, what is mounted there says it.
///
/// # Errors
/// Nothing is there, or it cannot be told.
pub fn room(path: &Path) -> Result<Room, Why> {
    match seen(path) {
        Err(Why::Forbidden) => {
            let mounts = mountinfo::now();
            let mount = mount_of(&mounts, path).ok_or(Why::Forbidden)?;
            seen(&mount.point)
        }
        seen => seen,
    }
}

fn seen(path: &Path) -> Result<Room, Why> {
    let meta = fs::metadata(path).map_err(|e| why(&e))?;
    if !meta.is_dir() && !meta.is_file() {
        return Err(Why::Nothing);
    }
    let stat = rustix::fs::statvfs(path).map_err(|e| why(&e.into()))?;
    let kind = rustix::fs::statfs(path).map_err(|e| why(&e.into()))?.f_type;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok(Room {
        space: Space { device: meta.dev(), free: bytes(stat.f_bavail), total: bytes(stat.f_blocks) },
        memory: u64::try_from(kind).is_ok_and(|kind| MEMORY.contains(&kind)),
        // What the kernel makes up has no blocks.
        writable: stat.f_blocks > 0 && !stat.f_flag.contains(StatVfsMountFlags::RDONLY),
    })
}

/// The mount that a path is on, of which only the beginning may be looked at.
fn mount_of<'m>(mounts: &'m [Mounted], path: &Path) -> Option<&'m Mounted> {
    let (real, rest) = path.ancestors().find_map(|above| Some((above.canonicalize().ok()?, path.strip_prefix(above).ok()?)))?;
    mountinfo::of(mounts, &real.join(rest))
}

fn why(error: &io::Error) -> Why {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Why::Gone,
        io::ErrorKind::PermissionDenied => Why::Forbidden,
        _ => Why::Untold,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn what_is_there_is_counted_once_and_links_are_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let (root, other) = (place.path().join("root"), place.path().join("other"));
        for directory in [&root, &other] {
            fs::create_dir(directory).unwrap();
            fs::write(directory.join("file"), vec![1; 300_000]).unwrap();
        }
        let before = walk(&root, 1_000, soon()).unwrap();
        assert!(before.whole && (300_000..400_000).contains(&before.bytes), "{before:?}");
        fs::hard_link(root.join("file"), root.join("again")).unwrap();
        std::os::unix::fs::symlink(&other, root.join("link")).unwrap();
        let after = walk(&root, 1_000, soon()).unwrap();
        assert!(after.bytes < before.bytes + 50_000, "{before:?} {after:?}");
        fs::create_dir(root.join("below")).unwrap();
        fs::write(root.join("below/more"), vec![1; 500_000]).unwrap();
        assert!(walk(&root, 1_000, soon()).unwrap().bytes > before.bytes + 400_000);
        // A link to it is what is mounted, so it counts there.
        assert!(walk(&root.join("link"), 1_000, soon()).unwrap().bytes >= 300_000);
        assert!(walk(&root.join("file"), 1_000, soon()).unwrap().bytes >= 300_000);
    }

    #[test]
    fn a_walk_has_an_end() {
        let place = tempfile::tempdir().unwrap();
        for n in 0..50 {
            let below = place.path().join(n.to_string());
            fs::create_dir(&below).unwrap();
            fs::write(below.join("file"), vec![1; 10_000]).unwrap();
        }
        let all = walk(place.path(), 1_000, soon()).unwrap();
        let some = walk(place.path(), 60, soon()).unwrap();
        assert!(all.whole && !some.whole && some.bytes < all.bytes, "{all:?} {some:?}");
        assert!(!walk(place.path(), 1_000, Instant::now()).unwrap().whole);
    }

    #[test]
    fn what_is_not_there_and_what_cannot_be_measured() {
        let place = tempfile::tempdir().unwrap();
        let socket = place.path().join("socket");
        let _listens = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert_eq!(walk(&place.path().join("none"), 10, soon()), Err(Why::Gone));
        assert_eq!(walk(&socket, 10, soon()), Err(Why::Nothing));
        assert_eq!(room(&place.path().join("none")), Err(Why::Gone));
        assert_eq!(room(&socket), Err(Why::Nothing));
        let room = room(place.path()).unwrap();
        assert!(room.space.total > 0 && room.space.free <= room.space.total, "{room:?}");
        assert!(room.writable && super::room(Path::new("/dev/shm")).unwrap().memory);
        assert!(!super::room(Path::new("/proc")).unwrap().writable);
    }

    #[test]
    fn other_file_systems_below_are_left_out() {
        let all = walk(Path::new("/dev"), 10_000, soon()).unwrap();
        assert!(all.bytes < 64 << 20, "{all:?}");
    }

    #[test]
    fn what_is_mounted_is_known_where_nobody_may_look() {
        let text = b"27 1 254:0 / / rw - ext4 /dev/vda rw\n60 27 0:50 / /none/below rw - nfs away:/ rw\n";
        let mounts = mountinfo::parse(text);
        let point = |path: &str| mount_of(&mounts, Path::new(path)).map(|mount| mount.point.clone());
        assert_eq!(point("/none/below/x"), Some("/none/below".into()));
        assert_eq!(point("/none/other"), Some("/".into()));
    }
}
