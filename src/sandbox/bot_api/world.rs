//! Everything that the server knows, behind one lock, and the bounds of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use tokio::time::Instant;

use super::commands::Command;
use super::error::ApiError;
use super::faults::Faults;
use super::feed::{Change, Feed};
use super::model::{Attachment, Chat, ChatKind, Message, User};
use super::updates::Updates;

/// Most calls kept in the log; the oldest go first.
pub const MAX_CALLS: usize = 100_000;
/// Most violations kept; later ones are only counted.
pub const MAX_VIOLATIONS: usize = 1_000;
/// Most presses of buttons kept; the oldest go first.
pub const MAX_CALLBACKS: usize = 10_000;
/// Most bytes of files and pictures kept; the content of the oldest goes first.
pub const MAX_FILE_BYTES: usize = 256 * 1024 * 1024;
/// Width of the window in which paced calls are counted: a second, less what a punctual bot may jitter.
const PACING_WINDOW: Duration = Duration::from_millis(950);

/// The server's source of time: unix seconds.
pub(super) type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// One call of the bot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The method as it was written.
    pub method: String,
    /// The chat that it was for.
    pub chat: Option<i64>,
    /// When it arrived, on the runtime's clock.
    pub at: Instant,
    /// What it was refused with: code and description, or the name of the fault that hit it.
    pub error: Option<String>,
}

/// How the bot answered a press.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallbackAnswer {
    /// What was shown; empty where the press was only acknowledged.
    pub text: String,
    /// Shown as a dialog that must be closed.
    pub alert: bool,
}

/// A press of a button.
#[derive(Debug)]
pub(super) struct Callback {
    pub(super) chat: i64,
    pub(super) message: i32,
    pub(super) answer: Option<CallbackAnswer>,
}

/// The state of the server.
pub(in crate::sandbox) struct World {
    pub(in crate::sandbox) bot: User,
    pub(super) users: BTreeMap<i64, User>,
    pub(in crate::sandbox) chats: BTreeMap<i64, Chat>,
    pub(super) updates: Updates,
    /// By number, so that the oldest is first; the id is [`World::callback_id`] of it.
    pub(super) callbacks: BTreeMap<u64, Callback>,
    pub(super) commands: BTreeMap<String, Vec<Command>>,
    pub(super) calls: VecDeque<Call>,
    pub(super) faults: Faults,
    pub(in crate::sandbox) feed: Feed,
    /// Every connection of the bot is cut.
    pub(super) is_away: bool,
    /// Seconds that the server's clock is ahead.
    pub(super) clock_offset: i64,
    /// Messages and edits a second and chat that are let through.
    pub(super) pacing: Option<u32>,
    /// When the bot or a person last did something that a chat shows.
    pub(super) last_activity: Instant,
    violations: Vec<String>,
    violations_dropped: usize,
    last_callback: u64,
    last_file: u64,
    files: VecDeque<(i64, i32, usize)>,
    file_bytes: usize,
    clock: Clock,
}

impl World {
    pub(super) fn new(bot: User, clock: Clock) -> Self {
        Self {
            users: BTreeMap::from([(bot.id, bot.clone())]),
            bot,
            chats: BTreeMap::new(),
            updates: Updates::default(),
            callbacks: BTreeMap::new(),
            commands: BTreeMap::new(),
            calls: VecDeque::new(),
            faults: Faults::default(),
            feed: Feed::default(),
            is_away: false,
            clock_offset: 0,
            pacing: None,
            last_activity: Instant::now(),
            violations: Vec::new(),
            violations_dropped: 0,
            last_callback: 0,
            last_file: 0,
            files: VecDeque::new(),
            file_bytes: 0,
            clock,
        }
    }

    /// Now, in unix seconds of the server's clock.
    pub(in crate::sandbox) fn now(&self) -> i64 {
        (self.clock)().saturating_add(self.clock_offset)
    }

