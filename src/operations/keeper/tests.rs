//! Real files, a real watcher and a real history.
//!
//! `saves.rs`: every way in which files are saved, and every place at which they can be cut short. `sequence.rs`: whatever people do
//! to files, one after another.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, UNIX_EPOCH};

use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::app::now;
use crate::domain::access::Role;
use crate::domain::environment::Environment;
use crate::domain::notice::Notice;
use crate::domain::reload::{Change, Watching};
use crate::long;

#[path = "../../../tests/it/support/saves.rs"]
mod kinds;
mod saves;
mod sequence;

/// Long enough that only a hang reaches it.
const AMPLE: Duration = Duration::from_secs(30);

/// The number of each save that is tried, beginning after that of what is there before: three, or those of `scripts/long saves`.
fn saves() -> impl ExactSizeIterator<Item = usize> {
    let rounds = long::rounds(3);
    let (first, end) = (usize::try_from(rounds.start).unwrap(), usize::try_from(rounds.end).unwrap());
    (0..end - first).map(move |n| first + n + 1)
}

/// A configuration that can be told from others by its number.
fn text(watch: Watching, number: usize) -> String {
    let watch = watch.word();
    format!(
        r#"{{ "access": {{ "users": {{ "1": "admin", "{}": "viewer" }} }}, "include": ["projects.d/*.json"],
  "reload": {{ "watch": "{watch}" }}, "projects": {{ "p{number}": {{ "containers": ["c"], "enabled": true }} }} }}"#,
        number + 2
    )
}

/// The number of a configuration in which everything belongs together.
fn number(config: &Configuration) -> usize {
    let project = config.projects.keys().find(|name| name.as_str().starts_with('p')).unwrap();
    let number: usize = project.as_str()[1..].parse().unwrap();
    assert!(config.users.contains_key(&(number as u64 + 2)), "half of one and half of another: {config:?}");
    number
}

struct Kept {
    place: TempDir,
    keeper: Keeper,
    config: latest::Receiver<Arc<Configuration>>,
    history: History,
    stopping: CancellationToken,
    _task: AbortOnDropHandle<()>,
}

fn around(history: History) -> Surroundings {
    let (stopping, environment) = (CancellationToken::new(), Environment::default());
    Surroundings { history, clock: now, vitals: Vitals::default(), hot: true, stopping, environment }
}

impl Kept {
    /// A keeper of `projects.json` in a directory that `make` has filled.
    async fn new(make: impl FnOnce(&Path)) -> Self {
        let place = tempfile::tempdir().unwrap();
        make(place.path());
        let history = History::open(&place.path().join("history.db")).unwrap();
        Self::again(place, history).await
    }

    async fn again(place: TempDir, history: History) -> Self {
        let begun = begin(place.path().join("etc/projects.json"), around(history.clone())).await.unwrap();
        let stopping = begun.keeping.around.stopping.clone();
        let task = AbortOnDropHandle::new(tokio::spawn(begun.keeping.run()));
        Self { place, keeper: begun.keeper, config: begun.configuration, history, stopping, _task: task }
    }

    /// Ends it as dockmaster ends: what has begun is done.
    async fn end(self) -> (TempDir, History) {
        self.stopping.cancel();
        self._task.await.unwrap();
        (self.place, self.history)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join("etc").join(name)
    }

    /// Waits until a configuration is in force, and says how long that took.
    async fn in_force(&mut self, wanted: usize) -> Duration {
        let since = Instant::now();
        timeout(AMPLE, self.config.wait_for(|config| number(config) == wanted)).await.expect("it comes into force").unwrap();
        since.elapsed()
    }

    async fn rejected(&self) -> Vec<String> {
        let mut standing = self.keeper.standing.clone();
        let seen = timeout(AMPLE, standing.wait_for(|standing| standing.rejected.is_some())).await.expect("it is rejected").unwrap();
        seen.rejected.clone().unwrap().problems
    }

