//! `try`: the sample project, the embedded Bot API server with its chat page, and the very same bot as in production.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::{self, AppError, Given, Parts};
use crate::engine::compose::Compose;
use crate::engine::docker;
use crate::engine::host::{Host, HostError};
use crate::process::{self, Invocation};
use crate::sandbox::bot_api::BotApi;
use crate::sandbox::sample::Sample;
use crate::sandbox::transcript::{self, Seen};
use crate::telegram::{Activity, BotToken, Pace};

/// The token that the embedded server takes.
const TOKEN: &str = "1000000001:try-needs-no-secret-token";
/// Who tries it: the numeric id of the person and of their private chat.
const PERSON: i64 = 1_000;
/// Where the bot keeps its data, below the trial's.
const BOT: &str = "bot";
/// How long the sample may take to come up the first time: two small images.
const UP_LIMIT: Duration = Duration::from_secs(180);
/// How long the bot may take to say all that it has to say about one text.
const ANSWER_LIMIT: Duration = Duration::from_secs(300);

/// What `try` is told.
#[derive(Debug)]
pub struct Trial {
    /// Where the sample is written.
    pub data: PathBuf,
    /// The port of the chat page; 0 for any.
    pub port: u16,
    /// Texts to send; none for a chat in the browser.
    pub send: Vec<String>,
    /// Where the engine is.
    pub docker_host: Option<String>,
}

/// Runs it. Prints the page's address, or the conversation. The sample's containers are taken down at the end.
///
/// # Errors
/// Something is missing, or (with texts to send) an operation failed.
pub async fn run(trial: Trial, out: &mut impl Write, shutdown: CancellationToken) -> Result<(), AppError> {
    let tool = tool(&trial).await;
    if let Err(why) = &tool {
        say(out, &format!("{why}\nSo the sample runs as processes of this machine."))?;
    } else if trial.send.is_empty() {
        say(out, "Bringing up a small sample project; the first time this takes half a minute.")?;
    }
    // The sample is written anew: not below the feet of another trial.
    let _lock = app::hold(&trial.data)?;
    end_processes(&trial.data.join(BOT)).await?;
    forget(&trial.data.join(BOT))?;
    let port = async || free_port().await.map_err(|e| failed("No port is free for the sample", e));
    let (root, unwritten) = (trial.data.join("sample"), |e| failed("The sample cannot be written", e));
    let Ok(tool) = tool else {
        let sample = Sample::write_processes(&root, port().await?, port().await?).map_err(unwritten)?;
        let trial = Trial { docker_host: Some(docker::ABSENT.to_owned()), ..trial };
        let result = match app::start_all(&configure(&trial, &sample)?, trial.docker_host.clone(), &trial.data.join(BOT)).await {
            Ok(()) => converse(&trial, &sample, out, shutdown).await,
            Err(error) => Err(error),
        };
        end_processes(&trial.data.join(BOT)).await?;
        return result;
    };
    let sample = Sample::write(&root, port().await?).map_err(unwritten)?;
    let result = match bring_up(&tool, &sample, &shutdown).await {
        Ok(()) => converse(&trial, &sample, out, shutdown).await,
        // Whoever ended it knows why it did not come up.
        Err(_) if shutdown.is_cancelled() => Ok(()),
        Err(error) => Err(error),
    };
    take_down(&tool, &sample).await;
    result
}

fn say(out: &mut impl Write, line: &str) -> Result<(), AppError> {
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|e| failed("Nothing can be printed", e))
}

/// What brings containers up; or in a sentence why there is nothing.
async fn tool(trial: &Trial) -> Result<Tool, String> {
    if let Err(error) = app::engine(trial.docker_host.as_deref()).await {
        return Err(error.to_string());
    }
    let compose =
        Compose::find(&std::env::var_os("PATH").unwrap_or_default(), &crate::process::owned_mark("try")).await.ok_or_else(|| {
            "Docker Compose v2 is not installed: install it (Debian 13: apt install docker-compose; Ubuntu: docker-compose-v2).".to_owned()
        })?;
    Ok(Tool { compose, docker_host: trial.docker_host.clone().unwrap_or_else(|| docker::DEFAULT_HOST.to_owned()) })
}

/// Ends the sample's processes, also those of an earlier trial that was killed.
async fn end_processes(bot: &Path) -> Result<(), AppError> {
    let unended = |e: HostError| failed("The sample's processes cannot be ended", e);
    let program = std::env::current_exe().map_err(|e| failed("This program cannot be found", e))?;
    let host = Host::new(bot, program);
    for key in host.known_keys().map_err(unended)? {
        host.stop(&key, None).await.map_err(unended)?;
    }
    Ok(())
}

/// Compose, and the engine that it is to work on.
struct Tool {
    compose: Compose,
    docker_host: String,
}

fn failed(what: &str, why: impl std::fmt::Display) -> AppError {
    AppError::Failed(format!("{what}: {why}."))
}

/// Forgets what the bot kept of an earlier trial: its messages had the same numbers, so that new ones would be taken for
/// those, and its releases were of a sample that is gone.
fn forget(bot: &Path) -> Result<(), AppError> {
    match std::fs::remove_dir_all(bot) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("An earlier trial cannot be taken away", error)),
        _ => Ok(()),
    }
}

