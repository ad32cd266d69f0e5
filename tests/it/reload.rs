//! The configuration changes while the bot runs, as people see it in the chat and at a terminal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dockmaster::console::Client;
use dockmaster::sandbox::bot_api::Fault;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::support::disk::Mounted;
use super::support::program::{Launch, Tools};
use super::support::terminal::Terminal;
use super::support::world::{ADMIN, OPERATOR, TOKEN, VIEWER};
use super::support::{Fixture, PATIENCE, World, eventually, long};
use crate::support::fixture::healthy_service;

fn shop() -> Fixture {
    Fixture::up(&[("web", healthy_service(""))])
}

/// A world whose configuration is read soon after it is saved, and was read once.
async fn world() -> World {
    let world = World::start_with(vec![shop()], quick()).await;
    world.ask("/whoami").await;
    world
}

fn quick() -> Value {
    json!({ "default_project": "shop", "reload": { "debounce": "20ms" } })
}

fn changed(world: &World, change: impl FnOnce(&mut Value)) -> String {
    let mut all: Value = serde_json::from_str(&world.projects_json()).unwrap();
    change(&mut all);
    all.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_told_with_what_it_means_and_withdraws_what_waits() {
    let world = world().await;
    let plan = world.ask("/docker_restart").await;
    let button = plan.buttons[0][0].data.clone().unwrap();
    world.configure(&changed(&world, |all| {
        all["projects"]["shop"]["deploy"]["stability"] = json!("7s");
        all["access"]["users"][VIEWER.to_string()] = json!("operator");
    }));
    let told = world.next().await.text;
    for part in [
        "⚙️ Configuration reloaded · version 2\nA file was saved.\n",
        "shop: deploy.stability: ",
        " → 7 s\n",
        "⬆️ 333: viewer → operator",
        "Withdrawn, since it goes by what was changed: Restart shop. Ask again.",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    let ending = "Withdrawn: the configuration was changed meanwhile; nothing was done. Ask again.";
    let message = world.api.wait_until(ADMIN, plan.id, PATIENCE, |m| m.text.ends_with(ending)).await.unwrap();
    assert!(message.buttons.is_empty());
    let late = world.api.press_data(ADMIN, ADMIN, plan.id, &button);
    let late = world.api.callback_answer(&late, PATIENCE).await.unwrap().text;
    assert_eq!(late, "It was withdrawn, since the configuration was changed; nothing was done. Ask again.");
    assert!(world.ask("yes").await.text.starts_with("It was withdrawn"));
    // A change of something else lets what waits be.
    let plan = world.ask("/docker_restart").await;
    world.configure(&changed(&world, |all| {
        all["projects"]["shop"]["deploy"]["stability"] = json!("7s");
        all["access"]["users"][VIEWER.to_string()] = json!("viewer");
    }));
    assert!(world.next().await.text.contains("⬇️ 333: operator → viewer"));
    assert!(world.api.messages(ADMIN).iter().any(|m| m.id == plan.id && !m.buttons.is_empty()));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_change_at_once_and_menus_with_them() {
    let world = world().await;
    let commands = |user: i64| world.api.commands_for(user, user).into_iter().map(|c| c.command).collect::<Vec<_>>();
    eventually("the menus are there", async || commands(OPERATOR).iter().any(|c| c == "docker_restart")).await;
    world.api.say(OPERATOR, OPERATOR, "/docker_restart");
    let plan = world.next_in(OPERATOR).await;
    world.api.say(OPERATOR, OPERATOR, "/docker_logs follow");
    let followed = world.next_in(OPERATOR).await;
    world.configure(&changed(&world, |all| {
        all["access"]["users"].as_object_mut().unwrap().remove(&OPERATOR.to_string());
        all["access"]["users"][VIEWER.to_string()] = json!("admin");
    }));
    for chat in [ADMIN, VIEWER] {
        let told = world.next_in(chat).await.text;
        assert!(told.contains("⬇️ 222: operator → nobody\n⬆️ 333: viewer → admin"), "{told}");
    }
    world.api.wait_until(OPERATOR, plan.id, PATIENCE, |m| m.buttons.is_empty()).await.unwrap();
    world.api.wait_until(OPERATOR, followed.id, PATIENCE, |m| m.buttons.is_empty()).await.unwrap();
    world.api.say(OPERATOR, OPERATOR, "yes");
    assert!(world.next_in(OPERATOR).await.text.starts_with("You are not on the list"));
    eventually("the menus follow", async || {
        !commands(OPERATOR).iter().any(|c| c == "docker_restart") && commands(VIEWER).iter().any(|c| c == "config")
    })
    .await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_is_told_once_with_its_place_and_changes_nothing() {
    let world = world().await;
    let good = world.projects_json();
    world.configure(&good.replace("\"admin\"", "\"boss\""));
    let told = world.next().await.text;
    let at = good.find("\"admin\"").unwrap() + 1;
    let place = format!("1:{at} access.users.111: found “boss”, expected “viewer”, “operator” or “admin”");
    assert_eq!(told, format!("⚠️ Configuration rejected\nWhat was in force still is.\n{place}"));
    let status = world.ask("/config").await.text;
    assert!(
        status.contains("Version 1, in force for ") && status.contains("⚠️ The files are not in force, since ") && status.contains(&place),
        "{status}"
    );
    // Who has no admin left can no longer mend it from here: it is refused like every other mistake.
    world.configure(&good.replace("\"admin\"", "\"viewer\""));
    assert!(world.next().await.text.contains("found no admin, expected at least one user id with the role “admin”"));
    world.configure(&good);
    eventually("all is well", async || !world.ask("/config").await.text.contains("not in force")).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_listed_compared_and_kept_by_hand() {
    let world = world().await;
    assert!(world.ask("/config history").await.text.contains("▶️ 1 · in force\n"));
    assert_eq!(world.ask("/config snapshot before the sale").await.text, "What is in force is kept as version 2.");
    world.configure(&changed(&world, |all| all["confirm_timeout"] = json!("90s")));
    assert!(world.next().await.text.contains("confirm_timeout: 1 min → 1 min 30 s"));
    let history = world.ask("/config history").await.text;
    for part in [
        "▶️ 3 · in force\n",
        "A file was saved\n1 general setting\n",
        "▫️ 2\n",
        "Ann had it kept: before the sale\n",
        "▫️ 1\n",
        "I started with it\n",
    ] {
        assert!(history.contains(part), "{part} is not in {history}");
    }
    let diff = world.ask("/config diff 1").await.text;
    assert!(diff.starts_with("From version 1 to what is in force\nconfirm_timeout: 1 min → 1 min 30 s\n"), "{diff}");
    assert!(diff.contains("\n-{") && diff.contains("\n+{"), "{diff}");
    assert_eq!(world.ask("/config diff 3").await.text, "From version 3 to what is in force\nThey are the same.");
    assert_eq!(world.ask("/config diff 9").await.text, "There is no version 9, or it is too long ago: /config history lists them.");
    assert_eq!(world.ask("/config reload").await.text, "The files say what is in force; nothing changed.");
    world.api.say(OPERATOR, OPERATOR, "/config");
    assert_eq!(
        world.next_in(OPERATOR).await.text,
        "That takes the role admin; yours is operator. An admin can change it in projects.json."
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_under_load_answer_all_and_restart_nothing() {
    let world = Arc::new(World::start_with(vec![shop()], json!({ "default_project": "shop", "reload": { "watch": "off" } })).await);
    world.ask("/whoami").await;
    let started = world.fixtures[0].container("web");
    let client = Client::of(&world.data).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let asking = tokio::spawn({
        let (world, over) = (world.clone(), over.clone());
        async move {
            let mut answered = 0;
            while !over.load(Ordering::Relaxed) {
                for (chat, text) in [(OPERATOR, "/docker_status"), (VIEWER, "/whoami")] {
                    world.api.say(chat, chat, text);
                }
                for (chat, part) in [(OPERATOR, "web"), (VIEWER, "333")] {
                    let answer = world.next_in(chat).await.text;
                    assert!(answer.contains(part), "{answer}");
                    answered += 1;
                }
            }
            answered
        }
    });
    // What changes means nothing to the chats, so that it is not told there as often.
    for n in long::rounds(100) {
        world.configure(&format!("{}{}", world.projects_json(), " ".repeat(usize::try_from(n % 7).unwrap() + 1)));
        let came: Value = client.post("/config/reload", &()).await.unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(came["came_to"], "applied", "{n}: {came}");
    }
    over.store(true, Ordering::Relaxed);
    let answered: usize = asking.await.unwrap();
    assert!(answered >= 6, "{answered}");
    assert_eq!(world.fixtures[0].container("web"), started);
    Arc::into_inner(world).unwrap().finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_and_a_terminal_reload_by_hand_where_watching_is_off() {
    let terminal = Terminal::of(vec![shop()], quick()).await;
    let tools = Tools::all();
    let mut bot = Launch::run(&terminal.world, &tools).set("DOCKMASTER_HOT_RELOAD", "0").start();
    bot.says("connected to Telegram").await;
    assert!(bot.err().contains("watching=\"off\" because=\"DOCKMASTER_HOT_RELOAD is 0\""), "{}", bot.err());
    let status = terminal.print("config status").await;
    assert!(status.contains("Changes are not noticed; dockmaster config reload takes them over: DOCKMASTER_HOT_RELOAD is 0"), "{status}");
    terminal.world.configure(&changed(&terminal.world, |all| all["confirm_timeout"] = json!("90s")));
    bot.signal(Signal::HUP);
    assert!(terminal.world.next().await.text.contains("a signal asked for a reload.\nconfirm_timeout: 1 min → 1 min 30 s"));
    terminal.world.configure("{ }");
    let refused = terminal.run("config reload").await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.out.contains("Configuration rejected") && refused.out.contains("1:1 access: found nothing"), "{}", refused.out);
    assert!(terminal.world.next().await.text.contains("1:1 access: found nothing"));
    assert_eq!(terminal.run("config status").await.code, Some(1));
    assert_eq!(terminal.run("check").await.code, Some(1));
    terminal.world.configure(&terminal.world.projects_json());
    assert!(terminal.print("config reload").await.contains("console asked for a reload.\nconfirm_timeout: 1 min 30 s → 1 min"));
    assert!(terminal.world.next().await.text.contains("console asked for a reload"));
    assert_eq!(terminal.print("config snapshot").await, "What is in force is kept as version 4.\n");
    let versions = terminal.json("config history").await;
    assert_eq!((versions["in_force"].as_i64(), versions["versions"].as_array().unwrap().len()), (Some(4), 4));
    bot.terminate();
    let ended = bot.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    // Without it the versions can still be looked at.
    assert!(terminal.print("config diff 2").await.contains("confirm_timeout: 1 min 30 s → 1 min"));
    assert!(terminal.run("config status").await.err.contains("No dockmaster runs on "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_a_mistake_takes_the_version_from_before_and_says_so() {
    let mut world = world().await;
    world.idle().await;
    world.stop().await.unwrap();
    world.configure("{");
    let config = world.config.clone();
    world.boot_with(&config);
    let told = world.next().await.text;
    assert_eq!(
        told,
        "⚠️ Configuration rejected\nI started with the version that was in force last.\n1:2: found the end of the file, expected a key in double quotes or “}”"
    );
    assert!(world.ask("/docker_status").await.text.contains("web"));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_change_means_can_be_seen_before_it_is_made() {
    // Nothing of it runs: another compose name for what runs there would be refused.
    let terminal = Terminal::of(vec![Fixture::new(&[("web", healthy_service(""))])], quick()).await;
    let old = terminal.config().with_file_name("old.json");
    std::fs::copy(terminal.config(), &old).unwrap();
    terminal.world.configure(&changed(&terminal.world, |all| {
        all["access"]["users"][VIEWER.to_string()] = json!("admin");
        all["projects"]["shop"]["compose"]["name"] = json!("another");
    }));
    let shown = terminal.print(&format!("check --against {}", old.display())).await;
    assert!(shown.contains("⬆️ 333: viewer → admin\n"), "{shown}");
    assert!(shown.contains(" → another (needs a deploy)\n") && shown.contains("/docker_deploy shop"), "{shown}");
    let shown = terminal.json(&format!("check --against {}", old.display())).await;
    assert_eq!(shown["impact"]["rights"][0]["after"], "admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_mounted_by_itself_and_replaced_is_told_with_the_remedy() {
    let mut world = World::prepare(vec![shop()], quick()).await;
    let host = world.config.with_file_name("on-the-host.json");
    std::fs::write(&host, world.projects_json()).unwrap();
    let _mounted = Mounted::file(&host, &world.config);
    let config = world.config.clone();
    world.boot_with(&config);
    world.ask("/whoami").await;
    // Written in place it is seen.
    std::fs::write(&host, changed(&world, |all| all["confirm_timeout"] = json!("90s"))).unwrap();
    assert!(world.next().await.text.contains("confirm_timeout: 1 min → 1 min 30 s"));
    std::fs::write(host.with_extension("new"), world.projects_json()).unwrap();
    std::fs::rename(host.with_extension("new"), &host).unwrap();
    let told = world.next().await.text;
    assert!(told.starts_with("⚠️ Changes of the configuration cannot be seen\n"), "{told}");
    assert!(told.contains("was replaced where it comes from") && told.contains("mount its directory instead"), "{told}");
    assert!(world.ask("/config").await.text.contains("⚠️ "), "and it stands there from then on");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_in_its_file_is_used_at_once() {
    let world = World::prepare(vec![shop()], quick()).await;
    let tools = Tools::all();
    let file = world.config.with_file_name("token");
    std::fs::write(&file, TOKEN).unwrap();
    let mut bot = Launch::run(&world, &tools).unset("TELOXIDE_TOKEN").set("TELOXIDE_TOKEN_FILE", &file).start();
    bot.says("connected to Telegram").await;
    // As somebody has @BotFather take the old one back: the bot is refused until it has the new one.
    let (id, _) = TOKEN.split_once(':').unwrap();
    let new = format!("{id}:BBF-the-next-token-of-the-embedded-server");
    world.api.renew_token(&new);
    world.say("/whoami");
    bot.says("Telegram does not accept the token any more").await;
    // Another bot's, one that Telegram does not know, and none at all: told once each, and none of it is used.
    let another = "987654321:CCG-the-token-of-somebody-else";
    world.api.add_other_bot(another);
    for (text, why) in [
        (another, "it belongs to another bot (`@other_bot`)"),
        ("987654322:DDH-a-token-of-nobody", "Telegram does not accept it (401)"),
        ("half a tok", "what it holds does not look like a token of @BotFather's"),
    ] {
        std::fs::write(&file, text).unwrap();
        bot.says(why).await;
    }
    let since = Instant::now();
    std::fs::rename(
        {
            std::fs::write(file.with_extension("new"), format!("{new}\n")).unwrap();
            file.with_extension("new")
        },
        &file,
    )
    .unwrap();
    let mut told = vec![world.next().await.text];
    assert!(since.elapsed() < Duration::from_secs(4), "it does not wait for its next try: {:?}", since.elapsed());
    while told.len() < 5 {
        told.push(world.next().await.text);
    }
    told.sort();
    assert!(told[0].starts_with("Your id: 111"), "{told:?}");
    assert!(told[1..4].iter().all(|t| t.starts_with("⚠️ The new token is not used\n") && t.contains(&*file.to_string_lossy())), "{told:?}");
    assert_eq!(told[4], "🔑 The bot's token was changed; the new one is in use.");
    bot.terminate();
    let ended = bot.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    for secret in [TOKEN, &new, "CCG-the", "DDH-a"] {
        assert!(!ended.err.contains(secret), "{}", ended.err);
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_taken_back_while_it_starts_is_told_as_such() {
    let world = World::prepare(vec![shop()], quick()).await;
    // Who it is is asked once by us, and once more by teloxide.
    world.api.fault("getMe", Fault::Slow(Duration::ZERO), 1);
    world.api.fault("getMe", Fault::Unauthorized, 2);
    let tools = Tools::all();
    let mut bot = Launch::run(&world, &tools).start();
    bot.says("Telegram does not accept the token any more").await;
    world.ask("/whoami").await;
    assert!(!bot.err().contains("Telegram is away"), "{}", bot.err());
    bot.terminate();
    assert_eq!(bot.ended().await.code, Some(0));
    world.finish().await;
}
