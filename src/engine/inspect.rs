//! What the engine says of a container, in our types.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ContainerStateStatusEnum, ContainerSummary, ContainerSummaryStateEnum, EventMessage,
    HealthConfig, HealthStatusEnum, HealthcheckResult, HostConfig, MountPoint, MountType, RestartPolicy, RestartPolicyNameEnum,
};

use super::events::Change;
use super::find::Listed;
use super::own::{self, Mount};
use super::pending_stop::RecentEvent;
use super::volumes::{Volume, memory_options};
use crate::domain::Millis;
use crate::domain::compose_labels;
use crate::domain::container::{Check, Container, Health, Port, State};
use crate::domain::job::Purpose;
use crate::domain::managed::label;
use crate::domain::project::ServiceName;
use crate::domain::redact::clean_line;
use crate::domain::shared::{Shared, Sharing};
use crate::domain::volumes::{Attached, StoreKind};

/// Reads a container; none where it is not one of the kind that is looked for.
pub(super) type Reader = fn(ContainerInspectResponse) -> Option<Container>;

/// A container that Compose takes for its own: called by its service. One that is still to take another's place is no service yet.
pub(super) fn of_compose(seen: ContainerInspectResponse) -> Option<Container> {
    compose_container(seen).filter(|container| !is_half_made(container))
}

/// A container that Compose has made to take another's place, and that never came to it.
pub(super) fn half_made(seen: ContainerInspectResponse) -> Option<Container> {
    compose_container(seen).filter(is_half_made)
}

fn compose_container(seen: ContainerInspectResponse) -> Option<Container> {
    let service = ServiceName::new(compose_labels::owner(&labels(&seen))?.1).ok()?;
    read(seen, Some(service))
}

fn is_half_made(container: &Container) -> bool {
    container.state == State::Created && compose_labels::is_transitional(&container.name, &container.labels)
}

/// A named container: a service of its own.
pub(super) fn of_name(seen: ContainerInspectResponse) -> Option<Container> {
    read(seen, None)
}

/// A container that a dockmaster made: called by its service.
pub(super) fn of_managed(seen: ContainerInspectResponse) -> Option<Container> {
    let service = ServiceName::new(labels(&seen).get(label::SERVICE)?).ok()?;
    read(seen, Some(service))
}

/// A container as it is listed.
pub(super) fn listed(seen: ContainerSummary) -> Option<Listed> {
    // Names with a second slash are those under which others know it.
    let own = |name: &str| name.strip_prefix('/').filter(|rest| !rest.contains('/')).map(str::to_owned);
    Some(Listed {
        id: seen.id?,
        name: seen.names.unwrap_or_default().iter().find_map(|name| own(name))?,
        labels: seen.labels.unwrap_or_default().into_iter().collect(),
        ports: seen.ports.unwrap_or_default().into_iter().filter_map(|port| port.public_port).collect(),
        runs: seen.state == Some(ContainerSummaryStateEnum::RUNNING),
    })
}

/// The ports of the host that a container publishes whenever it runs.
pub(super) fn would_publish(seen: &ContainerInspectResponse) -> BTreeSet<u16> {
    let bindings = seen.host_config.as_ref().and_then(|host| host.port_bindings.as_ref());
    let bound = bindings.into_iter().flat_map(|bindings| bindings.values()).flatten().flatten();
    bound.filter_map(|binding| binding.host_port.as_ref()?.parse().ok()).collect()
}

/// Any container: called by its service where Compose made it, else by its own name.
pub(super) fn of_any(seen: ContainerInspectResponse) -> Option<Container> {
    let service = compose_labels::owner(&labels(&seen)).and_then(|(_, service)| ServiceName::new(service).ok());
    read(seen, service)
}

/// What an event is about.
pub(super) fn change(event: EventMessage) -> Change {
    let (container, labels) = event.actor.map(|actor| (actor.id, actor.attributes)).unwrap_or_default();
    Change {
        action: event.action.unwrap_or_default(),
        container: container.unwrap_or_default(),
        at: event.time_nano.unwrap_or_default() / 1_000_000,
        labels: labels.unwrap_or_default(),
    }
}

/// An event that the engine keeps.
pub(super) fn recent_event(event: EventMessage) -> Option<RecentEvent> {
    Some(RecentEvent { at: event.time_nano?, actor: event.actor?.id?, action: event.action? })
}

/// What a container has mounted.
pub(super) fn mounts(seen: ContainerInspectResponse) -> Vec<Mount> {
    let read = |mount: MountPoint| {
        let destination = PathBuf::from(mount.destination?);
        Some(Mount { source: mount.source.unwrap_or_default().into(), destination })
    };
    seen.mounts.unwrap_or_default().into_iter().filter_map(read).collect()
}

