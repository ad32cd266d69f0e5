//! A failure says why: no separators, no empty reasons, no blame for what somebody else ended.

use crate::support::fixture::{self, plain_service};
use crate::support::program::{Launch, Tools};
use crate::support::{Fixture, World};

const SERVES: &str = "while true; do sleep 1; done";

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_build_says_why() {
    let shop = Fixture::new(&[("web", String::new())]);
    shop.write("docker-compose.yml", "services:\n  web: { build: . }\n");
    let dockerfile = |run: &str| format!("FROM {}\nRUN [\"sh\", \"-c\", \"{run}\"]\n", fixture::image());
    shop.write("Dockerfile", &dockerfile("echo no luck today; exit 3"));
    let world = World::prepare(vec![shop], serde_json::json!({ "default_project": "shop" })).await;
    let tools = Tools::all();
    let program = Launch::run(&world, &tools).start();
    let deployed = async || {
        world.ask("/docker_deploy").await;
        world.confirm().await.text
    };
    let failed = deployed().await;
    assert!(failed.contains("The images could not be built.\nfailed to solve: ") && failed.contains("no luck today"), "{failed}");
    assert!(!failed.contains("---"), "{failed}");

    // Ended from outside, at once and when it says so itself.
    for ending in ["kill -9 $$", "exit 130"] {
        tools.script("docker-compose", &format!("case \"$*\" in *' build '*) {ending} ;; esac\nexec $real \"$@\""));
        let failed = deployed().await;
        assert!(failed.contains("The images could not be built.\nIt was ended by a signal from outside.\nAsk again."), "{failed}");
    }
    tools.script("docker-compose", "case \"$*\" in *' build '*) exit 17 ;; esac\nexec $real \"$@\"");
    let failed = deployed().await;
    assert!(failed.contains("It ended with code 17 and said nothing."), "{failed}");
    program.stop().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_has_a_reason() {
    let shop = Fixture::new(&[("web", plain_service(SERVES, ""))]);
    let world = World::start(shop).await;
    world.fixtures[0].write("docker-compose.yml", "services:\n  web: { image: \"a//b\" }\n");
    let refused = world.ask("/docker_deploy").await.text;
    assert!(refused.contains("“a//b” is not the name of an image"), "{refused}");
    world.fixtures[0].write("docker-compose.yml", "services:\n  web: { image: x, nosuch: 1, other: 2 }\n");
    let refused = world.ask("/docker_deploy").await.text;
    assert!(refused.contains("Additional property"), "{refused}");
    world.fixtures[0].write("docker-compose.yml", "services:\n  web: { image: x, mem_limit: much }\n");
    let refused = world.ask("/docker_deploy").await.text;
    assert!(refused.contains("error decoding 'services[web].mem_limit': invalid size: 'much'"), "{refused}");
    world.finish().await;
}
