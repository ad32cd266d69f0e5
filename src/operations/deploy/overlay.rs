//! Resolving the workspace's compose files as they will be in production.
//!
//! Compose puts the content of `env_file`s into the configuration, and looks for them below production. Where a deploy
//! brings one that is new or changed, production's own would give yesterday's configuration, or none at all.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::super::tools::{Config, Tools};
use crate::domain::failure::Failure;
use crate::domain::manifest::TreePath;
use crate::domain::project::ProjectName;
use crate::engine::compose::Files;
use crate::files::rules::Rules;

/// Resolves `files` (of the workspace, for production). `rules` say what a deploy leaves alone.
pub(super) async fn resolve(tools: &Tools, what: &str, project: &ProjectName, files: &Files<'_>, rules: &Rules) -> Result<Config, Failure> {
    let found = tools.env_files(what, files).await?;
    let brought: BTreeSet<&Path> = found.iter().filter_map(|path| path.strip_prefix(files.directory).ok()).collect();
    let differs = |path: &&Path| is_brought(files.root, path, rules) && !same(&files.root.join(path), &files.directory.join(path));
    if !brought.iter().any(differs) {
        return tools.resolve(what, files).await;
    }
    // A directory of its own for each: status measures in the background while somebody asks for a plan.
    let unwritable =
        |error: io::Error| Failure::new(what, format!("The data directory cannot be written: {error}."), "Make room and ask again.");
    let name = super::super::tools::random_name().map_err(|e| unwritable(io::Error::other(e)))?;
    let overlay = tools.place(project).join(format!("plan-{name}"));
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

/// Whether a deploy copies this file from the workspace.
fn is_brought(workspace: &Path, path: &Path, rules: &Rules) -> bool {
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
