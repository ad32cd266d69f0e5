//! Values of variables, environments, arguments and addresses are quoted nowhere.

use std::path::Path;

use dockmaster::operations::random_name;
use serde_json::{Map, Value, json};

use crate::support::fixture::{self, healthy_service};
use crate::support::program::{Launch, Tools, files_with};
use crate::support::registry::Registry;
use crate::support::world::OPERATOR;
use crate::support::{ADMIN, Fixture, World};

/// Malformed lines of a file of variables, with what is told of each.
const MALFORMED: [(&str, &str); 12] = [
    ("FOO=ab${SECRETvalue1", "line 2 has a “${”"),
    ("FOO=${X:?SECRETvalue1 text}", "line 2 needs a variable"),
    ("FOO=${X?SECRETvalue1}", "line 2 needs a variable"),
    ("FOO=\"SECRETvalue1", "line 2 begins a quotation"),
    ("FOO='SECRETvalue1", "line 2 begins a quotation"),
    ("FOO&SECRETvalue1=1", "line 2 has a character"),
    ("FOO BAR=SECRETvalue1", "line 2 has a name with a space"),
    ("SECRETvalue1 AND MORE", "line 2 has a name with a space"),
    ("FOO=SECRETvalue1${}", "line 2 has a “${”"),
    ("FOO=${A:SECRETvalue1}", "line 2 has a “${”"),
    ("{\"a\": \"SECRETvalue1\"}", "line 2 has a character"),
    ("export FOO=${SECRETvalue1-", "line 2 has a “${”"),
];

#[tokio::test]
async fn malformed_variables_are_told_without_values() {
    let more = "env_file: [app.env], environment: { A: \"${A:-}\", B: \"${NEEDED:?say what}\" }";
    let fixture = Fixture::new(&[("web", healthy_service(more))]);
    let (env, app) = (fixture.production.join(".env"), fixture.production.join("app.env"));
    let world = World::start(fixture).await;
    let plan = async |who, command: &str| {
        world.api.say(who, who, command);
        world.next_in(who).await.text
    };
    for (number, (line, told)) in MALFORMED.into_iter().enumerate() {
        let places = if number % 2 == 0 { [&env, &app] } else { [&app, &env] };
        for (broken, (who, command)) in places.into_iter().zip([(ADMIN, "/docker_deploy"), (OPERATOR, "/docker_start")]) {
            std::fs::write(&env, "NEEDED=1\n").unwrap();
            std::fs::write(&app, "OK=1\n").unwrap();
            std::fs::write(broken, format!("NEEDED=1\n{line}\n")).unwrap();
            let text = plan(who, command).await;
            assert!(!text.contains("SECRETvalue"), "{line}: {text}");
            let name = broken.file_name().unwrap().to_str().unwrap();
            assert!(text.contains(told) && text.contains(name), "{line} in {name}: {text}");
        }
    }
    std::fs::write(&app, "OK=1\n").unwrap();
    std::fs::write(&env, "A=SECRETvalue1\n").unwrap();
    let text = plan(ADMIN, "/docker_deploy").await;
    assert!(text.contains("needs NEEDED (say what), which nothing sets") && !text.contains("SECRETvalue"), "{text}");
    world.finish().await;
}

/// Secrets, as many as are asked for, and where each stands.
#[derive(Default)]
struct Planted {
    /// In files of variables, addresses and logins: to be found in nothing that dockmaster keeps.
    nowhere: Vec<String>,
    /// In compose files and projects.json, which releases and versions keep as they are: to be found nowhere else.
    written: Vec<String>,
}

impl Planted {
    fn one(&mut self, written: bool) -> String {
        let secret = format!("S{}", &random_name().unwrap()[..19]);
        if written { &mut self.written } else { &mut self.nowhere }.push(secret.clone());
        secret
    }

    /// `NAME0=secret`, `NAME1=secret` and so on.
    fn variables(&mut self, name: &str, count: usize) -> String {
        (0..count).map(|n| format!("{name}{n}={}\n", self.one(false))).collect()
    }

    fn list(&mut self, count: usize, written: bool) -> Vec<String> {
        (0..count).map(|_| self.one(written)).collect()
    }

