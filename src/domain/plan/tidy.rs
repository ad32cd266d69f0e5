//! The plan for removing what is left over of services that are no longer configured.

use super::{Plan, Step, digest};
use crate::domain::orphans::Orphan;
use crate::domain::request::Request;

/// What that plan needs to know.
#[derive(Debug)]
pub struct TidyFacts {
    /// The containers that no service has any more.
    pub orphans: Vec<Orphan>,
    /// The project's own network, where it is there and no service is in it any more.
    pub network: Option<String>,
}

/// Plans to remove all of it. A confirmation binds which containers these are, and not how they are.
pub fn plan_tidy(facts: TidyFacts, request: &Request) -> Plan {
    let TidyFacts { orphans, network } = facts;
    let mut ids: Vec<String> = orphans.iter().map(|orphan| orphan.id.clone()).collect();
    ids.sort();
    let digest = digest(request, &[], &[], |feed| {
        for part in ids.iter().chain(&network) {
            feed(part.as_bytes());
        }
    });
    let steps = if orphans.is_empty() && network.is_none() { Vec::new() } else { vec![Step::Tidy { orphans, network }] };
    Plan::without_files(request, steps, Vec::new(), Vec::new(), digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::project::ProjectName;

    #[test]
    fn a_confirmation_binds_the_containers_and_not_how_they_are() {
        let request = Request::Tidy { project: ProjectName::new("tools").unwrap() };
        let plan = |ids: &[&str], seen: &str, network: Option<&str>| {
            let orphan = |id: &&str| Orphan {
                id: (*id).into(),
                name: format!("name-{id}").into(),
                why: "gone".into(),
                seen: seen.into(),
                stateful: false,
            };
            let facts = TidyFacts { orphans: ids.iter().map(orphan).collect(), network: network.map(str::to_owned) };
            plan_tidy(facts, &request)
        };
        let one = plan(&["a", "b"], "running for 3 h", None);
        assert_eq!(one.digest, plan(&["b", "a"], "stopped for 1 s", None).digest);
        assert_ne!(one.digest, plan(&["a"], "running for 3 h", None).digest);
        assert_ne!(one.digest, plan(&["a", "b"], "running for 3 h", Some("net")).digest);
        assert!(plan(&[], "", None).is_empty() && !plan(&[], "", Some("net")).is_empty());
        assert_eq!(one.orphans().len(), 2);
    }
}
