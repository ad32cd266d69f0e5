//! Variables that compose files use and that nothing sets: Compose warns and puts nothing in their place.

use std::collections::BTreeSet;

use crate::domain::failure::Failure;
use crate::domain::text::listing;
use crate::domain::untrusted::UntrustedText;

/// How many names a sentence spells out.
const NAMES_SHOWN: usize = 5;

/// What is known of a project's variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables {
    /// Those that the compose files use and that nothing sets.
    pub unset: Vec<String>,
    /// Those that were set for the release that runs, or for the one that comes, where it is an earlier one.
    pub set_before: BTreeSet<String>,
    /// Those that were unset already for the release that runs.
    pub unset_before: BTreeSet<String>,
    /// Secrets and configs whose value is to come from a variable that nothing sets, with that variable: Compose makes no container
    /// without it.
    pub missing: Vec<(String, String)>,
}

impl Variables {
    /// Refuses what would lose a value that was there, or could not be brought up at all; `what` is what that means.
    ///
    /// # Errors
    /// There is such a variable.
    pub(super) fn check(&self, what: &str) -> Result<(), Failure> {
        if let Some((name, variable)) = self.missing.first() {
            let (name, variable) = (UntrustedText::from(name.as_str()), UntrustedText::from(variable.as_str()));
            return Err(Failure::new(
                what,
                format!("The value of {name} is to come from the variable {variable}, which nothing sets."),
                format!("Set it in production's .env ({variable}=…) and ask again."),
            ));
        }
        let lost: Vec<UntrustedText> =
            self.unset.iter().filter(|name| self.set_before.contains(*name)).map(|name| UntrustedText::from(name.as_str())).collect();
        if lost.is_empty() {
            return Ok(());
        }
        Err(Failure::new(
            what,
            format!("The compose file uses {}, which nothing sets now and which was set before.", listing(lost, NAMES_SHOWN)),
            "Set it in production's .env again (empty is enough: NAME=), or give it a default in the compose file: ${NAME:-default}.",
        ))
    }

    /// Those that nothing sets, to be told; none where all of them were told with the last release.
    pub(super) fn news(&self) -> Vec<UntrustedText> {
        if self.unset.iter().all(|name| self.unset_before.contains(name)) {
            return Vec::new();
        }
        self.unset.iter().map(|name| UntrustedText::from(name.as_str())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn unset_variables_are_told_once() {
        let variables = Variables { unset: vec!["A".into(), "B".into()], unset_before: set(&["A"]), ..Variables::default() };
        assert_eq!(variables.news(), ["A", "B"].map(UntrustedText::from), "all of them, ready to paste");
        assert!(variables.check("x").is_ok());
        let known = Variables { unset_before: set(&["A", "B"]), ..variables };
        assert_eq!(known.news(), [], "they were told with the release before");
    }

    #[test]
    fn a_value_that_was_there_is_not_lost() {
        let variables = Variables { unset: vec!["A".into(), "B".into()], set_before: set(&["B", "C"]), ..Variables::default() };
        expect!["The compose file uses `B`, which nothing sets now and which was set before."]
            .assert_eq(&variables.check("x").unwrap_err().why);
    }

    #[test]
    fn a_secret_without_its_variable_is_refused() {
        let variables = Variables { missing: vec![("db".into(), "DB_PASSWORD".into())], ..Variables::default() };
        expect!["The value of `db` is to come from the variable `DB_PASSWORD`, which nothing sets."]
            .assert_eq(&variables.check("x").unwrap_err().why);
    }
}
