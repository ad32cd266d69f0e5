//! Whether what was rolled back is in its networks again: a container can be up and reach nobody.

use std::collections::{BTreeMap, BTreeSet};

use super::super::runner::Job;
use super::production::production_only;
use crate::domain::container::Container;
use crate::domain::failure::Failure;
use crate::domain::project::{ServiceName, Source};
use crate::domain::text::listing;
use crate::domain::untrusted::UntrustedText;

/// Compares the networks of some services with those that production's files put them into.
///
/// # Errors
/// A container that runs is missing in one, or it cannot be found out.
pub(in super::super) async fn verify_networks(job: &Job, services: &[ServiceName]) -> Result<(), Failure> {
    if !matches!(job.project.source, Source::Compose(_)) {
        return Ok(());
    }
    let Some(config) = production_only(&job.tools, &job.project).await? else { return Ok(()) };
    let what = "It is not known whether the services reach each other.";
    let containers = job.tools.containers(&job.project).await.map_err(|e| e.failure(what))?;
    let wanted = config.resolved.networks();
    let meant = containers.iter().filter(|c| services.contains(&c.service) && c.runs());
    let lost: Vec<String> = meant.filter_map(|container| missing(container, &wanted)).collect();
    match lost.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(
            "Not every service is connected to its networks.",
            format!("{}.", listing(lost, 4)),
            format!("Look at docker network ls, then deploy again: /docker_deploy {}.", job.project.name),
        )),
    }
}

/// The networks that a container should be in and is not.
fn missing(container: &Container, wanted: &BTreeMap<ServiceName, BTreeSet<String>>) -> Option<String> {
    let missing: Vec<&String> = wanted.get(&container.service)?.difference(&container.networks).collect();
    let names = || listing(missing.iter().map(|name| UntrustedText::from(name.as_str())), 4);
    (!missing.is_empty()).then(|| format!("{} is not in {}", container.service, names()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::container::tests::container;
    use crate::domain::container::{Health, State};

    #[test]
    fn missing_network_is_named() {
        let wanted = BTreeMap::from([(ServiceName::new("web").unwrap(), ["a", "b"].map(str::to_owned).into())]);
        let mut web = container("web", State::Running, Health::None);
        web.networks = ["a".to_owned(), "other".to_owned()].into();
        assert_eq!(missing(&web, &wanted).unwrap(), "web is not in `b`");
        web.networks.insert("b".to_owned());
        assert_eq!(missing(&web, &wanted), None);
        assert_eq!(missing(&container("api", State::Running, Health::None), &wanted), None);
    }
}
