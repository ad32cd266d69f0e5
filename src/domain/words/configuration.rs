//! The configuration: what a change of it means, what is wrong with it, its versions.

use super::{clock, date_time, trimmed, with_block};
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
