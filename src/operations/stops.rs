//! Who stopped what is down: an operation of ours, a person by hand while dockmaster looked on, or an engine that was killed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;

use super::desk::Desk;
use super::tools::Tools;
use crate::domain::container::{Container, State};
use crate::domain::project::ServiceName;
use crate::engine::events::Change;

/// How long the engine may take to say that it is still there.
const ALIVE_LIMIT: Duration = Duration::from_secs(3);

/// How long before an engine's beginning a container may have ended because of it: it stops, first of all, what still runs, and each may
/// take its time.
const GRACE: Duration = Duration::from_secs(60);

/// The services that a person stopped and that have been down since, and who it was: `stopped by Ann`.
pub(super) async fn stopped(tools: &Tools, containers: &[Container]) -> BTreeMap<ServiceName, String> {
    let ended = |c: &&Container| matches!(c.state, State::Exited | State::Dead);
    let ids: Vec<String> = containers.iter().filter(ended).map(|c| c.id.clone()).collect();
    if ids.is_empty() {
        return BTreeMap::new();
    }
    let known = match tools.history.stops_of(ids).await {
        Ok(known) => known,
        Err(error) => {
            tracing::warn!(%error, "who stopped what cannot be read");
            return BTreeMap::new();
        }
    };
    let mut found = BTreeMap::new();
    for container in containers.iter().filter(ended) {
        // A restart by hand stops, too, and starts a moment later.
        let Some(stop) = known.get(&container.id).filter(|stop| stop.at >= container.started.unwrap_or_default()) else { continue };
        let by = stop.by.as_ref().map_or_else(|| "by hand".to_owned(), |actor| format!("by {}", actor.label()));
        found.entry(container.service.clone()).or_insert_with(|| format!("stopped {by}"));
    }
    // One of several that runs, or ended by itself, is another matter.
    found.retain(|service, _| {
        let mut of_service = containers.iter().filter(|c| c.service == *service);
        of_service.all(|c| known.contains_key(&c.id))
    });
    found
}

/// The containers that ran until the engine was killed and that it does not start again, by their ids. What somebody `stopped` is none.
pub(super) async fn down_since_engine(
    tools: &Tools,
    containers: &[Container],
    stopped: &BTreeMap<ServiceName, String>,
) -> BTreeSet<String> {
    let may_be: Vec<&Container> = containers.iter().filter(|c| may_be_down_since_engine(c) && !stopped.contains_key(&c.service)).collect();
    if may_be.is_empty() {
        return BTreeSet::new();
    }
    let began = match tools.docker.began().await {
        Ok(Some(began)) => began,
        Ok(None) => return BTreeSet::new(),
        Err(error) => {
            tracing::debug!(%error, "when the engine began is not known");
            return BTreeSet::new();
        }
    };
    // The engine stops all of them at once and waits for the slowest before it goes on.
    let slowest = containers.iter().filter_map(|c| c.stop_timeout).max().unwrap_or_default().max(GRACE);
    let before = began - i64::try_from(slowest.as_millis()).unwrap_or(i64::MAX / 2);
    let of_it = may_be.into_iter().filter(|c| c.finished.is_some_and(|finished| (before..=began).contains(&finished)));
    of_it.map(|c| c.id.clone()).collect()
}

/// Whether a container is one that an engine which was killed leaves down: it starts those with `always` and `on-failure` again, after
/// an orderly end all of them.
fn may_be_down_since_engine(container: &Container) -> bool {
    container.state == State::Exited && container.unless_stopped && container.error.is_empty()
}

impl Tools {
    /// Keeps that an operation stopped containers, as somebody wanted.
    pub(super) async fn keep_stops(&self, containers: &[Container], operation: i64) {
        let ids = containers.iter().map(|c| c.id.clone()).collect();
        if let Err(error) = self.history.stops_keep(ids, Some(operation), (self.clock)()).await {
            tracing::warn!(operation, %error, "who stopped what could not be kept");
        }
    }
}

impl Desk {
    /// Keeps what is stopped by hand, as the engine tells it, until dockmaster stops.
    pub async fn watch_stops(&self) {
        let work = async {
            let mut changes = self.tools.docker.changes();
            loop {
                match changes.recv().await {
                    Ok(change) => self.see_stop(&change).await,
                    Err(RecvError::Lagged(missed)) => {
                        tracing::debug!(missed, "changes were told too fast to look for stops in all of them")
                    }
                    Err(RecvError::Closed) => return,
                }
            }
        };
        tokio::select! {
            () = work => {}
            () = self.stopping().cancelled() => {}
        }
    }

    async fn see_stop(&self, change: &Change) {
        let Some((container, at)) = change.stopped() else { return };
        let projects = self.projects_that(|look| look.may_see(change));
        // What an operation stops it either means to, and then keeps itself, or starts again.
        if projects.is_empty() || projects.iter().any(|project| self.tools.registry.holder(project).is_some()) {
            return;
        }
        // An engine that is being stopped tells the same of every container, and answers nobody any more.
        let seen = tokio::time::timeout(ALIVE_LIMIT, self.tools.docker.container(container)).await;
        if !matches!(seen, Ok(Ok(Some(_)))) {
            return;
        }
        if let Err(error) = self.tools.history.stops_keep(vec![container.to_owned()], None, at).await {
            tracing::warn!(container, %error, "that it was stopped by hand could not be kept");
        }
    }
}
