//! Reading what an engine answered field by field: a field that is missing, null or of another type is none, and never an error.
//! Numbers and flags may be strings, and strings numbers.

use std::collections::BTreeMap;

use serde_json::Value;

static NULL: Value = Value::Null;

/// Fields of an object. What is no object has none.
pub(super) trait Fields {
    /// A field; null where there is none.
    fn field(&self, name: &str) -> &Value;

    /// A text.
    fn text(&self, name: &str) -> Option<&str>;

    /// A number.
    fn whole(&self, name: &str) -> Option<i64>;

    /// A number from 0 on.
    fn size(&self, name: &str) -> Option<u64> {
        self.whole(name).and_then(|number| u64::try_from(number).ok())
    }

    /// A yes or no.
    fn flag(&self, name: &str) -> Option<bool>;

    /// The items of a list.
    fn items(&self, name: &str) -> &[Value];

    /// The texts of a list.
    fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.items(name).iter().filter_map(Value::as_str)
    }

    /// The entries of an object.
    fn entries(&self, name: &str) -> impl Iterator<Item = (&String, &Value)>;

    /// The entries of an object that are texts. Whatever else has a text (a number, a yes or no) counts as that.
    fn words(&self, name: &str) -> BTreeMap<String, String> {
        self.entries(name).filter_map(|(key, value)| Some((key.clone(), words_of(value)?))).collect()
    }
}

impl Fields for Value {
    fn field(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&NULL)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    fn whole(&self, name: &str) -> Option<i64> {
        whole_of(self.get(name)?)
    }

    fn flag(&self, name: &str) -> Option<bool> {
        flag_of(self.get(name)?)
    }

    fn items(&self, name: &str) -> &[Value] {
        self.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    fn entries(&self, name: &str) -> impl Iterator<Item = (&String, &Value)> {
        self.get(name).and_then(Value::as_object).into_iter().flatten()
    }
}

/// A yes or no, or a text that is one.
pub(super) fn flag_of(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => text.trim().to_ascii_lowercase().parse().ok(),
        _ => None,
    }
}

/// A number, or a text that is one. Parts of a whole are left out.
pub(super) fn whole_of(value: &Value) -> Option<i64> {
    match value {
        // Beyond what fits, the nearest that does.
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|parts| parts as i64)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A text, or what has one.
pub(super) fn words_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_is_there_is_read_and_nothing_else() {
        let value = json!({
            "text": "a", "number": 5, "written": "5", "yes": true, "spelt": "True", "none": null,
            "list": ["a", 5, null], "object": { "a": "b", "n": 8080, "f": false, "x": null, "l": [] }, "part": 2.9
        });
        assert_eq!((value.text("text"), value.text("number"), value.text("none"), value.text("missing")), (Some("a"), None, None, None));
        assert_eq!((value.whole("number"), value.whole("written"), value.whole("part")), (Some(5), Some(5), Some(2)));
        assert_eq!((value.whole("text"), value.whole("yes"), value.whole("missing")), (None, None, None));
        assert_eq!(
            (value.flag("yes"), value.flag("spelt"), value.flag("number"), value.flag("none")),
            (Some(true), Some(true), None, None)
        );
        assert_eq!((value.items("list").len(), value.items("object").len(), value.items("none").len()), (3, 0, 0));
        assert_eq!(value.texts("list").collect::<Vec<_>>(), ["a"]);
        let words = [("a", "b"), ("f", "false"), ("n", "8080")].map(|(key, word)| (key.to_owned(), word.to_owned()));
        assert_eq!(value.words("object"), BTreeMap::from(words));
        assert!(value.words("list").is_empty() && value.field("list").words("object").is_empty());
        assert_eq!((json!({ "n": u64::MAX }).whole("n"), json!({ "n": -1 }).size("n")), (Some(i64::MAX), None));
        assert_eq!(value.field("object").field("missing"), &Value::Null);
    }
}
