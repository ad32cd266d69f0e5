//! Going back to a kept version: into the files where they can be written, otherwise pinned over them.

use super::apply::Coming;
use super::start::{Found, kept};
use super::write::{self, Rewrite};
use super::{Keeping, Return};
use crate::domain::confirm::Question;
use crate::domain::failure::Failure;
use crate::domain::impact::Impact;
use crate::domain::reload::Applied;
use crate::domain::snapshot::{Cause, VersionPlan, Way};
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
}

impl Keeping {
    /// What going back to a version would do. Changes nothing.
    pub(super) async fn plan_back(&self, to: i64) -> Result<VersionPlan, Refusal> {
        self.way_back(to).await.map(|back| back.plan)
    }

    /// Goes back, where that is still what was confirmed.
    pub(super) async fn go_back(&mut self, wanted: Return) -> Result<Applied, Refusal> {
        let Return { to, digest, who, asker } = wanted;
        let Back { plan, found, rewrites, mut files } = self.way_back(to).await?;
        if plan.digest != digest {
            return Err(Refusal::Changed(Box::new(Question::Version(Box::new(plan)))));
        }
        let wrote = tokio::task::spawn_blocking(move || write::all(&rewrites)).await;
        let unwritten = wrote.map_err(|died| died.to_string()).and_then(|wrote| wrote.map_err(|e| e.to_string())).err();
        if let Some(why) = &unwritten {
            tracing::error!(why, version = to, "a version could not be written into the configuration's files, and is pinned over them");
            // Some of them may have been.
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

    async fn way_back(&self, to: i64) -> Result<Back, Refusal> {
        let version = self.around.history.snapshot(to).await.map_err(|e| history_failure(NOTHING_ROLLED_BACK.to_owned(), &e))?;
        let version = version.ok_or(Refusal::NoVersion(to))?;
        let read = self.read(self.watcher.look().await).await;
        let (path, files, says) = (self.path.clone(), read.hash(), read.sources.ok());
        // What was in force is kept as a version.
        let is_kept = says.as_ref() == Some(&self.sources);
        let looked = tokio::task::spawn_blocking(move || {
            let found = kept(&version, files, None)?;
            let same = says.as_ref() == Some(&found.sources);
            let rewrites = if same { Ok(Vec::new()) } else { write::consider(&path, &found.sources, !is_kept) };
            Some((version, found, rewrites))
        });
        let why = format!("Version {to} is not understood any more.");
        let not_understood = || Failure::new(NOTHING_ROLLED_BACK, why, "Choose a later one: /config history lists them.");
        let (version, found, rewrites) = looked.await.ok().flatten().ok_or_else(not_understood)?;
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
        let goes_by = format!("{} {} {files} {:?}", version.hash, self.sources.hash(), self.pinned_over);
        let plan = VersionPlan {
            to,
            at: version.line.at,
            impact: Impact::between(&self.configuration(), &found.configuration),
            in_force: found.sources == self.sources,
            way,
            warnings,
            digest: blake3::hash(goes_by.as_bytes()).to_hex().to_string(),
        };
        Ok(Back { plan, found, rewrites, files })
    }
}
