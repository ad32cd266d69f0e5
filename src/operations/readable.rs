//! Whether projects can be read as they are configured: looked at when that changes, so that a mistake in it is told at once
//! and not with the next deploy.

use std::path::Path;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::deploy;
use super::desk::Desk;
use super::keeper::{Taken, Takeover};
use super::tools::Tools;
use crate::domain::project::{Project, Source};
use crate::domain::reload::Change;
use crate::domain::untrusted::UntrustedText;
use crate::engine::compose::Files;

/// How long is looked in all: whoever waits for the answer has other parts to hear.
const WITHIN: Duration = Duration::from_secs(4);
/// How many projects are looked at at once.
const AT_ONCE: usize = 4;

impl Desk {
    /// Looks at projects that are added or changed, until nobody tells of any more.
    pub async fn look_at_changes(&self, mut takeovers: mpsc::Receiver<Takeover>) {
        while let Some(takeover) = takeovers.recv().await {
            let unreadable = self.unreadable(&takeover.change).await;
            takeover.done(Taken { unreadable, ..Taken::default() });
        }
    }

    async fn unreadable(&self, change: &Change) -> Vec<String> {
        let is_new = |project: &&Project| change.old.projects.get(&project.name) != Some(*project);
        let changed: Vec<Project> = change.new.enabled().filter(is_new).cloned().collect();
        changed.iter().for_each(|project| self.insights.forget(&project.name));
        let (of, mut unreadable, mut looked) = (changed.len(), Vec::new(), 0_usize);
        let look = |project: Project| {
            let tools = self.tools.clone();
            async move { why_unreadable(&tools, &project).await }
        };
        let mut looks = Box::pin(stream::iter(changed).map(look).buffer_unordered(AT_ONCE));
        let all = async {
            while let Some(why) = looks.next().await {
                looked += 1;
                unreadable.extend(why);
            }
        };
        if timeout(WITHIN, all).await.is_err() {
            tracing::warn!(looked, of, "there was no time to look at every changed project");
        }
        unreadable
    }
}

/// Why a project cannot be read, in a sentence: only what Compose itself says of its files counts.
pub(super) async fn why_unreadable(tools: &Tools, project: &Project) -> Option<String> {
    let Source::Compose(compose) = &project.source else { return None };
    // That there is no Compose is no fault of the project's.
    tools.compose.get()?;
    let missing = |root: &Path| compose.files.iter().find(|file| !root.join(file).is_file());
    let root = match (&project.production, &project.workspace) {
        (Some(production), _) if missing(production).is_none() => production,
        (_, workspace) => workspace.as_ref()?,
    };
    if let Some(missing) = missing(root) {
        return Some(format!(
            "{} cannot be read: there is no {} in {}.",
            project.name,
            UntrustedText::from(missing),
            UntrustedText::path(&root)
        ));
    }
    let environment = project.production.as_deref().and_then(deploy::environment);
    let files = Files { name: &compose.name, root, files: &compose.files, directory: root, environment: environment.as_deref() };
    if let Some(why) = tools.broken(&files).await {
        return Some(format!("{} cannot be read: {why}", project.name));
    }
    // Containers count as services that are there; without an engine only the files do.
    let containers = tools.containers(project).await.unwrap_or_default();
    let known = containers.into_iter().map(|container| container.service).collect();
    let what = format!("{} cannot be operated on.", project.name);
    let coming = project.workspace.as_deref().filter(|root| missing(root).is_none());
    deploy::check_names(tools, project, &what, coming, &known).await.err().map(|failure| format!("{} {}", failure.what, failure.why))
}
