//! Making containers ourselves: images pulled, a network of the project's own, containers from definitions.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, DeviceRequest, EndpointSettings, HealthConfig, HostConfig, Mount, MountType, NetworkCreateRequest,
    NetworkingConfig, PortBinding, RestartPolicy, RestartPolicyNameEnum,
};
use bollard::query_parameters as query;
use futures_util::{Stream, StreamExt};
use serde_json::{Value, json};

use super::ask::Question;
use super::docker::{Docker, EngineError};
use super::fields::Fields;
use crate::domain::managed::{
    Check, ContainerDefinition, Definition, Gpus, HealthCheck, Limits, MountSource, Network, RestartRule, VolumeMount, label, network_name,
};
use crate::domain::project::{ProjectName, ServiceName};

/// Where secrets are in a container.
pub const SECRETS: &str = "/run/secrets";
/// How long an image may take to come, unless whoever pulls it gives up before.
const PULL_LIMIT: Duration = Duration::from_secs(60 * 60);

/// A container that is to be made.
#[derive(Debug)]
pub struct Making<'a> {
    /// Its name.
    pub name: String,
    /// The project that it belongs to.
    pub project: &'a ProjectName,
    /// The service that it is one of.
    pub service: &'a ServiceName,
    /// Which of the service's instances it is, from 1.
    pub instance: u16,
    /// Which dockmaster makes it.
    pub owner: &'a str,
    /// In which operation.
    pub operation: i64,
    /// The service as it is to be.
    pub definition: &'a Definition,
    /// What it is made from.
    pub container: &'a ContainerDefinition,
    /// Its whole environment.
    pub environment: &'a BTreeMap<String, String>,
    /// The hash of all that.
    pub hash: &'a str,
    /// What it takes over from the container whose place it takes.
    pub carried: Vec<VolumeMount>,
}

/// Who may pull from a registry.
#[derive(Clone, Default)]
pub struct Login {
    /// The registry.
    pub registry: String,
    /// The user's name.
    pub user: String,
    /// The password.
    pub password: String,
    /// A token instead of both, where the registry gave one.
    pub identity_token: Option<String>,
}

impl Login {
    /// As the engine takes it.
    pub(super) fn for_engine(self) -> Value {
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        json!({
            "username": some(self.user),
            "password": some(self.password),
            "identitytoken": self.identity_token,
            "serveraddress": self.registry,
        })
    }
}

/// How far an image has come: layers, and bytes of those of which that is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pulled {
    /// Layers that are here.
    pub done: usize,
    /// Layers in all, as far as they are known.
    pub layers: usize,
    /// Bytes that came.
    pub bytes: u64,
    /// Bytes in all, as far as they are known.
    pub total: u64,
}

impl Docker {
    /// Makes a container, which is not started. Returns its id.
    ///
    /// # Errors
    /// Its name is taken, its image is not there, or the engine refuses for another reason.
    pub async fn make(&self, making: &Making<'_>) -> Result<String, EngineError> {
        self.acted(self.created(&making.name, &body(making)).await)
    }

    /// Gives a container another name.
    ///
    /// # Errors
    /// It is gone, or the name is taken.
    pub async fn rename(&self, id: &str, name: &str) -> Result<(), EngineError> {
        let options = query::RenameContainerOptionsBuilder::default().name(name).build();
        self.acted(self.api.rename_container(id, options).await)
    }

    /// Whether a project's own network is this dockmaster's; none where there is no such network.
    ///
    /// # Errors
    /// The engine does not answer or refuses.
    pub async fn owns_network(&self, project: &ProjectName, owner: &str) -> Result<Option<bool>, EngineError> {
        let network = self.network(&network_name(project)).await?;
        Ok(network.map(|network| network.field("Labels").text(label::OWNER) == Some(owner)))
    }

