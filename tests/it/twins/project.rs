//! Random compose projects, and what somebody changes in them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::json;

use crate::support::fixture::check;

/// Numbers that look random, and are the same for the same round.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn of(round: u64) -> Self {
        Self(round)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        // SplitMix64: good enough for a seed that only counts up.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % end.max(1) as u64) as usize
    }

    /// True once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len()))
    }
}

const NAMES: [&str; 9] = ["web", "api", "cache", "worker", "queue", "proxy", "tool", "feed", "mail"];
const NETWORKS: [&str; 2] = ["front", "back"];
const VOLUMES: [&str; 2] = ["data", "files"];
pub(super) const CONFIG: &str = "settings";
const PROFILE: &str = "extra";
/// How many dependencies, networks and the like are tried on a new service.
const TRIES: usize = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Serves,
    /// With a health check.
    Checked,
    /// Writes a line and ends.
    Job,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shares {
    Network,
    Memory,
    Processes,
    Volumes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) what: What,
    value: usize,
    tag: usize,
    retries: usize,
    replicas: Option<usize>,
    /// On which services, and whether with `restart: true`.
    needs: BTreeMap<String, bool>,
    networks: BTreeSet<&'static str>,
    volumes: BTreeSet<&'static str>,
    config: bool,
    profile: bool,
    shares: Option<(Shares, String)>,
    /// A job that ends with code 3.
    pub(super) fails: bool,
}

impl Service {
    pub(super) fn declared(&self) -> usize {
        self.replicas.unwrap_or(1)
    }

