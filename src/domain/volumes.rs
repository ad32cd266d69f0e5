//! Where a project's data is: volumes, directories of the host, memory, and what lies in a container's own layer.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Millis;
use super::project::{ProjectName, ServiceName};
use super::space::Space;

/// What a container's own layer must hold to be worth a word, in bytes: less than this is what any program leaves behind.
pub const LAYER_WORTH: u64 = 1 << 20;

/// The data of a project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectVolumes {
    /// The project.
    pub project: ProjectName,
    /// Where its data is: what lasts longest first, then by name.
    pub stores: Vec<Store>,
    /// How many containers were looked at.
    pub containers: usize,
    /// What could not be found out, in a sentence each.
    pub unknown: Vec<String>,
}

/// A place for data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Store {
    /// What it is.
    pub kind: StoreKind,
    /// The name of a volume; of memory and of a layer, the name of the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it is on the host; memory is nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The driver of a volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Who uses it; nobody, where a volume of the project is left over.
    pub users: BTreeSet<StoreUser>,
    /// What becomes of the data.
    pub lasts: Lasts,
    /// What it holds.
    pub size: Figure,
    /// The most that it can hold, in bytes, where it has a limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// How much room its file system has, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<Space>,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
}

/// What a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// A volume with a name that somebody gave it.
    Volume,
    /// A directory or a file of the host.
    Bind,
    /// A volume that the engine named itself.
    Anonymous,
    /// The layer of a container, where it writes what is mounted nowhere.
    Layer,
    /// Memory.
    Memory,
    /// Something else that is mounted, such as an image.
    Other,
}

/// Something that a container has mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// What it is.
    pub kind: StoreKind,
    /// The name of a volume.
    pub name: Option<String>,
    /// Where it is on the host; none for memory.
    pub source: Option<PathBuf>,
    /// The driver of a volume.
    pub driver: Option<String>,
    /// Where it is in the container.
    pub at: PathBuf,
    /// Whether the container may write there.
    pub writable: bool,
    /// The most that it can hold, in bytes, where it has a limit.
    pub limit: Option<u64>,
}

/// Who uses a store, and how.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StoreUser {
    /// The service.
    pub service: ServiceName,
    /// Where it is in there.
    pub at: PathBuf,
    /// Whether it may write there.
    pub writable: bool,
}

/// What becomes of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lasts {
    /// It outlives its containers.
    Longer,
    /// It outlives its containers, and goes with the next boot of the host: it is memory there.
    UntilBoot,
    /// It is handed on to the next container of the service, as long as there is one to take it from.
    HandedOn,
    /// It goes when the container is remade.
    UntilRemade,
    /// It goes when the container stops.
    UntilStopped,
}

/// How many bytes there are, as last measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// So many.
    Known {
        /// How many.
        bytes: u64,
        /// Whether there are more: it was not all counted.
        at_least: bool,
        /// When that was measured.
        measured: Millis,
    },
    /// It is not known, and why.
    Unknown(Why),
}

/// Why a figure is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It is being measured, and that takes longer than an answer may.
    Slow,
    /// dockmaster runs in a container where the path is not mounted.
    NotHere,
    /// dockmaster may not look there.
    Forbidden,
    /// Nothing is there.
    Gone,
    /// Whoever knows does not say: a driver that counts nothing, an engine that refuses.
    Untold,
    /// There is nothing to measure: memory, a socket, a device.
    Nothing,
}

/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trouble {
    /// Nothing is there any more.
    Gone,
    /// It does not answer, as a share of a machine that is away.
    Silent,
}

impl Store {
    /// Whether what is in it goes with the container, sooner or later, though somebody wrote it.
    pub fn is_passing(&self) -> bool {
        matches!(self.lasts, Lasts::UntilRemade | Lasts::UntilStopped)
    }
}

impl ProjectVolumes {
    /// Puts stores into the order in which they are told.
    #[must_use]
    pub fn in_order(mut self) -> Self {
        self.stores.sort_by(|a, b| (a.kind, &a.name, &a.path, &a.users).cmp(&(b.kind, &b.name, &b.path, &b.users)));
        self
    }
}
