//! What the engine says of a container, in our types.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::events::Change;
use super::fields::{Fields, whole_of, words_of};
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

/// Reads what the engine says of a container that was listed; none where it is not one of the kind that is looked for. What cannot be
/// read is as the list said, or unknown.
pub(super) type Reader = fn(&Value, &Listed) -> Option<Container>;

/// A container that Compose takes for its own: called by its service. One that is still to take another's place is no service yet.
pub(super) fn of_compose(seen: &Value, listed: &Listed) -> Option<Container> {
    compose_container(seen, listed).filter(|container| !is_half_made(container))
}

/// A container that Compose has made to take another's place, and that never came to it.
pub(super) fn half_made(seen: &Value, listed: &Listed) -> Option<Container> {
    compose_container(seen, listed).filter(is_half_made)
}

fn compose_container(seen: &Value, listed: &Listed) -> Option<Container> {
    read(seen, listed, |labels| Some(compose_labels::owner(labels)?.1))
}

fn is_half_made(container: &Container) -> bool {
    container.state == State::Created && compose_labels::is_transitional(&container.name, &container.labels)
}

/// A named container: a service of its own.
pub(super) fn of_name(seen: &Value, listed: &Listed) -> Option<Container> {
    named(seen, listed, labels(seen, listed), None)
}

/// A container that a dockmaster made: called by its service.
pub(super) fn of_managed(seen: &Value, listed: &Listed) -> Option<Container> {
    read(seen, listed, |labels| labels.get(label::SERVICE).map(String::as_str))
}

/// A container as it is listed; none where the engine says nothing that it could be asked for by.
pub(super) fn listed(seen: &Value) -> Option<Listed> {
    // Names with a second slash are those under which others know it.
    let own = |name: &str| name.strip_prefix('/').filter(|rest| !rest.is_empty() && !rest.contains('/')).map(str::to_owned);
    let name = seen.texts("Names").find_map(own);
    let id = seen.text("Id").filter(|id| !id.is_empty()).map(str::to_owned).or_else(|| name.clone());
    let Some(id) = id else {
        tracing::warn!("the engine lists a container without an id and a name: it is left out");
        return None;
    };
    Some(Listed {
        name: name.unwrap_or_else(|| id.clone()),
        id,
        labels: seen.words("Labels"),
        tells_labels: seen.field("Labels").is_object(),
        image: seen.text("Image").unwrap_or_default().to_owned(),
        image_id: seen.text("ImageID").filter(|id| !id.is_empty()).map(str::to_owned),
        ports: seen.items("Ports").iter().filter_map(|port| u16::try_from(port.whole("PublicPort")?).ok()).collect(),
        runs: seen.text("State") == Some("running"),
    })
}

/// The ports of the host that a container publishes whenever it runs.
pub(super) fn would_publish(seen: &Value) -> BTreeSet<u16> {
    let bound = seen.field("HostConfig").entries("PortBindings").flat_map(|(_, bindings)| bindings.as_array()).flatten();
    bound.filter_map(|binding| u16::try_from(binding.whole("HostPort")?).ok()).collect()
}

/// Any container: called by its service where Compose made it, else by its own name.
pub(super) fn of_any(seen: &Value, listed: &Listed) -> Option<Container> {
    let labels = labels(seen, listed);
    let service = compose_labels::owner(&labels).and_then(|(_, service)| ServiceName::new(service).ok());
    named(seen, listed, labels, service)
}

/// What an event is about.
pub(super) fn change(event: &Value) -> Change {
    let actor = event.field("Actor");
    Change {
        action: event.text("Action").unwrap_or_default().to_owned(),
        container: actor.text("ID").unwrap_or_default().to_owned(),
        at: nanos(event).unwrap_or_default() / 1_000_000,
        labels: actor.words("Attributes").into_iter().collect(),
    }
}

/// An event that the engine keeps; none where it does not say when it was, of what, or what it is.
pub(super) fn recent_event(event: &Value) -> Option<RecentEvent> {
    let (actor, action) = (event.field("Actor").text("ID")?, event.text("Action")?);
    Some(RecentEvent { at: nanos(event)?, actor: actor.to_owned(), action: action.to_owned() })
}

