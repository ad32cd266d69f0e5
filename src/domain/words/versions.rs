//! The kept versions of the configuration.

use super::configuration::impact;
use super::{date_time, flat, trimmed, warning, with_block};
use crate::domain::impact::{Fate, Impact};
use crate::domain::snapshot::{Cause, SnapshotLine, VersionPlan, Way};
use crate::domain::text::{Text, count, listing};

/// How many versions are listed.
const VERSIONS_SHOWN: usize = 15;

/// The kept versions, newest first.
pub fn versions(lines: &[SnapshotLine], in_force: Option<i64>) -> Text {
    if lines.is_empty() {
        return Text::new().plain("No version is kept yet.");
    }
    let mut text = Text::new().bold("Configuration: versions").plain(" · times in UTC\n");
    for line in lines.iter().take(VERSIONS_SHOWN) {
        let mark = if in_force == Some(line.id) { "▶️" } else { "▫️" };
        let now = if in_force == Some(line.id) { " · in force" } else { "" };
        text = text.plain(format!("\n{mark} ")).bold(line.id.to_string()).plain(format!("{now}\n{}\n", date_time(line.at)));
        text = text.plain(format!("{}\n", in_words(&line.cause)));
        let changes = in_short(&line.impact);
        if !changes.is_empty() {
            text = text.plain(format!("{changes}\n"));
        }
    }
    if let Some(more) = lines.len().checked_sub(VERSIONS_SHOWN).filter(|n| *n > 0) {
        text = text.plain(format!("\nand {more} more\n"));
    }
    trimmed(text.plain("\n/config diff N shows what is different now, /config rollback N goes back."))
}

/// What was in force is kept.
pub fn version_kept(id: i64) -> Text {
    Text::new().plain(format!("What is in force is kept as version {id}."))
}

/// There is no such version.
pub fn no_version(id: i64) -> Text {
    Text::new().plain(format!("There is no version {id}, or it is too long ago: /config history lists them."))
}

/// Values are not shown where others read along.
pub fn values_in_private() -> Text {
    Text::new().plain("The values may be secret, and others read this chat. Ask me in a private chat.")
}

/// What is different in what is in force from a version; `values` says whether values stand in it that may be secret.
pub fn version_diff(id: i64, change: &Impact, lines: String, values: bool) -> Text {
    let text = Text::new().bold(format!("From version {id} to what is in force")).line();
    if change.is_empty() && lines.is_empty() {
        return text.plain("They are the same.");
    }
    let text = if change.is_empty() { text.plain("They mean the same.\n") } else { text.then(impact(change)) };
    let hides = lines.contains("[hidden ");
    let text = with_block(if values { warning(text, "This shows values that may be secret.") } else { text }, lines);
    trimmed(if hides && !values {
        text.plain(format!("\nValues that may be secret are hidden. An admin sees them, in a private chat, with /config diff {id} show"))
    } else {
        text
    })
}

/// What going back to a version would do.
pub fn version_plan(plan: &VersionPlan) -> Text {
    let mut text = version_plan_heading(plan).plain(format!("\nof {} UTC\n\n", date_time(plan.at)));
    text = if plan.in_force { text.plain("It is what is in force already.\n") } else { text.then(impact(&plan.impact)) };
    text = match &plan.way {
        Way::AsTheyAre => text.plain("\nThe files say the same already.\n"),
        Way::Write { files } => text.plain(format!("\nWritten into {}\n", listing(files, 8))),
        Way::Pin { why } => text.plain(format!(
            "\n📌 The files stay as they are, since {}. The version is pinned: it is in force until they are changed.\n",
            flat(why)
        )),
    };
    if !plan.warnings.is_empty() {
        text = text.plain("\n⚠️ Warnings:\n").block(plan.warnings.join("\n"));
    }
    trimmed(text)
}

/// What it is, without its details.
pub fn version_plan_heading(plan: &VersionPlan) -> Text {
    Text::new().bold(format!("Roll back to version {} of the configuration", plan.to))
}

/// There is nothing to do.
pub fn nothing_to_roll_back(plan: &VersionPlan) -> Text {
    Text::new().plain(format!("Nothing to roll back: version {} is in force, and the files say so.", plan.to))
}

/// Why a version came into force, and through whom.
pub(super) fn in_words(cause: &Cause) -> String {
    match cause {
        Cause::Start => "I started with it".to_owned(),
        Cause::Saved => "A file was saved".to_owned(),
        Cause::Asked { who } => format!("{who} asked for a reload"),
        Cause::Kept { who, why: None } => format!("{who} had it kept"),
        Cause::Kept { who, why: Some(why) } => format!("{who} had it kept: {why}"),
        Cause::Rollback { who, to } => format!("{who} went back to version {to}"),
        Cause::Undone { undone: Some(undone), why } => format!("Version {undone} was undone: {}", flat(why.trim_end_matches('.'))),
        Cause::Undone { undone: None, why } => format!("A change was undone: {}", flat(why.trim_end_matches('.'))),
    }
}

