//! The engine's networks.

use std::collections::{BTreeMap, BTreeSet};

use bollard::query_parameters as query;

use super::docker::{Docker, EngineError};
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
        let listed = self.api.list_networks(None::<query::ListNetworksOptions>).await?;
        Ok(listed.into_iter().map(network).collect())
    }

    /// When the engine began, as its default network tells; none where it has none. What still ran had been stopped by then.
    ///
    /// # Errors
    /// The engine does not answer or refuses.
    pub async fn began(&self) -> Result<Option<Millis>, EngineError> {
        match self.api.inspect_network(DEFAULT_NETWORK, None::<query::InspectNetworkOptions>).await.map_err(EngineError::from) {
            Ok(network) => Ok(network.created.as_deref().and_then(time)),
            Err(EngineError::Gone(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// The ids of the containers that run in a network, with their names; none where there is no such network.
    ///
    /// # Errors
    /// The engine does not answer or refuses.
    pub async fn connected(&self, name: &str) -> Result<BTreeMap<String, String>, EngineError> {
        match self.api.inspect_network(name, None::<query::InspectNetworkOptions>).await.map_err(EngineError::from) {
            Ok(network) => {
                let all = network.containers.unwrap_or_default().into_iter();
                Ok(all.map(|(id, endpoint)| (id, endpoint.name.unwrap_or_default())).collect())
            }
            Err(EngineError::Gone(_)) => Ok(BTreeMap::new()),
            Err(other) => Err(other),
        }
    }
}

fn network(seen: bollard::models::Network) -> Network {
    let pools = seen.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
    Network {
        name: seen.name.unwrap_or_default(),
        driver: seen.driver.unwrap_or_default(),
        internal: seen.internal.unwrap_or_default(),
        attachable: seen.attachable.unwrap_or_default(),
        ipv6: seen.enable_ipv6.unwrap_or_default(),
        options: seen.options.unwrap_or_default().into_iter().collect(),
        labels: seen.labels.unwrap_or_default().into_iter().collect(),
        subnets: pools.into_iter().filter_map(|pool| pool.subnet).collect(),
    }
}
