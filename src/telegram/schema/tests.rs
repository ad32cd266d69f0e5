use super::*;
use crate::domain::access::Role;
use crate::telegram::command::configuration_for_tests;
use serde_json::{Value, json};

const NOW: i64 = 1_000_000;

/// What a message of user 7 in a chat comes to.
fn understood(chat: i64, text: &str, change: impl FnOnce(&mut Value)) -> Result<Intent, &'static str> {
    let mut config = configuration_for_tests(&["shop"], None);
    config.users = [(7, Role::Operator)].into();
    config.chats = [-100_500].into();
    let kind = if chat > 0 { "private" } else { "supergroup" };
    let mut value = json!({
        "message_id": 50, "date": NOW, "text": text,
        "chat": { "id": chat, "type": kind, "title": "Ops", "first_name": "Ann" },
        "from": { "id": 7, "is_bot": false, "first_name": "Ann" },
    });
    change(&mut value);
    let message: Message = serde_json::from_value(value).unwrap();
    let clock = ApiClock::new(|| NOW * 1_000 + 60_000);
    let context = Context { config: &config, clock: &clock, me: 42, username: "dock_bot" };
    understand(&message, &context).map(|(_, intent)| intent)
}

fn reply(from: i64, id: i64) -> Value {
    json!({
        "message_id": id, "date": NOW, "text": "x", "chat": { "id": -100_500, "type": "supergroup", "title": "Ops" },
        "from": { "id": from, "is_bot": true, "first_name": "Bot" },
    })
}

#[test]
fn words_count_in_private_and_as_replies_to_us() {
    assert_eq!(understood(7, "  YES ", |_| {}), Ok(Intent::Word { yes: true, reply_to: None }));
    assert_eq!(understood(7, "Cancel", |_| {}), Ok(Intent::Word { yes: false, reply_to: None }));
    assert_eq!(understood(7, "yes please", |_| {}), Ok(Intent::Hint));
    assert_eq!(understood(-100_500, "yes", |_| {}), Err("a word that answers nobody"));
    assert_eq!(understood(-100_500, "yes", |m| m["reply_to_message"] = reply(43, 9)), Err("a word that answers nobody"));
    let answer = understood(-100_500, "yes", |m| m["reply_to_message"] = reply(42, 9));
    assert_eq!(answer, Ok(Intent::Word { yes: true, reply_to: Some(9) }));
    assert_eq!(understood(-100_500, "talk", |_| {}), Err("talk"));
    assert_eq!(understood(-5, "yes", |m| m["reply_to_message"] = reply(42, 9)), Err("talk"), "not listed");
}

#[test]
fn commands_by_who_and_where_and_when() {
    let run = |intent: Result<Intent, &str>| matches!(intent, Ok(Intent::Run(_)));
    assert!(run(understood(7, "/docker_restart", |_| {})), "60 seconds are not too old");
    assert_eq!(understood(7, "/docker_restart", |m| m["date"] = json!(NOW - 1)), Ok(Intent::TooLate("/docker_restart".into())));
    assert_eq!(understood(7, "yes", |m| m["date"] = json!(NOW - 1)), Ok(Intent::TooLate("yes".into())));
    assert!(run(understood(7, "/docker_status", |m| m["date"] = json!(NOW - 9_999))), "reading is never too late");
    let denied = Denied::Role { has: Role::Operator, needs: Role::Admin };
    assert_eq!(understood(7, "/docker_deploy", |_| {}), Ok(Intent::Denied(denied.clone())));
    assert_eq!(understood(7, "/docker_deploy nope", |_| {}), Ok(Intent::Denied(denied)), "not even what is there is told");
    assert_eq!(understood(-5, "/docker_status", |_| {}), Ok(Intent::Denied(Denied::Chat)));
    assert!(run(understood(-5, "/whoami", |_| {})));
    assert_eq!(understood(7, "/help", |m| m["from"]["id"] = json!(8)), Ok(Intent::Denied(Denied::Stranger)));
    assert_eq!(understood(-100_500, "/docker_status@other_bot", |_| {}), Err("a command for another bot"));
    assert_eq!(understood(-100_500, "/unheard_of", |_| {}), Err("a command of another bot"));
    assert_eq!(understood(-100_500, "/unheard_of@dock_bot", |_| {}), Ok(Intent::Unknown("unheard_of".into())));
}

#[test]
fn a_topic_is_kept_and_a_row_of_replies_is_none() {
    let place = |topic: bool| {
        let value = json!({
            "message_id": 50, "date": NOW, "text": "x", "message_thread_id": 3, "is_topic_message": topic,
            "chat": { "id": -100_500, "type": "supergroup", "title": "Ops" }, "from": { "id": 7, "is_bot": false, "first_name": "Ann" },
        });
        let message: Message = serde_json::from_value(value).unwrap();
        let actor = trust::author(&message).unwrap();
        super::place(&message, actor).unwrap().thread
    };
    assert_eq!((place(true), place(false)), (Some(3), None));
}
