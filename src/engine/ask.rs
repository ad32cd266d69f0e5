//! Questions to the engine whose answers are read here, field by field (`fields`), and not by a library's types: of those a single
//! word that they do not know makes the whole answer an error.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE;
use bollard::errors::Error;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Response};
use serde::Serialize;
use serde_json::Value;
use tokio::time::timeout;

use super::create::Login;
use super::docker::EngineError;
use super::fields::Fields;
use super::transport::{Connection, collected};
use super::wanted::{self, Wanted};

/// How long the engine may take to answer, unless a question says otherwise.
const LIMIT: Duration = Duration::from_secs(15);
/// The longest answer that is read, in bytes.
const ANSWER_MAX: usize = 64 << 20;
/// The longest line of a stream, and the longest refusal.
const LINE_MAX: usize = 1 << 20;

/// A question.
#[derive(Debug)]
pub(super) struct Question {
    method: Method,
    path: String,
    /// What is asked for, with its leading `?`.
    query: String,
    headers: HeaderMap,
    body: Bytes,
    limit: Duration,
    most: usize,
    wanted: Wanted,
}

impl Question {
    /// For an address without a query, whose parts from outside went through [`part`].
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path.into())
    }

    /// For the headers of an answer alone.
    pub(super) fn head(path: impl Into<String>) -> Self {
        Self::new(Method::HEAD, path.into())
    }

    /// To make something.
    pub(super) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path.into())
    }

    /// To remove something.
    pub(super) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path.into())
    }

    fn new(method: Method, path: String) -> Self {
        let (query, headers, body) = (String::new(), HeaderMap::new(), Bytes::new());
        Self { method, path, query, headers, body, limit: LIMIT, most: ANSWER_MAX, wanted: &[] }
    }

    /// With a parameter.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.query.push(if self.query.is_empty() { '?' } else { '&' });
        self.query.push_str(name);
        self.query.push('=');
        escape(&mut self.query, value, b"");
        self
    }

    /// With filters, each with the words that it takes.
    pub(super) fn filtered<W: Serialize>(self, filters: &[(&str, W)]) -> Self {
        let filters: serde_json::Map<String, Value> =
            filters.iter().map(|(name, words)| ((*name).to_owned(), serde_json::to_value(words).unwrap_or_default())).collect();
        self.with("filters", &Value::from(filters).to_string())
    }

    /// With a body.
    pub(super) fn sending(mut self, body: &impl Serialize) -> Self {
        self.body = serde_json::to_vec(body).unwrap_or_default().into();
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self
    }

    /// With what a registry is to be told.
    pub(super) fn with_login(mut self, login: Option<Login>) -> Self {
        let said = login.map(|login| BASE64_URL_SAFE.encode(login.for_engine().to_string()));
        if let Some(mut said) = said.and_then(|said| HeaderValue::from_maybe_shared(said).ok()) {
            said.set_sensitive(true);
            self.headers.insert("X-Registry-Auth", said);
        }
        self
    }

    /// The engine may take so long.
    pub(super) fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Nothing else is read of the answer.
    pub(super) fn wanting(mut self, wanted: Wanted) -> Self {
        self.wanted = wanted;
        self
    }

    /// The answer may have so many bytes.
    pub(super) fn at_most(mut self, bytes: usize) -> Self {
        self.most = bytes;
        self
    }
}

/// A part of an address: a name or an id.
pub(super) fn part(name: &str) -> String {
    let mut part = String::with_capacity(name.len());
    // Names of images hold slashes, colons and an `@`.
    escape(&mut part, name, b"/:@");
    part
}

fn escape(to: &mut String, text: &str, kept: &[u8]) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            to.push(char::from(byte));
        } else {
            to.push_str(&format!("%{byte:02X}"));
        }
    }
}

