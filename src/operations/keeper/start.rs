//! The configuration that dockmaster starts with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, watch as latest};

use super::apply::not_kept;
use super::back::Here;
use super::concerns;
use super::parts::Parts;
use super::take::{hash_of, is_whole, tell_admins, told, unpinned};
use super::watch::{Look, Watcher, file_system};
use super::{Keeper, Keeping, REQUESTS_MAX, Surroundings, write};
use crate::config::{self, Checked, Sources};
use crate::domain::failure::Failure;
use crate::domain::impact::Impact;
use crate::domain::notice::Notice;
use crate::domain::project::Configuration;
use crate::domain::reload::{Rejected, ReloadPolicy, Standing, Watching};
use crate::domain::snapshot::{Cause, InForce, Snapshot, VersionPlan};
use crate::domain::text::capital;
use crate::domain::untrusted::UntrustedText;
use crate::history::snapshots::NewSnapshot;
use crate::history::{History, HistoryError};
use crate::operations::Refusal;
use crate::operations::configuration::NOTHING_ROLLED_BACK;
use crate::operations::recorder::history_failure;

/// What dockmaster starts with.
pub struct Beginning {
    /// The configuration in force.
    pub configuration: latest::Receiver<Arc<Configuration>>,
    /// The way to whoever keeps it.
    pub keeper: Keeper,
    /// Whoever keeps it; to be run.
    pub keeping: Keeping,
}

/// A configuration that can be in force.
pub(super) struct Found {
    pub(super) sources: Sources,
    pub(super) configuration: Configuration,
    /// What is doubtful in it.
    pub(super) warnings: Vec<String>,
    /// What is wrong with the files, where a kept version stands in for them, and what is told of it as a hash.
    rejected: Option<(Vec<String>, blake3::Hash)>,
    /// The hash of the files, where it is pinned over them.
    pinned_over: Option<blake3::Hash>,
}

