//! An operation while it runs: one message that is edited as it advances.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::command::data;
use super::front::{Front, Place, locked};
use super::outbox::{Button, Keyboard, Letter};
use crate::domain::words;
use crate::operations::Running;

/// The shortest time between two edits.
const EDIT_EVERY: Duration = Duration::from_secs(1);
/// How often the elapsed time is shown anew where nothing else happens; seldom enough for a group's 20 a minute.
const TICK: Duration = Duration::from_secs(5);
/// How long an outcome may take to turn up among the notices before nobody waits for it any more.
const OUTCOME_MAX: Duration = Duration::from_secs(30);

impl Front {
    /// Shows how an operation advances, until it has ended. The outcome comes as a message of its own.
    pub(crate) async fn show_progress(&self, place: &Place, running: Running) {
        let mut view = running.view;
        // Whoever may not cancel is told so by the press.
        let cancel = {
            let view = view.borrow();
            vec![vec![Button { label: "Cancel".to_owned(), data: data('k', view.project()) }]]
        };
        let text = words::progress(&view.borrow_and_update(), self.now());
        let letter = Letter {
            chat: place.chat,
            thread: place.thread,
            text,
            buttons: cancel.clone(),
            reply_to: (!place.private).then_some(place.message),
            silent: true,
            yields: false,
        };
        // Without a message there is nothing to edit; the end is still waited for, and the outcome still comes.
        let message = self.outbox.send(letter).await.ok();
        let mut edited = Instant::now();
        let mut gone = false;
        while !gone && view.borrow().ended.is_none() {
            tokio::select! {
                changed = view.changed() => gone = changed.is_err(),
                () = sleep(TICK) => {}
            }
            let next = edited + EDIT_EVERY;
            while !gone && view.borrow().ended.is_none() && Instant::now() < next {
                tokio::select! {
                    changed = view.changed() => gone = changed.is_err(),
                    () = sleep_until(next) => {}
                }
            }
            let text = words::progress(&view.borrow_and_update(), self.now());
            if let Some(message) = message {
                let buttons = if view.borrow().ended.is_none() { cancel.clone() } else { Keyboard::new() };
                self.outbox.edit(place.chat, message, text, buttons);
            }
            edited = Instant::now();
        }
        if let Some(message) = message {
            let text = words::progress(&view.borrow_and_update(), self.now());
            self.outbox.edit(place.chat, message, text, Keyboard::new());
        }
    }

    /// The operation has ended: its outcome is to be delivered now.
    pub(crate) fn outcome_expected(&self, operation: i64) {
        drop(locked(&self.running).remove(&operation));
        self.notices.notify_one();
        let front = self.clone();
        tokio::spawn(async move {
            sleep(OUTCOME_MAX).await;
            drop(locked(&front.undelivered).remove(&operation));
        });
    }
}
