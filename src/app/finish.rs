//! The helper of a dockmaster that replaces itself: `dockmaster finish`, which only dockmaster starts
//! (`operations::relay` says why, and who does what).

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::held::{Held, LOOK_EVERY, settled};
use super::house::{Given, House, unusable};
use super::{AppError, at_once, engine, now};
use crate::domain::outcome::Outcome;
use crate::history::DATABASE;
use crate::history::lock::{DataLock, HelperLock, Holder, LockError};
use crate::history::relay::{self, Spare};
use crate::operations::{NextOne, Successor};

/// How long the dockmaster that is replaced may take to let go: it tells the chats first.
const LETS_GO: Duration = Duration::from_secs(3_600);
/// How long another helper may take to leave.
const LEAVES: Duration = Duration::from_secs(2);

/// For how long a helper must be gone to be gone for good.
const GONE_FOR: Duration = Duration::from_secs(3);

/// What a helper is told.
#[derive(Debug)]
pub struct Finish {
    /// Where the configuration is.
    pub given: Given,
    /// Where the engine is (`DOCKER_HOST`); the usual socket unless told.
    pub docker_host: Option<String>,
    /// The data directory.
    pub data: PathBuf,
    /// The operation that was handed over.
    pub operation: i64,
    /// Cancelled to end it.
    pub shutdown: CancellationToken,
}

/// Takes the steps of an operation that end dockmaster itself, and watches until the next dockmaster is done with the rest;
/// where it is not, undoes everything. Started again after it was killed, it goes on where it was.
///
/// # Errors
/// It cannot begin, was ended, or no dockmaster runs at its end: the engine starts it again then.
pub async fn finish(finish: Finish) -> Result<(), AppError> {
    let finish = Finish { data: settled(&finish.data)?, ..finish };
    let _helper = finish.only_one().await?;
    let docker = engine(finish.docker_host.as_deref()).await?;
    let database = finish.data.join(DATABASE);
    let since = now();
    if let Some(lock) = finish.hold(&database, true).await? {
        match Spare::of(&database, finish.operation) {
            Ok(spare) => replace_newer(&spare, &database)?,
            Err(error) => tracing::warn!(%error, "there is no copy of the history"),
        }
        finish.house(lock, None).await?.close(&at_once()).await;
    }
    let unread = |why: String| AppError::Failed(format!("How the operation stands cannot be read: {why}."));
    let seen = relay::progress(&database, Some(finish.operation)).await.map_err(|e| unread(e.to_string()))?;
    let seen = seen.ok_or_else(|| unread("it was never handed over".to_owned()))?;
    let configuration = finish.given.look(&finish.data).await?;
    let next = NextOne::of(docker, &configuration, &seen, since);
    let next = next.ok_or_else(|| AppError::Failed(format!("{} is no longer configured.", seen.project)))?;
    let mut undone = Ok(());
    if !seen.ended {
        let given_up = tokio::select! {
            given_up = next.watch(&database, &seen) => given_up,
            // Not 0: the operation has not ended, and whoever starts the engine again starts this again.
            () = finish.shutdown.cancelled() => return Err(AppError::Failed("Ended before the operation was.".to_owned())),
        };
        if let Some(outcome) = given_up {
            let why = outcome.failure.as_ref().map(ToString::to_string).unwrap_or_default();
            tracing::error!(operation = finish.operation, why, "the dockmaster that came up is given up");
            next.stop().await;
            undone = finish.undo(&database, outcome).await;
        }
    }
    // Also where the undo failed: what there is to run may get further than we did.
    let runs = next.ensure_running().await;
    undone?;
    Spare::discard(&database, finish.operation);
    if runs { Ok(()) } else { Err(AppError::Failed("No dockmaster runs.".to_owned())) }
}

/// Puts the history from before into the place of one in a format that is not known here.
fn replace_newer(spare: &Spare, database: &Path) -> Result<(), AppError> {
    if spare.replace_newer().map_err(|e| unusable(database, e))? {
        tracing::warn!("the history is the one from before again: the newer one was in a format that is not known here");
    }
    Ok(())
}

impl Finish {
    /// One helper at a time. Another one may just be leaving, and whoever looks for one holds the lock for a moment.
    async fn only_one(&self) -> Result<HelperLock, AppError> {
        let until = Instant::now() + LEAVES;
        loop {
            let taken = HelperLock::take(&self.data);
            match taken.map_err(|e| AppError::Failed(format!("{} cannot be locked: {e}.", self.data.display())))? {
                Some(lock) => return Ok(lock),
                None if Instant::now() >= until => return Err(AppError::Failed("Another helper is at work.".to_owned())),
                None => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    async fn undo(&self, database: &Path, outcome: Outcome) -> Result<(), AppError> {
        let Some(lock) = self.hold(database, false).await? else { return Ok(()) };
        if let Ok(spare) = Spare::of(database, self.operation) {
            replace_newer(&spare, database)?;
        }
        let house = self.house(lock, Some(Box::new(outcome))).await?;
        house.close(&at_once()).await;
        Ok(())
    }

    /// A house in which what is ours of the operation was done. Nothing else is begun in it.
    async fn house(&self, lock: DataLock, given_up: Option<Box<Outcome>>) -> Result<House, AppError> {
        let successor = Successor::Helper { operation: self.operation, given_up };
        // Not ended by `shutdown`: a step that has begun is finished, and what is left then is the next dockmaster's.
        let stopping = CancellationToken::new();
        let (given, docker_host) = (Given::once(&self.given.path), self.docker_host.clone());
        let held = Held { lock, data: self.data.clone(), told: self.data.clone() };
        let house = House::open_as(held, given, docker_host, stopping, &successor).await?;
        house.desk.refuse_new();
        house.desk.at_rest().await;
        Ok(house)
    }

    /// Takes the data directory as soon as it is let go. None where that is not needed: the operation has ended, or, where
    /// that `may_be_ahead`, the next dockmaster is at the rest of it already, since an earlier helper was killed after its part.
    async fn hold(&self, database: &Path, may_be_ahead: bool) -> Result<Option<DataLock>, AppError> {
        let until = Instant::now() + LETS_GO;
        loop {
            let seen = relay::progress(database, Some(self.operation)).await.ok().flatten();
            if seen.as_ref().is_some_and(|seen| seen.ended) {
                return Ok(None);
            }
            match DataLock::take(&self.data, Holder::Helper) {
                Ok(lock) => return Ok(Some(lock)),
                Err(LockError::Taken { .. }) if may_be_ahead && seen.is_some_and(|seen| seen.steps_since > 0 && seen.why.is_none()) => {
                    return Ok(None);
                }
                Err(LockError::Taken { .. }) if Instant::now() < until && !self.shutdown.is_cancelled() => {}
                Err(error) => return Err(AppError::Failed(format!("{error}."))),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Waits, for a dockmaster that handed over to a helper, until that is gone: either we are ended before, or it did not come
/// to that. One that was killed is started again by the engine.
pub(super) async fn wait_for_helper(data: &Path, shutdown: &CancellationToken, waiting: impl Fn()) {
    let mut seen = Instant::now();
    while seen.elapsed() < GONE_FOR && !shutdown.is_cancelled() {
        waiting();
        // It has taken a step that did not end us: nothing of us had changed. What follows is ours.
        if relay::progress(&data.join(DATABASE), None).await.is_ok_and(|seen| seen.is_some_and(|seen| seen.steps_since > 0)) {
            return;
        }
        if HelperLock::is_held(data) {
            seen = Instant::now();
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}
