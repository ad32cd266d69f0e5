//! Who may do what, and from where: every command and every button, by people of every role, sent in every way that Telegram has. A proxy
//! in front of the engine counts what is called for each.

use std::cell::Cell as Counter;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use dockmaster::sandbox::bot_api::{Incoming, Message};
use dockmaster::telegram::{BUTTONS, commands};
use serde_json::{Value, json};

use crate::support::fixture::{engine_get, healthy_service};
use crate::support::long;
use crate::support::proxy::Proxy;
use crate::support::world::ADMIN;
use crate::support::{Fixture, PATIENCE, World, eventually};

/// The listed group in which nobody but the untrusted write, and those in which each message has room for its answer.
const GROUP: i64 = -100_500;
const GROUPS: i64 = 150;
/// How many accounts there are of each role: each has its own private chat, so that answers need not wait for one another.
const ACCOUNTS: i64 = 70;
const CHANNEL: i64 = -1_001_000_000_777;
const OTHER_GROUP: i64 = -100_999;

/// What somebody may do, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Nothing,
    Viewer,
    Operator,
    Admin,
}

/// People of one kind: their role by the general list, and what a project says instead.
#[derive(Debug)]
struct People {
    name: &'static str,
    first: i64,
    general: Role,
    shop: Option<Role>,
}

const PEOPLE: [People; 7] = [
    People { name: "admin", first: 10_000_000, general: Role::Admin, shop: None },
    People { name: "operator", first: 20_000_000, general: Role::Operator, shop: None },
    People { name: "viewer", first: 30_000_000, general: Role::Viewer, shop: None },
    People { name: "stranger", first: 40_000_000, general: Role::Nothing, shop: None },
    People { name: "viewer, admin of shop", first: 50_000_000, general: Role::Viewer, shop: Some(Role::Admin) },
    People { name: "admin, viewer of shop", first: 60_000_000, general: Role::Admin, shop: Some(Role::Viewer) },
    People { name: "not listed, admin of shop", first: 70_000_000, general: Role::Nothing, shop: Some(Role::Admin) },
];

/// What a command or button is about, which says whose role counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Shop,
    Edge,
    /// All of dockmaster.
    All,
    /// The sender alone.
    Sender,
}

impl People {
    fn may(&self, about: About, needs: Role) -> bool {
        match about {
            About::Sender => true,
            _ if self.general == Role::Nothing => false,
            About::Shop => self.shop.unwrap_or(self.general) >= needs,
            About::Edge | About::All => self.general >= needs,
        }
    }
}

/// What comes of a command where it is allowed.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// A plan, which waits for a yes.
    Plan,
    /// An answer with this in it.
    Says(&'static str),
}

/// A command line.
#[derive(Debug)]
struct Line {
    text: &'static str,
    about: About,
    needs: Role,
    /// Whether it changes something, and so must not come late.
    changes: bool,
    then: Then,
}

const fn reads(text: &'static str, about: About, says: &'static str) -> Line {
    Line { text, about, needs: Role::Viewer, changes: false, then: Then::Says(says) }
}

const fn acts(text: &'static str, about: About, needs: Role, then: Then) -> Line {
    Line { text, about, needs, changes: true, then }
}

const fn configures(text: &'static str, changes: bool, says: &'static str) -> Line {
    Line { text, about: About::All, needs: Role::Admin, changes, then: Then::Says(says) }
}

/// Every command, with every form of it that asks for something else.
const LINES: [Line; 33] = [
    reads("/docker_status shop", About::Shop, "1 of 1 up"),
    reads("/docker_status edge", About::Edge, "1 of 1 up"),
    reads("/docker_status all", About::All, "shop"),
    reads("/docker_logs shop/web 5 grep=ready since=10m", About::Shop, "web"),
    reads("/docker_logs shop follow", About::Shop, "web"),
    reads("/docker_releases shop", About::Shop, "shop"),
    reads("/docker_volumes shop", About::Shop, "shop"),
    reads("/docker_history shop", About::Shop, "Nothing was done with shop yet"),
    acts("/docker_restart shop", About::Shop, Role::Operator, Then::Plan),
    acts("/docker_restart shop/web immediate force", About::Shop, Role::Operator, Then::Plan),
    acts("/docker_restart shop graceful", About::Shop, Role::Operator, Then::Plan),
    acts("/docker_restart shop rolling", About::Shop, Role::Operator, Then::Plan),
    acts("/docker_restart shop dependency", About::Shop, Role::Operator, Then::Plan),
    acts("/docker_restart edge", About::Edge, Role::Operator, Then::Plan),
    acts("/docker_start shop force", About::Shop, Role::Operator, Then::Says("shop")),
    acts("/docker_stop shop/web", About::Shop, Role::Operator, Then::Plan),
    acts("/docker_stop edge", About::Edge, Role::Operator, Then::Plan),
    // Not refused where it is late: it runs nothing.
    Line { changes: false, ..acts("/docker_cancel shop", About::Shop, Role::Operator, Then::Says("shop")) },
    acts("/docker_deploy shop with=web force", About::Shop, Role::Admin, Then::Plan),
    acts("/docker_deploy edge", About::Edge, Role::Admin, Then::Plan),
    acts("/docker_rollback shop 1 with=web force", About::Shop, Role::Admin, Then::Says("release")),
    acts("/docker_tidy shop", About::Shop, Role::Admin, Then::Says("shop")),
    configures("/config", false, "onfiguration"),
    configures("/config status", false, "onfiguration"),
    configures("/config history", false, "1"),
    configures("/config diff 1", false, "1"),
    configures("/config diff 1 show", false, "1"),
    configures("/config rollback 1", true, "1"),
    configures("/config snapshot for the matrix", true, "version"),
    configures("/config reload", true, "nothing changed"),
    Line { about: About::Sender, ..reads("/whoami", About::Sender, "Your id") },
    reads("/help", About::All, "/docker_status"),
    reads("/start", About::All, "/docker_status"),
];

