//! What the bot did, and waiting for it.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::BotApi;
use super::content::preview;
use super::model::Message;
use super::world::{Call, CallbackAnswer, World};

/// Something did not come, or is not there; it says what was there instead.
#[derive(Clone, PartialEq, Eq)]
pub struct Missing(pub(super) String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Tests unwrap it: the text must stay readable.
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Missing {}

impl BotApi {
    /// Takes the oldest unread message of the bot in a chat, and waits for one where there is none. It comes in its
    /// current state: edits that happened since it was sent are in it.
    ///
    /// # Errors
    /// Where none came in time.
    pub async fn next_message(&self, chat: i64, timeout: Duration) -> Result<Message, Missing> {
        let look = |world: &mut World| {
            let chat = world.chats.get_mut(&chat)?;
            let id = chat.unread.pop_front()?;
            chat.messages.get(&id).cloned()
        };
        let found = self.shared.wait(timeout, look).await;
        found.ok_or_else(|| self.missing(&format!("no message in chat {chat} within {timeout:?}")))
    }

    /// The current state of a message, the bot's or another's.
    #[must_use]
    pub fn message(&self, chat: i64, id: i32) -> Option<Message> {
        self.shared.read(|world| world.message(chat, id).cloned())
    }

    /// Everything said in a chat, oldest first, in its current state.
    #[must_use]
    pub fn messages(&self, chat: i64) -> Vec<Message> {
        let all = |world: &World| world.chats.get(&chat).map(|chat| chat.messages.values().cloned().collect());
        self.shared.read(all).unwrap_or_default()
    }

    /// Waits until a message is as wanted, which it may be already.
    ///
    /// # Errors
    /// Where it did not become so in time; the error holds its last text.
    pub async fn wait_until(
        &self,
        chat: i64,
        message: i32,
        timeout: Duration,
        mut wanted: impl FnMut(&Message) -> bool,
    ) -> Result<Message, Missing> {
        let look = |world: &mut World| world.message(chat, message).filter(|message| wanted(message)).cloned();
        let found = self.shared.wait(timeout, look).await;
        found.ok_or_else(|| {
            let last = self.message(chat, message).map_or("gone".to_owned(), |message| format!("{:?}", message.text));
            self.missing(&format!("message {message} of chat {chat} is not as wanted after {timeout:?}: {last}"))
        })
    }

    /// Waits for the bot's answer to a press.
    ///
    /// # Errors
    /// Where none came in time.
    pub async fn callback_answer(&self, callback: &str, timeout: Duration) -> Result<CallbackAnswer, Missing> {
        let look = |world: &mut World| world.callback_mut(callback).and_then(|callback| callback.answer.clone());
        let found = self.shared.wait(timeout, look).await;
        found.ok_or_else(|| self.missing(&format!("press {callback} was not answered within {timeout:?}")))
    }

    /// The bot's messages in a chat that nobody took yet.
    #[must_use]
    pub fn unread(&self, chat: i64) -> Vec<Message> {
        let unread = |world: &World| {
            let chat = world.chats.get(&chat)?;
            Some(chat.unread.iter().filter_map(|id| chat.messages.get(id)).cloned().collect())
        };
        self.shared.read(unread).unwrap_or_default()
    }

    /// Takes all unread messages of a chat without waiting.
    pub fn take_unread(&self, chat: i64) -> Vec<Message> {
        let take = |world: &mut World| {
            let chat = world.chats.get_mut(&chat)?;
            let unread = std::mem::take(&mut chat.unread);
            Some(unread.iter().filter_map(|id| chat.messages.get(id)).cloned().collect())
        };
        self.shared.change(take).unwrap_or_default()
    }

    /// Presses that the bot never answered, so that the button still spins.
    #[must_use]
    pub fn unanswered(&self) -> Vec<String> {
        self.shared.read(|world| {
            let unanswered = world.callbacks.iter().filter(|(_, callback)| callback.answer.is_none());
            unanswered.map(|(number, _)| World::callback_id(*number)).collect()
        })
    }

    /// What the bot did that no correct bot does, in order.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.shared.read(World::violations)
    }

    /// Takes the violations, for a test that causes some on purpose.
    pub fn forgive(&self) -> Vec<String> {
        self.shared.change(World::forgive)
    }

    /// What a test must not end with: violations, unread messages, presses without an answer. Empty when all is well.
    #[must_use]
    pub fn leftovers(&self) -> Vec<String> {
        let mut leftovers = self.violations();
        self.shared.read(|world| {
            for (id, chat) in &world.chats {
                for message in chat.unread.iter().filter_map(|id| chat.messages.get(id)) {
                    leftovers.push(format!("unread in chat {id}: {}", preview(&message.text)));
                }
            }
            for (number, callback) in &world.callbacks {
                if callback.answer.is_none() {
                    let (id, chat, message) = (World::callback_id(*number), callback.chat, callback.message);
                    leftovers.push(format!("press {id} on message {message} of chat {chat} was never answered"));
                }
            }
        });
        leftovers
    }

    /// Every call of the bot, polls included, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.shared.read(|world| world.calls.iter().cloned().collect())
    }

    /// Waits until the log of calls is as wanted, for tests of refusals and faults.
    ///
    /// # Errors
    /// Where it did not become so in time; the error holds the last calls.
    pub async fn wait_for_calls(&self, timeout: Duration, mut wanted: impl FnMut(&[Call]) -> bool) -> Result<(), Missing> {
        let look = |world: &mut World| wanted(world.calls.make_contiguous()).then_some(());
        let found = self.shared.wait(timeout, look).await;
        found.ok_or_else(|| self.missing(&format!("the calls are not as wanted after {timeout:?}")))
    }

    /// Number of the last update that was put in line for the bot.
    #[must_use]
    pub fn last_update(&self) -> u32 {
        self.shared.read(|world| world.updates.last_id())
    }

    /// Whether the bot confirmed an update, so that it does not come again.
    #[must_use]
    pub fn acknowledged(&self, update: u32) -> bool {
        self.shared.read(|world| update <= world.updates.last_id() && !world.updates.is_pending(update))
    }

    /// Updates that wait for the bot or its confirmation.
    #[must_use]
    pub fn pending_updates(&self) -> usize {
        self.shared.read(|world| world.updates.pending())
    }

    /// Waits until the bot confirmed every update.
    ///
    /// # Errors
    /// Where it did not in time.
    pub async fn wait_acknowledged(&self, timeout: Duration) -> Result<(), Missing> {
        let look = |world: &mut World| (world.updates.pending() == 0).then_some(());
        let found = self.shared.wait(timeout, look).await;
        found.ok_or_else(|| self.missing(&format!("{} updates are not confirmed after {timeout:?}", self.pending_updates())))
    }

    /// Waits until no chat changed for `quiet`, every update is confirmed and every press answered.
    ///
    /// # Errors
    /// Where it did not become quiet in time.
    pub async fn wait_quiet(&self, quiet: Duration, timeout: Duration) -> Result<(), Missing> {
        let deadline = Instant::now() + timeout;
        loop {
            let (last, is_idle) = self.shared.read(|world| {
                let is_answered = world.callbacks.values().all(|callback| callback.answer.is_some());
                (world.last_activity, is_answered && world.updates.pending() == 0)
            });
            let now = Instant::now();
            let quiet_at = last + quiet;
            if is_idle && now >= quiet_at {
                return Ok(());
            }
            if now >= deadline {
                return Err(self.missing(&format!("the bot is not quiet after {timeout:?}")));
            }
            // Wakes at the next change, or when it has been quiet for long enough, or when time is up.
            let until = if is_idle { quiet_at.min(deadline) } else { deadline };
            let before = last;
            let look = |world: &mut World| {
                let is_answered = world.callbacks.values().all(|callback| callback.answer.is_some());
                let is_idle_now = is_answered && world.updates.pending() == 0;
                (world.last_activity != before || is_idle_now != is_idle).then_some(())
            };
            self.shared.wait(until.saturating_duration_since(now), look).await;
        }
    }

    /// Words for what did not come, with what the bot did instead.
    fn missing(&self, what: &str) -> Missing {
        const LAST_CALLS: usize = 8;
        let mut text = what.to_owned();
        for leftover in self.leftovers() {
            text += &format!("\n  {leftover}");
        }
        let calls = self.calls();
        for call in calls.iter().skip(calls.len().saturating_sub(LAST_CALLS)) {
            let chat = call.chat.map(|chat| format!(" to {chat}")).unwrap_or_default();
            let result = call.error.as_deref().unwrap_or("ok");
            text += &format!("\n  called {}{chat}: {result}", call.method);
        }
        Missing(text)
    }
}
