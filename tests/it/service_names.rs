//! Services with names that Compose takes and that look like something else: an option, a directory.

use serde_json::json;

use crate::counts::{SERVES, ids, quick, there};
use crate::lifecycle::{carry_out, good, told};
use crate::support::fixture::{compose_file, plain_service};
use crate::support::{Fixture, World};

const ODD: [&str; 6] = ["_w", "-x", "--help", "web.1", "Up", ".."];

fn compose(version: u8) -> String {
    let one = |name: &&'static str| {
        let needs = if *name == "Up" { ", depends_on: [\"-x\"]" } else { "" };
        let script = format!("echo this is {name}; {SERVES}");
        (*name, plain_service(&script, &format!("environment: {{ V: \"{version}\" }}{needs}")))
    };
    compose_file(&ODD.iter().map(one).collect::<Vec<_>>()).replace("  ..:", "  \"..\":")
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_service_names_work_everywhere() {
    let fixture = Fixture::new(&[]).with(json!({ "deploy": quick(), "stateful": ["_w"], "primary": "-x" }));
    std::fs::remove_file(fixture.production.join("docker-compose.yml")).unwrap();
    fixture.write("docker-compose.yml", &compose(1));
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    for name in ODD {
        told(&plan.text, &[&format!("\n{name}: create (new)")]);
        assert_eq!(ids(shop, name).len(), 1, "{name}");
        told(&world.ask(&format!("/docker_logs shop/{name}")).await.text, &[&format!("this is {name}")]);
    }
    told(&world.ask("/docker_status").await.text, &["all 6 up", "🟢 -x (primary)", "🟢 _w (keeps data)", "🟢 ..\n"]);
    shop.write("docker-compose.yml", &compose(2));
    let (plan, outcome) = carry_out(&world, "/docker_deploy shop with=_w").await;
    good(&outcome);
    told(&plan.text, &["_w: recreate (configuration changed)", "--help: recreate (configuration changed)"]);
    for name in ["-x", "--help", "_w", ".."] {
        good(&carry_out(&world, &format!("/docker_restart shop/{name} force")).await.1);
    }
    good(&carry_out(&world, "/docker_stop").await.1);
    good(&carry_out(&world, "/docker_start").await.1);
    assert!(there(shop).iter().all(|(_, state, _)| state == "running"));
    let (plan, outcome) = carry_out(&world, "/docker_rollback shop 1").await;
    good(&outcome);
    told(&plan.text, &["-x: recreate"]);
    world.finish().await;
}
