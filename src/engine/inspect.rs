//! What the engine says of a container, in our types.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ContainerStateStatusEnum, HealthConfig, HealthStatusEnum, HostConfig, MountPoint,
    MountType, RestartPolicy, RestartPolicyNameEnum,
};

use super::own::Mount;
use crate::domain::Millis;
use crate::domain::container::{Container, Health, Port, State};
use crate::domain::project::ServiceName;
use crate::domain::redact::clean_line;

/// Reads a container; none where it is not one of the kind that is looked for.
pub(super) type Reader = fn(ContainerInspectResponse) -> Option<Container>;

/// A container of a compose project: called by its service. One-off containers (`compose run`) are none of its services.
pub(super) fn of_compose(seen: ContainerInspectResponse) -> Option<Container> {
    let labels = labels(&seen);
    if labels.get("com.docker.compose.oneoff").is_some_and(|v| v.eq_ignore_ascii_case("true")) {
        return None;
    }
    let service = ServiceName::new(labels.get("com.docker.compose.service")?).ok()?;
    read(seen, Some(service))
}

/// A named container: a service of its own.
pub(super) fn of_name(seen: ContainerInspectResponse) -> Option<Container> {
    read(seen, None)
}

/// Any container: called by its service where Compose made it, else by its own name.
pub(super) fn of_any(seen: ContainerInspectResponse) -> Option<Container> {
    let service = labels(&seen).get("com.docker.compose.service").and_then(|s| ServiceName::new(s).ok());
    read(seen, service)
}

/// What a container has mounted.
pub(super) fn mounts(seen: ContainerInspectResponse) -> Vec<Mount> {
    let read = |mount: MountPoint| {
        let destination = PathBuf::from(mount.destination?);
        Some(Mount { source: mount.source.unwrap_or_default().into(), destination })
    };
    seen.mounts.unwrap_or_default().into_iter().filter_map(read).collect()
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
    let ports = seen.network_settings.and_then(|n| n.ports).unwrap_or_default();
    let health = state.health.as_ref();
    let health_output = health.and_then(|h| h.log.as_ref()).and_then(|log| log.last()).and_then(|last| last.output.as_ref());
    Some(Container {
        id: seen.id?,
        name,
        service,
        state: state.status.map_or(State::Unknown, status),
        health: health.and_then(|h| h.status).map_or(Health::None, health_status),
        health_output: health_output.map(|o| clean_line(o.trim().as_bytes())).filter(|o| !o.is_empty()),
        started: state.started_at.as_deref().and_then(time),
        finished: state.finished_at.as_deref().and_then(time),
        exit_code: state.exit_code.unwrap_or_default(),
        error: clean_line(state.error.unwrap_or_default().as_bytes()),
        oom_killed: state.oom_killed.unwrap_or_default(),
        restarts: seen.restart_count.unwrap_or_default(),
        restarts_itself: match policy {
            Some(RestartPolicyNameEnum::ALWAYS | RestartPolicyNameEnum::UNLESS_STOPPED) => true,
            Some(RestartPolicyNameEnum::ON_FAILURE) => state.exit_code.unwrap_or_default() != 0,
            _ => false,
        },
        image: config.image.unwrap_or_default(),
        image_id: seen.image.unwrap_or_default(),
        ports: read_ports(ports),
        labels,
        tty: config.tty.unwrap_or_default(),
    })
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

/// The engine's time; none for its zero, the year 1.
fn time(text: &str) -> Option<Millis> {
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
