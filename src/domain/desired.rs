//! What a compose project's files say of its services: how many containers of each there are to be, and which are behind a profile
//! that is not active.

use std::collections::{BTreeMap, BTreeSet};

use super::container::Container;
use super::project::ServiceName;

/// How a service stands in the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is declared, with so many containers.
    Declared(u64),
    /// It is declared behind a profile that is not active: Compose leaves it as it is, unless it is named.
    Inactive,
    /// No file declares it.
    Leftover,
}

/// What the files say of a service that they do not declare any more.
pub const LEFTOVER: &str = "no longer in the compose file";
/// What they say of one behind a profile that is not active.
pub const INACTIVE: &str = "behind a profile that is not active";

impl Standing {
    /// Whether operations on a whole project leave it alone, and why.
    pub fn left_alone(self) -> Option<&'static str> {
        match self {
            Self::Declared(0) => Some("0 declared"),
            Self::Declared(_) => None,
            Self::Inactive => Some(INACTIVE),
            Self::Leftover => Some(LEFTOVER),
        }
    }
}

/// What the files of a compose project say of its services.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DesiredState {
    replicas: BTreeMap<ServiceName, u64>,
    inactive: Option<BTreeSet<ServiceName>>,
}

impl DesiredState {
    /// `inactive` is what is behind profiles that are not active; none where nobody knows, so that whatever is not declared may be.
    pub fn new(replicas: BTreeMap<ServiceName, u64>, inactive: Option<BTreeSet<ServiceName>>) -> Self {
        Self { replicas, inactive }
    }

    /// How a service stands.
    pub fn of(&self, service: &ServiceName) -> Standing {
        match (self.replicas.get(service), &self.inactive) {
            (Some(replicas), _) => Standing::Declared(*replicas),
            (None, Some(inactive)) if !inactive.contains(service) => Standing::Leftover,
            (None, _) => Standing::Inactive,
        }
    }

    /// How many containers of a service there are to be, where it is declared.
    pub fn replicas(&self, service: &ServiceName) -> Option<u64> {
        self.replicas.get(service).copied()
    }

    /// The services that take part, with how many containers of each there are to be.
    pub fn declared(&self) -> impl Iterator<Item = (&ServiceName, u64)> {
        self.replicas.iter().map(|(service, replicas)| (service, *replicas))
    }

    /// Every service that the files name, taking part or not.
    pub fn names(&self) -> impl Iterator<Item = &ServiceName> {
        self.replicas.keys().chain(self.inactive.iter().flatten())
    }

    /// The services of some containers that stand in a certain way.
    pub fn standing<'a>(&self, containers: &'a [Container], wanted: Standing) -> BTreeSet<&'a ServiceName> {
        containers.iter().map(|c| &c.service).filter(|service| self.of(service) == wanted).collect()
    }
}

/// How many of some containers are of a service.
pub fn count_of<'a>(service: &ServiceName, containers: impl IntoIterator<Item = &'a Container>) -> u64 {
    u64::try_from(containers.into_iter().filter(|c| c.service == *service).count()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_stands_as_the_files_say() {
        let name = |text: &str| ServiceName::new(text).unwrap();
        let replicas = || [(name("web"), 3), (name("tool"), 0)].into();
        let desired = DesiredState::new(replicas(), Some([name("debug")].into()));
        let why = |desired: &DesiredState, service: &str| desired.of(&name(service)).left_alone().unwrap_or("takes part");
        assert_eq!(["web", "tool", "debug", "old"].map(|s| why(&desired, s)), ["takes part", "0 declared", INACTIVE, LEFTOVER]);
        assert_eq!((desired.replicas(&name("web")), desired.replicas(&name("debug"))), (Some(3), None));
        let unknown = DesiredState::new(replicas(), None);
        assert_eq!(why(&unknown, "old"), INACTIVE, "nothing is called left over that may be behind a profile");
    }
}
