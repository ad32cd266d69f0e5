//! Releases: undone by themselves where they do not come up, gone back to, listed, cancelled and forgotten.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::fixture::{compose_file, healthy_service, plain_service, sh, tree};
use crate::support::program::{Launch, Tools};
use crate::support::proxy::Proxy;
use crate::support::shop::{
    SERVES, deployed, dockerfile, dockerfile_that, image_named, kept_image, kept_name, running_image, shop, shop_of, web,
    write_one_that_is_never_well,
};
use crate::support::{ADMIN, Fixture, PATIENCE, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_does_not_come_up_is_undone_whole() {
    let fixture = shop(json!({}));
    fixture.write("old.txt", "goes with the next release\n");
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    deployed(&world, 1).await;
    shop.write_production("page", "mended by hand\n");
    shop.write_production("uploads/photo.jpg", "only production has this\n");
    std::os::unix::fs::symlink("page", shop.production.join("link")).unwrap();
    let before = (tree(&shop.production), running_image(shop, "web"), shop.container("postgres"));
    let named = image_named(&format!("{}-web", shop.name));

    std::fs::remove_file(shop.workspace.join("old.txt")).unwrap();
    shop.write("page", "page three\n");
    shop.write("new/deep/file", "new\n");
    shop.write("Dockerfile", &dockerfile("echo cannot open the database; sleep 0.2; exit 4"));
    let services = [("web", web("")), ("postgres", healthy_service("")), ("extra", healthy_service(""))];
    shop.write("docker-compose.yml", &compose_file(&services));
    let plan = world.ask("/docker_deploy").await;
    for told in ["as release 3", "Keep production as it is, as release 2", "extra: create", "Edited by hand", "old.txt"] {
        assert!(plan.text.contains(told), "{told:?} is not in the plan: {}", plan.text);
    }
    let outcome = world.confirm().await;
    for told in ["❌", "Everything was put back: shop runs release 2 again", "web did not come up", "cannot open the database"] {
        assert!(outcome.text.contains(told), "{told:?} is not told: {}", outcome.text);
    }
    assert_eq!(tree(&shop.production), before.0, "production is as it was, edits by hand included");
    assert_eq!((running_image(shop, "web"), shop.container("postgres")), (before.1, before.2));
    assert_eq!(image_named(&format!("{}-web", shop.name)), named, "the image's name means what it meant");
    assert!(
        !shop.containers().iter().any(|(service, ..)| service.contains("extra")),
        "what the release added is gone: {:?}",
        shop.containers()
    );
    assert_eq!(kept_image(&world, "web", 3), None, "what did not come up is not kept");

    shop.write("Dockerfile", &dockerfile(SERVES));
    deployed(&world, 4).await;
    assert_eq!(shop.production_file("page").as_deref(), Some("page three\n"));
    assert_eq!(shop.production_file("old.txt"), None, "it was ours all along");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn earlier_releases_are_listed_and_gone_back_to() {
    let world = World::start(shop(json!({}))).await;
    let shop = &world.fixtures[0];
    let first = running_image(shop, "web");
    deployed(&world, 1).await;
    let second = running_image(shop, "web");
    shop.write("page", "page three\n");
    shop.write("added", "by release 2\n");
    deployed(&world, 2).await;

    let listed = world.ask("/docker_releases").await;
    for told in ["▶️ 2 · runs now", "▫️ 1", "▫️ 0", "production as it was found"] {
        assert!(listed.text.contains(told), "{told:?} is not listed: {}", listed.text);
    }
    assert_eq!(listed.button_texts(), [["Roll back"]]);

    let plan = world.ask("/docker_rollback").await;
    for told in ["Roll back shop to release 1", "added", "web: recreate (runs another image than release 1)"] {
        assert!(plan.text.contains(told), "{told:?} is not in the plan: {}", plan.text);
    }
    assert!(!plan.text.contains("Build") && !plan.text.contains("Copy the workspace"), "{}", plan.text);
    let store = shop.container("postgres");
    let outcome = world.confirm().await;
    assert!(outcome.text.starts_with('✅') && outcome.text.contains("runs release 1 "), "{}", outcome.text);
    assert_eq!((shop.production_file("page").as_deref(), shop.production_file("added")), (Some("page two\n"), None));
    assert_eq!((running_image(shop, "web"), shop.container("postgres")), (second, store));

    world.ask("/docker_rollback 0").await;
    let outcome = world.confirm().await;
    assert!(outcome.text.starts_with('✅') && outcome.text.contains("runs release 0 "), "{}", outcome.text);
    assert_eq!((shop.production_file("page").as_deref(), running_image(shop, "web")), (Some("page one\n"), first));
    let again = world.ask("/docker_rollback shop 0").await;
    assert!(again.text.contains("Nothing to roll back"), "{}", again.text);
    let unknown = world.ask("/docker_rollback 77").await;
    assert!(unknown.text.contains("There is no release 77"), "{}", unknown.text);
    let none = world.ask("/docker_rollback").await;
    assert!(none.text.contains("no release before"), "{}", none.text);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_brings_edits_by_hand_back_and_says_what_it_cannot() {
    let world = World::start(shop(json!({}))).await;
    let shop = &world.fixtures[0];
    shop.write_production(".env", "A=1\n");
    deployed(&world, 1).await;
    shop.write_production("page", "mended by hand\n");
    shop.write("page", "page three\n");
    deployed(&world, 3).await;
    shop.write_production(".env", "A=2\n");
    sh("docker", &["rmi", &kept_name(&world, "web", 2)]);
    let plan = world.ask("/docker_rollback").await;
    for told in ["to release 2", ".env is not the one", "web: build, recreate (its kept image is gone, so it is built again)"] {
        assert!(plan.text.contains(told), "{told:?} is not in the plan: {}", plan.text);
    }
    let outcome = world.confirm().await;
    assert!(outcome.text.starts_with('✅'), "{}", outcome.text);
    assert_eq!(shop.production_file("page").as_deref(), Some("mended by hand\n"));
    assert!(shop.compose(&["logs", "web"]).contains("mended by hand"), "the image was built from the release's files");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_ends_a_build_at_once_and_undoes_what_came_later() {
    let world = World::start(shop(json!({ "deploy": { "health_timeout": "5m" } }))).await;
    let shop = &world.fixtures[0];
    let before = (tree(&shop.production), shop.containers());
    let idle = world.ask("/docker_cancel").await;
    assert!(idle.text.contains("Nothing runs on shop"), "{}", idle.text);

    shop.write("Dockerfile", &dockerfile_that("echo now sleeping; sleep 300"));
    world.ask("/docker_deploy").await;
    world.say("yes");
    let progress = world.next().await;
    world.api.wait_until(ADMIN, progress.id, PATIENCE, |m| m.text.contains("now sleeping")).await.unwrap();
    let asked = Instant::now();
    let told = world.ask("/docker_cancel").await;
    assert!(
        told.text.contains("Cancelling the deploy") && asked.elapsed() < Duration::from_secs(1),
        "{:?}: {}",
        asked.elapsed(),
        told.text
    );
    let outcome = world.outcome(ADMIN).await;
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert!(outcome.text.contains("was cancelled") && outcome.text.contains("not touched"), "{}", outcome.text);
    assert_eq!((tree(&shop.production), shop.containers()), before);

    write_one_that_is_never_well(shop);
    world.ask("/docker_deploy").await;
    world.say("yes");
    let progress = world.next().await;
    world.api.wait_until(ADMIN, progress.id, PATIENCE, |m| m.text.contains("⏳ Verify")).await.unwrap();
    world.ask("/docker_cancel").await;
    let outcome = world.outcome(ADMIN).await;
    assert!(outcome.text.contains("was cancelled") && outcome.text.contains("Everything was put back"), "{}", outcome.text);
    assert_eq!(tree(&shop.production), before.0);
    assert!(shop.compose(&["logs", "web"]).contains("page one"), "what was before runs again");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_releases_are_forgotten_with_their_files_and_images() {
    let world = World::start(shop(json!({ "deploy": { "keep_releases": 2 } }))).await;
    let shop = &world.fixtures[0];
    for release in 1..=4 {
        shop.write("page", &format!("page {release} of this test\n"));
        deployed(&world, release).await;
    }
    let kept: Vec<String> = tree(&world.data.join("projects/shop/releases")).into_keys().filter(|p| !p.contains('/')).collect();
    assert_eq!(kept, ["3", "4"]);
    let images: Vec<bool> = (0..=4).map(|n| kept_image(&world, "web", n).is_some()).collect();
    assert_eq!(images, [false, false, false, true, true]);
    let gone = world.ask("/docker_rollback 1").await;
    assert!(gone.text.contains("no longer kept"), "{}", gone.text);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_services_come_up_everything_is_put_back_at_the_next_start() {
    let world = World::prepare(vec![shop(json!({ "deploy": { "health_timeout": "5m" } }))], json!({ "default_project": "shop" })).await;
    let shop = &world.fixtures[0];
    write_one_that_is_never_well(shop);
    let tools = Tools::all();
    let program = Launch::run(&world, &tools).start();
    let before = (tree(&shop.production), running_image(shop, "web"));
    world.ask("/docker_deploy").await;
    world.say("yes");
    let progress = world.next().await;
    world.api.wait_until(ADMIN, progress.id, PATIENCE, |m| m.text.contains("⏳ Verify")).await.unwrap();
    assert_ne!(running_image(shop, "web"), before.1);
    program.kill();
    let program = Launch::run(&world, &tools).start();
    let outcome = world.outcome(ADMIN).await;
    for told in ["was interrupted", "Everything was put back: shop runs release 0 again", "in the middle of the step “Verify web”"] {
        assert!(outcome.text.contains(told), "{told:?} is not told: {}", outcome.text);
    }
    assert_eq!((tree(&shop.production), running_image(shop, "web")), before);
    world.api.wait_acknowledged(PATIENCE).await.unwrap();
    program.stop().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_undoes_nothing_by_itself_says_how() {
    let fixture = Fixture::up(&[("web", healthy_service(""))]).with(json!({ "deploy": { "auto_rollback": false, "stability": "2s" } }));
    fixture.write("docker-compose.yml", &compose_file(&[("web", plain_service("sleep 0.2; exit 3", ""))]));
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    let before = shop.production_file("docker-compose.yml");
    world.ask("/docker_deploy").await;
    let outcome = world.confirm().await;
    assert!(outcome.text.contains("Nothing is undone by itself") && outcome.text.contains("/docker_rollback shop 0"), "{}", outcome.text);
    world.ask("/docker_rollback shop 0").await;
    let outcome = world.confirm().await;
    assert!(outcome.text.starts_with('✅'), "{}", outcome.text);
    assert_eq!(shop.production_file("docker-compose.yml"), before);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_goes_while_services_come_up_is_waited_for_and_everything_is_put_back() {
    let proxy = Proxy::start();
    let mut world = World::prepare(vec![shop(json!({}))], json!({ "default_project": "shop" })).await;
    world.docker_host = Some(proxy.host());
    world.boot();
    let shop = &world.fixtures[0];
    let before = (tree(&shop.production), running_image(shop, "web"));
    world.ask("/docker_deploy").await;
    proxy.cut_after("/containers/create");
    world.say("yes");
    let progress = world.next().await;
    world.api.wait_until(ADMIN, progress.id, PATIENCE, |m| m.text.contains("↩️ Bring the files of release 0 back")).await.unwrap();
    proxy.set_away(false);
    let outcome = world.outcome(ADMIN).await;
    for told in ["❌", "Everything was put back: shop runs release 0 again"] {
        assert!(outcome.text.contains(told), "{told:?} is not told: {}", outcome.text);
    }
    assert_eq!((tree(&shop.production), running_image(shop, "web")), before);
    assert_eq!(shop.containers().len(), 2, "nothing half made is left: {:?}", shop.containers());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_build_that_fails_among_several_moves_no_name() {
    let fixture = shop_of(&[("web", web("")), ("other", web(""))], json!({ "stateful": [] }));
    fixture.write("bad/Dockerfile", &dockerfile_that("echo the compiler is unhappy; exit 3"));
    fixture.write("bad/page", "page two\n");
    fixture.write("docker-compose.yml", &compose_file(&[("web", web("")), ("other", web("").replace("build: .", "build: ./bad"))]));
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    let names = || ["web", "other"].map(|s| image_named(&format!("{}-{s}", shop.name)));
    let before = (tree(&shop.production), shop.containers(), names());
    world.ask("/docker_deploy").await;
    let outcome = world.confirm().await;
    assert!(outcome.text.contains("the compiler is unhappy") && outcome.text.contains("not touched"), "{}", outcome.text);
    assert_eq!((tree(&shop.production), shop.containers(), names()), before);
    assert!(!world.data.join("projects/shop/releases/1").exists(), "what came to nothing takes no room");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn well_and_then_not_is_a_failure_and_is_undone() {
    let late = healthy_service("");
    // Well at once; the other one takes its time, and meanwhile the first falls ill.
    let ill = "touch /tmp/well; sleep 4; rm /tmp/well; while true; do sleep 1; done";
    let slow = "sleep 8; touch /tmp/well; while true; do sleep 1; done";
    let fixture = Fixture::up(&[("web", late.clone()), ("slow", late)]).with(json!({ "deploy": { "health_timeout": "60s" } }));
    let patient = |script: &str| crate::support::fixture::service(script, "").replace("retries: 3", "retries: 30");
    fixture.write("docker-compose.yml", &compose_file(&[("web", crate::support::fixture::service(ill, "")), ("slow", patient(slow))]));
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    let before = tree(&shop.production);
    world.ask("/docker_deploy").await;
    let outcome = world.confirm().await;
    assert!(outcome.text.contains("web did not come up") && outcome.text.contains("put back"), "{}", outcome.text);
    assert_eq!(tree(&shop.production), before);
    world.finish().await;
}
