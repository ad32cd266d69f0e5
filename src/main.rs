//! The program: arguments, logging, wiring; nothing else.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use dockmaster::app::{self, AppError, Parts};
use dockmaster::domain::project::Configuration;
use dockmaster::domain::request::Kind;
use dockmaster::settings::{Arguments, Command, PlanArguments, RunArguments, TryArguments, token};
use dockmaster::trial::{self, Trial};
use dockmaster::{config, console, sandbox, telegram};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return ended(Err(AppError::Failed(format!("No threads can be had: {error}.")))),
    };
    runtime.block_on(async {
        match arguments.command {
            Command::Run(arguments) => ended(run(arguments).await),
            Command::Try(arguments) => ended(try_it(arguments).await),
            Command::Deploy(asked) => ended(plan(Kind::Deploy, asked.project, None, asked.plan).await),
            Command::Rollback(asked) => ended(plan(Kind::Rollback, asked.project, asked.release, asked.plan).await),
            Command::Check(arguments) => match console::check::check(&arguments.config, arguments.json, &mut std::io::stdout()) {
                Ok(code) => ExitCode::from(code),
                Err(error) => ended(Err(AppError::Failed(format!("Nothing can be printed: {error}.")))),
            },
            Command::Schema => {
                let printed = writeln!(std::io::stdout(), "{}", config::schema::schema());
                ended(printed.map_err(|e| AppError::Failed(format!("Nothing can be printed: {e}."))))
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
    if variable("DOCKMASTER_LOG").as_deref() == Some("json") {
        builder.json().init();
    } else {
        builder.with_target(false).init();
    }
}

/// Cancelled by SIGTERM or SIGINT.
fn shutdown_on_signals() -> Result<CancellationToken, AppError> {
    let failed = |e| AppError::Failed(format!("Signals cannot be heard: {e}."));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to stop; a running step is finished first, a second signal ends at once");
        token.cancel();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::warn!("asked twice: what runs is cut off; the next start ends what is left of it and tells the chat");
        std::process::exit(1);
    });
    Ok(shutdown)
}

/// Reads `projects.json`.
fn configured(path: &Path) -> Result<Configuration, AppError> {
    let checked = config::read(path).map_err(|e| {
        AppError::Setting(format!("{e}; write one after projects.example.json and name it with --config or DOCKMASTER_CONFIG."))
    })?;
    for warning in &checked.warnings {
        tracing::warn!("{}: {warning}", path.display());
    }
    checked.configuration.ok_or_else(|| {
        let problems = checked.problems.iter().map(|p| format!("\n  {p}")).collect::<String>();
        AppError::Setting(format!("{} has problems:{problems}", path.display()))
    })
}

async fn run(arguments: RunArguments) -> Result<(), AppError> {
    start_logging("info");
    let token = token(variable).map_err(|e| AppError::Setting(e.to_string()))?;
    let parts = Parts {
        configuration: configured(&arguments.config)?,
        token,
        api_url: variable("TELOXIDE_API_URL"),
        docker_host: variable("DOCKER_HOST"),
        data: arguments.data,
        shutdown: shutdown_on_signals()?,
        activity: telegram::Activity::default(),
    };
    app::run(parts).await
}

async fn plan(kind: Kind, project: Option<String>, release: Option<i64>, arguments: PlanArguments) -> Result<(), AppError> {
    if !arguments.dry_run {
        return Err(AppError::Setting(console::plan::not_yet(kind)));
    }
    start_logging("warn");
    let configuration = configured(&arguments.config)?;
    let request = console::plan::request(&configuration, kind, project.as_deref(), release, &arguments.with).map_err(AppError::Setting)?;
    let stopping = shutdown_on_signals()?;
    let planner = app::planner(configuration, variable("DOCKER_HOST"), arguments.data, stopping).await?;
    let planned = console::plan::plan(&planner.desk, &request).await.map_err(AppError::Failed)?;
    let printed = planned.print(arguments.json, &mut std::io::stdout(), &mut std::io::stderr());
    printed.map_err(|e| AppError::Failed(format!("Nothing can be printed: {e}.")))
}

async fn try_it(arguments: TryArguments) -> Result<(), AppError> {
    start_logging("warn");
    let trial = Trial { data: arguments.data, port: arguments.port, send: arguments.send, docker_host: variable("DOCKER_HOST") };
    trial::run(trial, &mut std::io::stdout(), shutdown_on_signals()?).await
}
