//! Answers that change nothing: how things stand, logs, history.

use std::collections::BTreeSet;

use super::command::data;
use super::front::{Front, Place};
use super::outbox::{Button, Keyboard, Letter};
use super::render;
use crate::domain::access::Role;
use crate::domain::notice::{Notice, Origin};
use crate::domain::project::{ProjectName, ServiceName};
use crate::domain::status::ProjectStatus;
use crate::domain::words::{self, LogHeading, RawLine};
use crate::history::HistoryError;
use crate::operations::logs::{LogLine, LogQuery};
use crate::operations::{Refusal, Running};

/// How many bytes the data of a button may have.
const BUTTON_DATA_MAX: usize = 64;
/// How many buttons stand in a row.
const BUTTONS_A_ROW: usize = 3;

impl Front {
    /// How one project stands.
    pub(crate) async fn status(&self, place: &Place, project: &ProjectName) {
        match self.patiently(place, self.desk.status(&place.actor, project)).await {
            Ok(status) => {
                let buttons = self.status_buttons(place, &status);
                self.say_with(place, words::status(&status, self.now()), buttons).await;
            }
            Err(refusal) => self.say(place, self.refusal(&refusal)).await,
        }
    }

    fn status_buttons(&self, place: &Place, status: &ProjectStatus) -> Keyboard {
        let project = &status.project;
        let down: BTreeSet<&ServiceName> = status.services.iter().filter(|s| s.down_since_engine).map(|s| &s.service).collect();
        // Where it is one, whatever else is down stays so.
        let (label, target) = match down.first().filter(|_| down.len() == 1) {
            Some(service) if data('u', &format!("{project}/{service}")).len() <= BUTTON_DATA_MAX => {
                (format!("Start {service}"), format!("{project}/{service}"))
            }
            _ => ("Start".to_owned(), project.to_string()),
        };
        let config = self.desk.configuration();
        let deploys = config.projects.get(project).is_some_and(|p| p.workspace.is_some() && p.production.is_some());
        let all = [
            ("Logs", 'l', true),
            ("Restart", 'r', self.may(&place.actor, project, Role::Operator)),
            ("Deploy", 'd', deploys && self.may(&place.actor, project, Role::Admin)),
        ];
        let button = |(label, letter, _): &(&str, char, bool)| Button { label: (*label).to_owned(), data: data(*letter, project.as_str()) };
        let row = all.iter().filter(|(.., may)| *may).map(button).collect();
        match !down.is_empty() && self.may(&place.actor, project, Role::Operator) {
            true => vec![vec![Button { label, data: data('u', &target) }], row],
            false => vec![row],
        }
    }

    /// How all projects stand: a line and a button each.
    pub(crate) async fn overview(&self, place: &Place) {
        let told = |refusal| match refusal {
            Refusal::Failed(failure) => failure.what,
            other => self.refusal(&other).to_sentence(),
        };
        let all = self.patiently(place, self.desk.overview(&place.actor)).await;
        let all: Vec<_> = all.into_iter().map(|(name, status)| (name.to_string(), status.map_err(told))).collect();
        let buttons: Vec<Button> = all.iter().map(|(name, _)| Button { label: name.clone(), data: data('s', name) }).collect();
        self.say_with(place, words::overview(&all), buttons.chunks(BUTTONS_A_ROW).map(<[Button]>::to_vec).collect()).await;
    }

