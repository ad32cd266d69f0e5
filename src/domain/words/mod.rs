//! Everything that people read, as pure functions from facts to [`Text`]: one place for every front end.
//!
//! Lines are short, because they are read on a phone. Monospace is for names, values to type and log lines only.

mod answers;
mod configuration;
mod confirm;
mod environment;
mod files;
mod help;
mod history;
mod logs;
mod notices;
mod outcome;
mod plan;
mod progress;
mod refusal;
mod releases;
mod selftest;
mod status;
mod versions;
mod volumes;

pub use answers::{
    disabled, lines_out_of_range, no_project, unclear, unknown_command, unknown_project, which_project, wrong_path, wrong_service,
};
pub use configuration::{configuration, impact, rejected, reload_came_to, reloaded, unseen};
pub use confirm::{
    Late, ask, asked_again, cancelled, changed_since, confirmed, expired, late_press, not_yours, nothing_to_ask, nothing_waits, question,
    question_heading, repeated, replaced, superseded, toast, unrecorded, version_changed_since, waits_elsewhere, withdrawn,
    withdrawn_unrecorded,
};
pub use environment::{concern, concerns, environment, moved, serves_instead};
pub use files::{files_caption, files_list, leaves_paths_out};
pub use help::{HelpRow, help, welcome, whoami};
pub use history::{HistoryRow, history};
pub use logs::{FollowEnd, LogHeading, RawLine, follow, follow_over, log_caption, log_file, log_lines, logs, no_lines};
pub use notices::{
    broke_down, cannot_keep, chat_gone, chat_not_listed, database_lost, given_up, group_moved, hint, left_over, stale, stranger, token,
    unanswered,
};
pub use outcome::{correction, outcome, unrecorded_outcome};
pub use plan::{nothing_to_do, plan, plan_heading, plan_warnings};
pub use progress::progress;
pub use refusal::{busy, denied, failure, gone, no_operation, stopping};
pub use releases::{ReleaseRow, cancelling, releases};
pub use selftest::selftest;
pub use status::{overview, status};
pub use versions::{
    no_version, nothing_to_roll_back, values_in_private, version_diff, version_kept, version_plan, version_plan_heading, versions,
};
pub use volumes::{low_space, volumes};

use super::Millis;
use super::orphans::Orphan;
use super::text::Text;

/// `14:03:22`, in UTC.
pub(crate) fn clock(at: Millis) -> String {
    shown(at, "%H:%M:%S")
}

/// `2025-01-31`, in UTC.
pub(crate) fn date(at: Millis) -> String {
    shown(at, "%Y-%m-%d")
}

/// `2025-01-31 14:03`, in UTC.
pub(crate) fn date_time(at: Millis) -> String {
    shown(at, "%Y-%m-%d %H:%M")
}

fn shown(at: Millis, format: &str) -> String {
    jiff::Timestamp::from_millisecond(at).map_or_else(|_| "?".to_owned(), |t| t.strftime(format).to_string())
}

/// A sentence from elsewhere on one line, whatever it is made of.
fn flat(sentence: impl AsRef<str>) -> String {
    sentence.as_ref().trim_end_matches('\n').replace('\n', "\\n")
}

/// A warning on a line of its own.
fn warning(text: Text, what: impl AsRef<str>) -> Text {
    text.plain(format!("⚠️ {}\n", flat(what)))
}

/// How many containers that are left over get a line.
const ORPHANS_SHOWN: usize = 15;

/// A line for each container that is left over; how it was seen, where that is wanted.
fn orphan_lines(text: Text, orphans: &[Orphan], with_seen: bool) -> Text {
    let mut text = text;
    // What keeps data is named in any case, and stands first.
    let shown = ORPHANS_SHOWN.max(orphans.iter().filter(|orphan| orphan.stateful).count());
    for orphan in orphans.iter().take(shown) {
        text = text.code(&orphan.name).plain(format!(": {}", flat(&orphan.why)));
        text = if with_seen { text.plain(format!(" ({})\n", flat(&orphan.seen))) } else { text.line() };
    }
    match orphans.len().saturating_sub(shown) {
        0 => text,
        more => text.plain(format!("and {more} more\n")),
    }
}

/// Adds a block on lines of its own; nothing for no lines.
fn with_block(text: Text, lines: String) -> Text {
    let ends_a_line = text.0.last().is_none_or(|span| span.text().ends_with('\n'));
    if lines.is_empty() || ends_a_line { text.block(lines) } else { text.line().block(lines) }
}

/// Takes the line end off the end of a text: messages do not end in empty lines.
fn trimmed(mut text: Text) -> Text {
    use super::text::Span;
    while let Some(Span::Plain(last)) = text.0.last_mut() {
        let kept = last.trim_end_matches('\n').len();
        last.truncate(kept);
        if !last.is_empty() {
            break;
        }
        text.0.pop();
    }
    text
}

#[cfg(test)]
mod testing {
    use super::super::text::{Span, Text};
    use expect_test::Expect;

    /// Shows a text with its form: `*bold*`, `` `code` `` and blocks between fences.
    pub(crate) fn drawn(text: &Text) -> String {
        let span = |span: &Span| match span {
            Span::Plain(t) => t.clone(),
            Span::Bold(t) => format!("*{t}*"),
            Span::Code(t) => format!("`{t}`"),
            Span::Block(t) => format!("```\n{t}\n```"),
        };
        text.0.iter().map(span).collect()
    }

    pub(crate) fn check(text: &Text, expect: Expect) {
        expect.assert_eq(&drawn(text));
    }
}