/// Words of the program's own description of what follows a command that stand for something else.
const PLACEHOLDERS: [&str; 14] =
    ["service", "lines", "release", "why", "all", "since", "grep", "with", "overwrite", "path", "new", "volume", "name", "follow"];

/// What may come of what somebody sends in some way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// As the person's role says.
    Person,
    /// The same, but nothing that changes something.
    TooLate,
    /// Nothing at all.
    Nobody,
}

/// Where something is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Private,
    Group,
    /// The private chat of somebody else, as Telegram never says it.
    OtherPrivate,
    OtherGroup,
    Channel,
}

/// A way to send a command.
struct Sender {
    name: &'static str,
    trust: Trust,
    place: Place,
    how: fn(Incoming, i64) -> Incoming,
}

const fn sender(name: &'static str, trust: Trust, place: Place, how: fn(Incoming, i64) -> Incoming) -> Sender {
    Sender { name, trust, place, how }
}

const fn nobody(name: &'static str, place: Place, how: fn(Incoming, i64) -> Incoming) -> Sender {
    sender(name, Trust::Nobody, place, how)
}

fn account(id: i64, is_bot: bool) -> Value {
    json!({ "id": id, "is_bot": is_bot, "first_name": "Ann" })
}

fn channel() -> Value {
    json!({ "id": CHANNEL, "type": "channel", "title": "News" })
}

