//! What follows a command, in words.

use std::collections::VecDeque;

use super::{Input, Unclear};

/// The longest argument that is shown back, in characters.
const SHOWN_MAX: usize = 60;
/// Quotation marks as phones type them, opening and closing.
const QUOTES: [(char, &[char]); 6] = [('"', &['"']), ('\'', &['\'']), ('“', &['”', '“']), ('„', &['“', '”']), ('«', &['»']), ('‘', &['’'])];

/// One word, or a `key=value` whose value may be quoted to hold spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    /// As it was typed.
    pub(crate) raw: String,
    /// Of `key=value`, in lower case.
    pub(crate) key: Option<String>,
    /// Of `key=value`, without its quotes.
    pub(crate) value: String,
}

impl Token {
    /// As it was typed, bounded, to be shown back.
    pub(crate) fn shown(&self) -> String {
        crate::domain::redact::clean_line(self.raw.as_bytes()).chars().take(SHOWN_MAX).collect()
    }
}

/// The words that follow a command.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arguments(VecDeque<Token>);

impl Arguments {
    /// Reads them.
    pub(crate) fn read(text: &str) -> Self {
        let mut tokens = VecDeque::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let end = end_of_token(rest);
            let raw = &rest[..end];
            tokens.push_back(token(raw));
            rest = rest[end..].trim_start();
        }
        Self(tokens)
    }

    pub(crate) fn first(&self) -> Option<&Token> {
        self.0.front()
    }

    pub(crate) fn skip(&mut self) {
        self.0.pop_front();
    }

    pub(crate) fn rest(&mut self) -> VecDeque<Token> {
        std::mem::take(&mut self.0)
    }

    /// There must be nothing more.
    pub(crate) fn end(&self, input: &Input<'_>) -> Result<(), Unclear> {
        self.first().map_or(Ok(()), |extra| Err(input.unclear(&extra.shown())))
    }
}

/// The place of the `=` after a key of letters, with `-` between them.
fn key_end(text: &str) -> Option<usize> {
    let at = text.find(|c: char| !c.is_ascii_alphabetic() && c != '-')?;
    (!text.starts_with('-') && at > 0 && text[at..].starts_with('=')).then_some(at)
}

fn end_of_token(text: &str) -> usize {
    if let Some(at) = key_end(text) {
        let value = &text[at + 1..];
        if let Some((opening, closing)) = quote(value) {
            let inside = &value[opening..];
            if let Some(length) = inside.find(closing) {
                let mark = inside[length..].chars().next().map_or(0, char::len_utf8);
                return at + 1 + opening + length + mark;
            }
        }
    }
    text.find(char::is_whitespace).unwrap_or(text.len())
}

/// The length of the opening mark that a value begins with, and what closes it.
fn quote(value: &str) -> Option<(usize, &'static [char])> {
    let first = value.chars().next()?;
    QUOTES.iter().find(|(open, _)| *open == first).map(|(open, close)| (open.len_utf8(), *close))
}

fn token(raw: &str) -> Token {
    let Some(at) = key_end(raw) else { return Token { raw: raw.to_owned(), key: None, value: String::new() } };
    let value = &raw[at + 1..];
    let bare = quote(value).and_then(|(opening, closing)| value[opening..].strip_suffix(closing));
    Token { raw: raw.to_owned(), key: Some(raw[..at].to_ascii_lowercase()), value: bare.unwrap_or(value).to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(Option<String>, String)> {
        let tokens = Arguments::read(text).rest();
        tokens.into_iter().map(|t| (t.key.clone(), if t.key.is_some() { t.value } else { t.raw })).collect()
    }

    #[test]
    fn words_and_quoted_values() {
        let key = |k: &str, v: &str| (Some(k.to_owned()), v.to_owned());
        let word = |w: &str| (None, w.to_owned());
        assert_eq!(read(" shop/web  50\ngrep=\"a b\" x"), [word("shop/web"), word("50"), key("grep", "a b"), word("x")]);
        assert_eq!(read("GREP=“not found” since=10m"), [key("grep", "not found"), key("since", "10m")]);
        assert_eq!(read("grep=\"open end"), [key("grep", "\"open"), word("end")]);
        assert_eq!(read("grep= =x -rf a1=2"), [key("grep", ""), word("=x"), word("-rf"), word("a1=2")]);
        assert_eq!(read("grep=„so“"), [key("grep", "so")]);
    }
}
