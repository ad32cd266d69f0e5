//! Services that dockmaster makes itself: from nothing to a running project, stopped, started, multiplied, and beside another
//! dockmaster's.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::lifecycle::{carry_out, good};
use crate::support::fixture::{engine_get, sh};
use crate::support::made::{SERVES, checked, environment, plain};
use crate::support::{Fixture, World};

/// The store is well after a moment, the migration needs that, and the web service needs the migration done.
fn tools() -> Fixture {
    let slow = "trap 'exit 0' TERM; sleep 1; touch /tmp/well; cat /run/secrets/db-password; while true; do sleep 0.1; done";
    let mut fixture = Fixture::of_services(json!({}));
    fixture.write_production("app.env", "# what counts least\nMODE=file\nONLY=here=there\n");
    fixture.write_production("password", "hunter2\n");
    fixture.write_production("conf/app.conf", "colour=red\n");
    let at = |path: &str| fixture.production.join(path).display().to_string();
    let volume = fixture.called("data");
    let store = json!({
        "env_file": at("app.env"), "environment": { "MODE": "configured" }, "secrets": { "db-password": at("password") },
        "volumes": { volume: "/data", at("conf"): "/etc/app:ro" },
        "limits": { "memory": "32m", "cpus": 0.5, "pids": 50 }, "user": "0:0",
        "log": false,
    });
    let migrate = json!({ "restart": "no", "depends_on": { "store": "service_healthy" } });
    let web = json!({ "depends_on": { "migrate": "service_completed_successfully" }, "ports": { "8080": "auto", "9090": "127.0.0.1:auto" }, "restart": "on-failure:5" });
    fixture
        .set("/services", json!({ "store": checked(slow, store), "migrate": plain("echo migrated", migrate), "web": plain(SERVES, web) }));
    fixture.with(json!({ "primary": "web" }))
}

fn time(seen: &Value, which: &str) -> jiff::Timestamp {
    seen["State"][which].as_str().unwrap().parse().unwrap()
}

