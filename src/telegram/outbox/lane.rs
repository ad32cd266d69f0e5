//! One chat's lane: takes what waits there one after another, at the pace that Telegram allows.

use std::sync::Arc;
use std::time::Duration;

use teloxide::payloads::{EditMessageText, SendMessage};
use teloxide::types::{
    ChatId as TgChat, InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions, MessageId, ParseMode, ReplyMarkup, ReplyParameters,
    ThreadId,
};
use tokio::time::{Instant, sleep, timeout};

use super::item::{Item, Job, needed, next};
use super::pace::Bucket;
use super::{Hub, Keyboard, Lane, Letter, NotSent, locked};
use crate::domain::access::ChatId;
use crate::domain::text::Text;
use crate::telegram::api::CallError;
use crate::telegram::render;

/// A lane in which nothing happens for so long ends. Its bucket is full again by then.
const IDLE: Duration = Duration::from_secs(60);
/// The longest pause between two tries.
const BACKOFF_MAX: Duration = Duration::from_secs(15);
/// The most buttons of a message.
const BUTTONS_MAX: usize = 100;

/// What became of a try.
enum Tried {
    /// It is done; a message's number.
    Done(i32),
    /// A part of it went; there is more.
    More,
    /// Again, at once: it was changed so that it may succeed.
    Changed,
    /// Again, after a while.
    Later(Duration),
    /// Telegram asks to wait that long: that does not count against its time.
    Asked(Duration),
    /// It is over.
    Over(NotSent),
}

/// Works off a lane until it was idle for a while.
pub(super) async fn work(hub: Arc<Hub>, chat: ChatId, lane: Arc<Lane>) {
    let mut bucket = Bucket::of_chat(chat, hub.api.pace(), Instant::now());
    let mut renewals = hub.api.renewals();
    while let Some(mut item) = take(&hub, chat, &lane, &mut bucket).await {
        let wait = locked(&hub.all).take_and_wait(Instant::now());
        sleep(wait).await;
        match attempt(&hub, chat, &mut item).await {
            Tried::Done(message) => item.end(Ok(message)),
            Tried::Over(why) => item.end(Err(why)),
            Tried::More | Tried::Changed => locked(&lane.queue).push_front(item),
            Tried::Asked(wait) => {
                tracing::debug!(chat, seconds = wait.as_secs(), "Telegram asks to wait");
                item.deadline += wait;
                put_back(&lane, item);
                sleep(wait).await;
            }
            Tried::Later(wait) if Instant::now() + wait < item.deadline => {
                put_back(&lane, item);
                // Another token is a reason to try at once.
                let _ = timeout(wait, renewals.changed()).await;
            }
            Tried::Later(_) => {
                tracing::warn!(chat, "a message was given up: Telegram was away for too long");
                item.end(Err(NotSent::Away));
            }
        }
    }
}

/// An item that goes again takes its place at the head; an edit only where no newer one of its message came meanwhile.
fn put_back(lane: &Lane, mut item: Item) {
    item.tries += 1;
    let mut queue = locked(&lane.queue);
    if item.edits().is_none_or(|message| queue.iter().all(|i| i.edits() != Some(message))) {
        queue.push_front(item);
    }
}

/// Waits for the next item and its token. None after a while without any: the lane is out of the map then.
async fn take(hub: &Hub, chat: ChatId, lane: &Lane, bucket: &mut Bucket) -> Option<Item> {
    loop {
        let wait = {
            let now = Instant::now();
            let mut queue = locked(&lane.queue);
            if let Some(item) = next(&queue, bucket.whole(now)).and_then(|at| queue.remove(at)) {
                bucket.take(now);
                return Some(item);
            }
            if queue.is_empty() { None } else { Some(bucket.until(needed(&queue), now)) }
        };
        match wait {
            Some(wait) => {
                // Something else may come that needs fewer tokens.
                let _ = timeout(wait.max(Duration::from_millis(1)), lane.wake.notified()).await;
            }
            None => {
                let woken = timeout(IDLE, lane.wake.notified()).await.is_ok();
                let mut lanes = locked(&hub.lanes);
                if !woken && locked(&lane.queue).is_empty() {
                    lanes.remove(&chat);
                    return None;
                }
            }
        }
    }
}

async fn attempt(hub: &Hub, chat: ChatId, item: &mut Item) -> Tried {
    let to = locked(&hub.moved).get(&chat).copied().unwrap_or(chat);
    let result = match &item.job {
        Job::Send { letter, parts, .. } => {
            let Some(part) = parts.front() else { return Tried::Over(NotSent::Refused("nothing to send".to_owned())) };
            hub.api.call(&message(to, letter, part, parts.len() == 1, item.bare)).await
        }
        Job::Edit { message, text, buttons } => hub.api.call(&edit(to, *message, text, buttons, item.bare)).await,
        Job::Document { letter, name, content, .. } => hub.api.upload(&document(to, letter, item.bare), name, content).await,
    };
    match result {
        Ok(value) => {
            let id = value["message_id"].as_i64().and_then(|id| i32::try_from(id).ok()).unwrap_or(0);
            match &mut item.job {
                Job::Send { parts, .. } if parts.len() > 1 => {
                    parts.pop_front();
                    Tried::More
                }
                _ => Tried::Done(id),
            }
        }
        Err(CallError::Migrated(new)) => {
            tracing::info!(chat, new, "the group has become a supergroup; its messages go there from now on");
            locked(&hub.moved).insert(chat, new);
            Tried::Changed
        }
        Err(error) => failed(chat, item, error),
    }
}

