//! Which service needs which, and what must be true of that one before.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::links::shared;
use crate::domain::container::{Container, Health, State};
use crate::domain::project::{ServiceName, Source};

/// What must be true of a service before one starts that needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(title = "condition")]
pub enum Need {
    /// It runs.
    #[serde(rename = "service_started")]
    Started,
    /// It is healthy.
    #[serde(rename = "service_healthy")]
    Healthy,
    /// It ended with code 0.
    #[serde(rename = "service_completed_successfully")]
    Completed,
}

impl Need {
    /// The word for it, which is Compose's.
    pub fn word(self) -> &'static str {
        match self {
            Self::Started => "service_started",
            Self::Healthy => "service_healthy",
            Self::Completed => "service_completed_successfully",
        }
    }

    /// Reads a condition as compose files name it; what is not known asks for no more than that it runs.
    pub fn of(condition: &str) -> Self {
        match condition {
            "service_healthy" => Self::Healthy,
            "service_completed_successfully" => Self::Completed,
            _ => Self::Started,
        }
    }
}

/// What the compose files declare of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared {
    /// What it needs and cannot do without.
    pub needs: BTreeMap<ServiceName, Need>,
    /// What it waits for where that is there, and can do without.
    pub optional: BTreeSet<ServiceName>,
    /// How many containers it has.
    pub replicas: u64,
}

/// What each service needs: as its containers were made, or where it has none, as the files declare.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs(BTreeMap<ServiceName, BTreeMap<ServiceName, Need>>);

impl Needs {
    /// Reads what Compose wrote on containers, and what the engine says that they share.
    pub fn of(source: &Source, containers: &[Container], declared: &BTreeMap<ServiceName, Declared>) -> Self {
        if let Source::Services(managed) = source {
            // What we make ourselves needs what the configuration says.
            return Self(managed.services.iter().map(|(service, definition)| (service.clone(), definition.depends_on.clone())).collect());
        }
        let mut all: BTreeMap<ServiceName, BTreeMap<ServiceName, Need>> = BTreeMap::new();
        for container in containers {
            all.entry(container.service.clone()).or_default();
        }
        for written in written(source, containers) {
            add(all.entry(written.by).or_default(), written.needed, written.need);
        }
        for (service, owner, _) in shared(containers).filter(|(.., what)| what.ends_with_owner()) {
            add(all.entry(service.clone()).or_default(), owner.clone(), Need::Started);
        }
        for (service, declared) in declared {
            all.entry(service.clone()).or_insert_with(|| declared.needs.clone());
        }
        Self(all)
    }

    /// What a service needs itself.
    pub fn of_service(&self, service: &ServiceName) -> impl Iterator<Item = (&ServiceName, Need)> {
        self.0.get(service).into_iter().flatten().map(|(needed, need)| (needed, *need))
    }

    /// The services that it needs itself.
    pub fn names(&self, service: &ServiceName) -> BTreeSet<ServiceName> {
        self.of_service(service).map(|(needed, _)| needed.clone()).collect()
    }

    /// The services that others wait for to be done.
    pub fn jobs(&self) -> BTreeSet<ServiceName> {
        self.0.values().flatten().filter(|(_, need)| **need == Need::Completed).map(|(needed, _)| needed.clone()).collect()
    }

    /// What some services ask of those among `of`.
    pub fn asked(&self, by: &BTreeSet<ServiceName>, of: &[ServiceName]) -> BTreeMap<ServiceName, Need> {
        let mut asked = BTreeMap::new();
        for (needed, need) in by.iter().flat_map(|service| self.of_service(service)).filter(|(needed, _)| of.contains(needed)) {
            add(&mut asked, needed.clone(), need);
        }
        asked
    }
}

/// What Compose wrote on a container: that its service needs another one.
pub(super) struct Written {
    pub(super) by: ServiceName,
    pub(super) needed: ServiceName,
    pub(super) need: Need,
    /// Whether it restarts with that one.
    pub(super) restarts: bool,
}

/// Reads what Compose wrote on containers (`api:service_healthy:false,store:service_started:true`).
pub(super) fn written(source: &Source, containers: &[Container]) -> Vec<Written> {
    let composed = |c: &Container, label: &str| c.labels.get(&format!("com.docker.compose.{label}")).cloned();
    // A container that is called by its own name is called otherwise where others say that they need it.
    let mut called: BTreeMap<(Option<String>, String), BTreeSet<&ServiceName>> = BTreeMap::new();
    for container in containers {
        if let Some(service) = composed(container, "service") {
            called.entry((composed(container, "project"), service)).or_default().insert(&container.service);
        }
    }
    let mut all = Vec::new();
    for container in containers {
        let label = composed(container, "depends_on").unwrap_or_default();
        for part in label.split(',').filter(|part| !part.is_empty()) {
            let mut words = part.split(':');
            let (name, need) = (words.next().unwrap_or_default(), Need::of(words.next().unwrap_or_default()));
            let restarts = words.next() == Some("true");
            let mut note = |needed: &ServiceName| {
                all.push(Written { by: container.service.clone(), needed: needed.clone(), need, restarts });
            };
            match called.get(&(composed(container, "project"), name.to_owned())) {
                Some(services) => services.iter().for_each(|service| note(service)),
                // Of named containers, what is not among them is none of the project's.
                None if matches!(source, Source::Containers(_)) => {}
                None => ServiceName::new(name).iter().for_each(note),
            }
        }
    }
    all
}

/// Adds a need; of two the one that asks for more.
fn add(needs: &mut BTreeMap<ServiceName, Need>, service: ServiceName, need: Need) {
    let known = needs.entry(service).or_insert(need);
    *known = need.max(*known);
}

