//! Steps that end dockmaster's own container.
//!
//! Nobody can replace the container that they run in. Whoever comes to such a step starts a helper: another container of
//! the same image with the same mounts, which outlives this one. The helper waits until this dockmaster has let go of the
//! data directory, takes the steps, lets go as well, and stays to watch. The dockmaster that comes up takes the directory,
//! goes on with what is left of the plan, and reports. Where it does not come up, the helper stops it and undoes everything,
//! so that the one from before comes up and reports. What each may do follows from the journal alone (`recovery`).

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::deploy;
use super::recorder::history_failure;
use super::runner::Job;
use super::tools::Tools;
use super::verify::failure_of;
use crate::domain::container::{Container, Health, State};
use crate::domain::event::Event;
use crate::domain::failure::Failure;
use crate::domain::outcome::{Outcome, Verdict};
use crate::domain::plan::{Plan, Step};
use crate::domain::project::{Configuration, Project, ProjectName, ServiceName, Source};
use crate::domain::request::Kind;
use crate::domain::status::Busy;
use crate::domain::text::duration;
use crate::engine::docker::{Docker, EngineError};
use crate::engine::own;
use crate::history::HistoryError;
use crate::history::lock::HelperLock;
use crate::history::relay::{self, Progress};

/// The label of helpers: the name of the data directory that they work for.
const LABEL: &str = "dockmaster.helper";
/// How long a helper may take until it is there.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often helpers may be tried for one operation: one on the way there, one on the way back, and one more.
const HELPERS_MAX: usize = 3;
/// How long operations of other projects may take until they end.
const OTHERS_LIMIT: Duration = Duration::from_secs(1_800);
/// How long an engine that does not answer is waited for.
const ENGINE_PATIENCE: Duration = Duration::from_secs(90);
/// How long the next dockmaster may be down, between two of its starts.
const DOWN_PATIENCE: Duration = Duration::from_secs(15);
/// How often the engine may start it again until it is given up.
const RESTARTS_MAX: i64 = 3;
/// How long it may be at nothing beyond twice the time that services have to become healthy.
const MORE_TIME: Duration = Duration::from_secs(120);
/// How long it has to end when it is given up.
const STOP_WITHIN: Duration = Duration::from_secs(10);

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
    if own::on_host(&mounts, &tools.data).is_none() {
        let why = format!("{itself}, and {} is not mounted into it: it would be gone, and nobody could go on.", tools.data.display());
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
    let until = Instant::now() + ENGINE_PATIENCE;
    loop {
        match own_service(&job.tools, &job.project.source).await {
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
pub(super) async fn own_service(tools: &Tools, source: &Source) -> Result<Option<ServiceName>, EngineError> {
    let Some(own) = &tools.own else { return Ok(None) };
    let containers = tools.docker.containers(source).await?;
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
    if step.leaves_production_alone() || job.way.get().is_some() || job.tools.own.is_none() {
        return Ok(());
    }
    let what = format!("{} was left as it is.", job.project.name);
    let own = own_service(&job.tools, &job.project.source).await.map_err(|e| e.failure(&*what))?;
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

/// Waits until nothing runs but this; gives up with what still does.
async fn clear_way(job: &Job) -> Result<(), (ProjectName, Busy)> {
    let (tools, until) = (&job.tools, Instant::now() + OTHERS_LIMIT);
    let busy = Busy { what: "replacement of dockmaster itself".to_owned(), who: "dockmaster".to_owned(), since: (tools.clock)() };
    let way = tools.registry.close(busy);
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
    // Until this job is gone.
    drop(job.way.set(way));
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
    let made = tools.docker.stand_in(&own.container, &name, label, command).await;
    let helper = made.map_err(|e| e.failure(what))?;
    let until = Instant::now() + START_LIMIT;
    while !HelperLock::is_held(&tools.data) {
        let seen = tools.docker.container(&helper).await.ok().flatten();
        let gone = seen.as_ref().is_none_or(|c| c.state != State::Running);
        if gone || Instant::now() >= until {
            let failure = match &seen {
                Some(container) => failure_of(&tools.docker, &job.project.name, container, "not at work").await,
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
            Err(error) => tracing::warn!(%error, "whether helpers are left is not known"),
        }
        tokio::time::sleep(DOWN_PATIENCE).await;
    }
}

/// The dockmaster that comes up after a helper has done its part, as that one sees it.
#[derive(Debug)]
pub struct NextOne {
    docker: Docker,
    project: Project,
    service: ServiceName,
}

impl NextOne {
    /// The one that goes on with an operation; none where its project is no longer configured.
    pub fn of(docker: Docker, configuration: &Configuration, seen: &Progress) -> Option<Self> {
        let project = configuration.projects.values().find(|p| p.name.as_str() == seen.project)?.clone();
        Some(Self { docker, project, service: seen.service.clone() })
    }

    /// Waits until it has brought the operation to its end, or handed it to another helper. Where it does not, or hands it
    /// back, says how the operation came out.
    pub async fn watch(&self, database: &Path, begun: &Progress) -> Option<Outcome> {
        let limit = self.project.deploy.health_timeout * 2 + self.project.deploy.stability + MORE_TIME;
        let (mut events, mut moved, mut down) = (begun.events, Instant::now(), None);
        loop {
            match relay::progress(database, Some(begun.operation)).await {
                Ok(Some(seen)) if seen.ended => return None,
                Ok(Some(seen)) if seen.why.is_some() || seen.handed_over > begun.handed_over => return seen.why,
                Ok(Some(seen)) if seen.events > events => (events, moved) = (seen.events, Instant::now()),
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "how far the next dockmaster is cannot be read"),
            }
            if let Ok(all) = self.containers().await {
                let seen = all.first();
                if seen.is_some_and(|c| c.state == State::Running) {
                    down = None;
                } else {
                    down.get_or_insert_with(Instant::now);
                }
                let why = gone_wrong(seen, down.map_or(Duration::ZERO, |since| since.elapsed()));
                let late = (moved.elapsed() >= limit).then(|| format!("at nothing for {}", duration(millis(limit))));
                if let Some(why) = why.or(late) {
                    return Some(self.given_up(seen, &why).await);
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn containers(&self) -> Result<Vec<Container>, EngineError> {
        let mut all = self.docker.containers(&self.project.source).await?;
        all.retain(|c| c.service == self.service);
        Ok(all)
    }

    async fn given_up(&self, seen: Option<&Container>, why: &str) -> Outcome {
        let (project, service) = (&self.project.name, &self.service);
        let failure = match seen {
            Some(container) => failure_of(&self.docker, project, container, why).await,
            None => Failure::new("", format!("It is {why}."), ""),
        };
        let what = format!("The new dockmaster did not come up ({service} of {project}).");
        let failure = Failure::new(what, failure.why, "Mend it, and ask again.").with_lines(failure.lines);
        let now = format!("{service} was stopped, and started again: see /docker_status {project}.");
        Outcome { verdict: Verdict::Failed, now, failure: Some(failure), services: Vec::new() }
    }

    /// Ends it, so that its data directory is free.
    pub async fn stop(&self) {
        for container in self.containers().await.unwrap_or_default() {
            if let Err(error) = self.docker.stop(&container.id, Some(STOP_WITHIN)).await {
                tracing::error!(%error, container = container.name, "the dockmaster that did not come up could not be stopped");
            }
        }
    }

    /// Sees to it that a dockmaster runs, whatever became of the operation: whether one does.
    pub async fn ensure_running(&self) -> bool {
        let until = Instant::now() + ENGINE_PATIENCE;
        loop {
            let all = self.containers().await.unwrap_or_default();
            if all.iter().any(|c| matches!(c.state, State::Running | State::Restarting)) {
                return true;
            }
            for container in &all {
                if let Err(error) = self.docker.start(&container.id).await {
                    tracing::error!(%error, container = container.name, "dockmaster could not be started again");
                }
            }
            if Instant::now() >= until {
                return false;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Why the dockmaster that came up is given up, by its container and for how long that has not been running.
fn gone_wrong(seen: Option<&Container>, down: Duration) -> Option<String> {
    match seen {
        Some(c) if c.restarts >= RESTARTS_MAX => Some(format!("restarted {} times, last code {}", c.restarts, c.exit_code)),
        Some(c) if c.state == State::Running && c.health == Health::Unhealthy => Some("unhealthy".to_owned()),
        _ if down < DOWN_PATIENCE => None,
        Some(c) => Some(format!("ended with code {}", c.exit_code)),
        None => Some("without a container".to_owned()),
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(state: State, health: Health, restarts: i64) -> Container {
        Container {
            id: "id".into(),
            name: "dockmaster".into(),
            service: ServiceName::new("dockmaster").unwrap(),
            state,
            health,
            health_output: None,
            started: None,
            finished: None,
            exit_code: 2,
            error: String::new(),
            oom_killed: false,
            restarts,
            restarts_itself: true,
            image: "dockmaster".into(),
            image_id: "sha256:1".into(),
            ports: Vec::new(),
            labels: [].into(),
            tty: false,
        }
    }

    #[test]
    fn one_that_comes_up_slowly_is_waited_for_and_one_that_does_not_is_given_up() {
        let of = |state, health, restarts| Some(container(state, health, restarts));
        let long = DOWN_PATIENCE;
        for (seen, down, why) in [
            (of(State::Running, Health::Starting, 0), Duration::ZERO, None),
            (of(State::Running, Health::Healthy, 2), Duration::ZERO, None),
            (of(State::Running, Health::Unhealthy, 0), Duration::ZERO, Some("unhealthy")),
            (of(State::Running, Health::None, 3), Duration::ZERO, Some("restarted 3 times, last code 2")),
            (of(State::Exited, Health::None, 0), Duration::ZERO, None),
            (of(State::Exited, Health::None, 0), long, Some("ended with code 2")),
            (None, Duration::ZERO, None),
            (None, long, Some("without a container")),
        ] {
            assert_eq!(gone_wrong(seen.as_ref(), down).as_deref(), why, "{seen:?}");
        }
    }
}
