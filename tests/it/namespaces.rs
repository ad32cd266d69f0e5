//! Services that share a namespace or the volumes of another container: nothing to deploy while nothing changes, and what happens to
//! the owner happens to them.

use serde_json::json;

use crate::lifecycle::{carry_out, good, told};
use crate::support::fixture::{compose_file, engine_get, image, plain_service, sh};
use crate::support::{Fixture, World};

const SERVES: &str = "trap 'exit 0' TERM; while true; do sleep 0.1; done";

/// Whether a service has a network beside its loopback.
fn has_network(shop: &Fixture, service: &str) -> bool {
    sh("docker", &["exec", &shop.container(service).0, "cat", "/proc/net/dev"]).contains("eth0")
}

fn id(shop: &Fixture, service: &str) -> String {
    shop.container(service).0
}

fn state(shop: &Fixture, service: &str) -> String {
    engine_get(&format!("/containers/{}/json", id(shop, service)))["State"]["Status"].as_str().unwrap().to_owned()
}

/// `vpn` owns, the others share one thing each; `named` finds it by its container's name, which Compose takes no notice of.
fn compose(vpn: &str, version: u8) -> String {
    let owner = format!("environment: {{ V: \"{version}\" }}, ipc: shareable, volumes: [\"./conf:/conf:ro\", \"data:/data\"]");
    let shares = |what: &str| plain_service(SERVES, what);
    let services = compose_file(&[
        ("vpn", plain_service(SERVES, &owner)),
        ("app", shares("network_mode: \"service:vpn\"")),
        ("memory", shares("ipc: \"service:vpn\"")),
        ("top", shares("pid: \"service:vpn\"")),
        ("files", shares("volumes_from: [\"vpn:ro\"]")),
        ("named", shares(&format!("network_mode: \"container:{vpn}\", depends_on: [vpn]"))),
        ("plain", plain_service(SERVES, "depends_on: [vpn]")),
    ]);
    format!("{services}volumes: {{ data: {{}} }}\n")
}

const SHARERS: [(&str, &str); 5] =
    [("app", "network"), ("memory", "memory"), ("top", "processes"), ("files", "volumes"), ("named", "network")];

