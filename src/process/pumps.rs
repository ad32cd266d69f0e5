//! The pipes of a process, read and written side by side in bounded memory.

use std::collections::VecDeque;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};

use super::lines::Splitter;
use super::{Invocation, STDOUT_MAX, Stdout, TAIL_LINES};

/// How much is read at a time.
const CHUNK: usize = 16 * 1024;

/// The pipes of a process, read and written side by side.
pub(super) struct Pumps<'a> {
    stdin: Option<Pin<Box<dyn Future<Output = ()> + Send + 'a>>>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    buffers: Box<[[u8; CHUNK]; 2]>,
    splitters: [Splitter; 2],
    mode: Stdout,
    captured: Vec<u8>,
    tail: VecDeque<String>,
    on_line: &'a mut (dyn FnMut(&str) + Send),
    /// Read on, so that nobody hangs in a write, but keep and report nothing.
    pub(super) discard: bool,
}

impl<'a> Pumps<'a> {
    pub(super) fn new(child: &mut Child, invocation: &'a Invocation, on_line: &'a mut (dyn FnMut(&str) + Send)) -> Self {
        let stdin = child.stdin.take().zip(invocation.stdin.as_deref());
        Self {
            stdin: stdin.map(|(pipe, bytes)| Box::pin(feed(pipe, bytes)) as _),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            buffers: Box::new([[0; CHUNK]; 2]),
            splitters: [Splitter::default(), Splitter::default()],
            mode: invocation.stdout,
            captured: Vec::new(),
            tail: VecDeque::with_capacity(TAIL_LINES),
            on_line,
            discard: false,
        }
    }

    /// One more piece from any of the pipes; waits for ever when both outputs have ended.
    pub(super) async fn next(&mut self) {
        let [out, err] = &mut *self.buffers;
        tokio::select! {
            () = option(self.stdin.as_mut()) => self.stdin = None,
            read = read(&mut self.stdout, out) => {
                let read = read.min(CHUNK);
                self.take(0, read);
            }
            read = read(&mut self.stderr, err) => {
                let read = read.min(CHUNK);
                self.take(1, read);
            }
        }
    }

    /// Everything up to the end of both outputs, or to the limit.
    pub(super) async fn drain(&mut self) {
        while !self.is_done() && (self.discard || !self.too_much()) {
            self.next().await;
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.stdout.is_none() && self.stderr.is_none()
    }

    pub(super) fn too_much(&self) -> bool {
        self.captured.len() > STDOUT_MAX
    }

    /// Takes in what was read from standard output (0) or error (1); nothing means that it ended.
    fn take(&mut self, stream: usize, read: usize) {
        if read == 0 {
            if stream == 0 {
                self.stdout = None;
            } else {
                self.stderr = None;
            }
        }
        if self.discard {
            return;
        }
        let bytes = &self.buffers[stream][..read];
        let captured = stream == 0 && self.mode == Stdout::Captured;
        if captured {
            self.captured.extend_from_slice(bytes);
        }
        let (tail, on_line) = (&mut self.tail, &mut *self.on_line);
        let mut keep = |line: String| {
            if !captured {
                on_line(&line);
            }
            if tail.len() == TAIL_LINES {
                tail.pop_front();
            }
            tail.push_back(line);
        };
        if read == 0 { self.splitters[stream].end(&mut keep) } else { self.splitters[stream].feed(bytes, &mut keep) }
    }

    /// What was captured and the last lines. An output that something still holds open ends here.
    pub(super) fn finish(mut self) -> (Vec<u8>, Vec<String>) {
        for (stream, open) in [(0, self.stdout.is_some()), (1, self.stderr.is_some())] {
            if open {
                self.take(stream, 0);
            }
        }
        (self.captured, self.tail.into())
    }
}

/// Writes all of it. A process that does not want its input is no failure: its exit code says what it thinks.
async fn feed(mut pipe: ChildStdin, bytes: &[u8]) {
    let _ = pipe.write_all(bytes).await;
}

/// A future that is there, or waits for ever.
async fn option(future: Option<&mut Pin<Box<dyn Future<Output = ()> + Send + '_>>>) {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// Reads from an output that is open, or waits for ever. A broken pipe is an end like any other.
async fn read(pipe: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> usize {
    match pipe {
        Some(pipe) => pipe.read(buffer).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}
