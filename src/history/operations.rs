//! Operations, their events and their outcomes.

use rusqlite::{OptionalExtension, Row, Transaction};

use super::{History, HistoryError, from_json, limit, notices, to_json};
use crate::domain::Millis;
use crate::domain::access::Actor;
use crate::domain::event::Event;
use crate::domain::notice::{Notice, Origin};
use crate::domain::outcome::Outcome;
use crate::domain::plan::Plan;
use crate::domain::project::{ProjectName, ServiceName};

/// An operation as history keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationRecord {
    /// Its number.
    pub id: i64,
    /// A random name, which its processes carry in their environment (`DOCKMASTER_OPERATION`).
    pub mark: String,
    /// Who asked.
    pub actor: Actor,
    /// Where the outcome belongs.
    pub origin: Option<Origin>,
    /// What was confirmed.
    pub plan: Plan,
    /// When it began.
    pub started: Millis,
    /// How it ended, and when.
    pub ended: Option<(Millis, Outcome)>,
    /// The last step that was begun, by its place in the plan, and whether it was done.
    pub step: Option<(usize, bool)>,
    /// To whom it was handed over last, because it ends dockmaster itself.
    pub handed_over: Option<HandedOver>,
}

/// An operation that was handed over to a helper.
#[derive(Debug, Clone, PartialEq)]
pub struct HandedOver {
    /// The step at which it was, by its place in the plan.
    pub step: usize,
    /// The service that dockmaster itself is.
    pub service: ServiceName,
    /// Why it is being undone, where it is.
    pub why: Option<Outcome>,
    /// How often it was handed over.
    pub times: usize,
}

/// An operation that begins.
#[derive(Debug, Clone, PartialEq)]
pub struct NewOperation {
    /// A random name.
    pub mark: String,
    /// Who asked.
    pub actor: Actor,
    /// Where the outcome belongs.
    pub origin: Option<Origin>,
    /// What was confirmed.
    pub plan: Plan,
}

impl History {
    /// Keeps an operation that begins.
    ///
    /// # Errors
    /// It could not be written: it must not begin then.
    pub async fn operation_begin(&self, operation: NewOperation, now: Millis) -> Result<i64, HistoryError> {
        self.with(move |db| {
            let NewOperation { mark, actor, origin, plan } = operation;
            let origin = origin.map(|o| to_json(&o)).transpose()?;
            let project = plan.request.project().as_str();
            db.prepare_cached("INSERT INTO operations (mark, project, actor, origin, plan, started) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
                .execute((mark, project, to_json(&actor)?, origin, to_json(&plan)?, now))?;
            Ok(db.last_insert_rowid())
        })
        .await
    }

    /// Keeps an event; `Line` events are not kept.
    ///
    /// # Errors
    /// It could not be written: a step must not begin then.
    pub async fn operation_event(&self, operation: i64, event: Event, now: Millis) -> Result<(), HistoryError> {
        if matches!(event, Event::Line { .. }) {
            return Ok(());
        }
        self.with(move |db| {
            known(db, operation)?;
            db.prepare_cached("INSERT INTO events (operation, at, event) VALUES (?1, ?2, ?3)")?.execute((
                operation,
                now,
                to_json(&event)?,
            ))?;
            Ok(())
        })
        .await
    }

    /// Keeps how an operation ended and, in the same transaction, the notice for where it came from. What was kept first
    /// stays: a second end changes nothing and notifies nobody.
    ///
    /// # Errors
    /// It could not be written, or there is no such operation.
    pub async fn operation_end(&self, operation: i64, outcome: Outcome, now: Millis) -> Result<(), HistoryError> {
        self.with(move |db| {
            known(db, operation)?;
            let mut end =
                db.prepare_cached("UPDATE operations SET ended = ?2, outcome = ?3 WHERE id = ?1 AND ended IS NULL RETURNING origin")?;
            let origin: Option<Option<String>> = end.query_row((operation, now, to_json(&outcome)?), |row| row.get(0)).optional()?;
            if let Some(Some(origin)) = origin {
                notices::post(db, &origin, &Notice::Outcome { operation }, now)?;
            }
            Ok(())
        })
        .await
        // A backup is to hold it.
        .inspect(|()| self.wake.notify_one())
    }

    /// One operation.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn operation(&self, id: i64) -> Result<Option<OperationRecord>, HistoryError> {
        self.with(move |db| Ok(records(db, "WHERE id = ?1", [id])?.pop())).await
    }

