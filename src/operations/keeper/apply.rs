//! Putting a configuration in force: keep it as a version, tell every part of dockmaster and the admins; put back what was
//! before where something fails after it and that is wished.

use std::sync::Arc;

use super::Keeping;
use crate::config::Sources;
use crate::domain::access::ChatId;
use crate::domain::impact::Impact;
use crate::domain::notice::Notice;
use crate::domain::project::Configuration;
use crate::domain::reload::{Applied, Change};
use crate::domain::snapshot::Cause;
use crate::history::HistoryError;
use crate::history::snapshots::NewSnapshot;

/// A configuration that comes into force.
pub(super) struct Coming {
    pub(super) sources: Sources,
    pub(super) configuration: Configuration,
    /// What is doubtful in it.
    pub(super) warnings: Vec<String>,
    pub(super) cause: Cause,
    /// Where the files are others: their hash. It holds until they are changed.
    pub(super) pinned_over: Option<blake3::Hash>,
}

impl Keeping {
    /// Puts what the files say in force, and tells the admins; puts back what was before where something fails after it that
    /// is a reason to. Rights that were taken away are not given back by themselves.
    pub(super) async fn change(&mut self, coming: Coming, asker: Option<ChatId>) -> Applied {
        let (sources, old, files) = (self.sources.clone(), self.configuration(), coming.sources.hash());
        let mut applied = self.apply(coming).await;
        let why = applied.undone_by(&self.configuration().reload.rollback_on);
        // What fails because dockmaster stops says nothing about the change.
        if let Some(why) = why.filter(|_| !applied.impact.takes_rights() && !self.around.stopping.is_cancelled()) {
            let cause = Cause::Undone { undone: applied.snapshot, why };
            let configuration = (*old).clone();
            let before = Coming { sources, configuration, warnings: Vec::new(), cause, pinned_over: Some(files) };
            let withdrawn = applied.withdrawn;
            applied = self.apply(before).await;
            applied.withdrawn.splice(0..0, withdrawn);
        }
        self.announce(&old, &applied, asker).await;
        applied
    }

    /// Puts a configuration in force, keeps it, and tells every part.
    pub(super) async fn apply(&mut self, coming: Coming) -> Applied {
        let Coming { sources, configuration, warnings, cause, pinned_over } = coming;
        let old = self.configuration();
        let new = Arc::new(configuration);
        let impact = Impact::between(&old, &new);
        let (included, files, hash) = (sources.included.keys().cloned().collect(), sources.to_files(), sources.hash());
        (self.sources, self.pinned_over, self.told) = (sources, pinned_over, None);
        let (now, pinned) = (self.now(), pinned_over.is_some());
        self.standing.send_modify(|standing| {
            (standing.included, standing.since, standing.pinned) = (included, now, pinned);
            standing.rejected = None;
        });
        self.in_force.send_replace(new.clone());
        // A change must not fail for want of room on the disk: whose rights were taken away has none.
        let snapshot = match files {
            Some(files) => {
                let (cause, impact, hash) = (cause.clone(), impact.clone(), hash.to_hex().to_string());
                let new = NewSnapshot { cause, impact, hash, files, pinned_over: self.pinned_over_as_text() };
                self.around.history.snapshot_add(new, now).await.inspect_err(not_kept).ok()
            }
            None => None,
        };
        self.standing.send_modify(|standing| standing.snapshot = snapshot);
        tracing::info!(snapshot, pinned, ?cause, projects = new.projects.len(), "another configuration is in force");
        for warning in &warnings {
            tracing::warn!("{}: {warning}", self.path.display());
        }
        let (failed, taken) = self.parts.tell(&Change { old: old.clone(), new: new.clone() }).await;
        for why in &taken.unreadable {
            tracing::warn!("{why}");
        }
        if old.reload != new.reload {
            self.watch_anew(&new).await;
        }
        let (unreadable, withdrawn) = (taken.unreadable, taken.withdrawn);
        Applied { cause, snapshot, impact, warnings, unreadable, failed, withdrawn, pinned, unwritten: None }
    }

    /// Tells the admins, those of before among them: whoever loses their rights is told, too.
    pub(super) async fn announce(&self, old: &Configuration, applied: &Applied, asker: Option<ChatId>) {
        let by_files = matches!(applied.cause, Cause::Saved | Cause::Asked { .. });
        // What means nothing else is not worth a message.
        if by_files && applied.impact.is_empty() && applied.failed.is_empty() {
            return;
        }
        let notice = Notice::Reloaded { applied: Box::new(applied.clone()) };
        self.tell_admins(&[old, &self.configuration()], &notice, asker).await;
    }

    /// Keeps what is in force as a version of its own.
    pub(super) async fn keep_version(&mut self, cause: Cause) -> Result<i64, HistoryError> {
        let (hash, now) = (self.sources.hash().to_hex().to_string(), self.now());
        // What is in force is text.
        let files = self.sources.to_files().unwrap_or_default();
        let new = NewSnapshot { cause, impact: Impact::default(), hash, files, pinned_over: self.pinned_over_as_text() };
        let id = self.around.history.snapshot_add(new, now).await?;
        self.standing.send_modify(|standing| standing.snapshot = Some(id));
        Ok(id)
    }

    fn pinned_over_as_text(&self) -> Option<String> {
        self.pinned_over.map(|hash| hash.to_hex().to_string())
    }
}

pub(super) fn not_kept(error: &HistoryError) {
    tracing::error!(%error, "the configuration is in force, and could not be kept as a version");
}
