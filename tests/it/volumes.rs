//! Where data is, from the engine and the disk to the chat; and that there is little room for it.

use dockmaster::console::Client;
use serde_json::{Value, json};

use crate::support::disk::SmallDisk;
use crate::support::fixture::{compose_file, engine_get, plain_service};
use crate::support::program::{Launch, Tools};
use crate::support::terminal::Terminal;
use crate::support::world::VIEWER;
use crate::support::{ADMIN, Fixture, World, eventually};

const MB: u64 = 1 << 20;
const LOW: &str = "⚠️ Little room is left";

/// Writes so many MB to each of some files, and goes on.
fn writes(files: &[(&str, u32)]) -> String {
    let each: String = files.iter().map(|(file, mb)| format!("dd if=/dev/zero of={file} bs=1M count={mb}; ")).collect();
    format!("{each}touch /written; while true; do sleep 1; done")
}

/// A project with every kind of place for data.
fn shop() -> Fixture {
    let keeps = "volumes: [\"data:/data\", \"/cache\", \"./settings:/settings:ro\"], tmpfs: [\"/run:size=4m\"]";
    let check = "healthcheck: { test: [\"CMD\", \"test\", \"-e\", \"/written\"], interval: 300ms, retries: 100 }";
    let store = plain_service(&writes(&[("/data/file", 3), ("/cache/file", 2), ("/own", 5)]), &format!("{keeps}, {check}"));
    let backup = plain_service(&writes(&[]), "volumes: [\"data:/backup:ro\", \"./uploads:/uploads\"]");
    let old = plain_service(&writes(&[]), "volumes: [\"spare:/spare\"]");
    let services = [("store", store), ("backup", backup), ("old", old)];
    let fixture = Fixture::new(&services);
    let text = format!("{}volumes: {{ data: {{}}, spare: {{}} }}\n", compose_file(&services));
    fixture.write("docker-compose.yml", &text);
    fixture.write_production("docker-compose.yml", &text);
    fixture.write_production("settings", "colour=red\n");
    fixture.write_production("uploads/picture", &"p".repeat(200_000));
    fixture.compose(&["up", "-d", "--wait"]);
    // Its volume is left over.
    fixture.compose(&["rm", "-sf", "old"]);
    fixture
}

/// The store of a kind, the only one; of several, the one with that name.
fn store<'a>(volumes: &'a Value, kind: &str, named: &str) -> &'a Value {
    let holds = |store: &&Value| store["kind"] == kind && (store["name"] == named || store["path"] == named || named.is_empty());
    let found: Vec<&Value> = volumes["stores"].as_array().unwrap().iter().filter(holds).collect();
    let [one] = found[..] else { panic!("{kind} {named}: {volumes:#}") };
    one
}

fn bytes(store: &Value) -> u64 {
    store.pointer("/size/known/bytes").and_then(Value::as_u64).unwrap_or_else(|| panic!("no size: {store:#}"))
}

fn users(store: &Value) -> Vec<String> {
    let users = store["users"].as_array().unwrap().iter();
    users.map(|u| format!("{} {} {}", u["service"].as_str().unwrap(), u["at"].as_str().unwrap(), u["writable"])).collect()
}

