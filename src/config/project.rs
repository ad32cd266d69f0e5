//! One project.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::access::{Role, UserId};
use crate::domain::managed::{Managed, OnShutdown, Orphans};
use crate::domain::project::{
    ComposeSource, ContainerSelector, DeployPolicy, Project, ProjectName, RestartPolicy, ServiceName, Source, Strategy,
};

use super::Machine;
use super::containers;
use super::file::roles;
use super::paths::{self, Directory};
use super::read::{At, Named, Object, nearest};
use super::report::{Place, Report, quote};
use super::services::{self, Ground, Made};
use super::values::{self, Bounds};

/// The most files that a deploy may be allowed to delete.
const DELETE_MAX: i64 = 1_000_000;
/// What a project does not know yet.
const LATER: [&str; 1] = ["alerts"];
/// How many releases may be kept; one besides the current one is needed to go back to.
const KEPT: std::ops::RangeInclusive<i64> = 2..=100;
/// What is read when no compose file is named.
/// What is missed where no compose file is named and none is there.
const COMPOSE_FILE: &str = "docker-compose.yml";

const HEALTH: Bounds = Bounds { least: Duration::from_secs(1), most: Duration::from_secs(3600), such_as: "120s" };
const STABILITY: Bounds = Bounds { least: Duration::ZERO, most: Duration::from_secs(600), such_as: "10s" };
const STOP: Bounds = Bounds { least: Duration::ZERO, most: Duration::from_secs(600), such_as: "10s" };

/// What is around all projects.
pub(super) struct Around<'a> {
    /// The machine.
    pub(super) machine: &'a Machine<'a>,
    /// Who may act in general.
    pub(super) users: &'a BTreeMap<UserId, Role>,
    /// Whether there is an engine.
    pub(super) docker: bool,
}

/// A project with what the comparison with others needs.
#[derive(Default)]
pub(super) struct Draft {
    /// Its name as written, good or bad.
    pub(super) written: String,
    /// Whether it takes part.
    pub(super) enabled: bool,
    /// Its compose project name.
    pub(super) compose: Option<(String, Place)>,
    /// Its containers.
    pub(super) containers: Vec<(ContainerSelector, Place)>,
    /// The services that dockmaster makes for it.
    pub(super) services: Vec<Made>,
    /// Its production directory.
    pub(super) production: Option<Directory>,
    /// Its workspace.
    pub(super) workspace: Option<Directory>,
    /// The project itself, where its name is good and it has a source.
    pub(super) project: Option<Project>,
}

