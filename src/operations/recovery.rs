//! What a crash left, at start: processes still at work are ended first; then what is whole is told, and what is not is
//! put right.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::acts::needs_engine;
use super::correction;
use super::deploy;
use super::desk::Desk;
use super::ending::{done, stands};
use super::lifecycle_recovery;
use super::managed;
use super::recorder::Recorder;
use super::relay;
use super::runner::{self, Job};
use super::tools::Tools;
use super::undo;
use crate::domain::failure::Failure;
use crate::domain::outcome::{Outcome, Verdict};
use crate::domain::plan::Step;
use crate::domain::project::ServiceName;
use crate::domain::request::Kind;
use crate::domain::status::Busy;
use crate::domain::view::OperationView;
use crate::history::HistoryError;
use crate::history::operations::OperationRecord;
use crate::history::releases::Move;
use crate::process;

/// How long a surviving process may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether the engine answers.
const ENGINE_LOOK: Duration = Duration::from_millis(500);

/// Who puts right what was left.
#[derive(Debug, Clone, PartialEq)]
pub enum Successor {
    /// A dockmaster that comes up.
    Dockmaster,
    /// The helper of one operation, which looks after no other: it takes the steps that dockmaster itself could not; where
    /// the one that came up after them is given up, it undoes them.
    Helper {
        /// The operation.
        operation: i64,
        /// How the operation came out where the one that came up is given up.
        given_up: Option<Box<Outcome>>,
    },
}

/// An operation that was cut off and left something that is to be put right.
#[derive(Debug)]
pub struct CutOff {
    pub(super) record: OperationRecord,
    /// What it came to, as far as can be said before it is put right.
    pub(super) outcome: Outcome,
    pub(super) left: Left,
}

/// What is to be put right.
#[derive(Debug)]
pub(super) enum Left {
    /// Production is neither the old nor the new.
    Between {
        /// Where it was on its way to.
        going: Move,
        /// Whether it had begun with the services.
        services_touched: bool,
    },
    /// Nothing was cut off: its plan goes on.
    Ahead {
        /// The first step that is left.
        from: usize,
        /// The step at which somebody else goes on, or the number of all.
        until: usize,
        /// The service that dockmaster itself is.
        service: ServiceName,
    },
    /// Services that have no files may be neither the old nor the new.
    Replaced,
    /// All is done, and what was replaced is still kept aside.
    Aside,
    /// A start, stop or restart touched services, and the engine may still be at what it was asked for.
    Services {
        /// How many of its steps were begun.
        begun: usize,
    },
    /// Some of what was left over may be removed, and the engine may still be at stopping more of it.
    Orphans,
}

/// Ends what is still at work for operations that never ended. Gives each an outcome that left production whole, and
/// returns the others: [`Desk::resume`](super::Desk::resume) puts them right.
///
/// # Errors
/// The history cannot be read or written: dockmaster must not take new operations then.
pub async fn recover(tools: &Tools, successor: &Successor) -> Result<Vec<CutOff>, HistoryError> {
    sweep(&tools.data.join("projects"));
    let mut cut_off = Vec::new();
    for record in tools.history.operations_unfinished().await? {
        if let Successor::Helper { operation, given_up } = successor
            && (*operation != record.id || record.handed_over.is_none() || given_up.is_none() && is_done(&record))
        {
            continue;
        }
        if let Some(left) = ahead(&record, successor) {
            tracing::info!(operation = record.id, "an operation goes on");
            let outcome = outcome(&record, 0);
            cut_off.push(CutOff { record, outcome, left });
            continue;
        }
        let survivors = process::end_survivors(&record.mark, PATIENCE).await;
        tracing::warn!(operation = record.id, survivors, "an operation was cut off");
        let arrived = arrived(tools, &record).await? || is_through(&record);
        let outcome = match (successor, record.handed_over.as_ref().and_then(|handed| handed.why.clone())) {
            _ if arrived => finished(&record),
            (Successor::Helper { given_up: Some(outcome), .. }, _) => (**outcome).clone(),
            (_, Some(why)) => why,
            _ => outcome(&record, survivors),
        };
        let left = match tools.history.move_of(record.id).await? {
            _ if arrived => (!record.plan.replaced().is_empty()).then_some(Left::Aside),
            Some(going) => Some(Left::Between { going, services_touched: services_touched(&record) }),
            None if !record.plan.has_release() && services_touched(&record) && !record.plan.replaced().is_empty() => Some(Left::Replaced),
            None => touched(&record),
        };
        if let Some(left) = left {
            cut_off.push(CutOff { record, outcome, left });
            continue;
        }
        let project = record.plan.request.project().clone();
        // Before it counts as ended: nobody would look after its files again.
        deploy::sweep(tools, &project).await;
        tools.history.operation_end(record.id, outcome, (tools.clock)()).await?;
    }
    Ok(cut_off)
}

