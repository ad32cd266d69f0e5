//! The HTML that Telegram understands, and its complaints about the rest.
//!
//! What is not refused is what Telegram keeps: `>` and a lone `&` stand for themselves. A lone `&` is still reported,
//! because it shows a text that was not escaped.

use super::entities::Entity;

const TAGS: [&str; 15] =
    ["b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "code", "pre", "a", "blockquote", "tg-spoiler", "span"];

/// Text and formatting out of HTML.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) text: String,
    /// In the order in which they start, the outer before the inner.
    pub(super) entities: Vec<Entity>,
    /// Byte offset of the first `&` that starts no character reference.
    pub(super) lone_ampersand: Option<usize>,
}

/// Parses what a bot sent with `parse_mode` HTML.
///
/// # Errors
/// What Telegram says after "can't parse entities: ".
pub(super) fn parse(html: &str) -> Result<Parsed, String> {
    let mut parser = Parser { html, at: 0, text: String::new(), length: 0, open: Vec::new(), entities: Vec::new(), lone_ampersand: None };
    while let Some(c) = parser.peek() {
        match c {
            '<' if parser.rest().starts_with("</") => parser.end_tag()?,
            '<' => parser.start_tag()?,
            '&' => {
                let c = parser.reference();
                parser.push(c);
            }
            c => {
                parser.at += c.len_utf8();
                parser.push(c);
            }
        }
    }
    if let Some(tag) = parser.open.last() {
        return Err(format!("Can't find end tag corresponding to start tag \"{}\"", tag.name));
    }
    // An inner range ends first but starts no earlier; of two with one start the longer is the outer.
    parser.entities.sort_by_key(|entity| (entity.offset, usize::MAX - entity.length));
    Ok(Parsed { text: parser.text, entities: parser.entities, lone_ampersand: parser.lone_ampersand })
}

struct Tag {
    name: String,
    /// Telegram's name of the entity; none where the tag only carries a language or a link that leads nowhere.
    kind: Option<&'static str>,
    url: Option<String>,
    language: Option<String>,
    /// Where it starts in the text, in UTF-16 units.
    offset: usize,
}

