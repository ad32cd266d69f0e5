//! What acts between services: whose namespaces a service shares, and with whose restart it restarts.

use std::collections::{BTreeMap, BTreeSet};

use super::lifecycle::ByService;
use super::needs::written;
use super::{Action, ServicePlan};
use crate::domain::container::Container;
use crate::domain::project::{ServiceName, Source};
use crate::domain::request::Kind;
use crate::domain::shared::Shared;

/// How a service is linked to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Link {
    /// It shares something of that service (`service:vpn`): Compose puts the container's id in its place.
    Shares(Shared),
    /// It shares something of a container that is called by its name or id (`container:vpn`): Compose takes no notice of it.
    SharesNamed(Shared),
    /// Its file asks for it: `depends_on` with `restart: true`.
    Restarts,
}

impl Link {
    fn shared(self) -> Option<Shared> {
        match self {
            Self::Shares(what) | Self::SharesNamed(what) => Some(what),
            Self::Restarts => None,
        }
    }
}

/// The links of each service, by the services that it is linked to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links(BTreeMap<ServiceName, BTreeMap<ServiceName, BTreeSet<Link>>>);

impl Links {
    /// What containers were made with.
    pub fn of_containers(source: &Source, containers: &[Container]) -> Self {
        let mut all = Self::default();
        for written in written(source, containers).into_iter().filter(|written| written.restarts) {
            all.add(written.by, written.needed, Link::Restarts);
        }
        for (by, owner, what) in shared(containers) {
            all.add(by.clone(), owner.clone(), Link::Shares(what));
        }
        all
    }

    /// Adds a link.
    pub fn add(&mut self, service: ServiceName, on: ServiceName, link: Link) {
        if service != on {
            self.0.entry(service).or_default().entry(on).or_default().insert(link);
        }
    }

    /// What a service is linked to, and how.
    pub(super) fn of(&self, service: &ServiceName) -> impl Iterator<Item = (&ServiceName, &BTreeSet<Link>)> {
        self.0.get(service).into_iter().flatten()
    }

    /// The services whose containers one shares something of by their names.
    pub fn named(&self, service: &ServiceName) -> impl Iterator<Item = &ServiceName> {
        self.of(service).filter(|(_, links)| is_named(links)).map(|(on, _)| on)
    }

    /// The services that one is linked to.
    pub fn owners(&self, service: &ServiceName) -> BTreeSet<ServiceName> {
        self.of(service).map(|(on, _)| on.clone()).collect()
    }
}

/// Who shares what with whom, as the engine says it.
pub(super) fn shared(containers: &[Container]) -> impl Iterator<Item = (&ServiceName, &ServiceName, Shared)> {
    let each = containers.iter().flat_map(|c| c.shares.iter().map(move |sharing| (c, sharing)));
    each.filter_map(|(c, sharing)| {
        let owner = containers.iter().find(|o| o.id == sharing.with || o.name == sharing.with)?;
        (owner.service != c.service).then_some((&c.service, &owner.service, sharing.what))
    })
}

/// Why a service takes part along with another one, in a few words.
pub(super) fn reason(on: &ServiceName, links: &BTreeSet<Link>) -> String {
    match links.iter().find_map(|link| link.shared()) {
        Some(what) => format!("shares the {} of {on}", what.word()),
        None => format!("depends on {on}, restart: true"),
    }
}

/// That a service could not start again, in a few words.
pub(super) fn shares_what_is_gone(what: Shared) -> String {
    format!("shares the {} of a container that is gone", what.word())
}

/// Whether something that is shared is gone while its owner is down.
pub(super) fn ends_with_owner(links: &BTreeSet<Link>) -> bool {
    links.iter().any(|link| link.shared().is_some_and(Shared::ends_with_owner))
}

pub(super) fn shares(links: &BTreeSet<Link>) -> bool {
    links.iter().any(|link| link.shared().is_some())
}

/// Whether Compose would not remake it with its owner.
pub(super) fn is_named(links: &BTreeSet<Link>) -> bool {
    links.iter().any(|link| matches!(link, Link::SharesNamed(_)))
}

/// Takes along, as Compose does, what is linked to the services that are started, stopped or restarted; returns which that are. What
/// shares a namespace is useless without its owner, so that data is no reason to leave it.
pub(super) fn take_along(
    kind: Kind,
    services: &mut [ServicePlan],
    links: &Links,
    known: &ByService<'_>,
    (stopped, ownerless): (&BTreeMap<ServiceName, String>, &BTreeMap<ServiceName, Shared>),
) -> BTreeSet<ServiceName> {
    let mut along = BTreeSet::new();
    let mut noted = BTreeSet::new();
    loop {
        let acting: BTreeMap<ServiceName, Action> =
            services.iter().filter(|s| s.action != Action::Stay).map(|s| (s.service.clone(), s.action)).collect();
        let mut changed = false;
        for planned in services.iter_mut().filter(|s| s.action == Action::Stay) {
            let containers = known.get(&planned.service).map_or(&[][..], Vec::as_slice);
            // Without its owner it would not come up.
            if containers.is_empty() || kind != Kind::Stop && ownerless.contains_key(&planned.service) {
                continue;
            }
            for (on, links) in links.of(&planned.service) {
                let Some(owner) = acting.get(on) else { continue };
                let is_stopped = stopped.get(&planned.service);
                let stays_away = is_stopped.is_some() || containers.iter().all(|c| c.is_done());
                let runs = containers.iter().any(|c| c.runs());
                let shares = ends_with_owner(links);
                let action = match kind {
                    Kind::Restart if shares && !stays_away => Some(Action::Restart),
                    Kind::Restart if links.contains(&Link::Restarts) && !stays_away && !planned.stateful => Some(Action::Restart),
                    Kind::Stop if shares && runs => Some(Action::Stop),
                    // Its owner is recreated, and what it shares is that of a container which is gone.
                    Kind::Start if shares && *owner == Action::Create => Some(Action::Recreate),
                    Kind::Start if shares && runs => Some(Action::Restart),
                    // A stop of the owner has taken it along.
                    Kind::Start if shares && (is_stopped.is_some() || !stays_away) => Some(Action::Start),
                    _ => None,
                };
                let reason = reason(on, links);
                if let Some(action) = action {
                    let data = if planned.stateful { "; keeps data, and has nothing without that" } else { "" };
                    planned.reasons = vec![format!("{reason}{data}")];
                    planned.action = action;
                    along.insert(planned.service.clone());
                    changed = true;
                    break;
                }
                if kind == Kind::Restart && noted.insert(planned.service.clone()) {
                    let why = match is_stopped {
                        Some(stopped) => Some(stopped.clone()),
                        None if planned.stateful && links.contains(&Link::Restarts) => Some(format!("keeps data, though it {reason}")),
                        None => None,
                    };
                    planned.reasons.extend(why.filter(|_| planned.reasons.is_empty()));
                }
            }
        }
        if !changed {
            return along;
        }
    }
}
