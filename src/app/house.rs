//! A desk with everything that it works with, for whoever does the work and for whoever only looks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::held::Held;
use super::{AppError, engine_later, now};
use crate::config;
use crate::domain::environment::Environment;
use crate::domain::health::Part;
use crate::domain::project::Configuration;
use crate::domain::selftest::SelfTest;
use crate::engine::compose::Program;
use crate::engine::events::{Told, follow};
use crate::engine::host::Host;
use crate::engine::own::{self, Ourselves};
use crate::engine::{docker, environment, mountinfo};
use crate::history::lock::DataLock;
use crate::history::{DATABASE, History};
use crate::http::socket;
use crate::operations::keeper::{self, Beginning};
use crate::operations::{
    Asked, Checks, Desk, Finding, Gauge, Registry, Scratch, Successor, Tools, Vitals, recover, remove_helpers, selftest,
};

/// How long operations may take to end when dockmaster is asked to stop: the desk ends them after the running step, which
/// has a limit of its own. Whoever has no time for that asks twice.
const FINISH_LIMIT: Duration = Duration::from_secs(3_600);
/// How often old rows of the history are taken away.
const PRUNE_EVERY: Duration = Duration::from_secs(24 * 3_600);
/// How often the engine is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(60);
/// How often while it is away.
const PING_AWAY: Duration = Duration::from_secs(1);

/// A path without links, as far as it is there.
pub(super) fn resolved(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = whole.ancestors().find_map(|above| Some((above.canonicalize().ok()?, whole.strip_prefix(above).ok()?)));
    there.map_or_else(|| whole.clone(), |(real, rest)| real.join(rest).components().collect())
}

/// Where the configuration is, and what is ours.
#[derive(Debug, Clone)]
pub struct Given {
    /// The file.
    pub path: PathBuf,
    /// Whether it is watched (`DOCKMASTER_HOT_RELOAD`).
    pub hot: bool,
    /// Our own program, which keeps processes of the host; none means the one that runs.
    pub program: Option<PathBuf>,
}

impl Given {
    /// A file that is read once.
    pub fn once(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), hot: false, program: None }
    }

    /// Tries whether changes of such a file come into force here.
    ///
    /// # Errors
    /// There is no place for it.
    pub async fn selftest(&self) -> Result<SelfTest, AppError> {
        let history = History::copy(Path::new("")).map_err(|e| AppError::Failed(format!("{e}.")))?;
        let around = keeper::Surroundings {
            history,
            clock: now,
            vitals: Vitals::default(),
            hot: self.hot,
            stopping: CancellationToken::new(),
            environment: environment(&self.path, &self.path),
        };
        selftest(&self.path, around).await.map_err(AppError::Failed)
    }

    /// Whether there is something to begin with, where nothing was begun yet: nothing is made then that would have to be.
    ///
    /// # Errors
    /// There is nothing.
    pub(super) async fn is_enough(&self, data: &Path) -> Result<(), AppError> {
        if data.join(DATABASE).exists() { Ok(()) } else { self.look(data).await.map(drop) }
    }

    /// What a dockmaster on that data directory has in force, or would start with.
    ///
    /// # Errors
    /// There is nothing.
    pub(super) async fn look(&self, data: &Path) -> Result<Configuration, AppError> {
        // Whoever cannot read the history has the file.
        let history = History::copy(&data.join(DATABASE)).or_else(|_| History::copy(Path::new("")));
        let history = history.map_err(|e| unusable(data, e))?;
        keeper::look_only(&self.path, &history).await.map_err(AppError::Setting)
    }
}

/// What [`Tools`] are made from; the fields are called the same.
struct Workshop {
    docker_host: Option<String>,
    program: Option<PathBuf>,
    data: PathBuf,
    told: PathBuf,
    elsewhere: Option<PathBuf>,
    history: History,
    stopping: CancellationToken,
    vitals: Vitals,
}

