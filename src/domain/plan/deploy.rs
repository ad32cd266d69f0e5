//! The plan for a deploy: which files, which images, which services, and why.

use std::collections::{BTreeMap, BTreeSet};

use super::binds;
use super::consequences::{follow, outlived, restarted};
use super::lifecycle::ails;
use super::links::Links;
use super::order::restarts;
use super::preserve::{self, Preserved, WrittenMount};
use super::{Action, MissingSource, Plan, Replicas, Resources, ServicePlan, Step, Variables, digest, layers, unlisted};
use crate::domain::Millis;
use crate::domain::container::{ConfigHash, Container, State};
use crate::domain::desired::{DesiredState, INACTIVE, Standing};
use crate::domain::failure::Failure;
use crate::domain::managed::{instance_of, label};
use crate::domain::manifest::{Changes, Manifest, TreePath};
use crate::domain::names::offer;
use crate::domain::project::{Project, ServiceName, Source};
use crate::domain::request::Request;
use crate::domain::shared::Shared;
use crate::domain::text::{count, listing};
use crate::domain::untrusted::UntrustedText;

/// What a request for a mount outside production begins with; the path follows.
pub const MOUNT_OF: &str = "a mount of ";

/// What the plan for a deploy needs to know.
#[derive(Debug)]
pub struct DeployFacts<'a> {
    /// The project.
    pub project: &'a Project,
    /// What production is to hold of the workspace's files.
    pub workspace: &'a Manifest,
    /// What is staged: that, and what images are built from besides.
    pub staged: &'a Manifest,
    /// The files of production that a deploy may touch.
    pub production: &'a Manifest,
    /// What the last release put into production, where there was one.
    pub owned: Option<&'a Manifest>,
    /// The services as the workspace's compose files declare them.
    pub services: &'a [ServiceFacts],
    /// The project's containers.
    pub containers: &'a [Container],
    /// What acts between the services.
    pub links: &'a Links,
    /// What the workspace's compose files say of which services there are to be; none where none say that.
    pub desired: Option<&'a DesiredState>,
    /// The services that production's own files declare.
    pub before: &'a BTreeSet<ServiceName>,
    /// Of a rollback, the services that later releases added.
    pub added: &'a BTreeSet<ServiceName>,
    /// A hash of the whole resolved configuration.
    pub configuration: &'a str,
    /// What is known of the variables that the compose files use.
    pub variables: &'a Variables,
    /// The paths that services may write to.
    pub written: &'a [WrittenMount],
    /// What services mount and production has not, with the directories above it.
    pub absent: &'a [TreePath],
    /// What is left as production has it there. `production` and `owned` are without it.
    pub preserved: &'a Preserved,
    /// The number of the release that comes.
    pub release: i64,
    /// Whether it is an earlier one.
    pub back: bool,
    /// The number under which production is kept first, where it is.
    pub keeps: Option<i64>,
    /// What is kept of it then.
    pub kept: &'a Manifest,
    /// What the current release brought into production.
    pub held: Option<&'a Manifest>,
    /// What its tree holds: that costs no space again.
    pub held_staged: Option<&'a Manifest>,
    /// Bytes free where production and the staged copy live, the smaller of the two.
    pub free: Option<u64>,
    /// The services that run an image which is gone from the engine: once they are recreated, nothing goes back to it.
    pub lost: &'a BTreeSet<ServiceName>,
    /// The services that a person stopped, and who it was: `stopped by Ann`.
    pub stopped: &'a BTreeMap<ServiceName, String>,
    /// The services that could not start again, and what they share of a container that is gone.
    pub ownerless: &'a BTreeMap<ServiceName, Shared>,
    /// What services mount of the host and is not there.
    pub missing: &'a [MissingSource],
    /// What is known of networks and volumes.
    pub resources: &'a Resources,
    /// The time.
    pub now: Millis,
}

