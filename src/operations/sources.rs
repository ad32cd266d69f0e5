//! What a project's configuration is made of: compose files, variables, and whatever else the compose files name.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use blake3::{Hash, Hasher};

use crate::engine::compose::Files;
use crate::untrusted::{self, CONFIGURATION_MAX, ReadError};

/// The words by which a compose file names others that it is made of, besides `env_file`.
pub(super) const OTHERS: [&str; 3] = ["extends", "include", "label_file"];

/// Those by which what Compose resolves depends on more than the compose files and the variables: `develop` names paths whose
/// links it follows.
const BEYOND: [&str; 2] = ["env_file", "develop"];

/// The greatest file, in bytes, whose configuration is remembered.
const FILE_MAX: u64 = 1 << 20;

/// How many files are looked at before Compose reads them.
const CHECKED_MAX: usize = 200;

/// Does work on the files of a configuration on a thread that may block.
///
/// # Errors
/// The file system did not answer in time.
pub(super) async fn off_runtime<T: Send + 'static>(
    files: &Files<'_>,
    work: impl FnOnce(&Files<'_>) -> T + Send + 'static,
) -> Result<T, ReadError> {
    let (name, root, names) = (files.name.to_owned(), files.root.to_owned(), files.files.to_vec());
    let (directory, environment) = (files.directory.to_owned(), files.environment.map(Path::to_owned));
    untrusted::off_runtime(move || {
        work(&Files { name: &name, root: &root, files: &names, directory: &directory, environment: environment.as_deref() })
    })
    .await
}

/// Why Compose must not be started on these files: it would wait on a named pipe, or read a device without end. What cannot be
/// found here (a name that is put together from variables) is held by the time limit of the call.
pub(super) fn unfit(files: &Files<'_>) -> Option<String> {
    let mut waiting: Vec<PathBuf> = files.files.iter().map(|file| files.root.join(file)).collect();
    let variables = [files.root.join(".env"), files.directory.join(".env")];
    let mut seen: Vec<PathBuf> = files.environment.map(Path::to_owned).into_iter().chain(variables).collect();
    for path in &seen {
        if let Some(why) = unfit_file(path) {
            return Some(why);
        }
    }
    while let Some(path) = waiting.pop().filter(|_| seen.len() < CHECKED_MAX) {
        if seen.contains(&path) {
            continue;
        }
        if let Some(why) = unfit_file(&path) {
            return Some(why);
        }
        // Compose says what else is wrong with it.
        let text = untrusted::read_text(&path, CONFIGURATION_MAX).unwrap_or_default();
        let around = path.parent().unwrap_or(files.root).to_owned();
        for name in named(&text) {
            // Which of them it is relative to depends on the word.
            waiting.extend([files.directory.join(name), around.join(name)].into_iter().filter(|path| !path.is_dir()));
        }
        seen.push(path);
    }
    None
}

fn unfit_file(path: &Path) -> Option<String> {
    match untrusted::check(path, CONFIGURATION_MAX) {
        // A directory or a missing file does not hold Compose up, and it says so itself.
        Ok(()) | Err(ReadError::NotRegular("a directory") | ReadError::System(_)) => None,
        Err(error) => Some(format!("{} {error}", path.display())),
    }
}

/// The files below `files.root` that the configuration is made of, as far as the compose files name them as they are.
pub(super) fn parts(files: &Files<'_>) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut waiting: Vec<PathBuf> = files.files.iter().map(|file| plain(Path::new(file))).collect();
    while let Some(path) = waiting.pop().filter(|_| found.len() < CHECKED_MAX) {
        if !files.root.join(&path).is_file() || !found.insert(path.clone()) {
            continue;
        }
        let text = untrusted::read_text(&files.root.join(&path), CONFIGURATION_MAX).unwrap_or_default();
        let around = path.parent().unwrap_or(Path::new(""));
        waiting.extend(named(&text).into_iter().flat_map(|name| [plain(Path::new(name)), plain(&around.join(name))]));
    }
    found
}

