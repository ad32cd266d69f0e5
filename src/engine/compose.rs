//! The Compose program: arguments out, output in. Pure but for [`Compose::find`] and [`Program`]; nothing else is started here.

mod asks;
mod build;
mod hidden;
mod hooks;
mod inline;
mod jobs;
mod links;
mod networks;
mod program;
mod resources;
mod said;
mod scale;
pub mod steering;
mod unprintable;
pub mod variables;
mod version;
mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub use build::BuildPlaces;
pub use hidden::Hidden;
pub use hooks::HOOKS;
pub use inline::{Inline, InlineSource, answered, asking};
pub use links::DeclaredLinks;
pub use program::Program;
pub use resources::{MountedVolume, Resource};
pub use said::{lines, reason, unset_variable, was_ended};
pub use scale::{Scale, parse_services};
pub use unprintable::unprintable;
pub use version::Version;

use crate::domain::project::{ProjectName, ServiceName};
use crate::domain::pull_policy::PullPolicy;
use crate::engine::fields::flag_of;
use crate::process::{self, Finished, Invocation};
use asks::asks;

/// How long Compose may take to say its version.
const VERSION_LIMIT: Duration = Duration::from_secs(20);

/// The Compose program, as this machine has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compose {
    /// What is started.
    pub program: PathBuf,
    /// What stands before every other argument: `compose` for the plugin.
    pub prefix: Vec<OsString>,
    /// Its version.
    pub version: Version,
}

impl Compose {
    /// Looks for the standalone program first (33 ms a call instead of 64, and it needs no `docker`), then for the plugin
    /// of `docker`. Each is asked for its version: `docker` is often there without the plugin, and a `docker-compose`
    /// may be the old one, which knows other arguments. None where neither is there and new enough.
    pub async fn find(path: &std::ffi::OsStr, mark: &str) -> Option<Self> {
        let candidates = [("docker-compose", None), ("docker", Some("compose"))];
        for (name, plugin) in candidates {
            let Some(program) = std::env::split_paths(path).map(|d| d.join(name)).find(|p| p.is_file()) else { continue };
            let prefix: Vec<OsString> = plugin.map(OsString::from).into_iter().collect();
            let ask =
                Invocation::new(&program).args(&prefix).args(["version", "--short"]).environment(process::MARK, mark).limit(VERSION_LIMIT);
            let asked = process::run(&ask, &mut |_| {}, &CancellationToken::new()).await.ok().filter(Finished::success);
            let version = asked.and_then(|asked| Version::parse(&String::from_utf8_lossy(&asked.stdout)));
            if let Some(version) = version.filter(|version| version.is_supported()) {
                return Some(Self { program, prefix, version });
            }
        }
        None
    }
}

/// Which files of a project Compose reads, and in whose name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files<'a> {
    /// The compose project name.
    pub name: &'a str,
    /// Where the compose files are.
    pub root: &'a Path,
    /// The compose files, relative to `root`.
    pub files: &'a [String],
    /// What relative paths in the files are relative to.
    pub directory: &'a Path,
    /// The file with the variables, where there is one.
    pub environment: Option<&'a Path>,
}

