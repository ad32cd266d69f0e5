//! Random compose projects and random next versions of them, each deployed by dockmaster and, as its twin, brought up by `docker-compose up -d`:
//! what the plan says, what there is on the engine, what the status says and what Compose does agree. [`compare`] lists where
//! dockmaster means to differ.
//!
//! A round is random in its number only, so that `scripts/long twins N 1` repeats round N.

mod compare;
mod project;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tempfile::TempDir;

use self::compare::{Side, Step};
use self::project::{Dice, Project, What};
use crate::counts::quick;
use crate::support::fixture::{command, image, sh};
use crate::support::{Fixture, PATIENCE, World, long};

/// Rounds at the same time: most of one is waiting.
const AT_ONCE: usize = 3;
/// The short form, as many rounds as the long form has at once.
const SHORT: u64 = 3;

/// Images of one name with the tags 1 and 2, which differ.
struct Images(String);

impl Images {
    fn make() -> Self {
        let name = format!("dmt-twins-{}", std::process::id());
        sh("docker", &["tag", image(), &format!("{name}:1")]);
        let container = sh("docker", &["create", image(), "true"]);
        sh("docker", &["commit", "--change", "LABEL version=2", container.trim(), &format!("{name}:2")]);
        sh("docker", &["rm", container.trim()]);
        Self(name)
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        for tag in [1, 2] {
            let _ = command("docker").args(["image", "rm", "-f", &format!("{}:{tag}", self.0)]).output();
        }
    }
}

#[test]
fn deploys_do_what_the_plan_says_and_what_compose_does() {
    // The whole of dockmaster and a round around it are more than a thread's usual stack holds, unoptimised.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(16 << 20).build().unwrap();
    let images = Images::make();
    let wrong = runtime.block_on(rounds(&images.0));
    assert!(wrong.is_empty(), "{} rounds differ: {wrong:?}", wrong.len());
}

/// Plays the rounds that are asked for; those that differ, each of which is told.
async fn rounds(images: &str) -> Vec<u64> {
    let (mut running, mut wrong) = (tokio::task::JoinSet::new(), Vec::new());
    let room = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    for number in long::rounds(SHORT) {
        let (room, images) = (Arc::clone(&room), images.to_owned());
        running.spawn(async move {
            let _permit = room.acquire_owned().await.unwrap();
            let story = Story::default();
            let told = story.clone();
            let ended = tokio::spawn(async move { round(number, &images, &told).await }).await;
            // One that ends in the middle differs, too.
            let good = ended.unwrap_or_else(|e| {
                story.tell(format!("DIFFERS: the round ends: {e}"));
                false
            });
            (number, good, story)
        });
    }
    while let Some(ended) = running.join_next().await {
        let (number, good, story) = ended.unwrap();
        if !good {
            eprintln!("=== round {number}\n{}", story.0.lock().unwrap().join("\n"));
            wrong.push(number);
        }
    }
    wrong.sort_unstable();
    wrong
}

/// What happens in a round, for when it differs.
#[derive(Clone, Default)]
struct Story(Arc<Mutex<Vec<String>>>);

impl Story {
    fn tell(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }
}

/// Everything about one round, told where it differs.
struct Round {
    world: World,
    twin: Fixture,
    /// Where jobs write, of each side.
    logs: [TempDir; 2],
    images: String,
    stateful: BTreeSet<String>,
    story: Story,
    last: [Side; 2],
}

/// Two projects whose networks and volumes go last: what takes the projects down knows only those of the last files, and an engine
/// has addresses for some thirty networks.
struct Left([String; 2]);

impl Drop for Left {
    fn drop(&mut self) {
        for (name, what) in self.0.iter().flat_map(|name| [(name, "network"), (name, "volume")]) {
            let label = format!("label=com.docker.compose.project={name}");
            let listed = command("docker").args([what, "ls", "-q", "--filter", &label]).output();
            let listed = listed.map(|listed| String::from_utf8_lossy(&listed.stdout).into_owned()).unwrap_or_default();
            for one in listed.lines() {
                let _ = command("docker").args([what, "rm", one]).output();
            }
        }
    }
}

/// What dockmaster said and did.
#[derive(Debug)]
enum Answer {
    Nothing(String),
    Done { plan: String, outcome: String, named: BTreeSet<String> },
    Refused { why: String },
}

