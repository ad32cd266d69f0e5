//! How much room file systems have, and when that is little.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Below this many bytes room is little, unless told otherwise.
const USUAL: u64 = 1 << 30;
/// On a small file system this part of it counts instead: a tenth.
const USUAL_PART: u64 = 10;
/// How much more than the limit there must be for it to count as room again: a tenth of the limit.
const MARGIN: u64 = 10;

/// The units in which a limit is written, the largest first.
pub const UNITS: [(&str, u64); 3] = [("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20)];

/// The room of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Space {
    /// The number of its device.
    pub device: u64,
    /// Bytes that somebody who is not root can still write.
    pub free: u64,
    /// All that it can hold, in bytes.
    pub total: u64,
}

/// When room is little.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SpaceLimit {
    /// Below 1 GB; on a file system of less than 10 GB, below a tenth of it.
    #[default]
    Usual,
    /// Below so many bytes.
    Bytes(u64),
    /// Below so many hundredths of the file system.
    Percent(u8),
    /// Never.
    Off,
}

impl SpaceLimit {
    /// The limit for a file system of that size, in bytes; none where there is none.
    pub fn of(self, total: u64) -> Option<u64> {
        match self {
            Self::Usual => Some(USUAL.min(total / USUAL_PART)),
            Self::Bytes(bytes) => Some(bytes),
            Self::Percent(percent) => Some(u64::try_from(u128::from(total) * u128::from(percent) / 100).unwrap_or(u64::MAX)),
            Self::Off => None,
        }
    }

    /// As it is written in `projects.json`.
    pub fn written(self) -> String {
        match self {
            Self::Usual => "auto".to_owned(),
            Self::Bytes(bytes) => {
                let unit = UNITS.into_iter().find(|(_, unit)| bytes % unit == 0);
                unit.map_or_else(|| bytes.to_string(), |(word, unit)| format!("{}{word}", bytes / unit))
            }
            Self::Percent(percent) => format!("{percent}%"),
            Self::Off => "off".to_owned(),
        }
    }
}

/// What there is to say about a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Its room has become little: below this limit.
    Low(u64),
    /// There is room again.
    Well,
    /// Nothing new.
    Same,
}

/// Judges the room of a file system that was said to have little, or was not.
pub fn judge(limit: SpaceLimit, space: &Space, said: bool) -> Judgement {
    let Some(limit) = limit.of(space.total) else { return if said { Judgement::Well } else { Judgement::Same } };
    match said {
        false if space.free < limit => Judgement::Low(limit),
        true if space.free >= limit.saturating_add(limit / MARGIN) => Judgement::Well,
        _ => Judgement::Same,
    }
}

/// What is kept somewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "lowercase")]
pub enum Keeps {
    /// What dockmaster itself keeps.
    Own,
    /// A project's production.
    Production {
        /// The project.
        project: String,
    },
    /// A volume or a directory that a project's containers use.
    Store {
        /// The project.
        project: String,
    },
}

/// A place whose room is looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Watched {
    /// Where it is.
    pub path: PathBuf,
    /// What is kept there.
    pub keeps: Keeps,
}

/// A file system with little room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LowSpace {
    /// Its room.
    pub space: Space,
    /// Below so many bytes it is little.
    pub limit: u64,
    /// What lies on it.
    pub places: Vec<Watched>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1 << 30;

    #[test]
    fn what_is_little() {
        for (limit, total, bytes) in [
            (SpaceLimit::Usual, 100 * GB, Some(GB)),
            (SpaceLimit::Usual, 2 * GB, Some(2 * GB / 10)),
            (SpaceLimit::Bytes(5), 2, Some(5)),
            (SpaceLimit::Percent(5), 100 * GB, Some(5 * GB)),
            (SpaceLimit::Percent(99), u64::MAX, Some(u64::MAX / 100 * 99 + 14)),
            (SpaceLimit::Off, GB, None),
        ] {
            assert_eq!(limit.of(total), bytes, "{limit:?} of {total}");
        }
    }

    #[test]
    fn it_is_said_once_until_there_was_room_again() {
        let judged = |free, said| judge(SpaceLimit::Bytes(1_000), &Space { device: 1, free, total: 10_000 }, said);
        assert_eq!(judged(1_000, false), Judgement::Same);
        assert_eq!(judged(999, false), Judgement::Low(1_000));
        assert_eq!(judged(0, true), Judgement::Same);
        assert_eq!(judged(1_099, true), Judgement::Same, "that is within the margin");
        assert_eq!(judged(1_100, true), Judgement::Well);
        assert_eq!(judged(5_000, false), Judgement::Same);
        let off = |said| judge(SpaceLimit::Off, &Space { device: 1, free: 0, total: 10 }, said);
        assert_eq!((off(false), off(true)), (Judgement::Same, Judgement::Well));
    }
}
