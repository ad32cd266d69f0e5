//! Which files of a workspace come into production where services may write: configuration arrives, data stays.

use serde_json::{Value, json};

use crate::lifecycle::{carry_out, good, told};
use crate::support::fixture::{compose_file, engine_get, image, plain_service, sh, tree};
use crate::support::program::{Launch, Tools};
use crate::support::{ADMIN, Fixture, PATIENCE, World, eventually};

const SERVES: &str = "trap 'exit 0' TERM; while true; do sleep 0.1; done";

/// A project whose production is empty, and whose workspace has these services and files.
fn fresh(services: &[(&str, String)], files: &[(&str, &str)], entry: Value) -> Fixture {
    let fixture = Fixture::new(services).with(entry);
    std::fs::remove_file(fixture.production.join("docker-compose.yml")).unwrap();
    files.iter().for_each(|(path, text)| fixture.write(path, text));
    fixture
}

fn git(fixture: &Fixture, args: &[&str]) {
    let place = fixture.workspace.to_str().unwrap();
    sh("git", &[&["-C", place, "-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"], args].concat());
}

/// Puts the workspace under git, with what it holds by now.
fn tracked(fixture: &Fixture) {
    git(fixture, &["init", "-q"]);
    git(fixture, &["add", "-A"]);
    git(fixture, &["commit", "-qm", "all"]);
}

/// What the web service has printed.
fn printed(fixture: &Fixture) -> String {
    // Compose clears the line first.
    fixture.compose(&["logs", "--no-log-prefix", "web"]).replace("\u{1b}[2K", "")
}

