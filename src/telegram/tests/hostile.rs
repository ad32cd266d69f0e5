//! Every message with text from outside in all of its fields, as a person would see it at the strict server.

use std::ops::Range;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use teloxide::payloads::SendMessage;
use teloxide::types::{ChatId, ParseMode};

use super::sending::api;
use super::{ADMIN, Chat};
use crate::domain::access::Denied;
use crate::domain::confirm::Question;
use crate::domain::failure::Failure;
use crate::domain::manifest::TreePath;
use crate::domain::plan::Plan;
use crate::domain::request::Kind;
use crate::domain::text::Text;
use crate::domain::untrusted::{UntrustedText, visible};
use crate::domain::words::{self, LogHeading};
use crate::sandbox::bot_api::Message;
use crate::telegram::render;

/// Text that would be a message of the bot's own, hide something, be live, or be formatted.
const HOSTILE: &str = "a\n\n✅ Deploy of shop done\u{202e}\u{200b}\r\t @boss /docker_stop evil.com <b>bold</b> `mark` #tag";
/// What of it a person would believe.
const BELIEVED: &str = "Deploy of shop done";

/// A value from JSON in which `RAW` stands for text from outside, and `SAID` for a sentence that holds some.
fn filled<T: DeserializeOwned>(said: &str, value: Value) -> T {
    fn fill(value: &mut Value, raw: &str, said: &str) {
        match value {
            Value::String(text) if text == "RAW" => *text = raw.to_owned(),
            Value::String(text) if text == "SAID" => *text = said.to_owned(),
            Value::Array(items) => items.iter_mut().for_each(|item| fill(item, raw, said)),
            Value::Object(fields) => fields.values_mut().for_each(|field| fill(field, raw, said)),
            _ => {}
        }
    }
    let mut value = value;
    fill(&mut value, &format!("{HOSTILE}{}", " and so on".repeat(60)), said);
    serde_json::from_value(value).unwrap()
}

