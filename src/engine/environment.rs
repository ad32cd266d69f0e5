//! Where dockmaster itself runs, by what the kernel, the runtime and the environment say. Pure but for [`look`], which reads
//! what the rest decides on.

use std::path::{Component, Path, PathBuf};

use rustix::fs::Access;

use super::mountinfo::{self, MOUNTINFO, Mounted};
use super::own::{self, container_id, is_id};
use crate::domain::environment::{Concern, Environment, LiesOn, Limits, MountKind, MountSeen, Place, Runtime, Which};

/// The most mounts that are listed.
const MOUNTS_MAX: usize = 100;
/// The most of them that are named where something should be moved to one.
const SERVING_MAX: usize = 5;
/// What a limit of the first version of control groups is where there is none, or more.
const UNLIMITED: u64 = 1 << 62;
/// File systems in memory.
const MEMORY: [&str; 2] = ["tmpfs", "ramfs"];
/// File systems that hold no files of anybody's.
const KERNEL: [&str; 22] = [
    "proc",
    "sysfs",
    "devtmpfs",
    "devpts",
    "mqueue",
    "cgroup",
    "cgroup2",
    "securityfs",
    "debugfs",
    "tracefs",
    "bpf",
    "pstore",
    "configfs",
    "fusectl",
    "hugetlbfs",
    "binfmt_misc",
    "autofs",
    "nsfs",
    "rpc_pipefs",
    "efivarfs",
    "selinuxfs",
    "fuse.lxcfs",
];
/// File systems of other machines, or of programs: locks and the history's log cannot be relied on there.
const REMOTE: [&str; 9] = ["nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "ceph", "glusterfs", "afs"];
/// File systems that containers are laid over their images with.
const LAYERED: [&str; 3] = ["overlay", "aufs", "fuse.fuse-overlayfs"];
/// Places that runtimes fill in every container.
const RUNTIME: [&str; 5] = ["/proc", "/sys", "/dev", "/run/.containerenv", "/sbin/docker-init"];
/// Places where nothing is kept that is to last.
const SYSTEM: [&str; 3] = ["/run", "/var/run", "/etc"];

/// What is to be told by.
#[derive(Debug, Clone, Default)]
struct Seen {
    mounts: Vec<Mounted>,
    /// `/proc/self/cgroup`
    cgroup: String,
    /// Whether `/.dockerenv` is there.
    dockerenv: bool,
    /// Whether `/run/.containerenv` is there.
    containerenv: bool,
    /// What `/run/systemd/container` says.
    systemd: Option<String>,
    /// What the variable `container` says.
    variable: Option<String>,
    /// Whether there is a variable `KUBERNETES_SERVICE_HOST`.
    orchestrated: bool,
}

/// Something that says which runtime this is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sign {
    says: Runtime,
    what: String,
    /// Whether it cannot have been left behind, or set, where there is no container.
    certain: bool,
}

/// Looks at what is below `root`, which is `/` but for tests; `variable` knows the environment. `data` is the data directory,
/// `configuration` the file, both without links. Blocks.
pub fn look(root: &Path, variable: impl Fn(&str) -> Option<String>, data: &Path, configuration: &Path) -> Environment {
    let text = |path: &str| std::fs::read_to_string(below(root, Path::new(path))).ok();
    let word = |text: String| Some(text.trim().to_owned()).filter(|word| !word.is_empty());
    let seen = Seen {
        mounts: mountinfo::parse(&std::fs::read(below(root, Path::new(MOUNTINFO))).unwrap_or_default()),
        cgroup: text("/proc/self/cgroup").unwrap_or_default(),
        dockerenv: below(root, Path::new("/.dockerenv")).exists(),
        containerenv: below(root, Path::new("/run/.containerenv")).exists(),
        systemd: text("/run/systemd/container").and_then(word),
        variable: variable("container").and_then(word),
        orchestrated: variable("KUBERNETES_SERVICE_HOST").is_some(),
    };
    let (runtime, signs) = seen.runtime();
    let may_write = |path: &Path| may_write(&below(root, path));
    let is_directory = |path: &Path| below(root, path).is_dir();
    let data = place(&seen.mounts, runtime, data, data, &may_write);
    // A file is written by putting another one into its place.
    let file = configuration;
    let configuration = place(&seen.mounts, runtime, file, file.parent().unwrap_or(file), &may_write);
    let mounts: Vec<MountSeen> = match runtime {
        Some(_) => seen.mounts.iter().filter_map(|m| shown(m, &is_directory)).take(MOUNTS_MAX).collect(),
        None => Vec::new(),
    };
    let fit = fit(root, &mounts);
    let concerns = [(Which::Data, &data), (Which::Configuration, &configuration)].into_iter().filter_map(|(which, place)| {
        let place = place.as_ref()?;
        // What nobody can change cannot be lost: it came with the image, or an orchestrator hands it in each time.
        let fixed = which == Which::Configuration && mountinfo::of(&seen.mounts, file).is_some_and(|m| !m.writable);
        if fixed { None } else { concern(which, place, runtime, &fit) }
    });
    let concerns = concerns.collect();
    let limits = limits(&seen.mounts, &seen.cgroup, &|path| std::fs::read_to_string(below(root, path)).ok());
    Environment { runtime, signs, limits, mounts, data, configuration, concerns, moved_from: None }
}

