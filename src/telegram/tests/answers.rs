//! Who is answered what.

use super::*;
use expect_test::expect;

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_for_everybody_and_the_rest_is_not() {
    let chat = Chat::start().await;
    assert_eq!(chat.ask("/WhoAmI@dockmaster_sandbox_bot").await, "Your id: 111\nThis chat: 111");
    chat.api.say(STRANGER, STRANGER, "/whoami");
    assert_eq!(chat.next_in(STRANGER).await.text, "Your id: 999\nThis chat: 999");
    for text in ["/docker_status", "/help", "hello", "/nonsense", "yes"] {
        chat.api.say(STRANGER, STRANGER, text);
        assert!(chat.next_in(STRANGER).await.text.contains("/whoami"), "{text}");
    }
    chat.api.say(STRANGER, OTHER_GROUP, "/whoami");
    assert_eq!(chat.next_in(OTHER_GROUP).await.text, format!("Your id: 999\nThis chat: {OTHER_GROUP}"));
    chat.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_is_not_listed_is_told_so_once_an_hour() {
    let chat = Chat::start().await;
    chat.api.say(ADMIN, OTHER_GROUP, "/docker_status");
    assert!(chat.next_in(OTHER_GROUP).await.text.contains("not on my list"));
    chat.ignored(ADMIN, OTHER_GROUP, "/docker_status").await;
    chat.ignored(STRANGER, OTHER_GROUP, "/docker_restart").await;
    chat.api.say(STRANGER, GROUP, "/docker_restart");
    assert!(chat.next_in(GROUP).await.text.contains("/whoami"));
    chat.ignored(STRANGER, GROUP, "/docker_restart").await;
    chat.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_are_not_understood_are_answered_with_what_is_allowed() {
    let chat = Chat::start().await;
    let mut said = Vec::new();
    for text in ["/docker_logs 0", "/docker_status shp", "/docker_statsu", "/docker_restart -rf", "good morning", "yes", "no"] {
        said.push(format!("{text}\n{}", chat.ask(text).await));
    }
    expect![[r#"
        /docker_logs 0
        0 lines cannot be shown: ask for 1 to 1000.

        /docker_status shp
        There is no project shp.
        Nearest: shop.

        /docker_statsu
        There is no command /docker_statsu.
        Nearest: /docker_status, /docker_start, /docker_restart. /help lists all.

        /docker_restart -rf
        There is no project -rf.
        There is: edge, shop.

        good morning
        I understand commands only; /help lists them.

        yes
        Nothing is waiting for a yes. Confirmations end when I restart; ask again.

        no
        Nothing is waiting for a yes. Confirmations end when I restart; ask again."#]]
    .assert_eq(&said.join("\n\n"));
    chat.ignored(ADMIN, GROUP, "/docker_statsu").await;
    chat.api.say(ADMIN, GROUP, "/docker_statsu@dockmaster_sandbox_bot");
    assert!(chat.next_in(GROUP).await.text.contains("/docker_status"));
    chat.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_held_in_commands_and_in_presses() {
    let chat = Chat::start().await;
    chat.api.say(VIEWER, VIEWER, "/docker_restart");
    assert!(chat.next_in(VIEWER).await.text.contains("takes the role operator; yours is viewer"));
    chat.api.say(VIEWER, VIEWER, "/help");
    let help = chat.next_in(VIEWER).await;
    assert!(help.text.contains("/docker_logs") && !help.text.contains("/docker_deploy"));
    let pressed = chat.api.press_data(VIEWER, VIEWER, help.id, "d:shop");
    let answer = chat.api.callback_answer(&pressed, SOON).await.unwrap();
    assert!(answer.alert && answer.text.contains("admin"), "{}", answer.text);
    for (data, said) in
        [("c:forged", "no longer works"), ("s:../x", "no longer works"), ("s:gone", "no longer in projects.json"), ("", "no longer")]
    {
        let pressed = chat.api.press_data(VIEWER, VIEWER, help.id, data);
        let answer = chat.api.callback_answer(&pressed, SOON).await.unwrap();
        assert!(answer.alert && answer.text.contains(said), "{data}: {}", answer.text);
    }
    // What somebody meant to confirm is refused in the chat, too: the answer to a press is soon gone.
    assert!(chat.next_in(VIEWER).await.text.contains("no longer works"));
    chat.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_a_person_is_believed() {
    let chat = Chat::start().await;
    let text = "/docker_status nope";
    chat.api.incoming(ADMIN, ADMIN, text).forwarded_from(STRANGER).send();
    chat.api.incoming(ADMIN, GROUP, text).as_anonymous_admin().send();
    chat.api.incoming(ADMIN, GROUP, text).via_bot().send();
    chat.api.incoming(ADMIN, GROUP, text).scheduled().send();
    chat.silence(ADMIN).await;
    chat.silence(GROUP).await;
    // The same, written there and then, is answered.
    chat.api.say(ADMIN, GROUP, text);
    assert!(chat.next_in(GROUP).await.text.contains("There is no project"));
    chat.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_is_refused_in_one_summary() {
    let mut chat = Chat::prepare().await;
    for text in ["/docker_restart", "/docker_deploy shop", "yes"] {
        chat.api.incoming(ADMIN, ADMIN, text).seconds_ago(75).send();
    }
    chat.api.incoming(ADMIN, ADMIN, "/whoami").seconds_ago(75).send();
    chat.boot();
    let mut said = [chat.next().await.text, chat.next().await.text];
    said.sort();
    expect![[r#"
        3 commands were too old (sent more than 1 min ago) and were not carried out: /docker_restart, /docker_deploy, yes.
        Send again what is still wanted.

        Your id: 111
        This chat: 111"#]]
    .assert_eq(&said.join("\n\n"));
    chat.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_menus_say_what_each_chat_may() {
    let chat = Chat::start().await;
    chat.ask("/whoami").await;
    let all =
        |calls: &[crate::sandbox::bot_api::Call]| calls.iter().filter(|c| c.method.eq_ignore_ascii_case("SetMyCommands")).count() == 4 + 25;
    chat.api.wait_for_calls(SOON, all).await.unwrap();
    let names = |user| chat.api.commands_for(user, user).into_iter().map(|c| c.command).collect::<Vec<_>>().join(" ");
    assert_eq!(names(STRANGER), "whoami help start");
    assert_eq!(names(VIEWER), "docker_status docker_logs docker_releases docker_volumes docker_history whoami help start");
    assert!(names(ADMIN).contains("docker_deploy"));
    chat.finish().await;
}
