//! The API's own time. Every answer of the API carries its `Date`, so that a machine whose clock is off judges the age
//! of a message as Telegram does, without asking for the time.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};

use crate::domain::Millis;

/// A message that would change something is refused when it is older than this.
pub(crate) const STALE_MS: Millis = 60_000;
/// A clock that is off by more than this is worth saying.
const SKEW_MS: Millis = 30_000;

/// What the API's clock shows, as far as its answers tell.
#[derive(Debug)]
pub(crate) struct ApiClock {
    local: fn() -> Millis,
    /// The API's clock minus ours.
    offset: AtomicI64,
    warned: AtomicBool,
}

impl ApiClock {
    pub(crate) fn new(local: fn() -> Millis) -> Self {
        Self { local, offset: AtomicI64::new(0), warned: AtomicBool::new(false) }
    }

    /// Our own clock.
    pub(crate) fn local(&self) -> Millis {
        (self.local)()
    }

    /// Takes in the `Date` of an answer that was just received. What is no date changes nothing.
    pub(crate) fn heard(&self, date: &str) {
        let Some(theirs) = parse(date) else { return };
        let offset = theirs.saturating_sub(self.local());
        self.offset.store(offset, Relaxed);
        let off = offset.abs() > SKEW_MS;
        if off && !self.warned.swap(true, Relaxed) {
            tracing::warn!(ahead_ms = -offset, "this machine's clock differs from Telegram's; ages are judged by Telegram's");
        } else if !off {
            self.warned.store(false, Relaxed);
        }
    }

    /// How far our clock is ahead of the API's (negative: behind), where that is worth saying.
    pub(crate) fn skew(&self) -> Option<Millis> {
        let ahead = -self.offset.load(Relaxed);
        (ahead.abs() > SKEW_MS).then_some(ahead)
    }

    /// Whether a message of this time (seconds, as the API counts) is too old to change anything.
    pub(crate) fn is_stale(&self, date: i64) -> bool {
        let now = self.local().saturating_add(self.offset.load(Relaxed));
        now.saturating_sub(date.saturating_mul(1_000)) > STALE_MS
    }
}

/// An HTTP date (`Sun, 06 Nov 1994 08:49:37 GMT`).
fn parse(date: &str) -> Option<Millis> {
    let parser = jiff::fmt::rfc2822::DateTimeParser::new();
    parser.parse_timestamp(date.trim()).ok().map(|t| t.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_go_by_the_apis_clock() {
        // Ours stands at one o'clock, theirs five minutes before.
        let clock = ApiClock::new(|| 3_600_000);
        assert!(clock.is_stale(3_300) && clock.skew().is_none(), "without an answer ours is all there is");
        clock.heard("Thu, 01 Jan 1970 00:55:00 GMT");
        assert_eq!(clock.skew(), Some(300_000));
        assert!(!clock.is_stale(3_300) && !clock.is_stale(3_240) && clock.is_stale(3_239));
        clock.heard("nonsense");
        assert_eq!(clock.skew(), Some(300_000));
        clock.heard("Thu, 01 Jan 1970 00:59:59 GMT");
        assert_eq!(clock.skew(), None);
    }
}
