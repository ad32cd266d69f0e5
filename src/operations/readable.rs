//! Whether projects can be read as they are configured: looked at when that changes, so that a mistake in it is told at once
//! and not with the next deploy.

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
        let mut looks = Box::pin(stream::iter(changed).map(look).buffered(AT_ONCE));
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

/// Why a project cannot be read, in a sentence. Of what nothing is said yet, or only on this machine, nothing is wrong.
async fn why_unreadable(tools: &Tools, project: &Project) -> Option<String> {
    let Source::Compose(compose) = &project.source else { return None };
    // That there is no Compose is no fault of the project's.
    tools.compose.as_ref()?;
    let failure = match deploy::production_only(tools, project).await {
        Ok(Some(_)) => return None,
        Err(failure) => failure,
        Ok(None) => {
            let workspace = project.workspace.as_ref()?;
            if let Some(missing) = compose.files.iter().find(|file| !workspace.join(file).is_file()) {
                return Some(format!("{} cannot be read: there is no {missing} in {}.", project.name, workspace.display()));
            }
            let files = Files { name: &compose.name, root: workspace, files: &compose.files, directory: workspace, environment: None };
            tools.resolve("", &files).await.err()?
        }
    };
    Some(format!("{} cannot be read: {}", project.name, failure.why))
}
