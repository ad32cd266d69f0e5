//! What services print, in dockmaster's own log: as it is printed, of the services that are configured so. Which containers
//! these are is looked for when the engine tells that something changed, never by the clock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout_at};

use super::super::acts::Lines;
use super::super::desk::Desk;
use super::super::tools::Tools;
use super::of;
use crate::domain::Millis;
use crate::domain::container::{Container, State};
use crate::domain::project::{Configuration, Project, ProjectName, ServiceName};

/// What the lines are called in the log, for filters such as `RUST_LOG=dockmaster::service=off`.
const TARGET: &str = "dockmaster::service";
/// How many lines of a service are logged a second; the others are dropped and counted.
const LINES_A_SECOND: u32 = 1_000;
/// How long after a line was dropped it is said how many were.
const SAID_AFTER: Duration = Duration::from_secs(60);
/// For how long what the engine tells is gathered before it is looked.
const TOGETHER: Duration = Duration::from_millis(100);
/// How soon it is looked again where the engine was away, and a log is read again that gave nothing.
const AGAIN: Duration = Duration::from_secs(5);

/// More lines than are ever kept of a process.
const LINES_KEPT: usize = 200_000;

/// A service of a project.
type Whose = (ProjectName, ServiceName);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Both are whole between any two of their changes.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    /// Logs what services print, for as long as dockmaster runs, and as each configuration says.
    pub async fn follow_output(self: Arc<Self>) {
        let mut configuration = self.configuration.clone();
        let mut told = self.tools.docker.told();
        let mut output = Output::default();
        loop {
            let now = configuration.borrow_and_update().clone();
            told.mark_unchanged();
            let projects: Vec<&Project> = now.enabled().filter(|project| logged(project).next().is_some()).collect();
            output.keep_only(&wanted(&now), self.now());
            // Processes of the host begin without the engine's telling; asking after them costs next to nothing.
            let mut away = projects.iter().any(|project| has_processes(project));
            for project in &projects {
                match self.tools.glance(project).await {
                    Ok(containers) => output.follow(&self.tools, project, &containers),
                    Err(error) => {
                        tracing::debug!(%error, project = %project.name, "whose output is logged cannot be looked for");
                        away = true;
                    }
                }
            }
            tokio::select! {
                () = self.tools.stopping.cancelled() => return,
                changed = configuration.changed() => if changed.is_err() { return },
                changed = told.changed(), if !projects.is_empty() => {
                    if changed.is_err() {
                        return;
                    }
                    sleep(TOGETHER).await;
                }
                Some(_) = output.tasks.join_next() => sleep(TOGETHER).await,
                () = sleep(AGAIN), if away => {}
            }
        }
    }
}

/// The services of a project whose output is logged.
fn logged(project: &Project) -> impl Iterator<Item = &ServiceName> {
    let services = of(project).into_iter().flat_map(|managed| &managed.services);
    services.filter(|(_, definition)| definition.log).map(|(service, _)| service)
}

fn has_processes(project: &Project) -> bool {
    of(project).is_some_and(|managed| managed.services.values().any(|definition| definition.log && definition.process().is_some()))
}

fn wanted(configuration: &Configuration) -> BTreeSet<Whose> {
    configuration.enabled().flat_map(|project| logged(project).map(|service| (project.name.clone(), service.clone()))).collect()
}

/// The logs that are followed.
#[derive(Default)]
struct Output {
    /// The services, since when each is logged, and how fast it may.
    services: BTreeMap<Whose, (Millis, Arc<Mutex<Pace>>)>,
    /// The containers, by their ids.
    containers: HashMap<String, Followed>,
    tasks: JoinSet<()>,
}

/// A container whose log is followed, or was.
struct Followed {
    whose: Whose,
    /// When it had begun and ended last, as it was seen when the log was begun to be read.
    times: (Option<Millis>, Option<Millis>),
    position: Arc<Mutex<Position>>,
    reading: AbortHandle,
}

impl Output {
    /// Ends what is no longer wanted, and notes since when the rest is.
    fn keep_only(&mut self, wanted: &BTreeSet<Whose>, now: Millis) {
        self.services.retain(|whose, _| wanted.contains(whose));
        for whose in wanted {
            self.services.entry(whose.clone()).or_insert_with(|| (now, Arc::default()));
        }
        self.containers.retain(|_, followed| {
            let kept = wanted.contains(&followed.whose);
            if !kept {
                followed.reading.abort();
            }
            kept
        });
    }

    /// Follows the logs of a project's containers from where they were left.
    fn follow(&mut self, tools: &Tools, project: &Project, containers: &[Container]) {
        // One that is gone has nothing more to say than is on its way already.
        let there = |id: &String| containers.iter().any(|c| c.id == *id);
        self.containers.retain(|id, followed| followed.whose.0 != project.name || there(id) || !followed.reading.is_finished());
        for container in containers {
            let whose = (project.name.clone(), container.service.clone());
            let Some((since, pace)) = self.services.get(&whose) else { continue };
            // What we print ourselves would be printed again, for ever.
            if tools.own.as_ref().is_some_and(|own| own.container == container.id) {
                continue;
            }
            let up = matches!(container.state, State::Running | State::Paused | State::Restarting);
            let times = (container.started, container.finished);
            let position = match self.containers.get(&container.id) {
                Some(known) if !known.reading.is_finished() || (known.times == times && !up) => continue,
                Some(known) => Arc::clone(&known.position),
                None => Arc::new(Mutex::new(Position { second: since.div_euclid(1_000), seen: 0 })),
            };
            let log = Log {
                container: container.clone(),
                whose: whose.clone(),
                since: *since,
                position: Arc::clone(&position),
                pace: Arc::clone(pace),
            };
            let reading = self.tasks.spawn(read(tools.clone(), log));
            self.containers.insert(container.id.clone(), Followed { whose, times, position, reading });
        }
    }
}