/// When an event was.
fn nanos(event: &Value) -> Option<i64> {
    event.whole("timeNano").or_else(|| event.whole("time")?.checked_mul(1_000_000_000))
}

/// What a container has mounted.
pub(super) fn mounts(seen: &Value) -> Vec<Mount> {
    let read = |mount: &Value| {
        let destination = PathBuf::from(mount.text("Destination")?);
        Some(Mount { source: mount.text("Source").unwrap_or_default().into(), destination })
    };
    seen.items("Mounts").iter().filter_map(read).collect()
}

/// What a container has mounted, memory included.
fn attached(seen: &Value) -> Vec<Attached> {
    let host = seen.field("HostConfig");
    let mut all: Vec<Attached> = seen.items("Mounts").iter().filter_map(attached_one).collect();
    let mut limits: BTreeMap<PathBuf, (Option<u64>, bool)> = BTreeMap::new();
    for (at, options) in host.words("Tmpfs") {
        limits.insert(at.into(), memory_options(&options));
    }
    for mount in host.items("Mounts").iter().filter(|mount| is_memory(mount)) {
        let Some(at) = mount.text("Target") else { continue };
        let size = mount.field("TmpfsOptions").size("SizeBytes").filter(|size| *size > 0);
        limits.insert(at.into(), (size, !mount.flag("ReadOnly").unwrap_or_default()));
    }
    for (at, (limit, writable)) in limits {
        all.retain(|known| known.at != at);
        all.push(Attached { kind: StoreKind::Memory, name: None, source: None, driver: None, at, writable, limit });
    }
    all
}

/// Whether a mount that was asked for is memory.
fn is_memory(mount: &Value) -> bool {
    mount.text("Type") == Some("tmpfs")
}

fn attached_one(mount: &Value) -> Option<Attached> {
    let name = mount.text("Name").filter(|name| !name.is_empty());
    let kind = match (mount.text("Type").unwrap_or_default(), name) {
        ("volume", Some(name)) if own::is_id(name) => StoreKind::Anonymous,
        ("volume" | "cluster", _) => StoreKind::Volume,
        ("bind", _) => StoreKind::Bind,
        ("tmpfs", _) => StoreKind::Memory,
        _ => StoreKind::Other,
    };
    Some(Attached {
        kind,
        name: name.map(str::to_owned),
        source: mount.text("Source").map(PathBuf::from).filter(|source| source.is_absolute()),
        driver: mount.text("Driver").filter(|driver| !driver.is_empty()).map(str::to_owned),
        at: mount.text("Destination")?.into(),
        writable: mount.flag("RW").unwrap_or(true),
        limit: None,
    })
}

/// A volume; none where it has no name.
pub(super) fn volume(seen: &Value) -> Option<Volume> {
    let (driver, options, labels) = (seen.text("Driver").unwrap_or_default(), seen.words("Options"), seen.words("Labels"));
    Some(Volume {
        name: seen.text("Name")?.to_owned(),
        memory: driver == "local" && options.get("type").is_some_and(|kind| kind == "tmpfs"),
        project: labels.get(compose_labels::PROJECT).cloned(),
        driver: driver.to_owned(),
        path: seen.text("Mountpoint").unwrap_or_default().into(),
        options,
        labels,
    })
}

/// The names of an image, each with its id; none where it does not tell that.
pub(super) fn tags(image: &Value) -> Vec<(String, String)> {
    let Some(id) = image.text("Id") else { return Vec::new() };
    image.texts("RepoTags").map(|tag| (tag.to_owned(), id.to_owned())).collect()
}

/// The engine's own time; none where it does not tell it.
pub(super) fn clock(info: &Value) -> Option<jiff::Timestamp> {
    info.text("SystemTime")?.parse().ok()
}

/// How often a helper that is killed is started again.
const HELPER_RESTARTS: i64 = 3;

