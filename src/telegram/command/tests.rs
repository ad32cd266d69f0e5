use super::*;
use crate::domain::project::{ComposeSource, Project, Source};
use crate::domain::reload::ReloadPolicy;
use crate::domain::request::ReleaseOptions;
use crate::domain::space::SpaceLimit;
use expect_test::{Expect, expect};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(crate) fn configuration_for_tests(names: &[&str], default: Option<&str>) -> Configuration {
    let project = |name: &str| {
        let source = Source::Compose(ComposeSource { files: Vec::new(), name: name.to_lowercase() });
        Project { enabled: name != "disabled", ..Project::new(ProjectName::new(name).unwrap(), source) }
    };
    Configuration {
        default_project: default.map(|d| ProjectName::new(d).unwrap()),
        users: BTreeMap::from([(1, Role::Admin)]),
        chats: BTreeSet::new(),
        confirm_timeout: Duration::from_secs(60),
        reload: ReloadPolicy::default(),
        warn_below: SpaceLimit::default(),
        docker: true,
        registry_credentials: None,
        projects: names.iter().map(|n| (ProjectName::new(n).unwrap(), project(n))).collect(),
    }
}

fn forced(force: bool) -> &'static str {
    if force { " force" } else { "" }
}

fn shown(options: &ReleaseOptions) -> String {
    let ReleaseOptions { with, overwrite, new_volumes, force } = options;
    let paths = if overwrite.is_empty() { String::new() } else { format!(" overwrite {}", crate::domain::text::listing(overwrite, 9)) };
    let volumes = if new_volumes.is_empty() { String::new() } else { format!(" new {new_volumes:?}") };
    format!("with {with:?}{paths}{volumes}{}", forced(*force))
}

fn read(text: &str, config: &Configuration) -> String {
    match parse(text, "dock_bot", config) {
        Parsed::Command { command, .. } => match command {
            Command::Logs { query: q, follow } => {
                let service = q.service.map_or(String::new(), |s| format!("/{s}"));
                let follow = if follow { " follow" } else { "" };
                let operation = q.operation.map_or(String::new(), |number| format!(" op {number}"));
                format!("logs {}{service} {} grep {:?} since {:?}{operation}{follow}", q.project, q.lines, q.grep, q.since)
            }
            Command::Operate(Request::Restart { target, strategy, force }) => format!("restart {target} {strategy:?}{}", forced(force)),
            Command::Operate(Request::Deploy { project, options }) => format!("deploy {project} {}", shown(&options)),
            Command::Operate(Request::Rollback { project, release, options }) => {
                format!("rollback {project} to {release:?} {}", shown(&options))
            }
            Command::Operate(Request::Start { target, force }) => format!("start {target}{}", forced(force)),
            Command::Operate(Request::Stop(target)) => format!("stop {target}"),
            other => format!("{other:?}"),
        },
        Parsed::Unclear { unclear, .. } => {
            let buttons: Vec<&str> = unclear.buttons.iter().flatten().map(|b| b.data.as_str()).collect();
            format!("{}{}", unclear.text.to_plain(), if buttons.is_empty() { String::new() } else { format!(" {buttons:?}") })
        }
        Parsed::Unknown { typed, addressed } => format!("unknown {typed} {addressed}"),
        Parsed::NotOurs => "not ours".to_owned(),
    }
}

fn check(config: &Configuration, lines: &[&str], expect: Expect) {
    let all: Vec<String> = lines.iter().map(|l| format!("{l}\n  {}", read(l, config).replace('\n', "\n  "))).collect();
    expect.assert_eq(&all.join("\n"));
}

