//! The text of a configuration without the secrets in it, for whoever compares two of its versions.

use std::collections::BTreeMap;

use super::span::{self, Node, Value};
use crate::domain::redact;

/// What stands in place of a text that cannot be told apart from its secrets.
const UNREAD: &str = "(no JSON, and so not shown)";

/// The keys of what programs are called with.
const ARGUMENTS: [&str; 3] = ["command", "entrypoint", "args"];

/// Gives each hidden value a number, the same wherever it stands: texts that one of these masked differ where they did before.
#[derive(Debug, Default)]
pub struct Mask {
    numbers: BTreeMap<String, usize>,
}

impl Mask {
    /// The text, line by line as it was, with a number in place of each value of an environment, each argument, each part of
    /// a health check, and what may be secret in an address.
    pub fn hide(&mut self, text: &str) -> String {
        let body = text.trim_start_matches('\u{feff}');
        if body.trim().is_empty() {
            return text.to_owned();
        }
        let Ok(root) = span::parse(body, 0) else { return UNREAD.to_owned() };
        let mut found = Vec::new();
        values(&root, "", "", &mut found);
        let (mut out, mut done) = (String::with_capacity(body.len()), 0);
        for (at, value, shown) in found {
            let next = self.numbers.len() + 1;
            let number = *self.numbers.entry(value.to_owned()).or_insert(next);
            out.push_str(body.get(done..at).unwrap_or_default());
            out.push_str(&format!("\"{shown}[hidden {number}]\""));
            done = at + literal(body.get(at..).unwrap_or_default());
        }
        out.push_str(body.get(done..).unwrap_or_default());
        out
    }
}

/// The values to hide with the places of their first bytes, in the order of the text, and what of each is shown. `key` is the
/// value's own, `around` that of what it is in.
fn values<'n>(node: &'n Node, key: &str, around: &str, found: &mut Vec<(usize, &'n str, String)>) {
    let is_check = key == "test" && around == "healthcheck";
    match &node.value {
        Value::Text(text) if around == "environment" || ARGUMENTS.contains(&key) || is_check => found.push((node.at, text, String::new())),
        Value::Text(text) => addresses(node.at, text, found),
        Value::Object(members) => members.iter().for_each(|member| values(&member.node, &member.key, key, found)),
        Value::List(items) => {
            // The program, or the kind of check.
            let is_hidden = ARGUMENTS.contains(&key) || is_check;
            for (number, item) in items.iter().enumerate() {
                match &item.value {
                    Value::Text(text) if is_hidden && number > 0 => found.push((item.at, text, String::new())),
                    Value::Text(text) => addresses(item.at, text, found),
                    _ => values(item, "", key, found),
                }
            }
        }
        _ => {}
    }
}

fn addresses<'n>(at: usize, text: &'n str, found: &mut Vec<(usize, &'n str, String)>) {
    let shown = redact::address(text);
    if text.contains("://") && shown != text {
        let shown: String = shown.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\')).collect();
        found.push((at, text, format!("{shown} ")));
    }
}

/// How many bytes a string takes as it is written, its quotes included.
fn literal(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_numbers_and_all_else_stays() {
        let text = r#"{
  "environment": { "MODE": "dev", "PIN": "a\"b\\", "API_KEY":
    "é", "AGAIN": "a\"b\\", "URL": "postgres://me:hunter2@db/x" },
  "command": ["serve", "--password", "hunter2", "-phunter3"], "entrypoint": "sh -c x",
  "healthcheck": { "test": ["CMD-SHELL", "curl x"], "http": "http://me:hunter2@h/x?token=y" },
  "deploy": { "probe": "http://h/x?token=y" }, "registry_credentials": "/etc/registry.json", "exclude": ["*.key"]
}"#;
        let mut mask = Mask::default();
        assert_eq!(
            mask.hide(text),
            r#"{
  "environment": { "MODE": "[hidden 1]", "PIN": "[hidden 2]", "API_KEY":
    "[hidden 3]", "AGAIN": "[hidden 2]", "URL": "[hidden 4]" },
  "command": ["serve", "[hidden 5]", "[hidden 6]", "[hidden 7]"], "entrypoint": "[hidden 8]",
  "healthcheck": { "test": ["CMD-SHELL", "[hidden 9]"], "http": "http://h/x [hidden 10]" },
  "deploy": { "probe": "http://h/x [hidden 11]" }, "registry_credentials": "/etc/registry.json", "exclude": ["*.key"]
}"#
        );
        let other = mask.hide(r#"{ "environment": { "PIN": "é", "NEW": "new" } }"#);
        assert_eq!(other, r#"{ "environment": { "PIN": "[hidden 3]", "NEW": "[hidden 12]" } }"#);
        assert_eq!(mask.hide("\u{feff}{ \"KEY\": \"x\" }"), "{ \"KEY\": \"x\" }");
        assert_eq!((mask.hide(""), mask.hide("{ \"TOKEN\": hunter2 }")), (String::new(), UNREAD.to_owned()));
    }
}
