//! Where dockmaster itself runs: in which kind of container, within which limits, with what mounted, and whether what it
//! keeps lies where it lasts.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::project::Configuration;

/// What runs a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runtime {
    /// Docker.
    Docker,
    /// Podman.
    Podman,
    /// Kubernetes, whichever engine that uses.
    Kubernetes,
    /// containerd, without Docker or Kubernetes in front of it.
    Containerd,
    /// LXC, Incus or LXD.
    Lxc,
    /// systemd-nspawn.
    SystemdNspawn,
    /// Something that is not known here.
    Unknown,
}

impl Runtime {
    /// What people call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Docker => "Docker",
            Self::Podman => "Podman",
            Self::Kubernetes => "Kubernetes",
            Self::Containerd => "containerd",
            Self::Lxc => "LXC",
            Self::SystemdNspawn => "systemd-nspawn",
            Self::Unknown => "an unknown runtime",
        }
    }

    /// Whether it makes its containers from images, so that what lies in their own layer goes with them. The others keep
    /// theirs as machines are kept.
    pub fn forgets(self) -> bool {
        !matches!(self, Self::Lxc | Self::SystemdNspawn)
    }
}

/// What dockmaster may use up, by the kernel's control groups. None means that nothing says so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory, in bytes.
    pub memory: Option<u64>,
    /// Processors, in thousandths of one.
    pub millicpus: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

/// What is mounted in a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    /// A volume of the engine's.
    Volume,
    /// A directory or a file of the host.
    Bind,
    /// Memory.
    Memory,
}

/// Something that is mounted in the container, and not by its runtime for its own ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountSeen {
    /// Where.
    pub point: PathBuf,
    /// What it is.
    pub kind: MountKind,
    /// The name of the volume, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
    /// The kind of file system.
    pub file_system: String,
    /// Whether it is a directory.
    pub directory: bool,
    /// Whether anybody may write to it there.
    pub writable: bool,
}

/// What a directory of dockmaster's lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LiesOn {
    /// The container's own layer, which goes with the container.
    Layer,
    /// Memory, which goes with the container or the machine's next boot.
    Memory,
    /// What outlives both, as far as can be seen.
    Disk,
}

/// A place of dockmaster's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its path, without links.
    pub path: PathBuf,
    /// What it lies on.
    pub on: LiesOn,
    /// Where that is mounted.
    pub mounted_at: PathBuf,
    /// The kind of file system.
    pub file_system: String,
    /// Whether dockmaster may write there.
    pub writable: bool,
}

/// Which place of dockmaster's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    /// The data directory.
    Data,
    /// The configuration's file.
    Configuration,
}

/// A place of dockmaster's that does not last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concern {
    /// Which.
    pub which: Which,
    /// Its path.
    pub path: PathBuf,
    /// What it lies on.
    pub on: LiesOn,
    /// Whether dockmaster is in a container that is made from an image.
    pub boxed: bool,
    /// What is mounted, lasts and can be written to, best first.
    pub would_serve: Vec<PathBuf>,
}

/// Where dockmaster itself runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// What runs the container that it is in; none where it is in none.
    pub runtime: Option<Runtime>,
    /// How that is known, a few words each, also what speaks against it.
    pub signs: Vec<String>,
    /// What it may use up.
    pub limits: Limits,
    /// What is mounted in the container.
    pub mounts: Vec<MountSeen>,
    /// The data directory; none where nothing can be said of it.
    pub data: Option<Place>,
    /// The configuration's file; likewise.
    pub configuration: Option<Place>,
    /// What does not last.
    pub concerns: Vec<Concern>,
    /// The directory that dockmaster was told to keep its data in, where that was moved away from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<PathBuf>,
}

impl Environment {
    /// The same, with the directories of projects kept out of what would serve.
    #[must_use]
    pub fn sparing(mut self, configuration: &Configuration) -> Self {
        self.concerns.iter_mut().for_each(|concern| spare(&mut concern.would_serve, configuration));
        self
    }
}

/// Keeps the directories of projects out of what would serve: in one of them nothing else is to lie, and one around them comes
/// last.
pub fn spare(would_serve: &mut Vec<PathBuf>, configuration: &Configuration) {
    let projects = || configuration.projects.values().flat_map(|p| p.workspace.iter().chain(&p.production));
    would_serve.retain(|point| !projects().any(|project| point.starts_with(project)));
    would_serve.sort_by_key(|point| projects().any(|project| project.starts_with(point)));
}
