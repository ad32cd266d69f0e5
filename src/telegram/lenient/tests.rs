use serde_json::{Value, json};
use teloxide::types::{Update, UpdateKind};

use super::*;
use crate::telegram::listener::read;

fn plain(more: Value) -> Value {
    let mut message = json!({
        "message_id": 5, "date": 1_700_000_000, "text": "/docker_status shop",
        "chat": { "id": -1_005, "type": "supergroup", "title": "Ops", "is_forum": true },
        "from": { "id": 7, "is_bot": false, "first_name": "Ann", "language_code": "en" },
        "message_thread_id": 3, "is_topic_message": true,
        "reply_to_message": {
            "message_id": 4, "date": 1_699_999_999, "chat": { "id": -1_005, "type": "supergroup", "title": "Ops" },
            "from": { "id": 42, "is_bot": true, "first_name": "dockmaster" }, "text": "Restart?"
        }
    });
    message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "update_id": 77, "message": message })
}

/// What counts of a message.
fn counts(update: &Update) -> Value {
    let UpdateKind::Message(message) = &update.kind else { panic!("{update:?}") };
    let answered = message.reply_to_message();
    json!({
        "update": update.id.0, "message": message.id.0, "chat": message.chat.id.0, "private": message.chat.is_private(),
        "date": message.date.timestamp(), "text": message.text(), "from": message.from.as_ref().map(|user| user.id.0),
        "thread": message.thread_id.filter(|_| message.is_topic_message).map(|thread| thread.0.0),
        "answered": answered.map(|m| (m.id.0, m.from.as_ref().map(|user| user.id.0))),
    })
}

#[test]
fn what_teloxide_does_not_know_hides_nothing() {
    let whole = counts(&read(&plain(json!({}))).unwrap());
    let expected = json!({
        "update": 77, "message": 5, "chat": -1_005, "private": false, "date": 1_700_000_000, "text": "/docker_status shop", "from": 7,
        "thread": 3, "answered": [4, 42],
    });
    assert_eq!(whole, expected);
    let unknown = json!({ "type": "of_tomorrow", "date": 1 });
    for more in [
        json!({ "entities": [{ "type": "date_time", "offset": 0, "length": 4, "unix_time": 1 }, { "type": "bot_command", "offset": 0, "length": 14 }] }),
        json!({ "entities": { "not": "a list" } }),
        json!({ "rich_message": { "blocks": [{ "type": "paragraph" }] } }),
        json!({ "external_reply": { "origin": unknown, "chat": 1 }, "quote": { "text": 5 } }),
        json!({ "pinned_message": 5, "checklist": [], "some_new_field": { "deep": [1, null] } }),
        json!({ "message_id": "5", "date": "1700000000", "message_thread_id": "3", "is_topic_message": "true" }),
        json!({ "from": { "id": "7", "is_bot": "false", "first_name": 5, "username": null } }),
        json!({ "edit_date": null, "via_bot": null, "forward_origin": null, "is_automatic_forward": false, "is_from_offline": null }),
    ] {
        let update = plain(more.clone());
        assert_eq!(read(&update).map(|update| counts(&update)), Some(whole.clone()), "{more}");
        let UpdateKind::Message(message) = read(&update).unwrap().kind else { panic!() };
        assert!(crate::telegram::trust::author(&message).is_ok(), "{more}");
    }
    // What is lost with it is only that.
    let mut far = whole.clone();
    far["thread"] = Value::Null;
    let with = |more| counts(&read(&plain(more)).unwrap());
    assert_eq!(with(json!({ "message_thread_id": 5_000_000_000_u64 })), far);
    assert_eq!(with(json!({ "chat": { "id": -1_005, "type": "community" } })), whole, "no private chat, whatever it is");
    let unsaid = with(json!({ "reply_to_message": { "message_id": 0, "from": 5 } }));
    assert_eq!(unsaid["answered"], json!([0, null]));
}

#[test]
fn what_speaks_against_a_message_counts_however_it_is_written() {
    for more in [
        json!({ "forward_origin": { "type": "of_tomorrow" } }),
        json!({ "forward_origin": 5 }),
        json!({ "forward_date": "1" }),
        json!({ "forward_from_chat": {} }),
        json!({ "sender_chat": "x" }),
        json!({ "via_bot": {} }),
        json!({ "sender_business_bot": [] }),
        json!({ "is_automatic_forward": "true" }),
        json!({ "is_from_offline": 1 }),
        json!({ "edit_date": "2" }),
        json!({ "business_connection_id": 5 }),
        json!({ "from": { "id": 7, "first_name": "Ann" } }),
        json!({ "from": { "id": 7, "is_bot": "perhaps", "first_name": "Ann" } }),
        json!({ "from": { "is_bot": false, "first_name": "Ann" } }),
        json!({ "chat": { "id": -1_005, "type": "channel" } }),
    ] {
        let UpdateKind::Message(message) = read(&plain(more.clone())).unwrap_or_else(|| panic!("{more}")).kind else { panic!() };
        assert!(crate::telegram::trust::author(&message).is_err(), "{more}");
    }
}

#[test]
fn presses_are_read_and_other_kinds_are_not() {
    let press = |more: Value| {
        let mut press = json!({
            "id": "4382bfdwdsb323b2d9", "from": { "id": 7, "is_bot": false, "first_name": "Ann" }, "data": "c:nonce", "chat_instance": "1",
            "message": { "message_id": 9, "date": 0, "chat": { "id": 7, "type": "private", "first_name": "Ann" } },
        });
        press.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        read(&json!({ "update_id": 78, "callback_query": press }))
    };
    for more in [
        json!({}),
        json!({ "id": 438, "new": {} }),
        json!({ "message": { "message_id": "9", "chat": { "id": "7", "type": "private" }, "text": 5 } }),
    ] {
        let Some(UpdateKind::CallbackQuery(press)) = press(more.clone()).map(|update| update.kind) else { panic!("{more}") };
        let message = press.message.as_ref().unwrap();
        assert_eq!((press.from.id.0, press.data.as_deref(), message.id().0, message.chat().id.0), (7, Some("c:nonce"), 9, 7), "{more}");
    }
    assert!(press(json!({ "message": null })).is_none() && press(json!({ "from": null })).is_none());
    for update in [
        json!({}),
        json!([]),
        json!({ "update_id": 79 }),
        json!({ "update_id": 79, "some_new_kind": {} }),
        json!({ "update_id": -1, "message": plain(json!({}))["message"] }),
        json!({ "update_id": 79, "message": { "message_id": 5 } }),
    ] {
        assert!(read(&update).is_none(), "{update}");
    }
    assert_eq!((kind(&json!({ "update_id": 79, "some_new_kind": {} })), kind(&json!(5))), ("some_new_kind", "nothing"));
}
