//! The way to an engine: connections that are kept for the next question (bollard's own client makes a new one for each, which is
//! as much work as the question), and the version of the API that is spoken. bollard's calls go this way, too.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, BollardRequest, body_full};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::HeaderMap;
use hyper::http::uri::{PathAndQuery, Uri};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyperlocal::UnixConnector;
use serde_json::Value;
use tokio::sync::Mutex;

use super::api_version::{ApiVersion, choose};
use super::docker::EngineError;
use super::fields::Fields;

/// How many connections are kept that nobody uses, and for how long.
const IDLE_MAX: usize = 10;
const IDLE: Duration = Duration::from_secs(30);

/// The most of an answer that a connection holds at a time; it keeps the room for that.
const BUFFER: usize = 32 * 1024;

/// The longest answer to a question about the version, in bytes.
const VERSION_MAX: usize = 1 << 20;

type Sent = Pin<Box<dyn Future<Output = Result<Response<Incoming>, Error>> + Send>>;
type Sender = dyn Fn(BollardRequest) -> Sent + Send + Sync;

/// The way to an engine, which need not be there yet. Clones share its connections, and what is known of its version.
#[derive(Clone)]
pub(super) struct Connection {
    /// What every address begins with.
    base: String,
    send: Arc<Sender>,
    spoken: Arc<Mutex<Option<Spoken>>>,
}

/// What is spoken with an engine. It is asked for again once the engine was away: it may come back as another version.
#[derive(Debug, Clone, Copy)]
struct Spoken {
    /// The engine's newest version; none where it does not tell.
    newest: Option<ApiVersion>,
    /// The version that is asked in; none leaves it to the engine.
    version: Option<ApiVersion>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Connection {
    /// No engine at all: whatever is asked is answered with that.
    pub(super) fn nowhere() -> Self {
        let nobody = || Error::from(io::Error::other("dockmaster is to work without one"));
        Self::new("unix://nowhere".to_owned(), move |_| Box::pin(async move { Err(nobody()) }))
    }

    /// The engine behind a socket.
    pub(super) fn at_socket(path: &str) -> Self {
        let client = builder().build(UnixConnector);
        // As a host an address can hold no path: it is written in hexadecimal.
        let host: String = path.bytes().map(|byte| format!("{byte:02x}")).collect();
        // One that the engine has closed meanwhile is noticed before anything is sent, and the question goes over another.
        Self::new(format!("unix://{host}"), move |request| {
            let asked = client.request(request);
            Box::pin(async move { asked.await.map_err(Error::from) })
        })
    }

    /// The engine at `tcp://HOST:PORT`.
    pub(super) fn at_address(address: &str) -> Self {
        let client = builder().build(HttpConnector::new());
        let host = address.split_once("://").map_or(address, |(_, host)| host).trim_end_matches('/');
        Self::new(format!("http://{host}"), move |request| {
            let asked = client.request(request);
            Box::pin(async move { asked.await.map_err(Error::from) })
        })
    }

    fn new(base: String, send: impl Fn(BollardRequest) -> Sent + Send + Sync + 'static) -> Self {
        Self { base, send: Arc::new(send), spoken: Arc::default() }
    }

    /// bollard's calls over this way.
    pub(super) fn api(&self, limit: Duration) -> Result<bollard::Docker, Error> {
        let connection = self.clone();
        let transport = move |request| {
            let connection = connection.clone();
            async move { connection.request(request).await }
        };
        bollard::Docker::connect_with_custom_transport(transport, Some(self.base.clone()), limit.as_secs(), API_DEFAULT_VERSION)
    }

    /// Sends a request in the version that is spoken.
    pub(super) async fn request(&self, mut request: BollardRequest) -> Result<Response<Incoming>, Error> {
        let spoken = self.spoken().await?;
        *request.uri_mut() = in_version(request.uri(), spoken.version);
        let again = again(&request);
        let answer = self.sent(request).await?;
        let is_another = |newest: ApiVersion| spoken.newest.is_some_and(|known| known != newest);
        if !newest(answer.headers()).is_some_and(is_another) {
            return Ok(answer);
        }
        // It was another engine until a moment ago.
        self.forget().await;
        match again.filter(|_| answer.status() == StatusCode::BAD_REQUEST) {
            Some(mut again) => {
                let spoken = self.spoken().await?;
                *again.uri_mut() = in_version(again.uri(), spoken.version);
                self.sent(again).await
            }
            None => Ok(answer),
        }
    }

    /// Asks whether the engine is there, and which versions it speaks.
    pub(super) async fn greet(&self) -> Result<(), Error> {
        let mut known = self.spoken.lock().await;
        *known = None;
        *known = Some(self.negotiated().await?);
        Ok(())
    }

    /// A request for an address that begins with a slash.
    pub(super) fn build(&self, method: Method, path: &str, headers: HeaderMap, body: Bytes) -> Result<BollardRequest, Error> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base)).body(body_full(body))?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    async fn spoken(&self) -> Result<Spoken, Error> {
        let mut known = self.spoken.lock().await;
        match *known {
            Some(spoken) => Ok(spoken),
            None => Ok(*known.insert(self.negotiated().await?)),
        }
    }

    async fn forget(&self) {
        *self.spoken.lock().await = None;
    }

    async fn sent(&self, request: BollardRequest) -> Result<Response<Incoming>, Error> {
        let again = again(&request).filter(|again| again.method() == Method::GET);
        let mut answer = (self.send)(request).await;
        if answer.is_err() {
            // Whoever holds the lock is asking for the version right now.
            if let Ok(mut known) = self.spoken.try_lock() {
                *known = None;
            }
            // A kept connection may have ended a moment ago, with the engine that was there: a question can be asked twice.
            if let Some(again) = again {
                answer = (self.send)(again).await;
            }
        }
        answer
    }

    /// A ping tells the newest version. Only where that is none that is known here, or none at all, it is asked for more.
    async fn negotiated(&self) -> Result<Spoken, Error> {
        let answer = self.plain("/_ping").await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let said = collected(answer.into_body(), VERSION_MAX).await?.unwrap_or_default();
        if !status.is_success() {
            let message = String::from_utf8_lossy(&said).into_owned();
            return Err(Error::DockerResponseServerError { status_code: status.as_u16(), message });
        }
        let (mut newest, mut oldest) = (newest(&headers), None);
        if newest.is_none_or(ApiVersion::is_beyond_known) {
            let answer = self.plain("/version").await?;
            let told = collected(answer.into_body(), VERSION_MAX).await?.unwrap_or_default();
            let told: Value = serde_json::from_slice(&told).unwrap_or_default();
            newest = newest.or_else(|| told.text("ApiVersion").and_then(ApiVersion::parse));
            oldest = told.text("MinAPIVersion").and_then(ApiVersion::parse);
        }
        let version = newest.map(|newest| choose(newest, oldest)).transpose();
        let version = version.map_err(|why| Error::from(io::Error::other(EngineError::TooOld(why))))?;
        tracing::debug!(?newest, ?version, "the version of the engine's API");
        Ok(Spoken { newest, version })
    }

    /// Asks in no version.
    async fn plain(&self, path: &str) -> Result<Response<Incoming>, Error> {
        self.sent(self.build(Method::GET, path, HeaderMap::new(), Bytes::new())?).await
    }
}

