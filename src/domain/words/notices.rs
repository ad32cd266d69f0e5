//! What a chat is told though it did not ask just then, and the sentences for strangers.

use super::{flat, orphan_lines};
use crate::domain::Millis;
use crate::domain::access::ChatId;
use crate::domain::notice::{DatabaseLoss, RestoredFrom};
use crate::domain::orphans::Orphan;
use crate::domain::text::{Text, count, duration, listing};
use crate::domain::untrusted::UntrustedText;

/// How many old commands are named.
const STALE_SHOWN: usize = 5;

/// Somebody who is on no list.
pub fn stranger() -> Text {
    Text::new().plain("You are not on the list of people who may use me. /whoami shows the id that an admin needs to add you.")
}

/// A chat that is not listed.
pub fn chat_not_listed() -> Text {
    Text::new().plain("This chat is not on my list. /whoami shows the chat's id that an admin needs to add it.")
}

/// Text that is no command, in a private chat.
pub fn hint() -> Text {
    Text::new().plain("I understand commands only; /help lists them.")
}

/// dockmaster ended while it answered a message. Nothing is run again by itself.
pub fn unanswered(what: &str) -> Text {
    let text = Text::new().plain("I was stopped while I answered ").code(what);
    text.plain(". It is not run again by itself.\nLook at /docker_history, and send it again if it is still wanted.")
}

/// Containers are left over from services that are no longer configured.
pub fn left_over(project: &str, orphans: &[Orphan]) -> Text {
    let text = Text::new().plain("🧹 ").bold(format!("Left over from {project}")).line();
    let text = orphan_lines(text, orphans, false);
    text.plain(format!("They stay as they are until you remove them (/docker_tidy {project}); their volumes stay in any case."))
}

/// What a chat could not be told, for the person who asked or the admins.
pub fn chat_gone(said: Text, why: &str) -> Text {
    let text = said.plain("\n\nYou get this here because the chat where it was asked for cannot be reached: ");
    text.code(why).plain(".")
}

/// What a group was told that became a supergroup which is not listed, for the person who asked or the admins.
pub fn group_moved(said: Text, now: ChatId) -> Text {
    let text = said.plain("\n\nYou get this here, too, because the group has become a supergroup whose id is not listed. Add ");
    text.code(now.to_string()).plain(" to \"access.chats\" in projects.json.")
}

/// The database was lost or damaged, and restored.
pub fn database_lost(how: DatabaseLoss, from: RestoredFrom, aside: Option<&str>, now: Millis) -> Text {
    let text = Text::new().plain("⚠️ ").bold(format!("My database was {}", how.word())).line();
    let text = match from {
        RestoredFrom::Memory => text.plain("I restored it from memory; nothing is missing."),
        RestoredFrom::Backup { at } => {
            let age = duration(now.saturating_sub(at).max(0));
            text.plain(format!("I restored it from its backup of {age} ago. History and releases since then are missing."))
        }
        RestoredFrom::Nothing => text.plain("There was no backup: history and releases are gone, and I begin with a new one."),
    };
    match aside {
        Some(name) => text.plain("\nThe file that I found is kept in my data directory as ").code(name).plain("."),
        None => text,
    }
}

/// There is a new token for the bot; why it is not used, where it is not.
pub fn token(refused: Option<&str>) -> Text {
    match refused {
        None => Text::new().plain("🔑 The bot's token was changed; the new one is in use."),
        Some(why) => {
            let text = Text::new().plain("⚠️ ").bold("The new token is not used").plain(format!("\n{}.\n", flat(why)));
            text.plain("The one from before is, as long as Telegram accepts it. Put the right one there before I am started again.")
        }
    }
}

/// An error of ours while a message was answered.
pub fn broke_down() -> Text {
    Text::new().plain("That failed because of an error of mine; the log has the details.\nLook at /docker_history before you ask again.")
}

/// What came cannot be kept, and is not carried out before it is.
pub fn cannot_keep() -> Text {
    Text::new().plain(
        "I cannot write to my data directory, so I carry out nothing for now.\nMost likely the disk is full; my log says more.\nWhat you sent is answered once that is mended.",
    )
}

