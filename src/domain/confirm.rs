//! What somebody is asked to confirm, and the pending confirmations: one a chat and person, answered once, within a time, by
//! the one who asked.

use std::collections::{HashMap, VecDeque};

use super::Millis;
use super::access::{ChatId, UserId};
use super::plan::Plan;
use super::request::Kind;
use super::snapshot::VersionPlan;

/// How many settled confirmations are remembered, to say what became of them.
const REMEMBERED: usize = 1_000;

/// What somebody is asked to confirm.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// An operation on a project.
    Operation(Box<Plan>),
    /// Going back to a version of the configuration.
    Version(Box<VersionPlan>),
}

impl Question {
    /// A hash of what the plan goes by.
    pub fn digest(&self) -> &str {
        match self {
            Self::Operation(plan) => &plan.digest,
            Self::Version(plan) => &plan.digest,
        }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Operation(plan) => plan.is_empty(),
            Self::Version(plan) => plan.is_empty(),
        }
    }

    /// What is done, as a button has it.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Operation(plan) => plan.kind().verb(),
            Self::Version(_) => Kind::Rollback.verb(),
        }
    }

    /// The same with what it is done to.
    pub fn what(&self) -> String {
        match self {
            Self::Operation(plan) => format!("{} {}", self.verb(), plan.target()),
            Self::Version(plan) => format!("{} to version {} of the configuration", self.verb(), plan.to),
        }
    }
}

/// What a confirmation waits for.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    /// The random name that its buttons carry.
    pub nonce: String,
    /// The message that shows what is asked.
    pub message: i32,
    /// When it ends.
    pub expires: Millis,
}

/// What became of a confirmation that waits no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It was confirmed.
    Confirmed,
    /// It was called off.
    Cancelled,
    /// A newer request of the same person took its place.
    Replaced,
    /// Its time was over.
    Expired,
    /// The configuration was changed.
    Withdrawn,
    /// The answer could not be recorded, so that it did not run.
    Unrecorded,
}

/// What an answer came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Go: this is what runs. It is confirmed now and never again.
    Confirmed(Pending),
    /// Called off.
    Cancelled(Pending),
    /// Too late: this one just ended.
    Expired(Pending),
    /// Somebody else's: nothing changed.
    NotYours,
    /// Settled before.
    Settled(Settled),
    /// Not known here (any more): it ended with the program, or it was forged.
    Unknown,
    /// This person waits for nothing in this chat.
    Nothing,
}

/// Why something cannot be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyNot {
    /// It is somebody else's.
    NotYours,
    /// It was settled before.
    Settled(Settled),
    /// It is not known here (any more): it ended with the program, or it was forged.
    Unknown,
}

/// The pending confirmations.
#[derive(Debug, Default)]
pub struct Confirmations {
    pending: HashMap<(ChatId, UserId), Pending>,
    settled: VecDeque<(String, Settled)>,
    /// How the last one of a person in a chat ended without being carried out, oldest first.
    unanswered: VecDeque<((ChatId, UserId), Settled)>,
}

impl Confirmations {
    /// Keeps a new one; returns the one of the same person and chat that it takes the place of.
    pub fn ask(&mut self, chat: ChatId, user: UserId, pending: Pending) -> Option<Pending> {
        self.unanswered.retain(|(key, _)| *key != (chat, user));
        let replaced = self.pending.insert((chat, user), pending);
        if let Some(old) = &replaced {
            self.settle(old.nonce.clone(), Settled::Replaced);
        }
        replaced
    }

    /// Ends the one of this person and chat because of a newer request, if there is one.
    pub fn replace(&mut self, chat: ChatId, user: UserId) -> Option<Pending> {
        let old = self.pending.remove(&(chat, user))?;
        self.settle(old.nonce.clone(), Settled::Replaced);
        Some(old)
    }

    /// What this person is asked in this chat.
    pub fn waiting(&self, chat: ChatId, user: UserId) -> Option<&Pending> {
        self.pending.get(&(chat, user))
    }

    /// Its message has arrived, as this number: its time begins. False where it waits no longer.
    pub fn placed(&mut self, chat: ChatId, user: UserId, nonce: &str, message: i32, expires: Millis) -> bool {
        match self.pending.get_mut(&(chat, user)).filter(|p| p.nonce == nonce) {
            Some(pending) => {
                pending.message = message;
                pending.expires = expires;
                true
            }
            None => false,
        }
    }

    /// Takes a press of a button.
    pub fn press(&mut self, chat: ChatId, user: UserId, nonce: &str, yes: bool, now: Millis) -> Answer {
        if self.pending.get(&(chat, user)).is_some_and(|p| p.nonce == nonce) {
            return self.take(chat, user, yes, now);
        }
        match self.why_not(chat, nonce) {
            WhyNot::NotYours => Answer::NotYours,
            WhyNot::Settled(how) => Answer::Settled(how),
            WhyNot::Unknown => Answer::Unknown,
        }
    }

