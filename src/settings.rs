//! What the program is told from outside: flags, then environment. Named once, for help, errors and docs.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Status, logs, restarts and safe deploys of Docker projects from a chat.
#[derive(Debug, Parser)]
#[command(name = "dockmaster", version, about, disable_help_subcommand = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the bot
    Run(RunArguments),
    /// Try it: a sample project and a chat in the browser; needs no token, no account, and not even a Docker engine
    Try(TryArguments),
    /// What a terminal can ask for as a chat can.
    #[command(flatten)]
    Terminal(TerminalCommand),
    /// The configuration in force: how it stands, its versions, a reload, a way back
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Move what dockmaster keeps to another directory, with its history and all releases; one that runs makes way, and goes on there
    MoveData(MoveArguments),
    /// Check projects.json: exit code 0 valid, 1 problems, 2 unreadable
    Check(CheckArguments),
    /// Print the JSON Schema of projects.json
    Schema {
        /// Print it as a reference for people instead, in Markdown
        #[arg(long)]
        markdown: bool,
    },
    /// Print a script that completes what is typed after dockmaster: `dockmaster completions bash`
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page: `dockmaster man | man -l -`
    Man,
    /// Go on with an operation that ends the dockmaster which began it; started by that one alone
    #[command(hide = true)]
    Finish {
        /// The operation
        #[arg(long)]
        operation: i64,
        /// As the one that began it was told
        #[command(flatten)]
        run: RunArguments,
    },
    /// Keep a service that runs as a process of the host; started by the dockmaster that was asked for it
    #[command(hide = true)]
    KeepProcess {
        /// Where all about it is kept
        place: PathBuf,
    },
    /// What runs in the containers of the sample
    #[command(hide = true)]
    SampleService {
        /// `serve`, `store` or `check`
        role: String,
    },
}

/// What `run` can be told.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// The file that says which projects there are and who may do what
    #[arg(long, env = "DOCKMASTER_CONFIG", default_value = "projects.json")]
    pub config: PathBuf,
    /// Where dockmaster keeps what must outlive it
    #[arg(long, env = "DOCKMASTER_DATA", default_value = "dockmaster-data")]
    pub data: PathBuf,
    /// Work without a Docker engine: only services that are processes of this machine can be seen to
    #[arg(long)]
    pub no_docker: bool,
}

/// What can be done from a terminal as from a chat. Where a dockmaster runs on the data directory, it does it; else this
/// does it alone.
#[derive(Debug, Subcommand)]
pub enum TerminalCommand {
    /// Show how a project stands: every service with state, health, uptime, ports, image
    Status {
        /// The project; the default one, or the only one, unless told
        project: Option<String>,
        /// A line for each project
        #[arg(long, conflicts_with = "project")]
        all: bool,
        /// Where.
        #[command(flatten)]
        place: Place,
    },
    /// Show the last lines of a service's log
    Logs(LogsArguments),
    /// Restart a project or one service
    Restart {
        /// What.
        #[command(flatten)]
        target: Target,
        /// In which order; the project's own unless told
        #[arg(long, value_parser = ["immediate", "graceful", "rolling", "dependency"])]
        strategy: Option<String>,
        /// Whatever is down.
        #[command(flatten)]
        force: Force,
        /// How.
        #[command(flatten)]
        how: How,
    },
    /// Start what is stopped
    Start {
        /// What.
        #[command(flatten)]
        target: Target,
        /// Whatever is down.
        #[command(flatten)]
        force: Force,
        /// How.
        #[command(flatten)]
        how: How,
    },
    /// Stop what runs; nothing is removed
    Stop {
        /// What.
        #[command(flatten)]
        target: Target,
        /// How.
        #[command(flatten)]
        how: How,
    },
    /// Bring the workspace into production
    Deploy {
        /// The project; the default one, or the only one, unless told
        project: Option<String>,
        /// With what.
        #[command(flatten)]
        with: With,
        /// Also where the image that a service runs is gone, so that the deploy could not be rolled back
        #[arg(long)]
        force: bool,
        /// How.
        #[command(flatten)]
        how: How,
    },
    /// Go back to an earlier release
    Rollback {
        /// The project; the default one, or the only one, unless told
        project: Option<String>,
        /// The number of the release; the one before the current one unless told
        #[arg(value_parser = clap::value_parser!(i64).range(0..))]
        release: Option<i64>,
        /// With what.
        #[command(flatten)]
        with: With,
        /// Also where the image that a service runs is gone, so that the rollback could not be undone
        #[arg(long)]
        force: bool,
        /// How.
        #[command(flatten)]
        how: How,
    },
    /// Remove the containers of services that are no longer configured; volumes stay
    Tidy {
        /// The project, which may be no longer configured itself; the default one, or the only one, unless told
        project: Option<String>,
        /// How.
        #[command(flatten)]
        how: How,
    },
    /// List the kept releases
    Releases {
        /// The project; the default one, or the only one, unless told
        project: Option<String>,
        /// Where.
        #[command(flatten)]
        place: Place,
    },
    /// List the last operations
    History {
        /// The project; the default one, or the only one, unless told
        project: Option<String>,
        /// Where.
        #[command(flatten)]
        place: Place,
    },
    /// Show where a project's data is: volumes and directories, who uses them, how large they are, how much room there is
    Volumes {
        /// The project; the default one, or the only one, unless told
        project: Option<String>,
        /// Where.
        #[command(flatten)]
        place: Place,
    },
    /// End what runs on a project; production is left whole
    Cancel {
        /// The project; the default one, or the only one, unless told
        project: Option<String>,
        /// Where.
        #[command(flatten)]
        place: Place,
    },
    /// What is asked of the configuration; typed as [`Command::Config`].
    #[command(skip)]
    Config(ConfigAsk),
    /// Say whether the dockmaster that runs is well: exit code 0 well, 1 not
    Health {
        /// Where.
        #[command(flatten)]
        place: Place,
    },
}

