//! Answers that are wrong as a whole, and single ones among others.

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use super::fake::Fake;
use crate::engine::docker::{Docker, EngineError};
use crate::engine::looks::Look;

fn shop() -> Look {
    Look::Compose("shop".to_owned())
}

/// A container of the shop's as it is listed and as it is inspected.
fn container(service: &str) -> (Value, Value) {
    let labels = json!({
        "com.docker.compose.project": "shop", "com.docker.compose.service": service,
        "com.docker.compose.container-number": "1", "com.docker.compose.config-hash": "0a1b"
    });
    let (id, name) = (format!("id-{service}"), format!("/shop-{service}-1"));
    let listed = json!({ "Id": id, "Names": [name], "Labels": labels, "State": "running", "Image": "shop-web:1", "ImageID": "sha256:02" });
    let state = json!({ "Status": "running", "StartedAt": "2026-11-30T10:00:00Z" });
    (listed, json!({ "Id": id, "Name": name, "Image": "sha256:02", "State": state, "Config": { "Image": "shop-web:1", "Labels": labels } }))
}

/// An engine with some containers of the shop's.
fn engine(services: &[&str]) -> Fake {
    let fake = Fake::start();
    let all: Vec<(Value, Value)> = services.iter().map(|service| container(service)).collect();
    let listed: Vec<&Value> = all.iter().map(|(listed, _)| listed).collect();
    fake.answer("/containers/json", 200, json!(listed).to_string());
    for (_, seen) in &all {
        fake.answer(&format!("/containers/{}/json", seen["Id"].as_str().unwrap()), 200, seen.to_string());
    }
    fake
}

/// What is seen, a line each.
async fn seen(docker: &Docker) -> Vec<String> {
    let mut all = docker.containers(&shop()).await.unwrap();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all.iter().map(|c| format!("{} {:?} {}", c.service, c.state, c.error)).collect()
}

