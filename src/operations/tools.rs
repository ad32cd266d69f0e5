//! What operations work with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::checks::Checks;
use super::gauge::Gauge;
use super::registry::Registry;
use super::remembered::Remembered;
use super::sources;
use super::unresolved;
use super::vitals::Vitals;
use crate::domain::Millis;
use crate::domain::container::ConfigHash;
use crate::domain::desired::DesiredState;
use crate::domain::failure::Failure;
use crate::domain::job::Purposes;
use crate::domain::project::{Configuration, Project, ProjectName, ServiceName};
use crate::domain::untrusted::UntrustedText;
use crate::engine::compose::steering::{CLIENT, STEERING};
use crate::engine::compose::{self, Files, Program, Resolved};
use crate::engine::docker::Docker;
use crate::engine::host::Host;
use crate::engine::looks::Look;
use crate::engine::own::Ourselves;
use crate::history::History;
use crate::process::{self, Finished, Invocation, ProcessError};

/// What tells the time.
pub type Clock = fn() -> Millis;

/// How long Compose may take to resolve files.
const CONFIG_LIMIT: Duration = Duration::from_secs(30);

/// How long a process of an earlier run may take to end by itself.
const ABANDONED_PATIENCE: Duration = Duration::from_secs(1);

/// A random name that cannot be guessed: 16 bytes in hexadecimal.
///
/// # Errors
/// The system has no randomness to give.
pub fn random_name() -> Result<String, getrandom::Error> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

/// What operations work with. Clones share everything.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The engine.
    pub docker: Docker,
    /// The processes of the host that are services.
    pub host: Host,
    /// Where the engine is.
    pub docker_host: String,
    /// The Compose program, where there is one.
    pub compose: Program,
    /// The history.
    pub history: History,
    /// The time.
    pub clock: Clock,
    /// The data directory.
    pub data: PathBuf,
    /// The directory that it was named by, where its data was moved away from there.
    pub told: PathBuf,
    /// Where the data directory is another dockmaster's to write to: where planning puts what it needs for a moment.
    pub elsewhere: Option<PathBuf>,
    /// The name of the data directory among those that work on one engine.
    pub instance: String,
    /// Cancelled when dockmaster stops.
    pub stopping: CancellationToken,
    /// When each part of dockmaster was heard from.
    pub vitals: Vitals,
    /// The container that dockmaster itself runs in, where it does.
    pub own: Option<Ourselves>,
    /// Which project is held by which operation.
    pub registry: Registry,
    /// What Compose was asked a moment ago.
    pub asked: Asked,
    /// What the services of compose projects are there for, as far as production's compose files were read.
    pub purposes: Arc<DashMap<ProjectName, Arc<Purposes>>>,
    /// Which services of compose projects there are to be, as far as production's compose files were read.
    pub desired: Arc<DashMap<ProjectName, Arc<DesiredState>>>,
    /// What health checks from outside say of containers.
    pub checks: Checks,
    /// What was measured of services: every look at their containers tells some of it.
    pub gauge: Gauge,
    /// The active configuration, once there is one: what other projects own.
    pub configuration: Option<watch::Receiver<Arc<Configuration>>>,
}

/// A configuration as Compose wrote it, the variables that nothing sets, and the services behind profiles that are not active.
type Resolution = (Arc<[u8]>, Vec<String>, Option<BTreeSet<ServiceName>>);

/// What Compose answered a moment ago.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Configurations as Compose wrote them, which take a fraction of the memory, and the variables that nothing sets. They hold the
    /// values of `.env`, in memory alone.
    resolved: Remembered<Resolution>,
    /// The hashes of services.
    hashed: Remembered<BTreeMap<ServiceName, String>>,
}

/// A configuration as Compose resolved it.
#[derive(Clone)]
pub(super) struct Config {
    pub(super) resolved: Resolved,
    pub(super) unset: Vec<String>,
    /// The services behind profiles that are not active; none where nobody knows.
    pub(super) inactive: Option<BTreeSet<ServiceName>>,
}

/// The hashes with which Compose would label the containers of services.
pub(super) type Hashes = BTreeMap<ServiceName, ConfigHash>;

impl Config {
    /// Whether this is the configuration with that hash.
    pub(super) fn hash_is(&self, hash: &str) -> bool {
        self.resolved.hash() == hash
    }

    /// What it says of which services there are to be.
    pub(super) fn desired(&self) -> DesiredState {
        DesiredState::new(self.resolved.replicas(), self.inactive.clone())
    }
}

