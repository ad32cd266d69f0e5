//! What both benchmarks share: the program on a disk that people use, its journal, and the clock.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use dockmaster::app;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::shared::timed;
use crate::support::fixture::sh;
use crate::support::program::{Launch, Program, Tools};
use crate::support::{Fixture, World, eventually};

/// How long a file must have been left alone for its hash to be remembered, and a little.
const SETTLED: Duration = Duration::from_millis(2_200);

/// The program at work, and everything that it works on.
pub(crate) struct Scene {
    pub(crate) world: World,
    program: Program,
    journal: Connection,
    _tools: Tools,
    // Last, so that it goes when nobody works in it any more.
    _directory: TempDir,
}

/// An operation that came to its end.
pub(crate) struct Done {
    /// When it was confirmed, in milliseconds.
    confirmed: i64,
    ended: i64,
    /// The steps by name: when each began and was done.
    steps: BTreeMap<String, (i64, i64)>,
}

impl Done {
    /// From the confirmation until production held the files.
    pub(crate) fn promoted(&self) -> f64 {
        seconds(self.steps["promote"].1 - self.confirmed)
    }

    /// From the confirmation to the outcome, without the time in which services are only watched.
    pub(crate) fn outcome(&self, window: Duration) -> f64 {
        let watched = self.steps.keys().filter(|s| *s == "verify").count();
        seconds(self.ended - self.confirmed) - window.as_secs_f64() * watched as f64
    }

    /// How long each step took, for whoever looks where the time goes.
    pub(crate) fn explain(&self) -> String {
        let first = self.steps.values().map(|(began, _)| *began).min().unwrap_or(self.ended);
        let steps = self.steps.iter().map(|(name, (began, done))| format!(", {name} {} ms", done - began));
        format!("begun after {} ms{}; ended after {} ms", first - self.confirmed, steps.collect::<String>(), self.ended - self.confirmed)
    }
}

fn seconds(millis: i64) -> f64 {
    Duration::from_millis(millis.unsigned_abs()).as_secs_f64()
}

impl Scene {
    /// Starts the program for a project whose trees lie in `directory`.
    pub(crate) async fn new(directory: TempDir, fixture: Fixture) -> Self {
        let mut world = World::prepare(vec![fixture], json!({ "default_project": "shop", "confirm_timeout": "600s" })).await;
        world.data = directory.path().join("data");
        let tools = Tools::all();
        let mut program = Launch::run(&world, &tools).start();
        program.says("connected to Telegram").await;
        let journal = world.kept();
        Self { world, program, journal, _tools: tools, _directory: directory }
    }

    pub(crate) fn shop(&self) -> &Fixture {
        &self.world.fixtures[0]
    }

    /// The release that production holds.
    pub(crate) fn current(&self) -> i64 {
        self.journal.query_row("SELECT release FROM current", [], |row| row.get(0)).unwrap()
    }

    /// Asks for a plan; how long that took, in seconds.
    pub(crate) async fn plan(&self, text: &str) -> f64 {
        let asked = Instant::now();
        let plan = self.world.ask(text).await;
        assert!(plan.text.contains("yes"), "no plan: {}", plan.text);
        asked.elapsed().as_secs_f64()
    }

    /// Confirms the plan and waits for the outcome.
    pub(crate) async fn confirm(&self) -> Done {
        let confirmed = app::now();
        let outcome = self.world.confirm().await;
        assert!(outcome.text.starts_with('✅'), "{}", outcome.text);
        let untold = || self.journal.query_row("SELECT COUNT(*) FROM notices WHERE settled IS NULL", [], |row| row.get::<_, i64>(0));
        eventually("it was noted that the chat was told", async || untold().unwrap() == 0).await;
        self.done(confirmed)
    }

    fn done(&self, confirmed: i64) -> Done {
        let last = "SELECT id, plan, ended FROM operations ORDER BY id DESC LIMIT 1";
        let row = self.journal.query_row(last, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get(2)?)));
        let (operation, plan, ended) = row.unwrap();
        let plan: Value = serde_json::from_str(&plan).unwrap();
        let mut query = self.journal.prepare_cached("SELECT at, event FROM events WHERE operation = ?1 ORDER BY id").unwrap();
        let events = query.query_map([operation], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))).unwrap();
        let mut steps = BTreeMap::new();
        for (at, event) in events.map(Result::unwrap) {
            let event: Value = serde_json::from_str(&event).unwrap();
            let Some(step) = event["step"].as_u64().and_then(|n| plan["steps"].get(usize::try_from(n).ok()?)) else { continue };
            let times = steps.entry(step["step"].as_str().unwrap().to_owned()).or_insert((at, at));
            times.1 = at;
        }
        Done { confirmed, ended, steps }
    }

    /// Ends the program and takes everything down.
    pub(crate) async fn end(self) {
        self.program.stop().await;
    }
}

/// Waits until what was written is remembered by its hash, and brings everything to the disk: what one side has left to be
/// written is not to be paid for by the other.
pub(crate) async fn settle() {
    tokio::time::sleep(SETTLED).await;
    rustix::fs::sync();
}

/// How long it takes to bring a workspace into production by hand, in seconds.
pub(crate) fn by_rsync(workspace: &Path, production: &Path) -> f64 {
    let within = |path: &Path| format!("{}/", path.display());
    timed("rsync", &["-a", "--delete", &within(workspace), &within(production)])
}

/// The bytes that directories take on the disk, what several of them share counted once.
pub(crate) fn space(directories: &[&Path]) -> u64 {
    let paths = directories.iter().map(|d| d.to_str().unwrap());
    let args: Vec<&str> = ["-s", "--block-size=1"].into_iter().chain(paths).collect();
    sh("du", &args).lines().map(|line| line.split('\t').next().unwrap().parse::<u64>().unwrap()).sum()
}
