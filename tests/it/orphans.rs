//! What is left over of services that are no longer configured, from the engine to the chat and back; what becomes of services
//! when dockmaster ends; what they print, in its log.

use std::sync::atomic::{AtomicU32, Ordering};

use dockmaster::sandbox::bot_api::Message;
use serde_json::{Value, json};

use crate::support::fixture::{command, engine_get, image};
use crate::support::program::{Launch, Tools};
use crate::support::terminal::Terminal;
use crate::support::{ADMIN, PATIENCE, World, engine, eventually};

const SERVES: &str = "trap 'exit 0' TERM; while true; do sleep 0.1; done";

/// A project of services of its own on the engine, taken away when the test ends.
struct Made {
    name: String,
}

impl Made {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Self { name: format!("dmo-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)) }
    }

    /// Asks the engine for what was made for the project, of some kind.
    fn listed(&self, what: &str) -> Vec<Value> {
        let filters = json!({ "label": [format!("dockmaster.project={}", self.name)] }).to_string();
        let escaped: String = filters.bytes().map(|b| format!("%{b:02x}")).collect();
        engine_get(&format!("/{what}filters={escaped}")).as_array().unwrap().clone()
    }

    /// The containers that are there, without what all of their names begin with: `name state`, sorted.
    fn containers(&self) -> Vec<String> {
        let all = self.listed("containers/json?all=true&");
        let prefix = format!("/dockmaster-{}-", self.name);
        let line = |c: &Value| format!("{} {}", c["Names"][0].as_str().unwrap().trim_start_matches(&prefix), c["State"].as_str().unwrap());
        let mut lines: Vec<String> = all.iter().map(line).collect();
        lines.sort();
        lines
    }

    fn id(&self, service: &str) -> String {
        engine_get(&format!("/containers/dockmaster-{}-{service}/json", self.name))["Id"].as_str().unwrap().to_owned()
    }

    fn networks(&self) -> usize {
        self.listed("networks?").len()
    }

    /// The project's entry, with these services.
    fn entry(&self, services: Value, more: Value) -> Value {
        let mut entry = json!({ "services": services, "deploy": { "stability": "1s" }, "restart": { "stop_timeout": "2s" } });
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        entry
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("left: {:?}", self.containers());
        }
        for container in self.listed("containers/json?all=true&") {
            engine("DELETE", &format!("/containers/{}?force=true&v=true", container["Id"].as_str().unwrap_or_default()));
        }
        for network in self.listed("networks?") {
            engine("DELETE", &format!("/networks/{}", network["Id"].as_str().unwrap_or_default()));
        }
    }
}

