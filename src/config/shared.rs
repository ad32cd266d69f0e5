//! What two projects may not share: an operation on one would change the other.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;

use crate::domain::project::Way;

use super::ComposeProjects;
use super::project::Draft;
use super::report::{Report, quote};

mod made;

/// The label by which Compose marks the containers of a project.
const COMPOSE_LABEL: &str = "com.docker.compose.project";

/// Compares all projects.
pub(super) fn check(report: &mut Report, drafts: &[Draft], running: &ComposeProjects) {
    compose_names(report, drafts);
    running_names(report, drafts, running);
    containers(report, drafts);
    made::check(report, drafts);
    directories(report, drafts);
}

fn compose_names(report: &mut Report, drafts: &[Draft]) {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for draft in drafts {
        let Some((name, place)) = &draft.compose else { continue };
        match owners.get(name.as_str()) {
            // Names that differ by case alone are told of as such.
            Some(owner) if owner.eq_ignore_ascii_case(&draft.written) => {}
            Some(owner) => {
                let found = format!("{}, which is the compose project of {}", quote(name), quote(owner));
                report.problem(place, found, "a compose project of its own");
            }
            None => {
                owners.insert(name, &draft.written);
            }
        }
    }
}

/// A directory whose containers have another compose project's name would get a second set of them, with empty volumes.
fn running_names(report: &mut Report, drafts: &[Draft], running: &ComposeProjects) {
    for draft in drafts.iter().filter(|draft| draft.enabled) {
        let (Some((name, place)), Some(production)) = (&draft.compose, &draft.production) else { continue };
        let Some(names) = running.get(&production.real).filter(|names| !names.contains(name)) else { continue };
        if let Some(other) = names.first() {
            let found = format!("{}, but the compose project {} runs from this directory", quote(name), quote(other));
            report.problem(place, found, quote(other));
        }
    }
}

fn containers(report: &mut Report, drafts: &[Draft]) {
    let composed: BTreeMap<&str, &str> =
        drafts.iter().filter_map(|d| d.compose.as_ref().map(|(name, _)| (name.as_str(), d.written.as_str()))).collect();
    let mut claims = Claims::default();
    for draft in drafts {
        for (selector, place) in &draft.containers {
            // All are noted, and the first that somebody else has is told.
            let taken: Vec<_> = selector.ways.iter().filter_map(|way| claims.owner(way, &composed, &draft.written)).collect();
            if let Some((found, owner)) = taken.first() {
                let whose = if *owner == draft.written { "this project".to_owned() } else { format!("project {}", quote(owner)) };
                report.problem(place, format!("{found}, which selects what {whose} has already"), "containers of its own");
            }
        }
    }
}

/// Who looks for what.
#[derive(Default)]
struct Claims<'a> {
    names: BTreeMap<&'a str, &'a str>,
    labels: BTreeMap<&'a str, &'a str>,
    patterns: BTreeMap<&'a str, &'a str>,
    ports: BTreeMap<u16, &'a str>,
    /// By service and compose project.
    services: BTreeMap<(&'a str, Option<&'a str>), &'a str>,
}

impl<'a> Claims<'a> {
    /// Notes that a project looks in some way, and answers who has what that finds already, and what it is for a person.
    fn owner(&mut self, way: &'a Way, composed: &BTreeMap<&'a str, &'a str>, written: &'a str) -> Option<(String, &'a str)> {
        let (owner, found) = match way {
            Way::Name(name) => (claim(&mut self.names, name.as_str(), written), quote(name.as_str())),
            Way::Label(label) => {
                let ours = label.strip_prefix(COMPOSE_LABEL).and_then(|rest| rest.strip_prefix('='));
                let of_compose = ours.and_then(|name| composed.get(name).copied());
                (of_compose.or_else(|| claim_label(&mut self.labels, label, written)), quote(label))
            }
            Way::Pattern(pattern) => (claim(&mut self.patterns, pattern, written), quote(pattern)),
            Way::Port(port) => (claim(&mut self.ports, *port, written), format!("port {port}")),
            Way::Compose { project, service } => {
                let of_compose = project.as_deref().and_then(|name| composed.get(name).copied());
                let found = project.as_ref().map_or_else(|| quote(service.as_str()), |project| quote(&format!("{project}/{service}")));
                (of_compose.or_else(|| self.claim_service(project.as_deref(), service.as_str(), written)), found)
            }
        };
        owner.map(|owner| (found, owner))
    }

