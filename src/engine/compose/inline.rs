//! Configs and secrets whose content stands in the compose file or in a variable: no hash of Compose holds it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use serde_json::{Value, json};

use super::{Files, Resolved, words};
use crate::domain::project::ServiceName;

/// A config or secret that a service uses and that is no file.
#[derive(Clone, PartialEq, Eq)]
pub struct Inline {
    /// What it is called: `config c`, `secret s`.
    pub label: String,
    /// Where its content comes from.
    pub source: InlineSource,
    /// Where the container has it.
    pub target: String,
}

/// Where the content of a config or secret comes from. No `Debug`: it may be the secret.
#[derive(Clone, PartialEq, Eq)]
pub enum InlineSource {
    /// The compose file.
    Content(String),
    /// A variable.
    Variable(String),
}

impl Files<'_> {
    /// Shows the values of variables, of a configuration on the standard input that [`asking`] gives.
    pub fn values(&self) -> Vec<OsString> {
        [self.global(false), words(&["config", "--format", "json"])].concat()
    }
}

impl Resolved {
    /// The configs and secrets of each service that are no files.
    pub fn inline(&self) -> BTreeMap<ServiceName, Vec<Inline>> {
        let mut all: BTreeMap<ServiceName, Vec<Inline>> = BTreeMap::new();
        for (name, service) in self.0.get("services").and_then(Value::as_object).into_iter().flatten() {
            let Ok(name) = ServiceName::new(name) else { continue };
            for (kind, word, place) in [("configs", "config", "/"), ("secrets", "secret", "/run/secrets/")] {
                for used in service.get(kind).and_then(Value::as_array).into_iter().flatten() {
                    let source = used.as_str().or_else(|| used.get("source")?.as_str());
                    let Some((source, definition)) = source.and_then(|source| Some((source, self.0.get(kind)?.get(source)?))) else {
                        continue;
                    };
                    let text = |key: &str| definition.get(key).and_then(Value::as_str);
                    let content = text("content").map(|content| InlineSource::Content(unescaped(content)));
                    let Some(content) = content.or_else(|| text("environment").map(|name| InlineSource::Variable(name.to_owned()))) else {
                        continue;
                    };
                    let target = used.get("target").and_then(Value::as_str).filter(|target| !target.is_empty()).unwrap_or(source);
                    let target = if target.starts_with('/') { target.to_owned() } else { format!("{place}{target}") };
                    let inline = Inline { label: format!("{word} {source}"), source: content, target };
                    all.entry(name.clone()).or_default().push(inline);
                }
            }
        }
        all
    }
}

/// A configuration that shows the values of variables once it is resolved.
pub fn asking(variables: &BTreeSet<String>) -> Vec<u8> {
    let asked: BTreeMap<&String, String> = variables.iter().map(|name| (name, format!("${{{name}}}"))).collect();
    json!({ "services": { "values": { "image": "none", "environment": asked } } }).to_string().into_bytes()
}

/// The values that Compose has shown.
pub fn answered(output: &[u8]) -> BTreeMap<String, String> {
    let value: Value = serde_json::from_slice(output).unwrap_or_default();
    let shown = value.pointer("/services/values/environment").and_then(Value::as_object).into_iter().flatten();
    shown.filter_map(|(name, value)| Some((name.clone(), unescaped(value.as_str()?)))).collect()
}

/// Compose doubles dollars in what it prints, so that it can be read again.
fn unescaped(text: &str) -> String {
    text.replace("$$", "$")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_that_is_no_file_is_found() {
        let value = json!({
            "services": { "web": { "image": "x",
                "configs": [{ "source": "c", "target": "/etc/c" }, { "source": "e" }, { "source": "f" }],
                "secrets": [{ "source": "s" }, { "source": "t", "target": "pin" }] } },
            "configs": { "c": { "content": "a $$b" }, "e": { "environment": "E" }, "f": { "file": "/f" }, "unused": { "content": "x" } },
            "secrets": { "s": { "environment": "S" }, "t": { "environment": "T" } }
        });
        let all = Resolved::parse(value.to_string().as_bytes()).unwrap().inline();
        let of = &all[&ServiceName::new("web").unwrap()];
        let shown: Vec<String> = of.iter().map(|i| format!("{} {}", i.label, i.target)).collect();
        assert_eq!(shown, ["config c /etc/c", "config e /e", "secret s /run/secrets/s", "secret t /run/secrets/pin"]);
        assert!(of[0].source == InlineSource::Content("a $b".into()) && of[1].source == InlineSource::Variable("E".into()));
    }

    #[test]
    fn values_are_asked_for_and_read() {
        let asked: Value = serde_json::from_slice(&asking(&["PIN".to_owned()].into())).unwrap();
        assert_eq!(asked.pointer("/services/values/environment/PIN").unwrap(), "${PIN}");
        let shown = json!({ "services": { "values": { "environment": { "PIN": "4$$7" } } } }).to_string();
        assert_eq!(answered(shown.as_bytes()), [("PIN".to_owned(), "4$7".to_owned())].into());
        assert!(answered(b"?").is_empty());
    }
}
