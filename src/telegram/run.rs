//! From the start to the end of the front end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use teloxide::Bot;
use teloxide::dispatching::Dispatcher;
use teloxide::dptree;
use teloxide::error_handlers::IgnoringErrorHandlerSafe;
use teloxide::payloads::GetMe;
use teloxide::types::Update;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::activity::Activity;
use super::api::{Api, CALL_LIMIT, CallError};
use super::clock::ApiClock;
use super::configuring::keep_menus;
use super::follow::Follows;
use super::front::{Front, Shared, locked};
use super::inbound::Inbound;
use super::limits::{Seldom, Strangers};
use super::listener::Listener;
use super::notices::Delivery;
use super::outbox::{Outbox, Pace};
use super::pulse::Pulse;
use super::reach::Reach;
use super::refusals::Refusals;
use super::schema;
use super::stale::Stale;
use super::token::BotToken;
use crate::domain::Millis;
use crate::history::{History, HistoryError};
use crate::operations::Desk;
use crate::operations::keeper::Keeper;

/// How long running operations may take at the end: the desk ends them after the running step, which has a limit of its
/// own. Whoever has no time for that signals twice.
const OPERATIONS_END: Duration = Duration::from_secs(3_600);
/// How long work that was begun may take at the end.
const TASKS_END: Duration = Duration::from_secs(5);
/// How long messages may take to go out at the end; outcomes that do not make it wait in the history.
const OUTBOX_END: Duration = Duration::from_secs(5);

/// How long to wait where the dispatcher could not begin and nothing is wrong any more.
const AGAIN: Duration = Duration::from_secs(1);

/// Why the front end could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelegramError {
    /// The token is wrong.
    #[error(
        "Telegram does not accept the token ({0}). Give the one that @BotFather shows for this bot, in TELOXIDE_TOKEN or TELOXIDE_TOKEN_FILE."
    )]
    WrongToken(u16),
    /// What an earlier run left could not be read.
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// How the Bot API is reached.
pub struct Connection {
    /// The bot, with the server's address.
    pub bot: Bot,
    /// Its token.
    pub token: BotToken,
    /// How fast messages may go.
    pub pace: Pace,
}

/// Runs the front end until `shutdown`: answers messages, delivers what chats must be told.
///
/// At the end it takes no more messages, waits for the operations that it began (the desk ends them, once it is told to
/// stop), lets answers come to their end, and sends what waits, each for a bounded time.
///
/// # Errors
/// The token is wrong, or the history cannot be read. A Telegram that is away is no error: it is waited for.
pub async fn run(
    Connection { bot, token, pace }: Connection,
    desk: Arc<Desk>,
    history: History,
    clock: fn() -> Millis,
    shutdown: CancellationToken,
    activity: Activity,
) -> Result<(), TelegramError> {
    let clock_of_api = Arc::new(ApiClock::new(clock));
    let api = Api::new(bot, token.secret, Arc::clone(&clock_of_api)).at(pace);
    let Some(me) = whoami(&api, activity.pulse(), &shutdown).await? else { return Ok(()) };
    // Before the configuration is looked at: no change comes in between.
    let parts = desk.keeper().map(|keeper| (keeper.part("what waits in the chats"), keeper.part("the menu of commands")));
    let (chats, menu) = parts.unzip();
    let config = desk.configuration();
    let front = assemble(&api, desk, history, clock_of_api, me, shutdown.clone(), activity);
    let ready = front.inbound.recover(&config).await?;
    front.activity.pulse().connect();
    let delivery = Arc::new(Delivery::default());
    let notices = tokio::spawn(front.clone().deliver_notices(Arc::clone(&delivery)));
    let menus = tokio::spawn(keep_menus(api.clone(), config, menu));
    let follower = chats.map(|chats| tokio::spawn(front.clone().follow_changes(chats)));
    let renewing = token.file.zip(front.desk.keeper().map(Keeper::asked_for));
    let renewing = renewing.map(|(file, asked)| tokio::spawn(front.clone().follow_token(api.clone(), file, asked)));
    dispatch(&api, &front, ready, &shutdown).await;
    menus.abort();
    for task in [follower, renewing].into_iter().flatten() {
        task.abort();
    }
    notices.abort();
    // One look for notices at a time: `end` has the next.
    drop(notices.await);
    end(&front, &delivery).await;
    Ok(())
}

