//! Programs of ours that are to outlive us.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, BufReader};
use tokio::process::{ChildStdout, Command};
use tokio::time::timeout;

use super::{MARK, ProcessError};

/// What passes from our environment to a program that outlives us, and from there to what it starts.
const PASSED_ON: [&str; 8] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"];
/// The most that its first line may be, in bytes.
const WORD_MAX: u64 = 4_096;

/// A program that outlives us, as long as it has not said its first line.
#[derive(Debug)]
pub struct Detached {
    output: ChildStdout,
}

/// Starts a program that is to outlive us: it carries a mark, works in `/`, and has nothing of ours but its standard output, on
/// which it says one line. It makes a session of its own as the first thing it does: that cannot be done for it without `unsafe`.
///
/// # Errors
/// It could not be started.
pub fn detach(program: &Path, args: &[&OsStr], mark: &str) -> Result<Detached, ProcessError> {
    #[expect(clippy::disallowed_methods, reason = "the one place that starts processes")]
    let mut command = Command::new(program);
    command.args(args).env_clear().env(MARK, mark).current_dir("/");
    command.envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    let failed = |why: String| ProcessError::Spawn { program: name.clone(), why };
    // Dropped here and reaped by the runtime, whenever it ends.
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let output = child.stdout.take().ok_or_else(|| failed("it has no output".to_owned()))?;
    Ok(Detached { output })
}

impl Detached {
    /// Its first line; none where it ended without one, or is silent for too long.
    pub async fn word(self, patience: Duration) -> Option<String> {
        let mut output = BufReader::new(self.output).take(WORD_MAX);
        let mut line = String::new();
        let read = tokio::io::AsyncBufReadExt::read_line(&mut output, &mut line);
        let read = timeout(patience, read).await.ok()?.ok()?;
        (read > 0 && line.ends_with('\n')).then(|| line.trim_end().to_owned())
    }
}