/// Of what is mounted, the directories that last and may be written to. Blocks.
pub fn fit(root: &Path, mounts: &[MountSeen]) -> Vec<PathBuf> {
    let fit = mounts.iter().filter(|m| would_serve(m) && may_write(&below(root, &m.point)));
    fit.map(|m| m.point.clone()).take(SERVING_MAX).collect()
}

/// A path of the container's below another root.
fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// A path as it can be sent and kept: as text.
fn in_words(path: &Path) -> PathBuf {
    path.to_string_lossy().into_owned().into()
}

/// Whether we may make files in a directory, or in the one that it would be made in.
fn may_write(path: &Path) -> bool {
    let there = path.ancestors().find(|p| p.exists());
    there.is_some_and(|there| rustix::fs::access(there, Access::WRITE_OK | Access::EXEC_OK).is_ok())
}

impl Seen {
    /// Which runtime this is, and what was decided by. Signs are in the order in which they count: what runs the container
    /// comes before what that uses, what the runtime has put here before what an image may have brought along.
    fn runtime(&self) -> (Option<Runtime>, Vec<String>) {
        let signs = self.signs();
        let is_certain = signs.iter().any(|sign| sign.certain);
        // A file or a variable can be left over where the system was made from an image: then nothing lies over a layer.
        let left_over = !is_certain && self.is_on_a_disk_of_its_own();
        if left_over {
            let words = |sign: &Sign| format!("{} does not count: / is a disk of its own, and nothing else says so", sign.what);
            return (None, signs.iter().map(words).collect());
        }
        let runtime = signs.first().map(|sign| sign.says);
        let mut words: Vec<String> = signs.iter().map(|sign| format!("{}: {}", sign.what, sign.says.word())).collect();
        if let Some(runtime) = runtime.filter(|runtime| signs.iter().any(|sign| sign.says != *runtime)) {
            words.push(match runtime {
                Runtime::Kubernetes => "Kubernetes counts, whatever it runs its containers with".to_owned(),
                _ => format!("the first of these counts: {}", runtime.word()),
            });
        }
        (runtime, words)
    }

    fn signs(&self) -> Vec<Sign> {
        let sign = |says, what: &str, certain| Sign { says, what: what.to_owned(), certain };
        let mut signs = Vec::new();
        signs.extend(self.of_a_pod().then(|| sign(Runtime::Kubernetes, "/etc/hosts is mounted from a pod's directory", true)));
        let groups: Vec<(Runtime, &str)> = self.cgroup.lines().filter_map(of_group).collect();
        let pod = groups.iter().find(|(runtime, _)| *runtime == Runtime::Kubernetes);
        signs.extend(pod.map(|(runtime, path)| sign(*runtime, &format!("the control group {path}"), true)));
        signs.extend(self.orchestrated.then(|| sign(Runtime::Kubernetes, "the variable KUBERNETES_SERVICE_HOST", false)));
        signs.extend(self.containerenv.then(|| sign(Runtime::Podman, "the file /run/.containerenv", true)));
        signs.extend(
            self.of_an_engine().map(|runtime| sign(runtime, "/etc/hosts and the like are mounted from a container's directory", true)),
        );
        let group = groups.first().filter(|_| pod.is_none());
        signs.extend(group.map(|(runtime, path)| sign(*runtime, &format!("the control group {path}"), true)));
        let lxcfs = |m: &Mounted| m.file_system == "fuse.lxcfs" && m.point.starts_with("/proc");
        signs.extend(self.mounts.iter().any(lxcfs).then(|| sign(Runtime::Lxc, "LXCFS is mounted in /proc", true)));
        for (what, word) in [("/run/systemd/container says", &self.systemd), ("the variable “container” says", &self.variable)] {
            signs.extend(word.as_ref().and_then(|word| Some(sign(named(word)?, &format!("{what} {word}"), true))));
        }
        signs.extend(self.dockerenv.then(|| sign(Runtime::Docker, "the file /.dockerenv", false)));
        signs
    }

