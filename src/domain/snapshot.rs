//! Kept versions of the configuration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Millis;
use super::impact::Impact;
use super::untrusted::UntrustedText;

/// The files of a configuration, as they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// The file that is named.
    pub main: String,
    /// Those that it includes, by their names as seen from its directory.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub included: BTreeMap<String, String>,
}

/// Why a version came into force, and through whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Cause {
    /// dockmaster started with it.
    Start,
    /// Somebody saved a file.
    Saved,
    /// Somebody asked for a reload.
    Asked {
        /// Who.
        who: UntrustedText,
    },
    /// Somebody had what was in force kept.
    Kept {
        /// Who.
        who: UntrustedText,
        /// What for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<UntrustedText>,
    },
    /// Somebody went back to an earlier version.
    Rollback {
        /// Who.
        who: UntrustedText,
        /// To which.
        to: i64,
    },
    /// A change was undone, because something failed after it.
    Undone {
        /// The version that was undone; none where it could not be kept.
        undone: Option<i64>,
        /// What failed.
        why: String,
    },
}

/// A version in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotLine {
    /// Its number.
    pub id: i64,
    /// When it came into force.
    pub at: Millis,
    /// Why.
    #[serde(flatten)]
    pub cause: Cause,
    /// What it changed.
    pub impact: Impact,
}

/// A version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// What the list says of it.
    pub line: SnapshotLine,
    /// The hash of its files.
    pub hash: String,
    /// Its files.
    pub files: Files,
}

/// What going back to a version would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionPlan {
    /// The version.
    pub to: i64,
    /// Since when it is kept.
    pub at: Millis,
    /// What it changes.
    pub impact: Impact,
    /// Whether it is what is in force already.
    pub in_force: bool,
    /// What becomes of the files.
    pub way: Way,
    /// What is doubtful in it, or lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// A hash of what it goes by: the version, what is in force, and what the files say.
    pub digest: String,
}

impl VersionPlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.in_force && self.way == Way::AsTheyAre
    }
}

/// How a version and the configuration's files come together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "way", rename_all = "snake_case")]
pub enum Way {
    /// They say it already.
    AsTheyAre,
    /// It is written into them.
    Write {
        /// Those that are others, by their paths.
        files: Vec<UntrustedText>,
    },
    /// They stay, and it is in force until they are changed.
    Pin {
        /// Why they are not written.
        why: String,
    },
}

/// Which version is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// The version.
    pub snapshot: i64,
    /// Where it is another one than the files: their hash. It holds until they are changed.
    pub pinned_over: Option<String>,
    /// Whether it is being written into the files, which may hold some of it.
    pub writing: bool,
}
