//! dockmaster ended in the middle: asked to (SIGTERM), killed (`kill -9`), cut off from Telegram. Nothing is lost, run
//! twice or left half done without a word.

use std::time::{Duration, Instant};

use dockmaster::sandbox::bot_api::Fault;
use serde_json::json;

use crate::counts::ids;
use crate::support::fixture::{compose_file, healthy_service, plain_service, service, sh};
use crate::support::program::{Launch, Program, Tools};
use crate::support::shop::{dockerfile_that, shop_of, web};
use crate::support::{ADMIN, Fixture, PATIENCE, World, eventually};

/// A running project whose web service is built from the workspace, which has another page, and where building does this.
async fn built(builds: Option<&str>) -> World {
    let fixture = shop_of(&[("web", web(""))], json!({ "stateful": [] }));
    if let Some(builds) = builds {
        fixture.write("Dockerfile", &dockerfile_that(builds));
    }
    World::prepare(vec![fixture], json!({ "default_project": "shop" })).await
}

/// A running service that takes its time to stop.
async fn slow_to_stop() -> World {
    let slow = service("trap '' TERM; touch /tmp/well; while true; do sleep 1; done", "");
    let fixture = Fixture::up(&[("web", slow)]).with(json!({ "restart": { "stop_timeout": "3s" } }));
    World::prepare(vec![fixture], json!({ "default_project": "shop" })).await
}

/// What production is: its page and its containers.
fn production(world: &World) -> (Option<String>, Vec<(String, String, String)>) {
    (world.fixtures[0].production_file("page"), world.fixtures[0].containers())
}

/// Asks for an operation and confirms it; returns the message that shows how it advances.
async fn begin(world: &World, what: &str) -> i32 {
    world.ask(what).await;
    world.say("yes");
    world.next().await.id
}

