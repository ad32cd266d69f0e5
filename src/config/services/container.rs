//! What a managed service's container is made from.

use std::collections::BTreeMap;
use std::path::Path;

use crate::domain::managed::{ContainerDefinition, Gpus, Limits, MountSource, Network, PublishedPort, VolumeMount};

use super::super::OnDisk;
use super::super::read::{At, Object};
use super::super::report::{Place, Report, quote};
use super::super::service_values::{self as values, Source};
use super::Ground;

/// What concerns a container alone.
const KEYS: [&str; 7] = ["command", "entrypoint", "user", "ports", "volumes", "network", "limits"];
/// What of the host gives whoever has it mounted all of the host, or what is secret there.
const DANGEROUS: [&str; 4] = ["/", "/etc", "/run", "/var/run"];
/// The sockets of engines: who may write to one may do everything.
const SOCKETS: [&str; 2] = ["docker.sock", "podman.sock"];
/// What lies in a data directory of dockmaster's, and nowhere else.
pub(in crate::config) const DATABASE: &str = "dockmaster.db";
/// The most processes that Linux can have.
const PIDS_MAX: i64 = 4_194_304;
/// The most GPUs of a container.
const GPUS_MAX: i64 = 64;
/// How much of a processor a container may get.
const CPUS: std::ops::RangeInclusive<f64> = 0.01..=1024.0;

/// A container, and its published ports with their places.
type Container = (ContainerDefinition, Vec<(PublishedPort, Place)>);

/// Reads what concerns the container; none where there is to be none.
pub(super) fn read(report: &mut Report, ground: &Ground<'_>, object: &mut Object<'_>) -> Option<Container> {
    let image = object.get("image").map(|at| at.parse(report, values::image));
    let expected = "a list with a program and its arguments";
    let command = object.get("command").map(|at| at.texts(report, expected));
    let entrypoint = object.get("entrypoint").map(|at| at.texts(report, expected));
    let user = object.get("user").and_then(|at| at.parse(report, values::user));
    let ports = object.get("ports").map(|at| ports(report, &at)).unwrap_or_default();
    let volumes = object.get("volumes").map(|at| volumes(report, ground, &at)).unwrap_or_default();
    let network = object.get("network").and_then(|at| at.parse(report, values::network)).unwrap_or(Network::Own);
    let limits = object.get("limits").map(|at| limits(report, &at)).unwrap_or_default();
    if matches!(network, Network::Host | Network::None) && !ports.is_empty() {
        let expected = "no ports: nothing is published in the networks “host” and “none”";
        report.warning(&object.place_of("ports"), "ports beside that network", expected);
    }
    let image = image?.unwrap_or_default();
    let published = ports.iter().map(|(port, _)| port.clone()).collect();
    Some((ContainerDefinition { image, command, entrypoint, user, ports: published, volumes, network, limits }, ports))
}

/// Tells of what does nothing where there is no container.
pub(super) fn alone(report: &mut Report, object: &Object<'_>) {
    for key in KEYS {
        if object.has(key) {
            report.problem(&object.place_of(key), "a setting of containers", "“image” beside it: a process has no such thing");
        }
    }
}

fn ports(report: &mut Report, at: &At<'_>) -> Vec<(PublishedPort, Place)> {
    let mut all = Vec::new();
    for entry in at.map(report, "an object from ports of the container to ports of the host, such as { \"8080\": \"80\" }") {
        let inside = values::container_port(entry.key).map_err(|expected| report.problem(&entry.place, quote(entry.key), expected)).ok();
        let outside = entry.at.parse(report, values::host_port);
        let Some(((container, protocol), (address, host))) = inside.zip(outside) else { continue };
        all.push((PublishedPort { container, protocol, address, host }, entry.at.place()));
    }
    all
}

