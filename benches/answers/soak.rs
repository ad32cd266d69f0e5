//! Whether the bot's memory grows under mixed work: a project of 300 containers and 199 small ones, 50 chats, one command a second,
//! a deploy and a restart in each round of 19 commands.
//!
//! `DOCKMASTER_BENCH_MINUTES` says for how long; the figures count from an hour on.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::scene::{PEOPLE, Scene, person};
use crate::shared::setting;
use crate::shared::table::Table;
use crate::support::Fixture;
use crate::support::fixture::plain_service;
use crate::usage::{descriptors, resident};

/// For how long, in minutes.
const MINUTES: (&str, usize) = ("DOCKMASTER_BENCH_MINUTES", 10);
/// When the memory is looked at first, in minutes.
const FIRST: u64 = 5;
/// The most that may be resident at the end, in times that.
const GROWTH_GOAL: f64 = 1.05;
/// By how many descriptors the end may differ.
const DESCRIPTORS_GOAL: f64 = 4.0;
const CONTAINERS: usize = 300;
const SMALL: usize = 199;
/// A command begins no sooner than so long after the last one.
const PACE: Duration = Duration::from_secs(1);

/// What is asked for, and what is said to the plan where there is one.
const COMMANDS: [(&str, &str); 19] = [
    ("/docker_status shop", ""),
    ("/docker_logs shop/s001", ""),
    ("/docker_history shop", ""),
    ("/docker_releases shop", ""),
    ("/docker_volumes shop", ""),
    ("/docker_status all", ""),
    ("/config", ""),
    ("/docker_restart shop/s002", "no"),
    ("/docker_restart shop/s003", "yes"),
    ("/docker_status p100", ""),
    ("/config history", ""),
    ("/docker_logs shop/s004 200 grep=nothing", ""),
    ("/docker_deploy shop", "yes"),
    ("/docker_rollback shop", "no"),
    ("/docker_stop shop/s005", "no"),
    ("/help", ""),
    ("/docker_status p150", ""),
    ("/docker_cancel shop", ""),
    ("/whoami", ""),
];

/// Works for as long as is set.
pub(crate) async fn measure(table: &mut Table) {
    let minutes = u64::try_from(setting(MINUTES)).unwrap();
    let scene = Scene::new(std::iter::once(large()).chain((0..SMALL).map(|_| small())).collect()).await;
    let began = Instant::now();
    let (mut seen, mut next, mut samples) = (Vec::new(), 0_u64, Vec::new());
    for number in 0.. {
        let minute = began.elapsed().as_secs() / 60;
        // A look while a plan of 300 services is made shows some megabytes more: the middle of a minute's looks counts.
        samples.push((resident(scene.pid()), f64::from(descriptors(scene.pid()))));
        if minute >= next {
            let now = (median(samples.iter().map(|s| s.0)), median(samples.iter().map(|s| s.1)));
            eprintln!("soak: {minute} minutes, {number} commands: {:.1} MB, {} descriptors", now.0, now.1);
            seen.push((minute, now));
            (next, samples) = (minute + 1, Vec::new());
        }
        if minute >= minutes {
            break;
        }
        let due = tokio::time::Instant::now() + PACE;
        step(&scene, number).await;
        tokio::time::sleep_until(due).await;
    }
    let first = seen.iter().find(|(minute, _)| *minute >= FIRST).or(seen.first()).unwrap().1;
    let last = seen.last().unwrap().1;
    table.report("resident memory under mixed work, at first", vec![first.0], "MB");
    table.require(format!("the same after {minutes} minutes, in times that"), vec![last.0 / first.0], "", GROWTH_GOAL);
    table.require("by how many descriptors more", vec![(last.1 - first.1).max(0.0)], "", DESCRIPTORS_GOAL);
    scene.end().await;
}

fn median(samples: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = samples.collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}

async fn step(scene: &Scene, number: usize) {
    let (command, answer) = COMMANDS[number % COMMANDS.len()];
    let who = person(number % PEOPLE);
    if command.starts_with("/docker_deploy") {
        scene.world.fixtures[0].write("notes", &format!("round {number}\n"));
    }
    scene.world.api.say(who, who, command);
    let first = scene.world.next_in(who).await;
    if !answer.is_empty() && first.text.contains("yes") {
        scene.world.api.say(who, who, answer);
        // What follows is read with whatever else comes.
        while answer == "yes"
            && !["✅", "❌", "⚠️"].iter().any(|mark| scene.world.api.messages(who).last().is_some_and(|m| m.text.starts_with(mark)))
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    for number in 0..PEOPLE {
        scene.world.api.take_unread(person(number));
    }
}

fn large() -> Fixture {
    let idle = plain_service("echo begins; exec sleep 1000000", "network_mode: none");
    let names: Vec<String> = (1..=CONTAINERS).map(|number| format!("s{number:03}")).collect();
    let services: Vec<(&str, String)> = names.iter().map(|name| (name.as_str(), idle.clone())).collect();
    let fixture = Fixture::new(&services).with(json!({ "primary": "s001", "deploy": { "stability": "1s", "keep_releases": 5 } }));
    fixture.compose(&["up", "-d"]);
    fixture
}

/// A project that is configured and of which nothing runs.
fn small() -> Fixture {
    Fixture::new(&[("web", plain_service("exec sleep 1000000", ""))]).with(json!({ "workspace": null, "deploy": null }))
}
