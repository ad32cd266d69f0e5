//! What runs in the sample's containers, or as its processes: a small web server, and a store that keeps a count.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

/// Where both services listen unless told otherwise: as in their containers.
const PORT: u16 = 8080;
/// How often the store says that it is alive.
const BEAT: Duration = Duration::from_secs(5);

/// Runs as one of the sample's services (`serve`, `store`), or looks whether one answers (`check`).
///
/// # Errors
/// It cannot listen, or (for `check`) nothing answers as it should.
pub async fn run(role: &str) -> io::Result<()> {
    match role {
        "serve" => serve().await,
        "store" => store().await,
        "check" => check().await,
        other => Err(io::Error::other(format!("the sample has no service {other:?}"))),
    }
}

/// Writes a line of log. A reader that went away is no reason to end.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// What the environment says, where it does.
fn told(name: &str, otherwise: &str) -> String {
    std::env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| otherwise.to_owned())
}

fn port() -> u16 {
    told("SAMPLE_PORT", "").parse().unwrap_or(PORT)
}

async fn serve() -> io::Result<()> {
    let index = Path::new(&told("SAMPLE_SITE", "/site")).join("index.html");
    let greeting = std::env::var("GREETING").unwrap_or_default();
    say(&format!("backend: starting, greeting is {greeting:?}"));
    let page = async move || match tokio::fs::read_to_string(&index).await {
        Ok(page) => {
            say("backend: GET / 200");
            (StatusCode::OK, Html(page))
        }
        Err(error) => {
            say(&format!("backend: GET / 500: {error}"));
            (StatusCode::INTERNAL_SERVER_ERROR, Html("no page".to_owned()))
        }
    };
    listen("backend", Router::new().route("/", get(page)).route("/health", get(|| async { "well" }))).await
}

async fn store() -> io::Result<()> {
    let file = Path::new(&told("SAMPLE_DATA", "/data")).join("starts");
    let starts = std::fs::read_to_string(&file).ok().and_then(|t| t.trim().parse::<u64>().ok()).unwrap_or(0) + 1;
    std::fs::write(&file, starts.to_string())?;
    say(&format!("store: start number {starts}; the data is kept in {}", file.display()));
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(BEAT).await;
            say(&format!("store: {starts} starts so far, all is well"));
        }
    });
    listen("store", Router::new().route("/health", get(move || async move { starts.to_string() }))).await
}

async fn listen(name: &'static str, routes: Router) -> io::Result<()> {
    let port = port();
    let listener = TcpListener::bind((told("SAMPLE_ADDRESS", "0.0.0.0"), port)).await?;
    say(&format!("{name}: listening on port {port}"));
    let mut terminate = signal(SignalKind::terminate())?;
    let ended = async move {
        terminate.recv().await;
        say(&format!("{name}: asked to stop"));
    };
    axum::serve(listener, routes).with_graceful_shutdown(ended).await
}

async fn check() -> io::Result<()> {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port())).await?;
        stream.write_all(b"GET /health HTTP/1.0\r\n\r\n").await?;
        let mut answer = Vec::new();
        stream.take(4_096).read_to_end(&mut answer).await?;
        Ok(answer)
    };
    let answer: io::Result<Vec<u8>> = tokio::time::timeout(Duration::from_secs(1), ask).await?;
    if answer?.starts_with(b"HTTP/1.0 200") { Ok(()) } else { Err(io::Error::other("it did not answer with 200")) }
}
