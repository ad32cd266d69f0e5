use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, UNIX_EPOCH};

use tokio_util::sync::CancellationToken;

use super::*;
use crate::domain::manifest::Manifest;
use crate::files::rules::Rules;
use crate::files::scan::{look, scan, scan_cached};

/// A hash that no file here has.
const PLANTED: [u8; HASH] = [7; HASH];

/// A tree, a cache beside it, and the time.
struct Place {
    dir: tempfile::TempDir,
    rules: Rules,
    now: Millis,
}

impl Place {
    /// Some files, and so much later that they are settled.
    fn new(files: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("tree")).unwrap();
        let mut place = Self { dir, rules: Rules::new(&[], "", Vec::new()).unwrap(), now: 0 };
        for file in files {
            fs::write(place.file(file), "one").unwrap();
        }
        place.settle();
        place
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("tree")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("hashes")
    }

    /// Two seconds after the last file changed, as the file system tells the time.
    fn settle(&mut self) {
        let times = fs::read_dir(self.root()).unwrap().map(|entry| changed(&entry.unwrap().path()));
        self.now = times.max().unwrap_or(0) / NANOS_PER_MILLI + 1 + SETTLED;
    }

    fn scan(&self, cache: &HashCache) -> Manifest {
        scan_cached(&self.root(), &self.rules, cache, self.now, &CancellationToken::new()).unwrap().manifest
    }

    /// Scans, and saves what was learned.
    fn scan_and_save(&self) -> Manifest {
        let cache = HashCache::load(&self.cache());
        let seen = self.scan(&cache);
        cache.save().unwrap();
        seen
    }

    fn truth(&self) -> Manifest {
        scan(&self.root(), &self.rules, &CancellationToken::new()).unwrap().manifest
    }

    /// Makes the saved cache say something else of every file, so that whoever asks it can be told from who reads.
    fn plant(&self) {
        let mut cache = HashCache::load(&self.cache());
        assert!(!cache.entries.is_empty());
        let planted = cache.entries.drain().map(|(key, _)| (key, PLANTED)).collect();
        *cache.learned() = planted;
        cache.save().unwrap();
    }

    /// The names of the files that are not read but known.
    fn known(&self, seen: &Manifest) -> Vec<String> {
        let planted = Hash::from_bytes(PLANTED).to_hex().to_string();
        let is_planted = |node: &Node| matches!(node, Node::File { hash, size: 3 } if *hash == planted);
        seen.0.iter().filter(|(_, entry)| is_planted(&entry.node)).map(|(path, _)| path.written()).collect()
    }
}

fn changed(path: &Path) -> i64 {
    let meta = fs::metadata(path).unwrap();
    meta.ctime() * 1_000_000_000 + meta.ctime_nsec()
}

/// Writes, in another tick of the clock than what is there.
fn edit(path: &Path, content: &str) {
    let before = changed(path);
    while changed(path) == before {
        fs::write(path, content).unwrap();
    }
}

