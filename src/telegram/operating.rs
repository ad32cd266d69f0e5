//! What has to be confirmed: the plan, the question, the answer, and what follows from it.

use std::sync::Arc;
use std::time::Duration;

use super::activity::Guard;
use super::asked::Shown;
use super::command::data;
use super::conversation::Turn;
use super::front::{Front, Place, Yes, locked};
use super::outbox::{Button, Keyboard, Letter};
use super::render;
use crate::domain::confirm::{Answer, Pending, Question, Settled, WhyNot};
use crate::domain::failure::Failure;
use crate::domain::notice::Origin;
use crate::domain::project::{Configuration, ProjectName};
use crate::domain::request::Request;
use crate::domain::text::Text;
use crate::domain::words::{self, Late};
use crate::history::HistoryError;
use crate::operations::{Refusal, Running, history_failure, random_name};

/// How long a yes waits for the plan that it answers to be known as delivered.
const ARRIVAL: Duration = Duration::from_secs(5);
/// How often that is looked at, and the shortest time to an expiry.
const LOOK: Duration = Duration::from_millis(50);
/// Room for the question below a plan, and for what becomes of it, in UTF-16 units.
const QUESTION: usize = 300;

/// What somebody wants that has to be confirmed.
#[derive(Debug, Clone)]
pub(crate) enum Wish {
    /// An operation on a project.
    Operation(Request),
    /// To go back to a version of the configuration.
    Version(i64),
}

impl Front {
    /// Shows what would be done and asks for a yes.
    pub(crate) async fn consider(&self, place: &Place, wish: Wish, turn: Turn) {
        let Some((turn, replaced)) = turn else { return };
        if let Some((old, shown)) = replaced {
            self.close(place, &old, &words::replaced(&planned(&shown.question)));
        }
        let config = self.desk.configuration();
        if let Wish::Operation(request) = &wish {
            locked(&self.asked).plans(place.chat, place.user, turn, request.project());
        }
        let question = async {
            Ok(match &wish {
                Wish::Operation(request) => Question::Operation(Box::new(Box::pin(self.desk.plan(&place.actor, request)).await?)),
                Wish::Version(id) => Question::Version(Box::new(self.desk.configuration_plan(&place.actor, *id).await?)),
            })
        };
        let made = self.patiently(place, question).await;
        match made {
            Err(refusal) => self.say(place, self.refusal(&refusal)).await,
            Ok(question) if question.is_empty() => self.say(place, words::nothing_to_ask(&question)).await,
            Ok(question) => self.ask(place, question, config, turn, None).await,
        }
        locked(&self.asked).planned(place.chat, place.user, turn);
    }

