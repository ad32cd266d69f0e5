//! Whom a message can be believed to come from: only a person's numeric id, and only in messages that the person wrote
//! there and then.

use teloxide::types::{CallbackQuery, Message, MessageKind, User};

use crate::domain::access::{Actor, ChatId};
use crate::domain::redact::clean_line;

/// Anonymous group admins, Telegram's own service account, and posts of channels: not persons.
const NOT_PERSONS: [u64; 3] = [1_087_968_824, 777_000, 136_817_688];
/// The longest name that is shown, in characters.
const NAME_MAX: usize = 40;

/// The person who wrote a message.
///
/// # Errors
/// Why the message is not to be believed, for the log.
pub(crate) fn author(message: &Message) -> Result<Actor, &'static str> {
    let user = message.from.as_ref().ok_or("no sender")?;
    if message.sender_chat.is_some() {
        return Err("sent on behalf of a chat");
    }
    if message.via_bot.is_some() || message.sender_business_bot.is_some() {
        return Err("sent through a bot");
    }
    if message.chat.is_channel() {
        return Err("a channel's post");
    }
    let MessageKind::Common(common) = &message.kind else { return Err("a service message") };
    if common.forward_origin.is_some() || common.is_automatic_forward {
        return Err("forwarded");
    }
    if common.edit_date.is_some() {
        return Err("edited");
    }
    if common.is_from_offline {
        return Err("scheduled");
    }
    if common.business_connection_id.is_some() {
        return Err("from a business account");
    }
    person(user, message.chat.id.0)
}

/// The person who pressed a button. A press has no date and cannot be forwarded; what it carries proves nothing.
///
/// # Errors
/// Why it is not to be believed, for the log.
pub(crate) fn presser(press: &CallbackQuery) -> Result<Actor, &'static str> {
    let message = press.message.as_ref().ok_or("no message")?;
    if let Some(MessageKind::Common(common)) = message.regular_message().map(|regular| &regular.kind)
        && common.business_connection_id.is_some()
    {
        return Err("from a business account");
    }
    person(&press.from, message.chat().id.0)
}

fn person(user: &User, chat: ChatId) -> Result<Actor, &'static str> {
    if user.is_bot {
        return Err("a bot");
    }
    if NOT_PERSONS.contains(&user.id.0) {
        return Err("not a person");
    }
    let name: String = clean_line(user.full_name().as_bytes()).chars().take(NAME_MAX).collect();
    Ok(Actor::Telegram { user: user.id.0, name: name.trim().to_owned(), chat })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use teloxide::types::UpdateKind;

    use super::*;
    use crate::telegram::listener::read;

    fn message(change: impl FnOnce(&mut Value)) -> Result<Actor, &'static str> {
        let mut value = json!({
            "message_id": 5, "date": 1, "text": "/help",
            "chat": { "id": -1_005, "type": "supergroup", "title": "Team" },
            "from": { "id": 7, "is_bot": false, "first_name": "Ann\u{202e}", "last_name": "B" },
        });
        change(&mut value);
        let UpdateKind::Message(message) = read(&json!({ "update_id": 1, "message": value })).unwrap().kind else { panic!() };
        author(&message)
    }

    #[test]
    fn a_person_is_believed() {
        assert_eq!(message(|_| {}), Ok(Actor::Telegram { user: 7, name: "Ann\\u{202e} B".into(), chat: -1005 }));
    }

    #[test]
    fn nobody_else_is() {
        let chat = json!({ "id": -9, "type": "channel", "title": "News" });
        let bot = json!({ "id": 9, "is_bot": true, "first_name": "Bot", "username": "b_bot" });
        let origin = json!({ "type": "hidden_user", "date": 1, "sender_user_name": "x" });
        let refused = [
            message(|m| drop(m.as_object_mut().unwrap().remove("from"))),
            message(|m| m["sender_chat"] = chat.clone()),
            message(|m| m["via_bot"] = bot.clone()),
            message(|m| m["chat"] = chat.clone()),
            message(|m| m["forward_origin"] = origin.clone()),
            message(|m| m["is_automatic_forward"] = json!(true)),
            message(|m| m["edit_date"] = json!(2)),
            message(|m| m["is_from_offline"] = json!(true)),
            message(|m| m["from"] = bot.clone()),
            message(|m| m["from"]["id"] = json!(1_087_968_824)),
            message(|m| m["from"]["id"] = json!(777_000)),
            message(|m| m["from"]["id"] = json!(136_817_688)),
        ];
        let why: Vec<&str> = refused.into_iter().map(Result::unwrap_err).collect();
        expect_test::expect!["no sender, sent on behalf of a chat, sent through a bot, a channel's post, forwarded, forwarded, edited, scheduled, a bot, not a person, not a person, not a person"].assert_eq(&why.join(", "));
    }
}
