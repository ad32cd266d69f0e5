//! What the desk answers at once, whatever runs: how things stand, logs, history, releases.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::desk::{Desk, Refusal};
use super::insight::Insight;
use super::logs::{self, Followed, LogQuery, Logs};
use super::managed;
use super::ownerless::ownerless;
use super::recorder::history_failure;
use super::status::{self, Seen};
use super::stops::{down_since_engine, stopped};
use crate::domain::Millis;
use crate::domain::access::{Actor, Role};
use crate::domain::container::Container;
use crate::domain::event::Event;
use crate::domain::failure::Failure;
use crate::domain::outcome::{Outcome, Verdict};
use crate::domain::project::{Project, ProjectName};
use crate::domain::status::{ProjectStatus, ServiceStatus};
use crate::domain::view::OperationView;
use crate::domain::words::{HistoryRow, ReleaseRow};
use crate::engine::docker::EngineError;
use crate::engine::looks::Look;
use crate::history::operations::OperationRecord;
use crate::history::releases::{ReleaseKind, ReleaseLine};

/// How many operations a history shows.
const HISTORY_SHOWN: usize = 10;
/// How many projects are asked about at a time.
const PROJECTS_AT_ONCE: usize = 8;
/// How long an overview of all projects may take.
const OVERVIEW_LIMIT: Duration = Duration::from_millis(900);
/// Of how many projects an overview has measured anew what takes long to find out.
const MEASURED_AT_ONCE: usize = 8;

fn unknown_status(name: &ProjectName) -> String {
    format!("The status of {name} is not known.")
}

fn late(name: &ProjectName) -> Refusal {
    let why = "The engine or the host was asked and has not answered in time.";
    Failure::new("Late: no answer within 1 s.", why, format!("Ask for it alone: /docker_status {name}.")).into()
}

impl Desk {
    /// How a project stands.
    ///
    /// # Errors
    /// Not allowed, no such project, or the engine could not be asked.
    pub async fn status(&self, actor: &Actor, name: &ProjectName) -> Result<ProjectStatus, Refusal> {
        let project = self.project(actor, name, Role::Viewer)?;
        let insight = self.insights.of(&self.tools, &project);
        let (containers, release, ()) = tokio::join!(
            self.tools.glance(&project),
            self.tools.history.release_number(name.clone()),
            self.insights.learn_once(&self.tools, &project)
        );
        let release = release.map_err(|e| history_failure(unknown_status(name), &e))?;
        self.status_of(&project, containers, release, insight).await
    }

    async fn status_of(
        &self,
        project: &Project,
        containers: Result<Vec<Container>, EngineError>,
        release: Option<(i64, Millis)>,
        insight: Option<Insight>,
    ) -> Result<ProjectStatus, Refusal> {
        let containers = containers.map_err(|e| e.failure(unknown_status(&project.name)))?;
        let (pending, unknown) = managed::pending(project, &containers).await;
        let mut insight = insight.unwrap_or_default();
        insight.trouble = insight.trouble.or(unknown);
        let (stopped, ownerless) = tokio::join!(stopped(&self.tools, &containers), ownerless(&self.tools, &containers));
        let down_since_engine = down_since_engine(&self.tools, &containers, &stopped).await;
        let seen = Seen {
            containers,
            measured: self.tools.gauge.of(&project.name),
            stopped,
            down_since_engine,
            ownerless,
            purposes: self.tools.purposes(&project.name),
            desired: self.tools.desired(&project.name),
        };
        Ok(status::status(project, seen, insight, &pending, release, self.tools.registry.holder(&project.name), self.now()))
    }

    /// How all enabled projects stand, in their order, within 0.9 s: what has not answered by then is late. The engine
    /// lists its containers once for all of them.
    pub async fn overview(&self, actor: &Actor) -> Vec<(ProjectName, Result<ProjectStatus, Refusal>)> {
        let deadline = Instant::now() + OVERVIEW_LIMIT;
        let configuration = self.configuration();
        let projects: Vec<(ProjectName, Result<Project, Refusal>)> =
            configuration.enabled().map(|p| (p.name.clone(), self.project(actor, &p.name, Role::Viewer))).collect();
        let looks: Vec<Look> = projects.iter().filter_map(|(_, project)| Some(self.tools.look_at(project.as_ref().ok()?))).collect();
        let (seen, releases) = tokio::join!(
            timeout_at(deadline, self.tools.docker.glance_all(&looks)),
            timeout_at(deadline, self.tools.history.release_numbers())
        );
        let (mut seen, releases) = (seen.ok().map(Vec::into_iter), releases.ok().and_then(Result::ok).unwrap_or_default());
        // What was measured is shown; that of many projects is not measured anew, which takes longer than anybody waits.
        let renewed: BTreeSet<ProjectName> = projects.iter().take(MEASURED_AT_ONCE).map(|(name, _)| name.clone()).collect();
        let asked = projects.into_iter().map(|(name, project)| {
            let seen = if project.is_ok() { seen.as_mut().and_then(Iterator::next) } else { None };
            let (release, renew) = (releases.get(&name).copied(), renewed.contains(&name));
            async move {
                let answer = async {
                    let (project, seen) = (project?, seen.ok_or_else(|| late(&name))?);
                    let insight = if renew { self.insights.of(&self.tools, &project) } else { self.insights.known(&project.name) };
                    let containers = self.tools.glance_with(&project, seen).await;
                    self.status_of(&project, containers, release, insight).await
                };
                let answer = timeout_at(deadline, answer).await;
                let answer = answer.unwrap_or_else(|_| Err(late(&name)));
                (name, answer)
            }
        });
        stream::iter(asked.collect::<Vec<_>>()).buffered(PROJECTS_AT_ONCE).collect().await
    }

