//! What Telegram refuses is refused, in its words, and kept as a violation only where it shows a bug.

use super::*;

const TOO_LONG: usize = MAX_TEXT + 1;

/// Calls, wants this refusal, and says whether it must be a violation.
async fn check(api: &BotApi, method: &str, body: Value, description: &str, is_violation: bool) {
    let shown = body.to_string();
    let (code, found) = refused(api, method, body).await;
    assert_eq!((code, found.as_str()), (400, format!("Bad Request: {description}").as_str()), "{method} {shown}");
    let violations = api.forgive();
    assert_eq!(violations.len(), usize::from(is_violation), "{method} {shown}: {violations:?}");
    assert!(violations.iter().all(|text| text.contains(method) && text.contains(description)), "{violations:?}");
    assert!(api.calls().last().unwrap().error.as_deref().unwrap().contains(description));
}

#[tokio::test]
async fn texts() {
    let api = server().await;
    let text = |text: &str| json!({ "chat_id": ANNA, "text": text });
    let html = |text: &str| json!({ "chat_id": ANNA, "text": text, "parse_mode": "HTML" });
    for (body, description) in [
        (text(""), "message text is empty"),
        (text(" \n"), "message text is empty"),
        (html("<b> </b>"), "message text is empty"),
        (json!({ "chat_id": ANNA }), "message text is empty"),
        (text(&"x".repeat(TOO_LONG)), "message is too long"),
        // Two units each.
        (text(&"😀".repeat(TOO_LONG.div_ceil(2))), "message is too long"),
        (html("a < b"), "can't parse entities: Unsupported start tag \"\" at byte offset 2"),
        (html("<b>x"), "can't parse entities: Can't find end tag corresponding to start tag \"b\""),
        (html(&"<b>x</b>".repeat(101)), "too many entities: 101 of at most 100"),
        (json!({ "chat_id": ANNA, "text": "x", "parse_mode": "MarkdownV2" }), "parse_mode \"markdownv2\" is not what this bot should use"),
        (
            json!({ "chat_id": ANNA, "text": "x", "entities": [{ "type": "bold", "offset": 0, "length": 2 }] }),
            "can't parse entities: bold entity at offset 0 with length 2 is outside of the text",
        ),
        (json!({ "text": "x" }), "chat_id is empty"),
    ] {
        check(&api, "sendMessage", body, description, true).await;
    }
    check(&api, "sendMessage", json!({ "chat_id": 5, "text": "x" }), "chat not found", false).await;
    check(&api, "sendMessage", json!({ "chat_id": "@x", "text": "x" }), "chat not found", false).await;
    assert!(api.messages(ANNA).is_empty());

    ok(&api, "sendMessage", text(&"x".repeat(MAX_TEXT))).await;
    ok(&api, "sendMessage", html(&format!("<b>{}</b>", "&lt;".repeat(MAX_TEXT)))).await;
    ok(&api, "sendMessage", html(&"<b>x</b>".repeat(100))).await;
    assert_eq!(api.violations(), Vec::<String>::new());

    ok(&api, "sendMessage", html("a & b")).await;
    assert_eq!(api.forgive(), [r#"unescaped & at byte offset 2 of HTML: "a & b""#]);
}

#[tokio::test]
async fn keyboards() {
    let api = server().await;
    let rows = |rows: Value| json!({ "chat_id": ANNA, "text": "x", "reply_markup": { "inline_keyboard": rows } });
    let button = |data: &str| json!({ "text": "Go", "callback_data": data });
    let unallowed = "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard";
    for (keyboard, description) in [
        (json!([[button("")]]), "BUTTON_DATA_INVALID"),
        (json!([[button(&"x".repeat(65))]]), "BUTTON_DATA_INVALID"),
        (json!([[button(&"ж".repeat(33))]]), "BUTTON_DATA_INVALID"),
        (json!([[{ "text": "Go" }]]), unallowed),
        (json!([[{ "text": " ", "callback_data": "x" }]]), "can't parse inline keyboard button: text must be non-empty"),
        (json!([[{ "text": "Go", "url": "ftp://x" }]]), "BUTTON_URL_INVALID"),
        (json!([vec![button("x"); 9]]), "reply markup has 9 buttons in a row, 8 at most"),
        (json!(vec![vec![button("x"); 3]; 34]), "reply markup has 102 buttons, 100 at most"),
        (json!([button("x")]), "field \"inline_keyboard\" must be an Array of Arrays"),
    ] {
        check(&api, "sendMessage", rows(keyboard), description, true).await;
    }
    ok(&api, "sendMessage", rows(json!([[button(&"x".repeat(64)), { "text": "Site", "url": "https://x" }]]))).await;
    ok(&api, "sendMessage", rows(json!(vec![vec![button("x"); 5]; 20]))).await;
    assert_eq!(api.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn edits() {
    let api = server().await;
    let id = send(&api, ANNA, "one").await;
    let theirs = api.say(ANNA, ANNA, "hello");
    let edit = |id: i32, text: &str| json!({ "chat_id": ANNA, "message_id": id, "text": text });
    let unchanged = "message is not modified: specified new message content and reply markup are exactly the same as a \
        current content and reply markup of the message";
    check(&api, "editMessageText", edit(id, "one"), unchanged, false).await;
    check(&api, "editMessageText", edit(id, " one\n"), unchanged, false).await;
    check(&api, "editMessageText", edit(id, ""), "message text is empty", true).await;
    check(&api, "editMessageText", edit(id, &"x".repeat(TOO_LONG)), "MESSAGE_TOO_LONG", true).await;
    check(&api, "editMessageText", edit(99, "x"), "message to edit not found", true).await;
    check(&api, "editMessageText", edit(theirs, "x"), "message can't be edited", true).await;
    let nothing = json!({ "chat_id": ANNA, "text": "x" });
    check(&api, "editMessageText", nothing, "message identifier is not specified", true).await;
    let keyboard = json!({ "chat_id": ANNA, "message_id": id });
    check(&api, "editMessageReplyMarkup", keyboard, unchanged, false).await;
    assert_eq!(api.message(ANNA, id).unwrap().edits, 0);

    api.delete(ANNA, id);
    check(&api, "editMessageText", edit(id, "x"), "message to edit not found", false).await;
    check(&api, "deleteMessage", edit(id, ""), "message to delete not found", false).await;
    check(&api, "deleteMessage", edit(99, ""), "message to delete not found", true).await;
    let theirs = api.say(ANNA, GROUP, "hello");
    let body = json!({ "chat_id": GROUP, "message_id": theirs });
    check(&api, "deleteMessage", body, "message can't be deleted", true).await;
    ok(&api, "deleteMessage", edit(2, "")).await;
}

#[tokio::test]
async fn replies() {
    let api = server().await;
    let theirs = api.say(ANNA, ANNA, "hello");
    let reply = |id: i32, allow: bool| {
        let parameters = json!({ "message_id": id, "allow_sending_without_reply": allow });
        json!({ "chat_id": ANNA, "text": "x", "reply_parameters": parameters })
    };
    let sent = ok(&api, "sendMessage", reply(theirs, false)).await;
    assert_eq!(sent["reply_to_message"]["text"], "hello");
    check(&api, "sendMessage", reply(99, false), "message to be replied not found", true).await;
    api.delete(ANNA, theirs);
    check(&api, "sendMessage", reply(theirs, false), "message to be replied not found", false).await;
    let sent = ok(&api, "sendMessage", reply(theirs, true)).await;
    assert_eq!(sent["reply_to_message"], Value::Null);
}

#[tokio::test]
async fn answers_to_presses() {
    let api = server().await;
    let press = api.press_data(ANNA, ANNA, 1, "x");
    let answer = |id: &str, text: &str| json!({ "callback_query_id": id, "text": text, "show_alert": true });
    let too_old = "query is too old and response timeout expired or query ID is invalid";
    check(&api, "answerCallbackQuery", answer(&press, &"x".repeat(201)), "MESSAGE_TOO_LONG", true).await;
    assert_eq!(api.unanswered(), std::slice::from_ref(&press));
    ok(&api, "answerCallbackQuery", answer(&press, &"x".repeat(200))).await;
    check(&api, "answerCallbackQuery", answer(&press, ""), too_old, true).await;
    check(&api, "answerCallbackQuery", answer("12", ""), too_old, true).await;
    check(&api, "answerCallbackQuery", answer("x", ""), too_old, true).await;
    assert!(api.unanswered().is_empty());
}

#[tokio::test]
async fn files_and_pictures() {
    let api = server().await;
    let chat = ANNA.to_string();
    let long = "x".repeat(MAX_CAPTION + 1);
    let attached = [("chat_id", chat.as_str()), ("document", "attach://f"), ("photo", "attach://f")];
    let document = |bytes: &[u8]| multipart(&attached, ("f", "a.txt", bytes));
    for (method, body, code, description) in [
        ("SendDocument", document(b""), 400, "Bad Request: file must be non-empty"),
        ("SendDocument", document(&vec![0; MAX_DOCUMENT + 1]), 413, "Request Entity Too Large"),
        ("SendDocument", document(&vec![0; MAX_BODY]), 413, "Request Entity Too Large"),
        ("SendPhoto", document(&vec![0; MAX_PHOTO + 1]), 413, "Request Entity Too Large"),
        ("SendPhoto", document(b"GIF89a"), 400, "Bad Request: IMAGE_PROCESS_FAILED"),
        ("SendPhoto", document(&png(9_000, 1_001)), 400, "Bad Request: PHOTO_INVALID_DIMENSIONS"),
        ("SendPhoto", document(&png(2_100, 100)), 400, "Bad Request: PHOTO_INVALID_DIMENSIONS"),
        (
            "SendPhoto",
            multipart(&[attached[0], ("caption", &long)], ("photo", "a.png", &png(2, 2))),
            400,
            "Bad Request: message caption is too long",
        ),
        ("SendDocument", multipart(&attached, ("g", "a", b"x")), 400, "Bad Request: there is no document in the request"),
    ] {
        let answer = upload(&api, method, &body).await;
        assert_eq!((answer.status, answer.json()["description"].as_str()), (code, Some(description)), "{method}");
        assert_eq!(api.forgive().len(), 1, "{method}: {description}");
    }
    assert!(api.messages(ANNA).is_empty());

    let fields = [attached[0], attached[1], ("caption", "<b>log</b>"), ("parse_mode", "HTML")];
    let sent = upload(&api, "SendDocument", &multipart(&fields, ("f", "web.log", b"line\n"))).await.json();
    assert_eq!(sent["result"]["document"]["file_name"], "web.log");
    assert_eq!(sent["result"]["caption_entities"][0]["type"], "bold");
    let message = api.next_message(ANNA, SOON).await.unwrap();
    let document = message.document.unwrap();
    assert_eq!((message.text.as_str(), &document.bytes[..], document.mime), ("log", &b"line\n"[..], "text/plain"));
    let again = json!({ "chat_id": ANNA, "document": document.file_id });
    ok(&api, "sendDocument", again.clone()).await;
    let mut unknown = again.clone();
    unknown["document"] = json!("other");
    check(&api, "sendDocument", unknown, "wrong file identifier/HTTP URL specified", true).await;
    let as_text = json!({ "chat_id": ANNA, "message_id": message.id, "text": "x" });
    check(&api, "editMessageText", as_text, "there is no text in the message to edit", true).await;

    let body = multipart(&[attached[0]], ("photo", "", &png(640, 480)));
    let sent = upload(&api, "SendPhoto", &body).await.json();
    assert_eq!(sent["result"]["photo"][0]["width"], 640);
    assert_eq!(api.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn menus() {
    let api = server().await;
    let commands = |name: &str, description: &str| json!({ "commands": [{ "command": name, "description": description }] });
    for (body, description) in [
        (commands("Help", "x"), "BOT_COMMAND_INVALID"),
        (commands("", "x"), "BOT_COMMAND_INVALID"),
        (commands(&"x".repeat(33), "x"), "BOT_COMMAND_INVALID"),
        (commands("help", ""), "BOT_COMMAND_DESCRIPTION_INVALID"),
        (commands("help", &"x".repeat(257)), "BOT_COMMAND_DESCRIPTION_INVALID"),
        (json!({ "commands": vec![json!({ "command": "x", "description": "x" }); 101] }), "BOT_COMMANDS_TOO_MUCH"),
        (json!({}), "commands are missing"),
    ] {
        check(&api, "setMyCommands", body, description, true).await;
    }
    let mut narrow = commands("/docker_status", "What runs");
    narrow["scope"] = json!({ "type": "chat", "chat_id": ANNA });
    ok(&api, "setMyCommands", commands("help", "Help")).await;
    ok(&api, "setMyCommands", narrow.clone()).await;
    assert_eq!(api.commands().keys().collect::<Vec<_>>(), ["chat:111", "default"]);
    assert_eq!(api.commands_for(ANNA, ANNA)[0].command, "docker_status");
    assert_eq!(api.commands_for(BORIS, BORIS)[0].command, "help");
    let listed = ok(&api, "getMyCommands", json!({ "scope": narrow["scope"] })).await;
    assert_eq!(listed, json!([{ "command": "docker_status", "description": "What runs" }]));
    ok(&api, "deleteMyCommands", json!({ "scope": narrow["scope"] })).await;
    assert_eq!(api.commands_for(ANNA, ANNA)[0].command, "help");
    narrow["scope"]["chat_id"] = json!(5);
    check(&api, "setMyCommands", narrow, "chat not found", false).await;
}

#[tokio::test]
async fn unknown_methods_and_wrong_tokens() {
    let api = server().await;
    assert_eq!(refused(&api, "sendSticker", json!({})).await, (404, "Not Found: method not found".to_owned()));
    assert_eq!(api.forgive(), ["sendSticker: 404 Not Found: method not found"]);
    let answer = request(api.shared.address, "GET /bot42:other/getMe HTTP/1.1", b"").await.unwrap();
    assert_eq!((answer.status, answer.json()["description"].as_str()), (401, Some("Unauthorized")));
    let answer = request(api.shared.address, "GET /bot42:secret/gEtMe HTTP/1.1", b"").await.unwrap();
    assert_eq!(answer.json()["result"]["id"], 42);
    check(&api, "sendChatAction", json!({ "chat_id": ANNA }), "wrong parameter action in request", true).await;
    ok(&api, "sendChatAction", json!({ "chat_id": ANNA, "action": "typing" })).await;
    assert_eq!(api.violations(), Vec::<String>::new());
}