    /// Whether Kubernetes has mounted `/etc/hosts`.
    fn of_a_pod(&self) -> bool {
        let hosts = self.mounts.iter().filter(|m| m.point == Path::new("/etc/hosts"));
        hosts.map(|m| m.root.to_string_lossy()).any(|root| root.contains("/pods/") && root.ends_with("/etc-hosts"))
    }

    /// The engine that has mounted `/etc/hosts` and the like, by the name of the directory that it keeps them in.
    fn of_an_engine(&self) -> Option<Runtime> {
        let id = container_id(&self.mounts)?;
        let named = |m: &Mounted| m.root.ancestors().find(|part| part.ends_with(id)).and_then(Path::parent).map(Path::to_owned);
        let kept = own::files(&self.mounts).find_map(named)?;
        Some(match kept.file_name()?.to_str()? {
            "containers" => Runtime::Docker,
            name if name.ends_with("-containers") => Runtime::Podman,
            "sandboxes" | "default" => Runtime::Containerd,
            _ => Runtime::Unknown,
        })
    }

    /// Whether all of a disk, and nothing laid over something, is what we have as `/`.
    fn is_on_a_disk_of_its_own(&self) -> bool {
        let root = mountinfo::of(&self.mounts, Path::new("/"));
        root.is_some_and(|m| m.root == Path::new("/") && m.source.starts_with("/dev/") && !LAYERED.contains(&m.file_system.as_str()))
    }
}

/// The runtime that made a control group, by its innermost part; none for a group of the machine's own.
fn of_group(line: &str) -> Option<(Runtime, &str)> {
    let path = line.splitn(3, ':').nth(2)?;
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let of_part = |at: usize| {
        let (part, next) = (parts[at], parts.get(at + 1));
        let scope = |name: &str| part.strip_prefix(name).is_some_and(|rest| is_id(rest.trim_end_matches(".scope")));
        Some(match part {
            _ if part.starts_with("kubepods") || scope("crio-") => Runtime::Kubernetes,
            _ if scope("docker-") || part == "docker" && next.is_some_and(|next| is_id(next)) => Runtime::Docker,
            _ if scope("libpod-") || part.starts_with("libpod_parent") => Runtime::Podman,
            _ if scope("cri-containerd-") || scope("nerdctl-") => Runtime::Containerd,
            _ if part == "lxc" && next.is_some() || part.starts_with("lxc.payload") => Runtime::Lxc,
            _ if part.starts_with("systemd-nspawn@") => Runtime::SystemdNspawn,
            _ => return None,
        })
    };
    // A pod's group holds those of its containers.
    let pod = (0..parts.len()).filter_map(of_part).find(|runtime| *runtime == Runtime::Kubernetes);
    let unknown = || parts.last().filter(|last| is_id(last)).map(|_| Runtime::Unknown);
    let runtime = pod.or_else(|| (0..parts.len()).rev().find_map(of_part)).or_else(unknown)?;
    Some((runtime, path))
}

/// What systemd and the variable `container` call runtimes; none for what is no container.
fn named(word: &str) -> Option<Runtime> {
    Some(match word {
        // A virtual machine, which systemd counts among them.
        "wsl" => return None,
        "docker" => Runtime::Docker,
        "podman" => Runtime::Podman,
        "lxc" | "lxc-libvirt" | "lxd" | "incus" => Runtime::Lxc,
        "systemd-nspawn" => Runtime::SystemdNspawn,
        _ => Runtime::Unknown,
    })
}

fn is_below(path: &Path, places: &[&str]) -> bool {
    places.iter().any(|place| path.starts_with(place))
}

fn is_in_memory(file_system: &str) -> bool {
    MEMORY.contains(&file_system)
}

/// A mount as it is shown; none for what every container has.
fn shown(mount: &Mounted, is_directory: &impl Fn(&Path) -> bool) -> Option<MountSeen> {
    let own = is_below(&mount.point, &RUNTIME) || mount.point == Path::new("/") || KERNEL.contains(&mount.file_system.as_str());
    if own || container_id(std::slice::from_ref(mount)).is_some() || mount.root.ends_with("etc-hosts") {
        return None;
    }
    let volume = volume(&mount.root);
    let kind = match &volume {
        Some(_) => MountKind::Volume,
        None if is_in_memory(&mount.file_system) => MountKind::Memory,
        None => MountKind::Bind,
    };
    let (point, directory) = (in_words(&mount.point), is_directory(&mount.point));
    Some(MountSeen { point, kind, volume, file_system: mount.file_system.clone(), directory, writable: mount.writable })
}

/// The name of an engine's volume, by the directory that it keeps it in.
fn volume(root: &Path) -> Option<String> {
    let parts: Vec<&str> = root.components().filter_map(|c| if let Component::Normal(part) = c { part.to_str() } else { None }).collect();
    match parts[..] {
        [.., "volumes", name, "_data"] => Some(name.to_owned()),
        _ => None,
    }
}

