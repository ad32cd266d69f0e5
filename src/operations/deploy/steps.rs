//! The steps that bring files and images: stage, pull, build, promote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::super::recorder::history_failure;
use super::super::runner::{Job, StepResult, Stop};
use super::super::tools::{process_failure, refusal};
use super::Facts;
use super::declared::{Composed, declared};
use super::places::{release_directory, release_tree};
use super::production::environment;
use super::trees::hashes;
use super::up::configuration_changed;
use crate::domain::failure::Failure;
use crate::domain::manifest::{Changes, Entry, Manifest, TreePath};
use crate::domain::plan::{Action, Plan, Pull, ServicePlan, Step};
use crate::domain::project::ServiceName;
use crate::domain::text::count;
use crate::engine::compose::{BuildPlaces, Hidden};
use crate::files::cache::{HashCache, Hashes};
use crate::files::scan::look;
use crate::files::{store, transfer};
use crate::process::{self, Invocation};

/// How long what was resolved for the plan counts as resolved just now.
const FRESH: Duration = Duration::from_secs(5);
/// How long images may take to build or to be pulled.
pub(super) const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);

/// What planning found out. A deploy's steps without it are a mistake of ours, said rather than unwound.
pub(super) fn facts(job: &Job) -> Result<&Facts, Stop> {
    job.deploy
        .as_ref()
        .ok_or_else(|| Failure::new("The step could not be taken.", "It belongs to a deploy.", "Report this as a bug.").into())
}

/// What Compose knows of what planning found out.
pub(super) fn composed(facts: &Facts) -> Result<&Composed, Stop> {
    let none = || Failure::new("The step could not be taken.", "It belongs to a compose project.", "Report this as a bug.");
    facts.declared.composed.as_ref().ok_or_else(|| none().into())
}

/// The tree of the release that comes.
fn coming(job: &Job, facts: &Facts) -> PathBuf {
    release_tree(&job.tools, &job.project.name, facts.release)
}

/// Copies the workspace aside, and compares the copy with what was confirmed.
pub(in super::super) async fn stage(job: &Job, step: &Step) -> StepResult {
    let facts = facts(job)?;
    let staged = copy_aside(job, step, facts).await;
    if staged.is_err() {
        // A part of a copy is good for nothing, and on a full disk it takes the room in which the outcome is kept.
        let left = release_directory(&job.tools, &job.project.name, facts.release);
        if let Err(failure) = on_disk(move || store::remove(&left)).await {
            tracing::warn!(why = %failure, "a copy that came to nothing was left in the data directory");
        }
    }
    staged
}

/// Work on the disk that blocks.
pub(super) async fn on_disk(work: impl FnOnce() -> Result<(), Failure> + Send + 'static) -> Result<(), Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|died| Err(Failure::new("Work on files broke off.", format!("It died: {died}."), "Report this as a bug.")))
}

async fn copy_aside(job: &Job, step: &Step, facts: &Facts) -> StepResult {
    let base: Vec<(PathBuf, Manifest)> =
        facts.current.iter().map(|c| (release_tree(&job.tools, &job.project.name, c.release.number), c.release.staged.clone())).collect();
    let mut line = |line: &str| job.recorder.line(line);
    let tree = coming(job, facts);
    let cancel = job.cancel_for(step);
    let staged = store::stage(&facts.source_root, &tree, &facts.staged, &base, &job.mark, &mut line, &cancel).await?;
    Ok(Some(format!("{}, {} of them copied", count(facts.staged.files(), "file"), staged.copied)))
}

