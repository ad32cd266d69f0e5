//! What engines really answered (`tests/data/answers`), changed at random at any depth: nothing panics, and nothing reads otherwise but
//! what was changed.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::RngSeed;
use serde_json::{Map, Value, json};

use super::fake::Fake;
use crate::domain::container::Container;
use crate::engine::api_version::ApiVersion;
use crate::engine::compose::Resolved;
use crate::engine::docker::Docker;
use crate::engine::events::Change;
use crate::engine::fields::Fields;
use crate::engine::find::Listed;
use crate::engine::looks::Look;
use crate::engine::{inspect, networks, registry, usage, wanted};
use crate::long;

const LIST: &str = "/containers/json";

/// An engine, and what it answered: by path, without the query.
struct Recorded {
    name: String,
    answers: Map<String, Value>,
    /// Every place in every answer.
    places: Vec<(String, String)>,
}

static RECORDED: LazyLock<Vec<Recorded>> = LazyLock::new(|| {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/answers");
    let mut all: Vec<Recorded> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).filter_map(recorded).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
});

fn recorded(file: std::path::PathBuf) -> Option<Recorded> {
    let name = file.file_name()?.to_str()?.strip_suffix(".json")?.to_owned();
    let mut answers: Map<String, Value> = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    for (path, answer) in answers.iter_mut().filter(|(path, _)| path.starts_with("/containers/")) {
        // Not all were labelled with all that Compose labels its own with.
        let labels: Vec<&mut Value> = if path == LIST {
            answer.as_array_mut().unwrap().iter_mut().map(|one| &mut one["Labels"]).collect()
        } else {
            vec![&mut answer["Config"]["Labels"]]
        };
        labels.into_iter().for_each(|labels| labels["com.docker.compose.config-hash"] = json!("0a1b"));
    }
    let mut places = Vec::new();
    for (path, answer) in &answers {
        note_places(path, String::new(), answer, &mut places);
    }
    Some(Recorded { name, answers, places })
}

fn note_places(path: &str, place: String, value: &Value, all: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                note_places(path, format!("{place}/{}", key.replace('~', "~0").replace('/', "~1")), field, all);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                note_places(path, format!("{place}/{at}"), item, all);
            }
        }
        _ => {}
    }
    all.push((path.to_owned(), place));
}

/// A change of one place.
#[derive(Debug, Clone)]
enum Edit {
    Remove,
    Rename,
    Set(Value),
    /// A field that nobody knows yet.
    Add,
    /// A number as a text.
    Spell,
}

fn change() -> impl Strategy<Value = Edit> {
    let other = prop::sample::select(vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(2.5),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!("stopped"),
        json!("a-word-to-come"),
        json!("\u{0}\u{202e}\n/../"),
        json!([]),
        json!([null, 5, "x", {}]),
        json!({}),
        json!({ "Id": 5, "": null }),
        json!([[[[[[[[]]]]]]]]),
    ]);
    let set = other.prop_map(Edit::Set);
    prop_oneof![1 => Just(Edit::Remove), 1 => Just(Edit::Rename), 4 => set, 1 => Just(Edit::Add), 2 => Just(Edit::Spell)]
}

/// Changes a place of an answer. False where the change changes nothing that is read.
fn changed(answer: &mut Value, place: &str, change: &Edit) -> bool {
    let (around, last) = place.rsplit_once('/').unwrap_or(("", ""));
    let key = last.replace("~1", "/").replace("~0", "~");
    match change {
        Edit::Set(value) => *answer.pointer_mut(place).unwrap() = value.clone(),
        Edit::Add => match answer.pointer_mut(place) {
            Some(Value::Object(fields)) => {
                fields.insert("FieldToCome".to_owned(), json!({ "Status": "running", "Deep": [null] }));
                // Some objects are names of anything.
                return ["Labels", "Options", "Attributes", "Ports", "Networks", "Tmpfs", "Containers"].contains(&&*key);
            }
            _ => return false,
        },
        Edit::Spell => match answer.pointer_mut(place) {
            Some(number @ Value::Number(_)) => {
                *number = Value::String(number.to_string());
                return false;
            }
            _ => return false,
        },
        Edit::Remove | Edit::Rename => match answer.pointer_mut(around) {
            Some(Value::Object(fields)) if !place.is_empty() => {
                let value = fields.remove(&key).unwrap();
                if matches!(change, Edit::Rename) {
                    fields.insert(format!("{key}ToCome"), value);
                }
            }
            Some(Value::Array(items)) if !place.is_empty() => drop(items.remove(key.parse().unwrap())),
            _ => return false,
        },
    }
    true
}

