//! Running a plan: step by step, each in the journal before it begins, to an outcome that says what is there now.

use std::sync::Mutex;

use tokio_util::sync::CancellationToken;

use super::deploy;
use super::lifecycle::{Act, act, watch};
use super::probe::probe;
use super::recorder::Recorder;
use super::tools::Tools;
use crate::domain::event::Event;
use crate::domain::failure::Failure;
use crate::domain::outcome::{Outcome, ServiceOutcome, Verdict};
use crate::domain::plan::{Action, Plan, Step};
use crate::domain::project::Project;
use crate::domain::request::Kind;
use crate::domain::text::{count, listing};

/// What a step came to: a word about it, or why it ended the operation.
pub(super) type StepResult = Result<Option<String>, Stop>;

/// Why a step ended the operation.
#[derive(Debug)]
pub(super) struct Stop {
    failure: Box<Failure>,
    /// Whether it was seen that the step changed nothing.
    unchanged: bool,
    /// Whether that is only because dockmaster was stopped meanwhile.
    cut_short: bool,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self { failure: Box::new(failure), unchanged: false, cut_short: false }
    }
}

impl Stop {
    /// A step that was seen to have changed nothing, where `unchanged` says so.
    pub(super) fn unchanged(failure: Failure, unchanged: bool) -> Self {
        Self { unchanged, ..failure.into() }
    }

    /// A step that ended only because dockmaster was stopped, where `cut_short` says so.
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
    services: Mutex<Vec<ServiceOutcome>>,
}

impl Job {
    pub(super) fn new(
        tools: Tools,
        project: Project,
        plan: Plan,
        recorder: Recorder,
        mark: String,
        operation: i64,
        deploy: Option<deploy::Facts>,
    ) -> Self {
        Self { tools, project, plan, recorder, mark, operation, deploy, services: Mutex::default() }
    }

    /// Notes how services came out; a later word about the same one takes the place of the earlier.
    pub(super) fn note(&self, lines: Vec<ServiceOutcome>) {
        let mut all = self.services.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for line in lines {
            all.retain(|known| known.service != line.service);
            all.push(line);
        }
    }

