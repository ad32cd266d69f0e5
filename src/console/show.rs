//! What only shows something.

use std::io;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{Console, Exit, Stop, for_terminal};
use crate::domain::health::{Health, Part};
use crate::domain::project::ProjectName;
use crate::domain::status::{Busy, ProjectStatus};
use crate::domain::text::{Text, duration};
use crate::domain::untrusted::{UntrustedText, is_invisible, visible};
use crate::domain::volumes::ProjectVolumes;
use crate::domain::words::{self, HistoryRow, LogHeading, RawLine, ReleaseRow};
use crate::http::dto::{LogAsk, LogLines, Projects};
use crate::operations::logs::LogLine;

/// How many projects are asked at once for an overview.
const ASKED_AT_ONCE: usize = 8;
/// How long the question whether all is well may take.
const HEALTH_LIMIT: Duration = Duration::from_secs(5);

/// The answer of a command that shows something.
type Shown = Result<Exit, Stop>;

impl Console<'_> {
    /// The projects that there are.
    pub(super) async fn projects(&self) -> Result<Projects, Stop> {
        Ok(self.client.get("/projects").await?)
    }

    pub(super) fn print(&mut self, text: &Text) -> io::Result<()> {
        writeln!(self.out, "{}", visible(&for_terminal(text.to_plain().trim_end())))
    }

    pub(super) fn print_json(&mut self, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string_pretty(value)?;
        // JSON lets these stand as they are, and a terminal obeys them. They are nowhere but in strings.
        let escaped = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
        let harmless = |c: char| if c != '\n' && is_invisible(c) { escaped(c) } else { c.to_string() };
        writeln!(self.out, "{}", text.chars().map(harmless).collect::<String>())
    }

    /// How a project stands; with none named and none that is meant, or with `all`, a line each.
    ///
    /// # Errors
    /// What it came to instead.
    pub async fn status(&mut self, typed: Option<&str>, all: bool) -> Shown {
        let projects = self.projects().await?;
        if all || (typed.is_none() && projects.default.is_none()) {
            return self.overview(&projects).await;
        }
        let (project, _) = projects.target(typed, "status")?;
        let status: ProjectStatus = self.client.get(&format!("/projects/{project}/status")).await?;
        if self.json {
            self.print_json(&status)?;
        } else {
            self.print(&words::status(&status, (self.clock)()))?;
        }
        Ok(Exit::Done)
    }

    async fn overview(&mut self, projects: &Projects) -> Shown {
        let client = &self.client;
        let ask = |name: ProjectName| async move {
            let status = client.get::<ProjectStatus>(&format!("/projects/{name}/status")).await;
            (name.to_string(), status.map_err(|trouble| trouble.to_string()))
        };
        let names: Vec<ProjectName> = projects.projects.iter().filter(|p| p.enabled).map(|p| p.name.clone()).collect();
        let all: Vec<(String, Result<ProjectStatus, String>)> = stream::iter(names).map(ask).buffered(ASKED_AT_ONCE).collect().await;
        if self.json {
            let told: Vec<serde_json::Value> = all
                .iter()
                .map(|(project, status)| match status {
                    Ok(status) => serde_json::json!(status),
                    Err(problem) => serde_json::json!({ "project": project, "problem": problem }),
                })
                .collect();
            self.print_json(&told)?;
        } else {
            // In the chat the first sentence alone stands there.
            let first = |problem: &str| problem.lines().next().unwrap_or_default().to_owned();
            let told: Vec<(String, Result<ProjectStatus, String>)> =
                all.iter().map(|(project, status)| (project.clone(), status.clone().map_err(|problem| first(&problem)))).collect();
            self.print(&words::overview(&told))?;
        }
        Ok(if all.iter().all(|(_, status)| status.is_ok()) { Exit::Done } else { Exit::Failed })
    }

    /// The last lines of a log; with `follow`, those that come, until it is interrupted.
    ///
    /// # Errors
    /// What it came to instead.
    pub async fn logs(&mut self, typed: Option<&str>, ask: LogAsk, interrupted: &CancellationToken) -> Shown {
        let (project, service) = self.projects().await?.target(typed, "logs")?;
        let ask = LogAsk { service, ..ask };
        let query = form(&ask);
        let path = format!("/projects/{project}/logs?{query}");
        if ask.follow {
            return self.follow(&path, interrupted).await;
        }
        let logs: LogLines = self.client.get(&path).await?;
        if self.json {
            self.print_json(&logs)?;
            return Ok(Exit::Done);
        }
        let heading = LogHeading {
            project: project.as_str(),
            service: logs.service.as_str(),
            grep: ask.grep.as_deref(),
            cut: logs.cut,
            broken: logs.broken.as_deref(),
        };
        if logs.lines.is_empty() {
            // Beside the answer, which is empty.
            writeln!(self.err, "{}", words::no_lines(&heading, ask.since.is_some()).to_plain())?;
        }
        let lines: Vec<RawLine<'_>> = logs.lines.iter().map(|l| (l.at, l.text.as_str())).collect();
        if logs.cut {
            writeln!(self.err, "dockmaster: only the newest lines were searched")?;
        }
        if let Some(why) = logs.broken.filter(|_| !lines.is_empty()) {
            writeln!(self.err, "dockmaster: the engine cannot read older lines: {}", UntrustedText::from(why))?;
        }
        write!(self.out, "{}", words::log_file(&lines))?;
        Ok(Exit::Done)
    }

    async fn follow(&mut self, path: &str, interrupted: &CancellationToken) -> Shown {
        let mut events = self.client.events(path).await?;
        loop {
            let line: Option<LogLine> = tokio::select! {
                () = interrupted.cancelled() => return Ok(Exit::Done),
                line = events.next() => line?,
            };
            let Some(line) = line else { return Ok(Exit::Done) };
            if self.json {
                writeln!(self.out, "{}", serde_json::to_string(&line).map_err(io::Error::other)?)?;
            } else {
                write!(self.out, "{}", words::log_file(&[(line.at, line.text.as_str())]))?;
            }
            self.out.flush()?;
        }
    }

    /// The kept releases.
    ///
    /// # Errors
    /// What it came to instead.
    pub async fn releases(&mut self, typed: Option<&str>) -> Shown {
        let (project, _) = self.projects().await?.target(typed, "releases")?;
        let rows: Vec<ReleaseRow> = self.client.get(&format!("/projects/{project}/releases")).await?;
        if self.json {
            self.print_json(&rows)?
        } else {
            self.print(&words::releases(project.as_str(), &rows))?
        }
        Ok(Exit::Done)
    }

    /// The last operations.
    ///
    /// # Errors
    /// What it came to instead.
    pub async fn history(&mut self, typed: Option<&str>) -> Shown {
        let (project, _) = self.projects().await?.target(typed, "history")?;
        let rows: Vec<HistoryRow> = self.client.get(&format!("/projects/{project}/operations")).await?;
        if self.json {
            self.print_json(&rows)?
        } else {
            self.print(&words::history(project.as_str(), &rows, (self.clock)()))?
        }
        Ok(Exit::Done)
    }

    /// Where the data is.
    ///
    /// # Errors
    /// What it came to instead.
    pub async fn volumes(&mut self, typed: Option<&str>) -> Shown {
        let (project, _) = self.projects().await?.target(typed, "volumes")?;
        let volumes: ProjectVolumes = self.client.get(&format!("/projects/{project}/volumes")).await?;
        if self.json {
            self.print_json(&volumes)?
        } else {
            self.print(&words::volumes(&volumes, (self.clock)()))?
        }
        Ok(Exit::Done)
    }

    /// Ends what runs.
    ///
    /// # Errors
    /// What it came to instead.
    pub async fn cancel(&mut self, typed: Option<&str>) -> Shown {
        let (project, _) = self.projects().await?.target(typed, "cancel")?;
        let ended: Option<Busy> = self.client.post(&format!("/projects/{project}/cancel"), &()).await?;
        if self.json {
            self.print_json(&ended)?
        } else {
            self.print(&words::cancelling(project.as_str(), None, ended.as_ref()))?
        }
        Ok(Exit::Done)
    }

    /// Whether the dockmaster that runs is well.
    ///
    /// # Errors
    /// What it came to instead.
    pub async fn health(&mut self) -> Shown {
        let health: Health = self.client.get_any("/health", HEALTH_LIMIT).await?;
        if !health.parts.iter().any(|part| part.part == Part::Telegram) {
            return Err(Stop::Said(Exit::Failed, "No bot runs here; another command is at work.".to_owned()));
        }
        if self.json {
            self.print_json(&health)?;
        } else {
            for part in &health.parts {
                let (mark, seen) = match (part.well, part.heard) {
                    (true, true) => ("🟢", "heard from"),
                    (false, true) => ("🔴", "last heard from"),
                    // Until then it counts from when it was first waited for.
                    (well, false) => (if well { "🟢" } else { "🔴" }, "never heard from; first waited for"),
                };
                writeln!(self.out, "{mark} {}: {seen} {} ago", part.part.word(), duration(part.silent))?;
            }
        }
        Ok(if health.well { Exit::Done } else { Exit::Failed })
    }
}

/// A query string.
fn form(ask: &LogAsk) -> String {
    let mut pairs: Vec<(&str, String)> = vec![("follow", ask.follow.to_string())];
    pairs.extend(ask.service.as_ref().map(|s| ("service", s.to_string())));
    pairs.extend(ask.lines.map(|n| ("lines", n.to_string())));
    pairs.extend(ask.grep.as_ref().map(|text| ("grep", text.clone())));
    pairs.extend(ask.op.map(|number| ("op", number.to_string())));
    pairs.extend(ask.since.map(|seconds| ("since", seconds.to_string())));
    let escaped = |text: &str| -> String {
        let safe = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        text.bytes().map(|b| if safe(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
    };
    pairs.iter().map(|(key, value)| format!("{key}={}", escaped(value))).collect::<Vec<_>>().join("&")
}
