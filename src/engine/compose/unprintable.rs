//! What Compose prints as JSON and does not read again, and what it cannot print at all.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Resolved;
use crate::domain::untrusted::UntrustedText;
use crate::engine::fields::flag_of;

/// Fields of `blkio_config` whose lists Compose (2.26 to 2.40) prints with capitals that it refuses to read.
const DEVICES: [&str; 5] = ["device_read_bps", "device_read_iops", "device_write_bps", "device_write_iops", "weight_device"];

/// Makes what Compose printed readable for it.
///
/// A service that is only wanted, and that no active profile has, is left out of the services and not out of what depends on it.
pub(super) fn correct(config: &mut Value) {
    let services = config.get_mut("services").and_then(Value::as_object_mut);
    let known: BTreeSet<String> = services.iter().flat_map(|all| all.keys().cloned()).collect();
    for service in services.into_iter().flat_map(|all| all.values_mut()) {
        if let Some(needs) = service.get_mut("depends_on").and_then(Value::as_object_mut) {
            needs.retain(|name, how| known.contains(name) || how.get("required").and_then(flag_of) != Some(false));
        }
        let Some(limits) = service.get_mut("blkio_config").and_then(Value::as_object_mut) else { continue };
        for key in DEVICES {
            for device in limits.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(fields) = device.as_object_mut() {
                    *fields = std::mem::take(fields).into_iter().map(|(key, value)| (key.to_lowercase(), value)).collect();
                }
            }
        }
    }
}

/// Why Compose cannot print a configuration that it can use, by what it said; none where that is not the reason.
pub fn unprintable(said: &[String]) -> Option<&'static str> {
    let is_said = |text: &str| said.iter().any(|line| line.contains(text));
    is_said("types.SSHKey").then_some("“ssh” of a build with a path cannot be planned: Compose cannot print it. Use “ssh: [default]”.")
}

impl Resolved {
    /// What dockmaster does not deploy of a configuration that Compose takes, as a sentence for a person; none where there is nothing
    /// of it. Compose leaves the definitions of `models` out of what it prints.
    pub fn unsupported(&self) -> Option<String> {
        let services = self.0.get("services").and_then(Value::as_object)?;
        let (name, _) = services.iter().find(|(_, service)| service.get("models").is_some_and(|models| !models.is_null()))?;
        Some(format!("{} uses “models”, which dockmaster does not deploy: they belong to Docker Model Runner.", UntrustedText::from(name)))
    }

    /// The services that a program beside Compose provides, and what it is called: they have no containers.
    pub fn provided(&self) -> BTreeMap<String, String> {
        let services = self.0.get("services").and_then(Value::as_object).into_iter().flatten();
        let provider = |(name, service): (&String, &Value)| Some((name.clone(), service.pointer("/provider/type")?.as_str()?.to_owned()));
        services.filter_map(provider).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn device_limits_become_readable() {
        let mut config = json!({ "services": { "web": { "blkio_config": {
            "weight": 3, "device_read_bps": [{ "Path": "/dev/sda", "Rate": "1000" }], "weight_device": [{ "Path": "/dev/sdb", "Weight": 4 }]
        } }, "db": {} } });
        correct(&mut config);
        assert_eq!(
            config["services"]["web"]["blkio_config"],
            json!({ "weight": 3, "device_read_bps": [{ "path": "/dev/sda", "rate": "1000" }], "weight_device": [{ "path": "/dev/sdb", "weight": 4 }] })
        );
    }

    #[test]
    fn optional_dependency_that_is_not_there_is_left_out() {
        let needs = json!({ "opt": { "required": false }, "db": { "required": false }, "gone": { "required": true } });
        let mut config = json!({ "services": { "web": { "depends_on": needs }, "db": {} } });
        correct(&mut config);
        let left = config["services"]["web"]["depends_on"].as_object().unwrap();
        assert_eq!(left.keys().collect::<Vec<_>>(), ["db", "gone"], "what is required and missing Compose refuses itself");
    }

    #[test]
    fn what_cannot_be_planned_is_said_so() {
        let said = ["json: error calling MarshalJSON for type types.SSHKey: invalid character".to_owned()];
        assert!(unprintable(&said).is_some_and(|why| why.contains("ssh")) && unprintable(&["other".to_owned()]).is_none());
        let resolved = |value: Value| Resolved::parse(value.to_string().as_bytes()).unwrap();
        let with_models = resolved(json!({ "services": { "web": { "models": { "llm": null } } } }));
        assert!(with_models.unsupported().is_some_and(|why| why.starts_with("`web` uses")));
        let provided = resolved(json!({ "services": { "web": { "models": null }, "db": { "provider": { "type": "awesome" } } } }));
        assert_eq!((provided.unsupported(), provided.provided()), (None, [("db".to_owned(), "awesome".to_owned())].into()));
    }
}
