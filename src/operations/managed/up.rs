//! Making the containers of services as they are to be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;

use super::super::lifecycle::watch_for;
use super::super::runner::{Job, StepResult, Stop};
use super::super::verify::{Whom, shown};
use super::apart;
use super::aside::{kept, rename};
use super::names::{network_taken, refused};
use super::{Whole, definition, is_process, of, those, whole};
use crate::domain::container::{Container, State};
use crate::domain::event::Progress;
use crate::domain::failure::Failure;
use crate::domain::managed::{
    ContainerDefinition, Definition, Managed, MountSource, Network, ProcessDefinition, VolumeMount, aside_name, container_name,
    instance_of, label, was_named,
};
use crate::domain::plan::{Need, layers};
use crate::domain::project::ServiceName;
use crate::domain::text::count;
use crate::domain::untrusted::UntrustedText;
use crate::domain::volumes::{Attached, StoreKind};
use crate::engine::create::Making;
use crate::engine::host::{HealthSpec, ProcessKey, ProcessSpec};
use crate::engine::passing::is_stuck;

/// What that means where it fails.
const WHAT: &str = "The services were not brought up.";
/// How long a process may take to end unless told, as containers may.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes the containers of some services that are missing, replaces those that were made from something else, and starts
/// those that are stopped. What is replaced is kept aside until it is known that its successor is well.
pub(in super::super) async fn up(job: &Job, services: &[ServiceName]) -> StepResult {
    let managed = of(&job.project).ok_or_else(|| Failure::new(WHAT, "They are none that dockmaster makes.", "Report this as a bug."))?;
    let meant: BTreeSet<ServiceName> = services.iter().cloned().collect();
    let existing = job.tools.everything(&job.project, &meant).await.map_err(|e| e.failure(WHAT))?;
    let mut wholes: BTreeMap<&ServiceName, Whole> = BTreeMap::new();
    for service in services {
        let definition = definition(managed, service)?;
        let deploys = job.plan.kind().is_release();
        let process = is_process(&job.tools, definition, &those(service, &existing), deploys).await;
        let whole = whole(WHAT, service, definition, process).await?;
        let planned = job.plan.services.iter().find(|s| s.service == *service).and_then(|s| s.made_from.as_ref());
        // A file of its environment may have been changed since; pulling may have taken long.
        if planned.is_some_and(|planned| *planned != whole.hash) {
            let why = format!("What {service} is made from is not what you confirmed any more: a file of its environment was changed.");
            return Err(Stop::unchanged(Failure::new(WHAT, why, "Ask again: the new plan says what is made from it."), true));
        }
        wholes.insert(service, whole);
    }
    let contained =
        wholes.iter().filter(|(_, whole)| !whole.process).filter_map(|(service, _)| managed.services.get(*service)?.container());
    if contained.into_iter().any(|c| c.network == Network::Own) {
        let ours = job.tools.docker.ensure_network(&job.project.name, &job.tools.instance).await.map_err(|e| e.failure(WHAT))?;
        if !ours {
            return Err(Stop::unchanged(network_taken(WHAT, &job.project.name), true));
        }
    }
    let mut aside = Vec::new();
    if wholes.values().any(|whole| !whole.process) {
        aside = kept(&job.tools, &job.project).await.map_err(|e| e.failure(WHAT))?;
    }
    for layer in layers(&meant, |service| needed(managed, service)) {
        let brought = layer.iter().filter_map(|service| Some(bring(job, managed, service, wholes.get(service)?, &existing, &aside)));
        // All of a layer come to their end, so that nothing is left in the middle of being replaced.
        for result in join_all(brought).await {
            result?;
        }
        await_asked(job, managed, &layer, services).await?;
    }
    let now = job.tools.containers_to_begin(&job.project, &meant).await.map_err(|e| e.failure(WHAT))?;
    for (service, _) in wholes.iter().filter(|(_, whole)| !whole.process) {
        let those = those(service, &now);
        // An engine that has just gone tells of none: what was noted counts then.
        if !those.is_empty() {
            apart::remember(&job.tools, &job.project.name, service, &those);
        }
    }
    Ok(Some(count(services.len(), "service")))
}

/// Waits until a layer is what the services ask for that come after it, and no longer: whether it stays up is seen at the end.
async fn await_asked(job: &Job, managed: &Managed, layer: &[ServiceName], services: &[ServiceName]) -> Result<(), Stop> {
    let mut enough: BTreeMap<ServiceName, Need> = BTreeMap::new();
    let later = services.iter().filter(|s| !layer.contains(s)).filter_map(|service| managed.services.get(service));
    for (service, need) in later.flat_map(|definition| &definition.depends_on).filter(|(service, _)| layer.contains(service)) {
        let known = enough.entry(service.clone()).or_insert(*need);
        *known = (*known).max(*need);
    }
    let waited: BTreeSet<ServiceName> = enough.keys().cloned().collect();
    watch_for(job, Whom { enough: &enough, ..Whom::of(&waited) }).await.map(drop)
}

