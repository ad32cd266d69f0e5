//! What a service manager such as systemd is told: that dockmaster is ready, that it is alive, that it ends. Where nobody
//! asks (there is no `NOTIFY_SOCKET`) nothing is said.
//!
//! *Ready* means that Telegram has answered. Where Telegram is away, waiting for it is all that can be done and a restart
//! would not help, so the time that a start may take is extended for as long as the poll loop turns: a start that hangs
//! is ended by the service manager, one that waits is not.
//!
//! *Alive* means that the runtime answers (this is one of its tasks) and that the poll loop keeps the time that it
//! announced for its next turn. It does not depend on Telegram.
//!
//! At the end a running step is finished, which may take longer than a service manager waits unless it is told so.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::telegram::Pulse;

/// How often something is said; more often where the watchdog asks for it.
const EVERY: Duration = Duration::from_secs(20);
/// The shortest pause, whatever the watchdog asks for.
const EVERY_MIN: Duration = Duration::from_millis(10);
/// By how much the time to start or to end is extended each time, in microseconds.
const EXTENSION_US: u32 = 60_000_000;

/// How far the program is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Starting,
    Running,
    Ending,
}

/// Tells the service manager, where there is one, until it is aborted.
pub fn supervise(pulse: Pulse, shutdown: CancellationToken) -> Option<JoinHandle<()>> {
    std::env::var_os("NOTIFY_SOCKET")?;
    Some(tokio::spawn(watch(pulse, shutdown, sd_notify::watchdog_enabled())))
}

async fn watch(pulse: Pulse, shutdown: CancellationToken, watchdog: Option<Duration>) {
    // Twice within the watchdog's time, so that one that comes late does no harm.
    let every = watchdog.map_or(EVERY, |within| (within / 2).clamp(EVERY_MIN, EVERY));
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut stage, mut still) = (Stage::Starting, false);
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled(), if stage != Stage::Ending => {
                stage = Stage::Ending;
                tell(&[NotifyState::Stopping, NotifyState::Status("ending; a running step is finished first")]);
            }
            () = pulse.connected(), if stage == Stage::Starting => {
                stage = Stage::Running;
                tell(&[NotifyState::Ready, NotifyState::Status("connected to Telegram")]);
            }
            _ = ticks.tick() => {}
        }
        let moves = pulse.moves(Instant::now());
        if !moves && !still {
            tracing::error!(
                "the loop that asks Telegram for messages stands still: the service manager is no longer told that all is well"
            );
        }
        still = !moves;
        tell(&signs(stage, moves, watchdog.is_some()));
    }
}

/// What is said each time.
fn signs(stage: Stage, moves: bool, watched: bool) -> Vec<NotifyState<'static>> {
    let waiting = NotifyState::Status("waiting for Telegram's first answer");
    let extend = NotifyState::ExtendTimeoutUsec(EXTENSION_US);
    let alive = watched.then_some(NotifyState::Watchdog);
    match stage {
        Stage::Starting if moves => vec![extend, waiting],
        Stage::Running if moves => alive.into_iter().collect(),
        // Every wait at the end has a bound of its own, and nobody asks Telegram any more.
        Stage::Ending => alive.into_iter().chain([extend]).collect(),
        Stage::Starting | Stage::Running => Vec::new(),
    }
}

fn tell(signs: &[NotifyState<'_>]) {
    if signs.is_empty() {
        return;
    }
    // A service manager that is started anew is away for a moment; the next sign reaches it.
    if let Err(error) = sd_notify::notify(signs) {
        tracing::warn!(%error, "the service manager could not be told how dockmaster is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(stage: Stage, moves: bool, watched: bool) -> String {
        signs(stage, moves, watched).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_loop_that_stands_still_is_not_vouched_for() {
        assert_eq!(said(Stage::Starting, true, true), "EXTEND_TIMEOUT_USEC=60000000 STATUS=waiting for Telegram's first answer");
        assert_eq!(said(Stage::Running, true, true), "WATCHDOG=1");
        assert_eq!(said(Stage::Running, true, false), "", "nobody asked");
        for stage in [Stage::Starting, Stage::Running] {
            assert_eq!(said(stage, false, true), "", "{stage:?}");
        }
    }

    #[test]
    fn the_end_may_take_as_long_as_a_running_step() {
        for moves in [true, false] {
            assert_eq!(said(Stage::Ending, moves, true), "WATCHDOG=1 EXTEND_TIMEOUT_USEC=60000000");
        }
    }
}