async fn round(number: u64, images: &str, story: &Story) -> bool {
    let mut dice = Dice::of(number);
    let first = Project::random(&mut dice);
    let mut versions = vec![first.clone()];
    let mut next = first.clone();
    let changes = next.mutate(&mut dice);
    versions.push(next.clone());
    if next.fails() {
        versions.push(next.repaired());
    }
    let able: Vec<&String> = first.services.iter().filter(|s| s.what != What::Job).map(|s| &s.name).collect();
    let stateful: BTreeSet<String> = if dice.below(6) == 0 { [able[dice.below(able.len())].clone()].into() } else { BTreeSet::new() };
    let policy = {
        let mut policy = quick();
        policy["auto_rollback"] = json!(false);
        policy
    };
    let fixture = Fixture::new(&[]).with(json!({ "deploy": policy, "stateful": stateful }));
    std::fs::remove_file(fixture.production.join("docker-compose.yml")).unwrap();
    let twin = Fixture::new(&[]);
    let _left = Left([fixture.name.clone(), twin.name.clone()]);
    let mut round = Round {
        world: World::start(fixture).await,
        twin,
        logs: [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()],
        images: images.to_owned(),
        stateful,
        story: story.clone(),
        last: [Side::default(), Side::default()],
    };
    // Also where the round ends in the middle.
    let _ends = round.world.bot.as_ref().map(|bot| bot.shutdown.clone().drop_guard());
    story.tell(format!("changes: {}; keeps data: {:?}", changes.join(", "), round.stateful));
    let mut failed_before = false;
    for (n, version) in versions.iter().enumerate() {
        story.tell(format!("--- version {}, with {:?}:\n{}", n + 1, version.variables(), version.file(images, Path::new("LOG"))));
        let wrong = round.bring_up(version, failed_before).await;
        if !wrong.is_empty() {
            wrong.into_iter().for_each(|wrong| story.tell(format!("DIFFERS: {wrong}")));
            return false;
        }
        failed_before = version.fails();
    }
    round.world.finish().await;
    true
}

impl Round {
    /// Brings a version up on both sides and compares; what differs.
    async fn bring_up(&mut self, version: &Project, failed_before: bool) -> Vec<String> {
        let ours = &self.world.fixtures[0];
        ours.write("docker-compose.yml", &version.file(&self.images, self.logs[0].path()));
        self.twin.write_production("docker-compose.yml", &version.file(&self.images, self.logs[1].path()));
        ours.write_production(".env", &version.variables());
        self.twin.write_production(".env", &version.variables());

        let root = self.twin.production.to_str().unwrap().to_owned();
        let args = ["-p", &self.twin.name, "--project-directory", &root, "-f", &format!("{root}/docker-compose.yml"), "up", "-d"]
            .map(str::to_owned);
        let up = tokio::task::spawn_blocking(move || command("docker-compose").args(args).stdin(Stdio::null()).output().unwrap());
        let answer = self.deploy().await;
        let up = up.await.unwrap();
        self.story.tell(format!("dockmaster: {answer:#?}").replace("\\n", "\n"));
        self.story.tell(format!("Compose: {}\n{}", up.status, String::from_utf8_lossy(&up.stderr)));
        let (plan, outcome) = match &answer {
            Answer::Nothing(text) => (text, None),
            Answer::Done { plan, outcome, named } => {
                self.stateful.retain(|service| !named.contains(service));
                (plan, Some(outcome))
            }
            Answer::Refused { why } => return vec![format!("dockmaster refuses it: {why}")],
        };
        let sides = self.settled(version).await;
        let step = Step { version, stateful: &self.stateful, plan, ours: [&self.last[0], &sides[0]], twin: [&self.last[1], &sides[1]] };
        let mut wrong = Vec::new();
        if version.fails() {
            // How far each came is a question of time; the next version is compared in all but what became of each container.
            let outcome = outcome.map_or("", String::as_str);
            if !outcome.starts_with('❌') || !outcome.contains("Ended with code 3") {
                wrong.push("a job fails, and the outcome does not say so".to_owned());
            }
        } else {
            if outcome.is_some_and(|outcome| !outcome.starts_with('✅')) {
                wrong.push("the outcome is not good".to_owned());
            }
            if !up.status.success() {
                wrong.push(format!("Compose fails: {}", up.status));
            }
            wrong.extend(step.against_plan());
            wrong.extend(step.against_twin(!failed_before));
            let pending = version.services.iter().any(|service| step.is_pending(&service.name));
            let summary = step.summary();
            let again = self.world.ask("/docker_deploy").await.text;
            if !again.starts_with("Nothing to deploy") {
                wrong.push(format!("there is something to deploy:\n{again}"));
            }
            let status = self.world.ask("/docker_status").await.text;
            let first = status.lines().nth(1).unwrap_or_default();
            if !(first == summary || pending && first.contains("up")) {
                wrong.push(format!("the status is not {summary:?}:\n{status}"));
            }
        }
        self.last = sides;
        wrong
    }

    /// Deploys what the workspace holds; what keeps data only where nothing else is accepted.
    async fn deploy(&self) -> Answer {
        let (mut text, mut named) = ("/docker_deploy".to_owned(), BTreeSet::new());
        loop {
            let plan = self.world.ask(&text).await.text;
            if plan.starts_with("Nothing to deploy") {
                return Answer::Nothing(plan);
            } else if plan.contains("or type yes") {
                let outcome = self.world.confirm().await.text;
                return Answer::Done { plan, outcome, named };
            }
            let names =
                plan.split_once("with=").map(|(_, rest)| rest.split(|c: char| !c.is_alphanumeric() && c != ',').next().unwrap_or_default());
            match names {
                Some(names) if named.is_empty() && !names.is_empty() => {
                    named.extend(names.split(',').map(str::to_owned));
                    text = format!("/docker_deploy shop with={names}");
                }
                _ => return Answer::Refused { why: plan },
            }
        }
    }

    /// Both sides once nothing starts any more.
    async fn settled(&self, version: &Project) -> [Side; 2] {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let sides = [Side::of(&self.world.fixtures[0], self.logs[0].path()), Side::of(&self.twin, self.logs[1].path())];
            if sides.iter().all(|side| side.is_settled(version)) || tokio::time::Instant::now() > until {
                return sides;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
}
