//! Containers that were made for services which are no longer configured.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Millis;
use super::container::{Container, State};
use super::desired::{DesiredState, LEFTOVER, Standing};
use super::managed::{Managed, Network, Orphans, instance_of, label};
use super::project::{Configuration, Project, ProjectName, Source};
use super::text::duration;
use super::untrusted::UntrustedText;

/// A container that no service has any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphan {
    /// The engine's id.
    pub id: String,
    /// Its name.
    pub name: UntrustedText,
    /// Why it is one: `mail is no longer configured`.
    pub why: String,
    /// How it was seen: `running for 3 h`.
    pub seen: String,
    /// Whether its service keeps data.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stateful: bool,
}

/// The orphans among the containers of one dockmaster, by project and in the order of their names. Projects that are disabled
/// are left alone.
pub fn orphans(configuration: &Configuration, containers: &[Container], now: Millis) -> BTreeMap<ProjectName, Vec<Orphan>> {
    let mut found: BTreeMap<ProjectName, Vec<Orphan>> = BTreeMap::new();
    for container in containers {
        let Some(project) = container.labels.get(label::PROJECT).and_then(|name| ProjectName::new(name).ok()) else { continue };
        if let Some(why) = why(configuration, &project, container) {
            found.entry(project).or_default().push(orphan(container, why, now));
        }
    }
    for all in found.values_mut() {
        all.sort_by(|a, b| a.name.cmp(&b.name));
    }
    found
}

fn orphan(container: &Container, why: String, now: Millis) -> Orphan {
    Orphan { id: container.id.clone(), name: (&container.name).into(), why, seen: seen(container, now), stateful: false }
}

/// The containers of a compose project whose services its files do not declare: those that keep data first, then in the order of their
/// names.
pub fn composed_orphans(project: &Project, desired: &DesiredState, containers: &[Container], now: Millis) -> Vec<Orphan> {
    let left = containers.iter().filter(|c| desired.of(&c.service) == Standing::Leftover);
    let one = |container: &Container| {
        let stateful = project.stateful.contains(&container.service);
        let keeps = if stateful { "; it keeps data" } else { "" };
        Orphan { stateful, ..orphan(container, format!("{} is {LEFTOVER}{keeps}", container.service), now) }
    };
    let mut found: Vec<Orphan> = left.map(one).collect();
    found.sort_by(|a, b| (!a.stateful, &a.name).cmp(&(!b.stateful, &b.name)));
    found
}

/// Why a container is an orphan, where it is one.
fn why(configuration: &Configuration, project: &ProjectName, container: &Container) -> Option<String> {
    let Some(known) = configuration.projects.get(project) else { return Some(format!("{project} is no longer configured")) };
    let service = &container.service;
    let definition = match &known.source {
        _ if !known.enabled => return None,
        Source::Services(managed) => managed.services.get(service),
        Source::Compose(_) | Source::Containers(_) => None,
    };
    match definition {
        None => Some(format!("{service} is no longer configured")),
        // A process is what it is to be, or becomes a container with the next deploy.
        Some(definition) if !container.is_process() && definition.container().is_none() => Some(format!("{service} is a process now")),
        Some(definition) if instance_of(&container.labels) > definition.instances => {
            Some(format!("{service} has {} now", super::text::count(usize::from(definition.instances), "instance")))
        }
        Some(_) => None,
    }
}

fn seen(container: &Container, now: Millis) -> String {
    let (word, since) = match container.state {
        State::Created => ("never started", None),
        State::Running => ("running", container.started),
        State::Paused => ("paused", container.started),
        State::Restarting => ("restarting", None),
        State::Removing => ("being removed", None),
        State::Exited | State::Dead => ("stopped", container.finished),
        State::Unknown => ("in a state that the engine does not tell", None),
    };
    since.map_or_else(|| word.to_owned(), |since| format!("{word} for {}", duration(now.saturating_sub(since).max(0))))
}

/// Whether a service of a project is in the project's own network, as it is configured.
pub fn needs_network(configuration: &Configuration, project: &ProjectName) -> bool {
    let Some(Source::Services(managed)) = configuration.projects.get(project).map(|known| &known.source) else { return false };
    managed.services.values().any(|definition| definition.container().is_some_and(|container| container.network == Network::Own))
}

/// Whether a project wants its orphans removed unasked. One that is no longer configured says nothing, and is asked about.
pub fn removes(configuration: &Configuration, project: &ProjectName) -> bool {
    let known = configuration.projects.get(project).filter(|known| known.enabled);
    known.is_some_and(|known| matches!(&known.source, Source::Services(managed) if managed.orphans == Orphans::Remove))
}