/// What is read of an answer, an item each.
fn read(path: &str, answer: &Value) -> Vec<String> {
    let array = || answer.as_array().map(Vec::as_slice).unwrap_or_default().iter();
    match path {
        LIST => array().filter_map(inspect::listed).map(|one| format!("{one:?}")).collect(),
        "/events" => array().map(event).collect(),
        "/images/json" => array().map(|image| format!("{:?}", inspect::tags(image))).collect(),
        "/networks" => array().filter_map(networks::network).map(|network| format!("{network:?}")).collect(),
        "/volumes" => answer.items("Volumes").iter().filter_map(inspect::volume).map(|volume| format!("{volume:?}")).collect(),
        "/system/df" => usage::read(answer).into_iter().map(|(name, size)| format!("{name} {size}")).collect(),
        "/info" => vec![format!("{:?}", inspect::clock(answer))],
        "/version" => vec![format!("{:?}", answer.text("ApiVersion").and_then(ApiVersion::parse))],
        _ if path.starts_with("/images/") => vec![format!("{:?}", registry::local_image(answer))],
        _ if path.starts_with("/networks/") => {
            answer.entries("Containers").map(|(id, one)| format!("{id} {:?}", one.text("Name"))).collect()
        }
        _ => {
            let one = Listed::known_by("0a1b");
            let made = inspect::stand_in(answer, "0a1b", ("a".into(), "b".into()), vec!["c".into()]);
            assert_eq!(made.field("Labels").text("a"), Some("b"));
            let all =
                (inspect::of_any(answer, &one), inspect::of_name(answer, &one), inspect::mounts(answer), inspect::would_publish(answer));
            vec![format!("{all:?}")]
        }
    }
}

fn event(event: &Value) -> String {
    let Change { action, container, at, labels } = inspect::change(event);
    let labels: BTreeMap<_, _> = labels.into_iter().collect();
    format!("{action} {container} {at} {labels:?} {:?}", inspect::recent_event(event))
}

/// What is left of a list where one of its items is changed.
fn has_all_but_one(before: &[String], after: &[String]) -> Result<(), TestCaseError> {
    let missing: Vec<&String> = before.iter().filter(|one| !after.contains(one)).collect();
    prop_assert!(missing.len() <= 1 && after.len() <= before.len(), "{missing:#?}");
    Ok(())
}

/// Whether a place is in one item of a list of several, and not the list itself.
fn is_in_an_item(path: &str, place: &str) -> bool {
    let depth = match path {
        LIST | "/events" | "/images/json" | "/networks" => 1,
        "/volumes" | "/system/df" => 2,
        _ => return false,
    };
    place.matches('/').count() >= depth
}

/// How many changes are tried: 2,000, or as many as `scripts/long answers` says, from its seed.
fn config(share: u32) -> ProptestConfig {
    let rounds = long::rounds(2_000);
    let cases = u32::try_from(rounds.end - rounds.start).unwrap() / share;
    let rng_seed = if long::asked().is_some() { RngSeed::Fixed(rounds.start) } else { RngSeed::Random };
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(1))]

    #[test]
    fn a_change_is_read_where_it_is_and_nowhere_else(engine in any::<Index>(), at in any::<Index>(), change in change()) {
        let recorded = engine.get(&RECORDED);
        let (path, place) = at.get(&recorded.places);
        let before = &recorded.answers[path];
        let mut after = before.clone();
        let matters = changed(&mut after, place, &change);
        let (was, is) = (read(path, before), read(path, &after));
        if !matters {
            prop_assert_eq!(&was, &is, "{} {} {}", recorded.name, path, place);
        }
        if is_in_an_item(path, place) {
            has_all_but_one(&was, &is).map_err(|why| TestCaseError::fail(format!("{} {path} {place}: {why}", recorded.name)))?;
        }
    }
}

proptest! {
    // Each of these asks a server a dozen questions.
    #![proptest_config(config(20))]

    #[test]
    fn whatever_is_changed_about_one_container_the_others_are_seen_as_they_are(
        engine in any::<Index>(), at in any::<Index>(), change in change()
    ) {
        let recorded = engine.get(&RECORDED);
        let of_containers: Vec<_> = recorded.places.iter().filter(|(path, _)| path.starts_with("/containers/")).collect();
        let (path, place) = at.get(&of_containers);
        let mut answers = recorded.answers.clone();
        changed(&mut answers[path], place, &change);
        let (was, is) = (look(&recorded.answers), look(&answers));
        let named = format!("{} {path} {place} {change:?}", recorded.name);
        match (is, place.as_str(), path.as_str()) {
            // Nothing that is a list at all.
            (Err(_), "", LIST) => {}
            (Err(why), ..) => return Err(TestCaseError::fail(format!("{named}: {why}"))),
            (Ok(is), "", LIST) => prop_assert!(is.is_empty(), "{named}"),
            (Ok(is), ..) => {
                let same = was.as_ref().unwrap().iter().filter(|(id, container)| is.get(*id) == Some(container)).count();
                prop_assert!(same + 1 >= was.unwrap().len(), "{named}: {is:#?}");
            }
        }
    }
}

