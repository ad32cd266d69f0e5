//! The configuration from a terminal.

use std::io;
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::client::Trouble;
use super::operate::{Consent, changed};
use super::{Console, Exit, Stop};
use crate::domain::reload::{Applied, Reloaded, Standing};
use crate::domain::request::Kind;
use crate::domain::snapshot::VersionPlan;
use crate::domain::words;
use crate::http::dto::{Difference, GoBack, Keep, Kept, Versions};
use crate::http::problem::Code;

/// How often it is looked whether something changed.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What a rollback answers as JSON.
#[derive(Debug, Serialize)]
struct WentBack<'a> {
    plan: &'a VersionPlan,
    /// What came of it; none where there was nothing to do, or only the plan is wanted.
    applied: Option<&'a Applied>,
}

impl Console<'_> {
    /// How the configuration stands. Failed where what its files say is not in force.
    ///
    /// # Errors
    /// What it came to instead.
    pub async fn configuration(&mut self) -> Result<Exit, Stop> {
        let standing: Standing = self.client.get("/health/hot-reload").await?;
        self.show_standing(&standing)?;
        Ok(if standing.rejected.is_some() || standing.pinned { Exit::Failed } else { Exit::Done })
    }

    fn show_standing(&mut self, standing: &Standing) -> io::Result<()> {
        if self.json { self.print_json(standing) } else { self.print(&words::configuration(standing, (self.clock)())) }
    }

    /// The kept versions.
    ///
    /// # Errors
    /// What it came to instead.
    pub async fn versions(&mut self) -> Result<Exit, Stop> {
        let versions: Versions = self.client.get("/config/snapshots").await?;
        if self.json {
            self.print_json(&versions)?;
        } else {
            self.print(&words::versions(&versions.versions, versions.in_force))?;
        }
        Ok(Exit::Done)
    }

    /// What is different in what is in force from a version.
    ///
    /// # Errors
    /// What it came to instead.
    pub async fn version_diff(&mut self, id: i64, values: bool) -> Result<Exit, Stop> {
        let diff: Difference = self.client.get(&format!("/config/snapshots/{id}/difference?values={values}")).await?;
        if self.json {
            self.print_json(&diff)?;
        } else {
            self.print(&words::version_diff(id, &diff.impact, diff.lines.join("\n"), values))?;
        }
        Ok(Exit::Done)
    }

    /// Goes back to a version, once that is confirmed.
    ///
    /// # Errors
    /// What it came to instead.
    pub async fn version_rollback(&mut self, id: i64, consent: Consent, interrupted: &CancellationToken) -> Result<Exit, Stop> {
        let within = Duration::from_millis(self.projects().await?.confirm_within);
        let path = format!("/config/snapshots/{id}/rollback");
        let mut plan: VersionPlan = self.client.post(&path, &GoBack::default()).await?;
        loop {
            if !self.json {
                self.print(&if plan.is_empty() { words::nothing_to_roll_back(&plan) } else { words::version_plan(&plan) })?;
            }
            if consent == Consent::DryRun || plan.is_empty() {
                if self.json {
                    self.print_json(&WentBack { plan: &plan, applied: None })?;
                }
                return Ok(Exit::Done);
            }
            self.confirmed(Kind::Rollback.verb(), consent, within, interrupted).await?;
            match self.client.post::<Applied>(&path, &GoBack { digest: Some(plan.digest.clone()) }).await {
                Ok(applied) if self.json => self.print_json(&WentBack { plan: &plan, applied: Some(&applied) })?,
                Ok(applied) => self.print(&words::reloaded(&applied))?,
                Err(Trouble::Refused(problem)) if problem.code == Code::Changed => match problem.version {
                    Some(now) if consent == Consent::Asked => {
                        self.print(&words::version_changed_since())?;
                        plan = now;
                        continue;
                    }
                    _ => return Err(changed()),
                },
                Err(trouble) => return Err(trouble.into()),
            }
            return Ok(Exit::Done);
        }
    }

    /// Keeps what is in force as a version of its own.
    ///
    /// # Errors
    /// What it came to instead.
    pub async fn keep_version(&mut self, why: Option<String>) -> Result<Exit, Stop> {
        let kept: Kept = self.client.post("/config/snapshots/create", &Keep { why }).await?;
        if self.json {
            self.print_json(&kept)?;
        } else {
            self.print(&words::version_kept(kept.id))?;
        }
        Ok(Exit::Done)
    }

    /// Has the files read now. Failed where they are not in force after it.
    ///
    /// # Errors
    /// What it came to instead.
    pub async fn reload(&mut self) -> Result<Exit, Stop> {
        let reloaded: Reloaded = self.client.post("/config/reload", &()).await?;
        if self.json {
            self.print_json(&reloaded)?;
        } else {
            self.print(&words::reload_came_to(&reloaded))?;
        }
        Ok(if reloaded.is_in_force() { Exit::Done } else { Exit::Failed })
    }

    /// Shows how the configuration stands, and again whenever that changes, until it is interrupted.
    ///
    /// # Errors
    /// What it came to instead.
    pub async fn watch_configuration(&mut self, interrupted: &CancellationToken) -> Result<Exit, Stop> {
        let mut shown: Option<Standing> = None;
        loop {
            let standing: Standing = self.client.get("/health/hot-reload").await?;
            if shown.as_ref() != Some(&standing) {
                self.show_standing(&standing)?;
                self.out.flush()?;
                shown = Some(standing);
            }
            tokio::select! {
                () = interrupted.cancelled() => return Ok(Exit::Done),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }
}
