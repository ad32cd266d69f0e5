//! What a crash left, at start: processes still at work are ended first, then the chat is told where things stand.

use std::time::Duration;

use super::runner::stands;
use super::tools::Tools;
use crate::domain::failure::Failure;
use crate::domain::outcome::{Outcome, Verdict};
use crate::history::HistoryError;
use crate::history::operations::OperationRecord;
use crate::process;

/// How long a surviving process may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ends what is still at work for operations that never ended, and gives each an outcome.
///
/// # Errors
/// The history cannot be read or written: dockmaster must not take new operations then.
pub async fn recover(tools: &Tools) -> Result<usize, HistoryError> {
    sweep(&tools.data.join("projects"));
    let unfinished = tools.history.operations_unfinished().await?;
    let found = unfinished.len();
    for operation in unfinished {
        let survivors = process::end_survivors(&operation.mark, PATIENCE).await;
        tracing::warn!(operation = operation.id, survivors, "an operation was cut off; it is not run again by itself");
        let outcome = outcome(&operation, survivors);
        tools.history.operation_end(operation.id, outcome, (tools.clock)()).await?;
    }
    Ok(found)
}

/// Takes away what planning left when it was cut off: directories of links. What cannot be taken away does no harm.
fn sweep(projects: &std::path::Path) {
    let entries = |path: &std::path::Path| std::fs::read_dir(path).into_iter().flatten().flatten();
    for project in entries(projects) {
        for left in entries(&project.path()).filter(|e| e.file_name().to_string_lossy().starts_with("plan-")) {
            if let Err(error) = std::fs::remove_dir_all(left.path()) {
                tracing::warn!(%error, "a directory of links was left behind");
            }
        }
    }
}

fn outcome(operation: &OperationRecord, survivors: usize) -> Outcome {
    let plan = &operation.plan;
    let (now, where_) = match operation.step {
        None => (stands(plan, 0, false), "before its first step".to_owned()),
        Some((at, done)) => {
            let label = plan.steps.get(at).map_or_else(String::new, crate::domain::plan::Step::label);
            (stands(plan, at, true), format!("{} the step “{label}”", if done { "after" } else { "in the middle of" }))
        }
    };
    let ended = if survivors == 0 { String::new() } else { " What was still at work for it was ended.".to_owned() };
    let failure = Failure::new(
        format!("The {} was cut off.", plan.kind().word()),
        format!("dockmaster itself was ended {where_}.{ended}"),
        format!(
            "Look at /docker_status {0}, then ask for {1} {0} again if it is still wanted.",
            plan.request.project(),
            plan.kind().command()
        ),
    );
    Outcome { verdict: Verdict::Interrupted, now, failure: Some(failure), services: Vec::new() }
}
