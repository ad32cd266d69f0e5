//! The program: arguments, logging, wiring; nothing else.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser};
use dockmaster::app::{self, AppError, Finish, Given, Parts};
use dockmaster::engine::docker;
use dockmaster::engine::host::keeper;
use dockmaster::settings::{Arguments, Command, ConfigCommand, MoveArguments, RunArguments, TerminalCommand, TryArguments};
use dockmaster::telegram::BotToken;
use dockmaster::trial::{self, Trial};
use dockmaster::{config, console, sandbox, supervisor, telegram, terminal};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // There is one of these to a process, and for as long as that runs: it has one thread, and as little memory as can be.
    let mut builder = match arguments.command {
        Command::KeepProcess { .. } => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return ended(Err(AppError::Failed(format!("No threads can be had: {error}.")))),
    };
    runtime.block_on(async {
        match arguments.command {
            Command::Run(arguments) => ended(run(arguments).await),
            Command::Try(arguments) => ended(try_it(arguments).await),
            Command::Terminal(command) => terminal(command).await.unwrap_or_else(|error| ended(Err(error))),
            Command::Config(ConfigCommand::Ask(ask)) => {
                terminal(TerminalCommand::Config(ask)).await.unwrap_or_else(|error| ended(Err(error)))
            }
            Command::Config(ConfigCommand::Selftest { json, config }) => {
                start_logging("off");
                let tested = async {
                    terminal::selftest(&Given { path: config, hot: hot(), program: None }, json, shutdown_on_signals(LEFT, Hangup::Ends)?)
                        .await
                };
                tested.await.map_or_else(|error| ended(Err(error)), |exit| ExitCode::from(exit.code()))
            }
            Command::MoveData(arguments) => ended(move_data(arguments).await),
            Command::Check(arguments) => {
                let running = app::compose_projects(variable("DOCKER_HOST").as_deref()).await;
                let (against, out) = (arguments.against.as_deref(), &mut std::io::stdout());
                match console::check::check(&arguments.config, against, &running, arguments.json, out) {
                    Ok(code) => ExitCode::from(code),
                    Err(error) => ended(Err(AppError::Failed(format!("Nothing can be printed: {error}.")))),
                }
            }
            Command::Schema { markdown } => {
                let text = if markdown { config::reference::reference() } else { config::schema::schema() };
                ended(print(|out| writeln!(out, "{text}")))
            }
            Command::Completions { shell } => ended(print(|mut out| {
                clap_complete::generate(shell, &mut Arguments::command(), "dockmaster", &mut out);
                out.flush()
            })),
            Command::Man => ended(print(|mut out| clap_mangen::Man::new(Arguments::command()).render(&mut out))),
            Command::Finish { operation, run } => ended(finish(operation, run).await),
            Command::KeepProcess { place } => {
                ended(keeper::keep(&place, app::now).await.map_err(|why| AppError::Failed(format!("The process cannot be kept: {why}."))))
            }
            Command::SampleService { role } => {
                let served = sandbox::service::run(&role).await;
                ended(served.map_err(|e| AppError::Failed(format!("The sample's service ended: {e}."))))
            }
        }
    })
}

