//! What managed services need of each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::managed::{Check, Definition, RestartRule};
use crate::domain::plan::Need as How;
use crate::domain::project::ServiceName;

use super::super::read::{At, nearest};
use super::super::report::{Place, Report, quote};
use super::Made;

/// How many services of a cycle are told.
const SHOWN_MAX: usize = 10;

/// A service that another one needs.
pub(in crate::config) struct Need {
    /// Which.
    pub(super) service: ServiceName,
    /// How far it must be.
    pub(super) how: How,
    /// Where that stands.
    place: Place,
}

/// Reads `depends_on`.
pub(super) fn read(report: &mut Report, at: &At<'_>) -> Vec<Need> {
    const EXPECTED: &str = "a list of services, or an object that says how far each must be";
    if at.is_list() {
        let services = at.distinct(report, EXPECTED, |item, report| item.service(report));
        return services.into_iter().map(|(service, place)| Need { service, how: How::Started, place }).collect();
    }
    let mut all = Vec::new();
    for entry in at.map(report, EXPECTED) {
        let service = ServiceName::plain(entry.key).map_err(|e| report.problem(&entry.place, quote(entry.key), e.to_string())).ok();
        let words = [How::Started, How::Healthy, How::Completed].map(|needs| (needs.word(), needs));
        let how = entry.at.word(report, &words);
        all.extend(service.zip(how).map(|(service, how)| Need { service, how, place: entry.place }));
    }
    all
}

/// Holds what services need against what there is; `names` are all of them, good or bad.
pub(super) fn check(report: &mut Report, made: &[Made], names: &[&str]) {
    let by_name: BTreeMap<&str, &Made> = made.iter().map(|made| (made.name.as_str(), made)).collect();
    for one in made {
        for need in &one.needs {
            let name = need.service.as_str();
            if need.service == one.name {
                report.problem(&need.place, format!("{}, the service itself", quote(name)), "another service");
            } else if !names.contains(&name) {
                report.problem(&need.place, quote(name), nearest(name, names, "one of the services"));
            } else if let Some(other) = by_name.get(name) {
                reachable(report, need, &other.definition);
            }
        }
    }
    cycles(report, made, &by_name);
}

/// Whether a service can come as far as another one needs it.
fn reachable(report: &mut Report, need: &Need, other: &Definition) {
    let name = quote(need.service.as_str());
    let never = matches!(&other.healthcheck, Some(check) if check.check == Check::Never);
    let says_nothing = other.healthcheck.is_none();
    match need.how {
        How::Healthy if never || says_nothing && other.container().is_none() => {
            report.problem(&need.place, format!("{name}, which has no health check"), "a “healthcheck” there, or “service_started” here");
        }
        How::Healthy if says_nothing => {
            let found = format!("{name}, of which no health check is configured");
            report.warning(&need.place, found, "a “healthcheck” there, unless its image has one");
        }
        How::Completed if matches!(other.restart, RestartRule::Always | RestartRule::UnlessStopped) => {
            let found = format!("{name}, which is started again however it ends");
            report.warning(&need.place, found, "“restart” there to be “no” or “on-failure”");
        }
        _ => {}
    }
}

/// Tells of services that wait for each other, once for each that leads into a circle that was not told yet.
fn cycles(report: &mut Report, made: &[Made], by_name: &BTreeMap<&str, &Made>) {
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for one in made {
        let mut path = Vec::new();
        if let Some((cycle, place)) = cycle(one, by_name, &mut path, &mut done) {
            let more = if cycle.len() > SHOWN_MAX { " → …" } else { "" };
            let shown = cycle.iter().take(SHOWN_MAX).map(|name| name.as_str()).collect::<Vec<_>>().join(" → ");
            report.problem(place, format!("a circle: {shown}{more}"), "services that do not wait for each other");
        }
    }
}

/// The first circle that is met from a service on, and where it closes. No deeper than there are services.
fn cycle<'a>(
    from: &'a Made,
    by_name: &BTreeMap<&str, &'a Made>,
    path: &mut Vec<&'a ServiceName>,
    done: &mut BTreeSet<&'a str>,
) -> Option<(Vec<&'a ServiceName>, &'a Place)> {
    if !done.insert(from.name.as_str()) {
        return None;
    }
    path.push(&from.name);
    for need in from.needs.iter().filter(|need| need.service != from.name) {
        if let Some(at) = path.iter().position(|name| **name == need.service) {
            let circle = path.iter().skip(at).copied().chain([&need.service]).collect();
            return Some((circle, &need.place));
        }
        let found = by_name.get(need.service.as_str()).and_then(|next| cycle(next, by_name, path, done));
        if found.is_some() {
            return found;
        }
    }
    path.pop();
    None
}