    fn noted(&self) -> Vec<ServiceOutcome> {
        std::mem::take(&mut self.services.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// What ends a step that may be ended in the middle: dockmaster's own end where production is untouched, else nothing.
    pub(super) fn cancel_for(&self, step: &Step) -> CancellationToken {
        if step.leaves_production_alone() { self.tools.stopping.clone() } else { CancellationToken::new() }
    }
}

/// Runs the plan to its end.
pub(super) async fn run(job: &Job) -> Outcome {
    let mut begun = 0;
    let mut outcome = run_steps(job, &mut begun).await;
    if outcome.verdict != Verdict::Succeeded {
        bring_back(job, begun, &mut outcome).await;
    }
    outcome
}

/// Runs the steps, up to the first that fails. `begun` counts those that were begun.
async fn run_steps(job: &Job, begun: &mut usize) -> Outcome {
    for (at, step) in job.plan.steps.iter().enumerate() {
        if job.tools.stopping.is_cancelled() {
            return interrupted(&job.plan, at, job.noted());
        }
        if let Err(failure) = job.recorder.begin(at).await {
            return failed(job, at, false, failure);
        }
        *begun = at + 1;
        match execute(job, step).await {
            Ok(note) => job.recorder.report(Event::StepDone { step: at, note }).await,
            Err(stop) => {
                job.recorder.report(Event::StepFailed { step: at }).await;
                if job.tools.stopping.is_cancelled() && step.leaves_production_alone() {
                    return interrupted(&job.plan, at, job.noted());
                }
                let outcome = failed(job, at, !stop.unchanged, *stop.failure);
                return if stop.cut_short { Outcome { verdict: Verdict::Interrupted, ..outcome } } else { outcome };
            }
        }
    }
    Outcome { verdict: Verdict::Succeeded, now: succeeded(job), failure: None, services: job.noted() }
}

/// A restart that ended between its stops and its starts must not leave stopped what it stopped.
async fn bring_back(job: &Job, begun: usize, outcome: &mut Outcome) {
    let (past, ahead) = job.plan.steps.split_at(begun.min(job.plan.steps.len()));
    let stopped = past.iter().any(|step| matches!(step, Step::Stop { .. }));
    for step in ahead.iter().filter(|_| stopped) {
        let Step::Start { services } = step else { continue };
        if let Err(stop) = act(job, Act::Start, services).await {
            tracing::warn!(operation = job.operation, why = %stop.failure, "what was stopped did not come back well");
        }
    }
    for line in job.noted() {
        outcome.services.retain(|known| known.service != line.service);
        outcome.services.push(line);
    }
}

async fn execute(job: &Job, step: &Step) -> StepResult {
    match step {
        Step::Stage => deploy::stage(job, step).await,
        Step::Pull { services } => deploy::pull(job, step, services).await,
        Step::Build { services } => deploy::build(job, step, services).await,
        Step::Promote => deploy::promote(job).await,
        Step::Up { services } => deploy::up(job, services).await,
        Step::Record => deploy::record(job).await,
        Step::Stop { services } => act(job, Act::Stop, services).await,
        Step::Start { services } => act(job, Act::Start, services).await,
        Step::Restart { services } => act(job, Act::Restart, services).await,
        Step::Verify { services } => {
            watch(job, &services.iter().cloned().collect()).await?;
            let answered = probe(&job.tools, &job.project, &job.recorder).await?;
            job.note(answered.into_iter().collect());
            Ok(None)
        }
    }
}

fn succeeded(job: &Job) -> String {
    let project = &job.project.name;
    let names = listing(job.plan.affected().map(|s| &s.service), 6);
    match job.plan.kind() {
        Kind::Start => format!("{project}: {names} started."),
        Kind::Stop => format!("{project}: {names} stopped."),
        Kind::Restart => format!("{project}: {names} restarted."),
        Kind::Deploy => {
            let release = job.deploy.as_ref().map_or(0, |d| d.release);
            let files = job.plan.files.as_ref().map_or(0, |f| f.touched().count());
            let services = job.plan.affected().count();
            let changed = format!("{} changed, {} renewed", count(files, "file"), count(services, "service"));
            format!("{project} runs release {release} ({changed}).")
        }
    }
}

fn failed(job: &Job, at: usize, touched: bool, failure: Failure) -> Outcome {
    Outcome { verdict: Verdict::Failed, now: stands(&job.plan, at, touched), failure: Some(failure), services: job.noted() }
}

fn interrupted(plan: &Plan, at: usize, services: Vec<ServiceOutcome>) -> Outcome {
    let done = if at == 0 { "before its first step".to_owned() } else { format!("after {} of its {} steps", at, plan.steps.len()) };
    let failure = Failure::new(
        format!("The {} was not finished.", plan.kind().word()),
        format!("dockmaster was stopped {done}."),
        format!("Ask for {} again when it is back.", plan.kind().command()),
    );
    Outcome { verdict: Verdict::Interrupted, now: stands(plan, at, false), failure: Some(failure), services }
}

/// What is there when a plan ended at a step, which was begun or not. The truth, also where it is not pleasant.
pub(super) fn stands(plan: &Plan, at: usize, begun: bool) -> String {
    let project = plan.request.project();
    let reached = |wanted: fn(&Step) -> bool| plan.steps.iter().take(at + usize::from(begun)).any(wanted);
    let touched_services = reached(|s| matches!(s, Step::Up { .. } | Step::Stop { .. } | Step::Start { .. } | Step::Restart { .. }));
    if plan.kind() == Kind::Deploy {
        let promoting = begun && matches!(plan.steps.get(at), Some(Step::Promote));
        return match (reached(|s| *s == Step::Promote), touched_services) {
            (false, false) => format!("Production was not touched: {project} runs as before."),
            (true, false) if promoting => {
                format!(
                    "Production of {project} may hold new files beside old ones; its containers were not touched. Deploy again to put it right."
                )
            }
            (true, false) => {
                format!("Production of {project} has the new files; its containers still run the old ones. Deploy again to finish it.")
            }
            (_, true) => {
                let names = listing(plan.services.iter().filter(|s| s.action != Action::Stay).map(|s| &s.service), 6);
                format!("Production of {project} has the new release, and it is not up as it should be: look at {names}.")
            }
        };
    }
    if touched_services {
        format!("{project} may be partly {}: see the services below and /docker_status.", past(plan.kind()))
    } else {
        format!("Nothing was done: {project} is as before.")
    }
}

fn past(kind: Kind) -> &'static str {
    match kind {
        Kind::Start => "started",
        Kind::Stop => "stopped",
        Kind::Restart => "restarted",
        Kind::Deploy => "deployed",
    }
}
