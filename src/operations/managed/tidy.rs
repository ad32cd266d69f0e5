//! Removing what is left over of services that are no longer configured.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};

use super::super::deploy;
use super::super::pending_stops;
use super::super::runner::{Job, StepResult, Stop};
use super::super::tools::Tools;
use crate::domain::container::{Container, State};
use crate::domain::event::Progress;
use crate::domain::failure::Failure;
use crate::domain::managed::network_name;
use crate::domain::orphans::{Orphan, needs_network, orphans};
use crate::domain::outcome::{Outcome, ServiceOutcome};
use crate::domain::plan::{Plan, TidyFacts, plan_tidy};
use crate::domain::project::{Configuration, ProjectName};
use crate::domain::request::Request;
use crate::domain::text::{capital, count};
use crate::domain::untrusted::UntrustedText;
use crate::engine::docker::EngineError;
use crate::engine::looks::Look;

/// How many containers are stopped and removed at a time.
const AT_ONCE: usize = 8;
/// What that means where it fails.
const WHAT: &str = "Not everything was removed.";

/// All that this dockmaster made, of whichever project. The container that dockmaster itself runs in is none that it could remove.
pub(super) async fn owned(tools: &Tools) -> Result<Vec<Container>, EngineError> {
    let mut all = match tools.docker.is_absent() {
        true => Vec::new(),
        false => tools.docker.containers(&Look::Owned(tools.instance.clone())).await?,
    };
    all.retain(|c| tools.own.as_ref().is_none_or(|own| own.container != c.id));
    let projects: BTreeSet<ProjectName> = tools.host.known_keys()?.into_iter().map(|key| key.project).collect();
    for project in projects {
        all.extend(tools.host.list(&project).await?);
    }
    Ok(all)
}

/// What is left over, by project.
pub(super) async fn left_over(tools: &Tools, configuration: &Configuration) -> Result<BTreeMap<ProjectName, Vec<Orphan>>, EngineError> {
    Ok(orphans(configuration, &owned(tools).await?, (tools.clock)()))
}

/// The plan for removing what is left over of one project.
///
/// # Errors
/// The engine cannot be asked.
pub(in super::super) async fn plan_tidying(tools: &Tools, configuration: &Configuration, request: &Request) -> Result<Plan, Failure> {
    let what = format!("{} could not be planned.", request.kind().verb());
    let project = request.project();
    let mut orphans = match configuration.projects.get(project) {
        Some(known) => deploy::leftovers(tools, known, &what).await?,
        None => Vec::new(),
    };
    orphans.extend(left_over(tools, configuration).await.map_err(|e| e.failure(&*what))?.remove(project).unwrap_or_default());
    let network = match needs_network(configuration, project) {
        true => None,
        false if tools.docker.is_absent() => None,
        false => {
            let ours = tools.docker.owns_network(project, &tools.instance).await.map_err(|e| e.failure(&*what))?;
            (ours == Some(true)).then(|| network_name(project))
        }
    };
    Ok(plan_tidy(TidyFacts { orphans, network }, request))
}

/// Stops and removes containers, going on past those that cannot be, and then the network. Volumes stay.
pub(in super::super) async fn tidy(job: &Job, orphans: &[Orphan], network: Option<&str>) -> StepResult {
    let each = orphans.iter().cloned().map(|orphan| async move {
        let removed = remove(job, &orphan).await;
        (orphan.name.raw().to_owned(), removed)
    });
    let mut removed: Vec<(String, Result<(), String>)> = stream::iter(each).buffer_unordered(AT_ONCE).collect().await;
    removed.sort();
    if let Some(network) = network.filter(|_| !job.ending.is_cancelled()) {
        let done = job.tools.docker.remove_network(network).await.map_err(|error| error.why().to_owned());
        removed.push((format!("network {network}"), done));
    }
    let left = removed.iter().filter(|(_, done)| done.is_err()).count();
    let first = removed.iter().find_map(|(name, done)| Some(format!("{}: {}", UntrustedText::from(name), done.as_ref().err()?)));
    let line = |(service, done): (String, Result<(), String>)| match done {
        Ok(()) => ServiceOutcome { service, good: true, seen: "removed".to_owned() },
        Err(why) => ServiceOutcome { service, good: false, seen: format!("still there: {why}") },
    };
    job.note(removed.into_iter().map(line).collect());
    match first {
        None => Ok(Some(count(orphans.len(), "container"))),
        Some(first) if job.ending.is_cancelled() => {
            Err(Stop::cut_short(Failure::new(WHAT, format!("{}.", capital(&first)), "Ask for /docker_tidy again when it suits."), true))
        }
        Some(first) => {
            let why = format!("{} could not be removed. {}.", count(left, "thing"), capital(&first));
            Err(Failure::new(WHAT, why, "Mend the cause and ask for /docker_tidy again.").into())
        }
    }
}