    pub(super) fn violation(&mut self, what: String) {
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(what);
        } else {
            self.violations_dropped += 1;
        }
    }

    pub(super) fn violations(&self) -> Vec<String> {
        let mut violations = self.violations.clone();
        if self.violations_dropped > 0 {
            violations.push(format!("and {} more", self.violations_dropped));
        }
        violations
    }

    pub(super) fn forgive(&mut self) -> Vec<String> {
        let violations = self.violations();
        self.violations.clear();
        self.violations_dropped = 0;
        violations
    }

    /// Logs a call and what came of it.
    pub(super) fn record(&mut self, method: &str, chat: Option<i64>, error: Option<String>) {
        if self.calls.len() >= MAX_CALLS {
            self.calls.pop_front();
        }
        self.calls.push_back(Call { method: method.to_owned(), chat, at: Instant::now(), error });
    }

    /// The account, made up where nobody introduced it.
    pub(in crate::sandbox) fn user(&mut self, id: i64) -> &User {
        self.users.entry(id).or_insert_with(|| User { id, first_name: format!("User {id}"), username: None, is_bot: false })
    }

    /// The chat, made up where nobody introduced it: a private one for a positive id, a group for a negative one.
    pub(super) fn chat_mut(&mut self, id: i64) -> &mut Chat {
        let name = if id > 0 { self.user(id).first_name.clone() } else { format!("Group {id}") };
        self.chats.entry(id).or_insert_with(|| Chat::new(id, kind_of(id), &name))
    }

    pub(in crate::sandbox) fn message(&self, chat: i64, id: i32) -> Option<&Message> {
        self.chats.get(&chat)?.messages.get(&id)
    }

    /// Puts a message into its chat, tells the pages and keeps the bound on files.
    pub(super) fn insert(&mut self, message: Message) {
        let (chat, id) = (message.chat, message.id);
        let size = message.document.as_ref().or(message.photo.as_ref()).map_or(0, |file| file.bytes.len());
        self.chat_mut(chat).insert(message);
        self.show(chat, Change::Message(id));
        if size == 0 {
            return;
        }
        self.files.push_back((chat, id, size));
        self.file_bytes += size;
        while self.file_bytes > MAX_FILE_BYTES {
            let Some((chat, id, size)) = self.files.pop_front() else {
                break;
            };
            self.file_bytes -= size;
            let message = self.chats.get_mut(&chat).and_then(|chat| chat.messages.get_mut(&id));
            if let Some(file) = message.and_then(|message| message.document.as_mut().or(message.photo.as_mut())) {
                file.bytes = Bytes::new();
            }
        }
    }

    /// Tells the pages, and whoever waits for quiet, that a chat changed.
    pub(super) fn show(&mut self, chat: i64, change: Change) {
        self.last_activity = Instant::now();
        self.feed.push(chat, change);
    }

    /// A `file_id` that was not used before.
    pub(super) fn new_file_id(&mut self) -> String {
        self.last_file += 1;
        format!("sandbox-file-{}", self.last_file)
    }

    /// A file that was sent before, by its id.
    pub(super) fn file(&self, file_id: &str) -> Option<&Attachment> {
        let messages = self.chats.values().flat_map(|chat| chat.messages.values());
        let mut files = messages.filter_map(|message| message.document.as_ref().or(message.photo.as_ref()));
        files.find(|file| file.file_id == file_id)
    }

    pub(super) fn callback_id(number: u64) -> String {
        // Numbers of Telegram's own look, so that nobody takes them for message ids.
        (4_000_000_000_000_000_000 + number).to_string()
    }

    pub(super) fn new_callback(&mut self, callback: Callback) -> String {
        self.last_callback += 1;
        self.callbacks.insert(self.last_callback, callback);
        if self.callbacks.len() > MAX_CALLBACKS {
            self.callbacks.pop_first();
        }
        Self::callback_id(self.last_callback)
    }

    pub(super) fn callback_mut(&mut self, id: &str) -> Option<&mut Callback> {
        let number = id.parse::<u64>().ok()?.checked_sub(4_000_000_000_000_000_000)?;
        self.callbacks.get_mut(&number)
    }

    /// Counts one message or edit towards the pace of a chat.
    ///
    /// # Errors
    /// 429 where pacing is on and the chat had its share.
    pub(super) fn pace(&mut self, chat: i64, now: Instant) -> Result<(), ApiError> {
        let Some(limit) = self.pacing else {
            return Ok(());
        };
        let Some(chat) = self.chats.get_mut(&chat) else {
            return Ok(());
        };
        while chat.recent.front().is_some_and(|at| now.duration_since(*at) >= PACING_WINDOW) {
            chat.recent.pop_front();
        }
        if chat.recent.len() >= limit as usize {
            return Err(ApiError::too_many_requests(1));
        }
        chat.recent.push_back(now);
        Ok(())
    }
}

fn kind_of(id: i64) -> ChatKind {
    if id > 0 {
        ChatKind::Private
    } else if id < -1_000_000_000_000 {
        // Ids of supergroups and channels are -100 followed by ten digits.
        ChatKind::Supergroup
    } else {
        ChatKind::Group
    }
}

impl Chat {
    /// A group by its id: a supergroup where the id is one of those.
    pub(super) fn group(id: i64, title: &str) -> Self {
        Self::new(id, kind_of(id), title)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> World {
        let bot = User { id: 1, first_name: String::new(), username: None, is_bot: true };
        World::new(bot, Arc::new(|| 0))
    }

    #[test]
    fn pacing_counts_a_second() {
        let mut world = world();
        world.chat_mut(5);
        world.pacing = Some(2);
        let start = Instant::now();
        let at = |milliseconds: u64| start + Duration::from_millis(milliseconds);
        for (milliseconds, is_let_through) in [(0, true), (400, true), (949, false), (950, true), (1_349, false), (1_350, true)] {
            assert_eq!(world.pace(5, at(milliseconds)).is_ok(), is_let_through, "at {milliseconds} ms");
        }
        assert!(world.pace(6, at(1_350)).is_ok(), "a chat that is not there is refused elsewhere");
    }

    #[test]
    fn logs_are_bounded() {
        let mut world = world();
        for n in 0..MAX_CALLS + 2 {
            world.record(&n.to_string(), None, None);
        }
        assert_eq!((world.calls.len(), world.calls[0].method.as_str()), (MAX_CALLS, "2"));
        for n in 0..MAX_VIOLATIONS + 2 {
            world.violation(n.to_string());
        }
        assert_eq!(world.violations().last().map(String::as_str), Some("and 2 more"));
        assert_eq!((world.forgive().len(), world.forgive().len()), (MAX_VIOLATIONS + 1, 0));
    }

    #[test]
    fn the_content_of_the_oldest_files_goes() {
        let mut world = world();
        let bytes = Bytes::from(vec![0; MAX_FILE_BYTES / 2]);
        for id in 1..=3 {
            let mut message = super::super::tests::message(id, true, "");
            let size = bytes.len();
            message.document =
                Some(Attachment { file_id: String::new(), name: String::new(), mime: "", bytes: bytes.clone(), size, pixels: (0, 0) });
            world.insert(message);
        }
        let sizes = world.chats[&5].messages.values().map(|message| message.document.as_ref().map(|file| (file.bytes.len(), file.size)));
        let half = bytes.len();
        assert_eq!(sizes.collect::<Vec<_>>(), [Some((0, half)), Some((half, half)), Some((half, half))]);
    }
}
