//! Variables that a compose file uses: what nothing sets is told once with the lines to paste, and what was set is not lost.

use serde_json::json;

use crate::support::fixture::{compose_file, engine_get, plain_service};
use crate::support::made::environment;
use crate::support::{Fixture, World};

const SLEEPS: &str = "exec sleep 1000000";

fn write(shop: &Fixture, more: &str, rest: &str) {
    shop.write("docker-compose.yml", &(compose_file(&[("web", plain_service(SLEEPS, more))]) + rest));
}

fn variable(shop: &Fixture, name: &str) -> Option<String> {
    let seen = engine_get(&format!("/containers/{}/json", shop.container("web").0));
    environment(&seen).into_iter().find_map(|set| set.strip_prefix(&format!("{name}=")).map(str::to_owned))
}

async fn deployed(world: &World) -> String {
    let plan = world.ask("/docker_deploy").await.text;
    let outcome = world.confirm().await.text;
    assert!(outcome.starts_with('✅'), "{plan}\n{outcome}");
    plan
}

#[tokio::test(flavor = "multi_thread")]
async fn unset_variable_is_told_once_and_a_set_one_kept() {
    let fixture = Fixture::up(&[("web", plain_service(SLEEPS, ""))]).with(json!({ "stateful": [] }));
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    write(shop, "environment: { A: \"x${OPTIONAL_FLAG}\", B: \"${PASSWORD}\" }", "");
    shop.write_production(".env", "PASSWORD=one\n");

    let plan = deployed(&world).await;
    assert!(plan.contains("Nothing sets these variables of the compose file, so they are empty."), "{plan}");
    assert!(plan.contains("add to production's .env:\nOPTIONAL_FLAG="), "{plan}");
    assert_eq!((variable(shop, "A").as_deref(), variable(shop, "B").as_deref()), (Some("x"), Some("one")));
    write(shop, "environment: { A: \"y${OPTIONAL_FLAG}\", B: \"${PASSWORD}\" }", "");
    let plan = deployed(&world).await;
    assert!(!plan.contains("Nothing sets"), "it was told with the release before: {plan}");

    // What the release that runs had is not lost in silence, neither by a deploy nor by going back.
    shop.write_production(".env", "OTHER=1\n");
    for command in ["/docker_deploy", "/docker_rollback shop"] {
        let refused = world.ask(command).await;
        assert!(refused.text.contains("uses PASSWORD, which nothing sets now and which was set before"), "{}", refused.text);
        assert!(refused.button_texts().is_empty());
    }
    shop.write_production(".env", "PASSWORD=\n");
    write(shop, "environment: { A: \"z${OPTIONAL_FLAG}\", B: \"${PASSWORD}\" }", "");
    deployed(&world).await;
    assert_eq!(variable(shop, "B").as_deref(), Some(""), "empty was meant");

    // What Compose could not make a container without is refused in the plan.
    write(shop, "secrets: [db]", "secrets: { db: { environment: DB_PASSWORD }, unused: { environment: NEVER } }\n");
    let refused = world.ask("/docker_deploy").await.text;
    assert!(refused.contains("The value of db is to come from the variable DB_PASSWORD, which nothing sets."), "{refused}");
    shop.write_production(".env", "PASSWORD=\nDB_PASSWORD=three\n");
    deployed(&world).await;
    world.finish().await;
}
