//! The dispatcher's schema: handlers that read, authorise, start the work beside the dispatcher and return at once. A
//! handler that waited would hold up its chat, and one that panicked would end the process.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use teloxide::dispatching::{UpdateFilterExt, UpdateHandler};
use teloxide::dptree;
use teloxide::types::{CallbackQuery, Message, Update, UpdateKind};
use tokio::sync::{OwnedRwLockReadGuard, RwLock};
use tokio::time::{Instant, timeout};

use super::clock::ApiClock;
use super::command::{Command, Parsed, Press, Unclear, parse};
use super::conversation::Turn;
use super::front::{Front, Place, Yes, locked};
use super::limits::Stranger;
use super::trust;
use crate::domain::access::{Actor, ChatId, Denied, Role, allow, role};
use crate::domain::project::Configuration;
use crate::domain::words;
use crate::history::HistoryError;

/// What a message comes to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Intent {
    /// A command that the person may use.
    Run(Command),
    /// One that was not understood.
    Unclear(Unclear),
    /// There is no such command.
    Unknown(String),
    /// The person or the chat may not.
    Denied(Denied),
    /// Something that would change the world, and came too late.
    TooLate(String),
    /// A yes or no, and the message of ours that it replies to.
    Word { yes: bool, reply_to: Option<i32> },
    /// Text that is no command, in private.
    Hint,
}

/// The handlers.
pub(crate) fn schema() -> UpdateHandler<Infallible> {
    dptree::entry().branch(Update::filter_message().endpoint(on_message)).branch(Update::filter_callback_query().endpoint(on_press))
}

impl Front {
    /// Says in the chats of listed people that what they sent cannot be kept: that a yes runs nothing, each time, and seldom that
    /// the rest is not carried out yet. It comes again with the next poll, since it is not acknowledged.
    pub(crate) fn cannot_keep(&self, bodies: Vec<Value>, error: &Arc<HistoryError>) {
        let config = self.desk.configuration();
        for update in bodies.iter().filter_map(super::listener::read) {
            let (place, yes) = match &update.kind {
                UpdateKind::Message(message) => {
                    let Some(place) = trust::author(message).ok().and_then(|actor| place(message, actor)) else { continue };
                    let yes = message.text().and_then(word).filter(|yes| *yes).map(|_| Yes::Word);
                    (place, yes)
                }
                UpdateKind::CallbackQuery(press) => {
                    let Some(place) = place_of_press(press) else { continue };
                    let read = Press::read(press.data.as_deref().unwrap_or_default(), &config);
                    (place, read.and_then(|read| read.yes(&press.id.0)))
                }
                _ => continue,
            };
            if role(&config, &place.actor, None).is_err() {
                continue;
            }
            let (front, error) = (self.clone(), Arc::clone(error));
            self.tasks.spawn(async move {
                let told = match &yes {
                    Some(yes) => front.unrecorded(&place, yes, &error).await,
                    None => false,
                };
                if !told && front.unkept.may(place.chat, Instant::now()) {
                    front.say(&place, words::cannot_keep()).await;
                }
            });
        }
    }
}

/// A yes or no, as a word.
pub(crate) fn word(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "yes" => Some(true),
        "no" | "cancel" => Some(false),
        _ => None,
    }
}

/// What understanding a message takes.
pub(crate) struct Context<'a> {
    pub(crate) config: &'a Configuration,
    pub(crate) clock: &'a ApiClock,
    /// This bot's id.
    pub(crate) me: u64,
    pub(crate) username: &'a str,
}

/// What a message comes to, and where its answer belongs.
///
/// # Errors
/// Why it is ignored, for the log.
pub(crate) fn understand(message: &Message, context: &Context<'_>) -> Result<(Place, Intent), &'static str> {
    let actor = trust::author(message)?;
    let text = message.text().ok_or("no text")?;
    let place = place(message, actor).ok_or("no person")?;
    let intent = intent(message, text, &place, context)?;
    Ok((place, intent))
}

/// The greatest role that a listed person has, in general or in a project.
pub(crate) fn greatest_role(config: &Configuration, actor: &Actor) -> Result<Role, &'static str> {
    let general = role(config, actor, None).map_err(|_| "not listed")?;
    let own = config.enabled().filter_map(|p| role(config, actor, Some(&p.name)).ok());
    Ok(own.fold(general, Role::max))
}

