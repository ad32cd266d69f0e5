//! How projects stand.

use std::collections::BTreeSet;

use super::{date_time, flat, trimmed, warning};
use crate::domain::Millis;
use crate::domain::container::{Condition, Health, Port};
use crate::domain::desired::LEFTOVER;
use crate::domain::project::ServiceName;
use crate::domain::status::{ProjectStatus, ServiceStatus};
use crate::domain::text::{Text, count, duration};
use crate::domain::untrusted::UntrustedText;

/// How many ports of a service are shown.
const PORTS_SHOWN: usize = 6;

/// How a project stands: a paragraph for each service, then where its files are.
pub fn status(status: &ProjectStatus, now: Millis) -> Text {
    let mut text = Text::new().bold(status.project.as_str());
    if let Some(description) = &status.description {
        text = text.plain(format!(" · {description}"));
    }
    text = text.plain(format!("\n{}\n", summary(status)));
    if let Some(busy) = &status.busy {
        let since = duration(now.saturating_sub(busy.since));
        text = text.plain(format!("⏳ {} by {}, for {since} now\n", flat(&busy.what), busy.who));
    }
    let mut missing: Option<&ServiceName> = None;
    for service in &status.services {
        // Of several that are not there one paragraph tells.
        if service.container.is_none() && missing.replace(&service.service) == Some(&service.service) {
            continue;
        }
        let several = status.services.iter().filter(|s| s.service == service.service).count() > 1;
        let more = status.services.iter().filter(|s| s.container.is_none() && s.service == service.service).count();
        text = one_service(text.line(), service, several.then_some(more), now);
    }
    if status.workspace.is_some() || status.production.is_some() || status.release.is_some() || status.ahead.is_some() {
        text = text.line();
    }
    text = files(text, status, now);
    for sentence in &status.unknown {
        text = warning(text, sentence);
    }
    trimmed(text)
}

/// A line for each of several projects, with why not where one could not be asked.
pub fn overview(projects: &[(String, Result<ProjectStatus, String>)]) -> Text {
    let mut text = Text::new();
    for (name, asked) in projects {
        match asked {
            Ok(status) => {
                text = text.plain(format!("{} ", light(status))).bold(name.as_str()).plain(format!(": {}", summary(status)));
                if let Some(busy) = &status.busy {
                    text = text.plain(format!(" · ⏳ {} by {}", flat(&busy.what), busy.who));
                }
                text = text.line();
            }
            Err(why) => text = text.plain("⚠️ ").bold(name.as_str()).plain(format!(": {}\n", flat(why))),
        }
    }
    if projects.is_empty() {
        text = text.plain("No project is enabled in projects.json.");
    }
    trimmed(text)
}

/// How many are up, of how many that should be: a job that is done should not.
fn up_of(status: &ProjectStatus) -> (usize, usize) {
    let up = status.services.iter().filter(|s| s.is_up() && s.unlisted.is_none()).count();
    (up, status.services.iter().filter(|s| s.is_to_be_up()).count())
}

fn summary(status: &ProjectStatus) -> String {
    let (up, all) = up_of(status);
    let unlisted = |of: &dyn Fn(&str) -> bool| {
        let services = status.services.iter().filter(|s| s.unlisted.as_deref().is_some_and(of)).map(|s| &s.service);
        services.collect::<BTreeSet<_>>().len()
    };
    let (left_over, inactive) = (unlisted(&|why| why == LEFTOVER), unlisted(&|why| why != LEFTOVER));
    let done = status.services.iter().filter(|s| s.done && s.unlisted.is_none()).count();
    let exited = status.services.iter().filter(|s| s.exited && s.unlisted.is_none() && !s.is_to_be_up()).count();
    let pending = status.services.iter().filter(|s| s.pending).count();
    let pending = if pending > 0 { format!(", configuration pending for {pending}") } else { String::new() };
    let done = if done > 0 { format!(", {done} done") } else { String::new() };
    let done = if exited > 0 { format!("{done}, {exited} exited (0)") } else { done };
    let done = if left_over > 0 { format!("{done}, {left_over} left over") } else { done };
    let done = if inactive > 0 { format!("{done}, {inactive} behind a profile that is not active") } else { done };
    match all {
        0 if done.is_empty() => "no containers here yet".to_owned(),
        0 => format!("nothing runs{done}{pending}"),
        _ if up == all && all > 1 => format!("all {all} up{done}{pending}"),
        _ => format!("{up} of {all} up{done}{pending}"),
    }
}