impl Files<'_> {
    fn global(&self, with_files: bool) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec!["--ansi".into(), "never".into(), "-p".into(), self.name.into()];
        args.extend(["--project-directory".into(), self.directory.into()]);
        if let Some(environment) = self.environment {
            args.extend(["--env-file".into(), environment.into()]);
        }
        if with_files {
            for file in self.files {
                args.extend(["-f".into(), self.root.join(file).into()]);
            }
        } else {
            args.extend(["-f".into(), "-".into()]);
        }
        args
    }

    /// Resolves the files; the output holds every value of `.env`.
    pub fn config(&self) -> Vec<OsString> {
        [self.global(true), words(&["config", "--format", "json"])].concat()
    }

    /// Reads the files without putting in variables: the output holds no values, and says which `env_file`s there are.
    pub fn plain_config(&self) -> Vec<OsString> {
        [self.global(true), words(&["config", "--no-interpolate", "--format", "json"])].concat()
    }

    /// The hashes with which Compose would label containers, of a resolved configuration on the standard input.
    pub fn hashes(&self) -> Vec<OsString> {
        [self.global(false), words(&["config", "--hash", "*"])].concat()
    }

    /// Builds images, of a configuration on the standard input that [`Resolved::to_build`] gives.
    pub fn build(&self, services: &[ServiceName]) -> Vec<OsString> {
        [self.global(false), words(&["--progress", "plain", "build", "--"]), names(services)].concat()
    }

    /// Pulls images, of a resolved configuration on the standard input.
    pub fn pull(&self, services: &[ServiceName]) -> Vec<OsString> {
        [self.global(false), words(&["--progress", "plain", "pull", "--"]), names(services)].concat()
    }

    /// Makes or remakes the containers of some services and starts them: as many as are declared, or as `scale` says.
    pub fn up(&self, how: Up, scale: &Scale, services: &[ServiceName]) -> Vec<OsString> {
        self.up_with(how, "--detach", scale, services)
    }

    /// As [`Files::up`], and starts none.
    pub fn make(&self, how: Up, scale: &Scale, services: &[ServiceName]) -> Vec<OsString> {
        self.up_with(how, "--no-start", scale, services)
    }

    fn up_with(&self, how: Up, option: &str, scale: &Scale, services: &[ServiceName]) -> Vec<OsString> {
        let options = [(how.without_dependencies, "--no-deps"), (how.forced, "--force-recreate"), (how.keeps, "--no-recreate")];
        let options: Vec<&str> = options.into_iter().filter_map(|(is_set, option)| is_set.then_some(option)).collect();
        let up = words(&["--progress", "plain", "up", option, "--no-build", "--pull", "never"]);
        [self.global(!how.from_stdin), up, words(&options), scale::options(scale), words(&["--"]), names(services)].concat()
    }
}

/// How containers are made or remade.
#[derive(Debug, Clone, Copy, Default)]
pub struct Up {
    /// Whether the configuration comes on the standard input, resolved, instead of from the files.
    pub from_stdin: bool,
    /// Whether what the services depend on is left alone.
    pub without_dependencies: bool,
    /// Whether they are remade although Compose sees no reason to.
    pub forced: bool,
    /// Whether containers that are there are left as they are, whatever they were made from.
    pub keeps: bool,
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

fn names(services: &[ServiceName]) -> Vec<OsString> {
    services.iter().map(|s| OsString::from(s.as_str())).collect()
}

/// A configuration as Compose resolved it. It holds every value of `.env`: never written down, never shown, no `Debug`.
#[derive(Clone)]
pub struct Resolved(Value);

/// What a service's definition says.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// Its image's name.
    pub image: String,
    /// How its image is built.
    pub build: Option<BuildSection>,
    /// The services it needs.
    pub depends_on: BTreeSet<ServiceName>,
    /// Its bind mounts.
    pub binds: Vec<Bind>,
    /// What it asks for that reaches beyond its container.
    pub asks: BTreeSet<String>,
    /// When its image is pulled.
    pub pull_policy: PullPolicy,
    /// Whether it mounts a volume of the engine's.
    pub has_volume: bool,
    /// What it says of others that act on it.
    pub links: DeclaredLinks,
}

/// How an image is built.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildSection {
    /// The context: an absolute path, or an address.
    pub context: String,
    /// The Dockerfile, relative to the context or absolute; none where it stands in the compose file.
    pub dockerfile: Option<String>,
    /// Further contexts: paths or addresses.
    pub additional: Vec<String>,
    /// Further names that the image gets as soon as it is built.
    pub tags: Vec<String>,
    /// A hash of the whole section (its arguments may be secrets).
    pub hash: String,
}

/// A bind mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// The absolute path on the host.
    pub source: PathBuf,
    /// Where it is in the container; empty where it is no mount of a container.
    pub target: PathBuf,
    /// Whether the engine makes a directory where there is nothing at the source.
    pub is_made: bool,
    /// Whether the container may write to it.
    pub writable: bool,
}

impl Resolved {
    /// Reads what `config` printed.
    ///
    /// # Errors
    /// It is no JSON object with services.
    pub fn parse(output: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(output).map_err(|e| format!("Compose printed what is no JSON: {e}"))?;
        let mut value = value;
        unprintable::correct(&mut value);
        match value.get("services") {
            Some(Value::Object(services)) if !services.is_empty() => Ok(Self(value)),
            _ => Err("The compose file declares no services".to_owned()),
        }
    }

