//! How an operation ended, in words: the truth about what is there now, also where it is not pleasant.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use super::deploy;
use super::runner::Job;
use super::stops::stopped;
use super::verify::shown;
use crate::domain::Millis;
use crate::domain::container::Container;
use crate::domain::failure::Failure;
use crate::domain::outcome::{Outcome, ServiceOutcome, Verdict};
use crate::domain::plan::{Action, Plan, Step};
use crate::domain::project::ServiceName;
use crate::domain::request::Kind;
use crate::domain::text::{count, listing};
use crate::domain::words;

/// How many services are named in a sentence.
const NAMES_SHOWN: usize = 6;

/// What it came to.
pub(super) async fn succeeded(job: &Job) -> String {
    let plan = &job.plan;
    if !plan.kind().is_release() {
        return done(plan, &BTreeSet::new());
    }
    let Ok(containers) = job.tools.containers(&job.project).await else { return done(plan, &BTreeSet::new()) };
    let unchanged = job.deploy.as_ref().map(|facts| unchanged(plan, facts.containers(), &containers)).unwrap_or_default();
    let came_to = match job.brought_nothing.load(Ordering::Relaxed) {
        true => format!("Nothing changed: {} runs as before.", job.project.name),
        false => done(plan, &unchanged),
    };
    let stopped = stopped(&job.tools, &containers).await;
    let down: Vec<String> = plan
        .services
        .iter()
        .filter(|s| s.action == Action::Stay)
        .filter_map(|s| {
            let of_service: Vec<&Container> = containers.iter().filter(|c| c.service == s.service).collect();
            still_down(&s.service, &of_service, stopped.get(&s.service), (job.tools.clock)())
        })
        .collect();
    if down.is_empty() { came_to } else { format!("{}, but {}.", came_to.trim_end_matches('.'), listing(down, NAMES_SHOWN)) }
}

/// The services that were to be remade and were not: Compose found that nothing about them had changed.
pub(super) fn unchanged(plan: &Plan, before: &[Container], now: &[Container]) -> BTreeSet<ServiceName> {
    let ids = |all: &[Container], service: &ServiceName| -> BTreeSet<String> {
        all.iter().filter(|c| c.service == *service).map(|c| c.id.clone()).collect()
    };
    let remade = plan.services.iter().filter(|s| s.action == Action::Recreate).map(|s| &s.service);
    remade.filter(|s| ids(before, s) == ids(now, s)).cloned().collect()
}

/// That a service which took no part is not up, since when and why.
fn still_down(service: &ServiceName, containers: &[&Container], stopped: Option<&String>, now: Millis) -> Option<String> {
    let ill = containers.iter().find(|c| stopped.is_some() || !(c.is_up() || c.ended_well() || c.runs() && c.purpose.is_to_end()))?;
    let since = ill.finished.map_or_else(String::new, |at| format!(" since {}", words::date_time(at)));
    Some(match (stopped, ill.runs()) {
        (Some(stopped), _) => format!("{service} is down{since} ({stopped})"),
        (None, false) => format!("{service} is down{since}"),
        (None, true) => format!("{service} is {}", ill.condition(now).word()),
    })
}

/// What a plan comes to that was carried out, but for what stayed as it was although it was to be remade.
pub(super) fn done(plan: &Plan, unchanged: &BTreeSet<ServiceName>) -> String {
    let project = plan.request.project();
    let names = listing(plan.affected().map(|s| &s.service), NAMES_SHOWN);
    match plan.kind() {
        Kind::Start => format!("{project}: {names} started."),
        Kind::Stop => format!("{project}: {names} stopped."),
        Kind::Restart => format!("{project}: {names} restarted."),
        Kind::Tidy => format!("{project}: {} removed.", count(plan.orphans().len(), "container")),
        Kind::Deploy | Kind::Rollback if !plan.has_release() && names.is_empty() => {
            format!("{project}: its networks and volumes are there.")
        }
        Kind::Deploy | Kind::Rollback if !plan.has_release() => format!("{project}: {names} brought up as configured."),
        Kind::Deploy | Kind::Rollback => {
            let release = plan.release.unwrap_or(0);
            let files = plan.files.as_ref().map_or(0, |f| f.touched().count());
            let [started, scaled, removed] =
                [Action::Start, Action::Scale, Action::Remove].map(|action| plan.affected().filter(|s| s.action == action).count());
            let others = plan.affected().count() - started - scaled - removed;
            let renewed = others - unchanged.len().min(others);
            let mut parts = vec![format!("{} changed", count(files, "file")), format!("{} renewed", count(renewed, "service"))];
            let more = [(started, "started"), (scaled, "scaled"), (removed, "removed")].into_iter().filter(|(number, _)| *number > 0);
            parts.extend(more.map(|(number, how)| format!("{number} {how}")));
            if !unchanged.is_empty() {
                parts.push(format!("{} unchanged", listing(unchanged, NAMES_SHOWN)));
            }
            format!("{project} runs release {release} ({}).", parts.join(", "))
        }
    }
}

pub(super) fn failed(job: &Job, at: usize, touched: bool, failure: Failure) -> Outcome {
    let services = job.noted();
    let now = stands(&job.plan, at, touched, &failing(&job.plan, &services, &failure));
    Outcome { verdict: Verdict::Failed, now, failure: Some(failure), services }
}

/// What is not as it should be: by the lines of the outcome, or where there are none, by what failed.
fn failing(plan: &Plan, lines: &[ServiceOutcome], failure: &Failure) -> Vec<String> {
    let told: Vec<String> = lines.iter().filter(|line| !line.good).map(|line| line.service.clone()).collect();
    let names = plan.affected().map(|s| s.service.to_string());
    if told.is_empty() { names.filter(|name| failure.what.split(' ').next() == Some(name)).collect() } else { told }
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
    let cancelled = job.tools.registry.cancelled(&job.project.name);
    let (verdict, who, next) = match job.tools.stopping.is_cancelled() {
        true => (Verdict::Interrupted, "dockmaster was stopped", format!("Ask for {} again when it is back.", plan.kind().command())),
        false => (Verdict::Cancelled, &*cancelled, format!("Ask for {} again when it suits.", plan.kind().command())),
    };
    let failure = Failure::new(format!("The {} was not finished.", plan.kind().word()), format!("{who} {done}."), next);
    Outcome { verdict, now: stands(plan, at, false, &[]), failure: Some(failure), services: job.noted() }
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

/// What is there when a plan ended at a step, which was begun or not, and what is known not to be up. The truth, also where it is not
/// pleasant.
pub(super) fn stands(plan: &Plan, at: usize, begun: bool, failing: &[String]) -> String {
    let project = plan.request.project();
    let reached = |wanted: fn(&Step) -> bool| plan.steps.iter().take(at + usize::from(begun)).any(wanted);
    let touches = |s: &Step| {
        matches!(
            s,
            Step::Up { .. } | Step::Stop { .. } | Step::Start { .. } | Step::Restart { .. } | Step::Remove { .. } | Step::Tidy { .. }
        )
    };
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
                let look = if failing.is_empty() { format!("/docker_status {project}") } else { listing(failing, NAMES_SHOWN) };
                format!("Production of {project} has the new release, and it is not up as it should be: look at {look}.")
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
