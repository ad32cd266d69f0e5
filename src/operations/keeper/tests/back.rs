//! Going back to a version: written into the files, or pinned over them.

use std::os::unix::fs::symlink;

use super::*;
use crate::domain::access::Role;
use crate::domain::confirm::Question;
use crate::domain::snapshot::Way;

impl Kept {
    async fn plan(&self, to: i64) -> VersionPlan {
        self.keeper.plan(to).await.unwrap().unwrap()
    }

    async fn go_back(&self, to: i64, digest: &str) -> Result<Applied, Refusal> {
        let wanted = Return { to, digest: digest.to_owned(), who: "Ann".into(), asker: None };
        self.keeper.go_back(wanted).await.unwrap()
    }

    /// As a program that is started again.
    async fn restarted(self) -> Self {
        let (place, history) = self.end().await;
        Self::again(place, history).await
    }

    async fn save(&mut self, text: &str) {
        fs::write(self.path("projects.json"), text).unwrap();
        self.in_force(number(&crate::config::check(text, &crate::config::unseen).configuration.unwrap())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_is_written_back_as_it_was_and_that_is_no_change() {
    for watch in [Watching::Events, Watching::Poll] {
        let first = format!("{} \n", text(watch, 0));
        let mut kept = Kept::new(|root| plain(root, &first)).await;
        kept.save(&text(watch, 1)).await;
        kept.versions(2).await;
        let stale = kept.plan(1).await;
        let path = kept.path("projects.json").display().to_string();
        assert_eq!((&stale.way, stale.in_force), (&Way::Write { files: vec![path.into()] }, false));
        let rights: Vec<_> = stale.impact.rights.iter().map(|r| (r.user, r.before, r.after)).collect();
        assert_eq!(rights, [(2, None, Some(Role::Viewer)), (3, Some(Role::Viewer), None)], "what it gives back is shown");
        // What was changed since it was shown has to be confirmed again.
        kept.save(&text(watch, 2)).await;
        kept.versions(3).await;
        let Err(Refusal::Changed(question)) = kept.go_back(1, &stale.digest).await else { panic!("it is another plan now") };
        let Question::Version(plan) = *question else { panic!("{question:?}") };
        assert_eq!(number(&kept.config.borrow()), 2);
        let applied = kept.go_back(1, &plan.digest).await.unwrap();
        assert_eq!((applied.snapshot, applied.pinned, applied.unwritten), (Some(4), false, None));
        assert_eq!(number(&kept.config.borrow()), 0);
        assert_eq!(fs::read_to_string(kept.path("projects.json")).unwrap(), first);
        // Our own writing is seen, and is no change.
        sleep(if watch == Watching::Poll { Duration::from_secs(2) } else { Duration::from_secs(1) }).await;
        kept.versions(4).await;
        assert_eq!(kept.keeper.reload(Cause::Saved, None).await, Some(Reloaded::Unchanged));
        let plan = kept.plan(1).await;
        assert!(plan.is_empty() && plan.way == Way::AsTheyAre, "{plan:?}");
        assert!(matches!(kept.keeper.plan(99).await, Some(Err(Refusal::NoVersion(99)))));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_never_in_force_is_kept_beside_what_is_written_over_it() {
    let kept = Kept::new(|root| plain(root, &text(Watching::Events, 0))).await;
    fs::write(kept.path("projects.json"), "{ \"an hour's work\"").unwrap();
    kept.rejected().await;
    let plan = kept.plan(1).await;
    assert!(plan.in_force && !plan.is_empty() && plan.warnings[0].contains("kept beside them"), "{plan:?}");
    kept.go_back(1, &plan.digest).await.unwrap();
    assert_eq!(kept.keeper.standing().rejected, None);
    assert_eq!(fs::read_to_string(kept.path(".projects.json~")).unwrap(), "{ \"an hour's work\"");
    assert_eq!(kept.keeper.reload(Cause::Saved, None).await, Some(Reloaded::Unchanged));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_is_pinned_over_files_that_are_not_ours_until_they_are_changed() {
    let mut kept = Kept::new(|root| {
        fs::create_dir_all(root.join("etc"))
            .and_then(|()| {
                fs::write(root.join("etc/real.json"), text(Watching::Events, 0))?;
                symlink("real.json", root.join("etc/projects.json"))
            })
            .unwrap()
    })
    .await;
    fs::write(kept.path("real.json"), text(Watching::Events, 1)).unwrap();
    kept.in_force(1).await;
    kept.versions(2).await;
    let plan = kept.plan(1).await;
    assert!(matches!(&plan.way, Way::Pin { why } if why.ends_with("projects.json` is a link")), "{plan:?}");
    assert!(kept.go_back(1, &plan.digest).await.unwrap().pinned);
    // It outlives what says the same, and a restart.
    fs::write(kept.path("real.json"), text(Watching::Events, 1)).unwrap();
    assert_eq!(kept.keeper.reload(Cause::Saved, None).await, Some(Reloaded::Pinned));
    assert_eq!(fs::read_to_string(kept.path("projects.json")).unwrap(), text(Watching::Events, 1));
    let mut kept = kept.restarted().await;
    assert_eq!((number(&kept.config.borrow()), kept.keeper.standing().pinned), (0, true));
    assert_eq!(number(&look_only(&kept.path("projects.json"), &kept.history).await.unwrap()), 0);
    assert!(!kept.plan(1).await.is_empty() && kept.plan(2).await.way == Way::AsTheyAre, "there is a way out of it");
    // A change that is a mistake ends it as well: what was in force still is, and what the files said before counts again.
    fs::write(kept.path("real.json"), "{").unwrap();
    kept.rejected().await;
    assert_eq!((number(&kept.config.borrow()), kept.keeper.standing().pinned), (0, false));
    kept.save(&text(Watching::Events, 1)).await;
    let kept = kept.restarted().await;
    assert_eq!((number(&kept.config.borrow()), kept.keeper.standing().pinned), (1, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_were_there_and_are_not_any_more_are_pinned_over() {
    let mut kept = Kept::new(|root| plain(root, &text(Watching::Events, 0))).await;
    kept.save(&text(Watching::Events, 1)).await;
    kept.versions(2).await;
    fs::remove_file(kept.path("projects.json")).unwrap();
    kept.rejected().await;
    let plan = kept.plan(1).await;
    assert!(matches!(&plan.way, Way::Pin { why } if why.ends_with("projects.json` is not there")), "{plan:?}");
    kept.go_back(1, &plan.digest).await.unwrap();
    let mut kept = kept.restarted().await;
    assert_eq!((number(&kept.config.borrow()), kept.keeper.standing().pinned), (0, true));
    kept.save(&text(Watching::Events, 2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pin_holds_while_files_cannot_be_read_and_does_not_come_back_once_it_ended() {
    let mut kept = Kept::new(|root| plain(root, &text(Watching::Events, 0))).await;
    kept.save(&text(Watching::Events, 1)).await;
    kept.versions(2).await;
    fs::hard_link(kept.path("projects.json"), kept.path("other")).unwrap();
    let plan = kept.plan(1).await;
    assert!(matches!(&plan.way, Way::Pin { why } if why.ends_with("has another name")), "{plan:?}");
    // What is shown is what is done: now it could be written.
    fs::remove_file(kept.path("other")).unwrap();
    assert!(matches!(kept.go_back(1, &plan.digest).await, Err(Refusal::Changed(_))));
    fs::hard_link(kept.path("projects.json"), kept.path("other")).unwrap();
    assert!(kept.go_back(1, &kept.plan(1).await.digest).await.unwrap().pinned);
    // Away for a while, and back as they were.
    fs::rename(kept.path("projects.json"), kept.path("away")).unwrap();
    assert_eq!(kept.keeper.reload(Cause::Saved, None).await, Some(Reloaded::Pinned));
    let kept = kept.restarted().await;
    assert!(kept.keeper.standing().pinned);
    fs::rename(kept.path("away"), kept.path("projects.json")).unwrap();
    assert_eq!(kept.keeper.reload(Cause::Saved, None).await, Some(Reloaded::Pinned));
    assert_eq!(number(&kept.config.borrow()), 0);
    // Changed while nobody looks, by mistake, and changed back: they count.
    let (place, history) = kept.end().await;
    fs::write(place.path().join("etc/projects.json"), "{").unwrap();
    let kept = Kept::again(place, history).await;
    assert_eq!((number(&kept.config.borrow()), kept.keeper.standing().pinned), (0, false));
    let (place, history) = kept.end().await;
    fs::write(place.path().join("etc/projects.json"), text(Watching::Events, 1)).unwrap();
    let kept = Kept::again(place, history).await;
    assert_eq!((number(&kept.config.borrow()), kept.keeper.standing().pinned), (1, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writing_that_was_cut_off_is_done_at_the_next_start() {
    let included = |number: usize| format!(r#"{{ "projects": {{ "q{number}": {{ "containers": ["d"] }} }} }}"#);
    let mut kept = Kept::new(|root| {
        plain(root, &text(Watching::Events, 0));
        fs::create_dir(root.join("etc/projects.d")).unwrap();
        fs::write(root.join("etc/projects.d/q.json"), included(0)).unwrap();
    })
    .await;
    fs::write(kept.path("projects.d/q.json"), included(1)).unwrap();
    kept.versions(2).await;
    kept.save(&text(Watching::Events, 1)).await;
    kept.versions(3).await;
    let (place, history) = kept.end().await;
    // As it is found after a kill between two files.
    fs::write(place.path().join("etc/projects.json"), text(Watching::Events, 0)).unwrap();
    history.snapshot_in_force(crate::domain::snapshot::InForce { snapshot: 1, pinned_over: None, writing: true }).await.unwrap();
    let looked = look_only(&place.path().join("etc/projects.json"), &history).await.unwrap();
    assert_eq!(looked.projects.len(), 2, "whoever only looks sees it done");
    let kept = Kept::again(place, history).await;
    assert_eq!(fs::read_to_string(kept.path("projects.d/q.json")).unwrap(), included(0));
    assert!(kept.config.borrow().projects.keys().any(|name| name.as_str() == "q0"));
    assert_eq!((kept.keeper.standing().snapshot, kept.keeper.standing().pinned), (Some(1), false));
    assert!(!kept.history.snapshot_last().await.unwrap().unwrap().1.writing);
}

/// What a part answers to a change to number 1.
#[derive(Clone, Copy)]
enum Answers {
    Unreadable,
    Failed,
    Later,
}

/// A configuration in which everybody keeps their rights, whatever its number is.
fn with_trigger(number: usize, trigger: &str) -> String {
    let text = text(Watching::Events, number).replace("\"events\"", &format!("\"events\", \"rollback_on\": [{trigger}]"));
    let everybody = (2..6).map(|user| format!("\"{user}\": \"viewer\"")).collect::<Vec<_>>().join(", ");
    text.replace(&format!("\"{}\": \"viewer\"", number + 2), &everybody)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_after_which_something_fails_is_undone_where_that_is_wished() {
    for (trigger, answers, undone) in [
        ("", Answers::Unreadable, None),
        ("\"failed_part\"", Answers::Unreadable, None),
        ("\"failed_part\"", Answers::Later, None),
        ("\"unreadable_project\"", Answers::Failed, None),
        ("\"unreadable_project\"", Answers::Unreadable, Some("p1 cannot be read: no.")),
        ("\"unreadable_project\", \"failed_part\"", Answers::Failed, Some("the projects could not take it over: no")),
    ] {
        let text = |number| with_trigger(number, trigger);
        let kept = Kept::new(|root| plain(root, &text(0))).await;
        let mut projects = kept.keeper.part("the projects");
        tokio::spawn(async move {
            while let Some(takeover) = projects.recv().await {
                match answers {
                    _ if number(&takeover.change.new) != 1 => takeover.done(Taken::default()),
                    Answers::Unreadable => {
                        takeover.done(Taken { unreadable: vec!["p1 cannot be read: no.".to_owned()], ..Taken::default() })
                    }
                    Answers::Failed => takeover.failed("no".to_owned()),
                    Answers::Later => takeover.later("no".to_owned()),
                }
            }
        });
        fs::write(kept.path("projects.json"), text(1)).unwrap();
        kept.told(1).await;
        let told = kept.notices().await;
        let [Notice::Reloaded { applied }] = &told[..] else { panic!("{told:?}") };
        match undone {
            Some(why) => {
                assert_eq!(applied.cause, Cause::Undone { undone: Some(2), why: why.to_owned() });
                assert_eq!((applied.pinned, applied.snapshot), (true, Some(3)));
            }
            None => assert_eq!(applied.cause, Cause::Saved),
        }
        let expected = usize::from(undone.is_none());
        assert_eq!(number(&kept.config.borrow()), expected);
        assert_eq!(fs::read_to_string(kept.path("projects.json")).unwrap(), text(1), "no file is written");
        // Over a restart, too, and until the files are changed.
        let mut kept = kept.restarted().await;
        assert_eq!(number(&kept.config.borrow()), expected);
        kept.save(&text(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_that_was_taken_away_does_not_come_back_by_itself() {
    let trigger = "\"unreadable_project\"";
    let kept = Kept::new(|root| plain(root, &with_trigger(0, trigger))).await;
    let mut projects = kept.keeper.part("the projects");
    tokio::spawn(async move {
        while let Some(takeover) = projects.recv().await {
            takeover.done(Taken { unreadable: vec!["p1 cannot be read: no.".to_owned()], ..Taken::default() });
        }
    });
    fs::write(kept.path("projects.json"), with_trigger(1, trigger).replace(", \"5\": \"viewer\"", "")).unwrap();
    kept.told(1).await;
    let told = kept.notices().await;
    assert!(
        matches!(&told[..], [Notice::Reloaded { applied }] if applied.cause == Cause::Saved && applied.unreadable.len() == 1),
        "{told:?}"
    );
    assert_eq!(number(&kept.config.borrow()), 1);
}
