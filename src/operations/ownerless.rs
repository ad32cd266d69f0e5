//! Containers that share a namespace of one that is gone. They hold its id: another one of the same name is not what they share.

use std::collections::BTreeMap;

use super::tools::Tools;
use crate::domain::container::Container;
use crate::domain::project::ServiceName;
use crate::domain::shared::Shared;

/// The services of which a container could not start again, since the container whose namespace it shares is gone, and what it shares.
/// What cannot be found out is none of them.
pub(super) async fn ownerless(tools: &Tools, containers: &[Container]) -> BTreeMap<ServiceName, Shared> {
    let mut found = BTreeMap::new();
    for container in containers {
        for sharing in container.shares.iter().filter(|sharing| sharing.what.ends_with_owner()) {
            let is_ours = containers.iter().any(|owner| owner.id == sharing.with || owner.name == sharing.with);
            if !is_ours && matches!(tools.docker.container(&sharing.with).await, Ok(None)) {
                found.insert(container.service.clone(), sharing.what);
            }
        }
    }
    found
}