impl Tools {
    /// Where the containers of a project are looked for.
    pub(super) fn look_at(&self, project: &Project) -> Look {
        let configuration = self.configuration.as_ref().map(|configuration| configuration.borrow().clone());
        Look::at(project, &self.instance, configuration.as_deref())
    }

    /// Where what belongs to a project is kept.
    pub(super) fn place(&self, project: &ProjectName) -> PathBuf {
        self.data.join("projects").join(project.as_str())
    }

    /// Where what is needed for a moment is put for a project.
    pub(super) fn scratch(&self, project: &ProjectName) -> PathBuf {
        self.elsewhere.as_ref().map_or_else(|| self.place(project), |elsewhere| elsewhere.join(project.as_str()))
    }

    /// The tag under which a release keeps the image of a service.
    pub(super) fn own_tag(&self, project: &ProjectName, service: &ServiceName, release: i64) -> String {
        compose::own_tag(project, service, release, &self.instance)
    }

    /// Starts Compose with arguments; `mark` names the operation that it works for.
    pub(super) fn compose(&self, what: &str, args: Vec<std::ffi::OsString>, limit: Duration, mark: &str) -> Result<Invocation, Failure> {
        let compose = self.compose.get().ok_or_else(|| {
            Failure::new(
                what,
                "Docker Compose v2 is not installed on this machine.",
                "Install it (Debian 13: apt install docker-compose; Ubuntu: docker-compose-v2) and ask again.",
            )
        })?;
        let invocation = Invocation::new(&compose.program).args(compose.prefix.iter().cloned()).args(args);
        let invocation = STEERING.iter().fold(invocation, |invocation, (name, value)| invocation.environment(name, value));
        // What we were started with ourselves counts.
        let unset = CLIENT.iter().filter(|name| !process::passes(name));
        let invocation = unset.fold(invocation, |invocation, name| invocation.environment(name, ""));
        Ok(invocation
            .environment(process::MARK, mark)
            // Without it Compose would follow the current `docker context`, which may be another engine than the one we ask.
            .environment("DOCKER_HOST", &self.docker_host)
            .limit(limit))
    }

    /// Ends what a dockmaster of this data directory had started for plans before it was killed.
    pub async fn end_abandoned(&self) {
        let ended = process::end_abandoned(&self.instance, ABANDONED_PATIENCE).await;
        if ended > 0 {
            tracing::warn!(ended, "processes of an earlier run, which planned something, were ended");
        }
    }

    /// Marks what planning starts, so that the next start finds what a kill left.
    pub(super) fn plan_mark(&self) -> String {
        process::owned_mark(&self.instance)
    }

    /// The `env_file`s that a project's compose files name; none where they cannot be read, which resolving them will say.
    pub(super) async fn env_files(&self, what: &str, files: &Files<'_>) -> Result<BTreeSet<PathBuf>, Failure> {
        fit(what, files).await?;
        let invocation = self.compose(what, files.plain_config(), CONFIG_LIMIT, &self.plan_mark())?;
        let finished = process::run(&invocation, &mut |_| {}, &self.stopping).await.map_err(|e| secretive(what, e))?;
        Ok(compose::parse_env_files(&finished.stdout))
    }

    /// Resolves a project's compose files.
    pub(super) async fn resolve(&self, what: &str, files: &Files<'_>) -> Result<Config, Failure> {
        self.resolve_at(what, files, files.directory).await
    }

    /// A hash of a question. Another version of Compose may answer in another way.
    fn to_this_compose(&self, question: &[u8]) -> blake3::Hash {
        let version = self.compose.version().map(|version| version.to_string()).unwrap_or_default();
        blake3::Hasher::new().update(version.as_bytes()).update(b"\0").update(question).finalize()
    }

    async fn identity(&self, files: &Files<'_>, directory: &Path) -> Option<blake3::Hash> {
        let directory = directory.to_owned();
        let identity = sources::off_runtime(files, move |files| sources::identity(files, &directory)).await.ok().flatten();
        identity.map(|identity| self.to_this_compose(identity.as_bytes()))
    }

    /// As [`Tools::resolve`], with every path as it will be in `directory`.
    pub(super) async fn resolve_at(&self, what: &str, files: &Files<'_>, directory: &Path) -> Result<Config, Failure> {
        let question = self.identity(files, directory).await;
        if let Some(known) = question.and_then(|question| self.asked.resolved.known(question, Instant::now())) {
            let (bytes, unset, inactive) = known;
            let unread = |why| Failure::new(what, format!("{why}."), "Ask again.");
            return Ok(Config { resolved: Resolved::parse(&bytes).map_err(unread)?, unset, inactive });
        }
        let config = self.ask_to_resolve(what, files, directory, &[]).await?;
        // Files that were written to meanwhile may have been read before or after.
        if let Some(question) = question
            && self.identity(files, directory).await == Some(question)
        {
            let bytes = config.resolved.to_bytes();
            let answer = (bytes.as_slice().into(), config.unset.clone(), config.inactive.clone());
            self.asked.resolved.learn(question, answer, bytes.len(), Instant::now());
        }
        Ok(config)
    }

