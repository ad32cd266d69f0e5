//! What a chat must be told though it did not ask just now: outcomes, recovery.

use serde::{Deserialize, Serialize};

use super::Millis;
use super::access::ChatId;
use super::environment::Concern;
use super::orphans::Orphan;
use super::outcome::ServiceOutcome;
use super::project::ProjectName;
use super::reload::{Applied, Rejected};
use super::space::LowSpace;

/// Where an answer belongs: the chat, and the message that asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The chat.
    pub chat: ChatId,
    /// The topic of a forum, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<i32>,
    /// The message that shows the operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<i32>,
}

/// How the database was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatabaseLoss {
    /// It was removed.
    Removed,
    /// Another file took its place.
    Replaced,
    /// It was emptied.
    Emptied,
    /// Its content is damaged.
    Damaged,
}

impl DatabaseLoss {
    /// In a word, as in "it was removed".
    pub fn word(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Replaced => "replaced",
            Self::Emptied => "emptied",
            Self::Damaged => "damaged",
        }
    }
}

/// What a lost database was restored from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoredFrom {
    /// From what the running program had open: nothing is missing.
    Memory,
    /// From the backup.
    Backup {
        /// When that was made.
        at: Millis,
    },
    /// There was nothing: it is a new one.
    Nothing,
}

/// What a chat must be told. Kept until it was delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum Notice {
    /// An operation ended.
    Outcome {
        /// Its number, as history counts.
        operation: i64,
    },
    /// Services that an outcome had called good are down.
    Corrected {
        /// The operation's number.
        operation: i64,
        /// What it was about: `shop`, `shop/backend`.
        target: String,
        /// How those services are now.
        services: Vec<ServiceOutcome>,
    },
    /// Another configuration is in force.
    Reloaded {
        /// What came of it.
        applied: Box<Applied>,
    },
    /// The configuration's files have problems, and are not in force.
    Rejected {
        /// Which.
        rejected: Rejected,
        /// Whether dockmaster has just started.
        starting: bool,
    },
    /// Changes of the configuration cannot be seen.
    Unseen {
        /// Why, and what to do.
        trouble: String,
    },
    /// There is a new token for the bot.
    Token {
        /// Why it is not used, where it is not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<String>,
    },
    /// What dockmaster keeps does not last where it is.
    Concerns {
        /// Why.
        concerns: Vec<Concern>,
    },
    /// The database was lost or damaged, and restored.
    DatabaseLost {
        /// How.
        how: DatabaseLoss,
        /// From what.
        from: RestoredFrom,
        /// The name under which the file that was found is kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        aside: Option<String>,
    },
    /// There is little room left on a file system.
    LowSpace {
        /// Which, and what lies there.
        low: Box<LowSpace>,
    },
    /// Containers are left over from services that are no longer configured.
    LeftOver {
        /// The project that they were made for.
        project: ProjectName,
        /// Which.
        orphans: Vec<Orphan>,
    },
    /// dockmaster ended while it answered a message.
    Unanswered {
        /// What the message said.
        text: String,
    },
}
