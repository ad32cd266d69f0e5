//! `depends_on` with `restart: true`: what depends on a service restarts after it, and nothing else does.

use serde_json::json;

use crate::lifecycle::{carry_out, good, told};
use crate::support::fixture::{compose_file, engine_get, image, plain_service, sh};
use crate::support::{Fixture, World};

const SERVES: &str = "trap 'exit 0' TERM; while true; do sleep 0.1; done";

/// `app` and, through it, `edge` restart with `db`; `store` would, and keeps data; `plain` merely needs it.
fn services(db: u8, app: u8) -> String {
    let needs = |what: &str, more: &str| {
        plain_service(SERVES, &format!("depends_on: {{ {what}: {{ condition: service_started, restart: true }} }}{more}"))
    };
    compose_file(&[
        ("db", plain_service(SERVES, &format!("environment: {{ V: \"{db}\" }}, volumes: [\"./conf:/conf:ro\"]"))),
        ("app", needs("db", &format!(", environment: {{ V: \"{app}\" }}"))),
        ("edge", needs("app", "")),
        ("store", needs("db", "")),
        ("plain", plain_service(SERVES, "depends_on: [db]")),
    ])
}

/// When each container began, and its id.
fn seen(shop: &Fixture) -> Vec<(String, String, String)> {
    shop.containers()
}

/// How a service differs from what was seen before.
fn change(before: &[(String, String, String)], now: &[(String, String, String)], service: &str) -> &'static str {
    let of = |all: &[(String, String, String)]| all.iter().find(|(name, ..)| name == service).cloned().unwrap();
    let ((_, was, since), (_, is, begun)) = (of(before), of(now));
    match (was == is, since == begun) {
        (false, _) => "remade",
        (true, false) => "restarted",
        (true, true) => "stays",
    }
}

fn changes(before: &[(String, String, String)], now: &[(String, String, String)]) -> String {
    ["db", "app", "edge", "store", "plain"].map(|service| format!("{service} {}", change(before, now, service))).join(", ")
}

#[tokio::test(flavor = "multi_thread")]
async fn dependants_restart_after_what_they_depend_on() {
    let fixture = Fixture::new(&[]).with(json!({ "stateful": ["store"], "deploy": { "stability": "200ms", "health_timeout": "20s" } }));
    for root in [&fixture.workspace, &fixture.production] {
        std::fs::write(root.join("docker-compose.yml"), services(1, 1)).unwrap();
        std::fs::write(root.join("conf"), "one\n").unwrap();
    }
    fixture.compose(&["up", "-d"]);
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];

    let before = seen(shop);
    let (plan, outcome) = carry_out(&world, "/docker_restart shop/db").await;
    good(&outcome);
    told(&plan.text, &["Restart: db", "app: restart (depends on db, restart: true)", "edge: restart (depends on app, restart: true)"]);
    told(&plan.text, &["store stays: keeps data, though it depends on db, restart: true", "Stays as it is: plain"]);
    told(&outcome.text, &["🟢 app", "🟢 edge"]);
    let now = seen(shop);
    assert_eq!(changes(&before, &now), "db restarted, app restarted, edge restarted, store stays, plain stays");
    let begun = |service: &str| engine_get(&format!("/containers/{}/json", shop.container(service).0))["State"]["StartedAt"].clone();
    let time = |service: &str| begun(service).as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(time("db") < time("app") && time("app") < time("edge"), "each after what it depends on");
    // One that a person stopped is not started again by that.
    good(&carry_out(&world, "/docker_stop shop/edge").await.1);
    let (plan, outcome) = carry_out(&world, "/docker_restart shop/db").await;
    good(&outcome);
    told(&plan.text, &["edge stays: stopped by Ann"]);
    good(&carry_out(&world, "/docker_start shop/edge").await.1);

    // A deploy that remakes it.
    let before = seen(shop);
    shop.write("docker-compose.yml", &services(2, 1));
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["db: recreate (configuration changed)", "app: restart (depends on db, restart: true)"]);
    told(&plan.text, &["edge: restart (depends on app, restart: true)", "Stays as it is: plain"]);
    told(&plan.text, &["store stays: it keeps data; pending: restart (depends on db, restart: true)"]);
    told(&outcome.text, &["🟢 app: running for", "🟢 edge: running for"]);
    let now = seen(shop);
    assert_eq!(changes(&before, &now), "db remade, app restarted, edge restarted, store stays, plain stays", "{}", outcome.text);
    let again = world.ask("/docker_deploy").await.text;
    assert!(again.starts_with("Nothing to deploy"), "{again}");

    // One that only restarts it, and one that remakes both: each of them once.
    let before = seen(shop);
    shop.write("conf", "two\n");
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["db: restart (mounted files changed: conf)", "app: restart (depends on db, restart: true)"]);
    let now = seen(shop);
    assert_eq!(changes(&before, &now), "db restarted, app restarted, edge restarted, store stays, plain stays", "{}", outcome.text);
    shop.write("docker-compose.yml", &services(3, 2));
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["db: recreate (configuration changed)", "app: recreate (configuration changed)", "edge: restart (depends on app"]);
    let last = seen(shop);
    assert_eq!(changes(&now, &last), "db remade, app remade, edge restarted, store stays, plain stays", "{}", outcome.text);
    world.finish().await;
}

/// What keeps data stays with another image than the files have, so that `web` is brought up with `--no-deps`: Compose before 2.29.3
/// labels it then as if it depended on nothing, which it did.
#[tokio::test(flavor = "multi_thread")]
async fn new_dependency_recreates_where_compose_hashes_it() {
    let store = format!("dmt-needed-{}", std::process::id());
    let file = |needs: &str| {
        let store = format!("{{ image: {store}, init: true, command: [\"sh\", \"-c\", {}] }}", json!(SERVES));
        compose_file(&[("store", store), ("web", plain_service(SERVES, needs))])
    };
    let fixture = Fixture::new(&[]).with(json!({ "stateful": ["store"], "deploy": { "stability": "200ms", "health_timeout": "20s" } }));
    std::fs::remove_file(fixture.production.join("docker-compose.yml")).unwrap();
    sh("docker", &["tag", image(), &store]);
    fixture.write("docker-compose.yml", &file(""));
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    good(&carry_out(&world, "/docker_deploy").await.1);
    let container = sh("docker", &["create", image(), "true"]);
    sh("docker", &["commit", "--change", "LABEL version=2", container.trim(), &store]);
    sh("docker", &["rm", container.trim()]);

    let hash = || shop.compose(&["config", "--hash", "web"]);
    let (kept, before, was) = (shop.container("store"), shop.container("web"), hash());
    shop.write("docker-compose.yml", &file("depends_on: [store]"));
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    let counts = hash() != was;
    assert_eq!(plan.text.contains("web: recreate (depends_on changed)"), counts, "{}", plan.text);
    assert_eq!(shop.container("web").0 != before.0, counts, "{}", outcome.text);
    assert_eq!(shop.container("store"), kept);
    let again = world.ask("/docker_deploy").await.text;
    assert!(again.starts_with("Nothing to deploy"), "{again}");
    world.finish().await;
    sh("docker", &["image", "rm", "-f", &store]);
}
