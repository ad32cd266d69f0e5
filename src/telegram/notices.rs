//! Delivers what the history keeps for chats, outcomes above all: tried again for as long as Telegram is away, and
//! after a restart.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, sleep};

use super::command::data;
use super::front::{Front, locked};
use super::outbox::{Button, Keyboard, Letter, NotSent};
use crate::domain::access::{Actor, ChatId, Role};
use crate::domain::notice::Notice;
use crate::domain::text::Text;
use crate::domain::words;
use crate::history::HistoryError;
use crate::history::notices::Waiting;

/// How often it is looked for notices where nobody says that there are some.
const LOOK: Duration = Duration::from_secs(2);
/// The longest pause between two tries of one notice.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// Notices on their way, or waiting for their next try.
#[derive(Default)]
pub(crate) struct Delivery(Mutex<HashMap<i64, Tries>>);

/// How often one was tried, and when it may be tried again; none while it is on its way, and once it was dealt with.
#[derive(Default)]
struct Tries {
    count: u32,
    next: Option<Instant>,
    /// It was dealt with (or given up, and why), and only that is still to be noted: it must not be sent again.
    settled: Option<Option<String>>,
    /// That was noted: a list that still has it was read before.
    noted: bool,
}

impl Delivery {
    /// What is to be tried now of a list that was just read, by chat. It counts as on its way from here on. Lists are to
    /// be given one after another, in the order in which they were read.
    fn due(&self, waiting: Vec<Waiting>, now: Instant) -> HashMap<ChatId, Vec<Waiting>> {
        let mut all = locked(&self.0);
        all.retain(|id, tries| !tries.noted || waiting.iter().any(|notice| notice.id == *id));
        let mut due: HashMap<ChatId, Vec<Waiting>> = HashMap::new();
        for notice in waiting {
            let tries = all.entry(notice.id).or_insert(Tries { next: Some(now), ..Tries::default() });
            if tries.next.is_some_and(|at| at <= now) {
                tries.next = None;
                due.entry(notice.origin.chat).or_default().push(notice);
            }
        }
        due
    }

    /// This one is to be tried again, later each time.
    fn later(&self, notice: i64) {
        let mut all = locked(&self.0);
        let tries = all.entry(notice).or_default();
        let pause = Duration::from_secs(1 << tries.count.min(6)).min(BACKOFF_MAX);
        tries.count = tries.count.saturating_add(1);
        tries.next = Some(Instant::now() + pause);
    }

    /// This one was dealt with, and the history knows.
    fn noted(&self, notice: i64) {
        locked(&self.0).entry(notice).or_default().noted = true;
    }
}

