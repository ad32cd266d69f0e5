//! Who reaches the page, and what it is told.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;

use super::super::bot_api::BotApi;
use super::super::bot_api::tests::{ANNA, Answer, SOON, multipart, ok, png, request, server, upload};
use super::*;

/// The secret part of the page's path, with both slashes.
fn path(api: &BotApi) -> String {
    let url = api.page_url(ANNA).unwrap();
    url.strip_prefix(&api.url()).unwrap().to_owned()
}

async fn call(api: &BotApi, head: &str, body: &str) -> Answer {
    let address = api.url().strip_prefix("http://").unwrap().parse().unwrap();
    request(address, head, body.as_bytes()).await.unwrap()
}

async fn get(api: &BotApi, what: &str) -> Answer {
    call(api, &format!("GET {}{what} HTTP/1.1", path(api)), "").await
}

async fn post(api: &BotApi, what: &str, body: Value) -> (u16, Value) {
    let head = format!("POST {}{what} HTTP/1.1\r\nContent-Type: application/json", path(api));
    let answer = call(api, &head, &body.to_string()).await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn only_the_right_host_origin_and_token_get_in() {
    let api = server().await;
    let page = path(&api);
    assert_eq!(page.len(), 34, "128 bits and two slashes");
    assert_eq!(page, path(&api), "the same at every call");
    assert_ne!(page, api.page_url(222).unwrap().strip_prefix(&api.url()).unwrap());
    let address = api.url().strip_prefix("http://").unwrap().to_owned();
    let port = address.rsplit_once(':').unwrap().1;
    let local = format!("localhost:{port}");
    for (target, host, origin, status) in [
        (page.as_str(), address.as_str(), None, 200),
        (&page, &local, None, 200),
        (&page, &address, Some(format!("http://{address}")), 200),
        (&page, &local, Some(format!("http://{local}")), 200),
        (&page, "evil.example", None, 403),
        (&page, &format!("evil.example:{port}"), None, 403),
        (&page, "127.0.0.1", None, 403),
        (&page, &address, Some("http://evil.example".to_owned()), 403),
        (&page, &address, Some("null".to_owned()), 403),
        (&page, &address, Some(format!("http://{local}")), 403),
        (&page, &address, Some(format!("https://{address}")), 403),
        ("/", &address, None, 404),
        ("/00000000000000000000000000000000/", &address, None, 404),
        (page.trim_end_matches('/'), &address, None, 404),
        (&format!("{page}other"), &address, None, 404),
        (&format!("{page}../style.css"), &address, None, 404),
    ] {
        let origin = origin.map(|origin| format!("\r\nOrigin: {origin}")).unwrap_or_default();
        let answer = call(&api, &format!("GET {target} HTTP/1.1\r\nHost: {host}{origin}"), "").await;
        assert_eq!(answer.status, status, "{target} {host}{origin}");
        assert!(answer.header("content-security-policy").unwrap().contains("default-src 'none'"), "also of refusals");
    }
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let api = server().await;
    for (name, kind) in [
        ("", "text/html; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("app.js", "text/javascript; charset=utf-8"),
        ("message.js", "text/javascript; charset=utf-8"),
        ("format.js", "text/javascript; charset=utf-8"),
    ] {
        let answer = get(&api, name).await;
        let text = String::from_utf8(answer.body.clone()).unwrap();
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        for banned in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "<script>", "style=\"", "onclick=", "eval("] {
            assert!(!text.contains(banned), "{name} has {banned}");
        }
        let known = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!known.contains("http://") && !known.contains("https://"), "{name} loads from elsewhere");
    }
}

