//! How the configuration is watched, and what comes of a change of it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Millis;
use super::environment::Environment;
use super::impact::Impact;
use super::project::Configuration;
use super::snapshot::Cause;

/// How it is noticed that a file was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "watching")]
pub enum Watching {
    /// By events where they can be relied on, by looking in a container.
    Auto,
    /// By what the file system reports; now and then it is looked, too.
    Events,
    /// By looking.
    Poll,
    /// Not at all: a reload has to be asked for.
    Off,
}

impl Watching {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Events, Self::Poll, Self::Off];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Events => "events",
            Self::Poll => "poll",
            Self::Off => "off",
        }
    }
}

/// How the configuration is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReloadPolicy {
    /// How changes are noticed.
    pub watch: Watching,
    /// How often it is looked, where it is looked.
    pub poll: Duration,
    /// For how long nothing may change any more before a change is read.
    pub debounce: Duration,
    /// After what a change is undone by itself.
    pub rollback_on: BTreeSet<Trigger>,
}

/// What goes wrong after a change, so that it is undone where that is wished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "trigger")]
pub enum Trigger {
    /// The compose files of a project that was added or changed cannot be read.
    UnreadableProject,
    /// A part of dockmaster cannot take the change over, and does not try again by itself.
    FailedPart,
}

impl Trigger {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::UnreadableProject, Self::FailedPart];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::UnreadableProject => "unreadable_project",
            Self::FailedPart => "failed_part",
        }
    }
}

impl Default for ReloadPolicy {
    fn default() -> Self {
        Self { watch: Watching::Auto, poll: Duration::from_secs(1), debounce: Duration::from_millis(300), rollback_on: BTreeSet::new() }
    }
}

/// A change of the configuration, for those who hold parts of it.
#[derive(Debug, Clone)]
pub struct Change {
    /// What was in force.
    pub old: std::sync::Arc<Configuration>,
    /// What is.
    pub new: std::sync::Arc<Configuration>,
}

/// What came of a look at the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "came_to", rename_all = "snake_case")]
pub enum Reloaded {
    /// They are what is in force.
    Unchanged,
    /// They are as they were when another version was pinned, which still is in force.
    Pinned,
    /// They are in force now.
    Applied(Box<Applied>),
    /// They have problems; what was in force still is.
    Rejected(Rejected),
}

impl Reloaded {
    /// Whether what the files say is in force.
    pub fn is_in_force(&self) -> bool {
        match self {
            Self::Unchanged => true,
            Self::Applied(applied) => !applied.pinned,
            Self::Pinned | Self::Rejected(_) => false,
        }
    }
}

/// A version that came into force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Why, and through whom.
    #[serde(flatten)]
    pub cause: Cause,
    /// Its number; none where it could not be kept.
    pub snapshot: Option<i64>,
    /// What it changes.
    pub impact: Impact,
    /// What is doubtful in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The projects whose compose files cannot be read as they are configured now, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    /// The parts of dockmaster that keep what they had, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<FailedPart>,
    /// The plans that waited for a yes and were withdrawn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withdrawn: Vec<String>,
    /// Whether it is pinned: the files say something else, and count again once they are changed.
    #[serde(default)]
    pub pinned: bool,
    /// Why the files could not be written, where that was wished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unwritten: Option<String>,
}

impl Applied {
    /// What went wrong after it, where that is a reason to undo it.
    pub fn undone_by(&self, triggers: &BTreeSet<Trigger>) -> Option<String> {
        let unreadable = self.unreadable.first().filter(|_| triggers.contains(&Trigger::UnreadableProject));
        let failed = self.failed.iter().find(|failed| !failed.tries_again).filter(|_| triggers.contains(&Trigger::FailedPart));
        unreadable.cloned().or_else(|| failed.map(|failed| format!("{} could not take it over: {}", failed.part, failed.why)))
    }
}

/// A part of dockmaster that could not take a change over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedPart {
    /// Which.
    pub part: String,
    /// Why.
    pub why: String,
    /// Whether it tries again by itself.
    #[serde(default)]
    pub tries_again: bool,
}

/// Files that are not in force because of what is wrong with them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Since when that is known.
    pub at: Millis,
    /// What is wrong, each with file, line and column.
    pub problems: Vec<String>,
}

/// How the configuration stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The file.
    pub path: String,
    /// The files that it includes.
    pub included: Vec<String>,
    /// The version in force; none where it could not be kept.
    pub snapshot: Option<i64>,
    /// Since when it is in force.
    pub since: Millis,
    /// Whether it is pinned: the files say something else, and count again once they are changed.
    #[serde(default)]
    pub pinned: bool,
    /// What is wrong with the files, where that is why they are not in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Rejected>,
    /// How changes are noticed: never `auto`.
    pub watching: Watching,
    /// Why so.
    pub because: String,
    /// Why changes cannot be noticed, where that was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Where dockmaster runs, as it was at its start.
    #[serde(default)]
    pub environment: Environment,
}
