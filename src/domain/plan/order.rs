//! In which order services start, stop and restart.

use std::collections::BTreeSet;

use super::needs::Needs;
use super::{Step, layers};
use crate::domain::project::{ServiceName, Strategy};

/// Services in layers: each needs only what is in those before it.
pub(super) fn layered(services: &BTreeSet<ServiceName>, needs: &Needs) -> Vec<Vec<ServiceName>> {
    layers(services, |service| needs.names(service))
}

/// The steps of a restart.
pub(super) fn restart_steps(strategy: Strategy, layers: Vec<Vec<ServiceName>>) -> Vec<Step> {
    let all: Vec<ServiceName> = layers.iter().flatten().cloned().collect();
    if all.is_empty() {
        return Vec::new();
    }
    match strategy {
        Strategy::Immediate => vec![Step::Restart { services: all }],
        Strategy::Graceful => [vec![Step::Stop { services: all }], start_steps(layers, Vec::new())].concat(),
        Strategy::Rolling => all.into_iter().map(|service| Step::Restart { services: vec![service] }).collect(),
        Strategy::Dependency if layers.len() == 1 => vec![Step::Restart { services: all }],
        Strategy::Dependency => [stop_steps(layers.clone()), start_steps(layers, Vec::new())].concat(),
    }
}

/// Restarts, each after those that it follows.
pub(super) fn restarts(services: &BTreeSet<ServiceName>, follows: impl Fn(&ServiceName) -> BTreeSet<ServiceName>) -> Vec<Step> {
    let layers = if services.is_empty() { Vec::new() } else { layers(services, follows) };
    layers.into_iter().map(|services| Step::Restart { services }).collect()
}

/// The steps of a stop: what others depend on goes last.
pub(super) fn stop_steps(layers: Vec<Vec<ServiceName>>) -> Vec<Step> {
    layers.into_iter().rev().map(|services| Step::Stop { services }).collect()
}

/// The steps of a start, and of what is made for the first time. One alone is watched by itself, several all at once.
pub(super) fn start_steps(layers: Vec<Vec<ServiceName>>, made: Vec<ServiceName>) -> Vec<Step> {
    let watched: Vec<ServiceName> = layers.iter().flatten().chain(&made).cloned().collect();
    let alone = made.is_empty() && layers.len() < 2;
    let mut steps: Vec<Step> = layers.into_iter().map(|services| Step::Start { services }).collect();
    if !made.is_empty() {
        steps.push(Step::Up { services: made });
    }
    if !alone {
        steps.push(Step::Verify { services: watched });
    }
    steps
}
