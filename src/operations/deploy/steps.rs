//! The steps that bring files and images: stage, pull, build, promote, record.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::recorder::history_failure;
use super::super::runner::{Job, StepResult, Stop};
use super::super::tools::{last_message, process_failure};
use super::up::configuration_changed;
use super::{Facts, overlay};
use crate::domain::failure::Failure;
use crate::domain::manifest::Changes;
use crate::domain::plan::{Plan, Step};
use crate::domain::project::ServiceName;
use crate::domain::text::{count, listing};
use crate::engine::compose::{Files, override_file, own_tag};
use crate::files::scan::scan;
use crate::files::transfer;
use crate::history::operations::ReleaseRecord;
use crate::process::{self, Invocation};

/// How long images may take to build or to be pulled.
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);

/// What planning found out. A deploy's steps without it are a mistake of ours, said rather than unwound.
pub(super) fn facts(job: &Job) -> Result<&Facts, Stop> {
    job.deploy
        .as_ref()
        .ok_or_else(|| Failure::new("The step could not be taken.", "It belongs to a deploy.", "Report this as a bug.").into())
}

fn stage_directory(job: &Job) -> PathBuf {
    job.tools.place(&job.project.name).join("stage")
}

fn production_environment(facts: &Facts) -> Option<PathBuf> {
    Some(facts.production_root.join(".env")).filter(|p| p.is_file())
}

/// Copies the workspace aside, and compares the copy with what was confirmed.
pub(in super::super) async fn stage(job: &Job, step: &Step) -> StepResult {
    let staged = copy_aside(job, step).await;
    if staged.is_err() {
        // A part of a copy is good for nothing, and on a full disk it takes the room in which the outcome is kept.
        if let Err(error) = tokio::fs::remove_dir_all(stage_directory(job)).await {
            tracing::warn!(%error, "a copy that came to nothing was left in the data directory");
        }
    }
    staged
}

async fn copy_aside(job: &Job, step: &Step) -> StepResult {
    let facts = facts(job)?;
    let stage = stage_directory(job);
    let mut line = |line: &str| job.recorder.line(line);
    transfer::stage(&facts.workspace_root, &stage, &facts.workspace, &job.mark, &mut line, &job.cancel_for(step)).await?;
    let (root, rules, cancel) = (stage.clone(), facts.rules.clone(), job.cancel_for(step));
    let scanned = tokio::task::spawn_blocking(move || scan(&root, &rules, &cancel)).await;
    let what = "The workspace could not be copied aside.";
    let staged = match scanned {
        Ok(Ok(scan)) => scan.manifest,
        Ok(Err(error)) => return Err(Failure::new(what, format!("The copy cannot be read: {error}."), "Ask again.").into()),
        Err(died) => return Err(Failure::new(what, format!("Reading the copy failed: {died}."), "Ask again.").into()),
    };
    if staged != facts.workspace {
        let changes = Changes::between(&facts.workspace, &staged, None);
        let differing: Vec<_> = changes.touched().chain(&changes.kept).collect();
        return Err(Failure::new(
            "The workspace changed while it was copied.",
            format!("What was copied is not what you confirmed: {}.", listing(differing, 5)),
            "Ask for the deploy again when nobody writes to the workspace.",
        )
        .into());
    }
    Ok(Some(count(facts.workspace.files(), "file")))
}

/// Pulls images that are not there.
pub(in super::super) async fn pull(job: &Job, step: &Step, services: &[ServiceName]) -> StepResult {
    let facts = facts(job)?;
    let what = "The images could not be pulled.";
    let files = Files {
        name: &facts.compose.name,
        root: &facts.production_root,
        files: &facts.compose.files,
        directory: &facts.production_root,
        environment: None,
    };
    // As it was resolved for the plan: Compose would look for every `env_file`, and production may not have them yet.
    let invocation = job.tools.compose(what, files.pull(services), BUILD_LIMIT, &job.mark)?.stdin(facts.config.resolved.to_bytes());
    images(job, step, what, invocation).await?;
    Ok(None)
}

/// Builds images under the release's own tags, so that the tags which production uses stay where they are.
pub(in super::super) async fn build(job: &Job, step: &Step, services: &[ServiceName]) -> StepResult {
    let facts = facts(job)?;
    let what = "The images could not be built.";
    let stage = stage_directory(job);
    let tags: BTreeMap<ServiceName, String> = services.iter().map(|s| (s.clone(), own_tag(&job.project.name, s, facts.release))).collect();
    let override_path = job.tools.place(&job.project.name).join("build.json");
    std::fs::write(&override_path, override_file(&tags))
        .map_err(|e| Failure::new(what, format!("{} cannot be written: {e}.", override_path.display()), "Make room and ask again."))?;
    let environment = production_environment(facts);
    let files = Files {
        name: &facts.compose.name,
        root: &stage,
        files: &facts.compose.files,
        directory: &stage,
        environment: environment.as_deref(),
    };
    let invocation = job.tools.compose(what, files.build(&override_path, services), BUILD_LIMIT, &job.mark)?;
    images(job, step, what, invocation).await?;
    for (service, tag) in &tags {
        let image = job.tools.docker.image_id(tag).await.map_err(|e| e.failure(what))?;
        let image = image
            .ok_or_else(|| Failure::new(what, format!("Compose said that it built {service}, and {tag} is not there."), "Ask again."))?;
        if let Some(inputs) = facts.inputs(service) {
            let now = (job.tools.clock)();
            let kept = job.tools.history.build_record(job.project.name.clone(), image, inputs.to_owned(), now).await;
            kept.map_err(|e| history_failure(what, &e))?;
        }
    }
    Ok(Some(count(tags.len(), "image")))
}

