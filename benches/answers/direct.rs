//! The calls that a status is made of, made by a program that does nothing else: list a project's containers, inspect
//! each of them, several at a time.
//!
//! A thread of its own makes them, on a runtime of its own, so that its processor time is that of the calls alone.

use std::time::Instant;

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::support::engine;
use crate::usage::processor_of_this_thread;

/// How many containers are inspected at a time, as the bot does.
const AT_ONCE: usize = 16;

/// Whether connections to the engine are used again.
#[derive(Clone, Copy)]
pub(crate) enum Connections {
    Kept,
    /// One for each call.
    Anew,
}

/// What it came to.
#[derive(Clone, Copy)]
pub(crate) struct Took {
    /// From the first call to the last answer, in seconds.
    pub(crate) time: f64,
    /// The same in processor time of the one who calls.
    pub(crate) processor: f64,
}

struct Order {
    project: String,
    /// How often it is asked, one after another.
    times: usize,
    connections: Connections,
    reply: oneshot::Sender<Took>,
}

/// The thread, which ends with this.
pub(crate) struct Direct(mpsc::UnboundedSender<Order>);

impl Direct {
    pub(crate) fn start() -> Self {
        let host = engine::host().unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
        let socket = host.strip_prefix("unix://").expect("the engine is on a socket").to_owned();
        let (orders, received) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(work(&socket, received));
        });
        Self(orders)
    }

    /// Asks for the containers of a compose project so many times.
    pub(crate) async fn ask(&self, project: &str, times: usize, connections: Connections) -> Took {
        let (reply, took) = oneshot::channel();
        let sent = self.0.send(Order { project: project.to_owned(), times, connections, reply });
        assert!(sent.is_ok(), "the thread has ended");
        took.await.unwrap()
    }
}

async fn work(socket: &str, mut orders: mpsc::UnboundedReceiver<Order>) {
    let client = |idle| reqwest::Client::builder().unix_socket(socket).pool_max_idle_per_host(idle).build().unwrap();
    let (kept, anew) = (client(AT_ONCE), client(0));
    while let Some(order) = orders.recv().await {
        let client = match order.connections {
            Connections::Kept => &kept,
            Connections::Anew => &anew,
        };
        let (began, taken) = (Instant::now(), processor_of_this_thread());
        for _ in 0..order.times {
            let found = containers(client, &order.project).await;
            assert!(!found.is_empty(), "{} has no containers", order.project);
        }
        let took = Took { time: began.elapsed().as_secs_f64(), processor: processor_of_this_thread() - taken };
        let _ = order.reply.send(took);
    }
}

async fn containers(client: &reqwest::Client, project: &str) -> Vec<Value> {
    let label = format!("com.docker.compose.project={project}");
    let filters = json!({ "label": [label] }).to_string();
    let list = client.get("http://engine/containers/json").query(&[("all", "true"), ("filters", &filters)]);
    let listed = read(list).await;
    let ids = listed.as_array().unwrap().iter().map(|c| c["Id"].as_str().unwrap());
    let inspect = |id: &str| read(client.get(format!("http://engine/containers/{id}/json")));
    stream::iter(ids.map(inspect)).buffer_unordered(AT_ONCE).collect().await
}

async fn read(request: reqwest::RequestBuilder) -> Value {
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}