#[tokio::test(flavor = "multi_thread")]
async fn writable_mounts_get_what_git_tracks_and_keep_the_rest() {
    let mounts = "volumes: [\"./app.conf:/etc/app.conf\", \"./conf.d:/etc/conf.d\", \"./empty:/empty\"]";
    let services = [
        ("web", plain_service(&format!("cat /etc/app.conf /etc/conf.d/a.conf; {SERVES}"), mounts)),
        ("db", plain_service(SERVES, "volumes: [\"./data:/data\", \"./db.conf:/etc/db.conf\"]")),
    ];
    let files = [("app.conf", "x=1\n"), ("conf.d/a.conf", "a\n"), ("conf.d/b.conf", "b\n"), ("db.conf", "d=1\n")];
    let fixture = fresh(&services, &files, json!({ "stateful": ["db"] }));
    fixture.write("data/.gitkeep", "");
    fixture.write("empty/.gitignore", "*\n");
    tracked(&fixture);
    fixture.write("conf.d/local.conf", "not tracked\n");
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["app.conf, conf.d/a.conf, conf.d/b.conf, db.conf", "Not copied: conf.d (web writes there, and git does not track"]);
    assert_eq!(printed(shop), "x=1\na\n", "both arrived before it started");
    let there = |path: &str| shop.production_file(path);
    assert_eq!((there("db.conf").as_deref(), there("conf.d/local.conf"), there("data/.gitkeep")), (Some("d=1\n"), None, None));
    let again = world.ask("/docker_deploy").await;
    told(&again.text, &["Nothing to deploy"]);

    // A service or a person changes one, deletes one, and adds one of their own; the workspace changes all of them.
    shop.write_production("app.conf", "x=9\n");
    shop.write_production("conf.d/own.conf", "of production\n");
    std::fs::remove_file(shop.production.join("conf.d/b.conf")).unwrap();
    [("app.conf", "x=2\n"), ("conf.d/a.conf", "a2\n"), ("conf.d/b.conf", "b2\n"), ("conf.d/own.conf", "of git\n")]
        .iter()
        .for_each(|(path, text)| shop.write(path, text));
    git(shop, &["add", "conf.d/own.conf"]);
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(
        &plan.text,
        &[
            "Changed, 1 file: conf.d/a.conf",
            "app.conf (changed since release 1), conf.d/b.conf (deleted since release 1), conf.d/own.conf (no release brought it)",
            "web: restart (mounted files changed: conf.d/a.conf)",
        ],
    );
    assert!(!plan.text.contains("Edited by hand"), "{}", plan.text);
    let kept = || (there("app.conf"), there("conf.d/a.conf"), there("conf.d/b.conf"), there("conf.d/own.conf"));
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(kept(), (text("x=9\n"), text("a2\n"), None, text("of production\n")));
    let again = world.ask("/docker_deploy").await;
    told(&again.text, &["Nothing to deploy", "app.conf (changed since release", "conf.d/b.conf (deleted since release"]);

    let refused = world.ask("/docker_deploy overwrite=app.cnf").await;
    told(&refused.text, &["shop cannot be deployed.", "app.cnf", "Nearest: app.conf"]);
    let (plan, outcome) = carry_out(&world, "/docker_deploy overwrite=app.conf,conf.d/b.conf").await;
    good(&outcome);
    told(&plan.text, &["New, 1 file: conf.d/b.conf", "Changed, 1 file: app.conf", "conf.d/own.conf (no release brought it). overwrite="]);
    assert_eq!(kept(), (text("x=2\n"), text("a2\n"), text("b2\n"), text("of production\n")));

    // What the workspace no longer has goes, unless production changed it. A rollback overwrites nothing either.
    shop.write_production("app.conf", "x=8\n");
    ["app.conf", "conf.d/a.conf"].iter().for_each(|path| std::fs::remove_file(shop.workspace.join(path)).unwrap());
    shop.write(
        "docker-compose.yml",
        &compose_file(&[("web", plain_service(SERVES, "volumes: [\"./conf.d:/etc/conf.d\", \"./app.conf:/x\"]"))]),
    );
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["Deleted, 1 file: conf.d/a.conf", "app.conf (changed since release"]);
    assert_eq!(kept(), (text("x=8\n"), None, text("b2\n"), text("of production\n")));
    let (plan, outcome) = carry_out(&world, "/docker_rollback 1").await;
    good(&outcome);
    told(&plan.text, &["New, 1 file: conf.d/a.conf", "app.conf (changed since release"]);
    assert_eq!(kept(), (text("x=8\n"), text("a\n"), text("b\n"), text("of production\n")));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mount_that_would_be_empty_is_refused_with_the_line_to_add() {
    let mounts = "volumes: [\"./conf.d:/etc/conf.d\", \"./uploads:/uploads\"]";
    let init = |mode: &str| plain_service(SERVES, &format!("volumes: [\"./data:/data\", \"./initdb:/initdb{mode}\"]"));
    let services = |mode: &str| [("web", plain_service(SERVES, mounts)), ("db", init(mode))];
    let files = [("conf.d/a.conf", "a\n"), ("initdb/schema.sql", "create\n"), ("data/.gitkeep", "")];
    let mut world = World::start(fresh(&services(""), &files, json!({ "stateful": ["db"] }))).await;
    let refused = world.ask("/docker_deploy").await.text;
    told(&refused, &["web mounts conf.d writable", "web would find it empty", "name it in shop of projects.json: \"copy\": [\"conf.d/\"]"]);
    world.fixtures[0].entry["copy"] = json!(["conf.d/"]);
    world.configure(&world.projects_json());
    world.next().await;
    let refused = world.ask("/docker_deploy").await.text;
    told(&refused, &["db mounts initdb, which the workspace has and production has not", ":ro", "mkdir", "\"exclude\": [\"/initdb/\"]"]);
    world.fixtures[0].write("docker-compose.yml", &compose_file(&services(":ro")));
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    assert!(!plan.text.contains("Not copied"), "{}", plan.text);
    let there = |path: &str| world.fixtures[0].production_file(path);
    assert_eq!((there("conf.d/a.conf").as_deref(), there("initdb/schema.sql").as_deref()), (Some("a\n"), Some("create\n")));
    assert_eq!(there("data/.gitkeep"), None, "a database may want its directory empty");
    told(&world.ask("/docker_deploy").await.text, &["Nothing to deploy"]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn project_mounted_whole_is_built_and_gets_what_git_tracks() {
    let web = format!(
        "{{ build: ., init: true, stop_grace_period: 2s, env_file: app.env, command: [\"sh\", \"-c\", {}], volumes: [\".:/app\"] }}",
        json!(format!("cat /built /app/main.py; echo $$COLOUR; {SERVES}"))
    );
    let dockerfile = format!("FROM {}\nCOPY generated.js /built\n", image());
    let files = [("Dockerfile", &*dockerfile), ("main.py", "one\n"), ("generated.js", "built\n"), ("app.env", "COLOUR=red\n")];
    let store = plain_service(SERVES, "volumes: [\"./pgdata:/data\"]");
    let fixture = fresh(&[("web", web), ("store", store)], &files, json!({ "stateful": ["store"] }));
    fixture.write_production("upload.png", "only in production\n");
    // What a build does not see is not staged, least of all where somebody writes to it.
    fixture.write(".dockerignore", "pgdata\n");
    fixture.write_production("pgdata/db", "of production\n");
    fixture.write("pgdata/db", "of the workspace\n");
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    let refused = world.ask("/docker_deploy").await.text;
    told(&refused, &["web mounts all of production writable", ":ro", "\"copy\": [\"*\"]"]);
    // What git does not track is no file of production, and an image is built from it all the same.
    git(shop, &["init", "-q"]);
    git(shop, &["add", "main.py", "Dockerfile"]);
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["Not copied: . (web writes there, and git does not track .dockerignore, generated.js", "web: build, create"]);
    assert_eq!(printed(shop), "built\none\nred\n");
    assert_eq!((shop.production_file("generated.js"), shop.production_file("pgdata/db").as_deref()), (None, Some("of production\n")));
    assert!(!world.data.join("projects/shop/releases/1/tree/pgdata").exists());
    told(&world.ask("/docker_deploy").await.text, &["Nothing to deploy"]);
    let first = engine_get(&format!("/containers/{}/json", shop.container("web").0))["Image"].clone();

    shop.write("main.py", "two\n");
    shop.write("generated.js", "built anew\n");
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["Changed, 1 file: main.py", "web: build, recreate"]);
    assert_eq!(printed(shop), "built anew\ntwo\nred\n");
    // An image of the first release that is gone is built from what was staged then.
    let kept = crate::support::shop::kept_name(&world, "web", 1);
    sh("docker", &["rmi", "-f", &kept]);
    let (plan, outcome) = carry_out(&world, "/docker_rollback 1").await;
    good(&outcome);
    told(&plan.text, &["its kept image is gone"]);
    assert_eq!(printed(shop), "built\none\nred\n");
    assert_eq!(engine_get(&format!("/containers/{}/json", shop.container("web").0))["Image"], first, "the same image");
    assert_eq!(shop.production_file("upload.png").as_deref(), Some("only in production\n"));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_deploy_leaves_what_the_service_wrote() {
    let mounts = "./app.conf:/etc/app.conf\", \"./conf.d:/etc/conf.d";
    let good_one = plain_service(SERVES, &format!("volumes: [\"{mounts}\"]"));
    let files = [("app.conf", "one\n"), ("conf.d/a.conf", "one\n"), ("conf.d/b.conf", "one\n")];
    let fixture = fresh(&[("web", good_one)], &files, json!({}));
    tracked(&fixture);
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    good(&carry_out(&world, "/docker_deploy").await.1);
    let before = tree(&shop.production);

    let broken = "echo written >>/etc/app.conf; echo x >/etc/conf.d/state; rm /etc/conf.d/b.conf; echo out of luck; exit 3";
    let more = format!("volumes: [\"{mounts}\", \"./logs/web:/logs\", \"./cache:/cache\"]");
    shop.write("docker-compose.yml", &compose_file(&[("web", plain_service(broken, &more))]));
    ["app.conf", "conf.d/a.conf", "conf.d/b.conf", "conf.d/new/c.conf"].iter().for_each(|path| shop.write(path, "two\n"));
    git(shop, &["add", "conf.d/new"]);
    let (_, outcome) = carry_out(&world, "/docker_deploy").await;
    told(&outcome.text, &["❌", "out of luck", "Everything was put back"]);
    let mut expected = before;
    expected.insert("app.conf".into(), "file 644 two\\nwritten\\n".into());
    expected.insert("conf.d/state".into(), "file 644 x\\n".into());
    assert_eq!(tree(&shop.production), expected, "what it wrote stays; the rest, and directories that the engine made, are gone");

    let plan = world.ask("/docker_deploy").await;
    told(&plan.text, &["app.conf (changed since release", "overwrite=app.conf"]);
    assert!(!plan.text.contains("conf.d/b.conf (") && plan.text.contains("conf.d/b.conf"), "{}", plan.text);
    world.say("no");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_first_deploy_removes_the_directories_it_made() {
    let broken =
        plain_service("echo x >/kept/x; echo out of luck; exit 3", "volumes: [\"./data/web:/data\", \"./kept:/kept\", \"./gone:/x\"]");
    let world = World::start(fresh(&[("web", broken)], &[], json!({}))).await;
    let (_, outcome) = carry_out(&world, "/docker_deploy").await;
    told(&outcome.text, &["❌", "out of luck"]);
    let left: Vec<String> = tree(&world.fixtures[0].production).into_keys().collect();
    assert_eq!(left, ["kept", "kept/x"], "data stays");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn env_file_of_production_works_everywhere() {
    let prints = format!("echo $A $B; {SERVES}");
    let web = format!(
        "{{ build: {{ context: ., args: {{ A: \"${{A}}\", P: \"5$$\" }} }}, init: true, stop_grace_period: 2s, env_file: [.env, \"${{DIR:-conf}}/more.conf\"], command: [\"sh\", \"-c\", {}] }}",
        json!(prints.replace('$', "$$"))
    );
    let dockerfile = format!("FROM {}\nARG A\nARG P\nRUN [\"sh\", \"-c\", \"echo $A $P >/built\"]\n", image());
    let file = |services: &[(&str, String)]| format!("include: [base/base.yaml]\n{}", compose_file(services));
    let base = compose_file(&[("db", plain_service(SERVES, "env_file: [.env, vars.conf]"))]);
    let fixture = fresh(&[], &[("Dockerfile", &*dockerfile), ("base/base.yaml", &*base), ("base/vars.conf", "C=workspace\n")], json!({}));
    fixture.write("docker-compose.yml", &file(&[("web", web)]));
    fixture.write_production(".env", "A=production\n");
    fixture.write_production("base/.env", "D=own\n");
    fixture.write(".env", "A=workspace\n");
    fixture.write("conf/more.conf", "B=brought\n");
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["web: build, create", "db: create"]);
    assert_eq!(printed(shop), "production brought\n");
    let seen = engine_get(&format!("/containers/{}/json", shop.container("db").0))["Config"]["Env"].to_string();
    told(&seen, &["C=workspace", "D=own"]);
    assert_eq!(shop.compose(&["exec", "-T", "web", "cat", "/built"]), "production 5$\n");
    let containers = shop.containers();
    told(&world.ask("/docker_deploy").await.text, &["Nothing to deploy"]);
    shop.compose(&["up", "-d", "--no-build"]);
    assert_eq!(shop.containers(), containers, "Compose has nothing to recreate");
    // A rollback that builds reads them no less.
    shop.write("Dockerfile", &format!("{dockerfile}RUN [\"true\"]\n"));
    good(&carry_out(&world, "/docker_deploy").await.1);
    sh("docker", &["rmi", "-f", &crate::support::shop::kept_name(&world, "web", 1)]);
    let (plan, outcome) = carry_out(&world, "/docker_rollback 1").await;
    good(&outcome);
    told(&plan.text, &["its kept image is gone"]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_deploy_leaves_what_the_service_wrote() {
    let mounts = "./app.conf:/etc/app.conf\", \"./conf.d:/etc/conf.d";
    let files = [("app.conf", "one\n"), ("conf.d/a.conf", "one\n")];
    let services = [("web", plain_service(SERVES, &format!("volumes: [\"{mounts}\"]")))];
    let world = World::prepare(vec![fresh(&services, &files, json!({ "copy": ["conf.d/"] }))], json!({ "default_project": "shop" })).await;
    let shop = &world.fixtures[0];
    let tools = Tools::all();
    let program = Launch::run(&world, &tools).start();
    good(&carry_out(&world, "/docker_deploy").await.1);
    let before = tree(&shop.production);
    let writes = format!("echo written >>/etc/app.conf; echo x >/etc/conf.d/state; {SERVES}");
    let more = format!("volumes: [\"{mounts}\", \"./logs/web:/logs\"]");
    shop.write("docker-compose.yml", &compose_file(&[("web", plain_service(&writes, &more))]));
    files.iter().for_each(|(path, _)| shop.write(path, "two\n"));
    // It is up, and Compose has not said so yet.
    tools.script(
        "docker-compose",
        "case \"$*\" in *plain?up*) $real \"$@\"; : >$here/held; while [ ! -e $here/open ]; do /bin/sleep 0.05; done ;; esac\nexec $real \"$@\"",
    );
    world.ask("/docker_deploy").await;
    world.say("yes");
    tools.held().await;
    let written = shop.production.join("conf.d/state");
    eventually("the service writes", async || written.exists() && shop.production_file("app.conf").is_some_and(|t| t.contains("written")))
        .await;
    program.kill();
    tools.script("docker-compose", "exec $real \"$@\"");
    let program = Launch::run(&world, &tools).start();
    let outcome = world.outcome(ADMIN).await;
    told(&outcome.text, &["was interrupted", "Everything was put back"]);
    let mut expected = before;
    expected.insert("app.conf".into(), "file 644 two\\nwritten\\n".into());
    expected.insert("conf.d/state".into(), "file 644 x\\n".into());
    assert_eq!(tree(&shop.production), expected);
    world.api.wait_acknowledged(PATIENCE).await.unwrap();
    program.stop().await;
    world.finish().await;
}
