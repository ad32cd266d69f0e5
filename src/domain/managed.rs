//! Services that dockmaster makes itself: what `projects.json` says of them, checked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::plan::Need;
use super::project::{ProjectName, ServiceName};

/// The most instances of a service.
pub const INSTANCES_MAX: u16 = 100;

/// The services of a project that dockmaster makes itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Managed {
    /// By name.
    pub services: BTreeMap<ServiceName, Definition>,
    /// What happens to containers of services that are no longer there.
    pub orphans: Orphans,
    /// What happens to them when dockmaster ends.
    pub on_shutdown: OnShutdown,
    /// A file that says who may pull images from which registry, as Docker's own `config.json` does.
    pub registry_credentials: Option<PathBuf>,
}

/// What happens to containers of services that are no longer configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "orphans")]
pub enum Orphans {
    /// The admins are told of them, with a button that removes them.
    #[default]
    List,
    /// They are removed. Volumes never are.
    Remove,
}

/// What happens to managed services when dockmaster ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "on_shutdown")]
pub enum OnShutdown {
    /// They run on.
    #[default]
    Keep,
    /// They are stopped.
    Stop,
    /// They are stopped and removed. Volumes never are.
    Remove,
}

impl Orphans {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Remove => "remove",
        }
    }
}

impl OnShutdown {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Stop => "stop",
            Self::Remove => "remove",
        }
    }
}

/// One service, as it is to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Definition {
    /// What it runs as.
    pub runs: Runs,
    /// Its environment, as far as it stands in the configuration itself.
    pub environment: BTreeMap<String, String>,
    /// Files with more of it, read when it is made; what stands in the configuration counts more, and a later file more than
    /// an earlier one.
    pub env_file: Vec<PathBuf>,
    /// Files that it may read though they are nobody else's, by name: in a container as `/run/secrets/NAME`. In `NAME_FILE`
    /// stands where.
    pub secrets: BTreeMap<String, PathBuf>,
    /// How it is seen to be well; none leaves it to what the image says.
    pub healthcheck: Option<HealthCheck>,
    /// The services that it needs, and what must be true of them.
    pub depends_on: BTreeMap<ServiceName, Need>,
    /// How many of it there are.
    pub instances: u16,
    /// When it is started again.
    pub restart: RestartRule,
    /// Whether what it prints joins dockmaster's own log.
    pub log: bool,
}

/// What a service runs as.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Runs {
    /// A container.
    Container(ContainerDefinition),
    /// A process of the host.
    Process(ProcessDefinition),
    /// A container, and where there is no engine a process.
    Either(ContainerDefinition, ProcessDefinition),
}

/// What a container is made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct ContainerDefinition {
    /// Its image.
    pub image: String,
    /// What is run instead of the image's own command.
    pub command: Option<Vec<String>>,
    /// What is run instead of the image's own entry point.
    pub entrypoint: Option<Vec<String>>,
    /// As whom, `user` or `user:group`; none means what the image says.
    pub user: Option<String>,
    /// Its published ports.
    pub ports: Vec<PublishedPort>,
    /// What of the host, and which volumes, it has mounted.
    pub volumes: Vec<VolumeMount>,
    /// The network that it is in.
    pub network: Network,
    /// What it may use of the machine.
    pub limits: Limits,
}

/// What a process of the host is made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct ProcessDefinition {
    /// The program, by its absolute path, and its arguments.
    pub command: Vec<String>,
    /// Where it runs; none means production, and without one its own place in the data directory.
    pub directory: Option<PathBuf>,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct PublishedPort {
    /// In the container.
    pub container: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// The address on the host; empty for all.
    pub address: String,
    /// On the host; 0 lets the engine choose.
    pub host: u16,
}

/// Something mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct VolumeMount {
    /// What.
    pub source: MountSource,
    /// Where in the container, an absolute path.
    pub target: String,
    /// Whether it can only be read.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MountSource {
    /// A file or directory of the host.
    Path(PathBuf),
    /// A volume of the engine, by name. It is made where it is not there, and never removed.
    Volume(String),
}

/// The network of a container.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// One of the project's own, where its services find each other by name.
    Own,
    /// The host's.
    Host,
    /// None.
    None,
    /// One that somebody made, by name; `bridge` is the engine's usual one.
    Named(String),
}

/// What a container may use of the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Billionths of a processor.
    pub nano_cpus: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u32>,
    /// Which GPUs.
    pub gpus: Option<Gpus>,
}

