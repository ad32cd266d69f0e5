//! Starting, stopping and restarting, from the chat to the engine, and what is said of it.

use dockmaster::sandbox::bot_api::Message;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::fixture::{engine_get, healthy_service, plain_service, service};
use crate::support::proxy::Proxy;
use crate::support::world::{OPERATOR, VIEWER};
use crate::support::{ADMIN, Fixture, World, eventually};

const SERVES: &str = "while true; do sleep 1; done";
/// Takes no notice of being asked to end.
const STUBBORN: &str = "trap '' TERM; while true; do sleep 1; done";

fn shop() -> Fixture {
    let needs = |what: &str| healthy_service(&format!("depends_on: {{ {what}: {{ condition: service_healthy }} }}"));
    let services = [("web", needs("api")), ("api", needs("postgres")), ("postgres", healthy_service("")), ("extra", healthy_service(""))];
    Fixture::up(&services).with(json!({ "stateful": ["postgres"], "primary": "web" }))
}

/// When a service's container ended last and began last.
#[derive(Debug)]
struct Times {
    finished: Timestamp,
    started: Timestamp,
}

impl Times {
    /// The earliest that it can have been seen as healthy: its check does not run before.
    fn healthy(&self) -> Timestamp {
        self.started + jiff::SignedDuration::from_millis(200)
    }
}

fn times(fixture: &Fixture, service: &str) -> Times {
    let seen = engine_get(&format!("/containers/{}/json", fixture.container(service).0));
    let time = |value: &Value| value.as_str().unwrap().parse().unwrap();
    Times { finished: time(&seen["State"]["FinishedAt"]), started: time(&seen["State"]["StartedAt"]) }
}

pub(crate) fn good(outcome: &Message) {
    assert!(outcome.text.starts_with('✅'), "{}", outcome.text);
}

/// Checks that a text has all of these parts.
pub(crate) fn told(text: &str, all: &[&str]) {
    for told in all {
        assert!(text.contains(told), "{told:?} is not told:\n{text}");
    }
}

/// Asks for an operation and confirms it; the plan and the outcome.
pub(crate) async fn carry_out(world: &World, text: &str) -> (Message, Message) {
    let plan = world.ask(text).await;
    assert!(plan.text.contains("or type yes"), "{}", plan.text);
    (plan, world.confirm().await)
}

