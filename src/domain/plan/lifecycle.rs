//! Plans for starting, stopping and restarting.

use std::collections::{BTreeMap, BTreeSet};

use super::links::{Links, shared, shares_what_is_gone, take_along};
use super::needs::{Declared, Needs, lacks};
use super::order::{layered, restart_steps, restarts, start_steps, stop_steps};
use super::{Action, Plan, Replicas, ServicePlan, Step, Variables, digest};
use crate::domain::Millis;
use crate::domain::container::{Condition, Container, State};
use crate::domain::desired::{DesiredState, Standing};
use crate::domain::failure::Failure;
use crate::domain::names::offer;
use crate::domain::project::{Project, ServiceName, Source, Strategy};
use crate::domain::request::{Kind, Request};
use crate::domain::shared::Shared;
use crate::domain::text::{capital, listing};
use crate::domain::untrusted::UntrustedText;

/// How many services that are down are named where that is the reason for a refusal.
const DOWN_SHOWN: usize = 4;

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
    pub variables: &'a Variables,
    /// What its files declare, as far as they were asked; of a start, what has no container can be made. Empty where nothing
    /// declares it.
    pub declared: &'a BTreeMap<ServiceName, Declared>,
    /// What production's compose files say of which services there are to be, as far as that is known.
    pub desired: Option<&'a DesiredState>,
    /// The services that a person stopped, and who it was: `stopped by Ann`.
    pub stopped: &'a BTreeMap<ServiceName, String>,
    /// The services that could not start again, and what they share of a container that is gone.
    pub ownerless: &'a BTreeMap<ServiceName, Shared>,
    /// The time.
    pub now: Millis,
}

/// The containers by service.
pub(super) type ByService<'a> = BTreeMap<&'a ServiceName, Vec<&'a Container>>;

/// What is wrong with a service before anything was done, in a few words.
pub(super) fn ails(containers: &[&Container], now: Millis) -> Option<String> {
    let one = |c: &&Container| match c.condition(now) {
        Condition::Unhealthy => Some("unhealthy already".to_owned()),
        Condition::Restarting => Some(format!("restarting in a loop already ({} times)", c.restarts)),
        Condition::Failed if c.not_started().is_some() => Some("could not be started already".to_owned()),
        Condition::Stopped | Condition::Failed if !c.ended_well() => Some(format!("ended already, with code {}", c.exit_code)),
        _ => None,
    };
    containers.iter().find_map(one)
}

