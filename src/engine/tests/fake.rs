//! An engine that answers whatever a test says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio::runtime::{Builder, Runtime};

use crate::engine::api_version::ApiVersion;
use crate::engine::docker::Docker;

/// An engine on a socket of its own. Ends when it is dropped.
pub(super) struct Fake {
    directory: tempfile::TempDir,
    told: Arc<Mutex<Told>>,
    /// Its own, so that its connections end with it.
    runtime: Option<Runtime>,
}

/// What it was told to answer.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// Its newest and oldest version; without them it takes any.
    pub(super) versions: Option<(&'static str, &'static str)>,
    /// Whether every answer tells the newest.
    pub(super) tells_version: bool,
    /// Statuses and bodies by path, without a version.
    pub(super) answers: BTreeMap<String, (u16, Vec<u8>)>,
    /// The paths that were asked for.
    pub(super) asked: Vec<String>,
}

impl Fake {
    /// One of Engine 26.1's versions that knows nothing.
    pub(super) fn start() -> Self {
        let told = Told { versions: Some(("1.45", "1.24")), tells_version: true, answers: BTreeMap::new(), asked: Vec::new() };
        let (directory, told) = (tempfile::tempdir().unwrap(), Arc::new(Mutex::new(told)));
        let runtime = Some(serve(&directory, &told));
        Self { directory, told, runtime }
    }

    /// The same engine as another one: stopped and started again.
    pub(super) fn restart(&mut self, change: impl FnOnce(&mut Told)) {
        self.stop();
        self.tell(change);
        self.runtime = Some(serve(&self.directory, &self.told));
    }

    /// Nothing answers any more.
    pub(super) fn stop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        // It blocks until the connections are closed, which no asynchronous test may do itself.
        std::thread::spawn(move || runtime.shutdown_timeout(std::time::Duration::from_secs(5))).join().unwrap();
        std::fs::remove_file(self.directory.path().join("docker.sock")).unwrap();
    }

    pub(super) fn tell(&self, change: impl FnOnce(&mut Told)) {
        change(&mut self.told.lock().unwrap());
    }

    pub(super) fn answer(&self, path: &str, status: u16, body: impl Into<Vec<u8>>) {
        self.tell(|told| drop(told.answers.insert(path.to_owned(), (status, body.into()))));
    }

    /// What was asked since this was asked last.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap().asked)
    }

    pub(super) fn docker(&self) -> Docker {
        Docker::at(Some(&format!("unix://{}", self.directory.path().join("docker.sock").display()))).unwrap()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve(directory: &tempfile::TempDir, told: &Arc<Mutex<Told>>) -> Runtime {
    let listener = std::os::unix::net::UnixListener::bind(directory.path().join("docker.sock")).unwrap();
    listener.set_nonblocking(true).unwrap();
    let told = Arc::clone(told);
    let router = Router::new().fallback(move |request: Request| {
        let answer = answer(&mut told.lock().unwrap(), request.uri().path());
        async move { answer }
    });
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.spawn(async move { axum::serve(UnixListener::from_std(listener).unwrap(), router).await.unwrap() });
    runtime
}

fn answer(told: &mut Told, path: &str) -> Response<Body> {
    told.asked.push(path.to_owned());
    let named = path.strip_prefix("/v").and_then(|rest| rest.split_once('/'));
    let named = named.and_then(|(version, rest)| Some((ApiVersion::parse(version)?, format!("/{rest}"))));
    let (version, bare) = named.map_or((None, path.to_owned()), |(version, rest)| (Some(version), rest));
    let (status, body) = match (refused(told, version), bare.as_str()) {
        (Some(message), _) => (400, json!({ "message": message }).to_string().into_bytes()),
        (None, "/_ping") => (200, b"OK".to_vec()),
        (None, "/version") => {
            let of = |which: fn((&'static str, &'static str)) -> &'static str| told.versions.map_or(Value::Null, |v| which(v).into());
            (200, json!({ "ApiVersion": of(|v| v.0), "MinAPIVersion": of(|v| v.1) }).to_string().into_bytes())
        }
        (None, other) => {
            let unknown = || (404, json!({ "message": format!("there is no {other}") }).to_string().into_bytes());
            told.answers.get(other).cloned().unwrap_or_else(unknown)
        }
    };
    let mut answer = Response::builder().status(status);
    if let (Some((newest, _)), true) = (told.versions, told.tells_version) {
        answer = answer.header("Api-Version", newest);
    }
    answer.body(Body::from(body)).unwrap()
}

/// Why an engine does not take a version.
fn refused(told: &Told, version: Option<ApiVersion>) -> Option<String> {
    let (asked, (newest, oldest)) = (version?, told.versions?);
    let number = |text: &str| ApiVersion::parse(text).unwrap();
    if asked > number(newest) {
        return Some(format!("client version {asked} is too new. Maximum supported API version is {newest}"));
    }
    let is_old = asked < number(oldest);
    is_old.then(|| format!("client version {asked} is too old. Minimum supported API version is {oldest}, please upgrade your client"))
}
