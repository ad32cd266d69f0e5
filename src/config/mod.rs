//! `projects.json`: from its text to a [`Configuration`], with every problem at once.
//!
//! ```text
//! include (which files) -> span (JSON with places) -> read (typed readers) -> file, project (what each field may be)
//!                                                    containers, services (where a project's services come from)
//!                                                 -> paths (what the disk says), shared (what two projects may not share)
//! mask (a text without its secrets)
//! model -> schema (the JSON Schema; a test holds it against the readers) -> reference (the same for people)
//! ```
//!
//! Everything but [`read`], [`Sources::read`] and [`on_disk`] is pure: what the disk holds comes in as a function.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use crate::domain::project::Configuration;
use crate::untrusted;

mod containers;
mod file;
mod include;
mod mask;
pub mod model;
mod paths;
mod project;
mod read;
pub mod reference;
mod reload;
mod report;
pub mod schema;
mod service_values;
mod services;
mod shared;
mod span;
mod values;
mod volumes;

pub use include::{Content, Places, Sources};
pub use mask::Mask;
pub use report::Problem;
use report::{Place, Report, Written};

/// What a path is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnDisk {
    /// Nothing is there.
    Missing,
    /// Something that is no directory, and who may do what with it.
    File(Rights),
    /// A directory; this is its path without symbolic links.
    Directory(PathBuf),
    /// It could not be found out, for this reason.
    Unclear(String),
}

/// Who may do what with a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rights {
    /// Whether it is an ordinary file that this user may read.
    pub readable: bool,
    /// Whether it is an ordinary file that this user may start.
    pub executable: bool,
    /// Whether everybody may read it.
    pub open: bool,
}

/// What became of a configuration's text.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The configuration, where there are no problems.
    pub configuration: Option<Configuration>,
    /// What is wrong, in the order of the file.
    pub problems: Vec<Problem>,
    /// What is doubtful but legal, in the order of the file.
    pub warnings: Vec<Problem>,
    /// Whether a file breaks off, as one does that is being written.
    pub unfinished: bool,
}

/// A configuration file that could not be read at all.
#[derive(Debug, thiserror::Error)]
pub struct Unreadable {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub why: io::Error,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.why.kind() {
            io::ErrorKind::NotFound => write!(f, "{path} does not exist"),
            io::ErrorKind::PermissionDenied => write!(f, "{path} may not be read by this user"),
            io::ErrorKind::IsADirectory => write!(f, "{path} is a directory, not a configuration"),
            _ => write!(f, "{path} cannot be read ({})", self.why),
        }
    }
}

/// Checks a configuration in one text, asking `disk` what its paths are.
pub fn check(text: &str, disk: &dyn Fn(&Path) -> OnDisk) -> Checked {
    check_sources(&Sources::alone(text), disk)
}

/// The machine that a configuration is checked on.
#[derive(Clone, Copy)]
pub struct Machine<'a> {
    /// Tells what a path is.
    pub disk: &'a dyn Fn(&Path) -> OnDisk,
    /// Reads a file that names a compose project; none where it cannot be read.
    pub read: &'a dyn Fn(&Path) -> Option<String>,
    /// What runs already.
    pub running: &'a ComposeProjects,
}

/// Reads and checks a file and those that it includes. Blocks on the disk: call it where that is allowed.
///
/// # Errors
/// A file that cannot be read.
pub fn read(path: &Path) -> Result<Checked, Unreadable> {
    Sources::read(path).map(|sources| check_here(&sources, &on_disk))
}

/// The names of the compose projects that have containers, by the directory that they were made in.
pub type ComposeProjects = BTreeMap<PathBuf, BTreeSet<String>>;

/// Checks a configuration, asking `disk` what its paths are. No file is read: each compose project has the name that the configuration
/// gives it, or that of the project.
pub fn check_sources(sources: &Sources, disk: &dyn Fn(&Path) -> OnDisk) -> Checked {
    check_on(sources, &Machine { disk, read: &|_| None, running: &ComposeProjects::new() })
}

/// As [`check_sources`], with the names that compose files and `.env` of this machine give projects. Blocks on the disk.
pub fn check_here(sources: &Sources, disk: &dyn Fn(&Path) -> OnDisk) -> Checked {
    check_beside(sources, disk, &ComposeProjects::new())
}

/// As [`check_here`], beside what runs already.
pub fn check_beside(sources: &Sources, disk: &dyn Fn(&Path) -> OnDisk, running: &ComposeProjects) -> Checked {
    check_on(sources, &Machine { disk, read: &text_of, running })
}

