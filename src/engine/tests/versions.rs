//! Which version of its API an engine is asked in.

use super::fake::Fake;
use crate::engine::docker::{Docker, EngineError};

/// An engine with one volume.
fn engine(newest: &'static str, oldest: &'static str) -> (Fake, Docker) {
    let fake = Fake::start();
    fake.tell(|told| told.versions = Some((newest, oldest)));
    fake.answer("/volumes", 200, r#"{"Volumes":[{"Name":"data"}]}"#);
    let docker = fake.docker();
    (fake, docker)
}

async fn volumes(docker: &Docker) -> usize {
    docker.volumes().await.unwrap().len()
}

#[tokio::test]
async fn the_version_is_asked_for_once_and_sent_with_everything() {
    for (newest, oldest, asked) in [
        ("1.41", "1.12", &["/_ping", "/v1.41/volumes"][..]),
        ("1.51", "1.24", &["/_ping", "/v1.51/volumes"]),
        ("1.55", "1.40", &["/_ping", "/v1.55/volumes"]),
        // What is newer than all that is known here is asked how far back it goes.
        ("1.60", "1.44", &["/_ping", "/version", "/v1.55/volumes"]),
        ("1.70", "1.60", &["/_ping", "/version", "/v1.60/volumes"]),
    ] {
        let (fake, docker) = engine(newest, oldest);
        assert_eq!(volumes(&docker).await, 1);
        assert_eq!(fake.asked(), asked);
        assert_eq!(volumes(&docker).await, 1);
        fake.answer("/containers/web/start", 204, "");
        docker.start("web").await.unwrap();
        let last = asked.last().unwrap();
        assert_eq!(fake.asked(), [last.to_string(), last.replace("volumes", "containers/web/start")], "bollard's own calls, too");
    }
}

#[tokio::test]
async fn an_engine_that_does_not_tell_its_version_is_asked_without_one() {
    let (fake, docker) = engine("1.45", "1.24");
    fake.tell(|told| told.tells_version = false);
    assert_eq!(volumes(&docker).await, 1);
    assert_eq!(fake.asked(), ["/_ping", "/version", "/v1.45/volumes"]);
    fake.tell(|told| told.versions = None);
    let docker = fake.docker();
    assert_eq!((volumes(&docker).await, volumes(&docker).await), (1, 1));
    assert_eq!(fake.asked(), ["/_ping", "/version", "/volumes", "/volumes"]);
}

#[tokio::test]
async fn an_engine_of_before_19_03_is_refused_in_one_sentence() {
    let (mut fake, docker) = engine("1.39", "1.12");
    for error in [docker.volumes().await.unwrap_err(), docker.ping().await.unwrap_err(), docker.start("web").await.unwrap_err()] {
        assert!(matches!(error, EngineError::TooOld(_)), "{error:?}");
        let said = "the Docker engine is too old: its newest API version is 1.39, and dockmaster needs 1.40 or later (Docker 19.03)";
        assert_eq!(error.to_string(), said);
        assert!(!error.may_pass());
    }
    assert_eq!(fake.asked(), ["/_ping"; 3]);
    fake.restart(|told| told.versions = Some(("1.40", "1.12")));
    assert_eq!(volumes(&docker).await, 1, "it was upgraded");
}

#[tokio::test]
async fn an_engine_that_comes_back_as_another_version_is_asked_in_that_one() {
    let (mut fake, docker) = engine("1.45", "1.24");
    assert_eq!(volumes(&docker).await, 1);
    fake.stop();
    let error = docker.volumes().await.unwrap_err();
    assert!(matches!(error, EngineError::Away(_)), "{error:?}");
    fake.tell(|told| told.asked.clear());
    fake.restart(|told| told.versions = Some(("1.55", "1.40")));
    assert_eq!(volumes(&docker).await, 1);
    assert_eq!(fake.asked(), ["/_ping", "/v1.55/volumes"]);
    // Nobody asked while it was away: the first answer tells that it is another.
    fake.restart(|told| told.versions = Some(("1.41", "1.12")));
    assert_eq!(volumes(&docker).await, 1);
    assert_eq!(volumes(&docker).await, 1);
    let asked = fake.asked();
    assert_eq!(asked.last().unwrap(), "/v1.41/volumes", "{asked:?}");
}
