//! What the benchmarks share: figures and their goals, what is set from outside, the disk, and the clock.

pub(crate) mod table;

use std::time::Instant;

use tempfile::TempDir;

use crate::support::fixture::command;

/// How often everything is measured.
pub(crate) const ROUNDS: (&str, usize) = ("DOCKMASTER_BENCH_ROUNDS", 9);

/// A number that may be set for a quick look.
pub(crate) fn setting((name, usual): (&str, usize)) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|e| panic!("{name}={text}: {e}")))
}

/// What is to be measured: `cargo bench -- small` measures that alone. cargo itself adds `--bench`.
pub(crate) struct Wanted(Vec<String>);

impl Wanted {
    pub(crate) fn read() -> Self {
        Self(std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|w| name.contains(w.as_str()))
    }
}

/// A directory of our own on the disk that holds the build, which is no memory in disguise.
pub(crate) fn directory() -> TempDir {
    tempfile::Builder::new().prefix("bench-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// How long a command takes, in seconds.
pub(crate) fn timed(program: &str, args: &[&str]) -> f64 {
    let began = Instant::now();
    let output = command(program).args(args).output().unwrap();
    let took = began.elapsed().as_secs_f64();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    took
}
