//! Whether the projects of a configuration could be deployed as they stand: for `dockmaster check`, before anybody asks for it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde::Serialize;
use tokio::time::timeout;

use super::desk::Desk;
use super::readable::why_unreadable;
use super::sources;
use crate::domain::access::Actor;
use crate::domain::compose_files::{self, Beside, OVERRIDES};
use crate::domain::env_file;
use crate::domain::project::{Project, ProjectName, Source};
use crate::domain::request::{ReleaseOptions, Request};
use crate::domain::words;
use crate::engine::compose::Files;
use crate::untrusted::{self, CONFIGURATION_MAX};

/// How long one project is looked at.
const WITHIN: Duration = Duration::from_secs(60);
/// How many projects are looked at at once.
const AT_ONCE: usize = 4;

/// What was found out about one project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The project.
    pub project: ProjectName,
    /// Why it cannot be deployed, or its files cannot be read; none where nothing is in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What its plan would warn of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Desk {
    /// Plans a deploy of every enabled compose project that has a workspace, and changes nothing. Of one that has none, and where no
    /// engine answers, only the files are read. Projects of which nothing is to be said are left out; so are all where there is no
    /// Compose to ask.
    pub async fn survey(&self) -> Vec<Finding> {
        self.tools.compose.renew().await;
        if self.tools.compose.get().is_none() {
            return Vec::new();
        }
        let configuration = self.configuration();
        let projects: Vec<&Project> = configuration.enabled().filter(|p| matches!(p.source, Source::Compose(_))).collect();
        let with_engine = !self.tools.docker.is_absent() && self.tools.docker.ping().await.is_ok();
        let look = |project| async move {
            let limited = timeout(WITHIN, self.look_into(project, with_engine)).await;
            limited.unwrap_or_else(|_| Finding {
                project: project.name.clone(),
                problem: Some(format!("{} could not be looked at within {} s.", project.name, WITHIN.as_secs())),
                warnings: Vec::new(),
            })
        };
        // In the order of the configuration.
        let found: Vec<Finding> = stream::iter(projects.into_iter().map(look)).buffered(AT_ONCE).collect().await;
        found.into_iter().filter(|finding| finding.problem.is_some() || !finding.warnings.is_empty()).collect()
    }

    async fn look_into(&self, project: &Project, with_engine: bool) -> Finding {
        let finding = |problem, warnings| Finding { project: project.name.clone(), problem, warnings };
        let further = further_files(project).await;
        if project.workspace.is_none() || project.production.is_none() || !with_engine {
            return finding(why_unreadable(&self.tools, project).await, further);
        }
        let request = Request::Deploy { project: project.name.clone(), options: ReleaseOptions::default() };
        match self.plan(&Actor::Console, &request).await {
            Ok(plan) => finding(None, [words::plan_warnings(&plan), further].concat()),
            Err(refusal) => finding(Some(refusal.words((self.tools.clock)()).to_plain()), further),
        }
    }
}

/// What is said of compose files that a project does not name; nothing where its files cannot be looked at.
async fn further_files(project: &Project) -> Vec<String> {
    let (Source::Compose(compose), Some(root)) = (&project.source, project.workspace.clone().or_else(|| project.production.clone())) else {
        return Vec::new();
    };
    let (named, environment) = (compose.files.clone(), project.production.as_ref().map(|production| production.join(".env")));
    let name = compose.name.clone();
    let look = move || {
        let text = environment.and_then(|path| untrusted::read(&path, CONFIGURATION_MAX).ok()).unwrap_or_default();
        let mut variables = env_file::values(&text);
        let files = Files { name: &name, root: &root, files: &named, directory: &root, environment: None };
        let is_own = |path: &PathBuf| named.iter().any(|file| Path::new(file) == path);
        let is_compose = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "yml" || ending == "yaml");
        let beside = Beside {
            overrides: OVERRIDES.iter().filter(|file| root.join(file).is_file()).map(|file| (*file).to_owned()).collect(),
            variable: variables.remove(compose_files::VARIABLE),
            separator: variables.remove("COMPOSE_PATH_SEPARATOR"),
            taken_in: sources::parts(&files).into_iter().filter(|path| is_compose(path) && !is_own(path)).collect(),
        };
        compose_files::remarks(&named, &beside)
    };
    untrusted::off_runtime(look).await.unwrap_or_default()
}
