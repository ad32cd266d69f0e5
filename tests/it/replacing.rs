//! dockmaster killed (`kill -9`) at each point of replacing a container that it has made, and of putting it back: afterwards
//! there is the old one or the new one, under its name, and nothing aside.

use serde_json::json;

use crate::support::fixture::tree;
use crate::support::made::{SERVES, environment, plain};
use crate::support::program::{Launch, Program, Tools};
use crate::support::proxy::Proxy;
use crate::support::{ADMIN, Fixture, PATIENCE, World};

const BROKEN: &str = "echo out of luck; exit 3";

/// Where it is killed: before the engine hears of a request, once so many of the kind were passed on.
struct Point {
    request: &'static str,
    after: u32,
    /// What the new container does.
    does: &'static str,
    /// Whether the new one is there to stay.
    arrives: bool,
    /// Whether it puts nothing back by itself.
    by_hand: bool,
}

const fn point(request: &'static str, after: u32, does: &'static str, arrives: bool) -> Point {
    Point { request, after, does, arrives, by_hand: false }
}

fn launch(world: &World, tools: &Tools, proxy: &Proxy) -> Program {
    Launch::run(world, tools).set("DOCKER_HOST", proxy.host()).start()
}

/// Kills it at one point after the other; where nothing arrived, the same change is still to be made.
async fn struck(points: &[Point]) {
    let proxy = Proxy::start();
    let mut fixture = Fixture::of_services(json!({ "web": plain(SERVES, json!({ "instances": 2 })), "other": plain(SERVES, json!({})) }));
    // Nobody waits here to see whether something goes on running.
    let auto_rollback = points.iter().all(|point| !point.by_hand);
    fixture.set("/deploy", json!({ "stability": "500ms", "health_timeout": "20s", "auto_rollback": auto_rollback }));
    let name = fixture.name.clone();
    let mut world = World::prepare(vec![fixture], json!({})).await;
    let tools = Tools::all();
    let mut program = launch(&world, &tools, &proxy);
    world.ask("/docker_start").await;
    let outcome = world.confirm().await;
    assert!(outcome.text.starts_with('✅'), "{}", outcome.text);

    let of_colour = |does: &str, colour: &str| plain(does, json!({ "instances": 2, "environment": { "COLOUR": colour } }));
    let mut is_pending = false;
    for (n, point) in points.iter().enumerate() {
        if !is_pending {
            world.reconfigure("/services/web", of_colour(point.does, &format!("blue {n}"))).await;
        }
        let before = world.fixtures[0].stand();
        world.ask("/docker_start").await;
        proxy.hold(point.request, point.after);
        world.say("yes");
        proxy.held().await;
        program.kill();
        proxy.release();
        program = launch(&world, &tools, &proxy);
        let outcome = world.outcome(ADMIN).await.text;
        let at = format!("killed before {:?} after {}: {outcome}", point.request, point.after);
        let after = world.fixtures[0].stand();
        assert_eq!(after.keys().collect::<Vec<_>>(), ["other", "web-1", "web-2"], "{at}");
        assert_eq!(after["other"], before["other"], "{at}");
        if point.arrives {
            assert!(outcome.starts_with('✅') && outcome.contains("dockmaster itself was ended right after that"), "{at}");
            assert!(after["web-1"].0 != before["web-1"].0 && after["web-2"].0 != before["web-2"].0, "{at}");
        } else {
            assert!(outcome.contains("was interrupted") && outcome.contains(&format!("Everything was put back: web of {name}")), "{at}");
            assert_eq!(after, before, "{at}");
        }
        is_pending = !point.arrives;
    }
    // And the way is clear.
    world.reconfigure("/services/web", of_colour(SERVES, "green")).await;
    world.ask("/docker_start").await;
    let outcome = world.confirm().await;
    assert!(outcome.text.starts_with('✅'), "{}", outcome.text);
    assert!(environment(&world.fixtures[0].seen("web-2")).contains(&"COLOUR=green"));
    world.api.wait_acknowledged(PATIENCE).await.unwrap();
    program.stop().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_replaces_the_old_ones_are_put_back() {
    struck(&[
        point("/rename?name=", 0, SERVES, false),
        point("/containers/create", 0, SERVES, false),
        point("/stop?", 0, SERVES, false),
        point("/start ", 0, SERVES, false),
        point("/rename?name=", 1, SERVES, false),
        point("/start ", 1, SERVES, false),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_puts_back_that_is_done_again() {
    // Two renames and two stops on the way there.
    struck(&[
        point("DELETE /", 0, BROKEN, false),
        point("DELETE /", 1, BROKEN, false),
        point("/rename?name=", 2, BROKEN, false),
        point("/rename?name=", 3, BROKEN, false),
        point("/start ", 2, BROKEN, false),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_removes_what_was_replaced_the_new_ones_stay() {
    struck(&[point("DELETE /", 0, SERVES, true), point("DELETE /", 1, SERVES, true)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_where_nothing_is_undone_by_itself_it_is_put_back_all_the_same() {
    let by_hand = |request, after| Point { by_hand: true, ..point(request, after, SERVES, false) };
    struck(&[by_hand("/containers/create", 0), by_hand("/start ", 1)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_a_deploy_with_files_both_are_the_old_ones_or_both_the_new_ones() {
    let proxy = Proxy::start();
    let mut fixture = Fixture::of_services(json!({}));
    fixture.set("/services", json!({ "web": plain(SERVES, json!({ "env_file": "app.env" })) }));
    fixture.write("app.env", "COLOUR=red\n");
    let (workspace, production) = (fixture.workspace.clone(), fixture.production.clone());
    let (name, fixture) = (fixture.name.clone(), fixture.with(json!({ "workspace": workspace, "production": production })));
    let world = World::prepare(vec![fixture], json!({})).await;
    let tools = Tools::all();
    let mut program = launch(&world, &tools, &proxy);
    world.ask("/docker_deploy").await;
    let outcome = world.confirm().await;
    assert!(outcome.text.starts_with('✅'), "{}", outcome.text);
    let before = (world.fixtures[0].stand(), tree(&world.fixtures[0].production));
    world.fixtures[0].write("app.env", "COLOUR=green\n");
    for request in ["/containers/create", "/stop?", "/start "] {
        world.ask("/docker_deploy").await;
        proxy.hold(request, 0);
        world.say("yes");
        proxy.held().await;
        program.kill();
        proxy.release();
        program = launch(&world, &tools, &proxy);
        let outcome = world.outcome(ADMIN).await.text;
        assert!(outcome.contains("was interrupted") && outcome.contains(&format!("{name} runs release 1 again")), "{request}: {outcome}");
        assert_eq!((world.fixtures[0].stand(), tree(&world.fixtures[0].production)), before, "{request}");
    }
    world.ask("/docker_deploy").await;
    proxy.hold("DELETE /", 0);
    world.say("yes");
    proxy.held().await;
    program.kill();
    proxy.release();
    let program = launch(&world, &tools, &proxy);
    let outcome = world.outcome(ADMIN).await.text;
    assert!(outcome.starts_with('✅') && outcome.contains(&format!("{name} runs release ")), "{outcome}");
    let after = world.fixtures[0].stand();
    assert!(after.len() == 1 && after["web"].1 && after["web"].0 != before.0["web"].0, "nothing is left aside: {after:?}");
    assert!(environment(&world.fixtures[0].seen("web")).contains(&"COLOUR=green"));
    world.api.wait_acknowledged(PATIENCE).await.unwrap();
    program.stop().await;
    world.finish().await;
}
