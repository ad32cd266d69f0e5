//! The JSON Schema of `projects.json`, made from its [`model`](super::model).

use super::model::File;

/// The schema as indented JSON, without a newline at its end: what `dockmaster schema` prints as a line.
pub fn schema() -> String {
    format!("{:#}", value())
}

/// The schema as a value.
pub(super) fn value() -> serde_json::Value {
    schemars::schema_for!(File).to_value()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_written_schema_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/projects.schema.json");
        let now = format!("{}\n", super::schema());
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &now).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == now, "docs/projects.schema.json is out of date: renew it with `dockmaster schema > docs/projects.schema.json`");
    }
}
