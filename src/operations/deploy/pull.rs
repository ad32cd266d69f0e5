//! Pulling images: what registries have, and the step that brings it without moving the names that production uses.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::super::runner::{Job, StepResult};
use super::super::tools::Tools;
use super::steps::{BUILD_LIMIT, composed, facts, images};
use crate::domain::failure::Failure;
use crate::domain::plan::{Pull, Step};
use crate::domain::project::ServiceName;
use crate::domain::pull_policy::PullPolicy;
use crate::domain::untrusted::UntrustedText;
use crate::engine::compose::Definition;
use crate::engine::create::Login;
use crate::engine::credentials;
use crate::untrusted;

/// The greatest file of logins, in bytes.
const LOGINS_MAX: u64 = 1 << 20;

/// What is known of the image of a service in its registry, as far as its policy wants that.
pub(super) async fn pull_facts(tools: &Tools, definition: &Definition, what: &str) -> Result<Pull, Failure> {
    let policy = definition.pull_policy;
    if policy == PullPolicy::Never {
        return Ok(Pull::Never);
    }
    // A name with a digest means the same image for ever.
    if !policy.asks(None) || definition.image.contains('@') {
        return Ok(Pull::Missing);
    }
    let Some(here) = tools.docker.local_image(&definition.image).await.map_err(|e| e.failure(what))? else { return Ok(Pull::Missing) };
    let age = here.tagged.map(|tagged| Duration::from_millis(u64::try_from((tools.clock)().saturating_sub(tagged)).unwrap_or_default()));
    if !policy.asks(age) {
        return Ok(Pull::Missing);
    }
    match tools.docker.registry_digest(&definition.image, login(&definition.image).await).await {
        Ok(Some(digest)) if !here.digests.contains(&digest) => Ok(Pull::Newer),
        Ok(_) => Ok(Pull::Missing),
        Err(error) => Ok(Pull::Unknown(UntrustedText::from(error.why()).to_string())),
    }
}

/// The login that Compose would use for an image; none where there is none, or another program keeps it.
async fn login(image: &str) -> Option<Login> {
    let directory = std::env::var_os("DOCKER_CONFIG").filter(|value| !value.is_empty()).map(PathBuf::from);
    let file = directory.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker")))?.join("config.json");
    let text = untrusted::off_runtime(move || untrusted::read_text(&file, LOGINS_MAX)).await.ok()?.ok()?;
    credentials::login(&text, image).ok()?
}

/// Pulls images. Where production has another one under the same name, that name stays with it until the release arrives.
pub(in super::super) async fn pull(job: &Job, step: &Step, services: &[ServiceName]) -> StepResult {
    let facts = facts(job)?;
    let what = "The images could not be pulled.";
    let composed = composed(facts)?;
    let files = composed.files(&facts.directory, &facts.directory, None);
    let mut before: BTreeMap<&ServiceName, (&str, String)> = BTreeMap::new();
    for service in services {
        let Some(image) = facts.declared.definitions.get(service).map(|d| d.image.as_str()).filter(|image| !image.contains('@')) else {
            continue;
        };
        if let Some(id) = job.tools.docker.image_id(image).await.map_err(|e| e.failure(what))? {
            before.insert(service, (image, id));
        }
    }
    // As it was resolved for the plan: Compose would look for every `env_file`, and production may not have them yet.
    let resolved = composed.config.resolved.to_bytes();
    let invocation = job.tools.compose(what, files.pull(services), BUILD_LIMIT, &job.mark)?.stdin(resolved);
    let pulled = images(job, step, what, invocation, &composed.config.resolved.hidden()).await;
    for (service, (image, id)) in before {
        let own = job.tools.own_tag(&job.project.name, service, facts.release);
        job.tools.docker.tag(image, &own).await.map_err(|e| e.failure(what))?;
        job.tools.docker.tag(&id, image).await.map_err(|e| e.failure(what))?;
    }
    pulled?;
    Ok(None)
}
