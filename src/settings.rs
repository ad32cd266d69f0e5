//! What the program is told from outside: flags, then environment. Named once, for help, errors and docs.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use secrecy::SecretString;

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
    /// Try it: a sample project and a chat in the browser; needs a Docker engine, no token and no account
    Try(TryArguments),
    /// Show what a deploy would do (--dry-run); changes nothing
    Deploy(DeployArguments),
    /// Show what going back to an earlier release would do (--dry-run); changes nothing
    Rollback(RollbackArguments),
    /// Check projects.json: exit code 0 valid, 1 problems, 2 unreadable
    Check(CheckArguments),
    /// Print the JSON Schema of projects.json
    Schema,
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
}

/// What `deploy` can be told.
#[derive(Debug, Args)]
pub struct DeployArguments {
    /// The project; the default one, or the only one, unless told
    pub project: Option<String>,
    /// How it is to be planned.
    #[command(flatten)]
    pub plan: PlanArguments,
}

/// What `rollback` can be told.
#[derive(Debug, Args)]
pub struct RollbackArguments {
    /// The project; the default one, or the only one, unless told
    pub project: Option<String>,
    /// The number of the release; the one before the current one unless told
    #[arg(value_parser = clap::value_parser!(i64).range(0..))]
    pub release: Option<i64>,
    /// How it is to be planned.
    #[command(flatten)]
    pub plan: PlanArguments,
}

/// What every plan can be told.
#[derive(Debug, Args)]
pub struct PlanArguments {
    /// Print the plan that the chat would show, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Services that keep data and take part all the same
    #[arg(long, value_name = "SERVICE,..", value_delimiter = ',')]
    pub with: Vec<String>,
    /// Print the plan as JSON
    #[arg(long)]
    pub json: bool,
    /// The file that says which projects there are and who may do what
    #[arg(long, env = "DOCKMASTER_CONFIG", default_value = "projects.json")]
    pub config: PathBuf,
    /// Where the dockmaster that runs keeps what must outlive it; it is only read
    #[arg(long, env = "DOCKMASTER_DATA", default_value = "dockmaster-data")]
    pub data: PathBuf,
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

/// What `check` can be told.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// The file to check
    #[arg(long, env = "DOCKMASTER_CONFIG", default_value = "projects.json")]
    pub config: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// A setting that is missing or wrong: one sentence that says how to give it. Exit code 2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadSetting(pub String);

/// The bot's token: `TELOXIDE_TOKEN`, or the content of the file that `TELOXIDE_TOKEN_FILE` names.
///
/// # Errors
/// Neither is given, or what is given cannot be a token.
pub fn token(variable: impl Fn(&str) -> Option<String>) -> Result<SecretString, BadSetting> {
    let given = match (variable("TELOXIDE_TOKEN"), variable("TELOXIDE_TOKEN_FILE")) {
        (Some(token), _) => token,
        (None, Some(file)) => std::fs::read_to_string(&file)
            .map_err(|e| BadSetting(format!("TELOXIDE_TOKEN_FILE names {file}, which cannot be read: {e}.")))?,
        (None, None) => {
            return Err(BadSetting(
                "There is no bot token: get one from @BotFather and give it as TELOXIDE_TOKEN, or as a file named by TELOXIDE_TOKEN_FILE."
                    .to_owned(),
            ));
        }
    };
    let token = given.trim();
    let (id, secret) = token.split_once(':').unwrap_or_default();
    let plausible = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()) && secret.len() >= 10;
    if !plausible || token.contains(|c: char| c.is_whitespace() || c == '/' || c == '?' || c == '#') {
        return Err(BadSetting("The bot token does not look like one: @BotFather gives something like 123456789:AAE….".to_owned()));
    }
    Ok(SecretString::from(token.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn a_token_is_asked_for_in_one_sentence() {
        let missing = token(|_| None).unwrap_err();
        assert!(missing.0.contains("TELOXIDE_TOKEN") && missing.0.contains("@BotFather"), "{missing}");
        for bad in ["", "abc", "123:short", "123:abcdefghijk/../x", "12 3:abcdefghijkl"] {
            let shown = token(|name| (name == "TELOXIDE_TOKEN").then(|| bad.to_owned())).unwrap_err().0;
            assert!(bad.len() < 3 || !shown.contains(bad), "a wrong token is not repeated: {shown}");
        }
        let good = token(|name| (name == "TELOXIDE_TOKEN").then(|| " 123456:abcdefghijkl\n".to_owned())).unwrap();
        assert_eq!(good.expose_secret(), "123456:abcdefghijkl");
    }

    #[test]
    fn the_arguments_are_consistent() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }
}
