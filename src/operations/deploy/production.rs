//! What production has of its own: its compose files, resolved, and its variables.

use std::path::{Path, PathBuf};

use super::super::runner::{Job, StepResult};
use super::super::tools::{Config, Hashes, Tools};
use super::links::first_ids;
use crate::domain::failure::Failure;
use crate::domain::project::{Project, ServiceName, Source};
use crate::engine::compose::Files;
use crate::untrusted::{self, CONFIGURATION_MAX};

/// The file with production's variables, where there is one.
pub(in super::super) fn environment(production: &Path) -> Option<PathBuf> {
    Some(production.join(".env")).filter(|p| p.is_file())
}

/// Production's own compose files, resolved; none where it has none yet or the project is none of Compose.
pub(in super::super) async fn production_only(tools: &Tools, project: &Project) -> Result<Option<Config>, Failure> {
    Ok(production(tools, project, false).await?.map(|(config, _)| config))
}

/// Does what brings other files into production, and learns which services those say there are to be: whoever asks for the status
/// next is not to wait for that.
pub(in super::super) async fn learning(job: &Job, work: impl Future<Output = StepResult>) -> StepResult {
    let done = work.await;
    if let Err(failure) = production_only(&job.tools, &job.project).await {
        tracing::warn!(operation = job.operation, why = %failure, "what production's files say now is not known");
    }
    done
}

/// As [`production_only`], with the hashes of its services.
pub(in super::super) async fn production_config(tools: &Tools, project: &Project) -> Result<Option<(Config, Hashes)>, Failure> {
    production(tools, project, true).await
}

/// Production's configuration with some services of which Compose takes those in that are behind profiles, and what they need, because
/// they are named; none where production has no compose file.
pub(in super::super) async fn production_of(tools: &Tools, project: &Project, services: &[ServiceName]) -> Result<Option<Config>, Failure> {
    let (Source::Compose(compose), Some(root)) = (&project.source, &project.production) else { return Ok(None) };
    let what = format!("{}'s production cannot be read.", project.name);
    if !has_files(project, root, &compose.files, &what).await? {
        return Ok(None);
    }
    let environment = environment(root);
    let files = Files { name: &compose.name, root, files: &compose.files, directory: root, environment: environment.as_deref() };
    tools.resolve_named(&what, &files, services).await.map(Some)
}

/// A hash of production's `.env`, where there is one.
pub(super) async fn environment_hash(production: &Path) -> Option<String> {
    let path = production.join(".env");
    let read = untrusted::off_runtime(move || untrusted::read(&path, CONFIGURATION_MAX)).await.and_then(|read| read);
    read.ok().map(|text| blake3::hash(&text).to_hex().to_string())
}

/// What it means that production is not there, where it is not.
pub(in super::super) async fn missing_production(project: &Project) -> Option<String> {
    let root = project.production.clone()?;
    let shown = root.display().to_string();
    let is_missing = untrusted::off_runtime(move || matches!(root.try_exists(), Ok(false))).await.unwrap_or_default();
    let name = &project.name;
    is_missing.then(|| {
        format!("Production {shown} of {name} is missing (moved away, or not mounted). Its containers run on with what they have.")
    })
}

/// Whether production has all of its compose files.
async fn has_files(project: &Project, root: &Path, files: &[String], what: &str) -> Result<bool, Failure> {
    let (place, owned) = (root.to_owned(), files.to_vec());
    let look = move || {
        if !place.is_dir() {
            return Err(format!("Its production {} is missing", place.display()));
        }
        for file in owned.iter().map(|file| place.join(file)) {
            match untrusted::check(&file, CONFIGURATION_MAX) {
                Ok(()) => {}
                Err(error) if error.is_missing() => return Ok(false),
                Err(error) => return Err(format!("{} {error}", file.display())),
            }
        }
        Ok(true)
    };
    let looked = untrusted::off_runtime(look).await.map_err(|error| format!("Its production {} {error}", root.display()));
    let next = format!("Put it back or mount it, or correct \"production\" of {} in projects.json.", project.name);
    looked.and_then(|there| there).map_err(|why| Failure::new(what, format!("{why}."), next))
}

async fn production(tools: &Tools, project: &Project, hashed: bool) -> Result<Option<(Config, Hashes)>, Failure> {
    let (Source::Compose(compose), Some(root)) = (&project.source, &project.production) else { return Ok(None) };
    let what = format!("{}'s production cannot be read.", project.name);
    if !has_files(project, root, &compose.files, &what).await? {
        // What they said of which services there are to be counts no longer.
        tools.desired.remove(&project.name);
        return Ok(None);
    }
    let environment = environment(root);
    let files = Files { name: &compose.name, root, files: &compose.files, directory: root, environment: environment.as_deref() };
    let config = tools.resolve(&what, &files).await?;
    tools.learn(project, &config);
    let hashes = match hashed {
        true => {
            let containers = tools.glance(project).await.map_err(|e| e.failure(&*what))?;
            tools.hashes(&what, &files, &config.resolved, &first_ids(&containers)).await?
        }
        false => Hashes::new(),
    };
    Ok(Some((config, hashes)))
}
