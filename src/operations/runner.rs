//! Running a plan: step by step, each in the journal before it begins, to an outcome that says what is there now.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};

use tokio_util::sync::CancellationToken;

use super::deploy;
use super::ending::{after, as_it_is_now, ended_early, failed, not_all_stopped, succeeded};
use super::lifecycle::{Act, act, watch};
use super::managed;
use super::probe::probe;
use super::recorder::Recorder;
use super::registry::Closed;
use super::relay;
use super::rolling;
use super::tools::Tools;
use super::undo;
use super::whole;
use crate::domain::container::Container;
use crate::domain::event::Event;
use crate::domain::failure::Failure;
use crate::domain::outcome::{Outcome, ServiceOutcome, Verdict};
use crate::domain::plan::{Plan, Step};
use crate::domain::project::{Project, ServiceName, Source, Strategy};
use crate::domain::request::Kind;
use crate::engine::docker::EngineError;

/// What a step came to: a word about it, or why it ended the operation.
pub(super) type StepResult = Result<Option<String>, Stop>;

/// Why a step ended the operation.
#[derive(Debug)]
pub(super) struct Stop {
    failure: Box<Failure>,
    /// Whether it was seen that the step changed nothing.
    unchanged: bool,
    /// Whether that is only because somebody cancelled it, or dockmaster was stopped meanwhile.
    cut_short: bool,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self { failure: Box::new(failure), unchanged: false, cut_short: false }
    }
}

impl Stop {
    /// The failure alone.
    pub(super) fn into_failure(self) -> Failure {
        *self.failure
    }

    /// A step that was seen to have changed nothing, where `unchanged` says so.
    pub(super) fn unchanged(failure: Failure, unchanged: bool) -> Self {
        Self { unchanged, ..failure.into() }
    }

    /// A step that ended only because it was cancelled or dockmaster was stopped, where `cut_short` says so.
    pub(super) fn cut_short(failure: Failure, cut_short: bool) -> Self {
        Self { cut_short, ..failure.into() }
    }
}

/// An operation at work.
pub(super) struct Job {
    pub(super) tools: Tools,
    /// The project as it was configured when this began.
    pub(super) project: Project,
    pub(super) plan: Plan,
    pub(super) recorder: Recorder,
    /// The name that this operation's processes carry.
    pub(super) mark: String,
    pub(super) operation: i64,
    /// What planning found out, for a deploy.
    pub(super) deploy: Option<deploy::Facts>,
    /// Cancelled to end it: by somebody, or with dockmaster itself.
    pub(super) ending: CancellationToken,
    /// What it goes back to, once it does.
    pub(super) undoing: OnceLock<deploy::Undoing>,
    /// The service that cannot be watched yet: the next dockmaster, where we are the helper that makes it.
    pub(super) unwatched: Option<ServiceName>,
    pub(super) handed_over: AtomicBool,
    /// What holds up other projects, once dockmaster itself is about to be replaced.
    pub(super) way: OnceLock<Closed>,
    /// Whether nothing is in the way of that, or it does not come to that.
    pub(super) way_is_clear: AtomicBool,
    services: Mutex<Vec<ServiceOutcome>>,
    /// Whether services that have no files go back to what they were.
    pub(super) services_go_back: AtomicBool,
    /// Whether a deploy changed nothing at all, so that it made no release.
    pub(super) brought_nothing: AtomicBool,
    /// How far a rolling restart has come.
    pub(super) rolled: rolling::Rolled,
}

/// What a run of steps came to.
enum Went {
    /// An end, and whether it was seen that the last step changed nothing.
    Ended(Outcome, bool),
    /// None yet: somebody else goes on.
    Left,
}

impl Job {
    #[expect(clippy::too_many_arguments, reason = "it is made in two places, of everything that an operation needs")]
    pub(super) fn new(
        tools: Tools,
        project: Project,
        plan: Plan,
        recorder: Recorder,
        mark: String,
        operation: i64,
        deploy: Option<deploy::Facts>,
        ending: CancellationToken,
    ) -> Self {
        let (undoing, way, services) = (OnceLock::new(), OnceLock::new(), Mutex::default());
        let (unwatched, handed_over, way_is_clear) = (None, AtomicBool::new(false), AtomicBool::new(false));
        Self {
            tools,
            project,
            plan,
            recorder,
            mark,
            operation,
            deploy,
            ending,
            undoing,
            unwatched,
            handed_over,
            way,
            way_is_clear,
            services,
            services_go_back: AtomicBool::new(false),
            brought_nothing: AtomicBool::new(false),
            rolled: rolling::Rolled::default(),
        }
    }

