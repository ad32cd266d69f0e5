//! Why something was not done.

use crate::domain::Millis;
use crate::domain::access::Denied;
use crate::domain::failure::Failure;
use crate::domain::status::Busy;
use crate::domain::text::{Text, duration};

/// The longest line of evidence that is shown, in characters.
const LINE_SHOWN: usize = 300;
/// How many characters of evidence are shown: with everything around it one message holds it.
const EVIDENCE_SHOWN: usize = 2_400;

/// What failed, why, and what to do next, with the lines that say why.
pub fn failure(failure: &Failure) -> Text {
    let said = [&failure.what, &failure.why, &failure.next];
    let said: Vec<String> = said.into_iter().filter(|s| !s.is_empty()).map(super::flat).collect();
    super::with_block(Text::new().plain(said.join("\n")), evidence(&failure.lines))
}

/// The last lines, as many as there is room for.
fn evidence(lines: &[String]) -> String {
    let mut room = EVIDENCE_SHOWN;
    let mut shown: Vec<String> = Vec::new();
    for line in lines.iter().rev() {
        let mut line: String = line.chars().take(LINE_SHOWN + 1).collect();
        if line.chars().count() > LINE_SHOWN {
            line.pop();
            line.push('…');
        }
        let Some(left) = room.checked_sub(line.chars().count() + 1) else { break };
        room = left;
        shown.push(line);
    }
    shown.reverse();
    shown.join("\n")
}

/// The person may not.
pub fn denied(denied: &Denied) -> Text {
    match denied {
        Denied::Stranger => super::stranger(),
        Denied::Chat => super::chat_not_listed(),
        Denied::Role { has, needs } => Text::new().plain(format!(
            "That takes the role {}; yours is {}. An admin can change it in projects.json.",
            needs.word(),
            has.word()
        )),
    }
}

/// Another operation holds the project.
pub fn busy(project: &str, busy: &Busy, now: Millis) -> Text {
    let since = duration(now.saturating_sub(busy.since));
    Text::new().plain(format!(
        "{project} is busy: {} by {}, for {since} now.\nNothing was done. Ask again when it has ended.",
        super::flat(&busy.what),
        busy.who
    ))
}

/// The project has gone from the configuration since it was named.
pub fn gone(project: &str) -> Text {
    Text::new().plain(format!("{project} is no longer in projects.json, or is disabled there. Nothing was done."))
}

/// There is no operation with that number.
pub fn no_operation(id: i64) -> Text {
    Text::new().plain(format!("There is no operation #{id}, or it is too long ago."))
}

/// dockmaster is stopping.
pub fn stopping() -> Text {
    Text::new().plain("I am being stopped and take nothing new. Nothing was done. Ask again when I am back.")
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;
    use super::*;
    use crate::domain::access::Role;
    use expect_test::expect;

    #[test]
    fn refusals() {
        check(
            &denied(&Denied::Role { has: Role::Viewer, needs: Role::Operator }),
            expect!["That takes the role operator; yours is viewer. An admin can change it in `projects.json`."],
        );
        let held = Busy { what: "deploy".into(), who: "Ann".into(), since: 1_000 };
        check(
            &busy("shop", &held, 126_000),
            expect![[r#"
                shop is busy: deploy by `Ann`, for 2 min 5 s now.
                Nothing was done. Ask again when it has ended."#]],
        );
        check(&gone("shop"), expect!["shop is no longer in `projects.json`, or is disabled there. Nothing was done."]);
        check(&stopping(), expect!["I am being stopped and take nothing new. Nothing was done. Ask again when I am back."]);
        let long = Failure::new("It failed.", "", "").with_lines((0..15).map(|n| format!("{n}{}", "x".repeat(400))));
        let shown = failure(&long).to_plain();
        assert!(shown.chars().count() < 2_500 && shown.contains("\n14x") && shown.ends_with("x…"), "{shown}");
        let cause = Failure::new("The engine does not answer.", "Nothing listens on its socket.", "Start it, then ask again.");
        check(
            &failure(&cause.with_lines(["a <b>".to_owned()])),
            expect![[r#"
                The engine does not answer.
                Nothing listens on its socket.
                Start it, then ask again.
                ```
                a <b>
                ```"#]],
        );
    }
}
