//! dockmaster in a container, as the `Dockerfile` and the `docker-compose.yml` of this repository make it.

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::fixture::{command, engine_get, sh};
use super::{TOKEN, World, engine};

/// Who runs in it where the tests run as root; anybody else can only give away what they have.
const SOMEBODY: u32 = 10_001;

/// A base of what this machine's packages hold of the programs that the image needs, so that no registry is asked.
fn make_base(base: &str) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    for path in files_of(&["sh", "rsync", "docker-compose", env!("CARGO_BIN_EXE_dockmaster")]) {
        let to = root.join(path.strip_prefix("/").unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        if path.is_symlink() {
            std::os::unix::fs::symlink(path.read_link().unwrap(), to).unwrap();
        } else {
            std::fs::copy(&path, to).unwrap();
        }
    }
    // In the image it is found there, also where the tests use another one than the machine's.
    let compose = root.join("usr/bin/docker-compose");
    if !compose.is_file() {
        let program = sh("sh", &["-c", "realpath \"$(command -v docker-compose)\""]);
        std::os::unix::fs::symlink(program.trim(), compose).unwrap();
    }
    // A place in the image itself that anybody may write to.
    std::fs::create_dir_all(root.join("var/own")).unwrap();
    std::fs::set_permissions(root.join("var/own"), std::fs::Permissions::from_mode(0o777)).unwrap();
    std::fs::write(directory.path().join("Dockerfile"), "FROM scratch\nCOPY root/ /\n").unwrap();
    let compose = directory.path().join("docker-compose.yml");
    std::fs::write(&compose, format!("services: {{ base: {{ build: ., image: {base} }} }}\n")).unwrap();
    sh("docker-compose", &["-p", base, "-f", compose.to_str().unwrap(), "build", "--quiet"]);
}

/// What is to be in an image so that these programs run in it: all files of their packages and of those of their libraries.
fn files_of(programs: &[&str]) -> BTreeSet<PathBuf> {
    let mut needed = BTreeSet::new();
    for name in programs {
        let program = sh("sh", &["-c", "command -v \"$0\"", name]).trim().to_owned();
        let linked = sh("ldd", &[&program]);
        for file in linked.split_whitespace().filter(|word| word.starts_with('/')).chain([program.as_str()]).map(Path::new) {
            // Often a link with a file behind it.
            needed.extend([plain(file), file.canonicalize().unwrap()]);
        }
    }
    // The image brings dockmaster itself.
    needed.remove(&plain(Path::new(env!("CARGO_BIN_EXE_dockmaster"))));
    let mut files: BTreeSet<PathBuf> = BTreeSet::new();
    let packages = packages_of(&needed);
    if !packages.is_empty() {
        let listed = sh("dpkg", &[&["-L"], &*packages.iter().map(String::as_str).collect::<Vec<_>>()].concat());
        files.extend(listed.lines().filter(|l| l.starts_with('/')).map(|l| plain(Path::new(l))));
    }
    // What was installed by hand is of no package; on most systems the other three are links into /usr.
    files.extend(needed);
    files.extend(["/bin", "/lib", "/lib64"].map(PathBuf::from));
    let unused = ["/usr/share/doc", "/usr/share/man", "/usr/share/locale", "/usr/share/lintian"];
    files.retain(|f| (f.is_file() || f.is_symlink()) && !unused.iter().any(|u| f.starts_with(u)));
    files
}

/// The packages that files are of; none where there is no dpkg to ask.
fn packages_of(files: &BTreeSet<PathBuf>) -> BTreeSet<String> {
    // Packages that are older than the links into /usr call their files by the shorter names.
    let short = files.iter().filter_map(|f| Some(Path::new("/").join(f.strip_prefix("/usr").ok()?)));
    let Ok(found) = command("dpkg").arg("-S").args(files).args(short).output() else { return BTreeSet::new() };
    let lines = String::from_utf8(found.stdout).unwrap();
    // A file that several packages have parts in is shown with all of them.
    let owners = lines.lines().filter(|l| !l.starts_with("diversion ")).filter_map(|l| Some(l.split_once(": ")?.0.split(", ")));
    owners.flatten().map(str::to_owned).collect()
}

/// A path whose directories are no links: `/lib` is one on most systems, and packages differ in what they call it.
fn plain(path: &Path) -> PathBuf {
    let parent = path.parent().and_then(|p| p.canonicalize().ok());
    parent.and_then(|p| Some(p.join(path.file_name()?))).unwrap_or_else(|| path.to_owned())
}

/// A bot in a container. Removed, with its images, when it is dropped.
pub(crate) struct Boxed {
    project: String,
    /// Its image, and the one that it is made on.
    pub(crate) image: String,
    base: String,
    /// The numbers of who runs in it.
    pub(crate) user: u32,
    variables: Vec<(String, String)>,
    more: PathBuf,
    _directory: TempDir,
}

