//! Releases: production kept as it is, a release on its way, what it ran once it arrived, and what is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::Ordering;

use super::super::ending::unchanged;
use super::super::recorder::history_failure;
use super::super::runner::{Job, StepResult, Stop};
use super::super::tools::Tools;
use super::places::{release_directory, release_tree};
use super::steps::{facts, on_disk};
use super::undo::stay;
use crate::domain::failure::Failure;
use crate::domain::manifest::TreePath;
use crate::domain::plan::{Action, Step};
use crate::domain::project::{Project, ProjectName, ServiceName, Source};
use crate::domain::request::Kind;
use crate::domain::text::count;
use crate::engine::docker::EngineError;
use crate::files::store;
use crate::history::HistoryError;
use crate::history::releases::{Move, ReleaseKind, ReleaseRecord};
use crate::untrusted::{self, CONFIGURATION_MAX, ReadError};

/// Keeps production as a release of its own: its files as far as the coming release could touch them, and the images that
/// its services run.
pub(in super::super) async fn keep(job: &Job, step: &Step, number: i64) -> StepResult {
    let kept = kept(job, step, number).await;
    if kept.is_err() {
        sweep(&job.tools, &job.project.name).await;
    }
    kept
}

async fn kept(job: &Job, step: &Step, number: i64) -> StepResult {
    let facts = facts(job)?;
    let (tools, project) = (&job.tools, &job.project.name);
    let what = "Production could not be kept as it is.";
    let tree = |number| release_tree(tools, project, number);
    let mut base: Vec<_> = facts.current.iter().map(|c| (tree(c.release.number), c.release.staged.clone())).collect();
    base.push((tree(facts.release), facts.staged.clone()));
    let mut line = |line: &str| job.recorder.line(line);
    let staged = store::stage(&facts.production_root, &tree(number), &facts.kept, &base, &job.mark, &mut line, &job.cancel_for(step)).await;
    staged.map_err(|failure| Failure { what: what.to_owned(), ..failure })?;
    let names = facts.declared.composed.iter().flat_map(|composed| &composed.source.files);
    let (names, root): (Vec<String>, _) = (names.cloned().collect(), facts.production_root.clone());
    let read = move |name: String| Some((untrusted::read_text(&root.join(&name), CONFIGURATION_MAX).ok()?, name));
    let compose = untrusted::off_runtime(move || names.into_iter().filter_map(read).collect::<Vec<_>>()).await;
    let compose = compose.map_err(|error| Failure::new(what, format!("Production {error}."), "Check its disk and deploy again."))?;
    // What is overwritten since somebody named it is kept as what production made of it.
    let is_ours = |path: &TreePath| !facts.preserved.overwritten.contains(path);
    let ours = |(path, _): &(&TreePath, &_)| is_ours(path) && facts.owned().is_some_and(|owned| owned.0.contains_key(*path));
    let owned = facts.kept.0.iter().filter(ours).map(|(p, e)| (p.clone(), e.clone())).collect();
    let record = ReleaseRecord {
        number,
        kind: ReleaseKind::Kept,
        operation: job.operation,
        at: (tools.clock)(),
        owned: facts.preserved.put(&owned, facts.current.as_ref().map(|c| &c.owned)),
        manifest: facts.kept.clone(),
        staged: facts.kept.clone(),
        compose: compose.into_iter().map(|(text, name)| (name, text)).collect(),
        images: tag_running(tools, &job.project, number).await.map_err(|e| e.failure(what))?,
        environment: facts.environment.clone(),
        changed: 0,
        unset: facts.declared.unset_before.clone(),
    };
    tools.history.release_add(project.clone(), record).await.map_err(|e| history_failure(what, &e))?;
    Ok(Some(count(facts.kept.files(), "file")))
}

