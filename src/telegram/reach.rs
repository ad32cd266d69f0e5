//! Whether Telegram can be reached: said once when it goes away, and once when it is back.

use std::time::Duration;

use tokio::time::Instant;

use super::api::CallError;

/// The longest pause between two polls in vain.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// How it stands.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// Since when it is away, how often it was tried, and what was said about it.
    away: Option<(Instant, u32, &'static str)>,
}

impl Reach {
    /// It answers.
    pub(crate) fn back(&mut self) {
        if let Some((since, ..)) = self.away.take() {
            tracing::info!(after_s = since.elapsed().as_secs(), "Telegram answers again");
        }
    }

    /// It did not answer as it should; how long to wait now.
    pub(crate) fn lost(&mut self, error: &CallError) -> Duration {
        let said = match error {
            CallError::Refused { code: 401 | 404, .. } => "Telegram does not accept the token any more; it is tried again",
            CallError::Refused { code: 409, why } if why.contains("webhook") => "a webhook is set for this bot; it is taken away",
            CallError::Refused { code: 409, .. } => "another process polls with this bot's token: end it, or give it a token of its own",
            CallError::Refused { .. } => "Telegram refuses to give updates; it is tried again",
            CallError::TooFast(wait) => return *wait,
            _ => "Telegram is away; it is tried again until it is back",
        };
        let (since, tries, before) = self.away.unwrap_or((Instant::now(), 0, ""));
        if before != said {
            if matches!(error, CallError::Refused { .. }) {
                tracing::error!(%error, "{said}");
            } else {
                tracing::warn!(%error, "{said}");
            }
        }
        self.away = Some((since, tries.saturating_add(1), said));
        Duration::from_secs(1 << tries.min(5)).min(BACKOFF_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        let mut reach = Reach::default();
        let away = CallError::Away("refused".into());
        let pauses: Vec<u64> = (0..8).map(|_| reach.lost(&away).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(reach.lost(&CallError::TooFast(Duration::from_secs(7))).as_secs(), 7);
        reach.back();
        assert_eq!(reach.lost(&CallError::Server(502)).as_secs(), 1);
    }
}
