//! The names that services need on an engine which others use, too.

use std::collections::BTreeSet;

use super::super::tools::Tools;
use super::of;
use crate::domain::container::Container;
use crate::domain::failure::Failure;
use crate::domain::managed::{Network, container_name, label, network_name};
use crate::domain::plan::{Action, Plan};
use crate::domain::project::{Project, ProjectName};
use crate::domain::untrusted::UntrustedText;
use crate::engine::docker::EngineError;

/// Refuses a plan that needs the name of a container or a network which this dockmaster has not made: before anybody agrees to
/// it, and before anything stops. `there` is what runs of the project.
///
/// # Errors
/// It does, or the engine refuses to say.
pub(in super::super) async fn check_names(tools: &Tools, project: &Project, plan: &Plan, there: &[Container]) -> Result<(), Failure> {
    match taken(tools, project, plan, there).await {
        Ok(None) => Ok(()),
        Ok(Some(failure)) => Err(failure),
        // What becomes a process needs none, and for the rest the plan is no good without an engine anyway.
        Err(EngineError::Away(_)) => Ok(()),
        Err(error) => Err(error.failure(what(plan))),
    }
}

fn what(plan: &Plan) -> String {
    format!("{} could not be planned.", plan.kind().verb())
}

async fn taken(tools: &Tools, project: &Project, plan: &Plan, there: &[Container]) -> Result<Option<Failure>, EngineError> {
    let Some(managed) = of(project) else { return Ok(None) };
    let makes = plan.services.iter().filter(|service| matches!(service.action, Action::Create | Action::Recreate));
    let made = makes.filter_map(|planned| {
        let definition = managed.services.get(&planned.service)?;
        Some((&planned.service, definition, definition.container()?))
    });
    let (known, mut networks): (BTreeSet<&str>, bool) = (there.iter().map(|c| c.name.as_str()).collect(), false);
    for (service, definition, container) in made {
        networks |= container.network == Network::Own;
        for number in definition.numbers() {
            let name = container_name(&project.name, service, (definition.instances > 1).then_some(number));
            if known.contains(name.as_str()) {
                continue;
            }
            let found = tools.docker.container(&name).await?;
            if found.is_some_and(|found| found.labels.get(label::OWNER) != Some(&tools.instance)) {
                return Ok(Some(name_taken(&what(plan), &name)));
            }
        }
    }
    let ours = if networks { tools.docker.owns_network(&project.name, &tools.instance).await? } else { None };
    Ok((ours == Some(false)).then(|| network_taken(&what(plan), &project.name)))
}

/// What an engine that refuses to make or name a container says of it; that its name is taken, in words for a person.
pub(super) fn refused(what: &str, name: &str, error: EngineError) -> Failure {
    match error {
        EngineError::Refused(why) if why.raw().contains("already in use") => name_taken(what, name),
        other => other.failure(what),
    }
}

fn name_taken(what: &str, name: &str) -> Failure {
    Failure::new(
        what,
        format!("There is a container {} already, which this dockmaster has not made.", UntrustedText::from(name)),
        "Another dockmaster may have a service of that name on this engine: call the project or the service otherwise here, or remove that container, and ask again.",
    )
}

/// That the project's network is not ours, likewise.
pub(super) fn network_taken(what: &str, project: &ProjectName) -> Failure {
    Failure::new(
        what,
        format!("There is a network {} already, which this dockmaster has not made.", network_name(project)),
        "Another dockmaster may have a project of that name on this engine: call the project otherwise here, or remove that network, and ask again.",
    )
}
