//! The methods that the server knows, and what they do to the world.

use serde::Deserialize;
use serde_json::{Value, json};

use super::commands;
use super::content::{self, Purpose};
use super::entities::utf16_length;
use super::error::ApiError;
use super::feed::Change;
use super::markup;
use super::model::{ChatKind, Message, Origin};
use super::params::Params;
use super::wire;
use super::world::{CallbackAnswer, World};

/// Longest answer to a press, in characters.
const MAX_ANSWER: usize = 200;
/// What `sendChatAction` may announce.
const ACTIONS: [&str; 11] = [
    "typing",
    "upload_photo",
    "record_video",
    "upload_video",
    "record_voice",
    "upload_voice",
    "upload_document",
    "choose_sticker",
    "find_location",
    "record_video_note",
    "upload_video_note",
];

/// A method that the server knows; its name is matched in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    GetMe,
    GetWebhookInfo,
    DeleteWebhook,
    GetUpdates,
    SendMessage,
    EditMessageText,
    EditMessageReplyMarkup,
    DeleteMessage,
    AnswerCallbackQuery,
    SendDocument,
    SendPhoto,
    SendChatAction,
    SetMyCommands,
    DeleteMyCommands,
    GetMyCommands,
    GetChat,
}

impl Method {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "getme" => Self::GetMe,
            "getwebhookinfo" => Self::GetWebhookInfo,
            "deletewebhook" => Self::DeleteWebhook,
            "getupdates" => Self::GetUpdates,
            "sendmessage" => Self::SendMessage,
            "editmessagetext" => Self::EditMessageText,
            "editmessagereplymarkup" => Self::EditMessageReplyMarkup,
            "deletemessage" => Self::DeleteMessage,
            "answercallbackquery" => Self::AnswerCallbackQuery,
            "senddocument" => Self::SendDocument,
            "sendphoto" => Self::SendPhoto,
            "sendchataction" => Self::SendChatAction,
            "setmycommands" => Self::SetMyCommands,
            "deletemycommands" => Self::DeleteMyCommands,
            "getmycommands" => Self::GetMyCommands,
            "getchat" => Self::GetChat,
            _ => return None,
        })
    }

    /// Whether Telegram counts it towards the pace of a chat.
    pub(super) fn is_paced(self) -> bool {
        matches!(self, Self::SendMessage | Self::SendDocument | Self::SendPhoto | Self::EditMessageText | Self::EditMessageReplyMarkup)
    }
}

/// Carries out a call, all but the waiting of `getUpdates`.
///
/// # Errors
/// What Telegram refuses it with.
pub(super) fn call(world: &mut World, method: Method, params: &Params) -> Result<Value, ApiError> {
    match method {
        Method::GetMe => Ok(me(world)),
        Method::GetWebhookInfo => Ok(json!({
            "url": "", "has_custom_certificate": false, "pending_update_count": world.updates.pending(),
        })),
        Method::DeleteWebhook => {
            if params.flag("drop_pending_updates") {
                world.updates.clear();
            }
            Ok(json!(true))
        }
        Method::GetUpdates => Ok(json!(world.updates.batch(params.integer("limit")?))),
        Method::SendMessage | Method::SendDocument | Method::SendPhoto => send(world, method, params),
        Method::EditMessageText => edit_text(world, params),
        Method::EditMessageReplyMarkup => edit_keyboard(world, params),
        Method::DeleteMessage => delete_message(world, params),
        Method::AnswerCallbackQuery => answer_callback(world, params),
        Method::SendChatAction => {
            let chat = known_chat(world, params)?;
            let action = params.text("action").unwrap_or_default();
            if !ACTIONS.contains(&action.as_str()) {
                return Err(ApiError::bug("wrong parameter action in request"));
            }
            world.feed.push(chat, Change::Action);
            Ok(json!(true))
        }
        Method::SetMyCommands => commands::set(world, params),
        Method::DeleteMyCommands => commands::delete(world, params),
        Method::GetMyCommands => commands::get(world, params),
        Method::GetChat => {
            let chat = known_chat(world, params)?;
            Ok(world.chats.get(&chat).map_or(Value::Null, wire::full_chat))
        }
    }
}

fn me(world: &World) -> Value {
    let mut me = wire::user(&world.bot);
    for (key, is_so) in [
        ("can_join_groups", true),
        ("can_read_all_group_messages", false),
        ("supports_inline_queries", false),
        ("can_connect_to_business", false),
        ("has_main_web_app", false),
    ] {
        me[key] = json!(is_so);
    }
    me
}

/// The chat of a call, which must exist and not have become another one.
fn known_chat(world: &World, params: &Params) -> Result<i64, ApiError> {
    let chat = params.chat_id()?.and_then(|id| world.chats.get(&id)).ok_or(ApiError::refused("chat not found"))?;
    match chat.migrated_to {
        Some(to) => Err(ApiError::migrated(to)),
        None => Ok(chat.id),
    }
}

#[derive(Deserialize)]
struct ReplyParameters {
    message_id: i32,
    #[serde(default)]
    allow_sending_without_reply: bool,
}

fn reply_target(world: &World, params: &Params, chat: i64) -> Result<Option<i32>, ApiError> {
    let mut wanted: Option<ReplyParameters> = params.structure("reply_parameters")?;
    if let (None, Some(id)) = (&wanted, params.integer("reply_to_message_id")?) {
        let message_id = i32::try_from(id).unwrap_or_default();
        let allow_sending_without_reply = params.flag("allow_sending_without_reply");
        wanted = Some(ReplyParameters { message_id, allow_sending_without_reply });
    }
    let Some(wanted) = wanted else {
        return Ok(None);
    };
    if world.message(chat, wanted.message_id).is_some() {
        return Ok(Some(wanted.message_id));
    }
    if wanted.allow_sending_without_reply {
        return Ok(None);
    }
    Err(missing(world, chat, wanted.message_id, "message to be replied not found"))
}

