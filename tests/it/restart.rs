//! Restarting, starting and stopping, from the chat to the engine.

use serde_json::json;

use crate::support::{ADMIN, Fixture, World, fixture::healthy_service};

fn shop() -> Fixture {
    let web = healthy_service("depends_on: { postgres: { condition: service_healthy } }");
    Fixture::up(&[("web", web), ("postgres", healthy_service(""))]).with(json!({ "stateful": ["postgres"], "primary": "web" }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_confirmed_runs_and_leaves_the_store_alone() {
    let world = World::start(shop()).await;
    let before = (world.fixtures[0].container("web"), world.fixtures[0].container("postgres"));
    let plan = world.ask("/docker_restart").await;
    assert!(plan.text.contains("web") && plan.text.contains("postgres"), "{}", plan.text);
    assert_eq!(plan.button_texts(), [["Restart", "Cancel"]]);
    world.api.press(ADMIN, ADMIN, plan.id, "Restart").unwrap();
    let outcome = world.outcome(ADMIN).await;
    assert!(outcome.text.starts_with('✅') && outcome.text.contains("healthy after"), "{}", outcome.text);
    let after = (world.fixtures[0].container("web"), world.fixtures[0].container("postgres"));
    assert_eq!((before.0.0 == after.0.0, before.0.1 == after.0.1), (true, false), "web runs anew in the same container");
    assert_eq!(before.1, after.1, "the store was not touched");
    world.finish().await;
}
