use std::path::Path;

use super::notices::Waiting;
use super::operations::{NewOperation, OperationRecord};
use super::releases::{Move, ReleaseKind, ReleaseRecord};
use super::*;
use crate::domain::Millis;
use crate::domain::access::Actor;
use crate::domain::event::{Event, Progress};
use crate::domain::failure::Failure;
use crate::domain::manifest::{Entry, Manifest, Node};
use crate::domain::notice::{Notice, Origin};
use crate::domain::outcome::{Outcome, Verdict};
use crate::domain::plan::{Plan, Step};
use crate::domain::project::{ProjectName, ServiceName};
use crate::domain::request::{Request, Target};

const DAY: Millis = 24 * 60 * 60 * 1_000;

fn fresh() -> (tempfile::TempDir, History) {
    let dir = tempfile::tempdir().unwrap();
    let history = History::open(&dir.path().join("history.db")).unwrap();
    (dir, history)
}

fn name(name: &str) -> ProjectName {
    ProjectName::new(name).unwrap()
}

fn plan(project: &str) -> Plan {
    let target = Target { project: name(project), service: None };
    let steps = vec![Step::Stop { services: vec![ServiceName::new("web").unwrap()] }, Step::Record];
    let (services, warnings) = (Vec::new(), vec!["<b> & ü".to_owned()]);
    Plan::without_files(&Request::Stop(target), steps, services, warnings, "d".into())
}

fn operation(mark: &str, origin: Option<Origin>) -> NewOperation {
    let actor = Actor::Telegram { user: 7, name: "Ada".into(), chat: -100 };
    NewOperation { mark: mark.into(), actor, origin, plan: plan("shop") }
}

fn outcome(verdict: Verdict) -> Outcome {
    let failure = (verdict != Verdict::Succeeded).then(|| Failure::new("It failed.", "So.", "Look."));
    Outcome { verdict, now: "shop is stopped.".into(), failure, services: Vec::new() }
}

const ORIGIN: Origin = Origin { chat: -100, thread: Some(3), message: Some(9) };

fn release(number: i64, content: &str) -> ReleaseRecord {
    let entry = Entry { node: Node::File { hash: content.into(), size: 1 }, mode: 0o644 };
    let manifest = Manifest::from_iter([("page".into(), entry)]);
    ReleaseRecord {
        number,
        kind: ReleaseKind::Deploy,
        operation: number,
        at: 5,
        owned: manifest.clone(),
        staged: manifest.clone(),
        manifest,
        compose: vec![("docker-compose.yml".into(), "services: {}\n".into())],
        images: [(ServiceName::new("web").unwrap(), "shop-web".to_owned())].into(),
        environment: Some("e".into()),
        changed: 3,
        unset: Some(["OPTIONAL".to_owned()].into()),
    }
}

/// What a `kill -9` leaves: the files as they are while the database is open.
fn as_killed(from: &Path, to: &Path) -> History {
    for file in ["history.db", "history.db-wal"] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
    History::open(&to.join("history.db")).unwrap()
}

