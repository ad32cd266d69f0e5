//! Plans: what an operation will do, computed before anybody confirms. Facts in, plan out.

mod binds;
mod consequences;
mod deploy;
mod lifecycle;
mod links;
mod managed;
mod needs;
mod order;
mod preserve;
mod replicas;
mod resources;
mod stores;
mod tidy;
mod unlisted;
mod variables;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use binds::MissingSource;
pub use deploy::{BuildFacts, DeployFacts, MOUNT_OF, Made, Pull, ServiceFacts, plan_deploy};
pub use lifecycle::{LifecycleFacts, plan_lifecycle};
pub use links::{Link, Links};
pub use managed::{ManagedFacts, ManagedService, plan_managed};
pub use needs::{Declared, Need, Needs};
pub use preserve::{PreserveFacts, Preserved, WrittenMount};
pub use replicas::Replicas;
pub use resources::{NetworkFacts, Resources, VolumeSwap};
pub use stores::is_store;
pub use tidy::{TidyFacts, plan_tidy};
pub use variables::Variables;

use super::manifest::{Changes, TreePath};
use super::orphans::Orphan;
use super::project::{ServiceName, Strategy};
use super::request::{Kind, Request};
use super::text::listing;
use super::untrusted::UntrustedText;

/// How many names a step's label spells out.
const NAMES_SHOWN: usize = 4;

/// What an operation will do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What was asked for.
    pub request: Request,
    /// For a restart, the order in which it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// Whether one call of Compose starts or stops all of it, in the order that the files ask for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_compose: bool,
    /// Its steps in order; none means that there is nothing to do.
    pub steps: Vec<Step>,
    /// What happens to each service, in dependency order.
    pub services: Vec<ServicePlan>,
    /// What happens to the files of production, for a deploy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Changes>,
    /// The release that it brings into production, for a deploy and a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<i64>,
    /// Paths of the workspace that are not copied though nothing excludes them, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_copied: Vec<(TreePath, String)>,
    /// Variables that nothing sets and that the person should know of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unset: Vec<UntrustedText>,
    /// Services that look as if they kept data, and of which projects.json says nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmarked: Vec<ServiceName>,
    /// Paths that production has changed below what services may write to, and how: they are left as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preserved: Vec<(TreePath, String)>,
    /// The paths that services may write to, for going back: what they have written meanwhile is left as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub written: Vec<TreePath>,
    /// The directories that production had not and services mount: the engine makes them. Going back removes those that are empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<TreePath>,
    /// The networks that Compose removes and recreates, as the compose files call them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remade_networks: Vec<String>,
    /// What the person should know before they confirm, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What a confirmation binds, as a hash. Never uptime, restart counts or the state of services that stay.
    pub digest: String,
}

impl Plan {
    /// One that concerns no files.
    pub(crate) fn without_files(
        request: &Request,
        steps: Vec<Step>,
        services: Vec<ServicePlan>,
        warnings: Vec<String>,
        digest: String,
    ) -> Self {
        Self {
            request: request.clone(),
            strategy: None,
            by_compose: false,
            steps,
            services,
            files: None,
            release: None,
            not_copied: Vec::new(),
            unset: Vec::new(),
            unmarked: Vec::new(),
            preserved: Vec::new(),
            written: Vec::new(),
            absent: Vec::new(),
            remade_networks: Vec::new(),
            warnings,
            digest,
        }
    }

    /// What kind of operation it is.
    pub fn kind(&self) -> Kind {
        self.request.kind()
    }

    /// What it is about: `shop`, or `shop/backend` where one service is named.
    pub fn target(&self) -> String {
        match self.request.service() {
            Some(service) => format!("{}/{service}", self.request.project()),
            None => self.request.project().to_string(),
        }
    }

    /// Whether it brings a release into production. Services that dockmaster makes itself are deployed without one, where they
    /// have no files.
    pub fn has_release(&self) -> bool {
        self.release.is_some()
    }

    /// The services whose containers it replaces by others of our own making.
    pub fn replaced(&self) -> Vec<ServiceName> {
        let replaced = |s: &&ServicePlan| s.action == Action::Recreate && s.made_from.is_some();
        self.services.iter().filter(replaced).map(|s| s.service.clone()).collect()
    }

    /// The containers of services that are no longer configured, which it removes.
    pub fn orphans(&self) -> &[Orphan] {
        self.steps.iter().find_map(|step| if let Step::Tidy { orphans, .. } = step { Some(&orphans[..]) } else { None }).unwrap_or_default()
    }

