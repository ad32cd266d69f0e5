//! Taking files over: wait until nobody writes to them, read, check, compare; then apply or reject.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Keeping;
use super::apply::Coming;
use super::start::{decide, pieces};
use super::watch::{Look, Watcher, hidden_by_a_mount};
use crate::config::{self, Checked, Sources};
use crate::domain::Millis;
use crate::domain::access::{ChatId, Role};
use crate::domain::health::Part;
use crate::domain::notice::{Notice, Origin};
use crate::domain::project::Configuration;
use crate::domain::reload::{Rejected, Reloaded, Watching};
use crate::domain::snapshot::{Cause, InForce};
use crate::history::History;
use crate::untrusted;

/// For how long a file that breaks off, or is not there, is taken for one that is being written.
const UNFINISHED: Duration = Duration::from_millis(600);
/// The shortest time between two looks at files that are being written.
const LEAST: Duration = Duration::from_millis(10);
/// How long files may go on changing before they are read all the same.
const RESTLESS: Duration = Duration::from_secs(1);
/// For how long files that never come to rest are not rejected.
const RESTLESS_MAX: Duration = Duration::from_secs(10);

/// The files, and what they come to.
pub(super) struct Read {
    pub(super) sources: Result<Sources, String>,
    checked: Option<Checked>,
    /// What they looked like, before and after.
    look: Look,
    /// Whether nothing changed meanwhile.
    settled: bool,
}

impl Read {
    fn is_good(&self) -> bool {
        self.checked.as_ref().is_some_and(|checked| checked.configuration.is_some())
    }

    /// Whether this looks like something that somebody is in the middle of.
    fn is_unfinished(&self) -> bool {
        self.checked.as_ref().is_none_or(|checked| checked.unfinished)
    }

    /// A hash of the files, whatever they come to.
    pub(super) fn hash(&self) -> blake3::Hash {
        hash_of(&self.sources)
    }
}

impl Keeping {
    /// Takes over what the files say now, where they say something new and good.
    pub(super) async fn take(&mut self, cause: Cause, asker: Option<ChatId>) -> Reloaded {
        let asked = !matches!(cause, Cause::Saved);
        let read = self.settled(asked).await;
        let now = self.now();
        let places = match &read.sources {
            Ok(sources) => sources.places(&self.path),
            Err(_) => self.sources.places(&self.path),
        };
        self.watcher.saw(read.look.clone(), places, now);
        self.note_way();
        self.see_trouble().await;
        let hash = read.hash();
        // Files that cannot be read for a while were not changed.
        if self.pinned_over.is_some_and(|pinned| pinned == hash || !is_whole(&read.sources)) {
            return Reloaded::Pinned;
        }
        self.unpin().await;
        match (read.sources, read.checked) {
            (Ok(sources), _) if sources == self.sources => self.back_in_force().await,
            (Ok(sources), Some(Checked { configuration: Some(configuration), warnings, .. })) => {
                let warnings = warnings.iter().map(ToString::to_string).collect();
                Reloaded::Applied(Box::new(self.change(Coming { sources, configuration, warnings, cause, pinned_over: None }, asker).await))
            }
            (Ok(_), checked) => {
                let problems = checked.map(|checked| checked.problems.iter().map(ToString::to_string).collect()).unwrap_or_default();
                Reloaded::Rejected(self.reject(problems, hash, asker).await)
            }
            (Err(why), _) => Reloaded::Rejected(self.reject(vec![why], hash, asker).await),
        }
    }

    /// The files were changed, so that they count again.
    async fn unpin(&mut self) {
        if self.pinned_over.take().is_none() {
            return;
        }
        tracing::info!("the configuration's files were changed, and count again");
        self.standing.send_modify(|standing| standing.pinned = false);
        let snapshot = self.standing.borrow().snapshot;
        if let Some(snapshot) = snapshot {
            unpinned(&self.around.history, snapshot).await;
        }
    }

    /// Waits until the files have come to rest, and reads them.
    async fn settled(&self, asked: bool) -> Read {
        let since = Instant::now();
        // Whoever asks has saved what they wanted to, as far as they know.
        let debounce = if asked { LEAST } else { self.configuration().reload.debounce.max(LEAST) };
        let (mut look, mut unfinished): (Look, Option<Instant>) = (self.watcher.look().await, None);
        loop {
            sleep(debounce).await;
            let before = self.watcher.look().await;
            let at_rest = before.same_files(&look);
            look = before.clone();
            if !at_rest && since.elapsed() < RESTLESS.max(debounce * 3) {
                continue;
            }
            let read = self.read(before).await;
            if read.is_good() && read.settled {
                return read;
            }
            // Whoever is in the middle of writing is waited for, and not told of what is missing yet.
            let waited = unfinished.get_or_insert_with(Instant::now).elapsed();
            let most = if at_rest && read.settled && !read.is_unfinished() {
                Duration::ZERO
            } else if at_rest && read.settled {
                UNFINISHED
            } else {
                RESTLESS_MAX
            };
            if waited >= most {
                return read;
            }
        }
    }

    /// Reads the files, which looked like this.
    pub(super) async fn read(&self, look: Look) -> Read {
        let path = self.path.clone();
        let read = move || match Sources::read(&path) {
            Ok(sources) => {
                let checked = config::check_here(&sources, &config::on_disk);
                (Ok(sources), Some(checked))
            }
            Err(error) => (Err(format!("{error}.")), None),
        };
        let (sources, checked) = untrusted::off_runtime(read)
            .await
            .unwrap_or_else(|error| (Err(format!("{} cannot be read ({}).", self.path.display(), error.reason())), None));
        let settled = self.watcher.look().await.same_files(&look);
        Read { sources, checked, look, settled }
    }

