//! The last log lines of services that failed, kept with the operation: an automatic rollback removes their containers.

use rusqlite::OptionalExtension;
use serde::{Deserialize, Serialize};

use super::{History, HistoryError, from_json, to_json};
use crate::domain::Millis;
use crate::domain::project::ServiceName;

/// How many bytes of lines are kept with one operation.
pub const LOGS_MAX: usize = 64 * 1024;

/// A line of a log, as it was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptLine {
    /// When it was written, as far as the engine said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Millis>,
    /// What.
    pub text: String,
}

impl History {
    /// Keeps the last lines of a service with an operation, as far as there is room. What was kept first stays.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn log_keep(&self, operation: i64, service: ServiceName, lines: Vec<KeptLine>) -> Result<(), HistoryError> {
        self.with(move |db| {
            let mut sum =
                db.prepare_cached("SELECT COALESCE(SUM(LENGTH(CAST(lines AS BLOB))), 0) FROM operation_logs WHERE operation = ?1")?;
            let used: i64 = sum.query_row([operation], |row| row.get(0))?;
            let room = LOGS_MAX.saturating_sub(usize::try_from(used).unwrap_or(usize::MAX));
            let kept = last_within(lines, room)?;
            if kept.is_empty() {
                return Ok(());
            }
            db.prepare_cached("INSERT INTO operation_logs (operation, service, lines) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
                .execute((operation, service.as_str(), to_json(&kept)?))?;
            Ok(())
        })
        .await
    }

    /// The services of which an operation has kept lines.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn log_services(&self, operation: i64) -> Result<Vec<String>, HistoryError> {
        self.with(move |db| {
            let mut query = db.prepare_cached("SELECT service FROM operation_logs WHERE operation = ?1 ORDER BY service")?;
            Ok(query.query_map([operation], |row| row.get(0))?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The lines of a service that an operation has kept; none where it has kept none.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn log_of(&self, operation: i64, service: ServiceName) -> Result<Option<Vec<KeptLine>>, HistoryError> {
        self.with(move |db| {
            let mut query = db.prepare_cached("SELECT lines FROM operation_logs WHERE operation = ?1 AND service = ?2")?;
            let lines: Option<String> = query.query_row((operation, service.as_str()), |row| row.get(0)).optional()?;
            lines.map(|lines| from_json(&lines)).transpose()
        })
        .await
    }
}

/// As many of the last lines as there is room for, as they are written.
fn last_within(lines: Vec<KeptLine>, room: usize) -> Result<Vec<KeptLine>, HistoryError> {
    let mut left = room.saturating_sub(2);
    let mut kept = Vec::new();
    for line in lines.into_iter().rev() {
        let needed = to_json(&line)?.len() + 1;
        if needed > left {
            break;
        }
        left -= needed;
        kept.push(line);
    }
    kept.reverse();
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_lines_are_kept_within_the_limit() {
        let line = |n: usize| KeptLine { at: None, text: n.to_string().repeat(10) };
        let all: Vec<KeptLine> = (0..9).map(line).collect();
        let one = serde_json::to_string(&line(1)).unwrap().len() + 1;
        assert_eq!(last_within(all.clone(), 2 + 3 * one).unwrap(), all[6..]);
        assert_eq!(last_within(all.clone(), 1 + 3 * one).unwrap(), all[7..]);
        assert_eq!(last_within(all, 0).unwrap(), []);
    }
}
