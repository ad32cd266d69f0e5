//! The plan for starting and deploying services that dockmaster makes itself, where no files are promoted.

use std::collections::{BTreeMap, BTreeSet};

use super::deploy::Made;
use super::lifecycle::{self, ByService};
use super::needs::Needs;
use super::order::layered;
use super::{Action, Plan, ServicePlan, Step, digest};
use crate::domain::Millis;
use crate::domain::container::{Container, State};
use crate::domain::failure::Failure;
use crate::domain::names::offer;
use crate::domain::project::{Project, ServiceName};
use crate::domain::request::Request;
use crate::domain::untrusted::UntrustedText;

/// What that plan needs to know.
#[derive(Debug)]
pub struct ManagedFacts<'a> {
    /// The project.
    pub project: &'a Project,
    /// Its containers.
    pub containers: &'a [Container],
    /// Its services, as they are to be.
    pub services: &'a BTreeMap<ServiceName, ManagedService>,
    /// The services that a person stopped, and who it was.
    pub stopped: &'a BTreeMap<ServiceName, String>,
    /// The time.
    pub now: Millis,
}

/// A service as it is to be.
#[derive(Debug, Clone)]
pub struct ManagedService {
    /// What it is to be made from.
    pub made: Made,
    /// Whether it is to be a process of the host.
    pub process: bool,
    /// Its image; none where it is a process.
    pub image: Option<String>,
    /// The id of that image, where the engine has it.
    pub image_id: Option<String>,
}

/// Plans to make what is missing, to replace what was made from something else, and to start what is stopped.
///
/// # Errors
/// The named service is not there; something that is to come up depends on what is down, and nobody forced it.
pub fn plan_managed(facts: &ManagedFacts<'_>, request: &Request) -> Result<Plan, Failure> {
    let mut known: ByService<'_> = facts.services.keys().map(|service| (service, Vec::new())).collect();
    let counts = |c: &&Container| facts.services.get(&c.service).is_some_and(|service| service.made.counts(c));
    for container in facts.containers.iter().filter(counts) {
        known.entry(&container.service).or_default().push(container);
    }
    lifecycle::check_presence(facts.project, true, request, &known)?;
    let with = if let Request::Deploy { options, .. } = request { options.with.clone() } else { BTreeSet::new() };
    if let Some(stranger) = with.iter().find(|service| !facts.services.contains_key(*service)) {
        let what = format!("{} cannot be deployed.", facts.project.name);
        let near = offer(stranger.as_str(), facts.services.keys().map(ServiceName::as_str));
        return Err(Failure::new(what, format!("It has no service “{stranger}”."), near));
    }
    let needs = Needs::of(&facts.project.source, facts.containers, &BTreeMap::new());
    let planned = |(service, containers): (&&ServiceName, &Vec<&Container>)| {
        let is_to_be = facts.services.get(*service)?;
        let meant = match request.service() {
            Some(named) => named == *service,
            None => !facts.project.stateful.contains(*service) || with.contains(*service),
        };
        Some(service_plan(facts, request, service, is_to_be, containers, meant))
    };
    let services: Vec<ServicePlan> = known.iter().filter_map(planned).collect();
    let down = lifecycle::down(&services, &needs, &known);
    if !request.is_forced() && !down.is_empty() {
        return Err(lifecycle::refused(request, &down));
    }
    let steps = steps(facts, &services, &needs);
    let mut warnings = lifecycle::warnings(request, &services, &needs, &known, facts.stopped);
    warnings.extend(down.iter().map(lifecycle::Down::words));
    let digest = digest(request, &steps, &services, |_| {});
    Ok(Plan::without_files(request, steps, services, warnings, digest))
}

