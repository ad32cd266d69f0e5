//! Looking at what runs of a project and acting on it: containers and processes of the host alike.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};

use super::managed::is_contained;
use super::tools::{Config, Tools};
use crate::domain::container::{Container, Health, State};
use crate::domain::desired::DesiredState;
use crate::domain::job::{self, Purpose, Purposes};
use crate::domain::managed::{Definition, Managed, Runs, container_name, instance_of, is_in_place};
use crate::domain::project::{Project, ProjectName, ServiceName, Source};
use crate::engine::docker::{EngineError, RawLine};
use crate::engine::host::ProcessKey;

/// Lines of a log, as they come.
pub(super) type Lines = Pin<Box<dyn Stream<Item = Result<RawLine, EngineError>> + Send>>;

/// Who asks what runs of a project.
#[derive(Debug, Clone, Copy)]
enum Asked<'a> {
    /// Somebody who only wants to know.
    Glance,
    /// Somebody to whom all of it matters, as it is now.
    All,
    /// Somebody to whom these services matter, as they are now. Where none of them is a container, the engine is not needed.
    Of(&'a BTreeSet<ServiceName>),
    /// The same, where those that can be processes may become that.
    Begins(&'a BTreeSet<ServiceName>),
}

impl Tools {
    /// What runs of a project, as it is now.
    pub(super) async fn containers(&self, project: &Project) -> Result<Vec<Container>, EngineError> {
        self.look(project, Asked::All).await
    }

    /// The same as it was a moment ago, as long as nothing has changed: for whoever only wants to know. Of what the engine
    /// would have to tell, and does not, nothing is known.
    pub(super) async fn glance(&self, project: &Project) -> Result<Vec<Container>, EngineError> {
        self.look(project, Asked::Glance).await
    }

    /// What runs of a project, for an operation on some of its services: where those are processes it goes without an engine,
    /// whatever the others are.
    pub(super) async fn containers_for(&self, project: &Project, meant: &BTreeSet<ServiceName>) -> Result<Vec<Container>, EngineError> {
        self.look(project, Asked::Of(meant)).await
    }

    /// The same, where those that can be processes may become that.
    pub(super) async fn containers_to_begin(
        &self,
        project: &Project,
        meant: &BTreeSet<ServiceName>,
    ) -> Result<Vec<Container>, EngineError> {
        self.look(project, Asked::Begins(meant)).await
    }

    /// As [`Tools::containers_to_begin`], with what a service has run as before.
    pub(super) async fn everything(&self, project: &Project, meant: &BTreeSet<ServiceName>) -> Result<Vec<Container>, EngineError> {
        self.all(project, Asked::Begins(meant)).await
    }

    /// As [`Tools::glance`], where the engine was asked already.
    pub(super) async fn glance_with(
        &self,
        project: &Project,
        seen: Result<Vec<Container>, EngineError>,
    ) -> Result<Vec<Container>, EngineError> {
        let all = without_retired(self.with_purposes(project, self.with_processes(project, Asked::Glance, async { seen }).await?));
        self.gauge.see(&project.name, &all, (self.clock)());
        Ok(all)
    }

    async fn look(&self, project: &Project, asked: Asked<'_>) -> Result<Vec<Container>, EngineError> {
        let all = without_retired(self.all(project, asked).await?);
        self.gauge.see(&project.name, &all, (self.clock)());
        Ok(all)
    }

    async fn all(&self, project: &Project, asked: Asked<'_>) -> Result<Vec<Container>, EngineError> {
        let look = self.look_at(project);
        let answer = async {
            match asked {
                Asked::Glance => self.docker.glance(&look).await,
                _ => self.docker.containers(&look).await,
            }
        };
        Ok(self.with_purposes(project, self.with_processes(project, asked, answer).await?))
    }

    /// Learns from production's compose files which services of a project there are to be, and what for.
    pub(super) fn learn(&self, project: &Project, config: &Config) {
        self.purposes.insert(project.name.clone(), Arc::new(config.resolved.purposes()));
        self.desired.insert(project.name.clone(), Arc::new(config.desired()));
    }

    /// Which services of a compose project there are to be, as far as that was learned.
    pub(super) fn desired(&self, project: &ProjectName) -> Option<Arc<DesiredState>> {
        self.desired.get(project).map(|known| Arc::clone(&known))
    }

    /// What the services of a project are there for, as far as that was learned.
    pub(super) fn purposes(&self, project: &ProjectName) -> Arc<Purposes> {
        self.purposes.get(project).map(|known| Arc::clone(&known)).unwrap_or_default()
    }

    fn with_purposes(&self, project: &Project, mut all: Vec<Container>) -> Vec<Container> {
        let declared = self.purposes(&project.name);
        job::assign(project, &declared, &mut all);
        all
    }

    /// What runs of a project by `answer`, the engine's, and the processes of the host.
    async fn with_processes(
        &self,
        project: &Project,
        asked: Asked<'_>,
        answer: impl Future<Output = Result<Vec<Container>, EngineError>>,
    ) -> Result<Vec<Container>, EngineError> {
        let glances = matches!(asked, Asked::Glance);
        let Source::Services(managed) = &project.source else { return answer.await };
        let mut all = self.host.list(&project.name).await?;
        // Of what is a process by now, a container may be left; who only wants to know does not wait for an engine to tell that.
        if self.docker.is_absent() || (glances && !asks_the_engine(managed)) {
            return Ok(all);
        }
        match answer.await {
            Ok(containers) => all.extend(self.in_place(managed, containers)),
            Err(error @ EngineError::Away(_)) if goes_without(self, project, managed, asked, &all) => {
                all.extend(unknown(project, managed, &error))
            }
            Err(error) => return Err(error),
        }
        Ok(all)
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

/// Whether that has ended whose place another kind has taken: a process that a container has taken, or a container that was stopped for
/// a process.
pub(super) fn is_retired(one: &Container, all: &[Container]) -> bool {
    let number = instance_of(&one.labels);
    let other = |c: &&Container| c.is_process() != one.is_process() && c.service == one.service && instance_of(&c.labels) == number;
    let mut others = all.iter().filter(other);
    !one.may_run() && if one.is_process() { others.next().is_some() } else { others.any(Container::may_run) }
}

/// What a service has run as before is none of it any more.
fn without_retired(all: Vec<Container>) -> Vec<Container> {
    all.iter().filter(|c| !is_retired(c, &all)).cloned().collect()
}

/// Whether what is asked for can be known without an engine, where these are the processes: what can be a process is one then.
fn goes_without(tools: &Tools, project: &Project, managed: &Managed, asked: Asked<'_>, processes: &[Container]) -> bool {
    let can = |definition: &Definition| definition.process().is_some();
    let ended = |service: &ServiceName| !is_contained(tools, &project.name, service);
    let is = |service: &ServiceName| processes.iter().any(|c| c.service == *service && (c.may_run() || ended(service)));
    let definition = |service: &ServiceName| managed.services.get(service);
    match asked {
        Asked::Glance => managed.services.values().any(can),
        Asked::All => managed.services.values().all(can),
        Asked::Of(meant) => {
            let always = |service: &ServiceName| definition(service).is_some_and(|d| can(d) && d.container().is_none());
            !meant.is_empty() && meant.iter().all(|service| always(service) || is(service))
        }
        Asked::Begins(meant) => !meant.is_empty() && meant.iter().all(|service| definition(service).is_some_and(can)),
    }
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
        on_failure: false,
        unless_stopped: false,
        purpose: Purpose::default(),
        image: definition.container().map(|c| c.image.clone()).unwrap_or_default(),
        image_id: String::new(),
        ports: Vec::new(),
        networks: BTreeSet::new(),
        shares: Vec::new(),
        attached: Vec::new(),
        labels: BTreeMap::new(),
        tty: false,
        stop_timeout: None,
    };
    only.map(one).collect()
}
