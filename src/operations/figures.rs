//! Figures that take longer to find out than an answer may: measured aside, and told with their age.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use dashmap::{DashMap, Entry};
use tokio::sync::watch;
use tokio::time::timeout;

use super::tools::Clock;
use crate::domain::Millis;

/// For how long a figure is told, in milliseconds.
const KEPT: Millis = 3_600_000;

/// A figure, and when it began to be measured.
type Figure<V> = (Millis, V);

/// Figures, by what they are of. However many ask for one, it is measured once at a time. Clones share them.
#[derive(Debug)]
pub(super) struct Figures<K: Eq + Hash, V> {
    known: Arc<DashMap<K, Figure<V>>>,
    under_way: Arc<DashMap<K, watch::Receiver<Option<Figure<V>>>>>,
}

impl<K: Eq + Hash, V> Clone for Figures<K, V> {
    fn clone(&self) -> Self {
        Self { known: Arc::clone(&self.known), under_way: Arc::clone(&self.under_way) }
    }
}

impl<K: Eq + Hash, V> Default for Figures<K, V> {
    fn default() -> Self {
        Self { known: Arc::default(), under_way: Arc::default() }
    }
}

/// Takes a measure off the list of those under way, also where it broke off.
struct UnderWay<K: Eq + Hash, V> {
    figures: Figures<K, V>,
    of: K,
}

impl<K: Eq + Hash, V> Drop for UnderWay<K, V> {
    fn drop(&mut self) {
        self.figures.under_way.remove(&self.of);
    }
}

impl<K, V> Figures<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The figure as it is now; where that is not found out in time, it goes on aside, and the last one is told. None where
    /// there is none that is worth telling.
    pub(super) async fn of<M>(&self, of: K, patience: Duration, clock: Clock, measure: impl FnOnce() -> M) -> Option<Figure<V>>
    where
        M: Future<Output = V> + Send + 'static,
    {
        if let Some(now) = self.now(of.clone(), patience, clock, measure).await {
            return Some(now);
        }
        self.known.get(&of).map(|figure| figure.clone()).filter(|(at, _)| clock() - at < KEPT)
    }

    /// The figure as it is now; none where that is not found out in time.
    pub(super) async fn now<M>(&self, of: K, patience: Duration, clock: Clock, measure: impl FnOnce() -> M) -> Option<Figure<V>>
    where
        M: Future<Output = V> + Send + 'static,
    {
        let mut coming = match self.under_way.entry(of.clone()) {
            Entry::Occupied(under_way) => under_way.get().clone(),
            Entry::Vacant(none) => {
                let (sender, receiver) = watch::channel(None);
                none.insert(receiver.clone());
                let (under_way, measured, measuring) = (UnderWay { figures: self.clone(), of }, clock(), measure());
                tokio::spawn(async move {
                    let figure = (measured, measuring.await);
                    let known = &under_way.figures.known;
                    known.retain(|_, (at, _)| measured - *at < KEPT);
                    known.insert(under_way.of.clone(), figure.clone());
                    drop(under_way);
                    // Nobody may wait for it any more.
                    let _ = sender.send(Some(figure));
                });
                receiver
            }
        };
        let came = timeout(patience, coming.wait_for(Option::is_some)).await;
        came.ok()?.ok()?.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    /// What is waited for so long cannot come: nothing lets it.
    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn what_takes_long_goes_on_aside_and_is_measured_once_at_a_time() {
        let figures: Figures<&str, usize> = Figures::default();
        let (asked, may) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let measure = || {
            let (asked, may) = (Arc::clone(&asked), Arc::clone(&may));
            async move {
                let number = asked.fetch_add(1, Ordering::Relaxed);
                may.acquire().await.unwrap().forget();
                number
            }
        };
        let clock: Clock = || 1_000;
        assert_eq!(figures.of("a", SHORT, clock, measure).await, None, "nothing is known yet");
        assert_eq!(figures.of("a", SHORT, clock, measure).await, None);
        assert_eq!(asked.load(Ordering::Relaxed), 1, "the first goes on");
        may.add_permits(1);
        assert_eq!(figures.of("a", LONG, clock, measure).await, Some((1_000, 0)));
        // Another one begins, and until it is there the last one is told.
        let later: Clock = || 1_000 + KEPT - 1;
        assert_eq!(figures.now("a", SHORT, later, measure).await, None);
        assert_eq!(figures.of("a", SHORT, later, measure).await, Some((1_000, 0)));
        let too_late: Clock = || 1_000 + KEPT;
        assert_eq!(figures.of("a", SHORT, too_late, measure).await, None);
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_measure_that_breaks_off_is_begun_again() {
        let figures: Figures<&str, usize> = Figures::default();
        let clock: Clock = || 0;
        let breaks: fn() -> futures_util::future::Ready<usize> = || panic!("on purpose");
        assert_eq!(figures.of("a", LONG, clock, || async move { breaks().await }).await, None);
        assert_eq!(figures.of("a", LONG, clock, || async { 7 }).await, Some((0, 7)));
    }
}
