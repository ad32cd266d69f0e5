//! The API refuses, is slow, breaks off, or is away.

use super::*;
use crate::sandbox::bot_api::{Fault, Target};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_ends_it_with_a_sentence() {
    let mut chat = Chat::prepare().await;
    chat.boot_at(&chat.api.url(), "123456789:AAE-another-token-that-is-not-the-right-one");
    let task = chat.bot.take().unwrap().task;
    let error = tokio::time::timeout(SOON, task).await.unwrap().unwrap().unwrap_err();
    assert!(error.to_string().contains("does not accept the token"), "{error}");
    assert!(!error.to_string().contains("AAE"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_is_away_at_the_start_is_waited_for() {
    let mut chat = Chat::prepare().await;
    chat.api.set_away(true);
    chat.boot();
    tokio::time::sleep(Duration::from_millis(300)).await;
    chat.api.set_away(false);
    chat.ask("/whoami").await;
    chat.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_goes_away_is_found_again() {
    let chat = Chat::start().await;
    chat.ask("/whoami").await;
    chat.api.set_away(true);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    chat.api.set_away(false);
    chat.ask("/whoami").await;
    chat.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_fast_and_broken_gateways_lose_nothing() {
    let chat = Chat::start().await;
    chat.api.fault("sendMessage", Fault::TooManyRequests { retry_after: 1 }, 1);
    chat.ask("/whoami").await;
    chat.api.fault("sendMessage", Fault::BadGateway, 2);
    chat.ask("/whoami").await;
    chat.api.fault("getUpdates", Fault::Conflict, 1);
    chat.ask("/whoami").await;
    chat.api.fault("getUpdates", Fault::BadGateway, 1);
    chat.ask("/whoami").await;
    chat.api.fault("getUpdates", Fault::TooManyRequests { retry_after: 1 }, 1);
    chat.ask("/whoami").await;
    chat.api.fault("getUpdates", Fault::Unauthorized, 1);
    chat.ask("/whoami").await;
    assert_eq!(chat.api.faults_left(), 0);
    chat.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_429_of_one_chat_holds_up_no_other() {
    let chat = Chat::start().await;
    chat.api.fault(Target::method("sendMessage").chat(ADMIN), Fault::TooManyRequests { retry_after: 3 }, 1);
    let begun = tokio::time::Instant::now();
    chat.api.say(ADMIN, ADMIN, "/whoami");
    chat.api.say(VIEWER, VIEWER, "/whoami");
    chat.next_in(VIEWER).await;
    assert!(begun.elapsed() < Duration::from_secs(2));
    chat.next().await;
    assert!(begun.elapsed() >= Duration::from_secs(3));
    chat.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_may_have_arrived_is_not_sent_twice() {
    let chat = Chat::start().await;
    chat.api.fault("sendMessage", Fault::DropAfterDelivering, 1);
    chat.ask("/whoami").await;
    chat.silence(ADMIN).await;
    chat.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_formatting_goes_again_as_plain_text() {
    let chat = Chat::start().await;
    let why = "Bad Request: can't parse entities: Unsupported start tag";
    chat.api.fault("sendMessage", Fault::BadRequest(why.into()), 1);
    chat.api.say(ADMIN, ADMIN, "/whoami");
    let told = chat.next().await;
    assert_eq!(told.text, "Your id: 111\nThis chat: 111");
    assert!(told.entities.is_empty());
    chat.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_became_a_supergroup_is_followed() {
    let chat = Chat::start().await;
    chat.api.add_group(-700, "Small");
    chat.api.say(ADMIN, -700, "/whoami");
    chat.next_in(-700).await;
    // The answer to what was said before goes where the group is now.
    chat.api.fault(Target::method("sendMessage").chat(-700), Fault::TooManyRequests { retry_after: 1 }, 1);
    chat.api.say(ADMIN, -700, "/whoami");
    tokio::time::sleep(Duration::from_millis(300)).await;
    chat.api.migrate_group(-700, -1_007_000_000_000);
    chat.next_in(-1_007_000_000_000).await;
    chat.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_blocked_the_bot_is_let_go() {
    let chat = Chat::start().await;
    chat.api.fault("sendMessage", Fault::Forbidden("Forbidden: bot was blocked by the user".into()), 1);
    chat.ignored(VIEWER, VIEWER, "/whoami").await;
    chat.ask("/whoami").await;
    chat.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_is_said_and_ages_go_by_telegrams() {
    let chat = Chat::start().await;
    chat.ask("/whoami").await;
    // From here on Telegram's clock stands three minutes before ours.
    chat.api.set_clock_offset(-180);
    chat.api.incoming(ADMIN, ADMIN, "/docker_restart nope").send();
    assert!(chat.next().await.text.contains("There is no project"), "fresh by Telegram's clock");
    chat.api.incoming(ADMIN, ADMIN, "/docker_restart").seconds_ago(70).send();
    let told = chat.next().await.text;
    assert!(told.contains("too old") && told.contains("ahead; I go by Telegram's"), "{told}");
    chat.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_end_is_quick_and_complete() {
    let mut chat = Chat::start().await;
    chat.ask("/whoami").await;
    let begun = tokio::time::Instant::now();
    chat.stop().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    chat.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_once_and_nothing_is_lost() {
    let chat = Chat::start().await;
    chat.ask("/whoami").await;
    // As with a full disk: whatever is to be written is refused.
    let blocker = rusqlite::Connection::open(chat.directory.path().join("dockmaster.db")).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    chat.api.say(ADMIN, ADMIN, "/whoami");
    assert!(chat.next().await.text.contains("cannot write to my data directory"));
    drop(blocker);
    assert!(chat.next().await.text.starts_with("Your id"));
    chat.finish().await;
}

/// Collects what is logged on this thread.
#[derive(Clone, Default)]
struct Logged(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

// One thread, so that the log of everything that the bot does is caught.
#[tokio::test]
async fn the_token_is_never_logged_and_an_outage_is_logged_once() {
    let logged = Logged::default();
    let writer = logged.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let chat = Chat::start().await;
    chat.ask("/whoami").await;
    chat.api.set_away(true);
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    chat.api.set_away(false);
    chat.ask("/whoami").await;
    for fault in [Fault::Unauthorized, Fault::Conflict, Fault::BadGateway, Fault::DropBefore] {
        chat.api.fault("getUpdates", fault, 1);
        chat.ask("/whoami").await;
    }
    chat.finish().await;
    let logged = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
    let secret = TOKEN.split(':').nth(1).unwrap();
    let told: Vec<&str> = logged.lines().filter(|l| l.contains(secret)).collect();
    assert_eq!(told, Vec::<&str>::new());
    let count = |said: &str| logged.matches(said).count();
    // The connection that was cut may have been opened anew without anybody noticing.
    assert!((2..=3).contains(&count("Telegram is away")) && count("another process polls") == 1, "{logged}");
    assert!(count("Telegram answers again") >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_not_followed() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    // Whoever asks the first is pointed to the second, which must hear nothing.
    let (first, second) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let (url, elsewhere) = (format!("http://{}", first.local_addr().unwrap()), format!("http://{}/stolen", second.local_addr().unwrap()));
    let asked = Arc::new(AtomicI64::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = first.accept().await {
            let _ = stream.read(&mut [0; 4_096]).await;
            let answer =
                format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let mut chat = Chat::prepare().await;
    chat.boot_at(&url, TOKEN);
    tokio::time::timeout(SOON, async {
        while asked.load(Ordering::Relaxed) < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("it is tried again");
    let heard = tokio::time::timeout(Duration::from_millis(1), second.accept()).await;
    assert!(heard.is_err(), "the token went elsewhere");
    chat.stop().await.unwrap();
}
