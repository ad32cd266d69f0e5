//! An engine that stops in the middle of an operation and comes back: whatever is reported is what the engine itself then
//! says, every time. Twice in the suite, killed and stopped, since each takes a while; `scripts/long outages` is the whole proof, of every operation.

use std::collections::BTreeMap;
use std::time::Duration;

use dockmaster::app;
use dockmaster::console::Client;
use serde_json::{Value, json};

use crate::support::engine::PrivateEngine;
use crate::support::fixture::{command, engine_get, healthy_service, plain_service, sh};
use crate::support::made::{SERVES, checked};
use crate::support::shop::{deployed_of, shop_of, web};
use crate::support::{ADMIN, Fixture, World, eventually, long};

/// What is asked of which project, and what it needs before: that it runs, or that it does not.
const OPERATIONS: [(usize, &str, bool); 10] = [
    (0, "/docker_restart {} dependency", true),
    (1, "/docker_stop {}", true),
    (0, "/docker_deploy {}", true),
    (1, "/docker_start {}", false),
    (0, "/docker_rollback {}", true),
    (1, "/docker_restart {} rolling", true),
    (0, "/docker_stop {}", true),
    (1, "/docker_deploy {}", true),
    (0, "/docker_start {}", false),
    (0, "/docker_restart {} graceful", true),
];
/// How often the engine stops in one run, unless it is said.
const OUTAGES: u64 = 2;
/// How long an operation may take altogether whose engine is away for a while.
const OPERATION_MAX: Duration = Duration::from_secs(300);

/// What the engine says of a container, as far as it is reported.
#[derive(Debug, Clone, PartialEq)]
struct Truth {
    service: String,
    status: String,
    health: Option<String>,
    code: i64,
    restarts: i64,
    could_not_start: bool,
}

/// All of a project's containers by name, with an eye that shares nothing with what is tested.
fn truth(fixture: &Fixture) -> BTreeMap<String, Truth> {
    let (project, service) = match fixture.called_so {
        true => ("dockmaster.project", "dockmaster.service"),
        false => ("com.docker.compose.project", "com.docker.compose.service"),
    };
    let ids = sh("docker", &["ps", "-aq", "--no-trunc", "--filter", &format!("label={project}={}", fixture.name)]);
    let one = |id: &str| {
        let all = engine_get(&format!("/containers/{id}/json"));
        let state = &all["State"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let seen = Truth {
            service: text(&all["Config"]["Labels"][service]).unwrap_or_default(),
            status: text(&state["Status"]).unwrap(),
            health: text(&state["Health"]["Status"]).filter(|health| health != "none"),
            code: state["ExitCode"].as_i64().unwrap(),
            restarts: all["RestartCount"].as_i64().unwrap(),
            could_not_start: all["State"]["Error"] != "",
        };
        (all["Name"].as_str().unwrap().trim_start_matches('/').to_owned(), seen)
    };
    ids.lines().map(one).collect()
}

/// How it is to be called, by product.md's table; several words where it depends on the moment.
fn conditions(seen: &Truth) -> &'static [&'static str] {
    match (&*seen.status, seen.health.as_deref(), seen.code) {
        ("created" | "exited", ..) if seen.could_not_start => &["failed"],
        ("created", ..) => &["creating"],
        ("running", Some("unhealthy"), _) => &["unhealthy"],
        ("running", Some("starting"), _) => &["starting", "restarting"],
        ("running", ..) if seen.restarts == 0 => &["running"],
        ("running", ..) => &["running", "restarting"],
        ("restarting", ..) => &["restarting"],
        ("exited", _, 0 | 130 | 137 | 143) => &["stopped"],
        ("exited", ..) => &["failed"],
        other => panic!("{other:?}"),
    }
}

/// Asks for the status until nothing changed meanwhile, and compares.
async fn status_is_the_truth(world: &World, fixture: &Fixture, name: &str, told: &str) {
    let client = Client::of(&world.data).unwrap();
    eventually("nothing changes while it is asked", async || {
        let before = truth(fixture);
        let status: Value = client.get(&format!("/projects/{name}/status")).await.unwrap();
        if truth(fixture) != before {
            return false;
        }
        assert_eq!(status["unknown"], json!([]), "{told}");
        let reported = status["services"].as_array().unwrap();
        assert_eq!(reported.len(), before.len(), "{status:#} is {before:#?}; {told}");
        for service in reported {
            let seen = &before[service["container"].as_str().unwrap()];
            let condition = service["condition"].as_str().unwrap();
            assert!(conditions(seen).contains(&condition), "{service:#} is {seen:?}; {told}");
            assert_eq!(service["service"], seen.service);
            assert_eq!(service["health"].as_str().filter(|health| *health != "none"), seen.health.as_deref(), "{service:#} is {seen:?}");
            assert_eq!(service["restarts"], seen.restarts);
        }
        true
    })
    .await;
}