fn intent(message: &Message, text: &str, place: &Place, context: &Context<'_>) -> Result<Intent, &'static str> {
    let config = context.config;
    let listed = role(config, &place.actor, None);
    match (parse(text, context.username, config), listed) {
        (Parsed::Command { command: Command::Whoami, .. }, _) => Ok(Intent::Run(Command::Whoami)),
        (Parsed::NotOurs, _) if text.trim_start().starts_with('/') => Err("a command for another bot"),
        (Parsed::NotOurs, Err(_)) if !place.private => Err("talk"),
        (Parsed::Unknown { addressed: false, .. }, _) if !place.private => Err("a command of another bot"),
        (_, Err(denied)) => Ok(Intent::Denied(denied)),
        (Parsed::NotOurs, Ok(_)) => talk(message, text, place, context),
        (Parsed::Unknown { typed, .. }, Ok(_)) => Ok(Intent::Unknown(typed)),
        (Parsed::Unclear { needs: Some(needs), unclear }, Ok(_)) => {
            let has = greatest_role(config, &place.actor)?;
            Ok(if has >= needs { Intent::Unclear(unclear) } else { Intent::Denied(Denied::Role { has, needs }) })
        }
        (Parsed::Unclear { needs: None, unclear }, Ok(_)) => Ok(Intent::Unclear(unclear)),
        (Parsed::Command { name, needs, command }, Ok(_)) => {
            if let Some(Err(denied)) = needs.map(|needs| allow(config, &place.actor, command.project(), needs)) {
                return Ok(Intent::Denied(denied));
            }
            let late = command.changes() && context.clock.is_stale(message.date.timestamp());
            Ok(if late { Intent::TooLate(format!("/{name}")) } else { Intent::Run(command) })
        }
    }
}

/// Text that is no command.
fn talk(message: &Message, text: &str, place: &Place, context: &Context<'_>) -> Result<Intent, &'static str> {
    let replied = message.reply_to_message();
    let ours = replied.filter(|m| m.from.as_ref().is_some_and(|u| u.id.0 == context.me)).map(|m| m.id.0);
    match word(text) {
        Some(_) if !place.private && ours.is_none() => Err("a word that answers nobody"),
        Some(_) if context.clock.is_stale(message.date.timestamp()) => Ok(Intent::TooLate(text.trim().to_lowercase())),
        Some(yes) => Ok(Intent::Word { yes, reply_to: ours }),
        None if place.private => Ok(Intent::Hint),
        None => Err("talk"),
    }
}

fn place(message: &Message, actor: Actor) -> Option<Place> {
    let Actor::Telegram { user, .. } = actor else { return None };
    // Outside of forums a thread is only a row of replies.
    let thread = message.thread_id.filter(|_| message.is_topic_message).map(|t| t.0.0);
    Some(Place { chat: message.chat.id.0, thread, message: message.id.0, private: message.chat.is_private(), actor, user })
}

/// Runs a handler. A panic in one would leave teloxide with a dead worker, and the next update of that chat would end
/// the process.
fn guarded(update: &Update, front: &Front, handle: impl FnOnce(i64)) {
    let id = i64::from(update.id.0);
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| handle(id))).is_err() {
        tracing::error!(update = id, "a message could not be read: its handler panicked");
        front.ignore(id, "its handler panicked");
    }
}

async fn on_message(update: Update, message: Message, front: Front) -> Result<(), Infallible> {
    guarded(&update, &front, |id| read_message(id, &message, &front));
    Ok(())
}

async fn on_press(update: Update, press: CallbackQuery, front: Front) -> Result<(), Infallible> {
    guarded(&update, &front, |id| read_press(id, press, &front));
    Ok(())
}

fn read_message(id: i64, message: &Message, front: &Front) {
    let config = front.desk.configuration();
    let context = Context { config: &config, clock: &front.clock, me: front.me.0, username: &front.me.1 };
    match understand(message, &context) {
        Err(why) => front.ignore(id, why),
        Ok((place, intent)) => {
            let listed = role(&config, &place.actor, None).is_ok();
            let Some(stranger) = admit(front, place.chat, listed) else { return front.ignore(id, "a stranger who asks too much") };
            let asks = matches!(&intent, Intent::Run(command) if command.is_confirmed());
            let answers = matches!(&intent, Intent::Word { .. });
            let order = Order::of(front, &place, asks, answers);
            let yes = matches!(&intent, Intent::Word { yes: true, .. }).then_some(Yes::Word);
            let (doer, at) = (front.clone(), place.clone());
            let work = async move {
                let (turn, _held) = order.come(&doer, &at).await;
                Box::pin(doer.carry_out(at, intent, turn)).await;
            };
            front.spawn(id, place, stranger, yes, work);
        }
    }
}

