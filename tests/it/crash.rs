//! dockmaster killed (`kill -9`) before, in and after every step of a deploy and of a rollback, and while it puts one
//! back: at the next start production is the old release or the new one, whole, and the chat is told once.
//!
//! In the suite every step of a deploy is struck once. `scripts/long crash` strikes as often as it is told, with the dice of each run.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::fixture::{Tree, check, compose_file, engine_get, healthy_service, image, sh, tree};
use crate::support::program::{Launch, Program, Tools};
use crate::support::{ADMIN, Fixture, PATIENCE, World, eventually, long};

/// How long putting things right may take, besides the windows; and where other tests use the machine meanwhile.
const CONVERGES: Duration = Duration::from_secs(10);
const CONVERGES_IN_COMPANY: Duration = Duration::from_secs(30);
/// What a project may wait for by its own settings: it is watched for a while, and the two services that are replaced or
/// restarted have time to stop.
const WINDOWS: Duration = Duration::from_secs(1 + 2 + 2);
/// How often the journal is looked at.
const LOOK: Duration = Duration::from_millis(1);
/// What only production has.
const PRODUCTIONS_OWN: [&str; 6] = [".env", "uploads", "uploads/photo.jpg", "own", "own/ledger", "assets/upload.bin"];

/// Numbers that look random, and are the same for the same run.
struct Dice(u64);

impl Dice {
    fn of(run: u64) -> Self {
        Self(run)
    }

    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        // SplitMix64: good enough for a seed that only counts up.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }

    /// True once in so many times.
    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Deploy,
    Rollback,
}

/// What is done in one run.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Its number, which is the seed of its dice.
    number: u64,
    kind: Kind,
    /// Which step is struck, counted through all of them with one before the first, and begun again at the end.
    round: u64,
    /// Somebody edits production by hand before, so that it has to be kept first.
    edited: bool,
    /// It is also killed while it puts things right.
    twice: bool,
}

impl Run {
    fn of(number: u64) -> Self {
        let mut dice = Dice::of(number);
        let kind = if number.is_multiple_of(2) { Kind::Rollback } else { Kind::Deploy };
        Self { number, kind, round: number / 2, edited: dice.once_in(2), twice: dice.once_in(3) }
    }
}

/// How a run ended.
struct Ended {
    steps: usize,
    is_new: bool,
    converged: Duration,
}

/// Says which run it was where the test fails in the middle of it.
struct Told(String);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("crash: failed in {}", self.0);
        }
    }
}

/// dockmaster's own database, seen from outside.
struct Journal(Connection);

impl Journal {
    fn open(world: &World) -> Self {
        Self(world.kept())
    }

    fn number(&self, query: &str) -> i64 {
        self.0.prepare_cached(query).unwrap().query_row([], |row| row.get(0)).unwrap()
    }

    fn numbers(&self, query: &str) -> BTreeSet<i64> {
        let mut query = self.0.prepare_cached(query).unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn last_operation(&self) -> i64 {
        self.number("SELECT COALESCE(MAX(id), 0) FROM operations")
    }

    fn has_ended(&self, operation: i64) -> bool {
        self.number(&format!("SELECT ended NOT NULL FROM operations WHERE id = {operation}")) == 1
    }

    /// The names of the steps of an operation's plan.
    fn steps(&self, operation: i64) -> Vec<String> {
        let plan: String = self.0.query_row("SELECT plan FROM operations WHERE id = ?1", [operation], |row| row.get(0)).unwrap();
        let plan: Value = serde_json::from_str(&plan).unwrap();
        plan["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap().to_owned()).collect()
    }

    /// When each step of an operation was begun or done, in milliseconds: `(event, step)`.
    fn events(&self, operation: i64) -> BTreeMap<(String, usize), i64> {
        let mut query = self.0.prepare_cached("SELECT at, event FROM events WHERE operation = ?1").unwrap();
        let rows = query.query_map([operation], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))).unwrap();
        let read = rows.map(|row| {
            let (at, event) = row.unwrap();
            (at, serde_json::from_str::<Value>(&event).unwrap())
        });
        let of_step = |(at, event): (i64, Value)| {
            let step = usize::try_from(event["step"].as_u64()?).ok()?;
            Some(((event["event"].as_str()?.to_owned(), step), at))
        };
        read.filter_map(of_step).collect()
    }