impl Desk {
    /// Puts right what operations left that were cut off with production neither the old nor the new, each with its
    /// project held. Call it before anything new is taken.
    ///
    /// # Errors
    /// An outcome could not be kept.
    pub async fn resume(&self, cut_off: Vec<CutOff>, successor: &Successor) -> Result<(), HistoryError> {
        // All are held before the first goes on, which may let nothing more be held.
        let mut held = Vec::new();
        for cut in cut_off {
            let now = (self.tools.clock)();
            let name = cut.record.plan.request.project().clone();
            let project = self.configuration().projects.get(&name).cloned();
            let busy = Busy { what: format!("repair of a {}", cut.record.plan.kind().word()), who: "dockmaster".into(), since: now };
            let production = project.as_ref().and_then(|p| p.production.as_deref());
            let hold = self.tools.registry.hold(&name, production, busy, self.tools.stopping.child_token());
            match (project, hold) {
                (Some(project), Ok(hold)) => held.push((cut, project, hold)),
                _ => self.tools.history.operation_end(cut.record.id, cut.outcome, now).await?,
            }
        }
        for (cut, project, hold) in held {
            let CutOff { record, outcome, left } = cut;
            let origin = record.origin;
            let service = record.handed_over.as_ref().map(|handed| handed.service.clone());
            let (sender, view) = watch::channel(OperationView::new(record.id, &record.plan, record.actor.label(), record.started));
            let recorder = Recorder::new(record.id, self.tools.history.clone(), self.tools.clock, sender);
            let ending = self.tools.stopping.child_token();
            let mut job = Job::new(self.tools.clone(), project, record.plan, recorder, record.mark, record.id, None, ending);
            // It cannot come up as long as its helper has the data directory.
            job.unwatched = service.filter(|_| *successor != Successor::Dockmaster);
            let job = Arc::new(job);
            let work = job.clone();
            let undo = async move {
                // Without it nothing can be put right, and nothing is to be given up for that.
                if needs_engine(&work.tools, &work.project) && !engine_answers(&work.tools).await {
                    return None;
                }
                match left {
                    Left::Ahead { from, until, service } => runner::go_on_with(&work, from, until, &service).await,
                    Left::Between { going, services_touched } => {
                        let undone = undo::undo(&work, going, services_touched, outcome).await;
                        deploy::sweep(&work.tools, &work.project.name).await;
                        undone
                    }
                    Left::Replaced => undo::undo_services(&work, outcome).await,
                    Left::Aside => {
                        managed::settle(&work.tools, &work.project, work.operation).await;
                        Some(outcome)
                    }
                    Left::Orphans => managed::recover_tidy(&work, outcome).await,
                    Left::Services { begun } => lifecycle_recovery::recover_services(&work, begun, outcome).await,
                }
            };
            // Services that were stopped are good as long as they are down.
            let expects_up = job.plan.kind() != Kind::Stop && *successor == Successor::Dockmaster;
            let (tools, project, target, ended) = (self.tools.clone(), job.project.clone(), job.plan.target(), view.clone());
            self.supervised(job, hold, view, undo);
            if let Some(origin) = origin.filter(|_| expects_up) {
                self.tracked(correction::watch(tools, project, target, origin, ended));
            }
        }
        Ok(())
    }
}

/// Waits until the engine answers; false where dockmaster stops before that.
async fn engine_answers(tools: &Tools) -> bool {
    while tools.docker.ping().await.is_err() {
        tokio::select! {
            () = tools.stopping.cancelled() => return false,
            () = tokio::time::sleep(ENGINE_LOOK) => {}
        }
    }
    true
}

/// Whether a helper has done its part: the rest is the next dockmaster's.
fn is_done(record: &OperationRecord) -> bool {
    let Some((handed, (at, done))) = record.handed_over.as_ref().zip(record.step) else { return false };
    let last = relay::last_step(&record.plan, handed.step, &handed.service);
    handed.why.is_none() && at < record.plan.steps.len() && (at > last || (at == last && done))
}

