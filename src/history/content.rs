//! What configs and secrets containers were brought up with: hashes keyed with a key that is not in the history.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{History, HistoryError, from_json, to_json};
use crate::domain::Millis;
use crate::domain::project::ProjectName;

/// What one container was brought up with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentRecord {
    /// When it had started then: a later start by Compose may have put other content into it.
    pub started: Option<Millis>,
    /// The hashes, by what each is called: `config c`.
    pub hashes: BTreeMap<String, String>,
}

impl History {
    /// Keeps what the containers of a project were brought up with, by their ids; `there` are those that there are.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn content_keep(
        &self,
        project: ProjectName,
        records: BTreeMap<String, ContentRecord>,
        there: Vec<String>,
    ) -> Result<(), HistoryError> {
        self.with(move |db| {
            let mut keep = db.prepare_cached(
                "INSERT INTO contents (project, container, record) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET record = excluded.record",
            )?;
            for (container, record) in &records {
                keep.execute((project.as_str(), container, to_json(record)?))?;
            }
            db.prepare_cached("DELETE FROM contents WHERE project = ?1 AND container NOT IN (SELECT value FROM json_each(?2))")?
                .execute((project.as_str(), to_json(&there)?))?;
            Ok(())
        })
        .await
    }

    /// What the containers of a project were brought up with, by their ids, as far as that is known.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn contents(&self, project: ProjectName) -> Result<BTreeMap<String, ContentRecord>, HistoryError> {
        self.with(move |db| {
            let mut query = db.prepare_cached("SELECT container, record FROM contents WHERE project = ?1")?;
            let rows = query.query_map([project.as_str()], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
            rows.map(|row| row.map_err(HistoryError::from).and_then(|(id, record)| Ok((id, from_json(&record)?)))).collect()
        })
        .await
    }
}
