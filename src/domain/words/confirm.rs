//! Asking for a yes, and what became of it.

use super::{nothing_to_do, nothing_to_roll_back, plan, plan_heading, trimmed, version_plan, version_plan_heading, warning};
use crate::domain::confirm::{Question, Settled};
use crate::domain::manifest::TreePath;
use crate::domain::orphans::Orphan;
use crate::domain::plan::{Action, Plan};
use crate::domain::text::{Text, count, duration};
use crate::domain::untrusted::UntrustedText;

/// The plan that is to be confirmed.
pub fn question(question: &Question) -> Text {
    match question {
        Question::Operation(of) => plan(of),
        Question::Version(of) => version_plan(of),
    }
}

/// The same without its details.
pub fn question_heading(question: &Question) -> Text {
    match question {
        Question::Operation(of) => plan_heading(of),
        Question::Version(of) => version_plan_heading(of),
    }
}

/// There is nothing to be confirmed.
pub fn nothing_to_ask(question: &Question) -> Text {
    match question {
        Question::Operation(of) => nothing_to_do(of),
        Question::Version(of) => nothing_to_roll_back(of),
    }
}

/// A plan, and how it is confirmed. In groups a bare word does not reach the bot.
pub fn ask(asked: &Question, group: bool, valid_ms: i64) -> Text {
    let text = question(asked).plain(format!("\n\n{}? Press the button, or ", asked.verb()));
    let text = if group { text.plain("reply ").code("yes").plain(" to this message") } else { text.plain("type ").code("yes") };
    text.plain(format!(", within {}.", duration(valid_ms)))
}

/// As [`ask`], because the plan is no longer the one that was confirmed.
pub fn asked_again(before: &Question, now: &Question, group: bool, valid_ms: i64) -> Text {
    let changed = match (before, now) {
        (Question::Operation(before), Question::Operation(now)) => changed_since(before, now),
        _ => version_changed_since(),
    };
    changed.plain("\n\n").then(ask(now, group, valid_ms))
}

/// Going back to a version would be another thing now.
pub fn version_changed_since() -> Text {
    warning(Text::new(), "Something changed since; nothing was done.").plain("The files, or what is in force, are others now.")
}

/// What is no longer as it was confirmed.
pub fn changed_since(before: &Plan, now: &Plan) -> Text {
    let mut text = warning(Text::new(), "Something changed since; nothing was done.");
    let differences = differences(before, now);
    for difference in &differences {
        text = text.plain(format!("{difference}\n"));
    }
    if differences.is_empty() {
        text = text.plain("The content of files or the resolved configuration is another one now.\n");
    }
    trimmed(text)
}

fn differences(before: &Plan, now: &Plan) -> Vec<String> {
    let mut found = Vec::new();
    let action = |plan: &Plan, name: &str| plan.services.iter().find(|s| s.service.as_str() == name).map(|s| s.action);
    for service in &now.services {
        let (was, is) = (action(before, service.service.as_str()), service.action);
        let was = was.map_or("not there", Action::word);
        if was != is.word() {
            found.push(format!("{}: {was} before, {} now", service.service, is.word()));
        }
    }
    for service in before.services.iter().filter(|s| action(now, s.service.as_str()).is_none()) {
        found.push(format!("{}: {} before, not there now", service.service, service.action.word()));
    }
    let left = |orphans: &[Orphan], others: &[Orphan], word: &str| -> Vec<String> {
        let missing = orphans.iter().filter(|orphan| others.iter().all(|other| other.id != orphan.id));
        missing.map(|orphan| format!("{}: {word}", orphan.name)).collect()
    };
    found.extend(left(now.orphans(), before.orphans(), "was not among them before"));
    found.extend(left(before.orphans(), now.orphans(), "not there now"));
    if let (Some(was), Some(is)) = (&before.files, &now.files) {
        for (word, was, is) in
            [("new", &was.added, &is.added), ("changed", &was.changed, &is.changed), ("deleted", &was.deleted, &is.deleted)]
        {
            if was.len() != is.len() {
                found.push(format!("{word}: {} before, {} now", count(was.len(), "file"), is.len()));
            } else if let Some(path) = stranger_among(was, is) {
                found.push(format!("{word}: {path} was not among them before"));
            }
        }
    }
    let more = found.len().saturating_sub(8);
    found.truncate(8);
    if more > 0 {
        found.push(format!("and {more} more differences"));
    }
    found
}

