//! A configuration in several files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use expect_test::{Expect, expect};

use super::super::{Sources, check_sources, read};
use super::{plenty, told};

const MAIN: &str = r#"{
  "default_project": "shop",
  "access": { "users": { "11": "admin" } },
  "include": ["projects.d/*.json", "edge.json"],
  "projects": {}
}"#;

fn project(name: &str) -> String {
    format!("{{\n  \"projects\": {{ \"{name}\": {{ \"containers\": [\"{name}-1\"] }} }}\n}}")
}

/// What the main file and others are told, on a plentiful disk.
fn answer(main: &str, others: &[(&str, &str)], expected: Expect) {
    let mut sources = Sources::alone(main);
    sources.included = others.iter().map(|(name, text)| ((*name).to_owned(), Ok(text.as_bytes().to_vec()))).collect();
    let checked = check_sources(&sources, &plenty);
    assert_eq!(checked.configuration.is_some(), checked.problems.is_empty());
    expected.assert_eq(&told(&checked));
}

#[test]
fn problems_name_their_file_line_and_column() {
    let (shop, edge) = (project("shop"), project("edge"));
    answer(MAIN, &[("edge.json", &edge), ("projects.d/shop.json", &shop)], expect![[""]]);
    let bad = shop.replace("\n}", ",\n  \"access\": {}\n}").replace("shop-1", "-1");
    let twice = project("Edge").replace("\n}", "}\n");
    answer(
        &MAIN.replace("\"shop\",", "\"blog\","),
        &[
            ("edge.json", &format!("\u{feff}{edge}")),
            ("projects.d/a.json", &bad),
            ("projects.d/b.json", &twice),
            ("projects.d/c.json", &edge),
        ],
        expect![[r#"
            2:22 default_project: found “blog”, expected the name of a project: “edge”, “shop”, “Edge” or “edge”
            projects.d/a.json:2:42 projects.shop.containers[0]: found “-1”, expected a name: 1 to 128 of A-Z a-z 0-9 _ - ., starting with a letter or digit
            projects.d/a.json:3:3 access: found the unknown key “access”, expected one of “$schema” or “projects”
            projects.d/b.json:2:17 projects.Edge: found “Edge”, expected a name that differs from “edge” in more than its case
            projects.d/c.json:2:17 projects.edge: found the project “edge” again, expected each project in one file
            projects.d/c.json:2:42 projects.edge.containers[0]: found “edge-1”, which selects what this project has already, expected containers of its own
        "#]],
    );
}

#[test]
fn a_file_that_is_no_json_is_the_only_thing_that_is_told() {
    answer(
        MAIN,
        &[("edge.json", &project("edge")), ("projects.d/shop.json", "{\n  \"projects\": {\n")],
        expect![[r#"
            projects.d/shop.json:3:1: found the end of the file, expected a key in double quotes or “}”
        "#]],
    );
}

#[test]
fn bad_patterns_and_files_that_are_not_there() {
    let main = MAIN.replace("\"projects.d/*.json\"", "\"*/a.json\", \"\", \"a/\", \"[\", 5, \"edge.json\"").replace("shop", "edge");
    answer(
        &main,
        &[],
        expect![[r#"
        2:22 default_project: found “edge”, expected the name of a project: 
        4:15 include[0]: found “*/a.json”, expected the name of a file, or a pattern such as “projects.d/*.json”, with wildcards in its last part alone
        4:27 include[1]: found “”, expected the name of a file, or a pattern such as “projects.d/*.json”, with wildcards in its last part alone
        4:31 include[2]: found “a/”, expected the name of a file, or a pattern such as “projects.d/*.json”, with wildcards in its last part alone
        4:37 include[3]: found “[”, expected the name of a file, or a pattern such as “projects.d/*.json”, with wildcards in its last part alone
        4:42 include[4]: found 5, expected the name of a file, or a pattern such as “projects.d/*.json”, with wildcards in its last part alone
        4:45 include[5]: found “edge.json”, which does not exist, expected a file that is there
        4:58 include[6]: found “edge.json” again, expected it once, as in include[5]
        warning 5:15 projects: found no project, expected at least one: there is nothing to do
    "#]],
    );
}

#[test]
fn files_are_read_as_they_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let write = |name: &str, text: &str| fs::write(root.join(name), text).unwrap();
    fs::create_dir(root.join("projects.d")).unwrap();
    let main = root.join("projects.json");
    write("projects.json", &MAIN.replace("edge.json", "*.json"));
    write("edge.json", &project("edge"));
    write("projects.d/shop.json", &project("shop"));
    // What editors leave, and what is called otherwise.
    for other in [".shop.json", ".#shop.json", "shop.json~", "shop.json.bak"] {
        write(&format!("projects.d/{other}"), "{");
    }
    symlink(root.join("edge.json"), root.join("projects.d/gone.txt")).unwrap();
    let names = || Sources::read(&main).unwrap().included.into_keys().collect::<Vec<_>>();
    assert_eq!(names(), ["edge.json", "projects.d/shop.json"], "and not the file itself");
    let config = read(&main).unwrap().configuration.unwrap();
    assert_eq!(config.projects.len(), 2);

    let before = Sources::read(&main).unwrap().hash();
    write("projects.d/shop.json", &format!("{}\n", project("shop")));
    assert_ne!(Sources::read(&main).unwrap().hash(), before);
    symlink("nowhere", root.join("projects.d/gone.json")).unwrap();
    fs::create_dir(root.join("projects.d/dir.json")).unwrap();
    expect![[r#"
        projects.d/dir.json:1:1: found a file that cannot be read (it is a directory, not a regular file), expected a readable file
        projects.d/gone.json:1:1: found a file that cannot be read (No such file or directory), expected a readable file
    "#]]
    .assert_eq(&told(&read(&main).unwrap()));
    assert!(Sources::read(Path::new("/nowhere/projects.json")).is_err());
}

#[test]
fn a_named_pipe_is_a_problem_and_not_waited_for() {
    let place = tempfile::tempdir().unwrap();
    let main = place.path().join("projects.json");
    fs::write(&main, MAIN.replace("\"projects.d/*.json\", ", "")).unwrap();
    let pipe = place.path().join("edge.json");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    let told = told(&read(&main).unwrap());
    assert!(told.contains("a file that cannot be read (it is a named pipe, not a regular file)"), "{told}");
    fs::remove_file(&main).unwrap();
    symlink("/dev/zero", &main).unwrap();
    let refused = read(&main).unwrap_err().to_string();
    assert!(refused.ends_with("projects.json cannot be read (it is a device, not a regular file)"), "{refused}");
}
