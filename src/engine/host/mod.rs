//! Services that run as processes of the host. Each has a keeper of its own, which outlives us: see `keeper`. Here is what asks
//! keepers, starts them, and does what is to be done where there is none any more.

mod aside;
mod asking;
mod changes;
mod health;
pub mod keeper;
mod log;
mod place;
mod reading;
mod report;
mod spec;
mod tail;
mod wire;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{Stream, StreamExt, stream};
use tokio::time::{sleep, timeout};

use asking::{ANSWER, end, settled, status};
pub use changes::Changes;
pub use health::Judge;
use place::{Held, Place, keepers};
use reading::Reading;
use report::{Doing, Report};
pub use spec::{HealthSpec, ProcessKey, ProcessSpec};
use wire::{Ask, Word};

use super::loglines::RawLine;
use crate::domain::Millis;
use crate::domain::container::{Container, State};
use crate::domain::failure::Failure;
use crate::domain::project::{ProjectName, ServiceName};
use crate::domain::untrusted::UntrustedText;
use crate::process;

/// Says what time it is.
pub type Clock = fn() -> Millis;

/// The hidden command that keeps a process.
pub const KEEP: &str = "keep-process";
/// Where the places are, below the data directory.
const PLACES: &str = "processes";
/// How much longer than what it keeps a keeper may take to end or to start.
const GRACE: Duration = Duration::from_secs(10);
/// How long is waited for somebody else who does something with the same process.
const TURN: Duration = Duration::from_secs(60);
/// How often is looked where nothing reports.
const POLL: Duration = Duration::from_millis(20);
/// How often a keeper is started where others are just coming or going.
const TRIES: usize = 50;
/// How many keepers may end without a word.
const SILENT_MAX: usize = 3;

/// Why a host process could not be seen to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// It could not be started.
    #[error("{0}")]
    Refused(UntrustedText),
    /// Nobody has ever started it.
    #[error("there is no process {0}")]
    Missing(String),
    /// It runs, and that was to be ended first.
    #[error("{0} runs")]
    Runs(String),
    /// Somebody else is at it.
    #[error("something else is being done with {0}")]
    Busy(String),
    /// What keeps it does not answer.
    #[error("what keeps {0} does not answer")]
    Silent(String),
    /// Its files cannot be read or written.
    #[error("the files of {key} cannot be used: {}", UntrustedText::from(why))]
    Unusable {
        /// Which process.
        key: String,
        /// Why.
        why: String,
    },
}

impl HostError {
    /// In words for a person; `what` says what failed.
    pub fn failure(self, what: impl Into<String>) -> Failure {
        let next = match &self {
            Self::Refused(_) => "Correct its \"process\" in projects.json, or install what is missing, then ask again.",
            Self::Missing(_) => "Start it first.",
            Self::Runs(_) => "Stop it first.",
            Self::Busy(_) => "Ask again in a moment.",
            Self::Silent(_) => "Look at /docker_status; stopping it ends what does not answer, too.",
            Self::Unusable { .. } => "See to dockmaster's data directory (room, rights), then ask again.",
        };
        let why = self.to_string();
        let why = why.chars().next().map(|first| first.to_uppercase().chain(why.chars().skip(1)).collect::<String>());
        Failure::new(what, why.unwrap_or_default() + ".", next)
    }
}

/// The processes of the host that are services.
#[derive(Debug, Clone)]
pub struct Host {
    places: PathBuf,
    program: PathBuf,
}

impl Host {
    /// Those of a data directory. `program` is ourselves, by an absolute path: keepers are started from it.
    pub fn new(data: &Path, program: PathBuf) -> Self {
        Self { places: data.join(PLACES), program }
    }

    fn path(&self, key: &ProcessKey) -> PathBuf {
        self.places.join(key.project.as_str()).join(key.service.as_str()).join(key.instance.to_string())
    }

