//! Text from outside: file names, names of people, words of Compose, the engine, builds and health checks.
//!
//! [`UntrustedText`] can be shown in one way only. In a sentence (`format!`) it is a single line between two [`MARK`]s, in
//! which everything that a reader could not see is spelt out; [`Text`](super::text::Text) turns what is between the marks
//! into code, so that a chat makes nothing of it live. Text from outside holds no mark of its own, so it cannot end its own
//! quotation. Stored sentences keep their marks, and stay readable.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// What stands around text from outside within a sentence.
pub const MARK: char = '`';
/// The most characters of it that a sentence shows, unless the format says otherwise (`{:.80}`).
pub const SHOWN: usize = 300;
/// How many combining marks a character may carry: more of them cover the lines around.
const COMBINING_MAX: usize = 2;

/// Text from outside. Displayed, it is one bounded line between marks; nothing else can be made of it by accident.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UntrustedText(String);

impl UntrustedText {
    /// Takes text from outside.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A path as text; bytes that are no text become `\xNN`.
    pub fn path(path: &(impl AsRef<Path> + ?Sized)) -> Self {
        use std::os::unix::ffi::OsStrExt;
        let mut text = String::new();
        for chunk in path.as_ref().as_os_str().as_bytes().utf8_chunks() {
            text.push_str(chunk.valid());
            chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
        }
        Self(text)
    }

    /// An address without its user, password, query and fragment, which may be secret.
    pub fn address(address: &str) -> Self {
        Self(super::redact::address(address))
    }

    /// As it came: to compare and to decide with, never to show.
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it to read.
    pub fn is_blank(&self) -> bool {
        self.0.trim().is_empty()
    }

    /// One line of at most `max` characters, without marks.
    pub fn line(&self, max: usize) -> String {
        one_line(&self.0, max)
    }
}

impl fmt::Display for UntrustedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MARK}{}{MARK}", one_line(&self.0, f.precision().unwrap_or(SHOWN)))
    }
}

impl fmt::Debug for UntrustedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<&str> for UntrustedText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for UntrustedText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&String> for UntrustedText {
    fn from(text: &String) -> Self {
        Self(text.clone())
    }
}

impl From<&UntrustedText> for UntrustedText {
    fn from(text: &UntrustedText) -> Self {
        text.clone()
    }
}

impl From<&Path> for UntrustedText {
    fn from(path: &Path) -> Self {
        Self::path(path)
    }
}

/// One visible line: line breaks and tabs are spelt out, too, and blanks at the ends can be seen.
pub fn one_line(text: &str, max: usize) -> String {
    let body = text.trim_matches(' ');
    let leading = if body.is_empty() { text.len() } else { text.len() - text.trim_start_matches(' ').len() };
    let trailing = if body.is_empty() { 0 } else { text.len() - text.trim_end_matches(' ').len() };
    let blanks = |n: usize| std::iter::repeat_n('␣', n);
    let mut line = Visible::new(max);
    if text.is_empty() {
        return "(empty)".to_owned();
    }
    let whole =
        blanks(leading).all(|c| line.put(c)) && body.chars().all(|c| line.add(c, Within::Line)) && blanks(trailing).all(|c| line.put(c));
    line.end(whole)
}

/// Text in which line ends stay, and everything else that could not be seen is spelt out: log lines, and a last guard for
/// whole messages and terminals.
pub fn visible(text: &str) -> String {
    if text.is_ascii() && !text.bytes().any(|b| b.is_ascii_control() && b != b'\n') {
        return text.to_owned();
    }
    let mut shown = Visible::new(usize::MAX);
    for c in text.chars() {
        shown.add(c, Within::Lines);
    }
    shown.text
}

/// What is being shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Line,
    Lines,
}

/// Text that is made visible character by character, up to a length.
struct Visible {
    text: String,
    left: usize,
    combining: usize,
    before: Option<char>,
}

impl Visible {
    fn new(max: usize) -> Self {
        Self { text: String::new(), left: max, combining: 0, before: None }
    }

    /// Adds a character as it is. False where there is no room.
    fn put(&mut self, c: char) -> bool {
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        self.text.push(c);
        true
    }

