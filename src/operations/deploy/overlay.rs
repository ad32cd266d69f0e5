//! Resolving the workspace's compose files as they will be in production.
//!
//! Compose looks below production for the files that a configuration is made of besides the compose files themselves:
//! `env_file`s, whose content it puts in, and what `extends` and `include` name. Where a deploy brings one of them,
//! production's own would give yesterday's configuration, or none at all. So Compose is shown a directory of links to
//! where each of them will come from.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::super::sources::{OTHERS, off_runtime, says};
use super::super::tools::{Config, Tools};
use crate::domain::failure::Failure;
use crate::domain::manifest::TreePath;
use crate::domain::project::ProjectName;
use crate::domain::untrusted::UntrustedText;
use crate::engine::compose::Files;
use crate::files::rules::Rules;
use crate::untrusted::{self, CONFIGURATION_MAX, ReadError};

/// Resolves `files` (of the workspace, for production). `rules` say what a deploy leaves alone.
pub(super) async fn resolve(tools: &Tools, what: &str, project: &ProjectName, files: &Files<'_>, rules: &Rules) -> Result<Config, Failure> {
    let slow = |error: ReadError| unreadable(what, &error.into());
    let names = off_runtime(files, |files| says(files, &["env_file"])).await.map_err(slow)?;
    let named: BTreeSet<PathBuf> = if names { tools.env_files(what, files).await? } else { BTreeSet::new() };
    let found = named.iter().filter_map(|path| path.strip_prefix(files.directory).ok()).map(Path::to_owned).collect();
    let known = rules.clone();
    let brought = off_runtime(files, move |files| differing(files, found, &known)).await.map_err(slow)?;
    let Some(brought) = brought.map_err(|error| unreadable(what, &error))? else { return tools.resolve(what, files).await };
    // A directory of its own for each: status measures in the background while somebody asks for a plan.
    let scratch = tools.scratch(project);
    let unwritable = |error: io::Error| {
        Failure::new(what, format!("{} cannot be written: {error}.", UntrustedText::path(&scratch)), "Make room and ask again.")
    };
    let name = super::super::tools::random_name().map_err(|e| unwritable(io::Error::other(e)))?;
    let overlay = scratch.join(format!("plan-{name}"));
    let (known, place) = (rules.clone(), overlay.clone());
    let made = off_runtime(files, move |files| lay(&place, files, &brought, &known)).await.map_err(io::Error::from).and_then(|made| made);
    let made = made.map_err(unwritable);
    let resolved = match made {
        Ok(()) => tools.resolve_at(what, &Files { directory: &overlay, ..files.clone() }, files.directory).await,
        Err(failure) => Err(failure),
    };
    if let Err(error) = std::fs::remove_dir_all(&overlay) {
        tracing::warn!(%error, "a directory of links was left behind");
    }
    resolved
}

/// Whether production's own files are sure to come to the same configuration: they are the same compose files, and no other
/// files make a difference.
pub(super) async fn says_the_same(files: &Files<'_>) -> bool {
    let compare = |files: &Files<'_>| {
        !says(files, &["env_file"]) && files.files.iter().all(|file| same(&files.root.join(file), &files.directory.join(file)))
    };
    off_runtime(files, compare).await.unwrap_or_default()
}

fn unreadable(what: &str, error: &io::Error) -> Failure {
    Failure::new(what, format!("The workspace cannot be read: {error}."), "Fix that and ask again.")
}

/// The files that Compose has to be shown where they will come from, given those that it names itself; none where production has
/// the same ones.
fn differing(files: &Files<'_>, mut found: BTreeSet<PathBuf>, rules: &Rules) -> io::Result<Option<BTreeSet<PathBuf>>> {
    if names_other_files(files) {
        documents(files, rules, &mut found)?;
    }
    let differs = |path: &PathBuf| is_brought(files.root, path, rules) && !same(&files.root.join(path), &files.directory.join(path));
    Ok(found.iter().any(differs).then_some(found))
}

/// How many files of configuration are shown.
const DOCUMENTS_MAX: usize = 10_000;
/// How many entries of a tree are looked at for them: those nearest to its root.
const LOOKED_MAX: usize = 50_000;
/// How many files are read for the names of others.
const READ_MAX: usize = 200;
/// The endings of files that a configuration can be made of.
const ENDINGS: [&str; 5] = ["yml", "yaml", "json", "env", "labels"];

/// Whether the compose files may name others that they are made of. A word in a comment only costs a little time.
fn names_other_files(files: &Files<'_>) -> bool {
    let text = |file: &String| untrusted::read_text(&files.root.join(file), CONFIGURATION_MAX).unwrap_or_default();
    files.files.iter().map(text).any(|text| OTHERS.iter().any(|w| text.contains(w)) || (text.contains("env_file") && text.contains("${")))
}