/// Has the engine do something, with curl; what it answers.
fn engine(method: &str, path: &str) -> String {
    let host = engine::host().unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
    let socket = host.strip_prefix("unix://").unwrap_or_default().to_owned();
    let output = command("curl").args(["-sS", "-X", method, "--unix-socket", &socket, &format!("http://engine{path}")]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn service(script: &str) -> Value {
    json!({ "image": image(), "command": ["sh", "-c", script] })
}

fn with(mut service: Value, more: Value) -> Value {
    service.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    service
}

/// Beside it there is a project of which nothing was made, so that the other one can go.
fn settings(projects: &[(&Made, Value)]) -> Value {
    let mut all = json!({ "other": { "services": { "idle": service(SERVES) } } });
    for (made, entry) in projects {
        all[made.name.as_str()] = entry.clone();
    }
    json!({ "projects": all, "reload": { "debounce": "20ms" } })
}

/// Brings a project up.
async fn start(world: &World, made: &Made) {
    let plan = world.ask(&format!("/docker_start {}", made.name)).await;
    assert!(plan.text.contains("or type yes"), "{}", plan.text);
    good(&world.confirm().await);
}

fn good(outcome: &Message) {
    assert!(outcome.text.starts_with('✅'), "{}", outcome.text);
}

/// Saves the configuration with other projects, and waits until that is told. What else is told, so many messages, comes
/// before or after that.
async fn configure<const N: usize>(world: &mut World, settings: Value) -> [Message; N] {
    world.settings = settings;
    world.configure(&world.projects_json());
    let mut told = Vec::new();
    while told.len() <= N {
        told.push(world.next().await);
    }
    let reloaded = told.iter().position(|m| m.text.starts_with("⚙️ Configuration reloaded"));
    told.remove(reloaded.unwrap_or_else(|| panic!("{told:?}")));
    told.try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_over_is_told_once_and_removed_when_somebody_says_so() {
    let made = Made::new();
    let volume = format!("{}-data", made.name);
    let mail = with(service(SERVES), json!({ "volumes": { (volume.clone()): "/data" } }));
    let web = with(service(SERVES), json!({ "instances": 2 }));
    let all = made.entry(json!({ "web": web, "mail": mail }), json!({}));
    let mut world = World::prepare(vec![], settings(&[(&made, all)])).await;
    world.boot();
    start(&world, &made).await;
    assert_eq!(made.containers(), ["mail running", "web-1 running", "web-2 running"]);

    let [told] = configure(&mut world, settings(&[(&made, made.entry(json!({ "web": service(SERVES) }), json!({})))])).await;
    let expected = format!(
        "🧹 Left over from {0}\ndockmaster-{0}-mail: mail is no longer configured\ndockmaster-{0}-web-2: web has 1 instance now\n\
         They stay as they are until you remove them (/docker_tidy {0}); their volumes stay in any case.",
        made.name
    );
    assert_eq!(told.text, expected);
    assert_eq!(made.containers(), ["mail running", "web-1 running", "web-2 running"], "nothing is removed unasked");

    // Another start looks and says nothing.
    world.idle().await;
    world.stop().await.unwrap();
    world.boot();
    world.ask("/whoami").await;
    world.idle().await;

    world.api.press(ADMIN, ADMIN, told.id, "Remove them").unwrap();
    let plan = world.next().await;
    for part in [
        &format!("Tidy up {}\n\nStopped and removed:\n", made.name),
        "-mail: mail is no longer configured (running for ",
        "-web-2: web has 1 instance now (running for ",
        "Volumes stay, with all that is in them.\n\nTidy up? Press the button, or type yes",
    ] {
        assert!(plan.text.contains(part), "{part}: {}", plan.text);
    }
    assert!(!plan.text.contains("network"), "{}", plan.text);
    let web = made.id("web-1");
    let outcome = world.confirm().await;
    good(&outcome);
    assert!(outcome.text.contains("2 containers removed.\n\n🟢 dockmaster-"), "{}", outcome.text);
    assert_eq!((made.containers(), made.id("web-1")), (vec!["web-1 running".to_owned()], web));
    assert_eq!(engine_get(&format!("/volumes/{volume}"))["Name"], json!(volume), "volumes stay");
    engine("DELETE", &format!("/volumes/{volume}"));
    let nothing = world.ask(&format!("/docker_tidy {}", made.name)).await.text;
    assert_eq!(nothing, format!("Nothing to tidy up: nothing is left over from {}.", made.name));
    // That it was looked again, after the other looks, is seen in what is kept.
    let count = |of: &str| -> i64 { world.kept().query_row(&format!("SELECT COUNT(*) FROM {of}"), [], |row| row.get(0)).unwrap() };
    eventually("it is known that nothing is left over", async || count("left_over") == 0).await;
    assert_eq!(count("notices WHERE notice LIKE '%left_over%'"), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_is_gone_is_tidied_up_with_its_network_and_one_that_is_disabled_is_left_alone() {
    let made = Made::new();
    let entry = |more: Value| made.entry(json!({ "web": service(SERVES) }), more);
    let mut world = World::prepare(vec![], settings(&[(&made, entry(json!({ "orphans": "remove" })))])).await;
    world.boot();
    start(&world, &made).await;
    assert_eq!((made.containers(), made.networks()), (vec!["web running".to_owned()], 1));
    configure(&mut world, settings(&[(&made, entry(json!({ "enabled": false })))])).await as [_; 0];
    let disabled = world.ask(&format!("/docker_tidy {}", made.name)).await.text;
    assert!(disabled.contains("or is disabled there"), "{disabled}");

    // A project that is gone says nothing of its orphans any more: somebody is asked.
    // That it went from a file where it was disabled is not worth a message of its own.
    world.settings = settings(&[]);
    world.configure(&world.projects_json());
    let told = world.next().await.text;
    assert!(told.contains(&format!("-web: {} is no longer configured", made.name)), "{told}");
    let plan = world.ask(&format!("/docker_tidy {}", made.name)).await.text;
    assert!(plan.contains(", the project's own network, which no service is in any more, is removed"), "{plan}");
    good(&world.confirm().await);
    assert_eq!((made.containers(), made.networks()), (Vec::<String>::new(), 0));
    let nobody = world.ask(&format!("/docker_tidy {}", made.name)).await.text;
    assert!(nobody.contains("is no longer in projects.json"), "{nobody}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_remove_they_go_by_themselves_and_the_admins_are_told() {
    let made = Made::new();
    let entry = |services: Value| made.entry(services, json!({ "orphans": "remove" }));
    let both = json!({ "web": service(SERVES), "mail": service(SERVES) });
    let mut world = World::prepare(vec![], settings(&[(&made, entry(both))])).await;
    world.boot();
    start(&world, &made).await;
    let [outcome] = configure(&mut world, settings(&[(&made, entry(json!({ "web": service(SERVES) })))])).await;
    good(&outcome);
    assert!(outcome.text.starts_with(&format!("✅ Tidy up of {} done", made.name)), "{}", outcome.text);
    assert!(outcome.text.contains("1 container removed.") && outcome.text.contains("Asked by dockmaster"), "{}", outcome.text);
    assert_eq!(made.containers(), ["web running"]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_tidies_up_and_what_was_confirmed_is_what_goes() {
    let made = Made::new();
    let entry = made.entry(json!({ "web": service(SERVES), "mail": service(SERVES) }), json!({}));
    let mut terminal = Terminal::of(vec![], settings(&[(&made, entry)])).await;
    terminal.run(&format!("start {} --yes", made.name)).await;
    assert_eq!(made.containers(), ["mail running", "web running"]);
    terminal.world.settings = settings(&[]);
    std::fs::write(terminal.config(), terminal.world.projects_json()).unwrap();

    let planned = terminal.run(&format!("tidy {} --dry-run", made.name)).await;
    assert!(planned.code == Some(0) && planned.out.contains("-mail: ") && planned.out.contains("-web: "), "{planned:?}");
    assert_eq!(made.containers().len(), 2);
    let done = terminal.run(&format!("tidy {} --yes", made.name)).await;
    assert!(done.code == Some(0) && done.out.contains("2 containers removed."), "{done:?}");
    assert_eq!((made.containers(), made.networks()), (Vec::<String>::new(), 0));
    let unknown = terminal.run("tidy nobody-knows --yes").await;
    assert!(unknown.code == Some(1) && unknown.err.contains("no longer in projects.json"), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_aside_by_an_operation_that_ended_well_is_removed_at_the_next_start() {
    let made = Made::new();
    let mut world = World::prepare(vec![], settings(&[(&made, made.entry(json!({ "web": service(SERVES) }), json!({})))])).await;
    world.boot();
    start(&world, &made).await;
    world.idle().await;
    world.stop().await.unwrap();
    // As if dockmaster had been killed right after it had kept the outcome; and one of an operation that nobody knows.
    let (id, name) = (made.id("web"), format!("dockmaster-{}-web", made.name));
    engine("POST", &format!("/containers/{id}/rename?name={name}.before-1"));
    let copy: Value = engine_get(&format!("/containers/{id}/json"));
    let body = json!({ "Image": copy["Config"]["Image"], "Labels": copy["Config"]["Labels"], "Cmd": ["true"] }).to_string();
    let args = ["-sS", "-X", "POST", "-H", "Content-Type: application/json", "-d", &body, "--unix-socket"];
    let socket = engine::host().unwrap().trim_start_matches("unix://").to_owned();
    let made_too =
        command("curl").args(args).args([&socket, &format!("http://engine/containers/create?name={name}.before-99")]).output().unwrap();
    assert!(String::from_utf8_lossy(&made_too.stdout).contains("Id"), "{made_too:?}");
    assert_eq!(made.containers(), ["web.before-1 running", "web.before-99 created"]);
    world.boot();
    eventually("the first is removed", async || made.containers() == ["web.before-99 created"]).await;
    world.idle().await;
    world.finish().await;
}

/// Two services, one of which needs the other; both say when they are asked to end.
fn pair(made: &Made, how: &str) -> Value {
    let api = with(service(SERVES), json!({ "depends_on": ["store"] }));
    made.entry(json!({ "store": service(SERVES), "api": api }), json!({ "on_shutdown": how }))
}

#[tokio::test(flavor = "multi_thread")]
async fn services_end_with_dockmaster_as_each_project_says() {
    let projects: Vec<Made> = (0..3).map(|_| Made::new()).collect();
    let [keep, stop, remove] = &projects[..] else { panic!() };
    let entries = [(keep, pair(keep, "keep")), (stop, pair(stop, "stop")), (remove, pair(remove, "remove"))];
    let mut world = World::prepare(vec![], settings(&entries)).await;
    world.boot();
    for project in &projects {
        start(&world, project).await;
    }
    world.idle().await;
    world.stop().await.unwrap();
    assert_eq!(keep.containers(), ["api running", "store running"]);
    assert_eq!(stop.containers(), ["api exited", "store exited"]);
    assert_eq!(remove.containers(), Vec::<String>::new());
    let ended = |service: &str| -> jiff::Timestamp {
        engine_get(&format!("/containers/{}/json", stop.id(service)))["State"]["FinishedAt"].as_str().unwrap().parse().unwrap()
    };
    assert!(ended("api") < ended("store"), "what depends on others ends first");
    world.boot();
    world.ask("/whoami").await;
    assert_eq!(stop.containers(), ["api exited", "store exited"], "nothing starts by itself");
    world.finish().await;
}

/// The lines of services in a log of JSON.
fn logged(text: &str) -> Vec<Value> {
    let all = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    all.filter(|line| line["target"] == json!("dockmaster::service")).collect()
}

fn messages(text: &str) -> Vec<String> {
    logged(text).iter().map(|line| line["fields"]["message"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_services_print_joins_the_log_without_losing_or_doubling_a_line() {
    let made = Made::new();
    // Counts on where it is started again; it ends between two lines only, so that it loses none itself.
    let counts = "n=$(cat /tmp/n 2>/dev/null || echo 0); trap 'over=1' TERM; while [ -z \"$over\" ]; do n=$((n+1)); echo $n >/tmp/n; echo line $n; sleep 0.05; done";
    let entry = |log: bool| {
        let talks = with(service(counts), json!({ "log": log }));
        made.entry(json!({ "talks": talks, "silent": service("echo unheard; while true; do sleep 1; done") }), json!({}))
    };
    let mut world = World::prepare(vec![], settings(&[(&made, entry(true))])).await;
    let tools = Tools::all();
    let mut program = Launch::run(&world, &tools).set("DOCKMASTER_LOG", "json").start();
    start(&world, &made).await;
    program.says("line 20\"").await;
    for _ in 0..3 {
        let before = messages(&program.err()).len();
        engine("POST", &format!("/containers/{}/restart?t=1", made.id("talks")));
        eventually("it goes on", async || messages(&program.err()).len() > before + 30).await;
    }
    let lines = messages(&program.err());
    let expected: Vec<String> = (1..=lines.len()).map(|n| format!("line {n}")).collect();
    assert_eq!(lines, expected);
    let first = &logged(&program.err())[0]["fields"];
    assert_eq!((&first["project"], &first["service"]), (&json!(made.name), &json!("talks")));
    assert_eq!(first["container"], json!(format!("dockmaster-{}-talks", made.name)));

    // Another dockmaster begins with what is printed from then on, and a reload applies at once.
    program.stop().await;
    let until: usize = lines.len();
    let program = Launch::run(&world, &tools).set("DOCKMASTER_LOG", "json").start();
    eventually("it is logged again", async || !messages(&program.err()).is_empty()).await;
    let number = |line: &str| line.trim_start_matches("line ").parse::<usize>().unwrap();
    assert!(number(&messages(&program.err())[0]) > until);
    configure(&mut world, settings(&[(&made, entry(false))])).await as [_; 0];
    world.ask("/whoami").await;
    let count = messages(&program.err()).len();
    let printed = async || {
        let tail = engine("GET", &format!("/containers/{}/logs?stdout=true&tail=1", made.id("talks")));
        tail.trim().rsplit(' ').next().and_then(|n| n.parse::<usize>().ok()).unwrap_or_default()
    };
    let seen = printed().await;
    eventually("more is printed", async || printed().await > seen + 20).await;
    assert!(messages(&program.err()).len() <= count + 2, "it is logged no more");
    configure(&mut world, settings(&[(&made, entry(true))])).await as [_; 0];
    eventually("it is logged once more", async || messages(&program.err()).len() > count + 5).await;
    assert!(number(messages(&program.err()).last().unwrap()) > seen);
    program.stop().await;
    world.api.wait_acknowledged(PATIENCE).await.unwrap();
}
