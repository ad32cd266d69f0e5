//! Full disks: what cannot be kept is not acknowledged, what cannot be written down does not begin, and everything is said.

use serde_json::json;

use crate::support::disk::SmallDisk;
use crate::support::fixture::healthy_service;
use crate::support::program::{Launch, Tools};
use crate::support::{ADMIN, Fixture, PATIENCE, World};

async fn world(fixture: Fixture) -> World {
    World::prepare(vec![fixture], json!({ "default_project": "shop" })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_kept_is_not_acknowledged_and_is_answered_when_there_is_room() {
    let world = world(Fixture::new(&[("web", healthy_service(""))])).await;
    let disk = SmallDisk::mount(&world.data, "2m");
    let tools = Tools::all();
    let mut program = Launch::run(&world, &tools).start();
    world.ask("/whoami").await;
    world.api.wait_acknowledged(PATIENCE).await.unwrap();
    disk.fill(0);
    // Long enough that it needs a page of its own.
    let update = {
        world.say(&format!("/docker_history {}", "x".repeat(4_000)));
        world.api.last_update()
    };
    program.says("messages cannot be kept, so they are not acknowledged").await;
    let told = world.next().await;
    assert!(told.text.contains("the disk is full") && told.text.contains("answered once that is mended"), "{}", told.text);
    assert!(program.lives() && !world.api.acknowledged(update));
    disk.free();
    world.next().await;
    world.api.wait_acknowledged(PATIENCE).await.unwrap();
    program.stop().await;
    drop(disk);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_cannot_be_written_down_does_not_begin() {
    let fixture = Fixture::up(&[("web", healthy_service(""))]);
    // So many names that the plan does not fit where a message still does.
    let name = "n".repeat(180);
    (0..2_500).for_each(|n| fixture.write(&format!("many/{n}-{name}"), ""));
    let world = world(fixture).await;
    let disk = SmallDisk::mount(&world.data, "4m");
    let tools = Tools::all();
    let program = Launch::run(&world, &tools).start();
    world.ask("/docker_deploy").await;
    world.api.wait_acknowledged(PATIENCE).await.unwrap();
    let before = world.fixtures[0].containers();
    disk.fill(300_000);
    world.say("yes");
    let refused = world.next().await;
    for told in ["The deploy was not begun", "full", "Make room for dockmaster's data directory"] {
        assert!(refused.text.contains(told), "{told:?} is not told: {}", refused.text);
    }
    disk.free();
    assert!(world.ask("/docker_history").await.text.starts_with("Nothing was done"));
    assert_eq!(world.fixtures[0].containers(), before);
    assert!(!world.fixtures[0].production.join("many").exists());
    program.stop().await;
    drop(disk);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_does_not_fit_is_refused_in_the_plan() {
    let fixture = Fixture::new(&[("web", healthy_service(""))]);
    let disk = SmallDisk::mount(&fixture.production, "1m");
    std::fs::copy(fixture.workspace.join("docker-compose.yml"), fixture.production.join("docker-compose.yml")).unwrap();
    fixture.write("big", &"b".repeat(900_000));
    let world = world(fixture).await;
    let tools = Tools::all();
    let program = Launch::run(&world, &tools).start();
    let refused = world.ask("/docker_deploy").await;
    assert!(refused.text.contains("needs 2 MB of disk") && refused.text.contains("Make room"), "{}", refused.text);
    assert!(refused.button_texts().is_empty());
    assert!(!world.fixtures[0].production.join("big").exists());
    program.stop().await;
    drop(disk);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_while_the_workspace_is_copied_aside_leaves_production_alone_and_is_told() {
    let fixture = Fixture::up(&[("web", healthy_service(""))]);
    // Each of them takes a whole block: more than their bytes say.
    (0..1_500).for_each(|n| fixture.write(&format!("many/{n}"), "x"));
    let world = world(fixture).await;
    let disk = SmallDisk::mount(&world.data, "5m");
    let tools = Tools::all();
    let program = Launch::run(&world, &tools).start();
    let before = world.fixtures[0].containers();
    world.ask("/docker_deploy").await;
    let outcome = world.confirm().await;
    for told in ["❌", "could not be copied aside", "o space left", "Production was not touched"] {
        assert!(outcome.text.contains(told), "{told:?} is not told: {}", outcome.text);
    }
    assert!(!world.fixtures[0].production.join("many").exists());
    assert_eq!(world.fixtures[0].containers(), before);
    let history = world.ask("/docker_history").await;
    assert!(history.text.contains("failed") || history.text.contains('❌'), "{}", history.text);
    world.api.wait_acknowledged(PATIENCE).await.unwrap();
    let ended = program.stop().await;
    assert!(!ended.err.contains("the outcome could not be kept"), "{}", ended.err);
    assert_eq!(world.api.unread(ADMIN).len(), 0);
    drop(disk);
    world.finish().await;
}