fn service_plan(
    facts: &ManagedFacts<'_>,
    request: &Request,
    service: &ServiceName,
    is_to_be: &ManagedService,
    containers: &[&Container],
    meant: bool,
) -> ServicePlan {
    let stateful = facts.project.stateful.contains(service);
    let named = request.service() == Some(service);
    let differs = is_to_be.made.differs(containers);
    let other_kind = containers.iter().any(|c| c.is_process() != is_to_be.process);
    let moved = is_to_be.image_id.as_ref().filter(|id| containers.iter().any(|c| c.image_id != **id)).and(is_to_be.image.as_ref());
    let moved = moved.map(|image| format!("{} means another image now", UntrustedText::from(image)));
    let moved = moved.filter(|_| !other_kind);
    let kind = other_kind.then(|| if is_to_be.process { "is a container" } else { "is a process" }.to_owned());
    let few = kind.is_none() && differs.is_some() && !is_to_be.made.is_other(containers) && moved.is_none();
    let why: Vec<String> = kind.into_iter().chain(differs.filter(|_| !other_kind)).chain(moved).collect();
    let up = containers.iter().all(|c| matches!(c.state, State::Running | State::Restarting));
    let done = !containers.is_empty() && !facts.stopped.contains_key(service) && containers.iter().all(|c| c.is_done());
    let (action, reasons) = match (containers.is_empty(), why.is_empty()) {
        // What is not there keeps no data that could be touched.
        (true, _) if meant || request.service().is_none() => (Action::Create, vec!["new".to_owned()]),
        (true, _) => (Action::Stay, Vec::new()),
        _ if !meant && stateful && request.service().is_none() && !why.is_empty() => {
            (Action::Stay, vec![format!("it keeps data; pending: {}", why.join(", "))])
        }
        _ if !meant && stateful && request.service().is_none() => (Action::Stay, vec!["keeps data; name it to include it".to_owned()]),
        _ if !meant => (Action::Stay, Vec::new()),
        (_, false) => (if few { Action::Create } else { Action::Recreate }, why),
        (_, true) if up => (Action::Stay, Vec::new()),
        _ if done && !named => (Action::Stay, vec!["ended with code 0; name it to run it again".to_owned()]),
        _ => (Action::Start, Vec::new()),
    };
    let made_from = is_to_be.made.hash().map(str::to_owned);
    let ails = lifecycle::ails(containers, facts.now).filter(|_| !facts.stopped.contains_key(service));
    ServicePlan { reasons, stateful, ails, made_from, ..ServicePlan::of(service.clone(), action) }
}