/// Every message that has something from outside in it; `said` is a sentence of that kind.
fn messages(said: &str) -> Vec<(&'static str, Text)> {
    let (said, raw) = (said.to_owned(), HOSTILE.to_owned());
    let of = |value: Value| value;
    let failure = of(json!({ "what": "SAID", "why": "SAID", "next": "SAID", "lines": ["RAW", "RAW"] }));
    let orphans = json!([{ "id": "RAW", "name": "RAW", "why": "SAID", "seen": "SAID" }]);
    let steps = json!([
        { "step": "stage" }, { "step": "build", "services": ["evil.com"] }, { "step": "tidy", "orphans": orphans, "network": "RAW" }
    ]);
    let service = |action: &str| json!({ "service": "evil.com", "action": action, "reasons": ["SAID", "SAID"], "ails": "SAID", "stateful": true, "made_from": "x" });
    let plan = |request: Value, files: bool| -> Plan {
        let changes = json!({ "added": ["RAW"], "changed": ["RAW"], "deleted": ["RAW"], "edited": ["RAW"], "kept": ["RAW"] });
        let mut value = json!({
            "request": request, "steps": steps, "services": [service("recreate"), service("stay"), service("start")],
            "release": 3, "not_copied": [["RAW", "SAID"]], "unset": ["RAW"], "unmarked": ["db"], "warnings": ["SAID", "SAID"], "digest": "x",
        });
        if files {
            value["files"] = changes;
        }
        filled(&said, value)
    };
    let deploy = plan(json!({ "operation": "deploy", "project": "shop", "with": [] }), true);
    let start = plan(json!({ "operation": "start", "project": "shop", "service": "evil.com" }), false);
    let tidy = plan(json!({ "operation": "tidy", "project": "shop" }), false);
    let mut other = deploy.clone();
    other.services[0].action = crate::domain::plan::Action::Stay;
    other.files.as_mut().unwrap().added = vec![TreePath::new(format!("other {HOSTILE}"))];
    let outcome = json!({
        "verdict": "failed", "now": "SAID", "failure": failure, "services": [{ "service": "RAW", "good": false, "seen": "SAID" }]
    });
    let view = json!({
        "id": 1, "kind": "deploy", "target": "shop/evil.com", "actor": "RAW", "started": 0,
        "steps": [{ "label": "SAID", "progress": "done", "started": 0, "ended": 5_000, "note": "SAID" }],
        "services": [{ "service": "RAW", "progress": "failed", "seen": "SAID" }], "tail": ["RAW", "RAW"],
        "ended": [9_000, { "verdict": "handedover", "now": "SAID" }],
    });
    let busy = json!({ "what": "SAID", "who": "RAW", "since": 0 });
    let replica = json!({
        "service": "evil.com", "container": "RAW", "condition": "running", "health": "none", "since": 0, "exit_code": null,
        "out_of_memory": false, "image": "RAW", "restarts": 1, "primary": true, "stateful": true, "pending": true, "done": false,
        "ports": [{ "host": "RAW", "public": 1, "private": 2, "protocol": "RAW" }],
    });
    let status = json!({
        "project": "shop", "description": "RAW", "workspace": "RAW", "production": "RAW", "release": null, "ahead": null,
        "busy": busy, "unknown": ["SAID"],
        "services": [replica, replica],
    });
    let change = json!({ "setting": "RAW", "before": "RAW", "after": "RAW", "effect": "at_once" });
    let impact = json!({
        "general": [change], "projects": [{ "project": "shop", "fate": "changed", "settings": [change], "services": ["evil.com"] }]
    });
    let applied = |cause: Value| {
        let mut value = json!({
            "snapshot": 1, "impact": impact, "warnings": ["RAW"], "unreadable": ["SAID"], "withdrawn": ["SAID"], "pinned": true,
            "failed": [{ "part": "SAID", "why": "SAID" }], "unwritten": "SAID",
        });
        value.as_object_mut().unwrap().extend(cause.as_object().unwrap().clone());
        words::reloaded(&filled(&said, value))
    };
    let place = json!({ "path": "RAW", "on": "layer", "mounted_at": "RAW", "file_system": "RAW", "writable": false });
    let concern = json!([{ "which": "data", "path": "RAW", "on": "memory", "boxed": true, "would_serve": ["RAW"] }, { "which": "configuration", "path": "RAW", "on": "layer", "boxed": true, "would_serve": [] }]);
    let environment = json!({
        "runtime": "docker", "signs": ["RAW"], "limits": { "memory": 1, "millicpus": null, "pids": null },
        "mounts": [{ "point": "RAW", "kind": "bind", "volume": "RAW", "file_system": "RAW", "directory": true, "writable": false }],
        "data": place, "configuration": place, "concerns": concern, "moved_from": "RAW",
    });
    let rejected = json!({ "at": 0, "problems": ["RAW", "RAW"] });
    let standing = json!({
        "path": "RAW", "included": ["RAW"], "snapshot": 1, "since": 0, "rejected": rejected, "watching": "poll", "because": "SAID",
        "trouble": "SAID", "environment": environment,
    });
    let version = |way: Value| -> crate::domain::snapshot::VersionPlan {
        filled(&said, json!({ "to": 1, "at": 0, "impact": impact, "in_force": false, "way": way, "warnings": ["RAW"], "digest": "x" }))
    };
    let store = |kind: &str| {
        json!({
            "kind": kind, "name": "RAW", "path": "RAW", "driver": "RAW", "lasts": "longer", "size": { "unknown": "slow" },
            "users": [{ "service": "evil.com", "at": "RAW", "writable": true }],
        })
    };
    let kinds = ["volume", "bind", "anonymous", "layer", "memory", "other"];
    let heading = LogHeading { project: "shop", service: "evil.com", grep: Some(HOSTILE), cut: true, broken: Some(HOSTILE) };
    let lines = [(Some(0), HOSTILE), (None, HOSTILE)];
    let who = UntrustedText::from(HOSTILE);
    let asked = Question::Operation(Box::new(deploy.clone()));
    let planned = words::question(&asked);
    let row = json!([{ "id": 1, "what": "SAID", "who": "RAW", "started": 0, "ended": [1, "failed", "SAID"] }]);
    let release = json!([{ "number": 1, "current": true, "kept": false, "at": 0, "who": "RAW", "changed": 1, "verdict": null }]);
    let cause = |cause: Value| {
        let mut value = json!({ "id": 1, "at": 0, "impact": impact });
        value.as_object_mut().unwrap().extend(cause.as_object().unwrap().clone());
        value
    };
    let causes = json!([
        cause(json!({ "cause": "asked", "who": "RAW" })),
        cause(json!({ "cause": "kept", "who": "RAW", "why": "RAW" })),
        cause(json!({ "cause": "rollback", "who": "RAW", "to": 1 })),
        cause(json!({ "cause": "undone", "undone": 1, "why": "SAID" })),
    ]);
    let trial = json!({ "what": "SAID", "took": 1, "failed": "SAID" });
    let selftest = json!({ "directory": "RAW", "on_the_spot": false, "watching": "off", "because": "SAID", "limit": 1, "trials": [trial] });
    let low =
        json!({ "space": { "device": 1, "free": 1, "total": 2 }, "limit": 1, "places": [{ "path": "RAW", "keeps": { "what": "own" } }] });
    let overview = [("shop".to_owned(), Err(said.clone())), ("edge".to_owned(), Ok(filled(&said, status.clone())))];
    let failure: Failure = filled(&said, failure);
    let busy: crate::domain::status::Busy = filled(&said, busy);
    vec![
        ("unknown project", words::unknown_project(&raw, &[], &["shop".into()], Some("shop"))),
        ("wrong service", words::wrong_service(&raw)),
        ("unclear", words::unclear(&raw, "docker_stop", "[p]", "shop")),
        ("lines", words::lines_out_of_range(&raw, 1)),
        ("unknown command", words::unknown_command(&raw, &[])),
        ("plan", words::plan(&deploy)),
        ("plan of a start", words::plan(&start)),
        ("plan of a tidy", words::plan(&tidy)),
        ("nothing to do", words::nothing_to_do(&start)),
        ("ask", words::ask(&asked, true, 1)),
        ("asked again", words::asked_again(&Question::Operation(Box::new(other)), &asked, false, 1)),
        ("confirmed", words::confirmed(&planned, &who)),
        ("cancelled", words::cancelled(&planned, &who)),
        ("files", words::files_caption(&deploy)),
        ("progress", words::progress(&filled(&said, view), 10_000)),
        ("outcome", words::outcome(1, Kind::Deploy, "shop", &who, 1, &filled(&said, outcome))),
        ("failure", words::failure(&failure)),
        ("busy", words::busy("shop", &busy, 1)),
        ("cancelling", words::cancelling("shop", Some("Deploy shop"), Some(&busy))),
        ("status", words::status(&filled(&said, status), 1)),
        ("overview", words::overview(&overview)),
        ("history", words::history("shop", &filled::<Vec<_>>(&said, row), 1)),
        ("releases", words::releases("shop", &filled::<Vec<_>>(&said, release))),
        ("logs", words::logs(&heading, &lines)),
        ("log caption", words::log_caption(&heading, &lines)),
        ("no lines", words::no_lines(&heading, true)),
        ("follow", words::follow(&heading, &lines, None)),
        (
            "volumes",
            words::volumes(
                &filled(&said, json!({ "project": "shop", "stores": kinds.map(store), "containers": 1, "unknown": ["SAID"] })),
                1,
            ),
        ),
        ("low space", words::low_space(&filled(&said, low))),
        ("reloaded", applied(json!({ "cause": "asked", "who": "RAW" }))),
        ("reload undone", applied(json!({ "cause": "undone", "undone": null, "why": "SAID" }))),
        ("rejected", words::rejected(&filled(&said, rejected), false)),
        ("unseen", words::unseen(&said)),
        ("configuration", words::configuration(&filled(&said, standing), 1)),
        ("concerns", words::concerns(&filled::<Vec<_>>(&said, concern))),
        ("versions", words::versions(&filled::<Vec<_>>(&said, causes), Some(1))),
        ("difference", words::version_diff(1, &filled(&said, impact.clone()), raw.clone(), true)),
        ("version written", words::version_plan(&version(json!({ "way": "write", "files": ["RAW"] })))),
        ("version pinned", words::version_plan(&version(json!({ "way": "pin", "why": "SAID" })))),
        ("left over", words::left_over("shop", &filled::<Vec<_>>(&said, orphans))),
        ("token", words::token(Some(&said))),
        ("unanswered", words::unanswered(&raw)),
        ("stale", words::stale(std::slice::from_ref(&raw), 1, None)),
        ("selftest", words::selftest(&filled(&said, selftest))),
        ("denied", words::denied(&Denied::Stranger)),
    ]
}