#[tokio::test]
async fn updates_are_kept_once_and_forgotten_late() {
    let (_dir, history) = fresh();
    let update = |id: i64| (id, format!("{{\"update_id\":{id}}}"));
    assert_eq!(history.inbox_keep(vec![update(5), update(6)], 0).await.unwrap(), [5, 6]);
    assert_eq!(history.inbox_keep(vec![update(6), update(7), update(7)], 0).await.unwrap(), [7], "Telegram sends again what it may");
    history.inbox_begin(6).await.unwrap();
    history.inbox_done(5, 10).await.unwrap();
    let kept: Vec<(i64, bool)> = history.inbox_unfinished().await.unwrap().iter().map(|k| (k.update_id, k.begun)).collect();
    assert_eq!(kept, [(6, true), (7, false)]);
    assert_eq!(history.inbox_unfinished().await.unwrap()[0].body, "{\"update_id\":6}");
    assert_eq!(history.inbox_keep(vec![update(5)], 20).await.unwrap(), Vec::<i64>::new(), "it was dealt with");
    history.inbox_done(5, 2 * DAY).await.unwrap();
    history.inbox_done(6, 10 + 2 * DAY).await.unwrap();
    assert_eq!(history.inbox_keep(vec![update(5)], 20).await.unwrap(), Vec::<i64>::new(), "not older than two days");
    history.inbox_done(7, 11 + 2 * DAY).await.unwrap();
    assert_eq!(history.inbox_keep(vec![update(5)], 20).await.unwrap(), [5], "forgotten, with no one to send it again");
    assert_eq!(history.inbox_unfinished().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_operation_is_told_as_it_was() {
    let (_dir, history) = fresh();
    let new = operation("m1", Some(ORIGIN));
    let id = history.operation_begin(new.clone(), 100).await.unwrap();
    let NewOperation { mark, actor, origin, plan } = new;
    let mut expected = OperationRecord { id, mark, actor, origin, plan, started: 100, ended: None, step: None, handed_over: None };
    assert_eq!(history.operation(id).await.unwrap(), Some(expected.clone()));
    assert_eq!(history.operation(id + 1).await.unwrap(), None);

    let happened = [
        (Event::StepStarted { step: 0 }, Some((0, false))),
        (Event::Line { text: "not kept".into() }, Some((0, false))),
        (Event::Service { service: "web".into(), progress: Progress::Done, seen: "stopped".into() }, Some((0, false))),
        (Event::StepDone { step: 0, note: Some("1 container".into()) }, Some((0, true))),
        (Event::StepStarted { step: 1 }, Some((1, false))),
        (Event::StepFailed { step: 1 }, Some((1, false))),
    ];
    for (at, (event, step)) in (101..).zip(happened.clone()) {
        history.operation_event(id, event, at).await.unwrap();
        assert_eq!(history.operation(id).await.unwrap().unwrap().step, step);
    }
    assert_eq!(history.operations_unfinished().await.unwrap().len(), 1);
    history.operation_event(id, Event::Ended { outcome: outcome(Verdict::Failed) }, 110).await.unwrap();
    history.operation_end(id, outcome(Verdict::Failed), 110).await.unwrap();
    (expected.ended, expected.step) = (Some((110, outcome(Verdict::Failed))), Some((1, false)));
    assert_eq!(history.operation(id).await.unwrap(), Some(expected));
    assert_eq!(history.operations_unfinished().await.unwrap(), []);
    let events = history.operation_events(id).await.unwrap();
    assert_eq!(events.len(), happened.len(), "all but the line, and the end");
    assert_eq!(events[0], (101, Event::StepStarted { step: 0 }));

    let unknown = history.operation_event(99, Event::StepStarted { step: 0 }, 1).await.unwrap_err();
    assert_eq!(unknown.to_string(), "the history has no operation 99");
    assert!(matches!(history.operation_end(99, outcome(Verdict::Failed), 1).await, Err(HistoryError::NoOperation(99))));
    assert!(history.operation_begin(operation("m1", None), 1).await.is_err(), "a mark is given once");
}

#[tokio::test]
async fn an_end_is_kept_once_with_its_notice() {
    let (_dir, history) = fresh();
    let told = history.operation_begin(operation("a", Some(ORIGIN)), 1).await.unwrap();
    let silent = history.operation_begin(operation("b", None), 2).await.unwrap();
    for id in [told, silent] {
        history.operation_end(id, outcome(Verdict::Succeeded), 10).await.unwrap();
        history.operation_end(id, outcome(Verdict::Interrupted), 20).await.unwrap();
        assert_eq!(history.operation(id).await.unwrap().unwrap().ended, Some((10, outcome(Verdict::Succeeded))));
    }
    let unanswered = Notice::Unanswered { text: "/docker_status".into() };
    let other = Origin { chat: 5, thread: None, message: None };
    let second = history.notice_post(other, unanswered.clone(), 30).await.unwrap();
    let waiting = history.notices_waiting().await.unwrap();
    let first = Waiting { id: waiting[0].id, origin: ORIGIN, notice: Notice::Outcome { operation: told }, since: 10 };
    assert_eq!(waiting, [first, Waiting { id: second, origin: other, notice: unanswered, since: 30 }]);
    history.notice_settled(waiting[0].id, 40, None).await.unwrap();
    history.notice_settled(second, 40, Some("the bot was removed from the chat".into())).await.unwrap();
    assert_eq!(history.notices_waiting().await.unwrap(), []);
}

#[tokio::test]
async fn the_last_operations_of_a_project_come_newest_first() {
    let (_dir, history) = fresh();
    let mut ids = Vec::new();
    for mark in ["a", "b", "c"] {
        ids.push(history.operation_begin(operation(mark, None), 1).await.unwrap());
    }
    let other = NewOperation { plan: plan("blog"), ..operation("d", None) };
    history.operation_begin(other, 1).await.unwrap();
    let listed = |records: Vec<OperationRecord>| records.iter().map(|r| r.id).collect::<Vec<_>>();
    assert_eq!(listed(history.operations_of(name("shop"), 2).await.unwrap()), [ids[2], ids[1]]);
    assert_eq!(listed(history.operations_of(name("shop"), usize::MAX).await.unwrap()).len(), 3);
    assert_eq!(listed(history.operations_of(name("none"), 2).await.unwrap()), Vec::<i64>::new());
    let unfinished = listed(history.operations_unfinished().await.unwrap());
    assert!(unfinished.is_sorted() && unfinished.len() == 4, "oldest first");
}

#[tokio::test]
async fn releases_move_and_what_production_holds_is_known() {
    let (_dir, history) = fresh();
    assert_eq!(history.release_next(name("shop")).await.unwrap(), 0);
    assert_eq!(history.release_current(name("shop")).await.unwrap(), None);
    let kept = ReleaseRecord { kind: ReleaseKind::Kept, owned: Manifest::default(), ..release(0, "old") };
    history.release_add(name("shop"), kept.clone()).await.unwrap();
    assert!(history.release_add(name("shop"), kept.clone()).await.is_err(), "a number is given once");
    history.move_begin(name("shop"), 7, Move { target: 1, base: 0 }, Some(release(1, "new"))).await.unwrap();
    assert_eq!(history.move_of(7).await.unwrap(), Some(Move { target: 1, base: 0 }));
    history.move_settle(name("shop"), 0, 9).await.unwrap();
    assert_eq!(history.move_of(7).await.unwrap(), None);
    let current = history.release_current(name("shop")).await.unwrap().unwrap();
    assert_eq!((current.release, current.owned), (kept, Manifest::default()), "what was found is not ours");

    history.move_begin(name("shop"), 8, Move { target: 1, base: 0 }, None).await.unwrap();
    let current = history.release_current(name("shop")).await.unwrap().unwrap();
    assert_eq!((current.release.number, current.owned), (0, release(1, "new").owned), "what may have come meanwhile is ours");
    history.move_settle(name("shop"), 1, 9).await.unwrap();
    assert_eq!(history.release_number(name("shop")).await.unwrap(), Some((1, 9)), "since it was brought in");
    history.move_settle(name("shop"), 1, 20).await.unwrap();
    assert_eq!(history.release_number(name("shop")).await.unwrap(), Some((1, 9)), "it never went");
    let listed: Vec<(i64, bool)> = history.releases(name("shop")).await.unwrap().iter().map(|r| (r.number, r.current)).collect();
    assert_eq!(listed, [(1, true), (0, false)]);
    history.release_forget(name("shop"), 0).await.unwrap();
    assert_eq!(history.release(name("shop"), 0).await.unwrap(), None);
    history.release_forget(name("shop"), 1).await.unwrap();
    assert_eq!(history.release_next(name("shop")).await.unwrap(), 2, "numbers are not given twice");
    assert_eq!(history.release_next(name("blog")).await.unwrap(), 0, "each project counts for itself");

    history.build_record(name("shop"), "sha256:1".into(), "a".into(), 1).await.unwrap();
    history.build_record(name("shop"), "sha256:1".into(), "b".into(), 2).await.unwrap();
    assert_eq!(history.build_inputs(name("shop"), "sha256:1".into()).await.unwrap().as_deref(), Some("b"));
    assert_eq!(history.build_inputs(name("blog"), "sha256:1".into()).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_old_and_done_with_is_forgotten() {
    let (_dir, history) = fresh();
    let ended = history.operation_begin(operation("ended", Some(ORIGIN)), 0).await.unwrap();
    history.operation_event(ended, Event::StepStarted { step: 0 }, 0).await.unwrap();
    history.operation_end(ended, outcome(Verdict::Succeeded), 1).await.unwrap();
    let unfinished = history.operation_begin(operation("unfinished", None), 0).await.unwrap();
    history.release_add(name("shop"), release(ended, "x")).await.unwrap();
    history.inbox_keep(vec![(1, "done".into()), (2, "waiting".into())], 0).await.unwrap();
    history.inbox_done(1, 0).await.unwrap();
    let settled = history.notices_waiting().await.unwrap()[0].id;
    history.notice_settled(settled, 0, None).await.unwrap();
    history.notice_post(ORIGIN, Notice::Unanswered { text: "x".into() }, 0).await.unwrap();

    history.prune(400 * DAY).await.unwrap();
    assert!(history.operation(ended).await.unwrap().is_some(), "not a day before");
    history.prune(400 * DAY + 2).await.unwrap();
    assert_eq!(history.operation(ended).await.unwrap(), None);
    assert_eq!(history.operation_events(ended).await.unwrap(), [], "its events go with it");
    assert!(history.operation(unfinished).await.unwrap().is_some());
    assert!(history.release(name("shop"), ended).await.unwrap().is_some(), "a release outlives its operation's record");
    assert_eq!(history.inbox_unfinished().await.unwrap().len(), 1);
    assert_eq!(history.notices_waiting().await.unwrap().len(), 1);

    for mark in ["a", "b", "c"] {
        let id = history.operation_begin(operation(mark, None), 0).await.unwrap();
        history.operation_end(id, outcome(Verdict::Succeeded), 400 * DAY).await.unwrap();
    }
    history.with(|db| prune::prune(db, 400 * DAY, 2)).await.unwrap();
    let left: Vec<String> = history.operations_of(name("shop"), 99).await.unwrap().into_iter().map(|r| r.mark).collect();
    assert_eq!(left, ["c", "b", "unfinished"]);
}

#[tokio::test]
async fn a_kill_loses_nothing_that_was_reported_as_kept() {
    let (dir, history) = fresh();
    let id = history.operation_begin(operation("m", Some(ORIGIN)), 1).await.unwrap();
    history.operation_event(id, Event::StepStarted { step: 0 }, 2).await.unwrap();
    let copies = tempfile::tempdir().unwrap();
    let after = as_killed(dir.path(), copies.path());
    assert_eq!(after.operations_unfinished().await.unwrap()[0].step, Some((0, false)));
    after.operation_end(id, outcome(Verdict::Interrupted), 3).await.unwrap();
    assert_eq!(after.notices_waiting().await.unwrap().len(), 1);

    // A power cut in the middle of the next commit: the torn end of the log is not taken for one.
    history.operation_event(id, Event::StepDone { step: 0, note: None }, 3).await.unwrap();
    let torn = tempfile::tempdir().unwrap();
    for file in ["history.db", "history.db-wal"] {
        std::fs::copy(dir.path().join(file), torn.path().join(file)).unwrap();
    }
    let log = std::fs::OpenOptions::new().write(true).open(torn.path().join("history.db-wal")).unwrap();
    log.set_len(log.metadata().unwrap().len() - 100).unwrap();
    let after = History::open(&torn.path().join("history.db")).unwrap();
    assert_eq!(after.operation(id).await.unwrap().unwrap().step, Some((0, false)));

    drop(history);
    let reopened = History::open(&dir.path().join("history.db")).unwrap();
    assert_eq!(reopened.operation(id).await.unwrap().unwrap().step, Some((0, true)));
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_all_or_nothing() {
    let (_dir, history) = fresh();
    history.inbox_keep(vec![(1, "before".into())], 0).await.unwrap();
    {
        let connection = &history.store.lock().unwrap().connection;
        let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    }
    let error = history.inbox_keep(vec![(2, "small".into()), (3, "x".repeat(100_000))], 0).await.unwrap_err();
    assert_eq!(error.to_string(), "the history could not be read or written: database or disk is full");
    let kept: Vec<i64> = history.inbox_unfinished().await.unwrap().iter().map(|k| k.update_id).collect();
    assert_eq!(kept, [1], "none of them");
    history.store.lock().unwrap().connection.pragma_update_and_check(None, "max_page_count", 1_000_000, |_| Ok(())).unwrap();
    assert_eq!(history.inbox_keep(vec![(2, "small".into())], 0).await.unwrap(), [2], "it works on once there is room");
    history.store.lock().unwrap().connection.pragma_update(None, "query_only", true).unwrap();
    let error = history.inbox_begin(1).await.unwrap_err().to_string();
    assert!(error.contains("attempt to write a readonly database"), "{error}");
}

#[tokio::test]
async fn a_panic_leaves_the_history_usable() {
    let (_dir, history) = fresh();
    let broken = history
        .with::<()>(|db| {
            db.execute("INSERT INTO inbox (update_id, body, kept) VALUES (1, '', 0)", [])?;
            panic!("on purpose")
        })
        .await;
    assert!(matches!(broken, Err(HistoryError::Worker(_))));
    assert_eq!(history.inbox_unfinished().await.unwrap(), [], "rolled back");
    assert_eq!(history.inbox_keep(vec![(1, String::new())], 0).await.unwrap(), [1]);
}

#[test]
fn what_cannot_be_opened_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    drop(History::open(&path).unwrap());
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 1_000).unwrap();
    drop(connection);
    let newer = History::open(&path).unwrap_err().to_string();
    let known = migrations::STEPS.len();
    let expected = format!(
        "the history `{}` was written by a newer dockmaster (its format is 1000, this one knows {known}): run that one, or give another data \
         directory",
        path.display()
    );
    assert_eq!(newer, expected);

    let text = dir.path().join("text");
    std::fs::write(&text, "no database at all, only a long text that somebody put there").unwrap();
    let error = History::open(&text).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "the history `{}` could not be opened: it is damaged (file is not a database), and there is no good backup of it; move it away to begin with a new one",
            text.display()
        )
    );
    let nowhere = dir.path().join("no/history.db");
    let error = History::open(&nowhere).unwrap_err().to_string();
    assert!(error.starts_with(&format!("the history `{}` could not be opened: ", nowhere.display())), "{error}");
}

#[tokio::test]
async fn only_how_far_a_message_came_does_not_wait_for_the_disk() {
    let (_dir, history) = fresh();
    let waits = || history.store.lock().unwrap().connection.pragma_query_value(None, "synchronous", |row| row.get::<_, i64>(0)).unwrap();
    history.inbox_keep(vec![(1, "{}".to_owned())], 0).await.unwrap();
    assert_eq!(waits(), 2);
    history.inbox_begin(1).await.unwrap();
    assert_eq!(waits(), 1);
    history.inbox_keep(vec![(2, "{}".to_owned())], 0).await.unwrap();
    assert_eq!(waits(), 2);
    history.inbox_done(1, 0).await.unwrap();
    assert_eq!(waits(), 1);
    history.notice_post(Origin { chat: 1, thread: None, message: None }, Notice::Outcome { operation: 1 }, 0).await.unwrap();
    assert_eq!(waits(), 2);
}

#[test]
fn it_is_durable_and_for_our_eyes_only() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, history) = fresh();
    let connection = &history.store.lock().unwrap().connection;
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
    assert_eq!(pragma("journal_mode"), "wal".to_owned().into());
    assert_eq!(pragma("synchronous"), 2.into());
    assert_eq!(pragma("foreign_keys"), 1.into());
    assert_eq!(pragma("busy_timeout"), 5_000.into());
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.file_name());
    }
}

