//! `dockmaster check`: every problem of a configuration at once.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use crate::config::{self, Checked, ComposeProjects, Problem, Sources};
use crate::domain::impact::Impact;
use crate::domain::untrusted::visible;
use crate::domain::{text, words};
use crate::operations::Finding;

/// The configuration is valid.
const VALID: u8 = 0;
/// The configuration has problems.
const PROBLEMS: u8 = 1;
/// There is no configuration to read.
const UNREADABLE: u8 = 2;

#[derive(Serialize)]
struct Answer<'a> {
    valid: bool,
    problems: &'a [Problem],
    warnings: &'a [Problem],
    /// What a deploy of each project would be refused or warned for.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    projects: &'a [Finding],
    #[serde(skip_serializing_if = "Option::is_none")]
    impact: Option<&'a Impact>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Checks a file beside the compose projects that run and what was found out about its projects, and writes what is wrong with it, and
/// with `against` what would change from that one, for people or as JSON. Answers with the exit code.
///
/// # Errors
/// What the writer answers.
pub fn check(
    path: &Path,
    against: Option<&Path>,
    running: &ComposeProjects,
    found: &[Finding],
    json: bool,
    out: &mut impl Write,
) -> io::Result<u8> {
    let unreadable = |why: config::Unreadable, out: &mut dyn Write| {
        let sentence = format!("{why}; name the configuration with --config or DOCKMASTER_CONFIG.");
        writeln!(out, "{}", if json { as_json(&[], &[], &[], None, Some(sentence))? } else { sentence })?;
        Ok(UNREADABLE)
    };
    let checked = match Sources::read(path) {
        Ok(sources) => config::check_beside(&sources, &config::on_disk, running),
        Err(why) => return unreadable(why, out),
    };
    let refused = found.iter().any(|finding| finding.problem.is_some());
    let code = if checked.problems.is_empty() && !refused { VALID } else { PROBLEMS };
    let old = match against.map(Sources::read).transpose() {
        Ok(old) => old,
        Err(why) => return unreadable(why, out),
    };
    // What the old one names may be gone by now.
    let old = old.and_then(|sources| config::check_here(&sources, &config::unseen).configuration);
    let impact = old.as_ref().zip(checked.configuration.as_ref()).map(|(old, new)| Impact::between(old, new));
    if json {
        writeln!(out, "{}", as_json(&checked.problems, &checked.warnings, found, impact.as_ref(), None)?)?;
        return Ok(code);
    }
    people(path, &checked, found, out)?;
    match (&impact, against) {
        (Some(impact), _) => write!(out, "\n{}", words::impact(impact).to_plain())?,
        (None, Some(old)) if code == VALID => writeln!(out, "{} has problems of its own: there is nothing to compare with", old.display())?,
        _ => {}
    }
    Ok(code)
}

fn as_json(
    problems: &[Problem],
    warnings: &[Problem],
    projects: &[Finding],
    impact: Option<&Impact>,
    error: Option<String>,
) -> io::Result<String> {
    let valid = problems.is_empty() && error.is_none() && projects.iter().all(|finding| finding.problem.is_none());
    Ok(serde_json::to_string_pretty(&Answer { valid, problems, warnings, projects, impact, error })?)
}

fn people(path: &Path, checked: &Checked, found: &[Finding], out: &mut impl Write) -> io::Result<()> {
    let Checked { problems, warnings, .. } = checked;
    let refused = || found.iter().filter_map(|finding| Some((&finding.project, finding.problem.as_ref()?)));
    let warned = || found.iter().flat_map(|finding| finding.warnings.iter().map(move |warning| (&finding.project, warning)));
    let verdict = if problems.is_empty() && refused().next().is_none() { " is valid" } else { "" };
    writeln!(out, "{}{verdict}", path.display())?;
    for problem in problems {
        writeln!(out, "  problem {}", visible(&problem.to_string()))?;
    }
    for warning in warnings {
        writeln!(out, "  warning {}", visible(&warning.to_string()))?;
    }
    for (project, problem) in refused() {
        writeln!(out, "  problem projects.{project}: {}", indented(problem))?;
    }
    for (project, warning) in warned() {
        writeln!(out, "  warning projects.{project}: {}", indented(warning))?;
    }
    let counts = [(problems.len() + refused().count(), "problem"), (warnings.len() + warned().count(), "warning")];
    let told: Vec<String> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, noun)| text::count(*n, noun)).collect();
    if told.is_empty() { Ok(()) } else { writeln!(out, "{}", told.join(", ")) }
}

