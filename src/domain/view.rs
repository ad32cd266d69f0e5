//! The one thing that every front end draws: a fold over the events of an operation.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Millis;
use super::event::{Event, Progress};
use super::outcome::Outcome;
use super::plan::Plan;
use super::request::Kind;
use super::untrusted::UntrustedText;

/// How many of the last lines a view keeps.
pub const TAIL_LINES: usize = 5;

/// An operation as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OperationView {
    /// Its number, as history counts.
    pub id: i64,
    /// What kind it is.
    pub kind: Kind,
    /// What it is about: `shop` or `shop/backend`.
    pub target: String,
    /// Who asked.
    pub actor: UntrustedText,
    /// When it began.
    pub started: Millis,
    /// Its steps.
    pub steps: Vec<StepView>,
    /// The services that take part, in the order in which they came up.
    pub services: Vec<ServiceView>,
    /// The last lines that the running step printed.
    pub tail: VecDeque<String>,
    /// How it ended, once it has, and when.
    pub ended: Option<(Millis, Outcome)>,
    /// Why that could not be recorded, where it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unrecorded: Option<String>,
}

impl OperationView {
    /// The name of the project that it is about.
    pub fn project(&self) -> &str {
        self.target.split('/').next().unwrap_or_default()
    }
}

/// A step as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepView {
    /// What it does: `Build backend`.
    pub label: String,
    /// Where it stands.
    pub progress: Progress,
    /// When it began.
    pub started: Option<Millis>,
    /// When it ended.
    pub ended: Option<Millis>,
    /// What it came to.
    pub note: Option<String>,
}

impl StepView {
    fn waiting(label: String) -> Self {
        Self { label, progress: Progress::Waiting, started: None, ended: None, note: None }
    }
}

/// A service as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceView {
    /// Its name.
    pub service: String,
    /// Where it stands.
    pub progress: Progress,
    /// What is seen.
    pub seen: String,
}

impl OperationView {
    /// An operation that has just begun.
    pub fn new(id: i64, plan: &Plan, actor: UntrustedText, now: Millis) -> Self {
        Self {
            id,
            kind: plan.kind(),
            target: plan.target(),
            actor,
            started: now,
            steps: plan.steps.iter().map(|s| StepView::waiting(s.label())).collect(),
            services: Vec::new(),
            tail: VecDeque::new(),
            ended: None,
            unrecorded: None,
        }
    }

    /// Takes in an event. An event about a step that the plan does not have changes nothing.
    pub fn apply(&mut self, event: &Event, now: Millis) {
        match event {
            Event::StepStarted { step } => {
                self.tail.clear();
                if let Some(view) = self.steps.get_mut(*step) {
                    view.progress = Progress::Working;
                    view.started = Some(now);
                }
            }
            Event::Line { text } => {
                if self.tail.len() == TAIL_LINES {
                    self.tail.pop_front();
                }
                self.tail.push_back(text.clone());
            }
            Event::Service { service, progress, seen } => {
                let view = ServiceView { service: service.clone(), progress: *progress, seen: seen.clone() };
                match self.services.iter_mut().find(|s| s.service == *service) {
                    Some(known) => *known = view,
                    None => self.services.push(view),
                }
            }
            Event::StepDone { step, note } => self.end_step(*step, Progress::Done, note.clone(), now),
            Event::StepFailed { step } => self.end_step(*step, Progress::Failed, None, now),
            // Whoever watches is told by how this dockmaster's part of it ends.
            Event::HandedOver { .. } => {}
            Event::Undoing { steps } => {
                self.tail.clear();
                self.steps.extend(steps.iter().map(|s| StepView::waiting(format!("↩️ {}", s.label()))));
            }
            Event::Ended { outcome } => {
                self.tail.clear();
                self.ended = Some((now, outcome.clone()));
            }
        }
    }

    fn end_step(&mut self, step: usize, progress: Progress, note: Option<String>, now: Millis) {
        self.tail.clear();
        if let Some(view) = self.steps.get_mut(step) {
            view.progress = progress;
            view.ended = Some(now);
            view.note = note;
        }
    }
}
