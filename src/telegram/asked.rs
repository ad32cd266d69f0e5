//! What waits for a yes, with what each of them showed.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::RwLock;

use crate::domain::Millis;
use crate::domain::access::{Actor, ChatId, Role, UserId, allow};
use crate::domain::confirm::{Answer, Confirmations, Pending, Question, Settled, WhyNot};
use crate::domain::project::{Configuration, ProjectName};
use crate::domain::request::Kind;

/// How long a plan may take to arrive in its chat before its time begins.
const ARRIVAL_MAX: Millis = 120_000;
/// How many that were answered are remembered, for as long as their messages may still be on their way.
const ANSWERED_MAX: usize = 100;

/// A plan that was shown, with a question.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) question: Question,
    /// How long it waits.
    pub(crate) valid: Millis,
    /// The topic of a forum.
    pub(crate) thread: Option<i32>,
    /// Who was asked.
    pub(crate) actor: Actor,
    /// The configuration that it was planned with.
    pub(crate) config: Arc<Configuration>,
}

impl Shown {
    /// Whether what this goes by is still configured as it was when it was planned, and it may still be confirmed.
    pub(crate) fn is_current(&self, config: &Configuration) -> bool {
        let (project, needs) = match &self.question {
            Question::Operation(plan) => (Some(plan.request.project()), plan.kind().needs()),
            Question::Version(_) => (None, Role::Admin),
        };
        let same = match project {
            Some(project) => match (self.config.projects.get(project), config.projects.get(project)) {
                (was, Some(now)) => now.enabled && was == Some(now),
                // What is left over may be of a project that was not configured any more.
                (was, None) => was.is_none() && matches!(&self.question, Question::Operation(plan) if plan.kind() == Kind::Tidy),
            },
            None => *self.config == *config,
        };
        same && allow(config, &self.actor, project, needs).is_ok()
    }
}

/// Everything that waits, and whose turn it is.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    confirmations: Confirmations,
    shown: HashMap<String, Shown>,
    turns: HashMap<(ChatId, UserId), u64>,
    /// What is being planned, by whose turn it is.
    planning: HashMap<(ChatId, UserId), (u64, ProjectName)>,
    /// The last that were confirmed or called off.
    answered: VecDeque<String>,
    /// In which order answers and requests of a person are taken: an answer holds it for reading, a request for writing.
    order: HashMap<(ChatId, UserId), Arc<RwLock<()>>>,
}

impl Asked {
    /// A new request of a person: the one that waits ends, and one that is being planned is overtaken.
    pub(crate) fn turn(&mut self, chat: ChatId, user: UserId) -> (u64, Option<(Pending, Shown)>) {
        let turn = self.turns.entry((chat, user)).or_default();
        *turn += 1;
        let turn = *turn;
        let replaced = self.confirmations.replace(chat, user);
        (turn, replaced.and_then(|p| self.with_shown(p)))
    }

    /// What keeps a person's answers and requests in their order: a request that came after an answer must not end what that one is to
    /// confirm. An answer is held by whoever takes it.
    pub(crate) fn order(&mut self, chat: ChatId, user: UserId) -> Arc<RwLock<()>> {
        Arc::clone(self.order.entry((chat, user)).or_default())
    }

    /// A plan of a project is being made for whoever has this turn.
    pub(crate) fn plans(&mut self, chat: ChatId, user: UserId, turn: u64, project: &ProjectName) {
        self.planning.insert((chat, user), (turn, project.clone()));
    }

    /// That came to its end.
    pub(crate) fn planned(&mut self, chat: ChatId, user: UserId, turn: u64) {
        if self.planning.get(&(chat, user)).is_some_and(|(planning, _)| *planning == turn) {
            self.planning.remove(&(chat, user));
        }
    }

    /// Cancels what this person is asked about a project; one that is still being planned is overtaken. None where nothing waits,
    /// and no message and plan for one that is not shown yet.
    pub(crate) fn cancel(&mut self, chat: ChatId, user: UserId, project: &ProjectName) -> Option<Option<(Pending, Shown)>> {
        let is_of = |shown: &Shown| matches!(&shown.question, Question::Operation(plan) if plan.request.project() == project);
        let shown = &self.shown;
        let is_meant = |pending: &Pending| shown.get(&pending.nonce).is_some_and(is_of);
        if let Some(pending) = self.confirmations.end(chat, user, Settled::Cancelled, is_meant) {
            return Some(self.with_shown(pending));
        }
        let turn = self.turns.get_mut(&(chat, user))?;
        self.planning.get(&(chat, user)).filter(|(planning, of)| planning == turn && of == project)?;
        *turn += 1;
        Some(None)
    }

    /// Ends what somebody said yes to, where that cannot be recorded: it must not run later.
    pub(crate) fn unrecorded(&mut self, chat: ChatId, user: UserId, nonce: Option<&str>) -> Option<(Pending, Shown)> {
        let is_meant = |pending: &Pending| nonce.is_none_or(|nonce| pending.nonce == nonce);
        let pending = self.confirmations.end(chat, user, Settled::Unrecorded, is_meant)?;
        self.with_shown(pending)
    }

