//! The program: arguments, logging, wiring; nothing else.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use dockmaster::app::{self, AppError, Finish, Given, Parts};
use dockmaster::engine::docker;
use dockmaster::engine::host::keeper;
use dockmaster::settings::{Arguments, Command, ConfigCommand, MoveArguments, RunArguments, TerminalCommand, TryArguments};
use dockmaster::telegram::BotToken;
use dockmaster::trial::{self, Trial};
use dockmaster::{config, console, sandbox, supervisor, telegram, terminal};
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;

/// The system's allocator keeps what many threads have freed; this one gives it back (docs/ARCHITECTURE.md).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

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
    let exit = runtime.block_on(begin(arguments.command));
    // Not longer: a thread that waits for a file system that never answers would keep the program.
    runtime.shutdown_timeout(THREADS_END);
    exit
}

async fn begin(command: Command) -> ExitCode {
    match command {
        Command::Run(arguments) => ended(run(arguments).await),
        Command::Try(arguments) => ended(try_it(arguments).await),
        Command::Terminal(command) => terminal(command).await.unwrap_or_else(|error| ended(Err(error))),
        Command::Config(ConfigCommand::Ask(ask)) => terminal(TerminalCommand::Config(ask)).await.unwrap_or_else(|error| ended(Err(error))),
        Command::Config(ConfigCommand::Selftest { json, config }) => {
            start_logging("off");
            let tested = async {
                terminal::selftest(&Given { path: config, hot: hot(), program: None }, json, shutdown_on_signals(LEFT, Hangup::Ends)?).await
            };
            tested.await.map_or_else(|error| ended(Err(error)), |exit| ExitCode::from(exit.code()))
        }
        Command::MoveData(arguments) => ended(move_data(arguments).await),
        Command::Check(arguments) => {
            let running = app::compose_projects(variable("DOCKER_HOST").as_deref()).await;
            // A file can be checked on a machine without an engine.
            let found = app::survey(&arguments.config, variable("DOCKER_HOST")).await.unwrap_or_else(|error| {
                let _ = writeln!(std::io::stderr(), "dockmaster: the projects were not looked into: {error}");
                Vec::new()
            });
            let (against, out) = (arguments.against.as_deref(), &mut std::io::stdout());
            match console::check::check(&arguments.config, against, &running, &found, arguments.json, out) {
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
        builder.json().finish().with(filter_fn(may_be_logged)).init();
    } else {
        builder.with_target(false).finish().with(filter_fn(may_be_logged)).init();
    }
}

/// Whether something may be in the log, whatever `RUST_LOG` says: below "info" libraries print requests and answers as they
/// are, whole environments and credentials among them.
fn may_be_logged(what: &Metadata<'_>) -> bool {
    *what.level() <= Level::INFO || what.target().starts_with("dockmaster")
}

/// What is said to whoever asks twice.
const CUT_OFF: &str = "asked twice: what runs is cut off; the next start ends what is left of it and tells the chat";
const LEFT: &str = "asked twice: where a dockmaster runs, the operation goes on there; what this one did itself is cut off, and the next start puts it right";

const MOVE_LEFT: &str = "asked twice: the move is cut off; all is where it was, and what was copied is taken away by the next one";

/// How long threads that still work on files may take at the end.
const THREADS_END: Duration = Duration::from_secs(2);
/// How long the runtime may run nothing after it was asked to stop, before it is taken for stuck.
const STUCK: Duration = Duration::from_secs(10);
/// How often that is tried.
const STUCK_CHECK: Duration = Duration::from_secs(1);
/// How long a clean end may take: twice as long as operations may.
const END_LIMIT: Duration = Duration::from_secs(2 * 3_600);

/// What SIGHUP means: that a terminal is closed, or for a dockmaster that runs, as for other daemons, to read its configuration.
enum Hangup {
    Ends,
    Reloads(Arc<Notify>),
}

/// Cancelled by SIGTERM or SIGINT, and by SIGHUP where that ends it and is not ignored (`nohup`). A second one ends at once.
/// Signals are heard on a thread of their own: they count whatever holds up the threads of the runtime.
fn shutdown_on_signals(twice: &'static str, on_hangup: Hangup) -> Result<CancellationToken, AppError> {
    let failed = |e| AppError::Failed(format!("Signals cannot be heard: {e}."));
    let (shutdown, work) = (CancellationToken::new(), Handle::current());
    let (token, (heard, ready)) = (shutdown.clone(), std::sync::mpsc::channel());
    let listen = move || {
        let own = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(own) => own,
            Err(error) => return drop(heard.send(Err(error))),
        };
        own.block_on(async {
            match Signals::new(on_hangup) {
                Ok(signals) => {
                    // Whoever waits for it is there until then.
                    let _ = heard.send(Ok(()));
                    signals.follow(twice, token, work).await;
                }
                Err(error) => drop(heard.send(Err(error))),
            }
        });
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(listen).map_err(failed)?;
    ready.recv().map_err(|e| failed(std::io::Error::other(e)))?.map_err(failed)?;
    Ok(shutdown)
}

/// The signals that end the program, or have it read its configuration.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    fn new(on_hangup: Hangup) -> std::io::Result<Self> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut hangup = if ignores_hangup() { None } else { Some(signal(SignalKind::hangup())?) };
        if let Hangup::Reloads(reload) = on_hangup
            && let Some(mut hangup) = hangup.take()
        {
            tokio::spawn(async move {
                while hangup.recv().await.is_some() {
                    reload.notify_one();
                }
            });
        }
        Ok(Self { terminate, interrupt, hangup })
    }

    /// Waits for one that ends the program.
    async fn asked(&mut self) {
        let hung_up = async {
            match &mut self.hangup {
                Some(hangup) => drop(hangup.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = hung_up => {}
        }
    }

    /// Cancels at the first, ends the process at the second, and where the runtime `work` cannot end by itself.
    async fn follow(mut self, twice: &'static str, shutdown: CancellationToken, work: Handle) {
        self.asked().await;
        shutdown.cancel();
        tracing::info!("asked to stop; a running step is finished first, a second signal ends at once");
        let stuck = async {
            loop {
                tokio::time::sleep(STUCK_CHECK).await;
                // An error means that it has ended already, and the process is about to.
                if tokio::time::timeout(STUCK, work.spawn(async {})).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = self.asked() => tracing::warn!("{twice}"),
            () = stuck => tracing::error!("nothing runs any more, so that it cannot end by itself: {twice}"),
            () = tokio::time::sleep(END_LIMIT) => tracing::error!("it did not end in time: {twice}"),
        }
        std::process::exit(1);
    }
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
