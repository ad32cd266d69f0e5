//! Everything assembled once.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use teloxide::Bot;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::domain::Millis;
use crate::domain::project::Configuration;
use crate::engine::compose::Compose;
use crate::engine::docker::{self, Docker};
use crate::history::History;
use crate::history::lock::DataLock;
use crate::operations::{Desk, Tools, random_name, recover};
use crate::telegram::{self, Activity, TelegramError};

/// How long a running step may take to end when dockmaster is asked to stop.
const FINISH_LIMIT: Duration = Duration::from_secs(60);
/// The history, below the data directory.
const DATABASE: &str = "dockmaster.db";
/// How often old rows of the history are taken away.
const PRUNE_EVERY: Duration = Duration::from_secs(24 * 3_600);

/// What an app is assembled from.
#[derive(Debug)]
pub struct Parts {
    /// What `projects.json` says.
    pub configuration: Configuration,
    /// The bot's token.
    pub token: SecretString,
    /// Where the Bot API is; Telegram's own unless told.
    pub api_url: Option<String>,
    /// Where the engine is (`DOCKER_HOST`); the usual socket unless told.
    pub docker_host: Option<String>,
    /// The data directory.
    pub data: PathBuf,
    /// Cancelled to end it all.
    pub shutdown: CancellationToken,
    /// What is going on in the chats.
    pub activity: Activity,
}

/// Why dockmaster cannot run: one sentence for whoever started it.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A setting is missing or wrong: exit code 2.
    #[error("{0}")]
    Setting(String),
    /// Anything else: exit code 1.
    #[error("{0}")]
    Failed(String),
}

/// The time of the machine, in milliseconds. The one place that reads it.
#[expect(clippy::disallowed_methods, reason = "this is where the wall clock comes from")]
pub fn now() -> Millis {
    jiff::Timestamp::now().as_millisecond()
}

/// The engine, asked whether it is there.
///
/// # Errors
/// It is not, with how to get it.
pub async fn engine(host: Option<&str>) -> Result<Docker, AppError> {
    let docker = Docker::at(host).map_err(|e| no_engine(host, &e))?;
    docker.ping().await.map_err(|e| no_engine(host, &e))?;
    Ok(docker)
}

fn no_engine(host: Option<&str>, error: &crate::engine::docker::EngineError) -> AppError {
    let place = host.unwrap_or(docker::DEFAULT_HOST);
    AppError::Setting(format!(
        "No Docker engine answers at {place} ({error}): install one (Debian: apt install docker.io), start it, and see that this user may use its socket, or name another with DOCKER_HOST."
    ))
}

/// A program that runs for months takes old rows away while it runs.
async fn prune_daily(history: History) {
    loop {
        tokio::time::sleep(PRUNE_EVERY).await;
        if let Err(error) = history.prune(now()).await {
            tracing::warn!(%error, "old rows of the history could not be taken away");
        }
    }
}

/// Takes a data directory, so that no other dockmaster works in it.
///
/// # Errors
/// Another one does, or it cannot be made.
pub fn hold(data: &Path) -> Result<DataLock, AppError> {
    DataLock::take(data).map_err(|e| AppError::Setting(format!("{e}; name another with --data, or see to this one.")))
}

/// A path without links, as far as it is there.
fn resolved(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = whole.ancestors().find_map(|above| Some((above.canonicalize().ok()?, whole.strip_prefix(above).ok()?)));
    there.map_or_else(|| whole.clone(), |(real, rest)| real.join(rest).components().collect())
}

/// What [`Tools`] are made from; the fields are called the same.
struct Workshop {
    docker_host: Option<String>,
    data: PathBuf,
    elsewhere: Option<PathBuf>,
    history: History,
    stopping: CancellationToken,
}

impl Workshop {
    /// Finds the tools.
    async fn tools(self) -> Result<Tools, AppError> {
        let docker = engine(self.docker_host.as_deref()).await?;
        let docker_host = self.docker_host.unwrap_or_else(|| docker::DEFAULT_HOST.to_owned());
        let compose = Compose::find(&std::env::var_os("PATH").unwrap_or_default()).await;
        let data = resolved(&self.data);
        let instance = self.history.instance().await.map_err(|e| unusable(&data, e))?;
        let Self { elsewhere, history, stopping, .. } = self;
        Ok(Tools { docker, docker_host, compose, history, clock: now, data, elsewhere, instance, stopping })
    }
}