/// The place of a message or press among a person's others. It is taken where updates still come in their order.
enum Order {
    /// It neither asks nor answers.
    Free,
    /// It asks for something that is to be confirmed, and nothing was in its way.
    Turn(Turn),
    /// It asks for such a thing while an answer is being taken: its turn comes after that.
    After(Arc<RwLock<()>>),
    /// It answers what waits.
    Answers(Option<OwnedRwLockReadGuard<()>>),
}

impl Order {
    fn of(front: &Front, place: &Place, asks: bool, answers: bool) -> Self {
        let mut asked = locked(&front.asked);
        let order = (asks || answers).then(|| asked.order(place.chat, place.user));
        match order {
            Some(order) if asks => match order.clone().try_write_owned() {
                Ok(_) => Self::Turn(Some(asked.turn(place.chat, place.user))),
                Err(_) => Self::After(order),
            },
            // A request that waits has come before; it waits for what is on its way only.
            Some(order) => Self::Answers(order.try_read_owned().ok()),
            None => Self::Free,
        }
    }

    /// Waits for its place; an answer keeps it for as long as what is returned with it.
    async fn come(self, front: &Front, place: &Place) -> (Turn, Option<OwnedRwLockReadGuard<()>>) {
        match self {
            Self::Free => (None, None),
            Self::Turn(turn) => (turn, None),
            Self::After(order) => {
                drop(timeout(ANSWER_TAKEN, order.write_owned()).await);
                (Some(locked(&front.asked).turn(place.chat, place.user)), None)
            }
            Self::Answers(held) => (None, held),
        }
    }
}

/// How long a request waits at most for an answer that came before it.
const ANSWER_TAKEN: Duration = Duration::from_secs(10);

/// Lets listed people in, and strangers as far as their number allows; none for a stranger too many.
fn admit(front: &Front, chat: ChatId, listed: bool) -> Option<Option<Stranger>> {
    if listed { Some(None) } else { front.strangers.enter(chat).map(Some) }
}

fn read_press(id: i64, press: CallbackQuery, front: &Front) {
    let Some(place) = place_of_press(&press) else { return front.ignore(id, "a press that is nobody's") };
    let config = front.desk.configuration();
    let Some(stranger) = admit(front, place.chat, role(&config, &place.actor, None).is_ok()) else {
        return front.ignore(id, "a stranger who presses too much");
    };
    let read = Press::read(press.data.as_deref().unwrap_or_default(), &config);
    let callback = press.id.0;
    let denied = role(&config, &place.actor, None).err().or_else(|| match &read {
        Some(Press::Command(command)) => allow(&config, &place.actor, command.project(), command.needs()).err(),
        _ => None,
    });
    let asks = denied.is_none() && matches!(&read, Some(Press::Command(command)) if command.is_confirmed());
    let order = Order::of(front, &place, asks, matches!(&read, Some(Press::Answer { .. })));
    let yes = if denied.is_none() { read.as_ref().and_then(|read| read.yes(&callback)) } else { None };
    let (doer, at) = (front.clone(), place.clone());
    let work = async move {
        let (turn, _held) = order.come(&doer, &at).await;
        Box::pin(doer.pressed(at, callback, read, denied, turn)).await;
    };
    front.spawn(id, place, stranger, yes, work);
}

/// Where a button was pressed, and by whom.
fn place_of_press(press: &CallbackQuery) -> Option<Place> {
    let (Ok(actor @ Actor::Telegram { user, .. }), Some(message)) = (trust::presser(press), &press.message) else { return None };
    let chat = message.chat();
    let regular = message.regular_message();
    let thread = regular.filter(|m| m.is_topic_message).and_then(|m| m.thread_id).map(|t| t.0.0);
    Some(Place { chat: chat.id.0, thread, message: message.id().0, private: chat.is_private(), actor, user })
}

#[cfg(test)]
mod tests;
