//! Questions that many ask at once, asked once.

use std::hash::Hash;
use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The last answer, and when it was asked for.
type Slot<V> = Arc<Mutex<Option<(Instant, V)>>>;

/// Answers that are on their way. Nobody gets one that was asked for before they came: so nothing old is ever told, and
/// however many come while one is on its way, it is asked once more and no oftener.
#[derive(Debug)]
pub(super) struct Shared<K: Eq + Hash, V>(DashMap<K, Slot<V>>);

impl<K: Eq + Hash, V> Default for Shared<K, V> {
    fn default() -> Self {
        Self(DashMap::default())
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Shared<K, V> {
    /// The answer to `ask`, of which nothing but `key` makes a difference.
    pub(super) async fn ask(&self, key: &K, ask: impl Future<Output = V>) -> V {
        let came = Instant::now();
        let slot: Slot<V> = Arc::clone(&self.0.entry(key.clone()).or_default());
        let mut last = slot.lock().await;
        let answer = match &*last {
            Some((asked, answer)) if *asked > came => answer.clone(),
            _ => {
                let asked = Instant::now();
                let answer = ask.await;
                *last = Some((asked, answer.clone()));
                answer
            }
        };
        drop(last);
        drop(slot);
        // Nothing is kept that nobody waits for.
        self.0.remove_if(key, |_, slot| Arc::strong_count(slot) == 1);
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn many_at_once_are_two_and_nobody_gets_what_was_asked_before() {
        let shared: Arc<Shared<&str, usize>> = Arc::default();
        let (asked, may) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let one = || {
            let (shared, asked, may) = (Arc::clone(&shared), Arc::clone(&asked), Arc::clone(&may));
            tokio::spawn(async move {
                let ask = async {
                    let number = asked.fetch_add(1, Ordering::Relaxed);
                    may.acquire().await.unwrap().forget();
                    number
                };
                shared.ask(&"shop", ask).await
            })
        };
        let first = one();
        yield_now().await;
        // These come while the first is on its way.
        let others = [one(), one(), one()];
        yield_now().await;
        may.add_permits(1);
        assert_eq!(first.await.unwrap(), 0);
        yield_now().await;
        // This one comes after the second was asked for.
        let last = one();
        yield_now().await;
        may.add_permits(2);
        for other in others {
            assert_eq!(other.await.unwrap(), 1);
        }
        assert_eq!(last.await.unwrap(), 2);
        assert!(shared.0.is_empty(), "nothing is kept");
    }
}