/// What the handlers share. `me` is this bot's id and user name.
pub(super) fn assemble(
    api: &Api,
    desk: Arc<Desk>,
    history: History,
    clock: Arc<ApiClock>,
    me: (u64, String),
    shutdown: CancellationToken,
    activity: Activity,
) -> Front {
    Front(Arc::new(Shared {
        inbound: Inbound::new(history.clone(), activity.clone(), Arc::clone(&clock)),
        outbox: Outbox::new(api.clone(), activity.clone()),
        desk,
        history,
        clock,
        activity,
        me,
        shutdown,
        asked: Mutex::default(),
        follows: Follows::default(),
        stale: Stale::default(),
        refusals: Refusals::default(),
        seldom: Seldom::default(),
        unkept: Seldom::default(),
        strangers: Strangers::default(),
        undelivered: Mutex::default(),
        running: Mutex::default(),
        notices: Notify::new(),
        tasks: TaskTracker::new(),
        permits: Shared::permits(),
        chats: Mutex::default(),
    }))
}

/// This bot's id and user name; none where the program ends before Telegram answers.
async fn whoami(api: &Api, pulse: &Pulse, shutdown: &CancellationToken) -> Result<Option<(u64, String)>, TelegramError> {
    let mut reach = Reach::default();
    let payload = GetMe::new();
    loop {
        pulse.next_within(CALL_LIMIT);
        let asked = tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            asked = api.call(&payload) => asked,
        };
        let error = match asked {
            Ok(me) => match (me["id"].as_u64(), me["username"].as_str()) {
                (Some(id), Some(name)) => {
                    reach.back();
                    tracing::info!(bot = name, "connected to Telegram");
                    return Ok(Some((id, name.to_owned())));
                }
                _ => CallError::Unsure("no bot's name in the answer".to_owned()),
            },
            Err(CallError::Refused { code: code @ (401 | 404), .. }) => return Err(TelegramError::WrongToken(code)),
            Err(error) => error,
        };
        let pause = reach.lost(&error);
        pulse.next_within(pause);
        tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Runs teloxide's dispatcher until the program ends.
async fn dispatch(api: &Api, front: &Front, ready: Vec<Update>, shutdown: &CancellationToken) {
    let (mut reach, mut renewals) = (Reach::default(), api.renewals());
    let pulse = front.activity.pulse();
    while !shutdown.is_cancelled() {
        pulse.next_within(CALL_LIMIT);
        let listener = Listener::new(api.clone(), front.clone(), ready.clone());
        let unhandled = front.clone();
        let mut dispatcher = Dispatcher::builder(api.bot(), schema::schema())
            .dependencies(dptree::deps![front.clone()])
            .default_handler(move |update| {
                unhandled.ignore(i64::from(update.id.0), "of no kind that is handled");
                async {}
            })
            .error_handler(Arc::new(IgnoringErrorHandlerSafe))
            // In order within a chat: handlers return at once, so that nobody waits.
            .distribution_function(|update| update.chat().map(|chat| chat.id))
            .build();
        match dispatcher.try_dispatch_with_listener(listener, Arc::new(IgnoringErrorHandlerSafe)).await {
            Ok(()) => return,
            Err(_) => {
                // It asks for the bot's name once more before it listens; nothing was handed out yet. Why it was not
                // told is asked again, since its own error does not say all that counts.
                let payload = GetMe::new();
                let asked = tokio::select! {
                    () = shutdown.cancelled() => return,
                    asked = api.call(&payload) => asked,
                };
                let pause = asked.map_or_else(|error| reach.lost(&error), |_| AGAIN);
                pulse.next_within(pause);
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    // The sender lives as long as the API that we hold.
                    _ = renewals.changed() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
    }
}

/// Lets what was begun come to its end.
async fn end(front: &Front, delivery: &Arc<Delivery>) {
    let running: Vec<_> = locked(&front.running).values().cloned().collect();
    let ended = async {
        for mut view in running {
            // An error means that whoever ran it is gone, which is an end as well.
            drop(view.wait_for(|view| view.ended.is_some()).await);
        }
    };
    if timeout(OPERATIONS_END, ended).await.is_err() {
        tracing::warn!("an operation did not end in time; its outcome is delivered at the next start");
    }
    front.deliver_due(delivery).await;
    front.tasks.close();
    if timeout(TASKS_END, front.tasks.wait()).await.is_err() {
        tracing::warn!("some answers were not finished in time");
    }
    if !front.outbox.drained(OUTBOX_END).await {
        tracing::warn!("some messages could not be sent in time; outcomes are kept for the next start");
    }
}