    /// The text to hand to Compose.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_string().into_bytes()
    }

    /// A hash of all of it but the paths that differ between a workspace and production do not occur in it: it was
    /// resolved with production as its directory.
    pub fn hash(&self) -> String {
        blake3::hash(self.0.to_string().as_bytes()).to_hex().to_string()
    }

    /// The services by name; `project` is the compose project's name, `production` the directory it was resolved for. Names that Compose accepts and we do not are left out; there are none known.
    pub fn services(&self, project: &str, production: &Path) -> BTreeMap<ServiceName, Definition> {
        let services = self.0.get("services").and_then(Value::as_object).into_iter().flatten();
        let files = mounted_files(&self.0);
        let read = |(name, value): (&String, &Value)| {
            let mut definition = definition(project, production, &self.0, name, value);
            definition.binds.extend(mounted(value, &files));
            Some((ServiceName::new(name).ok()?, definition))
        };
        services.filter(|(_, service)| service.get("provider").is_none_or(Value::is_null)).filter_map(read).collect()
    }

    /// The secrets and configs that services use and whose value comes from a variable, with that variable.
    pub fn from_variables(&self) -> BTreeSet<(String, String)> {
        let services = self.0.get("services").and_then(Value::as_object).into_iter().flatten();
        let kinds =
            services.flat_map(|(_, service)| ["configs", "secrets"].map(|kind| (kind, service.get(kind).and_then(Value::as_array))));
        let used = kinds.flat_map(|(kind, used)| used.into_iter().flatten().map(move |used| (kind, used)));
        let variable = |(kind, used): (&str, &Value)| {
            let name = used.as_str().or_else(|| used.get("source")?.as_str())?;
            let variable = self.0.get(kind)?.get(name)?.get("environment")?.as_str()?;
            Some((name.to_owned(), variable.to_owned()))
        };
        used.filter_map(variable).collect()
    }

    /// Whether it names files of `configs` or `secrets`, whose content it does not hold.
    pub fn names_files(&self) -> bool {
        !mounted_files(&self.0).is_empty()
    }

    /// This configuration with no service needing another; none where that is how it is already.
    pub fn alone(&self) -> Option<Self> {
        let mut alone = self.clone();
        let services = alone.0.get_mut("services")?.as_object_mut()?;
        let mut changed = false;
        for service in services.values_mut().filter_map(Value::as_object_mut) {
            changed |= service.remove("depends_on").is_some();
        }
        changed.then_some(alone)
    }

    /// What a service needs, as the files say it; none where it needs nothing.
    pub fn dependencies(&self, service: &ServiceName) -> Option<&Value> {
        self.0.get("services")?.get(service.as_str())?.get("depends_on").filter(|needs| needs.as_object().is_some_and(|n| !n.is_empty()))
    }

    /// Takes away what a service needs.
    pub fn forget_dependencies(&mut self, service: &ServiceName) {
        if let Some(service) = self.0.get_mut("services").and_then(|s| s.get_mut(service.as_str())).and_then(Value::as_object_mut) {
            service.remove("depends_on");
        }
    }

    /// Puts one directory in the place of another in every path.
    pub fn relocate(&mut self, from: &Path, to: &Path) {
        relocate(&mut self.0, &from.to_string_lossy(), &to.to_string_lossy());
    }

    /// This configuration with the definition of a service replaced by the one of another configuration, where both have it.
    pub fn substitute(&mut self, service: &ServiceName, from: &Resolved) {
        let other = from.0.get("services").and_then(|s| s.get(service.as_str()));
        let own = self.0.get_mut("services").and_then(|s| s.get_mut(service.as_str()));
        if let (Some(other), Some(own)) = (other, own) {
            *own = other.clone();
        }
    }
}

fn relocate(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::String(text) => {
            if let Some(rest) = text.strip_prefix(from).filter(|rest| rest.is_empty() || rest.starts_with('/')) {
                *text = format!("{to}{rest}");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| relocate(item, from, to)),
        Value::Object(fields) => fields.values_mut().for_each(|field| relocate(field, from, to)),
        _ => {}
    }
}

/// The `env_file`s that [`Files::plain_config`] printed; none where it is not understood.
pub fn parse_env_files(output: &[u8]) -> BTreeSet<PathBuf> {
    let value: Value = serde_json::from_slice(output).unwrap_or_default();
    let services = value.get("services").and_then(Value::as_object).into_iter().flatten();
    let files = services.filter_map(|(_, service)| service.get("env_file")?.as_array()).flatten();
    files.filter_map(|file| file.get("path").or(Some(file))?.as_str()).map(PathBuf::from).collect()
}