/// The first path that was not there before. Lists can be long, so that each is looked up in a set.
fn stranger_among<'a>(was: &[TreePath], is: &'a [TreePath]) -> Option<&'a TreePath> {
    let was: std::collections::BTreeSet<&TreePath> = was.iter().collect();
    is.iter().find(|path| !was.contains(path))
}

fn with(planned: &Text, ending: String) -> Text {
    planned.clone().plain(format!("\n\n{ending}"))
}

/// The plan after somebody confirmed it.
pub fn confirmed(planned: &Text, by: &UntrustedText) -> Text {
    with(planned, format!("✅ Confirmed by {by}."))
}

/// The plan after somebody called it off.
pub fn cancelled(planned: &Text, by: &UntrustedText) -> Text {
    with(planned, format!("Cancelled by {by}; nothing was done."))
}

/// The plan after its time.
pub fn expired(planned: &Text, valid_ms: i64) -> Text {
    with(planned, format!("Not confirmed within {}; nothing was done.", duration(valid_ms)))
}

/// The plan after a newer request of the same person.
pub fn replaced(planned: &Text) -> Text {
    with(planned, "Replaced by a newer request; nothing was done.".to_owned())
}

/// The plan after the configuration was changed.
pub fn withdrawn(planned: &Text) -> Text {
    with(planned, "Withdrawn: the configuration was changed meanwhile; nothing was done. Ask again.".to_owned())
}

/// The plan after a yes that could not be recorded.
pub fn withdrawn_unrecorded(planned: &Text) -> Text {
    with(planned, "Not confirmed: the confirmation could not be recorded. Nothing was done.".to_owned())
}

/// A request that a newer one of the same person overtook before its plan was shown.
pub fn superseded(what: &str) -> Text {
    Text::new().plain(format!("{what} was replaced by your newer request; nothing was done."))
}

/// A `yes` or `no` for which nothing waits.
pub fn nothing_waits() -> Text {
    Text::new().plain("Nothing is waiting for a yes. Confirmations end when I restart; ask again.")
}

/// The same refusal once more, for several messages at once.
pub fn repeated(refusal: Text, times: u32) -> Text {
    let times = count(usize::try_from(times).unwrap_or(usize::MAX), "more message");
    refusal.plain(format!("\n(The same answer to {times}.)"))
}

/// A confirmation that could not be recorded.
pub fn unrecorded(what: Option<&str>, why: &str) -> Text {
    let text = warning(Text::new(), "Nothing was done.");
    let text = match what {
        Some(what) => text.plain(format!("{what} did not run: your confirmation could not be recorded.")),
        None => text.plain("Your confirmation could not be recorded."),
    };
    text.plain(format!("\n{why}"))
}

/// A `yes` that answers another message than the plan that waits.
pub fn waits_elsewhere(what: &str, group: bool) -> Text {
    let how = if group { "reply yes to the message with its plan" } else { "type yes, or press its button" };
    Text::new().plain(format!("What waits is: {what}. To confirm it, {how}."))
}

/// An answer to what somebody else was asked.
pub fn not_yours() -> Text {
    Text::new().plain("That waits for somebody else; only the person who asked can confirm it.")
}

/// Why a press or a `yes` changes nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    /// It was settled before.
    Settled(Settled),
    /// It is not known: it ended with the program, or was forged.
    Unknown,
}

/// A press or a `yes` that changes nothing any more.
pub fn late_press(late: Late) -> Text {
    Text::new().plain(match late {
        Late::Settled(Settled::Confirmed) => "That was confirmed already.",
        Late::Settled(Settled::Cancelled) => "That was cancelled; nothing was done. Ask again.",
        Late::Settled(Settled::Replaced) => "A newer request took its place; nothing was done.",
        Late::Settled(Settled::Expired) => "This confirmation has expired; nothing was done. Run the command again.",
        Late::Settled(Settled::Unrecorded) => "Nothing was done: your confirmation could not be recorded. Run the command again.",
        Late::Settled(Settled::Withdrawn) => "It was withdrawn, since the configuration was changed; nothing was done. Ask again.",
        Late::Unknown => "This button no longer works: plans end when I restart. Nothing was done. Run the command again.",
    })
}

