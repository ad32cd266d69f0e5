use expect_test::{Expect, expect};

use super::*;
use crate::domain::container::Health;
use crate::domain::container::tests::container;
use crate::domain::job::{Job, Purpose};
use crate::domain::manifest::{Entry, Node};
use crate::domain::plan::is_store;
use crate::domain::plan::lifecycle::tests::project;
use crate::domain::plan::links::Link;
use crate::domain::request::ReleaseOptions;
use crate::domain::shared::{Shared, Sharing};

fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

/// Services that need each other in this order, as their containers were made: `image` is what each runs.
fn services(names: &[&str]) -> Vec<ServiceFacts> {
    let fact = |(at, service): (usize, &&str)| ServiceFacts {
        name: name(service),
        made: Made::Compose(ConfigHash { whole: "now".into(), alone: "now".into() }),
        build: None,
        image_id: Some("sha256:1".into()),
        image: format!("example/{service}:1"),
        replicas: Some(1),
        depends_on: names.get(at.wrapping_sub(1)).map(|needed| name(needed)).into_iter().collect(),
        mounts: Vec::new(),
        asks: Vec::new(),
        seems_stateful: is_store(service),
        pull: Pull::default(),
        unseen: Vec::new(),
        upgraded: None,
        content: None,
    };
    names.iter().enumerate().map(fact).collect()
}

fn running(service: &str) -> Container {
    let mut made = container(service, State::Running, Health::None);
    made.labels.insert("com.docker.compose.config-hash".into(), "now".into());
    made.image = format!("example/{service}:1");
    made.image_id = "sha256:1".into();
    made
}

fn ended(service: &str, code: i64) -> Container {
    Container { state: State::Exited, exit_code: code, ..running(service) }
}

fn job(container: Container) -> Container {
    Container { purpose: Purpose { job: Some(Job::Named), serves: false }, ..container }
}

struct Given {
    services: Vec<ServiceFacts>,
    containers: Vec<Container>,
    stopped: BTreeMap<ServiceName, String>,
    ownerless: BTreeMap<ServiceName, Shared>,
    new_file: bool,
    first: bool,
    links: Links,
    desired: Option<DesiredState>,
    before: BTreeSet<ServiceName>,
    added: BTreeSet<ServiceName>,
    back: bool,
}

impl Given {
    fn of(containers: Vec<Container>) -> Self {
        let names: Vec<String> = containers.iter().map(|c| c.service.to_string()).collect();
        let services = services(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let (stopped, before, added, links) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new(), Links::default());
        let ownerless = BTreeMap::new();
        Self { services, containers, stopped, ownerless, new_file: false, first: false, links, desired: None, before, added, back: false }
    }

    fn plan(&self, with: &[&str]) -> Plan {
        let (project, none) = (project(), BTreeSet::new());
        let file = |path: &str| (TreePath::from(path), Entry { node: Node::Link("x".into()), mode: 0 });
        let production: Manifest = [file("compose.yaml")].into_iter().collect();
        let workspace: Manifest = [file("compose.yaml")].into_iter().chain(self.new_file.then(|| file("note.txt"))).collect();
        let facts = DeployFacts {
            project: &project,
            workspace: &workspace,
            production: &production,
            owned: (!self.first).then_some(&production),
            services: &self.services,
            containers: &self.containers,
            links: &self.links,
            desired: self.desired.as_ref(),
            before: &self.before,
            added: &self.added,
            configuration: "",
            variables: &Variables::default(),
            staged: &workspace,
            written: &[],
            absent: &[],
            preserved: &Preserved::default(),
            release: 4,
            back: self.back,
            keeps: None,
            kept: &production,
            held: Some(&production),
            held_staged: Some(&production),
            free: None,
            lost: &none,
            stopped: &self.stopped,
            ownerless: &self.ownerless,
            missing: &[],
            resources: &Resources::default(),
            now: 1_000_000,
        };
        let with: BTreeSet<ServiceName> = with.iter().map(|service| name(service)).collect();
        let request =
            Request::Deploy { project: project.name.clone(), options: ReleaseOptions { with: with.clone(), ..ReleaseOptions::default() } };
        plan_deploy(&facts, &request, &with).unwrap()
    }

