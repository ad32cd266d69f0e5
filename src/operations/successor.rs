//! The dockmaster that comes up after a helper has done its part (`relay`), as that helper sees it.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::evidence::failure_of;
use super::relay::{ENGINE_PATIENCE, LOOK_EVERY};
use super::verify::millis;
use crate::domain::Millis;
use crate::domain::container::{Container, Health, State};
use crate::domain::failure::{Failure, LINES_MAX};
use crate::domain::outcome::{Outcome, Verdict};
use crate::domain::project::{Configuration, Project, ServiceName};
use crate::domain::text::duration;
use crate::engine::docker::{Docker, EngineError};
use crate::engine::looks::Look;
use crate::history::relay::{self, Progress};

/// How long the next dockmaster may be down, between two of its starts.
const DOWN_PATIENCE: Duration = Duration::from_secs(15);
/// How long one that was left as it was may be unhealthy: nobody answered its health check meanwhile.
const RECOVERS: Duration = Duration::from_secs(120);
/// How often the engine may start it again until it is given up.
const RESTARTS_MAX: i64 = 3;
/// How long it may be at nothing beyond twice the time that services have to become healthy.
const MORE_TIME: Duration = Duration::from_secs(120);
/// How long it has to end when it is given up.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// The dockmaster that comes up.
#[derive(Debug)]
pub struct NextOne {
    docker: Docker,
    project: Project,
    service: ServiceName,
    /// When its helper began: what is older says nothing about it.
    since: Millis,
}

impl NextOne {
    /// The one that goes on with an operation; none where its project is no longer configured.
    pub fn of(docker: Docker, configuration: &Configuration, seen: &Progress, since: Millis) -> Option<Self> {
        let project = configuration.projects.values().find(|p| p.name.as_str() == seen.project)?.clone();
        Some(Self { docker, project, service: seen.service.clone(), since })
    }

    /// Waits until it has brought the operation to its end, or handed it to another helper. Where it does not, or hands it
    /// back, says how the operation came out.
    pub async fn watch(&self, database: &Path, begun: &Progress) -> Option<Outcome> {
        let limit = self.project.deploy.health_timeout * 2 + self.project.deploy.stability + MORE_TIME;
        let (mut events, mut moved, mut down, mut ill) = (begun.events, Instant::now(), None, None);
        let mut restarts: Option<i64> = None;
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
                // A container that was left as it was has a past, and was not well while there was nobody to answer for it.
                let is_old = seen.is_some_and(|c| c.started.is_some_and(|started| started < self.since));
                let before = *restarts.get_or_insert(seen.filter(|_| is_old).map_or(0, |c| c.restarts));
                if seen.is_some_and(|c| c.state == State::Running && c.health == Health::Unhealthy) {
                    ill.get_or_insert_with(Instant::now);
                } else {
                    ill = None;
                }
                let long = |since: Option<Instant>| since.map_or(Duration::ZERO, |since| since.elapsed());
                let ill = ill.filter(|_| !is_old || long(ill) >= RECOVERS);
                let why = gone_wrong(seen, before, ill.is_some(), long(down));
                let late = (moved.elapsed() >= limit).then(|| format!("at nothing for {}", duration(millis(limit))));
                if let Some(why) = why.or(late) {
                    return Some(self.given_up(seen, &why).await);
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn containers(&self) -> Result<Vec<Container>, EngineError> {
        let mut all = self.docker.containers(&Look::at(&self.project, "", None)).await?;
        all.retain(|c| c.service == self.service);
        Ok(all)
    }

    async fn given_up(&self, seen: Option<&Container>, why: &str) -> Outcome {
        let (project, service) = (&self.project.name, &self.service);
        let failure = match seen {
            Some(container) => failure_of(self.docker.logs(container, LINES_MAX, None, false), project, container, why).await,
            None => Failure::new("", format!("It is {why}."), ""),
        };
        let what = format!("The new dockmaster did not come up ({service} of {project}).");
        let failure = Failure::new(what, failure.why, "Mend it, and ask again.").with_lines(failure.lines);
        let now = format!("{service} was stopped, and started again: see /docker_status {project}.");
        Outcome { verdict: Verdict::Failed, now, failure: Some(failure), services: Vec::new() }
    }

    /// Ends it, so that its data directory is free.
    pub async fn stop(&self) {
        let until = Instant::now() + ENGINE_PATIENCE;
        while Instant::now() < until {
            let all = self.containers().await;
            let runs = |c: &&Container| !matches!(c.state, State::Exited | State::Dead | State::Created);
            if all.as_ref().is_ok_and(|all| !all.iter().any(|c| runs(&c))) {
                return;
            }
            for container in all.iter().flatten().filter(runs) {
                if let Err(error) = self.docker.stop(&container.id, Some(STOP_WITHIN)).await {
                    tracing::error!(%error, container = container.name, "the dockmaster that did not come up could not be stopped");
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
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

/// Why the dockmaster that came up is given up: by its container, how often that had been restarted before, whether it is ill,
/// and for how long it has not been running.
fn gone_wrong(seen: Option<&Container>, before: i64, ill: bool, down: Duration) -> Option<String> {
    match seen {
        Some(c) if c.restarts >= before + RESTARTS_MAX => Some(format!("restarted {} times, last code {}", c.restarts, c.exit_code)),
        Some(_) if ill => Some("unhealthy".to_owned()),
        _ if down < DOWN_PATIENCE => None,
        Some(c) => Some(format!("ended with code {}", c.exit_code)),
        None => Some("without a container".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::container::tests;

    fn container(state: State, health: Health, restarts: i64) -> Container {
        Container { restarts, exit_code: 2, ..tests::container("dockmaster", state, health) }
    }

    #[test]
    fn one_that_comes_up_slowly_is_waited_for_and_one_that_does_not_is_given_up() {
        let of = |state, health, restarts| Some(container(state, health, restarts));
        let long = DOWN_PATIENCE;
        for (seen, before, down, why) in [
            (of(State::Running, Health::Starting, 0), 0, Duration::ZERO, None),
            (of(State::Running, Health::Healthy, 2), 0, Duration::ZERO, None),
            (of(State::Running, Health::Unhealthy, 0), 0, Duration::ZERO, Some("unhealthy")),
            (of(State::Running, Health::None, 3), 0, Duration::ZERO, Some("restarted 3 times, last code 2")),
            (of(State::Running, Health::None, 5), 3, Duration::ZERO, None),
            (of(State::Exited, Health::None, 0), 0, Duration::ZERO, None),
            (of(State::Exited, Health::None, 0), 0, long, Some("ended with code 2")),
            (None, 0, Duration::ZERO, None),
            (None, 0, long, Some("without a container")),
        ] {
            let ill = seen.as_ref().is_some_and(|c| c.health == Health::Unhealthy);
            assert_eq!(gone_wrong(seen.as_ref(), before, ill, down).as_deref(), why, "{seen:?}");
        }
    }
}
