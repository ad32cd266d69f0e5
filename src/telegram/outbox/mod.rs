//! The only place that sends. Each chat has a lane: order is kept within it, it is paced, and what Telegram asks of one
//! chat (to wait, to move) holds up no other.

mod item;
mod lane;
mod pace;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use teloxide::payloads::{AnswerCallbackQuery, SendChatAction};
use teloxide::types::{CallbackQueryId, ChatAction, ChatId as TgChat, MessageId, ThreadId};
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use super::activity::Activity;
use super::api::{Api, CallError};
use super::render;
use crate::domain::access::ChatId;
use crate::domain::text::Text;
use item::{Item, Job};
use pace::Bucket;
pub use pace::Pace;

/// How long a message is tried before it is given up. What must arrive is kept in the history and comes again.
const GIVE_UP: Duration = Duration::from_secs(60);
/// How many presses are answered at once.
const PRESSES_AT_ONCE: usize = 16;
/// The longest answer to the press of a button, in characters.
const TOAST_MAX: usize = 190;
/// The longest that the answer to a press waits; later nobody looks.
const TOAST_WAIT: Duration = Duration::from_secs(10);

/// A button: what it says, and the data that comes back when it is pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Button {
    pub(crate) label: String,
    pub(crate) data: String,
}

/// Buttons in rows.
pub(crate) type Keyboard = Vec<Vec<Button>>;

/// A message to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) chat: ChatId,
    /// The topic of a forum.
    pub(crate) thread: Option<i32>,
    pub(crate) text: Text,
    pub(crate) buttons: Keyboard,
    /// The message that it answers.
    pub(crate) reply_to: Option<i32>,
    /// Whether it comes without a sound.
    pub(crate) silent: bool,
    /// Whether other messages of its chat go before it.
    pub(crate) yields: bool,
}

/// Why a message was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotSent {
    /// Telegram could not be reached for as long as was tried.
    #[error("Telegram was away for too long")]
    Away,
    /// The connection broke after it went out: it may have arrived.
    #[error("the connection broke, so it may have arrived")]
    Unsure,
    /// The chat is closed to the bot, or Telegram refuses the message for good.
    #[error("{0}")]
    Refused(String),
    /// Too much waits in this chat already.
    #[error("too much waits in this chat")]
    Full,
    /// The program ends.
    #[error("the program ends")]
    Ending,
}

/// The outbox. Clones share it.
#[derive(Clone)]
pub(crate) struct Outbox(Arc<Hub>);

/// What the lanes share.
struct Hub {
    api: Api,
    activity: Activity,
    /// Counts what waits here.
    waiting: Activity,
    /// The lanes, with what works on them: one that died of a panic is replaced.
    lanes: Mutex<HashMap<ChatId, (Arc<Lane>, AbortHandle)>>,
    /// Presses that are answered right now.
    presses: Semaphore,
    all: Mutex<Bucket>,
    /// Groups that became supergroups, and as which.
    moved: Mutex<HashMap<ChatId, ChatId>>,
}

/// What waits in one chat.
#[derive(Default)]
struct Lane {
    queue: Mutex<VecDeque<Item>>,
    wake: Notify,
}

