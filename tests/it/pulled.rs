//! Images that are pulled before anything stops, with a login and without.

use serde_json::json;

use crate::lifecycle::{carry_out, good};
use crate::support::fixture::{compose_file, engine_get, image, sh};
use crate::support::made::{SERVES, plain};
use crate::support::registry::Registry;
use crate::support::{Fixture, World};

async fn running() -> World {
    let world = World::start(Fixture::of_services(json!({ "web": plain(SERVES, json!({})) }))).await;
    good(&carry_out(&world, "/docker_start").await.1);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_there_is_pulled_before_anything_stops() {
    let registry = Registry::start(false).await;
    let mut world = running().await;
    let before = world.fixtures[0].stand();
    world.reconfigure("/services/web/image", json!(registry.image())).await;
    let (plan, outcome) = carry_out(&world, "/docker_start").await;
    good(&outcome);
    assert!(plan.text.contains("1. Pull web\n2. Bring up web"), "{}", plan.text);
    assert!(registry.was_asked(), "it came from there");
    let seen = world.fixtures[0].seen("web");
    assert_eq!(seen["Config"]["Image"], json!(registry.image()));
    assert_ne!(world.fixtures[0].stand(), before);
    let own = sh("docker", &["exec", &world.fixtures[0].called("web"), "head", "-1", "/own"]);
    assert!(own.starts_with("dmt-shelf-"), "{own}");
    world.finish().await;
    sh("docker", &["rmi", "-f", &registry.image()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_wants_a_login_gets_it_and_nothing_stops_without_one() {
    let registry = Registry::start(true).await;
    let mut world = running().await;
    let before = world.fixtures[0].stand();
    world.reconfigure("/services/web/image", json!(registry.image())).await;
    let failed = async |world: &World, told: &[&str]| {
        let (_, outcome) = carry_out(world, "/docker_start").await;
        assert!(outcome.text.starts_with('❌') && outcome.text.contains("could not be pulled."), "{}", outcome.text);
        for told in told {
            assert!(outcome.text.contains(told), "{told}:\n{}", outcome.text);
        }
        assert!(outcome.text.contains("Nothing was done") && !outcome.text.contains("secret"), "{}", outcome.text);
        assert_eq!(world.fixtures[0].stand(), before, "nothing stopped");
    };
    failed(&world, &["wants a login, name one with \"registry_credentials\""]).await;
    let directory = world.fixtures[0].production.clone();
    let file = registry.credentials(&directory, "not-the-secret");
    world.settings["registry_credentials"] = json!(file);
    world.configure(&world.projects_json());
    world.next().await;
    failed(&world, &["the login of \"registry_credentials\" may pull it"]).await;
    std::fs::write(&file, "{ \"auths\": { \"secret\n").unwrap();
    failed(&world, &["cannot be used", "line"]).await;
    registry.credentials(&directory, "secret");
    good(&carry_out(&world, "/docker_start").await.1);
    assert_eq!(world.fixtures[0].seen("web")["Config"]["Image"], json!(registry.image()));
    world.finish().await;
    sh("docker", &["rmi", "-f", &registry.image()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_nowhere_is_said() {
    let registry = Registry::start(false).await;
    let mut world = running().await;
    let before = world.fixtures[0].stand();
    let nowhere = format!("{}/test/busybox@sha256:{}", registry.address, "0".repeat(64));
    world.reconfigure("/services/web/image", json!(nowhere)).await;
    let (_, outcome) = carry_out(&world, "/docker_deploy").await;
    assert!(outcome.text.starts_with('❌') && outcome.text.contains("See that the image is there"), "{}", outcome.text);
    assert_eq!(world.fixtures[0].stand(), before);
    world.finish().await;
}

/// A compose project of one service with this image.
fn write(shop: &Fixture, image: &str, more: &str) {
    let service = format!("{{ image: \"{image}\", init: true, stop_grace_period: 1s, command: [\"sleep\", \"600\"]{more} }}");
    shop.write("docker-compose.yml", &compose_file(&[("web", service)]));
}

fn compose_project() -> Fixture {
    Fixture::new(&[]).with(json!({ "deploy": { "stability": "300ms", "health_timeout": "20s" }, "stateful": [] }))
}

#[tokio::test(flavor = "multi_thread")]
async fn pull_policy_says_when_the_registry_is_asked() {
    let registry = Registry::start(false).await;
    let world = World::start(compose_project()).await;
    let (shop, name) = (&world.fixtures[0], registry.image());
    write(shop, &name, ", pull_policy: never");
    let refused = world.ask("/docker_deploy").await.text;
    assert!(refused.contains("“pull_policy” of web is never."), "{refused}");

    // The engine has an image of that name, which is not the registry's.
    sh("docker", &["tag", image(), &name]);
    good(&carry_out(&world, "/docker_deploy").await.1);
    let old = engine_get(&format!("/containers/{}/json", shop.container("web").0))["Image"].clone();
    write(shop, &name, ", pull_policy: always");
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    assert!(plan.text.contains("web: recreate (the registry has a newer image)"), "{}", plan.text);
    assert!(plan.text.contains("Pull web") && registry.was_asked(), "{}", plan.text);
    let new = engine_get(&format!("/containers/{}/json", shop.container("web").0))["Image"].clone();
    assert_ne!(new, old);
    let again = world.ask("/docker_deploy").await.text;
    assert!(again.starts_with("Nothing to deploy"), "{again}");

    // A rollback brings back what ran, and the name with it.
    good(&carry_out(&world, "/docker_rollback").await.1);
    assert_eq!(engine_get(&format!("/containers/{}/json", shop.container("web").0))["Image"], old);

    // Without the registry the image that is here counts.
    drop(registry);
    let plan = world.ask("/docker_deploy").await.text;
    assert!(plan.contains("The registry could not be asked for a newer image of web"), "{plan}");
    world.say("no");
    world.idle().await;
    world.finish().await;
    sh("docker", &["rmi", "-f", &name]);
}

#[tokio::test(flavor = "multi_thread")]
async fn image_named_by_digest_comes_back_as_it_is() {
    let registry = Registry::start(false).await;
    let world = World::start(compose_project()).await;
    let shop = &world.fixtures[0];
    sh("docker", &["pull", "-q", &registry.image()]);
    let pinned = sh("docker", &["image", "inspect", "-f", "{{index .RepoDigests 0}}", &registry.image()]);
    sh("docker", &["rmi", &registry.image()]);
    write(shop, pinned.trim(), "");
    good(&carry_out(&world, "/docker_deploy").await.1);
    let running = || engine_get(&format!("/containers/{}/json", shop.container("web").0))["Config"]["Image"].clone();
    assert_eq!(running(), json!(pinned.trim()));
    // A release that fails is undone, and one that succeeds rolled back: neither gives the digest another image.
    write(shop, pinned.trim(), ", entrypoint: [\"sh\", \"-c\", \"exit 7\"], restart: always");
    let (_, outcome) = carry_out(&world, "/docker_deploy").await;
    assert!(outcome.text.contains("Everything was put back"), "{}", outcome.text);
    write(shop, image(), "");
    good(&carry_out(&world, "/docker_deploy").await.1);
    good(&carry_out(&world, "/docker_rollback").await.1);
    assert_eq!(running(), json!(pinned.trim()));
    world.finish().await;
    sh("docker", &["rmi", "-f", pinned.trim()]);
}
