//! Keeping the images that services run, under tags of dockmaster's own.
//!
//! With the containerd image store (the default of a new Engine 29) a build that moves the tag of a running image removes that image
//! at once: a deploy that fails after it could not be undone. So what compose projects run is tagged as soon as it is seen running,
//! and the tag goes when no container was made from the image any more; releases have tags of their own.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep_until};

use super::desk::Desk;
use crate::domain::container::Container;
use crate::domain::project::{Project, Source};
use crate::engine::compose::{RUNNING, running_tag};
use crate::engine::docker::EngineError;
use crate::engine::events::Change;

/// After a change is waited so long for more of them.
const BURST: Duration = Duration::from_millis(200);
/// How long after the start, where the engine reports no events.
const FIRST: Duration = Duration::from_secs(1);
/// The least time between two looks: a project of hundreds of containers is restarted one by one.
const PACE: Duration = Duration::from_secs(2);
/// How soon after a change of containers that no project has: what they were made from may be needed no more.
const OTHERS: Duration = Duration::from_secs(600);
/// How soon again, where not everything could be tagged.
const RETRY: Duration = Duration::from_secs(10);

impl Desk {
    /// Keeps the images that compose projects run, until dockmaster stops.
    pub async fn keep_running_images(&self) {
        tokio::select! {
            () = self.keep_images_of_changes() => {}
            () = self.stopping().cancelled() => {}
        }
    }

    async fn keep_images_of_changes(&self) {
        let (mut changes, mut events) = (self.tools.docker.changes(), self.tools.docker.told());
        let (mut configuration, mut following) = (self.configured(), false);
        // Soon the events are followed, and that is when it is looked first; where they are not, it is looked all the same.
        let (mut soonest, mut due) = (Instant::now(), Some(Instant::now() + FIRST));
        loop {
            tokio::select! {
                change = changes.recv() => match change {
                    Ok(change) if !change.makes_or_ends() => continue,
                    Ok(change) if !self.concerns_composed(&change) => {
                        due.get_or_insert_with(|| Instant::now() + OTHERS);
                        continue;
                    }
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                },
                changed = events.changed() => {
                    let before = std::mem::replace(&mut following, events.borrow_and_update().following);
                    if changed.is_err() {
                        return;
                    }
                    // Nobody has told what happened until then.
                    if before || !following {
                        continue;
                    }
                }
                changed = configuration.changed() => if changed.is_err() {
                    return;
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    soonest = Instant::now() + PACE;
                    due = match self.keep_images().await {
                        Ok(true) => None,
                        Ok(false) => Some(soonest),
                        Err(error) => {
                            tracing::debug!(%error, "the images that services run could not all be kept");
                            Some(Instant::now() + RETRY)
                        }
                    };
                    continue;
                }
            }
            due = Some(soonest.max(Instant::now() + BURST));
        }
    }

    /// Whether a change is one of a compose project that is configured: others on the engine are nobody's here.
    fn concerns_composed(&self, change: &Change) -> bool {
        let configuration = self.configuration();
        let mut composed = configuration.enabled().filter(|project| matches!(project.source, Source::Compose(_)));
        composed.any(|project| self.tools.look_at(project).may_see(change))
    }

    /// Tags what runs, and takes the tags off that are needed no more; whether that is all. A project at which an operation is at work
    /// waits for its end: what the operation needs it tags itself.
    async fn keep_images(&self) -> Result<bool, EngineError> {
        let configuration = self.configuration();
        let tools = &self.tools;
        let mut tags = tools.docker.tags(&format!("dockmaster/*/*:{RUNNING}*-{}", tools.instance)).await?;
        let (mut wanted, mut all) = (BTreeSet::new(), true);
        for project in configuration.enabled().filter(|project| matches!(project.source, Source::Compose(_))) {
            if tools.registry.holder(&project.name).is_some() {
                all = false;
                continue;
            }
            for container in tools.glance(project).await? {
                let tag = running_tag(&project.name, &container.service, &container.image_id, &tools.instance);
                if container.may_run() && !container.image_id.is_empty() && !tags.contains_key(&tag) {
                    self.keep_image(project, &container, &tag).await?;
                }
                wanted.insert(tag);
            }
        }
        tags.retain(|tag, _| !wanted.contains(tag));
        if tags.is_empty() || !all {
            return Ok(all);
        }
        let in_use = tools.docker.images_in_use().await?;
        for (tag, _) in tags.iter().filter(|(_, image)| !in_use.contains(*image)) {
            tools.docker.untag(tag).await?;
        }
        Ok(true)
    }

    async fn keep_image(&self, project: &Project, container: &Container, tag: &str) -> Result<(), EngineError> {
        match self.tools.docker.tag(&container.image_id, tag).await {
            Err(EngineError::Gone(_)) => {
                tracing::warn!(project = %project.name, container = container.name, "the image that it runs is gone from the engine: a deploy could not be undone");
                Ok(())
            }
            tagged => tagged,
        }
    }
}
