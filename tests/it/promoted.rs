//! Files that are deployed for containers that somebody else made and for services that dockmaster makes: what they concern is
//! restarted or made anew, verified, undone, and gone back to.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::lifecycle::{carry_out, good, told};
use crate::support::fixture::{compose_file, plain_service, tree};
use crate::support::made::{environment, plain};
use crate::support::{Fixture, World};

/// Shows its page and serves, unless that is broken.
const READS: &str = "cat /site/page; if grep -q broken /site/page; then echo cannot read the page; exit 3; fi; trap 'exit 0' TERM; while true; do sleep 0.1; done";
const SERVES: &str = "trap 'exit 0' TERM; while true; do sleep 0.1; done";

/// A project whose page is one in production and two in the workspace.
fn with_pages(fixture: Fixture) -> Fixture {
    fixture.write_production("site/page", "one\n");
    fixture.write("site/page", "two\n");
    fixture
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_of_somebody_else_get_their_files_and_what_mounts_them_is_restarted() {
    let web = plain_service(READS, "volumes: [\"./site:/site:ro\"]");
    let fixture = with_pages(Fixture::new(&[("web", web), ("other", plain_service(SERVES, ""))]));
    fixture.compose(&["up", "-d"]);
    for root in [&fixture.production, &fixture.workspace] {
        std::fs::remove_file(root.join("docker-compose.yml")).unwrap();
    }
    let selected = json!([{ "compose": format!("{}/web", fixture.name) }, { "compose": format!("{}/other", fixture.name) }]);
    let world = World::start(fixture.with(json!({ "compose": null, "containers": selected }))).await;
    let shop = &world.fixtures[0];
    let container = |service: &str| {
        let id =
            crate::support::fixture::sh("docker", &["ps", "-aq", "--no-trunc", "--filter", &format!("name=^{}-{service}-1$", shop.name)]);
        let seen = crate::support::fixture::engine_get(&format!("/containers/{}/json", id.trim()));
        (id, seen["State"]["StartedAt"].to_string(), seen["State"]["Running"] == json!(true))
    };
    let (web, other) = (container("web"), container("other"));
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(
        &plan.text,
        &["as release 1", "Changed, 1 file: site/page", "web: restart (mounted files changed: site/page)", "Stays as it is: other"],
    );
    assert_eq!(shop.production_file("site/page").as_deref(), Some("two\n"));
    let after = container("web");
    assert!(after.0 == web.0 && after.1 != web.1 && after.2, "restarted");
    assert_eq!(container("other"), other, "it concerned nobody else");
    assert!(world.ask("/docker_deploy").await.text.starts_with("Nothing to deploy"));
    shop.write("notes", "nobody mounts this\n");
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["No service is touched"]);
    assert_eq!(container("web"), after);

    let before = tree(&shop.production);
    shop.write("site/page", "broken\n");
    let (_, outcome) = carry_out(&world, "/docker_deploy").await;
    told(&outcome.text, &["❌", "web did not come up", "cannot read the page", "Everything was put back: shop runs release 2 again"]);
    assert_eq!(tree(&shop.production), before);
    assert!(container("web").2, "it runs again");

    let releases = world.ask("/docker_releases").await.text;
    told(&releases, &["▶️ 2", "▫️ 1", "▫️ 0"]);
    let (plan, outcome) = carry_out(&world, "/docker_rollback 0").await;
    good(&outcome);
    told(&plan.text, &["web: restart (mounted files changed: site/page)"]);
    assert_eq!(shop.production_file("site/page").as_deref(), Some("one\n"));
    assert_eq!(container("other"), other);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_workspace_it_is_said_that_there_is_nothing_to_deploy_from() {
    let fixture = Fixture::new(&[("web", plain_service(SERVES, ""))]);
    fixture.compose(&["up", "-d"]);
    let selected = json!([{ "compose": format!("{}/web", fixture.name) }]);
    let none = json!({ "compose": null, "workspace": null, "production": null, "deploy": null, "containers": selected });
    let world = World::start(fixture.with(none)).await;
    for command in ["/docker_deploy", "/docker_rollback"] {
        let answer = world.ask(command).await.text;
        told(&answer, &["It has neither a workspace nor production", "/docker_restart shop"]);
    }
    world.finish().await;
}

/// A service that mounts a directory of production and has a file of its environment there, and one that has neither.
fn services() -> Fixture {
    let reads = json!({ "volumes": { "./site": "/site:ro", "./data": "/data" }, "env_file": "conf/app.env" });
    let script = format!("if [ \"$COLOUR\" = broken ]; then echo no such colour; exit 4; fi; {READS}");
    let mut fixture = with_pages(Fixture::of_services(json!({})));
    fixture.set("/services", json!({ "web": plain(&script, reads), "other": plain(SERVES, json!({})) }));
    fixture.write("conf/app.env", "COLOUR=red\n");
    fixture.write_production("data/ledger", "precious\n");
    for root in [&fixture.production, &fixture.workspace] {
        std::fs::remove_file(root.join("docker-compose.yml")).unwrap();
    }
    let (workspace, production) = (fixture.workspace.clone(), fixture.production.clone());
    fixture.with(json!({ "workspace": workspace, "production": production }))
}

/// The names, ids and states of what there is, and the files of production.
fn whole(world: &World) -> (BTreeMap<String, (String, bool)>, BTreeMap<String, String>) {
    (world.fixtures[0].stand(), tree(&world.fixtures[0].production))
}

#[tokio::test(flavor = "multi_thread")]
async fn services_of_our_making_get_their_files_and_are_made_from_them() {
    let mut world = World::start(services()).await;
    let variables = |world: &World| environment(&world.fixtures[0].seen("web")).join(" ");
    let started = |world: &World| world.fixtures[0].seen("web")["State"]["StartedAt"].clone();
    // Its environment comes with the first deploy.
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["as release 1", "web: create (new)", "other: create (new)", "Bring the files into production"]);
    assert!(variables(&world).contains("COLOUR=red"));
    let first = whole(&world);
    assert!(world.ask("/docker_deploy").await.text.starts_with("Nothing to deploy"));
    assert!(!world.ask("/docker_status").await.text.contains("pending"));

    // What it mounts restarts it, what it is made from makes it anew.
    let began = started(&world);
    world.fixtures[0].write("site/page", "three\n");
    world.fixtures[0].write("data/ledger", "from the workspace\n");
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["web: restart (mounted files changed: site/page)", "Stays as it is: other", "Not copied: data (web writes there)"]);
    assert_eq!(world.fixtures[0].stand(), first.0, "none was made");
    assert_ne!(started(&world), began);
    assert_eq!(world.fixtures[0].production_file("data/ledger").as_deref(), Some("precious\n"));
    world.fixtures[0].write("conf/app.env", "COLOUR=green\n");
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["as release 3", "web: recreate (definition changed)"]);
    assert!(variables(&world).contains("COLOUR=green"));
    let third = whole(&world);
    assert!(third.0["web"] != first.0["web"] && third.0["other"] == first.0["other"] && third.0.len() == 2, "{third:?}");

    // Either that does not come up is undone, files and containers.
    for (path, text, words) in [("site/page", "broken\n", "cannot read the page"), ("conf/app.env", "COLOUR=broken\n", "no such colour")] {
        let good_one = std::fs::read_to_string(world.fixtures[0].workspace.join(path)).unwrap();
        world.fixtures[0].write(path, text);
        let (_, outcome) = carry_out(&world, "/docker_deploy").await;
        told(&outcome.text, &["❌", words, "Everything was put back"]);
        assert_eq!(whole(&world), third, "{}", outcome.text);
        world.fixtures[0].write(path, &good_one);
    }
    // What a deploy adds and what did not come up with it goes again.
    world.reconfigure("/services/extra", plain("echo never; exit 5", json!({}))).await;
    let (_, outcome) = carry_out(&world, "/docker_deploy").await;
    told(&outcome.text, &["❌", "extra", "Everything was put back"]);
    assert_eq!(whole(&world), third, "{}", outcome.text);
    world.fixtures[0].entry["services"].as_object_mut().unwrap().remove("extra");
    world.configure(&world.projects_json());
    world.next().await;

    let (plan, outcome) = carry_out(&world, "/docker_rollback 1").await;
    good(&outcome);
    told(&plan.text, &["web: recreate (definition changed; mounted files changed: site/page)"]);
    assert!(variables(&world).contains("COLOUR=red"));
    assert_eq!(world.fixtures[0].production_file("site/page").as_deref(), Some("two\n"));
    assert_eq!(world.fixtures[0].stand().len(), 2);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn production_may_be_reached_through_a_link() {
    let fixture = services();
    let link = fixture.production.with_file_name("link");
    std::os::unix::fs::symlink(&fixture.production, &link).unwrap();
    let world = World::start(fixture.with(json!({ "production": link }))).await;
    good(&carry_out(&world, "/docker_deploy").await.1);
    world.fixtures[0].write("site/page", "three\n");
    world.fixtures[0].write("conf/app.env", "COLOUR=green\n");
    let (plan, outcome) = carry_out(&world, "/docker_deploy").await;
    good(&outcome);
    told(&plan.text, &["web: recreate (definition changed; mounted files changed: site/page)"]);
    let seen: Value = world.fixtures[0].seen("web");
    assert!(environment(&seen).contains(&"COLOUR=green"));
    world.finish().await;
}

