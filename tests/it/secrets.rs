//! Values of variables, environments, arguments and addresses are quoted nowhere.

use crate::support::fixture::healthy_service;
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
    let more = "env_file: [app.env], environment: { A: \"${A:-}\", B: \"${NEEDED:?SECRETvalue1}\" }";
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
    assert!(text.contains("needs NEEDED, which nothing sets") && !text.contains("SECRETvalue"), "{text}");
    world.finish().await;
}