    /// Waits until there are so many versions, and fails where there are more.
    async fn versions(&self, wanted: usize) {
        let wanted = wanted.min(crate::history::snapshots::KEPT);
        let count = async || self.history.snapshots().await.unwrap().len();
        let all = async {
            while count().await < wanted {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(AMPLE, all).await.expect("each is kept");
        assert_eq!(count().await, wanted);
    }

    /// Waits until there are so many notices, and fails where there are more.
    async fn told(&self, wanted: usize) {
        let wanted = wanted.min(crate::history::notices::WAITING_MAX);
        let all = async {
            while self.notices().await.len() < wanted {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(AMPLE, all).await.expect("each is told");
        assert_eq!(self.notices().await.len(), wanted);
    }

    async fn notices(&self) -> Vec<Notice> {
        self.history.notices_waiting().await.unwrap().into_iter().map(|waiting| waiting.notice).collect()
    }
}

fn plain(root: &Path, text: &str) {
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::write(root.join("etc/projects.json"), text).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_included_is_reloaded_as_one() {
    let mut kept = Kept::new(|root| plain(root, &text(Watching::Events, 0))).await;
    let other = |name: &str| format!("{{ \"projects\": {{ \"{name}\": {{ \"containers\": [\"{name}-1\"] }} }} }}");
    let has = |name: &'static str| move |config: &Arc<Configuration>| config.projects.contains_key(name);
    // The directory comes later, a file in it after that, and another is renamed into it.
    fs::create_dir(kept.path("projects.d")).unwrap();
    fs::write(kept.path("projects.d/edge.json"), other("edge")).unwrap();
    timeout(AMPLE, kept.config.wait_for(has("edge"))).await.unwrap().unwrap();
    fs::write(kept.path("projects.d/blog.tmp"), other("blog")).unwrap();
    fs::rename(kept.path("projects.d/blog.tmp"), kept.path("projects.d/blog.json")).unwrap();
    let since = Instant::now();
    timeout(AMPLE, kept.config.wait_for(has("blog"))).await.unwrap().unwrap();
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    let mut standing = kept.keeper.standing.clone();
    let both = ["projects.d/blog.json", "projects.d/edge.json"];
    timeout(AMPLE, standing.wait_for(|standing| standing.included == both)).await.expect("both are named").unwrap();
    // A mistake in one of them rejects all.
    fs::write(kept.path("projects.json"), text(Watching::Events, 1)).unwrap();
    fs::write(kept.path("projects.d/edge.json"), other("edge").replace("edge-1", "-")).unwrap();
    let problems = kept.rejected().await;
    assert!(problems.len() == 1 && problems[0].starts_with("projects.d/edge.json:1:42 projects.edge.containers[0]: "), "{problems:?}");
    assert_eq!(number(&kept.config.borrow()), 0);
    fs::remove_file(kept.path("projects.d/edge.json")).unwrap();
    kept.in_force(1).await;
    assert!(!kept.config.borrow().projects.contains_key("edge"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_touch_is_no_reload_and_a_rejection_is_told_once() {
    let good = text(Watching::Events, 0);
    let mut kept = Kept::new(|root| plain(root, &good)).await;
    let path = kept.path("projects.json");
    fs::File::options().append(true).open(&path).unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    let bad = good.replace("admin", "boss");
    for _ in 0..3 {
        fs::write(&path, &bad).unwrap();
        let problems = kept.rejected().await;
        assert!(problems[0].starts_with("1:31 access.users.1: found “boss”"), "{problems:?}");
        // The same again, looked at again.
        assert!(matches!(kept.keeper.reload(Cause::Saved, None).await, Some(Reloaded::Rejected(_))));
    }
    kept.told(1).await;
    assert_eq!(kept.history.snapshots().await.unwrap().len(), 1, "only the one that it started with");
    fs::write(&path, &good).unwrap();
    let mut standing = kept.keeper.standing.clone();
    timeout(AMPLE, standing.wait_for(|standing| standing.rejected.is_none())).await.expect("what was in force is there again").unwrap();
    // The same mistake after that is another one.
    fs::write(&path, &bad).unwrap();
    kept.rejected().await;
    kept.told(2).await;
    fs::write(&path, text(Watching::Events, 1)).unwrap();
    kept.in_force(1).await;
    assert_eq!(kept.keeper.standing().rejected, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_with_a_bad_file_takes_the_version_from_before() {
    let mut kept = Kept::new(|root| plain(root, &text(Watching::Events, 0))).await;
    fs::write(kept.path("projects.json"), text(Watching::Events, 1)).unwrap();
    kept.in_force(1).await;
    kept.told(1).await;
    let Kept { place, history, _task, .. } = kept;
    drop(_task);
    let settle = |notices: Vec<crate::history::notices::Waiting>| notices.into_iter().map(|waiting| waiting.id).collect::<Vec<_>>();
    for id in settle(history.notices_waiting().await.unwrap()) {
        history.notice_settled(id, now(), None).await.unwrap();
    }
    fs::write(place.path().join("etc/projects.json"), "{").unwrap();
    let mut kept = Kept::again(place, history).await;
    assert_eq!(number(&kept.config.borrow()), 1);
    assert!(matches!(&kept.notices().await[..], [Notice::Rejected { starting: true, .. }]));
    // Started again and again, it says so once.
    for _ in 0..3 {
        let Kept { place, history, _task, .. } = kept;
        drop(_task);
        kept = Kept::again(place, history).await;
        assert_eq!(number(&kept.config.borrow()), 1);
    }
    kept.told(1).await;
    assert_eq!(kept.keeper.standing().snapshot, Some(2));
    assert_eq!(number(&look_only(&kept.path("projects.json"), &kept.history).await.unwrap()), 1);
    fs::write(kept.path("projects.json"), text(Watching::Events, 2)).unwrap();
    kept.in_force(2).await;
    // Without any version there is nothing to start with.
    let empty = tempfile::tempdir().unwrap();
    plain(empty.path(), "{");
    let history = History::open(&empty.path().join("history.db")).unwrap();
    let refused = begin(empty.path().join("etc/projects.json"), around(history.clone())).await.err().unwrap();
    assert!(refused.contains("projects.json has problems:\n  1:2: found the end of the file"), "{refused}");
    let missing = begin(empty.path().join("none.json"), around(history)).await.err().unwrap();
    assert!(
        missing
            .ends_with("none.json does not exist. Write one after projects.example.json and name it with --config or DOCKMASTER_CONFIG."),
        "{missing}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_right_without_a_save_comes_into_force() {
    let mut kept = Kept::new(|root| plain(root, &text(Watching::Poll, 0))).await;
    let live = kept.place.path().join("live");
    let with = text(Watching::Poll, 1).replace("\"containers\": [\"c\"]", &format!("\"compose\": {{}}, \"production\": {live:?}"));
    fs::write(kept.path("projects.json"), with).unwrap();
    let problems = kept.rejected().await;
    assert!(problems.iter().any(|problem| problem.contains("which does not exist")), "{problems:?}");
    fs::create_dir(&live).unwrap();
    fs::write(live.join("docker-compose.yml"), "services: {}").unwrap();
    kept.in_force(1).await;
    // What is in force stays so when dockmaster starts again, though the directory has gone.
    fs::remove_dir_all(&live).unwrap();
    kept.versions(2).await;
    let Kept { place, history, _task, .. } = kept;
    drop(_task);
    let kept = Kept::again(place, history).await;
    assert_eq!((number(&kept.config.borrow()), kept.keeper.standing().rejected), (1, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_are_told_what_changed_and_rights_are_shown() {
    let mut kept = Kept::new(|root| plain(root, &text(Watching::Events, 0))).await;
    let (mut good, mut bad) = (kept.keeper.part("good"), kept.keeper.part("bad"));
    let changes = tokio::spawn(async move {
        bad.recv().await.unwrap().failed("no".to_owned());
        let takeover = good.recv().await.unwrap();
        let Change { old, new } = takeover.change.clone();
        takeover.done(Taken { withdrawn: vec!["deploy p0".to_owned()], ..Taken::default() });
        (number(&old), number(&new), new.users[&3])
    });
    fs::write(kept.path("projects.json"), text(Watching::Events, 1)).unwrap();
    kept.in_force(1).await;
    assert_eq!(changes.await.unwrap(), (0, 1, Role::Viewer));
    let reloaded = async {
        loop {
            if let [Notice::Reloaded { applied }] = &kept.notices().await[..] {
                return applied.clone();
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    let applied = timeout(AMPLE, reloaded).await.unwrap();
    assert_eq!((applied.snapshot, applied.withdrawn), (Some(2), vec!["deploy p0".to_owned()]));
    assert_eq!(applied.failed.iter().map(|f| (f.part.as_str(), f.why.as_str())).collect::<Vec<_>>(), [("bad", "no")]);
    let rights: Vec<_> = applied.impact.rights.iter().map(|r| (r.user, r.after)).collect();
    assert_eq!(rights, [(2, None), (3, Some(Role::Viewer))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watching_can_be_turned_off_and_another_way_is_taken_at_once() {
    let mut kept = Kept::new(|root| plain(root, &text(Watching::Events, 0))).await;
    for (n, watch) in [Watching::Poll, Watching::Events, Watching::Off].into_iter().enumerate() {
        fs::write(kept.path("projects.json"), text(watch, n + 1)).unwrap();
        kept.in_force(n + 1).await;
        let mut standing = kept.keeper.standing.clone();
        timeout(AMPLE, standing.wait_for(|standing| standing.watching == watch)).await.expect("another way").unwrap();
    }
    fs::write(kept.path("projects.json"), text(Watching::Off, 9)).unwrap();
    assert!(timeout(Duration::from_millis(1_500), kept.config.changed()).await.is_err(), "nothing is noticed");
    assert!(matches!(kept.keeper.reload(Cause::Saved, None).await, Some(Reloaded::Applied(_))));
    assert_eq!(number(&kept.config.borrow()), 9);
}

mod back;
