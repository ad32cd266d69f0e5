//! The menus of commands that Telegram shows, from the same table as everything else.

use std::collections::{BTreeMap, BTreeSet};

use teloxide::payloads::{DeleteWebhook, SetMyCommands};
use teloxide::types::{BotCommand, BotCommandScope, ChatId, Recipient};

use super::api::{Api, CallError};
use super::command::COMMANDS;
use crate::domain::access::Role;
use crate::domain::project::Configuration;

/// Sets the menu of what everybody may use.
pub(crate) async fn set_for_everybody(api: &Api) {
    if let Err(error) = set_one(api, BotCommandScope::Default, None).await {
        tracing::debug!(%error, "the menu of commands for everybody could not be set");
    }
}

/// The menus that are set: what may be used there, by chat.
#[derive(Debug, Default)]
pub(crate) struct Menus(BTreeMap<i64, Role>);

impl Menus {
    /// Sets those anew that are to be others, those among them that could not be set before.
    ///
    /// # Errors
    /// Telegram does not answer.
    pub(crate) async fn follow(&mut self, api: &Api, config: &Configuration) -> Result<(), String> {
        let wanted = scopes(config);
        let chats: BTreeSet<i64> = self.0.keys().chain(wanted.keys()).copied().collect();
        for chat in chats {
            let role = wanted.get(&chat).copied();
            if self.0.get(&chat).copied() == role {
                continue;
            }
            match set_one(api, scope(chat), role).await {
                Ok(()) => {}
                // A person who never wrote to the bot has no chat with it yet.
                Err(error @ CallError::Refused { .. }) => tracing::debug!(%error, "a menu of commands could not be set"),
                Err(error) => return Err(format!("Telegram does not answer ({error})")),
            }
            match role {
                Some(role) => drop(self.0.insert(chat, role)),
                None => drop(self.0.remove(&chat)),
            }
        }
        Ok(())
    }
}

/// The chats with a menu of their own, by the role that it is for.
fn scopes(config: &Configuration) -> BTreeMap<i64, Role> {
    let private = config.users.iter().filter_map(|(user, role)| {
        let own = config.enabled().filter_map(|p| p.access.get(user).copied());
        Some((i64::try_from(*user).ok()?, own.fold(*role, Role::max)))
    });
    // Who may what in a group differs from person to person; whoever may not is told so.
    private.chain(config.chats.iter().map(|chat| (*chat, Role::Admin))).collect()
}

fn scope(chat: i64) -> BotCommandScope {
    BotCommandScope::Chat { chat_id: Recipient::Id(ChatId(chat)) }
}

async fn set_one(api: &Api, scope: BotCommandScope, role: Option<Role>) -> Result<(), CallError> {
    let allowed = COMMANDS.iter().filter(|c| c.role.is_none_or(|needs| role.is_some_and(|has| has >= needs)));
    let mut payload = SetMyCommands::new(allowed.map(|c| BotCommand::new(c.name, c.description)));
    payload.scope = Some(scope);
    api.call(&payload).await.map(drop)
}

/// Takes away a webhook that somebody set: with it there are no updates to fetch.
pub(crate) async fn drop_webhook(api: &Api) {
    if let Err(error) = api.call(&DeleteWebhook::new()).await {
        tracing::warn!(%error, "the webhook could not be taken away");
    }
}
