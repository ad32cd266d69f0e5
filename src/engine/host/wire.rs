//! What is said between a keeper and whoever asks it: a line of JSON each, on the socket in the process's place.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::place::Place;
use super::report::Report;

/// The longest question, in bytes.
const ASKED_MAX: u64 = 4_096;
/// How long a question may take to come.
const ASKING: Duration = Duration::from_secs(5);
/// How many may ask at the same time.
const CALLS_MAX: usize = 32;
/// How long is waited where the system gives no connection.
const PAUSE: Duration = Duration::from_millis(100);
/// What says that nobody is there: there never was, it was killed, or it is just ending.
const GONE: [io::ErrorKind; 4] =
    [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused, io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];

/// What a keeper is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "lowercase")]
pub(super) enum Ask {
    /// How it stands.
    Status,
    /// How it stands, and again whenever that changes.
    Watch,
    /// To end the process, and then itself. The answer is that it is gone.
    Stop {
        /// How long the process may take; what it was started with where none is given.
        within: Option<Duration>,
    },
    /// To end the process and start it again; answered when that is done.
    Restart {
        /// How long the process may take to end.
        within: Option<Duration>,
    },
}

/// What a keeper says to whoever started it, as the first thing and on its standard output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Word {
    /// The process runs.
    Started,
    /// Another keeper has it.
    Taken,
    /// It could not be started.
    Refused(String),
}

/// Somebody's order, and who waits for it.
#[derive(Debug)]
pub(super) struct Order {
    /// Whether it is started again.
    pub(super) again: bool,
    pub(super) within: Option<Duration>,
    pub(super) done: oneshot::Sender<()>,
}

/// A keeper that was asked something.
#[derive(Debug)]
pub(super) struct Call {
    answers: Lines<BufReader<OwnedReadHalf>>,
    _questions: OwnedWriteHalf,
}

/// Asks the keeper of a place; none where there is none.
pub(super) async fn ask(place: &Place, ask: &Ask) -> io::Result<Option<Call>> {
    let asked = async {
        let (answers, mut questions) = UnixStream::connect(place.socket()).await?.into_split();
        let mut line = serde_json::to_vec(ask)?;
        line.push(b'\n');
        questions.write_all(&line).await?;
        Ok(Call { answers: BufReader::new(answers).lines(), _questions: questions })
    };
    match asked.await {
        Ok(call) => Ok(Some(call)),
        Err(error) if GONE.contains(&io::Error::kind(&error)) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Call {
    /// Its next answer; none where it has ended.
    pub(super) async fn next(&mut self) -> Option<Report> {
        serde_json::from_str(&self.answers.next_line().await.ok()??).ok()
    }
}

/// Makes the socket of a place whose lock is held.
pub(super) fn bind(place: &Place) -> io::Result<UnixListener> {
    if let Err(error) = std::fs::remove_file(place.socket())
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    UnixListener::bind(place.socket())
}

/// Answers whoever asks, until this is dropped.
pub(super) async fn serve(listener: UnixListener, report: watch::Receiver<Report>, orders: mpsc::Sender<Order>) {
    let mut calls = JoinSet::new();
    loop {
        while calls.try_join_next().is_some() {}
        if calls.len() >= CALLS_MAX {
            calls.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                calls.spawn(answer(stream, report.clone(), orders.clone()));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn answer(stream: UnixStream, mut report: watch::Receiver<Report>, orders: mpsc::Sender<Order>) -> Option<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader.take(ASKED_MAX));
    let mut line = String::new();
    timeout(ASKING, reader.read_line(&mut line)).await.ok()?.ok()?;
    let order = |again, within| async move {
        let (done, told) = oneshot::channel();
        orders.send(Order { again, within, done }).await.ok()?;
        told.await.ok()
    };
    match serde_json::from_str(&line).ok()? {
        Ask::Status => {}
        Ask::Restart { within } => order(true, within).await?,
        // It ends, and this connection with it.
        Ask::Stop { within } => return order(false, within).await,
        Ask::Watch => loop {
            let now = report.borrow_and_update().clone();
            say(&mut writer, &now).await?;
            tokio::select! {
                changed = report.changed() => changed.ok()?,
                // Nothing more is asked: they have gone.
                _ = reader.read_line(&mut line) => return None,
            }
        },
    }
    let now = report.borrow().clone();
    say(&mut writer, &now).await
}

/// Whoever does not read is not waited for.
async fn say(writer: &mut OwnedWriteHalf, report: &Report) -> Option<()> {
    let mut line = serde_json::to_vec(report).ok()?;
    line.push(b'\n');
    timeout(ASKING, writer.write_all(&line)).await.ok()?.ok()
}
