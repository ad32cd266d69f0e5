//! The outbox by itself, and the work beside the dispatcher.

use super::*;
use crate::domain::access::Actor;
use crate::domain::container::{Condition, Health};
use crate::domain::project::{ProjectName, ServiceName};
use crate::domain::status::{ProjectStatus, ServiceStatus};
use crate::domain::text::Text;
use crate::domain::words;
use crate::sandbox::bot_api::Fault;
use crate::telegram::api::Api;
use crate::telegram::clock::ApiClock;
use crate::telegram::front::{Front, Place};
use crate::telegram::outbox::{Button, Keyboard, Letter, NotSent, Outbox};
use secrecy::SecretString;

pub(super) fn api(chat: &Chat) -> Api {
    let bot = Bot::new(TOKEN).set_api_url(chat.api.url().parse().unwrap());
    Api::new(bot, SecretString::from(TOKEN), Arc::new(ApiClock::new(now)))
}

fn outbox(chat: &Chat) -> Outbox {
    Outbox::new(api(chat), Activity::default())
}

fn letter(text: Text) -> Letter {
    Letter { chat: ADMIN, thread: None, text, buttons: Keyboard::new(), reply_to: None, silent: false, yields: false }
}

fn front(chat: &Chat) -> (Front, watch::Sender<Arc<Configuration>>) {
    let shutdown = CancellationToken::new();
    let tools = Tools {
        instance: "0a1b".to_owned(),
        host: crate::engine::host::Host::new(chat.directory.path(), "dockmaster".into()),
        docker_host: "unix:///nowhere".to_owned(),
        docker: Docker::at(Some(&format!("unix://{}", chat.directory.path().join("docker.sock").display()))).unwrap(),
        compose: Default::default(),
        history: chat.history.clone(),
        clock: now,
        data: chat.directory.path().to_owned(),
        told: chat.directory.path().to_owned(),
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
    let (sender, receiver) = watch::channel(Arc::new(Chat::configuration()));
    let desk = Arc::new(Desk::new(receiver, tools));
    let clock = Arc::new(ApiClock::new(now));
    let me = (42, "dock_bot".to_owned());
    (crate::telegram::run::assemble(&api(chat), desk, chat.history.clone(), clock, me, shutdown, Activity::default()), sender)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_services_come_in_several_messages_with_the_buttons_on_the_last() {
    let service = |n: usize| ServiceStatus {
        container: Some(format!("shop-service-{n}-1").into()),
        condition: Condition::Running,
        health: Health::Healthy,
        since: Some(0),
        image: "example/<image>&more:1".into(),
        ..ServiceStatus::missing(ServiceName::new(&format!("service-{n}")).unwrap())
    };
    let status = ProjectStatus {
        project: ProjectName::new("shop").unwrap(),
        description: None,
        services: (0..200).map(service).collect(),
        workspace: None,
        production: None,
        release: None,
        ahead: None,
        busy: None,
        unknown: Vec::new(),
    };
    let chat = Chat::prepare().await;
    let text = words::status(&status, 5_000);
    let buttons = vec![vec![Button { label: "Logs".into(), data: "l:shop".into() }]];
    let last = outbox(&chat).send(Letter { buttons, ..letter(text.clone()) }).await.unwrap();
    let mut said = Vec::new();
    while said.last().is_none_or(|m: &Message| m.id != last) {
        said.push(chat.next().await);
    }
    assert!(said.len() > 1 && said[..said.len() - 1].iter().all(|m| m.buttons.is_empty()));
    assert_eq!(said[said.len() - 1].button_texts(), [["Logs"]]);
    let joined: String = said.iter().map(|m| m.text.replace('\n', "")).collect();
    assert_eq!(joined, text.to_plain().replace('\n', ""));
    chat.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_edit_wins_and_one_that_changes_nothing_is_no_error() {
    let chat = Chat::prepare().await;
    let outbox = outbox(&chat);
    let id = outbox.send(letter(Text::new().plain("0 <&>"))).await.unwrap();
    chat.next().await;
    for n in 1..=40 {
        outbox.edit(ADMIN, id, Text::new().bold(format!("{n} <&>")), Keyboard::new());
    }
    assert!(outbox.drained(SOON).await);
    let shown = chat.api.message(ADMIN, id).unwrap();
    assert_eq!(shown.text, "40 <&>");
    assert!(shown.edits <= 5, "{} edits", shown.edits);
    outbox.edit(ADMIN, id, Text::new().bold("40 <&>"), Keyboard::new());
    outbox.edit(ADMIN, 4_711, Text::new().bold("no such message"), Keyboard::new());
    assert!(outbox.drained(SOON).await);
    chat.api.forgive();
    chat.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn order_is_kept_and_the_server_never_has_to_ask_to_slow_down() {
    let chat = Chat::prepare().await;
    let outbox = outbox(&chat);
    let sends: Vec<_> = (0..8)
        .map(|n| {
            let outbox = outbox.clone();
            // Each is queued before the next.
            let mut send = Box::pin(async move { outbox.send(letter(Text::new().plain(n.to_string()))).await });
            assert!(futures_util::FutureExt::now_or_never(&mut send).is_none());
            send
        })
        .collect();
    let begun = tokio::time::Instant::now();
    for send in sends {
        send.await.unwrap();
    }
    let took = begun.elapsed().as_secs_f64();
    assert!((2.5..5.0).contains(&took), "five at once and three at one a second: {took}");
    for n in 0..8 {
        assert_eq!(chat.next().await.text, n.to_string());
    }
    chat.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_lane_says_so_and_a_file_arrives() {
    let chat = Chat::prepare().await;
    let outbox = outbox(&chat);
    chat.api.fault("sendDocument", Fault::BadGateway, 1);
    let text = Text::new().bold("a <caption>");
    outbox.document(letter(text), "shop-web.log".into(), b"one\r\n--B\ntwo \xff".to_vec()).await.unwrap();
    let told = chat.next().await;
    let file = told.document.unwrap();
    assert_eq!((told.text.as_str(), file.name.as_str(), &file.bytes[..]), ("a <caption>", "shop-web.log", &b"one\r\n--B\ntwo \xff"[..]));
    chat.api.set_away(true);
    let mut waiting = Vec::new();
    for _ in 0..105 {
        let outbox = outbox.clone();
        waiting.push(tokio::spawn(async move { outbox.send(letter(Text::new().plain("x"))).await }));
    }
    let mut full = 0;
    for task in &mut waiting {
        if let Ok(done) = tokio::time::timeout(Duration::from_millis(20), task).await {
            full += usize::from(done.unwrap() == Err(NotSent::Full));
        }
    }
    assert!((3..=5).contains(&full), "{full} were refused");
    assert!(!outbox.drained(Duration::from_millis(10)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_sentence_in_the_chat_and_ends_nothing() {
    let chat = Chat::prepare().await;
    let (front, _configuration) = front(&chat);
    let actor = Actor::Telegram { user: 111, name: "Ann".into(), chat: ADMIN };
    let place = Place { chat: ADMIN, thread: None, message: 1, private: true, actor, user: 111 };
    chat.history.inbox_keep(vec![(5, "{}".into())], now()).await.unwrap();
    front.spawn(5, place.clone(), None, None, async { panic!("on purpose") });
    let told = chat.next().await;
    assert!(told.text.starts_with("That failed because of an error of mine"), "{}", told.text);
    front.say(&place, Text::new().plain("still here")).await;
    assert_eq!(chat.next().await.text, "still here");
    front.tasks.close();
    tokio::time::timeout(SOON, front.tasks.wait()).await.unwrap();
    chat.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_a_stranger_holds_up_nobody() {
    let mut chat = Chat::prepare().await;
    for _ in 0..700 {
        chat.api.say(STRANGER, STRANGER, "/whoami");
    }
    chat.boot();
    let begun = tokio::time::Instant::now();
    chat.ask("/whoami").await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    chat.idle().await;
    chat.api.take_unread(STRANGER);
    chat.finish().await;
}