/// A file of this machine as text; none where it is missing, no regular file, or too large.
fn text_of(path: &Path) -> Option<String> {
    untrusted::read_text(path, untrusted::CONFIGURATION_MAX).ok()
}

/// Checks a configuration on a machine.
pub fn check_on(sources: &Sources, machine: &Machine<'_>) -> Checked {
    let mut report = Report::default();
    let files = std::iter::once((None, Ok(&sources.main)));
    let files = files.chain(sources.included.iter().map(|(name, content)| (Some(name.as_str()), content.as_ref())));
    let (mut texts, mut roots, mut base, mut unfinished) = (Vec::new(), Vec::new(), 0, false);
    for (file, content) in files {
        let (text, root) = match content {
            Ok(bytes) => document(&mut report, bytes, base, &mut unfinished),
            Err(why) => {
                // It may be on its way to another name.
                unfinished = true;
                report.problem(&Place { at: base, path: String::new() }, format!("a file that cannot be read ({why})"), "a readable file");
                ("", None)
            }
        };
        texts.push(Written { file, base, text });
        roots.push(root);
        // A place at the end of a text is not one at the beginning of the next.
        base += text.len() + 1;
    }
    let (main, included) = (roots.first().and_then(Option::as_ref), roots.get(1..).unwrap_or_default());
    let plain = main.map(include::patterns).unwrap_or_default().into_iter().filter(|pattern| pattern.plain);
    unfinished |= plain.into_iter().any(|pattern| !sources.included.keys().any(|name| pattern.takes(name)));
    let names = sources.included.keys().map(String::as_str);
    let included: Vec<_> = names.zip(included.iter().map(Option::as_ref)).collect();
    let configuration = main.and_then(|root| file::configuration(&mut report, machine, root, &included));
    let (problems, warnings) = report.finish(&texts);
    Checked { configuration: configuration.filter(|_| problems.is_empty()), problems, warnings, unfinished }
}

/// What a file says, as far as it is text, and as JSON, where it is. Notes where it breaks off.
fn document<'b>(report: &mut Report, bytes: &'b [u8], base: usize, unfinished: &mut bool) -> (&'b str, Option<span::Node>) {
    let mut refuse =
        |at: usize, found: &str, expected: &str| report.problem(&Place { at: base + at, path: String::new() }, found, expected);
    if bytes.len() > span::SIZE_MAX {
        refuse(0, "more than 1 MiB", "a smaller file");
        return ("", None);
    }
    let text = match text(bytes) {
        Ok(text) => text,
        Err((good, breaks_off)) => {
            *unfinished |= breaks_off;
            refuse(good.len(), "a byte that is not UTF-8", "a file in UTF-8");
            return (good, None);
        }
    };
    match span::parse(text, base) {
        Ok(root) => (text, Some(root)),
        Err(wrong) => {
            *unfinished |= span::breaks_off(text.get(wrong.at - base..).unwrap_or_default());
            refuse(wrong.at - base, &wrong.found, wrong.expected);
            (text, None)
        }
    }
}

/// Bytes as text; else what comes before the first byte that is none, and whether they break off there.
fn text(bytes: &[u8]) -> Result<&str, (&str, bool)> {
    // Editors on Windows put a byte order mark in front; it stands in no column.
    let without_mark = |text| str::strip_prefix(text, '\u{feff}').unwrap_or(text);
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(without_mark(text)),
        Err(wrong) => {
            let good = bytes.get(..wrong.valid_up_to()).and_then(|good| std::str::from_utf8(good).ok());
            Err((without_mark(good.unwrap_or_default()), wrong.error_len().is_none()))
        }
    }
}

/// What a path is on this machine.
pub fn on_disk(path: &Path) -> OnDisk {
    match path.metadata() {
        Ok(found) if found.is_dir() => path.canonicalize().map_or_else(|why| OnDisk::Unclear(why.to_string()), OnDisk::Directory),
        Ok(found) => {
            let may = |access| found.is_file() && rustix::fs::access(path, access).is_ok();
            let open = found.permissions().mode() & 0o004 != 0;
            OnDisk::File(Rights { readable: may(Access::READ_OK), executable: may(Access::EXEC_OK), open })
        }
        Err(why) if matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => OnDisk::Missing,
        Err(why) => OnDisk::Unclear(why.to_string()),
    }
}

/// For a configuration that was good once: nothing is looked at.
pub fn unseen(_: &Path) -> OnDisk {
    OnDisk::Unclear("not looked at".to_owned())
}

#[cfg(test)]
mod tests;
