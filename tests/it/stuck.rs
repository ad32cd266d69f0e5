//! A container that the engine can never start again, as one that was killed while the container ended may leave it. Compose says so in
//! the engine's words; here it is made to.

use serde_json::json;

use crate::faults::{end, running};
use crate::support::fixture::{compose_file, healthy_service, service};
use crate::support::program::Tools;
use crate::support::shop::{running_image, shop};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_undone_gets_another_container() {
    let fixture = shop(json!({}));
    let before = running_image(&fixture, "web");
    let tools = Tools::all();
    let (name, failing) = (fixture.name.clone(), "exit 3");
    // The container that web has when it is undone is the one that never starts.
    let says = "Error response from daemon: failed to create task for container: task";
    tools.script(
        "docker-compose",
        &format!(
            "case \"$*\" in *' up --detach '*)
               if [ -e $here/deployed ]; then
                 now=$($real --project-name {name} ps --all --quiet web)
                 [ -e $here/lost ] || echo \"$now\" >$here/lost
                 [ \"$now\" != \"$(/bin/cat $here/lost)\" ] || {{ echo \"{says} $now: already exists\" >&2; exit 1; }}
               fi
               : >$here/deployed ;;
             esac
             exec $real \"$@\""
        ),
    );
    let (world, program) = running(fixture, &tools).await;
    let shop = &world.fixtures[0];
    shop.write("docker-compose.yml", &compose_file(&[("web", service(failing, "")), ("postgres", healthy_service(""))]));
    world.ask("/docker_deploy").await;
    let outcome = world.confirm().await.text;
    assert!(outcome.starts_with('❌') && outcome.contains("Everything was put back"), "{outcome}");
    let lost = std::fs::read_to_string(tools.path().join("lost")).unwrap();
    assert_ne!(shop.container("web").0, lost.trim(), "{outcome}");
    assert_eq!(running_image(shop, "web"), before);
    assert_eq!(shop.containers().len(), 2, "{:?}", shop.containers());
    end(world, program).await;
}