fn definition(project: &str, production: &Path, all: &Value, name: &str, value: &Value) -> Definition {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let depends = value.get("depends_on").and_then(Value::as_object).into_iter().flatten();
    let volumes = || value.get("volumes").and_then(Value::as_array).into_iter().flatten();
    Definition {
        image: text("image").map_or_else(|| format!("{project}-{name}"), str::to_owned),
        build: value.get("build").filter(|b| b.is_object()).map(build_section),
        depends_on: depends.filter_map(|(name, _)| ServiceName::new(name).ok()).collect(),
        binds: volumes().filter_map(bind).collect(),
        asks: asks(all, value, production),
        pull_policy: text("pull_policy").map(PullPolicy::parse).unwrap_or_default(),
        links: links::declared_links(value),
        has_volume: volumes().any(|volume| volume.get("type").and_then(Value::as_str) == Some("volume")),
    }
}

fn build_section(build: &Value) -> BuildSection {
    let text = |key: &str| build.get(key).and_then(Value::as_str).map(str::to_owned);
    let inline = build.get("dockerfile_inline").is_some();
    let additional = build.get("additional_contexts").and_then(Value::as_object).into_iter().flatten();
    BuildSection {
        context: text("context").unwrap_or_default(),
        dockerfile: if inline { None } else { Some(text("dockerfile").unwrap_or_else(|| "Dockerfile".to_owned())) },
        additional: additional.filter_map(|(_, v)| v.as_str().map(str::to_owned)).collect(),
        tags: build.get("tags").and_then(Value::as_array).into_iter().flatten().filter_map(|t| t.as_str().map(str::to_owned)).collect(),
        hash: blake3::hash(build.to_string().as_bytes()).to_hex().to_string(),
    }
}

fn bind(volume: &Value) -> Option<Bind> {
    if volume.get("type")?.as_str()? != "bind" {
        return None;
    }
    let writable = !volume.get("read_only").and_then(flag_of).unwrap_or_default();
    let text = |key: &str| volume.get(key).and_then(Value::as_str).map(PathBuf::from);
    let is_made = volume.pointer("/bind/create_host_path").is_some_and(|made| flag_of(made) == Some(true));
    Some(Bind { source: text("source")?, target: text("target").unwrap_or_default(), writable, is_made })
}

/// The files of top-level `configs` and `secrets`, by kind and name.
fn mounted_files(all: &Value) -> BTreeMap<(&'static str, &str), PathBuf> {
    let kinds = ["configs", "secrets"].into_iter();
    let named = kinds.flat_map(|kind| all.get(kind).and_then(Value::as_object).into_iter().flatten().map(move |entry| (kind, entry)));
    named.filter_map(|(kind, (name, value))| Some(((kind, name.as_str()), PathBuf::from(value.get("file")?.as_str()?)))).collect()
}

