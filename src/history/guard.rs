//! The history's file, watched, and a backup of it.
//!
//! SQLite goes on with a file that was removed, and nothing of what it writes then outlives the program. So the file is known by its
//! device and inode. Where it is no longer the one that was opened, or is damaged, it is put aside and restored: from the open
//! connection, which still has everything, or from the backup. Nothing is ever deleted.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::Backup;
use rusqlite::config::DbConfig;

use super::{History, HistoryError, Store, Trouble, connect, locked, migrations, ready, trouble};
use crate::domain::Millis;
use crate::domain::notice::{DatabaseLoss, RestoredFrom};

/// How the backup's name ends.
const BACKUP: &str = ".backup";
/// How the name of a copy ends that is not in its place yet.
const NEW: &str = ".new";
/// The files that SQLite keeps beside a database.
const LOGS: [&str; 2] = ["-wal", "-shm"];
/// How every database begins.
const HEAD: &[u8; 16] = b"SQLite format 3\0";
/// How many names are tried for a file that is put aside.
const ASIDE_MAX: u32 = 10_000;

/// The file was lost or damaged, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// How.
    pub how: DatabaseLoss,
    /// What it was restored from.
    pub from: RestoredFrom,
    /// The name of what was found in its place, which is kept.
    pub aside: Option<String>,
}

/// Which file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

/// The file that a store was opened from.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    identity: Option<Identity>,
    /// The same file, open for as long as SQLite has it: to close any of its descriptors would take SQLite's locks away.
    opened: Option<File>,
    /// The name of the data directory, which every copy of this history holds.
    instance: String,
    /// Whether SQLite said that the file is damaged.
    pub(super) suspect: bool,
    /// How many rows had been changed when the last backup was made.
    backed_up: Option<u64>,
}

pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn identity(path: &Path) -> io::Result<Option<Identity>> {
    match fs::metadata(path) {
        // What SQLite opened has a header by the time that anybody looks.
        Ok(seen) if seen.is_file() && seen.len() > 0 => Ok(Some(Identity { device: seen.dev(), inode: seen.ino() })),
        Ok(_) => Ok(None),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The name of the data directory that a history belongs to.
fn instance(connection: &Connection) -> Result<String, rusqlite::Error> {
    connection.query_row("SELECT name FROM instance", [], |row| row.get(0))
}

/// Whether a database is whole.
fn is_sound(connection: &Connection) -> Result<bool, rusqlite::Error> {
    let said: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok(said == "ok")
}

/// Whether a file is a whole history of a format that is known here, and of which data directory.
fn sound(path: &Path) -> Option<String> {
    if !path.is_file() {
        return None;
    }
    let opened = connect(path).ok()?;
    let format: u32 = opened.pragma_query_value(None, "user_version", |row| row.get(0)).ok()?;
    let known = format > 0 && format as usize <= migrations::STEPS.len();
    if known && is_sound(&opened).ok()? { instance(&opened).ok() } else { None }
}

/// Puts a database and its logs aside under the first free name, which is returned; none where there is nothing.
fn put_aside(path: &Path, how: DatabaseLoss) -> io::Result<Option<String>> {
    let is_free = |aside: &PathBuf| fs::symlink_metadata(aside).is_err();
    let names = (1..=ASIDE_MAX).map(|n| beside(path, &format!(".{}-{n}", how.word())));
    let aside = names.into_iter().find(is_free).ok_or_else(|| io::Error::other("too many databases were put aside already"))?;
    let mut found = false;
    for log in ["", LOGS[0], LOGS[1]] {
        match fs::rename(beside(path, log), beside(&aside, log)) {
            Ok(()) => found |= log.is_empty(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(aside.file_name().filter(|_| found).map(|name| name.to_string_lossy().into_owned()))
}

/// Copies a database into a new file, whole and on the disk.
fn copy_to(from: &Connection, new: &Path) -> Result<(), String> {
    let text = |e: rusqlite::Error| e.to_string();
    let io = |e: io::Error| e.to_string();
    LOGS.iter().for_each(|log| drop(fs::remove_file(beside(new, log))));
    let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(new).map_err(io)?;
    let mut copy = Connection::open(new).map_err(text)?;
    Backup::new(from, &mut copy).and_then(|backup| backup.step(-1)).map_err(text)?;
    if !is_sound(&copy).map_err(text)? {
        return Err("the copy is damaged".to_owned());
    }
    copy.close().map_err(|(_, e)| text(e))?;
    file.sync_all().map_err(io)
}

fn to_disk(path: &Path) {
    // Not every file system can; then it is on the disk a little later.
    let _ = path.parent().map(File::open).map(|directory| directory.and_then(|directory| directory.sync_all()));
}

/// When the backup was made.
fn made(backup: &Path) -> Option<Millis> {
    let modified = fs::metadata(backup).ok()?.modified().ok()?;
    let since = modified.duration_since(std::time::UNIX_EPOCH).ok()?;
    Millis::try_from(since.as_millis()).ok()
}

fn damaged(why: &str) -> String {
    format!("it is damaged ({why}), and there is no good backup of it; move it away to begin with a new one")
}

/// Looks at a history that is about to be opened, and restores it from its backup where it is lost or damaged.
pub(super) fn before_opening(path: &Path) -> Result<Option<Lost>, HistoryError> {
    let failed = |why: String| HistoryError::Open { path: path.to_owned(), why };
    let backup = beside(path, BACKUP);
    let how = match identity(path).map_err(|e| failed(e.to_string()))? {
        None if !backup.is_file() => return Ok(None),
        None if path.exists() => DatabaseLoss::Emptied,
        None => DatabaseLoss::Removed,
        Some(_) => {
            let opened = connect(path).map_err(|e| failed(e.to_string()))?;
            let looked = is_sound(&opened)
                .and_then(|sound| Ok((sound, opened.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0))?)));
            match looked {
                Ok((true, 0)) => return Ok(None),
                Ok((true, format)) if format as usize > migrations::STEPS.len() => return Ok(None),
                Ok((true, _)) => match (instance(&opened).ok(), sound(&backup)) {
                    (Some(own), Some(kept)) if own != kept => DatabaseLoss::Replaced,
                    _ => return Ok(None),
                },
                // A new database in its place would lose everything without asking anybody.
                Ok((false, _)) if sound(&backup).is_none() => return Err(failed(damaged("it is not whole"))),
                Err(error) if trouble(&error) == Trouble::Damaged && sound(&backup).is_none() => {
                    return Err(failed(damaged(&error.to_string())));
                }
                Ok((false, _)) => DatabaseLoss::Damaged,
                Err(error) if trouble(&error) == Trouble::Damaged => DatabaseLoss::Damaged,
                Err(error) => return Err(failed(error.to_string())),
            }
        }
    };
    let kept = sound(&backup).is_some();
    let io = |e: io::Error| failed(format!("it cannot be restored: {e}"));
    let new = beside(path, NEW);
    if kept {
        fs::copy(&backup, &new).and_then(|_| File::open(&new)?.sync_all()).map_err(io)?;
    }
    let aside = put_aside(path, how).map_err(io)?;
    let mut from = RestoredFrom::Nothing;
    if kept {
        fs::rename(&new, path).map_err(io)?;
        from = made(&backup).map_or(RestoredFrom::Nothing, |at| RestoredFrom::Backup { at });
    }
    to_disk(path);
    Ok(Some(Lost { how, from, aside }))
}

impl Place {
    /// Of a store that was just opened.
    pub(super) fn of(path: &Path, connection: &Connection) -> Result<Self, HistoryError> {
        let identity = identity(path).map_err(|e| HistoryError::Open { path: path.to_owned(), why: e.to_string() })?;
        let opened = File::open(path).ok();
        Ok(Self { path: path.to_owned(), identity, opened, instance: instance(connection)?, suspect: false, backed_up: None })
    }

    /// Whether the file still begins as a database does. SQLite itself goes on with what it remembers of a file that somebody
    /// wrote over.
    fn begins_well(&self) -> bool {
        let mut head = [0; HEAD.len()];
        self.opened.as_ref().is_none_or(|file| file.read_exact_at(&mut head, 0).is_ok() && head == *HEAD)
    }

    /// How the file is no longer what was opened; none where it is.
    fn loss(&self) -> Option<DatabaseLoss> {
        match identity(&self.path) {
            Ok(now) if now == self.identity => (self.suspect || !self.begins_well()).then_some(DatabaseLoss::Damaged),
            Ok(Some(_)) => Some(DatabaseLoss::Replaced),
            Ok(None) if self.path.exists() => Some(DatabaseLoss::Emptied),
            Ok(None) => Some(DatabaseLoss::Removed),
            // Whoever cannot look knows nothing; a write that fails says so.
            Err(_) => None,
        }
    }
}

impl Store {
    /// Sees that the file is the one that was opened, and restores it where it is not.
    ///
    /// # Errors
    /// It could not be restored: nothing that is written now would last.
    pub(super) fn keep_in_place(&mut self) -> Result<Option<Lost>, HistoryError> {
        let Some(how) = self.place.as_ref().and_then(Place::loss) else { return Ok(None) };
        let damaged = how == DatabaseLoss::Damaged;
        if let Some(place) = self.place.as_mut().filter(|_| damaged) {
            place.suspect = false;
            if place.begins_well() && is_sound(&self.connection).unwrap_or(false) {
                return Ok(None);
            }
        }
        self.restore(how).map(Some)
    }

    fn restore(&mut self, how: DatabaseLoss) -> Result<Lost, HistoryError> {
        let Some(place) = &self.place else { return Err(HistoryError::Gone { path: PathBuf::new(), why: "it has no file".to_owned() }) };
        let (path, own) = (place.path.clone(), place.instance.clone());
        let gone = |why: String| HistoryError::Gone { path: path.clone(), why };
        let io = |e: io::Error| gone(e.to_string());
        let (new, backup) = (beside(&path, NEW), beside(&path, BACKUP));
        let from = if copy_to(&self.connection, &new).is_ok() && sound(&new).as_ref() == Some(&own) {
            RestoredFrom::Memory
        } else if sound(&backup).as_ref() == Some(&own) {
            fs::copy(&backup, &new).and_then(|_| File::open(&new)?.sync_all()).map_err(io)?;
            made(&backup).map_or(RestoredFrom::Nothing, |at| RestoredFrom::Backup { at })
        } else if path.parent().is_some_and(Path::is_dir) {
            // One that is new, and goes by the same name.
            let _ = fs::remove_file(&new);
            let made = ready(Connection::open(&new)?, &new)?;
            made.execute("UPDATE instance SET name = ?1", [&own])?;
            RestoredFrom::Nothing
        } else {
            return Err(gone("its directory is gone".to_owned()));
        };
        // It must not tidy up files that are another one's by now.
        let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        self.connection = Connection::open_in_memory()?;
        if let Some(place) = &mut self.place {
            place.opened = None;
        }
        let aside = put_aside(&path, how).map_err(io)?;
        fs::rename(&new, &path).map_err(io)?;
        LOGS.iter().for_each(|log| drop(fs::remove_file(beside(&new, log))));
        to_disk(&path);
        self.connection = ready(connect(&path)?, &path)?;
        self.durable = true;
        self.place = Some(Place::of(&path, &self.connection)?);
        Ok(Lost { how, from, aside })
    }
}

impl History {
    /// What was lost since this was asked last.
    pub fn take_lost(&self) -> Vec<Lost> {
        std::mem::take(&mut *locked(&self.lost))
    }

    /// Sees that the file is in its place, and restores it where it is not. Blocks for a moment at most, on a thread that may.
    ///
    /// # Errors
    /// It could not be restored.
    pub async fn look_after(&self) -> Result<(), HistoryError> {
        self.with_soon(|_| Ok(())).await
    }

    /// Brings the backup up to date, where anything was written since. Whether it did.
    ///
    /// # Errors
    /// It could not be written: the one from before is still there.
    pub async fn back_up(&self) -> Result<bool, HistoryError> {
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || {
            let mut store = locked(&store);
            let changes = store.connection.total_changes();
            let connection = &store.connection;
            let Some(place) = store.place.as_ref().filter(|place| place.backed_up != Some(changes)) else { return Ok(false) };
            let (backup, failed) =
                (beside(&place.path, BACKUP), |why: String| HistoryError::Open { path: beside(&place.path, BACKUP), why });
            let new = beside(&backup, NEW);
            copy_to(connection, &new).map_err(failed)?;
            // Whole, or the one from before.
            fs::rename(&new, &backup).map_err(|e| failed(e.to_string()))?;
            to_disk(&backup);
            if let Some(place) = &mut store.place {
                place.backed_up = Some(changes);
            }
            Ok(true)
        })
        .await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::notice::{Notice, Origin};

    const ORIGIN: Origin = Origin { chat: 1, thread: None, message: None };

    async fn note(history: &History, text: &str) -> Result<i64, HistoryError> {
        history.notice_post(ORIGIN, Notice::Unanswered { text: text.to_owned() }, 0).await
    }

    async fn notes(history: &History) -> Vec<String> {
        let text = |notice| if let Notice::Unanswered { text } = notice { text } else { String::new() };
        history.notices_waiting().await.unwrap().into_iter().map(|waiting| text(waiting.notice)).collect()
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| !name.ends_with("-wal") && !name.ends_with("-shm"));
        names.sort();
        names
    }

    /// Breaks the file of an open history, and expects that it is restored with what it had.
    async fn broken(how: DatabaseLoss, has: &[&str], destroy: impl FnOnce(&Path)) -> (tempfile::TempDir, Lost) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("h.db");
        let history = History::open(&path).unwrap();
        let instance = history.instance().await.unwrap();
        note(&history, "first").await.unwrap();
        assert!(history.back_up().await.unwrap() && !history.back_up().await.unwrap());
        note(&history, "second").await.unwrap();
        destroy(&path);
        // One try may be what finds it out.
        let _ = note(&history, "lost?").await;
        history.look_after().await.unwrap();
        note(&history, "third").await.unwrap();
        let lost = history.take_lost();
        assert_eq!(lost.len(), 1, "{lost:?}");
        assert_eq!(lost[0].how, how);
        drop(history);
        // What counts is what the next one finds.
        let next = History::open(&path).unwrap();
        assert_eq!(next.take_lost(), []);
        assert_eq!(next.instance().await.unwrap(), instance);
        let mut kept = notes(&next).await;
        kept.retain(|note| note != "lost?");
        assert_eq!(kept, has);
        (directory, lost.into_iter().next().unwrap())
    }

    #[tokio::test]
    async fn a_file_that_is_lost_while_it_is_open_is_restored() {
        let all = ["first", "second", "third"];
        let (directory, lost) = broken(DatabaseLoss::Removed, &all, |path| fs::remove_file(path).unwrap()).await;
        assert_eq!(lost.from, RestoredFrom::Memory);
        assert_eq!(names(directory.path()), ["h.db", "h.db.backup"]);
        let replace = |path: &Path| {
            let other = beside(path, ".other");
            drop(History::open(&other).unwrap());
            fs::rename(other, path).unwrap();
        };
        let (directory, lost) = broken(DatabaseLoss::Replaced, &all, replace).await;
        assert_eq!((lost.from, lost.aside.as_deref()), (RestoredFrom::Memory, Some("h.db.replaced-1")));
        assert_eq!(names(directory.path()), ["h.db", "h.db.backup", "h.db.replaced-1"]);
    }

    #[tokio::test]
    async fn a_file_that_is_emptied_or_garbled_is_restored() {
        let empty = |path: &Path| {
            fs::write(path, "").unwrap();
            fs::write(beside(path, "-wal"), "").unwrap();
        };
        // SQLite still has the pages of so small a one.
        let (_directory, lost) = broken(DatabaseLoss::Emptied, &["first", "second", "third"], empty).await;
        assert_eq!((lost.from, lost.aside.as_deref()), (RestoredFrom::Memory, Some("h.db.emptied-1")));
        let garble = |path: &Path| {
            let length = fs::metadata(path).unwrap().len();
            for file in [path.to_owned(), beside(path, "-wal")] {
                let opened = OpenOptions::new().write(true).open(file).unwrap();
                std::os::unix::fs::FileExt::write_all_at(&opened, &vec![b'?'; usize::try_from(length).unwrap()], 0).unwrap();
            }
        };
        let (_directory, lost) = broken(DatabaseLoss::Damaged, &["first", "second", "third"], garble).await;
        assert_eq!((lost.from, lost.aside.as_deref()), (RestoredFrom::Memory, Some("h.db.damaged-1")));
    }

    #[tokio::test]
    async fn a_file_that_is_lost_before_a_start_comes_from_the_backup() {
        type Destroy = fn(&Path);
        let destroy: [(DatabaseLoss, Destroy); 4] = [
            (DatabaseLoss::Removed, |path| fs::remove_file(path).unwrap()),
            (DatabaseLoss::Emptied, |path| fs::write(path, "").unwrap()),
            (DatabaseLoss::Damaged, |path| OpenOptions::new().write(true).open(path).unwrap().set_len(6_000).unwrap()),
            (DatabaseLoss::Replaced, |path| {
                fs::remove_file(path).unwrap();
                drop(Connection::open(path).map(|new| ready(new, path).unwrap()).unwrap());
            }),
        ];
        for (how, destroy) in destroy {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("h.db");
            let history = History::open(&path).unwrap();
            note(&history, "first").await.unwrap();
            history.back_up().await.unwrap();
            drop(history);
            destroy(&path);
            let history = History::open(&path).unwrap();
            let lost = history.take_lost();
            assert!(matches!(&lost[..], [Lost { how: told, from: RestoredFrom::Backup { .. }, .. }] if *told == how), "{how:?}: {lost:?}");
            assert_eq!(notes(&history).await, ["first"], "{how:?}");
        }
    }

    #[tokio::test]
    async fn without_its_directory_nothing_is_called_kept() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("data");
        fs::create_dir(&place).unwrap();
        let history = History::open(&place.join("h.db")).unwrap();
        fs::remove_dir_all(&place).unwrap();
        let error = note(&history, "first").await.unwrap_err();
        assert_eq!(error.trouble(), Trouble::Gone, "{error}");
    }
}
