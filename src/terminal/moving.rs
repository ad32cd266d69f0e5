//! `dockmaster move-data`, as a terminal has it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::{answers, client};
use crate::app::{self, AppError, Done, Move};
use crate::console::harmless;
use crate::http::dto::StepAside;
use crate::settings::MoveArguments;

/// Moves the data directory, and says how to start from now on. `docker_config` is where registry logins are, where that is named.
///
/// # Errors
/// It was not moved, and why.
pub async fn move_data(arguments: MoveArguments, docker_config: Option<&Path>, interrupted: CancellationToken) -> Result<(), AppError> {
    let asked = Move { data: arguments.data, to: arguments.to, interrupted };
    // Standard error may be closed; then nobody wants to know.
    let mut say = |line: &str| drop(writeln!(io::stderr(), "{}", harmless(line)));
    let done = app::move_data(asked, make_way, &mut say).await?;
    if let Some(left) = &done.left {
        say(&format!("{left} {} What is left there counts no more.", left.next));
    }
    // It is done, whoever reads that.
    let _ = write!(io::stdout(), "{}", harmless(&sentence(&done, docker_config)));
    Ok(())
}

/// Asks the dockmaster that runs in a directory to let go of it.
async fn make_way(from: PathBuf, ask: StepAside) -> Result<(), AppError> {
    if !answers(&from).await? {
        return Err(AppError::Failed(format!("Another dockmaster has {} and does not answer: stop it first.", from.display())));
    }
    let asked = client(&from)?.post::<()>("/data/step-aside", &ask).await;
    asked.map_err(|trouble| AppError::Failed(harmless(&trouble.to_string())))
}

/// Where the data is, and how to start.
fn sentence(done: &Done, docker_config: Option<&Path>) -> String {
    let (from, to) = (done.from.display(), done.to.display());
    let runs = if done.runs { " The dockmaster that runs goes on there." } else { "" };
    let logins = docker_config.and_then(|config| config.strip_prefix(&done.from).ok());
    let logins = logins.map(|rest| format!(" and DOCKER_CONFIG={}", done.to.join(rest).display())).unwrap_or_default();
    format!(
        "The data is in {to} now; {from} only says so.{runs} From now on start dockmaster with DOCKMASTER_DATA={to} (or --data {to}){logins}.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_to_start_from_now_on_is_said() {
        let done = |runs| Done { from: "/old".into(), to: "/new/dir".into(), runs, left: None };
        assert_eq!(
            sentence(&done(false), Some(Path::new("/root/.docker"))),
            "The data is in /new/dir now; /old only says so. From now on start dockmaster with DOCKMASTER_DATA=/new/dir (or --data /new/dir).\n"
        );
        assert_eq!(
            sentence(&done(true), Some(Path::new("/old/docker"))),
            "The data is in /new/dir now; /old only says so. The dockmaster that runs goes on there. From now on start dockmaster with \
             DOCKMASTER_DATA=/new/dir (or --data /new/dir) and DOCKER_CONFIG=/new/dir/docker.\n"
        );
    }
}
