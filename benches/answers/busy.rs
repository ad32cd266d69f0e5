//! The status of one project while ten others are deployed, beside the same with nothing else to do.

use std::cell::Cell;
use std::time::Duration;

use futures_util::future::{join, join_all};
use serde_json::json;

use crate::direct::{Connections, Direct};
use crate::scene::{PEOPLE, Scene, containers, percentile, person};
use crate::shared::table::Table;
use crate::support::Fixture;
use crate::support::fixture::healthy_service;
use crate::support::shop::{dockerfile_that, shop_of, web};

/// How many projects are deployed at the same time.
const DEPLOYS: usize = 10;
/// How many containers the project has whose status is asked for.
const CONTAINERS: usize = 10;
/// How often it is asked for while nothing else happens.
const IDLE: usize = 200;
/// How many answers are needed for one in a hundred to mean something.
const ENOUGH: usize = 100;
/// The time between two requests: messages about the deploys need their share of what Telegram allows.
const PACE: Duration = Duration::from_millis(100);
/// What building an image does: some seconds of work.
const BUILDS: &str = "head -c 100000000 /dev/zero | sha256sum";
/// The most that one answer in a hundred may take, in times the same without deploys.
const GOAL: f64 = 5.0;

/// A project to deploy, whose image is built again.
fn deployed(number: usize) -> Fixture {
    let services = [("web", web("")), ("postgres", healthy_service(""))];
    let fixture = shop_of(&services, json!({ "deploy": { "stability": "5s", "health_timeout": "120s" } }));
    fixture.write("Dockerfile", &dockerfile_that(&format!("{BUILDS}; : {number}")));
    fixture
}

/// Who deploys a project: none of those who ask for a status.
fn deployer(number: usize) -> i64 {
    person(PEOPLE - 1 - number)
}

/// Measures it. A round is long, so that there are fewer.
pub(crate) async fn measure(rounds: usize, table: &mut Table) {
    let rounds = rounds.div_ceil(3);
    eprintln!("busy: bringing up {DEPLOYS} projects");
    let fixtures = std::iter::once(containers(CONTAINERS)).chain((0..DEPLOYS).map(deployed)).collect();
    let (scene, direct) = (Scene::new(fixtures).await, Direct::start());
    let (mut ratios, mut idle, mut busy, mut engine) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for number in 1..=rounds {
        scene.settle().await;
        let (answers, _) = ask(&scene, &direct, |asked| asked < IDLE).await;
        let quiet = percentile(&answers, 99);
        let (answers, calls, took) = while_deploying(&scene, &direct, number).await;
        assert!(answers.len() >= ENOUGH, "only {} answers came while all deploys ran", answers.len());
        let (loaded, calls) = (percentile(&answers, 99), percentile(&calls, 99));
        eprintln!(
            "busy: round {number} of {rounds}: p99 idle {:.1} ms, busy {:.1} ms (median {:.1} ms of {}), the engine alone {:.1} ms; the last deploy took {took:.0} s",
            quiet * 1e3,
            loaded * 1e3,
            percentile(&answers, 50) * 1e3,
            answers.len(),
            calls * 1e3
        );
        ratios.push(loaded / quiet);
        idle.push(quiet * 1e3);
        busy.push(loaded * 1e3);
        engine.push(calls * 1e3);
    }
    table.require(format!("p99 of a status while {DEPLOYS} deploys run, in times the same without"), ratios, "", GOAL);
    table.report(format!("p99 of a status while {DEPLOYS} deploys run"), busy, "ms");
    table.report("p99 of a status while nothing runs", idle, "ms");
    table.report("p99 of the engine's own answers while they run", engine, "ms");
    scene.end().await;
}

/// Deploys all of them at once. How long a status took each time until the first of them ended, how long the engine alone
/// took in between, and how long the last deploy took.
async fn while_deploying(scene: &Scene, direct: &Direct, round: usize) -> (Vec<f64>, Vec<f64>, f64) {
    for number in 0..DEPLOYS {
        scene.world.fixtures[number + 1].write("page", &format!("page {round} of {number}\n"));
        scene.plan(deployer(number), &format!("/docker_deploy p{:02}", number + 1)).await;
    }
    scene.settle().await;
    let ended = Cell::new(0);
    let deploys = join_all((0..DEPLOYS).map(|number| {
        let ended = &ended;
        async move {
            let took = scene.confirm(deployer(number)).await;
            ended.set(ended.get() + 1);
            took
        }
    }));
    let asking = ask(scene, direct, |_| ended.get() == 0);
    let (took, (answers, calls)) = join(deploys, asking).await;
    (answers, calls, took.into_iter().fold(0.0, f64::max))
}

/// Asks for the status and asks the engine, in turn, as long as more is wanted; how long each took.
async fn ask(scene: &Scene, direct: &Direct, more: impl Fn(usize) -> bool) -> (Vec<f64>, Vec<f64>) {
    let (mut answers, mut calls) = (Vec::new(), Vec::new());
    while more(answers.len()) {
        let next = tokio::time::Instant::now() + PACE;
        answers.push(scene.status(person(answers.len() % (PEOPLE - DEPLOYS)), "/docker_status shop").await);
        calls.push(direct.ask(&scene.world.fixtures[0].name, 1, Connections::Kept).await.time);
        tokio::time::sleep_until(next).await;
    }
    (answers, calls)
}
