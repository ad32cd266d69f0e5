//! `dockmaster move-data`: what dockmaster keeps goes to another directory, with all of its history and releases.
//!
//! Nothing is taken from the old directory before all of it is in the new one, compared and on the disk; which of the two counts
//! changes in one step (`history::whereabouts`). A move that was ended before that is begun anew, one that was ended after it is
//! only tidied up.

use std::fs::{DirEntry, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::held::{LOOK_EVERY, settled, taken};
use super::house::{environment, resolved};
use super::{AppError, house::unusable};
use crate::domain::environment::{LiesOn, Which};
use crate::domain::failure::Failure;
use crate::domain::text::count;
use crate::engine::host::Host;
use crate::engine::mountinfo;
use crate::history::lock::{DataLock, HelperLock, Holder, LockError};
use crate::history::whereabouts::{MOVED, MOVING, Moved, Moving, UNWRITTEN, forget};
use crate::history::{DATABASE, History};
use crate::http::dto::StepAside;
use crate::http::socket;
use crate::operations::{moving, random_name};

/// How long the dockmaster that runs may take to let go: it tells the chats first.
const LETS_GO: Duration = Duration::from_secs(180);
/// What belongs to a directory, and not to what it holds.
const OF_THE_PLACE: [&str; 8] = [DataLock::NAME, HelperLock::NAME, MOVED, MOVING, UNWRITTEN[0], UNWRITTEN[1], socket::NAME, socket::NEW];
const SOCKETS: &[&str] = &[socket::NAME, socket::NEW];

/// What a move is told.
#[derive(Debug)]
pub struct Move {
    /// The data directory.
    pub data: PathBuf,
    /// Where to.
    pub to: PathBuf,
    /// Cancelled to end it.
    pub interrupted: CancellationToken,
}

/// A move that was done.
#[derive(Debug)]
pub struct Done {
    /// Where from.
    pub from: PathBuf,
    /// Where to.
    pub to: PathBuf,
    /// Whether a dockmaster runs that goes on there.
    pub runs: bool,
    /// What of the old directory could not be taken away.
    pub left: Option<Failure>,
}

fn failed(why: impl std::fmt::Display) -> AppError {
    AppError::Failed(format!("{why} Nothing was moved."))
}

fn wrong(why: impl std::fmt::Display) -> AppError {
    AppError::Setting(format!("{why} Nothing was moved."))
}

/// A failure, with all that it knows.
fn told(failure: &Failure) -> String {
    let lines: String = failure.lines.iter().map(|line| format!("\n  {line}")).collect();
    format!("{failure} {}{lines}", failure.next)
}

/// Moves what is in a data directory. `ask` asks the dockmaster that runs in a directory to let go of it; `say` hears what is
/// being done.
///
/// # Errors
/// It cannot be moved there, or somebody is at work. All is where it was then.
pub async fn move_data<F: Future<Output = Result<(), AppError>>>(
    asked: Move,
    ask: impl FnOnce(PathBuf, StepAside) -> F,
    say: &mut dyn FnMut(&str),
) -> Result<Done, AppError> {
    let (told_from, to) = (resolved(&asked.data), resolved(&asked.to));
    if Moved::of(&told_from).map_err(|e| unusable(&told_from, e))?.is_some_and(|moved| moved.to == to) {
        return tidy_up(told_from, to).await;
    }
    let from = resolved(&settled(&told_from)?);
    let is_there = || Ok(Moved::of(&from).map_err(|e| unusable(&from, e))?.is_none() && from.join(DATABASE).exists());
    if !is_there()? {
        return Err(wrong(format!("{} holds no data of dockmaster's: name the right directory with --data.", from.display())));
    }
    fits(&from, &to)?;
    is_free(&from, &to)?;
    let new = NewPlace::take(&to)?;
    let old = OldPlace::take(&from, &to, ask, &asked.interrupted).await?;
    if !is_there()? {
        return Err(failed(format!("Somebody has just moved what was in {}.", from.display())));
    }
    let mark = random_name().map_err(|e| failed(format!("There is no randomness to be had: {e}.")))?;
    begin(&from, &to, &mark).await?;
    if let Err(error) = halt(&from, say).await {
        go_on(&from).await;
        undo(&from, &to, &mark).await;
        return Err(error);
    }
    say(&format!("Copying {} to {}, and comparing", from.display(), to.display()));
    let copied = moving::copy(&from, &to, &OF_THE_PLACE, &mark, &asked.interrupted).await;
    let whole = copied.map_err(|failure| AppError::Failed(told(&failure))).and_then(|()| offer(&from, &to, &mark));
    if let Err(error) = whole {
        undo(&from, &to, &mark).await;
        go_on(&from).await;
        return Err(error);
    }
    settle(&from, &to)?;
    go_on(&to).await;
    let runs = old.helper.is_some();
    new.keep();
    let left = moving::leave(&from, SOCKETS).await.err();
    Ok(Done { from, to, runs, left })
}

/// The processes of the host that a data directory keeps.
fn processes(data: &Path) -> Result<Host, AppError> {
    Ok(Host::new(data, std::env::current_exe().map_err(failed)?))
}

/// Stops them: they write their logs there. Whoever is killed now leaves them to the next start, which begins them again.
async fn halt(from: &Path, say: &mut dyn FnMut(&str)) -> Result<(), AppError> {
    let host = processes(from)?;
    let known = host.known_keys().map_err(failed)?.len();
    if known > 0 {
        say(&format!("Stopping {} of the host for as long as that takes", count(known, "process")));
    }
    match host.suspend().await.map_err(failed)?.into_iter().next() {
        None => Ok(()),
        Some((key, why)) => Err(failed(format!("The process {key} could not be stopped: {why}. Stop it first (dockmaster stop)."))),
    }
}

/// Starts them again, wherever the data is now.
async fn go_on(data: &Path) {
    let Ok(host) = processes(data) else { return };
    for (key, result) in host.resume(|_| true).await.unwrap_or_default() {
        if let Err(error) = result {
            tracing::error!(process = %key, %error, "it was stopped for the move, and could not be started again");
        }
    }
}

/// Does what a move that was ended in the middle of tidying up has left.
async fn tidy_up(from: PathBuf, to: PathBuf) -> Result<Done, AppError> {
    // Nobody works in there but somebody who does the same.
    let _lock = DataLock::take_as_it_is(&from, Holder::Command).map_err(|e| taken(&e))?;
    settled(&from)?;
    // Should its note not have reached the disk, what it says must not be lost with what is taken away now.
    File::open(&from).and_then(|dir| dir.sync_all()).map_err(|e| unusable(&from, e))?;
    // Where nobody has started there yet, it must not wait for the old directory to say that it counts.
    forget(&to, MOVING).map_err(|e| unusable(&to, e))?;
    let left = moving::leave(&from, SOCKETS).await.err();
    Ok(Done { from, to, runs: false, left })
}

/// Refuses a place that is the same, or within the other, by its path or by what is mounted; and one that does not last.
fn fits(from: &Path, to: &Path) -> Result<(), AppError> {
    let within = |one: &Path, other: &Path| one.starts_with(other) || other.starts_with(one);
    let mounts = mountinfo::now();
    let places = mountinfo::place(&mounts, from).zip(mountinfo::place(&mounts, to));
    let same_place = places.is_some_and(|((device, one), (other_device, other))| device == other_device && within(&one, &other));
    if within(from, to) || same_place {
        return Err(wrong(format!(
            "{} and {} are the same, or one lies in the other: name a directory apart.",
            from.display(),
            to.display()
        )));
    }
    if to.to_str().is_none() {
        return Err(wrong(format!("{} is no name that can be written down: name another directory.", to.display())));
    }
    let concerns = environment(to, to).concerns;
    match concerns.iter().find(|concern| concern.which == Which::Data && concern.boxed) {
        Some(concern) => {
            let lies = if concern.on == LiesOn::Memory { "in memory" } else { "in the container's own layer" };
            Err(wrong(format!(
                "{} lies {lies}, and would not last there either: name a directory on something that is mounted.",
                to.display()
            )))
        }
        None => Ok(()),
    }
}

/// Refuses a directory that holds something, but for what an earlier move has left there.
fn is_free(from: &Path, to: &Path) -> Result<(), AppError> {
    let unusable = |e: io::Error| wrong(format!("{} cannot be used: {e}.", to.display()));
    let held: Vec<_> = match std::fs::read_dir(to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.and_then(Iterator::collect).map_err(unusable)?,
    };
    let me = rustix::process::geteuid().as_raw();
    if to.metadata().map_err(unusable)?.uid() != me {
        let next = to.join("dockmaster");
        return Err(wrong(format!("{} belongs to another user: name a directory in it, as {}.", to.display(), next.display())));
    }
    if let Some(earlier) = Moving::of(to).map_err(unusable)? {
        if earlier.from == from {
            return Ok(());
        }
        return Err(wrong(format!("{} holds a part of {}: name another directory, or empty it.", to.display(), earlier.from.display())));
    }
    // Where the data was once, and comes back to.
    let was_here = Moved::of(to).map_err(unusable)?.is_some_and(|moved| moved.to == from);
    let ours = |name: &str| OF_THE_PLACE.contains(&name) && (name != MOVED || was_here);
    let strange = held.iter().map(DirEntry::file_name).find(|name| !ours(&name.to_string_lossy()));
    match strange {
        Some(name) => {
            let name = Path::new(&name).display().to_string();
            Err(wrong(format!("{} is not empty (there is “{name}”): name a directory that is, or is not there yet.", to.display())))
        }
        None => Ok(()),
    }
}

/// The directory that is filled. Where it was made for that, and nothing comes of it, it goes again.
#[derive(Debug)]
struct NewPlace {
    _lock: DataLock,
    made: Option<PathBuf>,
}

impl NewPlace {
    fn take(to: &Path) -> Result<Self, AppError> {
        let there = to.exists();
        let lock = DataLock::take_as_it_is(to, Holder::Command).map_err(|e| taken(&e))?;
        Ok(Self { _lock: lock, made: (!there).then(|| to.to_owned()) })
    }

    fn keep(mut self) {
        self.made = None;
    }
}

impl Drop for NewPlace {
    fn drop(&mut self) {
        if let Some(made) = &self.made
            && !made.join(MOVING).exists()
        {
            // Only where there is nothing else in it.
            let _ = std::fs::remove_file(made.join(DataLock::NAME));
            let _ = std::fs::remove_dir(made);
        }
    }
}

/// The directory that is moved away.
#[derive(Debug)]
struct OldPlace {
    _lock: DataLock,
    /// Held where a dockmaster has let go, and waits for this.
    helper: Option<HelperLock>,
}

impl OldPlace {
    async fn take<F: Future<Output = Result<(), AppError>>>(
        from: &Path,
        to: &Path,
        ask: impl FnOnce(PathBuf, StepAside) -> F,
        interrupted: &CancellationToken,
    ) -> Result<Self, AppError> {
        let replaced = || failed(format!("A helper is at work in {}: move the data when it is done.", from.display()));
        if HelperLock::is_held(from) {
            return Err(replaced());
        }
        match DataLock::take_as_it_is(from, Holder::Command) {
            Ok(lock) => return Ok(Self { _lock: lock, helper: None }),
            Err(LockError::Taken { soon_done: true, .. }) => {
                return Err(failed(format!("Another command is at work in {}: move the data when it is done.", from.display())));
            }
            Err(LockError::Taken { .. }) => {}
            Err(error) => return Err(taken(&error)),
        }
        let helper = HelperLock::take(from).map_err(|e| unusable(from, e))?.ok_or_else(replaced)?;
        let seen = to.metadata().map_err(|e| unusable(to, e))?;
        ask(from.to_owned(), StepAside { to: to.to_owned(), device: seen.dev(), inode: seen.ino() }).await?;
        let until = Instant::now() + LETS_GO;
        loop {
            match DataLock::take_as_it_is(from, Holder::Command) {
                Ok(lock) => return Ok(Self { _lock: lock, helper: Some(helper) }),
                Err(LockError::Taken { .. }) if Instant::now() < until && !interrupted.is_cancelled() => {}
                Err(_) if interrupted.is_cancelled() => return Err(failed("It was interrupted.")),
                Err(error) => return Err(taken(&error)),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Refuses where an operation was cut off: whoever puts that right has to find all of it where it was.
async fn is_at_rest(from: &Path) -> Result<(), AppError> {
    let history = History::copy(&from.join(DATABASE)).map_err(|e| unusable(from, e))?;
    let unfinished = history.operations_unfinished().await.map_err(|e| unusable(from, e))?;
    match unfinished.first() {
        Some(record) => {
            let (kind, project) = (record.plan.kind().word(), record.plan.request.project());
            Err(failed(format!(
                "A {kind} of {project} was cut off: start dockmaster in {} once, so that it puts that right, and move the data then.",
                from.display()
            )))
        }
        None => Ok(()),
    }
}

/// Notes what is about to be done, and takes away what an earlier try has left.
async fn begin(from: &Path, to: &Path, mark: &str) -> Result<(), AppError> {
    // Somebody may have been there since it was looked at.
    is_free(from, to)?;
    // Later there may be no room for it, and then nobody would know where the data is.
    let prepared = Moved { to: to.to_owned(), mark: mark.to_owned() }.prepare(from);
    let room = "make some there (projects/*/hashes can always be deleted), and move it again";
    prepared.map_err(|e| failed(format!("There is not even room for a note in {} ({e}): {room}.", from.display())))?;
    if let Err(error) = is_at_rest(from).await {
        forget(from, UNWRITTEN[0]).map_err(|e| unusable(from, e))?;
        return Err(error);
    }
    if let Some(earlier) = Moving::of(to).map_err(|e| unusable(to, e))? {
        moving::clear(to, &OF_THE_PLACE, &earlier.mark).await.map_err(|failure| AppError::Failed(told(&failure)))?;
    }
    // Before anything is in it that is for our eyes only.
    std::fs::set_permissions(to, Permissions::from_mode(0o700)).map_err(|e| unusable(to, e))?;
    Moving { from: from.to_owned(), mark: mark.to_owned(), whole: false }.set(to).map_err(|e| unusable(to, e))
}

/// Says of the new directory that all of it is there.
fn offer(from: &Path, to: &Path, mark: &str) -> Result<(), AppError> {
    let whole = Moving { from: from.to_owned(), mark: mark.to_owned(), whole: true }.set(to);
    // Where the data was there once: it comes back.
    whole.and_then(|()| forget(to, MOVED)).map_err(|e| failed(format!("{} cannot be written: {e}.", to.display())))
}

/// Makes the new directory the one that counts. Where that fails nobody knows whether it does until it is looked again, so that
/// both are left as they are.
fn settle(from: &Path, to: &Path) -> Result<(), AppError> {
    Moved::settle(from).map_err(|e| {
        let (from, to) = (from.display(), to.display());
        AppError::Failed(format!("All of it is in {to}, and that cannot be noted in {from}: {e}. Nothing is lost: move it again."))
    })?;
    if let Err(error) = forget(to, MOVING) {
        tracing::warn!(%error, "whoever starts there next takes the mark of the move away");
    }
    Ok(())
}

/// Takes away what was copied. What cannot be is taken away by the next try: the mark says so until then.
async fn undo(from: &Path, to: &Path, mark: &str) {
    let cleared = moving::clear(to, &OF_THE_PLACE, mark).await.map_err(|failure| failure.to_string());
    let forgotten = cleared.and_then(|()| forget(to, MOVING).map_err(|e| e.to_string()));
    let forgotten = forgotten.and_then(|()| forget(from, UNWRITTEN[0]).map_err(|e| e.to_string()));
    if let Err(error) = forgotten {
        tracing::warn!(error, "what was copied to {} is left there", to.display());
    }
}

/// Waits, for a dockmaster that let go of its data directory, until whoever moves it is done, or gone.
pub(super) async fn wait_for_move(data: &Path, shutdown: &CancellationToken, waiting: impl Fn()) {
    while HelperLock::is_held(data) && !shutdown.is_cancelled() {
        waiting();
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}
