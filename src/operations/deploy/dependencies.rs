//! Changed dependencies that the hash of a container does not show.
//!
//! With `--no-deps` Compose before 2.29.3 labels a container with the hash of its definition without `depends_on`. Such a container
//! runs with that definition whatever it depends on, and so does every container of a service that depended on nothing. Compose
//! recreates it once `depends_on` is another.

use crate::domain::container::Container;
use crate::domain::plan::Made;
use crate::domain::project::ServiceName;
use crate::engine::compose::Resolved;

/// Why a service is recreated whose dependencies changed, where its containers' hash is the one without dependencies.
pub(super) fn unseen(
    service: &ServiceName,
    made: &Made,
    (before, now): (Option<&Resolved>, &Resolved),
    containers: &[Container],
) -> Option<String> {
    let Made::Compose(hash) = made else { return None };
    let is_alone = |c: &Container| c.service == *service && c.config_hash() == Some(hash.alone.as_str());
    let is_hidden = hash.whole != hash.alone && containers.iter().any(is_alone);
    (is_hidden && before?.dependencies(service) != now.dependencies(service)).then(|| "depends_on changed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::compose_labels::CONFIG_HASH;
    use crate::domain::container::tests::container;
    use crate::domain::container::{ConfigHash, Health, State};
    use serde_json::{Value, json};

    #[test]
    fn new_dependency_counts_where_the_hash_hides_it() {
        let file = |needs: Value| {
            let services = json!({ "web": { "image": "x", "depends_on": needs }, "db": { "image": "x" } });
            Resolved::parse(json!({ "services": services }).to_string().as_bytes()).unwrap()
        };
        let needing = |condition: &str| file(json!({ "db": { "condition": condition, "required": true } }));
        let (nothing, started, healthy) = (file(json!({})), needing("service_started"), needing("service_healthy"));
        let (web, db) = (ServiceName::new("web").unwrap(), ServiceName::new("db").unwrap());
        let says = |labels: &[&str], whole: &str, before: Option<&Resolved>, now: &Resolved, service: &ServiceName| {
            let made = Made::Compose(ConfigHash { whole: whole.into(), alone: "alone".into() });
            let labelled = |label: &&str| {
                let mut made = container("web", State::Running, Health::None);
                made.labels.insert(CONFIG_HASH.into(), (*label).into());
                made
            };
            let containers: Vec<Container> = labels.iter().map(labelled).collect();
            unseen(service, &made, (before, now), &containers)
        };
        let changed = Some("depends_on changed".to_owned());
        assert_eq!(says(&["alone"], "whole", Some(&nothing), &started, &web), changed);
        assert_eq!(says(&["whole", "alone"], "whole", Some(&nothing), &started, &web), changed, "one of two");
        assert_eq!(says(&["alone"], "whole", Some(&healthy), &started, &web), changed, "another condition");
        assert_eq!(says(&["alone"], "whole", Some(&started), &started, &web), None, "`--no-deps` labelled it so");
        assert_eq!(says(&["whole"], "whole", Some(&nothing), &started, &web), None, "it has it already");
        assert_eq!(says(&["alone"], "alone", Some(&nothing), &started, &web), None, "this Compose hashes none");
        assert_eq!(says(&["alone"], "whole", None, &started, &web), None, "nobody knows what it was");
        assert_eq!(says(&["alone"], "whole", Some(&nothing), &started, &db), None, "another service");
    }
}
