//! The plan on a terminal: the chat's own, beside a dockmaster that runs, with nothing changed anywhere.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::fixture::{compose_file, healthy_service, service, tree};
use crate::support::program::{Ended, Launch, Program, Tools};
use crate::support::{ADMIN, Fixture, PATIENCE, World, eventually};

/// A world, and the program beside it.
struct Terminal {
    world: World,
    tools: Tools,
    /// Where its temporary files go.
    scratch: tempfile::TempDir,
}

impl Terminal {
    async fn of(fixtures: Vec<Fixture>, settings: Value) -> Self {
        let world = World::prepare(fixtures, settings).await;
        std::fs::write(world.data.with_file_name("projects.json"), world.projects_json()).unwrap();
        Self { world, tools: Tools::all(), scratch: tempfile::tempdir().unwrap() }
    }

    fn config(&self) -> PathBuf {
        self.world.data.with_file_name("projects.json")
    }

    fn launch(&self, typed: &str) -> Launch<'_> {
        let args: Vec<&str> = typed.split(' ').collect();
        let launch = Launch::new(&self.tools, &args).set("DOCKMASTER_CONFIG", self.config()).set("DOCKMASTER_DATA", &self.world.data);
        launch.set("TMPDIR", self.scratch.path())
    }

    /// Runs it to its end; it leaves nothing behind.
    async fn run(&self, typed: &str) -> Ended {
        let ended = self.launch(typed).end().await;
        assert_eq!(tree(self.scratch.path()), BTreeMap::new(), "{typed}");
        ended
    }

    /// What it prints.
    async fn print(&self, typed: &str) -> String {
        let ended = self.run(typed).await;
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{typed}: {}", ended.out);
        ended.out
    }

    async fn json(&self, typed: &str) -> Value {
        serde_json::from_str(&self.print(&format!("{typed} --json")).await).unwrap()
    }

    /// The data directory as it is. Not to be called where a bot runs in this process: it would lose its locks. What SQLite shares among its readers belongs to nobody.
    fn data(&self) -> BTreeMap<String, String> {
        let short = |(path, what): (String, String)| (path, format!("{} bytes, {}", what.len(), blake3::hash(what.as_bytes()).to_hex()));
        tree(&self.world.data).into_iter().filter(|(path, _)| !path.ends_with("-shm")).map(short).collect()
    }

    fn kept(&self) -> rusqlite::Connection {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        rusqlite::Connection::open_with_flags(self.world.data.join("dockmaster.db"), flags).unwrap()
    }

    /// The plan of the last operation, as it is kept.
    fn kept_plan(&self) -> Value {
        let plan: String = self.kept().query_row("SELECT plan FROM operations ORDER BY id DESC", [], |row| row.get(0)).unwrap();
        serde_json::from_str(&plan).unwrap()
    }

    /// Waits until the dockmaster that runs has nothing left to keep.
    async fn idle(&self) {
        self.world.api.wait_acknowledged(PATIENCE).await.unwrap();
        let left = "SELECT (SELECT COUNT(*) FROM inbox WHERE done IS NULL) + (SELECT COUNT(*) FROM notices WHERE settled IS NULL)";
        eventually("all is kept", async || self.kept().query_row(left, [], |row| row.get::<_, i64>(0)).unwrap() == 0).await;
    }

    fn start(&self) -> Program {
        Launch::run(&self.world, &self.tools).start()
    }

    /// Asks for the same in the chat and on the terminal, and expects the same plan.
    async fn same(&self, typed: &str, command: &str) -> String {
        let printed = self.print(typed).await;
        let asked = self.world.ask(command).await.text;
        let (plan, question) = asked.rsplit_once("\n\n").unwrap();
        assert_eq!(printed.trim_end(), plan);
        assert!(question.contains("Press the button"), "{question}");
        printed
    }
}