/// A log that is read.
struct Log {
    container: Container,
    whose: Whose,
    /// What was printed before is not logged.
    since: Millis,
    position: Arc<Mutex<Position>>,
    pace: Arc<Mutex<Pace>>,
}

/// Logs what a container prints until its log ends.
async fn read(tools: Tools, log: Log) {
    let from = locked(&log.position).clone();
    let mut stream: Lines = match log.container.is_process() {
        true => tools.log(&log.container, LINES_KEPT, Some(from.second), true),
        false => Box::pin(tools.docker.output(&log.container, from.second)),
    };
    let (mut known, mut any) = (from.seen, false);
    let ended = loop {
        let due = locked(&log.pace).due;
        let next = match due {
            None => stream.next().await,
            Some(due) => match timeout_at(due, stream.next()).await {
                Ok(next) => next,
                Err(_) => {
                    log.say_dropped(Instant::now());
                    continue;
                }
            },
        };
        let line = match next {
            Some(Ok(line)) => line,
            Some(Err(error)) => break Some(error),
            None => break None,
        };
        if known > 0 && line.at.is_none_or(|at| at.div_euclid(1_000) == from.second) {
            known -= 1;
            continue;
        }
        any = true;
        locked(&log.position).note(line.at);
        if line.at.is_some_and(|at| at < log.since) {
            continue;
        }
        let now = Instant::now();
        if locked(&log.pace).admit(now) {
            let ((project, service), container) = (&log.whose, &log.container.name);
            tracing::info!(target: TARGET, %project, %service, container, "{}", line.text);
        }
        log.say_dropped(now);
    };
    if let Some(error) = &ended {
        tracing::debug!(%error, container = log.container.name, "the log of a service broke off");
    }
    // A log that cannot be read, or that ends while its container runs, is not to be asked for in a row.
    if ended.is_some() || !any {
        sleep(AGAIN).await;
    }
}

impl Log {
    /// Says how many lines were dropped, once it is time.
    fn say_dropped(&self, now: Instant) {
        let Some(dropped) = locked(&self.pace).told(now) else { return };
        let (project, service) = &self.whose;
        tracing::warn!(target: TARGET, %project, %service, dropped, "more than {LINES_A_SECOND} lines a second were printed; the others are not logged");
    }
}

/// How far a log was read: the engine takes whole seconds, so the lines of the last one are counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Position {
    /// The second, since the epoch.
    second: i64,
    /// How many of its lines were read.
    seen: usize,
}

impl Position {
    fn note(&mut self, at: Option<Millis>) {
        let second = at.map_or(self.second, |at| at.div_euclid(1_000));
        if second > self.second {
            *self = Self { second, seen: 0 };
        }
        if second == self.second {
            self.seen += 1;
        }
    }
}

/// How fast a service's output may be logged.
#[derive(Debug, Default)]
struct Pace {
    /// When the second began that is counted, and how many lines were logged in it.
    second: Option<(Instant, u32)>,
    /// How many lines were dropped and not told yet.
    dropped: u64,
    /// When that is told.
    due: Option<Instant>,
}

impl Pace {
    /// Whether a line is logged.
    fn admit(&mut self, now: Instant) -> bool {
        let (began, logged) = self.second.filter(|(began, _)| now < *began + Duration::from_secs(1)).unwrap_or((now, 0));
        if logged < LINES_A_SECOND {
            self.second = Some((began, logged + 1));
            return true;
        }
        self.dropped += 1;
        self.due.get_or_insert(now + SAID_AFTER);
        false
    }

    /// How many lines were dropped, once it is time to tell.
    fn told(&mut self, now: Instant) -> Option<u64> {
        self.due.filter(|due| *due <= now)?;
        self.due = None;
        Some(std::mem::take(&mut self.dropped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_goes_on_after_the_lines_of_the_last_second_that_were_read() {
        let mut position = Position { second: 10, seen: 0 };
        for at in [10_100, 10_900, 12_000, 12_000, 11_999, 12_999] {
            position.note(Some(at));
        }
        assert_eq!(position, Position { second: 12, seen: 3 }, "a line that comes late is of a second that is not read again");
    }

    #[test]
    fn a_flood_is_dropped_counted_and_told_once_a_minute() {
        let (mut pace, began) = (Pace::default(), Instant::now());
        let at = |ms: u64| began + Duration::from_millis(ms);
        let logged = (0..5_000).filter(|_| pace.admit(began)).count();
        assert_eq!((logged, pace.dropped), (1_000, 4_000));
        assert!(!pace.admit(at(999)) && pace.admit(at(1_000)), "the next second has room again");
        assert_eq!(pace.told(at(59_999)), None);
        assert_eq!(pace.told(at(60_000)), Some(4_001));
        assert_eq!((pace.told(at(200_000)), pace.due), (None, None), "nothing is told twice");
    }
}
