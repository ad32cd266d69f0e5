//! Many files, one in a hundred of them changed: a deploy and a rollback beside `rsync -a --delete` of the same change.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::scene::{Scene, by_rsync, settle, space};
use crate::shared::directory;
use crate::shared::table::Table;
use crate::support::Fixture;
use crate::support::fixture::{compose_file, plain_service, sh};

/// How many of the files change: one in so many.
const ONE_IN: usize = 100;
/// How many files a directory has, and how many directories one above it.
const WIDTH: usize = 100;
/// The sizes go from this to forty times this: 20 KB a file, 1 GB in all.
const SIZE: usize = 1_000;
const SIZES: usize = 40;

/// The most that a deploy may take from the confirmation until production holds the files, in runs of rsync.
const DEPLOY_GOAL: f64 = 4.0;
/// The same of a rollback.
const ROLLBACK_GOAL: f64 = 2.0;
/// The most new disk space of such a deploy, in MB.
const SPACE_GOAL: f64 = 30.0;

/// What one round came to.
struct Round {
    rsync: f64,
    plan: f64,
    deploy: f64,
    rollback: f64,
    space: f64,
}

/// The project, and a second production beside its own that is kept by hand.
struct Project {
    scene: Scene,
    files: usize,
    mirror: PathBuf,
}

/// Measures it.
pub(crate) async fn measure(files: usize, rounds: usize, table: &mut Table) {
    eprintln!("large: making {files} files, and as many copies of them as a project needs");
    let project = Project::new(files, rounds).await;
    let mut all = Vec::new();
    for number in 1..=rounds {
        let round = project.round(number).await;
        eprintln!(
            "large: round {number} of {rounds}: rsync {:.2} s, deploy {:.2} s, rollback {:.2} s",
            round.rsync, round.deploy, round.rollback
        );
        all.push(round);
    }
    project.scene.end().await;
    let of = |figure: fn(&Round) -> f64| all.iter().map(figure).collect::<Vec<_>>();
    let change = format!("{files} files, {} changed", files / ONE_IN);
    table.require(format!("deploy of {change}: confirmed to promoted, in rsyncs"), of(|r| r.deploy / r.rsync), "", DEPLOY_GOAL);
    table.require(format!("rollback of {change}: confirmed to promoted, in rsyncs"), of(|r| r.rollback / r.rsync), "", ROLLBACK_GOAL);
    table.require(format!("deploy of {change}: new disk space"), of(|r| r.space), "MB", SPACE_GOAL);
    table.report("`rsync -a --delete` of the same change", of(|r| r.rsync), "s");
    table.report("deploy: confirmed to promoted", of(|r| r.deploy), "s");
    table.report("deploy: asked for until its plan is shown", of(|r| r.plan), "s");
    table.report("rollback: confirmed to promoted", of(|r| r.rollback), "s");
}

impl Project {
    async fn new(files: usize, rounds: usize) -> Self {
        let place = directory();
        let service = plain_service("while true; do sleep 1; done", "");
        // Nothing is forgotten on the way, so that what a deploy adds is seen whole.
        let entry = json!({ "deploy": { "stability": "0s", "health_timeout": "20s", "keep_releases": rounds + 3 } });
        let mut fixture = Fixture::new(&[("web", service.clone())]).with(entry);
        (fixture.workspace, fixture.production) = (place.path().join("workspace"), place.path().join("production"));
        let mirror = place.path().join("mirror");
        for directory in [&fixture.workspace, &fixture.production, &mirror] {
            std::fs::create_dir(directory).unwrap();
        }
        fixture.write("docker-compose.yml", &compose_file(&[("web", service)]));
        (0..files).for_each(|file| write(&fixture.workspace, file, 0));
        by_rsync(&fixture.workspace, &fixture.production);
        by_rsync(&fixture.workspace, &mirror);
        fixture.compose(&["up", "-d"]);
        let scene = Scene::new(place, fixture).await;
        let project = Self { scene, files, mirror };
        // The first deploy keeps all that it finds: it is no measure of the ones that follow.
        project.change(1);
        by_rsync(&project.scene.shop().workspace, &project.mirror);
        settle().await;
        project.scene.plan("/docker_deploy shop").await;
        project.scene.confirm().await;
        project
    }

    /// Changes one in so many files of the workspace.
    fn change(&self, generation: usize) {
        (0..self.files).step_by(ONE_IN).for_each(|file| write(&self.scene.shop().workspace, file, generation));
    }

    /// Changes the workspace, deploys it in both ways, and goes back.
    async fn round(&self, number: usize) -> Round {
        let (shop, before) = (self.scene.shop(), self.scene.current());
        self.change(number + 1);
        settle().await;
        let plan = self.scene.plan("/docker_deploy shop").await;
        let by_hand = async || {
            settle().await;
            by_rsync(&shop.workspace, &self.mirror)
        };
        let first = if number.is_multiple_of(2) { Some(by_hand().await) } else { None };
        settle().await;
        let places = [self.scene.world.data.as_path(), &shop.production];
        let held = space(&places);
        let deploy = self.scene.confirm().await;
        settle().await;
        let space = space(&places).saturating_sub(held);
        let rsync = match first {
            Some(rsync) => rsync,
            None => by_hand().await,
        };
        self.compare(&shop.workspace);
        self.scene.plan(&format!("/docker_rollback shop {before}")).await;
        settle().await;
        let rollback = self.scene.confirm().await;
        self.compare(&self.scene.world.data.join(format!("projects/shop/releases/{before}/tree")));
        eprintln!("large: deploy {}\nlarge: rollback {}", deploy.explain(), rollback.explain());
        let mega = |bytes: u64| bytes as f64 / 1e6;
        Round { rsync, plan, deploy: deploy.promoted(), rollback: rollback.promoted(), space: mega(space) }
    }

    /// Production holds what it should: a figure for something else would say nothing.
    fn compare(&self, with: &Path) {
        sh("diff", &["-r", with.to_str().unwrap(), self.scene.shop().production.to_str().unwrap()]);
    }
}

/// Writes a file of the large project, the same for the same number and generation.
fn write(root: &Path, file: usize, generation: usize) {
    let directory = file / WIDTH;
    let path = root.join(format!("part-{:02}/group-{directory:03}", directory / 25));
    std::fs::create_dir_all(&path).unwrap();
    let mut state = (file * 1_000 + generation) as u64;
    let size = SIZE * (1 + file % SIZES);
    let mut content = Vec::with_capacity(size + 8);
    while content.len() < size {
        // SplitMix64: content that no file system makes smaller.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        content.extend_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
    }
    content.truncate(size);
    std::fs::write(path.join(format!("file-{file:05}.txt")), content).unwrap();
}
