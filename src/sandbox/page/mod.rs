//! A page that shows one person's private chat with the bot, much as Telegram's own clients do.
//!
//! The address holds a random 128-bit token; besides, `Host` must be the loopback address and `Origin`, where a browser
//! sends one, the page's own. So no other web site reaches it, by whatever name it calls this machine. The page builds
//! its nodes from entities and never takes the bot's text for HTML; the content policy allows no inline script.

mod view;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use futures_util::stream;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::bot_api::{Change, Incoming, MAX_TEXT, Shared, World, lock, press, utf16_length};

/// Largest request of the page, in bytes.
const MAX_REQUEST: usize = 64 * 1024;
/// How often a silent stream of events says that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// What the page may load and do.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Gives the address of a person's page, the same at every call.
pub(in crate::sandbox) fn open(shared: &Shared, user: i64) -> io::Result<String> {
    let mut pages = lock(&shared.pages);
    let known = pages.iter().find(|(_, of)| **of == user).map(|(token, _)| token.clone());
    let token = match known {
        Some(token) => token,
        None => {
            let token = random_token()?;
            pages.insert(token.clone(), user);
            token
        }
    };
    drop(pages);
    // A page of somebody whom nobody introduced still has a chat to show.
    shared.change(|world| world.user(user).id);
    Ok(format!("http://{}/{token}/", shared.address))
}

