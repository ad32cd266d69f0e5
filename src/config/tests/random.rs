//! Nothing panics, and what is JSON here is what is JSON for serde_json.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::super::model::File;
use super::super::{Sources, check, check_sources, span};
use super::{EXAMPLE, placed, plenty};
use crate::long;

/// A file that the example includes, and its name.
const INCLUDED: (&str, &str) = (
    "projects.d/blog.json",
    "{\n  \"projects\": {\n    \"blog\": { \"containers\": [\"blög\"], \"primary\": \"web\", \"enabled\": false }\n  }\n}\n",
);

/// Pieces that matter to the reader, so that random edits get somewhere.
const PIECES: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\u",
    "\\ud83d\\ude00",
    "\\ud800",
    "null",
    "true",
    "-",
    "0",
    "1e5",
    ".",
    "\n",
    "\u{1}",
    "é",
    "\"access\"",
    "\"1\": \"admin\"",
    "-5",
    "\"/srv/shop\"",
];

/// How many texts of each kind are tried: 2,000, or as many as `scripts/long texts` says, from its seed.
fn config() -> ProptestConfig {
    let rounds = long::rounds(2_000);
    let cases = u32::try_from(rounds.end - rounds.start).unwrap();
    let rng_seed = if long::asked().is_some() { RngSeed::Fixed(rounds.start) } else { RngSeed::Random };
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}

/// The example with pieces put in, and stretches cut out.
fn mutated() -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), 0..12usize, prop::option::of(prop::sample::select(&PIECES[..])));
    prop::collection::vec(edit, 1..6).prop_map(|edits| {
        let mut text: Vec<char> = EXAMPLE.chars().collect();
        for (at, cut, piece) in edits {
            let at = at.index(text.len());
            let end = (at + cut).min(text.len());
            text.splice(at..end, piece.unwrap_or_default().chars());
            text.push(' ');
        }
        text.into_iter().collect()
    })
}

/// The bytes of a file, some of them other ones, some too many, some missing; sometimes as it is.
fn bytes_of(text: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<prop::sample::Index>(), 0..9usize, prop::collection::vec(any::<u8>(), 0..5));
    prop::collection::vec(edit, 0..6).prop_map(|edits| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, cut, others) in edits {
            let at = at.index(bytes.len() + 1);
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, others);
        }
        bytes
    })
}

/// What of a file is text.
fn readable(bytes: &[u8]) -> &str {
    let good = std::str::from_utf8(bytes).map_or_else(|wrong| wrong.valid_up_to(), str::len);
    std::str::from_utf8(&bytes[..good]).unwrap()
}

/// The value of a tree, as serde_json has it.
fn value(node: &span::Node) -> serde_json::Value {
    match &node.value {
        span::Value::Null => serde_json::Value::Null,
        span::Value::Bool(b) => (*b).into(),
        span::Value::Number(n) => serde_json::from_str(n).unwrap(),
        span::Value::Text(t) => t.as_str().into(),
        span::Value::List(items) => items.iter().map(value).collect(),
        span::Value::Object(members) => members.iter().map(|m| (m.key.clone(), value(&m.node))).collect(),
    }
}

fn same_as_serde(text: &str) {
    match (span::parse(text, 0), serde_json::from_str::<serde_json::Value>(text)) {
        (Ok(ours), Ok(theirs)) => assert_eq!(value(&ours), theirs, "{text}"),
        (Err(ours), Err(_)) => assert!(text.is_char_boundary(ours.at) && ours.at <= text.len(), "{text}"),
        // A number may be too large for serde_json to hold; here it is refused by whoever reads it.
        (Ok(_), Err(theirs)) => assert!(theirs.to_string().contains("number out of range"), "{theirs}: {text}"),
        (Err(ours), Ok(_)) => panic!("{ours:?}: {text}"),
    }
}

/// Whatever passes the readers is what the model says, too.
fn same_as_model(text: &str) {
    let checked = check(text, &plenty);
    assert_eq!(checked.configuration.is_some(), checked.problems.is_empty());
    checked.problems.iter().chain(&checked.warnings).for_each(|problem| placed(problem, text));
    if checked.problems.is_empty() {
        serde_json::from_str::<File>(text).unwrap();
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_text(text in any::<String>()) {
        same_as_serde(&text);
        same_as_model(&text);
    }

    #[test]
    fn text_of_pieces(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..20)) {
        same_as_serde(&pieces.concat());
        same_as_model(&pieces.concat());
    }

    #[test]
    fn a_mutated_example(text in mutated()) {
        same_as_serde(&text);
        same_as_model(&text);
    }

    #[test]
    fn mutated_files(main in bytes_of(EXAMPLE), included in bytes_of(INCLUDED.1)) {
        let mut sources = Sources::alone(main.clone());
        sources.included.insert(INCLUDED.0.to_owned(), Ok(included.clone()));
        let checked = check_sources(&sources, &plenty);
        assert_eq!(checked.configuration.is_some(), checked.problems.is_empty());
        for problem in checked.problems.iter().chain(&checked.warnings) {
            placed(problem, readable(if problem.file.is_some() { &included } else { &main }));
        }
    }
}

#[test]
fn hard_json() {
    let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
    for text in [
        "0",
        "-0",
        "01",
        "-",
        "1.",
        "1.5e+10",
        "1e",
        "[1,]",
        "{,}",
        "{\"a\":1,}",
        "tru",
        "trueish",
        "\"\\u00e9\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "\"\\ude00\"",
        "\"\\ud83d\\u0041\"",
        "\"\\x\"",
        "\"\t\"",
        "\"\u{7f}\"",
        "\u{a0}1",
        "1 2",
        "// c\n1",
        "\"",
        "\"\\",
        "\"\\u12",
        "",
        "NaN",
        "{\"a\" 1}",
        "{a: 1}",
        "{'a': 1}",
        "[1 2]",
        &nested(span::DEPTH_MAX),
    ] {
        same_as_serde(text);
    }
    assert!(span::parse(&nested(span::DEPTH_MAX + 1), 0).is_err_and(|e| e.expected == "at most 64 levels"));
    assert!(span::parse(&"[".repeat(1 << 20), 0).is_err());
}
