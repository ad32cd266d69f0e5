//! What people (and others) send to the bot, and what of it Telegram lets through.

use std::sync::Arc;

use serde_json::{Value, json};

use super::entities::{Entity, normalise};
use super::feed::Change;
use super::model::{ANONYMOUS_ADMIN, CHANNEL_BOT, Chat, ChatKind, Message, Origin, TELEGRAM, User};
use super::shared::Shared;
use super::wire;
use super::world::{Callback, World};

/// The bot that a message says it came through.
const INLINE_BOT: i64 = 8_300_000_001;

/// A message on its way to the bot. Nothing is sent before [`Incoming::send`].
#[derive(Clone)]
#[must_use = "nothing is sent before `send`"]
pub struct Incoming {
    shared: Arc<Shared>,
    from: Option<i64>,
    chat: i64,
    text: String,
    reply_to: Option<i32>,
    age: i64,
    edit_of: Option<i32>,
    is_channel_post: bool,
    unasked: Option<&'static str>,
    origin: Origin,
}

impl Incoming {
    pub(in crate::sandbox) fn new(shared: &Arc<Shared>, from: i64, chat: i64, text: &str) -> Self {
        Self {
            shared: Arc::clone(shared),
            from: Some(from),
            chat,
            text: text.to_owned(),
            reply_to: None,
            age: 0,
            edit_of: None,
            is_channel_post: false,
            unasked: None,
            origin: Origin::default(),
        }
    }

    /// As a reply to a message of the same chat.
    pub fn reply_to(mut self, message: i32) -> Self {
        self.reply_to = Some(message);
        self
    }

    /// Sent (or, with [`Incoming::edit_of`], edited) this many seconds ago by the server's clock.
    pub fn seconds_ago(mut self, seconds: i64) -> Self {
        self.age = seconds;
        self
    }

    /// As an edit of an earlier message: the bot gets `edited_message`.
    pub fn edit_of(mut self, message: i32) -> Self {
        self.edit_of = Some(message);
        self
    }

    /// Forwarded: somebody else wrote it, an hour ago.
    pub fn forwarded_from(mut self, author: i64) -> Self {
        let (author, date) = self.shared.change(|world| (wire::user(world.user(author)), world.now() - 3_600));
        self.origin.forward = Some(json!({ "type": "user", "date": date, "sender_user": author }));
        self
    }

    /// As a post of the channel that the chat then is: no sender, and the bot gets `channel_post`.
    pub fn as_channel_post(mut self) -> Self {
        self.is_channel_post = true;
        self.origin.sender_chat = Some(self.chat);
        self.without_sender()
    }

    /// By an administrator who posts as the group itself.
    pub fn as_anonymous_admin(mut self) -> Self {
        self.stand_in(ANONYMOUS_ADMIN, "Group", "GroupAnonymousBot", true);
        self.origin.sender_chat = Some(self.chat);
        self
    }

    /// By somebody who posts in a group as a channel of theirs.
    pub fn as_channel(mut self, channel: i64) -> Self {
        self.stand_in(CHANNEL_BOT, "Channel", "Channel_Bot", true);
        self.origin.sender_chat = Some(channel);
        self.shared.change(|world| world.chat_mut(channel).kind = ChatKind::Channel);
        self
    }

    /// A post of a linked channel, which Telegram forwarded to the group by itself.
    pub fn as_automatic_forward(self, channel: i64) -> Self {
        let mut incoming = self.as_channel(channel);
        incoming.stand_in(TELEGRAM, "Telegram", "telegram", false);
        incoming.origin.is_automatic_forward = true;
        let (chat, date) = incoming.shared.change(|world| (wire::chat(world.chat_mut(channel)), world.now()));
        incoming.origin.forward = Some(json!({ "type": "channel", "date": date, "chat": chat, "message_id": 1 }));
        incoming
    }

    /// Through an inline bot.
    pub fn via_bot(mut self) -> Self {
        self.introduce(INLINE_BOT, "Inline", "inline_bot", true);
        self.origin.via_bot = Some(INLINE_BOT);
        self
    }

    /// Sent by Telegram on the person's behalf, at a time that they set before.
    pub fn scheduled(mut self) -> Self {
        self.origin.is_from_offline = true;
        self
    }

