//! The sample project of `try`: a backend with a health check and a store that keeps data, from an image that needs no
//! registry. The image is made of this very program and the libraries that it runs with. Where there is no engine, the
//! same two are processes.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// The compose file, the same in workspace and production.
const COMPOSE: &str = "services:
  backend:
    build: .
    ports: [\"127.0.0.1:${SAMPLE_PORT}:8080\"]
    environment:
      GREETING: ${GREETING:-Hello}
    depends_on:
      store: { condition: service_healthy }
    healthcheck:
      test: [\"CMD\", \"/runtime/start\", \"--library-path\", \"/runtime\", \"/runtime/dockmaster\", \"sample-service\", \"check\"]
      interval: 1s
      timeout: 2s
      retries: 3
    restart: unless-stopped
    stop_grace_period: 3s
  store:
    image: ${SAMPLE_IMAGE}
    command: [\"sample-service\", \"store\"]
    volumes: [\"data:/data\"]
    healthcheck:
      test: [\"CMD\", \"/runtime/start\", \"--library-path\", \"/runtime\", \"/runtime/dockmaster\", \"sample-service\", \"check\"]
      interval: 1s
      timeout: 2s
      retries: 3
    restart: unless-stopped
    stop_grace_period: 3s
volumes:
  data:
";

const BASE: &str = "FROM scratch
COPY . /runtime/
ENTRYPOINT [\"/runtime/start\", \"--library-path\", \"/runtime\", \"/runtime/dockmaster\"]
";

/// What starts a program that was linked with libraries; a static one starts by itself.
const LOADER: &str = "\"/runtime/start\", \"--library-path\", \"/runtime\", ";

/// Where the sample is, and what it is called.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The compose project's name.
    pub name: String,
    /// The workspace.
    pub workspace: PathBuf,
    /// Production.
    pub production: PathBuf,
    /// The directory from which the base image is built.
    pub base: PathBuf,
    /// The base image's name.
    pub image: String,
    /// The port on the loopback address where the backend answers.
    pub port: u16,
    /// Where the store answers, where both are processes of this machine.
    pub store: Option<u16>,
}

impl Sample {
    /// Writes the sample below a directory; what an earlier run left there is replaced. `port` is where the backend
    /// will answer.
    ///
    /// # Errors
    /// Something could not be read or written.
    pub fn write(root: &Path, port: u16) -> io::Result<Self> {
        let sample = Self::begin(root, port, None)?;
        let loader = if sample.write_base()? { LOADER } else { "" };
        sample.write_trees(&|root| {
            std::fs::write(root.join("docker-compose.yml"), COMPOSE.replace(LOADER, loader))?;
            let dockerfile = format!("FROM {}\nCOPY site /site\nCMD [\"sample-service\", \"serve\"]\n", sample.image);
            std::fs::write(root.join("Dockerfile"), dockerfile)
        })?;
        let environment = format!("SAMPLE_PORT={port}\nSAMPLE_IMAGE={}\nGREETING=Hello\n", sample.image);
        std::fs::write(sample.production.join(".env"), environment)?;
        Ok(sample)
    }

    /// The same as processes of this machine; `store` is where the store will answer.
    ///
    /// # Errors
    /// Something could not be written.
    pub fn write_processes(root: &Path, port: u16, store: u16) -> io::Result<Self> {
        let sample = Self::begin(root, port, Some(store))?;
        sample.write_trees(&|_| Ok(()))?;
        std::fs::create_dir_all(sample.base.join("data"))?;
        Ok(sample)
    }

    fn begin(root: &Path, port: u16, store: Option<u16>) -> io::Result<Self> {
        std::fs::create_dir_all(root)?;
        let root = root.canonicalize()?;
        // Two trials in two directories must not share containers.
        let letters = blake3::hash(root.as_os_str().as_encoded_bytes()).to_hex()[..6].to_owned();
        let sample = Self {
            name: format!("sample-{letters}"),
            workspace: root.join("workspace"),
            production: root.join("production"),
            base: root.join("base"),
            image: format!("dockmaster-sample-{letters}"),
            port,
            store,
        };
        for directory in [&sample.workspace, &sample.production, &sample.base] {
            match std::fs::remove_dir_all(directory) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => std::fs::create_dir_all(directory)?,
            }
        }
        Ok(sample)
    }

    /// The sample's `projects.json`, with one person as its admin.
    ///
    /// # Errors
    /// Where this program is cannot be told.
    pub fn projects_json(&self, admin: i64) -> io::Result<String> {
        let mut project = json!({
            "description": "A small web server and a store",
            "workspace": self.workspace,
            "production": self.production,
            "primary": "backend",
            "stateful": ["store"],
            "deploy": { "health_timeout": "60s", "stability": "2s", "probe": format!("http://127.0.0.1:{}/", self.port) },
            "restart": { "stop_timeout": "5s" }
        });
        match self.store {
            None => project["compose"] = json!({ "files": ["docker-compose.yml"], "name": self.name }),
            Some(store) => project["services"] = self.services(store)?,
        }
        let all = json!({
            "default_project": "sample",
            "access": { "users": { admin.to_string(): "admin" } },
            "docker": self.store.is_none(),
            "projects": { "sample": project }
        });
        Ok(all.to_string())
    }

    /// Both services as processes.
    fn services(&self, store: u16) -> io::Result<Value> {
        let program = std::env::current_exe()?;
        let process = |role: &str, port: u16, directory: &Path| {
            json!({
                "process": { "command": [program, "sample-service", role], "directory": directory },
                "environment": {
                    "SAMPLE_ADDRESS": "127.0.0.1", "SAMPLE_PORT": port.to_string(), "GREETING": "Hello",
                    "SAMPLE_SITE": self.production.join("site"), "SAMPLE_DATA": self.base.join("data")
                },
                "healthcheck": { "http": format!("http://127.0.0.1:{port}/health"), "interval": "1s", "timeout": "2s" }
            })
        };
        let mut backend = process("serve", self.port, &self.production);
        backend["depends_on"] = json!({ "store": "service_healthy" });
        Ok(json!({ "backend": backend, "store": process("store", store, &self.base) }))
    }

    /// Both versions, each with what `more` writes.
    fn write_trees(&self, more: &dyn Fn(&Path) -> io::Result<()>) -> io::Result<()> {
        let first = (&self.production, "Hello from the first version.");
        let second = (&self.workspace, "Hello from the second version: deployed from a chat.");
        for (root, greeting) in [first, second] {
            std::fs::create_dir_all(root.join("site"))?;
            more(root)?;
            let page = format!("<!doctype html>\n<title>Sample</title>\n<h1>{greeting}</h1>\n");
            std::fs::write(root.join("site/index.html"), page)?;
        }
        Ok(())
    }

    /// This program, the libraries that it has loaded, and the loader that starts it; whether there is one.
    fn write_base(&self) -> io::Result<bool> {
        let compose = format!("services:\n  base:\n    build: .\n    image: {}\n", self.image);
        std::fs::write(self.base.join("docker-compose.yml"), compose)?;
        std::fs::write(self.base.join(".dockerignore"), "Dockerfile\ndocker-compose.yml\n.dockerignore\n")?;
        // A hard link costs nothing; across file systems, or where it is not allowed, a copy does.
        let program = std::env::current_exe()?;
        let copy = self.base.join("dockmaster");
        if std::fs::hard_link(&program, &copy).is_err() {
            std::fs::copy(&program, &copy)?;
        }
        let maps = std::fs::read_to_string("/proc/self/maps")?;
        let mut libraries: Vec<&str> = maps.lines().filter_map(|l| l.split_whitespace().nth(5)).filter(|p| p.contains(".so")).collect();
        libraries.sort_unstable();
        libraries.dedup();
        let mut loader = false;
        for library in libraries {
            let name = Path::new(library).file_name().unwrap_or_default();
            let is_loader = name.to_string_lossy().starts_with("ld-");
            loader |= is_loader;
            let name = if is_loader { std::ffi::OsStr::new("start") } else { name };
            std::fs::copy(library, self.base.join(name))?;
        }
        std::fs::write(self.base.join("Dockerfile"), BASE.replace(LOADER, if loader { LOADER } else { "" }))?;
        Ok(loader)
    }
}
