//! The chat page.
use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;

use super::bot_api::Shared;

pub(in crate::sandbox) fn open(_shared: &Shared, _user: i64) -> io::Result<String> {
    Ok(String::new())
}

pub(in crate::sandbox) async fn serve(_shared: &Arc<Shared>, _request: Request) -> Response {
    Response::new(Body::empty())
}