#[tokio::test]
async fn a_copy_is_read_while_the_original_is_at_work_and_changes_nothing() {
    let (dir, history) = fresh();
    let path = dir.path().join("history.db");
    let id = history.operation_begin(operation("m", None), 1).await.unwrap();
    let log = || std::fs::metadata(dir.path().join("history.db-wal")).unwrap().len();
    let before = log();
    let copy = History::copy(&path).unwrap();
    assert_eq!(copy.instance().await.unwrap(), history.instance().await.unwrap());
    assert_eq!(copy.operation(id).await.unwrap(), history.operation(id).await.unwrap());
    copy.operation_end(id, outcome(Verdict::Succeeded), 2).await.unwrap();
    assert_eq!(history.operation(id).await.unwrap().unwrap().ended, None, "what is done to the copy stays there");
    assert_eq!(log(), before);
    // As a kill leaves it: with a log that is nobody's.
    let killed = tempfile::tempdir().unwrap();
    for file in ["history.db", "history.db-wal"] {
        std::fs::copy(dir.path().join(file), killed.path().join(file)).unwrap();
    }
    assert!(History::copy(&killed.path().join("history.db")).unwrap().operation(id).await.unwrap().is_some());
    assert_eq!(std::fs::metadata(killed.path().join("history.db-wal")).unwrap().len(), before);
    drop(history);

    let before = std::fs::read(&path).unwrap();
    drop(History::copy(&path).unwrap());
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");

    let none = dir.path().join("none.db");
    assert_eq!(History::copy(&none).unwrap().operations_of(name("shop"), 1).await.unwrap(), []);
    assert!(!none.exists());
    let refused = History::copy(&path.join("below")).unwrap_err().to_string();
    assert!(refused.contains("could not be opened"), "{refused}");
}

