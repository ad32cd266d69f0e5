//! The engine's API. With `inspect`, the only importer of bollard: its optional fields become our types here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error;
use bollard::query_parameters as query;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};

use super::inspect;
use super::loglines::Assembler;
pub use super::loglines::RawLine;
use super::own::Mount;
use super::shared::Shared;
use super::transport;
use crate::domain::container::Container;
use crate::domain::failure::Failure;
use crate::domain::project::{ContainerSelector, Source};

/// Where the engine is unless told otherwise.
pub const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";
/// How long the engine may take to answer a question.
const READ_LIMIT: Duration = Duration::from_secs(15);
/// How much longer than a container's own time to stop the engine may take to stop it.
const STOP_GRACE: Duration = Duration::from_secs(20);
/// The longest that a container made with a time of its own may take to stop.
const STOP_MAX: Duration = Duration::from_secs(600);
/// How many containers are inspected at a time.
const INSPECTED_AT_ONCE: usize = 16;

/// What the engine said no to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// It does not answer.
    #[error("the Docker engine does not answer: {0}")]
    Away(String),
    /// There is no such container or image.
    #[error("it is not there: {0}")]
    Gone(String),
    /// It refused, in its own words.
    #[error("the Docker engine refused: {0}")]
    Refused(String),
}

impl EngineError {
    /// In words for a person; `what` says what failed.
    pub fn failure(self, what: impl Into<String>) -> Failure {
        match self {
            Self::Away(why) => Failure::new(
                what,
                format!("The Docker engine does not answer: {why}."),
                "See whether it runs (systemctl status docker) and whether dockmaster may use its socket, then ask again.",
            ),
            Self::Gone(why) => Failure::new(what, format!("It is not there any more: {why}."), "Look at /docker_status and ask again."),
            Self::Refused(why) => Failure::new(what, format!("The Docker engine refused: {why}."), "Mend the cause and ask again."),
        }
    }
}

impl From<Error> for EngineError {
    fn from(error: Error) -> Self {
        let trimmed = |message: String| message.trim_end_matches(['.', '\n']).to_owned();
        match error {
            Error::DockerResponseServerError { status_code: 404, message } => Self::Gone(trimmed(message)),
            Error::DockerResponseServerError { message, .. } | Error::DockerStreamError { error: message } => {
                Self::Refused(trimmed(message))
            }
            Error::RequestTimeoutError => Self::Away("it took too long".to_owned()),
            Error::HyperLegacyError { err } => Self::Away(innermost(&err)),
            Error::HyperResponseError { err } => Self::Away(innermost(&err)),
            other => Self::Away(trimmed(other.to_string())),
        }
    }
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
    api: bollard::Docker,
    /// Whoever looks at the same project at the same time.
    looks: Arc<Shared<Source, Result<Vec<Container>, EngineError>>>,
}

