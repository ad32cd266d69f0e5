//! Networks and volumes in the plan for a deploy: what is missing, what changes, and what would be lost.
//!
//! Compose's hash of a service holds neither. Before 2.31 Compose does not notice that a network or a volume was changed at all.
//! Since then it removes and makes a changed network, for which all its services have to stop; a changed volume it always leaves.

use std::collections::BTreeSet;

use super::{Action, ServicePlan};
use crate::domain::container::{Container, State};
use crate::domain::failure::Failure;
use crate::domain::names::offer;
use crate::domain::project::ServiceName;
use crate::domain::text::listing;
use crate::domain::untrusted::UntrustedText;

/// How many names a message spells out.
const NAMED: usize = 5;

/// What the plan needs to know of networks and volumes.
#[derive(Debug, Default)]
pub struct Resources {
    /// The version of Compose.
    pub compose: String,
    /// Whether that notices which networks a container is in.
    pub notices: bool,
    /// What somebody else is to make and has not, with the kind of each (`network`, `volume`).
    pub absent: BTreeSet<(&'static str, String)>,
    /// What only Swarm makes and the files ask of Compose: the name, and its kind (`config`, `secret`).
    pub unsupported: BTreeSet<(String, &'static str)>,
    /// The networks whose definition is no longer the one that they were made from.
    pub networks: Vec<NetworkFacts>,
    /// The networks that containers are to be in, by service.
    pub wanted: Vec<(ServiceName, BTreeSet<String>)>,
    /// The volumes whose definition is no longer the one that they were made from, as the files call them.
    pub volumes: BTreeSet<String>,
    /// The volumes that services would have in the place of others.
    pub swaps: Vec<VolumeSwap>,
    /// The services without containers that have a network or volume which is not there, and which nobody else is to have either.
    pub without_containers: BTreeSet<ServiceName>,
    /// All volumes that services mount, as the files call them.
    pub mounted: BTreeSet<String>,
}

/// A network whose definition has changed.
#[derive(Debug, Clone)]
pub struct NetworkFacts {
    /// What the compose files call it.
    pub key: String,
    /// The services that are in it.
    pub services: BTreeSet<ServiceName>,
    /// Whether Compose removes and recreates it.
    pub remade: bool,
    /// The names of containers that are in it and no service of these files.
    pub others: BTreeSet<String>,
}

/// A volume that a service would have where its container has something else.
#[derive(Debug, Clone)]
pub struct VolumeSwap {
    /// The service.
    pub service: ServiceName,
    /// What the compose files call the volume.
    pub key: String,
    /// What the engine calls it.
    pub name: String,
    /// Where it is in the container.
    pub at: String,
    /// What the container has there, in words.
    pub before: String,
    /// Whether the engine has the volume already; it would be made, and be empty, otherwise.
    pub there: bool,
}

impl Resources {
    /// Why a service is recreated although Compose's hash of it has not changed. Where that has (`is_seen`), being in another network
    /// is part of what changed.
    pub fn unseen(&self, service: &ServiceName, containers: &[&Container], is_seen: bool) -> Vec<String> {
        let remade = self.networks.iter().filter(|network| network.remade && network.services.contains(service));
        let mut reasons: Vec<String> = remade.map(|network| format!("network {} changed", UntrustedText::from(&network.key))).collect();
        if let Some(missing) = self.missing(service, containers).filter(|_| self.notices && !is_seen && reasons.is_empty()) {
            reasons.push(format!("is not in network {missing}"));
        }
        reasons
    }

    /// The networks that a running service is not in.
    fn missing(&self, service: &ServiceName, containers: &[&Container]) -> Option<String> {
        let (_, wanted) = self.wanted.iter().find(|(name, _)| name == service)?;
        let running = containers.iter().filter(|c| c.service == *service && c.state == State::Running);
        let missing: BTreeSet<&String> = running.flat_map(|c| wanted.difference(&c.networks)).collect();
        (!missing.is_empty()).then(|| listing(missing.into_iter().map(|name| UntrustedText::from(name.as_str())), NAMED))
    }

    /// The networks that are recreated.
    pub(super) fn remade(&self) -> Vec<String> {
        self.networks.iter().filter(|network| network.remade).map(|network| network.key.clone()).collect()
    }

    /// Refuses what Compose would fail on half way.
    ///
    /// # Errors
    /// Something that others make is not there, or a network cannot be recreated without what was not named.
    pub(super) fn check(
        &self,
        what: &str,
        command: &str,
        stateful: &BTreeSet<ServiceName>,
        with: &BTreeSet<ServiceName>,
    ) -> Result<(), Failure> {
        if !self.absent.is_empty() {
            let names = self.absent.iter().map(|(kind, name)| format!("{kind} {}", UntrustedText::from(name)));
            let make = self.absent.iter().map(|(kind, name)| format!("docker {kind} create {name}"));
            let why = format!("The compose files expect somebody else to make what is not there: {}.", listing(names, NAMED));
            let next = format!("Make it, then ask again: {}", make.take(NAMED).collect::<Vec<_>>().join("; "));
            return Err(Failure::new(what, why, next));
        }
        if let Some((name, kind)) = self.unsupported.first() {
            let why = format!("The {kind} {} is “external”, which only Swarm has.", UntrustedText::from(name));
            return Err(Failure::new(what, why, "Give it “file” or “environment” in the compose file."));
        }
        for network in self.networks.iter().filter(|network| network.remade) {
            let key = UntrustedText::from(&network.key);
            if !network.others.is_empty() {
                let others = listing(network.others.iter().map(|name| UntrustedText::from(name.as_str())), NAMED);
                let why = format!("The definition of network {key} changed, and it cannot be recreated while {others} is in it.");
                return Err(Failure::new(what, why, "Disconnect or remove that (docker network disconnect), then ask again."));
            }
            let kept: Vec<&ServiceName> = network.services.iter().filter(|s| stateful.contains(*s) && !with.contains(*s)).collect();
            if !kept.is_empty() {
                let why =
                    format!("The definition of network {key} changed. {} keeps data and would be stopped for that.", listing(&kept, NAMED));
                let named = kept.iter().map(|service| service.as_str()).collect::<Vec<_>>().join(",");
                return Err(Failure::new(what, why, format!("Take it along: {command} with={named}. Or leave the network as it was.")));
            }
        }
        Ok(())
    }

    /// Refuses to give a service an empty volume in the place of what it has, unless that is named.
    ///
    /// # Errors
    /// There is such a service, or no service mounts what was named.
    pub(super) fn check_swaps(&self, what: &str, command: &str, services: &[ServicePlan], named: &BTreeSet<String>) -> Result<(), Failure> {
        let is_known = |name: &String| self.mounted.contains(name) || self.swaps.iter().any(|swap| swap.name == *name);
        if let Some(stranger) = named.iter().find(|name| !is_known(name)) {
            let why = format!("No service mounts a volume {}.", UntrustedText::from(stranger));
            return Err(Failure::new(what, why, offer(stranger, self.mounted.iter().map(String::as_str))));
        }
        let lost = |swap: &&VolumeSwap| !swap.there && !named.contains(&swap.key) && !named.contains(&swap.name);
        let Some(swap) = self.swapped(services).find(lost) else { return Ok(()) };
        let (key, before) = (UntrustedText::from(&swap.key), &swap.before);
        let why =
            format!("{} has {before} at {}, and would get the new, empty volume {key} there.", swap.service, UntrustedText::from(&swap.at));
        let next =
            format!("Copy the data into a volume {} first, or say that it may be empty: {command} new-volume={}.", swap.name, swap.key);
        Err(Failure::new(what, why, next))
    }

    /// The swaps of services that get new containers.
    fn swapped<'a>(&'a self, services: &'a [ServicePlan]) -> impl Iterator<Item = &'a VolumeSwap> {
        let makes = |s: &ServicePlan| matches!(s.action, Action::Recreate | Action::Scale);
        let is_remade = move |service: &ServiceName| services.iter().any(|s| s.service == *service && makes(s));
        self.swaps.iter().filter(move |swap| is_remade(&swap.service))
    }

    /// What the person should know before they confirm.
    pub(super) fn warnings(&self, services: &[ServicePlan], containers: &[Container]) -> Vec<String> {
        let mut warnings = Vec::new();
        let unnoticed: Vec<UntrustedText> =
            self.networks.iter().filter(|network| !network.remade).map(|network| UntrustedText::from(&network.key)).collect();
        if !unnoticed.is_empty() {
            let names = listing(unnoticed, NAMED);
            let why = if self.notices {
                "made by a Compose that kept no hash of it".to_owned()
            } else {
                format!("Compose {} does not notice that", self.compose)
            };
            warnings.push(format!("The definition of network {names} changed, and it stays as it is ({why}). To have the new one: docker compose down, then deploy."));
        }
        if !self.volumes.is_empty() {
            let names = listing(self.volumes.iter().map(|key| UntrustedText::from(key.as_str())), NAMED);
            warnings
                .push(format!("The definition of volume {names} changed, and it stays as it is: Compose changes no volume that exists."));
        }
        let stays = |service: &ServiceName| {
            services.iter().any(|s| s.service == *service && !matches!(s.action, Action::Recreate | Action::Create))
        };
        let all: Vec<&Container> = containers.iter().collect();
        for (service, _) in self.wanted.iter().filter(|(service, _)| !self.notices && stays(service)) {
            if let Some(missing) = self.missing(service, &all) {
                warnings.push(format!(
                    "{service} is not in network {missing} until it is recreated: Compose {} does not notice that.",
                    self.compose
                ));
            }
        }
        for swap in self.swaps.iter().filter(|swap| stays(&swap.service)) {
            let key = UntrustedText::from(&swap.key);
            warnings.push(format!(
                "{} keeps {} at {} until it is recreated, and gets volume {key} then.",
                swap.service,
                swap.before,
                UntrustedText::from(&swap.at)
            ));
        }
        for swap in self.swapped(services) {
            let (key, new) = (UntrustedText::from(&swap.key), if swap.there { "" } else { "new, empty " });
            warnings.push(format!(
                "{} gets the {new}volume {key} at {} in the place of {}.",
                swap.service,
                UntrustedText::from(&swap.at),
                swap.before
            ));
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::container::Health;
    use crate::domain::container::tests::container;
    use expect_test::expect;

    fn name(text: &str) -> ServiceName {
        ServiceName::new(text).unwrap()
    }

    fn names(all: &[&str]) -> BTreeSet<String> {
        all.iter().map(|name| (*name).to_owned()).collect()
    }

    fn network(remade: bool, others: &[&str]) -> NetworkFacts {
        NetworkFacts { key: "edge".into(), services: [name("web"), name("db")].into(), remade, others: names(others) }
    }

    fn planned(service: &str, action: Action) -> ServicePlan {
        ServicePlan::of(name(service), action)
    }

    fn swap(there: bool) -> VolumeSwap {
        let (key, name_there, at, before) = ("data".into(), "shop_data2".into(), "/data".into(), "volume `shop_data`".into());
        VolumeSwap { service: name("db"), key, name: name_there, at, before, there }
    }

    #[test]
    fn what_is_missing_or_needs_a_name_is_refused() {
        let check = |resources: &Resources, with: &[&str]| {
            let with = with.iter().map(|service| name(service)).collect();
            resources
                .check("shop cannot be deployed.", "/docker_deploy shop", &[name("db")].into(), &with)
                .map_err(|e| format!("{e} {}", e.next))
        };
        let absent = [("network", "public".to_owned()), ("volume", "media".to_owned())].into();
        let unsupported = [("key".to_owned(), "secret")].into();
        let lines = [
            check(&Resources { absent, ..Resources::default() }, &[]),
            check(&Resources { unsupported, ..Resources::default() }, &[]),
            check(&Resources { networks: vec![network(true, &["proxy"])], ..Resources::default() }, &["db"]),
            check(&Resources { networks: vec![network(true, &[])], ..Resources::default() }, &[]),
        ];
        let lines: Vec<String> = lines.into_iter().map(|refused| refused.unwrap_err()).collect();
        expect![[r#"
            shop cannot be deployed. The compose files expect somebody else to make what is not there: network `public`, volume `media`. Make it, then ask again: docker network create public; docker volume create media
            shop cannot be deployed. The secret `key` is “external”, which only Swarm has. Give it “file” or “environment” in the compose file.
            shop cannot be deployed. The definition of network `edge` changed, and it cannot be recreated while `proxy` is in it. Disconnect or remove that (docker network disconnect), then ask again.
            shop cannot be deployed. The definition of network `edge` changed. db keeps data and would be stopped for that. Take it along: /docker_deploy shop with=db. Or leave the network as it was."#]].assert_eq(&lines.join("\n"));
        assert!(check(&Resources { networks: vec![network(true, &[])], ..Resources::default() }, &["db"]).is_ok());
        assert!(check(&Resources { networks: vec![network(false, &["proxy"])], ..Resources::default() }, &[]).is_ok());
    }

    #[test]
    fn empty_volume_in_the_place_of_data_has_to_be_named() {
        let check = |there, action, named: &[&str]| {
            let resources = Resources { swaps: vec![swap(there)], mounted: names(&["data"]), ..Resources::default() };
            let services = [planned("db", action)];
            resources.check_swaps("No.", "/docker_deploy shop", &services, &names(named)).map_err(|e| format!("{e} {}", e.next))
        };
        expect!["No. db has volume `shop_data` at `/data`, and would get the new, empty volume `data` there. Copy the data into a volume shop_data2 first, or say that it may be empty: /docker_deploy shop new-volume=data."].assert_eq(&check(false, Action::Recreate, &[]).unwrap_err());
        assert!(check(false, Action::Stay, &[]).is_ok() && check(true, Action::Recreate, &[]).is_ok());
        assert!(check(false, Action::Recreate, &["data"]).is_ok() && check(false, Action::Recreate, &["shop_data2"]).is_ok());
        let unknown = check(false, Action::Stay, &["dada"]).unwrap_err();
        assert!(unknown.contains("No service mounts a volume `dada`."), "{unknown}");
    }

    #[test]
    fn what_compose_does_not_notice_is_said() {
        let mut web = container("web", State::Running, Health::None);
        web.networks = names(&["shop_default"]);
        let wanted = vec![(name("web"), names(&["shop_default", "edge"]))];
        let old = Resources {
            compose: "2.26.1".into(),
            networks: vec![network(false, &[])],
            volumes: names(&["media"]),
            swaps: vec![swap(false)],
            wanted: wanted.clone(),
            ..Resources::default()
        };
        let stays = [planned("web", Action::Stay), planned("db", Action::Stay)];
        let remade = [planned("web", Action::Recreate), planned("db", Action::Recreate)];
        let lines = [old.warnings(&stays, &[web.clone()]), old.warnings(&remade, &[web.clone()])].concat();
        expect![[r#"
            The definition of network `edge` changed, and it stays as it is (Compose 2.26.1 does not notice that). To have the new one: docker compose down, then deploy.
            The definition of volume `media` changed, and it stays as it is: Compose changes no volume that exists.
            web is not in network `edge` until it is recreated: Compose 2.26.1 does not notice that.
            db keeps volume `shop_data` at `/data` until it is recreated, and gets volume `data` then.
            The definition of network `edge` changed, and it stays as it is (Compose 2.26.1 does not notice that). To have the new one: docker compose down, then deploy.
            The definition of volume `media` changed, and it stays as it is: Compose changes no volume that exists.
            db gets the new, empty volume `data` at `/data` in the place of volume `shop_data`."#]].assert_eq(&lines.join("\n"));
        assert!(old.unseen(&name("web"), &[&web], false).is_empty());
        let new = Resources { notices: true, networks: vec![network(true, &[])], wanted, ..Resources::default() };
        assert_eq!(new.unseen(&name("web"), &[&web], true), ["network `edge` changed"]);
        let new = Resources { networks: Vec::new(), ..new };
        assert_eq!(new.unseen(&name("web"), &[&web], false), ["is not in network `edge`"]);
        assert!(new.unseen(&name("web"), &[&web], true).is_empty(), "a changed configuration says it");
        assert!(new.warnings(&stays, &[web]).is_empty());
    }
}
