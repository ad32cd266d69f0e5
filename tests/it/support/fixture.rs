//! A project of its own on the engine, from an image that needs no registry, taken down when the test ends.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::engine;

/// A project on the engine.
pub(crate) struct Fixture {
    pub(crate) name: String,
    /// Whether that is the project's name as well: what dockmaster makes itself is called by it.
    pub(crate) called_so: bool,
    pub(crate) workspace: PathBuf,
    pub(crate) production: PathBuf,
    /// What its entry in projects.json says beyond its place and name.
    pub(crate) entry: Value,
    _directory: TempDir,
}

/// A program as tests start it: to its end, with what it printed.
#[expect(clippy::disallowed_methods, reason = "tests set the stage with the tools that people use")]
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    if let Some(host) = engine::host() {
        command.env("DOCKER_HOST", host);
    }
    command
}

pub(crate) fn sh(program: &str, args: &[&str]) -> String {
    let output = command(program).args(args).stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    ok(program, args, &output)
}

fn ok(program: &str, args: &[&str], output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {args:?}: {}\n{out}\n{err}", output.status);
    out.into_owned()
}

/// The tests' image: busybox and nothing else.
pub(crate) fn image() -> &'static str {
    static THERE: Mutex<BTreeSet<Option<String>>> = Mutex::new(BTreeSet::new());
    const NAME: &str = "dockmaster-test-busybox";
    let mut there = THERE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !there.contains(&engine::host()) {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let busybox = ["/usr/bin/busybox", "/bin/busybox"].into_iter().find(|p| Path::new(p).is_file());
        std::fs::copy(busybox.expect("busybox is installed by scripts/setup"), root.join("busybox")).unwrap();
        let dockerfile = "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nRUN [\"/bin/mkdir\", \"-p\", \"/tmp\"]\n";
        std::fs::write(root.join("Dockerfile"), dockerfile).unwrap();
        std::fs::write(root.join("docker-compose.yml"), format!("services: {{ base: {{ build: ., image: {NAME} }} }}\n")).unwrap();
        let project = root.join("docker-compose.yml");
        sh("docker-compose", &["-p", "dockmaster-test-base", "-f", project.to_str().unwrap(), "build", "--quiet"]);
        there.insert(engine::host());
    }
    NAME
}

/// A compose service that serves: a health check that is good once `/tmp/well` is there, which its command makes.
pub(crate) fn healthy_service(more: &str) -> String {
    service("touch /tmp/well; echo ready; while true; do sleep 1; done", more)
}

/// The health check of [`healthy_service`]: eager while it starts, where the engine is able to.
pub(crate) fn check() -> String {
    static EAGER: OnceLock<bool> = OnceLock::new();
    // Engine 25 brought that, and Compose refuses it on an older one.
    let eager = *EAGER.get_or_init(|| {
        let api = engine_get("/version")["ApiVersion"].as_str().and_then(|version| version.strip_prefix("1.")?.parse::<u32>().ok());
        api.is_some_and(|minor| minor >= 44)
    });
    let eager = if eager { ", start_interval: 200ms" } else { "" };
    format!("healthcheck: {{ test: [\"CMD\", \"test\", \"-e\", \"/tmp/well\"], interval: 500ms, retries: 3, start_period: 2s{eager} }}")
}

/// A compose service from a shell command, with the health check of [`healthy_service`].
pub(crate) fn service(script: &str, more: &str) -> String {
    let check = check();
    format!(
        "{{ image: {}, init: true, stop_grace_period: 2s, command: [\"sh\", \"-c\", {}], {check}{} }}",
        image(),
        json!(script),
        comma(more)
    )
}

/// A compose service from a shell command, without a health check.
pub(crate) fn plain_service(script: &str, more: &str) -> String {
    format!("{{ image: {}, init: true, stop_grace_period: 2s, command: [\"sh\", \"-c\", {}]{} }}", image(), json!(script), comma(more))
}

fn comma(more: &str) -> String {
    if more.is_empty() { String::new() } else { format!(", {more}") }
}

/// The compose file with these services.
pub(crate) fn compose_file(services: &[(&str, String)]) -> String {
    let lines: String = services.iter().map(|(name, definition)| format!("  {name}: {definition}\n")).collect();
    format!("services:\n{lines}")
}

