//! What is wrong with files of variables (`.env`, `env_file`), told without what they hold.
//!
//! Compose's own messages about them quote values, in words that change from version to version. So nothing is decided by
//! its words: Compose is asked again without any values, or with one file of variables alone, and what is wrong with a file is
//! found by reading it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

use serde_json::Value;

use super::{Files, words};
use crate::domain::env_file::is_name;

/// A configuration in which no variable occurs.
pub const PLAIN: &str = "services: { x: { image: x } }\n";
/// What stands where a configuration would have the value of a variable.
const STAND_IN: &str = "0";

impl Files<'_> {
    /// Reads the files without any variables at all: neither the files' values nor what Compose says of them can hold one.
    pub fn bare(&self) -> Vec<OsString> {
        let none = Files { environment: Some(Path::new("/dev/null")), ..self.clone() };
        [none.global(true), words(&["config", "--no-interpolate", "--format", "json"])].concat()
    }

    /// Checks a configuration on the standard input, with files of variables and nothing else.
    pub fn check_with(&self, variables: &[&Path]) -> Vec<OsString> {
        let mut args =
            Files { environment: Some(variables.first().copied().unwrap_or(Path::new("/dev/null"))), ..self.clone() }.global(false);
        for file in variables.iter().skip(1) {
            let at = args.len() - 2;
            args.splice(at..at, ["--env-file".into(), OsString::from(file)]);
        }
        [args, words(&["config", "--quiet"])].concat()
    }
}

/// What [`Files::bare`] printed, with a stand-in for each variable and without files of variables.
pub fn without_variables(bare: &[u8]) -> Option<Vec<u8>> {
    let mut value: Value = serde_json::from_slice(bare).ok()?;
    for service in value.get_mut("services")?.as_object_mut()?.values_mut().filter_map(Value::as_object_mut) {
        service.remove("env_file");
    }
    stand_in(&mut value);
    Some(value.to_string().into_bytes())
}

fn stand_in(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('$') => *text = STAND_IN.to_owned(),
        Value::Array(items) => items.iter_mut().for_each(stand_in),
        Value::Object(fields) => fields.values_mut().for_each(stand_in),
        _ => {}
    }
}

/// The variables that texts use and that must be set (`${NAME:?why}`, `${NAME?why}`), with what the texts say of each.
pub fn required(texts: &[String]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for text in texts {
        for rest in text.split("${").skip(1) {
            let (name, after) = rest.split_at(rest.find(|c: char| !is_name(c)).unwrap_or(rest.len()));
            if let Some(why) = after.strip_prefix(":?").or_else(|| after.strip_prefix('?')) {
                found.insert(name.to_owned(), why.split('}').next().unwrap_or_default().trim().to_owned());
            }
        }
    }
    found
}

/// The places in a configuration (`services.web.ports`) that a message names, made of nothing but words of `texts`.
pub fn places(message: &str, texts: &[String]) -> BTreeSet<String> {
    let words = message.split(|c: char| !(c.is_ascii_alphanumeric() || "._-[]".contains(c)));
    let place = |word: &str| {
        let dotted = word.replace(['[', ']'], ".");
        let parts: Vec<&str> = dotted.split('.').filter(|part| !part.is_empty()).collect();
        let is_key = |part: &&str| texts.iter().any(|text| text.contains(&format!("{part}:")) || text.contains(&format!("{part}\":")));
        let known: Vec<&str> = parts.iter().copied().skip(1).take_while(|part| is_key(part)).collect();
        (parts.first() == Some(&"services") && !known.is_empty()).then(|| format!("services.{}", known.join(".")))
    };
    words.filter_map(place).collect()
}

/// The names of the variables that texts use: `$NAME`, `${NAME}`, `${NAME:-default}`, and those within defaults.
pub fn used(texts: &[String]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for text in texts {
        for after in text.replace("$$", "").split('$').skip(1) {
            let after = after.strip_prefix('{').unwrap_or(after);
            let name = after.split(|c: char| !is_name(c)).next().unwrap_or_default();
            if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
                names.insert(name.to_owned());
            }
        }
    }
    names
}

/// A configuration's own values as they stand in the text of its files: of environments, arguments, health checks and the
/// like, by the keys above which they are indented.
pub fn values(texts: &[String]) -> String {
    const KEYS: [&str; 8] = ["environment", "args", "command", "entrypoint", "healthcheck", "test", "labels", "content"];
    let mut found = String::new();
    for text in texts {
        let mut within: Option<usize> = None;
        for line in text.lines() {
            let indent = line.len() - line.trim_start().len();
            if within.is_some_and(|key| indent > key || line.trim_start().starts_with('-') && indent == key || line.trim().is_empty()) {
                found.push_str(line);
                found.push('\n');
                continue;
            }
            within = None;
            let key = line.trim_start().trim_start_matches("- ").split(':').next().unwrap_or_default().trim_matches(['"', '\'', ' ']);
            if KEYS.contains(&key) {
                within = Some(indent);
            }
            // A line that holds a whole service, as JSON does.
            if KEYS.iter().any(|key| line.contains(&format!("{key}:")) || line.contains(&format!("{key}\":"))) {
                found.push_str(line);
                found.push('\n');
            }
        }
    }
    found
}

/// A message without the words of it that stand among a configuration's values, but for words that are keys.
pub fn without_values(message: &str, texts: &[String]) -> String {
    const WORD_MIN: usize = 4;
    let values = values(texts);
    let is_key = |word: &str| texts.iter().any(|text| text.contains(&format!("{word}:")) || text.contains(&format!("{word}\":")));
    let separates = |c: char| c.is_whitespace() || "\"'`=,:;()[]{}".contains(c);
    let mut shown = String::new();
    for piece in message.split_inclusive(separates) {
        let word = piece.trim_end_matches(separates);
        if word.len() >= WORD_MIN && values.contains(word) && !is_key(word) {
            shown.push('…');
            shown.push_str(&piece[word.len()..]);
        } else {
            shown.push_str(piece);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_variables_are_found_in_texts() {
        let text = "a: $A b: ${B} c: ${C:-${D:?x}} d: $$E ${F+${G}} ${1} $ pa$$word";
        assert_eq!(used(&[text.to_owned()]).into_iter().collect::<Vec<_>>().join(" "), "A B C D F G");
    }

    #[test]
    fn places_and_required_names_are_told_alone() {
        let texts = ["services:\n  web:\n    ports: [\"${P:?x}:80\"]\n    environment: { A: hunter22, B: \"${Q?}\" }\n".to_owned()];
        let needed = required(&texts);
        assert_eq!((needed["P"].as_str(), needed["Q"].as_str(), needed.len()), ("x", "", 2));
        let found = places("error decoding 'services[web].ports': invalid services.web.environment.hunter22", &texts);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["services.web.environment", "services.web.ports"]);
        assert_eq!(without_values("services.web.ports is \"hunter22\" of web", &texts), "services.web.ports is \"…\" of web");
    }

    #[test]
    fn a_configuration_is_checked_without_variables() {
        let bare = br#"{"services":{"a":{"image":"x:${V}","env_file":["a.env"],"environment":{"A":"b"}}}}"#;
        let plain = String::from_utf8(without_variables(bare).unwrap()).unwrap();
        assert_eq!(plain, r#"{"services":{"a":{"environment":{"A":"b"},"image":"0"}}}"#);
    }
}
