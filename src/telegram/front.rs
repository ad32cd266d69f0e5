//! What every part of the conversation shares, and how work is done beside the dispatcher.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::activity::{Activity, Guard};
use super::asked::Asked;
use super::clock::ApiClock;
use super::follow::Follows;
use super::inbound::Inbound;
use super::limits::{Seldom, Stranger, Strangers};
use super::outbox::{Keyboard, Letter, NotSent, Outbox};
use super::refusals::Refusals;
use super::stale::Stale;
use crate::domain::access::{Actor, ChatId, UserId};
use crate::domain::text::Text;
use crate::domain::view::OperationView;
use crate::domain::words;
use crate::domain::{Millis, access};
use crate::history::History;
use crate::operations::{Desk, Refusal};

/// How soon it is tried again to note that the handling of a message begins, where the disk is full.
const BEGIN_AGAIN: Duration = Duration::from_secs(5);
/// How often that is tried: for two minutes.
const BEGIN_TRIES: u32 = 24;
/// How many messages are worked on at once.
const AT_ONCE: usize = 64;
/// How long an answer may take before the chat is shown that it is being prepared, and how often that is shown then.
const PATIENCE: Duration = Duration::from_secs(1);
const TYPING: Duration = Duration::from_secs(4);
/// How many of them for one chat.
const AT_ONCE_A_CHAT: usize = 8;

/// Where a message came from, and where its answer belongs.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) chat: ChatId,
    /// The topic of a forum.
    pub(crate) thread: Option<i32>,
    /// The message that is answered.
    pub(crate) message: i32,
    /// Whether it is a chat with one person.
    pub(crate) private: bool,
    /// Who wrote or pressed.
    pub(crate) actor: Actor,
    pub(crate) user: UserId,
}

/// An answer by which something would run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Yes {
    /// The word.
    Word,
    /// A press of the confirming button of the plan under this nonce, and the press's own number.
    Press { nonce: String, callback: String },
}

/// What the handlers share. Clones share it. A newtype, because dptree injects by type.
#[derive(Clone)]
pub(crate) struct Front(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) desk: Arc<Desk>,
    pub(crate) history: History,
    pub(crate) outbox: Outbox,
    pub(crate) inbound: Inbound,
    pub(crate) clock: Arc<ApiClock>,
    pub(crate) activity: Activity,
    /// This bot's id and user name.
    pub(crate) me: (u64, String),
    pub(crate) shutdown: CancellationToken,
    pub(crate) asked: Mutex<Asked>,
    pub(crate) follows: Follows,
    pub(crate) stale: Stale,
    pub(crate) refusals: Refusals,
    /// Chats that are not listed, and strangers in groups.
    pub(crate) seldom: Seldom,
    /// Chats that were told that nothing can be kept.
    pub(crate) unkept: Seldom,
    pub(crate) strangers: Strangers,
    /// Operations whose outcome is not delivered, so that they count as activity.
    pub(crate) undelivered: Mutex<HashMap<i64, Guard>>,
    /// The operations that were begun here and have not ended.
    pub(crate) running: Mutex<HashMap<i64, watch::Receiver<OperationView>>>,
    /// Wakes the one who delivers notices.
    pub(crate) notices: Notify,
    pub(crate) tasks: TaskTracker,
    pub(crate) permits: Semaphore,
    pub(crate) chats: Mutex<HashMap<ChatId, Weak<Semaphore>>>,
}

impl std::ops::Deref for Front {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// Locks; nothing is left half done under these locks by a panic.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn permits() -> Semaphore {
        Semaphore::new(AT_ONCE)
    }

    /// The local time.
    pub(crate) fn now(&self) -> Millis {
        self.clock.local()
    }

    fn chat_permits(&self, chat: ChatId) -> Arc<Semaphore> {
        let mut chats = locked(&self.chats);
        chats.retain(|_, permits| permits.strong_count() > 0);
        if let Some(permits) = chats.get(&chat).and_then(Weak::upgrade) {
            return permits;
        }
        let permits = Arc::new(Semaphore::new(AT_ONCE_A_CHAT));
        chats.insert(chat, Arc::downgrade(&permits));
        permits
    }
}

