//! The networks and volumes that a resolved configuration declares for its services.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::Resolved;
use crate::domain::project::ServiceName;
use crate::engine::fields::flag_of;

/// A network or a volume that services use.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// What the compose files call it.
    pub key: String,
    /// What the engine calls it.
    pub name: String,
    /// Whether somebody else makes it.
    pub external: bool,
    /// How it is declared, without its name.
    pub definition: Map<String, Value>,
    /// The services that use it.
    pub services: BTreeSet<ServiceName>,
}

impl Resource {
    /// Whether what the engine has there is something else than is declared. What is not declared may be anything: Compose and the
    /// engine have defaults and labels of their own.
    pub fn differs(&self, driver: &str, options: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
        let declared = self.definition.get("driver").and_then(Value::as_str).unwrap_or_default();
        let holds = |key: &str, there: &BTreeMap<String, String>| {
            let mut all = self.definition.get(key).and_then(Value::as_object).into_iter().flatten();
            all.all(|(name, value)| there.get(name).map(String::as_str) == Some(plain(value).as_str()))
        };
        let is_driver = matches!(declared, "" | "default") || declared == driver;
        !(is_driver && holds("driver_opts", options) && holds("labels", labels))
    }

    /// What is declared of a switch of a network, where it is.
    pub fn switch(&self, key: &str) -> Option<bool> {
        self.definition.get(key).and_then(flag_of)
    }

    /// The subnets that are declared of a network.
    pub fn subnets(&self) -> BTreeSet<String> {
        let pools = self.definition.get("ipam").and_then(|ipam| ipam.get("config")?.as_array()).into_iter().flatten();
        pools.filter_map(|pool| pool.get("subnet")?.as_str().map(str::to_owned)).collect()
    }
}

/// A scalar as the engine is told it.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A volume that a service mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountedVolume {
    /// What the compose files call the volume.
    pub key: String,
    /// Where it is in the container.
    pub at: PathBuf,
}

impl Resolved {
    /// The networks that services are in; none of what shares the network of another, or the host's.
    pub fn used_networks(&self) -> Vec<Resource> {
        let keys = |service: &Value| {
            let networks = service.get("networks").and_then(Value::as_object);
            networks.into_iter().flat_map(Map::keys).cloned().collect::<Vec<_>>()
        };
        self.used("networks", &keys)
    }

    /// The volumes that services mount; those without a name of their own are not declared.
    pub fn used_volumes(&self) -> Vec<Resource> {
        self.used("volumes", &|service| mounted(service).into_iter().map(|volume| volume.key).collect())
    }

    /// What volumes a service mounts.
    pub fn mounted_volumes(&self, service: &ServiceName) -> Vec<MountedVolume> {
        self.0.get("services").and_then(|all| all.get(service.as_str())).map(mounted).unwrap_or_default()
    }

    /// The secrets and configs that services use and that somebody else is to make, with the kind of each: only Swarm has those.
    pub fn external_files(&self) -> BTreeSet<(String, &'static str)> {
        let is_external = |kind: &str, name: &str| self.0.get(kind)?.get(name)?.get("external").and_then(flag_of);
        let services = self.0.get("services").and_then(Value::as_object).into_iter().flat_map(Map::values);
        let used = services.flat_map(|service| {
            [("configs", "config"), ("secrets", "secret")].into_iter().flat_map(|(kind, word)| {
                let all = service.get(kind).and_then(Value::as_array).into_iter().flatten();
                all.filter_map(|used| used.as_str().or_else(|| used.get("source")?.as_str())).map(move |name| (kind, word, name))
            })
        });
        used.filter(|(kind, _, name)| is_external(kind, name) == Some(true)).map(|(_, word, name)| (name.to_owned(), word)).collect()
    }

