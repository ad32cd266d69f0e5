//! Starting and stopping a whole project by one call of Compose, which names no service: over the configuration of what takes
//! part, and of nothing else, so that it has no reason to touch the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::attempts::{PAUSE, announced, attempts};
use super::deploy;
use super::evidence::failed;
use super::lifecycle::{Act, containers_of, stopped};
use super::runner::{Job, StepResult, Stop};
use super::tools::{process_failure, refusal};
use super::verify::shown;
use crate::domain::container::{Container, Health, State};
use crate::domain::event::Progress;
use crate::domain::failure::Failure;
use crate::domain::outcome::ServiceOutcome;
use crate::domain::plan::{Action, layers};
use crate::domain::project::{ServiceName, Source};
use crate::domain::text::count;
use crate::domain::untrusted::UntrustedText;
use crate::engine::compose::{self, Files, Hidden, Resolved};
use crate::engine::passing::may_pass;
use crate::process::{self, Invocation, ProcessError};

/// How much longer than services may take to become healthy a start may take: making and starting containers.
const START_GRACE: Duration = Duration::from_secs(60);
/// The longest that a container which says so itself may take to stop.
const STOP_MAX: Duration = Duration::from_secs(600);
/// How much longer than containers may take to stop a stop may take.
const STOP_GRACE: Duration = Duration::from_secs(60);

/// Why a call of Compose failed.
pub(super) struct Refused {
    /// As it was said, values left out: to decide with.
    pub(super) message: String,
    /// The same in words for a person.
    pub(super) failure: Failure,
    /// Whether Compose itself says why.
    pub(super) by_compose: bool,
    /// Whether that is only because it was ended before its end.
    cut_short: bool,
}

/// Starts what is stopped and makes what is not there; what runs stays as it is.
pub(super) async fn start(job: &Job, services: &[ServiceName]) -> StepResult {
    let what = "Not everything was started.";
    let resolved = resolved(job, what).await?;
    deploy::remove_half_made(job).await.map_err(|e| e.failure(what))?;
    let containers = job.tools.containers(&job.project).await.map_err(|e| e.failure(what))?;
    let meant: Vec<&Container> = containers.iter().filter(|c| services.contains(&c.service)).collect();
    // A frozen container runs for the engine, which would refuse to start it.
    for container in meant.iter().filter(|c| c.state == State::Paused) {
        job.tools.docker.unpause(&container.id).await.map_err(|e| e.failure(what))?;
    }
    for container in &meant {
        job.recorder.service(&shown(container, &containers), Progress::Working, "starting");
    }
    let declared = resolved.declared();
    let needs = |service: &ServiceName| -> BTreeSet<ServiceName> {
        declared.get(service).map(|d| d.needs.keys().chain(&d.optional).cloned().collect()).unwrap_or_default()
    };
    // What is made is labelled with all that it needs.
    let made = job.plan.services.iter().filter(|s| s.action == Action::Create).flat_map(|s| needs(&s.service));
    let kept: BTreeSet<ServiceName> = services.iter().cloned().chain(made).collect();
    // Compose waits for what others ask of a service without a limit of its own.
    let depth = u32::try_from(layers(&kept, needs).len()).unwrap_or(u32::MAX);
    let limit = job.project.deploy.health_timeout.saturating_mul(depth) + START_GRACE;
    let invocation = invocation(job, what, |files| files.up_all(), &resolved.only(&kept), limit)?;
    match call(job, what, &invocation, &resolved.hidden(), job.ends_watching()).await {
        Ok(()) => Ok(Some(count(services.len(), "service"))),
        Err(refused) => Err(explained(job, what, services, refused).await),
    }
}

/// Stops what runs; nothing is removed.
pub(super) async fn stop(job: &Job, services: &[ServiceName]) -> StepResult {
    let what = "Not everything was stopped.";
    let resolved = resolved(job, what).await?;
    let meant = containers_of(job, Act::Stop, services).await?;
    for container in &meant {
        job.recorder.service(&shown(container, &meant), Progress::Working, "stopping");
    }
    let kept: BTreeSet<ServiceName> = services.iter().cloned().collect();
    let declared = resolved.declared();
    let needs = |service: &ServiceName| declared.get(service).map(|d| d.needs.keys().cloned().collect()).unwrap_or_default();
    let depth = u32::try_from(layers(&kept, needs).len()).unwrap_or(u32::MAX);
    let within = job.project.restart.stop_timeout;
    let limit = within.unwrap_or(STOP_MAX).saturating_mul(depth) + STOP_GRACE;
    // Never cancelled: the engine goes on with a stop that nobody waits for, and would end what was started again.
    let never = CancellationToken::new();
    let invocation = invocation(job, what, |files| files.stop_all(within), &resolved.only(&kept), limit)?;
    let Err(refused) = call(job, what, &invocation, &resolved.hidden(), &never).await else { return stopped(job, &meant).await };
    let now = job.tools.containers(&job.project).await.unwrap_or_default();
    let running: Vec<&Container> = meant.iter().filter(|c| now.iter().any(|n| n.id == c.id && n.state == State::Running)).collect();
    for container in &running {
        let line = ServiceOutcome { service: shown(container, &meant), good: false, seen: "did not stop".to_owned() };
        job.recorder.service(&line.service, Progress::Failed, line.seen.clone());
        job.note(vec![line]);
    }
    let others: Vec<Container> = meant.iter().filter(|c| !running.iter().any(|r| r.id == c.id)).cloned().collect();
    // Their lines are told; why it failed is what Compose says.
    drop(stopped(job, &others).await);
    Err(refused.failure.into())
}

