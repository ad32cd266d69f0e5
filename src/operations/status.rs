//! How a project stands: what the engine says now, and what was measured in the background.

use std::collections::{BTreeMap, BTreeSet};

use super::insight::Insight;
use crate::domain::Millis;
use crate::domain::container::{Container, State};
use crate::domain::measures::{Measures, ServiceMeasures};
use crate::domain::project::{Project, ServiceName, Source};
use crate::domain::status::{Busy, ProjectStatus, ServiceStatus};
use crate::domain::untrusted::UntrustedText;

/// The containers of a project, and what was measured of them, by their names.
pub(super) struct Seen {
    pub(super) containers: Vec<Container>,
    pub(super) measured: BTreeMap<String, Measures>,
    /// The services that a person stopped, and who it was.
    pub(super) stopped: BTreeMap<ServiceName, String>,
}

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
    let Seen { containers, measured, stopped } = seen;
    let mut services: Vec<ServiceStatus> = containers
        .into_iter()
        .map(|c| ServiceStatus {
            primary: primary(&c.service),
            stateful: project.stateful.contains(&c.service),
            pending: pending.contains(&c.service) || insight.hashes.get(&c.service).is_some_and(|hash| !hash.is_of(&c)),
            since: if c.state == State::Running { c.started } else { c.finished },
            exit_code: matches!(c.state, State::Exited | State::Dead | State::Restarting).then_some(c.exit_code),
            out_of_memory: c.oom_killed,
            done: c.is_done() && !stopped.contains_key(&c.service),
            exited: c.exited_zero() && !c.is_done() && !stopped.contains_key(&c.service),
            serves: c.purpose.serves,
            stopped: stopped.get(&c.service).cloned(),
            condition: c.condition(now),
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
    for service in insight.declared.iter().chain(&named(project)) {
        if !services.iter().any(|s| s.service == *service) {
            services.push(missing(project, service, primary(service)));
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

fn missing(project: &Project, service: &ServiceName, primary: bool) -> ServiceStatus {
    ServiceStatus { primary, stateful: project.stateful.contains(service), ..ServiceStatus::missing(service.clone()) }
}