/// The files of `configs` and `secrets` that a service uses: Compose mounts them read-only.
fn mounted(service: &Value, files: &BTreeMap<(&'static str, &str), PathBuf>) -> Vec<Bind> {
    let uses = |kind: &'static str| service.get(kind).and_then(Value::as_array).into_iter().flatten().map(move |used| (kind, used));
    let source = |(kind, used): (&'static str, &Value)| {
        let name = used.as_str().or_else(|| used.get("source")?.as_str())?;
        let given = used.get("target").and_then(Value::as_str).map(PathBuf::from);
        // Where Compose puts it by itself.
        let root = if kind == "secrets" { "/run/secrets" } else { "/" };
        let target = Path::new(root).join(given.unwrap_or_else(|| PathBuf::from(name)));
        Some(Bind { source: files.get(&(kind, name))?.clone(), target, writable: false, is_made: false })
    };
    uses("configs").chain(uses("secrets")).filter_map(source).collect()
}

/// Reads what `config --hash '*'` printed: `service hash` a line.
pub fn parse_hashes(output: &str) -> BTreeMap<ServiceName, String> {
    let pair = |line: &str| {
        let (name, hash) = line.split_once(' ')?;
        Some((ServiceName::new(name).ok()?, hash.trim().to_owned()))
    };
    output.lines().filter_map(pair).collect()
}

/// The tag under which dockmaster builds an image for a release: `dockmaster/shop/backend:3-0a1b2c3d`, the
/// last part being the name of the data directory: two dockmasters on one engine must not take each other's.
pub fn own_tag(project: &ProjectName, service: &ServiceName, release: i64, instance: &str) -> String {
    format!("dockmaster/{}/{}:{release}-{instance}", repository_part(project.as_str()), repository_part(service.as_str()))
}

/// The tag that keeps the image which a service runs.
pub fn running_tag(project: &ProjectName, service: &ServiceName, image_id: &str, instance: &str) -> String {
    let id: String = image_id.trim_start_matches("sha256:").chars().take(12).collect();
    format!("dockmaster/{}/{}:{RUNNING}{id}-{instance}", repository_part(project.as_str()), repository_part(service.as_str()))
}

/// What the tags of images that services run begin with; those of releases begin with a number.
pub const RUNNING: &str = "running-";

/// A name as part of a repository's: lower case, separators alone between letters and digits. What had to be changed for
/// that gets a few letters of its hash, so that no two names meet.
fn repository_part(name: &str) -> String {
    let lower = name.to_lowercase();
    let plain = lower.split(['_', '-', '.']).filter(|p| !p.is_empty()).collect::<Vec<_>>().join("-");
    let hash = || blake3::hash(name.as_bytes()).to_hex()[..8].to_owned();
    match (plain == name, plain.is_empty()) {
        (true, _) => plain,
        (false, true) => hash(),
        (false, false) => format!("{plain}-{}", hash()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_definition_says_what_matters() {
        let value = json!({ "services": { "web": {
            "build": { "context": "/srv/shop/app", "dockerfile": "Dockerfile" },
            "depends_on": { "db": { "condition": "service_healthy" } },
            "network_mode": "host", "privileged": true,
            "volumes": [
                { "type": "bind", "source": "/srv/shop/site", "target": "/site", "read_only": true },
                { "type": "bind", "source": "/var/run/docker.sock", "target": "/var/run/docker.sock" },
                { "type": "bind", "source": "/etc/ssl", "target": "/etc/ssl", "read_only": true },
                { "type": "volume", "source": "data", "target": "/data" }
            ]
        }, "db": { "image": "postgres:16" } } });
        let resolved = Resolved::parse(value.to_string().as_bytes()).unwrap();
        let services = resolved.services("shop", Path::new("/srv/shop"));
        let web = &services["web"];
        assert_eq!(web.image, "shop-web");
        assert_eq!(web.build.as_ref().unwrap().context, "/srv/shop/app");
        assert_eq!(web.binds.iter().map(|b| b.writable).collect::<Vec<_>>(), [false, true, false]);
        let asks: Vec<&str> = web.asks.iter().map(String::as_str).collect();
        assert_eq!(asks, ["a mount of `/etc/ssl`", "privileged mode", "the engine's socket", "the host's network"]);
        assert!(Resolved::parse(b"{}").is_err());
    }

    #[test]
    fn env_files_and_mounted_files_are_found() {
        let plain = json!({ "services": { "web": { "env_file": [{ "path": "/srv/shop/app.env", "required": true }] }, "db": {} } });
        assert_eq!(parse_env_files(plain.to_string().as_bytes()), [PathBuf::from("/srv/shop/app.env")].into());
        assert!(parse_env_files(b"?").is_empty());
        let value = json!({
            "services": { "web": { "image": "x", "configs": [{ "source": "site", "target": "/etc/site" }], "secrets": [{ "source": "key" }] } },
            "configs": { "site": { "file": "/tmp/plan/site.conf" } }, "secrets": { "key": { "environment": "KEY" } }
        });
        let mut resolved = Resolved::parse(value.to_string().as_bytes()).unwrap();
        resolved.relocate(Path::new("/tmp/plan"), Path::new("/srv/shop"));
        let services = resolved.services("shop", Path::new("/srv/shop"));
        let web = &services["web"];
        assert_eq!(web.binds, [Bind { source: "/srv/shop/site.conf".into(), target: "/etc/site".into(), writable: false, is_made: false }]);
    }

    #[test]
    fn own_tags_are_valid_repository_names() {
        let tag = |project, service| own_tag(&ProjectName::new(project).unwrap(), &ServiceName::new(service).unwrap(), 3, "0a1b");
        assert_eq!(tag("shop", "web-1"), "dockmaster/shop/web-1:3-0a1b");
        let odd = tag("My_Shop-", "Web.1__x");
        assert!(odd.starts_with("dockmaster/my-shop-") && odd.contains("/web-1-x-"), "{odd}");
        assert_ne!(tag("a_b", "c"), tag("a-b", "c"));
        assert!(!tag("shop", "_").contains("/-") && tag("shop", "_") != tag("shop", "-"));
    }
}
