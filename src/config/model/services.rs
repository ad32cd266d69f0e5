//! Services that dockmaster makes itself, as they are written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Directory, DurationText, ServiceText, no};
use crate::domain::plan::Need;

/// A service that dockmaster makes itself: a container, a process of the host, or a container with a process in its place
/// where there is no engine.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "anyOf" = [{ "required": ["image"] }, { "required": ["process"] }],
    "dependentRequired" = {
        "command": ["image"], "entrypoint": ["image"], "user": ["image"], "ports": ["image"], "volumes": ["image"],
        "network": ["image"], "limits": ["image"]
    }
))]
pub struct Service {
    /// The image of its container; it is pulled where it is not there. Without it there is nothing for `command`,
    /// `entrypoint`, `user`, `ports`, `volumes`, `network` and `limits`.
    #[serde(default)]
    #[schemars(with = "ImageText", extend("examples" = ["postgres:17"]))]
    pub image: Option<ImageText>,
    /// What is run instead of the image's own command: the program and its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>", extend("minItems" = 1, "maxItems" = 200, "examples" = [["serve", "--port", "8080"]]))]
    pub command: Option<Vec<String>>,
    /// What is run instead of the image's own entry point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>", extend("minItems" = 1, "maxItems" = 200, "examples" = [["/bin/app"]]))]
    pub entrypoint: Option<Vec<String>>,
    /// As whom it runs, `user` or `user:group`; unless given, as the image says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("pattern" = "^[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?$", "examples" = ["1000:1000"]))]
    pub user: Option<String>,
    /// Its published ports: the port in the container (`80` or `53/udp`), and where on the host: a port, an address with a
    /// port, or `auto`, which lets the engine choose.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 200, "examples" = [{ "8080": "80", "9090": "127.0.0.1:9090", "53/udp": "auto" }]))]
    pub ports: BTreeMap<PortKey, HostPort>,
    /// What it has mounted: an absolute path of the host, one below production (`./data`) or the name of a volume, and where
    /// in the container; `:ro` behind that makes it unwritable. No volume is ever removed.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 200, "examples" = [{ "pgdata": "/var/lib/postgresql/data", "./conf": "/etc/app:ro" }]))]
    pub volumes: BTreeMap<MountKey, MountTarget>,
    /// Its environment. Numbers are quoted: `"8080"`. What is secret is better kept in a file: `env_file` or `secrets`.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 200, "examples" = [{ "MODE": "production" }]))]
    pub environment: BTreeMap<VariableKey, String>,
    /// A file with more of its environment, or several, absolute or below production. What stands in `environment` counts
    /// more, and a later file more than an earlier one.
    #[serde(default)]
    #[schemars(with = "OneOrMore", extend("examples" = [["app.env"]]))]
    pub env_file: Option<OneOrMore>,
    /// Files that it may read, by name: in a container as `/run/secrets/NAME`. The variable `NAME_FILE` says where.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 200, "examples" = [{ "db_password": "/etc/dockmaster/secrets/db_password" }]))]
    pub secrets: BTreeMap<SecretKey, FilePath>,
    /// How it is seen to be well; unless given, by what the image says.
    #[serde(default)]
    #[schemars(with = "HealthCheck", extend("examples" = [{ "http": "http://127.0.0.1:8080/health" }]))]
    pub healthcheck: Option<HealthCheck>,
    /// The network that it is in: `host`, `none`, `bridge` (the engine's usual one), or another one by name. Unless given, one of
    /// the project's own, where its services find each other by name.
    #[serde(default)]
    #[schemars(with = "NetworkName", extend("examples" = ["bridge"]))]
    pub network: Option<NetworkName>,
    /// What it may use of the machine.
    #[serde(default)]
    #[schemars(with = "Limits", extend("examples" = [{ "memory": "512m", "cpus": 1.5 }]))]
    pub limits: Option<Limits>,
    /// When it is started again: `no`, `always`, `unless-stopped`, `on-failure`, or `on-failure:5` for at most five times in a row.
    #[serde(default = "unless_stopped")]
    #[schemars(extend("examples" = ["on-failure:5"]))]
    pub restart: RestartText,
    /// The services that it needs, which are started before it: a list, or an object that says how far each must be.
    #[serde(default)]
    #[schemars(with = "DependsOn", extend("examples" = [{ "db": "service_healthy" }]))]
    pub depends_on: Option<DependsOn>,
    /// How many of it there are. Where there are several, ports of the host must be `auto`.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100), extend("examples" = [3]))]
    pub instances: u16,
    /// Whether what it prints joins dockmaster's own log, line by line, as `dockmaster::service`:
    /// `RUST_LOG=info,dockmaster::service=off` keeps it out again. At most 1,000 lines a second; how many were dropped is said.
    #[serde(default = "no")]
    #[schemars(extend("examples" = [true]))]
    pub log: bool,
    /// Makes it a process of the host; beside `image`, what takes the container's place where there is no engine.
    #[serde(default)]
    #[schemars(with = "Process", extend("examples" = [{ "command": ["/usr/local/bin/worker"] }]))]
    pub process: Option<Process>,
}

/// A process of the host.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// The program, by its absolute path, and its arguments.
    #[schemars(extend("minItems" = 1, "maxItems" = 200, "examples" = [["/usr/local/bin/worker", "--queue", "mail"]]))]
    pub command: Vec<String>,
    /// Where it runs. Unless given, in production, and without one in a directory of its own.
    #[serde(default)]
    #[schemars(with = "Directory", extend("examples" = ["/srv/worker"]))]
    pub directory: Option<Directory>,
}

