//! Sentences that are said seldom, however often somebody asks for them.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::front::locked;
use crate::domain::access::ChatId;

/// How often a chat that is not listed is told so.
const HOUR: Duration = Duration::from_secs(3_600);
/// How many chats are remembered; beyond it nobody new is told anything.
const CHATS_MAX: usize = 1_000;

/// When each chat was told last.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<HashMap<ChatId, Instant>>);

impl Seldom {
    /// Whether it may be said now in this chat; then it counts as said.
    pub(crate) fn may(&self, chat: ChatId, now: Instant) -> bool {
        let mut told = locked(&self.0);
        told.retain(|_, at| now.saturating_duration_since(*at) < HOUR);
        if told.contains_key(&chat) || told.len() >= CHATS_MAX {
            return false;
        }
        told.insert(chat, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_an_hour_a_chat() {
        let (seldom, now) = (Seldom::default(), Instant::now());
        assert!(seldom.may(1, now) && !seldom.may(1, now) && seldom.may(2, now));
        assert!(seldom.may(1, now + HOUR));
    }
}