/// Every way that Telegram has, and some that it never uses.
fn senders() -> Vec<Sender> {
    use Place::{Channel, Group, OtherGroup, OtherPrivate, Private};
    vec![
        sender("private", Trust::Person, Private, |m, _| m),
        sender("allowed group", Trust::Person, Group, |m, _| m),
        sender("topic of an allowed group", Trust::Person, Group, |m, _| {
            m.with(&json!({ "message_thread_id": 5, "is_topic_message": true }))
        }),
        sender("private, too old", Trust::TooLate, Private, |m, _| m.seconds_ago(90)),
        sender("allowed group, too old", Trust::TooLate, Group, |m, _| m.seconds_ago(90)),
        nobody("other group", OtherGroup, |m, _| m),
        nobody("somebody else's private chat", OtherPrivate, |m, _| m),
        nobody("anonymous admin", Group, |m, _| m.as_anonymous_admin()),
        nobody("anonymous admin who keeps the id", Group, |m, _| {
            m.with(&json!({ "sender_chat": { "id": GROUP, "type": "supergroup", "title": "Ops" } }))
        }),
        nobody("channel post", Channel, |m, _| m.as_channel_post()),
        nobody("channel post, unasked", Channel, |m, _| m.as_channel_post().as_update("channel_post")),
        nobody("edited channel post", Channel, |m, _| m.as_channel_post().as_update("edited_channel_post")),
        nobody("channel post as a message", Channel, |m, who| {
            m.as_channel_post().as_update("message").with(&json!({ "from": account(who, false) }))
        }),
        nobody("as a channel", Group, |m, _| m.as_channel(CHANNEL)),
        nobody("linked channel", Group, |m, _| m.as_automatic_forward(CHANNEL)),
        nobody("automatic forward", Group, |m, _| m.with(&json!({ "is_automatic_forward": true }))),
        nobody("Telegram's own account", Group, |m, _| m.with(&json!({ "from": account(777_000, false) }))),
        nobody("bot", Group, |m, who| m.with(&json!({ "from": account(who, true) }))),
        nobody("bot in private", Private, |m, who| m.with(&json!({ "from": account(who, true) }))),
        nobody("without a sender", Group, |m, _| m.without_sender()),
        nobody("forward of a person's", Private, |m, _| m.forwarded_from(ADMIN)),
        nobody("forward in a group", Group, |m, _| m.forwarded_from(ADMIN)),
        nobody("forward of a hidden person's", Private, |m, _| {
            m.with(&json!({ "forward_origin": { "type": "hidden_user", "date": 1, "sender_user_name": "Ann" } }))
        }),
        nobody("forward of a group's", Private, |m, _| {
            m.with(&json!({ "forward_origin": { "type": "chat", "date": 1, "sender_chat": channel() } }))
        }),
        nobody("forward of a channel's", Private, |m, _| {
            m.with(&json!({ "forward_origin": { "type": "channel", "date": 1, "chat": channel(), "message_id": 1 } }))
        }),
        nobody("old forward: forward_from", Private, |m, _| m.with(&json!({ "forward_from": account(ADMIN, false) }))),
        nobody("old forward: forward_from_chat", Private, |m, _| m.with(&json!({ "forward_from_chat": channel() }))),
        nobody("old forward: forward_sender_name", Private, |m, _| m.with(&json!({ "forward_sender_name": "Ann" }))),
        nobody("old forward: forward_signature", Private, |m, _| m.with(&json!({ "forward_signature": "Ann" }))),
        nobody("old forward: forward_from_message_id", Private, |m, _| m.with(&json!({ "forward_from_message_id": 5 }))),
        nobody("old forward: forward_date", Group, |m, _| m.with(&json!({ "forward_date": 1 }))),
        nobody("edited", Private, |m, _| m.with(&json!({ "edit_date": 1 }))),
        nobody("edited, as an update of its own", Private, |m, _| m.as_update("edited_message").with(&json!({ "edit_date": 1 }))),
        nobody("edited in a group", Group, |m, _| m.as_update("edited_message").with(&json!({ "edit_date": 1 }))),
        nobody("via a bot", Private, |m, _| m.via_bot()),
        nobody("via a bot in a group", Group, |m, _| m.via_bot()),
        nobody("scheduled", Private, |m, _| m.scheduled()),
        nobody("scheduled in a group", Group, |m, _| m.scheduled()),
        nobody("business", Private, |m, _| m.as_update("business_message").with(&json!({ "business_connection_id": "b" }))),
        nobody("business, edited", Private, |m, _| m.as_update("edited_business_message").with(&json!({ "business_connection_id": "b" }))),
        nobody("business as a message", Private, |m, _| m.with(&json!({ "business_connection_id": "b" }))),
        nobody("business bot", Private, |m, _| m.with(&json!({ "sender_business_bot": account(9, true) }))),
        nobody("guest", Group, |m, _| m.as_update("guest_message").with(&json!({ "guest_query_id": "g" }))),
        nobody("guest in private", Private, |m, _| m.as_update("guest_message").with(&json!({ "guest_query_id": "g" }))),
        nobody("inline", Private, |m, _| {
            m.as_update("inline_query").with(&json!({ "id": "5", "query": "/docker_restart shop", "offset": "" }))
        }),
        nobody("chosen inline", Private, |m, _| {
            m.as_update("chosen_inline_result").with(&json!({ "result_id": "5", "query": "/docker_restart shop" }))
        }),
        nobody("a kind of tomorrow", Private, |m, _| m.as_update("thought_message")),
        nobody(OTHER_BOT, Private, |m, _| m),
        nobody("another bot's command in a group", Group, |m, _| m),
    ]
}

const OTHER_BOT: &str = "another bot's command";

/// A way to press a button.
struct Press {
    name: &'static str,
    trust: Trust,
    place: Place,
    how: fn(&mut Value, i64),
}

fn presses() -> Vec<Press> {
    use Place::{Channel, Group, OtherGroup, OtherPrivate, Private};
    let press = |name, trust, place, how| Press { name, trust, place, how };
    let nobody = |name, place, how| Press { name, trust: Trust::Nobody, place, how };
    let gone = |p: &mut Value, _| p["message"]["date"] = json!(0);
    vec![
        press("private", Trust::Person, Private, |_, _| {}),
        press("allowed group", Trust::Person, Group, |_, _| {}),
        press("on a message that is gone", Trust::Person, Private, gone),
        nobody("other group", OtherGroup, |_, _| {}),
        nobody("somebody else's private chat", OtherPrivate, |_, _| {}),
        nobody("channel that is not listed", Channel, |p, _| p["message"]["chat"]["id"] = json!(CHANNEL - 1)),
        nobody("bot", Group, |p, who| p["from"] = account(who, true)),
        nobody("anonymous admin", Group, |p, _| p["from"] = account(1_087_968_824, false)),
        nobody("Telegram's own account", Group, |p, _| p["from"] = account(777_000, false)),
        nobody("inline", Private, |p, _| {
            p.as_object_mut().unwrap().remove("message");
            p["inline_message_id"] = json!("i");
        }),
        nobody("game", Private, |p, _| {
            p.as_object_mut().unwrap().remove("data");
            p["game_short_name"] = json!("g");
        }),
        nobody("business", Private, |p, _| {
            p["message"]["business_connection_id"] = json!("b");
            p["message"]["text"] = json!("a plan");
            p["message"]["date"] = json!(1);
        }),
    ]
}

