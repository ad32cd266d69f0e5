//! Files of variables (`.env`, `env_file`), read as Compose reads them.

use std::collections::{BTreeMap, BTreeSet};

/// What is wrong with a file of variables: the number of the line, and what kind of mistake stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it, as it goes on after "line 3 ".
    pub kind: &'static str,
}

/// Whether a character may stand in a variable's name.
pub fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The first mistake of a file of variables; `is_set` says which variables others set.
pub fn mistake(text: &[u8], is_set: &dyn Fn(&str) -> bool) -> Option<Mistake> {
    let mut found = None;
    scan(text, &mut |_, _| {}, &mut |mistake| found = found.or(Some(mistake)), is_set);
    found
}

/// The names of the variables that a file sets to something.
pub fn set(text: &[u8]) -> BTreeSet<String> {
    values(text).into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name).collect()
}

/// The names of the variables that a file defines, also where they are empty.
pub fn defined(text: &[u8]) -> BTreeSet<String> {
    values(text).into_keys().collect()
}

/// The variables that a file defines; the last definition of each counts.
pub fn values(text: &[u8]) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let mut note = |name: &str, value: &str| {
        values.insert(name.to_owned(), value.to_owned());
    };
    scan(text, &mut note, &mut |_| {}, &|_| true);
    values
}

/// Reads a file of variables as far as that goes: `each` gets what is set, `wrong` what cannot be.
fn scan(text: &[u8], each: &mut dyn FnMut(&str, &str), wrong: &mut dyn FnMut(Mistake), is_set: &dyn Fn(&str) -> bool) {
    let text = String::from_utf8_lossy(text);
    let text = text.trim_start_matches('\u{feff}');
    let mut here: BTreeSet<String> = BTreeSet::new();
    let (mut rest, mut line) = (text, 1);
    while !rest.is_empty() {
        let (first, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let (number, statement) = (line, first.trim());
        (rest, line) = (after, line + 1);
        if statement.is_empty() || statement.starts_with('#') {
            continue;
        }
        let mut tell = |kind| wrong(Mistake { line: number, kind });
        let statement = statement.strip_prefix("export ").unwrap_or(statement).trim_start();
        let (name, value) = statement.split_at(statement.find(['=', ':']).unwrap_or(statement.len()));
        let name = name.trim_end();
        if name.is_empty() {
            tell("has no name before the “=”");
        } else if let Some(kind) = wrong_name(name) {
            tell(kind);
        }
        let value = value.get(1..).unwrap_or_default().trim();
        if first.contains('\0') {
            tell("holds a zero byte");
        }
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let whole = match quote {
            None => value.split(" #").next().unwrap_or_default().to_owned(),
            Some(quote) => {
                // It may go on over several lines.
                let from = text.len() - after.len() - first.len() - usize::from(!after.is_empty() || text.ends_with('\n'));
                let start = first.find(quote).map_or(from, |at| from + at + 1);
                let quoted = text.get(start..).unwrap_or_default();
                match closing(quoted, quote) {
                    Some(end) => {
                        let lines = quoted[..end].matches('\n').count();
                        for _ in 0..lines {
                            rest = rest.split_once('\n').map_or("", |(_, after)| after);
                            line += 1;
                        }
                        quoted[..end].to_owned()
                    }
                    None => {
                        tell("begins a quotation that nothing ends");
                        return;
                    }
                }
            }
        };
        if quote != Some('\'')
            && let Some(kind) = wrong_reference(&whole, &|name| here.contains(name) || is_set(name))
        {
            tell(kind);
        }
        if !whole.is_empty() {
            here.insert(name.to_owned());
        }
        each(name, &whole);
    }
}

fn wrong_name(name: &str) -> Option<&'static str> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '[' | ']') || c.is_whitespace();
    if !name.chars().all(fits) {
        Some("has a character in its name that no name has, or is not NAME=value")
    } else if name.contains(char::is_whitespace) && name != "-" && !name.starts_with("- ") {
        Some("has a name with a space in it, or is not NAME=value")
    } else {
        None
    }
}

/// Where a quotation ends.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    })
}

/// What is wrong with a reference to a variable in a value.
fn wrong_reference(value: &str, is_set: &dyn Fn(&str) -> bool) -> Option<&'static str> {
    let value = value.replace("$$", "");
    for (at, _) in value.match_indices("${") {
        let rest = &value[at + 2..];
        let (name, after) = rest.split_at(rest.find(|c: char| !is_name(c)).unwrap_or(rest.len()));
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let operator = [":-", ":+", ":?", "-", "+", "?"].into_iter().find(|operator| after.starts_with(operator));
        if !begins || !after.contains('}') || operator.is_none() && !after.starts_with('}') {
            return Some("has a “${” that does not begin a ${NAME} (a “$” that is meant as such is written “$$”)");
        }
        if matches!(operator, Some(":?" | "?")) && !is_set(name) {
            return Some("needs a variable (${NAME:?…}) that nothing sets");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        mistake(text.as_bytes(), &|name| name == "SET").map_or("-".to_owned(), |m| format!("{} {}", m.line, m.kind))
    }

    #[test]
    fn mistakes_are_found_without_their_values() {
        for (text, line, kind) in [
            ("A=1\nB=ab${SECRET\n", 2, "“${”"),
            ("B=${X:?SECRET text}\n", 1, "needs a variable"),
            ("B=${X?SECRET}\n", 1, "needs a variable"),
            ("# x\n\nB=\"SECRET\nC=1\n", 3, "quotation"),
            ("B='SECRET", 1, "quotation"),
            ("B&SECRET=1\n", 1, "character"),
            ("A=\"two\nlines\"\nB SECRET=1\n", 3, "space"),
            ("SECRET AND MORE\n", 1, "space"),
            ("=SECRET\n", 1, "no name"),
            ("A=SECRET${}\n", 1, "“${”"),
            ("A=${B:SECRET}\n", 1, "“${”"),
            ("export A=${SECRET-\n", 1, "“${”"),
            ("A=x\0SECRET\n", 1, "zero byte"),
            ("{\"a\": \"SECRET\"}\n", 1, "character"),
        ] {
            let told = told(text);
            assert!(told.starts_with(&format!("{line} ")) && told.contains(kind) && !told.contains("SECRET"), "{text}: {told}");
        }
    }

    #[test]
    fn what_compose_reads_has_no_mistake() {
        let text =
            "A=1\nexport B = \"x # y\" \nC='${' # z\nD=$\nE=pa$$word\nF=${SET:?x} ${A:-${B}}\nG: yaml\nH\n- I\nJ=\"a\\\"b\nc\"\nK=1\n";
        assert_eq!(told(text), "-");
        assert_eq!(set(text.as_bytes()).into_iter().collect::<Vec<_>>().join(" "), "A B C D E F G J K");
    }

    #[test]
    fn values_are_read_with_quotes_and_comments() {
        let read = values(b"A=\nexport B='one' # x\n# C=1\nD=two # y\nB=\"th\nree\"\n");
        let shown: Vec<String> = read.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(shown, ["A=", "B=th\nree", "D=two"]);
        assert_eq!(defined(b"A=\nB=1\n").len(), 2);
        assert_eq!(set(b"A=\nB=1\n").into_iter().collect::<Vec<_>>(), ["B"]);
    }
}
