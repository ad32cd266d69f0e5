//! `projects.json` as it is written. These types are the source of the JSON Schema: their words are what an editor
//! shows. The readers beside this module check far more and say it better; tests hold the two together.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::access::Role;
use crate::domain::managed::{OnShutdown, Orphans};
use crate::domain::project::Strategy;
use crate::domain::reload::{Trigger, Watching};

mod services;

pub use services::*;

/// The configuration of dockmaster: who may act, and on which projects.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "projects.json")]
pub struct File {
    /// The address of this schema, for editors.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("examples" = ["docs/projects.schema.json"]))]
    pub schema: Option<String>,
    /// The project that is meant when a command names none. Without it, the only project is meant, if there is one only.
    #[serde(default)]
    #[schemars(with = "ProjectKey", extend("examples" = ["shop"]))]
    pub default_project: Option<ProjectKey>,
    /// Who may act, and where.
    pub access: Access,
    /// How long a plan waits for its confirmation, from 5s to 1h. After that it changes nothing any more, and is asked for anew.
    #[serde(default = "one_minute")]
    #[schemars(extend("examples" = ["2m"]))]
    pub confirm_timeout: DurationText,
    /// Files with projects of their own, as seen from this file's directory: names, and patterns for the names of files in one
    /// directory. Each is an object with `projects`. A change in any of them reloads all as one.
    #[serde(default)]
    #[schemars(extend("maxItems" = 20, "uniqueItems" = true, "examples" = [["projects.d/*.json"]]))]
    pub include: Vec<String>,
    /// How a change of the configuration itself is noticed.
    #[serde(default)]
    #[schemars(with = "Reload", extend("examples" = [{ "watch": "poll", "poll": "2s" }]))]
    pub reload: Option<Reload>,
    /// When there is little room where data is.
    #[serde(default)]
    #[schemars(with = "Volumes", extend("examples" = [{ "warn_below": "2GB" }]))]
    pub volumes: Option<Volumes>,
    /// Whether there is an engine. With `false`, only services that can be processes of the host are possible. Takes effect when
    /// dockmaster is started again.
    #[serde(default = "yes")]
    #[schemars(extend("examples" = [false]))]
    pub docker: bool,
    /// A file with what registries are logged in to with, as `docker login` writes it (`auths` in its `config.json`).
    #[serde(default)]
    #[schemars(with = "FilePath", extend("examples" = ["/etc/dockmaster/registry.json"]))]
    pub registry_credentials: Option<FilePath>,
    /// The projects by name, the one that people type in the chat. Names that differ only by case are refused, and so is `all`.
    #[schemars(extend("maxProperties" = 1_000))]
    pub projects: BTreeMap<ProjectKey, Project>,
}

/// How a change of the configuration itself is noticed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reload {
    /// By what the file system reports (`events`), by looking every so often (`poll`), or only when somebody asks (`off`).
    /// `auto` looks in containers, where events of mounted directories may not arrive, and takes events elsewhere.
    #[serde(default = "automatic")]
    #[schemars(extend("examples" = ["poll"]))]
    pub watch: Watching,
    /// How often it is looked, from 100ms to 1m.
    #[serde(default = "one_second")]
    #[schemars(extend("examples" = ["2s"]))]
    pub poll: DurationText,
    /// For how long nothing may have changed before a change is read, at most 10s: what is written in several steps is read once.
    #[serde(default = "moment")]
    #[schemars(extend("examples" = ["500ms"]))]
    pub debounce: DurationText,
    /// After what a change is undone by itself: when the compose files of a project that it added or changed cannot be read, or
    /// when a part of dockmaster cannot take it over. The version before is pinned then; no file is written.
    #[serde(default)]
    #[schemars(extend("uniqueItems" = true, "examples" = [["unreadable_project"]]))]
    pub rollback_on: Vec<Trigger>,
}

/// When there is little room where data is: in dockmaster's data directory, in production, and in every volume and directory of
/// the host that a container of a project writes to.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Volumes {
    /// Admins are told once when less than this is free on a file system, and again only after there was a tenth more than this.
    /// A size (`500MB`, `2GB`), a part of the file system (`5%`), or `off`. `auto` means 1 GB, and a tenth of a file system that
    /// has less than 10 GB.
    #[serde(default = "usual_room")]
    #[schemars(extend("examples" = ["2GB"]))]
    pub warn_below: RoomText,
}

