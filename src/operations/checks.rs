//! Health checks from outside of containers that dockmaster makes: an address that must answer, a port that must be open. The
//! engine knows nothing of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::desk::Desk;
use super::tools::Tools;
use crate::domain::container::{Container, Health, State};
use crate::domain::managed::{Definition, Managed};
use crate::domain::project::{ProjectName, Source};
use crate::engine::host::{HealthSpec, Judge};
use crate::engine::outside::{Looker, With};

/// Word of changes comes in bursts: it is looked for containers once so long after the first.
const BURST: Duration = Duration::from_millis(50);
/// How soon it is looked again for containers that could not be seen.
const AGAIN: Duration = Duration::from_secs(5);

/// What the checks say, by the containers' ids and when those were started: another start begins anew.
#[derive(Debug, Clone, Default)]
pub struct Checks(Arc<DashMap<Started, Checked>>);

/// One start of a container.
type Started = (String, Option<i64>);

/// How a start of a container is to be looked at.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    project: ProjectName,
    spec: HealthSpec,
}

#[derive(Debug, Clone)]
struct Checked {
    health: Health,
    told: Option<String>,
}

impl Checks {
    /// A container with what is seen of its health from outside, where that is how it is to be seen.
    pub(super) fn seen(&self, managed: &Managed, container: Container) -> Container {
        let outside = managed.services.get(&container.service).and_then(spec).is_some();
        if !outside || container.state != State::Running {
            return container;
        }
        let checked = self.0.get(&(container.id.clone(), container.started)).map(|checked| checked.clone());
        let Checked { health, told } = checked.unwrap_or(Checked { health: Health::Starting, told: None });
        Container { health, health_output: told, ..container }
    }
}

/// How a service's container is looked at from outside; none where it is not.
fn spec(definition: &Definition) -> Option<HealthSpec> {
    definition.container()?;
    definition.healthcheck.as_ref().filter(|check| check.is_outside()).and_then(HealthSpec::of)
}

impl Desk {
    /// Looks at containers from outside whose health is to be seen so, as long as this is waited for. It is looked which they
    /// are whenever the engine tells that something has changed.
    pub async fn check_from_outside(&self) {
        let mut told = self.tools.docker.told();
        let mut looking: BTreeMap<Started, (Wanted, AbortOnDropHandle<()>)> = BTreeMap::new();
        loop {
            told.mark_unchanged();
            let (wanted, unseen) = self.checked_from_outside().await;
            // What cannot be asked for is left as it is, and asked for again.
            looking.retain(|started, (is, _)| wanted.get(started) == Some(is) || unseen.contains(&is.project));
            for (started, wanted) in wanted {
                let watch = || tokio::spawn(watch(self.tools.clone(), started.clone(), wanted.spec.clone()));
                looking.entry(started.clone()).or_insert_with(|| (wanted.clone(), AbortOnDropHandle::new(watch())));
            }
            self.tools.checks.0.retain(|started, _| looking.contains_key(started));
            let mut configured = self.configured();
            tokio::select! {
                _ = told.changed() => {}
                _ = configured.changed() => {}
                () = sleep(AGAIN), if !unseen.is_empty() => {}
            }
            sleep(BURST).await;
        }
    }

    /// The containers whose health is to be seen from outside, and the projects of which nobody tells that.
    async fn checked_from_outside(&self) -> (BTreeMap<Started, Wanted>, BTreeSet<ProjectName>) {
        let (mut all, mut unseen) = (BTreeMap::new(), BTreeSet::new());
        for project in self.configuration().enabled() {
            let Source::Services(managed) = &project.source else { continue };
            let specs: BTreeMap<_, _> = managed.services.iter().filter_map(|(name, d)| Some((name, spec(d)?))).collect();
            if specs.is_empty() {
                continue;
            }
            let Ok(containers) = self.tools.glance(project).await else {
                unseen.insert(project.name.clone());
                continue;
            };
            for container in containers.into_iter().filter(|c| c.state == State::Running && !c.is_process()) {
                if let Some(spec) = specs.get(&container.service) {
                    all.insert((container.id, container.started), Wanted { project: project.name.clone(), spec: spec.clone() });
                }
            }
        }
        (all, unseen)
    }
}

/// Looks at one start of a container until it is given up.
async fn watch(tools: Tools, started: Started, spec: HealthSpec) {
    let (looker, began) = (Looker::default(), Instant::now());
    let mut judge = Judge::new(&spec);
    loop {
        sleep(judge.pause(began.elapsed())).await;
        let told = looker.look(&spec.check, spec.timeout, &With::default()).await;
        let health = judge.take(told.is_ok(), began.elapsed());
        let checked = Checked { health, told: Some(told.unwrap_or_else(|failed| failed)) };
        let before = tools.checks.0.insert(started.clone(), checked);
        if before.is_none_or(|before| before.health != health) {
            tools.docker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::container::tests::container;
    use crate::domain::managed::tests::definition;
    use crate::domain::managed::{Check, HealthCheck};
    use crate::domain::project::ServiceName;

    #[test]
    fn only_what_is_seen_from_outside_is_told_as_that() {
        let mut web = definition("example/web");
        web.healthcheck = Some(HealthCheck::new(Check::Tcp("127.0.0.1:1".into())));
        let services =
            BTreeMap::from([(ServiceName::new("web").unwrap(), web), (ServiceName::new("api").unwrap(), definition("example/api"))]);
        let managed = Managed { services, orphans: Default::default(), on_shutdown: Default::default(), registry_credentials: None };
        let checks = Checks::default();
        let health = |service: &str, state| checks.seen(&managed, container(service, state, Health::None)).health;
        assert_eq!(health("web", State::Running), Health::Starting, "nobody has looked yet");
        assert_eq!(health("web", State::Exited), Health::None);
        assert_eq!(health("api", State::Running), Health::None);
        let web = container("web", State::Running, Health::None);
        checks.0.insert((web.id.clone(), web.started), Checked { health: Health::Unhealthy, told: Some("nothing listens".into()) });
        let seen = checks.seen(&managed, web.clone());
        assert_eq!((seen.health, seen.health_output.as_deref()), (Health::Unhealthy, Some("nothing listens")));
        let again = checks.seen(&managed, Container { started: Some(web.started.unwrap_or_default() + 1), ..web });
        assert_eq!(again.health, Health::Starting, "another start begins anew");
    }
}