/// The files below workspace and production that a configuration can be made of: by their endings, and those whose names, with
/// or without an ending, stand in a file that it is made of, or in production's `.env`.
fn documents(files: &Files<'_>, rules: &Rules, found: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    let mut there = BTreeSet::new();
    for root in [files.root, files.directory] {
        there.extend(walk(root, rules)?);
    }
    let mut words = BTreeSet::new();
    let environment = files.environment.into_iter().map(Path::to_owned);
    let mut unread: Vec<PathBuf> = files.files.iter().map(|file| files.root.join(file)).chain(environment).collect();
    let mut left = READ_MAX;
    while let Some(path) = unread.pop().filter(|_| left > 0) {
        left -= 1;
        // What cannot be read names nothing; Compose says what is wrong with it.
        let text = untrusted::read_text(&path, CONFIGURATION_MAX).unwrap_or_default();
        words.extend(text.split(|c: char| !(c.is_alphanumeric() || "._-".contains(c))).map(|word| word.trim_matches('-').to_owned()));
        let (named, unnamed): (BTreeSet<PathBuf>, BTreeSet<PathBuf>) = there.into_iter().partition(|path| is_named(path, &words));
        there = unnamed;
        for path in named {
            let own = files.root.join(&path);
            unread.push(if own.is_file() { own } else { files.directory.join(&path) });
            found.insert(path);
        }
    }
    let by_ending = there.into_iter().filter(|path| has_known_name(path));
    found.extend(by_ending.take(DOCUMENTS_MAX));
    Ok(())
}

/// The files of a tree, nearest to its root first, and not below directories that a deploy leaves alone.
fn walk(root: &Path, rules: &Rules) -> io::Result<Vec<PathBuf>> {
    let (mut found, mut looked) = (Vec::new(), 0);
    let mut waiting = VecDeque::from([PathBuf::new()]);
    while let Some(below) = waiting.pop_front() {
        for entry in std::fs::read_dir(root.join(&below))? {
            let entry = entry?;
            looked += 1;
            if looked > LOOKED_MAX {
                return Ok(found);
            }
            let path = below.join(entry.file_name());
            if !entry.file_type()?.is_dir() {
                found.push(path);
            } else if !rules.excluded(&TreePath::new(path.as_os_str().as_bytes()), true) {
                waiting.push_back(path);
            }
        }
    }
    Ok(found)
}

fn has_known_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with(".env") || path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known))
}

fn is_named(path: &Path, words: &BTreeSet<String>) -> bool {
    [path.file_name(), path.file_stem()].into_iter().flatten().any(|name| words.contains(&*name.to_string_lossy()))
}

/// Whether a deploy copies this file from the workspace.
pub(super) fn is_brought(workspace: &Path, path: &Path, rules: &Rules) -> bool {
    workspace.join(path).is_file() && !rules.excluded(&TreePath::new(path.as_os_str().as_bytes()), false)
}

fn same(one: &Path, other: &Path) -> bool {
    match (untrusted::read(one, CONFIGURATION_MAX), untrusted::read(other, CONFIGURATION_MAX)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// Links each `env_file` to where its content will come from.
fn lay(overlay: &Path, files: &Files<'_>, paths: &BTreeSet<PathBuf>, rules: &Rules) -> io::Result<()> {
    std::fs::create_dir_all(overlay)?;
    for path in paths {
        let source: PathBuf = if is_brought(files.root, path, rules) { files.root.join(path) } else { files.directory.join(path) };
        let link = overlay.join(path);
        if let Some(parent) = link.parent() {
            std::fs::create_dir_all(parent)?;
        }
        if source.is_file() {
            std::os::unix::fs::symlink(source, link)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_ending_or_by_name() {
        let place = tempfile::tempdir().unwrap();
        let (workspace, production) = (place.path().join("w"), place.path().join("p"));
        let write = |path: PathBuf, text: &str| {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(workspace.join("compose.yml"), "include: [sub/base.yaml]\nservices: { a: { env_file: \"${DIR:-conf}/${MODE}.vars\" } }\n");
        write(workspace.join("sub/base.yaml"), "services: { b: { env_file: vars.conf, label_file: '../labels.txt' } }\n");
        for name in
            ["sub/vars.conf", "labels.txt", "conf/live.vars", "conf/test.vars", "README.md", "node_modules/x.json", "deep/a/b/c.env"]
        {
            write(workspace.join(name), "");
        }
        write(production.join(".env"), "MODE=live\n");
        write(production.join("sub/.env.live"), "");
        let (names, environment) = (["compose.yml".to_owned()], production.join(".env"));
        let files = Files { name: "shop", root: &workspace, files: &names, directory: &production, environment: Some(&environment) };
        let mut found = BTreeSet::new();
        documents(&files, &Rules::new(&[], "", Vec::new()).unwrap(), &mut found).unwrap();
        let expected =
            [".env", "compose.yml", "conf/live.vars", "deep/a/b/c.env", "labels.txt", "sub/.env.live", "sub/base.yaml", "sub/vars.conf"];
        assert_eq!(found, expected.map(PathBuf::from).into());
    }
}