    /// The services of which it makes containers itself, in the place of others or not.
    pub fn made(&self) -> Vec<ServiceName> {
        let made = |s: &&ServicePlan| matches!(s.action, Action::Recreate | Action::Create) && s.made_from.is_some();
        self.services.iter().filter(made).map(|s| s.service.clone()).collect()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether a step of its own watches what comes up.
    pub fn has_verify(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Verify { .. }))
    }

    /// The services that an action other than staying awaits.
    pub fn affected(&self) -> impl Iterator<Item = &ServicePlan> {
        self.services.iter().filter(|s| s.action != Action::Stay)
    }
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "lowercase")]
pub enum Step {
    /// Copy the workspace aside.
    Stage,
    /// Pull images that are not there.
    Pull {
        /// Whose.
        services: Vec<ServiceName>,
    },
    /// Build images from the staged copy, under tags of our own.
    Build {
        /// Whose.
        services: Vec<ServiceName>,
    },
    /// Keep production as it is now as a release of its own.
    Keep {
        /// Its number.
        release: i64,
    },
    /// Bring the release's files into production.
    Promote,
    /// Bring the files that production had before back into it.
    Return {
        /// The release that holds them.
        release: i64,
    },
    /// Remove the containers of services that there were none of before.
    Remove {
        /// Whose.
        services: Vec<ServiceName>,
    },
    /// Make or remake containers.
    Up {
        /// Whose.
        services: Vec<ServiceName>,
    },
    /// Make the networks and volumes of services that are to have no containers, as Compose does.
    Resources {
        /// Whose.
        services: Vec<ServiceName>,
    },
    /// Stop containers.
    Stop {
        /// Whose.
        services: Vec<ServiceName>,
    },
    /// Start containers and wait until they are what the ones that start after them ask for; where no step watches them
    /// later, until they are up.
    Start {
        /// Whose.
        services: Vec<ServiceName>,
    },
    /// Restart containers and wait until they are up.
    Restart {
        /// Whose.
        services: Vec<ServiceName>,
    },
    /// Watch until everything that was touched is healthy, or has been running without a restart for the window.
    Verify {
        /// Whom.
        services: Vec<ServiceName>,
    },
    /// Record the release.
    Record,
    /// Remove containers that no service has any more.
    Tidy {
        /// Which.
        orphans: Vec<Orphan>,
        /// The project's own network, where no service is in it any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network: Option<String>,
    },
}

impl Step {
    /// What it does, in a few words.
    pub fn label(&self) -> String {
        let names = |services: &[ServiceName]| listing(services, NAMES_SHOWN);
        match self {
            Self::Stage => "Copy the workspace aside".to_owned(),
            Self::Pull { services } => format!("Pull {}", names(services)),
            Self::Build { services } => format!("Build {}", names(services)),
            Self::Keep { release } => format!("Keep production as it is, as release {release}"),
            Self::Promote => "Bring the files into production".to_owned(),
            Self::Return { release } => format!("Bring the files of release {release} back"),
            Self::Remove { services } => format!("Remove {}", names(services)),
            Self::Up { services } => format!("Bring up {}", names(services)),
            Self::Resources { services } => format!("Make the networks and volumes of {}", names(services)),
            Self::Stop { services } => format!("Stop {}", names(services)),
            Self::Start { services } => format!("Start {}", names(services)),
            Self::Restart { services } => format!("Restart {}", names(services)),
            Self::Verify { services } => format!("Verify {}", names(services)),
            Self::Record => "Record the release".to_owned(),
            Self::Tidy { .. } => "Remove what is left over".to_owned(),
        }
    }

    /// Whether it ends the container of a service, for a while or for good.
    pub fn ends(&self, service: &ServiceName) -> bool {
        match self {
            Self::Remove { services } | Self::Up { services } | Self::Stop { services } | Self::Restart { services } => {
                services.contains(service)
            }
            _ => false,
        }
    }

    /// Whether it can be ended in the middle with production as it was before.
    pub fn leaves_production_alone(&self) -> bool {
        matches!(self, Self::Stage | Self::Pull { .. } | Self::Build { .. } | Self::Keep { .. })
    }
}

/// What happens to one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePlan {
    /// The service.
    pub service: ServiceName,
    /// What happens to it.
    pub action: Action,
    /// Whether its image is built anew first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub build: bool,
    /// Whether it is recreated for a reason that Compose does not see, so that Compose has to be told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
    /// Why, a few words each. For a service that stays: what is left pending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Whether it keeps data.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stateful: bool,
    /// What is wrong with it already, before anything was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ails: Option<String>,
    /// For a service that dockmaster makes itself, the hash of what it is made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_from: Option<String>,
    /// How many containers there are and are to be, where a compose file says so; none where that is the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Replicas>,
}

impl ServicePlan {
    /// One of which nothing else is known.
    pub fn of(service: ServiceName, action: Action) -> Self {
        Self {
            service,
            action,
            build: false,
            reasons: Vec::new(),
            stateful: false,
            ails: None,
            made_from: None,
            forced: false,
            replicas: None,
        }
    }
}

