//! Which files a deploy leaves alone: neither copied nor deleted.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::domain::manifest::TreePath;
use crate::domain::untrusted::UntrustedText;

/// The name of the file in a workspace that holds patterns of its own.
pub const IGNORE_FILE: &str = ".dockmasterignore";
/// Where production's new files wait under other names until all of them are there. Ours alone.
pub(super) const SCRATCH: &str = ".dockmaster-tmp";
/// rsync's own name for the same.
pub(super) const DELAYED: &str = ".~tmp~";

/// What is left alone unless a project says otherwise (`!venv/`), in gitignore syntax.
pub const DEFAULTS: [&str; 21] = [
    // Without a slash: in a worktree or a submodule it is a file.
    ".git",
    ".hg",
    ".svn",
    "__pycache__/",
    "*.pyc",
    "node_modules/",
    ".venv/",
    "venv/",
    ".pytest_cache/",
    ".mypy_cache/",
    // The settings and secrets of this machine; what shows how to write them is code.
    ".env",
    ".env.*",
    "!.env.example",
    "!.env.sample",
    "!.env.template",
    "!.env.dist",
    ".DS_Store",
    ".idea/",
    ".vscode/",
    ".dockmaster-tmp/",
    ".~tmp~/",
];

/// Which paths a deploy leaves alone.
#[derive(Debug, Clone)]
pub struct Rules {
    patterns: Gitignore,
    protect: Vec<TreePath>,
}

/// A pattern that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place} holds {}, which is no gitignore pattern: {}", UntrustedText::from(pattern), UntrustedText::from(why))]
pub struct RulesError {
    /// Where it stands.
    pub place: String,
    /// The pattern.
    pub pattern: String,
    /// Why not.
    pub why: String,
}

impl Rules {
    /// The defaults, then a project's patterns, then the text of its [`IGNORE_FILE`]: the last one that matches decides.
    /// What is at or below a path of `protect` is left alone whatever they say.
    ///
    /// # Errors
    /// A pattern cannot be understood.
    pub fn new(exclude: &[String], ignore_file: &str, protect: Vec<TreePath>) -> Result<Self, RulesError> {
        let mut builder = GitignoreBuilder::new("/");
        let mut add = |pattern: &str, place: &dyn Fn() -> String| {
            let added = builder.add_line(None, pattern);
            added.map(drop).map_err(|error| RulesError { place: place(), pattern: pattern.to_owned(), why: reason(&error) })
        };
        for pattern in DEFAULTS {
            add(pattern, &|| "the list of defaults".to_owned())?;
        }
        for pattern in exclude {
            add(pattern, &|| "\"exclude\"".to_owned())?;
        }
        for (at, line) in ignore_file.strip_prefix('\u{feff}').unwrap_or(ignore_file).lines().enumerate() {
            add(line, &|| format!("line {} of {IGNORE_FILE}", at + 1))?;
        }
        let whole = |error: &ignore::Error| RulesError { place: "the list".into(), pattern: "all of them".into(), why: reason(error) };
        let patterns = builder.build().map_err(|error| whole(&error))?;
        Ok(Self { patterns, protect })
    }

    /// Rules that leave nothing alone: for putting back what was there, which was looked at by other rules before.
    pub fn none() -> Self {
        Self { patterns: Gitignore::empty(), protect: Vec::new() }
    }

    /// Whether a path is left alone: itself, or because a directory above it is. As in git, what is below an excluded
    /// directory cannot be taken back in.
    pub fn excluded(&self, path: &TreePath, is_dir: bool) -> bool {
        let bytes = path.bytes();
        let mut above = bytes.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| &bytes[..at]);
        above.any(|directory| self.matches(directory, true)) || self.excluded_itself(path, is_dir)
    }

    /// Whether a path is left alone where nothing above it is.
    pub(super) fn excluded_itself(&self, path: &TreePath, is_dir: bool) -> bool {
        self.protect.iter().any(|root| path.is_within(root)) || self.matches(path.bytes(), is_dir)
    }

    fn matches(&self, path: &[u8], is_dir: bool) -> bool {
        self.patterns.matched(Path::new(OsStr::from_bytes(path)), is_dir).is_ignore()
    }
}

/// What is wrong with a pattern, without the pattern itself and in one line.
fn reason(error: &ignore::Error) -> String {
    match error {
        ignore::Error::Glob { err, .. } => err.clone(),
        other => other.to_string(),
    }
    .lines()
    .collect::<Vec<_>>()
    .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(exclude: &[&str], file: &str) -> Rules {
        Rules::new(&exclude.iter().map(|e| (*e).to_owned()).collect::<Vec<_>>(), file, vec!["data/db".into()]).unwrap()
    }

    fn left_alone(rules: &Rules, paths: &[&str]) -> Vec<String> {
        let is_dir = |path: &str| path.ends_with('/');
        let excluded = |path: &&&str| rules.excluded(&TreePath::from(path.trim_end_matches('/')), is_dir(path));
        paths.iter().filter(excluded).map(|p| (*p).to_owned()).collect()
    }

    #[test]
    fn defaults_leave_alone_what_belongs_to_the_machine() {
        let plain = rules(&[], "");
        let alone = [
            ".git/",
            ".git",
            "sub/.git/config",
            ".env",
            "sub/.env",
            ".env.production",
            "a/__pycache__/x.cpython.pyc",
            "x.pyc",
            "node_modules/a/index.js",
            "venv/",
            ".DS_Store",
            ".~tmp~/file",
            "data/db",
            "data/db/base/1",
        ];
        assert_eq!(left_alone(&plain, &alone), alone);
        let taken =
            [".env.example", "sub/.env.sample", ".gitignore", "environment", "venv", "data/", "data/dbx", IGNORE_FILE, "x.py", ".envrc"];
        assert_eq!(left_alone(&plain, &taken), Vec::<String>::new());
    }

    #[test]
    fn a_later_pattern_decides_and_a_directory_above_decides_first() {
        let own = rules(
            &["*.log", "uploads/", "/only-here", "venv2/*", "!venv2/keep"],
            "!important.log\r\n# a comment\n\n!.env.test\n!uploads/x\n",
        );
        let alone = ["a.log", "d/e.log", "uploads/x", "only-here", "venv2/other"];
        assert_eq!(left_alone(&own, &alone), alone);
        let taken = ["important.log", "d/important.log", "uploads", "d/only-here", "venv2/keep", ".env.test", "# a comment"];
        assert_eq!(left_alone(&own, &taken), Vec::<String>::new());
    }

    #[test]
    fn names_that_are_no_text_match_too() {
        let own = rules(&["*.log", "a?b", "**/deep"], "");
        for odd in [&b"\xff\xfe.log"[..], b"new\nline.log", b"a\nb", b"x\n/deep", b"-rf/--.log"] {
            assert!(own.excluded(&TreePath::new(odd), false), "{odd:?}");
        }
        assert!(!own.excluded(&TreePath::new(*b"\xff\xfe"), false));
    }

    #[test]
    fn a_bad_pattern_is_named() {
        let bad = Rules::new(&["fine".into(), "a{b".into()], "", Vec::new()).unwrap_err();
        assert_eq!(bad.place, "\"exclude\"");
        assert_eq!(bad.pattern, "a{b");
        let bad = Rules::new(&[], "\u{feff}fine\nx[z-a]\n", Vec::new()).unwrap_err();
        expect_test::expect!["line 2 of .dockmasterignore holds `x[z-a]`, which is no gitignore pattern: `invalid range; 'z' > 'a'`"]
            .assert_eq(&bad.to_string());
    }
}