    /// Starts a process; does nothing where it runs with this definition, and ends it first where it runs with another.
    ///
    /// # Errors
    /// It could not be started, or something that runs there could not be ended.
    pub async fn start(&self, key: &ProcessKey, spec: &ProcessSpec) -> Result<(), HostError> {
        let unusable = unusable(key);
        let place = Place::make(&absolute(&self.path(key)).map_err(&unusable)?).map_err(&unusable)?;
        let _turn = turn(&place, key).await?;
        match settled(&place, key, spec.stop_timeout + GRACE).await {
            Ok(Some(report)) if report.definition == spec.hash() && report.doing != Doing::Ended => {
                return place.want().map_err(unusable);
            }
            Ok(None) => {}
            Ok(Some(_)) | Err(_) => end(&place, key, None).await?,
        }
        place.set_spec(spec).and_then(|()| place.want()).map_err(&unusable)?;
        let started = self.launch(&place, key, spec).await;
        if matches!(started, Err(HostError::Refused(_))) {
            place.unwant().map_err(unusable)?;
        }
        started
    }

    /// Stops a process, which has `within` to end by itself (none means what it was started with), and the group that it leads.
    /// It stays stopped until it is started. One that does not run is no error.
    ///
    /// # Errors
    /// It is still there.
    pub async fn stop(&self, key: &ProcessKey, within: Option<Duration>) -> Result<(), HostError> {
        let place = self.known(key)?;
        let _turn = turn(&place, key).await?;
        place.unwant().map_err(unusable(key))?;
        end(&place, key, within).await
    }

    /// Stops a process and starts it again, with the definition that it had; starts one that does not run.
    ///
    /// # Errors
    /// It does not run now, or nobody knows what it is.
    pub async fn restart(&self, key: &ProcessKey, within: Option<Duration>) -> Result<(), HostError> {
        let place = self.known(key)?;
        let _turn = turn(&place, key).await?;
        let spec = place.spec().map_err(unusable(key))?.ok_or_else(|| HostError::Missing(key.to_string()))?;
        place.want().map_err(unusable(key))?;
        let asked = wire::ask(&place, &Ask::Restart { within }).await;
        if let Ok(Some(mut call)) = asked {
            // It may have ended again since.
            if let Ok(Some(report)) = timeout(within.unwrap_or(spec.stop_timeout) + GRACE, call.next()).await {
                return if report.error.is_empty() { Ok(()) } else { Err(HostError::Refused(report.error.into())) };
            }
        }
        // It keeps nothing any more, or cannot be asked.
        end(&place, key, within).await?;
        self.launch(&place, key, &spec).await
    }

    /// Forgets a process that is stopped: its definition and its logs.
    ///
    /// # Errors
    /// It runs, or its files cannot be taken away.
    pub async fn remove(&self, key: &ProcessKey) -> Result<(), HostError> {
        let place = match self.known(key) {
            Err(HostError::Missing(_)) => return Ok(()),
            known => known?,
        };
        let _turn = turn(&place, key).await?;
        let held = place.lock(ANSWER).await.map_err(unusable(key))?;
        if held.is_none() || place.report().and_then(|report| report.process).is_some_and(|process| process.lives()) {
            return Err(HostError::Runs(key.to_string()));
        }
        std::fs::remove_dir_all(place.path()).map_err(unusable(key))?;
        for above in place.path().ancestors().skip(1).take(2) {
            // Others may be in them.
            let _ = std::fs::remove_dir(above);
        }
        Ok(())
    }

    /// How the processes of a project stand, as containers would be told: whose id is `process:project/service/instance`, whose
    /// image is the program, and whose labels say the hash of what it was started from and which instance it is.
    ///
    /// # Errors
    /// The places cannot be read.
    pub async fn list(&self, project: &ProjectName) -> Result<Vec<Container>, HostError> {
        let keys = self.keys(|known| known == project)?;
        Ok(join_all(keys.iter().map(|key| self.look(key))).await.into_iter().flatten().collect())
    }

