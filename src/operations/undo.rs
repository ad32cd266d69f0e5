//! Putting production back after an operation that failed, was cancelled or was cut off.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::acts::needs_engine;
use super::deploy;
use super::managed;
use super::pending_stops;
use super::recorder::{KEPT_AT_ONCE, insist};
use super::relay;
use super::runner::{Job, execute};
use crate::domain::event::Event;
use crate::domain::failure::Failure;
use crate::domain::outcome::{Outcome, Verdict};
use crate::domain::plan::{Action, Step};
use crate::domain::project::ServiceName;
use crate::domain::text::listing;
use crate::history::releases::Move;

/// How long an undo waits for an engine that is away, and how often it looks.
const ENGINE_PATIENCE: Duration = Duration::from_secs(90);
const ENGINE_LOOK: Duration = Duration::from_millis(500);

/// Puts production back to what it was before, and says how that went. None where dockmaster is stopping meanwhile, or a
/// helper goes on.
pub(super) async fn undo(job: &Job, going: Move, services_touched: bool, outcome: Outcome) -> Option<Outcome> {
    let why = outcome.failure.as_ref().map(ToString::to_string).unwrap_or_default();
    tracing::warn!(operation = job.operation, base = going.base, why, "production is put back");
    let undone = match deploy::Undoing::of(job, going).await {
        Ok(undoing) => run_undo(job, undoing, services_touched, &outcome).await,
        Err(failure) => Err(failure),
    };
    let (now, failure) = match undone {
        Ok(false) => return None,
        Ok(true) => {
            deploy::remove_made_directories(job).await;
            (put_back(job, going).await, outcome.failure.map(|first| from_failed(job, first, Vec::new())))
        }
        Err(_) if job.tools.stopping.is_cancelled() => return None,
        Err(undo) => (not_undone(job, going, &undo), outcome.failure.map(|first| from_failed(job, first, undo.lines))),
    };
    Some(Outcome { now, failure, services: job.noted(), ..outcome })
}

/// Says which lines are from what failed, and which are from now.
fn from_failed(job: &Job, first: Failure, now: Vec<String>) -> Failure {
    if first.lines.is_empty() && now.is_empty() {
        return first;
    }
    let heading = |text: String, lines: Vec<String>| if lines.is_empty() { lines } else { [vec![text], lines].concat() };
    let release = job.plan.release.map_or_else(|| "what failed".to_owned(), |number| format!("release {number}, which failed"));
    let lines = [heading(format!("[from {release}]"), first.lines), heading("[from now]".to_owned(), now)].concat();
    Failure { lines, ..first }
}

/// Puts services back that have no files and were replaced, and says how that went. None where dockmaster is stopping meanwhile.
pub(super) async fn undo_services(job: &Job, outcome: Outcome) -> Option<Outcome> {
    let (project, replaced) = (&job.project.name, job.plan.replaced());
    if job.tools.stopping.is_cancelled() {
        return None;
    }
    // What was cut off is put right all the same: the old ones may be aside, and the new ones not made yet.
    if !job.project.deploy.auto_rollback && outcome.verdict == Verdict::Failed {
        managed::settle(&job.tools, &job.project, job.operation).await;
        let now = format!("{} Nothing is undone by itself (\"auto_rollback\": false).", outcome.now);
        return Some(Outcome { now, ..outcome });
    }
    let names = listing(&replaced, 6);
    tracing::warn!(operation = job.operation, services = names, "services are put back");
    job.services_go_back.store(true, Ordering::Relaxed);
    let steps = vec![Step::Up { services: job.plan.made() }, Step::Verify { services: replaced }];
    let (now, failure) = match take(job, steps, true, &outcome).await {
        Ok(false) => return None,
        Ok(true) => {
            let started = job.plan.services.iter().filter(|s| s.action == Action::Start).map(|s| &s.service);
            // Of what was only started nothing was replaced, and whoever asked for it wants it to run.
            let stays =
                if started.clone().count() == 0 { String::new() } else { format!(" Started all the same: {}.", listing(started, 6)) };
            (format!("Everything was put back: {names} of {project} runs what it ran before.{stays}"), outcome.failure)
        }
        Err(_) if job.tools.stopping.is_cancelled() => return None,
        Err(undo) => {
            let now = format!("It could not be undone either: {} {} Look at /docker_status {project}. {}", undo.what, undo.why, undo.next);
            (now, outcome.failure.map(|first| Failure { lines: [first.lines, undo.lines].concat(), ..first }))
        }
    };
    Some(Outcome { now, failure, services: job.noted(), ..outcome })
}

