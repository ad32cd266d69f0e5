//! The configuration of a dockmaster in a container, saved on the host: through a real engine and real mounts.

use std::path::Path;
use std::time::{Duration, Instant};

use dockmaster::console::Client;
use serde_json::{Value, json};

use crate::support::boxed::Boxed;
use crate::support::saves::{KINDS, RENAMED, Save, touch};
use crate::support::{Fixture, PATIENCE, World, eventually, long};

/// Within which a save must be in force where it is looked once a second.
const WITHIN: Duration = Duration::from_secs(2);

/// What dockmaster says on its control socket, of which the host sees the same one.
async fn says(client: &Client, address: &str) -> Value {
    client.get(address).await.unwrap_or_else(|e| panic!("{address}: {e}"))
}

/// A configuration that is known by its number, and how it is told.
fn numbered(world: &World, number: usize) -> String {
    let mut all: Value = serde_json::from_str(&world.projects_json()).unwrap();
    all["confirm_timeout"] = json!(format!("{}ms", 60_000 + number));
    serde_json::to_string_pretty(&all).unwrap()
}

/// Waits until it is in force, and says how long that took since it was saved.
async fn in_force(client: &Client, number: usize) -> Duration {
    let saved = Instant::now();
    while says(client, "/projects").await["confirm_within"] != json!(60_000 + number) {
        assert!(saved.elapsed() < PATIENCE, "{number} is not in force: {}", says(client, "/health/hot-reload").await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    saved.elapsed()
}

/// Saves it, and expects that it is in force in time; how long that took.
async fn is_in_force(world: &World, client: &Client, directory: &Path, (kind, save): Save, number: usize) -> Duration {
    save(directory, &numbered(world, number), number);
    let took = in_force(client, number).await;
    assert!(took < WITHIN, "{kind}, save {number}: {took:?}");
    took
}

/// Each is told the admin once.
async fn is_told(world: &World) {
    let told = world.next().await.text;
    assert!(told.starts_with("⚙️ Configuration reloaded") && told.contains("confirm_timeout: "), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_saved_on_the_host_is_in_force_in_the_container_in_time() {
    let world = World::prepare(vec![Fixture::new(&[])], json!({ "default_project": "shop" })).await;
    let boxed = Boxed::build("mounted", &world);
    let directory = boxed.configuration();
    boxed.up();
    world.ask("/whoami").await;
    let client = Client::of(&world.data).unwrap();
    let standing = says(&client, "/health/hot-reload").await;
    assert!(standing["watching"] == "poll" && standing["because"].to_string().contains("in a container"), "{standing}");

    let mut number = 0;
    for save in KINDS {
        let mut worst = Duration::ZERO;
        for _ in long::rounds(1) {
            number += 1;
            worst = worst.max(is_in_force(&world, &client, directory, save, number).await);
        }
        eprintln!("{}, in a container: at worst {worst:?}", save.0);
    }
    for _ in 0..number {
        is_told(&world).await;
    }
    // What says the same is no reload.
    let before = says(&client, "/health/hot-reload").await;
    touch(directory);
    tokio::time::sleep(WITHIN).await;
    assert_eq!(says(&client, "/health/hot-reload").await, before);

    // A mistake and a part of a file are told with their places, and change nothing.
    let good = numbered(&world, number + 1);
    let (role, end) = (good.find("\"admin\"").unwrap(), good.find("\"chats\"").unwrap());
    let mistake = (good.replacen("\"admin\"", "\"boss\"", 1), role, " access.users.111: found “boss”");
    for (bad, at, problem) in [mistake, (good[..end].to_owned(), end, ": found the end of the file")] {
        RENAMED.1(directory, &bad, number);
        let (told, place) = (world.next().await.text, place_of(&bad, at));
        assert!(told.starts_with(&format!("⚠️ Configuration rejected\nWhat was in force still is.\n{place}{problem}")), "{place}: {told}");
        assert_eq!(says(&client, "/projects").await["confirm_within"], json!(60_000 + number));
    }
    number += 1;
    is_in_force(&world, &client, directory, RENAMED, number).await;
    is_told(&world).await;

    a_single_file(&world, &boxed, number).await;
    drop(boxed);
    world.finish().await;
}

/// Line and column of a byte.
fn place_of(text: &str, at: usize) -> String {
    let (line, start) = (text[..at].matches('\n').count() + 1, text[..at].rfind('\n').map_or(0, |newline| newline + 1));
    format!("{line}:{}", text[start..at].chars().count() + 1)
}

/// Mounted by itself: seen while it is written in place, and told with the remedy once another one stands in its place.
async fn a_single_file(world: &World, boxed: &Boxed, number: usize) {
    let file = boxed.configuration().join("projects.json");
    boxed.also(&json!({
        "environment": { "DOCKMASTER_CONFIG": "/etc/alone/projects.json" },
        "volumes": [format!("{}:/etc/alone/projects.json:ro", file.display())],
    }));
    boxed.up();
    world.ask("/whoami").await;
    let client = Client::of(&world.data).unwrap();
    is_in_force(world, &client, boxed.configuration(), KINDS[0], number + 1).await;
    is_told(world).await;
    RENAMED.1(boxed.configuration(), &numbered(world, number + 2), number + 2);
    let told = world.next().await.text;
    assert!(told.starts_with("⚠️ Changes of the configuration cannot be seen\n/etc/alone/projects.json is mounted by itself"), "{told}");
    assert!(told.contains("mount its directory instead, and start this container again."), "{told}");
    // As told, so done.
    boxed.also(&json!({}));
    boxed.up();
    eventually("the new one is in force", async || {
        // The socket is another one now.
        let client = Client::of(&world.data).unwrap();
        client.get::<Value>("/projects").await.is_ok_and(|seen| seen["confirm_within"] == json!(60_000 + number + 2))
    })
    .await;
}
