//! The configuration itself.

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};

use super::dto::{Difference, DifferenceAsk, GoBack, Keep, Kept, Versions};
use super::problem::Problem;
use super::reads::{Answer, problem};
use crate::domain::access::Actor;
use crate::domain::environment::Environment;
use crate::domain::reload::{Reloaded, Standing};
use crate::operations::Desk;

/// How the configuration stands.
pub(super) async fn standing(State(desk): State<Arc<Desk>>, Extension(actor): Extension<Actor>) -> Answer<Json<Standing>> {
    desk.configuration_standing(&actor).map(Json).map_err(problem(&desk))
}

/// Where dockmaster itself runs.
pub(super) async fn environment(State(desk): State<Arc<Desk>>, Extension(actor): Extension<Actor>) -> Answer<Json<Environment>> {
    desk.configuration_standing(&actor).map(|standing| Json(standing.environment)).map_err(problem(&desk))
}

/// The kept versions.
pub(super) async fn versions(State(desk): State<Arc<Desk>>, Extension(actor): Extension<Actor>) -> Answer<Json<Versions>> {
    let (versions, in_force) = desk.configuration_versions(&actor).await.map_err(problem(&desk))?;
    Ok(Json(Versions { versions, in_force }))
}

/// What is different in what is in force from a version.
pub(super) async fn difference(
    State(desk): State<Arc<Desk>>,
    Extension(actor): Extension<Actor>,
    id: Version,
    Query(ask): Query<DifferenceAsk>,
) -> Answer<Json<Difference>> {
    let id = version(id)?;
    let diff = desk.configuration_diff(&actor, id, ask.values).await.map_err(problem(&desk))?;
    Ok(Json(Difference { impact: diff.impact, lines: diff.lines }))
}

/// Keeps what is in force as a version of its own.
pub(super) async fn keep(
    State(desk): State<Arc<Desk>>,
    Extension(actor): Extension<Actor>,
    asked: Result<Json<Keep>, JsonRejection>,
) -> Answer<Response> {
    let Json(asked) = asked.map_err(|rejected| Problem::malformed(rejected.body_text()))?;
    let id = desk.configuration_keep(&actor, asked.why.as_deref()).await.map_err(problem(&desk))?;
    Ok((StatusCode::CREATED, Json(Kept { id })).into_response())
}

/// Reads the files now.
pub(super) async fn reload(State(desk): State<Arc<Desk>>, Extension(actor): Extension<Actor>) -> Answer<Json<Reloaded>> {
    let reloaded = desk.configuration_reload(&actor).await.map_err(problem(&desk))?;
    Ok(Json(reloaded))
}

/// Plans to go back to a version, or goes back to it as it was planned.
pub(super) async fn rollback(
    State(desk): State<Arc<Desk>>,
    Extension(actor): Extension<Actor>,
    id: Version,
    asked: Result<Json<GoBack>, JsonRejection>,
) -> Answer<Response> {
    let id = version(id)?;
    let Json(asked) = asked.map_err(|rejected| Problem::malformed(rejected.body_text()))?;
    match asked.digest {
        None => Ok(Json(desk.configuration_plan(&actor, id).await.map_err(problem(&desk))?).into_response()),
        Some(digest) => Ok(Json(desk.configuration_rollback(&actor, id, &digest).await.map_err(problem(&desk))?).into_response()),
    }
}

/// The number in an address.
type Version = Result<Path<i64>, PathRejection>;

fn version(id: Version) -> Answer<i64> {
    id.map(|Path(id)| id).map_err(|_| Problem::not_found("A version is named by its number."))
}
