//! Copying the workspace aside, and bringing the copy into production.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::promotion::{Job, empty_directory};
use super::rsync;
use super::rules::Rules;
use super::tree::words;
use crate::domain::failure::Failure;
use crate::domain::manifest::{Changes, Manifest};
use crate::domain::text::duration;
use crate::process::{self, Invocation, MARK, ProcessError, TAIL_LINES};

/// How long one run of rsync may take.
pub const LIMIT: Duration = Duration::from_secs(30 * 60);

const STAGING: &str = "The workspace could not be copied aside.";
const PROMOTING: &str = "The files could not be brought into production.";

/// What is brought into production, and how that is judged.
#[derive(Debug, Clone, Copy)]
pub struct Promotion<'a> {
    /// The staged copy.
    pub stage: &'a Path,
    /// Production.
    pub production: &'a Path,
    /// What was confirmed.
    pub changes: &'a Changes,
    /// The staged copy's manifest: what production has to hold afterwards.
    pub new: &'a Manifest,
    /// What the last release put into production, where there was one.
    pub owned: Option<&'a Manifest>,
    /// What is left alone.
    pub rules: &'a Rules,
    /// The operation's mark, for the environment of its processes.
    pub mark: &'a str,
}

impl Promotion<'_> {
    fn job(&self) -> Result<Arc<Job>, Failure> {
        Ok(Arc::new(Job {
            what: PROMOTING,
            production: absolute(PROMOTING, self.production)?,
            changes: self.changes.clone(),
            new: self.new.clone(),
            owned: self.owned.cloned(),
            rules: self.rules.clone(),
        }))
    }
}

/// What a promotion came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promoted {
    /// Files and links that were copied.
    pub copied: usize,
    /// Files and links that were deleted.
    pub deleted: usize,
}

/// How rsync is run.
struct Rsync<'a> {
    program: &'a Path,
    what: &'static str,
    limit: Duration,
    mark: &'a str,
    cancel: &'a CancellationToken,
}

/// Copies what the manifest lists from the workspace into `stage`, which is emptied first. Whether the copy is what was
/// confirmed is for the caller to compare.
///
/// # Errors
/// It could not be copied; `stage` holds a part of it then, and nothing else was touched.
pub async fn stage(
    workspace: &Path,
    stage: &Path,
    manifest: &Manifest,
    mark: &str,
    on_line: &mut (dyn FnMut(&str) + Send),
    cancel: &CancellationToken,
) -> Result<(), Failure> {
    let rsync = Rsync { program: Path::new(rsync::PROGRAM), what: STAGING, limit: LIMIT, mark, cancel };
    stage_with(&rsync, workspace, stage, manifest, on_line).await
}

async fn stage_with(
    rsync: &Rsync<'_>,
    workspace: &Path,
    stage: &Path,
    manifest: &Manifest,
    on_line: &mut (dyn FnMut(&str) + Send),
) -> Result<(), Failure> {
    let workspace = absolute(STAGING, workspace)?;
    let (stage, apart_from) = (stage.to_owned(), workspace.clone());
    let stage = blocking(STAGING, move || empty_directory(STAGING, &stage, &apart_from)).await?;
    let args = rsync::staging(&workspace, &stage);
    rsync.copy(&args, rsync::list(manifest.0.keys()), on_line).await
}

/// Whether the way is free: refuses what [`promote`] would refuse, so that it can be said before anything is staged or
/// built. Changes nothing; `stage` need not be there yet.
///
/// # Errors
/// Something is in the way that is not ours.
pub async fn check(promotion: &Promotion<'_>) -> Result<(), Failure> {
    on(&promotion.job()?, Job::prepare).await.map(drop)
}

/// Brings the staged copy into production: refuses before anything is changed where something is in the way that is not
/// ours, copies, deletes what only the last release had, and compares.
///
/// # Errors
/// It was refused, or failed half way: the failure says what is there now.
pub async fn promote(promotion: &Promotion<'_>, on_line: &mut (dyn FnMut(&str) + Send)) -> Result<Promoted, Failure> {
    // Never cancelled: a promotion that has begun is finished or undone, not dropped.
    let never = CancellationToken::new();
    let mark = promotion.mark;
    let rsync = Rsync { program: Path::new(rsync::PROGRAM), what: PROMOTING, limit: LIMIT, mark, cancel: &never };
    promote_with(&rsync, promotion, on_line).await
}

