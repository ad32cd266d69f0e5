//! The configuration that dockmaster starts with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, watch as latest};

use super::concerns;
use super::parts::Parts;
use super::take::{not_kept, tell_admins, told};
use super::watch::{Look, Watcher};
use super::{Keeper, Keeping, REQUESTS_MAX, Surroundings};
use crate::config::{self, Checked, Sources};
use crate::domain::impact::Impact;
use crate::domain::notice::Notice;
use crate::domain::project::Configuration;
use crate::domain::reload::{Rejected, ReloadPolicy, Standing, Watching};
use crate::domain::snapshot::{Cause, InForce, Snapshot};
use crate::domain::text::capital;
use crate::history::History;
use crate::history::snapshots::NewSnapshot;

/// File systems that do not report what others change, by the numbers that the kernel has for them.
const DEAF: [(u64, &str); 8] = [
    (0x6969, "NFS"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB"),
    (0x517B, "SMB"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9P"),
    (0x6a65_6a63, "virtiofs"),
    (0x5346_4846, "the Windows host's"),
];

/// What dockmaster starts with.
pub struct Beginning {
    /// The configuration in force.
    pub configuration: latest::Receiver<Arc<Configuration>>,
    /// The way to whoever keeps it.
    pub keeper: Keeper,
    /// Whoever keeps it; to be run.
    pub keeping: Keeping,
}

/// What was found at the start.
struct Found {
    sources: Sources,
    configuration: Configuration,
    warnings: Vec<String>,
    /// What is wrong with the files, where a kept version stands in for them.
    rejected: Option<Vec<String>>,
    /// The hash of the files, whatever they come to.
    considered: blake3::Hash,
}

/// Reads the configuration, or takes the version that was in force last where that cannot be.
///
/// # Errors
/// Neither is there: all problems, in words.
pub async fn begin(path: PathBuf, around: Surroundings) -> Result<Beginning, String> {
    let last = around.history.snapshot_last().await.map_err(|e| format!("{e}."))?;
    let found = find(&path, last.as_ref())?;
    for warning in &found.warnings {
        tracing::warn!("{}: {warning}", path.display());
    }
    let now = (around.clock)();
    let snapshot = version(&around, &found, last).await;
    let rejected = found.rejected.clone().map(|problems| Rejected { at: now, problems });
    if let Some(rejected) = &rejected {
        for problem in &rejected.problems {
            tracing::error!("{}: {problem}", path.display());
        }
        tracing::error!("{} was rejected; the version that was in force last is", path.display());
        // Whatever is started again and again says it once.
        let what = told(found.considered, &rejected.problems);
        if around.history.rejection_is_new(Some(what.to_hex().to_string())).await.unwrap_or(true) {
            let notice = Notice::Rejected { rejected: rejected.clone(), starting: true };
            tell_admins(&around.history, &[&found.configuration], &notice, None, now).await;
        }
    }
    let environment = concerns::told(&around, &found.configuration, now).await;
    let (way, because) = decide(&found.configuration.reload, &around, &path);
    let places = found.sources.places(&path);
    let look = Look::at(&places);
    let (watcher, why_not) = Watcher::new(places, look, way, found.configuration.reload.poll);
    let (watching, because) = pieces(&watcher, because, why_not);
    tracing::info!(watching = watching.word(), because, "watches {}", path.display());
    let standing = Standing {
        path: path.display().to_string(),
        included: found.sources.included.keys().cloned().collect(),
        snapshot,
        since: now,
        rejected,
        watching,
        because,
        trouble: None,
        environment,
    };
    let (asks, asked) = mpsc::channel(REQUESTS_MAX);
    let (in_force, configuration) = latest::channel(Arc::new(found.configuration));
    let (standing, stands) = latest::channel(standing);
    let parts = Parts::default();
    let keeper = Keeper { asks, standing: stands, parts: parts.clone() };
    let told = standing.borrow().rejected.as_ref().map(|rejected| told(found.considered, &rejected.problems));
    let keeping = Keeping { path, around, sources: found.sources, in_force, standing, told, watcher, parts, asks: asked };
    Ok(Beginning { configuration, keeper, keeping })
}

/// The configuration for somebody who only looks: what a dockmaster would start with.
///
/// # Errors
/// There is none: all problems, in words.
pub async fn look_only(path: &Path, history: &History) -> Result<Configuration, String> {
    let last = history.snapshot_last().await.map_err(|e| format!("{e}."))?;
    find(path, last.as_ref()).map(|found| found.configuration)
}

fn find(path: &Path, last: Option<&(Snapshot, InForce)>) -> Result<Found, String> {
    let read = Sources::read(path);
    let (hash, problems) = match read {
        Ok(sources) => {
            let hash = sources.hash();
            // With these files that version was in force, and stays so, though its directories may have gone since.
            let same =
                last.filter(|(snapshot, in_force)| in_force.pinned_over.as_ref().unwrap_or(&snapshot.hash) == hash.to_hex().as_str());
            if let Some(found) = same.and_then(|(snapshot, _)| kept(snapshot, hash, None)) {
                return Ok(found);
            }
            match config::check_sources(&sources, &config::on_disk) {
                Checked { configuration: Some(configuration), warnings, .. } => {
                    let warnings = warnings.iter().map(ToString::to_string).collect();
                    return Ok(Found { sources, configuration, warnings, rejected: None, considered: hash });
                }
                Checked { problems, .. } => (hash, problems.iter().map(ToString::to_string).collect()),
            }
        }
        Err(error) => (blake3::hash(format!("{error}.").as_bytes()), vec![format!("{error}.")]),
    };
    last.and_then(|(snapshot, _)| kept(snapshot, hash, Some(problems.clone()))).ok_or_else(|| {
        let all = problems.iter().map(|p| format!("\n  {p}")).collect::<String>();
        match &problems[..] {
            [one] if one.ends_with('.') => {
                format!("{} Write one after projects.example.json and name it with --config or DOCKMASTER_CONFIG.", capital(one))
            }
            _ => format!("{} has problems:{all}", path.display()),
        }
    })
}

/// A kept version, where it can still be in force.
fn kept(snapshot: &Snapshot, considered: blake3::Hash, rejected: Option<Vec<String>>) -> Option<Found> {
    let sources = Sources::from(&snapshot.files);
    // Its directories may have gone since; then it is in force all the same, as it would be had dockmaster run on.
    let seen = config::check_sources(&sources, &config::on_disk);
    let unseen = if seen.configuration.is_some() { None } else { Some(config::check_sources(&sources, &config::unseen)) };
    let warnings = seen.problems.iter().chain(&seen.warnings).map(ToString::to_string).collect();
    let checked = unseen.unwrap_or(seen);
    Some(Found { sources, configuration: checked.configuration?, warnings, rejected, considered })
}

/// The number of the version that was found, which is kept where it is new.
async fn version(around: &Surroundings, found: &Found, last: Option<(Snapshot, InForce)>) -> Option<i64> {
    let hash = found.sources.hash().to_hex().to_string();
    if let Some((snapshot, _)) = last.as_ref().filter(|(snapshot, _)| snapshot.hash == hash) {
        return Some(snapshot.line.id);
    }
    let before = last.and_then(|(snapshot, _)| kept(&snapshot, found.considered, None));
    let impact = before.map(|before| Impact::between(&before.configuration, &found.configuration)).unwrap_or_default();
    let files = found.sources.to_files()?;
    let new = NewSnapshot { cause: Cause::Start, impact, hash, files, pinned_over: None };
    around.history.snapshot_add(new, (around.clock)()).await.inspect_err(not_kept).ok()
}

/// How to watch, and why so.
pub(super) fn decide(policy: &ReloadPolicy, around: &Surroundings, path: &Path) -> (Watching, String) {
    if !around.hot {
        return (Watching::Off, "DOCKMASTER_HOT_RELOAD is 0".to_owned());
    }
    let said = || format!("“reload.watch” says {}", policy.watch.word());
    match policy.watch {
        Watching::Auto => {}
        way => return (way, said()),
    }
    if let Some(runtime) = around.environment.runtime {
        return (Watching::Poll, format!("in a container ({}), where events of mounted directories may not arrive", runtime.word()));
    }
    match file_system(path) {
        Some(name) => (Watching::Poll, format!("the file system, {name}, does not report what others change")),
        None => (Watching::Events, "the file system reports changes".to_owned()),
    }
}

/// The file system of a path, where it is one that does not report what others change.
fn file_system(path: &Path) -> Option<&'static str> {
    let kind = rustix::fs::statfs(path).ok()?.f_type;
    // Some machines count it signed.
    let kind = u64::try_from(kind).unwrap_or_default() & 0xffff_ffff;
    DEAF.iter().find(|(number, _)| *number == kind).map(|(_, name)| *name)
}

/// How it is watched in the end.
pub(super) fn pieces(watcher: &Watcher, because: String, why_not: Option<String>) -> (Watching, String) {
    match why_not {
        Some(why_not) => (watcher.way(), format!("events cannot be had ({why_not})")),
        None => (watcher.way(), because),
    }
}
