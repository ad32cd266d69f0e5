//! How an operation ended, in words: the truth about what is there now, also where it is not pleasant.

use std::sync::atomic::Ordering;

use super::deploy;
use super::runner::Job;
use super::verify::shown;
use crate::domain::failure::Failure;
use crate::domain::outcome::{Outcome, ServiceOutcome, Verdict};
use crate::domain::plan::{Action, Plan, Step};
use crate::domain::request::Kind;
use crate::domain::text::{count, listing};

/// What it came to.
pub(super) fn succeeded(plan: &Plan) -> String {
    let project = plan.request.project();
    let names = listing(plan.affected().map(|s| &s.service), 6);
    match plan.kind() {
        Kind::Start => format!("{project}: {names} started."),
        Kind::Stop => format!("{project}: {names} stopped."),
        Kind::Restart => format!("{project}: {names} restarted."),
        Kind::Tidy => format!("{project}: {} removed.", count(plan.orphans().len(), "container")),
        Kind::Deploy | Kind::Rollback if !plan.has_release() => format!("{project}: {names} brought up as configured."),
        Kind::Deploy | Kind::Rollback => {
            let release = plan.release.unwrap_or(0);
            let files = plan.files.as_ref().map_or(0, |f| f.touched().count());
            let services = plan.affected().count();
            let changed = format!("{} changed, {} renewed", count(files, "file"), count(services, "service"));
            format!("{project} runs release {release} ({changed}).")
        }
    }
}

pub(super) fn failed(job: &Job, at: usize, touched: bool, failure: Failure) -> Outcome {
    Outcome { verdict: Verdict::Failed, now: stands(&job.plan, at, touched), failure: Some(failure), services: job.noted() }
}

/// What a restart came to that has started everything, though not everything had stopped.
pub(super) fn not_all_stopped(job: &Job, failure: Failure) -> Outcome {
    let now = format!("{} runs; what did not stop was not restarted.", job.project.name);
    Outcome { verdict: Verdict::Failed, now, failure: Some(failure), services: job.noted() }
}

/// Takes back what was told of a container as long as it was true: since then the engine may have gone and come back.
pub(super) async fn as_it_is_now(job: &Job, outcome: Outcome) -> Outcome {
    if !outcome.services.iter().any(|line| line.good) {
        return outcome;
    }
    let (is, stops) = (job.containers().await, job.plan.kind() == Kind::Stop);
    let now = |line: &ServiceOutcome| {
        let Ok(all) = &is else { return Some("nobody knows how it is now".to_owned()) };
        let mut those = all.iter().filter(|c| shown(c, all) == line.service);
        let other = those.find(|c| if stops { c.runs() } else { !c.is_up() && !c.ended_well() })?;
        Some(format!("{} now", other.condition((job.tools.clock)()).word()))
    };
    let told = |line: ServiceOutcome| match Some(&line).filter(|line| line.good).and_then(now) {
        Some(now) => ServiceOutcome { good: false, seen: format!("{}, {now}", line.seen), ..line },
        None => line,
    };
    Outcome { services: outcome.services.into_iter().map(told).collect(), ..outcome }
}

/// A failure that came after another one, which must not be lost.
pub(super) fn after(earlier: Option<Failure>, failure: Failure) -> Failure {
    match earlier {
        Some(earlier) => Failure { why: format!("{} Before that: {earlier}", failure.why), ..failure },
        None => failure,
    }
}

/// What an operation came to that was ended before its time: by somebody who cancelled it, or with dockmaster itself.
pub(super) fn ended_early(job: &Job, at: usize) -> Outcome {
    let plan = &job.plan;
    let done = if at == 0 { "before its first step".to_owned() } else { format!("after {} of its {} steps", at, plan.steps.len()) };
    let (verdict, who, next) = match job.tools.stopping.is_cancelled() {
        true => (Verdict::Interrupted, "dockmaster was stopped", format!("Ask for {} again when it is back.", plan.kind().command())),
        false => (Verdict::Cancelled, "It was cancelled", format!("Ask for {} again when it suits.", plan.kind().command())),
    };
    let failure = Failure::new(format!("The {} was not finished.", plan.kind().word()), format!("{who} {done}."), next);
    Outcome { verdict, now: stands(plan, at, false), failure: Some(failure), services: job.noted() }
}

/// An outcome that does not say that a project runs as before whose production is gone.
pub(super) async fn seen(job: &Job, outcome: Outcome) -> Outcome {
    if outcome.verdict == Verdict::Succeeded {
        return outcome;
    }
    match deploy::missing_production(&job.project).await {
        Some(missing) => Outcome { now: missing, ..outcome },
        None => outcome,
    }
}

/// What is shown of an operation that the next start puts right.
pub(super) fn left(job: &Job) -> Outcome {
    let project = &job.project.name;
    let (verdict, now) = if job.handed_over.load(Ordering::Relaxed) {
        (Verdict::HandedOver, "dockmaster itself is replaced now. The one that comes up tells how it went.".to_owned())
    } else {
        (Verdict::Interrupted, format!("{project} is put back as it was at the next start."))
    };
    Outcome { verdict, now, failure: None, services: job.noted() }
}

/// What is there when a plan ended at a step, which was begun or not. The truth, also where it is not pleasant.
pub(super) fn stands(plan: &Plan, at: usize, begun: bool) -> String {
    let project = plan.request.project();
    let reached = |wanted: fn(&Step) -> bool| plan.steps.iter().take(at + usize::from(begun)).any(wanted);
    let touches =
        |s: &Step| matches!(s, Step::Up { .. } | Step::Stop { .. } | Step::Start { .. } | Step::Restart { .. } | Step::Tidy { .. });
    let touched_services = reached(touches);
    if plan.has_release() {
        let promoting = begun && matches!(plan.steps.get(at), Some(Step::Promote));
        return match (reached(|s| *s == Step::Promote), touched_services) {
            (false, false) => format!("Production was not touched: {project} runs as before."),
            (true, false) if promoting => {
                format!(
                    "Production of {project} may hold new files beside old ones; its containers were not touched. Deploy again to put it right."
                )
            }
            (true, false) => {
                format!("Production of {project} has the new files; its containers still run the old ones. Deploy again to finish it.")
            }
            (_, true) => {
                let names = listing(plan.services.iter().filter(|s| s.action != Action::Stay).map(|s| &s.service), 6);
                format!("Production of {project} has the new release, and it is not up as it should be: look at {names}.")
            }
        };
    }
    if touched_services {
        format!("{project} may be partly {}: see the services below and /docker_status.", past(plan.kind()))
    } else {
        format!("Nothing was done: {project} is as before.")
    }
}

fn past(kind: Kind) -> &'static str {
    match kind {
        Kind::Start => "started",
        Kind::Stop => "stopped",
        Kind::Restart => "restarted",
        Kind::Deploy => "deployed",
        Kind::Rollback => "rolled back",
        Kind::Tidy => "tidied up",
    }
}
