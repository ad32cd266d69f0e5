//! A small JSON reader that keeps the place of every key and value.
//!
//! serde_json forgets where a value stood and lets the last of two equal keys win in silence; a person who edits
//! `projects.json` by hand needs both. What is accepted is exactly JSON (a test compares with serde_json), inside two
//! bounds: the size of the text and the depth of nesting.

use super::report::quote;

/// The largest configuration that is read, in bytes.
pub(super) const SIZE_MAX: usize = 1 << 20;
/// The deepest nesting that is read; the file itself needs five.
pub(super) const DEPTH_MAX: usize = 64;
/// The values that are words.
const WORDS: [(&str, Value); 3] = [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))];

/// A value and the byte at which it starts.
#[derive(Debug, PartialEq)]
pub(super) struct Node {
    /// Offset of its first byte among all texts.
    pub(super) at: usize,
    /// What it is.
    pub(super) value: Value,
}

/// What a value is.
#[derive(Debug, PartialEq)]
pub(super) enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number as it was written: who reads it knows what range it must have.
    Number(String),
    /// A string, its escapes resolved.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// An object, its members as written: in order, equal keys included.
    Object(Vec<Member>),
}

/// A member of an object.
#[derive(Debug, PartialEq)]
pub(super) struct Member {
    /// Offset of the key's first byte among all texts.
    pub(super) at: usize,
    /// The key, its escapes resolved.
    pub(super) key: String,
    /// The value.
    pub(super) node: Node,
}

/// Where a text stops being JSON.
#[derive(Debug, PartialEq)]
pub(super) struct Syntax {
    /// Offset of the first byte that does not fit, among all texts.
    pub(super) at: usize,
    /// What stands there.
    pub(super) found: String,
    /// What may stand there.
    pub(super) expected: &'static str,
}

/// Whether a text that stops being JSON here was cut short: what is left of it is nothing, or only the beginning of a word or of
/// two halves of a character.
pub(super) fn breaks_off(rest: &str) -> bool {
    let half = || rest.len() <= r"\ud83d\".len() && rest.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(r"\ud"));
    WORDS.iter().any(|(word, _)| word.starts_with(rest)) || half()
}

/// Reads a text whose first byte counts as the `base`th: several texts are told apart by where they begin.
pub(super) fn parse(text: &str, base: usize) -> Result<Node, Syntax> {
    if text.len() > SIZE_MAX {
        return Err(Syntax { at: base, found: format!("{} bytes", text.len()), expected: "at most 1 MiB" });
    }
    let mut parser = Parser { text, at: 0, base };
    let node = parser.value(0, "a value")?;
    parser.space();
    if parser.at < text.len() { Err(parser.wrong("the end of the file")) } else { Ok(node) }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    base: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn wrong(&self, expected: &'static str) -> Syntax {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let word: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').take(40).collect();
        let found = match rest.chars().next() {
            None => "the end of the file".to_owned(),
            Some('\n' | '\r') => "the end of the line".to_owned(),
            Some('/' | '#') => "a comment, which JSON does not have".to_owned(),
            Some('\'') => "a single quote".to_owned(),
            Some(c) if word.is_empty() => quote(c.encode_utf8(&mut [0; 4])),
            Some(_) => quote(&word),
        };
        Syntax { at: self.base + self.at, found, expected }
    }

    fn value(&mut self, depth: usize, expected: &'static str) -> Result<Node, Syntax> {
        self.space();
        let at = self.at;
        let value = match self.peek() {
            Some(b'{' | b'[') if depth == DEPTH_MAX => {
                return Err(Syntax { at: self.base + at, found: "deeper nesting".to_owned(), expected: "at most 64 levels" });
            }
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Value::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.word(expected)?,
        };
        Ok(Node { at: self.base + at, value })
    }

    fn word(&mut self, expected: &'static str) -> Result<Value, Syntax> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        for (word, value) in WORDS {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.wrong(expected))
    }

    fn list(&mut self, depth: usize) -> Result<Value, Syntax> {
        self.at += 1;
        self.space();
        let mut items = Vec::new();
        if self.eat(b']') {
            return Ok(Value::List(items));
        }
        let mut expected = "a value or “]”";
        loop {
            items.push(self.value(depth + 1, expected)?);
            self.space();
            if self.eat(b']') {
                return Ok(Value::List(items));
            }
            if !self.eat(b',') {
                return Err(self.wrong("“,” or “]”"));
            }
            expected = "a value after the comma, or no comma";
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, Syntax> {
        self.at += 1;
        self.space();
        let mut members = Vec::new();
        if self.eat(b'}') {
            return Ok(Value::Object(members));
        }
        let mut expected = "a key in double quotes or “}”";
        loop {
            self.space();
            let at = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.wrong(expected));
            }
            let key = self.string()?;
            self.space();
            if !self.eat(b':') {
                return Err(self.wrong("“:” after the key"));
            }
            members.push(Member { at: self.base + at, key, node: self.value(depth + 1, "a value")? });
            self.space();
            if self.eat(b'}') {
                return Ok(Value::Object(members));
            }
            if !self.eat(b',') {
                return Err(self.wrong("“,” or “}”"));
            }
            expected = "a key in double quotes after the comma, or no comma";
        }
    }

    fn digits(&mut self) -> Result<(), Syntax> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.wrong("a digit"));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Value, Syntax> {
        let start = self.at;
        self.eat(b'-');
        // A leading zero stands alone: what follows it is refused by whoever reads on.
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            self.digits()?;
        }
        Ok(Value::Number(self.text.get(start..self.at).unwrap_or_default().to_owned()))
    }

    fn string(&mut self) -> Result<String, Syntax> {
        self.at += 1;
        let mut out = String::new();
        loop {
            // Everything up to the next byte that means something is taken at once; all of those are ASCII, so both
            // ends of the run are character boundaries.
            let rest = self.text.get(self.at..).unwrap_or_default();
            let run = rest.bytes().position(|b| matches!(b, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len());
            out.push_str(rest.get(..run).unwrap_or_default());
            self.at += run;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(b'\n' | b'\r') | None => return Err(self.wrong("“\"” at the end of the string")),
                Some(_) => return Err(self.wrong("no control characters in a string (write \\t, \\u0000)")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Syntax> {
        let start = self.at;
        self.at += 1;
        let plain = match self.peek() {
            Some(b @ (b'"' | b'\\' | b'/')) => char::from(b),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(start),
            _ => return Err(self.wrong("one of \" \\ / b f n r t u after a backslash")),
        };
        self.at += 1;
        Ok(plain)
    }

    /// A `\u` with four digits, or two of them that make up one character.
    fn unicode(&mut self, start: usize) -> Result<char, Syntax> {
        let first = self.hex()?;
        let code = if (0xd800..0xdc00).contains(&first) && self.text.get(self.at..).is_some_and(|r| r.starts_with("\\u")) {
            self.at += 1;
            let second = self.hex()?;
            if (0xdc00..0xe000).contains(&second) { 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00) } else { first }
        } else {
            first
        };
        let half = || Syntax {
            at: self.base + start,
            found: "half of a surrogate pair".to_owned(),
            expected: "both halves or the character itself",
        };
        char::from_u32(code).ok_or_else(half)
    }

    /// The four digits after a `u`, which is the current byte.
    fn hex(&mut self) -> Result<u32, Syntax> {
        self.at += 1;
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|b| char::from(b).to_digit(16)).ok_or_else(|| self.wrong("four hexadecimal digits"))?;
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }
}
