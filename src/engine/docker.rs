//! The engine's API: what it is asked and told to do. How its answers are read is in `ask`, `fields` and `inspect`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters as query;
use futures_util::{Stream, StreamExt, TryStreamExt};
use serde_json::Value;
use tokio::sync::{broadcast, watch};

use super::ask::{Question, message, part};
use super::events::{Change, Events, Told};
use super::fields::Fields;
use super::find::Listed;
use super::glance::Glances;
use super::host::HostError;
use super::inspect;
pub use super::loglines::RawLine;
use super::loglines::{self, Assembler};
use super::looks::{Look, Seen};
use super::own::Mount;
use super::passing::{UNSTUCK, is_stuck, may_pass};
use super::shared::Shared;
use super::transport::Connection;
use super::volumes::Volume;
use super::wanted::{self, Wanted};
use crate::domain::container::Container;
use crate::domain::failure::Failure;
use crate::domain::text::capital;
use crate::domain::untrusted::UntrustedText;

/// Where the engine is unless told otherwise.
pub const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";
/// The address that says that there is none.
pub const ABSENT: &str = "none";
/// How long the engine may take to answer a question.
const READ_LIMIT: Duration = Duration::from_secs(15);
/// How much longer than a container's own time to stop the engine may take to stop it.
const STOP_GRACE: Duration = Duration::from_secs(20);
/// The longest that a container made with a time of its own may take to stop.
pub(super) const STOP_MAX: Duration = Duration::from_secs(600);
/// What may happen to a container that changes what is seen of it. What health checks do all the time is none of it.
const TELLING: [&str; 13] =
    ["create", "start", "restart", "stop", "kill", "die", "oom", "pause", "unpause", "rename", "update", "destroy", "health_status"];
/// How long the engine may take to make a container: it copies what the image has into new volumes.
const CREATE_LIMIT: Duration = Duration::from_secs(5 * 60);
/// How long it may take to count what a container has written to its own layer: it reads all of that.
const LAYER_LIMIT: Duration = Duration::from_secs(300);

/// What the engine said no to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// It does not answer.
    #[error("the Docker engine does not answer: {0}")]
    Away(UntrustedText),
    /// There is no such container or image.
    #[error("it is not there: {0}")]
    Gone(UntrustedText),
    /// It refused, in its own words.
    #[error("the Docker engine refused: {0}")]
    Refused(UntrustedText),
    /// It cannot read a log any further, in its own words.
    #[error("the Docker engine cannot read the log: {0}")]
    Damaged(UntrustedText),
    /// It answered, and its answer cannot be read: what was asked, and what is wrong.
    #[error("the Docker engine's answer cannot be read: {0}")]
    Unreadable(UntrustedText),
    /// It is of a version that cannot be worked with, and why.
    #[error("the Docker engine is too old: {0}")]
    TooOld(String),
    /// What was asked for can mean several things.
    #[error("{0}")]
    Unclear(String),
    /// It is a process of the host, of which that is said.
    #[error(transparent)]
    Process(#[from] HostError),
}