impl Workshop {
    /// Finds the tools.
    async fn tools(self) -> Result<Tools, AppError> {
        let docker = engine_later(self.docker_host.as_deref())?;
        let docker_host = self.docker_host.unwrap_or_else(|| docker::DEFAULT_HOST.to_owned());
        let data = resolved(&self.data);
        let instance = self.history.instance().await.map_err(|e| unusable(&data, e))?;
        let compose = Program::find(&std::env::var_os("PATH").unwrap_or_default(), &instance).await;
        let gauge = Gauge::read(&self.history, now()).await;
        let Self { elsewhere, history, stopping, vitals, .. } = self;
        let program = self.program.or_else(|| std::env::current_exe().ok()).unwrap_or_else(|| "dockmaster".into());
        Ok(Tools {
            docker,
            host: Host::new(&data, program),
            docker_host,
            compose,
            history,
            clock: now,
            data,
            told: resolved(&self.told),
            elsewhere,
            instance,
            stopping,
            vitals,
            own: own(),
            registry: Registry::default(),
            asked: Asked::default(),
            purposes: Arc::default(),
            desired: Arc::default(),
            checks: Checks::default(),
            gauge,
            configuration: None,
        })
    }
}

/// The container that we are in. Where the kernel does not say, there are no containers either.
fn own() -> Option<Ourselves> {
    let mounts = mountinfo::now();
    let container = own::container_id(&mounts)?.to_owned();
    let program = std::env::current_exe().ok()?.to_str()?.to_owned();
    // A helper is told all that we were told but what to do.
    let words = std::env::args().skip(2);
    Some(Ourselves { container, program: std::iter::once(program).chain(words).collect() })
}

/// Where we run.
pub(super) fn environment(data: &Path, configuration: &Path) -> Environment {
    environment::look(Path::new("/"), |name| std::env::var(name).ok(), &resolved(data), &resolved(configuration))
}

pub(super) fn unusable(data: &Path, why: impl std::fmt::Display) -> AppError {
    AppError::Failed(format!("{} cannot be used: {why}.", data.display()))
}

/// A desk that does the work of a data directory, which it holds.
pub struct House {
    /// The desk.
    pub desk: Arc<Desk>,
    pub(super) history: History,
    /// Whether there is a Compose program.
    pub(super) composes: bool,
    stopping: CancellationToken,
    control: socket::Served,
    _chores: Vec<AbortOnDropHandle<()>>,
    // Last, so that it is let go last.
    _lock: DataLock,
}

impl House {
    /// Assembles it, and puts right what an earlier run has left, before anything new is taken. `stopping` ends what runs.
    ///
    /// # Errors
    /// The history cannot be used, or the control socket cannot be made. An engine that is away is waited for.
    pub async fn open(held: Held, given: Given, docker_host: Option<String>, stopping: CancellationToken) -> Result<Self, AppError> {
        Self::open_as(held, given, docker_host, stopping, &Successor::Dockmaster).await
    }

