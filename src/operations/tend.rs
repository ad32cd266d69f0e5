//! Seeing to what dockmaster runs itself: what is to run runs, also after a reboot or an engine that was killed, and no process of the
//! host beside a container of the same service.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::desk::Desk;
use super::managed;
use super::stops::{down_since_engine, stopped};
use crate::domain::project::{Configuration, Project, Source};
use crate::domain::request::Kind;
use crate::engine::docker::EngineError;
use crate::engine::host::ProcessKey;

/// How often it is looked whether what keeps a process was ended. Nothing but our own files is read for that.
const TENDED_EVERY: Duration = Duration::from_secs(10);

impl Desk {
    /// Starts again what was to run and was ended together with what kept it, as long as this is waited for; and where the
    /// engine comes back, stops the containers of what runs as a process by now.
    pub async fn tend_processes(&self) {
        let mut told = self.tools.docker.told();
        let (mut followed, mut to_part, mut failing) = (false, BTreeSet::new(), BTreeMap::new());
        loop {
            let configuration = self.configuration();
            self.start_again(&configuration, &mut failing).await;
            let following = told.borrow_and_update().following;
            if following && !followed {
                to_part = configuration.enabled().map(|project| project.name.clone()).collect();
            }
            followed = following;
            if following {
                // The engine may be about to start them, an operation may be at it: it is looked again until it is seen to be well.
                for name in std::mem::take(&mut to_part) {
                    if let Some(project) = configuration.projects.get(&name).filter(|project| project.enabled)
                        && !(self.part(project).await && self.raise(project).await)
                    {
                        to_part.insert(name);
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(TENDED_EVERY) => {}
                _ = told.wait_for(|told| told.following != followed) => {}
            }
        }
    }

    /// Starts what is to run again. What cannot be started is said once for each reason.
    async fn start_again(&self, configuration: &Configuration, failing: &mut BTreeMap<ProcessKey, String>) {
        let resumed = match self.tools.host.resume(|key| is_configured(configuration, key)).await {
            Ok(resumed) => resumed,
            Err(error) => return tracing::error!(%error, "processes of the host could not be looked after"),
        };
        let still: BTreeMap<ProcessKey, String> =
            resumed.iter().filter_map(|(key, result)| Some((key.clone(), result.as_ref().err()?.to_string()))).collect();
        for (process, result) in &resumed {
            match result {
                Ok(()) => tracing::warn!(%process, "it was ended together with what kept it, and runs again"),
                Err(_) if failing.get(process) == still.get(process) => {}
                Err(error) => tracing::error!(%process, %error, "it is to run, and could not be started again; it is tried again"),
            }
        }
        *failing = still;
    }

    /// Whether it was seen that no service of a project runs twice.
    async fn part(&self, project: &Project) -> bool {
        // An operation may be just about to start or stop one.
        if self.tools.registry.holder(&project.name).is_some() {
            return false;
        }
        let parted = managed::part(&self.tools, project).await;
        if let Err(error) = &parted {
            tracing::warn!(%error, project = %project.name, "whether its services run twice could not be seen");
        }
        parted.is_ok()
    }

    /// Whether every container that dockmaster made, and that is down only since the engine was killed, was started again.
    async fn raise(&self, project: &Project) -> bool {
        if !matches!(project.source, Source::Services(_)) {
            return true;
        }
        if self.tools.registry.holder(&project.name).is_some() {
            return false;
        }
        // Whoever wanted it down may have been about to say so. What cannot be read is no reason to start anything.
        let last = self.tools.history.operations_of(project.name.clone(), 1).await;
        if !last.is_ok_and(|last| last.first().is_none_or(|last| last.plan.kind() != Kind::Stop)) {
            return true;
        }
        let raised = async {
            let containers = self.tools.containers(project).await?;
            let stopped = stopped(&self.tools, &containers).await;
            let down = down_since_engine(&self.tools, &containers, &stopped).await;
            for container in containers.iter().filter(|c| down.contains(&c.id)) {
                self.tools.start(container).await?;
                tracing::warn!(container = container.name, "it ran before the engine restarted, and is started again");
            }
            Ok::<_, EngineError>(())
        };
        let raised = raised.await;
        if let Err(error) = &raised {
            tracing::warn!(%error, project = %project.name, "what ran before the engine restarted could not be started again");
        }
        raised.is_ok()
    }
}

/// Whether a process is one of a service that is still to be there.
fn is_configured(configuration: &Configuration, key: &ProcessKey) -> bool {
    let project = configuration.projects.get(&key.project).filter(|project| project.enabled);
    let Some(Source::Services(managed)) = project.map(|project| &project.source) else { return false };
    let definition = managed.services.get(&key.service);
    definition.is_some_and(|d| d.process().is_some() && key.instance <= u32::from(d.instances))
}
