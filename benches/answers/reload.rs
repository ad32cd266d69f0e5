//! What it costs that the configuration reloads itself: from a save until it is in force, and what watching takes while
//! nothing is saved.

use std::path::Path;
use std::time::{Duration, Instant};

use dockmaster::console::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::scene::percentile;
use crate::shared::table::Table;
use crate::shared::{directory, setting};
use crate::support::program::{Launch, Program, Tools};
use crate::support::saves::KINDS;
use crate::support::{ADMIN, PATIENCE, World};
use crate::usage::{processor, resident};

/// How often it is saved, for each way of watching.
const SAVES: (&str, usize) = ("DOCKMASTER_BENCH_SAVES", 100);
/// For how many seconds nothing is saved, in each round.
const IDLE: (&str, usize) = ("DOCKMASTER_BENCH_IDLE", 60);

/// The ways of watching, with the most that a save may take until it is in force, in seconds.
const WAYS: [(&str, f64); 2] = [("events", 1.0), ("poll", 2.0)];
/// The most that watching may take: of a core in per cent, and of the memory in MB.
const PROCESSOR_GOAL: f64 = 1.0;
const MEMORY_GOAL: f64 = 10.0;

/// How many projects there are in how many files.
const LARGE: (usize, usize) = (1_000, 100);
const SMALL: (usize, usize) = (1, 1);

/// How long a program has after its start to come to rest.
const REST: Duration = Duration::from_secs(5);
/// How often it is asked whether what was saved is in force.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Measures both.
pub(crate) async fn measure(rounds: usize, table: &mut Table) {
    for (size, what) in [(SMALL, "1 project"), (LARGE, "1,000 projects in 100 files")] {
        for (way, goal) in WAYS {
            saves(size, what, (way, goal), table).await;
        }
    }
    idle(rounds.div_ceil(3), table).await;
}

/// A dockmaster with so many projects, all of them in included files.
struct Watched {
    world: World,
    program: Program,
    _tools: Tools,
    directory: TempDir,
}

impl Watched {
    async fn new((projects, files): (usize, usize), way: &str) -> Self {
        let directory = directory();
        write_projects(directory.path(), projects, files);
        let settings = json!({
            "access": { "users": { ADMIN.to_string(): "admin" } },
            "include": ["projects.d/*.json"], "projects": {},
            "reload": { "watch": if way == "off" { "events" } else { way } },
        });
        let mut world = World::prepare(Vec::new(), settings).await;
        world.data = directory.path().join("data");
        let tools = Tools::all();
        let launch = Launch::run(&world, &tools);
        let launch = if way == "off" { launch.set("DOCKMASTER_HOT_RELOAD", "0") } else { launch };
        let mut program = launch.start();
        program.says("connected to Telegram").await;
        let heard = program.err();
        assert!(heard.contains(&format!("watching=\"{way}\"")), "{heard}");
        tokio::time::sleep(REST).await;
        Self { world, program, _tools: tools, directory }
    }

    fn client(&self) -> Client {
        Client::of(&self.world.data).unwrap()
    }

    async fn end(self) {
        self.program.stop().await;
        assert_eq!(self.world.api.leftovers(), Vec::<String>::new());
    }
}

/// Projects as people have them, each with directories that are there.
fn write_projects(directory: &Path, projects: usize, files: usize) {
    std::fs::create_dir(directory.join("projects.d")).unwrap();
    for file in 0..files {
        let mut all = serde_json::Map::new();
        for number in (file..projects).step_by(files) {
            let name = format!("p{number:04}");
            let (workspace, production) = (directory.join("work").join(&name), directory.join("live").join(&name));
            for root in [&workspace, &production] {
                std::fs::create_dir_all(root).unwrap();
                std::fs::write(root.join("docker-compose.yml"), "services: {}\n").unwrap();
            }
            let project = json!({
                "description": format!("Project number {number}"), "workspace": workspace, "production": production,
                "compose": { "files": ["docker-compose.yml"], "name": name }, "primary": "web", "stateful": ["postgres"],
                "exclude": ["*.log", "node_modules"], "deploy": { "health_timeout": "120s", "stability": "10s" },
            });
            all.insert(name, project);
        }
        let text = serde_json::to_string_pretty(&json!({ "projects": all })).unwrap();
        std::fs::write(directory.join(format!("projects.d/{file:03}.json")), text).unwrap();
    }
}

