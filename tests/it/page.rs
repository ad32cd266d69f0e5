//! The chat page in a real browser: type a command, press the button, see the outcome.

use std::path::Path;

use serde_json::json;

use crate::support::browser::Browser;
use crate::support::fixture::healthy_service;
use crate::support::{ADMIN, Fixture, World};

const LAST: &str = "const all = [...document.querySelectorAll('.message[data-id]')]; const last = all[all.length - 1];";

fn fixture() -> Fixture {
    Fixture::up(&[("web", healthy_service("")), ("store", healthy_service(""))]).with(json!({ "stateful": ["store"], "primary": "web" }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_the_browser_of_a_phone() {
    let world = World::start(fixture()).await;
    let browser = Browser::open(&world.api.page_url(ADMIN).unwrap(), 390, 844).await;
    browser.type_into("#text", "/docker_restart\u{e007}").await;
    browser.until("the plan is shown", "return document.querySelectorAll('button.inline').length === 2").await;
    browser.click("button.inline").await;
    // The progress message ticks its steps off with the same mark: only the outcome says this.
    browser.until("the outcome is shown", &format!("{LAST} return last.innerText.includes('Restart of shop done')")).await;
    let wide = browser.run("return document.documentElement.scrollWidth > window.innerWidth").await;
    assert_eq!(wide, json!(false), "nothing sticks out at the side");
    browser.screenshot(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("phone.png")).await;
    let edits = world.api.messages(ADMIN).iter().map(|m| m.edits).max();
    assert!(edits > Some(0), "progress was shown by editing");
    world.api.take_unread(ADMIN);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_log_says_is_shown_and_never_run() {
    let hostile = "touch /tmp/well; echo '<img src=x onerror=document.title=1> <b>bold</b> &amp;'; while true; do sleep 1; done";
    let world = World::start(Fixture::up(&[("web", crate::support::fixture::service(hostile, ""))])).await;
    let browser = Browser::open(&world.api.page_url(ADMIN).unwrap(), 1280, 800).await;
    browser.type_into("#text", "/docker_logs").await;
    browser.click("#send").await;
    browser
        .until(
            "the log is shown",
            &format!("{LAST} return !!last && last.innerText.includes('onerror=document.title=1> <b>bold</b> &amp;')"),
        )
        .await;
    assert_eq!(browser.run("return document.querySelectorAll('.message img').length").await, json!(0));
    world.api.take_unread(ADMIN);
    world.finish().await;
}