/// What a button takes, and what comes of it; none for what carries a number that was never given.
fn of_button(letter: char) -> (About, Role, Option<Then>) {
    let (needs, then) = match letter {
        // What waits under a number is for the one who was asked.
        'c' | 'x' | 'a' | 'f' => (Role::Viewer, None),
        's' => (Role::Viewer, Some(Then::Says("1 of 1 up"))),
        'l' => (Role::Viewer, Some(Then::Says("ready"))),
        'h' => (Role::Viewer, Some(Then::Says("Nothing was done with shop yet"))),
        'v' | 'o' => (Role::Viewer, Some(Then::Says("shop"))),
        'r' | 'e' => (Role::Operator, Some(Then::Plan)),
        'u' | 'k' => (Role::Operator, Some(Then::Says("shop"))),
        'd' => (Role::Admin, Some(Then::Plan)),
        'b' => (Role::Admin, Some(Then::Says("release"))),
        't' => (Role::Admin, Some(Then::Says("shop"))),
        other => panic!("the matrix does not know the button {other:?}: say here what it takes"),
    };
    (About::Shop, needs, then)
}

/// One of the matrix.
struct Cell<'a> {
    way: String,
    people: &'a People,
    what: String,
    who: i64,
    chat: i64,
    is_allowed: bool,
    then: Option<Then>,
    send: Box<dyn Fn(&Stage) + 'a>,
}

struct Stage {
    world: World,
    proxy: Proxy,
    next: Counter<i64>,
    /// Which account of each people was used last.
    accounts: Counter<BTreeMap<i64, i64>>,
    /// Whether all of the matrix is wanted.
    all: bool,
    /// A message of the bot in the group, to reply to.
    anchor: i32,
    faults: Counter<Vec<String>>,
    cells: Counter<usize>,
}

impl Stage {
    async fn start() -> Self {
        let web = || [("web", healthy_service(""))];
        let project = |name: &str| {
            let mut fixture = Fixture::new(&web());
            fixture.name = format!("{}-{name}", fixture.name);
            fixture.compose(&["up", "-d", "--wait"]);
            fixture.write("page", "new\n");
            fixture
        };
        let own: BTreeMap<String, &str> =
            PEOPLE.iter().filter_map(|p| Some((p, word(p.shop?)?))).flat_map(|(p, word)| named(p, word)).collect();
        let (shop, edge) = std::thread::scope(|scope| {
            let edge = scope.spawn(|| project("edge"));
            (project("shop").with(json!({ "access": own })), edge.join().unwrap())
        });
        let listed = PEOPLE.iter().filter_map(|p| Some((p, word(p.general)?)));
        let users: BTreeMap<String, &str> = listed.flat_map(|(p, word)| named(p, word)).collect();
        let chats: Vec<i64> = (0..GROUPS).map(group).chain([GROUP, CHANNEL]).collect();
        let settings = json!({ "access": { "users": users, "chats": chats }, "confirm_timeout": "10m" });
        let proxy = Proxy::start();
        let mut world = World::prepare(vec![shop, edge], settings).await;
        world.docker_host = Some(proxy.host());
        world.api.add_group(GROUP, "Ops");
        world.api.add_channel(CHANNEL, "News");
        (0..GROUPS).for_each(|n| world.api.add_group(group(n), "Ops"));
        world.boot();
        // What the bot does by itself: it keeps the images that run.
        let kept = |name: &str| {
            let filter = format!("%7B%22reference%22%3A%5B%22dockmaster%2F{name}%2Fweb%3Arunning-%2A%22%5D%7D");
            engine_get(&format!("/images/json?filters={filter}")).as_array().is_some_and(|images| !images.is_empty())
        };
        eventually("what runs is kept", async || kept("shop") && kept("edge")).await;
        world.api.say(PEOPLE[0].first, GROUP, "/whoami");
        let anchor = world.next_in(GROUP).await.id;
        let stage = Self {
            world,
            proxy,
            next: Counter::new(0),
            accounts: Counter::default(),
            all: long::asked().is_some(),
            anchor,
            faults: Counter::default(),
            cells: Counter::new(0),
        };
        stage.rest().await;
        stage
    }

    /// Waits until the bot rests and what it does by itself at the start is over.
    async fn rest(&self) {
        eventually("nothing is called on the engine", async || {
            self.world.idle().await;
            self.calls();
            // It looks at what runs no more often than every two seconds.
            tokio::time::sleep(Duration::from_millis(2_500)).await;
            self.calls().is_empty()
        })
        .await;
    }

    /// What was called on the engine since this was asked last, but for what the bot does by itself all the time.
    fn calls(&self) -> Vec<String> {
        let own = |line: &String| line.ends_with("/_ping") || line.contains("/events");
        self.proxy.asked().into_iter().filter(|line| !own(line)).collect()
    }

