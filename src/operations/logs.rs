//! Logs of a service: the last lines, or as they come.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;

use super::recorder::history_failure;
use super::tools::Tools;
use crate::domain::Millis;
use crate::domain::container::Container;
use crate::domain::failure::Failure;
use crate::domain::names::{Match, find, offer};
use crate::domain::project::{Project, ProjectName, ServiceName};
use crate::domain::text::listing;
use crate::engine::docker::EngineError;
pub use crate::engine::docker::RawLine as LogLine;
use crate::history::logs::KeptLine;

/// How many lines are shown unless told otherwise.
pub const LINES_DEFAULT: usize = 50;
/// How many lines can be asked for.
pub const LINES_MAX: usize = 1_000;
/// How many lines are searched for a text.
const SEARCHED: usize = 20_000;
/// How many entries of the engine's a long line is taken for: a megabyte is 61.
const LONG_LINE: usize = 64;
/// How far apart the times of the parts of one long line may be, in milliseconds.
const AT_ONCE: Millis = 1_000;
/// How long reading a log may take.
const READ_LIMIT: Duration = Duration::from_secs(20);
/// How many lines of a followed log wait for their reader; what comes faster waits in the engine.
const FOLLOW_QUEUE: usize = 256;

/// What somebody wants to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogQuery {
    /// The project.
    pub project: ProjectName,
    /// The service; none means the primary one.
    pub service: Option<ServiceName>,
    /// How many of the last lines, at most [`LINES_MAX`].
    pub lines: usize,
    /// Only lines that contain this text, without regard to case.
    pub grep: Option<String>,
    /// Only lines since this long ago.
    pub since: Option<Duration>,
    /// The operation whose kept lines are meant, of a service that failed in it; none means the log as it is now.
    pub operation: Option<i64>,
}

/// The last lines of a service's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logs {
    /// Whose.
    pub service: ServiceName,
    /// Oldest first.
    pub lines: Vec<LogLine>,
    /// Whether older lines were left out of a search because there are too many.
    pub cut: bool,
    /// Why the engine cannot read older lines, where it cannot: they are damaged.
    pub broken: Option<String>,
}

/// The container whose log is meant: of the named service, else of the primary, else of the only one.
pub(super) async fn container(tools: &Tools, project: &Project, wanted: Option<&ServiceName>) -> Result<Container, Failure> {
    let what = "The log cannot be read.";
    let containers = tools.glance(project).await.map_err(|e| e.failure(what))?;
    let mut names: Vec<&ServiceName> = containers.iter().map(|c| &c.service).collect();
    names.sort();
    names.dedup();
    let known = || names.iter().map(|n| n.as_str());
    let name = match wanted.or(project.primary.as_ref()) {
        Some(name) => match find(name.as_str(), known()) {
            Match::Found(name) => name,
            Match::Unknown(_) if names.is_empty() => return Err(nothing(what, project)),
            Match::Unknown(_) => {
                // A configured primary service may have no container just now.
                let why = format!("{} has no container of a service “{name}”.", project.name);
                return Err(Failure::new(what, why, offer(name.as_str(), known())));
            }
        },
        None => match names.as_slice() {
            [only] => only.as_str(),
            [] => return Err(nothing(what, project)),
            _ => {
                let why = format!("{} has several services and no primary one.", project.name);
                let next = format!("Name one, as in /docker_logs {}/{}; there are {}.", project.name, names[0], listing(known(), 10));
                return Err(Failure::new(what, why, next));
            }
        },
    };
    let found = containers.iter().filter(|c| c.service.as_str() == name).max_by_key(|c| (c.is_up(), c.started)).cloned();
    found.ok_or_else(|| nothing(what, project))
}

fn nothing(what: &str, project: &Project) -> Failure {
    Failure::new(what, format!("{} has no containers.", project.name), format!("Bring it up with /docker_start {} first.", project.name))
}

