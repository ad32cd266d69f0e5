//! How containers stand that an engine cannot start, or has left down, or whose log it cannot read: as the engine itself tells it.

use std::io::{Seek, SeekFrom, Write};

use dockmaster::console::Client;
use serde_json::{Value, json};

use crate::support::engine::PrivateEngine;
use crate::support::fixture::{command, engine_get, healthy_service, plain_service, sh};
use crate::support::made::{SERVES, checked};
use crate::support::{ADMIN, Fixture, World, eventually};

/// The state of one service's container, as the engine has it.
fn state(fixture: &Fixture, service: &str) -> Value {
    engine_get(&format!("/containers/{}/json", fixture.container(service).0))["State"].clone()
}

/// What a program is told of a service.
async fn reported(world: &World, project: &str, service: &str) -> Value {
    let status: Value = Client::of(&world.data).unwrap().get(&format!("/projects/{project}/status")).await.unwrap();
    let all = status["services"].as_array().unwrap();
    all.iter().find(|one| one["service"] == service).unwrap_or_else(|| panic!("no {service}: {status:#}")).clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn service_that_cannot_be_started_is_red_with_the_reason() {
    let fixture = Fixture::up(&[("web", healthy_service(""))]);
    let broken = format!("{{ image: {}, entrypoint: [\"/no/such/program\"] }}", crate::support::fixture::image());
    let files = crate::support::fixture::compose_file(&[("web", healthy_service("")), ("broken", broken)]);
    fixture.write_production("docker-compose.yml", &files);
    fixture.write("docker-compose.yml", &files);
    fixture.compose(&["create"]);
    let started = command("docker").args(["start", &fixture.container("broken").0]).output().unwrap();
    assert!(!started.status.success());
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    let seen = state(shop, "broken");
    let why = seen["Error"].as_str().unwrap();
    assert!(why.contains("no such file or directory"), "{seen}");

    let status = world.ask("/docker_status").await.text;
    assert!(status.contains("1 of 2 up") && status.contains("🔴 broken\ncould not be started: "), "{status}");
    assert!(status.contains("no such file or directory"), "{status}");
    let told = reported(&world, "shop", "broken").await;
    assert_eq!((&told["condition"], &told["error"]), (&json!("failed"), &json!(why)));
    world.ask("/docker_start shop/broken").await;
    let outcome = world.confirm().await.text;
    assert!(outcome.starts_with('❌') && outcome.contains("no such file or directory"), "{outcome}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ran_before_an_engine_was_killed_is_said_and_what_dockmaster_made_runs_again() {
    let engine = PrivateEngine::start("states");
    let serves = "trap 'exit 0' TERM; while true; do sleep 0.1; done";
    let services = [
        ("web", plain_service(serves, "restart: unless-stopped")),
        ("always", plain_service(serves, "restart: always")),
        ("halted", plain_service(serves, "restart: unless-stopped")),
    ];
    let fixtures = vec![Fixture::up(&services), Fixture::of_services(json!({ "api": checked(SERVES, json!({})) }))];
    let made = fixtures[1].name.clone();
    let world = World::start_with(fixtures, json!({})).await;
    world.ask(&format!("/docker_start {made}")).await;
    assert!(world.confirm().await.text.starts_with('✅'));
    world.ask("/docker_stop shop/halted").await;
    assert!(world.confirm().await.text.starts_with('✅'));
    engine.kill();
    engine.again();
    let shop = &world.fixtures[0];
    assert_eq!(state(shop, "web")["Status"], "exited", "the engine leaves it down");

    let mut status = None;
    eventually("it is said", async || {
        let seen = world.ask("/docker_status shop").await;
        let is_said = seen.text.contains("was running before the engine restarted");
        status = Some(seen);
        is_said
    })
    .await;
    let status = status.unwrap();
    assert_eq!(status.text.matches("was running before the engine restarted").count(), 1, "{}", status.text);
    assert!(status.text.contains("🔴 web\nwas running") && status.text.contains("▫️ halted\nstopped by Ann"), "{}", status.text);
    assert_eq!(reported(&world, "shop", "web").await["down_since_engine"], json!(true));
    eventually("what dockmaster made runs again", async || world.fixtures[1].seen("api")["State"]["Running"] == json!(true)).await;

    world.api.press(ADMIN, ADMIN, status.id, "Start web").unwrap();
    let plan = world.next().await.text;
    assert!(plan.contains("Start: web\n"), "{plan}");
    let outcome = world.confirm().await.text;
    assert!(outcome.starts_with('✅') && state(shop, "web")["Running"] == json!(true), "{outcome}");
    let status = world.ask("/docker_status shop").await;
    assert!(!status.text.contains("before the engine") && !status.button_texts().concat().contains(&"Start web"), "{}", status.text);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn container_of_swarm_is_left_to_swarm() {
    let name = format!("dmt-{}-task", std::process::id());
    let labels = ["--label", "com.docker.swarm.task.id=k3vvpy", "--label", "com.docker.swarm.service.name=stack_web"];
    let image = crate::support::fixture::image();
    sh("docker", &[&["run", "-d", "--name", &name], &labels[..], &[image, "sh", "-c", SERVES]].concat());
    let none = json!({ "compose": null, "workspace": null, "production": null, "deploy": null });
    let world = World::start(Fixture::new(&[]).with(none).with(json!({ "containers": [name] }))).await;
    let began = || engine_get(&format!("/containers/{name}/json"))["State"]["StartedAt"].clone();
    let before = began();
    for command in ["/docker_restart", "/docker_stop"] {
        let refused = world.ask(command).await;
        assert!(refused.button_texts().is_empty(), "{}", refused.text);
        assert!(
            refused.text.contains("Swarm service stack_web") && refused.text.contains("docker service update --force"),
            "{}",
            refused.text
        );
    }
    assert_eq!(began(), before);
    world.finish().await;
    sh("docker", &["rm", "-f", &name]);
}

#[tokio::test(flavor = "multi_thread")]
async fn log_that_is_damaged_is_read_behind_the_damage_and_it_is_said() {
    let fixture = Fixture::up(&[(
        "web",
        plain_service(
            "for n in $$(seq 1 152); do echo line $$n; done; sleep 2; for n in $$(seq 153 200); do echo line $$n; done; while true; do sleep 1; done",
            "",
        ),
    )]);
    let id = fixture.container("web").0;
    eventually("all is written", async || fixture.compose(&["logs", "--no-log-prefix", "web"]).contains("line 200")).await;
    let file = engine_get(&format!("/containers/{id}/json"))["LogPath"].as_str().unwrap().to_owned();
    // As a power cut leaves it: one entry is nothing but zeros.
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_at(text.match_indices('\n').nth(149).unwrap().0 + 1);
    let mut damaged = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
    damaged.seek(SeekFrom::Start(before.len() as u64)).unwrap();
    damaged.write_all(&vec![0; rest.find('\n').unwrap() + 1]).unwrap();
    drop(damaged);
    let world = World::start(fixture).await;
    // Engine 20.10 reads over such a place.
    let stops = !engine_get("/version")["Version"].as_str().unwrap().starts_with("20.");
    for lines in [100, 51, 50, 49] {
        let told = world.ask(&format!("/docker_logs shop {lines}")).await.text;
        assert!(told.contains("line 200") && told.contains("line 160"), "{told}");
        assert_eq!(told.contains("The engine cannot read older lines: "), stops, "{told}");
    }
    let whole = world.ask("/docker_logs shop 20").await.text;
    assert!(whole.contains("line 200") && !whole.contains("cannot read"), "{whole}");
    world.finish().await;
}