/// The shop's containers by their ids, as they are found in both ways.
fn look(answers: &Map<String, Value>) -> Result<BTreeMap<String, Container>, String> {
    thread_local! {
        static ENGINE: (Fake, tokio::runtime::Runtime) =
            (Fake::start(), tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap());
    }
    ENGINE.with(|(fake, runtime)| {
        fake.tell(|told| {
            told.answers = answers.iter().map(|(path, answer)| (path.clone(), (200, answer.to_string().into_bytes()))).collect();
        });
        runtime.block_on(async {
            let docker: Docker = fake.docker();
            let shop = Look::Compose("shop".to_owned());
            let found = docker.containers(&shop).await.map_err(|error| error.to_string())?;
            docker
                .glance_all(&[shop.clone(), shop])
                .await
                .into_iter()
                .try_for_each(|seen| seen.map(drop))
                .map_err(|error| error.to_string())?;
            Ok(found.into_iter().map(|container| (container.id.clone(), container)).collect())
        })
    })
}

/// What Compose printed (`tests/data/compose-config-2.26.1.json`), with every place in it.
static COMPOSED: LazyLock<(Value, Vec<(String, String)>)> = LazyLock::new(|| {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/compose-config-2.26.1.json");
    let printed: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let mut places = Vec::new();
    note_places("", String::new(), &printed, &mut places);
    (printed, places)
});

/// What is read of a configuration, for each service.
fn resolved(printed: &Value) -> Result<BTreeMap<String, String>, String> {
    let resolved = Resolved::parse(printed.to_string().as_bytes())?;
    let services = resolved.services("shop", std::path::Path::new("/srv/shop"));
    let names: Vec<_> = services.keys().cloned().collect();
    let _ = (resolved.purposes(), resolved.needed_by(&names), resolved.to_start(&names.iter().cloned().collect()), resolved.alone());
    let _ = (resolved.replicas(), resolved.networks(), resolved.hidden(), resolved.hidden_environment(), resolved.from_variables());
    let _ = (resolved.hooks(), resolved.inline(), resolved.declared(), resolved.used_networks(), resolved.used_volumes());
    let _ =
        (resolved.unsupported(), resolved.provided(), resolved.names_files(), resolved.external_files(), resolved.bound(&BTreeMap::new()));
    let _ = names.iter().map(|name| resolved.mounted_volumes(name)).collect::<Vec<_>>();
    Ok(services.into_iter().map(|(name, definition)| (name.to_string(), format!("{definition:?}"))).collect())
}

proptest! {
    #![proptest_config(config(1))]

    #[test]
    fn a_change_of_one_compose_service_is_read_there_and_nowhere_else(at in any::<Index>(), change in change()) {
        let (printed, places) = &*COMPOSED;
        let (_, place) = at.get(places);
        let mut after = printed.clone();
        changed(&mut after, place, &change);
        let read = resolved(&after);
        // What is no service any more others do not depend on.
        let in_service = place.strip_prefix("/services/").and_then(|rest| rest.split_once('/'));
        if let Some((service, _)) = in_service {
            let (was, is) = (resolved(printed).unwrap(), read.map_err(TestCaseError::fail)?);
            for (name, definition) in was.iter().filter(|(name, _)| *name != service) {
                prop_assert_eq!(is.get(name), Some(definition), "{} {:?}", place, change);
            }
        }
    }
}

#[test]
fn every_recorded_container_is_what_it_was() {
    assert_eq!(RECORDED.len(), 5);
    for recorded in RECORDED.iter() {
        let seen = look(&recorded.answers).unwrap();
        let mut states: Vec<String> =
            seen.values().map(|c| format!("{} {:?} {:?} {}", c.service, c.state, c.health, c.exit_code)).collect();
        states.sort();
        let wanted = [
            "created Created None 0",
            "done Exited None 0",
            "failed Exited None 3",
            "healthy Running Healthy 0",
            // Podman has a state that Docker has not.
            if recorded.name.starts_with("podman") { "loop Unknown None 4" } else { "loop Restarting None 4" },
            "noprogram Created None 127",
            "oom Exited None 137",
            "paused Paused None 0",
            "porttaken Created None 128",
            "starting Running Starting 0",
            "stopped Exited None 137",
            "unhealthy Running Unhealthy 0",
        ];
        assert_eq!(states, wanted, "{}", recorded.name);
        // What is left out of an inspection is read nowhere.
        for (path, answer) in recorded.answers.iter().filter(|(path, _)| path.starts_with("/containers/") && *path != LIST) {
            let wanted = wanted::read(answer.to_string().as_bytes(), wanted::CONTAINER).unwrap();
            let (all, wanted): (String, String) = [answer, &wanted]
                .map(|answer| {
                    let listed = Listed::known_by("0a1b");
                    let seen = (inspect::of_any(answer, &listed), inspect::mounts(answer), inspect::would_publish(answer));
                    format!("{seen:?}")
                })
                .into();
            assert_eq!(all, wanted, "{} {path}", recorded.name);
        }
        assert!(seen.values().all(|c| !c.labels.is_empty() && !c.image_id.is_empty()));
    }
}
