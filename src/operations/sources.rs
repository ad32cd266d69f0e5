//! What a project's configuration is made of: compose files, variables, and whatever else the compose files name.

use std::io::Read;
use std::path::Path;

use blake3::{Hash, Hasher};

use crate::engine::compose::Files;

/// The words by which a compose file names others that it is made of, besides `env_file`.
pub(super) const OTHERS: [&str; 3] = ["extends", "include", "label_file"];

/// Those by which what Compose resolves depends on more than the compose files and the variables: `develop` names paths whose
/// links it follows.
const BEYOND: [&str; 2] = ["env_file", "develop"];

/// The greatest file, in bytes, whose configuration is remembered.
const FILE_MAX: u64 = 1 << 20;

/// Whether the compose files, or others that they are made of, may use one of these words. One that cannot be read, or that
/// escapes characters, may use any: Compose is asked then.
pub(super) fn says(files: &Files<'_>, words: &[&str]) -> bool {
    files.files.iter().any(|file| std::fs::read_to_string(files.root.join(file)).map_or(true, |text| may_say(&text, words)))
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
    if !path.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(FILE_MAX + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= FILE_MAX).then_some(bytes)
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
}
