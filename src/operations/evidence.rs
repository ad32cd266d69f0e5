//! Why a service failed: the last lines of its log, told with the failure and kept with the operation.

use std::pin::pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt};

use super::deploy::production_only;
use super::recorder::Recorder;
use super::tools::Tools;
use crate::domain::container::{Container, Health};
use crate::domain::failure::{Failure, LINES_MAX};
use crate::domain::project::{Project, ProjectName};
use crate::domain::text::capital;
use crate::domain::untrusted::UntrustedText;
use crate::engine::docker::{EngineError, RawLine};
use crate::engine::passing::{UNSTUCK, is_stuck};
use crate::history::logs::KeptLine;

/// How many lines of a service are kept with an operation.
const LINES_KEPT: usize = 200;
/// How long an engine may take to give lines: one that does not end its answer must not hold up the news.
const READ_LIMIT: Duration = Duration::from_secs(5);

/// Why a container is not up, with the lines that say so; more of them are kept with the operation: an automatic rollback takes
/// the container away.
pub(super) async fn failed(tools: &Tools, project: &Project, container: &Container, seen: &str, recorder: &Recorder) -> Failure {
    let mut lines = last_lines(tools.log(container, LINES_KEPT, None, false), container).await;
    // An outcome is kept as well as they are.
    let hidden = hide(tools, project, &mut lines).await;
    let mut failure = failure(&project.name, container, seen, &lines);
    let (operation, _) = recorder.operation();
    if hidden && !lines.is_empty() && keep(tools, container, lines, operation).await {
        failure.next =
            format!("Its log is kept: /docker_logs {}/{} op={operation}. Fix it and ask again.", project.name, container.service);
    }
    failure
}

/// The same where nothing is kept.
pub(super) async fn failure_of(
    log: impl Stream<Item = Result<RawLine, EngineError>>,
    project: &ProjectName,
    container: &Container,
    seen: &str,
) -> Failure {
    let lines = last_lines(log, container).await;
    failure(project, container, seen, &lines)
}

async fn last_lines(log: impl Stream<Item = Result<RawLine, EngineError>>, container: &Container) -> Vec<RawLine> {
    let mut lines = Vec::new();
    let mut log = pin!(log);
    let read = async {
        while let Some(Ok(line)) = log.next().await {
            lines.push(line);
        }
    };
    if tokio::time::timeout(READ_LIMIT, read).await.is_err() {
        tracing::warn!(container = container.name, "its log could not be read in time");
    }
    lines
}

/// Leaves the values of `.env` out of lines; false where they are not known.
async fn hide(tools: &Tools, project: &Project, lines: &mut [RawLine]) -> bool {
    match production_only(tools, project).await {
        Ok(Some(config)) => {
            let hidden = config.resolved.hidden_environment();
            lines.iter_mut().for_each(|line| line.text = hidden.hide(&line.text));
            true
        }
        Ok(None) => true,
        Err(failure) => {
            tracing::warn!(project = %project.name, why = %failure, "the log of what failed is not kept: it is not known what to hide in it");
            false
        }
    }
}

async fn keep(tools: &Tools, container: &Container, lines: Vec<RawLine>, operation: i64) -> bool {
    let lines = lines.into_iter().map(|line| KeptLine { at: line.at, text: line.text }).collect();
    let kept = tools.history.log_keep(operation, container.service.clone(), lines).await;
    kept.inspect_err(|error| tracing::warn!(operation, %error, "the log of what failed could not be kept")).is_ok()
}

fn failure(project: &ProjectName, container: &Container, seen: &str, lines: &[RawLine]) -> Failure {
    let why = match (&container.health_output, container.error.is_empty()) {
        (_, false) => format!("It is {seen}; the engine says: {}.", UntrustedText::from(container.error.trim_end_matches('.'))),
        (Some(output), _) if container.health == Health::Unhealthy && container.runs() => {
            format!("It is {seen}; its health check says: {}.", UntrustedText::from(output))
        }
        _ if seen.starts_with("not ") || seen.starts_with("unhealthy") => format!("It is {seen}."),
        _ => format!("{}.", capital(seen)),
    };
    let next = match is_stuck(&container.error) {
        true => UNSTUCK.to_owned(),
        false => format!("Read its log with /docker_logs {project}/{}, fix it, and ask again.", container.service),
    };
    let what = match container.purpose.is_to_end() && !container.runs() {
        true => format!("{} failed.", container.service),
        false => format!("{} did not come up.", container.service),
    };
    let last = lines.iter().skip(lines.len().saturating_sub(LINES_MAX)).map(|line| line.text.clone());
    Failure::new(what, why, next).with_lines(last)
}