fn volumes(report: &mut Report, ground: &Ground<'_>, at: &At<'_>) -> Vec<VolumeMount> {
    let (mut all, mut taken) = (Vec::new(), BTreeMap::<String, &str>::new());
    let entries = at.map(report, "an object from paths of the host or volumes to paths in the container");
    for entry in &entries {
        let source = values::mount_source(entry.key).map_err(|expected| report.problem(&entry.place, quote(entry.key), expected)).ok();
        let target = entry.at.parse(report, values::mount_target);
        if let Some((target, _)) = &target {
            match taken.get(target) {
                Some(other) => {
                    let found = format!("{}, where {} is mounted already", quote(target), quote(other));
                    report.problem(&entry.at.place(), found, "a path of its own");
                }
                None => drop(taken.insert(target.clone(), entry.key)),
            }
        }
        let source = source.and_then(|source| mounted(report, ground, &entry.place, entry.key, source));
        let Some((source, (target, read_only))) = source.zip(target) else { continue };
        all.push(VolumeMount { source, target, read_only });
    }
    all
}

fn mounted(report: &mut Report, ground: &Ground<'_>, place: &Place, written: &str, source: Source) -> Option<MountSource> {
    let path = match source {
        Source::Volume(name) => return Some(MountSource::Volume(name)),
        Source::Below(relative) => return ground.below(report, place, written, &relative).map(MountSource::Path),
        Source::Absolute(path) => path,
    };
    let state = (ground.disk.ask)(&path);
    let real = if let OnDisk::Directory(real) = &state { real.as_path() } else { path.as_path() };
    let is_socket = |path: &Path| path.file_name().is_some_and(|name| SOCKETS.iter().any(|socket| name == *socket));
    if is_socket(&path) {
        report.warning(
            place,
            format!("{}, the socket of an engine", quote(written)),
            "no such mount: whoever has it may do everything on the host",
        );
    } else if DANGEROUS.iter().any(|other| path == Path::new(other) || real == Path::new(other)) {
        report.warning(place, quote(written), "less of the host: what is in there opens all of it");
    } else if matches!((ground.disk.ask)(&path.join(DATABASE)), OnDisk::File(_)) {
        report.warning(
            place,
            format!("{}, the data directory of dockmaster", quote(written)),
            "another directory: nobody else may write there",
        );
    } else if state == OnDisk::Missing {
        report.warning(place, format!("{}, which does not exist", quote(written)), "a file or directory that is there");
    }
    Some(MountSource::Path(path))
}

fn limits(report: &mut Report, at: &At<'_>) -> Limits {
    let mut limits = Limits::default();
    let Some(mut object) = at.object(report, "an object with “memory”, “cpus”, “pids” or “gpus”") else { return limits };
    limits.memory = object.get("memory").and_then(|at| at.parse(report, values::memory));
    let cpus = object.get("cpus").and_then(|at| at.decimal(report, CPUS, "a number from 0.01 to 1024, such as 0.5"));
    // Between 10^7 and about 10^12, without a fraction: nothing is lost.
    limits.nano_cpus = cpus.map(|cpus| (cpus * 1e9).round() as u64);
    let expected = format!("a whole number from 1 to {PIDS_MAX}");
    let pids = object.get("pids").and_then(|at| at.whole(report, 1..=PIDS_MAX, &expected));
    limits.pids = pids.and_then(|n| u32::try_from(n).ok());
    limits.gpus = object.get("gpus").and_then(|at| gpus(report, &at));
    object.finish(report, &[]);
    limits
}

fn gpus(report: &mut Report, at: &At<'_>) -> Option<Gpus> {
    const EXPECTED: &str = "“all”, a whole number from 1 to 64, or a list of ids";
    if at.is_text() {
        return at.parse(report, |text| if text == "all" { Ok(Gpus::All) } else { Err(EXPECTED) });
    }
    if !at.is_list() {
        let count = at.whole(report, 1..=GPUS_MAX, EXPECTED)?;
        return u32::try_from(count).ok().map(Gpus::Count);
    }
    at.not_empty(report, "id");
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b',');
    let ids = at.distinct(report, EXPECTED, |item, report| {
        item.parse(report, |text| if plain(text) { Ok(text.to_owned()) } else { Err("the id of a GPU") })
    });
    if ids.len() as i64 > GPUS_MAX {
        report.problem(&at.place(), format!("{} ids", ids.len()), format!("at most {GPUS_MAX}"));
    }
    Some(Gpus::Ids(ids.into_iter().map(|(id, _)| id).collect()))
}
