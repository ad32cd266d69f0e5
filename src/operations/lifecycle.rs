//! Starting, stopping and restarting containers, each step verified.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::sleep;

use super::attempts::{PAUSE, announced, attempts};
use super::deploy;
use super::hooks;
use super::runner::{Job, StepResult, Stop};
use super::verify::{Whom, shown, verify};
use crate::domain::container::{Container, State};
use crate::domain::event::Progress;
use crate::domain::failure::Failure;
use crate::domain::outcome::ServiceOutcome;
use crate::domain::plan::{Needs, Step};
use crate::domain::project::{ServiceName, Strategy};
use crate::domain::request::Kind;
use crate::domain::text::duration;
use crate::engine::docker::EngineError;

/// So many begin at once, and each one more when one of them is done, or a while later.
const ABREAST: usize = 2;
/// How much later, and how much later the last, however many there are.
const HEAD_START: Duration = Duration::from_millis(250);
const HEAD_START_MAX: Duration = Duration::from_secs(5);

/// What is done to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Start,
    Stop,
    Restart,
}

impl Act {
    fn doing(self) -> &'static str {
        match self {
            Self::Start => "starting",
            Self::Stop => "stopping",
            Self::Restart => "restarting",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Start => "started",
            Self::Stop => "stopped",
            Self::Restart => "restarted",
        }
    }

    pub(super) fn verb(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }
}

/// Acts on the containers of some services, all at the same time, and watches what must be up after it.
pub(super) async fn act(job: &Job, act: Act, services: &[ServiceName]) -> StepResult {
    let meant = containers_of(job, act, services).await?;
    let (acted, first) = each(job, act, &meant, &meant).await;
    let missed: BTreeSet<&ServiceName> = meant.iter().filter(|c| !acted.iter().any(|a| a.id == c.id)).map(|c| &c.service).collect();
    let up: BTreeSet<ServiceName> = services.iter().filter(|s| !missed.contains(s)).cloned().collect();
    // The others were acted on all the same, and their lines say what became of them.
    let rest = match act {
        Act::Stop => stopped(job, &acted).await,
        Act::Start if job.plan.has_verify() => await_asked(job, services, &up).await,
        // A step of its own watches all that a release touches, and nobody is to wait for the window twice.
        Act::Restart if job.plan.kind().is_release() => Ok(None),
        Act::Start | Act::Restart => watch(job, &up).await,
    };
    first.map_or(rest, |failure| Err(failure.into()))
}

/// The containers of some services, each of which has one.
pub(super) async fn containers_of(job: &Job, act: Act, services: &[ServiceName]) -> Result<Vec<Container>, Failure> {
    let what = format!("{} could not {} everything.", job.project.name, act.verb());
    let containers = job.containers().await.map_err(|e| e.failure(&*what))?;
    let meant: Vec<Container> = containers.into_iter().filter(|c| services.contains(&c.service)).collect();
    match services.iter().find(|s| !meant.iter().any(|c| c.service == **s)) {
        Some(gone) => Err(Failure::new(what, format!("{gone} has no container any more."), "Look at /docker_status and ask again.")),
        None => Ok(meant),
    }
}

