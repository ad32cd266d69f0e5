//! Bad files, and what each is told.

use expect_test::{Expect, expect};

use super::super::file::PROJECTS_MAX;
use super::super::read::ITEMS_MAX;
use super::super::report::TOLD_MAX;
use super::{EXAMPLE, answer};

/// A small good file with one thing on each line.
const BASE: &str = r#"{
  "default_project": "shop",
  "access": {
    "users": { "11": "admin", "22": "viewer" },
    "chats": [-100]
  },
  "confirm_timeout": "60s",
  "projects": {
    "shop": {
      "enabled": true,
      "workspace": "/workspace/shop",
      "production": "/srv/shop",
      "compose": { "files": ["docker-compose.yml"] },
      "primary": "backend",
      "stateful": ["postgres"],
      "exclude": ["*.log"],
      "access": { "22": "admin" },
      "deploy": { "health_timeout": "120s", "stability": "10s", "max_delete": 500, "probe": "http://a/" },
      "restart": { "strategy": "rolling", "stop_timeout": "10s" }
    },
    "edge": {
      "containers": ["nginx"],
      "production": "/srv/edge",
      "primary": "nginx"
    }
  }
}
"#;

/// Puts `to` in place of `from`, each of which stands in the base once, and compares what is told.
#[track_caller]
fn bad(changes: &[(&str, &str)], expected: Expect) {
    let mut text = BASE.to_owned();
    for (from, to) in changes {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text = text.replace(from, to);
    }
    expected.assert_eq(&answer(&text));
}

#[test]
fn the_base_is_good() {
    bad(&[], expect![[""]]);
}

#[test]
fn syntax() {
    let texts = [
        "",
        "{\n  \"access\": {},\n}",
        "[1,]",
        "{\n  // who may act\n}",
        "{\n  'access': {}\n}",
        "{\n  \"access\": True\n}",
        "{\n  \"access: {}\n}",
        "{\n  \"é\" \"x\"\n}",
        "{\n  \"a\": 1\n  \"b\": 2\n}",
        "{\n  \"a\": [1, 2",
        "{ \"a\": \"\\d\" }",
        "{ \"a\": 007 }",
        "{} {}",
        "[]",
        "\"\u{1b}[31m\u{202e}\"",
        "\u{202e}",
    ];
    let told: String = texts.iter().map(|text| format!("{text:?}\n    {}", answer(text))).collect();
    expect![[r#"
        ""
            1:1: found the end of the file, expected a value
        "{\n  \"access\": {},\n}"
            3:1: found “}”, expected a key in double quotes after the comma, or no comma
        "[1,]"
            1:4: found “]”, expected a value after the comma, or no comma
        "{\n  // who may act\n}"
            2:3: found a comment, which JSON does not have, expected a key in double quotes or “}”
        "{\n  'access': {}\n}"
            2:3: found a single quote, expected a key in double quotes or “}”
        "{\n  \"access\": True\n}"
            2:13: found “True”, expected a value
        "{\n  \"access: {}\n}"
            2:14: found the end of the line, expected “"” at the end of the string
        "{\n  \"é\" \"x\"\n}"
            2:7: found “"”, expected “:” after the key
        "{\n  \"a\": 1\n  \"b\": 2\n}"
            3:3: found “"”, expected “,” or “}”
        "{\n  \"a\": [1, 2"
            2:13: found the end of the file, expected “,” or “]”
        "{ \"a\": \"\\d\" }"
            1:10: found “d”, expected one of " \ / b f n r t u after a backslash
        "{ \"a\": 007 }"
            1:9: found “07”, expected “,” or “}”
        "{} {}"
            1:4: found “{”, expected the end of the file
        "[]"
            1:1: found a list, expected an object with “access” and “projects”
        "\"\u{1b}[31m\u{202e}\""
            1:2: found “\u{1b}”, expected no control characters in a string (write \t, \u0000)
        "\u{202e}"
            1:1: found “\u{202e}”, expected a value
    "#]]
    .assert_eq(&told);
}