    /// What waits under this nonce, for the one who was asked: it goes on waiting.
    ///
    /// # Errors
    /// It is somebody else's, or waits no longer.
    pub fn look(&self, chat: ChatId, user: UserId, nonce: &str, now: Millis) -> Result<&Pending, WhyNot> {
        match self.pending.get(&(chat, user)).filter(|p| p.nonce == nonce) {
            Some(pending) if pending.expires > now => Ok(pending),
            Some(_) => Err(WhyNot::Settled(Settled::Expired)),
            None => Err(self.why_not(chat, nonce)),
        }
    }

    /// Why a press comes to nothing where its person does not wait for that.
    fn why_not(&self, chat: ChatId, nonce: &str) -> WhyNot {
        if self.pending.iter().any(|((c, _), p)| *c == chat && p.nonce == nonce) {
            return WhyNot::NotYours;
        }
        self.settled(nonce).map_or(WhyNot::Unknown, WhyNot::Settled)
    }

    /// What became of one that waits no longer, as long as that is remembered.
    pub fn settled(&self, nonce: &str) -> Option<Settled> {
        self.settled.iter().rev().find(|(n, _)| n == nonce).map(|(_, how)| *how)
    }

    /// Takes a typed word. `reply_to` is the message that it replies to: where it is given it must be the one that
    /// shows the plan.
    pub fn word(&mut self, chat: ChatId, user: UserId, reply_to: Option<i32>, yes: bool, now: Millis) -> Answer {
        match self.pending.get(&(chat, user)) {
            Some(p) if reply_to.is_none_or(|m| m == p.message) => self.take(chat, user, yes, now),
            _ if reply_to.is_some_and(|m| self.pending.iter().any(|((c, _), p)| *c == chat && p.message == m)) => Answer::NotYours,
            Some(_) => Answer::Nothing,
            None => {
                let ended = self.unanswered.iter().find(|(key, _)| *key == (chat, user));
                ended.map_or(Answer::Nothing, |(_, how)| Answer::Settled(*how))
            }
        }
    }

    /// Ends the one of this person and chat, where it is one that is meant.
    pub fn end(&mut self, chat: ChatId, user: UserId, how: Settled, is_meant: impl FnOnce(&Pending) -> bool) -> Option<Pending> {
        self.pending.get(&(chat, user)).filter(|pending| is_meant(pending))?;
        let pending = self.pending.remove(&(chat, user))?;
        self.settle_of((chat, user), pending.nonce.clone(), how);
        Some(pending)
    }

    /// Takes out everything whose time is over, with whom it belongs to.
    pub fn expire(&mut self, now: Millis) -> Vec<(ChatId, UserId, Pending)> {
        let over: Vec<_> = self.pending.iter().filter(|(_, p)| p.expires <= now).map(|(key, _)| *key).collect();
        let mut ended = Vec::with_capacity(over.len());
        for key in over {
            if let Some(p) = self.pending.remove(&key) {
                self.settle_of(key, p.nonce.clone(), Settled::Expired);
                ended.push((key.0, key.1, p));
            }
        }
        ended
    }

    /// Takes out everything that may no longer be confirmed, with the chat it waits in.
    pub fn withdraw(&mut self, falls: impl Fn(&Pending) -> bool) -> Vec<(ChatId, Pending)> {
        let fallen: Vec<_> = self.pending.iter().filter(|(_, pending)| falls(pending)).map(|(key, _)| *key).collect();
        let taken = fallen.into_iter().filter_map(|key| Some((key, self.pending.remove(&key)?)));
        let taken: Vec<_> = taken.collect();
        taken.iter().for_each(|(key, pending)| self.settle_of(*key, pending.nonce.clone(), Settled::Withdrawn));
        taken.into_iter().map(|(key, pending)| (key.0, pending)).collect()
    }

    fn take(&mut self, chat: ChatId, user: UserId, yes: bool, now: Millis) -> Answer {
        let Some(pending) = self.pending.remove(&(chat, user)) else { return Answer::Nothing };
        let (how, answer): (_, fn(Pending) -> Answer) = match (yes, pending.expires <= now) {
            (_, true) => (Settled::Expired, Answer::Expired),
            (true, false) => (Settled::Confirmed, Answer::Confirmed),
            (false, false) => (Settled::Cancelled, Answer::Cancelled),
        };
        match how {
            Settled::Confirmed => self.settle(pending.nonce.clone(), how),
            _ => self.settle_of((chat, user), pending.nonce.clone(), how),
        }
        answer(pending)
    }

