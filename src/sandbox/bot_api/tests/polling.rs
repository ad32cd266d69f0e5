//! Updates, their confirmation, and two pollers.

use super::*;

#[tokio::test]
async fn a_poll_waits_and_an_offset_confirms() {
    let api = server().await;
    let poller = api.clone();
    let poll = tokio::spawn(async move { ok(&poller, "GetUpdates", json!({ "timeout": 20 })).await });
    // The poll has arrived once the world knows of one.
    api.shared.wait(SOON, |world| world.updates.is_current(1).then_some(())).await.unwrap();
    let id = api.say(ANNA, ANNA, "/help");
    let updates = poll.await.unwrap();
    assert_eq!(updates[0]["message"]["message_id"], id);
    assert_eq!(updates[0]["message"]["from"], json!({ "id": ANNA, "is_bot": false, "first_name": "Anna", "language_code": "en" }));
    assert_eq!(updates[0]["message"]["chat"], json!({ "id": ANNA, "type": "private", "first_name": "Anna" }));
    assert_eq!(updates[0]["message"]["date"], START);
    assert_eq!(updates[0]["message"]["entities"][0]["type"], "bot_command");

    let update = api.last_update();
    assert_eq!(updates[0]["update_id"], update);
    assert!(!api.acknowledged(update));
    assert!(api.wait_acknowledged(BRIEFLY).await.is_err());
    assert_eq!(waiting(&api).await.len(), 1, "what was not confirmed comes again");
    ok(&api, "getUpdates", json!({ "offset": update + 1 })).await;
    assert!(api.acknowledged(update) && !api.acknowledged(update + 1));
    api.wait_acknowledged(SOON).await.unwrap();
}

#[tokio::test]
async fn a_second_poll_ends_the_first() {
    let api = server().await;
    let poller = api.clone();
    let first = tokio::spawn(async move { refused(&poller, "getUpdates", json!({ "timeout": 50 })).await });
    api.shared.wait(SOON, |world| world.updates.is_current(1).then_some(())).await.unwrap();
    ok(&api, "getUpdates", json!({})).await;
    let (code, description) = first.await.unwrap();
    assert_eq!(code, 409);
    assert!(description.starts_with("Conflict: terminated by other getUpdates request"), "{description}");
    assert_eq!(api.violations(), Vec::<String>::new(), "it is the operator's mistake");
}

#[tokio::test]
async fn only_wanted_kinds_are_queued() {
    let api = server().await;
    ok(&api, "getUpdates", json!({ "allowed_updates": ["callback_query"] })).await;
    api.say(ANNA, ANNA, "hello");
    api.press_data(ANNA, ANNA, 1, "x");
    let updates = waiting(&api).await;
    assert_eq!(updates.len(), 1);
    assert_eq!(updates[0]["callback_query"]["message"]["date"], START);
}

#[tokio::test]
async fn the_start_of_a_bot_is_answered() {
    let api = server().await;
    let me = ok(&api, "GetMe", json!({})).await;
    assert_eq!((me["username"].as_str(), me["is_bot"].as_bool()), (Some(api.bot_username()), Some(true)));
    api.say(ANNA, ANNA, "hello");
    assert_eq!(ok(&api, "GetWebhookInfo", json!({})).await["pending_update_count"], 1);
    ok(&api, "DeleteWebhook", json!({ "drop_pending_updates": true })).await;
    assert_eq!(api.pending_updates(), 0);
    assert_eq!(ok(&api, "GetChat", json!({ "chat_id": GROUP })).await["title"], "Team");
}

#[tokio::test]
async fn an_overflowing_queue_is_a_violation() {
    let api = server().await;
    for n in 0..=MAX_UPDATES {
        api.press_data(ANNA, ANNA, 1, &n.to_string());
    }
    assert_eq!(api.violations(), ["the queue of updates was full, so the oldest was dropped"]);
    assert_eq!(api.unanswered().len(), MAX_CALLBACKS);
}
