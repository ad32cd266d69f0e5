//! Text with a little form, which every front end draws in its own way: HTML for a chat, plain for a terminal.
//!
//! What is between marks in a sentence is text from outside (see [`untrusted`](super::untrusted)) and becomes code. As a last
//! guard nothing invisible is let through, and what a chat would make live in a sentence (names with `@`, addresses, paths)
//! becomes code as well; commands of ours stay live.

use std::time::Duration;

use super::untrusted::{MARK, SHOWN, UntrustedText, one_line, visible};

/// The most characters of a name or value.
const CODE_MAX: usize = SHOWN;

/// A run of text in one form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    /// As it is.
    Plain(String),
    /// Emphasised.
    Bold(String),
    /// A name or a value, monospaced.
    Code(String),
    /// A block of log lines, monospaced; stands on lines of its own.
    Block(String),
}

impl Span {
    /// The bare text.
    pub fn text(&self) -> &str {
        match self {
            Self::Plain(t) | Self::Bold(t) | Self::Code(t) | Self::Block(t) => t,
        }
    }
}

/// A message's text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text(pub Vec<Span>);

impl Text {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a sentence; what is between marks in it becomes code.
    #[must_use]
    pub fn plain(mut self, text: impl Into<String>) -> Self {
        self.sentence(&text.into(), Span::Plain);
        self
    }

    /// Adds an emphasised sentence; what is between marks in it becomes code.
    #[must_use]
    pub fn bold(mut self, text: impl Into<String>) -> Self {
        self.sentence(&text.into(), Span::Bold);
        self
    }

    /// Adds a name or a value, on one line.
    #[must_use]
    pub fn code(mut self, text: impl Into<UntrustedText>) -> Self {
        self.push(Span::Code(text.into().line(CODE_MAX)));
        self
    }

    /// Adds a block of log lines; nothing for no lines.
    #[must_use]
    pub fn block(mut self, lines: impl Into<String>) -> Self {
        let lines = lines.into();
        if !lines.is_empty() {
            self.push(Span::Block(visible(&lines)));
        }
        self
    }

    /// Ends a line.
    #[must_use]
    pub fn line(self) -> Self {
        self.plain("\n")
    }

    /// Adds another text.
    #[must_use]
    pub fn then(mut self, other: Self) -> Self {
        for span in other.0 {
            self.push(span);
        }
        self
    }

    /// Adds a run.
    pub fn push(&mut self, span: Span) {
        match (self.0.last_mut(), span) {
            (Some(Span::Plain(last)), Span::Plain(more)) => last.push_str(&more),
            (_, span) => self.0.push(span),
        }
    }

    /// The text as a sentence, with marks around what is code.
    pub fn to_sentence(&self) -> String {
        let span = |span: &Span| match span {
            Span::Code(text) => UntrustedText::from(text).to_string(),
            other => other.text().to_owned(),
        };
        self.0.iter().map(span).collect()
    }

    /// Adds a sentence in a form, with what is quoted in it as code.
    fn sentence(&mut self, text: &str, form: fn(String) -> Span) {
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(MARK) {
            self.words(before, form);
            // A quotation that was cut off ends with its line.
            let (quoted, left) = after.split_at(after.find([MARK, '\n']).unwrap_or(after.len()));
            if !quoted.is_empty() {
                self.push(Span::Code(one_line(quoted, usize::MAX)));
            }
            rest = left.strip_prefix(MARK).unwrap_or(left);
        }
        self.words(rest, form);
    }

    /// Adds words in a form; those that a chat would make live become code.
    fn words(&mut self, text: &str, form: fn(String) -> Span) {
        let text = visible(text);
        let mut plain = String::new();
        for piece in text.split_inclusive(char::is_whitespace) {
            let word = piece.trim_matches(|c: char| c.is_whitespace() || "()[]“”\"'…,;:!?.".contains(c));
            match piece.find(word).filter(|_| is_live(word)) {
                Some(at) => {
                    plain.push_str(&piece[..at]);
                    if !plain.is_empty() {
                        self.push(form(std::mem::take(&mut plain)));
                    }
                    self.push(Span::Code(word.to_owned()));
                    plain.push_str(&piece[at + word.len()..]);
                }
                None => plain.push_str(piece),
            }
        }
        if !plain.is_empty() {
            self.push(form(plain));
        }
    }

    /// The bare text, as a terminal shows it.
    pub fn to_plain(&self) -> String {
        self.0.iter().map(Span::text).collect()
    }
}

/// Whether a chat would make a word live: a mention, a hashtag, an address, a host's name, or a path, whose beginning looks
/// like a command.
fn is_live(word: &str) -> bool {
    let bytes = word.as_bytes();
    let host = |at: usize| {
        at > 0
            && bytes[at - 1].is_ascii_alphanumeric()
            && bytes.get(at + 1..at + 3).is_some_and(|next| next.iter().all(|b| b.is_ascii_alphabetic() || !b.is_ascii()))
    };
    word.contains("://")
        || word.contains('@') && word.len() > 1
        || word.starts_with(['#', '$']) && word.contains(char::is_alphabetic)
        || word.starts_with('/') && word[1..].contains('/')
        || word.match_indices('.').any(|(at, _)| host(at))
}

