//! A way to the engine that can be cut: a proxy on a socket of its own.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

/// The way to the engine. Ends when it is dropped.
pub(crate) struct Proxy {
    directory: tempfile::TempDir,
    away: Arc<watch::Sender<bool>>,
    /// The way is cut once a request that holds this has been passed on.
    cut_after: Arc<Mutex<Option<String>>>,
    /// The first line of each request so far.
    asked: Arc<Mutex<Vec<String>>>,
    refusals: Arc<Mutex<Option<Refusal>>>,
    held: Arc<Mutex<Option<Held>>>,
    cut_answers: Arc<watch::Sender<Option<usize>>>,
    rewrites: Arc<Mutex<Vec<Rewrite>>>,
    task: tokio::task::JoinHandle<()>,
}

/// A field that is to be told otherwise than the engine tells it.
#[derive(Clone)]
struct Rewrite {
    /// The address of the answer.
    path: String,
    /// The field (a JSON pointer).
    field: String,
    value: serde_json::Value,
}

/// A request that the engine never sees, and that nobody answers.
struct Held {
    /// What it holds.
    request: String,
    /// How many such requests are passed on before.
    after: u32,
    /// Whether it came.
    came: bool,
}

/// Requests that the engine never sees.
struct Refusal {
    /// What they hold.
    request: String,
    /// How many of them are left.
    times: u32,
    /// How many there were.
    made: u32,
    message: String,
}

impl Proxy {
    pub(crate) fn start() -> Self {
        let host = super::engine::host().unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
        let engine = PathBuf::from(host.strip_prefix("unix://").expect("tests use an engine on a socket"));
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("docker.sock")).unwrap();
        let (away, cut_after) = (Arc::new(watch::channel(false).0), Arc::new(Mutex::default()));
        let (refusals, held, asked) = (Arc::new(Mutex::default()), Arc::new(Mutex::default()), Arc::default());
        let (cut_answers, rewrites) = (Arc::new(watch::channel(None).0), Arc::default());
        let way = Way {
            engine,
            rewrites: Arc::clone(&rewrites),
            cut_answers: Arc::clone(&cut_answers),
            away: away.clone(),
            cut_after: cut_after.clone(),
            refusals: refusals.clone(),
            held: held.clone(),
            asked: Arc::clone(&asked),
        };
        let task = tokio::spawn(serve(listener, way));
        Self { directory, away, cut_after, refusals, held, asked, cut_answers, rewrites, task }
    }

    /// What `DOCKER_HOST` is set to.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.directory.path().join("docker.sock").display())
    }

    /// Cuts every connection, and each new one, until told otherwise.
    pub(crate) fn set_away(&self, away: bool) {
        self.away.send_replace(away);
    }

    /// What was asked since this was asked last: methods and addresses.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// Cuts the way as soon as a request that holds this text was passed on: the engine acts, and nobody hears of it.
    pub(crate) fn cut_after(&self, request: &str) {
        *self.cut_after.lock().unwrap() = Some(request.to_owned());
    }

    /// Ends each connection, from now on, after so many bytes of the engine's answers; none lets all of them through again.
    pub(crate) fn cut_answers(&self, after: Option<usize>) {
        self.cut_answers.send_replace(after);
    }

    /// From now on a field of what the engine answers at this address is told otherwise.
    pub(crate) fn rewrite(&self, path: &str, field: &str, value: serde_json::Value) {
        self.rewrites.lock().unwrap().push(Rewrite { path: path.to_owned(), field: field.to_owned(), value });
    }

    /// Keeps a request that holds this text from the engine, and the one who asked waiting, once so many were passed on.
    pub(crate) fn hold(&self, request: &str, after: u32) {
        *self.held.lock().unwrap() = Some(Held { request: request.to_owned(), after, came: false });
    }

    /// Holds nothing any more.
    pub(crate) fn release(&self) {
        *self.held.lock().unwrap() = None;
    }

    /// Waits until the request came that is held.
    pub(crate) async fn held(&self) {
        super::eventually("a request is held", async || self.held.lock().unwrap().as_ref().is_some_and(|held| held.came)).await;
    }

    /// Refuses the next so many requests that hold this text, as the engine would, in these words.
    pub(crate) fn refuse(&self, request: &str, times: u32, message: &str) {
        *self.refusals.lock().unwrap() = Some(Refusal { request: request.to_owned(), times, made: 0, message: message.to_owned() });
    }

    /// How many were refused since it was told to.
    pub(crate) fn refused(&self) -> u32 {
        self.refusals.lock().unwrap().as_ref().map_or(0, |refusal| refusal.made)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What is passed on, and what is not.
#[derive(Clone)]
struct Way {
    engine: PathBuf,
    away: Arc<watch::Sender<bool>>,
    cut_after: Arc<Mutex<Option<String>>>,
    refusals: Arc<Mutex<Option<Refusal>>>,
    held: Arc<Mutex<Option<Held>>>,
    asked: Arc<Mutex<Vec<String>>>,
    cut_answers: Arc<watch::Sender<Option<usize>>>,
    rewrites: Arc<Mutex<Vec<Rewrite>>>,
}

async fn serve(listener: UnixListener, way: Way) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        if *way.away.borrow() {
            continue;
        }
        let way = way.clone();
        tokio::spawn(async move {
            let mut cut = way.away.subscribe();
            tokio::select! {
                _ = cut.wait_for(|away| *away) => {}
                _ = pass(client, &way) => {}
            }
        });
    }
}

