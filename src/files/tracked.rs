//! The files of a workspace that git tracks: the configuration of a project, as opposed to what its services wrote.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::scan::join;
use crate::domain::manifest::TreePath;
use crate::domain::untrusted::UntrustedText;
use crate::process::{self, Invocation, MARK, ProcessError};
use crate::untrusted;

/// How long git may take for all directories together.
const LIMIT: Duration = Duration::from_secs(30);
/// How many times git is asked: once for each directory, and for each repository that lies in one without being a submodule.
const ASKED_MAX: usize = 100;

/// What a repository must not make git do while its files are listed: start programs, reach other machines, or refuse because
/// somebody else owns it.
const SAFELY: [&str; 5] =
    ["core.fsmonitor=false", "core.hooksPath=/dev/null", "safe.directory=*", "safe.bareRepository=explicit", "protocol.allow=never"];

/// The files below some directories of `root` that git tracks. Where there is no git, or no repository, it tracks nothing.
/// `mark` is what the processes carry.
///
/// # Errors
/// Git could not list them: why, as a sentence without its end.
pub async fn tracked(root: &Path, directories: &[TreePath], mark: &str, cancel: &CancellationToken) -> Result<BTreeSet<TreePath>, String> {
    let until = Instant::now() + LIMIT;
    let mut found = BTreeSet::new();
    let mut left: Vec<TreePath> = directories.to_vec();
    let mut asked = BTreeSet::new();
    while let Some(directory) = left.pop() {
        if !asked.insert(directory.clone()) {
            continue;
        }
        if asked.len() > ASKED_MAX {
            return Err(format!("there are more than {ASKED_MAX} repositories"));
        }
        let place = root.join(OsStr::from_bytes(directory.bytes()));
        let there = place.clone();
        if !off_runtime(move || there.is_dir()).await? {
            continue;
        }
        let Some(listed) = list(&place, until.saturating_duration_since(Instant::now()), mark, cancel).await? else { continue };
        let (repositories, files) = off_runtime(move || sorted(&place, &directory, &listed)).await?;
        left.extend(repositories);
        found.extend(files);
    }
    Ok(found)
}

/// What git listed of a directory, apart: repositories that were added to the outer one as they are, of which it tracks a commit
/// and they track the files; and files. Blocks.
fn sorted(place: &Path, directory: &TreePath, listed: &[u8]) -> (Vec<TreePath>, Vec<TreePath>) {
    let names = listed.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let is_repository = |name: &[u8]| place.join(OsStr::from_bytes(name)).join(".git").symlink_metadata().is_ok();
    let (repositories, files): (Vec<&[u8]>, Vec<&[u8]>) = names.partition(|name| is_repository(name));
    let below = |names: Vec<&[u8]>| names.into_iter().map(|name| join(directory, name)).collect();
    (below(repositories), below(files))
}

async fn off_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    untrusted::off_runtime(work).await.map_err(|error| error.reason())
}