/// Reads the lines that an operation has kept of a service that failed in it.
async fn kept(tools: &Tools, project: &Project, query: &LogQuery, operation: i64) -> Result<Logs, Failure> {
    let what = "The log cannot be read.";
    let unread = |e| history_failure(what, &e);
    let record = tools.history.operation(operation).await.map_err(unread)?;
    if record.is_none_or(|record| *record.plan.request.project() != project.name) {
        let why = format!("{} has no operation {operation}, or it is no longer known.", project.name);
        return Err(Failure::new(what, why, format!("See /docker_history {}.", project.name)));
    }
    let services = tools.history.log_services(operation).await.map_err(unread)?;
    let known = || services.iter().map(String::as_str);
    let nothing = |why: String, next: String| Failure::new(what, why, next);
    let name = match query.service.as_ref().or(project.primary.as_ref()).map(|name| find(name.as_str(), known())) {
        _ if services.is_empty() => {
            let next = format!("The log as it is now: /docker_logs {}.", project.name);
            return Err(nothing(format!("Nothing failed in operation {operation} whose log was kept."), next));
        }
        Some(Match::Found(name)) => name.to_owned(),
        // Whichever it has, where none was named.
        _ if query.service.is_none() && services.len() == 1 => services[0].clone(),
        _ => {
            return Err(nothing(
                format!("Operation {operation} has kept no log of that."),
                format!("It has those of {}.", listing(known(), 10)),
            ));
        }
    };
    let service =
        ServiceName::new(&name).map_err(|e| nothing(format!("It was kept under a bad name: {e}."), "Report this as a bug.".to_owned()))?;
    let lines = tools.history.log_of(operation, service.clone()).await.map_err(unread)?.unwrap_or_default();
    let grep = query.grep.as_ref().map(|text| text.to_lowercase());
    let since = query.since.map(|ago| (tools.clock)().saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX)));
    let is_meant = |line: &KeptLine| {
        grep.as_ref().is_none_or(|g| line.text.to_lowercase().contains(g)) && since.is_none_or(|since| line.at.is_none_or(|at| at >= since))
    };
    let mut lines: Vec<LogLine> =
        lines.into_iter().filter(is_meant).map(|line| LogLine { at: line.at, text: line.text, frames: 1 }).collect();
    lines.drain(..lines.len().saturating_sub(query.lines.clamp(1, LINES_MAX)));
    Ok(Logs { service, lines, cut: false, broken: None })
}

/// Reads the last lines.
pub(super) async fn read(tools: &Tools, project: &Project, query: &LogQuery) -> Result<Logs, Failure> {
    if let Some(operation) = query.operation {
        return kept(tools, project, query, operation).await;
    }
    let container = container(tools, project, query.service.as_ref()).await?;
    let what = "The log cannot be read.";
    match tokio::time::timeout(READ_LIMIT, enough(tools, &container, query)).await {
        Ok(Ok(found)) => Ok(Logs { service: container.service, lines: found.lines, cut: found.cut, broken: found.broken }),
        Ok(Err(error)) => Err(error.failure(what)),
        Err(_) => Err(EngineError::Away("it took too long".into()).failure(what)),
    }
}

/// The last lines of a log, as far as they could be read.
struct Enough {
    lines: Vec<LogLine>,
    cut: bool,
    broken: Option<String>,
}

/// As many of the last lines as are wanted, and whether older ones were left out of a search. The engine counts a long
/// line as many, and begins in the middle of one: where what it gave is too little, it is asked for more.
async fn enough(tools: &Tools, container: &Container, query: &LogQuery) -> Result<Enough, EngineError> {
    let wanted = query.lines.clamp(1, LINES_MAX);
    let mut log = Log { tools, container, query, wanted, newest: None };
    log.newest = match log.last(1).await {
        Ok(read) => read.newest,
        Err(EngineError::Damaged(_)) => None,
        Err(error) => return Err(error),
    };
    let mut asked = if query.grep.is_some() { SEARCHED } else { wanted + 1 };
    loop {
        let found = match log.last(asked).await {
            Err(EngineError::Damaged(why)) => {
                let lines = log.undamaged(asked).await?;
                return Ok(Enough { lines, cut: false, broken: Some(why.raw().to_owned()) });
            }
            other => other?,
        };
        let more = found.frames >= asked;
        if query.grep.is_some() || found.seen > wanted || !more || asked >= SEARCHED {
            return Ok(Enough { lines: found.lines, cut: query.grep.is_some() && more, broken: None });
        }
        asked = asked.saturating_mul(LONG_LINE).min(SEARCHED);
    }
}

/// A log that somebody wants to read.
struct Log<'a> {
    tools: &'a Tools,
    container: &'a Container,
    query: &'a LogQuery,
    wanted: usize,
    /// When its newest entry was written.
    newest: Option<Millis>,
}

