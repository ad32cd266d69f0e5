//! The commands of a terminal, put together with whoever does the work: the dockmaster that runs on the data directory,
//! or, where none does, this process alone.

pub mod moving;

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::{self, AppError, Given, House, Reader};
use crate::console::{Client, Consent, Console, Exit, Size, Stop, Typed, harmless};
use crate::domain::project::Strategy;
use crate::domain::request::Kind;
use crate::domain::text::span;
use crate::domain::words;
use crate::http::dto::LogAsk;
use crate::http::socket;
use crate::settings::{ConfigAsk, How, LogsArguments, Place, TerminalCommand, With};

/// How long it is waited for a dockmaster that has the data directory and does not answer: it may just be starting.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether it does.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// To look.
    Eyes,
    /// To do something.
    Hands,
    /// The dockmaster that runs.
    Company,
}

/// Who does the work.
enum Worker {
    Running,
    Reader(Reader),
    House(Box<House>),
}

/// Runs a command, and says how it ended.
///
/// # Errors
/// There is nobody who could do it.
pub async fn run(command: TerminalCommand, docker_host: Option<String>, interrupted: CancellationToken) -> Result<Exit, AppError> {
    let (place, needs) = place(&command);
    let follows = match &command {
        TerminalCommand::Logs(arguments) => arguments.follow,
        TerminalCommand::Config(ConfigAsk::Watch { .. }) => true,
        _ => false,
    };
    let data = app::settled(&place.data)?;
    let (worker, client) = reach(&place, &data, needs, docker_host, &interrupted).await?;
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let console = Console { client, out: &mut out, err: &mut err, clock: app::now, json: place.json, size: size() };
    let ended = tokio::select! {
        ended = carry_out(command, console, &interrupted) => ended,
        // Whoever only looks may stop at any time; an operation asks for a cancel, and a log that is followed ends well.
        () = interrupted.cancelled(), if needs != Needs::Hands && !follows => Ok(Exit::Cancelled),
    };
    let ended = match ended {
        // Whoever read it has read enough: `dockmaster logs | head`.
        Err(Stop::Print(error)) if error.kind() == io::ErrorKind::BrokenPipe && needs != Needs::Hands => Ok(Exit::Done),
        Err(Stop::Print(error)) => Err(AppError::Failed(format!("Nothing can be printed: {error}."))),
        Err(Stop::Said(exit, said)) => {
            // Standard error may be closed; there is nobody left to tell then.
            let _ = writeln!(err, "dockmaster: {}", harmless(&said));
            Ok(exit)
        }
        Ok(exit) => Ok(exit),
    };
    match worker {
        Worker::Running => {}
        Worker::Reader(reader) => reader.close().await,
        Worker::House(house) => {
            if house.desk.is_busy() {
                let _ = writeln!(err, "dockmaster: waiting for what others began through this; Ctrl-C ends that after its running step");
            }
            house.close(&interrupted).await;
        }
    }
    ended
}

/// Tries whether changes of the configuration come into force on this machine. Needs no dockmaster.
///
/// # Errors
/// There is no place for that, or nothing can be printed.
pub async fn selftest(given: &Given, json: bool, interrupted: CancellationToken) -> Result<Exit, AppError> {
    let test = tokio::select! {
        test = given.selftest() => test?,
        () = interrupted.cancelled() => return Ok(Exit::Cancelled),
    };
    let said = if json { serde_json::to_string_pretty(&test).unwrap_or_default() } else { words::selftest(&test).to_plain() };
    let printed = writeln!(io::stdout(), "{}", harmless(&said));
    printed.map_err(|error| AppError::Failed(format!("Nothing can be printed: {error}.")))?;
    Ok(if test.passed() { Exit::Done } else { Exit::Failed })
}

