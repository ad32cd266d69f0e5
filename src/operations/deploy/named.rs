//! What projects.json says of a compose project beside what its files say: one compose project name, and only services that are
//! there. A second name would bring up a second set of containers on empty volumes; a service that is misspelt takes the protection
//! from a database.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::super::tools::Tools;
use super::production::production_only;
use crate::domain::compose_name::{declares, name_in_files};
use crate::domain::failure::Failure;
use crate::domain::names::offer;
use crate::domain::project::{Project, ServiceName, Source};
use crate::domain::untrusted::UntrustedText;
use crate::untrusted::{self, CONFIGURATION_MAX};

/// A project's compose files and `.env`, as they stand in its directories.
struct Texts {
    environment: Option<String>,
    /// Of what is deployed, or else of production.
    coming: Vec<String>,
    /// Of both.
    all: Vec<String>,
}

/// Refuses an operation on a compose project whose files contradict projects.json. `coming` is where the compose files of the operation
/// are, `known` the services that are known already.
///
/// # Errors
/// The files name another compose project, or projects.json names a service that is nowhere.
pub(in super::super) async fn check_names(
    tools: &Tools,
    project: &Project,
    what: &str,
    coming: Option<&Path>,
    known: &BTreeSet<ServiceName>,
) -> Result<(), Failure> {
    let Source::Compose(compose) = &project.source else { return Ok(()) };
    let texts = read(project, &compose.files, coming).await;
    if let Some((name, origin)) = name_in_files(texts.environment.as_deref(), &texts.coming)
        && name != compose.name
    {
        return Err(Failure::new(
            what,
            format!(
                "The compose project is {} by {origin}, and {} by projects.json: that would be a second set of containers on empty volumes.",
                UntrustedText::from(name.as_str()),
                UntrustedText::from(compose.name.as_str())
            ),
            format!("Set \"compose.name\" of {} to the one that runs, and take the other one away.", project.name),
        ));
    }
    let unknown = |(_, name): &(&str, &ServiceName)| !known.contains(*name) && !declares(&texts.all, name.as_str());
    let unknown: Vec<(&str, &ServiceName)> = configured(project).filter(unknown).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    // A file that is included may have it. What cannot be resolved is told by whoever needs it.
    let resolved = production_only(tools, project).await.ok().flatten();
    // What is behind a profile is there, too.
    let declared: BTreeSet<ServiceName> =
        resolved.iter().flat_map(|config| config.desired().names().cloned().collect::<Vec<_>>()).collect();
    let known: BTreeSet<&str> = known.iter().chain(&declared).map(ServiceName::as_str).collect();
    let wrong: Vec<(&str, &ServiceName)> = unknown.into_iter().filter(|(_, name)| !declared.contains(*name)).collect();
    let Some((field, name)) = wrong.first() else { return Ok(()) };
    let known = offer(name.as_str(), known.iter().copied());
    Err(Failure::new(
        what,
        format!("\"{field}\" in projects.json names “{name}”, and the compose files have no such service. {known}"),
        format!("Correct \"{field}\" of {} in projects.json.", project.name),
    ))
}

/// The services that projects.json names, with the field that does.
fn configured(project: &Project) -> impl Iterator<Item = (&'static str, &ServiceName)> {
    let stateful = project.stateful.iter().map(|name| ("stateful", name));
    let jobs = project.jobs.iter().map(|name| ("jobs", name));
    stateful.chain(jobs).chain(project.primary.iter().map(|name| ("primary", name)))
}

async fn read(project: &Project, files: &[String], coming: Option<&Path>) -> Texts {
    let production = project.production.clone();
    let roots: Vec<PathBuf> = coming.map(Path::to_owned).into_iter().chain(production.clone()).chain(project.workspace.clone()).collect();
    let files = files.to_vec();
    let work = move || {
        let text = |path: PathBuf| untrusted::read_text(&path, CONFIGURATION_MAX).ok();
        let of = |root: &PathBuf| files.iter().filter_map(|file| text(root.join(file))).collect::<Vec<String>>();
        let each: Vec<Vec<String>> = roots.iter().map(of).collect();
        Texts {
            environment: production.and_then(|root| text(root.join(".env"))),
            coming: each.iter().find(|texts| !texts.is_empty()).cloned().unwrap_or_default(),
            all: each.into_iter().flatten().collect(),
        }
    };
    let nothing = || Texts { environment: None, coming: Vec::new(), all: Vec::new() };
    untrusted::off_runtime(work).await.unwrap_or_else(|_| nothing())
}