/// How a service is seen to be well: by a command, or from where dockmaster runs by HTTP or TCP.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["test"] }, { "required": ["http"] }, { "required": ["tcp"] }]))]
pub struct HealthCheck {
    /// What must end with code 0, in the container or on the host: `["CMD", program, …]`, a line for the shell (also as
    /// `["CMD-SHELL", line]`), or `["NONE"]` for no check whatever the image says.
    #[serde(default)]
    #[schemars(with = "OneOrMore", extend("examples" = [["CMD", "pg_isready"]]))]
    pub test: Option<OneOrMore>,
    /// An address that must answer with a status below 400.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("pattern" = "^https?://[^/?#@\\s]+", "examples" = ["http://127.0.0.1:8080/health"]))]
    pub http: Option<String>,
    /// A `host:port` that must take a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("pattern" = "^(\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9._-]+):[1-9][0-9]{0,4}$", "examples" = ["127.0.0.1:5432"]))]
    pub tcp: Option<String>,
    /// How long after one try the next begins, from 1s to 1h.
    #[serde(default = "ten_seconds")]
    #[schemars(extend("examples" = ["5s"]))]
    pub interval: DurationText,
    /// How long a try may take, from 1s to 10m.
    #[serde(default = "five_seconds")]
    #[schemars(extend("examples" = ["2s"]))]
    pub timeout: DurationText,
    /// How many tries in a row must fail until it is unhealthy.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 100), extend("examples" = [5]))]
    pub retries: u32,
    /// How long after the start failures do not count, at most 1h.
    #[serde(default = "half_a_minute")]
    #[schemars(extend("examples" = ["1m"]))]
    pub start_period: DurationText,
}

/// What a container may use of the machine.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Memory, at least 6m.
    #[serde(default)]
    #[schemars(with = "SizeText", extend("examples" = ["256m"]))]
    pub memory: Option<SizeText>,
    /// Processors, from 0.01 to 1024.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64", range(min = 0.01, max = 1_024), extend("examples" = [0.5]))]
    pub cpus: Option<f64>,
    /// Processes and threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1, max = 4_194_304), extend("examples" = [100]))]
    pub pids: Option<u32>,
    /// GPUs: `all`, how many, or which by their ids.
    #[serde(default)]
    #[schemars(with = "Gpus", extend("examples" = ["all"]))]
    pub gpus: Option<Gpus>,
}

/// GPUs: all, how many, or which by their ids.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Gpus {
    /// All of them.
    All(AllGpus),
    /// So many, whichever.
    Count(#[schemars(range(min = 1, max = 64))] u32),
    /// These.
    Ids(#[schemars(extend("minItems" = 1, "maxItems" = 64, "uniqueItems" = true))] Vec<String>),
}

/// Every GPU that there is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "all GPUs")]
pub enum AllGpus {
    /// All of them.
    All,
}

/// The services that one needs.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum DependsOn {
    /// They must be started.
    Started(#[schemars(extend("maxItems" = 200, "uniqueItems" = true))] Vec<ServiceText>),
    /// How far each must be.
    Conditions(#[schemars(extend("maxProperties" = 200))] BTreeMap<ServiceText, Need>),
}

/// A text, or a list of them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMore {
    /// One.
    One(String),
    /// Several.
    More(#[schemars(extend("minItems" = 1, "maxItems" = 200))] Vec<String>),
}

/// A reference to an image: `[registry/]name[:tag][@digest]`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(title = "image")]
pub struct ImageText(#[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._/:@-]*$"))] pub String);

/// A port of a container, `80` or `53/udp`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
pub struct PortKey(#[schemars(regex(pattern = r"^[1-9][0-9]{0,4}(/(tcp|udp|sctp))?$"))] pub String);

/// A port of the host, with an address before it or without, or `auto`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(title = "host port")]
pub struct HostPort(#[schemars(regex(pattern = r"^((\[[0-9A-Fa-f:.]+\]|[0-9.]+):)?([1-9][0-9]{0,4}|auto)$"))] pub String);

/// An absolute path of the host, one below production that begins with `./`, or the name of a volume.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
pub struct MountKey(#[schemars(regex(pattern = r"^(/.*|\.(/.*)?|[A-Za-z0-9][A-Za-z0-9_.-]+)$"))] pub String);

/// An absolute path in the container, with `:ro` behind it where it can only be read.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(title = "mount")]
pub struct MountTarget(#[schemars(regex(pattern = r"^/+[^/:][^:]*(:ro)?$"))] pub String);

/// The name of a variable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
pub struct VariableKey(#[schemars(regex(pattern = r"^[^=\s]+$"))] pub String);

/// The name of a secret, which is the name of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
pub struct SecretKey(#[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"))] pub String);

/// The absolute path of a file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(title = "file")]
pub struct FilePath(#[schemars(regex(pattern = r"^/+[^/]"))] pub String);

/// The name of a network; `host`, `none` and `bridge` are the engine's own.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(title = "network")]
pub struct NetworkName(#[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$"))] pub String);

/// A size in bytes; with `k`, `m` or `g` behind it in KiB, MiB or GiB.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(title = "size")]
pub struct SizeText(#[schemars(regex(pattern = r"^[1-9][0-9]{0,15}([bB]|[kKmMgG][bB]?)?$"))] pub String);

/// When a service is started again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "restart policy")]
pub struct RestartText(#[schemars(regex(pattern = r"^(no|always|unless-stopped|on-failure(:[1-9][0-9]{0,8})?)$"))] pub String);

fn unless_stopped() -> RestartText {
    RestartText("unless-stopped".to_owned())
}

fn one() -> u16 {
    1
}

fn three() -> u32 {
    3
}

fn ten_seconds() -> DurationText {
    DurationText("10s".to_owned())
}

fn five_seconds() -> DurationText {
    DurationText("5s".to_owned())
}

fn half_a_minute() -> DurationText {
    DurationText("30s".to_owned())
}