impl Connection {
    /// What the engine answers.
    ///
    /// # Errors
    /// It does not answer, refuses, or its answer is no JSON.
    pub(super) async fn json(&self, question: Question) -> Result<Value, EngineError> {
        let (asked, wanted) = (asked(&question), question.wanted);
        let bytes = self.bytes(question).await?;
        wanted::read(&bytes, wanted).map_err(|error| EngineError::unreadable(&asked, error))
    }

    /// The list that the engine answers with. None at all is an empty one.
    pub(super) async fn list(&self, question: Question) -> Result<Vec<Value>, EngineError> {
        let asked = asked(&question);
        match self.json(question).await? {
            Value::Array(items) => Ok(items),
            Value::Null => Ok(Vec::new()),
            _ => Err(EngineError::unreadable(&asked, "it is no list")),
        }
    }

    /// The object that the engine answers with.
    pub(super) async fn object(&self, question: Question) -> Result<Value, EngineError> {
        let asked = asked(&question);
        let answer = self.json(question).await?;
        if answer.is_object() { Ok(answer) } else { Err(EngineError::unreadable(&asked, "it is no object")) }
    }

    /// The bytes that the engine answers with.
    pub(super) async fn bytes(&self, question: Question) -> Result<Vec<u8>, EngineError> {
        match self.answer(question).await? {
            (200..=299, bytes) => Ok(bytes),
            (status, said) => Err(EngineError::refusal(status, &message(&said))),
        }
    }

    /// The status of what the engine answers, and its bytes.
    pub(super) async fn answer(&self, question: Question) -> Result<(u16, Vec<u8>), EngineError> {
        let (asked, most, limit) = (asked(&question), question.most, question.limit);
        let answer = async {
            let answer = self.open(question).await?;
            let status = answer.status().as_u16();
            Ok::<_, EngineError>((status, collected(answer.into_body(), most).await.map_err(Error::from)?))
        };
        // Boxed, so that the futures of the callers stay small.
        let (status, bytes) = Box::pin(timeout(limit, answer)).await.map_err(|_| EngineError::slow())??;
        let bytes = bytes.ok_or_else(|| EngineError::unreadable(&asked, format!("it is longer than {most} bytes")))?;
        Ok((status, bytes))
    }

    /// The headers of what the engine answers.
    pub(super) async fn headers(&self, question: Question) -> Result<HeaderMap, EngineError> {
        Ok(self.opened(question).await?.headers().clone())
    }

    /// What the engine answers bit by bit, a line each. A line that cannot be read is null, and does not end it.
    pub(super) fn lines(&self, question: Question) -> impl Stream<Item = Result<Value, EngineError>> + Send + use<> {
        let connection = self.clone();
        stream::once(async move { connection.opened(question).await.map(|answer| lines(answer.into_body())) }).try_flatten()
    }

    /// The answer once it begins, if it is none that refuses.
    async fn opened(&self, question: Question) -> Result<Response<Incoming>, EngineError> {
        let limit = question.limit;
        let answer = async {
            let answer = self.open(question).await?;
            let status = answer.status();
            if status.is_success() {
                return Ok(answer);
            }
            let said = collected(answer.into_body(), LINE_MAX).await.map_err(Error::from)?.unwrap_or_default();
            Err(EngineError::refusal(status.as_u16(), &message(&said)))
        };
        Box::pin(timeout(limit, answer)).await.map_err(|_| EngineError::slow())?
    }

    async fn open(&self, question: Question) -> Result<Response<Incoming>, EngineError> {
        let Question { method, path, query, headers, body, .. } = question;
        let request = self.build(method, &format!("{path}{query}"), headers, body)?;
        Ok(self.request(request).await?)
    }
}

/// What was asked, for a person.
fn asked(question: &Question) -> String {
    format!("{} {}", question.method, question.path)
}

/// What a refusal says.
pub(super) fn message(said: &[u8]) -> String {
    let value: Value = serde_json::from_slice(said).unwrap_or_default();
    value.text("message").map_or_else(|| String::from_utf8_lossy(said).into_owned(), str::to_owned)
}

