//! People, chats and messages, as a test reads them.

use std::collections::{BTreeMap, VecDeque};

use axum::body::Bytes;
use serde_json::Value;
use tokio::time::Instant;

use super::entities::Entity;

/// Most messages kept of one chat; the oldest go first.
pub const MAX_MESSAGES: usize = 10_000;

/// Telegram's account that stands for an administrator who posts as the group.
pub(super) const ANONYMOUS_ADMIN: i64 = 1_087_968_824;
/// Telegram's account that stands for a channel that posts in a group.
pub(super) const CHANNEL_BOT: i64 = 136_817_688;
/// Telegram's own account, the sender of posts that were forwarded automatically from a linked channel.
pub(super) const TELEGRAM: i64 = 777_000;

/// An inline button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Button {
    /// What it says.
    pub text: String,
    /// What the bot receives when it is pressed.
    pub data: Option<String>,
    /// What it opens; such a button cannot be pressed here.
    pub url: Option<String>,
}

/// A file or a picture of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Telegram's `file_id`.
    pub file_id: String,
    /// File name; empty where the bot gave none.
    pub name: String,
    /// Media type, guessed from the name; of a picture read from its bytes.
    pub mime: &'static str,
    /// What it holds. Empty once it was dropped because all files together grew too large.
    pub bytes: Bytes,
    /// Size in bytes.
    pub size: usize,
    /// Width and height in pixels; (0, 0) for a file.
    pub pixels: (u32, u32),
}

/// A message in its current state.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Counts from 1 in every chat.
    pub id: i32,
    /// The chat that it is in.
    pub chat: i64,
    /// Written by the bot under test.
    pub from_bot: bool,
    /// First name of the sender, or the title of the chat that stands for one.
    pub sender: String,
    /// When it was sent, unix seconds of the server's clock.
    pub date: i64,
    /// The text, or the caption of a file or picture, after formatting was taken out.
    pub text: String,
    /// The same as it was sent: HTML where that was the parse mode.
    pub html: String,
    /// Formatting of `text`.
    pub entities: Vec<Entity>,
    /// The inline keyboard, row by row.
    pub buttons: Vec<Vec<Button>>,
    /// A file; its caption is `text`.
    pub document: Option<Attachment>,
    /// A picture; its caption is `text`.
    pub photo: Option<Attachment>,
    /// The message that it replies to.
    pub reply_to: Option<i32>,
    /// How often it was edited, changes of the keyboard included.
    pub edits: u32,
    /// Sent without a notification.
    pub silent: bool,
    /// What only Telegram's own form of the message needs.
    pub(in crate::sandbox) origin: Origin,
}

impl Message {
    /// Texts of the buttons, row by row.
    #[must_use]
    pub fn button_texts(&self) -> Vec<Vec<&str>> {
        self.buttons.iter().map(|row| row.iter().map(|button| button.text.as_str()).collect()).collect()
    }

    /// The button that says exactly this.
    #[must_use]
    pub fn button(&self, text: &str) -> Option<&Button> {
        self.buttons.iter().flatten().find(|button| button.text == text)
    }

    /// The button that carries this data.
    pub(in crate::sandbox) fn button_with(&self, data: &str) -> Option<&Button> {
        self.buttons.iter().flatten().find(|button| button.data.as_deref() == Some(data))
    }
}

/// Where a message comes from, for Telegram's form of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::sandbox) struct Origin {
    pub(super) from: Option<i64>,
    pub(super) sender_chat: Option<i64>,
    pub(super) via_bot: Option<i64>,
    pub(super) forward: Option<Value>,
    pub(super) is_automatic_forward: bool,
    pub(super) is_from_offline: bool,
    pub(super) edit_date: Option<i64>,
    /// Fields of a service message, which has neither text nor file.
    pub(super) service: Option<Value>,
    /// Fields that Telegram's form has in addition, or in place of its own.
    pub(super) more: Option<Value>,
}

/// A person or a bot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct User {
    pub(in crate::sandbox) id: i64,
    pub(in crate::sandbox) first_name: String,
    pub(in crate::sandbox) username: Option<String>,
    pub(in crate::sandbox) is_bot: bool,
}

/// The kinds of chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChatKind {
    Private,
    Group,
    Supergroup,
    Channel,
}

impl ChatKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Group => "group",
            Self::Supergroup => "supergroup",
            Self::Channel => "channel",
        }
    }
}

/// A chat and what was said in it.
#[derive(Debug)]
pub(in crate::sandbox) struct Chat {
    pub(super) id: i64,
    pub(super) kind: ChatKind,
    /// Title, or the person's first name.
    pub(super) title: String,
    pub(super) migrated_to: Option<i64>,
    pub(in crate::sandbox) messages: BTreeMap<i32, Message>,
    /// The bot's messages that nobody has read.
    pub(super) unread: VecDeque<i32>,
    /// When the bot last sent or edited something here, for pacing.
    pub(super) recent: VecDeque<Instant>,
    last_id: i32,
}

impl Chat {
    pub(super) fn new(id: i64, kind: ChatKind, title: &str) -> Self {
        Self {
            id,
            kind,
            title: title.to_owned(),
            migrated_to: None,
            messages: BTreeMap::new(),
            unread: VecDeque::new(),
            recent: VecDeque::new(),
            last_id: 0,
        }
    }

    /// Gives out the next message id.
    pub(super) fn next_id(&mut self) -> i32 {
        self.last_id = self.last_id.saturating_add(1);
        self.last_id
    }

    /// Whether a message of this id is or was here.
    pub(super) fn has_given(&self, id: i32) -> bool {
        (1..=self.last_id).contains(&id)
    }

    pub(super) fn insert(&mut self, message: Message) {
        if message.from_bot {
            self.unread.push_back(message.id);
        }
        self.messages.insert(message.id, message);
        while self.messages.len() > MAX_MESSAGES {
            let gone = self.messages.pop_first();
            self.unread.retain(|id| Some(*id) != gone.as_ref().map(|(id, _)| *id));
        }
    }

    pub(super) fn remove(&mut self, id: i32) -> Option<Message> {
        self.unread.retain(|unread| *unread != id);
        self.messages.remove(&id)
    }
}
