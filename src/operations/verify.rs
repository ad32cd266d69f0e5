//! Watching services come up: healthy, or running without a restart for the window. Nothing is believed that was not seen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::evidence::failed;
use super::recorder::Recorder;
use super::tools::Tools;
use crate::domain::container::{Container, Health, State};
use crate::domain::desired::count_of;
use crate::domain::event::Progress;
use crate::domain::failure::Failure;
use crate::domain::job::Job as JobKind;
use crate::domain::outcome::{EXITED_ZERO, ServiceOutcome};
use crate::domain::plan::Need;
use crate::domain::project::{Project, ServiceName, Source};
use crate::domain::text::duration;
use crate::domain::untrusted::UntrustedText;
use crate::engine::events::Told;
use crate::engine::host::Changes;

/// How often is looked at least, while the engine tells what changes.
const EVERY: Duration = Duration::from_secs(2);
/// How often, where it does not, or where one look was good and a second one is wanted.
const OFTEN: Duration = Duration::from_millis(300);
/// What is told comes in bursts: a look waits until so long after the first word.
const BURST: Duration = Duration::from_millis(20);
/// How soon again, where a window is about to end.
const SOONEST: Duration = Duration::from_millis(10);
/// How many looks in a row must be good for a service with a health check.
const GOOD_LOOKS: u32 = 2;
/// How often a service with a health check may be restarted by the engine while it comes up.
const RESTARTS_ALLOWED: i64 = 2;
/// What is said of a job that is done.
const DONE: &str = "done (ended with code 0)";
/// How long the engine may be away while we look.
const AWAY_LIMIT: Duration = Duration::from_secs(20);

/// Whom to watch, and for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whom<'a> {
    /// Their services.
    pub(super) services: &'a BTreeSet<ServiceName>,
    /// Of several containers of a service the one that is meant, by its name.
    pub(super) container: Option<&'a str>,
    /// What is enough of a service; unless told, that it is up.
    pub(super) enough: &'a BTreeMap<ServiceName, Need>,
    /// How many containers a service is to have, exactly; where nothing says that, one at least.
    pub(super) replicas: Option<&'a BTreeMap<ServiceName, u64>>,
}

/// What nobody asks for less than.
static ALL_OF_IT: BTreeMap<ServiceName, Need> = BTreeMap::new();

impl<'a> Whom<'a> {
    /// All containers of some services, until they are up.
    pub(super) fn of(services: &'a BTreeSet<ServiceName>) -> Self {
        Self { services, container: None, enough: &ALL_OF_IT, replicas: None }
    }

    /// How many containers of a service there are, and how many there are to be, where these are others.
    fn lacking(self, service: &ServiceName, containers: &[Container]) -> Option<Lacking> {
        let there = count_of(service, containers);
        let wanted = self.replicas.and_then(|replicas| replicas.get(service)).copied();
        let is_right = wanted.map_or(there > 0, |wanted| there == wanted);
        (!is_right).then(|| Lacking { service: service.clone(), there, wanted: wanted.unwrap_or(1) })
    }
}

/// A service that has not as many containers as it should have.
#[derive(Debug)]
struct Lacking {
    service: ServiceName,
    there: u64,
    wanted: u64,
}

impl Lacking {
    fn words(&self, waited: &str) -> String {
        match (self.there, self.wanted) {
            (0, _) => format!("It has no container after {waited}."),
            (there, wanted) => format!("It has {there} of {wanted} containers after {waited}."),
        }
    }
}

/// How the services came up.
#[derive(Debug)]
pub(super) struct Verified {
    /// A line for each container.
    pub(super) services: Vec<ServiceOutcome>,
    /// Why not, where one did not.
    pub(super) failure: Option<Failure>,
    /// Whether that is only because it was cancelled, or dockmaster was stopped, while it watched.
    pub(super) cut_short: bool,
}

/// What is known of one container while it is watched.
#[derive(Debug)]
struct Watched {
    id: String,
    /// What people read.
    shown: String,
    restarts: i64,
    started: Option<i64>,
    /// Since when it has been running without a restart.
    steady: Option<Instant>,
    good: u32,
    settled: Option<(bool, String)>,
}

