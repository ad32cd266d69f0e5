//! The HTTP side: which call it is, which fault hits it, and what goes back.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::header::{CONTENT_TYPE, DATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::content::preview;
use super::error::ApiError;
use super::faults::Fault;
use super::listener::{Connection, CuttableListener};
use super::methods::{self, Method};
use super::params::{MAX_BODY, Params};
use super::shared::Shared;
use super::world::World;
use crate::sandbox::page;

/// Longest wait of one poll, as Telegram has it.
const MAX_POLL: Duration = Duration::from_secs(50);

/// What a proxy in front of Telegram answers with while there is nothing behind it.
const BAD_GATEWAY: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway\
    </h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";

/// What becomes of a call.
enum Outcome {
    Answer(Value),
    Refused(ApiError),
    Html(StatusCode, &'static str),
    /// No answer: the connection ends.
    Cut,
}

/// Serves until the server is told to end.
pub(super) async fn serve(listener: CuttableListener, shared: Arc<Shared>) {
    let closing = shared.closing.clone();
    let app = Router::new().fallback(route).layer(DefaultBodyLimit::max(MAX_BODY)).with_state(shared);
    let app = app.into_make_service_with_connect_info::<Connection>();
    // Accepting never fails for good, so there is no error to report.
    let _ = axum::serve(listener, app).with_graceful_shutdown(closing.cancelled_owned()).await;
}

async fn route(State(shared): State<Arc<Shared>>, ConnectInfo(connection): ConnectInfo<Connection>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let Some((token, method)) = path.strip_prefix("/bot").and_then(|rest| rest.rsplit_once('/')) else {
        return page::serve(&shared, request).await;
    };
    let call = handle(&shared, token, method, request);
    let outcome = tokio::select! {
        outcome = call => outcome,
        () = shared.closing.cancelled() => Outcome::Cut,
    };
    let response = match outcome {
        Outcome::Answer(result) => reply(StatusCode::OK, &json!({ "ok": true, "result": result })),
        Outcome::Refused(error) => {
            let status = StatusCode::from_u16(error.code).unwrap_or(StatusCode::BAD_REQUEST);
            reply(status, &error.body())
        }
        Outcome::Html(status, page) => with_type(status, "text/html", Body::from(page)),
        Outcome::Cut => {
            connection.cut();
            with_type(StatusCode::OK, "application/json", Body::empty())
        }
    };
    dated(response, shared.read(World::now))
}

fn reply(status: StatusCode, body: &Value) -> Response {
    with_type(status, "application/json", Body::from(body.to_string()))
}

fn with_type(status: StatusCode, kind: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Sets the `Date` of the server's own clock, which a test may have put wrong.
fn dated(mut response: Response, now: i64) -> Response {
    let time = jiff::Timestamp::from_second(now).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let text = time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().insert(DATE, value);
    }
    response
}

async fn handle(shared: &Shared, token: &str, name: &str, request: Request) -> Outcome {
    if shared.read(|world| world.is_away) {
        shared.change(|world| world.record(name, None, Some("away".to_owned())));
        return Outcome::Cut;
    }
    if shared.is_anothers(token) && name.eq_ignore_ascii_case("getMe") {
        let id = token.split_once(':').and_then(|(id, _)| id.parse::<u64>().ok());
        return Outcome::Answer(json!({ "id": id, "is_bot": true, "first_name": "Other", "username": "other_bot" }));
    }
    if !shared.accepts(token) {
        shared.change(|world| world.record(name, None, Some("401 wrong token".to_owned())));
        return Outcome::Refused(ApiError::unauthorized());
    }
    let params = match Params::read(request).await {
        Ok(params) => params,
        Err(error) => return refuse(shared, name, None, &Params::default(), error),
    };
    let chat = params.chat_id().ok().flatten();
    let Some(method) = Method::parse(name) else {
        let error = ApiError { is_violation: true, ..ApiError::new(404, "Not Found: method not found") };
        return refuse(shared, name, chat, &params, error);
    };
    let fault = shared.change(|world| world.faults.take(name, chat));
    if let Some(fault) = &fault
        && let Some(outcome) = before(shared, name, chat, fault).await
    {
        return outcome;
    }
    let result = match method {
        Method::GetUpdates => poll(shared, name, &params).await,
        _ => match carry_out(shared, method, name, chat, &params) {
            Ok(result) => Outcome::Answer(result),
            Err(error) => refuse(shared, name, chat, &params, error),
        },
    };
    if fault == Some(Fault::DropAfterDelivering) { Outcome::Cut } else { result }
}

fn carry_out(shared: &Shared, method: Method, name: &str, chat: Option<i64>, params: &Params) -> Result<Value, ApiError> {
    shared.change(|world| {
        if let (true, Some(chat)) = (method.is_paced(), chat) {
            world.pace(chat, Instant::now())?;
        }
        let result = methods::call(world, method, params)?;
        world.record(name, chat, None);
        Ok(result)
    })
}

/// Logs a refusal, and what shows a bug of the bot as a violation.
fn refuse(shared: &Shared, name: &str, chat: Option<i64>, params: &Params, error: ApiError) -> Outcome {
    shared.change(|world| {
        let what = format!("{} {}", error.code, error.description);
        if error.is_violation {
            let place = chat.map(|chat| format!(" to {chat}")).unwrap_or_default();
            let text = params.text("text").or_else(|| params.text("caption"));
            let text = text.map(|text| format!(" of {}", preview(&text))).unwrap_or_default();
            world.violation(format!("{name}{place}{text}: {what}"));
        }
        world.record(name, chat, Some(what));
    });
    Outcome::Refused(error)
}

/// Applies a fault that strikes before the call is carried out; none where it still is.
async fn before(shared: &Shared, name: &str, chat: Option<i64>, fault: &Fault) -> Option<Outcome> {
    let outcome = match fault {
        Fault::TooManyRequests { retry_after } => Outcome::Refused(ApiError::too_many_requests(*retry_after)),
        Fault::BadGateway => Outcome::Html(StatusCode::BAD_GATEWAY, BAD_GATEWAY),
        Fault::Unauthorized => Outcome::Refused(ApiError::unauthorized()),
        Fault::Conflict => Outcome::Refused(ApiError::conflict()),
        Fault::DropBefore => Outcome::Cut,
        Fault::BadRequest(reason) => Outcome::Refused(ApiError::refused(reason)),
        Fault::Forbidden(reason) => Outcome::Refused(ApiError::new(403, format!("Forbidden: {reason}"))),
        Fault::DropAfterDelivering => return None,
        Fault::Slow(duration) => {
            tokio::time::sleep(*duration).await;
            if !shared.read(|world| world.is_away) {
                return None;
            }
            Outcome::Cut
        }
    };
    shared.change(|world| world.record(name, chat, Some(format!("fault {fault:?}"))));
    Some(outcome)
}

/// What a waiting poll ends with.
enum Poll {
    Updates(Vec<Value>),
    Replaced,
    Away,
    Struck(Fault),
}

async fn poll(shared: &Shared, name: &str, params: &Params) -> Outcome {
    let options = (|| {
        Ok::<_, ApiError>((
            params.integer("offset")?.unwrap_or(0),
            params.integer("limit")?,
            params.integer("timeout")?.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0),
            params.structure::<Vec<String>>("allowed_updates")?,
        ))
    })();
    let (offset, limit, timeout, allowed) = match options {
        Ok(options) => options,
        Err(error) => return refuse(shared, name, None, params, error),
    };
    let this = shared.change(|world| {
        let before = world.updates.pending();
        world.updates.confirm(offset);
        if world.updates.pending() != before {
            // What the bot took it has yet to answer.
            world.last_activity = Instant::now();
        }
        if let Some(kinds) = allowed {
            world.updates.allow(kinds);
        }
        world.updates.begin_poll()
    });
    let timeout = Duration::from_secs(timeout).min(MAX_POLL);
    let look = |world: &mut World| {
        if world.is_away {
            return Some(Poll::Away);
        }
        if !world.updates.is_current(this) {
            return Some(Poll::Replaced);
        }
        let updates = world.updates.batch(limit);
        if !updates.is_empty() || timeout.is_zero() {
            return Some(Poll::Updates(updates));
        }
        // A fault that is set while the bot waits strikes now, not at the next poll.
        world.faults.take(name, None).map(Poll::Struck)
    };
    let found = shared.wait(timeout.max(Duration::from_millis(1)), look).await;
    match found.unwrap_or(Poll::Updates(Vec::new())) {
        Poll::Updates(updates) => {
            shared.change(|world| world.record(name, None, None));
            Outcome::Answer(json!(updates))
        }
        Poll::Replaced => refuse(shared, name, None, params, ApiError::conflict()),
        Poll::Away | Poll::Struck(Fault::DropAfterDelivering) => Outcome::Cut,
        Poll::Struck(fault) => match before(shared, name, None, &fault).await {
            Some(outcome) => outcome,
            None => Outcome::Answer(json!([])),
        },
    }
}