    fn number(&self) -> i64 {
        self.next.replace(self.next.get() + 1)
    }

    fn fault(&self, what: String) {
        let mut faults = self.faults.take();
        faults.push(what);
        self.faults.set(faults);
    }

    /// Where something is sent: an own chat for each that may be answered.
    fn place(&self, place: Place, trust: Trust, people: &People) -> (i64, i64) {
        let who = match (place, trust) {
            (Place::Private, Trust::Person | Trust::TooLate) => {
                let mut accounts = self.accounts.take();
                let next = accounts.entry(people.first).or_insert(0);
                *next += 1;
                let n = *next;
                self.accounts.set(accounts);
                people.first + n % ACCOUNTS
            }
            _ => people.first,
        };
        let chat = match place {
            Place::Private => who,
            Place::Group if trust == Trust::Nobody => GROUP,
            Place::Group => group(1 + self.number() % (GROUPS - 1)),
            Place::OtherPrivate => 90_000_000 + self.number(),
            Place::OtherGroup => OTHER_GROUP,
            Place::Channel => CHANNEL,
        };
        (who, chat)
    }

    /// A command of some people in some way.
    fn line<'a>(&self, sender: &'a Sender, people: &'a People, line: &'a Line) -> Cell<'a> {
        let (who, chat) = self.place(sender.place, sender.trust, people);
        let is_allowed = match sender.trust {
            Trust::Nobody => false,
            Trust::TooLate => !line.changes && people.may(line.about, line.needs),
            Trust::Person => people.may(line.about, line.needs),
        };
        let is_anothers = sender.name.starts_with(OTHER_BOT);
        let text = if is_anothers { line.text.replacen(' ', "@other_bot ", 1) } else { line.text.to_owned() };
        let text = if is_anothers && !text.contains('@') { format!("{text}@other_bot") } else { text };
        let (what, group) = (text.clone(), chat == GROUP);
        let send = move |stage: &Stage| {
            let incoming = stage.world.api.incoming(who, chat, &text);
            // In a group only replies to the bot get past its privacy mode whatever they say.
            let incoming = if group { incoming.reply_to(stage.anchor) } else { incoming };
            (sender.how)(incoming, who).send();
        };
        Cell { way: sender.name.to_owned(), people, what, who, chat, is_allowed, then: Some(line.then), send: Box::new(send) }
    }

    /// A press by some people in some way.
    fn press<'a>(&self, press: &'a Press, people: &'a People, letter: char) -> Cell<'a> {
        let (who, chat) = self.place(press.place, press.trust, people);
        let (about, needs, then) = of_button(letter);
        let name = if "cxaf".contains(letter) { "0123456789abcdef" } else { "shop" };
        let data = format!("{letter}:{name}");
        let is_allowed = press.trust == Trust::Person && people.may(about, needs);
        let (what, message) = (format!("button {data}"), if chat == GROUP { self.anchor } else { 1 });
        let send = move |stage: &Stage| {
            stage.world.api.press_with(who, chat, message, &data, |p| (press.how)(p, who));
        };
        Cell { way: format!("press, {}", press.name), people, what, who, chat, is_allowed, then, send: Box::new(send) }
    }

    /// Sends them all, and waits until the bot rests, or until anything is called where nothing may be: what was called, and what was
    /// answered in each chat.
    async fn send(&self, cells: &[&Cell<'_>], may_call: bool) -> (Vec<String>, BTreeMap<i64, Vec<Message>>) {
        self.calls();
        for (n, cell) in cells.iter().enumerate() {
            (cell.send)(self);
            if n % 300 == 299 {
                self.world.api.wait_acknowledged(PATIENCE).await.unwrap();
            }
        }
        let (mut calls, mut rest) = (Vec::new(), std::pin::pin!(self.world.idle()));
        while may_call || calls.is_empty() {
            let is_over = tokio::time::timeout(Duration::from_millis(100), &mut rest).await.is_ok();
            calls.extend(self.calls());
            if is_over {
                break;
            }
        }
        let chats: BTreeSet<i64> = cells.iter().map(|cell| cell.chat).collect();
        let answers = chats.into_iter().map(|chat| (chat, self.world.api.take_unread(chat))).collect();
        (calls, answers)
    }

    fn count(&self, cells: usize) {
        self.cells.set(self.cells.get() + cells);
    }

    /// None of these may come to anything: no call, and no answer but a refusal. Who is to blame is found with a bot that nobody spoke to.
    async fn refuses(&self, cells: Vec<Cell<'_>>) {
        self.count(cells.len());
        let is_refusal = |text: &str| {
            ["That takes the role", "not on my list", "not on the list", "too old", "Your id"].iter().any(|refusal| text.contains(refusal))
        };
        let is_wrong = |calls: &[String], answers: &BTreeMap<i64, Vec<Message>>| {
            !calls.is_empty() || answers.values().flatten().any(|message| !is_refusal(&message.text))
        };
        let texts = |answers: BTreeMap<i64, Vec<Message>>| answers.into_values().flatten().map(|message| message.text).collect::<Vec<_>>();
        let (calls, answers) = self.send(&cells.iter().collect::<Vec<_>>(), false).await;
        if !is_wrong(&calls, &answers) {
            return;
        }
        let fresh = Self::start().await;
        for cell in &cells {
            let (calls, answers) = fresh.send(&[cell], false).await;
            if is_wrong(&calls, &answers) {
                panic!("{cell} may do nothing, and came to something.\n  called: {calls:#?}\n  answered: {:#?}", texts(answers));
            }
        }
        panic!("{} of one kind, each alone right, together called {calls:#?} and were answered {:#?}", cells[0].way, texts(answers));
    }

    /// All of these are allowed: they are answered, and a plan that waits is cancelled. Nothing is changed, and nothing of the other
    /// project is named.
    async fn allows(&self, cells: Vec<Cell<'_>>, not_named: Option<&[String]>) {
        self.count(cells.len());
        let (calls, answers) = self.send(&cells.iter().collect::<Vec<_>>(), true).await;
        let changes: Vec<&String> = calls.iter().filter(|c| !c.starts_with("GET ") && !c.starts_with("HEAD ")).collect();
        if !changes.is_empty() {
            self.fault(format!("Before any yes this was called: {changes:?}"));
        }
        for others in not_named.into_iter().flatten() {
            let named: Vec<&String> = calls.iter().filter(|call| call.contains(others.as_str())).collect();
            if !named.is_empty() {
                self.fault(format!("What was asked of one project named {others} of the other: {named:?}"));
            }
        }
        let mut plans = Vec::new();
        for cell in &cells {
            let Some(then) = cell.then else { continue };
            let said: Vec<&str> = answers[&cell.chat].iter().map(|m| m.text.as_str()).collect();
            let answer = answers[&cell.chat].iter().find(|m| match then {
                Then::Plan => m.buttons.first().is_some_and(|row| row.len() == 2) && m.text.contains("within 10 min"),
                Then::Says(what) => m.text.contains(what) || m.document.is_some(),
            });
            if answer.is_none() || said.iter().any(|text| text.contains("That takes the role")) {
                self.fault(format!("{cell} is allowed, and should come to {then:?}, but was answered {said:?}"));
            }
            if let (Then::Plan, Some(plan), true) = (then, answer, cell.chat > 0) {
                self.world.api.say(cell.who, cell.chat, "no");
                plans.push((cell, plan.id));
            }
        }
        self.world.idle().await;
        for (cell, plan) in plans {
            let cancelled = self.world.api.message(cell.chat, plan).is_some_and(|m| m.text.contains("Cancelled by"));
            if !cancelled {
                let said: Vec<String> = self.world.texts(cell.chat);
                self.fault(format!("{cell}: no does not cancel the plan: {said:?}"));
            }
        }
    }
}

