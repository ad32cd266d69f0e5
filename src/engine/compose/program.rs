//! The Compose program that there is now: it may be upgraded, installed or removed while dockmaster runs.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Compose, Version};
use crate::process::owned_mark;

/// Where the client of Docker looks for plugins, beside the directory of its own configuration.
const PLUGINS: [&str; 4] = [
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];

/// How many more times to look for a program that was there a moment ago, and the pause before each look.
const LOOKS_MORE: usize = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// A file as it was seen, links followed: its device, inode, size and time of change. An upgrade changes at least one of them.
type Seen = (PathBuf, [u64; 3], [i64; 2]);

/// The Compose program, whichever there is. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Program {
    path: OsString,
    /// Which dockmaster asks: a kill may leave a program that does not answer, and its next start ends that.
    instance: String,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    /// The files by which it was found; none where it was not.
    seen: Option<Vec<Seen>>,
    compose: Option<Compose>,
}

impl Program {
    /// Looks for it in a search path, for the dockmaster `instance`.
    pub async fn find(path: &OsStr, instance: &str) -> Self {
        let program = Self { path: path.to_owned(), instance: instance.to_owned(), known: Arc::default() };
        program.renew().await;
        program
    }

    /// As it was found last; none where there is none.
    pub fn get(&self) -> Option<Compose> {
        self.known().compose.clone()
    }

    /// Its version, as it was found last.
    pub fn version(&self) -> Option<Version> {
        self.known().compose.as_ref().map(|compose| compose.version)
    }

    /// Looks for it again where its files are no longer those by which it was found. Otherwise nothing is started.
    pub async fn renew(&self) {
        let places = self.places();
        // What cannot be looked at counts as changed.
        let seen = tokio::task::spawn_blocking(move || places.into_iter().filter_map(look).collect()).await.unwrap_or_default();
        if self.known().seen.as_ref() == Some(&seen) {
            return;
        }
        let was_there = self.known().compose.is_some();
        let find = || async { Compose::find(&self.path, &owned_mark(&self.instance)).await };
        let mut found = find().await;
        // Where there was one, an upgrade may be half way: the file is being written, or moved into its place.
        for _ in 0..LOOKS_MORE {
            if found.is_some() || !was_there {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            found = find().await;
        }
        let mut known = self.known();
        let (before, now) = (known.compose.as_ref().map(|c| c.version), found.as_ref().map(|c| c.version));
        if let Some(before) = before.filter(|before| now != Some(*before)) {
            let now = now.map_or_else(|| "none".to_owned(), |now| now.to_string());
            tracing::info!(%before, now, "another version of Compose is installed");
        }
        *known = Known { seen: found.is_some().then_some(seen), compose: found };
    }

    /// Every file that may be it, or that `docker` may start for it.
    fn places(&self) -> Vec<PathBuf> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let own = set("DOCKER_CONFIG").or_else(|| set("HOME").map(|home| home.join(".docker"))).map(|own| own.join("cli-plugins"));
        let plugins = PLUGINS.iter().map(PathBuf::from).chain(own).map(|directory| directory.join("docker-compose"));
        std::env::split_paths(&self.path).flat_map(|d| ["docker-compose", "docker"].map(|name| d.join(name))).chain(plugins).collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn look(path: PathBuf) -> Option<Seen> {
    let seen = std::fs::metadata(&path).ok()?;
    // The time of change as well: an upgrade may bring an older file.
    Some((path, [seen.dev(), seen.ino(), seen.size()], [seen.ctime(), seen.ctime_nsec()]))
}
