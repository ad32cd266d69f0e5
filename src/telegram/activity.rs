//! What is going on: counted, so that `try --send` and tests know when there is nothing left to wait for.

use std::sync::Arc;

use tokio::sync::watch;

use super::pulse::Pulse;

/// Counts what is going on: updates that are not dealt with, messages that are not sent, operations whose outcome is
/// not delivered. Pending confirmations and followed logs do not count: they wait for people.
#[derive(Debug, Clone)]
pub struct Activity {
    count: Arc<watch::Sender<usize>>,
    pulse: Pulse,
}

/// Something that goes on until this is dropped.
#[derive(Debug)]
pub struct Guard(Activity);

impl Default for Activity {
    fn default() -> Self {
        Self { count: Arc::new(watch::Sender::new(0)), pulse: Pulse::default() }
    }
}

impl Activity {
    /// Something begins.
    pub fn begin(&self) -> Guard {
        self.count.send_modify(|n| *n += 1);
        Guard(self.clone())
    }

    /// How many things go on now.
    pub fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits until nothing goes on.
    pub async fn idle(&self) {
        // The sender lives as long as self, so that waiting cannot fail.
        let _ = self.count.subscribe().wait_for(|n| *n == 0).await;
    }

    /// Whether all of it still moves.
    pub fn pulse(&self) -> &Pulse {
        &self.pulse
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.count.send_modify(|n| *n = n.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_idle_when_the_last_guard_is_gone() {
        let activity = Activity::default();
        activity.idle().await;
        let (one, two) = (activity.begin(), activity.begin());
        drop(one);
        assert_eq!(activity.count(), 1);
        let waiting = tokio::spawn({
            let activity = activity.clone();
            async move { activity.idle().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(two);
        waiting.await.unwrap();
    }
}
