//! Whose a container is: what only inherited Compose's labels is nobody's service, no container is two projects', and an operation
//! changes nothing on the engine but what its plan names.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::lifecycle::{carry_out, good};
use crate::support::fixture::{command, compose_file, engine_get, healthy_service, image, sh};
use crate::support::made::{SERVES, checked};
use crate::support::proxy::Proxy;
use crate::support::{Fixture, World, eventually};

/// A container made by hand. It goes when this is dropped.
struct ByHand(String);

impl ByHand {
    fn new(act: &str, name: &str, more: &[&str]) -> Self {
        let args = if act == "run" { vec!["run", "-d"] } else { vec![act] };
        sh("docker", &[&args[..], &["--name", name], more].concat());
        Self(name.to_owned())
    }

    /// When it began last, whether it runs, and how often the engine restarted it.
    fn state(&self) -> String {
        let seen = engine_get(&format!("/containers/{}/json", self.0));
        format!("{} {} {}", seen["State"]["StartedAt"], seen["State"]["Status"], seen["RestartCount"])
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        let _ = command("docker").args(["rm", "-f", &self.0]).output();
    }
}

/// A project of which Compose builds `web`; it has a store.
fn shop() -> Fixture {
    let fixture = Fixture::new(&[]).with(json!({ "stateful": ["db"], "primary": "web" }));
    for root in [&fixture.workspace, &fixture.production] {
        let serves = json!(SERVES);
        let check = crate::support::fixture::check();
        let web = format!(
            "{{ build: ., image: \"{}-web\", init: true, stop_grace_period: 2s, command: [\"sh\", \"-c\", {serves}], {check} }}",
            fixture.name
        );
        std::fs::write(root.join("docker-compose.yml"), compose_file(&[("web", web), ("db", healthy_service(""))])).unwrap();
        std::fs::write(root.join("Dockerfile"), format!("FROM {}\nCOPY page /page\n", image())).unwrap();
        std::fs::write(root.join("page"), "first\n").unwrap();
    }
    fixture.compose(&["up", "-d", "--build", "--wait"]);
    fixture
}

#[tokio::test(flavor = "multi_thread")]
async fn inherited_labels_make_no_service() {
    let shop = shop();
    let (name, built) = (shop.name.clone(), format!("{}-web", shop.name));
    let inherited = engine_get(&format!("/images/{built}/json"));
    assert_eq!(inherited["Config"]["Labels"]["com.docker.compose.service"], "web", "Compose labels what it builds");
    // One runs, one has failed, and one is a replacement that Compose has not come to yet.
    let runs = ByHand::new("run", &format!("{name}-stray"), &[&built, "sh", "-c", SERVES]);
    let failed = ByHand::new("run", &format!("{name}-failed"), &[&built, "sh", "-c", "exit 3"]);
    let web = shop.container("web").0;
    let labels = engine_get(&format!("/containers/{web}/json"))["Config"]["Labels"].clone();
    let labels = labels.as_object().unwrap().iter().map(|(key, value)| format!("--label={key}={}", value.as_str().unwrap()));
    let labels: Vec<String> = labels.chain(["--label=com.docker.compose.replace=web".to_owned()]).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let half_made = ByHand::new("create", &format!("{}_{name}-web-1", &web[..12]), &[&labels[..], &[&built, "sh"]].concat());

    let world = World::start(shop).await;
    let before = (runs.state(), failed.state(), half_made.state());
    let status = world.ask("/docker_status").await.text;
    assert!(status.contains("all 2 up") && !status.contains("stray") && !status.contains("failed"), "{status}");
    good(&carry_out(&world, "/docker_restart shop/web").await.1);
    good(&carry_out(&world, "/docker_stop shop/web").await.1);
    good(&carry_out(&world, "/docker_start shop/web").await.1);
    assert_eq!(before, (runs.state(), failed.state(), half_made.state()), "they are nobody's");
    world.fixtures[0].write("page", "second\n");
    good(&carry_out(&world, "/docker_deploy shop").await.1);
    assert_eq!((before.0, before.1), (runs.state(), failed.state()), "a deploy neither touches nor fails for them");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_compose_project_name_is_refused() {
    let mut shop = Fixture::new(&[("web", healthy_service(""))]);
    let running = shop.name.clone();
    shop.compose(&["up", "-d", "--wait"]);
    // What the configuration names is another one.
    shop.name = format!("{running}-other");
    let config = shop.production.parent().unwrap().join("projects.json");
    let mut world = World::prepare(vec![shop], json!({})).await;
    std::fs::write(&config, world.projects_json()).unwrap();
    let mut check = command(env!("CARGO_BIN_EXE_dockmaster"));
    let checked = check.args(["check", "--config", config.to_str().unwrap()]).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(checked.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("the compose project “{running}” runs from this directory")), "{said}");
    world.boot();
    for asked in ["/docker_deploy shop", "/docker_start shop"] {
        let refused = world.ask(asked).await.text;
        assert!(refused.contains(&format!("Compose project {running} runs from this directory")), "{asked}: {refused}");
        assert!(refused.contains(&format!("Set \"compose.name\" of shop to {running}")), "{asked}: {refused}");
    }
    world.fixtures[0].name.clone_from(&running);
    world.finish().await;
}