/// A service as the workspace's compose files declare it.
#[derive(Debug, Clone)]
pub struct ServiceFacts {
    /// Its name.
    pub name: ServiceName,
    /// What its containers are to be made from.
    pub made: Made,
    /// How its image is built, where it is.
    pub build: Option<BuildFacts>,
    /// The id of the image that its image name means here, where the engine has it.
    pub image_id: Option<String>,
    /// Its image's name.
    pub image: String,
    /// How many containers its compose file declares; none where none says that.
    pub replicas: Option<u64>,
    /// The services that it needs.
    pub depends_on: BTreeSet<ServiceName>,
    /// The sources of its bind mounts, below production.
    pub mounts: Vec<TreePath>,
    /// What it newly asks for that reaches beyond its container, a few words each.
    pub asks: Vec<String>,
    /// Whether it looks like one that keeps data: by its image, or because it mounts a volume.
    pub seems_stateful: bool,
    /// What is known of its image in the registry.
    pub pull: Pull,
    /// Why its containers are recreated although Compose sees no reason to, a few words each.
    pub unseen: Vec<String>,
    /// That only Compose has changed where its hash has, in a few words.
    pub upgraded: Option<String>,
    /// A hash of what its configs and secrets hold that are no files: what a confirmation binds of it.
    pub content: Option<String>,
}

/// What is known of an image in its registry, as far as its `pull_policy` wants that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Pull {
    /// It is pulled where the engine has none.
    #[default]
    Missing,
    /// It is never pulled.
    Never,
    /// The registry has another one.
    Newer,
    /// The registry could not be asked, and why.
    Unknown(String),
}

/// What a service's containers are to be made from.
#[derive(Debug, Clone)]
pub enum Made {
    /// What Compose would label them with.
    Compose(ConfigHash),
    /// What dockmaster would label them with, and how many there are to be.
    Managed(String, u16),
    /// Only whoever made them knows.
    Elsewhere,
}

impl Made {
    /// Whether a container is one of those that there are to be, rather than one beyond their number.
    pub fn counts(&self, container: &Container) -> bool {
        !matches!(self, Self::Managed(_, instances) if instance_of(&container.labels) > *instances)
    }

    /// Why a service that has containers is not what it is to be, in a few words.
    pub fn differs(&self, containers: &[&Container]) -> Option<String> {
        match self {
            Self::Compose(hash) => (!containers.iter().all(|c| hash.is_of(c))).then(|| "configuration changed".to_owned()),
            Self::Managed(hash, instances) => {
                let there = containers.len().min(usize::from(*instances));
                if containers.iter().any(|c| c.labels.get(label::DEFINITION) != Some(hash)) {
                    Some("definition changed".to_owned())
                } else if there < usize::from(*instances) {
                    Some(format!("{there} of {} there", count(usize::from(*instances), "instance")))
                } else {
                    None
                }
            }
            Self::Elsewhere => None,
        }
    }

    /// Whether any of its containers was made from something else, rather than that there are too few.
    pub fn is_other(&self, containers: &[&Container]) -> bool {
        matches!(self, Self::Managed(hash, _) if containers.iter().any(|c| c.labels.get(label::DEFINITION) != Some(hash)))
    }

    /// The hash that a plan binds.
    pub fn hash(&self) -> Option<&str> {
        if let Self::Managed(hash, _) = self { Some(hash) } else { None }
    }
}

/// How a service's image is built.
#[derive(Debug, Clone)]
pub struct BuildFacts {
    /// A hash of everything that goes into it.
    pub inputs: String,
    /// Its context, below the workspace; empty for the workspace itself.
    pub context: TreePath,
    /// Its Dockerfile, below the workspace; none where it stands in the compose file.
    pub dockerfile: Option<TreePath>,
    /// Its further contexts, below the workspace.
    pub additional: Vec<TreePath>,
    /// What of its context the build does not see (`.dockerignore`).
    pub ignored: BTreeSet<TreePath>,
    /// The inputs of the image that the running container was made from, where they are known.
    pub running: Option<String>,
    /// Whether the release had an image, and somebody removed it.
    pub pruned: bool,
}