    /// What is wrong with a project's files; none where Compose can read them, and where it could not be asked.
    pub(super) async fn broken(&self, files: &Files<'_>) -> Option<String> {
        let mut said: Vec<String> = Vec::new();
        let mut note = |line: &str| said.push(line.to_owned());
        if let Err(failure) = fit("", files).await {
            return Some(failure.why);
        }
        let invocation = self.compose("", files.config(), CONFIG_LIMIT, &self.plan_mark()).ok()?;
        let finished = process::run(&invocation, &mut note, &self.stopping).await.ok()?;
        finished.code.filter(|code| *code != 0)?;
        Some(unresolved::why(self, "", files, files.directory, &said).await.why)
    }

    /// As [`Tools::resolve`], of some services and what they need, whatever their profiles.
    pub(super) async fn resolve_named(&self, what: &str, files: &Files<'_>, services: &[ServiceName]) -> Result<Config, Failure> {
        self.ask_to_resolve(what, files, files.directory, services).await
    }

    async fn ask_to_resolve(&self, what: &str, files: &Files<'_>, directory: &Path, services: &[ServiceName]) -> Result<Config, Failure> {
        let mut said: Vec<String> = Vec::new();
        let mut note = |line: &str| said.push(line.to_owned());
        fit(what, files).await?;
        let args = if services.is_empty() { files.config() } else { files.config_of(services) };
        let invocation = self.compose(what, args, CONFIG_LIMIT, &self.plan_mark())?;
        let asked = process::run(&invocation, &mut note, &self.stopping);
        let (finished, all) = tokio::join!(asked, self.all_services(what, files));
        let finished = finished.map_err(|e| secretive(what, e))?;
        let mut unset: Vec<String> = said.iter().filter_map(|line| compose::unset_variable(line)).collect();
        unset.sort();
        unset.dedup();
        if finished.code != Some(0) {
            return Err(match compose::was_ended(finished.code) {
                true => ended_from_outside(what),
                // Never what it wrote as it is: it may hold the values of `.env`.
                false => unresolved::why(self, what, files, directory, &said).await,
            });
        }
        let broken = |why: String| Failure::new(what, why, "Mend the compose file (docker compose config shows the same) and ask again.");
        let mut resolved = Resolved::parse(&finished.stdout).map_err(|why| broken(format!("{why}.")))?;
        resolved.relocate(files.directory, directory);
        let active = resolved.replicas();
        let inactive = all.map(|all| all.into_iter().filter(|service| !active.contains_key(service)).collect());
        Ok(Config { resolved, unset, inactive })
    }

    /// The services of a project whatever their profiles, where the files may use any; none where Compose does not say.
    async fn all_services(&self, what: &str, files: &Files<'_>) -> Option<BTreeSet<ServiceName>> {
        if !sources::off_runtime(files, |files| sources::says(files, &["profiles"])).await.unwrap_or(true) {
            return Some(BTreeSet::new());
        }
        let invocation = self.compose(what, files.all_services(), CONFIG_LIMIT, &self.plan_mark()).ok()?;
        let finished = process::run(&invocation, &mut |_| {}, &self.stopping).await.ok()?;
        finished.success().then(|| compose::parse_services(&String::from_utf8_lossy(&finished.stdout)))
    }

