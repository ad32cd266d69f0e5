//! What the disk has to say about a project's directories.

use std::path::{Path, PathBuf};

use super::read::At;
use super::report::{Place, Report, quote};
use super::services::container::DATABASE;
use super::values;
use super::{OnDisk, Rights};
use crate::domain::compose_files::DEFAULTS;
use crate::domain::compose_name::name_in_files;

/// A directory that a project names.
pub(super) struct Directory {
    /// As written.
    pub(super) written: PathBuf,
    /// Without symbolic links, as far as it exists.
    pub(super) real: PathBuf,
    /// Where it is named.
    pub(super) place: Place,
    /// Whether it is there.
    there: bool,
}

impl Directory {
    /// As a quotation.
    pub(super) fn shown(&self) -> String {
        quote(&self.written.to_string_lossy())
    }
}

/// The disk as one project sees it.
pub(super) struct Disk<'d> {
    /// Tells what a path is.
    pub(super) ask: &'d dyn Fn(&Path) -> OnDisk,
    /// Reads a file; none where it cannot be read.
    pub(super) read: &'d dyn Fn(&Path) -> Option<String>,
    /// Whether what is missing is a problem, or just doubtful.
    pub(super) strict: bool,
}

impl Disk<'_> {
    /// Tells of what the disk says.
    pub(super) fn tell(&self, report: &mut Report, place: &Place, found: String, expected: &str) {
        if self.strict { report.problem(place, found, expected) } else { report.warning(place, found, expected) }
    }

    /// A directory that must be there.
    pub(super) fn directory(&self, report: &mut Report, at: &At<'_>) -> Option<Directory> {
        let written = at.parse(report, values::directory)?;
        let place = at.place();
        let state = (self.ask)(&written);
        match &state {
            OnDisk::Directory(real) => {
                // What is known by its database, wherever it is.
                let is_data = |path: &&Path| matches!((self.ask)(&path.join(DATABASE)), OnDisk::File(rights) if rights.readable);
                if let Some(data) = real.ancestors().find(is_data) {
                    let found = format!("{}, in the data directory of a dockmaster ({})", at.shown(), data.display());
                    self.tell(report, &place, found, "a directory of its own");
                }
            }
            OnDisk::Missing => self.tell(report, &place, format!("{}, which does not exist", at.shown()), "an existing directory"),
            OnDisk::File(_) => self.tell(report, &place, format!("{}, which is not a directory", at.shown()), "a directory"),
            OnDisk::Unclear(why) => {
                let found = format!("{}, which cannot be examined ({why})", at.shown());
                report.warning(&place, found, "a directory that this user may read");
            }
        }
        let real = if let OnDisk::Directory(real) = &state { real.clone() } else { self.real(&written) };
        Some(Directory { written, real, place, there: matches!(state, OnDisk::Directory(_)) })
    }

    /// A file that must be there, in one of some places: which it is, and who may do what with it.
    pub(super) fn file(&self, report: &mut Report, place: &Place, shown: &str, places: &[PathBuf], expected: &str) -> Option<Rights> {
        let states: Vec<OnDisk> = places.iter().map(|path| (self.ask)(path)).collect();
        let found = match states.iter().find(|state| **state != OnDisk::Missing) {
            Some(OnDisk::File(rights)) => return Some(*rights),
            Some(OnDisk::Unclear(why)) => {
                report.warning(place, format!("{shown}, which cannot be examined ({why})"), expected);
                return None;
            }
            Some(_) => format!("{shown}, which is a directory"),
            None => format!("{shown}, which does not exist"),
        };
        self.tell(report, place, found, expected);
        None
    }

    /// A file that this user must be able to read.
    pub(super) fn readable(&self, report: &mut Report, place: &Place, shown: &str, places: &[PathBuf]) -> Option<Rights> {
        const EXPECTED: &str = "a file that this user may read";
        let rights = self.file(report, place, shown, places, EXPECTED)?;
        if !rights.readable {
            self.tell(report, place, format!("{shown}, which cannot be read"), EXPECTED);
        }
        Some(rights)
    }

    /// A path that does not exist, without the symbolic links of the part that does.
    fn real(&self, path: &Path) -> PathBuf {
        for ancestor in path.ancestors().skip(1) {
            if let (OnDisk::Directory(real), Ok(rest)) = ((self.ask)(ancestor), path.strip_prefix(ancestor)) {
                return real.join(rest);
            }
        }
        path.to_owned()
    }

    /// Workspace and production must not touch: a deploy would copy one into itself.
    pub(super) fn apart(&self, report: &mut Report, workspace: Option<&Directory>, production: Option<&Directory>) {
        let (Some(workspace), Some(production)) = (workspace, production) else { return };
        let relation = match () {
            () if workspace.real == production.real => "is",
            () if workspace.real.starts_with(&production.real) => "lies inside",
            () if production.real.starts_with(&workspace.real) => "holds",
            () => return,
        };
        let found = format!("{}, which {relation} the production directory", workspace.shown());
        report.problem(&workspace.place, found, "a directory outside production, and production outside it");
    }

    /// The name that a compose project's own files give it: those of production, or while it has none, of the workspace.
    pub(super) fn compose_name(
        &self,
        files: &[(String, Place)],
        workspace: Option<&Directory>,
        production: Option<&Directory>,
    ) -> Option<String> {
        let read = |directory: &Directory, file: &str| (self.read)(&directory.written.join(file));
        let environment = production.and_then(|directory| read(directory, ".env"));
        let all = |directory: &Directory| files.iter().map(|(file, _)| read(directory, file)).collect::<Option<Vec<String>>>();
        let texts = production.and_then(all).or_else(|| workspace.and_then(all)).unwrap_or_default();
        let (name, _) = name_in_files(environment.as_deref(), &texts)?;
        values::compose_name(&name).ok()
    }

    /// The compose file that Compose would find by itself: the workspace's, or production's where that has none.
    pub(super) fn default_compose_file(&self, workspace: Option<&Directory>, production: Option<&Directory>) -> Option<&'static str> {
        let is_there = |directory: &Directory, name: &str| matches!((self.ask)(&directory.written.join(name)), OnDisk::File(_));
        let directories = [workspace, production].into_iter().flatten();
        directories.into_iter().find_map(|directory| DEFAULTS.into_iter().find(|name| is_there(directory, name)))
    }

    /// A compose file must be in the workspace or in production.
    pub(super) fn compose_file(
        &self,
        report: &mut Report,
        file: &str,
        place: &Place,
        workspace: Option<&Directory>,
        production: Option<&Directory>,
    ) {
        // A directory that is missing was told of; that its files are missing, too, is no news.
        let there: Vec<&Directory> = [workspace, production].into_iter().flatten().filter(|d| d.there).collect();
        let found = |d: &&Directory| matches!((self.ask)(&d.written.join(file)), OnDisk::File(_) | OnDisk::Unclear(_));
        if !there.is_empty() && !there.iter().any(found) {
            let searched: Vec<String> = there.iter().map(|d| d.shown()).collect();
            self.tell(report, place, format!("{}, which is not in {}", quote(file), searched.join(" or ")), "a compose file that is there");
        }
    }
}
