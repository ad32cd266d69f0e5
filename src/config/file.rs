//! The file as a whole: who may act, where, and the list of projects.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::domain::access::{ChatId, Role, UserId};
use crate::domain::project::{Configuration, Project, ProjectName, Source};

use super::include::{FILES_MAX, PATTERNS_MAX, Pattern};
use super::paths;
use super::project::{self, Around, Draft};
use super::read::{At, Named, Object, nearest};
use super::reload;
use super::report::{Report, quote};
use super::service_values;
use super::shared;
use super::span::Node;
use super::values::{self, Bounds};
use super::volumes;
use super::{Machine, OnDisk};

/// The most projects: comparing them takes the square.
pub(super) const PROJECTS_MAX: usize = 1_000;
/// How long a confirmation may wait.
const CONFIRM: Bounds = Bounds { least: Duration::from_secs(5), most: Duration::from_secs(3600), such_as: "60s" };
/// How long a confirmation waits unless told.
const CONFIRM_DEFAULT: Duration = Duration::from_secs(60);
/// What was true when a plan was shown may no longer be so after this.
const CONFIRM_LONG: Duration = Duration::from_secs(600);
/// Words that mean something else where a project's name may stand.
const RESERVED: [&str; 1] = ["all"];
/// What may follow a project's name, or a command alone.
const FORCE: &str = "force";

/// Reads the whole configuration: the file, and those that it includes by their names, as far as they are JSON. What it
/// answers is worth something only if the report holds no problem.
pub(super) fn configuration(
    report: &mut Report,
    machine: &Machine<'_>,
    root: &Node,
    included: &[(&str, Option<&Node>)],
) -> Option<Configuration> {
    let disk = machine.disk;
    let mut top = At::root(root).object(report, "an object with “access” and “projects”")?;
    if let Some(schema) = top.get("$schema") {
        schema.text(report, "the address of the schema, such as “docs/projects.schema.json”");
    }
    let default = top.get("default_project");
    if let Some(at) = top.get("include") {
        include(report, &at, included);
    }
    let (users, chats) = access(report, &mut top);
    let confirm = top.get("confirm_timeout").and_then(|at| {
        let given = at.duration(report, &CONFIRM)?;
        if given > CONFIRM_LONG {
            report.warning(&at.place(), at.shown(), "at most 10 min: what a plan says may be out of date by then");
        }
        Some(given)
    });
    let reload = top.get("reload").map(|at| reload::read(report, &at)).unwrap_or_default();
    let warn_below = top.get("volumes").map(|at| volumes::read(report, &at)).unwrap_or_default();
    let docker = top.get("docker").and_then(|at| at.flag(report)).unwrap_or(true);
    let registry_credentials = top.get("registry_credentials").and_then(|at| credentials(report, disk, &at));
    let drafts = projects(report, &Around { machine, users: &users, docker }, &mut top, included);
    // A file that is no JSON may well hold the one that is missing.
    let complete = included.iter().all(|(_, root)| root.is_some());
    let default_project = default.filter(|_| complete).and_then(|at| default_project(report, &at, &drafts));
    top.finish(report, &[]);
    shared::check(report, &drafts, machine.running);
    let mut projects: BTreeMap<ProjectName, Project> = drafts.into_iter().filter_map(|d| d.project).map(|p| (p.name.clone(), p)).collect();
    for project in projects.values_mut() {
        if let Source::Services(managed) = &mut project.source {
            managed.registry_credentials.clone_from(&registry_credentials);
        }
    }
    Some(Configuration {
        default_project,
        users,
        chats,
        confirm_timeout: confirm.unwrap_or(CONFIRM_DEFAULT),
        reload,
        warn_below,
        docker,
        registry_credentials,
        projects,
    })
}