/// What git lists of one directory, ended by zero bytes; none where it tracks nothing there.
async fn list(place: &Path, limit: Duration, mark: &str, cancel: &CancellationToken) -> Result<Option<Vec<u8>>, String> {
    let settings = SAFELY.iter().flat_map(|setting| ["-c", setting]);
    let invocation = Invocation::new("git")
        .args(settings)
        .args(["--no-pager", "ls-files", "-z", "--cached", "--recurse-submodules"])
        .directory(place)
        .environment(MARK, mark)
        .environment("LC_ALL", "C")
        .environment("GIT_CONFIG_NOSYSTEM", "1")
        .environment("GIT_CONFIG_GLOBAL", "/dev/null")
        .environment("GIT_OPTIONAL_LOCKS", "0")
        .environment("GIT_TERMINAL_PROMPT", "0")
        .environment("GIT_NO_LAZY_FETCH", "1")
        .environment("GIT_ALLOW_PROTOCOL", "")
        .limit(limit.max(Duration::from_millis(1)));
    match process::run(&invocation, &mut |_| {}, cancel).await {
        Ok(finished) if finished.success() => Ok(Some(finished.stdout)),
        Ok(finished) if finished.tail.iter().any(|line| line.contains("not a git repository")) => Ok(None),
        Ok(finished) => {
            let said = finished.tail.last().map(|line| UntrustedText::from(line).to_string());
            Err(format!("git says {}", said.unwrap_or_else(|| "nothing".to_owned())))
        }
        Err(ProcessError::NotFound { .. }) => Ok(None),
        Err(ProcessError::TimedOut { .. }) => Err(format!("git took longer than {} s", LIMIT.as_secs())),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    async fn git(place: &Path, args: &[&str]) {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main"];
        let invocation = Invocation::new("git").args(identity).args(args).directory(place);
        let finished = process::run(&invocation, &mut |_| {}, &CancellationToken::new()).await.unwrap();
        assert!(finished.success(), "{args:?}: {:?}", finished.tail);
    }

    async fn repository(place: &Path, files: &[&str]) {
        fs::create_dir_all(place).unwrap();
        git(place, &["init", "-q"]).await;
        for file in files {
            fs::create_dir_all(place.join(file).parent().unwrap()).unwrap();
            fs::write(place.join(file), file).unwrap();
            git(place, &["add", file]).await;
        }
        git(place, &["commit", "-qm", "x"]).await;
    }

    async fn listed(root: &Path, directories: &[&str]) -> Vec<String> {
        let directories: Vec<TreePath> = directories.iter().map(|d| TreePath::from(*d)).collect();
        let found = tracked(root, &directories, "", &CancellationToken::new()).await.unwrap();
        found.into_iter().map(|path| path.written()).collect()
    }

    #[tokio::test]
    async fn files_that_git_tracks_are_found_wherever_its_repository_lies() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        repository(&at("outer"), &["shop/conf/a", "shop/data/.gitkeep", "else/x"]).await;
        fs::write(at("outer/shop/conf/untracked"), "").unwrap();
        let shop = at("outer/shop");
        assert_eq!(listed(&shop, &["conf", "data", "gone"]).await, ["conf/a", "data/.gitkeep"], "a subdirectory of a work tree");
        assert_eq!(listed(&shop, &[""]).await, ["conf/a", "data/.gitkeep"]);
        // A repository of its own below a mount, a submodule, and one that was added as it is.
        repository(&shop.join("conf/own"), &["b"]).await;
        assert_eq!(listed(&shop, &["conf/own"]).await, ["conf/own/b"]);
        git(&shop, &["add", "conf/own"]).await;
        repository(&at("library"), &["c\nd"]).await;
        git(&shop, &["submodule", "--quiet", "add", at("library").to_str().unwrap(), "lib"]).await;
        assert_eq!(listed(&shop, &["conf", "lib"]).await, ["conf/a", "conf/own/b", "lib/c\\x0ad"]);
        // A work tree whose repository is elsewhere.
        git(&at("library"), &["worktree", "add", "-q", at("tree").to_str().unwrap()]).await;
        assert_eq!(listed(&at("tree"), &[""]).await, ["c\\x0ad"]);
        fs::create_dir(at("plain")).unwrap();
        assert_eq!(listed(place.path(), &["plain"]).await, Vec::<String>::new(), "no repository tracks nothing");
    }

    #[tokio::test]
    async fn what_a_repository_is_configured_to_start_is_not_started() {
        let place = tempfile::tempdir().unwrap();
        repository(place.path(), &["a"]).await;
        let started = place.path().join("started");
        let program = format!("touch {}", started.display());
        for setting in ["core.fsmonitor", "core.sshCommand", "core.pager", "alias.ls-files"] {
            git(place.path(), &["config", setting, &program]).await;
        }
        assert_eq!(listed(place.path(), &[""]).await, ["a"]);
        assert!(!started.exists());
        // One that it cannot read is said.
        fs::write(place.path().join(".git/index"), "no index").unwrap();
        let why = tracked(place.path(), &[TreePath::new("")], "", &CancellationToken::new()).await.unwrap_err();
        assert!(why.starts_with("git says ") && why.contains("index"), "{why}");
    }
}