impl Log<'_> {
    /// What is wanted of the last entries, of which so many are asked for.
    async fn last(&self, entries: usize) -> Result<Read, EngineError> {
        let stream = self.tools.log(self.container, entries, since(self.tools, self.query), false);
        let read = last(stream, self.wanted, self.query.grep.as_deref()).await?;
        // Now and then the engine says nothing of damage (26.1).
        if self.newest.is_some_and(|newest| read.newest.is_none_or(|read| read < newest - AT_ONCE)) {
            return Err(EngineError::Damaged("it ends before the newest entry".into()));
        }
        Ok(read)
    }

    /// The entries after the last damage. An engine that reads into the damage gives only what is before it, so that this searches for
    /// the greatest number of entries, below `too_many`, that it can read.
    async fn undamaged(&self, too_many: usize) -> Result<Vec<LogLine>, EngineError> {
        let (mut good, mut bad, mut lines) = (0, too_many, Vec::new());
        while bad - good > 1 {
            let asked = good + (bad - good) / 2;
            match self.last(asked).await {
                Ok(read) => (good, lines) = (asked, read.lines),
                Err(EngineError::Damaged(_)) => bad = asked,
                Err(error) => return Err(error),
            }
        }
        Ok(lines)
    }
}

fn since(tools: &Tools, query: &LogQuery) -> Option<i64> {
    let ago = i64::try_from(query.since?.as_millis()).unwrap_or(i64::MAX);
    Some((tools.clock)().saturating_sub(ago).max(0) / 1_000)
}

/// What was read of a log.
struct Read {
    lines: Vec<LogLine>,
    /// When the newest entry was written, whatever it holds.
    newest: Option<Millis>,
    seen: usize,
    frames: usize,
}

/// The last lines that hold a text, and how much was read.
async fn last(stream: impl Stream<Item = Result<LogLine, EngineError>>, wanted: usize, grep: Option<&str>) -> Result<Read, EngineError> {
    let grep = grep.map(str::to_lowercase);
    let mut kept: VecDeque<LogLine> = VecDeque::with_capacity(wanted);
    let (mut seen, mut frames, mut newest) = (0, 0, None);
    let mut stream = std::pin::pin!(stream);
    while let Some(line) = stream.next().await {
        let line = line?;
        seen += 1;
        frames += line.frames;
        newest = newest.max(line.at);
        if grep.as_ref().is_some_and(|g| !line.text.to_lowercase().contains(g)) {
            continue;
        }
        if kept.len() == wanted {
            kept.pop_front();
        }
        kept.push_back(line);
    }
    Ok(Read { lines: kept.into(), newest, seen, frames })
}

/// A log that is followed: its lines, and why there are no more where that is not the container's end.
pub type Followed = mpsc::Receiver<Result<LogLine, Failure>>;

/// Follows a log until its reader goes away or the container ends.
pub(super) async fn follow(tools: &Tools, project: &Project, query: &LogQuery) -> Result<Followed, Failure> {
    if let Some(operation) = query.operation {
        let why = format!("What operation {operation} has kept is over.");
        return Err(Failure::new("The log is not followed.", why, "Ask for it without following it."));
    }
    let container = container(tools, project, query.service.as_ref()).await?;
    let stream = tools.log(&container, query.lines.clamp(1, LINES_MAX), since(tools, query), true);
    let grep = query.grep.as_ref().map(|g| g.to_lowercase());
    let (sender, receiver) = mpsc::channel(FOLLOW_QUEUE);
    tokio::spawn(async move {
        let mut stream = std::pin::pin!(stream);
        loop {
            let next = tokio::select! {
                next = stream.next() => next,
                () = sender.closed() => break,
            };
            let is_meant = |line: &LogLine| grep.as_ref().is_none_or(|g| line.text.to_lowercase().contains(g));
            let sent = match next {
                Some(Ok(line)) if !is_meant(&line) => continue,
                Some(Ok(line)) => sender.send(Ok(line)).await,
                Some(Err(error)) => {
                    // Its reader may have gone meanwhile.
                    let _ = sender.send(Err(error.failure("The log is not followed any more."))).await;
                    break;
                }
                None => break,
            };
            if sent.is_err() {
                break;
            }
        }
    });
    Ok(receiver)
}