    /// Asks for a yes; `before` is the plan that was confirmed, where it is no longer this one.
    async fn ask(&self, place: &Place, question: Question, config: Arc<Configuration>, turn: u64, before: Option<&Question>) {
        let timeout = self.desk.configuration().confirm_timeout;
        let valid = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX / 4);
        let Ok(nonce) = random_name() else { return self.say(place, words::broke_down()).await };
        let text = match before {
            Some(before) => words::asked_again(before, &question, !place.private, valid),
            None => words::ask(&question, !place.private, valid),
        };
        let what = question.what();
        let button = |label: &str, letter| Button { label: label.to_owned(), data: data(letter, &nonce) };
        let mut buttons = vec![vec![button(question.verb(), 'c'), button("Cancel", 'x')]];
        if matches!(&question, Question::Operation(plan) if words::leaves_paths_out(plan)) {
            buttons.push(vec![button("All files", 'a')]);
        }
        let shown = Shown { question, valid, thread: place.thread, actor: place.actor.clone(), config };
        let heading = planned(&shown.question);
        // Kept before it is sent: whoever presses at once must find it.
        if !locked(&self.asked).ask(place.chat, place.user, turn, &nonce, shown, self.now()) {
            return self.say(place, words::superseded(&what)).await;
        }
        // Looked at after it is kept: a change from here on finds it there.
        if !locked(&self.asked).is_current(&nonce, &self.desk.configuration()) {
            locked(&self.asked).withdraw(place.chat, place.user, &nonce);
            return self.say(place, words::withdrawn(&heading)).await;
        }
        match self.send(place, text, buttons).await {
            Ok(message) => {
                if locked(&self.asked).placed(place.chat, place.user, &nonce, message, self.now()) {
                    self.expire_later(nonce, timeout);
                } else if locked(&self.asked).fell(&nonce) {
                    self.outbox.edit(place.chat, message, words::withdrawn(&heading), Keyboard::new());
                } else if !locked(&self.asked).answered(&nonce) {
                    // A newer request ended it while it was on its way, when there was no message to take the buttons off.
                    self.outbox.edit(place.chat, message, words::superseded(&what), Keyboard::new());
                }
            }
            Err(_) => locked(&self.asked).withdraw(place.chat, place.user, &nonce),
        }
    }

    /// Cancels what waits for this person's yes on a project; what it was.
    pub(super) fn cancel_plan(&self, place: &Place, project: &ProjectName) -> Option<String> {
        let cancelled = locked(&self.asked).cancel(place.chat, place.user, project)?;
        let Some((pending, shown)) = cancelled else { return Some("the one that was being made".to_owned()) };
        self.close(place, &pending, &words::cancelled(&planned(&shown.question), &place.actor.label()));
        Some(shown.question.what())
    }

    fn expire_later(&self, nonce: String, timeout: Duration) {
        let front = self.clone();
        tokio::spawn(async move {
            let mut wait = timeout;
            while locked(&front.asked).waits(&nonce) {
                tokio::select! {
                    () = front.shutdown.cancelled() => return,
                    () = tokio::time::sleep(wait.max(LOOK)) => {}
                }
                // The injected clock decides; should it run behind the timer, it is asked again.
                let over = locked(&front.asked).expire(front.now());
                for (chat, pending, shown) in over {
                    let text = words::expired(&planned(&shown.question), shown.valid);
                    front.outbox.edit(chat, pending.message, text, Keyboard::new());
                }
                wait = LOOK;
            }
        });
    }

    /// Takes the buttons off the message of something that waited.
    fn close(&self, place: &Place, pending: &Pending, text: &Text) {
        if pending.message != 0 {
            self.outbox.edit(place.chat, pending.message, text.clone(), Keyboard::new());
        }
    }

    /// A press of the confirming button or of Cancel.
    pub(crate) async fn answered(&self, place: &Place, callback: String, nonce: &str, yes: bool) {
        let (answer, shown) = locked(&self.asked).press(place.chat, place.user, nonce, yes, self.now());
        match why_not(&answer) {
            None => self.outbox.answer(callback, Some(words::toast(yes).to_owned()), false),
            Some(why) => self.outbox.answer(callback, Some(in_words(why).to_plain()), true),
        }
        if yes && answer == Answer::Unknown {
            // A press is answered for a few seconds alone, and this one may be from before a restart.
            self.refuse(place, words::late_press(Late::Unknown)).await;
        }
        self.settle(place, place.message, answer, shown).await;
    }

    /// Ends what somebody said yes to, since that cannot be recorded, and says so. False where nothing waited for it.
    pub(super) async fn unrecorded(&self, place: &Place, yes: &Yes, error: &HistoryError) -> bool {
        let nonce = match yes {
            Yes::Word => None,
            Yes::Press { nonce, .. } => Some(nonce.as_str()),
        };
        let Some((pending, shown)) = locked(&self.asked).unrecorded(place.chat, place.user, nonce) else { return false };
        tracing::error!(%error, chat = place.chat, "a confirmation could not be recorded, so nothing runs");
        let Failure { why, next, .. } = history_failure("", error);
        let text = words::unrecorded(Some(&shown.question.what()), &format!("{why}\n{next}"));
        if let Yes::Press { callback, .. } = yes {
            self.outbox.answer(callback.clone(), Some(words::late_press(Late::Settled(Settled::Unrecorded)).to_plain()), true);
        }
        self.close(place, &pending, &words::withdrawn_unrecorded(&planned(&shown.question)));
        self.say(place, text).await;
        true
    }

    /// A press of the button for all files: they come as a file, and the question goes on waiting.
    pub(crate) async fn files_of_plan(&self, place: &Place, callback: String, nonce: &str) {
        let looked = locked(&self.asked).look(place.chat, place.user, nonce, self.now());
        let shown = match looked {
            Ok(shown) => shown,
            Err(why) => return self.outbox.answer(callback, Some(in_words(why).to_plain()), true),
        };
        self.outbox.answer(callback, None, false);
        let Question::Operation(plan) = &shown.question else { return };
        let letter = Letter {
            chat: place.chat,
            thread: shown.thread,
            text: words::files_caption(plan),
            buttons: Keyboard::new(),
            reply_to: Some(place.message),
            silent: false,
            yields: false,
        };
        let name = format!("{}-plan.txt", plan.request.project());
        // Why it was not sent is in the log already, where it was tried.
        drop(self.outbox.document(letter, name, words::files_list(plan).into_bytes()).await);
    }

    /// A yes or no in words; `reply_to` is the message of ours that it replies to.
    pub(crate) async fn word(&self, place: &Place, yes: bool, reply_to: Option<i32>) {
        if self.arrived(place).await.is_some_and(|plan| plan == 0 || plan > place.message) {
            // Written before the plan was there: it cannot be an answer to it.
            return self.refuse(place, words::nothing_waits()).await;
        }
        let (answer, shown) = locked(&self.asked).word(place.chat, place.user, reply_to, yes, self.now());
        match answer {
            Answer::Confirmed(ref p) | Answer::Cancelled(ref p) => {
                let message = p.message;
                self.settle(place, message, answer, shown).await;
            }
            Answer::Expired(ref p) => {
                let message = p.message;
                self.settle(place, message, answer, shown).await;
                self.refuse(place, words::late_press(Late::Settled(Settled::Expired))).await;
            }
            Answer::NotYours => self.refuse(place, words::not_yours()).await,
            Answer::Settled(how) => self.refuse(place, words::late_press(Late::Settled(how))).await,
            Answer::Unknown | Answer::Nothing => {
                let what = locked(&self.asked).waiting(place.chat, place.user).map(|(_, shown)| shown.question.what());
                let text = what.map_or_else(words::nothing_waits, |what| words::waits_elsewhere(&what, !place.private));
                self.refuse(place, text).await;
            }
        }
    }

    /// The message of the plan that this person is asked about, once it is known as delivered.
    async fn arrived(&self, place: &Place) -> Option<i32> {
        let until = tokio::time::Instant::now() + ARRIVAL;
        loop {
            let message = locked(&self.asked).waiting(place.chat, place.user).map(|(pending, _)| pending.message)?;
            if message != 0 || tokio::time::Instant::now() >= until {
                return Some(message);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What follows from an answer that settled something. `message` shows the plan.
    async fn settle(&self, place: &Place, message: i32, answer: Answer, shown: Option<Shown>) {
        let Some(shown) = shown else { return };
        let planned = planned(&shown.question);
        let who = place.actor.label();
        match answer {
            Answer::Confirmed(_) => {
                self.outbox.edit(place.chat, message, words::confirmed(&planned, &who), Keyboard::new());
                let place = Place { thread: shown.thread, message, ..place.clone() };
                self.submit(&place, &shown.question).await;
            }
            Answer::Cancelled(_) => self.outbox.edit(place.chat, message, words::cancelled(&planned, &who), Keyboard::new()),
            Answer::Expired(_) => {
                self.outbox.edit(place.chat, message, words::expired(&planned, shown.valid), Keyboard::new());
            }
            Answer::NotYours | Answer::Settled(_) | Answer::Unknown | Answer::Nothing => {}
        }
    }

    /// Hands in what was confirmed. `place.message` shows the plan.
    async fn submit(&self, place: &Place, confirmed: &Question) {
        let guard = self.activity.begin();
        let config = self.desk.configuration();
        let refused = match confirmed {
            Question::Operation(plan) => {
                let origin = Origin { chat: place.chat, thread: place.thread, message: Some(place.message) };
                let submit = Box::pin(self.desk.submit(&place.actor, &plan.request, &plan.digest, Some(origin)));
                self.patiently(place, submit).await.map(|running| self.watch(place, running, guard)).err()
            }
            Question::Version(plan) => {
                match self.patiently(place, self.desk.configuration_rollback(&place.actor, plan.to, &plan.digest)).await {
                    Ok(applied) => return self.say(place, words::reloaded(&applied)).await,
                    Err(refusal) => Some(refusal),
                }
            }
        };
        match refused {
            None => {}
            Some(Refusal::Changed(now)) if now.is_empty() => self.say(place, words::nothing_to_ask(&now)).await,
            Some(Refusal::Changed(now)) => {
                let (turn, replaced) = locked(&self.asked).turn(place.chat, place.user);
                if let Some((old, shown)) = replaced {
                    self.close(place, &old, &words::replaced(&planned(&shown.question)));
                }
                self.ask(place, *now, config, turn, Some(confirmed)).await;
            }
            Some(refusal) => self.say(place, self.refusal(&refusal)).await,
        }
    }

    /// Shows how an operation goes, beside everything else.
    fn watch(&self, place: &Place, running: Running, guard: Guard) {
        locked(&self.undelivered).insert(running.id, guard);
        locked(&self.running).insert(running.id, running.view.clone());
        let (front, place) = (self.clone(), place.clone());
        self.tasks.spawn(async move {
            let (id, view) = (running.id, running.view.clone());
            front.supervised(&place, front.show_progress(&place, running)).await;
            // One that could not be recorded is no notice: what is known of it is said from memory.
            let unrecorded = words::unrecorded_outcome(&view.borrow());
            if let Some(text) = unrecorded {
                front.say(&place, text).await;
            }
            front.outcome_expected(id);
        });
    }
}

/// Why a press changes nothing; none where it was taken.
fn why_not(answer: &Answer) -> Option<WhyNot> {
    Some(match answer {
        Answer::Confirmed(_) | Answer::Cancelled(_) => return None,
        Answer::Expired(_) => WhyNot::Settled(Settled::Expired),
        Answer::NotYours => WhyNot::NotYours,
        Answer::Settled(how) => WhyNot::Settled(*how),
        Answer::Unknown | Answer::Nothing => WhyNot::Unknown,
    })
}

fn in_words(why: WhyNot) -> Text {
    match why {
        WhyNot::NotYours => words::not_yours(),
        WhyNot::Settled(how) => words::late_press(Late::Settled(how)),
        WhyNot::Unknown => words::late_press(Late::Unknown),
    }
}

/// What a question's message keeps showing when it is settled: the plan, or its heading where the plan took several
/// messages, of which only the last is edited.
pub(super) fn planned(question: &Question) -> Text {
    let text = words::question(question);
    if render::units(&text.to_plain()) + QUESTION <= render::MESSAGE_MAX { text } else { words::question_heading(question) }
}
