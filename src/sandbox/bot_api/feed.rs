//! What changed in the chats, numbered, for pages that follow along.

use std::collections::VecDeque;

/// Most changes kept for a page that was away; one that missed more loads everything again.
pub const MAX_CHANGES: usize = 1_000;

/// One change that a chat shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Change {
    /// A message is new or was edited; its state is read when it is shown, so that bursts of edits cost one drawing.
    Message(i32),
    /// A message is gone.
    Deleted(i32),
    /// A press was answered.
    Answered {
        /// The press.
        callback: String,
        /// What is shown.
        text: String,
        /// As a dialog.
        alert: bool,
    },
    /// The bot is busy, as it says.
    Action,
    /// The list of commands is another one.
    Commands,
}

/// The last changes of all chats.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Feed {
    changes: VecDeque<(u64, i64, Change)>,
    last: u64,
}

impl Feed {
    pub(super) fn push(&mut self, chat: i64, change: Change) {
        self.last += 1;
        self.changes.push_back((self.last, chat, change));
        if self.changes.len() > MAX_CHANGES {
            self.changes.pop_front();
        }
    }

    /// Number of the last change; 0 before the first.
    pub(in crate::sandbox) fn last(&self) -> u64 {
        self.last
    }

    /// The changes of a chat after a number (chat 0: of every chat), or none where some of them are forgotten or the
    /// number is not from this run.
    pub(in crate::sandbox) fn after(&self, number: u64, chat: i64) -> Option<Vec<(u64, Change)>> {
        let oldest = self.changes.front().map_or(self.last + 1, |(number, ..)| *number);
        if number + 1 < oldest || number > self.last {
            return None;
        }
        let wanted = |(n, of, _): &&(u64, i64, Change)| *n > number && (*of == chat || *of == 0);
        Some(self.changes.iter().filter(wanted).map(|(n, _, change)| (*n, change.clone())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_replayed_by_number_and_chat() {
        let mut feed = Feed::default();
        assert_eq!(feed.after(0, 5), Some(vec![]));
        feed.push(5, Change::Message(1));
        feed.push(6, Change::Message(1));
        feed.push(0, Change::Commands);
        assert_eq!(feed.after(0, 5), Some(vec![(1, Change::Message(1)), (3, Change::Commands)]));
        assert_eq!(feed.after(1, 5), Some(vec![(3, Change::Commands)]));
        assert_eq!(feed.after(3, 5), Some(vec![]));
        assert_eq!(feed.after(4, 5), None, "a number of another run");
    }

    #[test]
    fn who_missed_too_much_is_told() {
        let mut feed = Feed::default();
        for id in 0..=MAX_CHANGES {
            feed.push(5, Change::Message(i32::try_from(id).unwrap()));
        }
        assert_eq!(feed.changes.len(), MAX_CHANGES);
        assert_eq!(feed.after(0, 5), None);
        assert_eq!(feed.after(1, 5).map(|changes| changes.len()), Some(MAX_CHANGES));
    }
}