    /// The compose file of the shop, whose service runs a program.
    fn compose(&mut self, program: &str, context: &str, variables: &Path) -> String {
        let mut environment: Map<String, Value> = (0..30).map(|n| (format!("PLAIN{n}"), json!(self.one(true)))).collect();
        environment.extend((0..30).map(|n| (format!("PUT{n}"), json!(format!("${{ENV{n}:-}}")))));
        let mut command = vec![json!("sh"), json!("-c"), json!(program), json!("sh")];
        command.extend(self.list(10, true).into_iter().map(|secret| json!(format!("--token={secret}"))));
        command.extend(self.list(10, true).into_iter().map(|secret| json!(format!("-p{secret}"))));
        command.push(json!("${ENV40:-}"));
        let check = format!("test -e /tmp/well # {} ${{ENV41:-}}", self.list(10, true).join(" "));
        let arguments: Map<String, Value> = (0..10).map(|n| (format!("ARG{n}"), json!(self.one(true)))).collect();
        let web = json!({
            "build": { "context": context, "args": arguments }, "init": true, "stop_grace_period": "1s",
            "environment": environment, "env_file": [variables], "command": command,
            "healthcheck": { "test": ["CMD-SHELL", check], "interval": "500ms", "retries": 3 },
        });
        json!({ "services": { "web": web } }).to_string()
    }
}

/// What a service does that is well at once.
const WELL: &str = "touch /tmp/well; while true; do sleep 1; done";

