//! Noticing that files were changed: by what the file system reports, and by looking.
//!
//! It is always looked as well. Events only make it sooner: a directory can be replaced, a network file system reports
//! nothing of others, and the kernel's queue can overflow.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, RemoveKind};
use notify::{ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

use crate::config::Places;
use crate::domain::Millis;
use crate::domain::reload::Watching;
use crate::domain::untrusted::UntrustedText;
use crate::engine::mountinfo::{self, Mounted};

/// How often it is looked where events say that something was changed.
const BESIDE_EVENTS: Duration = Duration::from_secs(5);
/// How long is waited after an event before it is looked: others may write to the same directory all the time.
const CALM: Duration = Duration::from_millis(50);
/// Times of files are as exact as the kernel's clock ticks: what was read so soon after a change may have changed again
/// without its looking so, in milliseconds.
const TICK: Millis = 50;
/// File systems that do not report what others change, by the numbers that the kernel has for them.
const DEAF: [(u64, &str); 8] = [
    (0x6969, "NFS"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB"),
    (0x517B, "SMB"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9P"),
    (0x6a65_6a63, "virtiofs"),
    (0x5346_4846, "the Windows host's"),
];
/// How many links are followed on the way to a file.
const LINKS_MAX: usize = 16;

/// What can be seen of a file without reading it: device, inode, size, and when its content and its inode were changed.
type Stat = (u64, u64, u64, (i64, i64), (i64, i64));

/// What is seen of all files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Look {
    files: BTreeMap<PathBuf, Option<Stat>>,
    /// The directories in which a change of one of them would be seen, with what they are.
    directories: BTreeMap<PathBuf, Option<(u64, u64)>>,
}

impl Look {
    /// Looks. Blocks on the disk.
    pub(super) fn at(places: &Places) -> Self {
        let files = places.files();
        let mut directories: BTreeSet<PathBuf> = places.directories().into_iter().collect();
        files.iter().for_each(|file| on_the_way(file, &mut directories));
        let stat = |path: PathBuf| {
            let seen = std::fs::metadata(&path).ok();
            let seen = seen.map(|m| (m.dev(), m.ino(), m.size(), (m.mtime(), m.mtime_nsec()), (m.ctime(), m.ctime_nsec())));
            (path, seen)
        };
        let what = |path: PathBuf| {
            let seen = std::fs::metadata(&path).ok().map(|m| (m.dev(), m.ino()));
            (path, seen)
        };
        Self { files: files.into_iter().map(stat).collect(), directories: directories.into_iter().map(what).collect() }
    }

    /// Whether the files look the same.
    pub(super) fn same_files(&self, other: &Self) -> bool {
        self.files == other.files
    }

    /// Whether a file was changed so shortly before that it could be changed again unseen.
    fn is_fresh(&self, now: Millis) -> bool {
        let changed = |(seconds, nanos): (i64, i64)| seconds.saturating_mul(1_000).saturating_add(nanos / 1_000_000);
        self.files.values().flatten().any(|stat| (0..TICK).contains(&now.saturating_sub(changed(stat.4))))
    }
}

/// The directories in which something could be replaced that a path leads through: its own, and those of links on its way.
fn on_the_way(path: &Path, found: &mut BTreeSet<PathBuf>) {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        found.extend(path.parent().filter(|p| !p.as_os_str().is_empty()).map(Path::to_owned));
        let whole: Vec<PathBuf> = path.ancestors().map(Path::to_owned).collect();
        let link = whole.iter().rev().find_map(|part| Some((part.clone(), std::fs::read_link(part).ok()?)));
        let Some((link, target)) = link else { return };
        let (Some(place), Ok(rest)) = (link.parent(), path.strip_prefix(&link)) else { return };
        found.insert(place.to_owned());
        path = if rest.as_os_str().is_empty() { place.join(target) } else { place.join(target).join(rest) };
    }
}

/// Why changes of a file cannot be seen, where it is mounted by itself and was replaced where it comes from: the mount goes
/// on showing what was there before. Blocks on the disk.
pub(super) fn hidden_by_a_mount(path: &Path) -> Option<String> {
    let real = path.canonicalize().ok()?;
    let gone = std::fs::metadata(&real).ok()?.nlink() == 0;
    is_mounted_and_gone(&mountinfo::now(), &real, gone).then(|| {
        format!(
            "{} is mounted by itself and was replaced where it comes from, so that what is saved there cannot be seen: mount its directory \
             instead, and start this container again.",
            UntrustedText::path(&path)
        )
    })
}

/// Whether a file is mounted by itself, and is no longer where it was mounted from.
fn is_mounted_and_gone(mounts: &[Mounted], path: &Path, gone: bool) -> bool {
    mounts.iter().any(|m| m.point == path && (gone || m.root.as_os_str().as_encoded_bytes().ends_with(b"//deleted")))
}

/// What was told by events, and not looked at yet.
#[derive(Debug, Default)]
struct Told {
    wake: Notify,
    touched: AtomicBool,
    /// A directory was taken away, and perhaps made again.
    lost: AtomicBool,
    /// The names of the files.
    names: Mutex<BTreeSet<std::ffi::OsString>>,
}

impl Told {
    fn names(&self) -> std::sync::MutexGuard<'_, BTreeSet<std::ffi::OsString>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, event: &notify::Result<Event>) {
        if let Ok(event) = event {
            // Reading is no change, and we read ourselves.
            if matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write)) {
                return;
            }
            if matches!(event.kind, EventKind::Remove(RemoveKind::Folder | RemoveKind::Any | RemoveKind::Other)) {
                self.lost.store(true, Ordering::Release);
            }
            let names = self.names();
            if event.paths.iter().any(|path| path.file_name().is_some_and(|name| names.contains(name))) {
                self.touched.store(true, Ordering::Release);
            }
        }
        // What is not understood, a lost event among it, is a reason to look.
        self.wake.notify_one();
    }
}

