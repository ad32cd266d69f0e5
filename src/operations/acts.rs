//! Looking at what runs of a project and acting on it: containers and processes of the host alike.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt};

use super::tools::Tools;
use crate::domain::container::{Container, Health, State};
use crate::domain::managed::{Definition, Managed, Runs, container_name, instance_of, is_in_place};
use crate::domain::project::{Project, ServiceName, Source};
use crate::engine::docker::{EngineError, RawLine};
use crate::engine::host::ProcessKey;
use crate::engine::looks::Look;

/// Lines of a log, as they come.
pub(super) type Lines = Pin<Box<dyn Stream<Item = Result<RawLine, EngineError>> + Send>>;

impl Tools {
    /// What runs of a project, as it is now.
    pub(super) async fn containers(&self, project: &Project) -> Result<Vec<Container>, EngineError> {
        self.look(project, false).await
    }

    /// The same as it was a moment ago, as long as nothing has changed: for whoever only wants to know. Of what the engine
    /// would have to tell, and does not, nothing is known.
    pub(super) async fn glance(&self, project: &Project) -> Result<Vec<Container>, EngineError> {
        self.look(project, true).await
    }

    async fn look(&self, project: &Project, glance: bool) -> Result<Vec<Container>, EngineError> {
        let all = self.all(project, glance).await?;
        self.gauge.see(&project.name, &all, (self.clock)());
        Ok(all)
    }

    async fn all(&self, project: &Project, glance: bool) -> Result<Vec<Container>, EngineError> {
        let look = Look::at(project, &self.instance);
        let asked = async { if glance { self.docker.glance(&look).await } else { self.docker.containers(&look).await } };
        let Source::Services(managed) = &project.source else { return asked.await };
        let mut all = self.host.list(&project.name).await?;
        if !asks_the_engine(managed) {
            return Ok(without_retired(all));
        }
        let mut can_be_processes = managed.services.values().map(|definition| definition.process().is_some());
        match asked.await {
            Ok(containers) => all.extend(self.in_place(managed, containers)),
            // What can be a process is one where there is no engine.
            Err(EngineError::Away(_)) if can_be_processes.clone().all(|can| can) => {}
            Err(error @ EngineError::Away(_)) if glance && can_be_processes.any(|can| can) => all.extend(unknown(project, managed, &error)),
            Err(error) => return Err(error),
        }
        Ok(without_retired(all))
    }

    /// What is not only kept aside, with what is seen of its health from outside.
    fn in_place(&self, managed: &Managed, containers: Vec<Container>) -> Vec<Container> {
        let in_place = containers.into_iter().filter(|c| is_in_place(&c.name, &c.labels));
        in_place.map(|c| self.checks.seen(managed, c)).collect()
    }

    /// A container or process as it is now; none where it is gone.
    pub(super) async fn seen(&self, container: &Container) -> Result<Option<Container>, EngineError> {
        self.by_id(&container.id).await
    }

    /// The same by its id.
    pub(super) async fn by_id(&self, id: &str) -> Result<Option<Container>, EngineError> {
        match ProcessKey::of_id(id) {
            Some(key) => Ok(self.host.list(&key.project).await?.into_iter().find(|c| c.id == id)),
            None => self.docker.container(id).await,
        }
    }

    /// Starts it.
    pub(super) async fn start(&self, container: &Container) -> Result<(), EngineError> {
        match ProcessKey::of_id(&container.id) {
            Some(key) => Ok(self.host.start_again(&key).await?),
            // A frozen container runs for the engine, which would refuse to start it.
            None if container.state == State::Paused => self.docker.unpause(&container.id).await,
            None => self.docker.start(&container.id).await,
        }
    }

    /// Stops it; it has `within` to end by itself, none means as long as it was made with.
    pub(super) async fn stop(&self, container: &Container, within: Option<Duration>) -> Result<(), EngineError> {
        match ProcessKey::of_id(&container.id) {
            Some(key) => Ok(self.host.stop(&key, within).await?),
            None => self.docker.stop(&container.id, within).await,
        }
    }

    /// Restarts it; it has `within` to end by itself, none means as long as it was made with.
    pub(super) async fn restart(&self, container: &Container, within: Option<Duration>) -> Result<(), EngineError> {
        match ProcessKey::of_id(&container.id) {
            Some(key) => Ok(self.host.restart(&key, within).await?),
            None => self.docker.restart(&container.id, within).await,
        }
    }

    /// Removes it, stopped or not; its volumes stay.
    pub(super) async fn remove(&self, container: &Container) -> Result<(), EngineError> {
        match ProcessKey::of_id(&container.id) {
            Some(key) => {
                self.host.stop(&key, None).await?;
                Ok(self.host.remove(&key).await?)
            }
            None => self.docker.remove(&container.id).await,
        }
    }

    /// Its log: the last `lines`, only since `since` (seconds since the epoch) where that is given, and then as it is written
    /// where `follow` says so.
    pub(super) fn log(&self, container: &Container, lines: usize, since: Option<i64>, follow: bool) -> Lines {
        if container.is_process() {
            Box::pin(self.host.logs(container, lines, since, follow).map(|line| line.map_err(EngineError::from)))
        } else {
            Box::pin(self.docker.logs(container, lines, since, follow))
        }
    }
}

/// Whether a process has ended whose place a container has taken.
pub(super) fn is_retired(process: &Container, all: &[Container]) -> bool {
    let number = instance_of(&process.labels);
    let took_its_place = |c: &Container| !c.is_process() && c.service == process.service && instance_of(&c.labels) == number;
    process.is_process() && !process.runs() && all.iter().any(took_its_place)
}

/// What a service has run as before is none of it any more.
fn without_retired(all: Vec<Container>) -> Vec<Container> {
    all.iter().filter(|c| !is_retired(c, &all)).cloned().collect()
}

/// Whether nothing can be done about a project without an engine.
pub(super) fn needs_engine(tools: &Tools, project: &Project) -> bool {
    let Source::Services(managed) = &project.source else { return true };
    !tools.docker.is_absent() && asks_the_engine(managed)
}

/// Whether any of its services may be a container.
fn asks_the_engine(managed: &Managed) -> bool {
    managed.services.values().any(|definition| definition.container().is_some())
}

/// What only the engine could tell of.
fn unknown(project: &Project, managed: &Managed, error: &EngineError) -> Vec<Container> {
    let only = managed.services.iter().filter(|(_, definition)| matches!(definition.runs, Runs::Container(_)));
    let one = |(service, definition): (&ServiceName, &Definition)| Container {
        id: String::new(),
        name: container_name(&project.name, service, None),
        service: service.clone(),
        state: State::Unknown,
        health: Health::None,
        health_output: None,
        checks: Vec::new(),
        started: None,
        finished: None,
        exit_code: 0,
        error: error.to_string(),
        oom_killed: false,
        restarts: 0,
        restarts_itself: false,
        image: definition.container().map(|c| c.image.clone()).unwrap_or_default(),
        image_id: String::new(),
        ports: Vec::new(),
        attached: Vec::new(),
        labels: BTreeMap::new(),
        tty: false,
    };
    only.map(one).collect()
}
