//! The desk: authorisation, digest check and the project's lock in one place, never in front ends.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::deploy::{self, Coming};
use super::ending;
use super::hooks;
use super::insight::Insights;
use super::keeper::Keeper;
use super::managed;
use super::measures::Measures;
use super::ownerless::ownerless;
use super::recorder::{KEPT_AT_ONCE, Recorder, history_failure, insist};
use super::registry::{Closed, Hold};
use super::relay;
use super::runner::{self, Job};
use super::stops::stopped;
use super::tools::{Config, Tools, random_name};
use super::vitals::Vitals;
use crate::domain::access::{Actor, Denied, Role, allow};
use crate::domain::confirm::Question;
use crate::domain::desired::Standing;
use crate::domain::event::Event;
use crate::domain::failure::Failure;
use crate::domain::names::{Match, find};
use crate::domain::notice::Origin;
use crate::domain::orphans::gone;
use crate::domain::outcome::{Outcome, Verdict};
use crate::domain::plan::{LifecycleFacts, Plan, Variables, plan_lifecycle};
use crate::domain::project::{Configuration, Project, ProjectName, ServiceName, Source};
use crate::domain::request::{Kind, Request};
use crate::domain::status::Busy;
use crate::domain::text::Text;
use crate::domain::untrusted::SHOWN;
use crate::domain::view::OperationView;
use crate::domain::{Millis, words};
use crate::history::operations::NewOperation;

/// How long a restart waits for production's compose files to be resolved.
const LEARN_LIMIT: Duration = Duration::from_secs(5);
/// How often it is tried to keep an outcome once the project is free again: about an hour.
const KEPT_LATER: u32 = 120;

/// Why the desk did not do what was asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// The person may not.
    Denied(Denied),
    /// There is no such project (it may have gone since it was named), or it is disabled.
    NoProject(ProjectName),
    /// Another operation holds the project.
    Busy(ProjectName, Busy),
    /// The plan is no longer the one that was confirmed: this is what would happen now. Nothing was done.
    Changed(Box<Question>),
    /// dockmaster is stopping and takes nothing new.
    Stopping,
    /// There is no such operation.
    NoOperation(i64),
    /// There is no such version of the configuration.
    NoVersion(i64),
    /// It failed before anything was done.
    Failed(Failure),
}

