//! A chat with the bot: the strict Bot API server, people, and the app between it and the engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dockmaster::app::{self, AppError, Given, Parts};
use dockmaster::sandbox::bot_api::{BotApi, Message};
use dockmaster::telegram::{Activity, BotToken, Pace};
use rusqlite::{Connection, OpenFlags};

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Fixture, PATIENCE};

pub(crate) const ADMIN: i64 = 111;
pub(crate) const OPERATOR: i64 = 222;
pub(crate) const VIEWER: i64 = 333;
pub(crate) const STRANGER: i64 = 999;
/// The group that is listed.
pub(crate) const GROUP: i64 = -100_500;
pub(crate) const TOKEN: &str = "123456789:AAE-test-token-of-the-embedded-server";

/// What begins a message that says that what is kept does not last.
pub(crate) const PASSING: &str = "⚠️ What I keep does not last";

/// The running app.
pub(crate) struct Bot {
    task: JoinHandle<Result<(), AppError>>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) activity: Activity,
}

/// A chat with the bot.
pub(crate) struct World {
    pub(crate) api: BotApi,
    pub(crate) fixtures: Vec<Fixture>,
    pub(crate) data: PathBuf,
    /// What projects.json says beyond people and projects.
    pub(crate) settings: Value,
    pub(crate) bot: Option<Bot>,
    pub(crate) docker_host: Option<String>,
    /// The configuration's file.
    pub(crate) config: PathBuf,
    _directory: tempfile::TempDir,
}

impl World {
    /// The bot with one project, called `shop` unless it is called otherwise.
    pub(crate) async fn start(fixture: Fixture) -> Self {
        let name = if fixture.called_so { fixture.name.clone() } else { "shop".to_owned() };
        Self::start_with(vec![fixture], json!({ "default_project": name })).await
    }

    /// The bot with several projects: `shop`, `edge`, `third`, unless they are called otherwise.
    pub(crate) async fn start_with(fixtures: Vec<Fixture>, settings: Value) -> Self {
        let mut world = Self::prepare(fixtures, settings).await;
        world.boot();
        world
    }

