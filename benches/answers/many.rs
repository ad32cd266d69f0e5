//! Many at once: an overview of 200 projects, and a restart of 300 containers beside a bare client that sends the same requests.

use std::time::Instant;

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::scene::{Scene, containers, person};
use crate::shared::table::Table;
use crate::support::fixture::{command, engine_get, image};
use crate::support::{Fixture, engine};

const PROJECTS: usize = 200;
/// The most that an overview of them may take from the question to the first message of the answer, in seconds.
const OVERVIEW_GOAL: f64 = 1.0;
const CONTAINERS: usize = 300;
/// How many requests the bare client has under way at a time: the fastest counts.
const ABREAST: [usize; 3] = [4, 8, 16];
/// The most that a restart may take, in times what the bare client takes.
const RESTART_GOAL: f64 = 1.2;
/// How many containers are made at a time.
const MADE_AT_ONCE: usize = 8;

/// Measures how long an overview of many projects takes.
pub(crate) async fn overview(rounds: usize, table: &mut Table) {
    let fixtures: Vec<Fixture> = (0..PROJECTS).map(|_| Fixture::new(&[]).with(json!({ "workspace": null, "deploy": null }))).collect();
    let made = Made::of(fixtures.iter().map(|f| f.name.clone()).collect()).await;
    let scene = Scene::new(fixtures).await;
    let mut figures = Vec::new();
    for number in 0..rounds {
        let (who, asked) = (person(number), Instant::now());
        scene.world.api.say(who, who, "/docker_status all");
        let first = scene.world.next_in(who).await;
        figures.push(asked.elapsed().as_secs_f64());
        let late = first.text.matches("Late").count();
        eprintln!("overview: round {} of {rounds}: {:.2} s, {late} late", number + 1, figures[number]);
        assert_eq!(late, 0, "all answer in time");
        scene.settle().await;
        scene.world.api.take_unread(who);
    }
    table.require(format!("an overview of {PROJECTS} projects"), figures, "s", OVERVIEW_GOAL);
    scene.end().await;
    drop(made);
}

/// Measures how long a restart of many containers takes.
pub(crate) async fn restart(rounds: usize, table: &mut Table) {
    let fixture = containers(CONTAINERS).with(json!({ "deploy": { "stability": "1s" } }));
    let name = fixture.name.clone();
    let scene = Scene::new(vec![fixture]).await;
    let (mut ours, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..rounds {
        let mut fastest = f64::INFINITY;
        for abreast in ABREAST {
            let took = restart_bare(&name, abreast).await;
            eprintln!("restart of {CONTAINERS}: a bare client, {abreast} at a time: {took:.1} s");
            fastest = fastest.min(took);
        }
        scene.plan(person(number), "/docker_restart shop immediate").await;
        let took = scene.confirm(person(number)).await;
        eprintln!("restart of {CONTAINERS}, round {} of {rounds}: {took:.1} s", number + 1);
        ours.push(took);
        bare.push(fastest);
        ratios.push(took / fastest);
    }
    table.report(format!("a restart of {CONTAINERS} containers by a bare client"), bare, "s");
    table.report("the same by dockmaster, verified", ours, "s");
    table.require("the same, in times the bare client", ratios, "", RESTART_GOAL);
    scene.end().await;
}

fn client() -> (reqwest::Client, &'static str) {
    let host = engine::host().unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
    let socket = host.strip_prefix("unix://").expect("the engine is on a socket").to_owned();
    (reqwest::Client::builder().unix_socket(socket.as_str()).build().unwrap(), "http://engine")
}

async fn restart_bare(project: &str, abreast: usize) -> f64 {
    let filter = format!("%7B%22label%22%3A%5B%22com.docker.compose.project%3D{project}%22%5D%7D");
    let all = engine_get(&format!("/containers/json?filters={filter}"));
    let ids: Vec<String> = all.as_array().unwrap().iter().map(|c| c["Id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), CONTAINERS);
    let (client, base) = client();
    let began = Instant::now();
    let restart = |id: String| {
        let request = client.post(format!("{base}/containers/{id}/restart"));
        async move { assert!(request.send().await.unwrap().status().is_success()) }
    };
    stream::iter(ids.into_iter().map(restart)).buffer_unordered(abreast).collect::<()>().await;
    began.elapsed().as_secs_f64()
}

/// A container for each of many compose projects, which go when this is dropped.
struct Made(Vec<String>);

impl Made {
    async fn of(projects: Vec<String>) -> Self {
        eprintln!("overview: making {} containers", projects.len());
        let (client, base) = client();
        let one = |project: String| {
            let label = |name: &str| format!("com.docker.compose.{name}");
            let body: Value = json!({
                "Image": image(), "Cmd": ["sleep", "1000000"], "HostConfig": { "NetworkMode": "none" }, "StopTimeout": 0,
                "Labels": { label("project"): project, label("service"): "web", label("config-hash"): "0a1b", label("container-number"): "1" },
            });
            let create = client.post(format!("{base}/containers/create?name={project}-web-1")).json(&body);
            let client = client.clone();
            async move {
                let made: Value = create.send().await.unwrap().json().await.unwrap();
                let id = made["Id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
                assert!(client.post(format!("{base}/containers/{id}/start")).send().await.unwrap().status().is_success());
                id
            }
        };
        Self(stream::iter(projects.into_iter().map(one)).buffer_unordered(MADE_AT_ONCE).collect().await)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for ids in self.0.chunks(50) {
            let _ = command("docker").arg("rm").arg("-f").args(ids).output();
        }
    }
}
