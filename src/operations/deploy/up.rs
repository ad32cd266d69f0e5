//! Bringing services up without touching those that stay.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::recorder::history_failure;
use super::super::runner::{Job, StepResult, Stop};
use super::super::tools::{Config, Hashes};
use super::Facts;
use super::content;
use super::counts::scale;
use super::layer::Layers;
use super::links::{first_ids, links};
use super::production::{environment, production_of, production_only};
use crate::domain::container::Container;
use crate::domain::failure::Failure;
use crate::domain::plan::{Links, layers};
use crate::domain::project::{ServiceName, Source};
use crate::domain::text::count;
use crate::engine::compose::{Definition, Files};
use crate::engine::docker::EngineError;

/// How much longer than services may take to become healthy `up` may take: making containers, and stopping those that
/// were made with a long time to stop.
const UP_GRACE: Duration = Duration::from_secs(720);

/// Makes or remakes the containers of some services.
///
/// Compose remakes whatever a service needs, too, where that differs from the files. For a service that stays, the
/// definition which it runs with is handed to Compose in its place; where that cannot be had, Compose is told to leave
/// what a service needs alone altogether.
pub(in super::super) async fn up(job: &Job, services: &[ServiceName]) -> StepResult {
    let what = "The services were not brought up.";
    let (Source::Compose(compose), Some(production)) = (&job.project.source, &job.project.production) else {
        return Err(Failure::new(what, "Only a compose project can be brought up.", "Start its containers by hand.").into());
    };
    let config = production_only(&job.tools, &job.project).await?;
    let mut config = config.ok_or_else(|| Failure::new(what, "Production has no compose file.", "Deploy first: /docker_deploy."))?;
    let undoing = job.undoing.get();
    if undoing.is_none() && job.deploy.as_ref().is_some_and(|facts| !facts.is_configured_as(&config)) {
        return Err(Stop::unchanged(configuration_changed(what), true));
    }
    match (undoing, &job.deploy) {
        (Some(undoing), _) => tag(job, undoing.base.number, &undoing.images(services)).await,
        (None, Some(facts)) => tag(job, facts.release, &facts.images(&job.plan)).await,
        (None, None) => tag_kept(job, services, what).await?,
    }
    .map_err(|e| e.failure(what))?;
    remove_half_made(job).await.map_err(|e| e.failure(what))?;
    let containers = job.tools.containers(&job.project).await.map_err(|e| e.failure(what))?;
    let definitions = config.resolved.services(&compose.name, production);
    // What is behind a profile is started by its name alone: Compose is handed what it takes in then.
    let named = undoing.is_none() && services.iter().any(|service| !definitions.contains_key(service));
    let all = if named { production_of(&job.tools, &job.project, services).await? } else { None };
    let definitions = match all {
        Some(all) => {
            config = all;
            config.resolved.services(&compose.name, production)
        }
        None => definitions,
    };
    // What is gone back to may not know a service whose container was merely left running.
    let services: Vec<ServiceName> = services.iter().filter(|s| undoing.is_none() || definitions.contains_key(*s)).cloned().collect();
    let services = services.as_slice();
    let needed = needed(&definitions, services);
    let scale = scale(job, &config.resolved.replicas(), services, needed.keys(), &containers);
    let environment = environment(production);
    let files =
        Files { name: &compose.name, root: production, files: &compose.files, directory: production, environment: environment.as_deref() };
    // Only what is looked after because of others is asked for its hashes.
    let ids = first_ids(&containers);
    let hashes = if needed.is_empty() { Hashes::new() } else { job.tools.hashes(what, &files, &config.resolved, &ids).await? };
    let staying = staying(&hashes, &containers, &needed);
    let moved = image_moved(job, &containers, &needed).await.map_err(|e| e.failure(what))?;
    let substituted = !moved && !staying.is_empty() && substitute(job, &files, &staying, &containers, &hashes, &mut config).await;
    let without_dependencies = moved || (!staying.is_empty() && !substituted);
    let (hidden, limit) = (config.resolved.hidden(), job.project.deploy.health_timeout + UP_GRACE);
    let links = links(&definitions, &containers);
    let depends = |service: &ServiceName| {
        let needed = definitions.get(service).map(|d| d.depends_on.clone()).unwrap_or_default();
        &needed | &links.owners(service)
    };
    let resolved = &config.resolved;
    let all = Layers {
        job,
        what,
        files: files.clone(),
        resolved,
        substituted,
        without_dependencies,
        forced: forced(job, services, &containers, &links),
        scale: &scale,
        definitions: &definitions,
        services,
        hidden: &hidden,
        limit,
    };
    let all = all.with_remade_networks(&containers).await?;
    // A layer at a time: once Compose has remade a service it remakes, in the same call, whatever needs that one, meant or not.
    for layer in layers(&services.iter().cloned().collect(), depends) {
        all.up(&layer).await?;
    }
    // They are up all the same; the next plan looks at what the containers hold.
    if let Err(failure) = content::record(job, &files, resolved, services).await {
        tracing::warn!(operation = job.operation, why = %failure, "what configs and secrets hold could not be kept");
    }
    Ok(Some(count(services.len(), "service")))
}

