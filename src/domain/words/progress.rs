//! An operation as it advances.

use super::{flat, trimmed, with_block};
use crate::domain::Millis;
use crate::domain::event::Progress;
use crate::domain::outcome::Verdict;
use crate::domain::text::{Text, duration};
use crate::domain::view::{OperationView, ServiceView, StepView};

/// How many steps are drawn; of more, those around the one at work.
const STEPS_SHOWN: usize = 16;
/// How many services are drawn; of more, those that are not done yet.
const SERVICES_SHOWN: usize = 12;
/// The longest line of a program's output that is drawn, in characters.
const TAIL_WIDTH: usize = 160;

/// The mark of a step or service.
pub(crate) fn mark(progress: Progress) -> &'static str {
    match progress {
        Progress::Waiting => "▫️",
        Progress::Working => "⏳",
        Progress::Done => "✅",
        Progress::Failed => "❌",
    }
}

/// An operation as it stands.
pub fn progress(view: &OperationView, now: Millis) -> Text {
    let until = view.ended.as_ref().map_or(now, |(at, _)| *at);
    let head = match view.ended.as_ref().map(|(_, outcome)| outcome.verdict) {
        None => "⏳",
        Some(Verdict::Succeeded) => "✅",
        Some(Verdict::Failed) => "❌",
        Some(Verdict::Interrupted | Verdict::Cancelled) => "⚠️",
        Some(Verdict::HandedOver) => "🔁",
    };
    // The outcome begins with its mark, and this does not: so the two are told apart at a glance.
    let mut text = Text::new().bold(format!("{} {}", view.kind.verb(), view.target));
    text = text.plain(format!(" · {head} {}\n", duration(until.saturating_sub(view.started))));
    text = steps(text, &view.steps, now);
    if !view.services.is_empty() {
        text = services(text.line(), &view.services);
    }
    if !view.tail.is_empty() {
        let tail: Vec<String> = view.tail.iter().map(|line| line.chars().take(TAIL_WIDTH).collect()).collect();
        text = with_block(text, tail.join("\n"));
    }
    // Nobody edits this message any more, and the outcome is the next dockmaster's.
    if let Some((_, outcome)) = view.ended.as_ref().filter(|(_, outcome)| outcome.verdict == Verdict::HandedOver) {
        text = text.line().plain(flat(&outcome.now)).line();
    }
    trimmed(text)
}

fn steps(text: Text, steps: &[StepView], now: Millis) -> Text {
    let at = steps.iter().position(|s| matches!(s.progress, Progress::Working | Progress::Waiting)).unwrap_or(steps.len());
    let from = at.saturating_sub(STEPS_SHOWN / 2).min(steps.len().saturating_sub(STEPS_SHOWN));
    let mut text = text;
    if from > 0 {
        text = text.plain(format!("✅ {from} earlier steps\n"));
    }
    for step in steps.iter().skip(from).take(STEPS_SHOWN) {
        let took = step.started.map(|started| step.ended.unwrap_or(now).saturating_sub(started));
        let took = took.filter(|ms| *ms >= 1_000).map_or(String::new(), |ms| format!(" · {}", duration(ms)));
        let note = step.note.as_ref().map_or(String::new(), |note| format!(" ({})", flat(note)));
        text = text.plain(format!("{} {}{note}{took}\n", mark(step.progress), flat(&step.label)));
    }
    if let Some(more) = steps.len().checked_sub(from + STEPS_SHOWN).filter(|n| *n > 0) {
        text = text.plain(format!("▫️ {more} more steps\n"));
    }
    text
}

fn services(text: Text, services: &[ServiceView]) -> Text {
    let mut text = text;
    let many = services.len() > SERVICES_SHOWN;
    let drawn = services.iter().filter(|s| !many || matches!(s.progress, Progress::Working | Progress::Failed));
    let drawn: Vec<&ServiceView> = drawn.take(SERVICES_SHOWN).collect();
    for service in &drawn {
        text = text.plain(format!("{} ", light(service.progress))).code(service.service.as_str());
        text = text.plain(format!(": {}\n", flat(&service.seen)));
    }
    if many {
        let done = services.iter().filter(|s| s.progress == Progress::Done).count();
        text = text.plain(format!("{done} of {} services done\n", services.len()));
    }
    text
}

