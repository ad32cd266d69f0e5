//! The container that dockmaster itself runs in, where it does: which one that is, and where on the host its directories
//! are. Pure: what is read here comes from the kernel and from the engine.

use std::path::{Path, PathBuf};

use super::mountinfo::Mounted;

/// The container that we are in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ourselves {
    /// Its id.
    pub container: String,
    /// What this program was started as, with all its words but `run`.
    pub program: Vec<String>,
}

/// Files that engines mount into every container, each from a directory that is called by the container's id.
const FILES: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];
/// How long an id is.
const ID_LENGTH: usize = 64;

/// Whether this can be an id.
pub(super) fn is_id(part: &str) -> bool {
    part.len() == ID_LENGTH && part.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The id of the container that we are in, by what is mounted; none where we are in none.
///
/// A file like `/.dockerenv` would say no more than that some engine was here once, and the host's name is the host's own
/// in the host's network.
pub fn container_id(mounts: &[Mounted]) -> Option<&str> {
    files(mounts).flat_map(|mount| &mount.root).filter_map(|part| part.to_str()).find(|part| is_id(part))
}

/// The files that engines mount into every container, as far as they are mounted.
pub(super) fn files(mounts: &[Mounted]) -> impl Iterator<Item = &Mounted> {
    mounts.iter().filter(|mount| FILES.iter().any(|file| mount.point == Path::new(file)))
}

/// A directory of the host, or a volume, as a container sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where it is on the host.
    pub source: PathBuf,
    /// Where it is in the container.
    pub destination: PathBuf,
}

/// Where on the host a path of the container is; none where the host has no path for it.
pub fn on_host(mounts: &[Mount], path: &Path) -> Option<PathBuf> {
    let around = mounts.iter().filter(|m| path.starts_with(&m.destination));
    // The deepest one hides what the others have there.
    let mount = around.max_by_key(|m| m.destination.components().count())?;
    let rest = path.strip_prefix(&mount.destination).ok()?;
    // Memory has no path. (An empty rest would add a slash.)
    mount.source.is_absolute().then(|| mount.source.join(rest).components().collect())
}

/// Where in the container a path of the host is; none where it is not mounted there.
pub fn in_here(mounts: &[Mount], path: &Path) -> Option<PathBuf> {
    let around = mounts.iter().filter(|m| m.source.is_absolute() && path.starts_with(&m.source));
    let here = around.filter_map(|m| Some(m.destination.join(path.strip_prefix(&m.source).ok()?).components().collect::<PathBuf>()));
    // Something else may be mounted over it.
    here.filter(|here| on_host(mounts, here).as_deref() == Some(path)).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::mountinfo::parse;

    const ID: &str = "4e57459c3d934ed65bce487c56c7096bb451922b2dbbe1336c87a0dbea3562db";

    #[test]
    fn the_container_is_known_by_the_files_that_its_engine_mounts() {
        for root in [
            format!("/var/lib/docker/containers/{ID}/hosts"),
            format!("/containers/{ID}/hosts"),
            format!("/run/containers/storage/overlay-containers/{ID}/userdata/hosts"),
        ] {
            let text = format!("74 73 0:42 / / ro - overlay overlay ro\n94 74 254:0 {root} /etc/hosts ro - ext4 /dev/vda rw\n");
            assert_eq!(container_id(&parse(text.as_bytes())), Some(ID), "{text}");
        }
    }

    #[test]
    fn a_host_that_has_containers_is_none() {
        let text = format!(
            "27 1 254:0 / / rw - ext4 /dev/vda rw\n\
             60 27 0:50 / /var/lib/docker/containers/{ID}/mounts/shm rw - tmpfs shm rw\n\
             61 27 254:0 /etc/hosts.d/hosts /etc/hosts rw - ext4 /dev/vda rw\n\
             62 27 254:0 /{ID} /srv rw - ext4 /dev/vda rw\n\
             a line that is none\n"
        );
        assert_eq!(container_id(&parse(text.as_bytes())), None);
        assert_eq!(container_id(&[]), None);
    }

    #[test]
    fn the_deepest_mount_says_where_a_path_is_on_the_host() {
        let mount = |source: &str, destination: &str| Mount { source: source.into(), destination: destination.into() };
        let mounts =
            [mount("/srv", "/srv"), mount("/data/shop", "/srv/shop"), mount("", "/srv/memory"), mount("/", "/host"), mount("/own", "/")];
        for (path, host) in [
            ("/srv", Some("/srv")),
            ("/srv/other", Some("/srv/other")),
            ("/srv/shopping", Some("/srv/shopping")),
            ("/srv/shop", Some("/data/shop")),
            ("/srv/shop/a/b", Some("/data/shop/a/b")),
            ("/srv/memory/x", None),
            ("/host/etc", Some("/etc")),
            ("/elsewhere", Some("/own/elsewhere")),
        ] {
            assert_eq!(on_host(&mounts, Path::new(path)).as_deref(), host.map(Path::new), "{path}");
        }
        assert_eq!(on_host(&mounts[..4], Path::new("/elsewhere")), None);
    }
    #[test]
    fn a_path_of_the_host_is_found_where_it_is_mounted_and_nowhere_else() {
        let mount = |source: &str, destination: &str| Mount { source: source.into(), destination: destination.into() };
        let mounts = [mount("/srv", "/srv"), mount("/data/shop", "/srv/shop"), mount("/data", "/mnt"), mount("", "/tmp")];
        for (path, here) in [
            ("/srv", Some("/srv")),
            ("/srv/other", Some("/srv/other")),
            ("/srv/shop", None),
            ("/data/shop/x", Some("/mnt/shop/x")),
            ("/data", Some("/mnt")),
            ("/etc", None),
            ("/srvs", None),
        ] {
            assert_eq!(in_here(&mounts, Path::new(path)).as_deref(), here.map(Path::new), "{path}");
        }
    }
}
