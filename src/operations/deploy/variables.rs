//! The variables that a project's compose files use: which of them nothing sets, and which were set before.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::tools::Config;
use super::production::environment;
use crate::domain::env_file::defined;
use crate::domain::plan::Variables;
use crate::engine::compose::variables::used;
use crate::history::releases::ReleaseRecord;
use crate::untrusted::{self, CONFIGURATION_MAX};

/// What is known of the variables of a resolved configuration, beside the release that runs and the earlier one that comes, where
/// they are there.
pub(in super::super) async fn variables(
    config: Option<&Config>,
    production: &Path,
    current: impl Iterator<Item = &ReleaseRecord>,
    coming: Option<&ReleaseRecord>,
) -> Variables {
    let Some(config) = config else { return Variables::default() };
    let mut variables = Variables { unset: config.unset.clone(), ..Variables::default() };
    let needed = config.resolved.from_variables();
    if !needed.is_empty() {
        let defined = defined_in(production).await;
        variables.missing = needed.into_iter().filter(|(_, variable)| !defined.contains(variable)).collect();
    }
    for release in current {
        variables.set_before.extend(set_for(release));
        variables.unset_before.extend(release.unset.iter().flatten().cloned());
    }
    variables.set_before.extend(coming.into_iter().flat_map(set_for));
    variables
}

/// The variables that a release used and that were set for it. One that did not record them was refused where any was not.
fn set_for(release: &ReleaseRecord) -> BTreeSet<String> {
    let texts: Vec<String> = release.compose.iter().map(|(_, text)| text.clone()).collect();
    let mut set = used(&texts);
    set.retain(|name| !release.unset.iter().flatten().any(|unset| unset == name));
    set
}

/// The variables that production's `.env` defines; none where it cannot be read, which Compose has said by then.
async fn defined_in(production: &Path) -> BTreeSet<String> {
    let Some(path) = environment(production) else { return BTreeSet::new() };
    let read = untrusted::off_runtime(move || untrusted::read(&path, CONFIGURATION_MAX)).await.and_then(|read| read);
    read.map(|text| defined(&text)).unwrap_or_default()
}