/// The refusal for a message that is not there: a bug of the bot only where it never was.
fn missing(world: &World, chat: i64, id: i32, reason: &str) -> ApiError {
    let was_there = world.chats.get(&chat).is_some_and(|chat| chat.has_given(id));
    if was_there { ApiError::refused(reason) } else { ApiError::bug(reason) }
}

fn send(world: &mut World, method: Method, params: &Params) -> Result<Value, ApiError> {
    let chat = known_chat(world, params)?;
    let purpose = if method == Method::SendMessage { Purpose::Send } else { Purpose::Caption };
    let content = content::read(world, params, purpose)?;
    let document = (method == Method::SendDocument).then(|| content::document(world, params)).transpose()?;
    let photo = (method == Method::SendPhoto).then(|| content::photo(world, params)).transpose()?;
    let buttons = markup::keyboard(params)?;
    let reply_to = reply_target(world, params, chat)?;
    let date = world.now();
    let bot = world.bot.clone();
    let message = Message {
        id: world.chat_mut(chat).next_id(),
        chat,
        from_bot: true,
        sender: bot.first_name,
        date,
        text: content.text,
        html: content.html,
        entities: content.entities,
        buttons,
        document,
        photo,
        reply_to,
        edits: 0,
        silent: params.flag("disable_notification"),
        origin: Origin { from: Some(bot.id), ..Origin::default() },
    };
    world.insert(message.clone());
    Ok(wire::message(world, &message))
}

/// The bot's own message that a call wants to edit.
fn own_message(world: &World, params: &Params) -> Result<Message, ApiError> {
    let chat = known_chat(world, params)?;
    let id = params.message_id()?;
    let message = world.message(chat, id);
    let message = message.ok_or_else(|| missing(world, chat, id, "message to edit not found"))?;
    if !message.from_bot {
        return Err(ApiError::bug("message can't be edited"));
    }
    Ok(message.clone())
}

fn edit_text(world: &mut World, params: &Params) -> Result<Value, ApiError> {
    let mut message = own_message(world, params)?;
    if message.document.is_some() || message.photo.is_some() {
        return Err(ApiError::bug("there is no text in the message to edit"));
    }
    let content = content::read(world, params, Purpose::Edit)?;
    message.text = content.text;
    message.html = content.html;
    message.entities = content.entities;
    // An edit without a keyboard takes the keyboard away.
    message.buttons = markup::keyboard(params)?;
    keep_edit(world, message)
}

fn edit_keyboard(world: &mut World, params: &Params) -> Result<Value, ApiError> {
    let mut message = own_message(world, params)?;
    message.buttons = markup::keyboard(params)?;
    keep_edit(world, message)
}

fn keep_edit(world: &mut World, mut edited: Message) -> Result<Value, ApiError> {
    let (chat, id, now) = (edited.chat, edited.id, world.now());
    let kept = world.chats.get_mut(&chat).and_then(|chat| chat.messages.get_mut(&id));
    let kept = kept.ok_or(ApiError::refused("message to edit not found"))?;
    if (&kept.text, &kept.entities, &kept.buttons) == (&edited.text, &edited.entities, &edited.buttons) {
        return Err(ApiError::refused(
            "message is not modified: specified new message content and reply markup are exactly the same as a current \
             content and reply markup of the message",
        ));
    }
    edited.edits += 1;
    edited.origin.edit_date = Some(now);
    *kept = edited.clone();
    world.show(chat, Change::Message(id));
    Ok(wire::message(world, &edited))
}

fn delete_message(world: &mut World, params: &Params) -> Result<Value, ApiError> {
    let chat = known_chat(world, params)?;
    let id = params.message_id()?;
    let message = world.message(chat, id);
    let message = message.ok_or_else(|| missing(world, chat, id, "message to delete not found"))?;
    let is_private = world.chats.get(&chat).is_some_and(|chat| chat.kind == ChatKind::Private);
    if !message.from_bot && !is_private {
        return Err(ApiError::bug("message can't be deleted"));
    }
    world.remove(chat, id);
    Ok(json!(true))
}

fn answer_callback(world: &mut World, params: &Params) -> Result<Value, ApiError> {
    let id = params.text("callback_query_id").unwrap_or_default();
    let text = params.text("text").unwrap_or_default();
    if utf16_length(&text) > MAX_ANSWER {
        return Err(ApiError::bug("MESSAGE_TOO_LONG"));
    }
    let alert = params.flag("show_alert");
    let callback = world.callback_mut(&id).filter(|callback| callback.answer.is_none());
    let Some(callback) = callback else {
        return Err(ApiError::bug("query is too old and response timeout expired or query ID is invalid"));
    };
    callback.answer = Some(CallbackAnswer { text: text.clone(), alert });
    let chat = callback.chat;
    world.show(chat, Change::Answered { callback: id, text, alert });
    Ok(json!(true))
}

impl World {
    /// Takes a message out of its chat and tells the pages.
    pub(super) fn remove(&mut self, chat: i64, id: i32) -> bool {
        let is_gone = self.chats.get_mut(&chat).is_some_and(|chat| chat.remove(id).is_some());
        if is_gone {
            self.show(chat, Change::Deleted(id));
        }
        is_gone
    }
}
