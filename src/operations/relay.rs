//! Steps that end dockmaster's own container.
//!
//! Nobody can replace the container that they run in. Whoever comes to such a step starts a helper: another container of
//! the same image with the same mounts, which outlives this one. The helper waits until this dockmaster has let go of the
//! data directory, takes the steps, lets go as well, and stays to watch. The dockmaster that comes up takes the directory,
//! goes on with what is left of the plan, and reports. Where it does not come up, the helper stops it and undoes everything,
//! so that the one from before comes up and reports. What each may do follows from the journal alone (`recovery`).

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::deploy;
use super::evidence::failure_of;
use super::recorder::history_failure;
use super::runner::Job;
use super::tools::Tools;
use crate::domain::container::{Container, State};
use crate::domain::event::Event;
use crate::domain::failure::{Failure, LINES_MAX};
use crate::domain::outcome::Outcome;
use crate::domain::plan::{Plan, Step};
use crate::domain::project::{Project, ProjectName, ServiceName};
use crate::domain::request::Kind;
use crate::domain::status::Busy;
use crate::domain::untrusted::UntrustedText;
use crate::engine::docker::EngineError;
use crate::engine::own;
use crate::history::HistoryError;
use crate::history::lock::HelperLock;

/// The label of helpers: the name of the data directory that they work for.
const LABEL: &str = "dockmaster.helper";
/// How long a helper may take until it is there.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How often is looked.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often helpers may be tried for one operation: one on the way there, one on the way back, and one more.
const HELPERS_MAX: usize = 3;
/// How long operations of other projects may take until they end.
const OTHERS_LIMIT: Duration = Duration::from_secs(1_800);
/// How long an engine that does not answer is waited for.
pub(super) const ENGINE_PATIENCE: Duration = Duration::from_secs(90);
/// How often it is looked for helpers that are done.
const REMOVE_EVERY: Duration = Duration::from_secs(15);

/// Looks at a plan that would end dockmaster itself: says so in it, or refuses it.
///
/// # Errors
/// Nobody would be left to go on.
pub(super) async fn consider(tools: &Tools, plan: &mut Plan, containers: &[Container]) -> Result<(), Failure> {
    let Some(own) = &tools.own else { return Ok(()) };
    let ours = containers.iter().find(|c| c.id == own.container && plan.steps.iter().any(|step| step.ends(&c.service)));
    let Some(ours) = ours else { return Ok(()) };
    let what = format!("{} would end dockmaster itself.", plan.kind().verb());
    let itself = format!("{} of {} is the container that dockmaster runs in", ours.service, plan.request.project());
    if plan.kind() == Kind::Stop {
        let why = format!("{itself}: nobody would be left to start it again from here.");
        return Err(Failure::new(what, why, "Do it from a shell, with docker-compose in its own directory."));
    }
    let mounts = tools.docker.mounts(&own.container).await.map_err(|e| e.failure(&*what))?.unwrap_or_default();
    // The helper looks where we were told to look, and goes on from there to where the data was moved.
    if let Some(gone) = [&tools.data, &tools.told].into_iter().find(|path| own::on_host(&mounts, path).is_none()) {
        let why = format!("{itself}, and {} is not mounted into it: it would be gone, and nobody could go on.", UntrustedText::path(&gone));
        return Err(Failure::new(what, why, "Mount a directory of the host, or a volume, there (docs/INSTALL.md), and ask again."));
    }
    plan.warnings.push(format!("{itself}: a helper takes its place meanwhile, and the dockmaster that comes up reports here."));
    Ok(())
}

