//! What can be asked of the configuration itself.

use std::collections::BTreeSet;
use std::time::Duration;

use similar::TextDiff;

use super::desk::{Desk, Refusal};
use super::keeper::{self, Keeper, Return, tell_admins};
use super::recorder::history_failure;
use crate::config::{self, Mask, Sources};
use crate::domain::access::{Actor, ChatId, Role, allow};
use crate::domain::failure::Failure;
use crate::domain::impact::Impact;
use crate::domain::notice::Notice;
use crate::domain::project::Configuration;
use crate::domain::reload::{Applied, Reloaded, Standing};
use crate::domain::snapshot::{Cause, Files, Snapshot, SnapshotLine, VersionPlan};
use crate::domain::untrusted::{SHOWN, UntrustedText};

/// How many unchanged lines are shown around a changed one.
const AROUND: usize = 1;
/// The most lines of a difference.
const LINES_MAX: usize = 60;
/// The longest line of a difference, in characters.
const LINE_MAX: usize = 200;
/// How long the best difference is looked for; after that a longer one will do.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest reason that is kept with a version, in characters.
const WHY_MAX: usize = 200;
/// What a rollback that is not done says.
pub(super) const NOTHING_ROLLED_BACK: &str = "The configuration was left as it is.";

/// What is different in what is in force from a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionDiff {
    /// What that means.
    pub impact: Impact,
    /// The lines, as `diff -u` shows them.
    pub lines: Vec<String>,
}

impl Desk {
    /// Tells each admin something in their own chat.
    pub async fn tell_admins(&self, notice: &Notice) {
        tell_admins(&self.tools.history, &[&self.configuration()], notice, None, self.now()).await;
    }

    fn configures(&self, actor: &Actor) -> Result<(), Refusal> {
        allow(&self.configuration(), actor, None, Role::Admin).map_err(Refusal::Denied)
    }

    fn whoever_keeps(&self, what: &str) -> Result<&Keeper, Refusal> {
        let nobody = || Failure::new(what, "No dockmaster runs on this data directory.", "Start it, and ask again.");
        self.keeper().ok_or_else(|| Refusal::Failed(nobody()))
    }

    /// How the configuration stands.
    ///
    /// # Errors
    /// Not allowed, or nobody keeps it here.
    pub fn configuration_standing(&self, actor: &Actor) -> Result<Standing, Refusal> {
        self.configures(actor)?;
        Ok(self.whoever_keeps("Nothing is in force.")?.standing())
    }

    /// The kept versions, newest first, and which of them is in force.
    ///
    /// # Errors
    /// Not allowed, or they cannot be read.
    pub async fn configuration_versions(&self, actor: &Actor) -> Result<(Vec<SnapshotLine>, Option<i64>), Refusal> {
        self.configures(actor)?;
        let unread = |e| history_failure("The versions cannot be shown.".to_owned(), &e);
        let lines = self.tools.history.snapshots().await.map_err(unread)?;
        let last = self.tools.history.snapshot_last().await.map_err(unread)?;
        Ok((lines, last.map(|(snapshot, _)| snapshot.line.id)))
    }

    /// What is different in what is in force from a version; with the values that may be secret, where they are asked for.
    ///
    /// # Errors
    /// Not allowed, there is no such version, or it cannot be read.
    pub async fn configuration_diff(&self, actor: &Actor, id: i64, values: bool) -> Result<VersionDiff, Refusal> {
        self.configures(actor)?;
        let unread = |e| history_failure("The versions cannot be compared.".to_owned(), &e);
        let version = self.tools.history.snapshot(id).await.map_err(unread)?;
        let Some(version) = version else { return Err(Refusal::NoVersion(id)) };
        let Some((last, _)) = self.tools.history.snapshot_last().await.map_err(unread)? else { return Err(Refusal::NoVersion(id)) };
        let compare = move || {
            let impact = understood(&version).zip(understood(&last)).map(|(old, new)| Impact::between(&old, &new));
            VersionDiff { impact: impact.unwrap_or_default(), lines: lines(&version.files, &last.files, values) }
        };
        let compared = tokio::task::spawn_blocking(compare).await;
        let failed = || Failure::new("The versions cannot be compared.", "An error of mine; the log has the details.", "Report it.");
        compared.map_err(|_| failed().into())
    }

    /// Keeps what is in force as a version of its own.
    ///
    /// # Errors
    /// Not allowed, or it could not be written.
    pub async fn configuration_keep(&self, actor: &Actor, why: Option<&str>) -> Result<i64, Refusal> {
        self.configures(actor)?;
        let what = "The version was not kept.";
        let why =
            why.map(str::trim).filter(|why| !why.is_empty()).map(|why| UntrustedText::from(why.chars().take(WHY_MAX).collect::<String>()));
        let kept = self.whoever_keeps(what)?.keep(Cause::Kept { who: actor.label(), why }).await;
        kept.ok_or(Refusal::Stopping)?.map_err(|e| history_failure(what.to_owned(), &e).into())
    }

    /// Reads the files now; who asked is not told twice.
    ///
    /// # Errors
    /// Not allowed.
    pub async fn configuration_reload(&self, actor: &Actor) -> Result<Reloaded, Refusal> {
        self.configures(actor)?;
        tracing::info!(actor = actor.label().line(SHOWN), "a reload is asked for");
        let came = self.whoever_keeps("Nothing was reloaded.")?.reload(Cause::Asked { who: actor.label() }, asker(actor)).await;
        came.ok_or(Refusal::Stopping)
    }

