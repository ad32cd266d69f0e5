//! Who asks, from where, and what they may do.

use serde::{Deserialize, Serialize};

use super::project::{Configuration, ProjectName};
use super::untrusted::UntrustedText;

/// A Telegram user's numeric id: the only thing about a person that can be believed.
pub type UserId = u64;
/// A Telegram chat's numeric id; negative for groups.
pub type ChatId = i64;

/// What somebody may do. Roles contain each other: admin > operator > viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "role")]
pub enum Role {
    /// Reads status, logs and history.
    Viewer,
    /// Starts, stops and restarts, too.
    Operator,
    /// Deploys, too.
    Admin,
}

impl Role {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// Who asked, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "via", rename_all = "lowercase")]
pub enum Actor {
    /// A person in a chat.
    Telegram {
        /// The person.
        user: UserId,
        /// Their name as Telegram tells it: for showing, never for deciding.
        name: String,
        /// The chat; equal to the user's id in a private chat.
        chat: ChatId,
    },
    /// Somebody at the terminal of the machine.
    Console,
    /// dockmaster itself, as the configuration says.
    Dockmaster,
}

impl Actor {
    /// How the actor is called in history and messages.
    pub fn label(&self) -> UntrustedText {
        match self {
            Self::Telegram { user, name, .. } if name.is_empty() => user.to_string().into(),
            Self::Telegram { name, .. } => name.into(),
            Self::Console => "console".into(),
            Self::Dockmaster => "dockmaster".into(),
        }
    }
}

/// Why somebody was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// The person is on no list.
    Stranger,
    /// The chat is not listed.
    Chat,
    /// The role does not suffice.
    Role {
        /// What they are.
        has: Role,
        /// What it takes.
        needs: Role,
    },
}

/// The role that an actor has, in a project where one is given.
///
/// # Errors
/// A person who is not listed, or a chat that is not listed.
pub fn role(config: &Configuration, actor: &Actor, project: Option<&ProjectName>) -> Result<Role, Denied> {
    let Actor::Telegram { user, chat, .. } = actor else { return Ok(Role::Admin) };
    let general = *config.users.get(user).ok_or(Denied::Stranger)?;
    let private = i64::try_from(*user) == Ok(*chat);
    if !private && !config.chats.contains(chat) {
        return Err(Denied::Chat);
    }
    let own = project.and_then(|p| config.projects.get(p)).and_then(|p| p.access.get(user));
    Ok(own.copied().unwrap_or(general))
}

/// Whether an actor may do what needs a role, in a project where one is given.
///
/// # Errors
/// Says why not.
pub fn allow(config: &Configuration, actor: &Actor, project: Option<&ProjectName>, needs: Role) -> Result<(), Denied> {
    let has = role(config, actor, project)?;
    if has >= needs { Ok(()) } else { Err(Denied::Role { has, needs }) }
}
