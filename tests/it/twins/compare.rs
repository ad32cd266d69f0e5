//! What there is of a project on the engine, and how two sides differ.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::project::{CONFIG, Project, What};
use crate::counts::there;
use crate::support::Fixture;
use crate::support::fixture::sh;

/// One container, without what differs between twins anyway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    id: String,
    started: String,
    standing: String,
    hash: String,
    made: BTreeSet<String>,
}

/// What there is of a project.
#[derive(Debug, Clone, Default)]
pub(super) struct Side {
    services: BTreeMap<String, Vec<Seen>>,
    resources: BTreeSet<String>,
    runs: BTreeMap<String, usize>,
}

fn text(seen: &Value, path: &str) -> String {
    seen.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl Side {
    pub(super) fn of(project: &Fixture, log: &std::path::Path) -> Self {
        let ids: Vec<String> = there(project).into_iter().map(|(_, _, id)| id).collect();
        let mut side = Self::default();
        let called = |what: &[&str]| {
            let label = format!("label=com.docker.compose.project={}", project.name);
            let names = sh("docker", &[what, &["ls", "--filter", &label, "--format", "{{.Name}}"]].concat());
            names.lines().map(|name| format!("{} {}", what[0], name.replace(&project.name, "PROJECT"))).collect::<Vec<_>>()
        };
        side.resources.extend(called(&["network"]).into_iter().chain(called(&["volume"])));
        for file in std::fs::read_dir(log).unwrap().map(Result::unwrap) {
            let runs = std::fs::read_to_string(file.path()).unwrap().lines().count();
            side.runs.insert(file.file_name().to_string_lossy().into_owned(), runs);
        }
        if ids.is_empty() {
            return side;
        }
        let all = sh("docker", &[&["inspect"], ids.iter().map(String::as_str).collect::<Vec<_>>().as_slice()].concat());
        let all: Vec<Value> = serde_json::from_str(&all).unwrap();
        let service = |seen: &Value| text(seen, "/Config/Labels/com.docker.compose.service");
        let owners: BTreeMap<String, String> = all.iter().map(|seen| (text(seen, "/Id"), service(seen))).collect();
        for seen in &all {
            let one = Seen {
                id: text(seen, "/Id"),
                started: text(seen, "/State/StartedAt"),
                standing: standing(seen),
                hash: text(seen, "/Config/Labels/com.docker.compose.config-hash"),
                made: made(seen, project, log, &owners),
            };
            side.services.entry(service(seen)).or_default().push(one);
        }
        side
    }

    /// Whether nothing starts and no job runs any more.
    pub(super) fn is_settled(&self, version: &Project) -> bool {
        self.services.iter().all(|(name, containers)| {
            let is_job = version.find(name).is_some_and(|service| service.what == What::Job);
            containers.iter().all(|c| c.standing != "starting" && !(is_job && c.standing == "running"))
        })
    }

    fn containers(&self, service: &str) -> &[Seen] {
        self.services.get(service).map_or(&[], Vec::as_slice)
    }

    fn standings(&self, service: &str) -> Vec<&str> {
        let mut all: Vec<&str> = self.containers(service).iter().map(|c| c.standing.as_str()).collect();
        all.sort_unstable();
        all
    }

    fn runs(&self, service: &str) -> usize {
        self.runs.get(service).copied().unwrap_or(0)
    }
}

fn standing(seen: &Value) -> String {
    let health = text(seen, "/State/Health/Status");
    match text(seen, "/State/Status").as_str() {
        "running" if !health.is_empty() && health != "healthy" => health,
        "exited" => format!("exited ({})", seen["State"]["ExitCode"]),
        other => other.to_owned(),
    }
}

/// Networks, mounts, image and whose namespaces it shares.
fn made(seen: &Value, project: &Fixture, log: &std::path::Path, owners: &BTreeMap<String, String>) -> BTreeSet<String> {
    let ours = |name: &str| name.replace(&project.name, "PROJECT");
    let mut all = BTreeSet::from([format!("image {}", text(seen, "/Config/Image"))]);
    let networks = seen["NetworkSettings"]["Networks"].as_object().into_iter().flatten();
    all.extend(networks.map(|(name, _)| format!("network {}", ours(name))));
    for mount in seen["Mounts"].as_array().into_iter().flatten() {
        let source = if mount["Type"] == "volume" { text(mount, "/Name") } else { text(mount, "/Source") };
        let source = ours(&source).replace(&log.display().to_string(), "LOG");
        all.insert(format!("mount {} of {source}", text(mount, "/Destination")));
    }
    for key in ["NetworkMode", "IpcMode", "PidMode"] {
        if let Some(id) = text(seen, &format!("/HostConfig/{key}")).strip_prefix("container:") {
            all.insert(format!("{key} of {}", owners.get(id).map_or("a container that is gone", String::as_str)));
        }
    }
    all
}

/// What became of the containers of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    kept: usize,
    started: usize,
    gone: usize,
    new: usize,
}

