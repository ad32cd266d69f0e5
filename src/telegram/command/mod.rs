//! The commands: one table, from which parsing, the help and the menus come, so that they cannot disagree.

mod arguments;
mod callback;
mod readers;

pub use callback::BUTTONS;
use callback::which;
pub(crate) use callback::{Press, data};

use arguments::{Arguments, Token};
use readers::{config, deploy, lifecycle, logs, of_project, rollback, status, tidy};

use super::outbox::Keyboard;
use crate::domain::access::Role;
use crate::domain::names::{Match, find};
use crate::domain::project::{Configuration, ProjectName, ServiceName};
use crate::domain::request::{Kind, Request, Target};
use crate::domain::text::Text;
use crate::domain::words::{self, HelpRow};
use crate::operations::logs::LogQuery;

/// What a command asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// How one project stands.
    Status(ProjectName),
    /// How all of them stand.
    Overview,
    /// The last lines of a log; or as it is written, from these on.
    Logs { query: LogQuery, follow: bool },
    /// Something that changes the world.
    Operate(Request),
    /// The last operations.
    History(ProjectName),
    /// The kept releases.
    Releases(ProjectName),
    /// Where the data is.
    Volumes(ProjectName),
    /// End what runs.
    Cancel(ProjectName),
    /// Something about the configuration.
    Config(ConfigCommand),
    /// The sender's id and the chat's.
    Whoami,
    /// The help; with a greeting at the start of a conversation.
    Help { first: bool },
}

/// What is asked of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConfigCommand {
    /// How it stands.
    Standing,
    /// Its versions.
    Versions,
    /// What is different in what is in force from a version, with or without the values that may be secret.
    Diff(i64, bool),
    /// Keep what is in force as a version, for a reason.
    Keep(Option<String>),
    /// Read the files now.
    Reload,
    /// Go back to a version.
    Rollback(i64),
}

impl Command {
    /// Whether somebody has to confirm it.
    pub(crate) fn is_confirmed(&self) -> bool {
        matches!(self, Self::Operate(_) | Self::Config(ConfigCommand::Rollback(_)))
    }

    /// Whether it changes something, and so must not come late.
    pub(crate) fn changes(&self) -> bool {
        self.is_confirmed() || matches!(self, Self::Config(ConfigCommand::Keep(_) | ConfigCommand::Reload))
    }

    /// The role that it takes.
    pub(crate) fn needs(&self) -> Role {
        match self {
            Self::Operate(request) => request.kind().needs(),
            Self::Cancel(_) => Role::Operator,
            Self::Config(_) => Role::Admin,
            _ => Role::Viewer,
        }
    }

    /// The project that it is about.
    pub(crate) fn project(&self) -> Option<&ProjectName> {
        match self {
            Self::Status(project) | Self::History(project) | Self::Releases(project) | Self::Volumes(project) | Self::Cancel(project) => {
                Some(project)
            }
            Self::Logs { query, .. } => Some(&query.project),
            Self::Operate(request) => Some(request.project()),
            Self::Overview | Self::Config(_) | Self::Whoami | Self::Help { .. } => None,
        }
    }
}

/// Why a command was not understood: what to answer, with buttons where they help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unclear {
    pub(crate) text: Text,
    pub(crate) buttons: Keyboard,
}

impl From<Text> for Unclear {
    fn from(text: Text) -> Self {
        Self { text, buttons: Keyboard::new() }
    }
}

