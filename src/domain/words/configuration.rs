//! The configuration: how it stands, what a change of it means, what is wrong with it.

use super::versions::in_words;
use super::{clock, environment, flat, trimmed, warning, with_block};
use crate::domain::Millis;
use crate::domain::access::Role;
use crate::domain::impact::{Effect, Fate, Impact, ProjectChange, RightChange, SettingChange};
use crate::domain::project::ServiceName;
use crate::domain::reload::{Applied, Rejected, Reloaded, Standing, Watching};
use crate::domain::snapshot::Cause;
use crate::domain::text::{Text, count, duration, listing};
use crate::domain::untrusted::UntrustedText;

/// How many lines of a change are shown.
const LINES_SHOWN: usize = 30;
/// How many problems are shown.
const PROBLEMS_SHOWN: usize = 15;
/// The longest value that is shown, in characters.
const VALUE_SHOWN: usize = 60;

/// What pinning means.
const PINNED: &str = "📌 Pinned: the files say something else, and count again once they are changed.";

/// Another configuration is in force.
pub fn reloaded(applied: &Applied) -> Text {
    let version = applied.snapshot.map_or_else(|| "not kept as a version".to_owned(), |id| format!("version {id}"));
    let (mark, heading) = match applied.cause {
        Cause::Undone { .. } => ("⚠️ ", "Configuration put back"),
        Cause::Rollback { .. } => ("⚙️ ", "Configuration rolled back"),
        _ => ("⚙️ ", "Configuration reloaded"),
    };
    let mut text = Text::new().plain(mark).bold(heading).plain(format!(" · {version}\n{}.\n", in_words(&applied.cause)));
    if let Some(why) = &applied.unwritten {
        text = text.plain(format!("⚠️ The files could not be written: {}.\n", flat(why)));
    }
    if applied.pinned {
        text = text.plain(format!("{PINNED}\n"));
    }
    if applied.pinned && applied.snapshot.is_none() {
        text = text.plain("⚠️ That could not be kept: the files count again when I am restarted.\n");
    }
    for why in applied.unreadable.iter().take(PROBLEMS_SHOWN) {
        text = warning(text, why);
    }
    for part in &applied.failed {
        let again = if part.tries_again { " It is tried again." } else { "" };
        text = text.plain(format!("⚠️ {} keeps what it had: {}.{again}\n", flat(&part.part), flat(&part.why)));
    }
    text = match applied.cause {
        // Of what was put back nobody has been told that it was there; whose right that is, everybody has to be.
        Cause::Undone { .. } => rights(&applied.impact).into_iter().fold(text, |text, line| text.plain(format!("{line}\n"))),
        _ => text.then(impact(&applied.impact)),
    };
    if !applied.withdrawn.is_empty() {
        text = text.plain(format!(
            "\nWithdrawn, since it goes by what was changed: {}. Ask again.\n",
            listing(applied.withdrawn.iter().map(flat), 5)
        ));
    }
    if !applied.warnings.is_empty() {
        text = with_block(text.plain("\nDoubtful:\n"), lines(&applied.warnings));
    }
    trimmed(text)
}

/// Files that are not in force because of what is wrong with them.
pub fn rejected(rejected: &Rejected, starting: bool) -> Text {
    let still = if starting { "I started with the version that was in force last." } else { "What was in force still is." };
    let text = Text::new().plain("⚠️ ").bold("Configuration rejected").plain(format!("\n{still}\n"));
    with_block(text, lines(&rejected.problems))
}

/// Changes of the configuration cannot be seen, and why.
pub fn unseen(trouble: &str) -> Text {
    Text::new().plain("⚠️ ").bold("Changes of the configuration cannot be seen").plain(format!("\n{}", flat(trouble)))
}

