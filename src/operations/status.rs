//! How a project stands: what the engine says now, and what was measured in the background.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::insight::Insight;
use crate::domain::Millis;
use crate::domain::container::{Condition, Container, State};
use crate::domain::desired::{DesiredState, Standing, count_of};
use crate::domain::job::{self, Purposes};
use crate::domain::measures::{Measures, ServiceMeasures};
use crate::domain::project::{Project, ServiceName, Source};
use crate::domain::shared::Shared;
use crate::domain::status::{Busy, ProjectStatus, ServiceStatus};
use crate::domain::untrusted::UntrustedText;

/// The containers of a project, and what was measured of them, by their names.
pub(super) struct Seen {
    pub(super) containers: Vec<Container>,
    pub(super) measured: BTreeMap<String, Measures>,
    /// The services that a person stopped, and who it was.
    pub(super) stopped: BTreeMap<ServiceName, String>,
    /// The containers that are down since the engine was killed, by their ids.
    pub(super) down_since_engine: BTreeSet<String>,
    /// The services that share something of a container that is gone.
    pub(super) ownerless: BTreeMap<ServiceName, Shared>,
    /// What its services are there for, as far as production's compose files were read.
    pub(super) purposes: Arc<Purposes>,
    /// Which services there are to be, as far as production's compose files were read.
    pub(super) desired: Option<Arc<DesiredState>>,
}

/// How many containers of one service are told of that are not there: a number that was mistyped is no reason for a long answer.
const REPLICAS_MAX: usize = 100;

/// Puts the status of a project together.
pub(super) fn status(
    project: &Project,
    seen: Seen,
    insight: Insight,
    pending: &BTreeSet<ServiceName>,
    release: Option<(i64, Millis)>,
    busy: Option<Busy>,
    now: Millis,
) -> ProjectStatus {
    let primary = |service: &ServiceName| project.primary.as_ref() == Some(service);
    let Seen { containers, measured, stopped, down_since_engine, ownerless, purposes, desired } = seen;
    let standing = |service: &ServiceName| desired.as_ref().map(|desired| desired.of(service));
    let number = |service: &ServiceName| desired.as_ref().and_then(|desired| desired.replicas(service));
    let surplus: BTreeSet<ServiceName> =
        containers.iter().map(|c| &c.service).filter(|s| number(s).is_some_and(|n| count_of(s, &containers) > n)).cloned().collect();
    let mut services: Vec<ServiceStatus> = containers
        .into_iter()
        .map(|c| ServiceStatus {
            primary: primary(&c.service),
            stateful: project.stateful.contains(&c.service),
            unlisted: standing(&c.service)
                .filter(|standing| !matches!(standing, Standing::Declared(_)))
                .and_then(Standing::left_alone)
                .map(str::to_owned),
            pending: pending.contains(&c.service)
                || surplus.contains(&c.service)
                || insight.hashes.get(&c.service).is_some_and(|hash| !hash.is_of(&c)),
            since: if c.state == State::Running { c.started } else { c.finished },
            exit_code: matches!(c.state, State::Exited | State::Dead | State::Restarting).then_some(c.exit_code),
            out_of_memory: c.died_of_memory() && !stopped.contains_key(&c.service),
            error: c.not_started().map(UntrustedText::from),
            down_since_engine: down_since_engine.contains(&c.id),
            not_run: false,
            done: c.is_done() && !stopped.contains_key(&c.service),
            exited: c.exited_zero() && !c.is_done() && !stopped.contains_key(&c.service),
            serves: c.purpose.serves,
            stopped: stopped.get(&c.service).cloned(),
            ownerless: ownerless.get(&c.service).map(|what| cannot_start(project, &c.service, *what, &stopped)),
            condition: match c.condition(now) {
                // However it ended, that was meant.
                Condition::Failed if stopped.contains_key(&c.service) && c.not_started().is_none() => Condition::Stopped,
                seen => seen,
            },
            process: c.is_process(),
            measures: ServiceMeasures::of(&c, measured.get(&c.name), now),
            service: c.service,
            container: Some(c.name.into()),
            health: c.health,
            ports: c.ports,
            image: c.image.into(),
            restarts: c.restarts,
        })
        .collect();
    let declared: Vec<(ServiceName, u64)> =
        desired.iter().flat_map(|desired| desired.declared()).map(|(service, replicas)| (service.clone(), replicas)).collect();
    let not_run = |service: &ServiceName| job::configured(project, &purposes, service).is_to_end();
    for (service, replicas) in declared.into_iter().chain(named(project).into_iter().map(|service| (service, 1))) {
        // One for each container that there is to be and is not.
        for _ in services.iter().filter(|s| s.service == service).count()..usize::try_from(replicas).unwrap_or(usize::MAX).min(REPLICAS_MAX)
        {
            let not_run = not_run(&service);
            services.push(ServiceStatus { not_run, ..missing(project, &service, primary(&service)) });
        }
    }
    services.sort_by(|a, b| (!a.primary, &a.service, &a.container).cmp(&(!b.primary, &b.service, &b.container)));
    let shown = |path: &Option<std::path::PathBuf>| path.as_ref().map(|p| p.display().to_string());
    ProjectStatus {
        project: project.name.clone(),
        description: project.description.as_ref().map(UntrustedText::from),
        services,
        workspace: shown(&project.workspace),
        production: shown(&project.production),
        release,
        ahead: insight.ahead,
        busy,
        unknown: insight.trouble.into_iter().collect(),
    }
}

/// Containers that the configuration names one by one: one that is gone is shown as missing.
fn named(project: &Project) -> Vec<ServiceName> {
    match &project.source {
        Source::Compose(_) => Vec::new(),
        Source::Containers(selectors) => selectors.iter().filter_map(|selector| selector.service.clone()).collect(),
        Source::Services(managed) => managed.services.keys().cloned().collect(),
    }
}

/// That what shares a namespace of a container that is gone could not start again, and what helps.
fn cannot_start(project: &Project, service: &ServiceName, what: Shared, stopped: &BTreeMap<ServiceName, String>) -> String {
    let named = stopped.contains_key(service) || project.stateful.contains(service);
    let remedy = match project.source {
        Source::Compose(_) if named => format!("/docker_deploy {} with={service} recreates it", project.name),
        Source::Compose(_) => format!("/docker_deploy {} recreates it", project.name),
        Source::Containers(_) | Source::Services(_) => "make it anew".to_owned(),
    };
    format!("shares the {} of a container that is gone, and could not start again: {remedy}", what.word())
}

fn missing(project: &Project, service: &ServiceName, primary: bool) -> ServiceStatus {
    ServiceStatus { primary, stateful: project.stateful.contains(service), ..ServiceStatus::missing(service.clone()) }
}
