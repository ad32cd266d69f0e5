//! Going back to what was before: the steps, and what they need to know after a crash, when nothing is left but what was kept.

use std::collections::BTreeMap;

use super::super::recorder::history_failure;
use super::super::runner::{Job, StepResult};
use super::places::release_tree;
use super::releases::untag;
use super::steps::on_disk;
use crate::domain::failure::Failure;
use crate::domain::manifest::{Changes, Entry, Manifest, TreePath};
use crate::domain::outcome::ServiceOutcome;
use crate::domain::plan::{Action, Plan, Step};
use crate::domain::project::ServiceName;
use crate::domain::request::Kind;
use crate::domain::text::count;
use crate::files::rules::Rules;
use crate::files::scan;
use crate::files::transfer::{self, Promotion};
use crate::files::whole;
use crate::history::HistoryError;
use crate::history::releases::{Move, ReleaseRecord};

/// What an operation goes back to.
#[derive(Debug)]
pub(in super::super) struct Undoing {
    /// What was before.
    pub(super) base: ReleaseRecord,
    /// What was to come.
    target: ReleaseRecord,
}

impl Undoing {
    /// Reads both releases of a move.
    ///
    /// # Errors
    /// They cannot be read, or one of them is gone.
    pub(in super::super) async fn of(job: &Job, going: Move) -> Result<Self, Failure> {
        let what = "It could not be undone.";
        let read = async |number| {
            let read = job.tools.history.release(job.project.name.clone(), number).await;
            let gone = || Failure::new(what, format!("Release {number} is gone from the history."), "Mend production by hand.");
            read.map_err(|e| history_failure(what, &e))?.ok_or_else(gone)
        };
        Ok(Self { base: read(going.base).await?, target: read(going.target).await? })
    }

    /// The number of the release that is gone back to.
    pub(in super::super) fn base(&self) -> i64 {
        self.base.number
    }

    /// The images of some services, as they were before.
    pub(super) fn images(&self, services: &[ServiceName]) -> BTreeMap<ServiceName, String> {
        self.base.images.iter().filter(|(s, _)| services.contains(s)).map(|(s, i)| (s.clone(), i.clone())).collect()
    }
}

/// The steps that undo a plan of which services were touched, or not yet.
pub(in super::super) fn undo_steps(plan: &Plan, base: i64, services_touched: bool) -> Vec<Step> {
    let having = |action| plan.services.iter().filter(move |s| s.action == action).map(|s| s.service.clone()).collect::<Vec<_>>();
    let mut steps = vec![Step::Return { release: base }];
    if services_touched {
        let mut made = having(Action::Create);
        // What had other numbers of containers has them again.
        let mut remade = [Action::Recreate, Action::Scale, Action::Remove].map(having).concat();
        let is_made = |service: &ServiceName| plan.services.iter().any(|s| s.service == *service && s.action == Action::Create);
        let restarts = plan.steps.iter().filter_map(|step| if let Step::Restart { services } = step { Some(services) } else { None });
        // In their order: what follows another one goes after it.
        let restarts: Vec<Vec<ServiceName>> = restarts
            .map(|services| services.iter().filter(|s| !is_made(s)).cloned().collect())
            .filter(|s: &Vec<_>| !s.is_empty())
            .collect();
        // Of what we make ourselves, that which was made is told from what was there.
        let ours = |service: &ServiceName| plan.services.iter().any(|s| s.service == *service && s.made_from.is_some());
        remade.extend(made.extract_if(.., |service| ours(service)));
        // What was not up before is no worse for not being up again.
        let was_up = |service: &ServiceName| !plan.services.iter().any(|s| s.service == *service && s.ails.is_some());
        let ran = [Action::Recreate, Action::Scale, Action::Restart].map(having).concat();
        let verified: Vec<ServiceName> = ran.into_iter().filter(was_up).collect();
        let some = |services: Vec<ServiceName>, step: fn(Vec<ServiceName>) -> Step| (!services.is_empty()).then(|| step(services));
        steps.extend(some(made, |services| Step::Remove { services }));
        steps.extend(some(remade, |services| Step::Up { services }));
        steps.extend(restarts.into_iter().map(|services| Step::Restart { services }));
        steps.extend(some(verified, |services| Step::Verify { services }));
    }
    steps
}

