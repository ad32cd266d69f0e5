//! What acts between the services of a compose project, once its files are in production.

use std::collections::BTreeMap;

use crate::domain::container::Container;
use crate::domain::plan::{Link, Links};
use crate::domain::project::ServiceName;
use crate::domain::shared::Owner;
use crate::engine::compose::Definition;

/// The links that definitions declare. A container is one of the project's by its name or id, or by the name that a file gives it.
pub(super) fn links(definitions: &BTreeMap<ServiceName, Definition>, containers: &[Container]) -> Links {
    let service_of = |name: &str| {
        let is = |c: &&Container| c.name == name || !name.is_empty() && c.id.starts_with(name);
        let by_file = || definitions.iter().find(|(_, d)| d.links.container_name.as_deref() == Some(name)).map(|(service, _)| service);
        containers.iter().find(is).map(|c| &c.service).or_else(by_file).cloned()
    };
    let mut links = Links::default();
    for (service, definition) in definitions {
        for on in &definition.links.restarts_with {
            links.add(service.clone(), on.clone(), Link::Restarts);
        }
        for (what, owner) in &definition.links.shares {
            let (on, link) = match owner {
                Owner::Service(name) => (ServiceName::new(name).ok(), Link::Shares(*what)),
                Owner::Container(name) => (service_of(name), Link::SharesNamed(*what)),
            };
            // Of a container that is none of the project's nothing changes here.
            if let Some(on) = on.filter(|on| definitions.contains_key(on)) {
                links.add(service.clone(), on, link);
            }
        }
    }
    links
}

/// The ids of the first containers of services: what Compose puts where another service is named.
pub(super) fn first_ids(containers: &[Container]) -> BTreeMap<ServiceName, String> {
    let mut first: BTreeMap<ServiceName, &Container> = BTreeMap::new();
    for container in containers {
        let known = first.entry(container.service.clone()).or_insert(container);
        if container.name < known.name {
            *known = container;
        }
    }
    first.into_iter().map(|(service, container)| (service, container.id.clone())).collect()
}
