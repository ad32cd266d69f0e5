//! Which containers were said to be left over: told once, also where dockmaster is started again.

use std::collections::{BTreeMap, BTreeSet};

use super::notices::post;
use super::{History, HistoryError, from_json, to_json};
use crate::domain::Millis;
use crate::domain::access::ChatId;
use crate::domain::notice::{Notice, Origin};
use crate::domain::project::ProjectName;

impl History {
    /// The ids of the containers that were said to be left over, by the project that they were made for.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn orphans_said(&self) -> Result<BTreeMap<ProjectName, BTreeSet<String>>, HistoryError> {
        self.with(|db| {
            let mut query = db.prepare_cached("SELECT project, containers FROM left_over")?;
            let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
            let mut said = BTreeMap::new();
            for row in rows {
                let (project, containers) = row?;
                if let Ok(project) = ProjectName::new(&project) {
                    said.insert(project, from_json(&containers)?);
                }
            }
            Ok(said)
        })
        .await
    }

    /// Notes which containers of a project are left over now, and keeps a notice, where there is one, for each chat.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn orphans_noted(
        &self,
        project: ProjectName,
        containers: BTreeSet<String>,
        notice: Option<(Notice, BTreeSet<ChatId>)>,
        now: Millis,
    ) -> Result<(), HistoryError> {
        self.with(move |db| {
            if containers.is_empty() {
                db.prepare_cached("DELETE FROM left_over WHERE project = ?1")?.execute([project.as_str()])?;
            } else {
                db.prepare_cached("INSERT OR REPLACE INTO left_over (project, containers) VALUES (?1, ?2)")?
                    .execute((project.as_str(), to_json(&containers)?))?;
            }
            let (notice, chats) = notice.unzip();
            for (notice, chat) in notice.iter().flat_map(|notice| chats.iter().flatten().map(move |chat| (notice, *chat))) {
                post(db, &to_json(&Origin { chat, thread: None, message: None })?, notice, now)?;
            }
            Ok(())
        })
        .await
    }
}