    /// The events of one operation, oldest first.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn operation_events(&self, id: i64) -> Result<Vec<(Millis, Event)>, HistoryError> {
        self.with(move |db| {
            let mut query = db.prepare_cached("SELECT at, event FROM events WHERE operation = ?1 ORDER BY id")?;
            let rows = query.query_map([id], |row| Ok((row.get::<_, Millis>(0)?, row.get::<_, String>(1)?)))?;
            rows.map(|row| row.map_err(HistoryError::from).and_then(|(at, event)| Ok((at, from_json(&event)?)))).collect()
        })
        .await
    }

    /// The last operations of a project, newest first.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn operations_of(&self, project: ProjectName, most: usize) -> Result<Vec<OperationRecord>, HistoryError> {
        self.with(move |db| records(db, "WHERE project = ?1 ORDER BY id DESC LIMIT ?2", (project.as_str(), limit(most)))).await
    }

    /// Operations that began and did not end, oldest first.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn operations_unfinished(&self) -> Result<Vec<OperationRecord>, HistoryError> {
        self.with(|db| records(db, "WHERE ended IS NULL ORDER BY id", [])).await
    }
}

fn known(db: &Transaction<'_>, operation: i64) -> Result<(), HistoryError> {
    let found = db.prepare_cached("SELECT 1 FROM operations WHERE id = ?1")?.exists([operation])?;
    if found { Ok(()) } else { Err(HistoryError::NoOperation(operation)) }
}

/// The operations that a condition selects.
fn records(db: &Transaction<'_>, which: &str, params: impl rusqlite::Params) -> Result<Vec<OperationRecord>, HistoryError> {
    // The last step is what the events say, so that the two can never disagree.
    let select = format!(
        "SELECT id, mark, actor, origin, plan, started, ended, outcome,
            (SELECT event FROM events WHERE operation = operations.id
                AND json_extract(event, '$.event') IN ('step_started', 'step_done', 'step_failed') ORDER BY id DESC LIMIT 1),
            (SELECT event FROM events WHERE operation = operations.id
                AND json_extract(event, '$.event') = 'handed_over' ORDER BY id DESC LIMIT 1),
            (SELECT COUNT(*) FROM events WHERE operation = operations.id AND json_extract(event, '$.event') = 'handed_over')
         FROM operations {which}"
    );
    let mut query = db.prepare_cached(&select)?;
    let mut rows = query.query(params)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(record(row)?);
    }
    Ok(records)
}

fn record(row: &Row<'_>) -> Result<OperationRecord, HistoryError> {
    let text = |column: usize| row.get::<_, String>(column);
    let maybe = |column: usize| row.get::<_, Option<String>>(column);
    let ended: Option<Millis> = row.get(6)?;
    let outcome: Option<Outcome> = maybe(7)?.map(|o| from_json(&o)).transpose()?;
    let step = maybe(8)?.map(|e| from_json::<Event>(&e)).transpose()?.and_then(|event| match event {
        Event::StepStarted { step } | Event::StepFailed { step } => Some((step, false)),
        Event::StepDone { step, .. } => Some((step, true)),
        _ => None,
    });
    let times = usize::try_from(row.get::<_, i64>(10)?).unwrap_or(usize::MAX);
    let handed_over = maybe(9)?.map(|e| from_json::<Event>(&e)).transpose()?.and_then(|event| match event {
        Event::HandedOver { step, service, why } => Some(HandedOver { step, service, why: why.map(|why| *why), times }),
        _ => None,
    });
    Ok(OperationRecord {
        id: row.get(0)?,
        mark: text(1)?,
        actor: from_json(&text(2)?)?,
        origin: maybe(3)?.map(|o| from_json(&o)).transpose()?,
        plan: from_json(&text(4)?)?,
        started: row.get(5)?,
        ended: ended.zip(outcome),
        step,
        handed_over,
    })
}
