//! Who may ask for what, and where; who confirms, how, and until when. To the engine, so that it is seen that nothing ran.

use serde_json::json;

use crate::support::fixture::healthy_service;
use crate::support::world::{GROUP, OPERATOR, STRANGER, VIEWER};
use crate::support::{ADMIN, Fixture, PATIENCE, World, eventually};

fn shop() -> Fixture {
    Fixture::up(&[("web", healthy_service(""))])
}

async fn toast(world: &World, who: i64, chat: i64, message: i32, button: &str) -> String {
    let press = world.api.press(who, chat, message, button).unwrap();
    world.api.callback_answer(&press, PATIENCE).await.unwrap().text
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_contain_each_other_and_a_project_may_say_otherwise() {
    let edge = Fixture::new(&[]).with(json!({ "access": { VIEWER.to_string(): "operator", ADMIN.to_string(): "viewer" } }));
    let world = World::start_with(vec![shop(), edge], json!({ "default_project": "shop" })).await;
    let before = world.fixtures[0].container("web");
    for (who, text, told) in [
        (VIEWER, "/docker_deploy", "That takes the role admin; yours is viewer."),
        (VIEWER, "/docker_restart shop/web", "That takes the role operator; yours is viewer."),
        (VIEWER, "/docker_stop", "That takes the role operator; yours is viewer."),
        (OPERATOR, "/docker_deploy shop", "That takes the role admin; yours is operator."),
        (STRANGER, "/docker_status", "You are not on the list"),
        (STRANGER, "/docker_restart", "You are not on the list"),
        (VIEWER, "/docker_status", "1 of 1 up"),
        (VIEWER, "/docker_history", "Nothing was done with shop yet."),
        // Lowered and raised in one project only.
        (ADMIN, "/docker_restart edge", "That takes the role operator; yours is viewer."),
        (VIEWER, "/docker_restart edge", "edge has no containers"),
    ] {
        world.api.say(who, who, text);
        let answer = world.next_in(who).await.text;
        assert!(answer.contains(told), "{text} by {who}:\n{answer}");
    }
    // An operator restarts.
    world.api.say(OPERATOR, OPERATOR, "/docker_restart");
    world.next_in(OPERATOR).await;
    world.api.say(OPERATOR, OPERATOR, " YES ");
    let outcome = world.outcome(OPERATOR).await.text;
    assert!(outcome.starts_with('✅') && outcome.contains("Asked by Olaf"), "{outcome}");
    assert_ne!(world.fixtures[0].container("web"), before);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_group_the_one_who_asked_confirms_by_replying() {
    let world = World::start(shop()).await;
    let web = || world.fixtures[0].container("web");
    let before = web();
    world.api.add_group(-100_700, "Elsewhere");
    world.api.say(ADMIN, -100_700, "/docker_restart");
    let elsewhere = world.next_in(-100_700).await.text;
    assert!(elsewhere.contains("not on my list"), "{elsewhere}");

    world.api.say(OPERATOR, GROUP, "/docker_restart");
    let plan = world.next_in(GROUP).await;
    assert!(plan.text.contains("or reply yes to this message, within 1 min"), "{}", plan.text);
    // A bare word does not reach the bot; another person's answer does, and changes nothing.
    world.api.say(OPERATOR, GROUP, "yes");
    let theirs = toast(&world, ADMIN, GROUP, plan.id, "Restart").await;
    assert_eq!(theirs, "That waits for somebody else; only the person who asked can confirm it.");
    world.api.incoming(ADMIN, GROUP, "yes").reply_to(plan.id).send();
    let theirs = world.next_in(GROUP).await.text;
    assert!(theirs.contains("waits for somebody else"), "{theirs}");
    assert_eq!(web(), before, "nothing ran");
    // Two people may each have one.
    world.api.say(ADMIN, GROUP, "/docker_stop");
    let other = world.next_in(GROUP).await;
    world.api.incoming(OPERATOR, GROUP, "Yes").reply_to(plan.id).send();
    let outcome = world.outcome(GROUP).await;
    assert!(outcome.text.starts_with('✅') && outcome.text.contains("Asked by Olaf"), "{}", outcome.text);
    let after = web();
    assert_ne!(after, before);
    let confirmed = world.api.wait_until(GROUP, plan.id, PATIENCE, |m| m.text.ends_with("✅ Confirmed by Olaf.")).await.unwrap();
    assert!(confirmed.buttons.is_empty(), "{}", confirmed.text);
    // Once, and no more.
    let late = world.api.press_data(OPERATOR, GROUP, plan.id, plan.buttons[0][0].data.as_deref().unwrap());
    assert_eq!(world.api.callback_answer(&late, PATIENCE).await.unwrap().text, "That was confirmed already.");
    assert_eq!(toast(&world, ADMIN, GROUP, other.id, "Cancel").await, "Cancelled");
    world.api.wait_until(GROUP, other.id, PATIENCE, |m| m.text.ends_with("Cancelled by Ann; nothing was done.")).await.unwrap();
    assert_eq!(web(), after, "once");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_a_newer_request_and_time_end_what_waits() {
    let world = World::start_with(vec![shop()], json!({ "default_project": "shop", "confirm_timeout": "5s" })).await;
    let before = world.fixtures[0].container("web");
    let said = |what: &'static str| move |m: &dockmaster::sandbox::bot_api::Message| m.text.ends_with(what) && m.buttons.is_empty();
    for word in ["no", "Cancel"] {
        let plan = world.ask("/docker_restart").await;
        world.say(word);
        world.api.wait_until(ADMIN, plan.id, PATIENCE, said("Cancelled by Ann; nothing was done.")).await.unwrap();
    }
    let first = world.ask("/docker_restart").await;
    let button = first.buttons[0][0].data.clone().unwrap();
    let second = world.ask("/docker_stop").await;
    world.api.wait_until(ADMIN, first.id, PATIENCE, said("Replaced by a newer request; nothing was done.")).await.unwrap();
    let late = world.api.press_data(ADMIN, ADMIN, first.id, &button);
    assert_eq!(world.api.callback_answer(&late, PATIENCE).await.unwrap().text, "A newer request took its place; nothing was done.");
    let button = second.buttons[0][0].data.clone().unwrap();
    world.api.wait_until(ADMIN, second.id, PATIENCE, said("Not confirmed within 5 s; nothing was done.")).await.unwrap();
    let late = world.api.press_data(ADMIN, ADMIN, second.id, &button);
    assert_eq!(
        world.api.callback_answer(&late, PATIENCE).await.unwrap().text,
        "This confirmation has expired; nothing was done. Run the command again."
    );
    let late = world.ask("yes").await.text;
    assert_eq!(late, "This confirmation has expired; nothing was done. Run the command again.");
    assert_eq!(world.fixtures[0].container("web"), before, "nothing ran in all this");
    assert!(world.ask("/docker_history").await.text.starts_with("Nothing was done with shop yet."));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_ends_with_the_program() {
    let mut world = World::start(shop()).await;
    let before = world.fixtures[0].container("web");
    let plan = world.ask("/docker_restart").await;
    world.idle().await;
    world.stop().await.unwrap();
    world.boot();
    assert_eq!(
        toast(&world, ADMIN, ADMIN, plan.id, "Restart").await,
        "This button no longer works: plans end when I restart. Nothing was done. Run the command again."
    );
    assert!(world.next().await.text.contains("plans end when I restart"), "a press alone is answered too briefly");
    let late = world.ask("yes").await.text;
    assert!(late.contains("Confirmations end when I restart"), "{late}");
    // One that was written while the bot was away too long is not carried out at all.
    world.api.incoming(ADMIN, ADMIN, "/docker_restart").seconds_ago(120).send();
    let stale = world.next().await.text;
    assert!(stale.contains("too old") && stale.contains("/docker_restart"), "{stale}");
    assert_eq!(world.fixtures[0].container("web"), before);
    eventually("it still works", async || world.ask("/docker_status").await.text.contains("1 of 1 up")).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_files_of_a_plan_come_as_a_file_for_the_one_who_was_asked() {
    let fixture = shop();
    for n in 1..=7 {
        fixture.write(&format!("pages/{n}.html"), "new\n");
    }
    fixture.write_production("uploads/photo.jpg", "only production has this\n");
    let world = World::start(fixture).await;
    world.api.say(ADMIN, GROUP, "/docker_deploy");
    let plan = world.next_in(GROUP).await;
    assert!(plan.text.contains("pages/5.html and 2 more"), "{}", plan.text);
    assert_eq!(plan.button_texts(), [vec!["Deploy", "Cancel"], vec!["All files"]]);
    let theirs = toast(&world, OPERATOR, GROUP, plan.id, "All files").await;
    assert_eq!(theirs, "That waits for somebody else; only the person who asked can confirm it.");
    assert_eq!(world.api.unread(GROUP).len(), 0, "they get no file");

    let button = plan.button("All files").and_then(|b| b.data.clone()).unwrap();
    for _ in 0..2 {
        assert_eq!(toast(&world, ADMIN, GROUP, plan.id, "All files").await, "");
        let sent = world.next_in(GROUP).await;
        assert_eq!((sent.reply_to, sent.text.as_str()), (Some(plan.id), "Deploy shop as release 1\nNew: 7\nOnly in production: 1"));
        let document = sent.document.expect("a file");
        assert_eq!(document.name, "shop-plan.txt");
        let pages: String = (1..=7).map(|n| format!("pages/{n}.html\n")).collect();
        assert_eq!(String::from_utf8(document.bytes.to_vec()).unwrap(), format!("New\n{pages}\nOnly in production\nuploads/photo.jpg\n"));
    }
    // It waits as before.
    assert_eq!(toast(&world, ADMIN, GROUP, plan.id, "Cancel").await, "Cancelled");
    let late = world.api.press_data(ADMIN, GROUP, plan.id, &button);
    let late = world.api.callback_answer(&late, PATIENCE).await.unwrap().text;
    assert_eq!(late, "That was cancelled; nothing was done. Ask again.");
    world.idle().await;
    assert_eq!(world.api.unread(GROUP).len(), 0);

    // What is named needs no list.
    for n in 6..=7 {
        std::fs::remove_file(world.fixtures[0].workspace.join(format!("pages/{n}.html"))).unwrap();
    }
    assert_eq!(world.ask("/docker_deploy").await.button_texts(), [["Deploy", "Cancel"]]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn yes_before_another_command_is_taken_first() {
    let world = World::start(shop()).await;
    let before = world.fixtures[0].container("web");
    for round in 0..3 {
        let plan = world.ask("/docker_restart").await;
        // Both come with one answer of Telegram's.
        world.api.set_away(true);
        if round == 2 {
            world.api.press_data(ADMIN, ADMIN, plan.id, plan.buttons[0][0].data.as_deref().unwrap());
        } else {
            world.say("yes");
        }
        world.say(if round == 0 { "/docker_stop" } else { "/docker_restart" });
        world.api.set_away(false);
        let outcome = world.outcome(ADMIN).await.text;
        assert!(outcome.starts_with("✅ Restart of shop done"), "{outcome}");
        world.idle().await;
        world.say("no");
        world.idle().await;
        world.api.take_unread(ADMIN);
    }
    assert_ne!(world.fixtures[0].container("web"), before);
    world.api.forgive();
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_by_another_is_told_to_both() {
    let slow = crate::support::fixture::service("trap '' TERM; touch /tmp/well; while true; do sleep 0.2; done", "stop_grace_period: 3s");
    let fixture = Fixture::up(&[("web", slow.replace("stop_grace_period: 2s, ", ""))]).with(json!({ "restart": { "stop_timeout": "3s" } }));
    let world = World::start(fixture).await;
    world.ask("/docker_restart").await;
    world.say("yes");
    let progress = world.next().await;
    assert_eq!(progress.button_texts(), [["Cancel"]], "{}", progress.text);
    // Somebody else, in another chat.
    world.api.say(OPERATOR, OPERATOR, "/docker_cancel shop");
    let answer = world.next_in(OPERATOR).await.text;
    assert!(answer.contains("Cancelling the restart that Ann asked for"), "{answer}");
    for chat in [ADMIN, OPERATOR] {
        let outcome = world.outcome(chat).await.text;
        assert!(outcome.contains("Restart of shop was cancelled") && outcome.contains("Olaf cancelled it"), "{chat}: {outcome}");
    }
    let progress = world.api.wait_until(ADMIN, progress.id, PATIENCE, |m| m.buttons.is_empty()).await.unwrap();
    assert!(progress.text.starts_with("Restart shop"), "{}", progress.text);
    let history = world.ask("/docker_history").await.text;
    assert!(history.contains("cancelled"), "{history}");
    world.finish().await;
}
