//! Compose was upgraded between two deploys: what it would remake though nobody changed a line is told as that.

use serde_json::{Value, json};

use crate::counts::untold;
use crate::lifecycle::{carry_out, good, told};
use crate::support::fixture::{compose_file, engine_get, image, plain_service, sh};
use crate::support::program::{Launch, Tools};
use crate::support::{Fixture, World};

const SERVES: &str = "trap 'exit 0' TERM; while true; do sleep 0.1; done";

fn services(web: u8, store: u8) -> String {
    let of = |version: u8| plain_service(SERVES, &format!("environment: {{ V: \"{version}\" }}, depends_on: [cache]"));
    compose_file(&[("web", of(web)), ("store", of(store)), ("cache", plain_service(SERVES, ""))])
}

/// Makes a service's container anew, with what it runs and the labels that an older Compose would have given it: another hash, and its version.
fn made_by_another_compose(shop: &Fixture, service: &str) {
    let seen = engine_get(&format!("/containers/{}/json", shop.container(service).0));
    let text = |path: &str| seen.pointer(path).and_then(Value::as_str).unwrap().trim_start_matches('/').to_owned();
    let (id, name, network) = (text("/Id"), text("/Name"), text("/HostConfig/NetworkMode"));
    let mut args: Vec<String> = ["create", "--init", "--name", &name, "--network", &network].map(str::to_owned).into();
    for (key, value) in seen["Config"]["Labels"].as_object().unwrap() {
        let value = match key.as_str() {
            "com.docker.compose.version" => "2.20.0",
            "com.docker.compose.config-hash" => "0123456789abcdef",
            _ => value.as_str().unwrap(),
        };
        args.extend(["--label".to_owned(), format!("{key}={value}")]);
    }
    args.extend(["--env".to_owned(), text("/Config/Env/0"), image().to_owned()]);
    args.extend(seen["Config"]["Cmd"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()));
    sh("docker", &["rm", "-f", &id]);
    sh("docker", &args.iter().map(String::as_str).collect::<Vec<_>>());
    sh("docker", &["start", &name]);
}

