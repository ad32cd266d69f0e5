//! The menus of commands that Telegram shows, from the same table as everything else.

use std::collections::{BTreeMap, BTreeSet};

use teloxide::payloads::{DeleteWebhook, SetMyCommands};
use teloxide::types::{BotCommand, BotCommandScope, ChatId, Recipient};

use super::api::{Api, CallError};
use super::command::COMMANDS;
use crate::domain::access::Role;
use crate::domain::project::Configuration;
use crate::domain::reload::Change;

/// Sets the menus: what everybody may use by default, and in each listed chat what may be used there.
pub(crate) async fn set(api: &Api, config: &Configuration) {
    let everybody = (BotCommandScope::Default, None);
    for (scope, role) in std::iter::once(everybody).chain(scopes(config).into_iter().map(|(chat, role)| (scope(chat), Some(role)))) {
        if let Err(error) = set_one(api, scope, role).await {
            // A person who never wrote to the bot has no chat with it yet.
            tracing::debug!(%error, "a menu of commands could not be set");
        }
    }
}

/// Sets the menus anew that a change makes others.
///
/// # Errors
/// Telegram does not answer.
pub(crate) async fn renew(api: &Api, change: &Change) -> Result<(), String> {
    let (old, new) = (scopes(&change.old), scopes(&change.new));
    let chats: BTreeSet<i64> = old.keys().chain(new.keys()).filter(|chat| old.get(*chat) != new.get(*chat)).copied().collect();
    for chat in chats {
        match set_one(api, scope(chat), new.get(&chat).copied()).await {
            Ok(()) => {}
            Err(error @ CallError::Refused { .. }) => tracing::debug!(%error, "a menu of commands could not be set"),
            Err(error) => return Err(format!("Telegram does not answer ({error})")),
        }
    }
    Ok(())
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