/// Watches the containers of services until each is up or has failed. A failure does not end the watch of the others: all have
/// their word, or the time limit is reached. The first one is what is told as the reason.
pub(super) async fn verify(tools: &Tools, project: &Project, whom: Whom<'_>, recorder: &Recorder, ending: &CancellationToken) -> Verified {
    let services = whom.services;
    let began = Instant::now();
    let deadline = began + project.deploy.health_timeout.max(project.deploy.stability + Duration::from_secs(5));
    let mut watched: BTreeMap<String, Watched> = BTreeMap::new();
    let mut away: Option<Instant> = None;
    let mut first: Option<Failure> = None;
    let mut told = tools.docker.told();
    let mut changes = matches!(project.source, Source::Services(_)).then(|| tools.host.changes(&project.name));
    loop {
        told.mark_unchanged();
        let containers = match tools.containers_for(project, services).await {
            Ok(all) => {
                away = None;
                all.into_iter().filter(|c| services.contains(&c.service)).collect::<Vec<_>>()
            }
            Err(error) if away.get_or_insert_with(Instant::now).elapsed() > AWAY_LIMIT => {
                return done(watched, first.or_else(|| Some(error.failure("It is not known whether the services came up."))));
            }
            Err(_) => {
                tokio::time::sleep(OFTEN).await;
                continue;
            }
        };
        let is_meant = |c: &Container| whom.container.is_none_or(|name| c.name == name);
        let names: Vec<String> = containers.iter().filter(|c| is_meant(c)).map(|c| shown(c, &containers)).collect();
        let containers: Vec<Container> = containers.into_iter().filter(is_meant).collect();
        for (container, name) in containers.iter().zip(&names) {
            let Some(seen) = look(project, container, name, whom.enough.get(&container.service), &mut watched, began, recorder) else {
                continue;
            };
            // Read at once: whatever restarts it next takes the reason out of sight.
            let failure = failed(tools, project, container, &seen, recorder).await;
            first.get_or_insert(failure);
        }
        let missing = services.iter().find_map(|s| whom.lacking(s, &containers));
        let all_settled = containers.iter().all(|c| watched.get(&c.name).is_some_and(|w| w.settled.is_some()));
        if all_settled && (missing.is_none() || first.is_some()) {
            if first.is_none() {
                tools.gauge.started_by(&project.name, &containers, recorder.operation());
            }
            return done(watched, first);
        }
        if Instant::now() >= deadline {
            let failure = match first {
                Some(failure) => failure,
                None => late(tools, project, &containers, &watched, missing.as_ref(), began, recorder).await,
            };
            return done(watched, Some(failure));
        }
        if ending.is_cancelled() {
            let why = match tools.stopping.is_cancelled() {
                true => "dockmaster was stopped while it watched the services come up.".to_owned(),
                false => format!("{} while the services were coming up.", tools.registry.cancelled(&project.name)),
            };
            let failure = Failure::new("It was not verified to the end.", why, "Look at /docker_status.");
            return Verified { cut_short: true, ..done(watched, Some(failure)) };
        }
        next_look(&mut told, changes.as_mut(), &watched, project.deploy.stability, ending).await;
    }
}

/// What the time limit means that one of them did not keep.
async fn late(
    tools: &Tools,
    project: &Project,
    containers: &[Container],
    watched: &BTreeMap<String, Watched>,
    missing: Option<&Lacking>,
    began: Instant,
    recorder: &Recorder,
) -> Failure {
    let waited = duration(millis(began.elapsed()));
    let open = |c: &&Container| watched.get(&c.name).is_some_and(|w| w.settled.is_none());
    let Some(container) = containers.iter().find(open) else {
        let name = missing.map_or("A service", |lacking| lacking.service.as_str());
        let why = missing.map_or_else(|| format!("It has no container after {waited}."), |lacking| lacking.words(&waited));
        return Failure::new(format!("{name} did not come up."), why, "Look at /docker_status.");
    };
    let restarted = watched.get(&container.name).map_or(0, |w| container.restarts - w.restarts);
    let seen = match (container.purpose.is_to_end(), container.runs()) {
        (true, true) if restarted > 0 => crash_loop(container, restarted),
        (true, true) => format!("not done after {waited}"),
        _ => format!("not up after {waited}"),
    };
    failed(tools, project, container, &seen, recorder).await
}