/// What a container has mounted, memory included.
fn attached(mounts: Vec<MountPoint>, host: HostConfig) -> Vec<Attached> {
    let mut all: Vec<Attached> = mounts.into_iter().filter_map(attached_one).collect();
    let mut limits: BTreeMap<PathBuf, (Option<u64>, bool)> = BTreeMap::new();
    for (at, options) in host.tmpfs.unwrap_or_default() {
        limits.insert(at.into(), memory_options(&options));
    }
    for mount in host.mounts.unwrap_or_default().into_iter().filter(|mount| mount.typ == Some(MountType::TMPFS)) {
        let size = mount.tmpfs_options.and_then(|options| options.size_bytes).and_then(|size| u64::try_from(size).ok());
        let writable = !mount.read_only.unwrap_or_default();
        limits.insert(mount.target.unwrap_or_default().into(), (size.filter(|size| *size > 0), writable));
    }
    for (at, (limit, writable)) in limits {
        all.retain(|known| known.at != at);
        all.push(Attached { kind: StoreKind::Memory, name: None, source: None, driver: None, at, writable, limit });
    }
    all
}

fn attached_one(mount: MountPoint) -> Option<Attached> {
    let name = mount.name.filter(|name| !name.is_empty());
    let kind = match (mount.typ.as_deref().unwrap_or_default(), &name) {
        ("volume", Some(name)) if own::is_id(name) => StoreKind::Anonymous,
        ("volume" | "cluster", _) => StoreKind::Volume,
        ("bind", _) => StoreKind::Bind,
        ("tmpfs", _) => StoreKind::Memory,
        _ => StoreKind::Other,
    };
    Some(Attached {
        kind,
        name,
        source: mount.source.map(PathBuf::from).filter(|source| source.is_absolute()),
        driver: mount.driver.filter(|driver| !driver.is_empty()),
        at: mount.destination?.into(),
        writable: mount.rw.unwrap_or(true),
        limit: None,
    })
}

/// A volume.
pub(super) fn volume(seen: bollard::models::Volume) -> Volume {
    Volume {
        memory: seen.driver == "local" && seen.options.get("type").is_some_and(|kind| kind == "tmpfs"),
        project: seen.labels.get(compose_labels::PROJECT).cloned(),
        name: seen.name,
        driver: seen.driver,
        path: seen.mountpoint.into(),
        options: seen.options.into_iter().collect(),
        labels: seen.labels.into_iter().collect(),
    }
}

/// How often a helper that is killed is started again.
const HELPER_RESTARTS: i64 = 3;

/// What makes a container that has all that another one has, and does something else.
pub(super) fn stand_in(seen: ContainerInspectResponse, of: &str, label: (String, String), command: Vec<String>) -> ContainerCreateBody {
    let config = seen.config.unwrap_or_default();
    let had = seen.host_config.unwrap_or_default();
    let memory = had.mounts.unwrap_or_default().into_iter().filter(|m| m.typ == Some(MountType::TMPFS)).collect();
    let policy = RestartPolicy { name: Some(RestartPolicyNameEnum::ON_FAILURE), maximum_retry_count: Some(HELPER_RESTARTS) };
    let host = HostConfig {
        // All that is mounted there, at the same places.
        volumes_from: Some(vec![of.to_owned()]),
        binds: None,
        mounts: Some(memory),
        port_bindings: None,
        auto_remove: None,
        restart_policy: Some(policy),
        ..had
    };
    // Compose labels the images that it builds: with those it would take this one for a container of its project.
    let composed = config.labels.unwrap_or_default().into_keys().filter(|key| key.starts_with("com.docker.compose."));
    let labels = composed.map(|key| (key, String::new())).chain([label]).collect();
    let mut words = command.into_iter();
    ContainerCreateBody {
        image: seen.image,
        entrypoint: words.next().map(|program| vec![program]),
        cmd: Some(words.collect()),
        env: config.env,
        user: config.user,
        working_dir: config.working_dir,
        labels: Some(labels),
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() }),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    }
}

fn labels(seen: &ContainerInspectResponse) -> BTreeMap<String, String> {
    seen.config.as_ref().and_then(|c| c.labels.clone()).unwrap_or_default().into_iter().collect()
}