/// The services that are remade although Compose sees no reason to. Where that is undone, those that were not remade yet stay.
fn forced(job: &Job, services: &[ServiceName], containers: &[Container], links: &Links) -> BTreeSet<ServiceName> {
    let planned = job.plan.services.iter().filter(|s| s.forced && services.contains(&s.service)).map(|s| &s.service);
    let before = job.deploy.as_ref().filter(|_| job.undoing.get().is_some()).map(Facts::containers);
    let is_untouched = |service: &ServiceName| {
        let mut of = containers.iter().filter(|c| c.service == *service).peekable();
        before.is_some_and(|before| of.peek().is_some() && of.all(|c| before.iter().any(|b| b.id == c.id)))
    };
    // What it shares by name is another container's, now that this one is remade once more.
    let follows = |service: &ServiceName| links.named(service).any(|owner| services.contains(owner));
    planned.filter(|service| !is_untouched(service) || follows(service)).cloned().collect()
}

/// Gives the images of the release that comes the names that production uses, by what was kept of it: a helper goes on
/// without what planning found out.
async fn tag_kept(job: &Job, services: &[ServiceName], what: &str) -> Result<Result<(), EngineError>, Failure> {
    let Some(number) = job.plan.release else { return Ok(Ok(())) };
    let release = job.tools.history.release(job.project.name.clone(), number).await.map_err(|e| history_failure(what, &e))?;
    let images = release.into_iter().flat_map(|r| r.images).filter(|(service, _)| services.contains(service)).collect();
    Ok(tag(job, number, &images).await)
}

/// Whether production's configuration is still the one that was confirmed: nobody else compares it where a helper goes on.
pub(in super::super) async fn is_as_confirmed(job: &Job, what: &str) -> Result<(), Failure> {
    let Some(facts) = &job.deploy else { return Ok(()) };
    match production_only(&job.tools, &job.project).await? {
        Some(config) if facts.is_configured_as(&config) => Ok(()),
        _ => Err(configuration_changed(what)),
    }
}

/// Gives images with a release's own tags the names that production uses.
async fn tag(job: &Job, release: i64, images: &BTreeMap<ServiceName, String>) -> Result<(), EngineError> {
    // A name with a digest means the same image for ever.
    for (service, image) in images.iter().filter(|(_, image)| !image.contains('@')) {
        job.tools.docker.tag(&job.tools.own_tag(&job.project.name, service, release), image).await?;
    }
    Ok(())
}

/// Removes what a Compose that was killed in the middle of remaking a container has left: the half made one is in the way
/// of the next.
pub(in super::super) async fn remove_half_made(job: &Job) -> Result<(), EngineError> {
    let Source::Compose(compose) = &job.project.source else { return Ok(()) };
    for container in job.tools.docker.half_made(&compose.name).await? {
        tracing::warn!(container = container.name, "a container that was only half made is removed");
        job.tools.docker.remove(&container.id).await?;
    }
    Ok(())
}

/// What was confirmed is not what would be brought up.
pub(super) fn configuration_changed(what: &str) -> Failure {
    Failure::new(
        what,
        "Production's configuration is no longer the one that you confirmed; .env, or another file that it is made of, may have been changed meanwhile.",
        "Ask for the deploy again: the new plan shows what would change.",
    )
}

