//! Refusals, in the shape that Telegram gives them.

use serde_json::{Value, json};

/// A refusal of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    /// The HTTP status and `error_code`.
    pub(super) code: u16,
    /// What Telegram would say.
    pub(super) description: String,
    /// `parameters.retry_after`, in seconds.
    pub(super) retry_after: Option<u32>,
    /// `parameters.migrate_to_chat_id`.
    pub(super) migrate_to: Option<i64>,
    /// The call could never have been right: a bug of the bot, not something that life brings.
    pub(super) is_violation: bool,
}

impl ApiError {
    pub(super) fn new(code: u16, description: impl Into<String>) -> Self {
        Self { code, description: description.into(), retry_after: None, migrate_to: None, is_violation: false }
    }

    /// A 400 that a correct bot can meet.
    pub(super) fn refused(reason: &str) -> Self {
        Self::new(400, format!("Bad Request: {reason}"))
    }

    /// A 400 that only a bug of the bot can cause.
    pub(super) fn bug(reason: &str) -> Self {
        Self { is_violation: true, ..Self::refused(reason) }
    }

    pub(super) fn too_many_requests(retry_after: u32) -> Self {
        let description = format!("Too Many Requests: retry after {retry_after}");
        Self { retry_after: Some(retry_after), ..Self::new(429, description) }
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized")
    }

    pub(super) fn conflict() -> Self {
        Self::new(409, "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running")
    }

    pub(super) fn migrated(to: i64) -> Self {
        let error = Self::refused("group chat was upgraded to a supergroup chat");
        Self { migrate_to: Some(to), ..error }
    }

    pub(super) fn body(&self) -> Value {
        let mut body = json!({ "ok": false, "error_code": self.code, "description": self.description });
        if let Some(seconds) = self.retry_after {
            body["parameters"] = json!({ "retry_after": seconds });
        }
        if let Some(chat) = self.migrate_to {
            body["parameters"] = json!({ "migrate_to_chat_id": chat });
        }
        body
    }
}
