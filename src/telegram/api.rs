//! Calls of the Bot API. teloxide's own sending sleeps ten seconds on a 502 and hides which answers can be tried
//! again, so its payloads and HTTP client are used, and the answers are read here.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;
use teloxide::Bot;
use teloxide::requests::Payload;
use tokio::sync::watch;

use super::clock::ApiClock;
use super::outbox::Pace;
use crate::domain::redact::redact;

/// How long an ordinary call may take.
pub(crate) const CALL_LIMIT: Duration = Duration::from_secs(20);
/// How long an upload may take.
const UPLOAD_LIMIT: Duration = Duration::from_secs(120);
/// The longest wait that a 429 can ask for; more is taken for nonsense.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// What is said of an answer that points elsewhere.
const REDIRECTED: &str = "something answered with a redirect, which the Bot API never does, so it was not followed; \
     check TELOXIDE_API_URL and any proxy";

/// Why a call did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    /// There was no connection: nothing was delivered.
    #[error("Telegram cannot be reached: {0}")]
    Away(String),
    /// The connection broke, or the answer made no sense: it may have been delivered.
    #[error("Telegram did not answer: {0}")]
    Unsure(String),
    /// The server had a problem of its own.
    #[error("Telegram answered {0}")]
    Server(u16),
    /// Too fast.
    #[error("Telegram asks to wait {}s", .0.as_secs())]
    TooFast(Duration),
    /// The group has become a supergroup with this id.
    #[error("the chat has moved to {0}")]
    Migrated(i64),
    /// It was understood and refused.
    #[error("Telegram refused: {code} {why}")]
    Refused {
        /// The code, as HTTP counts.
        code: u16,
        /// What the API says.
        why: String,
    },
}

/// The Bot API, as one bot uses it. Has no `Debug`: the bot holds the token.
#[derive(Clone)]
pub(crate) struct Api {
    bot: Bot,
    token: Arc<watch::Sender<SecretString>>,
    clock: Arc<ApiClock>,
    pace: Pace,
}

impl Api {
    pub(crate) fn new(bot: Bot, token: SecretString, clock: Arc<ApiClock>) -> Self {
        // The Bot API never redirects, and the token is in each address: it must not go where somebody points.
        let client = teloxide::net::default_reqwest_settings().redirect(reqwest::redirect::Policy::none()).build();
        let bot = match client {
            Ok(client) => Bot::with_client(token.expose_secret(), client).set_api_url(bot.api_url()),
            // It could be built once already, with the same settings but one.
            Err(_) => bot,
        };
        Self { bot, token: Arc::new(watch::Sender::new(token)), clock, pace: Pace::TELEGRAM }
    }

    /// The same at another pace.
    pub(crate) fn at(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// How fast messages may go.
    pub(crate) fn pace(&self) -> Pace {
        self.pace
    }

    /// The same with another token.
    pub(crate) fn with(&self, token: SecretString) -> Self {
        Self { bot: self.bot.clone(), token: Arc::new(watch::Sender::new(token)), clock: Arc::clone(&self.clock), pace: self.pace }
    }

    /// The token in use.
    pub(crate) fn token(&self) -> SecretString {
        self.token.borrow().clone()
    }

    /// Uses another token from now on, in all clones.
    pub(crate) fn renew(&self, token: SecretString) {
        self.token.send_replace(token);
    }

    /// Tells when another token is used.
    pub(crate) fn renewals(&self) -> watch::Receiver<SecretString> {
        self.token.subscribe()
    }

    /// teloxide's bot with the token in use.
    pub(crate) fn bot(&self) -> Bot {
        Bot::with_client(self.token.borrow().expose_secret(), self.bot.client().clone()).set_api_url(self.bot.api_url())
    }

    /// Calls a method with teloxide's payload for it.
    pub(crate) async fn call<P: Payload + Serialize>(&self, payload: &P) -> Result<Value, CallError> {
        self.call_within(payload, CALL_LIMIT).await
    }

    /// As [`Api::call`], within a time.
    pub(crate) async fn call_within<P: Payload + Serialize>(&self, payload: &P, limit: Duration) -> Result<Value, CallError> {
        let body = serde_json::to_vec(payload).map_err(|e| CallError::Refused { code: 400, why: e.to_string() })?;
        self.post(P::NAME, "application/json", body, limit).await
    }

    /// Sends a file with its caption. `fields` are the method's other parameters.
    pub(crate) async fn upload(&self, fields: &[(&str, String)], name: &str, content: &[u8]) -> Result<Value, CallError> {
        // Not to be found in the content: that would have to hold its own hash.
        let boundary = blake3::hash(content).to_hex();
        let mut body = Vec::with_capacity(content.len() + 1_024);
        for (field, value) in fields {
            body.extend_from_slice(
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n").as_bytes(),
            );
        }
        let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"document\"; filename=\"{name}\"\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(b"Content-Type: text/plain; charset=utf-8\r\n\r\n");
        body.extend_from_slice(content);
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        self.post("SendDocument", &format!("multipart/form-data; boundary={boundary}"), body, UPLOAD_LIMIT).await
    }

    async fn post(&self, method: &str, content_type: &str, body: Vec<u8>, limit: Duration) -> Result<Value, CallError> {
        let token = self.token();
        let mut url = self.bot.api_url();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(&format!("bot{}", token.expose_secret())).push(method);
        }
        let request = self.bot.client().post(url).header("content-type", content_type).timeout(limit).body(body);
        let response = request.send().await.map_err(|e| {
            let never_arrived = e.is_connect();
            let why = redacted(&e.without_url(), &token);
            if never_arrived { CallError::Away(why) } else { CallError::Unsure(why) }
        })?;
        if let Some(date) = response.headers().get("date").and_then(|d| d.to_str().ok()) {
            self.clock.heard(date);
        }
        let status = response.status().as_u16();
        let body = response.bytes().await.map_err(|e| CallError::Unsure(redacted(&e.without_url(), &token)))?;
        answer(status, &body)
    }
}

