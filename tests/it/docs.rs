//! The docs against the program: messages that are explained are messages that exist, and links lead somewhere.

use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(directory: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
    found.sort();
}

/// A source as its texts read: without tests, with literals that go on over several lines in one.
fn texts(source: &str) -> String {
    let end = source.find("#[cfg(test)]\nmod tests").unwrap_or(source.len());
    let mut lines = source[..end].lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut whole = String::new();
    let mut goes_on = false;
    for line in &mut lines {
        let line = if goes_on { line.trim_start() } else { line };
        goes_on = line.ends_with('\\');
        whole.push_str(line.trim_end_matches('\\'));
        if !goes_on {
            whole.push('\n');
        }
    }
    whole.replace("\\\"", "\"")
}

/// Whether the parts of a message, between which something differs, stand in one line of the source.
fn says(source: &str, parts: &[&str]) -> bool {
    let in_order = |line: &str| {
        let mut rest = line;
        parts.iter().all(|part| match rest.find(part) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        })
    };
    source.lines().any(in_order)
}

#[test]
fn every_message_that_is_explained_is_one_that_is_said() {
    let mut sources = Vec::new();
    files(&root().join("src"), "rs", &mut sources);
    let sources: Vec<String> = sources.iter().map(|path| texts(&std::fs::read_to_string(path).unwrap())).collect();
    let page = std::fs::read_to_string(root().join("docs/TROUBLESHOOTING.md")).unwrap();
    let quoted = page.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    let (mut missing, mut seen) = (Vec::new(), 0);
    for message in quoted {
        seen += 1;
        let parts: Vec<&str> = message.split('…').filter(|part| !part.is_empty()).collect();
        assert!(parts.iter().map(|part| part.len()).sum::<usize>() >= 9, "{message}: too little to be found by");
        if !sources.iter().any(|source| says(source, &parts)) {
            missing.push(message);
        }
    }
    assert!(seen >= 60, "{seen}");
    assert_eq!(missing, Vec::<&str>::new(), "explained, and said nowhere");
}

#[test]
fn a_message_that_is_gone_would_be_noticed() {
    let source = texts("fn a() {\n    f(\"It needs {} of \\\"x\\\", \\\n        and more.\");\n    // Said nowhere.\n}\n");
    assert!(says(&source, &["It needs ", " of \"x\", and more."]));
    assert!(!says(&source, &[" and more.", "It needs "]) && !says(&source, &["Said nowhere."]));
}

/// As GitHub makes them of headings.
fn anchors(page: &str) -> Vec<String> {
    let headings = page.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim().to_lowercase());
    let kept = |heading: String| heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>();
    headings.map(kept).map(|heading| heading.replace(' ', "-")).collect()
}

#[test]
fn every_link_of_the_docs_leads_somewhere() {
    let mut pages = vec![root().join("README.md")];
    files(&root().join("docs"), "md", &mut pages);
    let (mut broken, mut seen) = (Vec::new(), 0);
    for page in &pages {
        let text = std::fs::read_to_string(page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            seen += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let there =
                target.is_file() && (anchor.is_empty() || anchors(&std::fs::read_to_string(&target).unwrap()).contains(&anchor.to_owned()));
            if !there {
                broken.push(format!("{}: {link}", page.file_name().unwrap().to_string_lossy()));
            }
        }
    }
    assert!(seen >= 15, "{seen}");
    assert_eq!(broken, Vec::<String>::new());
}
