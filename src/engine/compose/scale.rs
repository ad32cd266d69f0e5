//! How many containers a service is to have, and which services no active profile takes in.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use serde_json::Value;

use super::{Files, Resolved, names, words};
use crate::domain::project::ServiceName;
use crate::engine::fields::whole_of;

/// Numbers of containers that are not those that the files declare.
pub type Scale = BTreeMap<ServiceName, u64>;

/// The options that set them. One word each: a service's name may begin with `-`.
pub(super) fn options(scale: &Scale) -> Vec<OsString> {
    scale.iter().map(|(service, replicas)| OsString::from(format!("--scale={service}={replicas}"))).collect()
}

impl Files<'_> {
    /// Resolves some services and what they need. One that is named takes part, whatever its profiles.
    pub fn config_of(&self, services: &[ServiceName]) -> Vec<OsString> {
        [self.global(true), words(&["config", "--format", "json", "--"]), names(services)].concat()
    }

    /// Prints the names of all services, whatever their profiles.
    pub fn all_services(&self) -> Vec<OsString> {
        [self.global(true), words(&["--profile", "*", "config", "--services"])].concat()
    }
}

/// Reads what [`Files::all_services`] printed.
pub fn parse_services(output: &str) -> BTreeSet<ServiceName> {
    output.lines().filter_map(|line| ServiceName::new(line.trim()).ok()).collect()
}

impl Resolved {
    /// How many containers each service is to have.
    pub fn replicas(&self) -> BTreeMap<ServiceName, u64> {
        let services = self.0.get("services").and_then(Value::as_object).into_iter().flatten();
        services.filter_map(|(name, service)| Some((ServiceName::new(name).ok()?, replicas(service)))).collect()
    }
}

/// How many containers a service is to have.
pub(super) fn replicas(service: &Value) -> u64 {
    let scale = service.get("scale").or_else(|| service.pointer("/deploy/replicas"));
    scale.and_then(whole_of).and_then(|number| u64::try_from(number).ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::super::Up;
    use super::*;
    use serde_json::json;
    use std::path::Path;

    #[test]
    fn replicas_are_read_whichever_way_they_are_declared() {
        let services = json!({ "a": {}, "b": { "scale": 0 }, "c": { "deploy": { "replicas": 3 } }, "d": { "deploy": { "resources": {} }, "scale": 2 } });
        let all = Resolved::parse(json!({ "services": services }).to_string().as_bytes()).unwrap().replicas();
        assert_eq!(all.into_iter().map(|(service, n)| format!("{service}{n}")).collect::<Vec<_>>(), ["a1", "b0", "c3", "d2"]);
    }

    #[test]
    fn odd_names_are_never_taken_for_options() {
        let odd = ServiceName::new("-x").unwrap();
        let (root, none) = (Path::new("/p"), Vec::new());
        let files = Files { name: "shop", root, files: &none, directory: root, environment: None };
        let said = |args: Vec<OsString>| args.iter().map(|a| a.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ");
        let (scale, one) = (Scale::from([(odd.clone(), 2)]), std::slice::from_ref(&odd));
        assert!(said(files.up(Up { from_stdin: true, ..Up::default() }, &scale, one)).ends_with("--pull never --scale=-x=2 -- -x"));
        assert!(
            said(files.make(Up { without_dependencies: true, ..Up::default() }, &scale, one)).ends_with("--no-deps --scale=-x=2 -- -x")
        );
        assert!(said(files.build(one)).ends_with("build -- -x") && said(files.pull(one)).ends_with("pull -- -x"));
        assert_eq!(parse_services("web\n-x\n\n").len(), 2);
    }
}
