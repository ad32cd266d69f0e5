//! Services that Compose would remake only because another version of it has made their containers: it hashes otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::super::tools::Tools;
use super::declared::Composed;
use super::links::first_ids;
use super::places::release_tree;
use super::production::environment;
use crate::domain::compose_labels::VERSION;
use crate::domain::container::Container;
use crate::domain::plan::{Made, ServiceFacts};
use crate::domain::project::{Project, ServiceName};
use crate::history::releases::Current;
use crate::untrusted;

/// Says of services whose definition is proven to be what it was that only Compose is another: their container was made by another
/// version, and this one gives the files of the current release the hash that it gives the new ones. A service that may have
/// stayed when its definition changed is compared with all kept releases.
pub(super) async fn explain(
    tools: &Tools,
    project: &Project,
    (composed, production): (&Composed, &Path),
    current: Option<&Current>,
    (services, containers): (&mut [ServiceFacts], &[Container]),
    stopped: &BTreeMap<ServiceName, String>,
) {
    let Some(now) = tools.compose.version().map(|version| version.to_string()) else { return };
    let Some(current) = current.filter(|current| current.unsettled.is_empty()) else { return };
    let mut found: BTreeMap<ServiceName, String> =
        services.iter().filter_map(|s| Some((s.name.clone(), other(s, containers, &now)?))).collect();
    if found.is_empty() {
        return;
    }
    let kept = match tools.history.releases(project.name.clone()).await {
        Ok(kept) => kept.into_iter().filter(|release| release.ran).map(|release| release.number).collect(),
        Err(error) => {
            tracing::warn!(%error, "the kept releases could not be read; what an upgrade of Compose changes is not told apart");
            BTreeSet::new()
        }
    };
    let environment = environment(production);
    let may_have_stayed = |service: &ServiceName| project.stateful.contains(service) || stopped.contains_key(service);
    for number in kept.iter().copied().chain([current.release.number]).collect::<BTreeSet<i64>>() {
        let is_current = number == current.release.number;
        if found.is_empty() || !(is_current || found.keys().any(may_have_stayed)) {
            continue;
        }
        let root = release_tree(tools, &project.name, number);
        let files = composed.files(&root, production, environment.as_deref());
        let what = "A kept release cannot be read.";
        let hashes = async {
            let config = tools.resolve(what, &files).await?;
            tools.hashes(what, &files, &config.resolved, &first_ids(containers)).await
        };
        // Production as it was before the first deploy may have had no files, and an older release may not know a service.
        let there = root.clone();
        let names = composed.source.files.clone();
        let has_files = untrusted::off_runtime(move || names.iter().all(|name| there.join(name).is_file())).await.unwrap_or(false);
        if !has_files && !is_current {
            continue;
        }
        // What cannot be resolved proves nothing.
        let hashes = hashes.await;
        let same = |service: &ServiceName| {
            let wanted = services.iter().find(|s| s.name == *service).map(|s| &s.made);
            let (Ok(hashes), Some(Made::Compose(wanted))) = (&hashes, wanted) else { return false };
            hashes.get(service).map_or(!is_current, |hash| hash.whole == wanted.whole)
        };
        found.retain(|service, _| (!is_current && !may_have_stayed(service)) || same(service));
    }
    for service in services.iter_mut() {
        service.upgraded =
            found.remove(&service.name).map(|before| format!("made by Compose {before}, now {now}: would be recreated by it"));
    }
}

/// The other version of Compose that has made a service's containers, where this one would remake them.
fn other(service: &ServiceFacts, containers: &[Container], now: &str) -> Option<String> {
    let Made::Compose(hash) = &service.made else { return None };
    let mut differing = containers.iter().filter(|c| c.service == service.name && !hash.is_of(c)).peekable();
    let before = differing.peek()?.labels.get(VERSION)?.clone();
    differing.all(|c| c.labels.get(VERSION).is_some_and(|version| version != now)).then_some(before)
}
