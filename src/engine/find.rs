//! Which containers are meant, by what the engine lists of all of them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::compose_labels;
use crate::domain::managed::{is_in_place, label};
use crate::domain::project::{Configuration, ContainerSelector, Project, ServiceName, Source, Way};
use crate::domain::untrusted::UntrustedText;

/// What a project of containers that somebody else made looks for, and what is not its own whatever its selectors say: two
/// projects never own one container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Selection {
    /// Its selectors.
    pub(super) selectors: Vec<ContainerSelector>,
    /// The compose projects that are configured as projects of their own.
    composed: BTreeSet<String>,
    /// The name of this dockmaster: what it made belongs to the project that it was made for.
    instance: String,
    /// The selectors of other such projects, and whether that project comes first where both select a container equally exactly.
    rivals: Vec<(bool, Vec<ContainerSelector>)>,
}

impl Selection {
    /// What `project` selects; `configuration` says what others own.
    pub(super) fn of(project: &Project, selectors: &[ContainerSelector], instance: &str, configuration: Option<&Configuration>) -> Self {
        let mut selection = Self { selectors: selectors.to_vec(), instance: instance.to_owned(), ..Self::default() };
        for other in configuration.iter().flat_map(|c| c.projects.values()).filter(|other| other.name != project.name) {
            match &other.source {
                Source::Compose(compose) => drop(selection.composed.insert(compose.name.clone())),
                Source::Containers(selectors) => selection.rivals.push((other.name < project.name, selectors.clone())),
                Source::Services(_) => {}
            }
        }
        selection
    }

    /// Whether a container can be this project's at all.
    fn admits(&self, container: &Listed) -> bool {
        let made_here = container.labels.contains_key(label::MANAGED) && container.labels.get(label::OWNER) == Some(&self.instance);
        let composed = compose_labels::owner(&container.labels).is_some_and(|(project, _)| self.composed.contains(project));
        // What is kept aside while its successor comes up is nobody's.
        !made_here && !composed && is_in_place(&container.name, &container.labels)
    }
}

/// A container as it is listed.
#[derive(Debug, Clone, Default)]
pub(super) struct Listed {
    /// Its id.
    pub(super) id: String,
    /// Its name, without the leading slash.
    pub(super) name: String,
    /// Its labels.
    pub(super) labels: BTreeMap<String, String>,
    /// Whether the engine told its labels.
    pub(super) tells_labels: bool,
    /// Its image as named in its configuration.
    pub(super) image: String,
    /// The id of its image; none where the engine does not tell.
    pub(super) image_id: Option<String>,
    /// The ports of the host that are published, or would be if it ran.
    pub(super) ports: BTreeSet<u16>,
    /// Whether it runs.
    pub(super) runs: bool,
}

impl Listed {
    /// One of which nothing is known but by what to ask for it.
    pub(super) fn known_by(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }
}

/// A container that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Its id.
    pub(super) id: String,
    /// The service that it belongs to; none means that it is one of its own name.
    pub(super) service: Option<ServiceName>,
    /// How exactly it was selected: the smaller, the more.
    rank: u8,
}

/// The containers that are meant, each once, for the first that means it, and none that another project selects more exactly.
///
/// # Errors
/// One of several compose projects could be meant, in words for a person.
pub(super) fn find(selection: &Selection, listed: &[Listed]) -> Result<Vec<Found>, String> {
    let listed: Vec<&Listed> = listed.iter().filter(|c| selection.admits(c)).collect();
    let mut found = selected(&selection.selectors, &listed)?;
    for (is_first, selectors) in &selection.rivals {
        // What another project cannot tell apart it does not own.
        let theirs = selected(selectors, &listed).unwrap_or_default();
        found.retain(|own| !theirs.iter().any(|other| other.id == own.id && (other.rank, !is_first) <= (own.rank, false)));
    }
    Ok(found)
}

fn selected(selectors: &[ContainerSelector], listed: &[&Listed]) -> Result<Vec<Found>, String> {
    let mut found: Vec<Found> = Vec::new();
    for selector in selectors {
        for way in &selector.ways {
            let by_this = by(way, listed)?;
            if by_this.is_empty() {
                continue;
            }
            for container in by_this {
                if !found.iter().any(|f| f.id == container.id) {
                    let service = selector.service.clone().or_else(|| composed(way));
                    found.push(Found { id: container.id.clone(), service, rank: rank(way) });
                }
            }
            break;
        }
    }
    Ok(found)
}

/// Whether anything is looked for by a port, which the engine lists of what runs alone.
pub(super) fn needs_ports(selection: &Selection) -> bool {
    let rivals = selection.rivals.iter().flat_map(|(_, selectors)| selectors);
    selection.selectors.iter().chain(rivals).any(|s| s.ways.iter().any(|way| matches!(way, Way::Port(_))))
}

