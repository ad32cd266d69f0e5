//! The configuration: what a change of it means, what is wrong with it, its versions.

use super::{clock, date_time, environment, trimmed, with_block};
use crate::domain::Millis;
use crate::domain::access::Role;
use crate::domain::impact::{Effect, Fate, Impact, ProjectChange, RightChange, SettingChange};
use crate::domain::project::ServiceName;
use crate::domain::reload::{Applied, Rejected, Reloaded, Standing, Watching};
use crate::domain::snapshot::{Cause, SnapshotLine};
use crate::domain::text::{Text, count, duration, listing};

/// How many lines of a change are shown.
const LINES_SHOWN: usize = 30;
/// How many problems are shown.
const PROBLEMS_SHOWN: usize = 15;
/// How many versions are listed.
const VERSIONS_SHOWN: usize = 15;
/// The longest value that is shown, in characters.
const VALUE_SHOWN: usize = 60;

/// Another configuration is in force.
pub fn reloaded(cause: &Cause, applied: &Applied) -> Text {
    let version = applied.snapshot.map_or_else(|| "not kept as a version".to_owned(), |id| format!("version {id}"));
    let mut text = Text::new().plain("⚙️ ").bold("Configuration reloaded").plain(format!(" · {version}\n{}.\n", in_words(cause)));
    for part in &applied.failed {
        text = text.plain(format!("⚠️ {} keeps what it had: {}.\n", part.part, part.why));
    }
    text = text.then(impact(&applied.impact));
    if !applied.withdrawn.is_empty() {
        text = text.plain(format!("\nWithdrawn, since their project changed: {}. Ask again.\n", listing(&applied.withdrawn, 5)));
    }
    for warning in applied.warnings.iter().take(PROBLEMS_SHOWN) {
        text = text.plain(format!("\nDoubtful: {warning}\n"));
    }
    trimmed(text)
}

/// Files that are not in force because of what is wrong with them.
pub fn rejected(rejected: &Rejected, starting: bool) -> Text {
    let still = if starting { "I started with the version that was in force last." } else { "What was in force still is." };
    let text = Text::new().plain("⚠️ ").bold("Configuration rejected").plain(format!("\n{still}\n"));
    with_block(text, problems(rejected))
}

/// Changes of the configuration cannot be seen, and why.
pub fn unseen(trouble: &str) -> Text {
    Text::new().plain("⚠️ ").bold("Changes of the configuration cannot be seen").plain(format!("\n{trouble}"))
}