/// A command, as people see it.
pub(crate) struct Spec {
    /// Its name without the slash.
    pub(crate) name: &'static str,
    /// What can follow it.
    pub(crate) arguments: &'static str,
    /// The role that it takes; none for everybody.
    pub(crate) role: Option<Role>,
    /// What it does, in a line.
    pub(crate) description: &'static str,
    /// What can follow it, as an example.
    pub(crate) example: &'static str,
    parse: fn(&Input<'_>, Arguments) -> Result<Command, Unclear>,
}

/// Every command.
pub(crate) const COMMANDS: [Spec; 16] = [
    Spec {
        name: "docker_status",
        arguments: "[p | all]",
        role: Some(Role::Viewer),
        description: "What runs, and how it is",
        example: "shop",
        parse: status,
    },
    Spec {
        name: "docker_logs",
        arguments: "[p[/service]] [lines] [grep=TEXT] [since=10m] [op=NUMBER] [follow]",
        role: Some(Role::Viewer),
        description: "The last lines of a log (50, at most 1000), or as it is written",
        example: "shop/backend 100 grep=error since=10m",
        parse: logs,
    },
    Spec {
        name: "docker_restart",
        arguments: "[p[/service]] [immediate | graceful | rolling | dependency] [force]",
        role: Some(Role::Operator),
        description: "Restart; services that keep data only when named",
        example: "shop/backend",
        parse: |input, arguments| lifecycle(input, arguments, Kind::Restart),
    },
    Spec {
        name: "docker_start",
        arguments: "[p[/service]] [force]",
        role: Some(Role::Operator),
        description: "Start what is stopped; force: also where what it depends on is down",
        example: "shop",
        parse: |input, arguments| lifecycle(input, arguments, Kind::Start),
    },
    Spec {
        name: "docker_stop",
        arguments: "[p[/service]]",
        role: Some(Role::Operator),
        description: "Stop what runs; nothing is removed",
        example: "shop/backend",
        parse: |input, arguments| lifecycle(input, arguments, Kind::Stop),
    },
    Spec {
        name: "docker_deploy",
        arguments: "[p] [with=service,..] [overwrite=path,..] [new-volume=name,..] [force]",
        role: Some(Role::Admin),
        description: "Bring the workspace into production; with= names services that keep data and take part",
        example: "shop",
        parse: deploy,
    },
    Spec {
        name: "docker_rollback",
        arguments: "[p] [release] [with=service,..] [overwrite=path,..] [new-volume=name,..] [force]",
        role: Some(Role::Admin),
        description: "Go back to the release before, or to the one with that number",
        example: "shop",
        parse: rollback,
    },
    Spec {
        name: "docker_releases",
        arguments: "[p]",
        role: Some(Role::Viewer),
        description: "The releases that are kept",
        example: "shop",
        parse: |input, arguments| of_project(input, arguments, Command::Releases),
    },
    Spec {
        name: "docker_volumes",
        arguments: "[p]",
        role: Some(Role::Viewer),
        description: "Where the data is: volumes and directories, how large, how much room",
        example: "shop",
        parse: |input, arguments| of_project(input, arguments, Command::Volumes),
    },
    Spec {
        name: "docker_cancel",
        arguments: "[p]",
        role: Some(Role::Operator),
        description: "End what runs; what was begun is put back",
        example: "shop",
        parse: |input, arguments| of_project(input, arguments, Command::Cancel),
    },
    Spec {
        name: "docker_tidy",
        arguments: "[p]",
        role: Some(Role::Admin),
        description: "Remove the containers of services that are no longer configured; volumes stay",
        example: "shop",
        parse: tidy,
    },
    Spec {
        name: "docker_history",
        arguments: "[p]",
        role: Some(Role::Viewer),
        description: "The last operations",
        example: "shop",
        parse: |input, arguments| of_project(input, arguments, Command::History),
    },
    Spec {
        name: "config",
        arguments: "[status | history | diff N [show] | rollback N | snapshot [why] | reload]",
        role: Some(Role::Admin),
        description: "The configuration in force, its versions, a reload, a way back",
        example: "history",
        parse: config,
    },
    Spec {
        name: "whoami",
        arguments: "",
        role: None,
        description: "Your id and this chat's id",
        example: "",
        parse: |_, _| Ok(Command::Whoami),
    },
    Spec {
        name: "help",
        arguments: "",
        role: None,
        description: "What you can use",
        example: "",
        parse: |_, _| Ok(Command::Help { first: false }),
    },
    Spec { name: "start", arguments: "", role: None, description: "Begin", example: "", parse: |_, _| Ok(Command::Help { first: true }) },
];

/// The name of every command, and what can follow it.
pub fn commands() -> impl Iterator<Item = (&'static str, &'static str)> {
    COMMANDS.iter().map(|spec| (spec.name, spec.arguments))
}

/// The rows of the help for a role.
pub(crate) fn help_rows(role: Role, config: &Configuration) -> Vec<HelpRow> {
    let allowed = COMMANDS.iter().filter(|c| c.role.is_none_or(|needs| role >= needs) && c.name != "start");
    let row = |c: &Spec| HelpRow { name: c.name, arguments: c.arguments, description: c.description, example: example(c, config) };
    allowed.map(row).collect()
}

/// A command's example with the names of a project that is there.
fn example(spec: &Spec, config: &Configuration) -> String {
    let Some(project) = config.implied().or_else(|| config.enabled().next()) else { return spec.example.to_owned() };
    let primary = project.primary.as_ref().map_or("backend", ServiceName::as_str);
    spec.example.replace("backend", primary).replace("shop", project.name.as_str())
}

/// What parsing needs to know.
pub(crate) struct Input<'a> {
    pub(crate) config: &'a Configuration,
    pub(crate) spec: &'a Spec,
}

