//! Where an operation's events go: into the history, and folded into the view that front ends draw.

use std::time::Duration;

use tokio::sync::watch;

use super::tools::Clock;
use crate::domain::Millis;
use crate::domain::event::{Event, Progress};
use crate::domain::failure::Failure;
use crate::domain::outcome::Outcome;
use crate::domain::text::capital;
use crate::domain::view::OperationView;
use crate::history::{History, HistoryError, Trouble};

/// How often it is tried to keep what must be kept while a project is held: for some seconds.
pub(super) const KEPT_AT_ONCE: u32 = 4;
/// The longest pause between two tries: 32 seconds.
const PAUSE_DOUBLINGS: u32 = 5;

/// Records the events of one operation.
#[derive(Debug)]
pub(super) struct Recorder {
    operation: i64,
    history: History,
    clock: Clock,
    view: watch::Sender<OperationView>,
}

/// What it means that the history cannot be written.
pub fn history_failure(what: impl Into<String>, error: &HistoryError) -> Failure {
    let (why, next) = match error.trouble() {
        Trouble::Full => (capital(&error.to_string()), "Make room for dockmaster's data directory (df -h), then ask again."),
        Trouble::Damaged => {
            (format!("The history is damaged ({error})"), "It is restored from its backup by itself; ask again, or see dockmaster's log.")
        }
        Trouble::Gone => (capital(&error.to_string()), "See dockmaster's log, put the file back or restart dockmaster, and ask again."),
        Trouble::Other => (capital(&error.to_string()), "Check the disk of dockmaster's data directory (df -h, dmesg), then ask again."),
    };
    Failure::new(what, format!("{why}."), next)
}

/// Tries to keep something so many times, each after a longer pause: a full disk may be a passing thing.
///
/// # Errors
/// That of the last try.
pub(super) async fn insist<F>(tries: u32, mut keep: impl FnMut() -> F) -> Result<(), HistoryError>
where
    F: Future<Output = Result<(), HistoryError>>,
{
    for attempt in 0..tries.saturating_sub(1) {
        match keep().await {
            Ok(()) => return Ok(()),
            Err(error) => tracing::error!(%error, "what must be kept could not be; it is tried again"),
        }
        tokio::time::sleep(Duration::from_secs(1 << attempt.min(PAUSE_DOUBLINGS))).await;
    }
    keep().await
}

impl Recorder {
    pub(super) fn new(operation: i64, history: History, clock: Clock, view: watch::Sender<OperationView>) -> Self {
        Self { operation, history, clock, view }
    }

    /// Whose events it keeps, and since when that runs.
    pub(super) fn operation(&self) -> (i64, Millis) {
        (self.operation, self.view.borrow().started)
    }

    /// When the operation began.
    pub(super) fn began(&self) -> Millis {
        self.view.borrow().started
    }

    /// Keeps that a step begins. A step whose beginning cannot be kept must not begin: after a crash nobody would know.
    pub(super) async fn begin(&self, step: usize) -> Result<(), Failure> {
        let event = Event::StepStarted { step };
        self.history
            .operation_event(self.operation, event.clone(), (self.clock)())
            .await
            .map_err(|e| history_failure("The next step was not begun.", &e))?;
        self.show(&event);
        Ok(())
    }

    /// Keeps and shows what happened. It happened already, so a history that cannot be written does not undo it.
    pub(super) async fn report(&self, event: Event) {
        if let Err(error) = self.history.operation_event(self.operation, event.clone(), (self.clock)()).await {
            tracing::error!(operation = self.operation, %error, "an event could not be kept");
        }
        self.show(&event);
    }

    /// Shows how a service advances.
    pub(super) fn service(&self, service: &str, progress: Progress, seen: impl Into<String>) {
        let event = Event::Service { service: service.to_owned(), progress, seen: seen.into() };
        let now = (self.clock)();
        self.view.send_if_modified(|view| {
            let before = view.services.clone();
            view.apply(&event, now);
            view.services != before
        });
    }

    /// Shows a line that a step's program printed.
    pub(super) fn line(&self, line: &str) {
        self.show(&Event::Line { text: line.to_owned() });
    }

    /// Shows how it ended, and where that could not be kept, why.
    pub(super) fn ended(&self, outcome: &Outcome, kept: &Result<(), HistoryError>) {
        let now = (self.clock)();
        self.view.send_modify(|view| {
            view.unrecorded = kept.as_ref().err().map(|error| history_failure("", error).why);
            view.apply(&Event::Ended { outcome: outcome.clone() }, now);
        });
    }

    pub(super) fn show(&self, event: &Event) {
        let now = (self.clock)();
        self.view.send_modify(|view| view.apply(event, now));
    }
}