impl Front {
    /// Delivers notices until the program ends.
    pub(crate) async fn deliver_notices(self, delivery: Arc<Delivery>) {
        loop {
            self.deliver_due(&delivery).await;
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = self.notices.notified() => {}
                () = sleep(LOOK) => {}
            }
        }
    }

    /// Starts the delivery of everything that waits and is due.
    pub(crate) async fn deliver_due(&self, delivery: &Arc<Delivery>) {
        let waiting = match self.history.notices_waiting().await {
            Ok(waiting) => waiting,
            Err(error) => return tracing::error!(%error, "what chats must be told cannot be read"),
        };
        // In order within a chat, and no chat waits for another.
        for notices in delivery.due(waiting, Instant::now()).into_values() {
            let (front, delivery, guard) = (self.clone(), Arc::clone(delivery), self.activity.begin());
            self.tasks.spawn(async move {
                for notice in notices {
                    let id = notice.id;
                    if AssertUnwindSafe(front.deliver(&delivery, notice)).catch_unwind().await.is_err() {
                        tracing::error!(notice = id, "the delivery of what a chat must be told panicked");
                        delivery.later(id);
                    }
                }
                drop(guard);
            });
        }
    }

    async fn deliver(&self, delivery: &Delivery, waiting: Waiting) {
        let settled = locked(&delivery.0).get(&waiting.id).and_then(|tries| tries.settled.clone());
        let why_not = match settled {
            Some(why_not) => why_not,
            None => match self.told(&waiting).await {
                Ok(why_not) => why_not,
                Err(()) => return delivery.later(waiting.id),
            },
        };
        if let Notice::Outcome { operation } = waiting.notice {
            drop(locked(&self.undelivered).remove(&operation));
        }
        if let Err(error) = self.history.notice_settled(waiting.id, self.now(), why_not.clone()).await {
            tracing::error!(%error, notice = waiting.id, "a chat was told, and that could not be noted yet");
            locked(&delivery.0).entry(waiting.id).or_default().settled = Some(why_not);
            return delivery.later(waiting.id);
        }
        delivery.noted(waiting.id);
    }

    /// Tells a chat. Nothing where it was told, why not where it never will be.
    async fn told(&self, waiting: &Waiting) -> Result<Option<String>, ()> {
        let mut said = None;
        let result = match self.composed(waiting).await {
            Ok(Some((text, buttons))) => {
                let origin = waiting.origin;
                let reply_to = origin.message;
                said = Some(text.clone());
                self.outbox
                    .send(Letter { chat: origin.chat, thread: origin.thread, text, buttons, reply_to, silent: false, yields: false })
                    .await
            }
            Ok(None) => Err(NotSent::Refused("what it is about is no longer in the history".to_owned())),
            Err(error) => {
                tracing::error!(%error, notice = waiting.id, "what a chat must be told cannot be read");
                Err(NotSent::Away)
            }
        };
        match (result, said) {
            (Ok(_), Some(text)) => match self.unlisted(waiting.origin.chat) {
                Some(now) => {
                    // The group was told; to try it again would tell it twice.
                    let _ = self.told_elsewhere(waiting, words::group_moved(text, now)).await;
                    Ok(None)
                }
                None => Ok(None),
            },
            (Ok(_), None) => Ok(None),
            (Err(NotSent::Refused(why)), Some(text)) => {
                let elsewhere = self.told_elsewhere(waiting, words::chat_gone(text, &why)).await?;
                Ok(if elsewhere { None } else { Some(why) })
            }
            (Err(NotSent::Refused(why)), None) => Ok(Some(why)),
            (Err(NotSent::Away | NotSent::Unsure | NotSent::Full | NotSent::Ending), _) => Err(()),
        }
    }

    /// The supergroup that a listed group has become, where nobody may act in that.
    fn unlisted(&self, chat: ChatId) -> Option<ChatId> {
        self.outbox.moved(chat).filter(|now| !self.desk.configuration().chats.contains(now))
    }

    /// Tells what was asked for in a chat that is gone: the person who asked, in private, and where that is refused, too, the
    /// admins. Whether anybody was told.
    ///
    /// # Errors
    /// Telegram is away: all of it is to be tried again.
    async fn told_elsewhere(&self, waiting: &Waiting, text: Text) -> Result<bool, ()> {
        let asked = match &waiting.notice {
            Notice::Outcome { operation } => match self.history.operation(*operation).await {
                Ok(record) => record.map(|record| record.actor),
                Err(_) => return Err(()),
            },
            Notice::Unanswered { .. } => None,
            // Everything else goes to each of its chats anyway.
            _ => return Ok(false),
        };
        let private = |user: u64| ChatId::try_from(user).ok();
        let asker = asked.and_then(|actor| if let Actor::Telegram { user, .. } = actor { private(user) } else { None });
        let config = self.desk.configuration();
        let admins = config.users.iter().filter(|(_, role)| **role == Role::Admin).filter_map(|(user, _)| private(*user));
        let admins: Vec<ChatId> = admins.filter(|admin| Some(*admin) != asker).collect();
        for chats in [asker.into_iter().collect(), admins] {
            let mut told = false;
            for chat in chats.into_iter().filter(|chat| *chat != waiting.origin.chat) {
                let letter = Letter {
                    chat,
                    thread: None,
                    text: text.clone(),
                    buttons: Keyboard::new(),
                    reply_to: None,
                    silent: false,
                    yields: false,
                };
                match self.outbox.send(letter).await {
                    Ok(_) => told = true,
                    Err(NotSent::Refused(_)) => {}
                    Err(_) if told => {}
                    Err(_) => return Err(()),
                }
            }
            if told {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What a notice says; none where what it is about is no longer known.
    async fn composed(&self, waiting: &Waiting) -> Result<Option<(Text, Keyboard)>, HistoryError> {
        Ok(match &waiting.notice {
            Notice::Unanswered { text } => Some((words::unanswered(text), Keyboard::new())),
            Notice::Corrected { operation, target, services } => Some((words::correction(*operation, target, services), Keyboard::new())),
            Notice::Reloaded { applied } => Some((words::reloaded(applied), Keyboard::new())),
            Notice::Rejected { rejected, starting } => Some((words::rejected(rejected, *starting), Keyboard::new())),
            Notice::Token { refused } => Some((words::token(refused.as_deref()), Keyboard::new())),
            Notice::Unseen { trouble } => Some((words::unseen(trouble), Keyboard::new())),
            Notice::Concerns { concerns } => Some((words::concerns(concerns), Keyboard::new())),
            Notice::DatabaseLost { how, from, aside } => {
                Some((words::database_lost(*how, *from, aside.as_deref(), self.now()), Keyboard::new()))
            }
            Notice::LowSpace { low } => Some((words::low_space(low), Keyboard::new())),
            Notice::LeftOver { project, orphans } => {
                let button = Button { label: "Remove them".to_owned(), data: data('t', project.as_str()) };
                Some((words::left_over(project.as_str(), orphans), vec![vec![button]]))
            }
            Notice::Outcome { operation } => self.history.operation(*operation).await?.and_then(|record| {
                let (at, outcome) = record.ended.as_ref()?;
                let took = at.saturating_sub(record.started);
                let actor = record.actor.label();
                let text = words::outcome(record.id, record.plan.kind(), &record.plan.target(), &actor, took, outcome);
                let project = record.plan.request.project().as_str();
                let button = |label: &str, letter| Button { label: label.to_owned(), data: data(letter, project) };
                let known = self.desk.configuration().projects.contains_key(project);
                Some((text, if known { vec![vec![button("Status", 's'), button("Logs", 'l')]] } else { Keyboard::new() }))
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::notice::Origin;

    fn waiting(ids: &[i64]) -> Vec<Waiting> {
        let origin = Origin { chat: 1, thread: None, message: None };
        ids.iter().map(|id| Waiting { id: *id, since: 0, origin, notice: Notice::Outcome { operation: *id } }).collect()
    }

    fn due(delivery: &Delivery, ids: &[i64]) -> Vec<i64> {
        delivery.due(waiting(ids), Instant::now()).remove(&1).unwrap_or_default().iter().map(|notice| notice.id).collect()
    }

    #[test]
    fn what_was_told_while_the_list_was_read_is_not_told_again() {
        let delivery = Delivery::default();
        assert_eq!(due(&delivery, &[1, 2]), [1, 2]);
        assert_eq!(due(&delivery, &[1, 2, 3]), [3], "the others are on their way");
        delivery.noted(1);
        assert_eq!(due(&delivery, &[1, 2, 3]), [0; 0], "the list was read before the first was noted");
        assert_eq!(due(&delivery, &[2, 3]), [0; 0]);
        assert_eq!(locked(&delivery.0).len(), 2, "what is no longer waiting is forgotten");
    }
}
