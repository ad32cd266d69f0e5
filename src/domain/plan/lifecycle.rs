//! Plans for starting, stopping and restarting.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Plan, ServicePlan, Step, digest, layers};
use crate::domain::container::{Container, Health, State};
use crate::domain::failure::Failure;
use crate::domain::names::offer;
use crate::domain::project::{Project, ServiceName, Strategy};
use crate::domain::request::{Kind, Request};
use crate::domain::text::listing;

/// What a plan for starting, stopping or restarting needs to know.
#[derive(Debug)]
pub struct LifecycleFacts<'a> {
    /// The project.
    pub project: &'a Project,
    /// Its containers.
    pub containers: &'a [Container],
    /// A hash of the whole resolved configuration, where it was asked for.
    pub configuration: &'a str,
    /// Variables that the compose files use and nothing sets.
    pub unset: &'a [String],
    /// Services that its files declare; those without a container can be started. Empty where nothing declares them.
    pub declared: &'a BTreeSet<ServiceName>,
}

/// What Compose wrote on a container about the services it needs.
pub(super) fn depends_on(container: &Container) -> BTreeSet<ServiceName> {
    let label = container.labels.get("com.docker.compose.depends_on").map_or("", String::as_str);
    label.split(',').filter_map(|part| ServiceName::new(part.split(':').next()?).ok()).collect()
}

/// What is wrong with a service before anything was done, in a few words.
fn ails(containers: &[&Container]) -> Option<String> {
    let one = |c: &&Container| match (c.state, c.health) {
        (State::Running, Health::Unhealthy) => Some("unhealthy already".to_owned()),
        (State::Restarting, _) => Some(format!("restarting in a loop already ({} times)", c.restarts)),
        (State::Exited | State::Dead, _) if !c.is_done() => Some(format!("ended already, with code {}", c.exit_code)),
        _ => None,
    };
    containers.iter().find_map(one)
}

/// Plans a start, stop or restart.
///
/// # Errors
/// The named service is not there, or nothing is there at all.
pub fn plan_lifecycle(facts: &LifecycleFacts<'_>, request: &Request) -> Result<Plan, Failure> {
    let mut by_service: BTreeMap<&ServiceName, Vec<&Container>> = facts.declared.iter().map(|s| (s, Vec::new())).collect();
    for container in facts.containers {
        by_service.entry(&container.service).or_default().push(container);
    }
    check_presence(facts, request, &by_service)?;
    let kind = request.kind();
    let jobs = jobs(facts.containers);
    let services: Vec<ServicePlan> =
        by_service.iter().map(|(service, containers)| service_plan(facts.project, request, service, containers, &jobs)).collect();
    let acting = |wanted: Action| services.iter().filter(|s| s.action == wanted).map(|s| s.service.clone()).collect::<BTreeSet<_>>();
    let depends = |service: &ServiceName| by_service.get(service).into_iter().flatten().flat_map(|c| depends_on(c)).collect();
    let order = |services: &BTreeSet<ServiceName>| layers(services, depends);
    let strategy = match request {
        Request::Restart { strategy, .. } => Some(strategy.unwrap_or(facts.project.restart.strategy)),
        _ => None,
    };
    let steps = match strategy {
        Some(strategy) => restart_steps(strategy, order(&acting(Action::Restart))),
        None if kind == Kind::Stop => order(&acting(Action::Stop)).into_iter().rev().map(|services| Step::Stop { services }).collect(),
        None => {
            let created: Vec<ServiceName> = acting(Action::Create).into_iter().collect();
            let mut steps: Vec<Step> = order(&acting(Action::Start)).into_iter().map(|services| Step::Start { services }).collect();
            if !created.is_empty() {
                steps.push(Step::Up { services: created.clone() });
                steps.push(Step::Verify { services: created });
            }
            steps
        }
    };
    let warnings = warnings(request, &services, &by_service);
    let makes = services.iter().any(|s| s.action == Action::Create);
    if makes && !facts.unset.is_empty() {
        return Err(Failure::new(
            format!("{} cannot be started.", facts.project.name),
            format!("The compose file uses {}, which nothing sets.", listing(facts.unset, 5)),
            "Set it in production's .env, or give it a default in the compose file: ${NAME:-default}.",
        ));
    }
    let digest = digest(request, &steps, &services, |feed| {
        // What is made is made from the configuration; what is only started or stopped has its own.
        if makes {
            feed(facts.configuration.as_bytes());
        }
    });
    Ok(Plan { request: request.clone(), strategy, steps, services, files: None, release: None, not_copied: Vec::new(), warnings, digest })
}