/// Plans a start, stop or restart.
///
/// # Errors
/// The named service is not there, or nothing is there at all; something that is to come up depends on what is down, and
/// nobody forced it.
pub fn plan_lifecycle(facts: &LifecycleFacts<'_>, request: &Request) -> Result<Plan, Failure> {
    let kind = request.kind();
    let creatable = facts.declared.keys().filter(|_| kind == Kind::Start);
    let mut by_service: ByService<'_> = creatable.map(|s| (s, Vec::new())).collect();
    for container in facts.containers {
        by_service.entry(&container.service).or_default().push(container);
    }
    check_presence(facts.project, !facts.containers.is_empty() || kind == Kind::Start, request, &by_service)?;
    let needs = Needs::of(&facts.project.source, facts.containers, facts.declared);
    // What has ended is nothing to a stop, and what was stopped on purpose ails nothing.
    let counts = |service: &ServiceName, containers: &[&Container]| {
        !facts.stopped.contains_key(service) && (kind != Kind::Stop || containers.iter().any(|c| c.may_run()))
    };
    let planned = |(service, containers): (&&ServiceName, &Vec<&Container>)| ServicePlan {
        ails: ails(containers, facts.now).filter(|_| counts(service, containers)),
        ..service_plan(facts, request, service, containers)
    };
    let mut services: Vec<ServicePlan> = by_service.iter().map(planned).collect();
    check_swarm(request, &services, &by_service)?;
    leave_ownerless(facts, request, &mut services)?;
    let links = Links::of_containers(&facts.project.source, facts.containers);
    let along = take_along(kind, &mut services, &links, &by_service, (facts.stopped, facts.ownerless));
    let down = down(&services, &needs, &by_service);
    // What is only taken along is no reason to refuse what was asked for.
    if !request.is_forced() && down.iter().any(|down| !along.contains(down.service)) {
        return Err(refused(request, &down));
    }
    let acting = |wanted: Action| services.iter().filter(|s| s.action == wanted).map(|s| s.service.clone()).collect::<BTreeSet<_>>();
    let strategy = match request {
        Request::Restart { strategy, .. } => Some(strategy.unwrap_or(facts.project.restart.strategy)),
        _ => None,
    };
    let by_compose = by_compose(facts, request, &services, &needs, &by_service);
    let created = [Action::Create, Action::Scale, Action::Recreate].into_iter().flat_map(acting).collect::<BTreeSet<ServiceName>>();
    let started = acting(Action::Start);
    let steps = match (strategy, kind) {
        (Some(Strategy::Immediate), _) => restarts(&acting(Action::Restart), |service| links.owners(service)),
        (Some(strategy), _) => restart_steps(strategy, layered(&acting(Action::Restart), &needs)),
        (None, Kind::Stop) if by_compose => {
            let services = layered(&acting(Action::Stop), &needs).into_iter().rev().flatten().collect();
            vec![Step::Stop { services }]
        }
        (None, Kind::Stop) => stop_steps(layered(&acting(Action::Stop), &needs)),
        (None, _) if by_compose => {
            let all = started.union(&created).cloned().collect();
            start_steps(Vec::new(), layered(&all, &needs).into_iter().flatten().collect())
        }
        (None, _) => {
            let mut steps = start_steps(layered(&started, &needs), created.iter().cloned().collect());
            // What shares a namespace of what was down runs without it.
            steps.extend(restarts(&acting(Action::Restart), |service| needs.names(service)));
            steps
        }
    };
    let mut warnings = warnings(request, &services, &needs, &by_service, facts.stopped);
    let taking_part = services.iter().filter(|s| kind == Kind::Start && s.action != Action::Stay);
    warnings.extend(taking_part.filter_map(|s| s.replicas?.beyond(&s.service)));
    warnings.extend(down.iter().map(Down::words));
    let makes = !created.is_empty();
    if makes {
        facts.variables.check(&format!("{} cannot be started.", facts.project.name))?;
    }
    let unset = if makes { facts.variables.news() } else { Vec::new() };
    let digest = digest(request, &steps, &services, |feed| {
        // What is made is made from the configuration; what is only started or stopped has its own.
        if makes {
            feed(facts.configuration.as_bytes());
        }
    });
    Ok(Plan { strategy, by_compose, unset, ..Plan::without_files(request, steps, services, warnings, digest) })
}

/// Leaves what could not start again as it is: a restart would only stop it.
///
/// # Errors
/// It is what was named.
fn leave_ownerless(facts: &LifecycleFacts<'_>, request: &Request, services: &mut [ServicePlan]) -> Result<(), Failure> {
    let project = &facts.project.name;
    let remedy = |service: &ServiceName| match facts.project.source {
        // A deploy leaves these as they are, too.
        Source::Compose(_) if facts.stopped.contains_key(service) || facts.project.stateful.contains(service) => {
            format!("/docker_deploy {project} with={service} recreates it")
        }
        Source::Compose(_) => format!("/docker_deploy {project} recreates it"),
        Source::Containers(_) | Source::Services(_) => "make it anew".to_owned(),
    };
    for planned in services.iter_mut().filter(|s| matches!(s.action, Action::Start | Action::Restart)) {
        let Some(what) = facts.ownerless.get(&planned.service) else { continue };
        let (service, why) = (&planned.service, shares_what_is_gone(*what));
        if request.service() == Some(service) {
            let done = if request.kind() == Kind::Restart { "restarted" } else { "started" };
            let what = format!("{project}/{service} was not {done}: it {why}.");
            return Err(Failure::new(what, "The engine starts no container without that one.", format!("{}.", capital(&remedy(service)))));
        }
        planned.action = Action::Stay;
        planned.reasons = vec![format!("{why}, so it could not start again; {}", remedy(service))];
    }
    Ok(())
}