fn problems(rejected: &Rejected) -> String {
    let mut lines: Vec<String> = rejected.problems.iter().take(PROBLEMS_SHOWN).cloned().collect();
    if let Some(more) = rejected.problems.len().checked_sub(PROBLEMS_SHOWN).filter(|more| *more > 0) {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

/// What came of a reload that somebody asked for.
pub fn reload_came_to(cause: &Cause, reloaded: &Reloaded) -> Text {
    match reloaded {
        Reloaded::Unchanged => Text::new().plain("The files say what is in force; nothing changed."),
        Reloaded::Applied(applied) => self::reloaded(cause, applied),
        Reloaded::Rejected(why) => rejected(why, false),
    }
}

/// How the configuration stands.
pub fn configuration(standing: &Standing, now: Millis) -> Text {
    let mut text = Text::new().bold("Configuration").plain(" · ").code(&standing.path).line();
    text = match standing.snapshot {
        Some(id) => text.plain(format!("Version {id}")),
        None => text.plain("Not kept as a version"),
    };
    text = text.plain(format!(", in force for {}\n", duration(now.saturating_sub(standing.since))));
    if !standing.included.is_empty() {
        text = text.plain(format!("Includes {}\n", listing(&standing.included, 8)));
    }
    let how = match standing.watching {
        Watching::Events | Watching::Auto => "Changes are noticed by events",
        Watching::Poll => "Changes are noticed by looking",
        Watching::Off => "Changes are not noticed; /config reload takes them over",
    };
    text = text.plain(format!("{how}: {}\n", standing.because));
    if let Some(trouble) = &standing.trouble {
        text = text.plain(format!("⚠️ {trouble}\n"));
    }
    text = text.then(environment(&standing.environment));
    if let Some(rejected) = &standing.rejected {
        let since = clock(rejected.at);
        text = with_block(text.plain(format!("\n⚠️ The files are not in force, since {since} UTC:\n")), problems(rejected));
    }
    trimmed(text)
}

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
    trimmed(text.plain("\n/config diff N shows what is different now."))
}

/// What was in force is kept.
pub fn version_kept(id: i64) -> Text {
    Text::new().plain(format!("What is in force is kept as version {id}."))
}

/// There is no such version.
pub fn no_version(id: i64) -> Text {
    Text::new().plain(format!("There is no version {id}, or it is too long ago: /config history lists them."))
}

/// What is different in what is in force from a version.
pub fn version_diff(id: i64, change: &Impact, lines: String) -> Text {
    let text = Text::new().bold(format!("From version {id} to what is in force")).line();
    if change.is_empty() && lines.is_empty() {
        return text.plain("They are the same.");
    }
    let text = if change.is_empty() { text.plain("They mean the same.\n") } else { text.then(impact(change)) };
    trimmed(with_block(text, lines))
}

/// Why a version came into force, and through whom.
fn in_words(cause: &Cause) -> String {
    match cause {
        Cause::Start => "I started with it".to_owned(),
        Cause::Saved => "A file was saved".to_owned(),
        Cause::Asked { who } => format!("{who} asked for a reload"),
        Cause::Kept { who, why: None } => format!("{who} had it kept"),
        Cause::Kept { who, why: Some(why) } => format!("{who} had it kept: {why}"),
        Cause::Rollback { who, to } => format!("{who} went back to version {to}"),
        Cause::Undone { undone, why } => format!("Version {undone} was undone: {why}"),
    }
}

/// What a change means, a line each.
pub fn impact(impact: &Impact) -> Text {
    let mut lines = Vec::new();
    lines.extend(impact.general.iter().map(setting));
    for change in &impact.projects {
        lines.extend(project(change));
    }
    lines.extend(impact.rights.iter().map(right));
    lines.extend(impact.chats_added.iter().map(|chat| format!("Chat {chat}: people may act there now")));
    lines.extend(impact.chats_removed.iter().map(|chat| format!("Chat {chat}: nobody may act there any more")));
    let deploys: Vec<_> = impact.needs_deploy().collect();
    if lines.is_empty() {
        lines.push("It means the same as before.".to_owned());
    }
    let more = lines.len().saturating_sub(LINES_SHOWN);
    lines.truncate(LINES_SHOWN);
    if more > 0 {
        lines.push(format!("and {} more", count(more, "change")));
    }
    let mut text = Text::new().plain(format!("{}\n", lines.join("\n")));
    for name in deploys.iter().take(3) {
        text = text.plain("➡️ For that to take effect: ").code(format!("/docker_deploy {name}")).line();
    }
    if let Some(more) = deploys.len().checked_sub(3).filter(|more| *more > 0) {
        text = text.plain(format!("and {} more to be deployed\n", count(more, "project")));
    }
    text
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

fn value(text: &str) -> String {
    let shown: String = text.chars().take(VALUE_SHOWN).collect();
    if shown.len() < text.len() { format!("{shown}…") } else { shown }
}

fn setting(change: &SettingChange) -> String {
    let when = match change.effect {
        Effect::AtOnce => "",
        Effect::NextDeploy => " (with the next deploy)",
        Effect::NeedsDeploy => " (needs a deploy)",
    };
    format!("{}: {} → {}{when}", change.setting, value(&change.before), value(&change.after))
}

fn project(change: &ProjectChange) -> Vec<String> {
    let name = &change.project;
    let services = listing(change.services.iter().map(ServiceName::as_str), 6);
    let about = if services.is_empty() { String::new() } else { format!(" ({services})") };
    match change.fate {
        Fate::Added => vec![format!("{name}: new{about}; what runs of it is left as it is")],
        Fate::Removed => vec![format!("{name}: no longer mine{about}; its containers run on")],
        Fate::Changed if change.settings.is_empty() => Vec::new(),
        Fate::Changed => change.settings.iter().map(|s| format!("{name}: {}", setting(s))).collect(),
    }
}

fn right(change: &RightChange) -> String {
    let role = |role: Option<Role>| role.map_or("nobody", Role::word);
    let place = change.project.as_ref().map_or_else(String::new, |project| format!(" in {project}"));
    let marked = if change.after > change.before { "⬆️" } else { "⬇️" };
    format!("{marked} {}{place}: {} → {}", change.user, role(change.before), role(change.after))
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;
    use super::*;
    use crate::domain::environment::{Environment, Runtime};
    use crate::domain::project::ProjectName;
    use crate::domain::reload::FailedPart;
    use expect_test::expect;

    const AT: Millis = 1_738_332_202_000;

    fn name(name: &str) -> ProjectName {
        ProjectName::new(name).unwrap()
    }

    fn of_shop() -> Impact {
        let setting = |setting: &str, before: &str, after: &str, effect| SettingChange {
            setting: setting.into(),
            before: before.into(),
            after: after.into(),
            effect,
        };
        let project = |project: &str, fate, settings| ProjectChange { project: name(project), fate, settings, services: [].into() };
        Impact {
            general: vec![setting("confirm_timeout", "1 min", "2 min", Effect::AtOnce)],
            projects: vec![
                project("blog", Fate::Added, vec![]),
                project("old", Fate::Removed, vec![]),
                project(
                    "shop",
                    Fate::Changed,
                    vec![
                        setting("exclude", "nothing", &"x".repeat(70), Effect::NextDeploy),
                        setting("production", "/srv/shop", "/srv/new", Effect::NeedsDeploy),
                    ],
                ),
            ],
            rights: vec![
                RightChange { user: 7, project: None, before: Some(Role::Admin), after: None },
                RightChange { user: 8, project: Some(name("shop")), before: Some(Role::Viewer), after: Some(Role::Operator) },
            ],
            chats_added: vec![-5],
            chats_removed: vec![-6],
        }
    }

    fn applied(impact: Impact) -> Applied {
        Applied { snapshot: Some(3), impact, warnings: Vec::new(), failed: Vec::new(), withdrawn: Vec::new() }
    }

    #[test]
    fn a_change_and_what_it_means() {
        let failed = vec![FailedPart { part: "the menu of commands".into(), why: "Telegram does not answer".into() }];
        let all = Applied {
            failed,
            withdrawn: vec!["deploy shop".into()],
            warnings: vec!["4:13 projects.shop.stateful: found nothing".into()],
            ..applied(of_shop())
        };
        check(
            &reloaded(&Cause::Saved, &all),
            expect![[r#"
            ⚙️ *Configuration reloaded* · version 3
            A file was saved.
            ⚠️ the menu of commands keeps what it had: Telegram does not answer.
            confirm_timeout: 1 min → 2 min
            blog: new; what runs of it is left as it is
            old: no longer mine; its containers run on
            shop: exclude: nothing → xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… (with the next deploy)
            shop: production: /srv/shop → /srv/new (needs a deploy)
            ⬇️ 7: admin → nobody
            ⬆️ 8 in shop: viewer → operator
            Chat -5: people may act there now
            Chat -6: nobody may act there any more
            ➡️ For that to take effect: `/docker_deploy shop`

            Withdrawn, since their project changed: deploy shop. Ask again.

            Doubtful: 4:13 projects.shop.stateful: found nothing"#]],
        );
        let unkept = Applied { snapshot: None, ..applied(Impact::default()) };
        check(
            &reloaded(&Cause::Asked { who: "Ann".into() }, &unkept),
            expect![[r#"
            ⚙️ *Configuration reloaded* · not kept as a version
            Ann asked for a reload.
            It means the same as before."#]],
        );
        check(&reload_came_to(&Cause::Saved, &Reloaded::Unchanged), expect!["The files say what is in force; nothing changed."]);
    }

    #[test]
    fn files_that_are_not_in_force() {
        let problems: Vec<String> = (0..17).map(|n| format!("{n}:1 access: found “boss”")).collect();
        let why = Rejected { at: AT, problems };
        let drawn = super::super::testing::drawn(&rejected(&why, false));
        assert!(drawn.ends_with("\n14:1 access: found “boss”\nand 2 more\n```"), "{drawn}");
        let one = Rejected { at: AT, problems: vec!["projects.d/a.json:1:2: found the end of the file".into()] };
        check(
            &rejected(&one, true),
            expect![[r#"
            ⚠️ *Configuration rejected*
            I started with the version that was in force last.
            ```
            projects.d/a.json:1:2: found the end of the file
            ```"#]],
        );
        let standing = Standing {
            path: "/etc/dockmaster/projects.json".into(),
            included: vec!["projects.d/a.json".into()],
            snapshot: Some(3),
            since: AT - 60_000,
            rejected: Some(one),
            watching: Watching::Poll,
            because: "“reload.watch” says poll".into(),
            trouble: Some("It is mounted by itself.".into()),
            environment: Environment { runtime: Some(Runtime::Docker), ..Environment::default() },
        };
        check(
            &unseen("It is mounted by itself."),
            expect![[r#"
            ⚠️ *Changes of the configuration cannot be seen*
            It is mounted by itself."#]],
        );
        check(
            &configuration(&standing, AT),
            expect![[r#"
            *Configuration* · `/etc/dockmaster/projects.json`
            Version 3, in force for 1 min
            Includes projects.d/a.json
            Changes are noticed by looking: “reload.watch” says poll
            ⚠️ It is mounted by itself.
            In a container: Docker, without limits

            ⚠️ The files are not in force, since 14:03:22 UTC:
            ```
            projects.d/a.json:1:2: found the end of the file
            ```"#]],
        );
        let off = Standing {
            rejected: None,
            trouble: None,
            included: vec![],
            snapshot: None,
            watching: Watching::Off,
            because: "DOCKMASTER_HOT_RELOAD is 0".into(),
            environment: Environment::default(),
            ..standing
        };
        check(
            &configuration(&off, AT),
            expect![[r#"
            *Configuration* · `/etc/dockmaster/projects.json`
            Not kept as a version, in force for 1 min
            Changes are not noticed; /config reload takes them over: DOCKMASTER_HOT_RELOAD is 0"#]],
        );
    }

    #[test]
    fn the_versions() {
        let line = |id, cause, impact| SnapshotLine { id, at: AT, cause, impact };
        let lines = [
            line(4, Cause::Undone { undone: 3, why: "shop cannot be read".into() }, Impact::default()),
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
            Ann went back to version 1
            added: blog · removed: old · changed: shop · 4 rights · 1 general setting

            ▫️ *2*
            2025-01-31 14:03
            Ann had it kept: before the sale

            ▫️ *1*
            2025-01-31 14:03
            I started with it

            /config diff N shows what is different now."#]],
        );
        check(&versions(&[], None), expect!["No version is kept yet."]);
        check(&version_kept(2), expect!["What is in force is kept as version 2."]);
        check(&no_version(9), expect!["There is no version 9, or it is too long ago: /config history lists them."]);
        check(
            &version_diff(1, &Impact::default(), String::new()),
            expect![[r#"
            *From version 1 to what is in force*
            They are the same."#]],
        );
        check(
            &version_diff(1, &Impact::default(), "the file itself:\n@@ -1 +1 @@\n-a\n+b".into()),
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
}