impl Input<'_> {
    fn projects(&self) -> Vec<String> {
        self.config.enabled().map(|p| p.name.to_string()).collect()
    }

    fn unclear(&self, typed: &str) -> Unclear {
        words::unclear(typed, self.spec.name, self.spec.arguments, &example(self.spec, self.config)).into()
    }

    /// The project that was typed, in any case; never guessed.
    fn find(&self, typed: &str) -> Match<&ProjectName> {
        match find(typed, self.config.enabled().map(|p| p.name.as_str())) {
            Match::Found(name) => match self.config.projects.get(name) {
                Some(project) => Match::Found(&project.name),
                None => Match::Unknown(Vec::new()),
            },
            Match::Unknown(near) => Match::Unknown(near.into_iter().filter_map(|n| self.config.projects.get(n).map(|p| &p.name)).collect()),
        }
    }

    /// The project that is meant. Buttons stand only for a bare command: they would lose what else was typed.
    fn implied(&self, arguments: &Arguments) -> Result<ProjectName, Unclear> {
        if let Some(project) = self.config.implied() {
            return Ok(project.name.clone());
        }
        let all = self.projects();
        Err(match which(self.spec.name) {
            Some(verb) if !all.is_empty() && arguments.first().is_none() => {
                Unclear { text: words::which_project(), buttons: callback::projects(verb, &all) }
            }
            _ => words::no_project(self.spec.name, &all).into(),
        })
    }

    /// The target: taken off the arguments where the first of them names a project, otherwise the one that is meant.
    /// What `is_option` knows is an option, unless a project is called that.
    fn target(&self, arguments: &mut Arguments, is_option: fn(&Token) -> bool) -> Result<Target, Unclear> {
        let Some(first) = arguments.first() else { return Ok(Target { project: self.implied(arguments)?, service: None }) };
        let (typed, service) = match first.raw.split_once('/') {
            Some((project, service)) => (project, Some(service.to_owned())),
            None => (first.raw.as_str(), None),
        };
        match self.find(typed) {
            Match::Found(project) => {
                let project = project.clone();
                arguments.skip();
                let service = service.map(|s| ServiceName::new(&s).map_err(|_| Unclear::from(words::wrong_service(&s))));
                Ok(Target { project, service: service.transpose()? })
            }
            Match::Unknown(_) if is_option(first) => Ok(Target { project: self.implied(arguments)?, service: None }),
            Match::Unknown(near) => {
                let disabled = self.config.projects.values().find(|p| !p.enabled && p.name.as_str().eq_ignore_ascii_case(typed));
                if let Some(project) = disabled {
                    return Err(words::disabled(project.name.as_str()).into());
                }
                let near: Vec<String> = near.iter().map(ToString::to_string).collect();
                let takes_service = self.spec.arguments.contains("/service") && ServiceName::plain(typed).is_ok();
                let implied = self.config.implied().filter(|_| takes_service && service.is_none()).map(|p| p.name.to_string());
                Err(words::unknown_project(&first.shown(), &near, &self.projects(), implied.as_deref()).into())
            }
        }
    }

    /// As [`Input::target`], for a command that takes no service.
    fn project(&self, arguments: &mut Arguments, is_option: fn(&Token) -> bool) -> Result<ProjectName, Unclear> {
        let typed = arguments.first().map(Token::shown);
        match (self.target(arguments, is_option)?, typed) {
            (Target { service: Some(_), .. }, Some(typed)) => Err(self.unclear(&typed)),
            (target, _) => Ok(target.project),
        }
    }
}

/// What came of a message that begins with a slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// A command, its name as the table has it, and the role that it takes.
    Command { name: &'static str, needs: Option<Role>, command: Command },
    /// A command that was not understood.
    Unclear { needs: Option<Role>, unclear: Unclear },
    /// There is no such command; whether it was addressed to this bot by name.
    Unknown { typed: String, addressed: bool },
    /// For another bot, or no command at all.
    NotOurs,
}

/// Reads a message. `username` is this bot's.
pub(crate) fn parse(text: &str, username: &str, config: &Configuration) -> Parsed {
    let Some(rest) = text.trim_start().strip_prefix('/') else { return Parsed::NotOurs };
    let (head, arguments) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let (name, addressed) = match head.split_once('@') {
        Some((_, bot)) if !bot.eq_ignore_ascii_case(username) => return Parsed::NotOurs,
        Some((name, _)) => (name, true),
        None => (head, false),
    };
    let Some(spec) = COMMANDS.iter().find(|c| c.name.eq_ignore_ascii_case(name)) else {
        return Parsed::Unknown { typed: name.chars().take(40).collect(), addressed };
    };
    match (spec.parse)(&Input { config, spec }, Arguments::read(arguments)) {
        Ok(command) => Parsed::Command { name: spec.name, needs: spec.role, command },
        Err(unclear) => Parsed::Unclear { needs: spec.role, unclear },
    }
}

/// The answer to a command that does not exist.
pub(crate) fn unknown(typed: &str) -> Text {
    let near = match find(typed, COMMANDS.iter().map(|c| c.name)) {
        Match::Unknown(near) => near.into_iter().map(str::to_owned).collect(),
        Match::Found(_) => Vec::new(),
    };
    words::unknown_command(typed, &near)
}

#[cfg(test)]
pub(crate) use tests::configuration_for_tests;

#[cfg(test)]
mod tests;
