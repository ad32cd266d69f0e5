//! Which containers a person stopped, and who: what was stopped stays so, and is no failure of anything.

use std::collections::BTreeMap;

use super::{History, HistoryError, from_json};
use crate::domain::Millis;
use crate::domain::access::Actor;

/// How many containers are remembered: those that were stopped last.
const STOPS_KEPT: i64 = 5_000;
/// How much later a stop that was seen must be than one of ours to be another one, in milliseconds.
const SAME_STOP: Millis = 5_000;

/// A container that was stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopRecord {
    /// When.
    pub at: Millis,
    /// Who asked dockmaster for it; none where it was stopped by hand.
    pub by: Option<Actor>,
}

impl History {
    /// Keeps that containers were stopped: by an operation, or by hand.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn stops_keep(&self, containers: Vec<String>, operation: Option<i64>, at: Millis) -> Result<(), HistoryError> {
        self.with(move |db| {
            // What the engine tells of a stop of ours comes a moment later, and says less.
            let mut keep = db.prepare_cached(
                "INSERT INTO stops (container, at, actor) VALUES (?1, ?2, (SELECT actor FROM operations WHERE id = ?3))
                 ON CONFLICT DO UPDATE SET at = excluded.at, actor = excluded.actor
                 WHERE excluded.actor NOT NULL OR stops.actor IS NULL OR excluded.at > stops.at + ?4",
            )?;
            for container in containers {
                keep.execute((container, at, operation, SAME_STOP))?;
            }
            db.prepare_cached("DELETE FROM stops WHERE container NOT IN (SELECT container FROM stops ORDER BY at DESC LIMIT ?1)")?
                .execute([STOPS_KEPT])?;
            Ok(())
        })
        .await
    }

    /// Those of some containers that were stopped, by their ids.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn stops_of(&self, containers: Vec<String>) -> Result<BTreeMap<String, StopRecord>, HistoryError> {
        self.with(move |db| {
            let mut query = db.prepare_cached("SELECT at, actor FROM stops WHERE container = ?1")?;
            let mut found = BTreeMap::new();
            for container in containers {
                let mut rows = query.query([&container])?;
                if let Some(row) = rows.next()? {
                    let by: Option<String> = row.get(1)?;
                    let by = by.map(|actor| from_json(&actor)).transpose()?;
                    found.insert(container, StopRecord { at: row.get(0)?, by });
                }
            }
            Ok(found)
        })
        .await
    }
}
