//! What changes with the processes of a project, as their keepers say it.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::wire::{self, Ask};
use super::{Host, ProcessKey};
use crate::domain::project::ProjectName;

/// How often is looked for processes that are new, and for keepers that are there again.
const LOOK: Duration = Duration::from_secs(1);

/// Reports changes of the processes of a project, until it is dropped.
#[derive(Debug)]
pub struct Changes {
    changed: mpsc::Receiver<()>,
    _watched: AbortOnDropHandle<()>,
}

impl Changes {
    pub(super) fn new(host: Host, project: ProjectName) -> Self {
        // Whoever did not look yet will see all of it at once.
        let (tell, changed) = mpsc::channel(1);
        Self { changed, _watched: AbortOnDropHandle::new(tokio::spawn(watch_all(host, project, tell))) }
    }

    /// Waits until something has changed since this was asked last, or since it was made. Look then: it does not say what.
    pub async fn next(&mut self) {
        if self.changed.recv().await.is_none() {
            // Nothing is watched any more.
            std::future::pending::<()>().await;
        }
    }
}

async fn watch_all(host: Host, project: ProjectName, tell: mpsc::Sender<()>) {
    let (mut watched, mut known, mut first) = (JoinSet::new(), BTreeSet::new(), true);
    loop {
        for key in host.keys(|name| *name == project).unwrap_or_default() {
            if known.insert(key.clone()) {
                if !first {
                    let _ = tell.try_send(());
                }
                watched.spawn(watch_one(host.clone(), key, tell.clone()));
            }
        }
        first = false;
        tokio::select! {
            () = sleep(LOOK) => {}
            // One that was forgotten may come back.
            Some(Ok(gone)) = watched.join_next() => {
                known.remove(&gone);
                sleep(LOOK).await;
            }
        }
    }
}

/// Tells of everything that the keeper of one process says, and of its coming and going.
async fn watch_one(host: Host, key: ProcessKey, tell: mpsc::Sender<()>) -> ProcessKey {
    let mut first = true;
    while let Ok(place) = host.known(&key) {
        if let Ok(Some(mut call)) = wire::ask(&place, &Ask::Watch).await {
            while call.next().await.is_some() {
                // The first answer is how it stands anyway.
                if !std::mem::take(&mut first) {
                    let _ = tell.try_send(());
                }
            }
            let _ = tell.try_send(());
        }
        first = false;
        sleep(LOOK).await;
    }
    key
}
