//! Files that are no files (named pipes, devices) in the places that dockmaster and Compose read, and a Compose that hangs: each is
//! answered, nobody else waits for it, and the program ends when it is asked to.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::fixture::healthy_service;
use crate::support::program::{Launch, Tools};
use crate::support::{ADMIN, Fixture, World, eventually};

/// How long an answer may take that needs no engine and no Compose.
const SOON: Duration = Duration::from_secs(20);
const PIPE: &str = "is not a regular file (it is a named pipe)";
const DEVICE: &str = "is not a regular file (it is a device)";

fn pipe(path: &Path) {
    rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
}

/// Puts something in the place of a file while a check runs.
struct Instead {
    path: std::path::PathBuf,
    before: Option<Vec<u8>>,
}

impl Instead {
    fn of(root: &Path, name: &str, put: impl FnOnce(&Path)) -> Self {
        let path = root.join(name);
        let before = std::fs::read(&path).ok();
        let _ = std::fs::remove_file(&path);
        put(&path);
        Self { path, before }
    }
}

impl Drop for Instead {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        if let Some(before) = &self.before {
            let _ = std::fs::write(&self.path, before);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn special_files_are_refused_with_a_sentence() {
    let fixture = Fixture::up(&[("web", healthy_service(""))]);
    let tools = Tools::all();
    let world = World::prepare(vec![fixture], json!({ "default_project": "shop" })).await;
    let program = Launch::run(&world, &tools).start();
    let shop = &world.fixtures[0];
    shop.write("page", "another\n");
    let elsewhere = shop.workspace.with_file_name("pipe");
    pipe(&elsewhere);
    let (workspace, production) = (&shop.workspace, &shop.production);
    let env_file = "services:\n  web:\n    image: none\n    env_file: [app.env]\n";

    type Put<'a> = Box<dyn Fn(&Path) + 'a>;
    let fifo = || Box::new(|path: &Path| pipe(path)) as Put<'_>;
    let to_fifo = || Box::new(|path: &Path| symlink(&elsewhere, path).unwrap()) as Put<'_>;
    let to_device = || Box::new(|path: &Path| symlink("/dev/zero", path).unwrap()) as Put<'_>;
    let cases: [(&Path, &str, Put<'_>, &str, &str); 7] = [
        (workspace, "docker-compose.yml", fifo(), "/docker_deploy", PIPE),
        (workspace, "docker-compose.yml", to_fifo(), "/docker_deploy", PIPE),
        (workspace, "docker-compose.yml", to_device(), "/docker_deploy", DEVICE),
        (workspace, ".dockmasterignore", fifo(), "/docker_deploy", PIPE),
        (workspace, ".dockmasterignore", to_device(), "/docker_deploy", DEVICE),
        (production, ".env", fifo(), "/docker_deploy", PIPE),
        (production, ".env", to_device(), "/docker_start", DEVICE),
    ];
    for (root, name, put, command, told) in cases {
        let _instead = Instead::of(root, name, put);
        let asked = Instant::now();
        let answer = world.ask(command).await.text;
        assert!(answer.contains(&format!("{name} {told}")), "{} {command}: {answer}", root.join(name).display());
        assert!(asked.elapsed() < SOON, "{:?} for {name}", asked.elapsed());
    }
    // What production has there a deploy replaces; until then Compose is not started on it.
    {
        let _instead = Instead::of(production, "docker-compose.yml", pipe);
        let answer = world.ask("/docker_deploy").await.text;
        assert!(answer.contains("docker-compose.yml"), "{answer}");
        let told = format!("docker-compose.yml {PIPE}");
        eventually("status tells it", async || world.ask("/docker_status").await.text.contains(&told)).await;
    }
    // One that Compose alone would open.
    let _named = Instead::of(workspace, "docker-compose.yml", |path| std::fs::write(path, env_file).unwrap());
    let _pipe = Instead::of(production, "app.env", pipe);
    let answer = world.ask("/docker_deploy").await.text;
    assert!(answer.contains(&format!("app.env {PIPE}")), "{answer}");

    world.api.wait_acknowledged(SOON).await.unwrap();
    program.stop().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compose_that_hangs_holds_up_nothing() {
    let fixture = Fixture::up(&[("web", healthy_service(""))]);
    let tools = Tools::all();
    let world = World::prepare(vec![fixture], json!({ "default_project": "shop" })).await;
    let program = Launch::run(&world, &tools).start();
    world.ask("/docker_status").await;
    world.fixtures[0].write("page", "another\n");
    tools.gate("docker-compose", "*");
    world.say("/docker_deploy");
    tools.held().await;
    let asked = Instant::now();
    assert!(world.api.say(crate::support::world::VIEWER, crate::support::world::VIEWER, "/docker_history") > 0);
    world.next_in(crate::support::world::VIEWER).await;
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());

    // Killed, it leaves its children; the next one ends them. Anything else with these tools is dockmaster itself.
    let pid = program.pid().cast_signed();
    let children: Vec<i32> = tools.processes().into_iter().filter(|one| *one != pid).collect();
    assert!(!children.is_empty());
    program.kill();
    let still = |children: &[i32]| tools.processes().into_iter().any(|one| children.contains(&one));
    assert!(still(&children), "a kill leaves them");
    // It must get past asking for the version.
    tools.gate("docker-compose", "* config *");
    let mut program = Launch::run(&world, &tools).start();
    program.says("connected to Telegram").await;
    assert!(!still(&children), "they are ended before anything is answered");

    // What was cut off is told, and another one that hangs does not keep it from ending.
    eventually("the plan that was cut off is told", async || world.texts(ADMIN).iter().any(|text| text.contains("I was stopped while")))
        .await;
    let _ = std::fs::remove_file(tools.path().join("held"));
    world.say("/docker_deploy");
    tools.held().await;
    let asked = Instant::now();
    program.stop().await;
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    eventually("nothing is left", async || tools.processes().is_empty()).await;
}
