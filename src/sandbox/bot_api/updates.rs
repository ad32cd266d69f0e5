//! The queue of updates: numbered, kept until the bot confirmed them, bounded.

use std::collections::{BTreeSet, VecDeque};

use serde_json::{Value, json};

/// Most updates that wait for the bot; the oldest go first, which is a violation.
pub const MAX_UPDATES: usize = 10_000;
/// Most updates of one answer.
const MAX_BATCH: usize = 100;
/// How far past the end an offset may lie before it is taken for one of an earlier numbering.
const OFFSET_SLACK: i64 = 10;
/// Kinds that a bot gets only where it asks for them.
const ON_REQUEST: [&str; 3] = ["chat_member", "message_reaction", "message_reaction_count"];

/// Updates on their way to the bot.
#[derive(Debug)]
pub(super) struct Updates {
    waiting: VecDeque<(u32, Value)>,
    next: u32,
    /// The kinds that the bot asked for; none until it said so.
    allowed: Option<BTreeSet<String>>,
    /// Counts polls: one that finds another number than its own has been replaced.
    poll: u64,
}

impl Default for Updates {
    fn default() -> Self {
        // Telegram's own numbers start anywhere; one that is no list index shows a bot that takes them for one.
        Self { waiting: VecDeque::new(), next: 300_001, allowed: None, poll: 0 }
    }
}

impl Updates {
    /// Puts an update in line, unless the bot did not ask for this kind. True where an older one had to go.
    pub(super) fn push(&mut self, kind: &str, content: Value) -> bool {
        let is_wanted = match &self.allowed {
            Some(allowed) if !allowed.is_empty() => allowed.contains(kind),
            _ => !ON_REQUEST.contains(&kind),
        };
        is_wanted && self.push_unasked(kind, content)
    }

    /// The same, also where the bot did not ask for this kind: what was in line before it said so still comes.
    pub(super) fn push_unasked(&mut self, kind: &str, content: Value) -> bool {
        let mut update = json!({ "update_id": self.next });
        update[kind] = content;
        self.waiting.push_back((self.next, update));
        self.next = self.next.wrapping_add(1);
        let is_full = self.waiting.len() > MAX_UPDATES;
        if is_full {
            self.waiting.pop_front();
        }
        is_full
    }

    /// Begins a poll, which ends the one before it.
    pub(super) fn begin_poll(&mut self) -> u64 {
        self.poll += 1;
        self.poll
    }

    pub(super) fn is_current(&self, poll: u64) -> bool {
        self.poll == poll
    }

    pub(super) fn allow(&mut self, kinds: Vec<String>) {
        self.allowed = Some(kinds.into_iter().collect());
    }

    /// Forgets what an offset confirms: everything below it, or all but the last few for a negative one.
    pub(super) fn confirm(&mut self, offset: i64) {
        if offset < 0 {
            let keep = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
            let surplus = self.waiting.len().saturating_sub(keep);
            self.waiting.drain(..surplus);
        } else if offset <= i64::from(self.next) + OFFSET_SLACK {
            self.waiting.retain(|(id, _)| i64::from(*id) >= offset);
        }
    }

    /// The updates that the bot gets now; they stay until they are confirmed.
    pub(super) fn batch(&self, limit: Option<i64>) -> Vec<Value> {
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| (1..=MAX_BATCH).contains(limit));
        self.waiting.iter().take(limit.unwrap_or(MAX_BATCH)).map(|(_, update)| update.clone()).collect()
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// How many the bot has not confirmed.
    pub(super) fn pending(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_pending(&self, id: u32) -> bool {
        self.waiting.iter().any(|(waiting, _)| *waiting == id)
    }

    /// Number of the last update that was put in line.
    pub(super) fn last_id(&self) -> u32 {
        self.next.wrapping_sub(1)
    }

    pub(super) fn renumber(&mut self, next: u32) {
        self.next = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(updates: &Updates, limit: Option<i64>) -> Vec<u64> {
        updates.batch(limit).iter().map(|update| update["update_id"].as_u64().unwrap()).collect()
    }

    fn three() -> Updates {
        let mut updates = Updates::default();
        updates.renumber(10);
        for text in ["a", "b", "c"] {
            assert!(!updates.push("message", json!(text)));
        }
        updates
    }

    #[test]
    fn updates_stay_until_an_offset_confirms_them() {
        let mut updates = three();
        assert_eq!(ids(&updates, None), [10, 11, 12]);
        assert_eq!(ids(&updates, Some(2)), [10, 11]);
        assert_eq!(ids(&updates, Some(0)), [10, 11, 12], "a limit out of range is none");
        updates.confirm(0);
        assert_eq!(updates.pending(), 3);
        updates.confirm(12);
        assert_eq!(ids(&updates, None), [12]);
        assert!(!updates.is_pending(11) && updates.is_pending(12));
        updates.confirm(13);
        assert_eq!((updates.pending(), updates.last_id()), (0, 12));
    }

    #[test]
    fn a_negative_offset_keeps_the_last() {
        let mut updates = three();
        updates.confirm(-1);
        assert_eq!(ids(&updates, None), [12]);
    }

    #[test]
    fn an_offset_of_an_earlier_numbering_confirms_nothing() {
        let mut updates = three();
        updates.confirm(900_000);
        assert_eq!(updates.pending(), 3);
    }

    #[test]
    fn only_kinds_that_were_asked_for_are_kept() {
        let mut updates = Updates::default();
        updates.push("chat_member", json!({}));
        assert_eq!(updates.pending(), 0);
        updates.allow(vec!["callback_query".to_owned()]);
        updates.push("message", json!({}));
        updates.push("callback_query", json!({}));
        assert_eq!(updates.pending(), 1);
        updates.allow(Vec::new());
        updates.push("message", json!({}));
        assert_eq!(updates.pending(), 2);
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut updates = Updates::default();
        for n in 0..MAX_UPDATES {
            assert!(!updates.push("message", json!(n)));
        }
        assert!(updates.push("message", json!("one more")));
        assert_eq!(updates.pending(), MAX_UPDATES);
        assert_eq!(updates.batch(Some(1))[0]["message"], 1);
    }
}
