//! An embedded Telegram Bot API server: strict, on loopback, and scripted by whoever holds its handle.
//!
//! What Telegram refuses is refused here with Telegram's words, and where only a bug of the bot can cause it, it is
//! kept as a violation: a test that ends with [`BotApi::leftovers`] sees them all. In groups privacy mode is on.
//!
//! The bot's messages stay unread until a test takes them with [`BotApi::next_message`]. Waiting is always for a change
//! of the world, never for time to pass.

mod commands;
mod content;
mod entities;
mod error;
mod faults;
mod feed;
mod html;
mod http;
mod incoming;
mod listener;
mod markup;
mod methods;
mod model;
mod params;
mod reading;
mod shared;
mod updates;
mod wire;
mod world;

#[cfg(test)]
pub(in crate::sandbox) mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use commands::Command;
pub use content::{MAX_CAPTION, MAX_DOCUMENT, MAX_PHOTO, MAX_TEXT};
pub use entities::{Entity, MAX_ENTITIES};
pub use faults::{Fault, Target};
pub use feed::MAX_CHANGES;
pub use incoming::Incoming;
pub use model::{Attachment, Button, MAX_MESSAGES, Message};
pub use params::MAX_BODY;
pub use reading::Missing;
pub use updates::MAX_UPDATES;
pub use world::{Call, CallbackAnswer, MAX_CALLBACKS, MAX_CALLS, MAX_FILE_BYTES, MAX_VIOLATIONS};

pub(in crate::sandbox) use commands::effective as effective_commands;
pub(in crate::sandbox) use entities::utf16_length;
pub(in crate::sandbox) use feed::Change;
pub(in crate::sandbox) use incoming::press;
pub(in crate::sandbox) use shared::{Shared, lock};
pub(in crate::sandbox) use world::World;

use listener::CuttableListener;
use model::{Chat, ChatKind, User};

/// The bot's user name; commands for another one are withheld in groups.
const BOT_USERNAME: &str = "dockmaster_sandbox_bot";
/// The bot's first name, as chats show it.
const BOT_NAME: &str = "dockmaster";
/// The bot's id where the token does not start with one.
const BOT_ID: i64 = 8_000_000_001;

/// The handle of a running server. Clones are the same server; it ends when the last of them is dropped.
#[derive(Clone)]
pub struct BotApi {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    _guard: Arc<DropGuard>,
}

impl fmt::Debug for BotApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the token: it may be a real one by mistake.
        f.debug_struct("BotApi").field("address", &self.shared.address).finish_non_exhaustive()
    }
}

impl BotApi {
    /// Starts a server for the bot with this token. `clock` gives unix seconds.
    ///
    /// # Errors
    /// Where the listener has no address, or one that other machines reach.
    pub fn start(listener: TcpListener, token: &str, clock: impl Fn() -> i64 + Send + Sync + 'static) -> io::Result<Self> {
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            let reason = format!("the embedded Bot API server listens on loopback only, not on {address}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        let id = token.split_once(':').and_then(|(id, _)| id.parse().ok()).unwrap_or(BOT_ID);
        let bot = User { id, first_name: BOT_NAME.to_owned(), username: Some(BOT_USERNAME.to_owned()), is_bot: true };
        let shared = Arc::new(Shared::new(World::new(bot, Arc::new(clock)), token, address));
        let tasks = TaskTracker::new();
        tasks.spawn(http::serve(CuttableListener(listener), Arc::clone(&shared)));
        tasks.close();
        let guard = Arc::new(CancellationToken::drop_guard(shared.closing.clone()));
        Ok(Self { shared, tasks, _guard: guard })
    }

    /// Takes the token back, as @BotFather does, and gives another one for the same bot.
    pub fn renew_token(&self, token: &str) {
        self.shared.renew(token);
    }

    /// Adds another bot, which can do nothing but say who it is.
    pub fn add_other_bot(&self, token: &str) {
        self.shared.add_other(token);
    }

    /// Ends the server: connections are closed, then this returns.
    pub async fn shutdown(&self) {
        self.shared.closing.cancel();
        self.tasks.wait().await;
    }

    /// What `TELOXIDE_API_URL` is set to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.shared.address)
    }

    /// Address of a page that shows a person's private chat with the bot. It carries a secret and stays the same.
    ///
    /// # Errors
    /// Where the system has no random numbers to give.
    pub fn page_url(&self, user: i64) -> io::Result<String> {
        super::page::open(&self.shared, user)
    }

