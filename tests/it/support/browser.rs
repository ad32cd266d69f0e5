//! A headless Chromium, driven through ChromeDriver's HTTP interface.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use super::fixture::command;
use super::{PATIENCE, eventually};

/// A browser window. Ends with its driver.
pub(crate) struct Browser {
    driver: Child,
    session: String,
    client: reqwest::Client,
}

impl Browser {
    /// Opens a page in a window of this size.
    pub(crate) async fn open(url: &str, width: u32, height: u32) -> Self {
        let mut driver = command("chromedriver")
            .args(["--port=0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed by scripts/setup");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next().expect("chromedriver says its port").unwrap();
            let Some((_, port)) = line.split_once("successfully on port ") else { continue };
            break port.trim_end_matches('.').parse::<u16>().unwrap();
        };
        // It goes on printing; a closed pipe would end it.
        std::thread::spawn(move || lines.for_each(drop));
        let client = reqwest::Client::new();
        let binary = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/usr/bin/google-chrome-stable"]
            .into_iter()
            .find(|p| Path::new(p).exists())
            .expect("chromium is installed by scripts/setup");
        let args = json!([
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            format!("--window-size={width},{height}")
        ]);
        let mut options = json!({ "binary": binary, "args": args });
        if width < 500 {
            // A window cannot be that narrow; a phone can.
            options["mobileEmulation"] = json!({ "deviceMetrics": { "width": width, "height": height, "pixelRatio": 2.0, "touch": true } });
        }
        let mut browser = Self { driver, session: format!("http://127.0.0.1:{port}"), client };
        let made = browser.post("/session", json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } })).await;
        let id = made["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {made}"));
        browser.session = format!("{}/session/{id}", browser.session);
        browser.post("/url", json!({ "url": url })).await;
        browser
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.client.post(format!("{}{path}", self.session)).header("content-type", "application/json").body(body.to_string());
        let answer = tokio::time::timeout(PATIENCE, request.send()).await.expect("the driver answers").unwrap();
        let text = answer.text().await.unwrap();
        serde_json::from_str::<Value>(&text).unwrap_or_else(|e| panic!("{e}: {text}"))["value"].take()
    }

    /// Runs a script in the page and returns what it returns.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// Types into the element that a selector finds; `\u{e007}` is the Enter key.
    pub(crate) async fn type_into(&self, selector: &str, text: &str) {
        let id = self.find(selector).await;
        self.post(&format!("/element/{id}/value"), json!({ "text": text })).await;
    }

    /// Clicks the element that a selector finds, as a person would: it must be visible.
    pub(crate) async fn click(&self, selector: &str) {
        let id = self.find(selector).await;
        let answer = self.post(&format!("/element/{id}/click"), json!({})).await;
        assert!(answer.is_null(), "{selector} cannot be clicked: {answer}");
    }

    async fn find(&self, selector: &str) -> String {
        let found = self.post("/element", json!({ "using": "css selector", "value": selector })).await;
        let id = found.as_object().and_then(|o| o.values().next()).and_then(Value::as_str);
        id.unwrap_or_else(|| panic!("{selector} is not on the page: {found}")).to_owned()
    }

    /// Waits until a script returns true.
    pub(crate) async fn until(&self, what: &str, script: &str) {
        eventually(what, async || self.run(script).await == json!(true)).await;
    }

    /// Saves what is seen as a PNG file.
    pub(crate) async fn screenshot(&self, path: &Path) {
        let request = self.client.get(format!("{}/screenshot", self.session));
        let answer: Value = serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap();
        std::fs::write(path, decode(answer["value"].as_str().unwrap())).unwrap();
    }
}

/// Base64, as the driver sends pictures.
fn decode(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits: Vec<u32> = text.bytes().filter_map(|b| ALPHABET.iter().position(|a| *a == b)).map(|d| u32::try_from(d).unwrap()).collect();
    let bytes = |chunk: &[u32]| {
        let number = chunk.iter().fold(0, |n, d| n << 6 | d) << (6 * (4 - chunk.len()));
        number.to_be_bytes()[1..chunk.len()].to_vec()
    };
    digits.chunks(4).flat_map(bytes).collect()
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser when it is asked to end.
        #[expect(clippy::disallowed_methods, reason = "a destructor cannot wait for an answer")]
        let _ = std::process::Command::new("curl").args(["-s", "-m", "5", "-X", "DELETE", &self.session]).output();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
