//! Containers that are kept aside while others take their place, until it is known that those are well.

use std::collections::BTreeSet;

use super::super::acts::is_retired;
use super::super::runner::{Job, StepResult};
use super::super::tools::Tools;
use super::apart::{note, refuse};
use super::of;
use crate::domain::container::{Container, State};
use crate::domain::failure::Failure;
use crate::domain::managed::{is_in_place, label, was_named};
use crate::domain::plan::Action;
use crate::domain::project::{Project, ServiceName};
use crate::domain::text::count;
use crate::engine::docker::EngineError;

/// The containers of a project that are kept aside.
pub(super) async fn kept(tools: &Tools, project: &Project) -> Result<Vec<Container>, EngineError> {
    if of(project).is_none() || tools.docker.is_absent() {
        return Ok(Vec::new());
    }
    let all = tools.docker.containers(&tools.look_at(project)).await?;
    Ok(all.into_iter().filter(|c| !is_in_place(&c.name, &c.labels)).collect())
}

/// Gives a container another name, and says whether it was stopped for that: one that the engine is about to start again is in
/// none of its networks, where the engine would rename it, too.
pub(super) async fn rename(job: &Job, container: &Container, name: &str) -> Result<bool, EngineError> {
    let docker = &job.tools.docker;
    match docker.rename(&container.id, name).await {
        Err(EngineError::Gone(_)) if container.runs() => {
            docker.stop(&container.id, job.project.restart.stop_timeout).await?;
            docker.rename(&container.id, name).await?;
            Ok(true)
        }
        renamed => renamed.map(|()| false),
    }
}

/// Puts the containers of some services back that were there before, as they were: running or not.
pub(in super::super) async fn put_back(job: &Job, services: &[ServiceName]) -> StepResult {
    let what = "The containers from before could not be put back.";
    let tools = &job.tools;
    let failed = |e: EngineError| e.failure(what);
    let meant: BTreeSet<ServiceName> = services.iter().cloned().collect();
    let in_place = tools.everything(&job.project, &meant).await.map_err(failed)?;
    let aside = match kept(tools, &job.project).await {
        // All of them are processes, or can be: they are put back without it, unless one of its containers is still alive.
        Err(EngineError::Away(_)) if !in_place.iter().any(|c| services.contains(&c.service) && !c.is_process()) => {
            services.iter().try_for_each(|service| refuse(tools, &job.project.name, service))?;
            Vec::new()
        }
        kept => kept.map_err(failed)?,
    };
    let mut processes = tools.host.known_keys().map_err(|e| e.failure(what))?;
    processes.retain(|key| key.project == job.project.name && services.contains(&key.service));
    processes.retain(|key| tools.host.was_another(key, job.operation));
    let old = |c: &&Container| services.contains(&c.service) && was_named(&c.name).is_some_and(|(_, by, _)| by == job.operation);
    // Where nothing is kept aside any more, what took its place is all that there is.
    let replaces_nothing = |service: &ServiceName| job.plan.services.iter().any(|s| s.service == *service && s.action == Action::Create);
    let goes = |service: &ServiceName| {
        let replaced = aside.iter().filter(old).any(|c| c.service == *service) || processes.iter().any(|key| key.service == *service);
        replaced || replaces_nothing(service)
    };
    let ours = |c: &&Container| c.labels.get(label::OPERATION).is_some_and(|by| *by == job.operation.to_string());
    for new in in_place.iter().filter(|c| services.contains(&c.service) && goes(&c.service)).filter(ours) {
        if new.runs() {
            tools.docker.stop(&new.id, job.project.restart.stop_timeout).await.map_err(failed)?;
        }
        tools.docker.remove(&new.id).await.map_err(failed)?;
    }
    let all: Vec<&Container> = aside.iter().filter(old).collect();
    let mut first = None;
    for process in &processes {
        if let Err(error) = tools.host.put_back(process, job.operation).await {
            tracing::error!(operation = job.operation, %error, %process, "a process could not be put back");
            first.get_or_insert(error.into());
        }
    }
    // Each as far as it can be, whatever becomes of the others.
    for old in &all {
        if let Err(error) = restore(job, old).await {
            tracing::error!(operation = job.operation, %error, container = old.name, "a container could not be put back");
            first.get_or_insert(error);
        }
    }
    first.map_or_else(|| Ok(Some(count(all.len() + processes.len(), "service"))), |error| Err(failed(error).into()))
}

/// Gives a container its name back, and has it run where it did. That first: what has its name is taken for put back, should we
/// be killed in between.
async fn restore(job: &Job, old: &Container) -> Result<(), EngineError> {
    let Some((name, _, running)) = was_named(&old.name) else { return Ok(()) };
    let docker = &job.tools.docker;
    note(&job.tools, &job.project.name, &old.service, &old.id);
    let started = if running && !old.runs() { docker.start(&old.id).await } else { Ok(()) };
    let now = Container { state: if running { State::Running } else { old.state }, ..old.clone() };
    if rename(job, &now, name).await? {
        docker.start(&old.id).await?;
    }
    started
}

/// Of some services that were put back those that are worth watching: what was stopped before is stopped again, and what was not
/// well before is no better now.
pub(in super::super) async fn awake(job: &Job, services: &[ServiceName]) -> Result<BTreeSet<ServiceName>, Failure> {
    let what = "It is not known whether the containers from before are up.";
    let all = job.tools.containers_for(&job.project, &services.iter().cloned().collect()).await.map_err(|e| e.failure(what))?;
    let began = job.recorder.began();
    let asleep = |c: &&Container| !c.runs() && c.started.is_none_or(|started| started < began);
    let sleepers: BTreeSet<&ServiceName> = all.iter().filter(asleep).map(|c| &c.service).collect();
    let ailed = |service: &ServiceName| job.plan.services.iter().any(|s| s.service == *service && s.ails.is_some());
    Ok(services.iter().filter(|service| !sleepers.contains(service) && !ailed(service)).cloned().collect())
}

fn can_be_processes(project: &Project) -> bool {
    of(project).is_some_and(|managed| managed.services.values().all(|definition| definition.process().is_some()))
}

/// Removes what was kept aside, once what took its place is well. What cannot be removed is tried again the next time.
pub(in super::super) async fn settle(tools: &Tools, project: &Project, operation: i64) {
    // What others' selectors find is none of their own making.
    if of(project).is_none() {
        return;
    }
    tools.host.settle(&project.name, operation);
    let mut there = tools.containers(project).await.unwrap_or_default();
    let processes = tools.host.list(&project.name).await.unwrap_or_default();
    there.extend(processes.iter().cloned());
    // What became a container is no process any more.
    for process in processes.iter().filter(|process| is_retired(process, &there)) {
        if let Err(error) = tools.remove(process).await {
            tracing::warn!(%error, process = process.name, "a process that was replaced could not be forgotten");
        }
    }
    let aside = match kept(tools, project).await {
        Ok(aside) => aside,
        // Whatever is aside then is removed by the next operation that ends well.
        Err(EngineError::Away(_)) if can_be_processes(project) => return,
        Err(error) => return tracing::warn!(%error, project = %project.name, "what was replaced could not be looked for"),
    };
    for old in aside.iter().filter(|c| was_named(&c.name).is_some_and(|(_, by, _)| by <= operation)) {
        if let Err(error) = tools.docker.remove(&old.id).await {
            tracing::warn!(%error, container = old.name, "a container that was replaced could not be removed");
        }
    }
}