fn needed(managed: &Managed, service: &ServiceName) -> BTreeSet<ServiceName> {
    managed.services.get(service).into_iter().flat_map(|d| d.depends_on.keys().cloned()).collect()
}

/// Brings the instances of one service up.
async fn bring(
    job: &Job,
    managed: &Managed,
    service: &ServiceName,
    whole: &Whole,
    existing: &[Container],
    aside: &[Container],
) -> Result<(), Failure> {
    let definition = definition(managed, service)?;
    let several = definition.instances > 1;
    let image = match definition.container().filter(|_| !whole.process) {
        Some(container) => job.tools.docker.image_id(&container.image).await.map_err(|e| e.failure(WHAT))?,
        None => None,
    };
    for number in definition.numbers() {
        let name = container_name(&job.project.name, service, several.then_some(number));
        let here = existing.iter().filter(|c| c.service == *service && instance_of(&c.labels) == number);
        let (processes, containers): (Vec<&Container>, Vec<&Container>) = here.partition(|c| c.is_process());
        let alive = processes.iter().any(|c| c.may_run());
        let one = Instance { job, service, definition, whole, name, number };
        match (definition.process(), definition.container()) {
            (Some(process), _) if whole.process => one.run(process, &processes, &containers).await?,
            (_, Some(container)) => match containers.first() {
                Some(is) if !alive && is_as_it_is_to_be(is, whole, image.as_deref()) => one.keep(is, existing).await?,
                Some(is) => one.replace(container, is, &processes).await?,
                None => {
                    let before = aside.iter().filter(|c| c.service == *service && instance_of(&c.labels) == number);
                    let before = before.max_by_key(|c| was_named(&c.name).map(|(_, by, _)| by));
                    one.make(container, before, &processes).await?;
                }
            },
            _ => {}
        }
    }
    Ok(())
}

/// Whether a container was made from what a service is made from now, and can be started.
pub(super) fn is_as_it_is_to_be(container: &Container, whole: &Whole, image: Option<&str>) -> bool {
    let stuck = !container.runs() && is_stuck(&container.error);
    !stuck && container.labels.get(label::DEFINITION) == Some(&whole.hash) && image.is_none_or(|image| image == container.image_id)
}

/// The volumes without a name that a container got because its image asks for them: what is in there must not be lost with it.
fn carried(attached: &[Attached], container: &ContainerDefinition) -> Vec<VolumeMount> {
    let unnamed = attached.iter().filter(|a| a.kind == StoreKind::Anonymous);
    let volume = |a: &Attached| {
        let (target, read_only) = (a.at.to_str()?.to_owned(), !a.writable);
        Some(VolumeMount { source: MountSource::Volume(a.name.clone()?), target, read_only })
    };
    unnamed.filter_map(volume).filter(|mount| container.volumes.iter().all(|v| v.target != mount.target)).collect()
}

/// One instance that is to be there.
struct Instance<'a> {
    job: &'a Job,
    service: &'a ServiceName,
    definition: &'a Definition,
    whole: &'a Whole,
    name: String,
    number: u16,
}