/// Saves it again and again, in every way in turn; how long each takes until it is in force and kept.
async fn saves(size: (usize, usize), what: &str, (way, goal): (&str, f64), table: &mut Table) {
    let (watched, times) = (Watched::new(size, way).await, setting(SAVES));
    let client = watched.client();
    let version = async || client.get::<Value>("/health/hot-reload").await.unwrap()["snapshot"].as_u64().unwrap();
    let mut all: Value = serde_json::from_str(&watched.world.projects_json()).unwrap();
    let mut figures = Vec::new();
    for number in 1..=times {
        // Spread over the second in which it is looked once.
        tokio::time::sleep(Duration::from_secs_f64((number as f64 * 0.618).fract())).await;
        all["confirm_timeout"] = json!(format!("{}ms", 60_000 + number));
        let (before, (kind, save)) = (version().await, KINDS[number % KINDS.len()]);
        save(watched.directory.path(), &all.to_string(), number);
        let saved = Instant::now();
        while version().await == before {
            assert!(saved.elapsed() < PATIENCE, "what was saved {kind} is not in force");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        figures.push(saved.elapsed().as_secs_f64());
        let told = watched.world.next().await.text;
        assert!(told.contains("confirm_timeout"), "{told}");
    }
    let worst = percentile(&figures, 100);
    let memory = resident(watched.program.pid());
    eprintln!("reload: {what}, {way}: {:.2} s, at worst {worst:.2} s; {memory:.1} MB after {times} saves", percentile(&figures, 50));
    table.require(format!("saved until in force, {what}, {way}"), figures, "s", goal);
    table.require(format!("the same, the worst of {times}"), vec![worst], "s", goal);
    table.report("resident memory after that", vec![memory], "MB");
    watched.end().await;
}

/// What watching takes while nothing is saved: beside a dockmaster that does not watch, in the same minute.
async fn idle(rounds: usize, table: &mut Table) {
    let window = Duration::from_secs(u64::try_from(setting(IDLE)).unwrap());
    let (mut busy, mut held) = ([const { Vec::new() }; 3], [const { Vec::new() }; 3]);
    for number in 1..=rounds {
        let mut all = Vec::new();
        for way in ["off", "events", "poll"] {
            all.push(Watched::new(LARGE, way).await);
        }
        let taken = || all.iter().map(|watched| processor(watched.program.pid())).collect::<Vec<_>>();
        let (began, before) = (Instant::now(), taken());
        tokio::time::sleep(window).await;
        let (passed, after) = (began.elapsed().as_secs_f64(), taken());
        for (at, watched) in all.into_iter().enumerate() {
            busy[at].push((after[at] - before[at]) / passed * 100.0);
            held[at].push(resident(watched.program.pid()));
            watched.end().await;
        }
        let last = |of: &[Vec<f64>; 3]| of.each_ref().map(|figures| format!("{:.2}", figures[number - 1])).join(", ");
        eprintln!("reload: round {number} of {rounds}: off, events, poll: {} % of a core, {} MB", last(&busy), last(&held));
    }
    let more = |of: &[Vec<f64>; 3], at: usize| of[at].iter().zip(&of[0]).map(|(with, without)| with - without).collect::<Vec<_>>();
    for (at, way) in [(1, "events"), (2, "poll")] {
        table.require(
            format!("processor time of watching 1,000 projects in 100 files, {way}"),
            more(&busy, at),
            "% of a core",
            PROCESSOR_GOAL,
        );
        table.require(format!("memory of the same, {way}"), more(&held, at), "MB", MEMORY_GOAL);
    }
    let [not_watching, ..] = busy;
    table.report("processor time of all else, idle", not_watching, "% of a core");
    let [without, ..] = held;
    table.report("resident memory with these projects, not watched", without, "MB");
}