    /// Adds a character so that it can be seen. False where there is no room.
    fn add(&mut self, c: char, within: Within) -> bool {
        let before = self.before.replace(c);
        self.combining = if is_combining(c) { self.combining + 1 } else { 0 };
        let shown = match (c, within) {
            ('\n', Within::Lines) => true,
            ('\t', Within::Lines) => return (0..4).all(|_| self.put(' ')),
            (MARK, Within::Line) => false,
            // What makes an emoji of the sign before it.
            ('\u{fe0f}' | '\u{200d}', Within::Lines) => before.is_some_and(|b| b >= '\u{2000}' && !is_invisible(b) || b == '\u{fe0f}'),
            _ if is_combining(c) => before.is_some() && self.combining <= COMBINING_MAX,
            _ => !is_invisible(c),
        };
        if shown {
            return self.put(c);
        }
        let spelt = match c {
            '\n' => "\\n".to_owned(),
            '\r' => "\\r".to_owned(),
            '\t' => "\\t".to_owned(),
            _ => format!("\\u{{{:x}}}", u32::from(c)),
        };
        spelt.chars().all(|c| self.put(c))
    }

    /// The text, with a mark where it was cut.
    fn end(mut self, whole: bool) -> String {
        if !whole {
            self.text.pop();
            self.text.push('…');
        }
        self.text
    }
}

/// Characters that take no place, turn the direction of text, look like an ordinary blank, or are no characters at all.
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0xa0 | 0xad | 0x34f | 0x61c | 0x115f | 0x1160 | 0x1680 | 0x17b4 | 0x17b5 | 0x180b..=0x180f
            | 0x2000..=0x200f | 0x2028..=0x202f | 0x205f..=0x206f | 0x2800 | 0x3000 | 0x3164 | 0xfe00..=0xfe0f | 0xfeff
            | 0xffa0 | 0xfff0..=0xfffb | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff)
        || u32::from(c) & 0xfffe == 0xfffe
}

/// Marks that are drawn over the character before them.
fn is_combining(c: char) -> bool {
    matches!(u32::from(c), 0x300..=0x36f | 0x483..=0x489 | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x20d0..=0x20ff | 0xfe20..=0xfe2f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_what_could_not_be_seen() {
        for (text, line) in [
            ("plain name.txt", "`plain name.txt`"),
            ("", "`(empty)`"),
            ("  ", "`␣␣`"),
            (" a b ", "`␣a b␣`"),
            ("a\n\n✅ Deploy of shop done", "`a\\n\\n✅ Deploy of shop done`"),
            ("txt.\u{202e}exe\u{200b}", "`txt.\\u{202e}exe\\u{200b}`"),
            ("a`b` @c", "`a\\u{60}b\\u{60} @c`"),
            ("\u{1b}[2K\t\r", "`\\u{1b}[2K\\t\\r`"),
            ("\u{301}e\u{301}\u{302}\u{303}", "`\\u{301}e\u{301}\u{302}\\u{303}`"),
            ("שלום", "`שלום`"),
        ] {
            assert_eq!(UntrustedText::from(text).to_string(), line);
        }
        assert_eq!(format!("{:.5}", UntrustedText::from("abcdefgh")), "`abcd…`");
        assert_eq!(UntrustedText::from("x".repeat(9_999)).to_string().chars().count(), SHOWN + 2);
    }

    #[test]
    fn lines_stay_lines_and_emoji_stay_whole() {
        assert_eq!(visible("a\nb\tc\r\u{202e}⚠️ \u{fe0f}"), "a\nb    c\\r\\u{202e}⚠️ \\u{fe0f}");
        assert_eq!(visible("`a`\n"), "`a`\n");
    }

    #[test]
    fn a_path_need_not_be_text() {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"/a\xff\n"));
        assert_eq!(UntrustedText::path(path).to_string(), "`/a\\xff\\n`");
    }

    #[test]
    fn it_is_stored_as_it_came() {
        let stored = serde_json::to_string(&UntrustedText::from("a\u{202e}`")).unwrap();
        assert_eq!(serde_json::from_str::<UntrustedText>(&stored).unwrap().raw(), "a\u{202e}`");
    }
}