struct Parser<'a> {
    html: &'a str,
    at: usize,
    text: String,
    /// Of `text`, in UTF-16 units.
    length: usize,
    open: Vec<Tag>,
    entities: Vec<Entity>,
    lone_ampersand: Option<usize>,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.html.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn push(&mut self, c: char) {
        self.text.push(c);
        self.length += c.len_utf16();
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn skip_spaces(&mut self) {
        self.take_while(|c| c.is_ascii_whitespace());
    }

    /// Reads from an `&`: the character that it stands for, or the `&` itself.
    fn reference(&mut self) -> char {
        let start = self.at;
        if let Some((c, length)) = decode(self.rest()) {
            self.at += length;
            return c;
        }
        self.lone_ampersand.get_or_insert(start);
        self.at += 1;
        '&'
    }

    fn start_tag(&mut self) -> Result<(), String> {
        let start = self.at;
        self.at += 1;
        let name = self.take_while(|c| !c.is_ascii_whitespace() && c != '>').to_ascii_lowercase();
        if self.peek().is_none() {
            return Err(format!("Unclosed start tag at byte offset {start}"));
        }
        if !TAGS.contains(&name.as_str()) {
            return Err(format!("Unsupported start tag \"{name}\" at byte offset {start}"));
        }
        let attributes = self.attributes(&name, start)?;
        let tag = self.meaning(name, &attributes, start)?;
        self.open.push(tag);
        Ok(())
    }

    /// Reads attributes up to and with the `>`.
    fn attributes(&mut self, tag: &str, start: usize) -> Result<Vec<(String, String)>, String> {
        let mut attributes = Vec::new();
        loop {
            self.skip_spaces();
            let name = self.take_while(|c| !c.is_ascii_whitespace() && c != '=' && c != '>').to_ascii_lowercase();
            self.skip_spaces();
            match self.peek() {
                None => {
                    return Err(format!("Unclosed start tag \"{tag}\" at byte offset {start}"));
                }
                Some('>') if name.is_empty() => {
                    self.at += 1;
                    return Ok(attributes);
                }
                Some(_) if name.is_empty() => {
                    return Err(format!("Empty attribute name in the tag \"{tag}\" at byte offset {start}"));
                }
                Some('=') => {
                    self.at += 1;
                    self.skip_spaces();
                    let value = self.attribute_value(tag, start)?;
                    attributes.push((name, value));
                }
                // The only attribute that stands alone.
                Some(_) if tag == "blockquote" && name == "expandable" => attributes.push((name, String::new())),
                Some(_) => {
                    return Err(format!("Expected equal sign in declaration of an attribute of the tag \"{tag}\" at byte offset {start}"));
                }
            }
        }
    }

    fn attribute_value(&mut self, tag: &str, start: usize) -> Result<String, String> {
        let Some(quote) = self.peek().filter(|c| matches!(c, '"' | '\'')) else {
            let value = self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
            if value.is_empty() {
                return Err(format!("Unexpected end of attribute value in the tag \"{tag}\" at byte offset {start}"));
            }
            return Ok(value.to_owned());
        };
        self.at += 1;
        let mut value = String::new();
        while let Some(c) = self.peek() {
            if c == '&' {
                let c = self.reference();
                value.push(c);
                continue;
            }
            self.at += c.len_utf8();
            if c == quote {
                return Ok(value);
            }
            value.push(c);
        }
        Err(format!("Unclosed start tag \"{tag}\" at byte offset {start}"))
    }

    fn meaning(&self, name: String, attributes: &[(String, String)], start: usize) -> Result<Tag, String> {
        let attribute = |wanted: &str| attributes.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        let mut tag = Tag { name, kind: None, url: None, language: None, offset: self.length };
        tag.kind = match tag.name.as_str() {
            "b" | "strong" => Some("bold"),
            "i" | "em" => Some("italic"),
            "u" | "ins" => Some("underline"),
            "s" | "strike" | "del" => Some("strikethrough"),
            "tg-spoiler" => Some("spoiler"),
            "span" if attribute("class").as_deref() == Some("tg-spoiler") => Some("spoiler"),
            "span" => {
                return Err(format!("Tag \"span\" must have class \"tg-spoiler\" at byte offset {start}"));
            }
            "blockquote" if attribute("expandable").is_some() => Some("expandable_blockquote"),
            "blockquote" => Some("blockquote"),
            "code" => {
                tag.language = attribute("class").and_then(|class| class.strip_prefix("language-").map(str::to_owned));
                // `<pre><code class="language-x">` is one block of code, not a word of code within a block.
                let is_first_in_pre = self.open.last().is_some_and(|outer| outer.name == "pre" && outer.offset == self.length);
                if tag.language.is_some() && is_first_in_pre { None } else { Some("code") }
            }
            "pre" => Some("pre"),
            // "a"; without an address Telegram takes the text itself for one, which no caller of ours wants.
            _ => {
                tag.url = attribute("href").filter(|url| !url.is_empty());
                tag.url.as_ref().map(|_| "text_link")
            }
        };
        Ok(tag)
    }

    fn end_tag(&mut self) -> Result<(), String> {
        let start = self.at;
        let Some(tag) = self.open.pop() else {
            return Err(format!("Unexpected end tag at byte offset {start}"));
        };
        self.at += 2;
        let name = self.take_while(|c| !c.is_ascii_whitespace() && c != '>').to_ascii_lowercase();
        self.skip_spaces();
        if self.peek() != Some('>') {
            return Err(format!("Unclosed end tag at byte offset {start}"));
        }
        self.at += 1;
        if !name.is_empty() && name != tag.name {
            return Err(format!("Unmatched end tag at byte offset {start}, expected \"</{}>\", found \"</{name}>\"", tag.name));
        }
        let length = self.length - tag.offset;
        match tag.kind {
            Some(kind) if length > 0 => self.entities.push(Entity {
                kind: kind.to_owned(),
                offset: tag.offset,
                length,
                url: tag.url,
                language: tag.language.filter(|_| kind == "pre"),
            }),
            // The language of a block goes to the `pre` around it, as long as both end together.
            None if tag.name == "code" && self.rest().to_ascii_lowercase().starts_with("</pre") => {
                if let Some(outer) = self.open.last_mut() {
                    outer.language = tag.language;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Reads a character reference at the start of a text: the character, and how many bytes it took.
fn decode(text: &str) -> Option<(char, usize)> {
    let body = text.strip_prefix('&')?;
    let (c, length) = if let Some(number) = body.strip_prefix('#') {
        let (digits, radix, prefix) = match number.strip_prefix(['x', 'X']) {
            Some(digits) => (digits, 16, 3),
            None => (number, 10, 2),
        };
        let length = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
        let code = u32::from_str_radix(digits.get(..length)?, radix).ok()?;
        (char::from_u32(code).filter(|c| *c != '\0')?, prefix + length)
    } else {
        let length = body.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(body.len());
        let c = match body.get(..length)? {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            _ => return None,
        };
        (c, 1 + length)
    };
    let has_semicolon = text.get(length..)?.starts_with(';');
    Some((c, length + usize::from(has_semicolon)))
}

#[cfg(test)]
mod tests;
