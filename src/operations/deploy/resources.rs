//! What the plan needs to know of the networks and volumes that the compose files declare.

use std::collections::{BTreeMap, BTreeSet};

use super::super::tools::Tools;
use super::declared::Declared;
use crate::domain::container::Container;
use crate::domain::failure::Failure;
use crate::domain::plan::{NetworkFacts, Resources, VolumeSwap};
use crate::domain::project::ServiceName;
use crate::domain::untrusted::UntrustedText;
use crate::domain::volumes::{Attached, StoreKind};
use crate::engine::compose::{Resolved, Resource};
use crate::engine::networks::Network;
use crate::engine::volumes::Volume;

/// Compares what the compose files declare with what the engine has.
pub(super) async fn resources(tools: &Tools, declared: &Declared, containers: &[Container], what: &str) -> Result<Resources, Failure> {
    let Some(composed) = &declared.composed else { return Ok(Resources::default()) };
    let now = &composed.config.resolved;
    let (networks, volumes) = (now.used_networks(), now.used_volumes());
    let version = tools.compose.version();
    let (there, volumes_there) = tokio::try_join!(tools.docker.networks(), tools.docker.volumes()).map_err(|e| e.failure(what))?;
    let there: BTreeMap<&str, &Network> = there.iter().map(|network| (network.name.as_str(), network)).collect();
    let volumes_there: BTreeMap<&str, &Volume> = volumes_there.iter().map(|volume| (volume.name.as_str(), volume)).collect();
    let before = declared.resolved_before.as_ref();
    let notices = version.is_some_and(|version| version.notices_networks());
    let mut changed = Vec::new();
    for network in networks.iter().filter(|network| !network.external) {
        let Some(engine) = there.get(network.name.as_str()) else { continue };
        if redefined(network, before.map(Resolved::used_networks)) || is_other(network, engine) {
            let remade = notices && engine.has_hash();
            let others = if remade { others(tools, network, containers, what).await? } else { BTreeSet::new() };
            changed.push(NetworkFacts { key: network.key.clone(), services: network.services.clone(), remade, others });
        }
    }
    let is_changed = |volume: &&Resource| {
        let engine = volumes_there.get(volume.name.as_str()).filter(|_| !volume.external);
        engine.is_some_and(|engine| {
            redefined(volume, before.map(Resolved::used_volumes)) || volume.differs(&engine.driver, &engine.options, &engine.labels)
        })
    };
    let replicas = now.replicas();
    let has_none = |service: &ServiceName| replicas.get(service) == Some(&0) && !containers.iter().any(|c| c.service == *service);
    let missing_networks = networks.iter().filter(|network| !network.external && !there.contains_key(network.name.as_str()));
    let missing_volumes = volumes.iter().filter(|volume| !volume.external && !volumes_there.contains_key(volume.name.as_str()));
    // With the others they come when those are brought up.
    let missing = missing_networks.chain(missing_volumes).filter(|missing| missing.services.iter().all(has_none));
    let without_containers = missing.flat_map(|missing| missing.services.iter().cloned()).collect();
    let absent_networks =
        networks.iter().filter(|n| n.external && !there.contains_key(n.name.as_str())).map(|n| ("network", n.name.clone()));
    let absent_volumes =
        volumes.iter().filter(|v| v.external && !volumes_there.contains_key(v.name.as_str())).map(|v| ("volume", v.name.clone()));
    Ok(Resources {
        compose: version.map(|version| version.to_string()).unwrap_or_default(),
        notices,
        absent: absent_networks.chain(absent_volumes).collect(),
        unsupported: now.external_files(),
        networks: changed,
        wanted: now.networks().into_iter().collect(),
        volumes: volumes.iter().filter(is_changed).map(|volume| volume.key.clone()).collect(),
        swaps: swaps(now, &volumes, &volumes_there, containers),
        without_containers,
        mounted: volumes.iter().map(|volume| volume.key.clone()).collect(),
    })
}

/// Whether the files that production has declare it otherwise, under the same name.
fn redefined(now: &Resource, before: Option<Vec<Resource>>) -> bool {
    let before = before.and_then(|all| all.into_iter().find(|before| before.key == now.key && before.name == now.name));
    before.is_some_and(|before| !before.external && before.definition != now.definition)
}

fn is_other(declared: &Resource, there: &Network) -> bool {
    let switches = [("internal", there.internal), ("attachable", there.attachable), ("enable_ipv6", there.ipv6)];
    let subnets = declared.subnets();
    declared.differs(&there.driver, &there.options, &there.labels)
        || switches.iter().any(|(key, is_on)| declared.switch(key).is_some_and(|wanted| wanted != *is_on))
        || !subnets.is_empty() && !subnets.is_subset(&there.subnets)
}

/// The names of containers in a network that are none of the services which the files put there.
async fn others(tools: &Tools, network: &Resource, containers: &[Container], what: &str) -> Result<BTreeSet<String>, Failure> {
    let connected = tools.docker.connected(&network.name).await.map_err(|e| e.failure(what))?;
    let is_ours = |id: &String| containers.iter().any(|c| c.id == *id && network.services.contains(&c.service));
    Ok(connected.into_iter().filter(|(id, _)| !is_ours(id)).map(|(_, name)| name).collect())
}

/// The volumes that services would have where their containers have something else.
fn swaps(now: &Resolved, volumes: &[Resource], there: &BTreeMap<&str, &Volume>, containers: &[Container]) -> Vec<VolumeSwap> {
    let mut all = Vec::new();
    let mut seen: BTreeSet<(ServiceName, String)> = BTreeSet::new();
    for container in containers {
        for mounted in now.mounted_volumes(&container.service) {
            let Some(volume) = volumes.iter().find(|volume| volume.key == mounted.key) else { continue };
            let Some(has) = container.attached.iter().find(|attached| attached.at == mounted.at) else { continue };
            let at = mounted.at.display().to_string();
            let is_same = has.name.as_deref() == Some(volume.name.as_str());
            if let Some(before) = held(has).filter(|_| !is_same && seen.insert((container.service.clone(), at.clone()))) {
                let (service, is_there) = (container.service.clone(), there.contains_key(volume.name.as_str()));
                all.push(VolumeSwap { service, key: mounted.key, name: volume.name.clone(), at, before, there: is_there });
            }
        }
    }
    all
}

/// What a container has mounted, in words; none of what keeps no data.
fn held(attached: &Attached) -> Option<String> {
    let name = || UntrustedText::from(attached.name.as_deref().unwrap_or_default());
    match attached.kind {
        StoreKind::Volume => Some(format!("volume {}", name())),
        StoreKind::Anonymous => Some("an unnamed volume".to_owned()),
        StoreKind::Bind => attached.source.as_ref().map(|source| format!("{}", UntrustedText::path(source))),
        StoreKind::Layer | StoreKind::Memory | StoreKind::Other => None,
    }
}
