//! What status shows that takes longer to find out than status may take: measured in the background, shown with its age.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;

use super::deploy;
use super::tools::Tools;
use crate::domain::Millis;
use crate::domain::container::ConfigHash;
use crate::domain::project::{Project, ProjectName, ServiceName, Source};
use crate::domain::request::ReleaseOptions;
use crate::domain::status::Ahead;

/// How old a measure may be before another is made, in milliseconds.
const FRESH: Millis = 20_000;

/// How long the first status of a project waits for that.
const LEARN_ONCE: Duration = Duration::from_millis(600);

/// How long a measure waits for the answer that it was asked for with: Compose would take a processor from it.
const ANSWER_FIRST: Duration = Duration::from_millis(250);

/// What was measured.
#[derive(Debug, Clone, Default)]
pub(super) struct Insight {
    pub(super) ahead: Option<Ahead>,
    /// The hashes that the services of production's compose files would have.
    pub(super) hashes: std::collections::BTreeMap<ServiceName, ConfigHash>,
    /// Why it could not be measured.
    pub(super) trouble: Option<String>,
    measured: Millis,
}

/// The measures by project. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Insights {
    known: Arc<DashMap<ProjectName, Insight>>,
    busy: Arc<DashMap<ProjectName, ()>>,
    /// The projects of which it was asked once which services there are to be.
    asked: Arc<DashMap<ProjectName, ()>>,
    /// How often each project's measures were forgotten.
    forgotten: Arc<DashMap<ProjectName, u64>>,
    /// One at a time: a measure reads whole trees, and nobody waits for it.
    turn: Arc<tokio::sync::Semaphore>,
}

impl Insights {
    pub(super) fn new() -> Self {
        Self {
            known: Arc::default(),
            busy: Arc::default(),
            asked: Arc::default(),
            forgotten: Arc::default(),
            turn: Arc::new(tokio::sync::Semaphore::new(1)),
        }
    }

    /// What is known of a project now. A measure that is old is renewed in the background.
    pub(super) fn of(&self, tools: &Tools, project: &Project) -> Option<Insight> {
        let known = self.known.get(&project.name).map(|i| i.clone());
        if known.as_ref().is_none_or(|i| (tools.clock)() - i.measured > FRESH) {
            self.measure(tools.clone(), project.clone());
        }
        known
    }

    /// Learns which services of a compose project there are to be, where nobody has asked yet: once, and for no longer than somebody who
    /// asks for the status waits. From then on what was learned is remembered, and renewed in the background.
    pub(super) async fn learn_once(&self, tools: &Tools, project: &Project) {
        let is_compose = matches!(project.source, Source::Compose(_)) && tools.compose.get().is_some();
        if is_compose && tools.desired(&project.name).is_none() && self.asked.insert(project.name.clone(), ()).is_none() {
            let (tools, project) = (tools.clone(), project.clone());
            // Who does not wait for it is told later. What is wrong with the files is told by the measure.
            let learning = tokio::spawn(async move { deploy::production_only(&tools, &project).await.map(drop) });
            let _ = tokio::time::timeout(LEARN_ONCE, learning).await;
        }
    }

    /// What is known of a project now, however old.
    pub(super) fn known(&self, project: &ProjectName) -> Option<Insight> {
        self.known.get(project).map(|insight| insight.clone())
    }

    /// Forgets what was measured, and what is being measured right now: it is no longer so.
    pub(super) fn forget(&self, project: &ProjectName) {
        *self.forgotten.entry(project.clone()).or_default() += 1;
        self.known.remove(project);
    }

    fn generation(&self, project: &ProjectName) -> u64 {
        self.forgotten.get(project).map(|n| *n).unwrap_or_default()
    }

    fn measure(&self, tools: Tools, project: Project) {
        if !matches!(project.source, Source::Compose(_)) || self.busy.insert(project.name.clone(), ()).is_some() {
            return;
        }
        let insights = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(ANSWER_FIRST).await;
            let _turn = insights.turn.acquire().await;
            let begun = insights.generation(&project.name);
            // In a task of its own: a panic there must not leave the project marked as being measured for ever.
            let measured = tokio::spawn({
                let project = project.clone();
                async move { measure(&tools, &project).await }
            });
            match measured.await {
                Ok(insight) if insights.generation(&project.name) == begun => {
                    insights.known.insert(project.name.clone(), insight);
                }
                Ok(_) => {}
                Err(died) => tracing::error!(%died, "measuring a project broke off"),
            }
            insights.busy.remove(&project.name);
        });
    }
}

async fn measure(tools: &Tools, project: &Project) -> Insight {
    // What is seen is at least as old as this.
    let measured = (tools.clock)();
    tools.compose.renew().await;
    let mut insight = Insight { measured, ..Insight::default() };
    match deploy::production_config(tools, project).await {
        Ok(Some((_, hashes))) => {
            insight.hashes = hashes;
        }
        Ok(None) => {}
        Err(failure) => insight.trouble = Some(failure.to_string()),
    }
    if project.workspace.is_some() {
        let options = ReleaseOptions { force: true, ..ReleaseOptions::default() };
        match Box::pin(deploy::gather(tools, project, deploy::Coming::Workspace, &options)).await {
            Ok(facts) => {
                // What a plan refuses (an unset variable, say) is told when a deploy is asked for; the count stands all the same.
                insight.ahead = facts.plan(project, &options).ok().and_then(|plan| {
                    let files = plan.files.as_ref()?.touched().count();
                    Some(Ahead { files, measured })
                });
            }
            Err(failure) => insight.trouble = insight.trouble.or(Some(failure.to_string())),
        }
    }
    insight
}