impl std::fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}] {} by {} ({} in {})", self.way, self.what, self.people.name, self.who, self.chat)
    }
}

fn group(n: i64) -> i64 {
    -200_000 - n
}

fn word(role: Role) -> Option<&'static str> {
    match role {
        Role::Nothing => None,
        Role::Viewer => Some("viewer"),
        Role::Operator => Some("operator"),
        Role::Admin => Some("admin"),
    }
}

/// All accounts of these people with a role.
fn named(people: &People, role: &'static str) -> Vec<(String, &'static str)> {
    (0..ACCOUNTS + 2).map(|n| ((people.first + n).to_string(), role)).collect()
}

/// What names a project on the engine: its containers' ids, and its name in Compose.
fn marks(fixture: &Fixture) -> Vec<String> {
    let (id, _) = fixture.container("web");
    vec![id, fixture.name.clone()]
}

#[test]
fn matrix_has_every_command_and_button() {
    for (name, arguments) in commands() {
        let own = |line: &&Line| line.text.split(' ').next() == Some(&format!("/{name}"));
        let lines: Vec<&str> = LINES.iter().filter(own).map(|line| line.text).collect();
        assert!(!lines.is_empty(), "the matrix has no /{name}: add a line for it");
        let words =
            arguments.split(|c: char| !c.is_ascii_alphabetic()).filter(|w| w.len() > 2 && w.chars().all(|c| c.is_ascii_lowercase()));
        for word in words.filter(|word| !PLACEHOLDERS.contains(word)) {
            assert!(lines.iter().any(|line| line.contains(word)), "the matrix has no /{name} with {word}: add a line for it");
        }
    }
    let known = BUTTONS.iter().filter(|(letter, _)| of_button(*letter).1 > Role::Nothing).count();
    assert_eq!(known, BUTTONS.len());
    assert!(senders().len() >= 16 && presses().len() >= 8);
}

