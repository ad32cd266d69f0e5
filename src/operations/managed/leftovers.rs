//! What is left over of services that are no longer configured is looked for when dockmaster starts, when the projects are
//! configured otherwise, and when an operation on services of our own has ended: never by the clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::super::desk::{Desk, Refusal, Running};
use super::super::keeper::admins;
use super::super::recorder::history_failure;
use super::tidy::{left_over, owned};
use crate::domain::access::Actor;
use crate::domain::failure::Failure;
use crate::domain::managed::{is_in_place, was_named};
use crate::domain::notice::{Notice, Origin};
use crate::domain::orphans::{Orphan, removes};
use crate::domain::outcome::Verdict;
use crate::domain::project::{Configuration, ProjectName};
use crate::domain::request::Request;
use crate::history::HistoryError;

/// How soon it is looked again where the engine or the history was away.
const AGAIN: Duration = Duration::from_secs(10);
/// What that means where it fails.
const WHAT: &str = "What is left over could not be looked for.";

/// The containers that dockmaster has tried to remove unasked in this life, by project: what could not be removed is not tried for ever.
type Tried = BTreeMap<ProjectName, BTreeSet<String>>;

fn ids(orphans: &[Orphan]) -> BTreeSet<String> {
    orphans.iter().map(|orphan| orphan.id.clone()).collect()
}

impl Desk {
    /// Looks for what is left over for as long as dockmaster runs. Admins are told of it once, or it is removed where that is
    /// what the configuration says.
    pub async fn watch_leftovers(self: Arc<Self>) {
        let mut configuration = self.configuration.clone();
        let (mut settled, mut tried, mut failing) = (false, Tried::new(), false);
        loop {
            let now = configuration.borrow_and_update().clone();
            let looked = self.look_for_leftovers(&now, &mut settled, &mut tried).await;
            match &looked {
                Ok(()) => failing = false,
                Err(failure) if !std::mem::replace(&mut failing, true) => {
                    tracing::warn!(why = %failure, "what is left over of services could not be looked for; it is tried again");
                }
                Err(_) => {}
            }
            tokio::select! {
                () = self.tools.stopping.cancelled() => return,
                () = tokio::time::sleep(AGAIN), if looked.is_err() => {}
                () = self.services_ended.notified() => {}
                changed = configuration.wait_for(|new| new.projects != now.projects || new.docker != now.docker) => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
        }
    }

    async fn look_for_leftovers(&self, configuration: &Configuration, settled: &mut bool, tried: &mut Tried) -> Result<(), Failure> {
        if !*settled {
            self.settle_ended().await?;
            *settled = true;
        }
        let found = left_over(&self.tools, configuration).await.map_err(|e| e.failure(WHAT))?;
        let unread = |e: HistoryError| history_failure(WHAT, &e);
        let said = self.tools.history.orphans_said().await.map_err(unread)?;
        let projects: BTreeSet<&ProjectName> = found.keys().chain(said.keys()).collect();
        for project in projects {
            // What an operation has aside is no orphan; once it has ended it is looked again.
            if self.tools.registry.holder(project).is_some() {
                continue;
            }
            let orphans = found.get(project).map(Vec::as_slice).unwrap_or_default();
            if !orphans.is_empty() && removes(configuration, project) {
                self.remove_unasked(configuration, project, orphans, tried).await;
                continue;
            }
            let (is, was) = (ids(orphans), said.get(project).cloned().unwrap_or_default());
            if is == was {
                continue;
            }
            let new = !is.is_subset(&was);
            if new {
                tracing::warn!(%project, containers = is.len(), "containers are left over from services that are no longer configured");
            }
            let notice = Notice::LeftOver { project: project.clone(), orphans: orphans.to_vec() };
            let notice = new.then(|| (notice, admins(&[configuration])));
            self.tools.history.orphans_noted(project.clone(), is, notice, self.now()).await.map_err(unread)?;
        }
        Ok(())
    }

    /// Removes what is left over, as the configuration says, and tells the admins what came of it.
    async fn remove_unasked(&self, configuration: &Configuration, project: &ProjectName, orphans: &[Orphan], tried: &mut Tried) {
        if tried.get(project) == Some(&ids(orphans)) {
            return;
        }
        match self.tidied(project).await {
            Ok(None) => {}
            Ok(Some(running)) => {
                tried.insert(project.clone(), ids(orphans));
                let operation = running.id;
                let mut view = running.view;
                // An error means that whoever ran it is gone, which is an end as well.
                drop(view.wait_for(|view| view.ended.is_some()).await);
                for chat in admins(&[configuration]) {
                    let origin = Origin { chat, thread: None, message: None };
                    if let Err(error) = self.tools.history.notice_post(origin, Notice::Outcome { operation }, self.now()).await {
                        tracing::error!(%error, operation, "an admin could not be told what was removed");
                    }
                }
            }
            // When that has ended it is looked again.
            Err(Refusal::Busy(..) | Refusal::Stopping) => {}
            Err(refusal) => {
                let why = refusal.words(self.now()).to_plain();
                tracing::warn!(%project, why, "what is left over could not be removed");
            }
        }
    }

    async fn tidied(&self, project: &ProjectName) -> Result<Option<Running>, Refusal> {
        let request = Request::Tidy { project: project.clone() };
        let plan = self.plan(&Actor::Dockmaster, &request).await?;
        if plan.is_empty() {
            return Ok(None);
        }
        self.submit(&Actor::Dockmaster, &request, &plan.digest, None).await.map(Some)
    }

    /// Removes what was kept aside by operations that have ended well: dockmaster was ended before it could.
    async fn settle_ended(&self) -> Result<(), Failure> {
        let all = owned(&self.tools).await.map_err(|e| e.failure(WHAT))?;
        for old in all.iter().filter(|c| !is_in_place(&c.name, &c.labels)) {
            let Some((_, by, _)) = was_named(&old.name) else { continue };
            let record = self.tools.history.operation(by).await.map_err(|e| history_failure(WHAT, &e))?;
            let well = record.and_then(|record| record.ended).is_some_and(|(_, outcome)| outcome.verdict == Verdict::Succeeded);
            if !well {
                continue;
            }
            match self.tools.docker.remove(&old.id).await {
                Ok(()) => tracing::info!(container = old.name, "a container that was replaced earlier is removed"),
                Err(error) => tracing::warn!(%error, container = old.name, "a container that was replaced could not be removed"),
            }
        }
        Ok(())
    }
}
