//! Host processes with a data directory of their own, seen as the kernel sees them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dockmaster::domain::container::{Container, State};
use dockmaster::domain::managed::RestartRule;
use dockmaster::domain::project::{ProjectName, ServiceName};
use dockmaster::engine::host::{Host, ProcessKey, ProcessSpec};
use futures_util::TryStreamExt;
use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use super::eventually;

/// The variable by which a yard knows what runs in it: what was started has it, and what keeps that does not.
pub(crate) const YARD: &str = "DOCKMASTER_TEST_YARD";

/// A data directory with host processes. Whatever still runs at the end is killed.
pub(crate) struct Yard {
    directory: TempDir,
    pub(crate) data: PathBuf,
    pub(crate) host: Host,
}

pub(crate) fn project() -> ProjectName {
    ProjectName::new("tools").unwrap()
}

pub(crate) fn key(service: &str) -> ProcessKey {
    ProcessKey { project: project(), service: ServiceName::new(service).unwrap(), instance: 1 }
}

pub(crate) fn host(data: &Path) -> Host {
    Host::new(data, env!("CARGO_BIN_EXE_dockmaster").into())
}

impl Yard {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Deeper than a socket's path may be.
        let data = directory.path().join("a-directory-of-some-length".repeat(5)).join("data");
        Self { host: host(&data), data, directory }
    }

    /// A directory for what the processes say.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn token(&self) -> String {
        self.directory.path().display().to_string()
    }

    pub(crate) fn command(&self, command: &[&str]) -> ProcessSpec {
        ProcessSpec {
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            directory: Some(self.directory.path().to_owned()),
            environment: BTreeMap::from([(YARD.to_owned(), self.token())]),
            stop_timeout: Duration::from_secs(10),
            restart: RestartRule::Always,
            healthcheck: None,
            definition: None,
        }
    }

    pub(crate) fn sh(&self, script: &str) -> ProcessSpec {
        self.command(&["sh", "-c", script])
    }

    pub(crate) fn place(&self, service: &str) -> PathBuf {
        self.data.join("processes/tools").join(service).join("1")
    }

    /// How a process stands.
    pub(crate) async fn seen(&self, service: &str) -> Container {
        let all = self.host.list(&project()).await.unwrap();
        all.into_iter().find(|c| c.service.as_str() == service).unwrap_or_else(|| panic!("there is no {service}"))
    }

    pub(crate) async fn is(&self, service: &str, state: State) {
        eventually(&format!("{service} is {state:?}"), async || self.seen(service).await.state == state).await;
    }

    pub(crate) async fn log(&self, service: &str, lines: usize) -> Vec<String> {
        let container = self.seen(service).await;
        let lines: Vec<_> = self.host.logs(&container, lines, None, false).try_collect().await.unwrap();
        lines.into_iter().map(|line| line.text).collect()
    }

    pub(crate) async fn says(&self, service: &str, text: &str) {
        eventually(&format!("{service} says {text:?}"), async || self.log(service, 1_000).await.iter().any(|line| line == text)).await;
    }

    /// What runs in the yard, by the kernel.
    pub(crate) fn processes(&self) -> Vec<i32> {
        with(&format!("{YARD}={}", self.token()))
    }

    /// What keeps it.
    pub(crate) fn keepers(&self) -> Vec<i32> {
        marks(&self.data).iter().flat_map(|mark| with(&format!("DOCKMASTER_OPERATION={mark}-keeper"))).collect()
    }

    pub(crate) async fn empty(&self) {
        eventually("nothing runs any more", async || self.processes().is_empty() && self.keepers().is_empty()).await;
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        // Keepers first: they would start again what is killed.
        for pid in self.keepers().into_iter().chain(self.processes()) {
            signal(pid, Signal::KILL);
        }
    }
}

/// The processes that were started with a variable.
fn with(variable: &str) -> Vec<i32> {
    let numbers = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    let has = |pid: &i32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|b| *b == 0).any(|v| v == variable.as_bytes())
    };
    numbers.filter(has).collect()
}

fn marks(data: &Path) -> Vec<String> {
    let below = |path: PathBuf| std::fs::read_dir(path).into_iter().flatten().flatten().map(|e| e.path()).collect::<Vec<_>>();
    let instances = below(data.join("processes")).into_iter().flat_map(below).flat_map(below);
    instances.filter_map(|place| std::fs::read_to_string(place.join("mark")).ok()).collect()
}

pub(crate) fn signal(pid: i32, signal: Signal) {
    let _ = rustix::process::kill_process(Pid::from_raw(pid).unwrap(), signal);
}