#[tokio::test]
async fn a_copy_of_another_format_leaves_the_format_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let older = Connection::open(&path).unwrap();
    older.execute_batch(migrations::STEPS[0]).unwrap();
    older.pragma_update(None, "user_version", 1).unwrap();
    assert!(History::copy(&path).unwrap().releases(name("shop")).await.unwrap().is_empty());
    assert_eq!(older.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).unwrap(), 1);
    older.pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(History::copy(&path), Err(HistoryError::Newer { found: 99, .. })));
}

#[tokio::test]
async fn what_was_measured_is_kept_until_nobody_has_seen_it_for_long() {
    use super::measures::{MEASURES_AGE, Measured, START_UPS_KEPT};
    use crate::domain::container::Check;
    use crate::domain::measures::{Checks, Measures, StartUp};
    let (dir, history) = fresh();
    let mut web = Measures {
        service: ServiceName::new("web").unwrap(),
        since: 1,
        seen: 2,
        id: "0a1b".into(),
        started: 3,
        counted: 4,
        awaited: false,
        restarts: 5,
        checks: Checks::default(),
        startup: None,
    };
    let key = |container: &str| (name("shop"), container.to_owned());
    let keep = async |container: &str, measures: &Measures| {
        history.measures_keep(Measured::from([(key(container), measures.clone())])).await.unwrap();
    };
    keep("shop-web-1", &web).await;
    assert_eq!(history.measures().await.unwrap(), Measured::from([(key("shop-web-1"), web.clone())]));
    let last = Some(Check { at: 9, took: 80, good: true });
    for at in 0..=START_UPS_KEPT as i64 {
        web.startup = Some(StartUp { at, took: at + 1, operation: None });
        keep("shop-web-1", &web).await;
    }
    web = Measures { id: "ffff".into(), restarts: 6, checks: Checks { count: 7, total: 560, failures: 1, last }, ..web };
    web.startup = web.startup.map(|startup| StartUp { operation: Some(12), ..startup });
    keep("shop-web-1", &web).await;
    keep("shop-web-2", &Measures { seen: 10, startup: None, ..web.clone() }).await;
    let again = History::open(&dir.path().join("history.db")).unwrap();
    assert_eq!(again.measures().await.unwrap().get(&key("shop-web-1")), Some(&web), "the last start-up is the one that counts");
    let kept = again.start_ups(name("shop"), "shop-web-1".into()).await.unwrap();
    assert_eq!((kept.len(), kept.first(), kept.last().map(|s| s.at)), (START_UPS_KEPT, web.startup.as_ref(), Some(1)));

    history.prune(MEASURES_AGE + 2).await.unwrap();
    assert_eq!(history.measures().await.unwrap().len(), 2, "not a day before");
    history.prune(MEASURES_AGE + 3).await.unwrap();
    assert_eq!(history.measures().await.unwrap().keys().collect::<Vec<_>>(), [&key("shop-web-2")]);
    assert_eq!(history.start_ups(name("shop"), "shop-web-1".into()).await.unwrap(), [], "its start-ups go with it");
}