impl Refusal {
    /// The refusal as people are told.
    pub fn words(&self, now: Millis) -> Text {
        match self {
            Self::Denied(denied) => words::denied(denied),
            Self::NoProject(project) => words::gone(project.as_str()),
            Self::Busy(project, busy) => words::busy(project.as_str(), busy, now),
            Self::Changed(question) => words::question(question),
            Self::Stopping => words::stopping(),
            Self::NoOperation(id) => words::no_operation(*id),
            Self::NoVersion(id) => words::no_version(*id),
            Self::Failed(failure) => words::failure(failure),
        }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// An operation that was accepted.
#[derive(Debug)]
pub struct Running {
    /// Its number in the history.
    pub id: i64,
    /// How it stands: skips what a slow reader missed, never the outcome.
    pub view: watch::Receiver<OperationView>,
}

/// The desk.
#[derive(Debug)]
pub struct Desk {
    pub(super) configuration: watch::Receiver<Arc<Configuration>>,
    pub(super) tools: Tools,
    pub(super) insights: Insights,
    pub(super) measures: Measures,
    /// How the operations stand that run, by their numbers.
    pub(super) views: Arc<DashMap<i64, watch::Receiver<OperationView>>>,
    running: TaskTracker,
    /// Cancelled when nothing new is taken any more.
    closing: CancellationToken,
    /// Whoever keeps the configuration; none where it is only looked at.
    keeper: Option<Keeper>,
    /// Where the configuration is that is only looked at.
    pub(super) file: Option<PathBuf>,
    /// Notified when an operation has ended on services that dockmaster makes.
    pub(super) services_ended: Arc<Notify>,
    /// Set where it has let go of the data directory for a move.
    pub(super) aside: OnceLock<Closed>,
}

impl Desk {
    /// A desk that follows the configuration.
    pub fn new(configuration: watch::Receiver<Arc<Configuration>>, mut tools: Tools) -> Self {
        tools.configuration = Some(configuration.clone());
        let (insights, measures, views) = (Insights::new(), Measures::new(), Arc::default());
        let closing = tools.stopping.child_token();
        let (running, services_ended, aside) = (TaskTracker::new(), Arc::default(), OnceLock::new());
        let (keeper, file) = (None, None);
        Self { configuration, tools, insights, measures, views, running, closing, keeper, file, services_ended, aside }
    }

    /// With somebody who keeps the configuration.
    #[must_use]
    pub fn with_keeper(mut self, keeper: Keeper) -> Self {
        self.keeper = Some(keeper);
        self
    }

    /// With the file of a configuration that is only looked at.
    #[must_use]
    pub fn with_file(mut self, file: PathBuf) -> Self {
        self.file = Some(file);
        self
    }

    /// Whoever keeps the configuration; none where it is only looked at.
    pub fn keeper(&self) -> Option<&Keeper> {
        self.keeper.as_ref()
    }

    /// Whoever wants to be woken by a change of the configuration.
    pub(super) fn configured(&self) -> watch::Receiver<Arc<Configuration>> {
        let mut configured = self.configuration.clone();
        configured.mark_unchanged();
        configured
    }

    /// The configuration in force.
    pub fn configuration(&self) -> Arc<Configuration> {
        self.configuration.borrow().clone()
    }

    /// When each part of dockmaster was heard from.
    pub fn vitals(&self) -> &Vitals {
        &self.tools.vitals
    }

    /// The time, as operations have it.
    pub fn now(&self) -> Millis {
        (self.tools.clock)()
    }

    /// Cancelled when dockmaster stops.
    pub fn stopping(&self) -> &CancellationToken {
        &self.tools.stopping
    }

    /// Whether anything runs, or is about to.
    pub fn is_busy(&self) -> bool {
        self.tools.registry.is_held()
    }

    /// Takes nothing new from now on.
    pub fn refuse_new(&self) {
        self.closing.cancel();
    }

    /// Waits until no project is held: what runs is done with production, though its outcome may still have to be kept.
    pub async fn at_rest(&self) {
        self.tools.registry.is_free().await;
    }

    /// Waits until every running operation ended. Call it after the tools' `stopping` was cancelled.
    pub async fn finish(&self) {
        self.running.close();
        self.running.wait().await;
    }

    pub(super) fn project(&self, actor: &Actor, name: &ProjectName, needs: Role) -> Result<Project, Refusal> {
        let configuration = self.configuration();
        allow(&configuration, actor, Some(name), needs).map_err(Refusal::Denied)?;
        let project = configuration.projects.get(name).filter(|p| p.enabled);
        project.cloned().ok_or_else(|| Refusal::NoProject(name.clone()))
    }

    /// The project that an operation of some kind is about: what is left over may be of one that is no longer configured.
    pub(super) fn subject(&self, actor: &Actor, name: &ProjectName, kind: Kind, needs: Role) -> Result<Project, Refusal> {
        match self.project(actor, name, needs) {
            Err(Refusal::NoProject(name)) if kind == Kind::Tidy && !self.configuration().projects.contains_key(&name) => Ok(gone(name)),
            found => found,
        }
    }

    /// What an operation would do. Changes nothing.
    ///
    /// # Errors
    /// Not allowed, or it must not or cannot be done; busy where another operation holds the project.
    pub async fn plan(&self, actor: &Actor, request: &Request) -> Result<Plan, Refusal> {
        let project = self.subject(actor, request.project(), request.kind(), request.kind().needs())?;
        if let Some(busy) = self.tools.registry.holder(&project.name) {
            return Err(Refusal::Busy(project.name, busy));
        }
        let plan = self.planned(&project, request).await?.0;
        // Of a project that nobody knows nothing is left over.
        if plan.is_empty() && !self.configuration().projects.contains_key(&project.name) {
            return Err(Refusal::NoProject(project.name));
        }
        Ok(plan)
    }

    /// The plan; its digest binds how the project is configured as well.
    async fn planned(&self, project: &Project, request: &Request) -> Result<(Plan, Option<deploy::Facts>), Failure> {
        let (mut plan, facts) = self.considered(project, request).await?;
        plan.digest = blake3::hash(format!("{} {project:?}", plan.digest).as_bytes()).to_hex().to_string();
        Ok((plan, facts))
    }

    async fn considered(&self, project: &Project, request: &Request) -> Result<(Plan, Option<deploy::Facts>), Failure> {
        let release = match request {
            Request::Deploy { options, .. } => Some((Coming::Workspace, options)),
            Request::Rollback { release, options, .. } => Some((Coming::Release(*release), options)),
            _ => None,
        };
        if matches!(project.source, Source::Compose(_)) {
            // It may have been upgraded since.
            self.tools.compose.renew().await;
        }
        if request.kind() == Kind::Tidy {
            return Ok((managed::plan_tidying(&self.tools, &self.configuration(), request).await?, None));
        }
        if let Some(plan) = managed::plan(&self.tools, project, request).await? {
            return Ok((plan, None));
        }
        if let Some((coming, options)) = release {
            let facts = Box::pin(deploy::gather(&self.tools, project, coming, options)).await?;
            facts.check_names(&self.tools, project).await?;
            let mut plan = facts.plan(project, options)?;
            facts.check(&plan).await?;
            managed::check_names(&self.tools, project, &plan, facts.containers()).await?;
            deploy::check_project_name(&self.tools, project, &mut plan, !facts.containers().is_empty()).await?;
            relay::consider(&self.tools, &mut plan, facts.containers()).await?;
            return Ok((plan, Some(facts)));
        }
        let what = format!("{} could not be planned.", request.kind().verb());
        let meant = request.service().map(|named| BTreeSet::from([named.clone()])).unwrap_or_default();
        let gone = deploy::missing_production(project).await;
        // A start makes what is not there, and of a whole project Compose does it all.
        let config = match request.kind() {
            // Only what the services are there for is learned from it, and a restart goes without that, too.
            Kind::Restart => {
                let _ = tokio::time::timeout(LEARN_LIMIT, deploy::production_only(&self.tools, project)).await;
                Ok(None)
            }
            Kind::Stop if request.service().is_some() => Ok(None),
            _ => deploy::production_only(&self.tools, project).await,
        };
        let containers = self.tools.containers_for(project, &meant).await.map_err(|e| e.failure(&*what))?;
        let known = containers.iter().map(|c| c.service.clone()).collect();
        deploy::check_names(&self.tools, project, &what, None, &known).await?;
        let (config, unread) = config.map_or_else(|failure| (None, Some(failure)), |config| (config, None));
        let desired = self.tools.desired(&project.name);
        let names = containers.iter().map(|c| &c.service).chain(desired.iter().flat_map(|desired| desired.names()));
        let request = with_known_case(request, names);
        // What is behind a profile takes part where it is named, as it does for Compose.
        let inactive = request.service().filter(|s| desired.as_ref().is_some_and(|desired| desired.of(s) == Standing::Inactive));
        let inactive = inactive.filter(|service| request.kind() == Kind::Start && containers.iter().all(|c| c.service != **service));
        let config = match inactive {
            Some(service) if config.is_some() => deploy::production_of(&self.tools, project, std::slice::from_ref(service)).await?,
            _ => config,
        };
        let declared = config.as_ref().map(|c| c.resolved.declared()).unwrap_or_default();
        let configuration = config.as_ref().map(|c| c.resolved.hash()).unwrap_or_default();
        let variables = &self.variables(project, config.as_ref(), &what).await?;
        let now = (self.tools.clock)();
        let stopped = stopped(&self.tools, &containers).await;
        let ownerless = ownerless(&self.tools, &containers).await;
        let facts = LifecycleFacts {
            project,
            containers: &containers,
            declared: &declared,
            desired: desired.as_deref(),
            configuration: &configuration,
            variables,
            stopped: &stopped,
            ownerless: &ownerless,
            now,
        };
        // Nobody knows whether the files declare what is not there.
        let unknown = containers.is_empty() || request.service().is_some_and(|s| containers.iter().all(|c| c.service != *s));
        let unread = unread.filter(|_| request.kind() == Kind::Start);
        let mut plan = match unread {
            Some(unread) if unknown => return Err(unread),
            Some(unread) => {
                let mut plan = plan_lifecycle(&facts, &request)?;
                plan.warnings.push(format!("{} Only what has a container takes part.", unread.why));
                plan
            }
            None => plan_lifecycle(&facts, &request)?,
        };
        if request.kind() == Kind::Start {
            deploy::check_project_name(&self.tools, project, &mut plan, !containers.is_empty()).await?;
        }
        plan.warnings.extend(gone);
        plan.warnings.extend(hooks::warnings(&self.tools, project, &plan).await);
        relay::consider(&self.tools, &mut plan, &containers).await?;
        Ok((plan, None))
    }

    /// What is known of the variables of a configuration that containers may be made from.
    async fn variables(&self, project: &Project, config: Option<&Config>, what: &str) -> Result<Variables, Failure> {
        let current = match config {
            // Only what is unset is compared with the release.
            Some(config) if !config.unset.is_empty() => {
                let current = self.tools.history.release_current(project.name.clone()).await;
                current.map_err(|e| history_failure(what, &e))?
            }
            _ => None,
        };
        let production = project.production.clone().unwrap_or_default();
        Ok(deploy::variables(config, &production, current.iter().map(|current| &current.release), None).await)
    }

    /// Runs what was confirmed: takes the project's lock, plans again, compares the digests, and starts.
    /// The outcome is also kept as a notice for `origin` until it was delivered there.
    ///
    /// # Errors
    /// Not allowed, busy, no longer the confirmed plan, or it cannot be done. Nothing was done then.
    pub async fn submit(&self, actor: &Actor, request: &Request, digest: &str, origin: Option<Origin>) -> Result<Running, Refusal> {
        let project = self.subject(actor, request.project(), request.kind(), request.kind().needs())?;
        let now = (self.tools.clock)();
        let busy = Busy { what: request.kind().word().to_owned(), who: actor.label(), since: now };
        let ending = self.tools.stopping.child_token();
        let held = self.tools.registry.hold(&project.name, project.production.as_deref(), busy, ending.clone());
        let hold = held.map_err(|busy| Refusal::Busy(project.name.clone(), busy))?;
        // Not before: whoever closes waits for what is held.
        if self.closing.is_cancelled() {
            return Err(Refusal::Stopping);
        }
        let (plan, facts) = self.planned(&project, request).await?;
        if plan.digest != digest {
            return Err(Refusal::Changed(Box::new(Question::Operation(Box::new(plan)))));
        }
        let what = format!("The {} was not begun.", request.kind().word());
        let mark = random_name().map_err(|e| Failure::new(&*what, format!("There is no randomness to be had: {e}."), "Ask again."))?;
        let new = NewOperation { mark: mark.clone(), actor: actor.clone(), origin, plan: plan.clone() };
        let begun = self.tools.history.operation_begin(new, now).await;
        let id = begun.map_err(|e| history_failure(what, &e))?;
        let (sender, view) = watch::channel(OperationView::new(id, &plan, actor.label(), now));
        let recorder = Recorder::new(id, self.tools.history.clone(), self.tools.clock, sender);
        let job = Arc::new(Job::new(self.tools.clone(), project, plan, recorder, mark, id, facts, ending));
        tracing::info!(operation = id, kind = request.kind().word(), project = %request.project(), actor = actor.label().line(SHOWN), "begins");
        let work = job.clone();
        self.supervised(job, hold, view.clone(), async move { Box::pin(runner::run(&work)).await });
        Ok(Running { id, view })
    }

    /// Runs an operation in a task of its own, seen by whoever asks for it.
    pub(super) fn supervised(
        &self,
        job: Arc<Job>,
        hold: Hold,
        view: watch::Receiver<OperationView>,
        work: impl Future<Output = Option<Outcome>> + Send + 'static,
    ) {
        let (id, views) = (job.operation, self.views.clone());
        views.insert(id, view);
        let made = managed::of(&job.project).is_some() || job.plan.kind() == Kind::Tidy;
        let supervised = supervise(job, hold, self.insights.clone(), work);
        let ended = self.services_ended.clone();
        self.running.spawn(async move {
            supervised.await;
            views.remove(&id);
            if made {
                ended.notify_one();
            }
        });
    }

    /// Runs what accompanies an operation; [`Desk::finish`] waits for it.
    pub(super) fn tracked(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.running.spawn(work);
    }

    /// What runs on a project: its number, and how it stands.
    pub fn running_on(&self, project: &ProjectName) -> Option<Running> {
        let found = self.views.iter().find(|view| view.borrow().project() == project.as_str())?;
        Some(Running { id: *found.key(), view: found.value().clone() })
    }

    /// Ends what runs on a project, as soon as that leaves something whole.
    ///
    /// # Errors
    /// Not allowed, or no such project.
    pub fn cancel(&self, actor: &Actor, name: &ProjectName) -> Result<Option<Busy>, Refusal> {
        let known = match self.project(actor, name, Role::Operator) {
            // It was taken out of the configuration while something runs on it.
            Err(Refusal::NoProject(name)) if self.tools.registry.holder(&name).is_some() => Ok(name),
            project => project.map(|project| project.name),
        };
        let ended = self.tools.registry.end(&known?, actor.label());
        if let Some(busy) = &ended {
            tracing::info!(project = %name, actor = actor.label().line(SHOWN), what = busy.what, "is cancelled");
        }
        Ok(ended)
    }
}

/// Services are matched in any case; the engine's own spelling is what runs.
fn with_known_case<'a>(request: &Request, known: impl Iterator<Item = &'a ServiceName>) -> Request {
    let mut request = request.clone();
    if let Some(typed) = request.service_mut()
        && let Match::Found(known) = find(typed.as_str(), known.map(ServiceName::as_str))
        && let Ok(known) = ServiceName::new(known)
    {
        *typed = known;
    }
    request
}

/// Runs an operation in a task of its own, so that a panic becomes an outcome; keeps the outcome; lets the project go.
async fn supervise(job: Arc<Job>, hold: Hold, insights: Insights, work: impl Future<Output = Option<Outcome>> + Send + 'static) {
    let outcome = tokio::spawn(work).await.unwrap_or_else(|died| {
        tracing::error!(operation = job.operation, %died, "an operation died");
        let failure = Failure::new(
            format!("The {} broke off.", job.plan.kind().word()),
            "dockmaster made a mistake of its own; its log has the details.",
            "Look at /docker_status, and report this as a bug.",
        );
        Some(Outcome {
            verdict: Verdict::Failed,
            now: format!("It is not certain how {} stands.", job.project.name),
            failure: Some(failure),
            services: Vec::new(),
        })
    });
    let Some(outcome) = outcome else {
        tracing::warn!(operation = job.operation, "is left as it is, to whoever comes next");
        drop(hold);
        return job.recorder.show(&Event::Ended { outcome: ending::left(&job) });
    };
    let outcome = ending::seen(&job, outcome).await;
    let why = outcome.failure.as_ref().map(ToString::to_string).unwrap_or_default();
    tracing::info!(operation = job.operation, verdict = outcome.verdict.word(), why, "ended");
    insights.forget(&job.project.name);
    let keep = || job.tools.history.operation_end(job.operation, outcome.clone(), (job.tools.clock)());
    let mut kept = insist(KEPT_AT_ONCE, keep).await;
    drop(hold);
    // Whoever watches is told in any case.
    job.recorder.ended(&outcome, &kept);
    if kept.is_err() {
        // The project is free again; the chat is told as soon as there is room for that.
        tokio::select! {
            done = insist(KEPT_LATER, keep) => kept = done,
            () = job.tools.stopping.cancelled() => {}
        }
    }
    if let Err(error) = kept {
        tracing::error!(operation = job.operation, %error, "the outcome could not be kept: the next start tells what it finds");
    }
}