fn lines(body: Incoming) -> impl Stream<Item = Result<Value, EngineError>> + Send {
    let parts = body.into_data_stream().map(|part| part.map_err(|error| EngineError::from(Error::from(error))));
    let mut cut = Cutter::default();
    // The end of the stream ends its last line, too.
    let parts = parts.map_ok(Some).chain(stream::iter([Ok(None)]));
    parts.map_ok(move |part| stream::iter(cut.take(part.as_deref()).into_iter().map(Ok))).try_flatten()
}

/// Cuts what comes into lines.
#[derive(Debug, Default)]
struct Cutter {
    begun: Vec<u8>,
    /// Whether the line is too long: the rest of it counts for nothing.
    too_long: bool,
}

impl Cutter {
    /// The lines that end with this; none for a part means that nothing more comes.
    fn take(&mut self, part: Option<&[u8]>) -> Vec<Value> {
        let mut read = Vec::new();
        let Some(part) = part else {
            self.end(&mut read);
            return read;
        };
        let mut pieces = part.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            self.too_long |= self.begun.len() + piece.len() > LINE_MAX;
            if !self.too_long {
                self.begun.extend_from_slice(piece);
            }
            if pieces.peek().is_some() {
                self.end(&mut read);
            }
        }
        read
    }

    fn end(&mut self, read: &mut Vec<Value>) {
        let line = std::mem::take(&mut self.begun);
        if std::mem::take(&mut self.too_long) {
            read.push(Value::Null);
        } else if !line.trim_ascii().is_empty() {
            read.push(serde_json::from_slice(&line).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_question_holds_nothing_that_would_end_an_address() {
        let question = Question::get(format!("/images/{}/json", part("example/a b?c#d:1@sha256:0a")))
            .with("all", "1")
            .filtered(&[("label", vec!["a=b&c".to_owned()]), ("type", vec!["container".to_owned()])]);
        assert_eq!(question.path, "/images/example/a%20b%3Fc%23d:1@sha256:0a/json");
        assert_eq!(question.query, "?all=1&filters=%7B%22label%22%3A%5B%22a%3Db%26c%22%5D%2C%22type%22%3A%5B%22container%22%5D%7D");
        assert_eq!(asked(&question), "GET /images/example/a%20b%3Fc%23d:1@sha256:0a/json");
    }

    #[test]
    fn lines_come_in_any_parts_and_what_cannot_be_read_ends_nothing() {
        let read = |parts: &[&[u8]]| {
            let mut cut = Cutter::default();
            let mut all: Vec<Value> = parts.iter().flat_map(|part| cut.take(Some(part))).collect();
            all.extend(cut.take(None));
            all
        };
        let (one, two) = (json!({ "Action": "start" }), json!({ "Action": "die" }));
        let text = format!("{one}\n{two}\n");
        assert_eq!(read(&[text.as_bytes()]), [one.clone(), two.clone()]);
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(read(&bytes), [one.clone(), two.clone()]);
        assert_eq!(read(&[text.trim_end().as_bytes()]), [one.clone(), two.clone()], "the last line has no end");
        assert_eq!(read(&[b"{\"cut\n\n\n", text.as_bytes()]), [Value::Null, one.clone(), two.clone()]);
        let long = vec![b'x'; LINE_MAX];
        assert_eq!(read(&[&long, b"x", b"y\n", text.as_bytes()]), [Value::Null, one, two]);
    }

    #[test]
    fn refusals_are_in_the_engine_s_own_words() {
        assert_eq!(message(br#"{"message":"No such container: x"}"#), "No such container: x");
        assert_eq!(message(br#"{"cause":"x","message":"y","response":404}"#), "y");
        assert_eq!(
            (message(br#"{"message":5}"#), message(b"{\"mess"), message(b"")),
            ("{\"message\":5}".into(), "{\"mess".into(), String::new())
        );
    }
}
