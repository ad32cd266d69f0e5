//! `projects.json`: from its text to a [`Configuration`], with every problem at once.
//!
//! ```text
//! span (JSON with places) -> read (typed readers) -> file, project (what each field may be)
//!                                                 -> paths (what the disk says), shared (what two projects may not share)
//! model -> schema (the JSON Schema; a test holds it against the readers) -> reference (the same for people)
//! ```
//!
//! Everything but [`read`] and [`on_disk`] is pure: what the disk holds comes in as a function.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::domain::project::Configuration;

mod file;
pub mod model;
mod paths;
mod project;
mod read;
pub mod reference;
mod report;
pub mod schema;
mod shared;
mod span;
mod values;

pub use report::Problem;
use report::{Place, Report};

/// What a path is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnDisk {
    /// Nothing is there.
    Missing,
    /// Something that is no directory.
    File,
    /// A directory; this is its path without symbolic links.
    Directory(PathBuf),
    /// It could not be found out, for this reason.
    Unclear(String),
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

/// Checks a text, asking `disk` what its paths are.
pub fn check(text: &str, disk: &dyn Fn(&Path) -> OnDisk) -> Checked {
    // Editors on Windows put a byte order mark in front; it stands in no column.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut report = Report::default();
    let configuration = match span::parse(text) {
        Ok(root) => file::configuration(&mut report, disk, &root),
        Err(wrong) => {
            report.problem(&Place { at: wrong.at, path: String::new() }, wrong.found, wrong.expected);
            None
        }
    };
    let (problems, warnings) = report.finish(text);
    Checked { configuration: configuration.filter(|_| problems.is_empty()), problems, warnings }
}

/// Reads and checks a file. Blocks on the disk: call it where that is allowed.
///
/// # Errors
/// A file that cannot be read.
pub fn read(path: &Path) -> Result<Checked, Unreadable> {
    let unreadable = |why| Unreadable { path: path.to_owned(), why };
    let mut bytes = Vec::new();
    // One byte more than is allowed suffices to refuse it.
    let most = u64::try_from(span::SIZE_MAX).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() > span::SIZE_MAX {
        return Ok(refused("", 0, "more than 1 MiB", "a smaller file"));
    }
    Ok(match std::str::from_utf8(&bytes) {
        Ok(text) => check(text, &on_disk),
        Err(wrong) => {
            let (good, _) = bytes.split_at(wrong.valid_up_to());
            refused(&String::from_utf8_lossy(good), good.len(), "a byte that is not UTF-8", "a file in UTF-8")
        }
    })
}

/// The whole file refused for what stands at one place.
fn refused(text: &str, at: usize, found: &str, expected: &str) -> Checked {
    let mut report = Report::default();
    report.problem(&Place { at, path: String::new() }, found, expected);
    let (problems, warnings) = report.finish(text);
    Checked { configuration: None, problems, warnings }
}

/// What a path is on this machine.
pub fn on_disk(path: &Path) -> OnDisk {
    match path.metadata() {
        Ok(found) if found.is_dir() => path.canonicalize().map_or_else(|why| OnDisk::Unclear(why.to_string()), OnDisk::Directory),
        Ok(_) => OnDisk::File,
        Err(why) if matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => OnDisk::Missing,
        Err(why) => OnDisk::Unclear(why.to_string()),
    }
}

#[cfg(test)]
mod tests;
