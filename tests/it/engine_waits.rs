//! dockmaster killed (`kill -9`) while the engine is still stopping a container that ignores SIGTERM, in services that are slow to
//! start and whose health check is slow: the next start waits for the engine, brings up what should run, and says how it is.
//!
//! The suite kills three times in each kind of operation. `scripts/long waits` kills as often as it is told, at moments that come
//! from the number of each run.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::fixture::{compose_file, engine_get, image, sh};
use crate::support::program::{Launch, Program, Tools};
use crate::support::{ADMIN, Fixture, PATIENCE, World, eventually, long};

/// The grace period that `web` uses up, and how much later the engine has certainly ended it.
const GRACE: Duration = Duration::from_secs(4);
const OVER: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Deploy,
    Rollback,
    Restart,
    Stop,
}

const KINDS: [Kind; 4] = [Kind::Deploy, Kind::Rollback, Kind::Restart, Kind::Stop];

/// What runs: by service the id of its container, its state, its health, and the release that it was made from.
type Running = BTreeMap<String, (String, String, String, String)>;

struct Scene {
    world: World,
    tools: Tools,
    program: Option<Program>,
}

/// The files of a release: `web` takes 4 s to stop and 3 s to start, `api` has a health check of 5 s.
fn fill(fixture: &Fixture, release: &str) {
    let web = format!(
        "{{ image: {}, stop_grace_period: 4s, environment: {{ RELEASE: {release} }}, command: [\"sh\", \"-c\", {}], healthcheck: {{ test: [\"CMD\", \"test\", \"-e\", \"/tmp/well\"], interval: 500ms, retries: 3, start_period: 10s }} }}",
        image(),
        json!("trap '' TERM; sleep 3; touch /tmp/well; while true; do sleep 0.2; done"),
    );
    let api = format!(
        "{{ image: {}, init: true, stop_grace_period: 2s, environment: {{ RELEASE: {release} }}, command: [\"sleep\", \"1000000\"], healthcheck: {{ test: [\"CMD\", \"sleep\", \"5\"], interval: 1s, timeout: 8s, start_period: 2s }} }}",
        image(),
    );
    fixture.write("docker-compose.yml", &compose_file(&[("web", web), ("api", api)]));
}

impl Scene {
    async fn new() -> Self {
        let entry =
            json!({ "primary": "web", "deploy": { "stability": "1s", "health_timeout": "40s", "keep_releases": 3 }, "restart": null });
        let fixture = Fixture::new(&[]).with(entry);
        fill(&fixture, "first");
        std::fs::copy(fixture.workspace.join("docker-compose.yml"), fixture.production.join("docker-compose.yml")).unwrap();
        fixture.compose(&["up", "-d"]);
        let world = World::prepare(vec![fixture], json!({ "default_project": "shop" })).await;
        let tools = Tools::all();
        let mut program = Launch::run(&world, &tools).start();
        program.says("connected to Telegram").await;
        let mut scene = Self { world, tools, program: Some(program) };
        scene.undisturbed("/docker_deploy shop", "second").await;
        scene
    }

    /// An operation that nobody kills, with a release of its own in the workspace.
    async fn undisturbed(&mut self, command: &str, release: &str) {
        fill(&self.world.fixtures[0], release);
        self.world.ask(command).await;
        let outcome = self.world.confirm().await;
        assert!(outcome.text.starts_with('✅'), "{}", outcome.text);
        self.world.api.wait_acknowledged(PATIENCE).await.unwrap();
    }

    fn running(&self) -> Running {
        let filter = format!("%7B%22label%22%3A%5B%22com.docker.compose.project%3D{}%22%5D%7D", self.world.fixtures[0].name);
        let all = engine_get(&format!("/containers/json?all=1&filters={filter}"));
        let mut running = Running::new();
        for found in all.as_array().unwrap() {
            let seen = engine_get(&format!("/containers/{}/json", found["Id"].as_str().unwrap()));
            let text = |path: &str| seen.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
            let environment = seen["Config"]["Env"].as_array().unwrap().iter().filter_map(Value::as_str);
            let release = environment.filter_map(|v| v.strip_prefix("RELEASE=")).next().unwrap_or_default().to_owned();
            let one = (text("/Id"), text("/State/Status"), text("/State/Health/Status"), release);
            let other = running.insert(text("/Config/Labels/com.docker.compose.service"), one);
            assert_eq!(other, None, "a service has two containers: {all}");
        }
        running
    }

