//! Going back to a kept version: into the files where they can be written, otherwise pinned over them.

use std::path::Path;

use super::apply::Coming;
use super::start::{Found, kept};
use super::take::hash_of;
use super::write::{self, Rewrite};
use super::{Keeping, Return};
use crate::config::Sources;
use crate::domain::confirm::Question;
use crate::domain::failure::Failure;
use crate::domain::impact::Impact;
use crate::domain::project::Configuration;
use crate::domain::reload::Applied;
use crate::domain::snapshot::{Cause, InForce, VersionPlan, Way};
use crate::history::{History, HistoryError};
use crate::operations::Refusal;
use crate::operations::configuration::NOTHING_ROLLED_BACK;
use crate::operations::recorder::history_failure;

/// A way back, with all that it takes.
struct Back {
    plan: VersionPlan,
    found: Found,
    rewrites: Vec<Rewrite>,
    /// The hash of what the files say now.
    files: blake3::Hash,
    /// Whether that is kept in a version.
    is_kept: bool,
}

/// What a way back starts from.
pub(super) struct Here<'a> {
    pub(super) path: &'a Path,
    pub(super) history: &'a History,
    /// What is in force.
    pub(super) sources: &'a Sources,
    pub(super) configuration: &'a Configuration,
    pub(super) pinned_over: Option<blake3::Hash>,
}

impl Keeping {
    fn here<'a>(&'a self, configuration: &'a Configuration) -> Here<'a> {
        let (path, history, sources) = (&*self.path, &self.around.history, &self.sources);
        Here { path, history, sources, configuration, pinned_over: self.pinned_over }
    }

    /// What going back to a version would do. Changes nothing.
    pub(super) async fn plan_back(&self, to: i64) -> Result<VersionPlan, Refusal> {
        self.here(&self.configuration()).plan(to).await
    }

    /// Goes back, where that is still what was confirmed.
    pub(super) async fn go_back(&mut self, wanted: Return) -> Result<Applied, Refusal> {
        let Return { to, digest, who, asker } = wanted;
        let Back { plan, found, rewrites, mut files, is_kept } = self.here(&self.configuration()).way_back(to).await?;
        if plan.digest != digest {
            return Err(Refusal::Changed(Box::new(Question::Version(Box::new(plan)))));
        }
        let mut unwritten = None;
        if !rewrites.is_empty() {
            // Whoever is started in the middle of it goes on.
            let in_force = InForce { snapshot: to, pinned_over: None, writing: true };
            let noted = self.around.history.snapshot_in_force(in_force).await;
            noted.map_err(|e| history_failure(NOTHING_ROLLED_BACK.to_owned(), &e))?;
            let wrote = tokio::task::spawn_blocking(move || write::all(&rewrites, !is_kept)).await;
            unwritten = wrote.map_err(|died| died.to_string()).and_then(|wrote| wrote.map_err(|e| e.to_string())).err();
        }
        if let Some(why) = &unwritten {
            tracing::error!(why, version = to, "a version could not be written into the configuration's files, and is pinned over them");
            files = self.read(self.watcher.look().await).await.hash();
        }
        let pinned_over = (unwritten.is_some() || matches!(plan.way, Way::Pin { .. })).then_some(files);
        let old = self.configuration();
        let Found { sources, configuration, warnings, .. } = found;
        let coming = Coming { sources, configuration, warnings, cause: Cause::Rollback { who, to }, pinned_over };
        let applied = Applied { unwritten, ..self.apply(coming).await };
        self.announce(&old, &applied, asker).await;
        Ok(applied)
    }
}

impl Here<'_> {
    /// What going back to a version would do. Changes nothing.
    pub(super) async fn plan(&self, to: i64) -> Result<VersionPlan, Refusal> {
        self.way_back(to).await.map(|back| back.plan)
    }

    async fn way_back(&self, to: i64) -> Result<Back, Refusal> {
        let unread = |e: HistoryError| history_failure(NOTHING_ROLLED_BACK.to_owned(), &e);
        let version = self.history.snapshot(to).await.map_err(unread)?.ok_or(Refusal::NoVersion(to))?;
        let path = self.path.to_owned();
        let looked = tokio::task::spawn_blocking(move || {
            let says = Sources::read(&path).map_err(|error| format!("{error}."));
            let found = kept(&version)?;
            let rewrites = if says.as_ref() == Ok(&found.sources) { Ok(Vec::new()) } else { write::consider(&path, &found.sources) };
            Some((version, hash_of(&says), found, rewrites))
        });
        let why = format!("Version {to} is not understood any more.");
        let not_understood = || Failure::new(NOTHING_ROLLED_BACK, why, "Choose a later one: /config history lists them.");
        let (version, files, found, rewrites) = looked.await.ok().flatten().ok_or_else(not_understood)?;
        let is_kept = self.history.snapshot_holds(files.to_hex().to_string()).await.map_err(unread)?;
        let (way, rewrites) = match rewrites {
            Ok(rewrites) if rewrites.is_empty() => (Way::AsTheyAre, rewrites),
            Ok(rewrites) => (Way::Write { files: rewrites.iter().map(Rewrite::shown).collect() }, rewrites),
            Err(why) => (Way::Pin { why }, Vec::new()),
        };
        let mut warnings = found.warnings.clone();
        if !is_kept && !rewrites.is_empty() {
            warnings.push(
                "What the files say now was never in force. It is kept beside them, as hidden files with a ~ at their end.".to_owned(),
            );
        }
        let in_force = found.sources == *self.sources;
        let impact = Impact::between(self.configuration, &found.configuration);
        let goes_by = format!("{} {} {files} {:?} {way:?} {warnings:?}", version.hash, self.sources.hash(), self.pinned_over);
        let digest = blake3::hash(goes_by.as_bytes()).to_hex().to_string();
        let plan = VersionPlan { to, at: version.line.at, impact, in_force, way, warnings, digest };
        Ok(Back { plan, found, rewrites, files, is_kept })
    }
}
