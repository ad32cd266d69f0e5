//! Resolving the workspace's compose files as they will be in production.
//!
//! Compose looks below production for the files that a configuration is made of besides the compose files themselves:
//! `env_file`s, whose content it puts in, and what `extends` and `include` name. Where a deploy brings one of them,
//! production's own would give yesterday's configuration, or none at all. So Compose is shown a directory of links to
//! where each of them will come from.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::super::sources::{OTHERS, says};
use super::super::tools::{Config, Tools};
use crate::domain::failure::Failure;
use crate::domain::manifest::TreePath;
use crate::domain::project::ProjectName;
use crate::domain::untrusted::UntrustedText;
use crate::engine::compose::Files;
use crate::files::rules::Rules;

/// Resolves `files` (of the workspace, for production). `rules` say what a deploy leaves alone.
pub(super) async fn resolve(tools: &Tools, what: &str, project: &ProjectName, files: &Files<'_>, rules: &Rules) -> Result<Config, Failure> {
    let mut found: BTreeSet<PathBuf> = if says(files, &["env_file"]) { tools.env_files(what, files).await? } else { BTreeSet::new() };
    found = found.iter().filter_map(|path| path.strip_prefix(files.directory).ok()).map(Path::to_owned).collect();
    if names_other_files(files) {
        let unreadable =
            |error: io::Error| Failure::new(what, format!("The workspace cannot be read: {error}."), "Mend that and ask again.");
        for root in [files.root, files.directory] {
            documents(root, Path::new(""), rules, &mut found).map_err(unreadable)?;
        }
    }
    let brought: BTreeSet<&Path> = found.iter().map(PathBuf::as_path).collect();
    let differs = |path: &&Path| is_brought(files.root, path, rules) && !same(&files.root.join(path), &files.directory.join(path));
    if !brought.iter().any(differs) {
        return tools.resolve(what, files).await;
    }
    // A directory of its own for each: status measures in the background while somebody asks for a plan.
    let scratch = tools.scratch(project);
    let unwritable = |error: io::Error| {
        Failure::new(what, format!("{} cannot be written: {error}.", UntrustedText::path(&scratch)), "Make room and ask again.")
    };
    let name = super::super::tools::random_name().map_err(|e| unwritable(io::Error::other(e)))?;
    let overlay = scratch.join(format!("plan-{name}"));
    let made = lay(&overlay, files, &brought, rules).map_err(unwritable);
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
pub(super) fn says_the_same(files: &Files<'_>) -> bool {
    !says(files, &["env_file"]) && files.files.iter().all(|file| same(&files.root.join(file), &files.directory.join(file)))
}

/// How many files of configuration are looked at.
const DOCUMENTS_MAX: usize = 10_000;

/// Whether the compose files may name others that they are made of. A word in a comment only costs a little time.
fn names_other_files(files: &Files<'_>) -> bool {
    let text = |file: &String| std::fs::read_to_string(files.root.join(file)).unwrap_or_default();
    files.files.iter().map(text).any(|text| OTHERS.iter().any(|w| text.contains(w)) || (text.contains("env_file") && text.contains("${")))
}

/// The files below a directory that a configuration can be made of, by their endings.
fn documents(root: &Path, below: &Path, rules: &Rules, found: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if !rules.excluded(&TreePath::new(path.as_os_str().as_bytes()), true) {
                documents(root, &path, rules, found)?;
            }
        } else if found.len() < DOCUMENTS_MAX
            && path.extension().is_some_and(|ending| ["yml", "yaml", "json", "env", "labels"].iter().any(|known| ending == *known))
        {
            found.insert(path);
        }
    }
    Ok(())
}

/// Whether a deploy copies this file from the workspace.
pub(super) fn is_brought(workspace: &Path, path: &Path, rules: &Rules) -> bool {
    workspace.join(path).is_file() && !rules.excluded(&TreePath::new(path.as_os_str().as_bytes()), false)
}

fn same(one: &Path, other: &Path) -> bool {
    match (std::fs::read(one), std::fs::read(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// Links each `env_file` to where its content will come from.
fn lay(overlay: &Path, files: &Files<'_>, paths: &BTreeSet<&Path>, rules: &Rules) -> io::Result<()> {
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
