//! The JSON API. The terminal uses it through the control socket ([`socket`]), and whoever may open that is admin.

mod configuration;
pub mod dto;
mod metrics;
mod moving;
mod operations;
pub mod problem;
mod reads;
pub mod socket;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum::{Extension, Router};

use crate::domain::access::Actor;
use crate::operations::Desk;
use problem::Problem;

/// The longest body that is read, in bytes: a request is a few names.
const BODY_MAX: usize = 64 * 1024;

/// Every route, for one actor.
pub fn router(desk: Arc<Desk>, actor: Actor) -> Router {
    Router::new()
        .route("/health", get(reads::health))
        .route("/health/hot-reload", get(configuration::standing))
        .route("/metrics", get(metrics::metrics))
        .route("/config/docker/environment", get(configuration::environment))
        .route("/config/docker/volumes", get(reads::all_volumes))
        .route("/config/snapshots", get(configuration::versions))
        .route("/config/snapshots/create", post(configuration::keep))
        .route("/config/snapshots/{id}/difference", get(configuration::difference))
        .route("/config/snapshots/{id}/rollback", post(configuration::rollback))
        .route("/config/reload", post(configuration::reload))
        .route("/data/step-aside", post(moving::step_aside))
        .route("/projects", get(reads::projects))
        .route("/projects/{project}/status", get(reads::status))
        .route("/projects/{project}/logs", get(reads::logs))
        .route("/projects/{project}/releases", get(reads::releases))
        .route("/projects/{project}/volumes", get(reads::volumes))
        .route("/projects/{project}/operations", get(reads::history).post(operations::ask))
        .route("/projects/{project}/cancel", post(operations::cancel))
        .route("/operations/{id}", get(operations::one))
        .route("/operations/{id}/events", get(operations::events))
        .fallback(|| async { Problem::not_found("There is nothing at this address.") })
        .method_not_allowed_fallback(|| async { Problem::wrong_method() })
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(Extension(actor))
        .with_state(desk)
}