fn light(status: &ProjectStatus) -> &'static str {
    match up_of(status) {
        (_, 0) => "▫️",
        (up, all) if up == all => "🟢",
        (0, _) => "🔴",
        _ => "🟡",
    }
}

/// `several` is given of a service that has several containers: how many of them are missing.
fn one_service(text: Text, service: &ServiceStatus, several: Option<usize>, now: Millis) -> Text {
    let light = match service.condition {
        _ if service.unlisted.is_some() => "▫️",
        Condition::Running if service.ownerless.is_some() => "🔴",
        Condition::Running => "🟢",
        Condition::Creating | Condition::Starting | Condition::Restarting | Condition::Paused | Condition::Stopping => "🟡",
        Condition::Stopped if service.down_since_engine => "🔴",
        Condition::Stopped if service.done || service.exited => "▫️",
        Condition::Missing if service.not_run => "▫️",
        Condition::Stopped | Condition::Failed if service.stopped.is_some() => "▫️",
        Condition::Unhealthy | Condition::Stopped | Condition::Failed | Condition::Missing | Condition::Unknown => "🔴",
    };
    let name = match &service.container {
        Some(container) if several.is_some() => container.clone(),
        _ => service.service.as_str().into(),
    };
    let mut text = text.plain(format!("{light} ")).code(name);
    let marks: Vec<&str> = [(service.primary, "primary"), (service.stateful, "keeps data")].iter().filter(|m| m.0).map(|m| m.1).collect();
    if !marks.is_empty() {
        text = text.plain(format!(" ({})", marks.join(", ")));
    }
    let how = match several {
        Some(1) if service.container.is_none() => "1 container is missing".to_owned(),
        Some(missing) if service.container.is_none() => format!("{missing} containers are missing"),
        _ => state(service, now),
    };
    text = text.plain(format!("\n{how}\n"));
    if let Some(why) = &service.unlisted {
        let tidy = if why == LEFTOVER { ": /docker_tidy removes its containers" } else { "" };
        text = text.plain(format!("{why}{tidy}\n"));
    }
    if let Some(why) = &service.ownerless {
        text = text.plain(format!("{why}\n"));
    }
    let measured = measured(service, now);
    if !measured.is_empty() {
        text = text.plain(format!("{measured}\n"));
    }
    let ports = ports(&service.ports);
    if !ports.is_empty() {
        text = text.plain(format!("ports {ports}\n"));
    }
    if service.condition != Condition::Missing {
        let restarts = if service.restarts > 0 {
            format!(" · {}", count(service.restarts.unsigned_abs() as usize, "restart"))
        } else {
            String::new()
        };
        text = text.plain(format!("{} {}{restarts}\n", if service.process { "process" } else { "image" }, service.image));
    }
    if service.pending {
        text = text.plain("configuration pending: the files say otherwise than what runs\n");
    }
    text
}

