//! Logs of a service: the last lines, or as they come.

use crate::domain::Millis;
use crate::domain::project::{ProjectName, ServiceName};

/// How many lines are shown unless told otherwise.
pub const LINES_DEFAULT: usize = 50;
/// How many lines can be asked for.
pub const LINES_MAX: usize = 1_000;

/// What somebody wants to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogQuery {
    /// The project.
    pub project: ProjectName,
    /// The service; none means the primary one.
    pub service: Option<ServiceName>,
    /// How many of the last lines, at most [`LINES_MAX`].
    pub lines: usize,
    /// Only lines that contain this text, without regard to case.
    pub grep: Option<String>,
    /// Only lines since this long ago.
    pub since: Option<std::time::Duration>,
}

/// One line of a log, fit to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it was written, as the engine noted it.
    pub at: Option<Millis>,
    /// The line, without escape codes and control characters, bounded in length.
    pub text: String,
}

/// The last lines of a service's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logs {
    /// Whose.
    pub service: ServiceName,
    /// Oldest first.
    pub lines: Vec<LogLine>,
    /// Whether older lines were read that did not fit the bound (only with `grep`: not everything was searched).
    pub cut: bool,
}
