//! What becomes of services that dockmaster made when it ends itself: as each project says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::super::desk::Desk;
use super::of;
use crate::domain::container::{Container, State};
use crate::domain::managed::OnShutdown;
use crate::domain::plan::{Needs, layers};
use crate::domain::project::{Project, ProjectName, ServiceName};

/// How long all of it may take, the longest stop included: whoever ends dockmaster does not wait for ever. What the engine was
/// asked for goes on without it.
const LIMIT: Duration = Duration::from_secs(60);

impl Desk {
    /// Stops or removes the services of the projects that want it so, side by side, what depends on others first. What cannot be
    /// is logged, and the rest goes on. Call it when no operation runs any more, and none begins.
    pub async fn shut_services(&self) {
        let configuration = self.configuration();
        let wants = |project: &&Project| of(project).is_some_and(|managed| managed.on_shutdown != OnShutdown::Keep);
        let projects: Vec<&Project> = configuration.enabled().filter(wants).collect();
        if projects.is_empty() {
            return;
        }
        let unfinished: BTreeSet<ProjectName> = match self.tools.history.operations_unfinished().await {
            Ok(records) => records.iter().map(|record| record.plan.request.project().clone()).collect(),
            Err(error) => {
                return tracing::error!(%error, "services are left as they are: whether an operation is unfinished cannot be read");
            }
        };
        let until = Instant::now() + LIMIT;
        join_all(projects.into_iter().map(|project| self.shut(project, &unfinished, until))).await;
    }

    async fn shut(&self, project: &Project, unfinished: &BTreeSet<ProjectName>, until: Instant) {
        let Some(how) = of(project).map(|managed| managed.on_shutdown) else { return };
        let name = &project.name;
        if unfinished.contains(name) {
            return tracing::warn!(project = %name, "services are left as they are: the next start finishes an operation on them");
        }
        let services = of(project).map(|managed| managed.services.keys().cloned().collect()).unwrap_or_default();
        let containers = match tokio::time::timeout_at(until, self.tools.everything(project, &services)).await {
            Ok(Ok(containers)) => containers,
            Ok(Err(error)) => return tracing::error!(project = %name, %error, "services could not be ended with dockmaster"),
            Err(_) => return tracing::error!(project = %name, "services could not be ended with dockmaster in time"),
        };
        let ours = self.tools.own.as_ref().map(|own| own.container.as_str());
        let (mut ended, mut failed) = (0usize, 0usize);
        for layer in in_order(project, &containers) {
            let meant = containers.iter().filter(|c| layer.contains(&c.service) && Some(c.id.as_str()) != ours);
            for done in join_all(meant.map(|container| self.shut_one(project, container, how, until))).await {
                *(if done { &mut ended } else { &mut failed }) += 1;
            }
        }
        tracing::info!(project = %name, how = how.word(), ended, failed, "services were ended with dockmaster");
    }

    /// Whether it was done; why not is logged.
    async fn shut_one(&self, project: &Project, container: &Container, how: OnShutdown, until: Instant) -> bool {
        let tools = &self.tools;
        let work = async {
            if matches!(container.state, State::Running | State::Restarting | State::Paused) {
                tools.stop(container, project.restart.stop_timeout).await?;
            }
            if how == OnShutdown::Remove { tools.remove(container).await } else { Ok(()) }
        };
        match tokio::time::timeout_at(until, work).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::error!(container = container.name, %error, "a service could not be ended with dockmaster");
                false
            }
            Err(_) => {
                tracing::error!(container = container.name, "a service did not end in time");
                false
            }
        }
    }
}

/// The services in the order in which they end: what depends on others first.
fn in_order(project: &Project, containers: &[Container]) -> Vec<Vec<ServiceName>> {
    let needs = Needs::of(&project.source, containers, &BTreeMap::new());
    let services: BTreeSet<ServiceName> = containers.iter().map(|c| c.service.clone()).collect();
    let mut order = layers(&services, |service| needs.names(service));
    order.reverse();
    order
}
