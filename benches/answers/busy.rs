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
const ENOUGH: usize = 150;
/// How often all projects are deployed for that, at most.
const WAVES_MAX: usize = 10;
/// The time between two requests: messages about the deploys need their share of what Telegram allows.
const PACE: Duration = Duration::from_millis(100);
/// What building an image does: some seconds of work.
const BUILDS: &str = "head -c 300000000 /dev/zero | sha256sum";
/// The most that one answer in a hundred may take, in times the same without deploys.
const GOAL: f64 = 5.0;

/// How long each answer took, in seconds.
#[derive(Default)]
struct Answers {
    status: Vec<f64>,
    /// The engine's own, to the same questions.
    engine: Vec<f64>,
    /// Those for which nobody else is asked: what the bot's inbox and outbox take.
    whoami: Vec<f64>,
}

/// A project to deploy, whose image is built again.
fn deployed(number: usize) -> Fixture {
    // Checked as seldom as people would have it: the tests' checks twice a second would be a load of their own.
    let seldom = |service: String| service.replace(" interval: 500ms", " interval: 30s");
    let services = [("web", seldom(web(""))), ("postgres", seldom(healthy_service("")))];
    let fixture = shop_of(&services, json!({ "deploy": { "health_timeout": "120s" } }));
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
    let (mut ratios, mut idle, mut busy, mut engine, mut whoami) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let late = |figures: &[f64]| percentile(figures, 99) * 1e3;
    for number in 1..=rounds {
        scene.settle().await;
        let mut quiet = Answers::default();
        ask(&scene, &direct, &mut quiet, |asked| asked < IDLE).await;
        let mut loaded = Answers::default();
        let mut wave = 0;
        while loaded.status.len() < ENOUGH {
            wave += 1;
            assert!(wave <= WAVES_MAX, "only {} answers came while all deploys ran", loaded.status.len());
            let took = while_deploying(&scene, &direct, &mut loaded, &format!("{number}.{wave}")).await;
            eprintln!("busy: {} answers so far; the last of {DEPLOYS} deploys took {took:.0} s", loaded.status.len());
        }
        eprintln!(
            "busy: round {number} of {rounds}: p99 idle {:.1} ms, busy {:.1} ms (median {:.1} ms), the engine {:.1} ms, without it {:.1} ms",
            late(&quiet.status),
            late(&loaded.status),
            percentile(&loaded.status, 50) * 1e3,
            late(&loaded.engine),
            late(&loaded.whoami)
        );
        ratios.push(late(&loaded.status) / late(&quiet.status));
        idle.push(late(&quiet.status));
        busy.push(late(&loaded.status));
        engine.push(late(&loaded.engine));
        whoami.push(late(&loaded.whoami));
    }
    table.require(format!("p99 of a status while {DEPLOYS} deploys run, in times the same without"), ratios, "", GOAL);
    table.report(format!("p99 of a status while {DEPLOYS} deploys run"), busy, "ms");
    table.report("p99 of a status while nothing runs", idle, "ms");
    table.report("p99 of the engine's own answers while they run", engine, "ms");
    table.report("p99 of an answer that asks nobody, while they run", whoami, "ms");
    scene.end().await;
}

/// Deploys all of them at once, and asks until the first of them ends; how long the last of them took, in seconds.
async fn while_deploying(scene: &Scene, direct: &Direct, answers: &mut Answers, generation: &str) -> f64 {
    for number in 0..DEPLOYS {
        let fixture = &scene.world.fixtures[number + 1];
        // Of no page of an earlier run either, for which the engine has an image.
        fixture.write("page", &format!("page {generation} of {}\n", fixture.name));
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
    let (took, ()) = join(deploys, ask(scene, direct, answers, |_| ended.get() == 0)).await;
    took.into_iter().fold(0.0, f64::max)
}

/// Asks in turn for the status, the engine, and for what nobody else is asked for, as long as more is wanted.
async fn ask(scene: &Scene, direct: &Direct, answers: &mut Answers, more: impl Fn(usize) -> bool) {
    while more(answers.status.len()) {
        let next = tokio::time::Instant::now() + PACE;
        let asking = person(answers.status.len() % (PEOPLE - DEPLOYS));
        answers.status.push(scene.status(asking, "/docker_status shop").await);
        answers.engine.push(direct.ask(&scene.world.fixtures[0].name, 1, Connections::Kept).await.time);
        answers.whoami.push(scene.whoami(asking).await);
        tokio::time::sleep_until(next).await;
    }
}
