//! What follows each command, read into what it asks for.

use super::arguments::{Arguments, Token};
use super::{Command, ConfigCommand, Input, Unclear};
use crate::domain::names::Match;
use crate::domain::project::{ProjectName, ServiceName, Strategy};
use crate::domain::request::{Kind, ReleaseOptions, Request, overwritten};
use crate::domain::{text, words};
use crate::operations::logs::{LINES_DEFAULT, LINES_MAX, LogQuery};

pub(super) fn status(input: &Input<'_>, mut arguments: Arguments) -> Result<Command, Unclear> {
    let is_all = |t: &Token| t.raw.eq_ignore_ascii_case("all");
    let none = arguments.first().is_none();
    if none && input.config.implied().is_none() {
        return Ok(Command::Overview);
    }
    if arguments.first().is_some_and(|first| is_all(first) && !matches!(input.find(&first.raw), Match::Found(_))) {
        arguments.skip();
        return arguments.end(input).map(|()| Command::Overview);
    }
    let project = input.project(&mut arguments, |_| false)?;
    arguments.end(input).map(|()| Command::Status(project))
}

pub(super) fn of_project(input: &Input<'_>, mut arguments: Arguments, command: fn(ProjectName) -> Command) -> Result<Command, Unclear> {
    let project = input.project(&mut arguments, |_| false)?;
    arguments.end(input).map(|()| command(project))
}

fn is_number(token: &Token) -> bool {
    token.raw.strip_prefix('-').unwrap_or(&token.raw).chars().all(|c| c.is_ascii_digit())
}

pub(super) fn logs(input: &Input<'_>, mut arguments: Arguments) -> Result<Command, Unclear> {
    let target = input.target(&mut arguments, |t| is_number(t) || t.key.is_some() || t.raw.eq_ignore_ascii_case("follow"))?;
    let (mut lines, mut grep, mut since, mut operation, mut follow) = (None, None, None, None, false);
    for token in arguments.rest() {
        match token.key.as_deref() {
            Some("grep") if grep.is_none() && !token.value.is_empty() => grep = Some(token.value),
            Some("since") if since.is_none() => since = Some(text::span(&token.value).ok_or_else(|| input.unclear(&token.shown()))?),
            Some("op") if operation.is_none() => {
                let number = token.value.trim_start_matches('#').parse().ok().filter(|number| *number > 0);
                operation = Some(number.ok_or_else(|| input.unclear(&token.shown()))?);
            }
            None if token.raw.eq_ignore_ascii_case("follow") && !follow => follow = true,
            None if is_number(&token) && lines.is_none() => {
                let asked = token.raw.parse().ok().filter(|n| (1..=LINES_MAX).contains(n));
                lines = Some(asked.ok_or_else(|| Unclear::from(words::lines_out_of_range(&token.shown(), LINES_MAX)))?);
            }
            _ => return Err(input.unclear(&token.shown())),
        }
    }
    let lines = lines.unwrap_or(LINES_DEFAULT);
    let query = LogQuery { project: target.project, service: target.service, lines, grep, since, operation };
    Ok(Command::Logs { query, follow })
}

fn strategy(token: &Token) -> Option<Strategy> {
    Strategy::ALL.into_iter().find(|s| s.word().eq_ignore_ascii_case(&token.raw))
}

fn is_force(token: &Token) -> bool {
    token.raw.eq_ignore_ascii_case("force")
}

pub(super) fn lifecycle(input: &Input<'_>, mut arguments: Arguments, kind: Kind) -> Result<Command, Unclear> {
    let is_option: fn(&Token) -> bool = match kind {
        Kind::Restart => |t| strategy(t).is_some() || is_force(t),
        Kind::Start => is_force,
        _ => |_| false,
    };
    let target = input.target(&mut arguments, is_option)?;
    let (mut chosen, mut force) = (None, false);
    // In any order, each once.
    while let Some(option) = arguments.first().filter(|t| is_option(t)) {
        match strategy(option) {
            Some(typed) if chosen.is_none() => chosen = Some(typed),
            None if !force => force = true,
            _ => break,
        }
        arguments.skip();
    }
    arguments.end(input)?;
    Ok(Command::Operate(match kind {
        Kind::Start => Request::Start { target, force },
        Kind::Stop => Request::Stop(target),
        Kind::Restart | Kind::Deploy | Kind::Rollback | Kind::Tidy => Request::Restart { target, strategy: chosen, force },
    }))
}

