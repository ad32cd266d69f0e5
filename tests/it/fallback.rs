//! Services that are containers, and processes where there is no engine: never both, and nothing is lost on the way.

use serde_json::json;

use crate::hosted::Hosted;
use crate::support::eventually;
use crate::support::fixture::{image, sh};
use crate::support::proxy::Proxy;

/// What makes a worker a container wherever there is an engine.
fn contained() -> serde_json::Value {
    let script = "trap 'exit 0' TERM; echo contained; while true; do sleep 0.1; done";
    json!({ "image": image(), "entrypoint": ["/bin/sh", "-c", script] })
}

fn inspected(container: &str, what: &str) -> String {
    sh("docker", &["inspect", "-f", what, container]).trim().to_owned()
}

fn runs(container: &str) -> bool {
    inspected(container, "{{.State.Running}}") == "true"
}

/// A world whose worker was a container until its engine went, together with that.
async fn fallen_back(proxy: &Proxy) -> Hosted {
    let mut hosted = Hosted::new(Some(proxy.host())).await;
    let mut worker = hosted.worker(contained());
    worker["healthcheck"] = json!({ "test": ["CMD", "true"], "interval": "1s" });
    hosted.configure(&json!({ "worker": worker }), &json!({}));
    hosted.boot();
    let outcome = hosted.carried_out("/docker_start").await;
    assert!(outcome.starts_with("✅"), "{outcome}");
    proxy.set_away(true);
    sh("docker", &["stop", "-t", "5", &hosted.container("worker")]);
    let outcome = hosted.carried_out("/docker_start").await;
    assert!(outcome.starts_with("✅"), "{outcome}");
    assert!(hosted.lives(hosted.starts()[0]));
    hosted
}

#[tokio::test(flavor = "multi_thread")]
async fn back_from_a_process_a_container_is_alone_and_the_old_one_is_kept_until_then() {
    let proxy = Proxy::start();
    let hosted = fallen_back(&proxy).await;
    let (container, pid) = (hosted.container("worker"), hosted.starts()[0]);
    let id = inspected(&container, "{{.Id}}");
    proxy.asked();
    proxy.set_away(false);
    eventually("the engine is heard of again", async || proxy.asked().iter().any(|line| line.contains("/events"))).await;
    let answer = hosted.world.ask("/docker_start").await.text;
    assert!(answer.contains("Nothing to start"), "{answer}");
    let status = hosted.world.ask("/docker_status").await.text;
    assert!(status.contains("process sh") && !status.contains("image"), "the one that was stopped for it is none of it: {status}");
    let plan = hosted.world.ask("/docker_deploy").await.text;
    assert!(plan.contains("is a process"), "{plan}");
    assert_eq!(inspected(&container, "{{.Id}}"), id, "nothing was made of it");
    let outcome = hosted.world.confirm().await.text;
    assert!(outcome.starts_with("✅"), "{outcome}");
    assert!(!hosted.lives(pid) && runs(&container), "never both");
    assert_eq!(hosted.starts().len(), 1);
    hosted.removed(&["worker"]);
    hosted.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_its_engine_brings_back_ends_beside_a_process_that_is_not_well() {
    let proxy = Proxy::start();
    let hosted = fallen_back(&proxy).await;
    let (container, pid) = (hosted.container("worker"), hosted.starts()[0]);
    // Its keeper waits before it starts it again: it is neither up nor down.
    sh("kill", &["-9", &pid.to_string()]);
    sh("docker", &["start", &container]);
    proxy.set_away(false);
    eventually("only the process is left", async || !runs(&container) && hosted.starts().last().is_some_and(|pid| hosted.lives(*pid)))
        .await;
    hosted.removed(&["worker"]);
    hosted.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_becomes_a_process_ends_its_container_first() {
    let mut hosted = Hosted::new(None).await;
    let mut only = contained();
    only["healthcheck"] = json!({ "test": ["NONE"] });
    hosted.configure(&json!({ "worker": only }), &json!({}));
    hosted.boot();
    assert!(hosted.carried_out("/docker_start").await.starts_with("✅"));
    let container = hosted.container("worker");
    assert!(runs(&container));
    hosted.configure(&json!({ "worker": hosted.worker(json!({})) }), &json!({}));
    hosted.reload().await;
    let plan = hosted.world.ask("/docker_deploy").await.text;
    assert!(plan.contains("is a container"), "{plan}");
    let outcome = hosted.world.confirm().await.text;
    assert!(outcome.starts_with("✅"), "{outcome}");
    assert!(hosted.lives(hosted.starts()[0]));
    let all = sh("docker", &["ps", "-aq", "--filter", &format!("name={container}")]);
    assert!(all.trim().is_empty(), "it was replaced, and its successor is well: {all}");
    hosted.removed(&[]);
    hosted.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_engine_a_process_is_managed_beside_services_that_need_one() {
    let proxy = Proxy::start();
    let mut hosted = Hosted::new(Some(proxy.host())).await;
    let database = json!({ "image": image(), "entrypoint": ["/bin/sh", "-c", "exec sleep 1000"] });
    let either = hosted.worker(contained());
    let cron = json!({ "process": { "command": ["/bin/sh", "-c", "exec sleep 1000"] } });
    hosted.configure(&json!({ "db": database, "worker": either, "cron": cron }), &json!({}));
    proxy.set_away(true);
    hosted.boot();
    for command in ["/docker_start NAME/cron", "/docker_start NAME/worker", "/docker_restart NAME/cron", "/docker_stop NAME/cron"] {
        let outcome = hosted.carried_out(&command.replace("NAME", &hosted.name)).await;
        assert!(outcome.starts_with("✅"), "{command}: {outcome}");
    }
    assert!(hosted.lives(*hosted.starts().last().unwrap()));
    let refused = hosted.world.ask(&format!("/docker_start {}/db", hosted.name)).await.text;
    assert!(refused.contains("The Docker engine does not answer"), "{refused}");
    let refused = hosted.world.ask("/docker_start").await.text;
    assert!(refused.contains("The Docker engine does not answer"), "{refused}");
    hosted.finish().await;
}