impl Front {
    /// Works on an update beside the dispatcher. A panic becomes a sentence in the chat and an error in the log.
    /// The work for strangers is bounded by itself and never takes the place of others.
    /// A `yes` that cannot be recorded is refused at once: it must not run some time later.
    pub(crate) fn spawn<F>(&self, update: i64, place: Place, stranger: Option<Stranger>, yes: Option<Yes>, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let front = self.clone();
        self.tasks.spawn(async move {
            let permits = front.chat_permits(place.chat);
            // These are never closed; without a permit it would only run sooner.
            let in_chat = permits.acquire().await;
            let among_all = if stranger.is_none() { front.permits.acquire().await.ok() } else { None };
            let mut tries = 0;
            while let Err(error) = front.inbound.begin(update).await {
                tries += 1;
                if let Some(yes) = &yes {
                    front.unrecorded(&place, yes, &error).await;
                    return front.inbound.finish(update).await;
                }
                if front.unkept.may(place.chat, Instant::now()) {
                    front.say(&place, words::cannot_keep()).await;
                }
                if tries == BEGIN_TRIES {
                    front.say(&place, words::given_up()).await;
                    return front.inbound.finish(update).await;
                }
                tokio::select! {
                    // It stays in the inbox, and is handled at the next start.
                    () = front.shutdown.cancelled() => return,
                    () = sleep(BEGIN_AGAIN) => {}
                }
            }
            front.supervised(&place, work).await;
            // Noting it can take long where the disk is full; others need not wait for that.
            drop((in_chat, among_all));
            front.inbound.finish(update).await;
        });
    }

    /// Runs something; a panic ends it and nothing else.
    pub(crate) async fn supervised(&self, place: &Place, work: impl Future<Output = ()>) {
        if let Err(panic) = std::panic::AssertUnwindSafe(work).catch_unwind().await {
            let said = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            tracing::error!(chat = place.chat, panic = said.unwrap_or_default(), "the handling of a message panicked");
            self.say(place, words::broke_down()).await;
        }
    }

    /// Notes that an update is none for us.
    pub(crate) fn ignore(&self, update: i64, why: &'static str) {
        tracing::debug!(update, why, "ignored");
        let front = self.clone();
        self.tasks.spawn(async move { front.inbound.finish(update).await });
    }

    /// Waits for something, and shows in the chat that it is being prepared where it takes its time.
    pub(crate) async fn patiently<T>(&self, place: &Place, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let mut pause = PATIENCE;
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(pause) => {}
            }
            tokio::select! {
                done = &mut work => return done,
                () = self.outbox.typing(place.chat, place.thread) => pause = TYPING,
            }
        }
    }

    /// Answers in the place where something was asked.
    pub(crate) async fn say(&self, place: &Place, text: Text) {
        self.say_with(place, text, Keyboard::new()).await;
    }

    /// As [`Front::say`], with buttons.
    pub(crate) async fn say_with(&self, place: &Place, text: Text, buttons: Keyboard) {
        // Why it was not sent is in the log already, where it was tried.
        drop(self.send(place, text, buttons).await);
    }

    /// As [`Front::say_with`]; the number of the message, or why it was not sent.
    pub(crate) async fn send(&self, place: &Place, text: Text, buttons: Keyboard) -> Result<i32, NotSent> {
        // In a group it is not plain who is answered.
        let reply_to = (!place.private).then_some(place.message);
        self.outbox.send(Letter { chat: place.chat, thread: place.thread, text, buttons, reply_to, silent: false, yields: false }).await
    }

    /// A refusal, in words.
    pub(crate) fn refusal(&self, refusal: &Refusal) -> Text {
        refusal.words(self.now())
    }

    /// Whether the person may do in a project what takes a role.
    pub(crate) fn may(&self, actor: &Actor, project: &crate::domain::project::ProjectName, needs: access::Role) -> bool {
        access::allow(&self.desk.configuration(), actor, Some(project), needs).is_ok()
    }
}
