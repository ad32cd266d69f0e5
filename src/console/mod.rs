//! The commands of a terminal: what they ask for, how it is shown, and the exit code that each ends with.

pub mod check;
mod client;
mod configuration;
mod names;
mod operate;
mod screen;
mod show;

use std::io::{self, Write};

pub use client::{Client, Trouble};
pub use names::Typed;
pub use operate::Consent;

use crate::domain::Millis;
use crate::domain::text::Text;

/// What commands of the chat begin with, and those that a terminal has, too.
const CHAT: &str = "/docker_";
const CONFIG: &str = "/config ";
const CONFIG_COMMANDS: [&str; 6] = ["status", "history", "diff", "rollback", "snapshot", "reload"];
const COMMANDS: [&str; 12] =
    ["status", "logs", "restart", "start", "stop", "deploy", "rollback", "releases", "history", "volumes", "tidy", "cancel"];

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
        let exit = if trouble.code() == Some(crate::http::problem::Code::Malformed) { Exit::Usage } else { exit };
        Self::Said(exit, for_terminal(&trouble.to_string()))
    }
}

/// How big a terminal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Its width.
    pub columns: usize,
    /// Its height.
    pub rows: usize,
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
    /// How big the terminal is; none where standard output is none.
    pub size: Option<Size>,
}

/// A sentence as a terminal may get it: names and reasons come from files that others write, and a terminal obeys what it
/// is sent. What a chat shows as code stands there without marks.
pub fn harmless(text: &str) -> String {
    Text::new().plain(text).to_plain()
}

/// Texts name commands as the chat has them; here they have other names.
fn for_terminal(text: &str) -> String {
    let text = renamed(text, CHAT, "dockmaster ", &COMMANDS);
    renamed(&text, CONFIG, "dockmaster config ", &CONFIG_COMMANDS)
}

/// Puts `to` in the place of `from` where one of the words follows.
fn renamed(text: &str, from: &str, to: &str, words: &[&str]) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(from) {
        let (before, command) = (&rest[..at], &rest[at + from.len()..]);
        let word: String = command.chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == '.').collect();
        // Not in the middle of a path, nor of what only begins like one.
        let alone = before.chars().next_back().is_none_or(|c| c.is_whitespace() || "(“\"'".contains(c));
        let known = words.contains(&word.trim_end_matches('.'));
        shown.push_str(before);
        shown.push_str(if alone && known { to } else { from });
        rest = command;
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_called_as_they_are_typed_here() {
        let said = "See /docker_releases shop. Then /docker_rollback shop 2 (/docker_status).";
        assert_eq!(for_terminal(said), "See dockmaster releases shop. Then dockmaster rollback shop 2 (dockmaster status).");
        assert_eq!(for_terminal("/config diff N shows it; /config nothing"), "dockmaster config diff N shows it; /config nothing");
        for path in ["etc/docker_run.sh", "/docker_status.txt", "/docker_nothing", "a/docker_logs"] {
            assert_eq!(for_terminal(path), path);
        }
    }

    #[test]
    fn what_a_terminal_would_obey_does_not_reach_it() {
        let hostile = "newly asks for X\u{1b}[2K\u{1b}[1A\u{1b}[8mHIDDEN\u{1b}]0;owned\u{7}\r\nnext\u{9b}31m \u{202e}line";
        let shown = harmless(hostile);
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n') && !shown.contains('\u{202e}'), "{shown:?}");
        assert!(shown.starts_with(r"newly asks for X\u{1b}[2K") && shown.ends_with(r"\u{202e}line"), "{shown:?}");
    }
}