#[tokio::test(flavor = "multi_thread")]
async fn strategies_differ_in_the_order_of_what_they_do() {
    let world = World::start(shop()).await;
    let shop = &world.fixtures[0];
    let store = shop.container("postgres");

    let (plan, outcome) = carry_out(&world, "/docker_restart").await;
    good(&outcome);
    let steps = "Steps (dependency):\n1. Stop web\n2. Stop api, extra\n3. Start api, extra\n4. Start web\n5. Verify api, extra, web";
    assert!(plan.text.contains(steps), "{}", plan.text);
    assert!(plan.text.contains("postgres stays: keeps data; name it to include it"), "{}", plan.text);
    let (api, web) = (times(shop, "api"), times(shop, "web"));
    assert!(web.finished <= api.finished && web.started > api.healthy(), "down from the top, up from the bottom: {api:?} {web:?}");

    let (_, outcome) = carry_out(&world, "/docker_restart shop graceful").await;
    good(&outcome);
    let (api, web) = (times(shop, "api"), times(shop, "web"));
    assert!(web.finished < api.started && web.started > api.healthy(), "all down, and then up from the bottom: {api:?} {web:?}");

    let (plan, outcome) = carry_out(&world, "/docker_restart Shop ROLLING").await;
    good(&outcome);
    assert!(plan.text.contains("1. Restart api\n2. Restart extra\n3. Restart web"), "{}", plan.text);
    let (api, extra, web) = (times(shop, "api"), times(shop, "extra"), times(shop, "web"));
    assert!(extra.finished > api.healthy() && web.finished > extra.healthy(), "one at a time: {api:?} {extra:?} {web:?}");

    let (_, outcome) = carry_out(&world, "/docker_restart immediate").await;
    good(&outcome);
    let (api, web) = (times(shop, "api"), times(shop, "web"));
    assert!(web.finished < api.healthy() && api.finished < web.healthy(), "all at once: {api:?} {web:?}");

    assert_eq!(shop.container("postgres"), store, "the store was never touched");
    let (plan, outcome) = carry_out(&world, "/docker_restart shop/POSTGRES").await;
    good(&outcome);
    assert!(plan.text.contains("Restart: postgres") && plan.text.contains("api depends on postgres"), "{}", plan.text);
    assert_ne!(shop.container("postgres"), store, "named, it takes part");

    let history = world.ask("/docker_history").await.text;
    let what: Vec<&str> = history.lines().filter(|l| l.starts_with('✅')).collect();
    assert_eq!(what.len(), 5, "{history}");
    assert!(what[0].starts_with("✅ restart shop/postgres · #5") && what[4].starts_with("✅ restart shop · #1"), "{history}");
    assert!(history.lines().filter(|l| l.contains(" · Ann · done in ")).count() == 5, "{history}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stopped_is_started_again() {
    // A service that ends well when it is told to, and that nobody restarts: it looks like a job that is done.
    let polite = plain_service("trap 'exit 0' TERM; echo serving; while true; do sleep 0.1; done", "");
    let needs = healthy_service("restart: always, depends_on: { api: { condition: service_healthy } }");
    let migrate = "depends_on: { migrate: { condition: service_completed_successfully } }";
    let services = [
        ("web", needs),
        ("api", healthy_service(migrate)),
        ("polite", polite),
        ("migrate", plain_service("echo migrated", "")),
        ("postgres", healthy_service("")),
    ];
    let fixture = Fixture::new(&services).with(json!({ "stateful": ["postgres"] }));
    fixture.compose(&["up", "-d"]);
    eventually("polite serves", async || fixture.compose(&["logs", "polite"]).contains("serving")).await;
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    let state = |service: &str| {
        engine_get(&format!("/containers/{}/json", shop.container(service).0))["State"]["Status"].as_str().unwrap().to_owned()
    };
    let migrated = shop.container("migrate");

    let (plan, outcome) = carry_out(&world, "/docker_stop").await;
    good(&outcome);
    assert!(plan.text.contains("Stop: api, polite, web") && plan.text.contains("postgres stays"), "{}", plan.text);
    assert!(outcome.text.contains("🟢 web: stopped"), "{}", outcome.text);
    assert!(times(shop, "web").finished <= times(shop, "api").finished, "what depends on others goes first");
    let states = ["web", "api", "polite", "postgres"].map(state);
    assert_eq!(states, ["exited", "exited", "exited", "running"]);
    let again = world.ask("/docker_stop").await.text;
    assert!(again.starts_with("Nothing to stop"), "{again}");
    let status = world.ask("/docker_status").await.text;
    assert!(status.contains("\n1 of 4 up, 1 done") && status.contains("▫️ polite\nstopped by Ann "), "{status}");

    let (plan, outcome) = carry_out(&world, "/docker_start").await;
    good(&outcome);
    assert!(plan.text.contains("Start: api, polite, web"), "{}", plan.text);
    assert!(plan.text.contains("migrate stays: ended with code 0; name it to run it again"), "{}", plan.text);
    assert!(!plan.text.contains("⚠️"), "what was stopped is no surprise: {}", plan.text);
    assert_eq!(["web", "api", "polite", "postgres"].map(state), ["running"; 4]);
    assert_eq!(shop.container("migrate"), migrated, "a job that is done is left alone");
    let again = world.ask("/docker_start").await.text;
    assert!(again.starts_with("Nothing to start"), "{again}");

    // One service, in any case; and only that one.
    let before = shop.container("web");
    let (_, outcome) = carry_out(&world, "/docker_stop SHOP/Polite").await;
    good(&outcome);
    assert_eq!((state("polite").as_str(), shop.container("web")), ("exited", before));
    // A frozen container is thawed.
    good(&carry_out(&world, "/docker_start shop/polite").await.1);
    shop.compose(&["pause", "polite"]);
    let (plan, outcome) = carry_out(&world, "/docker_start shop/polite").await;
    good(&outcome);
    assert!(plan.text.contains("Start: polite"), "{}", plan.text);
    assert_eq!(state("polite"), "running");
    let (plan, outcome) = carry_out(&world, "/docker_start shop/migrate").await;
    good(&outcome);
    assert!(plan.text.contains("Start: migrate") && outcome.text.contains("migrate: done (ended with code 0)"), "{}", outcome.text);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_come_up_is_told_with_the_lines_that_say_why() {
    // Each of these is well the first time, and not the second.
    let sick = format!("if test -e /ran; then rm -f /tmp/well; echo cannot find the '<database>'; else touch /ran /tmp/well; fi; {SERVES}");
    let dying = format!("if test -e /ran; then sleep 1; echo out of luck; exit 3; fi; touch /ran; {SERVES}");
    let looping = format!("if test -e /ran; then echo round and round; exit 5; fi; touch /ran; {SERVES}");
    let services = [
        ("sick", service(&sick, "")),
        ("dying", plain_service(&dying, "")),
        ("looping", plain_service(&looping, "restart: always")),
        ("failing", plain_service(&looping, "restart: \"on-failure:1\"")),
        ("job", plain_service("echo job done", "restart: on-failure")),
    ];
    let fixture = Fixture::new(&services);
    fixture.compose(&["up", "-d"]);
    let health = async || {
        engine_get(&format!("/containers/{}/json", fixture.container("sick").0)).pointer("/State/Health/Status") == Some(&json!("healthy"))
    };
    eventually("sick is healthy at first", health).await;
    let world = World::start(fixture).await;
    for (service, told) in [
        ("sick", vec!["🔴 sick: unhealthy", "sick did not come up.", "cannot find the <database>"]),
        ("dying", vec!["🔴 dying: ended with code 3", "out of luck"]),
        ("looping", vec!["🔴 looping: crash loop", "round and round"]),
        ("failing", vec!["🔴 failing: ", "round and round"]),
    ] {
        let (_, outcome) = carry_out(&world, &format!("/docker_restart shop/{service}")).await;
        assert!(outcome.text.starts_with(&format!("❌ Restart of shop/{service} failed")), "{}", outcome.text);
        for told in told {
            assert!(outcome.text.contains(told), "{told}:\n{}", outcome.text);
        }
        // Of a container that runs again the engine no longer knows with which code it ended.
        assert!(!outcome.text.contains("code 0"), "{}", outcome.text);
        assert!(outcome.text.contains(&format!("/docker_logs shop/{service}")), "{}", outcome.text);
    }
    let (_, outcome) = carry_out(&world, "/docker_restart shop/job").await;
    good(&outcome);
    assert!(outcome.text.contains("🟢 job: done (ended with code 0)"), "{}", outcome.text);
    // What ails already is said before anything is done.
    let plan = world.ask("/docker_restart").await.text;
    for told in ["sick is unhealthy already", "dying is ended already, with code 3", "job stays: ended with code 0"] {
        assert!(plan.contains(told), "{told}:\n{plan}");
    }
    world.say("no");
    let history = world.ask("/docker_history").await.text;
    assert!(
        history.contains("❌ restart shop/sick · #1\n") && history.contains("failed in ") && history.contains("sick did not come up."),
        "{history}"
    );
    assert!(history.find("#5") < history.find("#1"), "newest first:\n{history}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_goes_between_plan_and_yes_is_noticed() {
    let fixture = Fixture::new(&[("web", healthy_service("")), ("extra", healthy_service(""))]);
    fixture.compose(&["up", "-d", "--wait"]);
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    let before = shop.container("web");
    let plan = world.ask("/docker_restart").await;
    shop.compose(&["rm", "-fs", "extra"]);
    world.api.press(ADMIN, ADMIN, plan.id, "Restart").unwrap();
    let again = world.next().await;
    assert!(again.text.contains("Something changed since; nothing was done.\nextra: restart before, not there now"), "{}", again.text);
    assert_eq!(again.button_texts(), [["Restart", "Cancel"]], "it asks again");
    assert_eq!(shop.container("web"), before, "nothing ran");
    good(&world.confirm().await);
    assert_ne!(shop.container("web"), before);
    // All of them gone: there is nothing left to ask about.
    world.ask("/docker_restart").await;
    shop.compose(&["down"]);
    world.say("yes");
    let gone = world.next().await.text;
    assert!(gone.contains("shop has no containers") && gone.contains("/docker_start shop"), "{gone}");
    let restart = world.ask("/docker_restart").await.text;
    assert!(restart.contains("shop has no containers") && restart.contains("/docker_start shop"), "{restart}");

    // And with that it is back.
    let (plan, outcome) = carry_out(&world, "/docker_start shop/WEB").await;
    good(&outcome);
    assert!(plan.text.contains("Create: web") && outcome.text.contains("🟢 web: healthy after"), "{}\n{}", plan.text, outcome.text);
    let (plan, outcome) = carry_out(&world, "/docker_start").await;
    good(&outcome);
    assert!(plan.text.contains("Create: extra"), "{}", plan.text);
    assert_eq!(shop.containers().len(), 2);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_that_somebody_else_made_are_restarted_by_name_and_label() {
    let (label, name) = (format!("dmt.role=edge-{}", std::process::id()), format!("dmt-edge-{}", std::process::id()));
    let labelled = plain_service(SERVES, &format!("labels: [{label:?}]"));
    let shop = Fixture::new(&[
        ("one", plain_service(SERVES, &format!("container_name: {name}"))),
        ("two", labelled),
        ("other", plain_service(SERVES, "")),
    ]);
    shop.compose(&["up", "-d"]);
    let named = json!({ "compose": null, "workspace": null, "production": null, "deploy": null, "containers": [name, { "label": label }], "primary": name });
    // The compose project is not configured itself: what it made would be its own then.
    let world = World::start(Fixture::new(&[]).with(named)).await;
    let before = shop.containers();
    let (plan, outcome) = carry_out(&world, "/docker_restart").await;
    good(&outcome);
    let two = format!("{}-two-1", shop.name);
    assert!(plan.text.contains(&name) && plan.text.contains(&two), "{}", plan.text);
    assert!(outcome.text.contains(&format!("🟢 {name}: running for")), "{}", outcome.text);
    let after = shop.containers();
    let restarted: Vec<&str> = before.iter().zip(&after).filter(|(b, a)| b.2 != a.2).map(|(b, _)| b.0.as_str()).collect();
    assert_eq!(restarted, ["one", "two"], "and nobody else's");
    let (_, outcome) = carry_out(&world, &format!("/docker_stop shop/{two}")).await;
    good(&outcome);
    let deploy = world.ask("/docker_deploy").await.text;
    assert!(deploy.contains("neither a workspace nor production") && deploy.contains("/docker_restart"), "{deploy}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_operation_a_project_and_the_rest_goes_on() {
    let shop = Fixture::new(&[("web", plain_service(STUBBORN, ""))]).with(json!({ "restart": { "stop_timeout": "8s" } }));
    let edge = Fixture::new(&[("web", healthy_service(""))]);
    shop.compose(&["up", "-d"]);
    edge.compose(&["up", "-d", "--wait"]);
    let world = World::start_with(vec![shop, edge], json!({})).await;
    // Olaf has a plan for the same project, from before.
    world.api.say(OPERATOR, OPERATOR, "/docker_restart shop");
    let olafs = world.next_in(OPERATOR).await;
    world.ask("/docker_stop shop").await;
    world.say("yes");
    let progress = world.next().await;
    world.api.wait_until(ADMIN, progress.id, crate::support::PATIENCE, |m| m.text.contains("web: stopping")).await.unwrap();
    world.api.press(OPERATOR, OPERATOR, olafs.id, "Restart").unwrap();
    let busy = world.next_in(OPERATOR).await.text;
    assert!(busy.starts_with("shop is busy: stop by Ann, for ") && busy.contains("Nothing was done."), "{busy}");
    world.api.say(OPERATOR, OPERATOR, "/docker_start shop");
    let busy = world.next_in(OPERATOR).await.text;
    assert!(busy.starts_with("shop is busy: stop by Ann, for "), "{busy}");
    // What only reads answers meanwhile, in the same chat, too; so does another project.
    let status = world.ask("/docker_status shop").await.text;
    assert!(status.contains("⏳ stop by Ann, for "), "{status}");
    assert!(world.ask("/docker_status").await.text.contains("shop: 1 of 1 up · ⏳ stop by Ann"), "{:?}", world.texts(ADMIN));
    assert!(world.ask("/docker_logs shop").await.text.contains("shop/web"));
    assert!(world.ask("/docker_history shop").await.text.contains("⏳ stop shop · #1"), "{:?}", world.texts(ADMIN));
    world.api.say(OPERATOR, OPERATOR, "/docker_restart edge");
    let plan = world.next_in(OPERATOR).await;
    world.api.press(OPERATOR, OPERATOR, plan.id, "Restart").unwrap();
    let outcome = world.outcome(OPERATOR).await;
    good(&outcome);
    assert!(outcome.text.contains("Asked by Olaf"), "{}", outcome.text);
    assert!(world.api.unread(ADMIN).is_empty(), "all of that while the first still ran: {:?}", world.texts(ADMIN));
    let outcome = world.outcome(ADMIN).await;
    good(&outcome);
    assert!(outcome.text.contains("web: stopped (killed: it did not end within 8 s)"), "{}", outcome.text);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_goes_in_the_middle_leaves_no_false_word() {
    let proxy = Proxy::start();
    let mut world = World::prepare(
        vec![Fixture::up(&[("web", healthy_service("")), ("extra", healthy_service(""))])],
        json!({ "default_project": "shop" }),
    )
    .await;
    world.docker_host = Some(proxy.host());
    world.boot();
    let before = world.fixtures[0].container("web");
    world.ask("/docker_restart shop/web").await;
    proxy.cut_after("/restart");
    let outcome = world.confirm().await.text;
    // The engine restarts it all the same, and nobody can know.
    assert!(outcome.starts_with("❌ Restart of shop/web failed"), "{outcome}");
    assert!(outcome.contains("It is not known whether web restarted."), "{outcome}");
    assert!(outcome.contains("🔴 web: not known whether it restarted"), "{outcome}");
    assert!(outcome.contains("The Docker engine does not answer"), "{outcome}");
    eventually("the engine has restarted it", async || world.fixtures[0].container("web") != before).await;
    // While it is away: one clear sentence each, and nothing is done.
    for (text, told) in [
        ("/docker_status", "The status of shop is not known."),
        ("/docker_logs shop/web", "The log cannot be read."),
        ("/docker_restart", "Restart could not be planned."),
        ("/docker_stop", "Stop could not be planned."),
        ("/docker_deploy", "shop cannot be deployed."),
    ] {
        let answer = world.ask(text).await.text;
        let lines: Vec<&str> = answer.lines().collect();
        assert_eq!((lines.len(), lines[0]), (3, told), "{answer}");
        assert!(lines[1].starts_with("The Docker engine does not answer: ") && lines[2].contains("systemctl status docker"), "{answer}");
    }
    assert_eq!(world.ask("/docker_status all").await.text, "⚠️ shop: The status of shop is not known.");
    proxy.set_away(false);
    let status = world.ask("/docker_status").await.text;
    assert!(status.contains("shop\nall 2 up"), "{status}");
    let history = world.ask("/docker_history").await.text;
    assert!(history.contains("❌ restart shop/web · #1"), "{history}");

    // Away only for a moment while it watches: the end is told as it was.
    let before = world.fixtures[0].container("web");
    world.ask("/docker_restart shop/web").await;
    world.say("yes");
    eventually("it is under way", async || world.fixtures[0].container("web") != before).await;
    proxy.set_away(true);
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    proxy.set_away(false);
    let outcome = world.outcome(ADMIN).await.text;
    assert!(outcome.starts_with("✅") || outcome.contains("It is not known whether web restarted."), "{outcome}");
    world.api.say(VIEWER, VIEWER, "/docker_status");
    assert!(world.next_in(VIEWER).await.text.contains("shop"));
    world.finish().await;
}
