//! What a resolved configuration says about jobs, and starting a layer of services without what they need.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use serde_json::Value;

use super::{Files, Resolved, words};
use crate::domain::job::{Job, Purpose, Purposes};
use crate::domain::plan::Need;
use crate::domain::project::ServiceName;
use crate::engine::fields::flag_of;

/// Fields of a service that list others.
const LISTED: [&str; 3] = ["volumes_from", "links", "external_links"];

impl Files<'_> {
    /// Starts the containers of the resolved configuration on the standard input.
    pub fn start_all(&self) -> Vec<OsString> {
        [self.global(false), words(&["--progress", "plain", "start"])].concat()
    }
}

impl Resolved {
    /// What its services are there for. Compose prints `restart` only where a compose file has it.
    pub fn purposes(&self) -> Purposes {
        let services = self.0.get("services").and_then(Value::as_object);
        let mut all = Purposes::new();
        for (name, service) in services.into_iter().flatten() {
            let Ok(name) = ServiceName::new(name) else { continue };
            let known = all.entry(name).or_default();
            *known = known.and(Purpose { job: may_end(service).then_some(Job::MayEnd), serves: serves(service) });
            for (needed, how) in service.get("depends_on").and_then(Value::as_object).into_iter().flatten() {
                let need = Need::of(how.get("condition").and_then(Value::as_str).unwrap_or_default());
                if let Some(needed) = ServiceName::new(needed).ok().filter(|_| need == Need::Completed) {
                    let known = all.entry(needed).or_default();
                    *known = known.and(Purpose { job: Some(Job::Named), serves: false });
                }
            }
        }
        all
    }

    /// What some services need beside themselves, what for, and whether they cannot do without it.
    pub fn needed_by(&self, services: &[ServiceName]) -> BTreeMap<ServiceName, (Need, bool)> {
        let mut all: BTreeMap<ServiceName, (Need, bool)> = BTreeMap::new();
        let of = |service: &ServiceName| self.0.get("services")?.get(service.as_str())?.get("depends_on")?.as_object();
        for (name, how) in services.iter().filter_map(of).flatten() {
            let Some(needed) = ServiceName::new(name).ok().filter(|name| !services.contains(name)) else { continue };
            let need = Need::of(how.get("condition").and_then(Value::as_str).unwrap_or_default());
            let is_required = how.get("required").and_then(flag_of).unwrap_or(true);
            let known = all.entry(needed).or_insert((need, false));
            *known = (known.0.max(need), known.1 || is_required);
        }
        all
    }

    /// This configuration with some of its services alone, to start their containers with, and nothing that they need: what they
    /// share with others was settled when they were made. A start compares no hashes.
    pub fn to_start(&self, services: &BTreeSet<ServiceName>) -> Self {
        let mut part = self.only(services);
        for service in part.0.get_mut("services").and_then(Value::as_object_mut).into_iter().flat_map(|all| all.values_mut()) {
            let Some(fields) = service.as_object_mut() else { continue };
            for key in LISTED {
                fields.remove(key);
            }
        }
        part
    }
}

/// Whether its restart policy lets it end, as it is written in a compose file.
fn may_end(service: &Value) -> bool {
    let restart = service.get("restart").and_then(Value::as_str);
    let deployed = service.pointer("/deploy/restart_policy/condition").and_then(Value::as_str);
    match restart {
        Some(restart) => restart == "no" || restart.starts_with("on-failure"),
        None => deployed.is_some_and(|condition| matches!(condition, "none" | "on-failure")),
    }
}

fn serves(service: &Value) -> bool {
    let publishes = service.get("ports").and_then(Value::as_array).is_some_and(|ports| !ports.is_empty());
    let is_off = |check: &Value| {
        check.get("disable").and_then(flag_of).unwrap_or_default() || check.pointer("/test/0").and_then(Value::as_str) == Some("NONE")
    };
    publishes || service.get("healthcheck").is_some_and(|check| check.is_object() && !is_off(check))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn resolved() -> Resolved {
        let needs = json!({ "migrate": { "condition": "service_completed_successfully" }, "db": { "condition": "service_started" } });
        let services = json!({
            "web": { "image": "x", "depends_on": needs, "ports": [{ "target": 80 }], "network_mode": "service:vpn", "links": ["db"] },
            "db": { "image": "x", "healthcheck": { "test": ["CMD", "true"] }, "restart": "always", "pid": "service:web" },
            "migrate": { "image": "x", "healthcheck": { "disable": true } },
            "once": { "image": "x", "restart": "no", "healthcheck": { "test": ["NONE"] } },
            "retried": { "image": "x", "restart": "on-failure:3" },
            "swarmed": { "image": "x", "deploy": { "restart_policy": { "condition": "none" } } },
            "any": { "image": "x", "deploy": { "restart_policy": { "condition": "any" } } },
            "plain": { "image": "x" },
        });
        Resolved::parse(json!({ "name": "shop", "services": services }).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn purposes_are_read_from_the_configuration() {
        let all = resolved().purposes();
        let shown: Vec<String> = all.iter().map(|(name, p)| format!("{name} {:?} {}", p.job, p.serves)).collect();
        assert_eq!(
            shown,
            [
                "any None false",
                "db None true",
                "migrate Some(Named) false",
                "once Some(MayEnd) false",
                "plain None false",
                "retried Some(MayEnd) false",
                "swarmed Some(MayEnd) false",
                "web None true",
            ]
        );
    }

    #[test]
    fn what_a_layer_needs_is_read() {
        let optional = json!({ "db": { "condition": "service_healthy", "required": false } });
        let required = json!({ "db": { "condition": "service_started" }, "web": { "condition": "service_started", "required": false } });
        let services =
            json!({ "web": { "image": "x", "depends_on": optional }, "api": { "image": "x", "depends_on": required }, "db": {} });
        let all = Resolved::parse(json!({ "services": services }).to_string().as_bytes()).unwrap();
        let name = |text: &str| ServiceName::new(text).unwrap();
        assert_eq!(all.needed_by(&[name("web")]), [(name("db"), (Need::Healthy, false))].into());
        assert_eq!(
            all.needed_by(&[name("api"), name("web")]),
            [(name("db"), (Need::Healthy, true))].into(),
            "of two the one that asks for more"
        );
    }

    #[test]
    fn what_is_started_alone_names_nothing_else() {
        let part = resolved().to_start(&[ServiceName::new("web").unwrap()].into());
        let web = &part.0["services"]["web"];
        assert_eq!(part.0["services"].as_object().unwrap().len(), 1);
        assert!(["depends_on", "network_mode", "links"].iter().all(|key| web.get(key).is_none()), "{web}");
        let both = resolved().to_start(&["web", "db"].map(|name| ServiceName::new(name).unwrap()).into());
        assert_eq!(both.0["services"]["db"]["pid"], "service:web", "what is there stays");
    }
}
