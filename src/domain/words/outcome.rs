//! How an operation ended.

use super::{failure, flat, trimmed};
use crate::domain::Millis;
use crate::domain::outcome::{Outcome, ServiceOutcome, Verdict};
use crate::domain::request::Kind;
use crate::domain::text::{Text, duration};
use crate::domain::untrusted::UntrustedText;
use crate::domain::view::OperationView;

/// How many services get a line; those that are not as they should be come first.
const SERVICES_SHOWN: usize = 25;

/// How an operation ended: the verdict, what is there now, and the cause where it did not succeed.
///
/// The number makes a message that came twice (an outcome is delivered at least once) recognisable.
pub fn outcome(id: i64, kind: Kind, target: &str, actor: &UntrustedText, took: Millis, outcome: &Outcome) -> Text {
    let (mark, word) = match outcome.verdict {
        Verdict::Succeeded => ("✅", "done"),
        Verdict::Failed => ("❌", "failed"),
        Verdict::Interrupted => ("⚠️", "was interrupted"),
        Verdict::Cancelled => ("⚠️", "was cancelled"),
        Verdict::HandedOver => ("🔁", "goes on"),
    };
    let mut text = Text::new().plain(format!("{mark} ")).bold(format!("{} of {target} {word}", kind.verb()));
    text = text.plain(format!(" · {}\n{}\n", duration(took), flat(&outcome.now)));
    if !outcome.services.is_empty() {
        text = text.line();
    }
    let (good, bad): (Vec<_>, Vec<_>) = outcome.services.iter().partition(|s| s.good);
    for service in bad.iter().chain(&good).take(SERVICES_SHOWN) {
        let sign = match (service.good, service.is_neutral()) {
            (_, true) => "▫️ ",
            (true, false) => "🟢 ",
            (false, false) => "🔴 ",
        };
        text = text.plain(sign).code(service.service.as_str());
        text = text.plain(format!(": {}\n", flat(&service.seen)));
    }
    if let Some(more) = outcome.services.len().checked_sub(SERVICES_SHOWN).filter(|n| *n > 0) {
        let state = if bad.len() > SERVICES_SHOWN { "" } else { ", all of them up" };
        text = text.plain(format!("and {more} more{state}\n"));
    }
    if let Some(cause) = &outcome.failure {
        text = text.line().then(failure(cause)).line();
    }
    trimmed(trimmed(text).plain(format!("\n\nAsked by {actor} · #{id}")))
}

/// Services that were reported as up and are not.
pub fn correction(operation: i64, target: &str, services: &[ServiceOutcome]) -> Text {
    let mut text = Text::new().plain("⚠️ ").bold(format!("Correction to #{operation}: {target} is not healthy"));
    text = text.plain("\nI reported these services as up. They are down now:\n");
    for service in services.iter().take(SERVICES_SHOWN) {
        text = text.plain("🔴 ").code(service.service.as_str()).plain(format!(": {}\n", service.seen));
    }
    text.plain("Look at /docker_logs, then start them again with /docker_start.")
}

/// How an operation ended that could not be recorded; none where it was.
pub fn unrecorded_outcome(view: &OperationView) -> Option<Text> {
    let (why, (at, ended)) = (view.unrecorded.as_ref()?, view.ended.as_ref()?);
    let text = outcome(view.id, view.kind, &view.target, &view.actor, at.saturating_sub(view.started), ended);
    Some(text.plain(format!("\n\n⚠️ This could not be recorded, so /docker_history may not show it. {why}")))
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;
    use super::*;
    use crate::domain::failure::Failure;
    use expect_test::expect;

    fn service(service: &str, good: bool, seen: &str) -> ServiceOutcome {
        ServiceOutcome { service: service.into(), good, seen: seen.into() }
    }

    #[test]
    fn it_succeeded() {
        let ended = Outcome {
            verdict: Verdict::Succeeded,
            now: "All 2 services of shop are up.".into(),
            failure: None,
            services: vec![service("api", true, "healthy after 3 s"), service("web", true, "running")],
        };
        check(
            &outcome(7, Kind::Restart, "shop", &"Ann".into(), 12_400, &ended),
            expect![[r#"
                ✅ *Restart of shop done* · 12 s
                All 2 services of shop are up.

                🟢 `api`: healthy after 3 s
                🟢 `web`: running

                Asked by `Ann` · #7"#]],
        );
    }

    #[test]
    fn it_failed_with_the_lines_that_say_why() {
        let cause = Failure::new("web did not come up.", "It ended with code 1.", "Look at /docker_logs shop/web.")
            .with_lines(["Traceback".to_owned(), "ImportError: no module <x> & y".to_owned()]);
        let ended = Outcome {
            verdict: Verdict::Failed,
            now: "shop runs the new files; web is down.".into(),
            failure: Some(cause),
            services: vec![service("api", true, "healthy after 3 s"), service("web", false, "ended with code 1, 4 times")],
        };
        check(
            &outcome(8, Kind::Deploy, "shop", &"Ann".into(), 65_000, &ended),
            expect![[r#"
                ❌ *Deploy of shop failed* · 1 min 5 s
                shop runs the new files; web is down.

                🔴 `web`: ended with code 1, 4 times
                🟢 `api`: healthy after 3 s

                web did not come up.
                It ended with code 1.
                Look at /docker_logs shop/web.
                ```
                Traceback
                ImportError: no module <x> & y
                ```

                Asked by `Ann` · #8"#]],
        );
    }

    #[test]
    fn it_was_interrupted() {
        let now = "dockmaster was stopped before “Restart web”; api was restarted, web was not.".into();
        let ended = Outcome { verdict: Verdict::Interrupted, now, failure: None, services: Vec::new() };
        check(
            &outcome(9, Kind::Restart, "shop/web", &"console".into(), 900, &ended),
            expect![[r#"
                ⚠️ *Restart of shop/web was interrupted* · 900 ms
                dockmaster was stopped before “Restart web”; api was restarted, web was not.

                Asked by `console` · #9"#]],
        );
    }
}
