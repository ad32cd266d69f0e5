//! What a service asks for that reaches beyond its container.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{bind, mounted, mounted_files};
use crate::domain::plan::MOUNT_OF;
use crate::domain::untrusted::UntrustedText;
use crate::engine::fields::flag_of;

/// Namespaces that a service can share, and what is in them.
const NAMESPACES: [(&str, &str); 6] = [
    ("network_mode", "network"),
    ("pid", "processes"),
    ("ipc", "memory"),
    ("userns_mode", "users"),
    ("uts", "name"),
    ("cgroup", "control groups"),
];
/// Options of `security_opt` that switch a protection off.
const UNCONFINED: [&str; 4] = ["apparmor", "seccomp", "label", "systempaths"];

/// Whether it is a file that tells the time zone, as many services read it.
fn is_clock(path: &Path) -> bool {
    ["/etc/localtime", "/etc/timezone"].iter().any(|clock| path == Path::new(clock))
}

/// What reaches beyond the container, in words. `all` is the whole resolved configuration.
pub(super) fn asks(all: &Value, service: &Value, production: &Path) -> BTreeSet<String> {
    let mut asks = BTreeSet::new();
    let flag = |path: &str| service.pointer(path).and_then(flag_of).unwrap_or_default();
    let texts = |key: &str| service.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    if flag("/privileged") {
        asks.insert("privileged mode".to_owned());
    }
    for (key, what) in NAMESPACES {
        match service.get(key).and_then(Value::as_str) {
            Some("host") => drop(asks.insert(format!("the host's {what}"))),
            Some(shared) => {
                if let Some(container) = shared.strip_prefix("container:") {
                    asks.insert(format!("the {what} of container {}", UntrustedText::from(container)));
                }
            }
            None => {}
        }
    }
    for container in texts("volumes_from").filter_map(|from| from.strip_prefix("container:")) {
        asks.insert(format!("the volumes of container {}", UntrustedText::from(container)));
    }
    for capability in texts("cap_add") {
        asks.insert(format!("the capability {}", UntrustedText::from(capability)));
    }
    for option in texts("security_opt") {
        let (name, value) = option.split_once([':', '=']).unwrap_or((option, ""));
        if UNCONFINED.contains(&name) && matches!(value, "unconfined" | "disable") {
            asks.insert(format!("no {name} protection"));
        }
    }
    let has = |key: &str| service.get(key).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    if has("devices") || has("device_cgroup_rules") {
        asks.insert("devices of the host".to_owned());
    }
    if flag("/use_api_socket") {
        asks.insert("the engine's socket".to_owned());
    }
    let hooks = ["post_start", "pre_stop"].into_iter().flat_map(|key| service.get(key).and_then(Value::as_array).into_iter().flatten());
    if hooks.into_iter().any(|hook| hook.get("privileged").and_then(flag_of).unwrap_or_default()) {
        asks.insert("a privileged hook".to_owned());
    }
    if flag("/build/privileged") {
        asks.insert("a privileged build".to_owned());
    }
    if service.pointer("/build/network").and_then(Value::as_str) == Some("host") {
        asks.insert("the host's network for its build".to_owned());
    }
    for entitlement in service.pointer("/build/entitlements").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        asks.insert(format!("the entitlement {} for its build", UntrustedText::from(entitlement)));
    }
    let volumes = || service.get("volumes").and_then(Value::as_array).into_iter().flatten();
    let files = mounted_files(all);
    let binds = volumes().filter_map(bind).chain(mounted(service, &files)).map(|bind| (bind.source, bind.writable));
    let devices = volumes().filter_map(|volume| device(all, volume));
    for (source, writable) in binds.chain(devices) {
        if source.file_name().is_some_and(|n| n == "docker.sock") {
            asks.insert("the engine's socket".to_owned());
        } else if !source.starts_with(production) && (writable || !is_clock(&source)) {
            asks.insert(format!("{MOUNT_OF}{}", UntrustedText::path(&source)));
        }
    }
    asks
}

/// The path of the host that a volume stands for, and whether it may be written to: a bind mount by another name.
fn device(all: &Value, volume: &Value) -> Option<(PathBuf, bool)> {
    let options = all.get("volumes")?.get(volume.get("source")?.as_str()?)?.get("driver_opts")?;
    let device = options.get("device")?.as_str().filter(|device| device.starts_with('/'))?;
    let is_bind = options.get("o").and_then(Value::as_str).is_some_and(|o| o.split(',').any(|o| matches!(o.trim(), "bind" | "rbind")));
    is_bind.then(|| (PathBuf::from(device), !volume.get("read_only").and_then(flag_of).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_reaches_beyond_the_container_is_named() {
        let all = json!({
            "volumes": { "host": { "driver_opts": { "type": "none", "o": "bind", "device": "/etc" } }, "own": {} },
            "secrets": { "shadow": { "file": "/etc/shadow" }, "ours": { "file": "/srv/shop/key" } }
        });
        let of = |service: Value| asks(&all, &service, Path::new("/srv/shop")).into_iter().collect::<Vec<_>>();
        let volume = |source: &str| json!({ "type": "volume", "source": source, "target": "/x" });
        for (service, named) in [
            (json!({ "volumes": [volume("host"), volume("own")] }), vec!["a mount of `/etc`"]),
            (json!({ "secrets": [{ "source": "shadow" }, { "source": "ours" }] }), vec!["a mount of `/etc/shadow`"]),
            (
                json!({ "security_opt": ["apparmor:unconfined", "seccomp=unconfined", "no-new-privileges:true"] }),
                vec!["no apparmor protection", "no seccomp protection"],
            ),
            (json!({ "cgroup": "host", "ipc": "container:web" }), vec!["the host's control groups", "the memory of container `web`"]),
            (json!({ "device_cgroup_rules": ["a *:* rwm"] }), vec!["devices of the host"]),
            (json!({ "post_start": [{ "command": ["true"], "privileged": true }] }), vec!["a privileged hook"]),
            (
                json!({ "use_api_socket": true, "volumes_from": ["container:db", "web"] }),
                vec!["the engine's socket", "the volumes of container `db`"],
            ),
            (
                json!({ "build": { "privileged": true, "network": "host", "entitlements": ["security.insecure"] } }),
                vec!["a privileged build", "the entitlement `security.insecure` for its build", "the host's network for its build"],
            ),
            (json!({ "pid": "service:web", "build": {} }), vec![]),
        ] {
            assert_eq!(of(service.clone()), named, "{service}");
        }
    }
}
