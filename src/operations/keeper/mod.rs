//! The configuration in force: read from files, kept as versions, replaced as a whole or not at all.
//!
//! One task has it all, so that a save, a request for a reload and a look never meet. Whoever needs the configuration
//! holds a receiver and sees the old one or the new one, never something between.

mod apply;
mod back;
mod concerns;
mod parts;
mod start;
mod take;
mod watch;
mod write;

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
use crate::domain::reload::{Applied, Reloaded, Standing};
use crate::domain::snapshot::{Cause, VersionPlan};
use crate::domain::untrusted::UntrustedText;
use crate::history::{History, HistoryError};
use parts::Parts;
pub use parts::{Taken, Takeover};
pub(super) use start::plan_only;
pub use start::{Beginning, begin, look_only};
pub(super) use take::{admins, tell_admins};
use watch::Watcher;

use super::desk::Refusal;
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
    /// Say what going back to a version would do.
    Plan(i64, oneshot::Sender<Result<VersionPlan, Refusal>>),
    /// Go back to a version.
    GoBack(Return, oneshot::Sender<Result<Applied, Refusal>>),
}

/// A wish to go back to a version.
#[derive(Debug)]
pub(super) struct Return {
    /// The version.
    pub(super) to: i64,
    /// The digest of the plan that was confirmed.
    pub(super) digest: String,
    /// Who confirmed it.
    pub(super) who: UntrustedText,
    /// Where they are answered.
    pub(super) asker: Option<ChatId>,
}

/// The way to the keeper. Clones lead to the same one.
#[derive(Debug, Clone)]
pub struct Keeper {
    asks: mpsc::Sender<Ask>,
    standing: latest::Receiver<Standing>,
    parts: Parts,
    /// Whether files may be watched at all.
    hot: bool,
    /// How often it was asked to read the files.
    asked_for: Arc<latest::Sender<u64>>,
}

impl Keeper {
    /// Whether files may be watched at all (`DOCKMASTER_HOT_RELOAD`).
    pub fn is_hot(&self) -> bool {
        self.hot
    }

    /// Tells when somebody asks for a reload: what else is read from files is to be read, too.
    pub fn asked_for(&self) -> latest::Receiver<u64> {
        self.asked_for.subscribe()
    }

    /// How the configuration stands.
    pub fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// The same, and whenever it changes.
    pub(super) fn standings(&self) -> latest::Receiver<Standing> {
        self.standing.clone()
    }

    /// A part that is told of every change from now on, until the receiver is dropped.
    pub fn part(&self, name: &'static str) -> mpsc::Receiver<Takeover> {
        self.parts.add(name)
    }

    /// Reads the files now. Admins are told but for the one in this chat, who is answered. None where the keeper ended.
    pub async fn reload(&self, cause: Cause, asker: Option<ChatId>) -> Option<Reloaded> {
        self.asked_for.send_modify(|times| *times = times.wrapping_add(1));
        self.ask(|answer| Ask::Reload(cause, asker, answer)).await
    }

    /// Keeps what is in force as a version of its own. None where the keeper ended.
    pub(super) async fn keep(&self, cause: Cause) -> Option<Result<i64, HistoryError>> {
        self.ask(|answer| Ask::Keep(cause, answer)).await
    }

    /// What going back to a version would do. None where the keeper ended.
    pub(super) async fn plan(&self, to: i64) -> Option<Result<VersionPlan, Refusal>> {
        self.ask(|answer| Ask::Plan(to, answer)).await
    }

    /// Goes back to a version. Admins are told but for the one who is answered. None where the keeper ended.
    pub(super) async fn go_back(&self, wanted: Return) -> Option<Result<Applied, Refusal>> {
        self.ask(|answer| Ask::GoBack(wanted, answer)).await
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.asks.send(ask(answer)).await.ok()?;
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
    /// Cancelled when dockmaster stops.
    pub stopping: CancellationToken,
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
    /// Where what is in force is pinned over the files: their hash. It holds until they are changed.
    pinned_over: Option<blake3::Hash>,
    /// The hash of the files whose rejection was told last, with what is wrong with them.
    told: Option<blake3::Hash>,
    watcher: Watcher,
    parts: Parts,
    asks: mpsc::Receiver<Ask>,
}

impl Keeping {
    /// Keeps it until dockmaster stops.
    pub async fn run(mut self) {
        let stopping = self.around.stopping.clone();
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
            Ask::Plan(to, answer) => {
                let _ = answer.send(self.plan_back(to).await);
            }
            Ask::GoBack(wanted, answer) => {
                let _ = answer.send(self.go_back(wanted).await);
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