/// Plans a deploy.
///
/// # Errors
/// What must not be deployed: an empty workspace, a variable that is not set any more, too many deletions, too little room, a writable
/// mount for which the workspace has something that is not copied, an unknown name after `with=`.
pub fn plan_deploy(facts: &DeployFacts<'_>, request: &Request, with: &BTreeSet<ServiceName>) -> Result<Plan, Failure> {
    let mut files = Changes::between(facts.production, facts.workspace, facts.owned);
    // Nobody has edited what is as the release that production holds has it.
    files.edited.retain(|path| facts.held.is_none_or(|held| held.0.get(path) != facts.production.0.get(path)));
    refuse(facts, &files, with)?;
    // What is to have no container and has none is no part of it.
    let has_any = |s: &&ServiceFacts| s.replicas != Some(0) || facts.containers.iter().any(|c| c.service == s.name);
    let declared = facts.services.iter().filter(has_any).map(|s| service_plan(facts, s, &files, with));
    let mut services: Vec<ServicePlan> = declared.chain(unlisted::removed(facts, with)).collect();
    for planned in services.iter_mut().filter(|s| s.action == Action::Recreate) {
        planned.forced |= unseen(facts, &planned.service);
    }
    follow(facts, &mut services, with)?;
    let all: BTreeSet<ServiceName> = services.iter().map(|s| s.service.clone()).collect();
    let order: Vec<Vec<ServiceName>> = layers(&all, |s| facts.follows(s));
    let rank = |name: &ServiceName| order.iter().position(|layer| layer.contains(name));
    services.sort_by_key(|s| (rank(&s.service), s.service.clone()));
    refuse_unpulled(facts, &services)?;
    let options = request.release_options();
    facts.resources.check_swaps(&what(facts), &command(facts), &services, &options.new_volumes)?;
    let steps = steps(facts, &files, &services);
    let mut warnings = warnings::warnings(facts, &services, &files);
    warnings.extend(facts.resources.warnings(&services, facts.containers));
    warnings.extend(binds::warnings(facts.missing));
    warnings.extend(lost_images(facts, &services, request.is_forced())?);
    let digest = digest(request, &steps, &services, |feed| {
        facts.workspace.feed(feed);
        facts.staged.feed(feed);
        for network in facts.resources.remade() {
            feed(network.as_bytes());
        }
        for path in files.touched().chain(&files.edited).chain(facts.preserved.changed.keys()) {
            feed(path.bytes());
        }
        feed(facts.configuration.as_bytes());
        for service in facts.services {
            feed(service.content.as_deref().unwrap_or_default().as_bytes());
        }
    });
    // What only starts what is down brings nothing into production.
    let release = (steps.is_empty() || steps.contains(&Step::Record)).then_some(facts.release);
    Ok(Plan {
        request: request.clone(),
        strategy: None,
        by_compose: false,
        steps,
        services,
        files: Some(files),
        release,
        unset: facts.variables.news(),
        unmarked: unmarked(facts),
        not_copied: preserve::not_copied(facts.written),
        preserved: facts.preserved.changed.iter().map(|(path, how)| (path.clone(), how.clone())).collect(),
        written: facts.written.iter().map(|mount| mount.path.clone()).collect(),
        absent: facts.absent.to_vec(),
        remade_networks: facts.resources.remade(),
        warnings,
        digest,
    })
}

impl DeployFacts<'_> {
    /// What a service comes after: what it needs, and what it shares something with.
    fn follows(&self, service: &ServiceName) -> BTreeSet<ServiceName> {
        let needed = self.services.iter().find(|s| s.name == *service).map(|s| s.depends_on.clone()).unwrap_or_default();
        &needed | &self.links.owners(service)
    }
}

/// The services that look as if they kept data, in the first deploy of a project that leaves open which do.
fn unmarked(facts: &DeployFacts<'_>) -> Vec<ServiceName> {
    let is_open = facts.project.stateful_unsaid && facts.owned.is_none();
    facts.services.iter().filter(|service| is_open && service.seems_stateful).map(|service| service.name.clone()).collect()
}

