//! The files that a configuration is made of: the one that is named, and those that it includes.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use super::span::{self, Node, Value};
use super::{Unreadable, text};
use crate::domain::snapshot::Files;
use crate::untrusted::{self, ReadError};

/// The most patterns of `include`.
pub(super) const PATTERNS_MAX: usize = 20;
/// The most files that are included.
pub(super) const FILES_MAX: usize = 500;
/// The most names of a directory that are looked at.
const NAMES_MAX: usize = 10_000;
/// The largest a configuration may be with all its files, in bytes.
const TOTAL_MAX: usize = 8 << 20;

/// What a file holds, as it was read.
pub type Content = Result<Vec<u8>, String>;

/// The files of a configuration, with what each of them held when they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// The file that is named.
    pub main: Vec<u8>,
    /// Those that it includes, by their names as seen from its directory; why not, of those that could not be read.
    pub included: BTreeMap<String, Content>,
}

impl Sources {
    /// The largest a file may be, in bytes.
    pub const FILE_MAX: u64 = span::SIZE_MAX as u64;

    /// A configuration in one file.
    pub fn alone(main: impl Into<Vec<u8>>) -> Self {
        Self { main: main.into(), included: BTreeMap::new() }
    }

    /// Reads a file and those that it includes. Blocks on the disk: call it where that is allowed.
    ///
    /// # Errors
    /// The file itself cannot be read. Of one that it includes that is a problem of the configuration.
    pub fn read(path: &Path) -> Result<Self, Unreadable> {
        let main = bounded(path, span::SIZE_MAX).map_err(|why| Unreadable { path: path.to_owned(), why: why.into() })?;
        let mut sources = Self::alone(main);
        let directory = path.parent().unwrap_or(Path::new(""));
        let mut left = TOTAL_MAX.saturating_sub(sources.main.len());
        for name in names(&sources.patterns(), directory, path) {
            if sources.included.len() > FILES_MAX {
                break;
            }
            // One byte more than is allowed suffices to refuse it.
            let content = bounded(&directory.join(&name), span::SIZE_MAX.min(left)).map_err(|e| e.reason());
            let size = content.as_ref().map_or(0, Vec::len);
            let content = if size > left && size <= span::SIZE_MAX { Err("more than 8 MiB with the others".to_owned()) } else { content };
            left = left.saturating_sub(size);
            sources.included.insert(name, content);
        }
        Ok(sources)
    }

    /// What it includes, as far as that can be read.
    pub(super) fn patterns(&self) -> Vec<Pattern> {
        let root = text(&self.main).ok().and_then(|text| span::parse(text, 0).ok());
        root.as_ref().map(patterns).unwrap_or_default()
    }

    /// Where there are files of it, now and later.
    pub fn places(&self, path: &Path) -> Places {
        Places { main: path.to_owned(), patterns: self.patterns() }
    }

    /// The same to be kept; none where it is no text, which is never in force.
    pub fn to_files(&self) -> Option<Files> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let included = self.included.iter().map(|(name, content)| Some((name.clone(), text(content.as_ref().ok()?)?)));
        Some(Files { main: text(&self.main)?, included: included.collect::<Option<_>>()? })
    }

    /// Whether all of it could be read.
    pub fn is_whole(&self) -> bool {
        self.included.values().all(Result::is_ok)
    }

    /// A hash of everything.
    pub fn hash(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        let mut part = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        };
        part(&self.main);
        for (name, content) in &self.included {
            part(name.as_bytes());
            match content {
                Ok(bytes) => part(bytes),
                Err(why) => {
                    part(b"unreadable");
                    part(why.as_bytes());
                }
            }
        }
        hasher.finalize()
    }
}

impl From<&Files> for Sources {
    fn from(files: &Files) -> Self {
        let included = files.included.iter().map(|(name, text)| (name.clone(), Ok(text.clone().into_bytes())));
        Self { main: files.main.clone().into_bytes(), included: included.collect() }
    }
}

