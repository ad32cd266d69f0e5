//! Processes that run for as long as they like: ended by whoever has them, and with them.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::Signal;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

use super::lines::Splitter;
use super::survivors::{Identity, group_is_alive};
use super::{Group, Invocation, ProcessError, command, refused};

/// How much of its output is read at a time: as much as a pipe holds.
const CHUNK: usize = 64 * 1024;

/// A process that runs. Its group is killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    group: Group,
}

/// What a process writes. Both of its outputs are one pipe, so that the order of its lines is that in which it wrote them.
#[derive(Debug)]
pub struct Output {
    pipe: Receiver,
    buffer: Box<[u8]>,
    splitter: Splitter,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code; for one that a signal ended 128 and the signal's number, as shells say it. None where the kernel could
    /// not let it go.
    pub code: Option<i32>,
}

impl From<Option<ExitStatus>> for Exit {
    fn from(status: Option<ExitStatus>) -> Self {
        Self { code: status.and_then(|status| status.code().or_else(|| Some(128 + status.signal()?))) }
    }
}

impl Running {
    /// Starts a process, whose limit and standard input do not count here.
    ///
    /// # Errors
    /// It could not be started.
    pub fn start(invocation: &Invocation) -> Result<(Self, Output), ProcessError> {
        let program = invocation.name();
        let failed = |error: std::io::Error| ProcessError::Spawn { program: program.clone(), why: error.to_string() };
        let (reader, writer) = std::io::pipe().map_err(failed)?;
        let mut command = command(invocation);
        command.stdin(std::process::Stdio::null()).stdout(writer.try_clone().map_err(failed)?).stderr(writer);
        let pipe = Receiver::from_owned_fd(reader.into()).map_err(failed)?;
        let child = command.spawn().map_err(|error| refused(invocation, &program, &error))?;
        let group = Group::new(child, &program)?;
        Ok((Self { group }, Output { pipe, buffer: vec![0; CHUNK].into(), splitter: Splitter::default() }))
    }

    /// Which process it is; none where it has ended already.
    pub fn identity(&self) -> Option<Identity> {
        Identity::of(self.group.child.id()?)
    }

    /// Waits until it has ended.
    pub async fn exited(&mut self) {
        self.group.exited().await;
    }

    /// Asks its group to end.
    pub fn ask(&self) {
        self.group.signal(Signal::TERM);
    }

    /// Whether nothing of its group is alive any more.
    pub fn is_gone(&self) -> bool {
        !self.group.pid.is_some_and(group_is_alive)
    }

    /// Kills what is left of its group, and waits until all of it is gone.
    pub async fn end(self) -> Exit {
        self.group.end(false).await.into()
    }
}

impl Output {
    /// Hands the next lines out, cleaned and bounded; waits until there are any. False at the end.
    pub async fn next(&mut self, on_line: &mut dyn FnMut(String)) -> bool {
        // A broken pipe is an end like any other.
        let read = self.pipe.read(&mut self.buffer).await.unwrap_or(0);
        if read == 0 {
            self.splitter.end(on_line);
        } else {
            self.splitter.feed(&self.buffer[..read], on_line);
        }
        read > 0
    }
}
