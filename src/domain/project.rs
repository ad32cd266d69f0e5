//! Projects, services and the validated names that everything else is keyed by.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::access::{ChatId, Role, UserId};
use super::managed::Managed;
use super::reload::ReloadPolicy;
use super::space::SpaceLimit;

/// The longest project name: it must fit a button's callback data (64 bytes) with room for a verb.
pub const PROJECT_NAME_MAX: usize = 40;
/// The longest service or container name that the engine accepts in practice.
pub const SERVICE_NAME_MAX: usize = 128;

/// Why a name was refused, in words for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadName(pub &'static str);

/// The name of a project: 1 to 40 of `A-Z a-z 0-9 _ -`, starting with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProjectName(String);

/// The name of a service: 1 to 128 of `A-Z a-z 0-9 _ - .`, as Compose takes it. It may begin with `-`, so it is never handed to a program
/// where an option could stand, and it may be `..`, so that it is no part of a path: where either matters, see [`ServiceName::is_plain`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceName(String);

fn check(name: &str, max: usize, extra: &[char]) -> bool {
    name.len() <= max
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(&c))
}

impl ProjectName {
    /// Checks a name.
    ///
    /// # Errors
    /// Says what a project name may look like.
    pub fn new(name: &str) -> Result<Self, BadName> {
        if check(name, PROJECT_NAME_MAX, &['_', '-']) {
            Ok(Self(name.to_owned()))
        } else {
            Err(BadName("a project name: 1 to 40 of A-Z a-z 0-9 _ -, starting with a letter or digit"))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_service_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.')
}

impl ServiceName {
    /// Checks a name.
    ///
    /// # Errors
    /// Says what a service name may look like.
    pub fn new(name: &str) -> Result<Self, BadName> {
        let is_right = (1..=SERVICE_NAME_MAX).contains(&name.len()) && name.chars().all(is_service_letter);
        if is_right { Ok(Self(name.to_owned())) } else { Err(BadName("a service name: 1 to 128 of A-Z a-z 0-9 _ - .")) }
    }

    /// Checks the name of a container, or of what dockmaster makes itself: the engine wants a letter or digit first.
    ///
    /// # Errors
    /// Says what such a name may look like.
    pub fn plain(name: &str) -> Result<Self, BadName> {
        const EXPECTED: BadName = BadName("a name: 1 to 128 of A-Z a-z 0-9 _ - ., starting with a letter or digit");
        Self::new(name).ok().filter(Self::is_plain).ok_or(EXPECTED)
    }

    /// Whether it begins with a letter or digit: it is no option, and no directory above.
    pub fn is_plain(&self) -> bool {
        self.0.starts_with(|c: char| c.is_ascii_alphanumeric())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! text_name {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(name: String) -> Result<Self, BadName> {
                Self::new(&name)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}
text_name!(ProjectName);
text_name!(ServiceName);

/// One entry of `projects.json`, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Project {
    /// Its name, unique without regard to case.
    pub name: ProjectName,
    /// A line for people.
    pub description: Option<String>,
    /// A disabled project is listed and otherwise left alone.
    pub enabled: bool,
    /// Where its services come from.
    pub source: Source,
    /// The directory with the code as it is being worked on; none means that it cannot be deployed.
    pub workspace: Option<PathBuf>,
    /// The directory that the running containers mount and whose `.env` they use.
    pub production: Option<PathBuf>,
    /// The service whose logs are meant when none is named.
    pub primary: Option<ServiceName>,
    /// Services that keep data: no operation touches them unless they are named.
    pub stateful: BTreeSet<ServiceName>,
    /// Whether projects.json leaves open which services keep data.
    pub stateful_unsaid: bool,
    /// Services that are jobs, beside those that the compose files show to be: they end with code 0 and are done then.
    pub jobs: BTreeSet<ServiceName>,
    /// Files that are neither copied nor deleted, in gitignore syntax, in order.
    pub exclude: Vec<String>,
    /// What is copied below what services may write to, in gitignore syntax, in order; each is relative to the project's root.
    pub copy: Vec<String>,
    /// Roles in this project that replace the general ones, for listed users only.
    pub access: BTreeMap<UserId, Role>,
    /// How a deploy is checked and bounded.
    pub deploy: DeployPolicy,
    /// How a restart goes.
    pub restart: RestartPolicy,
}

impl Project {
    /// One of which nothing is said but where its services come from.
    pub fn new(name: ProjectName, source: Source) -> Self {
        Self {
            name,
            description: None,
            enabled: true,
            source,
            workspace: None,
            production: None,
            primary: None,
            stateful: BTreeSet::new(),
            stateful_unsaid: false,
            jobs: BTreeSet::new(),
            exclude: Vec::new(),
            copy: Vec::new(),
            access: BTreeMap::new(),
            deploy: DeployPolicy::default(),
            restart: RestartPolicy::default(),
        }
    }
}

/// Where a project's services come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// A compose project.
    Compose(ComposeSource),
    /// Containers that somebody else made.
    Containers(Vec<ContainerSelector>),
    /// Services that dockmaster makes itself.
    Services(Managed),
}

/// A compose project: its files, relative to the workspace and to production, and its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ComposeSource {
    /// Relative paths of the compose files, in the order in which they are merged.
    pub files: Vec<String>,
    /// The compose project name (`-p`).
    pub name: String,
}

/// How the containers of a service are found that somebody else made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContainerSelector {
    /// The service; none means that each container found is one of its own name.
    pub service: Option<ServiceName>,
    /// What is tried, in this order: the first that finds anything counts.
    pub ways: Vec<Way>,
}

/// One way to find containers, in the order in which they are tried.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// As a service of a compose project; none for whichever project has it, as long as there is only one.
    Compose {
        /// The compose project.
        project: Option<String>,
        /// The service.
        service: ServiceName,
    },
    /// By a label, `key=value` or `key`.
    Label(String),
    /// By the exact name.
    Name(ServiceName),
    /// By a pattern for the name.
    Pattern(String),
    /// By a port that is published on the host.
    Port(u16),
}

