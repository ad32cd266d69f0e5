//! What a process was before an operation gave it another definition, until it is known that it is well with that.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::place::Place;
use super::{Host, HostError, ProcessKey, ProcessSpec, turn, unusable};
use crate::domain::project::ProjectName;

/// What was before.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Before {
    /// What was run; none where nothing was.
    pub(super) spec: Option<ProcessSpec>,
    /// Whether it was to run.
    pub(super) wanted: bool,
}

impl Host {
    /// Starts a process as [`Host::start`] does, and keeps what it was before for an operation that may put it back.
    ///
    /// # Errors
    /// As for [`Host::start`]; nothing was touched where what was before could not be kept.
    pub async fn replace(&self, key: &ProcessKey, spec: &ProcessSpec, operation: i64) -> Result<(), HostError> {
        let made = super::absolute(&self.path(key)).and_then(|path| Place::make(&path));
        self.keep_before(&made.map_err(unusable(key))?, key, operation).await?;
        self.start(key, spec).await
    }

    /// Stops a process in whose place something else comes, and keeps what it was for an operation that may put it back.
    ///
    /// # Errors
    /// As for [`Host::stop`]; nothing was touched where what it was could not be kept.
    pub async fn retire(&self, key: &ProcessKey, within: Option<Duration>, operation: i64) -> Result<(), HostError> {
        self.keep_before(&self.known(key)?, key, operation).await?;
        self.stop(key, within).await
    }

    async fn keep_before(&self, place: &Place, key: &ProcessKey, operation: i64) -> Result<(), HostError> {
        let _turn = turn(place, key).await?;
        // Done twice, the first time counts.
        if place.before(operation).map_err(unusable(key))?.is_none() {
            let before = Before { spec: place.spec().map_err(unusable(key))?, wanted: place.is_wanted() };
            place.set_before(operation, &before).map_err(unusable(key))?;
        }
        Ok(())
    }

    /// Starts a process with the definition that it had.
    ///
    /// # Errors
    /// Nobody knows what it is, or it could not be started.
    pub async fn start_again(&self, key: &ProcessKey) -> Result<(), HostError> {
        let spec = self.known(key)?.spec().map_err(unusable(key))?;
        self.start(key, &spec.ok_or_else(|| HostError::Missing(key.to_string()))?).await
    }

    /// Whether an operation gave a process another definition, or stopped it for something else, that can be put back.
    pub fn was_another(&self, key: &ProcessKey, operation: i64) -> bool {
        self.known(key).is_ok_and(|place| place.before(operation).is_ok_and(|before| before.is_some()))
    }

    /// Puts a process back that an operation gave another definition; whether it had.
    ///
    /// # Errors
    /// It could not be ended, or started as it was.
    pub async fn put_back(&self, key: &ProcessKey, operation: i64) -> Result<bool, HostError> {
        let place = self.known(key)?;
        let Some(before) = place.before(operation).map_err(unusable(key))? else { return Ok(false) };
        match before {
            Before { spec: Some(spec), wanted: true } => self.start(key, &spec).await?,
            Before { spec, .. } => {
                self.stop(key, None).await?;
                match spec {
                    Some(spec) => place.set_spec(&spec).map_err(unusable(key))?,
                    None => return self.remove(key).await.map(|()| true),
                }
            }
        }
        place.forget_before(operation).map_err(unusable(key))?;
        Ok(true)
    }

    /// Forgets what the processes of a project were before an operation.
    pub fn settle(&self, project: &ProjectName, operation: i64) {
        for key in self.keys(|name| name == project).unwrap_or_default() {
            if let Err(error) = self.known(&key).and_then(|place| place.forget_before(operation).map_err(unusable(&key))) {
                tracing::warn!(%error, "what a process was before could not be forgotten");
            }
        }
    }
}
