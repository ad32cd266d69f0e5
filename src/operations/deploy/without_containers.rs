//! Networks and volumes of services that are to have no containers: Compose makes them all the same.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::super::runner::{Job, StepResult};
use super::super::whole::{Refused, call};
use super::production::{environment, production_only};
use super::up::configuration_changed;
use crate::domain::failure::Failure;
use crate::domain::project::{ServiceName, Source};
use crate::domain::text::count;
use crate::engine::compose::{Files, Scale, Up};

/// How long Compose may take to make them.
const LIMIT: Duration = Duration::from_secs(120);

/// Makes what is missing of them, over a configuration of these services alone: nothing else is touched, whatever they need.
pub(in super::super) async fn make_resources(job: &Job, services: &[ServiceName]) -> StepResult {
    let what = "Networks and volumes were not made.";
    let (Source::Compose(compose), Some(production)) = (&job.project.source, &job.project.production) else { return Ok(None) };
    let config = production_only(&job.tools, &job.project).await?;
    let config = config.ok_or_else(|| Failure::new(what, "Production has no compose file.", "Deploy first: /docker_deploy."))?;
    if job.deploy.as_ref().is_some_and(|facts| !facts.is_configured_as(&config)) {
        return Err(configuration_changed(what).into());
    }
    let only: BTreeSet<ServiceName> = services.iter().cloned().collect();
    let environment = environment(production);
    let files =
        Files { name: &compose.name, root: production, files: &compose.files, directory: production, environment: environment.as_deref() };
    let how = Up { from_stdin: true, without_dependencies: true, ..Up::default() };
    let args = files.make(how, &Scale::new(), services);
    let invocation = job.tools.compose(what, args, LIMIT, &job.mark)?.stdin(config.resolved.only(&only).to_bytes());
    // It takes a moment, and half of it does no harm.
    let called = call(job, what, &invocation, &config.resolved.hidden(), &CancellationToken::new()).await;
    called.map_err(|Refused { failure, .. }| failure)?;
    Ok(Some(count(services.len(), "service")))
}
