//! Names in projects.json and in a project's own files: the compose project's, and those of services.

use serde_json::json;

use crate::support::fixture::{command, compose_file, plain_service, tree};
use crate::support::shop::deployed;
use crate::support::{ADMIN, Fixture, World, eventually};

const SLEEPS: &str = "exec sleep 1000000";

fn services() -> Vec<(&'static str, String)> {
    vec![("web", plain_service(SLEEPS, "")), ("store", plain_service(SLEEPS, ""))]
}

fn write(shop: &Fixture, head: &str, more: &str) {
    let services = [("web", plain_service(SLEEPS, more)), ("store", plain_service(SLEEPS, ""))];
    shop.write("docker-compose.yml", &format!("{head}{}", compose_file(&services)));
}

#[tokio::test(flavor = "multi_thread")]
async fn misspelt_service_blocks_operations_until_right() {
    let fixture = Fixture::up(&services()).with(json!({ "stateful": ["stroe"] }));
    let mut world = World::start(fixture).await;
    let before = world.fixtures[0].containers();
    world.fixtures[0].write("page", "two\n");
    for command in ["/docker_restart", "/docker_stop", "/docker_deploy", "/docker_start shop/web"] {
        let refused = world.ask(command).await;
        let text = &refused.text;
        assert!(text.contains("\"stateful\" in projects.json names “stroe”") && text.contains("Nearest: store."), "{command}: {text}");
        assert!(refused.button_texts().is_empty(), "{command}: {text}");
    }
    assert_eq!(world.fixtures[0].containers(), before);
    assert!(world.ask("/docker_status").await.text.contains("🟢 store"), "what only looks goes on");

    // A profile hides a service from Compose, and not from us.
    let hidden = "  tool: { image: x, profiles: [tools] }\n";
    let text = world.fixtures[0].production_file("docker-compose.yml").unwrap();
    world.fixtures[0].write_production("docker-compose.yml", &(text + hidden));
    world.fixtures[0].entry["stateful"] = json!(["store", "tool"]);
    world.configure(&world.projects_json());
    eventually("it may be restarted", async || world.ask("/docker_restart").await.text.contains("Restart: web")).await;
    world.api.take_unread(ADMIN);

    // After a reload it is said at once.
    world.fixtures[0].entry["primary"] = json!("wbe");
    world.configure(&world.projects_json());
    let told = "\"primary\" in projects.json names “wbe”";
    eventually("it is told", async || world.texts(ADMIN).iter().any(|text| text.contains(told))).await;
    world.idle().await;
    world.api.take_unread(ADMIN);
    world.finish().await;
}

/// What `dockmaster check` says of a world's configuration, and how it ends.
fn checked(world: &World) -> (Option<i32>, String) {
    let config = world.fixtures[0].production.parent().unwrap().join("projects.json");
    std::fs::write(&config, world.projects_json()).unwrap();
    let ended = command(env!("CARGO_BIN_EXE_dockmaster")).args(["check", "--config", config.to_str().unwrap()]).output().unwrap();
    (ended.status.code(), String::from_utf8(ended.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_what_a_plan_would_refuse() {
    let mut world = World::prepare(vec![Fixture::up(&services())], json!({})).await;
    let before = (world.fixtures[0].containers(), tree(&world.fixtures[0].production));
    write(&world.fixtures[0], "", "environment: { A: \"${OPTIONAL}\" }, volumes: [\"kept:/kept\"]");
    let text = std::fs::read_to_string(world.fixtures[0].workspace.join("docker-compose.yml")).unwrap() + "volumes: { kept: {} }\n";
    world.fixtures[0].write("docker-compose.yml", &text);
    let (code, said) = checked(&world);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("projects.shop: Nothing sets these variables of the compose file, so they are empty: OPTIONAL"), "{said}");
    assert!(said.contains("web may keep data. To protect them, add to projects.json: `\"stateful\": [\"web\"]`"), "{said}");
    for (file, entry, told) in [
        (&*text, json!({ "stateful": ["wbe"] }), "\"stateful\" in projects.json names “wbe”"),
        ("name: elsewhere\nservices: { web: { image: x } }\n", json!({}), "The compose project is elsewhere by"),
        ("services: { web: { build: ../lib } }\n", json!({}), "outside the workspace"),
        ("services: { web: { imgae: x } }\n", json!({}), "imgae"),
    ] {
        world.fixtures[0].write("docker-compose.yml", file);
        world.fixtures[0].entry = entry;
        let (code, said) = checked(&world);
        assert!(code == Some(1) && said.contains("problem projects.shop: ") && said.contains(told), "{file}: {code:?} {said}");
    }
    assert_eq!((world.fixtures[0].containers(), tree(&world.fixtures[0].production)), before, "nothing was changed");
    assert!(!world.data.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn compose_name_of_files_is_the_projects() {
    for by_environment in [false, true] {
        let fixture = Fixture::up(&services());
        let (name, other) = (fixture.name.clone(), format!("{}-other", fixture.name));
        let head = format!("name: {}\n", if by_environment { &other } else { &name });
        if by_environment {
            fixture.write_production(".env", &format!("COMPOSE_PROJECT_NAME={name}\n"));
        }
        write(&fixture, &head, "");
        let text = std::fs::read_to_string(fixture.workspace.join("docker-compose.yml")).unwrap();
        fixture.write_production("docker-compose.yml", &text);
        let fixture = fixture.with(json!({ "compose": { "files": ["docker-compose.yml"] }, "stateful": ["store"] }));
        let world = World::start(fixture).await;
        let shop = &world.fixtures[0];
        let store = shop.container("store").0;
        write(shop, &head, "environment: { A: b }");
        deployed(&world, 1).await;
        assert_eq!((shop.container("store").0, shop.containers().len()), (store, 2), "no second set of containers");

        // One that differs from it is refused with both.
        write(shop, &format!("name: {other}\n"), "environment: { A: c }");
        if by_environment {
            shop.write_production(".env", &format!("COMPOSE_PROJECT_NAME={other}\n"));
        }
        let refused = world.ask("/docker_deploy").await;
        let both = refused.text.contains(&format!("is {other} by ")) && refused.text.contains(&format!("and {name} by projects.json"));
        assert!(both && refused.button_texts().is_empty(), "{}", refused.text);
        world.finish().await;
    }
}
