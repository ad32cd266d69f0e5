//! What lies around dockmaster misbehaves: rsync is killed or stopped, the engine answers with errors or half an answer, others
//! work on the same containers, links are swapped below a copy that is under way, everybody asks at once.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::faults::{end, running};
use crate::support::fixture::{engine_get, plain_service, tree};
use crate::support::program::Tools;
use crate::support::proxy::Proxy;
use crate::support::shop::{deployed, shop};
use crate::support::{ADMIN, Fixture, World, eventually};

const CHATS: i64 = 198;
/// How long they may all wait, with a debug build on a busy machine.
const ALL_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn plans_in_198_chats_are_all_answered() {
    let fixture = Fixture::up(&[("web", plain_service("exec sleep 1000000", ""))]);
    fixture.write("page", "two\n");
    let people: Vec<i64> = (0..CHATS).map(|number| 700_000 + number).collect();
    let mut users: serde_json::Map<String, Value> = people.iter().map(|id| (id.to_string(), json!("admin"))).collect();
    users.insert(ADMIN.to_string(), json!("admin"));
    let settings = json!({ "default_project": "shop", "access": { "users": users } });
    let world = World::start_with(vec![fixture], settings).await;
    for person in &people {
        world.api.add_user(*person, "Somebody");
    }
    let began = Instant::now();
    for person in &people {
        world.api.say(*person, *person, "/docker_deploy");
    }
    for person in &people {
        let plan = world.next_in(*person).await;
        assert!(plan.text.contains("page") && !plan.button_texts().is_empty(), "chat {person}: {}", plan.text);
    }
    assert!(began.elapsed() < ALL_WITHIN, "{:?}", began.elapsed());
    // One of them confirms; nothing of the others' plans is left to run.
    world.api.say(people[0], people[0], "yes");
    assert!(world.outcome(people[0]).await.text.starts_with('✅'));
    world.api.say(people[1], people[1], "yes");
    let second = world.next_in(people[1]).await.text;
    assert!(second.contains("Nothing to deploy") || second.contains("othing to do"), "{second}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rsync_that_is_killed_or_stopped_leaves_a_whole_release() {
    let tools = Tools::all();
    let (world, program) = running(shop(json!({})), &tools).await;
    let shop = &world.fixtures[0];
    deployed(&world, 1).await;
    let before = tree(&shop.production);
    for number in 0..40 {
        shop.write(&format!("site/{number}"), &format!("{number}\n").repeat(4_000));
    }
    let slowly = |ends: &str| {
        format!(
            "case \"$*\" in *--checksum*/production/) exec 3<&0; $real --bwlimit=400 \"$@\" <&3 & pid=$!; /bin/sleep 0.3; {ends}; wait $pid; exit $? ;; esac\nexec $real \"$@\""
        )
    };
    tools.script("rsync", &slowly("kill -9 $pid"));
    world.ask("/docker_deploy").await;
    let outcome = world.confirm().await.text;
    assert!(outcome.starts_with('❌') && outcome.contains("brought into production"), "{outcome}");
    assert_eq!(tree(&shop.production), before, "{outcome}");
    tools.script("rsync", &slowly("kill -STOP $pid; /bin/sleep 1; kill -CONT $pid"));
    deployed(&world, 3).await;
    assert_eq!(shop.production_file("site/39"), Some("39\n".repeat(4_000)));
    end(world, program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn engine_errors_and_half_answers_are_told_as_such() {
    let fixture = shop(json!({}));
    let mut world = World::prepare(vec![fixture], json!({ "default_project": "shop" })).await;
    let proxy = Proxy::start();
    world.docker_host = Some(proxy.host());
    world.boot();
    deployed(&world, 1).await;
    let before = (tree(&world.fixtures[0].production), world.fixtures[0].containers());
    world.fixtures[0].write("page", "page three\n");

    // Every answer ends in its head, in its body, or is an error.
    let half: [&dyn Fn(); 3] = [&|| proxy.cut_answers(Some(20)), &|| proxy.cut_answers(Some(400)), &|| {
        proxy.refuse("/containers/", u32::MAX, "the database is locked")
    }];
    for (number, misbehave) in half.into_iter().enumerate() {
        misbehave();
        for command in ["/docker_restart", "/docker_deploy"] {
            let said = world.ask(command).await;
            let text = &said.text;
            assert!(said.button_texts().is_empty(), "a plan from half of what the engine knows, {number}: {text}");
            assert!(text.contains("engine") || text.contains("database is locked"), "{number}: {text}");
        }
        // What was seen a moment ago counts for as long as the engine reports no change, and for some seconds at most.
        eventually("status says so", async || !world.ask("/docker_status").await.text.contains('🟢')).await;
        proxy.cut_answers(None);
        proxy.refuse("", 0, "");
        eventually("status is itself again", async || world.ask("/docker_status").await.text.contains("all 2 up")).await;
    }
    assert_eq!((tree(&world.fixtures[0].production), world.fixtures[0].containers()), before);

    // Between the plan and the yes nothing runs; in the middle of a deploy what was there comes back.
    world.ask("/docker_deploy").await;
    proxy.refuse("/images/", 1, "input/output error");
    let refused = world.ask("yes").await.text;
    assert!(refused.contains("input/output error"), "{refused}");
    world.ask("/docker_deploy").await;
    proxy.refuse("/containers/create", 1, "input/output error");
    let outcome = world.confirm().await.text;
    assert!(outcome.starts_with('❌') && outcome.contains("Everything was put back"), "{outcome}");
    assert_eq!(tree(&world.fixtures[0].production), before.0, "{outcome}");
    let runs = engine_get(&format!("/containers/{}/json", world.fixtures[0].container("web").0));
    assert_eq!(runs["State"]["Health"]["Status"], json!("healthy"), "{outcome}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_remade_by_others_in_a_deploy_are_verified() {
    let tools = Tools::all();
    let (world, program) = running(shop(json!({})), &tools).await;
    let shop = &world.fixtures[0];
    for (release, others) in [(1, &["up", "-d", "--force-recreate"][..]), (2, &["rm", "-s", "-f", "web"][..])] {
        shop.write("page", &format!("page of release {release}\n"));
        world.ask("/docker_deploy").await;
        tools.gate("docker-compose", "* up *");
        world.say("yes");
        tools.held().await;
        shop.compose(others);
        tools.open();
        let outcome = world.outcome(ADMIN).await.text;
        tools.ungate("docker-compose");
        assert!(outcome.starts_with('✅'), "{others:?}: {outcome}");
        let services: Vec<String> = shop.containers().into_iter().map(|(service, ..)| service).collect();
        assert_eq!(services.len(), 2, "{others:?}: {services:?}: {outcome}");
        let seen = engine_get(&format!("/containers/{}/json", shop.container("web").0));
        assert_eq!(seen["State"]["Health"]["Status"], json!("healthy"), "{others:?}: {outcome}");
    }
    end(world, program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_swapped_below_a_copy_lead_nowhere_else() {
    let tools = Tools::all();
    let (world, program) = running(shop(json!({})), &tools).await;
    let shop = &world.fixtures[0];
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("theirs"), "theirs\n").unwrap();
    shop.write("site/page", "one\n");
    deployed(&world, 1).await;
    let other = tree(elsewhere.path());
    shop.write("site/page", "two\n");
    shop.write("site/theirs", "ours\n");
    world.ask("/docker_deploy").await;
    tools.gate("rsync", "*--checksum*/production/");
    world.say("yes");
    tools.held().await;
    std::fs::rename(shop.production.join("site"), shop.production.join("site.aside")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), shop.production.join("site")).unwrap();
    tools.open();
    let outcome = world.outcome(ADMIN).await.text;
    assert_eq!(tree(elsewhere.path()), other, "{outcome}");
    assert!(outcome.starts_with('❌'), "{outcome}");
    end(world, program).await;
}
