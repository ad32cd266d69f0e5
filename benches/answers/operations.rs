//! A deploy like the sample's, with one image to be built again, and a restart of three services: from `yes` to the outcome.

use serde_json::json;

use crate::scene::{Scene, person};
use crate::shared::table::Table;
use crate::support::fixture::healthy_service;
use crate::support::shop::{shop_of, web};

/// The most that the deploy may take, in seconds.
const DEPLOY_GOAL: f64 = 60.0;
/// The same of the restart.
const RESTART_GOAL: f64 = 30.0;

/// How many services the restart is to restart.
const RESTARTED: usize = 3;

/// Measures it.
pub(crate) async fn measure(rounds: usize, table: &mut Table) {
    // As the sample: a web service that is built from its files and a store, which a restart leaves alone; and two more.
    let services = ["postgres", "mailer", "worker"].map(|name| (name, healthy_service("")));
    let services = [&[("web", web(""))], &services[..]].concat();
    let scene = Scene::new(vec![shop_of(&services, json!({}))]).await;
    let (mut deploys, mut restarts) = (Vec::new(), Vec::new());
    for number in 1..=rounds {
        let fixture = &scene.world.fixtures[0];
        // Of no page of an earlier run either, for which the engine has an image.
        fixture.write("page", &format!("page {number} of {}\n", fixture.name));
        scene.plan(person(number), "/docker_deploy shop").await;
        deploys.push(scene.confirm(person(number)).await);
        let before = fixture.containers();
        scene.plan(person(number), "/docker_restart shop").await;
        restarts.push(scene.confirm(person(number)).await);
        let after = fixture.containers();
        let restarted = before.iter().zip(&after).filter(|(before, after)| before.2 < after.2).count();
        assert_eq!(restarted, RESTARTED);
        eprintln!("operations: round {number} of {rounds}: deploy {:.1} s, restart {:.1} s", deploys[number - 1], restarts[number - 1]);
    }
    scene.settle().await;
    table.require("a deploy with one image to build: from yes to the outcome", deploys, "s", DEPLOY_GOAL);
    table.require("a restart of three services, verified: from yes to the outcome", restarts, "s", RESTART_GOAL);
    scene.end().await;
}
