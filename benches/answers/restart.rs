//! What a restart costs: for how long a published port does not answer, by strategy; and ten services that need nothing of each
//! other beside the slowest of them alone.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dockmaster::domain::project::Strategy;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::scene::{Scene, person};
use crate::shared::table::Table;
use crate::support::fixture::{plain_service, service};
use crate::support::{Fixture, eventually};

/// The most that a restart of ten services may take, in times that of the slowest of them alone.
const TEN_GOAL: f64 = 1.2;
/// How many services need nothing of each other.
const INDEPENDENT: u32 = 10;
/// How long the slowest of them takes to be well, in milliseconds; the others take a part of that.
const SLOWEST: u32 = 6_000;
/// How often a port is asked, and how long it has to answer.
const EVERY: Duration = Duration::from_millis(10);
const ANSWER: Duration = Duration::from_millis(500);

/// Measures both.
pub(crate) async fn measure(rounds: usize, table: &mut Table) {
    downtime(rounds, table).await;
    ten(rounds, table).await;
}

/// A web server that is well as soon as it answers, and what stands beside that in the compose file.
fn server(more: &str) -> String {
    let check = "healthcheck: { test: [\"CMD\", \"wget\", \"-q\", \"-O\", \"/dev/null\", \"http://127.0.0.1:8080/well\"], interval: 500ms, retries: 3, start_period: 5s, start_interval: 200ms }";
    let serves = "mkdir -p /www; echo well >/www/well; exec httpd -f -p 8080 -h /www";
    plain_service(serves, &format!("{check}, {more}"))
}

async fn downtime(rounds: usize, table: &mut Table) {
    let port = four_free_ports();
    let of = |service: u16, more: &str| server(&format!("ports: [\"127.0.0.1:{service}:8080\"]{more}"));
    let pool = format!("ports: [\"127.0.0.1:{}-{}:8080\"], deploy: {{ replicas: 2 }}", port + 2, port + 3);
    let services =
        [("api", of(port, "")), ("web", of(port + 1, ", depends_on: { api: { condition: service_healthy } }")), ("pool", server(&pool))];
    let scene = Scene::new(vec![Fixture::up(&services)]).await;
    for strategy in Strategy::ALL.map(Strategy::word) {
        let mut figures = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
        for number in 0..rounds {
            let watched = [vec![port], vec![port + 1], vec![port + 2, port + 3]].map(Watched::new);
            for one in &watched {
                eventually("every port answers", async || one.answers()).await;
            }
            scene.plan(person(number), &format!("/docker_restart shop {strategy}")).await;
            let took = scene.confirm(person(number)).await;
            for (figure, one) in figures.iter_mut().zip(watched) {
                figure.push(one.end().await);
            }
            figures[3].push(took);
            eprintln!("restart: {strategy}, round {} of {rounds}: {:.1?} s", number + 1, figures.each_ref().map(|f| f[number]));
        }
        let whats = [
            "nobody answers for a service",
            "the same for one that depends on it",
            "the same for one of two replicas",
            "from yes to the outcome",
        ];
        for (what, figure) in whats.iter().zip(figures) {
            table.report(format!("a restart, {strategy}: {what}"), figure, "s");
        }
    }
    scene.settle().await;
    scene.end().await;
}

/// The first of four ports in a row that nobody uses.
fn four_free_ports() -> u16 {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    (20_000..30_000).step_by(7).find(|port| (0..4).all(|n| free(port + n))).unwrap()
}

/// Some ports of which one has to answer, asked again and again.
struct Watched {
    answers: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
    task: JoinHandle<Duration>,
}

impl Watched {
    fn new(ports: Vec<u16>) -> Self {
        let (answers, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let task = tokio::spawn(watch(ports, answers.clone(), ended.clone()));
        Self { answers, ended, task }
    }

    fn answers(&self) -> bool {
        self.answers.load(Ordering::Relaxed)
    }

    /// For how long none of them answered, in seconds, up to the first answer after the outcome.
    async fn end(self) -> f64 {
        eventually("a port answers again", async || self.answers()).await;
        self.ended.store(true, Ordering::Relaxed);
        self.task.await.unwrap().as_secs_f64()
    }
}

async fn watch(ports: Vec<u16>, answers: Arc<AtomicBool>, ended: Arc<AtomicBool>) -> Duration {
    let (mut silent, mut last) = (Duration::ZERO, None::<Instant>);
    let mut gap = false;
    while !ended.load(Ordering::Relaxed) {
        let mut good = false;
        for port in &ports {
            good = good || tokio::time::timeout(ANSWER, asked(*port)).await.is_ok_and(|answer| answer.is_some());
        }
        // From the last answer before to the first one after.
        if good {
            silent += last.filter(|_| gap).map_or(Duration::ZERO, |last| last.elapsed());
            last = Some(Instant::now());
        }
        gap = !good;
        answers.store(good, Ordering::Relaxed);
        tokio::time::sleep(EVERY).await;
    }
    silent
}

/// Whether it serves its page: the engine's own port takes a connection though nobody is behind it.
async fn asked(port: u16) -> Option<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    stream.write_all(b"GET /well HTTP/1.0\r\n\r\n").await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    answer.contains("200 OK").then_some(())
}

async fn ten(rounds: usize, table: &mut Table) {
    let names: Vec<String> = (1..=INDEPENDENT).map(|number| format!("s{number:02}")).collect();
    let well = |number: u32| {
        let pause = f64::from(SLOWEST * number / INDEPENDENT) / 1_000.0;
        let slow = service(&format!("rm -f /tmp/well; sleep {pause}; touch /tmp/well; while true; do sleep 1; done"), "");
        // As checks are in earnest: ten that run a command five times a second would keep two cores busy by themselves.
        slow.replace("interval: 500ms, retries", "interval: 5s, retries")
            .replace("start_period: 2s, start_interval: 200ms", "start_period: 60s, start_interval: 500ms")
    };
    let services: Vec<(&str, String)> = names.iter().map(String::as_str).zip((1..=INDEPENDENT).map(well)).collect();
    let scene = Scene::new(vec![Fixture::up(&services).with(json!({ "primary": "s01" }))]).await;
    let slowest = format!("/docker_restart shop/s{INDEPENDENT:02}");
    let (mut all, mut alone, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..rounds {
        let one = async |what: &str, person: i64| {
            scene.plan(person, what).await;
            scene.confirm(person).await
        };
        // Whoever goes first may find a machine that is warmer, or colder.
        let (ten, slowest) = if number % 2 == 0 {
            let ten = one("/docker_restart shop", person(2 * number)).await;
            (ten, one(&slowest, person(2 * number + 1)).await)
        } else {
            let slowest = one(&slowest, person(2 * number)).await;
            (one("/docker_restart shop", person(2 * number + 1)).await, slowest)
        };
        eprintln!("restart: ten services, round {} of {rounds}: {ten:.1} s, the slowest alone {slowest:.1} s", number + 1);
        all.push(ten);
        alone.push(slowest);
        ratios.push(ten / slowest);
    }
    scene.settle().await;
    table.report("a restart of the slowest of ten services alone", alone, "s");
    table.report("a restart of all ten, which need nothing of each other", all, "s");
    table.require("the same, in times the slowest alone", ratios, "", TEN_GOAL);
    scene.end().await;
}