/// What is included is read by whoever reads files; here it is said what is wrong with that.
fn include(report: &mut Report, at: &At<'_>, included: &[(&str, Option<&Node>)]) {
    const EXPECTED: &str = "a list of files and patterns, such as [“projects.d/*.json”]";
    let written = at.distinct(report, EXPECTED, |item, report| item.parse(report, |text| Pattern::new(text).map(|_| text.to_owned())));
    if written.len() > PATTERNS_MAX {
        report.problem(&at.place(), format!("{} patterns", written.len()), format!("at most {PATTERNS_MAX}"));
    }
    if included.len() > FILES_MAX {
        report.problem(&at.place(), "more files", format!("at most {FILES_MAX}"));
    }
    for (text, place) in written.iter().take(PATTERNS_MAX) {
        let Ok(pattern) = Pattern::new(text) else { continue };
        if pattern.plain && !included.iter().any(|(name, _)| pattern.takes(name)) {
            report.problem(place, format!("{}, which does not exist", quote(text)), "a file that is there");
        }
    }
}

fn access(report: &mut Report, top: &mut Object<'_>) -> (BTreeMap<UserId, Role>, BTreeSet<ChatId>) {
    let object = top.need(report, "access", "an object that says who may act").and_then(|at| at.object(report, "an object with “users”"));
    let Some(mut access) = object else { return Default::default() };
    let users = access.need(report, "users", "an object with a role for each user id").map(|at| users(report, &at)).unwrap_or_default();
    let chats = access.get("chats").map(|at| chats(report, &at, &users)).unwrap_or_default();
    access.finish(report, &[]);
    (users, chats)
}

fn users(report: &mut Report, at: &At<'_>) -> BTreeMap<UserId, Role> {
    let Some(object) = at.object(report, "an object with a role for each user id, such as { \"111111111\": \"admin\" }") else {
        return BTreeMap::new();
    };
    let entries: Vec<_> = object.entries().collect();
    let (users, complete) = roles(report, &entries);
    // A mistyped role may well have been the admin's: one problem is told, not two.
    if complete && !users.values().any(|role| *role == Role::Admin) {
        let found = if users.is_empty() { "nobody" } else { "no admin" };
        report.problem(&at.place(), found, "at least one user id with the role “admin”");
    }
    users
}