/// The parts of a text that are code: nothing in them is live or formatted.
fn code(message: &Message, kind: &str) -> Vec<Range<usize>> {
    let of = |entity: &&crate::sandbox::bot_api::Entity| kind.is_empty() && entity.kind != "bold" || entity.kind == kind;
    message.entities.iter().filter(of).map(|entity| entity.offset..entity.offset + entity.length).collect()
}

fn part(units: &[u16], range: Range<usize>) -> String {
    String::from_utf16(&units[range]).unwrap()
}

/// What is wrong with a message, as a person sees it.
fn wrong(message: &Message, quoted: bool) -> Vec<String> {
    let units: Vec<u16> = message.text.encode_utf16().collect();
    let mut wrong = Vec::new();
    if visible(&message.text) != message.text {
        wrong.push("something in it is invisible".to_owned());
    }
    for range in code(message, "code") {
        let text = part(&units, range);
        if text.contains('\n') {
            wrong.push(format!("code of several lines: {text}"));
        }
    }
    let mut outside = message.text.clone();
    for range in code(message, "").into_iter().rev() {
        outside = format!("{}\u{0}{}", part(&outside.encode_utf16().collect::<Vec<_>>(), 0..range.start), {
            let units: Vec<u16> = outside.encode_utf16().collect();
            part(&units, range.end..units.len())
        });
    }
    if outside.lines().any(|line| line.trim_start_matches('✅').trim().starts_with(BELIEVED)) {
        wrong.push("a line of its own".to_owned());
    }
    let banned: &[&str] = if quoted { &[BELIEVED, "/docker_stop e", "bold<", "mark"] } else { &[] };
    for live in banned.iter().chain(&["@boss", "evil.com", "#tag"]) {
        if outside.contains(live) {
            wrong.push(format!("{live} stands outside of code: {outside}"));
        }
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn text_from_outside_is_only_ever_code() {
    let chat = Chat::prepare().await;
    let api = api(&chat);
    // As whoever makes sentences has to; and as somebody would who forgot it.
    for (quoted, said) in
        [(true, format!("It says {}, twice {}.", UntrustedText::from(HOSTILE), UntrustedText::from(HOSTILE))), (false, HOSTILE.to_owned())]
    {
        for (name, text) in messages(&said) {
            for part in render::split(&text) {
                let mut payload = SendMessage::new(ChatId(ADMIN), render::html(&part));
                payload.parse_mode = Some(ParseMode::Html);
                let sent = api.call(&payload).await.unwrap();
                let id = i32::try_from(sent["message_id"].as_i64().unwrap()).unwrap();
                let message = chat.api.messages(ADMIN).into_iter().find(|m| m.id == id).unwrap();
                let wrong = wrong(&message, quoted);
                assert!(wrong.is_empty(), "{name} (quoted: {quoted}): {wrong:#?}\n{}", message.html);
            }
        }
    }
}

#[test]
fn what_goes_as_a_file_or_to_a_terminal_is_visible_too() {
    for (name, text) in messages(HOSTILE) {
        let plain = text.to_plain();
        assert_eq!(visible(&plain), plain, "{name}");
    }
}
