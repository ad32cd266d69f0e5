//! What a build does not see of its context: the patterns of a `.dockerignore`, as the builder reads them.
//!
//! Source: <https://docs.docker.com/build/concepts/context/#dockerignore-files>. Each pattern is relative to the context; the last one
//! that matches a path, or a directory above it, decides.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::domain::manifest::TreePath;

/// The patterns of a `.dockerignore`.
#[derive(Debug, Clone, Default)]
pub struct BuildIgnore(Vec<Pattern>);

#[derive(Debug, Clone)]
struct Pattern {
    glob: GlobMatcher,
    takes_back: bool,
}

impl BuildIgnore {
    /// Reads the patterns. One that cannot be understood leaves nothing ignored: too much is better than too little.
    pub fn parse(text: &str) -> Self {
        let lines = text.trim_start_matches('\u{feff}').lines().filter(|line| !line.starts_with('#'));
        let patterns = lines.map(str::trim).filter(|line| !line.is_empty()).filter_map(pattern).collect::<Result<_, _>>();
        Self(patterns.unwrap_or_default())
    }

    /// Whether it ignores nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a build sees nothing at or below a directory of its context.
    pub fn ignores_all_of(&self, directory: &TreePath) -> bool {
        !self.0.iter().any(|pattern| pattern.takes_back) && self.ignores(directory)
    }

    /// Whether a build does not see a path of its context, which is relative to that.
    pub fn ignores(&self, path: &TreePath) -> bool {
        let above: Vec<TreePath> = path.ancestors().filter(|path| !path.bytes().is_empty()).collect();
        let matches = |pattern: &Pattern| above.iter().any(|at| pattern.glob.is_match(Path::new(OsStr::from_bytes(at.bytes()))));
        self.0.iter().fold(false, |ignored, pattern| match pattern.takes_back == ignored && matches(pattern) {
            true => !pattern.takes_back,
            false => ignored,
        })
    }
}

/// A line as a pattern; none where it means the context itself, which a build always sees.
fn pattern(line: &str) -> Option<Result<Pattern, globset::Error>> {
    let (takes_back, line) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest.trim()));
    let mut plain = PathBuf::new();
    for part in Path::new(line).components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => drop(plain.pop()),
            _ => {}
        }
    }
    if plain.as_os_str().is_empty() {
        return None;
    }
    // Braces mean themselves.
    let text = plain.to_string_lossy().replace('{', "[{]").replace('}', "[}]");
    let glob = GlobBuilder::new(&text).literal_separator(true).backslash_escape(true).build();
    Some(glob.map(|glob| Pattern { glob: glob.compile_matcher(), takes_back }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read_as_the_builder_reads_them() {
        for (text, path, is_ignored) in [
            ("docs", "docs/a/b.md", true),
            ("docs/", "docs/a", true),
            ("/docs", "docs", true),
            ("docs", "sub/docs", false),
            ("*.md", "README.md", true),
            ("*.md", "docs/x.md", false),
            ("**/*.md", "docs/x.md", true),
            ("**/*.md", "x.md", true),
            ("*/temp*", "some/temporary/file", true),
            ("*/temp*", "a/b/temp", false),
            ("*\n!src", "src/main.rs", false),
            ("*\n!src", "docs/main.rs", true),
            ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true),
            ("*.md\n!README*.md", "README.md", false),
            ("# docs\n\n  docs  ", "docs", true),
            ("#docs", "docs", false),
            ("a?c", "abc", true),
            ("[a-c].txt", "b.txt", true),
            ("{a}", "{a}", true),
            ("{a,b}", "a", false),
            ("./x/../docs", "docs/a", true),
            ("!src", "src", false),
            (".", "a", false),
            ("[", "[", false),
            ("", "a", false),
        ] {
            assert_eq!(BuildIgnore::parse(text).ignores(&TreePath::from(path)), is_ignored, "{text:?} {path}");
        }
        assert!(BuildIgnore::parse("# only words\n").is_empty());
    }
}