/// Builds images under the release's own tags, so that the tags which production uses stay where they are.
pub(in super::super) async fn build(job: &Job, step: &Step, services: &[ServiceName]) -> StepResult {
    let facts = facts(job)?;
    let what = "The images could not be built.";
    let stage = coming(job, facts);
    let tags: BTreeMap<ServiceName, String> =
        services.iter().map(|s| (s.clone(), job.tools.own_tag(&job.project.name, s, facts.release))).collect();
    let environment = environment(&facts.directory);
    let composed = composed(facts)?;
    let files = composed.files(&facts.directory, &facts.directory, environment.as_deref());
    let resolved = &composed.config.resolved;
    // As it was resolved for the plan, and without what services run with: their `env_file`s are not staged where they are excluded.
    let places = BuildPlaces { production: &facts.directory, stage: &stage };
    let sections = resolved.to_build(&places, &|service| job.tools.own_tag(&job.project.name, service, facts.release));
    let invocation = job.tools.compose(what, files.build(services), BUILD_LIMIT, &job.mark)?.stdin(sections);
    images(job, step, what, invocation, &resolved.hidden()).await?;
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

/// Pulls or builds; `hidden` is left out of what is printed.
pub(super) async fn images(job: &Job, step: &Step, what: &str, invocation: Invocation, hidden: &Hidden) -> Result<(), Stop> {
    let invocation = invocation.stdout_lines();
    let mut line = |line: &str| job.recorder.line(&hidden.hide(line));
    let mut finished = process::run(&invocation, &mut line, &job.cancel_for(step)).await.map_err(|e| process_failure(what, e))?;
    if finished.code != Some(0) {
        finished.tail.iter_mut().for_each(|line| *line = hidden.hide(line));
        return Err(refusal(what, &finished, "Mend it in the workspace and deploy again.").into());
    }
    Ok(())
}

/// Brings the staged files into production.
pub(in super::super) async fn promote(job: &Job) -> StepResult {
    let facts = facts(job)?;
    let changes =
        job.plan.files.as_ref().ok_or_else(|| Failure::new("Nothing was promoted.", "The plan has no files.", "Report this as a bug."))?;
    // A build can take minutes, in which somebody may have mended something in production by hand.
    let known = known(job).await;
    if !unchanged(job, facts, changes, &known).await {
        let failure = Failure::new(
            "The files were not brought into production.",
            "Somebody changed files in production since you confirmed.",
            "Ask again: the new plan shows what they changed and what becomes of it.",
        );
        return Err(Stop::unchanged(failure, true));
    }
    if facts.since.elapsed() > FRESH {
        is_still_configured(job, facts).await?;
    }
    let mut line = |line: &str| job.recorder.line(line);
    let stage = coming(job, facts);
    let promotion = facts.promotion(&stage, changes, &job.plan.written, &job.mark);
    let promotion = transfer::Promotion { known: Some((&known, (job.tools.clock)())), ..promotion };
    let promoted = match transfer::promote(&promotion, &mut line).await {
        Ok(promoted) => promoted,
        Err(failure) => return Err(Stop::unchanged(failure, unchanged(job, facts, changes, &known).await)),
    };
    Ok(Some(format!("{} copied, {} deleted", promoted.copied, promoted.deleted)))
}

/// Compares the configuration as it is by now with the one that was confirmed: a build may have taken long.
async fn is_still_configured(job: &Job, facts: &Facts) -> Result<(), Stop> {
    let what = "The files were not brought into production.";
    let declared = declared(&job.tools, &job.project, &facts.source_root, &facts.directory, &facts.excluded, what).await;
    if declared.map_err(|failure| Stop::unchanged(failure, true))?.configuration == facts.declared.configuration {
        return Ok(());
    }
    Err(Stop::unchanged(configuration_changed(what), true))
}

/// What the project's files are known to hold. Nothing is learned here that is kept.
async fn known(job: &Job) -> Arc<HashCache> {
    let path = hashes(&job.tools, &job.project);
    let loaded = tokio::task::spawn_blocking(move || HashCache::load(&path)).await;
    Arc::new(loaded.unwrap_or_else(|_| HashCache::disabled()))
}

/// Whether production is as it was when this was planned, as far as a release touches it: what else lives there may well
/// be written to. What cannot be read is not known to be unchanged.
async fn unchanged(job: &Job, facts: &Facts, changes: &Changes, known: &Arc<HashCache>) -> bool {
    let (root, cache, now) = (facts.production_root.clone(), Arc::clone(known), (job.tools.clock)());
    let (workspace, production, rules) = (facts.workspace.clone(), facts.production.clone(), facts.rules.clone());
    let (deleted, written) = (changes.deleted.clone(), job.plan.written.clone());
    let same = tokio::task::spawn_blocking(move || {
        // What the rules leave alone was not looked at then. A release that is gone back to may hold such paths.
        let seen = |path: &&TreePath| production.0.contains_key(*path) || !rules.excluded(path, false) && !rules.excluded(path, true);
        // Nor do the modes of directories count that a service writes to.
        let is_own = |path: &TreePath| workspace.0.get(path).is_some_and(Entry::is_directory) && written.iter().any(|w| path.is_within(w));
        let mut paths: Vec<&TreePath> = workspace.0.keys().chain(&deleted).filter(seen).filter(|path| !is_own(path)).collect();
        // Neighbours are found in the same directory.
        paths.sort_unstable();
        let never = tokio_util::sync::CancellationToken::new();
        let now = look(&root, &paths, Some(Hashes { cache: &cache, now }), &never);
        now.is_ok_and(|now| paths.iter().map(|path| production.0.get(*path)).eq(now.iter().map(Option::as_ref)))
    });
    same.await.unwrap_or(false)
}

impl Facts {
    fn promotion<'a>(&'a self, stage: &'a Path, changes: &'a Changes, written: &'a [TreePath], mark: &'a str) -> transfer::Promotion<'a> {
        let (production, owned) = (&*self.production_root, self.owned());
        transfer::Promotion { stage, production, changes, new: &self.workspace, owned, rules: &self.rules, written, mark, known: None }
    }

    /// Whether the files could be brought into production as it is now: better refused before a build than after it.
    ///
    /// # Errors
    /// What is in the way.
    pub(in super::super) async fn check(&self, plan: &Plan) -> Result<(), Failure> {
        match &plan.files {
            Some(changes) if !changes.is_empty() => {
                let checked = transfer::check(&self.promotion(Path::new(""), changes, &plan.written, "")).await;
                // Nothing was tried yet, so that nothing "could not be brought".
                checked.map_err(|failure| Failure { what: self.what.clone(), ..failure })
            }
            _ => Ok(()),
        }
    }

    /// The hash of what a service's image is built from.
    pub(super) fn inputs(&self, service: &ServiceName) -> Option<&str> {
        self.build_of(service).map(|b| b.inputs.as_str())
    }

    /// The services that will run an image which has a tag of this release, with the names of these images in production:
    /// what the plan builds, and what an earlier release ran.
    pub(super) fn images(&self, plan: &Plan) -> BTreeMap<ServiceName, String> {
        let built = plan.steps.iter().filter_map(|s| if let Step::Build { services } = s { Some(services) } else { None }).flatten();
        let is_pulled = |s: &Step| if let Step::Pull { services } = s { services.clone() } else { Vec::new() };
        // One that production had under the same name has got a tag of this release.
        let renewed = |service: &ServiceName| self.services.iter().any(|s| s.name == *service && s.pull == Pull::Newer);
        let pulled: Vec<ServiceName> = plan.steps.iter().flat_map(is_pulled).filter(renewed).collect();
        let kept = self.old.iter().flat_map(|old| old.images.keys());
        let is_made = |s: &ServicePlan| matches!(s.action, Action::Create | Action::Recreate | Action::Scale);
        let recreated = |service: &&ServiceName| plan.affected().any(|s| s.service == **service && is_made(s));
        built
            .chain(&pulled)
            .chain(kept.filter(recreated))
            .filter_map(|s| Some((s.clone(), self.declared.definitions.get(s)?.image.clone())))
            .collect()
    }
}
