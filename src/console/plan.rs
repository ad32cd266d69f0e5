//! `dockmaster deploy --dry-run` and `rollback --dry-run`: the plan that the chat would show, and nothing else.

use std::collections::BTreeSet;
use std::io::{self, Write};

use crate::domain::access::Actor;
use crate::domain::names::{Match, find};
use crate::domain::plan::Plan;
use crate::domain::project::{Configuration, ProjectName, ServiceName};
use crate::domain::request::{Kind, Request};
use crate::domain::text::listing;
use crate::domain::words;
use crate::operations::{Desk, Refusal};

/// How many project names are spelt out.
const NAMES_SHOWN: usize = 12;

/// What is said where a plan is not all that is wanted.
pub fn not_yet(kind: Kind) -> String {
    format!(
        "From the terminal a {0} can only be looked at yet: add --dry-run, or ask for {1} in the chat to have it done.",
        kind.word(),
        kind.command()
    )
}

/// What was typed, as a request for a deploy or a rollback.
///
/// # Errors
/// There is no such project or service name, in a sentence.
pub fn request(
    config: &Configuration,
    kind: Kind,
    project: Option<&str>,
    release: Option<i64>,
    with: &[String],
) -> Result<Request, String> {
    let (project, release) = match (kind, release, project.and_then(|p| p.parse::<i64>().ok())) {
        // As in the chat: `rollback 3` means the third release, unless a project is called that.
        (Kind::Rollback, None, Some(number)) if number >= 0 && project.is_some_and(|p| named(config, p).is_err()) => (None, Some(number)),
        _ => (project, release),
    };
    let project = match project {
        Some(typed) => named(config, typed)?,
        None => config.implied().map(|p| p.name.clone()).ok_or_else(|| which(config, kind))?,
    };
    let service = |typed: &String| ServiceName::new(typed.trim()).map_err(|_| words::wrong_service(typed).to_plain());
    let with: BTreeSet<ServiceName> = with.iter().filter(|w| !w.trim().is_empty()).map(service).collect::<Result<_, _>>()?;
    Ok(match kind {
        Kind::Rollback => Request::Rollback { project, release, with },
        _ => Request::Deploy { project, with },
    })
}

/// The project of that name, in any case.
fn named(config: &Configuration, typed: &str) -> Result<ProjectName, String> {
    let near = match find(typed, config.enabled().map(|p| p.name.as_str())) {
        Match::Found(name) => match config.projects.get(name) {
            Some(project) => return Ok(project.name.clone()),
            None => Vec::new(),
        },
        Match::Unknown(near) => near.into_iter().map(str::to_owned).collect(),
    };
    Err(match config.projects.values().find(|p| !p.enabled && p.name.as_str().eq_ignore_ascii_case(typed)) {
        Some(disabled) => words::disabled(disabled.name.as_str()).to_plain(),
        None => words::unknown_project(typed, &near, &names(config), None).to_plain(),
    })
}

fn names(config: &Configuration) -> Vec<String> {
    config.enabled().map(|p| p.name.to_string()).collect()
}

fn which(config: &Configuration, kind: Kind) -> String {
    let all = names(config);
    match all.first() {
        None => "No project is enabled in projects.json.".to_owned(),
        Some(first) => {
            format!("Which project? There is: {}. Name one: dockmaster {} {first} --dry-run", listing(&all, NAMES_SHOWN), kind.word())
        }
    }
}

/// A plan to be printed.
#[derive(Debug)]
pub struct Planned {
    plan: Plan,
    /// What to know about it beyond what it says.
    remark: Option<String>,
}

/// Plans as the chat does.
///
/// # Errors
/// It is refused: what, why and what to do about it, a line each.
pub async fn plan(desk: &Desk, request: &Request) -> Result<Planned, String> {
    let plan = desk.plan(&Actor::Console, request).await.map_err(|refusal| refused(request, &refusal))?;
    let history = desk.history(&Actor::Console, request.project()).await.map_err(|refusal| refused(request, &refusal))?;
    // Another dockmaster's work is not seen in its memory from here, and in its history it is.
    let remark = history.first().filter(|newest| newest.ended.is_none()).map(|newest| {
        let (kind, who) = (newest.plan.kind().word(), newest.actor.label());
        format!("A {kind} of {} by {who} has begun and not ended: this is the plan in the middle of it.", request.project())
    });
    Ok(Planned { plan, remark })
}

fn refused(request: &Request, refusal: &Refusal) -> String {
    match refusal {
        Refusal::Failed(failure) => words::failure(failure).to_plain(),
        Refusal::Denied(denied) => words::denied(denied).to_plain(),
        Refusal::NoProject(project) => words::gone(project.as_str()).to_plain(),
        // A desk that only plans runs nothing that could hold a project, changes no plan and is not asked to stop.
        Refusal::Busy(..) | Refusal::Changed(_) | Refusal::Stopping => format!("{} cannot be planned for now.", request.project()),
    }
}

impl Planned {
    /// Writes it for people or as JSON; what is to be known beside it goes to `beside`.
    ///
    /// # Errors
    /// What the writers answer.
    pub fn print(&self, json: bool, out: &mut impl Write, beside: &mut impl Write) -> io::Result<()> {
        if let Some(remark) = &self.remark {
            writeln!(beside, "dockmaster: {remark}")?;
        }
        if json {
            return writeln!(out, "{}", serde_json::to_string_pretty(&self.plan)?);
        }
        let text = if self.plan.is_empty() { words::nothing_to_do(&self.plan) } else { words::plan(&self.plan) };
        writeln!(out, "{}", text.to_plain())
    }
}
