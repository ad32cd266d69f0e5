//! Reading JSON without what nobody looks at: an inspection has some 250 fields, and a status needs 40 of each container.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The fields that are read of some objects, by the field that these objects are in (nothing for the answer itself). Of an object that is
/// not named all is read.
pub(super) type Wanted = &'static [(&'static str, &'static [&'static str])];

/// What is read of an inspection of a container.
pub(super) const CONTAINER: Wanted = &[
    ("", &["Id", "Name", "Image", "State", "Config", "HostConfig", "NetworkSettings", "Mounts", "RestartCount"]),
    ("State", &["Status", "Health", "StartedAt", "FinishedAt", "ExitCode", "Error", "OOMKilled"]),
    ("Config", &["Image", "Labels", "Tty", "StopTimeout"]),
    ("HostConfig", &["RestartPolicy", "NetworkMode", "PidMode", "IpcMode", "VolumesFrom", "Tmpfs", "Mounts", "PortBindings"]),
    ("NetworkSettings", &["Ports", "Networks"]),
    // Their names are enough.
    ("Networks", &[]),
];

/// What is read of a list of containers.
pub(super) const LISTED: Wanted = &[("", &["Id", "Names", "Image", "ImageID", "Labels", "Ports", "State"])];

/// Reads JSON, of which only what is wanted is kept.
pub(super) fn read(bytes: &[u8], wanted: Wanted) -> serde_json::Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Reader { wanted, field: "" }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Reader<'f> {
    wanted: Wanted,
    /// The field that is read.
    field: &'f str,
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let wanted = self.wanted.iter().find(|(field, _)| *field == self.field).map(|(_, fields)| *fields);
        let names_only = wanted.is_some_and(<[_]>::is_empty);
        let mut fields = Map::new();
        while let Some(key) = map.next_key_seed(Key(wanted.filter(|_| !names_only)))? {
            let Some(key) = key else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = if names_only {
                map.next_value::<IgnoredAny>()?;
                Value::Null
            } else {
                map.next_value_seed(Reader { wanted: self.wanted, field: &key })?
            };
            fields.insert(key, value);
        }
        Ok(Value::Object(fields))
    }
}

/// The name of a field; none where it is not wanted. Without a list all are.
struct Key(Option<&'static [&'static str]>);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<String>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Option<String>, E> {
        Ok(self.0.is_none_or(|wanted| wanted.contains(&name)).then(|| name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wanted_is_kept_as_it_is_and_nothing_else() {
        let all = json!({
            "Id": "0a", "Created": "x", "State": { "Status": "running", "Pid": 5, "Health": { "Log": [{ "Output": "a\"b" }] } },
            "Config": { "Labels": { "State": "kept", "Env": "kept" }, "Env": ["x"] }, "RestartCount": -1, "Mounts": [{ "RW": true, "N": 1.5 }],
            "NetworkSettings": { "Networks": { "a": { "IPAddress": "10.0.0.1" }, "b": null }, "Ports": null }, "HostConfig": "odd"
        });
        let wanted = json!({
            "Id": "0a", "State": { "Status": "running", "Health": { "Log": [{ "Output": "a\"b" }] } },
            "Config": { "Labels": { "State": "kept", "Env": "kept" } }, "RestartCount": -1, "Mounts": [{ "RW": true, "N": 1.5 }],
            "NetworkSettings": { "Networks": { "a": null, "b": null }, "Ports": null }, "HostConfig": "odd"
        });
        assert_eq!(read(all.to_string().as_bytes(), CONTAINER).unwrap(), wanted);
        let listed = json!([{ "Id": "0a", "Labels": { "a": "b" }, "HostConfig": {} }, null, 5]);
        assert_eq!(read(listed.to_string().as_bytes(), LISTED).unwrap(), json!([{ "Id": "0a", "Labels": { "a": "b" } }, null, 5]));
        for wrong in ["", "{", "{}x", "{\"Created\":[}", "{\"Id\":\"\u{1}\"}"] {
            assert!(read(wrong.as_bytes(), CONTAINER).is_err(), "{wrong}");
        }
    }
}
