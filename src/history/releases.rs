//! Releases, what production holds of them, and what images were built from.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{OptionalExtension, Row, Transaction};
use serde::{Deserialize, Serialize};

use super::{History, HistoryError, from_json, to_json};
use crate::domain::Millis;
use crate::domain::manifest::Manifest;
use crate::domain::project::{ProjectName, ServiceName};

/// What made a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReleaseKind {
    /// A deploy of the workspace.
    Deploy,
    /// Production as it was found before something else came into it.
    Kept,
}

/// A release as history keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseRecord {
    /// Its number within the project.
    pub number: i64,
    /// What made it.
    pub kind: ReleaseKind,
    /// The operation that made it.
    pub operation: i64,
    /// When.
    pub at: Millis,
    /// What it brought into production, or kept of it.
    pub manifest: Manifest,
    /// What of that dockmaster put into production, and may delete there: all of it where a deploy brought it, and what earlier
    /// releases put there and production has changed since.
    pub owned: Manifest,
    /// What its tree holds: the manifest, and what its images are built from besides.
    pub staged: Manifest,
    /// The compose files, as they stood in the workspace, by relative path: never interpolated, so without secrets of `.env`.
    pub compose: Vec<(String, String)>,
    /// The names of the images that its services run, by service; the images themselves have tags of the release's own.
    pub images: BTreeMap<ServiceName, String>,
    /// A hash of production's `.env` at the time, which is never kept itself.
    pub environment: Option<String>,
    /// How many files it changed.
    pub changed: usize,
    /// The variables that its compose files use and that nothing set at the time; none where that was not recorded.
    pub unset: Option<BTreeSet<String>>,
}

/// A release in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseLine {
    /// Its number.
    pub number: i64,
    /// What made it.
    pub kind: ReleaseKind,
    /// The operation that made it.
    pub operation: i64,
    /// When.
    pub at: Millis,
    /// How many files it changed.
    pub changed: usize,
    /// Whether production holds it.
    pub current: bool,
    /// Whether production ever held it as a whole, and it came up.
    pub ran: bool,
}

/// A release on its way into production.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// The release that comes.
    pub target: i64,
    /// The release that production goes back to if it does not arrive.
    pub base: i64,
}

/// What production holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Current {
    /// The release, unless a move that was neither finished nor undone has left something else.
    pub release: ReleaseRecord,
    /// What may be deleted there: what of it is ours, and what moves that never settled may have left.
    pub owned: Manifest,
    /// What each of those moves was to put there.
    pub unsettled: Vec<Manifest>,
}

const COLUMNS: &str = "number, kind, operation, at, manifest, owned, compose, images, environment, changed, unset, staged";

fn record(row: &Row<'_>) -> Result<ReleaseRecord, HistoryError> {
    let text = |at: usize| row.get::<_, String>(at);
    let manifest: Manifest = from_json(&text(4)?)?;
    let (owned, staged): (Option<String>, Option<String>) = (row.get(5)?, row.get(11)?);
    Ok(ReleaseRecord {
        number: row.get(0)?,
        kind: from_json(&text(1)?)?,
        operation: row.get(2)?,
        at: row.get(3)?,
        owned: owned.map_or_else(|| Ok(manifest.clone()), |owned| from_json(&owned))?,
        staged: staged.map_or_else(|| Ok(manifest.clone()), |staged| from_json(&staged))?,
        manifest,
        compose: from_json(&text(6)?)?,
        images: from_json(&text(7)?)?,
        environment: row.get(8)?,
        changed: usize::try_from(row.get::<_, i64>(9)?).unwrap_or(0),
        unset: row.get::<_, Option<String>>(10)?.map(|unset| from_json(&unset)).transpose()?,
    })
}

fn read(db: &Transaction<'_>, project: &str, number: i64) -> Result<Option<ReleaseRecord>, HistoryError> {
    let query = format!("SELECT {COLUMNS} FROM releases WHERE project = ?1 AND number = ?2 AND manifest NOT NULL");
    let mut query = db.prepare_cached(&query)?;
    let mut rows = query.query((project, number))?;
    rows.next()?.map(record).transpose()
}

fn current(db: &Transaction<'_>, project: &str) -> Result<Option<i64>, HistoryError> {
    let mut query = db.prepare_cached("SELECT release FROM current WHERE project = ?1")?;
    Ok(query.query_row([project], |row| row.get(0)).optional()?)
}

