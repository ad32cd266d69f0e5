//! The house rules that no lint knows: who may import whom, who may know which library, how long a file may be.

use std::path::{Path, PathBuf};

/// Files that may be longer than the rest, and why.
const LONG: [(&str, &str); 0] = [];
/// How many lines a source file may have, its tests not counted.
const LINES_MAX: usize = 600;

/// The files of a directory, and of those below it.
fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    found.sort();
    let read = |path: &PathBuf| (path.strip_prefix(&root).unwrap().display().to_string(), std::fs::read_to_string(path).unwrap());
    found.iter().map(read).collect()
}

/// The files that a file names by `mod`, in the directory that is its own.
fn named_by(file: &Path) -> Vec<PathBuf> {
    let is_root = file.file_name().is_some_and(|name| name == "mod.rs" || name == "main.rs" || name == "lib.rs");
    let directory = if is_root { file.parent().unwrap().to_owned() } else { file.with_extension("") };
    let text = std::fs::read_to_string(file).unwrap();
    let names = text.lines().filter_map(|line| Some(line.trim().strip_suffix(';')?.split_once("mod ")?.1.to_owned()));
    names.flat_map(|name| [directory.join(format!("{name}.rs")), directory.join(name).join("mod.rs")]).filter(|f| f.is_file()).collect()
}

/// A file without its tests and comments.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    text[..end].lines().filter(|l| !l.trim_start().starts_with("//")).map(|l| format!("{l}\n")).collect()
}

fn is_test(file: &str) -> bool {
    file.contains("tests/") || file.ends_with("/tests.rs") || file.ends_with("_tests.rs")
}

/// The parts of the house that a part may import.
fn may_import(part: &str) -> Option<&'static [&'static str]> {
    Some(match part {
        "domain" => &[],
        "untrusted.rs" => &[],
        "config" | "history" | "process.rs" | "process" => &["domain", "untrusted"],
        "engine" | "files" => &["domain", "process", "untrusted"],
        "operations" => &["domain", "config", "engine", "files", "history", "process", "untrusted"],
        "telegram" => &["domain", "history", "operations", "untrusted"],
        "http" => &["domain", "operations"],
        "console" => &["domain", "config", "http", "operations"],
        "sandbox" | "settings.rs" => &[],
        "app.rs" | "app" => &["domain", "config", "engine", "history", "http", "operations", "telegram", "untrusted"],
        "terminal.rs" | "terminal" => &["app", "console", "domain", "http", "settings"],
        "supervisor.rs" => &["telegram"],
        "trial.rs" => &["app", "config", "domain", "engine", "process", "sandbox", "telegram"],
        _ => return None,
    })
}