    /// Removes a network. One that is gone is no error.
    ///
    /// # Errors
    /// Something is still in it, or the engine does not answer.
    pub async fn remove_network(&self, name: &str) -> Result<(), EngineError> {
        match self.api.remove_network(name).await.map_err(EngineError::from) {
            Ok(()) | Err(EngineError::Gone(_)) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// Sees to it that a project has a network of its own. False where there is one of that name which is somebody else's.
    ///
    /// # Errors
    /// The engine does not answer or refuses.
    pub async fn ensure_network(&self, project: &ProjectName, owner: &str) -> Result<bool, EngineError> {
        if let Some(ours) = self.owns_network(project, owner).await? {
            return Ok(ours);
        }
        let labels = [(label::MANAGED, "true"), (label::PROJECT, project.as_str()), (label::OWNER, owner)];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let request =
            NetworkCreateRequest { name: network_name(project), labels: Some(HashMap::from(labels)), ..NetworkCreateRequest::default() };
        self.connection.bytes(Question::post("/networks/create").sending(&request)).await?;
        Ok(true)
    }

    /// Pulls an image; how far it has come, again and again, until it is there.
    pub fn pull(&self, image: &str, login: Option<Login>) -> impl Stream<Item = Result<Pulled, EngineError>> + use<> {
        // Without a tag the engine would pull all of them.
        let (name, digested) = (image.rsplit('/').next().unwrap_or(image), image.contains('@'));
        let image = if digested || name.contains(':') { image.to_owned() } else { format!("{image}:latest") };
        // The engine answers once it knows what the image consists of: a registry may take its time. Whoever pulls has a limit.
        let asked = Question::post("/images/create").with("fromImage", &image).with_login(login).within(PULL_LIMIT);
        let mut layers: BTreeMap<String, Layer> = BTreeMap::new();
        self.connection.lines(asked).map(move |told| {
            let told = told?;
            if let Some(why) = told.field("errorDetail").text("message").or_else(|| told.text("error")) {
                return Err(EngineError::Refused(why.into()));
            }
            note(&mut layers, &told);
            let sum = |of: fn(&Layer) -> u64| layers.values().map(of).sum();
            let done = layers.values().filter(|layer| layer.done).count();
            Ok(Pulled { done, layers: layers.len(), bytes: sum(|l| l.bytes), total: sum(|l| l.total) })
        })
    }
}

#[derive(Debug, Default)]
struct Layer {
    bytes: u64,
    total: u64,
    done: bool,
}

/// The most layers of an image that are told apart.
const LAYERS_MAX: usize = 500;

fn note(layers: &mut BTreeMap<String, Layer>, told: &Value) {
    let (Some(id), Some(status)) = (told.text("id"), told.text("status")) else { return };
    // The first line names the tag where others name a layer.
    if status.starts_with("Pulling from") || (layers.len() >= LAYERS_MAX && !layers.contains_key(id)) {
        return;
    }
    let layer = layers.entry(id.to_owned()).or_default();
    layer.done = matches!(status, "Pull complete" | "Already exists");
    if status == "Downloading" {
        let detail = told.field("progressDetail");
        layer.bytes = detail.size("current").unwrap_or(layer.bytes);
        layer.total = detail.size("total").unwrap_or(layer.total);
    }
    if layer.done || status == "Download complete" {
        layer.bytes = layer.total;
    }
}

/// What the engine is asked to make.
fn body(making: &Making<'_>) -> ContainerCreateBody {
    let Making { definition, container, .. } = making;
    let own = matches!(container.network, Network::Own);
    let network = network_name(making.project);
    let endpoint = || EndpointSettings { aliases: Some(vec![making.service.to_string()]), ..EndpointSettings::default() };
    let ports: Vec<String> = container.ports.iter().map(|p| format!("{}/{}", p.container, p.protocol)).collect();
    ContainerCreateBody {
        image: Some(container.image.clone()),
        cmd: container.command.clone(),
        entrypoint: container.entrypoint.clone(),
        user: container.user.clone(),
        env: Some(making.environment.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        exposed_ports: Some(ports).filter(|ports| !ports.is_empty()),
        labels: Some(labels(making)),
        healthcheck: definition.healthcheck.as_ref().map(health),
        host_config: Some(host(definition, container, &making.carried, &network)),
        networking_config: own.then(|| NetworkingConfig { endpoints_config: Some(HashMap::from([(network.clone(), endpoint())])) }),
        ..ContainerCreateBody::default()
    }
}

fn labels(making: &Making<'_>) -> HashMap<String, String> {
    let all = [
        (label::MANAGED, "true".to_owned()),
        (label::PROJECT, making.project.to_string()),
        (label::SERVICE, making.service.to_string()),
        (label::INSTANCE, making.instance.to_string()),
        (label::OWNER, making.owner.to_owned()),
        (label::DEFINITION, making.hash.to_owned()),
        (label::OPERATION, making.operation.to_string()),
    ];
    all.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn host(definition: &Definition, container: &ContainerDefinition, carried: &[VolumeMount], network: &str) -> HostConfig {
    let Limits { memory, nano_cpus, pids, gpus } = &container.limits;
    let whole = |n: &u64| i64::try_from(*n).unwrap_or(i64::MAX);
    let secrets = definition.secrets.iter().map(|(name, path)| VolumeMount {
        source: MountSource::Path(path.clone()),
        target: format!("{SECRETS}/{name}"),
        read_only: true,
    });
    let mut bound: HashMap<String, Option<Vec<PortBinding>>> = HashMap::new();
    for port in &container.ports {
        let binding = PortBinding {
            host_ip: Some(port.address.clone()).filter(|address| !address.is_empty()),
            host_port: Some(if port.host == 0 { String::new() } else { port.host.to_string() }),
        };
        let bindings = bound.entry(format!("{}/{}", port.container, port.protocol)).or_default();
        bindings.get_or_insert_default().push(binding);
    }
    HostConfig {
        network_mode: Some(match &container.network {
            Network::Own => network.to_owned(),
            Network::Host => "host".to_owned(),
            Network::None => "none".to_owned(),
            Network::Named(name) => name.clone(),
        }),
        mounts: Some(container.volumes.iter().chain(carried).cloned().chain(secrets).map(mount).collect()),
        port_bindings: Some(bound),
        restart_policy: Some(policy(definition.restart)),
        memory: memory.as_ref().map(whole),
        nano_cpus: nano_cpus.as_ref().map(whole),
        pids_limit: pids.map(i64::from),
        device_requests: gpus.as_ref().map(|gpus| vec![devices(gpus)]),
        ..HostConfig::default()
    }
}

/// What is mounted must be there: the engine would make a missing directory itself, as root's, where it is named in a bind.
fn mount(volume: VolumeMount) -> Mount {
    let (typ, source) = match volume.source {
        MountSource::Path(path) => (MountType::BIND, path.to_string_lossy().into_owned()),
        MountSource::Volume(name) => (MountType::VOLUME, name),
    };
    Mount { typ: Some(typ), source: Some(source), target: Some(volume.target), read_only: Some(volume.read_only), ..Mount::default() }
}

fn policy(rule: RestartRule) -> RestartPolicy {
    let (name, most) = match rule {
        RestartRule::No => (RestartPolicyNameEnum::NO, None),
        RestartRule::Always => (RestartPolicyNameEnum::ALWAYS, None),
        RestartRule::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        RestartRule::OnFailure(most) => (RestartPolicyNameEnum::ON_FAILURE, Some(i64::from(most))),
    };
    RestartPolicy { name: Some(name), maximum_retry_count: most }
}

fn devices(gpus: &Gpus) -> DeviceRequest {
    let (count, ids) = match gpus {
        Gpus::All => (Some(-1), None),
        Gpus::Count(count) => (Some(i64::from(*count)), None),
        Gpus::Ids(ids) => (None, Some(ids.clone())),
    };
    DeviceRequest { count, device_ids: ids, capabilities: Some(vec![vec!["gpu".to_owned()]]), ..DeviceRequest::default() }
}

fn health(check: &HealthCheck) -> HealthConfig {
    let word = |word: &str| word.to_owned();
    let test = match &check.check {
        Check::Command(words) => std::iter::once(word("CMD")).chain(words.iter().cloned()).collect(),
        Check::Shell(line) => vec![word("CMD-SHELL"), line.clone()],
        // Tried from outside, or not at all: the image's own is not to say something else.
        Check::Http(_) | Check::Tcp(_) | Check::Never => return HealthConfig { test: Some(vec![word("NONE")]), ..HealthConfig::default() },
    };
    let nanos = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    HealthConfig {
        test: Some(test),
        interval: Some(nanos(check.interval)),
        timeout: Some(nanos(check.timeout)),
        retries: Some(i64::from(check.retries)),
        start_period: Some(nanos(check.start_period)),
        start_interval: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::managed::tests::definition;

    #[test]
    fn what_is_made_says_whose_it_is_and_mounts_only_what_is_there() {
        let (project, service) = (ProjectName::new("tools").unwrap(), ServiceName::new("mail").unwrap());
        let mut definition = definition("example/mail:1");
        definition.secrets.insert("key".into(), "/etc/key".into());
        let container = definition.container().unwrap().clone();
        let environment = BTreeMap::from([("MODE".to_owned(), "dev".to_owned())]);
        let name = "dockmaster-tools-mail".to_owned();
        let (definition, container) = (&definition, &container);
        let (project, service, environment) = (&project, &service, &environment);
        let body = body(&Making {
            name,
            project,
            service,
            instance: 1,
            owner: "us",
            operation: 7,
            definition,
            container,
            environment,
            hash: "h",
            carried: Vec::new(),
        });
        let labels = body.labels.unwrap();
        assert_eq!(
            (labels[label::MANAGED].as_str(), labels[label::OWNER].as_str(), labels[label::DEFINITION].as_str()),
            ("true", "us", "h")
        );
        assert_eq!(body.env.unwrap(), ["MODE=dev"]);
        let host = body.host_config.unwrap();
        assert_eq!(host.network_mode.as_deref(), Some("dockmaster-tools"));
        assert!(host.binds.is_none());
        let mount = &host.mounts.unwrap()[0];
        assert_eq!((mount.target.as_deref(), mount.read_only), (Some("/run/secrets/key"), Some(true)));
    }

    #[test]
    fn the_progress_of_a_pull_counts_layers_and_bytes() {
        let mut layers = BTreeMap::new();
        let told = |id: &str, status: &str, current: i64, total: i64| json!({ "id": id, "status": status, "progressDetail": { "current": current, "total": total } });
        for line in [
            told("1", "Pulling from example/mail", 0, 0),
            told("a", "Already exists", 0, 0),
            told("b", "Downloading", 10, 100),
            told("c", "Downloading", 7, 7),
            told("c", "Download complete", 0, 0),
            told("c", "Extracting", 3, 7),
        ] {
            note(&mut layers, &line);
        }
        let shown: Vec<_> = layers.iter().map(|(id, l)| format!("{id} {}/{} {}", l.bytes, l.total, l.done)).collect();
        assert_eq!(shown, ["a 0/0 true", "b 10/100 false", "c 7/7 false"]);
    }
}
