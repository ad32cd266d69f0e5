//! What a chat must be told though it did not ask just now: outcomes, recovery.

use serde::{Deserialize, Serialize};

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
