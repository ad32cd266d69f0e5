use std::time::Duration;

use expect_test::expect;

use super::super::{check, read};
use super::{EXAMPLE, answer, plenty, told};
use crate::domain::access::Role;
use crate::domain::project::{ContainerSelector, ServiceName, Source, Strategy, Way};

#[test]
fn the_example_is_valid_and_says_what_it_seems_to() {
    let checked = check(EXAMPLE, &plenty);
    assert_eq!(told(&checked), "");
    let config = checked.configuration.unwrap();
    assert_eq!(config.default_project.as_ref().map(|n| n.as_str()), Some("shop"));
    assert_eq!(config.users[&111_111_111], Role::Admin);
    assert!(config.chats.contains(&-1_001_234_567_890));
    assert_eq!(config.confirm_timeout, Duration::from_secs(60));
    let shop = &config.projects["shop"];
    let Source::Compose(compose) = &shop.source else { panic!() };
    assert_eq!((compose.name.as_str(), &compose.files[..]), ("shop", &["docker-compose.yml".to_owned()][..]));
    assert_eq!(shop.workspace.as_deref(), Some("/workspace/shop".as_ref()));
    assert_eq!(shop.copy, ["conf.d/"]);
    assert_eq!(shop.production.as_deref(), Some("/srv/shop".as_ref()));
    assert_eq!(shop.access[&222_222_222], Role::Admin);
    assert_eq!((shop.deploy.health_timeout, shop.deploy.max_delete), (Duration::from_secs(120), 500));
    assert_eq!(shop.restart.strategy, Strategy::Dependency);
    let Source::Containers(edge) = &config.projects["edge"].source else { panic!() };
    let label = ContainerSelector { service: None, ways: vec![Way::Label("role=certbot".into())] };
    assert_eq!(edge[..2], [ContainerSelector::named(ServiceName::new("nginx").unwrap()), label]);
    assert_eq!(config.registry_credentials.as_deref(), Some("/etc/dockmaster/registry.json".as_ref()));
    assert!(config.docker);
}

#[test]
fn little_suffices() {
    let checked = check(
        r#"{ "access": { "users": { "1": "admin" } }, "projects": { "Shop": { "compose": {}, "production": "//srv/./shop/" } } }"#,
        &plenty,
    );
    expect![[r#"
        warning 1:66 projects.Shop.stateful: found nothing, expected “stateful” to name its databases (or to be []): a restart or a deploy takes all services along
        warning 1:66 projects.Shop.workspace: found nothing, expected the directory with the code: the project cannot be deployed without it
    "#]]
    .assert_eq(&told(&checked));
    let config = checked.configuration.unwrap();
    let shop = &config.projects["Shop"];
    let Source::Compose(compose) = &shop.source else { panic!() };
    assert_eq!((compose.name.as_str(), compose.files.join(" ")), ("shop", "compose.yml".to_owned()));
    assert_eq!(shop.production.as_deref().and_then(|p| p.to_str()), Some("/srv/shop"));
}

#[test]
fn every_spelling_of_a_duration() {
    for (text, seconds) in [("60s", 60), ("2m", 120), ("1h", 3600), ("1m30s", 90), ("90 seconds", 90), ("0.1h", 360), ("PT20S", 20)] {
        let checked = check(&EXAMPLE.replace("\"60s\"", &format!("{text:?}")), &plenty);
        assert_eq!(checked.configuration.map(|c| c.confirm_timeout), Some(Duration::from_secs(seconds)), "{text}");
    }
    for bad in ["", "60", "4.9s", "1h1s", "-60s", "60s ago", "1d", "s", "99999999999999999999h", "１m"] {
        let told = answer(&EXAMPLE.replace("\"60s\"", &format!("{bad:?}")));
        assert!(told.ends_with("expected a duration from 5 s to 1 h, such as “60s”\n"), "{bad}: {told}");
    }
}

#[test]
fn addresses_of_probes() {
    let with = |probe: &str| answer(&EXAMPLE.replace("http://127.0.0.1:8001/health", probe));
    for good in ["http://a", "https://shop.example/health?full=1", "http://[::1]:8001/", "http://[::1]", "http://a_b:1/x#y"] {
        assert_eq!(with(good), "", "{good}");
    }
    for bad in [
        "",
        "a",
        "ftp://a",
        "http://",
        "http:///x",
        "http://a:0",
        "http://a:",
        "http://a:+1",
        "http://a:70000",
        "http://a b",
        "http://[x]",
        "http://ä",
    ] {
        assert!(with(bad).contains("expected an http:// or https:// address"), "{bad}: {}", with(bad));
    }
    let secret = with("http://me:hunter2@127.0.0.1/");
    assert!(secret.contains("found an address with a user name") && !secret.contains("hunter2"), "{secret}");
}

#[test]
fn a_byte_order_mark_stands_in_no_column() {
    assert_eq!(answer(&format!("\u{feff}{EXAMPLE}")), "");
    assert_eq!(answer("\u{feff}x"), "1:1: found “x”, expected a value\n");
}

#[test]
fn what_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let told = |name: &str| read(&dir.path().join(name)).unwrap_err().to_string().replace(dir.path().to_str().unwrap(), "/etc");
    expect!["/etc/none.json does not exist"].assert_eq(&told("none.json"));
    expect!["/etc/ is a directory, not a configuration"].assert_eq(&told(""));
}

#[test]
fn bytes_that_are_no_text_and_files_that_are_too_large() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let problems = |bytes: &[u8]| {
        std::fs::write(file.path(), bytes).unwrap();
        super::told(&read(file.path()).unwrap())
    };
    expect![[r#"
        2:4: found a byte that is not UTF-8, expected a file in UTF-8
    "#]]
    .assert_eq(&problems(b"{\n  \"\xff\": 1 }"));
    let mut large = vec![b' '; 1 << 20];
    assert_eq!(
        problems(&large),
        "2:1: found the end of the file, expected a value\n".replace('2', "1").replace(":1:", &format!(":{}:", (1 << 20) + 1))
    );
    large.push(b' ');
    assert_eq!(problems(&large), "1:1: found more than 1 MiB, expected a smaller file\n");
}
