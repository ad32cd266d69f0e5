//! Why an image is built again.

use std::collections::BTreeSet;

use super::{BuildFacts, DeployFacts};
use crate::domain::manifest::{Changes, TreePath};
use crate::domain::text::listing;

/// File names whose change is worth naming as a reason for a rebuild.
const DEPENDENCY_FILES: [&str; 18] = [
    "requirements.txt",
    "pyproject.toml",
    "poetry.lock",
    "Pipfile",
    "Pipfile.lock",
    "uv.lock",
    "package.json",
    "package-lock.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "Cargo.toml",
    "Cargo.lock",
    "go.mod",
    "go.sum",
    "Gemfile",
    "Gemfile.lock",
    "composer.json",
    "composer.lock",
];

/// Why the image of a service is built, in a few words; none where it is not. `first` says that nothing runs yet.
pub(super) fn why_build(facts: &DeployFacts<'_>, build: &BuildFacts, files: &Changes, first: bool, is_there: bool) -> Option<String> {
    if build.pruned {
        return Some("its kept image is gone, so it is built again".to_owned());
    }
    if build.running.as_deref() == Some(build.inputs.as_str()) {
        // Under a new name it is built once more.
        return (!is_there).then(|| "image to be built".to_owned());
    }
    if first {
        return Some("image to be built".to_owned());
    }
    // What an image is built from need not come into production.
    let staged = facts.held_staged.map(|held| Changes::between(held, facts.staged, Some(held))).unwrap_or_default();
    let touched: BTreeSet<&TreePath> = files.touched().chain(staged.touched()).collect();
    let is_seen = |path: &&TreePath| {
        path.is_within(&build.context) && !build.ignored.contains(*path) || build.additional.iter().any(|root| path.is_within(root))
    };
    let within: Vec<&TreePath> = touched.iter().copied().filter(is_seen).collect();
    if build.dockerfile.as_ref().is_some_and(|d| touched.contains(d)) {
        return Some("Dockerfile changed".to_owned());
    }
    let dependency = within.iter().find(|p| DEPENDENCY_FILES.iter().any(|d| d.as_bytes() == p.file_name()));
    if let Some(file) = dependency {
        return Some(format!("{file} changed"));
    }
    Some(match within.len() {
        0 if build.running.is_none() => "its image was not built by dockmaster yet".to_owned(),
        0 => "build configuration changed".to_owned(),
        1..=3 => format!("{} changed", listing(within, 3)),
        n => format!("{n} files of its build context changed"),
    })
}
