//! Refusals that are known to pass by themselves.

/// What the engine, and Compose in its name, says where the same may well succeed in a moment.
const PASSING: [&str; 9] = [
    "port is already allocated",
    "address already in use",
    "is already in progress",
    "is marked for removal",
    "is already in use by container",
    "device or resource busy",
    "device is busy",
    "cannot connect to the docker daemon",
    "error during connect",
];

/// Whether a refusal, in these words, may be gone in a moment. What is not known to pass does not.
pub fn may_pass(words: &str) -> bool {
    let words = words.to_lowercase();
    PASSING.iter().any(|known| words.contains(known)) || is_left_task(&words)
}

/// An engine that was killed starts its containers again while containerd still has what it started before: `failed to create task for
/// container: task 0a1b: already exists`.
fn is_left_task(words: &str) -> bool {
    words.contains("failed to create task") && words.contains(": already exists")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_to_pass_and_what_is_not() {
        for words in [
            "driver failed programming external connectivity on endpoint web: Bind for 0.0.0.0:8080 failed: port is already allocated",
            "failed to bind host port for 0.0.0.0:80: address already in use",
            "removal of container 0a1b is already in progress",
            "container is marked for removal and cannot be started",
            "Conflict. The container name \"/shop-web-1\" is already in use by container \"0a1b\"",
            "error while removing: Device or resource busy",
            "failed to create task for container: task 0a1b: already exists: unknown",
            "Cannot connect to the Docker daemon at unix:///run/docker.sock. Is the docker daemon running?",
        ] {
            assert!(may_pass(words), "{words}");
        }
        for words in [
            "No such image: shop-web:latest",
            "invalid mount config for type \"bind\": bind source path does not exist: /srv/x",
            "exec: \"serve\": executable file not found in $PATH",
            "cannot start a paused container, try unpause instead",
            "",
        ] {
            assert!(!may_pass(words), "{words}");
        }
    }
}
