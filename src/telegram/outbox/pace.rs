//! How fast messages go: a bucket of tokens for each chat, and one for all.
//!
//! Telegram itself limits bots, also those that use a Bot API server of their own.

use std::time::Duration;

use tokio::time::Instant;

/// How fast messages may go to a chat: a few at once after a pause, then so many a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    at_once: f64,
    private: f64,
    group: f64,
}

impl Pace {
    /// What Telegram allows: about a message a second in private, 20 a minute in a group.
    pub const TELEGRAM: Self = Self { at_once: 5.0, private: 1.0, group: 20.0 / 60.0 };
    /// For a server that has no limits, such as the sandbox.
    pub const UNLIMITED: Self = Self { at_once: 30.0, private: 30.0, group: 30.0 };
}

/// A bucket of tokens that fills up steadily.
#[derive(Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    most: f64,
    per_second: f64,
    at: Instant,
}

impl Bucket {
    /// For a chat.
    pub(crate) fn of_chat(chat: i64, pace: Pace, now: Instant) -> Self {
        let per_second = if chat < 0 { pace.group } else { pace.private };
        Self { tokens: pace.at_once, most: pace.at_once, per_second, at: now }
    }

    /// For all chats together: 30 a second.
    pub(crate) fn of_all(now: Instant) -> Self {
        Self { tokens: 30.0, most: 30.0, per_second: 30.0, at: now }
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.most);
        self.at = now;
    }

    /// How many whole tokens there are.
    pub(crate) fn whole(&mut self, now: Instant) -> u32 {
        self.fill(now);
        // A hair of tolerance: a wait that was computed in floating point must not end just short of its token.
        (0..5).find(|n| self.tokens + 1e-6 < f64::from(n + 1)).unwrap_or(5)
    }

    /// How long until there are `n` tokens.
    pub(crate) fn until(&mut self, n: u32, now: Instant) -> Duration {
        self.fill(now);
        Duration::from_secs_f64(((f64::from(n) - self.tokens) / self.per_second).max(0.0))
    }

    /// Takes a token. Without one the bucket goes below zero, so that whoever waits for it gets their turn.
    pub(crate) fn take(&mut self, now: Instant) {
        self.fill(now);
        self.tokens -= 1.0;
    }

    /// Takes a token and says how long to wait until it counts.
    pub(crate) fn take_and_wait(&mut self, now: Instant) -> Duration {
        self.take(now);
        self.until(0, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_at_once_and_then_steadily() {
        let start = Instant::now();
        let mut group = Bucket::of_chat(-5, Pace::TELEGRAM, start);
        assert_eq!(group.whole(start), 5);
        for _ in 0..5 {
            group.take(start);
        }
        assert_eq!(group.whole(start), 0);
        let wait = group.until(1, start);
        assert!((wait.as_secs_f64() - 3.0).abs() < 0.01, "{wait:?}");
        assert_eq!(group.whole(start + wait), 1);
        let mut private = Bucket::of_chat(5, Pace::TELEGRAM, start);
        (0..5).for_each(|_| private.take(start));
        assert_eq!(private.whole(start + Duration::from_secs(2)), 2);
        assert_eq!(private.whole(start + Duration::from_secs(60)), 5);
    }

    #[test]
    fn all_chats_together_take_turns() {
        let start = Instant::now();
        let mut all = Bucket::of_all(start);
        let waits: Vec<Duration> = (0..33).map(|_| all.take_and_wait(start)).collect();
        assert_eq!(waits[29], Duration::ZERO);
        assert!(waits[32] > waits[30] && waits[32] <= Duration::from_millis(101), "{:?}", waits[32]);
    }
}
