//! How the configuration itself is watched.

use std::time::Duration;

use crate::domain::reload::{ReloadPolicy, Watching};

use super::read::At;
use super::report::Report;
use super::values::Bounds;

const POLL: Bounds = Bounds { least: Duration::from_millis(100), most: Duration::from_secs(60), such_as: "1s" };
/// Longer, and a change would not be in force within two seconds.
const DEBOUNCE: Bounds = Bounds { least: Duration::ZERO, most: Duration::from_secs(10), such_as: "300ms" };

/// What `reload` does not know yet.
const LATER: [&str; 1] = ["rollback_on"];

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
    object.finish(report, &LATER);
    policy
}
