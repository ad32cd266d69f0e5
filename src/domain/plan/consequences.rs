//! What a deploy does to services because of what it does to others.

use std::collections::{BTreeMap, BTreeSet};

use super::deploy::DeployFacts;
use super::links::{Link, ends_with_owner, is_named, reason, shares, shares_what_is_gone};
use super::{Action, ServicePlan};
use crate::domain::container::Container;
use crate::domain::failure::Failure;
use crate::domain::project::ServiceName;
use crate::domain::text::listing;

/// Remakes and restarts with a service what is linked to it.
///
/// # Errors
/// A service that keeps data would lose what it shares, and nobody has named it.
pub(super) fn follow(facts: &DeployFacts<'_>, services: &mut [ServicePlan], with: &BTreeSet<ServiceName>) -> Result<(), Failure> {
    let mut refused: BTreeMap<ServiceName, String> = BTreeMap::new();
    let mut noted: BTreeSet<ServiceName> = BTreeSet::new();
    loop {
        let acting: BTreeMap<ServiceName, Action> =
            services.iter().filter(|s| s.action != Action::Stay).map(|s| (s.service.clone(), s.action)).collect();
        let mut changed = false;
        for planned in services.iter_mut() {
            let containers: Vec<&Container> = facts.containers.iter().filter(|c| c.service == planned.service).collect();
            let runs = containers.iter().any(|c| c.runs());
            let service = planned.service.clone();
            for (on, links) in facts.links.of(&service).filter(|_| !containers.is_empty()) {
                let Some(owner) = acting.get(on) else { continue };
                let remade = matches!(owner, Action::Create | Action::Recreate);
                let wanted = match owner {
                    _ if remade && shares(links) => Action::Recreate,
                    Action::Restart | Action::Start if runs && ends_with_owner(links) => Action::Restart,
                    Action::Restart | Action::Recreate if runs && links.contains(&Link::Restarts) => Action::Restart,
                    _ => continue,
                };
                // What gets other numbers of containers is remade as a whole where it would be restarted, too.
                let scaled = planned.action == Action::Scale && wanted == Action::Restart;
                let wanted = if scaled { Action::Recreate } else { wanted };
                let reason = reason(on, links);
                let force = wanted == Action::Recreate && (is_named(links) || scaled);
                if rank(planned.action) >= rank(wanted) {
                    // It is remade anyway, by Compose only where that sees why.
                    changed |= force && planned.action == Action::Recreate && !std::mem::replace(&mut planned.forced, true);
                    continue;
                }
                let is_stopped = facts.stopped.contains_key(&planned.service);
                let is_kept = planned.stateful && planned.action == Action::Stay;
                if (is_stopped || is_kept) && !with.contains(&planned.service) {
                    if is_kept && !is_stopped && shares(links) {
                        refused.insert(planned.service.clone(), format!("{} {reason} and keeps data", planned.service));
                    } else if noted.insert(planned.service.clone()) {
                        // What a person stopped is remade by the start that ends that.
                        pending(planned, &format!("{} ({reason})", wanted.word()));
                    }
                    continue;
                }
                planned.forced |= force;
                planned.action = wanted;
                planned.reasons.push(reason);
                if wanted == Action::Recreate && containers.iter().any(|c| c.purpose.is_to_end() && c.started.is_some()) {
                    planned.reasons.push("a job: runs again".to_owned());
                }
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    match refused.is_empty() {
        true => Ok(()),
        false => Err(refusal(facts, &refused)),
    }
}

/// Why a service is remade whose owner was, by a hand other than ours: it shares something of a container that is gone. With that
/// whether Compose does not see it.
pub(super) fn outlived(facts: &DeployFacts<'_>, service: &ServiceName, containers: &[&Container]) -> Option<(String, bool)> {
    let is_there = |with: &str| facts.containers.iter().any(|c| c.id == with || c.name == with);
    let lost = containers.iter().flat_map(|c| &c.shares).find(|sharing| !is_there(&sharing.with))?.what;
    let holds = |links: &&BTreeSet<Link>| links.contains(&Link::Shares(lost)) || links.contains(&Link::SharesNamed(lost));
    let Some((on, links)) = facts.links.of(service).find(|(_, links)| holds(links)) else {
        // Of a container that is none of the project's, only the engine knows.
        return facts.ownerless.get(service).map(|what| (shares_what_is_gone(*what), true));
    };
    let is_remade = facts.containers.iter().any(|c| c.service == *on);
    is_remade.then(|| (format!("shares the {} of {on}, which was remade", lost.word()), links.contains(&Link::SharesNamed(lost))))
}

/// The services that are restarted, those among them that are made, too, before what they are linked to restarts.
pub(super) fn restarted(facts: &DeployFacts<'_>, services: &[ServicePlan]) -> BTreeSet<ServiceName> {
    let mut restarted: BTreeSet<ServiceName> = services.iter().filter(|s| s.action == Action::Restart).map(|s| s.service.clone()).collect();
    loop {
        let follows = |s: &&ServicePlan| s.action != Action::Stay && !restarted.contains(&s.service);
        let owner = |s: &&ServicePlan| {
            let acts = |links: &BTreeSet<Link>| ends_with_owner(links) || links.contains(&Link::Restarts);
            facts.links.of(&s.service).any(|(on, links)| restarted.contains(on) && acts(links))
        };
        let Some(next) = services.iter().filter(follows).find(owner).map(|s| s.service.clone()) else { return restarted };
        restarted.insert(next);
    }
}

/// What goes on: a service that is only started need not be restarted as well.
fn rank(action: Action) -> u8 {
    match action {
        Action::Stay | Action::Scale => 0,
        Action::Stop | Action::Start | Action::Restart => 1,
        Action::Recreate | Action::Create | Action::Remove => 2,
    }
}

/// Adds to what a service that stays is told to have pending.
fn pending(planned: &mut ServicePlan, what: &str) {
    match planned.reasons.first_mut() {
        Some(first) if first.contains("; pending: ") => first.push_str(&format!(", {what}")),
        Some(first) => first.push_str(&format!("; pending: {what}")),
        None if planned.stateful => planned.reasons.push(format!("it keeps data; pending: {what}")),
        None => planned.reasons.push(format!("pending: {what}")),
    }
}

fn refusal(facts: &DeployFacts<'_>, refused: &BTreeMap<ServiceName, String>) -> Failure {
    let project = &facts.project.name;
    let (word, kind) = if facts.back { ("rolled back", "rollback") } else { ("deployed", "deploy") };
    let names: Vec<&str> = refused.keys().map(ServiceName::as_str).collect();
    let number = if facts.back { format!(" {}", facts.release) } else { String::new() };
    Failure::new(
        format!("{project} cannot be {word} without stopping {}.", listing(&names, 4)),
        format!("{}: without its owner it has nothing to share.", listing(refused.values(), 4)),
        format!("To let it take part: /docker_{kind} {project}{number} with={}.", names.join(",")),
    )
}
