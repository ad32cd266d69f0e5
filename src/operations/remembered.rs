//! What Compose answered, remembered for a while: a plan that is shown, made again when it is confirmed and carried out asks
//! several times for the same, and each answer takes Compose 30 to 60 ms.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use blake3::Hash;
use tokio::time::Instant;

/// How long answers are remembered. Another Compose may answer in another way, and is seldom installed between a plan and
/// its confirmation.
const AGE_MAX: Duration = Duration::from_secs(600);
/// How many answers are remembered.
const COUNT_MAX: usize = 32;

/// Answers by a hash of everything that they depend on. Clones share them.
pub(super) struct Remembered<T>(Arc<Mutex<VecDeque<(Instant, Hash, T)>>>);

impl<T> Clone for Remembered<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// Without the answers: they may hold what nobody may see.
impl<T> fmt::Debug for Remembered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remembered").finish_non_exhaustive()
    }
}

impl<T: Clone> Remembered<T> {
    /// What was answered to the question with that hash.
    pub(super) fn known(&self, question: Hash, now: Instant) -> Option<T> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(since, ..)| now.duration_since(*since) < AGE_MAX);
        all.iter().find(|(_, known, _)| *known == question).map(|(_, _, answer)| answer.clone())
    }

    /// Remembers an answer; the oldest makes room.
    pub(super) fn learn(&self, question: Hash, answer: T, now: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.truncate(COUNT_MAX - 1);
        all.push_front((now, question, answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_known_for_a_while() {
        let (remembered, now) = (Remembered::default(), Instant::now());
        let hash = |n: usize| blake3::hash(&n.to_le_bytes());
        assert_eq!(remembered.known(hash(0), now), None);
        for n in 0..=COUNT_MAX {
            remembered.learn(hash(n), n, now);
        }
        assert_eq!(remembered.known(hash(0), now), None, "the oldest made room");
        assert_eq!(remembered.known(hash(1), now), Some(1));
        assert_eq!(remembered.known(hash(1), now + AGE_MAX), None);
    }
}
