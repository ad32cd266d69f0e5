//! How often the engine is asked, and that nothing is told that it has contradicted.

use std::time::Duration;

use tokio::time::Instant;

use crate::support::fixture::{healthy_service, plain_service, sh};
use crate::support::proxy::Proxy;
use crate::support::{Fixture, World, eventually, long};

const SLEEPS: &str = "sleep 1000";
/// How long what an event says may take to get here.
const SOON: Duration = Duration::from_secs(2);

async fn world(services: &[(&str, String)]) -> (World, Proxy) {
    let fixture = Fixture::new(services);
    fixture.compose(&["up", "-d"]);
    let proxy = Proxy::start();
    let mut world = World::prepare(vec![fixture], serde_json::json!({})).await;
    world.docker_host = Some(proxy.host());
    world.boot();
    eventually("the engine's events are followed", async || proxy.asked().iter().any(|line| line.contains("/events?"))).await;
    (world, proxy)
}

fn looks(asked: &[String]) -> usize {
    asked.iter().filter(|line| line.contains("/containers/")).count()
}

/// Waits until what a status has measured in the background, and what was told of the start, come to their end.
async fn rest(proxy: &Proxy) {
    let mut quiet = Instant::now();
    eventually("it comes to rest", async || {
        if !proxy.asked().is_empty() {
            quiet = Instant::now();
        }
        quiet.elapsed() > Duration::from_secs(1)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_counts_until_the_engine_tells_something_else() {
    let (world, proxy) = world(&[("web", plain_service(SLEEPS, "")), ("api", plain_service(SLEEPS, ""))]).await;
    let shop = &world.fixtures[0];
    world.ask("/docker_status").await;
    world.idle().await;
    rest(&proxy).await;
    // What was seen may be old by now.
    world.ask("/docker_status").await;
    proxy.asked();
    let asked_at = Instant::now();
    world.ask("/docker_status").await;
    let asked = proxy.asked();
    assert!(looks(&asked) == 0 || asked_at.elapsed() > Duration::from_secs(4), "it looked again: {asked:#?}");
    // Whatever happens outside is in the next answer, long before what was seen is old.
    let (id, _) = shop.container("web");
    for round in 0..10 {
        let (act, wanted) = if round % 2 == 0 { ("kill", "stopped") } else { ("start", "up ") };
        world.ask("/docker_status").await;
        sh("docker", &[act, &id]);
        let began = Instant::now();
        loop {
            let answer = world.ask("/docker_status").await.text;
            let web = answer.split("\n\n").find(|p| p.contains("web")).unwrap_or_else(|| panic!("{answer}")).to_owned();
            if web.contains(wanted) {
                break;
            }
            assert!(began.elapsed() < SOON, "round {round}, {:?} after the {act}: {web}", began.elapsed());
        }
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_dockmaster_asks_the_engine_nothing() {
    // Its health check makes the engine busy with itself all the time.
    let (world, proxy) = world(&[("web", healthy_service(""))]).await;
    world.ask("/docker_status").await;
    world.idle().await;
    rest(&proxy).await;
    let seconds = long::rounds(5).count() as u64;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let (pings, others): (Vec<String>, Vec<String>) = proxy.asked().into_iter().partition(|line| line.contains("_ping"));
    assert_eq!(others, Vec::<String>::new());
    assert!(u64::try_from(pings.len()).unwrap() <= 1 + seconds / 60, "{} pings in {seconds} s", pings.len());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_cannot_be_read_is_unknown_and_the_rest_is_right() {
    let services = ["api", "db", "web"].map(|name| (name, plain_service(SLEEPS, "")));
    let (world, proxy) = world(&services).await;
    let inspection = |service: &str| format!("/containers/{}/json", world.fixtures[0].container(service).0);
    // As Podman says it, and as no engine should.
    proxy.rewrite(&inspection("api"), "/State/Status", "stopped".into());
    proxy.rewrite(&inspection("db"), "/NetworkSettings/Networks", serde_json::Value::Null);
    proxy.rewrite(&inspection("db"), "/RestartCount", "0".into());
    let mut answer = String::new();
    eventually("what was seen before is old", async || {
        answer = world.ask("/docker_status").await.text;
        answer.contains("unknown")
    })
    .await;
    let of = |service: &str| answer.split("\n\n").find(|part| part.contains(service)).unwrap_or_else(|| panic!("{answer}"));
    assert!(of("api").contains("unknown"), "{answer}");
    assert!(of("db").contains("up ") && of("web").contains("up "), "{answer}");
    assert!(!answer.contains("does not answer"), "{answer}");
    world.finish().await;
}