/// Acts on containers at the same time. Returns those with which that went well, and why it did not with the first that it did
/// not; `all` are those among which people have to tell them.
pub(super) async fn each(job: &Job, act: Act, meant: &[Container], all: &[Container]) -> (Vec<Container>, Option<Failure>) {
    for container in meant {
        job.recorder.service(&shown(container, all), Progress::Working, act.doing());
    }
    let (mut first, mut acted): (Option<Failure>, Vec<Container>) = (None, Vec::new());
    let hooked = hooks::hooked(job, meant).await;
    let hooked_services: Vec<ServiceName> = hooked.iter().flat_map(|(_, services)| services.clone()).collect();
    for service in &hooked_services {
        let Some((resolved, _)) = &hooked else { break };
        let containers: Vec<Container> = meant.iter().filter(|c| c.service == *service).cloned().collect();
        match hooks::act(job, act, resolved, service).await {
            Ok(()) => acted.extend(containers),
            Err(failure) => {
                for container in &containers {
                    let (name, seen) = (shown(container, all), format!("did not {}", act.verb()));
                    job.recorder.service(&name, Progress::Failed, seen.clone());
                    job.note(vec![ServiceOutcome { service: name, good: false, seen }]);
                }
                first.get_or_insert(failure);
            }
        }
    }
    let meant: Vec<Container> = meant.iter().filter(|c| !hooked_services.contains(&c.service)).cloned().collect();
    let results = side_by_side(job, act, &meant, all).await;
    for (container, result) in meant.iter().zip(results) {
        let Err(error) = result else {
            acted.push(container.clone());
            continue;
        };
        let name = shown(container, all);
        let (what, seen) = undone(act, &container.service, &error);
        job.recorder.service(&name, Progress::Failed, seen.clone());
        job.note(vec![ServiceOutcome { service: name, good: false, seen }]);
        first.get_or_insert(error.failure(what));
    }
    (acted, first)
}

/// Acts on containers side by side; the results stand in their order. What takes longest to come up gets a head start: an engine
/// that is asked for everything at once does everything slowly.
async fn side_by_side(job: &Job, act: Act, meant: &[Container], all: &[Container]) -> Vec<Result<(), EngineError>> {
    let begin = async |at: usize, container: &Container| (at, one(job, act, container, shown(container, all)).await);
    let mut ordered: Vec<(usize, &Container)> = meant.iter().enumerate().collect();
    let mut gap = Duration::ZERO;
    if act != Act::Stop && job.plan.strategy != Some(Strategy::Immediate) {
        let known = job.tools.gauge.of(&job.project.name);
        ordered.sort_by_key(|(_, container)| Reverse(known.get(&container.name).and_then(|known| known.startup).map(|last| last.took)));
        gap = HEAD_START.min(HEAD_START_MAX / u32::try_from(meant.len().max(1)).unwrap_or(u32::MAX));
    }
    let (mut running, mut results) = (FuturesUnordered::new(), BTreeMap::new());
    for (at, container) in ordered {
        if running.len() >= ABREAST && !gap.is_zero() {
            tokio::select! {
                Some((at, result)) = running.next() => drop(results.insert(at, result)),
                () = sleep(gap) => {}
            }
        }
        running.push(begin(at, container));
    }
    results.extend(running.collect::<Vec<_>>().await);
    results.into_values().collect()
}

/// What failed and what is seen of it. An engine that went away may have done all the same what it was asked for.
fn undone(act: Act, service: &ServiceName, error: &EngineError) -> (String, String) {
    match error {
        EngineError::Away(_) | EngineError::Unreadable(_) => {
            let unknown = format!("not known whether it {}", act.done());
            (format!("It is not known whether {service} {}.", act.done()), unknown)
        }
        EngineError::Gone(_)
        | EngineError::Refused(_)
        | EngineError::TooOld(_)
        | EngineError::Damaged(_)
        | EngineError::Unclear(_)
        | EngineError::Process(_) => (format!("{service} did not {}.", act.verb()), format!("did not {}", act.verb())),
    }
}

/// Acts on one container, again where what fails it may pass.
async fn one(job: &Job, act: Act, container: &Container, name: String) -> Result<(), EngineError> {
    let (tools, within) = (&job.tools, job.project.restart.stop_timeout);
    let try_it = |attempt| async move {
        match act {
            Act::Start => tools.start(container).await,
            Act::Stop => tools.stop(container, within).await,
            // An engine that went away may have done it all the same.
            Act::Restart if attempt > 1 && began_since(job, container).await? => Ok(()),
            Act::Restart => tools.restart(container, within).await,
        }
    };
    let again = |attempt, error: &EngineError| {
        tracing::warn!(operation = job.operation, container = container.name, %error, attempt, "it is tried again");
        job.recorder.service(&name, Progress::Working, format!("{}: {}", act.doing(), announced(attempt, &error.why())));
    };
    attempts(PAUSE, job.ends_watching(), try_it, EngineError::may_pass, again).await
}