/// What a failed try means for the item.
fn failed(chat: ChatId, item: &mut Item, error: CallError) -> Tried {
    let pause = Duration::from_secs(1 << item.tries.min(4)).min(BACKOFF_MAX);
    let is_edit = item.edits().is_some();
    match error {
        CallError::TooFast(wait) => Tried::Asked(wait),
        CallError::Away(_) | CallError::Server(_) => Tried::Later(pause),
        CallError::Unsure(_) if is_edit => Tried::Later(pause),
        CallError::Unsure(why) => {
            tracing::warn!(chat, why, "the connection broke while a message was sent; it may have arrived and is not sent again here");
            Tried::Over(NotSent::Unsure)
        }
        CallError::Refused { why, .. } if is_edit && why.contains("message is not modified") => Tried::Done(0),
        CallError::Refused { why, .. } if !item.bare && why.contains("can't parse entities") => {
            tracing::warn!(chat, why, "Telegram refused the formatting; it goes again as plain text");
            item.bare = true;
            Tried::Changed
        }
        CallError::Refused { why, .. } if why.contains("message thread not found") && item.leave_thread() => {
            tracing::info!(chat, "the topic is gone; its answers go to the chat");
            Tried::Changed
        }
        // The token was taken away or replaced: that may be put right, and is said where updates are asked for.
        CallError::Refused { code: 401 | 404, .. } => Tried::Later(pause),
        CallError::Refused { code, why } => {
            match (is_edit, code) {
                // Deleted, or too old to be edited: nobody misses the edit.
                (true, _) => tracing::debug!(chat, code, why, "an edit was refused"),
                (false, 403) => tracing::info!(chat, why, "the chat is closed to the bot"),
                (false, _) => tracing::error!(chat, code, why, "Telegram refused a message"),
            }
            Tried::Over(NotSent::Refused(why))
        }
        // Followed where the call was made.
        CallError::Migrated(_) => Tried::Over(NotSent::Refused("the chat has moved".to_owned())),
    }
}

fn body(text: &Text, bare: bool) -> (String, Option<ParseMode>) {
    if bare { (text.to_plain(), None) } else { (render::html(text), Some(ParseMode::Html)) }
}

fn message(chat: ChatId, letter: &Letter, part: &Text, last: bool, bare: bool) -> SendMessage {
    let (text, parse_mode) = body(part, bare);
    let mut payload = SendMessage::new(TgChat(chat), text);
    payload.parse_mode = parse_mode;
    payload.message_thread_id = letter.thread.map(|t| ThreadId(MessageId(t)));
    payload.link_preview_options = Some(no_preview());
    payload.disable_notification = letter.silent.then_some(true);
    payload.reply_parameters = letter.reply_to.map(reply);
    if last {
        payload.reply_markup = keyboard(&letter.buttons).map(ReplyMarkup::InlineKeyboard);
    }
    payload
}

fn edit(chat: ChatId, message: i32, text: &Text, buttons: &Keyboard, bare: bool) -> EditMessageText {
    let (text, parse_mode) = body(&render::fit(text, render::MESSAGE_MAX), bare);
    let mut payload = EditMessageText::new(TgChat(chat), MessageId(message), text);
    payload.parse_mode = parse_mode;
    payload.link_preview_options = Some(no_preview());
    payload.reply_markup = keyboard(buttons);
    payload
}

fn document(chat: ChatId, letter: &Letter, bare: bool) -> Vec<(&'static str, String)> {
    let (caption, parse_mode) = body(&render::fit(&letter.text, render::CAPTION_MAX), bare);
    let mut fields = vec![("chat_id", chat.to_string()), ("caption", caption)];
    if parse_mode.is_some() {
        fields.push(("parse_mode", "HTML".to_owned()));
    }
    if let Some(thread) = letter.thread {
        fields.push(("message_thread_id", thread.to_string()));
    }
    if let Some(reply_to) = letter.reply_to {
        fields.push(("reply_parameters", json(&reply(reply_to))));
    }
    if let Some(keyboard) = keyboard(&letter.buttons) {
        fields.push(("reply_markup", json(&keyboard)));
    }
    fields
}

/// A parameter of a form that is JSON itself. These plain types cannot fail.
fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// An answer goes out even where the message that it answers was deleted meanwhile.
fn reply(to: i32) -> ReplyParameters {
    ReplyParameters::new(MessageId(to)).allow_sending_without_reply()
}

fn no_preview() -> LinkPreviewOptions {
    LinkPreviewOptions { is_disabled: true, url: None, prefer_small_media: false, prefer_large_media: false, show_above_text: false }
}

/// No markup for no buttons: that takes the buttons off a message that is edited.
fn keyboard(buttons: &Keyboard) -> Option<InlineKeyboardMarkup> {
    let mut left = BUTTONS_MAX;
    let rows = buttons.iter().map(|row| {
        let taken: Vec<InlineKeyboardButton> =
            row.iter().take(left).map(|b| InlineKeyboardButton::callback(b.label.clone(), b.data.clone())).collect();
        left -= taken.len();
        taken
    });
    let rows: Vec<Vec<InlineKeyboardButton>> = rows.filter(|row| !row.is_empty()).collect();
    (!rows.is_empty()).then(|| InlineKeyboardMarkup::new(rows))
}
