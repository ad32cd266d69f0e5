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
use super::desk::Desk;
use super::recorder::history_failure;
use super::runner::Job;
use super::tools::Tools;
use super::verify::failure_of;
use crate::domain::container::{Container, Health, State};
use crate::domain::event::Event;
use crate::domain::failure::{Failure, LINES_MAX};
use crate::domain::outcome::Outcome;
use crate::domain::plan::{Plan, Step};
use crate::domain::project::{Project, ServiceName, Source};
use crate::domain::request::Kind;
use crate::domain::text::duration;
use crate::engine::docker::EngineError;
use crate::engine::own;
use crate::history::lock::HelperLock;
use crate::history::{HistoryError, relay};

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
/// How long the next dockmaster may be down, between two of its starts.
const DOWN_PATIENCE: Duration = Duration::from_secs(15);
/// How often the engine may start it again until it is given up.
const RESTARTS_MAX: i64 = 3;
/// How long it may take beyond twice the time that services have to become healthy.
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
pub(super) async fn ended_by(job: &Job, step: &Step) -> Option<ServiceName> {
    // An engine that does not answer takes no step either.
    own_service(&job.tools, &job.project.source).await.ok().flatten().filter(|service| step.ends(service))
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

/// Hands a step over to a helper, and asks this dockmaster to end: whoever called does nothing more. `why` is what is being
/// undone.
///
/// # Errors
/// There is no helper. The step was not begun.
pub(super) async fn hand_over(job: &Job, at: usize, service: ServiceName, why: Option<Outcome>) -> Result<(), Failure> {
    let what = format!("{} was left as it is: it is dockmaster itself.", service);
    let unread = |e: HistoryError| history_failure(&*what, &e);
    let known = job.tools.history.operation(job.operation).await.map_err(unread)?;
    let times = known.and_then(|record| record.handed_over).map_or(0, |handed| handed.times);
    if times >= HELPERS_MAX {
        let why = format!("{times} helpers have tried it.");
        return Err(Failure::new(what, why, "Do it from a shell, with docker-compose in its own directory."));
    }
    wait_for_others(job, &what).await?;
    if why.is_none() {
        deploy::tag_coming(job).await.map_err(|e| e.failure(&*what))?;
    }
    let helper = start_helper(job, times, &what).await?;
    // Kept before we let go: until then the helper does nothing.
    let event = Event::HandedOver { step: at, service, why: why.map(Box::new) };
    if let Err(error) = job.tools.history.operation_event(job.operation, event, (job.tools.clock)()).await {
        discard(&job.tools, &helper).await;
        return Err(unread(error));
    }
    tracing::info!(operation = job.operation, helper, "dockmaster itself is replaced: a helper goes on");
    job.hand_over();
    job.tools.stopping.cancel();
    Ok(())
}

/// What runs on other projects would be cut off: it is waited for.
async fn wait_for_others(job: &Job, what: &str) -> Result<(), Failure> {
    let until = Instant::now() + OTHERS_LIMIT;
    let mut told = false;
    while let Some((project, busy)) = job.tools.registry.other_than(&job.project.name) {
        if job.ends_watching().is_cancelled() || Instant::now() >= until {
            let why = format!("A {} of {project} was still running, which would have been cut off.", busy.what);
            return Err(Failure::new(what, why, "Ask again when it is done."));
        }
        if !std::mem::replace(&mut told, true) {
            job.recorder.line(&format!("waits for the {} of {project}", busy.what));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
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
    let made = tools.docker.stand_in(&own.container, &name, label, command).await;
    let helper = made.map_err(|e| e.failure(what))?;
    let until = Instant::now() + START_LIMIT;
    while !HelperLock::is_held(&tools.data) {
        let seen = tools.docker.container(&helper).await.ok().flatten();
        let gone = seen.as_ref().is_none_or(|c| c.state != State::Running);
        if gone || Instant::now() >= until {
            let failure = match &seen {
                Some(container) => failure_of(tools, &job.project.name, container, "not at work").await,
                None => Failure::new(what, "The helper is gone.", "Ask again."),
            };
            discard(tools, &helper).await;
            let why = format!("The helper that was to take over did not come up. {}", failure.why);
            return Err(Failure { what: what.to_owned(), why, next: "See dockmaster's log, and ask again.".to_owned(), ..failure });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(helper)
}

async fn discard(tools: &Tools, helper: &str) {
    if let Err(error) = tools.docker.remove(helper).await {
        tracing::warn!(%error, helper, "a helper was left behind");
    }
}

/// Removes helpers that are done, until there is none left.
pub async fn remove_helpers(tools: Tools) {
    loop {
        match tools.docker.labelled(&format!("{LABEL}={}", tools.instance)).await {
            Ok(helpers) if helpers.is_empty() => return,
            Ok(helpers) => {
                for helper in helpers.iter().filter(|c| c.state != State::Running && !c.restarts_itself) {
                    tracing::info!(helper = helper.name, code = helper.exit_code, "a helper is done");
                    discard(&tools, &helper.id).await;
                }
            }
            Err(error) => tracing::warn!(%error, "whether helpers are left is not known"),
        }
        tokio::time::sleep(DOWN_PATIENCE).await;
    }
}

/// What a helper does beside taking steps.
impl Desk {
    /// Waits until the dockmaster that came up has brought an operation to its end, or handed it over to another helper.
    /// Where it does not, says why it is given up.
    pub async fn watch_successor(&self, operation: i64, database: &Path) -> Option<Failure> {
        let (project, service, times) = self.handed(operation).await?;
        let began = Instant::now();
        let limit = project.deploy.health_timeout * 2 + project.deploy.stability + MORE_TIME;
        let mut down: Option<Instant> = None;
        loop {
            match relay::progress(database, operation).await {
                Ok(seen) if seen.ended || seen.handed_over > times => return None,
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "how far the next dockmaster is cannot be read"),
            }
            if let Ok(all) = self.tools.docker.containers(&project.source).await {
                let seen = all.iter().find(|c| c.service == service);
                if seen.is_some_and(|c| c.state == State::Running) {
                    down = None;
                } else {
                    down.get_or_insert_with(Instant::now);
                }
                let why = gone_wrong(seen, down.map_or(Duration::ZERO, |since| since.elapsed()));
                let late = (began.elapsed() >= limit).then(|| format!("not done after {}", duration(millis(limit))));
                if let Some(why) = why.or(late) {
                    return Some(self.given_up(&project, &service, seen, &why).await);
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn given_up(&self, project: &Project, service: &ServiceName, seen: Option<&Container>, why: &str) -> Failure {
        let failure = match seen {
            Some(container) => failure_of(&self.tools, &project.name, container, why).await,
            None => Failure::new("", format!("It is {why}."), ""),
        };
        let mut lines = failure.lines;
        lines.truncate(LINES_MAX);
        let what = format!("The new dockmaster did not come up ({service} of {}).", project.name);
        Failure::new(what, failure.why, "Mend it, and ask again.").with_lines(lines)
    }

    /// Ends the dockmaster that came up, so that its data directory is free.
    pub async fn stop_successor(&self, operation: i64) {
        for container in self.successors(operation).await {
            if let Err(error) = self.tools.docker.stop(&container.id, Some(STOP_WITHIN)).await {
                tracing::error!(%error, container = container.name, "the dockmaster that did not come up could not be stopped");
            }
        }
    }

    /// Starts the dockmaster again that was ended, where nothing else did.
    pub async fn start_successor(&self, operation: i64) {
        for container in self.successors(operation).await.iter().filter(|c| c.state != State::Running) {
            if let Err(error) = self.tools.docker.start(&container.id).await {
                tracing::error!(%error, container = container.name, "dockmaster could not be started again");
            }
        }
    }

    async fn successors(&self, operation: i64) -> Vec<Container> {
        let Some((project, service, _)) = self.handed(operation).await else { return Vec::new() };
        let all = self.tools.docker.containers(&project.source).await;
        let all = all.inspect_err(|error| tracing::error!(%error, "the dockmaster that came up cannot be looked for"));
        all.unwrap_or_default().into_iter().filter(|c| c.service == service).collect()
    }

    /// Whose container an operation replaces, and how many helpers there were.
    async fn handed(&self, operation: i64) -> Option<(Project, ServiceName, usize)> {
        let record = self.tools.history.operation(operation).await;
        let record = record.inspect_err(|error| tracing::error!(%error, operation, "cannot be read")).ok()??;
        let project = self.configuration().projects.get(record.plan.request.project()).cloned()?;
        let handed = record.handed_over?;
        Some((project, handed.service, handed.times))
    }

    /// Whether an operation is not ended, so that the next dockmaster has something to go on with.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn is_unfinished(&self, operation: i64) -> Result<bool, HistoryError> {
        Ok(self.tools.history.operation(operation).await?.is_some_and(|record| record.ended.is_none()))
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
