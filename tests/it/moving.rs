//! `dockmaster move-data`: all of it is in one place or in the other, whatever happens.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dockmaster::app;
use dockmaster::history::lock::{DataLock, HelperLock, Holder, LockError};
use serde_json::json;

use crate::support::disk::{Mounted, SmallDisk};
use crate::support::fixture::tree;
use crate::support::program::Ended;
use crate::support::shop::{dockerfile_that, shop};
use crate::support::terminal::Terminal;
use crate::support::{ADMIN, Fixture, PATIENCE, eventually, long};

/// A project with two releases, and no dockmaster that runs.
async fn with_releases() -> Terminal {
    let terminal = Terminal::of(vec![shop(json!({}))], json!({ "default_project": "shop" })).await;
    let shop = &terminal.world.fixtures[0];
    shop.write("deep/kept", "as it was\n");
    // What its own owner may not write to.
    std::fs::set_permissions(shop.workspace.join("deep"), std::fs::Permissions::from_mode(0o555)).unwrap();
    terminal.print("deploy --yes").await;
    terminal.world.fixtures[0].write("page", "page three\n");
    terminal.print("deploy --yes").await;
    terminal
}

impl Terminal {
    fn beside(&self, name: &str) -> PathBuf {
        self.world.data.with_file_name(name)
    }

    async fn move_to(&self, to: &Path) -> Ended {
        self.run(&format!("move-data {}", to.display())).await
    }

    /// Moves it, and says what was said.
    async fn moved_to(&self, to: &Path) -> String {
        let ended = self.move_to(to).await;
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        ended.out
    }

    async fn refused(&self, to: &Path, code: i32, told: &str) {
        let before = kept(&self.world.data);
        let ended = self.move_to(to).await;
        assert!(ended.code == Some(code) && ended.sentence().contains(told), "{told:?} with {code}: {ended:?}");
        assert!(kept(&self.world.data) == before, "{told}: it is not as it was");
    }
}

/// What is kept, but for what belongs to the place.
fn kept(data: &Path) -> BTreeMap<String, String> {
    let of_the_place = ["lock", "helper.lock", "moved"];
    tree(data)
        .into_iter()
        .filter(|(path, _)| !of_the_place.contains(&path.as_str()) && !path.ends_with("-shm") && !path.ends_with("-wal"))
        .collect()
}

/// Where a dockmaster that is started in a directory works; none where it does not start. Like that it waits for a lock: a process
/// that was just being started keeps it for a moment longer than whoever was killed.
async fn starts_in(data: &Path) -> Option<PathBuf> {
    let mut found = None;
    eventually("it is free", async || {
        let Ok(at) = app::settled(data) else { return true };
        let taken = DataLock::take(&at, Holder::Command);
        found = taken.is_ok().then_some(at);
        !matches!(taken, Err(LockError::Taken { .. }))
    })
    .await;
    found
}

fn same_file(data: &Path, one: &str, other: &str) -> bool {
    let of = |release: &str| data.join("projects/shop/releases").join(release).join("tree/deep/kept").metadata().unwrap().ino();
    of(one) == of(other)
}

