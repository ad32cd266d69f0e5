//! What a person should know before they confirm a deploy.

use std::collections::BTreeSet;

use super::super::unlisted;
use super::{Action, Changes, Container, DeployFacts, MOUNT_OF, Pull, ServiceFacts, ServiceName, ServicePlan, down, listing};

/// The warnings of a plan, a sentence each.
pub(super) fn warnings(facts: &DeployFacts<'_>, services: &[ServicePlan], files: &Changes) -> Vec<String> {
    let mut warnings = Vec::new();
    // At first everything is new: what each service mounts is one line.
    let is_first = facts.owned.is_none();
    let mounts = |s: &ServiceFacts| s.asks.iter().filter_map(|ask| ask.strip_prefix(MOUNT_OF).map(str::to_owned)).collect::<Vec<_>>();
    for service in facts.services {
        let asks: Vec<&str> = service.asks.iter().map(String::as_str).filter(|ask| !(is_first && ask.starts_with(MOUNT_OF))).collect();
        if !asks.is_empty() {
            warnings.push(format!("{} newly asks for {}.", service.name, asks.join(", ")));
        }
    }
    let mounted: BTreeSet<String> = facts.services.iter().filter(|_| is_first).flat_map(mounts).collect();
    if !mounted.is_empty() {
        warnings.push(format!("Mounts outside production: {}.", listing(mounted, 5)));
    }
    let unasked = |s: &ServiceFacts| if let Pull::Unknown(why) = &s.pull { Some((s.name.clone(), why.clone())) } else { None };
    for (service, why) in facts.services.iter().filter_map(unasked) {
        warnings.push(format!("The registry could not be asked for a newer image of {service} ({why}): the one that is here is used."));
    }
    if !files.edited.is_empty() {
        let edited = &files.edited;
        warnings.push(format!("Edited by hand in production and overwritten: {}.", listing(edited, 5)));
    }
    warnings.extend(unlisted::remarks(facts));
    let of = |service: &ServiceName| facts.containers.iter().filter(|c| c.service == *service).collect::<Vec<_>>();
    let ill = |c: &&Container| !c.is_up() && !c.ended_well() && down(c).is_none() && !c.purpose.is_to_end();
    let ill: Vec<&ServiceName> = services
        .iter()
        .filter(|s| s.action == Action::Stay && !facts.stopped.contains_key(&s.service))
        .filter(|s| of(&s.service).iter().any(ill))
        .map(|s| &s.service)
        .collect();
    if !ill.is_empty() {
        warnings.push(format!("Not up already, and left as it is: {}.", listing(ill, 5)));
    }
    for stays in services.iter().filter(|s| s.action == Action::Stay) {
        let containers = of(&stays.service);
        let is_down =
            !containers.is_empty() && containers.iter().all(|c| !c.runs() && !c.ended_well() || facts.stopped.contains_key(&c.service));
        let needs_it = |s: &&ServicePlan| {
            s.action != Action::Stay && facts.services.iter().any(|f| f.name == s.service && f.depends_on.contains(&stays.service))
        };
        let by: Vec<&ServiceName> = services.iter().filter(needs_it).map(|s| &s.service).filter(|_| is_down).collect();
        if !by.is_empty() {
            warnings.push(format!("{} depends on {}, which is down and stays so.", listing(by, 4), stays.service));
        }
    }
    let stopping: Vec<&ServiceName> =
        services.iter().filter(|s| s.stateful && matches!(s.action, Action::Restart | Action::Recreate)).map(|s| &s.service).collect();
    for name in stopping {
        let dependants: Vec<&ServiceName> = facts.services.iter().filter(|s| s.depends_on.contains(name)).map(|s| &s.name).collect();
        let also = if dependants.is_empty() { String::new() } else { format!("; {} depends on it", listing(dependants, 4)) };
        warnings.push(format!("{name} keeps data and is stopped for this{also}."));
    }
    warnings
}
