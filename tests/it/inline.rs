//! Configs and secrets that are no files: their content is in no hash of Compose, and a change of it is brought up all the same.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::lifecycle::{carry_out, good, told};
use crate::support::fixture::{compose_file, plain_service, sh};
use crate::support::{Fixture, World};

const SERVES: &str = "trap 'exit 0' TERM; while true; do sleep 0.1; done";
/// Writes into its own config once it runs.
const WRITES: &str = "trap 'exit 0' TERM; echo more >> /c.txt; while true; do sleep 0.1; done";

fn compose(content: &str) -> String {
    let configs = "configs: [{ source: c, target: /c.txt }]";
    let services = compose_file(&[
        ("web", plain_service(SERVES, &format!("{configs}, secrets: [pin], depends_on: [cache]"))),
        ("writer", plain_service(WRITES, configs)),
        ("store", plain_service(SERVES, "secrets: [{ source: pin, target: /pin }]")),
        ("cache", plain_service(SERVES, "")),
    ]);
    format!("{services}configs: {{ c: {{ content: {} }} }}\nsecrets: {{ pin: {{ environment: SHOP_PIN }} }}\n", json!(content))
}

fn holds(shop: &Fixture, service: &str, file: &str) -> String {
    sh("docker", &["exec", &shop.container(service).0, "cat", file]).trim().to_owned()
}

fn label(shop: &Fixture, service: &str) -> String {
    let format = "{{index .Config.Labels \"com.docker.compose.config-hash\"}} {{index .Config.Labels \"com.docker.compose.depends_on\"}}";
    sh("docker", &["inspect", "-f", format, &shop.container(service).0])
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_content_of_configs_and_secrets_is_brought_up() {
    let fixture = Fixture::new(&[]).with(json!({ "stateful": ["store"], "deploy": { "stability": "200ms", "health_timeout": "20s" } }));
    for root in [&fixture.workspace, &fixture.production] {
        std::fs::write(root.join("docker-compose.yml"), compose("costs $$5")).unwrap();
    }
    fixture.write_production(".env", "SHOP_PIN=pin-4711-alpha\n");
    // Brought up by hand: nothing is known of what is in there but what is in there.
    fixture.compose(&["up", "-d"]);
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    shop.write("note", "x\n");
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["No service is touched", "Stays as it is: cache, store, writer, web"]);

    // The content of the config: in both that have it, also where one has written to it.
    let before = shop.containers();
    shop.write("docker-compose.yml", &compose("costs $$6"));
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["web: recreate (config c changed)", "Stays as it is: cache, store"]);
    assert_eq!(holds(shop, "web", "/c.txt"), "costs $6");
    let is_same = |service: &str| before.iter().any(|(name, id, _)| name == service && *id == shop.container(service).0);
    assert!(is_same("cache") && is_same("store") && !is_same("web"), "{}", outcome.text);
    let labels = label(shop, "web");
    shop.compose(&["up", "-d", "--force-recreate", "writer", "web"]);
    assert_eq!(label(shop, "web"), labels, "labelled as by any other up");
    let again = world.ask("/docker_deploy").await.text;
    assert!(again.starts_with("Nothing to deploy"), "{again}");

    // Now that it is known what the writer was brought up with, it is remade as well.
    shop.write("docker-compose.yml", &format!("{}# {}\n", compose("costs $$7"), 1).replace("echo more", "echo even more"));
    good(&carry_out(&world, "/docker_deploy").await.1);
    assert_eq!(holds(shop, "writer", "/c.txt"), "costs $7even more");
    shop.write("docker-compose.yml", &compose("costs $$8").replace("echo more", "echo even more"));
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["web: recreate (config c changed)", "writer: recreate (config c changed)"]);
    assert_eq!(holds(shop, "writer", "/c.txt"), "costs $8even more");

    // A variable: nothing in the files changes. What keeps data has it pending; a restart brings nothing.
    shop.write_production(".env", "SHOP_PIN=pin-4711-omega\n");
    good(&carry_out(&world, "/docker_restart shop/web").await.1);
    assert_eq!(holds(shop, "web", "/run/secrets/pin"), "pin-4711-alpha");
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["web: recreate (secret pin changed)", "store stays: it keeps data; pending: secret pin changed"]);
    assert_eq!((holds(shop, "web", "/run/secrets/pin"), holds(shop, "store", "/pin")), ("pin-4711-omega".into(), "pin-4711-alpha".into()));
    let (plan, outcome) = carry_out(&world, "/docker_deploy shop with=store").await;
    good(&outcome);
    told(&plan.text, &["store: recreate (secret pin changed)"]);
    assert_eq!(holds(shop, "store", "/pin"), "pin-4711-omega");

    // Back to the content of the release, with the variable as it is now.
    let (plan, outcome) = carry_out(&world, "/docker_rollback shop 2").await;
    good(&outcome);
    told(&plan.text, &["web: recreate (config c changed)"]);
    assert_eq!((holds(shop, "web", "/c.txt"), holds(shop, "web", "/run/secrets/pin")), ("costs $6".into(), "pin-4711-omega".into()));

    // What a secret holds is nowhere but in the container.
    let key = world.data.join("content.key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let said = world.texts(crate::support::ADMIN).join("\n");
    assert!(!said.contains("pin-4711"), "{said}");
    for file in std::fs::read_dir(&world.data).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(8).any(|part| part == b"pin-4711"), "{}", file.display());
    }
    world.finish().await;
}