impl EngineError {
    /// Whether the same may well succeed in a moment.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Away(_) => true,
            Self::Gone(_) | Self::Unreadable(_) | Self::TooOld(_) | Self::Unclear(_) | Self::Damaged(_) => false,
            Self::Process(error) => matches!(error, HostError::Busy(_) | HostError::Silent(_)),
            Self::Refused(why) => may_pass(why.raw()),
        }
    }

    /// In the engine's own words, or of the way to it.
    pub fn why(&self) -> String {
        match self {
            Self::Away(why) | Self::Gone(why) | Self::Refused(why) | Self::Damaged(why) | Self::Unreadable(why) => why.to_string(),
            Self::TooOld(why) | Self::Unclear(why) => why.clone(),
            Self::Process(error) => error.to_string(),
        }
    }

    /// In words for a person; `what` says what failed.
    pub fn failure(self, what: impl Into<String>) -> Failure {
        match self {
            Self::Away(why) => Failure::new(
                what,
                format!("The Docker engine does not answer: {why}."),
                "See whether it runs (systemctl status docker) and whether dockmaster may use its socket, then ask again.",
            ),
            Self::Gone(why) => Failure::new(what, format!("It is not there any more: {why}."), "Look at /docker_status and ask again."),
            Self::Refused(why) if is_stuck(why.raw()) => Failure::new(what, format!("The Docker engine refused: {why}."), UNSTUCK),
            Self::Refused(why) => Failure::new(what, format!("The Docker engine refused: {why}."), "Mend the cause and ask again."),
            Self::Damaged(why) => {
                Failure::new(what, format!("The Docker engine cannot read the log: {why}."), "Ask for fewer lines, or for newer ones.")
            }
            Self::Unreadable(why) => Failure::new(
                what,
                format!("The Docker engine answers, and its answer cannot be read: {why}."),
                "Ask again. If it stays so, report it with what `docker version` prints.",
            ),
            Self::TooOld(why) => {
                Failure::new(what, format!("The Docker engine is too old: {why}."), "Upgrade it to Docker 19.03 or later, then ask again.")
            }
            Self::Process(error) => error.failure(what),
            Self::Unclear(why) => Failure::new(what, format!("{}.", capital(&why)), "Say in projects.json which one is meant."),
        }
    }
}

impl EngineError {
    /// A refusal with this status and message.
    pub(super) fn refusal(status: u16, message: &str) -> Self {
        let said = UntrustedText::from(message.trim().trim_end_matches('.'));
        match status {
            404 => Self::Gone(said),
            _ if said.is_blank() => Self::Refused(format!("it gives no reason (status {status})").into()),
            _ => Self::Refused(said),
        }
    }

    /// What was asked was answered with something that cannot be read.
    pub(super) fn unreadable(asked: &str, why: impl std::fmt::Display) -> Self {
        Self::Unreadable(format!("{asked}: {why}").into())
    }

    /// It did not answer in time.
    pub(super) fn slow() -> Self {
        Self::Away("it took too long".into())
    }
}

impl From<Error> for EngineError {
    fn from(error: Error) -> Self {
        let trimmed = |message: String| UntrustedText::from(message.trim().trim_end_matches('.'));
        match error {
            Error::DockerResponseServerError { status_code, message } => Self::refusal(status_code, &message),
            Error::DockerStreamError { error: message } if message.trim().is_empty() => Self::Refused("it gives no reason".into()),
            Error::DockerStreamError { error: message } => Self::Refused(trimmed(message)),
            Error::RequestTimeoutError => Self::slow(),
            Error::HyperLegacyError { err } => from_connection(&err),
            Error::HyperResponseError { err } => from_connection(&err),
            Error::JsonDataError { .. } | Error::JsonSerdeError { .. } | Error::StrParseError { .. } => {
                Self::Unreadable(trimmed(error.to_string()))
            }
            Error::IOError { err } => own(&err).unwrap_or_else(|| Self::Away(trimmed(err.to_string()))),
            other => Self::Away(trimmed(other.to_string())),
        }
    }
}

/// An error of ours that came by way of the library.
fn own(error: &io::Error) -> Option<EngineError> {
    error.get_ref()?.downcast_ref::<EngineError>().cloned()
}

