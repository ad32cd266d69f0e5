//! The front end against the strict Bot API server, with a desk whose engine is away: everything but operations.

mod answers;
mod hostile;
mod inbox;
mod mutated;
mod sending;
mod trouble;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use teloxide::Bot;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Activity, BotToken, Connection, Pace, TelegramError, run};
use crate::domain::access::Role;
use crate::domain::project::Configuration;
use crate::engine::docker::Docker;
use crate::history::History;
use crate::operations::{Asked, Desk, Gauge, Registry, Tools, Vitals};
use crate::sandbox::bot_api::{BotApi, Message};

const TOKEN: &str = "123456789:AAE-a-token-that-must-never-be-shown-x";
const ADMIN: i64 = 111;
const VIEWER: i64 = 333;
const STRANGER: i64 = 999;
const GROUP: i64 = -1_001_234_567_890;
const OTHER_GROUP: i64 = -1_009_999_999_999;
/// Long enough that only a failing test waits for it.
const SOON: Duration = Duration::from_secs(20);

/// Tests move the time of server and bot alike, never back.
static AHEAD: AtomicI64 = AtomicI64::new(0);

#[expect(clippy::disallowed_methods, reason = "a test's clock")]
fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond() + AHEAD.load(Ordering::Relaxed)
}

struct Chat {
    api: BotApi,
    history: History,
    bot: Option<Running>,
    directory: tempfile::TempDir,
}

struct Running {
    task: JoinHandle<Result<(), TelegramError>>,
    shutdown: CancellationToken,
    activity: Activity,
    _configuration: watch::Sender<Arc<Configuration>>,
}

impl Chat {
    /// The server, its people, and a history; no bot.
    async fn prepare() -> Self {
        // With RUST_LOG a failing test says more.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = BotApi::start(listener, TOKEN, || now() / 1_000).unwrap();
        for (id, name) in [(ADMIN, "Ann"), (VIEWER, "Vera"), (STRANGER, "Sam")] {
            api.add_user(id, name);
        }
        api.add_group(GROUP, "Ops");
        api.add_group(OTHER_GROUP, "Others");
        let directory = tempfile::tempdir().unwrap();
        // An engine that takes what is asked and never answers.
        let engine = tokio::net::UnixListener::bind(directory.path().join("docker.sock")).unwrap();
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok(asked) = engine.accept().await {
                held.push(asked);
            }
        });
        let history = History::open(&directory.path().join("dockmaster.db")).unwrap();
        Self { api, history, bot: None, directory }
    }

    async fn start() -> Self {
        let mut chat = Self::prepare().await;
        chat.boot();
        chat
    }

    pub(super) fn configuration() -> Configuration {
        let mut config = super::command::configuration_for_tests(&["shop", "edge"], Some("shop"));
        config.users = [(ADMIN, Role::Admin), (VIEWER, Role::Viewer)].map(|(id, role)| (u64::try_from(id).unwrap(), role)).into();
        config.users.extend((5_000..5_025).map(|id| (id, Role::Viewer)));
        config.chats = [GROUP].into();
        config
    }

    /// Starts the bot.
    fn boot(&mut self) {
        self.boot_at(&self.api.url(), TOKEN);
    }

    fn boot_at(&mut self, url: &str, token: &str) {
        let shutdown = CancellationToken::new();
        let tools = Tools {
            instance: "0a1b".to_owned(),
            host: crate::engine::host::Host::new(self.directory.path(), "dockmaster".into()),
            docker_host: "unix:///nowhere".to_owned(),
            docker: Docker::at(Some(&format!("unix://{}", self.directory.path().join("docker.sock").display()))).unwrap(),
            compose: Default::default(),
            history: self.history.clone(),
            clock: now,
            data: self.directory.path().to_owned(),
            told: self.directory.path().to_owned(),
            elsewhere: None,
            stopping: shutdown.clone(),
            vitals: Vitals::default(),
            own: None,
            registry: Registry::default(),
            asked: Asked::default(),
            purposes: Arc::default(),
            desired: Arc::default(),
            checks: crate::operations::Checks::default(),
            gauge: Gauge::default(),
            configuration: None,
        };
        let (sender, receiver) = watch::channel(Arc::new(Self::configuration()));
        let desk = Arc::new(Desk::new(receiver, tools));
        let bot = Bot::new(token).set_api_url(url.parse().unwrap());
        let activity = Activity::default();
        let connection = Connection { bot, token: BotToken::fixed(token), pace: Pace::TELEGRAM };
        let task = run(connection, desk, self.history.clone(), now, shutdown.clone(), activity.clone());
        self.bot = Some(Running { task: tokio::spawn(task), shutdown, activity, _configuration: sender });
    }

    /// Ends the bot cleanly.
    async fn stop(&mut self) -> Result<(), TelegramError> {
        let bot = self.bot.take().unwrap();
        bot.shutdown.cancel();
        tokio::time::timeout(SOON, bot.task).await.unwrap().unwrap()
    }

    /// Ends the bot as `kill -9` would: at once.
    async fn kill(&mut self) {
        let bot = self.bot.take().unwrap();
        bot.task.abort();
        drop(bot.task.await);
    }

    async fn next_in(&self, chat: i64) -> Message {
        self.api.next_message(chat, SOON).await.unwrap_or_else(|e| {
            let texts: Vec<String> = self.api.messages(chat).into_iter().map(|m| m.text).collect();
            panic!("{e}\n{texts:#?}")
        })
    }

    async fn next(&self) -> Message {
        self.next_in(ADMIN).await
    }

    async fn ask(&self, text: &str) -> String {
        self.api.say(ADMIN, ADMIN, text);
        self.next().await.text
    }

    /// Sends a text that must not be answered, and waits until that is certain.
    async fn ignored(&self, from: i64, chat: i64, text: &str) {
        self.api.say(from, chat, text);
        self.silence(chat).await;
    }

    /// Nothing comes in a chat.
    async fn silence(&self, chat: i64) {
        self.idle().await;
        let unread: Vec<String> = self.api.unread(chat).into_iter().map(|m| m.text).collect();
        assert!(unread.is_empty(), "{unread:?}");
    }

    async fn idle(&self) {
        self.api.wait_acknowledged(SOON).await.unwrap();
        tokio::time::timeout(SOON, self.bot.as_ref().unwrap().activity.idle()).await.unwrap();
    }

    /// Ends the test: nothing unread, unanswered or refused.
    async fn finish(mut self) {
        if self.bot.is_some() {
            self.idle().await;
            self.stop().await.unwrap();
        }
        assert_eq!(self.api.leftovers(), Vec::<String>::new());
        let left = self.history.inbox_unfinished().await.unwrap();
        assert!(left.is_empty(), "{left:?}");
    }
}
