//! The program as people start it: settings that are missing or wrong, tools that are not installed, a Telegram that is
//! away. Each gets one clear sentence and an exit code, and the token is in none of them.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::fixture::{compose_file, engine_get, healthy_service};
use crate::support::program::{Launch, SECRET, Tools, files_with};
use crate::support::proxy::Proxy;
use crate::support::{ADMIN, Fixture, PATIENCE, World, eventually};

/// A project that is never brought up, for tests that need none that runs.
async fn idle_world() -> World {
    World::prepare(vec![Fixture::new(&[("web", healthy_service(""))])], json!({ "default_project": "shop" })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_missing_or_cannot_be_one_is_a_setting_to_correct() {
    let tools = Tools::all();
    let run = || Launch::new(&tools, &["run"]).set("RUST_LOG", "trace");
    let none = run().end().await;
    assert_eq!(none.code, Some(2));
    assert!(none.sentence().contains("@BotFather") && none.sentence().contains("TELOXIDE_TOKEN_FILE"), "{none:?}");

    let wrong = run().set("TELOXIDE_TOKEN", format!("not-a-number:{SECRET}-and-more")).end().await;
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.sentence().contains("does not look like one"), "{wrong:?}");

    let missing = run().set("TELOXIDE_TOKEN_FILE", "/nowhere/token").end().await;
    assert_eq!(missing.code, Some(2));
    assert!(missing.sentence().contains("/nowhere/token, which cannot be read"), "{missing:?}");

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let unfit = run().set("TELOXIDE_TOKEN_FILE", &file).end().await;
    assert_eq!(unfit.code, Some(2));
    assert!(unfit.sentence().contains("does not look like one"), "{unfit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_telegram_refuses_is_a_setting_to_correct_and_is_not_printed() {
    let world = idle_world().await;
    let tools = Tools::all();
    let other = format!("987654321:{SECRET}-of-another-bot");
    let ended = Launch::run(&world, &tools).set("TELOXIDE_TOKEN", other).set("RUST_LOG", "trace").end().await;
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    let said = ended.sentence();
    assert!(said.contains("does not accept the token (401)") && said.contains("@BotFather"), "{said}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_a_file_is_read_and_never_logged() {
    let world = idle_world().await;
    let tools = Tools::all();
    let file = world.data.with_file_name("token");
    std::fs::write(&file, format!("{}\n", crate::support::TOKEN)).unwrap();
    let launch = Launch::run(&world, &tools).unset("TELOXIDE_TOKEN").set("TELOXIDE_TOKEN_FILE", &file);
    let program = launch.set("RUST_LOG", "trace").set("DOCKMASTER_LOG", "json").start();
    world.ask("/whoami").await;
    world.api.fault("sendMessage", dockmaster::sandbox::bot_api::Fault::DropBefore, 1);
    world.say("/docker_status");
    world
        .api
        .wait_for_calls(PATIENCE, |calls| calls.iter().any(|c| c.error.as_deref().is_some_and(|e| e.contains("DropBefore"))))
        .await
        .unwrap();
    world.api.set_away(true);
    world.api.set_away(false);
    world.ask("/docker_status").await;
    world.api.wait_acknowledged(PATIENCE).await.unwrap();
    let ended = program.stop().await;
    assert!(ended.err.lines().any(|l| l.starts_with('{')), "it logs as JSON: {}", ended.err);
    assert!(!ended.err.contains(SECRET) && !ended.out.contains(SECRET), "{:?}", ended.err.lines().find(|l| l.contains(SECRET)));
    assert_eq!(files_with(&world.data, SECRET.as_bytes()), Vec::<std::path::PathBuf>::new());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_missing_or_wrong_is_told_whole() {
    let world = idle_world().await;
    let tools = Tools::all();
    let config = world.data.with_file_name("projects.json");
    let launch = Launch::run(&world, &tools);
    std::fs::remove_file(&config).unwrap();
    let missing = launch.end().await;
    assert_eq!(missing.code, Some(2));
    let said = missing.sentence();
    assert!(said.contains("projects.json") && said.contains("--config") && said.contains("DOCKMASTER_CONFIG"), "{said}");

    let launch = Launch::run(&world, &tools);
    let bad = json!({
        "access": { "users": { "111": "emperor" } },
        "projects": { "../x": { "compose": {}, "workspace": "/nowhere/code", "production": "/nowhere/live", "colour": 1 } },
    });
    std::fs::write(&config, serde_json::to_string_pretty(&bad).unwrap()).unwrap();
    let wrong = launch.end().await;
    assert_eq!(wrong.code, Some(2));
    wrong.sentence();
    for told in ["emperor", "../x", "/nowhere/code", "/nowhere/live", "colour"] {
        assert!(wrong.err.contains(told), "{told} is not told: {}", wrong.err);
    }
    assert!(!world.data.exists(), "nothing was begun");

    let check = |more: &'static [&'static str]| {
        let launch = Launch::new(&tools, &["check", "--config"]).arg(&config);
        more.iter().fold(launch, Launch::arg).end()
    };
    let told = check(&[]).await;
    assert_eq!(told.code, Some(1));
    let read: Value = serde_json::from_str(&check(&["--json"]).await.out).unwrap();
    assert_eq!(read["valid"], json!(false));
    let problems = read["problems"].as_array().unwrap();
    assert!(problems.len() >= 5 && told.out.matches("problem ").count() >= problems.len(), "{}", told.out);
    for problem in problems {
        assert!(problem["line"].as_u64() > Some(0) && problem["column"].as_u64() > Some(0) && problem["path"].is_string(), "{problem}");
    }

    std::fs::write(&config, world.projects_json()).unwrap();
    assert_eq!(check(&[]).await.code, Some(0));
    let good = check(&["--json"]).await;
    assert_eq!((good.code, serde_json::from_str::<Value>(&good.out).unwrap()["valid"].clone()), (Some(0), json!(true)));

    std::fs::remove_file(&config).unwrap();
    let none = check(&["--json"]).await;
    assert_eq!(none.code, Some(2));
    assert!(serde_json::from_str::<Value>(&none.out).unwrap()["error"].as_str().unwrap().contains("--config"), "{}", none.out);
    assert_eq!(check(&[]).await.code, Some(2));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_is_the_one_in_the_docs() {
    let tools = Tools::all();
    let ended = Launch::new(&tools, &["schema"]).end().await;
    let kept = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/projects.schema.json")).unwrap();
    assert_eq!(ended.code, Some(0));
    assert_eq!(
        ended.out.trim_end(),
        kept.trim_end(),
        "docs/projects.schema.json is out of date: dockmaster schema > docs/projects.schema.json"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_is_the_one_in_the_docs() {
    let tools = Tools::all();
    let ended = Launch::new(&tools, &["schema", "--markdown"]).end().await;
    let kept = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CONFIGURATION.md")).unwrap();
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.out, kept, "docs/CONFIGURATION.md is out of date: dockmaster schema --markdown > docs/CONFIGURATION.md");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_engine_it_runs_and_says_so_once_and_is_whole_again_when_that_is_back() {
    let world = World::prepare(vec![Fixture::up(&[("web", healthy_service(""))])], json!({ "default_project": "shop" })).await;
    let (tools, proxy) = (Tools::all(), Proxy::start());
    // As on a machine that has just been booted there is no socket yet.
    let socket = world.config.with_file_name("docker.sock");
    let mut bot = Launch::run(&world, &tools).set("DOCKER_HOST", format!("unix://{}", socket.display())).start();
    bot.says("connected to Telegram").await;
    bot.says("the Docker engine is away; what needs it says so, and it is waited for").await;
    let health = Launch::new(&tools, &["health".as_ref(), "--data".as_ref(), world.data.as_os_str()]).end().await;
    let told = format!("{}{}", health.out, health.err);
    assert!(health.code == Some(1) && told.contains("🔴 the Docker engine: never heard from"), "{:?} {told}", health.code);
    // What needs none is answered; the rest says in a sentence why not.
    assert!(world.ask("/config").await.text.contains("Version 1, in force for "));
    assert!(world.ask("/docker_history").await.text.contains("shop"));
    let status = world.ask("/docker_status").await.text;
    assert!(status.contains("The status of shop is not known.") && status.contains("The Docker engine does not answer"), "{status}");
    std::os::unix::fs::symlink(proxy.host().trim_start_matches("unix://"), &socket).unwrap();
    let since = Instant::now();
    eventually("it is whole again", async || world.ask("/docker_status").await.text.contains("1 of 1 up")).await;
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
    bot.says("the Docker engine answers again").await;
    world.ask("/docker_restart").await;
    assert!(world.confirm().await.text.starts_with("✅"));
    bot.terminate();
    let ended = bot.ended().await;
    assert_eq!((ended.code, ended.err.matches("the Docker engine is away").count()), (Some(0), 1), "{}", ended.err);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_dockmaster_on_one_data_directory_is_refused_and_the_first_lives_on() {
    let world = idle_world().await;
    let tools = Tools::all();
    let mut first = Launch::run(&world, &tools).start();
    first.says("connected to Telegram").await;
    let second = Launch::run(&world, &tools).end().await;
    assert_eq!(second.code, Some(2));
    let said = second.sentence();
    assert!(said.contains(&format!("another dockmaster (pid {})", first.pid())), "{said}");
    assert!(world.ask("/whoami").await.text.contains("111"));
    first.stop().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pollers_on_one_token_say_so_and_both_live_on() {
    let world = idle_world().await;
    let tools = Tools::all();
    let mut first = Launch::run(&world, &tools).start();
    first.says("connected to Telegram").await;
    let mut second = Launch::run(&world, &tools).data(&world.data.with_file_name("other")).start();
    first.says("another process polls with this bot's token: end it, or give it a token of its own").await;
    second.says("another process polls with this bot's token").await;
    assert!(first.lives() && second.lives());
    second.stop().await;
    first.says("Telegram answers again").await;
    assert!(world.ask("/whoami").await.text.contains("111"));
    assert_eq!(first.err().matches("another process polls").count(), first.err().matches("Telegram answers again").count());
    first.stop().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_telegram_that_is_away_at_the_start_is_waited_for() {
    let world = idle_world().await;
    let tools = Tools::all();
    world.api.set_away(true);
    let mut program = Launch::run(&world, &tools).start();
    program.says("Telegram is away; it is tried again until it is back").await;
    world.say("/whoami");
    world.api.set_away(false);
    assert!(world.next().await.text.contains("111"));
    assert!(program.err().contains("Telegram answers again"), "{}", program.err());
    program.stop().await;

    world.api.set_away(true);
    let mut program = Launch::run(&world, &tools).start();
    program.says("Telegram is away").await;
    program.stop().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_compose_or_rsync_a_deploy_is_refused_before_it_is_asked_about_and_status_works() {
    let fixture = Fixture::up(&[("web", healthy_service(""))]);
    fixture.write("page", "new\n");
    let world = World::prepare(vec![fixture], json!({ "default_project": "shop" })).await;
    let plugin_missing = Tools::only(&["rsync"]);
    // What the engine's own client says where the plugin is not installed.
    plugin_missing.script("docker", "echo \"unknown shorthand flag: 'p' in -p\" >&2; echo \"See 'docker --help'.\" >&2; exit 125");
    let cases = [
        (Tools::only(&["rsync"]), "Docker Compose v2 is not installed"),
        (plugin_missing, "Docker Compose v2 is not installed"),
        (Tools::only(&["docker-compose"]), "rsync is not installed"),
    ];
    for (tools, why) in cases {
        let program = Launch::run(&world, &tools).start();
        let refused = world.ask("/docker_deploy").await;
        assert!(
            refused.text.contains("cannot be deployed") && refused.text.contains(why) && refused.text.contains("apt install"),
            "{}",
            refused.text
        );
        assert!(refused.button_texts().is_empty(), "nothing to confirm");
        let status = world.ask("/docker_status").await;
        assert!(status.text.contains("web") && status.text.contains("healthy"), "{}", status.text);
        program.stop().await;
    }
    assert_eq!(world.fixtures[0].production_file("page"), None);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compose_file_cannot_read_the_token() {
    let fixture = Fixture::up(&[("web", healthy_service(""))]);
    let curious = "environment: { STOLEN: \"${TELOXIDE_TOKEN}\", FILE: \"${TELOXIDE_TOKEN_FILE-none}\" }";
    fixture.write("docker-compose.yml", &compose_file(&[("web", healthy_service(curious))]));
    let world = World::prepare(vec![fixture], json!({ "default_project": "shop" })).await;
    let tools = Tools::all();
    let program = Launch::run(&world, &tools).set("RUST_LOG", "trace").start();
    let plan = world.ask("/docker_deploy").await;
    assert!(plan.text.contains("Nothing sets these variables") && plan.text.contains("\nTELOXIDE_TOKEN="), "{}", plan.text);

    let defaulted = "environment: { STOLEN: \"${TELOXIDE_TOKEN:-nothing}\" }";
    world.fixtures[0].write("docker-compose.yml", &compose_file(&[("web", healthy_service(defaulted))]));
    world.ask("/docker_deploy").await;
    assert!(world.confirm().await.text.starts_with('✅'));
    let container = engine_get(&format!("/containers/{}/json", world.fixtures[0].container("web").0)).to_string();
    assert!(container.contains("STOLEN=nothing") && !container.contains(SECRET), "{container}");
    world.api.wait_acknowledged(PATIENCE).await.unwrap();
    let ended = program.stop().await;
    assert!(!ended.err.contains(SECRET), "{:?}", ended.err.lines().find(|l| l.contains(SECRET)));
    assert!(!world.texts(ADMIN).concat().contains(SECRET));
    assert_eq!(files_with(&world.data, SECRET.as_bytes()), Vec::<std::path::PathBuf>::new());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_it_ends_at_once_when_it_is_asked_to() {
    let world = idle_world().await;
    let tools = Tools::all();
    let mut program = Launch::run(&world, &tools).start();
    program.says("connected to Telegram").await;
    world.ask("/whoami").await;
    let began = std::time::Instant::now();
    program.stop().await;
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "idle, it ends at once: {:?}", began.elapsed());
    eventually("nothing of it is left", async || tools.processes().is_empty()).await;
    world.finish().await;
}
