//! What a test makes go wrong does go wrong, and nothing else.

use tokio::time::Instant;

use super::*;

fn message(text: &str) -> Value {
    json!({ "chat_id": ANNA, "text": text })
}

#[tokio::test]
async fn refusals_come_in_telegrams_shape() {
    let api = server().await;
    for (fault, status, description) in [
        (Fault::TooManyRequests { retry_after: 7 }, 429, "Too Many Requests: retry after 7"),
        (Fault::Unauthorized, 401, "Unauthorized"),
        (Fault::Conflict, 409, "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"),
        (Fault::BadRequest("no".to_owned()), 400, "Bad Request: no"),
        (Fault::Forbidden("bot was blocked by the user".to_owned()), 403, "Forbidden: bot was blocked by the user"),
    ] {
        api.fault("sendMessage", fault, 1);
        let answer = raw(&api, "SendMessage", message("x")).await.unwrap();
        let json = answer.json();
        assert_eq!((answer.status, json["description"].as_str()), (status, Some(description)));
        let retry_after = (status == 429).then_some(7);
        assert_eq!(json["parameters"]["retry_after"].as_u64(), retry_after);
    }
    api.fault("sendMessage", Fault::BadGateway, 1);
    let answer = raw(&api, "SendMessage", message("x")).await.unwrap();
    assert_eq!((answer.status, answer.header("content-type")), (502, Some("text/html")));
    assert!(answer.json().is_null());
    assert!(api.messages(ANNA).is_empty());
    assert_eq!((api.violations(), api.faults_left()), (vec![], 0));
    assert_eq!(api.calls().last().unwrap().error.as_deref(), Some("fault BadGateway"));
    send(&api, ANNA, "x").await;
}

#[tokio::test]
async fn a_fault_can_be_for_one_chat() {
    let api = server().await;
    api.fault(Target::method("sendMessage").chat(BORIS), Fault::DropBefore, 1);
    send(&api, ANNA, "x").await;
    assert!(raw(&api, "sendMessage", json!({ "chat_id": BORIS, "text": "x" })).await.is_none());
    assert!(api.messages(BORIS).is_empty());
    api.fault(Target::any(), Fault::BadGateway, 5);
    api.clear_faults();
    send(&api, BORIS, "x").await;
}

#[tokio::test]
async fn a_dropped_call_was_delivered_or_not() {
    let api = server().await;
    api.fault("sendMessage", Fault::DropAfterDelivering, 1);
    assert!(raw(&api, "sendMessage", message("one")).await.is_none());
    assert_eq!(api.next_message(ANNA, SOON).await.unwrap().text, "one");
    api.fault("sendMessage", Fault::DropBefore, 1);
    assert!(raw(&api, "sendMessage", message("two")).await.is_none());
    assert_eq!(api.messages(ANNA).len(), 1);
}

#[tokio::test]
async fn a_slow_call_is_carried_out_late() {
    let api = server().await;
    let delay = Duration::from_millis(40);
    api.fault("sendMessage", Fault::Slow(delay), 1);
    let start = Instant::now();
    send(&api, ANNA, "x").await;
    assert!(start.elapsed() >= delay);
}

#[tokio::test]
async fn while_away_everything_is_cut() {
    let api = server().await;
    let poller = api.clone();
    let poll = tokio::spawn(async move { raw(&poller, "getUpdates", json!({ "timeout": 50 })).await.is_none() });
    api.shared.wait(SOON, |world| world.updates.is_current(1).then_some(())).await.unwrap();
    api.set_away(true);
    assert!(poll.await.unwrap(), "the poll that waited was cut");
    assert!(raw(&api, "sendMessage", message("x")).await.is_none());
    api.set_away(false);
    send(&api, ANNA, "x").await;
    assert_eq!(api.messages(ANNA).len(), 1);
}

#[tokio::test]
async fn a_fault_strikes_a_poll_that_waits() {
    let api = server().await;
    let poller = api.clone();
    let poll = tokio::spawn(async move { refused(&poller, "getUpdates", json!({ "timeout": 50 })).await.0 });
    api.shared.wait(SOON, |world| world.updates.is_current(1).then_some(())).await.unwrap();
    api.fault("getUpdates", Fault::Unauthorized, 1);
    assert_eq!(poll.await.unwrap(), 401);
}

#[tokio::test]
async fn pacing_is_per_chat() {
    let api = server().await;
    api.set_pacing(Some(1));
    let id = send(&api, ANNA, "x").await;
    let mut statuses = Vec::new();
    for n in 0..5 {
        let edit = json!({ "chat_id": ANNA, "message_id": id, "text": n.to_string() });
        statuses.push(raw(&api, "editMessageText", edit).await.unwrap().status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    send(&api, BORIS, "x").await;
    api.set_pacing(None);
    send(&api, ANNA, "x").await;
    assert_eq!(api.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn every_answer_carries_the_servers_date() {
    let api = server().await;
    let date = |answer: &Answer| answer.header("date").unwrap().to_owned();
    let answer = raw(&api, "getMe", json!({})).await.unwrap();
    assert_eq!(date(&answer), "Tue, 14 Nov 2023 22:13:20 GMT");
    api.set_clock_offset(-90);
    api.say(ANNA, ANNA, "x");
    let answer = raw(&api, "sendSticker", json!({})).await.unwrap();
    assert_eq!(date(&answer), "Tue, 14 Nov 2023 22:11:50 GMT");
    assert_eq!(waiting(&api).await[0]["message"]["date"], START - 90);
    api.fault(Target::any(), Fault::BadGateway, 1);
    let answer = raw(&api, "getMe", json!({})).await.unwrap();
    assert_eq!(date(&answer), "Tue, 14 Nov 2023 22:11:50 GMT");
    api.forgive();
}
