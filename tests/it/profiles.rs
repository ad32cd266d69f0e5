//! Services behind profiles: left alone where those are not active, and as any other where they are, or where the service is named.

use serde_json::json;

use crate::counts::{SERVES, ids, quick, there, untold};
use crate::lifecycle::{carry_out, good, told};
use crate::support::fixture::{compose_file, plain_service};
use crate::support::{Fixture, World, eventually};

fn compose(version: u8, moved: &str) -> String {
    let serves = |more: &str| plain_service(SERVES, &format!("environment: {{ V: \"{version}\" }}{more}"));
    compose_file(&[
        ("web", serves("")),
        ("side", plain_service(SERVES, moved)),
        ("debug", serves(", profiles: [debug]")),
        ("cache", plain_service(SERVES, "profiles: [extra]")),
        ("trace", plain_service(SERVES, "profiles: [extra], depends_on: [web]")),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn service_behind_inactive_profile_is_left_alone() {
    // What projects.json names may be behind a profile.
    let fixture = Fixture::new(&[]).with(json!({ "deploy": quick(), "stateful": ["cache"], "primary": "trace" }));
    for root in [&fixture.workspace, &fixture.production] {
        std::fs::write(root.join("docker-compose.yml"), compose(1, "")).unwrap();
    }
    fixture.compose(&["--profile", "debug", "up", "-d"]);
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    let running = |service: &str| there(shop).iter().any(|(name, state, _)| name == service && state == "running");
    let debug = ids(shop, "debug");
    const LEFT: &str = "debug is behind a profile that is not active: left as it is.";

    // The first status waits for Compose only for so long.
    eventually("what the files say is known", async || world.ask("/docker_status").await.text.contains("all 2 up")).await;
    told(&world.ask("/docker_status").await.text, &["all 2 up, 1 behind a profile that is not active", "▫️ debug\nup"]);
    shop.write("docker-compose.yml", &compose(2, ""));
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["web: recreate (configuration changed)", LEFT]);
    untold(&plan.text, &["No longer", "trace", "cache"]);
    assert!(ids(shop, "debug") == debug && running("debug"), "{}", outcome.text);
    let again = world.ask("/docker_deploy").await.text;
    told(&again, &["Nothing to deploy", LEFT]);
    told(&world.ask("/docker_deploy shop with=debug").await.text, &["debug is behind a profile that is not active."]);

    // By its name it is started, stopped and restarted, with the project it is not.
    good(&carry_out(&world, "/docker_restart shop/debug").await.1);
    good(&carry_out(&world, "/docker_stop shop/debug").await.1);
    let (plan, outcome) = carry_out(&world, "/docker_restart").await;
    good(&outcome);
    told(&plan.text, &["debug stays: behind a profile that is not active; name it to include it"]);
    let started = world.ask("/docker_start").await.text;
    told(&started, &["Nothing to start", "debug stays: behind a profile that is not active; name it to include it"]);
    assert!(!running("debug"));
    good(&carry_out(&world, "/docker_start shop/debug").await.1);
    assert!(running("debug") && ids(shop, "debug") == debug);
    told(&world.ask("/docker_tidy").await.text, &["nothing is left over"]);
    assert!(world.ask("/docker_stop").await.text.contains("debug stays: behind a profile that is not active"));

    // One that has no container is made where it is named, as Compose does.
    let (plan, outcome) = carry_out(&world, "/docker_start shop/trace").await;
    good(&outcome);
    told(&plan.text, &["Create: trace"]);
    assert!(running("trace") && !running("cache"));

    // The profile of production's `.env` counts; and once it is gone there, that does.
    shop.write_production(".env", "COMPOSE_PROFILES=debug\n");
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["debug: recreate (configuration changed)", "trace is behind a profile that is not active"]);
    let active = ids(shop, "debug");
    assert!(active != debug && running("debug"));
    told(&world.ask("/docker_status").await.text, &["all 3 up, 1 behind"]);
    good(&carry_out(&world, "/docker_stop").await.1);
    assert!(!running("debug"));
    good(&carry_out(&world, "/docker_start").await.1);
    assert!(running("debug"));
    shop.write_production(".env", "");
    shop.write("docker-compose.yml", &compose(2, "profiles: [extra]"));
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["debug, side, trace are behind profiles that are not active: left as they are."]);
    assert!(running("side") && running("debug") && ids(shop, "debug") == active, "{}", outcome.text);
    told(&world.ask("/docker_status").await.text, &["1 of 1 up, 3 behind"]);
    world.finish().await;
}