/// Tells what became of each container that a tidy was removing when it was cut off. Nothing more is removed by itself. None where
/// dockmaster is stopping meanwhile.
pub(in super::super) async fn recover_tidy(job: &Job, mut outcome: Outcome) -> Option<Outcome> {
    let mut left = 0;
    for orphan in job.plan.orphans() {
        let (good, seen) = match settled(job, orphan).await {
            Ok(None) => (true, "removed".to_owned()),
            Ok(Some(seen)) => (false, format!("still there: {}", if seen.runs() { "running" } else { "stopped" })),
            Err(error) => (false, format!("unknown: {}", error.why())),
        };
        left += usize::from(!good);
        job.note(vec![ServiceOutcome { service: orphan.name.raw().to_owned(), good, seen }]);
    }
    if job.tools.stopping.is_cancelled() {
        return None;
    }
    let all = job.plan.orphans().len();
    outcome.now = format!("{}: {} of {} removed.", job.project.name, all - left, count(all, "container"));
    Some(Outcome { services: job.noted(), ..outcome })
}

/// A container after the engine has finished a stop that a killed dockmaster asked for; none where it is gone.
async fn settled(job: &Job, orphan: &Orphan) -> Result<Option<Container>, EngineError> {
    let tools = &job.tools;
    let Some(seen) = tools.by_id(&orphan.id).await? else { return Ok(None) };
    if !seen.may_run() || seen.is_process() {
        return Ok(Some(seen));
    }
    let stops = tools.docker.pending_stops(std::slice::from_ref(&seen), job.project.restart.stop_timeout).await?;
    if let Some(within) = stops.into_iter().next().flatten() {
        tokio::select! {
            () = pending_stops::stopped(job, &seen, within) => {}
            () = tools.stopping.cancelled() => {}
        }
    }
    tools.by_id(&orphan.id).await
}

/// Stops one and removes it; why not, in words for a person.
async fn remove(job: &Job, orphan: &Orphan) -> Result<(), String> {
    if job.ending.is_cancelled() {
        return Err("it was cancelled before its turn".to_owned());
    }
    let (tools, name) = (&job.tools, orphan.name.raw());
    let away = |error: EngineError| error.why().to_owned();
    let removed = match tools.by_id(&orphan.id).await.map_err(away)? {
        None => Ok(()),
        Some(seen) => {
            if matches!(seen.state, State::Running | State::Paused | State::Restarting) {
                job.recorder.service(name, Progress::Working, "stopping");
                // One that does not stop is killed when it is removed.
                if let Err(error) = tools.stop(&seen, job.project.restart.stop_timeout).await {
                    tracing::warn!(operation = job.operation, %error, container = name, "could not be stopped before it is removed");
                }
            }
            job.recorder.service(name, Progress::Working, "removing");
            tools.remove(&seen).await.map_err(away)
        }
    };
    match &removed {
        Ok(()) => job.recorder.service(name, Progress::Done, "removed"),
        Err(why) => job.recorder.service(name, Progress::Failed, format!("still there: {why}")),
    }
    removed
}
