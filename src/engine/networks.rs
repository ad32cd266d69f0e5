//! The engine's networks.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::ask::{Question, part};
use super::docker::{Docker, EngineError};
use super::fields::{Fields, words_of};
use super::inspect::time;
use crate::domain::Millis;
use crate::domain::compose_labels::CONFIG_HASH;

/// The engine's own network, which it makes anew whenever it starts.
const DEFAULT_NETWORK: &str = "bridge";

/// A network of the engine's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Its driver.
    pub driver: String,
    /// Whether nothing in it reaches the outside.
    pub internal: bool,
    /// Whether containers that no service made may join, of one of Swarm.
    pub attachable: bool,
    /// Whether it has IPv6.
    pub ipv6: bool,
    /// What its driver was told.
    pub options: BTreeMap<String, String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its subnets.
    pub subnets: BTreeSet<String>,
}

impl Network {
    /// Whether the Compose that made it has labelled it with a hash of its definition.
    pub fn has_hash(&self) -> bool {
        self.labels.contains_key(CONFIG_HASH)
    }
}

impl Docker {
    /// Every network of the engine's.
    ///
    /// # Errors
    /// The engine does not answer or refuses.
    pub async fn networks(&self) -> Result<Vec<Network>, EngineError> {
        let listed = self.connection.list(Question::get("/networks")).await?;
        Ok(listed.iter().filter_map(network).collect())
    }

    /// When the engine began, as its default network tells; none where it has none. What still ran had been stopped by then.
    ///
    /// # Errors
    /// The engine does not answer or refuses.
    pub async fn began(&self) -> Result<Option<Millis>, EngineError> {
        let network = self.network(DEFAULT_NETWORK).await?;
        Ok(network.and_then(|network| network.text("Created").and_then(time)))
    }

    /// The ids of the containers that run in a network, with their names; none where there is no such network.
    ///
    /// # Errors
    /// The engine does not answer or refuses.
    pub async fn connected(&self, name: &str) -> Result<BTreeMap<String, String>, EngineError> {
        let named = |(id, endpoint): (&String, &Value)| (id.clone(), words_of(endpoint.field("Name")).unwrap_or_default());
        Ok(self.network(name).await?.map(|network| network.entries("Containers").map(named).collect()).unwrap_or_default())
    }

    /// What the engine says of a network; none where there is none.
    pub(super) async fn network(&self, name: &str) -> Result<Option<Value>, EngineError> {
        match self.connection.object(Question::get(format!("/networks/{}", part(name)))).await {
            Ok(network) => Ok(Some(network)),
            Err(EngineError::Gone(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }
}

/// A network; none where it has no name.
pub(super) fn network(seen: &Value) -> Option<Network> {
    let subnets = seen.field("IPAM").items("Config").iter().filter_map(|pool| pool.text("Subnet"));
    Some(Network {
        name: seen.text("Name")?.to_owned(),
        driver: seen.text("Driver").unwrap_or_default().to_owned(),
        internal: seen.flag("Internal").unwrap_or_default(),
        attachable: seen.flag("Attachable").unwrap_or_default(),
        ipv6: seen.flag("EnableIPv6").unwrap_or_default(),
        options: seen.words("Options"),
        labels: seen.words("Labels"),
        subnets: subnets.map(str::to_owned).collect(),
    })
}
