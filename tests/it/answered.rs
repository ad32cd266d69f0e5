//! What was taken in is answered, whatever comes between: a flood of confirmations, a cancel, a kill, a disk that is full, a database
//! that is gone, a group that moves.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::disk::SmallDisk;
use crate::support::fixture::healthy_service;
use crate::support::program::{Launch, Tools};
use crate::support::world::GROUP;
use crate::support::{ADMIN, Fixture, PATIENCE, World, eventually};

/// How soon the next command of somebody is answered who confirmed a thousand times.
const SOON: Duration = Duration::from_secs(2);

/// How many operations were begun.
fn operations(world: &World) -> i64 {
    world.kept().query_row("SELECT COUNT(*) FROM operations", [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn thousand_confirmations_run_once_and_jam_nothing() {
    let mut world = World::start(Fixture::up(&[("web", healthy_service(""))])).await;
    let plan = world.ask("/docker_restart").await;
    let button = plan.buttons[0][0].data.clone().unwrap();
    for turn in 0..500 {
        world.api.press_data(ADMIN, ADMIN, plan.id, &button);
        world.say("yes");
        if turn == 250 {
            world.api.say(crate::support::world::VIEWER, crate::support::world::VIEWER, "yes");
        }
    }
    let update = world.api.last_update();
    eventually("all of them were taken in", async || world.api.acknowledged(update)).await;
    let asked = Instant::now();
    world.say("/docker_history");
    let answer = loop {
        let message = world.next().await;
        if message.text.contains("restart") && message.text.contains('#') {
            break message;
        }
    };
    assert!(asked.elapsed() < SOON, "{:?}: {}", asked.elapsed(), answer.text);
    world.idle().await;
    assert_eq!(operations(&world), 1);
    let mut texts = world.texts(ADMIN);
    texts.retain(|text| text != "yes");
    assert!(texts.iter().any(|text| text.contains("(The same answer to")), "{texts:#?}");
    assert!(texts.len() < 20, "{texts:#?}");
    world.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_ends_the_plan_that_waits_too() {
    let world = World::start(Fixture::up(&[("web", healthy_service(""))])).await;
    let plan = world.ask("/docker_restart").await;
    let cancelled = world.ask("/docker_cancel").await.text;
    assert_eq!(cancelled, "Cancelled the plan that waited for your yes: Restart shop. Nothing was done.");
    let shown = |message: &dockmaster::sandbox::bot_api::Message| message.text.contains("Cancelled by Ann") && message.buttons.is_empty();
    world.api.wait_until(ADMIN, plan.id, PATIENCE, shown).await.unwrap();
    assert_eq!(world.ask("yes").await.text, "That was cancelled; nothing was done. Ask again.");
    assert!(world.ask("/docker_cancel").await.text.contains("Nothing runs on shop"));
    assert_eq!(operations(&world), 0);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_with_a_full_disk_is_refused_and_never_runs() {
    let world = World::prepare(vec![Fixture::up(&[("web", healthy_service(""))])], json!({ "default_project": "shop" })).await;
    let disk = SmallDisk::mount(&world.data, "2m");
    let tools = Tools::all();
    let program = Launch::run(&world, &tools).start();
    let before = world.fixtures[0].containers();
    for press in [true, false] {
        world.ask("/docker_status").await;
        let plan = world.ask("/docker_restart").await;
        world.api.wait_acknowledged(PATIENCE).await.unwrap();
        disk.fill(0);
        // What SQLite has room for already is used up first.
        let update = || world.api.last_update();
        let mut filler = 0;
        while world.api.acknowledged(update()) && filler < 200 {
            filler += 1;
            world.api.say(crate::support::world::STRANGER, crate::support::world::STRANGER, &"x".repeat(3_900));
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        if press {
            let button = plan.buttons[0][0].data.clone().unwrap();
            world.api.press_data(ADMIN, ADMIN, plan.id, &button);
        } else {
            world.say("yes");
        }
        let told = world.next().await.text;
        assert!(told.contains("Restart shop did not run") && told.contains("full") && told.contains("Make room"), "{told}");
        disk.free();
        world.api.wait_acknowledged(PATIENCE).await.unwrap();
        // It comes again when there is room, and does nothing then.
        let late = if press { String::new() } else { world.next().await.text };
        assert!(press || late.contains("could not be recorded"), "{late}");
    }
    assert_eq!(operations(&world), 0);
    assert_eq!(world.fixtures[0].containers(), before);
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_with_a_garbled_database_is_answered() {
    let world = World::prepare(vec![Fixture::up(&[("web", healthy_service(""))])], json!({ "default_project": "shop" })).await;
    let tools = Tools::all();
    let program = Launch::run(&world, &tools).start();
    let database = world.data.join("dockmaster.db");
    world.ask("/docker_restart").await;
    world.confirm().await;
    // Made from the backup, which is made soon after an operation.
    eventually("the backup has the operation", async || {
        let backup = world.data.join("dockmaster.db.backup");
        let kept = rusqlite::Connection::open_with_flags(backup, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY);
        kept.and_then(|kept| kept.query_row("SELECT COUNT(*) FROM operations WHERE ended NOT NULL", [], |row| row.get::<_, i64>(0)))
            .is_ok_and(|ended| ended == 1)
    })
    .await;
    world.ask("/docker_restart").await;
    world.api.wait_acknowledged(PATIENCE).await.unwrap();
    for file in [database.clone(), world.data.join("dockmaster.db-wal")] {
        let length = usize::try_from(std::fs::metadata(&file).unwrap().len()).unwrap();
        let opened = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&opened, &vec![b'?'; length], 0).unwrap();
    }
    world.say("yes");
    // The person is told, the admins are, and whatever comes first, nothing is silent.
    let (mut lost, mut refused) = (false, false);
    while !(lost && refused) {
        let text = world.next().await.text;
        lost |= text.contains("My database was damaged") && text.contains("dockmaster.db.damaged-1");
        refused |= text.contains("did not run") || text.contains("could not be recorded") || text.starts_with('✅');
    }
    let history = world.ask("/docker_history").await.text;
    assert!(history.contains("restart shop"), "{history}");
    assert!(world.data.join("dockmaster.db.damaged-1").is_file());
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_lost_is_restored_and_told() {
    let world = World::prepare(vec![Fixture::up(&[("web", healthy_service(""))])], json!({ "default_project": "shop" })).await;
    let tools = Tools::all();
    let program = Launch::run(&world, &tools).start();
    let database = world.data.join("dockmaster.db");
    world.ask("/docker_restart").await;
    std::fs::remove_file(&database).unwrap();
    let mut texts = Vec::new();
    world.say("yes");
    while texts.len() < 2 {
        let text = world.next().await.text;
        if text.starts_with('✅') || text.contains("My database was removed") {
            texts.push(text);
        }
    }
    assert!(texts.iter().any(|text| text.contains("restored it from memory; nothing is missing")), "{texts:#?}");
    assert_eq!(operations(&world), 1, "what was called done is there");
    let backup = world.data.join("dockmaster.db.backup");
    eventually("there is a backup of it", async || {
        rusqlite::Connection::open_with_flags(&backup, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
            .and_then(|kept| kept.query_row("SELECT COUNT(*) FROM operations WHERE ended NOT NULL", [], |row| row.get::<_, i64>(0)))
            .is_ok_and(|ended| ended == 1)
    })
    .await;
    world.api.wait_acknowledged(PATIENCE).await.unwrap();
    program.stop().await;

    // Emptied before a start.
    std::fs::write(&database, "").unwrap();
    let program = Launch::run(&world, &tools).start();
    let told = world.next().await.text;
    assert!(told.contains("My database was emptied") && told.contains("its backup of"), "{told}");
    let history = world.ask("/docker_history").await.text;
    assert!(history.contains("restart shop · #1"), "{history}");
    world.api.wait_acknowledged(PATIENCE).await.unwrap();
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_right_after_a_yes_is_told() {
    let rounds = std::env::var("DOCKMASTER_TEST_YES_KILLS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(4);
    let world = World::prepare(vec![Fixture::up(&[("web", healthy_service(""))])], json!({ "default_project": "shop" })).await;
    let tools = Tools::all();
    for round in 0..rounds {
        let program = Launch::run(&world, &tools).start();
        let plan = loop {
            let answer = world.ask("/docker_restart").await;
            if !answer.buttons.is_empty() {
                break answer;
            }
        };
        world.api.wait_acknowledged(PATIENCE).await.unwrap();
        let before = world.texts(ADMIN).len();
        if round % 2 == 0 {
            world.say("yes");
        } else {
            let button = plan.buttons[0][0].data.clone().unwrap();
            world.api.press_data(ADMIN, ADMIN, plan.id, &button);
        }
        let update = world.api.last_update();
        // From the moment that it was taken in, in steps of some milliseconds.
        eventually("it is taken in", async || world.api.acknowledged(update)).await;
        tokio::time::sleep(Duration::from_millis(3 * round)).await;
        program.kill();
        let program = Launch::run(&world, &tools).start();
        let told = |text: &String| {
            ["while I answered", "plans end when I restart", "Confirmations end when I restart", "Restart of shop", "interrupted"]
                .iter()
                .any(|words| text.contains(words))
        };
        eventually("the person is told", async || world.texts(ADMIN).iter().skip(before).any(told)).await;
        world.api.wait_acknowledged(PATIENCE).await.unwrap();
        program.stop().await;
        while !world.api.unread(ADMIN).is_empty() {
            world.next().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_of_a_group_that_moved_reaches_the_person() {
    let world = World::start(Fixture::up(&[("web", healthy_service(""))])).await;
    world.api.say(ADMIN, GROUP, "/docker_restart");
    let plan = world.next_in(GROUP).await;
    let button = plan.buttons[0][0].data.clone().unwrap();
    world.api.press_data(ADMIN, GROUP, plan.id, &button);
    world.next_in(GROUP).await;
    world.api.migrate_group(GROUP, -1_009_100);
    let told = world.outcome(ADMIN).await.text;
    assert!(told.contains("Restart of shop done") && told.contains("-1009100"), "{told}");
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn production_that_was_moved_away_is_told_as_missing() {
    let world = World::start(Fixture::up(&[("web", healthy_service(""))])).await;
    // The configuration is in force by then.
    world.ask("/docker_status").await;
    let production = &world.fixtures[0].production;
    let away = production.with_file_name("moved");
    std::fs::rename(production, &away).unwrap();
    let missing = format!("{} of shop is missing", production.display());
    let plan = world.ask("/docker_restart").await.text;
    assert!(plan.contains(&missing), "{plan}");
    let refused = world.ask("/docker_deploy").await.text;
    assert!(refused.contains("is not there"), "{refused}");
    eventually("status tells it", async || world.ask("/docker_status").await.text.contains("is missing")).await;
    std::fs::rename(&away, production).unwrap();
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn production_in_the_data_directory_is_refused() {
    let fixture = Fixture::new(&[("web", healthy_service(""))]);
    let tools = Tools::all();
    let world = World::prepare(vec![fixture], json!({})).await;
    let program = Launch::run(&world, &tools).start();
    world.ask("/whoami").await;
    let production = json!(world.fixtures[0].production).to_string();
    let text = world.projects_json().replace(&production, &json!(world.data).to_string());
    assert!(text.contains(&json!(world.data).to_string()));
    world.configure(&text);
    let told = loop {
        let told = world.next().await.text;
        if told.contains("rejected") || told.contains("not in force") || told.contains("data directory of a dockmaster") {
            break told;
        }
    };
    assert!(told.contains("in the data directory of a dockmaster"), "{told}");
    let checked = Launch::new(&tools, &["check".as_ref(), "--config".as_ref(), world.config.as_os_str()]).end().await;
    assert!(checked.code == Some(1) && checked.out.contains("in the data directory of a dockmaster"), "{}", checked.out);
    world.api.wait_acknowledged(PATIENCE).await.unwrap();
    program.stop().await;
}