    /// Every process that was started and not forgotten, in order.
    ///
    /// # Errors
    /// The places cannot be read.
    pub fn known_keys(&self) -> Result<Vec<ProcessKey>, HostError> {
        self.keys(|_| true)
    }

    /// Starts again what was to run and does not, since it was ended together with its keeper: after a reboot, or because
    /// somebody killed that. What runs unwatched is ended first. Those for which `still` is false are left alone.
    ///
    /// # Errors
    /// The places cannot be read. What became of each that had to be started is in the answer.
    pub async fn resume(&self, still: impl Fn(&ProcessKey) -> bool) -> Result<Vec<(ProcessKey, Result<(), HostError>)>, HostError> {
        let keys = self.keys(|_| true)?.into_iter().filter(|key| still(key)).collect::<Vec<_>>();
        let resumed = join_all(keys.iter().map(|key| self.resume_one(key))).await;
        Ok(keys.into_iter().zip(resumed).filter_map(|(key, resumed)| Some((key, resumed?))).collect())
    }

    async fn resume_one(&self, key: &ProcessKey) -> Option<Result<(), HostError>> {
        let place = self.known(key).ok().filter(Place::is_wanted)?;
        let resumed = async {
            let _turn = turn(&place, key).await?;
            let spec = place.spec().map_err(unusable(key))?.ok_or_else(|| HostError::Missing(key.to_string()))?;
            let seen = settled(&place, key, spec.stop_timeout + GRACE).await?;
            if seen.is_some_and(|report| report.doing != Doing::Ended) || !place.is_wanted() {
                return Ok(false);
            }
            self.launch(&place, key, &spec).await.map(|()| true)
        };
        match resumed.await {
            Ok(true) => Some(Ok(())),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// Ends everything that runs, and leaves written down that it is to run: [`Host::resume`] starts it again.
    ///
    /// # Errors
    /// The places cannot be read. What could not be ended is in the answer.
    pub async fn suspend(&self) -> Result<Vec<(ProcessKey, HostError)>, HostError> {
        let keys = self.keys(|_| true)?;
        let suspended = keys.iter().map(async |key| {
            let place = self.known(key)?;
            let _turn = turn(&place, key).await?;
            end(&place, key, None).await
        });
        let suspended = join_all(suspended).await;
        Ok(keys.into_iter().zip(suspended).filter_map(|(key, ended)| Some((key, ended.err()?))).collect())
    }

    /// Reports whenever something changes with the processes of a project, so that nobody has to look again and again.
    pub fn changes(&self, project: &ProjectName) -> Changes {
        Changes::new(self.clone(), project.clone())
    }

    /// The log of a process, oldest line first: the last `lines`, only since `since` (seconds since the epoch) where that is
    /// given, and then as it is written where `follow` says so, until it is stopped.
    pub fn logs(
        &self,
        container: &Container,
        lines: usize,
        since: Option<i64>,
        follow: bool,
    ) -> impl Stream<Item = Result<RawLine, HostError>> + Send + 'static {
        let key = ProcessKey::of_id(&container.id).ok_or_else(|| HostError::Missing(container.id.clone()));
        let read = key.map(|key| Reading { path: self.path(&key), key, lines, since, follow, tail: None });
        let batches = stream::unfold(Some(read), |reading| async move {
            let mut reading = match reading? {
                Ok(reading) => reading,
                Err(error) => return Some((vec![Err(error)], None)),
            };
            match reading.next().await {
                Ok(lines) => Some((lines?.into_iter().map(Ok).collect(), Some(Ok(reading)))),
                Err(error) => Some((vec![Err(unusable(&reading.key)(error))], None)),
            }
        });
        batches.flat_map(stream::iter)
    }

    fn known(&self, key: &ProcessKey) -> Result<Place, HostError> {
        let path = absolute(&self.path(key)).map_err(unusable(key))?;
        match Place::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(HostError::Missing(key.to_string())),
            opened => opened.map_err(unusable(key)),
        }
    }

