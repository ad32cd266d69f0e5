//! Waiting for stops that the engine is still carrying out: whoever asked for them was killed, and until they are over a container
//! that will be down in a moment looks as if it ran.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::acts::needs_engine;
use super::runner::Job;
use crate::domain::container::Container;
use crate::domain::event::Progress;
use crate::domain::project::ServiceName;
use crate::engine::docker::EngineError;

/// How often a container is inspected at least while it is being stopped.
const EVERY: Duration = Duration::from_millis(250);

/// Waits until the engine stops none of the containers that an operation touches, each for as long as its stop may take at most,
/// or until dockmaster stops. What cannot be found out is logged: verification sees how the services are.
pub(super) async fn settle(job: &Job) {
    if !needs_engine(&job.tools, &job.project) {
        return;
    }
    tokio::select! {
        settled = try_settle(job) => if let Err(error) = settled {
            tracing::warn!(operation = job.operation, %error, "whether the engine is still stopping a container is not known");
        },
        () = job.tools.stopping.cancelled() => {}
    }
}

async fn try_settle(job: &Job) -> Result<(), EngineError> {
    let (tools, affected) = (&job.tools, job.plan.affected().map(|planned| &planned.service).collect::<BTreeSet<&ServiceName>>());
    let mut containers = tools.docker.containers(&tools.look_at(&job.project)).await?;
    containers.retain(|c| c.may_run() && affected.contains(&c.service));
    if containers.is_empty() {
        return Ok(());
    }
    let remaining = tools.docker.pending_stops(&containers, job.project.restart.stop_timeout).await?;
    let pending = containers.iter().zip(remaining).filter_map(|(container, left)| Some((container, left?)));
    join_all(pending.map(|(container, left)| stopped(job, container, left))).await;
    Ok(())
}

/// Waits until a container has stopped or started again, `within` at most.
pub(super) async fn stopped(job: &Job, container: &Container, within: Duration) {
    tracing::info!(operation = job.operation, container = container.name, ?within, "waiting for the engine to finish a stop");
    job.recorder.service(container.service.as_str(), Progress::Working, "waiting for the engine to finish stopping it");
    let (until, mut events) = (Instant::now() + within, job.tools.docker.told());
    while Instant::now() < until {
        events.mark_unchanged();
        match job.tools.seen(container).await {
            Ok(Some(now)) if now.may_run() && now.started == container.started => {}
            Ok(_) => return,
            Err(error) => tracing::debug!(operation = job.operation, %error, "a container cannot be inspected"),
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            Ok(()) = events.changed() => {}
        }
    }
}
