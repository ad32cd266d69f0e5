//! How a managed service is seen to be well.

use std::time::Duration;

use crate::domain::managed::{Check, HealthCheck};

use super::super::project;
use super::super::read::At;
use super::super::report::{Report, quote};
use super::super::service_values as values;
use super::super::values::Bounds;

const INTERVAL: Bounds = Bounds { least: Duration::from_secs(1), most: Duration::from_secs(3600), such_as: "10s" };
const TIMEOUT: Bounds = Bounds { least: Duration::from_secs(1), most: Duration::from_secs(600), such_as: "5s" };
const START: Bounds = Bounds { least: Duration::ZERO, most: Duration::from_secs(3600), such_as: "30s" };
/// How many tries may fail.
const RETRIES: std::ops::RangeInclusive<i64> = 1..=100;
/// The ways to look, of which there is one.
const WAYS: [&str; 3] = ["test", "http", "tcp"];

/// Reads `healthcheck`.
pub(super) fn read(report: &mut Report, at: &At<'_>) -> Option<HealthCheck> {
    const EXPECTED: &str = "one of “test”, “http” and “tcp”";
    let mut object = at.object(report, "an object with “test”, “http” or “tcp”")?;
    match WAYS.into_iter().filter(|way| object.has(way)).collect::<Vec<_>>()[..] {
        [] => report.problem(&object.place(), "no check", EXPECTED),
        [first, second, ..] => report.problem(&object.place_of(second), format!("{} beside {}", quote(second), quote(first)), EXPECTED),
        [_] => {}
    }
    let test = object.get("test").and_then(|at| test(report, &at));
    let http = object.get("http").and_then(|at| project::probe(report, &at)).map(Check::Http);
    let tcp = object.get("tcp").and_then(|at| at.parse(report, values::tcp)).map(Check::Tcp);
    let mut check = HealthCheck::new(test.or(http).or(tcp).unwrap_or(Check::Never));
    if let Some(given) = object.get("interval").and_then(|at| at.duration(report, &INTERVAL)) {
        check.interval = given;
    }
    if let Some(given) = object.get("timeout").and_then(|at| at.duration(report, &TIMEOUT)) {
        check.timeout = given;
    }
    let retries = object.get("retries").and_then(|at| at.whole(report, RETRIES, "a whole number from 1 to 100"));
    check.retries = retries.and_then(|n| u32::try_from(n).ok()).unwrap_or(check.retries);
    if let Some(given) = object.get("start_period").and_then(|at| at.duration(report, &START)) {
        check.start_period = given;
    }
    object.finish(report, &[]);
    Some(check)
}

fn test(report: &mut Report, at: &At<'_>) -> Option<Check> {
    const EXPECTED: &str = "a line for the shell, [“CMD”, program, …], [“CMD-SHELL”, line] or [“NONE”]";
    if !at.is_list() {
        let line = at.secret(report, EXPECTED)?;
        if line.trim().is_empty() {
            at.wrong(report, EXPECTED);
        }
        return Some(Check::Shell(line.to_owned()));
    }
    let texts = at.texts(report, EXPECTED);
    match texts.split_first() {
        // Told already.
        None => None,
        Some((word, [])) if word == "NONE" => Some(Check::Never),
        Some((word, [line])) if word == "CMD-SHELL" => Some(Check::Shell(line.clone())),
        Some((word, command)) if word == "CMD" && !command.is_empty() => Some(Check::Command(command.to_vec())),
        Some(_) => {
            report.problem(&at.place(), "a list that is none of these", EXPECTED);
            None
        }
    }
}
