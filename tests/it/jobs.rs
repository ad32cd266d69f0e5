//! Jobs: run once, done with code 0, run again where they failed; and what merely ended with code 0.

use std::path::Path;

use serde_json::json;

use crate::lifecycle::{carry_out, good, told};
use crate::support::fixture::{compose_file, engine_get, image, plain_service};
use crate::support::{Fixture, World, eventually};

const SERVES: &str = "trap 'exit 0' TERM; while true; do sleep 0.1; done";

/// How often the job has run.
fn runs(log: &Path) -> usize {
    std::fs::read_to_string(log.join("runs")).unwrap_or_default().lines().count()
}

/// `web` waits for `migrate`, `worker` for both. The image of `migrate` has a health check that no job passes.
fn compose(log: &Path, migrate: &str, version: u8) -> String {
    let log = log.display();
    let needs = "migrate: { condition: service_completed_successfully }";
    let job = format!("{{ build: job, command: [\"sh\", \"-c\", {}], volumes: [\"{log}:/log\"] }}", json!(migrate));
    compose_file(&[
        ("migrate", job),
        ("web", plain_service(SERVES, &format!("environment: {{ V: \"{version}\" }}, depends_on: {{ {needs} }}"))),
        ("worker", plain_service(SERVES, &format!("depends_on: {{ web: {{ condition: service_started }}, {needs} }}"))),
    ])
}

/// The hash of a service's container, and the one that the files would give it.
fn hashes(shop: &Fixture, service: &str) -> (String, String) {
    let seen = engine_get(&format!("/containers/{}/json", shop.container(service).0));
    let label = seen["Config"]["Labels"]["com.docker.compose.config-hash"].as_str().unwrap().to_owned();
    let wanted = shop.compose(&["config", "--hash", service]);
    (label, wanted.split_whitespace().last().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn job_runs_once_in_a_deploy_and_again_where_it_failed() {
    let log = tempfile::tempdir().unwrap();
    let log = log.path();
    let job = "sleep 0.3; echo run >> /log/runs; if test -e /log/bad; then echo no such table; exit 3; fi";
    let fixture = Fixture::new(&[]).with(json!({ "deploy": { "stability": "1s", "health_timeout": "20s", "auto_rollback": false } }));
    std::fs::remove_file(fixture.production.join("docker-compose.yml")).unwrap();
    fixture.write("docker-compose.yml", &compose(log, job, 1));
    let check = "HEALTHCHECK --interval=1s --timeout=1s --retries=1 CMD [\"false\"]";
    fixture.write("job/Dockerfile", &format!("FROM {}\n{check}\n", image()));
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];

    let (_, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&outcome.text, &["migrate: done (ended with code 0)", "web: running for"]);
    assert_eq!(runs(log), 1, "once, however many layers wait for it");
    for service in ["migrate", "web", "worker"] {
        let (is, wanted) = hashes(shop, service);
        assert_eq!(is, wanted, "{service} is labelled as Compose would label it");
    }
    told(&world.ask("/docker_status").await.text, &["all 2 up, 1 done", "done: ended"]);

    let (migrate, web, worker) = (shop.container("migrate"), shop.container("web"), shop.container("worker"));
    shop.write("docker-compose.yml", &compose(log, job, 2));
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["web: recreate (configuration changed)", "Stays as it is: migrate, worker"]);
    assert_eq!((runs(log), shop.container("migrate"), shop.container("worker")), (1, migrate, worker), "{}", outcome.text);
    assert_ne!(shop.container("web").0, web.0);

    // It fails, and what waits for it is not started with it.
    std::fs::write(log.join("bad"), "").unwrap();
    shop.write("job/Dockerfile", &format!("FROM {}\n{check}\nENV A=b\n", image()));
    shop.write("docker-compose.yml", &compose(log, job, 3));
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    told(&plan.text, &["migrate: build, recreate (Dockerfile changed; a job: runs again)"]);
    told(&outcome.text, &["❌", "migrate failed.\nEnded with code 3.", "no such table"]);
    assert_eq!(runs(log), 2, "{}", outcome.text);
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    told(&plan.text, &["migrate: start (failed last time (code 3): runs again)"]);
    told(&outcome.text, &["❌", "migrate failed.\nEnded with code 3."]);
    assert_eq!(runs(log), 3, "{}", outcome.text);
    std::fs::remove_file(log.join("bad")).unwrap();
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["migrate: start (failed last time (code 3): runs again)", "web: recreate"]);
    assert_eq!(runs(log), 4, "{}", outcome.text);
    let again = world.ask("/docker_deploy").await.text;
    assert!(again.starts_with("Nothing to deploy"), "{again}");

    // A start leaves it; by its name it runs.
    good(&carry_out(&world, "/docker_stop").await.1);
    let (plan, outcome) = carry_out(&world, "/docker_start").await;
    good(&outcome);
    told(&plan.text, &["migrate stays: ended with code 0; name it to run it again"]);
    assert!(!plan.text.contains("ended already"), "{}", plan.text);
    assert_eq!(runs(log), 4, "{}", outcome.text);
    let (plan, outcome) = carry_out(&world, "/docker_start shop/migrate").await;
    good(&outcome);
    told(&plan.text, &["migrate is a job that was done, and runs again."]);
    assert_eq!(runs(log), 5, "{}", outcome.text);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_zero_is_done_only_for_jobs() {
    let once = |more: &str| plain_service("echo once; exit 0", more);
    let retried = "test -e /tmp/again && exit 0; touch /tmp/again; exit 5";
    let services = [
        ("listed", once("")),
        ("allowed", once("restart: \"no\"")),
        ("retried", plain_service(retried, "restart: \"on-failure:3\"")),
        ("other", once("")),
        ("web", plain_service(SERVES, "")),
    ];
    let fixture = Fixture::new(&services).with(json!({ "jobs": ["listed"] }));
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    // What the files say may be learned after the first answer.
    eventually("jobs without a container are no trouble", async || {
        let status = world.ask("/docker_status").await.text;
        status.contains("0 of 2 up")
            && ["listed", "allowed", "retried"].iter().all(|job| status.contains(&format!("▫️ {job}\na job that has not")))
    })
    .await;
    let (_, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    for done in ["listed", "allowed", "retried"] {
        told(&outcome.text, &[&format!("{done}: done (ended with code 0)")]);
    }
    told(&outcome.text, &["other: exited (0)", "web: running for"]);
    let status = world.ask("/docker_status").await.text;
    told(&status, &["1 of 1 up, 3 done, 1 exited (0)", "▫️ other\nexited (0)"]);
    assert!(!status.contains("🔴"), "{status}");
    assert!(world.ask("/docker_deploy").await.text.contains("other stays: exited (0)"));

    // What publishes ports, or has a health check in its compose file, is down with it.
    let mut serving = services.to_vec();
    serving[1].1 = once("restart: \"no\", environment: { A: b }");
    serving[3].1 = once("ports: [\"127.0.0.1:0:80\"]");
    shop.write("docker-compose.yml", &compose_file(&serving));
    let (_, outcome) = carry_out(&world, "/docker_deploy").await;
    told(&outcome.text, &["❌", "other did not come up.\nEnded with code 0.", "Jobs that ran again for that: allowed."]);
    world.finish().await;
}