    fn used(&self, kind: &str, keys: &dyn Fn(&Value) -> Vec<String>) -> Vec<Resource> {
        let mut used: BTreeMap<String, BTreeSet<ServiceName>> = BTreeMap::new();
        for (name, service) in self.0.get("services").and_then(Value::as_object).into_iter().flatten() {
            let Ok(name) = ServiceName::new(name) else { continue };
            for key in keys(service) {
                used.entry(key).or_default().insert(name.clone());
            }
        }
        let declared = |(key, services): (String, BTreeSet<ServiceName>)| {
            let mut definition = self.0.get(kind)?.get(&key)?.as_object().cloned().unwrap_or_default();
            let name = definition.remove("name").and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_else(|| key.clone());
            let external = definition.remove("external").as_ref().and_then(flag_of).unwrap_or_default();
            Some(Resource { key, name, external, definition, services })
        };
        used.into_iter().filter_map(declared).collect()
    }
}

fn mounted(service: &Value) -> Vec<MountedVolume> {
    let volumes = service.get("volumes").and_then(Value::as_array).into_iter().flatten();
    let read = |volume: &Value| {
        let text = |key: &str| volume.get(key).and_then(Value::as_str);
        let key = text("source").filter(|_| text("type") == Some("volume"))?;
        Some(MountedVolume { key: key.to_owned(), at: PathBuf::from(text("target")?) })
    };
    volumes.filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn resolved() -> Resolved {
        let web = json!({
            "image": "x", "networks": { "default": null, "edge": null }, "secrets": [{ "source": "key" }],
            "volumes": [
                { "type": "volume", "source": "data", "target": "/data" }, { "type": "volume", "target": "/cache" },
                { "type": "bind", "source": "/srv", "target": "/srv" }
            ]
        });
        let value = json!({
            "services": { "web": web, "db": { "image": "x", "networks": { "default": null } } },
            "networks": {
                "default": { "name": "shop_default", "ipam": { "config": [{ "subnet": "10.1.0.0/24" }] }, "internal": true },
                "edge": { "name": "public", "external": true }, "unused": { "name": "shop_unused" }
            },
            "volumes": { "data": { "name": "shop_data", "driver_opts": { "size": 3 }, "labels": { "a": "b" } } },
            "secrets": { "key": { "name": "key", "external": true }, "unused": { "external": true } }
        });
        Resolved::parse(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_services_use_is_read() {
        let networks = resolved().used_networks();
        let shown: Vec<String> = networks.iter().map(|n| format!("{} {} {} {}", n.key, n.name, n.external, n.services.len())).collect();
        assert_eq!(shown, ["default shop_default false 2", "edge public true 1"]);
        assert_eq!((networks[0].subnets(), networks[0].switch("internal")), (["10.1.0.0/24".to_owned()].into(), Some(true)));
        let volumes = resolved().used_volumes();
        assert_eq!(volumes.iter().map(|v| v.name.as_str()).collect::<Vec<_>>(), ["shop_data"]);
        let web = ServiceName::new("web").unwrap();
        assert_eq!(resolved().mounted_volumes(&web), [MountedVolume { key: "data".into(), at: "/data".into() }]);
        assert_eq!(resolved().external_files(), [("key".to_owned(), "secret")].into());
    }

    #[test]
    fn only_what_is_declared_can_differ() {
        let volume = &resolved().used_volumes()[0];
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<BTreeMap<_, _>>();
        let (options, labels) = (map(&[("size", "3"), ("type", "tmpfs")]), map(&[("a", "b"), ("com.docker.compose.volume", "data")]));
        assert!(!volume.differs("local", &options, &labels));
        assert!(volume.differs("local", &map(&[("size", "4")]), &labels));
        assert!(volume.differs("local", &options, &map(&[])));
        let with_driver = Resource { definition: json!({ "driver": "nfs" }).as_object().unwrap().clone(), ..volume.clone() };
        assert!(with_driver.differs("local", &map(&[]), &map(&[])) && !with_driver.differs("nfs", &map(&[]), &map(&[])));
    }
}