/// Why a connection brought no answer: nothing came, or what came is no HTTP.
fn from_connection(error: &(dyn std::error::Error + 'static)) -> EngineError {
    let causes = std::iter::successors(Some(error), |cause| cause.source());
    let is_no_http = |cause: &(dyn std::error::Error + 'static)| cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse);
    let why = innermost(error).into();
    if causes.into_iter().any(is_no_http) { EngineError::Unreadable(why) } else { EngineError::Away(why) }
}

/// The words of the innermost cause: the outer ones say "client error" and no more.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// A handle on the engine. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Docker {
    /// For what is done.
    pub(super) api: bollard::Docker,
    /// For what is asked.
    pub(super) connection: Connection,
    absent: bool,
    /// Whoever looks at the same project at the same time.
    pub(super) looks: Arc<Shared<Look, Seen>>,
    /// What was seen a moment ago.
    pub(super) glances: Arc<Glances>,
    pub(super) events: Events,
}

impl Docker {
    /// The engine at `host` (`unix://…`, `tcp://…`), or at the usual socket. Nothing is asked of it yet.
    ///
    /// # Errors
    /// The address cannot be used.
    pub fn at(host: Option<&str>) -> Result<Self, EngineError> {
        let host = host.unwrap_or(DEFAULT_HOST);
        let connection = match host.strip_prefix("unix://") {
            Some(path) => Connection::at_socket(path),
            None if host == ABSENT => Connection::nowhere(),
            None => Connection::at_address(host),
        };
        let api = connection.api(READ_LIMIT)?;
        let (looks, glances, events) = (Arc::default(), Arc::default(), Events::default());
        Ok(Self { api, connection, absent: host == ABSENT, looks, glances, events })
    }

    /// Whether there is none to be, by the address.
    pub fn is_absent(&self) -> bool {
        self.absent
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<(), EngineError> {
        let greeted = tokio::time::timeout(READ_LIMIT, self.connection.greet()).await;
        Ok(greeted.map_err(|_| EngineError::slow())??)
    }

    /// What the engine tells by itself.
    pub(super) fn events(&self) -> &Events {
        &self.events
    }

    /// Wakes whoever waits for a change: one was seen that the engine does not tell.
    pub fn wake(&self) {
        self.events.changed();
    }

    /// Whoever wants to be woken by what the engine tells.
    pub fn told(&self) -> watch::Receiver<Told> {
        self.events.subscribe()
    }

    /// What the engine tells from now on. Whoever is slow misses some of it, and is told so.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.events.changes()
    }

    /// The time of the engine's own clock, as it takes it in questions.
    pub(super) async fn clock(&self) -> Result<String, EngineError> {
        let now = self.time().await?;
        Ok(format!("{}.{:09}", now.as_second(), now.subsec_nanosecond()))
    }

    /// The time of the engine's own clock.
    pub(super) async fn time(&self) -> Result<jiff::Timestamp, EngineError> {
        let info = self.connection.object(Question::get("/info")).await?;
        inspect::clock(&info).ok_or_else(|| EngineError::unreadable("GET /info", "it does not tell its time"))
    }

    /// Each change of any container since a time of the engine's own clock. Ends with the connection.
    pub(super) fn told_since(&self, since: &str) -> impl Stream<Item = Result<Change, EngineError>> + use<> {
        let asked = Question::get("/events").with("since", since);
        let asked = asked.filtered(&[("type", &["container"][..]), ("event", &TELLING)]);
        self.connection.lines(asked).map_ok(|event| inspect::change(&event))
    }

    /// What the engine says of a container, as far as it is read; none where it is gone.
    pub(super) async fn inspect(&self, id: &str) -> Result<Option<Value>, EngineError> {
        self.inspect_for(id, wanted::CONTAINER).await
    }

    async fn inspect_for(&self, id: &str, wanted: Wanted) -> Result<Option<Value>, EngineError> {
        match self.connection.object(Question::get(format!("/containers/{}/json", part(id))).wanting(wanted)).await {
            Ok(seen) => Ok(Some(seen)),
            Err(EngineError::Gone(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// A container that was listed, as it is now; none where it is gone, or is not one of the kind that is looked for. Where the engine
    /// answers nothing that can be read of it, it is what the list said, in a state that is unknown.
    pub(super) async fn inspected(&self, listed: &Listed, read: inspect::Reader) -> Result<Option<Container>, EngineError> {
        match self.inspect(&listed.id).await {
            Ok(seen) => Ok(seen.and_then(|seen| read(&seen, listed))),
            Err(error @ (EngineError::Refused(_) | EngineError::Unreadable(_))) => {
                tracing::warn!(container = listed.name, %error, "a container cannot be read");
                Ok(read(&Value::Null, listed).map(|unknown| Container { error: error.to_string(), ..unknown }))
            }
            Err(other) => Err(other),
        }
    }

    /// A container as it is now; none where it is gone.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn container(&self, id: &str) -> Result<Option<Container>, EngineError> {
        Ok(self.inspect(id).await?.and_then(|seen| inspect::of_any(&seen, &Listed::known_by(id))))
    }

    /// What of the host, and which volumes, a container has mounted; none where this engine has no such container.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn mounts(&self, id: &str) -> Result<Option<Vec<Mount>>, EngineError> {
        Ok(self.inspect(id).await?.map(|seen| inspect::mounts(&seen)))
    }

    /// How many bytes a container has written to its own layer; none where it is gone, or where the engine does not say.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn layer_size(&self, id: &str) -> Result<Option<u64>, EngineError> {
        let asked = Question::get(format!("/containers/{}/json", part(id))).with("size", "true").within(LAYER_LIMIT);
        match self.connection.object(asked).await {
            Ok(seen) => Ok(seen.size("SizeRw")),
            Err(EngineError::Gone(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Every volume of the engine's.
    ///
    /// # Errors
    /// The engine does not answer or refuses.
    pub async fn volumes(&self) -> Result<Vec<Volume>, EngineError> {
        let listed = self.connection.object(Question::get("/volumes")).await?;
        Ok(listed.items("Volumes").iter().filter_map(inspect::volume).collect())
    }

    /// Makes a container that has all that another one has (image, mounts, rights, network, environment) but its name, its
    /// labels and its published ports, and starts it with another command. Returns its id.
    ///
    /// # Errors
    /// The other one is gone, or the engine refuses.
    pub async fn stand_in(&self, of: &str, name: &str, label: (String, String), command: Vec<String>) -> Result<String, EngineError> {
        let seen = self.inspect_for(of, &[]).await?.ok_or_else(|| EngineError::Gone(of.into()))?;
        let made = self.created(name, &inspect::stand_in(&seen, of, label, command)).await?;
        match self.start(&made).await {
            Ok(()) => Ok(made),
            Err(error) => {
                self.remove(&made).await?;
                Err(error)
            }
        }
    }

    /// Makes a container, and says by what it is known: its id, or its name where the engine does not tell that.
    pub(super) async fn created(&self, name: &str, body: &impl serde::Serialize) -> Result<String, EngineError> {
        let asked = Question::post("/containers/create").with("name", name).sending(body).within(CREATE_LIMIT);
        match self.connection.json(asked).await {
            Ok(made) => Ok(made.text("Id").unwrap_or(name).to_owned()),
            Err(EngineError::Unreadable(_)) => Ok(name.to_owned()),
            Err(other) => Err(other),
        }
    }

    /// Starts a container.
    ///
    /// # Errors
    /// It is gone, or it cannot be started.
    pub async fn start(&self, id: &str) -> Result<(), EngineError> {
        let api = self.api.clone().with_timeout(READ_LIMIT + STOP_GRACE);
        self.acted(api.start_container(id, None::<query::StartContainerOptions>).await)
    }

    /// Thaws a container that is frozen.
    ///
    /// # Errors
    /// It is gone, or it is not frozen.
    pub async fn unpause(&self, id: &str) -> Result<(), EngineError> {
        self.acted(self.api.unpause_container(id).await)
    }

    /// Stops a container, which has `within` to end by itself; none means what it was made with.
    ///
    /// # Errors
    /// It is gone, or it cannot be stopped.
    pub async fn stop(&self, id: &str, within: Option<Duration>) -> Result<(), EngineError> {
        let options = within.map(|within| query::StopContainerOptionsBuilder::default().t(seconds(within)).build());
        self.acted(self.patient(within).stop_container(id, options).await)
    }

    /// Restarts a container, which has `within` to end by itself; none means what it was made with.
    ///
    /// # Errors
    /// It is gone, or it cannot be restarted.
    pub async fn restart(&self, id: &str, within: Option<Duration>) -> Result<(), EngineError> {
        let options = within.map(|within| query::RestartContainerOptionsBuilder::default().t(seconds(within)).build());
        self.acted(self.patient(within).restart_container(id, options).await)
    }

    /// Whatever came of it, what was seen before counts no more: nobody has to wait until the engine tells.
    pub(super) fn acted<T, E: Into<EngineError>>(&self, done: Result<T, E>) -> Result<T, EngineError> {
        self.events.changed();
        done.map_err(Into::into)
    }

    fn patient(&self, within: Option<Duration>) -> bollard::Docker {
        self.api.clone().with_timeout(within.unwrap_or(STOP_MAX) + STOP_GRACE)
    }

    /// The id of the image that a name or id means here; none where the engine has none.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn image_id(&self, name: &str) -> Result<Option<String>, EngineError> {
        let Some(image) = self.image(name).await? else { return Ok(None) };
        let id = image.text("Id").ok_or_else(|| EngineError::unreadable("an image", "it does not tell its id"))?;
        Ok(Some(id.to_owned()))
    }

    /// What the engine says of the image that a name or id means here; none where it has none.
    pub(super) async fn image(&self, name: &str) -> Result<Option<Value>, EngineError> {
        let asked = format!("/images/{}/json", part(name));
        let (status, said) = self.connection.answer(Question::get(&*asked)).await?;
        let why = message(&said);
        match status {
            200..=299 => serde_json::from_slice(&said).map(Some).map_err(|error| EngineError::unreadable(&format!("GET {asked}"), error)),
            // It answers with a redirect, or with nothing, where a name makes no path.
            300..=399 => Err(EngineError::Refused(format!("“{name}” is not the name of an image").into())),
            400..=499 if why.trim().is_empty() => Err(EngineError::Refused(format!("“{name}” is not the name of an image").into())),
            404 => Ok(None),
            _ => Err(EngineError::refusal(status, &why)),
        }
    }

    /// A file in a container, which need not run; none where there is none. Its content only where it has `length` bytes.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn file_of(&self, id: &str, path: &str, length: usize) -> Result<Option<ContainerFile>, EngineError> {
        let address = format!("/containers/{}/archive", part(id));
        let headers = match self.connection.headers(Question::head(&*address).with("path", path)).await {
            Ok(headers) => headers,
            Err(EngineError::Gone(_)) => return Ok(None),
            Err(other) => return Err(other),
        };
        let said = headers.get("X-Docker-Container-Path-Stat").and_then(|said| BASE64_STANDARD.decode(said).ok());
        let seen: Value = said.and_then(|said| serde_json::from_slice(&said).ok()).unwrap_or_default();
        let time = seen.text("mtime").and_then(|time| time.parse::<jiff::Timestamp>().ok());
        let is_copied = time.is_some_and(|time| time.subsec_nanosecond() == 0);
        if seen.size("size").and_then(|size| usize::try_from(size).ok()) != Some(length) {
            return Ok(Some(ContainerFile { content: None, is_copied }));
        }
        // Headers, and what an extended one holds.
        let asked = Question::get(address).with("path", path).at_most(length + ARCHIVE_MORE);
        let content = match self.connection.bytes(asked).await {
            Ok(archive) => archived(&archive),
            Err(EngineError::Unreadable(_)) => None,
            Err(other) => return Err(other),
        };
        Ok(Some(ContainerFile { content, is_copied }))
    }

    /// Gives an image another name (`repository:tag`; `latest` where there is no tag).
    ///
    /// # Errors
    /// The image is gone, or the name cannot be used.
    pub async fn tag(&self, image: &str, name: &str) -> Result<(), EngineError> {
        let slash = name.rfind('/').map_or(0, |at| at + 1);
        let (repository, tag) = match name[slash..].rfind(':') {
            Some(colon) => (&name[..slash + colon], &name[slash + colon + 1..]),
            None => (name, "latest"),
        };
        let options = query::TagImageOptionsBuilder::default().repo(repository).tag(tag).build();
        Ok(self.api.tag_image(image, Some(options)).await?)
    }

    /// The names that fit a pattern (`repository:tag`, `*` for any part), and the ids of their images.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn tags(&self, pattern: &str) -> Result<BTreeMap<String, String>, EngineError> {
        let asked = Question::get("/images/json").filtered(&[("reference", [pattern])]);
        let images = self.connection.list(asked).await?;
        Ok(images.iter().flat_map(inspect::tags).collect())
    }

    /// The ids of the images that containers were made from, whether they run or not.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn images_in_use(&self) -> Result<BTreeSet<String>, EngineError> {
        let listed = self.list_containers(&[]).await?;
        let unknown = || EngineError::unreadable("GET /containers/json", "it does not tell which images are in use");
        listed.into_iter().map(|container| container.image_id.ok_or_else(unknown)).collect()
    }

    /// Takes a name from an image, which goes with its last one. One that is not there is no error, nor is one whose last
    /// name this is while a container runs it.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn untag(&self, name: &str) -> Result<(), EngineError> {
        let asked = Question::delete(format!("/images/{}", part(name))).with("force", "false").with("noprune", "true");
        match self.connection.bytes(asked).await {
            Ok(_) | Err(EngineError::Gone(_)) => Ok(()),
            Err(EngineError::Refused(why)) if why.raw().contains("conflict") => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// Removes a container, ended or not; its volumes stay. One that is gone is no error.
    ///
    /// # Errors
    /// The engine does not answer or refuses.
    pub async fn remove(&self, id: &str) -> Result<(), EngineError> {
        let options = query::RemoveContainerOptionsBuilder::default().force(true).build();
        match self.acted(self.api.remove_container(id, Some(options)).await) {
            Ok(()) | Err(EngineError::Gone(_)) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// The log of a container, oldest line first: the last `lines`, only since `since` (seconds since the epoch) where
    /// that is given, and then as it is written where `follow` says so.
    pub fn logs(
        &self,
        container: &Container,
        lines: usize,
        since: Option<i64>,
        follow: bool,
    ) -> impl Stream<Item = Result<RawLine, EngineError>> + Send + 'static {
        let mut options =
            query::LogsOptionsBuilder::default().stdout(true).stderr(true).timestamps(true).follow(follow).tail(&lines.to_string());
        if let Some(since) = since {
            options = options.since(i32::try_from(since).unwrap_or(i32::MAX));
        }
        self.lines(container, options)
    }

    /// All that a container has printed since a second (since the epoch), oldest line first, and then as it is printed.
    pub fn output(&self, container: &Container, since: i64) -> impl Stream<Item = Result<RawLine, EngineError>> + Send + use<> {
        let options = query::LogsOptionsBuilder::default().stdout(true).stderr(true).timestamps(true).follow(true).tail("all");
        self.lines(container, options.since(i32::try_from(since).unwrap_or(i32::MAX)))
    }

    fn lines(
        &self,
        container: &Container,
        options: query::LogsOptionsBuilder,
    ) -> impl Stream<Item = Result<RawLine, EngineError>> + Send + use<> {
        let frames = self.api.logs(&container.id, Some(options.build())).map_err(EngineError::from);
        let tty = container.tty;
        let frames = frames.map(move |frame| match frame? {
            // What a program prints without a terminal is in frames of its own kind.
            LogOutput::Console { message } if !tty => Err(EngineError::Damaged(loglines::complaint(&message).into())),
            other => Ok(other.into_bytes()),
        });
        Assembler::new(tty).lines(frames)
    }
}

/// Whole seconds, rounded up, as the engine takes them.
fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis().div_ceil(1_000)).unwrap_or(i32::MAX)
}
/// What an archive of one file has besides its content, in bytes, at most.
const ARCHIVE_MORE: usize = 64 * 1024;

/// A file in a container. No `Debug`: it may be a secret.
pub struct ContainerFile {
    /// What is in it; none where it has another length than the one asked for.
    pub content: Option<Vec<u8>>,
    /// Whether it is as it was copied there from outside: archives tell times in whole seconds, and programs write in between.
    pub is_copied: bool,
}

/// The content of the first regular file of an archive (tar).
fn archived(bytes: &[u8]) -> Option<Vec<u8>> {
    const BLOCK: usize = 512;
    let mut rest = bytes;
    while rest.len() >= BLOCK {
        let (header, after) = rest.split_at(BLOCK);
        let digits = std::str::from_utf8(header.get(124..136)?).ok()?;
        let length = usize::from_str_radix(digits.trim_matches([' ', '\0']), 8).ok()?;
        // Others say more of the file that follows.
        if matches!(header.get(156)?, b'0' | 0) {
            return Some(after.get(..length)?.to_vec());
        }
        rest = after.get(length.div_ceil(BLOCK).checked_mul(BLOCK)?..)?;
    }
    None
}
