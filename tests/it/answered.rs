//! What was taken in is answered, whatever comes between: a flood of confirmations, a cancel, a kill, a disk that is full, a database
//! that is gone, a group that moves.

use std::time::{Duration, Instant};

use crate::support::fixture::healthy_service;
use crate::support::{ADMIN, Fixture, World};

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
    crate::support::eventually("all of them were taken in", async || world.api.acknowledged(update)).await;
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
    world.api.wait_until(ADMIN, plan.id, crate::support::PATIENCE, shown).await.unwrap();
    assert_eq!(world.ask("yes").await.text, "That was cancelled; nothing was done. Ask again.");
    assert!(world.ask("/docker_cancel").await.text.contains("Nothing runs on shop"));
    assert_eq!(operations(&world), 0);
    world.finish().await;
}
