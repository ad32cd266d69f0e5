//! A log as it is written, in one message that is edited.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::command::data;
use super::front::{Front, Place, locked};
use super::outbox::{Button, Keyboard};
use super::reading::raw;
use super::render::{self, MESSAGE_MAX};
use crate::domain::access::{Actor, ChatId, Role, UserId};
use crate::domain::project::ProjectName;
use crate::domain::text::Text;
use crate::domain::words::{self, FollowEnd, LogHeading};
use crate::operations::logs::{Followed, LogLine, LogQuery};
use crate::operations::random_name;

/// The longest that a log is followed.
const FOLLOW_MAX: Duration = Duration::from_secs(600);
/// The shortest time between two edits.
const EDIT_EVERY: Duration = Duration::from_secs(2);
/// How many of the last lines are shown.
const LINES_SHOWN: usize = 25;
/// The longest line that is shown, in characters.
const LINE_SHOWN: usize = 300;

/// One that goes on.
struct Following {
    id: String,
    stop: CancellationToken,
    /// Whether a newer one of the same person takes its place.
    replaced: bool,
    actor: Actor,
    project: ProjectName,
}

/// The logs that are followed: one for each chat and person.
#[derive(Default)]
pub(crate) struct Follows(Mutex<HashMap<(ChatId, UserId), Following>>);

impl Follows {
    fn begin(&self, place: &Place, project: &ProjectName, id: &str) -> CancellationToken {
        let stop = CancellationToken::new();
        let (actor, project) = (place.actor.clone(), project.clone());
        let following = Following { id: id.to_owned(), stop: stop.clone(), replaced: false, actor, project };
        if let Some(mut old) = locked(&self.0).insert((place.chat, place.user), following) {
            old.replaced = true;
            old.stop.cancel();
        }
        stop
    }

    /// Ends those that somebody may no longer read.
    pub(crate) fn retain(&self, may: impl Fn(&Actor, &ProjectName) -> bool) {
        locked(&self.0).values().filter(|f| !may(&f.actor, &f.project)).for_each(|f| f.stop.cancel());
    }

    /// Whether it was still there under this id: otherwise a newer one has taken its place.
    fn end(&self, chat: ChatId, user: UserId, id: &str) -> bool {
        let mut all = locked(&self.0);
        let is_this = all.get(&(chat, user)).is_some_and(|f| f.id == id);
        if is_this {
            all.remove(&(chat, user));
        }
        is_this
    }

    fn stop(&self, chat: ChatId, id: &str) -> bool {
        let all = locked(&self.0);
        let found = all.iter().find(|((c, _), f)| *c == chat && f.id == id);
        found.inspect(|(_, f)| f.stop.cancel()).is_some()
    }
}

impl Front {
    /// Follows a log. Returns once its message is there.
    pub(crate) async fn follow(&self, place: &Place, query: LogQuery) {
        // The heading names the service, which only the desk knows where none was typed.
        let mut query = query;
        query.lines = query.lines.min(LINES_SHOWN);
        let begun = match self.desk.logs(&place.actor, &query).await {
            Ok(logs) => logs,
            Err(refusal) => return self.say(place, self.refusal(&refusal)).await,
        };
        query.service = Some(begun.service);
        let lines = match self.desk.follow(&place.actor, &query).await {
            Ok(lines) => lines,
            Err(refusal) => return self.say(place, self.refusal(&refusal)).await,
        };
        let Ok(id) = random_name() else { return self.say(place, words::broke_down()).await };
        let stop = self.follows.begin(place, &query.project, &id);
        // Looked at after it is kept: a change from here on finds it there.
        if !self.may(&place.actor, &query.project, Role::Viewer) {
            stop.cancel();
        }
        let buttons = vec![vec![Button { label: "Stop".to_owned(), data: data('f', &id) }]];
        let Ok(message) = self.send(place, draw(&query, &VecDeque::new(), None), buttons.clone()).await else {
            self.follows.end(place.chat, place.user, &id);
            return;
        };
        let stream = Stream { front: self.clone(), place: place.clone(), query, id, message, buttons, stop };
        let (front, place) = (self.clone(), place.clone());
        self.tasks.spawn(async move { front.supervised(&place, stream.run(lines)).await });
    }

    /// Stops following: anybody who may act in the chat can.
    pub(crate) fn stop_following(&self, place: &Place, callback: String, id: &str) {
        let text = if self.follows.stop(place.chat, id) { None } else { Some(words::follow_over().to_plain()) };
        self.outbox.answer(callback, text, false);
    }
}

/// A log that is followed in a message.
struct Stream {
    front: Front,
    place: Place,
    query: LogQuery,
    id: String,
    message: i32,
    buttons: Keyboard,
    stop: CancellationToken,
}

impl Stream {
    async fn run(self, mut incoming: Followed) {
        let over = Instant::now() + FOLLOW_MAX;
        let mut lines: VecDeque<LogLine> = VecDeque::new();
        let (mut next, mut fresh) = (Instant::now(), false);
        let end = loop {
            tokio::select! {
                () = self.stop.cancelled() => break FollowEnd::Stopped,
                () = self.front.shutdown.cancelled() => break FollowEnd::Stopping,
                () = sleep_until(over) => break FollowEnd::TimeOver,
                line = incoming.recv() => match line {
                    Some(Err(failure)) => {
                        tracing::info!(%failure, "a log is not followed any more");
                        break FollowEnd::BrokenOff;
                    }
                    Some(Ok(line)) => {
                        if lines.len() == LINES_SHOWN {
                            lines.pop_front();
                        }
                        lines.push_back(short(line));
                        fresh = true;
                    }
                    None => break FollowEnd::Ended,
                },
                () = sleep_until(next), if fresh => {
                    self.front.outbox.edit(self.place.chat, self.message, draw(&self.query, &lines, None), self.buttons.clone());
                    next = Instant::now() + EDIT_EVERY;
                    fresh = false;
                }
            }
        };
        let still = self.front.follows.end(self.place.chat, self.place.user, &self.id);
        let end = if end == FollowEnd::Stopped && !still { FollowEnd::Replaced } else { end };
        self.front.outbox.edit(self.place.chat, self.message, draw(&self.query, &lines, Some(end)), Keyboard::new());
    }
}

fn short(line: LogLine) -> LogLine {
    if line.text.chars().count() <= LINE_SHOWN {
        return line;
    }
    let text = line.text.chars().take(LINE_SHOWN).chain(['…']).collect();
    LogLine { text, ..line }
}

/// The message: as many of the last lines as it holds.
fn draw(query: &LogQuery, lines: &VecDeque<LogLine>, end: Option<FollowEnd>) -> Text {
    let service = query.service.as_ref().map_or("", |s| s.as_str());
    let heading = LogHeading { project: query.project.as_str(), service, grep: query.grep.as_deref(), cut: false, broken: None };
    let mut from = 0;
    loop {
        let shown: Vec<LogLine> = lines.iter().skip(from).cloned().collect();
        let text = words::follow(&heading, &raw(&shown), end);
        if shown.len() <= 1 || render::units(&text.to_plain()) <= MESSAGE_MAX {
            return text;
        }
        from += 1;
    }
}
