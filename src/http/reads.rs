//! What only reads.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures_util::stream;

use super::dto::{AllVolumes, LogAsk, LogLines, ProjectLine, Projects, Unseen};
use super::problem::{PROBLEM_EVENT, Problem};
use crate::domain::access::Actor;
use crate::domain::project::{Project, ProjectName};
use crate::domain::status::ProjectStatus;
use crate::domain::volumes::ProjectVolumes;
use crate::domain::words::{HistoryRow, ReleaseRow};
use crate::operations::logs::LINES_MAX;
use crate::operations::{Desk, Refusal};

/// An answer, or the problem with it.
pub(super) type Answer<T> = Result<T, Box<Problem>>;

/// A refusal as a problem.
pub(super) fn problem(desk: &Desk) -> impl Fn(Refusal) -> Box<Problem> {
    let now = desk.now();
    move |refusal| Problem::of(refusal, now)
}

/// What an address has in the place of a project's name.
pub(super) type Typed = Result<Path<String>, PathRejection>;

/// The project that an address names.
pub(super) fn project(typed: Typed) -> Answer<ProjectName> {
    let Path(typed) = typed.map_err(|_| Problem::not_found("There is no such project."))?;
    ProjectName::new(&typed).map_err(|_| Problem::not_found(format!("There is no project {typed:?}.")))
}

pub(super) async fn health(State(desk): State<Arc<Desk>>) -> Response {
    let health = desk.vitals().health(desk.now());
    let status = if health.well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health)).into_response()
}

pub(super) async fn projects(State(desk): State<Arc<Desk>>) -> Json<Projects> {
    let config = desk.configuration();
    let line = |p: &Project| ProjectLine { name: p.name.clone(), description: p.description.clone(), enabled: p.enabled };
    Json(Projects {
        default: config.implied().map(|p| p.name.clone()),
        projects: config.projects.values().map(line).collect(),
        confirm_within: u64::try_from(config.confirm_timeout.as_millis()).unwrap_or(u64::MAX),
    })
}

pub(super) async fn status(State(desk): State<Arc<Desk>>, Extension(actor): Extension<Actor>, typed: Typed) -> Answer<Json<ProjectStatus>> {
    let name = project(typed)?;
    desk.status(&actor, &name).await.map(Json).map_err(problem(&desk))
}

pub(super) async fn releases(
    State(desk): State<Arc<Desk>>,
    Extension(actor): Extension<Actor>,
    typed: Typed,
) -> Answer<Json<Vec<ReleaseRow>>> {
    let name = project(typed)?;
    desk.releases(&actor, &name).await.map(Json).map_err(problem(&desk))
}

pub(super) async fn volumes(
    State(desk): State<Arc<Desk>>,
    Extension(actor): Extension<Actor>,
    typed: Typed,
) -> Answer<Json<ProjectVolumes>> {
    let name = project(typed)?;
    desk.volumes(&actor, &name).await.map(Json).map_err(problem(&desk))
}

/// Of every project: one whose containers cannot be asked about says why, and the others are there all the same.
pub(super) async fn all_volumes(State(desk): State<Arc<Desk>>, Extension(actor): Extension<Actor>) -> Json<AllVolumes> {
    let problem = problem(&desk);
    let mut all = AllVolumes::default();
    for (project, volumes) in desk.all_volumes(&actor).await {
        match volumes {
            Ok(volumes) => all.projects.push(volumes),
            Err(refusal) => all.unknown.push(Unseen { project, problem: problem(refusal).detail }),
        }
    }
    Json(all)
}

pub(super) async fn history(
    State(desk): State<Arc<Desk>>,
    Extension(actor): Extension<Actor>,
    typed: Typed,
) -> Answer<Json<Vec<HistoryRow>>> {
    let name = project(typed)?;
    desk.history(&actor, &name).await.map(Json).map_err(problem(&desk))
}

pub(super) async fn logs(
    State(desk): State<Arc<Desk>>,
    Extension(actor): Extension<Actor>,
    typed: Typed,
    asked: Result<Query<LogAsk>, QueryRejection>,
) -> Answer<Response> {
    let name = project(typed)?;
    let Query(asked) = asked.map_err(|rejected| Problem::malformed(rejected.body_text()))?;
    let follow = asked.follow;
    let query = asked.query(name).ok_or_else(|| Problem::malformed(format!("From 1 to {LINES_MAX} lines can be had.")))?;
    if !follow {
        let logs = desk.logs(&actor, &query).await.map_err(problem(&desk))?;
        return Ok(Json(LogLines { service: logs.service, lines: logs.lines, cut: logs.cut, broken: logs.broken }).into_response());
    }
    let lines = desk.follow(&actor, &query).await.map_err(problem(&desk))?;
    let events = stream::unfold((lines, desk), async |(mut lines, desk)| {
        let line = tokio::select! {
            () = desk.stopping().cancelled() => None,
            line = lines.recv() => line,
        }?;
        let event = match line {
            Ok(line) => Event::default().json_data(line),
            Err(failure) => Event::default().event(PROBLEM_EVENT).json_data(problem(&desk)(failure.into())),
        };
        Some((event, (lines, desk)))
    });
    Ok(Sse::new(events).into_response())
}