/// What makes a container that has all that another one has, and does something else.
pub(super) fn stand_in(seen: &Value, of: &str, label: (String, String), command: Vec<String>) -> Value {
    let config = seen.field("Config");
    let mut host = seen.field("HostConfig").clone();
    let memory: Vec<&Value> = seen.field("HostConfig").items("Mounts").iter().filter(|mount| is_memory(mount)).collect();
    let own = [
        // All that is mounted there, at the same places.
        ("VolumesFrom", json!([of])),
        ("Binds", Value::Null),
        ("Mounts", json!(memory)),
        ("PortBindings", Value::Null),
        ("AutoRemove", json!(false)),
        ("RestartPolicy", json!({ "Name": "on-failure", "MaximumRetryCount": HELPER_RESTARTS })),
    ];
    match host.as_object_mut() {
        Some(host) => host.extend(own.map(|(field, value)| (field.to_owned(), value))),
        None => host = own.into_iter().map(|(field, value)| (field.to_owned(), value)).collect(),
    }
    // Compose labels the images that it builds: with those it would take this one for a container of its project.
    let composed = config.words("Labels").into_keys().filter(|key| key.starts_with("com.docker.compose."));
    let labels: BTreeMap<String, String> = composed.map(|key| (key, String::new())).chain([label]).collect();
    let mut words = command.into_iter();
    json!({
        "Image": seen.text("Image"),
        "Entrypoint": words.next().map(|program| vec![program]),
        "Cmd": words.collect::<Vec<_>>(),
        "Env": config.texts("Env").collect::<Vec<_>>(),
        "User": config.text("User").unwrap_or_default(),
        "WorkingDir": config.text("WorkingDir").unwrap_or_default(),
        "Labels": labels,
        "Healthcheck": { "Test": ["NONE"] },
        "HostConfig": host,
    })
}

/// The labels of a container, which never change: what an inspection does not tell the list may.
fn labels(seen: &Value, listed: &Listed) -> BTreeMap<String, String> {
    let mut labels = seen.field("Config").words("Labels");
    for (key, value) in &listed.labels {
        if !labels.contains_key(key) {
            labels.insert(key.clone(), value.clone());
        }
    }
    labels
}

/// A container that is called by a service of its labels. Where those cannot be read at all it is called by its own name, since it was
/// found by a label.
fn read(seen: &Value, listed: &Listed, service: impl Fn(&BTreeMap<String, String>) -> Option<&str>) -> Option<Container> {
    let labels = labels(seen, listed);
    let service = match service(&labels) {
        Some(name) => Some(ServiceName::new(name).ok()?),
        None if labels.is_empty() => None,
        None => return None,
    };
    named(seen, listed, labels, service)
}

fn named(seen: &Value, listed: &Listed, labels: BTreeMap<String, String>, service: Option<ServiceName>) -> Option<Container> {
    let or_listed = |text: Option<&str>, listed: &str| text.filter(|text| !text.is_empty()).unwrap_or(listed).to_owned();
    let name = or_listed(seen.text("Name").map(|name| name.trim_start_matches('/')), &listed.name);
    let service = service.or_else(|| ServiceName::new(&name).ok())?;
    let (state, config, host) = (seen.field("State"), seen.field("Config"), seen.field("HostConfig"));
    let started = state.text("StartedAt").and_then(time);
    let health = state.field("Health");
    // The engine keeps those from before the last start, which say nothing of what runs.
    let is_current = |run: &&Value| run.text("End").and_then(time) >= started;
    let checks: Vec<&Value> = health.items("Log").iter().filter(is_current).collect();
    let policy = host.field("RestartPolicy").text("Name").unwrap_or_default();
    let exit_code = state.whole("ExitCode").unwrap_or_default();
    let health_output = checks.last().and_then(|last| last.text("Output"));
    let networks = seen.field("NetworkSettings");
    Some(Container {
        id: or_listed(seen.text("Id"), &listed.id),
        name,
        service,
        state: state.text("Status").map_or(State::Unknown, status),
        health: health.text("Status").map_or(Health::None, health_status),
        health_output: health_output.map(|o| clean_line(o.trim().as_bytes())).filter(|o| !o.is_empty()),
        checks: checks.into_iter().filter_map(check).collect(),
        started,
        finished: state.text("FinishedAt").and_then(time),
        exit_code,
        error: clean_line(state.text("Error").unwrap_or_default().as_bytes()),
        oom_killed: state.flag("OOMKilled").unwrap_or_default(),
        restarts: seen.whole("RestartCount").unwrap_or_default(),
        on_failure: policy == "on-failure",
        unless_stopped: policy == "unless-stopped",
        purpose: Purpose::default(),
        restarts_itself: match policy {
            "always" | "unless-stopped" => true,
            "on-failure" => exit_code != 0,
            _ => false,
        },
        image: or_listed(config.text("Image"), &listed.image),
        image_id: or_listed(seen.text("Image"), listed.image_id.as_deref().unwrap_or_default()),
        ports: read_ports(networks.entries("Ports")),
        networks: networks.entries("Networks").map(|(name, _)| name.clone()).collect(),
        shares: shares(host),
        attached: attached(seen),
        labels,
        tty: config.flag("Tty").unwrap_or_default(),
        // -1 is forever.
        stop_timeout: config.whole("StopTimeout").map(|seconds| u64::try_from(seconds).map_or(Duration::MAX, Duration::from_secs)),
    })
}

