//! How many containers Compose is to leave of a service, where that is not what the files declare: what stays keeps those that it has,
//! and what goes back has as many as before. And what a rollback goes back past.

use std::collections::{BTreeMap, BTreeSet};

use super::super::recorder::history_failure;
use super::super::runner::Job;
use super::super::tools::Tools;
use crate::domain::compose_name::declares;
use crate::domain::container::Container;
use crate::domain::desired::{DesiredState, Standing, count_of};
use crate::domain::failure::Failure;
use crate::domain::plan::Action;
use crate::domain::project::{Project, ServiceName};
use crate::engine::compose::Scale;
use crate::history::releases::ReleaseRecord;

/// The numbers of containers for a call that brings up `services` and looks after what those need.
pub(super) fn scale<'a>(
    job: &Job,
    declared: &BTreeMap<ServiceName, u64>,
    services: &[ServiceName],
    needed: impl Iterator<Item = &'a ServiceName>,
    containers: &[Container],
) -> Scale {
    let staying = needed.map(|service| (service.clone(), count_of(service, containers)));
    let before = services.iter().filter(|_| job.undoing.get().is_some());
    let before = before.filter_map(|service| Some((service.clone(), there_before(job, service)?)));
    let differs = |(service, number): &(ServiceName, u64)| *number > 0 && declared.get(service).is_some_and(|n| n != number);
    staying.chain(before).filter(differs).collect()
}

/// How many containers a service had before the operation, where the operation may have changed that.
fn there_before(job: &Job, service: &ServiceName) -> Option<u64> {
    let planned = job.plan.services.iter().find(|s| s.service == *service)?;
    let touched = matches!(planned.action, Action::Scale | Action::Recreate | Action::Remove);
    Some(planned.replicas.filter(|_| touched)?.there)
}

/// How many containers each of some services has to have, where more or fewer than one.
pub(in super::super) fn expected(job: &Job, services: &BTreeSet<ServiceName>) -> BTreeMap<ServiceName, u64> {
    let undoing = job.undoing.get().is_some();
    let of = |service: &ServiceName| {
        let planned = job.plan.services.iter().find(|s| s.service == *service)?;
        let makes = matches!(planned.action, Action::Create | Action::Scale | Action::Recreate);
        if undoing { there_before(job, service) } else { Some(planned.replicas.filter(|_| makes)?.declared) }
    };
    services.iter().filter_map(|service| Some((service.clone(), of(service)?))).collect()
}

/// The services with containers that no file of a release declares any more, and a later one did.
pub(super) async fn added_since(
    tools: &Tools,
    project: &Project,
    (old, desired, before): (&ReleaseRecord, &DesiredState, &BTreeSet<ServiceName>),
    containers: &[Container],
    what: &str,
) -> Result<BTreeSet<ServiceName>, Failure> {
    let leftovers = desired.standing(containers, Standing::Leftover);
    let (mut added, mut open): (BTreeSet<&ServiceName>, BTreeSet<&ServiceName>) = leftovers.into_iter().partition(|s| before.contains(*s));
    if open.is_empty() {
        return Ok(added.into_iter().cloned().collect());
    }
    let unread = |e| history_failure(what, &e);
    for line in tools.history.releases(project.name.clone()).await.map_err(unread)? {
        if line.number <= old.number || open.is_empty() {
            continue;
        }
        let Some(release) = tools.history.release(project.name.clone(), line.number).await.map_err(unread)? else { continue };
        let texts: Vec<String> = release.compose.into_iter().map(|(_, text)| text).collect();
        let (found, rest): (BTreeSet<&ServiceName>, BTreeSet<&ServiceName>) = open.into_iter().partition(|s| declares(&texts, s.as_str()));
        added.extend(found);
        open = rest;
    }
    Ok(added.into_iter().cloned().collect())
}
