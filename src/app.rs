//! Everything assembled once.

mod finish;
mod held;
mod house;
mod moving;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use finish::wait_for_helper;
pub use finish::{Finish, finish};
use held::hold_patiently;
pub use held::{hold, hold_for_command, settled};
pub use house::{Given, House, Reader, survey};
use moving::wait_for_move;
pub use moving::{Done, Move, move_data};
use secrecy::ExposeSecret;
use teloxide::Bot;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::config::ComposeProjects;
use crate::domain::Millis;
use crate::domain::access::Actor;
use crate::domain::health::Part;
use crate::domain::outcome::{Outcome, Verdict};
use crate::domain::request::{Request, Target};
use crate::domain::snapshot::Cause;
use crate::engine::docker::{self, Docker, EngineError};
use crate::operations::Refusal;
use crate::operations::keeper::Keeper;
use crate::telegram::{self, Activity, BotToken, Connection, Pace, TelegramError};

/// How long a check of the configuration waits for the engine.
const CHECK_LIMIT: Duration = Duration::from_secs(3);

/// What an app is assembled from.
#[derive(Debug)]
pub struct Parts {
    /// Where the configuration is.
    pub given: Given,
    /// The bot's token.
    pub token: BotToken,
    /// Where the Bot API is; Telegram's own unless told.
    pub api_url: Option<String>,
    /// How fast that takes messages.
    pub pace: Pace,
    /// Where the engine is (`DOCKER_HOST`); the usual socket unless told.
    pub docker_host: Option<String>,
    /// The data directory.
    pub data: PathBuf,
    /// Cancelled to end it all.
    pub shutdown: CancellationToken,
    /// What is going on in the chats.
    pub activity: Activity,
    /// Notified to have the configuration read.
    pub reload: Arc<Notify>,
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
    let docker = engine_later(host)?;
    docker.ping().await.map_err(|e| no_engine(host, &e))?;
    Ok(docker)
}

/// The engine, which may be away: whoever needs it says so, and it may come.
///
/// # Errors
/// Its address cannot be used.
fn engine_later(host: Option<&str>) -> Result<Docker, AppError> {
    Docker::at(host).map_err(|e| no_engine(host, &e))
}

/// The compose projects that have containers on the engine, for a check of the configuration; none if no engine answers in time.
pub async fn compose_projects(host: Option<&str>) -> ComposeProjects {
    let Ok(docker) = Docker::at(host) else { return ComposeProjects::new() };
    let listed = tokio::time::timeout(CHECK_LIMIT, docker.compose_projects()).await;
    listed.ok().and_then(Result::ok).unwrap_or_default()
}

fn no_engine(host: Option<&str>, error: &EngineError) -> AppError {
    let place = host.unwrap_or(docker::DEFAULT_HOST);
    if matches!(error, EngineError::TooOld(_) | EngineError::Unreadable(_)) {
        return AppError::Setting(format!("The Docker engine at {place} cannot be used: {error}."));
    }
    AppError::Setting(format!(
        "No Docker engine answers at {place} ({error}): install one (Debian: apt install docker.io), start it, and see that this user may use its socket, or name another with DOCKER_HOST."
    ))
}

/// Starts every service of every project, as somebody at a terminal would.
///
/// # Errors
/// It cannot begin, or something did not come up.
pub async fn start_all(configuration: &Path, docker_host: Option<String>, data: &Path) -> Result<(), AppError> {
    let Some(held) = hold_for_command(data)? else { return Err(AppError::Failed(format!("{} is in use.", data.display()))) };
    let house = House::open(held, Given::once(configuration), docker_host, CancellationToken::new()).await?;
    let started = async {
        for project in house.desk.configuration().enabled() {
            let request = Request::Start { target: Target { project: project.name.clone(), service: None }, force: false };
            let unstarted = |refusal: Refusal| AppError::Failed(refusal.words(now()).to_plain());
            let plan = house.desk.plan(&Actor::Console, &request).await.map_err(unstarted)?;
            let mut running = house.desk.submit(&Actor::Console, &request, &plan.digest, None).await.map_err(unstarted)?;
            let ended = running.view.wait_for(|view| view.ended.is_some()).await.ok().and_then(|view| view.ended.clone());
            match ended.map(|(_, outcome)| outcome) {
                Some(outcome) if outcome.verdict == Verdict::Succeeded => {}
                Some(Outcome { failure: Some(failure), .. }) => return Err(AppError::Failed(failure.to_string())),
                _ => return Err(AppError::Failed(format!("{} did not come up.", project.name))),
            }
        }
        Ok(())
    };
    let started = started.await;
    house.close(&CancellationToken::new()).await;
    started
}

