//! Starting, stopping and restarting containers, each step verified.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::runner::{Job, StepResult, Stop};
use super::verify::{shown, verify};
use crate::domain::container::{Container, State};
use crate::domain::event::Progress;
use crate::domain::failure::Failure;
use crate::domain::outcome::ServiceOutcome;
use crate::domain::project::ServiceName;
use crate::domain::text::duration;
use crate::engine::docker::EngineError;

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

    fn verb(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }
}

/// Acts on the containers of some services, all at the same time, and watches what must be up after it.
pub(super) async fn act(job: &Job, act: Act, services: &[ServiceName]) -> StepResult {
    let what = format!("{} could not {} everything.", job.project.name, act.verb());
    let containers = job.tools.docker.containers(&job.project.source).await.map_err(|e| e.failure(&*what))?;
    let meant: Vec<Container> = containers.into_iter().filter(|c| services.contains(&c.service)).collect();
    if let Some(gone) = services.iter().find(|s| !meant.iter().any(|c| c.service == **s)) {
        return Err(Failure::new(what, format!("{gone} has no container any more."), "Look at /docker_status and ask again.").into());
    }
    for container in &meant {
        job.recorder.service(&shown(container, &meant), Progress::Working, act.doing());
    }
    let results = join_all(meant.iter().map(|container| one(job, act, container))).await;
    let mut first: Option<Failure> = None;
    let mut acted: Vec<Container> = Vec::new();
    for (container, result) in meant.iter().zip(results) {
        let Err(error) = result else {
            acted.push(container.clone());
            continue;
        };
        let name = shown(container, &meant);
        let (what, seen) = undone(act, &container.service, &error);
        job.recorder.service(&name, Progress::Failed, seen.clone());
        job.note(vec![ServiceOutcome { service: name, good: false, seen }]);
        first.get_or_insert(error.failure(what));
    }
    let missed: BTreeSet<&ServiceName> = meant.iter().filter(|c| !acted.iter().any(|a| a.id == c.id)).map(|c| &c.service).collect();
    // The others were acted on all the same, and their lines say what became of them.
    let rest = if act == Act::Stop {
        stopped(job, &acted).await
    } else if job.plan.kind().is_release() {
        // A step of its own watches all that a release touches, and nobody is to wait for the window twice.
        Ok(None)
    } else {
        let services: BTreeSet<ServiceName> = services.iter().filter(|s| !missed.contains(s)).cloned().collect();
        if services.is_empty() { Ok(None) } else { watch(job, &services).await }
    };
    first.map_or(rest, |failure| Err(failure.into()))
}

/// What failed and what is seen of it. An engine that went away may have done all the same what it was asked for.
fn undone(act: Act, service: &ServiceName, error: &EngineError) -> (String, String) {
    match error {
        EngineError::Away(_) => {
            let unknown = format!("not known whether it {}", act.done());
            (format!("It is not known whether {service} {}.", act.done()), unknown)
        }
        EngineError::Gone(_) | EngineError::Refused(_) => (format!("{service} did not {}.", act.verb()), format!("did not {}", act.verb())),
    }
}

async fn one(job: &Job, act: Act, container: &Container) -> Result<(), EngineError> {
    let within = job.project.restart.stop_timeout;
    match act {
        // A frozen container runs for the engine, which would refuse to start it.
        Act::Start if container.state == State::Paused => job.tools.docker.unpause(&container.id).await,
        Act::Start => job.tools.docker.start(&container.id).await,
        Act::Stop => job.tools.docker.stop(&container.id, within).await,
        Act::Restart => job.tools.docker.restart(&container.id, within).await,
    }
}

/// What was stopped, as the engine sees it afterwards.
async fn stopped(job: &Job, meant: &[Container]) -> StepResult {
    let mut lines = Vec::new();
    for container in meant {
        let now = job.tools.docker.container(&container.id).await.map_err(|e| e.failure("It is not known whether everything stopped."))?;
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
    let services: BTreeSet<ServiceName> = services.iter().filter(|s| job.unwatched.as_ref() != Some(*s)).cloned().collect();
    if services.is_empty() {
        return Ok(None);
    }
    let verified = verify(&job.tools, &job.project, &services, &job.recorder, job.ends_watching()).await;
    job.note(verified.services);
    match verified.failure {
        Some(failure) => Err(Stop::cut_short(failure, verified.cut_short)),
        None => Ok(None),
    }
}