impl Instance<'_> {
    /// What people read.
    fn shown(&self) -> String {
        if self.definition.instances > 1 { self.name.clone() } else { self.service.to_string() }
    }

    fn working(&self, seen: &str) {
        self.job.recorder.service(&self.shown(), Progress::Working, seen);
    }

    /// It is there already.
    async fn keep(&self, is: &Container, all: &[Container]) -> Result<(), Failure> {
        let docker = &self.job.tools.docker;
        let stopped = is.name != self.name && rename(self.job, is, &self.name).await.map_err(|e| refused(WHAT, &self.name, e))?;
        let started = match is.state {
            State::Running | State::Restarting if !stopped => return Ok(()),
            State::Paused => docker.unpause(&is.id).await,
            _ => docker.start(&is.id).await,
        };
        self.job.recorder.service(&shown(is, all), Progress::Working, "starting");
        started.map_err(|e| e.failure(format!("{} did not start.", self.service)))
    }

    /// It is there, and made from something else. The new one is made first, so that what cannot be made stops nothing.
    async fn replace(&self, container: &ContainerDefinition, is: &Container, processes: &[&Container]) -> Result<(), Failure> {
        let docker = &self.job.tools.docker;
        let carried = carried(&is.attached, container);
        let aside = aside_name(&is.name, self.job.operation, is.runs());
        let stopped = rename(self.job, is, &aside).await.map_err(|e| refused(WHAT, &aside, e))?;
        let made = match self.made(container, carried).await {
            Ok(made) => made,
            Err(failure) => {
                let back = docker.rename(&is.id, &is.name).await;
                let back = if stopped && back.is_ok() { docker.start(&is.id).await } else { back };
                if let Err(error) = back {
                    tracing::error!(%error, container = aside, "a container that was to be replaced could not be put back");
                }
                return Err(failure);
            }
        };
        if is.runs() && !stopped {
            self.working("stopping the old one");
            docker.stop(&is.id, self.job.project.restart.stop_timeout).await.map_err(|e| e.failure(WHAT))?;
        }
        self.retire(processes).await?;
        self.start(&made).await
    }

    /// There is none in its place; of one that is only aside, because it could not be put back, nothing is to be lost either.
    async fn make(&self, container: &ContainerDefinition, aside: Option<&Container>, processes: &[&Container]) -> Result<(), Failure> {
        let made = self.made(container, aside.map_or_else(Vec::new, |aside| carried(&aside.attached, container))).await?;
        self.retire(processes).await?;
        if let Some(old) = aside.filter(|old| old.runs()) {
            self.working("stopping the old one");
            self.job.tools.docker.stop(&old.id, self.job.project.restart.stop_timeout).await.map_err(|e| e.failure(WHAT))?;
        }
        self.start(&made).await
    }

    /// What ran as a process makes room for a container, as late as can be.
    async fn retire(&self, processes: &[&Container]) -> Result<(), Failure> {
        for process in processes.iter().filter_map(|c| ProcessKey::of_id(&c.id)) {
            self.working("stopping the process");
            let retired = self.job.tools.host.retire(&process, self.job.project.restart.stop_timeout, self.job.operation).await;
            retired.map_err(|e| e.failure(WHAT))?;
        }
        Ok(())
    }

    /// It is to be a process; never beside a container.
    async fn run(&self, process: &ProcessDefinition, processes: &[&Container], containers: &[&Container]) -> Result<(), Failure> {
        let tools = &self.job.tools;
        let up = |c: &&Container| c.runs() && c.labels.get(label::DEFINITION) == Some(&self.whole.hash);
        let is_up = processes.iter().any(up);
        for is in containers {
            if self.definition.container().is_some() {
                // It may be needed again, with all that it has.
                tools.stop(is, self.job.project.restart.stop_timeout).await.map_err(|e| e.failure(WHAT))?;
                continue;
            }
            let aside = aside_name(&is.name, self.job.operation, is.runs());
            let stopped = rename(self.job, is, &aside).await.map_err(|e| refused(WHAT, &aside, e))?;
            if is.runs() && !stopped {
                self.working("stopping the container");
                tools.stop(is, self.job.project.restart.stop_timeout).await.map_err(|e| e.failure(WHAT))?;
            }
        }
        if is_up {
            return Ok(());
        }
        if containers.is_empty() {
            apart::refuse(tools, &self.job.project.name, self.service)?;
        }
        self.working("starting");
        let (project, service) = (self.job.project.name.clone(), self.service.clone());
        let key = ProcessKey { project, service, instance: u32::from(self.number) };
        let started = tools.host.replace(&key, &self.spec(process)?, self.job.operation).await;
        started.map_err(|e| e.failure(format!("{} did not start.", self.service)))
    }

    fn spec(&self, process: &ProcessDefinition) -> Result<ProcessSpec, Failure> {
        let project = &self.job.project;
        let directory = match process.directory.clone().or_else(|| project.production.clone()) {
            Some(directory) => directory,
            None => {
                let own = self.job.tools.place(&project.name).join("run").join(self.service.as_str());
                std::fs::create_dir_all(&own).map_err(|e| {
                    Failure::new(WHAT, format!("{} cannot be made: {e}.", UntrustedText::path(&own)), "Make room and ask again.")
                })?;
                own
            }
        };
        Ok(ProcessSpec {
            command: process.command.clone(),
            directory: Some(directory),
            environment: self.whole.environment.clone(),
            stop_timeout: project.restart.stop_timeout.unwrap_or(STOP_TIMEOUT),
            restart: self.definition.restart,
            healthcheck: self.definition.healthcheck.as_ref().and_then(HealthSpec::of),
            definition: Some(self.whole.hash.clone()),
        })
    }

    async fn made(&self, container: &ContainerDefinition, carried: Vec<VolumeMount>) -> Result<String, Failure> {
        self.working("making");
        let making = Making {
            name: self.name.clone(),
            project: &self.job.project.name,
            service: self.service,
            instance: self.number,
            owner: &self.job.tools.instance,
            operation: self.job.operation,
            definition: self.definition,
            container,
            environment: &self.whole.environment,
            hash: &self.whole.hash,
            carried,
        };
        let made = self.job.tools.docker.make(&making).await;
        made.map_err(|e| refused(&format!("{} could not be made.", self.service), &self.name, e))
    }

    async fn start(&self, id: &str) -> Result<(), Failure> {
        self.working("starting");
        apart::note(&self.job.tools, &self.job.project.name, self.service, id);
        let started = self.job.tools.docker.start(id).await;
        started.map_err(|e| e.failure(format!("{} did not start.", self.service)))
    }
}
