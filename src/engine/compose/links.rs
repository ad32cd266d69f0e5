//! What acts between services, as the files declare it, and what Compose puts in its place before it hashes a service.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use serde_json::Value;

use super::{Files, Resolved, words};
use crate::domain::project::ServiceName;
use crate::domain::shared::{Owner, Shared};
use crate::engine::fields::flag_of;

/// Fields of a service that name another one as `service:NAME` or `container:NAME`.
pub(super) const SHARED: [(&str, Shared); 3] = [("network_mode", Shared::Network), ("pid", Shared::Processes), ("ipc", Shared::Memory)];

/// What a service's definition says of others that act on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeclaredLinks {
    /// What it shares, and with whom.
    pub shares: Vec<(Shared, Owner)>,
    /// The services with which it restarts (`depends_on` with `restart: true`).
    pub restarts_with: BTreeSet<ServiceName>,
    /// The name of its container, where the file gives it one.
    pub container_name: Option<String>,
}

impl Files<'_> {
    /// As [`Files::hashes`], of a configuration that [`Resolved::bound`] gives: an id stands where a service is expected.
    pub fn bound_hashes(&self) -> Vec<OsString> {
        let how = ["config", "--no-normalize", "--no-consistency", "--hash", "*"];
        [self.global(false), words(&how)].concat()
    }
}

impl Resolved {
    /// This configuration with the ids of containers where services share something of others, as Compose has it when it hashes;
    /// none where no service does. `ids` are the first containers of services.
    pub fn bound(&self, ids: &BTreeMap<ServiceName, String>) -> Option<Self> {
        let mut bound = self.clone();
        let mut changed = false;
        let id = |service: &str| ids.get(service).cloned();
        for fields in bound.0.get_mut("services").and_then(Value::as_object_mut).into_iter().flat_map(|all| all.values_mut()) {
            for (key, _) in SHARED {
                let owner = fields.get(key).and_then(Value::as_str).and_then(|mode| id(mode.strip_prefix("service:")?));
                if let (Some(owner), Some(mode)) = (owner, fields.get_mut(key)) {
                    *mode = Value::String(format!("container:{owner}"));
                    changed = true;
                }
            }
            for from in fields.get_mut("volumes_from").and_then(Value::as_array_mut).into_iter().flatten() {
                let owner = from.as_str().and_then(|from| {
                    let mut words = from.split(':');
                    match words.next()? {
                        "container" => words.next().map(str::to_owned),
                        service => id(service),
                    }
                });
                if let Some(owner) = owner {
                    *from = Value::String(owner);
                    changed = true;
                }
            }
        }
        changed.then_some(bound)
    }
}

/// What a service's definition says of others.
pub(super) fn declared_links(value: &Value) -> DeclaredLinks {
    let owner = |mode: &str| match mode.split_once(':')? {
        ("service", name) => Some(Owner::Service(name.to_owned())),
        ("container", name) => Some(Owner::Container(name.to_owned())),
        _ => None,
    };
    let modes = SHARED.into_iter().filter_map(|(key, what)| Some((what, owner(value.get(key)?.as_str()?)?)));
    let from = value.get("volumes_from").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let volumes = from.filter_map(|from| {
        let mut words = from.split(':');
        let owner = match words.next()? {
            "container" => Owner::Container(words.next()?.to_owned()),
            service => Owner::Service(service.to_owned()),
        };
        Some((Shared::Volumes, owner))
    });
    let depends = value.get("depends_on").and_then(Value::as_object).into_iter().flatten();
    let restarts = depends.filter(|(_, how)| how.get("restart").and_then(flag_of) == Some(true));
    DeclaredLinks {
        shares: modes.chain(volumes).collect(),
        restarts_with: restarts.filter_map(|(name, _)| ServiceName::new(name).ok()).collect(),
        container_name: value.get("container_name").and_then(Value::as_str).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn resolved() -> Resolved {
        let needs = json!({ "vpn": { "condition": "service_started", "restart": true } });
        let services = json!({
            "vpn": { "image": "x", "container_name": "tunnel" },
            "app": { "image": "x", "network_mode": "service:vpn", "depends_on": needs },
            "logs": { "image": "x", "pid": "container:tunnel", "volumes_from": ["vpn:ro", "container:tunnel:ro"] },
            "host": { "image": "x", "network_mode": "host", "ipc": "shareable" },
        });
        Resolved::parse(json!({ "services": services }).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn ids_stand_where_compose_puts_them() {
        let ids = [(ServiceName::new("vpn").unwrap(), "0a1b".to_owned())].into();
        let bound = resolved().bound(&ids).unwrap();
        let services = &bound.0["services"];
        assert_eq!(services["app"]["network_mode"], "container:0a1b");
        assert_eq!(services["logs"]["pid"], "container:tunnel", "as it is");
        assert_eq!(services["logs"]["volumes_from"], json!(["0a1b", "tunnel"]));
        assert_eq!(services["host"], resolved().0["services"]["host"]);
        let alone = resolved().only(&[ServiceName::new("host").unwrap()].into());
        assert!(alone.bound(&ids).is_none(), "nothing is shared");
    }

    #[test]
    fn what_files_say_of_others_is_read() {
        let all = resolved();
        let of = |service: &str| declared_links(&all.0["services"][service]);
        assert_eq!(of("app").shares, [(Shared::Network, Owner::Service("vpn".into()))]);
        assert_eq!(of("app").restarts_with, [ServiceName::new("vpn").unwrap()].into());
        let named = || Owner::Container("tunnel".into());
        let logs = [(Shared::Processes, named()), (Shared::Volumes, Owner::Service("vpn".into())), (Shared::Volumes, named())];
        assert_eq!(of("logs").shares, logs);
        assert_eq!((of("vpn").container_name.as_deref(), of("host").shares.len()), (Some("tunnel"), 0));
    }
}