fn place(command: &TerminalCommand) -> (Place, Needs) {
    use ConfigAsk as C;
    use TerminalCommand as T;
    let operation = |how: &How| (how.place.clone(), if how.dry_run { Needs::Eyes } else { Needs::Hands });
    match command {
        T::Status { place, .. } | T::Releases { place, .. } | T::History { place, .. } | T::Volumes { place, .. } => {
            (place.clone(), Needs::Eyes)
        }
        T::Logs(arguments) => (arguments.place.clone(), Needs::Eyes),
        T::Restart { how, .. }
        | T::Start { how, .. }
        | T::Stop { how, .. }
        | T::Deploy { how, .. }
        | T::Rollback { how, .. }
        | T::Tidy { how, .. } => operation(how),
        T::Config(C::Rollback { how, .. }) => operation(how),
        T::Cancel { place, .. } | T::Health { place } => (place.clone(), Needs::Company),
        T::Config(C::History { place } | C::Diff { place, .. }) => (place.clone(), Needs::Eyes),
        T::Config(C::Status { place } | C::Reload { place } | C::Watch { place } | C::Snapshot { place, .. }) => {
            (place.clone(), Needs::Company)
        }
    }
}

/// Finds who does the work.
async fn reach(
    place: &Place,
    data: &Path,
    needs: Needs,
    docker_host: Option<String>,
    interrupted: &CancellationToken,
) -> Result<(Worker, Client), AppError> {
    if answers(data).await? {
        return Ok((Worker::Running, client(data)?));
    }
    match needs {
        Needs::Company => Err(AppError::Failed(format!("No dockmaster runs on {}.", data.display()))),
        Needs::Eyes => {
            let reader = Reader::open(&Given::once(&place.config), docker_host, data.to_owned(), interrupted.clone()).await?;
            let client = client(reader.directory())?;
            Ok((Worker::Reader(reader), client))
        }
        Needs::Hands => alone(place, data, docker_host, interrupted).await,
    }
}

