//! The name that a compose project's own files give it: `COMPOSE_PROJECT_NAME` of its `.env`, before `name:` of its compose files.
//! Without either, the caller of Compose names the project (`-p`).

use std::collections::BTreeMap;

use super::env_file::values;

/// The variable by which `.env` names a project.
pub const VARIABLE: &str = "COMPOSE_PROJECT_NAME";

/// The name that a project's files give it, and what of them does. A file's `name:` may use variables of `.env`; a later file counts
/// before an earlier one. None where they give none, or one that cannot be told without Compose.
pub fn name_in_files(environment: Option<&str>, files: &[String]) -> Option<(String, &'static str)> {
    let variables = environment.map(|text| values(text.as_bytes())).unwrap_or_default();
    if let Some(name) = variables.get(VARIABLE).filter(|name| !name.is_empty()) {
        return Some((name.clone(), "COMPOSE_PROJECT_NAME of .env"));
    }
    let written = files.iter().rev().find_map(|text| top_level_name(text))?;
    let name = interpolated(&written, &variables)?;
    (!name.is_empty()).then_some((name, "“name” of the compose file"))
}

/// Whether compose files may declare a service: they have a key that is called so. It is found also where a profile hides the service
/// from what Compose resolves.
pub fn declares(files: &[String], service: &str) -> bool {
    let is_key = |text: &String| {
        text.match_indices(service).any(|(at, _)| {
            let (before, after) = (text[..at].chars().next_back(), &text[at + service.len()..]);
            let begins = before.is_none_or(|c| c.is_whitespace() || matches!(c, '"' | '\'' | '{' | ','));
            begins && after.trim_start_matches(['"', '\'']).trim_start_matches(' ').starts_with(':')
        })
    };
    files.iter().any(is_key)
}

/// What a compose file says after `name:` at its top level, as it is written.
fn top_level_name(text: &str) -> Option<String> {
    if text.trim_start().starts_with('{') {
        let value: serde_json::Value = serde_json::from_str(text).ok()?;
        return value.get("name")?.as_str().map(str::to_owned);
    }
    let value = text.lines().find_map(|line| {
        let rest = ["name", "\"name\"", "'name'"].into_iter().find_map(|key| line.strip_prefix(key))?;
        rest.trim_start().strip_prefix(':').filter(|value| value.starts_with([' ', '\t']))
    })?;
    let value = value.trim();
    let quoted = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.split(quote).next());
    Some(quoted.unwrap_or_else(|| value.split(" #").next().unwrap_or_default().trim()).to_owned())
}

/// A text with its variables put in; none where it holds what only Compose understands.
fn interpolated(text: &str, variables: &BTreeMap<String, String>) -> Option<String> {
    let mut pieces = text.split('$');
    let mut whole = pieces.next()?.to_owned();
    for piece in pieces {
        let set = |name: &str| variables.get(name).filter(|value| !value.is_empty()).cloned();
        let (value, rest) = if let Some(inside) = piece.strip_prefix('{') {
            let (inside, rest) = inside.split_once('}')?;
            let value = match inside.split_once(":-").or_else(|| inside.split_once('-')) {
                Some((name, default)) => set(name).unwrap_or_else(|| default.to_owned()),
                None if inside.contains(['?', '+', ':']) => return None,
                None => set(inside).unwrap_or_default(),
            };
            (value, rest)
        } else {
            let end = piece.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(piece.len());
            let (name, rest) = piece.split_at(end);
            (set(name).filter(|_| !name.is_empty())?, rest)
        };
        whole.push_str(&value);
        whole.push_str(rest);
    }
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(environment: &str, files: &[&str]) -> String {
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        name_in_files(Some(environment), &files).map(|(name, _)| name).unwrap_or_default()
    }

    #[test]
    fn services_are_found_as_keys() {
        let has = |text: &str, service: &str| declares(&[text.to_owned()], service);
        let yaml = "services:\n  store:\n    image: stroe\n  'web' : { image: x }\n";
        assert!(has(yaml, "store") && has(yaml, "web") && has("{\"services\":{\"db\":{}}}", "db"));
        assert!(!has(yaml, "stroe") && !has(yaml, "tore") && !has(yaml, "stor"));
    }

    #[test]
    fn name_comes_from_env_before_files() {
        let acme = "services:\n  web:\n    name: other\nname: acme # ours\n";
        for (environment, files, expected) in [
            ("", &[acme][..], "acme"),
            ("COMPOSE_PROJECT_NAME=shop\n", &[acme], "shop"),
            ("export COMPOSE_PROJECT_NAME='shop' # x\n", &[], "shop"),
            ("COMPOSE_PROJECT_NAME=\n", &[acme], "acme"),
            ("#COMPOSE_PROJECT_NAME=shop\n", &["services: {}\n"], ""),
            ("", &[acme, "name: \"later\"\n"], "later"),
            ("", &[acme, "services: {}\n"], "acme"),
            ("", &["{ \"name\": \"json\", \"services\": {} }"], "json"),
            ("", &["names: x\n  name: y\nname:z\n"], ""),
            ("STACK=one\n", &["name: ${STACK}-$STACK\n"], "one-one"),
            ("", &["name: ${STACK:-acme}\n"], "acme"),
            ("", &["name: ${STACK:?set it}\n"], ""),
        ] {
            assert_eq!(name(environment, files), expected, "{environment:?} {files:?}");
        }
    }
}
