//! Where a deploy comes from and goes to, and what is refused there before anything is read.

use std::path::{Path, PathBuf};

use super::super::recorder::history_failure;
use super::super::tools::Tools;
use crate::domain::failure::Failure;
use crate::domain::project::{Project, ProjectName, Source};
use crate::domain::untrusted::UntrustedText;
use crate::files::scan::Scan;
use crate::history::releases::ReleaseRecord;

/// Where the files come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Coming {
    /// The workspace, to become the next release.
    Workspace,
    /// A kept release; none means the one before the current one.
    Release(Option<i64>),
}

/// The directory of a release.
pub(in super::super) fn release_directory(tools: &Tools, project: &ProjectName, number: i64) -> PathBuf {
    tools.place(project).join("releases").join(number.to_string())
}

/// Its tree of files.
pub(in super::super) fn release_tree(tools: &Tools, project: &ProjectName, number: i64) -> PathBuf {
    release_directory(tools, project, number).join("tree")
}

/// The release that somebody wants to go back to.
pub(super) async fn wanted(tools: &Tools, project: &Project, number: Option<i64>, what: &str) -> Result<ReleaseRecord, Failure> {
    let unread = |e| history_failure(what, &e);
    let kept = tools.history.releases(project.name.clone()).await.map_err(unread)?;
    let current = kept.iter().find(|r| r.current).map(|r| r.number);
    let found = match number {
        Some(number) => kept.iter().find(|r| r.number == number),
        // One that never ran is nothing to go back to.
        None => kept.iter().find(|r| r.ran && current.is_some_and(|current| r.number < current)),
    };
    let next = format!("See /docker_releases {}.", project.name);
    let Some(found) = found else {
        let why = match number {
            Some(number) => format!("There is no release {number}, or it is no longer kept."),
            None => "There is no release before the one that it runs.".to_owned(),
        };
        return Err(Failure::new(what, why, next));
    };
    let record = tools.history.release(project.name.clone(), found.number).await.map_err(unread)?;
    record.filter(|r| release_tree(tools, &project.name, r.number).is_dir()).ok_or_else(|| {
        let why = format!("The files of release {} are gone from dockmaster's data directory.", found.number);
        Failure::new(what, why, next)
    })
}

/// The workspace (where it is to be read) and production.
pub(super) fn places(project: &Project, data: &Path, coming: Coming, what: &str) -> Result<(Option<PathBuf>, PathBuf), Failure> {
    if !matches!(project.source, Source::Compose(_)) && project.workspace.is_none() && project.production.is_none() {
        return Err(Failure::new(
            what,
            "It has neither a workspace nor production, so that there are no files to deploy.",
            format!("Name both in projects.json, or restart it: /docker_restart {}.", project.name),
        ));
    }
    let real = |path: &Option<PathBuf>, which: &str| {
        let next = format!("Correct \"{which}\" of {} in projects.json.", project.name);
        let Some(path) = path else { return Err(Failure::new(what, format!("It has no {which}."), next)) };
        path.canonicalize().ok().filter(|p| p.is_dir()).ok_or_else(|| {
            Failure::new(what, format!("Its {which} {} is not there, or is no directory.", UntrustedText::path(&path)), next)
        })
    };
    let production = real(&project.production, "production")?;
    let workspace = match coming {
        Coming::Workspace => Some(real(&project.workspace, "workspace")?),
        Coming::Release(_) => None,
    };
    if let Some(workspace) = workspace.as_ref().filter(|w| w.starts_with(&production) || production.starts_with(w)) {
        return Err(Failure::new(
            what,
            format!(
                "Workspace {} and production {} lie within each other.",
                UntrustedText::path(&workspace),
                UntrustedText::path(&production)
            ),
            "Give them directories apart in projects.json.",
        ));
    }
    if let Some(around) = workspace.iter().chain([&production]).find(|p| data.starts_with(p)) {
        return Err(Failure::new(
            what,
            format!("dockmaster's data directory {} lies within {}.", UntrustedText::path(&data), UntrustedText::path(&around)),
            "Give it a directory of its own with --data.",
        ));
    }
    Ok((workspace, production))
}

/// Compose would say of a workspace without its files that it cannot open them: here it is said what that means.
pub(super) fn files_there(project: &Project, workspace: &Path, release: Option<i64>, what: &str) -> Result<(), Failure> {
    let files: &[String] = if let Source::Compose(compose) = &project.source { &compose.files } else { &[] };
    if let Some(release) = release {
        return match files.iter().find(|file| !workspace.join(file).exists()) {
            Some(file) => Err(Failure::new(
                what,
                format!("Release {release} has no {}.", UntrustedText::from(file)),
                "Go back to another one: /docker_releases.",
            )),
            None => Ok(()),
        };
    }
    let correct = |which: &str| format!("Put the code there, or correct \"{which}\" of {} in projects.json.", project.name);
    if std::fs::read_dir(workspace).is_ok_and(|mut entries| entries.next().is_none()) {
        return Err(Failure::new(what, "The workspace is empty.", correct("workspace")));
    }
    match files.iter().find(|file| !workspace.join(file).exists()) {
        Some(file) => Err(Failure::new(what, format!("The workspace has no {}.", UntrustedText::from(file)), correct("compose.files"))),
        None => Ok(()),
    }
}

pub(super) fn writable(production: &Path, what: &str) -> Result<(), Failure> {
    rustix::fs::access(production, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).map_err(|error| {
        Failure::new(
            what,
            format!("dockmaster may not write to production {}: {error}.", UntrustedText::path(&production)),
            "Give its user the right to write there, or mount it writable, and ask again.",
        )
    })
}

/// Bytes free for us where a path lives, or where its nearest parent that is there lives.
pub(super) fn free_bytes(path: &Path) -> Option<u64> {
    let there = path.ancestors().find(|p| p.exists())?;
    let stat = rustix::fs::statvfs(there).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

pub(super) fn remarks(scan: &Scan) -> Vec<String> {
    let mut remarks = Vec::new();
    if !scan.skipped.is_empty() {
        let names = crate::domain::text::listing(scan.skipped.iter().map(|(path, why)| format!("{path} ({why})")), 3);
        remarks.push(format!("Not copied, since they are no files: {names}."));
    }
    if !scan.changing.is_empty() {
        remarks.push(format!("Being written to right now: {}.", crate::domain::text::listing(&scan.changing, 3)));
    }
    if !scan.escaping.is_empty() {
        remarks.push(format!(
            "Links that point out of the workspace are copied as they are: {}.",
            crate::domain::text::listing(&scan.escaping, 3)
        ));
    }
    remarks
}
