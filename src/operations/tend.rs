//! Seeing to processes of the host: what is to run runs, also after a reboot, and never beside a container of the same service.

use std::time::Duration;

use super::desk::Desk;
use super::managed;
use crate::domain::project::{Configuration, Project, Source};
use crate::engine::host::ProcessKey;

/// How often it is looked whether what keeps a process was ended. Nothing but our own files is read for that.
const TENDED_EVERY: Duration = Duration::from_secs(10);

impl Desk {
    /// Starts again what was to run and was ended together with what kept it, as long as this is waited for; and where the
    /// engine comes back, stops the containers of what runs as a process by now.
    pub async fn tend_processes(&self) {
        let mut told = self.tools.docker.told();
        let mut followed = false;
        loop {
            let configuration = self.configuration();
            match self.tools.host.resume(|key| is_configured(&configuration, key)).await {
                Ok(resumed) => {
                    for (key, result) in resumed {
                        match result {
                            Ok(()) => tracing::warn!(process = %key, "it was ended together with what kept it, and runs again"),
                            Err(error) => tracing::error!(process = %key, %error, "it is to run, and could not be started again"),
                        }
                    }
                }
                Err(error) => tracing::error!(%error, "processes of the host could not be looked after"),
            }
            let following = told.borrow_and_update().following;
            if following && !std::mem::replace(&mut followed, following) {
                for project in configuration.enabled() {
                    self.part(project).await;
                }
            }
            followed = following;
            tokio::select! {
                () = tokio::time::sleep(TENDED_EVERY) => {}
                _ = told.wait_for(|told| told.following != followed) => {}
            }
        }
    }

    async fn part(&self, project: &Project) {
        // An operation sees to that itself.
        if self.tools.registry.holder(&project.name).is_some() {
            return;
        }
        if let Err(error) = managed::part(&self.tools, project).await {
            tracing::warn!(%error, project = %project.name, "whether its services run twice could not be seen");
        }
    }
}

/// Whether a process is one of a service that is still to be there.
fn is_configured(configuration: &Configuration, key: &ProcessKey) -> bool {
    let project = configuration.projects.get(&key.project).filter(|project| project.enabled);
    let Some(Source::Services(managed)) = project.map(|project| &project.source) else { return false };
    let definition = managed.services.get(&key.service);
    definition.is_some_and(|d| d.process().is_some() && key.instance <= u32::from(d.instances))
}
