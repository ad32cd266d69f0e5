//! Equal refusals of many confirmations: the first few are said at once, the others together with their number.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::sleep;

use super::activity::Guard;
use super::front::{Front, Place, locked};
use super::outbox::{Keyboard, Letter};
use crate::domain::access::ChatId;
use crate::domain::text::Text;
use crate::domain::words;

/// How long equal refusals are collected.
const COLLECT: Duration = Duration::from_secs(3);
/// How many equal ones are said each by itself.
const SINGLE: u32 = 3;
/// How many different ones are collected at once; each one beyond is said by itself.
const DIFFERENT_MAX: usize = 1_000;

/// A refusal: where, in which topic, and what it says.
type Which = (ChatId, Option<i32>, String);

/// How often a refusal came a moment ago.
#[derive(Default)]
struct Came {
    single: u32,
    /// How many wait to be said together, and that something does.
    more: u32,
    waiting: Option<Guard>,
}

/// The refusals that were said a moment ago.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<HashMap<Which, Came>>);

impl Front {
    /// Refuses an answer to a plan. Returns once that was sent; at once where it is to be said with others, since the person was told.
    pub(crate) async fn refuse(&self, place: &Place, text: Text) {
        let which = (place.chat, place.thread, text.to_plain());
        let first = {
            let mut all = locked(&self.refusals.0);
            let known = all.len();
            match all.entry(which.clone()) {
                Entry::Occupied(mut said) if said.get().single >= SINGLE => {
                    let came = said.get_mut();
                    came.more = came.more.saturating_add(1);
                    came.waiting.get_or_insert_with(|| self.activity.begin());
                    return;
                }
                Entry::Occupied(mut said) => {
                    said.get_mut().single += 1;
                    false
                }
                Entry::Vacant(new) => {
                    let is_kept = known < DIFFERENT_MAX;
                    if is_kept {
                        new.insert(Came { single: 1, ..Came::default() });
                    }
                    is_kept
                }
            }
        };
        if first {
            self.collect(place.clone(), which, text.clone());
        }
        self.say(place, text).await;
    }

    /// Says those that come again, for as long as there are any.
    fn collect(&self, place: Place, which: Which, text: Text) {
        let front = self.clone();
        self.tasks.spawn(async move {
            while let Some((times, _waiting)) = front.again(&which).await {
                let letter = Letter {
                    chat: place.chat,
                    thread: place.thread,
                    text: words::repeated(text.clone(), times),
                    buttons: Keyboard::new(),
                    reply_to: None,
                    silent: true,
                    yields: true,
                };
                // Why it was not sent is in the log already.
                drop(front.outbox.send(letter).await);
            }
        });
    }

    /// How often a refusal came again while it was collected; none where it did not, and then it is forgotten.
    async fn again(&self, which: &Which) -> Option<(u32, Option<Guard>)> {
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = sleep(COLLECT) => {}
        }
        let mut all = locked(&self.refusals.0);
        let came = all.get_mut(which).map(|came| (std::mem::take(&mut came.more), came.waiting.take()));
        let more = came.filter(|(times, _)| *times > 0);
        if more.is_none() {
            all.remove(which);
        }
        more
    }
}
