//! Starting and stopping a whole project by one call, over as much of its configuration as takes part.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::time::Duration;

use serde_json::{Map, Value};

use super::links::SHARED;
use super::{Files, Resolved, words};
use crate::domain::plan::{Declared, Need};
use crate::domain::project::ServiceName;
use crate::engine::fields::flag_of;

impl Files<'_> {
    /// Starts the containers of the resolved configuration on the standard input and makes those that are not there.
    pub fn up_all(&self) -> Vec<OsString> {
        let how = ["--progress", "plain", "up", "--detach", "--no-build", "--pull", "never", "--no-recreate"];
        [self.global(false), words(&how)].concat()
    }

    /// Stops the containers of the resolved configuration on the standard input, each of which has `within` to end by itself;
    /// none means what it was made with.
    pub fn stop_all(&self, within: Option<Duration>) -> Vec<OsString> {
        let mut args = [self.global(false), words(&["--progress", "plain", "stop"])].concat();
        if let Some(within) = within {
            args.extend(["--timeout".into(), within.as_millis().div_ceil(1_000).to_string().into()]);
        }
        args
    }
}

impl Resolved {
    /// What is declared of each service that has containers at all.
    pub fn declared(&self) -> BTreeMap<ServiceName, Declared> {
        let services = self.0.get("services").and_then(Value::as_object).into_iter().flatten();
        let read = |(name, value): (&String, &Value)| Some((ServiceName::new(name).ok()?, declared(value)));
        let is_made = |(_, service): &(&String, &Value)| service.get("provider").is_none_or(Value::is_null);
        services.filter(is_made).filter_map(read).filter(|(_, declared)| declared.replicas > 0).collect()
    }

    /// This configuration with some of its services alone; what they need of the others is forgotten.
    pub fn only(&self, kept: &BTreeSet<ServiceName>) -> Self {
        let mut part = self.clone();
        let is_kept = |name: &str| kept.contains(name);
        if let Some(services) = part.0.get_mut("services").and_then(Value::as_object_mut) {
            services.retain(|name, _| is_kept(name));
            for service in services.values_mut().filter_map(Value::as_object_mut) {
                forget_others(service, is_kept);
                let Some(needs) = service.get_mut("depends_on").and_then(Value::as_object_mut) else { continue };
                needs.retain(|name, _| is_kept(name));
                if needs.is_empty() {
                    service.remove("depends_on");
                }
            }
        }
        part
    }
}

/// Takes away what a service shares with others that are not kept: it was settled when its container was made.
fn forget_others(service: &mut Map<String, Value>, is_kept: impl Fn(&str) -> bool) {
    for (key, _) in SHARED {
        let owner = service.get(key).and_then(Value::as_str).and_then(|mode| mode.strip_prefix("service:"));
        if owner.is_some_and(|owner| !is_kept(owner)) {
            service.remove(key);
        }
    }
    if let Some(from) = service.get_mut("volumes_from").and_then(Value::as_array_mut) {
        let owner = |from: &Value| from.as_str().and_then(|from| from.split(':').next()).unwrap_or_default().to_owned();
        from.retain(|from| matches!(owner(from).as_str(), "container") || is_kept(&owner(from)));
    }
}

fn declared(service: &Value) -> Declared {
    let mut declared = Declared { replicas: super::scale::replicas(service), ..Declared::default() };
    for (name, how) in service.get("depends_on").and_then(Value::as_object).into_iter().flatten() {
        let Ok(needed) = ServiceName::new(name) else { continue };
        if how.get("required").and_then(flag_of) == Some(false) {
            declared.optional.insert(needed);
        } else {
            declared.needs.insert(needed, Need::of(how.get("condition").and_then(Value::as_str).unwrap_or_default()));
        }
    }
    declared
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::path::Path;

    fn name(text: &str) -> ServiceName {
        ServiceName::new(text).unwrap()
    }

    fn resolved() -> Resolved {
        let needs = json!({
            "api": { "condition": "service_healthy", "required": true },
            "cache": { "condition": "service_started", "required": false },
        });
        let migrate = json!({ "migrate": { "condition": "service_completed_successfully", "required": true } });
        let services = json!({
            "web": { "image": "x", "depends_on": needs, "deploy": { "replicas": 2 } },
            "api": { "image": "x", "depends_on": migrate },
            "migrate": { "image": "x" },
            "cache": { "image": "x", "scale": 0 },
        });
        Resolved::parse(json!({ "name": "shop", "services": services }).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_is_declared_is_read() {
        let declared = resolved().declared();
        let web = &declared[&name("web")];
        assert_eq!((web.replicas, &web.needs, &web.optional), (2, &[(name("api"), Need::Healthy)].into(), &[name("cache")].into()));
        assert_eq!(declared[&name("api")].needs, [(name("migrate"), Need::Completed)].into());
        assert!(!declared.contains_key(&name("cache")), "it has no containers");
    }

    #[test]
    fn a_part_of_a_configuration_needs_nothing_of_the_rest() {
        let part = resolved().only(&[name("web"), name("api")].into());
        let services = part.0["services"].as_object().unwrap();
        assert_eq!(services.keys().collect::<Vec<_>>(), ["api", "web"]);
        assert_eq!(services["web"]["depends_on"].as_object().unwrap().keys().collect::<Vec<_>>(), ["api"]);
        assert_eq!(services["api"].get("depends_on"), None);
        let all: BTreeSet<ServiceName> = ["web", "api", "migrate", "cache"].map(name).into();
        assert_eq!(resolved().only(&all).hash(), resolved().hash(), "the whole of it is as it was");
    }

    #[test]
    fn a_time_to_stop_is_told_in_whole_seconds() {
        let (root, files) = (Path::new("/p"), Vec::new());
        let files = Files { name: "shop", root, files: &files, directory: root, environment: None };
        let said = |within| files.stop_all(within).iter().map(|a| a.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ");
        assert!(said(None).ends_with("-f - --progress plain stop"), "{}", said(None));
        assert!(said(Some(Duration::from_millis(1_500))).ends_with(" stop --timeout 2"));
    }
}
