//! Logs: a heading, and lines with their time.

use super::{clock, date, trimmed, with_block};
use crate::domain::Millis;
use crate::domain::text::{Text, count};
use crate::domain::untrusted::UntrustedText;

/// A line as the engine kept it: when, and what.
pub type RawLine<'a> = (Option<Millis>, &'a str);

/// What a log's heading says.
#[derive(Debug, Clone, Copy)]
pub struct LogHeading<'a> {
    /// The project.
    pub project: &'a str,
    /// The service.
    pub service: &'a str,
    /// The text that the lines were searched for.
    pub grep: Option<&'a str>,
    /// Whether older lines were not searched.
    pub cut: bool,
    /// Why the engine cannot read older lines, where it cannot.
    pub broken: Option<&'a str>,
}

/// The lines of a log below their heading.
pub fn logs(heading: &LogHeading<'_>, lines: &[RawLine<'_>]) -> Text {
    with_block(head(heading, lines), log_lines(lines))
}

/// What stands beside a log that is sent as a file.
pub fn log_caption(heading: &LogHeading<'_>, lines: &[RawLine<'_>]) -> Text {
    trimmed(head(heading, lines))
}

/// A log as the content of a file: every line with its whole date.
pub fn log_file(lines: &[RawLine<'_>]) -> String {
    let line = |(at, text): &RawLine<'_>| match at {
        Some(at) => format!("{} {} {text}\n", date(*at), clock(*at)),
        None => format!("{text}\n"),
    };
    lines.iter().map(line).collect()
}

/// There are no lines.
pub fn no_lines(heading: &LogHeading<'_>, since: bool) -> Text {
    let which = match (heading.grep, since) {
        (Some(grep), true) => format!(" has no line with {} in that time", UntrustedText::from(grep)),
        (Some(grep), false) => format!(" has no line with {}", UntrustedText::from(grep)),
        (None, true) => " wrote nothing in that time".to_owned(),
        (None, false) => " has written nothing yet".to_owned(),
    };
    let cut = if heading.cut { " Older lines than were read were not searched." } else { "" };
    let text = name(heading).plain(format!("{which}.{cut}"));
    match heading.broken {
        Some(why) => text.plain(format!(" {}", broken(why))),
        None => text,
    }
}

/// Lines with the time of each; a new day is a line of its own.
pub fn log_lines(lines: &[RawLine<'_>]) -> String {
    let mut shown = Vec::with_capacity(lines.len());
    let mut day = lines.iter().find_map(|(at, _)| at.map(date));
    for (at, text) in lines {
        match at {
            Some(at) => {
                let today = date(*at);
                if day.as_ref() != Some(&today) {
                    shown.push(format!("-- {today} --"));
                    day = Some(today);
                }
                shown.push(format!("{} {text}", clock(*at)));
            }
            None => shown.push((*text).to_owned()),
        }
    }
    shown.join("\n")
}

/// Why a log is no longer followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowEnd {
    /// Somebody stopped it.
    Stopped,
    /// The longest time is over.
    TimeOver,
    /// The container ended, or was removed.
    Ended,
    /// The engine stopped telling.
    BrokenOff,
    /// The same person follows another log now.
    Replaced,
    /// dockmaster is stopping.
    Stopping,
}

/// A log that is followed: the last lines that fit, oldest first.
pub fn follow(heading: &LogHeading<'_>, lines: &[RawLine<'_>], end: Option<FollowEnd>) -> Text {
    let state = match end {
        None => "⏳ following",
        Some(FollowEnd::Stopped) => "stopped",
        Some(FollowEnd::TimeOver) => "ended after ten minutes; ask again to go on",
        Some(FollowEnd::Ended) => "ended: the container writes no more",
        Some(FollowEnd::BrokenOff) => "ended: the engine broke off; ask again when it is back",
        Some(FollowEnd::Replaced) => "ended: you follow another log now",
        Some(FollowEnd::Stopping) => "ended: I am being stopped",
    };
    let mut text = name(heading).plain(format!(" · {state}\n"));
    match lines {
        [] => text = text.plain("Nothing written so far."),
        _ => text = text.plain(format!("{}, UTC\n", days(lines))),
    }
    with_block(text, log_lines(lines))
}

