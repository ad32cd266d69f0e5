//! The configuration in the chat: what is asked of it, and what a change of it means for what goes on here.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::api::Api;
use super::command::ConfigCommand;
use super::front::{Front, Place, locked};
use super::menu::{self, Menus};
use super::operating::planned;
use super::outbox::Keyboard;
use crate::domain::access::{Actor, Role, allow};
use crate::domain::project::{Configuration, ProjectName};
use crate::domain::reload::Change;
use crate::domain::text::Text;
use crate::domain::words;
use crate::operations::Refusal;
use crate::operations::keeper::Takeover;

/// How soon it is tried again to set menus.
const AGAIN: Duration = Duration::from_secs(30);

impl Front {
    /// Answers what is asked of the configuration.
    pub(crate) async fn configure(&self, place: &Place, command: ConfigCommand) {
        let answer = match command {
            ConfigCommand::Standing => self.desk.configuration_standing(&place.actor).map(|s| words::configuration(&s, self.now())),
            ConfigCommand::Versions => {
                self.desk.configuration_versions(&place.actor).await.map(|(lines, in_force)| words::versions(&lines, in_force))
            }
            ConfigCommand::Diff(id) => {
                let diff = self.desk.configuration_diff(&place.actor, id).await;
                diff.map(|diff| words::version_diff(id, &diff.impact, diff.lines.join("\n")))
            }
            ConfigCommand::Keep(why) => self.desk.configuration_keep(&place.actor, why.as_deref()).await.map(words::version_kept),
            ConfigCommand::Reload => self.reload(place).await,
        };
        self.say(place, answer.unwrap_or_else(|refusal| self.refusal(&refusal))).await;
    }

    async fn reload(&self, place: &Place) -> Result<Text, Refusal> {
        let (cause, reloaded) = self.patiently(place, self.desk.configuration_reload(&place.actor)).await?;
        Ok(words::reload_came_to(&cause, &reloaded))
    }

    /// Withdraws what waits for a yes and is no longer what it was, and ends logs that somebody may no longer read.
    pub(crate) async fn follow_changes(self, mut takeovers: mpsc::Receiver<Takeover>) {
        while let Some(takeover) = takeovers.recv().await {
            let withdrawn = self.withdraw(&takeover.change);
            self.follows.retain(|actor, project| may_still(&takeover.change.new, actor, project, Role::Viewer));
            takeover.done(withdrawn);
        }
    }

    fn withdraw(&self, change: &Change) -> Vec<String> {
        let fallen = locked(&self.asked).fall(|pending, shown| {
            let request = &pending.request;
            !shown.is_current(&change.new) || !may_still(&change.new, &shown.actor, request.project(), request.kind().needs())
        });
        let mut said = Vec::with_capacity(fallen.len());
        for (chat, pending, shown) in fallen {
            said.push(format!("{} {}", shown.plan.kind().word(), shown.plan.target()));
            if pending.message != 0 {
                self.outbox.edit(chat, pending.message, words::withdrawn(&planned(&shown.plan)), Keyboard::new());
            }
        }
        said
    }
}

fn may_still(config: &Configuration, actor: &Actor, project: &ProjectName, needs: Role) -> bool {
    config.projects.get(project).is_some_and(|p| p.enabled) && allow(config, actor, Some(project), needs).is_ok()
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
                let followed = menus.follow(&api, &config).await;
                set = followed.is_ok();
                match followed {
                    Ok(()) => takeover.done(Vec::new()),
                    Err(why) => takeover.failed(why),
                }
            }
            () = tokio::time::sleep(AGAIN), if !set => set = menus.follow(&api, &config).await.is_ok(),
        }
    }
}
