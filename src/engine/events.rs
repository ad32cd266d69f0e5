//! What the engine tells by itself: that something about a container has changed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use super::docker::{Docker, EngineError};
use crate::domain::Millis;

/// How soon the stream is asked for again where it broke off.
const AGAIN: Duration = Duration::from_millis(500);
/// How soon where the engine answers and refuses it: a proxy before its socket may well do so for good.
const REFUSED: Duration = Duration::from_secs(60);

/// How many changes are kept for whoever listens to each of them.
const CHANGES_KEPT: usize = 256;

/// What was told so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Grows with everything that may have changed.
    pub changes: u64,
    /// Whether every change is told at the moment. Otherwise nothing that was seen can be believed later on.
    pub following: bool,
}

/// A change of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What happened: `start`, `die` ..
    pub action: String,
    /// The container's id.
    pub container: String,
    /// When, by the engine's own clock.
    pub at: Millis,
    /// Its labels, and what else the engine tells of it.
    pub labels: HashMap<String, String>,
}

impl Change {
    /// The container that somebody stopped by it, and when. A signal proves nothing, unless no program survives it.
    pub fn stopped(&self) -> Option<(&str, Millis)> {
        let killed = || matches!(self.labels.get("signal").map(String::as_str), Some("9" | "SIGKILL" | "KILL"));
        (self.action == "stop" || self.action == "kill" && killed()).then_some((self.container.as_str(), self.at))
    }

    /// Whether a container started or was removed by it.
    pub fn makes_or_ends(&self) -> bool {
        matches!(self.action.as_str(), "start" | "destroy")
    }
}

/// What the engine tells. Clones share it.
#[derive(Debug, Clone)]
pub struct Events {
    told: Arc<watch::Sender<Told>>,
    changes: broadcast::Sender<Change>,
}

impl Default for Events {
    fn default() -> Self {
        Self { told: Arc::new(watch::Sender::new(Told::default())), changes: broadcast::Sender::new(CHANGES_KEPT) }
    }
}

impl Events {
    /// What was told so far.
    pub(super) fn told(&self) -> Told {
        *self.told.borrow()
    }

    /// Whoever wants to be woken by it.
    pub(super) fn subscribe(&self) -> watch::Receiver<Told> {
        self.told.subscribe()
    }

    /// Whoever wants to hear of each change.
    pub(super) fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Notes that something changed: by ourselves, so that nobody has to wait until the engine tells.
    pub(super) fn changed(&self) {
        self.told.send_modify(|told| told.changes += 1);
    }

    fn following(&self, following: bool) {
        self.told.send_modify(|told| {
            told.changes += 1;
            told.following = following;
        });
    }

    /// Listens until the stream breaks off.
    async fn listen(&self, stream: impl Stream<Item = Result<Change, EngineError>>) -> Option<EngineError> {
        let mut stream = std::pin::pin!(stream);
        self.following(true);
        let ended = loop {
            match stream.next().await {
                Some(Ok(change)) => {
                    // First, so that whoever looks because of this does not believe what was seen before.
                    self.changed();
                    // Often nobody listens.
                    let _ = self.changes.send(change);
                }
                Some(Err(error)) => break Some(error),
                None => break None,
            }
        };
        self.following(false);
        ended
    }
}

/// Follows what the engine tells, however often it goes away. Who says that it is away is another.
pub async fn follow(docker: Docker, stopping: CancellationToken) {
    let mut said = false;
    let work = async {
        loop {
            // Told from here on is what changed after this moment of the engine's own clock: between asking and being
            // answered nothing is lost.
            let ended = match docker.clock().await {
                Ok(since) => docker.events().listen(docker.told_since(&since)).await,
                Err(error) => Some(error),
            };
            tracing::debug!(?ended, "the engine's events are not followed");
            let refused = matches!(ended, Some(EngineError::Refused(_) | EngineError::Gone(_)));
            if refused && !std::mem::replace(&mut said, true) {
                tracing::warn!("the engine refuses to tell what changes (GET /info and /events): it is asked again and again instead");
            }
            tokio::time::sleep(if refused { REFUSED } else { AGAIN }).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = stopping.cancelled() => {}
    }
}