    /// The services of each enabled project that the actor may see, as the engine alone tells of them: nothing is asked for
    /// that takes time.
    pub async fn services(&self, actor: &Actor) -> Vec<(ProjectName, Result<Vec<ServiceStatus>, Refusal>)> {
        let names: Vec<ProjectName> = self.configuration().enabled().map(|project| project.name.clone()).collect();
        let all = stream::iter(names).map(|name| async move { (name.clone(), self.services_of(actor, &name).await) });
        let all: Vec<_> = all.buffered(PROJECTS_AT_ONCE).collect().await;
        all.into_iter().filter(|(_, services)| !matches!(services, Err(Refusal::Denied(_)))).collect()
    }

    async fn services_of(&self, actor: &Actor, name: &ProjectName) -> Result<Vec<ServiceStatus>, Refusal> {
        let project = self.project(actor, name, Role::Viewer)?;
        let containers = self.tools.glance(&project).await.map_err(|e| e.failure(format!("The services of {name} are not known.")))?;
        let seen = Seen {
            containers,
            measured: self.tools.gauge.of(name),
            stopped: BTreeMap::new(),
            down_since_engine: BTreeSet::new(),
            ownerless: BTreeMap::new(),
            purposes: self.tools.purposes(name),
            desired: self.tools.desired(name),
        };
        Ok(status::status(&project, seen, Insight::default(), &BTreeSet::new(), None, None, self.now()).services)
    }

    /// The last lines of a log.
    ///
    /// # Errors
    /// Not allowed, no such project or service, or the engine could not be asked.
    pub async fn logs(&self, actor: &Actor, query: &LogQuery) -> Result<Logs, Refusal> {
        let project = self.project(actor, &query.project, Role::Viewer)?;
        Ok(logs::read(&self.tools, &project, query).await?)
    }

    /// A log as it is written, from its last `query.lines` on. Ends when the receiver is dropped or the container ends.
    ///
    /// # Errors
    /// As for [`Desk::logs`].
    pub async fn follow(&self, actor: &Actor, query: &LogQuery) -> Result<Followed, Refusal> {
        let project = self.project(actor, &query.project, Role::Viewer)?;
        Ok(logs::follow(&self.tools, &project, query).await?)
    }

    /// The last operations on a project, newest first.
    ///
    /// # Errors
    /// Not allowed, no such project, or the history could not be read.
    pub async fn history(&self, actor: &Actor, name: &ProjectName) -> Result<Vec<HistoryRow>, Refusal> {
        self.project(actor, name, Role::Viewer)?;
        let read = self.tools.history.operations_of(name.clone(), HISTORY_SHOWN).await;
        Ok(read.map_err(|e| history_failure("The history cannot be read.", &e))?.iter().map(history_row).collect())
    }

    /// The kept releases of a project, newest first, each with the operation that made it where that is still known.
    ///
    /// # Errors
    /// Not allowed, no such project, or the history could not be read.
    pub async fn releases(&self, actor: &Actor, name: &ProjectName) -> Result<Vec<ReleaseRow>, Refusal> {
        self.project(actor, name, Role::Viewer)?;
        let unread = |e| history_failure("The releases cannot be read.", &e);
        let mut rows = Vec::new();
        for line in self.tools.history.releases(name.clone()).await.map_err(unread)? {
            let made_by = self.tools.history.operation(line.operation).await.map_err(unread)?;
            rows.push(release_row(&line, made_by.as_ref()));
        }
        Ok(rows)
    }

    /// An operation as it stands; where it has ended, as it stood at its end.
    ///
    /// # Errors
    /// Not allowed, no such operation, or the history could not be read.
    pub async fn operation(&self, actor: &Actor, id: i64) -> Result<watch::Receiver<OperationView>, Refusal> {
        let running = self.views.get(&id).map(|view| view.clone());
        let unread = |e| history_failure("The operation cannot be read.", &e);
        let record = self.tools.history.operation(id).await.map_err(unread)?.ok_or(Refusal::NoOperation(id))?;
        self.subject(actor, record.plan.request.project(), record.plan.kind(), Role::Viewer)?;
        if let Some(view) = running {
            return Ok(view);
        }
        let mut view = OperationView::new(id, &record.plan, record.actor.label(), record.started);
        for (at, event) in self.tools.history.operation_events(id).await.map_err(unread)? {
            view.apply(&event, at);
        }
        if let Some((at, outcome)) = record.ended {
            view.apply(&Event::Ended { outcome }, at);
        }
        Ok(watch::channel(view).1)
    }
}

fn history_row(record: &OperationRecord) -> HistoryRow {
    // Of what was cancelled it is of interest who did that.
    let why = |outcome: &Outcome| {
        let failure = outcome.failure.as_ref()?;
        Some(if outcome.verdict == Verdict::Cancelled { failure.why.clone() } else { failure.what.clone() })
    };
    let ended = record.ended.as_ref().map(|(at, outcome)| (*at, outcome.verdict, why(outcome)));
    HistoryRow {
        id: record.id,
        what: format!("{} {}", record.plan.kind().word(), record.plan.target()),
        who: record.actor.label(),
        started: record.started,
        ended,
    }
}

fn release_row(line: &ReleaseLine, made_by: Option<&OperationRecord>) -> ReleaseRow {
    ReleaseRow {
        number: line.number,
        current: line.current,
        kept: line.kind == ReleaseKind::Kept,
        at: line.at,
        who: made_by.map(|o| o.actor.label()),
        changed: line.changed,
        ran: line.ran,
        verdict: made_by.and_then(|o| o.ended.as_ref()).map(|(_, outcome)| outcome.verdict),
    }
}
