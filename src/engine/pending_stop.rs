//! Stops that the engine is still carrying out for a client that has gone away.
//!
//! `docker inspect` reads `running` until a container's grace period is over, and closing the connection cancels nothing. What
//! does tell is the `kill` event at the beginning of a stop. The engine keeps the last 256 events of all kinds, three of which
//! are one health check: where those do not reach back far enough, a stop may be under way that nobody can see.

use std::time::Duration;

use futures_util::TryStreamExt;

use super::ask::Question;
use super::docker::{Docker, EngineError, STOP_MAX};
use super::inspect;
use crate::domain::container::Container;

/// The engine's own grace period.
const DEFAULT_GRACE: Duration = Duration::from_secs(10);
/// How long a request that the engine has accepted may take to show in its events.
const ACCEPTED: Duration = Duration::from_millis(500);
/// How long the engine may take to list its last events.
const LIST_LIMIT: Duration = Duration::from_secs(15);
/// How many events the engine keeps.
const KEPT: usize = 256;
/// How much longer than its grace period a stop may take: the engine kills the container then, and waits for that.
const SLACK: Duration = Duration::from_secs(10);
/// The same where nobody knows whether there is a stop at all: the engine of a busy machine keeps the events of a few seconds.
const UNSEEN_SLACK: Duration = Duration::from_secs(2);

/// One of the engine's last events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecentEvent {
    /// When, in nanoseconds since the epoch by the engine's own clock.
    pub(super) at: i64,
    /// The id of what it is about.
    pub(super) actor: String,
    /// What happened: `kill`, `die`, `start` ..
    pub(super) action: String,
}

impl Docker {
    /// For each container how much longer the engine may need to stop it; none where it is stopping nothing. `asked` is the grace
    /// period that a stop of ours asks for, where it asks for one.
    ///
    /// # Errors
    /// The engine does not answer or refuses.
    pub async fn pending_stops(&self, containers: &[Container], asked: Option<Duration>) -> Result<Vec<Option<Duration>>, EngineError> {
        // What the engine has accepted and not begun yet shows within a moment: it lists until then.
        let until = self.time().await? + ACCEPTED;
        let text = format!("{}.{:09}", until.as_second(), until.subsec_nanosecond());
        let listed = self.connection.lines(Question::get("/events").with("since", "0").with("until", &text));
        let listed = listed.try_filter_map(|event| async move { Ok(inspect::recent_event(&event)) });
        let listed = tokio::time::timeout(LIST_LIMIT, listed.try_collect::<Vec<RecentEvent>>()).await;
        let events = listed.map_err(|_| EngineError::Away("it took too long to list its last events".into()))??;
        let now = i64::try_from(until.as_nanosecond()).unwrap_or(i64::MAX);
        let grace = |c: &Container| c.stop_timeout.unwrap_or(DEFAULT_GRACE).max(asked.unwrap_or_default()).min(STOP_MAX);
        Ok(containers.iter().map(|c| remaining(&events, &c.id, grace(c), now)).collect())
    }
}

/// How much longer the engine may need to stop a container that has `grace` to end by itself, at `now` of the engine's own clock
/// in nanoseconds; none where it is stopping nothing. `events` are all that it keeps, oldest first.
pub(super) fn remaining(events: &[RecentEvent], container: &str, grace: Duration, now: i64) -> Option<Duration> {
    let limit = |slack: Duration| i64::try_from((grace + slack).as_nanos()).unwrap_or(i64::MAX);
    let mut of_container = events.iter().filter(|event| event.actor == container);
    let last = of_container.rfind(|event| matches!(event.action.as_str(), "kill" | "die" | "start" | "stop"));
    let left = match last {
        Some(event) if event.action == "kill" => event.at.saturating_add(limit(SLACK)).saturating_sub(now),
        Some(_) => return None,
        // A stop that began before the oldest event that is kept has used up that much of its time.
        None if events.len() >= KEPT => events.first()?.at.saturating_add(limit(UNSEEN_SLACK)).saturating_sub(now),
        None => return None,
    };
    u64::try_from(left).ok().filter(|left| *left > 0).map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn event(seconds: i64, actor: &str, action: &str) -> RecentEvent {
        RecentEvent { at: seconds * SECOND, actor: actor.to_owned(), action: action.to_owned() }
    }

    fn left(events: &[RecentEvent], now: i64) -> Option<u64> {
        remaining(events, "web", Duration::from_secs(4), now * SECOND).map(|left| left.as_secs())
    }

    #[test]
    fn a_kill_without_a_die_is_a_stop_under_way() {
        let kill = [event(100, "web", "start"), event(200, "web", "kill"), event(201, "db", "die")];
        assert_eq!(left(&kill, 201), Some(13), "its grace period and what the engine needs after that");
        assert_eq!(left(&kill, 214), None, "long over: the signal was no stop's");
        let died = [&kill[..], &[event(204, "web", "kill"), event(205, "web", "die")]].concat();
        assert_eq!(left(&died, 206), None);
        let again = [&died[..], &[event(206, "web", "start"), event(207, "web", "exec_start: test"), event(208, "web", "kill")]].concat();
        assert_eq!(left(&again, 208), Some(14));
        assert_eq!(left(&[event(200, "db", "kill")], 201), None);
        assert_eq!(left(&[], 201), None);
    }

    #[test]
    fn what_the_engine_has_forgotten_may_be_a_stop() {
        let checks: Vec<RecentEvent> = (0..256).map(|n| event(100 + n / 64, "db", "exec_die")).collect();
        assert_eq!(left(&checks, 104), Some(2), "it may have begun just before the oldest event");
        assert_eq!(left(&checks, 114), None, "a stop that began before the oldest event is over by now");
        assert_eq!(left(&checks[1..], 104), None, "nothing was forgotten");
    }
}
