//! What registries have, as the engine asks them.

use std::collections::BTreeSet;
use std::time::Duration;

use super::create::Login;
use super::docker::{Docker, EngineError};
use super::inspect;
use crate::domain::Millis;

/// How long a registry may take to answer.
const LIMIT: Duration = Duration::from_secs(15);

/// An image that the engine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalImage {
    /// Its id.
    pub id: String,
    /// The digests by which registries know it; empty for one that was built here.
    pub digests: BTreeSet<String>,
    /// When it got its name here; none where the engine does not say.
    pub tagged: Option<Millis>,
}

impl Docker {
    /// The image that a name means here; none where the engine has none.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn local_image(&self, name: &str) -> Result<Option<LocalImage>, EngineError> {
        let seen = match self.api.inspect_image(name).await.map_err(EngineError::from) {
            Ok(seen) => seen,
            Err(EngineError::Gone(_)) => return Ok(None),
            Err(other) => return Err(other),
        };
        let digests = seen.repo_digests.unwrap_or_default();
        let digests = digests.iter().filter_map(|name| name.split_once('@')).map(|(_, digest)| digest.to_owned()).collect();
        let tagged = seen.metadata.and_then(|metadata| metadata.last_tag_time);
        let tagged = tagged.and_then(|text| inspect::time(&text));
        Ok(Some(LocalImage { id: seen.id.unwrap_or_default(), digests, tagged }))
    }

    /// The digest of what a registry has by a name now.
    ///
    /// # Errors
    /// The registry cannot be reached, or does not give it.
    pub async fn registry_digest(&self, name: &str, login: Option<Login>) -> Result<Option<String>, EngineError> {
        let api = self.api.clone().with_timeout(LIMIT);
        Ok(api.inspect_registry_image(name, login.map(Login::for_engine)).await?.descriptor.digest)
    }
}
