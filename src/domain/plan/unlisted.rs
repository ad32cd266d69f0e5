//! Services that have containers, and that the files of the coming release do not declare among those that take part.

use std::collections::BTreeSet;

use super::deploy::DeployFacts;
use super::{Action, ServicePlan};
use crate::domain::container::Container;
use crate::domain::desired::Standing;
use crate::domain::project::ServiceName;
use crate::domain::text::listing;

/// How many of them are named.
const SHOWN: usize = 5;

/// The services of the containers that are not among those that the files declare.
fn unlisted<'a>(facts: &DeployFacts<'a>) -> BTreeSet<&'a ServiceName> {
    facts.containers.iter().map(|c| &c.service).filter(|s| !facts.services.iter().any(|f| f.name == **s)).collect()
}

fn is_inactive(facts: &DeployFacts<'_>, service: &ServiceName) -> bool {
    facts.desired.is_some_and(|desired| desired.of(service) == Standing::Inactive)
}

/// Whether a rollback goes back past the release that added a service: what that added goes with it.
pub(super) fn goes(facts: &DeployFacts<'_>, service: &ServiceName) -> bool {
    facts.back && facts.added.contains(service) && !is_inactive(facts, service) && unlisted(facts).contains(service)
}

/// What a rollback does about the services that later releases added.
pub(super) fn removed(facts: &DeployFacts<'_>, with: &BTreeSet<ServiceName>) -> Vec<ServicePlan> {
    let plan = |service: &ServiceName| {
        let (stateful, why) = (facts.project.stateful.contains(service), format!("not in release {}", facts.release));
        let stays = stateful && !with.contains(service);
        let (action, why) = if stays { (Action::Stay, format!("it keeps data; pending: remove ({why})")) } else { (Action::Remove, why) };
        ServicePlan { stateful, reasons: vec![why], ..ServicePlan::of(service.clone(), action) }
    };
    unlisted(facts).into_iter().filter(|service| goes(facts, service)).map(plan).collect()
}

/// Whether what is removed could be made again from production's own files, should the rest fail. What could not goes last.
pub(super) fn comes_back(facts: &DeployFacts<'_>, service: &ServiceName) -> bool {
    facts.services.iter().any(|s| s.name == *service) || facts.before.contains(service)
}

/// What is said of those that stay as they are.
pub(super) fn remarks(facts: &DeployFacts<'_>) -> Vec<String> {
    let staying = unlisted(facts).into_iter().filter(|service| !goes(facts, service));
    let (inactive, gone): (Vec<&ServiceName>, Vec<&ServiceName>) = staying.partition(|service| is_inactive(facts, service));
    let runs = |service: &ServiceName| facts.containers.iter().any(|c: &Container| c.service == *service && c.may_run());
    let (running, stopped): (Vec<&ServiceName>, Vec<&ServiceName>) = gone.iter().partition(|service| runs(service));
    let mut said = Vec::new();
    let mut say = |services: &[&ServiceName], words: &dyn Fn(String) -> String| {
        if !services.is_empty() {
            said.push(words(listing(services, SHOWN)));
        }
    };
    say(&running, &|names| format!("No longer in the compose file, and left running: {names}."));
    say(&stopped, &|names| format!("No longer in the compose file, and left stopped: {names}."));
    let is = if inactive.len() == 1 {
        "is behind a profile that is not active: left as it is"
    } else {
        "are behind profiles that are not active: left as they are"
    };
    say(&inactive, &|names| format!("{names} {is}."));
    said
}
