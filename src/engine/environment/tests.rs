use super::*;
use crate::domain::words;
use expect_test::{Expect, expect};

const ID: &str = "3f232f8f47d482bc61217f7582f32a3a6e8e081486c57b247d55ae5868d8a37d";

/// What every container of Docker has, beside what makes one differ from another.
const DOCKER: &str = "\
73 66 0:41 / / rw,relatime master:18 - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/A,upperdir=/var/lib/docker/overlay2/9c/diff
74 73 0:42 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
75 73 0:43 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
76 75 0:44 / /dev/pts rw,nosuid,noexec,relatime - devpts devpts rw,gid=5,mode=620,ptmxmode=666
77 73 0:45 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro
89 75 0:47 / /dev/shm rw,nosuid,nodev,noexec,relatime - tmpfs shm rw,size=65536k
94 73 254:0 /var/lib/docker/containers/ID/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/vda rw,discard
95 73 254:0 /var/lib/docker/containers/ID/hostname /etc/hostname rw,relatime - ext4 /dev/vda rw,discard
96 73 254:0 /var/lib/docker/containers/ID/hosts /etc/hosts rw,relatime - ext4 /dev/vda rw,discard
50 74 0:42 /bus /proc/bus ro,nosuid,nodev,noexec,relatime - proc proc rw
54 74 0:49 / /proc/acpi ro,relatime - tmpfs tmpfs ro
";
const PODMAN_ROOTLESS: &str = "\
1200 1100 0:110 / / rw,relatime - overlay overlay rw,lowerdir=/home/ann/.local/share/containers/storage/overlay/l/B,userxattr
1203 1200 0:112 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
1204 1200 0:113 / /dev rw,nosuid,noexec - tmpfs tmpfs rw,size=65536k,mode=755,uid=1000,gid=1000,inode64
1206 1200 0:114 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs rw
1209 1200 0:53 /containers/overlay-containers/ID/userdata/.containerenv /run/.containerenv rw,nosuid,nodev,relatime - tmpfs tmpfs rw,uid=1000
1210 1200 0:53 /containers/overlay-containers/ID/userdata/resolv.conf /etc/resolv.conf rw,nosuid,nodev,relatime - tmpfs tmpfs rw,uid=1000
1211 1200 0:53 /containers/overlay-containers/ID/userdata/hosts /etc/hosts rw,nosuid,nodev,relatime - tmpfs tmpfs rw,uid=1000
1214 1206 0:29 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
1216 1200 253:2 /home/ann/.local/share/containers/storage/volumes/kept/_data /kept rw,relatime - xfs /dev/mapper/home rw
";
const POD: &str = "\
2626 2500 0:230 / / rw,relatime - overlay overlay rw,lowerdir=/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/36/fs
2627 2626 0:231 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
2628 2626 0:232 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
2630 2626 0:51 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro
2632 2630 0:25 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw
2645 2626 8:1 /var/lib/kubelet/pods/b34634ea/volumes/kubernetes.io~csi/pvc-1/mount /var/lib/dockmaster rw,relatime - ext4 /dev/sdb rw
2646 2626 8:1 /var/lib/kubelet/pods/b34634ea/volumes/kubernetes.io~configmap/c /etc/dockmaster ro,relatime - ext4 /dev/sda1 rw
2647 2626 8:1 /var/lib/kubelet/pods/b34634ea/etc-hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw,commit=30
2648 2628 8:1 /var/lib/kubelet/pods/b34634ea/containers/main/daf3b15a /dev/termination-log rw,relatime - ext4 /dev/sda1 rw
2649 2626 8:1 /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/ID/hostname /etc/hostname rw,nosuid - ext4 /dev/sda1 rw
2650 2626 8:1 /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/ID/resolv.conf /etc/resolv.conf rw,nosuid - ext4 /dev/sda1 rw
2651 2626 0:228 / /run/secrets/kubernetes.io/serviceaccount ro,relatime - tmpfs tmpfs rw,size=1011268k
";
const LXC: &str = "\
601 500 0:48 / / rw,relatime shared:300 master:250 - zfs tank/lxd/containers/c1 rw,xattr,posixacl
602 601 0:60 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
603 602 0:55 /proc/meminfo /proc/meminfo rw,nosuid,nodev,relatime - fuse.lxcfs lxcfs rw,user_id=0,group_id=0,allow_other
604 601 0:61 / /dev rw,relatime - tmpfs none rw,size=492k,mode=755
605 601 0:62 / /sys rw,relatime - sysfs sysfs rw
606 605 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - cgroup2 none rw
607 601 0:63 / /run rw,nosuid,nodev - tmpfs tmpfs rw,mode=755
";
const HOST: &str = "\
22 27 0:21 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
23 27 0:22 / /proc rw,nosuid,nodev,noexec,relatime shared:13 - proc proc rw
24 27 0:6 / /dev rw,nosuid,relatime shared:2 - devtmpfs udev rw,size=8116052k,mode=755
27 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
30 22 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate
33 27 0:30 / /tmp rw,nosuid,nodev shared:15 - tmpfs tmpfs rw,size=8116052k
81 27 0:50 / /var/lib/docker/overlay2/9c/merged rw,relatime shared:18 - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/A
";
const WSL: &str = "\
71 65 8:32 / / rw,relatime - ext4 /dev/sdc rw,discard,errors=remount-ro,data=ordered
72 71 0:20 / /mnt/wsl rw,relatime shared:1 - tmpfs none rw
73 71 0:30 / /usr/lib/wsl/drivers ro,nosuid,nodev,noatime - 9p none ro,dirsync,aname=drivers
80 71 0:22 / /sys rw,nosuid,nodev,noexec,noatime shared:5 - sysfs sysfs rw
93 80 0:25 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate
95 71 0:58 / /mnt/c rw,noatime - 9p C:\\134 rw,dirsync,aname=drvfs;path=C:\\;uid=1000;gid=1000
";
/// Of the first version, as Docker shows it without a control group namespace.
const GROUPS: &str = "\
78 77 0:46 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755
79 78 0:29 /docker/ID /sys/fs/cgroup/cpu,cpuacct ro,nosuid,nodev,noexec,relatime - cgroup cgroup rw,cpu,cpuacct
82 78 0:32 /docker/ID /sys/fs/cgroup/memory ro,nosuid,nodev,noexec,relatime - cgroup cgroup rw,memory
86 78 0:36 /docker/ID /sys/fs/cgroup/pids ro,nosuid,nodev,noexec,relatime - cgroup cgroup rw,pids
";