    /// What runs of the project, as it is now, for what is done to some of its services.
    pub(super) async fn containers(&self) -> Result<Vec<Container>, EngineError> {
        let meant = self.plan.affected().map(|planned| planned.service.clone()).collect();
        self.tools.containers_for(&self.project, &meant).await
    }

    /// Notes how services came out; a later word about the same one takes the place of the earlier.
    pub(super) fn note(&self, lines: Vec<ServiceOutcome>) {
        let mut all = self.services.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for line in lines {
            all.retain(|known| known.service != line.service);
            all.push(line);
        }
    }

    /// Takes what was noted.
    pub(super) fn noted(&self) -> Vec<ServiceOutcome> {
        std::mem::take(&mut self.services.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Notes that a helper goes on.
    pub(super) fn hand_over(&self) {
        self.handed_over.store(true, Ordering::Relaxed);
    }

    /// Whether it goes back to what was before.
    pub(super) fn goes_back(&self) -> bool {
        self.undoing.get().is_some() || self.services_go_back.load(Ordering::Relaxed)
    }

    /// What ends the watching of services: whoever cancels; in an undo, which nobody can cancel, only dockmaster's own end.
    pub(super) fn ends_watching(&self) -> &CancellationToken {
        if self.goes_back() { &self.tools.stopping } else { &self.ending }
    }

    /// What ends a step that may be ended in the middle: where production is untouched whoever cancels, else nothing.
    pub(super) fn cancel_for(&self, step: &Step) -> CancellationToken {
        if step.leaves_production_alone() { self.ending.clone() } else { CancellationToken::new() }
    }
}

/// Runs the plan to its end, or undoes it. None where dockmaster is stopping with production neither the old nor the new,
/// and where a helper goes on: the next start puts that right.
pub(super) async fn run(job: &Job) -> Option<Outcome> {
    go_on(job, 0, job.plan.steps.len()).await
}

/// As [`run`], from one step on and not beyond another. None, too, where that one is reached before the plan's end.
pub(super) async fn go_on(job: &Job, from: usize, until: usize) -> Option<Outcome> {
    let mut begun = from;
    let Went::Ended(mut outcome, unchanged) = run_steps(job, from, until, &mut begun).await else { return None };
    if outcome.verdict == Verdict::Succeeded {
        managed::settle(&job.tools, &job.project, job.operation).await;
        return Some(outcome);
    }
    if let Some(now) = rolling::stands(job).await {
        outcome.now = now;
    }
    after_failure(job, begun, unchanged, outcome).await
}

/// Undoes what was begun, where something is to be undone, and sees what there is then.
async fn after_failure(job: &Job, begun: usize, unchanged: bool, outcome: Outcome) -> Option<Outcome> {
    Some(as_it_is_now(job, put_right(job, begun, unchanged, outcome).await?).await)
}

async fn put_right(job: &Job, begun: usize, unchanged: bool, outcome: Outcome) -> Option<Outcome> {
    let touched = job.plan.steps.iter().take(begun).any(|s| matches!(s, Step::Up { .. } | Step::Restart { .. } | Step::Remove { .. }));
    if !job.plan.has_release() {
        return match touched && !unchanged && !job.plan.replaced().is_empty() {
            true => undo::undo_services(job, outcome).await,
            false => Some(bring_back(job, begun, begun, outcome).await),
        };
    }
    let outcome = match job.tools.history.move_of(job.operation).await {
        Ok(None) => Some(outcome),
        Ok(Some(going)) if unchanged && !touched => {
            if let Err(error) = deploy::stay(job, going).await {
                tracing::error!(operation = job.operation, %error, "that nothing was touched could not be kept");
            }
            Some(outcome)
        }
        Ok(Some(_)) if job.tools.stopping.is_cancelled() => return None,
        Ok(Some(going)) if !job.project.deploy.auto_rollback && outcome.verdict != Verdict::Cancelled => {
            managed::settle(&job.tools, &job.project, job.operation).await;
            Some(undo::by_hand(job, going, outcome))
        }
        Ok(Some(going)) => undo::undo(job, going, touched, outcome).await,
        Err(error) => {
            tracing::error!(operation = job.operation, %error, "what to go back to cannot be read");
            Some(outcome)
        }
    };
    deploy::sweep(&job.tools, &job.project.name).await;
    outcome
}

/// As [`go_on`], for an operation that was handed over: the dockmaster that came up watches itself first.
pub(super) async fn go_on_with(job: &Job, from: usize, until: usize, service: &ServiceName) -> Option<Outcome> {
    relay::keep_way_clear(job);
    if job.unwatched.is_some() {
        return go_on(job, from, until).await;
    }
    match watch(job, &[service.clone()].into()).await {
        Ok(_) => go_on(job, from, until).await,
        Err(stop) => {
            let outcome = if job.ending.is_cancelled() { ended_early(job, from) } else { failed(job, from, false, *stop.failure) };
            after_failure(job, from, false, outcome).await
        }
    }
}

/// Runs the steps, up to the first that fails. `begun` counts those that were begun.
async fn run_steps(job: &Job, from: usize, until: usize, begun: &mut usize) -> Went {
    let mut unstopped: Option<Failure> = None;
    for (at, step) in job.plan.steps.iter().enumerate().take(until).skip(from) {
        if job.ending.is_cancelled() {
            return Went::Ended(ended_early(job, at), false);
        }
        let began = match relay::make_way(job, step).await {
            Ok(()) => begin(job, at, step).await,
            Err(failure) => Err(failure),
        };
        if let Err(failure) = began {
            let outcome = if job.ending.is_cancelled() { ended_early(job, at) } else { failed(job, at, false, failure) };
            return Went::Ended(outcome, false);
        }
        let handed = match relay::ended_by(job, step).await {
            Ok(None) => Ok(()),
            Ok(Some(service)) => match relay::hand_over(job, at, service, None).await {
                Ok(()) => return Went::Left,
                Err(failure) => Err(failure),
            },
            Err(failure) => Err(failure),
        };
        if let Err(failure) = handed {
            job.recorder.report(Event::StepFailed { step: at }).await;
            let outcome = if job.ending.is_cancelled() { ended_early(job, at) } else { failed(job, at, false, failure) };
            return Went::Ended(outcome, false);
        }
        *begun = at + 1;
        match execute(job, step).await {
            Ok(note) => job.recorder.report(Event::StepDone { step: at, note }).await,
            Err(stop) => {
                job.recorder.report(Event::StepFailed { step: at }).await;
                if starts_all_the_same(job, step) {
                    unstopped = Some(*stop.failure);
                    continue;
                }
                if job.ending.is_cancelled() && (step.leaves_production_alone() || job.plan.kind().is_release()) {
                    return Went::Ended(ended_early(job, at), stop.unchanged);
                }
                let outcome = failed(job, at, !stop.unchanged, after(unstopped, *stop.failure));
                let verdict = if job.tools.stopping.is_cancelled() { Verdict::Interrupted } else { Verdict::Cancelled };
                let outcome = if stop.cut_short { Outcome { verdict, ..outcome } } else { outcome };
                return Went::Ended(outcome, stop.unchanged);
            }
        }
    }
    if until < job.plan.steps.len() || job.unwatched.is_some() {
        return Went::Left;
    }
    if let Some(failure) = unstopped {
        return Went::Ended(not_all_stopped(job, failure), false);
    }
    Went::Ended(Outcome { verdict: Verdict::Succeeded, now: succeeded(job).await, failure: None, services: job.noted() }, false)
}

/// Whether a restart starts what there is although not everything has stopped: better than to leave it down.
fn starts_all_the_same(job: &Job, step: &Step) -> bool {
    job.plan.strategy == Some(Strategy::Graceful) && matches!(step, Step::Stop { .. }) && !job.ending.is_cancelled()
}

/// Keeps that a step begins, and before the first that touches production where it goes back to.
async fn begin(job: &Job, at: usize, step: &Step) -> Result<(), Failure> {
    if job.plan.has_release() && !step.leaves_production_alone() {
        deploy::set_out(job).await?;
    }
    job.recorder.begin(at).await
}

/// The steps from one on that start again what a restart has stopped in those that were begun.
pub(super) fn left_to_start(plan: &Plan, begun: usize, from: usize) -> impl Iterator<Item = &Vec<ServiceName>> {
    let stopped = plan.kind() == Kind::Restart && plan.steps.iter().take(begun).any(|step| matches!(step, Step::Stop { .. }));
    let ahead = plan.steps.iter().skip(from).filter(move |_| stopped);
    ahead.filter_map(|step| if let Step::Start { services } = step { Some(services) } else { None })
}

/// A restart that ended between its stops and its starts must not leave stopped what it stopped.
async fn bring_back(job: &Job, begun: usize, from: usize, mut outcome: Outcome) -> Outcome {
    let mut started: BTreeSet<ServiceName> = BTreeSet::new();
    for services in left_to_start(&job.plan, begun, from) {
        if let Err(stop) = act(job, Act::Start, services).await {
            tracing::warn!(operation = job.operation, why = %stop.failure, "what was stopped did not come back well");
        }
        started.extend(services.iter().cloned());
    }
    // Where a step of its own would have watched them, nobody has yet.
    if job.plan.has_verify()
        && let Err(stop) = watch(job, &started).await
    {
        tracing::warn!(operation = job.operation, why = %stop.failure, "what was stopped did not come back well");
    }
    for line in job.noted() {
        outcome.services.retain(|known| known.service != line.service);
        outcome.services.push(line);
    }
    outcome
}

pub(super) async fn execute(job: &Job, step: &Step) -> StepResult {
    match step {
        Step::Stage => Box::pin(deploy::stage(job, step)).await,
        Step::Pull { services } if managed::of(&job.project).is_some() => Box::pin(managed::pull(job, step, services)).await,
        Step::Up { services } if managed::of(&job.project).is_some() => match job.goes_back() {
            true => Box::pin(managed::put_back(job, services)).await,
            false => Box::pin(managed::up(job, services)).await,
        },
        Step::Pull { services } => Box::pin(deploy::pull(job, step, services)).await,
        Step::Build { services } => Box::pin(deploy::build(job, step, services)).await,
        Step::Keep { release } => Box::pin(deploy::keep(job, step, *release)).await,
        Step::Promote => Box::pin(deploy::learning(job, deploy::promote(job))).await,
        Step::Return { .. } => Box::pin(deploy::learning(job, deploy::put_back(job))).await,
        Step::Remove { services } => Box::pin(deploy::remove(job, services)).await,
        Step::Up { services } if job.plan.by_compose => Box::pin(whole::start(job, services)).await,
        Step::Up { services } => Box::pin(deploy::up(job, services)).await,
        Step::Resources { services } => Box::pin(deploy::make_resources(job, services)).await,
        Step::Record => Box::pin(deploy::arrive(job)).await,
        Step::Tidy { orphans, network } => Box::pin(managed::tidy(job, orphans, network.as_deref())).await,
        Step::Stop { services } if job.plan.by_compose => Box::pin(whole::stop(job, services)).await,
        Step::Stop { services } => act(job, Act::Stop, services).await,
        // Compose starts what it made: inline files and hooks are its own.
        Step::Start { services } if job.plan.kind().is_release() && matches!(job.project.source, Source::Compose(_)) => {
            deploy::up(job, services).await
        }
        Step::Start { services } => act(job, Act::Start, services).await,
        Step::Restart { services } if job.plan.strategy == Some(Strategy::Rolling) => rolling::roll(job, services).await,
        Step::Restart { services } => act(job, Act::Restart, services).await,
        Step::Verify { services } => {
            let watched = match managed::of(&job.project).is_some() && job.goes_back() {
                true => Box::pin(managed::awake(job, services)).await?,
                false => services.iter().cloned().collect(),
            };
            watch(job, &watched).await?;
            if job.goes_back() || job.plan.kind() == Kind::Rollback {
                deploy::verify_networks(job, services).await?;
            }
            // Only what was made from the files is asked for what the files promise.
            if !job.plan.steps.iter().any(|step| matches!(step, Step::Up { .. } | Step::Record)) {
                return Ok(None);
            }
            let answered = probe(&job.tools, &job.project, &job.recorder).await?;
            job.note(answered.into_iter().collect());
            Ok(None)
        }
    }
}
