//! What a change of the configuration means: for which projects and services, for whom, and what has to be done for it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::access::{ChatId, Role, UserId};
use super::managed::Managed;
use super::project::{Configuration, ContainerSelector, Project, ProjectName, ServiceName, Source, Way};
use super::redact;
use super::reload::Trigger;
use super::text::{duration, listing};

/// How many items of a list are spelt out.
const SHOWN: usize = 8;

/// What a change means.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Impact {
    /// What concerns no single project.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub general: Vec<SettingChange>,
    /// The projects that it touches, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<ProjectChange>,
    /// Whose rights change, in general first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rights: Vec<RightChange>,
    /// The group chats in which people may act from now on, and did not before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chats_added: Vec<ChatId>,
    /// Those in which they may act no longer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chats_removed: Vec<ChatId>,
}

/// What happens to a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectChange {
    /// Which.
    pub project: ProjectName,
    /// What happens to it as a whole.
    pub fate: Fate,
    /// Its settings that change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<SettingChange>,
    /// The services that the change names.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub services: BTreeSet<ServiceName>,
}

/// What happens to a project as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It is new, or enabled from now on.
    Added,
    /// It is gone, or disabled from now on.
    Removed,
    /// Some of its settings are others.
    Changed,
}

/// A setting that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingChange {
    /// Its place, as in `deploy.stability`.
    pub setting: String,
    /// What it was.
    pub before: String,
    /// What it is.
    pub after: String,
    /// When that takes effect.
    pub effect: Effect,
}

/// When a changed setting takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// At once.
    AtOnce,
    /// With the next deploy; until then nothing is missing.
    NextDeploy,
    /// Only once the project was deployed: what runs does not agree with it.
    NeedsDeploy,
    /// When dockmaster is started again.
    NextStart,
}

/// What somebody may do, in general or in a project, that they might not before, or the reverse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RightChange {
    /// Who.
    pub user: UserId,
    /// In which project; none for in general.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectName>,
    /// The role before; none for nothing.
    pub before: Option<Role>,
    /// The role from now on.
    pub after: Option<Role>,
}

impl Impact {
    /// Whether it takes a right from somebody.
    pub fn takes_rights(&self) -> bool {
        !self.chats_removed.is_empty() || self.rights.iter().any(|right| right.after < right.before)
    }