/// Which GPUs a container gets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Gpus {
    /// All.
    All,
    /// So many, whichever.
    Count(u32),
    /// These, by their ids.
    Ids(Vec<String>),
}

/// How a service is seen to be well.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct HealthCheck {
    /// What is tried.
    pub check: Check,
    /// How long after one try the next begins.
    pub interval: Duration,
    /// How long a try may take.
    pub timeout: Duration,
    /// How many tries in a row must fail until it is unhealthy.
    pub retries: u32,
    /// How long after the start failures do not count.
    pub start_period: Duration,
}

impl HealthCheck {
    /// A check with the usual times.
    pub fn new(check: Check) -> Self {
        let (interval, timeout) = (Duration::from_secs(10), Duration::from_secs(5));
        Self { check, interval, timeout, retries: 3, start_period: Duration::from_secs(30) }
    }

    /// Whether it is tried from where dockmaster runs, rather than by the engine in the container.
    pub fn is_outside(&self) -> bool {
        matches!(self.check, Check::Http(_) | Check::Tcp(_))
    }
}

/// What a health check tries.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// A program and its arguments, in the container or for a process on the host: well where it ends with 0.
    Command(Vec<String>),
    /// A line for the shell, likewise.
    Shell(String),
    /// An address that must answer with a status below 400.
    Http(String),
    /// A `host:port` that must take a connection.
    Tcp(String),
    /// Nothing, whatever the image says.
    Never,
}

/// When a service is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartRule {
    /// Never.
    No,
    /// However it ended.
    Always,
    /// However it ended, and not after a reboot where it was stopped before.
    UnlessStopped,
    /// Where it ended with another code than 0; at most so often in a row, 0 for ever.
    OnFailure(u32),
}

impl RestartRule {
    /// Whether what ended with this code is started again, where it was so often in a row already.
    pub fn starts_again(self, code: i64, already: u32) -> bool {
        match self {
            Self::No => false,
            Self::Always | Self::UnlessStopped => true,
            Self::OnFailure(most) => code != 0 && (most == 0 || already < most),
        }
    }
}

impl Definition {
    /// What its container is made from, where it can be one.
    pub fn container(&self) -> Option<&ContainerDefinition> {
        match &self.runs {
            Runs::Container(container) | Runs::Either(container, _) => Some(container),
            Runs::Process(_) => None,
        }
    }

    /// What its process is made from, where it can be one.
    pub fn process(&self) -> Option<&ProcessDefinition> {
        match &self.runs {
            Runs::Process(process) | Runs::Either(_, process) => Some(process),
            Runs::Container(_) => None,
        }
    }

    /// The numbers of its instances, from 1.
    pub fn numbers(&self) -> impl Iterator<Item = u16> + use<> {
        1..=self.instances
    }

    /// A hash of everything that it is made from, with the whole environment as it was read. What the labels of its
    /// containers say, by which a change is seen; no value can be read from it.
    pub fn hash(&self, environment: &BTreeMap<String, String>) -> String {
        // Whether it is logged, and how far others must be, makes no other container.
        let made = Self { log: false, depends_on: BTreeMap::new(), instances: 1, ..self.clone() };
        let mut hasher = blake3::Hasher::new();
        // Serialisation of these plain enums and strings cannot fail.
        hasher.update(&serde_json::to_vec(&(&made, environment)).unwrap_or_default());
        hasher.finalize().to_hex().to_string()
    }
}

/// What marks the containers that dockmaster makes.
pub mod label {
    /// That a dockmaster made it.
    pub const MANAGED: &str = "dockmaster.managed";
    /// For which project.
    pub const PROJECT: &str = "dockmaster.project";
    /// For which service of it.
    pub const SERVICE: &str = "dockmaster.service";
    /// Which of the service's instances it is, from 1.
    pub const INSTANCE: &str = "dockmaster.instance";
    /// Which dockmaster's it is: two on one engine never take each other's.
    pub const OWNER: &str = "dockmaster.owner";
    /// The hash of what it was made from.
    pub const DEFINITION: &str = "dockmaster.definition";
    /// The operation that made it.
    pub const OPERATION: &str = "dockmaster.operation";
}

/// The name of a container of a service; `instance` where there are several.
pub fn container_name(project: &ProjectName, service: &ServiceName, instance: Option<u16>) -> String {
    match instance {
        None => format!("dockmaster-{project}-{service}"),
        Some(number) => format!("dockmaster-{project}-{service}-{number}"),
    }
}