/// Brings the sample's first version up.
async fn bring_up(tool: &Tool, sample: &Sample, shutdown: &CancellationToken) -> Result<(), AppError> {
    // What an earlier trial left running would hold on to files that were written anew.
    take_down(tool, sample).await;
    call(tool, &sample.name, &sample.base, &["build", "--quiet"], shutdown).await?;
    call(tool, &sample.name, &sample.production, &["up", "-d", "--build", "--wait", "--quiet-pull"], shutdown).await
}

async fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0)).await?.local_addr()?.port())
}

async fn call(tool: &Tool, name: &str, directory: &Path, args: &[&str], shutdown: &CancellationToken) -> Result<(), AppError> {
    let invocation = Invocation::new(&tool.compose.program)
        .args(&tool.compose.prefix)
        .args(["--ansi", "never", "-p", name, "--project-directory"])
        .arg(directory)
        .args(args)
        .environment("DOCKER_HOST", &tool.docker_host)
        .limit(UP_LIMIT);
    match process::run(&invocation, &mut |_| {}, shutdown).await {
        Ok(finished) if finished.success() => Ok(()),
        Ok(finished) => Err(failed("The sample cannot be brought up", finished.tail.join("; "))),
        Err(error) => Err(failed("The sample cannot be brought up", error)),
    }
}

async fn take_down(tool: &Tool, sample: &Sample) {
    let args = ["down", "-v", "-t", "3"];
    if let Err(error) = call(tool, &sample.name, &sample.production, &args, &CancellationToken::new()).await {
        tracing::warn!(%error, "the sample's containers were left");
    }
}

async fn converse(trial: &Trial, sample: &Sample, out: &mut impl Write, shutdown: CancellationToken) -> Result<(), AppError> {
    let listener = TcpListener::bind(("127.0.0.1", trial.port)).await.map_err(|e| failed("The chat page cannot be served", e))?;
    let api = BotApi::start(listener, TOKEN, || app::now() / 1_000).map_err(|e| failed("The chat page cannot be served", e))?;
    api.add_user(PERSON, "You");
    let activity = Activity::default();
    let parts = Parts {
        given: Given { path: configure(trial, sample)?, hot: true, program: None },
        token: BotToken::fixed(TOKEN),
        api_url: Some(api.url()),
        pace: Pace::UNLIMITED,
        docker_host: trial.docker_host.clone(),
        data: trial.data.join(BOT),
        shutdown: shutdown.clone(),
        activity: activity.clone(),
        reload: Arc::default(),
    };
    let mut bot = tokio::spawn(app::run(parts));
    if trial.send.is_empty() {
        let page = api.page_url(PERSON).map_err(|e| failed("The chat page cannot be served", e))?;
        let said =
            writeln!(out, "Open {page} and type /docker_status. Ctrl-C ends it and takes the sample down.").and_then(|()| out.flush());
        said.map_err(|e| failed("Nothing can be printed", e))?;
        return bot.await.map_err(|e| failed("The bot died", e))?;
    }
    let told = tokio::select! {
        told = tell(&api, &activity, &trial.send, out, &shutdown) => told,
        // It cannot go on, and nobody would answer any more.
        ended = &mut bot => return ended.map_err(|e| failed("The bot died", e))?,
    };
    shutdown.cancel();
    bot.await.map_err(|e| failed("The bot died", e))??;
    told
}

/// Writes the sample's configuration, which can be changed while it is tried.
fn configure(trial: &Trial, sample: &Sample) -> Result<PathBuf, AppError> {
    let path = trial.data.join("projects.json");
    let unwritten = |e| failed("The sample's configuration cannot be written", e);
    std::fs::write(&path, sample.projects_json(PERSON).map_err(unwritten)?).map_err(unwritten)?;
    Ok(path)
}

/// Sends each text, waits until the bot has nothing left to say, and prints what is new.
async fn tell(
    api: &BotApi,
    activity: &Activity,
    texts: &[String],
    out: &mut impl Write,
    shutdown: &CancellationToken,
) -> Result<(), AppError> {
    let mut seen = Seen::default();
    let mut failures = 0;
    for text in texts {
        api.say(PERSON, PERSON, text);
        let answered = async {
            let heard = api.wait_acknowledged(ANSWER_LIMIT).await;
            activity.idle().await;
            heard
        };
        tokio::select! {
            answered = tokio::time::timeout(ANSWER_LIMIT, answered) => {
                answered.map_err(|_| failed("The bot took too long", format!("{} s for {text:?}", ANSWER_LIMIT.as_secs())))?
                    .map_err(|e| failed("The bot does not listen", e))?;
            }
            () = shutdown.cancelled() => return Ok(()),
        }
        let new = seen.take_new(&api.messages(PERSON));
        failures += new.iter().filter(|m| m.from_bot && m.text.starts_with('❌')).count();
        write!(out, "{}", transcript::render(&new)).and_then(|()| out.flush()).map_err(|e| failed("Nothing can be printed", e))?;
    }
    if failures > 0 { Err(failed("The conversation did not go well", format!("{failures} answers report a failure"))) } else { Ok(()) }
}
