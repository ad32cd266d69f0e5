//! Services that run as processes of the host, through the bot: with no engine at all, beside one, and in its place.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::support::fixture::{image, sh};
use crate::support::proxy::Proxy;
use crate::support::world::{ADMIN, VIEWER};
use crate::support::{World, eventually};

/// A world with one project of services and no other; its name is its own, since others use the same engine.
pub(crate) struct Hosted {
    pub(crate) world: World,
    pub(crate) name: String,
    directory: tempfile::TempDir,
}

impl Hosted {
    pub(crate) async fn new(docker_host: Option<String>) -> Self {
        let mut world = World::prepare(Vec::new(), json!({})).await;
        world.docker_host = docker_host.or(world.docker_host);
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tools-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self { world, name, directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A process that notes each of its starts, and is well once that is done.
    pub(crate) fn worker(&self, more: Value) -> Value {
        let (starts, well) = (self.path("starts"), self.path("well"));
        let script = format!("echo start $MODE; echo $$ >> {}; touch {}; exec sleep 1000", starts.display(), well.display());
        let mut worker = json!({
            "process": { "command": ["/bin/sh", "-c", script], "directory": self.directory.path() },
            "environment": { "MODE": "one" },
            "healthcheck": { "test": ["CMD", "test", "-e", well], "interval": "1s" },
        });
        worker.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        worker
    }

    pub(crate) fn configure(&self, services: &Value, top: &Value) {
        let mut all = json!({
            "access": { "users": { ADMIN.to_string(): "admin", VIEWER.to_string(): "viewer" } },
            "volumes": { "warn_below": "off" },
            "reload": { "watch": "off" },
            "projects": { &self.name: { "services": services, "deploy": { "stability": "1s", "health_timeout": "20s" }, "restart": { "stop_timeout": "2s" } } },
        });
        all.as_object_mut().unwrap().extend(top.as_object().unwrap().clone());
        self.world.configure(&all.to_string());
    }

    pub(crate) fn boot(&mut self) {
        let config = self.world.config.clone();
        self.world.boot_with(&config);
    }

    pub(crate) async fn reload(&self) {
        let answer = self.world.ask("/config reload").await.text;
        assert!(answer.contains("reloaded"), "{answer}");
    }

    pub(crate) fn starts(&self) -> Vec<i32> {
        let text = std::fs::read_to_string(self.path("starts")).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    pub(crate) fn lives(&self, pid: i32) -> bool {
        Path::new(&format!("/proc/{pid}")).exists()
    }

    pub(crate) fn container(&self, service: &str) -> String {
        format!("dockmaster-{}-{service}", self.name)
    }

    /// Takes containers off the engine, and the project's network.
    pub(crate) fn removed(&self, services: &[&str]) {
        for service in services {
            sh("docker", &["rm", "-f", &self.container(service)]);
        }
        sh("docker", &["network", "rm", &format!("dockmaster-{}", self.name)]);
    }

    /// Ends whatever is left, and the test.
    pub(crate) async fn finish(self) {
        let host = dockmaster::engine::host::Host::new(&self.world.data, env!("CARGO_BIN_EXE_dockmaster").into());
        for key in host.known_keys().unwrap() {
            host.stop(&key, None).await.unwrap();
        }
        self.world.finish().await;
    }

    pub(crate) async fn carried_out(&self, command: &str) -> String {
        let plan = self.world.ask(command).await.text;
        assert!(plan.contains("yes"), "{plan}; all: {:#?}", self.world.texts(ADMIN));
        self.world.confirm().await.text
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_engine_processes_are_services_like_any_other() {
    let mut hosted = Hosted::new(Some("none".to_owned())).await;
    hosted.configure(&json!({ "worker": hosted.worker(json!({})) }), &json!({ "docker": false }));
    hosted.boot();
    let outcome = hosted.carried_out("/docker_start").await;
    assert!(outcome.starts_with("✅") && outcome.contains("worker: healthy after"), "{outcome}");
    let status = hosted.world.ask("/docker_status").await.text;
    assert!(status.contains("process sh") && status.contains("healthy") && !status.contains("pending"), "{status}");
    assert!(status.contains("came up in ") && status.contains(", checked "), "{status}");
    let log = hosted.world.ask("/docker_logs").await.text;
    assert!(log.contains("start one"), "{log}");
    let first = hosted.starts();
    assert_eq!(first.len(), 1);
    // It outlives the bot, and is taken over again.
    hosted.world.idle().await;
    hosted.world.stop().await.unwrap();
    hosted.boot();
    let status = hosted.world.ask("/docker_status").await.text;
    assert!(status.contains("process sh"), "{status}; all: {:#?}", hosted.world.texts(ADMIN));
    assert_eq!((hosted.starts(), hosted.lives(first[0])), (first.clone(), true));
    let outcome = hosted.carried_out(&format!("/docker_restart {}/worker", hosted.name)).await;
    assert!(outcome.starts_with("✅"), "{outcome}");
    assert!(!hosted.lives(first[0]) && hosted.starts().len() == 2);
    let outcome = hosted.carried_out("/docker_stop").await;
    assert!(outcome.contains("worker: stopped"), "{outcome}");
    assert!(!hosted.lives(hosted.starts()[1]));
    let status = hosted.world.ask("/docker_status").await.text;
    assert!(status.contains("stopped"), "{status}");
    hosted.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_one_service_is_in_the_way_of_no_other() {
    let mut hosted = Hosted::new(Some("none".to_owned())).await;
    let file = hosted.path("broken.env");
    std::fs::write(&file, "").unwrap();
    let services = json!({ "broken": hosted.worker(json!({ "env_file": [file] })), "worker": hosted.worker(json!({})) });
    hosted.configure(&services, &json!({ "docker": false }));
    hosted.boot();
    hosted.world.ask("/docker_status").await;
    std::fs::write(&file, "no variable").unwrap();
    let refused = hosted.world.ask("/docker_start").await.text;
    assert!(refused.contains("broken.env of broken has a line without"), "{refused}");
    let outcome = hosted.carried_out(&format!("/docker_start {}/worker", hosted.name)).await;
    assert!(outcome.starts_with("✅") && hosted.starts().len() == 1, "{outcome}");
    let refused = hosted.world.ask(&format!("/docker_start {}/broken", hosted.name)).await.text;
    assert!(refused.contains("broken.env of broken has a line without"), "{refused}");
    let outcome = hosted.carried_out("/docker_stop").await;
    assert!(outcome.starts_with("✅"), "{outcome}");
    hosted.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_process_is_replaced_and_put_back_where_it_does_not_come_up() {
    let mut hosted = Hosted::new(Some("none".to_owned())).await;
    // Elsewhere it would be a container.
    let either = |mut worker: Value| {
        worker["image"] = json!(image());
        json!({ "worker": worker })
    };
    hosted.configure(&either(hosted.worker(json!({}))), &json!({ "docker": false }));
    hosted.boot();
    hosted.carried_out("/docker_start").await;
    hosted.configure(&either(hosted.worker(json!({ "environment": { "MODE": "two" } }))), &json!({ "docker": false }));
    hosted.reload().await;
    let status = hosted.world.ask("/docker_status").await.text;
    assert!(status.contains("pending"), "{status}");
    let outcome = hosted.carried_out("/docker_deploy").await;
    assert!(outcome.starts_with("✅"), "{outcome}");
    assert!(hosted.world.ask("/docker_logs").await.text.contains("start two"));
    assert!(!hosted.world.ask("/docker_status").await.text.contains("pending"));
    // The next one is never well.
    let sick = json!({ "healthcheck": { "test": ["CMD", "false"], "interval": "1s", "start_period": "1s", "retries": 2 } });
    hosted.configure(&either(hosted.worker(sick)), &json!({ "docker": false }));
    hosted.reload().await;
    let outcome = hosted.carried_out("/docker_start").await;
    assert!(outcome.starts_with("❌") && outcome.contains("put back"), "{outcome}");
    let starts = hosted.starts();
    assert!(hosted.lives(*starts.last().unwrap()), "the one from before runs again");
    let log = hosted.world.ask("/docker_logs").await.text;
    assert!(log.trim_end().ends_with("start two"), "{log}");
    hosted.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_stands_in_for_a_container_while_there_is_no_engine_and_never_beside_it() {
    let proxy = Proxy::start();
    let mut hosted = Hosted::new(Some(proxy.host())).await;
    let container = json!({ "image": image(), "entrypoint": ["/bin/sh", "-c", "trap 'exit 0' TERM; echo contained; while true; do sleep 0.1; done"], "healthcheck": { "test": ["NONE"] } });
    hosted.configure(&json!({ "worker": hosted.worker(container) }), &json!({}));
    proxy.set_away(true);
    hosted.boot();
    let outcome = hosted.carried_out("/docker_start").await;
    assert!(outcome.starts_with("✅"), "{outcome}");
    let pid = hosted.starts()[0];
    let status = hosted.world.ask("/docker_status").await.text;
    assert!(status.contains("process sh"), "{status}");
    proxy.set_away(false);
    // The engine is back: it runs on until the next deploy.
    eventually("the engine is heard of again", async || {
        hosted.world.ask("/docker_start").await.text.contains("Nothing to start")
            && proxy.asked().iter().any(|line| line.contains("/events"))
    })
    .await;
    assert!(hosted.lives(pid));
    let plan = hosted.world.ask("/docker_deploy").await.text;
    assert!(plan.contains("is a process"), "{plan}");
    let outcome = hosted.world.confirm().await.text;
    assert!(outcome.starts_with("✅"), "{outcome}");
    assert!(!hosted.lives(pid), "never both");
    let status = hosted.world.ask("/docker_status").await.text;
    assert!(status.contains(&format!("image {}", image())) && !status.contains("process sh"), "{status}");
    // Its engine goes, it runs on: there is nothing to stand in for.
    proxy.set_away(true);
    let plan = hosted.world.ask("/docker_start").await.text;
    let refused = if plan.contains("yes") { hosted.world.confirm().await.text } else { plan };
    assert!(refused.contains("still runs"), "{refused}");
    assert_eq!(hosted.starts().len(), 1);
    proxy.set_away(false);
    hosted.removed(&["worker"]);
    hosted.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_is_looked_at_from_outside_is_waited_for_and_given_up_like_any_other() {
    let mut hosted = Hosted::new(None).await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let web = |page: &str| {
        let script = format!(
            "trap 'exit 0' TERM; sleep 2; mkdir -p /www; echo fine > /www/{page}; httpd -p 8080 -h /www; while true; do sleep 0.1; done"
        );
        json!({
            "web": {
                "image": image(), "entrypoint": ["/bin/sh", "-c", script], "ports": { "8080": format!("127.0.0.1:{port}") },
                "healthcheck": { "http": format!("http://127.0.0.1:{port}/health"), "interval": "1s", "timeout": "1s", "retries": 2, "start_period": "4s" }
            },
            "after": { "image": image(), "entrypoint": ["/bin/sh", "-c", "exec sleep 1000"], "depends_on": { "web": "service_healthy" } }
        })
    };
    hosted.configure(&web("health"), &json!({}));
    hosted.boot();
    let outcome = hosted.carried_out("/docker_start").await;
    assert!(outcome.starts_with("✅") && outcome.contains("web: healthy after"), "{outcome}");
    let seen = |name: &str, what: &str| sh("docker", &["inspect", "-f", what, name]).trim().parse::<jiff::Timestamp>().unwrap();
    let began = |service: &str| seen(&hosted.container(service), "{{.State.StartedAt}}");
    let between = began("after").duration_since(began("web"));
    assert!(between > jiff::SignedDuration::from_millis(1_900), "it was waited for: {between:?}");
    assert!(hosted.world.ask("/docker_status").await.text.contains("healthy"));
    // One that answers with 404 is not well, and the one from before comes back.
    hosted.configure(&web("elsewhere"), &json!({}));
    hosted.reload().await;
    let outcome = hosted.carried_out("/docker_deploy").await;
    assert!(outcome.starts_with("❌") && outcome.contains("404") && outcome.contains("put back"), "{outcome}");
    hosted.carried_out("/docker_stop").await;
    hosted.removed(&["web", "after"]);
    hosted.finish().await;
}