/// That it cannot be done, in words.
fn what(facts: &DeployFacts<'_>) -> String {
    format!("{} cannot be {}.", facts.project.name, if facts.back { "rolled back" } else { "deployed" })
}

/// How to ask for it.
fn command(facts: &DeployFacts<'_>) -> String {
    match facts.back {
        true => format!("/docker_rollback {} {}", facts.project.name, facts.release),
        false => format!("/docker_deploy {}", facts.project.name),
    }
}

fn refuse(facts: &DeployFacts<'_>, files: &Changes, with: &BTreeSet<ServiceName>) -> Result<(), Failure> {
    let (project, what) = (&facts.project.name, what(facts));
    let fail = |why: String, next: String| Err(Failure::new(what.clone(), why, next));
    preserve::refuse_missing(project.as_str(), &what, facts.written)?;
    if facts.staged.files() == 0 {
        return fail("The workspace is empty.".into(), "Put the code there, or correct \"workspace\" in projects.json.".into());
    }
    facts.variables.check(&what)?;
    binds::refuse_missing(&what, facts.missing)?;
    facts.resources.check(&what, &command(facts), &facts.project.stateful, with)?;
    let most = facts.project.deploy.max_delete;
    if files.deleted.len() > most {
        return fail(
            format!("It would delete {}, more than the {most} that are allowed.", count(files.deleted.len(), "file")),
            "Check the workspace; if this is meant, raise \"deploy.max_delete\".".into(),
        );
    }
    let known = |service: &ServiceName| facts.services.iter().any(|s| s.name == *service) || unlisted::goes(facts, service);
    if let Some(stranger) = with.iter().find(|w| !known(w)) {
        if facts.desired.is_some_and(|desired| desired.of(stranger) == Standing::Inactive && desired.names().any(|n| n == stranger)) {
            return fail(format!("{stranger} is {INACTIVE}."), "Put its profile into COMPOSE_PROFILES of production's .env.".into());
        }
        return fail(format!("It has no service “{stranger}”."), offer(stranger.as_str(), facts.services.iter().map(|s| s.name.as_str())));
    }
    // What no release holds yet is copied into the next one, and every changed file once more beside the old one while it
    // is promoted; and what is kept of production.
    let staged = if facts.back { 0 } else { facts.staged.bytes_beyond(facts.held_staged) };
    let kept = if facts.keeps.is_some() { facts.kept.bytes_beyond(facts.held_staged) } else { 0 };
    let needed = staged.saturating_add(kept).saturating_add(facts.workspace.bytes_beyond(Some(facts.production)));
    match facts.free {
        Some(free) if free < needed => fail(
            format!("It needs {} MB of disk and {} MB are free.", needed.div_ceil(1_000_000), free / 1_000_000),
            "Make room and ask again.".into(),
        ),
        _ => Ok(()),
    }
}

/// Refuses what needs an image that the engine has not and that may not be pulled.
fn refuse_unpulled(facts: &DeployFacts<'_>, services: &[ServicePlan]) -> Result<(), Failure> {
    let is_made = |name: &ServiceName| services.iter().any(|s| s.service == *name && matches!(s.action, Action::Create | Action::Recreate));
    let lacks = |s: &&ServiceFacts| s.pull == Pull::Never && s.build.is_none() && s.image_id.is_none() && is_made(&s.name);
    let Some(service) = facts.services.iter().find(lacks) else { return Ok(()) };
    let image = UntrustedText::from(&service.image);
    let why = format!("The engine has no image {image}, and “pull_policy” of {} is never.", service.name);
    Err(Failure::new(what(facts), why, format!("Load it (docker load, docker pull {}), or change the policy.", service.image)))
}