impl Change {
    fn between(before: &[Seen], after: &[Seen]) -> Self {
        let old = |c: &&Seen| before.iter().any(|b| b.id == c.id);
        let kept = after.iter().filter(|c| before.iter().any(|b| b.id == c.id && b.started == c.started)).count();
        let stayed = after.iter().filter(old).count();
        Self { kept, started: stayed - kept, gone: before.len() - stayed, new: after.len() - stayed }
    }

    fn is_kept(self) -> bool {
        self.started + self.gone + self.new == 0
    }

    fn is_remade(self) -> bool {
        self.gone > 0 && self.new > 0
    }
}

/// Both sides before and after a version was brought up.
pub(super) struct Step<'a> {
    pub(super) version: &'a Project,
    pub(super) stateful: &'a BTreeSet<String>,
    pub(super) plan: &'a str,
    pub(super) ours: [&'a Side; 2],
    pub(super) twin: [&'a Side; 2],
}

impl Step<'_> {
    fn names(&self) -> BTreeSet<&String> {
        self.ours
            .iter()
            .chain(&self.twin)
            .flat_map(|side| side.services.keys())
            .chain(self.version.services.iter().map(|s| &s.name))
            .collect()
    }

    fn ours(&self, service: &str) -> Change {
        Change::between(self.ours[0].containers(service), self.ours[1].containers(service))
    }

    fn twins(&self, service: &str) -> Change {
        Change::between(self.twin[0].containers(service), self.twin[1].containers(service))
    }

    fn is_job(&self, service: &str) -> bool {
        self.version.find(service).is_some_and(|service| service.what == What::Job)
    }

    /// The plan's line of a service: the action, and why.
    fn said(&self, service: &str) -> (&str, &str) {
        let line = self.plan.lines().find_map(|line| line.strip_prefix(service)?.strip_prefix(": "));
        let Some(line) = line else { return ("stays", self.stays(service)) };
        line.strip_suffix(')').unwrap_or(line).split_once(" (").unwrap_or((line, ""))
    }

    fn stays(&self, service: &str) -> &str {
        self.plan.lines().find_map(|line| line.strip_prefix(service)?.strip_prefix(" stays: ")).unwrap_or_default()
    }

    /// Whether it keeps data and was left with another definition than the files have now.
    pub(super) fn is_pending(&self, service: &str) -> bool {
        self.stateful.contains(service) && self.stays(service).contains("keeps data")
    }

    /// What the plan said and did not become true, or became true and was not said.
    pub(super) fn against_plan(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for service in self.names() {
            let ((action, why), is) = (self.said(service), self.ours(service));
            let (before, after) = (self.ours[0].containers(service).len(), self.ours[1].containers(service).len());
            let holds = match action {
                "recreate" => is.kept + is.started == 0 && is.gone == before && after > 0,
                "create" => before == 0 && after > 0,
                "scale" => is.started == 0 && is.kept == before.min(after) && before != after,
                "restart" | "start" => is.kept + is.gone + is.new == 0 && is.started > 0,
                "remove" => after == 0 && before > 0,
                "stays" => is.is_kept(),
                _ => false,
            };
            if !holds {
                wrong.push(format!("{service}: the plan says {action} ({why}), and it is {is:?} of {before}"));
            }
            let runs = self.ours[1].runs(service) - self.ours[0].runs(service);
            let expected = usize::from(self.is_job(service) && ["create", "recreate", "start", "restart"].contains(&action));
            if runs != expected {
                wrong.push(format!("{service}: the job ran {runs} times, by the plan {expected} times"));
            }
        }
        wrong
    }

    /// How the two sides differ, but for what is meant to.
    pub(super) fn against_twin(&self, changes: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        let anything_pending = self.names().into_iter().any(|service| self.is_pending(service));
        for service in self.names().into_iter().filter(|service| !self.is_pending(service)) {
            let [ours, twins] = [self.ours[1], self.twin[1]];
            if ours.standings(service) != twins.standings(service) {
                wrong.push(format!("{service} is {:?}, the twin's {:?}", ours.standings(service), twins.standings(service)));
            }
            let made = |side: &Side| side.containers(service).iter().flat_map(|c| c.made.clone()).collect::<BTreeSet<_>>();
            if made(ours) != made(twins) {
                wrong.push(format!("{service} is made with {:?}, the twin's with {:?}", made(ours), made(twins)));
            }
            if changes && self.ours(service) != self.twins(service) && self.meant(service).is_none() {
                let (action, why) = self.said(service);
                let (ours, twins) = (self.ours(service), self.twins(service));
                wrong.push(format!("{service}: {ours:?}, the twin's {twins:?}; the plan says {action} ({why})"));
            }
        }
        let (ours, twins) = (&self.ours[1].resources, &self.twin[1].resources);
        if ours != twins && !anything_pending {
            wrong.push(format!("there are {ours:?}, the twin has {twins:?}"));
        }
        wrong
    }

    /// THE LIST of where dockmaster means to differ from `up -d`, each with what must be true for it. What stays as it keeps data is
    /// compared with the plan only.
    fn meant(&self, service: &str) -> Option<&'static str> {
        let (ours, twins, (action, why)) = (self.ours(service), self.twins(service), self.said(service));
        let ended = self.ours[1].containers(service).iter().all(|c| c.standing.starts_with("exited"));
        if self.is_job(service) && ended && ours.is_kept() && !twins.is_kept() && action == "stays" {
            return Some("an ended job is not run again; Compose starts it with each up");
        }
        let same_definition =
            self.twin[1].containers(service).iter().all(|c| self.twin[0].containers(service).iter().any(|b| b.hash == c.hash));
        if ours.is_kept() && action == "stays" && twins.is_remade() && same_definition && self.is_moved(service) {
            return Some("what depends on a service that is remade stays; Compose before 2.31 remakes it");
        }
        if ours.is_remade() && why.contains(&format!("config {CONFIG} changed")) && !twins.is_remade() {
            return Some("the content of inline configs counts; Compose looks at their names only");
        }
        if ours.is_remade() && why.contains("network ") && why.contains(" changed") && twins.kept + twins.gone + twins.new == 0 {
            return Some("what is in a changed network is remade; Compose connects it to the new one");
        }
        if ours.started > 0 && action == "restart" && why.contains("restart: true") && twins.is_remade() && same_definition {
            return Some("what restarts with a service that is remade is restarted; Compose before 2.31 remakes it");
        }
        // What follows another service does so here where that one differs as it is meant to.
        let leader =
            self.names().into_iter().find(|name| why.contains(&format!("of {name}")) || why.contains(&format!("on {name}, restart: true")));
        if leader.is_some_and(|leader| leader != service && self.ours(leader) != self.twins(leader) && self.meant(leader).is_some()) {
            return Some("what shares something of a service, or restarts with it, follows it");
        }
        None
    }

    /// Whether anything that it depends on was remade or started by Compose.
    fn is_moved(&self, service: &str) -> bool {
        let Some(service) = self.version.find(service) else { return false };
        service.leaders().any(|leader| !self.twins(leader).is_kept() || self.is_moved(leader))
    }

    /// What the status has to say in its first line.
    pub(super) fn summary(&self) -> String {
        let is_listed = |name: &str| self.version.listed().any(|s| s.name == name);
        let long = self.version.listed().filter(|s| s.what != What::Job);
        let all: usize = long.map(super::project::Service::declared).sum();
        let jobs = self.version.listed().filter(|s| s.what == What::Job).count();
        let others = || self.ours[1].services.keys().filter(|name| !is_listed(name));
        let (inactive, left_over): (Vec<_>, Vec<_>) = others().partition(|name| self.version.find(name).is_some());
        let mut text = if all == 1 { "1 of 1 up".to_owned() } else { format!("all {all} up") };
        for (count, word) in [(jobs, "done"), (left_over.len(), "left over"), (inactive.len(), "behind a profile that is not active")] {
            if count > 0 {
                text += &format!(", {count} {word}");
            }
        }
        text
    }
}