#[test]
fn with_a_default_project() {
    check(
        &configuration_for_tests(&["shop", "edge", "50", "Rolling", "disabled"], Some("shop")),
        &[
            "/docker_status",
            "/Docker_Status@DOCK_bot SHOP",
            "/docker_status@other_bot",
            "/docker_status all",
            "/docker_status shop/web",
            "/docker_status disabled",
            "/docker_logs",
            "/docker_logs 100",
            "/docker_logs 50 50",
            "/docker_logs Shop/web 20 grep=\"not found\" since=1h30m follow",
            "/docker_logs shop/web op=12",
            "/docker_logs shop/web op=x",
            "/docker_logs backend",
            "/docker_logs 0",
            "/docker_logs 1001",
            "/docker_logs -5",
            "/docker_logs shop ten",
            "/docker_logs shop since=soon",
            "/docker_logs shop grep=",
            "/docker_logs ../x",
            "/docker_logs shop/../x",
            "/docker_restart",
            "/docker_restart graceful",
            "/docker_restart rolling",
            "/docker_restart shop ROLLING",
            "/docker_restart shop/web rolling now",
            "/docker_restart FORCE",
            "/docker_restart shop/web force rolling",
            "/docker_restart graceful force",
            "/docker_restart force force",
            "/docker_start shop force",
            "/docker_start graceful",
            "/docker_stop force",
            "/docker_restart -rf",
            "/docker_stop edge/nginx",
            "/docker_start shp",
            "/docker_deploy",
            "/docker_deploy with=postgres,redis",
            "/docker_deploy edge with=-x",
            "/docker_deploy shop/web",
            "/docker_deploy shop --force",
            "/docker_deploy shop force with=postgres",
            "/docker_deploy force",
            "/docker_history edge",
            "/whoami",
            "/whoami please",
            "/start payload",
            "/docker_statsu",
            "hello",
        ],
        expect![[r#"
            /docker_status
              Status(ProjectName("shop"))
            /Docker_Status@DOCK_bot SHOP
              Status(ProjectName("shop"))
            /docker_status@other_bot
              not ours
            /docker_status all
              Overview
            /docker_status shop/web
              I do not understand shop/web here.
              Allowed: /docker_status [p | all]
              Example: /docker_status shop
            /docker_status disabled
              disabled is disabled in projects.json ("enabled": false).
            /docker_logs
              logs shop 50 grep None since None
            /docker_logs 100
              logs shop 100 grep None since None
            /docker_logs 50 50
              logs 50 50 grep None since None
            /docker_logs Shop/web 20 grep="not found" since=1h30m follow
              logs shop/web 20 grep Some("not found") since Some(5400s) follow
            /docker_logs shop/web op=12
              logs shop/web 50 grep None since None op 12
            /docker_logs shop/web op=x
              I do not understand op=x here.
              Allowed: /docker_logs [p[/service]] [lines] [grep=TEXT] [since=10m] [op=NUMBER] [follow]
              Example: /docker_logs shop/backend 100 grep=error since=10m
            /docker_logs backend
              There is no project backend.
              There is: 50, Rolling, edge, shop.
              A service is named with its project: shop/backend
            /docker_logs 0
              0 lines cannot be shown: ask for 1 to 1000.
            /docker_logs 1001
              1001 lines cannot be shown: ask for 1 to 1000.
            /docker_logs -5
              -5 lines cannot be shown: ask for 1 to 1000.
            /docker_logs shop ten
              I do not understand ten here.
              Allowed: /docker_logs [p[/service]] [lines] [grep=TEXT] [since=10m] [op=NUMBER] [follow]
              Example: /docker_logs shop/backend 100 grep=error since=10m
            /docker_logs shop since=soon
              I do not understand since=soon here.
              Allowed: /docker_logs [p[/service]] [lines] [grep=TEXT] [since=10m] [op=NUMBER] [follow]
              Example: /docker_logs shop/backend 100 grep=error since=10m
            /docker_logs shop grep=
              I do not understand grep= here.
              Allowed: /docker_logs [p[/service]] [lines] [grep=TEXT] [since=10m] [op=NUMBER] [follow]
              Example: /docker_logs shop/backend 100 grep=error since=10m
            /docker_logs ../x
              There is no project ../x.
              There is: 50, Rolling, edge, shop.
            /docker_logs shop/../x
              ../x is no service's name: it has letters, digits and _ - . only.
              Example: shop/backend
            /docker_restart
              restart shop None
            /docker_restart graceful
              restart shop Some(Graceful)
            /docker_restart rolling
              restart Rolling None
            /docker_restart shop ROLLING
              restart shop Some(Rolling)
            /docker_restart shop/web rolling now
              I do not understand now here.
              Allowed: /docker_restart [p[/service]] [immediate | graceful | rolling | dependency] [force]
              Example: /docker_restart shop/backend
            /docker_restart FORCE
              restart shop None force
            /docker_restart shop/web force rolling
              restart shop/web Some(Rolling) force
            /docker_restart graceful force
              restart shop Some(Graceful) force
            /docker_restart force force
              I do not understand force here.
              Allowed: /docker_restart [p[/service]] [immediate | graceful | rolling | dependency] [force]
              Example: /docker_restart shop/backend
            /docker_start shop force
              start shop force
            /docker_start graceful
              There is no project graceful.
              There is: 50, Rolling, edge, shop.
              A service is named with its project: shop/graceful
            /docker_stop force
              There is no project force.
              There is: 50, Rolling, edge, shop.
              A service is named with its project: shop/force
            /docker_restart -rf
              There is no project -rf.
              There is: 50, Rolling, edge, shop.
            /docker_stop edge/nginx
              stop edge/nginx
            /docker_start shp
              There is no project shp.
              Nearest: shop.
            /docker_deploy
              deploy shop with {}
            /docker_deploy with=postgres,redis
              deploy shop with {ServiceName("postgres"), ServiceName("redis")}
            /docker_deploy edge with=-x
              deploy edge with {ServiceName("-x")}
            /docker_deploy shop/web
              I do not understand shop/web here.
              Allowed: /docker_deploy [p] [with=service,..] [overwrite=path,..] [new-volume=name,..] [force]
              Example: /docker_deploy shop
            /docker_deploy shop --force
              I do not understand --force here.
              Allowed: /docker_deploy [p] [with=service,..] [overwrite=path,..] [new-volume=name,..] [force]
              Example: /docker_deploy shop
            /docker_deploy shop force with=postgres
              deploy shop with {ServiceName("postgres")} force
            /docker_deploy force
              deploy shop with {} force
            /docker_history edge
              History(ProjectName("edge"))
            /whoami
              Whoami
            /whoami please
              Whoami
            /start payload
              Help { first: true }
            /docker_statsu
              unknown docker_statsu false
            hello
              not ours"#]],
    );
}

#[test]
fn releases_are_named_by_their_numbers() {
    check(
        &configuration_for_tests(&["shop", "edge", "50"], Some("shop")),
        &[
            "/docker_rollback",
            "/docker_rollback 3",
            "/docker_rollback 0",
            "/docker_rollback 50",
            "/docker_rollback 50 50",
            "/docker_rollback Edge 3",
            "/docker_rollback shop 3 with=postgres",
            "/docker_rollback 3 overwrite=conf.d/,./app.conf overwrite=\"a b\"",
            "/docker_rollback overwrite=../x",
            "/docker_rollback 3 new-volume=data,cache",
            "/docker_rollback 3 with=postgres,redis",
            "/docker_rollback with=postgres",
            "/docker_rollback -1",
            "/docker_rollback shop -1",
            "/docker_rollback shop 3 4",
            "/docker_rollback shop 99999999999999999999",
            "/docker_rollback shop three",
            "/docker_rollback shop/web",
            "/docker_releases",
            "/docker_releases edge",
            "/docker_releases shop 3",
            "/docker_cancel",
            "/docker_cancel EDGE",
            "/docker_cancel shop now",
            "/docker_volumes",
            "/docker_volumes edge",
            "/docker_volumes shop/web",
            "/docker_tidy",
            "/docker_tidy Edge",
            "/docker_tidy left-by-somebody",
            "/docker_tidy shop/web",
            "/docker_tidy left now",
        ],
        expect![[r#"
            /docker_rollback
              rollback shop to None with {}
            /docker_rollback 3
              rollback shop to Some(3) with {}
            /docker_rollback 0
              rollback shop to Some(0) with {}
            /docker_rollback 50
              rollback 50 to None with {}
            /docker_rollback 50 50
              rollback 50 to Some(50) with {}
            /docker_rollback Edge 3
              rollback edge to Some(3) with {}
            /docker_rollback shop 3 with=postgres
              rollback shop to Some(3) with {ServiceName("postgres")}
            /docker_rollback 3 overwrite=conf.d/,./app.conf overwrite="a b"
              rollback shop to Some(3) with {} overwrite `a b`, `app.conf`, `conf.d`
            /docker_rollback overwrite=../x
              ../x is no path below the project's directory: type it as the plan shows it.
              Example: overwrite=conf.d/app.conf
            /docker_rollback 3 new-volume=data,cache
              I do not understand new-volume=data,cache here.
              Allowed: /docker_rollback [p] [release] [with=service,..] [overwrite=path,..] [new-volume=name,..] [force]
              Example: /docker_rollback shop
            /docker_rollback 3 with=postgres,redis
              rollback shop to Some(3) with {ServiceName("postgres"), ServiceName("redis")}
            /docker_rollback with=postgres
              rollback shop to None with {ServiceName("postgres")}
            /docker_rollback -1
              I do not understand -1 here.
              Allowed: /docker_rollback [p] [release] [with=service,..] [overwrite=path,..] [new-volume=name,..] [force]
              Example: /docker_rollback shop
            /docker_rollback shop -1
              I do not understand -1 here.
              Allowed: /docker_rollback [p] [release] [with=service,..] [overwrite=path,..] [new-volume=name,..] [force]
              Example: /docker_rollback shop
            /docker_rollback shop 3 4
              I do not understand 4 here.
              Allowed: /docker_rollback [p] [release] [with=service,..] [overwrite=path,..] [new-volume=name,..] [force]
              Example: /docker_rollback shop
            /docker_rollback shop 99999999999999999999
              I do not understand 99999999999999999999 here.
              Allowed: /docker_rollback [p] [release] [with=service,..] [overwrite=path,..] [new-volume=name,..] [force]
              Example: /docker_rollback shop
            /docker_rollback shop three
              I do not understand three here.
              Allowed: /docker_rollback [p] [release] [with=service,..] [overwrite=path,..] [new-volume=name,..] [force]
              Example: /docker_rollback shop
            /docker_rollback shop/web
              I do not understand shop/web here.
              Allowed: /docker_rollback [p] [release] [with=service,..] [overwrite=path,..] [new-volume=name,..] [force]
              Example: /docker_rollback shop
            /docker_releases
              Releases(ProjectName("shop"))
            /docker_releases edge
              Releases(ProjectName("edge"))
            /docker_releases shop 3
              I do not understand 3 here.
              Allowed: /docker_releases [p]
              Example: /docker_releases shop
            /docker_cancel
              Cancel(ProjectName("shop"))
            /docker_cancel EDGE
              Cancel(ProjectName("edge"))
            /docker_cancel shop now
              I do not understand now here.
              Allowed: /docker_cancel [p]
              Example: /docker_cancel shop
            /docker_volumes
              Volumes(ProjectName("shop"))
            /docker_volumes edge
              Volumes(ProjectName("edge"))
            /docker_volumes shop/web
              I do not understand shop/web here.
              Allowed: /docker_volumes [p]
              Example: /docker_volumes shop
            /docker_tidy
              Operate(Tidy { project: ProjectName("shop") })
            /docker_tidy Edge
              Operate(Tidy { project: ProjectName("edge") })
            /docker_tidy left-by-somebody
              Operate(Tidy { project: ProjectName("left-by-somebody") })
            /docker_tidy shop/web
              I do not understand shop/web here.
              Allowed: /docker_tidy [p]
              Example: /docker_tidy shop
            /docker_tidy left now
              I do not understand now here.
              Allowed: /docker_tidy [p]
              Example: /docker_tidy shop"#]],
    );
    check(
        &configuration_for_tests(&["shop", "edge"], None),
        &["/docker_rollback", "/docker_rollback 3", "/docker_releases", "/docker_cancel", "/docker_volumes"],
        expect![[r#"
            /docker_rollback
              Which project? ["b:edge", "b:shop"]
            /docker_rollback 3
              Which project? There is: edge, shop.
              Example: /docker_rollback edge
            /docker_releases
              Which project? ["v:edge", "v:shop"]
            /docker_cancel
              Which project? ["k:edge", "k:shop"]
            /docker_volumes
              Which project? ["o:edge", "o:shop"]"#]],
    );
}

#[test]
fn without_a_default_project_nothing_is_guessed() {
    check(
        &configuration_for_tests(&["shop", "edge"], None),
        &["/docker_status", "/docker_logs 20", "/docker_restart", "/docker_deploy with=x", "/docker_history", "/docker_status nope"],
        expect![[r#"
            /docker_status
              Overview
            /docker_logs 20
              Which project? There is: edge, shop.
              Example: /docker_logs edge
            /docker_restart
              Which project? ["r:edge", "r:shop"]
            /docker_deploy with=x
              Which project? There is: edge, shop.
              Example: /docker_deploy edge
            /docker_history
              Which project? ["h:edge", "h:shop"]
            /docker_status nope
              There is no project nope.
              There is: edge, shop."#]],
    );
    check(
        &configuration_for_tests(&[], None),
        &["/docker_status", "/docker_logs"],
        expect![[r#"
        /docker_status
          Overview
        /docker_logs
          No project is enabled in projects.json."#]],
    );
    check(
        &configuration_for_tests(&["only"], None),
        &["/docker_restart"],
        expect![[r#"
        /docker_restart
          restart only None"#]],
    );
}

#[test]
fn buttons_carry_what_fits() {
    let long = "x".repeat(crate::domain::project::PROJECT_NAME_MAX);
    let config = configuration_for_tests(&["shop", &long], None);
    for spec in &COMMANDS {
        if let Some(letter) = which(spec.name) {
            let data = data(letter, &long);
            assert!(data.len() <= 64);
            let Some(Press::Command(command)) = Press::read(&data, &config) else { panic!("{data}") };
            assert_eq!(command.project().map(ProjectName::as_str), Some(long.as_str()));
        }
    }
    let nonce = crate::operations::random_name().unwrap();
    assert!(data('c', &nonce).len() <= 64);
    assert_eq!(Press::read(&data('a', &nonce), &config), Some(Press::Files(nonce)));
    assert_eq!(Press::read("s:nope", &config), Some(Press::Gone("nope".into())));
    for forged in ["", "s", "s:../x", "z:shop", "c"] {
        assert_eq!(Press::read(forged, &config), None, "{forged}");
    }
}

#[test]
fn the_table_is_fit_for_telegram() {
    for spec in &COMMANDS {
        assert!(!spec.name.is_empty() && spec.name.len() <= 32);
        assert!(spec.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
        assert!((1..=256).contains(&spec.description.chars().count()));
        let config = configuration_for_tests(&["shop"], None);
        let example = format!("/{} {}", spec.name, spec.example);
        assert!(matches!(parse(&example, "b", &config), Parsed::Command { .. }), "the example of {} works", spec.name);
    }
}

proptest::proptest! {
    #[test]
    fn nothing_that_is_typed_panics(text in "\\PC{0,60}", arguments in "[a-z=\"“”„/0-9 äs.\\-]{0,40}", which in 0..COMMANDS.len()) {
        let config = configuration_for_tests(&["shop", "50"], Some("shop"));
        for text in [text.clone(), format!("/{text}"), format!("/{} {text}", COMMANDS[which].name), format!("/{} {arguments}", COMMANDS[which].name)] {
            parse(&text, "dock_bot", &config);
            Press::read(&text, &config);
        }
    }
}