#[test]
fn imports_go_one_way() {
    let mut wrong = Vec::new();
    for (file, text) in sources().iter().filter(|(file, _)| !is_test(file) && file != "lib.rs" && file != "main.rs") {
        let part = file.split('/').next().unwrap();
        let Some(allowed) = may_import(part) else {
            wrong.push(format!("{file}: a part that the map does not know"));
            continue;
        };
        let own = part.trim_end_matches(".rs");
        for rest in code(text).split("crate::").skip(1) {
            let target: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if target != own && !target.is_empty() && !allowed.contains(&target.as_str()) {
                wrong.push(format!("{file} imports {target}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn libraries_have_one_place() {
    let places: [(&str, &[&str]); 11] = [
        ("bollard", &["engine/ask.rs", "engine/create.rs", "engine/docker.rs", "engine/transport.rs"]),
        ("hyper", &["engine/ask.rs", "engine/docker.rs", "engine/transport.rs"]),
        ("teloxide", &["telegram/", "app.rs"]),
        ("axum", &["http/", "sandbox/"]),
        ("rusqlite", &["history/"]),
        ("tokio::process", &["process.rs", "process/"]),
        ("std::process::Command", &[]),
        ("clap", &["settings.rs", "main.rs"]),
        ("reqwest", &["console/client.rs", "engine/outside.rs", "operations/probe.rs", "telegram/"]),
        ("sd_notify", &["supervisor.rs"]),
        ("use notify", &["operations/keeper/watch.rs"]),
    ];
    let mut wrong = Vec::new();
    for (file, text) in sources().iter().filter(|(file, _)| !is_test(file)) {
        let code = code(text);
        for (library, allowed) in places {
            if code.contains(&format!("{library}::")) && !allowed.iter().any(|a| file.starts_with(a)) {
                wrong.push(format!("{file} knows {library}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn files_of_others_are_read_in_one_place() {
    // Everything else reads through `untrusted`: it would wait on a named pipe, and read a device without end.
    const OWN: [&str; 13] = [
        "untrusted.rs",
        "main.rs",
        // The kernel's: /proc and /sys.
        "process/survivors.rs",
        "engine/environment.rs",
        "engine/mountinfo.rs",
        // In the data directory, where nobody else writes.
        "engine/host/",
        "files/cache.rs",
        "history/",
        "http/socket.rs",
        "app/moving.rs",
        "operations/managed/apart.rs",
        // Our own sample, and the directories of the self-test and of what is written back.
        "sandbox/",
        "operations/selftest.rs",
    ];
    let words = ["fs::read_to_string(", "fs::read(", "File::open("];
    let mut wrong = Vec::new();
    for (file, text) in sources().iter().filter(|(file, _)| !is_test(file) && !OWN.iter().any(|own| file.starts_with(own))) {
        // A directory is opened to bring it to the disk.
        let lines = code(text).lines().filter(|line| words.iter().any(|word| line.contains(word)) && !line.contains("sync_all")).count();
        if lines > 0 {
            wrong.push(format!("{file} reads a file itself"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_domain_is_pure() {
    let banned = ["std::fs", "std::net", "std::env", "std::thread", "tokio", "Instant", "SystemTime", "Timestamp::now"];
    for (file, text) in sources().iter().filter(|(file, _)| file.starts_with("domain/") && !is_test(file)) {
        for word in banned {
            assert!(!code(text).contains(word), "{file} knows {word}");
        }
    }
}

#[test]
fn files_are_short_and_nothing_is_waved_through() {
    let mut wrong = Vec::new();
    for (file, text) in sources().iter().filter(|(file, _)| !is_test(file)) {
        let end = text.find("#[cfg(test)]\nmod tests").or_else(|| text.find("#[cfg(test)]\npub(crate) mod tests")).unwrap_or(text.len());
        let lines = text[..end].lines().count();
        if lines > LINES_MAX && !LONG.iter().any(|(long, _)| long == file) {
            wrong.push(format!("{file} has {lines} lines"));
        }
        for left in ["#[allow(", "#![allow(", "todo!(", "unimplemented!(", "FIXME", "XXX"] {
            if text[..end].contains(left) {
                wrong.push(format!("{file} holds {left}"));
            }
        }
        let lines: Vec<&str> = text.lines().collect();
        let only_tests = |w: &&[&str]| w[1].contains("mod ") || w[1].contains("use tests::");
        let conditional = lines.windows(2).filter(|w| w[0].contains("cfg(test)") || w[0].contains("cfg(not(test))"));
        if !conditional.clone().all(|w| only_tests(&w)) {
            wrong.push(format!("{file} behaves otherwise under test"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn nothing_lies_about_that_is_not_compiled() {
    for (directory, roots) in [("src", ["main.rs", "lib.rs"].as_slice()), ("tests/it", &["main.rs"])] {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
        let mut reached: Vec<PathBuf> = roots.iter().map(|root| directory.join(root)).collect();
        let mut at = 0;
        while let Some(file) = reached.get(at) {
            reached.extend(named_by(file));
            at += 1;
        }
        let mut there = Vec::new();
        walk(&directory, &mut there);
        there.retain(|file| !reached.contains(file));
        assert!(there.is_empty(), "no `mod` names these: {there:?}");
    }
}