async fn shows(world: &World, message: i32, text: &str) {
    let until = Instant::now() + PATIENCE;
    while !world.api.message(ADMIN, message).is_some_and(|m| m.text.contains(text)) {
        assert!(Instant::now() < until, "the progress never showed {text:?}: {:#?}", world.texts(ADMIN));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Ended without a trace: only the program itself is left of what was started with these tools.
async fn only(tools: &Tools, program: Option<&Program>) {
    let expected: Vec<i32> = program.iter().map(|p| p.pid().cast_signed()).collect();
    eventually("no other process is left", async || tools.processes() == expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_end_in_a_build_it_ends_the_build_and_says_so() {
    let world = built(Some("echo now sleeping; sleep 300")).await;
    let tools = Tools::all();
    let program = Launch::run(&world, &tools).start();
    let before = production(&world);
    let progress = begin(&world, "/docker_deploy").await;
    shows(&world, progress, "now sleeping").await;
    let asked = Instant::now();
    let ended = program.stop().await;
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    let outcome = world.outcome(ADMIN).await;
    assert!(outcome.text.starts_with("⚠️") && outcome.text.contains("was interrupted"), "{}", outcome.text);
    assert!(outcome.text.contains("Production was not touched") && outcome.text.contains("/docker_deploy"), "{}", outcome.text);
    assert_eq!(production(&world), before, "{}", ended.err);
    only(&tools, None).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_end_in_a_restart_it_ends_the_step_and_says_so() {
    let world = slow_to_stop().await;
    let tools = Tools::all();
    let program = Launch::run(&world, &tools).start();
    let before = world.fixtures[0].container("web");
    let progress = begin(&world, "/docker_restart").await;
    shows(&world, progress, "restarting").await;
    let ended = program.stop().await;
    let outcome = world.outcome(ADMIN).await;
    assert!(outcome.text.starts_with("⚠️") && outcome.text.contains("was interrupted"), "{}\n{}", outcome.text, ended.err);
    assert!(outcome.text.contains("not verified to the end") && outcome.text.contains("/docker_status"), "{}", outcome.text);
    let after = world.fixtures[0].container("web");
    assert_eq!((after.0 == before.0, after.1 == before.1), (true, false), "the restart itself came to its end");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_a_build_the_next_start_ends_what_is_still_at_work_and_tells_where_things_stand() {
    let world = built(None).await;
    let tools = Tools::all();
    tools.gate("docker-compose", "*plain?build*");
    let program = Launch::run(&world, &tools).start();
    let before = production(&world);
    begin(&world, "/docker_deploy").await;
    tools.held().await;
    program.kill();
    assert!(!tools.processes().is_empty(), "the build outlives dockmaster, or this test shows nothing");
    let mut program = Launch::run(&world, &tools).start();
    let outcome = world.outcome(ADMIN).await;
    only(&tools, Some(&program)).await;
    for told in ["was interrupted", "Production was not touched", "in the middle of the step “Build web”", "still at work for it was ended"]
    {
        assert!(outcome.text.contains(told), "{told:?} is not told: {}", outcome.text);
    }
    assert_eq!(production(&world), before);
    program.says("an operation was cut off").await;
    let log = program.err();
    assert!(log.find("an operation was cut off") < log.find("connected to Telegram"), "survivors end before anything new begins: {log}");

    tools.open();
    world.ask("/docker_deploy").await;
    let outcome = world.confirm().await;
    assert!(outcome.text.starts_with('✅'), "nothing is left in the way: {}", outcome.text);
    world.api.wait_acknowledged(PATIENCE).await.unwrap();
    program.stop().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_files_are_promoted_they_are_put_back_at_the_next_start() {
    let world = built(None).await;
    let tools = Tools::all();
    // All of the files have come, and rsync has not said so yet.
    tools.script(
        "rsync",
        "case \"$*\" in *--delay-updates*) $real \"$@\"; : >$here/held; while [ ! -e $here/open ]; do /bin/sleep 0.05; done ;; esac\nexec $real \"$@\"",
    );
    let program = Launch::run(&world, &tools).start();
    let before = production(&world);
    begin(&world, "/docker_deploy").await;
    tools.held().await;
    program.kill();
    assert!(!tools.processes().is_empty(), "rsync outlives dockmaster, or this test shows nothing");
    // What is held is held; the next one is not.
    tools.script("rsync", "exec $real \"$@\"");
    let program = Launch::run(&world, &tools).start();
    let outcome = world.outcome(ADMIN).await;
    only(&tools, Some(&program)).await;
    for told in [
        "was interrupted",
        "Everything was put back: shop runs release 0 again",
        "in the middle of the step “Bring the files into production”",
        "still at work for it was ended",
    ] {
        assert!(outcome.text.contains(told), "{told:?} is not told: {}", outcome.text);
    }
    assert_eq!(production(&world), before, "files and containers are as before");

    tools.open();
    let plan = world.ask("/docker_deploy").await;
    assert!(plan.text.contains("web: build, recreate"), "{}", plan.text);
    let outcome = world.confirm().await;
    assert!(outcome.text.starts_with('✅'), "{}", outcome.text);
    assert_eq!(world.fixtures[0].production_file("page").as_deref(), Some("page two\n"));
    world.api.wait_acknowledged(PATIENCE).await.unwrap();
    program.stop().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_confirmation_and_the_first_step_nothing_runs() {
    let world = built(None).await;
    let tools = Tools::all();
    let program = Launch::run(&world, &tools).start();
    world.ask("/docker_deploy").await;
    // The plan is computed once more, just before it runs, and Compose is asked where something is new.
    world.fixtures[0].write_production(".env", "NEW=1\n");
    let before = production(&world);
    tools.gate("docker-compose", "*config*");
    world.say("yes");
    tools.held().await;
    program.kill();
    tools.open();
    let program = Launch::run(&world, &tools).start();
    let told = world.next().await;
    assert!(told.text.contains("I was stopped while I answered yes") && told.text.contains("not run again by itself"), "{}", told.text);
    let again = world.ask("yes").await;
    assert!(again.button_texts().is_empty() && !again.text.starts_with('✅'), "{}", again.text);
    let history = world.ask("/docker_history").await;
    assert!(!history.text.contains("#1"), "nothing was begun: {}", history.text);
    assert_eq!(production(&world), before);
    world.api.wait_acknowledged(PATIENCE).await.unwrap();
    program.stop().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_with_messages_that_wait_each_is_answered_or_reported_once() {
    let world = World::prepare(vec![Fixture::new(&[("web", healthy_service(""))])], json!({ "default_project": "shop" })).await;
    let tools = Tools::all();
    tools.gate("docker-compose", "*config*");
    let program = Launch::run(&world, &tools).start();
    // As many as are worked on at once for a chat, all of which wait for Compose, and two more behind them.
    (0..8).for_each(|_| _ = world.say("/docker_deploy shop"));
    tools.held().await;
    world.say("/whoami");
    world.say("/docker_history");
    world.api.wait_acknowledged(PATIENCE).await.unwrap();
    assert_eq!(world.api.unread(ADMIN).len(), 0, "nothing is answered yet");
    program.kill();

    let program = Launch::run(&world, &tools).start();
    let mut said = Vec::new();
    for _ in 0..10 {
        said.push(world.next().await.text);
    }
    let reported = said.iter().filter(|t| t.contains("I was stopped while I answered /docker_deploy")).count();
    let answered = said.iter().filter(|t| t.starts_with("Your id: 111") || t.starts_with("Nothing was done")).count();
    assert_eq!((reported, answered), (8, 2), "{said:#?}");
    world.ask("/whoami").await;
    program.stop().await;
    let program = Launch::run(&world, &tools).start();
    world.ask("/whoami").await;
    program.stop().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_twice_is_answered_once() {
    let world = World::prepare(vec![Fixture::new(&[("web", healthy_service(""))])], json!({ "default_project": "shop" })).await;
    let tools = Tools::all();
    let mut program = Launch::run(&world, &tools).start();
    program.says("connected to Telegram").await;
    // The answer with the message is lost on its way: it comes again.
    world.api.fault("getUpdates", Fault::DropAfterDelivering, 1);
    world.ask("/whoami").await;
    world.api.wait_acknowledged(PATIENCE).await.unwrap();
    assert_eq!(world.api.faults_left(), 0);

    // Telegram never heard that it was taken: the same one comes to the next start once more.
    let answered = world.api.last_update();
    program.stop().await;
    let program = Launch::run(&world, &tools).start();
    world.api.renumber_updates(answered);
    world.say("/whoami");
    assert_eq!(world.api.last_update(), answered);
    world.api.wait_acknowledged(PATIENCE).await.unwrap();
    let next = world.ask("/docker_history").await;
    assert!(next.text.starts_with("Nothing was done"), "what comes next is answered, and it alone: {}", next.text);
    program.stop().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_could_not_be_sent_is_delivered_when_telegram_is_back() {
    let world = slow_to_stop().await;
    let tools = Tools::all();
    let mut program = Launch::run(&world, &tools).start();
    begin(&world, "/docker_restart").await;
    world.api.set_away(true);
    program.says("ended").await;
    world.api.set_away(false);
    let outcome = world.outcome(ADMIN).await;
    assert!(outcome.text.starts_with('✅'), "{}", outcome.text);

    // Once more, and this time whoever was to deliver it is killed.
    begin(&world, "/docker_restart").await;
    world.api.set_away(true);
    eventually("the second has ended", async || program.err().matches("ended operation=").count() >= 2).await;
    program.kill();
    world.api.set_away(false);
    let program = Launch::run(&world, &tools).start();
    let outcome = world.outcome(ADMIN).await;
    assert!(outcome.text.starts_with('✅') && outcome.text.contains("healthy after"), "{}", outcome.text);
    world.ask("/whoami").await;
    program.stop().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_a_restart_that_has_stopped_everything_the_next_start_brings_it_back() {
    let world = slow_to_stop().await;
    let tools = Tools::all();
    let program = Launch::run(&world, &tools).start();
    let progress = begin(&world, "/docker_restart graceful").await;
    shows(&world, progress, "⏳ Stop web").await;
    program.kill();
    let program = Launch::run(&world, &tools).start();
    let outcome = world.outcome(ADMIN).await;
    for told in ["was interrupted", "in the middle of the step “Stop web”", "web: healthy"] {
        assert!(outcome.text.contains(told), "{told:?} is not told: {}", outcome.text);
    }
    eventually("what was stopped runs", async || world.fixtures[0].compose(&["ps", "--status", "running", "-q"]).lines().count() == 1)
        .await;
    world.api.wait_acknowledged(PATIENCE).await.unwrap();
    program.stop().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_a_tidy_what_is_left_is_told_and_can_be_removed() {
    let slow = |more: &str| plain_service("trap '' TERM; while true; do sleep 1; done", more);
    let services = [("web", healthy_service("")), ("old", slow("volumes: [\"data:/data\"]")), ("gone", slow(""))];
    let fixture = Fixture::new(&services).with(json!({ "stateful": [], "restart": { "stop_timeout": "4s" } }));
    let declared = |services: &[(&str, String)]| compose_file(services) + "volumes: { data: {} }\n";
    fixture.write_production("docker-compose.yml", &declared(&services));
    fixture.compose(&["up", "-d"]);
    // Nobody waits for this one.
    sh("docker", &["kill", &fixture.container("gone").0]);
    fixture.write_production("docker-compose.yml", &declared(&services[..1]));
    let world = World::prepare(vec![fixture], json!({ "default_project": "shop" })).await;
    let shop = &world.fixtures[0];
    let (tools, kept) = (Tools::all(), shop.container("web"));
    let there = |service: &str| ids(shop, service).len();
    let program = Launch::run(&world, &tools).start();
    begin(&world, "/docker_tidy").await;
    eventually("one is removed while the other takes its time", async || there("gone") == 0).await;
    program.kill();
    assert_eq!(there("old"), 1, "it takes its time to stop, or this test shows nothing");
    let program = Launch::run(&world, &tools).start();
    let outcome = world.outcome(ADMIN).await;
    for told in ["was interrupted", "1 of 2 containers removed", "-gone-1: removed", "-old-1: still there: stopped", "/docker_tidy"] {
        assert!(outcome.text.contains(told), "{told:?} is not told: {}", outcome.text);
    }
    assert_eq!((shop.container("web"), there("old")), (kept.clone(), 1), "nothing is removed by itself");
    world.ask("/docker_tidy").await;
    let outcome = world.confirm().await;
    assert!(outcome.text.starts_with('✅'), "{}", outcome.text);
    assert_eq!((shop.container("web"), there("old")), (kept, 0), "{}", outcome.text);
    let volume = format!("{}_data", shop.name);
    assert!(sh("docker", &["volume", "ls", "-q"]).contains(&volume), "volumes stay");
    world.api.wait_acknowledged(PATIENCE).await.unwrap();
    program.stop().await;
    world.finish().await;
    sh("docker", &["volume", "rm", &volume]);
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_off_between_the_stops_and_the_starts_of_a_restart_everything_comes_back() {
    let slow = |more: &str| service("trap '' TERM; touch /tmp/well; while true; do sleep 1; done", more);
    let services = [("web", slow("depends_on: { api: { condition: service_healthy } }")), ("api", slow(""))];
    let fixture = Fixture::up(&services).with(json!({ "restart": { "stop_timeout": "3s" } }));
    let world = World::prepare(vec![fixture], json!({ "default_project": "shop" })).await;
    let tools = Tools::all();
    let program = Launch::run(&world, &tools).start();
    let running = async || world.fixtures[0].compose(&["ps", "--status", "running", "-q"]).lines().count() == 2;
    let progress = begin(&world, "/docker_restart").await;
    shows(&world, progress, "⏳ Stop api").await;
    world.ask("/docker_cancel").await;
    let outcome = world.outcome(ADMIN).await;
    assert!(outcome.text.contains("was cancelled"), "{}", outcome.text);
    eventually("what was stopped runs after a cancel", running).await;
    eventually("both are well", async || world.fixtures[0].compose(&["ps"]).matches("(healthy)").count() == 2).await;

    let progress = begin(&world, "/docker_restart").await;
    shows(&world, progress, "⏳ Stop api").await;
    program.kill();
    let program = Launch::run(&world, &tools).start();
    let outcome = world.outcome(ADMIN).await;
    for told in ["was interrupted", "in the middle of the step “Stop api”", "web: healthy", "api: healthy"] {
        assert!(outcome.text.contains(told), "{told:?} is not told: {}", outcome.text);
    }
    eventually("what was stopped runs after a kill", running).await;
    world.api.wait_acknowledged(PATIENCE).await.unwrap();
    program.stop().await;
    world.finish().await;
}
