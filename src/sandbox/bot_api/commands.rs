//! The lists of commands that the bot sets, by scope.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::ApiError;
use super::params::Params;
use super::world::World;

/// Most commands of one list.
const MAX_COMMANDS: usize = 100;
/// Longest name of a command.
const MAX_NAME: usize = 32;
/// Longest description of a command, in characters.
const MAX_DESCRIPTION: usize = 256;

/// A command as the menu shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Its name, without the slash.
    pub command: String,
    /// What it does.
    pub description: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
enum Scope {
    Default,
    AllPrivateChats,
    AllGroupChats,
    AllChatAdministrators,
    Chat { chat_id: i64 },
    ChatAdministrators { chat_id: i64 },
    ChatMember { chat_id: i64, user_id: i64 },
}

/// The key of a scope: `default`, `all_private_chats`, `chat:5`, `chat_member:-5:7`; with `|en` for a language.
fn scope_key(params: &Params, world: &World) -> Result<String, ApiError> {
    let scope = params.structure("scope")?.unwrap_or(Scope::Default);
    let known = |chat: i64| world.chats.contains_key(&chat).then_some(chat).ok_or(ApiError::refused("chat not found"));
    let mut key = match scope {
        Scope::Default => "default".to_owned(),
        Scope::AllPrivateChats => "all_private_chats".to_owned(),
        Scope::AllGroupChats => "all_group_chats".to_owned(),
        Scope::AllChatAdministrators => "all_chat_administrators".to_owned(),
        Scope::Chat { chat_id } => format!("chat:{}", known(chat_id)?),
        Scope::ChatAdministrators { chat_id } => format!("chat_administrators:{}", known(chat_id)?),
        Scope::ChatMember { chat_id, user_id } => {
            format!("chat_member:{}:{user_id}", known(chat_id)?)
        }
    };
    if let Some(language) = params.text("language_code").filter(|language| !language.is_empty()) {
        key = format!("{key}|{language}");
    }
    Ok(key)
}

pub(super) fn set(world: &mut World, params: &Params) -> Result<Value, ApiError> {
    let key = scope_key(params, world)?;
    let mut commands: Vec<Command> = params.structure("commands")?.ok_or(ApiError::bug("commands are missing"))?;
    if commands.len() > MAX_COMMANDS {
        return Err(ApiError::bug("BOT_COMMANDS_TOO_MUCH"));
    }
    for command in &mut commands {
        // Telegram takes one slash off by itself.
        command.command = command.command.strip_prefix('/').unwrap_or(&command.command).to_owned();
        let is_name = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
        if !(1..=MAX_NAME).contains(&command.command.len()) || !command.command.bytes().all(is_name) {
            return Err(ApiError::bug("BOT_COMMAND_INVALID"));
        }
        if !(1..=MAX_DESCRIPTION).contains(&command.description.trim().chars().count()) {
            return Err(ApiError::bug("BOT_COMMAND_DESCRIPTION_INVALID"));
        }
    }
    world.commands.insert(key, commands);
    world.feed.push(0, super::feed::Change::Commands);
    Ok(json!(true))
}

pub(super) fn delete(world: &mut World, params: &Params) -> Result<Value, ApiError> {
    let key = scope_key(params, world)?;
    world.commands.remove(&key);
    world.feed.push(0, super::feed::Change::Commands);
    Ok(json!(true))
}

pub(super) fn get(world: &World, params: &Params) -> Result<Value, ApiError> {
    let key = scope_key(params, world)?;
    Ok(json!(world.commands.get(&key).map_or(&[][..], Vec::as_slice)))
}

/// The list that a person sees in a chat: that of the narrowest scope that has one.
pub(in crate::sandbox) fn effective(world: &World, chat: i64, user: i64) -> Vec<Command> {
    let wide = if chat > 0 { "all_private_chats" } else { "all_group_chats" };
    let scopes = [format!("chat_member:{chat}:{user}"), format!("chat:{chat}"), wide.to_owned(), "default".to_owned()];
    scopes.iter().find_map(|scope| world.commands.get(scope)).cloned().unwrap_or_default()
}
