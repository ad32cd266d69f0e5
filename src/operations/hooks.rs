//! Services with hooks: Compose acts on their containers, since the engine knows nothing of hooks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::deploy;
use super::lifecycle::Act;
use super::runner::Job;
use super::sources;
use super::tools::Tools;
use super::whole::{call, invocation};
use crate::domain::container::Container;
use crate::domain::failure::Failure;
use crate::domain::plan::Plan;
use crate::domain::project::{Project, ServiceName, Source};
use crate::domain::text::listing;
use crate::engine::compose::{Files, HOOKS, Resolved, Version};

/// The longest that a container which says so itself may take to stop, and hooks to run.
const ACT_MAX: Duration = Duration::from_secs(660);

/// The hooks of a project's services by production's files; none where these do not speak of hooks, or cannot be read.
async fn declared(tools: &Tools, project: &Project) -> Option<(Resolved, BTreeMap<ServiceName, Vec<&'static str>>)> {
    let (Source::Compose(compose), Some(root)) = (&project.source, &project.production) else { return None };
    let environment = deploy::environment(root);
    let files = Files { name: &compose.name, root, files: &compose.files, directory: root, environment: environment.as_deref() };
    if !sources::off_runtime(&files, |files| sources::says(files, &HOOKS)).await.unwrap_or_default() {
        return None;
    }
    let resolved = deploy::production_only(tools, project).await.ok()??.resolved;
    let hooks = resolved.hooks();
    (!hooks.is_empty()).then_some((resolved, hooks))
}

/// What is to be said of the hooks of services that take part, where this Compose runs none: a sentence each.
pub(super) fn ignored(version: Option<Version>, hooks: &BTreeMap<ServiceName, Vec<&'static str>>, plan: &Plan) -> Vec<String> {
    let Some(version) = version.filter(|version| !version.runs_hooks()) else { return Vec::new() };
    let affected = |(service, _): &(&ServiceName, _)| plan.affected().any(|planned| planned.service == **service);
    let each = hooks.iter().filter(affected);
    each.map(|(service, hooks)| format!("Compose {version} ignores the hooks of {service} ({}): none of them runs.", listing(hooks, 2)))
        .collect()
}

/// The same for an operation on what is in production.
pub(super) async fn warnings(tools: &Tools, project: &Project, plan: &Plan) -> Vec<String> {
    let version = tools.compose.version();
    if plan.is_empty() || version.is_none_or(Version::runs_hooks) {
        return Vec::new();
    }
    declared(tools, project).await.map(|(_, hooks)| ignored(version, &hooks, plan)).unwrap_or_default()
}

/// The services among those of some containers on which Compose has to act, with the configuration that says so.
pub(super) async fn hooked(job: &Job, meant: &[Container]) -> Option<(Resolved, BTreeSet<ServiceName>)> {
    if !job.tools.compose.version().is_some_and(Version::runs_hooks) {
        return None;
    }
    let (resolved, hooks) = declared(&job.tools, &job.project).await?;
    let services: BTreeSet<ServiceName> = meant.iter().map(|c| &c.service).filter(|s| hooks.contains_key(*s)).cloned().collect();
    (!services.is_empty()).then_some((resolved, services))
}

/// Has Compose act on all containers of one service.
pub(super) async fn act(job: &Job, act: Act, resolved: &Resolved, service: &ServiceName) -> Result<(), Failure> {
    let what = format!("{service} did not {}.", act.verb());
    let one = [service.clone()];
    let (part, within) = (resolved.to_start(&one.clone().into()), job.project.restart.stop_timeout);
    let limit = within.unwrap_or_default() + ACT_MAX;
    let invocation = invocation(job, &what, |files| files.act(act.verb(), within, &one), &part, limit)?;
    // Never cancelled: a restart that is cut off leaves it stopped.
    let never = CancellationToken::new();
    call(job, &what, &invocation, &resolved.hidden(), &never).await.map_err(|refused| refused.failure)
}