/// The tags by which dockmaster keeps what `web` runs, and the ids of their images.
fn kept_images() -> BTreeMap<String, String> {
    let filter = "%7B%22reference%22%3A%5B%22dockmaster%2Fshop%2Fweb%3Arunning-%2A%22%5D%7D";
    let images = engine_get(&format!("/images/json?filters={filter}"));
    let tags = |image: &serde_json::Value| {
        let id = image["Id"].as_str().unwrap().to_owned();
        let tags = image["RepoTags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned()).collect::<Vec<_>>();
        tags.into_iter().filter(|tag| tag.contains("running-")).map(move |tag| (tag, id.clone())).collect::<Vec<_>>()
    };
    images.as_array().unwrap().iter().flat_map(tags).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn running_image_is_kept_as_long_as_it_is_needed() {
    let (proxy, shop) = (Proxy::start(), shop());
    let image = |shop: &Fixture| engine_get(&format!("/containers/{}/json", shop.container("web").0))["Image"].as_str().unwrap().to_owned();
    let first = image(&shop);
    let mut world = World::prepare(vec![shop], json!({ "default_project": "shop" })).await;
    world.docker_host = Some(proxy.host());
    world.boot();
    let is_kept = |image: &str| kept_images().values().any(|id| id == image);
    eventually("what runs is kept", async || is_kept(&first)).await;
    let changing = changed(&proxy.asked(), &names());
    let others: Vec<&String> = changing.iter().filter(|subject| !subject.starts_with("image dockmaster/shop/")).collect();
    assert!(others.is_empty(), "without an operation nothing else is changed: {others:?}");

    // Somebody builds by hand: with the containerd store the running image would be gone by that. Then a deploy fails.
    let shop = &world.fixtures[0];
    shop.write_production("page", "by hand\n");
    shop.compose(&["build", "--quiet"]);
    shop.write_production("page", "first\n");
    shop.write("page", "second\n");
    let file = std::fs::read_to_string(shop.workspace.join("docker-compose.yml")).unwrap();
    shop.write("docker-compose.yml", &file.replace("touch /tmp/well", "exit 3"));
    let (_, outcome) = carry_out(&world, "/docker_deploy shop").await;
    assert!(outcome.text.contains("Everything was put back"), "{}", outcome.text);
    let web = shop.container("web").0;
    assert_eq!((image(shop), sh("docker", &["exec", &web, "cat", "/page"]).as_str()), (first.clone(), "first\n"));
    assert!(is_kept(&first));

    // What nothing runs any more goes, and what runs instead is kept.
    shop.write("docker-compose.yml", &file);
    good(&carry_out(&world, "/docker_deploy shop").await.1);
    let second = image(&world.fixtures[0]);
    eventually("the new one is kept instead", async || is_kept(&second) && !is_kept(&first)).await;
    world.finish().await;
}

/// The containers of the engine by their ids, with the name of each.
fn names() -> BTreeMap<String, String> {
    let all = engine_get("/containers/json?all=1");
    let name = |c: &serde_json::Value| c["Names"][0].as_str().unwrap().trim_start_matches('/').to_owned();
    all.as_array().unwrap().iter().map(|c| (c["Id"].as_str().unwrap().to_owned(), name(c))).collect()
}

/// What was changed on the engine, by whom it concerned: `container NAME`, `network NAME`, `volume NAME`, or the request itself.
fn changed(asked: &[String], names: &BTreeMap<String, String>) -> BTreeSet<String> {
    let changing = asked.iter().filter(|line| !line.starts_with("GET ") && !line.starts_with("HEAD "));
    let subject = |line: &String| {
        let path = line.split(' ').nth(1).unwrap_or_default();
        let path = path.strip_prefix("/v1.").and_then(|rest| rest.split_once('/')).map_or(path.trim_start_matches('/'), |(_, rest)| rest);
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let value = |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('=')).map(|v| v.replace("%2F", "/"));
        let named = value("name");
        match path.split('/').collect::<Vec<_>>()[..] {
            ["containers", "create"] => format!("container {}", named.unwrap_or_default()),
            ["containers", id, ..] => {
                // Compose names a replacement after the one that it replaces, and dockmaster what it keeps aside.
                format!("container {}", names.get(id).map_or(id, String::as_str))
            }
            [kind @ ("networks" | "volumes"), what, ..] => format!("{kind} {what}"),
            ["images", _, "tag"] => format!("image {}:{}", value("repo").unwrap_or_default(), value("tag").unwrap_or_default()),
            ["images", ..] => format!("image {}", path.trim_start_matches("images/")),
            ["build" | "session" | "grpc", ..] => "build".to_owned(),
            _ => line.clone(),
        }
    };
    changing.map(subject).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_change_only_what_their_plans_name() {
    let proxy = Proxy::start();
    let (shop, mut tools) =
        (shop(), Fixture::of_services(json!({ "mail": checked(SERVES, json!({})), "cron": checked(SERVES, json!({})) })));
    tools.name = format!("{}t", tools.name);
    let (name, built, made) = (shop.name.clone(), format!("{}-web", shop.name), tools.name.clone());
    let strays = [format!("{name}-stray"), format!("{name}-edge")].map(|stray| ByHand::new("run", &stray, &[&built, "sh", "-c", SERVES]));
    let none = json!({ "compose": null, "workspace": null, "production": null, "deploy": null });
    // A pattern that is as wide as can be: what others own is none of it.
    let pattern = json!([{ "service": "edge", "pattern": format!("{name}-*") }]);
    let edge = Fixture::new(&[]).with(none).with(json!({ "containers": pattern }));
    let mut world = World::prepare(vec![shop, edge, tools], json!({ "default_project": "shop" })).await;
    world.docker_host = Some(proxy.host());
    world.boot();
    let status = world.ask("/docker_status edge").await.text;
    assert!(status.contains("2") && !status.contains(&format!("{name}-web-1")), "the two that are nobody's: {status}");
    let own = |service: &str| format!("container {name}-{service}-1");
    let of_tools = |service: &str| format!("container dockmaster-{made}-{service}");
    let edges = [format!("container {}", strays[0].0), format!("container {}", strays[1].0)];
    let deploy = vec![own("web"), "build".to_owned(), format!("image {built}"), "image dockmaster/shop/".to_owned()];
    let cases: [(&str, Vec<String>); 11] = [
        ("/docker_restart shop/web", vec![own("web")]),
        ("/docker_restart shop", vec![own("web")]),
        ("/docker_stop shop/db", vec![own("db")]),
        ("/docker_start shop/db", vec![own("db")]),
        ("/docker_deploy shop", deploy.clone()),
        ("/docker_rollback shop", deploy),
        ("/docker_restart edge", edges.to_vec()),
        ("/docker_deploy TOOLS", vec![of_tools("mail"), of_tools("cron"), "networks ".to_owned()]),
        ("/docker_restart TOOLS/mail", vec![of_tools("mail")]),
        ("/docker_stop TOOLS", vec![of_tools("mail"), of_tools("cron")]),
        ("/docker_start TOOLS/cron", vec![of_tools("cron")]),
    ];
    for (command, may) in cases {
        let command = command.replace("TOOLS", &made);
        world.fixtures[0].write("page", "second\n");
        let mut known = names();
        proxy.asked();
        let (plan, outcome) = carry_out(&world, &command).await;
        good(&outcome);
        known.extend(names());
        let changed = changed(&proxy.asked(), &known);
        // A replacement has the short id of what it replaces before its name until it is renamed.
        let is_named = |subject: &String| {
            // What runs is kept whatever is asked for.
            let keeps = subject.starts_with("image dockmaster/shop/") && subject.contains(":running-");
            keeps
                || may.iter().any(|may| {
                    subject.starts_with(may.as_str()) || subject.rsplit_once('_').is_some_and(|(_, n)| format!("container {n}") == *may)
                })
        };
        let others: Vec<&String> = changed.iter().filter(|subject| !is_named(subject)).collect();
        assert!(others.is_empty(), "{command} changed {others:?}, which its plan does not name: {}", plan.text);
        assert!(changed.iter().any(|subject| subject.starts_with("container")), "{command}: the proxy saw what it did: {changed:?}");
    }
    world.finish().await;
}