/// Every text that the database keeps, but compose files of releases, and versions of projects.json.
fn kept(world: &World) -> String {
    let database = world.kept();
    let names = |query: &str| -> Vec<String> {
        let mut statement = database.prepare(query).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let mut all = String::new();
    for table in names("SELECT name FROM sqlite_master WHERE type = 'table'") {
        for column in names(&format!("SELECT name FROM pragma_table_info('{table}')")) {
            if !matches!((table.as_str(), column.as_str()), ("releases", "compose") | ("snapshots", "files")) {
                all += &names(&format!("SELECT COALESCE(CAST({column} AS TEXT), '') FROM {table}")).join("\n");
            }
        }
    }
    all
}

/// Saves projects.json a value a line, and reads what comes of it.
async fn save(world: &World) {
    let all: Value = serde_json::from_str(&world.projects_json()).unwrap();
    world.configure(&serde_json::to_string_pretty(&all).unwrap());
    let told = world.next().await.text;
    assert!(told.starts_with("⚙️ Configuration reloaded"), "{told}");
}

/// A listener that answers everything with 200.
async fn answering() -> (String, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = axum::Router::new().fallback(async || "well");
    (address, tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }))
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_secrets_are_quoted_nowhere() {
    let mut planted = Planted::default();
    let (address, serving) = answering().await;
    let query = |planted: &mut Planted| format!("http://{address}/health?token={}", planted.one(true));
    let probe = query(&mut planted);
    let shop =
        Fixture::new(&[("web", String::new())]).with(json!({ "deploy": { "stability": "1s", "health_timeout": "10s", "probe": probe } }));
    let dockerfile = format!("FROM {}\nARG ARG0\nRUN [\"true\"]\n", fixture::image());
    let variables = shop.production.join("app.env");
    let compose = planted.compose(WELL, "./app", &variables);
    shop.write("docker-compose.yml", &compose);
    shop.write_production("docker-compose.yml", &compose);
    shop.write("app/Dockerfile", &dockerfile);
    let env = planted.variables("ENV", 60);
    shop.write_production(".env", &env);
    shop.write_production("app.env", &planted.variables("FILE", 40));
    // Copied where they are in the workspace: they are not.
    let registry = Registry::start(true).await;
    let login = registry.credentials(&shop.production, &planted.one(false));

    let environment: Map<String, Value> = (0..15).map(|n| (format!("MADE{n}"), json!(planted.one(true)))).collect();
    let mut command = vec!["sh".to_owned(), "-c".to_owned(), WELL.to_owned()];
    command.extend(planted.list(10, true));
    let web = json!({
        "image": fixture::image(), "command": command, "environment": environment, "user": "0:0",
        "healthcheck": { "http": query(&mut planted), "interval": "1s", "start_period": "0s" },
    });
    let process: Map<String, Value> = (0..5).map(|n| (format!("RUNS{n}"), json!(planted.one(true)))).collect();
    let worker = json!({ "process": { "command": ["/bin/sleep", "1000"] }, "environment": process });
    let mut edge = Fixture::of_services(json!({ "web": web, "worker": worker }));
    edge.called_so = true;
    let name = edge.name.clone();
    let production = shop.production.clone();

    let mut world = World::prepare(vec![shop, edge], json!({ "registry_credentials": login })).await;
    let tools = Tools::all();
    let program = Launch::run(&world, &tools).set("RUST_LOG", "trace").start();
    let carried = async |world: &World, command: &str| {
        let plan = world.ask(command).await;
        assert!(plan.text.contains("or type yes"), "{command}: {}", plan.text);
        world.confirm().await.text
    };
    world.ask("/docker_status shop").await;
    for _ in 0..2 {
        let done = carried(&world, "/docker_deploy shop").await;
        assert!(done.starts_with('✅'), "{done}");
        world.fixtures[0].write("app/page", "another");
    }
    for command in ["/docker_status shop", "/docker_releases shop", "/docker_history shop", "/docker_volumes shop"] {
        world.ask(command).await;
    }
    assert!(carried(&world, "/docker_restart shop").await.starts_with('✅'));
    let back = carried(&world, "/docker_rollback shop").await;
    assert!(back.starts_with('✅'), "{back}");

    // What fails: a program that is not there, a build, a place to build from, and files of variables.
    let failing = planted.compose("exec /nosuchprogram", "./app", &variables);
    world.fixtures[0].write("docker-compose.yml", &failing);
    let failed = carried(&world, "/docker_deploy shop").await;
    assert!(failed.starts_with('❌'), "{failed}");
    world.fixtures[0].write("app/Dockerfile", &format!("{dockerfile}RUN [\"sh\", \"-c\", \"exit 3\"]\n"));
    let failed = carried(&world, "/docker_deploy shop").await;
    assert!(failed.starts_with('❌') && failed.contains("failed to solve"), "{failed}");
    let address = format!("https://user:{}@nowhere.example/x?{}", planted.one(true), planted.one(true));
    let elsewhere = planted.compose(WELL, &address, &variables);
    world.fixtures[0].write("docker-compose.yml", &elsewhere);
    let refused = world.ask("/docker_deploy shop").await.text;
    assert!(refused.contains("https://nowhere.example/x, outside the workspace"), "{refused}");
    std::fs::write(production.join(".env"), format!("{env}BAD=${{{}\n", planted.one(false))).unwrap();
    let refused = world.ask("/docker_deploy shop").await.text;
    assert!(refused.contains("line 61 has a “${”"), "{refused}");

    // Services that dockmaster makes, and the configuration that names them.
    let done = carried(&world, &format!("/docker_start {name}")).await;
    assert!(done.starts_with('✅'), "{done}");
    let probe = query(&mut planted);
    world.fixtures[1].set("/services/web/environment/MADE0", json!(planted.one(true)));
    world.fixtures[0].set("/deploy/probe", json!(probe));
    save(&world).await;
    world.fixtures[1].set("/services/web/image", json!(registry.image()));
    world.fixtures[1].set("/services/web/environment/MADE0", json!(planted.one(true)));
    save(&world).await;
    let failed = carried(&world, &format!("/docker_start {name}")).await;
    assert!(failed.starts_with('❌') && failed.contains("could not be pulled"), "{failed}");
    let diff = world.ask("/config diff 2").await.text;
    assert!(diff.contains("[hidden") && diff.contains("/config diff 2 show"), "{diff}");
    world.ask("/config rollback 1").await;
    assert!(world.ask("yes").await.text.starts_with("⚙️ Configuration rolled back"));
    assert!(carried(&world, &format!("/docker_stop {name}")).await.starts_with('✅'));

    let chat: String = world.api.messages(ADMIN).into_iter().map(|message| message.text + "\n").collect();
    let log = program.stop().await;
    let (database, count) = (kept(&world), planted.nowhere.len() + planted.written.len());
    assert!(count >= 200 && log.err.len() > 2_000 && database.len() > 10_000, "{count}, {}, {}", log.err.len(), database.len());
    for secret in planted.nowhere.iter().chain(&planted.written) {
        for (place, text) in [("chat", &chat), ("log", &log.err), ("database", &database)] {
            assert!(!text.contains(secret), "in the {place}: {}", text.lines().find(|line| line.contains(secret)).unwrap());
        }
    }
    for secret in &planted.nowhere {
        assert_eq!(files_with(&world.data, secret.as_bytes()), Vec::<std::path::PathBuf>::new());
    }
    let written = files_with(&world.data.join("projects"), planted.written[0].as_bytes());
    assert!(written.iter().all(|path| path.ends_with("tree/docker-compose.yml")), "{written:?}");

    // Asked for, they are shown.
    world.boot();
    let shown = world.ask("/config diff 2 show").await.text;
    assert!(shown.contains("This shows values that may be secret") && planted.written.iter().any(|s| shown.contains(s)), "{shown}");
    serving.abort();
    world.finish().await;
}
