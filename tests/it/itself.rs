//! dockmaster in a container of a project that it looks after itself: restarted and deployed from its own chat.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::boxed::Boxed;
use crate::support::fixture::{command, engine_get, image, sh};
use crate::support::{ADMIN, Fixture, World, engine, eventually, long};

const SERVICE: &str = "dockmaster";

/// A bot that is called `shop` in its own chat.
struct Itself {
    world: World,
    boxed: Boxed,
}

impl Itself {
    async fn start(name: &str) -> Self {
        let deploy = json!({ "stability": "1s", "health_timeout": "60s" });
        let fixture = Fixture::new(&[]).with(json!({ "deploy": deploy, "restart": { "stop_timeout": "20s" } }));
        let world = World::prepare(vec![fixture], json!({ "default_project": "shop" })).await;
        let boxed = Boxed::build(name, &world);
        boxed.also(&json!({ "healthcheck": { "interval": "1s", "timeout": "5s", "retries": 2, "start_period": "10s" } }));
        let mut itself = Self { world, boxed };
        itself.lay();
        itself
    }

    /// Workspace and production as somebody has them who deploys dockmaster with dockmaster: all in one compose file.
    fn lay(&mut self) {
        let mut all: Value = serde_json::from_str(&self.boxed.compose(&["config", "--format", "json"])).unwrap();
        let dockerfile = self.dockerfile("1");
        let shop = &mut self.world.fixtures[0];
        shop.name = all["name"].as_str().unwrap().to_owned();
        let service = all["services"][SERVICE].as_object_mut().unwrap();
        service.insert("build".into(), json!("."));
        service.insert("image".into(), json!(format!("{}-own", self.boxed.image)));
        let file = serde_json::to_string_pretty(&all).unwrap();
        let ignore = "*\n!Dockerfile\n";
        for (path, text) in [("docker-compose.yml", &*file), ("Dockerfile", &*dockerfile), (".dockerignore", ignore)] {
            shop.write(path, text);
            shop.write_production(path, text);
        }
        self.boxed.configure(&self.world);
    }

    fn dockerfile(&self, version: &str) -> String {
        format!("FROM {}\nLABEL version={version}\n", self.boxed.image)
    }
}

impl Itself {
    /// The compose file with another service, which is never well.
    fn with_neighbour(&self) -> String {
        let file = self.world.fixtures[0].workspace.join("docker-compose.yml");
        let mut all: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        all["services"]["neighbour"] = json!({
            "image": image(), "init": true, "stop_grace_period": "1s", "command": ["sleep", "600"],
            "healthcheck": { "test": ["CMD", "false"], "interval": "500ms", "retries": 1 },
        });
        all.to_string()
    }
}

fn version(world: &World) -> String {
    let seen = engine_get(&format!("/containers/{}/json", world.fixtures[0].container(SERVICE).0));
    seen["Config"]["Labels"]["version"].as_str().unwrap_or_default().to_owned()
}