    /// The values of variables, as Compose would put them in.
    pub(super) async fn values(
        &self,
        what: &str,
        files: &Files<'_>,
        variables: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, String>, Failure> {
        let invocation = self.compose(what, files.values(), CONFIG_LIMIT, &self.plan_mark())?.stdin(compose::asking(variables));
        let shown = process::run(&invocation, &mut |_| {}, &self.stopping).await.map_err(|e| secretive(what, e))?;
        if shown.code != Some(0) {
            return Err(Failure::new(what, "Compose did not say what its variables are set to.", "Check production's .env and ask again."));
        }
        Ok(compose::answered(&shown.stdout))
    }

    /// The hashes of a resolved configuration's services; `ids` are the first containers of services.
    pub(super) async fn hashes(
        &self,
        what: &str,
        files: &Files<'_>,
        resolved: &Resolved,
        ids: &BTreeMap<ServiceName, String>,
    ) -> Result<Hashes, Failure> {
        let bound = resolved.bound(ids);
        let (resolved, is_bound) = (bound.as_ref().unwrap_or(resolved), bound.is_some());
        let alone = resolved.alone();
        let alone = async {
            match &alone {
                Some(alone) => self.hashes_of(what, files, alone, is_bound).await.map(Some),
                None => Ok(None),
            }
        };
        let (whole, alone) = tokio::try_join!(self.hashes_of(what, files, resolved, is_bound), alone)?;
        let both = |(service, whole): (ServiceName, String)| {
            let alone = alone.as_ref().and_then(|alone| alone.get(&service)).unwrap_or(&whole).clone();
            (service, ConfigHash { whole, alone })
        };
        Ok(whole.into_iter().map(both).collect())
    }

    async fn hashes_of(
        &self,
        what: &str,
        files: &Files<'_>,
        resolved: &Resolved,
        is_bound: bool,
    ) -> Result<BTreeMap<ServiceName, String>, Failure> {
        let configuration = resolved.to_bytes();
        // Of a file that it names nobody says whether its content counts.
        let question = (!resolved.names_files()).then(|| self.to_this_compose(&configuration));
        if let Some(known) = question.and_then(|question| self.asked.hashed.known(question, Instant::now())) {
            return Ok(known);
        }
        let args = if is_bound { files.bound_hashes() } else { files.hashes() };
        let invocation = self.compose(what, args, CONFIG_LIMIT, &self.plan_mark())?.stdin(configuration);
        let hashed = process::run(&invocation, &mut |_| {}, &self.stopping).await.map_err(|e| secretive(what, e))?;
        if hashed.code != Some(0) {
            // What it wrote may hold values.
            let code = hashed.code.map_or_else(|| "by a signal from outside".to_owned(), |code| format!("with code {code}"));
            let why = format!("Compose resolved its files, and could not hash what came of that (it ended {code}).");
            return Err(Failure::new(what, why, "Ask again; docker compose config --hash \"*\" shows more."));
        }
        let services = compose::parse_hashes(&String::from_utf8_lossy(&hashed.stdout));
        if let Some(question) = question {
            let bytes = services.iter().map(|(service, hash)| service.as_str().len() + hash.len()).sum();
            self.asked.hashed.learn(question, services.clone(), bytes, Instant::now());
        }
        Ok(services)
    }
}

/// Refuses files on which Compose would hang.
async fn fit(what: &str, files: &Files<'_>) -> Result<(), Failure> {
    let why = sources::off_runtime(files, sources::unfit)
        .await
        .unwrap_or_else(|error| Some(format!("{} {error}", UntrustedText::path(files.root))));
    why.map_or(Ok(()), |why| Err(Failure::new(what, format!("{why}."), "Replace it with a regular file and ask again.")))
}

/// As [`process_failure`], without what was printed: it may hold the values of `.env`.
fn secretive(what: &str, error: ProcessError) -> Failure {
    let mut failure = process_failure(what, error);
    failure.lines.clear();
    failure
}

/// A program was ended by somebody else.
pub(super) fn ended_from_outside(what: &str) -> Failure {
    Failure::new(what, "It was ended by a signal from outside.", "Ask again.")
}

/// Why Compose failed, by what it printed; `next` is what to do about it.
pub(super) fn refusal(what: &str, finished: &Finished, next: &str) -> Failure {
    if compose::was_ended(finished.code) {
        return ended_from_outside(what);
    }
    let why = match (compose::reason(&finished.tail), finished.code) {
        (Some(reason), _) => format!("{}.", UntrustedText::from(reason)),
        (None, code) => format!("It ended with code {} and said nothing.", code.unwrap_or_default()),
    };
    Failure::new(what, why, next).with_lines(compose::lines(&finished.tail))
}

/// What a process that could not be run means.
pub(super) fn process_failure(what: &str, error: ProcessError) -> Failure {
    match error {
        ProcessError::TimedOut { program, limit, tail } => Failure::new(
            what,
            format!(
                "{} took longer than {} and was ended.",
                UntrustedText::from(program),
                crate::domain::text::duration(i64::try_from(limit.as_millis()).unwrap_or(i64::MAX))
            ),
            "See what holds it up and ask again.",
        )
        .with_lines(tail),
        ProcessError::Cancelled { .. } => Failure::new(what, "dockmaster was stopped meanwhile.", "Ask again when it is back."),
        ProcessError::NotFound { program } => {
            Failure::new(what, format!("{} is not installed on this machine.", UntrustedText::from(program)), "Install it and ask again.")
        }
        other => Failure::new(what, format!("{}.", UntrustedText::from(other.to_string())), "See dockmaster's log, and ask again."),
    }
}
