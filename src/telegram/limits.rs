//! Sentences that are said seldom, however often somebody asks for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
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

/// How many messages of strangers are worked on at once in one chat, and in all chats together. More are not answered,
/// so that nobody can keep the bot busy who may not use it.
const STRANGERS_A_CHAT: usize = 3;
const STRANGERS: usize = 50;

/// The messages of strangers that are being answered, by chat.
#[derive(Debug, Clone, Default)]
pub(crate) struct Strangers(Arc<Mutex<HashMap<ChatId, usize>>>);

/// The answer to a stranger, while it is given.
#[derive(Debug)]
pub(crate) struct Stranger {
    all: Strangers,
    chat: ChatId,
}

impl Strangers {
    /// A stranger's message comes in; none where it is not to be answered.
    pub(crate) fn enter(&self, chat: ChatId) -> Option<Stranger> {
        let mut all = locked(&self.0);
        if all.values().sum::<usize>() >= STRANGERS || all.get(&chat).is_some_and(|n| *n >= STRANGERS_A_CHAT) {
            return None;
        }
        *all.entry(chat).or_default() += 1;
        Some(Stranger { all: self.clone(), chat })
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut all = locked(&self.all.0);
        if let Some(n) = all.get_mut(&self.chat) {
            *n -= 1;
            if *n == 0 {
                all.remove(&self.chat);
            }
        }
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

    #[test]
    fn strangers_cannot_keep_it_busy() {
        let strangers = Strangers::default();
        let mut one: Vec<Stranger> = (0..9).filter_map(|_| strangers.enter(1)).collect();
        assert_eq!(one.len(), STRANGERS_A_CHAT);
        one.pop();
        assert!(strangers.enter(1).is_some());
        drop(one);
        let all: Vec<Stranger> = (0..99).filter_map(|chat| strangers.enter(chat)).collect();
        assert_eq!(all.len(), STRANGERS);
        drop(all);
        assert!(locked(&strangers.0).is_empty());
    }
}