/// The same in one line.
fn in_short(impact: &Impact) -> String {
    let named = |fate: Fate| {
        let names = impact.projects.iter().filter(move |change| change.fate == fate).map(|change| &change.project);
        let word = match fate {
            Fate::Added => "added",
            Fate::Removed => "removed",
            Fate::Changed => "changed",
        };
        let names = listing(names, 4);
        (!names.is_empty()).then(|| format!("{word}: {names}"))
    };
    let mut parts: Vec<String> = [Fate::Added, Fate::Removed, Fate::Changed].into_iter().filter_map(named).collect();
    let rights = impact.rights.len() + impact.chats_added.len() + impact.chats_removed.len();
    parts.extend((rights > 0).then(|| count(rights, "right")));
    parts.extend((!impact.general.is_empty()).then(|| count(impact.general.len(), "general setting")));
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::super::configuration::tests::{AT, of_shop};
    use super::super::testing::check;
    use super::*;
    use expect_test::expect;

    #[test]
    fn the_versions() {
        let line = |id, cause, impact| SnapshotLine { id, at: AT, cause, impact };
        let lines = [
            line(4, Cause::Undone { undone: Some(3), why: "shop cannot be read".into() }, Impact::default()),
            line(3, Cause::Rollback { who: "Ann".into(), to: 1 }, of_shop()),
            line(2, Cause::Kept { who: "Ann".into(), why: Some("before the sale".into()) }, Impact::default()),
            line(1, Cause::Start, Impact::default()),
        ];
        check(
            &versions(&lines, Some(4)),
            expect![[r#"
                *Configuration: versions* · times in UTC

                ▶️ *4* · in force
                2025-01-31 14:03
                Version 3 was undone: shop cannot be read

                ▫️ *3*
                2025-01-31 14:03
                `Ann` went back to version 1
                added: blog · removed: old · changed: shop · 4 rights · 1 general setting

                ▫️ *2*
                2025-01-31 14:03
                `Ann` had it kept: `before the sale`

                ▫️ *1*
                2025-01-31 14:03
                I started with it

                /config diff N shows what is different now, /config rollback N goes back."#]],
        );
        check(&versions(&[], None), expect!["No version is kept yet."]);
        check(&version_kept(2), expect!["What is in force is kept as version 2."]);
        check(&no_version(9), expect!["There is no version 9, or it is too long ago: /config history lists them."]);
        check(
            &version_diff(1, &Impact::default(), String::new(), false),
            expect![[r#"
            *From version 1 to what is in force*
            They are the same."#]],
        );
        check(
            &version_diff(1, &Impact::default(), "the file itself:\n@@ -1 +1 @@\n-a\n+b".into(), false),
            expect![[r#"
            *From version 1 to what is in force*
            They mean the same.
            ```
            the file itself:
            @@ -1 +1 @@
            -a
            +b
            ```"#]],
        );
    }

    #[test]
    fn a_way_back() {
        let plan = VersionPlan {
            to: 3,
            at: AT,
            impact: of_shop(),
            in_force: false,
            way: Way::Write { files: vec!["/etc/dockmaster/projects.json".into()] },
            warnings: vec!["projects.old.workspace: found nothing".into()],
            digest: String::new(),
        };
        check(
            &version_plan(&plan),
            expect![[r#"
                *Roll back to version 3 of the configuration*
                of 2025-01-31 14:03 UTC

                ⬇️ 7: admin → nobody
                ⬆️ 8 in shop: viewer → operator
                Chat -5: people may act there now
                Chat -6: nobody may act there any more
                `confirm_timeout`: `1 min` → `2 min`
                blog: new; what runs of it is left as it is
                old: no longer mine; its containers run on
                shop: `exclude`: `nothing` → `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` (with the next deploy)
                shop: `production`: `/srv/shop` → `/srv/new` (needs a deploy)
                ➡️ For that to take effect: `/docker_deploy shop`

                Written into `/etc/dockmaster/projects.json`

                ⚠️ Warnings:
                ```
                projects.old.workspace: found nothing
                ```"#]],
        );
        let pinned =
            VersionPlan { way: Way::Pin { why: "projects.json is a link".into() }, in_force: true, warnings: vec![], ..plan.clone() };
        check(
            &version_plan(&pinned),
            expect![[r#"
                *Roll back to version 3 of the configuration*
                of 2025-01-31 14:03 UTC

                It is what is in force already.

                📌 The files stay as they are, since `projects.json` is a link. The version is pinned: it is in force until they are changed."#]],
        );
        check(&nothing_to_roll_back(&plan), expect!["Nothing to roll back: version 3 is in force, and the files say so."]);
    }
}
