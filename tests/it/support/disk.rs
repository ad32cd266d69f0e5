//! A small disk that can be filled.

use std::path::{Path, PathBuf};

use super::fixture::{command, sh};

/// A small file system in memory, unmounted at the end.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Needs root, as the engine does; without it the test fails and says so.
    pub(crate) fn mount(at: &Path, size: &str) -> Self {
        std::fs::create_dir_all(at).unwrap();
        sh("mount", &["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "dockmaster-test", at.to_str().unwrap()]);
        Self(at.to_owned())
    }

    /// Takes all that is free but so many bytes.
    pub(crate) fn fill(&self, leave: u64) {
        let stat = rustix::fs::statvfs(&self.0).unwrap();
        let size = (stat.f_bavail * stat.f_frsize).saturating_sub(leave);
        let written = std::fs::write(self.0.join("filler"), vec![0; usize::try_from(size).unwrap()]);
        assert!(leave == 0 || written.is_ok(), "{written:?}");
    }

    pub(crate) fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(&self.0);
    }
}

/// One file or directory seen in the place of another, as engines mount them. Unmounted at the end.
pub(crate) struct Mounted(PathBuf);

impl Mounted {
    pub(crate) fn file(file: &Path, at: &Path) -> Self {
        std::fs::write(at, "").unwrap();
        Self::mount(file, at)
    }

    pub(crate) fn directory(directory: &Path, at: &Path) -> Self {
        std::fs::create_dir(at).unwrap();
        Self::mount(directory, at)
    }

    fn mount(file: &Path, at: &Path) -> Self {
        sh("mount", &["--bind", file.to_str().unwrap(), at.to_str().unwrap()]);
        Self(at.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        unmount(&self.0);
    }
}

fn unmount(at: &Path) {
    match command("umount").arg("-l").arg(at).output() {
        Ok(output) if output.status.success() => {}
        other => eprintln!("{} could not be unmounted: {other:?}", at.display()),
    }
}