/// Whether a cell that must come to nothing is tried: in the short form, of most ways, those of the admin, and of everybody else by turns.
fn is_tried(stage: &Stage, way: &str, people: usize, turn: usize) -> bool {
    stage.all || ["private", "allowed group"].contains(&way) || people == 0 || people == 1 + turn % (PEOPLE.len() - 1)
}

/// Whether a line is sent by these people where they may: what reads, and few of those that make a plan.
fn is_sampled(sender: &Sender, people: &People, line: &Line) -> bool {
    let is_variant = ["graceful", "rolling", "dependency"].iter().any(|strategy| line.text.ends_with(strategy));
    let is_first = ["/docker_restart shop", "/docker_deploy shop with=web force", "/docker_restart edge"].contains(&line.text);
    match (line.then, sender.name) {
        (Then::Plan, "private") => !is_variant && (people.name == "admin" || is_first),
        (Then::Plan, _) => line.text == "/docker_restart shop",
        (Then::Says(_), "private") => true,
        (Then::Says(_), _) => !line.changes && !line.text.contains("follow") && !line.text.ends_with(" show"),
    }
}

/// Plans of one person wait in a group and in private: no other person, way or chat confirms them; their own yes does.
async fn confirmations(stage: &Stage, senders: &[Sender], presses: &[Press], edge: &[String]) {
    let (asker, lowered) = (PEOPLE[0].first + ACCOUNTS, PEOPLE[0].first + ACCOUNTS + 1);
    let api = stage.world.api.clone();
    let mut plans = BTreeMap::new();
    for (who, chat) in [(asker, GROUP), (asker, asker), (lowered, lowered)] {
        api.say(who, chat, "/docker_restart shop/web");
        plans.insert(chat, stage.world.next_in(chat).await);
    }
    // A message of the bot in another listed group, to reply to.
    api.say(asker, group(0), "/whoami");
    let elsewhere = loop {
        let message = stage.world.next_in(group(0)).await;
        if message.text.contains("Your id") {
            break message.id;
        }
    };
    stage.world.idle().await;
    stage.calls();
    let nonce =
        |chat: i64, letter: char| format!("{letter}:{}", plans[&chat].buttons[0][0].data.as_ref().unwrap().split_once(':').unwrap().1);
    let mut tried = 0;
    let mut quiet = async |what: String| {
        tried += 1;
        stage.world.idle().await;
        let calls = stage.calls();
        let waiting = [GROUP, asker].iter().all(|chat| api.message(*chat, plans[chat].id).is_some_and(|m| !m.buttons.is_empty()));
        if !calls.is_empty() || !waiting {
            stage.fault(format!("{what} came to something: called {calls:?}; both plans wait on: {waiting}"));
        }
    };
    for sender in senders.iter().filter(|s| s.trust != Trust::Person && !s.name.contains("another bot")) {
        let chat = match sender.place {
            Place::Private => asker,
            Place::Group => GROUP,
            Place::OtherPrivate => 91_000_000,
            Place::OtherGroup => OTHER_GROUP,
            Place::Channel => CHANNEL,
        };
        let yes = api.incoming(asker, chat, "yes");
        let yes = plans.get(&chat).map_or(yes.clone(), |plan| yes.reply_to(plan.id));
        (sender.how)(yes, asker).send();
        quiet(format!("The asker's yes, {}", sender.name)).await;
    }
    for press in presses.iter().filter(|press| press.trust == Trust::Nobody) {
        let chat = match press.place {
            Place::Private => asker,
            Place::Group => GROUP,
            Place::OtherPrivate => 91_000_000,
            Place::OtherGroup => OTHER_GROUP,
            Place::Channel => CHANNEL,
        };
        for of in [GROUP, asker] {
            api.press_with(asker, chat, plans[&of].id, &nonce(of, 'c'), |p| (press.how)(p, asker));
        }
        quiet(format!("The asker's press, {}", press.name)).await;
    }
    for (chat, of) in [(group(0), GROUP), (group(0), asker), (GROUP, asker), (asker, GROUP)] {
        api.press_data(asker, chat, plans[&of].id, &nonce(of, 'c'));
        quiet(format!("The asker's press in chat {chat} of the plan in {of}")).await;
    }
    api.incoming(asker, group(0), "yes").reply_to(elsewhere).send();
    quiet("The asker's yes in another group".to_owned()).await;
    for people in &PEOPLE {
        // Another admin, too.
        for letter in ['c', 'x', 'a'] {
            api.press_data(people.first, GROUP, plans[&GROUP].id, &nonce(GROUP, letter));
            api.press_data(people.first, people.first, plans[&GROUP].id, &nonce(GROUP, letter));
        }
        let word = if people.name == "operator" { "no" } else { "yes" };
        api.incoming(people.first, GROUP, word).reply_to(plans[&GROUP].id).send();
    }
    // Together: refusals in one group are sent slowly.
    quiet("An answer to somebody else's plan by one of them all".to_owned()).await;

    // Whoever was an admin when the plan was made, and is no more.
    let mut config: Value = serde_json::from_str(&stage.world.projects_json()).unwrap();
    config["access"]["users"][lowered.to_string()] = json!("viewer");
    stage.world.configure(&config.to_string());
    let withdrawn = |m: &Message| m.buttons.is_empty();
    api.wait_until(lowered, plans[&lowered].id, PATIENCE, withdrawn).await.unwrap();
    stage.rest().await;
    for data in [nonce(lowered, 'c'), "r:shop".to_owned(), "d:shop".to_owned(), "t:shop".to_owned()] {
        api.press_data(lowered, lowered, plans[&lowered].id, &data);
        quiet(format!("An old button after the role was lowered, {data}")).await;
    }
    for word in ["yes", "/docker_restart shop/web"] {
        api.say(lowered, lowered, word);
        quiet(format!("{word} after the role was lowered")).await;
    }
    stage.count(tried);

    // And what is meant works, so that all this says something.
    api.say(asker, asker, "no");
    stage.world.idle().await;
    api.take_unread(GROUP);
    stage.calls();
    api.incoming(asker, GROUP, "yes").reply_to(plans[&GROUP].id).send();
    let outcome = stage.world.outcome(GROUP).await.text;
    let calls = stage.calls();
    assert!(outcome.starts_with('✅') && calls.iter().any(|call| call.starts_with("POST ")), "{outcome}: {calls:?}");
    // A start has the bot look again at what runs, everywhere.
    let named: Vec<&String> =
        calls.iter().filter(|call| !call.starts_with("GET ")).filter(|call| edge.iter().any(|mark| call.contains(mark.as_str()))).collect();
    assert!(named.is_empty(), "a restart of shop called {named:?} of edge");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_past_their_role() {
    let began = Instant::now();
    let stage = Stage::start().await;
    let (senders, presses) = (senders(), presses());
    let at = |stage: &Stage, what: &str| eprintln!("{:>5.1} s, {} cells: {what}", began.elapsed().as_secs_f32(), stage.cells.get());
    at(&stage, "ready");
    let (shop, edge) = (marks(&stage.world.fixtures[0]), marks(&stage.world.fixtures[1]));
    stage.calls();

    for (s, sender) in senders.iter().enumerate() {
        let mut cells = Vec::new();
        for (p, people) in PEOPLE.iter().enumerate() {
            let tried = LINES.iter().enumerate().filter(|(l, _)| is_tried(&stage, sender.name, p, s + l));
            cells.extend(tried.map(|(_, line)| stage.line(sender, people, line)).filter(|cell| !cell.is_allowed));
        }
        stage.refuses(cells).await;
    }
    at(&stage, "commands that may not");
    for (s, press) in presses.iter().enumerate() {
        let mut cells = Vec::new();
        for (p, people) in PEOPLE.iter().enumerate() {
            let tried = BUTTONS.iter().enumerate().filter(|(b, _)| is_tried(&stage, press.name, p, s + b));
            cells.extend(tried.map(|(_, (letter, _))| stage.press(press, people, *letter)).filter(|cell| !cell.is_allowed));
        }
        stage.refuses(cells).await;
    }
    at(&stage, "presses that may not");

    for (about, not_named) in [(About::Shop, Some(&edge[..])), (About::Edge, Some(&shop[..])), (About::All, None), (About::Sender, None)] {
        let mut cells = Vec::new();
        for people in &PEOPLE {
            for sender in senders.iter().filter(|sender| sender.trust != Trust::Nobody) {
                let lines = LINES.iter().filter(|line| line.about == about && is_sampled(sender, people, line));
                cells.extend(lines.map(|line| stage.line(sender, people, line)).filter(|cell| cell.is_allowed));
            }
            for press in presses.iter().filter(|press| press.trust == Trust::Person && about == About::Shop) {
                let is_sampled = |letter: char| letter == 'r' || people.name == "admin" || !matches!(of_button(letter).2, Some(Then::Plan));
                let letters = BUTTONS.iter().map(|(letter, _)| *letter).filter(|letter| is_sampled(*letter));
                cells.extend(letters.map(|letter| stage.press(press, people, letter)).filter(|cell| cell.is_allowed));
            }
        }
        stage.allows(cells, not_named).await;
        at(&stage, &format!("what may, about {about:?}"));
    }

    confirmations(&stage, &senders, &presses, &edge).await;
    at(&stage, "confirmations");

    let faults = stage.faults.take();
    assert!(faults.is_empty(), "{} of {} cells are wrong:\n{}", faults.len(), stage.cells.get(), faults.join("\n"));
    assert_eq!(stage.world.api.violations(), Vec::<String>::new());
    at(&stage, "done");
}
