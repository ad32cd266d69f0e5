//! dockmaster in a container, made by the repository's own `Dockerfile` and `docker-compose.yml`: not root, with nothing to
//! write to but its data directory and production.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use serde_json::json;

use crate::support::boxed::Boxed;
use crate::support::fixture::{engine_get, healthy_service, sh};
use crate::support::shop::{SERVES, deployed, dockerfile, running_image, shop_of, web};
use crate::support::{ADMIN, Fixture, World, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn from_its_own_container_it_deploys_and_refuses_what_the_engine_would_mount_from_elsewhere() {
    let itself = json!({ "compose": null, "workspace": null, "production": null, "deploy": null, "containers": [Boxed::name("boxed")] });
    let fixtures = vec![published(), Fixture::new(&[]).with(itself)];
    let world = World::prepare(fixtures, json!({ "default_project": "shop" })).await;
    let shop = &world.fixtures[0];
    let boxed = Boxed::build("boxed", &world);

    // As the image has it, with less patience.
    let health_check = json!({ "interval": "1s", "timeout": "3s", "retries": 1 });
    boxed.also(&json!({ "healthcheck": health_check }));
    boxed.up();
    is_well(&boxed, 0).await;
    let (web, database, image) = (shop.container("web"), shop.container("postgres"), running_image(shop, "web"));
    let production = |mode| std::fs::set_permissions(&shop.production, std::fs::Permissions::from_mode(mode)).unwrap();
    production(0o555);
    refused(&world, &["may not write to production", "Permission denied", "Give its user the right to write there"]).await;
    production(0o755);

    let plan = world.ask("/docker_deploy").await.text;
    assert!(plan.contains("page") && plan.contains("web: "), "{plan}");
    let outcome = world.confirm().await.text;
    assert!(outcome.starts_with('✅') && outcome.contains("runs release 1 "), "{outcome}");
    assert!(outcome.contains("probe: answers with 200"), "{outcome}");
    assert_eq!(shop.production_file("page").as_deref(), Some("page two\n"));
    assert_eq!(shop.production.join("page").metadata().unwrap().uid(), boxed.user);
    assert_ne!(shop.container("web").0, web.0, "the service runs in a new container");
    assert_ne!(running_image(shop, "web"), image, "of a new image");
    assert_eq!(shop.container("postgres"), database, "the store was not touched");
    is_as_small_as_it_may_be(&boxed, &world.data);

    // A terminal inside reaches it.
    let status = boxed.compose(&["exec", "-T", "dockmaster", "dockmaster", "status", "shop"]);
    assert!(status.contains("all 2 up") && status.contains("Release 1"), "{status}");
    // Whoever would be stopped could not be started again from here.
    let ourselves = world.ask("/docker_stop edge").await.text;
    assert!(ourselves.contains("Stop would end dockmaster itself"), "{ourselves}");
    is_watched(&boxed).await;

    // Asked to end, it does so by itself, well before it is killed.
    boxed.compose(&["stop"]);
    assert_eq!(boxed.inspect()["State"]["ExitCode"], json!(0));

    // The same path, yet another directory of the host.
    let elsewhere = shop.production.with_file_name("elsewhere");
    sh("cp", &["-a", shop.production.to_str().unwrap(), elsewhere.to_str().unwrap()]);
    boxed.also(&json!({ "volumes": [format!("{}:{}", elsewhere.display(), shop.production.display())] }));
    boxed.up();
    let is = format!("production {} is {} of the host", shop.production.display(), elsewhere.display());
    refused(&world, &["shop cannot be deployed.", "dockmaster runs in a container", &is]).await;
    drop(boxed);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_its_container_is_told_and_can_be_saved_while_that_lives() {
    let itself =
        json!({ "compose": null, "workspace": null, "production": null, "deploy": null, "containers": [Boxed::name("forgetful")] });
    let fixtures = vec![published(), Fixture::new(&[]).with(itself)];
    let world = World::prepare(fixtures, json!({ "default_project": "shop" })).await;
    let boxed = Boxed::build("forgetful", &world);
    let limits = json!({ "read_only": false, "mem_limit": "512m", "cpus": 0.75, "pids_limit": 300 });
    let with = |data: &str| {
        let mut more = limits.clone();
        more["environment"] = json!({ "DOCKMASTER_DATA": data, "DOCKER_CONFIG": format!("{data}/docker") });
        more
    };
    // Where it may not write it does not start, and says where it could.
    boxed.also(&with("/usr/data"));
    boxed.up();
    let said = "the data directory /usr/data cannot be used: Permission denied (os error 13); name another with --data, or see to this one. \
                Mounted here, and fit for it: `/var/lib/dockmaster`.";
    eventually("it says so", async || boxed.compose(&["logs", "--no-log-prefix"]).contains(said)).await;
    boxed.also(&with("/var/own/data"));
    boxed.up();
    let told = world.next_of_all(ADMIN).await.text;
    let lies = "My data directory /var/own/data lies in the container's own layer: history and releases are gone when the container is made \
                anew. Mounted here, and fit for it: /var/lib/dockmaster. Moved there with: dockmaster move-data /var/lib/dockmaster/dockmaster";
    assert_eq!(told, format!("⚠️ What I keep does not last\n{lies}"));
    let config = world.ask("/config").await.text;
    for part in [
        "In a container: Docker, with 512 MB of memory, 0.75 processors, 300 processes at most\n",
        "Changes are noticed by looking: in a container (Docker)",
        "/etc/dockmaster (read-only)",
        &format!("⚠️ {lies}"),
    ] {
        assert!(config.contains(part), "{part:?} is not told: {config}");
    }
    let inside = |typed: &[&str]| boxed.compose(&[&["exec", "-T", "dockmaster", "dockmaster"], typed].concat());
    let seen: serde_json::Value = serde_json::from_str(&inside(&["config", "status", "--json"])).unwrap();
    let seen = &seen["environment"];
    assert_eq!((&seen["runtime"], &seen["data"]["on"]), (&json!("docker"), &json!("layer")));
    assert_eq!(seen["limits"], json!({ "memory": 536_870_912, "millicpus": 750, "pids": 300 }));
    let production = world.fixtures[0].production.to_str().unwrap();
    let mount = seen["mounts"].as_array().unwrap().iter().find(|m| m["point"] == production).unwrap();
    assert_eq!((&mount["kind"], &mount["directory"], &mount["writable"]), (&json!("bind"), &json!(true), &json!(true)));

    // Started again as it is, it does not say so again.
    boxed.compose(&["restart"]);
    deployed(&world, 1).await;
    world.fixtures[0].write("page", "page three\n");
    deployed(&world, 2).await;
    let refused = boxed.composing(&["exec", "-T", "dockmaster", "dockmaster", "move-data", "/var/own/elsewhere"]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains("lies in the container's own layer, and would not last there either"), "{why}");
    let new = "/var/lib/dockmaster/dockmaster";
    let said = inside(&["move-data", new]);
    assert!(
        said.contains(&format!("The dockmaster that runs goes on there. From now on start dockmaster with DOCKMASTER_DATA={new}")),
        "{said}"
    );
    assert!(said.contains(&format!("and DOCKER_CONFIG={new}/docker.")), "{said}");
    assert!(world.ask("/docker_history").await.text.contains("deploy shop · #2"));
    is_well(&boxed, 0).await;
    // A helper would look where it was told to, which is gone then.
    let refused = world.ask("/docker_restart edge").await.text;
    assert!(refused.contains("would end dockmaster itself") && refused.contains("/var/own/data is not mounted into it"), "{refused}");
    // Made anew, with the new place named.
    boxed.also(&with(new));
    boxed.up();
    world.ask("/docker_rollback").await;
    let back = world.confirm().await.text;
    assert!(back.contains("shop runs release 1"), "{back}");
    assert_eq!(world.fixtures[0].production_file("page").as_deref(), Some("page two\n"));
    assert!(!world.ask("/config").await.text.contains("⚠️"));
    drop(boxed);
    world.finish().await;
}

/// A project that is probed where the host publishes it, on the loopback address.
fn published() -> Fixture {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let web = web(&format!(", ports: [\"127.0.0.1:{port}:8080\"]"));
    let probe = format!("http://127.0.0.1:{port}/page");
    let deploy = json!({ "stability": "1s", "health_timeout": "20s", "probe": probe });
    let fixture = shop_of(&[("web", web), ("postgres", healthy_service(""))], json!({ "deploy": deploy }));
    fixture.write("Dockerfile", &dockerfile(&format!("httpd -p 8080 -h /; {SERVES}")));
    fixture
}

fn health(boxed: &Boxed) -> String {
    boxed.inspect()["State"]["Health"]["Status"].as_str().unwrap_or_default().to_owned()
}

/// Waits until its health check is content, after so many restarts.
async fn is_well(boxed: &Boxed, restarts: u64) {
    eventually("it is well", async || boxed.inspect()["RestartCount"] == json!(restarts) && health(boxed) == "healthy").await;
}

/// The number of its first process; never one that another machine's engine means.
fn first_process(boxed: &Boxed) -> String {
    let seen = boxed.inspect();
    let number = seen["State"]["Pid"].to_string();
    let mounts = std::fs::read_to_string(format!("/proc/{number}/mountinfo")).unwrap();
    assert!(mounts.contains(seen["Id"].as_str().unwrap()), "process {number} is none of the container's");
    number
}

/// Killed or frozen, that is seen.
async fn is_watched(boxed: &Boxed) {
    // Killed, it is started again by the engine, and is well again.
    sh("kill", &["-9", &first_process(boxed)]);
    is_well(boxed, 1).await;
    // Frozen, it answers nobody.
    let init = first_process(boxed);
    let program = std::fs::read_to_string(format!("/proc/{init}/task/{init}/children")).unwrap();
    sh("kill", &["-STOP", program.trim()]);
    eventually("it is not well", async || health(boxed) == "unhealthy").await;
    sh("kill", &["-CONT", program.trim()]);
    is_well(boxed, 1).await;
}

async fn refused(world: &World, told: &[&str]) {
    let answer = world.ask("/docker_deploy").await;
    for told in told {
        assert!(answer.text.contains(told), "{told}:\n{}", answer.text);
    }
    assert!(answer.buttons.is_empty(), "{}", answer.text);
}

/// The rights that it has, and what it has made with them.
fn is_as_small_as_it_may_be(boxed: &Boxed, data: &Path) {
    let seen = boxed.inspect();
    assert_eq!(seen["Config"]["User"], json!(format!("{0}:{0}", boxed.user)));
    assert_eq!(seen["Config"]["Healthcheck"]["Test"], json!(["CMD", "dockmaster", "health"]));
    let host = &seen["HostConfig"];
    for (what, is) in [
        ("ReadonlyRootfs", json!(true)),
        ("Privileged", json!(false)),
        ("CapDrop", json!(["ALL"])),
        ("NetworkMode", json!("host")),
        ("RestartPolicy", json!({ "Name": "always", "MaximumRetryCount": 0 })),
    ] {
        assert_eq!(host[what], is, "{what}");
    }
    // In the image nobody has put a token, and it runs as nobody in particular where it is not told as whom.
    let image = engine_get(&format!("/images/{}/json", seen["Image"].as_str().unwrap()));
    assert_eq!(image["Config"]["User"], json!("65532:65532"));
    assert!(!image["Config"]["Env"].to_string().contains("TELOXIDE"), "{}", image["Config"]["Env"]);
    for file in ["dockmaster.db", "projects/shop/releases/1/tree/page"] {
        assert_eq!(data.join(file).metadata().unwrap().uid(), boxed.user, "{file}");
    }
}
