//! Containers of a compose project whose services no compose file of production declares any more.

use super::super::tools::Tools;
use super::production::production_only;
use crate::domain::failure::Failure;
use crate::domain::orphans::{Orphan, composed_orphans};
use crate::domain::project::{Project, Source};

/// The containers that are left over. Where production has no compose file nothing is: nobody knows what there is to be.
///
/// # Errors
/// Production's files cannot be resolved, or the engine cannot be asked.
pub(in super::super) async fn leftovers(tools: &Tools, project: &Project, what: &str) -> Result<Vec<Orphan>, Failure> {
    if !project.enabled || !matches!(project.source, Source::Compose(_)) {
        return Ok(Vec::new());
    }
    let Some(config) = production_only(tools, project).await? else { return Ok(Vec::new()) };
    let mut containers = tools.containers(project).await.map_err(|e| e.failure(what))?;
    containers.retain(|c| tools.own.as_ref().is_none_or(|own| own.container != c.id));
    Ok(composed_orphans(project, &config.desired(), &containers, (tools.clock)()))
}
