//! The only place that starts processes.
//!
//! A process gets an argument vector (never a shell line), a cleared environment with a named list passed through, a
//! process group of its own, a time limit, and bounded memory for what it prints. Its group is ended on the time limit,
//! on cancellation, when the future is dropped, and once the process itself has ended: nothing that it left in the
//! background works on. What left the group ([`survivors`]) is found by a mark in its environment.
//!
//! Two kinds are there for longer: a [`Running`] one has no limit and is ended by whoever has it, and what is [`detach`]ed is to
//! outlive us.

mod detached;
mod group;
mod lines;
mod pumps;
mod running;
mod survivors;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::domain::untrusted::{SHOWN, UntrustedText};
pub use detached::{Detached, detach};
use group::Group;
use pumps::Pumps;
pub use running::{Exit, Output, Running};
pub use survivors::{Identity, MARK, end_abandoned, end_group, end_survivors, owned_mark, survivors};

/// The most that a process may write to a captured standard output.
pub const STDOUT_MAX: usize = 32 * 1024 * 1024;
/// How many of the last lines are kept to say why something failed.
pub const TAIL_LINES: usize = 40;
/// The time limit of an invocation that names none.
pub const LIMIT: Duration = Duration::from_secs(60);
/// How long a group that was asked to end may take before it is killed.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long is read on after a process ended, while something in the background holds its pipes.
const LINGER: Duration = Duration::from_secs(1);
/// How long is waited for a killed process to be gone; longer only where the kernel cannot let it go.
const GONE: Duration = Duration::from_secs(5);
/// How often is looked where nothing reports.
const POLL: Duration = Duration::from_millis(10);

/// What passes from our environment to a process. Never everything: a compose file must not resolve `${TELOXIDE_TOKEN}`.
const PASSED: [&str; 19] = [
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "DOCKER_HOST",
    "DOCKER_CONFIG",
    "XDG_RUNTIME_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// A process to start.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The program: a path, or a name that is looked up in `PATH`.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// The directory in which it starts; ours where none is given.
    pub directory: Option<PathBuf>,
    /// Variables on top of those that are passed through.
    pub environment: Vec<(OsString, OsString)>,
    /// What it reads from standard input; nothing where none is given.
    pub stdin: Option<Vec<u8>>,
    /// How long it may take.
    pub limit: Duration,
    /// What happens to its standard output.
    pub stdout: Stdout,
}

/// What happens to a process's standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdout {
    /// It is captured whole, up to [`STDOUT_MAX`].
    Captured,
    /// Its lines are reported like those of standard error, and it is not kept.
    Lines,
}

/// Whether a variable of our own environment reaches the processes that we start.
pub fn passes(name: &str) -> bool {
    PASSED.contains(&name) && std::env::var_os(name).is_some_and(|value| !value.is_empty())
}

impl Invocation {
    /// A program without arguments, with a limit of a minute.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            directory: None,
            environment: Vec::new(),
            stdin: None,
            limit: LIMIT,
            stdout: Stdout::Captured,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets the directory in which it starts.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn environment(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets what it reads from standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Sets how long it may take.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Reports the lines of its standard output like those of standard error, instead of keeping it.
    #[must_use]
    pub fn stdout_lines(mut self) -> Self {
        self.stdout = Stdout::Lines;
        self
    }

    /// The program as messages name it: without the directory.
    fn name(&self) -> String {
        self.program.file_name().unwrap_or(self.program.as_os_str()).to_string_lossy().into_owned()
    }
}

/// A process that ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Its exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output, where that was captured.
    pub stdout: Vec<u8>,
    /// The last [`TAIL_LINES`] lines of both outputs in the order in which they arrived, cleaned; blank ones are left out.
    pub tail: Vec<String>,
}

