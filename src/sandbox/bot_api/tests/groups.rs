//! Privacy mode, and messages that only look as if a person had sent them.

use super::*;

/// Whether the bot gets what `send` sends to the group.
async fn reaches(api: &BotApi, send: impl FnOnce(&BotApi)) -> bool {
    let before = api.last_update();
    send(api);
    api.last_update() != before
}

#[tokio::test]
async fn privacy_mode_withholds_what_is_not_for_the_bot() {
    let api = server().await;
    let bots = send(&api, GROUP, "I am here").await;
    let annas = api.say(ANNA, GROUP, "me too");
    let to_self = format!("/help@{} x", api.bot_username().to_uppercase());
    for (text, expected) in [
        ("hello", false),
        ("yes", false),
        ("@dockmaster_sandbox_bot yes", false),
        ("/help", true),
        ("/help@other_bot", false),
        (to_self.as_str(), true),
        ("/", false),
        ("see /help", false),
    ] {
        let reached = reaches(&api, |api| _ = api.say(ANNA, GROUP, text)).await;
        assert_eq!(reached, expected, "{text}");
        assert!(reaches(&api, |api| _ = api.say(ANNA, ANNA, text)).await, "in private: {text}");
    }
    let reply = |to: i32| move |api: &BotApi| _ = api.incoming(ANNA, GROUP, "yes").reply_to(to).send();
    assert!(reaches(&api, reply(bots)).await);
    assert!(!reaches(&api, reply(annas)).await);
    assert!(reaches(&api, |api| _ = api.press_data(BORIS, GROUP, bots, "x")).await);
    let updates = waiting(&api).await;
    let last_message = updates.iter().rev().find_map(|update| update.get("message")).unwrap();
    assert_eq!(last_message["reply_to_message"]["from"]["id"], 42);
    assert_eq!(last_message["chat"], json!({ "id": GROUP, "type": "supergroup", "title": "Team" }));
}

#[tokio::test]
async fn every_kind_of_sender_looks_as_telegram_shows_it() {
    let api = server().await;
    api.add_bot(900, "Helper");
    let text = "/docker_stop";
    let first = api.say(ANNA, ANNA, text);
    api.incoming(ANNA, ANNA, text).seconds_ago(61).send();
    api.incoming(ANNA, ANNA, "/docker_start").edit_of(first).send();
    api.incoming(ANNA, ANNA, text).forwarded_from(BORIS).send();
    api.incoming(ANNA, ANNA, text).via_bot().send();
    api.incoming(ANNA, ANNA, text).scheduled().send();
    api.incoming(ANNA, GROUP, text).as_anonymous_admin().send();
    api.incoming(ANNA, GROUP, text).as_channel(-1_009_000_000_001).send();
    api.incoming(ANNA, GROUP, text).as_automatic_forward(-1_009_000_000_001).send();
    api.incoming(ANNA, GROUP, text).without_sender().send();
    api.incoming(ANNA, -1_009_000_000_001, text).as_channel_post().send();
    api.say(900, GROUP, text);
    let shape = |update: &Value| {
        let (kind, message) = update.as_object().unwrap().iter().find(|(key, _)| *key != "update_id").unwrap();
        let age = START - message["date"].as_i64().unwrap();
        let mut shape = format!("{kind} from {} bot {}", message["from"]["id"], message["from"]["is_bot"]);
        for key in ["sender_chat", "via_bot", "forward_origin", "is_automatic_forward", "is_from_offline", "edit_date"] {
            match message.get(key) {
                Some(Value::Object(fields)) => {
                    let origin = fields.get("id").or(fields.get("type")).unwrap();
                    shape += &format!(" {key} {origin}");
                }
                Some(value) => shape += &format!(" {key} {value}"),
                None => {}
            }
        }
        if age == 0 { shape } else { format!("{shape} age {age}") }
    };
    let shapes: Vec<String> = waiting(&api).await.iter().map(shape).collect();
    expect_test::expect![[r#"
        message from 111 bot false
        message from 111 bot false age 61
        edited_message from 111 bot false edit_date 1700000000
        message from 111 bot false forward_origin "user"
        message from 111 bot false via_bot 8300000001
        message from 111 bot false is_from_offline true
        message from 1087968824 bot true sender_chat -1001234567890
        message from 136817688 bot true sender_chat -1009000000001
        message from 777000 bot false sender_chat -1009000000001 forward_origin "channel" is_automatic_forward true
        message from null bot null
        channel_post from null bot null sender_chat -1009000000001
        message from 900 bot true"#]]
    .assert_eq(&shapes.join("\n"));
    assert_eq!(api.message(ANNA, first).unwrap().text, "/docker_start");
}

#[tokio::test]
async fn a_group_that_became_a_supergroup_says_where_it_went() {
    let api = server().await;
    let (old, new) = (-50, -1_005_000_000_000);
    api.add_group(old, "Old");
    api.migrate_group(old, new);
    let answer = raw(&api, "sendMessage", json!({ "chat_id": old, "text": "x" })).await.unwrap().json();
    assert_eq!(answer["parameters"]["migrate_to_chat_id"], new);
    send(&api, new, "x").await;
    let updates = waiting(&api).await;
    assert_eq!(updates[0]["message"]["migrate_to_chat_id"], new);
    assert_eq!(updates[1]["message"]["migrate_from_chat_id"], old);
    assert_eq!(api.violations(), Vec::<String>::new());
}
