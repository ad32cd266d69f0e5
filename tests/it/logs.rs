//! Logs, from what a container wrote to what a person reads.

use dockmaster::console::Client;
use serde_json::{Value, json};

use crate::support::fixture::{compose_file, plain_service, sh};
use crate::support::proxy::Proxy;
use crate::support::world::VIEWER;
use crate::support::{ADMIN, Fixture, PATIENCE, World, eventually};

const WAITS: &str = "while true; do sleep 1; done";

/// A project that is up, its containers having written what they have to write.
async fn wrote(services: &[(&str, String)], written: &[(&str, &str)]) -> Fixture {
    let fixture = Fixture::new(services);
    fixture.compose(&["up", "-d"]);
    for (service, last) in written {
        eventually("everything is written", async || fixture.compose(&["logs", "--no-log-prefix", "--tail", "5", service]).contains(last))
            .await;
    }
    fixture
}

fn lines_of(text: &str) -> Vec<&str> {
    text.lines().skip(2).map(|l| l.split_once(' ').map_or(l, |(_, line)| line)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_lines_of_the_service_that_is_meant() {
    let counts = format!("for n in $$(seq 1 300); do echo line $$n of some length, so that it counts; done; echo 'Error: <b>' 5; {WAITS}");
    let services = [
        ("web", plain_service(&counts, "")),
        ("Worker", plain_service(&format!("echo worker here; {WAITS}"), "")),
        ("quiet", plain_service(WAITS, "")),
        ("job", plain_service("echo the job is done", "")),
    ];
    let fixture = wrote(&services, &[("web", "Error"), ("job", "done"), ("Worker", "here")]).await.with(json!({ "primary": "web" }));
    let world = World::start(fixture).await;

    let usual = world.ask("/docker_logs").await;
    assert!(usual.text.starts_with("shop/web · 50 lines\n20"), "{}", usual.text);
    let lines = lines_of(&usual.text);
    assert_eq!((lines.len(), lines[0], lines[49]), (50, "line 252 of some length, so that it counts", "Error: <b> 5"));
    assert!(usual.html.contains("<pre>") && usual.html.contains("Error: &lt;b&gt; 5"), "{}", usual.html);
    assert_eq!(lines_of(&world.ask("/docker_logs 3").await.text).len(), 3);
    assert_eq!(lines_of(&world.ask("/docker_logs shop/WEB 2").await.text).len(), 2, "in any case");
    assert!(world.ask("/docker_logs Shop/worker").await.text.starts_with("shop/Worker · 1 line\n"), "{:?}", world.texts(ADMIN));
    let found = world.ask("/docker_logs grep=\"LINE 30 of\"").await;
    assert!(found.text.starts_with("shop/web · 1 line with LINE 30 of"), "{}", found.text);
    assert_eq!(lines_of(&found.text), ["line 30 of some length, so that it counts"]);
    let none = world.ask("/docker_logs grep=<i>nothing</i>").await;
    assert_eq!(none.text, "shop/web has no line with <i>nothing</i>.");
    assert_eq!(lines_of(&world.ask("/docker_logs since=1h 5").await.text).len(), 5);
    assert_eq!(world.ask("/docker_logs shop/quiet").await.text, "shop/quiet has written nothing yet.");
    assert_eq!(world.ask("/docker_logs shop/quiet since=1s").await.text, "shop/quiet wrote nothing in that time.");
    assert!(world.ask("/docker_logs shop/job").await.text.contains("the job is done"), "a container that ended has a log");

    // What does not fit one message comes as a file, whole.
    let file = world.ask("/docker_logs 1000").await;
    assert!(file.text.starts_with("shop/web · 301 lines\n"), "{}", file.text);
    let document = file.document.expect("a file");
    assert_eq!(document.name, "shop-web.log");
    let content = String::from_utf8(document.bytes.to_vec()).unwrap();
    let lines: Vec<&str> = content.lines().map(|l| l.splitn(3, ' ').nth(2).unwrap()).collect();
    assert_eq!((lines.len(), lines[0], lines[300]), (301, "line 1 of some length, so that it counts", "Error: <b> 5"));

    for (typed, told) in [
        ("/docker_logs shop/wbe", "no container of a service “wbe”"),
        ("/docker_logs 0", "ask for 1 to 1000"),
        ("/docker_logs 5000", "ask for 1 to 1000"),
        ("/docker_logs since=never", "I do not understand since=never"),
        ("/docker_logs shop -rf", "I do not understand -rf"),
        ("/docker_logs shop/../x", "is no service's name"),
    ] {
        let answer = world.ask(typed).await.text;
        assert!(answer.contains(told), "{typed}:\n{answer}");
    }
    let near = world.ask("/docker_logs shop/wbe").await.text;
    assert!(near.contains("Nearest: web"), "{near}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_chat_could_show_is_made_fit_to_show() {
    let big = format!("echo before; printf 'first '; head -c 1000000 /dev/zero | tr '\\0' x; echo; echo after; {WAITS}");
    let odd = format!("printf '\\033[31mred\\033[0m \\001\\377 <b>&amp;</b> \\033]0;title\\007end\\r\\n'; printf 'tab\\there\\n'; {WAITS}");
    let services = [
        ("big", plain_service(&big, "")),
        ("odd", plain_service(&odd, "")),
        ("tty", plain_service(&format!("echo one; echo two; {WAITS}"), "tty: true")),
    ];
    let fixture = wrote(&services, &[("big", "after"), ("odd", "tab"), ("tty", "two")]).await;
    let world = World::start(fixture).await;
    let big = world.ask("/docker_logs shop/big").await;
    let lines = lines_of(&big.text);
    assert_eq!((lines.len(), lines[0], lines[2]), (3, "before", "after"), "{}", big.text);
    assert!(lines[1].starts_with("first xxx") && lines[1].ends_with("x … (998006 more bytes)"), "{}", lines[1]);
    let big = world.ask("/docker_logs shop/big 2").await;
    assert!(lines_of(&big.text)[0].starts_with("first xxx"), "from its beginning, however few lines are asked for:\n{}", big.text);
    let odd = world.ask("/docker_logs shop/odd").await;
    assert_eq!(lines_of(&odd.text), ["red \\u{1}\u{fffd} <b>&amp;</b> end", "tab    here"]);
    assert!(odd.html.contains("&lt;b&gt;&amp;amp;&lt;/b&gt;"), "{}", odd.html);
    let tty = world.ask("/docker_logs shop/tty").await;
    assert_eq!(lines_of(&tty.text), ["one", "two"]);
    // Several services and no primary one: it says which there are.
    let which = world.ask("/docker_logs").await.text;
    assert!(which.contains("no primary") && which.contains("big, odd, tty"), "{which}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_log_is_one_message_until_it_is_stopped() {
    let said = "echo begin; until test -e /tmp/go; do sleep 0.1; done; echo second; echo '<third> line'; until test -e /tmp/end; do sleep 0.1; done; echo last";
    let fixture = wrote(&[("web", plain_service(said, ""))], &[("web", "begin")]).await;
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    let container = shop.container("web").0;
    let touch = |file: &str| {
        sh(
            "docker-compose",
            &["-p", &shop.name, "-f", shop.production.join("docker-compose.yml").to_str().unwrap(), "exec", "-T", "web", "touch", file],
        )
    };
    world.api.say(VIEWER, VIEWER, "/docker_logs follow");
    let first = world.next_in(VIEWER).await;
    assert_eq!(first.button_texts(), [["Stop"]]);
    let has = |wanted: &'static str| move |m: &dockmaster::sandbox::bot_api::Message| m.text.contains(wanted);
    world.api.wait_until(VIEWER, first.id, PATIENCE, has("begin")).await.unwrap();
    // Whoever may not see it otherwise does not see it this way; the admin follows, too, and is not stopped by the viewer.
    let other = world.ask("/docker_logs follow grep=third").await;
    touch("/tmp/go");
    let grown = world.api.wait_until(VIEWER, first.id, PATIENCE, has("<third> line")).await.unwrap();
    assert_eq!(lines_of(&grown.text), ["begin", "second", "<third> line"]);
    world.api.press(VIEWER, VIEWER, first.id, "Stop").unwrap();
    let stopped = world.api.wait_until(VIEWER, first.id, PATIENCE, has("stopped")).await.unwrap();
    assert!(stopped.buttons.is_empty() && stopped.text.contains("<third> line"), "{}", stopped.text);
    let other = world.api.wait_until(ADMIN, other.id, PATIENCE, has("<third>")).await.unwrap();
    assert_eq!(lines_of(&other.text), ["<third> line"]);
    // The container ends, and with it the following.
    touch("/tmp/end");
    let over = world.api.wait_until(ADMIN, other.id, PATIENCE, has("ended: the container writes no more")).await.unwrap();
    assert!(over.buttons.is_empty(), "{}", over.text);
    assert!(!world.api.message(VIEWER, first.id).unwrap().text.contains("last"), "what was stopped stays as it was");
    assert!(!container.is_empty());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_without_containers_says_how_to_get_some() {
    let fixture = Fixture::new(&[("web", plain_service(WAITS, ""))]).with(json!({ "primary": "web" }));
    std::fs::write(fixture.workspace.join("docker-compose.yml"), compose_file(&[("web", plain_service(WAITS, ""))])).unwrap();
    let world = World::start(fixture).await;
    let logs = world.ask("/docker_logs").await.text;
    assert!(logs.contains("shop has no containers") && logs.contains("/docker_start shop"), "{logs}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_is_removed_under_a_followed_log_ends_that_and_nothing_else() {
    let chatty = format!("echo begin; until test -e /tmp/go; do sleep 0.1; done; echo second; {WAITS}");
    let services = [("web", plain_service(&chatty, "")), ("side", plain_service(&chatty, ""))];
    let fixture = wrote(&services, &[("web", "begin"), ("side", "begin")]).await;
    let proxy = Proxy::start();
    let mut world = World::prepare(vec![fixture], json!({})).await;
    world.docker_host = Some(proxy.host());
    world.boot();
    let shop = &world.fixtures[0];
    let has = |wanted: &'static str| move |m: &dockmaster::sandbox::bot_api::Message| m.text.contains(wanted);
    world.api.say(VIEWER, VIEWER, "/docker_logs shop/web follow");
    let web = world.next_in(VIEWER).await;
    let side = world.ask("/docker_logs shop/side follow").await;
    world.api.wait_until(VIEWER, web.id, PATIENCE, has("begin")).await.unwrap();

    sh("docker", &["rm", "-f", &shop.container("web").0]);
    let over = world.api.wait_until(VIEWER, web.id, PATIENCE, has("ended: the container writes no more")).await.unwrap();
    assert_eq!((lines_of(&over.text), over.buttons.is_empty()), (vec!["begin"], true), "what was read stays");
    sh("docker", &["exec", &shop.container("side").0, "touch", "/tmp/go"]);
    world.api.wait_until(ADMIN, side.id, PATIENCE, has("second")).await.unwrap();
    let gone = world.ask("/docker_logs shop/web").await.text;
    assert!(gone.contains("no container"), "{gone}");
    // What the files declare is measured aside.
    eventually("it is missing", async || world.ask("/docker_status").await.text.contains("web\nno container")).await;
    // An engine that goes is no end of the container, and is not told as one: in a chat, and at a terminal.
    let client = Client::of(&world.data).unwrap();
    let mut events = client.events("/projects/shop/logs?follow=true&service=side&lines=1").await.unwrap();
    let line: Value = events.next().await.unwrap().unwrap();
    assert_eq!(line["text"], "second");
    proxy.set_away(true);
    let over = world.api.wait_until(ADMIN, side.id, PATIENCE, has("ended: the engine broke off")).await.unwrap();
    assert_eq!((lines_of(&over.text), over.buttons.is_empty()), (vec!["begin", "second"], true));
    let broken = events.next::<Value>().await.unwrap_err().to_string();
    assert!(broken.contains("The log is not followed any more.") && broken.contains("The Docker engine"), "{broken}");
    proxy.set_away(false);
    world.finish().await;
}
