//! Texts, captions, files and pictures of what the bot sends, checked as Telegram checks them.

use super::entities::{self, Entity, utf16_length};
use super::error::ApiError;
use super::html;
use super::model::Attachment;
use super::params::Params;
use super::world::World;

/// Longest text of a message, in UTF-16 units after formatting was taken out.
pub const MAX_TEXT: usize = 4_096;
/// Longest caption, in UTF-16 units after formatting was taken out.
pub const MAX_CAPTION: usize = 1_024;
/// Largest document, in bytes.
pub const MAX_DOCUMENT: usize = 50 * 1024 * 1024;
/// Largest picture, in bytes.
pub const MAX_PHOTO: usize = 10 * 1024 * 1024;
/// Most pixels of a picture's width and height together.
const MAX_PIXELS: u32 = 10_000;
/// How much longer than wide a picture may be, or the reverse.
const MAX_RATIO: u32 = 20;

/// A text with its formatting.
pub(super) struct Content {
    pub(super) text: String,
    pub(super) html: String,
    pub(super) entities: Vec<Entity>,
}

/// What a text is read for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Send,
    Edit,
    Caption,
}

/// Reads a text or caption in whichever form it was formatted.
///
/// # Errors
/// A violation where Telegram would refuse it.
pub(super) fn read(world: &mut World, params: &Params, purpose: Purpose) -> Result<Content, ApiError> {
    let (key, entities_key) = match purpose {
        Purpose::Caption => ("caption", "caption_entities"),
        Purpose::Send | Purpose::Edit => ("text", "entities"),
    };
    let raw = params.text(key).unwrap_or_default();
    let mode = params.text("parse_mode").unwrap_or_default();
    let (text, entities) = match mode.to_ascii_lowercase().as_str() {
        "" => (raw.clone(), params.structure(entities_key)?.unwrap_or_default()),
        "html" => {
            let parsed = html::parse(&raw).map_err(|complaint| ApiError::bug(&format!("can't parse entities: {complaint}")))?;
            if let Some(at) = parsed.lone_ampersand {
                world.violation(format!("unescaped & at byte offset {at} of HTML: {}", preview(&raw)));
            }
            (parsed.text, parsed.entities)
        }
        other => {
            return Err(ApiError::bug(&format!("parse_mode \"{other}\" is not what this bot should use")));
        }
    };
    entities::check(&text, &entities)?;
    let (text, entities) = entities::normalise(&text, entities);
    let length = utf16_length(&text);
    match purpose {
        Purpose::Send | Purpose::Edit if text.is_empty() => Err(ApiError::bug("message text is empty")),
        Purpose::Send if length > MAX_TEXT => Err(ApiError::bug("message is too long")),
        Purpose::Edit if length > MAX_TEXT => Err(ApiError::bug("MESSAGE_TOO_LONG")),
        Purpose::Caption if length > MAX_CAPTION => Err(ApiError::bug("message caption is too long")),
        _ => Ok(Content { text, html: raw, entities }),
    }
}

/// A short form of a text for reports.
pub(super) fn preview(text: &str) -> String {
    const CHARACTERS: usize = 60;
    let mut short: String = text.chars().take(CHARACTERS).collect();
    if short.len() < text.len() {
        short += "...";
    }
    format!("{short:?}")
}

/// Reads the file of `sendDocument`.
///
/// # Errors
/// A violation where Telegram would refuse it; 413 where it is too large.
pub(super) fn document(world: &mut World, params: &Params) -> Result<Attachment, ApiError> {
    let Some(upload) = params.upload("document") else {
        return sent_before(world, params, "document");
    };
    if upload.bytes.len() > MAX_DOCUMENT {
        return Err(too_large());
    }
    if upload.bytes.is_empty() {
        return Err(ApiError::bug("file must be non-empty"));
    }
    Ok(Attachment {
        file_id: world.new_file_id(),
        mime: mime_of(&upload.name),
        name: upload.name.clone(),
        size: upload.bytes.len(),
        bytes: upload.bytes.clone(),
        pixels: (0, 0),
    })
}

/// Reads the picture of `sendPhoto`.
///
/// # Errors
/// A violation where Telegram would refuse it; 413 where it is too large.
pub(super) fn photo(world: &mut World, params: &Params) -> Result<Attachment, ApiError> {
    let Some(upload) = params.upload("photo") else {
        return sent_before(world, params, "photo");
    };
    if upload.bytes.len() > MAX_PHOTO {
        return Err(too_large());
    }
    let (mime, width, height) = picture(&upload.bytes).ok_or(ApiError::bug("IMAGE_PROCESS_FAILED"))?;
    let (long, short) = (width.max(height), width.min(height));
    if short == 0 || width.saturating_add(height) > MAX_PIXELS || long > short.saturating_mul(MAX_RATIO) {
        return Err(ApiError::bug("PHOTO_INVALID_DIMENSIONS"));
    }
    Ok(Attachment {
        file_id: world.new_file_id(),
        mime,
        name: upload.name.clone(),
        size: upload.bytes.len(),
        bytes: upload.bytes.clone(),
        pixels: (width, height),
    })
}

fn too_large() -> ApiError {
    ApiError { is_violation: true, ..ApiError::new(413, "Request Entity Too Large") }
}

fn sent_before(world: &World, params: &Params, key: &str) -> Result<Attachment, ApiError> {
    let id = params.text(key).unwrap_or_default();
    if id.is_empty() || id.starts_with("attach://") {
        return Err(ApiError::bug(&format!("there is no {key} in the request")));
    }
    let file = world.file(&id).filter(|file| (file.pixels == (0, 0)) == (key == "document"));
    file.cloned().ok_or(ApiError::bug("wrong file identifier/HTTP URL specified"))
}

fn mime_of(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).as_deref() {
        Some("txt" | "log") => "text/plain",
        Some("json") => "application/json",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gz" | "tgz") => "application/gzip",
        Some("zip") => "application/zip",
        _ => "application/octet-stream",
    }
}

/// Type, width and height of a PNG or JPEG picture.
fn picture(bytes: &[u8]) -> Option<(&'static str, u32, u32)> {
    let number = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.get(12..16) == Some(b"IHDR") {
        return Some(("image/png", number(16)?, number(20)?));
    }
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return None;
    }
    let short = |at: usize| bytes.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes);
    let mut at = 2;
    while *bytes.get(at)? == 0xff {
        let marker = *bytes.get(at + 1)?;
        // The start-of-frame segments but for the three markers among them that mean something else.
        if (0xc0..=0xcf).contains(&marker) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            return Some(("image/jpeg", short(at + 7)?.into(), short(at + 5)?.into()));
        }
        at += 2 + usize::from(short(at + 2)?);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_measured() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0".to_vec();
        assert_eq!(picture(&png), Some(("image/png", 640, 480)));
        png.truncate(20);
        assert_eq!(picture(&png), None);
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x0b\x08\x01\xe0\x02\x80\x01";
        assert_eq!(picture(jpeg), Some(("image/jpeg", 640, 480)));
        assert_eq!(picture(&jpeg[..12]), None);
        assert_eq!(picture(b"GIF89a"), None);
    }

    #[test]
    fn a_preview_is_short() {
        assert_eq!(preview("a\n"), r#""a\n""#);
        assert_eq!(preview(&"ж".repeat(61)), format!("\"{}...\"", "ж".repeat(60)));
    }
}
