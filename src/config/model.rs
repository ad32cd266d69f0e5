//! `projects.json` as it is written. These types are the source of the JSON Schema: their words are what an editor
//! shows. The readers beside this module check far more and say it better; tests hold the two together.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::access::Role;
use crate::domain::project::Strategy;

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
    #[schemars(with = "ProjectKey")]
    pub default_project: Option<ProjectKey>,
    /// Who may act, and where.
    pub access: Access,
    /// How long a plan waits for its confirmation, from 5s to 1h.
    #[serde(default = "one_minute")]
    pub confirm_timeout: DurationText,
    /// The projects by name. Names that differ only by case are refused, and so is `all`.
    #[schemars(extend("maxProperties" = 200))]
    pub projects: BTreeMap<ProjectKey, Project>,
}

/// Who may act, and where.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// What each person may do, by the numeric Telegram id that `/whoami` tells. At least one must be an admin.
    #[schemars(extend("minProperties" = 1))]
    pub users: BTreeMap<UserKey, Role>,
    /// Group chats in which these people may act, by id. A private chat with the bot always counts.
    #[serde(default)]
    #[schemars(with = "Vec<ChatNumber>", extend("maxItems" = 200, "uniqueItems" = true))]
    pub chats: Vec<ChatNumber>,
}

/// One project: a compose project, or containers that somebody else made.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["compose", "production"] }, { "required": ["containers"] }]))]
pub struct Project {
    /// A line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub description: Option<String>,
    /// A disabled project is listed and otherwise left alone.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The directory with the code as it is being worked on. Without it the project cannot be deployed.
    #[serde(default)]
    #[schemars(with = "Directory")]
    pub workspace: Option<Directory>,
    /// The directory that the running containers mount and whose `.env` they use. No other project's may overlap it.
    #[serde(default)]
    #[schemars(with = "Directory")]
    pub production: Option<Directory>,
    /// Makes this a compose project.
    #[serde(default)]
    #[schemars(with = "Compose")]
    pub compose: Option<Compose>,
    /// Makes this a set of containers that are named, or found by a label.
    #[serde(default)]
    #[schemars(with = "Vec<Container>", extend("minItems" = 1, "maxItems" = 200, "uniqueItems" = true))]
    pub containers: Option<Vec<Container>>,
    /// The service whose logs are meant when none is named.
    #[serde(default)]
    #[schemars(with = "ServiceText")]
    pub primary: Option<ServiceText>,
    /// Services that keep data, such as databases: no operation touches them unless they are named.
    #[serde(default)]
    #[schemars(extend("maxItems" = 200, "uniqueItems" = true))]
    pub stateful: Vec<ServiceText>,
    /// Files that a deploy neither copies nor deletes, in gitignore syntax, `!` included.
    #[serde(default)]
    #[schemars(extend("maxItems" = 200, "examples" = [["*.log", "uploads/", "!uploads/.keep"]]))]
    pub exclude: Vec<String>,
    /// Roles that replace the general ones in this project, for users of the general list.
    #[serde(default)]
    pub access: BTreeMap<UserKey, Role>,
    /// How a deploy is checked and bounded.
    #[serde(default)]
    #[schemars(with = "Deploy")]
    pub deploy: Option<Deploy>,
    /// How a restart goes.
    #[serde(default)]
    #[schemars(with = "Restart")]
    pub restart: Option<Restart>,
}

/// A compose project.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compose {
    /// The compose files, relative to workspace and production, in the order in which they are merged.
    #[serde(default = "compose_files")]
    #[schemars(extend("minItems" = 1, "maxItems" = 200, "uniqueItems" = true))]
    pub files: Vec<String>,
    /// The compose project name (`docker compose -p`); the project's own name in small letters unless given.
    #[serde(default)]
    #[schemars(with = "ComposeName")]
    pub name: Option<ComposeName>,
}

/// A container by its exact name, or all that carry a label.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Container {
    /// The exact name of a container.
    Name(ServiceText),
    /// Containers found by a label.
    Label(Label),
}

/// Containers found by a label.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The label, as `key=value` or `key`.
    #[schemars(regex(pattern = r"^[^=\s]+(=.*)?$"))]
    pub label: String,
}

/// How a deploy is checked and bounded.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deploy {
    /// How long services may take to become healthy, from 1s to 1h.
    #[serde(default = "two_minutes")]
    pub health_timeout: DurationText,
    /// How long a service without a health check must run without a restart to count as up, at most 10m.
    #[serde(default = "ten_seconds")]
    pub stability: DurationText,
    /// A deploy that would delete more files than this is refused.
    #[serde(default = "five_hundred")]
    #[schemars(range(max = 1_000_000))]
    pub max_delete: u32,
    /// Whether a release that does not come up is undone by itself.
    #[serde(default = "yes")]
    pub auto_rollback: bool,
    /// How many releases are kept, the current one included: one is needed to go back to.
    #[serde(default = "five")]
    #[schemars(range(min = 2, max = 100))]
    pub keep_releases: u32,
    /// An address that must answer with a status below 400 once the services are up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("pattern" = "^https?://[^/?#@\\s]+", "examples" = ["http://127.0.0.1:8001/health"]))]
    pub probe: Option<String>,
}

/// How a restart goes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// The order in which services restart.
    #[serde(default = "by_dependency")]
    pub strategy: Strategy,
    /// How long a container may take to stop before it is killed, at most 10m. Unless told, each container's own time counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DurationText")]
    pub stop_timeout: Option<DurationText>,
}

/// A duration, such as `10s`, `2m` or `1h30m`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DurationText(#[schemars(length(min = 1))] pub String);

/// A project's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
pub struct ProjectKey(#[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$"))] pub String);

/// A Telegram user's numeric id, in quotes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
pub struct UserKey(#[schemars(regex(pattern = r"^[1-9][0-9]{0,15}$"))] pub String);

/// A group's numeric id, which is negative.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ChatNumber(#[schemars(range(min = -4_503_599_627_370_495_i64, max = -1))] pub i64);

/// The absolute path of a directory.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Directory(#[schemars(regex(pattern = r"^/+[^/]"))] pub String);

/// The name of a service or a container.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ServiceText(#[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$"))] pub String);

/// A compose project name.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ComposeName(#[schemars(regex(pattern = r"^[a-z0-9][a-z0-9_-]{0,127}$"))] pub String);

fn one_minute() -> DurationText {
    DurationText("60s".to_owned())
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

fn by_dependency() -> Strategy {
    Strategy::Dependency
}

fn compose_files() -> Vec<String> {
    vec!["docker-compose.yml".to_owned()]
}
