//! The data that buttons carry: at most 64 bytes, and never believed by itself.

use super::super::front::Yes;
use super::super::outbox::{Button, Keyboard};
use super::Command;
use crate::domain::project::{Configuration, ProjectName, ServiceName};
use crate::domain::request::{ReleaseOptions, Request, Target};
use crate::operations::logs::{LINES_DEFAULT, LogQuery};

/// How many project buttons stand in a row.
const PROJECTS_A_ROW: usize = 2;
/// How many projects get a button.
const PROJECTS_MAX: usize = 96;

/// Every button by its letter, with the command that it stands for. A letter that is not here is no button's.
pub const BUTTONS: [(char, Option<&str>); 16] = [
    ('c', None),
    ('x', None),
    ('a', None),
    ('f', None),
    ('s', Some("docker_status")),
    ('l', Some("docker_logs")),
    ('r', Some("docker_restart")),
    ('d', Some("docker_deploy")),
    ('u', Some("docker_start")),
    ('e', Some("docker_stop")),
    ('h', Some("docker_history")),
    ('b', Some("docker_rollback")),
    ('v', Some("docker_releases")),
    ('o', Some("docker_volumes")),
    ('k', Some("docker_cancel")),
    ('t', Some("docker_tidy")),
];

/// What a button means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Press {
    /// Confirm, or call off, what waits under this nonce.
    Answer { nonce: String, yes: bool },
    /// All files of the plan that waits under this nonce.
    Files(String),
    /// As a command.
    Command(Command),
    /// Stop following a log.
    Stop(String),
    /// A command about a project that is no longer there.
    Gone(String),
}

/// The data of a button: a letter and a name.
pub(crate) fn data(letter: char, name: &str) -> String {
    format!("{letter}:{name}")
}

/// The letter for a command that buttons can carry.
pub(crate) fn which(command: &str) -> Option<char> {
    BUTTONS.iter().find(|(_, of)| *of == Some(command)).map(|(letter, _)| *letter)
}

/// A button for each project.
pub(crate) fn projects(letter: char, names: &[String]) -> Keyboard {
    let buttons: Vec<Button> = names.iter().take(PROJECTS_MAX).map(|n| Button { label: n.clone(), data: data(letter, n) }).collect();
    buttons.chunks(PROJECTS_A_ROW).map(<[Button]>::to_vec).collect()
}

impl Press {
    /// Reads the data of a button. None for what no button of ours carries.
    pub(crate) fn read(data: &str, config: &Configuration) -> Option<Self> {
        let (letter, name) = data.split_once(':')?;
        if !BUTTONS.iter().any(|(known, _)| letter == known.encode_utf8(&mut [0; 4])) {
            return None;
        }
        match letter {
            "c" => return Some(Self::Answer { nonce: name.to_owned(), yes: true }),
            "x" => return Some(Self::Answer { nonce: name.to_owned(), yes: false }),
            "a" => return Some(Self::Files(name.to_owned())),
            "f" => return Some(Self::Stop(name.to_owned())),
            _ => {}
        }
        let (name, service) = match name.split_once('/') {
            Some((name, service)) if letter == "u" => (name, Some(ServiceName::new(service).ok()?)),
            _ => (name, None),
        };
        let project = ProjectName::new(name).ok()?;
        if letter == "t" {
            // What is left over may be of a project that is no longer configured.
            return Some(Self::Command(Command::Operate(Request::Tidy { project })));
        }
        if !config.enabled().any(|p| p.name == project) {
            return Some(Self::Gone(name.to_owned()));
        }
        let target = Target { project: project.clone(), service };
        Some(Self::Command(match letter {
            "s" => Command::Status(project),
            "l" => Command::Logs {
                query: LogQuery { project, service: None, lines: LINES_DEFAULT, grep: None, since: None, operation: None },
                follow: false,
            },
            "r" => Command::Operate(Request::Restart { target, strategy: None, force: false }),
            "d" => Command::Operate(Request::Deploy { project, options: ReleaseOptions::default() }),
            "u" => Command::Operate(Request::Start { target, force: false }),
            "e" => Command::Operate(Request::Stop(target)),
            "h" => Command::History(project),
            "b" => Command::Operate(Request::Rollback { project, release: None, options: ReleaseOptions::default() }),
            "v" => Command::Releases(project),
            "o" => Command::Volumes(project),
            "k" => Command::Cancel(project),
            _ => return None,
        }))
    }

    /// The answer by which something would run, where it is one. `callback` is the press's own number.
    pub(crate) fn yes(&self, callback: &str) -> Option<Yes> {
        match self {
            Self::Answer { nonce, yes: true } => Some(Yes::Press { nonce: nonce.clone(), callback: callback.to_owned() }),
            _ => None,
        }
    }

    /// In a few words, for a person who is told that it went unanswered.
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Self::Answer { yes: true, .. } => "a press of the confirming button",
            Self::Answer { yes: false, .. } => "a press of Cancel",
            Self::Command(_) | Self::Files(_) | Self::Stop(_) | Self::Gone(_) => "a press of a button",
        }
    }
}