/// Who may act, and where.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// What each person may do, by the numeric Telegram id that `/whoami` tells. At least one must be an admin.
    #[schemars(extend("minProperties" = 1, "examples" = [{ "111111111": "admin", "222222222": "operator" }]))]
    pub users: BTreeMap<UserKey, Role>,
    /// Group chats in which these people may act, by the id that `/whoami` tells there. Being in such a chat gives nobody a
    /// role. A private chat with the bot always counts.
    #[serde(default)]
    #[schemars(with = "Vec<ChatNumber>", extend("maxItems" = 200, "uniqueItems" = true, "examples" = [[-1_001_234_567_890_i64]]))]
    pub chats: Vec<ChatNumber>,
}

/// One project: a compose project, containers that somebody else made, or services that dockmaster makes itself.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "oneOf" = [{ "required": ["compose", "production"] }, { "required": ["containers"] }, { "required": ["services"] }],
    "dependentRequired" = { "workspace": ["production"] }
))]
pub struct Project {
    /// A line for people: `/docker_status` shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("examples" = ["Web shop"]))]
    pub description: Option<String>,
    /// A disabled project is left alone: no command works on it, and its directories need not be there.
    #[serde(default = "yes")]
    #[schemars(extend("examples" = [false]))]
    pub enabled: bool,
    /// The directory with the code as it is being worked on: a deploy copies what is in it. It is only read. Without it no
    /// files are deployed; only services that dockmaster makes itself can be deployed then: what is configured otherwise is made
    /// anew.
    #[serde(default)]
    #[schemars(with = "Directory", extend("examples" = ["/workspace/shop"]))]
    pub workspace: Option<Directory>,
    /// The directory that the running containers mount and whose `.env` they use. A deploy writes into it. No other project's
    /// may overlap it. A compose project must have one, and whatever has a workspace.
    #[serde(default)]
    #[schemars(with = "Directory", extend("examples" = ["/srv/shop"]))]
    pub production: Option<Directory>,
    /// Makes this a compose project; `{}` where all is usual.
    #[serde(default)]
    #[schemars(with = "Compose", extend("examples" = [{ "files": ["docker-compose.yml"], "name": "shop" }]))]
    pub compose: Option<Compose>,
    /// Makes this a set of containers that somebody else made: each entry is a container's exact name, or says how they are
    /// found.
    #[serde(default)]
    #[schemars(
        with = "Vec<Container>",
        extend("minItems" = 1, "maxItems" = 200, "uniqueItems" = true, "examples" = [["nginx", { "label": "role=certbot" }]])
    )]
    pub containers: Option<Vec<Container>>,
    /// Makes this a set of services that dockmaster makes itself, by name.
    #[serde(default)]
    #[schemars(
        with = "BTreeMap<ServiceText, Service>",
        extend("minProperties" = 1, "maxProperties" = 200, "examples" = [{ "mail": { "image": "axllent/mailpit:v1.20" } }])
    )]
    pub services: Option<BTreeMap<ServiceText, Service>>,
    /// What happens to containers of managed services that are no longer configured: looked for when dockmaster starts, when
    /// projects are changed here, and after operations. A project that is no longer here itself is always asked about.
    #[serde(default)]
    #[schemars(extend("examples" = ["remove"]))]
    pub orphans: Orphans,
    /// What happens to managed services when dockmaster ends. That is so for each clean end, a `systemctl restart` or a new program
    /// put in place included; not where dockmaster restarts or deploys itself, or moves its data, because another one goes on with
    /// them. Nothing starts again by itself: `/docker_start` does.
    #[serde(default)]
    #[schemars(extend("examples" = ["stop"]))]
    pub on_shutdown: OnShutdown,
    /// The service whose logs are meant when none is named.
    #[serde(default)]
    #[schemars(with = "ServiceText", extend("examples" = ["backend"]))]
    pub primary: Option<ServiceText>,
    /// Services that keep data, such as databases: no operation touches them unless they are named. The first deploy makes
    /// them all the same, where they have no container yet.
    #[serde(default)]
    #[schemars(extend("maxItems" = 200, "uniqueItems" = true, "examples" = [["postgres"]]))]
    pub stateful: Vec<ServiceText>,
    /// Services that are jobs: with exit code 0 they are done, and a deploy runs them once where it makes or remakes them. Besides
    /// these, a job is what another service waits for with `service_completed_successfully`, and what has `restart: "no"` or
    /// `on-failure` in its compose file.
    #[serde(default)]
    #[schemars(extend("maxItems" = 200, "uniqueItems" = true, "examples" = [["migrate"]]))]
    pub jobs: Vec<ServiceText>,
    /// Files that a deploy neither copies nor deletes, in gitignore syntax, `!` included. They come on top of the usual ones
    /// (`.git`, `.env`, `node_modules/`, `__pycache__/` and the like) and before the workspace's `.dockmasterignore`.
    #[serde(default)]
    #[schemars(extend("maxItems" = 200, "examples" = [["*.log", "uploads/", "!uploads/.keep"]]))]
    pub exclude: Vec<String>,
    /// Files that a deploy copies although a service may write there, in gitignore syntax, `!` included, each relative to the
    /// project's root. Below what services mount writable a deploy copies single files, what git tracks, and this. What a stateful
    /// service mounts writable is never copied, and what production has changed is only replaced where you name it (`overwrite=`).
    #[serde(default)]
    #[schemars(extend("maxItems" = 200, "examples" = [["conf.d/", "themes/**/*.css"]]))]
    pub copy: Vec<String>,
    /// Roles that replace the general ones in this project, for users of the general list; others may do nothing.
    #[serde(default)]
    #[schemars(extend("examples" = [{ "222222222": "admin" }]))]
    pub access: BTreeMap<UserKey, Role>,
    /// How a deploy is checked and bounded.
    #[serde(default)]
    #[schemars(with = "Deploy", extend("examples" = [{ "keep_releases": 10 }]))]
    pub deploy: Option<Deploy>,
    /// How a restart goes.
    #[serde(default)]
    #[schemars(with = "Restart", extend("examples" = [{ "strategy": "rolling" }]))]
    pub restart: Option<Restart>,
}

