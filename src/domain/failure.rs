//! What went wrong, in words that a person can act on.

use serde::{Deserialize, Serialize};

/// The most lines of evidence that a failure carries.
pub const LINES_MAX: usize = 15;

/// What failed, why, and what to do next: a sentence each. Never a debug dump, never a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{what} {why}")]
pub struct Failure {
    /// What failed.
    pub what: String,
    /// Why.
    pub why: String,
    /// What the person can do.
    pub next: String,
    /// The last lines of the log or build that say why, at most [`LINES_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
}

impl Failure {
    /// A failure without evidence lines.
    pub fn new(what: impl Into<String>, why: impl Into<String>, next: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), next: next.into(), lines: Vec::new() }
    }

    /// Adds evidence, keeping the last [`LINES_MAX`] lines.
    #[must_use]
    pub fn with_lines(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.lines.extend(lines);
        let extra = self.lines.len().saturating_sub(LINES_MAX);
        self.lines.drain(..extra);
        self
    }
}
