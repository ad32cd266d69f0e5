//! Whether the content of configs and secrets that are no files is still what containers were brought up with.
//!
//! Compose copies it into a container before it starts, and never compares it. What is compared here are hashes, keyed with a random key
//! of the data directory: a plain hash of a short secret could be guessed. Of a container that somebody else has brought up nothing is
//! known: the file in it is read. It is as Compose put it there where its time has no fraction of a second; one that a program has
//! written since says nothing, and nothing is recreated for it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::super::recorder::history_failure;
use super::super::runner::Job;
use super::super::tools::Tools;
use crate::domain::container::Container;
use crate::domain::failure::Failure;
use crate::domain::plan::ServiceFacts;
use crate::domain::project::{Project, ServiceName};
use crate::engine::compose::{Files, Inline, InlineSource, Resolved};
use crate::engine::docker::ContainerFile;
use crate::history::content::ContentRecord;
use crate::untrusted;

/// The file of the key in the data directory.
const KEY: &str = "content.key";

type Key = [u8; blake3::KEY_LEN];

/// A config or secret of a service, its content known.
struct Known {
    label: String,
    target: String,
    content: String,
    hash: String,
}

/// Finds out why services are recreated for what their configs and secrets hold, and what a confirmation binds of that.
pub(super) async fn compare(
    tools: &Tools,
    project: &Project,
    files: &Files<'_>,
    resolved: &Resolved,
    services: &mut [ServiceFacts],
    containers: &[Container],
    what: &str,
) -> Result<(), Failure> {
    let all = known(tools, files, resolved, what).await?;
    if all.is_empty() {
        return Ok(());
    }
    let before = tools.history.contents(project.name.clone()).await.map_err(|e| history_failure(what, &e))?;
    for service in services {
        let Some(known) = all.get(&service.name) else { continue };
        let hashes: Vec<&str> = known.iter().map(|known| known.hash.as_str()).collect();
        service.content = Some(hashes.join(" "));
        for known in known {
            let mut changed = false;
            for container in containers.iter().filter(|c| c.service == service.name) {
                changed |= differs(tools, container, before.get(&container.id), known, what).await?;
            }
            if changed {
                service.unseen.push(format!("{} changed", known.label));
            }
        }
    }
    Ok(())
}

/// Whether a container was brought up with other content. What is not known is not said.
async fn differs(tools: &Tools, container: &Container, before: Option<&ContentRecord>, known: &Known, what: &str) -> Result<bool, Failure> {
    let stored = before.and_then(|before| before.hashes.get(&known.label));
    let same = stored.map(|stored| *stored == known.hash);
    // A start by Compose may put other content into it, a restart by the engine does not: its file tells.
    if same == Some(true) && before.is_some_and(|before| before.started == container.started) {
        return Ok(false);
    }
    let seen = tools.docker.file_of(&container.id, &known.target, known.content.len()).await.map_err(|e| e.failure(what))?;
    Ok(match seen {
        Some(ContainerFile { content: Some(content), .. }) if content == known.content.as_bytes() => false,
        Some(ContainerFile { is_copied: true, .. }) => true,
        _ => same == Some(false),
    })
}

/// Keeps what services were brought up with.
pub(super) async fn record(job: &Job, files: &Files<'_>, resolved: &Resolved, services: &[ServiceName]) -> Result<(), Failure> {
    let what = "What the services were brought up with could not be kept.";
    let all = known(&job.tools, files, resolved, what).await?;
    if !services.iter().any(|service| all.contains_key(service)) {
        return Ok(());
    }
    let containers = job.tools.containers(&job.project).await.map_err(|e| e.failure(what))?;
    let there = containers.iter().map(|c| c.id.clone()).collect();
    let mut records = BTreeMap::new();
    for container in containers.iter().filter(|c| services.contains(&c.service)) {
        let Some(known) = all.get(&container.service) else { continue };
        let hashes = known.iter().map(|known| (known.label.clone(), known.hash.clone())).collect();
        records.insert(container.id.clone(), ContentRecord { started: container.started, hashes });
    }
    job.tools.history.content_keep(job.project.name.clone(), records, there).await.map_err(|e| history_failure(what, &e))
}

/// The content of all configs and secrets that are no files, by the services that use them.
async fn known(tools: &Tools, files: &Files<'_>, resolved: &Resolved, what: &str) -> Result<BTreeMap<ServiceName, Vec<Known>>, Failure> {
    let inline = resolved.inline();
    if inline.is_empty() {
        return Ok(BTreeMap::new());
    }
    let variable = |inline: &Inline| if let InlineSource::Variable(name) = &inline.source { Some(name.clone()) } else { None };
    let variables: BTreeSet<String> = inline.values().flatten().filter_map(variable).collect();
    let values = if variables.is_empty() { BTreeMap::new() } else { tools.values(what, files, &variables).await? };
    let (data, is_ours) = (tools.data.clone(), tools.elsewhere.is_none());
    let key = untrusted::off_runtime(move || key(&data, is_ours)).await;
    let unkept = |why: String| Failure::new(what, format!("The key {KEY} of the data directory: {why}."), "See to the data directory.");
    let key = key.map_err(|error| unkept(error.reason())).and_then(|key| key.map_err(|error| unkept(error.to_string())))?;
    let read = |inline: Inline| {
        let content = match inline.source {
            InlineSource::Content(content) => content,
            InlineSource::Variable(name) => values.get(&name).cloned().unwrap_or_default(),
        };
        let hash = blake3::keyed_hash(&key, format!("{} {content}", inline.label).as_bytes()).to_hex().to_string();
        Known { label: inline.label, target: inline.target, content, hash }
    };
    Ok(inline.into_iter().map(|(service, all)| (service, all.into_iter().map(read).collect())).collect())
}

/// The key of a data directory, made where there is none. Whoever only looks makes none: there is nothing to compare with, then.
fn key(data: &Path, is_ours: bool) -> std::io::Result<Key> {
    let path = data.join(KEY);
    if let Ok(kept) = untrusted::read(&path, blake3::KEY_LEN as u64)
        && let Ok(key) = Key::try_from(kept.as_slice())
    {
        return Ok(key);
    }
    let mut key = [0; blake3::KEY_LEN];
    getrandom::fill(&mut key).map_err(std::io::Error::other)?;
    if is_ours {
        let made = path.with_extension("new");
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&made)?;
        file.write_all(&key)?;
        file.sync_all()?;
        std::fs::rename(&made, &path)?;
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn key_is_made_once_and_read_by_nobody_else() {
        let data = tempfile::tempdir().unwrap();
        let looked = key(data.path(), false).unwrap();
        assert!(!data.path().join(KEY).exists(), "whoever only looks makes none");
        let made = key(data.path(), true).unwrap();
        assert_ne!(made, looked);
        assert_eq!((key(data.path(), true).unwrap(), key(data.path(), false).unwrap()), (made, made));
        assert_eq!(std::fs::metadata(data.path().join(KEY)).unwrap().permissions().mode() & 0o7777, 0o600);
        std::fs::write(data.path().join(KEY), "short").unwrap();
        assert_ne!(key(data.path(), true).unwrap(), made, "one that was cut short is none");
    }
}