/// What is said of services that would be recreated although the image they run is gone.
///
/// # Errors
/// There are some, and nobody has said that they are to be recreated all the same.
fn lost_images(facts: &DeployFacts<'_>, services: &[ServicePlan], forced: bool) -> Result<Option<String>, Failure> {
    let recreated = services.iter().filter(|s| s.action == Action::Recreate && facts.lost.contains(&s.service));
    let lost: Vec<&ServiceName> = recreated.map(|s| &s.service).collect();
    if lost.is_empty() {
        return Ok(None);
    }
    let (project, names) = (&facts.project.name, listing(&lost, 5));
    let (word, kind) = if facts.back { ("rolled back", "rollback") } else { ("deployed", "deploy") };
    if forced {
        return Ok(Some(format!("The image that {names} runs is gone: if this {kind} fails, it cannot be undone.")));
    }
    Err(Failure::new(
        format!("{project} cannot be {word} safely."),
        format!("The image that {names} runs is gone from the engine: if this {kind} fails, it cannot be undone."),
        format!("To do it all the same: /docker_{kind} {project} force."),
    ))
}

fn service_plan(facts: &DeployFacts<'_>, service: &ServiceFacts, files: &Changes, with: &BTreeSet<ServiceName>) -> ServicePlan {
    let containers: Vec<&Container> = facts.containers.iter().filter(|c| c.service == service.name && service.made.counts(c)).collect();
    let stateful = facts.project.stateful.contains(&service.name);
    let (mut action, build, mut reasons) = wanted(facts, service, files, &containers);
    let (made_from, name) = (service.made.hash().map(str::to_owned), service.name.clone());
    let replicas = service.replicas.map(|declared| Replicas::of(&containers, declared)).filter(|replicas| !replicas.are_plain());
    let plan = |action, build, reasons, ails| {
        // Of containers that are recreated as well as made more, Compose would see the number alone.
        let scaled = replicas.is_some_and(|r| r.there != r.declared) && !mounted(service, files).is_empty();
        let forced = action == Action::Recreate && (!service.unseen.is_empty() || scaled);
        ServicePlan { service: name.clone(), action, build, forced, reasons, stateful, ails, made_from, replicas }
    };
    let is_named = with.contains(&service.name);
    let stopped = facts.stopped.get(&service.name).filter(|_| !containers.is_empty());
    let pending = |reasons: &[String]| if reasons.is_empty() { String::new() } else { format!("; pending: {}", reasons.join(", ")) };
    if let Some(stopped) = stopped.filter(|_| !is_named) {
        return plan(Action::Stay, false, vec![format!("{stopped}{}", pending(&reasons))], None);
    }
    let stays = stateful && !containers.is_empty() && !is_named;
    let down = stopped.cloned().or_else(|| containers.iter().find_map(|c| down(c)));
    if stays && (action != Action::Stay || down.is_some()) {
        let down = down.map_or_else(String::new, |down| format!(", and is {down}"));
        return plan(Action::Stay, false, vec![format!("it keeps data{down}{}", pending(&reasons))], None);
    }
    let failed = containers.iter().find(|c| c.purpose.job.is_some() && down_for_good(c) && c.state != State::Created);
    let ran = containers.iter().any(|c| c.purpose.is_to_end() && c.started.is_some());
    match (failed, action) {
        (Some(job), _) => reasons.push(format!("failed last time (code {}): runs again", job.exit_code)),
        (None, Action::Recreate | Action::Restart) if ran => reasons.push("a job: runs again".to_owned()),
        (None, Action::Stay | Action::Scale) => reasons.extend(down),
        (None, _) => {}
    }
    if action == Action::Stay && (stopped.is_some() || containers.iter().any(|c| down_for_good(c))) {
        action = Action::Start;
    } else if action == Action::Stay && containers.iter().any(|c| loops(c)) {
        // It runs now and then; a start would find it running.
        action = Action::Restart;
    } else if action == Action::Stay && containers.iter().any(|c| c.exited_zero() && !c.is_done()) {
        reasons.push("exited (0)".to_owned());
    }
    // Of a start the reason says it.
    let before = if matches!(action, Action::Stay | Action::Start | Action::Remove) { None } else { ails(&containers, facts.now) };
    plan(action, build, reasons, before)
}