fn restart_steps(strategy: Strategy, layers: Vec<Vec<ServiceName>>) -> Vec<Step> {
    match strategy {
        Strategy::Immediate => {
            let services: Vec<ServiceName> = layers.into_iter().flatten().collect();
            if services.is_empty() { Vec::new() } else { vec![Step::Restart { services }] }
        }
        Strategy::Graceful => {
            let stops = layers.iter().rev().map(|services| Step::Stop { services: services.clone() });
            let starts = layers.iter().map(|services| Step::Start { services: services.clone() });
            stops.chain(starts).collect()
        }
        Strategy::Rolling => layers.into_iter().flatten().map(|service| Step::Restart { services: vec![service] }).collect(),
        Strategy::Dependency => layers.into_iter().map(|services| Step::Restart { services }).collect(),
    }
}

fn check_presence(facts: &LifecycleFacts<'_>, request: &Request, known: &BTreeMap<&ServiceName, Vec<&Container>>) -> Result<(), Failure> {
    let project = &facts.project.name;
    if known.is_empty() || (facts.containers.is_empty() && request.kind() != Kind::Start) {
        return Err(Failure::new(
            format!("{project} has no containers."),
            "Nothing of it was ever started here, or it was taken down.",
            format!("Bring it up with /docker_deploy {project} or /docker_start {project}."),
        ));
    }
    match request.service() {
        Some(service) if !known.contains_key(service) => Err(Failure::new(
            format!("{project} has no service “{service}”."),
            offer(service.as_str(), known.keys().map(|s| s.as_str())),
            "Ask again with one of these names.",
        )),
        _ => Ok(()),
    }
}

/// The services that others wait for to be done: what nobody waits for so and ended well may be a service that was stopped.
fn jobs(containers: &[Container]) -> BTreeSet<ServiceName> {
    let labels = containers.iter().filter_map(|c| c.labels.get("com.docker.compose.depends_on"));
    let awaited = |part: &str| {
        let (name, how) = part.split_once(':')?;
        ServiceName::new(name).ok().filter(|_| how.starts_with("service_completed_successfully"))
    };
    labels.flat_map(|label| label.split(',').filter_map(awaited)).collect()
}

fn service_plan(
    project: &Project,
    request: &Request,
    service: &ServiceName,
    containers: &[&Container],
    jobs: &BTreeSet<ServiceName>,
) -> ServicePlan {
    let kind = request.kind();
    let stateful = project.stateful.contains(service);
    let named = request.service() == Some(service);
    let meant = match request.service() {
        Some(_) => named,
        None => !stateful,
    };
    let running = containers.iter().any(|c| matches!(c.state, State::Running | State::Restarting | State::Paused));
    let all_running = containers.iter().all(|c| c.state == State::Running);
    let done = !containers.is_empty() && containers.iter().all(|c| c.is_done());
    let action = match kind {
        // What is not there keeps no data that could be touched.
        Kind::Start if containers.is_empty() && request.service().is_none() => Action::Create,
        _ if !meant => Action::Stay,
        Kind::Stop if running => Action::Stop,
        Kind::Start if containers.is_empty() => Action::Create,
        Kind::Start if !all_running && (named || !(done && jobs.contains(service))) => Action::Start,
        Kind::Restart if !containers.is_empty() && (named || !done) => Action::Restart,
        _ => Action::Stay,
    };
    let reason = match action {
        Action::Stay if stateful && !meant && request.service().is_none() => Some("keeps data; name it to include it"),
        Action::Stay if meant && done && kind != Kind::Stop => Some("ended with code 0; name it to run it again"),
        _ => None,
    };
    let reasons = reason.map(str::to_owned).into_iter().collect();
    ServicePlan { service: service.clone(), action, build: false, reasons, stateful, ails: ails(containers) }
}