impl Docker {
    /// The engine at `host` (`unix://…`, `tcp://…`), or at the usual socket. Nothing is asked of it yet.
    ///
    /// # Errors
    /// The address cannot be used.
    pub fn at(host: Option<&str>) -> Result<Self, EngineError> {
        let host = host.unwrap_or(DEFAULT_HOST);
        let api = match host.strip_prefix("unix://") {
            Some(path) => transport::at_socket(path, READ_LIMIT),
            None => bollard::Docker::connect_with_http(host, READ_LIMIT.as_secs(), bollard::API_DEFAULT_VERSION),
        };
        Ok(Self { api: api?, looks: Arc::default() })
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<(), EngineError> {
        self.api.ping().await?;
        Ok(())
    }

    /// The containers of a project, in no particular order. One that vanishes meanwhile is left out.
    ///
    /// # Errors
    /// The engine does not answer or refuses.
    pub async fn containers(&self, source: &Source) -> Result<Vec<Container>, EngineError> {
        self.looks.ask(source, self.look(source)).await
    }

    async fn look(&self, source: &Source) -> Result<Vec<Container>, EngineError> {
        match source {
            Source::Compose(compose) => self.listed(&format!("com.docker.compose.project={}", compose.name), inspect::of_compose).await,
            Source::Containers(selectors) => {
                let mut found: Vec<Container> = Vec::new();
                for selector in selectors {
                    let more = match selector {
                        ContainerSelector::Name(name) => {
                            let found = self.inspected(name.as_str(), inspect::of_name).await?;
                            // The engine takes `db` for the beginning of an id, too, and so for anybody's container.
                            found.into_iter().filter(|c| c.name == name.as_str()).collect()
                        }
                        ContainerSelector::Label(label) => self.listed(label, inspect::of_name).await?,
                    };
                    found.extend(more);
                }
                found.sort_by(|a, b| a.id.cmp(&b.id));
                found.dedup_by(|a, b| a.id == b.id);
                Ok(found)
            }
        }
    }

    async fn listed(&self, label: &str, read: inspect::Reader) -> Result<Vec<Container>, EngineError> {
        let filters = HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
        let options = query::ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let ids = self.api.list_containers(Some(options)).await?.into_iter().filter_map(|c| c.id);
        let inspected = stream::iter(ids.map(|id| async move { self.inspected(&id, read).await })).buffer_unordered(INSPECTED_AT_ONCE);
        let found: Vec<Option<Container>> = inspected.try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn inspected(&self, id: &str, read: inspect::Reader) -> Result<Option<Container>, EngineError> {
        match self.api.inspect_container(id, None::<query::InspectContainerOptions>).await.map_err(EngineError::from) {
            Ok(seen) => Ok(read(seen)),
            Err(EngineError::Gone(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// A container as it is now; none where it is gone.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn container(&self, id: &str) -> Result<Option<Container>, EngineError> {
        self.inspected(id, inspect::of_any).await
    }

    /// What of the host, and which volumes, a container has mounted; none where this engine has no such container.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn mounts(&self, id: &str) -> Result<Option<Vec<Mount>>, EngineError> {
        match self.api.inspect_container(id, None::<query::InspectContainerOptions>).await.map_err(EngineError::from) {
            Ok(seen) => Ok(Some(inspect::mounts(seen))),
            Err(EngineError::Gone(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// The containers with a label, in no particular order.
    ///
    /// # Errors
    /// The engine does not answer or refuses.
    pub async fn labelled(&self, label: &str) -> Result<Vec<Container>, EngineError> {
        self.listed(label, inspect::of_name).await
    }

    /// Makes a container that has all that another one has (image, mounts, rights, network, environment) but its name, its
    /// labels and its published ports, and starts it with another command. Returns its id.
    ///
    /// # Errors
    /// The other one is gone, or the engine refuses.
    pub async fn stand_in(&self, of: &str, name: &str, label: (String, String), command: Vec<String>) -> Result<String, EngineError> {
        let seen = self.api.inspect_container(of, None::<query::InspectContainerOptions>).await?;
        let body = inspect::stand_in(seen, of, label, command);
        let options = query::CreateContainerOptionsBuilder::default().name(name).build();
        let made = self.api.create_container(Some(options), body).await?;
        match self.start(&made.id).await {
            Ok(()) => Ok(made.id),
            Err(error) => {
                self.remove(&made.id).await?;
                Err(error)
            }
        }
    }

    /// Starts a container.
    ///
    /// # Errors
    /// It is gone, or it cannot be started.
    pub async fn start(&self, id: &str) -> Result<(), EngineError> {
        let api = self.api.clone().with_timeout(READ_LIMIT + STOP_GRACE);
        Ok(api.start_container(id, None::<query::StartContainerOptions>).await?)
    }

    /// Thaws a container that is frozen.
    ///
    /// # Errors
    /// It is gone, or it is not frozen.
    pub async fn unpause(&self, id: &str) -> Result<(), EngineError> {
        Ok(self.api.unpause_container(id).await?)
    }

    /// Stops a container, which has `within` to end by itself; none means what it was made with.
    ///
    /// # Errors
    /// It is gone, or it cannot be stopped.
    pub async fn stop(&self, id: &str, within: Option<Duration>) -> Result<(), EngineError> {
        let options = within.map(|within| query::StopContainerOptionsBuilder::default().t(seconds(within)).build());
        Ok(self.patient(within).stop_container(id, options).await?)
    }

    /// Restarts a container, which has `within` to end by itself; none means what it was made with.
    ///
    /// # Errors
    /// It is gone, or it cannot be restarted.
    pub async fn restart(&self, id: &str, within: Option<Duration>) -> Result<(), EngineError> {
        let options = within.map(|within| query::RestartContainerOptionsBuilder::default().t(seconds(within)).build());
        Ok(self.patient(within).restart_container(id, options).await?)
    }

    fn patient(&self, within: Option<Duration>) -> bollard::Docker {
        self.api.clone().with_timeout(within.unwrap_or(STOP_MAX) + STOP_GRACE)
    }

    /// The id of the image that a name or id means here; none where the engine has none.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn image_id(&self, name: &str) -> Result<Option<String>, EngineError> {
        match self.api.inspect_image(name).await.map_err(EngineError::from) {
            Ok(image) => Ok(image.id),
            Err(EngineError::Gone(_)) => Ok(None),
            Err(other) => Err(other),
        }
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

    /// Takes a name from an image, which goes with its last one. One that is not there is no error, nor is one whose last
    /// name this is while a container runs it.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn untag(&self, name: &str) -> Result<(), EngineError> {
        let options = query::RemoveImageOptionsBuilder::default().force(false).noprune(true).build();
        match self.api.remove_image(name, Some(options), None).await.map_err(EngineError::from) {
            Ok(_) | Err(EngineError::Gone(_)) => Ok(()),
            Err(EngineError::Refused(why)) if why.contains("conflict") => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// Removes a container, ended or not; its volumes stay. One that is gone is no error.
    ///
    /// # Errors
    /// The engine does not answer or refuses.
    pub async fn remove(&self, id: &str) -> Result<(), EngineError> {
        let options = query::RemoveContainerOptionsBuilder::default().force(true).build();
        match self.api.remove_container(id, Some(options)).await.map_err(EngineError::from) {
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
        let frames = self.api.logs(&container.id, Some(options.build())).map_err(EngineError::from);
        Assembler::new(container.tty).lines(frames.map_ok(|frame| frame.into_bytes()))
    }
}

/// Whole seconds, rounded up, as the engine takes them.
fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis().div_ceil(1_000)).unwrap_or(i32::MAX)
}
