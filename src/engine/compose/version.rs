//! The version of Compose, and what it notices.

use std::fmt;

/// A version of Compose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// The third number.
    pub patch: u32,
}

/// The first version that labels networks and volumes with a hash of their definition, and compares it.
const RESOURCES: Version = Version { major: 2, minor: 31, patch: 0 };

/// The first version that runs the hooks of services.
const HOOKS: Version = Version { major: 2, minor: 30, patch: 0 };

impl Version {
    /// Reads `2.26.1-4` or `v2.29.0`; none where it is no version.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches('v');
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().ok());
        let mut next = || numbers.next().flatten();
        Some(Self { major: next()?, minor: next().unwrap_or_default(), patch: next().unwrap_or_default() })
    }

    /// Whether it can be used: v2 or later.
    pub fn is_supported(self) -> bool {
        self.major >= 2
    }

    /// Whether it notices that the definition of a network has changed, or that a container is not in its networks.
    pub fn notices_networks(self) -> bool {
        self >= RESOURCES
    }

    /// Whether it runs `post_start` and `pre_stop`; older ones take them and do nothing.
    pub fn runs_hooks(self) -> bool {
        self >= HOOKS
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_compose_v2_is_supported() {
        let is_supported = |text| Version::parse(text).is_some_and(Version::is_supported);
        assert!(["2.26.1-4\n", "v2.29.0", "3.0.0-rc1", "5.5"].into_iter().all(is_supported));
        assert!(!["1.29.2", "", "docker-compose version 1.29.2", "unknown"].into_iter().any(is_supported));
    }

    #[test]
    fn newer_ones_notice_networks() {
        let notices = |text| Version::parse(text).unwrap().notices_networks();
        assert!(!notices("2.26.1-4") && !notices("v2.30.3") && notices("2.31.0") && notices("2.40.3-3") && notices("5.0.1"));
        assert_eq!(Version::parse("v2.40.3-3").unwrap().to_string(), "2.40.3");
    }
}
