//! Which files a deploy leaves alone: neither copied nor deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::build_ignore::BuildIgnore;
use crate::domain::manifest::{Manifest, TreePath};
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
    mounts: Arc<Mounts>,
}

/// What a deploy does with what lies below a path that a service mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Below {
    /// It is copied: the service only reads there.
    Everything,
    /// Of it is copied what was chosen: the service may write there.
    Chosen,
    /// None of it is copied, whatever else is said: a service keeps its data there.
    Nothing,
}

/// The paths that services mount, and what of them a deploy copies.
#[derive(Debug, Clone, Default)]
pub struct Mounts {
    /// The innermost one above a path decides, unless any above it says [`Below::Nothing`].
    pub roots: BTreeMap<TreePath, Below>,
    /// Files and links that are chosen one by one.
    pub chosen: BTreeSet<TreePath>,
    /// What is chosen by patterns.
    pub copy: CopyPatterns,
    /// Build contexts: a build needs all of them, whatever services mount.
    pub contexts: Vec<Context>,
}

/// What an image is built from.
#[derive(Debug, Clone)]
pub struct Context {
    /// A directory, or a file.
    pub path: TreePath,
    /// What a build does not see of it (`.dockerignore`), relative to it.
    pub ignored: BuildIgnore,
}

/// Patterns of which each is relative to the root of a tree.
#[derive(Debug, Clone)]
pub struct CopyPatterns {
    patterns: Gitignore,
    /// For each pattern the path up to its first wildcard: what matches lies there.
    prefixes: Vec<TreePath>,
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
    /// What is at or below a path of `protect` is left alone whatever they say. [`Rules::with_mounts`] says it in more detail.
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
        let roots = protect.into_iter().map(|path| (path, Below::Nothing)).collect();
        Ok(Self { patterns, mounts: Arc::new(Mounts { roots, ..Mounts::default() }) })
    }

    /// The same patterns, with what services mount.
    #[must_use]
    pub fn with_mounts(&self, mounts: Mounts) -> Self {
        Self { patterns: self.patterns.clone(), mounts: Arc::new(mounts) }
    }

    /// Rules that leave nothing alone: for putting back what was there, which was looked at by other rules before.
    pub fn none() -> Self {
        Self { patterns: Gitignore::empty(), mounts: Arc::default() }
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
        self.matches(path.bytes(), is_dir) || self.mounts.leaves_alone(path, is_dir)
    }

    /// Takes directories out of a manifest that are in it only because something below them might have been chosen.
    pub fn prune(&self, manifest: &mut Manifest) {
        if self.mounts.roots.is_empty() {
            return;
        }
        let chosen = |path: &TreePath| self.mounts.below(path) == Some(Below::Chosen) && !self.mounts.is_staged(path, true);
        let directories = manifest.0.iter().filter(|(path, entry)| entry.is_directory() && chosen(path));
        // Deepest first: one that holds nothing but empty ones is empty.
        let directories: Vec<TreePath> = directories.map(|(path, _)| path.clone()).rev().collect();
        for path in directories {
            if manifest.is_empty_at(&path) {
                manifest.to_mut().remove(&path);
            }
        }
    }

    /// Whether a path is left alone because of what mounts it, whatever the patterns say.
    pub fn excluded_by_mounts(&self, path: &TreePath, is_dir: bool) -> bool {
        self.mounts.leaves_alone(path, is_dir)
    }

    fn matches(&self, path: &[u8], is_dir: bool) -> bool {
        self.patterns.matched(Path::new(OsStr::from_bytes(path)), is_dir).is_ignore()
    }
}

impl Mounts {
    /// What counts for a path; none where nobody mounts it.
    pub fn below(&self, path: &TreePath) -> Option<Below> {
        let above = || path.ancestors().filter_map(|at| self.roots.get(&at).copied());
        above().find(|below| *below == Below::Nothing).or_else(|| above().next())
    }

    /// The mounted path that is nearest above a path, or the path itself.
    pub fn innermost(&self, path: &TreePath) -> Option<TreePath> {
        path.ancestors().find(|at| self.roots.contains_key(at))
    }

