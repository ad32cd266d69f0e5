//! Services that were deleted from the compose file, and what their containers are told of as long as they are there.

use serde_json::json;

use crate::counts::{SERVES, ids, quick, there, untold};
use crate::lifecycle::{carry_out, good, told};
use crate::support::fixture::{compose_file, plain_service, sh};
use crate::support::{Fixture, World};

fn compose(services: &[&str]) -> String {
    let one =
        |service: &&'static str| (*service, plain_service(SERVES, if *service == "store" { "volumes: [\"data:/data\"]" } else { "" }));
    let known = ["web", "old", "store", "extra"];
    let services: Vec<_> = known.iter().filter(|known| services.contains(known)).map(one).collect();
    format!("{}volumes: {{ data: {{}} }}\n", compose_file(&services))
}

#[tokio::test(flavor = "multi_thread")]
async fn service_deleted_from_the_file_is_marked_and_tidied() {
    let fixture = Fixture::new(&[]).with(json!({ "deploy": quick(), "stateful": ["store"] }));
    std::fs::remove_file(fixture.production.join("docker-compose.yml")).unwrap();
    fixture.write("docker-compose.yml", &compose(&["web", "old", "store"]));
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    good(&carry_out(&world, "/docker_deploy").await.1);
    let running = |service: &str| there(shop).iter().any(|(name, state, _)| name == service && state == "running");
    let old = ids(shop, "old");

    shop.write("docker-compose.yml", &compose(&["web"]));
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["No longer in the compose file, and left running: old, store."]);
    let status = world.ask("/docker_status").await.text;
    told(&status, &["1 of 1 up, 2 left over", "▫️ old\nup", "no longer in the compose file: /docker_tidy removes its containers"]);
    good(&carry_out(&world, "/docker_stop shop/old").await.1);
    told(
        &world.ask("/docker_deploy").await.text,
        &["No longer in the compose file, and left running: store.", "No longer in the compose file, and left stopped: old."],
    );
    told(&world.ask("/docker_start").await.text, &["Nothing to start", "old stays: no longer in the compose file; name it to include it"]);
    good(&carry_out(&world, "/docker_restart").await.1);
    good(&carry_out(&world, "/docker_stop shop/web").await.1);
    good(&carry_out(&world, "/docker_start").await.1);
    assert!(running("web") && !running("old"), "neither starts what is left over");
    good(&carry_out(&world, "/docker_start shop/old").await.1);
    assert!(running("old") && ids(shop, "old") == old);

    // A release that has it takes it back; one that comes later goes with what it added.
    let (plan, outcome) = carry_out(&world, "/docker_rollback shop 1").await;
    good(&outcome);
    untold(&plan.text, &["No longer", "remove"]);
    assert_eq!(ids(shop, "old"), old);
    told(&world.ask("/docker_status").await.text, &["all 3 up"]);
    shop.write("docker-compose.yml", &compose(&["web", "extra"]));
    good(&carry_out(&world, "/docker_deploy").await.1);
    let (plan, outcome) = carry_out(&world, "/docker_rollback shop 2").await;
    good(&outcome);
    told(&plan.text, &["extra: remove (not in release 2)", "No longer in the compose file, and left running: old, store."]);
    told(&outcome.text, &["extra: removed"]);
    assert!(ids(shop, "extra").is_empty() && running("old") && running("store"), "{}", outcome.text);

    // What goes is named before, what keeps data first; volumes stay.
    let plan = world.ask("/docker_tidy").await.text;
    let store = plan.find("-store-1: store is no longer in the compose file; it keeps data (running for").expect(&plan);
    assert!(store < plan.find("-old-1: old is no longer in the compose file (running for").expect(&plan), "{plan}");
    untold(&plan, &["-web-1"]);
    let outcome = world.confirm().await;
    good(&outcome);
    told(&outcome.text, &["2 containers removed", "-old-1: removed"]);
    assert_eq!(there(shop).len(), 1, "{}", outcome.text);
    assert!(sh("docker", &["volume", "ls", "-q"]).contains(&format!("{}_data", shop.name)));
    told(&world.ask("/docker_tidy").await.text, &["nothing is left over"]);
    world.finish().await;
}