/// Whether one call of Compose starts or stops all of it and touches nothing else.
fn by_compose(facts: &LifecycleFacts<'_>, request: &Request, services: &[ServicePlan], needs: &Needs, known: &ByService<'_>) -> bool {
    // Compose knows no order between a container and one that shares something of it by its name.
    let is_ordered = |service: &ServiceName| {
        let declared = facts.declared.get(service);
        shared(facts.containers)
            .filter(|(by, ..)| *by == service)
            .all(|(_, owner, _)| declared.is_some_and(|d| d.needs.contains_key(owner)))
    };
    let acting: BTreeMap<&ServiceName, Action> =
        services.iter().filter(|s| s.action != Action::Stay).map(|s| (&s.service, s.action)).collect();
    let whole_project = request.service().is_none() && matches!(request.kind(), Kind::Start | Kind::Stop);
    if !matches!(facts.project.source, Source::Compose(_))
        || !whole_project
        || acting.is_empty()
        || acting.values().any(|action| matches!(action, Action::Restart | Action::Recreate))
        || acting.keys().any(|service| !is_ordered(service))
        || !acting.keys().all(|s| facts.declared.contains_key(*s))
    {
        return false;
    }
    let count = |service: &ServiceName| known.get(service).map_or(0, |c| u64::try_from(c.len()).unwrap_or(u64::MAX));
    // Containers beyond what is declared would be removed.
    let fits = |service: &ServiceName| facts.declared.get(service).is_some_and(|d| count(service) <= d.replicas);
    // What is made is labelled with all that it needs, which has to stand beside it, and must give Compose nothing to do.
    let stands = |service: &ServiceName| {
        let is_whole = facts.declared.get(service).is_some_and(|d| count(service) == d.replicas);
        acting.contains_key(service) || (is_whole && known.get(service).is_some_and(|c| !c.is_empty() && c.iter().all(|c| c.is_up())))
    };
    let whole = |service: &ServiceName| {
        let optional = facts.declared.get(service).into_iter().flat_map(|d| &d.optional);
        needs.of_service(service).map(|(needed, _)| needed).chain(optional).all(stands)
    };
    request.kind() == Kind::Stop
        || acting.iter().all(|(service, action)| fits(service) && (!matches!(action, Action::Create | Action::Scale) || whole(service)))
}

/// A service that takes part, one that does not and that it needs, and what is wrong with that.
pub(super) struct Down<'a> {
    service: &'a ServiceName,
    needed: ServiceName,
    how: String,
}

impl Down<'_> {
    /// In a sentence.
    pub(super) fn words(&self) -> String {
        format!("{} depends on {}, which {}.", self.service, self.needed, self.how)
    }
}

/// What is to come up and needs what is down and stays so.
pub(super) fn down<'a>(services: &'a [ServicePlan], needs: &Needs, known: &ByService<'_>) -> Vec<Down<'a>> {
    let comes_up =
        |s: &&ServicePlan| matches!(s.action, Action::Start | Action::Restart | Action::Create | Action::Recreate | Action::Scale);
    let stays = |service: &ServiceName| !services.iter().any(|s| s.service == *service && s.action != Action::Stay);
    let mut all = Vec::new();
    for service in services.iter().filter(comes_up).map(|s| &s.service) {
        for (needed, need) in needs.of_service(service).filter(|(needed, _)| stays(needed)) {
            let containers = known.get(needed).map_or(&[][..], Vec::as_slice);
            all.extend(lacks(containers, need).map(|how| Down { service, needed: needed.clone(), how }));
        }
    }
    all
}

