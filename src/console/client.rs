//! Asking the dockmaster behind a control socket.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use reqwest::{Method, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::http::problem::{Code, PROBLEM_EVENT, Problem};
use crate::http::socket::Place;

/// How long an answer may take: planning looks at every file, and the engine has limits of its own.
const ANSWER_LIMIT: Duration = Duration::from_secs(600);
/// The longest event that is read, in bytes: a view of an operation with hundreds of services.
const EVENT_MAX: usize = 4 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug)]
pub enum Trouble {
    /// It was refused.
    Refused(Box<Problem>),
    /// Nobody answers, or not as they should.
    Silent(String),
}

impl Trouble {
    /// Whether another operation is in the way.
    pub fn is_busy(&self) -> bool {
        self.code() == Some(Code::Busy)
    }

    /// What a program can tell it by.
    pub(super) fn code(&self) -> Option<Code> {
        if let Self::Refused(problem) = self { Some(problem.code) } else { None }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(problem) => f.write_str(&problem.detail),
            Self::Silent(why) => write!(f, "dockmaster does not answer: {why}."),
        }
    }
}

fn silent(error: &reqwest::Error) -> Trouble {
    let mut why = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        why = cause.to_string();
        source = cause.source();
    }
    Trouble::Silent(why)
}

/// A way to a dockmaster.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    /// Kept open: the socket is named from there.
    _place: Place,
}

impl Client {
    /// The dockmaster whose control socket is in a directory. Whether it answers is another question.
    ///
    /// # Errors
    /// The directory cannot be opened.
    pub fn of(directory: &Path) -> std::io::Result<Self> {
        let place = Place::below(directory)?;
        let http = reqwest::Client::builder().unix_socket(place.path()).no_proxy().build().map_err(std::io::Error::other)?;
        Ok(Self { http, _place: place })
    }

    async fn send(&self, method: Method, path: &str, body: Option<&impl Serialize>, limit: Option<Duration>) -> Result<Response, Trouble> {
        let mut request = self.http.request(method, format!("http://dockmaster{path}"));
        if let Some(limit) = limit {
            request = request.timeout(limit);
        }
        if let Some(body) = body {
            let body = serde_json::to_vec(body).map_err(|e| Trouble::Silent(e.to_string()))?;
            request = request.header("content-type", "application/json").body(body);
        }
        let response = request.send().await.map_err(|e| silent(&e))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response.bytes().await.map_err(|e| silent(&e))?;
        match serde_json::from_slice(&body) {
            Ok(problem) => Err(Trouble::Refused(Box::new(problem))),
            Err(_) => Err(Trouble::Silent(format!("it says {status}"))),
        }
    }

    async fn read<T: DeserializeOwned>(response: Response) -> Result<T, Trouble> {
        let body = response.bytes().await.map_err(|e| silent(&e))?;
        serde_json::from_slice(&body).map_err(|e| Trouble::Silent(format!("its answer cannot be understood ({e})")))
    }

    /// Reads something.
    ///
    /// # Errors
    /// It is refused, or nobody answers.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Trouble> {
        Self::read(self.send(Method::GET, path, None::<&()>, Some(ANSWER_LIMIT)).await?).await
    }

    /// As [`Client::get`], also where the answer is that something is not well, within so long.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn get_any<T: DeserializeOwned>(&self, path: &str, limit: Duration) -> Result<T, Trouble> {
        let request = self.http.get(format!("http://dockmaster{path}")).timeout(limit);
        Self::read(request.send().await.map_err(|e| silent(&e))?).await
    }

    /// Asks for something.
    ///
    /// # Errors
    /// It is refused, or nobody answers.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Trouble> {
        Self::read(self.send(Method::POST, path, Some(body), Some(ANSWER_LIMIT)).await?).await
    }

    /// Reads what comes, as it comes.
    ///
    /// # Errors
    /// It is refused, or nobody answers.
    pub async fn events(&self, path: &str) -> Result<Events, Trouble> {
        let response = self.send(Method::GET, path, None::<&()>, None).await?;
        Ok(Events { response, unread: Vec::new() })
    }
}

/// Server-sent events.
#[derive(Debug)]
pub struct Events {
    response: Response,
    unread: Vec<u8>,
}

impl Events {
    /// The next one; none at the end. What was read is kept where this is dropped while it waits.
    ///
    /// # Errors
    /// They broke off, or the last of them is why there are no more.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Trouble> {
        loop {
            while let Some(end) = self.unread.windows(2).position(|w| w == b"\n\n") {
                let event: Vec<u8> = self.unread.drain(..end + 2).collect();
                let data: Vec<u8> =
                    event.split(|b| *b == b'\n').filter_map(|line| line.strip_prefix(b"data: ")).flatten().copied().collect();
                let named = |name: &str| event.split(|b| *b == b'\n').any(|line| line.strip_prefix(b"event: ") == Some(name.as_bytes()));
                if named(PROBLEM_EVENT)
                    && let Ok(problem) = serde_json::from_slice(&data)
                {
                    return Err(Trouble::Refused(Box::new(problem)));
                }
                if !data.is_empty() {
                    let read = serde_json::from_slice(&data);
                    return read.map(Some).map_err(|e| Trouble::Silent(format!("what it tells cannot be understood ({e})")));
                }
            }
            if self.unread.len() > EVENT_MAX {
                return Err(Trouble::Silent("what it tells is too long".to_owned()));
            }
            match self.response.chunk().await.map_err(|e| silent(&e))? {
                Some(chunk) => self.unread.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }
}