/// Compose follows no link in a path, so that what was confirmed and what is brought up name production in the same way.
#[tokio::test(flavor = "multi_thread")]
async fn deploy_through_links_is_as_confirmed() {
    let web = plain_service(READS, "volumes: [\"./site:/site:ro\"]");
    let mut fixture = with_pages(Fixture::new(&[("web", web)]).with(json!({ "deploy": { "stability": "1s" } })));
    let links = tempfile::tempdir().unwrap();
    for (name, directory) in [("live", &mut fixture.production), ("code", &mut fixture.workspace)] {
        let outside = links.path().join(format!("{name}.real"));
        std::fs::rename(&*directory, &outside).unwrap();
        // A link above, and one that is the directory itself.
        std::os::unix::fs::symlink(&outside, links.path().join(name)).unwrap();
        let above = links.path().with_extension(name);
        std::os::unix::fs::symlink(links.path(), &above).unwrap();
        *directory = above.join(name);
    }
    fixture.compose(&["up", "-d"]);
    let world = World::start(fixture).await;
    let shop = &world.fixtures[0];
    let before = shop.container("web");
    let plan = world.ask("/docker_deploy").await.text;
    assert!(plan.contains("web: restart (mounted files changed: site/page)"), "{plan}");
    let outcome = world.confirm().await.text;
    assert!(outcome.starts_with('✅'), "{outcome}");
    assert_eq!(shop.container("web").0, before.0, "it names the path by which Compose was called by hand");
    shop.write(
        "docker-compose.yml",
        &compose_file(&[("web", plain_service(READS, "volumes: [\"./site:/site:ro\"], environment: { A: b }"))]),
    );
    world.ask("/docker_deploy").await;
    let outcome = world.confirm().await.text;
    assert!(outcome.starts_with('✅'), "{outcome}");
    good(&carry_out(&world, "/docker_rollback shop").await.1);
    assert!(world.ask("/docker_status").await.text.contains("🟢 web"));
    for name in ["live", "code"] {
        std::fs::remove_file(links.path().with_extension(name)).unwrap();
    }
    world.finish().await;
}