/// An error with its causes, without the token.
fn redacted(error: &dyn std::error::Error, token: &SecretString) -> String {
    let mut chain = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        chain.push_str(": ");
        chain.push_str(&error.to_string());
        cause = error.source();
    }
    redact(&chain, &[token.expose_secret()])
}

/// Reads an answer of the API.
fn answer(status: u16, body: &[u8]) -> Result<Value, CallError> {
    if status >= 500 {
        return Err(CallError::Server(status));
    }
    if (300..400).contains(&status) {
        // Nothing was delivered, and whoever stands in between may go away.
        return Err(CallError::Away(format!("{REDIRECTED} (status {status})")));
    }
    let mut answer: Value = serde_json::from_slice(body).map_err(|_| CallError::Unsure(format!("status {status} and no JSON")))?;
    if answer["ok"] == Value::Bool(true) {
        return Ok(answer["result"].take());
    }
    let parameters = &answer["parameters"];
    if let Some(chat) = parameters["migrate_to_chat_id"].as_i64() {
        return Err(CallError::Migrated(chat));
    }
    if status == 429 {
        let seconds = parameters["retry_after"].as_u64().unwrap_or(1).max(1);
        return Err(CallError::TooFast(Duration::from_secs(seconds).min(RETRY_AFTER_MAX)));
    }
    let code = answer["error_code"].as_u64().and_then(|c| u16::try_from(c).ok()).unwrap_or(status);
    if code >= 500 {
        return Err(CallError::Server(code));
    }
    Err(CallError::Refused { code, why: answer["description"].as_str().unwrap_or("no reason given").to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let read = |status, body: &str| answer(status, body.as_bytes());
        assert_eq!(read(200, r#"{"ok":true,"result":{"message_id":5}}"#).unwrap()["message_id"], 5);
        assert_eq!(read(502, "<html>"), Err(CallError::Server(502)));
        let slow = r#"{"ok":false,"error_code":429,"description":"x","parameters":{"retry_after":7}}"#;
        assert_eq!(read(429, slow), Err(CallError::TooFast(Duration::from_secs(7))));
        let moved = r#"{"ok":false,"error_code":400,"description":"x","parameters":{"migrate_to_chat_id":-1001}}"#;
        assert_eq!(read(400, moved), Err(CallError::Migrated(-1001)));
        let refused = r#"{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}"#;
        let why = "Forbidden: bot was blocked by the user".to_owned();
        assert_eq!(read(403, refused), Err(CallError::Refused { code: 403, why }));
        assert!(matches!(read(200, "what"), Err(CallError::Unsure(_))));
        assert!(matches!(read(307, ""), Err(CallError::Away(why)) if why.contains("redirect")));
    }
}
