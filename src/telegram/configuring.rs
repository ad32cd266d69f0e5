//! The configuration in the chat: what is asked of it, and what a change of it means for what goes on here.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::api::Api;
use super::command::ConfigCommand;
use super::conversation::Turn;
use super::front::{Front, Place, locked};
use super::menu::{self, Menus};
use super::operating::{Wish, planned};
use super::outbox::Keyboard;
use crate::domain::access::{Role, allow};
use crate::domain::project::Configuration;
use crate::domain::words;
use crate::operations::keeper::{Taken, Takeover};

/// How soon it is tried again to set menus.
const AGAIN: Duration = Duration::from_secs(30);
/// How long whoever changes the configuration waits for menus to be set.
const PATIENCE: Duration = Duration::from_secs(4);

impl Front {
    /// Answers what is asked of the configuration.
    pub(crate) async fn configure(&self, place: &Place, command: ConfigCommand, turn: Turn) {
        let answer = match command {
            ConfigCommand::Standing => self.desk.configuration_standing(&place.actor).map(|s| words::configuration(&s, self.now())),
            ConfigCommand::Versions => {
                self.desk.configuration_versions(&place.actor).await.map(|(lines, in_force)| words::versions(&lines, in_force))
            }
            // Others would read the values.
            ConfigCommand::Diff(_, true) if !place.private => Ok(words::values_in_private()),
            ConfigCommand::Diff(id, values) => {
                let diff = self.desk.configuration_diff(&place.actor, id, values).await;
                diff.map(|diff| words::version_diff(id, &diff.impact, diff.lines.join("\n"), values))
            }
            ConfigCommand::Keep(why) => self.desk.configuration_keep(&place.actor, why.as_deref()).await.map(words::version_kept),
            ConfigCommand::Reload => {
                self.patiently(place, self.desk.configuration_reload(&place.actor)).await.map(|r| words::reload_came_to(&r))
            }
            ConfigCommand::Rollback(id) => return self.consider(place, Wish::Version(id), turn).await,
        };
        self.say(place, answer.unwrap_or_else(|refusal| self.refusal(&refusal))).await;
    }

    /// Withdraws what waits for a yes and is no longer what it was, and ends logs that somebody may no longer read.
    pub(crate) async fn follow_changes(self, mut takeovers: mpsc::Receiver<Takeover>) {
        while let Some(takeover) = takeovers.recv().await {
            let (withdrawn, new) = (self.withdraw(&takeover.change.new), &takeover.change.new);
            self.follows.retain(|actor, project| {
                new.projects.get(project).is_some_and(|p| p.enabled) && allow(new, actor, Some(project), Role::Viewer).is_ok()
            });
            takeover.done(Taken { withdrawn, ..Taken::default() });
        }
    }

    fn withdraw(&self, config: &Configuration) -> Vec<String> {
        let fallen = locked(&self.asked).fall(config);
        let mut said = Vec::with_capacity(fallen.len());
        for (chat, pending, shown) in fallen {
            said.push(shown.question.what());
            if pending.message != 0 {
                self.outbox.edit(chat, pending.message, words::withdrawn(&planned(&shown.question)), Keyboard::new());
            }
        }
        said
    }
}

/// Sets the menus of commands, and anew where a change gives or takes rights: one after another, so that the last one counts.
/// What Telegram did not take is tried again.
pub(super) async fn keep_menus(api: Api, mut config: Arc<Configuration>, takeovers: Option<mpsc::Receiver<Takeover>>) {
    let mut menus = Menus::default();
    menu::set_for_everybody(&api).await;
    let mut set = menus.follow(&api, &config).await.is_ok();
    let (_open, never) = mpsc::channel(1);
    let mut takeovers = takeovers.unwrap_or(never);
    loop {
        tokio::select! {
            takeover = takeovers.recv() => {
                let Some(takeover) = takeover else { return };
                config = takeover.change.new.clone();
                let followed = timeout(PATIENCE, menus.follow(&api, &config)).await;
                set = matches!(followed, Ok(Ok(())));
                match followed {
                    Ok(Ok(())) => takeover.done(Taken::default()),
                    Ok(Err(why)) => takeover.later(why),
                    Err(_) => takeover.later("Telegram takes its time".to_owned()),
                }
            }
            () = tokio::time::sleep(AGAIN), if !set => set = menus.follow(&api, &config).await.is_ok(),
        }
    }
}
