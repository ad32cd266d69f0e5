//! Whether the front end still moves, for whoever watches over the program.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// By when the first sign comes: until then a start puts in order what an earlier run left.
const FIRST: Duration = Duration::from_secs(10 * 60);
/// What may pass beyond the time that was announced: keeping what came, a machine that has much to do.
const SLACK: Duration = Duration::from_secs(60);

/// A sign of life of the loop that asks Telegram for updates, and whether Telegram ever answered. Clones share it.
///
/// Before each wait the loop says how long that may take. A Telegram that is away is a wait like any other: only a loop
/// that no longer turns is late.
#[derive(Debug, Clone)]
pub struct Pulse(Arc<watch::Sender<Sign>>);

#[derive(Debug, Clone, Copy)]
struct Sign {
    connected: bool,
    next_by: Instant,
}

impl Default for Pulse {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Sign { connected: false, next_by: Instant::now() + FIRST })))
    }
}

impl Pulse {
    /// The start goes on: its first sign comes within the time that a start may take, from now on.
    pub fn begins(&self) {
        self.next_within(FIRST);
    }

    /// The loop turns, and gives its next sign within this time.
    pub(crate) fn next_within(&self, wait: Duration) {
        let next_by = Instant::now() + wait + SLACK;
        self.0.send_modify(|sign| sign.next_by = next_by);
    }

    /// Telegram has answered, and messages are taken from now on.
    pub(crate) fn connect(&self) {
        self.0.send_modify(|sign| sign.connected = true);
    }

    /// Waits until Telegram has answered for the first time.
    pub async fn connected(&self) {
        // The sender lives as long as self, so that waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|sign| sign.connected).await;
    }

    /// Whether the loop still turned at this time, as far as it said how long it may take.
    pub fn moves(&self, now: Instant) -> bool {
        now <= self.0.borrow().next_by
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_late_only_after_the_time_that_was_announced() {
        let (pulse, now) = (Pulse::default(), Instant::now());
        assert!(pulse.moves(now + FIRST - Duration::from_secs(1)), "a start may take its time");
        assert!(!pulse.moves(now + FIRST + Duration::from_secs(5)), "but not any");
        pulse.next_within(Duration::from_secs(40));
        assert!(pulse.moves(now + Duration::from_secs(40) + SLACK));
        assert!(!pulse.moves(now + Duration::from_secs(45) + SLACK));
        pulse.next_within(Duration::from_secs(3_600));
        assert!(pulse.moves(now + Duration::from_secs(3_600)), "Telegram may ask to wait");
    }

    #[tokio::test]
    async fn it_is_connected_once_it_is_said() {
        let pulse = Pulse::default();
        let waiting = tokio::spawn({
            let pulse = pulse.clone();
            async move { pulse.connected().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        pulse.connect();
        waiting.await.unwrap();
    }
}
