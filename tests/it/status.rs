//! How projects stand, from the engine to the chat.

use serde_json::json;

use crate::support::fixture::{compose_file, engine_get, healthy_service, plain_service, service};
use crate::support::world::{OPERATOR, VIEWER};
use crate::support::{ADMIN, Fixture, PATIENCE, World, eventually};

const SERVES: &str = "while true; do sleep 1; done";

/// A status that is asked for until it has something, because that is measured in the background.
async fn status_with(world: &World, text: &str, wanted: &str) -> String {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let answer = world.ask(text).await.text;
        if answer.contains(wanted) {
            return answer;
        }
        assert!(tokio::time::Instant::now() < deadline, "never {wanted:?}:\n{answer}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

/// The paragraph of one service.
fn paragraph<'a>(status: &'a str, service: &str) -> &'a str {
    let found = status.split("\n\n").find(|p| p.lines().next().is_some_and(|l| l.split(' ').nth(1) == Some(service)));
    found.unwrap_or_else(|| panic!("no paragraph of {service}:\n{status}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_is_shown_with_all_that_matters() {
    let services = [
        ("alpha", healthy_service("")),
        ("web", healthy_service("ports: [\"127.0.0.1::8000\"], expose: [\"9000\"]")),
        ("postgres", healthy_service("")),
        ("job", plain_service("echo done", "restart: \"no\"")),
        ("sick", service(SERVES, "")),
        ("loop", plain_service("sleep 0.2; exit 7", "restart: always")),
    ];
    let fixture = Fixture::new(&services).with(json!({ "stateful": ["postgres"], "primary": "web", "description": "Web <shop> & co" }));
    fixture.compose(&["up", "-d"]);
    // The files are ahead of what runs: another definition, and a service that was never brought up.
    let mut changed = services.to_vec();
    changed[0].1 = healthy_service("environment: { NEW: \"1\" }");
    changed.push(("new", healthy_service("")));
    fixture.write_production("docker-compose.yml", &compose_file(&changed));
    fixture.write("docker-compose.yml", &compose_file(&changed));
    fixture.write("page", "new\n");
    let id = fixture.container("sick").0;
    eventually("sick is unhealthy", async || {
        engine_get(&format!("/containers/{id}/json")).pointer("/State/Health/Status") == Some(&json!("unhealthy"))
    })
    .await;
    let id = fixture.container("loop").0;
    eventually("loop was restarted", async || {
        engine_get(&format!("/containers/{id}/json"))["RestartCount"].as_i64().is_some_and(|n| n > 1)
    })
    .await;
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];

    let status = status_with(&world, "/docker_status", "ahead").await;
    assert!(status.starts_with("shop · Web <shop> & co\n3 of 6 up, 1 done, configuration pending for 1"), "{status}");
    let order: Vec<&str> = status.split("\n\n").skip(1).filter_map(|p| p.lines().next()?.split(' ').nth(1)).take(7).collect();
    assert_eq!(order, ["web", "alpha", "job", "loop", "new", "postgres", "sick"], "the primary first, then by name");
    let port = engine_get(&format!("/containers/{}/json", shop.container("web").0));
    let port = port.pointer("/NetworkSettings/Ports/8000~1tcp/0/HostPort").unwrap().as_str().unwrap().to_owned();
    let web = paragraph(&status, "web");
    assert!(web.starts_with("🟢 web (primary)\nup ") && web.contains(", healthy\n"), "{web}");
    assert!(web.contains(&format!("ports 127.0.0.1:{port}→8000, 9000 (inside)")), "{web}");
    assert!(web.contains("image dockmaster-test-busybox"), "{web}");
    assert!(paragraph(&status, "alpha").contains("configuration pending"), "{status}");
    assert!(paragraph(&status, "postgres").starts_with("🟢 postgres (keeps data)\n"), "{status}");
    assert!(!paragraph(&status, "postgres").contains("pending"), "{status}");
    let job = paragraph(&status, "job");
    assert!(job.starts_with("▫️ job\ndone: ended ") && job.contains("with code 0"), "{job}");
    assert!(paragraph(&status, "sick").starts_with("🔴 sick\nup ") && paragraph(&status, "sick").contains(", unhealthy"), "{status}");
    let looping = paragraph(&status, "loop");
    assert!(looping.contains(" restarts") && !looping.starts_with("🟢"), "a crash loop is never shown as fine:\n{looping}");
    assert!(paragraph(&status, "new").starts_with("🔴 new\nno container"), "{status}");
    assert!(status.contains("Workspace: 1 file ahead (measured "), "{status}");
    for path in [&shop.workspace, &shop.production] {
        assert!(status.contains(path.to_str().unwrap()), "{status}");
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn buttons_are_those_that_the_person_may_press() {
    let world = World::start(Fixture::new(&[("web", healthy_service(""))])).await;
    world.fixtures[0].compose(&["up", "-d", "--wait"]);
    for (who, buttons) in [(ADMIN, vec!["Logs", "Restart", "Deploy"]), (OPERATOR, vec!["Logs", "Restart"]), (VIEWER, vec!["Logs"])] {
        world.api.say(who, who, "/docker_status");
        let status = world.next_in(who).await;
        assert_eq!(status.button_texts(), [buttons]);
        world.api.press(who, who, status.id, "Logs").unwrap();
        let logs = world.next_in(who).await;
        assert!(logs.text.contains("ready"), "{}", logs.text);
    }
    // A release, and with it nothing that is ahead.
    world.ask("/docker_deploy").await;
    // Nothing differs, so that there is nothing to deploy.
    let status = world.ask("/docker_status").await;
    assert!(status.text.contains("1 of 1 up"), "{}", status.text);
    world.api.press(ADMIN, ADMIN, status.id, "Restart").unwrap();
    let plan = world.next().await;
    assert_eq!(plan.button_texts(), [["Restart", "Cancel"]]);
    world.say("no");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_projects_get_a_line_and_a_button_each() {
    let label = format!("dmt.role=certbot-{}", std::process::id());
    let labelled = |name: &str| plain_service(SERVES, &format!("labels: [{:?}], container_name: {name}", label));
    let names = [format!("dmt-one-{}", std::process::id()), format!("dmt-two-{}", std::process::id())];
    // A compose project that is not configured: what it made is whoever's selects it, and each container only one's.
    let others = Fixture::new(&[("one", labelled(&names[0])), ("two", labelled(&names[1]))]);
    let shop = Fixture::new(&[("web", plain_service(SERVES, "")), ("api", plain_service(SERVES, ""))]);
    for project in [&others, &shop] {
        project.compose(&["up", "-d"]);
    }
    let gone = format!("dmt-gone-{}", std::process::id());
    let named = json!({ "compose": null, "workspace": null, "production": null, "deploy": null });
    let edge = Fixture::new(&[]).with(named.clone()).with(json!({ "containers": [names[0], gone], "primary": gone }));
    let third = Fixture::new(&[]).with(named).with(json!({ "containers": [{ "label": label }] }));
    let world = World::start_with(vec![shop, edge, third], json!({})).await;
    let all = world.ask("/docker_status").await;
    assert_eq!(all.text, "🟡 edge: 1 of 2 up\n🟢 shop: all 2 up\n🟢 third: 1 of 1 up");
    assert_eq!(all.button_texts(), [["edge", "shop", "third"]]);
    world.api.press(ADMIN, ADMIN, all.id, "edge").unwrap();
    let edge = world.next().await;
    let first = paragraph(&edge.text, &gone);
    assert!(first.starts_with(&format!("🔴 {gone} (primary)\nno container")), "{}", edge.text);
    assert!(paragraph(&edge.text, &names[0]).contains("\nup "), "{}", edge.text);
    assert_eq!(edge.button_texts(), [["Logs", "Restart"]], "containers that somebody else made are not deployed");
    let third = world.ask("/docker_status THIRD").await;
    assert!(third.text.starts_with("third\n1 of 1 up"), "{}", third.text);
    assert_eq!(world.ask("/docker_status all").await.text, all.text);
    // What stops is no longer up, though it ended with success.
    others.compose(&["stop", "-t", "1"]);
    assert!(world.ask("/docker_status third").await.text.starts_with("third\n0 of 1 up"), "{:?}", world.texts(ADMIN));
    world.finish().await;
}

/// `db` is hexadecimal: the engine would take it for the beginning of an id, and so for anybody's container.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_never_taken_for_the_beginning_of_an_id() {
    let strangers = Fixture::new(&[("web", plain_service(SERVES, ""))]);
    strangers.compose(&["up", "-d"]);
    let id = strangers.container("web").0;
    let named = json!({ "compose": null, "workspace": null, "production": null, "deploy": null, "containers": [id[..12]] });
    let world = World::start_with(vec![Fixture::new(&[]).with(named), strangers], json!({ "default_project": "shop" })).await;
    let status = world.ask("/docker_status").await.text;
    assert!(status.contains(&format!("🔴 {}\nno container", &id[..12])), "{status}");
    let restart = world.ask("/docker_restart").await.text;
    assert!(restart.contains("no containers"), "{restart}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_containers_are_all_there() {
    let fixture = Fixture::new(&[("many", plain_service(SERVES, "network_mode: none"))]);
    fixture.compose(&["up", "--no-start", "--scale", "many=200"]);
    let world = World::start(fixture).await;
    world.say("/docker_status");
    let mut parts = vec![world.next().await];
    while parts.last().is_some_and(|p| p.buttons.is_empty()) {
        parts.push(world.next().await);
    }
    assert!(parts.len() > 1, "it spans several messages");
    let all: String = parts.iter().map(|p| format!("{}\n", p.text)).collect();
    for n in 1..=200 {
        let name = format!("{}-many-{n}\n", world.fixtures[0].name);
        assert_eq!(all.matches(&name).count(), 1, "{name}");
    }
    assert!(all.contains("0 of 200 up"), "{}", parts[0].text);
    world.finish().await;
}