#[tokio::test]
async fn versions_of_the_configuration_are_kept_and_the_oldest_forgotten() {
    use super::snapshots::{KEPT, NewSnapshot};
    use crate::domain::impact::Impact;
    use crate::domain::snapshot::{Cause, Files, InForce};
    let (_dir, history) = fresh();
    assert_eq!(history.snapshot_last().await.unwrap(), None);
    let new = |n: usize, size: usize| NewSnapshot {
        cause: Cause::Asked { who: "Ann".into() },
        impact: Impact { chats_added: vec![n as i64], ..Impact::default() },
        hash: n.to_string(),
        files: Files { main: "x".repeat(size), included: [("projects.d/a.json".to_owned(), n.to_string())].into() },
        pinned_over: None,
    };
    for n in 1..=KEPT + 3 {
        assert_eq!(history.snapshot_add(new(n, 10), n as i64).await.unwrap(), n as i64);
    }
    let lines = history.snapshots().await.unwrap();
    assert_eq!((lines.len(), lines[0].id, lines[KEPT - 1].id), (KEPT, KEPT as i64 + 3, 4));
    assert_eq!(history.snapshot(3).await.unwrap(), None);
    let old = history.snapshot(5).await.unwrap().unwrap();
    assert_eq!((old.line.at, old.hash.as_str(), old.files.included["projects.d/a.json"].as_str()), (5, "5", "5"));
    let (last, in_force) = history.snapshot_last().await.unwrap().unwrap();
    assert_eq!((last.line.id, in_force.pinned_over), (KEPT as i64 + 3, None));
    history.snapshot_in_force(InForce { snapshot: 5, pinned_over: Some("h".to_owned()), writing: true }).await.unwrap();
    assert_eq!(
        history.snapshot_last().await.unwrap().unwrap().1,
        InForce { snapshot: 5, pinned_over: Some("h".to_owned()), writing: true }
    );
    // Large ones make room sooner; the one in force stays, however large.
    history.snapshot_add(new(900, 30 << 20), 900).await.unwrap();
    history.snapshot_add(new(901, 30 << 20), 901).await.unwrap();
    assert_eq!(history.snapshots().await.unwrap().iter().map(|line| line.id).collect::<Vec<_>>(), [KEPT as i64 + 5]);
}