/// Gives the images that a project's services run tags of a release, so that they outlive whatever their names come to
/// mean. Returns the names.
async fn tag_running(tools: &Tools, project: &Project, number: i64) -> Result<BTreeMap<ServiceName, String>, EngineError> {
    let mut images = BTreeMap::new();
    if !matches!(project.source, Source::Compose(_)) {
        return Ok(images);
    }
    for container in tools.containers(project).await? {
        let own = tools.own_tag(&project.name, &container.service, number);
        match tools.docker.tag(&container.image_id, &own).await {
            Ok(()) => drop(images.insert(container.service.clone(), container.image.clone())),
            // A container outlives its image where somebody forces that; there is nothing left to keep then.
            Err(EngineError::Gone(_)) => tracing::warn!(container = container.name, "its image is gone and cannot be kept"),
            Err(other) => return Err(other),
        }
    }
    Ok(images)
}

/// Keeps that production is about to be touched, before it is.
pub(in super::super) async fn set_out(job: &Job) -> Result<(), Failure> {
    let what = "Production was not touched.";
    let unkept = |e: HistoryError| history_failure(what, &e);
    if job.tools.history.move_of(job.operation).await.map_err(unkept)?.is_some() {
        return Ok(());
    }
    let facts = facts(job).map_err(Stop::into_failure)?;
    let current = facts.current.as_ref().map(|c| c.release.number);
    let Some(base) = facts.keeps.or(current) else {
        return Err(Failure::new(what, "There is nothing to go back to.", "Report this as a bug."));
    };
    let new = match facts.old {
        Some(_) => None,
        None => Some(ReleaseRecord {
            number: facts.release,
            kind: ReleaseKind::Deploy,
            operation: job.operation,
            at: (job.tools.clock)(),
            owned: facts.puts(),
            manifest: facts.workspace.clone(),
            staged: facts.staged.clone(),
            compose: compose_files(facts, &release_tree(&job.tools, &job.project.name, facts.release))
                .await
                .map_err(|e| Failure::new(what, format!("The release's compose files cannot be read: {}.", e.reason()), "Deploy again."))?,
            images: facts.images(&job.plan),
            environment: facts.environment.clone(),
            changed: job.plan.files.as_ref().map_or(0, |f| f.touched().count()),
            unset: Some(facts.variables.unset.iter().cloned().collect()),
        }),
    };
    let going = Move { target: facts.release, base };
    job.tools.history.move_begin(job.project.name.clone(), job.operation, going, new).await.map_err(unkept)
}

/// The compose files as they were staged; as they are in the workspace where an exclude keeps them out of the stage.
async fn compose_files(facts: &super::Facts, tree: &Path) -> Result<Vec<(String, String)>, ReadError> {
    let (tree, source) = (tree.to_owned(), facts.source_root.clone());
    let names: Vec<String> = facts.declared.composed.iter().flat_map(|composed| &composed.source.files).cloned().collect();
    let read = move |file: String| {
        let staged = untrusted::read_text(&tree.join(&file), CONFIGURATION_MAX);
        Ok((staged.or_else(|_| untrusted::read_text(&source.join(&file), CONFIGURATION_MAX))?, file))
    };
    let read =
        untrusted::off_runtime(move || names.into_iter().map(read).collect::<Result<Vec<_>, ReadError>>()).await.and_then(|read| read)?;
    Ok(read.into_iter().map(|(text, file)| (file, text)).collect())
}

/// The release has arrived: what it runs is kept with it, and what is too old is forgotten.
pub(in super::super) async fn arrive(job: &Job) -> StepResult {
    let what = "The release could not be recorded.";
    let Some(number) = job.plan.release else {
        return Err(Failure::new(what, "The plan has no release.", "Report this as a bug.").into());
    };
    let (tools, project) = (&job.tools, &job.project.name);
    let unkept = |e: HistoryError| history_failure(what, &e);
    if brought_nothing(job, what).await? {
        // Nobody has to tell it from the one before, and no older one has to go for it.
        job.brought_nothing.store(true, Ordering::Relaxed);
        let going = tools.history.move_of(job.operation).await.map_err(unkept)?;
        if let Some(going) = going {
            stay(job, going).await.map_err(unkept)?;
        }
        sweep(tools, project).await;
        return Ok(Some("nothing changed, so there is no new release".to_owned()));
    }
    let images = tag_running(tools, &job.project, number).await.map_err(|e| e.failure(what))?;
    tools.history.release_images(project.clone(), number, images).await.map_err(unkept)?;
    tools.history.move_settle(project.clone(), number, (tools.clock)()).await.map_err(unkept)?;
    // The release is there; what could not be tidied up is tried again after the next one.
    if let Err(error) = forget_old(tools, &job.project).await {
        tracing::warn!(%error, project = %project, "old releases could not be forgotten");
    }
    Ok(Some(format!("release {number}")))
}

