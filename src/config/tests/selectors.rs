//! `containers`: how they are found, and what two may not find both.

use expect_test::{Expect, expect};

use super::super::check;
use super::{plenty, told};
use crate::domain::project::Source;

fn text(edge: &str, shop: &str) -> String {
    format!(
        r#"{{ "access": {{ "users": {{ "1": "admin" }} }}, "projects": {{
"edge": {{ "containers": [{edge}] }},
"shop": {{ {shop} }} }} }}"#
    )
}

/// The selectors of the project `edge`.
#[track_caller]
fn reads(edge: &str, expected: Expect) {
    let checked = check(&text(edge, "\"containers\": [\"other\"]"), &plenty);
    assert_eq!(told(&checked), "");
    let config = checked.configuration.unwrap();
    let Source::Containers(selectors) = &config.projects["edge"].source else { panic!() };
    let shown = |s: &crate::domain::project::ContainerSelector| format!("{:?}: {:?}\n", s.service.as_ref().map(|s| s.as_str()), s.ways);
    expected.assert_eq(&selectors.iter().map(shown).collect::<String>());
}

#[track_caller]
fn refuses(edge: &str, shop: &str, expected: Expect) {
    expected.assert_eq(&told(&check(&text(edge, shop), &plenty)));
}

#[test]
fn ways_have_one_order() {
    reads(
        r#""nginx", { "label": "role=x" }, { "port": 80, "pattern": "web-*", "name": "web", "label": "a", "compose": "old/web", "service": "w" }"#,
        expect![[r#"
            Some("nginx"): [Name(ServiceName("nginx"))]
            None: [Label("role=x")]
            Some("w"): [Compose { project: Some("old"), service: ServiceName("web") }, Label("a"), Name(ServiceName("web")), Pattern("web-*"), Port(80)]
        "#]],
    );
    reads(
        r#"{ "service": "web" }, { "name": "db" }, { "compose": "cache" }, { "name": "a", "port": 1 }"#,
        expect![[r#"
        Some("web"): [Compose { project: None, service: ServiceName("web") }, Label("dockmaster.service=web"), Name(ServiceName("web")), Pattern("{web,web[-_.]*,*[-_.]web,*[-_.]web[-_.]*}")]
        Some("db"): [Name(ServiceName("db"))]
        None: [Compose { project: None, service: ServiceName("cache") }]
        None: [Name(ServiceName("a")), Port(1)]
    "#]],
    );
}

#[test]
fn bad_ways() {
    refuses(
        r#"{}, 7, { "service": "a b" }, { "compose": "Shop/web" }, { "pattern": "{a" }, { "port": "80" }, { "port": 70000 }, { "nmae": "x" }"#,
        "\"containers\": [\"other\"]",
        expect![[r#"
            2:26 projects.edge.containers[0]: found an object that says nothing, expected “service”, “compose”, “label”, “name”, “pattern” or “port”
            2:30 projects.edge.containers[1]: found 7, expected a container's name or { "label": "key=value" }
            2:46 projects.edge.containers[2].service: found “a b”, expected a service name: 1 to 128 of A-Z a-z 0-9 _ - .
            2:68 projects.edge.containers[3].compose: found “Shop/web”, expected a compose service, “project/service” or “service”
            2:95 projects.edge.containers[4].pattern: found “{a”, expected a pattern for names, such as “web-*” (unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?))
            2:113 projects.edge.containers[5].port: found “80”, expected a port that is published on the host, a number from 1 to 65535
            2:131 projects.edge.containers[6].port: found 70000, expected a port that is published on the host, a number from 1 to 65535
            2:142 projects.edge.containers[7].nmae: found the unknown key “nmae”, expected “name”
        "#]],
    );
}

#[test]
fn nothing_is_found_twice() {
    refuses(
        r#"{ "port": 80 }, { "pattern": "web-*", "service": "a" }, { "compose": "old/web" }, { "service": "db" }, { "service": "x", "port": 80 }"#,
        r#""containers": [{ "port": 80, "service": "b" }, { "pattern": "web-*" }, { "compose": "web" }, { "service": "db" }, { "label": "dockmaster.service" }]"#,
        expect![[r#"
            2:129 projects.edge.containers[4]: found port 80, which selects what this project has already, expected containers of its own
            3:26 projects.shop.containers[0]: found port 80, which selects what project “edge” has already, expected containers of its own
            3:58 projects.shop.containers[1]: found “web-*”, which selects what project “edge” has already, expected containers of its own
            3:82 projects.shop.containers[2]: found “web”, which selects what project “edge” has already, expected containers of its own
            3:104 projects.shop.containers[3]: found “db”, which selects what project “edge” has already, expected containers of its own
            3:125 projects.shop.containers[4]: found “dockmaster.service”, which selects what project “edge” has already, expected containers of its own
        "#]],
    );
    refuses(
        r#"{ "compose": "shop/web" }, { "compose": "other/web" }"#,
        r#""compose": {}, "production": "/srv/shop", "workspace": "/code/shop", "stateful": []"#,
        expect![[r#"
            2:26 projects.edge.containers[0]: found “shop/web”, which selects what project “shop” has already, expected containers of its own
        "#]],
    );
}

#[test]
fn a_service_is_known_where_all_have_a_name() {
    refuses(
        "\"nginx\"",
        r#""containers": ["a", { "compose": "x/web" }, { "service": "db", "port": 5432 }], "primary": "wbe", "stateful": ["db", "mysql"]"#,
        expect![[r#"
            3:102 projects.shop.primary: found “wbe”, expected “web”
            3:128 projects.shop.stateful[1]: found “mysql”, expected one of the containers: “a”, “web” or “db”
        "#]],
    );
    refuses("\"nginx\"", r#""containers": ["a", { "pattern": "web-*" }], "primary": "whatever""#, expect![[""]]);
}
