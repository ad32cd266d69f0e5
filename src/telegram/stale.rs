//! Messages that came too late to change anything: one summary for each chat.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::oneshot;

use super::clock::STALE_MS;
use super::front::{Front, Place, locked};
use crate::domain::access::ChatId;
use crate::domain::words;

/// How long more of them are waited for.
const COLLECT: Duration = Duration::from_secs(2);

/// What was too late, by which message, and who waits until that was said.
type Late = (i32, String, oneshot::Sender<()>);

/// What was too late, by chat.
#[derive(Default)]
pub(crate) struct Stale(Mutex<HashMap<ChatId, Vec<Late>>>);

impl Front {
    /// Refuses a message that is too old; returns when the summary was sent.
    pub(crate) async fn too_late(&self, place: &Place, what: String) {
        let (told, done) = oneshot::channel();
        let first = {
            let mut chats = locked(&self.stale.0);
            let late = chats.entry(place.chat).or_default();
            late.push((place.message, what, told));
            late.len() == 1
        };
        if first {
            let (front, place) = (self.clone(), place.clone());
            self.tasks.spawn(async move {
                tokio::time::sleep(COLLECT).await;
                let mut late = locked(&front.stale.0).remove(&place.chat).unwrap_or_default();
                late.sort_by_key(|(message, ..)| *message);
                let (what, told): (Vec<String>, Vec<_>) = late.into_iter().map(|(_, what, told)| (what, told)).unzip();
                front.say(&Place { private: true, ..place }, words::stale(&what, STALE_MS, front.clock.skew())).await;
                for told in told {
                    // Whoever waits may have been dropped at the end of the program.
                    let _ = told.send(());
                }
            });
        }
        // An error means that the one who collects ended: the program does.
        drop(done.await);
    }
}
