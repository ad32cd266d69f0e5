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
    PASSING.iter().any(|known| words.contains(known))
}

/// Whether an engine can never start a container again, by what it says of the attempt. One that is killed while a container ends may
/// keep what is left of it: `task 0a1b: already exists`, and after its own restart `failed to start shim: mkdir …: file exists`
/// (Engine 26.1). Neither time nor another restart heals that; another container can be made in its place.
pub fn is_stuck(words: &str) -> bool {
    let left_task = words.contains("task for container: task ") && words.contains(": already exists");
    let left_shim = words.contains("failed to start shim: mkdir ") && words.contains(": file exists");
    left_task || left_shim
}

/// What is to be done about a container that [is stuck](is_stuck).
pub const UNSTUCK: &str = "The engine was killed while this container ended, and can never start it again. Make another in its place (of a compose project: \
                           docker compose up -d --force-recreate SERVICE), and ask again.";

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
            "Cannot connect to the Docker daemon at unix:///run/docker.sock. Is the docker daemon running?",
        ] {
            assert!(may_pass(words), "{words}");
        }
        for words in [
            "No such image: shop-web:latest",
            "invalid mount config for type \"bind\": bind source path does not exist: /srv/x",
            "exec: \"serve\": executable file not found in $PATH",
            "cannot start a paused container, try unpause instead",
            "failed to create task for container: task 0a1b: already exists: unknown",
            "",
        ] {
            assert!(!may_pass(words), "{words}");
        }
    }

    #[test]
    fn container_that_an_engine_lost_is_known_by_its_words() {
        for words in [
            "Error response from daemon: failed to create task for container: task 9d93: already exists",
            "failed to create task for container: failed to start shim: mkdir /run/containerd/io.containerd.runtime.v2.task/moby/0776: file exists: unknown",
        ] {
            assert!(is_stuck(words) && !may_pass(words), "{words}");
        }
        for words in [
            "failed to create task for container: failed to create shim task: OCI runtime create failed: mkdir /srv/x: file exists: unknown",
            "network with name shop_default already exists",
            "",
        ] {
            assert!(!is_stuck(words), "{words}");
        }
    }
}
