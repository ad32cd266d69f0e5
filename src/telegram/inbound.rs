//! Updates between their arrival and the end of their handling.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use teloxide::types::{Update, UpdateKind};

use super::activity::{Activity, Guard};
use super::clock::ApiClock;
use super::command::Press;
use super::listener::read;
use super::{lenient, schema, trust};
use crate::domain::access::role;
use crate::domain::notice::{Notice, Origin};
use crate::domain::project::Configuration;
use crate::history::{History, HistoryError};

/// How long to wait, in seconds, after each try to note that a message was dealt with.
const FINISH_PAUSES: [u64; 6] = [1, 2, 4, 8, 16, 32];
/// The longest part of a message that is quoted back, in characters.
const QUOTED_MAX: usize = 60;

/// The updates in hand. Clones share them.
#[derive(Clone)]
pub(crate) struct Inbound {
    history: History,
    activity: Activity,
    clock: Arc<ApiClock>,
    guards: Arc<Mutex<HashMap<i64, Guard>>>,
    /// How many were of an unknown kind.
    ignored: Arc<AtomicU64>,
}

impl Inbound {
    pub(crate) fn new(history: History, activity: Activity, clock: Arc<ApiClock>) -> Self {
        Self { history, activity, clock, guards: Arc::default(), ignored: Arc::default() }
    }

    /// How many are in hand.
    pub(crate) fn in_hand(&self) -> usize {
        self.guards().len()
    }

    fn guards(&self) -> std::sync::MutexGuard<'_, HashMap<i64, Guard>> {
        self.guards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps updates; returns those that were not here before and that are understood. After this they can be acknowledged.
    pub(crate) async fn keep(&self, updates: Vec<(i64, Value)>) -> Result<Vec<Update>, HistoryError> {
        // Held across the write, so that there is no moment in which an update is neither here nor counted.
        let guard = self.activity.begin();
        let bodies = updates.iter().map(|(id, body)| (*id, body.to_string())).collect();
        let new = self.history.inbox_keep(bodies, self.clock.local()).await?;
        let mut understood = Vec::with_capacity(new.len());
        for (id, body) in updates.into_iter().filter(|(id, _)| new.contains(id)) {
            match read(&body) {
                Some(update) => {
                    self.guards().insert(id, self.activity.begin());
                    understood.push(update);
                }
                None => {
                    let ignored = self.ignored.fetch_add(1, Ordering::Relaxed) + 1;
                    tracing::warn!(update = id, kind = lenient::kind(&body), ignored, "an update of an unknown kind is ignored");
                    self.finish(id).await;
                }
            }
        }
        drop(guard);
        Ok(understood)
    }

    /// Notes that the handling begins. Not to be handled where that cannot be noted: it might run twice.
    pub(crate) async fn begin(&self, id: i64) -> Result<(), HistoryError> {
        self.history.inbox_begin(id).await.inspect_err(|error| {
            tracing::error!(update = id, %error, "a message is not handled now: the history cannot be written");
            self.guards().remove(&id);
        })
    }

    /// Notes that an update was dealt with. A full disk may be a passing thing, so that it is tried for a while: what is
    /// not noted is reported as unanswered at the next start.
    pub(crate) async fn finish(&self, id: i64) {
        for pause in FINISH_PAUSES {
            match self.history.inbox_done(id, self.clock.local()).await {
                Ok(()) => break,
                Err(error) if pause == FINISH_PAUSES[0] => {
                    tracing::error!(update = id, %error, "a message was handled, and that cannot be noted yet");
                }
                Err(_) => {}
            }
            drop(self.guards().remove(&id));
            tokio::time::sleep(Duration::from_secs(pause)).await;
        }
        drop(self.guards().remove(&id));
    }

    /// What an earlier run left: what was begun is reported to its chat and never run again, what was not begun comes back.
    pub(crate) async fn recover(&self, config: &Configuration) -> Result<Vec<Update>, HistoryError> {
        let mut again = Vec::new();
        for kept in self.history.inbox_unfinished().await? {
            let update = serde_json::from_str(&kept.body).ok().and_then(|body| read(&body));
            match update {
                Some(update) if !kept.begun => {
                    self.guards().insert(kept.update_id, self.activity.begin());
                    again.push(update);
                }
                Some(update) => {
                    if let Some((origin, text)) = unanswered(&update, config) {
                        self.history.notice_post(origin, Notice::Unanswered { text }, self.clock.local()).await?;
                    }
                    self.finish(kept.update_id).await;
                }
                None => self.finish(kept.update_id).await,
            }
        }
        Ok(again)
    }
}

/// Where to say that an update went unanswered, and what it was; none where nobody waits for an answer.
fn unanswered(update: &Update, config: &Configuration) -> Option<(Origin, String)> {
    match &update.kind {
        UpdateKind::Message(message) => {
            let text = message.text()?.trim();
            let waits = text.starts_with('/') || schema::word(text).is_some();
            let known = trust::author(message).is_ok_and(|actor| role(config, &actor, None).is_ok());
            let origin = Origin { chat: message.chat.id.0, thread: message.thread_id.map(|t| t.0.0), message: Some(message.id.0) };
            (waits && known).then(|| (origin, text.chars().take(QUOTED_MAX).collect()))
        }
        UpdateKind::CallbackQuery(press) => {
            let what = Press::read(press.data.as_deref()?, config)?.words().to_owned();
            let message = press.message.as_ref()?;
            let thread = message.regular_message().and_then(|m| m.thread_id).map(|t| t.0.0);
            Some((Origin { chat: message.chat().id.0, thread, message: Some(message.id().0) }, what))
        }
        _ => None,
    }
}
