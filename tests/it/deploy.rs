//! Deploying, from the chat to production and the containers, on a real engine with a real Compose and a real rsync.

use serde_json::json;

use crate::support::fixture::{compose_file, engine_get, healthy_service, image, plain_service, service};
use crate::support::program::{Launch, Tools};
use crate::support::shop::{SERVES, dockerfile, dockerfile_that, shop_of, web};
use crate::support::{ADMIN, Fixture, World};

/// The shop, where the web service needs the store.
fn shop() -> Fixture {
    shop_of(&[("web", web(", depends_on: { postgres: { condition: service_healthy } }")), ("postgres", healthy_service(""))], json!({}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_brings_the_workspace_into_production_and_leaves_the_store_alone() {
    let fixture = shop();
    fixture.write("new/file.txt", "new\n");
    fixture.write_production("uploads/photo.jpg", "only production has this\n");
    fixture.write_production(".env", "SECRET=keep\n");
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    let store = shop.container("postgres");
    let web = shop.container("web");

    let plan = world.ask("/docker_deploy").await;
    for told in ["page", "new/file.txt", "web: build, recreate", "Stays as it is: postgres"] {
        assert!(plan.text.contains(told), "the plan does not tell {told:?}:\n{}", plan.text);
    }
    assert_eq!(plan.button_texts(), [["Deploy", "Cancel"]]);
    assert_eq!(shop.production_file("page").as_deref(), Some("page one\n"), "a plan changes nothing");

    let outcome = world.confirm().await;
    assert!(outcome.text.starts_with('✅') && outcome.text.contains("release 1"), "{}", outcome.text);
    assert_eq!(shop.production_file("page").as_deref(), Some("page two\n"));
    assert_eq!(shop.production_file("new/file.txt").as_deref(), Some("new\n"));
    assert_eq!(shop.production_file("uploads/photo.jpg").as_deref(), Some("only production has this\n"));
    assert_eq!(shop.production_file(".env").as_deref(), Some("SECRET=keep\n"));
    assert_eq!(shop.container("postgres"), store, "the store was not touched");
    assert_ne!(shop.container("web").0, web.0, "web runs in a new container");
    assert!(shop.compose(&["logs", "web"]).contains("page two"), "web runs the new image");

    let again = world.ask("/docker_deploy").await;
    assert!(again.text.contains("Nothing to deploy"), "{}", again.text);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_a_deploy_brought_is_deleted() {
    let fixture = Fixture::up(&[("web", healthy_service(""))]);
    fixture.write("old.txt", "1\n");
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    world.ask("/docker_deploy").await;
    assert!(world.confirm().await.text.starts_with('✅'));
    std::fs::remove_file(shop.workspace.join("old.txt")).unwrap();
    shop.write_production("mine.txt", "by hand\n");
    let plan = world.ask("/docker_deploy").await;
    assert!(plan.text.contains("old.txt"), "{}", plan.text);
    assert!(world.confirm().await.text.starts_with('✅'));
    assert_eq!(shop.production_file("old.txt"), None);
    assert_eq!(shop.production_file("mine.txt").as_deref(), Some("by hand\n"));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_build_leaves_production_untouched() {
    let fixture = shop();
    fixture.write("Dockerfile", &dockerfile_that("echo the compiler is unhappy; exit 3"));
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    let before = (shop.containers(), engine_get(&format!("/images/{}-web/json", shop.name))["Id"].clone());
    let plan = world.ask("/docker_deploy").await;
    assert!(plan.text.contains("Dockerfile changed"), "{}", plan.text);
    let outcome = world.confirm().await;
    assert!(outcome.text.starts_with('❌') && outcome.text.contains("the compiler is unhappy"), "{}", outcome.text);
    assert!(outcome.text.contains("not touched"), "{}", outcome.text);
    assert_eq!(shop.production_file("page").as_deref(), Some("page one\n"));
    let after = (shop.containers(), engine_get(&format!("/images/{}-web/json", shop.name))["Id"].clone());
    assert_eq!(before, after, "containers and production's image tag are as before");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loop_is_a_failure_with_the_lines_that_say_why() {
    let fixture = Fixture::up(&[("web", plain_service("while true; do sleep 1; done", "restart: always"))]);
    let broken = plain_service("echo cannot open the database; sleep 0.3; exit 4", "restart: always");
    fixture.write("docker-compose.yml", &compose_file(&[("web", broken)]));
    let world = World::start(fixture).await;
    world.ask("/docker_deploy").await;
    let outcome = world.confirm().await;
    assert!(outcome.text.starts_with('❌'), "{}", outcome.text);
    assert!(outcome.text.contains("Crash loop") && outcome.text.contains("cannot open the database"), "{}", outcome.text);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unhealthy_service_ends_the_wait_early() {
    let fixture = Fixture::up(&[("web", healthy_service(""))]).with(json!({ "deploy": { "health_timeout": "10m" } }));
    let broken = service("echo never well; while true; do sleep 1; done", "");
    fixture.write("docker-compose.yml", &compose_file(&[("web", broken)]));
    let world = World::start(fixture).await;
    world.ask("/docker_deploy").await;
    let outcome = world.confirm().await;
    assert!(
        outcome.text.starts_with('❌') && outcome.text.contains("unhealthy") && outcome.text.contains("never well"),
        "{}",
        outcome.text
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_whose_configuration_changed_stays_until_it_is_named() {
    let fixture = shop();
    // The first deploy makes a release, whose definitions stand in for what stays.
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    world.ask("/docker_deploy").await;
    assert!(world.confirm().await.text.starts_with('✅'));
    let store = shop.container("postgres");
    let services = [
        ("web", web(", environment: { NEW: \"1\" }, depends_on: { postgres: { condition: service_healthy } }")),
        ("postgres", healthy_service("environment: { TUNED: \"yes\" }")),
    ];
    shop.write("docker-compose.yml", &compose_file(&services));
    let plan = world.ask("/docker_deploy").await;
    assert!(plan.text.contains("pending"), "{}", plan.text);
    assert!(world.confirm().await.text.starts_with('✅'));
    assert_eq!(shop.container("postgres"), store, "the store keeps running as it was");

    let again = world.ask("/docker_deploy").await;
    assert!(again.text.contains("Nothing to deploy"), "web is not renewed for nothing:\n{}", again.text);
    let plan = world.ask("/docker_deploy with=postgres").await;
    assert!(plan.text.contains("keeps data and is stopped"), "{}", plan.text);
    assert!(world.confirm().await.text.starts_with('✅'));
    assert_ne!(shop.container("postgres").0, store.0, "named, it takes part");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_mounted_read_only_restart_their_service_and_written_ones_are_left() {
    let mounts = "volumes: [\"./site:/site:ro\", \"./data:/data\"]";
    let fixture = Fixture::new(&[("web", healthy_service(mounts))]);
    for root in [&fixture.workspace, &fixture.production] {
        std::fs::create_dir_all(root.join("site")).unwrap();
        std::fs::create_dir_all(root.join("data")).unwrap();
        std::fs::write(root.join("site/page"), "one\n").unwrap();
    }
    fixture.write_production("data/db", "precious\n");
    fixture.compose(&["up", "-d", "--wait"]);
    fixture.write("site/page", "two\n");
    fixture.write("data/db", "from the workspace\n");
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    let before = shop.container("web");
    let plan = world.ask("/docker_deploy").await;
    assert!(plan.text.contains("mounted files changed") && plan.text.contains("data"), "{}", plan.text);
    assert!(world.confirm().await.text.starts_with('✅'));
    let after = shop.container("web");
    assert_eq!((after.0 == before.0, after.1 == before.1), (true, false), "restarted, not replaced");
    assert_eq!(shop.production_file("data/db").as_deref(), Some("precious\n"));
    assert_eq!(shop.production_file("site/page").as_deref(), Some("two\n"));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_runs_when_the_workspace_changed_after_the_plan_was_shown() {
    let fixture = shop();
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    let plan = world.ask("/docker_deploy").await;
    shop.write("page", "page three\n");
    shop.write("more.txt", "more\n");
    world.api.press(ADMIN, ADMIN, plan.id, "Deploy").unwrap();
    let again = world.next().await;
    assert!(again.text.contains("more.txt"), "{}", again.text);
    assert_eq!(again.button_texts(), [["Deploy", "Cancel"]], "it asks again");
    assert_eq!(shop.production_file("page").as_deref(), Some("page one\n"), "nothing ran");
    assert!(world.confirm().await.text.starts_with('✅'));
    assert_eq!(shop.production_file("page").as_deref(), Some("page three\n"));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_env_file_that_is_brought_counts_as_configuration() {
    let fixture = Fixture::up(&[("web", healthy_service(""))]);
    fixture.write("docker-compose.yml", &compose_file(&[("web", healthy_service("env_file: conf/app.env"))]));
    fixture.write("conf/app.env", "COLOUR=green\n");
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    let environment = || engine_get(&format!("/containers/{}/json", shop.container("web").0))["Config"]["Env"].to_string();
    let plan = world.ask("/docker_deploy").await;
    assert!(plan.text.contains("web: recreate (configuration changed)"), "production has no such file yet:\n{}", plan.text);
    assert!(world.confirm().await.text.starts_with('✅'));
    assert!(environment().contains("COLOUR=green"), "{}", environment());
    shop.write("conf/app.env", "COLOUR=blue\n");
    let plan = world.ask("/docker_deploy").await;
    assert!(plan.text.contains("web: recreate (configuration changed)"), "{}", plan.text);
    assert!(world.confirm().await.text.starts_with('✅'));
    assert!(environment().contains("COLOUR=blue"), "{}", environment());
    let again = world.ask("/docker_deploy").await;
    assert!(again.text.contains("Nothing to deploy"), "{}", again.text);
    world.finish().await;
}

/// Gives an image another name, by hand.
fn tag(image: &str, name: &str) {
    let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let socket = host.strip_prefix("unix://").expect("tests use an engine on a socket");
    let address = format!("http://engine/images/{image}/tag?repo={name}&tag=latest");
    crate::support::fixture::sh("curl", &["-sSf", "-X", "POST", "--unix-socket", socket, &address]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_whose_image_name_was_given_to_another_image_stays() {
    let name = format!("dmt-kept-{}", std::process::id());
    tag(image(), &name);
    let store = healthy_service("").replace(image(), &name);
    let fixture = shop_of(&[("web", web(", depends_on: { postgres: { condition: service_healthy } }")), ("postgres", store)], json!({}));
    // As a pull of the same name would.
    tag(&format!("{}-web", fixture.name), &name);
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    let store = shop.container("postgres");
    let plan = world.ask("/docker_deploy").await;
    assert!(plan.text.contains("pending") && plan.text.contains("another image"), "{}", plan.text);
    let outcome = world.confirm().await;
    assert!(outcome.text.starts_with('✅'), "{}", outcome.text);
    assert_eq!(shop.container("postgres"), store, "the store was not touched");
    let again = world.ask("/docker_deploy").await;
    assert!(again.text.contains("Nothing to deploy"), "web is not renewed for nothing:\n{}", again.text);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_changed_after_the_plan_was_confirmed_stops_the_deploy() {
    let fixture = shop();
    // A build that takes its time, every time: what was built once comes from the cache.
    let waits = format!("RUN [\"sh\", \"-c\", \"sleep 3; echo {}\"]\n", fixture.production.display());
    fixture.write("Dockerfile", &format!("{}{waits}", dockerfile(SERVES)));
    fixture.write(
        "docker-compose.yml",
        &compose_file(&[("web", web(", environment: { COLOUR: \"${COLOUR:-red}\" }")), ("postgres", healthy_service(""))]),
    );
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    world.ask("/docker_deploy").await;
    world.say("yes");
    let progress = world.next().await;
    world.api.wait_until(ADMIN, progress.id, crate::support::PATIENCE, |m| m.text.contains("⏳ Build")).await.unwrap();
    shop.write_production(".env", "COLOUR=green\n");
    let outcome = world.outcome(ADMIN).await;
    assert!(outcome.text.starts_with('❌') && outcome.text.contains(".env"), "{}", outcome.text);
    let running = engine_get(&format!("/containers/{}/json", shop.container("web").0));
    assert!(!running["Config"]["Env"].to_string().contains("COLOUR"), "what nobody confirmed does not run: {}", running["Config"]["Env"]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_the_compose_file_extends_counts_as_configuration() {
    let fixture = Fixture::up(&[("web", healthy_service(""))]);
    let common = |colour: &str| compose_file(&[("base", healthy_service(&format!("environment: {{ COLOUR: {colour} }}")))]);
    fixture.write("docker-compose.yml", "services:\n  web: { extends: { file: common/base.yml, service: base } }\n");
    fixture.write("common/base.yml", &common("green"));
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    let environment = || engine_get(&format!("/containers/{}/json", shop.container("web").0))["Config"]["Env"].to_string();
    for colour in ["green", "blue"] {
        shop.write("common/base.yml", &common(colour));
        let plan = world.ask("/docker_deploy").await;
        assert!(plan.text.contains("web: recreate (configuration changed)"), "{}", plan.text);
        let outcome = world.confirm().await;
        assert!(outcome.text.starts_with('✅'), "{}", outcome.text);
        assert!(environment().contains(&format!("COLOUR={colour}")), "{}", environment());
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_a_broken_env_file_is_never_told() {
    let fixture = Fixture::up(&[("web", healthy_service(""))]);
    fixture.write_production(".env", "FINE=1\nDB_PASSWORD=\"hunter2-is-secret\nOTHER=also-secret\n");
    let world = World::start(fixture).await;
    let refused = world.ask("/docker_deploy").await;
    assert!(refused.text.contains(".env"), "{}", refused.text);
    let status = world.ask("/docker_status").await;
    for message in [&refused, &status] {
        assert!(!message.text.contains("secret") && !message.text.contains("DB_PASSWORD"), "{}", message.text);
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_to_do_brings_nothing_up() {
    let fixture = Fixture::up(&[("web", healthy_service(""))]);
    fixture.write("docker-compose.yml", &compose_file(&[("web", healthy_service("environment: { COLOUR: blue }"))]));
    let world = World::prepare(vec![fixture], json!({ "default_project": "shop" })).await;
    let tools = Tools::all();
    tools.script("docker-compose", "echo \" $* \" >>$here/asked\nexec $real \"$@\"");
    let mut program = Launch::run(&world, &tools).start();
    program.says("connected to Telegram").await;
    let asked = || std::fs::read_to_string(tools.path().join("asked")).unwrap();
    let brought_up = || asked().lines().filter(|arguments| arguments.contains(" up ")).count();

    world.ask("/docker_deploy").await;
    let outcome = world.confirm().await;
    assert!(outcome.text.starts_with('✅'), "{}", outcome.text);
    assert_eq!(brought_up(), 1, "it is seen where something is brought up:\n{}", asked());
    let web = world.fixtures[0].container("web");

    let again = world.ask("/docker_deploy").await;
    assert!(again.text.contains("Nothing to deploy") && again.button_texts().is_empty(), "{}", again.text);
    assert_eq!(brought_up(), 1, "{}", asked());
    assert_eq!(world.fixtures[0].container("web"), web);
    program.stop().await;
    world.finish().await;
}
