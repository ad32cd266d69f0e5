//! Which compose files Compose finds by itself, and which of them a project leaves out.

use std::path::PathBuf;

use super::text::listing;
use super::untrusted::UntrustedText;

/// The names under which Compose looks for a compose file, in its order.
pub const DEFAULTS: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
/// The names of files that Compose merges over one of those by itself.
pub const OVERRIDES: [&str; 4] =
    ["compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"];
/// The variable by which `.env` names compose files.
pub const VARIABLE: &str = "COMPOSE_FILE";
/// What stands between them, unless `COMPOSE_PATH_SEPARATOR` says otherwise.
const SEPARATOR: &str = ":";
/// How many names a sentence spells out.
const NAMED: usize = 5;

/// What is found beside the compose files that a project names.
#[derive(Debug, Default)]
pub struct Beside {
    /// The files of [`OVERRIDES`] that are there.
    pub overrides: Vec<String>,
    /// What `COMPOSE_FILE` of production's `.env` says.
    pub variable: Option<String>,
    /// What is between the names in it.
    pub separator: Option<String>,
    /// The files that the compose files take in (`include`, `extends`), as far as they name them as they are.
    pub taken_in: Vec<PathBuf>,
}

/// What is said of files that `docker compose up` by hand would read and the project does not name, a sentence each.
pub fn remarks(named: &[String], beside: &Beside) -> Vec<String> {
    let mut remarks = Vec::new();
    let shown = |names: &[String]| listing(names.iter().map(UntrustedText::from), NAMED);
    let separator = beside.separator.as_deref().filter(|s| !s.is_empty()).unwrap_or(SEPARATOR);
    let plain = |name: &str| name.trim().trim_start_matches("./").to_owned();
    let of_variable: Vec<String> =
        beside.variable.iter().flat_map(|text| text.split(separator)).map(plain).filter(|n| !n.is_empty()).collect();
    if !of_variable.is_empty() && of_variable.iter().ne(named.iter().map(|name| plain(name)).collect::<Vec<_>>().iter()) {
        remarks.push(format!(
            "{VARIABLE} of .env names {}, and dockmaster reads {}: name them as “files” in projects.json where they are meant.",
            shown(&of_variable),
            shown(named)
        ));
    }
    // Compose merges none where files are named to it.
    let is_default = named.len() == 1 && named.iter().all(|name| DEFAULTS.contains(&name.as_str())) && of_variable.is_empty();
    let overrides: Vec<String> = beside.overrides.iter().filter(|name| is_default && !named.contains(name)).cloned().collect();
    if !overrides.is_empty() {
        remarks.push(format!(
            "{} is not deployed, though “docker compose up” by hand reads it: add it to “files” in projects.json where it is meant for production.",
            shown(&overrides)
        ));
    }
    if !beside.taken_in.is_empty() {
        let names = listing(beside.taken_in.iter().map(UntrustedText::path), NAMED);
        remarks.push(format!("The compose files take in further ones: {names}."));
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn files_that_a_project_leaves_out_are_named() {
        let own = ["compose.yaml".to_owned()];
        let overrides = vec!["compose.override.yml".to_owned()];
        let of = |variable: &str| Beside { variable: Some(variable.into()), ..Beside::default() };
        let lines = [
            remarks(&own, &Beside { overrides: overrides.clone(), taken_in: vec!["base/db.yml".into()], ..Beside::default() }),
            remarks(&own, &of("compose.yaml:prod.yaml")),
            remarks(&own, &Beside { separator: Some(",".into()), ..of("a.yml,b.yml") }),
        ]
        .concat();
        expect![[r#"
            `compose.override.yml` is not deployed, though “docker compose up” by hand reads it: add it to “files” in projects.json where it is meant for production.
            The compose files take in further ones: `base/db.yml`.
            COMPOSE_FILE of .env names `compose.yaml`, `prod.yaml`, and dockmaster reads `compose.yaml`: name them as “files” in projects.json where they are meant.
            COMPOSE_FILE of .env names `a.yml`, `b.yml`, and dockmaster reads `compose.yaml`: name them as “files” in projects.json where they are meant."#]].assert_eq(&lines.join("\n"));
        let both = ["compose.yaml".to_owned(), "compose.override.yml".to_owned()];
        assert!(remarks(&both, &Beside { overrides: overrides.clone(), ..of("./compose.yaml:compose.override.yml") }).is_empty());
        assert!(remarks(&["prod.yml".to_owned()], &Beside { overrides, ..Beside::default() }).is_empty(), "none is merged over it");
        assert!(remarks(&own, &of("")).is_empty());
    }
}
