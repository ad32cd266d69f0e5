//! What an operation is said to have come to: what is down stays told, what a person stopped stays so, and what failed keeps its log.

use serde_json::json;

use crate::lifecycle::{carry_out, good, told};
use crate::support::fixture::{compose_file, engine_get, healthy_service, image, plain_service, sh};
use crate::support::{Fixture, World, eventually};

const SERVES: &str = "trap 'exit 0' TERM; while true; do sleep 0.1; done";
/// Ends by itself as soon as it is told to.
const ENDS: &str = "rm -f /tmp/end; while ! test -e /tmp/end; do sleep 0.1; done; echo out of memory; exit 7";

fn state(shop: &Fixture, service: &str) -> String {
    engine_get(&format!("/containers/{}/json", shop.container(service).0))["State"]["Status"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_stopped_stays_and_the_rest_is_started() {
    let web = |version: u8| {
        let needs = "api: { condition: service_started }, store: { condition: service_started }";
        plain_service(SERVES, &format!("environment: {{ V: \"{version}\" }}, depends_on: {{ {needs} }}"))
    };
    let services = |version| {
        let ends = plain_service(ENDS, "");
        [("web", web(version)), ("api", plain_service(SERVES, "")), ("hand", ends.clone()), ("worker", ends.clone()), ("store", ends)]
    };
    let fixture = Fixture::up(&services(1)).with(json!({ "stateful": ["store"] }));
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    let end = |service: &str| sh("docker", &["exec", &shop.container(service).0, "touch", "/tmp/end"]);

    good(&carry_out(&world, "/docker_stop shop/api").await.1);
    sh("docker", &["stop", "-t", "0", &shop.container("hand").0]);
    let mut status = String::new();
    eventually("the stop by hand is known", async || {
        let text = world.ask("/docker_status").await.text;
        text.contains("stopped by hand") && text.contains("stopped by Ann")
    })
    .await;
    status.push_str(&world.ask("/docker_status").await.text);
    told(&status, &["▫️ api\nstopped by Ann", "▫️ hand\nstopped by hand", "3 of 5 up"]);
    end("store");
    end("worker");
    eventually("what ends by itself has", async || state(shop, "store") == "exited" && state(shop, "worker") == "exited").await;
    let (api, hand, store) = (shop.container("api"), shop.container("hand"), shop.container("store"));

    shop.write("docker-compose.yml", &compose_file(&services(2)));
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(
        &plan.text,
        &[
            "worker: start (down: ended with code 7)",
            "web: recreate (configuration changed)",
            "api stays: stopped by Ann",
            "hand stays: stopped by hand",
            "store stays: it keeps data, and is down: ended with code 7",
            "web depends on api, which is down and stays so.",
        ],
    );
    told(&outcome.text, &["shop runs release 1 (1 file changed, 1 service renewed, 1 started), but api is down since "]);
    told(&outcome.text, &[" (stopped by Ann), hand is down since ", "store is down since ", "🟢 web: ", "🟢 worker: "]);
    assert_eq!((shop.container("api"), shop.container("hand"), shop.container("store")), (api, hand, store), "{}", outcome.text);

    // Only what is down: no file, so no release.
    end("worker");
    eventually("the worker has ended", async || state(shop, "worker") == "exited").await;
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    assert!(!plan.text.contains("release"), "{}", plan.text);
    told(&outcome.text, &["shop: worker brought up as configured, but api is down"]);
    let releases = world.ask("/docker_releases").await.text;
    assert!(releases.contains("▶️ 1 · runs now"), "{releases}");

    // By their names they take part, and a start is not surprised.
    let (plan, outcome) = carry_out(&world, "/docker_deploy shop with=api,store").await;
    good(&outcome);
    told(&plan.text, &["api: start (stopped by Ann)", "store: start (down: ended with code 7)", "hand stays"]);
    let (plan, outcome) = carry_out(&world, "/docker_start").await;
    good(&outcome);
    assert!(plan.text.contains("Start: hand") && !plan.text.contains("⚠️"), "{}", plan.text);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_service_is_told_with_the_word_of_every_other() {
    let policy = json!({ "stability": "1s", "health_timeout": "20s", "auto_rollback": false });
    let fixture = Fixture::up(&[("web", plain_service(SERVES, ""))]).with(json!({ "deploy": policy }));
    for root in [&fixture.workspace, &fixture.production] {
        std::fs::write(root.join(".env"), "PASSWORD=correct-horse-battery\n").unwrap();
    }
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    let bad =
        |code: u8| plain_service(&format!("seq 30; echo password $$PASSWORD; exit {code}"), "environment: [\"PASSWORD=${PASSWORD}\"]");
    let slow = || healthy_service("").replace("touch /tmp/well", "sleep 2; touch /tmp/well");
    let files = |code| compose_file(&[("web", plain_service(SERVES, "")), ("bad", bad(code)), ("slow", slow())]);
    shop.write("docker-compose.yml", &files(7));
    let (_, outcome) = carry_out(&world, "/docker_deploy").await;
    told(&outcome.text, &["❌", "🔴 bad: ended with code 7", "🟢 slow: healthy after ", "bad did not come up."]);
    told(&outcome.text, &["Its log is kept: /docker_logs shop/bad op=1."]);
    let kept = world.ask("/docker_logs shop/bad op=1").await.text;
    assert!(kept.contains("\n17\n") || kept.contains(" 17"), "{kept}");
    assert!(kept.contains("password ") && !kept.contains("correct-horse") && !outcome.text.contains("correct-horse"), "{kept}");
    told(&world.ask("/docker_logs shop op=1 2").await.text, &["password"]);
    told(&world.ask("/docker_logs shop op=77").await.text, &["shop has no operation 77"]);

    // It never ran: it is no release to go back to, and a deploy over it is not done while it is down.
    shop.write("note.txt", "x\n");
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    told(&plan.text, &["bad: start (down: ended with code 7)", "note.txt"]);
    told(&outcome.text, &["❌", "bad did not come up."]);
    shop.write(
        "docker-compose.yml",
        &compose_file(&[("web", plain_service(SERVES, "")), ("bad", plain_service(SERVES, "")), ("slow", slow())]),
    );
    let (_, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    let releases = world.ask("/docker_releases").await.text;
    told(&releases, &["· runs now", "▫️ 4 · never ran", "▫️ 1 · never ran", "▫️ 0\n"]);
    let (plan, outcome) = carry_out(&world, "/docker_rollback").await;
    good(&outcome);
    told(&plan.text, &["Roll back shop to release 0"]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deploy_that_changes_nothing_makes_no_release() {
    let fixture = Fixture::new(&[("web", format!("{{ build: ., command: [\"sh\", \"-c\", {}] }}", json!(SERVES)))]);
    for root in [&fixture.workspace, &fixture.production] {
        std::fs::write(root.join("Dockerfile"), format!("FROM {}\nENV A=b\n", image())).unwrap();
    }
    fixture.compose(&["up", "-d", "--build"]);
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    let web = shop.container("web");
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["Files: no change", "web: build, recreate (its image was not built by dockmaster yet)"]);
    told(&outcome.text, &["Nothing changed: shop runs as before."]);
    assert_eq!(shop.container("web"), web);
    let releases = world.ask("/docker_releases").await.text;
    assert!(releases.contains("▶️ 0 · runs now") && !releases.contains("▫️"), "{releases}");
    assert!(world.ask("/docker_deploy").await.text.starts_with("Nothing to deploy"));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn container_that_cannot_start_is_named() {
    let sleeps = || plain_service("exec sleep 1000000", "");
    let fixture = Fixture::up(&[("web", sleeps())]).with(json!({ "stateful": [] }));
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    let broken = format!("{{ image: {}, entrypoint: [/nothing] }}", image());
    let needs = plain_service("exec sleep 1000000", "depends_on: [broken]");
    shop.write("docker-compose.yml", &compose_file(&[("web", sleeps()), ("broken", broken), ("needs", needs)]));
    world.ask("/docker_deploy").await;
    let outcome = world.confirm().await.text;
    assert!(outcome.contains("broken did not come up.") && outcome.contains("It is not started; the engine says:"), "{outcome}");
    assert_eq!(outcome.matches("runc create failed").count(), 1, "said once: {outcome}");
    world.finish().await;
}
