//! When each part of dockmaster was heard from.

use std::sync::Arc;

use dashmap::DashMap;

use crate::domain::Millis;
use crate::domain::health::{Beat, Health, Part, health};

/// When each part was heard from. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Vitals(Arc<DashMap<Part, (Millis, bool)>>);

impl Vitals {
    /// A part is waited for from now on.
    pub fn expect(&self, part: Part, now: Millis) {
        self.0.insert(part, (now, false));
    }

    /// A part is heard from.
    pub fn beat(&self, part: Part, now: Millis) {
        self.0.insert(part, (now, true));
    }

    /// A part is no longer waited for.
    pub fn forget(&self, part: Part) {
        self.0.remove(&part);
    }

    /// How dockmaster is.
    pub fn health(&self, now: Millis) -> Health {
        let beat = |part, (at, heard)| Beat { part, at, heard };
        health(self.0.iter().map(|known| beat(*known.key(), *known.value())), now)
    }
}
