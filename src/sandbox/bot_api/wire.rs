//! People, chats and messages in Telegram's own form.

use serde_json::{Value, json};

use super::model::{Attachment, Chat, Message, User};
use super::world::World;

/// What a chat takes its `chat_instance` from; the bot may not rely on it.
pub(super) fn chat_instance(chat: i64) -> String {
    (7_000_000_000_000_000_000_i64 ^ chat).to_string()
}

pub(super) fn user(user: &User) -> Value {
    let mut json = json!({ "id": user.id, "is_bot": user.is_bot, "first_name": user.first_name });
    if let Some(name) = &user.username {
        json["username"] = json!(name);
    }
    if !user.is_bot {
        json["language_code"] = json!("en");
    }
    json
}

pub(super) fn chat(chat: &Chat) -> Value {
    let name = if chat.id > 0 { "first_name" } else { "title" };
    json!({ "id": chat.id, "type": chat.kind.name(), name: chat.title })
}

/// A chat as `getChat` gives it.
pub(super) fn full_chat(of: &Chat) -> Value {
    let mut json = chat(of);
    json["accent_color_id"] = json!(0);
    json["max_reaction_count"] = json!(11);
    json["accepted_gift_types"] = json!({
        "unlimited_gifts": false, "limited_gifts": false, "unique_gifts": false, "premium_subscription": false,
    });
    json
}

pub(super) fn keyboard(message: &Message) -> Value {
    let button = |button: &super::model::Button| {
        let mut json = json!({ "text": button.text });
        if let Some(data) = &button.data {
            json["callback_data"] = json!(data);
        }
        if let Some(url) = &button.url {
            json["url"] = json!(url);
        }
        json
    };
    let rows: Vec<Vec<Value>> = message.buttons.iter().map(|row| row.iter().map(button).collect()).collect();
    json!({ "inline_keyboard": rows })
}

fn file(attachment: &Attachment) -> Value {
    let id = &attachment.file_id;
    json!({ "file_id": id, "file_unique_id": format!("unique-{id}"), "file_size": attachment.size })
}

/// A message with the one that it replies to.
pub(super) fn message(world: &World, message: &Message) -> Value {
    let mut json = without_reply(world, message);
    if let Some(replied) = message.reply_to.and_then(|id| world.message(message.chat, id)) {
        json["reply_to_message"] = without_reply(world, replied);
    }
    json
}

fn without_reply(world: &World, message: &Message) -> Value {
    let of_chat = |id: &i64| world.chats.get(id).map(chat);
    let of_user = |id: &i64| world.users.get(id).map(user);
    let origin = &message.origin;
    let mut json = json!({ "message_id": message.id, "date": message.date, "chat": of_chat(&message.chat) });
    let optional = [
        ("from", origin.from.as_ref().and_then(of_user)),
        ("sender_chat", origin.sender_chat.as_ref().and_then(of_chat)),
        ("via_bot", origin.via_bot.as_ref().and_then(of_user)),
        ("forward_origin", origin.forward.clone()),
        ("is_automatic_forward", origin.is_automatic_forward.then_some(json!(true))),
        ("is_from_offline", origin.is_from_offline.then_some(json!(true))),
        ("edit_date", origin.edit_date.map(|date| json!(date))),
        ("reply_markup", (!message.buttons.is_empty()).then(|| keyboard(message))),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            json[key] = value;
        }
    }
    add_content(&mut json, message);
    if let Some(Value::Object(fields)) = &origin.more {
        for (key, value) in fields {
            json[key] = value.clone();
        }
    }
    json
}

fn add_content(json: &mut Value, message: &Message) {
    if let Some(Value::Object(fields)) = &message.origin.service {
        for (key, value) in fields {
            json[key] = value.clone();
        }
        return;
    }
    let (text, entities) = match (&message.document, &message.photo) {
        (Some(document), _) => {
            json["document"] = file(document);
            json["document"]["file_name"] = json!(document.name);
            json["document"]["mime_type"] = json!(document.mime);
            ("caption", "caption_entities")
        }
        (_, Some(photo)) => {
            let mut size = file(photo);
            size["width"] = json!(photo.pixels.0);
            size["height"] = json!(photo.pixels.1);
            json["photo"] = json!([size]);
            ("caption", "caption_entities")
        }
        _ => ("text", "entities"),
    };
    if text == "text" || !message.text.is_empty() {
        json[text] = json!(message.text);
    }
    if !message.entities.is_empty() {
        json[entities] = json!(message.entities);
    }
}
