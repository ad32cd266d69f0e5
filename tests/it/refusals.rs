//! Bad input of a deploy and of the chat: one clear sentence each, and nothing is done.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::support::fixture::{compose_file, healthy_service, image, plain_service, sh};
use crate::support::{ADMIN, Fixture, World};

const SERVES: &str = "while true; do sleep 1; done";

/// A mount that ends with the test, however that ends.
struct Mount(PathBuf);

impl Mount {
    fn read_only(path: &Path) -> Self {
        let text = path.to_str().unwrap();
        sh("mount", &["--bind", text, text]);
        let mount = Self(path.to_owned());
        sh("mount", &["-o", "remount,ro,bind", text]);
        mount
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        sh("umount", &["-l", self.0.to_str().unwrap()]);
    }
}

/// Asks for a deploy, which must be refused with these words and without buttons.
async fn refused(world: &World, command: &str, told: &[&str]) {
    let answer = world.ask(command).await;
    for told in told {
        assert!(answer.text.contains(told), "{told}:\n{}", answer.text);
    }
    assert!(answer.buttons.is_empty(), "{}", answer.text);
    assert!(answer.text.starts_with("shop cannot be deployed.\n") && answer.text.lines().count() <= 4, "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_deployed_is_refused_with_its_reason() {
    let good = [("web", plain_service(SERVES, ""))];
    let world = World::start(Fixture::new(&good)).await;
    let shop = &world.fixtures[0];
    let with = |more: &str| compose_file(&[("web", plain_service(SERVES, more))]);
    let compose = |text: &str| shop.write("docker-compose.yml", text);

    compose("services:\n  web: { image: [\n");
    refused(&world, "/docker_deploy", &["Compose cannot read its files: yaml: line ", "Mend the compose file"]).await;
    compose("services:\n  web:\n    image: x\n    prots: [\"1:1\"]\n");
    refused(&world, "/docker_deploy", &["prots", "Mend the compose file"]).await;
    compose("services: {}\n");
    refused(&world, "/docker_deploy", &["declares no services"]).await;
    // Set for this process, as the bot's token would be: never for Compose.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    compose(&with("environment: { A: \"${CARGO_MANIFEST_DIR}\", B: \"${NOT_SET_ANYWHERE}\" }"));
    let plan = world.ask("/docker_deploy").await;
    assert!(
        plan.text.contains("Nothing sets these variables") && plan.text.contains("\nCARGO_MANIFEST_DIR=\nNOT_SET_ANYWHERE="),
        "{}",
        plan.text
    );
    compose(&with("environment: { A: \"${PASSWORD:?set the password of the shop}\" }"));
    refused(&world, "/docker_deploy", &["PASSWORD", "set the password of the shop", "production's .env"]).await;
    compose(&with("volumes: [\"./:/app\"]"));
    refused(&world, "/docker_deploy", &["web mounts all of production writable", ":ro"]).await;
    compose("services: { web: { build: ../lib } }\n");
    std::fs::create_dir_all(shop.workspace.with_file_name("lib")).unwrap();
    refused(&world, "/docker_deploy", &["The image of web is built from ", "outside the workspace"]).await;
    compose(&with(""));
    refused(&world, "/docker_deploy with=nope", &["It has no service “nope”.", "It has web."]).await;

    std::fs::remove_file(shop.workspace.join("docker-compose.yml")).unwrap();
    refused(&world, "/docker_deploy", &["The workspace is empty.", "correct \"workspace\""]).await;
    shop.write("README", "no compose file here\n");
    refused(&world, "/docker_deploy", &["The workspace has no docker-compose.yml.", "compose.files"]).await;
    std::fs::remove_dir_all(&shop.workspace).unwrap();
    let path = shop.workspace.to_str().unwrap();
    refused(&world, "/docker_deploy", &[&format!("Its workspace {path} is not there"), "in projects.json"]).await;
    // The configuration refuses a workspace inside production; a link made later gets there all the same.
    std::fs::create_dir_all(shop.production.join("inner")).unwrap();
    symlink(shop.production.join("inner"), &shop.workspace).unwrap();
    refused(&world, "/docker_deploy", &["lie within each other", "directories apart"]).await;
    std::fs::remove_file(&shop.workspace).unwrap();
    shop.write("docker-compose.yml", &compose_file(&good));

    let mount = Mount::read_only(&shop.production);
    refused(&world, "/docker_deploy", &["may not write to production", "ead-only file system"]).await;
    drop(mount);
    assert!(shop.containers().is_empty(), "nothing ran in all this");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_deletions_are_refused_and_links_are_not_followed() {
    let fixture = Fixture::new(&[("web", healthy_service(""))]).with(json!({ "deploy": { "max_delete": 2, "health_timeout": "20s" } }));
    for n in 1..=3 {
        fixture.write(&format!("old/{n}"), "old\n");
    }
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    let plan = world.ask("/docker_deploy").await.text;
    assert!(plan.contains("web: create (new)"), "{plan}");
    assert!(world.confirm().await.text.starts_with('✅'), "{:#?}", world.texts(ADMIN));
    std::fs::remove_dir_all(shop.workspace.join("old")).unwrap();
    refused(&world, "/docker_deploy", &["It would delete 3 files, more than the 2 that are allowed.", "deploy.max_delete"]).await;
    assert!(shop.production_file("old/3").is_some());
    for n in 1..=3 {
        shop.write(&format!("old/{n}"), "old\n");
    }

    // Where the workspace has a directory production has a link to somewhere else: nothing may be written there.
    let outside = shop.workspace.with_file_name("outside");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::write(outside.join("page"), "not ours\n").unwrap();
    symlink(&outside, shop.production.join("site")).unwrap();
    shop.write("site/page", "ours\n");
    let answer = world.ask("/docker_deploy").await;
    assert!(answer.text.contains("Production has a link at site, where the workspace has a directory"), "{}", answer.text);
    assert!(answer.buttons.is_empty(), "refused before anybody confirms");
    assert!(std::fs::symlink_metadata(shop.production.join("site")).unwrap().is_symlink());
    assert_eq!(std::fs::read_to_string(outside.join("page")).unwrap(), "not ours\n");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_reaches_beyond_its_container_and_what_is_dropped_is_shown() {
    let fixture = Fixture::new(&[("web", plain_service(SERVES, "")), ("old", plain_service(SERVES, ""))]);
    fixture.compose(&["up", "-d"]);
    let asks = "privileged: true, pid: host, volumes: [\"/var/run/docker.sock:/var/run/docker.sock\", \"/etc/ssl:/ssl:ro\"]";
    fixture.write("docker-compose.yml", &compose_file(&[("web", plain_service(SERVES, asks))]));
    let world = World::start(fixture).await;
    let plan = world.ask("/docker_deploy").await.text;
    for told in [
        "privileged mode",
        "the engine's socket",
        "the host's processes",
        "Mounts outside production: /etc/ssl.",
        "web: recreate (configuration changed)",
    ] {
        assert!(plan.contains(told), "{told}:\n{plan}");
    }
    assert!(plan.lines().any(|l| l.starts_with("⚠️") && l.contains("old")), "a service that the files no longer have:\n{plan}");
    world.say("no");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_wrong_is_answered_with_what_is_right() {
    let two = [Fixture::new(&[("web", plain_service(SERVES, ""))]), Fixture::new(&[])];
    let world = World::start_with(two.into(), json!({ "default_project": "shop" })).await;
    world.fixtures[0].compose(&["up", "--no-start"]);
    for command in ["status", "logs", "restart", "start", "stop", "deploy", "history"] {
        for (typed, told) in [
            ("shp", vec!["There is no project shp.", "Nearest: shop."]),
            ("-rf", vec!["-rf", "shop"]),
            ("../x", vec!["There is no project ../x."]),
            ("shop --force", vec!["I do not understand --force here.", "Allowed: /docker_", "Example: /docker_"]),
            ("shop;rm", vec!["There is no project shop;rm."]),
        ] {
            let answer = world.ask(&format!("/docker_{command} {typed}")).await;
            for told in told {
                assert!(answer.text.contains(told), "/docker_{command} {typed}: {told}:\n{}", answer.text);
            }
            assert!(answer.buttons.is_empty() && answer.text.lines().count() <= 3, "{}", answer.text);
        }
    }
    for (typed, told) in [
        ("/docker_restart shop/wbe", "It has web."),
        ("/docker_stop shop/nope", "It has web."),
        ("/docker_restart shop sideways", "I do not understand sideways here."),
        ("/docker_deploy shop with=", "I do not understand with= here."),
        ("/docker_deploy shop with=../x", "is no service's name"),
        ("/docker_statsu", "Nearest: /docker_status"),
    ] {
        let answer = world.ask(typed).await.text;
        assert!(answer.contains(told), "{typed}:\n{answer}");
    }
    assert!(!image().is_empty());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_may_not_be_written_to_is_refused_before_anybody_confirms() {
    let fixture = Fixture::new(&[("web", healthy_service(""))]);
    fixture.write("new/file", "from the workspace\n");
    fixture.write_production("new/own", "only production has this\n");
    // Even root may not write there.
    let locked = fixture.production.join("new").display().to_string();
    sh("mount", &["--bind", &locked, &locked]);
    sh("mount", &["-o", "remount,ro,bind", &locked]);
    let world = World::start(fixture).await;
    let refusal = world.ask("/docker_deploy").await;
    sh("umount", &[&locked]);
    for told in ["shop cannot be deployed.", "new could not be written to", "Give dockmaster's user the right to write there"] {
        assert!(refusal.text.contains(told), "{told:?} is not told: {}", refusal.text);
    }
    assert!(refusal.buttons.is_empty());
    assert!(!world.ask("/docker_deploy").await.buttons.is_empty(), "with the right it is planned");
    world.api.take_unread(ADMIN);
    world.finish().await;
}