async fn promote_with(rsync: &Rsync<'_>, promotion: &Promotion<'_>, on_line: &mut (dyn FnMut(&str) + Send)) -> Result<Promoted, Failure> {
    let stage = absolute(PROMOTING, promotion.stage)?;
    let job = promotion.job()?;
    let work = Arc::new(on(&job, Job::prepare).await?);
    let with_work = Arc::clone(&work);
    let scratch = on(&job, move |job| job.clear(&with_work)).await?;
    let copied = if work.copy.is_empty() {
        Ok(())
    } else {
        let args = rsync::promotion(&stage, &job.production, &scratch);
        let list = rsync::list(&work.copy);
        rsync.copy(&args, list, &mut |line| report(line, on_line)).await
    };
    // Before anything else is said: whatever happened, our own scratch is not left in production.
    let swept = on(&job, Job::sweep).await;
    if let Err(mut failure) = copied {
        let arrived = on(&job, move |job| Ok(job.arrived(&work))).await?;
        failure.why = format!("{} {arrived}", failure.why);
        return Err(failure);
    }
    swept?;
    let deleted = on(&job, Job::delete).await?;
    for path in &promotion.changes.deleted {
        on_line(&format!("deleted {path}"));
    }
    on(&job, Job::verify).await?;
    Ok(Promoted { copied: work.files, deleted })
}

/// Passes on what a line of rsync's says about a file.
fn report(line: &str, on_line: &mut (dyn FnMut(&str) + Send)) {
    match rsync::parse_line(line) {
        Some(name) => on_line(&format!("copied {name}")),
        None if rsync::is_about_a_file(line) => {}
        None => on_line(line),
    }
}

impl Rsync<'_> {
    /// Runs rsync, once more where something vanished on the way.
    async fn copy(&self, args: &[OsString], list: Vec<u8>, on_line: &mut (dyn FnMut(&str) + Send)) -> Result<(), Failure> {
        let invocation = Invocation::new(self.program)
            .args(args)
            .stdin(list)
            .limit(self.limit)
            .environment(MARK, self.mark)
            // Its messages are read.
            .environment("LC_ALL", "C")
            .stdout_lines();
        let mut again = true;
        loop {
            let mut said = VecDeque::new();
            let mut hear = |line: &str| {
                if !rsync::is_about_a_file(line) {
                    if said.len() == TAIL_LINES {
                        said.pop_front();
                    }
                    said.push_back(line.to_owned());
                }
                on_line(line);
            };
            let finished = process::run(&invocation, &mut hear, self.cancel).await;
            let said: Vec<String> = said.into();
            match finished {
                Ok(finished) if finished.success() => return Ok(()),
                Ok(finished) if again && rsync::vanished(finished.code, &said) => again = false,
                Ok(finished) => return Err(rsync::failure(self.what, finished.code, &said)),
                Err(error) => return Err(self.failure(error, said)),
            }
        }
    }

    fn failure(&self, error: ProcessError, said: Vec<String>) -> Failure {
        let what = self.what;
        match error {
            ProcessError::NotFound { .. } => rsync::missing(what),
            ProcessError::TimedOut { limit, .. } => {
                let limit = duration(i64::try_from(limit.as_millis()).unwrap_or(i64::MAX));
                let why = format!("rsync took longer than {limit} and was ended.");
                Failure::new(what, why, "See whether the disk is slow or there is more than is meant, and ask again.").with_lines(said)
            }
            ProcessError::Cancelled { .. } => Failure::new(what, "It was cancelled.", "Ask again when it suits."),
            other => Failure::new(what, format!("{other}."), "Mend that and ask again.").with_lines(said),
        }
    }
}

fn absolute(what: &str, path: &Path) -> Result<PathBuf, Failure> {
    path.canonicalize().map_err(|error| {
        let errno = rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO);
        Failure::new(what, format!("{} cannot be opened: {}.", path.display(), words(errno)), "Mend that and ask again.")
    })
}

/// Something about a promotion, on a thread that may block.
async fn on<T: Send + 'static>(job: &Arc<Job>, work: impl FnOnce(&Job) -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    let job = Arc::clone(job);
    blocking(PROMOTING, move || work(&job)).await
}

async fn blocking<T: Send + 'static>(what: &str, work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|died| {
        Err(Failure::new(what, format!("The work on its files died: {died}."), "See dockmaster's log, and ask again."))
    })
}

#[cfg(test)]
mod tests;
