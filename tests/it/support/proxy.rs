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
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub(crate) fn start() -> Self {
        let host = super::engine::host().unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
        let engine = PathBuf::from(host.strip_prefix("unix://").expect("tests use an engine on a socket"));
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("docker.sock")).unwrap();
        let (away, cut_after) = (Arc::new(watch::channel(false).0), Arc::new(Mutex::default()));
        let task = tokio::spawn(serve(listener, engine, away.clone(), cut_after.clone()));
        Self { directory, away, cut_after, task }
    }

    /// What `DOCKER_HOST` is set to.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.directory.path().join("docker.sock").display())
    }

    /// Cuts every connection, and each new one, until told otherwise.
    pub(crate) fn set_away(&self, away: bool) {
        self.away.send_replace(away);
    }

    /// Cuts the way as soon as a request that holds this text was passed on: the engine acts, and nobody hears of it.
    pub(crate) fn cut_after(&self, request: &str) {
        *self.cut_after.lock().unwrap() = Some(request.to_owned());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: UnixListener, engine: PathBuf, away: Arc<watch::Sender<bool>>, cut_after: Arc<Mutex<Option<String>>>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        if *away.borrow() {
            continue;
        }
        let (engine, away, cut_after) = (engine.clone(), away.clone(), cut_after.clone());
        tokio::spawn(async move {
            let mut cut = away.subscribe();
            tokio::select! {
                _ = cut.wait_for(|away| *away) => {}
                _ = pass(client, engine, &away, &cut_after) => {}
            }
        });
    }
}

async fn pass(
    mut client: UnixStream,
    engine: PathBuf,
    away: &watch::Sender<bool>,
    cut_after: &Mutex<Option<String>>,
) -> std::io::Result<()> {
    let mut server = UnixStream::connect(engine).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let requests = async {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            let n = from_client.read(&mut bytes).await?;
            if n == 0 {
                to_server.shutdown().await?;
                return std::io::Result::Ok(());
            }
            to_server.write_all(&bytes[..n]).await?;
            let text = String::from_utf8_lossy(&bytes[..n]).into_owned();
            if cut_after.lock().unwrap().take_if(|wanted| text.contains(wanted.as_str())).is_some() {
                away.send_replace(true);
            }
        }
    };
    let answers = tokio::io::copy(&mut from_server, &mut to_client);
    tokio::try_join!(requests, answers).map(|_| ())
}