    fn current(&self) -> i64 {
        self.number("SELECT release FROM current WHERE project = 'shop'")
    }

    fn releases(&self) -> BTreeSet<i64> {
        self.numbers("SELECT number FROM releases WHERE project = 'shop' AND manifest NOT NULL")
    }

    fn deployed(&self) -> BTreeSet<i64> {
        self.numbers("SELECT number FROM releases WHERE project = 'shop' AND manifest NOT NULL AND kind = '\"deploy\"'")
    }

    fn untold(&self) -> i64 {
        self.number("SELECT COUNT(*) FROM notices WHERE settled IS NULL")
    }
}

/// Where two trees differ.
fn differing(one: &Tree, other: &Tree) -> Vec<String> {
    let paths: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let differ = paths.into_iter().filter(|path| one.get(*path) != other.get(*path));
    differ.map(|path| format!("{path}: {:?}, {:?}", one.get(path), other.get(path))).collect()
}

/// Fills a directory with one of the two states that the workspace goes between: they differ in contents, modes, kinds,
/// links, and in what is there at all.
fn fill(root: &Path, is_b: bool) {
    let own = |name: &std::ffi::OsStr| PRODUCTIONS_OWN.iter().any(|path| Path::new(path) == Path::new(name));
    for entry in std::fs::read_dir(root).unwrap().map(Result::unwrap).filter(|e| !own(&e.file_name())) {
        if entry.file_type().unwrap().is_dir() { std::fs::remove_dir_all(entry.path()) } else { std::fs::remove_file(entry.path()) }
            .unwrap();
    }
    let name = if is_b { "B" } else { "A" };
    let put = |path: &str, mode: u32, text: &str| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let check = check();
    let web =
        format!("{{ build: ., init: true, stop_grace_period: 2s, depends_on: [postgres], environment: {{ RELEASE: {name} }}, {check} }}");
    let services = [
        ("web", web),
        ("postgres", healthy_service("")),
        // A file that is mounted by itself is seen as it was until the container starts again.
        ("edge", healthy_service("volumes: [\"./settings:/settings:ro\"]")),
    ];
    put("docker-compose.yml", 0o644, &compose_file(&services));
    let serves = json!("cat /page; touch /tmp/well; while true; do sleep 1; done");
    put("Dockerfile", 0o644, &format!("FROM {}\nCOPY page /page\nCMD [\"sh\", \"-c\", {serves}]\n", image()));
    put("page", 0o644, &format!("page {name}\n"));
    put("settings", 0o644, &format!("settings {name}\n"));
    put("notes", 0o644, &format!("notes {name}\n"));
    put("assets/site.css", 0o644, &format!("colour {name}\n"));
    put("run.sh", if is_b { 0o644 } else { 0o755 }, "#!/bin/sh\n");
    put("same", 0o640, "the same in both\n");
    symlink(if is_b { "run.sh" } else { "page" }, root.join("link")).unwrap();
    if is_b {
        put("shape/inner/file", 0o600, "a directory where a file was\n");
        put("added/deep/file", 0o644, "only in B\n");
        symlink("page", root.join("turns")).unwrap();
    } else {
        put("shape", 0o644, "a file where a directory was\n");
        put("gone.txt", 0o644, "only in A\n");
        put("turns", 0o644, "a file where a link was\n");
    }
}

/// Production and what runs there.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    tree: Tree,
    /// By service: id, when it started, image.
    containers: BTreeMap<String, (String, String, String)>,
}

impl Seen {
    fn image(&self, service: &str) -> &str {
        &self.containers[service].2
    }

