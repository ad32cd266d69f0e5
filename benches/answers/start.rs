//! From starting the program until it asks Telegram for messages for the first time.

use std::time::Instant;

use crate::scene::{containers, person, world};
use crate::shared::directory;
use crate::shared::table::Table;
use crate::support::PATIENCE;
use crate::support::World;
use crate::support::program::{Launch, Tools};

/// The most that it may take, in milliseconds.
const GOAL: f64 = 100.0;

/// Measures the first start of all, and the later ones.
pub(crate) async fn measure(rounds: usize, table: &mut Table) {
    let (directory, tools) = (directory(), Tools::all());
    let mut world = world(vec![containers(1)], &directory).await;
    let (mut first, mut later) = (Vec::new(), Vec::new());
    for number in 1..=rounds {
        world.data = directory.path().join(format!("data-{number}"));
        first.push(started(&world, &tools, 2 * number).await);
        later.push(started(&world, &tools, 2 * number + 1).await);
        eprintln!("start: round {number} of {rounds}: the first {:.0} ms, a later one {:.0} ms", first[number - 1], later[number - 1]);
    }
    assert_eq!(world.api.leftovers(), Vec::<String>::new());
    table.require("started to the first poll, with a history", later, "ms", GOAL);
    table.require("started to the first poll, for the first time", first, "ms", GOAL);
}

/// Starts it, and ends it again; how long it took, in milliseconds.
async fn started(world: &World, tools: &Tools, number: usize) -> f64 {
    let polls = |calls: &[dockmaster::sandbox::bot_api::Call]| calls.iter().filter(|c| c.method.eq_ignore_ascii_case("getUpdates")).count();
    let known = polls(&world.api.calls());
    // Something to fetch: a poll that finds something is answered, and so noted, the moment it comes.
    world.api.say(person(number), person(number), "/whoami");
    let began = Instant::now();
    let program = Launch::run(world, tools).start();
    world.api.wait_for_calls(PATIENCE, |calls| polls(calls) > known).await.unwrap();
    let took = began.elapsed().as_secs_f64() * 1e3;
    world.next_in(person(number)).await;
    world.api.wait_acknowledged(PATIENCE).await.unwrap();
    program.stop().await;
    took
}