    /// Waits until the engine has begun to stop a container.
    async fn stopping(&self, container: &str, since: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = sh("date", &["+%s.%N"]);
            let asked = ["events", "--since", since, "--until", now.trim(), "--filter", "event=kill", "--filter"];
            if !sh("docker", &[&asked[..], &[&format!("container={container}")]].concat()).is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "it is never stopped: {:#?}", self.world.texts(ADMIN));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// One run: an operation that is killed `after` the engine began to stop `web`, the next start, and what there is then.
    async fn run(&mut self, number: u64, kind: Kind, after: Duration) {
        let old = self.running();
        let (command, new) = match kind {
            Kind::Deploy => ("/docker_deploy shop", format!("run{number}")),
            Kind::Rollback => {
                self.undisturbed("/docker_deploy shop", &format!("before{number}")).await;
                ("/docker_rollback shop", old["web"].3.clone())
            }
            Kind::Restart => ("/docker_restart shop", old["web"].3.clone()),
            Kind::Stop => ("/docker_stop shop", old["web"].3.clone()),
        };
        let old = self.running();
        if kind == Kind::Deploy {
            fill(&self.world.fixtures[0], &new);
        }
        let since = sh("date", &["+%s.%N"]);
        self.world.ask(command).await;
        self.world.say("yes");
        self.stopping(&old["web"].0, since.trim()).await;
        let stopping = Instant::now();
        tokio::time::sleep(after).await;
        self.program.take().unwrap().kill();

        let mut program = Launch::run(&self.world, &self.tools).start();
        let outcome = self.world.outcome(ADMIN).await.text;
        program.says("connected to Telegram").await;
        self.program = Some(program);
        // Whatever the engine was still doing shows by then.
        tokio::time::sleep((GRACE + OVER).saturating_sub(stopping.elapsed())).await;
        let (context, now) = (format!("run {number}: {kind:?} killed {after:?} into the stop of web: {outcome}"), self.running());
        eprintln!("engine_waits: run {number}: {kind:?} killed {after:?} into the stop, told after {:?}", stopping.elapsed());
        self.judge(kind, &old, &new, &now, &outcome, &context);
        let later: Vec<String> = self.world.api.take_unread(ADMIN).into_iter().map(|m| m.text).collect();
        assert!(!later.iter().any(|text| text.contains("Correction")), "{context}: {later:#?}");
        if kind == Kind::Stop {
            self.undisturbed("/docker_start shop", &new).await;
        }
    }

    fn judge(&self, kind: Kind, old: &Running, new: &str, now: &Running, outcome: &str, context: &str) {
        let is_up = |service: &str| now.get(service).is_some_and(|(_, state, health, _)| state == "running" && health == "healthy");
        let mut said = 0;
        for line in outcome.lines() {
            let (good, rest) = match (line.strip_prefix("🟢 "), line.strip_prefix("🔴 ")) {
                (Some(rest), _) => (true, rest),
                (_, Some(rest)) => (false, rest),
                _ => continue,
            };
            let (service, seen) = rest.split_once(": ").unwrap();
            let expected = if kind == Kind::Stop { !good } else { good };
            assert_eq!(is_up(service), expected, "{service} is said to be {seen}, and is {:?}: {context}", now.get(service));
            said += 1;
        }
        match kind {
            Kind::Stop => assert!(said > 0, "{context}"),
            _ => assert!(["web", "api"].into_iter().all(is_up), "everything runs: {now:?}: {context}"),
        }
        let release = |running: &Running| running["web"].3.clone();
        match kind {
            Kind::Deploy | Kind::Rollback if outcome.starts_with('✅') => assert_eq!(release(now), new, "{context}"),
            _ => assert_eq!(release(now), release(old), "{context}"),
        }
    }

    async fn finish(mut self) {
        if let Some(program) = self.program.take() {
            self.world.api.wait_acknowledged(PATIENCE).await.unwrap();
            program.stop().await;
        }
        eventually("nothing is left at work", async || self.tools.processes().is_empty()).await;
        self.world.finish().await;
    }
}

/// At its beginning, in the middle and shortly before its end.
async fn killed_while_the_engine_stops(kind: Kind) {
    let mut scene = Scene::new().await;
    for (number, millis) in [(0, 0), (1, 1_700), (2, 3_700)] {
        scene.run(number, kind, Duration::from_millis(millis)).await;
    }
    scene.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deploy_killed_in_a_stop_leaves_what_is_told() {
    killed_while_the_engine_stops(Kind::Deploy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rollback_killed_in_a_stop_leaves_what_is_told() {
    killed_while_the_engine_stops(Kind::Rollback).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restart_killed_in_a_stop_leaves_what_is_told() {
    killed_while_the_engine_stops(Kind::Restart).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_killed_in_a_stop_leaves_what_is_told() {
    killed_while_the_engine_stops(Kind::Stop).await;
}

/// The long form: as many runs as are asked for.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_of_a_stop() {
    let Some(rounds) = long::asked() else { return };
    let mut scene = Scene::new().await;
    for number in rounds {
        // Prime steps: kinds and moments meet in every combination.
        let kind = KINDS[usize::try_from(number % 4).unwrap()];
        scene.run(number, kind, Duration::from_millis(number * 613 % 8_000)).await;
    }
    scene.finish().await;
}
