//! The commands of a terminal: through the dockmaster that runs, and alone where none does.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use dockmaster::history::lock::{DataLock, Holder};
use serde_json::{Value, json};

use crate::support::fixture::{command, healthy_service, service, sh, tree};
use crate::support::program::Ended;
use crate::support::shop::{dockerfile_that, running_image, shop, write_one_that_is_never_well};
use crate::support::terminal::Terminal;
use crate::support::{ADMIN, Fixture, PATIENCE, eventually};

/// It went well, or as badly as expected.
fn code(ended: &Ended, code: i32) -> &Ended {
    assert_eq!(ended.code, Some(code), "{}\n{}", ended.out, ended.err);
    ended
}

fn tells(text: &str, all: &[&str]) {
    for told in all {
        assert!(text.contains(told), "{told:?} is not told: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_dockmaster_that_runs_it_is_the_same_desk() {
    let terminal = Terminal::of(vec![shop(json!({ "deploy": { "health_timeout": "5m" } })), Fixture::new(&[])], json!({})).await;
    let (world, program) = (&terminal.world, terminal.start());
    let shop = &world.fixtures[0];
    world.ask("/whoami").await;
    let socket = std::fs::metadata(world.data.join("control.sock")).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600, "for our own user alone");

    // What only reads. The configuration is the one in force, not that of a file that is named here.
    let elsewhere = terminal.config().with_file_name("elsewhere.json");
    std::fs::write(&elsewhere, "{}").unwrap();
    let other = format!("status shop --config {}", elsewhere.display());
    tells(&terminal.print(&other).await, &["shop", "all 2 up"]);
    tells(&terminal.print("status shop").await, &["shop", "all 2 up", "🟢 web", "healthy"]);
    tells(&terminal.print("status").await, &["🟢 shop: all 2 up", "▫️ edge: no containers here yet"]);
    assert_eq!(terminal.json("status SHOP").await["services"][0]["service"], "web");
    assert_eq!(terminal.json("status --all").await.as_array().unwrap().len(), 2);
    tells(&terminal.print("logs shop -n 3").await, &["page one"]);
    let found = terminal.json("logs shop/web --grep PAGE --since 1h").await;
    assert_eq!(found["lines"].as_array().unwrap().len(), 1, "{found}");
    tells(&terminal.print("releases shop").await, &["no release yet: dockmaster deploy shop"]);
    tells(&terminal.print("history shop").await, &["Nothing was done"]);
    tells(&terminal.print("health").await, &["🟢 Telegram", "🟢 the Docker engine"]);

    // Nobody confirms in a pipe.
    let web = shop.container("web");
    let unsaid = terminal.run("restart shop/web").await;
    tells(&code(&unsaid, 3).err, &["Nothing was done: add --yes"]);
    tells(&unsaid.out, &["Restart: web"]);
    assert_eq!(shop.container("web"), web);
    let forced = terminal.run("restart shop/web --force --strategy rolling --dry-run --json").await;
    let forced: Value = serde_json::from_str(&code(&forced, 0).out).unwrap();
    assert_eq!((&forced["request"]["force"], &forced["strategy"]), (&json!(true), &json!("rolling")), "{forced}");
    let done = terminal.run("restart shop/web --yes").await;
    tells(&code(&done, 0).out, &["… Restart web", "✅ Restart web", "✅ Restart of shop/web done", "Asked by console"]);
    assert!(!done.out.contains('\x1b'), "a pipe gets plain lines: {:?}", done.out);
    assert_ne!(shop.container("web"), web);
    tells(&world.ask("/docker_history shop").await.text, &["restart shop/web", "console"]);

    let told = terminal.json("deploy shop --yes").await;
    assert_eq!(told["operation"]["ended"][1]["verdict"], "succeeded", "{told}");
    assert_eq!(told["operation"]["steps"].as_array().unwrap().len(), told["plan"]["steps"].as_array().unwrap().len());
    assert_eq!(shop.production_file("page").as_deref(), Some("page two\n"));
    let nothing = terminal.json("deploy shop --yes").await;
    assert_eq!(nothing["operation"], Value::Null, "{nothing}");
    tells(&terminal.print("releases shop").await, &["1 · runs now", "production as it was found"]);
    tells(&terminal.print("rollback shop --yes").await, &["shop runs release 0"]);

    // One operation a project, whoever asks for it where; and a cancel from here is told there.
    shop.write("Dockerfile", &dockerfile_that("echo now sleeping; sleep 300"));
    world.ask("/docker_deploy shop").await;
    world.say("yes");
    let progress = world.next().await;
    world.api.wait_until(ADMIN, progress.id, PATIENCE, |m| m.text.contains("now sleeping")).await.unwrap();
    let busy = terminal.run("restart shop --yes").await;
    tells(&code(&busy, 4).err, &["shop is busy: deploy by Ann"]);
    tells(&terminal.print("status shop").await, &["deploy by Ann"]);
    tells(&terminal.print("cancel shop").await, &["Cancelling the deploy"]);
    tells(&world.outcome(ADMIN).await.text, &["was cancelled", "Production was not touched"]);
    tells(&terminal.print("cancel shop").await, &["Nothing runs on shop"]);

    let failed = terminal.run("rollback shop 77 --yes").await;
    tells(&code(&failed, 1).err, &["There is no release 77", "dockmaster releases shop"]);
    code(&terminal.run("logs shop --lines 5000").await, 2);
    code(&terminal.run("logs shop --since soon").await, 2);
    terminal.idle().await;
    program.stop().await;
    assert!(!world.data.join("control.sock").exists(), "nobody answers there any more");
    tells(&code(&terminal.run("health").await, 1).err, &["No dockmaster runs on"]);
    tells(&code(&terminal.run("cancel shop").await, 1).err, &["No dockmaster runs on"]);
    terminal.world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_control_socket_does_not_understand_it_says() {
    let terminal = Terminal::of(vec![Fixture::new(&[("web", healthy_service(""))])], json!({})).await;
    let program = terminal.start();
    terminal.world.ask("/whoami").await;
    let socket = terminal.world.data.join("control.sock").display().to_string();
    let long = format!("@{}", terminal.world.data.with_file_name("long").display());
    std::fs::write(&long[1..], "x".repeat(100_000)).unwrap();
    let ask = |args: &[&str], path: &str| {
        let base = ["-sS", "--path-as-is", "--unix-socket", &socket, "-H", "content-type: application/json"];
        let said = sh("curl", &[&base, args, &[&format!("http://dockmaster{path}")]].concat());
        let problem: Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{path}: {e}: {said}"));
        (
            problem["status"].as_i64().unwrap_or_default(),
            problem["code"].as_str().unwrap_or_default().to_owned(),
            problem["detail"].to_string(),
        )
    };
    let operations = "/projects/shop/operations";
    let cases: [(&[&str], &str, i64, &str, &str); 14] = [
        (&[], "/nothing", 404, "missing", "nothing at this address"),
        (&[], "/projects/../secrets", 404, "missing", "nothing at this address"),
        (&[], "/projects/%2e%2e/status", 404, "missing", "There is no project"),
        (&[], "/projects/nope/status", 404, "missing", "nope is no longer in projects.json"),
        (&[], "/operations/7", 404, "missing", "no operation #7"),
        (&[], "/operations/seven", 404, "missing", "by its number"),
        (&["-X", "DELETE"], operations, 405, "malformed", "method"),
        (&["-d", "{"], operations, 400, "malformed", "parse"),
        (&["-d", r#"{"operation":"explode"}"#], operations, 400, "malformed", "explode"),
        (&["-d", r#"{"operation":"stop","force":true}"#], operations, 400, "malformed", "force"),
        (&["-d", r#"{"operation":"deploy","service":"web"}"#], operations, 400, "malformed", "service"),
        (&["-d", &long], operations, 400, "malformed", "length limit"),
        (&["-d", r#"{"operation":"start","digest":"of something else"}"#], operations, 409, "changed", "Start shop"),
        (&[], "/projects/shop/logs?lines=0", 400, "malformed", "From 1 to 1000 lines"),
    ];
    for (args, path, status, code, detail) in cases {
        let said = ask(args, path);
        assert!(said.0 == status && said.1 == code && said.2.contains(detail), "{path} {args:?}: {said:?}");
    }
    tells(&terminal.print("status").await, &["shop"]);
    program.stop().await;
    terminal.world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alone_it_holds_the_data_directory_and_a_dockmaster_that_starts_waits() {
    let terminal = Terminal::of(vec![shop(json!({ "deploy": { "health_timeout": "5m" } }))], json!({})).await;
    let world = &terminal.world;
    let shop = &world.fixtures[0];
    tells(&terminal.print("status").await, &["all 2 up"]);
    assert!(!world.data.exists(), "looking makes nothing");
    tells(&terminal.print("deploy --yes").await, &["shop runs release 1"]);
    tells(&terminal.print("history").await, &["deploy shop", "console"]);

    // Ctrl-C is a cancel: what was begun is undone. Meanwhile another terminal goes through the first.
    shop.write("page", "page three\n");
    write_one_that_is_never_well(shop);
    let before = (tree(&shop.production), running_image(shop, "web"));
    let first = terminal.launch("deploy --yes").start();
    eventually("the first verifies", async || first.out().contains("… Verify web")).await;
    tells(&terminal.print("status").await, &["deploy by console"]);
    code(&terminal.run("restart --yes").await, 4);
    let mut bot = terminal.start();
    bot.says("waiting until it is done").await;
    first.interrupt();
    let cancelled = first.ended().await;
    tells(&code(&cancelled, 5).out, &["was cancelled", "Everything was put back: shop runs release 1 again"]);
    assert_eq!((tree(&shop.production), running_image(shop, "web")), before);
    bot.says("connected to Telegram").await;
    tells(&world.ask("/docker_history").await.text, &["deploy shop · #2", "cancelled", "console"]);
    terminal.idle().await;
    bot.stop().await;

    // Killed in the middle: the next one that works puts that right first.
    let mut killed = terminal.launch("deploy --yes").start();
    eventually("it verifies", async || killed.out().contains("… Verify web")).await;
    assert!(killed.lives());
    killed.kill();
    assert_ne!(running_image(shop, "web"), before.1);
    let next = terminal.run("restart shop/postgres --yes").await;
    tells(&code(&next, 0).err, &["what an earlier run left is put right first"]);
    assert_eq!((tree(&shop.production), running_image(shop, "web")), before);
    tells(&terminal.print("history").await, &["✅ restart shop/postgres", "⚠️ deploy shop", "interrupted"]);
    terminal.world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_has_the_data_directory_and_does_not_answer_is_not_waited_for_without_end() {
    let terminal = Terminal::of(vec![Fixture::new(&[("web", healthy_service(""))])], json!({})).await;
    let _held = DataLock::take(&terminal.world.data, Holder::Bot).unwrap();
    tells(&code(&terminal.run("start --yes").await, 1).err, &["Another dockmaster has", "does not answer"]);
    terminal.world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_it_asks_and_draws() {
    let slow = service("trap '' TERM; touch /tmp/well; while true; do sleep 1; done", "");
    let terminal = Terminal::of(vec![Fixture::up(&[("web", slow)])], json!({})).await;
    let program = env!("CARGO_BIN_EXE_dockmaster");
    // A terminal of its own for it, with somebody who types. What is typed comes back on it, too.
    let typed = async |answer: &str| {
        let line = format!("(sleep 1; echo {answer}) | script -qec 'stty cols 80 rows 24; exec {program} restart' /dev/null");
        let (config, data, tools) = (terminal.config(), terminal.world.data.clone(), terminal.tools.path().display().to_string());
        let run = move || {
            let path = format!("{tools}:{}", std::env::var("PATH").unwrap());
            let settings = [("DOCKMASTER_CONFIG", config.as_os_str()), ("DOCKMASTER_DATA", data.as_os_str()), ("PATH", path.as_ref())];
            let output = command("sh").args(["-c", &line]).envs(settings).output().unwrap();
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        tokio::time::timeout(PATIENCE + Duration::from_secs(60), tokio::task::spawn_blocking(run)).await.unwrap().unwrap()
    };
    let before = terminal.world.fixtures[0].container("web");
    let refused = typed("no").await;
    tells(&refused, &["Restart: web", "Restart? [yes/no]", "Nothing was done."]);
    assert_eq!(terminal.world.fixtures[0].container("web"), before);
    let done = typed("YES").await;
    tells(&done, &["Restart shop · ⏳", "Restart shop · ✅", "\x1b[", "✅ Restart of shop done"]);
    assert_ne!(terminal.world.fixtures[0].container("web"), before);
    terminal.world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_followed_until_it_is_interrupted() {
    let terminal = Terminal::of(vec![Fixture::up(&[("web", healthy_service(""))])], json!({})).await;
    let mut following = terminal.launch("logs --follow").start();
    eventually("what was written is there", async || following.out().contains("ready")).await;
    terminal.world.fixtures[0].compose(&["exec", "web", "sh", "-c", "echo one more line >/proc/1/fd/1"]);
    eventually("and what is written now", async || following.out().contains("one more line")).await;
    assert!(following.lives());
    following.interrupt();
    code(&following.ended().await, 0);
    terminal.world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_and_the_manual_know_every_command() {
    let terminal = Terminal::of(vec![Fixture::new(&[])], json!({})).await;
    let help = terminal.print("--help").await;
    let listed = help.lines().skip_while(|l| *l != "Commands:").skip(1).take_while(|l| l.starts_with("  "));
    let commands: Vec<&str> = listed.filter_map(|l| l.split_whitespace().next()).collect();
    assert!(commands.contains(&"rollback") && commands.len() > 12, "{help}");
    let (bash, man) = (terminal.print("completions bash").await, terminal.print("man").await);
    for command in commands {
        assert!(bash.contains(command), "{command} is not completed");
        assert!(man.contains(&format!("dockmaster\\-{}", command.replace('-', "\\-"))), "{command} is not in the manual");
    }
    terminal.world.finish().await;
}
