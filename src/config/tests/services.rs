//! `services`: what is read, and what each mistake is told.

use std::path::Path;

use expect_test::{Expect, expect};

use super::super::services::container::DATABASE;
use super::super::{OnDisk, Rights, check};
use super::{FILE, answer, plenty, told};
use crate::domain::impact::Impact;
use crate::domain::managed::{Check, Definition, HealthCheck, RestartRule, Runs};
use crate::domain::plan::Need;
use crate::domain::project::{ServiceName, Source};

/// A small good file with one thing on each line.
const BASE: &str = r#"{
  "access": { "users": { "11": "admin" } },
  "projects": {
    "shop": {
      "production": "/srv/shop",
      "services": {
        "web": {
          "image": "nginx:1",
          "command": ["serve"],
          "user": "0",
          "ports": { "80": "8080" },
          "volumes": { "data": "/data", "./conf": "/etc/app:ro" },
          "environment": { "MODE": "dev" },
          "env_file": "app.env",
          "secrets": { "db": "/etc/db.txt" },
          "healthcheck": { "tcp": "127.0.0.1:8080" },
          "network": "bridge",
          "limits": { "memory": "256m" },
          "depends_on": ["db"],
          "restart": "always",
          "instances": 1
        },
        "db": { "image": "postgres:17", "healthcheck": { "test": "pg_isready" } },
        "job": { "process": { "command": ["/usr/bin/job"] } }
      },
      "orphans": "list"
    },
    "tools": { "services": { "mail": { "image": "mail", "ports": { "25/udp": "auto" } } } }
  }
}
"#;

/// The base with `to` in place of `from`, each of which stands in it once.
#[track_caller]
fn with(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(BASE.to_owned(), |text, (from, to)| {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text.replace(from, to)
    })
}

#[track_caller]
fn bad(changes: &[(&str, &str)], expected: Expect) {
    expected.assert_eq(&answer(&with(changes)));
}

fn web(text: &str) -> Definition {
    let config = check(text, &plenty).configuration.unwrap();
    let Source::Services(managed) = &config.projects["shop"].source else { panic!() };
    managed.services["web"].clone()
}

