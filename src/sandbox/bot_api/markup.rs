//! Inline keyboards, and what Telegram refuses about them.

use serde_json::Value;

use super::error::ApiError;
use super::model::Button;
use super::params::Params;

/// Most buttons of one keyboard.
const MAX_BUTTONS: usize = 100;
/// Most buttons in one row.
const MAX_ROW: usize = 8;
/// Longest `callback_data`, in bytes.
const MAX_DATA: usize = 64;
/// What a button can do here besides `callback_data` and `url`.
const OTHER_ACTIONS: [&str; 7] = [
    "login_url",
    "web_app",
    "switch_inline_query",
    "switch_inline_query_current_chat",
    "switch_inline_query_chosen_chat",
    "copy_text",
    "pay",
];

/// Reads `reply_markup`: the rows of its inline keyboard, none where it is another kind or missing.
///
/// # Errors
/// A violation where Telegram would refuse the keyboard.
pub(super) fn keyboard(params: &Params) -> Result<Vec<Vec<Button>>, ApiError> {
    let Some(markup) = params.structure::<Value>("reply_markup")? else {
        return Ok(Vec::new());
    };
    if !markup.is_object() {
        return Err(ApiError::bug("object expected as reply markup"));
    }
    let Some(rows) = markup.get("inline_keyboard") else {
        return Ok(Vec::new());
    };
    let rows = rows.as_array().ok_or(ApiError::bug("field \"inline_keyboard\" of the reply markup must be an Array"))?;
    let mut keyboard = Vec::new();
    for row in rows {
        let row = row.as_array().ok_or(ApiError::bug("field \"inline_keyboard\" must be an Array of Arrays"))?;
        if row.len() > MAX_ROW {
            return Err(ApiError::bug(&format!("reply markup has {} buttons in a row, {MAX_ROW} at most", row.len())));
        }
        let row = row.iter().map(button).collect::<Result<Vec<_>, _>>()?;
        if !row.is_empty() {
            keyboard.push(row);
        }
    }
    let count: usize = keyboard.iter().map(Vec::len).sum();
    if count > MAX_BUTTONS {
        return Err(ApiError::bug(&format!("reply markup has {count} buttons, {MAX_BUTTONS} at most")));
    }
    Ok(keyboard)
}

fn button(json: &Value) -> Result<Button, ApiError> {
    let text = |key: &str| json.get(key).and_then(Value::as_str).map(str::to_owned);
    let caption = text("text").filter(|text| !text.trim().is_empty());
    let caption = caption.ok_or(ApiError::bug("can't parse inline keyboard button: text must be non-empty"))?;
    let (data, url) = (text("callback_data"), text("url"));
    let is_other = OTHER_ACTIONS.iter().any(|key| json.get(key).is_some());
    match (&data, &url) {
        (None, None) if !is_other => {
            return Err(ApiError::bug("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"));
        }
        (Some(data), _) if !(1..=MAX_DATA).contains(&data.len()) => {
            return Err(ApiError::bug("BUTTON_DATA_INVALID"));
        }
        (_, Some(url)) if !["http://", "https://", "tg://"].iter().any(|scheme| url.starts_with(scheme)) => {
            return Err(ApiError::bug("BUTTON_URL_INVALID"));
        }
        _ => {}
    }
    Ok(Button { text: caption, data, url })
}