pub(super) fn refused(request: &Request, down: &[Down<'_>]) -> Failure {
    let (kind, project) = (request.kind(), request.project());
    let target = request.service().map_or_else(|| project.to_string(), |service| format!("{project}/{service}"));
    let done = if kind == Kind::Restart { "restarted" } else { "started" };
    let each = down.iter().take(DOWN_SHOWN).map(|d| format!("{} depends on {}, which {}", d.service, d.needed, d.how));
    let more = down.len().checked_sub(DOWN_SHOWN).filter(|n| *n > 0).map_or_else(String::new, |n| format!("; and {n} more"));
    let first = down.first().map_or_else(String::new, |d| {
        // What runs is not started.
        let command = if d.how == "is unhealthy" { Kind::Restart.command() } else { Kind::Start.command() };
        format!("See to that one first: {command} {project}/{}. ", d.needed)
    });
    Failure::new(
        format!("{target} was not {done}: it depends on what is down."),
        format!("{}{more}.", each.collect::<Vec<_>>().join("; ")),
        format!("{first}Or do it all the same: {} {target} force.", kind.command()),
    )
}

pub(super) fn check_presence(project: &Project, there: bool, request: &Request, known: &ByService<'_>) -> Result<(), Failure> {
    let project = &project.name;
    if known.is_empty() || !there {
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

/// Swarm looks after the containers of its services itself: beside one that somebody else restarts or starts it runs another.
fn check_swarm(request: &Request, services: &[ServicePlan], known: &ByService<'_>) -> Result<(), Failure> {
    let acting = services.iter().filter(|s| s.action != Action::Stay);
    let containers = acting.flat_map(|s| known.get(&s.service).into_iter().flatten());
    let Some(service) = containers.filter_map(|c| c.swarm_service()).next() else { return Ok(()) };
    let service = UntrustedText::from(service);
    let done = match request.kind() {
        Kind::Start => "started",
        Kind::Stop => "stopped",
        _ => "restarted",
    };
    Err(Failure::new(
        format!("{} was not {done}.", request.project()),
        format!("It has a container of the Swarm service {service}; Swarm would make another beside it."),
        format!("Ask Swarm itself: docker service update --force {service}"),
    ))
}

fn service_plan(facts: &LifecycleFacts<'_>, request: &Request, service: &ServiceName, containers: &[&Container]) -> ServicePlan {
    let project = facts.project;
    let kind = request.kind();
    let stateful = project.stateful.contains(service);
    let named = request.service() == Some(service);
    let meant = match request.service() {
        Some(_) => named,
        None => !stateful,
    };
    let running = containers.iter().any(|c| c.runs());
    let all_running = containers.iter().all(|c| c.state == State::Running);
    // What was stopped before it could end is not done.
    let done = !containers.is_empty() && !facts.stopped.contains_key(service) && containers.iter().all(|c| c.is_done());
    // Compose leaves these alone, too, unless they are named.
    let left_alone = facts.desired.map(|desired| desired.of(service)).filter(|standing| match standing {
        Standing::Declared(_) => kind == Kind::Start,
        Standing::Inactive | Standing::Leftover => true,
    });
    let left_alone = left_alone.and_then(Standing::left_alone).filter(|_| request.service().is_none());
    if let Some(why) = left_alone.filter(|_| !containers.is_empty()) {
        let reasons = vec![format!("{why}; name it to include it")];
        return ServicePlan { reasons, stateful, ..ServicePlan::of(service.clone(), Action::Stay) };
    }
    let replicas = facts.declared.get(service).map(|declared| Replicas::of(containers, declared.replicas));
    let missing = replicas.and_then(Replicas::wanted).filter(|(action, _)| *action == Action::Scale);
    let missing = missing.filter(|_| replicas.is_some_and(|r| r.there < r.declared));
    let replicas = replicas.filter(|replicas| kind == Kind::Start && !replicas.are_plain());
    let action = match kind {
        // What is not there keeps no data that could be touched.
        Kind::Start if containers.is_empty() && request.service().is_none() => Action::Create,
        _ if !meant => Action::Stay,
        Kind::Stop if running => Action::Stop,
        Kind::Start if containers.is_empty() => Action::Create,
        Kind::Start if missing.is_some() && (named || !done) => Action::Scale,
        Kind::Start if !all_running && (named || !done) => Action::Start,
        Kind::Restart if !containers.is_empty() && (named || !done) => Action::Restart,
        _ => Action::Stay,
    };
    let scale = missing.map(|(_, why)| why).filter(|_| action == Action::Scale);
    let reason = match action {
        Action::Stay if stateful && !meant && request.service().is_none() => Some("keeps data; name it to include it"),
        Action::Stay if meant && done && kind != Kind::Stop => Some("ended with code 0; name it to run it again"),
        _ => None,
    };
    let reasons = reason.map(str::to_owned).into_iter().chain(scale).collect();
    ServicePlan { reasons, stateful, replicas, ..ServicePlan::of(service.clone(), action) }
}

/// That a job runs again where it is started, and why; none of what is no job, or never ran.
fn runs_again(containers: &[&Container]) -> Option<String> {
    let job = containers.iter().find(|c| c.purpose.is_to_end() && c.state == State::Exited)?;
    Some(match job.exit_code {
        0 => "is a job that was done, and runs again".to_owned(),
        code => format!("failed last time (code {code}) and runs again"),
    })
}

pub(super) fn warnings(
    request: &Request,
    services: &[ServicePlan],
    needs: &Needs,
    known: &ByService<'_>,
    stopped: &BTreeMap<ServiceName, String>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    if request.kind() == Kind::Start {
        let of = |service: &ServiceName| known.get(service).map_or(&[][..], Vec::as_slice);
        let starts = services.iter().filter(|s| s.action == Action::Start && !stopped.contains_key(&s.service)).map(|s| &s.service);
        return starts.filter_map(|service| Some(format!("{service} {}.", runs_again(of(service))?))).collect();
    }
    for stopping in services.iter().filter(|s| s.action != Action::Stay) {
        let runs = |s: &ServicePlan| known.get(&s.service).is_some_and(|containers| containers.iter().any(|c| c.may_run()));
        let needs_it =
            |s: &&ServicePlan| s.action == Action::Stay && runs(s) && needs.of_service(&s.service).any(|(n, _)| *n == stopping.service);
        let needed_by: Vec<&ServiceName> = services.iter().filter(needs_it).map(|s| &s.service).collect();
        if !needed_by.is_empty() {
            warnings.push(format!("{} depends on {} and stays as it is meanwhile.", listing(needed_by, 4), stopping.service));
        }
    }
    warnings
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::container::Health;
    use crate::domain::container::tests::container;
    use crate::domain::plan::Need;
    use crate::domain::project::{ComposeSource, ProjectName, Strategy};
    use crate::domain::request::Target;
    use expect_test::{Expect, expect};

    pub(crate) fn project() -> Project {
        let source = Source::Compose(ComposeSource { files: vec!["docker-compose.yml".into()], name: "shop".into() });
        let stateful = [ServiceName::new("postgres").unwrap()].into();
        Project { stateful, ..Project::new(ProjectName::new("shop").unwrap(), source) }
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

    fn restart(service: Option<&str>, strategy: Option<Strategy>) -> Request {
        Request::Restart { target: target(service), strategy, force: false }
    }

    fn name(text: &str) -> ServiceName {
        ServiceName::new(text).unwrap()
    }

    /// What the files of [`shop`] declare, each with one container.
    fn declared() -> BTreeMap<ServiceName, Declared> {
        let of = |needs: &[(&str, Need)]| Declared {
            needs: needs.iter().map(|(service, need)| (name(service), *need)).collect(),
            optional: BTreeSet::new(),
            replicas: 1,
        };
        let (web, api) = (of(&[("api", Need::Healthy)]), of(&[("postgres", Need::Started)]));
        [(name("web"), web), (name("api"), api), (name("postgres"), of(&[]))].into()
    }

    fn plan(containers: &[Container], declared: &BTreeMap<ServiceName, Declared>, request: &Request) -> Result<Plan, Failure> {
        let project = project();
        let facts = LifecycleFacts {
            project: &project,
            containers,
            declared,
            desired: None,
            configuration: "",
            variables: &Variables::default(),
            stopped: &BTreeMap::new(),
            ownerless: &BTreeMap::new(),
            now: 1_000_000,
        };
        plan_lifecycle(&facts, request)
    }

    fn check_with(containers: &[Container], declared: &BTreeMap<ServiceName, Declared>, request: &Request, expect: Expect) {
        let shown = match plan(containers, declared, request) {
            Ok(plan) => {
                let services = plan.services.iter().map(|s| format!("{} {} {:?} {:?}", s.service, s.action.word(), s.reasons, s.ails));
                let by = plan.by_compose.then(|| "by one call of Compose".to_owned());
                let steps = plan.steps.iter().map(Step::label).chain(by);
                services.chain(steps).chain(plan.warnings.clone()).collect::<Vec<_>>().join("\n")
            }
            Err(failure) => format!("{failure} {}", failure.next),
        };
        expect.assert_eq(&shown);
    }

    fn check(request: Request, expect: Expect) {
        check_with(&shop(), &BTreeMap::new(), &request, expect);
    }

    #[test]
    fn a_restart_leaves_stateful_services_alone_unless_named() {
        check(
            restart(None, None),
            expect![[r#"
            api restart [] Some("unhealthy already")
            postgres stays ["keeps data; name it to include it"] None
            web restart [] None
            Stop web
            Stop api
            Start api
            Start web
            Verify api, web"#]],
        );
        check(
            restart(Some("postgres"), None),
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
        let steps = |strategy| {
            let mut containers = shop();
            containers.push(container("extra", State::Running, Health::None));
            let plan = plan(&containers, &BTreeMap::new(), &restart(None, Some(strategy))).unwrap();
            plan.steps.iter().map(Step::label).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(steps(Strategy::Immediate), "Restart api, extra, web");
        assert_eq!(steps(Strategy::Graceful), "Stop api, extra, web; Start api, extra; Start web; Verify api, extra, web");
        assert_eq!(steps(Strategy::Rolling), "Restart api; Restart extra; Restart web");
        assert_eq!(steps(Strategy::Dependency), "Stop web; Stop api, extra; Start api, extra; Start web; Verify api, extra, web");
        let one = plan(&shop(), &BTreeMap::new(), &restart(Some("web"), Some(Strategy::Dependency)));
        assert!(one.is_err(), "api is unhealthy");
        let one = plan(&shop(), &BTreeMap::new(), &restart(Some("api"), Some(Strategy::Dependency))).unwrap();
        assert_eq!(one.steps, [Step::Restart { services: vec![name("api")] }], "what is one layer is restarted at once");
    }

    #[test]
    fn what_depends_on_something_that_is_down_is_left_unless_forced() {
        let mut containers = shop();
        containers[2].state = State::Exited;
        containers[2].exit_code = 143;
        check_with(
            &containers,
            &BTreeMap::new(),
            &restart(None, None),
            expect![
                "shop was not restarted: it depends on what is down. api depends on postgres, which is down (ended with code 143). See to that one first: /docker_start shop/postgres. Or do it all the same: /docker_restart shop force."
            ],
        );
        check_with(
            &containers,
            &BTreeMap::new(),
            &restart(Some("web"), None),
            expect![
                "shop/web was not restarted: it depends on what is down. web depends on api, which is unhealthy. See to that one first: /docker_restart shop/api. Or do it all the same: /docker_restart shop/web force."
            ],
        );
        let forced = Request::Restart { target: target(Some("api")), strategy: None, force: true };
        check_with(
            &containers,
            &BTreeMap::new(),
            &forced,
            expect![[r#"
            api restart [] Some("unhealthy already")
            postgres stays [] Some("ended already, with code 143")
            web stays [] None
            Restart api
            web depends on api and stays as it is meanwhile.
            api depends on postgres, which is down (ended with code 143)."#]],
        );
        // What is down itself is started, and what takes part is none that is in the way.
        assert!(plan(&containers, &BTreeMap::new(), &restart(Some("postgres"), None)).is_ok());
        assert!(plan(&containers, &BTreeMap::new(), &Request::Stop(target(None))).is_ok());
        containers[0].state = State::Exited;
        containers[1].state = State::Exited;
        let start = Request::Start { target: target(None), force: false };
        check_with(
            &containers,
            &declared(),
            &start,
            expect![
                "shop was not started: it depends on what is down. api depends on postgres, which is down (ended with code 143). See to that one first: /docker_start shop/postgres. Or do it all the same: /docker_start shop force."
            ],
        );
        // With force it is nothing for Compose only where something is to be made of which that is a part.
        let forced = Request::Start { target: target(None), force: true };
        assert!(plan(&containers, &declared(), &forced).unwrap().by_compose);
        containers.remove(1);
        assert!(!plan(&containers, &declared(), &forced).unwrap().by_compose);
    }

    #[test]
    fn compose_starts_and_stops_a_whole_project_at_once_where_it_knows_it() {
        let (mut containers, declared) = (shop(), declared());
        check_with(
            &containers,
            &declared,
            &Request::Stop(target(None)),
            expect![[r#"
            api stop [] Some("unhealthy already")
            postgres stays ["keeps data; name it to include it"] None
            web stop [] None
            Stop web, api
            by one call of Compose"#]],
        );
        let named = plan(&containers, &declared, &Request::Stop(target(Some("web")))).unwrap();
        assert!(!named.by_compose, "what is named is the engine's");
        let nothing = plan(&containers, &BTreeMap::new(), &Request::Stop(target(None))).unwrap();
        assert_eq!(nothing.steps.iter().map(Step::label).collect::<Vec<_>>(), ["Stop web", "Stop api"], "without files, too");
        containers[0].state = State::Exited;
        containers[1].state = State::Exited;
        let start = Request::Start { target: target(None), force: false };
        check_with(
            &containers,
            &declared,
            &start,
            expect![[r#"
                api start [] None
                postgres stays ["keeps data; name it to include it"] None
                web start [] None
                Bring up api, web
                Verify api, web
                by one call of Compose"#]],
        );
        let by_hand = plan(&containers, &BTreeMap::new(), &start).unwrap();
        assert_eq!(by_hand.steps.iter().map(Step::label).collect::<Vec<_>>(), ["Start api", "Start web", "Verify api, web"]);

        // A container more than is declared would be removed, and one of a service that is gone from the files is unknown.
        let mut more = containers.clone();
        more.push(Container { name: "shop-web-2".into(), ..more[0].clone() });
        assert!(!plan(&more, &declared, &start).unwrap().by_compose);
        assert!(plan(&more, &declared, &Request::Stop(target(None))).unwrap().is_empty(), "nothing runs");
        let mut fewer = declared.clone();
        fewer.remove(&name("web"));
        assert!(!plan(&containers, &fewer, &start).unwrap().by_compose);
        containers.clear();
        check_with(
            &containers,
            &declared,
            &start,
            expect![[r#"
            api create [] None
            postgres create [] None
            web create [] None
            Bring up postgres, api, web
            Verify postgres, api, web
            by one call of Compose"#]],
        );
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
        let mut containers = shop();
        let digest = |containers: &[Container]| plan(containers, &BTreeMap::new(), &restart(None, None)).unwrap().digest;
        let before = digest(&containers);
        containers[2].restarts = 9;
        containers[2].health = Health::Unhealthy;
        containers[0].started = Some(99);
        assert_eq!(digest(&containers), before);
        containers.remove(0);
        assert_ne!(digest(&containers), before, "a container that is gone changes what would be done");
        let forced = Request::Restart { target: target(None), strategy: None, force: true };
        let forced = plan(&shop(), &BTreeMap::new(), &forced).unwrap();
        assert_ne!(forced.digest, before, "that it is forced is confirmed, too");
    }
}
