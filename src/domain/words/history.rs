//! The last operations of a project.

use serde::{Deserialize, Serialize};

use super::{date_time, flat, trimmed};
use crate::domain::Millis;
use crate::domain::outcome::Verdict;
use crate::domain::text::{Text, duration};
use crate::domain::untrusted::UntrustedText;

/// How many operations are listed.
const SHOWN: usize = 15;

/// One operation, for a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// Its number.
    pub id: i64,
    /// What it was: `restart shop/backend`.
    pub what: String,
    /// Who asked.
    pub who: UntrustedText,
    /// When it began.
    pub started: Millis,
    /// When and how it ended, with why where it did not succeed; none while it runs.
    pub ended: Option<(Millis, Verdict, Option<String>)>,
}

/// The last operations, newest first.
pub fn history(project: &str, rows: &[HistoryRow], now: Millis) -> Text {
    if rows.is_empty() {
        return Text::new().plain(format!("Nothing was done with {project} yet."));
    }
    let mut text = Text::new().bold(format!("{project}: last operations")).plain(" · times in UTC\n");
    for row in rows.iter().take(SHOWN) {
        let (mark, took) = match &row.ended {
            None => ("⏳", format!("running for {}", duration(now.saturating_sub(row.started)))),
            Some((at, verdict, _)) => {
                let mark = match verdict {
                    Verdict::Succeeded => "✅",
                    Verdict::Failed => "❌",
                    Verdict::Interrupted | Verdict::Cancelled => "⚠️",
                    Verdict::HandedOver => "🔁",
                };
                (mark, format!("{} in {}", verdict.word(), duration(at.saturating_sub(row.started))))
            }
        };
        text = text.plain(format!("\n{mark} {} · #{}\n{} · {} · {took}\n", flat(&row.what), row.id, date_time(row.started), row.who));
        if let Some((_, _, Some(why))) = &row.ended {
            text = text.plain(format!("{}\n", flat(why)));
        }
    }
    trimmed(text)
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;
    use super::*;
    use expect_test::expect;

    #[test]
    fn the_last_operations() {
        let at = 1_738_332_202_000;
        let row = |id, what: &str, ended| HistoryRow { id, what: what.into(), who: "Ann".into(), started: at, ended };
        let rows = [
            row(9, "deploy shop", None),
            row(8, "restart shop/web", Some((at + 900, Verdict::Failed, Some("web did not come up.".into())))),
            row(7, "stop shop", Some((at + 12_000, Verdict::Succeeded, None))),
        ];
        check(
            &history("shop", &rows, at + 65_000),
            expect![[r#"
                *shop: last operations* · times in UTC

                ⏳ deploy shop · #9
                2025-01-31 14:03 · `Ann` · running for 1 min 5 s

                ❌ restart shop/web · #8
                2025-01-31 14:03 · `Ann` · failed in 900 ms
                web did not come up.

                ✅ stop shop · #7
                2025-01-31 14:03 · `Ann` · done in 12 s"#]],
        );
        check(&history("shop", &[], at), expect!["Nothing was done with shop yet."]);
    }
}
