//! Asking a keeper, and ending one, however it is.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::place::{Place, keepers};
use super::report::{Doing, Report};
use super::spec::ProcessKey;
use super::wire::{self, Ask};
use super::{GRACE, HostError, POLL, unusable};
use crate::process;

/// How long a keeper may take to answer.
pub(super) const ANSWER: Duration = Duration::from_secs(5);

/// What its keeper says; none where it has none.
pub(super) async fn status(place: &Place, key: &ProcessKey) -> Result<Option<Report>, HostError> {
    let asked = async {
        match wire::ask(place, &Ask::Status).await {
            Ok(Some(mut call)) => Ok(call.next().await),
            Ok(None) => Ok(None),
            Err(error) => Err(unusable(key)(error)),
        }
    };
    timeout(ANSWER, asked).await.unwrap_or_else(|_| Err(HostError::Silent(key.to_string())))
}

/// What its keeper says once it is neither just starting nor ending its process; none where it has none then.
pub(super) async fn settled(place: &Place, key: &ProcessKey, patience: Duration) -> Result<Option<Report>, HostError> {
    let asked = async {
        let Some(mut call) = wire::ask(place, &Ask::Watch).await.map_err(unusable(key))? else { return Ok(None) };
        loop {
            match call.next().await {
                Some(report) if matches!(report.doing, Doing::Starting | Doing::Stopping) => {}
                other => return Ok(other),
            }
        }
    };
    timeout(patience, asked).await.unwrap_or_else(|_| Err(HostError::Silent(key.to_string())))
}

/// Ends the keeper of a place with its process, however they are, and what a keeper that was killed has left. Only in one's turn.
pub(super) async fn end(place: &Place, key: &ProcessKey, within: Option<Duration>) -> Result<(), HostError> {
    let unusable = unusable(key);
    // Where that cannot be read there is still somebody to be ended.
    let usual = place.spec().ok().flatten().map_or(GRACE, |spec| spec.stop_timeout);
    let patience = within.unwrap_or(usual);
    let until = Instant::now() + patience + GRACE;
    let mut held = None;
    while held.is_none() && Instant::now() < until {
        if let Ok(Ok(Some(mut call))) = timeout(ANSWER, wire::ask(place, &Ask::Stop { within })).await {
            // It is gone when this ends.
            let _ = timeout(until.saturating_duration_since(Instant::now()), call.next()).await;
        }
        held = place.lock(POLL).await.map_err(&unusable)?;
    }
    if held.is_none() {
        // It stands still, or it is stuck.
        if let Some(mark) = place.mark().map_err(&unusable)? {
            process::end_survivors(&keepers(&mark), Duration::ZERO).await;
        }
        held = place.lock(ANSWER).await.map_err(&unusable)?;
    }
    if held.is_none() {
        return Err(HostError::Silent(key.to_string()));
    }
    place.end_left(patience).await.map_err(&unusable)?;
    if let Some(report) = place.report().filter(|report| report.doing != Doing::Ended) {
        let mut report = report.left();
        report.process = None;
        // A disk that takes no more does not keep anybody from being ended.
        let _ = place.set_report(&report);
    }
    Ok(())
}
