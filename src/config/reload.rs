//! How the configuration itself is watched.

use std::time::Duration;

use crate::domain::reload::{ReloadPolicy, Trigger, Watching};

use super::read::At;
use super::report::Report;
use super::values::Bounds;

const POLL: Bounds = Bounds { least: Duration::from_millis(100), most: Duration::from_secs(60), such_as: "1s" };
/// Longer, and a change would not be in force within two seconds.
const DEBOUNCE: Bounds = Bounds { least: Duration::ZERO, most: Duration::from_secs(10), such_as: "300ms" };

/// Reads `reload`.
pub(super) fn read(report: &mut Report, at: &At<'_>) -> ReloadPolicy {
    let mut policy = ReloadPolicy::default();
    let Some(mut object) = at.object(report, "an object that says how the configuration is watched") else { return policy };
    if let Some(given) = object.get("watch").and_then(|at| at.word(report, &Watching::ALL.map(|w| (w.word(), w)))) {
        policy.watch = given;
    }
    if let Some(given) = object.get("poll").and_then(|at| at.duration(report, &POLL)) {
        policy.poll = given;
    }
    if let Some(given) = object.get("debounce").and_then(|at| at.duration(report, &DEBOUNCE)) {
        policy.debounce = given;
    }
    if let Some(given) = object.get("rollback_on") {
        let words = Trigger::ALL.map(|trigger| (trigger.word(), trigger));
        let triggers = given.distinct(report, "a list of what undoes a change by itself", |at, report| at.word(report, &words));
        policy.rollback_on = triggers.into_iter().map(|(trigger, _)| trigger).collect();
    }
    object.finish(report, &[]);
    policy
}