    fn is_b(&self) -> bool {
        self.tree["page"].ends_with(r"page B\n")
    }
}

/// All that the runs share: one project, one chat, one data directory.
struct Scene {
    world: World,
    tools: Tools,
    journal: Journal,
    program: Option<Program>,
    /// How long each step has taken, at most, in milliseconds.
    usual: BTreeMap<String, u64>,
    /// The releases that production was seen to hold.
    held: BTreeSet<i64>,
}

impl Scene {
    /// A project that was found with some of B, and was given A.
    async fn new() -> Self {
        let entry = json!({
            "stateful": ["postgres"], "primary": "web",
            "deploy": { "stability": "1s", "health_timeout": "20s", "keep_releases": 6 }, "restart": { "stop_timeout": "2s" },
        });
        let fixture = Fixture::new(&[]).with(entry);
        fill(&fixture.production, true);
        // What only B has was not there: what is found belongs to no release, and no deploy takes it away.
        for only in ["shape", "added", "turns", "link"] {
            sh("rm", &["-r", fixture.production.join(only).to_str().unwrap()]);
        }
        for (path, text) in
            [(".env", "A_SECRET=1\n"), ("uploads/photo.jpg", "\u{1}\u{0}photo"), ("own/ledger", "1,2\n"), ("assets/upload.bin", "up")]
        {
            fixture.write_production(path, text);
        }
        std::fs::set_permissions(fixture.production.join("own"), std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::set_permissions(fixture.production.join("own/ledger"), std::fs::Permissions::from_mode(0o600)).unwrap();
        fixture.compose(&["up", "-d", "--build", "--wait"]);
        let world = World::prepare(vec![fixture], json!({ "default_project": "shop" })).await;
        let tools = Tools::all();
        let mut program = Launch::run(&world, &tools).start();
        program.says("connected to Telegram").await;
        let journal = Journal::open(&world);
        let mut scene = Self { world, tools, journal, program: Some(program), usual: BTreeMap::new(), held: BTreeSet::new() };
        scene.undisturbed(false).await;
        scene
    }

    fn shop(&self) -> &Fixture {
        &self.world.fixtures[0]
    }

    /// A deploy that nobody kills.
    async fn undisturbed(&mut self, to_b: bool) {
        fill(&self.shop().workspace, to_b);
        self.world.ask("/docker_deploy shop").await;
        let outcome = self.world.confirm().await;
        assert!(outcome.text.starts_with('✅'), "{}", outcome.text);
        self.learn(self.journal.last_operation());
        self.held.insert(self.journal.current());
        eventually("it was noted that the chat was told", async || self.journal.untold() == 0).await;
    }

    /// Notes how long the steps of an operation took.
    fn learn(&mut self, operation: i64) {
        let events = self.journal.events(operation);
        for (at, step) in self.journal.steps(operation).into_iter().enumerate() {
            let when = |event: &str| events.get(&(event.to_owned(), at));
            if let (Some(begun), Some(done)) = (when("step_started"), when("step_done")) {
                let usual = self.usual.entry(step).or_default();
                *usual = (*usual).max(done.saturating_sub(*begun).unsigned_abs());
            }
        }
    }

    /// Production as it is, where every service has one container, and that runs.
    fn see(&self) -> Seen {
        let filter = format!("%7B%22label%22%3A%5B%22com.docker.compose.project%3D{}%22%5D%7D", self.shop().name);
        let all = engine_get(&format!("/containers/json?all=1&filters={filter}"));
        let mut containers = BTreeMap::new();
        for found in all.as_array().unwrap() {
            let (id, name) = (found["Id"].as_str().unwrap(), found["Names"][0].as_str().unwrap());
            let (state, service) = (&found["State"], found["Labels"]["com.docker.compose.service"].as_str().unwrap());
            // Compose's own name for a container that is to take another's place: `3f2a_project-web-1`.
            let half_made = name.trim_start_matches('/').split_once('_').is_some_and(|(hex, _)| hex.chars().all(|c| c.is_ascii_hexdigit()));
            assert!(!half_made && state == "running", "a container that is half made or does not run: {name}, {state}: {all}");
            let inner = engine_get(&format!("/containers/{id}/json"));
            let text = |path: &str| inner.pointer(path).and_then(Value::as_str).unwrap().to_owned();
            assert_eq!(text("/State/Health/Status"), "healthy", "{name}");
            let known = containers.insert(service.to_owned(), (id.to_owned(), text("/State/StartedAt"), text("/Image")));
            assert_eq!(known, None, "{service} has two containers: {all}");
        }
        assert_eq!(containers.keys().collect::<Vec<_>>(), ["edge", "postgres", "web"]);
        Seen { tree: tree(&self.shop().production), containers }
    }

    fn inside(&self, seen: &Seen, service: &str, file: &str) -> String {
        sh("docker", &["exec", &seen.containers[service].0, "cat", file])
    }

    /// A kept release with the other content than production has, where there is one.
    fn other_release(&self, now: &Seen) -> Option<i64> {
        let page = |number: &i64| std::fs::read_to_string(self.release(*number).join("page")).unwrap();
        self.journal.releases().into_iter().rev().find(|n| (page(n) == "page B\n") != now.is_b())
    }

    fn release(&self, number: i64) -> std::path::PathBuf {
        self.world.data.join(format!("projects/shop/releases/{number}/tree"))
    }

    /// One run: an operation that is killed somewhere, the next start, and what is there then.
    async fn run(&mut self, run: Run) -> Ended {
        let mut dice = Dice::of(run.number);
        let mut told = Told(format!("run {} (the same again: scripts/long crash {} 1)", run.number, run.number));
        if run.edited {
            self.shop().write_production("notes", &format!("edited by hand before run {}\n", run.number));
        }
        let mut old = self.see();
        if run.kind == Kind::Rollback && self.other_release(&old).is_none() {
            self.undisturbed(!old.is_b()).await;
            old = self.see();
        }
        let (command, source) = match run.kind {
            Kind::Deploy => {
                fill(&self.shop().workspace, !old.is_b());
                ("/docker_deploy shop".to_owned(), self.shop().workspace.clone())
            }
            Kind::Rollback => {
                let number = self.other_release(&old).unwrap();
                (format!("/docker_rollback shop {number}"), self.release(number))
            }
        };
        let mut new = tree(&source);
        new.extend(old.tree.iter().filter(|(path, _)| PRODUCTIONS_OWN.contains(&path.as_str())).map(|(p, e)| (p.clone(), e.clone())));
        assert_ne!(old.tree, new);

        let before = self.journal.last_operation();
        let plan = self.world.ask(&command).await;
        assert!(!plan.button_texts().is_empty(), "no plan to confirm: {}", plan.text);
        self.world.say("yes");
        let operation = self.begun(before).await;
        let steps = self.journal.steps(operation);
        let point = self.strike(run, operation, &steps, &mut dice).await;
        told.0 = format!("{}: {:?}, killed {point}", told.0, run.kind);
        let mut delivered_twice = self.delivering(operation);

        let mut again = String::new();
        if run.twice {
            let point = self.strike_again(operation, steps.len(), &mut dice).await;
            delivered_twice |= self.delivering(operation);
            again = format!(", again {point}");
            told.0 += &again;
        }
        let started = Instant::now();
        let mut program = Launch::run(&self.world, &self.tools).start();
        let mut outcomes = vec![self.outcome().await];
        let converged = started.elapsed();
        let after = self.see();
        program.says("connected to Telegram").await;
        eventually("it was noted that the chat was told", async || self.journal.untold() == 0).await;

        for message in self.world.api.take_unread(ADMIN) {
            match is_outcome(&message.text) {
                true => outcomes.push(message.text),
                // It was killed before it had noted that it took the yes, and says so.
                false => assert!(message.text.contains("I was stopped while I answered yes"), "{}", message.text),
            }
        }
        // Who is killed between the delivery of a message and the note of it cannot know that it was delivered.
        if delivered_twice {
            outcomes.dedup();
        }
        assert_eq!(outcomes.len(), 1, "one outcome is told: {outcomes:#?}");
        assert_eq!(self.world.api.leftovers(), Vec::<String>::new());
        let pid = program.pid().cast_signed();
        eventually("nothing of the killed run is left at work", async || self.tools.processes() == [pid]).await;
        self.program = Some(program);
        let is_new = self.judge(&old, &new, &after, &outcomes[0]);
        let limit = if long::asked().is_some() { CONVERGES } else { CONVERGES_IN_COMPANY };
        assert!(converged <= limit + WINDOWS, "it took {converged:?}: {}", outcomes[0]);
        let (kind, what, seconds) = (run.kind, if is_new { "new" } else { "old" }, converged.as_secs_f64());
        eprintln!("crash: run {:3}: {kind:?} killed {point}{again}: {what}, {seconds:.1} s", run.number);
        self.learn(operation);
        Ended { steps: steps.len(), is_new, converged }
    }

    /// Waits for the next operation.
    async fn begun(&self, before: i64) -> i64 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let last = self.journal.last_operation();
            if last > before {
                return last;
            }
            assert!(Instant::now() < deadline, "nothing begins: {:#?}", self.world.texts(ADMIN).last());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Kills dockmaster where the run says, and says where that was.
    async fn strike(&mut self, run: Run, operation: i64, steps: &[String], dice: &mut Dice) -> String {
        let places = steps.len() as u64 + 1;
        let (place, turn) = (run.round % places, (run.round / places + run.round) % 3);
        let program = self.program.take().expect("a program runs");
        let Some(at) = usize::try_from(place).unwrap().checked_sub(1) else {
            program.kill();
            return "before the first step".to_owned();
        };
        let (event, words) = if turn == 2 { ("step_done", "after") } else { ("step_started", "at") };
        let (key, deadline) = ((event.to_owned(), at), Instant::now() + PATIENCE);
        while !self.journal.events(operation).contains_key(&key) && !self.journal.has_ended(operation) {
            assert!(Instant::now() < deadline, "step {at} of {steps:?} never came: {}", program.err());
            tokio::time::sleep(LOOK).await;
        }
        let name = &steps[at];
        if turn != 1 {
            program.kill();
            return format!("{words} step {at}, {name}");
        }
        let into = dice.below(self.usual.get(name).copied().unwrap_or(500).max(20));
        tokio::time::sleep(Duration::from_millis(into)).await;
        program.kill();
        format!("{into} ms into step {at}, {name}")
    }

    /// Starts dockmaster, kills it while it puts things right, and says where that was.
    async fn strike_again(&self, operation: i64, planned: usize, dice: &mut Dice) -> String {
        let program = Launch::run(&self.world, &self.tools).start();
        // The steps of an undo count on from the plan's.
        let at = planned + usize::try_from(dice.below(4)).unwrap();
        let event = if dice.once_in(2) { "step_done" } else { "step_started" };
        let (key, pause) = ((event.to_owned(), at), Duration::from_millis(dice.below(2_500)));
        let (by_journal, begun) = (dice.once_in(2), Instant::now());
        let is_time = || if by_journal { self.journal.events(operation).contains_key(&key) } else { begun.elapsed() >= pause };
        while !is_time() && !self.journal.has_ended(operation) {
            assert!(begun.elapsed() < PATIENCE, "it is never put right: {}", program.err());
            tokio::time::sleep(LOOK).await;
        }
        let point = if by_journal { format!("at {event} {at}") } else { format!("after {pause:?}") };
        let ended = if self.journal.has_ended(operation) { ", when it had ended" } else { "" };
        program.kill();
        format!("{point} of putting it back{ended}")
    }

    /// Whether an operation has ended, and it is not noted yet that the chat was told.
    fn delivering(&self, operation: i64) -> bool {
        self.journal.has_ended(operation) && self.journal.untold() > 0
    }

    /// Waits for the first outcome that is told.
    async fn outcome(&self) -> String {
        loop {
            let message = self.world.next().await;
            if is_outcome(&message.text) {
                return message.text;
            }
        }
    }

    /// Whether production is the new release. Fails where it is neither that nor the old one, whole.
    fn judge(&mut self, old: &Seen, new: &Tree, after: &Seen, outcome: &str) -> bool {
        let is_new = after.tree == *new;
        let parts = || format!("not the old: {:#?}\nnot the new: {:#?}", differing(&after.tree, &old.tree), differing(&after.tree, new));
        assert!(is_new || after.tree == old.tree, "production is neither the old nor the new\n{}\n{outcome}", parts());
        assert_eq!(after.containers["postgres"], old.containers["postgres"], "what keeps data was left alone: {outcome}");
        assert_eq!(after.image("web") == old.image("web"), !is_new, "the image and the files are of one release: {outcome}");
        for (service, inside, file) in [("web", "/page", "page"), ("edge", "/settings", "settings")] {
            let (runs, holds) = (self.inside(after, service, inside), self.shop().production_file(file).unwrap());
            assert_eq!(runs, holds, "{service} runs with what production holds: {outcome}");
        }
        assert_eq!(outcome.starts_with('✅'), is_new, "what is told is what is there: {outcome}");

        let current = self.journal.current();
        let instance: String = self.journal.0.query_row("SELECT name FROM instance", [], |row| row.get(0)).unwrap();
        let kept = engine_get(&format!("/images/dockmaster/shop/web:{current}-{instance}/json"));
        assert_eq!(kept["Id"], *after.image("web"), "release {current} keeps the image that runs: {outcome}");
        assert_eq!(self.journal.number("SELECT COUNT(*) FROM moves WHERE settled IS NULL"), 0, "{outcome}");
        self.held.insert(current);
        let releases = std::fs::read_dir(self.world.data.join("projects/shop/releases")).unwrap();
        let there: BTreeSet<i64> = releases.map(|e| e.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
        assert_eq!(there, self.journal.releases(), "files of releases, and releases that are known: {outcome}");
        assert!(self.journal.deployed().is_subset(&self.held), "a release is listed that never arrived: {outcome}");
        is_new
    }

    async fn finish(mut self) {
        if let Some(program) = self.program.take() {
            self.world.api.wait_acknowledged(PATIENCE).await.unwrap();
            program.stop().await;
        }
        self.world.finish().await;
    }
}

fn is_outcome(text: &str) -> bool {
    ["✅", "❌", "⚠️"].iter().any(|mark| text.starts_with(mark))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_production_is_the_old_or_the_new() {
    let mut scene = Scene::new().await;
    let mut ended = Vec::new();
    if let Some(rounds) = long::asked() {
        for number in rounds {
            ended.push(scene.run(Run::of(number)).await);
        }
    } else {
        for kind in [Kind::Rollback, Kind::Deploy] {
            // A rollback has the steps of a deploy: every second one.
            for round in (0..).step_by(if kind == Kind::Rollback { 2 } else { 1 }) {
                let number = round * 2 + u64::from(kind == Kind::Deploy);
                let run = Run { number, kind, round, edited: kind == Kind::Deploy, twice: round % 5 == 4 };
                ended.push(scene.run(run).await);
                if round >= ended.last().map_or(0, |e| e.steps as u64) {
                    break;
                }
            }
        }
    }
    scene.finish().await;
    let new = ended.iter().filter(|e| e.is_new).count();
    let slowest = ended.iter().map(|e| e.converged).max().unwrap_or_default();
    let (runs, old, seconds) = (ended.len(), ended.len() - new, slowest.as_secs_f64());
    eprintln!("crash: {runs} runs: {old} old, {new} new; the slowest was right again after {seconds:.1} s");
}
