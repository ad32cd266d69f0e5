//! The menus of commands that Telegram shows, from the same table as everything else.

use teloxide::payloads::{DeleteWebhook, SetMyCommands};
use teloxide::types::{BotCommand, BotCommandScope, ChatId, Recipient};

use super::api::Api;
use super::command::COMMANDS;
use crate::domain::access::Role;
use crate::domain::project::Configuration;

/// Sets the menus: what everybody may use by default, and in each listed chat what may be used there.
pub(crate) async fn set(api: &Api, config: &Configuration) {
    set_one(api, BotCommandScope::Default, None).await;
    for (user, role) in &config.users {
        if let Ok(chat) = i64::try_from(*user) {
            let own = config.enabled().filter_map(|p| p.access.get(user).copied());
            let greatest = own.fold(*role, Role::max);
            set_one(api, BotCommandScope::Chat { chat_id: Recipient::Id(ChatId(chat)) }, Some(greatest)).await;
        }
    }
    // Who may what in a group differs from person to person; whoever may not is told so.
    for chat in &config.chats {
        set_one(api, BotCommandScope::Chat { chat_id: Recipient::Id(ChatId(*chat)) }, Some(Role::Admin)).await;
    }
}

async fn set_one(api: &Api, scope: BotCommandScope, role: Option<Role>) {
    let allowed = COMMANDS.iter().filter(|c| c.role.is_none_or(|needs| role.is_some_and(|has| has >= needs)));
    let mut payload = SetMyCommands::new(allowed.map(|c| BotCommand::new(c.name, c.description)));
    payload.scope = Some(scope);
    if let Err(error) = api.call(&payload).await {
        // A person who never wrote to the bot has no chat with it yet.
        tracing::debug!(%error, "a menu of commands could not be set");
    }
}

/// Takes away a webhook that somebody set: with it there are no updates to fetch.
pub(crate) async fn drop_webhook(api: &Api) {
    if let Err(error) = api.call(&DeleteWebhook::new()).await {
        tracing::warn!(%error, "the webhook could not be taken away");
    }
}