    /// Keeps a plan that is about to be shown; false where a newer request came meanwhile.
    pub(crate) fn ask(&mut self, chat: ChatId, user: UserId, turn: u64, nonce: &str, shown: Shown, now: Millis) -> bool {
        if self.turns.get(&(chat, user)) != Some(&turn) {
            return false;
        }
        let pending = Pending { nonce: nonce.to_owned(), message: 0, expires: now + shown.valid + ARRIVAL_MAX };
        self.shown.insert(nonce.to_owned(), shown);
        // Nothing waits: the turn has ended it.
        self.confirmations.ask(chat, user, pending);
        true
    }

    /// Its message has arrived, as this number: now its time begins.
    pub(crate) fn placed(&mut self, chat: ChatId, user: UserId, nonce: &str, message: i32, now: Millis) -> bool {
        let Some(valid) = self.shown.get(nonce).map(|s| s.valid) else { return false };
        self.confirmations.placed(chat, user, nonce, message, now + valid)
    }

    /// Its message could not be sent.
    pub(crate) fn withdraw(&mut self, chat: ChatId, user: UserId, nonce: &str) {
        if self.shown.remove(nonce).is_some() && self.confirmations.waiting(chat, user).is_some_and(|p| p.nonce == nonce) {
            self.confirmations.replace(chat, user);
        }
    }

    /// What a person is asked in a chat.
    pub(crate) fn waiting(&self, chat: ChatId, user: UserId) -> Option<(&Pending, &Shown)> {
        let pending = self.confirmations.waiting(chat, user)?;
        Some((pending, self.shown.get(&pending.nonce)?))
    }

    /// A press of a button.
    pub(crate) fn press(&mut self, chat: ChatId, user: UserId, nonce: &str, yes: bool, now: Millis) -> (Answer, Option<Shown>) {
        let answer = self.confirmations.press(chat, user, nonce, yes, now);
        let shown = self.shown_for(&answer);
        (answer, shown)
    }

    /// The plan that waits under this nonce, for the person who was asked; otherwise why not.
    pub(crate) fn look(&self, chat: ChatId, user: UserId, nonce: &str, now: Millis) -> Result<Shown, WhyNot> {
        self.confirmations.look(chat, user, nonce, now)?;
        self.shown.get(nonce).cloned().ok_or(WhyNot::Unknown)
    }

    /// A yes or no in words.
    pub(crate) fn word(&mut self, chat: ChatId, user: UserId, reply_to: Option<i32>, yes: bool, now: Millis) -> (Answer, Option<Shown>) {
        let answer = self.confirmations.word(chat, user, reply_to, yes, now);
        let shown = self.shown_for(&answer);
        (answer, shown)
    }

    /// What ran out of time.
    pub(crate) fn expire(&mut self, now: Millis) -> Vec<(ChatId, Pending, Shown)> {
        let over = self.confirmations.expire(now);
        over.into_iter().filter_map(|(chat, _, p)| self.with_shown(p).map(|(p, shown)| (chat, p, shown))).collect()
    }

    /// Whether what waits under this nonce may still be confirmed with this configuration.
    pub(crate) fn is_current(&self, nonce: &str, config: &Configuration) -> bool {
        self.shown.get(nonce).is_none_or(|shown| shown.is_current(config))
    }

    /// Whether this one was withdrawn, since the configuration was changed.
    pub(crate) fn fell(&self, nonce: &str) -> bool {
        self.confirmations.settled(nonce) == Some(Settled::Withdrawn)
    }

    /// Takes out what may no longer be confirmed with this configuration.
    pub(crate) fn fall(&mut self, config: &Configuration) -> Vec<(ChatId, Pending, Shown)> {
        let shown = &self.shown;
        let fallen = self.confirmations.withdraw(|pending| shown.get(&pending.nonce).is_some_and(|shown| !shown.is_current(config)));
        fallen.into_iter().filter_map(|(chat, p)| self.with_shown(p).map(|(p, shown)| (chat, p, shown))).collect()
    }

    /// Whether this one was confirmed or called off, and was not merely overtaken.
    pub(crate) fn answered(&mut self, nonce: &str) -> bool {
        self.answered.iter().any(|n| n == nonce)
    }

    /// Whether this one still waits.
    pub(crate) fn waits(&self, nonce: &str) -> bool {
        self.shown.contains_key(nonce)
    }

    fn with_shown(&mut self, pending: Pending) -> Option<(Pending, Shown)> {
        let shown = self.shown.remove(&pending.nonce)?;
        Some((pending, shown))
    }

    fn shown_for(&mut self, answer: &Answer) -> Option<Shown> {
        match answer {
            Answer::Confirmed(p) | Answer::Cancelled(p) | Answer::Expired(p) => {
                self.answered.push_back(p.nonce.clone());
                if self.answered.len() > ANSWERED_MAX {
                    self.answered.pop_front();
                }
                self.shown.remove(&p.nonce)
            }
            Answer::NotYours | Answer::Settled(_) | Answer::Unknown | Answer::Nothing => None,
        }
    }
}