/// What a container shares with others.
fn shares(host: &Value) -> Vec<Sharing> {
    let modes = [(Shared::Network, "NetworkMode"), (Shared::Processes, "PidMode"), (Shared::Memory, "IpcMode")];
    let named = modes.into_iter().filter_map(|(what, mode)| Some((what, host.text(mode)?.strip_prefix("container:")?)));
    // `NAME:ro` as well.
    let volumes = host.texts("VolumesFrom").filter_map(|from| Some((Shared::Volumes, from.split(':').next()?)));
    named.chain(volumes).map(|(what, with)| Sharing { what, with: with.to_owned() }).collect()
}

/// What is no word of Docker's is unknown. Podman's `stopped` is one: it is also what it says of a container in a crash loop.
fn status(status: &str) -> State {
    match status {
        "created" => State::Created,
        "running" => State::Running,
        "paused" => State::Paused,
        "restarting" => State::Restarting,
        "removing" => State::Removing,
        "exited" => State::Exited,
        "dead" => State::Dead,
        _ => State::Unknown,
    }
}

fn health_status(status: &str) -> Health {
    match status {
        "starting" => Health::Starting,
        "healthy" => Health::Healthy,
        "unhealthy" => Health::Unhealthy,
        _ => Health::None,
    }
}

/// A run of a health check; none where it is not said when it was.
fn check(run: &Value) -> Option<Check> {
    let (began, ended) = (time(run.text("Start")?)?, time(run.text("End")?)?);
    Some(Check { at: ended, took: (ended - began).max(0), good: run.whole("ExitCode") == Some(0) })
}

/// The engine's time; none for its zero, the year 1.
pub(super) fn time(text: &str) -> Option<Millis> {
    text.parse::<jiff::Timestamp>().ok().map(|t| t.as_millisecond()).filter(|ms| *ms > 0)
}

fn read_ports<'v>(ports: impl Iterator<Item = (&'v String, &'v Value)>) -> Vec<Port> {
    let mut all = Vec::new();
    for (private, bindings) in ports {
        let (number, protocol) = private.split_once('/').unwrap_or((private, "tcp"));
        let Ok(private) = number.parse() else { continue };
        let bindings = bindings.as_array().map(Vec::as_slice).unwrap_or_default();
        if bindings.is_empty() {
            all.push(Port { host: String::new(), public: None, private, protocol: protocol.to_owned() });
        }
        for binding in bindings {
            let public = whole_of(binding.field("HostPort")).and_then(|port| u16::try_from(port).ok());
            let host = words_of(binding.field("HostIp")).unwrap_or_default();
            all.push(Port { host, public, private, protocol: protocol.to_owned() });
        }
    }
    all.sort();
    // The same port for IPv4 and IPv6 is one line to a person.
    all.dedup_by(|a, b| a.public.is_some() && a.public == b.public && a.private == b.private && a.protocol == b.protocol);
    all
}
