//! What waits to be sent in one chat, and in which order it goes.

use std::collections::VecDeque;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Keyboard, Letter, NotSent};
use crate::domain::text::Text;
use crate::telegram::activity::Guard;

/// How many things may wait in one chat.
pub(crate) const QUEUE_MAX: usize = 100;

/// Who is told what became of a message: its number, or why not.
pub(crate) type Reply = oneshot::Sender<Result<i32, NotSent>>;

/// One thing that waits.
pub(crate) struct Item {
    pub(crate) job: Job,
    /// When it is given up.
    pub(crate) deadline: Instant,
    /// How often it was tried in vain.
    pub(crate) tries: u32,
    /// Whether Telegram refused its formatting.
    pub(crate) bare: bool,
    /// Counts as activity, and as something that waits here, until it is dealt with.
    pub(crate) _guards: [Guard; 2],
}

/// What is to be done.
pub(crate) enum Job {
    /// A message, in as many parts as it takes.
    Send { letter: Letter, parts: VecDeque<Text>, reply: Reply },
    /// A file with a caption.
    Document { letter: Letter, name: String, content: Vec<u8>, reply: Reply },
    /// Another text and other buttons for a message.
    Edit { message: i32, text: Text, buttons: Keyboard },
}

impl Item {
    /// The message that it edits, if it does.
    pub(crate) fn edits(&self) -> Option<i32> {
        match self.job {
            Job::Edit { message, .. } => Some(message),
            _ => None,
        }
    }

    /// Whether others go before it.
    fn yields(&self) -> bool {
        match &self.job {
            Job::Send { letter, .. } | Job::Document { letter, .. } => letter.yields,
            Job::Edit { .. } => false,
        }
    }

    /// Takes it out of its topic; false where it is in none.
    pub(crate) fn leave_thread(&mut self) -> bool {
        match &mut self.job {
            Job::Send { letter, .. } | Job::Document { letter, .. } => letter.thread.take().is_some(),
            Job::Edit { .. } => false,
        }
    }

    /// Ends it.
    pub(crate) fn end(self, result: Result<i32, NotSent>) {
        match self.job {
            // Whoever asked may have gone; then nobody needs to know.
            Job::Send { reply, .. } | Job::Document { reply, .. } => drop(reply.send(result)),
            Job::Edit { .. } => {}
        }
    }
}

/// Adds an item: an edit takes the place of one of the same message that waits; a full queue drops an edit, the oldest
/// first, and without any the new item, which comes back.
pub(crate) fn push(queue: &mut VecDeque<Item>, item: Item) -> Option<Item> {
    if item.edits().is_some()
        && let Some(waiting) = queue.iter_mut().find(|i| i.edits() == item.edits())
    {
        waiting.job = item.job;
        waiting.deadline = item.deadline;
        return None;
    }
    if queue.len() < QUEUE_MAX {
        queue.push_back(item);
        return None;
    }
    match queue.iter().position(|i| i.edits().is_some()) {
        Some(edit) => {
            let dropped = queue.remove(edit);
            queue.push_back(item);
            dropped
        }
        None => Some(item),
    }
}

/// Which item goes next with so many tokens: in order, those that yield last; but the last token is kept for messages, so that a
/// progress that is edited every second never makes an answer wait.
pub(crate) fn next(queue: &VecDeque<Item>, tokens: u32) -> Option<usize> {
    let may_go = |item: &Item| tokens > 1 || (tokens == 1 && item.edits().is_none());
    let first = |yields: bool| queue.iter().position(|item| may_go(item) && item.yields() == yields);
    first(false).or_else(|| first(true))
}

/// How many tokens it takes for anything in the queue to go.
pub(crate) fn needed(queue: &VecDeque<Item>) -> u32 {
    if queue.iter().any(|i| i.edits().is_none()) { 1 } else { 2 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telegram::activity::Activity;

    fn item(job: Job) -> Item {
        Item { job, deadline: Instant::now(), tries: 0, bare: false, _guards: [Activity::default().begin(), Activity::default().begin()] }
    }

    fn send() -> Item {
        let letter = Letter { chat: 1, thread: None, text: Text::new(), buttons: Vec::new(), reply_to: None, silent: false, yields: false };
        item(Job::Send { letter, parts: VecDeque::new(), reply: oneshot::channel().0 })
    }

    fn edit(message: i32, text: &str) -> Item {
        item(Job::Edit { message, text: Text::new().plain(text), buttons: Vec::new() })
    }

    #[test]
    fn the_newest_edit_of_a_message_replaces_the_one_that_waits() {
        let mut queue = VecDeque::new();
        assert!(push(&mut queue, edit(1, "old")).is_none());
        assert!(push(&mut queue, send()).is_none());
        assert!(push(&mut queue, edit(1, "new")).is_none());
        assert!(push(&mut queue, edit(2, "other")).is_none());
        assert_eq!(queue.len(), 3);
        assert!(matches!(&queue[0].job, Job::Edit { text, .. } if text.to_plain() == "new"));
    }

    #[test]
    fn a_full_queue_drops_edits_first() {
        let mut queue = VecDeque::new();
        for n in 0..QUEUE_MAX {
            let item = if n == 50 { edit(7, "x") } else { send() };
            assert!(push(&mut queue, item).is_none());
        }
        assert_eq!(push(&mut queue, send()).and_then(|i| i.edits()), Some(7));
        assert!(push(&mut queue, send()).is_some_and(|i| i.edits().is_none()), "only messages left: the new one goes back");
        assert_eq!(queue.len(), QUEUE_MAX);
    }

    #[test]
    fn messages_do_not_wait_for_edits() {
        let queue = VecDeque::from([edit(1, "x"), send()]);
        assert_eq!((next(&queue, 0), next(&queue, 1), next(&queue, 2)), (None, Some(1), Some(0)));
        let mut late = send();
        if let Job::Send { letter, .. } = &mut late.job {
            letter.yields = true;
        }
        let queue = VecDeque::from([late, edit(1, "x"), send()]);
        assert_eq!((next(&queue, 0), next(&queue, 1), next(&queue, 2)), (None, Some(2), Some(1)), "what yields goes last");
        let queue = VecDeque::from([edit(1, "x")]);
        assert_eq!((next(&queue, 1), needed(&queue)), (None, 2));
    }
}
