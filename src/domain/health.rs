//! Whether dockmaster itself is well: each part of it is heard from in time, or it is not.

use serde::{Deserialize, Serialize};

use super::Millis;

/// A part of dockmaster that is heard from again and again while it works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Polling for messages.
    Telegram,
    /// The Docker engine, which is asked whether it is there.
    Engine,
    /// Watching the configuration.
    Configuration,
}

impl Part {
    /// How long it may be silent, in milliseconds: three times as long as it takes at most when all is well.
    pub fn silent_max(self) -> Millis {
        match self {
            // A poll takes up to 40 s.
            Self::Telegram => 120_000,
            // It is asked once a minute.
            Self::Engine => 180_000,
            // It is looked once a minute at least.
            Self::Configuration => 180_000,
        }
    }

    /// Whether it may be silent before it was heard from for the first time. Telegram may be away at the start; without the engine nothing
    /// works that dockmaster is there for.
    fn may_begin_silent(self) -> bool {
        self != Self::Engine
    }

    /// What it is called.
    pub fn word(self) -> &'static str {
        match self {
            Self::Telegram => "Telegram",
            Self::Engine => "the Docker engine",
            Self::Configuration => "the watcher of the configuration",
        }
    }
}

/// When a part was heard from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// Which.
    pub part: Part,
    /// The last time; before the first time, when it was first waited for.
    pub at: Millis,
    /// Whether it was ever heard from.
    pub heard: bool,
}

/// How one part is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartHealth {
    /// Which.
    pub part: Part,
    /// Whether it was heard from in time.
    pub well: bool,
    /// For how long it has been silent, in milliseconds.
    pub silent: Millis,
    /// Whether it was ever heard from.
    #[serde(default = "heard")]
    pub heard: bool,
}

/// What one that does not say so means.
fn heard() -> bool {
    true
}

/// How dockmaster is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Whether every part is.
    pub well: bool,
    /// Each of them.
    pub parts: Vec<PartHealth>,
}

/// Judges by when each part was heard from.
pub fn health(beats: impl IntoIterator<Item = Beat>, now: Millis) -> Health {
    let judge = |beat: Beat| {
        let silent = now.saturating_sub(beat.at).max(0);
        let well = silent <= beat.part.silent_max() && (beat.heard || beat.part.may_begin_silent());
        PartHealth { part: beat.part, well, silent, heard: beat.heard }
    };
    let mut parts: Vec<PartHealth> = beats.into_iter().map(judge).collect();
    parts.sort_by_key(|part| part.part);
    Health { well: parts.iter().all(|part| part.well), parts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_is_silent_for_too_long_is_not_well() {
        let beat = |part, at| Beat { part, at, heard: true };
        let beats = |telegram, engine| [beat(Part::Engine, engine), beat(Part::Telegram, telegram)];
        let now = 1_000_000;
        let well = health(beats(now - 120_000, now - 180_000), now);
        assert!(well.well, "{well:?}");
        let ill = health(beats(now - 120_001, now + 5), now);
        assert_eq!((ill.well, ill.parts[0].well, ill.parts[1].well), (false, false, true));
        assert_eq!((ill.parts[0].part, ill.parts[1].silent), (Part::Telegram, 0), "a clock that was set back is no silence");
        assert!(health([], now).well, "nothing is waited for");
        let unheard = |part| health([Beat { part, at: now, heard: false }], now).well;
        assert!(!unheard(Part::Engine), "an engine that never answered is no engine");
        assert!(unheard(Part::Telegram) && unheard(Part::Configuration));
    }
}
