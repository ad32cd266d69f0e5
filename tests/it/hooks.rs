//! Hooks of services: run by Compose wherever this version of it runs any, and told where it does not.

use std::path::Path;

use serde_json::json;

use crate::lifecycle::{carry_out, good};
use crate::support::fixture::{compose_file, plain_service, sh};
use crate::support::{Fixture, World};

const SERVES: &str = "trap 'exit 0' TERM; while true; do sleep 0.1; done";

/// What the hooks have written since this was asked last.
fn ran(log: &Path) -> String {
    let all = std::fs::read_to_string(log.join("hooks")).unwrap_or_default();
    std::fs::remove_file(log.join("hooks")).ok();
    all.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn compose(log: &Path, version: u8) -> String {
    let hook = |word: &str| format!("[{{ command: [\"sh\", \"-c\", \"echo {word} >> /log/hooks\"] }}]");
    let more = format!(
        "environment: {{ V: \"{version}\" }}, volumes: [\"{}:/log\", \"./conf:/conf:ro\"], post_start: {}, pre_stop: {}",
        log.display(),
        hook("up"),
        hook("down")
    );
    compose_file(&[("web", plain_service(SERVES, &more)), ("plain", plain_service(SERVES, ""))])
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_run_wherever_this_compose_runs_them() {
    let log = tempfile::tempdir().unwrap();
    let log = log.path();
    let fixture = Fixture::new(&[]).with(json!({ "deploy": { "stability": "200ms", "health_timeout": "20s" } }));
    for root in [&fixture.workspace, &fixture.production] {
        std::fs::write(root.join("docker-compose.yml"), compose(log, 1)).unwrap();
        std::fs::write(root.join("conf"), "one\n").unwrap();
    }
    fixture.compose(&["up", "-d"]);
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    // What Compose itself does says which kind of version it is.
    let runs = ran(log) == "up";
    let expected = |hooks: &'static str| if runs { hooks } else { "" };
    let version = sh("docker-compose", &["version", "--short"]);
    let version = version.trim().trim_start_matches('v').split('-').next().unwrap();
    let ignored = format!("Compose {version} ignores the hooks of web (post_start, pre_stop): none of them runs.");
    for (asked, hooks) in [
        ("/docker_restart shop/web immediate", "down up"),
        ("/docker_restart shop", "down up"),
        ("/docker_restart shop rolling", "down up"),
        ("/docker_stop shop/web", "down"),
        ("/docker_start shop/web", "up"),
        ("/docker_stop shop", "down"),
        ("/docker_start shop", "up"),
    ] {
        let (plan, outcome) = carry_out(&world, asked).await;
        good(&outcome);
        assert_eq!(ran(log), expected(hooks), "{asked}: {}", outcome.text);
        assert_eq!(plan.text.contains(&ignored), !runs, "{asked}: {}", plan.text);
    }
    shop.write("conf", "two\n");
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    assert!(plan.text.contains("web: restart (mounted files changed: conf)"), "{}", plan.text);
    assert_eq!((ran(log).as_str(), plan.text.contains(&ignored)), (expected("down up"), !runs), "{}", outcome.text);
    shop.write("docker-compose.yml", &compose(log, 2));
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    // Where Compose replaces a container it runs no hook before its stop.
    assert_eq!((ran(log).as_str(), plan.text.contains(&ignored)), (expected("up"), !runs), "{}", outcome.text);
    // One that does not take part says nothing.
    let (plan, outcome) = carry_out(&world, "/docker_restart shop/plain").await;
    good(&outcome);
    assert_eq!((ran(log).as_str(), plan.text.contains("hooks")), ("", false), "{}", plan.text);
    world.finish().await;
}
