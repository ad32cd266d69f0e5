//! How many containers of a service there are, and how many there are to be.

use serde::{Deserialize, Serialize};

use super::Action;
use crate::domain::container::Container;
use crate::domain::project::ServiceName;

/// The containers of a service, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replicas {
    /// How many there are.
    pub there: u64,
    /// How many its compose file declares.
    pub declared: u64,
}

impl Replicas {
    /// Counts containers.
    pub fn of(containers: &[&Container], declared: u64) -> Self {
        Self { there: u64::try_from(containers.len()).unwrap_or(u64::MAX), declared }
    }

    /// Whether they go without saying: one is declared, and one or none is there.
    pub(super) fn are_plain(self) -> bool {
        self.declared == 1 && self.there < 2
    }

    /// What is done about a service that has containers, because of their number, and why.
    pub(super) fn wanted(self) -> Option<(Action, String)> {
        let Self { there, declared } = self;
        if there == 0 || there == declared {
            return None;
        }
        Some(match declared {
            0 => (Action::Remove, "0 declared".to_owned()),
            _ if there < declared => (Action::Scale, format!("{there} of {declared} there")),
            _ => (Action::Scale, format!("{there} there, {declared} declared: {} removed", are(there - declared))),
        })
    }

    /// A line on what is there, where it is not what is declared and nothing is done about it.
    pub(super) fn beyond(self, service: &ServiceName) -> Option<String> {
        let Self { there, declared } = self;
        (there > declared && declared > 0).then(|| format!("{service}: {there} there, {declared} declared. A deploy removes the rest."))
    }
}

fn are(number: u64) -> String {
    if number == 1 { "1 is".to_owned() } else { format!("{number} are") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_that_differs_is_a_reason() {
        let why = |there, declared| {
            let wanted = Replicas { there, declared }.wanted();
            wanted.map_or_else(|| "-".to_owned(), |(action, why)| format!("{} {why}", action.word()))
        };
        assert_eq!([why(3, 3), why(0, 0), why(0, 2)], ["-", "-", "-"], "what has none is made for the first time");
        assert_eq!(why(1, 3), "scale 1 of 3 there");
        assert_eq!([why(3, 1), why(3, 2)], ["scale 3 there, 1 declared: 2 are removed", "scale 3 there, 2 declared: 1 is removed"]);
        assert_eq!(why(2, 0), "remove 0 declared");
    }
}