/// Locks; a panic elsewhere leaves nothing half done under these locks.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Outbox {
    pub(crate) fn new(api: Api, activity: Activity) -> Self {
        let all = Mutex::new(Bucket::of_all(Instant::now()));
        Self(Arc::new(Hub {
            api,
            activity,
            waiting: Activity::default(),
            lanes: Mutex::default(),
            presses: Semaphore::new(PRESSES_AT_ONCE),
            all,
            moved: Mutex::default(),
        }))
    }

    /// Sends a message, in several where one does not hold it; the buttons stand on the last, whose number comes back.
    pub(crate) async fn send(&self, letter: Letter) -> Result<i32, NotSent> {
        let parts = render::split(&letter.text).into();
        let (reply, sent) = oneshot::channel();
        self.push(letter.chat, Job::Send { letter, parts, reply });
        sent.await.unwrap_or(Err(NotSent::Ending))
    }

    /// Sends a file; the letter's text is its caption.
    pub(crate) async fn document(&self, letter: Letter, name: String, content: Vec<u8>) -> Result<i32, NotSent> {
        let (reply, sent) = oneshot::channel();
        self.push(letter.chat, Job::Document { letter, name, content, reply });
        sent.await.unwrap_or(Err(NotSent::Ending))
    }

    /// Gives a message another text and other buttons, some time soon. A newer edit of the same message takes the place
    /// of one that waits. What does not fit one message is cut.
    pub(crate) fn edit(&self, chat: ChatId, message: i32, text: Text, buttons: Keyboard) {
        self.push(chat, Job::Edit { message, text, buttons });
    }

    /// Answers the press of a button, at once and once: it spins until then, and after a while it cannot be answered.
    pub(crate) fn answer(&self, callback: String, text: Option<String>, alert: bool) {
        let hub = Arc::clone(&self.0);
        let guard = hub.activity.begin();
        tokio::spawn(async move {
            // It is never closed.
            let _turn = hub.presses.acquire().await;
            let mut payload = AnswerCallbackQuery::new(CallbackQueryId(callback));
            payload.text = text.map(|t| t.chars().take(TOAST_MAX).collect());
            payload.show_alert = alert.then_some(true);
            for pause in [1, 2, 0] {
                let pause = match hub.api.call(&payload).await {
                    Err(CallError::TooFast(wait)) if wait <= TOAST_WAIT => wait,
                    Err(CallError::Away(_) | CallError::Server(_)) => Duration::from_secs(pause),
                    Err(error) => return tracing::debug!(%error, "a press could not be answered"),
                    Ok(_) => break,
                };
                sleep(pause).await;
            }
            drop(guard);
        });
    }

    /// Shows that something is being prepared, for about five seconds. At once, and never tried again.
    pub(crate) async fn typing(&self, chat: ChatId, thread: Option<i32>) {
        let mut payload = SendChatAction::new(TgChat(chat), ChatAction::Typing);
        payload.message_thread_id = thread.map(|t| ThreadId(MessageId(t)));
        if let Err(error) = self.0.api.call(&payload).await {
            tracing::debug!(%error, "that something is being prepared could not be shown");
        }
    }

    /// The supergroup that a group has become, where that was seen.
    pub(crate) fn moved(&self, chat: ChatId) -> Option<ChatId> {
        locked(&self.0.moved).get(&chat).copied()
    }

    /// Waits until nothing waits in any lane, or until the time is over; whether nothing waits.
    pub(crate) async fn drained(&self, limit: Duration) -> bool {
        timeout(limit, self.0.waiting.idle()).await.is_ok()
    }

    fn push(&self, chat: ChatId, job: Job) {
        let hub = &self.0;
        let deadline = Instant::now() + GIVE_UP;
        let item = Item { job, deadline, tries: 0, bare: false, _guards: [hub.activity.begin(), hub.waiting.begin()] };
        let mut lanes = locked(&hub.lanes);
        let lane = match lanes.get(&chat) {
            Some((lane, worker)) if !worker.is_finished() => Arc::clone(lane),
            _ => {
                let lane = Arc::new(Lane::default());
                let worker = tokio::spawn(lane::work(Arc::clone(hub), chat, Arc::clone(&lane)));
                lanes.insert(chat, (Arc::clone(&lane), worker.abort_handle()));
                lane
            }
        };
        // Still under the lock of the lanes: a lane that is about to end sees this item or is replaced.
        let dropped = item::push(&mut locked(&lane.queue), item);
        drop(lanes);
        lane.wake.notify_one();
        if let Some(item) = dropped {
            tracing::warn!(chat, "too much waits in this chat; something is dropped");
            item.end(Err(NotSent::Full));
        }
    }
}