impl ContainerSelector {
    /// A container by its exact name; the service is called the same.
    pub fn named(name: ServiceName) -> Self {
        Self { service: Some(name.clone()), ways: vec![Way::Name(name)] }
    }
}

/// How a deploy is checked and bounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployPolicy {
    /// How long services may take to become healthy.
    pub health_timeout: Duration,
    /// How long a service without a health check must run without a restart to count as up.
    pub stability: Duration,
    /// A deploy that would delete more files than this is refused.
    pub max_delete: usize,
    /// Whether a release that does not come up is undone by itself.
    pub auto_rollback: bool,
    /// How many releases are kept, the current one included.
    pub keep_releases: usize,
    /// An address that must answer with a status below 400 after the services are up.
    pub probe: Option<String>,
}

impl Default for DeployPolicy {
    fn default() -> Self {
        Self {
            health_timeout: Duration::from_secs(120),
            stability: Duration::from_secs(10),
            max_delete: 500,
            auto_rollback: true,
            keep_releases: 5,
            probe: None,
        }
    }
}

/// How a restart goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartPolicy {
    /// The order in which services restart.
    pub strategy: Strategy,
    /// How long a container may take to stop before it is killed; none means what the container itself says.
    pub stop_timeout: Option<Duration>,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self { strategy: Strategy::Dependency, stop_timeout: None }
    }
}

/// The order in which services restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "strategy")]
pub enum Strategy {
    /// All at the same time.
    Immediate,
    /// Stop all at the same time, then start all, what others depend on first. What does not stop is told, and the start is tried all the same.
    Graceful,
    /// One container after another, of several of a service too; the next only when the one before is up again. It ends at the first that does not come up.
    Rolling,
    /// By dependency: what depends on others stops first and starts last, when those are as it asks; the rest side by side.
    Dependency,
}

impl Strategy {
    /// Every strategy, in the order in which help names them.
    pub const ALL: [Self; 4] = [Self::Immediate, Self::Graceful, Self::Rolling, Self::Dependency];

    /// The word that people type.
    pub fn word(self) -> &'static str {
        match self {
            Self::Immediate => "immediate",
            Self::Graceful => "graceful",
            Self::Rolling => "rolling",
            Self::Dependency => "dependency",
        }
    }
}

/// Everything that `projects.json` says, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    /// The project that is meant when none is named.
    pub default_project: Option<ProjectName>,
    /// What each listed user may do.
    pub users: BTreeMap<UserId, Role>,
    /// Group chats in which listed users may act; private chats always count.
    pub chats: BTreeSet<ChatId>,
    /// How long a confirmation waits.
    pub confirm_timeout: Duration,
    /// How the configuration itself is watched.
    pub reload: ReloadPolicy,
    /// When there is little room on a file system.
    pub warn_below: SpaceLimit,
    /// Whether there is an engine.
    pub docker: bool,
    /// The file with what registries are logged in to with, as `docker login` writes it.
    pub registry_credentials: Option<PathBuf>,
    /// The projects by name.
    pub projects: BTreeMap<ProjectName, Project>,
}

impl Configuration {
    /// The enabled projects, by name.
    pub fn enabled(&self) -> impl Iterator<Item = &Project> {
        self.projects.values().filter(|p| p.enabled)
    }

    /// The project that is meant when none is named: the default one, or the only one.
    pub fn implied(&self) -> Option<&Project> {
        match &self.default_project {
            Some(name) => self.projects.get(name).filter(|p| p.enabled),
            None => {
                let mut enabled = self.enabled();
                enabled.next().filter(|_| enabled.next().is_none())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_refuse_paths_and_options() {
        for bad in ["", "../x", "-rf", "a b", "a/b", "ä", ".", "_x", &"x".repeat(41)] {
            assert!(ProjectName::new(bad).is_err(), "{bad:?}");
        }
        for good in ["shop", "Shop-2", "a", "9_lives", &"x".repeat(40)] {
            assert!(ProjectName::new(good).is_ok(), "{good:?}");
        }
        assert!(ServiceName::new("po-redis-1.x").is_ok());
        for odd in ["_w", "-x", "--help", "web.1", "Up", ".", "..", "9"] {
            assert!(ServiceName::new(odd).is_ok(), "{odd} is a service for Compose");
        }
        for bad in ["", "a/b", "a b", "ä", "a:b", &"x".repeat(129)] {
            assert!(ServiceName::new(bad).is_err(), "{bad:?}");
        }
        assert!(["--help", "_w", "..", ""].iter().all(|bad| ServiceName::plain(bad).is_err()) && ServiceName::plain("web").is_ok());
    }
}