/// A message that could not be recorded for as long as that was tried.
pub fn given_up() -> Text {
    Text::new().plain("I could not record your message, so it was not carried out. Send it again once my data directory can be written.")
}

/// Messages that would change something and came too late. `skew` is how far this machine's clock is off, in
/// milliseconds (ahead is positive), where that is worth saying.
pub fn stale(what: &[String], limit_ms: i64, skew: Option<i64>) -> Text {
    let were = if what.len() == 1 { "was" } else { "were" };
    let many = count(what.len(), "command");
    let age = duration(limit_ms);
    let text = Text::new().plain(format!(
        "{many} {were} too old (sent more than {age} ago) and {were} not carried out: {}.\nSend again what is still wanted.",
        listing(what.iter().map(UntrustedText::from), STALE_SHOWN)
    ));
    match skew {
        Some(off) => {
            let (by, way) = (duration(off.abs()), if off > 0 { "ahead" } else { "behind" });
            text.plain(format!("\nMy machine's clock is {by} {way}; I go by Telegram's."))
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;
    use super::*;
    use expect_test::expect;

    #[test]
    fn sentences() {
        check(
            &stranger(),
            expect!["You are not on the list of people who may use me. /whoami shows the id that an admin needs to add you."],
        );
        check(&chat_not_listed(), expect!["This chat is not on my list. /whoami shows the chat's id that an admin needs to add it."]);
        check(
            &cannot_keep(),
            expect![[r#"
                I cannot write to my data directory, so I carry out nothing for now.
                Most likely the disk is full; my log says more.
                What you sent is answered once that is mended."#]],
        );
        check(&hint(), expect!["I understand commands only; /help lists them."]);
        check(
            &unanswered("/docker_restart <b>"),
            expect![[r#"
            I was stopped while I answered `/docker_restart <b>`. It is not run again by itself.
            Look at /docker_history, and send it again if it is still wanted."#]],
        );
        check(
            &broke_down(),
            expect![[r#"
            That failed because of an error of mine; the log has the details.
            Look at /docker_history before you ask again."#]],
        );
    }

    #[test]
    fn a_database_that_was_lost() {
        let backup = RestoredFrom::Backup { at: 0 };
        check(
            &database_lost(DatabaseLoss::Damaged, backup, Some("dockmaster.db.damaged-1"), 600_000),
            expect![[r#"
                ⚠️ *My database was damaged*
                I restored it from its backup of 10 min ago. History and releases since then are missing.
                The file that I found is kept in my data directory as `dockmaster.db.damaged-1`."#]],
        );
        check(
            &database_lost(DatabaseLoss::Removed, RestoredFrom::Memory, None, 0),
            expect![[r#"
                ⚠️ *My database was removed*
                I restored it from memory; nothing is missing."#]],
        );
    }

    #[test]
    fn what_is_left_over() {
        let orphan = |n: usize| Orphan {
            id: n.to_string(),
            name: format!("dockmaster-tools-mail-{n}").into(),
            why: "mail is no longer configured".into(),
            seen: "running for 3 h".into(),
            stateful: false,
        };
        check(
            &left_over("tools", &(1..=2).map(orphan).collect::<Vec<_>>()),
            expect![[r#"
                🧹 *Left over from tools*
                `dockmaster-tools-mail-1`: mail is no longer configured
                `dockmaster-tools-mail-2`: mail is no longer configured
                They stay as they are until you remove them (/docker_tidy tools); their volumes stay in any case."#]],
        );
        let many = left_over("tools", &(1..=100).map(orphan).collect::<Vec<_>>()).to_plain();
        assert!(many.contains("and 85 more") && many.len() < 1_500, "{many}");
    }

    #[test]
    fn old_commands() {
        check(
            &stale(&["/docker_restart".into(), "/docker_deploy".into()], 60_000, None),
            expect![[r#"
                2 commands were too old (sent more than 1 min ago) and were not carried out: `/docker_restart`, `/docker_deploy`.
                Send again what is still wanted."#]],
        );
        check(
            &stale(&["yes".into()], 60_000, Some(125_000)),
            expect![[r#"
                1 command was too old (sent more than 1 min ago) and was not carried out: `yes`.
                Send again what is still wanted.
                My machine's clock is 2 min 5 s ahead; I go by Telegram's."#]],
        );
    }
}
