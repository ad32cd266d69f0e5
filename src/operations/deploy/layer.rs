//! Bringing up one layer of services: what they need stands already, or is waited for, and nothing of it is started again.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::super::lifecycle::watch_for;
use super::super::runner::{Job, StepResult, Stop};
use super::super::verify::{Whom, verify};
use super::super::whole::{Refused, call, explain};
use crate::domain::container::Container;
use crate::domain::event::Progress;
use crate::domain::job::Job as JobKind;
use crate::domain::plan::Need;
use crate::domain::project::ServiceName;
use crate::domain::request::Kind;
use crate::engine::compose::{Definition, Files, Hidden, Resolved, Scale, Up};
use crate::engine::passing::is_stuck;

/// What the layers of a step have in common.
pub(super) struct Layers<'a> {
    pub(super) job: &'a Job,
    /// What it means that a layer is not brought up.
    pub(super) what: &'a str,
    pub(super) files: Files<'a>,
    /// The configuration, with the definitions of what stays in their places where `substituted` says so.
    pub(super) resolved: &'a Resolved,
    pub(super) substituted: bool,
    /// Whether Compose ignores what a service depends on (`--no-deps`).
    pub(super) without_dependencies: bool,
    /// The services that Compose sees no reason to remake.
    pub(super) forced: BTreeSet<ServiceName>,
    /// The numbers of containers that are not those that the files declare.
    pub(super) scale: &'a Scale,
    pub(super) definitions: &'a BTreeMap<ServiceName, Definition>,
    /// All services of the step.
    pub(super) services: &'a [ServiceName],
    pub(super) hidden: &'a Hidden,
    /// How long a call may take.
    pub(super) limit: Duration,
}

