//! What is measured of services, by the engine's own word.

use serde_json::{Value, json};

use crate::support::fixture::{engine_get, healthy_service, plain_service, service, sh};
use crate::support::{Fixture, World, eventually};

/// It takes a second and more until it is well, each time.
const SLOW: &str = "rm -f /tmp/well; sleep 1; touch /tmp/well; while true; do sleep 1; done";

/// What dockmaster answers on its control socket.
fn got(world: &World, path: &str) -> String {
    let socket = world.data.join("control.sock");
    sh("curl", &["-sS", "--unix-socket", socket.to_str().unwrap(), &format!("http://dockmaster{path}")])
}

/// What is told of one service.
fn of(world: &World, service: &str) -> Value {
    let status: Value = serde_json::from_str(&got(world, "/projects/shop/status")).unwrap();
    let found = status["services"].as_array().into_iter().flatten().find(|s| s["service"] == service);
    found.unwrap_or_else(|| panic!("no {service}: {status:#}")).clone()
}

fn millis(text: &Value) -> i64 {
    text.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

/// When a container was started last, and how long it took until a check of that start was good: as the engine has it.
fn started(id: &str) -> (i64, i64) {
    let state = engine_get(&format!("/containers/{id}/json"))["State"].clone();
    let at = millis(&state["StartedAt"]);
    let checks = state["Health"]["Log"].as_array().cloned().unwrap_or_default();
    let good = checks.iter().find(|check| check["ExitCode"] == 0 && millis(&check["End"]) >= at);
    (at, millis(&good.unwrap_or_else(|| panic!("never well: {state:#}"))["End"]) - at)
}

/// Waits until a start that came up is told, and is the one that the engine has.
async fn came_up(world: &World, id: &str) -> Value {
    let mut told = Value::Null;
    eventually("the start-up is measured", async || {
        told = of(world, "web");
        let at = told.pointer("/measures/startup/at").and_then(Value::as_i64);
        at.is_some_and(|at| Some(at) == told["since"].as_i64())
            && at == Some(millis(&engine_get(&format!("/containers/{id}/json"))["State"]["StartedAt"]))
    })
    .await;
    told
}

async fn running(services: &[(&str, String)]) -> World {
    let fixture = Fixture::up(services);
    let world = World::start(fixture).await;
    eventually("it serves", async || world.data.join("control.sock").exists()).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn how_long_a_service_takes_to_come_up_is_measured_whoever_starts_it() {
    // Checked so seldom that the engine still has the first check when it is asked.
    let web = service(SLOW, "").replace("interval: 500ms", "interval: 20s");
    let mut world = running(&[("web", web), ("plain", plain_service("sleep 1000", ""))]).await;
    let id = world.fixtures[0].container("web").0;

    // By hand: nobody asks for it, and it is in the status all the same.
    let before = of(&world, "web")["measures"]["restarts"].as_i64().unwrap();
    sh("docker", &["restart", "-t", "1", &id]);
    eventually("it is kept", async || {
        let count = "SELECT COUNT(*) FROM start_ups WHERE at = ?1 AND operation IS NULL";
        let at = millis(&engine_get(&format!("/containers/{id}/json"))["State"]["StartedAt"]);
        world.kept().query_row(count, [at], |row| row.get::<_, i64>(0)).unwrap() == 1
    })
    .await;
    let told = came_up(&world, &id).await;
    let (at, took) = started(&id);
    assert_eq!(told["measures"]["startup"], json!({ "at": at, "took": took, "operation": null }));
    assert!(took >= 1_000, "{took}");
    assert_eq!(told["measures"]["restarts"], json!(before + 1));
    assert!(told["measures"]["uptime"].as_i64().unwrap() >= took, "{told:#}");
    let checks = &told["measures"]["checks"];
    assert!(checks["count"].as_i64().unwrap() >= 1 && checks["last"]["good"] == json!(true), "{told:#}");

    // By an operation.
    world.ask("/docker_restart shop/web").await;
    let outcome = world.confirm().await.text;
    assert!(outcome.starts_with('✅'), "{outcome}");
    let told = came_up(&world, &id).await;
    let (at, took) = started(&id);
    assert_eq!(told["measures"]["startup"], json!({ "at": at, "took": took, "operation": 1 }));
    let status = world.ask("/docker_status").await.text;
    assert!(status.contains("\ncame up in ") && status.contains(", checked "), "{status}");
    let plain = of(&world, "plain");
    assert_eq!((&plain["measures"]["startup"], &plain["measures"]["checks"]), (&Value::Null, &Value::Null), "it has no health check");

    // The next dockmaster knows it all.
    let known = of(&world, "web")["measures"].clone();
    world.stop().await.unwrap();
    sh("docker", &["restart", "-t", "1", &id]);
    world.boot();
    eventually("it serves", async || world.data.join("control.sock").exists()).await;
    let told = of(&world, "web")["measures"].clone();
    assert_eq!(told["since"], known["since"]);
    assert_eq!(told["restarts"].as_i64(), known["restarts"].as_i64().map(|n| n + 1), "what happened meanwhile counts");
    assert!(told["checks"]["count"].as_i64() >= known["checks"]["count"].as_i64(), "{told:#}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dies_and_is_started_again_is_counted_also_where_it_is_made_anew() {
    let world = running(&[("web", healthy_service(""))]).await;
    let shop = &world.fixtures[0];
    let looping = plain_service("sleep 0.3; exit 3", "restart: always");
    shop.write_production("docker-compose.yml", &crate::support::fixture::compose_file(&[("web", healthy_service("")), ("loop", looping)]));
    shop.compose(&["up", "-d", "--no-recreate"]);
    let id = shop.container("loop").0;
    eventually("it was restarted", async || engine_get(&format!("/containers/{id}/json"))["RestartCount"].as_i64() >= Some(4)).await;
    // Nobody asks, so that all of it is counted by what the engine tells.
    eventually("its restarts are kept", async || {
        let kept = world.kept().query_row("SELECT restarts FROM measures WHERE service = 'loop'", [], |row| row.get::<_, i64>(0));
        kept.is_ok_and(|restarts| restarts >= 2)
    })
    .await;
    let restarts = || of(&world, "loop")["measures"]["restarts"].as_i64().unwrap();
    let counted = restarts();
    let engine = engine_get(&format!("/containers/{id}/json"))["RestartCount"].as_i64().unwrap();
    // The start that it waits for is no restart yet.
    assert!((engine - 3..=engine).contains(&counted) && counted >= 2, "{counted} of {engine}");
    shop.compose(&["up", "-d", "--force-recreate", "--no-deps", "loop"]);
    assert_ne!(shop.container("loop").0, id);
    eventually("it is counted on", async || restarts() > counted).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_there_for_prometheus() {
    let gone = json!({ "compose": null, "workspace": null, "production": null, "deploy": null, "containers": ["dmt-gone"] });
    let shop = Fixture::up(&[("web", healthy_service(""))]);
    let world = World::start_with(vec![shop, Fixture::new(&[]).with(gone)], json!({})).await;
    eventually("it serves", async || world.data.join("control.sock").exists()).await;
    let container = format!("{}-web-1", world.fixtures[0].name);
    let sample = |name: &str, value: &str| {
        format!("\ndockmaster_service_{name}{{project=\"shop\",service=\"web\",container=\"{container}\"}} {value}")
    };
    let text = got(&world, "/metrics");
    for line in [sample("up", "1\n"), sample("uptime_seconds", ""), sample("restarts_total", "0\n"), sample("last_check_good", "1\n")] {
        assert!(text.contains(&line), "{line}\n{text}");
    }
    assert!(text.contains("\ndockmaster_service_up{project=\"edge\",service=\"dmt-gone\",container=\"\"} 0\n"), "{text}");
    let value = |name: &str| -> f64 {
        let text = got(&world, "/metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(sample(name, "").trim_start()));
        line.unwrap_or_else(|| panic!("no {name}: {text}")).parse().unwrap()
    };
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    assert!((now - value("last_check_timestamp_seconds")).abs() < 60.0);
    assert!((0.0..10.0).contains(&value("health_check_duration_seconds")));
    // What stops is seen at once.
    world.fixtures[0].compose(&["stop", "-t", "1"]);
    let text = got(&world, "/metrics");
    assert!(text.contains(&sample("up", "0\n")) && !text.contains("uptime_seconds{"), "{text}");
    let socket = world.data.join("control.sock");
    let head = sh("curl", &["-sSi", "--unix-socket", socket.to_str().unwrap(), "http://dockmaster/metrics"]);
    assert!(head.to_lowercase().contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{head}");
    world.finish().await;
}
