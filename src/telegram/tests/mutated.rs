//! Updates with random changes: whatever comes is acknowledged, ends nothing, and carries nothing out.

use serde_json::{Map, Value, json};

use super::*;
use crate::domain::project::ProjectName;
use crate::long::rounds;

/// How many come before they have to be acknowledged.
const AT_ONCE: u64 = 100;
/// How many there are in the short form.
const UPDATES: u64 = 2_000;
/// How long so many may take to be taken in.
const PATIENT: Duration = Duration::from_secs(60);

/// Random numbers that a seed decides (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    /// What stands in the place of a value.
    fn other(&mut self, value: &Value) -> Value {
        match self.below(10) {
            0 => Value::Null,
            1 => json!([value]),
            2 => json!({ "unheard_of": value }),
            3 => json!(value.to_string()),
            4 => json!("of_tomorrow"),
            5 => json!(u64::MAX),
            6 => json!(-1),
            7 => json!(0.5),
            8 => json!(true),
            _ => json!({}),
        }
    }

    /// Changes one place, at any depth.
    fn change(&mut self, value: &mut Value) {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                let at = self.below(fields.len());
                let name = fields.keys().nth(at).unwrap().clone();
                match self.below(6) {
                    0 => drop(fields.remove(&name)),
                    1 => {
                        let other = self.other(&fields[&name]);
                        fields.insert(name, other);
                    }
                    2 => rename(fields, &name),
                    3 => drop(fields.insert("some_new_field".to_owned(), json!([{ "type": "new" }, null]))),
                    _ => self.change(fields.get_mut(&name).unwrap()),
                }
            }
            Value::Array(items) if !items.is_empty() => {
                let at = self.below(items.len());
                self.change(&mut items[at]);
            }
            other => *other = self.other(other),
        }
    }
}

fn rename(fields: &mut Map<String, Value>, name: &str) {
    let value = fields.remove(name).unwrap();
    fields.insert(format!("{name}_2"), value);
}

/// Messages and presses of people who may everything and of those who may nothing, none of which carries anything out.
fn updates() -> Vec<(&'static str, Value)> {
    let chat = |id: i64| match id {
        GROUP => json!({ "id": GROUP, "type": "supergroup", "title": "Ops" }),
        id => json!({ "id": id, "type": "private", "first_name": "Ann" }),
    };
    let from = |id: i64| json!({ "id": id, "is_bot": false, "first_name": "Ann", "username": "ann" });
    let message = |who: i64, place: i64, text: &str| {
        json!({
            "message_id": 1_000, "date": now() / 1_000, "chat": chat(place), "from": from(who), "text": text,
            "entities": [{ "type": "bot_command", "offset": 0, "length": 5 }], "message_thread_id": 4, "is_topic_message": true,
            "reply_to_message": { "message_id": 900, "date": 1, "chat": chat(place), "from": from(STRANGER), "text": "x" },
        })
    };
    let mut forwarded = message(ADMIN, GROUP, "yes");
    forwarded["forward_origin"] = json!({ "type": "user", "date": 1, "sender_user": from(STRANGER) });
    let press = json!({
        "id": "1", "from": from(STRANGER), "chat_instance": "1", "data": "c:0a1b2c",
        "message": { "message_id": 900, "date": 1, "chat": chat(GROUP), "text": "x" },
    });
    vec![
        ("message", message(ADMIN, GROUP, "yes")),
        ("message", message(ADMIN, GROUP, "talk among people")),
        ("message", message(STRANGER, GROUP, "/docker_restart shop")),
        ("message", message(STRANGER, STRANGER, "/docker_deploy shop")),
        ("message", forwarded),
        ("callback_query", press),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_with_random_changes_end_nothing_and_carry_nothing_out() {
    let chat = Chat::start().await;
    let all = rounds(UPDATES);
    for seed in all {
        let mut chance = Chance(seed);
        let (kind, mut content) = updates().swap_remove(usize::try_from(seed).unwrap() % 6);
        for _ in 0..=chance.below(3) {
            chance.change(&mut content);
        }
        chat.api.update(kind, content);
        if seed % AT_ONCE == AT_ONCE - 1 {
            chat.api.wait_acknowledged(PATIENT).await.unwrap();
            assert!(!chat.bot.as_ref().unwrap().task.is_finished(), "it ended at {seed}");
        }
    }
    chat.api.wait_acknowledged(PATIENT).await.unwrap();
    let begun = chat.history.operations_of(ProjectName::new("shop").unwrap(), 5).await.unwrap();
    assert!(begun.is_empty(), "{begun:?}");
    // It still listens.
    while !chat.ask("/whoami").await.contains("Your id") {}
    // Some answers still wait for their turn.
    let left = chat.history.inbox_unfinished().await.unwrap();
    assert!(left.iter().all(|kept| kept.begun), "{left:?}");
}