fn ids(fixture: &Fixture) -> BTreeMap<String, String> {
    fixture.stand().into_iter().map(|(name, (id, _))| (name, id)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_of_services_comes_from_nothing_stops_and_comes_back() {
    let world = World::start(tools()).await;
    let tools = &world.fixtures[0];
    let (plan, outcome) = carry_out(&world, "/docker_start").await;
    good(&outcome);
    assert!(plan.text.contains("migrate: create (new)\nstore: create (new)\nweb: create (new)"), "{}", plan.text);
    assert!(plan.text.contains("1. Bring up store, migrate, web\n2. Verify"), "{}", plan.text);
    assert!(outcome.text.contains("🟢 migrate: done (ended with code 0)"), "{}", outcome.text);
    assert!(outcome.text.contains("🟢 store: healthy after"), "{}", outcome.text);

    let (store, migrate, web) = (tools.seen("store"), tools.seen("migrate"), tools.seen("web"));
    let labels = &store["Config"]["Labels"];
    assert_eq!(
        (&labels["dockmaster.managed"], &labels["dockmaster.project"], &labels["dockmaster.service"], &labels["dockmaster.instance"]),
        (&json!("true"), &json!(tools.name), &json!("store"), &json!("1"))
    );
    assert!(labels["dockmaster.owner"].as_str().is_some_and(|owner| !owner.is_empty()), "{labels}");
    let variables = environment(&store);
    for wanted in ["MODE=configured", "ONLY=here=there", "DB_PASSWORD_FILE=/run/secrets/db-password"] {
        assert!(variables.contains(&wanted), "{wanted}: {variables:?}");
    }
    let mounts: BTreeMap<&str, (&str, bool)> = store["Mounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| (m["Destination"].as_str().unwrap(), (m["Type"].as_str().unwrap(), m["RW"] == json!(true))))
        .collect();
    assert_eq!(mounts, [("/data", ("volume", true)), ("/etc/app", ("bind", false)), ("/run/secrets/db-password", ("bind", false))].into());
    let host = &store["HostConfig"];
    assert_eq!((&host["Memory"], &host["NanoCpus"], &host["PidsLimit"]), (&json!(33_554_432), &json!(500_000_000), &json!(50)));
    assert_eq!(host["RestartPolicy"], json!({ "Name": "unless-stopped", "MaximumRetryCount": 0 }));
    assert_eq!(web["HostConfig"]["RestartPolicy"], json!({ "Name": "on-failure", "MaximumRetryCount": 5 }));
    let check = &store["Config"]["Healthcheck"];
    assert_eq!((&check["Interval"], &check["Timeout"], &check["Retries"]), (&json!(1_000_000_000), &json!(5_000_000_000_i64), &json!(3)));
    let published = |port: &str| web["NetworkSettings"]["Ports"][port].as_array().unwrap()[0].clone();
    assert_eq!(published("9090/tcp")["HostIp"], json!("127.0.0.1"));
    assert!(published("8080/tcp")["HostPort"].as_str().unwrap().parse::<u16>().unwrap() > 0);
    let network = format!("dockmaster-{}", tools.name);
    let aliases = &web["NetworkSettings"]["Networks"][&network]["Aliases"];
    assert!(aliases.as_array().is_some_and(|all| all.contains(&json!("web"))), "{aliases}");
    assert_eq!(engine_get(&format!("/networks/{network}"))["Labels"]["dockmaster.owner"], labels["dockmaster.owner"]);
    sh("docker", &["exec", &tools.called("web"), "nslookup", "store"]);
    let healthy = jiff::SignedDuration::from_millis(900);
    assert!(time(&migrate, "StartedAt") > time(&store, "StartedAt") + healthy, "it waited for the store");
    assert!(time(&web, "StartedAt") >= time(&migrate, "FinishedAt"), "it waited for the migration");

    let status = world.ask("/docker_status").await.text;
    for told in ["web", "store", "migrate", "done", "→8080"] {
        assert!(status.contains(told), "{told}:\n{status}");
    }
    assert!(!status.contains("pending"), "{status}");
    let log = world.ask(&format!("/docker_logs {}/store", tools.name)).await.text;
    assert!(log.contains("hunter2"), "{log}");

    // What is stopped is kept, and comes back as it was.
    let before = ids(tools);
    let (plan, outcome) = carry_out(&world, "/docker_stop").await;
    good(&outcome);
    assert!(plan.text.contains("Stop: store, web"), "{}", plan.text);
    assert_eq!(ids(tools), before, "kept");
    assert!(tools.stand().values().all(|(_, runs)| !runs));
    let status = world.ask("/docker_status").await.text;
    assert!(status.contains("stopped"), "{status}");
    let (plan, outcome) = carry_out(&world, "/docker_start").await;
    good(&outcome);
    assert!(plan.text.contains("store: start\nweb: start") && plan.text.contains("migrate stays: ended with code 0"), "{}", plan.text);
    assert_eq!(ids(tools), before, "nothing was made anew");
    let (_, outcome) = carry_out(&world, "/docker_restart").await;
    good(&outcome);
    assert_eq!(ids(tools), before);
    let again = world.ask("/docker_start").await.text;
    assert!(again.starts_with("Nothing to start"), "{again}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_instances_as_are_wanted_and_no_more_is_made_than_is_missing() {
    let fixture = Fixture::of_services(json!({ "web": plain(SERVES, json!({ "ports": { "8080": "auto" } })) }));
    let mut world = World::start(fixture).await;
    good(&carry_out(&world, "/docker_start").await.1);
    let one = ids(&world.fixtures[0]);
    assert_eq!(one.keys().collect::<Vec<_>>(), ["web"]);
    world.reconfigure("/services/web/instances", json!(3)).await;
    let status = world.ask("/docker_status").await.text;
    assert!(status.contains("pending"), "{status}");
    let (plan, outcome) = carry_out(&world, "/docker_start").await;
    good(&outcome);
    assert!(plan.text.contains("1 of 3 instances there"), "{}", plan.text);
    let three = ids(&world.fixtures[0]);
    assert_eq!(three.keys().collect::<Vec<_>>(), ["web-1", "web-2", "web-3"]);
    assert_eq!(three["web-1"], one["web"], "the one that was there is one of them");
    world.reconfigure("/services/web/instances", json!(5)).await;
    let (plan, outcome) = carry_out(&world, "/docker_start").await;
    good(&outcome);
    assert!(plan.text.contains("3 of 5 instances there"), "{}", plan.text);
    let five = ids(&world.fixtures[0]);
    assert_eq!(five.keys().collect::<Vec<_>>(), ["web-1", "web-2", "web-3", "web-4", "web-5"]);
    assert!(three.iter().all(|(name, id)| five[name] == *id), "{three:?} {five:?}");
    // One that somebody removed is made again, and nothing else.
    sh("docker", &["rm", "-f", &world.fixtures[0].called("web-4")]);
    let (plan, outcome) = carry_out(&world, "/docker_start").await;
    good(&outcome);
    assert!(plan.text.contains("4 of 5 instances there"), "{}", plan.text);
    let again = ids(&world.fixtures[0]);
    assert_eq!(again.iter().filter(|(name, id)| five[*name] != **id).map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["web-4"]);
    // Of fewer, those beyond stay as they are and are in nobody's way.
    world.fixtures[0].set("/services/web/instances", json!(2));
    world.configure(&world.projects_json());
    // In either order.
    let told = [world.next().await.text, world.next().await.text];
    assert!(["web has 2 instances now", "onfiguration"].iter().all(|part| told.iter().any(|text| text.contains(part))), "{told:?}");
    world.reconfigure("/services/web/environment", json!({ "COLOUR": "blue" })).await;
    let (_, outcome) = carry_out(&world, "/docker_start").await;
    good(&outcome);
    let less = ids(&world.fixtures[0]);
    assert!(["web-1", "web-2"].iter().all(|name| less[*name] != again[*name]), "{less:?}");
    let done = world.ask("/docker_start").await.text;
    assert!(done.starts_with("Nothing to start"), "{done}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_keeps_data_is_replaced_only_where_it_is_named() {
    let services = json!({ "web": plain(SERVES, json!({ "depends_on": ["store"] })), "store": checked(SERVES, json!({})) });
    let fixture = Fixture::of_services(services).with(json!({ "stateful": ["store"] }));
    let mut world = World::start(fixture).await;
    let (plan, outcome) = carry_out(&world, "/docker_start").await;
    good(&outcome);
    assert!(plan.text.contains("store: create (new)\nweb: create (new)"), "what is not there keeps no data: {}", plan.text);
    let first = ids(&world.fixtures[0]);
    world.reconfigure("/services/store/environment", json!({ "TUNED": "1" })).await;
    let again = world.ask("/docker_start").await.text;
    assert!(again.starts_with("Nothing to start") && again.contains("pending: definition changed"), "{again}");
    let name = world.fixtures[0].name.clone();
    let (plan, outcome) = carry_out(&world, &format!("/docker_start {name}/STORE")).await;
    good(&outcome);
    assert!(plan.text.contains("store: recreate (definition changed)"), "{}", plan.text);
    let second = ids(&world.fixtures[0]);
    assert!(second["store"] != first["store"] && second["web"] == first["web"]);
    world.reconfigure("/services/store/environment", json!({ "TUNED": "2" })).await;
    let deploy = world.ask("/docker_deploy").await.text;
    assert!(deploy.starts_with("Nothing to deploy"), "{deploy}");
    let (_, outcome) = carry_out(&world, "/docker_deploy with=store").await;
    good(&outcome);
    assert_ne!(ids(&world.fixtures[0])["store"], second["store"]);
    assert!(environment(&world.fixtures[0].seen("store")).contains(&"TUNED=2"));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_dockmasters_on_one_engine_never_take_each_others() {
    let ours = Fixture::of_services(json!({ "web": plain(SERVES, json!({})) }));
    let mut theirs = Fixture::of_services(json!({ "web": plain(SERVES, json!({ "environment": { "WHOSE": "theirs" } })) }));
    theirs.name = ours.name.clone();
    let (first, mut second) = (World::start(ours).await, World::start(theirs).await);
    good(&carry_out(&first, "/docker_start").await.1);
    let before = ids(&first.fixtures[0]);
    let status = second.ask("/docker_status").await.text;
    assert!(status.contains("no container"), "the other one's is none of it: {status}");
    for command in ["/docker_start", "/docker_deploy"] {
        let refused = second.ask(command).await.text;
        assert!(refused.contains("could not be planned"), "nobody is asked to agree to it: {refused}");
        let name = first.fixtures[0].called("web");
        assert!(refused.contains(&format!("There is a container {name} already")) && refused.contains("otherwise"), "{refused}");
    }
    // The network has a name as well.
    second.reconfigure("/services", json!({ "site": plain(SERVES, json!({})) })).await;
    let refused = second.ask("/docker_start").await.text;
    assert!(refused.contains("There is a network") && refused.contains("this dockmaster has not made"), "{refused}");
    let answer = second.ask("/docker_stop").await.text;
    assert!(answer.contains("has no containers"), "{answer}");
    assert_eq!(ids(&first.fixtures[0]), before);
    let again = first.ask("/docker_start").await.text;
    assert!(again.starts_with("Nothing to start"), "{again}");
    second.finish().await;
    first.finish().await;
}
