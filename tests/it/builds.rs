//! What an image is built from, and what of it builds again.

use serde_json::json;

use crate::lifecycle::{carry_out, good};
use crate::support::fixture::{command, compose_file, image};
use crate::support::{Fixture, World};

#[tokio::test(flavor = "multi_thread")]
async fn only_what_a_build_sees_builds_again() {
    let entry = json!({ "deploy": { "stability": "300ms", "health_timeout": "20s" }, "stateful": [] });
    let world = World::start(Fixture::new(&[]).with(entry)).await;
    let shop = &world.fixtures[0];
    let tag = format!("{}-extra:1", shop.name);
    let build = format!("build: {{ context: ., additional_contexts: {{ more: ./more }}, tags: [\"{tag}\"] }}");
    let run = "init: true, stop_grace_period: 1s, command: [\"sleep\", \"600\"], env_file: [{ path: own.vars, required: false }]";
    shop.write("docker-compose.yml", &compose_file(&[("web", format!("{{ {build}, {run} }}"))]));
    shop.write("Dockerfile", &format!("FROM {}\nCOPY . /app\nCOPY --from=more x /x\n", image()));
    shop.write(".dockerignore", "*.md\n!KEEP.md\nmore\n");
    for file in ["more/x", "KEEP.md", "README.md"] {
        shop.write(file, "1\n");
    }
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    assert!(plan.text.contains(&format!("The further tags of web ({tag}) move")), "{}", plan.text);
    for (file, builds) in [("README.md", ""), ("KEEP.md", "KEEP.md"), ("more/x", "more/x")] {
        shop.write(file, "2\n");
        let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
        good(&outcome);
        let why = format!("web: build, recreate ({builds} changed)");
        assert_eq!(plan.text.contains(&why), !builds.is_empty(), "{file}: {}", plan.text);
        assert_eq!(plan.text.contains("web: build"), !builds.is_empty(), "{file}: {}", plan.text);
    }
    // An optional file of variables that comes is a change of the configuration.
    shop.write_production("own.vars", "MINE=1\n");
    let plan = world.ask("/docker_deploy").await;
    assert!(plan.text.contains("web: recreate (configuration changed)"), "{}", plan.text);
    world.say("no");
    world.idle().await;
    shop.compose(&["down", "-t", "0"]);
    assert!(command("docker").args(["rmi", &tag]).output().unwrap().status.success());
    world.finish().await;
}