fn random_token() -> io::Result<String> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Answers one request of a browser.
pub(in crate::sandbox) async fn serve(shared: &Arc<Shared>, request: Request) -> Response {
    let mut response = match owner(shared, &request) {
        Ok(user) => route(shared, user, request).await,
        Err(status) => status_only(status),
    };
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whose page it is, by the token; refused where the request was not made for this address.
fn owner(shared: &Shared, request: &Request) -> Result<i64, StatusCode> {
    let header = |name: HeaderName| request.headers().get(name).map(HeaderValue::as_bytes);
    let names = [shared.address.to_string(), format!("localhost:{}", shared.address.port())];
    let host = names.iter().find(|name| header(HOST) == Some(name.as_bytes())).ok_or(StatusCode::FORBIDDEN)?;
    if header(ORIGIN).is_some_and(|origin| origin != format!("http://{host}").as_bytes()) {
        return Err(StatusCode::FORBIDDEN);
    }
    let token = request.uri().path().split('/').nth(1).unwrap_or_default();
    let pages: &BTreeMap<String, i64> = &lock(&shared.pages);
    pages.get(token).copied().ok_or(StatusCode::NOT_FOUND)
}

async fn route(shared: &Arc<Shared>, user: i64, request: Request) -> Response {
    let path = request.uri().path().splitn(3, '/').nth(2).map(str::to_owned);
    let Some(path) = path else { return status_only(StatusCode::NOT_FOUND) };
    match (request.method(), path.as_str()) {
        (&Method::GET, "") => with_type("text/html; charset=utf-8", include_str!("index.html")),
        (&Method::GET, "style.css") => with_type("text/css; charset=utf-8", include_str!("style.css")),
        (&Method::GET, "app.js") => with_type("text/javascript; charset=utf-8", include_str!("app.js")),
        (&Method::GET, "format.js") => with_type("text/javascript; charset=utf-8", include_str!("format.js")),
        (&Method::GET, "message.js") => with_type("text/javascript; charset=utf-8", include_str!("message.js")),
        (&Method::GET, "state") => reply(StatusCode::OK, &shared.change(|world| view::state(world, user))),
        (&Method::GET, "events") => events(shared, user, &request),
        (&Method::GET, path) if path.starts_with("file/") => file(shared, user, path),
        (&Method::POST, "send") => match body(request).await {
            Ok(body) => send(shared, user, &body),
            Err(status) => status_only(status),
        },
        (&Method::POST, "press") => match body(request).await {
            Ok(body) => press_button(shared, user, &body),
            Err(status) => status_only(status),
        },
        (_, "send" | "press" | "state" | "events") => status_only(StatusCode::METHOD_NOT_ALLOWED),
        _ => status_only(StatusCode::NOT_FOUND),
    }
}

#[derive(Deserialize)]
struct Sent {
    text: String,
    reply_to: Option<i32>,
}

fn send(shared: &Arc<Shared>, user: i64, sent: &Sent) -> Response {
    let text = sent.text.trim();
    if text.is_empty() || utf16_length(text) > MAX_TEXT {
        return reply(StatusCode::BAD_REQUEST, &json!({ "error": format!("A message has 1 to {MAX_TEXT} characters.") }));
    }
    let mut incoming = Incoming::new(shared, user, user, text);
    if let Some(id) = sent.reply_to.filter(|id| shared.read(|world| world.message(user, *id).is_some())) {
        incoming = incoming.reply_to(id);
    }
    reply(StatusCode::OK, &json!({ "id": incoming.send() }))
}

#[derive(Deserialize)]
struct Pressed {
    message_id: i32,
    data: String,
}

fn press_button(shared: &Shared, user: i64, pressed: &Pressed) -> Response {
    let callback = shared.change(|world| {
        world.message(user, pressed.message_id)?.button_with(&pressed.data)?;
        Some(press(world, user, user, pressed.message_id, &pressed.data))
    });
    match callback {
        Some(callback) => reply(StatusCode::OK, &json!({ "callback": callback })),
        None => reply(StatusCode::CONFLICT, &json!({ "error": "This button is gone." })),
    }
}

fn file(shared: &Shared, user: i64, path: &str) -> Response {
    let id = path.strip_prefix("file/").and_then(|id| id.parse().ok());
    let found = id.and_then(|id| {
        shared.read(|world| {
            let message = world.message(user, id)?;
            message.document.clone().or_else(|| message.photo.clone())
        })
    });
    let Some(file) = found else { return status_only(StatusCode::NOT_FOUND) };
    if file.bytes.len() != file.size {
        return status_only(StatusCode::GONE);
    }
    let is_picture = file.pixels != (0, 0);
    let mut response = Response::new(Body::from(file.bytes));
    // A picture was found to be one. Anything else the browser only saves, whatever it calls itself.
    let kind = if is_picture { file.mime } else { "application/octet-stream" };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    let disposition = if is_picture { "inline".to_owned() } else { format!("attachment; filename*=UTF-8''{}", view::encoded(&file.name)) };
    if let Ok(value) = HeaderValue::from_str(&disposition) {
        response.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    response
}

/// The stream of what changes after the number that the page knows.
fn events(shared: &Arc<Shared>, user: i64, request: &Request) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let asked = query.split('&').find_map(|pair| pair.strip_prefix("after="));
    // A browser that comes back says itself how far it got, which is newer than the address that it calls again.
    let after = last_event_id(request.headers()).or(asked).and_then(|number| number.parse().ok()).unwrap_or(0);
    let start = (Arc::clone(shared), after);
    let events = stream::unfold(start, move |(shared, after)| async move {
        let (text, after) = next_events(&shared, user, after).await?;
        Some((Ok::<_, Infallible>(text), (shared, after)))
    });
    let mut response = Response::new(Body::from_stream(events));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}

fn last_event_id(headers: &HeaderMap) -> Option<&str> {
    headers.get("last-event-id").and_then(|value| value.to_str().ok())
}

/// Waits for changes after a number: their text and the number to go on from. None once the server ends.
async fn next_events(shared: &Shared, user: i64, after: u64) -> Option<(String, u64)> {
    let look = |world: &mut World| match world.feed.after(after, user) {
        Some(changes) if changes.is_empty() => None,
        Some(changes) => {
            let last = changes.last().map_or(after, |(number, _)| *number);
            Some((written(world, user, &changes), last))
        }
        None => {
            let last = world.feed.last();
            Some((event(last, &json!({ "type": "reset" })), last))
        }
    };
    tokio::select! {
        found = shared.wait(KEEP_ALIVE, look) => Some(found.unwrap_or_else(|| (":\n\n".to_owned(), after))),
        () = shared.closing.cancelled() => None,
    }
}

fn written(world: &World, user: i64, changes: &[(u64, Change)]) -> String {
    let mut text = String::new();
    for (index, (number, change)) in changes.iter().enumerate() {
        let is_repeated = changes.iter().skip(index + 1).any(|(_, later)| later == change);
        // The state is drawn as it is now: of several changes of one message the last one tells everything.
        if !is_repeated && let Some(content) = view::change(world, user, change) {
            text += &event(*number, &content);
        }
    }
    if text.is_empty() { ":\n\n".to_owned() } else { text }
}

fn event(number: u64, content: &Value) -> String {
    format!("id: {number}\ndata: {content}\n\n")
}

async fn body<T: DeserializeOwned>(request: Request) -> Result<T, StatusCode> {
    let kind = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if kind != Some(b"application/json") {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let bytes = axum::body::to_bytes(request.into_body(), MAX_REQUEST).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    serde_json::from_slice(&bytes).map_err(|_| StatusCode::BAD_REQUEST)
}

fn status_only(status: StatusCode) -> Response {
    let mut response = with_type("text/plain; charset=utf-8", status.canonical_reason().unwrap_or_default());
    *response.status_mut() = status;
    response
}

fn with_type(kind: &'static str, body: &'static str) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn reply(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