/// The strategies by the word for them.
pub(super) fn strategies() -> [(&'static str, Strategy); 4] {
    Strategy::ALL.map(|s| (s.word(), s))
}

/// Reads a project.
pub(super) fn read(report: &mut Report, around: &Around<'_>, entry: &Named<'_>, name: Option<ProjectName>) -> Draft {
    let mut draft = Draft { written: entry.key.to_owned(), enabled: true, ..Draft::default() };
    let Some(mut object) = entry.at.object(report, "an object that describes the project") else { return draft };
    let description = object.get("description").and_then(|at| at.text(report, "a line of text").map(str::to_owned));
    draft.enabled = object.get("enabled").and_then(|at| at.flag(report)).unwrap_or(true);
    // A disabled project is left alone: its directories may well be gone.
    let disk = paths::Disk { ask: around.machine.disk, read: around.machine.read, strict: draft.enabled };
    draft.workspace = object.get("workspace").and_then(|at| disk.directory(report, &at));
    draft.production = object.get("production").and_then(|at| disk.directory(report, &at));
    disk.apart(report, draft.workspace.as_ref(), draft.production.as_ref());
    let source = source(report, &disk, around.docker, &mut object, &mut draft);
    let primary = object.get("primary").and_then(|at| service(report, &at, &draft));
    let stateful_unsaid = !object.has("stateful");
    let stateful = stateful(report, &mut object, &draft);
    let jobs = object.get("jobs").map(|at| services_of(report, &at, &draft)).unwrap_or_default();
    let exclude = object.get("exclude").map(|at| patterns(report, &at)).unwrap_or_default();
    let copy = object.get("copy").map(|at| patterns(report, &at)).unwrap_or_default();
    let access = object.get("access").map(|at| access(report, &at, around.users)).unwrap_or_default();
    let deploy = object.get("deploy").map(|at| deploy(report, &at)).unwrap_or_default();
    let restart = object.get("restart").map(|at| restart(report, &at)).unwrap_or_default();
    complete(report, &object);
    object.finish(report, &LATER);
    draft.project = name.zip(source).map(|(name, source)| Project {
        name,
        description,
        enabled: draft.enabled,
        source,
        workspace: draft.workspace.as_ref().map(|d| d.written.clone()),
        production: draft.production.as_ref().map(|d| d.written.clone()),
        primary,
        stateful,
        stateful_unsaid,
        jobs,
        exclude,
        copy,
        access,
        deploy,
        restart,
    });
    draft
}

fn source(report: &mut Report, disk: &paths::Disk<'_>, docker: bool, object: &mut Object<'_>, draft: &mut Draft) -> Option<Source> {
    let (compose, containers, services) = (object.get("compose"), object.get("containers"), object.get("services"));
    let kinds = [("compose", &compose), ("containers", &containers), ("services", &services)];
    let given: Vec<(&str, &At<'_>)> = kinds.into_iter().filter_map(|(key, at)| Some((key, at.as_ref()?))).collect();
    match given[..] {
        [] => report.problem(&object.place(), "neither “compose” nor “containers” nor “services”", "one of the three"),
        [(first, _), ref others @ ..] => {
            for (key, at) in others {
                report.problem(&at.place(), format!("{} beside {}", quote(key), quote(first)), "one of the two");
            }
        }
    }
    for (key, at) in given.iter().filter(|(key, _)| *key != "services" && !docker && draft.enabled) {
        let expected = "“services” that are processes, or \"docker\": true";
        report.problem(&at.place(), format!("{} with \"docker\": false", quote(key)), expected);
    }
    let managed = managed(report, object);
    let containers = containers.map(|at| containers::read(report, &at));
    let compose = compose.and_then(|at| compose_source(report, disk, &at, draft));
    draft.containers = containers.clone().unwrap_or_default();
    let named = containers.map(|all| Source::Containers(all.into_iter().map(|(selector, _)| selector).collect()));
    let (workspace, production) = (draft.workspace.as_ref(), draft.production.as_ref());
    let ground = Ground { disk, workspace, production, has_production: object.has("production"), docker };
    let made = services.map(|at| services::read(report, &ground, &at));
    let managed = made.as_ref().map(|made| {
        let services = made.iter().map(|made| (made.name.clone(), made.definition.clone())).collect();
        Source::Services(Managed { services, ..managed })
    });
    draft.services = made.unwrap_or_default();
    compose.map(Source::Compose).or(named).or(managed)
}

/// What is said of managed services beside what each of them is.
fn managed(report: &mut Report, object: &mut Object<'_>) -> Managed {
    let orphans = [Orphans::List, Orphans::Remove].map(|o| (o.word(), o));
    let on_shutdown = [OnShutdown::Keep, OnShutdown::Stop, OnShutdown::Remove].map(|o| (o.word(), o));
    Managed {
        services: BTreeMap::new(),
        orphans: object.get("orphans").and_then(|at| at.word(report, &orphans)).unwrap_or_default(),
        on_shutdown: object.get("on_shutdown").and_then(|at| at.word(report, &on_shutdown)).unwrap_or_default(),
        // What the file says of all projects is filled in once it is read.
        registry_credentials: None,
    }
}

fn compose_source(report: &mut Report, disk: &paths::Disk<'_>, at: &At<'_>, draft: &mut Draft) -> Option<ComposeSource> {
    let mut object = at.object(report, "an object with the “files” of the compose project, or {}")?;
    let files = match object.get("files") {
        Some(list) => {
            list.not_empty(report, "compose file");
            list.distinct(report, "a list of compose files", |item, report| item.parse(report, values::compose_file))
        }
        None => {
            let found = disk.default_compose_file(draft.workspace.as_ref(), draft.production.as_ref());
            vec![(found.unwrap_or(COMPOSE_FILE).to_owned(), object.place_of("files"))]
        }
    };
    for (file, place) in &files {
        disk.compose_file(report, file, place, draft.workspace.as_ref(), draft.production.as_ref());
    }
    let named = object.get("name");
    let place = named.as_ref().map_or_else(|| object.place_of("name"), At::place);
    let name = match named {
        Some(given) => given.parse(report, values::compose_name),
        // Compose allows no capitals; what else a project's name may hold, a compose project's may, too.
        None => {
            let own = disk.compose_name(&files, draft.workspace.as_ref(), draft.production.as_ref());
            own.or_else(|| values::compose_name(&draft.written.to_ascii_lowercase()).ok())
        }
    };
    object.finish(report, &[]);
    draft.compose = name.clone().map(|name| (name, place));
    Some(ComposeSource { files: files.into_iter().map(|(file, _)| file).collect(), name: name? })
}

/// A service; where the names of all are known, it must be one of them.
fn service(report: &mut Report, at: &At<'_>, draft: &Draft) -> Option<ServiceName> {
    let name = at.service(report)?;
    let containers = draft.containers.iter().map(|(selector, _)| containers::called(selector).map(ServiceName::as_str));
    let made = draft.services.iter().map(|made| Some(made.name.as_str()));
    let known: Vec<&str> = containers.chain(made).collect::<Option<_>>().unwrap_or_default();
    if !known.is_empty() && !known.contains(&name.as_str()) {
        let all = if draft.services.is_empty() { "one of the containers" } else { "one of the services" };
        at.wrong(report, nearest(name.as_str(), &known, all));
        return None;
    }
    Some(name)
}

fn stateful(report: &mut Report, object: &mut Object<'_>, draft: &Draft) -> BTreeSet<ServiceName> {
    let Some(at) = object.get("stateful") else {
        if draft.compose.is_some() {
            let expected = "“stateful” to name its databases (or to be []): a restart or a deploy takes all services along";
            report.warning(&object.place_of("stateful"), "nothing", expected);
        }
        return BTreeSet::new();
    };
    services_of(report, &at, draft)
}

fn services_of(report: &mut Report, at: &At<'_>, draft: &Draft) -> BTreeSet<ServiceName> {
    let services = at.distinct(report, "a list of services", |item, report| service(report, item, draft));
    services.into_iter().map(|(name, _)| name).collect()
}

fn patterns(report: &mut Report, at: &At<'_>) -> Vec<String> {
    let mut patterns = Vec::new();
    for item in at.items(report, "a list of patterns in gitignore syntax") {
        let Some(pattern) = item.parse(report, values::pattern) else { continue };
        if pattern.starts_with('#') {
            report.warning(
                &item.place(),
                format!("{}, a comment", quote(&pattern)),
                "a pattern; a file whose name starts with # is “\\#…”",
            );
        }
        patterns.push(pattern);
    }
    patterns
}

fn access(report: &mut Report, at: &At<'_>, users: &BTreeMap<UserId, Role>) -> BTreeMap<UserId, Role> {
    let Some(object) = at.object(report, "an object with a role for each user id") else { return BTreeMap::new() };
    let entries: Vec<_> = object.entries().collect();
    let (own, _) = roles(report, &entries);
    for entry in &entries {
        let stranger = values::user_id(entry.key).is_ok_and(|id| !users.contains_key(&id));
        // An empty list of users is a problem of its own, and everybody would be a stranger.
        if stranger && !users.is_empty() {
            report.warning(&entry.place, quote(entry.key), "a user of the general “access.users”: others may do nothing");
        }
    }
    own
}

fn deploy(report: &mut Report, at: &At<'_>) -> DeployPolicy {
    let mut policy = DeployPolicy::default();
    let Some(mut object) = at.object(report, "an object with the settings of a deploy") else { return policy };
    if let Some(given) = object.get("health_timeout").and_then(|at| at.duration(report, &HEALTH)) {
        policy.health_timeout = given;
    }
    if let Some(given) = object.get("stability").and_then(|at| at.duration(report, &STABILITY)) {
        policy.stability = given;
    }
    let expected = format!("a whole number from 0 to {DELETE_MAX}");
    let most = object.get("max_delete").and_then(|at| at.whole(report, 0..=DELETE_MAX, &expected));
    if let Some(given) = most.and_then(|n| usize::try_from(n).ok()) {
        policy.max_delete = given;
    }
    policy.auto_rollback = object.get("auto_rollback").and_then(|at| at.flag(report)).unwrap_or(policy.auto_rollback);
    let kept = object.get("keep_releases").and_then(|at| at.whole(report, KEPT, "a whole number from 2 to 100"));
    policy.keep_releases = kept.and_then(|n| usize::try_from(n).ok()).unwrap_or(policy.keep_releases);
    policy.probe = object.get("probe").and_then(|at| probe(report, &at));
    object.finish(report, &[]);
    policy
}

/// The address of a probe, without a password.
pub(super) fn probe(report: &mut Report, at: &At<'_>) -> Option<String> {
    let text = at.text(report, "an http:// or https:// address")?;
    match values::address(text) {
        Ok(address) => Some(address),
        Err(expected) => {
            // What stands before an @ may be a password, and problems go to logs and chats.
            let found = if text.contains('@') { "an address with a user name".to_owned() } else { at.shown() };
            report.problem(&at.place(), found, expected);
            None
        }
    }
}

fn restart(report: &mut Report, at: &At<'_>) -> RestartPolicy {
    let mut policy = RestartPolicy::default();
    let Some(mut object) = at.object(report, "an object with the settings of a restart") else { return policy };
    if let Some(given) = object.get("strategy").and_then(|at| at.word(report, &strategies())) {
        policy.strategy = given;
    }
    if let Some(given) = object.get("stop_timeout").and_then(|at| at.duration(report, &STOP)) {
        policy.stop_timeout = Some(given);
    }
    object.finish(report, &[]);
    policy
}

/// What a kind of project needs, and what does nothing for it.
fn complete(report: &mut Report, object: &Object<'_>) {
    if object.has("compose") {
        if !object.has("production") {
            report.problem(&object.place_of("production"), "nothing", "the directory that the running containers of a compose project use");
        }
        if !object.has("workspace") {
            report.warning(
                &object.place_of("workspace"),
                "nothing",
                "the directory with the code: the project cannot be deployed without it",
            );
        }
    } else if object.has("workspace") {
        if !object.has("production") {
            report.problem(&object.place_of("production"), "nothing", "the directory that a deploy copies the workspace into");
        }
    } else {
        for key in ["exclude", "copy", "deploy"] {
            // How what dockmaster makes itself is watched and put back stands there, too.
            if object.has(key) && !(key == "deploy" && object.has("services")) {
                report.warning(&object.place_of(key), "a setting of deploys", "“workspace” beside it: without one nothing is deployed");
            }
        }
    }
    for key in ["orphans", "on_shutdown"] {
        if object.has(key) && !object.has("services") {
            report.warning(&object.place_of(key), "a setting of managed services", "“services” beside it: it does nothing here");
        }
    }
}