/// A press of Stop for a log that is no longer followed.
pub fn follow_over() -> Text {
    Text::new().plain("This log is no longer followed.")
}

fn name(heading: &LogHeading<'_>) -> Text {
    Text::new().bold(format!("{}/{}", heading.project, heading.service))
}

fn head(heading: &LogHeading<'_>, lines: &[RawLine<'_>]) -> Text {
    let with = heading.grep.map_or(String::new(), |grep| format!(" with {}", UntrustedText::from(grep)));
    let mut text = name(heading).plain(format!(" · {}{with}\n{}, UTC\n", count(lines.len(), "line"), days(lines)));
    if heading.cut {
        text = text.plain("Older lines than were read were not searched.\n");
    }
    match heading.broken {
        Some(why) => text.plain(format!("⚠️ {}\n", broken(why))),
        None => text,
    }
}

/// Why there are no older lines.
fn broken(why: &str) -> String {
    format!("The engine cannot read older lines: {}.", UntrustedText::from(why))
}

fn days(lines: &[RawLine<'_>]) -> String {
    let mut days = lines.iter().filter_map(|(at, _)| at.map(date));
    match (days.next(), days.next_back()) {
        (Some(first), Some(last)) if first != last => format!("{first} to {last}"),
        (Some(first), _) => first,
        (None, _) => "without times".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;
    use super::*;
    use expect_test::expect;

    const AT: Millis = 1_738_367_999_000;

    const HEAD: LogHeading<'static> = LogHeading { project: "shop", service: "backend", grep: None, cut: false, broken: None };

    #[test]
    fn lines_with_their_times() {
        check(
            &logs(&HEAD, &[(Some(AT), "GET /health 200"), (Some(AT + 900), "<html> & more")]),
            expect![[r#"
                *shop/backend* · 2 lines
                2025-01-31, UTC
                ```
                23:59:59 GET /health 200
                23:59:59 <html> & more
                ```"#]],
        );
        let damaged = LogHeading { broken: Some("invalid character"), ..HEAD };
        let told = "The engine cannot read older lines: `invalid character`.";
        assert!(
            logs(&damaged, &[(Some(AT), "after it")]).to_sentence().contains(told),
            "{:?}",
            logs(&damaged, &[(Some(AT), "x")]).to_sentence()
        );
        assert!(no_lines(&damaged, false).to_sentence().contains(told));
        let found = LogHeading { grep: Some("a b"), cut: true, ..HEAD };
        check(
            &logs(&found, &[(None, "without a time"), (Some(AT), "before"), (Some(AT + 2_000), "after midnight")]),
            expect![[r#"
                *shop/backend* · 3 lines with `a b`
                2025-01-31 to 2025-02-01, UTC
                Older lines than were read were not searched.
                ```
                without a time
                23:59:59 before
                -- 2025-02-01 --
                00:00:01 after midnight
                ```"#]],
        );
    }

    #[test]
    fn as_a_file() {
        let lines = [(Some(AT), "one"), (None, "two")];
        check(
            &log_caption(&HEAD, &lines),
            expect![[r#"
            *shop/backend* · 2 lines
            2025-01-31, UTC"#]],
        );
        expect![[r#"
            2025-01-31 23:59:59 one
            two
        "#]]
        .assert_eq(&log_file(&lines));
    }

    #[test]
    fn an_empty_log_says_so() {
        check(&no_lines(&HEAD, false), expect!["*shop/backend* has written nothing yet."]);
        check(
            &no_lines(&LogHeading { grep: Some("x"), cut: true, ..HEAD }, true),
            expect!["*shop/backend* has no line with `x` in that time. Older lines than were read were not searched."],
        );
    }

    #[test]
    fn a_followed_log() {
        check(
            &follow(&HEAD, &[], None),
            expect![[r#"
            *shop/backend* · ⏳ following
            Nothing written so far."#]],
        );
        check(
            &follow(&HEAD, &[(Some(AT), "one")], Some(FollowEnd::TimeOver)),
            expect![[r#"
                *shop/backend* · ended after ten minutes; ask again to go on
                2025-01-31, UTC
                ```
                23:59:59 one
                ```"#]],
        );
    }
}
