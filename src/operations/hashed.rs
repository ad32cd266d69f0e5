//! The hashes that Compose computed of configurations, remembered for a while: a plan that is shown, and made again when it
//! is confirmed, asks twice for the same.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use blake3::Hash;
use tokio::time::Instant;

use crate::domain::project::ServiceName;

/// How long they are remembered. Another Compose may hash in another way, and is seldom installed between a plan and its
/// confirmation.
const AGE_MAX: Duration = Duration::from_secs(600);
/// How many configurations are remembered.
const COUNT_MAX: usize = 32;

type Services = BTreeMap<ServiceName, String>;

/// What is remembered. Clones share it. Of a configuration it holds a hash alone: nothing of its values.
#[derive(Debug, Clone, Default)]
pub struct Hashed(Arc<Mutex<VecDeque<(Instant, Hash, Services)>>>);

impl Hashed {
    /// What was learned of a configuration, as it is handed to Compose.
    pub(super) fn known(&self, configuration: &[u8], now: Instant) -> Option<Services> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(since, ..)| now.duration_since(*since) < AGE_MAX);
        let hash = blake3::hash(configuration);
        all.iter().find(|(_, known, _)| *known == hash).map(|(_, _, services)| services.clone())
    }

    /// Remembers the hashes of a configuration's services.
    pub(super) fn learn(&self, configuration: &[u8], services: &Services, now: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.truncate(COUNT_MAX - 1);
        all.push_front((now, blake3::hash(configuration), services.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_known_for_a_while() {
        let (hashed, now) = (Hashed::default(), Instant::now());
        let of = |n: usize| Services::from([(ServiceName::new("web").unwrap(), n.to_string())]);
        assert_eq!(hashed.known(b"0", now), None);
        for n in 0..=COUNT_MAX {
            hashed.learn(n.to_string().as_bytes(), &of(n), now);
        }
        assert_eq!(hashed.known(b"0", now), None, "the oldest made room");
        assert_eq!(hashed.known(b"1", now), Some(of(1)));
        assert_eq!(hashed.known(b"1", now + AGE_MAX), None);
    }
}