/// A compose project.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compose {
    /// The compose files, relative to workspace and production, in the order in which they are merged. Unless given: the one that Compose
    /// finds by itself (`compose.yaml`, `compose.yml`, `docker-compose.yml` or `docker-compose.yaml`), without an override file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        with = "Vec<String>",
        extend("minItems" = 1, "maxItems" = 200, "uniqueItems" = true, "examples" = [["docker-compose.yml", "docker-compose.prod.yml"]])
    )]
    pub files: Option<Vec<String>>,
    /// The compose project name (`docker compose -p`). Unless given: `COMPOSE_PROJECT_NAME` of production's `.env`, else the compose files'
    /// own `name`, else the project's own name in small letters.
    #[serde(default)]
    #[schemars(with = "ComposeName", extend("examples" = ["shop"]))]
    pub name: Option<ComposeName>,
}

/// A container by its exact name, or how containers are found.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Container {
    /// The exact name of a container.
    Name(ServiceText),
    /// How they are found.
    Found(Selector),
}

/// How containers are found. Where there are several ways, they are tried in the order `compose`, `label`, `name`, `pattern`,
/// `port`, and the first that finds anything counts. With `service` alone all are tried in which a name can be looked for: the
/// compose service, the label `dockmaster.service`, the name, and names that have it as a word of its own.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct Selector {
    /// What the service is called, of which all that are found are replicas. Unless given, each has its own name.
    #[serde(default)]
    #[schemars(with = "ServiceText", extend("examples" = ["web"]))]
    pub service: Option<ServiceText>,
    /// By compose service, `project/service`, or `service` in whichever compose project has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        with = "String",
        extend("pattern" = "^([a-z0-9][a-z0-9_-]{0,127}/)?[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$", "examples" = ["shop/web"])
    )]
    pub compose: Option<String>,
    /// By a label, as `key=value` or `key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("pattern" = "^[^=\\s]+(=.*)?$", "examples" = ["role=certbot"]))]
    pub label: Option<String>,
    /// By the exact name.
    #[serde(default)]
    #[schemars(with = "ServiceText", extend("examples" = ["nginx"]))]
    pub name: Option<ServiceText>,
    /// By a pattern for the name, with `*`, `?`, `[a-z]` and `{a,b}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("minLength" = 1, "maxLength" = 200, "examples" = ["web-*"]))]
    pub pattern: Option<String>,
    /// By a port that is published on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u16", range(min = 1, max = 65_535), extend("examples" = [8_080]))]
    pub port: Option<u16>,
}

