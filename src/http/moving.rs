//! Making way for a move of the data directory.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::{Extension, Json};

use super::dto::StepAside;
use super::problem::Problem;
use super::reads::{Answer, problem};
use crate::domain::access::Actor;
use crate::operations::Desk;

/// Lets go of the data directory.
pub(super) async fn step_aside(
    State(desk): State<Arc<Desk>>,
    Extension(actor): Extension<Actor>,
    asked: Result<Json<StepAside>, JsonRejection>,
) -> Answer<(StatusCode, Json<()>)> {
    let Json(asked) = asked.map_err(|rejected| Problem::malformed(rejected.body_text()))?;
    desk.step_aside(&actor, &asked.to, asked.device, asked.inode).map_err(problem(&desk))?;
    Ok((StatusCode::ACCEPTED, Json(())))
}
