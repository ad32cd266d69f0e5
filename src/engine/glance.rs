//! What was seen a moment ago, for as long as it can be believed.

use std::time::Duration;

use dashmap::DashMap;
use tokio::time::Instant;

use super::events::Told;
use super::looks::Look;
use crate::domain::container::Container;

/// For how long what was seen counts, where nothing else was told.
const FOR: Duration = Duration::from_secs(5);
/// How many projects are kept in mind.
const KEPT_MAX: usize = 1_000;

/// What was seen, by where it was looked. Nothing is ever told that the engine has contradicted: a look counts only as long as
/// everything is told, and nothing was told since it began.
#[derive(Debug, Default)]
pub(super) struct Glances(DashMap<Look, Glance>);

#[derive(Debug)]
struct Glance {
    told: Told,
    began: Instant,
    seen: Vec<Container>,
}

impl Glances {
    /// What was seen there, where that still counts.
    pub(super) fn of(&self, look: &Look, told: Told, now: Instant) -> Option<Vec<Container>> {
        let glance = self.0.get(look)?;
        (told.following && glance.told == told && now < glance.began + FOR).then(|| glance.seen.clone())
    }

    /// Keeps what was seen by a look that began when so much had been told.
    pub(super) fn keep(&self, look: &Look, told: Told, began: Instant, seen: &[Container]) {
        if !told.following {
            return;
        }
        if self.0.len() >= KEPT_MAX {
            self.0.retain(|_, glance| glance.began + FOR > began);
        }
        self.0.insert(look.clone(), Glance { told, began, seen: seen.to_vec() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::container::tests::container;
    use crate::domain::container::{Health, State};

    #[test]
    fn what_was_seen_counts_until_anything_is_told_and_five_seconds_at_most() {
        let (glances, look) = (Glances::default(), Look::Compose("shop".into()));
        let told = Told { changes: 4, following: true };
        let seen = [container("web", State::Running, Health::Healthy)];
        let (began, unheard) = (Instant::now(), Told { following: false, ..told });
        let soon = began + Duration::from_millis(4_900);
        glances.keep(&look, told, began, &seen);
        assert_eq!(glances.of(&look, told, soon).as_deref(), Some(&seen[..]));
        assert_eq!(glances.of(&look, Told { changes: 5, ..told }, soon), None, "something has changed");
        assert_eq!(glances.of(&look, unheard, soon), None, "something may have changed");
        assert_eq!(glances.of(&look, told, began + FOR), None, "it is old");
        glances.keep(&look, unheard, began + FOR, &seen);
        assert_eq!(glances.of(&look, unheard, began + FOR), None);
    }
}