fn read(seen: ContainerInspectResponse, service: Option<ServiceName>) -> Option<Container> {
    let labels = labels(&seen);
    let name = seen.name.unwrap_or_default().trim_start_matches('/').to_owned();
    let service = service.or_else(|| ServiceName::new(&name).ok())?;
    let state = seen.state.unwrap_or_default();
    let policy = seen.host_config.as_ref().and_then(|h| h.restart_policy.as_ref()).and_then(|p| p.name);
    let config = seen.config.unwrap_or_default();
    let (ports, networks) =
        seen.network_settings.map(|n| (n.ports.unwrap_or_default(), n.networks.unwrap_or_default())).unwrap_or_default();
    let health = state.health.as_ref();
    let started = state.started_at.as_deref().and_then(time);
    // The engine keeps those from before the last start, which say nothing of what runs.
    let is_current = |run: &&HealthcheckResult| run.end.as_deref().and_then(time) >= started;
    let checks: Vec<&HealthcheckResult> = health.and_then(|h| h.log.as_deref()).unwrap_or_default().iter().filter(is_current).collect();
    let health_output = checks.last().and_then(|last| last.output.as_ref());
    Some(Container {
        id: seen.id?,
        name,
        service,
        state: state.status.map_or(State::Unknown, status),
        health: health.and_then(|h| h.status).map_or(Health::None, health_status),
        health_output: health_output.map(|o| clean_line(o.trim().as_bytes())).filter(|o| !o.is_empty()),
        checks: checks.into_iter().filter_map(check).collect(),
        started,
        finished: state.finished_at.as_deref().and_then(time),
        exit_code: state.exit_code.unwrap_or_default(),
        error: clean_line(state.error.unwrap_or_default().as_bytes()),
        oom_killed: state.oom_killed.unwrap_or_default(),
        restarts: seen.restart_count.unwrap_or_default(),
        on_failure: policy == Some(RestartPolicyNameEnum::ON_FAILURE),
        unless_stopped: policy == Some(RestartPolicyNameEnum::UNLESS_STOPPED),
        purpose: Purpose::default(),
        restarts_itself: match policy {
            Some(RestartPolicyNameEnum::ALWAYS | RestartPolicyNameEnum::UNLESS_STOPPED) => true,
            Some(RestartPolicyNameEnum::ON_FAILURE) => state.exit_code.unwrap_or_default() != 0,
            _ => false,
        },
        image: config.image.unwrap_or_default(),
        image_id: seen.image.unwrap_or_default(),
        ports: read_ports(ports),
        networks: networks.into_keys().collect(),
        shares: shares(seen.host_config.as_ref()),
        attached: attached(seen.mounts.unwrap_or_default(), seen.host_config.unwrap_or_default()),
        labels,
        tty: config.tty.unwrap_or_default(),
        // -1 is forever.
        stop_timeout: config.stop_timeout.map(|seconds| u64::try_from(seconds).map_or(Duration::MAX, Duration::from_secs)),
    })
}

/// What a container shares with others.
fn shares(host: Option<&HostConfig>) -> Vec<Sharing> {
    let Some(host) = host else { return Vec::new() };
    let modes = [(Shared::Network, &host.network_mode), (Shared::Processes, &host.pid_mode), (Shared::Memory, &host.ipc_mode)];
    let named = modes.into_iter().filter_map(|(what, mode)| Some((what, mode.as_deref()?.strip_prefix("container:")?)));
    // `NAME:ro` as well.
    let volumes = host.volumes_from.iter().flatten().filter_map(|from| Some((Shared::Volumes, from.split(':').next()?)));
    named.chain(volumes).map(|(what, with)| Sharing { what, with: with.to_owned() }).collect()
}

fn status(status: ContainerStateStatusEnum) -> State {
    match status {
        ContainerStateStatusEnum::CREATED => State::Created,
        ContainerStateStatusEnum::RUNNING => State::Running,
        ContainerStateStatusEnum::PAUSED => State::Paused,
        ContainerStateStatusEnum::RESTARTING => State::Restarting,
        ContainerStateStatusEnum::REMOVING => State::Removing,
        ContainerStateStatusEnum::EXITED => State::Exited,
        ContainerStateStatusEnum::DEAD => State::Dead,
        _ => State::Unknown,
    }
}

fn health_status(status: HealthStatusEnum) -> Health {
    match status {
        HealthStatusEnum::STARTING => Health::Starting,
        HealthStatusEnum::HEALTHY => Health::Healthy,
        HealthStatusEnum::UNHEALTHY => Health::Unhealthy,
        _ => Health::None,
    }
}

/// A run of a health check; none where it is not said when it was.
fn check(run: &HealthcheckResult) -> Option<Check> {
    let (began, ended) = (time(run.start.as_deref()?)?, time(run.end.as_deref()?)?);
    Some(Check { at: ended, took: (ended - began).max(0), good: run.exit_code == Some(0) })
}

/// The engine's time; none for its zero, the year 1.
pub(super) fn time(text: &str) -> Option<Millis> {
    text.parse::<jiff::Timestamp>().ok().map(|t| t.as_millisecond()).filter(|ms| *ms > 0)
}

fn read_ports(ports: bollard::models::PortMap) -> Vec<Port> {
    let mut all = Vec::new();
    for (private, bindings) in ports {
        let (number, protocol) = private.split_once('/').unwrap_or((&private, "tcp"));
        let Ok(private) = number.parse() else { continue };
        let bindings = bindings.unwrap_or_default();
        if bindings.is_empty() {
            all.push(Port { host: String::new(), public: None, private, protocol: protocol.to_owned() });
        }
        for binding in bindings {
            let public = binding.host_port.and_then(|p| p.parse().ok());
            all.push(Port { host: binding.host_ip.unwrap_or_default(), public, private, protocol: protocol.to_owned() });
        }
    }
    all.sort();
    // The same port for IPv4 and IPv6 is one line to a person.
    all.dedup_by(|a, b| a.public.is_some() && a.public == b.public && a.private == b.private && a.protocol == b.protocol);
    all
}