fn add(db: &Transaction<'_>, project: &str, release: &ReleaseRecord) -> Result<(), HistoryError> {
    // What is found after a move that never arrived is what that one has left.
    let unsettled = db.prepare_cached("SELECT 1 FROM moves WHERE project = ?1 AND settled IS NULL")?.exists([project])?;
    let beside = |part: &Manifest| if *part == release.manifest { Ok(None) } else { to_json(part).map(Some) };
    let (owned, staged) = (beside(&release.owned)?, beside(&release.staged)?);
    db.prepare_cached(
        "INSERT INTO releases
            (project, number, kind, operation, at, manifest, owned, compose, images, environment, changed, unset, arrived, staged)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?
    .execute((
        project,
        release.number,
        to_json(&release.kind)?,
        release.operation,
        release.at,
        to_json(&release.manifest)?,
        owned,
        to_json(&release.compose)?,
        to_json(&release.images)?,
        &release.environment,
        i64::try_from(release.changed).unwrap_or(i64::MAX),
        release.unset.as_ref().map(to_json).transpose()?,
        // Production held it when it was kept.
        (release.kind == ReleaseKind::Kept && !unsettled).then_some(release.at),
        staged,
    ))?;
    Ok(())
}

fn settle(db: &Transaction<'_>, project: &str, holds: i64, now: Millis) -> Result<(), HistoryError> {
    // What comes back after an attempt never went.
    db.prepare_cached(
        "INSERT INTO current (project, release, since) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET
            since = CASE WHEN release = excluded.release THEN since ELSE excluded.since END, release = excluded.release",
    )?
    .execute((project, holds, now))?;
    db.prepare_cached("UPDATE releases SET arrived = COALESCE(arrived, ?3) WHERE project = ?1 AND number = ?2")?
        .execute((project, holds, now))?;
    db.prepare_cached("UPDATE moves SET settled = ?2 WHERE project = ?1 AND settled IS NULL")?.execute((project, now))?;
    Ok(())
}

fn forget(db: &Transaction<'_>, project: &str, number: i64) -> Result<(), HistoryError> {
    db.prepare_cached(
        "UPDATE releases SET manifest = NULL, owned = NULL, staged = NULL, compose = NULL, images = '{}' WHERE project = ?1 AND number = ?2",
    )?
    .execute((project, number))?;
    Ok(())
}

impl History {
    /// The name of this data directory among those that work on one engine.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn instance(&self) -> Result<String, HistoryError> {
        self.with(|db| Ok(db.prepare_cached("SELECT name FROM instance")?.query_row([], |row| row.get(0))?)).await
    }

    /// The number that a project's next release has: numbers are never given twice.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn release_next(&self, project: ProjectName) -> Result<i64, HistoryError> {
        self.with(move |db| {
            let mut query = db.prepare_cached("SELECT COALESCE(MAX(number) + 1, 0) FROM releases WHERE project = ?1")?;
            Ok(query.query_row([project.as_str()], |row| row.get(0))?)
        })
        .await
    }

    /// Keeps a release.
    ///
    /// # Errors
    /// It could not be written, or there is one with its number.
    pub async fn release_add(&self, project: ProjectName, release: ReleaseRecord) -> Result<(), HistoryError> {
        self.with(move |db| add(db, project.as_str(), &release)).await
    }

    /// Keeps that a release is about to come into production, and the release itself where it is `new`, at once.
    ///
    /// # Errors
    /// It could not be written: production must not be touched then.
    pub async fn move_begin(
        &self,
        project: ProjectName,
        operation: i64,
        going: Move,
        new: Option<ReleaseRecord>,
    ) -> Result<(), HistoryError> {
        self.with(move |db| {
            if let Some(release) = &new {
                add(db, project.as_str(), release)?;
            }
            db.prepare_cached("INSERT INTO moves (operation, project, target, base) VALUES (?1, ?2, ?3, ?4)")?.execute((
                operation,
                project.as_str(),
                going.target,
                going.base,
            ))?;
            Ok(())
        })
        .await
    }

    /// The move of an operation that production may be in the middle of.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn move_of(&self, operation: i64) -> Result<Option<Move>, HistoryError> {
        self.with(move |db| {
            let mut query = db.prepare_cached("SELECT target, base FROM moves WHERE operation = ?1 AND settled IS NULL")?;
            Ok(query.query_row([operation], |row| Ok(Move { target: row.get(0)?, base: row.get(1)? })).optional()?)
        })
        .await
    }

    /// Keeps what production holds now, which settles every move of the project.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn move_settle(&self, project: ProjectName, holds: i64, now: Millis) -> Result<(), HistoryError> {
        self.with(move |db| settle(db, project.as_str(), holds, now)).await
    }

    /// Keeps that a move came to nothing and production holds `base` again; `forgotten` is the release that did not make
    /// it, where that is no longer wanted. At once: else a crash in between would leave a release that never ran.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn move_undone(&self, project: ProjectName, base: i64, forgotten: Option<i64>, now: Millis) -> Result<(), HistoryError> {
        self.with(move |db| {
            settle(db, project.as_str(), base, now)?;
            forgotten.map_or(Ok(()), |number| forget(db, project.as_str(), number))
        })
        .await
    }

    /// Keeps which images the services of a release run.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn release_images(
        &self,
        project: ProjectName,
        number: i64,
        images: BTreeMap<ServiceName, String>,
    ) -> Result<(), HistoryError> {
        self.with(move |db| {
            db.prepare_cached("UPDATE releases SET images = ?3 WHERE project = ?1 AND number = ?2")?.execute((
                project.as_str(),
                number,
                to_json(&images)?,
            ))?;
            Ok(())
        })
        .await
    }

    /// One release, unless it was forgotten.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn release(&self, project: ProjectName, number: i64) -> Result<Option<ReleaseRecord>, HistoryError> {
        self.with(move |db| read(db, project.as_str(), number)).await
    }

    /// What production holds; none before the first deploy.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn release_current(&self, project: ProjectName) -> Result<Option<Current>, HistoryError> {
        self.with(move |db| {
            let project = project.as_str();
            let Some(number) = current(db, project)? else { return Ok(None) };
            let Some(release) = read(db, project, number)? else { return Ok(None) };
            let mut owned = release.owned.clone();
            let mut query = db.prepare_cached("SELECT DISTINCT target FROM moves WHERE project = ?1 AND settled IS NULL")?;
            let targets = query.query_map([project], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
            let mut unsettled = Vec::new();
            for target in targets {
                let Some(target) = read(db, project, target)? else { continue };
                for (path, entry) in &*target.owned.0 {
                    owned.to_mut().entry(path.clone()).or_insert_with(|| entry.clone());
                }
                unsettled.push(target.owned);
            }
            Ok(Some(Current { release, owned, unsettled }))
        })
        .await
    }

    /// The number of the release that production holds, and since when: it may have been gone back to.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn release_number(&self, project: ProjectName) -> Result<Option<(i64, Millis)>, HistoryError> {
        self.with(move |db| {
            let mut query = db.prepare_cached(
                "SELECT number, COALESCE(since, at) FROM releases JOIN current ON current.project = releases.project AND release = number WHERE current.project = ?1",
            )?;
            Ok(query.query_row([project.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
        })
        .await
    }

    /// The current releases of all projects, with when each arrived.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn release_numbers(&self) -> Result<BTreeMap<ProjectName, (i64, Millis)>, HistoryError> {
        self.with(|db| {
            let mut query = db.prepare_cached(
                "SELECT current.project, number, COALESCE(since, at) FROM releases JOIN current ON current.project = releases.project AND release = number",
            )?;
            let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, (row.get(1)?, row.get(2)?))))?;
            // A name that is none any more belongs to no project.
            Ok(rows.flatten().filter_map(|(name, release)| Some((ProjectName::new(&name).ok()?, release))).collect())
        })
        .await
    }

    /// The kept releases of a project, newest first.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn releases(&self, project: ProjectName) -> Result<Vec<ReleaseLine>, HistoryError> {
        self.with(move |db| {
            let current = current(db, project.as_str())?;
            let mut query = db.prepare_cached(
                "SELECT number, kind, operation, at, changed, arrived NOT NULL FROM releases WHERE project = ?1 AND manifest NOT NULL ORDER BY number DESC",
            )?;
            let mut rows = query.query([project.as_str()])?;
            let mut lines = Vec::new();
            while let Some(row) = rows.next()? {
                let number = row.get(0)?;
                lines.push(ReleaseLine {
                    number,
                    kind: from_json(&row.get::<_, String>(1)?)?,
                    operation: row.get(2)?,
                    at: row.get(3)?,
                    changed: usize::try_from(row.get::<_, i64>(4)?).unwrap_or(0),
                    current: current == Some(number),
                    ran: row.get(5)?,
                });
            }
            Ok(lines)
        })
        .await
    }

    /// Forgets a release; its row stays, so that its number is never given twice.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn release_forget(&self, project: ProjectName, number: i64) -> Result<(), HistoryError> {
        self.with(move |db| forget(db, project.as_str(), number)).await
    }

    /// The compose files of a project's kept releases, newest first: each a list of relative path and text.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn releases_compose(&self, project: ProjectName) -> Result<Vec<Vec<(String, String)>>, HistoryError> {
        self.with(move |db| {
            let mut query =
                db.prepare_cached("SELECT compose FROM releases WHERE project = ?1 AND compose NOT NULL ORDER BY number DESC")?;
            let texts = query.query_map([project.as_str()], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
            texts.iter().map(|text| from_json(text)).collect()
        })
        .await
    }

    /// Keeps which inputs an image was built from.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn build_record(&self, project: ProjectName, image_id: String, inputs: String, now: Millis) -> Result<(), HistoryError> {
        self.with(move |db| {
            // Two inputs can come to one image; the later one is what the workspace holds now.
            db.prepare_cached(
                "INSERT INTO builds (project, image_id, inputs, at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET inputs = excluded.inputs, at = excluded.at",
            )?
            .execute((project.as_str(), image_id, inputs, now))?;
            Ok(())
        })
        .await
    }

    /// The inputs that an image was built from, where they are known.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn build_inputs(&self, project: ProjectName, image_id: String) -> Result<Option<String>, HistoryError> {
        self.with(move |db| {
            let mut query = db.prepare_cached("SELECT inputs FROM builds WHERE project = ?1 AND image_id = ?2")?;
            Ok(query.query_row((project.as_str(), image_id), |row| row.get(0)).optional()?)
        })
        .await
    }
}