    /// Without `from`.
    pub fn without_sender(mut self) -> Self {
        self.from = None;
        self
    }

    /// With these fields in addition, or in place of those that it would have, for what has no method here.
    pub fn with(mut self, fields: &Value) -> Self {
        let mut more = self.origin.more.take().unwrap_or_else(|| json!({}));
        for (key, value) in fields.as_object().into_iter().flatten() {
            more[key] = value.clone();
        }
        self.origin.more = Some(more);
        self
    }

    /// As an update of this kind, also where the bot did not ask for such: Telegram sends those that were in line before.
    pub fn as_update(mut self, kind: &'static str) -> Self {
        self.unasked = Some(kind);
        self
    }

    fn introduce(&self, id: i64, first_name: &str, username: &str, is_bot: bool) {
        let user = User { id, first_name: first_name.to_owned(), username: Some(username.to_owned()), is_bot };
        self.shared.change(|world| world.users.insert(id, user));
    }

    fn stand_in(&mut self, id: i64, first_name: &str, username: &str, is_bot: bool) {
        self.introduce(id, first_name, username, is_bot);
        self.from = Some(id);
    }

    /// Sends it and gives its message id. Whether the bot gets it is for privacy mode to say.
    pub fn send(self) -> i32 {
        let shared = Arc::clone(&self.shared);
        shared.change(|world| self.deliver(world))
    }

    fn deliver(self, world: &mut World) -> i32 {
        if let Some(from) = self.from {
            world.user(from);
        }
        let message = self.message(world);
        let (id, chat) = (message.id, message.chat);
        let is_delivered = is_delivered(world, &message);
        let kind = match (self.edit_of.is_some(), self.is_channel_post) {
            (false, false) => "message",
            (true, false) => "edited_message",
            (false, true) => "channel_post",
            (true, true) => "edited_channel_post",
        };
        if self.edit_of.is_some() {
            world.chat_mut(chat).messages.insert(id, message.clone());
            world.show(chat, Change::Message(id));
        } else {
            world.insert(message.clone());
        }
        if is_delivered {
            let update = wire::message(world, &message);
            match self.unasked {
                Some(kind) => queue_unasked(world, kind, update),
                None => queue(world, kind, update),
            }
        }
        id
    }

    fn message(&self, world: &mut World) -> Message {
        let date = world.now() - self.age;
        let sender = match (self.origin.sender_chat, self.from) {
            (Some(chat), _) => world.chat_mut(chat).title.clone(),
            (None, Some(from)) => world.user(from).first_name.clone(),
            (None, None) => String::new(),
        };
        let chat = world.chat_mut(self.chat);
        if self.is_channel_post {
            chat.kind = ChatKind::Channel;
        }
        let (text, entities) = normalise(&self.text, command_entity(&self.text));
        let edited = self.edit_of.and_then(|id| chat.messages.get(&id).cloned());
        if let Some(mut edited) = edited {
            edited.text.clone_from(&text);
            edited.html = text;
            edited.entities = entities;
            edited.edits += 1;
            edited.origin = Origin { from: self.from, edit_date: Some(date), ..self.origin.clone() };
            return edited;
        }
        Message {
            id: chat.next_id(),
            chat: self.chat,
            from_bot: false,
            sender,
            date,
            html: text.clone(),
            text,
            entities,
            buttons: Vec::new(),
            document: None,
            photo: None,
            reply_to: self.reply_to,
            edits: 0,
            silent: false,
            origin: Origin { from: self.from, ..self.origin.clone() },
        }
    }
}

/// The command at the start of a text as Telegram marks it.
fn command_entity(text: &str) -> Vec<Entity> {
    let start = text.len() - text.trim_start().len();
    let length = command(text.trim_start()).map_or(0, |(name, bot)| 1 + name.len() + bot.map_or(0, |bot| 1 + bot.len()));
    if length == 0 { Vec::new() } else { vec![Entity::new("bot_command", start, length)] }
}