    /// The processes of some projects that have a place, in order.
    fn keys(&self, wanted: impl Fn(&ProjectName) -> bool) -> Result<Vec<ProcessKey>, HostError> {
        let mut keys = Vec::new();
        let failed =
            |error: std::io::Error| HostError::Unusable { key: UntrustedText::path(&self.places).to_string(), why: error.to_string() };
        for project in names(&self.places).map_err(failed)? {
            let Some(project) = ProjectName::new(&project).ok().filter(&wanted) else { continue };
            let below = self.places.join(project.as_str());
            for service in names(&below).map_err(failed)?.iter().filter_map(|name| ServiceName::plain(name).ok()) {
                for instance in names(&below.join(service.as_str())).map_err(failed)?.iter().filter_map(|name| name.parse().ok()) {
                    keys.push(ProcessKey { project: project.clone(), service: service.clone(), instance });
                }
            }
        }
        keys.sort();
        Ok(keys)
    }

    /// How one stands; none where it was forgotten meanwhile.
    async fn look(&self, key: &ProcessKey) -> Option<Container> {
        let place = self.known(key).ok()?;
        let told = status(&place, key).await;
        if let Ok(Some(report)) = told {
            return Some(report.container(key));
        }
        let written = place.report().or_else(|| Some(Report::new(&place.spec().ok()??)))?;
        let unwatched = written.process.as_ref().is_some_and(process::Identity::lives);
        if told.is_ok() && !unwatched {
            return Some(if written.doing == Doing::Starting { written } else { written.left() }.container(key));
        }
        // It may run and may be well, and nobody sees to it.
        let mut container = written.container(key);
        container.state = State::Unknown;
        container.error =
            if told.is_ok() { "it runs and nothing watches it: start it again" } else { "what keeps it does not answer" }.to_owned();
        Some(container)
    }

    /// Starts a keeper where none is, and waits until its process runs. Only in one's turn.
    async fn launch(&self, place: &Place, key: &ProcessKey, spec: &ProcessSpec) -> Result<(), HostError> {
        let mark = keepers(&place.make_mark().map_err(unusable(key))?);
        // It may have to end first what another keeper left.
        let patience = spec.stop_timeout + GRACE;
        let mut silent = 0;
        for _ in 0..TRIES {
            let args = [OsStr::new(KEEP), place.path().as_os_str()];
            let keeper = process::detach(&self.program, &args, &mark).map_err(|error| HostError::Refused(error.to_string().into()))?;
            match keeper.word(patience).await.and_then(|line| serde_json::from_str(&line).ok()) {
                Some(Word::Started) => return Ok(()),
                Some(Word::Refused(why)) => return Err(HostError::Refused(why.into())),
                Some(Word::Taken) => {}
                // Another one that came first takes those that still wait for one of a place that was moved.
                None => silent += 1,
            }
            if silent > SILENT_MAX {
                return Err(HostError::Silent(key.to_string()));
            }
            // Whoever started the other one was killed in the middle of this, or it is just ending.
            match settled(place, key, patience).await {
                Ok(Some(report)) if report.definition == spec.hash() && report.doing != Doing::Ended => return Ok(()),
                Ok(Some(_)) | Err(_) => end(place, key, None).await?,
                Ok(None) => sleep(POLL).await,
            }
        }
        Err(HostError::Busy(key.to_string()))
    }
}

/// The names in a directory; one that is not there has none.
fn names(directory: &Path) -> std::io::Result<Vec<String>> {
    match std::fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect(),
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// A keeper works in `/`.
fn absolute(path: &Path) -> std::io::Result<PathBuf> {
    std::path::absolute(path)
}

fn unusable(key: &ProcessKey) -> impl Fn(std::io::Error) -> HostError {
    let key = key.to_string();
    move |error| HostError::Unusable { key: key.clone(), why: error.to_string() }
}

async fn turn(place: &Place, key: &ProcessKey) -> Result<Held, HostError> {
    place.turn(TURN).await.map_err(unusable(key))?.ok_or_else(|| HostError::Busy(key.to_string()))
}
