//! The values of a resolved configuration, to be left out of what Compose, builds and the engine print about it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Resolved;
use crate::domain::redact::{holds_password, is_secret_name};

/// What stands in place of a value.
const HIDDEN: &str = "[value]";
/// The shortest value that is left out wherever it occurs; shorter ones would take every line apart.
const VALUE_MIN: usize = 8;
/// The same for one whose name says that it is secret.
const SECRET_MIN: usize = 4;

/// Values that are not to be shown. No `Debug`.
#[derive(Default)]
pub struct Hidden(Vec<String>);

impl Hidden {
    /// A line without them.
    pub fn hide(&self, line: &str) -> String {
        self.0.iter().fold(line.to_owned(), |line, value| if line.contains(value) { line.replace(value, HIDDEN) } else { line })
    }

    fn gather(values: BTreeSet<String>) -> Self {
        let mut values: Vec<String> = values.into_iter().collect();
        // One that holds another goes first.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self(values)
    }
}

impl Resolved {
    /// The values of environments alone. Everybody who may read a service's log may see its command.
    pub fn hidden_environment(&self) -> Hidden {
        let mut found = BTreeSet::new();
        for service in self.0.get("services").and_then(Value::as_object).into_iter().flat_map(|all| all.values()) {
            for (name, value) in service.get("environment").and_then(Value::as_object).into_iter().flatten() {
                value.as_str().into_iter().for_each(|value| note(&mut found, name, value));
            }
        }
        self.gathered(found)
    }

    /// The name of a service stays, whatever else is called so: it says which one failed.
    fn gathered(&self, mut found: BTreeSet<String>) -> Hidden {
        let services = self.0.get("services").and_then(Value::as_object);
        found.retain(|value| !services.is_some_and(|services| services.contains_key(value)));
        Hidden::gather(found)
    }

    /// The values of environments, arguments, commands, health checks and addresses that may be secret.
    pub fn hidden(&self) -> Hidden {
        let mut found = BTreeSet::new();
        for service in self.0.get("services").and_then(Value::as_object).into_iter().flat_map(|all| all.values()) {
            for named in [service.get("environment"), service.pointer("/build/args")] {
                for (name, value) in named.and_then(Value::as_object).into_iter().flatten() {
                    value.as_str().into_iter().for_each(|value| note(&mut found, name, value));
                }
            }
            for listed in [service.get("command"), service.get("entrypoint"), service.pointer("/healthcheck/test")] {
                let mut before = "";
                for word in listed.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
                    argument(&mut found, before, word);
                    before = word;
                }
            }
            service.pointer("/build/context").and_then(Value::as_str).into_iter().for_each(|context| note(&mut found, "", context));
        }
        self.gathered(found)
    }
}

/// An argument: what is after its `=` or its letter, or each word of a line for the shell.
fn argument(found: &mut BTreeSet<String>, before: &str, word: &str) {
    let (name, value) = word.split_once('=').unwrap_or((before, word));
    if word.contains(char::is_whitespace) {
        let words: Vec<&str> = word.split_whitespace().map(|word| word.trim_matches(['"', '\'', ';'])).collect();
        let pairs = std::iter::once("").chain(words.iter().copied()).zip(words.iter().copied());
        pairs.for_each(|(before, word)| argument(found, before, word));
    } else if word.contains('=') || before.starts_with('-') && !before.contains('=') && !word.starts_with('-') {
        note(found, name, value);
    } else if let Some(letter) = word.strip_prefix('-').filter(|rest| !rest.starts_with('-')) {
        letter.get(1..).into_iter().for_each(|value| note(found, "", value));
    } else {
        note(found, "", word);
    }
}

/// Takes in a value that may be secret: by its name, or because it looks like no word and no path.
fn note(found: &mut BTreeSet<String>, name: &str, value: &str) {
    if holds_password(value) {
        let user = value.split_once("://").and_then(|(_, rest)| rest.split_once('@')).map(|(user, _)| user);
        user.into_iter().flat_map(|user| user.split(':')).filter(|part| part.len() >= SECRET_MIN).for_each(|part| {
            found.insert(part.to_owned());
        });
    }
    let plain = value.chars().all(|c| c.is_ascii_lowercase() || "-_./: ".contains(c)) || value.starts_with(['/', '.']);
    if value.len() >= VALUE_MIN && !plain || is_secret_name(name) && value.len() >= SECRET_MIN {
        found.insert(value.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn service_name_stays_whatever_is_called_so() {
        let value = json!({ "services": { "minio": { "environment": { "ACCESS_KEY_ID": "minio", "SECRET_KEY": "minio-secret" } } } });
        let resolved = Resolved::parse(value.to_string().as_bytes()).unwrap();
        for hidden in [resolved.hidden(), resolved.hidden_environment()] {
            assert_eq!(hidden.hide("container p-minio-1 with minio-secret"), "container p-minio-1 with [value]");
        }
    }

    #[test]
    fn values_are_left_out_and_words_are_not() {
        let value = json!({ "services": { "web": {
            "environment": { "MODE": "production", "PIN": "4711", "DB": "postgres://me:hunter22@db/x", "DB_PASSWORD": "sesame" },
            "command": ["/bin/serve", "--api-token=Ab12Cd34", "-pQ1w2e3r4t5", "--key", "open"],
            "healthcheck": { "test": ["CMD-SHELL", "curl -H 'Bearer Zx9Yw8Vu7' http://localhost/health"] },
            "build": { "context": "https://user:Tr0ub4dor@host/x", "args": { "NPM": "Np4mTok3n" } }
        } } });
        let hidden = Resolved::parse(value.to_string().as_bytes()).unwrap().hidden();
        let line = "production 4711 hunter22 sesame /bin/serve Ab12Cd34 Q1w2e3r4t5 open Zx9Yw8Vu7 Np4mTok3n Tr0ub4dor";
        let environment = Resolved::parse(value.to_string().as_bytes()).unwrap().hidden_environment();
        assert_eq!(environment.hide("hunter22 sesame Ab12Cd34 Zx9Yw8Vu7"), "[value] [value] Ab12Cd34 Zx9Yw8Vu7");
        assert_eq!(hidden.hide(line), "production 4711 [value] [value] /bin/serve [value] [value] [value] [value] [value] [value]");
    }
}