/// What the files and images want of a service, whatever its containers do: the action, whether its image is built, and why.
fn wanted(facts: &DeployFacts<'_>, service: &ServiceFacts, files: &Changes, containers: &[&Container]) -> (Action, bool, Vec<String>) {
    let number = service.replicas.and_then(|declared| Replicas::of(containers, declared).wanted());
    if let Some((Action::Remove, why)) = number {
        return (Action::Remove, false, vec![why]);
    }
    let renamed = renamed(service, containers);
    let moved = service.image_id.as_ref().is_some_and(|id| containers.iter().any(|c| c.image_id != *id));
    let moved = moved.then(|| match facts.back {
        true => format!("runs another image than release {}", facts.release),
        false => format!("{} means another image now", UntrustedText::from(&service.image)),
    });
    let moved = moved.filter(|_| renamed.is_none());
    // What is built here is built again where its name was given to something else: that may be anything.
    let why_build = service
        .build
        .as_ref()
        .and_then(|b| builds::why_build(facts, b, files, containers.is_empty(), service.image_id.is_some()).or_else(|| moved.clone()));
    let build = why_build.is_some();
    let mut reasons: Vec<String> = why_build.into_iter().collect();
    let mut action = if build { Action::Recreate } else { Action::Stay };
    if containers.is_empty() {
        // What somebody else makes is not made here.
        if !matches!(service.made, Made::Elsewhere) {
            action = Action::Create;
        }
        reasons.push(if action == Action::Create { "new" } else { "it has no container" }.to_owned());
        return (action, build, reasons);
    }
    let outlived = outlived(facts, &service.name, containers);
    if let Some(differs) = service.made.differs(containers).map(|differs| service.upgraded.clone().unwrap_or(differs)) {
        let few = matches!(service.made, Made::Managed(..)) && !service.made.is_other(containers) && moved.is_none();
        action = if few { Action::Create } else { Action::Recreate };
        // Another image is another configuration, and says more.
        // What Compose does not see is no part of its hash.
        let outlived = outlived.as_ref().filter(|(_, is_named)| !is_named).map(|(why, _)| why.clone());
        reasons.push(renamed.or(outlived).unwrap_or(differs));
    }
    if let Some(moved) = moved.filter(|_| !build) {
        action = Action::Recreate;
        reasons.push(moved);
    }
    if service.pull == Pull::Newer {
        action = Action::Recreate;
        reasons.push("the registry has a newer image".to_owned());
    }
    if let Some((why, _)) = outlived.filter(|(_, is_named)| *is_named && action != Action::Recreate) {
        action = Action::Recreate;
        reasons.push(why);
    }
    if !service.unseen.is_empty() {
        action = Action::Recreate;
        reasons.extend(service.unseen.iter().cloned());
    }
    if let Some((scale, why)) = number {
        action = if action == Action::Stay { scale } else { action };
        reasons.push(why);
    }
    let read = mounted(service, files);
    if !read.is_empty() {
        action = match action {
            Action::Stay => Action::Restart,
            // One call makes what is missing, and what is there reads the files anew.
            Action::Scale => Action::Recreate,
            other => other,
        };
        reasons.push(format!("mounted files changed: {}", listing(read, 3)));
    }
    (action, build, reasons)
}

/// Whether a service is remade for what Compose does not see.
fn unseen(facts: &DeployFacts<'_>, service: &ServiceName) -> bool {
    let containers: Vec<&Container> = facts.containers.iter().filter(|c| c.service == *service).collect();
    outlived(facts, service, &containers).is_some_and(|(_, is_named)| is_named)
}

/// The files that a service mounts and that change.
fn mounted<'a>(service: &ServiceFacts, files: &'a Changes) -> Vec<&'a TreePath> {
    files.touched().filter(|p| service.mounts.iter().any(|r| p.is_within(r))).collect()
}

/// That the image has another name than the one that the containers were made from.
fn renamed(service: &ServiceFacts, containers: &[&Container]) -> Option<String> {
    // The engine names an image by its id once nothing else does.
    let named = |c: &&&Container| !c.image.is_empty() && !c.image.starts_with("sha256:") && c.image != service.image;
    let before = containers.iter().find(named).filter(|_| matches!(service.made, Made::Compose(_)) && !service.image.is_empty())?;
    Some(format!("image {} -> {}", UntrustedText::from(&before.image), UntrustedText::from(&service.image)))
}