fn steps(facts: &ManagedFacts<'_>, services: &[ServicePlan], needs: &Needs) -> Vec<Step> {
    let acting: BTreeSet<ServiceName> = services.iter().filter(|s| s.action != Action::Stay).map(|s| s.service.clone()).collect();
    let made = |s: &&ServicePlan| matches!(s.action, Action::Create | Action::Recreate);
    let missing = |service: &ServiceName| facts.services.get(service).is_some_and(|s| s.image.is_some() && s.image_id.is_none());
    let pulled: Vec<ServiceName> = services.iter().filter(made).map(|s| s.service.clone()).filter(missing).collect();
    let in_order: Vec<ServiceName> = layered(&acting, needs).into_iter().flatten().collect();
    if in_order.is_empty() {
        return Vec::new();
    }
    let pull = (!pulled.is_empty()).then_some(Step::Pull { services: pulled });
    pull.into_iter().chain([Step::Up { services: in_order.clone() }, Step::Verify { services: in_order }]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::container::Health;
    use crate::domain::container::tests::container;
    use crate::domain::managed::tests::definition;
    use crate::domain::managed::{Managed, label};
    use crate::domain::plan::Need;
    use crate::domain::plan::lifecycle::tests::project as shop;
    use crate::domain::project::Source;
    use crate::domain::request::{ReleaseOptions, Target};
    use expect_test::{Expect, expect};

    fn name(text: &str) -> ServiceName {
        ServiceName::new(text).unwrap()
    }

    /// `web` needs `api` healthy, `api` needs the stateful `postgres` started; `api` is there three times.
    fn tools() -> (Project, BTreeMap<ServiceName, ManagedService>) {
        let mut services = BTreeMap::new();
        for (service, needs, instances) in
            [("postgres", None, 1), ("api", Some(("postgres", Need::Started)), 3), ("web", Some(("api", Need::Healthy)), 1)]
        {
            let mut made = definition("example/all");
            made.instances = instances;
            made.depends_on = needs.into_iter().map(|(needed, need)| (name(needed), need)).collect();
            services.insert(name(service), made);
        }
        let is_to_be = services.iter().map(|(service, definition)| {
            let made = Made::Managed("now".into(), definition.instances);
            let image_id = Some("image".to_owned());
            (service.clone(), ManagedService { made, process: false, image: Some("example/all".into()), image_id })
        });
        let is_to_be = is_to_be.collect();
        let source = Source::Services(Managed {
            services,
            orphans: Default::default(),
            on_shutdown: Default::default(),
            registry_credentials: None,
        });
        (Project { source, ..shop() }, is_to_be)
    }

    fn running(service: &str, hash: &str) -> Container {
        let mut container = container(service, State::Running, Health::None);
        container.labels.insert(label::DEFINITION.into(), hash.into());
        container.image_id = "image".into();
        container
    }

    fn check(containers: &[Container], request: &Request, wanted: &Expect) {
        let (project, services) = tools();
        let facts = ManagedFacts { project: &project, containers, services: &services, stopped: &BTreeMap::new(), now: 1_000_000 };
        let shown = match plan_managed(&facts, request) {
            Ok(plan) => {
                let services = plan.services.iter().map(|s| format!("{} {} {:?}", s.service, s.action.word(), s.reasons));
                services.chain(plan.steps.iter().map(Step::label)).chain(plan.warnings.clone()).collect::<Vec<_>>().join("\n")
            }
            Err(failure) => format!("{failure} {}", failure.next),
        };
        wanted.assert_eq(&shown);
    }

    fn start(service: Option<&str>) -> Request {
        let target = Target { project: shop().name, service: service.map(name) };
        Request::Start { target, force: false }
    }

    #[test]
    fn what_is_missing_is_made_in_order_and_what_differs_is_replaced() {
        check(
            &[],
            &start(None),
            &expect![[r#"
            api create ["new"]
            postgres create ["new"]
            web create ["new"]
            Bring up postgres, api, web
            Verify postgres, api, web"#]],
        );
        let all = [running("postgres", "old"), running("api", "now"), running("api", "now"), running("web", "old")];
        check(
            &all,
            &start(None),
            &expect![[r#"
            api create ["2 of 3 instances there"]
            postgres stays ["it keeps data; pending: definition changed"]
            web recreate ["definition changed"]
            Bring up api, web
            Verify api, web"#]],
        );
        let deploy = Request::Deploy {
            project: shop().name,
            options: ReleaseOptions { with: [name("postgres")].into(), ..ReleaseOptions::default() },
        };
        check(
            &all,
            &deploy,
            &expect![[r#"
            api create ["2 of 3 instances there"]
            postgres recreate ["definition changed"]
            web recreate ["definition changed"]
            Bring up postgres, api, web
            Verify postgres, api, web"#]],
        );
    }

    #[test]
    fn what_is_as_it_is_to_be_stays_and_what_it_needs_must_be_up() {
        let mut all = vec![running("postgres", "now"), running("web", "now")];
        all.extend([1, 2, 3].map(|_| running("api", "now")));
        check(
            &all,
            &start(None),
            &expect![[r#"
            api stays []
            postgres stays ["keeps data; name it to include it"]
            web stays []"#]],
        );
        all[0].state = State::Exited;
        all[1].state = State::Exited;
        all[2].state = State::Exited;
        check(
            &all,
            &start(None),
            &expect![[
                r#"shop was not started: it depends on what is down. api depends on postgres, which is down (ended with code 0). See to that one first: /docker_start shop/postgres. Or do it all the same: /docker_start shop force."#
            ]],
        );
        check(
            &all,
            &start(Some("postgres")),
            &expect![[r#"
            api stays []
            postgres start []
            web stays []
            Bring up postgres
            Verify postgres"#]],
        );
    }

    #[test]
    fn an_image_that_is_not_there_is_pulled_first() {
        let (project, mut services) = tools();
        services.get_mut("web").unwrap().image_id = None;
        let facts = ManagedFacts { project: &project, containers: &[], services: &services, stopped: &BTreeMap::new(), now: 0 };
        let plan = plan_managed(&facts, &start(None)).unwrap();
        assert_eq!(plan.steps[0], Step::Pull { services: vec![name("web")] });
        let before = plan.digest;
        services.get_mut("web").unwrap().made = Made::Managed("other".into(), 1);
        let facts = ManagedFacts { project: &project, containers: &[], services: &services, stopped: &BTreeMap::new(), now: 0 };
        assert_ne!(plan_managed(&facts, &start(None)).unwrap().digest, before, "what it is made from is confirmed, too");
    }
}
