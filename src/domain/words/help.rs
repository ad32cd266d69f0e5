//! Help, and who is who.

use super::trimmed;
use crate::domain::access::{ChatId, Role, UserId};
use crate::domain::text::Text;

/// How many projects are named in which a person has another role.
const PROJECTS_SHOWN: usize = 10;

/// A command, for the help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelpRow {
    /// Its name without the slash.
    pub name: &'static str,
    /// What can follow it.
    pub arguments: &'static str,
    /// What it does.
    pub description: &'static str,
    /// One that works, without the slash and the name.
    pub example: String,
}

/// Every command that a person may use, with an example each. `own` are projects in which their role is another one.
pub fn help(rows: &[HelpRow], role: Role, own: &[(String, Role)]) -> Text {
    let own: String = own.iter().take(PROJECTS_SHOWN).map(|(project, role)| format!(", in {project} {}", role.word())).collect();
    let mut text = Text::new().plain(format!("Your role is {}{own}. You can use:\n", role.word()));
    for row in rows {
        let arguments = if row.arguments.is_empty() { String::new() } else { format!(" {}", row.arguments) };
        text = text.plain(format!("\n/{}{arguments}\n{}\n", row.name, row.description));
        if !row.example.is_empty() {
            text = text.plain("e.g. ").code(format!("/{} {}", row.name, row.example)).line();
        }
    }
    trimmed(text.plain("\np is a project, p/service one service of it. Without a name the default project is meant."))
}

/// The first message of a conversation.
pub fn welcome() -> Text {
    Text::new().plain("I show, restart and deploy Docker projects. I say what I will do before I do it.\n\n")
}

/// The sender's id and the chat's id, and nothing else.
pub fn whoami(user: UserId, chat: ChatId) -> Text {
    Text::new().plain("Your id: ").code(user.to_string()).plain("\nThis chat: ").code(chat.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;
    use super::*;
    use expect_test::expect;

    #[test]
    fn help_and_ids() {
        let status = HelpRow { name: "docker_status", arguments: "[p]", description: "What runs.", example: "shop".into() };
        let whoami_ = HelpRow { name: "whoami", arguments: "", description: "Your id.", example: String::new() };
        check(
            &help(&[status, whoami_], Role::Viewer, &[("shop".into(), Role::Admin)]),
            expect![[r#"
                Your role is viewer, in shop admin. You can use:

                /docker_status [p]
                What runs.
                e.g. `/docker_status shop`

                /whoami
                Your id.

                p is a project, p/service one service of it. Without a name the default project is meant."#]],
        );
        check(
            &welcome(),
            expect![[r#"
            I show, restart and deploy Docker projects. I say what I will do before I do it.

        "#]],
        );
        check(
            &whoami(111, -100_123),
            expect![[r#"
            Your id: `111`
            This chat: `-100123`"#]],
        );
    }
}