    /// The last lines of a log: as a message, or as a file where they do not fit.
    pub(crate) async fn logs(&self, place: &Place, query: &LogQuery) {
        let logs = match self.patiently(place, self.desk.logs(&place.actor, query)).await {
            Ok(logs) => logs,
            Err(refusal) => return self.say(place, self.refusal(&refusal)).await,
        };
        let heading = LogHeading {
            project: query.project.as_str(),
            service: logs.service.as_str(),
            grep: query.grep.as_deref(),
            cut: logs.cut,
            broken: logs.broken.as_deref(),
        };
        if logs.lines.is_empty() {
            return self.say(place, words::no_lines(&heading, query.since.is_some())).await;
        }
        let lines = raw(&logs.lines);
        let text = words::logs(&heading, &lines);
        if render::units(&text.to_plain()) <= render::MESSAGE_MAX {
            return self.say(place, text).await;
        }
        let letter = Letter {
            chat: place.chat,
            thread: place.thread,
            text: words::log_caption(&heading, &lines),
            buttons: Keyboard::new(),
            reply_to: (!place.private).then_some(place.message),
            silent: false,
            yields: false,
        };
        let name = format!("{}-{}.log", query.project, logs.service);
        // Why it was not sent is in the log already, where it was tried.
        drop(self.outbox.document(letter, name, words::log_file(&lines).into_bytes()).await);
    }

    /// The last operations of a project.
    pub(crate) async fn history_of(&self, place: &Place, project: &ProjectName) {
        match self.desk.history(&place.actor, project).await {
            Ok(rows) => self.say(place, words::history(project.as_str(), &rows, self.now())).await,
            Err(refusal) => self.say(place, self.refusal(&refusal)).await,
        }
    }

    /// The kept releases of a project.
    pub(crate) async fn releases_of(&self, place: &Place, project: &ProjectName) {
        let rows = match self.desk.releases(&place.actor, project).await {
            Ok(rows) => rows,
            Err(refusal) => return self.say(place, self.refusal(&refusal)).await,
        };
        let back = rows.len() > 1 && self.may(&place.actor, project, Role::Admin);
        let button = Button { label: "Roll back".to_owned(), data: data('b', project.as_str()) };
        let buttons = if back { vec![vec![button]] } else { Keyboard::new() };
        self.say_with(place, words::releases(project.as_str(), &rows), buttons).await;
    }

    /// Where the data of a project is.
    pub(crate) async fn volumes_of(&self, place: &Place, project: &ProjectName) {
        match self.patiently(place, self.desk.volumes(&place.actor, project)).await {
            Ok(volumes) => self.say(place, words::volumes(&volumes, self.now())).await,
            Err(refusal) => self.say(place, self.refusal(&refusal)).await,
        }
    }

    /// Ends what runs on a project.
    pub(crate) async fn cancel(&self, place: &Place, project: &ProjectName) {
        let running = self.desk.running_on(project);
        let text = match self.desk.cancel(&place.actor, project) {
            Ok(ended) => {
                if let Some(running) = running.filter(|_| ended.is_some()) {
                    self.tell_outcome_too(place, running);
                }
                let pending = self.cancel_plan(place, project);
                words::cancelling(project.as_str(), pending.as_deref(), ended.as_ref())
            }
            Err(refusal) => self.refusal(&refusal),
        };
        self.say(place, text).await;
    }
}

impl Front {
    /// Delivers the outcome of an operation to whoever cancelled it, where it was asked for in another chat.
    fn tell_outcome_too(&self, place: &Place, running: Running) {
        let (front, chat, thread) = (self.clone(), place.chat, place.thread);
        self.tasks.spawn(async move {
            let Running { id, mut view } = running;
            tokio::select! {
                ended = view.wait_for(|view| view.ended.is_some()) => drop(ended),
                () = front.shutdown.cancelled() => return,
            }
            let posted = async {
                let elsewhere =
                    front.history.operation(id).await?.and_then(|record| record.origin).is_none_or(|origin| origin.chat != chat);
                if elsewhere {
                    let origin = Origin { chat, thread, message: None };
                    front.history.notice_post(origin, Notice::Outcome { operation: id }, front.now()).await?;
                    front.notices.notify_one();
                }
                Ok::<_, HistoryError>(())
            };
            if let Err(error) = posted.await {
                tracing::error!(operation = id, %error, "the outcome could not be kept for whoever cancelled it");
            }
        });
    }
}

/// Lines as words take them.
pub(crate) fn raw(lines: &[LogLine]) -> Vec<RawLine<'_>> {
    lines.iter().map(|l| (l.at, l.text.as_str())).collect()
}