pub(super) fn deploy(input: &Input<'_>, mut arguments: Arguments) -> Result<Command, Unclear> {
    let project = input.project(&mut arguments, |t| is_named(t) || is_force(t))?;
    let options = options(input, arguments)?;
    Ok(Command::Operate(Request::Deploy { project, options }))
}

pub(super) fn rollback(input: &Input<'_>, mut arguments: Arguments) -> Result<Command, Unclear> {
    let project = input.project(&mut arguments, |t| is_number(t) || is_named(t) || is_force(t))?;
    let mut release = None;
    if let Some(typed) = arguments.first().filter(|t| is_number(t)) {
        release = Some(typed.raw.parse().ok().filter(|n| *n >= 0).ok_or_else(|| input.unclear(&typed.shown()))?);
        arguments.skip();
    }
    let options = options(input, arguments)?;
    Ok(Command::Operate(Request::Rollback { project, release, options }))
}

/// What is left over may be of a project that is no longer configured: its name is taken as it was typed.
pub(super) fn tidy(input: &Input<'_>, mut arguments: Arguments) -> Result<Command, Unclear> {
    let typed = arguments.first().and_then(|first| ProjectName::new(&first.raw).ok());
    let project = match typed.filter(|typed| matches!(input.find(typed.as_str()), Match::Unknown(_))) {
        Some(unknown) => {
            arguments.skip();
            unknown
        }
        None => input.project(&mut arguments, |_| false)?,
    };
    arguments.end(input).map(|()| Command::Operate(Request::Tidy { project }))
}

pub(super) fn config(input: &Input<'_>, mut arguments: Arguments) -> Result<Command, Unclear> {
    let Some(word) = arguments.first().map(|first| first.raw.to_lowercase()) else { return Ok(Command::Config(ConfigCommand::Standing)) };
    let shown = arguments.first().map(Token::shown).unwrap_or_default();
    arguments.skip();
    let command = match word.as_str() {
        "status" => ConfigCommand::Standing,
        "history" => ConfigCommand::Versions,
        "reload" => ConfigCommand::Reload,
        "diff" | "rollback" => {
            let typed = arguments.first().filter(|t| is_number(t)).and_then(|t| t.raw.parse().ok());
            arguments.skip();
            let version = typed.ok_or_else(|| input.unclear(&shown))?;
            let shows = word == "diff" && arguments.first().is_some_and(|first| first.raw.eq_ignore_ascii_case("show"));
            if shows {
                arguments.skip();
            }
            if word == "diff" { ConfigCommand::Diff(version, shows) } else { ConfigCommand::Rollback(version) }
        }
        "snapshot" => {
            let why: Vec<String> = arguments.rest().into_iter().map(|token| token.raw).collect();
            ConfigCommand::Keep((!why.is_empty()).then(|| why.join(" ")))
        }
        _ => return Err(input.unclear(&shown)),
    };
    arguments.end(input).map(|()| Command::Config(command))
}

fn is_named(token: &Token) -> bool {
    matches!(token.key.as_deref(), Some("with" | "overwrite" | "new-volume"))
}

/// The services after `with=`, the paths after `overwrite=`, the volumes after `new-volume=`, and whether `force` was typed: nothing
/// else may be left.
fn options(input: &Input<'_>, mut arguments: Arguments) -> Result<ReleaseOptions, Unclear> {
    let mut named = ReleaseOptions::default();
    for token in arguments.rest() {
        if is_force(&token) {
            named.force = true;
            continue;
        }
        if !is_named(&token) || token.value.is_empty() {
            return Err(input.unclear(&token.shown()));
        }
        for name in token.value.split(',').map(str::trim).filter(|n| !n.is_empty()) {
            match token.key.as_deref() {
                Some("with") => {
                    named.with.insert(ServiceName::new(name).map_err(|_| Unclear::from(words::wrong_service(name)))?);
                }
                Some("new-volume") => {
                    named.new_volumes.insert(name.to_owned());
                }
                _ => {
                    named.overwrite.insert(overwritten(name).ok_or_else(|| Unclear::from(words::wrong_path(name)))?);
                }
            }
        }
    }
    Ok(named)
}
