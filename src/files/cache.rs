//! What files held when they were read last, so that a tree in which nothing changed is looked at and not read.
//!
//! A file is known again by its device, inode, size and both times, to the nanosecond. Nobody can set the time of its last
//! change (`ctime`) back, so whatever is written to it makes it another one here. The one gap is a write in the same tick
//! of the clock as the reading, so nothing is remembered of a file that was written to just now.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use blake3::Hash;
use rustix::fs::Stat;

use crate::domain::Millis;
use crate::domain::manifest::Node;

/// What the file begins with. The number is the format's: of any other, nothing is known.
const HEAD: &[u8] = b"dockmaster hashes 1\n";
/// The bytes of an entry: five numbers, little end first, and the hash.
const ENTRY: usize = 5 * 8 + HASH;
/// The bytes of a hash. One of all entries ends the file, so that a part of one, or a bad disk, is found out.
const HASH: usize = blake3::OUT_LEN;
/// The most entries that are kept: 18 MB. The files beyond are read each time.
pub const ENTRIES_MAX: usize = 250_000;
/// How long a file must have been left alone to be remembered. Longer than the tick of any file system's clock.
const SETTLED: Millis = 2_000;
const NANOS_PER_MILLI: i64 = 1_000_000;

/// What tells that a file is the same one, and unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    device: u64,
    inode: u64,
    size: u64,
    modified: i64,
    changed: i64,
}

impl Key {
    /// None where a time is too far off to be counted in nanoseconds.
    fn of(stat: &Stat) -> Option<Self> {
        let nanos = |seconds: i64, nanos: u64| seconds.checked_mul(1_000_000_000)?.checked_add(i64::try_from(nanos).ok()?);
        Some(Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).ok()?,
            modified: nanos(stat.st_mtime, stat.st_mtime_nsec)?,
            changed: nanos(stat.st_ctime, stat.st_ctime_nsec)?,
        })
    }

    /// Whether nobody wrote to it just now; nor in the future, where the clock was set back.
    fn is_settled(&self, now: Millis) -> bool {
        let until = now.saturating_sub(SETTLED).saturating_mul(NANOS_PER_MILLI);
        self.modified <= until && self.changed <= until
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut numbers = bytes.chunks_exact(8).map(|chunk| chunk.try_into().map(u64::from_le_bytes).ok());
        let mut next = || numbers.next().flatten();
        Some(Self { device: next()?, inode: next()?, size: next()?, modified: next()?.cast_signed(), changed: next()?.cast_signed() })
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        for number in [self.device, self.inode, self.size, self.modified.cast_unsigned(), self.changed.cast_unsigned()] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
}

#[derive(Debug)]
struct Known {
    hash: [u8; HASH],
    /// Whether it was asked for since the cache was loaded.
    used: AtomicBool,
}

/// The hashes of files that were read before. Several threads may ask one, and teach it.
#[derive(Debug)]
pub struct HashCache {
    /// None where nothing is to be remembered.
    path: Option<PathBuf>,
    entries: HashMap<Key, Known>,
    /// What is new since it was loaded.
    learned: Mutex<HashMap<Key, [u8; HASH]>>,
}

impl HashCache {
    /// Knows nothing, learns nothing and saves nothing.
    pub fn disabled() -> Self {
        Self { path: None, entries: HashMap::new(), learned: Mutex::default() }
    }

    /// Loads what was saved. What is not there, cannot be read, is damaged or of another format is an empty cache: all
    /// that is lost is time. Blocks.
    pub fn load(path: &Path) -> Self {
        let entries = read(path).and_then(|bytes| parse(&bytes)).unwrap_or_default();
        Self { path: Some(path.to_owned()), entries, learned: Mutex::default() }
    }

    fn learned(&self) -> MutexGuard<'_, HashMap<Key, [u8; HASH]>> {
        // Whoever panicked has put in an entry, or has not.
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Saves what was used or learned since it was loaded; the rest belongs to files that are gone or changed. What it
    /// replaces is there until all of it is written. Where nothing would be different nothing is written. Blocks.
    ///
    /// # Errors
    /// It cannot be written. What was there before still is.
    pub fn save(&self) -> io::Result<()> {
        let (Some(path), learned) = (&self.path, self.learned()) else { return Ok(()) };
        let used = |known: &Known| known.used.load(Ordering::Relaxed);
        if learned.is_empty() && self.entries.values().all(used) {
            return Ok(());
        }
        let mut bytes = HEAD.to_vec();
        let known = self.entries.iter().filter(|(_, known)| used(known)).map(|(key, known)| (key, &known.hash));
        for (key, hash) in known.chain(&*learned).take(ENTRIES_MAX) {
            key.write(&mut bytes);
            bytes.extend_from_slice(hash);
        }
        let sum = blake3::hash(&bytes);
        bytes.extend_from_slice(sum.as_bytes());
        let mut beside = path.clone().into_os_string();
        beside.push(".new");
        // Not brought to the disk: what a power cut makes of it is found out when it is loaded.
        let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside);
        let written = written.and_then(|mut file| file.write_all(&bytes)).and_then(|()| std::fs::rename(&beside, path));
        if written.is_err() {
            // On a full disk a part of it only takes room.
            let _ = std::fs::remove_file(&beside);
        }
        written
    }
}

/// All of a file, where it is none that is too long to be ours.
fn read(path: &Path) -> Option<Vec<u8>> {
    let longest = (HEAD.len() + ENTRIES_MAX * ENTRY + HASH) as u64;
    let file = File::open(path).ok()?;
    let length = file.metadata().ok().filter(|meta| meta.is_file() && meta.len() <= longest)?.len();
    let mut bytes = Vec::with_capacity(usize::try_from(length).ok()?);
    file.take(longest).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn parse(bytes: &[u8]) -> Option<HashMap<Key, Known>> {
    let (all, sum) = bytes.split_at_checked(bytes.len().checked_sub(HASH)?)?;
    let entries = all.strip_prefix(HEAD)?;
    if entries.len() % ENTRY != 0 || blake3::hash(all).as_bytes() != sum {
        return None;
    }
    let entry = |bytes: &[u8]| {
        let (key, hash) = bytes.split_at_checked(ENTRY - HASH)?;
        Some((Key::read(key)?, Known { hash: hash.try_into().ok()?, used: AtomicBool::new(false) }))
    };
    entries.chunks_exact(ENTRY).map(entry).collect()
}

/// A cache, and the time at which it is asked.
#[derive(Debug, Clone, Copy)]
pub struct Hashes<'a> {
    /// The cache.
    pub cache: &'a HashCache,
    /// No later than the first reading.
    pub now: Millis,
}

impl Hashes<'_> {
    /// What a file holds, where that is known.
    pub(super) fn known(&self, stat: &Stat) -> Option<Node> {
        let key = Key::of(stat)?;
        let hash = match self.cache.entries.get(&key) {
            Some(known) => {
                known.used.store(true, Ordering::Relaxed);
                known.hash
            }
            None => *self.cache.learned().get(&key)?,
        };
        Some(Node::File { hash: Hash::from_bytes(hash).to_hex().to_string(), size: key.size })
    }

    /// Remembers what a file holds that was the same before and after it was read.
    pub(super) fn learn(&self, stat: &Stat, hash: Hash) {
        let Some(key) = Key::of(stat).filter(|key| self.cache.path.is_some() && key.is_settled(self.now)) else { return };
        let mut learned = self.cache.learned();
        // Those that nobody asked for yet are not counted out: they may be of files that come later.
        if self.cache.entries.len() + learned.len() < 2 * ENTRIES_MAX {
            learned.insert(key, *hash.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests;
