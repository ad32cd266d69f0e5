//! Starts, stops and restarts that a crash interrupted.

use std::collections::BTreeSet;

use super::ending::{after, as_it_is_now};
use super::lifecycle::{Act, act, watch};
use super::pending_stops;
use super::runner::Job;
use crate::domain::outcome::{Outcome, ServiceOutcome};
use crate::domain::plan::{Plan, Step};
use crate::domain::project::ServiceName;
use crate::domain::request::Kind;
use crate::domain::text::listing;
use crate::engine::docker::EngineError;

/// Takes up a start, stop or restart that a crash interrupted: waits until the engine has finished what it was asked for, starts
/// again what a restart had stopped, and verifies what should run. Nothing else of the plan is run. None where dockmaster is
/// stopping meanwhile.
pub(super) async fn recover_services(job: &Job, begun: usize, mut outcome: Outcome) -> Option<Outcome> {
    pending_stops::settle(job).await;
    let touched = touched_services(&job.plan, begun);
    if job.plan.kind() == Kind::Restart {
        start_again(job, &touched).await;
    }
    let seen = match (job.plan.kind(), running(job, &touched).await) {
        (Kind::Stop, Ok(running)) => {
            for service in &touched {
                let is_up = running.contains(service);
                let seen = if is_up { "still running" } else { "stopped" }.to_owned();
                job.note(vec![ServiceOutcome { service: service.to_string(), good: !is_up, seen }]);
            }
            Ok(None)
        }
        // A start that was not asked of the engine any more is not run by itself.
        (Kind::Start, Ok(running)) => {
            for service in touched.difference(&running) {
                job.note(vec![ServiceOutcome { service: service.to_string(), good: false, seen: "not started".to_owned() }]);
            }
            watch(job, &running).await
        }
        (_, Ok(_)) => watch(job, &touched).await,
        (_, Err(error)) => Err(error.failure("It is not known how the services are.").into()),
    };
    if job.tools.stopping.is_cancelled() {
        return None;
    }
    match seen {
        Ok(_) if job.plan.kind() == Kind::Restart => {
            outcome.now = format!("{}: {} up after the interruption.", job.project.name, listing(&touched, 6));
        }
        Ok(_) => {}
        Err(stop) => {
            let first = outcome.failure.take();
            outcome.failure = Some(after(first, stop.into_failure()));
        }
    }
    Some(as_it_is_now(job, Outcome { services: job.noted(), ..outcome }).await)
}

/// The services of the steps that were begun.
fn touched_services(plan: &Plan, begun: usize) -> BTreeSet<ServiceName> {
    let of = |step: &Step| match step {
        Step::Stop { services } | Step::Start { services } | Step::Restart { services } | Step::Up { services } => services.clone(),
        _ => Vec::new(),
    };
    plan.steps.iter().take(begun).flat_map(of).collect()
}

/// Those of some services of which something runs.
async fn running(job: &Job, services: &BTreeSet<ServiceName>) -> Result<BTreeSet<ServiceName>, EngineError> {
    let all = job.tools.containers_for(&job.project, services).await?;
    Ok(all.into_iter().filter(|c| c.runs() && services.contains(&c.service)).map(|c| c.service).collect())
}

/// Starts what a restart has stopped and not started again, in the plan's order. What does not come up is seen by whoever verifies.
async fn start_again(job: &Job, touched: &BTreeSet<ServiceName>) {
    let Ok(all) = job.tools.containers_for(&job.project, touched).await else { return };
    let is_down = |service: &ServiceName| all.iter().any(|c| c.service == *service && !c.runs() && !c.is_done());
    let ordered = job.plan.steps.iter().filter_map(|step| match step {
        Step::Start { services } | Step::Restart { services } => Some(services),
        _ => None,
    });
    for services in ordered {
        let down: Vec<ServiceName> = services.iter().filter(|s| touched.contains(*s) && is_down(s)).cloned().collect();
        if down.is_empty() {
            continue;
        }
        if let Err(stop) = act(job, Act::Start, &down).await {
            tracing::warn!(operation = job.operation, why = %stop.into_failure(), "what was stopped did not come back well");
        }
    }
}