/// Problems, a line each.
fn lines(problems: &[String]) -> String {
    let mut lines: Vec<String> = problems.iter().take(PROBLEMS_SHOWN).cloned().collect();
    if let Some(more) = problems.len().checked_sub(PROBLEMS_SHOWN).filter(|more| *more > 0) {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

/// What came of a reload that somebody asked for.
pub fn reload_came_to(reloaded: &Reloaded) -> Text {
    match reloaded {
        Reloaded::Unchanged => Text::new().plain("The files say what is in force; nothing changed."),
        Reloaded::Pinned => Text::new().plain(format!("The files were not changed; nothing changed.\n{PINNED}")),
        Reloaded::Applied(applied) => self::reloaded(applied),
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
    if standing.pinned {
        text = text.plain(format!("{PINNED}\n"));
    }
    if !standing.included.is_empty() {
        text = text.plain(format!("Includes {}\n", listing(standing.included.iter().map(UntrustedText::from), 8)));
    }
    let how = match standing.watching {
        Watching::Events | Watching::Auto => "Changes are noticed by events",
        Watching::Poll => "Changes are noticed by looking",
        Watching::Off => "Changes are not noticed; /config reload takes them over",
    };
    text = text.plain(format!("{how}: {}\n", flat(&standing.because)));
    if let Some(trouble) = &standing.trouble {
        text = warning(text, trouble);
    }
    text = text.then(environment(&standing.environment));
    if let Some(rejected) = &standing.rejected {
        let since = clock(rejected.at);
        text = with_block(text.plain(format!("\n⚠️ The files are not in force, since {since} UTC:\n")), lines(&rejected.problems));
    }
    trimmed(text)
}

/// What a change means, a line each.
pub fn impact(impact: &Impact) -> Text {
    let mut lines: Vec<String> = impact.general.iter().map(setting).collect();
    for change in &impact.projects {
        lines.extend(project(change));
    }
    let rights = rights(impact);
    let deploys: Vec<_> = impact.needs_deploy().collect();
    if lines.is_empty() && rights.is_empty() {
        lines.push("It means the same as before.".to_owned());
    }
    let more = lines.len().saturating_sub(LINES_SHOWN);
    lines.truncate(LINES_SHOWN);
    if more > 0 {
        lines.push(format!("and {} more", count(more, "change")));
    }
    // Whatever else there is, rights are never left out.
    let mut text = rights.into_iter().chain(lines).fold(Text::new(), |text, line| text.plain(format!("{line}\n")));
    for name in deploys.iter().take(3) {
        text = text.plain("➡️ For that to take effect: ").code(format!("/docker_deploy {name}")).line();
    }
    if let Some(more) = deploys.len().checked_sub(3).filter(|more| *more > 0) {
        text = text.plain(format!("and {} more to be deployed\n", count(more, "project")));
    }
    text
}

/// Who gains and who loses what, a line each.
fn rights(impact: &Impact) -> Vec<String> {
    let mut lines: Vec<String> = impact.rights.iter().map(right).collect();
    lines.extend(impact.chats_added.iter().map(|chat| format!("Chat {chat}: people may act there now")));
    lines.extend(impact.chats_removed.iter().map(|chat| format!("Chat {chat}: nobody may act there any more")));
    lines
}

/// A value as it stands in the files.
fn value(text: &str) -> String {
    format!("{:.VALUE_SHOWN$}", UntrustedText::from(text))
}

fn setting(change: &SettingChange) -> String {
    let when = match change.effect {
        Effect::AtOnce => "",
        Effect::NextDeploy => " (with the next deploy)",
        Effect::NeedsDeploy => " (needs a deploy)",
        Effect::NextStart => " (once I am restarted)",
    };
    format!("{}: {} → {}{when}", value(&change.setting), value(&change.before), value(&change.after))
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
pub(super) mod tests {
    use super::super::testing::check;
    use super::*;
    use crate::domain::environment::{Environment, Runtime};
    use crate::domain::project::ProjectName;
    use crate::domain::reload::FailedPart;
    use expect_test::expect;

    pub(crate) const AT: Millis = 1_738_332_202_000;

    fn name(name: &str) -> ProjectName {
        ProjectName::new(name).unwrap()
    }

    pub(crate) fn of_shop() -> Impact {
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
        Applied {
            cause: Cause::Saved,
            snapshot: Some(3),
            impact,
            warnings: Vec::new(),
            unreadable: Vec::new(),
            failed: Vec::new(),
            withdrawn: Vec::new(),
            pinned: false,
            unwritten: None,
        }
    }

    #[test]
    fn a_change_and_what_it_means() {
        let failed = vec![FailedPart { part: "the menu of commands".into(), why: "Telegram does not answer".into(), tries_again: true }];
        let all = Applied {
            failed,
            withdrawn: vec!["Deploy shop".into()],
            warnings: vec!["4:13 projects.shop.stateful: found nothing".into()],
            ..applied(of_shop())
        };
        check(
            &reloaded(&all),
            expect![[r#"
                ⚙️ *Configuration reloaded* · version 3
                A file was saved.
                ⚠️ the menu of commands keeps what it had: Telegram does not answer. It is tried again.
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

                Withdrawn, since it goes by what was changed: Deploy shop. Ask again.

                Doubtful:
                ```
                4:13 projects.shop.stateful: found nothing
                ```"#]],
        );
        let unkept = Applied { cause: Cause::Asked { who: "Ann".into() }, snapshot: None, ..applied(Impact::default()) };
        check(
            &reloaded(&unkept),
            expect![[r#"
                ⚙️ *Configuration reloaded* · not kept as a version
                `Ann` asked for a reload.
                It means the same as before."#]],
        );
        check(&reload_came_to(&Reloaded::Unchanged), expect!["The files say what is in force; nothing changed."]);
        check(
            &reload_came_to(&Reloaded::Pinned),
            expect![[r#"
            The files were not changed; nothing changed.
            📌 Pinned: the files say something else, and count again once they are changed."#]],
        );
    }

    #[test]
    fn rights_are_never_left_out() {
        let mut all = of_shop();
        all.projects = (0..40)
            .map(|n| ProjectChange { project: name(&format!("p{n}")), fate: Fate::Added, settings: vec![], services: [].into() })
            .collect();
        let drawn = super::super::testing::drawn(&impact(&all));
        assert!(
            drawn.starts_with("⬇️ 7: admin → nobody\n⬆️ 8 in shop: viewer → operator\n") && drawn.contains("\nand 11 changes more\n"),
            "{drawn}"
        );
        let cause = Cause::Undone { undone: Some(2), why: "no".into() };
        let drawn = super::super::testing::drawn(&reloaded(&Applied { cause, ..applied(of_shop()) }));
        assert!(drawn.contains("⬆️ 8 in shop: viewer → operator") && !drawn.contains("blog"), "{drawn}");
    }

    #[test]
    fn a_version_that_is_pinned() {
        let cause = Cause::Undone { undone: Some(2), why: "shop's compose files cannot be read: no such service.".into() };
        check(
            &reloaded(&Applied { cause, pinned: true, ..applied(Impact::default()) }),
            expect![[r#"
                ⚠️ *Configuration put back* · version 3
                Version 2 was undone: shop's compose files cannot be read: no such service.
                📌 Pinned: the files say something else, and count again once they are changed."#]],
        );
        let cause = Cause::Rollback { who: "Ann".into(), to: 1 };
        let unwritten = Some("no space left on device".into());
        let unreadable = vec!["shop cannot be read.".into()];
        let all = Applied { cause, pinned: true, unwritten, unreadable, snapshot: None, ..applied(Impact::default()) };
        check(
            &reloaded(&all),
            expect![[r#"
                ⚙️ *Configuration rolled back* · not kept as a version
                `Ann` went back to version 1.
                ⚠️ The files could not be written: no space left on device.
                📌 Pinned: the files say something else, and count again once they are changed.
                ⚠️ That could not be kept: the files count again when I am restarted.
                ⚠️ shop cannot be read.
                It means the same as before."#]],
        );
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
            pinned: true,
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
                📌 Pinned: the files say something else, and count again once they are changed.
                Includes `projects.d/a.json`
                Changes are noticed by looking: “`reload.watch`” says poll
                ⚠️ It is mounted by itself.
                In a container: Docker, without limits

                ⚠️ The files are not in force, since 14:03:22 UTC:
                ```
                projects.d/a.json:1:2: found the end of the file
                ```"#]],
        );
        let off = Standing {
            rejected: None,
            pinned: false,
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
}