/// How exactly a way selects: the smaller, the more.
fn rank(way: &Way) -> u8 {
    match way {
        Way::Name(_) => 0,
        Way::Compose { .. } => 1,
        Way::Label(_) => 2,
        Way::Port(_) => 3,
        Way::Pattern(_) => 4,
    }
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
    let fits = |c: &&'a Listed| {
        compose_labels::owner(&c.labels).is_some_and(|(of, named)| named == service.as_str() && project.is_none_or(|wanted| of == wanted))
    };
    let found: Vec<&Listed> = listed.iter().copied().filter(fits).collect();
    let projects: BTreeSet<&str> = found.iter().filter_map(|c| Some(compose_labels::owner(&c.labels)?.0)).collect();
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
        Listed {
            id: format!("id-{name}"),
            name: name.to_owned(),
            labels,
            ports: ports.iter().copied().collect(),
            runs: true,
            ..Listed::default()
        }
    }

    fn composed(name: &str, project: &str, service: &str, ports: &[u16]) -> Listed {
        let own = [
            (compose_labels::PROJECT, project),
            (compose_labels::SERVICE, service),
            (compose_labels::CONFIG_HASH, "0a"),
            ("com.docker.compose.container-number", "1"),
        ];
        listed(name, &own, ports)
    }

    fn selection(selectors: Vec<ContainerSelector>) -> Selection {
        Selection { selectors, ..Selection::default() }
    }

    fn all() -> Vec<Listed> {
        vec![
            composed("shop-web-1", "shop", "web", &[80]),
            composed("shop-web-2", "shop", "web", &[]),
            listed("shop-web-by-hand", &[(compose_labels::PROJECT, "shop"), (compose_labels::SERVICE, "web")], &[]),
            listed("nginx", &[("role", "proxy")], &[8080]),
            listed("old_nginx", &[], &[]),
            listed("cron", &[(label::SERVICE, "cron")], &[]),
            listed("dockmaster-tools-cron", &[(label::SERVICE, "cron"), (label::MANAGED, "true")], &[]),
            composed("blog-db-1", "blog", "db", &[]),
            composed("wiki-db-1", "wiki", "db", &[]),
        ]
    }

    fn name(text: &str) -> ServiceName {
        ServiceName::new(text).unwrap()
    }

    fn found(service: Option<&str>, ways: Vec<Way>) -> String {
        match find(&selection(vec![ContainerSelector { service: service.map(name), ways }]), &all()) {
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
            "replicas, and none that only has the labels of an image which Compose built"
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
            let found = find(&selection(vec![ContainerSelector { service: None, ways: vec![Way::Port(8080)] }]), all).unwrap();
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
        let ids: Vec<String> = find(&selection(vec![pattern]), &all).unwrap().into_iter().map(|f| f.id).collect();
        assert_eq!(ids, ["id-dockmaster-tools-web"], "what is kept aside is nobody's");
        let twice =
            vec![ContainerSelector::named(name("nginx")), ContainerSelector { service: None, ways: vec![Way::Label("role".into())] }];
        let once = [Found { id: "id-nginx".into(), service: Some(name("nginx")), rank: 0 }];
        assert_eq!(find(&selection(twice), &all).unwrap(), once, "each once");
    }

    #[test]
    fn two_projects_never_own_one_container() {
        let every = || vec![ContainerSelector { service: None, ways: vec![Way::Pattern("*".into())] }];
        let ours = [(label::MANAGED, "true"), (label::OWNER, "0a1b"), (label::PROJECT, "tools"), (label::SERVICE, "mail")];
        let all = [all(), vec![listed("dockmaster-tools-mail", &ours, &[])]].concat();
        let ids = |selection: &Selection| {
            find(selection, &all).unwrap().iter().map(|f| f.id.trim_start_matches("id-").to_owned()).collect::<Vec<_>>().join(" ")
        };
        let owned = Selection { composed: ["shop", "blog"].map(str::to_owned).into(), instance: "0a1b".into(), ..selection(every()) };
        assert_eq!(ids(&owned), "shop-web-by-hand nginx old_nginx cron dockmaster-tools-cron wiki-db-1");
        let by_name = vec![ContainerSelector::named(name("nginx"))];
        let nginx = |is_first, theirs| ids(&Selection { rivals: vec![(is_first, theirs)], ..owned.clone() }).contains(" nginx ");
        assert!(!nginx(false, by_name), "whoever names it owns it");
        assert!(nginx(false, every()) && !nginx(true, every()), "else the first of both");
    }
}