/// The service of a project that dockmaster itself is, where a step ends it.
///
/// # Errors
/// The engine does not answer: such a step is not begun, since nobody knows whom it would end.
pub(super) async fn ended_by(job: &Job, step: &Step) -> Result<Option<ServiceName>, Failure> {
    if !matches!(step, Step::Remove { .. } | Step::Up { .. } | Step::Stop { .. } | Step::Restart { .. }) {
        return Ok(None);
    }
    let until = Instant::now() + ENGINE_PATIENCE;
    loop {
        match own_service(&job.tools, &job.project).await {
            Ok(own) => return Ok(own.filter(|service| step.ends(service))),
            Err(error) if Instant::now() >= until || job.undoing.get().is_none() => {
                return Err(error.failure("It is not known whether this would end dockmaster itself."));
            }
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// The service of a project that dockmaster itself is, where it is one.
///
/// # Errors
/// The engine does not answer.
pub(super) async fn own_service(tools: &Tools, project: &Project) -> Result<Option<ServiceName>, EngineError> {
    let Some(own) = &tools.own else { return Ok(None) };
    let containers = tools.containers(project).await?;
    Ok(containers.into_iter().find(|c| c.id == own.container).map(|c| c.service))
}

/// The last step of a plan that a helper takes, from the one on at which it was called: the last that concerns dockmaster.
pub(super) fn last_step(plan: &Plan, from: usize, service: &ServiceName) -> usize {
    let starts = |step: &Step| matches!(step, Step::Start { services } if services.contains(service));
    plan.steps.iter().rposition(|step| step.ends(service) || starts(step)).map_or(from, |last| last.max(from))
}

/// Before the first step that touches anything of a plan that ends dockmaster itself: nothing more is begun on other
/// projects, and what runs there is waited for. It would be cut off.
///
/// # Errors
/// Something ran for too long, or it was cancelled meanwhile.
pub(super) async fn make_way(job: &Job, step: &Step) -> Result<(), Failure> {
    if step.leaves_production_alone() || job.way_is_clear.swap(true, Ordering::Relaxed) || job.tools.own.is_none() {
        return Ok(());
    }
    let what = format!("{} was left as it is.", job.project.name);
    let own = own_service(&job.tools, &job.project).await.map_err(|e| e.failure(&*what))?;
    if !own.is_some_and(|own| job.plan.steps.iter().any(|step| step.ends(&own))) {
        return Ok(());
    }
    match clear_way(job).await {
        Ok(()) => Ok(()),
        Err((project, busy)) => {
            let why = format!("A {} of {project} was still running, which would have been cut off.", busy.what);
            Err(Failure::new(what, why, "Ask again when it is done."))
        }
    }
}

/// Lets nothing more begin on other projects, until the job is gone.
pub(super) fn keep_way_clear(job: &Job) {
    let busy = Busy { what: "replacement of dockmaster itself".to_owned(), who: "dockmaster".into(), since: (job.tools.clock)() };
    job.way_is_clear.store(true, Ordering::Relaxed);
    drop(job.way.set(job.tools.registry.close(busy)));
}

/// Waits until nothing runs but this; gives up with what still does.
async fn clear_way(job: &Job) -> Result<(), (ProjectName, Busy)> {
    let (tools, until) = (&job.tools, Instant::now() + OTHERS_LIMIT);
    keep_way_clear(job);
    let mut told = false;
    while let Some((project, busy)) = tools.registry.other_than(&job.project.name) {
        if job.ends_watching().is_cancelled() || Instant::now() >= until {
            return Err((project, busy));
        }
        if !std::mem::replace(&mut told, true) {
            job.recorder.line(&format!("waits for the {} of {project}", busy.what));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Hands a step over to a helper, and asks this dockmaster to end: whoever called does nothing more. `why` is what is being
/// undone.
///
/// # Errors
/// There is no helper. The step was not begun.
pub(super) async fn hand_over(job: &Job, at: usize, service: ServiceName, why: Option<Outcome>) -> Result<(), Failure> {
    let what = format!("{service} was left as it is: it is dockmaster itself.");
    let unread = |e: HistoryError| history_failure(&*what, &e);
    if job.way.get().is_none() && clear_way(job).await.is_err() {
        tracing::warn!(operation = job.operation, "what runs on other projects is cut off, so that production can be put back");
    }
    let known = job.tools.history.operation(job.operation).await.map_err(unread)?;
    let times = known.and_then(|record| record.handed_over).map_or(0, |handed| handed.times);
    // The one that made us watches us, and takes back what we give up: it knows the history as it was before us.
    let helper = if why.is_some() && times > 0 && HelperLock::is_held(&job.tools.data) {
        None
    } else if times >= HELPERS_MAX {
        let why = format!("{times} helpers have tried it.");
        return Err(Failure::new(what, why, "Do it from a shell, with docker-compose in its own directory."));
    } else {
        Some(start_helper(job, times, &what).await?)
    };
    if why.is_none() && matches!(job.plan.steps.get(at), Some(Step::Up { .. })) {
        let confirmed = deploy::is_as_confirmed(job, &what).await;
        if let Err(failure) = confirmed {
            discard(&job.tools, helper.as_deref()).await;
            return Err(failure);
        }
    }
    // Kept before we let go of the data directory: without it a helper does nothing.
    let event = Event::HandedOver { step: at, service, why: why.map(Box::new) };
    if let Err(error) = job.tools.history.operation_event(job.operation, event, (job.tools.clock)()).await {
        discard(&job.tools, helper.as_deref()).await;
        return Err(unread(error));
    }
    tracing::info!(operation = job.operation, helper, "dockmaster itself is replaced: a helper goes on");
    job.hand_over();
    job.tools.stopping.cancel();
    Ok(())
}

/// Starts a helper and waits until it is there. Returns its id.
async fn start_helper(job: &Job, times: usize, what: &str) -> Result<String, Failure> {
    let tools = &job.tools;
    let bug = || Failure::new(what, "It runs in no container.", "Report this as a bug.");
    let own = tools.own.as_ref().ok_or_else(bug)?;
    let operation = job.operation.to_string();
    let command: Vec<String> = [&own.program[..1], &["finish".into(), "--operation".into(), operation], &own.program[1..]].concat();
    let name = format!("dockmaster-helper-{}-{}-{}", tools.instance, job.operation, times + 1);
    let label = (LABEL.to_owned(), tools.instance.clone());
    // One that has just done its part in an earlier operation is soon gone.
    let until = Instant::now() + START_LIMIT;
    while HelperLock::is_held(&tools.data) && Instant::now() < until {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    // One that nobody handed anything over to: whoever started it was killed.
    for left in tools.docker.labelled(&format!("{LABEL}={}", tools.instance)).await.map_err(|e| e.failure(what))? {
        discard(tools, Some(&left.id)).await;
    }
    if HelperLock::is_held(&tools.data) {
        return Err(Failure::new(what, "Another helper is still at work.", "Ask again in a while."));
    }
    let made = tools.docker.stand_in(&own.container, &name, label, command).await;
    let helper = made.map_err(|e| e.failure(what))?;
    let until = Instant::now() + START_LIMIT;
    while !HelperLock::is_held(&tools.data) {
        let seen = tools.docker.container(&helper).await.ok().flatten();
        let gone = seen.as_ref().is_none_or(|c| c.state != State::Running);
        if gone || Instant::now() >= until {
            let failure = match &seen {
                Some(container) => {
                    failure_of(tools.log(container, LINES_MAX, None, false), &job.project.name, container, "not at work").await
                }
                None => Failure::new(what, "The helper is gone.", "Ask again."),
            };
            discard(tools, Some(&helper)).await;
            let why = format!("The helper that was to take over did not come up. {}", failure.why);
            return Err(Failure { what: what.to_owned(), why, next: "See dockmaster's log, and ask again.".to_owned(), ..failure });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(helper)
}

async fn discard(tools: &Tools, helper: Option<&str>) {
    if let Some(helper) = helper
        && let Err(error) = tools.docker.remove(helper).await
    {
        tracing::warn!(%error, helper, "a helper was left behind");
    }
}

/// Removes helpers that are done, until there is none left.
pub async fn remove_helpers(tools: Tools) {
    let mut said = false;
    loop {
        match tools.docker.labelled(&format!("{LABEL}={}", tools.instance)).await {
            Ok(helpers) if helpers.is_empty() => return,
            Ok(helpers) => {
                // One that is to be started again is `Restarting` meanwhile.
                for helper in helpers.iter().filter(|c| matches!(c.state, State::Exited | State::Dead)) {
                    tracing::info!(helper = helper.name, code = helper.exit_code, "a helper is done");
                    discard(&tools, Some(&helper.id)).await;
                }
            }
            // That it is away is said elsewhere, and once.
            Err(error) if !std::mem::replace(&mut said, true) => tracing::warn!(%error, "whether helpers are left is not known"),
            Err(_) => {}
        }
        tokio::time::sleep(REMOVE_EVERY).await;
    }
}
