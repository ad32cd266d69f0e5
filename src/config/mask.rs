//! The text of a configuration without the secrets in it, for whoever compares two of its versions.

use std::collections::BTreeMap;

use super::span::{self, Node, Value};
use crate::domain::redact::{holds_password, is_secret_name};

/// What stands in place of a text that cannot be told apart from its secrets.
const UNREAD: &str = "(no JSON, and so not shown)";

/// Gives each secret a number, the same wherever it stands: texts that one of these masked differ where they did before.
#[derive(Debug, Default)]
pub struct Mask {
    numbers: BTreeMap<String, usize>,
}

impl Mask {
    /// The text, line by line as it was, with a number in place of each secret: values in an `environment` whose names say so,
    /// arguments that follow or hold such a name, and addresses with a password.
    pub fn hide(&mut self, text: &str) -> String {
        let body = text.trim_start_matches('\u{feff}');
        if body.trim().is_empty() {
            return text.to_owned();
        }
        let Ok(root) = span::parse(body, 0) else { return UNREAD.to_owned() };
        let mut found = Vec::new();
        secrets(&root, "", "", &mut found);
        let (mut out, mut done) = (String::with_capacity(body.len()), 0);
        for (at, secret) in found {
            let next = self.numbers.len() + 1;
            let number = *self.numbers.entry(secret.to_owned()).or_insert(next);
            out.push_str(body.get(done..at).unwrap_or_default());
            out.push_str(&format!("\"[secret {number}]\""));
            done = at + literal(body.get(at..).unwrap_or_default());
        }
        out.push_str(body.get(done..).unwrap_or_default());
        out
    }
}

/// The secrets of a value with the places of their first bytes, in the order of the text. `key` is the value's own, `around` that of
/// what it is in.
fn secrets<'n>(node: &'n Node, key: &str, around: &str, found: &mut Vec<(usize, &'n str)>) {
    match &node.value {
        Value::Text(text) if around == "environment" && is_secret_name(key) || holds_password(text) => found.push((node.at, text)),
        Value::Object(members) => members.iter().for_each(|member| secrets(&member.node, &member.key, key, found)),
        Value::List(items) => {
            let mut announced = false;
            for item in items {
                let Value::Text(text) = &item.value else {
                    secrets(item, "", key, found);
                    continue;
                };
                let (name, value) = text.split_once('=').map_or((text.as_str(), None), |(name, value)| (name, Some(value)));
                if announced || value.is_some() && is_secret_name(name) || holds_password(text) {
                    found.push((item.at, text));
                }
                announced = value.is_none() && name.starts_with('-') && is_secret_name(name);
            }
        }
        _ => {}
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
    fn secrets_have_numbers_and_all_else_stays() {
        let text = r#"{
  "environment": { "MODE": "dev", "DB_PASSWORD": "a\"b\\", "API_KEY":
    "é", "AGAIN_TOKEN": "a\"b\\", "URL": "postgres://me:hunter2@db/x" },
  "command": ["serve", "--password", "hunter2", "--api-token=hunter3", "--port=80", "KEY"],
  "registry_credentials": "/etc/registry.json", "exclude": ["*.key"]
}"#;
        let mut mask = Mask::default();
        assert_eq!(
            mask.hide(text),
            r#"{
  "environment": { "MODE": "dev", "DB_PASSWORD": "[secret 1]", "API_KEY":
    "[secret 2]", "AGAIN_TOKEN": "[secret 1]", "URL": "[secret 3]" },
  "command": ["serve", "--password", "[secret 4]", "[secret 5]", "--port=80", "KEY"],
  "registry_credentials": "/etc/registry.json", "exclude": ["*.key"]
}"#
        );
        let other = mask.hide(r#"{ "environment": { "DB_PASSWORD": "é", "NEW_KEY": "new" } }"#);
        assert_eq!(other, r#"{ "environment": { "DB_PASSWORD": "[secret 2]", "NEW_KEY": "[secret 6]" } }"#);
        assert_eq!(mask.hide("\u{feff}{ \"KEY\": \"x\" }"), "{ \"KEY\": \"x\" }");
        assert_eq!((mask.hide(""), mask.hide("{ \"TOKEN\": hunter2 }")), (String::new(), UNREAD.to_owned()));
    }
}