#[test]
fn missing() {
    expect![[r#"
        1:1 access: found nothing, expected an object that says who may act
        1:1 projects: found nothing, expected an object with the projects by name
    "#]]
    .assert_eq(&answer("{}"));
    expect![[r#"
        1:13 access.users: found nothing, expected an object with a role for each user id
        warning 1:29 projects: found no project, expected at least one: there is nothing to do
    "#]]
    .assert_eq(&answer("{ \"access\": {}, \"projects\": {} }"));
    bad(
        &[("\"compose\": { \"files\": [\"docker-compose.yml\"] },", "")],
        expect![[r#"
            9:13 projects.shop: found neither “compose” nor “containers” nor “services”, expected one of the three
        "#]],
    );
    bad(
        &[("\"production\": \"/srv/shop\",", "")],
        expect![[r#"
        9:13 projects.shop.production: found nothing, expected the directory that the running containers of a compose project use
    "#]],
    );
    bad(
        &[("\"containers\": [\"nginx\"],", "\"containers\": [],")],
        expect![[r#"
        22:21 projects.edge.containers: found an empty list, expected at least one container name or label
    "#]],
    );
    bad(
        &[("[\"docker-compose.yml\"]", "[]")],
        expect![[r#"
        13:29 projects.shop.compose.files: found an empty list, expected at least one compose file
    "#]],
    );
    bad(
        &[("[\"nginx\"]", "[{}]")],
        expect![[r#"
            22:22 projects.edge.containers[0]: found an object that says nothing, expected “service”, “compose”, “label”, “name”, “pattern” or “port”
        "#]],
    );
}

#[test]
fn unknown_and_later_keys() {
    bad(
        &[("\"primary\": \"backend\"", "\"primry\": \"backend\"")],
        expect![[r#"
        14:7 projects.shop.primry: found the unknown key “primry”, expected “primary”
    "#]],
    );
    bad(
        &[("\"stop_timeout\"", "\"Stop_Timeout\"")],
        expect![[r#"
        19:43 projects.shop.restart.Stop_Timeout: found the unknown key “Stop_Timeout”, expected “stop_timeout”
    "#]],
    );
    bad(
        &[("\"chats\"", "\"#\"")],
        expect![[r##"
        5:5 access["#"]: found the unknown key “#”, expected one of “users” or “chats”
    "##]],
    );
    bad(
        &[
            ("\"confirm_timeout\": \"60s\"", "\"reload\": { \"watch\": \"auto\" }"),
            ("\"enabled\": true", "\"alerts\": {}"),
            ("\"containers\": [\"nginx\"]", "\"services\": {}"),
        ],
        expect![[r#"
            10:7 projects.shop.alerts: found a key that is not in this version yet, expected it to be left out
            22:19 projects.edge.services: found an empty object, expected at least one service
        "#]],
    );
}

#[test]
fn duplicates() {
    bad(
        &[("\"stateful\": [\"postgres\"]", "\"primary\": \"web\"")],
        expect![[r#"
        15:7 projects.shop.primary: found the key “primary” again, expected each key once
        warning 9:13 projects.shop.stateful: found nothing, expected “stateful” to name its databases (or to be []): a restart or a deploy takes all services along
    "#]],
    );
    bad(
        &[("\"22\": \"viewer\"", "\"11\": \"viewer\"")],
        expect![[r#"
        4:31 access.users.11: found the key “11” again, expected each key once
        warning 17:19 projects.shop.access.22: found “22”, expected a user of the general “access.users”: others may do nothing
    "#]],
    );
    bad(
        &[("[\"postgres\"]", "[\"postgres\", \"redis\", \"postgres\"]"), ("[-100]", "[-100, -100]")],
        expect![[r#"
        5:21 access.chats[1]: found -100 again, expected it once, as in access.chats[0]
        15:41 projects.shop.stateful[2]: found “postgres” again, expected it once, as in projects.shop.stateful[0]
    "#]],
    );
    bad(
        &[("\"edge\"", "\"shop\"")],
        expect![[r#"
        21:5 projects.shop: found the key “shop” again, expected each key once
    "#]],
    );
    bad(
        &[("\"edge\"", "\"SHOP\"")],
        expect![[r#"
        21:5 projects.SHOP: found “SHOP”, expected a name that differs from “shop” in more than its case
    "#]],
    );
}

#[test]
fn little_room() {
    let below = |limit: &str| BASE.replace("\"confirm_timeout\": \"60s\"", &format!("\"volumes\": {{ \"warn_below\": {limit:?} }}"));
    for good in ["1GB", "500mb", "2 TB", "999TB", "1%", "99%", "auto", "off"] {
        assert_eq!(answer(&below(good)), "", "{good}");
    }
    for wrong in ["0MB", "1.5GB", "-1GB", "5", "0%", "100%", "1000TB", "999999999TB", "", "AUTO", "+1GB", "1kB", "５%"] {
        let told = answer(&below(wrong));
        assert!(told.ends_with("expected a size from “1MB” to “999TB”, a part from “1%” to “99%”, “auto” or “off”\n"), "{wrong}: {told}");
    }
    bad(
        &[("\"confirm_timeout\": \"60s\"", "\"volumes\": \"2GB\"")],
        expect![[r#"
        7:14 volumes: found “2GB”, expected an object that says when there is little room
    "#]],
    );
    bad(
        &[("\"confirm_timeout\": \"60s\"", "\"volumes\": { \"warn_below\": 5 }")],
        expect![[r#"
        7:30 volumes.warn_below: found 5, expected a size from “1MB” to “999TB”, a part from “1%” to “99%”, “auto” or “off”
    "#]],
    );
}

#[test]
fn types() {
    bad(
        &[
            ("true", "\"yes\""),
            ("\"60s\"", "60"),
            ("[-100]", "[\"-100\", -1.5, null]"),
            ("500", "5e2"),
            ("[\"postgres\"]", "\"postgres\""),
            ("\"backend\"", "[]"),
            ("\"22\": \"admin\"", "\"22\": 1"),
            ("{ \"strategy\": \"rolling\", \"stop_timeout\": \"10s\" }", "\"rolling\""),
            ("[\"nginx\"]", "[7]"),
        ],
        expect![[r#"
            5:15 access.chats[0]: found “-100”, expected the numeric id of a group, which is negative (/whoami there tells it)
            5:23 access.chats[1]: found -1.5, expected the numeric id of a group, which is negative (/whoami there tells it)
            5:29 access.chats[2]: found null, expected the numeric id of a group, which is negative (/whoami there tells it)
            7:22 confirm_timeout: found 60, expected a duration from 5 s to 1 h, such as “60s”
            10:18 projects.shop.enabled: found “yes”, expected true or false
            14:18 projects.shop.primary: found a list, expected a service name: 1 to 128 of A-Z a-z 0-9 _ - .
            15:19 projects.shop.stateful: found “postgres”, expected a list of services
            17:25 projects.shop.access.22: found 1, expected “viewer”, “operator” or “admin”
            18:79 projects.shop.deploy.max_delete: found 5e2, expected a whole number from 0 to 1000000
            19:18 projects.shop.restart: found “rolling”, expected an object with the settings of a restart
            22:22 projects.edge.containers[0]: found 7, expected a container's name or { "label": "key=value" }
        "#]],
    );
    bad(
        &[("{ \"11\": \"admin\", \"22\": \"viewer\" }", "[11]")],
        expect![[r#"
        4:14 access.users: found a list, expected an object with a role for each user id, such as { "111111111": "admin" }
    "#]],
    );
    expect![[r#"
        1:13 access: found 1, expected an object with “users”
        1:35 projects.a: found null, expected an object that describes the project
        1:54 $schema: found 3, expected the address of the schema, such as “docs/projects.schema.json”
        1:76 default_project: found a list, expected the name of a project
    "#]]
    .assert_eq(&answer(r#"{ "access": 1, "projects": { "a": null }, "$schema": 3, "default_project": [] }"#));
}

#[test]
fn values() {
    bad(
        &[("\"rolling\"", "\"Rolling\"")],
        expect![[r#"
        19:32 projects.shop.restart.strategy: found “Rolling”, expected “immediate”, “graceful”, “rolling” or “dependency”
    "#]],
    );
    bad(
        &[("\"120s\"", "\"2h\""), ("\"stability\": \"10s\"", "\"stability\": \"11m\"")],
        expect![[r#"
        18:37 projects.shop.deploy.health_timeout: found “2h”, expected a duration from 1 s to 1 h, such as “120s”
        18:56 projects.shop.deploy.stability: found “11m”, expected a duration of at most 10 min, such as “10s”
    "#]],
    );
    bad(
        &[("500", "-1"), ("http://a/", "localhost:80")],
        expect![[r#"
        18:79 projects.shop.deploy.max_delete: found -1, expected a whole number from 0 to 1000000
        18:92 projects.shop.deploy.probe: found “localhost:80”, expected an http:// or https:// address without a password, such as “http://127.0.0.1:8001/health”
    "#]],
    );
    bad(
        &[("*.log", "[z-a]")],
        expect![[r#"
        16:19 projects.shop.exclude[0]: found “[z-a]”, expected a pattern in gitignore syntax (invalid range; 'z' > 'a')
    "#]],
    );
    bad(
        &[("*.log", "a{b")],
        expect![[r#"
        16:19 projects.shop.exclude[0]: found “a{b”, expected a pattern in gitignore syntax (unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?))
    "#]],
    );
    bad(
        &[("\"*.log\"", "\"\", \"# logs\"")],
        expect![[r#"
        16:19 projects.shop.exclude[0]: found “”, expected a pattern in gitignore syntax, such as “*.log” or “uploads/”
        warning 16:23 projects.shop.exclude[1]: found “# logs”, a comment, expected a pattern; a file whose name starts with # is “\#…”
    "#]],
    );
    bad(
        &[("\"backend\"", "\"\""), ("\"postgres\"", "\"--help me\"")],
        expect![[r#"
            14:18 projects.shop.primary: found “”, expected a service name: 1 to 128 of A-Z a-z 0-9 _ - .
            15:20 projects.shop.stateful[0]: found “--help me”, expected a service name: 1 to 128 of A-Z a-z 0-9 _ - .
        "#]],
    );
    bad(
        &[("\"nginx\"\n", "\"ngnix\"\n")],
        expect![[r#"
        24:18 projects.edge.primary: found “ngnix”, expected “nginx”
    "#]],
    );
    bad(
        &[("[\"nginx\"]", "[\"nginx\", { \"label\": \"=x\" }, { \"lable\": \"a\" }]")],
        expect![[r#"
            22:42 projects.edge.containers[1].label: found “=x”, expected a label, “key=value” or “key”
            22:52 projects.edge.containers[2].lable: found the unknown key “lable”, expected “label”
        "#]],
    );
}

#[test]
fn names() {
    bad(
        &[("\"edge\"", "\"../x\"")],
        expect![[r#"
        21:5 projects["../x"]: found “../x”, expected a project name: 1 to 40 of A-Z a-z 0-9 _ -, starting with a letter or digit
    "#]],
    );
    bad(
        &[("\"edge\"", "\"-rf\"")],
        expect![[r#"
        21:5 projects.-rf: found “-rf”, expected a project name: 1 to 40 of A-Z a-z 0-9 _ -, starting with a letter or digit
    "#]],
    );
    bad(
        &[("\"edge\"", "\"a\\u001b[31m\\\"b\"")],
        expect![[r#"
        21:5 projects["a\u{1b}[31m\"b"]: found “a\u{1b}[31m"b”, expected a project name: 1 to 40 of A-Z a-z 0-9 _ -, starting with a letter or digit
    "#]],
    );
    bad(
        &[("\"edge\"", "\"All\"")],
        expect![[r#"
        21:5 projects.All: found “All”, expected another name: in commands this word means every project
    "#]],
    );
    bad(
        &[("\"edge\"", "\"50\"")],
        expect![[r#"
        warning 21:5 projects.50: found “50”, expected another name: in commands this can be taken for a number
    "#]],
    );
    bad(
        &[("\"edge\"", "\"Force\"")],
        expect![[r#"
        warning 21:5 projects.Force: found “Force”, expected another name: in commands this can be taken for an option
    "#]],
    );
    bad(
        &[("\"edge\"", "\"rolling\""), ("\"strategy\": \"rolling\"", "\"strategy\": \"graceful\"")],
        expect![[r#"
        warning 21:5 projects.rolling: found “rolling”, expected another name: in commands this can be taken for a restart strategy
    "#]],
    );
    bad(
        &[("\"files\": [\"docker-compose.yml\"]", "\"name\": \"Shop\"")],
        expect![[r#"
        13:28 projects.shop.compose.name: found “Shop”, expected a compose project name: a-z 0-9 _ -, starting with a letter or digit
    "#]],
    );
}

#[test]
fn people() {
    bad(
        &[("{ \"11\": \"admin\", \"22\": \"viewer\" }", "{}")],
        expect![[r#"
        4:14 access.users: found nobody, expected at least one user id with the role “admin”
    "#]],
    );
    bad(
        &[("\"11\": \"admin\"", "\"11\": \"operator\"")],
        expect![[r#"
        4:14 access.users: found no admin, expected at least one user id with the role “admin”
    "#]],
    );
    bad(
        &[("\"11\": \"admin\"", "\"11\": \"Admin\"")],
        expect![[r#"
        4:22 access.users.11: found “Admin”, expected “viewer”, “operator” or “admin”
    "#]],
    );
    for id in ["0", "-5", "011", "+11", "ann", "99999999999999999999", ""] {
        let told = answer(&BASE.replace("\"22\": \"viewer\"", &format!("\"{id}\": \"viewer\"")));
        assert!(told.starts_with("4:31 access.users"), "{told}");
        assert!(told.contains(&format!("found “{id}”, expected a user's numeric id")), "{told}");
    }
    bad(
        &[("[-100]", "[100, 0]")],
        expect![[r#"
        5:15 access.chats[0]: found 100, expected the numeric id of a group, which is negative (/whoami there tells it)
        5:20 access.chats[1]: found 0, expected the numeric id of a group, which is negative (/whoami there tells it)
    "#]],
    );
    bad(
        &[("[-100]", "[-22]")],
        expect![[r#"
        warning 5:15 access.chats[0]: found -22, a user's id with a minus, expected the id of a group; private chats need not be listed
    "#]],
    );
    bad(
        &[("\"22\": \"admin\"", "\"33\": \"admin\", \"x\": \"admin\"")],
        expect![[r#"
        17:34 projects.shop.access.x: found “x”, expected a user's numeric id (the bot answers /whoami with it)
        warning 17:19 projects.shop.access.33: found “33”, expected a user of the general “access.users”: others may do nothing
    "#]],
    );
}

#[test]
fn the_default_project() {
    bad(
        &[("\"default_project\": \"shop\"", "\"default_project\": \"shpo\"")],
        expect![[r#"
        2:22 default_project: found “shpo”, expected “shop”
    "#]],
    );
    bad(
        &[("\"default_project\": \"shop\"", "\"default_project\": \"SHOP\"")],
        expect![[r#"
        2:22 default_project: found “SHOP”, expected “shop”
    "#]],
    );
    bad(
        &[("\"default_project\": \"shop\"", "\"default_project\": \"\"")],
        expect![[r#"
        2:22 default_project: found “”, expected the name of a project: “shop” or “edge”
    "#]],
    );
    bad(
        &[("true", "false")],
        expect![[r#"
        warning 2:22 default_project: found “shop”, which is disabled, expected an enabled project: commands without a name mean none now
    "#]],
    );
}

#[test]
fn doubtful() {
    bad(
        &[("\"60s\"", "\"30m\"")],
        expect![[r#"
        warning 7:22 confirm_timeout: found “30m”, expected at most 10 min: what a plan says may be out of date by then
    "#]],
    );
    bad(
        &[("\"stateful\": [\"postgres\"],", ""), ("\"workspace\": \"/workspace/shop\",", "")],
        expect![[r#"
        warning 9:13 projects.shop.stateful: found nothing, expected “stateful” to name its databases (or to be []): a restart or a deploy takes all services along
        warning 9:13 projects.shop.workspace: found nothing, expected the directory with the code: the project cannot be deployed without it
    "#]],
    );
    bad(
        &[("\"primary\": \"nginx\"", "\"exclude\": [], \"deploy\": {}, \"orphans\": \"list\", \"on_shutdown\": \"stop\"")],
        expect![[r#"
        warning 24:18 projects.edge.exclude: found a setting of deploys, expected “workspace” beside it: without one nothing is deployed
        warning 24:32 projects.edge.deploy: found a setting of deploys, expected “workspace” beside it: without one nothing is deployed
        warning 24:47 projects.edge.orphans: found a setting of managed services, expected “services” beside it: it does nothing here
        warning 24:70 projects.edge.on_shutdown: found a setting of managed services, expected “services” beside it: it does nothing here
    "#]],
    );
}

#[test]
fn paths() {
    for path in ["srv", "", "/", "/srv/../etc", "~/x", "/a\\nb"] {
        let told = answer(&BASE.replace("/srv/edge", path));
        assert!(told.starts_with("23:21 projects.edge.production: found “"), "{told}");
        assert!(told.ends_with("expected the absolute path of a directory, without “..”, such as “/srv/shop”\n"), "{told}");
    }
    for file in ["/etc/passwd", "../x.yml", "", "-", "-f.yml", ".", "a/../../b.yml"] {
        let told = answer(&BASE.replace("docker-compose.yml", file));
        assert!(told.starts_with("13:30 projects.shop.compose.files[0]: found “"), "{told}");
        assert!(told.ends_with("expected a relative path without “..”, such as “docker-compose.yml”\n"), "{told}");
    }
    bad(
        &[("/workspace/shop", "/srv/shop")],
        expect![[r#"
        11:20 projects.shop.workspace: found “/srv/shop”, which is the production directory, expected a directory outside production, and production outside it
    "#]],
    );
    bad(
        &[("/workspace/shop", "/srv/shop/src")],
        expect![[r#"
        11:20 projects.shop.workspace: found “/srv/shop/src”, which lies inside the production directory, expected a directory outside production, and production outside it
    "#]],
    );
    bad(
        &[("/workspace/shop", "/srv")],
        expect![[r#"
        11:20 projects.shop.workspace: found “/srv”, which holds the production directory, expected a directory outside production, and production outside it
        warning 11:20 projects.shop.workspace: found “/srv”, which overlaps the production directory of project “edge”, expected a workspace that no other project's deploys write into
    "#]],
    );
}

#[test]
fn what_two_projects_may_not_share() {
    bad(
        &[("/srv/edge", "/srv/shop/edge")],
        expect![[r#"
        23:21 projects.edge.production: found “/srv/shop/edge”, which overlaps “/srv/shop” of project “shop”, expected a production directory of its own
    "#]],
    );
    bad(
        &[("\"containers\": [\"nginx\"]", "\"compose\": { \"name\": \"shop\" }")],
        expect![[r#"
        22:28 projects.edge.compose.name: found “shop”, which is the compose project of “shop”, expected a compose project of its own
        warning 21:13 projects.edge.stateful: found nothing, expected “stateful” to name its databases (or to be []): a restart or a deploy takes all services along
        warning 21:13 projects.edge.workspace: found nothing, expected the directory with the code: the project cannot be deployed without it
    "#]],
    );
    bad(
        &[("\"compose\": { \"files\": [\"docker-compose.yml\"] }", "\"containers\": [\"nginx\", \"backend\"]")],
        expect![[r#"
            15:20 projects.shop.stateful[0]: found “postgres”, expected one of the containers: “nginx” or “backend”
            22:22 projects.edge.containers[0]: found “nginx”, which selects what project “shop” has already, expected containers of its own
        "#]],
    );
    bad(
        &[("[\"nginx\"]", "[{ \"label\": \"a=1\" }, { \"label\": \"a=2\" }, { \"label\": \"a\" }, { \"label\": \"a=3\" }, \"nginx\"]")],
        expect![[r#"
        22:62 projects.edge.containers[2]: found “a”, which selects what this project has already, expected containers of its own
        22:80 projects.edge.containers[3]: found “a=3”, which selects what this project has already, expected containers of its own
    "#]],
    );
    bad(
        &[("[\"nginx\"]", "[{ \"label\": \"com.docker.compose.project=shop\" }]")],
        expect![[r#"
        22:22 projects.edge.containers[0]: found “com.docker.compose.project=shop”, which selects what project “shop” has already, expected containers of its own
    "#]],
    );
    bad(
        &[("\"containers\": [\"nginx\"]", "\"containers\": [\"nginx\"], \"compose\": { \"name\": \"edge\" }")],
        expect![[r#"
        22:21 projects.edge.containers: found “containers” beside “compose”, expected one of the two
        warning 21:13 projects.edge.stateful: found nothing, expected “stateful” to name its databases (or to be []): a restart or a deploy takes all services along
        warning 21:13 projects.edge.workspace: found nothing, expected the directory with the code: the project cannot be deployed without it
    "#]],
    );
}

#[test]
fn all_at_once() {
    let text = EXAMPLE
        .replace("\"default_project\": \"shop\"", "\"default_project\": \"blog\"")
        .replace("\"admin\", \"222222222\"", "\"boss\", \"222222222\"")
        .replace("\"confirm_timeout\": \"60s\"", "\"confirm_timeout\": \"1s\", \"colour\": 1")
        .replace("\"/srv/shop\"", "\"srv/shop\"")
        .replace("\"*.log\"", "\"*.log\", 5")
        .replace("\"strategy\": \"dependency\"", "\"strategy\": \"fast\"")
        .replace("\"edge\": {", "\"edge\": { \"compose\": { \"files\": [\"/x\"] },");
    expect![[r#"
        3:22 default_project: found “blog”, expected the name of a project: “shop”, “edge” or “tools”
        5:29 access.users.111111111: found “boss”, expected “viewer”, “operator” or “admin”
        8:22 confirm_timeout: found “1s”, expected a duration from 5 s to 1 h, such as “60s”
        8:28 colour: found the unknown key “colour”, expected one of “$schema”, “default_project”, “include”, “access”, “confirm_timeout”, “reload”, “volumes”, “docker”, “registry_credentials” or “projects”
        19:21 projects.shop.production: found “srv/shop”, expected the absolute path of a directory, without “..”, such as “/srv/shop”
        24:28 projects.shop.exclude[1]: found 5, expected a pattern in gitignore syntax, such as “*.log” or “uploads/”
        35:32 projects.shop.restart.strategy: found “fast”, expected “immediate”, “graceful”, “rolling” or “dependency”
        37:13 projects.edge.production: found nothing, expected the directory that the running containers of a compose project use
        37:38 projects.edge.compose.files[0]: found “/x”, expected a relative path without “..”, such as “docker-compose.yml”
        39:21 projects.edge.containers: found “containers” beside “compose”, expected one of the two
        warning 37:13 projects.edge.stateful: found nothing, expected “stateful” to name its databases (or to be []): a restart or a deploy takes all services along
        warning 37:13 projects.edge.workspace: found nothing, expected the directory with the code: the project cannot be deployed without it
    "#]].assert_eq(&answer(&text));
}

#[test]
fn a_flood_is_cut() {
    let keys = |n: usize| (0..n).map(|i| format!("\"k{i}\": 1,")).collect::<String>();
    let told = |n: usize| answer(&BASE.replace("\"default_project\"", &format!("{}\"default_project\"", keys(n))));
    assert_eq!(told(TOLD_MAX).lines().count(), TOLD_MAX);
    let flood = told(TOLD_MAX + 7);
    assert_eq!(flood.lines().count(), TOLD_MAX + 1);
    assert!(flood.lines().last().is_some_and(|l| l.contains(": found 7 more problems from here on, expected the ones above")), "{flood}");
}

#[test]
fn a_crowd_is_refused() {
    let projects = |n: usize| (0..n).map(|i| format!("\"p{i}\": {{ \"containers\": [\"c{i}\"] }},")).collect::<String>();
    let told = |n: usize| answer(&BASE.replace("\"edge\"", &format!("{}\"edge\"", projects(n))));
    let fits = told(PROJECTS_MAX - 2);
    assert_eq!(fits, "", "{}", &fits[..200]);
    assert!(told(PROJECTS_MAX - 1).ends_with("projects.edge: found more projects, expected at most 1000\n"));
}

#[test]
fn a_long_list_is_refused() {
    let told = |n: usize| answer(&BASE.replace("\"*.log\"", &vec!["\"x\""; n].join(",")));
    assert_eq!(told(ITEMS_MAX), "");
    assert_eq!(told(ITEMS_MAX + 1), "16:18 projects.shop.exclude: found 201 items, expected at most 200\n");
}
