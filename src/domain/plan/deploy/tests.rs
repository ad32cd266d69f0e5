use expect_test::{Expect, expect};

use super::*;
use crate::domain::container::Health;
use crate::domain::container::tests::container;
use crate::domain::job::{Job, Purpose};
use crate::domain::manifest::{Entry, Node};
use crate::domain::plan::lifecycle::tests::project;
use crate::domain::plan::links::Link;
use crate::domain::request::ReleaseOptions;
use crate::domain::shared::Shared;

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
    new_file: bool,
    first: bool,
    links: Links,
}

impl Given {
    fn of(containers: Vec<Container>) -> Self {
        let names: Vec<String> = containers.iter().map(|c| c.service.to_string()).collect();
        let services = services(&names.iter().map(String::as_str).collect::<Vec<_>>());
        Self { services, containers, stopped: BTreeMap::new(), new_file: false, first: false, links: Links::default() }
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
            configuration: "",
            variables: &Variables::default(),
            staged: &workspace,
            written: &[],
            absent: &[],
            preserved: &Preserved::default(),
            release: 4,
            back: false,
            keeps: None,
            kept: &production,
            held: Some(&production),
            held_staged: Some(&production),
            free: None,
            lost: &none,
            stopped: &self.stopped,
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
