//! How many containers of each service there are: as many as the compose file declares, whoever made or removed some.

use serde_json::{Value, json};

use crate::lifecycle::{carry_out, good, told};
use crate::support::fixture::{compose_file, engine_get, plain_service, sh};
use crate::support::{Fixture, World};

pub(crate) const SERVES: &str = "trap 'exit 0' TERM; while true; do sleep 0.1; done";

pub(crate) fn untold(text: &str, all: &[&str]) {
    for told in all {
        assert!(!text.contains(told), "{told:?} is told:\n{text}");
    }
}

/// A policy under which a service counts as up soon.
pub(crate) fn quick() -> Value {
    json!({ "stability": "300ms", "health_timeout": "20s" })
}

/// The containers of a project whatever its files say of them: `service state id`, sorted.
pub(crate) fn there(shop: &Fixture) -> Vec<(String, String, String)> {
    let filters = json!({ "label": [format!("com.docker.compose.project={}", shop.name)] }).to_string();
    let escaped: String = filters.bytes().map(|b| format!("%{b:02x}")).collect();
    let all = engine_get(&format!("/containers/json?all=true&filters={escaped}"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let one = |c: &Value| (text(&c["Labels"]["com.docker.compose.service"]), text(&c["State"]), text(&c["Id"]));
    let mut all: Vec<_> = all.as_array().unwrap().iter().map(one).collect();
    all.sort();
    all
}

/// The ids of the containers of one service.
pub(crate) fn ids(shop: &Fixture, service: &str) -> Vec<String> {
    there(shop).into_iter().filter(|(name, _, _)| name == service).map(|(_, _, id)| id).collect()
}

fn remove(ids: &[String]) {
    sh("docker", &[&["rm", "-f"], ids.iter().map(String::as_str).collect::<Vec<_>>().as_slice()].concat());
}

fn compose(web: u8, script: &str, store: u8, tool: u8) -> String {
    compose_file(&[
        ("web", plain_service(script, &format!("deploy: {{ replicas: {web} }}, depends_on: [store]"))),
        ("store", plain_service(SERVES, &format!("scale: {store}"))),
        ("tool", plain_service(SERVES, &format!("scale: {tool}"))),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn deploy_makes_as_many_containers_as_declared() {
    let fixture = Fixture::new(&[]).with(json!({ "deploy": quick(), "stateful": ["store"] }));
    std::fs::remove_file(fixture.production.join("docker-compose.yml")).unwrap();
    fixture.write("docker-compose.yml", &compose(1, SERVES, 1, 0));
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    untold(&plan.text, &["tool"]);
    told(&world.ask("/docker_status").await.text, &["all 2 up"]);
    assert!(world.ask("/docker_deploy").await.text.starts_with("Nothing to deploy"), "what is to have no container is not waited for");

    let first = ids(shop, "web");
    shop.write("docker-compose.yml", &compose(3, SERVES, 2, 0));
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["web: scale (1 of 3 there)", "store stays: it keeps data; pending: 1 of 2 there"]);
    told(&outcome.text, &["1 scaled", "-web-1: running", "-web-2: running", "-web-3: running"]);
    let (three, store) = (ids(shop, "web"), ids(shop, "store"));
    assert_eq!((three.len(), store.len()), (3, 1), "{}", outcome.text);
    assert!(three.contains(&first[0]), "what was right stays");
    told(&world.ask("/docker_status").await.text, &["4 of 5 up", "1 container is missing"]);

    // By hand: fewer, which a start makes again; then more, of which a deploy removes the rest.
    remove(&three[..1]);
    told(&world.ask("/docker_status").await.text, &["3 of 5 up"]);
    let (plan, outcome) = carry_out(&world, "/docker_start").await;
    good(&outcome);
    told(&plan.text, &["web: scale (2 of 3 there)", "store stays: keeps data; name it to include it"]);
    let made = ids(shop, "web");
    assert!(made.len() == 3 && three[1..].iter().all(|id| made.contains(id)), "{}", outcome.text);
    remove(&made[..2]);
    good(&carry_out(&world, "/docker_start shop/web").await.1);
    assert_eq!((ids(shop, "web").len(), ids(shop, "store")), (3, store.clone()));
    shop.compose(&["up", "-d", "--no-recreate", "--no-deps", "--scale", "web=5", "web"]);
    told(&world.ask("/docker_status").await.text, &["6 of 7 up", "configuration pending"]);
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["web: scale (5 there, 3 declared: 2 are removed)"]);
    assert_eq!((ids(shop, "web").len(), ids(shop, "store")), (3, store.clone()), "{}", outcome.text);

    // A restart is of all of them.
    let started = || -> Vec<String> {
        let at = |id: &String| engine_get(&format!("/containers/{id}/json"))["State"]["StartedAt"].as_str().unwrap().to_owned();
        ids(shop, "web").iter().map(at).collect()
    };
    let before = started();
    good(&carry_out(&world, "/docker_restart shop/web").await.1);
    assert!(started().iter().all(|at| !before.contains(at)));

    // One that fails goes back to as many as there were, and a rollback to as many as that release declares.
    shop.write("docker-compose.yml", &compose(2, "exit 7", 1, 1));
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    told(&plan.text, &["web: recreate (configuration changed; 3 there, 2 declared: 1 is removed)", "tool: create (new)"]);
    told(&outcome.text, &["❌", "Everything was put back"]);
    let seen = there(shop);
    let running = |service: &str| seen.iter().filter(|(name, state, _)| name == service && state == "running").count();
    assert_eq!((running("web"), running("store"), running("tool"), seen.len()), (3, 1, 0, 4), "{}", outcome.text);
    let (plan, outcome) = carry_out(&world, "/docker_rollback shop 1").await;
    good(&outcome);
    told(&plan.text, &["web: scale (3 there, 1 declared: 2 are removed)"]);
    assert_eq!((ids(shop, "web").len(), ids(shop, "store")), (1, store), "{}", outcome.text);

    // What keeps data is scaled where it is named.
    shop.write("docker-compose.yml", &compose(1, SERVES, 2, 0));
    let (plan, outcome) = carry_out(&world, "/docker_deploy shop with=store").await;
    good(&outcome);
    told(&plan.text, &["store: scale (1 of 2 there)"]);
    assert_eq!(ids(shop, "store").len(), 2);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn service_with_none_declared_is_removed_and_comes_back() {
    let serves = |more: &str| plain_service(SERVES, more);
    let all = |tool: &str, web: &str| [("web", serves(web)), ("tool", serves(tool))];
    let fixture = Fixture::up(&all("scale: 2", "")).with(json!({ "deploy": quick() }));
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    good(&carry_out(&world, "/docker_stop shop/tool").await.1);
    good(&carry_out(&world, "/docker_start shop/tool").await.1);
    let count = |service: &str| there(shop).iter().filter(|(name, state, _)| name == service && state == "running").count();

    // The other one fails, so that what was removed comes back, as many as there were.
    shop.write("docker-compose.yml", &compose_file(&[("web", plain_service("exit 7", "")), ("tool", serves("scale: 0"))]));
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    told(&plan.text, &["tool: remove (0 declared)"]);
    told(&outcome.text, &["❌", "Everything was put back"]);
    assert_eq!((count("tool"), count("web")), (2, 1), "{}", outcome.text);

    shop.write("docker-compose.yml", &compose_file(&all("deploy: { replicas: 0 }", "")));
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["tool: remove (0 declared)", "Remove tool"]);
    told(&outcome.text, &["tool: removed", "1 removed"]);
    assert_eq!((ids(shop, "tool").len(), count("web")), (0, 1));
    told(&world.ask("/docker_status").await.text, &["1 of 1 up"]);
    assert!(world.ask("/docker_start").await.text.starts_with("Nothing to start"));

    // One container alone can have a name of its own, or a port: Compose says so.
    shop.write("docker-compose.yml", &compose_file(&all("scale: 0", "container_name: dmt-alone, scale: 2")));
    let refused = world.ask("/docker_deploy").await.text;
    told(&refused, &["name must be unique"]);
    shop.write("docker-compose.yml", &compose_file(&all("scale: 0", "ports: [\"127.0.0.1:39417:80\"], scale: 2")));
    let (_, outcome) = carry_out(&world, "/docker_deploy").await;
    told(&outcome.text, &["❌", "port is already allocated", "Everything was put back"]);
    assert_eq!(count("web"), 1, "{}", outcome.text);
    world.finish().await;
}
