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

/// What is wrong with a file of variables: the number of the line, and what kind of mistake stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it, as it goes on after "line 3 ".
    pub kind: &'static str,
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The first mistake of a file of variables; `is_set` says which variables others set.
pub fn mistake(text: &[u8], is_set: &dyn Fn(&str) -> bool) -> Option<Mistake> {
    let mut found = None;
    scan(text, &mut |_, _| {}, &mut |mistake| found = found.or(Some(mistake)), is_set);
    found
}

/// The names of the variables that a file sets to something.
pub fn set(text: &[u8]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut note = |name: &str, value: &str| {
        if !value.is_empty() {
            names.insert(name.to_owned());
        }
    };
    scan(text, &mut note, &mut |_| {}, &|_| true);
    names
}

/// The names of the variables that a file defines, also where they are empty.
pub fn defined(text: &[u8]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut note = |name: &str, _: &str| {
        names.insert(name.to_owned());
    };
    scan(text, &mut note, &mut |_| {}, &|_| true);
    names
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

/// Reads a file of variables as far as that goes: `each` gets what is set, `wrong` what cannot be.
fn scan(text: &[u8], each: &mut dyn FnMut(&str, &str), wrong: &mut dyn FnMut(Mistake), is_set: &dyn Fn(&str) -> bool) {
    let text = String::from_utf8_lossy(text);
    let text = text.trim_start_matches('\u{feff}');
    let mut here: BTreeSet<String> = BTreeSet::new();
    let (mut rest, mut line) = (text, 1);
    while !rest.is_empty() {
        let (first, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let (number, statement) = (line, first.trim());
        (rest, line) = (after, line + 1);
        if statement.is_empty() || statement.starts_with('#') {
            continue;
        }
        let mut tell = |kind| wrong(Mistake { line: number, kind });
        let statement = statement.strip_prefix("export ").unwrap_or(statement).trim_start();
        let (name, value) = statement.split_at(statement.find(['=', ':']).unwrap_or(statement.len()));
        let name = name.trim_end();
        if name.is_empty() {
            tell("has no name before the “=”");
        } else if let Some(kind) = wrong_name(name) {
            tell(kind);
        }
        let value = value.get(1..).unwrap_or_default().trim();
        if first.contains('\0') {
            tell("holds a zero byte");
        }
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let whole = match quote {
            None => value.split(" #").next().unwrap_or_default().to_owned(),
            Some(quote) => {
                // It may go on over several lines.
                let from = text.len() - after.len() - first.len() - usize::from(!after.is_empty() || text.ends_with('\n'));
                let start = first.find(quote).map_or(from, |at| from + at + 1);
                let quoted = text.get(start..).unwrap_or_default();
                match closing(quoted, quote) {
                    Some(end) => {
                        let lines = quoted[..end].matches('\n').count();
                        for _ in 0..lines {
                            rest = rest.split_once('\n').map_or("", |(_, after)| after);
                            line += 1;
                        }
                        quoted[..end].to_owned()
                    }
                    None => {
                        tell("begins a quotation that nothing ends");
                        return;
                    }
                }
            }
        };
        if quote != Some('\'')
            && let Some(kind) = wrong_reference(&whole, &|name| here.contains(name) || is_set(name))
        {
            tell(kind);
        }
        if !whole.is_empty() {
            here.insert(name.to_owned());
        }
        each(name, &whole);
    }
}

fn wrong_name(name: &str) -> Option<&'static str> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '[' | ']') || c.is_whitespace();
    if !name.chars().all(fits) {
        Some("has a character in its name that no name has, or is not NAME=value")
    } else if name.contains(char::is_whitespace) && name != "-" && !name.starts_with("- ") {
        Some("has a name with a space in it, or is not NAME=value")
    } else {
        None
    }
}

/// Where a quotation ends.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    })
}

/// What is wrong with a reference to a variable in a value.
fn wrong_reference(value: &str, is_set: &dyn Fn(&str) -> bool) -> Option<&'static str> {
    let value = value.replace("$$", "");
    for (at, _) in value.match_indices("${") {
        let rest = &value[at + 2..];
        let (name, after) = rest.split_at(rest.find(|c: char| !is_name(c)).unwrap_or(rest.len()));
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let operator = [":-", ":+", ":?", "-", "+", "?"].into_iter().find(|operator| after.starts_with(operator));
        if !begins || !after.contains('}') || operator.is_none() && !after.starts_with('}') {
            return Some("has a “${” that does not begin a ${NAME} (a “$” that is meant as such is written “$$”)");
        }
        if matches!(operator, Some(":?" | "?")) && !is_set(name) {
            return Some("needs a variable (${NAME:?…}) that nothing sets");
        }
    }
    None
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

    fn told(text: &str) -> String {
        mistake(text.as_bytes(), &|name| name == "SET").map_or("-".to_owned(), |m| format!("{} {}", m.line, m.kind))
    }

    #[test]
    fn mistakes_are_found_without_their_values() {
        for (text, line, kind) in [
            ("A=1\nB=ab${SECRET\n", 2, "“${”"),
            ("B=${X:?SECRET text}\n", 1, "needs a variable"),
            ("B=${X?SECRET}\n", 1, "needs a variable"),
            ("# x\n\nB=\"SECRET\nC=1\n", 3, "quotation"),
            ("B='SECRET", 1, "quotation"),
            ("B&SECRET=1\n", 1, "character"),
            ("A=\"two\nlines\"\nB SECRET=1\n", 3, "space"),
            ("SECRET AND MORE\n", 1, "space"),
            ("=SECRET\n", 1, "no name"),
            ("A=SECRET${}\n", 1, "“${”"),
            ("A=${B:SECRET}\n", 1, "“${”"),
            ("export A=${SECRET-\n", 1, "“${”"),
            ("A=x\0SECRET\n", 1, "zero byte"),
            ("{\"a\": \"SECRET\"}\n", 1, "character"),
        ] {
            let told = told(text);
            assert!(told.starts_with(&format!("{line} ")) && told.contains(kind) && !told.contains("SECRET"), "{text}: {told}");
        }
    }

    #[test]
    fn what_compose_reads_has_no_mistake() {
        let text =
            "A=1\nexport B = \"x # y\" \nC='${' # z\nD=$\nE=pa$$word\nF=${SET:?x} ${A:-${B}}\nG: yaml\nH\n- I\nJ=\"a\\\"b\nc\"\nK=1\n";
        assert_eq!(told(text), "-");
        assert_eq!(set(text.as_bytes()).into_iter().collect::<Vec<_>>().join(" "), "A B C D E F G J K");
    }

    #[test]
    fn used_variables_are_found_in_texts() {
        let text = "a: $A b: ${B} c: ${C:-${D:?x}} d: $$E ${F+${G}} ${1} $ pa$$word";
        assert_eq!(used(&[text.to_owned()]).into_iter().collect::<Vec<_>>().join(" "), "A B C D F G");
        assert_eq!(defined(b"A=\nB=1\n# C=1\n").into_iter().collect::<Vec<_>>().join(" "), "A B");
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
