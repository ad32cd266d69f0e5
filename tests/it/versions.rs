//! Going back to a version of the configuration, as people do it in the chat and at a terminal.

use std::ffi::OsStr;

use serde_json::{Value, json};

use super::support::fixture::healthy_service;
use super::support::program::{Launch, Tools};
use super::support::terminal::Terminal;
use super::support::world::ADMIN;
use super::support::{Fixture, PATIENCE, World};

fn shop() -> Fixture {
    Fixture::up(&[("web", healthy_service(""))])
}

fn quick(more: Value) -> Value {
    let mut reload = json!({ "debounce": "20ms" });
    reload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "default_project": "shop", "reload": reload })
}

async fn world(reload: Value) -> World {
    let world = World::start_with(vec![shop()], quick(reload)).await;
    world.ask("/whoami").await;
    world
}

fn changed(world: &World, change: impl FnOnce(&mut Value)) -> String {
    let mut all: Value = serde_json::from_str(&world.projects_json()).unwrap();
    change(&mut all);
    all.to_string()
}

fn file(world: &World) -> String {
    std::fs::read_to_string(&world.config).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_comes_back_into_the_file_after_a_yes() {
    let world = world(json!({})).await;
    let first = file(&world);
    world.configure(&changed(&world, |all| {
        all["confirm_timeout"] = json!("90s");
        all["access"]["users"].as_object_mut().unwrap().remove("222");
    }));
    assert!(world.next().await.text.contains("⬇️ 222: operator → nobody"));
    let plan = world.ask("/config rollback 1").await;
    for part in [
        "Roll back to version 1 of the configuration\nof ",
        "⬆️ 222: nobody → operator\nconfirm_timeout: 1 min 30 s → 1 min\n",
        "Written into ",
        "Roll back? Press the button, or type yes, within 1 min 30 s.",
    ] {
        assert!(plan.text.contains(part), "{part} is not in {}", plan.text);
    }
    // Who saves meanwhile has it withdrawn.
    world.configure(&changed(&world, |all| all["confirm_timeout"] = json!("100s")));
    let told = world.next().await.text;
    assert!(told.contains("Withdrawn, since it goes by what was changed: Roll back to version 1 of the configuration."), "{told}");
    world.api.wait_until(ADMIN, plan.id, PATIENCE, |m| m.buttons.is_empty() && m.text.contains("Withdrawn: ")).await.unwrap();
    world.ask("/config rollback 1").await;
    let done = world.ask("yes").await.text;
    assert!(done.starts_with("⚙️ Configuration rolled back · version 4\nAnn went back to version 1.\nconfirm_timeout: "), "{done}");
    assert_eq!(file(&world), first);
    assert_eq!(world.ask("/config rollback 1").await.text, "Nothing to roll back: version 1 is in force, and the files say so.");
    assert_eq!(world.ask("/config rollback 9").await.text, "There is no version 9, or it is too long ago: /config history lists them.");
    assert!(world.ask("/config history").await.text.contains("▶️ 4 · in force\n"));
    // A mistake in the file is undone in the same way, and not lost.
    world.configure("{ half");
    assert!(world.next().await.text.starts_with("⚠️ Configuration rejected"));
    let plan = world.ask("/config rollback 4").await.text;
    assert!(
        plan.contains("It is what is in force already.")
            && plan.contains("⚠️ Warnings:\n")
            && plan.contains("What the files say now was never in force."),
        "{plan}"
    );
    assert!(world.ask("yes").await.text.starts_with("⚙️ Configuration rolled back"));
    assert_eq!(file(&world), first);
    assert_eq!(std::fs::read_to_string(world.config.with_file_name(".projects.json~")).unwrap(), "{ half");
    assert!(!world.ask("/config").await.text.contains("not in force"));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_cannot_be_read_any_more_is_told_and_put_back_where_that_is_wished() {
    for (wished, heading) in
        [(json!({}), "⚙️ Configuration reloaded"), (json!({ "rollback_on": ["unreadable_project"] }), "⚠️ Configuration put back")]
    {
        let is_undone = wished != json!({});
        let world = world(wished).await;
        world.fixtures[0].write_production("broken.yml", "services: { web: { imaeg: nothing } }\n");
        let broken = changed(&world, |all| {
            all["projects"]["shop"]["compose"]["files"] = json!(["broken.yml"]);
        });
        world.configure(&broken);
        let told = world.next().await.text;
        assert!(told.starts_with(heading) && told.contains("shop cannot be read: Compose cannot read its files: "), "{told}");
        assert_eq!(told.contains("📌 Pinned: the files say something else, and count again once they are changed."), is_undone, "{told}");
        assert_eq!(file(&world), broken);
        assert_eq!(world.ask("/config").await.text.contains("📌 Pinned"), is_undone);
        assert_eq!(world.ask("/config reload").await.text.contains("📌 Pinned"), is_undone);
        world.configure(&changed(&world, |all| all["confirm_timeout"] = json!("90s")));
        assert!(world.next().await.text.contains("confirm_timeout: 1 min → 1 min 30 s"));
        assert!(!world.ask("/config").await.text.contains("📌"));
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_goes_back_with_and_without_a_dockmaster() {
    let terminal = Terminal::of(vec![shop()], quick(json!({}))).await;
    let first = file(&terminal.world);
    let mut bot = terminal.start();
    bot.says("connected to Telegram").await;
    terminal.world.configure(&changed(&terminal.world, |all| all["confirm_timeout"] = json!("90s")));
    assert!(terminal.world.next().await.text.contains("· version 2\n"));
    let asked = terminal.run("config rollback 1").await;
    assert_eq!(asked.code, Some(3), "{}{}", asked.out, asked.err);
    let plan = terminal.json("config rollback 1 --dry-run").await;
    assert_eq!(
        (plan["plan"]["to"].as_i64(), plan["plan"]["way"]["way"].as_str(), &plan["applied"]),
        (Some(1), Some("write"), &Value::Null)
    );
    let done = terminal.print("config rollback 1 --yes").await;
    assert!(
        done.contains("Written into ") && done.contains("Configuration rolled back · version 3\nconsole went back to version 1."),
        "{done}"
    );
    assert_eq!(file(&terminal.world), first);
    assert!(terminal.world.next().await.text.contains("console went back to version 1."));
    bot.terminate();
    assert_eq!(bot.ended().await.code, Some(0));
    // Nobody runs, and the file is a mistake: it is mended all the same.
    terminal.world.configure("{");
    let done = terminal.run("config rollback 2 --yes --json").await;
    assert_eq!(done.code, Some(0), "{}", done.err);
    let done: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(done["applied"]["cause"], "rollback", "{done}");
    assert!(file(&terminal.world).contains("90s"));
    assert!(terminal.run("config rollback 2 --dry-run").await.out.starts_with("Nothing to roll back"));
    assert_eq!(terminal.run("config rollback 77 --yes").await.code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selftest_proves_on_the_spot_that_saves_come_into_force() {
    let tools = Tools::all();
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("projects.json");
    let test = async |watch: &str, hot: &str| {
        let text = json!({ "access": { "users": { "1": "admin" } }, "reload": { "watch": watch, "poll": "100ms", "debounce": "20ms" }, "projects": {} });
        std::fs::write(&file, text.to_string()).unwrap();
        let args: [&OsStr; 5] = ["config".as_ref(), "selftest".as_ref(), "--json".as_ref(), "--config".as_ref(), file.as_os_str()];
        let ended = Launch::new(&tools, &args).set("DOCKMASTER_HOT_RELOAD", hot).start().ended().await;
        let code = if hot == "1" { 0 } else { 1 };
        assert_eq!((ended.code, ended.err.as_str()), (Some(code), ""), "{}", ended.out);
        serde_json::from_str::<Value>(&ended.out).unwrap()
    };
    for (watch, hot, way) in [("events", "1", "events"), ("poll", "1", "poll"), ("events", "0", "off")] {
        let done = test(watch, hot).await;
        assert_eq!((done["watching"].as_str(), done["on_the_spot"].as_bool()), (Some(way), Some(true)), "{done}");
        assert_eq!(done["trials"].as_array().unwrap().len(), 9, "{done}");
    }
    let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["projects.json"], "it leaves nothing behind");
}
