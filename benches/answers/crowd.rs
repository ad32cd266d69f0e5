//! Many chats that ask for a status at the same moment, beside one that asks alone.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::direct::{Connections, Direct};
use crate::scene::{Scene, containers, percentile, person};
use crate::shared::table::Table;

/// How many chats ask at once.
const CHATS: usize = 20;
/// How many containers the project has.
const CONTAINERS: usize = 10;
/// How often one chat asks alone, in each round.
const ALONE: usize = 5;
/// The most that the last of them may wait, in times what one waits who is alone.
const GOAL: f64 = 5.0;
/// Until Telegram allows as much again.
const PAUSE: Duration = Duration::from_secs(5);

/// Measures it.
pub(crate) async fn measure(rounds: usize, table: &mut Table) {
    let (scene, direct) = (Scene::new(vec![containers(CONTAINERS)]).await, Direct::start());
    let name = scene.world.fixtures[0].name.clone();
    let ask = |number: usize| scene.status(person(number), "/docker_status shop");
    ask(0).await;
    let (mut ratios, mut last, mut single, mut engine) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for number in 1..=rounds {
        tokio::time::sleep(PAUSE).await;
        // What the bot finds out in the background every now and then is neither's.
        ask(CHATS).await;
        scene.settle().await;
        let mut alone = Vec::new();
        for turn in 1..=ALONE {
            alone.push(ask(CHATS + turn).await);
        }
        let alone = percentile(&alone, 50);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let asked = Instant::now();
        join_all((0..CHATS).map(ask)).await;
        let together = asked.elapsed().as_secs_f64();
        direct.ask(&name, 1, Connections::Kept).await;
        let calls = direct.ask(&name, CHATS, Connections::Kept).await.time;
        eprintln!(
            "crowd: round {number} of {rounds}: alone {:.1} ms, the last of {CHATS} {:.1} ms, the engine asked as often, one after another {:.1} ms",
            alone * 1e3,
            together * 1e3,
            calls * 1e3
        );
        ratios.push(together / alone);
        last.push(together * 1e3);
        single.push(alone * 1e3);
        engine.push(calls * 1e3);
    }
    table.require(format!("{CHATS} chats at once: until the last answer, in times one chat alone"), ratios, "", GOAL);
    table.report(format!("{CHATS} chats at once: until the last answer"), last, "ms");
    table.report("one chat alone", single, "ms");
    table.report(format!("the engine asked the same {CHATS} times, one after another"), engine, "ms");
    scene.end().await;
}
