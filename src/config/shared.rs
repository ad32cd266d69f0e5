//! What two projects may not share: an operation on one would change the other.

use std::collections::BTreeMap;

use crate::domain::project::ContainerSelector;

use super::project::Draft;
use super::report::{Report, quote};

/// The label by which Compose marks the containers of a project.
const COMPOSE_LABEL: &str = "com.docker.compose.project";

/// Compares all projects.
pub(super) fn check(report: &mut Report, drafts: &[Draft]) {
    compose_names(report, drafts);
    containers(report, drafts);
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

fn containers(report: &mut Report, drafts: &[Draft]) {
    let composed: BTreeMap<&str, &str> =
        drafts.iter().filter_map(|d| d.compose.as_ref().map(|(name, _)| (name.as_str(), d.written.as_str()))).collect();
    let (mut names, mut labels) = (BTreeMap::new(), BTreeMap::new());
    for draft in drafts {
        for (selector, place) in &draft.containers {
            let (owner, found) = match selector {
                ContainerSelector::Name(name) => (claim(&mut names, name.as_str(), &draft.written), quote(name.as_str())),
                ContainerSelector::Label(label) => {
                    let ours = label.strip_prefix(COMPOSE_LABEL).and_then(|rest| rest.strip_prefix('='));
                    let of_compose = ours.and_then(|name| composed.get(name).copied());
                    (of_compose.or_else(|| claim_label(&mut labels, label, &draft.written)), quote(label))
                }
            };
            if let Some(owner) = owner {
                let whose = if owner == draft.written { "this project".to_owned() } else { format!("project {}", quote(owner)) };
                report.problem(place, format!("{found}, which selects what {whose} has already"), "containers of its own");
            }
        }
    }
}

/// Notes who has a name, and answers who had it before.
fn claim<'a>(owners: &mut BTreeMap<&'a str, &'a str>, key: &'a str, owner: &'a str) -> Option<&'a str> {
    let before = owners.get(key).copied();
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
    for (i, draft) in drafts.iter().enumerate() {
        for other in &drafts[..i] {
            if let (Some(later), Some(earlier)) = (&draft.production, &other.production)
                && later.overlaps(earlier)
            {
                let found = format!("{}, which overlaps {} of project {}", later.shown(), earlier.shown(), quote(&other.written));
                report.problem(&later.place, found, "a production directory of its own");
            }
        }
        for other in drafts.iter().filter(|other| other.written != draft.written) {
            if let (Some(workspace), Some(production)) = (&draft.workspace, &other.production)
                && workspace.overlaps(production)
            {
                let found = format!("{}, which overlaps the production directory of project {}", workspace.shown(), quote(&other.written));
                report.warning(&workspace.place, found, "a workspace that no other project's deploys write into");
            }
        }
    }
}