/// How a deploy is checked and bounded.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deploy {
    /// How long services may take to become healthy, from 1s to 1h.
    #[serde(default = "two_minutes")]
    #[schemars(extend("examples" = ["5m"]))]
    pub health_timeout: DurationText,
    /// How long a service without a health check must run without a restart to count as up, at most 10m.
    #[serde(default = "ten_seconds")]
    #[schemars(extend("examples" = ["30s"]))]
    pub stability: DurationText,
    /// A deploy that would delete more files than this is refused: most likely the workspace is not the right one.
    #[serde(default = "five_hundred")]
    #[schemars(range(max = 1_000_000), extend("examples" = [2_000]))]
    pub max_delete: u32,
    /// Whether a deploy that fails after production was touched is undone by itself. Otherwise production is left as it is,
    /// and `/docker_rollback` goes back.
    #[serde(default = "yes")]
    #[schemars(extend("examples" = [false]))]
    pub auto_rollback: bool,
    /// How many releases are kept, the current one included: one is needed to go back to.
    #[serde(default = "five")]
    #[schemars(range(min = 2, max = 100), extend("examples" = [10]))]
    pub keep_releases: u32,
    /// An address that must answer with a status below 400 once the services are up. It is asked from where dockmaster runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("pattern" = "^https?://[^/?#@\\s]+", "examples" = ["http://127.0.0.1:8001/health"]))]
    pub probe: Option<String>,
}

/// How a restart goes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// The order in which services restart, where the command names none.
    #[serde(default = "by_dependency")]
    #[schemars(extend("examples" = ["rolling"]))]
    pub strategy: Strategy,
    /// How long a container may take to stop before it is killed, at most 10m. Unless told, each container's own time counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DurationText", extend("examples" = ["30s"]))]
    pub stop_timeout: Option<DurationText>,
}

/// A duration, such as `10s`, `2m` or `1h30m`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "duration")]
pub struct DurationText(#[schemars(length(min = 1))] pub String);

/// An amount of room: a size such as `500MB` or `2GB` (in units of 1,024), a part such as `5%`, `auto` or `off`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "room")]
pub struct RoomText(#[schemars(regex(pattern = r"^(auto|off|[1-9][0-9]?%|[0-9]{1,6} *[MmGgTt][Bb])$"))] pub String);

/// A project's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[schemars(title = "project name")]
pub struct ProjectKey(#[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$"))] pub String);

/// A Telegram user's numeric id, in quotes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
pub struct UserKey(#[schemars(regex(pattern = r"^[1-9][0-9]{0,15}$"))] pub String);

/// A group's numeric id, which is negative.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(title = "chat id")]
pub struct ChatNumber(#[schemars(range(min = -4_503_599_627_370_495_i64, max = -1))] pub i64);

/// The absolute path of a directory.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(title = "directory")]
pub struct Directory(#[schemars(regex(pattern = r"^/+[^/]"))] pub String);

/// The name of a service or a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[schemars(title = "service name")]
pub struct ServiceText(#[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$"))] pub String);

/// A compose project name.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(title = "compose project name")]
pub struct ComposeName(#[schemars(regex(pattern = r"^[a-z0-9][a-z0-9_-]{0,127}$"))] pub String);

fn one_minute() -> DurationText {
    DurationText("60s".to_owned())
}

fn automatic() -> Watching {
    Watching::Auto
}

fn one_second() -> DurationText {
    DurationText("1s".to_owned())
}

fn moment() -> DurationText {
    DurationText("300ms".to_owned())
}

fn usual_room() -> RoomText {
    RoomText("auto".to_owned())
}

fn two_minutes() -> DurationText {
    DurationText("120s".to_owned())
}

fn ten_seconds() -> DurationText {
    DurationText("10s".to_owned())
}

fn five_hundred() -> u32 {
    500
}

fn five() -> u32 {
    5
}

fn yes() -> bool {
    true
}

fn no() -> bool {
    false
}

fn by_dependency() -> Strategy {
    Strategy::Dependency
}
