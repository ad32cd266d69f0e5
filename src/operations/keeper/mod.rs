//! The configuration in force: read from files, kept as versions, replaced as a whole or not at all.
//!
//! One task has it all, so that a save, a request for a reload and a look never meet. Whoever needs the configuration
//! holds a receiver and sees the old one or the new one, never something between.

mod concerns;
mod parts;
mod start;
mod take;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch as latest};
use tokio_util::sync::CancellationToken;

use crate::config::Sources;
use crate::domain::Millis;
use crate::domain::access::ChatId;
use crate::domain::environment::Environment;
use crate::domain::health::Part;
use crate::domain::project::Configuration;
use crate::domain::reload::{Reloaded, Standing};
use crate::domain::snapshot::Cause;
use crate::history::{History, HistoryError};
use parts::Parts;
pub use parts::Takeover;
pub use start::{Beginning, begin, look_only};
use watch::Watcher;

use super::tools::Clock;
use super::vitals::Vitals;

/// How many requests may wait for the keeper.
const REQUESTS_MAX: usize = 16;

/// What the keeper is asked.
#[derive(Debug)]
enum Ask {
    /// Read the files now.
    Reload(Cause, Option<ChatId>, oneshot::Sender<Reloaded>),
    /// Keep what is in force as a version of its own.
    Keep(Cause, oneshot::Sender<Result<i64, HistoryError>>),
}

/// The way to the keeper. Clones lead to the same one.
#[derive(Debug, Clone)]
pub struct Keeper {
    asks: mpsc::Sender<Ask>,
    standing: latest::Receiver<Standing>,
    parts: Parts,
}

impl Keeper {
    /// How the configuration stands.
    pub fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// A part that is told of every change from now on, until the receiver is dropped.
    pub fn part(&self, name: &'static str) -> mpsc::Receiver<Takeover> {
        self.parts.add(name)
    }

    /// Reads the files now. Admins are told but for the one in this chat, who is answered. None where the keeper ended.
    pub async fn reload(&self, cause: Cause, asker: Option<ChatId>) -> Option<Reloaded> {
        let (answer, answered) = oneshot::channel();
        self.asks.send(Ask::Reload(cause, asker, answer)).await.ok()?;
        answered.await.ok()
    }

    /// Keeps what is in force as a version of its own. None where the keeper ended.
    pub(super) async fn keep(&self, cause: Cause) -> Option<Result<i64, HistoryError>> {
        let (answer, answered) = oneshot::channel();
        self.asks.send(Ask::Keep(cause, answer)).await.ok()?;
        answered.await.ok()
    }
}

/// What a keeper works with.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Where versions are kept.
    pub history: History,
    /// The time.
    pub clock: Clock,
    /// When each part of dockmaster was heard from.
    pub vitals: Vitals,
    /// Whether files may be watched at all (`DOCKMASTER_HOT_RELOAD`).
    pub hot: bool,
    /// Where we run.
    pub environment: Environment,
}

/// The keeper's own: what is in force, and what was seen last.
pub struct Keeping {
    path: PathBuf,
    around: Surroundings,
    sources: Sources,
    in_force: latest::Sender<Arc<Configuration>>,
    standing: latest::Sender<Standing>,
    /// The hash of the files whose rejection was told last, with what is wrong with them.
    told: Option<blake3::Hash>,
    watcher: Watcher,
    parts: Parts,
    asks: mpsc::Receiver<Ask>,
}

impl Keeping {
    /// Keeps it until it is told to stop.
    pub async fn run(mut self, stopping: CancellationToken) {
        loop {
            let (vitals, clock) = (self.around.vitals.clone(), self.around.clock);
            // What is wrong may be put right without a save: a directory that is made.
            let restless = self.standing.borrow().rejected.is_some();
            tokio::select! {
                () = stopping.cancelled() => return,
                ask = self.asks.recv() => match ask {
                    Some(ask) => self.answer(ask).await,
                    None => return,
                },
                () = self.watcher.changed(restless, || vitals.beat(Part::Configuration, clock())) => {
                    self.take(Cause::Saved, None).await;
                }
            }
        }
    }

    async fn answer(&mut self, ask: Ask) {
        // Whoever asked may have gone.
        match ask {
            Ask::Reload(cause, asker, answer) => {
                let came = self.take(cause, asker).await;
                let _ = answer.send(came);
            }
            Ask::Keep(cause, answer) => {
                let _ = answer.send(self.keep_version(cause).await);
            }
        }
    }

    fn now(&self) -> Millis {
        (self.around.clock)()
    }

    fn configuration(&self) -> Arc<Configuration> {
        self.in_force.borrow().clone()
    }
}

#[cfg(test)]
mod tests;