/// What the outcome says of single containers, and that it does not call good what is not.
fn outcome_is_the_truth(fixture: &Fixture, outcome: &str, command: &str) {
    let all = truth(fixture);
    assert!(!outcome.starts_with('✅') || outcome.contains("\n🟢 "), "{outcome}");
    let wanted = !command.starts_with("/docker_stop");
    for (name, seen) in &all {
        let runs = seen.status == "running" && seen.health.as_deref().is_none_or(|health| health == "healthy");
        let good = |word: &str| outcome.lines().any(|line| line.starts_with(&format!("🟢 {word}: ")));
        if good(name) || good(&seen.service) {
            assert_eq!(runs, wanted, "{name} is {seen:?}, and it was told: {outcome}");
        }
    }
}

/// As somebody would put everything right by hand: all runs and is well, or nothing does but what keeps data.
async fn put_right(world: &World, fixture: &Fixture, up: bool) {
    let mut lost = false;
    let runs = |seen: &Truth| up || seen.service == "postgres";
    for (name, seen) in truth(fixture) {
        let words: &[&str] = if runs(&seen) { &["start", &name] } else { &["stop", "-t", "1", &name] };
        if !command("docker").args(words).output().unwrap().status.success() {
            // An engine that was killed may never be able to start a container again; another one it can.
            sh("docker", &["rm", "-f", &name]);
            lost = true;
        }
    }
    if lost && fixture.called_so {
        world.ask(&format!("/docker_start {}", fixture.name)).await;
        world.confirm().await;
    } else if lost {
        fixture.compose(&["up", "-d", "--no-recreate"]);
    }
    if lost {
        return Box::pin(put_right(world, fixture, up)).await;
    }
    let well = |seen: &Truth| seen.status == "running" && seen.health.as_deref().is_none_or(|health| health == "healthy");
    eventually("all is put right", async || {
        truth(fixture).values().all(|seen| if runs(seen) { well(seen) } else { seen.status == "exited" })
    })
    .await;
}

/// Reads up to the word about how it went.
async fn outcome(world: &World) -> String {
    loop {
        let told = world.api.next_message(ADMIN, OPERATION_MAX).await.unwrap_or_else(|e| panic!("{e}: {:#?}", world.texts(ADMIN)));
        if ["✅", "❌", "⚠️"].iter().any(|mark| told.text.starts_with(mark)) {
            return told.text;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_reported_after_an_engine_stopped_in_the_middle_is_what_it_says_itself() {
    let engine = PrivateEngine::start("outage");
    let services = [
        ("web", web(", restart: always, depends_on: [postgres]")),
        ("postgres", healthy_service("")),
        ("worker", plain_service("while true; do sleep 1; done", "restart: unless-stopped")),
    ];
    let made = json!({ "api": checked(SERVES, json!({})), "side": checked(SERVES, json!({ "depends_on": ["api"], "restart": "no" })) });
    let fixtures = vec![shop_of(&services, json!({})), Fixture::of_services(made)];
    let names = ["shop".to_owned(), fixtures[1].name.clone()];
    let mut world = World::start_with(fixtures, json!({})).await;
    world.ask(&format!("/docker_start {}", names[1])).await;
    assert!(world.confirm().await.text.starts_with('✅'));
    deployed_of(&world, &names[0], 1).await;
    let rounds = long::rounds(OUTAGES);
    let (mut in_the_middle, mut round) = (0, usize::try_from(rounds.start).unwrap());
    while in_the_middle < rounds.end - rounds.start {
        let (which, command, up) = OPERATIONS[round % OPERATIONS.len()];
        let command = command.replace("{}", &names[which]);
        put_right(&world, &world.fixtures[which], up).await;
        if command.starts_with("/docker_deploy") {
            match which {
                0 => world.fixtures[0].write("page", &format!("page of round {round}\n")),
                _ => world.reconfigure_of(1, "/services/api/environment", json!({ "ROUND": round.to_string() })).await,
            }
        }
        let plan = world.ask(&command).await;
        if plan.text.contains("There is no release before") {
            // The deploys so far were in vain, or a rollback was not.
            round += 1;
            continue;
        }
        assert!(!plan.button_texts().is_empty(), "no plan for {command}: {}", plan.text);
        world.say("yes");
        let progress = world.next().await;
        // Not the same moment in each round, and no other in the next run.
        let moment = Duration::from_millis(100 + u64::try_from(round * 379 % 2_500).unwrap());
        tokio::time::sleep(moment).await;
        let stopped = app::now();
        if round % 2 == 0 {
            engine.kill()
        } else {
            engine.terminate().await
        }
        if round % 3 == 0 {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        engine.again();
        let told = outcome(&world).await;
        let at = format!(
            "round {round}: {command}, {} {moment:?} after {:?} it told: {told}",
            if round % 2 == 0 { "killed" } else { "stopped" },
            progress.text
        );
        eprintln!("{at}\n");
        let ended: i64 = world.kept().query_row("SELECT MAX(ended) FROM operations", [], |row| row.get(0)).unwrap();
        // What was told before that is not the case any more.
        let in_time = ended >= stopped;
        if in_time {
            outcome_is_the_truth(&world.fixtures[which], &told, &command);
            in_the_middle += 1;
        }
        status_is_the_truth(&world, &world.fixtures[which], &names[which], &at).await;
        round += 1;
    }
    world.finish().await;
}