impl Finished {
    /// Whether it ended with exit code 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

/// Why a process could not be run to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProcessError {
    /// There is no such program.
    #[error("{program} is not installed")]
    NotFound {
        /// The program.
        program: String,
    },
    /// It could not be started.
    #[error("{program} could not be started: {why}")]
    Spawn {
        /// The program.
        program: String,
        /// Why.
        why: String,
    },
    /// It took too long and was ended.
    #[error("{program} was ended because it took longer than {} s", limit.as_secs())]
    TimedOut {
        /// The program.
        program: String,
        /// Its time limit.
        limit: Duration,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// It was ended because somebody asked for it.
    #[error("{program} was cancelled")]
    Cancelled {
        /// The program.
        program: String,
    },
    /// It wrote more than is taken and was ended.
    #[error("{program} was ended because it wrote more than {} MB", limit_bytes / (1024 * 1024))]
    TooMuch {
        /// The program.
        program: String,
        /// How much is taken.
        limit_bytes: usize,
    },
}

/// Why reading and waiting ended.
enum End {
    Exited,
    TimedOut,
    Cancelled,
    TooMuch,
}

/// Runs a process to its end. Each line of its standard error (and of its standard output where that is not captured)
/// goes to `on_line`, cleaned; a carriage return ends a line too, and blank lines are left out.
///
/// # Errors
/// It could not be started, took too long, was cancelled or wrote too much. Its process group is gone then.
pub async fn run(
    invocation: &Invocation,
    on_line: &mut (dyn FnMut(&str) + Send),
    cancel: &CancellationToken,
) -> Result<Finished, ProcessError> {
    let program = invocation.name();
    if cancel.is_cancelled() {
        return Err(ProcessError::Cancelled { program });
    }
    let deadline = Instant::now() + invocation.limit;
    let mut child = spawn(invocation, &program)?;
    let mut pumps = Pumps::new(&mut child, invocation, on_line);
    let mut group = Group::new(child, &program)?;
    group.stand_back();
    let mut end = loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => break End::Cancelled,
            () = sleep_until(deadline) => break End::TimedOut,
            () = group.exited() => break End::Exited,
            () = pumps.next() => if pumps.too_much() { break End::TooMuch },
        }
    };
    if matches!(end, End::Exited) {
        // All that the process itself wrote is in the pipes already; only something in the background can keep them open.
        let _ = timeout(LINGER, pumps.drain()).await;
        if pumps.too_much() {
            end = End::TooMuch;
        }
    } else {
        pumps.discard = true;
        group.signal(Signal::TERM);
        let ending = async {
            tokio::join!(group.exited(), pumps.drain());
        };
        let _ = timeout(PATIENCE, ending).await;
    }
    let clean = matches!(end, End::Exited) && pumps.is_done();
    let code = group.end(clean).await.and_then(|status| status.code());
    let (stdout, tail) = pumps.finish();
    match end {
        End::Exited => Ok(Finished { code, stdout, tail }),
        End::TimedOut => Err(ProcessError::TimedOut { program, limit: invocation.limit, tail }),
        End::Cancelled => Err(ProcessError::Cancelled { program }),
        End::TooMuch => Err(ProcessError::TooMuch { program, limit_bytes: STDOUT_MAX }),
    }
}

fn spawn(invocation: &Invocation, program: &str) -> Result<Child, ProcessError> {
    let mut command = command(invocation);
    command.stdin(if invocation.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().map_err(|error| refused(invocation, program, &error))
}

/// The process with its arguments, environment, directory and group; its inputs and outputs are still to be said.
fn command(invocation: &Invocation) -> Command {
    #[expect(clippy::disallowed_methods, reason = "the one place that starts processes")]
    let mut command = Command::new(&invocation.program);
    command.args(&invocation.args).env_clear();
    command.envs(PASSED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.envs(invocation.environment.iter().map(|(name, value)| (name, value)));
    if let Some(directory) = &invocation.directory {
        command.current_dir(directory);
    }
    command.process_group(0);
    command
}

/// Why it could not be started.
fn refused(invocation: &Invocation, program: &str, error: &std::io::Error) -> ProcessError {
    let program = program.to_owned();
    match &invocation.directory {
        // The system says "not found" for a missing directory, too.
        Some(directory) if !directory.is_dir() => {
            ProcessError::Spawn { program, why: format!("the directory {} is not there", UntrustedText::path(&directory).line(SHOWN)) }
        }
        _ if error.kind() == std::io::ErrorKind::NotFound || !is_anywhere(invocation) => ProcessError::NotFound { program },
        _ => ProcessError::Spawn { program, why: error.to_string() },
    }
}

/// Whether a program is somewhere in `PATH`. The system calls a name that it did not find "denied" where `PATH` holds a
/// directory that we may not look into.
fn is_anywhere(invocation: &Invocation) -> bool {
    let own = std::env::var_os("PATH");
    let given = invocation.environment.iter().rev().find(|(name, _)| name == "PATH").map(|(_, value)| value);
    let path = given.or(own.as_ref()).map(|p| std::env::split_paths(p).collect::<Vec<_>>()).unwrap_or_default();
    invocation.program.components().count() > 1 || path.iter().any(|d| d.join(&invocation.program).exists())
}

#[cfg(test)]
mod tests;
