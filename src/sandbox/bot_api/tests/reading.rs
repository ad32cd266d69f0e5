//! What a test sees of the bot.

use super::*;

fn with_buttons(text: &str) -> Value {
    let rows = json!([[{ "text": "Deploy", "callback_data": "d1" }, { "text": "Cancel", "callback_data": "c1" }]]);
    json!({
        "chat_id": ANNA, "text": text, "parse_mode": "HTML", "disable_notification": true,
        "reply_markup": { "inline_keyboard": rows },
    })
}

#[tokio::test]
async fn messages_are_taken_in_order_and_in_their_current_state() {
    let api = server().await;
    assert!(api.next_message(ANNA, BRIEFLY).await.is_err());
    let reader = api.clone();
    let taken = tokio::spawn(async move { reader.next_message(ANNA, SOON).await.unwrap() });
    ok(&api, "sendMessage", with_buttons("<b>Plan</b> &lt;1&gt;")).await;
    let message = taken.await.unwrap();
    assert_eq!((message.text.as_str(), message.html.as_str()), ("Plan <1>", "<b>Plan</b> &lt;1&gt;"));
    assert_eq!(message.button_texts(), [["Deploy", "Cancel"]]);
    assert_eq!(message.button("Deploy").unwrap().data.as_deref(), Some("d1"));
    assert!(message.silent && message.from_bot && message.entities.len() == 1);

    let second = send(&api, ANNA, "working").await;
    ok(&api, "editMessageText", json!({ "chat_id": ANNA, "message_id": second, "text": "done" })).await;
    let message = api.next_message(ANNA, SOON).await.unwrap();
    assert_eq!((message.text.as_str(), message.edits), ("done", 1));
    assert_eq!(api.leftovers(), Vec::<String>::new());
}

#[tokio::test]
async fn an_edit_can_be_waited_for() {
    let api = server().await;
    let id = send(&api, ANNA, "0 %").await;
    let edit = |text: &str| json!({ "chat_id": ANNA, "message_id": id, "text": text });
    let error = api.wait_until(ANNA, id, BRIEFLY, |message| message.text == "100 %").await.unwrap_err();
    assert!(error.to_string().contains("\"0 %\""), "{error}");
    let reader = api.clone();
    let waiting = tokio::spawn(async move { reader.wait_until(ANNA, id, SOON, |message| message.text == "100 %").await });
    ok(&api, "editMessageText", edit("50 %")).await;
    ok(&api, "editMessageText", edit("100 %")).await;
    assert_eq!(waiting.await.unwrap().unwrap().edits, 2);
}

#[tokio::test]
async fn a_press_brings_the_message_and_its_answer() {
    let api = server().await;
    ok(&api, "sendMessage", with_buttons("Sure?")).await;
    let message = api.next_message(ANNA, SOON).await.unwrap();
    let error = api.press(ANNA, ANNA, message.id, "Delete").unwrap_err();
    assert!(error.to_string().contains("[[\"Deploy\", \"Cancel\"]]"), "{error}");
    let press = api.press(ANNA, ANNA, message.id, "Deploy").unwrap();
    let query = waiting(&api).await[0]["callback_query"].clone();
    assert_eq!((query["data"].as_str(), query["message"]["text"].as_str()), (Some("d1"), Some("Sure?")));
    assert_eq!(query["message"]["reply_markup"]["inline_keyboard"][0][1]["callback_data"], "c1");
    assert!(api.callback_answer(&press, BRIEFLY).await.is_err());
    assert_eq!(api.leftovers().len(), 1);
    let answer = json!({ "callback_query_id": query["id"], "text": "Started", "show_alert": true });
    ok(&api, "answerCallbackQuery", answer).await;
    let answer = api.callback_answer(&press, SOON).await.unwrap();
    assert_eq!(answer, CallbackAnswer { text: "Started".to_owned(), alert: true });

    // Without a keyboard an edit takes the buttons away.
    ok(&api, "editMessageText", json!({ "chat_id": ANNA, "message_id": message.id, "text": "Sure?" })).await;
    assert!(api.press(ANNA, ANNA, message.id, "Deploy").is_err());
    api.delete(ANNA, message.id);
    api.press_data(ANNA, ANNA, message.id, "d1");
    let gone = waiting(&api).await[1]["callback_query"]["message"].clone();
    assert_eq!((gone["date"].as_i64(), gone["text"].as_str()), (Some(0), None));
}

#[tokio::test]
async fn leftovers_name_what_a_test_forgot() {
    let api = server().await;
    send(&api, ANNA, "unread").await;
    refused(&api, "sendMessage", json!({ "chat_id": ANNA, "text": "" })).await;
    let press = api.press_data(ANNA, ANNA, 1, "x");
    assert_eq!(
        api.leftovers(),
        [
            "sendMessage to 111 of \"\": 400 Bad Request: message text is empty".to_owned(),
            "unread in chat 111: \"unread\"".to_owned(),
            format!("press {press} on message 1 of chat 111 was never answered"),
        ]
    );
    assert_eq!(api.take_unread(ANNA).len(), 1);
    assert!(api.unread(ANNA).is_empty());
}

#[tokio::test]
async fn quiet_is_when_nothing_is_left_to_come() {
    let api = server().await;
    let quiet = Duration::from_millis(50);
    api.wait_quiet(quiet, SOON).await.unwrap();
    api.say(ANNA, ANNA, "/help");
    assert!(api.wait_quiet(quiet, quiet * 4).await.is_err(), "the update is not confirmed");
    let reader = api.clone();
    let waiting = tokio::spawn(async move { reader.wait_quiet(quiet, SOON).await.map(|()| reader.messages(ANNA).len()) });
    send(&api, ANNA, "answer").await;
    assert!(api.wait_quiet(quiet, quiet * 2).await.is_err(), "still not");
    let confirmed = tokio::time::Instant::now();
    ok(&api, "getUpdates", json!({ "offset": api.last_update() + 1 })).await;
    assert_eq!(waiting.await.unwrap(), Ok(2));
    assert!(confirmed.elapsed() >= quiet, "what the bot took it has yet to answer");
}

#[tokio::test]
async fn chats_are_bounded() {
    let api = server().await;
    for n in 0..=MAX_MESSAGES {
        api.say(ANNA, ANNA, &n.to_string());
    }
    let messages = api.messages(ANNA);
    assert_eq!((messages.len(), messages[0].text.as_str()), (MAX_MESSAGES, "1"));
}

#[tokio::test]
async fn the_server_ends_with_its_last_handle() {
    let api = server().await;
    let (tasks, shared) = (api.tasks.clone(), Arc::clone(&api.shared));
    let clone = api.clone();
    drop(api);
    assert!(!shared.closing.is_cancelled());
    let poll = raw(&clone, "getUpdates", json!({ "timeout": 50 }));
    let end = async {
        shared.wait(SOON, |world| world.updates.is_current(1).then_some(())).await.unwrap();
        clone.shutdown().await;
    };
    let (answer, ()) = tokio::join!(poll, end);
    assert!(answer.is_none());
    tasks.wait().await;
    assert!(TcpStream::connect(shared.address).await.is_err());
}

#[tokio::test]
async fn only_loopback_will_do() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    assert!(BotApi::start(listener, TOKEN, || START).is_err());
}
