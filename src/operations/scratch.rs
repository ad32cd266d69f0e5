//! Directories for a while.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::tools::random_name;

/// A directory that ends with this value.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes one where temporary files are, for our eyes only.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new() -> io::Result<Self> {
        Self::named(&std::env::temp_dir(), "dockmaster-")
    }

    /// Makes a hidden one in a directory, for our eyes only.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn below(directory: &Path) -> io::Result<Self> {
        Self::named(directory, ".dockmaster-")
    }

    fn named(directory: &Path, prefix: &str) -> io::Result<Self> {
        let name = random_name().map_err(io::Error::other)?;
        let path = directory.join(format!("{prefix}{name}"));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path.canonicalize().unwrap_or(path)))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, directory = %self.0.display(), "was left behind");
        }
    }
}
