//! Services that dockmaster makes, made anew: when what they are made from changed, and back where that does not come up.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::lifecycle::{carry_out, good, told};
use crate::support::fixture::{image, sh};
use crate::support::made::{SERVES, checked, environment, plain};
use crate::support::proxy::Proxy;
use crate::support::{ADMIN, Fixture, World, long};

/// A running service with a file for its environment.
async fn running(services: Value) -> World {
    let world = World::start(Fixture::of_services(services)).await;
    good(&carry_out(&world, "/docker_start").await.1);
    world
}

fn stand(world: &World) -> BTreeMap<String, (String, bool)> {
    world.fixtures[0].stand()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_is_made_from_now_is_pending_told_and_made_at_the_next_start_or_deploy() {
    let mut fixture = Fixture::of_services(json!({}));
    fixture.write_production("app.env", "COLOUR=red\n");
    let file = fixture.production.join("app.env");
    fixture.set("/services", json!({ "web": checked(SERVES, json!({ "env_file": file })), "other": plain(SERVES, json!({})) }));
    let mut world = World::start(fixture).await;
    good(&carry_out(&world, "/docker_start").await.1);
    let first = stand(&world);
    let variables = |world: &World| environment(&world.fixtures[0].seen("web")).join(" ");

    world.fixtures[0].write_production("app.env", "COLOUR=green\n");
    let status = world.ask("/docker_status").await.text;
    assert_eq!(status.matches("configuration pending: ").count(), 1, "{status}");
    let (plan, outcome) = carry_out(&world, "/docker_start").await;
    good(&outcome);
    told(&plan.text, &["web: recreate (definition changed)", "Bring up web", "Verify web"]);
    assert!(variables(&world).contains("COLOUR=green"));
    let second = stand(&world);
    assert_eq!(second.keys().collect::<Vec<_>>(), ["other", "web"], "nothing is left aside");
    assert!(second["web"] != first["web"] && second["other"] == first["other"]);
    assert!(!world.ask("/docker_status").await.text.contains("pending"));

    world.reconfigure("/services/web/environment", json!({ "COLOUR": "blue" })).await;
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["web: recreate (definition changed)"]);
    assert!(variables(&world).contains("COLOUR=blue"));
    let third = stand(&world);
    assert!(third["web"] != second["web"] && third["other"] == first["other"], "{third:?}");

    // The same name, and another image behind it.
    let name = format!("{}-image", world.fixtures[0].name);
    sh("docker", &["tag", image(), &name]);
    world.reconfigure("/services/web/image", json!(name)).await;
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["web: recreate (definition changed)"]);
    let other = sh("docker", &["commit", "-c", "LABEL a=b", &world.fixtures[0].called("other"), &name]);
    let (plan, outcome) = carry_out(&world, "/docker_start").await;
    good(&outcome);
    told(&plan.text, &["web: recreate", "means another image now"]);
    assert_eq!(world.fixtures[0].seen("web")["Image"].as_str(), Some(other.trim()));
    assert!(world.ask("/docker_deploy").await.text.starts_with("Nothing to deploy"));
    let used = name;
    world.finish().await;
    sh("docker", &["rmi", "-f", &used]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_come_up_gives_way_to_what_was_there() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("127.0.0.1:{}", taken.local_addr().unwrap().port());
    let good_ones = json!({ "web": checked(SERVES, json!({})), "api": plain(SERVES, json!({})) });
    let mut world = running(good_ones).await;
    let before = stand(&world);
    let never = "trap 'exit 0' TERM; echo cannot open the database; while true; do sleep 0.1; done";
    let cases = [
        (plain("echo out of luck; exit 3", json!({})), vec!["rash loop", "out of luck"]),
        (plain("echo gone; exit 4", json!({ "restart": "no" })), vec!["nded with code 4", "gone"]),
        (checked(never, json!({})), vec!["unhealthy", "cannot open the database"]),
        (plain(SERVES, json!({ "ports": { "8080": port } })), vec!["web did not start.", "in use"]),
        (plain(SERVES, json!({ "volumes": { "/no/such/place": "/data" } })), vec!["web could not be made.", "/no/such/place"]),
        (plain(SERVES, json!({ "network": "dmt-no-such-network" })), vec!["web did not start.", "dmt-no-such-network"]),
    ];
    for (n, (broken, words)) in cases.into_iter().enumerate() {
        world.reconfigure("/services/web", broken).await;
        // By turns, and in the long form by both.
        let commands = ["/docker_start", "/docker_deploy"].into_iter().enumerate();
        for (_, command) in commands.filter(|(at, _)| *at == n % 2 || long::asked().is_some()) {
            let (plan, outcome) = carry_out(&world, command).await;
            assert!(outcome.text.starts_with('❌'), "{}", outcome.text);
            told(&plan.text, &["web: recreate (definition changed)"]);
            told(&outcome.text, &words);
            told(&outcome.text, &["Everything was put back: web of", "runs what it ran before"]);
            assert_eq!(stand(&world), before, "{}", outcome.text);
        }
    }
    // What was stopped before is stopped after it, and that is no failure of going back.
    good(&carry_out(&world, "/docker_stop").await.1);
    world.reconfigure("/services/web", plain("echo out of luck; exit 3", json!({}))).await;
    let stopped = stand(&world);
    let (_, outcome) = carry_out(&world, &format!("/docker_start {}/web", world.fixtures[0].name)).await;
    told(&outcome.text, &["❌", "out of luck", "Everything was put back"]);
    assert_eq!(stand(&world), stopped, "{}", outcome.text);
    let (_, outcome) = carry_out(&world, "/docker_start").await;
    told(&outcome.text, &["❌", "out of luck", "Everything was put back", "Started all the same: api."]);
    assert_eq!(stand(&world).values().map(|(_, runs)| *runs).collect::<Vec<_>>(), [true, false]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_and_is_not_well_is_stopped_before_its_successor_starts() {
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("127.0.0.1:{}", free.local_addr().unwrap().port())
    };
    let never = "trap 'exit 0' TERM; while true; do sleep 0.1; done";
    let fixture = Fixture::of_services(json!({ "web": checked(never, json!({ "ports": { "8080": &port } })) }));
    let mut world = World::start(fixture).await;
    let (_, outcome) = carry_out(&world, "/docker_start").await;
    told(&outcome.text, &["❌", "unhealthy"]);
    let before = stand(&world);
    assert!(before["web"].1, "nothing was there to go back to, and it runs");
    world.reconfigure("/services/web", checked(SERVES, json!({ "ports": { "8080": &port } }))).await;
    let (_, outcome) = carry_out(&world, "/docker_start").await;
    good(&outcome);
    let after = stand(&world);
    assert!(after.len() == 1 && after["web"] != before["web"], "{after:?}");
    // Nor can the engine rename what it restarts again and again.
    let looping = |colour: &str| plain("echo out of luck; exit 3", json!({ "environment": { "COLOUR": colour } }));
    good(&carry_out(&world, "/docker_stop").await.1);
    sh("docker", &["rm", &world.fixtures[0].called("web")]);
    world.reconfigure("/services/web", looping("red")).await;
    told(&carry_out(&world, "/docker_start").await.1.text, &["❌", "rash loop"]);
    let before = stand(&world);
    world.reconfigure("/services/web", looping("green")).await;
    let (_, outcome) = carry_out(&world, "/docker_start").await;
    told(&outcome.text, &["❌", "Everything was put back"]);
    assert_eq!(stand(&world).keys().collect::<Vec<_>>(), ["web"]);
    assert_eq!(stand(&world)["web"].0, before["web"].0);
    world.reconfigure("/services/web", plain(SERVES, json!({}))).await;
    good(&carry_out(&world, "/docker_start").await.1);
    assert_eq!(stand(&world).keys().collect::<Vec<_>>(), ["web"]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_added_beside_what_failed_goes_with_it() {
    let mut world = running(json!({ "web": plain(SERVES, json!({})), "pool": plain(SERVES, json!({ "instances": 2 })) })).await;
    let before = stand(&world);
    let broken = plain("echo out of luck; exit 3", json!({ "depends_on": ["cache"] }));
    world
        .reconfigure(
            "/services",
            json!({ "web": broken, "cache": plain(SERVES, json!({})), "pool": plain(SERVES, json!({ "instances": 3 })) }),
        )
        .await;
    let (_, outcome) = carry_out(&world, "/docker_deploy").await;
    told(&outcome.text, &["❌", "out of luck", "Everything was put back"]);
    assert_eq!(stand(&world), before, "{}", outcome.text);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_to_be_undone_that_is_said() {
    let fixture = Fixture::of_services(json!({ "web": plain(SERVES, json!({})) }));
    let deploy = json!({ "stability": "2s", "health_timeout": "20s", "auto_rollback": false });
    let mut world = World::start(fixture.with(json!({ "deploy": deploy }))).await;
    good(&carry_out(&world, "/docker_start").await.1);
    world.reconfigure("/services/web", plain("echo out of luck; exit 3", json!({}))).await;
    let (_, outcome) = carry_out(&world, "/docker_start").await;
    told(&outcome.text, &["❌", "out of luck", "auto_rollback"]);
    assert_eq!(stand(&world).keys().collect::<Vec<_>>(), ["web"]);
    world.reconfigure("/services/web", plain(SERVES, json!({}))).await;
    good(&carry_out(&world, "/docker_start").await.1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_env_file_that_changes_between_plan_and_yes_is_asked_about_again() {
    let mut fixture = Fixture::of_services(json!({}));
    fixture.write_production("app.env", "COLOUR=red\n");
    let file = fixture.production.join("app.env");
    fixture.set("/services", json!({ "web": plain(SERVES, json!({ "env_file": file })) }));
    let world = World::start(fixture).await;
    good(&carry_out(&world, "/docker_start").await.1);
    let before = stand(&world);
    world.fixtures[0].write_production("app.env", "COLOUR=green\n");
    let plan = world.ask("/docker_start").await;
    world.fixtures[0].write_production("app.env", "COLOUR=blue\n");
    world.api.press(ADMIN, ADMIN, plan.id, "Start").unwrap();
    let again = world.next().await;
    assert!(again.text.contains("Something changed since; nothing was done."), "{}", again.text);
    assert_eq!(again.button_texts(), [["Start", "Cancel"]], "it asks again");
    assert_eq!(stand(&world), before);
    good(&world.confirm().await);
    assert!(environment(&world.fixtures[0].seen("web")).contains(&"COLOUR=blue"));
    // One that cannot be read any more is said, without what it holds.
    world.fixtures[0].write_production("app.env", "COLOUR=blue\nhunter2 is secret\n");
    let refused = world.ask("/docker_start").await.text;
    told(&refused, &["app.env", "line 2", "Mend it"]);
    assert!(!refused.contains("hunter2"), "{refused}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_refuses_in_the_middle_of_it_leaves_what_was_there() {
    let proxy = Proxy::start();
    let mut world = World::prepare(vec![Fixture::of_services(json!({ "web": plain(SERVES, json!({ "instances": 2 })) }))], json!({})).await;
    world.docker_host = Some(proxy.host());
    world.boot();
    good(&carry_out(&world, "/docker_start").await.1);
    let before = stand(&world);
    world.reconfigure("/services/web/environment", json!({ "COLOUR": "blue" })).await;
    for request in ["/rename?name=", "/containers/create", "/stop?", "/start "] {
        proxy.refuse(request, 1, "the test says no");
        let (_, outcome) = carry_out(&world, "/docker_start").await;
        assert_eq!(proxy.refused(), 1, "{request}");
        told(&outcome.text, &["❌", "the test says no", "put back"]);
        assert_eq!(stand(&world), before, "{request}: {}", outcome.text);
    }
    good(&carry_out(&world, "/docker_start").await.1);
    assert_eq!(stand(&world).keys().collect::<Vec<_>>(), ["web-1", "web-2"]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_has_written_to_volumes_without_a_name_is_there_in_its_successor() {
    let fixture = Fixture::of_services(json!({}));
    let name = format!("{}-keeps", fixture.name);
    let made = sh("docker", &["create", image(), "sh"]);
    sh("docker", &["commit", "-c", "VOLUME /keep", made.trim(), &name]);
    sh("docker", &["rm", made.trim()]);
    let script = format!("echo kept >>/keep/ledger; {SERVES}");
    let store = |colour: &str| plain(&script, json!({ "image": &name, "environment": { "COLOUR": colour } }));
    let mut fixture = fixture;
    fixture.set("/services", json!({ "store": store("red") }));
    let mut world = World::start(fixture).await;
    good(&carry_out(&world, "/docker_start").await.1);
    for (colour, lines) in [("green", 2), ("blue", 3)] {
        world.reconfigure("/services/store", store(colour)).await;
        good(&carry_out(&world, "/docker_start").await.1);
        let ledger = sh("docker", &["exec", &world.fixtures[0].called("store"), "cat", "/keep/ledger"]);
        assert_eq!(ledger.lines().count(), lines, "{ledger}");
    }
    world.finish().await;
    sh("docker", &["rmi", "-f", &name]);
}
