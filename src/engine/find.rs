//! Which containers are meant, by what the engine lists of all of them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::managed::{is_in_place, label};
use crate::domain::project::{ContainerSelector, ServiceName, Way};
use crate::domain::untrusted::UntrustedText;

/// The label of a compose project.
pub(super) const COMPOSE_PROJECT: &str = "com.docker.compose.project";
/// The label of a service of one.
pub(super) const COMPOSE_SERVICE: &str = "com.docker.compose.service";
/// The label of a container that was made for one command.
const COMPOSE_ONEOFF: &str = "com.docker.compose.oneoff";

/// A container as it is listed.
#[derive(Debug, Clone, Default)]
pub(super) struct Listed {
    /// Its id.
    pub(super) id: String,
    /// Its name, without the leading slash.
    pub(super) name: String,
    /// Its labels.
    pub(super) labels: BTreeMap<String, String>,
    /// The ports of the host that are published, or would be if it ran.
    pub(super) ports: BTreeSet<u16>,
    /// Whether it runs.
    pub(super) runs: bool,
}

/// A container that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Its id.
    pub(super) id: String,
    /// The service that it belongs to; none means that it is one of its own name.
    pub(super) service: Option<ServiceName>,
}

/// The containers that are meant, each once, for the first that means it.
///
/// # Errors
/// One of several compose projects could be meant, in words for a person.
pub(super) fn find(selectors: &[ContainerSelector], listed: &[Listed]) -> Result<Vec<Found>, String> {
    // What is kept aside while its successor comes up is nobody's.
    let listed: Vec<&Listed> = listed.iter().filter(|c| is_in_place(&c.name, &c.labels)).collect();
    let mut found: Vec<Found> = Vec::new();
    for selector in selectors {
        for way in &selector.ways {
            let by_this = by(way, &listed)?;
            if by_this.is_empty() {
                continue;
            }
            for container in by_this {
                if !found.iter().any(|f| f.id == container.id) {
                    let service = selector.service.clone().or_else(|| composed(way));
                    found.push(Found { id: container.id.clone(), service });
                }
            }
            break;
        }
    }
    Ok(found)
}

/// Whether anything is looked for by a port, which the engine lists of what runs alone.
pub(super) fn needs_ports(selectors: &[ContainerSelector]) -> bool {
    selectors.iter().any(|s| s.ways.iter().any(|way| matches!(way, Way::Port(_))))
}

fn composed(way: &Way) -> Option<ServiceName> {
    if let Way::Compose { service, .. } = way { Some(service.clone()) } else { None }
}

fn by<'a>(way: &Way, listed: &[&'a Listed]) -> Result<Vec<&'a Listed>, String> {
    let fits: Box<dyn Fn(&Listed) -> bool> = match way {
        Way::Compose { project, service } => return by_compose(project.as_deref(), service, listed),
        Way::Label(text) => match text.split_once('=') {
            // Ours have a label that people may give to containers of their own, too, and belong to the project that they were made for.
            Some((key, value)) => Box::new(move |c| {
                c.labels.get(key).is_some_and(|v| v == value) && (key != label::SERVICE || !c.labels.contains_key(label::MANAGED))
            }),
            None => Box::new(|c| c.labels.contains_key(text)),
        },
        Way::Name(name) => Box::new(|c| c.name == name.as_str()),
        Way::Pattern(pattern) => match globset::Glob::new(pattern) {
            Ok(glob) => {
                let matcher = glob.compile_matcher();
                Box::new(move |c| matcher.is_match(&c.name))
            }
            // The configuration was checked; one that means nothing finds nothing.
            Err(_) => return Ok(Vec::new()),
        },
        Way::Port(port) => return Ok(by_port(*port, listed)),
    };
    Ok(listed.iter().copied().filter(|c| fits(c)).collect())
}

/// Whoever publishes a port; only where nobody does, those that would: of several, one at most can have it.
fn by_port<'a>(port: u16, listed: &[&'a Listed]) -> Vec<&'a Listed> {
    let all: Vec<&Listed> = listed.iter().copied().filter(|c| c.ports.contains(&port)).collect();
    let running: Vec<&Listed> = all.iter().copied().filter(|c| c.runs).collect();
    if running.is_empty() { all } else { running }
}

