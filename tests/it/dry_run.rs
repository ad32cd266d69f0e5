//! The plan on a terminal: the chat's own, beside a dockmaster that runs, with nothing changed anywhere.

use serde_json::json;

use crate::support::fixture::{compose_file, healthy_service, service, tree};
use crate::support::terminal::Terminal;
use crate::support::{ADMIN, Fixture, PATIENCE};

/// A running project whose workspace has another page, another `env_file` and a new file.
fn shop() -> Fixture {
    let services = [("web", healthy_service("env_file: web.env")), ("postgres", healthy_service(""))];
    let fixture = Fixture::new(&services).with(json!({ "stateful": ["postgres"] }));
    for root in [&fixture.workspace, &fixture.production] {
        std::fs::write(root.join("web.env"), "PAGE=1\n").unwrap();
    }
    fixture.compose(&["up", "-d", "--wait"]);
    fixture.write("web.env", "PAGE=2\n");
    fixture.write("new.txt", "new\n");
    fixture
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_the_plan_of_the_chat_and_nothing_changes() {
    let terminal = Terminal::of(vec![shop()], json!({})).await;
    let shop = &terminal.world.fixtures[0];
    let before = (tree(&shop.production), shop.containers());
    let alone = terminal.print("deploy --dry-run").await;
    for told in ["Deploy shop as release 1", "new.txt", "web.env", "web: recreate", "Bring up web"] {
        assert!(alone.contains(told), "{told:?} is not in the plan: {alone}");
    }
    assert!(!terminal.world.data.exists(), "what is not there is not made");

    let program = terminal.start();
    terminal.world.ask("/whoami").await;
    terminal.idle().await;
    // The dockmaster that runs plans as for the chat: it may remember hashes of files, and nothing else.
    let history = || terminal.data().into_iter().filter(|(path, _)| !path.starts_with("projects")).collect::<Vec<_>>();
    let kept = history();
    assert_eq!(terminal.print("deploy SHOP --dry-run").await, alone);
    let plan = terminal.json("deploy --dry-run").await;
    assert_eq!(history(), kept, "nothing is kept of it");
    terminal.same("deploy --dry-run", "/docker_deploy").await;
    assert_eq!((tree(&shop.production), shop.containers()), before);
    let outcome = terminal.world.confirm().await;
    assert!(outcome.text.starts_with('✅'), "{}", outcome.text);
    assert_eq!(terminal.kept_plan(), plan, "it was the plan that was confirmed, its digest included");

    assert!(terminal.print("deploy --dry-run").await.starts_with("Nothing to deploy"));
    let back = terminal.json("rollback 0 --dry-run").await;
    assert_eq!(back, terminal.json("rollback shop --dry-run").await);
    let unknown = terminal.run("rollback 77 --dry-run").await;
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.err.contains("There is no release 77") && unknown.err.contains("See dockmaster releases shop"), "{}", unknown.err);
    terminal.idle().await;
    let kept = history();
    let printed = terminal.same("rollback --dry-run", "/docker_rollback").await;
    assert!(printed.contains("Roll back shop to release 0") && printed.contains("new.txt"), "{printed}");
    assert!(terminal.world.confirm().await.text.starts_with('✅'));
    assert_eq!(terminal.kept_plan(), back);
    assert_eq!(shop.production_file("new.txt"), None);
    terminal.idle().await;
    assert_ne!(history(), kept, "this is how it looks where something is done");

    // A stateful service that is named takes part here, too.
    shop.write(
        "docker-compose.yml",
        &compose_file(&[("web", healthy_service("env_file: web.env")), ("postgres", healthy_service("environment: { A: b }"))]),
    );
    let printed = terminal.same("deploy --dry-run --with Postgres", "/docker_deploy with=Postgres").await;
    assert!(printed.contains("postgres: recreate"), "{printed}");
    terminal.idle().await;
    program.stop().await;
    terminal.world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_reads_what_a_dockmaster_that_ended_left() {
    let terminal = Terminal::of(vec![shop()], json!({})).await;
    for kill in [false, true] {
        let program = terminal.start();
        terminal.world.ask("/docker_deploy").await;
        assert!(terminal.world.confirm().await.text.starts_with('✅'));
        terminal.idle().await;
        if kill {
            program.kill()
        } else {
            program.stop().await
        };
        terminal.world.fixtures[0].write("new.txt", if kill { "newest\n" } else { "newer\n" });
        let kept = terminal.data();
        assert!(terminal.print("deploy --dry-run").await.contains("Deploy shop as release"));
        assert!(terminal.print("rollback --dry-run").await.contains("Roll back shop to release"));
        assert_eq!(terminal.data(), kept, "killed: {kill}");
    }
    terminal.world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_middle_of_an_operation_it_says_so() {
    let fixture = Fixture::up(&[("web", healthy_service(""))]).with(json!({ "deploy": { "health_timeout": "5m" } }));
    let never = service("while true; do sleep 1; done", "");
    fixture.write("docker-compose.yml", &compose_file(&[("web", never.replace("retries: 3", "retries: 1000"))]));
    let terminal = Terminal::of(vec![fixture], json!({})).await;
    let program = terminal.start();
    terminal.world.ask("/docker_deploy").await;
    terminal.world.say("yes");
    let progress = terminal.world.next().await;
    terminal.world.api.wait_until(ADMIN, progress.id, PATIENCE, |m| m.text.contains("⏳ Verify")).await.unwrap();
    let planned = terminal.run("deploy --dry-run").await;
    assert_eq!(planned.code, Some(4), "{planned:?}");
    assert!(planned.sentence().contains("shop is busy: deploy by Ann, for "), "{planned:?}");
    // Nobody answers any more: what is kept says so.
    program.kill();
    let planned = terminal.run("deploy --dry-run").await;
    assert_eq!(planned.code, Some(0), "{planned:?}");
    assert!(planned.sentence().contains("deploy shop by Ann has begun and not ended"), "{planned:?}");
    let program = terminal.start();
    terminal.world.outcome(ADMIN).await;
    terminal.idle().await;
    program.stop().await;
    terminal.world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_planned_is_said_with_its_exit_code() {
    let idle = || Fixture::new(&[("web", healthy_service(""))]);
    let terminal = Terminal::of(vec![idle(), idle().with(json!({ "enabled": false })), idle()], json!({})).await;
    let cases = [
        ("deploy --dry-run", 2, "Which project? There is: shop, third. Name one: dockmaster deploy shop"),
        ("rollback 1 --dry-run", 2, "Which project?"),
        ("deploy shpo --dry-run", 2, "There is no project shpo."),
        ("deploy edge --dry-run", 2, "edge is disabled"),
        ("deploy shop --dry-run --with=a/b", 2, "a/b is no service's name"),
        ("deploy shop --dry-run --with web,nope", 1, "It has no service “nope”."),
        ("rollback shop --dry-run", 1, "There is no release before"),
    ];
    for (typed, code, told) in cases {
        let ended = terminal.run(typed).await;
        assert_eq!((ended.code, ended.out.as_str()), (Some(code), ""), "{typed}: {}", ended.err);
        assert!(ended.sentence().contains(told.lines().next().unwrap()) || ended.err.contains(told), "{typed}: {}", ended.err);
    }
    let minus = terminal.run("rollback shop -1 --dry-run").await;
    assert_eq!(minus.code, Some(2), "{minus:?}");
    let away = terminal.launch("deploy shop --dry-run").set("DOCKER_HOST", "unix:///nowhere/docker.sock").end().await;
    assert_eq!(away.code, Some(1));
    assert!(away.err.contains("shop cannot be deployed.") && away.err.contains("The Docker engine does not answer"), "{away:?}");
    // What needs no engine is answered without one.
    let history = terminal.launch("history shop").set("DOCKER_HOST", "unix:///nowhere/docker.sock").end().await;
    assert_eq!(history.code, Some(0), "{history:?}");

    std::fs::write(terminal.world.fixtures[0].workspace.join("docker-compose.yml"), "services: [\n").unwrap();
    let broken = terminal.run("deploy shop --dry-run --json").await;
    assert_eq!((broken.code, broken.out.as_str()), (Some(1), ""));
    for told in ["shop cannot be deployed.", "Compose cannot read its files", "Mend the compose file"] {
        assert!(broken.err.contains(told), "{told:?} is not told: {}", broken.err);
    }
    std::fs::write(terminal.config(), "{}").unwrap();
    let wrong = terminal.run("deploy --dry-run").await;
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.sentence().contains("has problems"), "{wrong:?}");
    std::fs::remove_file(terminal.config()).unwrap();
    assert_eq!(terminal.run("deploy --dry-run").await.code, Some(2));
    assert!(!terminal.world.data.exists());
    terminal.world.finish().await;
}