/// The helpers that work for this world: another test may have its own.
fn helpers(world: &World) -> Vec<Value> {
    let filter = "%7B%22label%22%3A%5B%22dockmaster.helper%22%5D%7D";
    let mut all = engine_get(&format!("/containers/json?all=true&filters={filter}")).as_array().unwrap().clone();
    let data = json!(world.data.display().to_string());
    all.retain(|helper| helper["Mounts"].as_array().unwrap().iter().any(|mount| mount["Source"] == data));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn it_restarts_and_deploys_itself_and_is_put_back_where_the_new_one_does_not_come_up() {
    let itself = Itself::start("itself").await;
    let (world, shop) = (&itself.world, &itself.world.fixtures[0]);
    own(&shop.production, itself.boxed.user);
    shop.compose(&["up", "-d", "--build", "--wait"]);
    let first = shop.container(SERVICE);

    // Restarted: the same container, started anew, says how it went.
    let plan = world.ask("/docker_restart").await.text;
    assert!(plan.contains("is the container that dockmaster runs in") && plan.contains("reports here"), "{plan}");
    let outcome = world.confirm().await.text;
    assert!(outcome.starts_with("✅ Restart of shop done"), "{outcome}");
    let second = shop.container(SERVICE);
    assert!(second.0 == first.0 && second.1 != first.1, "{first:?} {second:?}");
    let shown = world.texts(ADMIN).into_iter().rev().find(|text| text.contains("🔁")).unwrap_or_default();
    assert!(shown.contains("The one that comes up tells how it went"), "{:#?}", world.texts(ADMIN));

    // Deployed: another container of another image.
    shop.write("Dockerfile", &itself.dockerfile("2"));
    let plan = world.ask("/docker_deploy").await.text;
    assert!(plan.contains("dockmaster: recreate") || plan.contains("build"), "{plan}");
    let outcome = world.confirm().await.text;
    assert!(outcome.starts_with("✅") && outcome.contains("runs release 1 "), "{outcome}");
    assert_eq!(version(world), "2");

    // A file that the image is not made of: nothing ends it, and it goes on by itself.
    let before = shop.container(SERVICE);
    shop.write("notes", "for people\n");
    world.ask("/docker_deploy").await;
    let outcome = world.confirm().await.text;
    assert!(outcome.starts_with("✅") && outcome.contains("runs release 2 "), "{outcome}");
    assert_eq!(shop.container(SERVICE), before);

    // The new one comes up, and a neighbour does not: it gives itself up.
    shop.write("Dockerfile", &itself.dockerfile("never"));
    let with_neighbour = itself.with_neighbour();
    let alone = std::fs::read_to_string(shop.workspace.join("docker-compose.yml")).unwrap();
    shop.write("docker-compose.yml", &with_neighbour);
    world.ask("/docker_deploy").await;
    let outcome = world.confirm().await.text;
    assert!(outcome.starts_with("❌") && outcome.contains("neighbour did not come up"), "{outcome}");
    assert!(outcome.contains("runs release 2 again"), "{outcome}");
    assert_eq!((version(world).as_str(), shop.production_file("docker-compose.yml")), ("2", Some(alone.clone())));
    assert_eq!(shop.containers().len(), 1);
    shop.write("docker-compose.yml", &alone);

    // One that ends as soon as it begins is taken back, and the old one says why.
    let broken = format!("{}CMD [\"check\", \"--config\", \"/nowhere.json\"]\n", itself.dockerfile("3"));
    shop.write("Dockerfile", &broken);
    world.ask("/docker_deploy").await;
    let outcome = world.confirm().await.text;
    assert!(outcome.starts_with("❌") && outcome.contains("The new dockmaster did not come up"), "{outcome}");
    assert!(outcome.contains("runs release 2 again") && outcome.contains("/nowhere.json"), "{outcome}");
    assert_eq!(version(world), "2");
    assert_eq!(shop.production_file("Dockerfile"), Some(itself.dockerfile("2")));

    // So is one that runs and is not well.
    shop.write("Dockerfile", &format!("{}ENTRYPOINT [\"sh\", \"-c\", \"while :; do :; done\"]\n", itself.dockerfile("4")));
    world.ask("/docker_deploy").await;
    let outcome = world.confirm().await.text;
    assert!(outcome.starts_with("❌") && outcome.contains("It is unhealthy"), "{outcome}");
    assert_eq!(version(world), "2");

    // Whenever the helper is killed, it comes out as one or the other.
    let all = [("5", 300), ("6", 0), ("7", 900)];
    for (number, pause) in all.into_iter().take(if long::asked().is_some() { 3 } else { 1 }) {
        let before = version(world);
        shop.write("Dockerfile", &itself.dockerfile(number));
        world.ask("/docker_deploy").await;
        world.say("yes");
        eventually("there is a helper", async || helpers(world).iter().any(|h| h["State"] == json!("running"))).await;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        kill(&helpers(world));
        let outcome = world.outcome(ADMIN).await.text;
        let runs = if outcome.starts_with("✅") { number } else { &*before };
        assert!(outcome.starts_with("✅") || outcome.contains("Everything was put back"), "{outcome}");
        assert_eq!((version(world).as_str(), shop.production_file("Dockerfile")), (runs, Some(itself.dockerfile(runs))), "{outcome}");
    }

    // Nothing is left of the helpers, and it works on.
    eventually("the helpers are gone", async || helpers(world).is_empty()).await;
    // One that was put back tells so as soon as it runs; its health check has the first word a second later.
    eventually("it is up", async || world.ask("/docker_status").await.text.contains("1 of 1 up")).await;
    shop.compose(&["down", "-t", "20"]);
    let Itself { world, boxed } = itself;
    remove_image(&format!("{}-own", boxed.image));
    drop(boxed);
    world.finish().await;
}

/// What `web` of [`Itself::with_slow_neighbour`] takes to stop, and how much later the engine has certainly ended it.
const GRACE: Duration = Duration::from_secs(4);
const OVER: Duration = Duration::from_secs(2);

impl Itself {
    /// The compose file with another service that uses up 4 s to stop, 3 s to start, and whose health check takes 2 s.
    fn with_slow_neighbour(&self, release: &str) -> String {
        let file = self.world.fixtures[0].workspace.join("docker-compose.yml");
        let mut all: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        all["services"]["web"] = json!({
            "image": image(), "stop_grace_period": "4s", "environment": { "RELEASE": release },
            "command": ["sh", "-c", "trap '' TERM; sleep 3; touch /tmp/well; while true; do sleep 0.2; done"],
            "healthcheck": { "test": ["CMD-SHELL", "sleep 2; test -e /tmp/well"], "interval": "500ms", "retries": 3, "start_period": "10s" },
        });
        all.to_string()
    }

    /// The state, the health and the release of `web`.
    fn web(&self) -> (String, String, String) {
        let seen = engine_get(&format!("/containers/{}/json", self.world.fixtures[0].container("web").0));
        let text = |path: &str| seen.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let environment = seen["Config"]["Env"].as_array().unwrap().iter().filter_map(Value::as_str);
        let release = environment.filter_map(|v| v.strip_prefix("RELEASE=")).next().unwrap_or_default().to_owned();
        (text("/State/Status"), text("/State/Health/Status"), release)
    }
}

/// A self-update together with a service that is slow in everything, whose helper is killed while the engine stops that service.
#[tokio::test(flavor = "multi_thread")]
async fn self_update_killed_in_a_stop_leaves_what_is_told() {
    let itself = Itself::start("itself-slow").await;
    let (world, shop) = (&itself.world, &itself.world.fixtures[0]);
    let first = itself.with_slow_neighbour("first");
    shop.write("docker-compose.yml", &first);
    shop.write_production("docker-compose.yml", &first);
    own(&shop.production, itself.boxed.user);
    shop.compose(&["up", "-d", "--build", "--wait"]);
    for number in long::rounds(1) {
        let (version_before, (.., release_before)) = (version(world), itself.web());
        let new = format!("update{number}");
        shop.write("Dockerfile", &itself.dockerfile(&new));
        shop.write("docker-compose.yml", &itself.with_slow_neighbour(&new));
        let web = shop.container("web").0;
        let since = sh("date", &["+%s.%N"]);
        world.ask("/docker_deploy").await;
        world.say("yes");
        eventually("the engine stops web", async || {
            let now = sh("date", &["+%s.%N"]);
            let asked = ["events", "--since", since.trim(), "--until", now.trim(), "--filter", "event=kill", "--filter"];
            !sh("docker", &[&asked[..], &[&format!("container={web}")]].concat()).is_empty()
        })
        .await;
        let (stopping, after) = (Instant::now(), Duration::from_millis((1_700 + number * 613) % 4_500));
        tokio::time::sleep(after).await;
        kill(&helpers(world));
        let outcome = world.outcome(ADMIN).await.text;
        // Whatever the engine was still doing shows by then.
        tokio::time::sleep((GRACE + OVER).saturating_sub(stopping.elapsed())).await;
        eprintln!("itself: round {number}: helper killed {after:?} into the stop, told after {:?}", stopping.elapsed());
        let is_new = outcome.starts_with('✅');
        assert!(is_new || outcome.contains("Everything was put back"), "round {number}, {after:?}: {outcome}");
        let runs = if is_new { (new.clone(), new) } else { (version_before, release_before) };
        let (state, health, release) = itself.web();
        assert_eq!((&*state, &*health), ("running", "healthy"), "round {number}, {after:?}: {outcome}");
        assert_eq!((version(world), release), runs, "round {number}, {after:?}: {outcome}");
        assert_eq!(shop.containers().len(), 2, "round {number}, {after:?}: {outcome}");
        eventually("the helpers are gone", async || helpers(world).is_empty()).await;
        let corrected = world.texts(ADMIN).iter().any(|text| text.contains("Correction"));
        assert!(!corrected, "round {number}, {after:?}: {:#?}", world.texts(ADMIN));
    }
    shop.compose(&["down", "-t", "20"]);
    let Itself { world, boxed } = itself;
    remove_image(&format!("{}-own", boxed.image));
    drop(boxed);
    world.finish().await;
}

/// Kills the first process of each, as a machine that runs out of memory would.
fn kill(helpers: &[Value]) {
    for helper in helpers {
        let seen = engine_get(&format!("/containers/{}/json", helper["Id"].as_str().unwrap()));
        let process = seen["State"]["Pid"].as_i64().unwrap_or_default();
        if process > 1
            && std::fs::read_to_string(format!("/proc/{process}/mountinfo")).is_ok_and(|m| m.contains(seen["Id"].as_str().unwrap()))
        {
            sh("kill", &["-9", &process.to_string()]);
        }
    }
}

/// Gives a tree to whoever the bot runs as.
fn own(directory: &Path, user: u32) {
    if rustix::process::getuid().is_root() {
        sh("chown", &["-R", &format!("{user}:{user}"), directory.to_str().unwrap()]);
    }
}

fn remove_image(name: &str) {
    let host = engine::host().unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
    let address = format!("http://engine/images/{name}?force=true");
    let _ = command("curl").args(["-sS", "-X", "DELETE", "--unix-socket", &host.replacen("unix://", "", 1), &address]).output();
}
