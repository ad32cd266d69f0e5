//! The kept releases of a project, and a cancel.

use serde::{Deserialize, Serialize};

use super::{date_time, flat, trimmed};
use crate::domain::Millis;
use crate::domain::outcome::Verdict;
use crate::domain::status::Busy;
use crate::domain::text::{Text, count};
use crate::domain::untrusted::UntrustedText;

/// How many releases are listed.
const SHOWN: usize = 20;

/// One release, for a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRow {
    /// Its number.
    pub number: i64,
    /// Whether production holds it.
    pub current: bool,
    /// Whether it is production as it was found, not a deploy.
    pub kept: bool,
    /// When it was made.
    pub at: Millis,
    /// Who asked for the operation that made it, where that is still known.
    pub who: Option<UntrustedText>,
    /// How many files it changed.
    pub changed: usize,
    /// Whether production ever ran it; what does not say so did.
    #[serde(default = "ran")]
    pub ran: bool,
    /// How the operation that made it ended, where that is still known.
    pub verdict: Option<Verdict>,
}

fn ran() -> bool {
    true
}

/// The kept releases, newest first.
pub fn releases(project: &str, rows: &[ReleaseRow]) -> Text {
    if rows.is_empty() {
        return Text::new().plain(format!("{project} has no release yet: /docker_deploy {project} makes the first."));
    }
    let mut text = Text::new().bold(format!("{project}: releases")).plain(" · times in UTC\n");
    for row in rows.iter().take(SHOWN) {
        let mark = if row.current { "▶️" } else { "▫️" };
        let what = match (row.kept, row.verdict) {
            (true, _) => "production as it was found".to_owned(),
            (false, Some(verdict)) => format!("{} changed · {}", count(row.changed, "file"), verdict.word()),
            (false, None) => format!("{} changed", count(row.changed, "file")),
        };
        let who = row.who.as_ref().map_or(String::new(), |who| format!(" · {who}"));
        let current = match (row.current, row.ran) {
            (true, _) => " · runs now",
            (false, true) => "",
            (false, false) => " · never ran",
        };
        text = text.plain(format!("\n{mark} ")).bold(row.number.to_string());
        text = text.plain(format!("{current}\n{}{who}\n{what}\n", date_time(row.at)));
    }
    if let Some(more) = rows.len().checked_sub(SHOWN).filter(|n| *n > 0) {
        text = text.plain(format!("\nand {more} more\n"));
    }
    trimmed(text)
}

/// What runs is cancelled, or there is nothing that does.
pub fn cancelling(project: &str, pending: Option<&str>, ended: Option<&Busy>) -> Text {
    let running = ended.map(|busy| {
        format!("Cancelling the {} that {} asked for. What it began is put back; the outcome follows.", flat(&busy.what), busy.who)
    });
    let pending = pending.map(|what| format!("Cancelled the plan that waited for your yes: {what}. Nothing was done."));
    Text::new().plain(match (pending, running) {
        (Some(pending), Some(running)) => format!("{running}\n{pending}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => format!("Nothing runs on {project}."),
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;
    use super::*;
    use expect_test::expect;

    #[test]
    fn the_kept_releases() {
        let at = 1_738_332_202_000;
        let row = |number, current, kept, changed, verdict| ReleaseRow {
            number,
            current,
            kept,
            at,
            who: Some("Ann".into()),
            changed,
            ran: true,
            verdict,
        };
        let rows = [
            row(2, true, false, 3, Some(Verdict::Succeeded)),
            row(1, false, false, 1, Some(Verdict::Succeeded)),
            ReleaseRow { who: None, ..row(0, false, true, 0, None) },
        ];
        check(
            &releases("shop", &rows),
            expect![[r#"
                *shop: releases* · times in UTC

                ▶️ *2* · runs now
                2025-01-31 14:03 · `Ann`
                3 files changed · done

                ▫️ *1*
                2025-01-31 14:03 · `Ann`
                1 file changed · done

                ▫️ *0*
                2025-01-31 14:03
                production as it was found"#]],
        );
        check(&releases("shop", &[]), expect!["shop has no release yet: /docker_deploy shop makes the first."]);
    }

    #[test]
    fn a_cancel() {
        let busy = Busy { what: "deploy".into(), who: "Ann".into(), since: 0 };
        check(
            &cancelling("shop", None, Some(&busy)),
            expect!["Cancelling the deploy that `Ann` asked for. What it began is put back; the outcome follows."],
        );
        check(&cancelling("shop", None, None), expect!["Nothing runs on shop."]);
        check(
            &cancelling("shop", Some("Deploy shop"), None),
            expect!["Cancelled the plan that waited for your yes: Deploy shop. Nothing was done."],
        );
    }
}
