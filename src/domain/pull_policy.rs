//! When the image of a service is pulled, as its `pull_policy` says.

use std::time::Duration;

/// When an image is pulled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// Where the engine has none of that name.
    #[default]
    Missing,
    /// In each deploy, where the registry has another one.
    Always,
    /// Never: the engine must have it.
    Never,
    /// It is built.
    Build,
    /// As [`PullPolicy::Always`], and not again before so much time has gone.
    Every(Duration),
}

impl PullPolicy {
    /// Reads the word; one that Compose does not know it refuses itself.
    /// Source: <https://github.com/compose-spec/compose-spec/blob/main/05-services.md#pull_policy>.
    pub fn parse(word: &str) -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        match word {
            "always" | "refresh" => Self::Always,
            "never" => Self::Never,
            "build" => Self::Build,
            "daily" => Self::Every(DAY),
            "weekly" => Self::Every(7 * DAY),
            other => other.strip_prefix("every_").and_then(duration).map_or(Self::Missing, Self::Every),
        }
    }

    /// Whether the registry is asked for an image that the engine has had for so long.
    pub fn asks(self, age: Option<Duration>) -> bool {
        match self {
            Self::Always => true,
            Self::Every(time) => age.is_none_or(|age| age >= time),
            Self::Missing | Self::Never | Self::Build => false,
        }
    }
}

/// `1d12h`, `90m`: weeks, days, hours, minutes and seconds.
fn duration(text: &str) -> Option<Duration> {
    let (mut total, mut number) = (0u64, String::new());
    for c in text.chars() {
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        let unit = [('w', 604_800), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)].into_iter().find(|(unit, _)| *unit == c)?.1;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        number.clear();
    }
    number.is_empty().then(|| Duration::from_secs(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_as_the_specification_has_them() {
        let every = |seconds| PullPolicy::Every(Duration::from_secs(seconds));
        for (word, policy) in [
            ("always", PullPolicy::Always),
            ("never", PullPolicy::Never),
            ("missing", PullPolicy::Missing),
            ("if_not_present", PullPolicy::Missing),
            ("build", PullPolicy::Build),
            ("daily", every(86_400)),
            ("weekly", every(604_800)),
            ("every_1d12h", every(129_600)),
            ("every_90m", every(5_400)),
            ("every_9", PullPolicy::Missing),
            ("every_99999999999999999999w", PullPolicy::Missing),
        ] {
            assert_eq!(PullPolicy::parse(word), policy, "{word}");
        }
        assert!(every(60).asks(None) && every(60).asks(Some(Duration::from_secs(60))) && !every(60).asks(Some(Duration::from_secs(59))));
        assert!(PullPolicy::Always.asks(Some(Duration::ZERO)) && !PullPolicy::Missing.asks(None));
    }
}