/// A text of several lines as a part of a list; nothing in it moves a terminal's cursor.
fn indented(text: &str) -> String {
    text.lines().map(visible).collect::<Vec<_>>().join("\n    ")
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// Checks the text as a file called projects.json in a directory of its own, which is shown as `DIR`.
    fn run(text: Option<&str>, json: bool, code: u8, expected: Expect) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_str().unwrap();
        for sub in ["code", "live"] {
            std::fs::create_dir(dir.path().join(sub)).unwrap();
        }
        std::fs::write(dir.path().join("live/docker-compose.yml"), "services: {}\n").unwrap();
        let path = dir.path().join("projects.json");
        if let Some(text) = text {
            std::fs::write(&path, text.replace("DIR", root)).unwrap();
        }
        let mut out = Vec::new();
        assert_eq!(check(&path, None, &ComposeProjects::new(), &[], json, &mut out).unwrap(), code);
        expected.assert_eq(&String::from_utf8(out).unwrap().replace(root, "DIR"));
    }

    const GOOD: &str = r#"{
  "access": { "users": { "11": "admin" } },
  "projects": {
    "shop": { "compose": {}, "workspace": "DIR/code", "production": "DIR/live", "stateful": [] }
  }
}"#;

    #[test]
    fn a_good_file() {
        run(
            Some(GOOD),
            false,
            0,
            expect![[r#"
            DIR/projects.json is valid
        "#]],
        );
        run(
            Some(GOOD),
            true,
            0,
            expect![[r#"
            {
              "valid": true,
              "problems": [],
              "warnings": []
            }
        "#]],
        );
        run(
            Some(&GOOD.replace(", \"stateful\": []", "")),
            false,
            0,
            expect![[r#"
            DIR/projects.json is valid
              warning 4:13 projects.shop.stateful: found nothing, expected “stateful” to name its databases (or to be []): a restart or a deploy takes all services along
            1 warning
        "#]],
        );
    }

    #[test]
    fn a_bad_file() {
        let bad = GOOD.replace("DIR/code", "DIR/gone").replace("admin", "boss").replace(", \"stateful\": []", "");
        run(
            Some(&bad),
            false,
            1,
            expect![[r#"
            DIR/projects.json
              problem 2:32 access.users.11: found “boss”, expected “viewer”, “operator” or “admin”
              problem 4:43 projects.shop.workspace: found “DIR/gone”, which does not exist, expected an existing directory
              warning 4:13 projects.shop.stateful: found nothing, expected “stateful” to name its databases (or to be []): a restart or a deploy takes all services along
            2 problems, 1 warning
        "#]],
        );
        run(
            Some(&bad),
            true,
            1,
            expect![[r#"
            {
              "valid": false,
              "problems": [
                {
                  "path": "access.users.11",
                  "line": 2,
                  "column": 32,
                  "found": "“boss”",
                  "expected": "“viewer”, “operator” or “admin”"
                },
                {
                  "path": "projects.shop.workspace",
                  "line": 4,
                  "column": 43,
                  "found": "“DIR/gone”, which does not exist",
                  "expected": "an existing directory"
                }
              ],
              "warnings": [
                {
                  "path": "projects.shop.stateful",
                  "line": 4,
                  "column": 13,
                  "found": "nothing",
                  "expected": "“stateful” to name its databases (or to be []): a restart or a deploy takes all services along"
                }
              ]
            }
        "#]],
        );
    }

    #[test]
    fn no_file() {
        run(
            None,
            false,
            2,
            expect![[r#"
                DIR/projects.json does not exist; name the configuration with --config or DOCKMASTER_CONFIG.
            "#]],
        );
        run(
            None,
            true,
            2,
            expect![[r#"
                {
                  "valid": false,
                  "problems": [],
                  "warnings": [],
                  "error": "DIR/projects.json does not exist; name the configuration with --config or DOCKMASTER_CONFIG."
                }
            "#]],
        );
    }
}
