//! Services that dockmaster makes itself.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::domain::managed::{ContainerDefinition, Definition, INSTANCES_MAX, ProcessDefinition, PublishedPort, RestartRule, Runs};
use crate::domain::project::ServiceName;

use super::paths::{self, Directory};
use super::read::{At, Named, Object};
use super::report::{Place, Report, quote};
use super::service_values::{self as values, Source};

pub(super) mod container;
mod health;
mod needs;

/// What the containers of a service are not called: the ones that are kept aside while others take their place are.
const ASIDE: &str = ".before-";

/// Where services stand.
pub(super) struct Ground<'g> {
    /// The disk.
    pub(super) disk: &'g paths::Disk<'g>,
    /// The project's workspace.
    pub(super) workspace: Option<&'g Directory>,
    /// Its production directory.
    pub(super) production: Option<&'g Directory>,
    /// Whether it names one, good or bad.
    pub(super) has_production: bool,
    /// Whether there is an engine.
    pub(super) docker: bool,
}

/// A service with what the comparison with others needs.
pub(super) struct Made {
    /// Its name.
    pub(super) name: ServiceName,
    /// What it is, as far as it could be read.
    pub(super) definition: Definition,
    /// Where its name stands.
    pub(super) place: Place,
    /// Its published ports.
    pub(super) ports: Vec<(PublishedPort, Place)>,
    /// The services that it needs.
    needs: Vec<needs::Need>,
}

/// Reads `services`.
pub(super) fn read(report: &mut Report, ground: &Ground<'_>, at: &At<'_>) -> Vec<Made> {
    if at.is_empty_object() {
        report.problem(&at.place(), "an empty object", "at least one service");
    }
    let entries = at.map(report, "an object with the services by name");
    let made: Vec<Made> = entries.iter().filter_map(|entry| service(report, ground, entry)).collect();
    let names: Vec<&str> = entries.iter().map(|entry| entry.key).collect();
    needs::check(report, &made, &names);
    made
}

fn service(report: &mut Report, ground: &Ground<'_>, entry: &Named<'_>) -> Option<Made> {
    let name = service_name(report, entry);
    let mut object = entry.at.object(report, "an object that describes the service")?;
    let container = container::read(report, ground, &mut object);
    let process = object.get("process").map(|at| process(report, ground, &at));
    let (container, ports) = container.unzip();
    let runs = runs(report, ground, &object, container, process);
    let environment = object.get("environment").map(|at| environment(report, &at)).unwrap_or_default();
    let env_file = object.get("env_file").map(|at| env_files(report, ground, &at)).unwrap_or_default();
    let secrets = object.get("secrets").map(|at| secrets(report, ground, &at)).unwrap_or_default();
    let healthcheck = object.get("healthcheck").and_then(|at| health::read(report, &at));
    let needs = object.get("depends_on").map(|at| needs::read(report, &at)).unwrap_or_default();
    let expected = format!("a whole number from 1 to {INSTANCES_MAX}");
    let instances = object.get("instances").and_then(|at| at.whole(report, 1..=i64::from(INSTANCES_MAX), &expected));
    let instances = instances.and_then(|n| u16::try_from(n).ok()).unwrap_or(1);
    let restart = object.get("restart").and_then(|at| at.parse(report, values::restart)).unwrap_or(RestartRule::UnlessStopped);
    let log = object.get("log").and_then(|at| at.flag(report)).unwrap_or(false);
    object.finish(report, &[]);
    let ports = ports.unwrap_or_default();
    for (port, place) in ports.iter().filter(|(port, _)| port.host > 0 && instances > 1) {
        report.problem(place, format!("{} for {instances} instances", port.host), "“auto”: one port of the host is for one of them only");
    }
    let depends_on = needs.iter().map(|need| (need.service.clone(), need.how)).collect();
    let definition = Definition { runs, environment, env_file, secrets, healthcheck, depends_on, instances, restart, log };
    Some(Made { name: name?, definition, place: entry.place.clone(), ports, needs })
}

fn service_name(report: &mut Report, entry: &Named<'_>) -> Option<ServiceName> {
    match ServiceName::plain(entry.key) {
        Ok(name) if name.as_str().contains(ASIDE) => {
            report.problem(&entry.place, quote(entry.key), format!("a name without “{ASIDE}”, which marks containers that are kept aside"));
            None
        }
        Ok(name) => Some(name),
        Err(expected) => {
            report.problem(&entry.place, quote(entry.key), expected.to_string());
            None
        }
    }
}

/// What it runs as. Where that is not clear it was told, and what is answered is not used.
fn runs(
    report: &mut Report,
    ground: &Ground<'_>,
    object: &Object<'_>,
    container: Option<ContainerDefinition>,
    process: Option<Option<ProcessDefinition>>,
) -> Runs {
    let nothing = || ProcessDefinition { command: Vec::new(), directory: None };
    match (container, process) {
        (Some(container), Some(process)) => Runs::Either(container, process.unwrap_or_else(nothing)),
        (Some(container), None) => {
            if !ground.docker && ground.disk.strict {
                let expected = "a “process” beside it, or \"docker\": true";
                report.problem(&object.place_of("image"), "a service that is a container only, with \"docker\": false", expected);
            }
            Runs::Container(container)
        }
        (None, Some(process)) => {
            container::alone(report, object);
            Runs::Process(process.unwrap_or_else(nothing))
        }
        (None, None) => {
            report.problem(&object.place(), "neither “image” nor “process”", "at least one of the two");
            Runs::Process(nothing())
        }
    }
}

