//! Releases, and what images were built from.

use rusqlite::OptionalExtension;

use super::{History, HistoryError, from_json, to_json};
use crate::domain::Millis;
use crate::domain::manifest::Manifest;
use crate::domain::project::ProjectName;

/// How many releases of a project keep their manifest.
const MANIFESTS_KEPT: i64 = 10;

/// A release as history keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseRecord {
    /// Its number within the project.
    pub number: i64,
    /// The operation that made it.
    pub operation: i64,
    /// When.
    pub at: Millis,
    /// What it put into production.
    pub manifest: Manifest,
    /// The compose files, as they stood in the workspace, by relative path: never interpolated, so without secrets of `.env`.
    pub compose: Vec<(String, String)>,
}

impl History {
    /// Keeps a release under the next number of its project, which it returns, and forgets manifests of all but the last ten.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn release_record(&self, project: ProjectName, release: ReleaseRecord) -> Result<i64, HistoryError> {
        self.with(move |db| {
            let project = project.as_str();
            let number: i64 = db
                .prepare_cached("SELECT 1 + COALESCE(MAX(number), 0) FROM releases WHERE project = ?1")?
                .query_row([project], |row| row.get(0))?;
            let (manifest, compose) = (to_json(&release.manifest)?, to_json(&release.compose)?);
            db.prepare_cached("INSERT INTO releases (project, number, operation, at, manifest, compose) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
                .execute((project, number, release.operation, release.at, manifest, compose))?;
            // The rows stay, so that a number is never given twice.
            db.prepare_cached(
                "UPDATE releases SET manifest = NULL, compose = NULL WHERE project = ?1 AND number <= ?2 AND manifest NOT NULL",
            )?
            .execute((project, number - MANIFESTS_KEPT))?;
            Ok(number)
        })
        .await
    }

    /// The last release of a project.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn release_last(&self, project: ProjectName) -> Result<Option<ReleaseRecord>, HistoryError> {
        self.with(move |db| {
            let mut query = db.prepare_cached(
                "SELECT number, operation, at, manifest, compose FROM releases WHERE project = ?1 ORDER BY number DESC LIMIT 1",
            )?;
            let mut rows = query.query([project.as_str()])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let (manifest, compose): (String, String) = (row.get(3)?, row.get(4)?);
            let (manifest, compose) = (from_json(&manifest)?, from_json(&compose)?);
            Ok(Some(ReleaseRecord { number: row.get(0)?, operation: row.get(1)?, at: row.get(2)?, manifest, compose }))
        })
        .await
    }

    /// The number of a project's last release, and when it was made.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn release_number(&self, project: ProjectName) -> Result<Option<(i64, Millis)>, HistoryError> {
        self.with(move |db| {
            let mut query = db.prepare_cached("SELECT number, at FROM releases WHERE project = ?1 ORDER BY number DESC LIMIT 1")?;
            Ok(query.query_row([project.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
        })
        .await
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