    /// The services that come before it.
    pub(super) fn leaders(&self) -> impl Iterator<Item = &String> {
        self.needs.keys().chain(self.shares.as_ref().map(|(_, owner)| owner))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Project {
    /// Each depends only on those before it.
    pub(super) services: Vec<Service>,
    labels: BTreeMap<&'static str, usize>,
    content: usize,
    /// Whether the one profile is active, as production's `.env` says.
    pub(super) active: bool,
}

impl Project {
    pub(super) fn random(dice: &mut Dice) -> Self {
        let mut project = Self { services: Vec::new(), labels: BTreeMap::new(), content: 1, active: dice.once_in(2) };
        for _ in 0..2 + dice.below(4) {
            project.add(dice);
        }
        // No project is only jobs or only what is behind a profile: there would be nothing to keep up.
        project.services[0].what = if dice.once_in(2) { What::Serves } else { What::Checked };
        project.services[0].profile = false;
        project
    }

    /// The services that are to have containers.
    pub(super) fn listed(&self) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(|service| !service.profile || self.active)
    }

    pub(super) fn find(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }

    /// Whether another service needs it or has something of it.
    fn is_needed(&self, name: &str) -> bool {
        self.services.iter().any(|s| s.needs.contains_key(name)) || self.is_owner(name)
    }

    fn is_owner(&self, name: &str) -> bool {
        self.services.iter().any(|s| s.shares.as_ref().is_some_and(|(_, owner)| owner == name))
    }

    fn add(&mut self, dice: &mut Dice) -> bool {
        let free: Vec<&str> = NAMES.into_iter().filter(|name| self.find(name).is_none()).collect();
        let Some(name) = dice.one_of(&free) else { return false };
        let what = [What::Serves, What::Serves, What::Checked, What::Job][dice.below(4)];
        self.services.push(Service {
            name: (*name).to_owned(),
            what,
            value: 1,
            tag: 1,
            retries: 3,
            replicas: None,
            needs: BTreeMap::new(),
            networks: BTreeSet::new(),
            volumes: BTreeSet::new(),
            config: false,
            profile: false,
            shares: None,
            fails: false,
        });
        let at = self.services.len() - 1;
        for (times, change) in [(2, Change::Need), (3, Change::Share), (3, Change::Network), (3, Change::Volume), (4, Change::Replicas)] {
            if dice.once_in(times) {
                self.apply(change, at, dice);
            }
        }
        for (times, change) in [(4, Change::Profile), (4, Change::Config), (4, Change::Need)] {
            if dice.once_in(times) {
                self.apply(change, at, dice);
            }
        }
        true
    }

    /// Changes one to three things at random, and says which.
    pub(super) fn mutate(&mut self, dice: &mut Dice) -> Vec<String> {
        let (wanted, mut done, first) = (1 + dice.below(3), Vec::new(), self.clone());
        for _ in 0..TRIES {
            if done.len() >= wanted && *self != first {
                break;
            }
            let (change, at) = (CHANGES[dice.below(CHANGES.len())], dice.below(self.services.len()));
            let name = self.services[at].name.clone();
            let before = self.clone();
            // A change that no file shows is none.
            let written = |project: &Self| (project.file("", Path::new("")), project.variables());
            let changes = |after: &Self| written(after) != written(&before);
            if self.apply(change, at, dice) && changes(self) && self.listed().any(|s| s.what != What::Job && s.declared() > 0) {
                done.push(format!("{change:?} {name}"));
            } else {
                *self = before;
            }
        }
        done
    }

    /// Makes one change of a service; false where that is nothing that it can have.
    fn apply(&mut self, change: Change, at: usize, dice: &mut Dice) -> bool {
        let (is_needed, is_owner) = (self.is_needed(&self.services[at].name), self.is_owner(&self.services[at].name));
        let before: Vec<(String, What, bool, bool)> =
            self.services[..at].iter().map(|s| (s.name.clone(), s.what, s.profile, s.replicas.is_some())).collect();
        let has_profiles = self.services.iter().any(|s| s.profile);
        let service = &mut self.services[at];
        match change {
            Change::Value => service.value += 1,
            Change::Tag => service.tag = 3 - service.tag,
            Change::Replicas if !is_owner && service.what != What::Job => {
                service.replicas = [None, Some(2), Some(3), Some(0)][dice.below(4)]
            }
            Change::Need => {
                // What is not always there cannot be needed.
                let able: Vec<&String> = before.iter().filter(|(_, _, profile, _)| !profile).map(|(name, ..)| name).collect();
                let Some(name) = dice.one_of(&able) else { return false };
                service.needs.insert((*name).clone(), dice.once_in(5));
            }
            Change::NeedNot => return service.needs.pop_first().is_some(),
            Change::Share if service.shares.is_some() => service.shares = None,
            Change::Share if service.what != What::Job => {
                let able = before.iter().filter(|(_, what, profile, replicas)| *what != What::Job && !profile && !replicas);
                let able: Vec<&String> = able.map(|(name, ..)| name).collect();
                let Some(owner) = dice.one_of(&able) else { return false };
                let what = [Shares::Network, Shares::Memory, Shares::Processes, Shares::Volumes][dice.below(4)];
                service.shares = Some((what, (*owner).clone()));
            }
            Change::Network => {
                let network = NETWORKS[dice.below(2)];
                if !service.networks.remove(network) {
                    service.networks.insert(network);
                }
            }
            Change::Volume => {
                let volume = VOLUMES[dice.below(2)];
                if !service.volumes.remove(volume) {
                    service.volumes.insert(volume);
                }
            }
            Change::NetworkLabel => *self.labels.entry(NETWORKS[dice.below(2)]).or_default() += 1,
            Change::VolumeLabel => *self.labels.entry(VOLUMES[dice.below(2)]).or_default() += 1,
            Change::Config => service.config = !service.config,
            Change::Content => self.content += 1,
            // Compose refuses what needs something that is not there.
            Change::Profile if !is_needed => service.profile = !service.profile,
            Change::Active if has_profiles => self.active = !self.active,
            Change::Check if service.what == What::Checked => service.retries += 1,
            Change::Fail if service.what == What::Job => service.fails = true,
            Change::Add => return self.add(dice),
            Change::Remove if self.services.len() > 2 => {
                let gone = self.services.remove(at).name;
                for service in &mut self.services {
                    service.needs.remove(&gone);
                    service.shares.take_if(|(_, owner)| *owner == gone);
                }
            }
            _ => return false,
        }
        true
    }

    /// The same with every job good.
    pub(super) fn repaired(&self) -> Self {
        let mut all = self.clone();
        all.services.iter_mut().for_each(|service| service.fails = false);
        all
    }

    pub(super) fn fails(&self) -> bool {
        self.listed().any(|service| service.fails)
    }

    /// Production's `.env`.
    pub(super) fn variables(&self) -> String {
        if self.active { format!("COMPOSE_PROFILES={PROFILE}\n") } else { String::new() }
    }

    /// The compose file, with images of this name and jobs that write into this directory.
    pub(super) fn file(&self, images: &str, log: &Path) -> String {
        let mut text = String::from("services:\n");
        for service in &self.services {
            text += &format!("  {}:\n", service.name);
            for line in self.lines(service, images, log) {
                text += &format!("    {line}\n");
            }
        }
        let labelled = |names: &[&str], used: &dyn Fn(&str) -> bool| -> String {
            let each = names.iter().filter(|name| used(name));
            each.map(|name| format!("  {name}: {{ labels: {{ v: \"{}\" }} }}\n", self.labels.get(name).unwrap_or(&0))).collect()
        };
        let networks = labelled(&NETWORKS, &|name| self.services.iter().any(|s| s.networks.contains(name)));
        let volumes = labelled(&VOLUMES, &|name| self.services.iter().any(|s| s.volumes.contains(name)));
        for (key, lines) in [("networks", networks), ("volumes", volumes)].iter().filter(|(_, lines)| !lines.is_empty()) {
            text += &format!("{key}:\n{lines}");
        }
        if self.services.iter().any(|s| s.config) {
            text += &format!("configs:\n  {CONFIG}: {{ content: \"number {}\" }}\n", self.content);
        }
        text
    }

    fn lines(&self, service: &Service, images: &str, log: &Path) -> Vec<String> {
        let script = match service.what {
            What::Job => format!("echo run >> /log/{}; exit {}", service.name, if service.fails { 3 } else { 0 }),
            // Many of these run at once, so that they do nothing.
            _ => "trap 'exit 0' TERM; touch /tmp/well; sleep 1000000 & wait".to_owned(),
        };
        let mut lines = vec![
            format!("image: {images}:{}", service.tag),
            "init: true".to_owned(),
            "stop_grace_period: 1s".to_owned(),
            format!("command: [\"sh\", \"-c\", {}]", json!(script)),
            format!("environment: {{ V: \"{}\" }}", service.value),
        ];
        let mut volumes: Vec<String> = service.volumes.iter().map(|name| format!("\"{name}:/{name}\"")).collect();
        match service.what {
            What::Job => {
                lines.push("restart: \"no\"".to_owned());
                volumes.push(format!("\"{}:/log\"", log.display()));
            }
            What::Checked => lines.push(seldom(&check()).replace("retries: 3", &format!("retries: {}", service.retries))),
            What::Serves => {}
        }
        if !volumes.is_empty() {
            lines.push(format!("volumes: [{}]", volumes.join(", ")));
        }
        lines.extend(service.replicas.map(|count| format!("deploy: {{ replicas: {count} }}")));
        let needs: Vec<String> = service.needs.iter().map(|(name, restarts)| self.need(name, *restarts)).collect();
        if !needs.is_empty() {
            lines.push(format!("depends_on: {{ {} }}", needs.join(", ")));
        }
        let mut has_network = true;
        if let Some((what, owner)) = &service.shares {
            has_network = *what != Shares::Network;
            lines.push(match what {
                Shares::Network => format!("network_mode: \"service:{owner}\""),
                Shares::Memory => format!("ipc: \"service:{owner}\""),
                Shares::Processes => format!("pid: \"service:{owner}\""),
                Shares::Volumes => format!("volumes_from: [{owner}]"),
            });
        }
        if has_network && !service.networks.is_empty() {
            let networks: Vec<&str> = service.networks.iter().copied().chain(["default"]).collect();
            lines.push(format!("networks: [{}]", networks.join(", ")));
        }
        let lends_memory = |s: &Service| s.shares.as_ref().is_some_and(|(what, owner)| *what == Shares::Memory && *owner == service.name);
        if self.services.iter().any(lends_memory) && !matches!(service.shares, Some((Shares::Memory, _))) {
            lines.push("ipc: shareable".to_owned());
        }
        if service.config {
            lines.push(format!("configs: [{{ source: {CONFIG}, target: /settings.txt }}]"));
        }
        if service.profile {
            lines.push(format!("profiles: [{PROFILE}]"));
        }
        lines
    }

    fn need(&self, name: &str, restarts: bool) -> String {
        let condition = match self.find(name).map(|service| service.what) {
            Some(What::Job) => "service_completed_successfully",
            Some(What::Checked) => "service_healthy",
            _ => "service_started",
        };
        let restarts = if restarts { ", restart: true" } else { "" };
        format!("{name}: {{ condition: {condition}{restarts} }}")
    }
}

/// A health check that is eager only while its service starts, where the engine is able to.
fn seldom(check: &str) -> String {
    if !check.contains("start_interval") {
        return check.to_owned();
    }
    check.replace(" interval: 500ms", " interval: 10s").replace("start_period: 2s", "start_period: 20s")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Value,
    Tag,
    Replicas,
    Add,
    Remove,
    Need,
    NeedNot,
    Share,
    Network,
    NetworkLabel,
    Volume,
    VolumeLabel,
    Config,
    Content,
    Profile,
    Active,
    Check,
    Fail,
}

const CHANGES: [Change; 19] = [
    Change::Value,
    Change::Value,
    Change::Tag,
    Change::Replicas,
    Change::Add,
    Change::Remove,
    Change::Need,
    Change::NeedNot,
    Change::Share,
    Change::Network,
    Change::NetworkLabel,
    Change::Volume,
    Change::VolumeLabel,
    Change::Config,
    Change::Content,
    Change::Profile,
    Change::Active,
    Change::Check,
    Change::Fail,
];
