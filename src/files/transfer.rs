//! Copying the workspace aside, and bringing the copy into production.

use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::cache::HashCache;
use super::promotion::Job;
use super::rsync;
use super::rules::Rules;
use super::running::{LIMIT, Rsync, absolute, blocking};
use crate::domain::Millis;
use crate::domain::failure::Failure;
use crate::domain::manifest::{Changes, Manifest, TreePath};

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
    /// The paths that services may write to: what they make of a file right after it came is no failure, and what they mount
    /// is not taken away from them.
    pub written: &'a [TreePath],
    /// The operation's mark, for the environment of its processes.
    pub mark: &'a str,
    /// What production's files are known to hold, and the time: what did not change is looked at then, and not read.
    pub known: Option<(&'a Arc<HashCache>, Millis)>,
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
            written: self.written.to_vec(),
            known: self.known.map(|(cache, _)| Arc::clone(cache)),
            now: self.known.map_or(0, |(_, now)| now),
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
        rsync.copy(&args, list, &mut |line| report(line, on_line)).await.map_err(Failure::from)
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
        on_line(&format!("deleted {}", path.written()));
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

/// Something about a promotion, on a thread that may block.
async fn on<T: Send + 'static>(job: &Arc<Job>, work: impl FnOnce(&Job) -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    let job = Arc::clone(job);
    blocking(PROMOTING, move || work(&job)).await
}

#[cfg(test)]
mod tests;