/// What of an operation goes on as it was planned, since it was handed over and nothing went wrong.
fn ahead(record: &OperationRecord, successor: &Successor) -> Option<Left> {
    let (handed, (at, done)) = (record.handed_over.as_ref()?, record.step?);
    let (steps, service) = (record.plan.steps.len(), handed.service.clone());
    // One that is being undone is undone from the beginning, whoever does it.
    if handed.why.is_some() || at >= steps {
        return None;
    }
    let last = relay::last_step(&record.plan, handed.step, &service);
    match successor {
        Successor::Helper { given_up: None, .. } if at == handed.step && !done => Some(Left::Ahead { from: at, until: last + 1, service }),
        Successor::Helper { .. } => None,
        Successor::Dockmaster if is_done(record) => {
            let from = if done { at + 1 } else { at };
            Some(Left::Ahead { from, until: steps, service })
        }
        Successor::Dockmaster => None,
    }
}

/// Whether its release had arrived, and only that could not be told any more.
async fn arrived(tools: &Tools, record: &OperationRecord) -> Result<bool, HistoryError> {
    let reached = record.step.and_then(|(at, _)| record.plan.steps.get(at)).is_some_and(|step| *step == Step::Record);
    let current = tools.history.release_number(record.plan.request.project().clone()).await?;
    Ok(reached && record.plan.release.is_some() && current.map(|(number, _)| number) == record.plan.release)
}

/// Whether services that have no files came through all of its steps: from then on what they took the place of is removed.
fn is_through(record: &OperationRecord) -> bool {
    let last = record.plan.steps.len().checked_sub(1);
    !record.plan.has_release() && !record.plan.replaced().is_empty() && record.step.is_some_and(|(at, done)| done && Some(at) == last)
}

/// Whether the containers may no longer be what they were: a step that touches them was begun, or its undoing.
fn services_touched(record: &OperationRecord) -> bool {
    let steps = &record.plan.steps;
    let touches = |step: &Step| matches!(step, Step::Up { .. } | Step::Restart { .. } | Step::Remove { .. });
    record.step.is_some_and(|(at, _)| at >= steps.len() || steps.iter().take(at + 1).any(touches))
}

/// What steps of a plan without a release were at, where they touch services.
fn touched(record: &OperationRecord) -> Option<Left> {
    let begun = record.step?.0 + 1;
    if record.plan.steps.iter().take(begun).any(|step| matches!(step, Step::Tidy { .. })) {
        return Some(Left::Orphans);
    }
    let touches = |step: &Step| matches!(step, Step::Up { .. } | Step::Stop { .. } | Step::Start { .. } | Step::Restart { .. });
    let any = !record.plan.has_release() && record.plan.steps.iter().take(begun).any(touches);
    any.then_some(Left::Services { begun })
}

/// Takes away what planning left when it was cut off: directories of links. What cannot be taken away does no harm.
fn sweep(projects: &std::path::Path) {
    let entries = |path: &std::path::Path| std::fs::read_dir(path).into_iter().flatten().flatten();
    for project in entries(projects) {
        for left in entries(&project.path()).filter(|e| e.file_name().to_string_lossy().starts_with("plan-")) {
            if let Err(error) = std::fs::remove_dir_all(left.path()) {
                tracing::warn!(%error, "a directory of links was left behind");
            }
        }
    }
}

fn finished(record: &OperationRecord) -> Outcome {
    let project = record.plan.request.project();
    let runs =
        record.plan.release.map_or_else(|| done(&record.plan, &BTreeSet::new()), |release| format!("{project} runs release {release}."));
    let now = format!("{runs} dockmaster itself was ended right after that.");
    Outcome { verdict: Verdict::Succeeded, now, failure: None, services: Vec::new() }
}

fn outcome(operation: &OperationRecord, survivors: usize) -> Outcome {
    let plan = &operation.plan;
    let (now, where_) = match operation.step {
        None => (stands(plan, 0, false, &[]), "before its first step".to_owned()),
        Some((at, done)) => match plan.steps.get(at) {
            Some(step) => {
                let label = step.label();
                (stands(plan, at, true, &[]), format!("{} the step “{label}”", if done { "after" } else { "in the middle of" }))
            }
            None => (format!("{} was put back.", plan.request.project()), "while it was being undone".to_owned()),
        },
    };
    let ended = if survivors == 0 { String::new() } else { " What was still at work for it was ended.".to_owned() };
    let failure = Failure::new(
        format!("The {} was cut off.", plan.kind().word()),
        format!("dockmaster itself was ended {where_}.{ended}"),
        format!(
            "Look at /docker_status {0}, then ask for {1} {0} again if it is still wanted.",
            plan.request.project(),
            plan.kind().command()
        ),
    );
    Outcome { verdict: Verdict::Interrupted, now, failure: Some(failure), services: Vec::new() }
}
