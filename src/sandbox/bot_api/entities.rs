//! Formatting as Telegram keeps it: plain text and ranges over it, counted in UTF-16 units.

use serde::{Deserialize, Serialize};

use super::error::ApiError;

/// Most entities of one message.
pub const MAX_ENTITIES: usize = 100;

/// What a bot may ask for; Telegram finds the other kinds (mentions, hashtags, commands) by itself.
const KINDS: [&str; 11] = [
    "bold",
    "italic",
    "underline",
    "strikethrough",
    "spoiler",
    "code",
    "pre",
    "text_link",
    "blockquote",
    "expandable_blockquote",
    "bot_command",
];

/// A formatted range of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// Telegram's name for it: `bold`, `pre`, `text_link` and so on.
    #[serde(rename = "type")]
    pub kind: String,
    /// Start, in UTF-16 units.
    pub offset: usize,
    /// Length, in UTF-16 units.
    pub length: usize,
    /// Where a `text_link` leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Language of a `pre`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

impl Entity {
    /// A range without attributes.
    pub(in crate::sandbox) fn new(kind: &str, offset: usize, length: usize) -> Self {
        Self { kind: kind.to_owned(), offset, length, url: None, language: None }
    }
}

/// Length of a text as Telegram counts it, in UTF-16 units.
pub(in crate::sandbox) fn utf16_length(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Refuses entities that no message can have.
///
/// # Errors
/// What Telegram says about the first one that is wrong.
pub(super) fn check(text: &str, entities: &[Entity]) -> Result<(), ApiError> {
    if entities.len() > MAX_ENTITIES {
        let reason = format!("too many entities: {} of at most {MAX_ENTITIES}", entities.len());
        return Err(ApiError::bug(&reason));
    }
    let length = utf16_length(text);
    for entity in entities {
        if !KINDS.contains(&entity.kind.as_str()) {
            let reason = format!("can't parse entities: unknown entity type \"{}\"", entity.kind);
            return Err(ApiError::bug(&reason));
        }
        let end = entity.offset.checked_add(entity.length);
        if entity.length == 0 || end.is_none_or(|end| end > length) {
            let reason = format!(
                "can't parse entities: {} entity at offset {} with length {} is outside of the text",
                entity.kind, entity.offset, entity.length
            );
            return Err(ApiError::bug(&reason));
        }
        if entity.kind == "text_link" && entity.url.as_deref().is_none_or(str::is_empty) {
            return Err(ApiError::bug("can't parse entities: text_link entity without URL"));
        }
    }
    Ok(())
}

/// Brings a text into the form that Telegram keeps: no carriage returns, other control characters as spaces, blank ends
/// cut (but not the blank start of a formatted range). Entities move along; those that became empty go.
pub(super) fn normalise(text: &str, entities: Vec<Entity>) -> (String, Vec<Entity>) {
    let is_blank = |c: char| matches!(c, ' ' | '\n');
    let cleaned: Vec<Option<char>> = text.chars().map(clean).collect();
    let kept = |(index, c): (usize, &Option<char>)| c.filter(|c| !is_blank(*c)).map(|_| index);
    let first_entity = entities.iter().map(|entity| entity.offset).min().unwrap_or(usize::MAX);
    let Some(last) = cleaned.iter().enumerate().filter_map(kept).next_back() else {
        return (String::new(), Vec::new());
    };
    let first = cleaned.iter().enumerate().find_map(kept).unwrap_or(0);

    let mut result = String::with_capacity(text.len());
    // At index n stands where the unit n of the old text went.
    let mut moved = Vec::with_capacity(text.len() + 1);
    let mut position = 0;
    for (index, (old, new)) in text.chars().zip(&cleaned).enumerate() {
        let is_inside = (index >= first || moved.len() >= first_entity) && index <= last;
        let start = position;
        if let Some(c) = new.filter(|_| is_inside) {
            result.push(c);
            position += c.len_utf16();
        }
        moved.extend(std::iter::repeat_n(start, old.len_utf16()));
    }
    moved.push(position);

    let place = |offset: usize| moved.get(offset).copied().unwrap_or(position);
    let entities = entities.into_iter().filter_map(|entity| {
        let (offset, end) = (place(entity.offset), place(entity.offset + entity.length));
        (end > offset).then(|| Entity { offset, length: end - offset, ..entity })
    });
    let entities = entities.collect();
    (result, entities)
}

fn clean(c: char) -> Option<char> {
    match c {
        '\r' => None,
        '\n' => Some(c),
        c if (c as u32) < 0x20 => Some(' '),
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bold(offset: usize, length: usize) -> Entity {
        Entity::new("bold", offset, length)
    }

    #[test]
    fn blank_ends_go_and_entities_move() {
        let (text, entities) = normalise("  \nab cd \n", vec![bold(6, 3)]);
        assert_eq!((text.as_str(), entities), ("ab cd", vec![bold(3, 2)]));
    }

    #[test]
    fn a_formatted_blank_start_stays() {
        let (text, entities) = normalise(" \n  indented", vec![bold(2, 10)]);
        assert_eq!((text.as_str(), entities), ("  indented", vec![bold(0, 10)]));
    }

    #[test]
    fn control_characters_do_not_survive() {
        let (text, entities) = normalise("a\r\nb\x1b[1m\tc😀d", vec![bold(1, 3), bold(9, 3)]);
        assert_eq!((text.as_str(), entities), ("a\nb [1m c😀d", vec![bold(1, 2), bold(8, 3)]));
    }

    #[test]
    fn an_entity_over_blanks_only_goes() {
        assert_eq!(normalise("ab  ", vec![bold(2, 2)]), ("ab".to_owned(), vec![]));
        assert_eq!(normalise("  ", vec![bold(0, 2)]), (String::new(), vec![]));
    }

    #[test]
    fn entities_outside_of_the_text_are_refused() {
        for (entity, is_right) in [(bold(0, 2), true), (bold(1, 2), false), (bold(0, 0), false), (bold(usize::MAX, 1), false)] {
            assert_eq!(check("ab", std::slice::from_ref(&entity)).is_ok(), is_right, "{entity:?}");
        }
        assert!(check("ab", &[Entity::new("blink", 0, 1)]).is_err());
        assert!(check("ab", &[Entity::new("text_link", 0, 1)]).is_err());
        assert!(check("ab", &vec![bold(0, 1); MAX_ENTITIES]).is_ok());
        assert!(check("ab", &vec![bold(0, 1); MAX_ENTITIES + 1]).is_err());
    }
}