/// The services that Compose would look after because of the ones that are meant: what they need, and so on.
fn needed(definitions: &BTreeMap<ServiceName, Definition>, services: &[ServiceName]) -> BTreeMap<ServiceName, String> {
    let mut needed = BTreeMap::new();
    let mut queue: Vec<&ServiceName> = services.iter().collect();
    while let Some(service) = queue.pop() {
        for other in definitions.get(service).into_iter().flat_map(|d| &d.depends_on) {
            if let Some(definition) = definitions.get(other).filter(|_| !services.contains(other) && !needed.contains_key(other)) {
                needed.insert(other.clone(), definition.image.clone());
                queue.push(other);
            }
        }
    }
    needed
}

/// Those of them that Compose would remake because they run with another definition.
fn staying(hashes: &Hashes, containers: &[Container], needed: &BTreeMap<ServiceName, String>) -> BTreeSet<ServiceName> {
    let differs = |c: &&Container| hashes.get(&c.service).is_some_and(|hash| c.config_hash() != Some(hash.whole.as_str()));
    containers.iter().filter(|c| needed.contains_key(&c.service)).filter(differs).map(|c| c.service.clone()).collect()
}

/// Whether Compose would remake one of them because its image's name means another image now.
async fn image_moved(job: &Job, containers: &[Container], needed: &BTreeMap<ServiceName, String>) -> Result<bool, EngineError> {
    for container in containers {
        let Some(image) = needed.get(&container.service) else { continue };
        // One whose image is gone is remade as well, or rather would be, and that fails.
        if job.tools.docker.image_id(image).await?.is_none_or(|id| id != container.image_id) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Puts the definitions that services which stay run with in the place of the new ones. They are looked for in the kept
/// releases, newest first: a service may have stayed through several. False where one of them is not found, so that
/// nothing was gained.
async fn substitute(
    job: &Job,
    production: &Files<'_>,
    staying: &BTreeSet<ServiceName>,
    containers: &[Container],
    hashes: &Hashes,
    config: &mut Config,
) -> bool {
    let kept = match job.tools.history.releases_compose(job.project.name.clone()).await {
        Ok(kept) => kept,
        Err(error) => {
            tracing::warn!(%error, "the kept releases could not be read; what stays is left out of the dependencies instead");
            return false;
        }
    };
    let root = job.tools.place(&job.project.name).join("running");
    let mut left = staying.clone();
    left.retain(|service| {
        let alone = hashes.get(service).map(|hash| hash.alone.clone());
        let was_alone = containers.iter().filter(|c| c.service == *service).all(|c| c.config_hash() == alone.as_deref());
        if was_alone {
            // It was brought up without what it needs, and Compose labelled it so.
            config.resolved.forget_dependencies(service);
        }
        !was_alone
    });
    if left.is_empty() {
        return true;
    }
    for release in kept {
        let _ = std::fs::remove_dir_all(&root);
        if let Err(error) = write_files(&root, &release) {
            tracing::warn!(%error, "a kept release's compose files could not be written; what stays is left out of the dependencies instead");
            return false;
        }
        let names: Vec<String> = release.iter().map(|(name, _)| name.clone()).collect();
        let files = Files { root: &root, files: &names, ..production.clone() };
        let what = "A kept release cannot be read.";
        // One that can no longer be resolved is passed over.
        let Ok(before) = job.tools.resolve(what, &files).await else { continue };
        let Ok(hashes) = job.tools.hashes(what, &files, &before.resolved, &first_ids(containers)).await else { continue };
        left.retain(|service| {
            let labels = containers.iter().filter(|c| c.service == *service).map(Container::config_hash);
            let found = hashes.get(service).is_some_and(|hash| labels.into_iter().all(|label| label == Some(hash.whole.as_str())));
            if found {
                config.resolved.substitute(service, &before.resolved);
            }
            !found
        });
        if left.is_empty() {
            return true;
        }
    }
    false
}

fn write_files(root: &Path, files: &[(String, String)]) -> std::io::Result<()> {
    for (name, text) in files {
        let path: PathBuf = root.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, text)?;
    }
    Ok(())
}