/// Waits until something was told, or it is time to look all the same.
async fn next_look(
    told: &mut watch::Receiver<Told>,
    changes: Option<&mut Changes>,
    watched: &BTreeMap<String, Watched>,
    stability: Duration,
    ending: &CancellationToken,
) {
    // Processes of the host tell themselves.
    let following = told.borrow().following || changes.is_some();
    let open = || watched.values().filter(|w| w.settled.is_none());
    let most = if following && open().all(|w| w.good == 0) { EVERY } else { OFTEN };
    // No longer than until the next window is over: nobody is to wait for nothing.
    let window = |w: &Watched| Some((w.steady? + stability).saturating_duration_since(Instant::now()));
    let next = open().filter_map(window).min().unwrap_or(most).clamp(SOONEST, most);
    tokio::select! {
        () = tokio::time::sleep(next) => {}
        // Where nothing is told any more it is time to look as well.
        _ = told.changed() => tokio::time::sleep(BURST).await,
        () = async {
            match changes {
                Some(changes) => changes.next().await,
                None => std::future::pending().await,
            }
        } => tokio::time::sleep(BURST).await,
        () = ending.cancelled() => {}
    }
}

fn done(watched: BTreeMap<String, Watched>, failure: Option<Failure>) -> Verified {
    let line = |w: Watched| {
        let (good, seen) = w.settled.unwrap_or((false, "not up yet".to_owned()));
        ServiceOutcome { service: w.shown, good, seen }
    };
    Verified { services: watched.into_values().map(line).collect(), failure, cut_short: false }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// What people read for a container: its service, or where that has several, its own name.
pub(super) fn shown(container: &Container, all: &[Container]) -> String {
    let alone = all.iter().filter(|c| c.service == container.service).count() == 1;
    if alone { container.service.to_string() } else { container.name.clone() }
}

/// What is enough of a container that others wait for; none where that is what it always is.
fn enough(container: &Container, need: Need) -> Option<Option<(bool, String)>> {
    match (need, container.state, container.health) {
        (Need::Started, State::Running, _) => Some(Some((true, "running".to_owned()))),
        // Compose itself refuses to wait for the health of what has no check.
        (Need::Healthy, State::Running, Health::None) => Some(Some((true, "running (it has no health check)".to_owned()))),
        // The engine's retries belong to one run.
        (Need::Completed, State::Created | State::Running | State::Restarting, _) => Some(None),
        (Need::Completed, State::Exited, _) if container.exit_code == 0 => Some(Some((true, DONE.to_owned()))),
        _ => None,
    }
}

/// Takes one look at one container, of which `need` is enough. Returns what was seen where it has failed just now.
fn look(
    project: &Project,
    container: &Container,
    name: &str,
    need: Option<&Need>,
    watched: &mut BTreeMap<String, Watched>,
    began: Instant,
    recorder: &Recorder,
) -> Option<String> {
    let fresh = || Watched {
        id: container.id.clone(),
        shown: name.to_owned(),
        restarts: container.restarts,
        started: container.started,
        steady: None,
        good: 0,
        settled: None,
    };
    let seen = watched.entry(container.name.clone()).or_insert_with(fresh);
    if seen.id != container.id {
        *seen = fresh();
    }
    if seen.settled.as_ref().is_some_and(|(good, _)| !good) {
        return None;
    }
    let took = duration(millis(began.elapsed()));
    let verdict = match need.and_then(|need| enough(container, *need)) {
        Some(verdict) => verdict,
        None => verdict_of(project, container, seen, &took),
    };
    match verdict {
        // A service that was good before must be good at every later look, too: others may still be coming up.
        Some((good, words)) => {
            let before = seen.settled.as_ref().filter(|(was, _)| *was && good && container.runs());
            let words = before.map_or(words, |(_, first)| first.clone());
            let progress = match (good, need) {
                // Whether it is up is still to be seen.
                (true, Some(_)) => Progress::Working,
                (true, None) => Progress::Done,
                (false, _) => Progress::Failed,
            };
            recorder.service(name, progress, words.clone());
            let failed = (!good).then(|| words.clone());
            seen.settled = Some((good, words));
            failed
        }
        None => {
            let Some((_, was)) = &seen.settled else {
                recorder.service(name, Progress::Working, waiting(container));
                return None;
            };
            let words = format!("{was}, then not");
            recorder.service(name, Progress::Failed, words.clone());
            seen.settled = Some((false, words.clone()));
            Some(words)
        }
    }
}

/// What a look at a container tells of it; none where that is not decided yet.
fn verdict_of(project: &Project, container: &Container, seen: &mut Watched, took: &str) -> Option<(bool, String)> {
    let restarted = container.restarts - seen.restarts;
    if let Some(why) = container.not_started() {
        return Some((false, format!("could not be started: {}", UntrustedText::from(why))));
    }
    if let State::Exited | State::Dead = container.state {
        // One that the engine starts again is never seen as ended: it is restarting until it runs, or was given up.
        return Some(match (container.is_done(), container.ended_well()) {
            (true, _) => (true, DONE.to_owned()),
            (false, true) => (true, EXITED_ZERO.to_owned()),
            (false, false) => (false, ended(container)),
        });
    }
    if container.purpose.is_to_end() {
        return to_end(project, container, seen, took);
    }
    match (container.state, container.health) {
        (State::Running, Health::Unhealthy) => Some((false, "unhealthy".to_owned())),
        (State::Running, Health::None) if restarted > 0 => Some((false, crash_loop(container, restarted))),
        (State::Running, Health::None) => steady(project, container, seen),
        (State::Running, Health::Healthy) if restarted <= RESTARTS_ALLOWED => {
            seen.good += 1;
            (seen.good >= GOOD_LOOKS).then(|| (true, format!("healthy after {took}")))
        }
        (State::Restarting, Health::None) => Some((false, crash_loop(container, restarted.max(1)))),
        _ if restarted > RESTARTS_ALLOWED => Some((false, crash_loop(container, restarted))),
        _ => {
            seen.good = 0;
            None
        }
    }
}

/// A job that has not ended. What others wait for, or the project names, must end; what only may end may also run on. Its retries
/// are one run, and the health check of its image is about something else.
fn to_end(project: &Project, container: &Container, seen: &mut Watched, took: &str) -> Option<(bool, String)> {
    let may_run_on = container.purpose.job == Some(JobKind::MayEnd) && container.state == State::Running;
    match container.health {
        Health::None if may_run_on => steady(project, container, seen),
        Health::Healthy if may_run_on => {
            seen.good += 1;
            (seen.good >= GOOD_LOOKS).then(|| (true, format!("healthy after {took}")))
        }
        _ => None,
    }
}

/// A service without a health check: running, from one start, for the window.
fn steady(project: &Project, container: &Container, seen: &mut Watched) -> Option<(bool, String)> {
    if seen.started != container.started {
        seen.started = container.started;
        seen.steady = None;
    }
    let since = seen.steady.get_or_insert_with(Instant::now);
    let window = project.deploy.stability;
    let words = || format!("running for {} without a restart (it has no health check)", duration(millis(window)));
    (since.elapsed() >= window || (seen.settled.is_some())).then(|| (true, words()))
}

fn waiting(container: &Container) -> String {
    match (container.state, container.health) {
        (State::Running, _) if container.purpose.is_to_end() => "running, until it is done".to_owned(),
        (State::Running, Health::Starting) => "running, health not decided yet".to_owned(),
        (State::Running, _) => "running, watched for a while".to_owned(),
        (State::Created, _) => "made, not started yet".to_owned(),
        (State::Restarting, _) => "being restarted by the engine".to_owned(),
        _ => "starting".to_owned(),
    }
}

fn crash_loop(container: &Container, restarted: i64) -> String {
    let times = if restarted == 1 { "once".to_owned() } else { format!("{restarted} times") };
    // The engine forgets the code of the last end when it starts the container again.
    let code = if container.state == State::Running { String::new() } else { format!(", last code {}", container.exit_code) };
    format!("crash loop: it died and was restarted {times}{code}")
}

fn ended(container: &Container) -> String {
    let why = if container.died_of_memory() { " (out of memory)" } else { "" };
    format!("ended with code {}{why}", container.exit_code)
}
