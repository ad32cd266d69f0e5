//! dockmaster as a process of its own: started with what a test gives it, watched, asked to end, killed.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::fixture::command;
use super::world::TOKEN;
use super::{PATIENCE, World, eventually};

/// What no output may hold.
pub(crate) const SECRET: &str = "AAE-test-token";

/// A directory that is all of a program's `PATH`, so that a tool can be missing or slow.
pub(crate) struct Tools {
    directory: TempDir,
}

impl Tools {
    /// What dockmaster needs, and nothing else.
    pub(crate) fn all() -> Self {
        Self::only(&["docker-compose", "rsync"])
    }

    pub(crate) fn only(names: &[&str]) -> Self {
        let tools = Self { directory: tempfile::tempdir().unwrap() };
        for name in names {
            std::os::unix::fs::symlink(installed(name), tools.path().join(name)).unwrap();
        }
        tools
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Puts a shell script in the place of a tool. In it `$real` is the tool and `$here` this directory.
    pub(crate) fn script(&self, name: &str, script: &str) {
        let path = self.path().join(name);
        let _ = std::fs::remove_file(&path);
        let real = if name == "docker" { PathBuf::new() } else { installed(name) };
        let text = format!("#!/bin/sh\nreal={}\nhere={}\n{script}\n", real.display(), self.path().display());
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Makes a tool wait before it does anything, where its arguments match a shell pattern, until [`Tools::open`].
    pub(crate) fn gate(&self, name: &str, pattern: &str) {
        let wait = "{ : >$here/held; while [ ! -e $here/open ]; do /bin/sleep 0.05; done; }";
        let pattern = pattern.replace(' ', "\" \"");
        self.script(name, &format!("case \"$*\" in {pattern}) {wait} ;; esac\nexec $real \"$@\""));
    }

    /// Lets the tool through again, and forgets what was held.
    pub(crate) fn ungate(&self, name: &str) {
        self.script(name, "exec $real \"$@\"");
        for mark in ["held", "open"] {
            let _ = std::fs::remove_file(self.path().join(mark));
        }
    }

    /// Whether something waits at the gate.
    pub(crate) async fn held(&self) {
        eventually("a tool is held", async || self.path().join("held").exists()).await;
    }

    pub(crate) fn open(&self) {
        std::fs::write(self.path().join("open"), "").unwrap();
    }

    /// The processes that were started with these tools: dockmaster and whatever it started.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let wanted = format!("PATH={}", self.path().display()).into_bytes();
        let numbers = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
        let ours = |pid: &i32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|b| *b == 0).any(|variable| variable == wanted)
        };
        numbers.filter(ours).collect()
    }
}

impl Drop for Tools {
    fn drop(&mut self) {
        // Whatever a failed test left. By number: each was just seen to be ours.
        for pid in self.processes() {
            signal(pid, rustix::process::Signal::KILL);
        }
    }
}

fn installed(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|d| d.join(name)).find(|p| p.is_file());
    found.unwrap_or_else(|| panic!("{name} is installed by scripts/setup"))
}

fn signal(pid: i32, signal: rustix::process::Signal) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// How the program is started.
pub(crate) struct Launch<'a> {
    tools: &'a Tools,
    args: Vec<OsString>,
    environment: Vec<(String, OsString)>,
}

