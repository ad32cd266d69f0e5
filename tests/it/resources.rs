//! Networks, volumes and bind mounts that the compose files declare: missing ones, changed ones, and what they would cost.

use serde_json::json;

use crate::lifecycle::{carry_out, good, told};
use crate::support::fixture::{command, compose_file, engine_get, plain_service, sh};
use crate::support::{Fixture, World};

const SLEEPS: &str = "trap 'exit 0' TERM; while true; do sleep 0.1; done";

/// Whether this Compose notices that a network was changed.
fn notices_networks() -> bool {
    let version = sh("docker-compose", &["version", "--short"]);
    let mut numbers = version.trim().trim_start_matches('v').split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap(), numbers.next().unwrap()) >= (2, 31)
}

/// A project of which the rest of the compose file is `more`.
fn write(shop: &Fixture, services: &[(&str, &str)], more: &str) {
    let services: Vec<(&str, String)> = services.iter().map(|(name, more)| (*name, plain_service(SLEEPS, more))).collect();
    shop.write("docker-compose.yml", &(compose_file(&services) + more));
}

fn quick() -> serde_json::Value {
    json!({ "deploy": { "stability": "300ms", "health_timeout": "20s" }, "stateful": [] })
}

fn docker(args: &[&str]) {
    let ended = command("docker").args(args).output().unwrap();
    assert!(ended.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&ended.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn absent_external_resources_are_refused() {
    let world = World::start(Fixture::new(&[]).with(quick())).await;
    let shop = &world.fixtures[0];
    let (network, volume) = (format!("{}-public", shop.name), format!("{}-media", shop.name));
    let external = format!(
        "networks: {{ edge: {{ name: {network}, external: true }}, unused: {{ name: {network}-unused, external: true }} }}\nvolumes: {{ media: {{ name: {volume}, external: true }} }}\n"
    );
    write(shop, &[("web", "networks: [edge], volumes: [\"media:/media\"]")], &external);
    let refused = world.ask("/docker_deploy").await.text;
    told(&refused, &[&format!("network {network}, volume {volume}"), &format!("docker network create {network}")]);
    assert!(!refused.contains("-unused"), "{refused}");

    docker(&["network", "create", &network]);
    docker(&["volume", "create", &volume]);
    good(&carry_out(&world, "/docker_deploy").await.1);
    let again = world.ask("/docker_deploy").await.text;
    assert!(again.starts_with("Nothing to deploy"), "{again}");
    // One more network is one reason, also where Compose compares what a container is in.
    write(shop, &[("web", "networks: [edge, default], volumes: [\"media:/media\"]")], &external);
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["web: recreate (configuration changed)\n"]);
    shop.compose(&["down", "-t", "0"]);
    docker(&["network", "rm", &network]);
    docker(&["volume", "rm", &volume]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_network_is_remade_with_all_its_services_or_told() {
    let world = World::start(Fixture::new(&[]).with(quick())).await;
    let shop = &world.fixtures[0];
    let edge = |label: &str| {
        let labels = format!("{{ labels: {{ v: \"{label}\" }} }}");
        format!("networks: {{ edge: {labels} }}\nvolumes: {{ media: {labels} }}\n")
    };
    let services = [("web", "networks: [edge, default], volumes: [\"media:/media\"]"), ("api", "networks: [edge]"), ("worker", "")];
    write(shop, &services, &edge("1"));
    good(&carry_out(&world, "/docker_deploy").await.1);
    let before = shop.containers();
    let label = || engine_get(&format!("/networks/{}_edge", shop.name))["Labels"]["v"].clone();
    write(shop, &services, &edge("2"));
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["The definition of volume media changed, and it stays as it is"]);
    if !notices_networks() {
        told(&plan.text, &["The definition of network edge changed, and it stays as it is (Compose 2."]);
        assert_eq!((shop.containers(), label()), (before, json!("1")));
        return world.finish().await;
    }
    told(&plan.text, &["web: recreate (network edge changed)", "api: recreate (network edge changed)"]);
    assert_eq!(label(), json!("2"));
    assert_eq!(shop.container("worker").0, before.iter().find(|(name, _, _)| name == "worker").unwrap().1);
    // They find each other by their names, which Compose itself forgets here.
    docker(&["exec", &shop.container("web").0, "busybox", "nslookup", "api"]);
    let again = world.ask("/docker_deploy").await.text;
    assert!(again.starts_with("Nothing to deploy"), "{again}");

    // It is not recreated below somebody else, nor below what keeps data.
    let stranger = format!("{}-stranger", shop.name);
    docker(&["run", "-d", "--name", &stranger, "--network", &format!("{}_edge", shop.name), "dockmaster-test-busybox", "sleep", "600"]);
    write(shop, &services, &edge("3"));
    told(&world.ask("/docker_deploy").await.text, &[&format!("cannot be recreated while {stranger} is in it")]);
    docker(&["rm", "-f", &stranger]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn service_without_containers_gets_its_networks_and_volumes() {
    let world = World::start(Fixture::new(&[]).with(json!({ "deploy": quick()["deploy"], "stateful": ["db"] }))).await;
    let shop = &world.fixtures[0];
    let file = |db: &str, tool: &str| {
        let all = [("db", db), ("tool", tool)];
        write(shop, &all[..all.len() - usize::from(tool.is_empty())], "networks: { back: {}, default: {} }\nvolumes: { media: {} }\n");
    };
    file("environment: { V: \"1\" }", "");
    good(&carry_out(&world, "/docker_deploy").await.1);
    let db = shop.container("db");
    // What it would need stays, with another definition than it has.
    file("environment: { V: \"2\" }", "scale: 0, networks: [back], volumes: [\"media:/media\"], depends_on: [db]");
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["Make the networks and volumes of tool"]);
    let is_there = |what: &str, name: &str| sh("docker", &[what, "ls", "--format", "{{.Name}}"]).contains(&format!("{}_{name}", shop.name));
    assert!(is_there("network", "back") && is_there("volume", "media"), "{}", outcome.text);
    assert_eq!(shop.container("db"), db, "{}", outcome.text);
    // Gone by hand: they come back, and nothing else is done.
    docker(&["network", "rm", &format!("{}_back", shop.name)]);
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["Steps:\n1. Make the networks and volumes of tool\n"]);
    told(&outcome.text, &["its networks and volumes are there"]);
    assert!(is_there("network", "back"), "{}", outcome.text);
    assert!(world.ask("/docker_deploy").await.text.starts_with("Nothing to deploy"));
    shop.compose(&["down", "-v", "-t", "0"]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_volume_in_the_place_of_data_has_to_be_named() {
    let world = World::start(Fixture::new(&[]).with(quick())).await;
    let shop = &world.fixtures[0];
    write(shop, &[("db", "volumes: [\"data:/data\"]")], "volumes: { data: {} }\n");
    good(&carry_out(&world, "/docker_deploy").await.1);
    docker(&["exec", &shop.container("db").0, "sh", "-c", "echo kept > /data/rows"]);
    write(shop, &[("db", "volumes: [\"fresh:/data\"]")], "volumes: { fresh: {} }\n");
    let refused = world.ask("/docker_deploy").await.text;
    let had = format!("db has volume {}_data at /data, and would get the new, empty volume fresh there", shop.name);
    told(&refused, &[&had, "new-volume=fresh"]);
    told(&world.ask("/docker_deploy new-volume=frsh").await.text, &["No service mounts a volume frsh.", "fresh"]);
    let (plan, outcome) = carry_out(&world, "/docker_deploy new-volume=fresh").await;
    good(&outcome);
    told(&plan.text, &["db gets the new, empty volume fresh at /data"]);
    // Back: the data are there still, and nothing has to be named.
    let (_, outcome) = carry_out(&world, "/docker_rollback").await;
    good(&outcome);
    docker(&["exec", &shop.container("db").0, "cat", "/data/rows"]);
    shop.compose(&["down", "-v", "-t", "0"]);
    docker(&["volume", "rm", &format!("{}_fresh", shop.name)]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_file_is_refused_and_one_that_comes_is_mounted() {
    let world = World::start(Fixture::new(&[]).with(quick())).await;
    let shop = &world.fixtures[0];
    write(shop, &[("web", "volumes: [\"./app.yml:/app.yml\", \"./conf.d:/conf.d:ro\"]")], "");
    let refused = world.ask("/docker_deploy").await.text;
    told(&refused, &["web mounts ./app.yml, which is neither in the workspace nor in production", "an empty directory"]);
    // The engine has made a directory of it before there was a dockmaster.
    std::fs::create_dir(shop.production.join("app.yml")).unwrap();
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["./conf.d, which is neither in the workspace nor in production: the engine makes an empty directory"]);
    shop.write("app.yml", "colour: red\n");
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["web: recreate (./app.yml is a file now"]);
    docker(&["exec", &shop.container("web").0, "grep", "red", "/app.yml"]);

    // Which file a secret is made of is in no hash of Compose's.
    shop.write("one.txt", "1\n");
    shop.write("two.txt", "2\n");
    for file in ["one", "two"] {
        let secret = format!("secrets: {{ pin: {{ file: ./{file}.txt }} }}\n");
        write(shop, &[("web", "volumes: [\"./app.yml:/app.yml\"], secrets: [pin]")], &secret);
        let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
        good(&outcome);
        told(&plan.text, &["web: recreate ("]);
    }
    docker(&["exec", &shop.container("web").0, "grep", "2", "/run/secrets/pin"]);
    let again = world.ask("/docker_deploy").await.text;
    assert!(again.starts_with("Nothing to deploy"), "{again}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_of_env_do_not_steer_compose() {
    let world = World::start(Fixture::new(&[]).with(quick())).await;
    let shop = &world.fixtures[0];
    let steering = "COMPOSE_REMOVE_ORPHANS=1\nCOMPOSE_PARALLEL_LIMIT=1\nCOMPOSE_MENU=1\nDOCKER_CONTEXT=elsewhere\nDOCKER_TLS_VERIFY=1\nDOCKER_MINE=kept\n";
    shop.write_production(".env", steering);
    write(shop, &[("web", "environment: { MINE: \"${DOCKER_MINE}\" }"), ("old", "")], "");
    good(&carry_out(&world, "/docker_deploy").await.1);
    let old = shop.container("old");
    write(shop, &[("web", "environment: { MINE: \"${DOCKER_MINE}\", V: \"2\" }")], "");
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["No longer in the compose file"]);
    assert_eq!(shop.container("old"), old, "what the plan leaves runs on");
    let web = engine_get(&format!("/containers/{}/json", shop.container("web").0));
    assert!(web["Config"]["Env"].as_array().unwrap().contains(&json!("MINE=kept")), "{web}");
    good(&carry_out(&world, "/docker_stop").await.1);
    good(&carry_out(&world, "/docker_start").await.1);
    world.finish().await;
}
