//! Every element of the Compose specification (`tests/data/compose-elements.tsv`), without an engine: what Compose's hash of a
//! service covers, what the hash of its `build` covers, and that docs/COMPOSE.md has a row of each with a test that there is.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use dockmaster::engine::compose::Resolved;
use serde_json::{Map, Value, json};

use crate::support::fixture::{command, sh};

const ELEMENTS: &str = include_str!("../data/compose-elements.tsv");

/// The files that the pairs name.
const FILES: [(&str, &str); 14] = [
    ("one.env", "A=1\n"),
    ("two.env", "A=2\n"),
    ("quoted.env", "A='1'\n"),
    ("one.labels", "a=1\n"),
    ("two.labels", "a=2\n"),
    ("one.txt", "1\n"),
    ("two.txt", "2\n"),
    ("one.json", "{}"),
    ("two.json", "{}"),
    (
        "extends.yaml",
        "services: {one: {image: \"example/app:1\", environment: {A: \"1\"}}, two: {image: \"example/app:1\", environment: {A: \"2\"}}}\n",
    ),
    ("extends2.yaml", "services: {one: {image: \"example/app:1\", environment: {A: \"3\"}}}\n"),
    ("one/Dockerfile", "FROM scratch\n"),
    ("two/Dockerfile", "FROM scratch\n"),
    (".env", "ONE=1\nTWO=2\n"),
];

/// An element: how it is covered, what each version does with a change of it, and a pair of files that differ in it.
struct Element {
    name: &'static str,
    /// What the Compose that is here does: `hash`, `left-out`, `dropped`, `refused`, `unreadable`.
    here: &'static str,
    test: &'static str,
    one: &'static str,
    other: &'static str,
}

/// The column of the Compose that is here; none of one that was not measured.
fn column() -> Option<usize> {
    let version = sh("docker-compose", &["version", "--short"]);
    let version = version.trim().trim_start_matches('v');
    if version.starts_with("2.26.") { Some(2) } else { version.starts_with("2.40.").then_some(3) }
}

fn elements(column: usize) -> Vec<Element> {
    let rows = ELEMENTS.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect::<Vec<_>>());
    rows.map(|row| Element { name: row[0], here: row[column], test: row[4], one: row[5], other: row[6] }).collect()
}

fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

fn compose(root: &Path, args: &[&str], input: &str) -> String {
    let mut asked = command("docker-compose");
    let place = ["--ansi", "never", "-p", "elements", "--project-directory", root.to_str().unwrap(), "-f", "-", "--profile", "*"];
    asked.args(place).args(args).env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", root).current_dir(root);
    let mut child = asked.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// One side of all pairs in one file, each service under a name of its own: what Compose resolves it to, and its hashes.
fn resolved_and_hashed(root: &Path, sides: &[&str]) -> (Resolved, BTreeMap<String, String>) {
    let mut file = json!({ "services": {} });
    for (number, side) in sides.iter().enumerate() {
        let mut fragment: Map<String, Value> = serde_json::from_str(side).unwrap();
        let mut app = fragment.remove("services").unwrap()["app"].take();
        if app.get("provider").is_none() && app.get("extends").is_none() {
            app.as_object_mut().unwrap().entry("image").or_insert(json!("example/app:1"));
        }
        merge(&mut file, Value::Object(fragment));
        file["services"][format!("e{number}")] = app;
    }
    let resolved = compose(root, &["config", "--format", "json"], &file.to_string());
    let hashes = compose(root, &["config", "--hash", "*"], &resolved);
    let hashes = hashes.lines().filter_map(|line| line.split_once(' '));
    let hashes = hashes.map(|(name, hash)| (name.to_owned(), hash.to_owned())).collect();
    (Resolved::parse(resolved.as_bytes()).unwrap(), hashes)
}

/// The elements that can stand beside each other in one file: those of one service.
fn of_services() -> Vec<Element> {
    let Some(column) = column() else { return Vec::new() };
    const SHARED: [&str; 7] = ["name", "include", "networks.", "volumes.", "secrets.", "configs.", "models"];
    let fits = |element: &Element| {
        let services = serde_json::from_str::<Value>(element.one).unwrap();
        let is_alone = services["services"].as_object().is_some_and(|all| all.len() == 1);
        is_alone && !matches!(element.here, "refused" | "unreadable") && !SHARED.iter().any(|shared| element.name.starts_with(shared))
    };
    let same = |element: &Element| {
        let other = serde_json::from_str::<Value>(element.other).unwrap();
        other["services"].as_object().is_some_and(|all| all.len() == 1)
    };
    elements(column).into_iter().filter(|e| fits(e) && same(e)).collect()
}

fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    for (path, text) in FILES {
        let path = place.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    place
}

#[test]
fn hash_changes_with_each_element() {
    let (place, all) = (place(), of_services());
    let sides = |side: fn(&Element) -> &'static str| all.iter().map(side).collect::<Vec<_>>();
    let (one, other) = (resolved_and_hashed(place.path(), &sides(|e| e.one)), resolved_and_hashed(place.path(), &sides(|e| e.other)));
    let wrong: Vec<String> = all
        .iter()
        .enumerate()
        .filter(|(number, element)| {
            let name = format!("e{number}");
            (one.1.get(&name) != other.1.get(&name)) != (element.here == "hash")
        })
        .map(|(_, element)| format!("{} is said to be {}", element.name, element.here))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(column().is_none() || all.len() > 200, "only {} elements were looked at", all.len());
}

#[test]
fn build_section_changes_with_each_element() {
    let place = place();
    let all: Vec<Element> = of_services().into_iter().filter(|e| e.name.starts_with("services.*.build")).collect();
    let hashes = |side: fn(&Element) -> &'static str| {
        let sides: Vec<&str> = all.iter().map(side).collect();
        let (resolved, _) = resolved_and_hashed(place.path(), &sides);
        let services = resolved.services("elements", place.path()).into_iter();
        services.map(|(name, definition)| (name.to_string(), definition.build.map(|build| build.hash))).collect::<BTreeMap<_, _>>()
    };
    let (one, other) = (hashes(|e| e.one), hashes(|e| e.other));
    let same: Vec<&str> = all
        .iter()
        .enumerate()
        .filter(|(number, element)| element.here != "dropped" && one[&format!("e{number}")] == other[&format!("e{number}")])
        .map(|(_, element)| element.name)
        .collect();
    assert!(same.is_empty(), "a change of these does not build again: {same:#?}");
    assert!(column().is_none() || all.len() > 15, "only {} elements were looked at", all.len());
}

#[test]
fn each_element_has_its_row_and_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_to_string(root.join("docs/COMPOSE.md")).unwrap();
    let mut missing = Vec::new();
    for element in elements(2) {
        let short = element.name.strip_prefix("services.*.").unwrap_or(element.name);
        if !docs.contains(&format!("| `{short}` |")) {
            missing.push(format!("{}: no row", element.name));
        }
        if let Some((module, name)) = element.test.split_once("::").filter(|_| !element.test.starts_with("unit: ")) {
            let text = std::fs::read_to_string(root.join(format!("tests/it/{module}.rs"))).unwrap_or_default();
            if !text.contains(&format!("fn {name}(")) {
                missing.push(format!("{}: there is no test {}", element.name, element.test));
            }
        }
        if element.test == "open" {
            missing.push(format!("{}: nothing is known", element.name));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
