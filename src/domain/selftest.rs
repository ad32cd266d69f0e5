//! What `config selftest` found: whether changes of the configuration come into force here, as they should.

use serde::{Deserialize, Serialize};

use super::Millis;
use super::reload::Watching;

/// What came of all that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTest {
    /// The directory in which it was tried.
    pub directory: String,
    /// Whether that is where the configuration is, and not only a directory on the same machine.
    pub on_the_spot: bool,
    /// How changes are noticed there: never `auto`.
    pub watching: Watching,
    /// Why so.
    pub because: String,
    /// The longest that a change may take, in milliseconds.
    pub limit: Millis,
    /// What was tried, in order.
    pub trials: Vec<Trial>,
}

impl SelfTest {
    /// Whether changes are noticed, and all went as it should.
    pub fn passed(&self) -> bool {
        self.watching != Watching::Off && self.trials.iter().all(|trial| trial.failed.is_none())
    }
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// What, as people are told.
    pub what: String,
    /// How long it took, in milliseconds.
    pub took: Millis,
    /// Why it did not go as it should, where it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}