    /// Compares two configurations.
    pub fn between(old: &Configuration, new: &Configuration) -> Self {
        Self {
            general: general(old, new),
            projects: projects(old, new),
            rights: rights(old, new),
            chats_added: new.chats.difference(&old.chats).copied().collect(),
            chats_removed: old.chats.difference(&new.chats).copied().collect(),
        }
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The projects that have to be deployed for it.
    pub fn needs_deploy(&self) -> impl Iterator<Item = &ProjectName> {
        let needs = |change: &&ProjectChange| change.settings.iter().any(|s| s.effect == Effect::NeedsDeploy);
        self.projects.iter().filter(needs).map(|change| &change.project)
    }
}

/// Gathers settings that differ.
#[derive(Default)]
struct Settings(Vec<SettingChange>);

impl Settings {
    fn compare<T: PartialEq>(&mut self, setting: &str, effect: Effect, old: &T, new: &T, shown: impl Fn(&T) -> String) {
        if old != new {
            self.0.push(SettingChange { setting: setting.to_owned(), before: shown(old), after: shown(new), effect });
        }
    }
}

impl Settings {
    /// Where two values differ in what is not shown, says so.
    fn tell_apart(&mut self) {
        for change in self.0.iter_mut().filter(|change| change.before == change.after) {
            change.after.push_str(" (changed in what is not shown)");
        }
    }
}

fn time(time: std::time::Duration) -> String {
    duration(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

fn or_nothing<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string)
}

fn path(path: &Option<std::path::PathBuf>) -> String {
    or_nothing(&path.as_ref().map(|p| p.display()))
}

/// An address, without what may be secret in it.
fn probe(address: &Option<String>) -> String {
    or_nothing(&address.as_deref().map(redact::address))
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let shown = listing(items.into_iter().map(|item| item.to_string()), SHOWN);
    if shown.is_empty() { "nothing".to_owned() } else { shown }
}

fn texts(items: &Vec<String>) -> String {
    list(items)
}

fn yes_no(yes: &bool) -> String {
    if *yes { "yes" } else { "no" }.to_owned()
}

fn general(old: &Configuration, new: &Configuration) -> Vec<SettingChange> {
    let mut all = Settings::default();
    all.compare("default_project", Effect::AtOnce, &old.default_project, &new.default_project, or_nothing);
    all.compare("confirm_timeout", Effect::AtOnce, &old.confirm_timeout, &new.confirm_timeout, |t| time(*t));
    all.compare("reload.watch", Effect::AtOnce, &old.reload.watch, &new.reload.watch, |w| w.word().to_owned());
    all.compare("reload.poll", Effect::AtOnce, &old.reload.poll, &new.reload.poll, |t| time(*t));
    all.compare("reload.debounce", Effect::AtOnce, &old.reload.debounce, &new.reload.debounce, |t| time(*t));
    let triggers = |on: &BTreeSet<Trigger>| list(on.iter().map(|trigger| trigger.word()));
    all.compare("reload.rollback_on", Effect::AtOnce, &old.reload.rollback_on, &new.reload.rollback_on, triggers);
    all.compare("volumes.warn_below", Effect::AtOnce, &old.warn_below, &new.warn_below, |limit| limit.written());
    all.compare("docker", Effect::NextStart, &old.docker, &new.docker, yes_no);
    // The file's path: what is in it is no part of the configuration.
    all.compare("registry_credentials", Effect::AtOnce, &old.registry_credentials, &new.registry_credentials, path);
    all.0
}

fn projects(old: &Configuration, new: &Configuration) -> Vec<ProjectChange> {
    let enabled = |config: &Configuration, name: &ProjectName| config.projects.get(name).filter(|p| p.enabled).cloned();
    let names: BTreeSet<&ProjectName> = old.projects.keys().chain(new.projects.keys()).collect();
    let change = |name: &ProjectName| {
        let (fate, settings, services) = match (enabled(old, name), enabled(new, name)) {
            (None, Some(added)) => (Fate::Added, Vec::new(), named(&added.source)),
            (Some(removed), None) => (Fate::Removed, Vec::new(), named(&removed.source)),
            (Some(before), Some(after)) if before != after => (Fate::Changed, settings(&before, &after), services(&before, &after)),
            _ => return None,
        };
        Some(ProjectChange { project: name.clone(), fate, settings, services })
    };
    names.into_iter().filter_map(change).collect()
}

fn settings(old: &Project, new: &Project) -> Vec<SettingChange> {
    let mut all = Settings::default();
    all.compare("description", Effect::AtOnce, &old.description, &new.description, or_nothing);
    all.compare("workspace", Effect::NextDeploy, &old.workspace, &new.workspace, path);
    all.compare("production", Effect::NeedsDeploy, &old.production, &new.production, path);
    match (&old.source, &new.source) {
        (Source::Compose(old), Source::Compose(new)) => {
            all.compare("compose.files", Effect::NeedsDeploy, &old.files, &new.files, texts);
            all.compare("compose.name", Effect::NeedsDeploy, &old.name, &new.name, Clone::clone);
        }
        (Source::Containers(old), Source::Containers(new)) => {
            all.compare("containers", Effect::AtOnce, old, new, |all| list(all.iter().map(selector)));
        }
        (Source::Services(old), Source::Services(new)) => managed(&mut all, old, new),
        _ => all.compare("kind", Effect::NeedsDeploy, &old.source, &new.source, |source| {
            let kind = match source {
                Source::Compose(_) => "a compose project",
                Source::Containers(_) => "named containers",
                Source::Services(_) => "managed services",
            };
            kind.to_owned()
        }),
    }
    all.compare("primary", Effect::AtOnce, &old.primary, &new.primary, or_nothing);
    all.compare("stateful", Effect::AtOnce, &old.stateful, &new.stateful, |all| list(all));
    all.compare("jobs", Effect::AtOnce, &old.jobs, &new.jobs, |all| list(all));
    all.compare("exclude", Effect::NextDeploy, &old.exclude, &new.exclude, texts);
    all.compare("copy", Effect::NextDeploy, &old.copy, &new.copy, texts);
    let (was, is) = (&old.deploy, &new.deploy);
    all.compare("deploy.health_timeout", Effect::AtOnce, &was.health_timeout, &is.health_timeout, |t| time(*t));
    all.compare("deploy.stability", Effect::AtOnce, &was.stability, &is.stability, |t| time(*t));
    all.compare("deploy.max_delete", Effect::AtOnce, &was.max_delete, &is.max_delete, ToString::to_string);
    all.compare("deploy.auto_rollback", Effect::AtOnce, &was.auto_rollback, &is.auto_rollback, yes_no);
    all.compare("deploy.keep_releases", Effect::NextDeploy, &was.keep_releases, &is.keep_releases, ToString::to_string);
    all.compare("deploy.probe", Effect::AtOnce, &was.probe, &is.probe, probe);
    all.tell_apart();
    let (was, is) = (&old.restart, &new.restart);
    all.compare("restart.strategy", Effect::AtOnce, &was.strategy, &is.strategy, |s| s.word().to_owned());
    let own = |t: &Option<std::time::Duration>| t.map_or_else(|| "each container's own".to_owned(), time);
    all.compare("restart.stop_timeout", Effect::AtOnce, &was.stop_timeout, &is.stop_timeout, own);
    all.0
}

/// What changes about the services that dockmaster makes: which, never what they are made of, which may be secret.
fn managed(all: &mut Settings, old: &Managed, new: &Managed) {
    all.compare("orphans", Effect::AtOnce, &old.orphans, &new.orphans, |o| o.word().to_owned());
    all.compare("on_shutdown", Effect::AtOnce, &old.on_shutdown, &new.on_shutdown, |o| o.word().to_owned());
    let names: BTreeSet<&ServiceName> = old.services.keys().chain(new.services.keys()).collect();
    for name in names {
        let (was, is) = (old.services.get(name), new.services.get(name));
        if was == is {
            continue;
        }
        let shown = |there: bool, changed: &str| if there { changed.to_owned() } else { "nothing".to_owned() };
        let (before, after) = (shown(was.is_some(), "as it was"), shown(is.is_some(), if was.is_some() { "changed" } else { "new" }));
        let none = BTreeMap::new();
        let remade = was.map(|d| d.hash(&none)) != is.map(|d| d.hash(&none)) || was.map(|d| d.instances) != is.map(|d| d.instances);
        // What is left over of one that is gone is told at once, and a deploy does not touch it.
        let effect = if remade && is.is_some() { Effect::NeedsDeploy } else { Effect::AtOnce };
        all.0.push(SettingChange { setting: format!("services.{name}"), before, after, effect });
    }
}

fn selector(selector: &ContainerSelector) -> String {
    let way = |way: &Way| match way {
        Way::Compose { project: Some(project), service } => format!("compose {project}/{service}"),
        Way::Compose { project: None, service } => format!("compose service {service}"),
        Way::Label(label) => format!("label {label}"),
        Way::Name(name) => name.to_string(),
        Way::Pattern(pattern) => format!("pattern {pattern}"),
        Way::Port(port) => format!("port {port}"),
    };
    let ways = selector.ways.iter().map(way).collect::<Vec<_>>().join(" or ");
    match &selector.service {
        Some(service) if ways != service.as_str() => format!("{service}: {ways}"),
        _ => ways,
    }
}

/// The services that a source names.
fn named(source: &Source) -> BTreeSet<ServiceName> {
    match source {
        Source::Compose(_) => BTreeSet::new(),
        Source::Containers(selectors) => selectors.iter().filter_map(|selector| selector.service.clone()).collect(),
        Source::Services(managed) => managed.services.keys().cloned().collect(),
    }
}

fn services(old: &Project, new: &Project) -> BTreeSet<ServiceName> {
    let mut services: BTreeSet<ServiceName> = old.stateful.symmetric_difference(&new.stateful).cloned().collect();
    services.extend(old.jobs.symmetric_difference(&new.jobs).cloned());
    services.extend(named(&old.source).symmetric_difference(&named(&new.source)).cloned());
    if let (Source::Services(was), Source::Services(is)) = (&old.source, &new.source) {
        services.extend(is.services.iter().filter(|(name, d)| was.services.get(*name) != Some(*d)).map(|(name, _)| name.clone()));
    }
    if old.primary != new.primary {
        services.extend(old.primary.iter().chain(&new.primary).cloned());
    }
    services
}

fn rights(old: &Configuration, new: &Configuration) -> Vec<RightChange> {
    let users: BTreeSet<&UserId> = old.users.keys().chain(new.users.keys()).collect();
    let mut all = Vec::new();
    let mut by_project: BTreeMap<&ProjectName, Vec<RightChange>> = BTreeMap::new();
    for user in users {
        let (before, after) = (old.users.get(user).copied(), new.users.get(user).copied());
        if before != after {
            all.push(RightChange { user: *user, project: None, before, after });
        }
        // Where a project says otherwise; who is not listed in general has no rights anywhere. What is said of a project that
        // is new counts against what they may do in general; one that has gone takes its rights along, as is said of it.
        let in_project = |config: &Configuration, project: &Project, general: Option<Role>| {
            let known = config.projects.get(&project.name).filter(|p| p.enabled);
            Some(known.and_then(|p| p.access.get(user)).copied().unwrap_or(general?))
        };
        for project in new.enabled() {
            let (was, is) = (in_project(old, project, before), in_project(new, project, after));
            if was != is && (was, is) != (before, after) {
                let change = RightChange { user: *user, project: Some(project.name.clone()), before: was, after: is };
                by_project.entry(&project.name).or_default().push(change);
            }
        }
    }
    all.extend(by_project.into_values().flatten());
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::project::ComposeSource;
    use crate::domain::reload::ReloadPolicy;
    use crate::domain::space::SpaceLimit;
    use std::time::Duration;

    fn project(name: &str) -> Project {
        let source = Source::Compose(ComposeSource { files: vec!["compose.yml".into()], name: name.into() });
        Project { production: Some("/srv".into()), ..Project::new(ProjectName::new(name).unwrap(), source) }
    }

    fn configuration(projects: &[Project]) -> Configuration {
        Configuration {
            default_project: None,
            users: [(1, Role::Admin), (2, Role::Viewer)].into(),
            chats: BTreeSet::new(),
            confirm_timeout: Duration::from_secs(60),
            reload: ReloadPolicy::default(),
            warn_below: SpaceLimit::default(),
            docker: true,
            registry_credentials: None,
            projects: projects.iter().map(|p| (p.name.clone(), p.clone())).collect(),
        }
    }

    #[test]
    fn nothing_changes_between_equals() {
        let config = configuration(&[project("shop")]);
        assert!(Impact::between(&config, &config).is_empty());
    }

    #[test]
    fn projects_come_go_and_change() {
        let old = configuration(&[project("gone"), project("off"), project("shop"), project("still")]);
        let mut changed = project("shop");
        changed.production = Some("/srv/new".into());
        changed.stateful = [ServiceName::new("db").unwrap()].into();
        changed.jobs = [ServiceName::new("migrate").unwrap()].into();
        changed.deploy.stability = Duration::from_secs(20);
        let new = configuration(&[project("new"), Project { enabled: false, ..project("off") }, changed, project("still")]);
        let impact = Impact::between(&old, &new);
        let fates: Vec<_> = impact.projects.iter().map(|p| (p.project.as_str(), p.fate)).collect();
        assert_eq!(fates, [("gone", Fate::Removed), ("new", Fate::Added), ("off", Fate::Removed), ("shop", Fate::Changed)]);
        let shop = &impact.projects[3];
        let settings: Vec<_> = shop.settings.iter().map(|s| (s.setting.as_str(), s.before.as_str(), s.after.as_str(), s.effect)).collect();
        assert_eq!(
            settings,
            [
                ("production", "/srv", "/srv/new", Effect::NeedsDeploy),
                ("stateful", "nothing", "db", Effect::AtOnce),
                ("jobs", "nothing", "migrate", Effect::AtOnce),
                ("deploy.stability", "10 s", "20 s", Effect::AtOnce)
            ]
        );
        assert_eq!(shop.services.iter().map(ServiceName::as_str).collect::<Vec<_>>(), ["db", "migrate"]);
        assert_eq!(impact.needs_deploy().map(ProjectName::as_str).collect::<Vec<_>>(), ["shop"]);
    }

    #[test]
    fn rights_in_general_and_where_a_project_says_otherwise() {
        let (mut with, plain) = (project("shop"), project("shop"));
        with.access = [(2, Role::Operator)].into();
        let mut old = configuration(&[with]);
        let mut new = configuration(&[plain]);
        new.users = [(1, Role::Admin), (2, Role::Admin), (3, Role::Viewer)].into();
        let told = |impact: Impact| impact.rights.into_iter().map(|r| (r.user, r.project.is_some(), r.before, r.after)).collect::<Vec<_>>();
        let (viewer, operator, admin) = (Some(Role::Viewer), Some(Role::Operator), Some(Role::Admin));
        assert_eq!(told(Impact::between(&old, &new)), [(2, false, viewer, admin), (3, false, None, viewer), (2, true, operator, admin)]);
        let mut evil = project("evil");
        evil.access = [(2, Role::Admin)].into();
        let (one, two) = (configuration(&[project("shop")]), configuration(&[project("shop"), evil]));
        assert_eq!(told(Impact::between(&one, &two)), [(2, true, viewer, admin)], "through a project that is new");
        assert_eq!(told(Impact::between(&two, &one)), [], "it is gone");
        old.users.remove(&2);
        assert_eq!(told(Impact::between(&old, &new)), [(2, false, None, admin), (3, false, None, viewer)], "it had none before");
    }
}
