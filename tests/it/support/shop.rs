//! The project that most deploys are tried on: a web service that is built from its files, and a store that keeps data.

use serde_json::{Value, json};

use super::fixture::{check, compose_file, engine_get, healthy_service, image};
use super::{Fixture, World};

/// What the web service runs: it shows its page and is well.
pub(crate) const SERVES: &str = "cat /page; touch /tmp/well; while true; do sleep 1; done";

/// A web service that is built from the project's files: its page is copied into the image.
pub(crate) fn web(more: &str) -> String {
    let check = check();
    format!("{{ build: ., init: true, stop_grace_period: 2s, {check}{more} }}")
}

/// Its Dockerfile, with what it runs.
pub(crate) fn dockerfile(script: &str) -> String {
    format!("FROM {}\nCOPY page /page\nCMD [\"sh\", \"-c\", {}]\n", image(), json!(script))
}

/// The same, with a step of building more.
pub(crate) fn dockerfile_that(builds: &str) -> String {
    format!("{}RUN [\"sh\", \"-c\", {}]\n", dockerfile(SERVES), json!(builds))
}

/// A running project whose workspace has another page.
pub(crate) fn shop(entry: Value) -> Fixture {
    shop_of(&[("web", web("")), ("postgres", healthy_service(""))], entry)
}

/// The same, with other services.
pub(crate) fn shop_of(services: &[(&str, String)], entry: Value) -> Fixture {
    let fixture = Fixture::new(services).with(json!({ "stateful": ["postgres"], "primary": "web" })).with(entry);
    for root in [&fixture.workspace, &fixture.production] {
        std::fs::write(root.join("Dockerfile"), dockerfile(SERVES)).unwrap();
        std::fs::write(root.join("page"), "page one\n").unwrap();
        // For those that mount it.
        std::fs::write(root.join("settings"), "colour=red\n").unwrap();
    }
    fixture.compose(&["up", "-d", "--build", "--wait"]);
    fixture.write("page", "page two\n");
    fixture
}

/// Gives the shop's workspace a web service that is never well, and is not given up for long.
pub(crate) fn write_one_that_is_never_well(shop: &Fixture) {
    let patient = web("").replace("retries: 3", "retries: 1000");
    shop.write("docker-compose.yml", &compose_file(&[("web", patient), ("postgres", healthy_service(""))]));
    shop.write("Dockerfile", &dockerfile("while true; do sleep 1; done"));
}

/// Deploys, and expects that this comes out as a release.
pub(crate) async fn deployed(world: &World, release: i64) {
    deployed_of(world, "shop", release).await;
}

/// The same where there are several projects.
pub(crate) async fn deployed_of(world: &World, project: &str, release: i64) {
    world.ask(&format!("/docker_deploy {project}")).await;
    let outcome = world.confirm().await;
    assert!(outcome.text.starts_with('✅') && outcome.text.contains(&format!("runs release {release} ")), "{}", outcome.text);
}

pub(crate) fn running_image(fixture: &Fixture, service: &str) -> String {
    engine_get(&format!("/containers/{}/json", fixture.container(service).0))["Image"].as_str().unwrap().to_owned()
}

pub(crate) fn image_named(name: &str) -> Option<String> {
    engine_get(&format!("/images/{name}/json"))["Id"].as_str().map(str::to_owned)
}

/// The image that a release of `shop` keeps of a service.
pub(crate) fn kept_image(world: &World, service: &str, release: i64) -> Option<String> {
    image_named(&kept_name(world, service, release))
}

/// The name under which it keeps it.
pub(crate) fn kept_name(world: &World, service: &str, release: i64) -> String {
    let instance: String = world.kept().query_row("SELECT name FROM instance", [], |row| row.get(0)).unwrap();
    format!("dockmaster/shop/{service}:{release}-{instance}")
}