/// Works alone, unless somebody who has the data directory comes to answer meanwhile.
async fn alone(
    place: &Place,
    data: &Path,
    docker_host: Option<String>,
    interrupted: &CancellationToken,
) -> Result<(Worker, Client), AppError> {
    let until = Instant::now() + ANSWER_PATIENCE;
    loop {
        if let Some(held) = app::hold_for_command(&place.data)? {
            // Not ended by Ctrl-C: that asks for a cancel, which leaves something whole.
            let house = House::open(held, Given::once(&place.config), docker_host, CancellationToken::new()).await?;
            if house.desk.is_busy() {
                tracing::warn!("what an earlier run left is put right first");
                tokio::select! {
                    () = house.desk.at_rest() => {}
                    () = interrupted.cancelled() => {}
                }
            }
            return Ok((Worker::House(Box::new(house)), client(data)?));
        }
        if answers(data).await? {
            return Ok((Worker::Running, client(data)?));
        }
        if interrupted.is_cancelled() || Instant::now() >= until {
            return Err(AppError::Failed(format!("Another dockmaster has {} and does not answer.", data.display())));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Whether a dockmaster answers in a data directory.
async fn answers(data: &Path) -> Result<bool, AppError> {
    let unknown = |e: io::Error| AppError::Failed(format!("Whether a dockmaster runs on {} cannot be told: {e}.", data.display()));
    match socket::Place::below(data) {
        Ok(place) => place.is_answered().await.map_err(unknown),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(unknown(error)),
    }
}

fn client(directory: &Path) -> Result<Client, AppError> {
    Client::of(directory).map_err(|e| AppError::Failed(format!("The control socket in {} cannot be used: {e}.", directory.display())))
}

async fn carry_out(command: TerminalCommand, mut console: Console<'_>, interrupted: &CancellationToken) -> Result<Exit, Stop> {
    use TerminalCommand as T;
    let json = console.json;
    let typed = |target: Option<String>| Typed { target, ..Typed::default() };
    let released = |with: With, target: Option<String>| {
        let With { with, overwrite, new_volume } = with;
        Typed { with, overwrite, new_volumes: new_volume, ..typed(target) }
    };
    let (kind, typed, how) = match command {
        T::Status { project, all, .. } => return console.status(project.as_deref(), all).await,
        T::Logs(arguments) => return logs(&mut console, arguments, interrupted).await,
        T::Releases { project, .. } => return console.releases(project.as_deref()).await,
        T::History { project, .. } => return console.history(project.as_deref()).await,
        T::Volumes { project, .. } => return console.volumes(project.as_deref()).await,
        T::Cancel { project, .. } => return console.cancel(project.as_deref()).await,
        T::Health { .. } => return console.health().await,
        T::Config(command) => return configuration(command, &mut console, interrupted).await,
        T::Start { target, force, how } => (Kind::Start, Typed { force: force.force, ..typed(target.target) }, how),
        T::Stop { target, how } => (Kind::Stop, typed(target.target), how),
        T::Restart { target, strategy, force, how } => {
            let strategy = strategy.and_then(|word| Strategy::ALL.into_iter().find(|s| s.word() == word));
            (Kind::Restart, Typed { strategy, force: force.force, ..typed(target.target) }, how)
        }
        T::Deploy { project, with, force, how } => (Kind::Deploy, Typed { force, ..released(with, project) }, how),
        T::Tidy { project, how } => (Kind::Tidy, typed(project), how),
        T::Rollback { project, release, with, force, how } => (Kind::Rollback, Typed { release, force, ..released(with, project) }, how),
    };
    console.operate(kind, &typed, consent(&how, json), interrupted).await
}

async fn configuration(command: ConfigAsk, console: &mut Console<'_>, interrupted: &CancellationToken) -> Result<Exit, Stop> {
    match command {
        ConfigAsk::Status { .. } => console.configuration().await,
        ConfigAsk::History { .. } => console.versions().await,
        ConfigAsk::Diff { version, show, .. } => console.version_diff(version, show).await,
        ConfigAsk::Rollback { version, how } => {
            let consent = consent(&how, console.json);
            console.version_rollback(version, consent, interrupted).await
        }
        ConfigAsk::Snapshot { why, .. } => console.keep_version(why).await,
        ConfigAsk::Reload { .. } => console.reload().await,
        ConfigAsk::Watch { .. } => console.watch_configuration(interrupted).await,
    }
}

async fn logs(console: &mut Console<'_>, arguments: LogsArguments, interrupted: &CancellationToken) -> Result<Exit, Stop> {
    let since = match arguments.since {
        None => None,
        Some(typed) => {
            let unclear = || Stop::Said(Exit::Usage, format!("--since {typed} is no time span; 90s, 10m, 2h30m and 1d are."));
            Some(span(&typed).ok_or_else(unclear)?.as_secs())
        }
    };
    let ask =
        LogAsk { service: None, lines: Some(arguments.lines), grep: arguments.grep, since, op: arguments.op, follow: arguments.follow };
    console.logs(arguments.target.target.as_deref(), ask, interrupted).await
}

fn consent(how: &How, json: bool) -> Consent {
    // The question goes to standard error, the answer comes from standard input.
    let asked = io::stdin().is_terminal() && io::stderr().is_terminal() && !json;
    match (how.dry_run, how.yes) {
        (true, _) => Consent::DryRun,
        (false, true) => Consent::Given,
        (false, false) if asked => Consent::Asked,
        (false, false) => Consent::Nobody,
    }
}

/// How big the terminal is.
fn size() -> Option<Size> {
    let out = io::stdout();
    let size = if out.is_terminal() { rustix::termios::tcgetwinsize(&out).ok() } else { None };
    let size = size.map(|size| Size { columns: usize::from(size.ws_col), rows: usize::from(size.ws_row) });
    size.filter(|size| size.columns > 0 && size.rows > 0)
}
