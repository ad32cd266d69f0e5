//! What changes the world, and how that goes.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures_util::{Stream, stream};
use tokio::sync::watch;

use super::dto::{Ask, Begun};
use super::problem::Problem;
use super::reads::{Answer, Typed, problem, project};
use crate::domain::access::Actor;
use crate::domain::status::Busy;
use crate::domain::view::OperationView;
use crate::operations::Desk;

/// How often a view is sent at most.
const PACE: Duration = Duration::from_millis(100);

/// Plans, or begins what was planned.
pub(super) async fn ask(
    State(desk): State<Arc<Desk>>,
    Extension(actor): Extension<Actor>,
    typed: Typed,
    asked: Result<Json<Ask>, JsonRejection>,
) -> Answer<Response> {
    let name = project(typed)?;
    let Json(asked) = asked.map_err(|rejected| Problem::malformed(rejected.body_text()))?;
    let request = asked
        .request(name)
        .map_err(|field| Problem::malformed(format!("A {} is not asked for with {field:?}.", asked.operation.word())))?;
    match &asked.digest {
        None => Ok(Json(desk.plan(&actor, &request).await.map_err(problem(&desk))?).into_response()),
        Some(digest) => {
            // In a task of its own: whoever asks may go away in the middle of it, and what is begun must be run.
            let (worker, digest) = (desk.clone(), digest.clone());
            let submitted = tokio::spawn(async move { worker.submit(&actor, &request, &digest, None).await }).await;
            let running = submitted.map_err(|_| Problem::died())?.map_err(problem(&desk))?;
            Ok((StatusCode::ACCEPTED, Json(Begun { id: running.id })).into_response())
        }
    }
}

/// Ends what runs on a project; null where nothing does.
pub(super) async fn cancel(State(desk): State<Arc<Desk>>, Extension(actor): Extension<Actor>, typed: Typed) -> Answer<Json<Option<Busy>>> {
    let name = project(typed)?;
    desk.cancel(&actor, &name).map(Json).map_err(problem(&desk))
}

async fn view(desk: &Desk, actor: &Actor, id: Result<Path<i64>, PathRejection>) -> Answer<watch::Receiver<OperationView>> {
    let Path(id) = id.map_err(|_| Problem::not_found("An operation is named by its number."))?;
    desk.operation(actor, id).await.map_err(problem(desk))
}

/// How an operation stands.
pub(super) async fn one(
    State(desk): State<Arc<Desk>>,
    Extension(actor): Extension<Actor>,
    id: Result<Path<i64>, PathRejection>,
) -> Answer<Json<OperationView>> {
    Ok(Json(view(&desk, &actor, id).await?.borrow().clone()))
}

/// The same again and again, until it has ended. A slow reader skips views, never the last one.
pub(super) async fn events(
    State(desk): State<Arc<Desk>>,
    Extension(actor): Extension<Actor>,
    id: Result<Path<i64>, PathRejection>,
) -> Answer<Sse<impl Stream<Item = Result<Event, axum::Error>>>> {
    let mut view = view(&desk, &actor, id).await?;
    view.mark_changed();
    let views = stream::unfold(Some(view), async |view| {
        let mut view = view?;
        // An operation that is over has nobody left to change it, and was marked as changed once.
        view.changed().await.ok()?;
        let (event, ended) = {
            let seen = view.borrow_and_update();
            (Event::default().json_data(&*seen), seen.ended.is_some())
        };
        if ended {
            return Some((event, None));
        }
        tokio::time::sleep(PACE).await;
        Some((event, Some(view)))
    });
    Ok(Sse::new(views).keep_alive(KeepAlive::default()))
}