/// A relative path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => drop(plain.pop()),
            _ => {}
        }
        plain
    })
}

/// What may be names of files in a compose file: the words that follow those that name other files, on the same line and in the
/// lines below that belong to it.
fn named(text: &str) -> Vec<&str> {
    let (mut names, mut within) = (Vec::new(), None);
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let belongs = within.is_some_and(|at| indent > at || (indent == at && line.trim_start().starts_with('-')));
        let begins = BEYOND.iter().take(1).chain(&OTHERS).filter_map(|word| line.find(word).map(|at| at + word.len())).min();
        let rest = match begins {
            Some(after) => {
                within = Some(indent);
                line.get(after..).unwrap_or_default()
            }
            None if belongs || line.trim().is_empty() => line,
            None => {
                within = None;
                continue;
            }
        };
        let is_between = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '[' | ']' | '{' | '}');
        names.extend(rest.split(is_between).map(|word| word.trim_end_matches(':')).filter(|word| word.len() > 1));
    }
    names
}

/// Whether the compose files, or others that they are made of, may use one of these words. One that cannot be read, or that
/// escapes characters, may use any: Compose is asked then.
pub(super) fn says(files: &Files<'_>, words: &[&str]) -> bool {
    files
        .files
        .iter()
        .any(|file| untrusted::read_text(&files.root.join(file), CONFIGURATION_MAX).map_or(true, |text| may_say(&text, words)))
}

fn may_say(text: &str, words: &[&str]) -> bool {
    text.contains('\\') || words.iter().chain(&OTHERS).any(|word| text.contains(word))
}

/// A hash of everything that the resolved configuration depends on, where that can be told: of the compose files, the
/// variables and the directory, but not of where the compose files are. None where they may name other files.
pub(super) fn identity(files: &Files<'_>, directory: &Path) -> Option<Hash> {
    // Without a file of variables, Compose looks for one by itself.
    let is_alone = |root: &Path| !root.join(".env").exists();
    if files.environment.is_none() && !(is_alone(files.root) && is_alone(files.directory)) {
        return None;
    }
    let mut hasher = Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    };
    part(files.name.as_bytes());
    part(files.directory.as_os_str().as_encoded_bytes());
    part(directory.as_os_str().as_encoded_bytes());
    match files.environment {
        Some(environment) => {
            part(environment.as_os_str().as_encoded_bytes());
            part(&small(environment)?);
        }
        None => part(b""),
    }
    for file in files.files {
        let text = String::from_utf8(small(&files.root.join(file))?).ok()?;
        if may_say(&text, &BEYOND) {
            return None;
        }
        part(file.as_bytes());
        part(text.as_bytes());
    }
    Some(hasher.finalize())
}

