//! The program typed on a terminal, beside a dockmaster that runs or alone.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::fixture::tree;
use super::program::{Ended, Launch, Program, Tools};
use super::{Fixture, PATIENCE, World, eventually};

/// A world, and the program beside it.
pub(crate) struct Terminal {
    pub(crate) world: World,
    pub(crate) tools: Tools,
    /// Where its temporary files go.
    scratch: tempfile::TempDir,
}

impl Terminal {
    pub(crate) async fn of(fixtures: Vec<Fixture>, settings: Value) -> Self {
        let world = World::prepare(fixtures, settings).await;
        std::fs::write(world.data.with_file_name("projects.json"), world.projects_json()).unwrap();
        Self { world, tools: Tools::all(), scratch: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.world.data.with_file_name("projects.json")
    }

    pub(crate) fn launch(&self, typed: &str) -> Launch<'_> {
        let args: Vec<&str> = typed.split(' ').collect();
        let launch = Launch::new(&self.tools, &args).set("DOCKMASTER_CONFIG", self.config()).set("DOCKMASTER_DATA", &self.world.data);
        launch.set("TMPDIR", self.scratch.path())
    }

    /// Runs it to its end; it leaves nothing behind.
    pub(crate) async fn run(&self, typed: &str) -> Ended {
        let ended = self.launch(typed).end().await;
        assert_eq!(tree(self.scratch.path()), BTreeMap::new(), "{typed}");
        ended
    }

    /// What it prints.
    pub(crate) async fn print(&self, typed: &str) -> String {
        let ended = self.run(typed).await;
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{typed}: {}", ended.out);
        ended.out
    }

    pub(crate) async fn json(&self, typed: &str) -> Value {
        serde_json::from_str(&self.print(&format!("{typed} --json")).await).unwrap()
    }

    /// The data directory as it is. Not to be called where a bot runs in this process: it would lose its locks. What SQLite shares among its readers belongs to nobody.
    pub(crate) fn data(&self) -> BTreeMap<String, String> {
        let short = |(path, what): (String, String)| (path, format!("{} bytes, {}", what.len(), blake3::hash(what.as_bytes()).to_hex()));
        tree(&self.world.data).into_iter().filter(|(path, _)| !path.ends_with("-shm")).map(short).collect()
    }

    /// The plan of the last operation, as it is kept.
    pub(crate) fn kept_plan(&self) -> Value {
        let plan: String = self.world.kept().query_row("SELECT plan FROM operations ORDER BY id DESC", [], |row| row.get(0)).unwrap();
        serde_json::from_str(&plan).unwrap()
    }

    /// Waits until the dockmaster that runs has nothing left to keep.
    pub(crate) async fn idle(&self) {
        self.world.api.wait_acknowledged(PATIENCE).await.unwrap();
        let left = "SELECT (SELECT COUNT(*) FROM inbox WHERE done IS NULL) + (SELECT COUNT(*) FROM notices WHERE settled IS NULL)";
        eventually("all is kept", async || self.world.kept().query_row(left, [], |row| row.get::<_, i64>(0)).unwrap() == 0).await;
    }

    pub(crate) fn start(&self) -> Program {
        Launch::run(&self.world, &self.tools).start()
    }

    /// Asks for the same in the chat and on the terminal, and expects the same plan.
    pub(crate) async fn same(&self, typed: &str, command: &str) -> String {
        let printed = self.print(typed).await;
        let asked = self.world.ask(command).await.text;
        let (plan, question) = asked.rsplit_once("\n\n").unwrap();
        assert_eq!(printed.trim_end(), plan);
        assert!(question.contains("Press the button"), "{question}");
        printed
    }
}