/// Production's configuration, as Compose resolved it.
async fn resolved(job: &Job, what: &str) -> Result<Resolved, Failure> {
    let config = deploy::production_only(&job.tools, &job.project).await?;
    let gone = || Failure::new(what, "Production has no compose file any more.", "Ask again: without it, only what is there takes part.");
    config.map(|config| config.resolved).ok_or_else(gone)
}

/// A call of Compose over a configuration.
pub(super) fn invocation(
    job: &Job,
    what: &str,
    args: impl Fn(&Files<'_>) -> Vec<OsString>,
    part: &Resolved,
    limit: Duration,
) -> Result<Invocation, Failure> {
    let bug = || Failure::new(what, "It is no compose project.", "Report this as a bug.");
    let (Source::Compose(compose), Some(production)) = (&job.project.source, &job.project.production) else { return Err(bug()) };
    let environment = deploy::environment(production);
    let (root, environment) = (production.as_path(), environment.as_deref());
    let files = Files { name: &compose.name, root, files: &compose.files, directory: root, environment };
    let invocation = job.tools.compose(what, args(&files), limit, &job.mark)?;
    Ok(invocation.stdin(part.to_bytes()))
}

/// What Compose said, as a part of a sentence.
fn said(message: &str) -> String {
    UntrustedText::from(message).to_string()
}

/// Calls Compose, again where what fails it may pass and no release has to be undone for it.
/// What `hidden` holds is left out of what it prints.
pub(super) async fn call(
    job: &Job,
    what: &str,
    invocation: &Invocation,
    hidden: &Hidden,
    ending: &CancellationToken,
) -> Result<(), Refused> {
    let try_it = |_| async move {
        let mut line = |line: &str| job.recorder.line(&hidden.hide(line));
        match process::run(invocation, &mut line, ending).await {
            Ok(finished) if finished.code == Some(0) => Ok(()),
            Ok(mut finished) => {
                finished.tail.iter_mut().for_each(|line| *line = hidden.hide(line));
                let message = compose::reason(&finished.tail).unwrap_or_default();
                let by_compose = !compose::was_ended(finished.code);
                Err(Refused { message, failure: refusal(what, &finished, "Mend it and ask again."), by_compose, cut_short: false })
            }
            Err(error) => {
                let cut_short = matches!(error, ProcessError::Cancelled { .. });
                let message = error.to_string();
                let mut failure = process_failure(what, error);
                failure.lines.iter_mut().for_each(|line| *line = hidden.hide(line));
                Err(Refused { message, failure, by_compose: false, cut_short })
            }
        }
    };
    let again = |attempt, refused: &Refused| {
        tracing::warn!(operation = job.operation, why = refused.message, attempt, "Compose is called again");
        job.recorder.line(&announced(attempt, &refused.message));
    };
    // A release that fails is undone, rather than tried again; nothing undoes what fails to be undone.
    let repeats = !job.plan.kind().is_release() || job.undoing.get().is_some();
    let passes = |refused: &Refused| repeats && may_pass(&refused.message);
    attempts(PAUSE, job.ends_watching(), try_it, passes, again).await
}

/// Why a start failed: Compose says only which container it was, whose log says why.
async fn explained(job: &Job, what: &str, services: &[ServiceName], refused: Refused) -> Stop {
    if refused.cut_short {
        let why = match job.tools.stopping.is_cancelled() {
            true => "dockmaster was stopped while the services were started.".to_owned(),
            false => format!("{} while the services were started.", job.tools.registry.cancelled(&job.project.name)),
        };
        return Stop::cut_short(Failure::new(what, why, "Look at /docker_status."), true);
    }
    let plain = refused.failure;
    let Ok(containers) = job.tools.containers(&job.project).await else { return plain.into() };
    let mut lines = BTreeMap::new();
    for container in containers.iter().filter(|c| services.contains(&c.service)) {
        let (good, seen) = if container.is_up() || container.ended_well() { (true, "started") } else { (false, "did not come up") };
        lines.insert(shown(container, &containers), (good, seen.to_owned()));
    }
    job.note(lines.into_iter().map(|(service, (good, seen))| ServiceOutcome { service, good, seen }).collect());
    explain(job, &refused.message, plain).await.into()
}

/// Compose says only which container failed; its log says why.
pub(super) async fn explain(job: &Job, message: &str, plain: Failure) -> Failure {
    let Ok(containers) = job.tools.containers(&job.project).await else { return plain };
    let is_down = |c: &&Container| !c.is_up() && !c.ended_well();
    // It may name one that others depend on, which was not meant itself. What the engine says of one that it cannot start names none.
    let named = containers.iter().filter(is_down).find(|c| message.contains(c.name.as_str()));
    let refused = |c: &&Container| !c.error.is_empty() && message.contains(c.error.trim());
    let Some(container) = named.or_else(|| containers.iter().filter(is_down).find(refused)) else { return plain };
    let seen = match (container.error.is_empty(), container.health) {
        (false, _) => "not started".to_owned(),
        (true, Health::Unhealthy) if container.runs() => "unhealthy".to_owned(),
        _ => said(message),
    };
    failed(&job.tools, &job.project, container, &seen, &job.recorder).await
}