/// The exit code, and the one sentence on standard error where it is not 0.
fn ended(result: Result<(), AppError>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    // Standard error may be closed; there is nobody left to tell then.
    let _ = writeln!(std::io::stderr(), "dockmaster: {error}");
    ExitCode::from(if matches!(error, AppError::Setting(_)) { 2 } else { 1 })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

/// `DOCKMASTER_LOG` (`text`, `json`) says in which form, `RUST_LOG` how much.
fn start_logging(default: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    // It would print that, too, and panic where standard error is closed.
    let builder = builder.log_internal_errors(false);
    if variable("DOCKMASTER_LOG").as_deref() == Some("json") {
        builder.json().init();
    } else {
        builder.with_target(false).init();
    }
}

/// What is said to whoever asks twice.
const CUT_OFF: &str = "asked twice: what runs is cut off; the next start ends what is left of it and tells the chat";
const LEFT: &str = "asked twice: where a dockmaster runs, the operation goes on there; what this one did itself is cut off, and the next start puts it right";

const MOVE_LEFT: &str = "asked twice: the move is cut off; all is where it was, and what was copied is taken away by the next one";

/// What SIGHUP means: that a terminal is closed, or for a dockmaster that runs, as for other daemons, to read its configuration.
enum Hangup {
    Ends,
    Reloads(Arc<Notify>),
}

/// Cancelled by SIGTERM or SIGINT, and by SIGHUP where that ends it and is not ignored (`nohup`). A second one ends at once.
fn shutdown_on_signals(twice: &'static str, on_hangup: Hangup) -> Result<CancellationToken, AppError> {
    let failed = |e| AppError::Failed(format!("Signals cannot be heard: {e}."));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut hangup = if ignores_hangup() { None } else { Some(signal(SignalKind::hangup()).map_err(failed)?) };
    if let Hangup::Reloads(reload) = on_hangup
        && let Some(mut hangup) = hangup.take()
    {
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                reload.notify_one();
            }
        });
    }
    let mut asked = async move || {
        let hung_up = async {
            match &mut hangup {
                Some(hangup) => drop(hangup.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = hung_up => {}
        }
    };
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    tokio::spawn(async move {
        asked().await;
        token.cancel();
        tracing::info!("asked to stop; a running step is finished first, a second signal ends at once");
        asked().await;
        tracing::warn!("{twice}");
        std::process::exit(1);
    });
    Ok(shutdown)
}

/// Whether whoever started this wants it to outlive the terminal.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // The first bit stands for the first signal, which SIGHUP is.
    ignored.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).is_some_and(|bits| bits & 1 == 1)
}

/// Whether the configuration may be watched.
fn hot() -> bool {
    variable("DOCKMASTER_HOT_RELOAD").as_deref() != Some("0")
}

async fn run(arguments: RunArguments) -> Result<(), AppError> {
    start_logging("info");
    let token = BotToken::given(variable).map_err(|e| AppError::Setting(e.to_string()))?;
    let reload = Arc::new(Notify::new());
    let parts = Parts {
        given: Given { path: arguments.config, hot: hot(), program: None },
        token,
        api_url: variable("TELOXIDE_API_URL"),
        pace: telegram::Pace::TELEGRAM,
        docker_host: if arguments.no_docker { Some(docker::ABSENT.to_owned()) } else { variable("DOCKER_HOST") },
        data: arguments.data,
        shutdown: shutdown_on_signals(CUT_OFF, Hangup::Reloads(reload.clone()))?,
        activity: telegram::Activity::default(),
        reload,
    };
    let supervised = supervisor::supervise(parts.activity.pulse().clone(), parts.shutdown.clone());
    let ran = app::run(parts).await;
    if let Some(supervised) = supervised {
        supervised.abort();
    }
    ran
}

async fn finish(operation: i64, arguments: RunArguments) -> Result<(), AppError> {
    start_logging("info");
    let finish = Finish {
        given: Given::once(arguments.config),
        docker_host: variable("DOCKER_HOST"),
        data: arguments.data,
        operation,
        shutdown: shutdown_on_signals(CUT_OFF, Hangup::Ends)?,
    };
    app::finish(finish).await
}

async fn terminal(command: TerminalCommand) -> Result<ExitCode, AppError> {
    start_logging("warn");
    let interrupted = shutdown_on_signals(LEFT, Hangup::Ends)?;
    terminal::run(command, variable("DOCKER_HOST"), interrupted).await.map(|exit| ExitCode::from(exit.code()))
}

async fn move_data(arguments: MoveArguments) -> Result<(), AppError> {
    start_logging("warn");
    let interrupted = shutdown_on_signals(MOVE_LEFT, Hangup::Ends)?;
    let docker_config = variable("DOCKER_CONFIG").map(PathBuf::from);
    terminal::moving::move_data(arguments, docker_config.as_deref(), interrupted).await
}

fn print(write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<(), AppError> {
    write(&mut std::io::stdout()).map_err(|e| AppError::Failed(format!("Nothing can be printed: {e}.")))
}

async fn try_it(arguments: TryArguments) -> Result<(), AppError> {
    start_logging("warn");
    let trial = Trial { data: arguments.data, port: arguments.port, send: arguments.send, docker_host: variable("DOCKER_HOST") };
    trial::run(trial, &mut std::io::stdout(), shutdown_on_signals(CUT_OFF, Hangup::Ends)?).await
}