/// What is wrong with a service that another one needs, in a few words; none where nothing is.
pub(super) fn lacks(containers: &[&Container], need: Need) -> Option<String> {
    let Some(first) = containers.first() else { return Some("has no container".to_owned()) };
    let done = containers.iter().all(|c| c.is_done() || (need == Need::Completed && c.exited_zero()));
    let mut running = containers.iter().filter(|c| c.state == State::Running).peekable();
    if done {
        None
    } else if running.peek().is_none() {
        Some(match first.state {
            State::Exited | State::Dead => format!("is down (ended with code {})", first.exit_code),
            State::Restarting => "is down (restarting in a loop)".to_owned(),
            State::Paused => "is down (paused)".to_owned(),
            State::Created => "is down (never started)".to_owned(),
            _ => "is down".to_owned(),
        })
    } else if need == Need::Healthy && running.all(|c| c.health == Health::Unhealthy) {
        Some("is unhealthy".to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::container::tests::container;
    use crate::domain::project::{ComposeSource, ContainerSelector};

    fn name(text: &str) -> ServiceName {
        ServiceName::new(text).unwrap()
    }

    fn labelled(service: &str, labels: &[(&str, &str)]) -> Container {
        let mut made = container(service, State::Running, Health::None);
        made.labels = labels.iter().map(|(key, value)| (format!("com.docker.compose.{key}"), (*value).to_owned())).collect();
        made
    }

    fn compose() -> Source {
        Source::Compose(ComposeSource { files: Vec::new(), name: "shop".into() })
    }

    #[test]
    fn what_compose_wrote_on_containers_is_read() {
        let all = "api:service_healthy:false,migrate:service_completed_successfully:true,store";
        let containers = [labelled("web", &[("depends_on", all)]), labelled("api", &[])];
        let declared =
            |needs: &[(&str, Need)]| Declared { needs: needs.iter().map(|(s, n)| (name(s), *n)).collect(), ..Declared::default() };
        let declared = [(name("web"), declared(&[("other", Need::Started)])), (name("extra"), declared(&[("api", Need::Started)]))];
        let needs = Needs::of(&compose(), &containers, &declared.into());
        let of = |service: &str| needs.of_service(&name(service)).map(|(s, n)| format!("{s} {n:?}")).collect::<Vec<_>>().join(", ");
        assert_eq!(of("web"), "api Healthy, migrate Completed, store Started", "as it was made, not as it is declared now");
        assert_eq!((of("api"), of("extra")), (String::new(), "api Started".to_owned()));
        assert_eq!(needs.jobs(), [name("migrate")].into());
        let asked = needs.asked(&[name("web"), name("extra")].into(), &[name("api"), name("store")]);
        assert_eq!(asked, [(name("api"), Need::Healthy), (name("store"), Need::Started)].into(), "of two the one that asks for more");
    }

    #[test]
    fn containers_that_are_called_by_their_names_need_each_other_as_their_services_do() {
        let of = |service: &str, project: &str, is: &str, needs: &str| {
            labelled(service, &[("project", project), ("service", is), ("depends_on", needs)])
        };
        let containers = [
            of("edge-web-1", "edge", "web", "api:service_healthy:false,gone:service_started:false"),
            of("edge-api-1", "edge", "api", ""),
            of("edge-api-2", "edge", "api", ""),
            of("shop-api-1", "shop", "api", ""),
        ];
        let source =
            Source::Containers(vec![ContainerSelector { service: None, ways: vec![crate::domain::project::Way::Label("a=b".into())] }]);
        let needs = Needs::of(&source, &containers, &BTreeMap::new());
        assert_eq!(needs.names(&name("edge-web-1")), [name("edge-api-1"), name("edge-api-2")].into());
    }

    #[test]
    fn what_is_down_depends_on_what_is_asked() {
        let of = |state, health, change: fn(&mut Container), need| {
            let mut container = container("api", state, health);
            change(&mut container);
            lacks(&[&container], need).unwrap_or_default()
        };
        let same = |_: &mut Container| {};
        let job = |c: &mut Container| c.purpose.job = Some(crate::domain::job::Job::MayEnd);
        let failed = |c: &mut Container| c.exit_code = 3;
        for (state, health, change, need, lacking) in [
            (State::Running, Health::None, same as fn(&mut Container), Need::Started, ""),
            (State::Running, Health::Unhealthy, same, Need::Started, ""),
            (State::Running, Health::Unhealthy, same, Need::Healthy, "is unhealthy"),
            (State::Running, Health::Starting, same, Need::Healthy, ""),
            (State::Exited, Health::None, failed, Need::Started, "is down (ended with code 3)"),
            (State::Exited, Health::None, failed, Need::Completed, "is down (ended with code 3)"),
            (State::Exited, Health::None, same, Need::Started, "is down (ended with code 0)"),
            (State::Exited, Health::None, same, Need::Completed, ""),
            (State::Exited, Health::None, job, Need::Started, ""),
            (State::Exited, Health::Unhealthy, job, Need::Healthy, ""),
            (State::Restarting, Health::None, same, Need::Started, "is down (restarting in a loop)"),
            (State::Paused, Health::Healthy, same, Need::Started, "is down (paused)"),
            (State::Created, Health::None, same, Need::Completed, "is down (never started)"),
        ] {
            assert_eq!(of(state, health, change, need), lacking, "{state:?} {health:?} {need:?}");
        }
        assert_eq!(lacks(&[], Need::Completed).unwrap(), "has no container");
        let (up, down) = (container("api", State::Running, Health::None), container("api", State::Exited, Health::None));
        assert_eq!(lacks(&[&down, &up], Need::Started), None, "one of several is enough");
    }
}