#[tokio::test]
async fn a_message_is_sent_as_the_owner() {
    let api = server().await;
    let bots = ok(&api, "sendMessage", json!({ "chat_id": ANNA, "text": "Sure?" })).await["message_id"].clone();
    let (status, answer) = post(&api, "send", json!({ "text": " yes\n", "reply_to": bots })).await;
    assert_eq!((status, answer["id"].as_i64()), (200, Some(2)));
    let update = ok(&api, "getUpdates", json!({})).await[0]["message"].clone();
    assert_eq!((update["text"].as_str(), update["from"]["id"].as_i64()), (Some("yes"), Some(ANNA)));
    assert_eq!(update["reply_to_message"]["text"], "Sure?");
    for (body, expected) in [
        (json!({ "text": " " }), 400),
        (json!({ "text": "x".repeat(MAX_TEXT + 1) }), 400),
        (json!({ "words": "x" }), 400),
        (json!({ "text": "x".repeat(MAX_REQUEST) }), 413),
    ] {
        assert_eq!(post(&api, "send", body).await.0, expected);
    }
    let head = format!("POST {}send HTTP/1.1\r\nContent-Type: text/plain", path(&api));
    assert_eq!(call(&api, &head, r#"{"text":"x"}"#).await.status, 415, "what a foreign form can send");
    assert_eq!(get(&api, "send").await.status, 405);
    assert_eq!(api.messages(ANNA).len(), 2);
}

#[tokio::test]
async fn only_buttons_that_are_there_are_pressed() {
    let api = server().await;
    let markup = json!({ "inline_keyboard": [[{ "text": "Go", "callback_data": "go" }]] });
    ok(&api, "sendMessage", json!({ "chat_id": ANNA, "text": "Sure?", "reply_markup": markup })).await;
    let (status, answer) = post(&api, "press", json!({ "message_id": 1, "data": "go" })).await;
    let query = ok(&api, "getUpdates", json!({})).await[0]["callback_query"].clone();
    assert_eq!((status, &answer["callback"], query["data"].as_str()), (200, &query["id"], Some("go")));
    assert_eq!(post(&api, "press", json!({ "message_id": 1, "data": "stop" })).await.0, 409);
    assert_eq!(post(&api, "press", json!({ "message_id": 2, "data": "go" })).await.0, 409);
    assert_eq!(api.unanswered().len(), 1);
}

#[tokio::test]
async fn the_state_is_what_the_chat_shows() {
    let api = server().await;
    api.say(ANNA, ANNA, "/help");
    let html = json!({ "chat_id": ANNA, "text": "<b>x</b> &lt;script&gt;", "parse_mode": "HTML", "reply_parameters": { "message_id": 1 } });
    ok(&api, "sendMessage", html).await;
    ok(&api, "setMyCommands", json!({ "commands": [{ "command": "help", "description": "Help" }] })).await;
    let state = get(&api, "state").await.json();
    assert_eq!(state["bot"]["name"], "dockmaster");
    assert_eq!(state["commands"], json!([{ "command": "help", "description": "Help" }]));
    assert_eq!(state["seq"], 3);
    assert_eq!(state["messages"][0]["own"], true);
    let message = &state["messages"][1];
    assert_eq!(
        (message["text"].as_str(), &message["entities"]),
        (Some("x <script>"), &json!([{ "type": "bold", "offset": 0, "length": 1 }]))
    );
    assert_eq!(message["reply_to"], json!({ "id": 1, "sender": "Anna", "text": "/help" }));
}

#[tokio::test]
async fn files_are_saved_and_pictures_shown() {
    let api = server().await;
    let chat = ANNA.to_string();
    let file = multipart(&[("chat_id", &chat)], ("document", "a \u{201c}b\u{201d}.txt", b"<script>"));
    upload(&api, "sendDocument", &file).await;
    upload(&api, "sendPhoto", &multipart(&[("chat_id", &chat)], ("photo", "x", &png(4, 3)))).await;
    let answer = get(&api, "file/1").await;
    assert_eq!((&answer.body[..], answer.header("content-type")), (&b"<script>"[..], Some("application/octet-stream")));
    let disposition = answer.header("content-disposition");
    assert_eq!(disposition, Some("attachment; filename*=UTF-8''a%20%E2%80%9Cb%E2%80%9D.txt"));
    let answer = get(&api, "file/2").await;
    assert_eq!((answer.body.len(), answer.header("content-type")), (png(4, 3).len(), Some("image/png")));
    for missing in ["file/3", "file/x", "file/"] {
        assert_eq!(get(&api, missing).await.status, 404, "{missing}");
    }
    let state = get(&api, "state").await.json();
    assert_eq!(state["messages"][0]["document"]["size"], 8);
    assert_eq!(state["messages"][1]["photo"], json!({ "width": 4, "height": 3 }));
}

/// An open stream of events.
struct Events(Lines<BufReader<TcpStream>>);

impl Events {
    async fn open(api: &BotApi, query: &str, header: &str) -> Self {
        let address = api.url().strip_prefix("http://").unwrap().to_owned();
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let head = format!("GET {}events{query} HTTP/1.1\r\nHost: {address}\r\n{header}\r\n", path(api));
        stream.write_all(head.as_bytes()).await.unwrap();
        Self(BufReader::new(stream).lines())
    }

    /// The next event; none at the end of the stream.
    async fn next(&mut self) -> Option<Value> {
        loop {
            let line = tokio::time::timeout(SOON, self.0.next_line()).await.unwrap().ok()??;
            if let Some(data) = line.strip_prefix("data: ") {
                return Some(serde_json::from_str(data).unwrap());
            }
        }
    }
}

#[tokio::test]
async fn changes_are_told_as_they_happen() {
    let api = server().await;
    let mut events = Events::open(&api, "?after=0", "").await;
    api.say(ANNA, ANNA, "/help");
    assert_eq!(events.next().await.unwrap()["message"]["text"], "/help");
    ok(&api, "sendMessage", json!({ "chat_id": ANNA, "text": "one" })).await;
    assert_eq!(events.next().await.unwrap()["message"]["text"], "one");
    ok(&api, "editMessageText", json!({ "chat_id": ANNA, "message_id": 2, "text": "two" })).await;
    let edit = events.next().await.unwrap();
    assert_eq!((edit["message"]["text"].as_str(), edit["message"]["edited"].as_bool()), (Some("two"), Some(true)));
    ok(&api, "sendMessage", json!({ "chat_id": 222, "text": "not hers" })).await;
    let callback = api.press_data(ANNA, ANNA, 2, "x");
    ok(&api, "answerCallbackQuery", json!({ "callback_query_id": callback, "text": "done" })).await;
    assert_eq!(events.next().await.unwrap(), json!({ "type": "answer", "callback": callback, "text": "done", "alert": false }));
    ok(&api, "sendChatAction", json!({ "chat_id": ANNA, "action": "typing" })).await;
    assert_eq!(events.next().await.unwrap()["type"], "action");
    ok(&api, "deleteMessage", json!({ "chat_id": ANNA, "message_id": 2 })).await;
    assert_eq!(events.next().await.unwrap(), json!({ "type": "deleted", "id": 2 }));
    api.shutdown().await;
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_page_that_comes_back_gets_what_it_missed() {
    let api = server().await;
    for text in ["one", "two", "three"] {
        api.say(ANNA, ANNA, text);
    }
    let mut events = Events::open(&api, "?after=0", "Last-Event-ID: 2\r\n").await;
    assert_eq!(events.next().await.unwrap()["message"]["text"], "three");
    let mut events = Events::open(&api, "?after=1", "").await;
    assert_eq!(events.next().await.unwrap()["message"]["text"], "two");
    let mut events = Events::open(&api, "?after=99", "").await;
    assert_eq!(events.next().await.unwrap(), json!({ "type": "reset" }));
    api.say(ANNA, ANNA, "four");
    assert_eq!(events.next().await.unwrap()["message"]["text"], "four", "it goes on from there");
}

#[tokio::test]
async fn a_burst_of_edits_is_told_once() {
    let api = server().await;
    ok(&api, "sendMessage", json!({ "chat_id": ANNA, "text": "0" })).await;
    for n in 1..=5 {
        ok(&api, "editMessageText", json!({ "chat_id": ANNA, "message_id": 1, "text": n.to_string() })).await;
    }
    let mut events = Events::open(&api, "?after=1", "").await;
    assert_eq!(events.next().await.unwrap()["message"]["text"], "5");
    api.say(ANNA, ANNA, "next");
    assert_eq!(events.next().await.unwrap()["message"]["text"], "next");
}