    /// The same for compose services, of which one without a project may be any project's.
    fn claim_service(&mut self, project: Option<&'a str>, service: &'a str, owner: &'a str) -> Option<&'a str> {
        let near = match project {
            Some(_) => self.services.get(&(service, None)).copied(),
            None => {
                let next = self.services.range((service, None)..).next();
                next.filter(|((other, _), _)| *other == service).map(|(_, owner)| *owner)
            }
        };
        claim(&mut self.services, (service, project), owner).or(near)
    }
}

/// Notes who has something, and answers who had it before.
fn claim<'a, K: Ord>(owners: &mut BTreeMap<K, &'a str>, key: K, owner: &'a str) -> Option<&'a str> {
    let before = owners.get(&key).copied();
    owners.entry(key).or_insert(owner);
    before
}

/// The same for labels, of which `key` selects all that `key=value` does.
fn claim_label<'a>(owners: &mut BTreeMap<&'a str, &'a str>, label: &'a str, owner: &'a str) -> Option<&'a str> {
    let near = match label.split_once('=') {
        Some((key, _)) => owners.get(key).copied(),
        None => {
            let values = format!("{label}=");
            let next = owners.range(values.as_str()..).next();
            next.filter(|(other, _)| other.starts_with(&values)).map(|(_, owner)| *owner)
        }
    };
    claim(owners, label, owner).or(near)
}

fn directories(report: &mut Report, drafts: &[Draft]) {
    let productions = drafts.iter().enumerate().filter_map(|(i, draft)| Some((i, draft.production.as_ref()?.real.as_path())));
    let productions = Directories::of(productions);
    for (i, draft) in drafts.iter().enumerate() {
        for other in draft.production.iter().flat_map(|production| productions.touching(&production.real)).filter(|other| *other < i) {
            if let (Some(later), Some(Draft { written, production: Some(earlier), .. })) = (&draft.production, drafts.get(other)) {
                let found = format!("{}, which overlaps {} of project {}", later.shown(), earlier.shown(), quote(written));
                report.problem(&later.place, found, "a production directory of its own");
            }
        }
        for other in draft.workspace.iter().flat_map(|workspace| productions.touching(&workspace.real)) {
            if let (Some(workspace), Some(other)) = (&draft.workspace, drafts.get(other).filter(|other| other.written != draft.written)) {
                let found = format!("{}, which overlaps the production directory of project {}", workspace.shown(), quote(&other.written));
                report.warning(&workspace.place, found, "a workspace that no other project's deploys write into");
            }
        }
    }
}

/// The production directories in the order of their paths, in which all that lies below one follows it: comparing each with each
/// would take a second for a thousand projects.
struct Directories<'a>(BTreeMap<&'a Path, Vec<usize>>);

impl<'a> Directories<'a> {
    fn of(paths: impl Iterator<Item = (usize, &'a Path)>) -> Self {
        let mut all: BTreeMap<&Path, Vec<usize>> = BTreeMap::new();
        paths.for_each(|(i, path)| all.entry(path).or_default().push(i));
        Self(all)
    }

    /// Whose lie in a directory, or hold it, or are it; in the order of the file.
    fn touching(&self, path: &Path) -> Vec<usize> {
        let below = self.0.range::<Path, _>((Bound::Excluded(path), Bound::Unbounded)).take_while(|(other, _)| other.starts_with(path));
        let at_or_above = path.ancestors().filter_map(|ancestor| self.0.get(ancestor));
        let mut found: Vec<usize> = at_or_above.chain(below.map(|(_, whose)| whose)).flatten().copied().collect();
        found.sort_unstable();
        found
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;

    /// Paths of which many lie in one another, and some only begin alike.
    fn path() -> impl Strategy<Value = PathBuf> {
        let part = prop::sample::select(&["a", "b", "a b", "a-b", "a.b", "ab", "é"][..]);
        prop::collection::vec(part, 0..4).prop_map(|parts| Path::new("/").join(parts.join("/")))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn directories_touch_as_if_each_was_compared_with_each(paths in prop::collection::vec(path(), 0..12), asked in path()) {
            let directories = Directories::of(paths.iter().enumerate().map(|(i, path)| (i, path.as_path())));
            let touches = |path: &Path| path.starts_with(&asked) || asked.starts_with(path);
            let expected: Vec<usize> = (0..paths.len()).filter(|i| touches(&paths[*i])).collect();
            prop_assert_eq!(directories.touching(&asked), expected);
        }
    }
}