fn by_compose<'a>(project: Option<&str>, service: &ServiceName, listed: &[&'a Listed]) -> Result<Vec<&'a Listed>, String> {
    let of = |c: &'a Listed| c.labels.get(COMPOSE_PROJECT).map(String::as_str);
    let is_one_off = |c: &Listed| c.labels.get(COMPOSE_ONEOFF).is_some_and(|v| v.eq_ignore_ascii_case("true"));
    let fits = |c: &&'a Listed| {
        c.labels.get(COMPOSE_SERVICE).is_some_and(|s| s == service.as_str())
            && project.is_none_or(|wanted| of(c) == Some(wanted))
            && !is_one_off(c)
    };
    let found: Vec<&Listed> = listed.iter().copied().filter(fits).collect();
    let projects: BTreeSet<&str> = found.iter().filter_map(|c| of(c)).collect();
    let mut several = projects.iter();
    match (several.next(), several.next()) {
        // Whose is meant is not guessed.
        (Some(one), Some(other)) => Err(format!(
            "the compose projects {} and {} both have a service {service}",
            UntrustedText::from(*one),
            UntrustedText::from(*other)
        )),
        _ => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(name: &str, labels: &[(&str, &str)], ports: &[u16]) -> Listed {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Listed { id: format!("id-{name}"), name: name.to_owned(), labels, ports: ports.iter().copied().collect(), runs: true }
    }

    fn all() -> Vec<Listed> {
        vec![
            listed("shop-web-1", &[(COMPOSE_PROJECT, "shop"), (COMPOSE_SERVICE, "web")], &[80]),
            listed("shop-web-2", &[(COMPOSE_PROJECT, "shop"), (COMPOSE_SERVICE, "web")], &[]),
            listed("shop-web-run-1", &[(COMPOSE_PROJECT, "shop"), (COMPOSE_SERVICE, "web"), (COMPOSE_ONEOFF, "True")], &[]),
            listed("nginx", &[("role", "proxy")], &[8080]),
            listed("old_nginx", &[], &[]),
            listed("cron", &[(label::SERVICE, "cron")], &[]),
            listed("dockmaster-tools-cron", &[(label::SERVICE, "cron"), (label::MANAGED, "true")], &[]),
            listed("blog-db-1", &[(COMPOSE_PROJECT, "blog"), (COMPOSE_SERVICE, "db")], &[]),
            listed("wiki-db-1", &[(COMPOSE_PROJECT, "wiki"), (COMPOSE_SERVICE, "db")], &[]),
        ]
    }

    fn name(text: &str) -> ServiceName {
        ServiceName::new(text).unwrap()
    }

    fn found(service: Option<&str>, ways: Vec<Way>) -> String {
        match find(&[ContainerSelector { service: service.map(name), ways }], &all()) {
            Ok(found) => {
                let shown = |f: Found| format!("{}={}", f.id.trim_start_matches("id-"), f.service.map_or("-".to_owned(), String::from));
                found.into_iter().map(shown).collect::<Vec<_>>().join(" ")
            }
            Err(why) => why,
        }
    }

    #[test]
    fn each_way_finds_what_it_says() {
        let compose = |project: Option<&str>, service| Way::Compose { project: project.map(str::to_owned), service: name(service) };
        assert_eq!(
            found(None, vec![compose(Some("shop"), "web")]),
            "shop-web-1=web shop-web-2=web",
            "replicas, and none made for one command"
        );
        assert_eq!(found(None, vec![compose(None, "web")]), "shop-web-1=web shop-web-2=web");
        assert_eq!(found(None, vec![compose(None, "db")]), "the compose projects `blog` and `wiki` both have a service db");
        assert_eq!(found(None, vec![Way::Label("role=proxy".into())]), "nginx=-");
        assert_eq!(found(None, vec![Way::Label("role".into())]), "nginx=-");
        assert_eq!(found(None, vec![Way::Label("role=pro".into())]), "");
        assert_eq!(found(None, vec![Way::Label("dockmaster.service=cron".into())]), "cron=-", "and not one that was made for a project");
        assert_eq!(found(Some("proxy"), vec![Way::Name(name("nginx"))]), "nginx=proxy");
        assert_eq!(found(None, vec![Way::Pattern("*nginx".into())]), "nginx=- old_nginx=-");
        assert_eq!(found(Some("proxy"), vec![Way::Port(8080)]), "nginx=proxy");
        let stopped = Listed { runs: false, ..listed("nginx-old", &[], &[8080]) };
        let by_port = |all: &[Listed]| {
            let found = find(&[ContainerSelector { service: None, ways: vec![Way::Port(8080)] }], all).unwrap();
            found.into_iter().map(|f| f.id).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(by_port(&[stopped.clone(), listed("nginx", &[], &[8080])]), "id-nginx", "what only would publish it is not meant");
        assert_eq!(by_port(&[stopped]), "id-nginx-old");
    }

    #[test]
    fn the_first_way_that_finds_anything_counts() {
        let ways = vec![Way::Label("role=nobody".into()), Way::Name(name("nginx")), Way::Port(80)];
        assert_eq!(found(Some("proxy"), ways), "nginx=proxy");
        let mut all = all();
        let ours = [(label::MANAGED, "true"), (label::PROJECT, "tools"), (label::SERVICE, "web")];
        all.extend(["dockmaster-tools-web.before-3", "dockmaster-tools-web"].map(|name| listed(name, &ours, &[])));
        let pattern = ContainerSelector { service: None, ways: vec![Way::Pattern("dockmaster-tools-w*".into())] };
        let ids: Vec<String> = find(&[pattern], &all).unwrap().into_iter().map(|f| f.id).collect();
        assert_eq!(ids, ["id-dockmaster-tools-web"], "what is kept aside is nobody's");
        let twice = [ContainerSelector::named(name("nginx")), ContainerSelector { service: None, ways: vec![Way::Label("role".into())] }];
        assert_eq!(find(&twice, &all).unwrap(), [Found { id: "id-nginx".into(), service: Some(name("nginx")) }], "each once");
    }
}