fn state(service: &ServiceStatus, now: Millis) -> String {
    let since = service.since.map(|at| duration(now.saturating_sub(at)));
    let ended = |word: &str| match (&since, service.exit_code) {
        (Some(ago), Some(code)) => format!("{word} {ago} ago with code {code}"),
        (Some(ago), None) => format!("{word} {ago} ago"),
        (None, Some(code)) => format!("{word} with code {code}"),
        (None, None) => word.to_owned(),
    };
    let up = |how: &str| since.as_ref().map_or_else(|| format!("up{how}"), |since| format!("up {since}{how}"));
    let ago = since.as_ref().map_or_else(String::new, |since| format!(" {since} ago"));
    match service.condition {
        Condition::Running if service.health == Health::Healthy => up(", healthy"),
        Condition::Running => up(""),
        Condition::Starting => up(", health not decided yet"),
        Condition::Unhealthy => up(", unhealthy"),
        // Between two starts it has the code of its last end.
        Condition::Restarting if service.exit_code.is_none() => up(", restarted by the engine just now"),
        Condition::Restarting => ended("restarting in a loop; ended last"),
        Condition::Stopped | Condition::Failed if service.down_since_engine => {
            format!("was running before the engine restarted; ended{ago}")
        }
        Condition::Stopped if service.done => ended("done: ended"),
        Condition::Stopped | Condition::Failed if service.stopped.is_some() => {
            format!("{}{ago}", flat(service.stopped.as_deref().unwrap_or_default()))
        }
        Condition::Stopped if service.exited => format!("exited (0){ago}"),
        Condition::Stopped => ended("stopped"),
        Condition::Failed if service.error.is_some() => {
            let why = service.error.clone().unwrap_or_default();
            format!("could not be started: {why}")
        }
        Condition::Failed if service.out_of_memory => ended("out of memory: failed"),
        Condition::Failed => ended("failed"),
        Condition::Creating => "made, never started".to_owned(),
        Condition::Paused => "paused".to_owned(),
        Condition::Stopping => "being removed".to_owned(),
        Condition::Missing if service.not_run => "a job that has not run yet".to_owned(),
        Condition::Missing => "no container".to_owned(),
        Condition::Unknown => "unknown: the engine does not tell its state".to_owned(),
    }
}

/// How it came up, and how its health check does: of what runs only.
fn measured(service: &ServiceStatus, now: Millis) -> String {
    let measures = &service.measures;
    if measures.uptime.is_none() {
        return String::new();
    }
    let startup = measures.startup.filter(|startup| service.since == Some(startup.at));
    let startup = startup.map(|startup| format!("came up in {}", duration(startup.took)));
    let check = measures.checks.and_then(|checks| checks.last).map(|last| {
        let word = if last.good { "checked" } else { "check failed" };
        let ago = match now.saturating_sub(last.at) {
            ..1_000 => "just now".to_owned(),
            ms => format!("{} ago", duration(ms)),
        };
        format!("{word} {ago} ({})", duration(last.took))
    });
    startup.into_iter().chain(check).collect::<Vec<_>>().join(", ")
}

/// Published ports first; one that is published on every address of both families shows once.
fn ports(ports: &[Port]) -> String {
    let mut shown: Vec<String> = Vec::new();
    let (published, inside): (Vec<&Port>, Vec<&Port>) = ports.iter().partition(|p| p.public.is_some());
    for port in published.into_iter().chain(inside) {
        let protocol = match port.protocol.as_str() {
            "tcp" => String::new(),
            known @ ("udp" | "sctp") => format!("/{known}"),
            other => format!("/{}", UntrustedText::from(other)),
        };
        let line = match port.public {
            Some(public) if matches!(port.host.as_str(), "" | "0.0.0.0" | "::") => format!("{public}→{}{protocol}", port.private),
            Some(public) => format!("{}→{}{protocol}", UntrustedText::from(format!("{}:{public}", port.host)), port.private),
            None => format!("{}{protocol} (inside)", port.private),
        };
        if !shown.contains(&line) {
            shown.push(line);
        }
    }
    crate::domain::text::listing(shown, PORTS_SHOWN)
}