/// A machine that is looked at: files below a directory, and an environment.
struct Machine {
    root: tempfile::TempDir,
    variables: Vec<(&'static str, &'static str)>,
    data: &'static str,
    configuration: &'static str,
}

fn machine(mountinfo: &str) -> Machine {
    let root = tempfile::tempdir().unwrap();
    let machine = Machine { root, variables: vec![], data: "/var/lib/dockmaster", configuration: "/etc/dockmaster/projects.json" };
    machine.file("/proc/self/mountinfo", mountinfo).file("/proc/self/cgroup", "0::/\n")
}

impl Machine {
    fn file(self, path: &str, text: &str) -> Self {
        let path = below(self.root.path(), Path::new(path));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text.replace("ID", ID)).unwrap();
        self
    }

    fn directories<const N: usize>(self, paths: [&str; N]) -> Self {
        for path in paths {
            std::fs::create_dir_all(below(self.root.path(), Path::new(path))).unwrap();
        }
        self
    }

    fn variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, value));
        self
    }

    fn look(&self) -> Environment {
        let variable = |name: &str| self.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        look(self.root.path(), variable, Path::new(self.data), Path::new(self.configuration))
    }

    /// What is told of it: the signs, and what `/config` shows.
    fn is(&self, told: &Expect) {
        let seen = self.look();
        let signs: String = seen.signs.iter().map(|sign| format!("{sign}\n")).collect();
        let runtime = seen.runtime.map_or("none", Runtime::word);
        told.assert_eq(&format!("{signs}= {runtime}\n{}", words::environment(&seen).to_plain()).replace(ID, "ID"));
    }
}

