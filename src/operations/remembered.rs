//! What Compose answered, remembered for a while: a plan that is shown, made again when it is confirmed and carried out asks
//! several times for the same, and each answer takes Compose 30 to 60 ms.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use blake3::Hash;
use tokio::time::Instant;

/// How long answers are remembered.
const AGE_MAX: Duration = Duration::from_secs(600);
/// How many answers are remembered, and how many bytes they may have together: a project of hundreds of services has large ones.
const COUNT_MAX: usize = 32;
const BYTES_MAX: usize = 2 * 1024 * 1024;

/// An answer that is remembered.
struct Answer<T> {
    since: Instant,
    question: Hash,
    bytes: usize,
    answer: T,
}

/// Answers by a hash of everything that they depend on. Clones share them.
pub(super) struct Remembered<T>(Arc<Mutex<VecDeque<Answer<T>>>>);

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
        all.retain(|known| now.duration_since(known.since) < AGE_MAX);
        all.iter().find(|known| known.question == question).map(|known| known.answer.clone())
    }

    /// Remembers an answer of so many bytes; the oldest make room.
    pub(super) fn learn(&self, question: Hash, answer: T, bytes: usize, now: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|known| now.duration_since(known.since) < AGE_MAX && known.question != question);
        all.push_front(Answer { since: now, question, bytes, answer });
        let mut held = 0;
        let kept = all.iter().take(COUNT_MAX).take_while(|known| {
            held += known.bytes;
            held <= BYTES_MAX
        });
        let kept = kept.count();
        all.truncate(kept);
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
            remembered.learn(hash(n), n, 1, now);
        }
        assert_eq!(remembered.known(hash(0), now), None, "the oldest made room");
        assert_eq!(remembered.known(hash(1), now), Some(1));
        assert_eq!(remembered.known(hash(1), now + AGE_MAX), None);
        remembered.learn(hash(2), 2, 1, now);
        remembered.learn(hash(3), 3, BYTES_MAX, now);
        assert_eq!(
            (remembered.known(hash(2), now), remembered.known(hash(3), now)),
            (None, Some(3)),
            "large ones make room for each other"
        );
        remembered.learn(hash(4), 4, BYTES_MAX + 1, now);
        assert_eq!(remembered.known(hash(4), now), None, "one that is too large is not kept");
    }
}
