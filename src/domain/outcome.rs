//! How an operation ended.

use serde::{Deserialize, Serialize};

use super::failure::Failure;

/// What is seen of a service that ended with code 0 and is no job: neither good nor bad.
pub const EXITED_ZERO: &str = "exited (0)";

/// How an operation ended, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything that was planned was done and verified.
    Succeeded,
    /// A step failed.
    Failed,
    /// dockmaster stopped or was killed in the middle.
    Interrupted,
    /// Somebody cancelled it.
    Cancelled,
    /// It has not ended: dockmaster itself is replaced, and the next one goes on with it. Shown, never kept.
    HandedOver,
}

impl Verdict {
    /// The word that history shows.
    pub fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "done",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Cancelled => "cancelled",
            Self::HandedOver => "handed over",
        }
    }
}

/// How an operation ended: the truth about what is there now, and the cause where it failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// In one word.
    pub verdict: Verdict,
    /// One sentence about what is there now: `shop runs release 3.`
    pub now: String,
    /// The cause, where it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// A line for each service that took part: `backend: healthy after 3 s`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceOutcome>,
}

/// How one service came out of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceOutcome {
    /// The service or, where it has several, the container.
    pub service: String,
    /// Whether it is as it should be.
    pub good: bool,
    /// What was seen: `healthy after 3 s`.
    pub seen: String,
}

impl ServiceOutcome {
    /// Whether it ended with code 0 and is no job: neither good nor bad.
    pub fn is_neutral(&self) -> bool {
        self.good && self.seen == EXITED_ZERO
    }
}
