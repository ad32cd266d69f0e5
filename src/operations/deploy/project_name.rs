//! A production directory whose containers run under another compose project's name than the configured one.

use super::super::tools::Tools;
use crate::domain::failure::Failure;
use crate::domain::plan::Plan;
use crate::domain::project::{Project, Source};
use crate::domain::text::listing;
use crate::domain::untrusted::UntrustedText;

/// Refuses a plan that would make a second set of containers and volumes beside those that run from the same directory. Where the
/// project has containers of its own as well, the plan says what else runs there.
///
/// # Errors
/// It would, or the engine does not answer.
pub(in super::super) async fn check_project_name(
    tools: &Tools,
    project: &Project,
    plan: &mut Plan,
    has_containers: bool,
) -> Result<(), Failure> {
    let (Source::Compose(compose), Some(production)) = (&project.source, &project.production) else { return Ok(()) };
    let what = format!("{} could not be planned.", plan.kind().verb());
    let mut running = tools.docker.compose_projects().await.map_err(|e| e.failure(&*what))?;
    let real = tokio::fs::canonicalize(production).await.unwrap_or_else(|_| production.clone());
    let mut names = running.remove(&real).unwrap_or_default();
    names.remove(&compose.name);
    let Some(first) = names.first() else { return Ok(()) };
    let shown = listing(names.iter().map(UntrustedText::from), 3);
    if has_containers {
        plan.warnings.push(format!("The compose project {shown} runs from {} as well.", UntrustedText::path(production)));
        return Ok(());
    }
    let noun = if names.len() == 1 { "project" } else { "projects" };
    Err(Failure::new(
        what,
        format!(
            "Compose {noun} {shown} runs from this directory: {} would make a second set of containers and empty volumes.",
            compose.name
        ),
        format!("Set \"compose.name\" of {} to {} in projects.json, and ask again.", project.name, UntrustedText::from(first)),
    ))
}
