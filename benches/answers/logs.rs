//! The last lines of a log of a gigabyte, beside `docker logs --tail`.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::scene::{Scene, person};
use crate::shared::table::Table;
use crate::shared::timed;
use crate::support::Fixture;
use crate::support::fixture::{engine_get, plain_service, sh};
use crate::usage::resident;

/// How many lines the log has, and how many characters each of them: with what the engine keeps beside each, a gigabyte.
const LINES: usize = 6_000_000;
const WIDTH: usize = 100;
/// What is printed when all of them are.
const WHOLE: &str = "all is printed";
/// How long that may take.
const PRINTING_MAX: Duration = Duration::from_secs(600);
/// How many of the last lines are asked for.
const ASKED: &str = "50";
/// How often in each round.
const TURNS: usize = 3;
/// The most that it may take, in times what `docker logs` takes.
const GOAL: f64 = 1.3;
/// The most by which the bot's memory may have grown, in MB.
const GROWTH_GOAL: f64 = 2.0;

/// Measures it.
pub(crate) async fn measure(rounds: usize, table: &mut Table) {
    eprintln!("logs: printing {LINES} lines");
    let line = "x".repeat(WIDTH);
    let script = format!("yes {line} | head -n {LINES}; echo {WHOLE}; exec sleep 1000000");
    let fixture = Fixture::new(&[("web", plain_service(&script, "network_mode: none"))]).with(json!({ "workspace": null, "deploy": null }));
    fixture.compose(&["up", "-d"]);
    let id = fixture.container("web").0;
    printed(&id).await;
    let scene = Scene::new(vec![fixture]).await;
    let command = format!("/docker_logs shop {ASKED}");
    let ask = async |number: usize| {
        let asked = Instant::now();
        scene.world.api.say(person(number), person(number), &command);
        let answer = scene.world.next_in(person(number)).await;
        let took = asked.elapsed().as_secs_f64();
        let text = answer.document.map_or(answer.text, |file| String::from_utf8_lossy(&file.bytes).into_owned());
        assert!(text.contains(WHOLE) && text.matches(&line).count() == 49, "other lines: {text}");
        took
    };
    ask(0).await;
    scene.settle().await;
    let before = resident(scene.pid());
    let (mut ratios, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for number in 1..=rounds {
        let (mut bot, mut typed) = (Vec::new(), Vec::new());
        for turn in 0..TURNS {
            let by_hand = || timed("docker", &["logs", "--tail", ASKED, &id]);
            let first = if turn.is_multiple_of(2) { Some(by_hand()) } else { None };
            bot.push(ask(number * TURNS + turn).await);
            typed.push(first.unwrap_or_else(by_hand));
        }
        let (bot, typed) = (crate::scene::percentile(&bot, 50), crate::scene::percentile(&typed, 50));
        eprintln!("logs: round {number} of {rounds}: the bot {:.1} ms, docker logs {:.1} ms", bot * 1e3, typed * 1e3);
        ratios.push(bot / typed);
        ours.push(bot * 1e3);
        theirs.push(typed * 1e3);
    }
    scene.settle().await;
    let after = resident(scene.pid());
    table.require(format!("the last {ASKED} lines of a log of 1 GB, in times `docker logs`"), ratios, "", GOAL);
    table.report(format!("the last {ASKED} lines of a log of 1 GB"), ours, "ms");
    table.report("the same by `docker logs`", theirs, "ms");
    table.require("by how much the bot's memory has grown meanwhile", vec![after - before], "MB", GROWTH_GOAL);
    table.report("the bot's memory before", vec![before], "MB");
    table.report("the bot's memory after", vec![after], "MB");
    scene.end().await;
}

/// Waits until all is printed, and says how much the engine keeps of it where it may be seen.
async fn printed(id: &str) {
    let deadline = Instant::now() + PRINTING_MAX;
    while sh("docker", &["logs", "--tail", "1", id]).trim() != WHOLE {
        assert!(Instant::now() < deadline, "the log was not printed in time");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let seen = engine_get(&format!("/containers/{id}/json"));
    if let Ok(kept) = std::fs::metadata(seen["LogPath"].as_str().unwrap_or_default()) {
        eprintln!("logs: the engine keeps {:.2} GB", kept.len() as f64 / 1e9);
    }
    rustix::fs::sync();
}