fn unusable(data: &Path, why: impl std::fmt::Display) -> AppError {
    AppError::Failed(format!("{} cannot be used: {why}.", data.display()))
}

/// A directory that ends with this value.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Scratch {
    /// Makes one, for our eyes only.
    fn new() -> std::io::Result<Self> {
        let name = random_name().map_err(std::io::Error::other)?;
        let path = std::env::temp_dir().join(format!("dockmaster-{name}"));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(resolved(&path)))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, directory = %self.0.display(), "was left behind");
        }
    }
}

/// A desk to be asked what an operation would do, and nothing else: it holds nothing and keeps nothing.
#[derive(Debug)]
pub struct Planner {
    /// The desk.
    pub desk: Desk,
    _scratch: Scratch,
}

/// A planner over a data directory with which another dockmaster may be at work, or which is not there yet: either is left
/// as it is.
///
/// # Errors
/// There is no engine, or what the data directory holds cannot be read.
pub async fn planner(
    configuration: Configuration,
    docker_host: Option<String>,
    data: PathBuf,
    stopping: CancellationToken,
) -> Result<Planner, AppError> {
    let history = History::copy(&data.join(DATABASE)).map_err(|e| unusable(&data, e))?;
    let scratch = Scratch::new().map_err(|e| AppError::Failed(format!("There is no place for temporary files: {e}.")))?;
    let tools = Workshop { docker_host, data, elsewhere: Some(scratch.0.clone()), history, stopping }.tools().await?;
    let (_, receiver) = watch::channel(Arc::new(configuration));
    Ok(Planner { desk: Desk::new(receiver, tools), _scratch: scratch })
}

/// Runs until `shutdown` is cancelled, then ends cleanly: nothing new begins, what runs finishes its step, the chats are told.
///
/// # Errors
/// It cannot start, or Telegram refuses the token.
pub async fn run(parts: Parts) -> Result<(), AppError> {
    let lock = hold(&parts.data)?;
    let history = History::open(&parts.data.join(DATABASE)).map_err(|e| unusable(&parts.data, e))?;
    let (docker_host, stopping) = (parts.docker_host, parts.shutdown.clone());
    let tools = Workshop { docker_host, data: parts.data, elsewhere: None, history: history.clone(), stopping }.tools().await?;
    if tools.compose.is_none() {
        tracing::warn!("Docker Compose v2 is not installed: projects can be watched and restarted, not deployed");
    }
    let unordered = |e| AppError::Failed(format!("What an earlier run left cannot be put in order: {e}."));
    let cut_off = recover(&tools).await.map_err(unordered)?;
    history.prune(now()).await.map_err(|e| AppError::Failed(format!("{e}.")))?;
    let pruning = tokio::spawn(prune_daily(history.clone()));
    // The sender is kept: whoever reloads the configuration will send through it.
    let (_configuration, receiver) = watch::channel(Arc::new(parts.configuration));
    let desk = Arc::new(Desk::new(receiver, tools));
    desk.resume(cut_off).await.map_err(unordered)?;
    let mut bot = Bot::new(parts.token.expose_secret());
    if let Some(url) = &parts.api_url {
        let url = url.parse().map_err(|e| AppError::Setting(format!("TELOXIDE_API_URL is no address: {e}.")))?;
        bot = bot.set_api_url(url);
    }
    // The same token stops the desk and the chats: at its end the front end waits for what it began, and tells the outcomes.
    let ran = telegram::run(bot, parts.token, desk.clone(), history, now, parts.shutdown, parts.activity).await;
    if tokio::time::timeout(FINISH_LIMIT, desk.finish()).await.is_err() {
        tracing::error!("an operation did not end in time; the next start says how far it came");
    }
    pruning.abort();
    drop(lock);
    ran.map_err(|error| match error {
        TelegramError::WrongToken(_) => AppError::Setting(error.to_string()),
        TelegramError::History(_) => AppError::Failed(error.to_string()),
    })
}
