//! The schema says what the readers do: the same keys, the same defaults, the same keys that must be there.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::schema::schema;
use super::super::{Problem, check};
use super::{EXAMPLE, plenty};

/// One object of the schema that has named keys, and where the example has such an object.
struct Shape {
    /// JSON pointer into the example.
    pointer: String,
    /// The schema of the object.
    schema: Value,
}

/// Every object of the schema with its place in the example, by walking both.
fn shapes() -> Vec<Shape> {
    let root: Value = serde_json::from_str(&schema()).unwrap();
    let example = serde_json::from_str(EXAMPLE).unwrap();
    let mut out = Vec::new();
    walk(&root, &root, &example, String::new(), &mut out);
    out
}

fn walk(root: &Value, schema: &Value, example: &Value, pointer: String, out: &mut Vec<Shape>) {
    if let Some(target) = schema["$ref"].as_str() {
        let schema = root.pointer(target.trim_start_matches('#')).unwrap_or_else(|| panic!("{target}"));
        return walk(root, schema, example, pointer, out);
    }
    for branch in schema["anyOf"].as_array().into_iter().flatten() {
        walk(root, branch, example, pointer.clone(), out);
    }
    if let Some(items) = example.as_array() {
        for (i, item) in items.iter().enumerate() {
            walk(root, &schema["items"], item, format!("{pointer}/{i}"), out);
        }
    }
    let Some(members) = example.as_object() else { return };
    for (key, value) in members {
        let inner = match &schema["properties"][key] {
            Value::Null => schema["patternProperties"].as_object().and_then(|p| p.values().next()).unwrap_or(&Value::Null),
            inner => inner,
        };
        walk(root, inner, value, format!("{pointer}/{key}"), out);
    }
    if schema["properties"].is_object() {
        assert_eq!(schema["additionalProperties"], json!(false), "{pointer}");
        out.push(Shape { pointer, schema: schema.clone() });
    }
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect()
}

/// The problems of the example after a change to one of its objects.
fn changed(pointer: &str, change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> Vec<Problem> {
    let mut example: Value = serde_json::from_str(EXAMPLE).unwrap();
    change(example.pointer_mut(pointer).and_then(Value::as_object_mut).unwrap());
    check(&example.to_string(), &plenty).problems
}

/// Whether an object with these keys has all that the schema requires.
fn suffices(schema: &Value, keys: &BTreeSet<String>) -> bool {
    let there = |list: &Value| list.as_array().into_iter().flatten().filter_map(Value::as_str).all(|key| keys.contains(key));
    let branches = |word: &str| schema[word].as_array().map(|all| all.iter().filter(|branch| there(&branch["required"])).count());
    let dependent = schema["dependentRequired"].as_object().into_iter().flatten();
    there(&schema["required"])
        && branches("oneOf").is_none_or(|n| n == 1)
        && branches("anyOf").is_none_or(|n| n > 0)
        && dependent.into_iter().all(|(key, others)| !keys.contains(key) || there(others))
        && schema["minProperties"].as_u64().is_none_or(|least| keys.len() as u64 >= least)
}

#[test]
fn the_example_shows_every_key_and_no_other() {
    let example: Value = serde_json::from_str(EXAMPLE).unwrap();
    let mut shown: std::collections::BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> = Default::default();
    for shape in shapes() {
        let known = keys(&shape.schema["properties"]);
        let here = keys(example.pointer(&shape.pointer).unwrap());
        assert!(here.is_subset(&known), "{}: {here:?}", shape.pointer);
        let entry = shown.entry(format!("{known:?}")).or_default();
        entry.0.extend(known);
        entry.1.extend(here);
    }
    let all = "file, reload, volumes, access, project, compose, selector, deploy, restart, service, healthcheck, limits, process";
    assert_eq!(shown.len(), 13, "{all}");
    for (known, here) in shown.values() {
        assert_eq!(known, here);
    }
}

#[test]
fn readers_and_schema_know_the_same_keys() {
    for Shape { pointer, schema } in shapes() {
        // An object without any known key's likeness is answered with all of them.
        let problems = changed(&pointer, |o| drop(o.insert("??".to_owned(), Value::Null)));
        let [problem] = &problems[..] else { panic!("{pointer}: {problems:?}") };
        let told: BTreeSet<String> = problem.expected.split(['“', '”']).skip(1).step_by(2).map(str::to_owned).collect();
        assert_eq!(told, keys(&schema["properties"]), "{pointer}");
    }
}

#[test]
fn readers_look_at_every_key_and_need_what_the_schema_requires() {
    for Shape { pointer, schema } in shapes() {
        let mut example: Value = serde_json::from_str(EXAMPLE).unwrap();
        for key in keys(example.pointer_mut(&pointer).unwrap()) {
            let wrong = changed(&pointer, |o| drop(o.insert(key.clone(), json!([[null]]))));
            assert!(wrong.iter().any(|p| p.path.contains(&key)), "{pointer}/{key} is not read: {wrong:?}");
            let gone = changed(&pointer, |o| drop(o.remove(&key)));
            let mut left = keys(example.pointer_mut(&pointer).unwrap());
            assert!(suffices(&schema, &left), "{pointer}");
            left.remove(&key);
            assert_eq!(gone.is_empty(), suffices(&schema, &left), "{pointer}/{key}: {gone:?}");
        }
    }
}

#[test]
fn a_default_of_the_schema_is_what_the_readers_take() {
    let (mut example, mut defaults): (Value, usize) = (serde_json::from_str(EXAMPLE).unwrap(), 0);
    for Shape { pointer, schema } in shapes() {
        for (key, property) in schema["properties"].as_object().unwrap() {
            let Some(default) = property.get("default") else { continue };
            let object = example.pointer_mut(&pointer).and_then(Value::as_object_mut).unwrap();
            let read = |object: Value, whole: &mut Value| {
                *whole.pointer_mut(&pointer).unwrap() = object;
                check(&whole.to_string(), &plenty).configuration.unwrap_or_else(|| panic!("{pointer}/{key}"))
            };
            let before = Value::Object(object.clone());
            let (mut without, mut with) = (before.clone(), before.clone());
            without.as_object_mut().unwrap().remove(key);
            // A list that is empty unless given may have to hold something where it is given.
            if default != &json!([]) && default != &json!({}) {
                with[key] = default.clone();
                assert_eq!(read(without, &mut example), read(with, &mut example), "{pointer}/{key}");
                defaults += 1;
            }
            *example.pointer_mut(&pointer).unwrap() = before;
        }
    }
    assert!(defaults >= 8, "{defaults}");
}
