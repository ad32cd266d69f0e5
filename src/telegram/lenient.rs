//! Updates as Telegram sends them, reduced to what is read of them.
//!
//! teloxide knows the Bot API of its day. Of a message with an entity, a content or an origin that it does not know it hands out no text, of
//! one from a kind of chat that it does not know nothing at all; both come without an error. So the few fields that count are read here,
//! each by itself, and written down as teloxide reads them for certain. What cannot be read is left out; where something speaks against
//! believing a message, it counts however it is written.

use serde_json::{Map, Value, json};

/// How a forwarded message says so: today, and before Bot API 7.0, which a server of one's own may still be.
const FORWARDED: [&str; 7] = [
    "forward_origin",
    "forward_from",
    "forward_from_chat",
    "forward_from_message_id",
    "forward_signature",
    "forward_sender_name",
    "forward_date",
];

/// An update with a message or a press of a button, as teloxide reads it. None for one of another kind, and for one that nobody could
/// answer: its number, chat or message cannot be read.
pub(crate) fn reduced(update: &Value) -> Option<Value> {
    let number = u32::try_from(number(update.get("update_id"))?).ok()?;
    if let Some(message) = present(update, "message") {
        return Some(json!({ "update_id": number, "message": reduced_message(message)? }));
    }
    let press = present(update, "callback_query")?;
    let mut reduced = json!({
        "id": text(press.get("id"))?,
        "from": person(press.get("from"))?,
        "chat_instance": "",
        "message": pressed(press.get("message")?)?,
    });
    if let Some(data) = press.get("data").and_then(Value::as_str) {
        reduced["data"] = data.into();
    }
    Some(json!({ "update_id": number, "callback_query": reduced }))
}

/// The kind of an update by the name of its content, for the log.
pub(crate) fn kind(update: &Value) -> &str {
    let fields = update.as_object().into_iter().flat_map(Map::keys);
    fields.map(String::as_str).find(|field| *field != "update_id").unwrap_or("nothing")
}

/// A number, though it be written as text.
pub(crate) fn number(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// What is there and is not null.
fn present<'a>(of: &'a Value, field: &str) -> Option<&'a Value> {
    of.get(field).filter(|value| !value.is_null())
}

/// Text, or a number that is to be text.
fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Whether something is said to be so. What is neither yes nor no is a yes: each of these speaks against a message.
fn is_set(of: &Value, field: &str) -> bool {
    present(of, field).is_some_and(|value| *value != Value::Bool(false) && value.as_str() != Some("false"))
}

fn reduced_message(message: &Value) -> Option<Value> {
    let chat = chat(message.get("chat")?)?;
    let mut reduced = json!({
        "message_id": message_id(message)?,
        // Without a time it is too old for what changes something.
        "date": number(message.get("date")).filter(|date| (0..=i64::from(u32::MAX)).contains(date)).unwrap_or(0),
        "chat": chat,
    });
    if let Some(from) = person(message.get("from")) {
        reduced["from"] = from;
    }
    if let Some(text) = message.get("text").and_then(Value::as_str) {
        reduced["text"] = text.into();
    }
    add_topic(&mut reduced, message);
    if let Some(answered) = present(message, "reply_to_message").and_then(|answered| answered_message(answered, &reduced["chat"])) {
        reduced["reply_to_message"] = answered;
    }
    // Who they are makes no difference.
    let (someone, bot) = (json!({ "id": 0, "type": "channel", "title": "" }), json!({ "id": 0, "is_bot": true, "first_name": "" }));
    for (field, is_so, said) in [
        ("sender_chat", present(message, "sender_chat").is_some(), someone),
        ("via_bot", present(message, "via_bot").is_some(), bot.clone()),
        ("sender_business_bot", present(message, "sender_business_bot").is_some(), bot),
        ("forward_origin", FORWARDED.iter().any(|field| present(message, field).is_some()), hidden()),
        ("is_automatic_forward", is_set(message, "is_automatic_forward"), true.into()),
        ("edit_date", present(message, "edit_date").is_some(), 1.into()),
        ("is_from_offline", is_set(message, "is_from_offline"), true.into()),
        ("business_connection_id", present(message, "business_connection_id").is_some(), "".into()),
    ] {
        if is_so {
            reduced[field] = said;
        }
    }
    Some(reduced)
}

fn hidden() -> Value {
    json!({ "type": "hidden_user", "date": 0, "sender_user_name": "" })
}

/// The topic of a forum. The number of one that is too great for teloxide is left out: an answer is a reply, and finds its topic by that.
fn add_topic(reduced: &mut Value, message: &Value) {
    if let Some(thread) = number(message.get("message_thread_id")).and_then(|thread| i32::try_from(thread).ok()) {
        reduced["message_thread_id"] = thread.into();
        reduced["is_topic_message"] = is_set(message, "is_topic_message").into();
    }
}

fn message_id(message: &Value) -> Option<i32> {
    number(message.get("message_id")).and_then(|id| i32::try_from(id).ok())
}

/// A message that is answered: whose it is and which.
fn answered_message(message: &Value, chat: &Value) -> Option<Value> {
    let mut reduced = json!({ "message_id": message_id(message)?, "date": 1, "chat": chat, "text": "" });
    if let Some(from) = person(message.get("from")) {
        reduced["from"] = from;
    }
    Some(reduced)
}

/// The message that a button stands below.
fn pressed(message: &Value) -> Option<Value> {
    let mut reduced = json!({ "message_id": message_id(message)?, "chat": chat(message.get("chat")?)?, "date": 1, "text": "" });
    add_topic(&mut reduced, message);
    if present(message, "business_connection_id").is_some() {
        reduced["business_connection_id"] = "".into();
    }
    Some(reduced)
}

/// A chat. One of an unknown kind counts as a group, where less is believed than in a private chat.
fn chat(chat: &Value) -> Option<Value> {
    let kind = chat.get("type").and_then(Value::as_str).unwrap_or_default();
    let kind = if matches!(kind, "private" | "group" | "channel") { kind } else { "supergroup" };
    let id = number(chat.get("id"))?;
    Some(match kind {
        "private" => json!({ "id": id, "type": kind, "first_name": "" }),
        _ => json!({ "id": id, "type": kind, "title": "" }),
    })
}

/// A person or a bot. Without a clear `is_bot` it counts as a bot.
fn person(user: Option<&Value>) -> Option<Value> {
    let user = user?;
    let id = u64::try_from(number(user.get("id"))?).ok()?;
    let is_bot = present(user, "is_bot").is_none_or(|_| is_set(user, "is_bot"));
    let first_name = text(user.get("first_name")).unwrap_or_default();
    let mut reduced = json!({ "id": id, "is_bot": is_bot, "first_name": first_name });
    if let Some(last_name) = text(user.get("last_name")) {
        reduced["last_name"] = last_name.into();
    }
    Some(reduced)
}

#[cfg(test)]
mod tests;