async fn run_undo(job: &Job, undoing: deploy::Undoing, services_touched: bool, outcome: &Outcome) -> Result<bool, Failure> {
    let steps = deploy::undo_steps(&job.plan, undoing.base(), services_touched);
    drop(job.undoing.set(undoing));
    take(job, steps, services_touched, outcome).await
}

/// Takes the steps of an undo; whether to their end, and not only until a helper goes on. `outcome` is what it is because of.
async fn take(job: &Job, steps: Vec<Step>, services_touched: bool, outcome: &Outcome) -> Result<bool, Failure> {
    drop(job.noted());
    job.recorder.report(Event::Undoing { steps: steps.clone() }).await;
    // An engine that restarts is worth waiting for: what it ran would stay half old and half new without it.
    if services_touched {
        wait_for_engine(job).await;
        pending_stops::settle(job).await;
    }
    for (step, at) in steps.iter().zip(job.plan.steps.len()..) {
        // An undo goes on though its beginning cannot be kept: the next start would undo once more, which does no harm.
        if let Err(failure) = job.recorder.begin(at).await {
            tracing::error!(operation = job.operation, why = %failure, "a step of an undo could not be kept");
        }
        if let Some(service) = relay::ended_by(job, step).await? {
            relay::hand_over(job, at, service, Some(outcome.clone())).await?;
            return Ok(false);
        }
        match execute(job, step).await {
            Ok(note) => job.recorder.report(Event::StepDone { step: at, note }).await,
            Err(stop) => {
                job.recorder.report(Event::StepFailed { step: at }).await;
                return Err(stop.into_failure());
            }
        }
    }
    Ok(true)
}

async fn wait_for_engine(job: &Job) {
    if !needs_engine(&job.tools, &job.project) {
        return;
    }
    let until = Instant::now() + ENGINE_PATIENCE;
    while let Err(error) = job.tools.docker.ping().await {
        if Instant::now() >= until || job.tools.stopping.is_cancelled() {
            return tracing::error!(operation = job.operation, %error, "the engine did not come back in time for an undo");
        }
        tokio::time::sleep(ENGINE_LOOK).await;
    }
}

/// What is said of an operation that was undone. That it was is kept first, as far as that can be.
async fn put_back(job: &Job, going: Move) -> String {
    let now = format!("Everything was put back: {} runs release {} again.{}", job.project.name, going.base, ran_again(job).await);
    match insist(KEPT_AT_ONCE, || deploy::stay(job, going)).await {
        Ok(()) => now,
        // Nothing is lost by that: what is not known to be settled is looked at again by the next deploy.
        Err(error) => {
            tracing::error!(operation = job.operation, %error, "that it was undone could not be kept");
            format!("{now} That could not be written down: make room for dockmaster's data directory (df -h).")
        }
    }
}

/// Which jobs ran once more because their containers were brought back.
async fn ran_again(job: &Job) -> String {
    let Ok(containers) = job.tools.containers(&job.project).await else { return String::new() };
    let remade = job.plan.services.iter().filter(|s| s.action == Action::Recreate).map(|s| &s.service);
    let jobs: Vec<&ServiceName> = remade.filter(|s| containers.iter().any(|c| c.service == **s && c.purpose.is_to_end())).collect();
    if jobs.is_empty() { String::new() } else { format!(" Jobs that ran again for that: {}.", listing(jobs, 6)) }
}

fn not_undone(job: &Job, going: Move, undo: &Failure) -> String {
    let project = &job.project.name;
    format!(
        "It could not be undone either: {} {} Production of {project} may be neither the old nor the new. {} Then /docker_rollback {project} {} puts release {} back.",
        undo.what, undo.why, undo.next, going.base, going.base
    )
}

/// What a project says that puts nothing back by itself.
pub(super) fn by_hand(job: &Job, going: Move, outcome: Outcome) -> Outcome {
    let project = &job.project.name;
    let now = format!(
        "{} Nothing is undone by itself (\"auto_rollback\": false): /docker_rollback {project} {} does it.",
        outcome.now, going.base
    );
    Outcome { now, ..outcome }
}
