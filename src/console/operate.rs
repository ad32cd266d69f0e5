//! What changes the world: the plan, the question, how it goes, and what it came to.

use std::io::{self, BufRead};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::client::Trouble;
use super::names::Typed;
use super::screen::Screen;
use super::{Console, Exit, Stop};
use crate::domain::outcome::Verdict;
use crate::domain::plan::Plan;
use crate::domain::project::ProjectName;
use crate::domain::request::Kind;
use crate::domain::status::Busy;
use crate::domain::untrusted::SHOWN;
use crate::domain::view::OperationView;
use crate::domain::words::{self, HistoryRow};
use crate::http::dto::{Ask, Begun};
use crate::http::problem::Code;

/// How often the time that has passed is drawn anew.
const REDRAW: Duration = Duration::from_millis(500);
/// The longest answer that is read.
const ANSWER_MAX: u64 = 64;

/// Who confirms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Nobody: only the plan is wanted.
    DryRun,
    /// Whoever typed the command said yes already, to whatever the plan is.
    Given,
    /// Whoever sits at the terminal is asked.
    Asked,
    /// Nobody can be asked.
    Nobody,
}

/// What a command of this kind answers as JSON.
#[derive(Debug, Serialize)]
struct Told<'a> {
    plan: &'a Plan,
    /// How it went; none where there was nothing to do.
    operation: Option<&'a OperationView>,
}