impl<'a> Launch<'a> {
    /// With these arguments, these tools, the tests' engine, and no other variable.
    pub(crate) fn new<S: AsRef<OsStr>>(tools: &'a Tools, args: &[S]) -> Self {
        let args = args.iter().map(|a| a.as_ref().to_owned()).collect();
        let launch = Self { tools, args, environment: Vec::new() };
        let launch = launch.set("PATH", tools.path()).set("HOME", tools.path());
        // Where coverage is measured the program notes what it ran, too; else it is not set.
        // And where Compose is another one than the machine's, it finds its buildx there.
        let given = ["LLVM_PROFILE_FILE", "DOCKER_CONFIG"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        let launch = given.fold(launch, |launch, (name, value)| launch.set(name, value));
        match super::engine::host() {
            Some(host) => launch.set("DOCKER_HOST", host),
            None => launch,
        }
    }

    /// `run`, for a world: its projects.json, data directory, token and Bot API.
    pub(crate) fn run(world: &World, tools: &'a Tools) -> Self {
        let config = world.data.with_file_name("projects.json");
        std::fs::write(&config, world.projects_json()).unwrap();
        let args: [&OsStr; 5] = ["run".as_ref(), "--config".as_ref(), config.as_ref(), "--data".as_ref(), world.data.as_ref()];
        Self::new(tools, &args).set("TELOXIDE_TOKEN", TOKEN).set("TELOXIDE_API_URL", world.api.url())
    }

    pub(crate) fn set(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    pub(crate) fn unset(mut self, name: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// With another data directory than the world's.
    pub(crate) fn data(mut self, data: &Path) -> Self {
        self.args.pop();
        self.arg(data)
    }

    pub(crate) fn start(self) -> Program {
        let mut child = command(env!("CARGO_BIN_EXE_dockmaster"))
            .args(&self.args)
            .env_clear()
            .envs(self.environment)
            .current_dir(self.tools.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = collect(child.stdout.take().unwrap());
        let err = collect(child.stderr.take().unwrap());
        Program { child, out, err }
    }

    /// Runs it to its end.
    pub(crate) async fn end(self) -> Ended {
        self.start().ended().await
    }
}

/// What is written to a pipe, as it comes; whether its end was reached.
#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    whole: bool,
}

fn collect(mut pipe: impl Read + Send + 'static) -> Arc<Mutex<Heard>> {
    let heard = Arc::new(Mutex::new(Heard::default()));
    let into = Arc::clone(&heard);
    std::thread::spawn(move || {
        let mut buffer = [0; 8_192];
        while let Ok(n @ 1..) = pipe.read(&mut buffer) {
            into.lock().unwrap().bytes.extend_from_slice(&buffer[..n]);
        }
        into.lock().unwrap().whole = true;
    });
    heard
}

/// A running dockmaster. Killed when it is dropped.
pub(crate) struct Program {
    child: Child,
    out: Arc<Mutex<Heard>>,
    err: Arc<Mutex<Heard>>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Program {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.out.lock().unwrap().bytes).into_owned()
    }

    pub(crate) fn err(&self) -> String {
        String::from_utf8_lossy(&self.err.lock().unwrap().bytes).into_owned()
    }

    pub(crate) fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until standard error holds a text.
    pub(crate) async fn says(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.err().contains(text) {
            assert!(self.lives(), "it ended without {text:?}: {}", self.err());
            assert!(Instant::now() < deadline, "it did not say {text:?} within {PATIENCE:?}: {}", self.err());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Asks it to end, as a service manager does.
    pub(crate) fn terminate(&self) {
        signal(self.pid().cast_signed(), rustix::process::Signal::TERM);
    }

    pub(crate) fn signal(&self, wanted: rustix::process::Signal) {
        signal(self.pid().cast_signed(), wanted);
    }

    /// As Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        signal(self.pid().cast_signed(), rustix::process::Signal::INT);
    }

    /// `kill -9`: it learns nothing of it.
    pub(crate) fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        let code = self.child.wait().unwrap().code();
        Ended { code, out: self.out(), err: self.err() }
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(mut self) -> Ended {
        eventually("dockmaster ends", async || !self.lives()).await;
        let code = self.child.wait().unwrap().code();
        eventually("all that it wrote is read", async || self.out.lock().unwrap().whole && self.err.lock().unwrap().whole).await;
        Ended { code, out: self.out(), err: self.err() }
    }

    /// Asks it to end, and expects that it does so cleanly.
    pub(crate) async fn stop(self) -> Ended {
        self.terminate();
        let ended = self.ended().await;
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        ended
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("what it logged:\n{}", self.err());
        }
    }
}

impl Ended {
    /// One sentence on standard error, and nothing else but log lines.
    pub(crate) fn sentence(&self) -> String {
        let said: Vec<&str> = self.err.lines().filter(|l| l.starts_with("dockmaster: ")).collect();
        assert_eq!(said.len(), 1, "one sentence: {}", self.err);
        assert!(!self.err.contains("panicked") && !self.err.contains(SECRET), "{}", self.err);
        said[0].to_owned()
    }
}

/// Every file below a directory that holds some bytes.
pub(crate) fn files_with(root: &Path, bytes: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files_with(&path, bytes));
        } else if std::fs::read(&path).unwrap_or_default().windows(bytes.len()).any(|w| w == bytes) {
            found.push(path);
        }
    }
    found
}