/// Whether a container runs that has begun anew since it was looked at.
async fn began_since(job: &Job, before: &Container) -> Result<bool, EngineError> {
    let now = job.tools.seen(before).await?;
    Ok(now.is_some_and(|now| now.state == State::Running && now.started != before.started))
}

/// What was stopped, as the engine sees it afterwards.
pub(super) async fn stopped(job: &Job, meant: &[Container]) -> StepResult {
    if job.plan.kind() == Kind::Stop {
        job.tools.keep_stops(meant, job.operation).await;
    }
    let mut lines = Vec::new();
    for container in meant {
        let now = job.tools.seen(container).await.map_err(|e| e.failure("It is not known whether everything stopped."))?;
        let (good, seen) = match now {
            None => (true, "stopped and removed".to_owned()),
            Some(now) if matches!(now.state, State::Running | State::Restarting) => (false, "runs again".to_owned()),
            Some(now) if now.exit_code == 137 => {
                let within = job.project.restart.stop_timeout.and_then(|within| i64::try_from(within.as_millis()).ok());
                let within = within.map_or_else(|| "in its time".to_owned(), |within| format!("within {}", duration(within)));
                (true, format!("stopped (killed: it did not end {within})"))
            }
            Some(_) => (true, "stopped".to_owned()),
        };
        job.recorder.service(&shown(container, meant), if good { Progress::Done } else { Progress::Failed }, seen.clone());
        lines.push(ServiceOutcome { service: shown(container, meant), good, seen });
    }
    let again = lines.iter().find(|l| !l.good).map(|l| l.service.clone());
    job.note(lines);
    match again {
        Some(name) => Err(Failure::new(
            format!("{name} did not stay stopped."),
            "Something starts it again.",
            "See who starts it (a timer, another operator), and ask again.",
        )
        .into()),
        None => Ok(None),
    }
}

/// Watches services come up; their lines go into the outcome.
pub(super) async fn watch(job: &Job, services: &BTreeSet<ServiceName>) -> StepResult {
    watch_for(job, Whom { replicas: Some(&deploy::expected(job, services)), ..Whom::of(services) }).await
}

/// As [`watch`], until what is enough.
pub(super) async fn watch_for(job: &Job, whom: Whom<'_>) -> StepResult {
    let services: BTreeSet<ServiceName> = whom.services.iter().filter(|s| job.unwatched.as_ref() != Some(*s)).cloned().collect();
    if services.is_empty() {
        return Ok(None);
    }
    let verified = verify(&job.tools, &job.project, Whom { services: &services, ..whom }, &job.recorder, job.ends_watching()).await;
    job.note(verified.services);
    match verified.failure {
        Some(failure) => Err(Stop::cut_short(failure, verified.cut_short)),
        None => Ok(None),
    }
}

/// Waits until services that were started are what those ask for that start after them, and no longer: whether they stay up is
/// seen at the end, of all at once.
async fn await_asked(job: &Job, services: &[ServiceName], up: &BTreeSet<ServiceName>) -> StepResult {
    let starts = job.plan.steps.iter().filter_map(|step| if let Step::Start { services } = step { Some(services) } else { None });
    let later: BTreeSet<ServiceName> = starts.skip_while(|s| *s != services).skip(1).flatten().cloned().collect();
    let what = "It is not known whether what was started is up.";
    let containers = job.containers().await.map_err(|e| e.failure(what))?;
    let asked = Needs::of(&job.project.source, &containers, &BTreeMap::new()).asked(&later, services);
    let waited: BTreeSet<ServiceName> = asked.keys().filter(|s| up.contains(*s)).cloned().collect();
    watch_for(job, Whom { enough: &asked, ..Whom::of(&waited) }).await
}
