//! The variables by which Compose and the Docker client are steered.
//!
//! Compose takes them from production's `.env` too, where they would change what a plan means: a variable that stands in the environment
//! of the process counts before the same one in `.env`. What else begins with `COMPOSE_` or `DOCKER_` is the user's to set:
//! `COMPOSE_PROFILES` says which services there are, and any other `DOCKER_…` may be a variable of a compose file.

/// What each call of Compose gets.
pub const STEERING: [(&str, &str); 6] = [
    // What the compose file does not name any more stays until somebody removes it by /docker_tidy. The two exclude each other.
    ("COMPOSE_REMOVE_ORPHANS", "0"),
    ("COMPOSE_IGNORE_ORPHANS", "1"),
    // Bake wants a newer buildx than many machines have, and reports failures differently.
    ("COMPOSE_BAKE", "false"),
    ("COMPOSE_PARALLEL_LIMIT", "-1"),
    ("COMPOSE_MENU", "false"),
    // With them, an image in containerd's store has another id each time it is built, even where nothing changed.
    ("BUILDX_NO_DEFAULT_ATTESTATIONS", "1"),
];

/// The variables by which the Docker client chooses an engine, a login and a protocol, besides `DOCKER_HOST`. Empty, they choose nothing.
pub const CLIENT: [&str; 6] =
    ["DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_API_VERSION"];