#[tokio::test(flavor = "multi_thread")]
async fn upgraded_compose_is_no_changed_configuration() {
    let fixture = Fixture::new(&[]).with(json!({ "stateful": ["store"], "deploy": { "stability": "200ms", "health_timeout": "20s" } }));
    std::fs::remove_file(fixture.production.join("docker-compose.yml")).unwrap();
    fixture.write("docker-compose.yml", &services(1, 1));
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    good(&carry_out(&world, "/docker_deploy").await.1);
    let now = sh("docker-compose", &["version", "--short"]);
    let now = now.trim().trim_start_matches('v').split('-').next().unwrap();
    let upgraded = format!("made by Compose 2.20.0, now {now}: would be recreated by it");

    for service in ["web", "store"] {
        made_by_another_compose(shop, service);
    }
    let store = shop.container("store");
    let plan = world.ask("/docker_deploy").await.text;
    told(&plan, &[&format!("web: recreate ({upgraded})"), &format!("store stays: it keeps data; pending: {upgraded}")]);
    assert!(!plan.contains("configuration changed"), "{plan}");
    assert!(plan.contains("Stays as it is: cache"), "{plan}");
    good(&world.confirm().await);
    assert_eq!(shop.container("store"), store);
    let again = world.ask("/docker_deploy").await.text;
    assert!(again.starts_with("Nothing to deploy") && again.contains(&upgraded), "{again}");

    // Where a line was changed as well, that is the reason.
    made_by_another_compose(shop, "web");
    shop.write("docker-compose.yml", &services(2, 2));
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["web: recreate (configuration changed)", "store stays: it keeps data; pending: configuration changed"]);
    // And it still is once it is what the current release says: the store has stayed through it.
    let again = world.ask("/docker_deploy").await.text;
    assert!(again.contains("store stays: it keeps data; pending: configuration changed"), "{again}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_tag_of_a_built_service_is_another_image() {
    let compose = |tag: u8| {
        let web = format!("{{ build: ., image: \"dmt-tagged:{tag}\", init: true, command: [\"sh\", \"-c\", {}] }}", json!(SERVES));
        compose_file(&[("web", web)])
    };
    let fixture = Fixture::new(&[]);
    std::fs::remove_file(fixture.production.join("docker-compose.yml")).unwrap();
    fixture.write("Dockerfile", &format!("FROM {}\nENV A=b\n", image()));
    fixture.write("docker-compose.yml", &compose(1));
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    good(&carry_out(&world, "/docker_deploy").await.1);
    // Nothing that it is built from changes, and it has to be there under its new name.
    shop.write("docker-compose.yml", &compose(2));
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["dmt-tagged:1 -> dmt-tagged:2"]);
    assert!(!plan.text.contains("means another image now"), "{}", plan.text);
    let runs = engine_get(&format!("/containers/{}/json", shop.container("web").0))["Config"]["Image"].clone();
    assert_eq!(runs, "dmt-tagged:2", "{}", outcome.text);
    // What was stopped on purpose is not said to have ended.
    good(&carry_out(&world, "/docker_stop").await.1);
    let (plan, outcome) = carry_out(&world, "/docker_start").await;
    good(&outcome);
    assert!(!plan.text.contains("ended already"), "{}", plan.text);
    world.finish().await;
    for tag in ["1", "2"] {
        sh("docker", &["image", "rm", "-f", &format!("dmt-tagged:{tag}")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn compose_upgraded_beneath_a_running_dockmaster_is_asked_again() {
    let fixture = Fixture::up(&[("web", plain_service(SERVES, "post_start: [{ command: [\"true\"] }]"))]);
    let world = World::prepare(vec![fixture], json!({ "default_project": "shop" })).await;
    let tools = Tools::all();
    // Only what it says of its version is another one's.
    let installed = |version: &str| {
        tools.script("docker-compose", &format!("case \"$*\" in \"version --short\") echo {version}; exit 0 ;; esac\nexec $real \"$@\""));
    };
    let program = Launch::run(&world, &tools).start();
    world.ask("/docker_restart").await;
    installed("2.20.0");
    told(&world.ask("/docker_restart").await.text, &["Compose 2.20.0 ignores the hooks of web (post_start)"]);
    installed("2.30.1");
    untold(&world.ask("/docker_restart").await.text, &["ignores the hooks"]);
    std::fs::remove_file(tools.path().join("docker-compose")).unwrap();
    told(&world.ask("/docker_deploy").await.text, &["Docker Compose v2 is not installed on this machine", "ask again"]);
    tools.ungate("docker-compose");
    untold(&world.ask("/docker_deploy").await.text, &["not installed"]);
    program.stop().await;
    world.finish().await;
}

/// Another Compose of this machine than the first in PATH, where there is one: `./scripts/long compose240` brings one.
fn older_compose() -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut all = std::env::split_paths(&path).map(|directory| directory.join("docker-compose")).filter(|program| program.is_file());
    let version = |program: &std::path::Path| sh(program.to_str().unwrap(), &["version", "--short"]);
    let first = version(&all.next()?);
    all.find(|program| version(program) != first)
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_of_an_older_compose_are_told_apart() {
    let Some(older) = older_compose() else { return };
    let fixture = Fixture::new(&[]);
    std::fs::remove_file(fixture.production.join("docker-compose.yml")).unwrap();
    let shares = plain_service(SERVES, "network_mode: \"service:web\"");
    let services = [("web", plain_service(SERVES, "depends_on: [cache]")), ("app", shares), ("cache", plain_service(SERVES, ""))];
    fixture.write("docker-compose.yml", &compose_file(&services));
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    good(&carry_out(&world, "/docker_deploy").await.1);
    let (root, file) = (shop.production.to_str().unwrap(), shop.production.join("docker-compose.yml"));
    let args = ["-p", &shop.name, "--project-directory", root, "-f", file.to_str().unwrap(), "up", "-d", "--force-recreate"];
    sh(older.to_str().unwrap(), &args);
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(
        &plan.text,
        &["web: recreate (made by Compose ", "app: recreate (made by Compose ", "would be recreated by it", "Stays as it is: cache"],
    );
    let again = world.ask("/docker_deploy").await.text;
    assert!(again.starts_with("Nothing to deploy"), "{again}");
    world.finish().await;
}
