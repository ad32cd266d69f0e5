//! What dockmaster keeps does not last where it is: told at the start.

use std::collections::BTreeSet;

use super::Surroundings;
use super::take::admins;
use crate::domain::Millis;
use crate::domain::environment::{Concern, Environment};
use crate::domain::notice::{Notice, Origin};
use crate::domain::project::Configuration;
use crate::domain::words;

/// Says in the log what does not last, and tells the admins, unless they were told the same lately: whatever is started again
/// and again says it once. Returns where we run, with what it names fit for this configuration.
pub(super) async fn told(around: &Surroundings, configuration: &Configuration, now: Millis) -> Environment {
    let environment = around.environment.clone().sparing(configuration);
    for said in words::moved(&environment).into_iter().chain(environment.concerns.iter().map(words::concern)) {
        tracing::warn!("{said}");
    }
    // On a machine somebody has chosen the place; in a container it is easily nobody's choice.
    let concerns: Vec<Concern> = environment.concerns.iter().filter(|concern| concern.boxed).cloned().collect();
    let chats = if concerns.is_empty() { BTreeSet::new() } else { admins(&[configuration]) };
    for chat in chats {
        let (origin, notice) = (Origin { chat, thread: None, message: None }, Notice::Concerns { concerns: concerns.clone() });
        if let Err(error) = around.history.notice_post_once(origin, notice, now).await {
            tracing::error!(%error, chat, "an admin could not be told that what is kept does not last");
        }
    }
    environment
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::domain::environment::{LiesOn, Which};
    use crate::history::History;
    use crate::operations::Vitals;

    #[tokio::test]
    async fn admins_are_told_once_while_that_is_remembered() {
        let place = tempfile::tempdir().unwrap();
        let history = History::open(&place.path().join("history.db")).unwrap();
        let would_serve = ["/srv", "/srv/shop", "/srv/shop/uploads", "/kept", "/work"].map(Into::into).to_vec();
        let concern = Concern { which: Which::Data, path: "/data".into(), on: LiesOn::Layer, boxed: true, would_serve };
        let environment = Environment { concerns: vec![concern], ..Environment::default() };
        let around = Surroundings {
            history: history.clone(),
            clock: || 0,
            vitals: Vitals::default(),
            hot: true,
            stopping: CancellationToken::new(),
            environment,
        };
        let text = r#"{ "access": { "users": { "1": "admin", "2": "admin", "3": "viewer" } },
            "projects": { "shop": { "compose": {}, "workspace": "/work", "production": "/srv/shop" } } }"#;
        let configuration = crate::config::check(text, &crate::config::unseen).configuration.unwrap();
        let told = async |now| {
            let seen = super::told(&around, &configuration, now).await;
            assert_eq!(seen.concerns[0].would_serve, ["/kept", "/srv"].map(std::path::PathBuf::from));
            let waiting = history.notices_waiting().await.unwrap();
            for one in &waiting {
                history.notice_settled(one.id, now, None).await.unwrap();
            }
            history.prune(now).await.unwrap();
            waiting.iter().map(|w| w.origin.chat).collect::<Vec<_>>()
        };
        assert_eq!(told(0).await, [1, 2]);
        assert_eq!(told(1).await, Vec::<i64>::new());
        let week = 7 * 24 * 3_600 * 1_000;
        assert_eq!(told(week + 2).await, Vec::<i64>::new(), "not yet forgotten");
        assert_eq!(told(week + 3).await, [1, 2]);
    }
}
