//! dockmaster under a service manager: when it says that it is ready, alive and ending. The manager is a socket of ours.

use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use crate::support::fixture::healthy_service;
use crate::support::program::{Launch, Tools};
use crate::support::{Fixture, World, eventually};

/// A service manager's ear.
struct Manager {
    socket: std::path::PathBuf,
    heard: Arc<Mutex<Vec<String>>>,
    _directory: tempfile::TempDir,
}

impl Manager {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("notify");
        let ear = UnixDatagram::bind(&socket).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&heard);
        // Ends with the process: nobody says when the last word has come.
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok(n) = ear.recv(&mut buffer) {
                let said = String::from_utf8_lossy(&buffer[..n]).into_owned();
                into.lock().unwrap().extend(said.lines().map(str::to_owned));
            }
        });
        Self { socket, heard, _directory: directory }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    fn count(&self, sign: &str) -> usize {
        self.heard().iter().filter(|said| said.starts_with(sign)).count()
    }

    /// Waits for one more of a sign than there are.
    async fn one_more(&self, sign: &str) {
        let before = self.count(sign);
        eventually(&format!("{sign} is said again"), async || self.count(sign) > before).await;
    }
}

async fn idle_world() -> World {
    World::prepare(vec![Fixture::new(&[("web", healthy_service(""))])], json!({ "default_project": "shop" })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_when_telegram_has_answered_and_alive_while_it_turns() {
    let (world, tools, manager) = (idle_world().await, Tools::all(), Manager::new());
    world.api.set_away(true);
    let launch = Launch::run(&world, &tools).set("NOTIFY_SOCKET", &manager.socket).set("WATCHDOG_USEC", "400000");
    let mut program = launch.start();
    program.says("Telegram is away").await;
    for _ in 0..3 {
        manager.one_more("EXTEND_TIMEOUT_USEC=60000000").await;
    }
    assert_eq!((manager.count("READY"), manager.count("WATCHDOG")), (0, 0), "it only waits as yet: {:?}", manager.heard());

    world.api.set_away(false);
    manager.one_more("READY=1").await;
    assert!(program.err().contains("connected to Telegram"), "{}", program.err());
    manager.one_more("WATCHDOG=1").await;

    world.api.set_away(true);
    eventually("it notices", async || program.err().matches("Telegram is away").count() > 1).await;
    for _ in 0..3 {
        manager.one_more("WATCHDOG=1").await;
    }
    world.api.set_away(false);

    program.stop().await;
    let heard = manager.heard();
    let place = |sign: &str| heard.iter().position(|said| said == sign).unwrap_or_else(|| panic!("no {sign}: {heard:?}"));
    assert!(place("READY=1") < place("STOPPING=1"), "{heard:?}");
    assert_eq!((manager.count("READY"), manager.count("STOPPING")), (1, 1), "{heard:?}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watchdog_hears_nothing_from_a_program_that_stands_still() {
    let (world, tools, manager) = (idle_world().await, Tools::all(), Manager::new());
    let launch = Launch::run(&world, &tools).set("NOTIFY_SOCKET", &manager.socket).set("WATCHDOG_USEC", "200000");
    let program = launch.start();
    manager.one_more("WATCHDOG=1").await;
    program.signal(rustix::process::Signal::STOP);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = manager.heard();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(manager.heard(), before);
    program.signal(rustix::process::Signal::CONT);
    manager.one_more("WATCHDOG=1").await;
    program.stop().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_is_nobody_elses() {
    let (world, tools, manager) = (idle_world().await, Tools::all(), Manager::new());
    tools.script("docker-compose", "/usr/bin/env >\"$here/environment\"; exec $real \"$@\"");
    let launch = Launch::run(&world, &tools).set("NOTIFY_SOCKET", &manager.socket).set("WATCHDOG_USEC", "400000");
    let program = launch.set("WATCHDOG_PID", "1").start();
    manager.one_more("READY=1").await;
    let environment = std::fs::read_to_string(tools.path().join("environment")).unwrap();
    assert!(environment.contains("PATH=") && !environment.contains("NOTIFY") && !environment.contains("WATCHDOG"), "{environment}");
    assert_eq!(manager.count("WATCHDOG"), 0, "the watchdog waits for another process");
    program.stop().await;

    // Whoever asks for nothing, or has gone, is told nothing, and that is no trouble.
    let gone = world.data.with_file_name("nobody");
    let mut program = Launch::run(&world, &tools).set("NOTIFY_SOCKET", &gone).start();
    program.says("the service manager could not be told").await;
    program.says("connected to Telegram").await;
    assert!(world.ask("/whoami").await.text.contains("111"));
    program.stop().await;
    world.finish().await;
}

#[test]
fn the_unit_ends_dockmaster_alone() {
    let unit = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/dockmaster.service")).unwrap();
    // With any other mode systemd kills the keepers of host processes, too.
    assert_eq!(unit.lines().filter(|line| line.starts_with("KillMode=")).collect::<Vec<_>>(), ["KillMode=process"]);
}