/// Brings the files that production had before back into it, edits by hand included.
pub(in super::super) async fn put_back(job: &Job) -> StepResult {
    let what = "The files could not be brought back.";
    let bug = || Failure::new(what, "Nothing says what was there before.", "Report this as a bug.");
    let (undoing, production) = (job.undoing.get().ok_or_else(bug)?, job.project.production.as_ref().ok_or_else(bug)?);
    let (base, target) = (&undoing.base, &undoing.target);
    let mut owned = target.owned.clone();
    owned.to_mut().extend(base.manifest.0.iter().map(|(path, entry)| (path.clone(), entry.clone())));
    let (root, paths) = (production.clone(), owned.clone());
    let seen = tokio::task::spawn_blocking(move || scan::look_at(&root, &paths)).await;
    let unread = |why: String| Failure::new(what, format!("Production cannot be read: {why}."), "Mend that and roll back.");
    let seen = seen.map_err(|died| unread(died.to_string()))?.map_err(|error| unread(error.to_string()))?;
    let goes_back = |path: &TreePath| goes_back(&job.plan, base, target, &seen, path);
    let part = |all: &Manifest| all.0.iter().filter(|(path, _)| goes_back(path)).map(|(p, e)| (p.clone(), e.clone())).collect::<Manifest>();
    let (seen_part, new, owned) = (part(&seen), part(&base.manifest), part(&owned));
    let changes = Changes::between(&seen_part, &new, Some(&owned));
    let rules = Rules::none();
    let stage = release_tree(&job.tools, &job.project.name, base.number);
    let promotion = Promotion {
        stage: &stage,
        production,
        changes: &changes,
        new: &new,
        owned: Some(&owned),
        rules: &rules,
        written: &job.plan.written,
        mark: &job.mark,
        // Read whole: nobody knows what was interrupted.
        known: None,
    };
    let mut line = |line: &str| job.recorder.line(line);
    let promoted = transfer::promote(&promotion, &mut line).await.map_err(|failure| Failure { what: what.to_owned(), ..failure })?;
    Ok(Some(format!("{} copied, {} deleted", promoted.copied, promoted.deleted)))
}

/// Whether a path goes back to what it was. What a service may write to does only where the operation touched it and nobody has
/// since: what is there is what was there before, or what came.
fn goes_back(plan: &Plan, base: &ReleaseRecord, target: &ReleaseRecord, seen: &Manifest, path: &TreePath) -> bool {
    if !plan.written.iter().any(|root| path.is_within(root)) {
        return true;
    }
    let (before, came, there) = (base.manifest.0.get(path), target.manifest.0.get(path), seen.0.get(path));
    let is_directory = [before, came, there].into_iter().flatten().all(Entry::is_directory);
    // Directories come with what is in them, and an empty one that is in the way of a file makes way.
    if is_directory {
        return there.is_none() || before.is_none();
    }
    let touched = plan.files.as_ref().is_some_and(|files| files.touched().any(|touched| touched == path));
    touched && there.is_none_or(|there| there.is_directory() || Some(there) == before || Some(there) == came)
}

/// Removes what the engine made in production for mounts that came to nothing: directories that were not there before and are
/// empty. Left where it cannot be done: it harms nobody.
pub(in super::super) async fn remove_made_directories(job: &Job) {
    let Some(production) = job.project.production.clone().filter(|_| !job.plan.absent.is_empty()) else { return };
    let absent = job.plan.absent.clone();
    let removed = on_disk(move || whole::remove_empty("Empty directories were left in production.", &production, &absent)).await;
    if let Err(failure) = removed {
        tracing::warn!(operation = job.operation, why = %failure, "directories that the engine made were left");
    }
}

/// Removes the containers of services that there are to be none of, or going back, that there were none of before.
pub(in super::super) async fn remove(job: &Job, services: &[ServiceName]) -> StepResult {
    let what = match job.goes_back() {
        true => "What the release added could not be removed.",
        false => "Not every container that there is to be none of was removed.",
    };
    let containers = job.tools.containers(&job.project).await.map_err(|e| e.failure(what))?;
    let mut removed = 0;
    for container in containers.iter().filter(|c| services.contains(&c.service)) {
        if container.may_run() {
            job.tools.stop(container, job.project.restart.stop_timeout).await.map_err(|e| e.failure(what))?;
        }
        job.tools.remove(container).await.map_err(|e| e.failure(what))?;
        removed += 1;
    }
    if !job.goes_back() {
        let line = |service: &ServiceName| ServiceOutcome { service: service.to_string(), good: true, seen: "removed".to_owned() };
        job.note(services.iter().map(line).collect());
    }
    Ok(Some(count(removed, "container")))
}

/// Keeps that production holds what it held before, and forgets the release that did not make it.
pub(in super::super) async fn stay(job: &Job, going: Move) -> Result<(), HistoryError> {
    let (tools, project) = (&job.tools, &job.project.name);
    let forgotten = (job.plan.kind() == Kind::Deploy).then_some(going.target);
    if let Some(number) = forgotten {
        untag(tools, project, number).await?;
    }
    tools.history.move_undone(project.clone(), going.base, forgotten, (tools.clock)()).await
}
