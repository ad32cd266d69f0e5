//! The restart strategies on a real engine: replicas, one-shots, no health check, a slow start, a crash loop, never healthy;
//! what a dependency that is down means, and what is tried again.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::lifecycle::{carry_out, good};
use crate::support::fixture::{engine_get, healthy_service, plain_service, service};
use crate::support::proxy::Proxy;
use crate::support::{ADMIN, Fixture, World};

/// A service that is well the first time that its container starts, and does this from the second time on.
fn once_well(then: &str) -> String {
    format!("if test -e /ran; then {then}; else touch /ran /tmp/well; fi; while true; do sleep 1; done")
}

/// A container, as the engine has it.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    name: String,
    service: String,
    runs: bool,
    finished: Timestamp,
    started: Timestamp,
}

/// The containers of a project by name, without its own name before theirs.
fn seen(shop: &Fixture) -> Vec<Seen> {
    let read = |(service, id, _): (String, String, String)| {
        let all = engine_get(&format!("/containers/{id}/json"));
        let time = |what: &str| all["State"][what].as_str().unwrap().parse().unwrap();
        Seen {
            name: all["Name"].as_str().unwrap().trim_start_matches(&format!("/{}-", shop.name)).to_owned(),
            service,
            runs: all["State"]["Running"] == Value::Bool(true),
            finished: time("FinishedAt"),
            started: time("StartedAt"),
        }
    };
    let mut all: Vec<Seen> = shop.containers().into_iter().map(read).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn of<'a>(all: &'a [Seen], name: &str) -> &'a Seen {
    all.iter().find(|c| c.name == name).unwrap_or_else(|| panic!("no {name} in {all:?}"))
}

fn tells(text: &str, all: &[&str]) {
    for told in all {
        assert!(text.contains(told), "{told:?} is not told: {text}");
    }
}