#[tokio::test]
async fn little_room_is_noted_and_told_once() {
    let (dir, history) = fresh();
    let low = |history: &History, now| {
        let notice = Notice::Unseen { trouble: "low".to_owned() };
        let history = history.clone();
        async move { history.space_low(u64::MAX, [1, 2].into(), notice, now).await.unwrap() }
    };
    low(&history, 5).await;
    low(&history, 6).await;
    drop(history);
    let history = History::open(&dir.path().join("history.db")).unwrap();
    low(&history, 7).await;
    assert_eq!(history.space_said().await.unwrap(), [u64::MAX].into());
    let waiting = history.notices_waiting().await.unwrap();
    assert_eq!(waiting.iter().map(|w| (w.origin.chat, w.since)).collect::<Vec<_>>(), [(1, 5), (2, 5)]);
    history.space_well(7).await.unwrap();
    history.space_well(u64::MAX).await.unwrap();
    assert!(history.space_said().await.unwrap().is_empty());
    low(&history, 8).await;
    assert_eq!(history.notices_waiting().await.unwrap().len(), 4);
}

#[tokio::test]
async fn what_is_left_over_is_noted_with_its_notices() {
    let (dir, history) = fresh();
    let tools = ProjectName::new("tools").unwrap();
    let note = async |history: &History, ids: &[&str], told: bool, now| {
        let notice = told.then(|| (Notice::LeftOver { project: tools.clone(), orphans: Vec::new() }, [1, 2].into()));
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        history.orphans_noted(tools.clone(), ids, notice, now).await.unwrap();
    };
    note(&history, &["a", "b"], true, 5).await;
    drop(history);
    let history = History::open(&dir.path().join("history.db")).unwrap();
    assert_eq!(history.orphans_said().await.unwrap(), [(tools.clone(), ["a".to_owned(), "b".to_owned()].into())].into());
    note(&history, &["b"], false, 6).await;
    assert_eq!(history.orphans_said().await.unwrap(), [(tools.clone(), ["b".to_owned()].into())].into());
    note(&history, &[], false, 7).await;
    assert!(history.orphans_said().await.unwrap().is_empty());
    let waiting = history.notices_waiting().await.unwrap();
    assert_eq!(waiting.iter().map(|w| (w.origin.chat, w.since)).collect::<Vec<_>>(), [(1, 5), (2, 5)]);
}

