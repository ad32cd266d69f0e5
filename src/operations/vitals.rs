//! When each part of dockmaster was heard from.

use std::sync::Arc;

use dashmap::DashMap;

use crate::domain::Millis;
use crate::domain::health::{Beat, Health, Part, health};

/// When each part was heard from. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Vitals(Arc<DashMap<Part, Millis>>);

impl Vitals {
    /// A part is heard from, or is waited for from now on.
    pub fn beat(&self, part: Part, now: Millis) {
        self.0.insert(part, now);
    }

    /// A part is no longer waited for.
    pub fn forget(&self, part: Part) {
        self.0.remove(&part);
    }

    /// How dockmaster is.
    pub fn health(&self, now: Millis) -> Health {
        health(self.0.iter().map(|beat| Beat { part: *beat.key(), at: *beat.value() }), now)
    }
}