fn files(text: Text, status: &ProjectStatus, now: Millis) -> Text {
    let mut text = text;
    if let Some((number, at)) = status.release {
        text = text.plain(format!("Release {number} since {} UTC\n", date_time(at)));
    }
    if let Some(ahead) = status.ahead {
        let age = match now.saturating_sub(ahead.measured) {
            ..1_000 => "just now".to_owned(),
            ms => format!("{} ago", duration(ms)),
        };
        text = text.plain(match ahead.files {
            0 => format!("Workspace: nothing to deploy (measured {age})\n"),
            n => format!("Workspace: {} ahead (measured {age})\n", count(n, "file")),
        });
    }
    for (word, path) in [("Workspace", &status.workspace), ("Production", &status.production)] {
        if let Some(path) = path {
            text = text.plain(format!("{word} ")).code(path.as_str()).line();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;
    use super::*;
    use crate::domain::container::Check;
    use crate::domain::measures::{Checks, ServiceMeasures, StartUp};
    use crate::domain::project::{ProjectName, ServiceName};
    use crate::domain::status::{Ahead, Busy};
    use expect_test::expect;

    const NOW: Millis = 1_738_332_202_000;

    fn service(name: &str, condition: Condition, health: Health) -> ServiceStatus {
        ServiceStatus {
            container: Some(format!("shop-{name}-1").into()),
            condition,
            health,
            since: Some(NOW - 8_100_000),
            image: format!("example/{name}:1").into(),
            ..ServiceStatus::missing(ServiceName::new(name).unwrap())
        }
    }

    fn checked(good: bool, ago: Millis, took: Millis) -> Option<Checks> {
        Some(Checks { count: 3, total: 3 * took, failures: 0, last: Some(Check { at: NOW - ago, took, good }) })
    }

    fn shop() -> ProjectStatus {
        let port = |host: &str, public| Port { host: host.into(), public, private: 8000, protocol: "tcp".into() };
        let mut backend = service("backend", Condition::Running, Health::Healthy);
        backend.primary = true;
        backend.ports = vec![port("0.0.0.0", Some(8080)), port("::", Some(8080)), port("127.0.0.1", Some(9000)), port("", None)];
        backend.restarts = 2;
        backend.measures = ServiceMeasures {
            uptime: Some(8_100_000),
            startup: Some(StartUp { at: NOW - 8_100_000, took: 4_250, operation: Some(7) }),
            checks: checked(true, 12_000, 80),
            check_average: Some(81),
            restarts: 5,
            since: Some(NOW - 86_400_000),
        };
        let mut postgres = service("postgres", Condition::Running, Health::None);
        postgres.stateful = true;
        postgres.pending = true;
        let mut web = service("web", Condition::Stopped, Health::None);
        web.exit_code = Some(137);
        let mut cron = service("cron", Condition::Restarting, Health::None);
        cron.exit_code = Some(1);
        ProjectStatus {
            project: ProjectName::new("shop").unwrap(),
            description: Some("Web <shop>".into()),
            services: vec![backend, postgres, web, cron],
            workspace: Some("/workspace/shop".into()),
            production: Some("/srv/shop".into()),
            release: Some((3, NOW - 86_400_000)),
            ahead: Some(Ahead { files: 3, measured: NOW - 61_000 }),
            busy: Some(Busy { what: "deploy".into(), who: "Ann".into(), since: NOW - 5_000 }),
            unknown: vec!["The compose file could not be read, so pending changes are not known.".into()],
        }
    }

    #[test]
    fn one_project() {
        check(
            &status(&shop(), NOW),
            expect![[r#"
                *shop* · `Web <shop>`
                2 of 4 up, configuration pending for 1
                ⏳ deploy by `Ann`, for 5 s now

                🟢 `backend` (primary)
                up 2 h 15 min, healthy
                came up in 4 s, checked 12 s ago (80 ms)
                ports 8080→8000, `127.0.0.1:9000`→8000, 8000 (inside)
                image `example/backend:1` · 2 restarts

                🟢 `postgres` (keeps data)
                up 2 h 15 min
                image `example/postgres:1`
                configuration pending: the files say otherwise than what runs

                🔴 `web`
                stopped 2 h 15 min ago with code 137
                image `example/web:1`

                🟡 `cron`
                restarting in a loop; ended last 2 h 15 min ago with code 1
                image `example/cron:1`

                Release 3 since 2025-01-30 14:03 UTC
                Workspace: 3 files ahead (measured 1 min 1 s ago)
                Workspace `/workspace/shop`
                Production `/srv/shop`
                ⚠️ The compose file could not be read, so pending changes are not known."#]],
        );
    }

    #[test]
    fn a_project_without_containers_and_a_service_with_two() {
        let mut bare = shop();
        bare.description = None;
        bare.services.clear();
        bare.busy = None;
        bare.unknown.clear();
        bare.release = None;
        bare.ahead = Some(Ahead { files: 0, measured: NOW });
        check(
            &status(&bare, NOW),
            expect![[r#"
                *shop*
                no containers here yet

                Workspace: nothing to deploy (measured just now)
                Workspace `/workspace/shop`
                Production `/srv/shop`"#]],
        );
        let mut second = service("web", Condition::Missing, Health::None);
        second.container = Some("shop-web-2".into());
        bare.services = vec![service("web", Condition::Starting, Health::Starting), second];
        check(
            &status(&bare, NOW),
            expect![[r#"
                *shop*
                0 of 2 up

                🟡 `shop-web-1`
                up 2 h 15 min, health not decided yet
                image `example/web:1`

                🔴 `shop-web-2`
                no container

                Workspace: nothing to deploy (measured just now)
                Workspace `/workspace/shop`
                Production `/srv/shop`"#]],
        );
    }

    #[test]
    fn what_is_missing_is_counted_and_what_takes_no_part_is_not() {
        let mut some = shop();
        (some.description, some.workspace, some.production, some.release, some.ahead, some.busy) = (None, None, None, None, None, None);
        some.unknown.clear();
        let none = || ServiceStatus::missing(ServiceName::new("web").unwrap());
        let mut old = service("old", Condition::Running, Health::None);
        old.unlisted = Some(LEFTOVER.to_owned());
        let mut debug = service("debug", Condition::Stopped, Health::None);
        (debug.unlisted, debug.exit_code) = (Some(crate::domain::desired::INACTIVE.to_owned()), Some(0));
        let migrate = ServiceStatus { not_run: true, ..ServiceStatus::missing(ServiceName::new("migrate").unwrap()) };
        some.services = vec![none(), none(), service("web", Condition::Running, Health::None), migrate, debug, old];
        check(
            &status(&some, NOW),
            expect![[r#"
                *shop*
                1 of 3 up, 1 left over, 1 behind a profile that is not active

                🔴 `web`
                2 containers are missing

                🟢 `shop-web-1`
                up 2 h 15 min
                image `example/web:1`

                ▫️ `migrate`
                a job that has not run yet

                ▫️ `debug`
                stopped 2 h 15 min ago with code 0
                behind a profile that is not active
                image `example/debug:1`

                ▫️ `old`
                up 2 h 15 min
                no longer in the compose file: /docker_tidy removes its containers
                image `example/old:1`"#]],
        );
    }

    #[test]
    fn what_was_measured_is_of_what_runs_now() {
        let line = |change: fn(&mut ServiceStatus)| {
            let mut web = service("web", Condition::Running, Health::Healthy);
            web.measures.uptime = Some(8_100_000);
            web.measures.startup = Some(StartUp { at: NOW - 8_100_000, took: 950, operation: None });
            change(&mut web);
            measured(&web, NOW)
        };
        assert_eq!(line(|_| ()), "came up in 950 ms");
        assert_eq!(line(|web| web.since = Some(NOW - 60_000)), "", "that was another start");
        assert_eq!(line(|web| web.measures.checks = checked(true, 400, 1_200)), "came up in 950 ms, checked just now (1 s)");
        assert_eq!(
            line(|web| (web.measures.startup, web.measures.checks) = (None, checked(false, 90_000, 30_000))),
            "check failed 1 min 30 s ago (30 s)"
        );
        assert_eq!(line(|web| web.measures.uptime = None), "", "it does not run");
    }

    #[test]
    fn several_projects() {
        let mut fine = shop();
        fine.services.truncate(1);
        fine.busy = None;
        let mut empty = shop();
        empty.services.clear();
        empty.busy = None;
        let all = [
            ("shop".to_owned(), Ok(shop())),
            ("blog".to_owned(), Ok(fine)),
            ("new".to_owned(), Ok(empty)),
            ("edge".to_owned(), Err("the engine does not answer".to_owned())),
        ];
        check(
            &overview(&all),
            expect![[r#"
                🟡 *shop*: 2 of 4 up, configuration pending for 1 · ⏳ deploy by `Ann`
                🟢 *blog*: 1 of 1 up
                ▫️ *new*: no containers here yet
                ⚠️ *edge*: the engine does not answer"#]],
        );
        check(&overview(&[]), expect!["No project is enabled in `projects.json`."]);
    }
}