/// Reads the configuration, or takes the version that was in force last where that cannot be.
///
/// # Errors
/// Neither is there: all problems, in words.
pub async fn begin(path: PathBuf, around: Surroundings) -> Result<Beginning, String> {
    let path = std::path::absolute(&path).unwrap_or(path);
    let last = go_on_writing(&path, &around.history).await.map_err(|e| format!("{e}."))?;
    let found = find(&path, last.as_ref())?;
    for warning in &found.warnings {
        tracing::warn!("{}: {warning}", path.display());
    }
    let now = (around.clock)();
    let snapshot = version(&around, &found, last).await;
    let (rejected, told) = found.rejected.clone().map(|(problems, told)| (Rejected { at: now, problems }, told)).unzip();
    if let Some((rejected, told)) = rejected.as_ref().zip(told) {
        for problem in &rejected.problems {
            tracing::error!("{}: {problem}", path.display());
        }
        tracing::error!("{} was rejected; the version that was in force last is", path.display());
        // Whatever is started again and again says it once.
        if around.history.rejection_is_new(Some(told.to_hex().to_string())).await.unwrap_or(true) {
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
        pinned: found.pinned_over.is_some(),
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
    let keeper = Keeper { asks, standing: stands, parts: parts.clone(), hot: around.hot, asked_for: Arc::default() };
    let (sources, pinned_over) = (found.sources, found.pinned_over);
    let keeping = Keeping { path, around, sources, in_force, standing, pinned_over, told, watcher, parts, asks: asked };
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

/// What going back to a version would do, for somebody who only looks.
///
/// # Errors
/// There is no such version, or nothing that can be in force.
pub(in super::super) async fn plan_only(path: &Path, history: &History, to: i64) -> Result<VersionPlan, Refusal> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let last = history.snapshot_last().await.map_err(|e| history_failure(NOTHING_ROLLED_BACK.to_owned(), &e))?;
    let next = "Mend it, and ask again.";
    let Found { sources, configuration, pinned_over, .. } =
        find(&path, last.as_ref()).map_err(|why| Failure::new(NOTHING_ROLLED_BACK, why, next))?;
    Here { path: &path, history, sources: &sources, configuration: &configuration, pinned_over }.plan(to).await
}

/// The version that was in force last. Where somebody was ended while they wrote it into the files, that is brought to its end.
async fn go_on_writing(path: &Path, history: &History) -> Result<Option<(Snapshot, InForce)>, HistoryError> {
    let last = history.snapshot_last().await?;
    let Some((snapshot, _)) = last.as_ref().filter(|(_, in_force)| in_force.writing) else { return Ok(last) };
    let pinned_over = match write::resume(path, &Sources::from(&snapshot.files)) {
        Ok(()) => None,
        Err(why) => {
            tracing::error!(why, "a version could not be written into the configuration's files, and is pinned over them");
            Some(hash_of(&read(path)).to_hex().to_string())
        }
    };
    tracing::warn!(version = snapshot.line.id, "going back to a version was cut off, and is done now");
    history.snapshot_in_force(InForce { snapshot: snapshot.line.id, pinned_over, writing: false }).await?;
    history.snapshot_last().await
}

fn read(path: &Path) -> Result<Sources, String> {
    Sources::read(path).map_err(|error| format!("{error}."))
}

fn find(path: &Path, last: Option<&(Snapshot, InForce)>) -> Result<Found, String> {
    let read = read(path);
    let hash = hash_of(&read);
    if let Some((snapshot, in_force)) = last {
        let pinned_over = in_force.pinned_over.as_ref().and_then(|hash| blake3::Hash::from_hex(hash).ok());
        // With these files that version was in force, and stays so, though its directories may have gone since.
        let stays = match pinned_over {
            Some(pinned) => pinned == hash || !is_whole(&read),
            None => in_force.writing || snapshot.hash == hash.to_hex().as_str(),
        };
        if let Some(found) = kept(snapshot).filter(|_| stays) {
            return Ok(Found { pinned_over, ..found });
        }
    }
    let problems: Vec<String> = match read {
        Ok(sources) => match config::check_here(&sources, &config::on_disk) {
            Checked { configuration: Some(configuration), warnings, .. } => {
                let warnings = warnings.iter().map(ToString::to_string).collect();
                return Ok(Found { sources, configuration, warnings, rejected: None, pinned_over: None });
            }
            Checked { problems, .. } => problems.iter().map(ToString::to_string).collect(),
        },
        Err(why) => vec![why],
    };
    let told = told(hash, &problems);
    let instead = last.and_then(|(snapshot, _)| Some(Found { rejected: Some((problems.clone(), told)), ..kept(snapshot)? }));
    instead.ok_or_else(|| {
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
pub(super) fn kept(snapshot: &Snapshot) -> Option<Found> {
    let sources = Sources::from(&snapshot.files);
    // Its directories may have gone since; then it is in force all the same, as it would be had dockmaster run on.
    let seen = config::check_here(&sources, &config::on_disk);
    let unseen = if seen.configuration.is_some() { None } else { Some(config::check_here(&sources, &config::unseen)) };
    let warnings = seen.problems.iter().chain(&seen.warnings).map(ToString::to_string).collect();
    let checked = unseen.unwrap_or(seen);
    Some(Found { sources, configuration: checked.configuration?, warnings, rejected: None, pinned_over: None })
}

/// The number of the version that was found, which is kept where it is new.
async fn version(around: &Surroundings, found: &Found, last: Option<(Snapshot, InForce)>) -> Option<i64> {
    let hash = found.sources.hash().to_hex().to_string();
    if let Some((Snapshot { line, .. }, in_force)) = last.as_ref().filter(|(snapshot, _)| snapshot.hash == hash) {
        if in_force.pinned_over.is_some() && found.pinned_over.is_none() {
            unpinned(&around.history, line.id).await;
        }
        return Some(line.id);
    }
    let before = last.and_then(|(snapshot, _)| kept(&snapshot));
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

/// How it is watched in the end.
pub(super) fn pieces(watcher: &Watcher, because: String, why_not: Option<String>) -> (Watching, String) {
    match why_not {
        Some(why_not) => (watcher.way(), format!("events cannot be had ({})", UntrustedText::from(why_not))),
        None => (watcher.way(), because),
    }
}
