//! What a container shares with another one instead of having its own.

/// What is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shared {
    /// The network namespace (`network_mode`).
    Network,
    /// The process namespace (`pid`).
    Processes,
    /// The namespace of shared memory (`ipc`).
    Memory,
    /// All volumes (`volumes_from`).
    Volumes,
}

impl Shared {
    /// The word for it, as in "shares the network of vpn".
    pub fn word(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Processes => "processes",
            Self::Memory => "memory",
            Self::Volumes => "volumes",
        }
    }

    /// Whether it is gone once the container that it belongs to ends. Volumes stay.
    pub fn ends_with_owner(self) -> bool {
        self != Self::Volumes
    }
}

/// What a container shares, and with which one: its id, or a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sharing {
    /// What.
    pub what: Shared,
    /// With which container.
    pub with: String,
}

/// Whose it is, as a compose file says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A service of the same project (`service:vpn`).
    Service(String),
    /// A container, by its name or id (`container:vpn`).
    Container(String),
}