/// The number of the instance that a container is.
pub fn instance_of(labels: &BTreeMap<String, String>) -> u16 {
    labels.get(label::INSTANCE).and_then(|number| number.parse().ok()).unwrap_or(1)
}

/// Whether a container is what a service runs, rather than kept aside while another one takes its place: what is aside has
/// another name than it would have.
pub fn is_in_place(name: &str, labels: &BTreeMap<String, String>) -> bool {
    let project = labels.get(label::PROJECT).and_then(|p| ProjectName::new(p).ok());
    let service = labels.get(label::SERVICE).and_then(|s| ServiceName::plain(s).ok());
    let Some((project, service)) = project.zip(service) else { return true };
    let number = instance_of(labels);
    // One that was the only one keeps its name until there are more.
    let alone = number == 1 && name == container_name(&project, &service, None);
    alone || name == container_name(&project, &service, Some(number))
}

/// The name under which a container is kept aside by an operation.
pub fn aside_name(name: &str, operation: i64, running: bool) -> String {
    format!("{name}.{}before-{operation}", if running { "" } else { "idle-" })
}

/// The name that a container had which is kept aside, by which operation it is, and whether it was running.
pub fn was_named(aside: &str) -> Option<(&str, i64, bool)> {
    let (rest, operation) = aside.rsplit_once("before-")?;
    let operation = operation.parse().ok()?;
    match rest.strip_suffix(".idle-") {
        Some(name) => Some((name, operation, false)),
        None => Some((rest.strip_suffix('.')?, operation, true)),
    }
}

/// The name of a project's own network.
pub fn network_name(project: &ProjectName) -> String {
    format!("dockmaster-{project}")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn definition(image: &str) -> Definition {
        let container = ContainerDefinition {
            image: image.to_owned(),
            command: None,
            entrypoint: None,
            user: None,
            ports: Vec::new(),
            volumes: Vec::new(),
            network: Network::Own,
            limits: Limits::default(),
        };
        Definition {
            runs: Runs::Container(container),
            environment: BTreeMap::new(),
            env_file: Vec::new(),
            secrets: BTreeMap::new(),
            healthcheck: None,
            depends_on: BTreeMap::new(),
            instances: 1,
            restart: RestartRule::UnlessStopped,
            log: false,
        }
    }

    #[test]
    fn what_is_aside_is_told_from_what_is_in_its_place() {
        let labels = |service: &str, number: &str| {
            let all = [(label::PROJECT, "tools"), (label::SERVICE, service), (label::INSTANCE, number)];
            all.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
        };
        assert!(is_in_place("dockmaster-tools-web", &labels("web", "1")));
        assert!(is_in_place("dockmaster-tools-web-1", &labels("web", "1")));
        assert!(is_in_place("dockmaster-tools-web-2", &labels("web", "2")));
        assert!(!is_in_place("dockmaster-tools-web", &labels("web", "2")));
        let lunch = "dockmaster-tools-x.before-9";
        assert!(is_in_place(lunch, &labels("x.before-9", "1")), "a service may be called so");
        for running in [true, false] {
            let aside = aside_name(lunch, 12, running);
            assert!(!is_in_place(&aside, &labels("x.before-9", "1")));
            assert_eq!(was_named(&aside), Some((lunch, 12, running)));
        }
        assert_eq!(was_named("dockmaster-tools-web"), None);
    }

    #[test]
    fn what_failed_too_often_in_a_row_is_given_up() {
        let again = |rule: RestartRule, code| (0..4).take_while(|already| rule.starts_again(code, *already)).count();
        assert_eq!([RestartRule::No, RestartRule::Always, RestartRule::UnlessStopped].map(|rule| again(rule, 0)), [0, 4, 4]);
        assert_eq!([0, 2].map(|most| again(RestartRule::OnFailure(most), 1)), [4, 2]);
        assert_eq!(again(RestartRule::OnFailure(2), 0), 0);
    }

    #[test]
    fn only_what_makes_another_container_changes_the_hash() {
        let (one, none) = (definition("a:1"), BTreeMap::new());
        assert_eq!(one.hash(&none), Definition { log: true, instances: 3, ..one.clone() }.hash(&none));
        assert_ne!(one.hash(&none), definition("a:2").hash(&none));
        assert_ne!(one.hash(&none), one.hash(&BTreeMap::from([("MODE".to_owned(), "dev".to_owned())])));
    }
}
