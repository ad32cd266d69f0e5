//! Hooks of services: commands that Compose runs in a container after its start and before its stop.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use serde_json::Value;

use super::{Files, Resolved, names, words};
use crate::domain::project::ServiceName;

/// The fields of a service that hold hooks.
pub const HOOKS: [&str; 2] = ["post_start", "pre_stop"];

impl Files<'_> {
    /// Starts, stops or restarts (`how`) the containers of services of a configuration on the standard input, and runs their hooks.
    /// `within` is how long each has to end by itself; none means what it was made with.
    pub fn act(&self, how: &str, within: Option<Duration>, services: &[ServiceName]) -> Vec<OsString> {
        let mut args = [self.global(false), words(&["--progress", "plain", how])].concat();
        if how == "restart" {
            args.push("--no-deps".into());
        }
        if let Some(within) = within.filter(|_| how != "start") {
            args.extend(["--timeout".into(), within.as_millis().div_ceil(1_000).to_string().into()]);
        }
        [args, words(&["--"]), names(services)].concat()
    }
}

impl Resolved {
    /// The hooks of services that have any.
    pub fn hooks(&self) -> BTreeMap<ServiceName, Vec<&'static str>> {
        let services = self.0.get("services").and_then(Value::as_object).into_iter().flatten();
        let has = |service: &Value, hook: &str| service.get(hook).and_then(Value::as_array).is_some_and(|hooks| !hooks.is_empty());
        let of = |(name, service): (&String, &Value)| {
            let hooks: Vec<&'static str> = HOOKS.into_iter().filter(|hook| has(service, hook)).collect();
            Some((ServiceName::new(name).ok()?, hooks)).filter(|(_, hooks)| !hooks.is_empty())
        };
        services.filter_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use serde_json::json;

    #[test]
    fn services_with_hooks_are_found() {
        let hook = json!([{ "command": ["true"] }]);
        let services = json!({
            "web": { "image": "x", "post_start": hook, "pre_stop": hook }, "api": { "image": "x", "pre_stop": hook },
            "none": { "image": "x", "post_start": [] },
        });
        let all = Resolved::parse(json!({ "services": services }).to_string().as_bytes()).unwrap().hooks();
        let shown: Vec<String> = all.iter().map(|(name, hooks)| format!("{name} {}", hooks.join(" "))).collect();
        assert_eq!(shown, ["api pre_stop", "web post_start pre_stop"]);
    }

    #[test]
    fn only_what_stops_has_a_time_to() {
        let (root, files) = (Path::new("/p"), Vec::new());
        let files = Files { name: "shop", root, files: &files, directory: root, environment: None };
        let web = [ServiceName::new("web").unwrap()];
        let said = |how| {
            let args = files.act(how, Some(Duration::from_millis(1_500)), &web);
            args.iter().map(|a| a.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        assert!(said("restart").ends_with(" restart --no-deps --timeout 2 -- web"), "{}", said("restart"));
        assert!(said("stop").ends_with(" stop --timeout 2 -- web") && said("start").ends_with(" start -- web"));
    }
}
