//! What went wrong, as RFC 9457 has it.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::domain::Millis;
use crate::domain::confirm::Question;
use crate::domain::failure::Failure;
use crate::domain::plan::Plan;
use crate::domain::snapshot::VersionPlan;
use crate::operations::Refusal;

/// What a server-sent event is called that is a problem: the last one of its stream.
pub const PROBLEM_EVENT: &str = "problem";

/// What a program can tell problems apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Code {
    /// What was sent cannot be understood.
    Malformed,
    /// Not allowed.
    Denied,
    /// There is no such thing.
    Missing,
    /// Another operation holds the project.
    Busy,
    /// The plan is no longer the one that was confirmed: `plan`, or `version`, is what would happen now.
    Changed,
    /// dockmaster is stopping.
    Stopping,
    /// It must not or cannot be done: `failure` says why and what to do.
    Failed,
}

/// A problem document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// A name for this kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for people, in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What it means here, in whole sentences.
    pub detail: String,
    /// What a program can tell it by.
    pub code: Code,
    /// What failed, why, and what to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What would happen now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// What going back to that version of the configuration would do now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionPlan>,
}

impl Problem {
    fn new(code: Code, detail: impl Into<String>) -> Self {
        let (status, title) = match code {
            Code::Malformed => (StatusCode::BAD_REQUEST, "The request cannot be understood"),
            Code::Denied => (StatusCode::FORBIDDEN, "Not allowed"),
            Code::Missing => (StatusCode::NOT_FOUND, "There is no such thing"),
            Code::Busy => (StatusCode::CONFLICT, "The project is busy"),
            Code::Changed => (StatusCode::CONFLICT, "The plan has changed"),
            Code::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "dockmaster is stopping"),
            Code::Failed => (StatusCode::UNPROCESSABLE_ENTITY, "It cannot be done"),
        };
        let name = serde_json::to_value(code).ok().and_then(|name| Some(name.as_str()?.to_owned())).unwrap_or_default();
        Self {
            kind: format!("urn:dockmaster:problem:{name}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            code,
            failure: None,
            plan: None,
            version: None,
        }
    }

    /// What was sent cannot be understood.
    pub(super) fn malformed(detail: impl Into<String>) -> Box<Self> {
        Box::new(Self::new(Code::Malformed, detail))
    }

    /// There is no such thing.
    pub(super) fn not_found(detail: impl Into<String>) -> Box<Self> {
        Box::new(Self::new(Code::Missing, detail))
    }

    /// A mistake of ours.
    pub(super) fn died() -> Box<Self> {
        let status = StatusCode::INTERNAL_SERVER_ERROR.as_u16();
        Box::new(Self { status, ..Self::new(Code::Failed, "dockmaster made a mistake of its own; its log has the details.") })
    }

    /// The address is right, and what is to be done with it is not.
    pub(super) fn wrong_method() -> Box<Self> {
        let status = StatusCode::METHOD_NOT_ALLOWED.as_u16();
        Box::new(Self { status, ..Self::new(Code::Malformed, "This address does not take that method.") })
    }

    /// A refusal of the desk's.
    pub(super) fn of(refusal: Refusal, now: Millis) -> Box<Self> {
        let detail = refusal.words(now).to_plain();
        let code = match &refusal {
            Refusal::Denied(_) => Code::Denied,
            Refusal::NoProject(_) | Refusal::NoOperation(_) | Refusal::NoVersion(_) => Code::Missing,
            Refusal::Busy(..) => Code::Busy,
            Refusal::Changed(_) => Code::Changed,
            Refusal::Stopping => Code::Stopping,
            Refusal::Failed(_) => Code::Failed,
        };
        let mut problem = Self::new(code, detail);
        match refusal {
            Refusal::Failed(failure) => problem.failure = Some(failure),
            Refusal::Changed(question) => match *question {
                Question::Operation(plan) => problem.plan = Some(*plan),
                Question::Version(plan) => problem.version = Some(*plan),
            },
            _ => {}
        }
        Box::new(problem)
    }
}

impl IntoResponse for Box<Problem> {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        (status, [(CONTENT_TYPE, "application/problem+json")], body).into_response()
    }
}