    /// Everything but the bot.
    pub(crate) async fn prepare(fixtures: Vec<Fixture>, settings: Value) -> Self {
        // `RUST_LOG=debug cargo test ...` shows what the bot does; the first test of the run sets it up.
        let _ = tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).with_test_writer().try_init();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = BotApi::start(listener, TOKEN, || app::now() / 1_000).unwrap();
        for (id, name) in [(ADMIN, "Ann"), (OPERATOR, "Olaf"), (VIEWER, "Vera"), (STRANGER, "Sam")] {
            api.add_user(id, name);
        }
        api.add_group(GROUP, "Ops");
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let docker_host = super::engine::host();
        let config = directory.path().join("projects.json");
        Self { api, fixtures, data, settings, bot: None, docker_host, config, _directory: directory }
    }

    /// The text of projects.json.
    pub(crate) fn projects_json(&self) -> String {
        let called = |(name, f): (&&str, &Fixture)| (if f.called_so { f.name.clone() } else { (*name).to_owned() }, f.project_json());
        let projects: serde_json::Map<String, Value> = ["shop", "edge", "third"].iter().zip(&self.fixtures).map(called).collect();
        let mut all = json!({
            "access": { "users": { ADMIN.to_string(): "admin", OPERATOR.to_string(): "operator", VIEWER.to_string(): "viewer" }, "chats": [GROUP] },
            "projects": projects,
            // How full the machine is that tests run on is not what they are about.
            "volumes": { "warn_below": "off" },
        });
        if let (Value::Object(all), Value::Object(more)) = (&mut all, &self.settings) {
            all.extend(more.clone());
        }
        all.to_string()
    }

    /// What dockmaster keeps, seen from outside and only read.
    pub(crate) fn kept(&self) -> Connection {
        let kept = Connection::open_with_flags(self.data.join("dockmaster.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        kept.busy_timeout(PATIENCE).unwrap();
        kept
    }

    /// Saves the configuration's file.
    pub(crate) fn configure(&self, text: &str) {
        std::fs::write(&self.config, text).unwrap();
    }

    /// Starts the bot in this process.
    pub(crate) fn boot(&mut self) {
        self.configure(&self.projects_json());
        let config = self.config.clone();
        self.boot_with(&config);
    }

    /// The same with a file as it is.
    pub(crate) fn boot_with(&mut self, config: &Path) {
        let (shutdown, activity) = (CancellationToken::new(), Activity::default());
        let parts = Parts {
            given: Given { path: config.to_owned(), hot: true, program: Some(env!("CARGO_BIN_EXE_dockmaster").into()) },
            token: BotToken::fixed(TOKEN),
            api_url: Some(self.api.url()),
            pace: Pace::UNLIMITED,
            docker_host: self.docker_host.clone(),
            data: self.data.clone(),
            shutdown: shutdown.clone(),
            activity: activity.clone(),
            reload: Arc::default(),
        };
        self.bot = Some(Bot { task: tokio::spawn(app::run(parts)), shutdown, activity });
    }

    /// Ends the bot cleanly, and says how it ended.
    pub(crate) async fn stop(&mut self) -> Result<(), AppError> {
        let bot = self.bot.take().expect("a bot runs");
        bot.shutdown.cancel();
        tokio::time::timeout(PATIENCE, bot.task).await.expect("the bot ends in time").expect("the bot does not panic")
    }

    /// The admin sends a text in their private chat.
    pub(crate) fn say(&self, text: &str) -> i32 {
        self.api.say(ADMIN, ADMIN, text)
    }

    /// The bot's next message in the admin's chat.
    pub(crate) async fn next(&self) -> Message {
        self.next_in(ADMIN).await
    }

    /// The bot's next message in a chat.
    pub(crate) async fn next_in(&self, chat: i64) -> Message {
        loop {
            let next = self.next_of_all(chat).await;
            if !next.text.starts_with(PASSING) {
                return next;
            }
        }
    }

    /// The same, also where it says that what is kept does not last: true of all tests where they run in a container.
    pub(crate) async fn next_of_all(&self, chat: i64) -> Message {
        let next = self.api.next_message(chat, PATIENCE).await;
        next.unwrap_or_else(|e| panic!("{e}; the chat so far: {:#?}", self.texts(chat)))
    }

    /// Sends a text and waits for the one answer.
    pub(crate) async fn ask(&self, text: &str) -> Message {
        self.say(text);
        self.next().await
    }

    /// Confirms the plan that waits, and returns the outcome. The progress message is read on the way.
    pub(crate) async fn confirm(&self) -> Message {
        self.say("yes");
        self.outcome(ADMIN).await
    }

    /// Reads up to the next message that reports an outcome.
    pub(crate) async fn outcome(&self, chat: i64) -> Message {
        loop {
            let message = self.next_in(chat).await;
            if ["✅", "❌", "⚠️"].iter().any(|mark| message.text.starts_with(mark)) {
                return message;
            }
        }
    }

    /// Waits until the bot has nothing left to say.
    pub(crate) async fn idle(&self) {
        self.api.wait_acknowledged(PATIENCE).await.unwrap();
        let bot = self.bot.as_ref().expect("a bot runs");
        tokio::time::timeout(PATIENCE, bot.activity.idle()).await.expect("the bot comes to rest");
    }

    /// Every text of a chat, for when a test fails.
    pub(crate) fn texts(&self, chat: i64) -> Vec<String> {
        self.api.messages(chat).into_iter().map(|m| m.text).collect()
    }

    /// Ends the test: nothing unread, no press unanswered, nothing that Telegram would have refused.
    pub(crate) async fn finish(mut self) {
        if self.bot.is_some() {
            self.idle().await;
            self.stop().await.unwrap();
        }
        let mut left = self.api.leftovers();
        left.retain(|left| !left.contains(PASSING));
        assert_eq!(left, Vec::<String>::new());
    }
}
