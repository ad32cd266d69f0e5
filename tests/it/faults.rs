//! What goes wrong in the middle: cancelled at every step, a disk that fills at every step that writes, an engine that is
//! killed, a workspace that somebody writes to. Production is the old or the new, and the chat is told which.

use serde_json::json;

use crate::support::disk::SmallDisk;
use crate::support::engine::PrivateEngine;
use crate::support::fixture::{Tree, compose_file, healthy_service, service, sh, tree};
use crate::support::program::{Launch, Program, Tools};
use crate::support::shop::{deployed, dockerfile_that, running_image, shop, shop_of, web};
use crate::support::{ADMIN, Fixture, PATIENCE, World, eventually, long};

/// What must be as it was after something went wrong: files, images, and which containers of the store run.
#[derive(Debug, PartialEq)]
struct Before {
    tree: Tree,
    image: String,
    store: (String, String),
}

fn seen(shop: &Fixture) -> Before {
    Before { tree: tree(&shop.production), image: running_image(shop, "web"), store: shop.container("postgres") }
}

/// An operation that waits at a gate in one of its steps.
struct Held<'a> {
    world: &'a World,
    tools: &'a Tools,
    tool: &'static str,
}

impl<'a> Held<'a> {
    /// Asks for an operation, confirms it, and waits until the tool is started with such arguments.
    async fn at(world: &'a World, tools: &'a Tools, command: &str, (tool, pattern): (&'static str, &str)) -> Self {
        tools.ungate(tool);
        let plan = world.ask(command).await;
        assert!(!plan.button_texts().is_empty(), "no plan to confirm: {}", plan.text);
        tools.gate(tool, pattern);
        world.say("yes");
        world.next().await;
        tools.held().await;
        Held { world, tools, tool }
    }

    /// Lets it go on, and waits for what it came to.
    async fn outcome(self) -> String {
        self.tools.open();
        let outcome = self.world.outcome(ADMIN).await.text;
        self.tools.ungate(self.tool);
        outcome
    }
}

fn tells(outcome: &str, all: &[&str]) {
    for told in all {
        assert!(outcome.contains(told), "{told:?} is not told: {outcome}");
    }
}

/// A program of its own with one project.
pub(crate) async fn running(fixture: Fixture, tools: &Tools) -> (World, Program) {
    let world = World::prepare(vec![fixture], json!({ "default_project": "shop" })).await;
    let program = Launch::run(&world, tools).start();
    (world, program)
}

/// Ends both; nothing is left unread.
pub(crate) async fn end(world: World, program: Program) {
    world.api.wait_acknowledged(PATIENCE).await.unwrap();
    program.stop().await;
    world.finish().await;
}

const UNTOUCHED: &str = "Production was not touched";
const PUT_BACK: &str = "Everything was put back";

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_at_any_step_production_is_as_it_was() {
    let slow = service("trap '' TERM; touch /tmp/well; while true; do sleep 1; done", "volumes: [\"./settings:/settings:ro\"]");
    let fixture = shop_of(&[("web", web("")), ("postgres", healthy_service("")), ("edge", slow)], json!({}));
    let tools = Tools::all();
    let (world, program) = running(fixture, &tools).await;
    let shop = &world.fixtures[0];
    deployed(&world, 1).await;
    shop.write("page", "page three\n");
    deployed(&world, 2).await;
    shop.write("page", "page four\n");
    shop.write("settings", "colour=green\n");

    let copying = ("rsync", "*/workspace/ *");
    let keeping = ("rsync", "*/production/ *");
    let promoting = ("rsync", "*--checksum*/production/");
    let upping = ("docker-compose", "* up *");
    let deploy = "/docker_deploy";
    let places = [
        (deploy, copying, UNTOUCHED),
        (deploy, ("docker-compose", "* build -- *"), UNTOUCHED),
        (deploy, keeping, UNTOUCHED),
        (deploy, promoting, PUT_BACK),
        (deploy, upping, PUT_BACK),
        ("/docker_rollback shop 1", keeping, UNTOUCHED),
        ("/docker_rollback shop 1", promoting, PUT_BACK),
        ("/docker_rollback shop 1", upping, PUT_BACK),
    ];
    // A rollback keeps and brings up as a deploy does: that is tried in the long form.
    let is_tried = |at: &usize| *at < 5 || *at == 6 || long::asked().is_some();
    for (at, (command, gate, told)) in places.into_iter().enumerate().filter(|(at, _)| is_tried(at)) {
        shop.write_production("page", &format!("mended by hand {at}\n"));
        let before = (seen(shop), shop.containers());
        let held = Held::at(&world, &tools, command, gate).await;
        // How soon is measured in `releases`: this chat has been talked to so much that it may have to wait for its turn.
        let answer = world.ask("/docker_cancel").await.text;
        assert!(answer.contains("Cancelling the "), "{answer}");
        let outcome = held.outcome().await;
        tells(&outcome, &["was cancelled", told]);
        let after = (seen(shop), shop.containers());
        assert_eq!(after.0, before.0, "cancelled at {gate:?}: {outcome}");
        assert!(told == PUT_BACK || after.1 == before.1, "no container was touched at {gate:?}: {outcome}");
    }

    // A restart that is under way is waited for, and taken back.
    shop.write("page", &shop.production_file("page").unwrap());
    let before = seen(shop);
    world.ask(deploy).await;
    world.say("yes");
    world.next().await;
    eventually("the restart has begun", async || is_restarting(&world)).await;
    world.ask("/docker_cancel").await;
    tells(&world.outcome(ADMIN).await.text, &["was cancelled", PUT_BACK]);
    assert_eq!(seen(shop), before);
    assert!(sh("docker", &["exec", &shop.container("edge").0, "cat", "/settings"]).contains("red"), "it runs with what it ran with");

    // And the release that nobody cancels arrives.
    world.ask(deploy).await;
    assert!(world.confirm().await.text.starts_with('✅'));
    end(world, program).await;
}

/// Whether the last operation has begun with a restart, as the journal has it: the chat may be a second behind.
fn is_restarting(world: &World) -> bool {
    let begun = "SELECT COUNT(*) FROM events JOIN operations ON operation = operations.id
         WHERE operation = (SELECT MAX(id) FROM operations) AND json_extract(event, '$.event') = 'step_started'
            AND json_extract(plan, '$.steps[' || json_extract(event, '$.step') || '].step') = 'restart'";
    world.kept().query_row(begun, [], |row| row.get::<_, i64>(0)).unwrap() > 0
}

/// Moves a directory's contents onto a small disk at the same place.
fn onto_small_disk(directory: &std::path::Path, size: &str) -> SmallDisk {
    let aside = directory.with_extension("aside");
    std::fs::rename(directory, &aside).unwrap();
    let disk = SmallDisk::mount(directory, size);
    sh("cp", &["-a", &format!("{}/.", aside.display()), directory.to_str().unwrap()]);
    disk
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_at_any_step_leaves_the_old_release_and_says_so() {
    let fixture = shop(json!({}));
    let production = onto_small_disk(&fixture.production, "8m");
    let tools = Tools::all();
    let world = World::prepare(vec![fixture], json!({ "default_project": "shop" })).await;
    let data = SmallDisk::mount(&world.data, "24m");
    let program = Launch::run(&world, &tools).start();
    let shop = &world.fixtures[0];
    deployed(&world, 1).await;
    shop.write_production("page", "mended by hand\n");
    shop.write("page", "page three\n");
    shop.write("large", &"l".repeat(300_000));
    let before = seen(shop);

    // Where it fills up, when, and what is told.
    let places = [
        (&data, ("rsync", "*/workspace/ *"), ["copied aside", "o space left", UNTOUCHED]),
        (&data, ("docker-compose", "* build -- *"), ["could not be built", "full", UNTOUCHED]),
        (&data, ("rsync", "*/production/ *"), ["could not be kept as it is", "o space left", UNTOUCHED]),
        (&production, ("rsync", "*--checksum*/production/"), ["brought into production", "No file of production was changed", UNTOUCHED]),
        // From here on nothing can be written down any more; it is undone all the same.
        (&data, ("docker-compose", "* up *"), ["full", PUT_BACK, "could not be written down"]),
    ];
    for (disk, gate, told) in places {
        let ended = || program.err().matches("ended operation=").count();
        let so_far = ended();
        let held = Held::at(&world, &tools, "/docker_deploy", gate).await;
        disk.fill(0);
        tools.open();
        eventually("the operation has ended", async || ended() > so_far).await;
        disk.free();
        let outcome = held.outcome().await;
        tells(&outcome, &told);
        assert!(outcome.starts_with('❌'), "{outcome}");
        assert_eq!(seen(shop), before, "full at {gate:?}: {outcome}");
    }
    world.ask("/docker_deploy").await;
    assert!(world.confirm().await.text.starts_with('✅'), "with room it comes");
    drop((production, data));
    end(world, program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_killed_in_a_build_and_while_services_come_up_leaves_the_old_release() {
    let engine = PrivateEngine::start("faults");
    let slow = |more: &str| {
        let stubborn = "trap '' TERM; touch /tmp/well; while true; do sleep 1; done";
        service(stubborn, &format!("restart: always{more}"))
    };
    let services = [("web", web(", restart: always")), ("postgres", healthy_service("restart: always")), ("edge", slow(""))];
    let fixture = shop_of(&services, json!({}));
    let tools = Tools::all();
    let (world, program) = running(fixture, &tools).await;
    let shop = &world.fixtures[0];
    let before = (tree(&shop.production), running_image(shop, "web"));
    let as_before = async |outcome: &str| {
        engine.again();
        eventually("everything runs again", async || shop.compose(&["ps", "--status", "running", "-q"]).lines().count() == 3).await;
        assert_eq!((tree(&shop.production), running_image(shop, "web")), before, "{outcome}");
        assert_eq!(shop.containers().len(), 3, "nothing half made is left: {:?}", shop.containers());
    };

    shop.write("Dockerfile", &dockerfile_that("echo now sleeping; sleep 300"));
    world.ask("/docker_deploy").await;
    world.say("yes");
    let progress = world.next().await;
    world.api.wait_until(ADMIN, progress.id, PATIENCE, |m| m.text.contains("now sleeping")).await.unwrap();
    engine.kill();
    let outcome = world.outcome(ADMIN).await.text;
    tells(&outcome, &["❌", "could not be built", UNTOUCHED]);
    as_before(&outcome).await;

    shop.write("Dockerfile", &std::fs::read_to_string(shop.production.join("Dockerfile")).unwrap());
    let more = [web(", restart: always"), healthy_service("restart: always"), slow(", environment: { NEW: \"1\" }")];
    shop.write("docker-compose.yml", &compose_file(&["web", "postgres", "edge"].into_iter().zip(more).collect::<Vec<_>>()));
    world.ask("/docker_deploy").await;
    world.say("yes");
    // Compose makes the new container first, and then waits for the old one to stop.
    let made = async || {
        let all = crate::support::fixture::engine_get("/containers/json?all=1");
        all.as_array().unwrap().iter().any(|c| c["State"] == "created")
    };
    eventually("the new container is made", made).await;
    engine.kill();
    let progress = world.next().await;
    world.api.wait_until(ADMIN, progress.id, PATIENCE, |m| m.text.contains("↩️")).await.unwrap();
    engine.again();
    let outcome = world.outcome(ADMIN).await.text;
    tells(&outcome, &["❌", PUT_BACK, "runs release 0 again"]);
    as_before(&outcome).await;
    end(world, program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_that_is_written_to_while_it_is_copied_is_not_deployed() {
    let fixture = shop(json!({}));
    fixture.write("-rf", "a name that looks like an option\n");
    fixture.write("two\nlines", "a name of two lines\n");
    fixture.write("goes", "is there for now\n");
    std::os::unix::fs::symlink("../../elsewhere", fixture.workspace.join("out")).unwrap();
    let tools = Tools::all();
    let (world, program) = running(fixture, &tools).await;
    let shop = &world.fixtures[0];
    let before = (seen(shop), shop.containers());
    let copying = ("rsync", "*/workspace/ *");
    let held = Held::at(&world, &tools, "/docker_deploy", copying).await;
    shop.write("page", "page 2.5\n");
    let outcome = held.outcome().await;
    tells(&outcome, &["❌", "The workspace changed while it was copied", "page", "Ask for the deploy again", UNTOUCHED]);

    let held = Held::at(&world, &tools, "/docker_deploy", copying).await;
    std::fs::remove_file(shop.workspace.join("goes")).unwrap();
    let outcome = held.outcome().await;
    tells(&outcome, &["❌", "The workspace changed while it was copied", "goes", UNTOUCHED]);
    assert_eq!((seen(shop), shop.containers()), before);

    let plan = world.ask("/docker_deploy").await.text;
    tells(&plan, &["-rf", "Links that point out of the workspace are copied as they are: out"]);
    assert!(world.confirm().await.text.starts_with('✅'));
    assert_eq!(tree(&shop.production), tree(&shop.workspace), "names of every kind arrive, and a link as it is");
    end(world, program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_confirm_a_deploy_at_once_one_is_told_of_the_other() {
    let fixture = shop(json!({ "access": { "222": "admin" } }));
    let tools = Tools::all();
    let (world, program) = running(fixture, &tools).await;
    let second = crate::support::world::OPERATOR;
    world.api.say(second, second, "/docker_deploy");
    let theirs = world.next_in(second).await;
    let held = Held::at(&world, &tools, "/docker_deploy", ("rsync", "*/workspace/ *")).await;
    world.api.press(second, second, theirs.id, "Deploy").unwrap();
    let busy = world.next_in(second).await.text;
    assert!(busy.starts_with("shop is busy: deploy by Ann, for ") && busy.contains("Nothing was done."), "{busy}");
    let outcome = held.outcome().await;
    assert!(outcome.starts_with('✅'), "{outcome}");
    let stale = {
        world.api.say(second, second, "/docker_deploy");
        world.next_in(second).await.text
    };
    assert!(stale.contains("Nothing to deploy"), "{stale}");
    end(world, program).await;
}
