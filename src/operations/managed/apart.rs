//! That a service which can be either is never a container and a process at once, also where the engine is away and cannot tell.

use std::path::{Path, PathBuf};

use super::super::tools::Tools;
use super::{of, those};
use crate::domain::container::Container;
use crate::domain::failure::Failure;
use crate::domain::managed::{Definition, Runs};
use crate::domain::project::{Project, ProjectName, ServiceName};
use crate::engine::docker::EngineError;

/// How many containers of a service are kept in mind.
const KEPT_MAX: usize = 64;

/// Where it is kept which containers a service ran as last: the engine may be away when that matters.
fn place(tools: &Tools, project: &ProjectName, service: &ServiceName) -> PathBuf {
    tools.place(project).join(format!("containers-{service}"))
}

/// Keeps which containers a service runs as.
pub(super) fn remember(tools: &Tools, project: &ProjectName, service: &ServiceName, containers: &[&Container]) {
    keep(tools, project, service, containers.iter().filter(|c| !c.is_process()).map(|c| c.id.as_str()));
}

/// Keeps that a service is about to run as one more container. One too many does no harm.
pub(super) fn note(tools: &Tools, project: &ProjectName, service: &ServiceName, id: &str) {
    let known = known(tools, project, service);
    let others = known.lines().filter(|known| *known != id).take(KEPT_MAX);
    keep(tools, project, service, std::iter::once(id).chain(others));
}

fn known(tools: &Tools, project: &ProjectName, service: &ServiceName) -> String {
    std::fs::read_to_string(place(tools, project, service)).unwrap_or_default()
}

fn keep<'a>(tools: &Tools, project: &ProjectName, service: &ServiceName, ids: impl Iterator<Item = &'a str>) {
    let path = place(tools, project, service);
    let ids: String = ids.map(|id| format!("{id}\n")).collect();
    let kept = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&path, ids));
    if let Err(error) = kept {
        tracing::warn!(%error, %service, "which container it runs as could not be kept; without the engine nobody would know whether that still runs");
    }
}

/// Whether the container that a service ran as last is still alive, as far as that is seen without its engine.
pub(in super::super) fn is_contained(tools: &Tools, project: &ProjectName, service: &ServiceName) -> bool {
    known(tools, project, service).lines().filter(|id| !id.is_empty()).any(|id| runs(Path::new("/proc"), id))
}

/// Refuses to begin a process while the container of the same service still runs without its engine.
///
/// # Errors
/// It does.
pub(super) fn refuse(tools: &Tools, project: &ProjectName, service: &ServiceName) -> Result<(), Failure> {
    if !is_contained(tools, project, service) {
        return Ok(());
    }
    Err(Failure::new(
        format!("{service} was not started as a process."),
        "The engine does not answer, but its container still runs: there would be two of it.",
        "Start the engine, or end the container's processes by hand, and ask again.",
    ))
}

/// Whether any process belongs to a container, by what the kernel says of it.
fn runs(proc: &Path, id: &str) -> bool {
    let entries = std::fs::read_dir(proc).into_iter().flatten().flatten();
    let processes = entries.filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit));
    processes.into_iter().any(|entry| std::fs::read_to_string(entry.path().join("cgroup")).is_ok_and(|groups| groups.contains(id)))
}

/// Stops the containers of services that run as processes: the engine may have started them when it came back. What began as a
/// process stays one until the next deploy.
pub(in super::super) async fn part(tools: &Tools, project: &Project) -> Result<(), EngineError> {
    let both = |definition: &Definition| matches!(definition.runs, Runs::Either(..));
    let services = of(project).into_iter().flat_map(|managed| managed.services.iter().filter(|(_, definition)| both(definition)));
    let services: Vec<&ServiceName> = services.map(|(service, _)| service).collect();
    if services.is_empty() {
        return Ok(());
    }
    let all = tools.containers(project).await?;
    for service in services {
        let those = those(service, &all);
        // One that is not well is there as well.
        if those.iter().any(|c| c.is_process() && c.may_run()) {
            for container in those.iter().filter(|c| !c.is_process() && c.runs()) {
                tracing::warn!(
                    container = container.name,
                    "it runs as a process already: the container that the engine started is stopped"
                );
                tools.stop(container, project.restart.stop_timeout).await?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_runs_as_long_as_the_kernel_has_a_process_of_it() {
        let proc = tempfile::tempdir().unwrap();
        for (pid, groups) in
            [("17", "0::/system.slice/docker-4e57459c.scope\n"), ("18", "12:cpu:/docker/77aa\n"), ("self", "0::/docker/99\n")]
        {
            std::fs::create_dir(proc.path().join(pid)).unwrap();
            std::fs::write(proc.path().join(pid).join("cgroup"), groups).unwrap();
        }
        assert_eq!(["4e57459c", "77aa", "99"].map(|id| runs(proc.path(), id)), [true, true, false]);
    }
}
