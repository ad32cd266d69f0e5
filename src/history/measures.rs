//! What was measured of services.

use std::collections::BTreeMap;

use rusqlite::{Row, Transaction};

pub use super::prune::MEASURES_AGE;
use super::{History, HistoryError, limit};
use crate::domain::container::Check;
use crate::domain::measures::{Checks, Measures, StartUp};
use crate::domain::project::{ProjectName, ServiceName};

/// How many start-ups of a container are kept.
pub const START_UPS_KEPT: usize = 100;

/// Measures by projects and the names of containers.
pub type Measured = BTreeMap<(ProjectName, String), Measures>;

impl History {
    /// All that is kept. What was measured of a name that cannot be one any more is left out.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn measures(&self) -> Result<Measured, HistoryError> {
        self.with(|db| {
            let mut query = db.prepare_cached(
                "SELECT m.project, m.container, service, since, seen, id, started, counted, restarts, checks, checks_took, checks_failed,
                    check_at, check_took, check_good, s.at, s.took, s.operation
                 FROM measures m LEFT JOIN start_ups s ON s.project = m.project AND s.container = m.container
                    AND s.at = (SELECT MAX(at) FROM start_ups l WHERE l.project = m.project AND l.container = m.container)",
            )?;
            let rows = query.query_map([], read)?.collect::<Result<Vec<_>, _>>()?;
            Ok(rows.into_iter().flatten().collect())
        })
        .await
    }

    /// Keeps what was measured; of start-ups the last hundred. A power cut may lose the last of it.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn measures_keep(&self, measured: Measured) -> Result<(), HistoryError> {
        self.with_soon(move |db| measured.iter().try_for_each(|((project, container), measures)| keep(db, project, container, measures)))
            .await
    }

    /// The start-ups of a container that are kept, newest first.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn start_ups(&self, project: ProjectName, container: String) -> Result<Vec<StartUp>, HistoryError> {
        self.with(move |db| {
            let mut query =
                db.prepare_cached("SELECT at, took, operation FROM start_ups WHERE project = ?1 AND container = ?2 ORDER BY at DESC")?;
            let one = |row: &Row<'_>| Ok(StartUp { at: row.get(0)?, took: row.get(1)?, operation: row.get(2)? });
            Ok(query.query_map((project.as_str(), container), one)?.collect::<Result<_, _>>()?)
        })
        .await
    }
}

type Kept = Option<((ProjectName, String), Measures)>;

fn read(row: &Row<'_>) -> rusqlite::Result<Kept> {
    let (project, service) = (ProjectName::new(&row.get::<_, String>(0)?), ServiceName::new(&row.get::<_, String>(2)?));
    let (Ok(project), Ok(service)) = (project, service) else { return Ok(None) };
    let last = match row.get(12)? {
        Some(at) => Some(Check { at, took: row.get(13)?, good: row.get(14)? }),
        None => None,
    };
    let startup = match row.get(15)? {
        Some(at) => Some(StartUp { at, took: row.get(16)?, operation: row.get(17)? }),
        None => None,
    };
    let measures = Measures {
        service,
        since: row.get(3)?,
        seen: row.get(4)?,
        id: row.get(5)?,
        started: row.get(6)?,
        counted: row.get(7)?,
        awaited: false,
        restarts: row.get(8)?,
        checks: Checks { count: row.get(9)?, total: row.get(10)?, failures: row.get(11)?, last },
        startup,
    };
    Ok(Some(((project, row.get(1)?), measures)))
}

fn keep(db: &Transaction<'_>, project: &ProjectName, container: &str, measures: &Measures) -> Result<(), HistoryError> {
    let (project, checks) = (project.as_str(), &measures.checks);
    // Replacing the row would take the start-ups with it.
    db.prepare_cached(
        "INSERT INTO measures (project, container, service, since, seen, id, started, counted, restarts, checks, checks_took,
            checks_failed, check_at, check_took, check_good)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
         ON CONFLICT (project, container) DO UPDATE SET service = ?3, since = ?4, seen = ?5, id = ?6, started = ?7, counted = ?8,
            restarts = ?9, checks = ?10, checks_took = ?11, checks_failed = ?12, check_at = ?13, check_took = ?14, check_good = ?15",
    )?
    .execute((
        project,
        container,
        measures.service.as_str(),
        measures.since,
        measures.seen,
        &measures.id,
        measures.started,
        measures.counted,
        measures.restarts,
        checks.count,
        checks.total,
        checks.failures,
        checks.last.map(|check| check.at),
        checks.last.map(|check| check.took),
        checks.last.map(|check| check.good),
    ))?;
    let Some(startup) = measures.startup else { return Ok(()) };
    db.prepare_cached(
        "INSERT INTO start_ups (project, container, at, took, operation) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (project, container, at) DO UPDATE SET took = ?4, operation = ?5",
    )?
    .execute((project, container, startup.at, startup.took, startup.operation))?;
    db.prepare_cached(
        "DELETE FROM start_ups WHERE project = ?1 AND container = ?2 AND at <=
            (SELECT at FROM start_ups WHERE project = ?1 AND container = ?2 ORDER BY at DESC LIMIT 1 OFFSET ?3)",
    )?
    .execute((project, container, limit(START_UPS_KEPT)))?;
    Ok(())
}