/// Where the files of a configuration are.
#[derive(Debug, Clone)]
pub struct Places {
    main: PathBuf,
    patterns: Vec<Pattern>,
}

impl Places {
    /// Those of a configuration that is made of one file.
    pub fn alone(path: &Path) -> Self {
        Self { main: path.to_owned(), patterns: Vec::new() }
    }

    /// The files that there are now. Blocks on the disk.
    pub fn files(&self) -> Vec<PathBuf> {
        let directory = self.directory();
        let included = names(&self.patterns, directory, &self.main).into_iter().map(|name| directory.join(name));
        std::iter::once(self.main.clone()).chain(included).collect()
    }

    /// The directories that they are in.
    pub fn directories(&self) -> Vec<PathBuf> {
        let directory = self.directory();
        let below = self.patterns.iter().map(|pattern| directory.join(&pattern.directory));
        std::iter::once(directory.to_owned()).chain(below).collect()
    }

    fn directory(&self) -> &Path {
        match self.main.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }
}

/// A file's content, and a byte more where there is more than is taken.
fn bounded(path: &Path, most: usize) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    let most = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    untrusted::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file that is included, or a pattern for the names of files in one directory.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    /// The directory, as written, with a slash at its end where there is one.
    directory: String,
    name: GlobMatcher,
    /// Whether it is the name of one file.
    pub(super) plain: bool,
    hidden: bool,
}

impl Pattern {
    /// Reads a pattern.
    pub(super) fn new(written: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "the name of a file, or a pattern such as “projects.d/*.json”, with wildcards in its last part alone";
        let is_wild = |text: &str| text.contains(['*', '?', '[', ']', '{', '}', '\\']);
        let at = written.rfind('/').map_or(0, |slash| slash + 1);
        let (directory, name) = written.split_at(at);
        if name.is_empty() || matches!(name, "." | "..") || is_wild(directory) || written.contains('\0') {
            return Err(EXPECTED);
        }
        let glob = GlobBuilder::new(name).literal_separator(true).build().map_err(|_| EXPECTED)?;
        let (plain, hidden) = (!is_wild(name), name.starts_with('.'));
        Ok(Self { directory: directory.to_owned(), name: glob.compile_matcher(), plain, hidden })
    }

    /// Whether a name, as seen from the file's directory, is meant.
    pub(super) fn takes(&self, name: &str) -> bool {
        let last = name.strip_prefix(&self.directory).filter(|last| !last.contains('/'));
        // Editors keep what is not saved yet in hidden files.
        last.is_some_and(|last| (self.hidden || !last.starts_with('.')) && self.name.is_match(last))
    }
}

/// The good patterns of a configuration.
pub(super) fn patterns(root: &Node) -> Vec<Pattern> {
    let Value::Object(members) = &root.value else { return Vec::new() };
    let items = members.iter().find(|m| m.key == "include").map(|m| &m.node.value);
    let Some(Value::List(items)) = items else { return Vec::new() };
    let texts = items.iter().take(PATTERNS_MAX).filter_map(|item| match &item.value {
        Value::Text(text) => Pattern::new(text).ok(),
        _ => None,
    });
    texts.collect()
}

/// What is there of what is included, in order, without `main` itself.
fn names(patterns: &[Pattern], directory: &Path, main: &Path) -> Vec<String> {
    let own = main.file_name();
    let mut names = std::collections::BTreeSet::new();
    for pattern in patterns {
        // One that is not there includes nothing, which the check says.
        let place = directory.join(&pattern.directory);
        let Ok(entries) = fs::read_dir(if place.as_os_str().is_empty() { Path::new(".") } else { &place }) else { continue };
        let here = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let here = here.take(NAMES_MAX);
        let not_main = |name: &String| !(pattern.directory.is_empty() && own.is_some_and(|own| own == name.as_str()));
        names.extend(here.filter(not_main).map(|name| format!("{}{name}", pattern.directory)).filter(|name| pattern.takes(name)));
    }
    names.into_iter().collect()
}
