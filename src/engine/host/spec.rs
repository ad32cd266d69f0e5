//! What is run, and under which name.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::outside::Check;
use crate::domain::container::PROCESS;
use crate::domain::managed::{self, HealthCheck, RestartRule};
use crate::domain::project::{ProjectName, ServiceName};

/// Which process of which service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessKey {
    /// The project.
    pub project: ProjectName,
    /// The service.
    pub service: ServiceName,
    /// Which of its processes, from 1 on.
    pub instance: u32,
}

impl fmt::Display for ProcessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.project, self.service, self.instance)
    }
}

impl ProcessKey {
    /// As a container's id.
    pub fn id(&self) -> String {
        format!("{PROCESS}{self}")
    }

    /// From a container's id; none where that is an engine's.
    pub fn of_id(id: &str) -> Option<Self> {
        let mut parts = id.strip_prefix(PROCESS)?.split('/');
        let (project, service) = (ProjectName::new(parts.next()?).ok()?, ServiceName::plain(parts.next()?).ok()?);
        let instance = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(Self { project, service, instance })
    }
}

/// Everything that a process needs, resolved. It is written down in the process's place, since what watches it outlives us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessSpec {
    /// The program (a path, or a name that is looked up in `PATH`) and its arguments; not empty.
    pub command: Vec<String>,
    /// Where it runs; `/` where none is given.
    pub directory: Option<PathBuf>,
    /// All of its environment but `PATH`, `HOME` and a few others of their kind, which it may replace. May hold secrets.
    pub environment: BTreeMap<String, String>,
    /// How long it may take to end by itself.
    pub stop_timeout: Duration,
    /// When it is started again.
    pub restart: RestartRule,
    /// How its health is seen.
    pub healthcheck: Option<HealthSpec>,
    /// The hash of what it was made from, where somebody else knows that better; else that of all of this.
    #[serde(default)]
    pub definition: Option<String>,
}

/// How health is seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthSpec {
    /// What is looked at.
    pub check: Check,
    /// How long is waited between looks.
    pub interval: Duration,
    /// How long a look may take.
    pub timeout: Duration,
    /// For how long after its start looks that fail do not count.
    pub start_period: Duration,
    /// How many looks must fail one after another; at least one.
    pub retries: u32,
}

impl HealthSpec {
    /// With the usual times.
    pub fn new(check: Check) -> Self {
        let s = Duration::from_secs;
        Self { check, interval: s(10), timeout: s(5), start_period: s(30), retries: 3 }
    }

    /// As it is configured; none where nothing is to be looked at.
    pub fn of(configured: &HealthCheck) -> Option<Self> {
        let HealthCheck { interval, timeout, retries, start_period, .. } = *configured;
        let check = match &configured.check {
            managed::Check::Command(words) => Check::Command(words.clone()),
            managed::Check::Shell(line) => Check::Command(["/bin/sh", "-c", line].map(str::to_owned).to_vec()),
            managed::Check::Http(address) => Check::Http(address.clone()),
            managed::Check::Tcp(address) => Check::Tcp(address.clone()),
            managed::Check::Never => return None,
        };
        Some(Self { check, interval, timeout, start_period, retries })
    }
}

impl ProcessSpec {
    /// What tells one definition from another: a hash of all of it.
    pub fn hash(&self) -> String {
        if let Some(definition) = &self.definition {
            return definition.clone();
        }
        // What has only text for keys can always be written.
        let text = serde_json::to_vec(self).unwrap_or_default();
        blake3::hash(&text).to_hex().to_string()
    }

    /// The program as people know it: without the directory.
    pub fn program(&self) -> &str {
        let program = self.command.first().map_or("", String::as_str);
        program.rsplit('/').next().unwrap_or(program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_back_to_its_process() {
        let key = ProcessKey::of_id("process:tools/worker.x/2").unwrap();
        assert_eq!((key.instance, key.id().as_str()), (2, "process:tools/worker.x/2"));
        for none in ["4e57459c3d93", "process:tools/worker", "process:tools/worker/x", "process:../x/1", "process:a/b/1/2"] {
            assert_eq!(ProcessKey::of_id(none), None, "{none}");
        }
    }

    #[test]
    fn whatever_changes_changes_the_hash() {
        let spec = ProcessSpec {
            command: vec!["/usr/bin/worker".to_owned()],
            directory: None,
            environment: BTreeMap::new(),
            stop_timeout: Duration::from_secs(10),
            restart: RestartRule::Always,
            healthcheck: None,
            definition: None,
        };
        let mut others = vec![spec.clone(); 6];
        others[0].command.push(String::new());
        others[1].directory = Some("/".into());
        others[2].environment.insert("A".to_owned(), String::new());
        others[3].stop_timeout = Duration::from_secs(11);
        others[4].restart = RestartRule::No;
        others[5].healthcheck = Some(HealthSpec::new(Check::Tcp("localhost:1".to_owned())));
        let hashes: std::collections::BTreeSet<String> = others.iter().chain([&spec]).map(ProcessSpec::hash).collect();
        assert_eq!((hashes.len(), spec.clone().hash(), spec.program()), (7, spec.hash(), "worker"));
        let read: ProcessSpec = serde_json::from_slice(&serde_json::to_vec(&others[5]).unwrap()).unwrap();
        assert_eq!(read, others[5]);
    }
}
