//! When there is little room where data is.

use crate::domain::space::SpaceLimit;

use super::read::At;
use super::report::Report;
use super::values;

/// Reads `volumes`.
pub(super) fn read(report: &mut Report, at: &At<'_>) -> SpaceLimit {
    let Some(mut object) = at.object(report, "an object that says when there is little room") else { return SpaceLimit::default() };
    let limit = object.get("warn_below").and_then(|at| at.parse(report, values::space_limit));
    object.finish(report, &[]);
    limit.unwrap_or_default()
}