    /// As [`House::open`]; of what is left only what is the `successor`'s is put right.
    pub(super) async fn open_as(
        held: Held,
        given: Given,
        docker_host: Option<String>,
        stopping: CancellationToken,
        successor: &Successor,
    ) -> Result<Self, AppError> {
        let Held { lock, data, told } = held;
        let history = History::open(&data.join(DATABASE)).map_err(|e| unusable(&data, e))?;
        let vitals = Vitals::default();
        let environment = Environment {
            moved_from: (told != data).then(|| told.to_string_lossy().into_owned().into()),
            ..environment(&data, &given.path)
        };
        let around = keeper::Surroundings {
            history: history.clone(),
            clock: now,
            vitals: vitals.clone(),
            hot: given.hot,
            stopping: stopping.clone(),
            environment,
        };
        let program = given.program;
        let Beginning { configuration, keeper, keeping } = keeper::begin(given.path, around).await.map_err(AppError::Setting)?;
        // What is to be without an engine until the next start asks none.
        let docker_host = if configuration.borrow().docker { docker_host } else { Some(docker::ABSENT.to_owned()) };
        let (place, copy, stop) = (data.clone(), history.clone(), stopping.clone());
        let tools = Workshop { docker_host, program, data, told, elsewhere: None, history: copy, stopping: stop, vitals }.tools().await?;
        tools.end_abandoned().await;
        // Before anything is begun that would be cut off where this fails; and served after what was left has its turn.
        let control = socket::bind(&place)
            .map_err(|e| AppError::Failed(format!("The control socket in {} cannot be made: {e}.", place.display())))?;
        let unordered = |e| AppError::Failed(format!("What an earlier run left cannot be put in order: {e}."));
        let cut_off = recover(&tools, successor).await.map_err(unordered)?;
        history.prune(now()).await.map_err(|e| AppError::Failed(format!("{e}.")))?;
        let composes = tools.compose.get().is_some();
        let mut chores = vec![tokio::spawn(prune_daily(history.clone()))];
        let lost = history.clone();
        if tools.docker.is_absent() {
            tracing::info!("there is to be no Docker engine: only processes of the host can be seen to");
        } else {
            chores.push(tokio::spawn(ping(tools.clone())));
            chores.push(tokio::spawn(follow(tools.docker.clone(), stopping.clone())));
        }
        if *successor == Successor::Dockmaster && tools.own.is_some() {
            chores.push(tokio::spawn(remove_helpers(tools.clone())));
        }
        let desk = Arc::new(Desk::new(configuration, tools).with_keeper(keeper));
        if let Some(takeovers) = desk.keeper().map(|keeper| keeper.part("the projects")) {
            let desk = desk.clone();
            chores.push(tokio::spawn(async move { desk.look_at_changes(takeovers).await }));
        }
        chores.push(tokio::spawn(keeping.run()));
        let told = desk.clone();
        chores.push(tokio::spawn(async move { told.look_after_history(lost).await }));
        let measuring = desk.clone();
        chores.push(tokio::spawn(async move { measuring.watch_services().await }));
        let watching = desk.clone();
        chores.push(tokio::spawn(async move { watching.watch_stops().await }));
        desk.resume(cut_off, successor).await.map_err(unordered)?;
        if *successor == Successor::Dockmaster {
            let keeping = desk.clone();
            chores.push(tokio::spawn(async move { keeping.keep_running_images().await }));
            let checking = desk.clone();
            chores.push(tokio::spawn(async move { checking.check_from_outside().await }));
            let tended = desk.clone();
            chores.push(tokio::spawn(async move { tended.tend_processes().await }));
        }
        let control = control.serve(desk.clone());
        Ok(Self {
            desk,
            history,
            composes,
            stopping,
            control,
            _chores: chores.into_iter().map(AbortOnDropHandle::new).collect(),
            _lock: lock,
        })
    }

    /// Takes nothing new, waits until what runs has ended, and lets go. Until `hurry` is cancelled what runs may go on to its
    /// end; then it ends after its running step.
    pub async fn close(self, hurry: &CancellationToken) {
        self.come_to_rest(hurry).await;
        self.control.end().await;
    }

    /// As [`House::close`], for good: services that are to end with dockmaster do.
    pub(super) async fn close_for_good(self, hurry: &CancellationToken) {
        self.come_to_rest(hurry).await;
        self.desk.shut_services().await;
        self.control.end().await;
    }

    async fn come_to_rest(&self, hurry: &CancellationToken) {
        self.desk.refuse_new();
        tokio::select! {
            () = self.desk.at_rest() => {}
            () = hurry.cancelled() => {}
        }
        self.stopping.cancel();
        if tokio::time::timeout(FINISH_LIMIT, self.desk.finish()).await.is_err() {
            tracing::error!("an operation did not end in time; the next start says how far it came");
        }
        self.desk.keep_measures().await;
    }
}

/// A program that runs for months takes old rows away while it runs.
async fn prune_daily(history: History) {
    loop {
        tokio::time::sleep(PRUNE_EVERY).await;
        if let Err(error) = history.prune(now()).await {
            tracing::warn!(%error, "old rows of the history could not be taken away");
        }
    }
}