/// What happens to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Nothing.
    Stay,
    /// Its container is started.
    Start,
    /// Its container is stopped.
    Stop,
    /// Its container is restarted.
    Restart,
    /// Its container is replaced by a new one.
    Recreate,
    /// A container is made for the first time.
    Create,
    /// Containers are made or removed until there are as many as declared; those that are right stay.
    Scale,
    /// Its containers are removed, and no others made.
    Remove,
}

impl Action {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stay => "stays",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Recreate => "recreate",
            Self::Create => "create",
            Self::Scale => "scale",
            Self::Remove => "remove",
        }
    }
}

/// The digest over what a confirmation binds. Lengths keep neighbouring fields apart.
fn digest(request: &Request, steps: &[Step], services: &[ServicePlan], more: impl FnOnce(&mut dyn FnMut(&[u8]))) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut feed = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    // Serialisation of these plain enums and strings cannot fail; should it ever, the empty text makes no two plans equal
    // that differ in their services or files.
    feed(&serde_json::to_vec(request).unwrap_or_default());
    feed(&serde_json::to_vec(steps).unwrap_or_default());
    for service in services.iter().filter(|s| s.action != Action::Stay) {
        feed(service.service.as_str().as_bytes());
        feed(service.action.word().as_bytes());
        feed(service.made_from.as_deref().unwrap_or_default().as_bytes());
        if let Some(Replicas { there, declared }) = service.replicas {
            feed(format!("{there} {declared}").as_bytes());
        }
        if service.forced {
            feed(b"forced");
        }
    }
    more(&mut feed);
    hasher.finalize().to_hex().to_string()
}

/// Services in layers: each layer depends only on the ones before it. A cycle, which Compose refuses, ends in one last
/// layer of its own, so that nothing is lost.
pub fn layers(services: &BTreeSet<ServiceName>, depends_on: impl Fn(&ServiceName) -> BTreeSet<ServiceName>) -> Vec<Vec<ServiceName>> {
    // Through services that do not take part, too: where a needs b and b needs c, a comes after c even if b stays.
    let mut graph = petgraph::graphmap::DiGraphMap::<&str, ()>::new();
    let mut seen: BTreeSet<ServiceName> = BTreeSet::new();
    let mut queue: Vec<ServiceName> = services.iter().cloned().collect();
    let mut edges: Vec<(ServiceName, ServiceName)> = Vec::new();
    while let Some(service) = queue.pop() {
        if seen.insert(service.clone()) {
            for needed in depends_on(&service) {
                edges.push((service.clone(), needed.clone()));
                queue.push(needed);
            }
        }
    }
    for (service, needed) in &edges {
        graph.add_edge(service.as_str(), needed.as_str(), ());
    }
    let after: Vec<(&ServiceName, BTreeSet<&str>)> = services
        .iter()
        .map(|s| {
            let mut reached = BTreeSet::new();
            if graph.contains_node(s.as_str()) {
                let mut search = petgraph::visit::Dfs::new(&graph, s.as_str());
                while let Some(node) = search.next(&graph) {
                    if node != s.as_str() && services.contains(node) {
                        reached.insert(node);
                    }
                }
            }
            (s, reached)
        })
        .collect();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let mut layers = Vec::new();
    while done.len() < services.len() {
        let ready: Vec<&ServiceName> = after
            .iter()
            .filter(|(s, needs)| !done.contains(s.as_str()) && needs.iter().all(|n| done.contains(n)))
            .map(|(s, _)| *s)
            .collect();
        let layer = if ready.is_empty() { services.iter().filter(|s| !done.contains(s.as_str())).collect() } else { ready };
        done.extend(layer.iter().map(|s| s.as_str()));
        layers.push(layer.into_iter().cloned().collect());
    }
    layers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[&str]) -> BTreeSet<ServiceName> {
        all.iter().map(|n| ServiceName::new(n).unwrap()).collect()
    }

    fn shown(services: &[&str], edges: &[(&str, &str)]) -> String {
        let depends = |s: &ServiceName| names(&edges.iter().filter(|(a, _)| *a == s.as_str()).map(|(_, b)| *b).collect::<Vec<_>>());
        let layers = layers(&names(services), depends);
        layers.iter().map(|l| listing(l, 9)).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn layers_follow_dependencies() {
        assert_eq!(shown(&["web", "api", "db"], &[("web", "api"), ("api", "db")]), "db | api | web");
        assert_eq!(shown(&["web", "db"], &[("web", "api"), ("api", "db")]), "db | web", "through one that stays");
        assert_eq!(shown(&["a", "b", "c"], &[("a", "b"), ("b", "a")]), "c | a, b", "a cycle is not lost");
    }
}