#[tokio::test(flavor = "multi_thread")]
async fn history_and_releases_go_along_and_a_rollback_works_from_there() {
    let mut terminal = with_releases().await;
    let (old, new) = (terminal.world.data.clone(), terminal.beside("new"));
    let before = kept(&old);
    assert!(same_file(&old, "1", "2"), "releases share what they have in common");
    let said = terminal.moved_to(&new).await;
    let start = format!(
        "The data is in {0} now; {1} only says so. From now on start dockmaster with DOCKMASTER_DATA={0} (or --data {0}).\n",
        new.display(),
        old.display()
    );
    assert_eq!(said, start);
    assert_eq!(kept(&new), before);
    assert!(same_file(&new, "1", "2"));
    assert_eq!(new.metadata().unwrap().mode() & 0o777, 0o700);
    assert_eq!(tree(&old).into_keys().collect::<Vec<_>>(), ["lock", "moved"]);

    // Where it was is where it is found, until somebody says where it is.
    assert!(terminal.print("history").await.contains("deploy shop · #2"));
    assert_eq!(terminal.moved_to(&new).await, start, "doing it again changes nothing");
    terminal.world.data = new.clone();
    assert!(terminal.print("releases").await.contains("2 · runs now"));
    assert!(terminal.print("rollback --yes").await.contains("shop runs release 1"));
    assert_eq!(terminal.world.fixtures[0].production_file("page").as_deref(), Some("page two\n"));
    let program = terminal.start();
    assert!(terminal.world.ask("/docker_history").await.text.contains("rollback shop"));
    assert!(!terminal.world.ask("/config").await.text.contains("was moved from"));
    terminal.idle().await;
    program.stop().await;

    // And back again.
    terminal.moved_to(&old).await;
    terminal.world.data = old.clone();
    assert!(terminal.print("history").await.contains("rollback shop"));
    assert_eq!((starts_in(&old).await, starts_in(&new).await), (Some(old.clone()), Some(old)));
    terminal.world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_one_that_runs_makes_way_and_goes_on_there() {
    let terminal = with_releases().await;
    let (old, new) = (terminal.world.data.clone(), terminal.beside("new"));
    let mut program = terminal.start();
    terminal.world.ask("/whoami").await;
    // Not in the middle of something.
    terminal.world.fixtures[0].write("Dockerfile", &dockerfile_that("echo now sleeping; sleep 300"));
    terminal.world.ask("/docker_deploy").await;
    terminal.world.say("yes");
    let progress = terminal.world.next().await;
    terminal.world.api.wait_until(ADMIN, progress.id, PATIENCE, |m| m.text.contains("now sleeping")).await.unwrap();
    let busy = terminal.move_to(&new).await;
    assert!(busy.code == Some(1) && busy.err.contains("shop is busy: deploy by Ann"), "{busy:?}");
    assert!(!new.exists() && program.lives());
    terminal.print("cancel").await;
    terminal.world.outcome(ADMIN).await;

    let said = terminal.moved_to(&new).await;
    assert!(said.contains("The dockmaster that runs goes on there."), "{said}");
    assert!(terminal.world.ask("/docker_history").await.text.contains("deploy shop · #2"));
    let config = terminal.world.ask("/config").await.text;
    let told = format!("My data was moved from {} to {}, and I was started with the old place", old.display(), new.display());
    assert!(config.contains(&told), "{config}");
    let client = dockmaster::console::Client::of(&new).unwrap();
    let seen: serde_json::Value = client.get("/config/docker/environment").await.unwrap();
    assert_eq!((&seen["moved_from"], &seen["data"]["path"]), (&json!(old), &json!(new)));
    assert!(terminal.print("health").await.contains("🟢 Telegram"));
    assert!(terminal.print("rollback --yes").await.contains("shop runs release 1"));
    assert!(new.join("control.sock").exists() && !old.join("control.sock").exists());
    // Started again as before, it goes on there as well; and nobody works in both.
    program.stop().await;
    let mut program = terminal.start();
    program.says("connected to Telegram").await;
    assert!(terminal.world.ask("/docker_history").await.text.contains("rollback shop"));
    let second = terminal.launch("run").set("DOCKMASTER_DATA", &new).set("TELOXIDE_TOKEN", crate::support::TOKEN).end().await;
    assert!(second.code == Some(2) && second.sentence().contains("another dockmaster (pid"), "{second:?}");
    program.stop().await;
    terminal.world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_not_be_safe_is_refused_and_leaves_all_as_it_was() {
    let terminal = Terminal::of(vec![Fixture::new(&[])], json!({})).await;
    let (data, new) = (terminal.world.data.clone(), terminal.beside("new"));
    let nothing = terminal.move_to(&new).await;
    assert!(nothing.code == Some(2) && nothing.sentence().contains("holds no data of dockmaster's"), "{nothing:?}");
    assert!(!data.exists() && !new.exists());
    let program = terminal.start();
    terminal.world.ask("/whoami").await;
    terminal.idle().await;
    program.stop().await;

    terminal.refused(&data, 2, "are the same, or one lies in the other").await;
    terminal.refused(&data.join("below"), 2, "are the same, or one lies in the other").await;
    terminal.refused(data.parent().unwrap(), 2, "are the same, or one lies in the other").await;
    let link = terminal.beside("link");
    std::os::unix::fs::symlink(&data, &link).unwrap();
    terminal.refused(&link.join("below"), 2, "are the same, or one lies in the other").await;
    let again = Mounted::directory(&data, &terminal.beside("again"));
    terminal.refused(&terminal.beside("again/below"), 2, "are the same, or one lies in the other").await;
    drop(again);
    let full = terminal.beside("full");
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("mine"), "").unwrap();
    terminal.refused(&full, 2, "is not empty (there is “mine”)").await;
    terminal.refused(&full.join("mine"), 2, "cannot be used").await;
    assert_eq!(std::fs::read_dir(&full).unwrap().count(), 1, "nothing was put there");
    let theirs = terminal.beside("theirs");
    std::fs::create_dir(&theirs).unwrap();
    std::os::unix::fs::chown(&theirs, Some(10_001), None).unwrap();
    terminal.refused(&theirs, 2, &format!("belongs to another user: name a directory in it, as {}/dockmaster", theirs.display())).await;

    let holder = DataLock::take(&data, Holder::Command).unwrap();
    terminal.refused(&new, 1, "Another command is at work").await;
    drop(holder);
    let helper = HelperLock::take(&data).unwrap().unwrap();
    terminal.refused(&new, 1, "A helper is at work").await;
    drop(helper);
    let silent = DataLock::take(&data, Holder::Bot).unwrap();
    terminal.refused(&new, 1, "does not answer: stop it first").await;
    drop(silent);
    // One that would let go is not asked to by just anybody.
    let program = terminal.start();
    terminal.world.ask("/whoami").await;
    let client = dockmaster::console::Client::of(&data).unwrap();
    let ask = json!({ "to": terminal.beside(""), "device": 1, "inode": 1 });
    let said = client.post::<()>("/data/step-aside", &ask).await.unwrap_err().to_string();
    assert!(said.contains("Nobody is about to move it."), "{said}");
    let helper = HelperLock::take(&data).unwrap();
    let said = client.post::<()>("/data/step-aside", &ask).await.unwrap_err().to_string();
    assert!(said.contains("does not see") && said.contains("Stop it, move the data"), "{said}");
    drop(helper);
    terminal.world.ask("/whoami").await;
    terminal.idle().await;
    program.stop().await;
    assert!(!new.exists(), "what was made for nothing is gone");
    terminal.world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_leaves_all_as_it_was() {
    let terminal = with_releases().await;
    let (data, small) = (terminal.world.data.clone(), terminal.beside("small"));
    let disk = SmallDisk::mount(&small, "16m");
    disk.fill(3_000_000);
    let before = kept(&data);
    let new = small.join("new");
    terminal.refused(&new, 1, "are free in").await;
    assert!(!new.exists());
    disk.free();
    // It fills while it is copied.
    terminal.tools.gate("rsync", "*--hard-links*");
    let moving = terminal.launch(&format!("move-data {}", new.display())).start();
    terminal.tools.held().await;
    disk.fill(20_000);
    terminal.tools.open();
    let ended = moving.ended().await;
    assert!(ended.code == Some(1) && ended.err.contains("The disk is full."), "{ended:?}");
    terminal.tools.ungate("rsync");
    assert!(kept(&data) == before);
    assert_eq!(starts_in(&data).await, Some(data.clone()));
    assert!(!new.exists(), "what was copied is taken away");
    disk.free();
    terminal.moved_to(&new).await;
    assert_eq!(starts_in(&data).await, Some(new.clone()));

    // The disk that it is on is full: without a note of where it went it is not begun.
    disk.fill(0);
    let ended = terminal.move_to(&terminal.beside("third")).await;
    assert!(ended.code == Some(1) && ended.sentence().contains("not even room for a note"), "{ended:?}");
    assert_eq!(starts_in(&data).await, Some(new));
    disk.free();
    terminal.moved_to(&terminal.beside("third")).await;
    assert!(kept(&terminal.beside("third")) == before);
    terminal.world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_it_is_whole_in_one_place() {
    let terminal = with_releases().await;
    let (old, new) = (terminal.world.data.clone(), terminal.beside("new"));
    let before = kept(&old);
    // While it is copied, and once it was copied and is compared: the old one counts, and the new one says what it is.
    for held in ["*--hard-links*", "*--dry-run*"] {
        terminal.tools.gate("rsync", held);
        let moving = terminal.launch(&format!("move-data {}", new.display())).start();
        terminal.tools.held().await;
        moving.kill();
        assert_eq!((starts_in(&old).await, starts_in(&new).await), (Some(old.clone()), None), "{held}");
        let refused = terminal.launch("status").set("DOCKMASTER_DATA", &new).end().await;
        assert!(refused.code == Some(2) && refused.sentence().contains("and not whole: move it again; until then"), "{refused:?}");
        assert!(terminal.print("history").await.contains("deploy shop · #2"));
        // What goes on copying must not write into what the next one copies.
        assert_ne!(terminal.tools.processes(), Vec::<i32>::new());
        terminal.tools.ungate("rsync");
    }
    terminal.moved_to(&new).await;
    assert_eq!(terminal.tools.processes(), Vec::<i32>::new(), "what was left at work is ended");
    assert_eq!(kept(&new), before);

    // At any moment: every 3 ms in the long form, and every 21 ms in the short one.
    let step = if long::asked().is_some() { 3 } else { 21 };
    let (mut at, mut to) = (new, old);
    let (mut n, mut ends) = (0, 0);
    while ends < 3 {
        let moving = terminal.launch(&format!("move-data {} --data {}", to.display(), at.display())).start();
        tokio::time::sleep(Duration::from_millis(n * step)).await;
        let ended = moving.kill();
        let counts = starts_in(&at).await.expect("what it was started with leads to all of it");
        assert_eq!(
            kept(&counts)
                .into_iter()
                .filter(|(path, _)| !path.starts_with("control") && !path.ends_with(".new"))
                .collect::<BTreeMap<_, _>>(),
            before,
            "{n}"
        );
        assert!([None, Some(counts.clone())].contains(&starts_in(&to).await), "there are never two");
        if counts == to {
            // Once more, and what was left in the old place goes.
            let again = terminal.launch(&format!("move-data {} --data {}", to.display(), at.display())).end().await;
            assert_eq!(again.code, Some(0), "{again:?}");
            assert_eq!(tree(&at).into_keys().collect::<Vec<_>>(), ["lock", "moved"]);
            std::mem::swap(&mut at, &mut to);
            ends += u32::from(ended.code == Some(0));
            // From the beginning again, at other moments.
            n = if ended.code == Some(0) { 0 } else { n };
        }
        n += 1;
        assert!(n < 1_000, "it comes to its end");
    }
    eventually("nothing is left at work", async || terminal.tools.processes().is_empty()).await;
    terminal.world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_it_takes_away_what_it_copied() {
    let terminal = with_releases().await;
    let (old, new) = (terminal.world.data.clone(), terminal.beside("new"));
    let mut program = terminal.start();
    program.says("connected to Telegram").await;
    terminal.tools.gate("rsync", "*--dry-run*");
    let moving = terminal.launch(&format!("move-data {}", new.display())).start();
    terminal.tools.held().await;
    // Meanwhile nobody else gets at it, and the one that runs waits.
    assert!(program.err().contains("waiting until the data is moved"), "{}", program.err());
    assert!(matches!(DataLock::take(&old, Holder::Command), Err(LockError::Taken { soon_done: true, .. })));
    moving.interrupt();
    let ended = moving.ended().await;
    assert!(ended.code == Some(1) && ended.err.contains("It was cancelled."), "{ended:?}");
    assert!(!new.exists());
    assert!(terminal.world.ask("/docker_history").await.text.contains("deploy shop · #2"));
    assert!(old.join("control.sock").exists() && program.lives());
    terminal.idle().await;
    program.stop().await;
    terminal.world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cut_off_is_put_right_where_it_was() {
    let terminal = with_releases().await;
    let new = terminal.beside("new");
    terminal.world.fixtures[0].write("page", "page four\n");
    terminal.tools.gate("rsync", "*--delay-updates*");
    let deploying = terminal.launch("deploy --yes").start();
    terminal.tools.held().await;
    deploying.kill();
    terminal.tools.ungate("rsync");
    terminal.refused(&new, 1, "A deploy of shop was cut off: start dockmaster in").await;
    assert!(!new.exists());
    let next = terminal.run("restart shop/postgres --yes").await;
    assert!(next.code == Some(0) && next.err.contains("put right first"), "{next:?}");
    terminal.moved_to(&new).await;
    assert!(terminal.print("history").await.contains("interrupted"));
    terminal.world.finish().await;
}
