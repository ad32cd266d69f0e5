//! Restarting one container after another: the next only when the one before is up again.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::hooks;
use super::lifecycle::{Act, containers_of, each, watch_for};
use super::runner::{Job, StepResult, Stop};
use super::verify::{Whom, shown};
use crate::domain::container::Container;
use crate::domain::failure::Failure;
use crate::domain::plan::Action;
use crate::domain::project::{ServiceName, Strategy};
use crate::domain::text::listing;

/// How many containers are named.
const NAMES_SHOWN: usize = 40;

/// How far a rolling restart has come.
#[derive(Debug, Default)]
pub(super) struct Rolled(Mutex<Taken>);

/// The containers that had their turn, by name.
#[derive(Debug, Default, Clone)]
struct Taken {
    begun: BTreeSet<String>,
    /// As people are told, in order: those that are up again.
    done: Vec<String>,
}

impl Rolled {
    fn change(&self, change: impl FnOnce(&mut Taken)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn seen(&self) -> Taken {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Restarts the containers of some services one after another.
pub(super) async fn roll(job: &Job, services: &[ServiceName]) -> StepResult {
    let mut all = containers_of(job, Act::Restart, services).await?;
    // `web-2` before `web-10`.
    all.sort_by(|a, b| (&a.service, a.name.len(), &a.name).cmp(&(&b.service, b.name.len(), &b.name)));
    // Compose acts on all containers of a service at once.
    let hooked = hooks::hooked(job, &all).await.map(|(_, services)| services).unwrap_or_default();
    for container in &all {
        let together = hooked.contains(&container.service);
        if together && job.rolled.seen().begun.contains(&container.name) {
            continue;
        }
        let turn: Vec<Container> =
            all.iter().filter(|c| c.id == container.id || together && c.service == container.service).cloned().collect();
        if job.ending.is_cancelled() {
            let failure = Failure::new("Not every container was restarted.", "It was ended before.", "Look at /docker_status.");
            return Err(Stop::cut_short(failure, true));
        }
        job.rolled.change(|taken| taken.begun.extend(turn.iter().map(|c| c.name.clone())));
        if let (_, Some(failure)) = each(job, Act::Restart, &turn, &all).await {
            return Err(failure.into());
        }
        let service = BTreeSet::from([container.service.clone()]);
        let whom = Whom { container: (!together).then_some(container.name.as_str()), ..Whom::of(&service) };
        watch_for(job, whom).await?;
        job.rolled.change(|taken| taken.done.extend(turn.iter().map(|c| shown(c, &all))));
    }
    Ok(None)
}

/// What is there where a rolling restart ended before its end: which containers were left as they were, each by name. None of
/// another operation, and where nothing was begun.
pub(super) async fn stands(job: &Job) -> Option<String> {
    let taken = job.rolled.seen();
    if job.plan.strategy != Some(Strategy::Rolling) || taken.begun.is_empty() {
        return None;
    }
    let meant: BTreeSet<&ServiceName> = job.plan.affected().filter(|s| s.action == Action::Restart).map(|s| &s.service).collect();
    let containers = job.containers().await;
    let left: Vec<String> = match &containers {
        Ok(all) => {
            let is_left = |c: &&Container| meant.contains(&c.service) && !taken.begun.contains(&c.name);
            all.iter().filter(is_left).map(|c| shown(c, all)).collect()
        }
        // Without the engine only services can be named, of which none was begun.
        Err(_) => meant.iter().filter(|s| !taken.begun.iter().any(|name| name.contains(s.as_str()))).map(ToString::to_string).collect(),
    };
    let part = |what: &str, mut names: Vec<String>| {
        names.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
        (!names.is_empty()).then(|| format!(" {what}: {}.", listing(&names, NAMES_SHOWN)))
    };
    let parts = [part("Restarted", taken.done), part("Left as it was", left)];
    Some(format!("{} is partly restarted.{}", job.project.name, parts.into_iter().flatten().collect::<String>()))
}