#[test]
fn the_base_is_good_and_says_what_it_seems_to() {
    bad(&[], expect![[""]]);
    let web = web(BASE);
    let container = web.container().unwrap();
    assert_eq!((container.image.as_str(), container.command.as_deref()), ("nginx:1", Some(&["serve".to_owned()][..])));
    expect![[r#"
        [PublishedPort { container: 80, protocol: "tcp", address: "", host: 8080 }]
        [VolumeMount { source: Volume("data"), target: "/data", read_only: false }, VolumeMount { source: Path("/srv/shop/conf"), target: "/etc/app", read_only: true }]"#]].assert_eq(&format!("{:?}\n{:?}", container.ports, container.volumes));
    assert_eq!(container.limits.memory, Some(256 << 20));
    assert_eq!(web.env_file, [Path::new("/srv/shop/app.env")]);
    assert_eq!(web.restart, RestartRule::Always);
    assert_eq!(web.depends_on[&ServiceName::new("db").unwrap()], Need::Started);
    assert_eq!(web.healthcheck, Some(HealthCheck::new(Check::Tcp("127.0.0.1:8080".into()))));
}

#[test]
fn every_spelling_of_a_health_check() {
    let read = |check: &str| web(&with(&[("{ \"tcp\": \"127.0.0.1:8080\" }", check)])).healthcheck.map(|check| check.check);
    assert_eq!(read(r#"{ "test": ["CMD", "a", "b"] }"#), Some(Check::Command(vec!["a".into(), "b".into()])));
    assert_eq!(read(r#"{ "test": ["CMD-SHELL", "a | b"] }"#), Some(Check::Shell("a | b".into())));
    assert_eq!(read(r#"{ "test": "a | b" }"#), Some(Check::Shell("a | b".into())));
    assert_eq!(read(r#"{ "test": ["NONE"] }"#), Some(Check::Never));
    assert_eq!(read(r#"{ "http": "http://a/" }"#), Some(Check::Http("http://a/".into())));
    for bad in [
        "{}",
        r#"{ "test": [] }"#,
        r#"{ "test": ["CMD"] }"#,
        r#"{ "test": ["a"] }"#,
        r#"{ "test": " " }"#,
        r#"{ "tcp": "a:1", "http": "http://a" }"#,
    ] {
        let told = answer(&with(&[("{ \"tcp\": \"127.0.0.1:8080\" }", bad)]));
        assert!(told.starts_with("16:") && told.contains("projects.shop.services.web.healthcheck"), "{bad}: {told}");
    }
}

#[test]
fn a_container_with_a_process_in_its_place() {
    let text = with(&[("\"image\": \"nginx:1\",", "\"image\": \"nginx:1\", \"process\": { \"command\": [\"/usr/bin/web\", \"-v\"] },")]);
    assert!(matches!(web(&text).runs, Runs::Either(..)));
}

#[test]
fn bad_values() {
    bad(
        &[
            ("\"nginx:1\"", "\"Nginx\""),
            ("[\"serve\"]", "\"serve --password hunter2\""),
            ("\"user\": \"0\"", "\"user\": 0"),
            ("\"80\": \"8080\"", "\"http\": \"8080\", \"81\": 81, \"82\": \"0\""),
            ("\"data\": \"/data\"", "\"data/x\": \"/data\", \"a1\": \"data\", \"a2\": \"/etc/app\""),
            ("\"256m\" }", "\"1m\", \"cpus\": 0, \"pids\": 0, \"gpus\": \"some\" }"),
            ("\"always\"", "\"sometimes\""),
            ("\"instances\": 1", "\"instances\": 101"),
            ("\"bridge\"", "\"container:x\""),
            ("\"127.0.0.1:8080\"", "\"8080\", \"interval\": \"0s\", \"retries\": 0"),
            ("\"list\"", "\"keep\""),
        ],
        expect![[r#"
            8:20 projects.shop.services.web.image: found “Nginx”, expected an image, such as “nginx:1.27” or “registry.example/team/app@sha256:…”
            9:22 projects.shop.services.web.command: found a string, expected a list with a program and its arguments
            10:19 projects.shop.services.web.user: found 0, expected a user, or a user and a group, such as “1000:1000”
            11:22 projects.shop.services.web.ports.http: found “http”, expected a port of the container, such as “8080” or “53/udp”
            11:44 projects.shop.services.web.ports.81: found 81, expected a port of the host, such as “80” or “127.0.0.1:80”, or “auto”
            11:54 projects.shop.services.web.ports.82: found “0”, expected a port of the host, such as “80” or “127.0.0.1:80”, or “auto”
            12:24 projects.shop.services.web.volumes["data/x"]: found “data/x”, expected an absolute path, one below production such as “./data”, or the name of a volume
            12:49 projects.shop.services.web.volumes.a1: found “data”, expected an absolute path in the container, such as “/data” or “/data:ro”
            12:85 projects.shop.services.web.volumes["./conf"]: found “/etc/app”, where “a2” is mounted already, expected a path of its own
            16:35 projects.shop.services.web.healthcheck.tcp: found “8080”, expected a host and a port, such as “127.0.0.1:5432”
            16:55 projects.shop.services.web.healthcheck.interval: found “0s”, expected a duration from 1 s to 1 h, such as “10s”
            16:72 projects.shop.services.web.healthcheck.retries: found 0, expected a whole number from 1 to 100
            17:22 projects.shop.services.web.network: found “container:x”, expected “host”, “none”, “bridge” or the name of a network
            18:33 projects.shop.services.web.limits.memory: found “1m”, expected a size of at least 6m, such as “256m” or “2g”
            18:47 projects.shop.services.web.limits.cpus: found 0, expected a number from 0.01 to 1024, such as 0.5
            18:58 projects.shop.services.web.limits.pids: found 0, expected a whole number from 1 to 4194304
            18:69 projects.shop.services.web.limits.gpus: found “some”, expected “all”, a whole number from 1 to 64, or a list of ids
            20:22 projects.shop.services.web.restart: found “sometimes”, expected “no”, “always”, “unless-stopped”, “on-failure”, or “on-failure:5” for at most five times in a row
            21:24 projects.shop.services.web.instances: found 101, expected a whole number from 1 to 100
            26:18 projects.shop.orphans: found “keep”, expected “list” or “remove”
        "#]],
    );
    bad(
        &[
            ("\"web\": {", "\"-web\": {"),
            ("\"mail\": {", "\"x.before-1\": {"),
            ("[\"/usr/bin/job\"]", "[\"job\"], \"directory\": \"work\""),
        ],
        expect![[r#"
            7:9 projects.shop.services.-web: found “-web”, expected a name: 1 to 128 of A-Z a-z 0-9 _ - ., starting with a letter or digit
            24:42 projects.shop.services.job.process.command: found “job”, expected the absolute path of a program, such as “/usr/local/bin/worker”
            24:64 projects.shop.services.job.process.directory: found “work”, expected the absolute path of a directory, without “..”, such as “/srv/shop”
            28:30 projects.tools.services["x.before-1"]: found “x.before-1”, expected a name without “.before-”, which marks containers that are kept aside
        "#]],
    );
    bad(
        &[("{ \"command\": [\"/usr/bin/job\"] }", "{}"), ("{ \"image\": \"postgres:17\"", "{ \"restart\": \"no\"")],
        expect![[r#"
        23:15 projects.shop.services.db: found neither “image” nor “process”, expected at least one of the two
        24:29 projects.shop.services.job.process.command: found nothing, expected a list with the absolute path of a program and its arguments
    "#]],
    );
    bad(
        &[("\"image\": \"nginx:1\",", "\"process\": { \"command\": [\"/usr/bin/web\"] },")],
        expect![[r#"
        9:22 projects.shop.services.web.command: found a setting of containers, expected “image” beside it: a process has no such thing
        10:19 projects.shop.services.web.user: found a setting of containers, expected “image” beside it: a process has no such thing
        11:20 projects.shop.services.web.ports: found a setting of containers, expected “image” beside it: a process has no such thing
        12:22 projects.shop.services.web.volumes: found a setting of containers, expected “image” beside it: a process has no such thing
        17:22 projects.shop.services.web.network: found a setting of containers, expected “image” beside it: a process has no such thing
        18:21 projects.shop.services.web.limits: found a setting of containers, expected “image” beside it: a process has no such thing
    "#]],
    );
    let services = (0..201).map(|i| format!("\"s{i}\": {{ \"image\": \"a\" }}")).collect::<Vec<_>>().join(",");
    assert!(
        answer(&with(&[("\"mail\": { \"image\": \"mail\", \"ports\": { \"25/udp\": \"auto\" } }", &services)]))
            .contains("found 201 entries, expected at most 200")
    );
}

#[test]
fn no_secret_is_ever_told() {
    let told = [
        answer(&with(&[(
            "{ \"MODE\": \"dev\" }",
            "{ \"TOKEN\": 4711, \"A\": true, \"B\": [\"hunter2\"], \"c d\": \"hunter2\", \"E\": \"hunter2\\u0000\" }",
        )])),
        answer(&with(&[("{ \"MODE\": \"dev\" }", "\"TOKEN=hunter2\"")])),
        answer(&with(&[("{ \"MODE\": \"dev\" }", "[\"TOKEN=hunter2\"]")])),
        answer(&with(&[("\"/etc/db.txt\"", "\"hunter2\"")])),
        answer(&with(&[("\"tcp\": \"127.0.0.1:8080\"", "\"http\": \"http://me:hunter2@a/\"")])),
        answer(&with(&[("\"access\"", "\"registry_credentials\": \"{\\\"auths\\\": \\\"hunter2\\\"}\", \"access\"")])),
    ]
    .concat();
    assert!(!told.contains("hunter2") && !told.contains("4711"), "{told}");
    expect![[r#"
        13:37 projects.shop.services.web.environment.TOKEN: found a number, expected a string: numbers, true and false stand in quotes, as in “8080”
        13:48 projects.shop.services.web.environment.A: found true or false, expected a string: numbers, true and false stand in quotes, as in “8080”
        13:59 projects.shop.services.web.environment.B: found a list, expected a string: numbers, true and false stand in quotes, as in “8080”
        13:72 projects.shop.services.web.environment["c d"]: found “c d”, expected the name of a variable, without “=” and spaces
        13:95 projects.shop.services.web.environment.E: found a string with the character U+0000, expected one without it
        13:26 projects.shop.services.web.environment: found a string, expected an object with a text for each variable
        13:26 projects.shop.services.web.environment: found a list, expected an object with a text for each variable
        15:30 projects.shop.services.web.secrets.db: found a string that is no such path, expected the absolute path of the file that holds the secret
        16:36 projects.shop.services.web.healthcheck.http: found an address with a user name, expected an http:// or https:// address without a password, such as “http://127.0.0.1:8001/health”
        2:27 registry_credentials: found a string that is no such path, expected the absolute path of a file as “docker login” writes it
    "#]].assert_eq(&told);
    let secret = |value: &str| check(&with(&[("\"dev\"", value)]), &plenty).configuration.unwrap();
    let impact = serde_json::to_string(&Impact::between(&secret("\"hunter2\""), &secret("\"hunter3\""))).unwrap();
    assert!(impact.contains("services.web") && !impact.contains("hunter"), "{impact}");
}

#[test]
fn what_services_need() {
    bad(
        &[("[\"db\"]", "[\"web\", \"bd\", \"nothing\", \"db\", \"db\"]")],
        expect![[r#"
        19:26 projects.shop.services.web.depends_on[0]: found “web”, the service itself, expected another service
        19:33 projects.shop.services.web.depends_on[1]: found “bd”, expected one of the services: “web”, “db” or “job”
        19:39 projects.shop.services.web.depends_on[2]: found “nothing”, expected one of the services: “web”, “db” or “job”
        19:56 projects.shop.services.web.depends_on[4]: found “db” again, expected it once, as in projects.shop.services.web.depends_on[3]
    "#]],
    );
    bad(
        &[("[\"db\"]", "{ \"db\": \"healthy\", \"job\": \"service_healthy\", \"x\": \"service_started\" }")],
        expect![[r#"
        19:33 projects.shop.services.web.depends_on.db: found “healthy”, expected “service_started”, “service_healthy” or “service_completed_successfully”
        19:44 projects.shop.services.web.depends_on.job: found “job”, which has no health check, expected a “healthcheck” there, or “service_started” here
        19:70 projects.shop.services.web.depends_on.x: found “x”, expected one of the services: “web”, “db” or “job”
    "#]],
    );
    bad(
        &[
            ("\"healthcheck\": { \"test\": \"pg_isready\" }", "\"depends_on\": [\"job\"]"),
            ("\"job\": { ", "\"job\": { \"depends_on\": [\"web\"], "),
        ],
        expect![[r#"
            24:33 projects.shop.services.job.depends_on[0]: found a circle: web → db → job → web, expected services that do not wait for each other
        "#]],
    );
    bad(
        &[
            ("[\"db\"]", "{ \"db\": \"service_healthy\", \"job\": \"service_completed_successfully\" }"),
            (", \"healthcheck\": { \"test\": \"pg_isready\" }", ""),
        ],
        expect![[r#"
            warning 19:27 projects.shop.services.web.depends_on.db: found “db”, of which no health check is configured, expected a “healthcheck” there, unless its image has one
            warning 19:52 projects.shop.services.web.depends_on.job: found “job”, which is started again however it ends, expected “restart” there to be “no” or “on-failure”
        "#]],
    );
    bad(
        &[("[\"db\"]", "{ \"db\": \"service_healthy\" }"), ("\"pg_isready\"", "[\"NONE\"]")],
        expect![[r#"
        19:27 projects.shop.services.web.depends_on.db: found “db”, which has no health check, expected a “healthcheck” there, or “service_started” here
    "#]],
    );
    bad(
        &[("\"orphans\"", "\"primary\": \"wbe\", \"stateful\": [\"mysql\"], \"orphans\"")],
        expect![[r#"
        26:18 projects.shop.primary: found “wbe”, expected “web”
        26:38 projects.shop.stateful[0]: found “mysql”, expected one of the services: “web”, “db” or “job”
    "#]],
    );
}

#[test]
fn what_two_services_both_need_is_no_circle() {
    bad(&[("[\"db\"]", "[\"db\", \"job\"]"), ("\"job\": { ", "\"job\": { \"depends_on\": [\"db\"], ")], expect![[""]]);
}

#[test]
fn ports_and_names_are_for_one() {
    bad(
        &[("\"instances\": 1", "\"instances\": 2")],
        expect![[r#"
        11:28 projects.shop.services.web.ports.80: found 8080 for 2 instances, expected “auto”: one port of the host is for one of them only
    "#]],
    );
    let mail = |ports: &str| answer(&with(&[("\"25/udp\": \"auto\"", ports)]));
    expect![[r#"
        28:73 projects.tools.services.mail.ports.1: found port 8080 of the host, which “web” of project “shop” has at projects.shop.services.web.ports.80, expected a port of its own, or “auto”
        28:86 projects.tools.services.mail.ports.2: found port 8080 of the host, which “web” of project “shop” has at projects.shop.services.web.ports.80, expected a port of its own, or “auto”
        28:139 projects.tools.services.mail.ports.5: found port 8081 of the host, which “mail” has at projects.tools.services.mail.ports.4, expected a port of its own, or “auto”
        28:158 projects.tools.services.mail.ports.6: found port 8081 of the host, which “mail” has at projects.tools.services.mail.ports.4, expected a port of its own, or “auto”
    "#]]
        .assert_eq(&mail(r#""1": "8080", "2": "127.0.0.1:8080", "3/udp": "8080", "4": "8081", "5": "[::1]:8081", "6": "0.0.0.0:8081""#));
    assert_eq!(
        mail(
            r#""1": "127.0.0.1:81", "2": "127.0.0.2:81", "3": "[::1]:81", "4/udp": "81", "5": "auto", "6": "auto", "7": "[::]:82", "8": "0.0.0.0:82""#
        ),
        ""
    );
    assert!(
        mail(r#""1": "127.0.0.1:81", "2": "0.0.0.0:81""#)
            .contains("found port 81 of the host, which “mail” has at projects.tools.services.mail.ports.1")
    );
    bad(
        &[("\"network\": \"bridge\"", "\"network\": \"host\"")],
        expect![[r#"
        warning 11:20 projects.shop.services.web.ports: found ports beside that network, expected no ports: nothing is published in the networks “host” and “none”
    "#]],
    );
    bad(
        &[
            ("\"tools\"", "\"shop-web\""),
            ("\"mail\": {", "\"2\": { \"image\": \"a\" }, \"mail\": {"),
            ("\"80\": \"8080\"", "\"80\": \"auto\""),
            ("\"instances\": 1", "\"instances\": 2"),
            (
                "\"db\": {",
                "\"web-1\": { \"image\": \"a\" }, \"web-3\": { \"image\": \"a\" }, \"web-mail\": { \"image\": \"a\" }, \"db\": {",
            ),
        ],
        expect![[r#"
            23:9 projects.shop.services.web-1: found “web-1”, whose container would be called like one of “web”, expected a name that leads to another container
            28:33 projects.shop-web.services.2: found “2”, whose container would be called like one of “web” of project “shop”, expected a name that leads to another container
            28:56 projects.shop-web.services.mail: found “mail”, whose container would be called like one of “web-mail” of project “shop”, expected a name that leads to another container
        "#]],
    );
}

#[test]
fn where_there_is_no_engine() {
    bad(
        &[("\"access\"", "\"docker\": false, \"access\"")],
        expect![[r#"
        8:20 projects.shop.services.web.image: found a service that is a container only, with "docker": false, expected a “process” beside it, or "docker": true
        23:26 projects.shop.services.db.image: found a service that is a container only, with "docker": false, expected a “process” beside it, or "docker": true
        28:49 projects.tools.services.mail.image: found a service that is a container only, with "docker": false, expected a “process” beside it, or "docker": true
    "#]],
    );
    bad(
        &[
            ("\"access\"", "\"docker\": false, \"access\""),
            ("\"production\": \"/srv/shop\",", "\"enabled\": false, \"production\": \"/srv/shop\","),
            ("\"services\": { \"mail\": { \"image\": \"mail\", \"ports\": { \"25/udp\": \"auto\" } } }", "\"containers\": [\"mail\"]"),
        ],
        expect![[r#"
            28:30 projects.tools.containers: found “containers” with "docker": false, expected “services” that are processes, or "docker": true
        "#]],
    );
}

#[test]
fn a_project_that_is_disabled_needs_no_engine() {
    let tools = "\"services\": { \"mail\": { \"image\": \"mail\", \"ports\": { \"25/udp\": \"auto\" } } }";
    bad(
        &[
            ("\"access\"", "\"docker\": false, \"access\""),
            ("\"production\": \"/srv/shop\",", "\"enabled\": false, \"production\": \"/srv/shop\","),
            (tools, "\"enabled\": false, \"containers\": [\"mail\"]"),
        ],
        expect![[""]],
    );
}

#[test]
fn kinds_and_directories() {
    bad(
        &[("\"production\": \"/srv/shop\",", "")],
        expect![[r#"
        12:41 projects.shop.services.web.volumes["./conf"]: found “./conf”, expected an absolute path, or a “production” directory that it is below
        14:23 projects.shop.services.web.env_file: found “app.env”, expected an absolute path, or a “production” directory that it is below
    "#]],
    );
    bad(
        &[
            ("\"production\": \"/srv/shop\",", "\"workspace\": \"/code\","),
            ("\"tools\": { ", "\"tools\": { \"deploy\": {}, \"exclude\": [], "),
        ],
        expect![[r#"
            4:13 projects.shop.production: found nothing, expected the directory that a deploy copies the workspace into
            12:41 projects.shop.services.web.volumes["./conf"]: found “./conf”, expected an absolute path, or a “production” directory that it is below
            14:23 projects.shop.services.web.env_file: found “app.env”, expected an absolute path, or a “production” directory that it is below
            warning 28:41 projects.tools.exclude: found a setting of deploys, expected “workspace” beside it: without one nothing is deployed
        "#]],
    );
    bad(
        &[("\"orphans\": \"list\"", "\"orphans\": \"remove\", \"containers\": [\"a\"]")],
        expect![[r#"
        6:19 projects.shop.services: found “services” beside “containers”, expected one of the two
    "#]],
    );
}

#[test]
fn what_the_disk_says() {
    let open = OnDisk::File(Rights { readable: true, executable: false, open: true });
    let disk = |path: &Path| match path.to_str().unwrap() {
        "/srv/shop/app.env" => open.clone(),
        "/usr/bin/job" => FILE,
        "/etc/db.txt" => OnDisk::Missing,
        "/var/lib/x" => OnDisk::Directory("/var/lib/x".into()),
        "/var/lib/link" => OnDisk::Directory("/etc".into()),
        "/gone" => OnDisk::Missing,
        file if file == format!("/var/lib/x/{DATABASE}") => FILE,
        _ => OnDisk::Directory(path.to_owned()),
    };
    let volumes = r#""/": "/a", "/etc": "/b", "/var/lib/link": "/c", "/var/run/docker.sock": "/d:ro", "/var/lib/x": "/e", "/gone": "/f", "/srv/y": "/g""#;
    expect![[r#"
        15:30 projects.shop.services.web.secrets.db: found “/etc/db.txt”, which does not exist, expected a file that is there
        24:42 projects.shop.services.job.process.command: found “/usr/bin/job”, which cannot be started, expected a program that this user may start
        warning 12:24 projects.shop.services.web.volumes["/"]: found “/”, expected less of the host: what is in there opens all of it
        warning 12:35 projects.shop.services.web.volumes["/etc"]: found “/etc”, expected less of the host: what is in there opens all of it
        warning 12:49 projects.shop.services.web.volumes["/var/lib/link"]: found “/var/lib/link”, expected less of the host: what is in there opens all of it
        warning 12:72 projects.shop.services.web.volumes["/var/run/docker.sock"]: found “/var/run/docker.sock”, the socket of an engine, expected no such mount: whoever has it may do everything on the host
        warning 12:105 projects.shop.services.web.volumes["/var/lib/x"]: found “/var/lib/x”, the data directory of dockmaster, expected another directory: nobody else may write there
        warning 12:125 projects.shop.services.web.volumes["/gone"]: found “/gone”, which does not exist, expected a file or directory that is there
        warning 14:23 projects.shop.services.web.env_file: found “app.env”, which everybody may read, expected a file of mode 600: what is in it may be secret
    "#]].assert_eq(&told(&check(&with(&[("\"data\": \"/data\"", volumes)]), &disk)));
    let nowhere = |_: &Path| OnDisk::Unclear("not looked at".to_owned());
    assert!(check(BASE, &nowhere).configuration.is_some(), "a version that was good once");
    let unreadable =
        |path: &Path| if path.is_absolute() && path.extension().is_some() { OnDisk::File(Rights::default()) } else { plenty(path) };
    expect![[r#"
        2:27 registry_credentials: found “/etc/r.json”, which cannot be read, expected a file that this user may read
        14:23 projects.shop.services.web.env_file: found “app.env”, which cannot be read, expected a file that this user may read
    "#]]
    .assert_eq(&told(&check(&with(&[("\"access\"", "\"registry_credentials\": \"/etc/r.json\", \"access\"")]), &unreadable)));
    assert_eq!(DATABASE, crate::history::DATABASE);
}

#[test]
fn files_of_this_machine() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let rights = |name: &str, mode: u32| {
        let path = dir.path().join(name);
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        super::super::on_disk(&path)
    };
    assert_eq!(rights("secret", 0o600), FILE);
    assert_eq!(rights("of_a_group", 0o640), FILE);
    assert_eq!(rights("program", 0o755), super::PROGRAM);
    let OnDisk::File(socket) = super::super::on_disk(Path::new("/dev/null")) else { panic!() };
    assert!(!socket.readable && !socket.executable, "no ordinary file");
}
