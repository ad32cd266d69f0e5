//! One changed file in a small project, nothing to build: a deploy beside `rsync -a --delete` and `docker-compose up -d`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::scene::{Scene, by_rsync, settle};
use crate::shared::table::Table;
use crate::shared::{directory, timed};
use crate::support::Fixture;
use crate::support::fixture::{command, compose_file, plain_service, sh};

/// How long services are watched: that is no work, and nobody waits for it who types.
const WINDOW: Duration = Duration::from_secs(1);
/// The most that a deploy may take from the confirmation to the outcome, in times what is typed takes.
const GOAL: f64 = 1.5;

/// The file that changes, and what that means.
#[derive(Clone, Copy)]
enum Change {
    /// A file that no container looks at: it is there, and that is all.
    Notes,
    /// A file that is mounted by itself: its service must be restarted.
    Settings,
    /// The definition of a service: its container is remade.
    Definition,
}

impl Change {
    fn words(self) -> &'static str {
        match self {
            Self::Notes => "one changed file",
            Self::Settings => "one changed file that a service is restarted for",
            Self::Definition => "one changed definition that a container is remade for",
        }
    }
}

/// The project, and a second one beside it that is kept by hand.
struct Project {
    scene: Scene,
    twin: Twin,
}

/// Goes by its own name in a production of its own. Taken down when it is dropped.
struct Twin {
    name: String,
    production: PathBuf,
}

/// Measures it.
pub(crate) async fn measure(rounds: usize, table: &mut Table) {
    let project = Project::new().await;
    let mut generation = 1;
    for change in [Change::Notes, Change::Settings, Change::Definition] {
        let (mut ours, mut typed) = (Vec::new(), Vec::new());
        for number in 1..=rounds {
            generation += 1;
            let (deploy, by_hand) = project.round(change, generation).await;
            eprintln!("small: {}, round {number} of {rounds}: deploy {deploy:.3} s, typed {by_hand:.3} s", change.words());
            ours.push(deploy);
            typed.push(by_hand);
        }
        let ratios = ours.iter().zip(&typed).map(|(deploy, by_hand)| deploy / by_hand).collect();
        table.require(format!("deploy of {}: confirmed to outcome, in times what is typed", change.words()), ratios, "", GOAL);
        table.report(format!("deploy of {}", change.words()), ours, "s");
        table.report("the same, typed", typed, "s");
    }
    project.scene.end().await;
}

/// The compose file, which changes with a generation.
fn services(generation: usize) -> String {
    let more = format!("environment: {{ GENERATION: \"{generation}\" }}, volumes: [\"./settings:/settings:ro\"]");
    compose_file(&[("web", plain_service("while true; do sleep 1; done", &more))])
}

impl Project {
    async fn new() -> Self {
        let place = directory();
        let entry = json!({ "deploy": { "stability": "1s", "health_timeout": "20s" } });
        let mut fixture = Fixture::new(&[]).with(entry);
        (fixture.workspace, fixture.production) = (place.path().join("workspace"), place.path().join("production"));
        let twin = Twin { name: format!("{}-twin", fixture.name), production: place.path().join("twin") };
        for directory in [&fixture.workspace, &fixture.production, &twin.production] {
            std::fs::create_dir(directory).unwrap();
        }
        for (path, text) in [("settings", "0\n"), ("notes", "0\n")] {
            fixture.write(path, text);
        }
        fixture.write("docker-compose.yml", &services(0));
        by_rsync(&fixture.workspace, &fixture.production);
        by_rsync(&fixture.workspace, &twin.production);
        fixture.compose(&["up", "-d"]);
        twin.compose(&["up", "-d"]);
        let project = Self { scene: Scene::new(place, fixture).await, twin };
        project.change(Change::Notes, 1);
        project.by_hand(Change::Notes);
        settle().await;
        project.scene.plan("/docker_deploy shop").await;
        project.scene.confirm().await;
        project
    }

    fn change(&self, change: Change, generation: usize) {
        let shop = self.scene.shop();
        match change {
            Change::Notes => shop.write("notes", &format!("{generation}\n")),
            Change::Settings => shop.write("settings", &format!("{generation}\n")),
            Change::Definition => shop.write("docker-compose.yml", &services(generation)),
        }
    }

    /// What somebody would type, in seconds. Compose does not see that a mounted file changed.
    fn by_hand(&self, change: Change) -> f64 {
        let mut took = by_rsync(&self.scene.shop().workspace, &self.twin.production);
        took += self.twin.compose(&["up", "-d"]);
        if matches!(change, Change::Settings) {
            took += self.twin.compose(&["restart", "web"]);
        }
        took
    }

    /// Changes the workspace and deploys it in both ways: how long each took.
    async fn round(&self, change: Change, generation: usize) -> (f64, f64) {
        self.change(change, generation);
        settle().await;
        self.scene.plan("/docker_deploy shop").await;
        let first = if generation.is_multiple_of(2) { Some(self.by_hand(change)) } else { None };
        settle().await;
        let deploy = self.scene.confirm().await;
        settle().await;
        let typed = first.unwrap_or_else(|| self.by_hand(change));
        for production in [&self.scene.shop().production, &self.twin.production] {
            same(&self.scene.shop().workspace, production);
        }
        eprintln!("small: deploy {}", deploy.explain());
        (deploy.outcome(WINDOW), typed)
    }
}

fn same(one: &Path, other: &Path) {
    sh("diff", &["-r", one.to_str().unwrap(), other.to_str().unwrap()]);
}

impl Twin {
    fn compose(&self, args: &[&str]) -> f64 {
        let (directory, file) = (self.production.to_str().unwrap().to_owned(), self.production.join("docker-compose.yml"));
        let base = ["-p", &self.name, "--project-directory", &directory, "-f", file.to_str().unwrap()];
        timed("docker-compose", &[&base, args].concat())
    }
}

impl Drop for Twin {
    fn drop(&mut self) {
        // Also where the measuring failed, and whatever state it left things in.
        let args = ["-p", &self.name, "down", "-t", "1"];
        if !command("docker-compose").args(args).current_dir("/").output().is_ok_and(|ended| ended.status.success()) {
            eprintln!("small: {} could not be taken down", self.name);
        }
    }
}
