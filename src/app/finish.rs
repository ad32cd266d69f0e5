//! The helper of a dockmaster that replaces itself: `dockmaster finish`, which only dockmaster starts
//! (`operations::relay` says why, and who does what).

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::house::{DATABASE, House, LOOK_EVERY, unusable};
use super::{AppError, at_once};
use crate::domain::failure::Failure;
use crate::domain::project::Configuration;
use crate::history::lock::{DataLock, HelperLock, Holder, LockError};
use crate::history::relay::{self, Spare};
use crate::operations::Successor;

/// How long the dockmaster that is replaced may take to let go: it tells the chats first.
const LETS_GO: Duration = Duration::from_secs(300);

/// For how long a helper must be gone to be gone for good.
const GONE_FOR: Duration = Duration::from_secs(3);

/// What a helper is told.
#[derive(Debug)]
pub struct Finish {
    /// What `projects.json` says.
    pub configuration: Configuration,
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
/// where it is not, undoes everything.
///
/// # Errors
/// It cannot begin. The operation is then where it was.
pub async fn finish(finish: Finish) -> Result<(), AppError> {
    let unheld = |e| AppError::Failed(format!("{} cannot be locked: {e}.", finish.data.display()));
    let Some(_helper) = HelperLock::take(&finish.data).map_err(unheld)? else {
        return Err(AppError::Failed("Another helper is at work.".to_owned()));
    };
    let Some(lock) = finish.hold().await? else { return Ok(()) };
    let house = finish.house(lock, None).await?;
    house.desk.at_rest().await;
    let unread = |e| AppError::Failed(format!("How the operation stands cannot be read: {e}."));
    if !house.desk.is_unfinished(finish.operation).await.map_err(unread)? {
        tracing::info!("the operation ended here; the next dockmaster tells how");
        house.close(&at_once()).await;
        return Ok(());
    }
    let database = finish.data.join(DATABASE);
    // Before a newer dockmaster may bring it into a format that this one does not know.
    let spare = spare(&database).await?;
    let desk = house.desk.clone();
    house.close(&at_once()).await;
    let given_up = tokio::select! {
        given_up = desk.watch_successor(finish.operation, &database) => given_up,
        () = finish.shutdown.cancelled() => None,
    };
    let Some(why) = given_up else { return Ok(()) };
    tracing::error!(operation = finish.operation, why = %why, "the dockmaster that came up is given up");
    desk.stop_successor(finish.operation).await;
    // Whatever has the old file open would write beside the new one.
    drop(desk);
    finish.undo(spare, why).await
}

impl Finish {
    async fn undo(&self, spare: Spare, why: Failure) -> Result<(), AppError> {
        let Some(lock) = self.hold().await? else { return Ok(()) };
        let replaced = tokio::task::spawn_blocking(move || spare.replace_newer()).await;
        if replaced.map_err(|died| unusable(&self.data, died))?.map_err(|e| unusable(&self.data, e))? {
            tracing::warn!("the history is the one from before again: the newer one was in a format that is not known here");
        }
        let house = self.house(lock, Some(why)).await?;
        house.desk.at_rest().await;
        let desk = house.desk.clone();
        house.close(&at_once()).await;
        desk.start_successor(self.operation).await;
        Ok(())
    }

    async fn house(&self, lock: DataLock, given_up: Option<Failure>) -> Result<House, AppError> {
        let successor = Successor::Helper { operation: self.operation, given_up };
        // Not ended by `shutdown`: a step that has begun is finished, and what is left then is the next dockmaster's.
        let stopping = CancellationToken::new();
        House::open_as(lock, self.configuration.clone(), self.docker_host.clone(), self.data.clone(), stopping, &successor).await
    }

    /// Takes the data directory as soon as it is let go. None where whoever had it has brought the operation to its end: one
    /// that waited for a helper that was killed, and did not wait for the one that took its place.
    async fn hold(&self) -> Result<Option<DataLock>, AppError> {
        let until = Instant::now() + LETS_GO;
        loop {
            match DataLock::take(&self.data, Holder::Helper) {
                Ok(lock) => return Ok(Some(lock)),
                Err(LockError::Taken { .. }) if Instant::now() < until && !self.shutdown.is_cancelled() => {}
                Err(error) => return Err(AppError::Failed(format!("{error}."))),
            }
            if relay::progress(&self.data.join(DATABASE), self.operation).await.is_ok_and(|seen| seen.ended) {
                return Ok(None);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

async fn spare(database: &Path) -> Result<Spare, AppError> {
    let path = database.to_owned();
    let made = tokio::task::spawn_blocking(move || Spare::of(&path)).await;
    made.map_err(|died| unusable(database, died))?.map_err(|e| unusable(database, e))
}

/// Waits, for a dockmaster that handed over to a helper, until that is gone: either we are ended before, or it did not come
/// to that. One that was killed is started again by the engine.
pub(super) async fn wait_for_helper(data: &Path, shutdown: &CancellationToken, waiting: impl Fn()) {
    let mut seen = Instant::now();
    while seen.elapsed() < GONE_FOR && !shutdown.is_cancelled() {
        waiting();
        if HelperLock::is_held(data) {
            seen = Instant::now();
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}