/// Whether what dockmaster keeps would last on a mount, where it may be written to.
fn would_serve(mount: &MountSeen) -> bool {
    let kept = mount.kind != MountKind::Memory && !REMOTE.contains(&mount.file_system.as_str()) && !mount.file_system.starts_with("fuse");
    kept && mount.directory && mount.writable && !is_below(&mount.point, &SYSTEM)
}

/// A place of dockmaster's, which is written to in a directory.
fn place(mounts: &[Mounted], runtime: Option<Runtime>, path: &Path, directory: &Path, may_write: &impl Fn(&Path) -> bool) -> Option<Place> {
    let mount = mountinfo::of(mounts, path)?;
    let file_system = mount.file_system.as_str();
    // Of what is not known it is only believed where it looks like it.
    let forgets = runtime.is_some_and(|r| r.forgets() && (r != Runtime::Unknown || LAYERED.contains(&file_system)));
    let on = match () {
        () if is_in_memory(file_system) => LiesOn::Memory,
        () if mount.point == Path::new("/") && forgets => LiesOn::Layer,
        () => LiesOn::Disk,
    };
    Some(Place {
        path: in_words(path),
        on,
        mounted_at: in_words(&mount.point),
        file_system: file_system.to_owned(),
        writable: mount.writable && directory.starts_with(&mount.point) && may_write(directory),
    })
}

fn concern(which: Which, place: &Place, runtime: Option<Runtime>, fit: &[PathBuf]) -> Option<Concern> {
    if place.on == LiesOn::Disk {
        return None;
    }
    let would_serve = fit.iter().filter(|point| **point != place.mounted_at).cloned().collect();
    Some(Concern { which, path: place.path.clone(), on: place.on, boxed: runtime.is_some_and(Runtime::forgets), would_serve })
}

/// The tightest limits of our control groups and of those around them.
fn limits(mounts: &[Mounted], cgroup: &str, read: &impl Fn(&Path) -> Option<String>) -> Limits {
    let groups: Vec<(&str, &str)> = cgroup
        .lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            Some((fields.next()?, fields.next()?))
        })
        .collect();
    // The directories of a controller in the first version, and those that all have in the second.
    let directories = |controller: &str| {
        let of = |has: &dyn Fn(&str) -> bool, file_system: &str, mounted: &dyn Fn(&Mounted) -> bool| {
            let path = groups.iter().find(|(controllers, _)| has(controllers)).map(|(_, path)| *path);
            let mount = mounts.iter().find(|m| m.file_system == file_system && mounted(m));
            path.zip(mount).map(|(path, mount)| group_directories(mount, Path::new(path))).unwrap_or_default()
        };
        let named = |names: &str| names.split(',').any(|name| name == controller);
        (of(&named, "cgroup", &|m| named(&m.options)), of(&str::is_empty, "cgroup2", &|_| true))
    };
    let least = |controller: &str, first: &dyn Fn(&Path) -> Option<u64>, second: &dyn Fn(&Path) -> Option<u64>| {
        let (of_first, of_second) = directories(controller);
        of_first.iter().filter_map(|d| first(d)).chain(of_second.iter().filter_map(|d| second(d))).min()
    };
    let number = |directory: &Path, file: &str| read(&directory.join(file))?.trim().parse::<u64>().ok().filter(|n| *n < UNLIMITED);
    let share = |quota: u64, period: u64| quota.checked_mul(1_000)?.checked_div(period);
    Limits {
        memory: least("memory", &|d| number(d, "memory.limit_in_bytes"), &|d| number(d, "memory.max")),
        millicpus: least("cpu", &|d| share(number(d, "cpu.cfs_quota_us")?, number(d, "cpu.cfs_period_us")?), &|d| {
            let text = read(&d.join("cpu.max"))?;
            let (quota, period) = text.trim().split_once(' ')?;
            share(quota.parse().ok()?, period.parse().ok()?)
        }),
        pids: least("pids", &|d| number(d, "pids.max"), &|d| number(d, "pids.max")),
    }
}

/// Where a control group is seen, and those around it, as far as they are.
fn group_directories(mount: &Mounted, path: &Path) -> Vec<PathBuf> {
    // A container may see its own group as the root of all, or the path that it has outside.
    let plain = |path: &Path| path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
    let rest = path.strip_prefix(&mount.root).ok().filter(|rest| plain(rest)).unwrap_or(Path::new(""));
    rest.ancestors().map(|part| mount.point.join(part)).collect()
}

#[cfg(test)]
mod tests;