    /// Whether a path belongs to a build context.
    fn is_staged(&self, path: &TreePath, is_dir: bool) -> bool {
        let is_ignored = |context: &Context| match is_dir {
            true => context.ignored.ignores_all_of(&path.relative_to(&context.path)),
            false => context.ignored.ignores(&path.relative_to(&context.path)),
        };
        self.contexts.iter().any(|context| path.is_within(&context.path) && !is_ignored(context))
    }

    /// Whether a path is left alone because of what mounts it. A directory is not, where something below it may be chosen.
    fn leaves_alone(&self, path: &TreePath, is_dir: bool) -> bool {
        let leads_to = |other: &TreePath| is_dir && other.is_within(path);
        if self.roots.is_empty() || self.is_staged(path, is_dir) || self.contexts.iter().any(|context| leads_to(&context.path)) {
            return false;
        }
        match self.below(path) {
            None | Some(Below::Everything) => false,
            Some(Below::Nothing) => true,
            Some(Below::Chosen) if self.chosen.contains(path) || self.copy.matches(path, is_dir) => false,
            Some(Below::Chosen) => {
                let below = TreePath::new([path.bytes(), b"/"].concat());
                let chosen = || self.chosen.range(below..).next().is_some_and(|next| next.is_within(path));
                let mounted = || self.roots.iter().any(|(root, below)| *below == Below::Everything && leads_to(root));
                !(is_dir && (chosen() || mounted() || self.copy.may_match_below(path)))
            }
        }
    }
}

impl Default for CopyPatterns {
    fn default() -> Self {
        Self { patterns: Gitignore::empty(), prefixes: Vec::new() }
    }
}

impl CopyPatterns {
    /// Understands patterns in gitignore syntax. Unlike there, each is relative to the root, with or without a slash before it.
    ///
    /// # Errors
    /// One cannot be understood.
    pub fn new(patterns: &[String]) -> Result<Self, RulesError> {
        let bad = |pattern: &str, error: &ignore::Error| RulesError {
            place: "\"copy\"".to_owned(),
            pattern: pattern.to_owned(),
            why: reason(error),
        };
        let (mut builder, mut prefixes) = (GitignoreBuilder::new("/"), Vec::new());
        for pattern in patterns {
            let (not, path) = pattern.strip_prefix('!').map_or(("", pattern.as_str()), |rest| ("!", rest));
            let path = path.strip_prefix("./").unwrap_or(path).trim_start_matches('/');
            builder.add_line(None, &format!("{not}/{path}")).map_err(|error| bad(pattern, &error))?;
            if not.is_empty() {
                let plain = path.split('/').take_while(|part| !part.is_empty() && !part.contains(['*', '?', '[', '{', '\\']));
                prefixes.push(TreePath::new(plain.collect::<Vec<_>>().join("/")));
            }
        }
        let patterns = builder.build().map_err(|error| bad("all of them", &error))?;
        Ok(Self { patterns, prefixes })
    }

    /// Whether a path is chosen: itself, or by a directory above it.
    fn matches(&self, path: &TreePath, is_dir: bool) -> bool {
        if self.prefixes.is_empty() {
            return false;
        }
        let matched = |at: &TreePath, is_dir| self.patterns.matched(Path::new(OsStr::from_bytes(at.bytes())), is_dir);
        let decided = path.ancestors().enumerate().filter(|(_, at)| !at.bytes().is_empty()).find_map(|(up, at)| {
            let matched = matched(&at, is_dir || up > 0);
            (!matched.is_none()).then(|| matched.is_ignore())
        });
        decided.unwrap_or_default()
    }

