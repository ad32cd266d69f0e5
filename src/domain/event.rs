//! What an operation reports while it runs. Steps are named by their place in the plan.

use serde::{Deserialize, Serialize};

use super::outcome::Outcome;
use super::plan::Step;
use super::project::ServiceName;

/// One report. When it happened is said beside it, by whoever records it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A step begins.
    StepStarted {
        /// Its place in the plan, from 0.
        step: usize,
    },
    /// A line that the step's program printed: shown, never kept.
    Line {
        /// The line, cleaned of escape codes and cut to a bounded length.
        text: String,
    },
    /// A service that takes part advances.
    Service {
        /// The service or container.
        service: String,
        /// Where it stands.
        progress: Progress,
        /// What is seen: `healthy after 3 s`.
        seen: String,
    },
    /// A step is done.
    StepDone {
        /// Its place in the plan.
        step: usize,
        /// What it came to, where that is worth a word: `12 files`.
        note: Option<String>,
    },
    /// A step failed; the outcome says why.
    StepFailed {
        /// Its place in the plan.
        step: usize,
    },
    /// A step would end dockmaster itself: a helper takes it, and what follows is the next dockmaster's.
    HandedOver {
        /// Its place in the plan, or in what undoes it.
        step: usize,
        /// The service that dockmaster itself is.
        service: ServiceName,
        /// Why it is being undone, where it is.
        why: Option<Box<Outcome>>,
    },
    /// What was done is undone by these steps, which count on from the plan's.
    Undoing {
        /// In order.
        steps: Vec<Step>,
    },
    /// The operation ended.
    Ended {
        /// How.
        outcome: Outcome,
    },
}

/// Where something that takes part stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Progress {
    /// Not begun.
    Waiting,
    /// At it.
    Working,
    /// As it should be.
    Done,
    /// Not as it should be.
    Failed,
}