/// A file's content; none where it is too large, no file, or cannot be read.
fn small(path: &Path) -> Option<Vec<u8>> {
    untrusted::read(path, FILE_MAX).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: fn() -> Vec<String> = || vec!["compose.yml".to_owned()];

    fn identity_of(root: &Path, directory: &Path, environment: Option<&Path>) -> Option<Hash> {
        let names = NAMES();
        identity(&Files { name: "shop", root, files: &names, directory, environment }, directory)
    }

    #[test]
    fn what_a_configuration_depends_on_changes_its_identity() {
        let place = tempfile::tempdir().unwrap();
        let (one, two, production) = (place.path().join("1"), place.path().join("2"), place.path().join("production"));
        let compose = "services: { web: { image: x } }";
        for root in [&one, &two, &production] {
            std::fs::create_dir(root).unwrap();
            std::fs::write(root.join("compose.yml"), compose).unwrap();
        }
        let first = identity_of(&one, &production, None).unwrap();
        assert_eq!(identity_of(&two, &production, None), Some(first), "where the files are makes no difference");
        assert_ne!(identity_of(&one, &one, None), Some(first), "what their paths are relative to does");
        std::fs::write(two.join("compose.yml"), compose.replace('x', "y")).unwrap();
        assert_ne!(identity_of(&two, &production, None), Some(first));

        let environment = production.join(".env");
        std::fs::write(&environment, "A=1").unwrap();
        assert_eq!(identity_of(&one, &production, None), None, "Compose would find it by itself");
        let with = identity_of(&one, &production, Some(&environment));
        std::fs::write(&environment, "A=2").unwrap();
        assert!(with.is_some() && with != Some(first) && with != identity_of(&one, &production, Some(&environment)));
    }

    #[test]
    fn nothing_is_said_of_files_that_may_name_others() {
        let place = tempfile::tempdir().unwrap();
        let of = |compose: &[u8]| {
            std::fs::write(place.path().join("compose.yml"), compose).unwrap();
            identity_of(place.path(), place.path(), None)
        };
        assert!(of(b"services: { web: { image: x } }").is_some());
        for other in ["env_file: a", "extends: a", "include: a", "label_file: a", "develop: {}", "\"\\x65nv_file\": a"] {
            assert_eq!(of(other.as_bytes()), None, "{other}");
        }
        assert_eq!(of(b"\xff"), None);
        assert_eq!(of(&vec![b' '; 1 << 21]), None);
        std::fs::remove_file(place.path().join("compose.yml")).unwrap();
        std::fs::create_dir(place.path().join("compose.yml")).unwrap();
        assert_eq!(identity_of(place.path(), place.path(), None), None);
    }

    #[test]
    fn parts_of_a_configuration_are_found_below_its_root() {
        let place = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::create_dir_all(place.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(place.path().join(name), text).unwrap();
        };
        write("compose.yml", "include:\n  - ./sub/base.yml\nservices: { web: { env_file: [a.env, gone.env] } }\n");
        write("sub/base.yml", "services:\n  db:\n    env_file: own.env\n");
        ["a.env", "sub/own.env", "other.env"].iter().for_each(|name| write(name, ""));
        let names = NAMES();
        let found = parts(&Files { name: "shop", root: place.path(), files: &names, directory: place.path(), environment: None });
        assert_eq!(found, ["a.env", "compose.yml", "sub/base.yml", "sub/own.env"].map(PathBuf::from).into());
    }

    #[test]
    fn files_that_would_hold_compose_up_are_named() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        std::fs::create_dir(at("sub")).unwrap();
        let pipe = |name: &str| {
            rustix::fs::mkfifoat(rustix::fs::CWD, at(name), rustix::fs::Mode::RUSR).unwrap();
        };
        pipe("sub/pipe");
        let names = NAMES();
        let of = |text: &str| {
            std::fs::write(at("compose.yml"), text).unwrap();
            let files = Files { name: "shop", root: place.path(), files: &names, directory: place.path(), environment: None };
            unfit(&files).map(|why| why.replace(place.path().to_str().unwrap(), "P"))
        };
        let told = Some("P/sub/pipe is not a regular file (it is a named pipe)".to_owned());
        for text in [
            "services:\n  web:\n    env_file: sub/pipe\n",
            "services:\n  web:\n    env_file:\n    - a.env\n    - path: sub/pipe\n      required: false\n",
            "include:\n  - 'sub/pipe'\nservices: {}\n",
            "services: { web: { extends: { file: \"sub/pipe\", service: x } } }",
        ] {
            assert_eq!(of(text), told, "{text}");
        }
        assert_eq!(of("services:\n  web:\n    volumes:\n    - type: bind\n      source: sub/pipe\n"), None, "a mount may be a pipe");
        // One that is included names the next, relative to itself.
        std::fs::write(at("sub/other.yml"), "services:\n  web:\n    env_file: [pipe]\n").unwrap();
        assert_eq!(of("include: [sub/other.yml]\n"), told);
        std::os::unix::fs::symlink("/dev/zero", at(".env")).unwrap();
        assert_eq!(of("services: {}"), Some("P/.env is not a regular file (it is a device)".to_owned()));
    }
}