/// Whether a deploy has changed nothing: no file, and no container of what it was to make or remake.
async fn brought_nothing(job: &Job, what: &str) -> Result<bool, Failure> {
    let plan = &job.plan;
    let only_remakes = plan.affected().all(|s| matches!(s.action, Action::Recreate | Action::Start));
    let has_files = plan.files.as_ref().is_none_or(|files| !files.is_empty());
    let Some(facts) = job.deploy.as_ref() else { return Ok(false) };
    if plan.kind() != Kind::Deploy || has_files || !only_remakes {
        return Ok(false);
    }
    let now = job.tools.containers(&job.project).await.map_err(|e| e.failure(what))?;
    let remade = plan.services.iter().filter(|s| s.action == Action::Recreate).count();
    Ok(unchanged(plan, facts.containers(), &now).len() == remade)
}

async fn forget_old(tools: &Tools, project: &Project) -> Result<(), HistoryError> {
    let kept = tools.history.releases(project.name.clone()).await?;
    // What never ran takes no place of what can be gone back to.
    let (mut ran, mut failed) = (0, 0);
    for release in &kept {
        let counted = if release.ran { &mut ran } else { &mut failed };
        *counted += 1;
        if *counted > project.deploy.keep_releases && !release.current {
            forget(tools, &project.name, release.number).await?;
        }
    }
    sweep(tools, &project.name).await;
    Ok(())
}

/// Forgets a release: its row, the tags of its images, and with the next sweep its files.
async fn forget(tools: &Tools, project: &ProjectName, number: i64) -> Result<(), HistoryError> {
    untag(tools, project, number).await?;
    tools.history.release_forget(project.clone(), number).await
}

/// Takes a release's own tags off its images.
pub(super) async fn untag(tools: &Tools, project: &ProjectName, number: i64) -> Result<(), HistoryError> {
    let Some(release) = tools.history.release(project.clone(), number).await? else { return Ok(()) };
    for service in release.images.keys() {
        let own = tools.own_tag(project, service, number);
        if let Err(error) = tools.docker.untag(&own).await {
            tracing::warn!(%error, image = own, "a tag of a release that is forgotten could not be removed");
        }
    }
    Ok(())
}

/// Takes away the files of what is no release: a copy that came to nothing, or one that was forgotten. What cannot be
/// taken away is tried again the next time.
pub(in super::super) async fn sweep(tools: &Tools, project: &ProjectName) {
    let kept: BTreeSet<i64> = match tools.history.releases(project.clone()).await {
        Ok(releases) => releases.iter().map(|r| r.number).collect(),
        Err(error) => return tracing::warn!(%error, "what is no release cannot be told"),
    };
    let root = tools.place(project).join("releases");
    let entries = std::fs::read_dir(&root).into_iter().flatten().flatten();
    for entry in entries.filter(|e| e.file_name().to_str().and_then(|n| n.parse().ok()).is_some_and(|n: i64| !kept.contains(&n))) {
        let left = release_directory(tools, project, entry.file_name().to_str().and_then(|n| n.parse().ok()).unwrap_or(-1));
        if let Err(failure) = on_disk(move || store::remove(&left)).await {
            tracing::warn!(why = %failure, "files of a release that is forgotten were left");
        }
    }
}
