//! Which services are jobs, and what exit code 0 means for a service: the one place that decides it.

use std::collections::BTreeMap;

use super::container::Container;
use super::managed::RestartRule;
use super::plan::Needs;
use super::project::{Project, ServiceName, Source};

/// Why a service is a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Job {
    /// Its restart policy lets it end: an explicit `no`, or `on-failure`.
    MayEnd,
    /// Its project names it, or a service waits for it with `service_completed_successfully`.
    Named,
}

/// What is known of how a service is meant to end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purpose {
    /// Why it is a job, where it is one.
    pub job: Option<Job>,
    /// Whether it publishes ports, or its definition has a health check: it is there for others as long as it runs.
    pub serves: bool,
}

/// The purposes of services, by their names. A service that is not in it may be anything.
pub type Purposes = BTreeMap<ServiceName, Purpose>;

impl Purpose {
    /// What both say.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { job: self.job.max(other.job), serves: self.serves || other.serves }
    }

    /// Whether it is there to end: the engine's retries belong to one run of it, and no health check counts while it runs.
    pub fn is_to_end(self) -> bool {
        self.job == Some(Job::Named) || self.job.is_some() && !self.serves
    }
}

/// Tells containers what their services are there for, by what is `declared` of them, by what their project names, and by what
/// they were made with themselves.
pub fn assign(project: &Project, declared: &Purposes, containers: &mut [Container]) {
    let awaited = Needs::of(&project.source, containers, &BTreeMap::new()).jobs();
    for container in containers {
        let needed = Purpose { job: awaited.contains(&container.service).then_some(Job::Named), serves: false };
        let policy = Purpose { job: container.on_failure.then_some(Job::MayEnd), serves: false };
        container.purpose = needed.and(policy).and(configured(project, declared, &container.service));
    }
}

/// What a service is there for by what is `declared` of it and by its project, whether it has a container or not.
pub fn configured(project: &Project, declared: &Purposes, service: &ServiceName) -> Purpose {
    let named = Purpose { job: project.jobs.contains(service).then_some(Job::Named), serves: false };
    named.and(declared.get(service).copied().unwrap_or_default()).and(managed(&project.source, service))
}

/// What the configuration says of a service that dockmaster makes itself.
fn managed(source: &Source, service: &ServiceName) -> Purpose {
    let Source::Services(managed) = source else { return Purpose::default() };
    let Some(definition) = managed.services.get(service) else { return Purpose::default() };
    let may_end = matches!(definition.restart, RestartRule::No | RestartRule::OnFailure(_));
    let publishes = definition.container().is_some_and(|container| !container.ports.is_empty());
    Purpose { job: may_end.then_some(Job::MayEnd), serves: publishes || definition.healthcheck.is_some() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::container::tests::container;
    use crate::domain::container::{Health, State};
    use crate::domain::project::{ComposeSource, ProjectName};

    fn name(text: &str) -> ServiceName {
        ServiceName::new(text).unwrap()
    }

    #[test]
    fn job_is_named_awaited_or_allowed_to_end() {
        let mut web = container("web", State::Running, Health::None);
        web.labels.insert("com.docker.compose.depends_on".into(), "migrate:service_completed_successfully:true".into());
        let mut retried = container("retried", State::Exited, Health::None);
        retried.on_failure = true;
        let ended = |service: &str| container(service, State::Exited, Health::Unhealthy);
        let mut all = [web, retried, ended("migrate"), ended("listed"), ended("once"), ended("other"), ended("api")];
        let declared: Purposes =
            [(name("once"), Purpose { job: Some(Job::MayEnd), serves: true }), (name("api"), Purpose { job: None, serves: true })].into();
        let source = Source::Compose(ComposeSource { files: Vec::new(), name: "shop".into() });
        let project = Project { jobs: [name("listed")].into(), ..Project::new(ProjectName::new("shop").unwrap(), source) };
        assign(&project, &declared, &mut all);
        let done: Vec<&str> = all.iter().filter(|c| c.is_done()).map(|c| c.service.as_str()).collect();
        assert_eq!(done, ["retried", "migrate", "listed", "once"], "whatever a health check said last");
        let well: Vec<&str> = all.iter().filter(|c| c.ended_well()).map(|c| c.service.as_str()).collect();
        assert_eq!(well, ["retried", "migrate", "listed", "once", "other"], "what serves is down when it ends");
        let of = |service: &str| all.iter().find(|c| c.service.as_str() == service).unwrap().purpose;
        assert!(of("migrate").is_to_end() && of("retried").is_to_end() && !of("once").is_to_end() && !of("other").is_to_end());
        // What was known is forgotten with the configuration that said so.
        assign(&Project { jobs: Default::default(), ..project }, &Purposes::new(), &mut all);
        assert_eq!(all.iter().filter(|c| c.is_done()).count(), 2);
    }
}