/// The few words that flash up when a button was taken.
pub fn toast(yes: bool) -> &'static str {
    if yes { "Confirmed" } else { "Cancelled" }
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::{deploy, restart, service, tidy};
    use super::super::testing::check;
    use super::*;
    use crate::domain::plan::Step;
    use expect_test::expect;

    fn of(plan: Plan) -> Question {
        Question::Operation(Box::new(plan))
    }

    #[test]
    fn asking() {
        check(
            &ask(&of(restart()), false, 60_000),
            expect![[r#"
                *Restart shop*

                Restart: api, web
                `postgres` stays: keeps data; name it to include it

                Steps (dependency):
                1. Restart api
                2. Restart web

                ⚠️ api is unhealthy already.

                Restart? Press the button, or type `yes`, within 1 min."#]],
        );
        let group = ask(&of(restart()), true, 90_000).to_plain();
        expect!["Restart? Press the button, or reply yes to this message, within 1 min 30 s."].assert_eq(group.lines().last().unwrap());
    }

    #[test]
    fn what_became_of_it() {
        let planned = Text::new().bold("Restart shop");
        check(
            &confirmed(&planned, &"Ann <b>".into()),
            expect![[r#"
                *Restart shop*

                ✅ Confirmed by `Ann <b>`."#]],
        );
        check(
            &cancelled(&planned, &"Ann".into()),
            expect![[r#"
                *Restart shop*

                Cancelled by `Ann`; nothing was done."#]],
        );
        check(
            &expired(&planned, 60_000),
            expect![[r#"
            *Restart shop*

            Not confirmed within 1 min; nothing was done."#]],
        );
        check(
            &replaced(&planned),
            expect![[r#"
            *Restart shop*

            Replaced by a newer request; nothing was done."#]],
        );
        check(&superseded("Restart shop"), expect!["Restart shop was replaced by your newer request; nothing was done."]);
    }

    #[test]
    fn answers_that_change_nothing() {
        check(&nothing_waits(), expect!["Nothing is waiting for a yes. Confirmations end when I restart; ask again."]);
        check(
            &waits_elsewhere("Restart shop", true),
            expect!["What waits is: Restart shop. To confirm it, reply yes to the message with its plan."],
        );
        check(
            &waits_elsewhere("Restart shop", false),
            expect!["What waits is: Restart shop. To confirm it, type yes, or press its button."],
        );
        check(&not_yours(), expect!["That waits for somebody else; only the person who asked can confirm it."]);
        let settled = [Settled::Confirmed, Settled::Cancelled, Settled::Replaced, Settled::Expired];
        let all: Vec<String> =
            settled.into_iter().map(Late::Settled).chain([Late::Unknown]).map(|late| late_press(late).to_plain()).collect();
        expect![[r#"
            That was confirmed already.
            That was cancelled; nothing was done. Ask again.
            A newer request took its place; nothing was done.
            This confirmation has expired; nothing was done. Run the command again.
            This button no longer works: plans end when I restart. Nothing was done. Run the command again."#]]
        .assert_eq(&all.join("\n"));
    }

    #[test]
    fn what_changed_since() {
        let mut now = restart();
        now.services.remove(0);
        now.services.push(service("cron", Action::Restart));
        check(
            &changed_since(&restart(), &now),
            expect![[r#"
            ⚠️ Something changed since; nothing was done.
            cron: not there before, restart now
            api: restart before, not there now"#]],
        );
        let mut now = tidy();
        if let Some(Step::Tidy { orphans, .. }) = now.steps.first_mut() {
            orphans[0].id = "another".into();
        }
        check(
            &changed_since(&tidy(), &now),
            expect![[r#"
                ⚠️ Something changed since; nothing was done.
                `dockmaster-tools-mail`: was not among them before
                `dockmaster-tools-mail`: not there now"#]],
        );
        let mut now = deploy();
        if let Some(files) = &mut now.files {
            files.added.pop();
            files.changed[0] = "compose.yml".into();
        }
        check(
            &changed_since(&deploy(), &now),
            expect![[r#"
                ⚠️ Something changed since; nothing was done.
                new: 7 files before, 6 now
                changed: `compose.yml` was not among them before"#]],
        );
        check(
            &changed_since(&deploy(), &deploy()),
            expect![[r#"
            ⚠️ Something changed since; nothing was done.
            The content of files or the resolved configuration is another one now."#]],
        );
    }
}
