//! The commands of a terminal: what they ask for, how it is shown, and the exit code that each ends with.

pub mod check;
mod client;
mod names;
mod operate;
mod screen;
mod show;

use std::io::{self, Write};

pub use client::{Client, Trouble};
pub use names::Typed;
pub use operate::Consent;

use crate::domain::Millis;

/// How a command ended, for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or there was nothing to do.
    Done,
    /// It failed or was refused, and standard error says why.
    Failed,
    /// What was typed or set is wrong.
    Usage,
    /// Nobody confirmed it, and nothing was done.
    Unconfirmed,
    /// Another operation holds the project.
    Busy,
    /// It was cancelled or interrupted.
    Cancelled,
}

impl Exit {
    /// The code.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unconfirmed => 3,
            Self::Busy => 4,
            Self::Cancelled => 5,
        }
    }
}

/// Why a command came to nothing.
#[derive(Debug)]
pub enum Stop {
    /// Said in a sentence or more, with its exit code.
    Said(Exit, String),
    /// Nothing can be printed.
    Print(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Print(error)
    }
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        let exit = if trouble.is_busy() { Exit::Busy } else { Exit::Failed };
        Self::Said(exit, for_terminal(&trouble.to_string()))
    }
}

/// A terminal or a pipe, and the dockmaster that it talks to.
pub struct Console<'a> {
    /// Who does the work.
    pub client: Client,
    /// Where answers go.
    pub out: &'a mut dyn Write,
    /// Where everything else goes.
    pub err: &'a mut dyn Write,
    /// The time.
    pub clock: fn() -> Millis,
    /// Whether answers are JSON.
    pub json: bool,
    /// How many columns the terminal has; none where standard output is none.
    pub columns: Option<usize>,
}

/// Texts name commands as the chat has them; here they have other names.
fn for_terminal(text: &str) -> String {
    text.replace("/docker_", "dockmaster ")
}
