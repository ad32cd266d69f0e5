//! A registry on loopback that holds one image, and gives it to whoever has the password.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path as At, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::routing::get;
use serde_json::Value;

use super::fixture::{image, sh};

/// `ann:secret`, as it is sent.
const LOGIN: &str = "Basic YW5uOnNlY3JldA==";

/// Indexes and manifests are smaller; layers need not be read as JSON.
const DESCRIPTION_MAX: usize = 100_000;

/// The registry. Ends when it is dropped.
pub(crate) struct Registry {
    pub(crate) address: String,
    /// What was asked for.
    asked: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Clone)]
struct Shelf {
    layout: PathBuf,
    manifest: String,
    closed: bool,
    asked: Arc<Mutex<Vec<String>>>,
    _directory: Arc<tempfile::TempDir>,
}

impl Registry {
    /// Holds the tests' image with one layer more, so that there is something to be pulled; wants a login where `closed`.
    pub(crate) async fn start(closed: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        // Each has an image of its own: what the engine has of another one it would not ask for.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("dmt-shelf-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        std::fs::write(root.join("Dockerfile"), format!("FROM {}\nCOPY own /own\n", image())).unwrap();
        std::fs::write(root.join("own"), format!("{name}\n").repeat(20_000)).unwrap();
        std::fs::write(root.join("docker-compose.yml"), format!("services: {{ it: {{ build: ., image: \"{name}\" }} }}\n")).unwrap();
        sh("docker-compose", &["-p", &name, "-f", root.join("docker-compose.yml").to_str().unwrap(), "build", "--quiet"]);
        let (saved, layout) = (root.join("saved.tar"), root.join("layout"));
        sh("docker", &["save", "-o", saved.to_str().unwrap(), &name]);
        sh("docker", &["rmi", &name]);
        std::fs::create_dir(&layout).unwrap();
        sh("tar", &["-xf", saved.to_str().unwrap(), "-C", layout.to_str().unwrap()]);
        let index: Value = serde_json::from_slice(&std::fs::read(layout.join("index.json")).unwrap()).unwrap();
        let manifest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let shelf = Shelf { layout, manifest, closed, asked: Arc::clone(&asked), _directory: Arc::new(directory) };
        let router = Router::new()
            .route("/v2/", get(async |State(shelf): State<Shelf>, headers: HeaderMap| answer(&shelf, &headers, None)))
            .route("/v2/{*rest}", get(give))
            .with_state(shelf);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, asked, task }
    }

    /// The name of its image.
    pub(crate) fn image(&self) -> String {
        format!("{}/test/busybox:1", self.address)
    }

    /// A file in Docker's own form with the login.
    pub(crate) fn credentials(&self, directory: &Path, password: &str) -> PathBuf {
        let file = directory.join("registry.json");
        let entry = serde_json::json!({ "auths": { &self.address: { "username": "ann", "password": password } } });
        std::fs::write(&file, entry.to_string()).unwrap();
        file
    }

    /// Whether its image was asked for. Layers need not be: the containerd store keeps those of an image that was removed for a while.
    pub(crate) fn was_asked(&self) -> bool {
        self.asked.lock().unwrap().iter().any(|path| path.contains("/manifests/"))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn give(State(shelf): State<Shelf>, At(rest): At<String>, headers: HeaderMap) -> Response<Body> {
    shelf.asked.lock().unwrap().push(rest.clone());
    let (_, wanted) = rest.rsplit_once('/').unwrap();
    let digest = if rest.contains("/manifests/") && !wanted.starts_with("sha256:") { shelf.manifest.clone() } else { wanted.to_owned() };
    answer(&shelf, &headers, Some(digest))
}

fn answer(shelf: &Shelf, headers: &HeaderMap, digest: Option<String>) -> Response<Body> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if shelf.closed && given != Some(LOGIN) {
        let refused = Response::builder().status(StatusCode::UNAUTHORIZED).header(header::WWW_AUTHENTICATE, "Basic realm=\"test\"");
        let errors = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
        return refused.header(header::CONTENT_TYPE, "application/json").body(errors.into()).unwrap();
    }
    let Some(digest) = digest else { return Response::new("{}".into()) };
    let Ok(blob) = std::fs::read(shelf.layout.join("blobs").join(digest.replace(':', "/"))) else {
        return Response::builder().status(StatusCode::NOT_FOUND).body("{}".into()).unwrap();
    };
    // An index or a manifest says itself what it is; with the containerd store an image is an index.
    let described = if blob.len() < DESCRIPTION_MAX { serde_json::from_slice::<Value>(&blob).unwrap_or_default() } else { Value::Null };
    let kind = match &described {
        one if one["manifests"].is_array() => "application/vnd.oci.image.index.v1+json",
        one if one["layers"].is_array() => "application/vnd.oci.image.manifest.v1+json",
        _ => "application/octet-stream",
    };
    Response::builder().header(header::CONTENT_TYPE, kind).header("Docker-Content-Digest", digest).body(blob.into()).unwrap()
}