#[tokio::test]
async fn release_that_never_arrived_never_ran() {
    let (_dir, history) = fresh();
    let ran = async || history.releases(name("shop")).await.unwrap().iter().map(|r| (r.number, r.ran)).collect::<Vec<_>>();
    let kept = |number| ReleaseRecord { kind: ReleaseKind::Kept, ..release(number, "found") };
    history.release_add(name("shop"), kept(0)).await.unwrap();
    history.move_begin(name("shop"), 1, Move { target: 1, base: 0 }, Some(release(1, "new"))).await.unwrap();
    assert_eq!(ran().await, [(1, false), (0, true)]);
    history.release_add(name("shop"), kept(2)).await.unwrap();
    assert_eq!(ran().await, [(2, false), (1, false), (0, true)], "what is found then is what that one has left");
    history.move_begin(name("shop"), 2, Move { target: 3, base: 2 }, Some(release(3, "newer"))).await.unwrap();
    history.move_settle(name("shop"), 3, 9).await.unwrap();
    assert_eq!(ran().await, [(3, true), (2, false), (1, false), (0, true)]);
}

#[tokio::test]
async fn stops_and_logs_are_kept_with_who_and_what() {
    let (_dir, history) = fresh();
    let id = history.operation_begin(operation("a", None), 1).await.unwrap();
    let ids = |all: &[&str]| all.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    history.stops_keep(ids(&["web", "api"]), Some(id), 1_000).await.unwrap();
    history.stops_keep(ids(&["web", "db"]), None, 1_500).await.unwrap();
    history.stops_keep(ids(&["api"]), None, 60_000).await.unwrap();
    let known = history.stops_of(ids(&["web", "api", "db", "none"])).await.unwrap();
    let shown: Vec<_> = known.iter().map(|(id, stop)| (id.as_str(), stop.at, stop.by.is_some())).collect();
    assert_eq!(shown, [("api", 60_000, false), ("db", 1_500, false), ("web", 1_000, true)], "ours is told again by the engine");

    let service = ServiceName::new("web").unwrap();
    let line = |text: &str| super::logs::KeptLine { at: Some(5), text: text.to_owned() };
    history.log_keep(id, service.clone(), vec![line("first")]).await.unwrap();
    history.log_keep(id, service.clone(), vec![line("second")]).await.unwrap();
    assert_eq!(history.log_of(id, service.clone()).await.unwrap(), Some(vec![line("first")]), "what was kept first stays");
    assert_eq!(history.log_services(id).await.unwrap(), ["web"]);
    assert_eq!(history.log_of(id + 1, service).await.unwrap(), None);
}
