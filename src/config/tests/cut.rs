//! A file that is cut short at every byte, as one is that is being written: never a configuration, always seen as what it is.

use super::super::{Checked, Sources, check_sources};
use super::{EXAMPLE, plenty};

/// Everything that a cut can go through.
const ODD: &str = r#"{
  "access": { "users": { "1": "admin" }, "chats": [-100, -1.5e+7, 0] }, "é 😀": null,
  "projects": { "shop": { "enabled": true, "description": "\u00e9 \ud83d\ude00 \uD83D\uDE00 \\ \" \n", "stateful": [] , "x": {} }, "b": false }
}"#;

const INCLUDING: &str = "{ \"access\": { \"users\": { \"1\": \"admin\" } }, \"include\": [\"projects.d/*.json\"], \"projects\": {} }";
const INCLUDED: &str =
    "{ \"projects\": { \"shop\": { \"containers\": [\"web\"], \"enabled\": true, \"description\": \"\\ud83d\\ude00 é\" } } }";

/// What a configuration comes to that ends too early, in this file or in the one that it includes.
fn broken_off(sources: &Sources, cut: &[u8]) {
    let Checked { configuration, problems, unfinished, .. } = check_sources(sources, &plenty);
    let text = String::from_utf8_lossy(cut);
    assert!(unfinished && configuration.is_none(), "{text}");
    let of_it: Vec<_> = problems.iter().filter(|problem| problem.file.is_some() != sources.included.is_empty()).collect();
    let [problem] = &of_it[..] else { panic!("{problems:?}: {text}") };
    // Where it breaks off, or where the word or the character begins that does.
    let before: usize = text.split_inclusive('\n').take(problem.line - 1).map(|line| line.chars().count()).sum();
    let (place, end) = (before + problem.column - 1, text.trim_end_matches('\u{fffd}').chars().count());
    assert!((end.saturating_sub(7)..=end).contains(&place), "{problem}: {text}");
}

#[test]
fn a_file_that_ends_too_early_is_taken_for_one_that_is_being_written() {
    for text in [EXAMPLE.trim_end(), ODD, INCLUDING] {
        for end in 0..text.len() {
            let cut = &text.as_bytes()[..end];
            broken_off(&Sources::alone(cut), cut);
        }
    }
    let including = |bytes: &[u8]| {
        let mut sources = Sources::alone(INCLUDING);
        sources.included.insert("projects.d/shop.json".to_owned(), Ok(bytes.to_vec()));
        sources
    };
    for end in 0..INCLUDED.len() {
        let cut = &INCLUDED.as_bytes()[..end];
        broken_off(&including(cut), cut);
    }
    assert!(check_sources(&including(INCLUDED.as_bytes()), &plenty).configuration.is_some(), "whole, it is good");
}

#[test]
fn a_mistake_is_no_file_that_is_being_written() {
    for text in ["{ \"a\": tru }", "{ \"a\": truth", "{ \"a\": \"\\ud83d\" }", "{ \"a\": 1 \"b\"", "{} {"] {
        let checked = check_sources(&Sources::alone(text), &plenty);
        assert!(!checked.unfinished && !checked.problems.is_empty(), "{text}");
    }
}