/// The name of the command that a text starts with, and the bot that it is for.
fn command(text: &str) -> Option<(&str, Option<&str>)> {
    let rest = text.strip_prefix('/')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
    let (name, tail) = rest.split_at_checked(end)?;
    let bot = tail.strip_prefix('@').map(|tail| tail.find(|c| !is_name(c)).map_or(tail, |end| &tail[..end]));
    (!name.is_empty()).then_some((name, bot.filter(|bot| !bot.is_empty())))
}

/// Whether Telegram gives a message to the bot: in groups its privacy mode withholds what is not meant for it.
fn is_delivered(world: &World, message: &Message) -> bool {
    let kind = world.chats.get(&message.chat).map(|chat| chat.kind);
    if !matches!(kind, Some(ChatKind::Group | ChatKind::Supergroup)) {
        return true;
    }
    let replied = message.reply_to.and_then(|id| world.message(message.chat, id));
    if replied.is_some_and(|replied| replied.from_bot) {
        return true;
    }
    let own_name = world.bot.username.as_deref().unwrap_or_default();
    command(&message.text).is_some_and(|(_, bot)| bot.is_none_or(|bot| bot.eq_ignore_ascii_case(own_name)))
}

pub(super) fn queue(world: &mut World, kind: &str, content: Value) {
    let is_full = world.updates.push(kind, content);
    dropped(world, is_full);
}

/// As [`queue`], also where the bot did not ask for this kind.
pub(super) fn queue_unasked(world: &mut World, kind: &str, content: Value) {
    let is_full = world.updates.push_unasked(kind, content);
    dropped(world, is_full);
}

fn dropped(world: &mut World, is_full: bool) {
    if is_full {
        world.violation("the queue of updates was full, so the oldest was dropped".to_owned());
    }
}

/// Presses a button, or forges a press: the bot gets whatever data is given here.
pub(in crate::sandbox) fn press(world: &mut World, user: i64, chat: i64, message: i32, data: &str) -> String {
    press_with(world, user, chat, message, data, |_| {})
}

/// The same, with something changed in what the bot gets.
pub(super) fn press_with(world: &mut World, user: i64, chat: i64, message: i32, data: &str, change: impl FnOnce(&mut Value)) -> String {
    let from = wire::user(world.user(user));
    let chat_json = wire::chat(world.chat_mut(chat));
    let id = world.new_callback(Callback { chat, message, answer: None });
    // A message that is gone comes without content and with the date 0.
    let gone = json!({ "message_id": message, "chat": chat_json, "date": 0 });
    let message = world.message(chat, message).map_or(gone, |message| wire::message(world, message));
    let mut query = json!({
        "id": id, "from": from, "message": message, "chat_instance": wire::chat_instance(chat), "data": data,
    });
    change(&mut query);
    queue(world, "callback_query", query);
    world.last_activity = tokio::time::Instant::now();
    id
}

/// Turns a group into a supergroup: the old one refuses with the new id, and both say so in a service message.
pub(super) fn migrate(world: &mut World, from: i64, to: i64) {
    let title = world.chat_mut(from).title.clone();
    world.chats.insert(to, Chat::group(to, &title));
    for (chat, fields) in [(from, json!({ "migrate_to_chat_id": to })), (to, json!({ "migrate_from_chat_id": from }))] {
        let date = world.now();
        let message = Message {
            id: world.chat_mut(chat).next_id(),
            chat,
            from_bot: false,
            sender: title.clone(),
            date,
            text: String::new(),
            html: String::new(),
            entities: Vec::new(),
            buttons: Vec::new(),
            document: None,
            photo: None,
            reply_to: None,
            edits: 0,
            silent: false,
            origin: Origin { sender_chat: Some(chat), service: Some(fields), ..Origin::default() },
        };
        world.insert(message.clone());
        let update = wire::message(world, &message);
        queue(world, "message", update);
    }
    world.chat_mut(from).migrated_to = Some(to);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_text() {
        for (text, expected) in [
            ("/help", Some(("help", None))),
            ("/help me", Some(("help", None))),
            ("/help@some_bot me", Some(("help", Some("some_bot")))),
            ("/help@ me", Some(("help", None))),
            ("/", None),
            ("/-", None),
            ("help", None),
            (" /help", None),
        ] {
            assert_eq!(command(text), expected, "{text}");
        }
        assert_eq!(command_entity(" /help@b x"), [Entity::new("bot_command", 1, 7)]);
    }
}
