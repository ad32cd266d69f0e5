//! Taking back what was told of services after a crash: the engine may still have done something late.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::tools::Tools;
use super::verify::shown;
use crate::domain::container::{Container, Health};
use crate::domain::notice::{Notice, Origin};
use crate::domain::outcome::ServiceOutcome;
use crate::domain::project::Project;
use crate::domain::view::OperationView;

/// For how long after the outcome.
const WINDOW: Duration = Duration::from_secs(30);
/// How often the services are looked at, where the engine reports nothing.
const EVERY: Duration = Duration::from_secs(2);
/// A service that is down at two looks so far apart is down.
const CONFIRMED: Duration = Duration::from_secs(1);

/// Watches the services that an outcome called good. Where one of them is down a little later, although no other operation has
/// begun, the chat is told. It does not keep the job: others wait for the end of that.
pub(super) async fn watch(tools: Tools, project: Project, target: String, origin: Origin, mut view: watch::Receiver<OperationView>) {
    let stopping = tools.stopping.clone();
    let operation = view.borrow().id;
    let work = async {
        let good = match view.wait_for(|view| view.ended.is_some()).await {
            Ok(view) => view
                .ended
                .iter()
                .flat_map(|(_, outcome)| &outcome.services)
                .filter(|s| s.good)
                .map(|s| s.service.clone())
                .collect::<Vec<_>>(),
            Err(_) => return,
        };
        let until = Instant::now() + WINDOW;
        let mut events = tools.docker.told();
        while !good.is_empty() && Instant::now() < until {
            tokio::select! {
                () = sleep(EVERY) => {}
                Ok(()) = events.changed() => {}
            }
            if down(&tools, &project, &good).await.is_empty() {
                continue;
            }
            sleep(CONFIRMED).await;
            let services = down(&tools, &project, &good).await;
            if tools.registry.holder(&project.name).is_some() {
                return;
            }
            if services.is_empty() {
                continue;
            }
            tracing::warn!(operation, ?services, "a service that was reported as up is down");
            let notice = Notice::Corrected { operation, target: target.clone(), services };
            if let Err(error) = tools.history.notice_post(origin, notice, (tools.clock)()).await {
                tracing::error!(operation, %error, "a correction could not be kept");
            }
            return;
        }
    };
    tokio::select! {
        () = work => {}
        () = stopping.cancelled() => {}
    }
}

/// Those of some services, as they were shown, that are down.
async fn down(tools: &Tools, project: &Project, good: &[String]) -> Vec<ServiceOutcome> {
    let Ok(all) = tools.containers(project).await else { return Vec::new() };
    let is_down = |c: &&Container| !c.ended_well() && (!c.runs() || c.health == Health::Unhealthy);
    let line = |c: &Container| {
        let seen = c.condition((tools.clock)()).word().to_owned();
        ServiceOutcome { service: shown(c, &all), good: false, seen }
    };
    all.iter().filter(|c| good.contains(&shown(c, &all))).filter(is_down).map(line).collect()
}
