//! How containers are found that somebody else made.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::lifecycle::{carry_out, good};
use crate::support::fixture::{engine_get, image, sh};
use crate::support::made::SERVES;
use crate::support::{Fixture, World};

/// Containers as somebody made them by hand, with names that begin alike. They go when this is dropped.
struct Others {
    prefix: String,
    ids: Vec<(String, String)>,
}

impl Others {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("dmt-found-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self { prefix, ids: Vec::new() }
    }

    fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// Makes one, which runs where `act` is `run`.
    fn make(&mut self, act: &[&str], name: &str, more: &[&str]) {
        let called = self.name(name);
        let id = sh("docker", &[act, &["--name", &called], more, &[image(), "sh", "-c", SERVES]].concat());
        self.ids.push((called, id.trim().to_owned()));
    }

    fn run(&mut self, name: &str, more: &[&str]) {
        self.make(&["run", "-d", "--restart", "unless-stopped"], name, more);
    }

    /// When each began last, by what it is called beyond the prefix.
    fn started(&self, name: &str) -> String {
        engine_get(&format!("/containers/{}/json", self.name(name)))["State"]["StartedAt"].to_string()
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        for (name, _) in &self.ids {
            let _ = crate::support::fixture::command("docker").args(["rm", "-f", name]).output();
        }
    }
}

/// What Compose labels the containers of a service with.
fn compose_labels(project: &str, service: &str) -> [String; 4] {
    let label = |name: &str, value: &str| format!("com.docker.compose.{name}={value}");
    [label("project", project), label("service", service), label("config-hash", "0a1b"), label("container-number", "1")]
}

fn edge(containers: Value) -> Fixture {
    let none = json!({ "compose": null, "workspace": null, "production": null, "deploy": null });
    Fixture::new(&[]).with(none).with(json!({ "containers": containers }))
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_finds_its_containers_replicas_and_stopped_ones_too() {
    let mut others = Others::new();
    let (project, cron, port) = (others.name("stack"), others.name("cron"), free_port());
    let of_stack = compose_labels(&project, "web");
    let of_stack: Vec<&str> = of_stack.iter().flat_map(|label| ["--label", label]).collect();
    for name in ["web-a", "web-b"] {
        others.run(name, &of_stack);
    }
    others.run("job", &[&of_stack[..], &["--label", "com.docker.compose.oneoff=True"]].concat());
    others.run("any", &["--label", &format!("dockmaster.service={cron}")]);
    others.run("exact", &[]);
    for name in ["pool-1", "pool-2", "pool-3"] {
        others.run(name, &[]);
    }
    others.make(&["create"], "door", &["-p", &format!("127.0.0.1:{port}:80")]);
    others.run("role", &["--label", &format!("dmt.role={}", others.prefix)]);
    let exact = others.name("exact");
    let world = World::start(edge(json!([
        { "compose": format!("{project}/web") }, { "service": cron }, exact,
        { "service": "pool", "pattern": others.name("pool-*") }, { "service": "door", "port": port },
        { "label": format!("dmt.role={}", others.prefix) },
    ])))
    .await;
    let status = world.ask("/docker_status").await.text;
    let names = ["web-a", "web-b", "pool-1", "pool-2", "pool-3"].map(|name| others.name(name));
    for told in names.iter().map(String::as_str).chain([cron.as_str(), exact.as_str(), "door", others.name("role").as_str()]) {
        assert!(status.contains(told), "{told}:\n{status}");
    }
    assert!(!status.contains(&others.name("job")), "made for one command: {status}");
    assert!(status.contains("\n8 of 9 up"), "{status}");

    // Several of one service are restarted as one, and nobody else's.
    let before = ["pool-1", "pool-2", "pool-3", "exact"].map(|name| others.started(name));
    let (_, outcome) = carry_out(&world, "/docker_restart shop/pool").await;
    good(&outcome);
    let after = ["pool-1", "pool-2", "pool-3", "exact"].map(|name| others.started(name));
    assert_eq!([0, 1, 2, 3].map(|n| before[n] == after[n]), [false, false, false, true]);
    // The stopped one is found by the port that it would publish, started, and found by the one that it publishes.
    let (_, outcome) = carry_out(&world, "/docker_start shop/door").await;
    good(&outcome);
    let status = world.ask("/docker_status").await.text;
    assert!(status.contains("\nall 9 up"), "{status}");
    good(&carry_out(&world, "/docker_stop shop/door").await.1);
    // One more of the pool is seen as soon as it is there.
    others.run("pool-4", &[]);
    crate::support::eventually("the fourth is seen", async || world.ask("/docker_status").await.text.contains(&others.name("pool-4")))
        .await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_way_that_finds_anything_counts_and_what_is_unclear_is_said() {
    let mut others = Others::new();
    let service = others.name("db");
    others.run("db", &[]);
    let world = World::start(edge(json!([{ "service": &service }]))).await;
    let shown = async |world: &World| world.ask("/docker_status").await.text;
    let status = shown(&world).await;
    assert!(status.contains("1 of 1 up") || status.contains("all 1 up") || status.contains("1 up"), "by its name: {status}");
    // A label counts more than a name, and Compose's own more than any.
    others.run("by-label", &["--label", &format!("dockmaster.service={service}"), "-e", "A=1"]);
    let before = others.started("db");
    good(&carry_out(&world, "/docker_restart").await.1);
    assert_eq!(others.started("db"), before, "the one with the label was meant");
    let one = compose_labels(&others.name("one"), &service);
    others.run("composed", &one.iter().flat_map(|label| ["--label", label]).collect::<Vec<_>>());
    let before = others.started("by-label");
    good(&carry_out(&world, "/docker_restart").await.1);
    assert_eq!(others.started("by-label"), before, "the one of Compose was meant");
    // Of two projects nobody knows which.
    let two = compose_labels(&others.name("two"), &service);
    others.run("other", &two.iter().flat_map(|label| ["--label", label]).collect::<Vec<_>>());
    for command in ["/docker_status", "/docker_restart", &format!("/docker_logs shop/{service}")] {
        let answer = world.ask(command).await.text;
        assert!(answer.contains(&format!("both have a service {service}")), "{answer}");
        assert!(answer.contains(&others.name("one")) && answer.contains(&others.name("two")), "{answer}");
        assert!(answer.contains("Say in projects.json which one is meant."), "{answer}");
    }
    world.finish().await;
}