impl Boxed {
    /// Builds the image and gives the bot what it needs for a world. Nothing is started.
    pub(crate) fn build(name: &str, world: &World) -> Self {
        let (image, base) = (format!("dockmaster-test-{name}"), format!("dockmaster-test-{name}-base"));
        make_base(&base);
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let shop = &world.fixtures[0];
        let socket = engine::host().map_or_else(|| "/var/run/docker.sock".to_owned(), |h| h.replacen("unix://", "", 1));
        let me = rustix::process::getuid().as_raw();
        let user = if me == 0 { SOMEBODY } else { me };
        std::fs::create_dir_all(path("config")).unwrap();
        std::fs::create_dir_all(&world.data).unwrap();
        std::fs::write(path("token"), format!("{TOKEN}\n")).unwrap();
        std::fs::set_permissions(path("token"), std::fs::Permissions::from_mode(0o400)).unwrap();
        if me == 0 {
            for theirs in [&path("token"), &world.data, &shop.production] {
                sh("chown", &["-R", &format!("{user}:{user}"), theirs.to_str().unwrap()]);
            }
        }
        let variables = [
            ("DOCKER_GID", std::fs::metadata(&socket).unwrap().gid().to_string()),
            ("DOCKER_SOCKET", socket),
            ("DOCKMASTER_UID", user.to_string()),
            ("DOCKMASTER_GID", user.to_string()),
            ("DOCKMASTER_CONFIG_DIR", path("config").display().to_string()),
            ("DOCKMASTER_DATA_DIR", world.data.display().to_string()),
            ("TOKEN_FILE", path("token").display().to_string()),
            ("WORKSPACES", shop.workspace.display().to_string()),
            ("PRODUCTION", shop.production.display().to_string()),
            ("TELOXIDE_API_URL", world.api.url()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let project = Self::project(name);
        let boxed = Self { project, image, base, user, variables, more: path("more.yml"), _directory: directory };
        boxed.configure(world);
        boxed.also(&json!({}));
        boxed.compose(&["build", "--quiet"]);
        boxed
    }

    /// Gives it the world's projects.json.
    pub(crate) fn configure(&self, world: &World) {
        std::fs::write(self.configuration().join("projects.json"), world.projects_json()).unwrap();
    }

    /// The directory of the host that holds its configuration.
    pub(crate) fn configuration(&self) -> &Path {
        let directory = self.variables.iter().find(|(name, _)| name == "DOCKMASTER_CONFIG_DIR").unwrap();
        Path::new(&directory.1)
    }

    fn project(name: &str) -> String {
        format!("dmt-{name}-{}", std::process::id())
    }

    /// The name of its container.
    pub(crate) fn name(name: &str) -> String {
        format!("{}-dockmaster-1", Self::project(name))
    }

    /// What the test changes of the service: where it is built from, and this.
    pub(crate) fn also(&self, more: &Value) {
        let program = Path::new(env!("CARGO_BIN_EXE_dockmaster")).parent().unwrap();
        let mut service = json!({
            "image": self.image,
            "build": { "args": { "RUNTIME_BASE": self.base }, "additional_contexts": { "program": program } },
        });
        service.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        std::fs::write(&self.more, json!({ "services": { "dockmaster": service } }).to_string()).unwrap();
    }

    /// Makes its container, or makes it anew.
    pub(crate) fn up(&self) {
        self.compose(&["up", "-d", "--no-build"]);
    }

    /// Runs Compose on the bot itself, as a person would.
    pub(crate) fn compose(&self, args: &[&str]) -> String {
        let output = self.composing(args);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{args:?}: {out}{err}");
        format!("{out}{err}")
    }

    /// The same, however it ends.
    pub(crate) fn composing(&self, args: &[&str]) -> Output {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docker-compose.yml");
        let mut compose = command("docker-compose");
        compose.envs(self.variables.iter().cloned()).args(["-p", &self.project, "-f", file, "-f"]).arg(&self.more);
        compose.args(args).output().unwrap()
    }

    /// What the engine says of the container.
    pub(crate) fn inspect(&self) -> Value {
        engine_get(&format!("/containers/{}/json", self.compose(&["ps", "-a", "-q"]).trim()))
    }
}

impl Drop for Boxed {
    fn drop(&mut self) {
        // Also when the test failed; then what it said is worth reading.
        if std::thread::panicking() {
            let said = self.composing(&["logs", "--no-log-prefix"]);
            eprintln!("{}", String::from_utf8_lossy(&said.stdout));
        }
        self.composing(&["down", "-t", "1"]);
        let host = engine::host().unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
        for image in [&self.image, &self.base] {
            let address = format!("http://engine/images/{image}");
            let _ = command("curl").args(["-sS", "-X", "DELETE", "--unix-socket", &host.replacen("unix://", "", 1), &address]).output();
        }
    }
}