async fn images(job: &Job, step: &Step, what: &str, invocation: Invocation) -> Result<(), Stop> {
    let invocation = invocation.stdout_lines();
    let mut line = |line: &str| job.recorder.line(line);
    let finished = process::run(&invocation, &mut line, &job.cancel_for(step)).await.map_err(|e| process_failure(what, e))?;
    if finished.code != Some(0) {
        let why = format!("{}.", last_message(&finished));
        let failure = Failure::new(what, why, "Mend it in the workspace and deploy again.").with_lines(finished.tail);
        return Err(failure.into());
    }
    Ok(())
}

/// Brings the staged files into production.
pub(in super::super) async fn promote(job: &Job) -> StepResult {
    let facts = facts(job)?;
    let changes =
        job.plan.files.as_ref().ok_or_else(|| Failure::new("Nothing was promoted.", "The plan has no files.", "Report this as a bug."))?;
    // A build can take minutes, in which somebody may have mended something in production by hand.
    if !unchanged(facts, changes).await {
        let failure = Failure::new(
            "The files were not brought into production.",
            "Somebody changed files in production since you confirmed.",
            "Ask again: the new plan shows what they changed and what becomes of it.",
        );
        return Err(Stop::unchanged(failure, true));
    }
    let what = "The files were not brought into production.";
    let environment = production_environment(facts);
    let files = Files {
        name: &facts.compose.name,
        root: &facts.workspace_root,
        files: &facts.compose.files,
        directory: &facts.production_root,
        environment: environment.as_deref(),
    };
    let config = overlay::resolve(&job.tools, what, &job.project.name, &files, &facts.rules).await;
    if !config.map_err(|failure| Stop::unchanged(failure, true))?.hash_is(&facts.configuration) {
        return Err(Stop::unchanged(configuration_changed(what), true));
    }
    let mut line = |line: &str| job.recorder.line(line);
    let stage = stage_directory(job);
    let promotion = facts.promotion(&stage, changes, &job.mark);
    let promoted = match transfer::promote(&promotion, &mut line).await {
        Ok(promoted) => promoted,
        Err(failure) => {
            return Err(Stop::unchanged(failure, unchanged(facts, changes).await));
        }
    };
    Ok(Some(format!("{} copied, {} deleted", promoted.copied, promoted.deleted)))
}

/// Whether production is as it was when this was planned, as far as a release touches it: what else lives there may well
/// be written to. What cannot be read is not known to be unchanged.
async fn unchanged(facts: &Facts, changes: &Changes) -> bool {
    let (root, rules) = (facts.production_root.clone(), facts.rules.clone());
    let scanned = tokio::task::spawn_blocking(move || scan(&root, &rules, &tokio_util::sync::CancellationToken::new())).await;
    let Ok(Ok(scan)) = scanned else { return false };
    let touched = facts.workspace.0.keys().chain(&changes.deleted);
    touched.into_iter().all(|path| scan.manifest.0.get(path) == facts.production.0.get(path))
}

/// Records the release.
pub(in super::super) async fn record(job: &Job) -> StepResult {
    let facts = facts(job)?;
    let what = "The release could not be recorded.";
    let compose = compose_files(&facts.workspace_root, &stage_directory(job), &facts.compose.files)
        .map_err(|e| Failure::new(what, format!("Its compose files cannot be read: {e}."), "Deploy again."))?;
    let release = ReleaseRecord {
        number: facts.release,
        operation: job.operation,
        at: (job.tools.clock)(),
        manifest: facts.workspace.clone(),
        compose,
    };
    let kept = job.tools.history.release_record(job.project.name.clone(), release).await;
    let number = kept.map_err(|e| history_failure(what, &e))?;
    Ok(Some(format!("release {number}")))
}

/// The compose files as they were staged; as they are in the workspace where an exclude keeps them out of the stage.
fn compose_files(workspace: &Path, stage: &Path, files: &[String]) -> std::io::Result<Vec<(String, String)>> {
    let read = |file: &String| {
        let staged = std::fs::read_to_string(stage.join(file));
        Ok((file.clone(), staged.or_else(|_| std::fs::read_to_string(workspace.join(file)))?))
    };
    files.iter().map(read).collect()
}

impl Facts {
    fn promotion<'a>(&'a self, stage: &'a Path, changes: &'a Changes, mark: &'a str) -> transfer::Promotion<'a> {
        let owned = self.last.as_ref().map(|r| &r.manifest);
        transfer::Promotion { stage, production: &self.production_root, changes, new: &self.workspace, owned, rules: &self.rules, mark }
    }

    /// Whether the files could be brought into production as it is now: better refused before a build than after it.
    ///
    /// # Errors
    /// What is in the way.
    pub(in super::super) async fn check(&self, plan: &Plan) -> Result<(), Failure> {
        match &plan.files {
            Some(changes) if !changes.is_empty() => {
                let checked = transfer::check(&self.promotion(Path::new(""), changes, "")).await;
                // Nothing was tried yet, so that nothing "could not be brought".
                checked.map_err(|failure| Failure { what: format!("{} cannot be deployed.", plan.request.project()), ..failure })
            }
            _ => Ok(()),
        }
    }

    /// The hash of what a service's image is built from.
    pub(super) fn inputs(&self, service: &ServiceName) -> Option<&str> {
        self.build_of(service).map(|b| b.inputs.as_str())
    }

    /// The services whose images this plan builds, with their images' names in production.
    pub(super) fn images(&self, built: &BTreeSet<ServiceName>) -> Vec<(ServiceName, String)> {
        built.iter().filter_map(|s| Some((s.clone(), self.definitions.get(s)?.image.clone()))).collect()
    }
}