fn process(report: &mut Report, ground: &Ground<'_>, at: &At<'_>) -> Option<ProcessDefinition> {
    let mut object = at.object(report, "an object with the “command” of the process")?;
    let expected = "a list with the absolute path of a program and its arguments";
    let command = object.need(report, "command", expected);
    let texts = command.as_ref().map(|at| at.texts(report, expected)).unwrap_or_default();
    if let (Some(at), Some(written)) = (&command, texts.first()) {
        program(report, ground, &at.place(), written);
    }
    let directory = object.get("directory").and_then(|at| ground.disk.directory(report, &at)).map(|directory| directory.written);
    object.finish(report, &[]);
    Some(ProcessDefinition { command: texts, directory })
}

fn program(report: &mut Report, ground: &Ground<'_>, place: &Place, written: &str) {
    const EXPECTED: &str = "a program that this user may start";
    match values::program(written) {
        Err(expected) => report.problem(place, quote(written), expected),
        Ok(path) => {
            let rights = ground.disk.file(report, place, &quote(written), &[path], EXPECTED);
            if rights.is_some_and(|rights| !rights.executable) {
                ground.disk.tell(report, place, format!("{}, which cannot be started", quote(written)), EXPECTED);
            }
        }
    }
}

fn environment(report: &mut Report, at: &At<'_>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for entry in at.map(report, "an object with a text for each variable") {
        let name = values::variable(entry.key).map_err(|expected| report.problem(&entry.place, quote(entry.key), expected)).ok();
        // Values may be secret: none is ever told.
        let value = entry.at.secret(report, "a string: numbers, true and false stand in quotes, as in “8080”");
        all.extend(name.zip(value.map(str::to_owned)));
    }
    all
}

fn env_files(report: &mut Report, ground: &Ground<'_>, at: &At<'_>) -> Vec<PathBuf> {
    let one = |at: &At<'_>, report: &mut Report| {
        let text = at.parse(report, |text| values::file(text).map(|source| (text.to_owned(), source)))?;
        let (path, before) = match text {
            (_, Source::Absolute(path)) => (path, None),
            (written, Source::Below(relative)) => {
                let path = ground.below(report, &at.place(), &written, &relative)?;
                (path, ground.workspace.map(|workspace| joined(workspace, &relative)))
            }
            (_, Source::Volume(_)) => return None,
        };
        // Before the first deploy it is in the workspace.
        let places: Vec<PathBuf> = std::iter::once(path.clone()).chain(before).collect();
        let rights = ground.disk.readable(report, &at.place(), &at.shown(), &places);
        if rights.is_some_and(|rights| rights.open) {
            report.warning(
                &at.place(),
                format!("{}, which everybody may read", at.shown()),
                "a file of mode 600: what is in it may be secret",
            );
        }
        Some(path)
    };
    if !at.is_list() {
        return one(at, report).into_iter().collect();
    }
    at.not_empty(report, "file");
    at.distinct(report, "the path of a file, or a list of them", one).into_iter().map(|(path, _)| path).collect()
}

fn secrets(report: &mut Report, ground: &Ground<'_>, at: &At<'_>) -> BTreeMap<String, PathBuf> {
    let mut all = BTreeMap::new();
    for entry in at.map(report, "an object with the absolute path of a file for each secret") {
        let name = values::secret_name(entry.key).map_err(|expected| report.problem(&entry.place, quote(entry.key), expected)).ok();
        const EXPECTED: &str = "the absolute path of the file that holds the secret";
        let Some(text) = entry.at.secret(report, EXPECTED) else { continue };
        let Ok(path) = values::absolute_file(text) else {
            // Who wrote no path may have written the secret itself.
            report.problem(&entry.at.place(), "a string that is no such path", EXPECTED);
            continue;
        };
        ground.disk.file(report, &entry.at.place(), &quote(text), std::slice::from_ref(&path), "a file that is there");
        all.extend(name.map(|name| (name, path)));
    }
    all
}

impl Ground<'_> {
    /// A path below production. What is there is not looked at: a deploy may bring it.
    fn below(&self, report: &mut Report, place: &Place, written: &str, relative: &str) -> Option<PathBuf> {
        if self.production.is_none() && !self.has_production {
            report.problem(place, quote(written), "an absolute path, or a “production” directory that it is below");
        }
        self.production.map(|production| joined(production, relative))
    }
}

/// A path in a directory, which may be the directory itself.
fn joined(directory: &Directory, relative: &str) -> PathBuf {
    if relative.is_empty() { directory.written.clone() } else { directory.written.join(relative) }
}
