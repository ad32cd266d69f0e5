//! Which version of its API is spoken with an engine. Pure.

use std::fmt;

/// The oldest that can be worked with: that of Docker 19.03.
const OLDEST: ApiVersion = ApiVersion(1, 40);
/// The newest that is known: that of Docker 29.7. An engine that has a newer one answers this one as well.
const NEWEST: ApiVersion = ApiVersion(1, 55);

/// A version of the engine's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ApiVersion(u32, u32);

impl ApiVersion {
    /// Reads `1.45`, or `1.41.0` as Podman may say it; none where it is no version.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim().splitn(3, '.').map(str::parse);
        Some(Self(numbers.next()?.ok()?, numbers.next()?.ok()?))
    }

    /// Whether the engine may have given up the versions that are known here.
    pub(super) fn is_beyond_known(self) -> bool {
        self > NEWEST
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// The version to speak with an engine whose newest and oldest are these.
///
/// # Errors
/// The engine is too old, in a sentence for a person.
pub(super) fn choose(newest: ApiVersion, oldest: Option<ApiVersion>) -> Result<ApiVersion, String> {
    if newest < OLDEST {
        return Err(format!("its newest API version is {newest}, and dockmaster needs {OLDEST} or later (Docker 19.03)"));
    }
    Ok(newest.min(NEWEST).max(oldest.unwrap_or(OLDEST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_that_both_know_is_spoken() {
        let version = |text: &str| ApiVersion::parse(text).unwrap();
        for (engine, newest, oldest, spoken) in [
            ("19.03", "1.40", "1.12", "1.40"),
            ("20.10", "1.41", "1.12", "1.41"),
            ("26.1", "1.45", "1.24", "1.45"),
            ("28.5", "1.51", "1.24", "1.51"),
            ("29.7", "1.55", "1.40", "1.55"),
            ("Podman 5.4", "1.41", "1.24", "1.41"),
            ("one to come", "1.60", "1.44", "1.55"),
            ("one that has given up all that is known", "1.70", "1.60", "1.60"),
        ] {
            assert_eq!(choose(version(newest), Some(version(oldest))), Ok(version(spoken)), "{engine}");
        }
        assert_eq!(choose(version("1.45"), None), Ok(version("1.45")));
        let too_old = choose(version("1.39"), Some(version("1.12"))).unwrap_err();
        assert_eq!(too_old, "its newest API version is 1.39, and dockmaster needs 1.40 or later (Docker 19.03)");
        assert!(version("1.9") < version("1.40") && !version("1.55").is_beyond_known() && version("1.56").is_beyond_known());
        assert!(["", "1", "v1.40", "1.x"].into_iter().all(|text| ApiVersion::parse(text).is_none()));
        assert_eq!(version("1.41.0"), version("1.41"));
    }
}
