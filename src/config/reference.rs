//! The reference of `projects.json` for people, made from its schema: a section for each object, a row for each field.

use std::fmt::Write;

use serde_json::Value;

/// A whole configuration, for the end of the reference.
const EXAMPLE: &str = include_str!("../../projects.example.json");

/// The reference as Markdown, without a newline at its end: what `dockmaster schema --markdown` prints as a line.
pub fn reference() -> String {
    let schema = super::schema::value();
    let mut pages = Pages { root: &schema, out: String::new(), sections: Vec::new(), words: Vec::new() };
    pages.line("# projects.json");
    pages.line("");
    pages.line("<!-- Made by `dockmaster schema --markdown` from src/config/model.rs: change it there. -->");
    pages.line("");
    pages.line("Every field of the configuration. `dockmaster check` finds every mistake in a file and names its line. A change is");
    pages.line("taken over as soon as it is saved (`docs/RELOADING.md`).");
    pages.section("The file", &schema);
    let mut done = 0;
    while let Some((path, object)) = pages.sections.get(done).cloned() {
        pages.section(&format!("`{path}`"), object);
        done += 1;
    }
    pages.kinds();
    pages.line("");
    pages.line("## A whole example");
    pages.line("");
    let _ = write!(pages.out, "```json\n{}\n```", EXAMPLE.trim_end());
    pages.out
}

struct Pages<'a> {
    root: &'a Value,
    out: String,
    /// The objects that were met, by the path at which they stand.
    sections: Vec<(String, &'a Value)>,
    /// The kinds of values that were met.
    words: Vec<&'a Value>,
}

impl<'a> Pages<'a> {
    fn line(&mut self, line: &str) {
        self.out.push_str(line);
        self.out.push('\n');
    }

    /// What a schema means: the definition that it refers to.
    fn meant(&self, schema: &'a Value) -> &'a Value {
        let target = schema["$ref"].as_str().and_then(|target| self.root.pointer(target.trim_start_matches('#')));
        target.unwrap_or(schema)
    }

    fn section(&mut self, title: &str, object: &'a Value) {
        let _ = write!(self.out, "\n## {title}\n\n{}\n\n", text(object));
        self.line("| field | kind | unless given | what it is | such as |");
        self.line("| --- | --- | --- | --- | --- |");
        let required: Vec<&str> = object["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let fields = object["properties"].as_object().into_iter().flatten();
        let path = title.trim_matches('`').strip_prefix("The file").map_or(title.trim_matches('`'), |_| "");
        let prefix = if path.is_empty() { String::new() } else { format!("{path}.") };
        let (needed, free): (Vec<_>, Vec<_>) = fields.partition(|(name, _)| required.contains(&name.as_str()));
        for (name, field) in needed.into_iter().chain(free) {
            let kind = self.kind(&format!("{prefix}{name}"), field);
            let unless = match field.get("default") {
                Some(default) => code(default),
                None if required.contains(&name.as_str()) => "**must be given**".to_owned(),
                None => "–".to_owned(),
            };
            let such_as = field["examples"].get(0).map(code).unwrap_or_default();
            let _ = writeln!(self.out, "| `{name}` | {kind} | {unless} | {} | {such_as} |", cell(&text(field)));
        }
    }

    /// What can stand in a field, in a few words.
    fn kind(&mut self, path: &str, field: &'a Value) -> String {
        let meant = self.meant(field);
        if meant["properties"].is_object() {
            if !self.sections.iter().any(|(known, _)| known == path) {
                self.sections.push((path.to_owned(), meant));
            }
            return format!("[object](#{})", anchor(path));
        }
        if let Some(inner) = meant["patternProperties"].as_object().and_then(|all| all.values().next()) {
            return format!("object of {}s", self.kind(&format!("{path}.NAME"), inner));
        }
        if let Some(choices) = meant["anyOf"].as_array() {
            let choices: Vec<String> = choices.iter().map(|choice| self.kind(path, choice)).collect();
            return choices.join(" or ");
        }
        if meant["type"] == "array" {
            return format!("list: {}", self.kind(path, &meant["items"]));
        }
        if meant["oneOf"].is_array() || meant["title"].is_string() {
            if !self.words.iter().any(|known| name(known) == name(meant)) {
                self.words.push(meant);
            }
            return format!("[{}](#{})", name(meant), anchor(&name(meant)));
        }
        let plain = meant["type"].as_str().unwrap_or("anything");
        match (meant["minimum"].as_i64(), meant["maximum"].as_i64()) {
            (Some(least), Some(most)) => format!("{plain}, {least} to {most}"),
            _ => plain.to_owned(),
        }
    }

    /// The kinds of values that have a name.
    fn kinds(&mut self) {
        for kind in self.words.clone() {
            let _ = write!(self.out, "\n## {}\n\n{}\n", name(kind), text(kind));
            let choices = kind["oneOf"].as_array().map(Vec::as_slice).unwrap_or_default();
            if !choices.is_empty() {
                self.line("");
            }
            for choice in choices {
                let _ = writeln!(self.out, "- {}: {}", code(&choice["const"]), text(choice));
            }
            if let Some(pattern) = kind["pattern"].as_str() {
                let _ = writeln!(self.out, "\nAs a pattern: `{pattern}`");
            }
        }
    }
}

/// The name of a kind of values.
fn name(kind: &Value) -> String {
    kind["title"].as_str().unwrap_or("word").to_owned()
}

/// What is said of something, on one line.
fn text(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('\n', " ")
}

/// A value as code in a table.
fn code(value: &Value) -> String {
    format!("`{}`", cell(&value.to_string()))
}

/// Text that can stand in a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Where a heading can be linked to.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    #[test]
    fn the_written_reference_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CONFIGURATION.md");
        let now = format!("{}\n", super::reference());
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &now).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == now, "docs/CONFIGURATION.md is out of date: dockmaster schema --markdown > docs/CONFIGURATION.md");
    }

    #[test]
    fn every_field_is_explained_with_an_example_and_every_link_leads_somewhere() {
        let reference = super::reference();
        let root = super::super::schema::value();
        let objects = root["$defs"].as_object().unwrap().values().chain([&root]);
        let fields: Vec<(&String, &Value)> = objects.filter_map(|o| o["properties"].as_object()).flatten().collect();
        assert!(fields.len() >= 25, "{}", fields.len());
        for (name, field) in fields {
            let row = format!("| `{name}` | ");
            assert!(reference.contains(&row), "{name} is not there");
            assert!(!super::text(field).is_empty(), "{name} is not explained");
            assert!(field["examples"].is_array() || matches!(name.as_str(), "access" | "projects"), "{name} has no example");
        }
        let headings: Vec<String> = reference.lines().filter_map(|l| l.strip_prefix("## ")).map(super::anchor).collect();
        for link in reference.split("](#").skip(1).map(|rest| rest.split(')').next().unwrap().to_owned()) {
            assert!(headings.contains(&link), "#{link} is not among {headings:?}");
        }
    }
}
