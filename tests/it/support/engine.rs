//! The engine that a test uses: everybody's, or one of its own that it may kill.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal};

use super::eventually;
use super::fixture::sh;

thread_local! {
    /// A test's body runs on the test's own thread, and so does all that sets its stage.
    static HOST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Where the engine of this test listens; none means the usual socket.
pub(crate) fn host() -> Option<String> {
    HOST.with_borrow(Clone::clone).or_else(|| std::env::var("DOCKER_HOST").ok())
}

/// An engine of a test's own. Until it is dropped, it is the engine of this test.
pub(crate) struct PrivateEngine(PathBuf);

impl PrivateEngine {
    /// Needs root, as any engine does; without it the test fails and says so.
    pub(crate) fn start(name: &str) -> Self {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let engine = Self(target.join(format!("engine-{name}")));
        engine.again();
        engine
    }

    /// Starts it again after it was killed: the same one, with its containers.
    pub(crate) fn again(&self) {
        let host = script(&["start", "--netns", self.0.to_str().unwrap()]);
        HOST.set(Some(host.trim().to_owned()));
    }

    /// `kill -9`: its containers go on for now.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// As a service manager stops it: it stops its containers and ends.
    pub(crate) async fn terminate(&self) {
        let pid = self.signal(Signal::TERM);
        eventually("the engine ends", async || rustix::process::test_kill_process(pid).is_err()).await;
    }

    fn signal(&self, wanted: Signal) -> Pid {
        let pid = std::fs::read_to_string(self.0.join("state/pid")).unwrap();
        let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, wanted).unwrap();
        pid
    }
}

impl Drop for PrivateEngine {
    fn drop(&mut self) {
        HOST.set(None);
        script(&["stop", self.0.to_str().unwrap_or_default()]);
    }
}

fn script(args: &[&str]) -> String {
    sh(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/engine"), args)
}
