//! The networks that a resolved configuration puts its services into.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Resolved;
use crate::domain::project::ServiceName;

impl Resolved {
    /// The names that the engine knows the networks of each service by; none of what shares the network of another, or the host's.
    pub fn networks(&self) -> BTreeMap<ServiceName, BTreeSet<String>> {
        let named = |key: &str| self.0.get("networks")?.get(key)?.get("name")?.as_str().map(str::to_owned);
        let of = |(name, service): (&String, &Value)| {
            let keys = service.get("networks").and_then(Value::as_object).into_iter().flatten();
            Some((ServiceName::new(name).ok()?, keys.filter_map(|(key, _)| named(key)).collect()))
        };
        self.0.get("services").and_then(Value::as_object).into_iter().flatten().filter_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn networks_are_called_as_the_engine_calls_them() {
        let networks = json!({ "default": { "name": "shop_default" }, "edge": { "name": "public", "external": true } });
        let services =
            json!({ "web": { "networks": { "default": null, "edge": { "aliases": ["x"] } } }, "vpn": { "network_mode": "host" } });
        let all = Resolved::parse(json!({ "services": services, "networks": networks }).to_string().as_bytes()).unwrap().networks();
        let shown: Vec<String> = all.iter().map(|(service, names)| format!("{service} {names:?}")).collect();
        assert_eq!(shown, ["vpn {}", "web {\"public\", \"shop_default\"}"]);
    }
}