/// The roles by user id of some entries, and whether all of them could be read. Who has a mistyped role is listed all
/// the same, so that nobody is told of a stranger where there is none.
pub(super) fn roles(report: &mut Report, entries: &[Named<'_>]) -> (BTreeMap<UserId, Role>, bool) {
    let (mut roles, mut complete) = (BTreeMap::new(), true);
    for entry in entries {
        let id = values::user_id(entry.key);
        if let Err(expected) = id {
            report.problem(&entry.place, quote(entry.key), expected);
        }
        let role = entry.at.role(report);
        complete &= id.is_ok() && role.is_some();
        roles.extend(id.ok().map(|id| (id, role.unwrap_or(Role::Viewer))));
    }
    (roles, complete)
}

fn chats(report: &mut Report, at: &At<'_>, users: &BTreeMap<UserId, Role>) -> BTreeSet<ChatId> {
    const EXPECTED: &str = "the numeric id of a group, which is negative (/whoami there tells it)";
    let chats = at.distinct(report, "a list of chat ids", |item, report| item.whole(report, -values::ID_MAX..=-1, EXPECTED));
    for (chat, place) in &chats {
        if users.contains_key(&chat.unsigned_abs()) {
            report.warning(place, format!("{chat}, a user's id with a minus"), "the id of a group; private chats need not be listed");
        }
    }
    chats.into_iter().map(|(chat, _)| chat).collect()
}

/// The file with what registries are logged in to with: never what is in it.
fn credentials(report: &mut Report, disk: &dyn Fn(&Path) -> OnDisk, at: &At<'_>) -> Option<PathBuf> {
    const EXPECTED: &str = "the absolute path of a file as “docker login” writes it";
    let text = at.secret(report, EXPECTED)?;
    let Ok(path) = service_values::absolute_file(text) else {
        // Who wrote no path may have written the credentials themselves.
        report.problem(&at.place(), "a string that is no such path", EXPECTED);
        return None;
    };
    let disk = paths::Disk { ask: disk, read: &|_| None, strict: true };
    let rights = disk.readable(report, &at.place(), &quote(text), std::slice::from_ref(&path));
    if rights.is_some_and(|rights| rights.open) {
        report.warning(&at.place(), format!("{}, which everybody may read", quote(text)), "a file of mode 600: what is in it is secret");
    }
    Some(path)
}

fn projects(report: &mut Report, around: &Around<'_>, top: &mut Object<'_>, included: &[(&str, Option<&Node>)]) -> Vec<Draft> {
    const EXPECTED: &str = "an object with the projects by name";
    let own = top.need(report, "projects", EXPECTED).and_then(|at| at.object(report, EXPECTED));
    let Some(own) = own else { return Vec::new() };
    let (place, mut lists) = (own.place(), vec![own]);
    for root in included.iter().filter_map(|(_, root)| *root) {
        let Some(mut file) = At::root(root).object(report, "an object with “projects”") else { continue };
        if let Some(schema) = file.get("$schema") {
            schema.text(report, "the address of the schema");
        }
        lists.extend(file.need(report, "projects", EXPECTED).and_then(|at| at.object(report, EXPECTED)));
        file.finish(report, &[]);
    }
    let mut drafts: Vec<Draft> = Vec::new();
    let mut lower: BTreeMap<String, &str> = BTreeMap::new();
    for (i, entry) in lists.iter().flat_map(Object::entries).enumerate() {
        if i == PROJECTS_MAX {
            report.problem(&entry.place, "more projects", format!("at most {PROJECTS_MAX}"));
            break;
        }
        let name = project_name(report, &entry);
        match lower.get(&entry.key.to_lowercase()) {
            Some(other) if *other == entry.key => {
                report.problem(&entry.place, format!("the project {} again", quote(entry.key)), "each project in one file");
            }
            Some(other) => {
                let expected = format!("a name that differs from {} in more than its case", quote(other));
                report.problem(&entry.place, quote(entry.key), expected);
            }
            None => drop(lower.insert(entry.key.to_lowercase(), entry.key)),
        }
        drafts.push(project::read(report, around, &entry, name));
    }
    if drafts.is_empty() && included.iter().all(|(_, root)| root.is_some()) {
        report.warning(&place, "no project", "at least one: there is nothing to do");
    }
    drafts
}

fn project_name(report: &mut Report, entry: &Named<'_>) -> Option<ProjectName> {
    let name = match ProjectName::new(entry.key) {
        Ok(name) => name,
        Err(expected) => {
            report.problem(&entry.place, quote(entry.key), expected.to_string());
            return None;
        }
    };
    if RESERVED.iter().any(|word| word.eq_ignore_ascii_case(entry.key)) {
        report.problem(&entry.place, quote(entry.key), "another name: in commands this word means every project");
        return None;
    }
    let number = entry.key.bytes().all(|b| b.is_ascii_digit());
    let option = entry.key.eq_ignore_ascii_case(FORCE);
    if number || option || project::strategies().iter().any(|(word, _)| word.eq_ignore_ascii_case(entry.key)) {
        let is = if number {
            "a number"
        } else if option {
            "an option"
        } else {
            "a restart strategy"
        };
        report.warning(&entry.place, quote(entry.key), format!("another name: in commands this can be taken for {is}"));
    }
    Some(name)
}

fn default_project(report: &mut Report, at: &At<'_>, drafts: &[Draft]) -> Option<ProjectName> {
    let text = at.text(report, "the name of a project")?;
    let Some(draft) = drafts.iter().find(|d| d.written == text) else {
        let all: Vec<&str> = drafts.iter().map(|d| d.written.as_str()).collect();
        at.wrong(report, nearest(text, &all, "the name of a project"));
        return None;
    };
    if !draft.enabled {
        report.warning(
            &at.place(),
            format!("{}, which is disabled", at.shown()),
            "an enabled project: commands without a name mean none now",
        );
    }
    draft.project.as_ref().map(|p| p.name.clone())
}