#[tokio::test]
async fn one_container_that_cannot_be_read_blinds_nobody_to_the_others() {
    let fake = engine(&["api", "db", "web"]);
    let docker = fake.docker();
    let fine = ["api Running ", "db Running ", "web Running "];
    assert_eq!(seen(&docker).await, fine);
    for (status, body, why) in [
        (200, r#"{"Id":"id-db","State":{"Status":"stopped"}}"#, ""),
        (200, r#"{"Id":null,"Name":null,"State":null,"Config":null}"#, ""),
        (200, r#"{"Id":5,"Name":[],"State":"running","Config":{"Labels":"none"}}"#, ""),
        (200, "{}", ""),
        (200, "null", "the Docker engine's answer cannot be read: `GET /containers/id-db/json: it is no object`"),
        (200, "", "the Docker engine's answer cannot be read: `GET /containers/id-db/json: EOF while parsing a value at line 1 column 0`"),
        (500, r#"{"message":"layer does not exist"}"#, "the Docker engine refused: `layer does not exist`"),
    ] {
        fake.answer("/containers/id-db/json", status, body);
        assert_eq!(seen(&docker).await, ["api Running ", &format!("db Unknown {why}"), "web Running "], "{body}");
    }
    fake.answer("/containers/id-db/json", 404, r#"{"message":"No such container: id-db"}"#);
    assert_eq!(seen(&docker).await, ["api Running ", "web Running "], "it is gone");
}

#[tokio::test]
async fn what_the_list_does_not_tell_is_asked_for() {
    let fake = engine(&["api", "web"]);
    let docker = fake.docker();
    let both = [shop(), Look::Compose("blog".to_owned())];
    let names = async |docker: &Docker| {
        let seen = docker.glance_all(&both).await;
        let mut names: Vec<String> = seen[0].as_ref().unwrap().iter().map(|c| c.service.to_string()).collect();
        names.sort();
        assert_eq!(seen[1].as_ref().unwrap().len(), 0);
        names
    };
    let (mut api, _) = container("api");
    let (web, _) = container("web");
    for labels in [Value::Null, json!("none"), json!(5)] {
        api["Labels"] = labels;
        fake.answer("/containers/json", 200, json!([api, web, null, 5, {}]).to_string());
        assert_eq!(names(&docker).await, ["api", "web"], "{api}");
    }
    api["Id"] = Value::Null;
    let (_, seen) = container("api");
    fake.answer("/containers/shop-api-1/json", 200, seen.to_string());
    fake.answer("/containers/json", 200, json!([api, web]).to_string());
    assert_eq!(names(&docker).await, ["api", "web"], "known by its name");
    assert_eq!(docker.images_in_use().await.unwrap().len(), 1);
    api["ImageID"] = Value::Null;
    fake.answer("/containers/json", 200, json!([api, web]).to_string());
    assert!(matches!(docker.images_in_use().await, Err(EngineError::Unreadable(_))), "an image may be in use that is not told");
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_no_engine_that_is_away() {
    let fake = engine(&["web"]);
    let docker = fake.docker();
    for (body, why) in [
        (b"<html>".to_vec(), "GET /containers/json: expected value at line 1 column 1"),
        (b"[{\"Id\":".to_vec(), "GET /containers/json: EOF while parsing a value at line 1 column 7"),
        (b"{}".to_vec(), "GET /containers/json: it is no list"),
        (b"[\"\xff\"]".to_vec(), "GET /containers/json: invalid unicode code point at line 1 column 3"),
        ([b"[".repeat(200), b"]".repeat(200)].concat(), "GET /containers/json: recursion limit exceeded at line 1 column 128"),
        (vec![b' '; (64 << 20) + 1], "GET /containers/json: it is longer than 67108864 bytes"),
    ] {
        fake.answer("/containers/json", 200, body);
        let error = docker.containers(&shop()).await.unwrap_err();
        assert!(matches!(&error, EngineError::Unreadable(said) if said.raw() == why), "{error}");
        let failure = error.failure("It could not be looked at.");
        assert!(failure.why.contains("answers") && !failure.why.contains("does not answer"), "{failure:?}");
    }
    fake.answer("/containers/json", 200, "null");
    assert_eq!(docker.containers(&shop()).await.unwrap().len(), 0, "no list at all is an empty one");
}

#[tokio::test]
async fn what_speaks_no_http_is_not_away_and_what_says_nothing_is() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("docker.sock");
    let docker = Docker::at(Some(&format!("unix://{}", socket.display()))).unwrap();
    let error = docker.containers(&shop()).await.unwrap_err();
    assert!(matches!(error, EngineError::Away(_)), "nobody listens: {error}");
    let listener = UnixListener::bind(&socket).unwrap();
    for (said, is_away) in [(&b"SSH-2.0-OpenSSH_9.2\r\n"[..], false), (b"", true)] {
        let shop = shop();
        let says = async {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                assert!(client.read(&mut [0; 1024]).await.unwrap() > 0, "nothing was asked");
                client.write_all(said).await.unwrap();
            }
        };
        let error = tokio::select! {
            seen = docker.containers(&shop) => seen.unwrap_err(),
            () = says => continue,
        };
        assert_eq!(matches!(error, EngineError::Away(_)), is_away, "{error}");
        assert_eq!(matches!(error, EngineError::Unreadable(_)), !is_away, "{error}");
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_read_ends_nothing() {
    let fake = Fake::start();
    let event =
        |action: Value| json!({ "Type": "container", "Action": action, "Actor": { "ID": "0a" }, "timeNano": 1_000_000 }).to_string();
    let lines = [
        event("start".into()),
        "no JSON".to_owned(),
        r#"{"Type":"orchestra","Action":7,"Actor":[],"timeNano":"5000000"}"#.to_owned(),
        "null".to_owned(),
        event("die".into()),
    ];
    fake.answer("/events", 200, lines.join("\n") + "\n");
    let told: Vec<_> = fake.docker().told_since("0").collect().await;
    let told: Vec<String> =
        told.into_iter().map(|change| change.map(|c| format!("{} {} {}", c.action, c.container, c.at)).unwrap()).collect();
    assert_eq!(told, ["start 0a 1", "  0", "  5", "  0", "die 0a 1"], "whatever it is, something may have changed");
}

#[tokio::test]
async fn what_was_made_is_known_whatever_the_engine_says_of_it() {
    let fake = Fake::start();
    let docker = fake.docker();
    for (body, known) in [(r#"{"Id":"0a1b","Warnings":null}"#, "0a1b"), (r#"{"Id":5}"#, "web"), ("<html>", "web"), ("", "web")] {
        fake.answer("/containers/create", 201, body);
        assert_eq!(docker.created("web", &json!({})).await.unwrap(), known, "{body}");
    }
}
