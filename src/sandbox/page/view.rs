//! What the page is told, as JSON.

use serde_json::{Value, json};

use crate::sandbox::bot_api::{Change, Message, World, effective_commands};

/// Most messages that a page starts with; older ones are not shown.
const MAX_SHOWN: usize = 500;
/// Longest quotation of a message that another one replies to, in characters.
const MAX_QUOTE: usize = 80;

/// Everything that the page shows when it is opened.
pub(super) fn state(world: &mut World, user: i64) -> Value {
    let name = world.user(user).first_name.clone();
    let commands = effective_commands(world, user, user);
    let messages: Vec<Value> = match world.chats.get(&user) {
        Some(chat) => {
            let surplus = chat.messages.len().saturating_sub(MAX_SHOWN);
            chat.messages.values().skip(surplus).map(|message| of_message(world, message)).collect()
        }
        None => Vec::new(),
    };
    json!({
        "seq": world.feed.last(),
        "bot": { "name": world.bot.first_name, "username": world.bot.username },
        "user": { "id": user, "name": name },
        "commands": commands,
        "messages": messages,
    })
}

/// One change; none where there is nothing left to show of it.
pub(super) fn change(world: &World, user: i64, change: &Change) -> Option<Value> {
    Some(match change {
        Change::Message(id) => json!({ "type": "message", "message": of_message(world, world.message(user, *id)?) }),
        Change::Deleted(id) => json!({ "type": "deleted", "id": id }),
        Change::Answered { callback, text, alert } => json!({ "type": "answer", "callback": callback, "text": text, "alert": alert }),
        Change::Action => json!({ "type": "action" }),
        Change::Commands => json!({ "type": "commands", "commands": effective_commands(world, user, user) }),
    })
}

fn of_message(world: &World, message: &Message) -> Value {
    let button = |button: &crate::sandbox::bot_api::Button| json!({ "text": button.text, "data": button.data, "url": button.url });
    let rows: Vec<Vec<Value>> = message.buttons.iter().map(|row| row.iter().map(button).collect()).collect();
    let replied = message.reply_to.and_then(|id| world.message(message.chat, id));
    json!({
        "id": message.id,
        "own": !message.from_bot,
        "sender": message.sender,
        "date": message.date,
        "text": message.text,
        "entities": message.entities,
        "buttons": rows,
        "edited": message.edits > 0,
        "document": message.document.as_ref().map(|file| json!({ "name": file.name, "size": file.size })),
        "photo": message.photo.as_ref().map(|photo| json!({ "width": photo.pixels.0, "height": photo.pixels.1 })),
        "reply_to": replied.map(|replied| json!({ "id": replied.id, "sender": replied.sender, "text": quote(replied) })),
    })
}

fn quote(message: &Message) -> String {
    let first = message.text.lines().next().unwrap_or_default();
    match (&message.document, &message.photo) {
        (Some(document), _) if first.is_empty() => document.name.clone(),
        (_, Some(_)) if first.is_empty() => "Picture".to_owned(),
        _ => first.chars().take(MAX_QUOTE).collect(),
    }
}

/// Percent-encodes all but letters, digits and `-._`, for a header.
pub(super) fn encoded(name: &str) -> String {
    let mut encoded = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => encoded.push(byte.into()),
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}