    /// What going back to a version would do. Changes nothing.
    ///
    /// # Errors
    /// Not allowed, there is no such version, or it is not understood any more.
    pub async fn configuration_plan(&self, actor: &Actor, to: i64) -> Result<VersionPlan, Refusal> {
        self.configures(actor)?;
        match (self.keeper(), &self.file) {
            (None, Some(file)) => keeper::plan_only(file, &self.tools.history, to).await,
            _ => self.whoever_keeps(NOTHING_ROLLED_BACK)?.plan(to).await.ok_or(Refusal::Stopping)?,
        }
    }

    /// Goes back to a version, as it was planned; who asked is not told twice.
    ///
    /// # Errors
    /// As [`Desk::configuration_plan`], or what would be done is not what was confirmed. Nothing was done then.
    pub async fn configuration_rollback(&self, actor: &Actor, to: i64, digest: &str) -> Result<Applied, Refusal> {
        self.configures(actor)?;
        tracing::info!(actor = actor.label().line(SHOWN), to, "going back to a version of the configuration is confirmed");
        let wanted = Return { to, digest: digest.to_owned(), who: actor.label(), asker: asker(actor) };
        self.whoever_keeps(NOTHING_ROLLED_BACK)?.go_back(wanted).await.ok_or(Refusal::Stopping)?
    }
}

/// The chat in which whoever asks is answered, where that is their own.
fn asker(actor: &Actor) -> Option<ChatId> {
    match actor {
        Actor::Telegram { user, chat, .. } => i64::try_from(*user).ok().filter(|private| private == chat),
        Actor::Console | Actor::Dockmaster => None,
    }
}

/// What a version says; none where it is no longer understood.
fn understood(version: &Snapshot) -> Option<Configuration> {
    config::check_here(&Sources::from(&version.files), &config::unseen).configuration
}

fn lines(old: &Files, new: &Files, values: bool) -> Vec<String> {
    let names: BTreeSet<&String> = old.included.keys().chain(new.included.keys()).collect();
    // They go to chats and terminals.
    let mut mask = Mask::default();
    let mut hide = |text: &str| if values { text.to_owned() } else { mask.hide(text) };
    let mut lines = differing("the file itself", &hide(&old.main), &hide(&new.main));
    for name in names {
        let mut text = |files: &Files| files.included.get(name).map(|text| hide(text)).unwrap_or_default();
        let (old, new) = (text(old), text(new));
        lines.extend(differing(name, &old, &new));
    }
    let more = lines.len().saturating_sub(LINES_MAX);
    lines.truncate(LINES_MAX);
    if more > 0 {
        lines.push(format!("… and {more} more lines"));
    }
    lines
}

fn differing(name: &str, old: &str, new: &str) -> Vec<String> {
    if old == new {
        return Vec::new();
    }
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    let shown = diff.unified_diff().context_radius(AROUND).missing_newline_hint(false).to_string();
    let cut = |line: &str| {
        if line.chars().count() > LINE_MAX { format!("{}…", line.chars().take(LINE_MAX).collect::<String>()) } else { line.to_owned() }
    };
    std::iter::once(format!("{name}:")).chain(shown.lines().map(cut)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_files_and_lines_and_has_an_end() {
        let files = |main: &str, shop: &str| Files { main: main.into(), included: [("shop.json".to_owned(), shop.to_owned())].into() };
        let told = lines(&files("[\n1,\n2,\n3]\n", "[]"), &files("[\n1,\n4,\n3]\n", "[]"), false);
        assert_eq!(told, ["the file itself:", "@@ -2,3 +2,3 @@", " 1,", "-2,", "+4,", " 3]"]);
        let told = lines(&files("[]", "1"), &Files { main: "[]".into(), ..Files::default() }, false);
        assert_eq!(told, ["shop.json:", "@@ -1 +0,0 @@", "-1"]);
        let wide = lines(&Files::default(), &files(&format!("\"{}\"", "x".repeat(500_000)), ""), false);
        assert!(wide.iter().all(|line| line.chars().count() <= LINE_MAX + 1) && wide.len() <= 4, "{}", wide.len());
        let long = lines(&Files::default(), &files(&format!("[{}0]", "1,\n".repeat(500)), ""), false);
        assert_eq!(long.len(), LINES_MAX + 1);
        assert_eq!(long[LINES_MAX], "… and 443 more lines");
    }

    #[test]
    fn a_difference_says_that_a_secret_is_another_and_not_which() {
        let file = |token: &str| {
            let main = format!("{{\n\"environment\": {{\n\"API_TOKEN\": \"{token}\",\n\"MODE\": \"dev\" }} }}\n");
            Files { main: main.clone(), included: [("shop.json".to_owned(), main)].into() }
        };
        let told = lines(&file("hunter2"), &file("hunter3"), false);
        let lines_of_one = [
            "@@ -2,3 +2,3 @@",
            " \"environment\": {",
            "-\"API_TOKEN\": \"[hidden 1]\",",
            "+\"API_TOKEN\": \"[hidden 3]\",",
            " \"MODE\": \"[hidden 2]\" } }",
        ];
        assert_eq!(told[..6], [&["the file itself:"], &lines_of_one[..]].concat());
        assert_eq!(told[6..], [&["shop.json:"], &lines_of_one[..]].concat());
        assert_eq!(lines(&file("hunter2"), &file("hunter2"), false), Vec::<String>::new());
    }
}
