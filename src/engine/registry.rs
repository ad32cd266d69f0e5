//! What registries have, as the engine asks them.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::ask::{Question, part};
use super::create::Login;
use super::docker::{Docker, EngineError};
use super::fields::Fields;
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
        let Some(seen) = self.image(name).await? else { return Ok(None) };
        local_image(&seen).map(Some).ok_or_else(|| EngineError::unreadable("an image", "it does not tell its id"))
    }

    /// The digest of what a registry has by a name now.
    ///
    /// # Errors
    /// The registry cannot be reached, or does not give it.
    pub async fn registry_digest(&self, name: &str, login: Option<Login>) -> Result<Option<String>, EngineError> {
        let asked = Question::get(format!("/distribution/{}/json", part(name))).with_login(login).within(LIMIT);
        let seen = self.connection.object(asked).await?;
        Ok(seen.field("Descriptor").text("digest").map(str::to_owned))
    }
}

/// An image; none where it does not tell its id.
pub(super) fn local_image(seen: &Value) -> Option<LocalImage> {
    let digests = seen.texts("RepoDigests").filter_map(|name| name.split_once('@')).map(|(_, digest)| digest.to_owned());
    let tagged = seen.field("Metadata").text("LastTagTime").and_then(inspect::time);
    Some(LocalImage { id: seen.text("Id")?.to_owned(), digests: digests.collect(), tagged })
}
