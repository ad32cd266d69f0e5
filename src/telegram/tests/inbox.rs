//! Updates survive the end of the program, and none is worked on twice.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_being_answered_at_a_kill_is_reported_and_not_run_again() {
    let mut chat = Chat::start().await;
    // The engine never answers, so that this is being worked on until the kill.
    chat.api.say(ADMIN, ADMIN, "/docker_status");
    chat.api.wait_acknowledged(SOON).await.unwrap();
    tokio::time::timeout(SOON, async {
        while !chat.history.inbox_unfinished().await.unwrap().iter().any(|kept| kept.begun) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    chat.kill().await;
    chat.boot();
    let told = chat.next().await;
    assert!(told.text.contains("while I answered /docker_status"), "{}", told.text);
    chat.silence(ADMIN).await;
    chat.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_and_not_begun_is_answered_after_a_kill() {
    let mut chat = Chat::prepare().await;
    let body = |id: i64, text: &str| {
        let from = serde_json::json!({ "id": ADMIN, "is_bot": false, "first_name": "Ann" });
        let chat = serde_json::json!({ "id": ADMIN, "type": "private", "first_name": "Ann" });
        let message = serde_json::json!({ "message_id": id, "date": now() / 1_000, "chat": chat, "from": from, "text": text });
        (id, serde_json::json!({ "update_id": id, "message": message }).to_string())
    };
    let strange = (79, r#"{"update_id":79,"some_new_kind":{}}"#.to_owned());
    chat.history.inbox_keep(vec![body(77, "/whoami"), body(78, "/docker_status nope"), strange], now()).await.unwrap();
    chat.history.inbox_begin(78).await.unwrap();
    chat.boot();
    let mut said = [chat.next().await.text, chat.next().await.text];
    said.sort();
    assert!(said[0].contains("while I answered /docker_status nope") && said[1].contains("Your id"), "{said:?}");
    chat.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_start_anew_are_taken() {
    let chat = Chat::start().await;
    chat.ask("/whoami").await;
    chat.api.renumber_updates(17);
    chat.ask("/whoami").await;
    chat.ask("/whoami").await;
    chat.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_commands_at_once_are_all_answered() {
    let mut chat = Chat::prepare().await;
    for user in 0..25 {
        chat.api.add_user(5_000 + user, "Somebody");
        for _ in 0..4 {
            chat.api.say(5_000 + user, 5_000 + user, "/whoami");
        }
    }
    chat.boot();
    for user in 0..25 {
        for _ in 0..4 {
            chat.next_in(5_000 + user).await;
        }
    }
    chat.finish().await;
}