#[test]
fn docker_with_the_first_control_groups() {
    let limited = machine(&format!(
        "{GROUPS}{DOCKER}90 73 0:48 / /tmp rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,size=8192k\n\
         91 73 254:0 /home/ann/shop /workspace/shop ro,relatime - ext4 /dev/vda rw,discard\n\
         92 73 254:0 /var/lib/docker/volumes/shop_kept/_data /kept rw,relatime master:1 - ext4 /dev/vda rw,discard\n\
         93 73 254:0 /home/ann/token /token rw,relatime - ext4 /dev/vda rw,discard\n\
         97 73 0:70 / /share rw,relatime - nfs4 nas:/share rw\n"
    ))
    .file("/proc/self/cgroup", "8:pids:/docker/ID\n4:memory:/docker/ID\n1:cpu,cpuacct:/docker/ID\n0::/docker/ID\n")
    .file("/sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n")
    .file("/sys/fs/cgroup/pids/pids.max", "100\n")
    .file("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "50000\n")
    .file("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    .file("/.dockerenv", "")
    .file("/token", "")
    .directories(["/kept", "/tmp", "/share", "/workspace/shop"]);
    limited.is(&expect![[r#"
        /etc/hosts and the like are mounted from a container's directory: Docker
        the control group /docker/ID: Docker
        the file /.dockerenv: Docker
        = Docker
        In a container: Docker, with 256 MB of memory, 0.5 processors, 100 processes at most
        Mounted: /tmp, /workspace/shop (read-only), /kept, /token, /share
        ⚠️ My data directory /var/lib/dockmaster lies in the container's own layer: history and releases are gone when the container is made anew. Mounted here, and fit for it: /kept. Moved there with: dockmaster move-data /kept/dockmaster
        ⚠️ My configuration /etc/dockmaster/projects.json lies in the container's own layer: what is changed there is gone when the container is made anew. Mount its directory, and start me again.
    "#]]);
    let seen = limited.look();
    let kinds: Vec<_> = seen.mounts.iter().map(|m| (m.point.to_str().unwrap(), m.kind, m.volume.as_deref(), m.directory)).collect();
    let expected = [
        ("/tmp", MountKind::Memory, None, true),
        ("/workspace/shop", MountKind::Bind, None, true),
        ("/kept", MountKind::Volume, Some("shop_kept"), true),
        ("/token", MountKind::Bind, None, false),
        ("/share", MountKind::Bind, None, true),
    ];
    assert_eq!(kinds, expected);
    // Without a limit each of these has a number all the same.
    let unlimited = limited
        .file("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
        .file("/sys/fs/cgroup/pids/pids.max", "max\n")
        .file("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
    assert_eq!(unlimited.look().limits, Limits::default());
}

#[test]
fn docker_with_the_second_control_groups() {
    let groups = "78 77 0:29 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n";
    let data = "92 73 254:0 /srv/dockmaster /var/lib/dockmaster rw,relatime - ext4 /dev/vda rw\n\
                93 73 254:0 /srv/config /etc/dockmaster ro,relatime - ext4 /dev/vda rw\n";
    machine(&format!("{DOCKER}{groups}{data}"))
        .file("/sys/fs/cgroup/memory.max", "1610612736\n")
        .file("/sys/fs/cgroup/cpu.max", "150000 100000\n")
        .file("/sys/fs/cgroup/pids.max", "max\n")
        .directories(["/var/lib/dockmaster"])
        .is(&expect![[r#"
            /etc/hosts and the like are mounted from a container's directory: Docker
            = Docker
            In a container: Docker, with 1536 MB of memory, 1.5 processors at most
            Mounted: /var/lib/dockmaster, /etc/dockmaster (read-only)
            I may not write where the configuration is: /config rollback pins a version, and leaves its files
        "#]]);
}

#[test]
fn the_tightest_of_the_groups_around_counts() {
    let service = machine(HOST)
        .file("/proc/self/cgroup", "0::/system.slice/dockmaster.service\n")
        .file("/sys/fs/cgroup/system.slice/dockmaster.service/memory.max", "max\n")
        .file("/sys/fs/cgroup/system.slice/memory.max", "1073741824\n")
        .file("/sys/fs/cgroup/system.slice/dockmaster.service/pids.max", "512\n")
        .file("/sys/fs/cgroup/system.slice/pids.max", "4096\n");
    assert_eq!(service.look().limits, Limits { memory: Some(1 << 30), millicpus: None, pids: Some(512) });
    // A group that lies outside of what is seen is taken for the root of that.
    let outside = machine(HOST).file("/proc/self/cgroup", "0::/../../other\n").file("/sys/fs/cgroup/pids.max", "7\n");
    assert_eq!(outside.file("/sys/fs/cgroup/other/pids.max", "1\n").look().limits.pids, Some(7));
}

#[test]
fn podman_without_root() {
    let podman = machine(PODMAN_ROOTLESS).file("/run/.containerenv", "").variable("container", "podman").directories(["/kept"]);
    podman.is(&expect![[r#"
        the file /run/.containerenv: Podman
        /etc/hosts and the like are mounted from a container's directory: Podman
        the variable “container” says podman: Podman
        = Podman
        In a container: Podman, without limits
        Mounted: /kept
        ⚠️ My data directory /var/lib/dockmaster lies in the container's own layer: history and releases are gone when the container is made anew. Mounted here, and fit for it: /kept. Moved there with: dockmaster move-data /kept/dockmaster
        ⚠️ My configuration /etc/dockmaster/projects.json lies in the container's own layer: what is changed there is gone when the container is made anew. Mount its directory, and start me again.
    "#]]);
}

#[test]
fn a_pod() {
    let pod = machine(POD).variable("KUBERNETES_SERVICE_HOST", "10.96.0.1").directories(["/var/lib/dockmaster"]);
    pod.is(&expect![[r#"
        /etc/hosts is mounted from a pod's directory: Kubernetes
        the variable KUBERNETES_SERVICE_HOST: Kubernetes
        /etc/hosts and the like are mounted from a container's directory: containerd
        Kubernetes counts, whatever it runs its containers with
        = Kubernetes
        In a container: Kubernetes, without limits
        Mounted: /var/lib/dockmaster, /etc/dockmaster (read-only), /run/secrets/kubernetes.io/serviceaccount (read-only)
        I may not write where the configuration is: /config rollback pins a version, and leaves its files
    "#]]);
    // One whose engine is Docker, and whose control groups are seen.
    let group = "4:memory:/kubepods/burstable/podb34634ea/ID\n";
    machine(DOCKER).file("/.dockerenv", "").file("/proc/self/cgroup", group).is(&expect![[r#"
        the control group /kubepods/burstable/podb34634ea/ID: Kubernetes
        /etc/hosts and the like are mounted from a container's directory: Docker
        the file /.dockerenv: Docker
        Kubernetes counts, whatever it runs its containers with
        = Kubernetes
        In a container: Kubernetes, without limits
        ⚠️ My data directory /var/lib/dockmaster lies in the container's own layer: history and releases are gone when the container is made anew. Nothing that is mounted here would serve: mount a volume, and see docs/INSTALL.md for how to keep what there is.
        ⚠️ My configuration /etc/dockmaster/projects.json lies in the container's own layer: what is changed there is gone when the container is made anew. Mount its directory, and start me again.
    "#]]);
}

#[test]
fn machines_in_containers_keep_what_they_have() {
    machine(LXC).file("/run/systemd/container", "lxc\n").is(&expect![[r#"
        LXCFS is mounted in /proc: LXC
        /run/systemd/container says lxc: LXC
        = LXC
        In a container: LXC, without limits
        Mounted: /run
    "#]]);
    let nspawn = "0::/machine.slice/systemd-nspawn@box.service/payload/system.slice/dockmaster.service\n";
    machine("90 80 8:1 /var/lib/machines/box / rw - btrfs /dev/sda1 rw\n")
        .file("/proc/self/cgroup", nspawn)
        .file("/run/systemd/container", "systemd-nspawn\n")
        .is(&expect![[r#"
            the control group /machine.slice/systemd-nspawn@box.service/payload/system.slice/dockmaster.service: systemd-nspawn
            /run/systemd/container says systemd-nspawn: systemd-nspawn
            = systemd-nspawn
            In a container: systemd-nspawn, without limits
        "#]]);
}

#[test]
fn a_machine_is_no_container() {
    machine(HOST).is(&expect![[r#"
        = none
    "#]]);
    machine(WSL).file("/run/systemd/container", "wsl\n").is(&expect![[r#"
        = none
    "#]]);
    // The engine's own processes, and those of a desktop, are called after it.
    machine(HOST).file("/proc/self/cgroup", "0::/user.slice/user-1000.slice/docker-desktop.service\n").is(&expect![[r#"
        = none
    "#]]);
    machine(HOST).file("/proc/self/cgroup", "1:cpu:/system.slice/docker.service\n").is(&expect![[r#"
        = none
    "#]]);
    let mut in_memory = machine(HOST);
    in_memory.data = "/tmp/dockmaster-data";
    in_memory.is(&expect![[r#"
        = none
        ⚠️ My data directory /tmp/dockmaster-data lies in memory: history and releases are gone at the machine's next start. Move it to a disk: dockmaster move-data DIR
    "#]]);
}

#[test]
fn what_an_image_left_behind_is_known_for_that() {
    machine(HOST).file("/.dockerenv", "").is(&expect![[r#"
        the file /.dockerenv does not count: / is a disk of its own, and nothing else says so
        = none
    "#]]);
    machine(HOST).variable("KUBERNETES_SERVICE_HOST", "10.96.0.1").is(&expect![[r#"
        the variable KUBERNETES_SERVICE_HOST does not count: / is a disk of its own, and nothing else says so
        = none
    "#]]);
    // Laid over something, it is believed.
    let layered = "73 66 0:41 / / rw,relatime - overlay overlay rw\n";
    machine(layered).file("/.dockerenv", "").is(&expect![[r#"
        the file /.dockerenv: Docker
        = Docker
        In a container: Docker, without limits
        ⚠️ My data directory /var/lib/dockmaster lies in the container's own layer: history and releases are gone when the container is made anew. Nothing that is mounted here would serve: mount a volume, and see docs/INSTALL.md for how to keep what there is.
        ⚠️ My configuration /etc/dockmaster/projects.json lies in the container's own layer: what is changed there is gone when the container is made anew. Mount its directory, and start me again.
    "#]]);
    machine(layered).is(&expect![[r#"
        = none
    "#]]);
}

#[test]
fn of_what_is_unknown_only_what_looks_like_a_layer_is_taken_for_one() {
    let group = "0::/jobs/ID\n";
    machine("73 66 0:41 / / rw,relatime - overlay overlay rw\n").file("/proc/self/cgroup", group).is(&expect![[r#"
        the control group /jobs/ID: an unknown runtime
        = an unknown runtime
        In a container: an unknown runtime, without limits
        ⚠️ My data directory /var/lib/dockmaster lies in the container's own layer: history and releases are gone when the container is made anew. Nothing that is mounted here would serve: mount a volume, and see docs/INSTALL.md for how to keep what there is.
        ⚠️ My configuration /etc/dockmaster/projects.json lies in the container's own layer: what is changed there is gone when the container is made anew. Mount its directory, and start me again.
    "#]]);
    machine("73 66 8:1 /boxes/1 / rw,relatime - ext4 /dev/sda1 rw\n").variable("container", "box").is(&expect![[r#"
        the variable “container” says box: an unknown runtime
        = an unknown runtime
        In a container: an unknown runtime, without limits
    "#]]);
}

#[test]
fn groups_are_told_apart() {
    let of = |path: &str| of_group(&format!("4:memory:{path}").replace("ID", ID)).map(|(runtime, _)| runtime);
    for (path, runtime) in [
        ("/docker/ID", Some(Runtime::Docker)),
        ("/system.slice/docker-ID.scope", Some(Runtime::Docker)),
        ("/machine.slice/libpod-ID.scope/container", Some(Runtime::Podman)),
        ("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope", Some(Runtime::Podman)),
        ("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-ID.scope", Some(Runtime::Kubernetes)),
        ("/system.slice/nerdctl-ID.scope", Some(Runtime::Containerd)),
        // The innermost.
        ("/lxc.payload.c1/docker/ID", Some(Runtime::Docker)),
        ("/lxc/c1", Some(Runtime::Lxc)),
        ("/lxc.payload.c1/init.scope", Some(Runtime::Lxc)),
        ("/ecs/task/ID", Some(Runtime::Unknown)),
        ("/system.slice/docker.service", None),
        ("/docker", None),
        ("/docker/buildx", None),
        ("/lxc", None),
        ("/", None),
        ("", None),
    ] {
        assert_eq!(of(path), runtime, "{path}");
    }
    assert_eq!(of_group("no group"), None);
}

#[test]
fn a_place_that_does_not_last_is_a_concern_and_names_what_would_serve() {
    let more = "92 73 254:0 /srv/kept /kept rw - ext4 /dev/vda rw\n\
                93 73 0:90 / /srv/fast rw - tmpfs tmpfs rw\n\
                97 73 0:91 / /srv/handed ro - tmpfs tmpfs ro\n\
                98 73 254:0 /srv/one.json /one/projects.json rw - ext4 /dev/vda rw\n";
    let at = |data, configuration| {
        let machine = machine(&format!("{DOCKER}{more}")).directories(["/kept", "/srv/fast", "/srv/handed", "/one"]);
        let machine = Machine { data, configuration, ..machine }.file("/one/projects.json", "{}");
        let seen = machine.look();
        let of = |c: &Concern| format!("{:?} in {:?}: {:?}", c.which, c.on, c.would_serve);
        (seen.concerns.iter().map(of).collect::<Vec<_>>(), seen.configuration.unwrap().writable)
    };
    let layer = "Data in Layer: [\"/kept\"]".to_owned();
    assert_eq!(at("/data", "/kept/projects.json"), (vec![layer.clone()], true));
    assert_eq!(at("/kept/deep/data", "/kept/projects.json").0, Vec::<String>::new());
    let fast = at("/srv/fast/data", "/srv/fast/projects.json").0;
    assert_eq!(fast, ["Data in Memory: [\"/kept\"]", "Configuration in Memory: [\"/kept\"]"]);
    // A secret that an orchestrator hands in; a file that is mounted by itself cannot be put another one in the place of.
    assert_eq!(at("/data", "/srv/handed/projects.json"), (vec![layer.clone()], false));
    assert_eq!(at("/data", "/one/projects.json"), (vec![layer], false));
}