/// A duration for people: `950 ms`, `12 s`, `3 min 5 s`, `2 h 15 min`, `4 d 3 h`.
pub fn duration(ms: i64) -> String {
    let ms = ms.max(0);
    let (s, min, h, d) = (ms / 1_000, ms / 60_000, ms / 3_600_000, ms / 86_400_000);
    let two = |big: i64, unit: &str, small: i64, of: &str| {
        if small == 0 { format!("{big} {unit}") } else { format!("{big} {unit} {small} {of}") }
    };
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{s} s"),
        60_000..3_600_000 => two(min, "min", s % 60, "s"),
        3_600_000..86_400_000 => two(h, "h", min % 60, "min"),
        _ => two(d, "d", h % 24, "h"),
    }
}

/// A size for people, in units of 1,024, rounded down: `512 B`, `96 kB`, `1.2 GB`.
pub fn bytes(n: u64) -> String {
    const UNITS: [(u32, &str); 4] = [(40, "TB"), (30, "GB"), (20, "MB"), (10, "kB")];
    match UNITS.into_iter().find(|(shift, _)| n >> shift > 0) {
        None => format!("{n} B"),
        Some((shift, unit)) => {
            let (whole, tenths) = (n >> shift, ((n & ((1 << shift) - 1)) * 10) >> shift);
            if whole < 10 && tenths > 0 { format!("{whole}.{tenths} {unit}") } else { format!("{whole} {unit}") }
        }
    }
}

/// A text with a capital letter, as a sentence begins.
pub fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// A count with its noun: `1 file`, `3 files`.
pub fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// Names in a row: `a, b and 3 more`.
pub fn listing<T: std::fmt::Display>(items: impl IntoIterator<Item = T>, most: usize) -> String {
    let all: Vec<String> = items.into_iter().map(|i| i.to_string()).collect();
    match all.len().checked_sub(most) {
        Some(more) if more > 0 => format!("{} and {more} more", all[..most].join(", ")),
        _ => all.join(", "),
    }
}

/// A time span: `90s`, `10m`, `2h`, `1d`, or several of them in a row. At most a year.
pub fn span(text: &str) -> Option<Duration> {
    let mut seconds: u64 = 0;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let n: u64 = rest[..digits].parse().ok()?;
        let unit = match rest[digits..].chars().next()?.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        seconds = seconds.checked_add(n.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    (1..=31_622_400).contains(&seconds).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let shown: Vec<String> = [-5, 950, 12_000, 60_000, 185_000, 8_100_000, 356_400_000].map(duration).into();
        assert_eq!(shown, ["0 ms", "950 ms", "12 s", "1 min", "3 min 5 s", "2 h 15 min", "4 d 3 h"]);
    }

    #[test]
    fn sizes_read_well() {
        let shown: Vec<String> = [0, 1_023, 1_024, 1_536, 10_752, (1 << 20) - 1, 1_288_490_189, 40 << 30, u64::MAX].map(bytes).into();
        assert_eq!(shown, ["0 B", "1023 B", "1 kB", "1.5 kB", "10 kB", "1023 kB", "1.2 GB", "40 GB", "16777215 TB"]);
    }

    #[test]
    fn what_is_quoted_is_code_and_nothing_else_is_live() {
        let spans = |text: &str| {
            let show = |span: &Span| match span {
                Span::Plain(t) => t.clone(),
                Span::Code(t) => format!("<{t}>"),
                other => panic!("{other:?}"),
            };
            Text::new().plain(text).0.iter().map(show).collect::<String>()
        };
        let name = UntrustedText::from("a`b\n@c\u{202e}");
        assert_eq!(spans(&format!("New: {name}, and more")), "New: <a\\u{60}b\\n@c\\u{202e}>, and more");
        assert_eq!(spans("cut off `in the mid\nnext"), "cut off <in the mid>\nnext");
        assert_eq!(spans("raw\u{200b} text"), "raw\\u{200b} text");
        assert_eq!(
            spans("(@boss, evil.com) #tag https://x/y /srv/a: /docker_logs shop/web. 1.5 GB of v1.2, e.g. #17, “a” "),
            "(<@boss>, <evil.com>) <#tag> <https://x/y> </srv/a>: /docker_logs shop/web. 1.5 GB of v1.2, e.g. #17, “a” "
        );
    }

    #[test]
    fn time_spans() {
        assert_eq!(span("1h30m"), Some(Duration::from_secs(5_400)));
        assert_eq!(span("90S"), Some(Duration::from_secs(90)));
        for bad in ["", "10", "m", "0s", "9999d", "99999999999999999999s", "1w", "-5m", "1ä"] {
            assert_eq!(span(bad), None, "{bad}");
        }
    }
}