/// The name of the volume that a service has at a place.
fn volume_at(fixture: &Fixture, service: &str, at: &str) -> String {
    let seen = engine_get(&format!("/containers/{}/json", fixture.container(service).0));
    let mount = seen["Mounts"].as_array().unwrap().iter().find(|m| m["Destination"] == at).unwrap();
    mount["Name"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_place_for_data_is_told_with_its_users_its_size_and_what_becomes_of_it() {
    let terminal = Terminal::of(vec![shop()], json!({ "default_project": "shop" })).await;
    let shop = &terminal.world.fixtures[0];
    let volumes = terminal.json("volumes").await;
    assert_eq!(volumes["unknown"], json!([]), "{volumes:#}");

    let data = store(&volumes, "volume", &format!("{}_data", shop.name));
    assert_eq!(users(data), ["backup /backup false", "store /data true"]);
    assert!((3 * MB..4 * MB).contains(&bytes(data)) && data["lasts"] == "longer", "{data:#}");
    assert!(data.pointer("/space/free").and_then(Value::as_u64).is_some_and(|free| free > 0), "{data:#}");

    let spare = store(&volumes, "volume", &format!("{}_spare", shop.name));
    assert!(users(spare).is_empty() && bytes(spare) == 0, "{spare:#}");

    let cache = store(&volumes, "anonymous", "");
    assert_eq!((users(cache), &cache["lasts"]), (vec!["store /cache true".to_owned()], &json!("handed_on")));
    assert!((2 * MB..3 * MB).contains(&bytes(cache)), "{cache:#}");

    let settings = store(&volumes, "bind", shop.production.join("settings").to_str().unwrap());
    assert_eq!((users(settings), &settings["lasts"]), (vec!["store /settings false".to_owned()], &json!("longer")));
    let uploads = store(&volumes, "bind", shop.production.join("uploads").to_str().unwrap());
    assert!((200_000..400_000).contains(&bytes(uploads)), "{uploads:#}");

    let memory = store(&volumes, "memory", "");
    assert_eq!(
        (users(memory), &memory["limit"], &memory["lasts"]),
        (vec!["store /run true".to_owned()], &json!(4 * MB), &json!("until_stopped"))
    );
    let layer = store(&volumes, "layer", "");
    assert!((5 * MB..6 * MB).contains(&bytes(layer)) && layer["lasts"] == "until_remade", "{layer:#}");
    assert_eq!(layer["name"], format!("{}-store-1", shop.name));

    // What is said of them is true of this engine and this Compose.
    let (named, unnamed) = (volume_at(shop, "store", "/data"), volume_at(shop, "store", "/cache"));
    shop.compose(&["up", "-d", "--wait", "--force-recreate", "store"]);
    assert_eq!((volume_at(shop, "store", "/data"), volume_at(shop, "store", "/cache")), (named, unnamed.clone()));
    shop.compose(&["down"]);
    let left = terminal.json("volumes").await;
    assert_eq!(left["stores"].as_array().map(Vec::len), Some(2), "the volumes with a name are left over: {left:#}");
    shop.compose(&["up", "-d", "--wait", "store", "backup"]);
    assert_ne!(volume_at(shop, "store", "/cache"), unnamed);

    // The same in the chat, to whoever may look, and over HTTP.
    let program = terminal.start();
    terminal.world.api.say(VIEWER, VIEWER, "/docker_volumes");
    let told = terminal.world.next_in(VIEWER).await.text;
    for line in [
        "· volume\n3 MB; outlives its containers\nbackup: /backup (read only)\nstore: /data\n",
        "used by no container",
        "· tmpfs\nat most 4 MB",
    ] {
        assert!(told.contains(line), "{line:?} is not told: {told}");
    }
    assert_eq!(terminal.print("volumes shop").await.trim_end(), told);
    let all: Value = Client::of(&terminal.world.data).unwrap().get("/config/docker/volumes").await.unwrap();
    assert_eq!((all.pointer("/projects/0/project"), &all["unknown"]), (Some(&json!("shop")), &json!([])), "{all:#}");
    program.stop().await;
    shop.compose(&["down", "-v"]);
    engine_delete(&format!("/volumes/{unnamed}"));
    terminal.world.finish().await;
}

fn engine_delete(path: &str) {
    let host = crate::support::engine::host().unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
    crate::support::fixture::sh(
        "curl",
        &["-sS", "-X", "DELETE", "--unix-socket", host.trim_start_matches("unix://"), &format!("http://engine{path}")],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_gone_and_a_volume_that_is_memory_are_told() {
    let service = plain_service(&writes(&[]), "volumes: [\"./gone:/gone\", \"quick:/quick\"]");
    let fixture = Fixture::new(&[("web", service.clone())]);
    let memory = "volumes: { quick: { driver_opts: { type: tmpfs, device: tmpfs, o: size=1m } } }\n";
    fixture.write_production("docker-compose.yml", &format!("{}{memory}", compose_file(&[("web", service)])));
    fixture.write_production("gone/file", "x");
    fixture.compose(&["up", "-d"]);
    std::fs::remove_dir_all(fixture.production.join("gone")).unwrap();
    let terminal = Terminal::of(vec![fixture], json!({ "default_project": "shop" })).await;
    let told = terminal.print("volumes").await;
    let gone = terminal.world.fixtures[0].production.join("gone");
    let paragraph = told.split("\n\n").find(|p| p.contains(gone.to_str().unwrap())).unwrap();
    assert!(paragraph.starts_with('🔴') && paragraph.contains("Nothing is there any more"), "{told}");
    let quick = terminal.json("volumes").await;
    let quick = store(&quick, "volume", &format!("{}_quick", terminal.world.fixtures[0].name));
    assert_eq!(quick["lasts"], "until_stopped", "{quick:#}");
    terminal.world.fixtures[0].compose(&["down", "-v"]);
    terminal.world.finish().await;
}

/// Reads up to the notice of little room.
async fn low(world: &World) -> String {
    loop {
        let next = world.next().await.text;
        if next.starts_with(LOW) {
            return next;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_only_a_container_writes_to_is_watched_too() {
    let fixture = Fixture::new(&[("web", plain_service(&writes(&[]), "volumes: [\"./uploads:/uploads\"]"))]);
    let uploads = fixture.production.join("uploads");
    let disk = SmallDisk::mount(&uploads, "30m");
    disk.fill(2 * MB);
    fixture.compose(&["up", "-d"]);
    let world = World::prepare(vec![fixture], json!({ "default_project": "shop", "volumes": { "warn_below": "5MB" } })).await;
    let tools = Tools::all();
    let program = Launch::run(&world, &tools).start();
    let told = low(&world).await;
    assert!(told.contains(uploads.to_str().unwrap()), "nobody has asked for it: {told}");
    program.stop().await;
    world.fixtures[0].compose(&["down"]);
    drop(disk);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn little_room_is_told_once_until_there_was_room_again() {
    let below = |limit: &str| json!({ "default_project": "shop", "volumes": { "warn_below": limit } });
    let mut world = World::prepare(vec![Fixture::new(&[("web", plain_service(&writes(&[]), ""))])], below("5MB")).await;
    let disk = SmallDisk::mount(&world.data, "30m");
    disk.fill(4 * MB);
    let tools = Tools::all();
    let program = Launch::run(&world, &tools).start();
    let told = low(&world).await;
    assert!(
        told.contains(world.data.to_str().unwrap()) && told.contains("(what I keep)") && told.contains("I say so below 5 MB"),
        "{told}"
    );
    assert!(!told.contains("production"), "that is on another file system: {told}");
    program.stop().await;

    // Nor by the next one, nor because the limit is another one that is not kept either.
    let noted = |world: &World| world.kept().query_row("SELECT COUNT(*) FROM low_space", [], |row| row.get::<_, i64>(0)).unwrap();
    let mut program = Launch::run(&world, &tools).start();
    assert!(world.ask("/whoami").await.text.contains("111"));
    world.settings = below("6MB");
    world.configure(&world.projects_json());
    assert!(world.next().await.text.contains("volumes.warn_below"));
    world.ask("/whoami").await;
    assert_eq!(noted(&world), 1);

    // There is room by a smaller limit, and then none by a greater one. As if it were freed and filled.
    world.settings = below("1MB");
    world.configure(&world.projects_json());
    eventually("there is room", async || noted(&world) == 0).await;
    program.says("there is room again").await;
    world.settings = below("90%");
    world.configure(&world.projects_json());
    // The disk that the project is on may have less than that, too, and be told before.
    let data = world.data.to_str().unwrap();
    while !low(&world).await.contains("I say so below 27 MB") {}
    let told = world.texts(ADMIN).iter().filter(|text| text.starts_with(LOW) && text.contains(data)).count();
    assert_eq!(told, 2, "{:#?}", world.texts(ADMIN));

    world.settings = below("off");
    world.configure(&world.projects_json());
    eventually("nothing is watched", async || noted(&world) == 0).await;
    while !world.next().await.text.contains("→ off") {}
    world.api.wait_acknowledged(crate::support::PATIENCE).await.unwrap();
    program.stop().await;
    drop(disk);
    world.finish().await;
}
