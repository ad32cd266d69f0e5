//! The connections to an engine's socket, kept for the next question: bollard's own client makes a new one for each, which is
//! as much work as the question.

use std::time::Duration;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, BollardRequest};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyperlocal::UnixConnector;

/// How many connections are kept that nobody uses, and for how long.
const IDLE_MAX: usize = 10;
const IDLE: Duration = Duration::from_secs(30);

/// The most of an answer that a connection holds at a time; it keeps the room for that.
const BUFFER: usize = 32 * 1024;

/// No engine at all: whatever is asked is answered with that.
pub(super) fn nowhere(limit: Duration) -> Result<bollard::Docker, Error> {
    let nobody = |_: BollardRequest| async { Err(Error::from(std::io::Error::other("dockmaster is to work without one"))) };
    bollard::Docker::connect_with_custom_transport(nobody, Some("unix://nowhere".to_owned()), limit.as_secs(), API_DEFAULT_VERSION)
}

/// The engine behind a socket, which need not be there yet.
pub(super) fn at_socket(path: &str, limit: Duration) -> Result<bollard::Docker, Error> {
    let builder = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_MAX)
        .http1_max_buf_size(BUFFER)
        .clone();
    let client = builder.build(UnixConnector);
    // One that the engine has closed meanwhile is noticed before anything is sent, and the question goes over another.
    let transport = move |request: BollardRequest| {
        let asked = client.request(request);
        async move { asked.await.map_err(Error::from) }
    };
    // As a host an address can hold no path: it is written in hexadecimal.
    let host: String = path.bytes().map(|byte| format!("{byte:02x}")).collect();
    bollard::Docker::connect_with_custom_transport(transport, Some(format!("unix://{host}")), limit.as_secs(), API_DEFAULT_VERSION)
}