fn is_gone(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(error) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

/// Watches files.
pub(super) struct Watcher {
    places: Places,
    way: Watching,
    poll: Duration,
    told: Arc<Told>,
    events: Option<RecommendedWatcher>,
    /// Whether one of the directories does not report what others change, so that it has to be looked at.
    deaf: bool,
    seen: Look,
    /// Whether it has to be read once more, whatever it looks like.
    again: bool,
}

impl Watcher {
    /// Watches in a way, which is not `auto`. Where events cannot be had it looks instead: why is answered. What was changed
    /// since the files were read is seen at the first look.
    pub(super) fn new(places: Places, seen: Look, way: Watching, poll: Duration) -> (Self, Option<String>) {
        let mut watcher = Self { places, way, poll, told: Arc::default(), events: None, deaf: false, seen: Look::default(), again: true };
        let why_not = watcher.listen(&seen).err();
        watcher.seen = seen;
        (watcher, why_not)
    }

    /// How it watches.
    pub(super) fn way(&self) -> Watching {
        self.way
    }

    /// The longest time between two looks.
    pub(super) fn interval(&self) -> Duration {
        if self.events.is_some() && !self.deaf { BESIDE_EVENTS } else { self.poll }
    }

    /// Asks for events of every directory.
    fn listen(&mut self, look: &Look) -> Result<(), String> {
        self.events = None;
        // One that is included may lie elsewhere than the file itself.
        self.deaf = look.directories.keys().any(|directory| file_system(directory).is_some());
        *self.told.names() = look.files.keys().filter_map(|path| path.file_name().map(ToOwned::to_owned)).collect();
        if self.way != Watching::Events {
            return Ok(());
        }
        let told = Arc::clone(&self.told);
        let listening = notify::recommended_watcher(move |event| told.hear(&event)).and_then(|mut events| {
            for (directory, _) in look.directories.iter().filter(|(_, there)| there.is_some()) {
                match events.watch(directory, RecursiveMode::NonRecursive) {
                    // Gone since it was looked at: the next look finds what came instead.
                    Err(error) if is_gone(&error) => {}
                    other => other?,
                }
            }
            Ok(events)
        });
        match listening {
            Ok(events) => self.events = Some(events),
            Err(error) => {
                self.way = Watching::Poll;
                return Err(error.to_string());
            }
        }
        Ok(())
    }

    /// Waits until files may have been changed; where somebody is `restless`, until it is looked. `beat` is called with each look.
    pub(super) async fn changed(&mut self, restless: bool, beat: impl Fn()) {
        if self.way == Watching::Off {
            return std::future::pending().await;
        }
        loop {
            beat();
            tokio::select! {
                () = self.told.wake.notified() => tokio::time::sleep(CALM).await,
                () = tokio::time::sleep(self.interval()) => self.again |= restless,
            }
            let look = self.look().await;
            // Each is asked: what was told is dealt with by this look.
            let touched = self.told.touched.swap(false, Ordering::AcqRel);
            if self.told.lost.swap(false, Ordering::AcqRel) {
                self.seen.directories.clear();
            }
            if std::mem::take(&mut self.again) || touched || !look.same_files(&self.seen) {
                return;
            }
            self.follow(look);
        }
    }

    /// Looks now.
    pub(super) async fn look(&self) -> Look {
        let places = self.places.clone();
        // Only a panic in there would be an error, and then it is looked again.
        tokio::task::spawn_blocking(move || Look::at(&places)).await.unwrap_or_default()
    }

    /// The files were read as they looked here, and these are the places to watch from now on.
    pub(super) fn saw(&mut self, look: Look, places: Places, now: Millis) {
        self.again = look.is_fresh(now);
        self.places = places;
        self.follow(look);
    }

    /// Goes along where directories were replaced, or come and go.
    fn follow(&mut self, look: Look) {
        let moved = look.directories != self.seen.directories || look.files.keys().ne(self.seen.files.keys());
        if moved && let Err(error) = self.listen(&look) {
            tracing::warn!(error, "the file system reports no changes any more; it is looked instead");
        }
        self.seen = look;
    }
}

/// The file system of a path, where it is one that does not report what others change.
pub(super) fn file_system(path: &Path) -> Option<&'static str> {
    let kind = rustix::fs::statfs(path).ok()?.f_type;
    // Some machines count it signed.
    let kind = u64::try_from(kind).unwrap_or_default() & 0xffff_ffff;
    DEAF.iter().find(|(number, _)| *number == kind).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn every_directory_on_the_way_counts() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        // As orchestrators mount settings: a link to a link to a directory that is swapped.
        std::fs::create_dir_all(root.join("settings/..2026")).unwrap();
        std::fs::write(root.join("settings/..2026/projects.json"), "{}").unwrap();
        symlink("..2026", root.join("settings/..data")).unwrap();
        symlink("..data/projects.json", root.join("settings/projects.json")).unwrap();
        symlink(root.join("settings"), root.join("etc")).unwrap();
        let mut found = BTreeSet::new();
        on_the_way(&root.join("etc/projects.json"), &mut found);
        let names: Vec<_> = found.iter().map(|p| p.strip_prefix(&root).unwrap().display().to_string()).collect();
        assert_eq!(names, ["", "etc", "settings", "settings/..2026", "settings/..data"]);
        symlink("round", root.join("round")).unwrap();
        on_the_way(&root.join("round"), &mut found);
    }

    #[test]
    fn a_file_that_is_mounted_by_itself_and_gone_is_known() {
        let mounts = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                      40 22 8:1 /srv/a/projects.json /etc/my\\040own/projects.json ro - ext4 /dev/sda1 rw\n\
                      41 22 8:1 /srv/b.json//deleted /etc/b.json ro - ext4 /dev/sda1 rw\n";
        let mounts = mountinfo::parse(mounts.as_bytes());
        let is = |path: &str, gone| is_mounted_and_gone(&mounts, Path::new(path), gone);
        assert!(is("/etc/my own/projects.json", true) && !is("/etc/my own/projects.json", false));
        assert!(is("/etc/b.json", false));
        assert!(!is("/etc/c.json", true), "replaced, and looked at in between");
    }

    #[test]
    fn a_look_sees_what_changed_and_when_it_could_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("projects.json");
        let look = || Look::at(&Places::alone(&path));
        let missing = look();
        std::fs::write(&path, "{}").unwrap();
        let there = look();
        assert!(!there.same_files(&missing) && there.same_files(&look()));
        let changed = there.files.values().flatten().next().unwrap().4;
        let at = changed.0 * 1_000 + changed.1 / 1_000_000;
        assert!(there.is_fresh(at + TICK - 1) && !there.is_fresh(at + TICK) && !there.is_fresh(at - 1), "a clock may be set back");
    }

    #[test]
    fn where_one_directory_reports_nothing_it_is_looked_as_often_as_where_none_does() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places::alone(&dir.path().join("projects.json"));
        let poll = Duration::from_millis(700);
        let (mut watcher, why_not) = Watcher::new(places.clone(), Look::at(&places), Watching::Events, poll);
        assert_eq!((why_not, watcher.interval()), (None, BESIDE_EVENTS));
        watcher.deaf = true;
        assert_eq!(watcher.interval(), poll);
        assert_eq!(file_system(dir.path()), None, "an ordinary one is none of them");
    }
}
