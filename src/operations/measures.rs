//! How much there is in volumes, directories and layers, and how much room beside them: measured aside where it takes long.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use tokio::sync::{Notify, Semaphore, oneshot};

use super::figures::Figures;
use super::here::Here;
use super::tools::{Clock, Tools};
use crate::domain::Millis;
use crate::domain::project::ProjectName;
use crate::domain::volumes::{Figure, Why};
use crate::engine::disk::{self, Room, Walked};
use crate::engine::docker::{Docker, EngineError};

/// How long an answer waits for figures; what takes longer goes on aside, and is told to whoever asks then.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long a file system may take to say how much room it has.
const ROOM_LIMIT: Duration = Duration::from_secs(3);
/// For how long a directory is counted, and how many entries: what is larger is told as at least so much.
const WALK_LIMIT: Duration = Duration::from_secs(120);
const WALK_ENTRIES: usize = 500_000;
/// How many directories are looked at at a time. One that never answers keeps its turn.
const LOOKS_AT_ONCE: usize = 8;
/// How many layers the engine counts for us at a time.
const LAYERS_AT_ONCE: usize = 4;

/// What the engine counted: bytes by the names of volumes.
pub(super) type Counted = Result<Arc<BTreeMap<String, u64>>, EngineError>;

/// What was measured, and what was seen. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Measures {
    volumes: Figures<(), Counted>,
    layers: Figures<String, Option<u64>>,
    walks: Figures<PathBuf, Result<Walked, Why>>,
    rooms: Figures<PathBuf, Result<Room, Why>>,
    looks: Arc<Semaphore>,
    counts: Arc<Semaphore>,
    /// Where the containers of each project were seen to keep data, as far as that is to be seen from here.
    pub(super) places: Arc<DashMap<ProjectName, BTreeSet<PathBuf>>>,
    /// Notified when that is something else.
    pub(super) moved: Arc<Notify>,
    here: Arc<OnceLock<Here>>,
}

impl Measures {
    pub(super) fn new() -> Self {
        Self {
            volumes: Figures::default(),
            layers: Figures::default(),
            walks: Figures::default(),
            rooms: Figures::default(),
            looks: Arc::new(Semaphore::new(LOOKS_AT_ONCE)),
            counts: Arc::new(Semaphore::new(LAYERS_AT_ONCE)),
            places: Arc::default(),
            moved: Arc::default(),
            here: Arc::default(),
        }
    }

    /// Where the paths of the host are. That does not change as long as we run: the engine is asked once.
    pub(super) async fn here(&self, tools: &Tools) -> Here {
        if let Some(known) = self.here.get() {
            return known.clone();
        }
        let here = Here::of(tools).await;
        match here {
            Here::Unclear => here,
            clear => self.here.get_or_init(|| clear).clone(),
        }
    }

    /// How much room there is at a path; none where that does not say in time.
    pub(super) async fn room(&self, path: &Path, clock: Clock) -> Option<Result<Room, Why>> {
        let (looks, at) = (Arc::clone(&self.looks), path.to_owned());
        let look = || async move { aside(looks, move || disk::room(&at)).await.unwrap_or(Err(Why::Untold)) };
        Some(self.rooms.now(path.to_owned(), ROOM_LIMIT, clock, look).await?.1)
    }

    /// How much is at a path.
    pub(super) async fn walked(&self, path: &Path, clock: Clock) -> Figure {
        let (looks, at) = (Arc::clone(&self.looks), path.to_owned());
        let count = || async move {
            let walk = move || disk::walk(&at, WALK_ENTRIES, Instant::now() + WALK_LIMIT);
            aside(looks, walk).await.unwrap_or(Err(Why::Untold))
        };
        match self.walks.of(path.to_owned(), PATIENCE, clock, count).await {
            Some((measured, Ok(walked))) => Figure::Known { bytes: walked.bytes, at_least: !walked.whole, measured },
            Some((_, Err(why))) => Figure::Unknown(why),
            None => Figure::Unknown(Why::Slow),
        }
    }

    /// How much each of the engine's volumes holds, and when that was measured; none where that takes long.
    pub(super) async fn counted(&self, docker: &Docker, clock: Clock) -> Option<(Millis, Counted)> {
        let docker = docker.clone();
        self.volumes.of((), PATIENCE, clock, || async move { docker.volume_sizes().await.map(Arc::new) }).await
    }

    /// How much a container has written to its own layer.
    pub(super) async fn layer(&self, docker: &Docker, container: &str, clock: Clock) -> Figure {
        let (docker, id, counts) = (docker.clone(), container.to_owned(), Arc::clone(&self.counts));
        let count = || async move {
            let _turn = counts.acquire().await.ok()?;
            docker.layer_size(&id).await.unwrap_or_else(|error| {
                tracing::debug!(%error, id, "the engine does not say what a container has written");
                None
            })
        };
        match self.layers.of(container.to_owned(), PATIENCE, clock, count).await {
            Some((measured, Some(bytes))) => Figure::Known { bytes, at_least: false, measured },
            Some((_, None)) => Figure::Unknown(Why::Untold),
            None => Figure::Unknown(Why::Slow),
        }
    }
}

/// Does something that may never come back, on a thread of its own: the runtime would wait for one of its own at the end.
async fn aside<T: Send + 'static>(turns: Arc<Semaphore>, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let turn = turns.acquire_owned().await.ok()?;
    let (done, came) = oneshot::channel();
    let begun = std::thread::Builder::new().name("a look at a disk".to_owned()).spawn(move || {
        let _turn = turn;
        // Nobody may wait for it any more.
        let _ = done.send(work());
    });
    begun.ok()?;
    came.await.ok()
}
