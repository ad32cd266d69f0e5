//! `try`, as a newcomer runs it: on one line, in the browser, without an engine, and ended in the middle.

use std::path::Path;

use crate::support::eventually;
use crate::support::fixture::engine_get;
use crate::support::program::{Launch, Program, Tools};

/// The containers of the samples below a directory.
fn containers(data: &Path) -> Vec<String> {
    let all = engine_get("/containers/json?all=1");
    let all = all.as_array().unwrap();
    let root = data.canonicalize().unwrap().display().to_string();
    let ours = all.iter().filter(|c| c["Labels"]["com.docker.compose.project.working_dir"].as_str().is_some_and(|d| d.starts_with(&root)));
    ours.map(|c| c["Names"][0].as_str().unwrap_or_default().to_owned()).collect()
}

fn launch<'a>(tools: &'a Tools, data: &Path, send: &[&str]) -> Launch<'a> {
    let launch = Launch::new(tools, &["try", "--data"]).arg(data);
    send.iter().fold(launch, |launch, text| launch.arg("--send").arg(text))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_main_job_on_one_line_and_once_more_with_a_deploy_that_fails() {
    let directory = tempfile::tempdir().unwrap();
    let tools = Tools::all();
    let texts = ["/docker_status", "/docker_logs 20", "/docker_restart", "yes", "/docker_deploy", "yes"];
    let ended = launch(&tools, directory.path(), &texts).end().await;
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    let mut rest = ended.out.as_str();
    let told = [
        "you: /docker_status",
        "healthy",
        "you: /docker_logs 20",
        "listening on port 8080",
        "you: /docker_restart",
        "[Restart] [Cancel]",
        "you: yes",
        "✅ Restart of sample done",
        "you: /docker_deploy",
        "site/index.html",
        "[Deploy] [Cancel]",
        "you: yes",
        "✅ Deploy of sample done",
        "sample runs release 1",
    ];
    for text in told {
        let at = rest.find(text).unwrap_or_else(|| panic!("{text:?} is not told, or not in its place: {}", ended.out));
        rest = &rest[at + text.len()..];
    }
    assert_eq!(containers(directory.path()), Vec::<String>::new(), "the sample is taken down");

    // The same place once more; this time its build fails.
    tools.script("docker-compose", "case \"$*\" in *plain?build*) echo 'no space for layers' >&2; exit 1 ;; esac\nexec $real \"$@\"");
    let ended = launch(&tools, directory.path(), &["/docker_deploy", "yes", "/docker_status"]).end().await;
    assert_eq!(ended.code, Some(1), "{}{}", ended.out, ended.err);
    assert!(ended.out.contains("❌ Deploy of sample failed") && ended.out.contains("no space for layers"), "{}", ended.out);
    assert!(ended.out.contains("you: /docker_status"), "the rest is told all the same: {}", ended.out);
    assert!(ended.sentence().contains("did not go well"), "{}", ended.err);
    assert_eq!(containers(directory.path()), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_engine_or_compose_the_sample_runs_as_processes() {
    let directory = tempfile::tempdir().unwrap();
    let tools = Tools::all();
    let texts = ["/docker_status", "/docker_deploy", "yes", "/docker_logs", "/docker_rollback", "yes"];
    let ended = launch(&tools, directory.path(), &texts).set("DOCKER_HOST", "unix:///nowhere/docker.sock").end().await;
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    let mut rest = ended.out.as_str();
    for text in [
        "No Docker engine answers",
        "So the sample runs as processes",
        "process dockmaster",
        "✅ Deploy of sample done",
        "probe: answers with 200",
        "backend: asked to stop",
        "✅ Roll back of sample done",
    ] {
        let at = rest.find(text).unwrap_or_else(|| panic!("{text:?} is not told, or not in its place: {}", ended.out));
        rest = &rest[at + text.len()..];
    }
    let place = directory.path().to_str().unwrap().to_owned();
    let left = || {
        std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .any(|process| std::fs::read(process.path().join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(&place)))
    };
    assert!(!left(), "nothing of it runs on");

    let none = Tools::only(&["rsync"]);
    let ended = launch(&none, directory.path(), &["/docker_status"]).end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(
        ended.out.contains("Docker Compose v2 is not installed: install it") && ended.out.contains("process dockmaster"),
        "{}",
        ended.out
    );
}

/// The chat page's address, once the sample is up.
async fn open(program: &mut Program) -> String {
    eventually("the page's address is printed", async || {
        assert!(program.lives(), "it ended: {}{}", program.out(), program.err());
        program.out().contains("Open http://127.0.0.1:")
    })
    .await;
    let out = program.out();
    out[out.find("http://").unwrap()..].split_whitespace().next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_it_takes_the_sample_down_and_a_second_one_at_its_place_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let tools = Tools::all();
    // Ctrl-C while the images are built.
    tools.gate("docker-compose", "*--quiet*");
    let program = launch(&tools, directory.path(), &[]).start();
    tools.held().await;
    program.interrupt();
    let ended = program.ended().await;
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    assert_eq!(tools.processes(), Vec::<i32>::new());
    assert_eq!(containers(directory.path()), Vec::<String>::new());

    tools.open();
    let mut program = launch(&tools, directory.path(), &[]).start();
    let page = open(&mut program).await;
    assert_eq!(containers(directory.path()).len(), 2);
    // The same command in another terminal must not pull the sample away from under this one.
    let second = launch(&tools, directory.path(), &["/docker_status"]).end().await;
    assert_eq!(second.code, Some(2), "{}{}", second.out, second.err);
    let said = second.sentence();
    assert!(said.contains(&format!("(pid {})", program.pid())) && said.contains("--data"), "{said}");
    assert_eq!(containers(directory.path()).len(), 2);
    assert!(reqwest::get(&page).await.unwrap().status().is_success());

    let ended = program.stop().await;
    assert_eq!(containers(directory.path()), Vec::<String>::new(), "{}", ended.err);
}