impl Fixture {
    /// A project with these services in production and workspace alike; nothing is started.
    pub(crate) fn new(services: &[(&str, String)]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let directory = tempfile::tempdir().unwrap();
        let (workspace, production) = (directory.path().join("workspace"), directory.path().join("production"));
        let fixture = Self {
            name: format!("dmt-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)),
            called_so: false,
            workspace,
            production,
            entry: json!({}),
            _directory: directory,
        };
        for root in [&fixture.workspace, &fixture.production] {
            std::fs::create_dir_all(root).unwrap();
            std::fs::write(root.join("docker-compose.yml"), compose_file(services)).unwrap();
        }
        fixture
    }

    /// The same, brought up from production by hand, as somebody would have before they got dockmaster.
    pub(crate) fn up(services: &[(&str, String)]) -> Self {
        let fixture = Self::new(services);
        fixture.compose(&["up", "-d", "--wait"]);
        fixture
    }

    /// Sets fields of the project's entry in projects.json.
    pub(crate) fn with(mut self, fields: Value) -> Self {
        let (Value::Object(entry), Value::Object(fields)) = (&mut self.entry, fields) else { panic!("fields are an object") };
        entry.extend(fields);
        self
    }

    /// Runs Compose on production, as a person would.
    pub(crate) fn compose(&self, args: &[&str]) -> String {
        let file = self.production.join("docker-compose.yml");
        let base = ["-p", &self.name, "--project-directory", self.production.to_str().unwrap(), "-f", file.to_str().unwrap()];
        sh("docker-compose", &[&base, args].concat())
    }

    /// Writes a file below the workspace.
    pub(crate) fn write(&self, path: &str, text: &str) {
        write(&self.workspace.join(path), text);
    }

    /// Writes a file below production.
    pub(crate) fn write_production(&self, path: &str, text: &str) {
        write(&self.production.join(path), text);
    }

    /// A file of production; none where there is none.
    pub(crate) fn production_file(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.production.join(path)).ok()
    }

    /// When and with which id each container of the project runs: `service id started`, sorted.
    pub(crate) fn containers(&self) -> Vec<(String, String, String)> {
        let ids = self.compose(&["ps", "-a", "-q"]);
        let mut all: Vec<_> = ids
            .lines()
            .map(|id| {
                let seen = engine_get(&format!("/containers/{id}/json"));
                let text = |path: &str| seen.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
                (text("/Config/Labels/com.docker.compose.service"), id.to_owned(), text("/State/StartedAt"))
            })
            .collect();
        all.sort();
        all
    }

    /// The id and the start of one service's container.
    pub(crate) fn container(&self, service: &str) -> (String, String) {
        let all = self.containers();
        let found = all.iter().find(|(name, _, _)| name == service).unwrap_or_else(|| panic!("no container of {service}: {all:?}"));
        (found.1.clone(), found.2.clone())
    }

    /// The entry of projects.json.
    pub(crate) fn project_json(&self) -> Value {
        let mut entry = json!({
            "workspace": self.workspace, "production": self.production,
            "compose": { "files": ["docker-compose.yml"], "name": self.name },
            "deploy": { "stability": "1s", "health_timeout": "20s" },
            "restart": { "stop_timeout": "2s" },
        });
        if let (Value::Object(entry), Value::Object(more)) = (&mut entry, &self.entry) {
            entry.extend(more.clone());
        }
        entry.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        entry
    }
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Asks the engine's API, with curl: a witness that shares no code with what is tested.
pub(crate) fn engine_get(path: &str) -> Value {
    let host = engine::host().unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
    let socket = host.strip_prefix("unix://").expect("tests use an engine on a socket");
    let out = sh("curl", &["-sS", "--unix-socket", socket, &format!("http://engine{path}")]);
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("{path}: {e}: {out}"))
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // Also when the test failed, and whatever state it left things in.
        if self.called_so {
            return super::made::take_down(&self.name);
        }
        let file = self.production.join("docker-compose.yml");
        let _ = std::fs::create_dir_all(&self.production);
        let _ = std::fs::write(&file, "services: { none: { image: none } }\n");
        // Whatever a test has put into its .env.
        let args = [
            "--env-file",
            "/dev/null",
            "-p",
            &self.name,
            "-f",
            file.to_str().unwrap_or_default(),
            "down",
            "--remove-orphans",
            "-v",
            "-t",
            "1",
        ];
        match command("docker-compose").args(args).output() {
            Ok(output) if output.status.success() => {}
            other => eprintln!("{} could not be taken down: {other:?}", self.name),
        }
    }
}

/// A tree as it is: kinds, modes, contents and targets by path.
pub(crate) type Tree = BTreeMap<String, String>;

/// Reads a tree.
pub(crate) fn tree(root: &Path) -> Tree {
    let mut all = Tree::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let (path, meta) = (entry.path(), entry.path().symlink_metadata().unwrap());
            let mode = meta.permissions().mode() & 0o7777;
            let what = if meta.file_type().is_socket() {
                format!("socket {mode:o}")
            } else if meta.is_symlink() {
                format!("link {}", path.read_link().unwrap().display())
            } else if meta.is_dir() {
                pending.push(path.clone());
                format!("directory {mode:o}")
            } else {
                format!("file {mode:o} {}", std::fs::read(&path).unwrap().escape_ascii())
            };
            all.insert(path.strip_prefix(root).unwrap().display().to_string(), what);
        }
    }
    all
}