    /// As [`Confirmations::settle`], for a plan that is not carried out: the same person's later yes is answered with that.
    fn settle_of(&mut self, key: (ChatId, UserId), nonce: String, how: Settled) {
        self.unanswered.retain(|(known, _)| *known != key);
        if self.unanswered.len() == REMEMBERED {
            self.unanswered.pop_front();
        }
        self.unanswered.push_back((key, how));
        self.settle(nonce, how);
    }

    fn settle(&mut self, nonce: String, how: Settled) {
        if self.settled.len() == REMEMBERED {
            self.settled.pop_front();
        }
        self.settled.push_back((nonce, how));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(nonce: &str, message: i32) -> Pending {
        Pending { nonce: nonce.into(), message, expires: 60_000 }
    }

    #[test]
    fn it_is_confirmed_once_by_the_one_who_asked_in_time() {
        let mut all = Confirmations::default();
        all.ask(-5, 1, pending("n", 10));
        assert_eq!(all.press(-5, 2, "n", true, 0), Answer::NotYours);
        assert_eq!(all.press(-6, 1, "n", true, 0), Answer::Unknown, "another chat");
        assert_eq!(all.word(-5, 1, Some(11), true, 0), Answer::Nothing, "a reply to something else");
        assert!(matches!(all.press(-5, 1, "n", true, 59_999), Answer::Confirmed(_)));
        assert_eq!(all.press(-5, 1, "n", true, 59_999), Answer::Settled(Settled::Confirmed));
        assert_eq!(all.word(-5, 1, None, true, 59_999), Answer::Nothing);
    }

    #[test]
    fn looking_settles_nothing_and_is_for_the_one_who_was_asked() {
        let mut all = Confirmations::default();
        all.ask(-5, 1, pending("n", 10));
        assert_eq!(all.look(-5, 1, "n", 59_999).map(|p| p.message), Ok(10));
        assert_eq!(all.look(-5, 2, "n", 0), Err(WhyNot::NotYours));
        assert_eq!(all.look(-5, 1, "forged", 0), Err(WhyNot::Unknown));
        assert_eq!(all.look(-5, 1, "n", 60_000), Err(WhyNot::Settled(Settled::Expired)));
        assert!(matches!(all.press(-5, 1, "n", true, 59_999), Answer::Confirmed(_)), "it waited on");
        assert_eq!(all.look(-5, 1, "n", 0), Err(WhyNot::Settled(Settled::Confirmed)));
    }

    #[test]
    fn a_late_answer_and_a_replaced_question_change_nothing() {
        let mut all = Confirmations::default();
        all.ask(1, 1, pending("a", 10));
        assert!(all.ask(1, 1, pending("b", 11)).is_some());
        assert_eq!(all.press(1, 1, "a", true, 0), Answer::Settled(Settled::Replaced));
        assert!(matches!(all.word(1, 1, None, true, 60_000), Answer::Expired(_)));
        assert_eq!(all.press(1, 1, "b", true, 0), Answer::Settled(Settled::Expired));
        all.ask(1, 1, pending("c", 12));
        assert_eq!(all.expire(60_000).len(), 1);
        assert!(all.expire(60_000).is_empty());
        assert_eq!(all.word(1, 1, None, true, 60_000), Answer::Settled(Settled::Expired), "who says yes later is told why it does nothing");
        assert_eq!(all.word(1, 2, None, true, 60_000), Answer::Nothing);
        all.ask(1, 1, pending("d", 13));
        assert!(matches!(all.word(1, 1, None, true, 0), Answer::Confirmed(_)));
        assert_eq!(all.word(1, 1, None, true, 0), Answer::Nothing);
        all.ask(1, 1, pending("e", 14));
        assert!(all.end(1, 1, Settled::Cancelled, |_| false).is_none());
        assert!(all.end(1, 1, Settled::Cancelled, |p| p.nonce == "e").is_some());
        assert_eq!(all.word(1, 1, None, true, 0), Answer::Settled(Settled::Cancelled));
        assert_eq!(all.press(1, 1, "forged", true, 0), Answer::Unknown);
    }

    #[test]
    fn what_may_no_longer_be_confirmed_falls() {
        let mut all = Confirmations::default();
        all.ask(1, 1, pending("a", 10));
        all.ask(2, 2, pending("b", 11));
        let fallen = all.withdraw(|p| p.nonce == "a");
        assert_eq!(fallen.iter().map(|(chat, p)| (*chat, p.nonce.as_str())).collect::<Vec<_>>(), [(1, "a")]);
        assert_eq!(all.press(1, 1, "a", true, 0), Answer::Settled(Settled::Withdrawn));
        assert!(matches!(all.press(2, 2, "b", true, 0), Answer::Confirmed(_)));
    }
}