    /// Says so where events have ended.
    fn note_way(&self) {
        let way = self.watcher.way();
        if self.standing.borrow().watching != way {
            self.standing.send_modify(|standing| {
                (standing.watching, standing.because) = (way, "the file system reports changes no longer".to_owned());
            });
        }
    }

    /// Tells, once, why changes cannot be seen.
    async fn see_trouble(&mut self) {
        let path = self.path.clone();
        let trouble = tokio::task::spawn_blocking(move || hidden_by_a_mount(&path)).await.unwrap_or_default();
        if self.standing.borrow().trouble == trouble {
            return;
        }
        self.standing.send_modify(|standing| standing.trouble.clone_from(&trouble));
        if let Some(trouble) = trouble {
            tracing::error!("{trouble}");
            let config = self.configuration();
            self.tell_admins(&[&config], &Notice::Unseen { trouble }, None).await;
        }
    }

    /// The files say what is in force.
    async fn back_in_force(&mut self) -> Reloaded {
        let was_rejected = self.standing.borrow().rejected.is_some();
        if was_rejected {
            tracing::info!("the configuration's files are what is in force again");
            self.told = None;
            // The same mistake after this is another one. Should that not be noted, it is told once less.
            drop(self.around.history.rejection_is_new(None).await);
            self.standing.send_modify(|standing| standing.rejected = None);
        }
        Reloaded::Unchanged
    }

    async fn reject(&mut self, problems: Vec<String>, hash: blake3::Hash, asker: Option<ChatId>) -> Rejected {
        let (what, before) = (told(hash, &problems), self.standing.borrow().rejected.clone());
        if let Some(rejected) = before.filter(|_| self.told == Some(what)) {
            // The same as before: told once.
            return rejected;
        }
        let rejected = Rejected { at: self.now(), problems };
        self.told = Some(what);
        self.standing.send_modify(|standing| standing.rejected = Some(rejected.clone()));
        // Should that not be noted, a start with the same says it once more.
        drop(self.around.history.rejection_is_new(Some(what.to_hex().to_string())).await);
        for problem in &rejected.problems {
            tracing::error!("{}: {problem}", self.path.display());
        }
        tracing::error!("{} was rejected; what was in force still is", self.path.display());
        let config = self.configuration();
        self.tell_admins(&[&config], &Notice::Rejected { rejected: rejected.clone(), starting: false }, asker).await;
        rejected
    }

    /// Watches in another way.
    pub(super) async fn watch_anew(&mut self, config: &Configuration) {
        let (way, because) = decide(&config.reload, &self.around, &self.path);
        let look = self.watcher.look().await;
        let (watcher, why_not) = Watcher::new(self.sources.places(&self.path), look, way, config.reload.poll);
        self.watcher = watcher;
        if self.watcher.way() == Watching::Off {
            self.around.vitals.forget(Part::Configuration);
        }
        let (watching, because) = pieces(&self.watcher, because, why_not);
        self.standing.send_modify(|standing| (standing.watching, standing.because) = (watching, because));
    }

    /// Tells each admin in their own chat, but for the one who is answered there.
    pub(super) async fn tell_admins(&self, configurations: &[&Configuration], notice: &Notice, asker: Option<ChatId>) {
        tell_admins(&self.around.history, configurations, notice, asker, self.now()).await;
    }
}

/// A hash of the files, whatever they come to.
pub(super) fn hash_of(sources: &Result<Sources, String>) -> blake3::Hash {
    match sources {
        Ok(sources) => sources.hash(),
        Err(why) => blake3::hash(why.as_bytes()),
    }
}

/// Whether all of them could be read.
pub(super) fn is_whole(sources: &Result<Sources, String>) -> bool {
    sources.as_ref().is_ok_and(Sources::is_whole)
}

/// Notes that the version in force is pinned no longer.
pub(super) async fn unpinned(history: &History, snapshot: i64) {
    if let Err(error) = history.snapshot_in_force(InForce { snapshot, pinned_over: None, writing: false }).await {
        tracing::warn!(%error, "that the configuration's files count again could not be noted");
    }
}

/// What is told of files that are rejected: the same files may have other problems later, and none.
pub(super) fn told(files: blake3::Hash, problems: &[String]) -> blake3::Hash {
    blake3::hash(format!("{files} {problems:?}").as_bytes())
}

/// The chat of each admin.
pub(in super::super) fn admins(configurations: &[&Configuration]) -> BTreeSet<ChatId> {
    let admins = configurations.iter().flat_map(|config| &config.users).filter(|(_, role)| **role == Role::Admin).map(|(user, _)| *user);
    admins.filter_map(|user| i64::try_from(user).ok()).collect()
}

/// Tells each admin in their own chat, but for the one who is answered there.
pub(in super::super) async fn tell_admins(
    history: &History,
    configurations: &[&Configuration],
    notice: &Notice,
    asker: Option<ChatId>,
    now: Millis,
) {
    for chat in admins(configurations).into_iter().filter(|chat| Some(*chat) != asker) {
        let origin = Origin { chat, thread: None, message: None };
        if let Err(error) = history.notice_post(origin, notice.clone(), now).await {
            tracing::error!(%error, chat, "an admin could not be told about the configuration");
        }
    }
}
