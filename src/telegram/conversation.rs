//! What is done about a message or a press, once it was understood.

use tokio::time::Instant;

use super::asked::Shown;
use super::command::{self, Command, Press};
use super::front::{Front, Place};
use super::operating::Wish;
use super::schema::{Intent, greatest_role};
use crate::domain::access::{Denied, role};
use crate::domain::confirm::Pending;
use crate::domain::words;

/// A person's turn for what is to be confirmed: its number, and what it ended.
pub(crate) type Turn = Option<(u64, Option<(Pending, Shown)>)>;

impl Front {
    /// Does what a message asks for.
    pub(crate) async fn carry_out(self, place: Place, intent: Intent, turn: Turn) {
        match intent {
            Intent::Run(command) => Box::pin(self.run(&place, command, turn)).await,
            Intent::Unclear(unclear) => self.say_with(&place, unclear.text, unclear.buttons).await,
            Intent::Unknown(typed) => self.say(&place, command::unknown(&typed)).await,
            Intent::TooLate(what) => self.too_late(&place, what).await,
            Intent::Word { yes, reply_to } => self.word(&place, yes, reply_to).await,
            Intent::Hint => self.say(&place, words::hint()).await,
            Intent::Denied(denied @ Denied::Role { .. }) => self.say(&place, words::denied(&denied)).await,
            Intent::Denied(denied) => {
                if place.private || self.seldom.may(place.chat, Instant::now()) {
                    self.say(&place, words::denied(&denied)).await;
                }
            }
        }
    }

    async fn run(&self, place: &Place, command: Command, turn: Turn) {
        match command {
            Command::Status(project) => self.status(place, &project).await,
            Command::Overview => self.overview(place).await,
            Command::Logs { query, follow: false } => self.logs(place, &query).await,
            Command::Logs { query, follow: true } => self.follow(place, query).await,
            Command::History(project) => self.history_of(place, &project).await,
            Command::Releases(project) => self.releases_of(place, &project).await,
            Command::Volumes(project) => self.volumes_of(place, &project).await,
            Command::Cancel(project) => self.cancel(place, &project).await,
            Command::Operate(request) => Box::pin(self.consider(place, Wish::Operation(request), turn)).await,
            Command::Config(command) => self.configure(place, command, turn).await,
            Command::Whoami => self.say(place, words::whoami(place.user, place.chat)).await,
            Command::Help { first } => {
                let config = self.desk.configuration();
                // Whoever came here is listed; should the list have changed just now, they are nobody.
                let (Ok(general), Ok(greatest)) = (role(&config, &place.actor, None), greatest_role(&config, &place.actor)) else { return };
                let own = config.enabled().filter_map(|p| Some((p.name.to_string(), role(&config, &place.actor, Some(&p.name)).ok()?)));
                let own: Vec<_> = own.filter(|(_, own)| *own != general).collect();
                let help = words::help(&command::help_rows(greatest, &config), general, &own);
                self.say(place, if first { words::welcome().then(help) } else { help }).await;
            }
        }
    }

    /// Does what a press of a button asks for.
    pub(crate) async fn pressed(self, place: Place, callback: String, press: Option<Press>, denied: Option<Denied>, turn: Turn) {
        if let Some(denied) = denied {
            return self.outbox.answer(callback, Some(words::denied(&denied).to_plain()), true);
        }
        match press {
            None => self.outbox.answer(callback, Some(words::late_press(words::Late::Unknown).to_plain()), true),
            Some(Press::Gone(project)) => self.outbox.answer(callback, Some(words::gone(&project).to_plain()), true),
            Some(Press::Stop(id)) => self.stop_following(&place, callback, &id),
            Some(Press::Files(nonce)) => self.files_of_plan(&place, callback, &nonce).await,
            Some(Press::Answer { nonce, yes }) => self.answered(&place, callback, &nonce, yes).await,
            Some(Press::Command(command)) => {
                self.outbox.answer(callback, None, false);
                self.run(&place, command, turn).await;
            }
        }
    }
}
