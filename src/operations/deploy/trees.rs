//! The trees of a deploy: which of their paths count, what they hold, and what of production is at stake.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::super::tools::Tools;
use super::writable::Mounted;
use crate::domain::failure::Failure;
use crate::domain::manifest::{Manifest, TreePath};
use crate::domain::project::Project;
use crate::files::cache::HashCache;
use crate::files::rules::Rules;
use crate::files::scan::{Scan, ScanError, scan_cached};
use crate::files::store::at_stake;
use crate::history::releases::Current;
use crate::untrusted::{self, CONFIGURATION_MAX};

pub(super) fn tree_path(path: &Path) -> TreePath {
    TreePath::new(path.as_os_str().as_bytes())
}

/// What the project excludes.
pub(super) async fn rules(project: &Project, workspace: &Path, what: &str) -> Result<Rules, Failure> {
    let ignore = workspace.join(".dockmasterignore");
    let read = untrusted::off_runtime(move || untrusted::read_text(&ignore, CONFIGURATION_MAX)).await.and_then(|read| read);
    let text = match read {
        Ok(text) => text,
        Err(error) if error.is_missing() => String::new(),
        Err(error) => return Err(Failure::new(what, format!(".dockmasterignore {error}."), "Fix the file and ask again.")),
    };
    Rules::new(&project.exclude, &text, Vec::new()).map_err(|error| {
        Failure::new(what, format!("What to exclude cannot be understood: {error}."), "Mend \"exclude\" or .dockmasterignore.")
    })
}

/// Reads the workspace, where it is to be read, and production. What did not change since the last time is not read again.
pub(super) async fn scans(
    tools: &Tools,
    project: &Project,
    workspace: Option<&Path>,
    production: &Path,
    rules: &Mounted,
    what: &str,
) -> Result<(Scan, Scan), Failure> {
    let (workspace, production, stopping) = (workspace.map(Path::to_owned), production.to_owned(), tools.stopping.clone());
    let (of_workspace, of_production) = (rules.workspace.clone(), rules.production.clone());
    let (known, now) = (hashes(tools, project), (tools.clock)());
    // Without the workspace it would be forgotten; where nothing is kept yet, planning makes nothing; and a plan that is
    // only looked at writes nothing at all.
    let keep = workspace.is_some() && tools.elsewhere.is_none() && known.parent().is_some_and(Path::is_dir);
    let both = tokio::task::spawn_blocking(move || {
        let cache = HashCache::load(&known);
        let scan = |root: &Path, rules: &Rules| scan_cached(root, rules, &cache, now, &stopping);
        let (workspace, production) = std::thread::scope(|scope| {
            let beside = scope.spawn(|| scan(&production, &of_production));
            let workspace = workspace.as_deref().map(|root| scan(root, &of_workspace)).transpose();
            (workspace, beside.join().unwrap_or_else(|died| std::panic::resume_unwind(died)))
        });
        let (workspace, production) = (workspace?, production?);
        if keep && let Err(error) = cache.save() {
            tracing::warn!(%error, "the hashes of files could not be kept; they are computed again the next time");
        }
        Ok::<_, ScanError>((workspace.unwrap_or_default(), production))
    });
    let fail = |why: String| Failure::new(what, format!("Its files cannot be read: {why}."), "Mend that and ask again.");
    match both.await {
        Ok(scans) => scans.map_err(|error| fail(error.to_string())),
        Err(died) => Err(fail(died.to_string())),
    }
}

/// Where the hashes of a project's files are kept.
pub(super) fn hashes(tools: &Tools, project: &Project) -> PathBuf {
    tools.place(&project.name).join("hashes")
}

/// The part of production that a release could touch: what it holds itself, and what earlier ones put there or kept.
pub(super) fn touchable(production: &Manifest, coming: &Manifest, current: Option<&Current>) -> Manifest {
    let known = current.map(|c| c.owned.0.iter().chain(&*c.release.manifest.0).map(|(p, e)| (p.clone(), e.clone())).collect::<Manifest>());
    at_stake(production, coming, known.as_ref())
}