/// Ends what waits for it without waiting.
fn at_once() -> CancellationToken {
    let token = CancellationToken::new();
    token.cancel();
    token
}

/// Runs until `shutdown` is cancelled, then ends cleanly: nothing new begins, what runs finishes its step, the chats are told.
///
/// # Errors
/// It cannot start, or Telegram refuses the token.
pub async fn run(parts: Parts) -> Result<(), AppError> {
    parts.given.is_enough(&settled(&parts.data)?).await?;
    loop {
        // Ended with the program, or earlier by an operation that replaces dockmaster itself, or by a move of its data.
        let life = parts.shutdown.child_token();
        let ended = live(&parts, life).await?;
        if parts.shutdown.is_cancelled() {
            return Ok(());
        }
        let waiting = || parts.activity.pulse().begins();
        match ended {
            Ended::Over => {}
            Ended::HandedOver(data) => {
                tracing::info!("waiting to be replaced by a helper");
                wait_for_helper(&data, &parts.shutdown, waiting).await;
            }
            Ended::Aside(data) => {
                tracing::info!("waiting until the data is moved");
                wait_for_move(&data, &parts.shutdown, waiting).await;
            }
        }
        if parts.shutdown.is_cancelled() {
            return Ok(());
        }
    }
}

/// Has the configuration read whenever that is asked for from outside. What comes of it is in the log, and told to the admins.
async fn reload(keeper: Keeper, asked: Arc<Notify>) {
    loop {
        asked.notified().await;
        tracing::info!("asked by a signal to read the configuration");
        drop(keeper.reload(Cause::Asked { who: "a signal".into() }, None).await);
    }
}

/// How a life ended.
enum Ended {
    /// With the program.
    Over,
    /// A helper goes on in the data directory.
    HandedOver(PathBuf),
    /// The data directory is moved.
    Aside(PathBuf),
}

async fn live(parts: &Parts, life: CancellationToken) -> Result<Ended, AppError> {
    let Some(held) = hold_patiently(&parts.data, &parts.given, &life, || parts.activity.pulse().begins()).await? else {
        return Ok(Ended::Over);
    };
    let data = held.data.clone();
    let house = House::open(held, parts.given.clone(), parts.docker_host.clone(), life.clone()).await?;
    if !house.composes {
        tracing::warn!("Docker Compose v2 is not installed: compose projects can be watched and restarted, not deployed");
    }
    let token = parts.token.now();
    let mut bot = Bot::new(token.secret.expose_secret());
    if let Some(url) = &parts.api_url {
        let url = url.parse().map_err(|e| AppError::Setting(format!("TELOXIDE_API_URL is no address: {e}.")))?;
        bot = bot.set_api_url(url);
    }
    house.desk.vitals().expect(Part::Telegram, now());
    let (desk, history) = (house.desk.clone(), house.history.clone());
    let _reloading = house.desk.keeper().cloned().map(|keeper| AbortOnDropHandle::new(tokio::spawn(reload(keeper, parts.reload.clone()))));
    let watched = house.desk.clone();
    let _watching = AbortOnDropHandle::new(tokio::spawn(async move { watched.watch_space().await }));
    let _logging = AbortOnDropHandle::new(tokio::spawn(house.desk.clone().follow_output()));
    let _tidying = AbortOnDropHandle::new(tokio::spawn(house.desk.clone().watch_leftovers()));
    // The same token stops the desk and the chats: at its end the front end waits for what it began, and tells the outcomes.
    let ran = telegram::run(Connection { bot, token, pace: parts.pace }, desk, history, now, life, parts.activity.clone()).await;
    let aside = house.desk.is_aside();
    // Not where another dockmaster goes on with them: a helper, or this one where its data is then.
    match ran.is_ok() && !aside && parts.shutdown.is_cancelled() {
        true => house.close_for_good(&at_once()).await,
        false => house.close(&at_once()).await,
    }
    match ran {
        Ok(()) if aside => Ok(Ended::Aside(data)),
        Ok(()) => Ok(Ended::HandedOver(data)),
        Err(error @ TelegramError::WrongToken(_)) => Err(AppError::Setting(error.to_string())),
        Err(error @ TelegramError::History(_)) => Err(AppError::Failed(error.to_string())),
    }
}