fn builder() -> hyper_util::client::legacy::Builder {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_MAX)
        .http1_max_buf_size(BUFFER)
        .clone()
}

/// A body, whole; none where it is longer than so many bytes.
pub(super) async fn collected(mut body: Incoming, most: usize) -> Result<Option<Vec<u8>>, hyper::Error> {
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(most);
    let mut bytes = Vec::with_capacity(expected.min(VERSION_MAX));
    while let Some(frame) = body.frame().await {
        if let Ok(part) = frame?.into_data() {
            if bytes.len() + part.len() > most {
                return Ok(None);
            }
            bytes.extend_from_slice(&part);
        }
    }
    Ok(Some(bytes))
}

/// The newest version of an engine's, which it tells with every answer.
fn newest(headers: &HeaderMap) -> Option<ApiVersion> {
    headers.get("Api-Version").and_then(|version| version.to_str().ok()).and_then(ApiVersion::parse)
}

/// An address in a version, whichever it named before.
fn in_version(uri: &Uri, version: Option<ApiVersion>) -> Uri {
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let bare = match path.strip_prefix("/v").and_then(|rest| rest.split_once('/')) {
        Some((named, rest)) if ApiVersion::parse(named).is_some() => &path[path.len() - rest.len() - 1..],
        _ => path,
    };
    let versioned = version.map_or_else(|| bare.to_owned(), |version| format!("/v{version}{bare}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(versioned).ok();
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

/// The same request once more; none where it has a body, which is sent once.
fn again(request: &BollardRequest) -> Option<BollardRequest> {
    if !request.body().is_end_stream() {
        return None;
    }
    let mut again = Request::new(body_full(Bytes::new()));
    (*again.method_mut(), *again.uri_mut(), *again.headers_mut()) =
        (request.method().clone(), request.uri().clone(), request.headers().clone());
    Some(again)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_in_the_version_that_is_spoken() {
        let version = ApiVersion::parse("1.45");
        for (path, versioned) in [
            ("/containers/json?all=true", "/v1.45/containers/json?all=true"),
            // As a later bollard may well pin one.
            ("/v1.53/containers/json", "/v1.45/containers/json"),
            ("/volumes", "/v1.45/volumes"),
            ("/v1/x", "/v1.45/v1/x"),
            ("/", "/v1.45/"),
        ] {
            let uri: Uri = format!("unix://2f72756e{path}").parse().unwrap();
            assert_eq!(in_version(&uri, version).to_string(), format!("unix://2f72756e{versioned}"));
        }
        let uri: Uri = "http://host:2375/v1.53/_ping".parse().unwrap();
        assert_eq!(in_version(&uri, None).to_string(), "http://host:2375/_ping");
    }
}