/// A running project whose workspace has another page, another `env_file` and a new file.
fn shop() -> Fixture {
    let services = [("web", healthy_service("env_file: web.env")), ("postgres", healthy_service(""))];
    let fixture = Fixture::new(&services).with(json!({ "stateful": ["postgres"] }));
    for root in [&fixture.workspace, &fixture.production] {
        std::fs::write(root.join("web.env"), "PAGE=1\n").unwrap();
    }
    fixture.compose(&["up", "-d", "--wait"]);
    fixture.write("web.env", "PAGE=2\n");
    fixture.write("new.txt", "new\n");
    fixture
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_the_plan_of_the_chat_and_nothing_changes() {
    let terminal = Terminal::of(vec![shop()], json!({})).await;
    let shop = &terminal.world.fixtures[0];
    let before = (tree(&shop.production), shop.containers());
    let alone = terminal.print("deploy --dry-run").await;
    for told in ["Deploy shop as release 1", "new.txt", "web.env", "web: recreate", "Bring up web"] {
        assert!(alone.contains(told), "{told:?} is not in the plan: {alone}");
    }
    assert!(!terminal.world.data.exists(), "what is not there is not made");

    let program = terminal.start();
    terminal.world.ask("/whoami").await;
    terminal.idle().await;
    let kept = terminal.data();
    assert_eq!(terminal.print("deploy SHOP --dry-run").await, alone);
    let plan = terminal.json("deploy --dry-run").await;
    assert_eq!(terminal.data(), kept, "the data directory is only read");
    terminal.same("deploy --dry-run", "/docker_deploy").await;
    assert_eq!((tree(&shop.production), shop.containers()), before);
    let outcome = terminal.world.confirm().await;
    assert!(outcome.text.starts_with('✅'), "{}", outcome.text);
    assert_eq!(terminal.kept_plan(), plan, "it was the plan that was confirmed, its digest included");

    assert!(terminal.print("deploy --dry-run").await.starts_with("Nothing to deploy"));
    let back = terminal.json("rollback 0 --dry-run").await;
    assert_eq!(back, terminal.json("rollback shop --dry-run").await);
    let unknown = terminal.run("rollback 77 --dry-run").await;
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.err.contains("There is no release 77") && unknown.err.contains("/docker_releases shop"), "{}", unknown.err);
    terminal.idle().await;
    let kept = terminal.data();
    let printed = terminal.same("rollback --dry-run", "/docker_rollback").await;
    assert!(printed.contains("Roll back shop to release 0") && printed.contains("new.txt"), "{printed}");
    assert!(terminal.world.confirm().await.text.starts_with('✅'));
    assert_eq!(terminal.kept_plan(), back);
    assert_eq!(shop.production_file("new.txt"), None);
    terminal.idle().await;
    assert_ne!(terminal.data(), kept, "this is how it looks where something is done");

    // A stateful service that is named takes part here, too.
    shop.write(
        "docker-compose.yml",
        &compose_file(&[("web", healthy_service("env_file: web.env")), ("postgres", healthy_service("environment: { A: b }"))]),
    );
    let printed = terminal.same("deploy --dry-run --with Postgres", "/docker_deploy with=Postgres").await;
    assert!(printed.contains("postgres: recreate"), "{printed}");
    terminal.idle().await;
    program.stop().await;
    terminal.world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_reads_what_a_dockmaster_that_ended_left() {
    let terminal = Terminal::of(vec![shop()], json!({})).await;
    for kill in [false, true] {
        let program = terminal.start();
        terminal.world.ask("/docker_deploy").await;
        assert!(terminal.world.confirm().await.text.starts_with('✅'));
        terminal.idle().await;
        if kill {
            program.kill()
        } else {
            program.stop().await
        };
        terminal.world.fixtures[0].write("new.txt", if kill { "newest\n" } else { "newer\n" });
        let kept = terminal.data();
        assert!(terminal.print("deploy --dry-run").await.contains("Deploy shop as release"));
        assert!(terminal.print("rollback --dry-run").await.contains("Roll back shop to release"));
        assert_eq!(terminal.data(), kept, "killed: {kill}");
    }
    terminal.world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_middle_of_an_operation_it_says_so() {
    let fixture = Fixture::up(&[("web", healthy_service(""))]).with(json!({ "deploy": { "health_timeout": "5m" } }));
    let never = service("while true; do sleep 1; done", "");
    fixture.write("docker-compose.yml", &compose_file(&[("web", never.replace("retries: 3", "retries: 1000"))]));
    let mut terminal = Terminal::of(vec![fixture], json!({})).await;
    terminal.world.boot();
    terminal.world.ask("/docker_deploy").await;
    terminal.world.say("yes");
    let progress = terminal.world.next().await;
    terminal.world.api.wait_until(ADMIN, progress.id, PATIENCE, |m| m.text.contains("⏳ Verify")).await.unwrap();
    let planned = terminal.run("deploy --dry-run").await;
    assert_eq!(planned.code, Some(0), "{planned:?}");
    assert!(planned.sentence().contains("A deploy of shop by Ann has begun and not ended"), "{planned:?}");
    terminal.world.ask("/docker_cancel").await;
    terminal.world.outcome(ADMIN).await;
    terminal.world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_planned_is_said_with_its_exit_code() {
    let idle = || Fixture::new(&[("web", healthy_service(""))]);
    let terminal = Terminal::of(vec![idle(), idle().with(json!({ "enabled": false })), idle()], json!({})).await;
    let cases = [
        ("deploy", 2, "add --dry-run, or ask for /docker_deploy in the chat"),
        ("rollback third 1", 2, "add --dry-run, or ask for /docker_rollback in the chat"),
        ("deploy --dry-run", 2, "Which project? There is: shop, third. Name one: dockmaster deploy shop --dry-run"),
        ("rollback 1 --dry-run", 2, "Which project?"),
        ("deploy shpo --dry-run", 2, "There is no project shpo."),
        ("deploy edge --dry-run", 2, "edge is disabled"),
        ("deploy shop --dry-run --with=-x", 2, "-x is no service's name"),
        ("deploy shop --dry-run --with web,nope", 1, "It has no service “nope”."),
        ("rollback shop --dry-run", 1, "There is no release before"),
    ];
    for (typed, code, told) in cases {
        let ended = terminal.run(typed).await;
        assert_eq!((ended.code, ended.out.as_str()), (Some(code), ""), "{typed}: {}", ended.err);
        assert!(ended.sentence().contains(told.lines().next().unwrap()) || ended.err.contains(told), "{typed}: {}", ended.err);
    }
    let minus = terminal.run("rollback shop -1 --dry-run").await;
    assert_eq!(minus.code, Some(2), "{minus:?}");
    let away = terminal.launch("deploy shop --dry-run").set("DOCKER_HOST", "unix:///nowhere/docker.sock").end().await;
    assert_eq!(away.code, Some(2));
    assert!(away.sentence().contains("No Docker engine answers"), "{away:?}");

    std::fs::write(terminal.world.fixtures[0].workspace.join("docker-compose.yml"), "services: [\n").unwrap();
    let broken = terminal.run("deploy shop --dry-run --json").await;
    assert_eq!((broken.code, broken.out.as_str()), (Some(1), ""));
    for told in ["shop cannot be deployed.", "Compose cannot read its files", "Mend the compose file"] {
        assert!(broken.err.contains(told), "{told:?} is not told: {}", broken.err);
    }
    std::fs::write(terminal.config(), "{}").unwrap();
    let wrong = terminal.run("deploy --dry-run").await;
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.sentence().contains("has problems"), "{wrong:?}");
    std::fs::remove_file(terminal.config()).unwrap();
    assert_eq!(terminal.run("deploy --dry-run").await.code, Some(2));
    assert!(!terminal.world.data.exists());
    terminal.world.finish().await;
}