#[test]
fn what_did_not_change_is_not_read() {
    let mut place = Place::new(&["same", "touched", "edited", "mode", "replaced"]);
    let first = place.scan_and_save();
    assert_eq!(first, place.truth());
    assert_eq!(place.scan_and_save(), first);
    place.plant();
    assert_eq!(place.known(&place.scan_and_save()), ["edited", "mode", "replaced", "same", "touched"]);
    let cache = HashCache::load(&place.cache());
    let (paths, hashes) = (first.0.keys().collect::<Vec<_>>(), Hashes { cache: &cache, now: place.now });
    let looked = look(&place.root(), &paths, Some(hashes), &CancellationToken::new()).unwrap();
    let looked = paths.into_iter().cloned().zip(looked).map(|(path, entry)| (path, entry.unwrap()));
    assert_eq!(place.known(&looked.collect()).len(), 5);

    fs::File::options().write(true).open(place.file("touched")).unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(9)).unwrap();
    // The same size, and the same time by which most look.
    let modified = fs::metadata(place.file("edited")).unwrap().modified().unwrap();
    edit(&place.file("edited"), "two");
    fs::File::options().write(true).open(place.file("edited")).unwrap().set_modified(modified).unwrap();
    fs::set_permissions(place.file("mode"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    fs::write(place.file("beside"), "two").unwrap();
    fs::rename(place.file("beside"), place.file("replaced")).unwrap();
    place.settle();
    let (seen, truth) = (place.scan_and_save(), place.truth());
    assert_eq!(place.known(&seen), ["same"]);
    for name in ["touched", "edited", "mode", "replaced"] {
        assert_eq!(seen.0[&name.into()], truth.0[&name.into()]);
    }
    assert_eq!(seen.0[&"touched".into()], first.0[&"touched".into()]);
}

#[test]
fn nothing_is_remembered_of_what_was_written_just_now() {
    let mut place = Place::new(&["a", "b"]);
    let learned = |place: &Place| {
        let cache = HashCache::load(&place.cache());
        place.scan(&cache);
        cache.learned().len()
    };
    let times = [place.file("a"), place.file("b")].map(|path| changed(&path) / NANOS_PER_MILLI);
    assert_eq!(learned(&place), 2);
    place.now = times[0].min(times[1]) + SETTLED - 1;
    assert_eq!(learned(&place), 0);
    // The clock was set back.
    place.now = times[0] - 1_000_000;
    assert_eq!(learned(&place), 0);
    // A file of tomorrow.
    let tomorrow = UNIX_EPOCH + Duration::from_millis(u64::try_from(times[0] + 86_400_000).unwrap());
    fs::File::options().write(true).open(place.file("a")).unwrap().set_modified(tomorrow).unwrap();
    place.settle();
    assert_eq!(learned(&place), 1);
    place.now = Millis::MAX;
    assert_eq!(learned(&place), 2);
    place.now = Millis::MIN;
    assert_eq!(learned(&place), 0);
}

#[test]
fn it_is_written_only_where_something_is_new() {
    let place = Place::new(&["a", "b"]);
    let written = |place: &Place| {
        place.scan_and_save();
        fs::metadata(place.cache()).unwrap().ino()
    };
    let first = written(&place);
    assert_eq!(written(&place), first);
    fs::remove_file(place.file("a")).unwrap();
    assert_ne!(written(&place), first, "one less");
    let second = written(&place);
    edit(&place.file("b"), "two");
    let mut later = place;
    later.settle();
    assert_ne!(written(&later), second, "another");
}

#[test]
fn what_is_gone_is_forgotten() {
    let place = Place::new(&["stays", "goes"]);
    place.scan_and_save();
    assert_eq!(HashCache::load(&place.cache()).entries.len(), 2);
    fs::remove_file(place.file("goes")).unwrap();
    place.scan_and_save();
    assert_eq!(HashCache::load(&place.cache()).entries.len(), 1);
    let names: Vec<_> = fs::read_dir(place.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "nothing is left beside it: {names:?}");
}

#[test]
fn a_damaged_cache_is_an_empty_one() {
    let place = Place::new(&["a", "b"]);
    let truth = place.scan_and_save();
    place.plant();
    let whole = fs::read(place.cache()).unwrap();
    assert_eq!(whole.len(), HEAD.len() + 2 * ENTRY + HASH);
    let seen = |bytes: &[u8]| {
        fs::write(place.cache(), bytes).unwrap();
        place.scan(&HashCache::load(&place.cache()))
    };
    assert_eq!(place.known(&seen(&whole)).len(), 2);
    for length in 0..whole.len() {
        assert_eq!(seen(&whole[..length]), truth, "cut to {length}");
    }
    for at in 0..whole.len() {
        let mut bad = whole.clone();
        bad[at] ^= 1 << (at % 8);
        assert_eq!(seen(&bad), truth, "a bit at {at}");
    }
    // Of a format to come, whole in itself.
    let mut newer = whole[..whole.len() - HASH].to_vec();
    newer[HEAD.len() - 2] = b'2';
    newer.extend_from_slice(blake3::hash(&newer).as_bytes());
    assert_eq!(seen(&newer), truth);
    assert_eq!(seen(&[whole.as_slice(), &[0; ENTRY]].concat()), truth);
    fs::File::create(place.cache()).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(place.scan_and_save(), truth, "and not even read where it is too long");
    assert_eq!(HashCache::load(&place.cache()).entries.len(), 2, "what is saved then is good");

    fs::remove_file(place.cache()).unwrap();
    fs::create_dir(place.cache()).unwrap();
    let cache = HashCache::load(&place.cache());
    assert_eq!(place.scan(&cache), truth);
    cache.save().unwrap_err();
    assert_eq!(fs::read_dir(place.dir.path()).unwrap().count(), 2);
}

#[test]
fn one_that_is_disabled_knows_and_saves_nothing() {
    let place = Place::new(&["a"]);
    let cache = HashCache::disabled();
    assert_eq!(place.scan(&cache), place.truth());
    assert!(cache.entries.is_empty() && cache.learned().is_empty());
    cache.save().unwrap();
    assert!(!place.cache().exists());
}

#[test]
fn it_does_not_grow_without_bound() {
    let mut cache = HashCache { path: Some("unused".into()), ..HashCache::disabled() };
    let place = Place::new(&["a"]);
    let stat = rustix::fs::stat(place.file("a")).unwrap();
    let hashes = Hashes { cache: &cache, now: place.now };
    for inode in 0..2 * ENTRIES_MAX as u64 + 10 {
        let mut stat = stat;
        stat.st_ino = inode;
        hashes.learn(&stat, Hash::from_bytes(PLANTED));
    }
    assert_eq!(cache.learned().len(), 2 * ENTRIES_MAX);
    cache.path = Some(place.cache());
    cache.save().unwrap();
    assert_eq!(HashCache::load(&place.cache()).entries.len(), ENTRIES_MAX);
}