fn warnings(request: &Request, services: &[ServicePlan], known: &BTreeMap<&ServiceName, Vec<&Container>>) -> Vec<String> {
    let mut warnings = Vec::new();
    if request.kind() == Kind::Start {
        let done = |s: &&ServicePlan| known.get(&s.service).is_some_and(|c| !c.is_empty() && c.iter().all(|c| c.is_done()));
        let again: Vec<&ServiceName> = services.iter().filter(|s| s.action == Action::Start).filter(done).map(|s| &s.service).collect();
        if request.service().is_none() && !again.is_empty() {
            warnings.push(format!("{} ended with code 0: what is a job runs again.", listing(again, 4)));
        }
        return warnings;
    }
    for stopping in services.iter().filter(|s| s.action != Action::Stay) {
        let needed_by: Vec<&ServiceName> = services
            .iter()
            .filter(|s| {
                s.action == Action::Stay
                    && known.get(&s.service).is_some_and(|c| c.iter().any(|c| depends_on(c).contains(&stopping.service)))
            })
            .map(|s| &s.service)
            .collect();
        if !needed_by.is_empty() {
            warnings.push(format!("{} depends on {} and stays as it is meanwhile.", listing(needed_by, 4), stopping.service));
        }
    }
    warnings
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::container::tests::container;
    use crate::domain::request::Target;
    use expect_test::{Expect, expect};

    pub(crate) fn project() -> Project {
        Project {
            name: crate::domain::project::ProjectName::new("shop").unwrap(),
            description: None,
            enabled: true,
            source: crate::domain::project::Source::Compose(crate::domain::project::ComposeSource {
                files: vec!["docker-compose.yml".into()],
                name: "shop".into(),
            }),
            workspace: None,
            production: None,
            primary: None,
            stateful: [ServiceName::new("postgres").unwrap()].into(),
            exclude: Vec::new(),
            access: BTreeMap::new(),
            deploy: crate::domain::project::DeployPolicy::default(),
            restart: crate::domain::project::RestartPolicy::default(),
        }
    }

    fn shop() -> Vec<Container> {
        let mut web = container("web", State::Running, Health::Healthy);
        web.labels.insert("com.docker.compose.depends_on".into(), "api:service_healthy:false".into());
        let mut api = container("api", State::Running, Health::Unhealthy);
        api.labels.insert("com.docker.compose.depends_on".into(), "postgres:service_started:false".into());
        vec![web, api, container("postgres", State::Running, Health::None)]
    }

    fn target(service: Option<&str>) -> Target {
        Target { project: project().name, service: service.map(|s| ServiceName::new(s).unwrap()) }
    }

    fn check(request: Request, expect: Expect) {
        let (project, containers) = (project(), shop());
        let facts =
            LifecycleFacts { project: &project, containers: &containers, declared: &BTreeSet::new(), configuration: "", unset: &[] };
        let shown = match plan_lifecycle(&facts, &request) {
            Ok(plan) => {
                let services = plan.services.iter().map(|s| format!("{} {} {:?} {:?}", s.service, s.action.word(), s.reasons, s.ails));
                let steps = plan.steps.iter().map(Step::label);
                services.chain(steps).chain(plan.warnings.clone()).collect::<Vec<_>>().join("\n")
            }
            Err(failure) => format!("{failure} {}", failure.next),
        };
        expect.assert_eq(&shown);
    }

    #[test]
    fn a_restart_leaves_stateful_services_alone_unless_named() {
        check(
            Request::Restart { target: target(None), strategy: None },
            expect![[r#"
            api restart [] Some("unhealthy already")
            postgres stays ["keeps data; name it to include it"] None
            web restart [] None
            Restart api
            Restart web"#]],
        );
        check(
            Request::Restart { target: target(Some("postgres")), strategy: None },
            expect![[r#"
            api stays [] Some("unhealthy already")
            postgres restart [] None
            web stays [] None
            Restart postgres
            api depends on postgres and stays as it is meanwhile."#]],
        );
    }

    #[test]
    fn strategies_differ_in_their_steps() {
        let request = |strategy| Request::Restart { target: target(None), strategy: Some(strategy) };
        let steps = |strategy| {
            let (project, containers) = (project(), shop());
            let facts =
                LifecycleFacts { project: &project, containers: &containers, declared: &BTreeSet::new(), configuration: "", unset: &[] };
            plan_lifecycle(&facts, &request(strategy)).unwrap().steps.iter().map(Step::label).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(steps(Strategy::Immediate), "Restart api, web");
        assert_eq!(steps(Strategy::Graceful), "Stop web, Stop api, Start api, Start web");
        assert_eq!(steps(Strategy::Rolling), "Restart api, Restart web");
    }

    #[test]
    fn an_unknown_service_is_answered_with_the_known_ones() {
        check(
            Request::Stop(target(Some("nope"))),
            expect![["shop has no service “nope”. It has api, postgres, web. Ask again with one of these names."]],
        );
    }

    #[test]
    fn the_digest_binds_actions_and_not_the_state_of_what_stays() {
        let (project, mut containers) = (project(), shop());
        let declared = BTreeSet::new();
        let request = Request::Restart { target: target(None), strategy: None };
        let digest = |containers: &[Container]| {
            plan_lifecycle(&LifecycleFacts { project: &project, containers, declared: &declared, configuration: "", unset: &[] }, &request)
                .unwrap()
                .digest
        };
        let before = digest(&containers);
        containers[2].restarts = 9;
        containers[2].health = Health::Unhealthy;
        containers[0].started = Some(99);
        assert_eq!(digest(&containers), before);
        containers.remove(0);
        assert_ne!(digest(&containers), before, "a container that is gone changes what would be done");
    }
}
