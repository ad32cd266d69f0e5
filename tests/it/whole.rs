//! A whole project, started and stopped by one call of Compose: what it leaves alone, and what is done where it cannot be.

use serde_json::json;

use crate::lifecycle::{carry_out, good};
use crate::support::fixture::{compose_file, engine_get, healthy_service, plain_service};
use crate::support::{Fixture, World};

const SERVES: &str = "while true; do sleep 1; done";

fn tells(text: &str, all: &[&str]) {
    for told in all {
        assert!(text.contains(told), "{told:?} is not told: {text}");
    }
}

/// What a container is doing.
fn state(shop: &Fixture, service: &str) -> String {
    engine_get(&format!("/containers/{}/json", shop.container(service).0))["State"]["Status"].as_str().unwrap().to_owned()
}

fn services() -> Vec<(&'static str, String)> {
    vec![
        ("web", healthy_service("depends_on: { api: { condition: service_healthy } }")),
        ("api", healthy_service("depends_on: { postgres: { condition: service_started } }")),
        ("postgres", healthy_service("")),
        ("keeper", plain_service(SERVES, "depends_on: [vault]")),
        ("vault", plain_service(SERVES, "")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_makes_is_what_compose_would_make_and_what_runs_is_left_alone() {
    let shop = Fixture::new(&services()).with(json!({ "stateful": ["postgres", "vault"] }));
    let world = World::start(shop).await;
    let shop = &world.fixtures[0];
    let (plan, outcome) = carry_out(&world, "/docker_start").await;
    good(&outcome);
    tells(&plan.text, &["Create: api, keeper, postgres, vault, web", "1. Bring up postgres, vault, api, keeper and 1 more\n2. Verify"]);
    tells(&outcome.text, &["🟢 web: healthy after", "🟢 vault: running for"]);
    let made = shop.containers();
    shop.compose(&["up", "-d", "--wait"]);
    assert_eq!(shop.containers(), made, "Compose finds nothing to do about it");

    // What runs is left alone, though it is not what the files say any more; what is missing is made.
    let changed = |(name, definition): (&'static str, String)| {
        (name, definition.replacen("init: true", "init: true, environment: { NEW: \"1\" }", 1))
    };
    shop.write_production("docker-compose.yml", &compose_file(&services().into_iter().map(changed).collect::<Vec<_>>()));
    shop.compose(&["stop", "web"]);
    shop.compose(&["rm", "-fs", "keeper"]);
    let (plan, outcome) = carry_out(&world, "/docker_start").await;
    good(&outcome);
    tells(&plan.text, &["Create: keeper", "Start: web", "1. Bring up keeper, web\n2. Verify keeper, web"]);
    let now = shop.containers();
    for (service, id, started) in &made {
        let found = now.iter().find(|c| c.0 == *service).unwrap();
        match service.as_str() {
            "keeper" => assert_ne!(found.1, *id),
            "web" => assert!(found.1 == *id && found.2 != *started, "started, not made anew"),
            _ => assert_eq!((&found.1, &found.2), (id, started), "{service} is left alone"),
        }
    }
    // A stop takes the rest, in the order of the files.
    let (plan, outcome) = carry_out(&world, "/docker_stop").await;
    good(&outcome);
    tells(&plan.text, &["Stop: api, keeper, web", "vault stays: keeps data"]);
    assert_eq!(["web", "api", "keeper", "postgres", "vault"].map(|s| state(shop, s)), ["exited", "exited", "exited", "running", "running"]);
    // What nobody named and is down is not started with it, nor what Compose would start for it.
    shop.compose(&["stop", "postgres", "vault"]);
    let (_, outcome) = carry_out(&world, "/docker_start shop force").await;
    good(&outcome);
    assert_eq!(
        ["web", "api", "keeper", "postgres", "vault"].map(|s| state(shop, s)),
        ["running", "running", "running", "exited", "exited"]
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_compose_cannot_do_it_the_engine_does_with_the_same_outcome() {
    let of = || vec![("web", healthy_service("depends_on: [api]")), ("api", healthy_service("")), ("old", plain_service(SERVES, ""))];
    let shop = Fixture::up(&of());
    let world = World::start(shop).await;
    let shop = &world.fixtures[0];
    shop.compose(&["up", "-d", "--scale", "web=2", "--no-recreate"]);
    let all = || shop.containers().len();
    let round = async |services: &str, stops: &str, starts: &str, warns: &str| {
        let (plan, outcome) = carry_out(&world, "/docker_stop").await;
        good(&outcome);
        tells(&plan.text, &[&format!("Stop: {services}"), stops]);
        let (plan, outcome) = carry_out(&world, "/docker_start").await;
        good(&outcome);
        tells(&plan.text, &[&format!("Start: {services}"), starts, warns]);
        tells(&outcome.text, &[&format!("🟢 {}-web-2: healthy after", shop.name)]);
    };
    // One more than is declared, which Compose would take away.
    let by_engine = "1. Start api, old\n2. Start web\n3. Verify api, old, web";
    round("api, old, web", "Stop: api, old, web", by_engine, "").await;
    // A service that the files do not know any more stays as it is, with Compose as with the engine.
    let without = "1. Start api\n2. Start web\n3. Verify api, web";
    shop.write_production("docker-compose.yml", &compose_file(&of()[..2]));
    round("api, web", "old stays: no longer in the compose file; name it to include it", without, "").await;
    // Files that cannot be read, and none.
    shop.write_production("docker-compose.yml", "services: [");
    round("api, web", "1. Stop web\n2. Stop api", without, "Only what has a container takes part.").await;
    std::fs::remove_file(shop.production.join("docker-compose.yml")).unwrap();
    let containers = || {
        engine_get(&format!("/containers/json?all=1&filters=%7B%22label%22%3A%5B%22com.docker.compose.project%3D{}%22%5D%7D", shop.name))
    };
    round("api, old, web", "1. Stop web\n2. Stop api, old", by_engine, "").await;
    assert_eq!(containers().as_array().unwrap().len(), 4);
    shop.write_production("docker-compose.yml", &compose_file(&of()));
    assert_eq!(all(), 4, "none was taken away");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_come_up_is_told_with_its_name_and_its_log() {
    let sick =
        "if test -e /ran; then rm -f /tmp/well; echo cannot find the database; else touch /ran /tmp/well; fi; while true; do sleep 1; done";
    let services = [
        ("web", healthy_service("depends_on: { api: { condition: service_healthy } }")),
        ("api", crate::support::fixture::service(sick, "")),
        ("other", healthy_service("")),
    ];
    let world = World::start(Fixture::up(&services)).await;
    good(&carry_out(&world, "/docker_stop").await.1);
    let (_, outcome) = carry_out(&world, "/docker_start").await;
    tells(&outcome.text, &["❌ Start of shop failed", "api did not come up.", "cannot find the database", "/docker_logs shop/api"]);
    tells(&outcome.text, &["🟢 other: started", "🔴 web: did not come up", "🔴 api: did not come up"]);
    world.finish().await;
}
