//! Where updates come from: each is in the history before it is acknowledged, so that a `kill -9` loses none. This is
//! teloxide's `UpdateListener`; its own polling acknowledges first and cannot tell us about 401 and 409.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use secrecy::SecretString;
use serde_json::Value;
use teloxide::payloads::GetUpdates;
use teloxide::stop::{StopFlag, StopToken, mk_stop_token};
use teloxide::types::{AllowedUpdate, Update, UpdateKind};
use teloxide::update_listeners::{AsUpdateStream, UpdateListener};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::api::{Api, CallError};
use super::front::Front;
use super::lenient;
use super::reach::Reach;
use crate::domain::health::Part;

/// How long one poll waits for something to come.
const POLL: u32 = 25;
/// How long a poll may take altogether.
const POLL_LIMIT: Duration = Duration::from_secs(POLL as u64 + 15);
/// As many updates may be on their way at once; with more, nothing new is fetched.
const IN_HAND_MAX: usize = 500;
/// How often it is looked again whether there is room.
const ROOM_CHECK: Duration = Duration::from_millis(50);
/// How long to wait after the history could not be written.
const HISTORY_PAUSE: Duration = Duration::from_secs(2);

/// Polls, keeps, and only then acknowledges.
pub(crate) struct Listener {
    api: Api,
    front: Front,
    reach: Reach,
    shutdown: CancellationToken,
    /// Another token is a reason to try at once.
    renewals: watch::Receiver<SecretString>,
    /// What was kept and is to be handled.
    ready: VecDeque<Update>,
    /// What acknowledges everything that was kept so far.
    offset: Option<i32>,
    /// Whether the last that came could not be kept.
    full: bool,
    stop: (StopToken, StopFlag),
}

impl Listener {
    /// Hands out `ready` first: what an earlier run kept and did not begin.
    pub(crate) fn new(api: Api, front: Front, ready: Vec<Update>) -> Self {
        let (shutdown, renewals) = (front.shutdown.clone(), api.renewals());
        Self {
            api,
            front,
            reach: Reach::default(),
            shutdown,
            renewals,
            ready: ready.into(),
            offset: None,
            full: false,
            stop: mk_stop_token(),
        }
    }

    async fn next(&mut self) -> Option<Update> {
        loop {
            if self.shutdown.is_cancelled() || self.stop.1.is_stopped() {
                return None;
            }
            if let Some(update) = self.ready.pop_front() {
                return Some(update);
            }
            self.poll().await;
        }
    }

    async fn poll(&mut self) {
        self.front.activity.pulse().next_within(POLL_LIMIT);
        if self.front.inbound.in_hand() >= IN_HAND_MAX {
            return self.pause(ROOM_CHECK).await;
        }
        let mut payload = GetUpdates::new();
        payload.offset = self.offset;
        payload.timeout = Some(POLL);
        payload.allowed_updates = Some(vec![AllowedUpdate::Message, AllowedUpdate::CallbackQuery]);
        let answer = tokio::select! {
            () = self.shutdown.cancelled() => return,
            () = self.stop.1.clone() => return,
            answer = self.api.call_within(&payload, POLL_LIMIT) => answer,
        };
        match answer {
            Ok(Value::Array(updates)) => {
                self.reach.back();
                self.front.desk.vitals().beat(Part::Telegram, self.front.desk.now());
                self.keep(updates).await;
            }
            Ok(_) => {
                let pause = self.reach.lost(&CallError::Unsure("no list of updates".to_owned()));
                self.pause(pause).await;
            }
            Err(error) => {
                let pause = self.reach.lost(&error);
                if matches!(&error, CallError::Refused { code: 409, why } if why.contains("webhook")) {
                    super::menu::drop_webhook(&self.api).await;
                }
                self.pause(pause).await;
            }
        }
    }

    async fn keep(&mut self, updates: Vec<Value>) {
        let some = !updates.is_empty();
        let numbered: Vec<(i64, Value)> = updates.into_iter().filter_map(|u| Some((lenient::number(u.get("update_id"))?, u))).collect();
        let Some((last, _)) = numbered.last() else {
            if some {
                let pause = self.reach.lost(&CallError::Unsure("updates without numbers".to_owned()));
                self.pause(pause).await;
            }
            return;
        };
        // Numbers can start anew after a quiet week, so that the last one counts and not the greatest.
        let offset = i32::try_from(last.saturating_add(1)).ok();
        let bodies: Vec<Value> = numbered.iter().map(|(_, body)| body.clone()).collect();
        match self.front.inbound.keep(numbered).await {
            Ok(new) => {
                if std::mem::take(&mut self.full) {
                    tracing::info!("messages can be kept again");
                }
                self.offset = offset;
                self.ready.extend(new);
            }
            Err(error) => {
                if !std::mem::replace(&mut self.full, true) {
                    tracing::error!(%error, "messages cannot be kept, so they are not acknowledged; it is tried again");
                }
                self.front.cannot_keep(bodies, &std::sync::Arc::new(error));
                self.pause(HISTORY_PAUSE).await;
            }
        }
    }

    async fn pause(&mut self, pause: Duration) {
        self.front.activity.pulse().next_within(pause);
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = self.stop.1.clone() => {}
            // The sender lives as long as the API that we hold.
            _ = self.renewals.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Reads an update. One of an unknown kind is none of ours.
pub(crate) fn read(body: &Value) -> Option<Update> {
    // From text, not from the value: teloxide looks at keys as borrowed text, which a value cannot give it.
    let update: Update = serde_json::from_str(&lenient::reduced(body)?.to_string()).ok()?;
    (!matches!(update.kind, UpdateKind::Error(_))).then_some(update)
}

impl<'a> AsUpdateStream<'a> for Listener {
    type StreamErr = Infallible;
    type Stream = Pin<Box<dyn Stream<Item = Result<Update, Infallible>> + Send + 'a>>;

    fn as_stream(&'a mut self) -> Self::Stream {
        Box::pin(stream::unfold(self, async |listener| listener.next().await.map(|update| (Ok(update), listener))))
    }
}

impl UpdateListener for Listener {
    type Err = Infallible;

    fn stop_token(&mut self) -> StopToken {
        self.stop.0.clone()
    }
}