    fn may_match_below(&self, directory: &TreePath) -> bool {
        self.prefixes.iter().any(|prefix| prefix.is_within(directory) || directory.is_within(prefix))
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

    fn mounts(roots: &[(&str, Below)], chosen: &[&str], copy: &[&str], contexts: &[&str]) -> Rules {
        let copy: Vec<String> = copy.iter().map(|pattern| (*pattern).to_owned()).collect();
        rules(&["*.log"], "").with_mounts(Mounts {
            roots: roots.iter().map(|(path, below)| (TreePath::from(*path), *below)).collect(),
            chosen: chosen.iter().map(|path| TreePath::from(*path)).collect(),
            copy: CopyPatterns::new(&copy).unwrap(),
            contexts: contexts.iter().map(|path| Context { path: TreePath::from(*path), ignored: BuildIgnore::default() }).collect(),
        })
    }

    #[test]
    fn only_what_is_chosen_counts_below_a_writable_mount() {
        let roots = [("app.conf", Below::Chosen), ("conf", Below::Chosen), ("data", Below::Nothing), ("data/conf", Below::Chosen)];
        let own = mounts(&roots, &["app.conf", "conf/sub/a", "conf/b.log", "data/conf"], &["conf/*.d/", "!conf/x.d/no"], &[]);
        let alone = ["conf/other", "conf/dir/x", "conf/b.log", "data/", "data/db", "data/conf", "conf/x.d/no", "conf/sub/b"];
        assert_eq!(left_alone(&own, &alone), alone);
        let taken = ["app.conf", "conf/", "conf/sub/", "conf/sub/a", "conf/x.d/yes", "conf/x.d/deep/yes", "elsewhere", "x/conf/other"];
        assert_eq!(left_alone(&own, &taken), Vec::<String>::new());
        // A directory is only walked where something below it may be chosen.
        let plain = mounts(&roots, &["conf/sub/a"], &[], &[]);
        assert_eq!(left_alone(&plain, &["conf/", "conf/sub/", "conf/other/"]), ["conf/other/"]);
    }

    #[test]
    fn the_innermost_mount_decides_and_a_build_context_counts_whole() {
        let roots = [("", Below::Chosen), ("conf", Below::Everything), ("conf/cache", Below::Chosen)];
        let own = mounts(&roots, &["compose.yml"], &[], &[]);
        let alone = ["main.py", "conf/cache/x", "src/"];
        assert_eq!(left_alone(&own, &alone), alone);
        assert_eq!(left_alone(&own, &["compose.yml", "conf/", "conf/a"]), Vec::<String>::new());
        let ignoring = |text: &str| {
            let context = Context { path: "api".into(), ignored: BuildIgnore::parse(text) };
            let roots = [(TreePath::from("api"), Below::Nothing)].into();
            rules(&[], "").with_mounts(Mounts { roots, contexts: vec![context], ..Mounts::default() })
        };
        let paths = ["api/", "api/data/", "api/data/x", "api/src/data", "api/src/x.tmp"];
        assert_eq!(left_alone(&ignoring("# no\n/data/\n**/*.tmp\n"), &paths), ["api/data/", "api/data/x", "api/src/x.tmp"]);
        assert_eq!(left_alone(&ignoring("*\n!src\n"), &paths), ["api/data/x"], "directories may hold what is taken back");
        let built = mounts(&[("api", Below::Nothing)], &[], &[], &["api/src"]);
        assert_eq!(left_alone(&built, &["api/", "api/src/", "api/src/x", "api/y", "api/src/z.log"]), ["api/y", "api/src/z.log"]);
    }

    #[test]
    fn directories_that_hold_nothing_chosen_are_pruned() {
        use crate::domain::manifest::{Entry, Node};
        let own = mounts(&[("conf", Below::Chosen)], &["conf/a/x"], &["conf/b/**/y"], &[]);
        let node = |path: &str| if path.ends_with('/') { Node::Directory } else { Node::Link("x".into()) };
        let paths = ["conf/", "conf/a/", "conf/a/x", "conf/b/", "conf/b/c/", "empty/"];
        let mut all: Manifest = paths.iter().map(|p| (TreePath::from(p.trim_end_matches('/')), Entry { node: node(p), mode: 0 })).collect();
        own.prune(&mut all);
        assert_eq!(all.0.keys().cloned().collect::<Vec<_>>(), ["conf", "conf/a", "conf/a/x", "empty"].map(TreePath::from));
    }
}
