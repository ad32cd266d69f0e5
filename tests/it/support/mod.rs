//! What tests share: a project on the real engine, the strict Bot API server, and the bot between them.

pub(crate) mod boxed;
pub(crate) mod browser;
pub(crate) mod disk;
pub(crate) mod engine;
pub(crate) mod fixture;
pub(crate) mod long;
pub(crate) mod made;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod registry;
pub(crate) mod saves;
pub(crate) mod shop;
pub(crate) mod terminal;
pub(crate) mod world;
pub(crate) mod yard;

pub(crate) use fixture::Fixture;
pub(crate) use world::{ADMIN, TOKEN, World};

use std::time::Duration;

/// How long anything may take before a test fails. Generous: the machine may be busy, and nobody waits it out when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