#[tokio::test(flavor = "multi_thread")]
async fn sharers_of_a_container_follow_their_owner() {
    let fixture = Fixture::new(&[]).with(json!({ "stateful": ["memory"], "deploy": { "stability": "200ms", "health_timeout": "20s" } }));
    let vpn = format!("{}-vpn-1", fixture.name);
    std::fs::remove_file(fixture.production.join("docker-compose.yml")).unwrap();
    fixture.write("docker-compose.yml", &compose(&vpn, 1));
    fixture.write("conf", "one\n");
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    good(&carry_out(&world, "/docker_deploy").await.1);

    // Nothing changed, for us and for Compose.
    let before = shop.containers();
    let again = world.ask("/docker_deploy").await.text;
    assert!(again.starts_with("Nothing to deploy"), "{again}");
    shop.compose(&["up", "-d", "--no-build"]);
    assert_eq!(shop.containers(), before, "Compose agrees");

    // Restarted alone, it takes along what would be left without a namespace, whatever keeps data.
    for strategy in ["", " immediate"] {
        let before = shop.containers();
        let (plan, outcome) = carry_out(&world, &format!("/docker_restart shop/vpn{strategy}")).await;
        good(&outcome);
        told(&plan.text, &["Restart: vpn", "app: restart (shares the network of vpn)", "top: restart (shares the processes of vpn)"]);
        told(&plan.text, &["memory: restart (shares the memory of vpn; keeps data", "named: restart (shares the network of vpn)"]);
        told(&plan.text, &["Stays as it is: files, plain"]);
        for ((service, was, since), (_, is, now)) in before.iter().zip(&shop.containers()) {
            let restarts = !["files", "plain"].contains(&service.as_str());
            assert_eq!((was == is, since != now), (true, restarts), "{service} {}", outcome.text);
        }
        assert!(has_network(shop, "app") && has_network(shop, "named"), "{}", outcome.text);
    }

    // So do a stop and a start.
    let (plan, outcome) = carry_out(&world, "/docker_stop shop/vpn").await;
    good(&outcome);
    told(&plan.text, &["app: stop (shares the network of vpn)"]);
    assert_eq!(
        (state(shop, "app").as_str(), state(shop, "named").as_str(), state(shop, "files").as_str()),
        ("exited", "exited", "running")
    );
    let (plan, outcome) = carry_out(&world, "/docker_start shop/vpn").await;
    good(&outcome);
    told(&plan.text, &["app: start (shares the network of vpn)", "named: start"]);
    assert!(!plan.text.contains("ended already"), "{}", plan.text);
    assert!(has_network(shop, "app") && has_network(shop, "named"), "{}", outcome.text);
    // One that was stopped by hand beneath a sharer that runs on.
    sh("docker", &["stop", "-t", "1", &id(shop, "vpn")]);
    assert!(!has_network(shop, "app"));
    let (plan, outcome) = carry_out(&world, "/docker_start shop/vpn").await;
    good(&outcome);
    told(&plan.text, &["Start: vpn", "app: restart (shares the network of vpn)", "top: start"]);
    assert!(has_network(shop, "app") && has_network(shop, "named"), "{}", outcome.text);

    // Its files change: a restart. Of a service that keeps data only where somebody names it.
    shop.write("conf", "two\n");
    let refused = world.ask("/docker_deploy").await.text;
    told(&refused, &["cannot be deployed without stopping memory", "memory shares the memory of vpn and keeps data", "with=memory"]);
    let (plan, outcome) = carry_out(&world, "/docker_deploy shop with=memory").await;
    good(&outcome);
    told(&plan.text, &["vpn: restart (mounted files changed: conf)", "app: restart (shares the network of vpn)"]);
    assert!(has_network(shop, "app") && has_network(shop, "named"), "{}", outcome.text);

    // Its definition changes: all of them are remade.
    let before = shop.containers();
    shop.write("docker-compose.yml", &compose(&vpn, 2));
    let (plan, outcome) = carry_out(&world, "/docker_deploy shop with=memory").await;
    good(&outcome);
    told(&plan.text, &["vpn: recreate (configuration changed)"]);
    for (service, what) in SHARERS {
        told(&plan.text, &[&format!("{service}: recreate (shares the {what} of vpn)")]);
    }
    for ((service, was, _), (_, is, _)) in before.iter().zip(&shop.containers()) {
        assert_eq!(was != is, service != "plain", "{service} {}", outcome.text);
    }
    assert!(has_network(shop, "app") && has_network(shop, "named"), "{}", outcome.text);
    assert!(world.ask("/docker_deploy").await.text.starts_with("Nothing to deploy"));

    // And back again.
    let (plan, outcome) = carry_out(&world, "/docker_rollback shop with=memory").await;
    good(&outcome);
    told(&plan.text, &["app: recreate (shares the network of vpn)"]);
    assert!(has_network(shop, "app") && has_network(shop, "named"), "{}", outcome.text);

    // Remade by hand: what is left without its owner is remade for that, and for no other reason.
    sh("docker", &["rm", "-f", &id(shop, "vpn")]);
    shop.compose(&["up", "-d", "vpn"]);
    let refused = world.ask("/docker_restart shop/named").await.text;
    told(
        &refused,
        &["shop/named was not restarted: it shares the network of a container that is gone.", "/docker_deploy shop recreates it."],
    );
    let (plan, outcome) = carry_out(&world, "/docker_deploy shop with=memory").await;
    good(&outcome);
    told(&plan.text, &["app: recreate (shares the network of vpn, which was remade)", "named: recreate (shares the network of vpn, which"]);
    assert!(has_network(shop, "app") && has_network(shop, "named"), "{}", outcome.text);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sharer_of_a_container_that_is_gone_is_told_and_recreated() {
    let fixture = Fixture::new(&[]).with(json!({ "deploy": { "stability": "200ms", "health_timeout": "20s" } }));
    let tunnel = format!("{}-tunnel", fixture.name);
    let make = || sh("docker", &["run", "-d", "--init", "--name", &tunnel, image(), "sleep", "1000"]);
    let remove = || sh("docker", &["rm", "-f", &tunnel]);
    make();
    std::fs::remove_file(fixture.production.join("docker-compose.yml")).unwrap();
    let services = [("web", format!("network_mode: \"container:{tunnel}\"")), ("plain", String::new())];
    fixture.write("docker-compose.yml", &compose_file(&services.map(|(name, more)| (name, plain_service(SERVES, &more)))));
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    good(&carry_out(&world, "/docker_deploy").await.1);
    assert!(world.ask("/docker_deploy").await.text.starts_with("Nothing to deploy"));

    // Another one of its name is there, and not what `web` shares.
    remove();
    make();
    let (web, gone) = (shop.container("web"), "shares the network of a container that is gone");
    told(&world.ask("/docker_status").await.text, &["🔴 web\nup", &format!("{gone}, and could not start again: /docker_deploy shop")]);
    let refused = world.ask("/docker_restart shop/web").await.text;
    told(&refused, &[&format!("shop/web was not restarted: it {gone}."), "/docker_deploy shop recreates it."]);
    let (plan, outcome) = carry_out(&world, "/docker_restart").await;
    good(&outcome);
    told(&plan.text, &["Restart: plain", &format!("web stays: {gone}, so it could not start again; /docker_deploy shop recreates it")]);
    assert_eq!(shop.container("web"), web);
    sh("docker", &["stop", "-t", "1", &web.0]);
    let refused = world.ask("/docker_start shop/web").await.text;
    told(&refused, &["shop/web was not started", "/docker_deploy shop with=web recreates it."]);
    sh("docker", &["start", &shop.container("plain").0]);

    let (plan, outcome) = carry_out(&world, "/docker_deploy shop with=web").await;
    good(&outcome);
    told(&plan.text, &[&format!("web: recreate ({gone}")]);
    assert!(has_network(shop, "web"), "{}", outcome.text);
    assert!(world.ask("/docker_deploy").await.text.starts_with("Nothing to deploy"));
    world.finish().await;
    remove();
}