/// The light of a service that takes part.
fn light(progress: Progress) -> &'static str {
    match progress {
        Progress::Waiting => "▫️",
        Progress::Working => "🟡",
        Progress::Done => "🟢",
        Progress::Failed => "🔴",
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::{deploy, restart};
    use super::super::testing::check;
    use super::*;
    use crate::domain::event::Event;
    use crate::domain::outcome::Outcome;
    use expect_test::expect;

    fn seen(service: &str, progress: Progress, seen: &str) -> Event {
        Event::Service { service: service.into(), progress, seen: seen.into() }
    }

    #[test]
    fn a_restart_in_the_middle_and_at_its_end() {
        let mut view = OperationView::new(7, &restart(), "Ann".into(), 0);
        view.apply(&Event::StepStarted { step: 0 }, 0);
        view.apply(&seen("api", Progress::Done, "healthy after 3 s"), 3_000);
        view.apply(&Event::StepDone { step: 0, note: None }, 3_000);
        view.apply(&Event::StepStarted { step: 1 }, 3_000);
        view.apply(&seen("web", Progress::Working, "starting"), 3_500);
        check(
            &progress(&view, 5_000),
            expect![[r#"
                *Restart shop* · ⏳ 5 s
                ✅ Restart api · 3 s
                ⏳ Restart web · 2 s

                🟢 `api`: healthy after 3 s
                🟡 `web`: starting"#]],
        );
        view.apply(&seen("web", Progress::Failed, "ended with code 1"), 8_000);
        view.apply(&Event::StepFailed { step: 1 }, 8_000);
        let outcome = Outcome { verdict: Verdict::Failed, now: "web is down.".into(), failure: None, services: Vec::new() };
        view.apply(&Event::Ended { outcome }, 9_000);
        check(
            &progress(&view, 99_000),
            expect![[r#"
                *Restart shop* · ❌ 9 s
                ✅ Restart api · 3 s
                ❌ Restart web · 5 s

                🟢 `api`: healthy after 3 s
                🔴 `web`: ended with code 1"#]],
        );
    }

    #[test]
    fn a_build_shows_its_last_lines() {
        let mut view = OperationView::new(8, &deploy(), "Ann".into(), 0);
        view.apply(&Event::StepStarted { step: 0 }, 0);
        view.apply(&Event::StepDone { step: 0, note: Some("12 files".into()) }, 400);
        view.apply(&Event::StepStarted { step: 1 }, 400);
        for n in 1..=7 {
            view.apply(&Event::Line { text: format!("#{n} RUN <something> & more") }, 1_000);
        }
        check(
            &progress(&view, 65_400),
            expect![[r#"
                *Deploy shop* · ⏳ 1 min 5 s
                ✅ Copy the workspace aside (12 files)
                ⏳ Build backend · 1 min 5 s
                ▫️ Bring the files into production
                ▫️ Bring up backend
                ▫️ Restart web
                ▫️ Verify backend, web
                ▫️ Record the release
                ```
                #3 RUN <something> & more
                #4 RUN <something> & more
                #5 RUN <something> & more
                #6 RUN <something> & more
                #7 RUN <something> & more
                ```"#]],
        );
    }

    #[test]
    fn two_hundred_services_fit_one_message() {
        let mut plan = restart();
        plan.steps = (0..200).map(|_| plan.steps[0].clone()).collect();
        let mut view = OperationView::new(7, &plan, "Ann".into(), 0);
        for n in 0..200 {
            view.apply(&Event::StepStarted { step: n }, 0);
            let state = if n < 150 { Progress::Done } else { Progress::Failed };
            view.apply(&seen(&format!("a-service-with-quite-a-long-name-{n}"), state, "healthy after 3 s"), 0);
        }
        let text = progress(&view, 0).to_plain();
        assert!(text.encode_utf16().count() < 3_000 && text.contains("150 of 200 services done"), "{text}");
    }
}