/// Notes when the engine was there; says so once when it is not, and once when it is back.
async fn ping(tools: Tools) {
    tools.vitals.expect(Part::Engine, now());
    let mut away = false;
    let mut told = tools.docker.told();
    loop {
        match tools.docker.ping().await {
            Ok(()) => {
                tools.vitals.beat(Part::Engine, now());
                if std::mem::take(&mut away) {
                    tracing::info!("the Docker engine answers again");
                }
            }
            Err(error) if !std::mem::replace(&mut away, true) => {
                tracing::error!(host = tools.docker_host, %error, "the Docker engine is away; what needs it says so, and it is waited for");
            }
            Err(_) => {}
        }
        tokio::select! {
            () = tokio::time::sleep(if away { PING_AWAY } else { PING_EVERY }) => {}
            () = broken_off(&mut told) => {}
        }
    }
}

/// Until the engine stops to tell what changes, which is how it is seen first that it went away.
async fn broken_off(told: &mut watch::Receiver<Told>) {
    let followed = told.wait_for(|told| told.following).await.map(drop);
    if followed.is_err() || told.wait_for(|told| !told.following).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// A desk that can be asked and does nothing: it holds nothing and keeps nothing. It has a control socket of its own.
#[derive(Debug)]
pub struct Reader {
    control: socket::Served,
    stopping: CancellationToken,
    scratch: Scratch,
}

/// Whether the projects of a configuration could be deployed as they stand; nothing where the configuration itself has problems.
/// Nothing is changed, and no data directory is looked at.
///
/// # Errors
/// There is no place for temporary files, or the engine's address cannot be used.
pub async fn survey(path: &Path, docker_host: Option<String>) -> Result<Vec<Finding>, AppError> {
    let path = path.to_owned();
    let read = crate::untrusted::off_runtime(move || config::read(&path)).await;
    let Some(configuration) = read.ok().and_then(Result::ok).and_then(|checked| checked.configuration) else { return Ok(Vec::new()) };
    let no_place = |e| AppError::Failed(format!("There is no place for temporary files: {e}."));
    let scratch = Scratch::new().map_err(no_place)?;
    let data = scratch.path().to_owned();
    let history = History::copy(&data.join(DATABASE)).map_err(|e| unusable(&data, e))?;
    let (elsewhere, stopping) = (Some(data.clone()), CancellationToken::new());
    let docker_host = if configuration.docker { docker_host } else { Some(docker::ABSENT.to_owned()) };
    let vitals = Vitals::default();
    let told = data.clone();
    let tools = Workshop { docker_host, program: None, data, told, elsewhere, history, stopping: stopping.clone(), vitals }.tools().await?;
    let (_, receiver) = watch::channel(Arc::new(configuration));
    let found = Desk::new(receiver, tools).survey().await;
    stopping.cancel();
    Ok(found)
}

impl Reader {
    /// Over a data directory with which another dockmaster may be at work, or which is not there yet: either is left as it
    /// is.
    ///
    /// # Errors
    /// What the data directory holds cannot be read.
    pub async fn open(given: &Given, docker_host: Option<String>, data: PathBuf, stopping: CancellationToken) -> Result<Self, AppError> {
        let history = History::copy(&data.join(DATABASE)).map_err(|e| unusable(&data, e))?;
        let configuration = keeper::look_only(&given.path, &history).await.map_err(AppError::Setting)?;
        let no_place = |e| AppError::Failed(format!("There is no place for temporary files: {e}."));
        let scratch = Scratch::new().map_err(no_place)?;
        let stop = stopping.clone();
        let tools = Workshop {
            docker_host,
            program: given.program.clone(),
            told: data.clone(),
            data,
            elsewhere: Some(scratch.path().to_owned()),
            history,
            stopping: stop,
            vitals: Vitals::default(),
        }
        .tools()
        .await?;
        let (_, receiver) = watch::channel(Arc::new(configuration));
        let control =
            socket::bind(scratch.path()).map_err(no_place)?.serve(Arc::new(Desk::new(receiver, tools).with_file(given.path.clone())));
        Ok(Self { control, stopping, scratch })
    }

    /// The directory that its control socket is in.
    pub fn directory(&self) -> &Path {
        self.scratch.path()
    }

    /// Ends it.
    pub async fn close(self) {
        self.stopping.cancel();
        self.control.end().await;
    }
}