    fn check(&self, with: &[&str], expect: &Expect) {
        let plan = self.plan(with);
        let services = plan.services.iter().map(|s| format!("{} {} {:?} {:?}", s.service, s.action.word(), s.reasons, s.ails));
        let lines = services.chain(plan.steps.iter().map(Step::label)).chain(plan.warnings.iter().cloned());
        let release = format!("release {:?}", plan.release);
        expect.assert_eq(&lines.chain([release]).collect::<Vec<_>>().join("\n"));
    }
}

#[test]
fn down_service_is_started_without_a_release() {
    Given::of(vec![running("db"), ended("web", 7)]).check(
        &[],
        &expect![[r#"
            db stays [] None
            web start ["down: ended with code 7"] None
            Start web
            Verify web
            release None"#]],
    );
    let given = Given { new_file: true, ..Given::of(vec![running("db"), ended("web", 7)]) };
    given.check(
        &[],
        &expect![[r#"
            db stays [] None
            web start ["down: ended with code 7"] None
            Copy the workspace aside
            Bring the files into production
            Start web
            Verify web
            Record the release
            release Some(4)"#]],
    );
    let looping = Container { state: State::Restarting, restarts: 4, exit_code: 1, ..running("web") };
    let never = Container { state: State::Created, started: None, ..running("db") };
    Given::of(vec![never, looping]).check(
        &[],
        &expect![[r#"
            db start ["down: never started"] None
            web restart ["down: restarting in a loop"] Some("restarting in a loop already (4 times)")
            Start db
            Restart web
            Verify db, web
            release None"#]],
    );
}

#[test]
fn stopped_and_unnamed_stateful_services_stay_down() {
    // The project of these tests keeps data in postgres.
    let mut given = Given::of(vec![ended("postgres", 1), ended("api", 143), running("web")]);
    given.stopped = [(name("api"), "stopped by Ann".to_owned())].into();
    given.services[2].image_id = Some("sha256:2".into());
    given.check(
        &[],
        &expect![[r#"
            postgres stays ["it keeps data, and is down: ended with code 1"] None
            api stays ["stopped by Ann"] None
            web recreate ["`example/web:1` means another image now"] None
            Copy the workspace aside
            Bring up web
            Verify web
            Record the release
            web depends on api, which is down and stays so.
            release Some(4)"#]],
    );
    given.check(
        &["api", "postgres"],
        &expect![[r#"
            postgres start ["down: ended with code 1"] None
            api start ["stopped by Ann"] None
            web recreate ["`example/web:1` means another image now"] None
            Copy the workspace aside
            Bring up postgres, api, web
            Verify postgres, api, web
            Record the release
            release Some(4)"#]],
    );
}

#[test]
fn job_runs_again_only_where_the_plan_says_so() {
    Given::of(vec![job(ended("migrate", 0)), running("web")]).check(
        &[],
        &expect![[r#"
            migrate stays [] None
            web stays [] None
            release Some(4)"#]],
    );
    let mut given = Given::of(vec![job(ended("migrate", 3)), running("web")]);
    given.check(
        &[],
        &expect![[r#"
            migrate start ["failed last time (code 3): runs again"] None
            web stays [] None
            Start migrate
            Verify migrate
            release None"#]],
    );
    given.containers[0].exit_code = 0;
    given.services[0].image = "example/migrate:2".into();
    given.services[0].made = Made::Compose(ConfigHash { whole: "new".into(), alone: "new".into() });
    given.check(
        &[],
        &expect![[r#"
            migrate recreate ["image `example/migrate:1` -> `example/migrate:2`", "a job: runs again"] None
            web stays [] None
            Copy the workspace aside
            Bring up migrate
            Verify migrate
            Record the release
            release Some(4)"#]],
    );
}

#[test]
fn exit_code_zero_is_down_only_for_what_serves() {
    let mut serving = ended("web", 0);
    serving.purpose.serves = true;
    Given::of(vec![ended("other", 0), serving]).check(
        &[],
        &expect![[r#"
            other stays ["exited (0)"] None
            web start ["down: ended with code 0"] None
            Start web
            Verify web
            release None"#]],
    );
}

#[test]
fn mounts_of_a_first_deploy_are_one_line() {
    let mut given = Given::of(vec![running("db"), running("web")]);
    given.services[0].asks = vec!["a mount of /srv/data".into(), "privileged mode".into()];
    given.services[1].asks = vec!["a mount of /srv/data".into(), "a mount of /etc/ssl".into()];
    let later =
        ["db newly asks for a mount of /srv/data, privileged mode.", "web newly asks for a mount of /srv/data, a mount of /etc/ssl."];
    assert_eq!(given.plan(&[]).warnings, later);
    given.first = true;
    assert_eq!(given.plan(&[]).warnings, ["db newly asks for privileged mode.", "Mounts outside production: /etc/ssl, /srv/data."]);
}

/// What happens to each service that does not stay, with its reasons; then the steps and the warnings.
fn told(plan: &Plan) -> String {
    let service = |s: &ServicePlan| format!("{} {} {:?}{}", s.service, s.action.word(), s.reasons, if s.forced { " forced" } else { "" });
    let touched = |s: &&ServicePlan| s.action != Action::Stay || !s.reasons.is_empty();
    let services: Vec<String> = plan.services.iter().filter(touched).map(service).collect();
    let steps: Vec<String> = plan.steps.iter().map(Step::label).collect();
    [services, vec![steps.join(", ")], plan.warnings.clone()].concat().join("\n")
}

impl Given {
    /// So many containers of each service, and so many declared.
    fn counted(all: &[(&str, usize, u64)]) -> Self {
        let container = |service: &str, at: usize| Container { name: format!("shop-{service}-{at}"), ..running(service) };
        let containers = all.iter().flat_map(|(service, there, _)| (1..=*there).map(|at| container(service, at))).collect();
        let mut given = Self::of(Vec::new());
        given.services = services(&all.iter().map(|(service, _, _)| *service).collect::<Vec<_>>());
        for (service, (_, _, declared)) in given.services.iter_mut().zip(all) {
            service.replicas = Some(*declared);
            service.depends_on.clear();
        }
        given.containers = containers;
        given
    }
}

#[test]
fn number_of_containers_is_planned() {
    let given = Given::counted(&[("api", 1, 3), ("web", 3, 1), ("tool", 0, 0), ("old", 2, 0), ("new", 0, 2), ("postgres", 1, 2)]);
    expect![[r#"
        api scale ["1 of 3 there"]
        new create ["new"]
        old remove ["0 declared"]
        postgres stays ["it keeps data; pending: 1 of 2 there"]
        web scale ["3 there, 1 declared: 2 are removed"]
        Copy the workspace aside, Remove old, Bring up api, new, web, Verify api, new, web, Record the release"#]]
    .assert_eq(&told(&given.plan(&[])));
    let named = given.plan(&["postgres"]);
    assert!(named.services.iter().any(|s| s.service == name("postgres") && s.action == Action::Scale));
    assert!(Given::counted(&[("api", 2, 2), ("tool", 0, 0)]).plan(&[]).is_empty(), "as many as declared");
    // What was confirmed is a number.
    let digest = |there, declared| Given::counted(&[("api", there, declared)]).plan(&[]).digest;
    assert_ne!(digest(1, 2), digest(1, 3));
    assert_ne!(digest(3, 1), digest(2, 1));
    let mut files = Given::counted(&[("api", 1, 3)]);
    files.services[0].mounts = vec!["note.txt".into()];
    files.new_file = true;
    assert_eq!(
        told(&files.plan(&[])).lines().next(),
        Some("api recreate [\"1 of 3 there\", \"mounted files changed: `note.txt`\"] forced")
    );
}

#[test]
fn service_that_takes_no_part_is_left_as_it_is() {
    let mut given = Given::counted(&[("web", 1, 1)]);
    let stopped = ended("gone", 0);
    given.containers.extend([running("debug"), running("trace"), running("old"), stopped]);
    given.desired = Some(DesiredState::new([(name("web"), 1)].into(), Some([name("debug"), name("trace")].into())));
    expect![[r#"

        No longer in the compose file, and left running: old.
        No longer in the compose file, and left stopped: gone.
        debug, trace are behind profiles that are not active: left as they are."#]]
    .assert_eq(&told(&given.plan(&[])));
}

#[test]
fn rollback_removes_what_later_releases_added() {
    let mut given = Given::counted(&[("web", 1, 1)]);
    given.containers.extend([running("extra"), running("later"), running("older"), running("postgres")]);
    given.desired = Some(DesiredState::new([(name("web"), 1)].into(), Some(BTreeSet::new())));
    // The files that production has now bring only one of them back.
    given.before = [name("web"), name("extra")].into();
    given.added = [name("extra"), name("later"), name("postgres")].into();
    assert!(given.plan(&[]).is_empty(), "a deploy leaves all of them");
    given.back = true;
    expect![[r#"
        extra remove ["not in release 4"]
        later remove ["not in release 4"]
        postgres stays ["it keeps data; pending: remove (not in release 4)"]
        Remove extra, Remove later, Record the release
        No longer in the compose file, and left running: older."#]]
    .assert_eq(&told(&given.plan(&[])));
    assert!(told(&given.plan(&["postgres"])).contains("Remove later, postgres"));
}

#[test]
fn what_is_linked_to_a_service_follows_it() {
    let mut given = Given::of(["vpn", "app", "named", "files", "api", "plain"].map(running).into());
    for (service, link) in [
        ("app", Link::Shares(Shared::Network)),
        ("named", Link::SharesNamed(Shared::Processes)),
        ("files", Link::Shares(Shared::Volumes)),
        ("api", Link::Restarts),
    ] {
        given.links.add(name(service), name("vpn"), link);
    }
    given.links.add(name("plain"), name("api"), Link::Restarts);
    given.services[0].made = Made::Compose(ConfigHash { whole: "new".into(), alone: "new".into() });
    given.check(
        &[],
        &expect![[r#"
            vpn recreate ["configuration changed"] None
            app recreate ["shares the network of vpn"] None
            named recreate ["shares the processes of vpn"] None
            files recreate ["shares the volumes of vpn"] None
            api restart ["depends on vpn, restart: true"] None
            plain restart ["depends on api, restart: true"] None
            Copy the workspace aside
            Bring up vpn, app, named, files
            Restart api
            Restart plain
            Verify vpn, app, named, files and 2 more
            Record the release
            release Some(4)"#]],
    );
    let plan = given.plan(&[]);
    let forced: Vec<&str> = plan.services.iter().filter(|s| s.forced).map(|s| s.service.as_str()).collect();
    assert_eq!(forced, ["named"], "of the others Compose sees it");

    // One that a person stopped has it pending, and what only restarts leaves volumes as they are.
    given.stopped.insert(name("app"), "stopped by Ann".into());
    given.containers[1] = ended("app", 143);
    given.services[0].made = Made::Compose(ConfigHash { whole: "now".into(), alone: "now".into() });
    given.containers[0] = Container { state: State::Restarting, restarts: 4, exit_code: 1, ..running("vpn") };
    given.check(
        &[],
        &expect![[r#"
            vpn restart ["down: restarting in a loop"] Some("restarting in a loop already (4 times)")
            app stays ["stopped by Ann"] None
            named restart ["shares the processes of vpn"] None
            files stays [] None
            api restart ["depends on vpn, restart: true"] None
            plain restart ["depends on api, restart: true"] None
            Restart vpn
            Restart api, named
            Restart plain
            Verify vpn, named, api, plain
            named depends on app, which is down and stays so.
            release None"#]],
    );
}

#[test]
fn what_shares_a_namespace_of_a_container_that_is_gone_is_recreated() {
    let mut given = Given::of(["web", "postgres"].map(running).into());
    for container in &mut given.containers {
        container.shares = vec![Sharing { what: Shared::Network, with: "gone".into() }];
        given.ownerless.insert(container.service.clone(), Shared::Network);
    }
    let plan = given.plan(&[]);
    let told: Vec<String> =
        plan.services.iter().map(|s| format!("{} {} {} {:?}", s.service, s.action.word(), s.forced, s.reasons)).collect();
    assert_eq!(
        told,
        [
            r#"web recreate true ["shares the network of a container that is gone"]"#,
            r#"postgres stays false ["it keeps data; pending: shares the network of a container that is gone"]"#
        ]
    );
}