/// How long after a refusal it is waited for the word that it is tried again.
const SHOWN_WITHIN: std::time::Duration = std::time::Duration::from_secs(12);

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_takes_one_container_after_another_and_leaves_the_rest_at_the_first_failure() {
    let replicas = "deploy: { replicas: 2 }";
    let bad = once_well("echo out of luck; rm -f /tmp/well");
    let services = [
        ("api", healthy_service("depends_on: { job: { condition: service_completed_successfully } }")),
        ("bare", plain_service("while true; do sleep 1; done", "")),
        ("job", plain_service("echo done", "")),
        ("web", healthy_service(&format!("{replicas}, depends_on: [api]"))),
        ("worse", service(&bad, &format!("{replicas}, depends_on: [web]"))),
        ("zoo", healthy_service("depends_on: [worse]")),
    ];
    let fixture = Fixture::new(&services).with(json!({ "restart": { "strategy": "rolling", "stop_timeout": "2s" } }));
    fixture.compose(&["up", "-d"]);
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    crate::support::eventually("all are well", async || shop.compose(&["ps", "--format", "json"]).matches("(healthy)").count() == 6).await;

    let before = seen(shop);
    let (plan, outcome) = carry_out(&world, "/docker_restart").await;
    tells(
        &plan.text,
        &[
            "Steps (rolling):\n1. Restart api\n2. Restart bare\n3. Restart web\n4. Restart worse\n5. Restart zoo",
            "job stays: ended with code 0",
        ],
    );
    let (one, two) = (format!("{}-worse-1", shop.name), format!("{}-worse-2", shop.name));
    tells(
        &outcome.text,
        &[
            "❌",
            "shop is partly restarted. Restarted: api, bare, ",
            &format!("Left as it was: zoo, {two}."),
            &format!("🔴 {one}: unhealthy"),
            "out of luck",
        ],
    );
    let after = seen(shop);
    let order = ["api-1", "bare-1", "web-1", "web-2", "worse-1"];
    for pair in order.windows(2) {
        let (first, next) = (of(&after, pair[0]), of(&after, pair[1]));
        assert!(next.finished > first.started, "{} is taken down only when {} is up again: {after:?}", pair[1], pair[0]);
    }
    // Without a health check it has to run for the window first.
    let waited = of(&after, "web-1").finished.duration_since(of(&after, "bare-1").started);
    assert!(waited.as_millis() >= 1_000, "{waited:?}");
    for name in ["job-1", "worse-2", "zoo-1"] {
        assert_eq!(of(&after, name), of(&before, name), "is left as it was");
    }
    // One service alone goes like that, too.
    let (_, outcome) = carry_out(&world, "/docker_restart shop/web rolling").await;
    good(&outcome);
    let after = seen(shop);
    assert!(of(&after, "web-2").finished > of(&after, "web-1").started, "{after:?}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_dependency_each_waits_for_what_it_asks_for_and_everything_comes_back_whatever_happens() {
    let slow = "sleep 3; touch /tmp/well; while true; do sleep 1; done".replace("sleep 3", "rm -f /tmp/well; sleep 3");
    let looping = once_well("exit 5");
    let services = [
        ("web", healthy_service("depends_on: { slow: { condition: service_healthy } }")),
        ("quick", healthy_service("depends_on: { slow: { condition: service_started } }")),
        ("slow", service(&slow, "").replace("start_period: 2s", "start_period: 20s")),
        ("front", healthy_service("depends_on: { looping: { condition: service_started } }")),
        ("looping", plain_service(&looping, "restart: always")),
        ("sick", service(&once_well("rm -f /tmp/well"), "")),
        ("last", healthy_service("depends_on: { sick: { condition: service_healthy } }")),
    ];
    let of_these = |names: &[&str]| services.iter().filter(|(name, _)| names.contains(name)).cloned().collect::<Vec<_>>();
    let fixtures = [&["web", "quick", "slow"][..], &["front", "looping"], &["sick", "last"]].map(|names| Fixture::up(&of_these(names)));
    let world = World::start_with(fixtures.into(), json!({ "default_project": "shop" })).await;

    // A slow start: who asks for health waits for it, and who does not still starts in its own turn.
    let (plan, outcome) = carry_out(&world, "/docker_restart").await;
    good(&outcome);
    tells(&plan.text, &["1. Stop quick, web\n2. Stop slow\n3. Start slow\n4. Start quick, web\n5. Verify slow, quick, web"]);
    let all = seen(&world.fixtures[0]);
    let (web, slow) = (of(&all, "web-1"), of(&all, "slow-1"));
    assert!(web.finished <= slow.finished, "{all:?}");
    assert!(web.started.duration_since(slow.started).as_millis() >= 3_000, "{all:?}");

    // A crash loop is enough to be started, and is told at the end; never healthy is told as soon as it is seen.
    for (project, at, told) in [("edge", 1, "🔴 looping: crash loop"), ("third", 2, "🔴 sick: unhealthy")] {
        let (_, outcome) = carry_out(&world, &format!("/docker_restart {project}")).await;
        tells(&outcome.text, &["❌", told]);
        let all = seen(&world.fixtures[at]);
        let dependant = all.iter().find(|c| ["front", "last"].contains(&c.service.as_str())).unwrap();
        assert!(dependant.runs, "what was stopped is started again: {all:?}\n{}", outcome.text);
        // A crash loop may have ended the watching before.
        if project == "third" {
            tells(&outcome.text, &["🟢 last: healthy after"]);
        }
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_restart_starts_all_the_same_what_did_not_stop_and_says_so() {
    let proxy = Proxy::start();
    let services = [("web", healthy_service("depends_on: [api]")), ("api", healthy_service(""))];
    let mut world = World::prepare(vec![Fixture::up(&services)], json!({ "default_project": "shop" })).await;
    world.docker_host = Some(proxy.host());
    world.boot();
    let shop = &world.fixtures[0];
    let before = seen(shop);
    let (id, _) = shop.container("web");
    proxy.refuse(&format!("/containers/{id}/stop"), 9, "cannot stop container: permission denied");
    let (plan, outcome) = carry_out(&world, "/docker_restart shop graceful").await;
    tells(&plan.text, &["Steps (graceful):\n1. Stop api, web\n2. Start api\n3. Start web\n4. Verify api, web"]);
    tells(
        &outcome.text,
        &["❌ Restart of shop failed", "shop runs; what did not stop was not restarted.", "web did not stop.", "permission denied"],
    );
    tells(&outcome.text, &["🟢 api: healthy after", "🟢 web: healthy after"]);
    assert_eq!(proxy.refused(), 1, "what does not pass is not tried again");
    let after = seen(shop);
    assert_eq!(of(&after, "web-1"), of(&before, "web-1"));
    assert!(of(&after, "api-1").started > of(&before, "api-1").started && after.iter().all(|c| c.runs), "{after:?}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_depends_on_something_that_is_down_is_left_as_it_is_unless_forced() {
    let services = [
        ("web", healthy_service("depends_on: { api: { condition: service_healthy }, job: { condition: service_completed_successfully } }")),
        ("api", healthy_service("depends_on: [postgres]")),
        ("postgres", healthy_service("")),
        ("job", plain_service("echo done", "")),
    ];
    let fixture = Fixture::new(&services).with(json!({ "stateful": ["postgres"] }));
    fixture.compose(&["up", "-d"]);
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    good(&carry_out(&world, "/docker_restart").await.1);
    good(&carry_out(&world, "/docker_stop shop/postgres").await.1);
    let before = seen(shop);
    for (asked, again) in
        [("/docker_restart", "/docker_restart shop force."), ("/docker_restart shop/api graceful", "/docker_restart shop/api force.")]
    {
        let refused = world.ask(asked).await;
        assert!(refused.button_texts().is_empty(), "{}", refused.text);
        tells(&refused.text, &["api depends on postgres, which is down (ended with code ", "/docker_start shop/postgres", again]);
    }
    assert_eq!(seen(shop), before, "nothing was touched");
    let (plan, outcome) = carry_out(&world, "/docker_restart shop force").await;
    tells(&plan.text, &["⚠️ api depends on postgres, which is down"]);
    good(&outcome);
    assert!(!of(&seen(shop), "postgres-1").runs, "it is still none of those that are meant");
    // What it takes is named, and does it.
    good(&carry_out(&world, "/docker_stop").await.1);
    tells(&world.ask("/docker_start shop/web").await.text, &["web depends on api, which is down", "/docker_start shop/api"]);
    tells(&world.ask("/docker_start").await.text, &["api depends on postgres, which is down", "/docker_start shop force."]);
    for service in ["postgres", "api", "web"] {
        good(&carry_out(&world, &format!("/docker_start shop/{service}")).await.1);
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_pass_is_tried_again_where_it_can_be_seen() {
    let proxy = Proxy::start();
    let mut world = World::prepare(vec![Fixture::up(&[("web", healthy_service(""))])], json!({ "default_project": "shop" })).await;
    world.docker_host = Some(proxy.host());
    world.boot();
    let mut seen = false;
    // By the engine, and by Compose, which calls the engine itself; made anew, too.
    for (target, made) in [("shop/web", false), ("shop", false), ("shop/web", true)] {
        good(&carry_out(&world, &format!("/docker_stop {target}")).await.1);
        if made {
            world.fixtures[0].compose(&["rm", "-f", "web"]);
        }
        world.ask(&format!("/docker_start {target}")).await;
        proxy.refuse("/start", 1, "driver failed programming external connectivity: Bind for 0.0.0.0:80 failed: port is already allocated");
        world.say("yes");
        let progress = world.next().await;
        let again = |text: &str| text.contains("port is already allocated; attempt 2 of 3");
        // A frame may be skipped where the chat was busy a moment ago: it is to be seen in one of them.
        let shown = world.api.wait_until(ADMIN, progress.id, SHOWN_WITHIN, |m| again(&m.text));
        let (shown, outcome) = tokio::join!(shown, world.outcome(ADMIN));
        seen |= shown.is_ok();
        good(&outcome);
        assert_eq!(proxy.refused(), 1, "{target}");
    }
    assert!(seen, "that it is tried again was never shown");
    // Three attempts, and no more.
    good(&carry_out(&world, "/docker_stop").await.1);
    proxy.refuse("/start", 9, "device or resource busy");
    let (_, outcome) = carry_out(&world, "/docker_start shop/web").await;
    tells(&outcome.text, &["❌", "web did not start.", "device or resource busy"]);
    assert_eq!(proxy.refused(), 3);
    // What does not pass fails at once.
    proxy.refuse("/start", 9, "exec: \"serve\": executable file not found in $PATH");
    let (_, outcome) = carry_out(&world, "/docker_start").await;
    tells(&outcome.text, &["❌", "executable file not found"]);
    assert_eq!(proxy.refused(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn named_containers_that_compose_made_keep_the_order_that_their_services_ask_for() {
    let shop =
        Fixture::up(&[("web", healthy_service("depends_on: { api: { condition: service_healthy } }")), ("api", healthy_service(""))]);
    let names = [format!("{}-web-1", shop.name), format!("{}-api-1", shop.name)];
    let named = json!({ "compose": null, "workspace": null, "production": null, "deploy": null, "containers": names });
    // The compose project is not configured itself: what it made would be its own then.
    let world = World::start(Fixture::new(&[]).with(named)).await;
    let (plan, outcome) = carry_out(&world, "/docker_restart").await;
    good(&outcome);
    let [web, api] = &names;
    tells(&plan.text, &[&format!("1. Stop {web}\n2. Stop {api}\n3. Start {api}\n4. Start {web}\n5. Verify {api}, {web}")]);
    let all = seen(&shop);
    let (web, api) = (of(&all, "web-1"), of(&all, "api-1"));
    assert!(web.finished <= api.finished && web.started > api.started, "{all:?}");
    good(&carry_out(&world, "/docker_stop shop").await.1);
    let (plan, outcome) = carry_out(&world, "/docker_start shop").await;
    good(&outcome);
    tells(&plan.text, &[&format!("1. Start {}\n2. Start {}", names[1], names[0])]);
    world.finish().await;
}