impl Layers<'_> {
    /// Remakes all services of networks that Compose recreates, by one call and without starting any. The layers start them.
    ///
    /// Compose stops what is in such a network, and fails half way where it was not told of all of them. By itself it would then
    /// connect the containers that there were to the new network without the names by which they find each other: they are remade.
    pub(super) async fn with_remade_networks(mut self, containers: &[Container]) -> Result<Self, Stop> {
        let remade = self.resolved.used_networks().into_iter().filter(|network| self.job.plan.remade_networks.contains(&network.key));
        let within: BTreeSet<ServiceName> = remade.flat_map(|network| network.services).collect();
        // Nothing was remade yet of what is undone.
        if within.is_disjoint(&self.forced) {
            return Ok(self);
        }
        let together: Vec<ServiceName> = within.into_iter().filter(|service| containers.iter().any(|c| c.service == *service)).collect();
        let how = Up { from_stdin: self.substituted, without_dependencies: self.without_dependencies, forced: true, keeps: false };
        self.call(self.files.make(how, &self.scale_of(&together), &together), self.input()).await?;
        self.forced.retain(|service| !together.contains(service));
        Ok(self)
    }

    /// Brings up one layer.
    ///
    /// Compose starts whatever the layer needs and does not run: a job that is done would run again, and what a person stopped
    /// would come back. Where there is such a service, what the layer needs is waited for here, its containers are made without
    /// being started, and then started over a configuration of nothing else. Their labels are those of a plain `up`.
    pub(super) async fn up(&self, layer: &[ServiceName]) -> Result<(), Stop> {
        let (job, what) = (self.job, self.what);
        let beneath = beneath(self.definitions, layer);
        let containers = match beneath.is_empty() {
            true => Vec::new(),
            false => job.tools.containers(&job.project).await.map_err(|e| e.failure(what))?,
        };
        let apart = containers.iter().any(|c| beneath.contains(&c.service) && would_start(c));
        if apart || (self.without_dependencies && !beneath.is_empty()) {
            self.await_needed(layer, &containers).await?;
        }
        let (forced, seen): (Vec<ServiceName>, Vec<ServiceName>) = layer.iter().cloned().partition(|s| self.forced.contains(s));
        for (services, forced) in [(seen, false), (forced, true)].iter().filter(|(services, _)| !services.is_empty()) {
            // What is missing is made, and nothing remade, where somebody only asked for a start.
            let keeps = job.plan.kind() == Kind::Start;
            let how = Up { from_stdin: self.substituted, without_dependencies: self.without_dependencies, forced: *forced, keeps };
            let scale = self.scale_of(services);
            let args = if apart { self.files.make(how, &scale, services) } else { self.files.up(how, &scale, services) };
            self.call(args, self.input()).await?;
        }
        if !apart {
            return Ok(());
        }
        let made = job.tools.containers(&job.project).await.map_err(|e| e.failure(what))?;
        // Of a service without containers Compose would say that there is nothing to start.
        let asleep: BTreeSet<ServiceName> =
            made.into_iter().filter(|c| layer.contains(&c.service) && !c.runs()).map(|c| c.service).collect();
        match asleep.is_empty() {
            true => Ok(()),
            false => self.call(self.files.start_all(), Some(self.resolved.to_start(&asleep).to_bytes())).await,
        }
    }

    /// Of the numbers of containers those that a call for some services has to do with: Compose refuses any other.
    fn scale_of(&self, services: &[ServiceName]) -> Scale {
        let beneath = if self.without_dependencies { BTreeSet::new() } else { beneath(self.definitions, services) };
        let takes_part = |s: &ServiceName| services.contains(s) || beneath.contains(s);
        self.scale.iter().filter(|(s, _)| takes_part(s)).map(|(s, n)| (s.clone(), *n)).collect()
    }

    fn input(&self) -> Option<Vec<u8>> {
        self.substituted.then(|| self.resolved.to_bytes())
    }

    /// Calls Compose. Where a release is undone, a container that the engine can never start again gets another in its place: nothing
    /// else would bring its service back.
    async fn call(&self, args: Vec<OsString>, input: Option<Vec<u8>>) -> Result<(), Stop> {
        let mut remade = BTreeSet::new();
        loop {
            let Err(Refused { message, failure, by_compose, .. }) = self.called(args.clone(), input.clone()).await? else { return Ok(()) };
            if self.job.undoing.get().is_some()
                && is_stuck(&message)
                && let Some(service) = self.named_in(&message).await?
                && remade.insert(service.clone())
            {
                self.remake(service).await?;
                continue;
            }
            return Err(if by_compose { explain(self.job, &message, failure).await } else { failure }.into());
        }
    }

    async fn called(&self, args: Vec<OsString>, input: Option<Vec<u8>>) -> Result<Result<(), Refused>, Stop> {
        let mut invocation = self.job.tools.compose(self.what, args, self.limit, &self.job.mark)?;
        if let Some(input) = input {
            invocation = invocation.stdin(input);
        }
        // Never cancelled: killed in the middle of remaking a container, Compose leaves the old one stopped and the new one half made.
        let never = CancellationToken::new();
        Ok(call(self.job, self.what, &invocation, self.hidden, &never).await)
    }

    /// The service of the container whose id is in a message.
    async fn named_in(&self, message: &str) -> Result<Option<ServiceName>, Stop> {
        let containers = self.job.tools.containers(&self.job.project).await.map_err(|e| e.failure(self.what))?;
        Ok(containers.into_iter().find(|c| message.contains(&c.id)).map(|c| c.service))
    }

    /// Makes other containers in the place of a service's, without starting them.
    async fn remake(&self, service: ServiceName) -> Result<(), Stop> {
        tracing::warn!(operation = self.job.operation, %service, "the engine can never start its container again; another is made");
        self.job.recorder.service(service.as_str(), Progress::Working, "recreated: the engine lost its container");
        let how = Up { from_stdin: self.substituted, without_dependencies: self.without_dependencies, forced: true, keeps: false };
        let service = [service];
        match self.called(self.files.make(how, &self.scale_of(&service), &service), self.input()).await? {
            Ok(()) => Ok(()),
            Err(refused) => Err(refused.failure.into()),
        }
    }

    /// Waits until what a layer needs is what it asks for, each for as long as services may take to become healthy.
    async fn await_needed(&self, layer: &[ServiceName], containers: &[Container]) -> StepResult {
        let (mut asked, mut optional) = (BTreeMap::new(), BTreeMap::new());
        for (needed, (need, is_required)) in self.resolved.needed_by(layer) {
            let of: Vec<&Container> = containers.iter().filter(|c| c.service == needed).collect();
            let done = !of.is_empty() && of.iter().all(|c| c.exited_zero());
            let comes = of.iter().any(|c| c.runs()) || self.services.contains(&needed);
            // What stays down is none of this: the plan says so.
            if comes && !(need == Need::Completed && done) {
                if is_required { &mut asked } else { &mut optional }.insert(needed, need);
            }
        }
        if !optional.is_empty() {
            let services: BTreeSet<ServiceName> = optional.keys().cloned().collect();
            let whom = Whom { enough: &optional, ..Whom::of(&services) };
            let waited = verify(&self.job.tools, &self.job.project, whom, &self.job.recorder, self.job.ends_watching()).await;
            // Without it is good enough.
            if let (true, Some(failure)) = (waited.cut_short, waited.failure) {
                return Err(Stop::cut_short(failure, true));
            }
        }
        let services: BTreeSet<ServiceName> = asked.keys().cloned().collect();
        watch_for(self.job, Whom { enough: &asked, ..Whom::of(&services) }).await
    }
}

/// What some services need, and so on, beside themselves.
fn beneath(definitions: &BTreeMap<ServiceName, Definition>, layer: &[ServiceName]) -> BTreeSet<ServiceName> {
    let mut found = BTreeSet::new();
    let mut queue: Vec<&ServiceName> = layer.iter().collect();
    while let Some(service) = queue.pop() {
        for needed in definitions.get(service).into_iter().flat_map(|d| &d.depends_on) {
            if !layer.contains(needed) && found.insert(needed.clone()) {
                queue.push(needed);
            }
        }
    }
    found
}

/// Whether Compose would start a container that others need, now or by the time it comes to that.
fn would_start(container: &Container) -> bool {
    !container.runs() || container.purpose.job == Some(JobKind::Named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::container::tests::container;
    use crate::domain::container::{Health, State};
    use crate::domain::job::Purpose;

    #[test]
    fn ended_job_and_stopped_service_would_start() {
        let of = |state, job| Container { purpose: Purpose { job, serves: false }, ..container("db", state, Health::None) };
        assert!(!would_start(&of(State::Running, None)) && !would_start(&of(State::Paused, None)));
        assert!(would_start(&of(State::Exited, None)) && would_start(&of(State::Created, None)));
        assert!(would_start(&of(State::Running, Some(JobKind::Named))), "it may have ended by then");
        assert!(!would_start(&of(State::Running, Some(JobKind::MayEnd))), "nobody waits for its end");
    }
}
