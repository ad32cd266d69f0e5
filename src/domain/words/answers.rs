//! Answers to commands that could not be understood: what is wrong, what is allowed, an example.

use crate::domain::text::{Text, listing};

/// How many project names are spelt out.
const NAMES_SHOWN: usize = 12;

/// No project of that name. `implied` is the one that is meant when none is named.
pub fn unknown_project(typed: &str, near: &[String], all: &[String], implied: Option<&str>) -> Text {
    let mut text = Text::new().plain("There is no project ").code(typed).plain(".");
    text = match (near, all) {
        (_, []) => text.plain(" No project is enabled in projects.json."),
        ([], _) => text.plain(format!("\nThere is: {}.", listing(all, NAMES_SHOWN))),
        (near, _) => text.plain(format!("\nNearest: {}.", listing(near, NAMES_SHOWN))),
    };
    match implied {
        Some(project) if near.is_empty() && !all.is_empty() => {
            text.plain("\nA service is named with its project: ").code(format!("{project}/{typed}"))
        }
        _ => text,
    }
}

/// The project is there, and disabled.
pub fn disabled(project: &str) -> Text {
    Text::new().plain(format!("{project} is disabled in projects.json (\"enabled\": false)."))
}

/// What was typed as a service's name is none.
pub fn wrong_service(typed: &str) -> Text {
    let text = Text::new().code(typed).plain(" is no service's name: it has letters, digits and _ - . only.\nExample: ");
    text.code("shop/backend")
}

/// What was typed as a path is none below a project's root.
pub fn wrong_path(typed: &str) -> Text {
    let text = Text::new().code(typed).plain(" is no path below the project's directory: type it as the plan shows it.\nExample: ");
    text.code("overwrite=conf.d/app.conf")
}

/// No project was named, and there is no default.
pub fn no_project(command: &str, all: &[String]) -> Text {
    if all.is_empty() {
        return Text::new().plain("No project is enabled in projects.json.");
    }
    let first = all.first().map_or("", String::as_str);
    let text = Text::new().plain(format!("Which project? There is: {}.\nExample: ", listing(all, NAMES_SHOWN)));
    text.code(format!("/{command} {first}"))
}

/// As [`no_project`], where buttons name the projects.
pub fn which_project() -> Text {
    Text::new().plain("Which project?")
}

/// An argument that the command does not know.
pub fn unclear(typed: &str, command: &str, arguments: &str, example: &str) -> Text {
    let text = Text::new().plain("I do not understand ").code(typed).plain(" here.\nAllowed: ");
    text.code(format!("/{command} {arguments}")).plain("\nExample: ").code(format!("/{command} {example}"))
}

/// A number of lines that is not allowed.
pub fn lines_out_of_range(typed: &str, most: usize) -> Text {
    Text::new().code(typed).plain(format!(" lines cannot be shown: ask for 1 to {most}."))
}

/// A command that does not exist.
pub fn unknown_command(typed: &str, near: &[String]) -> Text {
    let text = Text::new().plain("There is no command ").code(format!("/{typed}")).plain(".");
    let near: Vec<String> = near.iter().map(|n| format!("/{n}")).collect();
    if near.is_empty() { text.plain(" /help lists them.") } else { text.plain(format!("\nNearest: {}. /help lists all.", near.join(", "))) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;
    use super::*;
    use expect_test::expect;

    #[test]
    fn answers_to_what_was_not_understood() {
        let all = ["shop".to_owned(), "edge".to_owned()];
        check(
            &unknown_project("shp", &all[..1], &all, None),
            expect![[r#"
            There is no project `shp`.
            Nearest: shop."#]],
        );
        check(
            &unknown_project("-rf", &[], &all, None),
            expect![[r#"
            There is no project `-rf`.
            There is: shop, edge."#]],
        );
        check(
            &unknown_project("backend", &[], &all[..1], Some("shop")),
            expect![[r#"
            There is no project `backend`.
            There is: shop.
            A service is named with its project: `shop/backend`"#]],
        );
        check(&unknown_project("x", &[], &[], None), expect!["There is no project `x`. No project is enabled in `projects.json`."]);
        check(&disabled("old"), expect![[r#"old is disabled in `projects.json` ("enabled": false)."#]]);
        check(
            &wrong_service("../x"),
            expect![[r#"
            `../x` is no service's name: letters, digits, _ - and .
            Example: `shop/backend`"#]],
        );
        check(
            &no_project("docker_stop", &all),
            expect![[r#"
            Which project? There is: shop, edge.
            Example: `/docker_stop shop`"#]],
        );
        check(&no_project("docker_stop", &[]), expect!["No project is enabled in `projects.json`."]);
        check(&which_project(), expect!["Which project?"]);
        check(
            &unclear("--force", "docker_restart", "[p[/service]] [strategy]", "shop rolling"),
            expect![[r#"
            I do not understand `--force` here.
            Allowed: `/docker_restart [p[/service]] [strategy]`
            Example: `/docker_restart shop rolling`"#]],
        );
        check(&lines_out_of_range("5000", 1_000), expect!["`5000` lines cannot be shown: ask for 1 to 1000."]);
        check(
            &unknown_command("docker_statsu", &["docker_status".to_owned()]),
            expect![[r#"
            There is no command `/docker_statsu`.
            Nearest: /docker_status. /help lists all."#]],
        );
        check(&unknown_command("x", &[]), expect!["There is no command `/x`. /help lists them."]);
    }
}