async fn pass(mut client: UnixStream, way: &Way) -> std::io::Result<()> {
    let mut server = UnixStream::connect(&way.engine).await?;
    let (mut from_client, to_client) = client.split();
    // A client asks for one thing at a time: what we answer ourselves comes between the engine's answers.
    let to_client = tokio::sync::Mutex::new(to_client);
    let (mut from_server, mut to_server) = server.split();
    let requests = async {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            let n = from_client.read(&mut bytes).await?;
            if n == 0 {
                to_server.shutdown().await?;
                return std::io::Result::Ok(());
            }
            let text = unversioned(&String::from_utf8_lossy(&bytes[..n]));
            if let Some(line) = text.lines().next().and_then(|line| line.strip_suffix(" HTTP/1.1")) {
                way.asked.lock().unwrap().push(line.to_owned());
            }
            if is_held(&way.held, &text) {
                std::future::pending::<()>().await;
            }
            if let Some(answer) = refusal(&way.refusals, &text) {
                to_client.lock().await.write_all(answer.as_bytes()).await?;
                continue;
            }
            if let Some(answer) = rewritten(&way.rewrites, &text).await {
                to_client.lock().await.write_all(answer.as_bytes()).await?;
                continue;
            }
            to_server.write_all(&bytes[..n]).await?;
            if way.cut_after.lock().unwrap().take_if(|wanted| text.contains(wanted.as_str())).is_some() {
                way.away.send_replace(true);
            }
        }
    };
    let answers = async {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            let n = from_server.read(&mut bytes).await?;
            if n == 0 {
                return std::io::Result::Ok(());
            }
            let limit = *way.cut_answers.borrow();
            to_client.lock().await.write_all(&bytes[..n.min(limit.unwrap_or(n))]).await?;
            if limit.is_some() {
                return Err(std::io::ErrorKind::ConnectionAborted.into());
            }
        }
    };
    tokio::try_join!(requests, answers).map(|_| ())
}

/// A request as if it were asked in no version of the engine's API (`/v1.45/..`).
fn unversioned(request: &str) -> String {
    let parts = request.split_once(" /v").and_then(|(method, rest)| Some((method, rest.split_once('/')?)));
    match parts {
        Some((method, (version, rest))) if version.bytes().all(|b| b.is_ascii_digit() || b == b'.') => format!("{method} /{rest}"),
        _ => request.to_owned(),
    }
}

/// The answer to a request of which fields are told otherwise.
async fn rewritten(rewrites: &Mutex<Vec<Rewrite>>, request: &str) -> Option<String> {
    let path = request.strip_prefix("GET ")?.split(' ').next()?.to_owned();
    let rewrites: Vec<Rewrite> = rewrites.lock().unwrap().iter().filter(|rewrite| rewrite.path == path).cloned().collect();
    if rewrites.is_empty() {
        return None;
    }
    let mut answer = tokio::task::spawn_blocking(move || super::fixture::engine_get(&path)).await.unwrap();
    for Rewrite { field, value, .. } in rewrites {
        // The container may be gone.
        *answer.pointer_mut(&field)? = value;
    }
    let body = answer.to_string();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    Some(head + &body)
}

/// Whether a request is the one that is to be held.
fn is_held(held: &Mutex<Option<Held>>, request: &str) -> bool {
    let mut held = held.lock().unwrap();
    let Some(held) = held.as_mut().filter(|held| !held.came && request.contains(&held.request)) else { return false };
    held.came = held.after == 0;
    held.after = held.after.saturating_sub(1);
    held.came
}

/// The answer to a request that is to be refused.
fn refusal(refusals: &Mutex<Option<Refusal>>, request: &str) -> Option<String> {
    let mut refusals = refusals.lock().unwrap();
    let refusal = refusals.as_mut().filter(|r| r.times > 0 && request.contains(&r.request))?;
    (refusal.times, refusal.made) = (refusal.times - 1, refusal.made + 1);
    let body = serde_json::json!({ "message": refusal.message }).to_string();
    let head = format!("HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    Some(head + &body)
}