/// What there is to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// What is asked of it.
    #[command(flatten)]
    Ask(ConfigAsk),
    /// Try whether changes of the configuration come into force here, with files of its own beside it: exit code 1 where they
    /// do not
    Selftest {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
        /// The file that says which projects there are
        #[arg(long, env = "DOCKMASTER_CONFIG", default_value = "projects.json")]
        config: PathBuf,
    },
}

/// What can be asked of the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigAsk {
    /// Show what is in force, and what is wrong with the files: exit code 1 where they are not in force
    Status {
        /// Where.
        #[command(flatten)]
        place: Place,
    },
    /// List the kept versions
    History {
        /// Where.
        #[command(flatten)]
        place: Place,
    },
    /// Show what is different in what is in force from a version
    Diff {
        /// The number of the version
        version: i64,
        /// Show values that may be secret, too
        #[arg(long)]
        show: bool,
        /// Where.
        #[command(flatten)]
        place: Place,
    },
    /// Go back to a version: into the files where they can be written, otherwise until they are changed
    Rollback {
        /// The number of the version
        version: i64,
        /// How.
        #[command(flatten)]
        how: How,
    },
    /// Keep what is in force as a version of its own
    Snapshot {
        /// What for
        why: Option<String>,
        /// Where.
        #[command(flatten)]
        place: Place,
    },
    /// Have the files read now: exit code 1 where they are not in force after it
    Reload {
        /// Where.
        #[command(flatten)]
        place: Place,
    },
    /// Show how the configuration stands, and again whenever that changes, until Ctrl-C
    Watch {
        /// Where.
        #[command(flatten)]
        place: Place,
    },
}

/// Where dockmaster works, and how it answers.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
    /// The file that says which projects there are; not read where a dockmaster runs
    #[arg(long, env = "DOCKMASTER_CONFIG", default_value = "projects.json")]
    pub config: PathBuf,
    /// Where dockmaster keeps what must outlive it
    #[arg(long, env = "DOCKMASTER_DATA", default_value = "dockmaster-data")]
    pub data: PathBuf,
}

/// What an operation is about.
#[derive(Debug, Args)]
pub struct Target {
    /// The project, or one service of it: shop, shop/web; the default project, or the only one, unless told
    #[arg(value_name = "PROJECT[/SERVICE]")]
    pub target: Option<String>,
}

/// Whether what depends on something that is down starts all the same.
#[derive(Debug, Args)]
pub struct Force {
    /// Also where something that it depends on is down
    #[arg(long)]
    pub force: bool,
}

/// What takes part in a deploy or a rollback.
#[derive(Debug, Args)]
pub struct With {
    /// Services that keep data and take part all the same
    #[arg(long, value_name = "SERVICE,..", value_delimiter = ',')]
    pub with: Vec<String>,
    /// Files that production has changed and that are replaced all the same; a directory means what is below it
    #[arg(long, value_name = "PATH,..", value_delimiter = ',')]
    pub overwrite: Vec<String>,
    /// Volumes that a service gets new and empty in the place of what it has
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub new_volume: Vec<String>,
}

/// How an operation is confirmed.
#[derive(Debug, Args)]
pub struct How {
    /// Confirm whatever the plan is; without it the plan is shown and you are asked
    #[arg(long, short)]
    pub yes: bool,
    /// Show the plan, and change nothing
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Where.
    #[command(flatten)]
    pub place: Place,
}

/// What `logs` can be told.
#[derive(Debug, Args)]
pub struct LogsArguments {
    /// What.
    #[command(flatten)]
    pub target: Target,
    /// How many lines, 1,000 at most
    #[arg(long, short = 'n', default_value_t = 50)]
    pub lines: usize,
    /// Only lines that contain this text, in any case
    #[arg(long)]
    pub grep: Option<String>,
    /// Only lines of the last so long: 90s, 10m, 2h30m, 1d
    #[arg(long)]
    pub since: Option<String>,
    /// The lines that this operation has kept of a service that failed in it
    #[arg(long, conflicts_with = "follow")]
    pub op: Option<i64>,
    /// Go on with what is written, until Ctrl-C
    #[arg(long, short)]
    pub follow: bool,
    /// Where.
    #[command(flatten)]
    pub place: Place,
}

/// What `try` can be told.
#[derive(Debug, Args)]
pub struct TryArguments {
    /// Where the sample is written
    #[arg(long, default_value = "try-data")]
    pub data: PathBuf,
    /// The port of the chat page on the loopback address; any free one unless told
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Send this text as the user, print the conversation, and exit; can be given several times
    #[arg(long)]
    pub send: Vec<String>,
}

/// What `move-data` can be told.
#[derive(Debug, Args)]
pub struct MoveArguments {
    /// Where to: a directory that is empty or is not there yet
    #[arg(value_name = "DIR")]
    pub to: PathBuf,
    /// Where dockmaster keeps its data now
    #[arg(long, env = "DOCKMASTER_DATA", default_value = "dockmaster-data")]
    pub data: PathBuf,
}

/// What `check` can be told.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// The file to check
    #[arg(long, env = "DOCKMASTER_CONFIG", default_value = "projects.json")]
    pub config: PathBuf,
    /// Another file, and show what would change from that to this
    #[arg(long, value_name = "OLD")]
    pub against: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }
}