impl Console<'_> {
    /// Plans, has it confirmed, and sees it through.
    ///
    /// # Errors
    /// What it came to instead.
    pub async fn operate(&mut self, kind: Kind, typed: &Typed, consent: Consent, interrupted: &CancellationToken) -> Result<Exit, Stop> {
        let projects = self.projects().await?;
        let (project, ask) = projects.ask(kind, typed)?;
        let within = Duration::from_millis(projects.confirm_within);
        let path = format!("/projects/{project}/operations");
        let mut plan: Plan = tokio::select! {
            plan = self.client.post(&path, &ask) => plan?,
            () = interrupted.cancelled() => return Err(unconfirmed("Nothing was done.")),
        };
        if consent == Consent::DryRun {
            self.remark(&project).await?;
            if self.json {
                self.print_json(&plan)?
            } else {
                self.print_plan(&plan)?
            }
            return Ok(Exit::Done);
        }
        let begun = loop {
            if !self.json {
                self.print_plan(&plan)?;
            }
            if plan.is_empty() {
                if self.json {
                    self.print_json(&Told { plan: &plan, operation: None })?;
                }
                return Ok(Exit::Done);
            }
            self.confirmed(plan.kind().verb(), consent, within, interrupted).await?;
            let submitted = self.client.post::<Begun>(&path, &Ask { digest: Some(plan.digest.clone()), ..ask.clone() }).await;
            match submitted {
                Ok(begun) => break begun,
                Err(Trouble::Refused(problem)) if problem.code == Code::Changed => match problem.plan {
                    Some(now) if consent == Consent::Asked => {
                        self.print(&words::changed_since(&plan, &now))?;
                        plan = now;
                    }
                    _ => {
                        return Err(changed());
                    }
                },
                Err(trouble @ Trouble::Silent(_)) => {
                    let said = format!("{trouble}\nWhether it has begun is not known; dockmaster history {project} says.");
                    return Err(Stop::Said(Exit::Failed, said));
                }
                Err(trouble) => return Err(trouble.into()),
            }
        };
        let view = self.see_through(&project, begun.id, interrupted).await?;
        Ok(self.conclude(&plan, &view))
    }

    fn print_plan(&mut self, plan: &Plan) -> io::Result<()> {
        self.print(&if plan.is_empty() { words::nothing_to_do(plan) } else { words::plan(plan) })
    }

    /// What was cut off is not seen in anybody's memory, and in the history it is.
    async fn remark(&mut self, project: &ProjectName) -> Result<(), Stop> {
        // Of a project that is no longer configured there is none.
        let rows: Vec<HistoryRow> = match self.client.get(&format!("/projects/{project}/operations")).await {
            Err(Trouble::Refused(problem)) if problem.code == Code::Missing => Vec::new(),
            rows => rows?,
        };
        if let Some(newest) = rows.first().filter(|newest| newest.ended.is_none()) {
            let (what, who) = (&newest.what, newest.who.line(SHOWN));
            writeln!(self.err, "dockmaster: {what} by {who} has begun and not ended: this is the plan in the middle of it.")?;
        }
        Ok(())
    }

    /// Has somebody say yes to what was shown.
    pub(super) async fn confirmed(
        &mut self,
        verb: &str,
        consent: Consent,
        within: Duration,
        interrupted: &CancellationToken,
    ) -> Result<(), Stop> {
        match consent {
            Consent::Given if interrupted.is_cancelled() => return Err(unconfirmed("Nothing was done.")),
            Consent::Given => return Ok(()),
            Consent::Asked => {}
            Consent::Nobody | Consent::DryRun => {
                return Err(unconfirmed("Nothing was done: add --yes to confirm, or run it on a terminal to be asked."));
            }
        }
        write!(self.err, "\n{verb}? [yes/no] ")?;
        self.err.flush()?;
        let answer = tokio::select! {
            // What cannot be read is no yes.
            answer = line() => answer.unwrap_or_default(),
            // Meanwhile nobody else could work here.
            () = tokio::time::sleep(within) => {
                writeln!(self.err)?;
                return Err(unconfirmed("Nobody answered in time; nothing was done."));
            }
            () = interrupted.cancelled() => {
                writeln!(self.err)?;
                String::new()
            }
        };
        match answer.trim().to_lowercase().as_str() {
            "yes" | "y" => Ok(()),
            _ => Err(unconfirmed("Nothing was done.")),
        }
    }

    /// Shows how an operation goes until it has ended. Interrupted, it asks for a cancel, which is waited for.
    async fn see_through(&mut self, project: &ProjectName, id: i64, interrupted: &CancellationToken) -> Result<OperationView, Stop> {
        let lost = |trouble: &Trouble| {
            let said = format!("{trouble}\nThe operation #{id} may still run; dockmaster history {project} says how it ended.");
            Stop::Said(Exit::Failed, said)
        };
        let mut events = self.client.events(&format!("/operations/{id}/events")).await.map_err(|t| lost(&t))?;
        let mut screen = Screen::new(self.size.filter(|_| !self.json));
        let (mut cancelled, mut last) = (false, None::<OperationView>);
        // A reader that went away is no reason to look away.
        let mut heard = !self.json;
        loop {
            let seen = tokio::select! {
                seen = events.next::<OperationView>() => Some(seen.map_err(|t| lost(&t))?),
                () = tokio::time::sleep(REDRAW), if screen.is_live() => None,
                () = interrupted.cancelled(), if !cancelled => {
                    cancelled = true;
                    self.client.post::<Option<Busy>>(&format!("/projects/{project}/cancel"), &()).await.map_err(|t| lost(&t))?;
                    // Nobody may be there to read it.
                    let _ = writeln!(self.err, "dockmaster: cancelling; once more leaves it to itself");
                    screen.leave();
                    None
                }
            };
            match seen {
                Some(Some(view)) => last = Some(view),
                Some(None) => return Err(lost(&Trouble::Silent("it stopped telling".to_owned()))),
                None => {}
            }
            if let Some(view) = &last {
                heard = heard && screen.show(view, (self.clock)(), self.out).is_ok();
                if view.ended.is_some() {
                    return Ok(view.clone());
                }
            }
        }
    }

    /// The outcome. How the command ends is what the operation came to, whether or not anybody reads it.
    fn conclude(&mut self, plan: &Plan, view: &OperationView) -> Exit {
        let Some((at, outcome)) = &view.ended else { return Exit::Failed };
        let told = if self.json {
            self.print_json(&Told { plan, operation: Some(view) })
        } else {
            let took = at.saturating_sub(view.started);
            let text = words::outcome(view.id, view.kind, &view.target, &view.actor, took, outcome);
            writeln!(self.out).and_then(|()| self.print(&text))
        };
        if let Err(error) = told {
            tracing::debug!(%error, "nobody reads the outcome");
        }
        match outcome.verdict {
            Verdict::Succeeded => Exit::Done,
            Verdict::Failed => Exit::Failed,
            Verdict::Cancelled | Verdict::Interrupted | Verdict::HandedOver => Exit::Cancelled,
        }
    }
}

/// What would be done is not what was planned.
pub(super) fn changed() -> Stop {
    Stop::Said(Exit::Failed, "What would be done has changed since it was planned; nothing was done. Ask again.".to_owned())
}

fn unconfirmed(said: &str) -> Stop {
    Stop::Said(Exit::Unconfirmed, said.to_owned())
}

/// A line that somebody types. Read on a thread of its own, which nobody waits for at the end.
async fn line() -> io::Result<String> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let mut answer = String::new();
        let read = io::BufReader::new(io::Read::take(io::stdin(), ANSWER_MAX)).read_line(&mut answer);
        // Where nobody waits for it any more it is of no use.
        let _ = sender.send(read.map(|_| answer));
    });
    receiver.await.map_err(io::Error::other)?
}