/// Whether a container is down, and nothing but a start changes that.
fn down_for_good(container: &Container) -> bool {
    matches!(container.state, State::Created | State::Exited | State::Dead) && !container.ended_well()
}

/// Whether the engine starts a container again and again.
fn loops(container: &Container) -> bool {
    container.state == State::Restarting && !container.purpose.is_to_end()
}

/// How a container is down, where it is.
fn down(container: &Container) -> Option<String> {
    match container.state {
        State::Created => Some("down: never started".to_owned()),
        State::Exited | State::Dead if !container.ended_well() => Some(format!("down: ended with code {}", container.exit_code)),
        State::Restarting if loops(container) => Some("down: restarting in a loop".to_owned()),
        _ => None,
    }
}

fn steps(facts: &DeployFacts<'_>, files: &Changes, services: &[ServicePlan]) -> Vec<Step> {
    let having =
        |wanted: &dyn Fn(&ServicePlan) -> bool| services.iter().filter(|s| wanted(s)).map(|s| s.service.clone()).collect::<Vec<_>>();
    let built = having(&|s| s.build);
    let makes = |s: &ServicePlan| matches!(s.action, Action::Recreate | Action::Create | Action::Scale);
    let made = having(&makes);
    let (first, last): (Vec<ServiceName>, Vec<ServiceName>) =
        having(&|s| s.action == Action::Remove).into_iter().partition(|service| unlisted::comes_back(facts, service));
    let started = having(&|s| s.action == Action::Start);
    let restarted = restarts(&restarted(facts, services), |service| facts.links.owners(service));
    // One order for both where something is made: either may need the other.
    let together = !made.is_empty() || matches!(facts.project.source, Source::Services(_));
    let (up, started) = match together {
        true => (having(&|s| makes(s) || s.action == Action::Start), Vec::new()),
        false => (Vec::new(), started),
    };
    let pulled: Vec<ServiceName> = facts
        .services
        .iter()
        .filter(|s| s.build.is_none() && (s.image_id.is_none() || s.pull == Pull::Newer) && made.contains(&s.name))
        .map(|s| s.name.clone())
        .collect();
    let touched = having(&|s| !matches!(s.action, Action::Stay | Action::Remove));
    let without_containers: Vec<ServiceName> = facts.resources.without_containers.iter().cloned().collect();
    let removes = !first.is_empty() || !last.is_empty();
    let some = |services: Vec<ServiceName>, step: fn(Vec<ServiceName>) -> Step| (!services.is_empty()).then(|| step(services));
    let resources = some(without_containers, |services| Step::Resources { services });
    if files.is_empty() && touched.is_empty() && !removes {
        return resources.into_iter().collect();
    }
    if files.is_empty() && made.is_empty() && !removes {
        let up = [some(up, |services| Step::Up { services }), some(started, |services| Step::Start { services })];
        let verify = some(touched, |services| Step::Verify { services });
        return up.into_iter().flatten().chain(resources).chain(restarted).chain(verify).collect();
    }
    let steps = [
        (!facts.back).then_some(Step::Stage),
        some(pulled, |services| Step::Pull { services }),
        some(built, |services| Step::Build { services }),
        // As late as can be, so that what it is undone to is what there was.
        facts.keeps.map(|release| Step::Keep { release }),
        (!files.is_empty()).then_some(Step::Promote),
        some(first, |services| Step::Remove { services }),
        some(up, |services| Step::Up { services }),
        some(started, |services| Step::Start { services }),
        resources,
    ];
    let end = [some(touched, |services| Step::Verify { services }), some(last, |services| Step::Remove { services }), Some(Step::Record)];
    steps.into_iter().flatten().chain(restarted).chain(end.into_iter().flatten()).collect()
}

mod builds;
#[cfg(test)]
mod tests;
mod warnings;
