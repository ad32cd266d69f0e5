//! The program at work for some projects, and many people who each have a private chat with it.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::shared::directory;
use crate::support::fixture::{compose_file, plain_service};
use crate::support::program::{Launch, Program, Tools};
use crate::support::{Fixture, PATIENCE, World, eventually};

/// How many people there are. A chat may have a message a second, and no more than thirty a second go to all chats.
pub(crate) const PEOPLE: usize = 50;
/// The number of the first of them; the others follow.
const FIRST: i64 = 1_000;
/// The least time between two requests: the thirty a second, and a little.
pub(crate) const PACE: Duration = Duration::from_millis(35);
/// How many requests wait for their answers at a time. Fewer than people, so that no chat has two.
const WAITING: usize = 8;
/// How long an operation may take before nobody believes any more that it ends.
const OPERATION_MAX: Duration = Duration::from_secs(900);
/// How long the program is left alone until it counts as idle.
const IDLE: Duration = Duration::from_secs(1);

/// The program, and everything that it works on.
pub(crate) struct Scene {
    pub(crate) world: World,
    program: Program,
    tools: Tools,
    // Last, so that it goes when nobody works in it any more.
    _directory: TempDir,
}

/// A person by their number, counted from 0 and then again from the first.
pub(crate) fn person(number: usize) -> i64 {
    FIRST + i64::try_from(number % PEOPLE).unwrap()
}

/// A project with so many containers that do nothing at all.
pub(crate) fn containers(count: usize) -> Fixture {
    let idle = plain_service("exec sleep 1000000", "network_mode: none");
    let names: Vec<String> = (1..=count).map(|number| format!("s{number:03}")).collect();
    let services: Vec<(&str, String)> = names.iter().map(|name| (name.as_str(), idle.clone())).collect();
    let mut fixture = Fixture::new(&[]).with(json!({ "workspace": null, "deploy": null }));
    fixture.write_production("docker-compose.yml", &compose_file(&services));
    fixture.entry["primary"] = json!("s001");
    fixture.compose(&["up", "-d"]);
    fixture
}

/// Everything but the program: where the projects are called `shop`, which is meant unless another is named, `p01`, `p02`…
pub(crate) async fn world(fixtures: Vec<Fixture>, directory: &TempDir) -> World {
    let name = |number: usize| if number == 0 { "shop".to_owned() } else { format!("p{number:02}") };
    let projects: Map<String, Value> = fixtures.iter().enumerate().map(|(number, f)| (name(number), f.project_json())).collect();
    let users: Map<String, Value> = (0..PEOPLE).map(|number| (person(number).to_string(), json!("admin"))).collect();
    let settings = json!({
        "default_project": "shop", "confirm_timeout": "600s", "access": { "users": users }, "projects": projects,
    });
    let mut world = World::prepare(fixtures, settings).await;
    (0..PEOPLE).for_each(|number| world.api.add_user(person(number), &format!("Person {number}")));
    world.data = directory.path().join("data");
    world
}

impl Scene {
    /// Starts the program.
    pub(crate) async fn new(fixtures: Vec<Fixture>) -> Self {
        let directory = directory();
        let world = world(fixtures, &directory).await;
        let tools = Tools::all();
        let mut program = Launch::run(&world, &tools).start();
        program.says("connected to Telegram").await;
        Self { world, program, tools, _directory: directory }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.program.pid()
    }

    /// Asks for a status and waits for all of the answer, whose last message has the buttons; how long it took, in seconds.
    pub(crate) async fn status(&self, person: i64, text: &str) -> f64 {
        let asked = Instant::now();
        self.world.api.say(person, person, text);
        loop {
            let part = self.world.next_in(person).await;
            if !part.buttons.is_empty() {
                assert!(part.button("Logs").is_some(), "no status: {}", part.text);
                return asked.elapsed().as_secs_f64();
            }
        }
    }

    /// Asks for what the bot answers without asking anybody else; how long it took, in seconds.
    pub(crate) async fn whoami(&self, person: i64) -> f64 {
        let asked = Instant::now();
        self.world.api.say(person, person, "/whoami");
        self.world.next_in(person).await;
        asked.elapsed().as_secs_f64()
    }

    /// Asks for the first project's status so many times, one chat after another, no faster than the pace.
    pub(crate) async fn statuses(&self, times: usize, pace: Duration) -> Vec<f64> {
        let began = tokio::time::Instant::now();
        let ask = |number: usize| async move {
            tokio::time::sleep_until(began + pace * u32::try_from(number).unwrap()).await;
            self.status(person(number), "/docker_status shop").await
        };
        stream::iter((0..times).map(ask)).buffered(WAITING).collect().await
    }

    /// Asks for an operation and shows its plan.
    pub(crate) async fn plan(&self, person: i64, text: &str) {
        self.world.api.say(person, person, text);
        let plan = self.world.next_in(person).await;
        assert!(plan.text.contains("yes"), "no plan: {}", plan.text);
    }

    /// Confirms the plan; how long it takes until the chat is told that it went well, in seconds.
    pub(crate) async fn confirm(&self, person: i64) -> f64 {
        let asked = Instant::now();
        self.world.api.say(person, person, "yes");
        loop {
            let message = self.world.api.next_message(person, OPERATION_MAX).await.unwrap();
            assert!(!message.text.starts_with('❌') && !message.text.starts_with("⚠️"), "{}", message.text);
            if message.text.starts_with('✅') {
                return asked.elapsed().as_secs_f64();
            }
        }
    }

    /// Waits until the program has nothing in hand: no update, and no program that it started.
    pub(crate) async fn settle(&self) {
        self.world.api.wait_quiet(IDLE, PATIENCE).await.unwrap();
        eventually("nothing that the program started runs", async || self.tools.processes() == [self.pid().cast_signed()]).await;
    }

    /// Ends the program, which made no mistake, and takes everything down.
    pub(crate) async fn end(self) {
        self.program.stop().await;
        assert_eq!(self.world.api.leftovers(), Vec::<String>::new());
    }
}

/// The figure that so many of a hundred are not above.
pub(crate) fn percentile(figures: &[f64], percent: usize) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
}
