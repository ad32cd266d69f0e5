//! Problems, where they stand and how they read.

use std::fmt;

use serde::Serialize;

use crate::domain::redact;

/// The most problems, and the most warnings, that are told one by one.
pub(super) const TOLD_MAX: usize = 200;
/// The longest quotation, in characters.
const QUOTE_MAX: usize = 200;

/// Something in a configuration that is wrong, or doubtful.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The included file that it stands in; none for the file itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The JSON path, such as `projects.shop.primary`; empty where the whole file is meant.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What stands there.
    pub found: String,
    /// What should stand there.
    pub expected: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, path, line, column, found, expected } = self;
        if let Some(file) = file {
            write!(f, "{file}:")?;
        }
        let gap = if path.is_empty() { "" } else { " " };
        write!(f, "{line}:{column}{gap}{path}: found {found}, expected {expected}")
    }
}

/// Where something stands: a byte and a JSON path.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Offset of the byte among all texts.
    pub(super) at: usize,
    /// The JSON path.
    pub(super) path: String,
}

/// A problem before its line and column are known.
struct Draft {
    place: Place,
    found: String,
    expected: String,
}

/// Gathers problems and warnings.
#[derive(Default)]
pub(super) struct Report {
    problems: Vec<Draft>,
    warnings: Vec<Draft>,
}

impl Report {
    /// Tells of something that is wrong.
    pub(super) fn problem(&mut self, place: &Place, found: impl Into<String>, expected: impl Into<String>) {
        self.problems.push(Draft { place: place.clone(), found: found.into(), expected: expected.into() });
    }

    /// Tells of something that is doubtful.
    pub(super) fn warning(&mut self, place: &Place, found: impl Into<String>, expected: impl Into<String>) {
        self.warnings.push(Draft { place: place.clone(), found: found.into(), expected: expected.into() });
    }

    /// Problems and warnings, each in the order of the texts.
    pub(super) fn finish(self, texts: &[Written<'_>]) -> (Vec<Problem>, Vec<Problem>) {
        let lines: Vec<Lines<'_>> = texts.iter().map(Lines::new).collect();
        (place(&lines, self.problems, "problems"), place(&lines, self.warnings, "warnings"))
    }
}

/// One of the texts that a configuration is made of.
pub(super) struct Written<'t> {
    /// The included file's name; none for the file itself.
    pub(super) file: Option<&'t str>,
    /// Offset of its first byte among all texts.
    pub(super) base: usize,
    /// What it says.
    pub(super) text: &'t str,
}

/// Finds lines and columns.
struct Lines<'t> {
    written: &'t Written<'t>,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn new(written: &'t Written<'t>) -> Self {
        let starts = std::iter::once(0).chain(written.text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { written, starts }
    }

    fn position(&self, at: usize) -> (usize, usize) {
        let at = at.saturating_sub(self.written.base);
        let line = self.starts.partition_point(|start| *start <= at);
        let start = line.checked_sub(1).and_then(|i| self.starts.get(i)).copied().unwrap_or_default();
        let before = self.written.text.get(start..at).map_or(0, |t| t.chars().count());
        (line, before + 1)
    }
}

/// A file of a megabyte can hold a hundred thousand problems: the first ones say enough.
fn place(texts: &[Lines<'_>], mut drafts: Vec<Draft>, noun: &str) -> Vec<Problem> {
    drafts.sort_by_key(|d| d.place.at);
    let more = drafts.len().saturating_sub(TOLD_MAX);
    if let Some(next) = drafts.get_mut(TOLD_MAX) {
        next.place.path.clear();
        next.found = format!("{more} more {noun} from here on");
        next.expected = "the ones above to be mended first".to_owned();
    }
    let placed = drafts.into_iter().take(TOLD_MAX + 1).map(|Draft { place, found, expected }| {
        let after = texts.partition_point(|text| text.written.base <= place.at);
        let text = after.checked_sub(1).and_then(|i| texts.get(i));
        let (line, column) = text.map_or((1, 1), |text| text.position(place.at));
        let file = text.and_then(|text| text.written.file).map(str::to_owned);
        Problem { file, path: place.path, line, column, found, expected }
    });
    placed.collect()
}

/// A text as a quotation: what a terminal or a chat would not show is escaped, its length is bounded, and of an address it
/// has what cannot be secret.
pub(super) fn quote(text: &str) -> String {
    let text = if text.contains("://") { redact::address(text) } else { text.to_owned() };
    let mut out = String::from("“");
    for (i, c) in text.chars().enumerate() {
        if i == QUOTE_MAX {
            out.push('…');
            break;
        }
        push_visible(&mut out, c);
    }
    out.push('”');
    out
}

fn push_visible(out: &mut String, c: char) {
    if matches!(c, '"' | '\'' | '\\') { out.push(c) } else { out.extend(c.escape_debug()) }
}

/// A path with one more key: `a.b`, or `a["../b"]` where the key is no plain word.
pub(super) fn child(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$'));
    if plain && key.len() <= QUOTE_MAX {
        let dot = if path.is_empty() { "" } else { "." };
        return format!("{path}{dot}{key}");
    }
    let mut out = format!("{path}[\"");
    for c in key.chars().take(QUOTE_MAX) {
        if c == '"' { out.push_str("\\\"") } else { push_visible(&mut out, c) }
    }
    out.push_str(if key.chars().nth(QUOTE_MAX).is_some() { "…\"]" } else { "\"]" });
    out
}

/// Words as alternatives: `“a”, “b” or “c”`.
pub(super) fn either(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|w| quote(w)).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