/// What stands for a project that is no longer configured, of which only containers are left.
pub fn gone(name: ProjectName) -> Project {
    Project::new(name, Source::Services(Managed::default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::container::Health;
    use crate::domain::container::tests::container;
    use crate::domain::managed::tests::definition;
    use crate::domain::managed::{ProcessDefinition, Runs};
    use crate::domain::project::ServiceName;
    use crate::domain::reload::ReloadPolicy;
    use crate::domain::space::SpaceLimit;
    use expect_test::expect;
    use std::time::Duration;

    const HOUR: Millis = 3_600_000;

    fn configuration(projects: Vec<Project>) -> Configuration {
        Configuration {
            default_project: None,
            users: [].into(),
            chats: [].into(),
            confirm_timeout: Duration::from_secs(60),
            reload: ReloadPolicy::default(),
            warn_below: SpaceLimit::default(),
            docker: true,
            registry_credentials: None,
            projects: projects.into_iter().map(|project| (project.name.clone(), project)).collect(),
        }
    }

    fn project(name: &str, services: &[(&str, u16)]) -> Project {
        let mut project = gone(ProjectName::new(name).unwrap());
        let Source::Services(managed) = &mut project.source else { panic!() };
        for (service, instances) in services {
            let mut made = definition("example/all");
            made.instances = *instances;
            managed.services.insert(ServiceName::new(service).unwrap(), made);
        }
        project
    }

    fn made(project: &str, service: &str, instance: u16, state: State) -> Container {
        let mut container = container(service, state, Health::None);
        container.name = format!("dockmaster-{project}-{service}-{instance}");
        container.id = container.name.clone();
        container.finished = Some(HOUR);
        for (key, value) in [(label::PROJECT, project), (label::SERVICE, service), (label::INSTANCE, &instance.to_string())] {
            container.labels.insert(key.to_owned(), value.to_owned());
        }
        container
    }

    #[test]
    fn what_no_service_has_any_more_is_found_and_disabled_projects_are_left_alone() {
        let mut tools = project("tools", &[("web", 2), ("worker", 1)]);
        let Source::Services(managed) = &mut tools.source else { panic!() };
        managed.services.get_mut("worker").unwrap().runs = Runs::Process(ProcessDefinition { command: vec![], directory: None });
        let off = Project { enabled: false, ..project("off", &[]) };
        let containers = [
            made("tools", "web", 3, State::Running),
            made("tools", "web", 2, State::Running),
            made("tools", "mail", 1, State::Exited),
            made("tools", "worker", 1, State::Created),
            made("off", "web", 1, State::Running),
            made("left", "db", 1, State::Paused),
        ];
        // The worker's own process is what it is to be.
        let process = Container { id: "process:tools/worker/1".into(), ..made("tools", "worker", 1, State::Running) };
        let containers: Vec<Container> = containers.into_iter().chain([process]).collect();
        let found = orphans(&configuration(vec![tools, off]), &containers, 3 * HOUR);
        let lines: Vec<String> = found
            .iter()
            .flat_map(|(project, all)| all.iter().map(move |o| format!("{project}: {}, {}, {}", o.name, o.why, o.seen)))
            .collect();
        expect![[r#"
            left: `dockmaster-left-db-1`, left is no longer configured, paused for 3 h
            tools: `dockmaster-tools-mail-1`, mail is no longer configured, stopped for 2 h
            tools: `dockmaster-tools-web-3`, web has 2 instances now, running for 3 h
            tools: `dockmaster-tools-worker-1`, worker is a process now, never started"#]]
        .assert_eq(&lines.join("\n"));
    }

    #[test]
    fn service_that_no_compose_file_declares_is_left_over() {
        let mut project = project("shop", &[]);
        project.stateful = [ServiceName::new("postgres").unwrap()].into();
        let all = ["web", "debug", "mail", "postgres"].map(|service| container(service, State::Running, Health::None));
        let name = |text: &str| ServiceName::new(text).unwrap();
        let lines = |inactive| {
            let desired = DesiredState::new([(name("web"), 1)].into(), inactive);
            let found = composed_orphans(&project, &desired, &all, HOUR);
            found.into_iter().map(|o| format!("{}: {}, {}", o.name, o.why, o.seen)).collect::<Vec<_>>().join("\n")
        };
        expect![[r#"
            `shop-postgres-1`: postgres is no longer in the compose file; it keeps data, running for 1 h
            `shop-mail-1`: mail is no longer in the compose file, running for 1 h"#]]
        .assert_eq(&lines(Some([name("debug")].into())));
        assert_eq!(lines(None), "", "nobody knows what is behind a profile");
    }

    #[test]
    fn only_a_project_that_says_so_has_its_orphans_removed_unasked() {
        let of = |name: &str| ProjectName::new(name).unwrap();
        let mut tools = project("tools", &[("web", 1)]);
        assert!(!removes(&configuration(vec![tools.clone()]), &of("tools")));
        let Source::Services(managed) = &mut tools.source else { panic!() };
        managed.orphans = Orphans::Remove;
        let both = configuration(vec![tools.clone(), Project { name: of("off"), enabled: false, ..tools }]);
        assert!(removes(&both, &of("tools")) && !removes(&both, &of("off")) && !removes(&both, &of("left")));
        assert!(needs_network(&both, &of("tools")) && !needs_network(&both, &of("left")));
    }
}
