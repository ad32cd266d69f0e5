//! Health checks from outside: a command, an address that must answer, a port that must be open. For whatever is started
//! without an engine that would look after its health.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::domain::redact;
use crate::process::{self, Invocation};

/// How much of what a look told is kept, in bytes.
pub const TOLD_MAX: usize = 4_096;

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// A program with its arguments, which must end with 0.
    Command(Vec<String>),
    /// An address that must answer with a status below 400.
    Http(String),
    /// A host and a port (`127.0.0.1:5432`) that must take a connection.
    Tcp(String),
}

/// With what the command of a check is run.
#[derive(Debug, Clone, Default)]
pub struct With {
    /// Where.
    pub directory: Option<PathBuf>,
    /// Variables on top of those that pass to every process.
    pub environment: Vec<(String, String)>,
}

/// Looks again and again: what it needs for that is kept between looks.
#[derive(Debug, Default)]
pub struct Looker {
    client: OnceCell<reqwest::Client>,
}

impl Looker {
    /// Takes one look, which may take so long. What it told, either way; at most [`TOLD_MAX`] bytes.
    ///
    /// # Errors
    /// What is looked at is not well.
    pub async fn look(&self, check: &Check, within: Duration, with: &With) -> Result<String, String> {
        let told = match check {
            Check::Command(command) => run(command, within, with).await,
            Check::Http(address) => self.get(address, within).await,
            Check::Tcp(address) => match timeout(within, TcpStream::connect(address)).await {
                Ok(Ok(_)) => Ok(format!("{address} takes connections")),
                Ok(Err(error)) => Err(format!("{address} cannot be reached: {error}")),
                Err(_) => Err(format!("{address} does not answer within {}", seconds(within))),
            },
        };
        told.map(bounded).map_err(bounded)
    }

    async fn get(&self, address: &str, within: Duration) -> Result<String, String> {
        let shown = redact::address(address);
        let build = async || reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build();
        let client =
            self.client.get_or_try_init(build).await.map_err(|error| format!("{shown} could not be asked: {}", error.without_url()))?;
        match client.get(address).timeout(within).send().await {
            Ok(answer) if answer.status().as_u16() < 400 => Ok(format!("{shown} answers with {}", answer.status().as_u16())),
            Ok(answer) => Err(format!("{shown} answers with {}", answer.status())),
            Err(error) if error.is_timeout() => Err(format!("{shown} does not answer within {}", seconds(within))),
            Err(error) => Err(format!("{shown} cannot be reached{}", if error.is_connect() { ": nothing listens there" } else { "" })),
        }
    }
}

/// Runs the command of a check. What it started is ended with it.
async fn run(command: &[String], within: Duration, with: &With) -> Result<String, String> {
    let Some((program, args)) = command.split_first() else { return Err("it has no command".to_owned()) };
    let mut invocation = Invocation::new(program).args(args).limit(within).stdout_lines();
    invocation.directory = with.directory.clone();
    let invocation = with.environment.iter().fold(invocation, |i, (name, value)| i.environment(name, value));
    match process::run(&invocation, &mut |_| {}, &CancellationToken::new()).await {
        Ok(done) if done.success() => Ok(done.tail.join("\n")),
        Ok(done) => {
            let ended = done.code.map_or_else(|| "ended by a signal".to_owned(), |code| format!("ended with code {code}"));
            Err(std::iter::once(ended).chain(done.tail).collect::<Vec<_>>().join("\n"))
        }
        Err(error) => Err(error.to_string()),
    }
}

fn seconds(limit: Duration) -> String {
    format!("{} s", limit.as_secs_f64())
}

/// The beginning of a text: what is wrong mostly stands there.
fn bounded(mut text: String) -> String {
    let end = (0..=TOLD_MAX.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const AMPLE: Duration = Duration::from_secs(30);

    async fn look(check: Check, within: Duration) -> Result<String, String> {
        Looker::default().look(&check, within, &With::default()).await
    }

    fn sh(script: &str) -> Check {
        Check::Command(["sh", "-c", script].map(str::to_owned).into())
    }

    #[tokio::test]
    async fn a_command_must_end_with_0() {
        assert_eq!(look(sh("echo fine; echo more >&2"), AMPLE).await.map(|told| told.lines().count()), Ok(2));
        assert_eq!(look(sh("echo ill; exit 3"), AMPLE).await, Err("ended with code 3\nill".to_owned()));
        assert_eq!(
            look(Check::Command(vec!["no-such-program".to_owned()]), AMPLE).await,
            Err("no-such-program is not installed".to_owned())
        );
        assert_eq!(look(Check::Command(Vec::new()), AMPLE).await, Err("it has no command".to_owned()));
        let slow = look(sh("sleep 300"), Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(slow, "sh was ended because it took longer than 1 s");
        let much = look(sh("line=$(printf 'ä%.0s' $(seq 200)); yes $line | head -n 3000"), AMPLE).await.unwrap();
        assert!(much.len() <= TOLD_MAX && much.len() > TOLD_MAX - 2, "{}", much.len());
        let with = With { directory: Some("/".into()), environment: vec![("WHO".to_owned(), "me".to_owned())] };
        assert_eq!(Looker::default().look(&sh("echo $WHO in $PWD"), AMPLE, &with).await, Ok("me in /".to_owned()));
    }

    /// Answers every request with this.
    async fn serve(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 1_024]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                if answer.is_empty() {
                    tokio::spawn(async move { stream.read_to_end(&mut Vec::new()).await });
                }
            }
        });
        address
    }

    #[tokio::test]
    async fn an_address_must_answer_and_a_port_must_be_open() {
        let (well, moved) =
            (serve("HTTP/1.1 204 No Content\r\n\r\n").await, serve("HTTP/1.1 302 Found\r\nLocation: http://[::1]:1/\r\n\r\n").await);
        let (ill, silent) = (serve("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await, serve("").await);
        let http = async |address: &str, within| look(Check::Http(format!("http://{address}/health")), within).await;
        assert_eq!(http(&well, AMPLE).await, Ok(format!("http://{well}/health answers with 204")));
        assert_eq!(http(&moved, AMPLE).await, Ok(format!("http://{moved}/health answers with 302")), "nobody is followed");
        assert_eq!(http(&ill, AMPLE).await, Err(format!("http://{ill}/health answers with 503 Service Unavailable")));
        let slow = http(&silent, Duration::from_millis(200)).await;
        assert_eq!(slow, Err(format!("http://{silent}/health does not answer within 0.2 s")));
        assert_eq!(look(Check::Tcp(silent.clone()), AMPLE).await, Ok(format!("{silent} takes connections")));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = listener.local_addr().unwrap().to_string();
        drop(listener);
        assert_eq!(http(&closed, AMPLE).await, Err(format!("http://{closed}/health cannot be reached: nothing listens there")));
        assert!(look(Check::Tcp(closed), AMPLE).await.unwrap_err().contains("refused"));
    }
}
