//! What the bot takes of the memory: idle, after some requests, after many.

use crate::scene::{PACE, Scene, containers};
use crate::shared::table::Table;
use crate::usage::resident;

/// How many containers the project has.
const CONTAINERS: usize = 10;
/// How often it is started for the first figure: how much the kernel maps around what is touched differs from start to start.
const STARTS: usize = 7;
/// The first look is after one in so many of all requests.
const ONE_IN: usize = 10;
/// The most that is resident, in MB: idle, and after the first look.
const IDLE_GOAL: f64 = 16.0;
const WORKED_GOAL: f64 = 20.0;
/// The most that may be resident after all requests, in times the first look: that it does not grow, give or take a tenth.
const GROWTH_GOAL: f64 = 1.1;

/// Measures it once.
pub(crate) async fn measure(requests: usize, table: &mut Table) {
    let seen = async |scene: &Scene, after: usize| {
        scene.settle().await;
        let resident = resident(scene.pid());
        eprintln!("memory: {resident:.1} MB after {after} requests");
        resident
    };
    let mut idle = Vec::new();
    for _ in 1..STARTS {
        let scene = Scene::new(vec![containers(CONTAINERS)]).await;
        idle.push(seen(&scene, 0).await);
        scene.end().await;
    }
    let scene = Scene::new(vec![containers(CONTAINERS)]).await;
    idle.push(seen(&scene, 0).await);
    let first = requests.div_ceil(ONE_IN);
    scene.statuses(first, PACE).await;
    let worked = seen(&scene, first).await;
    scene.statuses(requests - first, PACE).await;
    let long = seen(&scene, requests).await;
    table.require("resident memory, idle", idle, "MB", IDLE_GOAL);
    table.require(format!("resident memory after {first} requests"), vec![worked], "MB", WORKED_GOAL);
    table.require(format!("the same after {requests}, in times that"), vec![long / worked], "", GROWTH_GOAL);
    table.report(format!("resident memory after {requests} requests"), vec![long], "MB");
    scene.end().await;
}
