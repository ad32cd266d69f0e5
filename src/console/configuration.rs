//! The configuration from a terminal.

use std::io;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Console, Exit, Stop};
use crate::domain::reload::{Reloaded, Standing};
use crate::domain::words;
use crate::http::dto::{Difference, Keep, Kept, Reload, Versions};

/// How often it is looked whether something changed.
const LOOK_EVERY: Duration = Duration::from_millis(500);

impl Console<'_> {
    /// How the configuration stands. Failed where its files are not in force.
    ///
    /// # Errors
    /// What it came to instead.
    pub async fn configuration(&mut self) -> Result<Exit, Stop> {
        let standing: Standing = self.client.get("/health/hot-reload").await?;
        self.show_standing(&standing)?;
        Ok(if standing.rejected.is_some() { Exit::Failed } else { Exit::Done })
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
    pub async fn version_diff(&mut self, id: i64) -> Result<Exit, Stop> {
        let diff: Difference = self.client.get(&format!("/config/snapshots/{id}/difference")).await?;
        if self.json {
            self.print_json(&diff)?;
        } else {
            self.print(&words::version_diff(id, &diff.impact, diff.lines.join("\n")))?;
        }
        Ok(Exit::Done)
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

    /// Has the files read now. Failed where they are rejected.
    ///
    /// # Errors
    /// What it came to instead.
    pub async fn reload(&mut self) -> Result<Exit, Stop> {
        let reload: Reload = self.client.post("/config/reload", &()).await?;
        if self.json {
            self.print_json(&reload)?;
        } else {
            self.print(&words::reload_came_to(&reload.cause, &reload.reloaded))?;
        }
        Ok(if matches!(reload.reloaded, Reloaded::Rejected(_)) { Exit::Failed } else { Exit::Done })
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
