//! Projects whose services dockmaster makes itself, and what is there of them on the engine, seen from outside.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fixture::{engine_get, image, sh};
use super::{Fixture, World};

/// Serves until it is asked to end; it is well at once.
pub(crate) const SERVES: &str = "trap 'exit 0' TERM; touch /tmp/well; echo ready; while true; do sleep 0.1; done";

/// A service from a shell command, which is restarted however it ends.
pub(crate) fn plain(script: &str, more: Value) -> Value {
    let mut all = json!({ "image": image(), "command": ["sh", "-c", script] });
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

/// A service with a health check that is good once `/tmp/well` is there.
pub(crate) fn checked(script: &str, more: Value) -> Value {
    let mut all =
        plain(script, json!({ "healthcheck": { "test": ["CMD", "test", "-e", "/tmp/well"], "interval": "1s", "start_period": "0s" } }));
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

/// What the engine says of the containers that were made for a project, by their names.
pub(crate) fn made(project: &str) -> BTreeMap<String, Value> {
    let ids = sh("docker", &["ps", "-aq", "--no-trunc", "--filter", &format!("label=dockmaster.project={project}")]);
    let seen = ids.lines().map(|id| engine_get(&format!("/containers/{id}/json")));
    seen.filter_map(|seen| Some((seen["Name"].as_str()?.trim_start_matches('/').to_owned(), seen.clone()))).collect()
}

/// Takes away all that was made for a project.
pub(super) fn take_down(project: &str) {
    let label = format!("label=dockmaster.project={project}");
    let all = |args: &[&str], remove: &[&str]| {
        let there = sh("docker", &[args, &["-q", "--filter", &label]].concat());
        let there: Vec<&str> = there.lines().collect();
        if !there.is_empty() {
            sh("docker", &[remove, &there].concat());
        }
    };
    all(&["ps", "-a"], &["rm", "-fv"]);
    all(&["network", "ls"], &["network", "rm"]);
    // Those have no label, since they may be older than the project.
    let volumes = sh("docker", &["volume", "ls", "-q", "--filter", &format!("name=^dockmaster-{project}-")]);
    for volume in volumes.lines() {
        sh("docker", &["volume", "rm", volume]);
    }
}

impl Fixture {
    /// A project of services that dockmaster makes, which are not there yet. It has no files.
    pub(crate) fn of_services(services: Value) -> Self {
        let mut fixture = Self::new(&[]);
        fixture.called_so = true;
        fixture.with(json!({ "compose": null, "workspace": null, "production": null, "services": services }))
    }

    /// The same with other services, or settings, as the configuration has them from now on.
    pub(crate) fn set(&mut self, path: &str, value: Value) {
        let (parent, key) = path.rsplit_once('/').unwrap();
        self.entry.pointer_mut(parent).unwrap()[key] = value;
    }

    /// The name of a container that dockmaster makes for it.
    pub(crate) fn called(&self, service: &str) -> String {
        format!("dockmaster-{}-{service}", self.name)
    }

    /// What the engine says of a container that dockmaster has made.
    pub(crate) fn seen(&self, service: &str) -> Value {
        let all = made(&self.name);
        all.get(&self.called(service)).unwrap_or_else(|| panic!("no container of {service}: {:?}", all.keys())).clone()
    }

    /// By the name of each container without what is the same in all: its id, and whether it runs.
    pub(crate) fn stand(&self) -> BTreeMap<String, (String, bool)> {
        let prefix = self.called("");
        let short = |(name, seen): (String, Value)| {
            let id = seen["Id"].as_str().unwrap().to_owned();
            (name.trim_start_matches(&prefix).to_owned(), (id, seen["State"]["Running"] == json!(true)))
        };
        made(&self.name).into_iter().map(short).collect()
    }
}

/// The variables of a container.
pub(crate) fn environment(seen: &Value) -> Vec<&str> {
    seen["Config"]["Env"].as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

impl World {
    /// Changes a project and waits until that is in force.
    pub(crate) async fn reconfigure(&mut self, path: &str, value: Value) {
        self.reconfigure_of(0, path, value).await;
    }

    /// The same with one of several projects.
    pub(crate) async fn reconfigure_of(&mut self, which: usize, path: &str, value: Value) {
        self.fixtures[which].set(path, value);
        self.configure(&self.projects_json());
        let told = self.next().await;
        assert!(told.text.contains("onfiguration"), "{}", told.text);
    }
}
