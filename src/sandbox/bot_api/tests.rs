//! The server over HTTP, as a bot sees it.

mod faults;
mod groups;
mod polling;
mod reading;
mod strictness;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const TOKEN: &str = "42:secret";
pub(in crate::sandbox) const ANNA: i64 = 111;
const BORIS: i64 = 222;
const GROUP: i64 = -1_001_234_567_890;
/// Long enough that only a failing test waits for it.
pub(in crate::sandbox) const SOON: Duration = Duration::from_secs(20);
/// Short, for what must not come.
const BRIEFLY: Duration = Duration::from_millis(30);
const START: i64 = 1_700_000_000;

static CLOCK: AtomicI64 = AtomicI64::new(START);

pub(in crate::sandbox) async fn server() -> BotApi {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = BotApi::start(listener, TOKEN, || CLOCK.load(Ordering::Relaxed)).unwrap();
    api.add_user(ANNA, "Anna");
    api.add_user(BORIS, "Boris");
    api.add_group(GROUP, "Team");
    api
}

pub(in crate::sandbox) struct Answer {
    pub(in crate::sandbox) status: u16,
    pub(in crate::sandbox) head: String,
    pub(in crate::sandbox) body: Vec<u8>,
}

impl Answer {
    pub(in crate::sandbox) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(in crate::sandbox) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Sends one request on a connection of its own; none where the connection ended without an answer.
pub(in crate::sandbox) async fn request(address: SocketAddr, head: &str, body: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let host = if head.to_ascii_lowercase().contains("\r\nhost:") { String::new() } else { format!("Host: {address}\r\n") };
    let head = format!("{head}\r\n{host}Connection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    // The server may cut the connection before it read everything.
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(body).await;
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Some(Answer { status, head, body: bytes[end + 4..].to_vec() })
}

async fn raw(api: &BotApi, method: &str, body: Value) -> Option<Answer> {
    let head = format!("POST /bot{TOKEN}/{method} HTTP/1.1\r\nContent-Type: application/json");
    request(api.shared.address, &head, body.to_string().as_bytes()).await
}

/// Calls a method and gives what it answered under `result`.
pub(in crate::sandbox) async fn ok(api: &BotApi, method: &str, body: Value) -> Value {
    let answer = raw(api, method, body).await.unwrap().json();
    assert_eq!(answer["ok"], true, "{method}: {answer}");
    answer["result"].clone()
}

/// Calls a method that must be refused and gives code and description.
async fn refused(api: &BotApi, method: &str, body: Value) -> (u64, String) {
    let answer = raw(api, method, body).await.unwrap();
    let json = answer.json();
    assert_eq!(json["ok"], false, "{method}: {json}");
    assert_eq!(json["error_code"], answer.status, "{method}: {json}");
    (json["error_code"].as_u64().unwrap(), json["description"].as_str().unwrap().to_owned())
}

async fn send(api: &BotApi, chat: i64, text: &str) -> i32 {
    let message = ok(api, "sendMessage", json!({ "chat_id": chat, "text": text })).await;
    i32::try_from(message["message_id"].as_i64().unwrap()).unwrap()
}

/// The updates that wait for the bot, without confirming them.
async fn waiting(api: &BotApi) -> Vec<Value> {
    ok(api, "getUpdates", json!({})).await.as_array().unwrap().clone()
}

/// A multipart body of texts and one file.
pub(in crate::sandbox) fn multipart(fields: &[(&str, &str)], file: (&str, &str, &[u8])) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend(format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes());
    }
    let (name, filename, bytes) = file;
    let head = format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{filename}\"\r\n\r\n");
    body.extend(head.bytes());
    body.extend(bytes);
    body.extend(b"\r\n--B--\r\n");
    body
}

pub(in crate::sandbox) async fn upload(api: &BotApi, method: &str, body: &[u8]) -> Answer {
    let head = format!("POST /bot{TOKEN}/{method} HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=B");
    request(api.shared.address, &head, body).await.unwrap()
}

/// The start of a PNG picture, which is all that the server looks at.
pub(in crate::sandbox) fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(height.to_be_bytes());
    bytes
}

/// A message as the chat holds it, by the bot or by a person.
pub(in crate::sandbox) fn message(id: i32, from_bot: bool, text: &str) -> Message {
    Message {
        id,
        chat: 5,
        from_bot,
        sender: if from_bot { "dockmaster" } else { "Anna" }.to_owned(),
        date: 0,
        text: text.to_owned(),
        html: text.to_owned(),
        entities: Vec::new(),
        buttons: Vec::new(),
        document: None,
        photo: None,
        reply_to: None,
        edits: 0,
        silent: false,
        origin: model::Origin::default(),
    }
}
