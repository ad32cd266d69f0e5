//! The history is watched while dockmaster runs: what is lost is told, and a backup is kept.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::desk::Desk;
use crate::domain::notice::Notice;
use crate::history::{History, Lost};

/// How often it is looked whether the file is in its place.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How soon after something that matters the backup is made, and the shortest time between two.
const BACKUP_SOON: Duration = Duration::from_secs(10);
/// How often the backup is made where nothing of that kind was written.
const BACKUP_EVERY: Duration = Duration::from_secs(3_600);

impl Desk {
    /// Restores what is lost of the history, tells the admins, and keeps the backup up to date, until it is aborted.
    pub async fn look_after_history(&self, history: History) {
        let (mut next, mut away) = (Instant::now(), false);
        loop {
            match history.look_after().await {
                Ok(()) if std::mem::take(&mut away) => tracing::info!("the history can be written again"),
                Ok(()) => {}
                Err(error) if !std::mem::replace(&mut away, true) => tracing::error!(%error, "the history cannot be written"),
                Err(_) => {}
            }
            for Lost { how, from, aside } in history.take_lost() {
                tracing::error!(how = how.word(), ?from, aside, "the history was lost, and restored");
                self.tell_admins(&Notice::DatabaseLost { how, from, aside }).await;
            }
            if !away && next <= Instant::now() {
                if let Err(error) = history.back_up().await {
                    tracing::warn!(%error, "the backup of the history could not be made; the one from before is kept");
                }
                next = Instant::now() + BACKUP_EVERY;
            }
            tokio::select! {
                () = sleep(LOOK_EVERY) => {}
                () = history.woken() => next = next.min(Instant::now() + BACKUP_SOON),
            }
        }
    }
}