    /// The bot's user name, without `@`.
    #[must_use]
    pub fn bot_username(&self) -> &'static str {
        BOT_USERNAME
    }

    /// Introduces a person, with their private chat. Ids that nobody introduced get a name of their own when they act.
    pub fn add_user(&self, id: i64, first_name: &str) {
        self.add_account(id, first_name, false);
        self.shared.change(|world| world.chat_mut(id).title = first_name.to_owned());
    }

    /// Introduces another bot. Its messages reach the bot under test, which Telegram mostly prevents.
    pub fn add_bot(&self, id: i64, first_name: &str) {
        self.add_account(id, first_name, true);
    }

    fn add_account(&self, id: i64, first_name: &str, is_bot: bool) {
        let username = is_bot.then(|| format!("{}_bot", first_name.to_ascii_lowercase()));
        let user = User { id, first_name: first_name.to_owned(), username, is_bot };
        self.shared.change(|world| world.users.insert(id, user));
    }

    /// Introduces a group by its negative id: a supergroup where that is -100 and ten digits.
    pub fn add_group(&self, id: i64, title: &str) {
        self.add_chat(Chat::group(id, title));
    }

    /// Introduces a channel by its negative id.
    pub fn add_channel(&self, id: i64, title: &str) {
        self.add_chat(Chat::new(id, ChatKind::Channel, title));
    }

    fn add_chat(&self, chat: Chat) {
        self.shared.change(|world| match world.chats.get_mut(&chat.id) {
            // What was said stays.
            Some(known) => (known.kind, known.title) = (chat.kind, chat.title),
            None => _ = world.chats.insert(chat.id, chat),
        });
    }

    /// Turns a group into a supergroup. The old id is refused from now on with `migrate_to_chat_id`.
    pub fn migrate_group(&self, from: i64, to: i64) {
        self.shared.change(|world| incoming::migrate(world, from, to));
    }

    /// Sends a text and gives its message id.
    pub fn say(&self, from: i64, chat: i64, text: &str) -> i32 {
        self.incoming(from, chat, text).send()
    }

    /// A text that is sent in some other way than [`BotApi::say`] does.
    pub fn incoming(&self, from: i64, chat: i64, text: &str) -> Incoming {
        Incoming::new(&self.shared, from, chat, text)
    }

    /// Presses the button that says `button` and gives the id of the callback.
    ///
    /// # Errors
    /// Where the message has no such button now; it says which there are.
    pub fn press(&self, user: i64, chat: i64, message: i32, button: &str) -> Result<String, Missing> {
        self.shared.change(|world| {
            let current = world.message(chat, message);
            let current = current.ok_or_else(|| Missing(format!("there is no message {message} in chat {chat}")))?;
            let data = current.button(button).and_then(|button| button.data.clone()).ok_or_else(|| {
                Missing(format!("no button {button:?} to press under message {message}, but {:?}", current.button_texts()))
            })?;
            Ok(incoming::press(world, user, chat, message, &data))
        })
    }

    /// Presses as a client could that was tampered with: any data, on any message. Gives the id of the callback.
    pub fn press_data(&self, user: i64, chat: i64, message: i32, data: &str) -> String {
        self.shared.change(|world| incoming::press(world, user, chat, message, data))
    }

    /// The same, with something changed in the press as the bot gets it.
    pub fn press_with(&self, user: i64, chat: i64, message: i32, data: &str, change: impl FnOnce(&mut Value)) -> String {
        self.shared.change(|world| incoming::press_with(world, user, chat, message, data, change))
    }

    /// Sends an update of any kind, also one that the bot did not ask for.
    pub fn update(&self, kind: &str, content: Value) {
        self.shared.change(|world| incoming::queue_unasked(world, kind, content));
    }

    /// A person deletes a message. False where there is none.
    pub fn delete(&self, chat: i64, message: i32) -> bool {
        self.shared.change(|world| world.remove(chat, message))
    }

    /// Makes the next `times` calls that the target names go wrong, the oldest fault first.
    pub fn fault(&self, target: impl Into<Target>, fault: Fault, times: u32) {
        let target = target.into();
        self.shared.change(|world| world.faults.add(target, fault, times));
    }

    /// Forgets the faults that are still to strike.
    pub fn clear_faults(&self) {
        self.shared.change(|world| world.faults.clear());
    }

    /// How many calls are still to be struck.
    #[must_use]
    pub fn faults_left(&self) -> u32 {
        self.shared.read(|world| world.faults.left())
    }

    /// While away, every connection of the bot is cut, a waiting poll included. Pages go on.
    pub fn set_away(&self, is_away: bool) {
        self.shared.change(|world| world.is_away = is_away);
    }

    /// Lets through so many messages and edits a second and chat, and answers 429 to the rest; none for any number.
    pub fn set_pacing(&self, per_second: Option<u32>) {
        self.shared.change(|world| world.pacing = per_second);
    }

    /// Sets the server's clock ahead by so many seconds: its `Date` header and the dates of messages.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.shared.change(|world| world.clock_offset = seconds);
    }

    /// Numbers the next updates from here on, as Telegram may after an idle week.
    pub fn renumber_updates(&self, next: u32) {
        self.shared.change(|world| world.updates.renumber(next));
    }

    /// The lists of commands that the bot set, by scope: `default`, `all_private_chats`, `chat:5`, `chat_member:-5:7`.
    #[must_use]
    pub fn commands(&self) -> BTreeMap<String, Vec<Command>> {
        self.shared.read(|world| world.commands.clone())
    }

    /// The commands that a person sees in a chat.
    #[must_use]
    pub fn commands_for(&self, chat: i64, user: i64) -> Vec<Command> {
        self.shared.read(|world| effective_commands(world, chat, user))
    }
}
